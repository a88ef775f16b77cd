//! Whole pushes: rsync's own, through the gate, and through yesterday's where there is one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::site::{Gate, Set, user};
use crate::{median, met};

/// Each way is in each place of the order as often as in any other, with two of them and with three.
const ROUNDS: usize = 6;

pub(crate) const RSYNC: &str = "/usr/bin/rsync";

/// A shell of one's own for `rsync -e`: the client's words become SSH_ORIGINAL_COMMAND, as sshd would hand them over.
pub(crate) fn remote_shell(path: &Path, run: &str) {
    let text = format!(
        "#!/bin/sh\nshift\nSSH_ORIGINAL_COMMAND=\"$*\" SSH_CONNECTION='192.0.2.7 50000 192.0.2.1 22'\nexport SSH_ORIGINAL_COMMAND SSH_CONNECTION\n{run}\n"
    );
    fs::write(path, text).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("mode");
}

/// What such a shell runs for the gate.
pub(crate) fn run(gate: &Gate, set: &Set) -> String {
    let order = gate.order().unwrap_or_default();
    format!("exec {} --config {} {order} --client {}", gate.program.display(), set.config.display(), user())
}

/// A hundred files in a directory, and directories three deep, as in somebody's home.
pub(crate) fn small_file(number: usize) -> PathBuf {
    PathBuf::from(format!("d{}/d{}/d{}/f{number}", number / 10_000, number / 1000 % 10, number / 100 % 10))
}

pub(crate) fn small_files(directory: &Path, files: usize) {
    for number in 0..files {
        let path = directory.join(small_file(number));
        if number % 100 == 0 {
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        }
        fs::write(path, format!("{number}")).expect("a file");
    }
}

/// One way to push.
struct Way {
    name: &'static str,
    /// Where it keeps everything.
    home: PathBuf,
    shell: PathBuf,
    /// How often it was used, where it is plain rsync: a gate knows its newest snapshot itself.
    plain: Option<usize>,
}

impl Way {
    /// Plain rsync first, this gate second. Each begins with nothing, in directories of its own.
    fn all(root: &Path, name: &str) -> Vec<Self> {
        let way = |number: usize, gate: Option<&Gate>| {
            let home = root.join(format!("{name}-{number}"));
            let way = Self {
                name: gate.map_or("plain rsync", |gate| gate.name),
                shell: home.join("shell"),
                plain: gate.is_none().then_some(0),
                home,
            };
            if let Some(gate) = gate {
                let set = Set::new(root, &format!("{name}-{number}"), Some(Path::new(RSYNC)), 0);
                remote_shell(&way.shell, &run(gate, &set));
            } else {
                fs::create_dir_all(way.snapshots()).expect("directories");
                remote_shell(&way.shell, "cd / && exec $SSH_ORIGINAL_COMMAND");
            }
            way
        };
        let gates = Gate::all();
        std::iter::once(None).chain(gates.iter().map(Some)).enumerate().map(|(number, gate)| way(number, gate)).collect()
    }

    /// Plain rsync's: as deep as the gate's own, since each level costs rsync 3.5.0 some system calls for each file.
    fn snapshots(&self) -> PathBuf {
        self.home.join("store/plain/snapshots")
    }

    /// Seconds until rsync ends, and until all of it is on the disk.
    fn push(&mut self, options: &str, source: &Path) -> Times {
        let mut command = Command::new(RSYNC);
        command.args([options, "--delete", "-e"]).arg(&self.shell);
        let mut target = "backup:".to_owned();
        if let Some(number) = self.plain {
            let snapshot = |number: usize| self.snapshots().join(number.to_string()).display().to_string();
            if number > 0 {
                command.arg(format!("--link-dest={}", snapshot(number - 1)));
            }
            target += &format!("{}/", snapshot(number));
            self.plain = Some(number + 1);
        }
        command.arg(format!("{}/", source.display())).arg(target).stdin(Stdio::null());
        // What others have left to write is not this one's to wait for: the gate has all of it written before it publishes.
        self.sync();
        let begin = Instant::now();
        let status = command.status().expect("rsync");
        let push = begin.elapsed().as_secs_f64();
        assert!(status.success(), "{} {options}: {status}", self.name);
        self.sync();
        Times { push, both: begin.elapsed().as_secs_f64() }
    }

    fn sync(&self) {
        nix::unistd::syncfs(fs::File::open(&self.home).expect("its directory")).expect("a sync");
    }
}

struct Times {
    push: f64,
    both: f64,
}

/// The order of a round.
pub(crate) fn order(count: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    if round % 2 == 1 {
        order.reverse();
    }
    order.rotate_left(round / 2 % count);
    order
}

/// Prints the medians, and gives those of the pushes alone and of the whole, in the order of the ways.
fn table(what: &str, names: &[&str], taken: &[Vec<Times>]) -> Vec<Times> {
    println!("{what}, s (median of {ROUNDS})");
    println!("{:31}the push   until all is on the disk", "");
    let of = |taken: &Vec<Times>, part: fn(&Times) -> f64| median(&mut taken.iter().map(part).collect::<Vec<_>>());
    let medians = taken.iter().map(|taken| Times { push: of(taken, |times| times.push), both: of(taken, |times| times.both) });
    let medians: Vec<Times> = medians.collect();
    for (name, Times { push, both }) in names.iter().zip(&medians) {
        println!("  {name:<28} {push:8.2}   {both:8.2}");
    }
    medians
}

/// The version of the machine's rsync, which much depends on.
fn version() -> String {
    let output = Command::new(RSYNC).arg("--version").output().expect("rsync");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().skip_while(|word| *word != "version").nth(1).unwrap_or("of no version").to_owned()
}

/// The kinds of further pushes, and how many times as long plain rsync has to take at least.
const KINDS: [(&str, f64); 2] = [("-a", 2.5), ("-aH", 2.0)];

/// Files that are as they were.
pub(crate) fn unchanged(root: &Path, files: usize) {
    let source = root.join("source");
    fs::create_dir(&source).expect("a directory");
    small_files(&source, files);
    let mut ways = Way::all(root, "unchanged");
    for way in &mut ways {
        way.push("-a", &source);
    }
    let names: Vec<&str> = ways.iter().map(|way| way.name).collect();
    let mut taken: Vec<Vec<Vec<Times>>> = KINDS.iter().map(|_| names.iter().map(|_| Vec::new()).collect()).collect();
    for round in 0..ROUNDS {
        for ((options, _), taken) in KINDS.iter().zip(&mut taken) {
            for index in order(ways.len(), round) {
                taken[index].push(ways[index].push(options, &source));
            }
        }
    }
    for ((options, limit), taken) in KINDS.iter().zip(&taken) {
        let medians = table(&format!("{files} small unchanged files, a further push, {options}, rsync {}", version()), &names, taken);
        let plain = &medians[0];
        for (index, (name, times)) in names.iter().zip(&medians).enumerate().skip(1) {
            let ratio = plain.push / times.push;
            let met = if index == 1 { format!("  (limit {limit} with rsync 3.5.0: {})", met(ratio >= *limit)) } else { String::new() };
            println!("  {:<28} {ratio:8.2}   {:8.2}{met}", format!("plain / {name}"), plain.both / times.both);
        }
        println!();
    }
}

/// New files, into a new repository each time.
pub(crate) fn first(root: &Path, files: usize) {
    const LIMIT: f64 = 1.1;
    let source = root.join("new");
    fs::create_dir(&source).expect("a directory");
    small_files(&source, files);
    let mut names = Vec::new();
    let mut taken: Vec<Vec<Times>> = Vec::new();
    for round in 0..ROUNDS {
        let mut ways = Way::all(root, &format!("new{round}"));
        names = ways.iter().map(|way| way.name).collect();
        taken.resize_with(ways.len(), Vec::new);
        for index in order(ways.len(), round) {
            taken[index].push(ways[index].push("-a", &source));
        }
    }
    let medians = table(&format!("{files} small new files, a first push, rsync {}", version()), &names, &taken);
    let plain = &medians[0];
    for (index, (name, times)) in names.iter().zip(&medians).enumerate().skip(1) {
        let ratio = times.push / plain.push;
        let met = if index == 1 { format!("  (limit {LIMIT} for the push: {})", met(ratio <= LIMIT)) } else { String::new() };
        println!("  {:<28} {ratio:8.2}   {:8.2}{met}", format!("{name} / plain"), times.both / plain.both);
    }
    println!();
}
