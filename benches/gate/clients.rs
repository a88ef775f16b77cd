//! What the administrator's timers and commands cost where there are many clients: `snapgate status`, `digest` and `watch`, as whole
//! processes. And what it takes to add one, with a real account, so that part needs root.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use snapgate::terms::snapshot::NamePattern;

use crate::pushes::{RSYNC, remote_shell, run, small_files};
use crate::site::{Gate, Set, user};
use crate::{median, met};
use support::getent::entry;

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

/// And to add one.
const ADDED: f64 = 1000.0;

/// An account that no machine has.
const ADDED_NAME: &str = "sgbenchadded";

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

/// A server to which clients are added: the account and the group are the machine's, all else is in a directory. They go with it.
struct Adding {
    /// A repository is made where nobody but root writes above it, so not in the system's temporary directory.
    directory: tempfile::TempDir,
    made_group: bool,
}

impl Adding {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("snapgate-bench-").tempdir_in("/var/lib").expect("a directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("mode");
        let made_group = entry("group", "snapgate").is_none();
        if made_group {
            must("groupadd", &["--system", "snapgate"]);
        }
        let this = Self { directory, made_group };
        let shown = this.directory.path().display();
        for (name, mode) in [("policies", "0750"), ("keys", "0755"), ("store", "0711"), ("spool", "1730")] {
            must("install", &["-d", "-g", "snapgate", "-m", mode, &format!("{shown}/{name}")]);
        }
        must("install", &["-g", "snapgate", "-m", "0660", "/dev/null", &format!("{shown}/spool/sessions")]);
        must("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &format!("{shown}/host")]);
        must("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &format!("{shown}/client")]);
        // What the sshd of a server says, for the check at the end.
        let sshd = format!(
            "HostKey {shown}/host\nAuthorizedKeysFile {shown}/keys/%u\nForceCommand {}\nExposeAuthInfo yes\n\
             DisableForwarding yes\nPermitUserRC no\n",
            env!("CARGO_BIN_EXE_snapgate-shell")
        );
        fs::write(this.directory.path().join("sshd_config"), sshd).expect("settings of sshd");
        let site =
            format!("store: {shown}/store\nspool: {shown}/spool\nsyslog: off\nsshd: {shown}/sshd_config\nmail: {{ transport: off }}\n");
        fs::write(this.directory.path().join("snapgate.yaml"), site).expect("the site file");
        this
    }

    /// Milliseconds, with the check at its end, and whether that found nothing.
    fn add(&self) -> (f64, bool) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_snapgate"));
        command
            .arg("--config")
            .arg(self.directory.path())
            .args(["add-client", ADDED_NAME, "--host", "backup.example.org", "--preset", "server"]);
        command.arg("--key-file").arg(self.directory.path().join("client.pub")).stdin(Stdio::null());
        let begin = Instant::now();
        let output = command.output().expect("snapgate");
        let time = begin.elapsed().as_secs_f64() * 1e3;
        let text = String::from_utf8_lossy(&output.stdout);
        let is_added = text.contains("did make the account") && text.contains("\ncheck: ") && entry("passwd", ADDED_NAME).is_some();
        assert!(output.status.code().is_some_and(|code| code <= 1) && is_added, "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        (time, output.status.success())
    }

    fn remove(&self) {
        must(
            env!("CARGO_BIN_EXE_snapgate"),
            &["--config", &self.directory.path().display().to_string(), "remove-client", ADDED_NAME, "--destroy-data", ADDED_NAME],
        );
        assert!(entry("passwd", ADDED_NAME).is_none(), "the account stays");
    }
}

impl Drop for Adding {
    fn drop(&mut self) {
        // After a panic as well, of which this makes no second one.
        if entry("passwd", ADDED_NAME).is_some() {
            let _ = Command::new("userdel").arg(ADDED_NAME).status();
        }
        if self.made_group {
            let _ = Command::new("groupdel").arg("snapgate").status();
        }
    }
}

fn must(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output().expect("a program");
    assert!(output.status.success(), "{program} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// With its account, its ids, its repository and its check, which asks sshd.
pub(crate) fn added() {
    if !nix::unistd::Uid::effective().is_root() {
        return println!("add-client: not measured, it needs root to make an account\n");
    }
    if entry("passwd", ADDED_NAME).is_some() {
        return println!("add-client: not measured, there is an account `{ADDED_NAME}` already\n");
    }
    let adding = Adding::new();
    let (mut times, mut clean) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let (time, is_clean) = adding.add();
        times.push(time);
        clean += usize::from(is_clean);
        adding.remove();
    }
    let (least, most) = (times.iter().copied().fold(f64::INFINITY, f64::min), times.iter().copied().fold(0.0, f64::max));
    let time = median(&mut times);
    println!("add-client, with a real account and its check, whole processes, ms (median of {ROUNDS}; {clean} checks found nothing wrong)");
    println!("  one client                   {time:8.0}  (limit {ADDED:.0}: {}; {least:.0} to {most:.0})\n", met(time < ADDED));
}
