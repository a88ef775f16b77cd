//! The gate without sshd: the real rsync starts it by a script that says what sshd would say. For tests that have to get
//! hold of the gate's own process, which sshd would stand in front of. Everything is in one directory that goes away, and
//! whatever still runs in it or names it is ended with it.

#[path = "accounts.rs"]
#[expect(dead_code, reason = "the tests with sshd use all of it")]
pub(crate) mod accounts;
#[path = "getent.rs"]
pub(crate) mod getent;
#[path = "ids.rs"]
mod ids;
#[path = "kept.rs"]
pub(crate) mod kept;
#[path = "record.rs"]
pub(crate) mod record;

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use snapgate::act::record::ledger;
use tempfile::TempDir;

use self::record::Record;
use super::{processes, versions};

/// The administrator's program under test, as cargo built it for this run.
pub(crate) const SNAPGATE: &str = env!("CARGO_BIN_EXE_snapgate");

/// The gate, which sshd starts.
pub(crate) const GATE: &str = env!("CARGO_BIN_EXE_snapgate-shell");

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// A policy that lets its client do everything, root's `-o` and `-g` and an account's `-A` too, every push with its report.
pub(crate) const POLICY: &str =
    "verbs: [prepare, rsync, complete, abort, status]\nreport: always\noptions: { allow: [acls, owner, group] }\n";

/// A gate with one client, `web1`.
pub(crate) struct Gate {
    dir: TempDir,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit status, or 128 and the signal.
    pub(crate) status: i32,
    /// Its standard output.
    pub(crate) stdout: String,
    /// Its standard error.
    pub(crate) stderr: String,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Ran {
    /// It has to have ended with this status. Where the gate turns an rsync away before its protocol begins, the client's
    /// rsync may say 12 instead: it takes its child's status only if that has ended by the time the pipe is closed.
    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        if status >= 64 && self.status == 12 && self.stderr.contains("connection unexpectedly closed") {
            return self;
        }
        assert_eq!(self.status, status, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The stable code in its line.
    pub(crate) fn code(&self) -> Option<&str> {
        let line = self.stderr.lines().find(|line| line.starts_with("snapgate: "))?;
        line.rsplit_once("(code ")?.1.strip_suffix(')')
    }

    /// A figure of `rsync --stats`, for example `Literal data`.
    #[track_caller]
    pub(crate) fn figure(&self, name: &str) -> u64 {
        let line = self.stdout.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        let line = line.unwrap_or_else(|| panic!("no `{name}` in {}{}", self.stdout, self.stderr));
        let digits: String = line.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
        digits.parse().unwrap()
    }
}

/// A program that still runs.
pub(crate) struct Running {
    /// The process.
    pub(crate) child: Child,
    out: File,
    err: File,
    began: Instant,
}

impl Running {
    /// Starts a program with an environment of almost nothing.
    pub(crate) fn start(command: &mut Command) -> Self {
        let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
        command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
        let began = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, out, err, began }
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ran {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if self.began.elapsed() > PATIENCE {
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("it hangs; stderr: {}", read(&mut self.err));
            }
            sleep(Duration::from_millis(2));
        };
        let took = self.began.elapsed();
        let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Ran { status, stdout: read(&mut self.out), stderr: read(&mut self.err), took }
    }
}

fn read(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs a program to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ran {
    Running::start(command).wait()
}

/// Runs a program that has to succeed.
#[track_caller]
pub(crate) fn must(command: &mut Command) -> String {
    run(command).exits(0).stdout
}

/// Whether root runs the tests.
pub(crate) fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// Says why a test does nothing. Written past the test runner, which would swallow it.
pub(crate) fn skip(test: &str, why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}

/// Sets a mode.
pub(crate) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Whether strace can kill the gate here. Root has to have it, since `make test` installs it then; for anybody else a test
/// without it is left out, and says so.
pub(crate) fn can_trace(test: &str) -> bool {
    let works = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).stdin(Stdio::null()).stderr(Stdio::null()).status();
    if is_root() || works.is_ok_and(|status| status.success()) {
        return true;
    }
    skip(test, "it takes strace, and the right to use it, to kill the gate at a given system call");
    false
}

impl Gate {
    /// The usual policy.
    pub(crate) fn new() -> Self {
        Self::with("", POLICY)
    }

    /// These lines in the site file, and this policy. `$DIR` stands for the gate's directory.
    pub(crate) fn with(site: &str, policy: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("snapgate-direct-").tempdir().unwrap();
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
        let drop = if nix::unistd::Uid::effective().is_root() { "" } else { "defaults: { owners: drop }\n" };
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
    pub(crate) fn program(&self) -> Vec<String> {
        kept::keeper().map_or_else(|| vec![GATE.to_owned()], |keeper| kept::words(keeper, self.path()))
    }

    /// Writes a file of the gate's directory.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let text = text.replace("$DIR", self.path().to_str().unwrap());
        fs::write(self.path().join(name), text).unwrap();
        // Nothing is secret where the gate is somebody else's.
        mode(&self.path().join(name), if kept::keeper().is_some() { 0o644 } else { 0o600 });
    }

    /// Its directory.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The client's repository.
    pub(crate) fn repository(&self) -> PathBuf {
        self.path().join("store/web1")
    }

    /// Something inside it.
    pub(crate) fn inside(&self, name: &str) -> PathBuf {
        self.repository().join(name)
    }

    /// A directory for a client's data.
    pub(crate) fn source(&self, name: &str) -> PathBuf {
        let path = self.path().join("source").join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// A client's rsync with these words, the gate being started by `wrap` (words before it).
    pub(crate) fn rsync_command(&self, words: &[&str], wrap: &str) -> Command {
        let mut command = Command::new(versions::client());
        command.arg("-e").arg(format!("/usr/bin/env WRAP='{wrap}' /bin/sh {}/ssh", self.path().display())).args(words);
        command
    }

    /// Runs a client's rsync; `backup:` is the server.
    #[track_caller]
    pub(crate) fn rsync(&self, words: &[&str]) -> Ran {
        run(&mut self.rsync_command(words, ""))
    }

    /// The usual push of a directory's content, with more options; its figures are on standard output.
    #[track_caller]
    pub(crate) fn push(&self, source: &Path, options: &[&str]) -> Ran {
        run(&mut self.push_command(source, options, ""))
    }

    /// The same, not yet started.
    pub(crate) fn push_command(&self, source: &Path, options: &[&str], wrap: &str) -> Command {
        let from = format!("{}/", source.display());
        let mut words = vec!["-a", "--delete", "--stats"];
        words.extend(options);
        words.extend([from.as_str(), "backup:"]);
        self.rsync_command(&words, wrap)
    }

    /// Says a command as `ssh backup …` would.
    #[track_caller]
    pub(crate) fn say(&self, command: &str) -> Ran {
        run(&mut self.say_command(command, ""))
    }

    /// The same, not yet started.
    pub(crate) fn say_command(&self, words: &str, wrap: &str) -> Command {
        let mut command = Command::new("/usr/bin/env");
        command.arg(format!("WRAP={wrap}")).arg("/bin/sh").arg(self.path().join("ssh")).arg("backup").arg(words);
        command
    }

    /// The names of the snapshots, in order.
    pub(crate) fn snapshots(&self) -> Vec<String> {
        let entries = fs::read_dir(self.inside("snapshots")).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The newest snapshot's directory.
    #[track_caller]
    pub(crate) fn newest(&self) -> PathBuf {
        self.inside("snapshots").join(self.snapshots().pop().expect("a snapshot"))
    }

    /// The repository's ledger. Every line of it has to be a record.
    #[track_caller]
    pub(crate) fn ledger(&self) -> Vec<Record> {
        let path = self.inside(".snapgate/ledger.jsonl");
        let records: Vec<Record> = read_ledger(&path);
        let lines = fs::read_to_string(&path).unwrap_or_default().lines().count();
        assert_eq!(records.len(), lines, "a line of the ledger cannot be read: {}", fs::read_to_string(&path).unwrap_or_default());
        records
    }

    /// The newest record.
    #[track_caller]
    pub(crate) fn record(&self) -> Record {
        self.ledger().pop().expect("a record")
    }

    /// This account's part of the spool.
    pub(crate) fn spool(&self) -> PathBuf {
        let uid = kept::keeper().map_or_else(|| nix::unistd::Uid::current().as_raw(), |keeper| keeper.account.uid);
        self.path().join("spool").join(uid.to_string())
    }

    /// Whether some rsync carries the lock.
    pub(crate) fn rsync_runs(&self) -> bool {
        self.is_held("rsync.lock")
    }

    /// Whether a push is still at work: its rsync, or the gate, which tidies up when that is gone.
    pub(crate) fn is_at_work(&self) -> bool {
        self.is_held("lock") || self.rsync_runs()
    }

    fn is_held(&self, lock: &str) -> bool {
        let lock = File::open(self.inside(".snapgate").join(lock));
        lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
    }

    /// Waits until something is so.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
            sleep(Duration::from_millis(2));
        }
    }

    /// Hands over everything that waits in the spool.
    pub(crate) fn flush(&self) {
        run(Command::new(SNAPGATE).arg("--config").arg(self.path().join("config")).args(["watch", "--flush"]));
    }

    /// Every mail that left, as it stands in its file.
    pub(crate) fn mails(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path().join("mail")).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "eml"));
        paths.map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    /// The running processes of the rsync that the gate started: those that stand in the repository.
    pub(crate) fn rsyncs(&self) -> Vec<u32> {
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

/// The connections of a ledger.
pub(crate) fn read_ledger(ledger: &Path) -> Vec<Record> {
    ledger::read(ledger).into_iter().map(Record::from).collect()
}
