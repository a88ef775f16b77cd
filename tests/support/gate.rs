//! The gate without sshd: the real rsync starts it by a script that says what sshd would say. For tests that have to get
//! hold of the gate's own process, which sshd would stand in front of. Everything is in one directory that goes away, and
//! whatever still runs in it or names it is ended with it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chrono::{DateTime, TimeDelta, Utc};
use snapgate::act::record::ledger;
use tempfile::TempDir;

use crate::programs::{self, GATE, SNAPGATE};
use crate::record::Record;
use crate::run::{Ran, run};
use crate::{getent, in_memory, is_root, kept, mode, processes, versions};

/// A policy that lets its client do everything, root's `-o` and `-g` and an account's `-A` too, every push with its report.
pub const POLICY: &str = "verbs: [prepare, rsync, complete, abort, status]\nreport: always\noptions: { allow: [acls, owner, group] }\n";

/// A gate with one client, `web1`.
pub struct Gate {
    dir: TempDir,
}

impl Gate {
    /// The usual policy.
    pub fn new() -> Self {
        Self::with("", POLICY)
    }

    /// These lines in the site file, and this policy. `$DIR` stands for the gate's directory.
    pub fn with(site: &str, policy: &str) -> Self {
        Self::within(tempfile::Builder::new().prefix("snapgate-direct-").tempdir().unwrap(), site, policy)
    }

    /// The same where nothing waits for a disk, for tests that kill it at each call: the calls are the same. Where an account
    /// keeps owners the programs are there as well, and take too much memory.
    pub fn in_memory(site: &str, policy: &str) -> Self {
        // Who names a directory means that one.
        let is_told = std::env::var_os("TMPDIR").is_some();
        if is_told || kept::keeper().is_some() { Self::with(site, policy) } else { Self::within(in_memory(), site, policy) }
    }

    fn within(dir: TempDir, site: &str, policy: &str) -> Self {
        let this = Self { dir };
        for name in ["config", "config/policies", "store", "spool", "mail"] {
            fs::create_dir(this.path().join(name)).unwrap();
        }
        let mail = if site.contains("mail:") {
            String::new()
        } else {
            "mail: { from: gate@example.org, to: [alerts@example.org], reports_to: [reports@example.org], transport: \"file:$DIR/mail\" }\n"
                .to_owned()
        };
        let server = versions::server().filter(|_| !site.contains("rsync:"));
        let server = server.map(|program| format!("rsync: {}\n", program.display())).unwrap_or_default();
        // An ordinary user could not look at what would not be its own, nor remove it. Tests about owners ask for them.
        let drop = if is_root() || site.contains("defaults:") { "" } else { "defaults: { owners: drop }\n" };
        let site = format!("{drop}store: $DIR/store\nspool: $DIR/spool\nsyslog: off\nsshd: off\n{mail}{server}{site}");
        this.write("config/snapgate.yaml", &site);
        let user = kept::keeper().map_or_else(getent::my_name, |keeper| keeper.account.name.clone());
        this.write("config/policies/web1.yaml", &format!("user: {user}\n{policy}{}", kept::policy()));
        if let Some(keeper) = kept::keeper() {
            kept::move_in(keeper, this.path());
        }
        let gate = this.program().join(" ");
        // What sshd does: the words joined with single spaces, and two variables. The gate is not the client's own child, as
        // it is not behind sshd: a client that fails kills its child.
        let script = format!(
            "shift\n/usr/bin/env -i SSH_CONNECTION=\"${{FROM:-192.0.2.7}} 50000 192.0.2.1 22\" \
             SSH_ORIGINAL_COMMAND=\"$*\" $WRAP {gate} --config $DIR/config\nexit $?\n"
        );
        this.write("ssh", &script);
        this
    }

    /// The words that start it.
    pub fn program(&self) -> Vec<String> {
        kept::keeper().map_or_else(|| vec![GATE.to_string()], |keeper| kept::words(keeper, self.path()))
    }

    /// Writes a file of the gate's directory.
    pub fn write(&self, name: &str, text: &str) {
        let text = text.replace("$DIR", self.path().to_str().unwrap());
        if text.starts_with("#!") {
            programs::script(&self.path().join(name), &text)
        } else {
            fs::write(self.path().join(name), text).unwrap()
        }
        // Nothing is secret where the gate is somebody else's.
        mode(&self.path().join(name), if kept::keeper().is_some() { 0o644 } else { 0o600 });
    }

    /// Has it be this time for the programs that start from now on. What the kernel stamps files with stays as it is.
    pub fn set_clock(&self, now: DateTime<Utc>) {
        self.write("config/faked-clock", &(now - Utc::now()).num_milliseconds().to_string());
    }

    /// The administrator's program, with this gate's directory and these words.
    pub fn snapgate(&self, words: &[&str]) -> Command {
        let mut command = Command::new(SNAPGATE);
        command.arg("--config").arg(self.path().join("config")).args(words);
        command
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The client's repository.
    pub fn repository(&self) -> PathBuf {
        self.path().join("store/web1")
    }

    /// Something inside it.
    pub fn inside(&self, name: &str) -> PathBuf {
        self.repository().join(name)
    }

    /// A directory for a client's data.
    pub fn source(&self, name: &str) -> PathBuf {
        let path = self.path().join("source").join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// A client's rsync with these words, the gate being started by `wrap` (words before it).
    pub fn rsync_command(&self, words: &[&str], wrap: &str) -> Command {
        let mut command = Command::new(versions::client());
        command.arg("-e").arg(format!("/usr/bin/env WRAP='{wrap}' /bin/sh {}/ssh", self.path().display())).args(words);
        command
    }

    /// Runs a client's rsync; `backup:` is the server.
    #[track_caller]
    pub fn rsync(&self, words: &[&str]) -> Ran {
        run(&mut self.rsync_command(words, ""))
    }

    /// The usual push of a directory's content, with more options; its figures are on standard output.
    #[track_caller]
    pub fn push(&self, source: &Path, options: &[&str]) -> Ran {
        run(&mut self.push_command(source, options, ""))
    }

    /// The same, not yet started.
    pub fn push_command(&self, source: &Path, options: &[&str], wrap: &str) -> Command {
        let from = format!("{}/", source.display());
        let mut words = vec!["-a", "--delete", "--stats"];
        words.extend(options);
        words.extend([from.as_str(), "backup:"]);
        self.rsync_command(&words, wrap)
    }

    /// Says a command as `ssh backup …` would.
    #[track_caller]
    pub fn say(&self, command: &str) -> Ran {
        run(&mut self.say_command(command, ""))
    }

    /// The same, not yet started.
    pub fn say_command(&self, words: &str, wrap: &str) -> Command {
        let mut command = Command::new("/usr/bin/env");
        command.arg(format!("WRAP={wrap}")).arg("/bin/sh").arg(self.path().join("ssh")).arg("backup").arg(words);
        command
    }

    /// The names of the snapshots, in order.
    pub fn snapshots(&self) -> Vec<String> {
        let entries = fs::read_dir(self.inside("snapshots")).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The newest snapshot's directory.
    #[track_caller]
    pub fn newest(&self) -> PathBuf {
        self.inside("snapshots").join(self.snapshots().pop().expect("a snapshot"))
    }

    /// The repository's ledger. Every line of it has to be a record.
    #[track_caller]
    pub fn ledger(&self) -> Vec<Record> {
        let path = self.inside(".snapgate/ledger.jsonl");
        let records: Vec<_> = ledger::read(&path).into_iter().map(Record::from).collect();
        let lines = fs::read_to_string(&path).unwrap_or_default().lines().count();
        assert_eq!(records.len(), lines, "a line of the ledger cannot be read: {}", fs::read_to_string(&path).unwrap_or_default());
        records
    }

    /// The newest record.
    #[track_caller]
    pub fn record(&self) -> Record {
        self.ledger().pop().expect("a record")
    }

    /// This account's part of the spool.
    pub fn spool(&self) -> PathBuf {
        let uid = kept::keeper().map_or_else(|| nix::unistd::Uid::current().as_raw(), |keeper| keeper.account.uid);
        self.path().join("spool").join(uid.to_string())
    }

    /// Whether some rsync carries the lock.
    pub fn rsync_runs(&self) -> bool {
        self.is_held("rsync.lock")
    }

    /// Whether a push is still at work: its rsync, or the gate, which tidies up when that is gone.
    pub fn is_at_work(&self) -> bool {
        self.is_held("lock") || self.rsync_runs()
    }

    fn is_held(&self, lock: &str) -> bool {
        let lock = File::open(self.inside(".snapgate").join(lock));
        lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
    }

    /// Hands over everything that waits in the spool.
    pub fn flush(&self) {
        run(&mut self.snapgate(&["watch", "--flush"]));
    }

    /// The subjects of what `snapgate watch` mails of this state when it looks so much later.
    pub fn told_of(&self, state: &str, later: TimeDelta) -> Vec<String> {
        self.set_clock(Utc::now() + later);
        self.flush();
        fs::remove_file(self.path().join("config/faked-clock")).unwrap();
        // A long header goes on in the next line (RFC 5322, 2.2.3).
        let mails: Vec<_> = self.mails().iter().map(|mail| mail.replace('\r', "").replace("\n ", " ")).collect();
        let subjects = mails.iter().filter_map(|mail| mail.lines().find_map(|line| line.strip_prefix("Subject: ")));
        let mut told: Vec<_> = subjects.filter(|subject| subject.contains(&format!(": {state}"))).map(str::to_owned).collect();
        told.sort();
        told
    }

    /// Every mail that left, as it stands in its file.
    pub fn mails(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path().join("mail")).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "eml"));
        paths.map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    /// The running processes of the rsync that the gate started: those that stand in the repository.
    pub fn rsyncs(&self) -> Vec<u32> {
        // Its own, not the client's.
        let is_server = |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"rsync\0--server"));
        processes::of(&self.repository(), "rsync").into_iter().filter(is_server).collect()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        processes::end_all(&[], self.path());
        if !std::thread::panicking() {
            kept::no_strangers(self.path());
        }
        // Tests leave directories that their owner may not write to, and one a file that not even root can remove.
        if is_root() {
            let _ = Command::new("chattr").args(["-R", "-f", "-i"]).arg(self.path()).stderr(Stdio::null()).status();
        }
        let _ = Command::new("chmod").args(["-R", "u+rwx"]).arg(self.path()).stderr(Stdio::null()).status();
    }
}
