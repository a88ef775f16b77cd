//! What the administrator asks of history, as whole processes: a list, a file through time, two snapshots compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use snapgate::terms::snapshot::NamePattern;

use crate::pushes::{RSYNC, remote_shell, run, small_file, small_files};
use crate::site::{Gate, Set, user};
use crate::{median, met};

const ROUNDS: usize = 7;

const SNAPSHOTS: i64 = 1000;

/// Names for each inode where there are many: fewer than any file system allows.
const NAMES: usize = 50_000;

/// MiB that may be taken for a million files.
const MOST_MEMORY: f64 = 64.0;

/// A client with snapshots an hour apart.
struct Client {
    config: PathBuf,
    snapshots: PathBuf,
    names: Vec<String>,
}

impl Client {
    /// The first snapshot is pushed through the gate. The others are made as that one is, with their events.
    fn new(root: &Path, name: &str, count: i64, fill: impl Fn(usize, &Path, &Path)) -> Self {
        let set = Set::new(root, name, Some(Path::new(RSYNC)), 0);
        let (shell, source) = (set.config.join("shell"), set.config.join("source"));
        remote_shell(&shell, &run(&Gate::this(), &set));
        small_files(&source, 1);
        let pushed = Command::new(RSYNC).args(["-a", "-e"]).arg(&shell).arg(format!("{}/", source.display())).arg("backup:").status();
        assert!(pushed.expect("rsync").success());
        let repository = set.config.join("store").join(user());
        let (snapshots, ledger) = (repository.join("snapshots"), repository.join(".snapgate/ledger.jsonl"));
        let first = fs::read_dir(&snapshots).expect("snapshots").next().expect("one").expect("one").file_name();
        fs::remove_dir_all(snapshots.join(&first)).expect("it");
        let line: Value = serde_json::from_str(fs::read_to_string(&ledger).expect("a ledger").trim_end()).expect("an event");
        let (pattern, newest): (_, DateTime<Utc>) = (NamePattern::default(), Utc::now() - TimeDelta::hours(1));
        let (mut names, mut lines): (Vec<String>, _) = (Vec::new(), String::new());
        for number in 0..count {
            let at = newest - TimeDelta::hours(count - number);
            let name = pattern.name_at(at).as_str().to_owned();
            let (tree, before) = (snapshots.join(&name), names.last().map(|before| snapshots.join(before)).unwrap_or_default());
            fs::create_dir(&tree).expect("a snapshot");
            fill(names.len(), &tree, &before);
            let mut event = line.clone();
            event["id"] = format!("{:016}-1-{number}", at.timestamp_micros()).into();
            event["at"] = at.to_rfc3339().into();
            event["snapshot"] = name.clone().into();
            lines.push_str(&format!("{event}\n"));
            names.push(name);
        }
        fs::write(&ledger, lines).expect("a ledger");
        let current = repository.join("current");
        fs::remove_file(&current).expect("a link");
        std::os::unix::fs::symlink(format!("snapshots/{}", names[names.len() - 1]), &current).expect("a link");
        Self { config: set.config, snapshots, names }
    }

    /// Milliseconds until it is answered, and how many lines that has.
    fn ask(&self, words: &[&str]) -> (f64, usize) {
        let begin = Instant::now();
        let output = self.command(words).output().expect("snapgate");
        let time = begin.elapsed().as_secs_f64() * 1e3;
        assert!(output.status.success(), "{words:?}: {output:?}");
        (time, output.stdout.split(|byte| *byte == b'\n').count() - 1)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snapgate"));
        command.arg("--config").arg(&self.config).args(words).stdin(Stdio::null());
        command
    }

    /// The median, once it has been asked.
    fn asked(&self, words: &[&str], least: usize, limit: f64, what: &str) {
        let mut times: Vec<f64> = (0..=ROUNDS)
            .map(|_| {
                let (time, lines) = self.ask(words);
                assert!(lines >= least, "{words:?}: {lines} lines");
                time
            })
            .skip(1)
            .collect();
        let time = median(&mut times);
        println!("  {what:<44} {time:8.0} ms  (limit {limit:.0}: {})", met(time < limit));
    }

    /// The most memory in MiB that a process of it has while it answers.
    fn peak(&self, words: &[&str]) -> f64 {
        let program = fs::canonicalize(env!("CARGO_BIN_EXE_snapgate")).expect("the program");
        let mut child = self.command(words).stdout(Stdio::null()).spawn().expect("snapgate");
        let mut most = 0.0_f64;
        while child.try_wait().expect("it").is_none() {
            for process in fs::read_dir("/proc").expect("/proc").flatten().map(|entry| entry.path()) {
                if fs::read_link(process.join("exe")).is_ok_and(|exe| exe == program) {
                    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
                    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
                    most = most.max(peak.unwrap_or_default() / 1024.0);
                }
            }
            thread::sleep(Duration::from_millis(20));
        }
        most
    }
}

pub(crate) fn history(root: &Path, files: usize) {
    println!("asking history (medians of {ROUNDS})");
    let many = Client::new(root, "history", SNAPSHOTS, |number, tree, before| {
        fs::create_dir(tree.join("etc")).expect("a directory");
        // Each tenth has another version.
        if number % 10 == 0 {
            fs::write(tree.join("etc/conf"), "x".repeat(number)).expect("a file");
        } else {
            fs::hard_link(before.join("etc/conf"), tree.join("etc/conf")).expect("a link");
        }
    });
    many.asked(&["list", &user()], 1000, 50.0, &format!("list of {SNAPSHOTS} snapshots"));
    many.asked(&["history", "--client", &user(), "etc/conf"], 100, 100.0, &format!("history of a file over {SNAPSHOTS} snapshots"));

    let two = Client::new(root, "compared", 2, |number, tree, before| {
        if number == 0 {
            return small_files(tree, files);
        }
        for number in 0..files {
            let (name, place) = (small_file(number), tree.join(small_file(number)));
            fs::create_dir_all(place.parent().expect("a directory")).expect("a directory");
            // One in a hundred is another file.
            if number % 100 == 1 {
                fs::write(place, "other").expect("a file");
            } else {
                fs::hard_link(before.join(name), place).expect("a link");
            }
        }
    });
    let diff = ["diff", "--client", &user(), &two.names[0], &two.names[1]];
    two.asked(&diff, files / 100, 1000.0, &format!("diff of two snapshots of {files} files"));
    fs::remove_dir_all(&two.snapshots).expect("snapshots");

    let large = Client::new(root, "large", 2, |_, tree, _| {
        for number in 0..files * 10 {
            let place = tree.join(small_file(number));
            if number % 100 == 0 {
                fs::create_dir_all(place.parent().expect("a directory")).expect("a directory");
            }
            let inode = tree.join(small_file(number - number % NAMES));
            if inode == place { fs::write(place, "x").expect("a file") } else { fs::hard_link(inode, place).expect("a link") }
        }
    });
    for words in [&["diff", "--client", &user(), &large.names[0], &large.names[1]][..], &["find", "--client", &user(), "--all", "nothing"]]
    {
        let peak = large.peak(words);
        println!(
            "  {:<44} {peak:8.1} MiB  (limit {MOST_MEMORY}: {})",
            format!("{} in {} files", words[0], files * 10),
            met(peak < MOST_MEMORY)
        );
    }
    fs::remove_dir_all(&large.snapshots).expect("snapshots");
    println!();
}
