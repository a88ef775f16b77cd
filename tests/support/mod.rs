//! A backup server for one test: a real sshd on a free loopback port, a store, a spool, policies and keys, all in one
//! directory that goes away with it. No part of it is a mock.
//!
//! As root it speaks for several unix accounts (made once, see [`accounts`]); as an ordinary user for that one. Nothing
//! of a server outlives its value: dropping it kills every process that it started, however far it has detached itself.

pub(crate) mod accounts;
pub(crate) mod client;
pub(crate) mod getent;
pub(crate) mod ids;
pub(crate) mod mail;
pub(crate) mod processes;
pub(crate) mod repository;
pub(crate) mod tree;
#[path = "older.rs"]
#[expect(dead_code, reason = "shared with tests/gate, which needs more of it")]
pub(crate) mod versions;

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use snapgate::terms::record::Record;
use tempfile::TempDir;

use client::{Client, Ran};
use repository::{Repository, read_ledger};

/// The administrator's program under test, as cargo built it for this run.
pub(crate) const SNAPGATE: &str = env!("CARGO_BIN_EXE_snapgate");

/// The gate, which sshd starts.
pub(crate) const GATE: &str = env!("CARGO_BIN_EXE_snapgate-shell");

/// Nothing in the suite takes longer unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The verbs of a policy that lets its client do everything.
pub(crate) const ALL_VERBS: &str = "verbs: [prepare, rsync, complete, abort, status]\n";

/// What a server will be. In the texts `$DIR` is the server's directory, and in a policy `$KEY` and `$ACCOUNT` are its
/// client's fingerprint and unix account.
pub(crate) struct Setup {
    site: String,
    sshd: String,
    force: String,
    policies: Vec<(String, String)>,
    logins: Vec<(String, usize)>,
    store: Option<PathBuf>,
    is_shell: bool,
}

impl Setup {
    /// No client yet, and nothing but what every server needs.
    pub(crate) fn new() -> Self {
        let force = "ForceCommand $DIR/bin/snapgate-shell --config $DIR/config\n".to_owned();
        Self { site: String::new(), sshd: String::new(), force, policies: Vec::new(), logins: Vec::new(), store: None, is_shell: false }
    }

    /// A client with this policy; `user:` is added where the text has none.
    pub(crate) fn client(self, name: &str, policy: &str) -> Self {
        let account = self.logins.len();
        self.client_on(account, name, policy)
    }

    /// A client that logs in on the account of that number.
    pub(crate) fn client_on(mut self, account: usize, name: &str, policy: &str) -> Self {
        self.policies.push((name.to_owned(), policy.to_owned()));
        self.logins.push((name.to_owned(), account));
        self
    }

    /// Somebody whom sshd lets in and no policy knows.
    pub(crate) fn stranger(self, name: &str) -> Self {
        let account = self.logins.len();
        self.stranger_on(account, name)
    }

    /// One on the account of that number.
    pub(crate) fn stranger_on(mut self, account: usize, name: &str) -> Self {
        self.logins.push((name.to_owned(), account));
        self
    }

    /// More lines for `snapgate.yaml`. A key given here replaces the harness's own.
    pub(crate) fn site(mut self, lines: &str) -> Self {
        self.site.push_str(lines);
        self
    }

    /// More lines for `sshd_config`. The first word on a setting wins, and a `Match` block wins over both.
    pub(crate) fn sshd(mut self, lines: &str) -> Self {
        self.sshd.push_str(lines);
        self
    }

    /// No `ForceCommand`: the keys' own `command="…"` decides.
    pub(crate) fn unforced(mut self) -> Self {
        self.force.clear();
        self
    }

    /// The gate is the shell of every account here, and where it looks for its configuration is this server's. For root.
    pub(crate) fn shell(mut self) -> Self {
        self.is_shell = true;
        self
    }

    /// A store that exists already, for example a mount point.
    pub(crate) fn store(mut self, store: &Path) -> Self {
        self.store = Some(store.to_owned());
        self
    }

    /// Makes everything and starts sshd.
    pub(crate) fn start(self) -> Server {
        let dir = tempfile::Builder::new().prefix("snapgate-test-").tempdir().unwrap();
        mode(dir.path(), 0o755);
        let path = dir.path().to_owned();
        for name in ["bin", "config", "config/policies", "store", "spool", "mail", "keys", "client", "hooks", "source"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        for (built, name) in [(SNAPGATE, "bin/snapgate"), (GATE, "bin/snapgate-shell")] {
            // A link where it can be one. A copy is made by another process: a descriptor open for writing here would be
            // inherited by some parallel test's child and make the program's exec fail with ETXTBSY.
            if fs::hard_link(built, path.join(name)).is_err() {
                must(Command::new("cp").arg(built).arg(path.join(name)));
            }
        }
        must(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path.join("host")));
        let store = self.store.clone().unwrap_or_else(|| path.join("store"));
        let syslog = UnixDatagram::bind(path.join("syslog")).unwrap();
        syslog.set_nonblocking(true).unwrap();
        mode(&path.join("syslog"), 0o666);
        let mut server = Server { dir, store, sshd: None, port: 0, syslog };
        server.configure(&self);
        accounts::give_to_gates(&path);
        if self.is_shell {
            server.make_shell(&self);
        }
        server.listen(&self);
        server
    }
}

/// A running backup server.
pub(crate) struct Server {
    dir: TempDir,
    store: PathBuf,
    sshd: Option<Child>,
    port: u16,
    syslog: UnixDatagram,
}

impl Server {
    /// One client, `web1`, that may do everything.
    pub(crate) fn start() -> Self {
        Setup::new().client("web1", ALL_VERBS).start()
    }

    /// The server's directory.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where the repositories are.
    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    /// The port that sshd listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The configuration's directory.
    pub(crate) fn config(&self) -> PathBuf {
        self.path().join("config")
    }

    /// The client of that name.
    pub(crate) fn client(&self, name: &str) -> Client {
        Client::new(self.path(), name)
    }

    /// The client's repository.
    pub(crate) fn repository(&self, client: &str) -> Repository {
        Repository { path: self.store.join(client) }
    }

    /// An empty directory for a test's data, with that name.
    pub(crate) fn source(&self, name: &str) -> PathBuf {
        let path = self.path().join("source").join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// An executable for a hook: a shell script with this text.
    pub(crate) fn script(&self, name: &str, text: &str) -> PathBuf {
        script(self.path(), name, text)
    }

    /// Replaces a client's policy.
    pub(crate) fn policy(&self, client: &str, text: &str) {
        let text = self.policy_text(client, text);
        fs::write(self.config().join(format!("policies/{client}.yaml")), text).unwrap();
        accounts::give_to_gates(self.path());
    }

    /// Runs snapgate as an administrator would.
    pub(crate) fn snapgate(&self, words: &[&str]) -> Ran {
        let mut command = Command::new(self.path().join("bin/snapgate"));
        command.arg("--config").arg(self.config()).args(words);
        client::run(&mut command)
    }

    /// Every record, from the repositories' ledgers and the spool's, in order of time.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut ledgers: Vec<_> = subdirectories(&self.store).iter().map(|path| path.join(".snapgate/ledger.jsonl")).collect();
        ledgers.extend(subdirectories(&self.path().join("spool")).iter().map(|path| path.join("ledger.jsonl")));
        let mut records: Vec<Record> = ledgers.iter().flat_map(|path| read_ledger(path)).collect();
        records.sort_by(|a, b| a.id.cmp(&b.id));
        records
    }

    /// The newest record.
    pub(crate) fn record(&self) -> Record {
        self.records().pop().expect("a record in one of the ledgers")
    }

    /// The lines that the syslog daemon has got since the last call.
    pub(crate) fn syslog(&self) -> Vec<String> {
        let mut buffer = [0; 65536];
        let mut lines = Vec::new();
        while let Ok(length) = self.syslog.recv(&mut buffer) {
            lines.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        lines
    }

    /// What sshd has logged.
    pub(crate) fn sshd_log(&self) -> String {
        fs::read_to_string(self.path().join("sshd.log")).unwrap_or_default()
    }

    /// What stands on the disk of history and of running pushes: everything in the store but the gate's own notes, and
    /// the configuration. Two of them are equal when a connection changed nothing.
    pub(crate) fn state(&self) -> Vec<String> {
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

    fn configure(&self, setup: &Setup) {
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
    fn make_shell(&self, setup: &Setup) {
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
    pub(crate) fn program(&self, name: &str) -> Command {
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

    fn listen(&mut self, setup: &Setup) {
        let dir = self.path().display().to_string();
        if accounts::is_root() {
            // Where sshd puts its unprivileged half; Debian makes it when the service starts.
            fs::create_dir_all("/run/sshd").unwrap();
        }
        for _ in 0..5 {
            let port = free_port();
            let config = format!(
                "{force}ListenAddress 127.0.0.1:{port}\nHostKey {dir}/host\nPidFile none\nUsePAM no\nStrictModes no\n\
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

/// Sets a mode.
pub(crate) fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Writes a shell script below `dir/hooks`, by another process for the same reason as the program's copy.
pub(crate) fn script(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join("hooks").join(name);
    let source = dir.join("hooks").join(format!("{name}.text"));
    fs::write(&source, format!("#!/bin/sh\n{text}\n")).unwrap();
    must(Command::new("install").args(["-m", "0755"]).arg(&source).arg(&path));
    path
}

/// Runs a command that has to work.
pub(crate) fn must(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until it is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// Says why a test does less than it could here. Written past the test runner, which would swallow it.
pub(crate) fn skip(why: &str) {
    use std::io::Write as _;
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    let _ = writeln!(std::io::stderr(), "skipped: {name}: {why}");
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Whether a server answers before it ends.
pub(crate) fn answers(port: u16, server: &mut Child) -> bool {
    for _ in 0..1000 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return server.try_wait().unwrap().is_none();
        }
        if server.try_wait().unwrap().is_some() {
            return false;
        }
        sleep(Duration::from_millis(5));
    }
    false
}

fn subdirectories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_dir() && !path.ends_with("lost+found")).collect();
    paths.sort();
    paths
}
