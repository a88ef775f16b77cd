//! What the administrator's timers and commands cost where there are many clients: `snapgate status`, `digest` and `watch`, as whole
//! processes.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use snapgate::terms::snapshot::NamePattern;

use crate::pushes::{RSYNC, remote_shell, run, small_files};
use crate::site::{Gate, Set, user};
use crate::{median, met};

const ROUNDS: usize = 11;

/// Of a pass that has nothing to do, which is short.
const PASSES: usize = 51;

const MANY: usize = 1000;

/// What each of these has pushed, an hour apart: a day is what a digest tells of.
const PUSHES: i64 = 30;

/// Milliseconds that these may take for that many clients.
const STATUS: f64 = 1000.0;
const DIGEST: f64 = 2000.0;
const PASS: f64 = 10.0;

/// A site and its clients, which have one account.
struct Site {
    config: PathBuf,
}

impl Site {
    fn new(config: PathBuf, more: &str) -> Self {
        for directory in ["policies", "store", "spool", "mails"] {
            fs::create_dir_all(config.join(directory)).expect("directories");
        }
        let shown = config.display();
        let site = format!("store: {shown}/store\nspool: {shown}/spool\nsyslog: off\nmail: {{ {more} }}\n");
        fs::write(config.join("snapgate.yaml"), site).expect("the site file");
        Self { config }
    }

    fn policy(&self, client: &str) {
        fs::write(self.config.join(format!("policies/{client}.yaml")), format!("user: {}\n", user())).expect("a policy");
    }

    /// Clients that have pushed through the gate: one has, the others' repositories are copies of that.
    fn pushed(root: &Path, name: &str, count: usize) -> Self {
        let set = Set::new(root, &format!("{name}-first"), Some(Path::new(RSYNC)), 0);
        let (shell, source) = (set.config.join("shell"), set.config.join("source"));
        remote_shell(&shell, &run(&Gate::this(), &set));
        small_files(&source, 1);
        let pushed = Command::new(RSYNC).args(["-a", "-e"]).arg(&shell).arg(format!("{}/", source.display())).arg("backup:").status();
        assert!(pushed.expect("rsync").success());
        let first = set.config.join("store").join(user());
        let ledger = first.join(".snapgate/ledger.jsonl");
        let line: Value = serde_json::from_str(fs::read_to_string(&ledger).expect("a ledger").trim_end()).expect("an event");
        let (names, newest): (_, DateTime<Utc>) = (NamePattern::default(), Utc::now() - TimeDelta::minutes(5));
        let mut lines = String::new();
        for hours in (0..PUSHES).rev() {
            let at = newest - TimeDelta::hours(hours);
            let snapshot = names.name_at(at);
            fs::create_dir_all(first.join("snapshots").join(snapshot.as_str())).expect("a snapshot");
            let mut event = line.clone();
            event["id"] = format!("{:016}-1-{hours}", at.timestamp_micros()).into();
            event["at"] = at.to_rfc3339().into();
            event["snapshot"] = snapshot.as_str().into();
            lines.push_str(&format!("{event}\n"));
        }
        fs::write(&ledger, lines).expect("a ledger");
        let this = Self::new(
            root.join(name),
            &format!("to: [root@example.org], from: root@example.org, transport: 'file:{}/mails'", root.join(name).display()),
        );
        for number in 0..count {
            let client = format!("client{number}");
            this.policy(&client);
            let copied = Command::new("cp").arg("-a").arg(&first).arg(this.config.join("store").join(client)).status();
            assert!(copied.expect("cp").success());
        }
        this
    }

    /// Clients that have snapshots, and nothing else.
    fn with_snapshots(root: &Path, count: usize, snapshots: i64) -> Self {
        let this = Self::new(root.join("status"), "transport: off");
        let (names, newest): (_, DateTime<Utc>) = (NamePattern::default(), Utc::now() - TimeDelta::hours(1));
        for number in 0..count {
            this.policy(&format!("client{number}"));
            let repository = this.config.join(format!("store/client{number}"));
            let mut private = fs::DirBuilder::new();
            private.mode(0o700).recursive(true).create(repository.join(".snapgate")).expect("a repository");
            for hours in 0..snapshots {
                let name = names.name_at(newest - TimeDelta::hours(hours));
                fs::create_dir_all(repository.join("snapshots").join(name.as_str())).expect("a snapshot");
            }
        }
        this
    }

    /// Milliseconds, the median of so many; each answer has to be a right one.
    fn ask(&self, words: &[&str], rounds: usize, is_right: impl Fn(&str) -> bool) -> f64 {
        let ask = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_snapgate"));
            command.arg("--config").arg(&self.config).args(words).env_clear().stdin(Stdio::null());
            let begin = Instant::now();
            let output = command.output().expect("snapgate");
            let time = begin.elapsed().as_secs_f64() * 1e3;
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && is_right(&text), "{words:?}: {}\n{text}", String::from_utf8_lossy(&output.stderr));
            time
        };
        median(&mut (0..rounds).map(|_| ask()).collect::<Vec<_>>())
    }
}

/// Lines that say this.
fn lines(text: &str, what: &str) -> usize {
    text.lines().filter(|line| line.contains(what)).count()
}

pub(crate) fn status(root: &Path) {
    const FEW: (usize, i64, f64) = (100, 1000, 200.0);
    let (clients, snapshots, most) = FEW;
    let few = Site::with_snapshots(root, clients, snapshots);
    let time = few.ask(&["status"], ROUNDS, |text| lines(text, &format!(" {snapshots} ")) == clients);
    println!("status, whole processes, ms (median of {ROUNDS})");
    println!("  {clients} clients with {snapshots} snapshots each   {time:8.0}  (limit {most:.0}: {})", met(time < most));
    let many = Site::pushed(root, "status-many", MANY);
    let time = many.ask(&["status"], ROUNDS, |text| lines(text, "  published  ") == MANY);
    println!("  {MANY} clients with {PUSHES} pushes each     {time:8.0}  (limit {STATUS:.0}: {})\n", met(time < STATUS));
}

/// Each way in which a digest is made reads all that it tells.
pub(crate) fn digest(root: &Path) {
    println!("digest of {MANY} clients with {PUSHES} pushes each, whole processes, ms (median of {ROUNDS}, limit {DIGEST:.0})");
    let many = Site::pushed(root, "digest", MANY);
    let told = format!("{MANY} clients");
    for (what, words) in [("shown", &["digest"][..]), ("as HTML", &["digest", "--html"]), ("mailed", &["digest", "--mail"])] {
        let time = many.ask(words, ROUNDS, |text| if what == "mailed" { text.contains("1 mail sent") } else { text.contains(&told) });
        println!("  {what:<28} {time:8.0}  ({})", met(time < DIGEST));
    }
    println!();
}

/// As its timer starts it each minute, where nothing has come and it is no time to look for states.
pub(crate) fn watch(root: &Path) {
    println!("a watch pass with nothing to do, whole processes, ms (median of {PASSES}, limit {PASS:.0})");
    for count in [1, MANY] {
        let site = Site::pushed(root, &format!("watch-{count}"), count);
        // The first one looks at every client, and tells what it finds.
        site.ask(&["watch"], 2, |_| true);
        let time = site.ask(&["watch"], PASSES, str::is_empty);
        println!("  clients: {count:<19} {time:8.2}  ({})", met(time < PASS));
    }
    println!();
}
