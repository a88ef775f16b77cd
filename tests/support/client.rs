//! A machine that is backed up: its key, its ssh configuration (so that tests say `backup:` as the manual does) and
//! the real rsync and ssh.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::accounts::{self, Account};
use super::{PATIENCE, mode, must};

/// A client.
#[derive(Clone)]
pub(crate) struct Client {
    name: String,
    dir: PathBuf,
    options: Vec<String>,
    port: Option<u16>,
    run_as: Option<Account>,
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
    /// rsync may say 12 instead: it takes its ssh's status only if ssh has ended by the time the pipe is closed
    /// (`_exit_cleanup` in rsync's cleanup.c waits with WNOHANG). The record has the gate's own.
    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        if status >= 64 && self.status == 12 && self.stderr.contains("connection unexpectedly closed") {
            return self;
        }
        assert_eq!(self.status, status, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// It has to have been turned away with this code and exit status.
    #[track_caller]
    pub(crate) fn refused(self, code: &str, status: i32) -> Self {
        let ran = self.exits(status);
        let line = ran.stderr.lines().find(|line| line.starts_with("snapgate: "));
        let line = line.unwrap_or_else(|| panic!("no line of snapgate's: {}", ran.stderr));
        assert!(line.ends_with(&format!("(code {code})")), "{line}");
        ran
    }

    /// A figure of `rsync --stats`, for example `Literal data`.
    #[track_caller]
    pub(crate) fn figure(&self, name: &str) -> u64 {
        let line = self.stdout.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        let line = line.unwrap_or_else(|| panic!("no `{name}` in {}", self.stdout));
        let digits: String = line.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(|c| *c != ',').collect();
        digits.parse().unwrap()
    }
}

/// A program that still runs.
pub(crate) struct Running {
    child: Child,
    out: File,
    err: File,
    began: Instant,
}

impl Running {
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
            sleep(Duration::from_millis(3));
        };
        let took = self.began.elapsed();
        let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Ran { status, stdout: read(&mut self.out), stderr: read(&mut self.err), took }
    }

    /// Ends it at once, as a crash or a lost network does, with its ssh.
    pub(crate) fn kill(mut self) {
        let mut pids = super::processes::descendants(&[self.child.id()]);
        pids.push(self.child.id());
        super::processes::signal(&pids, nix::sys::signal::Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Starts a program with an environment of almost nothing.
pub(crate) fn spawn(command: &mut Command) -> Running {
    let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
    let began = Instant::now();
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Running { child, out, err, began }
}

/// Runs a program to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ran {
    spawn(command).wait()
}

/// Where a program is; `sbin` is looked at too, which ordinary users lack.
pub(crate) fn which(program: &str) -> PathBuf {
    let places = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    let found = places.iter().map(|place| Path::new(place).join(program)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("`{program}` is not installed: `make test` installs what the tests need"))
}

/// Tells every client where sshd listens.
pub(crate) fn publish_port(dir: &Path, port: u16) {
    let host = fs::read_to_string(dir.join("host.pub")).unwrap();
    fs::write(dir.join("client/known_hosts"), format!("backup {host}")).unwrap();
    fs::write(dir.join("client/port"), port.to_string()).unwrap();
}

impl Client {
    /// Makes its key and lets sshd accept it for the account.
    pub(crate) fn make(dir: &Path, name: &str, account: &Account) {
        let key = dir.join("client").join(name);
        must(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&key));
        fs::write(dir.join("client").join(format!("{name}.account")), &account.name).unwrap();
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        let accepted = dir.join("keys").join(&account.name);
        let before = fs::read_to_string(&accepted).unwrap_or_default();
        fs::write(&accepted, before + &public).unwrap();
    }

    pub(crate) fn new(dir: &Path, name: &str) -> Self {
        Self { name: name.to_owned(), dir: dir.to_owned(), options: Vec::new(), port: None, run_as: None }
    }

    /// The same one, coming from another loopback address.
    pub(crate) fn from(&self, address: &str) -> Self {
        self.option(&format!("BindAddress={address}"))
    }

    /// The same one, with an option of `ssh_config`.
    pub(crate) fn option(&self, option: &str) -> Self {
        let mut client = self.clone();
        client.options.push(option.to_owned());
        client
    }

    /// The same one, speaking to another server on this machine.
    pub(crate) fn on_port(&self, port: u16) -> Self {
        Self { port: Some(port), ..self.clone() }
    }

    /// The same one, its programs running as another local account (root's can read every file).
    pub(crate) fn run_as(&self, account: &Account) -> Self {
        let mut client = self.clone();
        if accounts::is_root() {
            let (from, to) = (self.key(), self.dir.join("client").join(format!("{}.{}", self.name, account.name)));
            fs::copy(from, &to).unwrap();
            mode(&to, 0o600);
            accounts::give(&to, account);
            client.run_as = Some(account.clone());
        }
        client
    }

    /// Its account on the server.
    pub(crate) fn account(&self) -> Account {
        let name = fs::read_to_string(self.dir.join("client").join(format!("{}.account", self.name))).unwrap();
        let all = (0..accounts::COUNT).map(accounts::account);
        all.into_iter().find(|account| account.name == name).unwrap()
    }

    /// Its private key's file.
    pub(crate) fn key(&self) -> PathBuf {
        let suffix = self.run_as.as_ref().map(|account| format!(".{}", account.name)).unwrap_or_default();
        self.dir.join("client").join(format!("{}{suffix}", self.name))
    }

    /// Its key's fingerprint.
    pub(crate) fn fingerprint(&self) -> String {
        let public = self.dir.join("client").join(format!("{}.pub", self.name));
        let line = must(Command::new("ssh-keygen").arg("-lf").arg(public));
        line.split(' ').nth(1).unwrap().to_owned()
    }

    /// The words that start its ssh, up to the host.
    pub(crate) fn ssh_words(&self) -> Vec<String> {
        let port = self.port.map_or_else(|| fs::read_to_string(self.dir.join("client/port")).unwrap(), |port| port.to_string());
        let client = self.dir.join("client");
        // The first word on an option wins: a test's own come first.
        let mut options = self.options.clone();
        options.extend([
            "HostName=127.0.0.1".to_owned(),
            "HostKeyAlias=backup".to_owned(),
            format!("Port={port}"),
            format!("User={}", self.account().name),
            format!("IdentityFile={}", self.key().display()),
            format!("UserKnownHostsFile={}", client.join("known_hosts").display()),
            "IdentitiesOnly=yes".to_owned(),
            "BatchMode=yes".to_owned(),
            "LogLevel=ERROR".to_owned(),
        ]);
        let mut words = vec!["ssh".to_owned(), "-F".to_owned(), "none".to_owned()];
        words.extend(options.into_iter().flat_map(|option| ["-o".to_owned(), option]));
        words
    }

    fn command(&self, program: &str) -> Command {
        match &self.run_as {
            None => Command::new(program),
            Some(account) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={}", account.uid), format!("--regid={}", account.gid)]);
                command.args(["--clear-groups", program]);
                command
            }
        }
    }

    /// An rsync with its ssh, not yet started.
    pub(crate) fn rsync_command<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> Command {
        let mut command = self.command(super::versions::client().to_str().unwrap());
        command.arg("-e").arg(self.ssh_words().join(" ")).args(words);
        command
    }

    /// Runs rsync with these words; `backup:` is the server.
    #[track_caller]
    pub(crate) fn rsync<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> Ran {
        run(&mut self.rsync_command(words))
    }

    /// The usual push of a directory's content, `rsync -a --delete SOURCE/ backup:`, with more options.
    #[track_caller]
    pub(crate) fn push(&self, source: &Path, options: &[&str]) -> Ran {
        run(&mut self.push_command(source, options))
    }

    /// The usual push, started and going on.
    pub(crate) fn start_push(&self, source: &Path, options: &[&str]) -> Running {
        spawn(&mut self.push_command(source, options))
    }

    fn push_command(&self, source: &Path, options: &[&str]) -> Command {
        let mut words = vec!["-a".to_owned(), "--delete".to_owned()];
        words.extend(options.iter().map(|option| (*option).to_owned()));
        words.extend([format!("{}/", source.display()), "backup:".to_owned()]);
        self.rsync_command(&words)
    }

    /// Runs `ssh backup` with these words.
    #[track_caller]
    pub(crate) fn ssh<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> Ran {
        self.ssh_with(&[], words)
    }

    /// Runs `ssh backup` with options of ssh's own before the host.
    #[track_caller]
    pub(crate) fn ssh_with<S: AsRef<std::ffi::OsStr>>(&self, options: &[&str], words: &[S]) -> Ran {
        let ssh = self.ssh_words();
        run(self.command("ssh").args(&ssh[1..]).args(options).arg("backup").args(words))
    }
}

impl Client {
    /// Asks for a terminal and no command. With a terminal, the server's standard error comes on standard output, with
    /// carriage returns; it is put back where it belongs.
    #[track_caller]
    pub(crate) fn login(&self) -> Ran {
        let mut ran = self.ssh_with::<&str>(&["-tt"], &[]);
        ran.stderr = std::mem::take(&mut ran.stdout).replace('\r', "") + &ran.stderr;
        ran
    }
}

fn read(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
