//! A backup server for one test: a real sshd on a free loopback port, a store, a spool, policies and keys, all in one
//! directory that goes away with it. No part of it is a mock.
//!
//! As root it speaks for several unix accounts (made once, see [`accounts`]); as an ordinary user for that one. Nothing
//! of a server outlives its value: dropping it kills every process that it started, however far it has detached itself.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::client::{self, Client};
use crate::record::Record;
use crate::repository::{Repository, read_ledger};
use crate::run::{Ran, must, run};
use crate::setup::{ALL_VERBS, Setup};
use crate::{accounts, answers, free_port, mode, processes, programs, tree, versions};

/// A running backup server.
pub struct Server {
    dir: TempDir,
    store: PathBuf,
    sshd: Option<Child>,
    port: u16,
    syslog: UnixDatagram,
}

impl Server {
    /// One that does not listen yet.
    pub(crate) fn made(dir: TempDir, store: PathBuf, syslog: UnixDatagram) -> Self {
        Self { dir, store, sshd: None, port: 0, syslog }
    }

    /// One client, `web1`, that may do everything.
    pub fn start() -> Self {
        Setup::new().client("web1", ALL_VERBS).start()
    }

    /// The server's directory.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where the repositories are.
    pub fn store(&self) -> &Path {
        &self.store
    }

    /// The port that sshd listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The configuration's directory.
    pub fn config(&self) -> PathBuf {
        self.path().join("config")
    }

    /// The client of that name.
    pub fn client(&self, name: &str) -> Client {
        Client::new(self.path(), name)
    }

    /// The client's repository.
    pub fn repository(&self, client: &str) -> Repository {
        Repository { path: self.store.join(client) }
    }

    /// An empty directory for a test's data, with that name.
    pub fn source(&self, name: &str) -> PathBuf {
        let path = self.path().join("source").join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// An executable for a hook: a shell script with this text.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        script(self.path(), name, text)
    }

    /// Replaces a client's policy.
    pub fn policy(&self, client: &str, text: &str) {
        let text = self.policy_text(client, text);
        fs::write(self.config().join(format!("policies/{client}.yaml")), text).unwrap();
        accounts::give_to_gates(self.path());
    }

    /// Runs snapgate as an administrator would.
    pub fn snapgate(&self, words: &[&str]) -> Ran {
        let mut command = Command::new(self.path().join("bin/snapgate"));
        command.arg("--config").arg(self.config()).args(words);
        run(&mut command)
    }

    /// Every record, from the repositories' ledgers and the spool's, in order of time.
    pub fn records(&self) -> Vec<Record> {
        let mut ledgers: Vec<_> = subdirectories(&self.store).iter().map(|path| path.join(".snapgate/ledger.jsonl")).collect();
        ledgers.extend(subdirectories(&self.path().join("spool")).iter().map(|path| path.join("ledger.jsonl")));
        let mut records: Vec<Record> = ledgers.iter().flat_map(|path| read_ledger(path)).collect();
        records.sort_by(|a, b| a.id.cmp(&b.id));
        records
    }

    /// The newest record.
    pub fn record(&self) -> Record {
        self.records().pop().expect("a record in one of the ledgers")
    }

    /// The lines that the syslog daemon has got since the last call.
    pub fn syslog(&self) -> Vec<String> {
        let mut buffer = [0; 65536];
        let mut lines = Vec::new();
        while let Ok(length) = self.syslog.recv(&mut buffer) {
            lines.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        lines
    }

    /// What sshd has logged.
    pub fn sshd_log(&self) -> String {
        fs::read_to_string(self.path().join("sshd.log")).unwrap_or_default()
    }

    /// What stands on the disk of history and of running pushes: everything in the store but the gate's own notes, and
    /// the configuration. Two of them are equal when a connection changed nothing.
    pub fn state(&self) -> Vec<String> {
        let mut lines = tree::listing(&self.config());
        for repository in subdirectories(&self.store) {
            lines.push(repository.display().to_string());
            for part in ["inprogress", "snapshots", "current", "checkpoints"] {
                // An empty directory that the gate made on its way is no change.
                lines.extend(tree::listing(&repository.join(part)).into_iter().filter(|line| !line.starts_with(" 40")));
            }
            for part in ["transaction.json", "parts", "interrupted"] {
                let listing = tree::listing(&repository.join(".snapgate").join(part));
                lines.extend(listing.into_iter().filter(|line| !line.starts_with(" 40")));
            }
        }
        lines
    }

    /// The server's rsync. One that is not the machine's is copied to where every account can run it.
    fn rsync(&self) -> PathBuf {
        let Some(named) = versions::server() else { return client::which("rsync") };
        let copy = self.path().join("bin/rsync");
        must(Command::new("install").args(["-m", "0755"]).arg(named).arg(&copy));
        copy
    }

    pub(crate) fn configure(&self, setup: &Setup) {
        let dir = self.path().display().to_string();
        let mut site = setup.site.replace("$DIR", &dir);
        let own = [
            ("store", self.store.display().to_string()),
            ("spool", format!("{dir}/spool")),
            ("rsync", self.rsync().display().to_string()),
            ("syslog", format!("{dir}/syslog")),
            ("sshd", format!("{dir}/sshd_config")),
            ("mail", format!("{{from: snapgate@test.example, to: [root@test.example], transport: \"file:{dir}/mail\"}}")),
        ];
        // An ordinary user could not look at what would not be its own, nor remove it. Tests about owners ask for them.
        let own = own.into_iter().chain((!accounts::is_root()).then(|| ("defaults", "{ owners: drop }".to_owned())));
        for (key, value) in own {
            if !site.lines().any(|line| line.starts_with(&format!("{key}:"))) {
                site.push_str(&format!("{key}: {value}\n"));
            }
        }
        fs::write(self.config().join("snapgate.yaml"), site).unwrap();
        for (name, number) in &setup.logins {
            Client::make(self.path(), name, &accounts::account(*number));
        }
        for (name, policy) in &setup.policies {
            self.policy(name, policy);
            let repository = self.store.join(name);
            fs::create_dir_all(&repository).unwrap();
            mode(&repository, 0o700);
            accounts::give(&repository, &self.client(name).account());
        }
    }

    /// What is in the place of `/etc` for the programs of [`Server::program`].
    pub(crate) fn make_shell(&self, setup: &Setup) {
        let etc = self.path().join("etc");
        fs::create_dir_all(etc.join("snapgate")).unwrap();
        let shell = self.path().join("bin/snapgate-shell").display().to_string();
        let mut passwd = fs::read_to_string("/etc/passwd").unwrap();
        for (_, number) in &setup.logins {
            let own = format!("{}:", accounts::account(*number).name);
            let lines = passwd.lines().map(|line| {
                let fields = line.rsplit_once(':').filter(|_| line.starts_with(&own));
                fields.map_or_else(|| format!("{line}\n"), |(others, _)| format!("{others}:{shell}\n"))
            });
            passwd = lines.collect();
        }
        fs::write(etc.join("passwd"), passwd).unwrap();
        // sshd does not ask for it, Dropbear does.
        fs::write(etc.join("shells"), format!("/bin/sh\n{shell}\n")).unwrap();
    }

    /// A program that lets clients in. Where the gate is their accounts' shell it is in a mount namespace in which that is so.
    pub fn program(&self, name: &str) -> Command {
        let etc = self.path().join("etc");
        if !etc.exists() {
            return Command::new(client::which(name));
        }
        let mut command = Command::new("unshare");
        let script = "mount -t overlay overlay -o lowerdir=\"$0:/etc\" /etc && mount --bind \"$1\" /etc/snapgate && shift && exec \"$@\"";
        command.args(["-m", "/bin/sh", "-c", script]).args([etc, self.config()]).arg(client::which(name));
        command
    }

    fn policy_text(&self, client: &str, text: &str) -> String {
        let who = self.client(client);
        let mut text = text.replace("$DIR", &self.path().display().to_string());
        text = text.replace("$KEY", &who.fingerprint()).replace("$ACCOUNT", &who.account().name);
        if !text.lines().any(|line| line.starts_with("user:")) {
            text.push_str(&format!("user: {}\n", who.account().name));
        }
        text
    }

    pub(crate) fn listen(&mut self, setup: &Setup) {
        let dir = self.path().display().to_string();
        if accounts::is_root() {
            // Where sshd puts its unprivileged half; Debian makes it when the service starts.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        for _ in 0..5 {
            let port = free_port();
            let config = format!(
                "{force}ListenAddress 127.0.0.1:{port}\nHostKey {dir}/host\nPidFile none\nUsePAM no\nStrictModes no\nDisableForwarding yes\n\
                 AuthorizedKeysFile {dir}/keys/%u\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                 PermitUserEnvironment no\nExposeAuthInfo yes\nLogLevel VERBOSE\nMaxStartups 100\n\
                 Subsystem sftp /usr/lib/openssh/sftp-server\n{more}",
                more = setup.sshd.replace("$DIR", &dir),
                force = setup.force.replace("$DIR", &dir),
            );
            fs::write(self.path().join("sshd_config"), config).unwrap();
            let log = fs::File::create(self.path().join("sshd.log")).unwrap();
            let mut command = self.program("sshd");
            command.args(["-D", "-e", "-f"]).arg(self.path().join("sshd_config"));
            let mut sshd = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
            if answers(port, &mut sshd) {
                self.sshd = Some(sshd);
                self.port = port;
                client::publish_port(self.path(), port);
                return;
            }
            let _ = sshd.kill();
            let _ = sshd.wait();
        }
        panic!("sshd does not start: {}", self.sshd_log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let roots: Vec<u32> = self.sshd.iter().map(Child::id).collect();
        processes::end_all(&roots, self.dir.path());
        if let Some(mut sshd) = self.sshd.take() {
            let _ = sshd.kill();
            let _ = sshd.wait();
        }
        // Snapshots may hold directories that an ordinary user has to open before they can be removed.
        tree::open_up(self.dir.path());
    }
}

/// Writes a shell script below `dir/hooks`.
pub fn script(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join("hooks").join(name);
    programs::script(&path, &format!("#!/bin/sh\n{text}\n"));
    path
}

fn subdirectories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir() && !path.ends_with("lost+found")).collect();
    paths.sort();
    paths
}
