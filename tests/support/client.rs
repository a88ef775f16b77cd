//! A machine that is backed up: its key, its ssh configuration (so that tests say `backup:` as the manual does) and
//! the real rsync and ssh.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::accounts::{self, Account};
use crate::run::{Ran, Running, must, run};
use crate::{mode, versions};

/// A client.
#[derive(Clone)]
pub struct Client {
    name: String,
    dir: PathBuf,
    options: Vec<String>,
    port: Option<u16>,
    run_as: Option<Account>,
}

/// Where a program is; `sbin` is looked at too, which ordinary users lack.
pub fn which(program: &str) -> PathBuf {
    place(program).unwrap_or_else(|| panic!("`{program}` is not installed: `make test` installs what the tests need"))
}

/// The same, where it may be missing.
pub(crate) fn place(program: &str) -> Option<PathBuf> {
    let places = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    places.iter().map(|place| Path::new(place).join(program)).find(|path| path.exists())
}

/// Tells every client where sshd listens.
pub fn publish_port(dir: &Path, port: u16) {
    let host = fs::read_to_string(dir.join("host.pub")).unwrap();
    fs::write(dir.join("client/known_hosts"), format!("backup {host}")).unwrap();
    fs::write(dir.join("client/port"), port.to_string()).unwrap();
}

impl Client {
    /// Makes its key and lets sshd accept it for the account.
    pub fn make(dir: &Path, name: &str, account: &Account) {
        let key = dir.join("client").join(name);
        must(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&key));
        fs::write(dir.join("client").join(format!("{name}.account")), &account.name).unwrap();
        let public = fs::read_to_string(key.with_extension("pub")).unwrap();
        let accepted = dir.join("keys").join(&account.name);
        let before = fs::read_to_string(&accepted).unwrap_or_default();
        fs::write(&accepted, before + &public).unwrap();
    }

    /// A client of the server in that directory.
    pub(crate) fn new(dir: &Path, name: &str) -> Self {
        Self { name: name.to_owned(), dir: dir.to_owned(), options: Vec::new(), port: None, run_as: None }
    }

    /// The same one, coming from another loopback address.
    pub fn from(&self, address: &str) -> Self {
        self.option(&format!("BindAddress={address}"))
    }

    /// The same one, with an option of `ssh_config`.
    pub fn option(&self, option: &str) -> Self {
        let mut client = self.clone();
        client.options.push(option.to_owned());
        client
    }

    /// The same one, speaking to another server on this machine.
    pub fn on_port(&self, port: u16) -> Self {
        Self { port: Some(port), ..self.clone() }
    }

    /// The same one, its programs running as another local account (root's can read every file).
    pub fn run_as(&self, account: &Account) -> Self {
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
    pub fn account(&self) -> Account {
        let name = fs::read_to_string(self.dir.join("client").join(format!("{}.account", self.name))).unwrap();
        let all = (0..accounts::COUNT).map(accounts::account);
        all.into_iter().find(|account| account.name == name).unwrap()
    }

    /// Its private key's file.
    pub fn key(&self) -> PathBuf {
        let suffix = self.run_as.as_ref().map(|account| format!(".{}", account.name)).unwrap_or_default();
        self.dir.join("client").join(format!("{}{suffix}", self.name))
    }

    /// Its key's fingerprint.
    pub fn fingerprint(&self) -> String {
        let public = self.dir.join("client").join(format!("{}.pub", self.name));
        let line = must(Command::new("ssh-keygen").arg("-lf").arg(public));
        line.split(' ').nth(1).unwrap().to_owned()
    }

    /// The words that start its ssh, up to the host.
    pub fn ssh_words(&self) -> Vec<String> {
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
    pub fn rsync_command<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> Command {
        let mut command = self.command(versions::client().to_str().unwrap());
        command.arg("-e").arg(self.ssh_words().join(" ")).args(words);
        command
    }

    /// Runs rsync with these words; `backup:` is the server.
    #[track_caller]
    pub fn rsync<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> Ran {
        run(&mut self.rsync_command(words))
    }

    /// The usual push of a directory's content, `rsync -a --delete SOURCE/ backup:`, with more options.
    #[track_caller]
    pub fn push(&self, source: &Path, options: &[&str]) -> Ran {
        run(&mut self.push_command(source, options))
    }

    /// The usual push, started and going on.
    pub fn start_push(&self, source: &Path, options: &[&str]) -> Running {
        Running::start(&mut self.push_command(source, options))
    }

    fn push_command(&self, source: &Path, options: &[&str]) -> Command {
        let mut words = vec!["-a".to_owned(), "--delete".to_owned()];
        words.extend(options.iter().map(|option| (*option).to_owned()));
        words.extend([format!("{}/", source.display()), "backup:".to_owned()]);
        self.rsync_command(&words)
    }

    /// Runs `ssh backup` with these words.
    #[track_caller]
    pub fn ssh<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> Ran {
        self.ssh_with(&[], words)
    }

    /// Runs `ssh backup` with options of ssh's own before the host.
    #[track_caller]
    pub fn ssh_with<S: AsRef<std::ffi::OsStr>>(&self, options: &[&str], words: &[S]) -> Ran {
        let ssh = self.ssh_words();
        run(self.command("ssh").args(&ssh[1..]).args(options).arg("backup").args(words))
    }
}

impl Client {
    /// Asks for a terminal and no command. With a terminal, the server's standard error comes on standard output, with
    /// carriage returns; it is put back where it belongs.
    #[track_caller]
    pub fn login(&self) -> Ran {
        let mut ran = self.ssh_with::<&str>(&["-tt"], &[]);
        ran.stderr = std::mem::take(&mut ran.stdout).replace('\r', "") + &ran.stderr;
        ran
    }
}

impl Client {
    /// A program that brings its own ssh, with the words that its options begin with.
    fn with_ssh(&self, program: &str) -> Command {
        let mut command = self.command(program);
        command.args(&self.ssh_words()[1..]);
        command
    }

    /// Runs `sftp backup` with these lines. It ends at the first that fails, unless that begins with `-`.
    #[track_caller]
    pub fn sftp(&self, lines: &[&str]) -> Ran {
        let batch = tempfile::NamedTempFile::new().unwrap();
        fs::write(batch.path(), lines.join("\n") + "\n").unwrap();
        fs::set_permissions(batch.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        run(self.with_ssh("sftp").arg("-b").arg(batch.path()).arg("backup"))
    }

    /// Runs `scp` with these words.
    #[track_caller]
    pub fn scp(&self, words: &[&str]) -> Ran {
        run(self.with_ssh("scp").args(words))
    }
}
