//! What a server will be, before it is one.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::{self, GATE, SNAPGATE};
use crate::run::must;
use crate::server::Server;
use crate::{accounts, mode};

/// The verbs of a policy that lets its client do everything.
pub const ALL_VERBS: &str = "verbs: [prepare, rsync, complete, abort, status]\n";

/// What a server will be. In the texts `$DIR` is the server's directory, and in a policy `$KEY` and `$ACCOUNT` are its
/// client's fingerprint and unix account.
pub struct Setup {
    pub(crate) site: String,
    pub(crate) sshd: String,
    pub(crate) force: String,
    pub(crate) policies: Vec<(String, String)>,
    pub(crate) logins: Vec<(String, usize)>,
    pub(crate) store: Option<PathBuf>,
    pub(crate) is_shell: bool,
}

impl Setup {
    /// No client yet, and nothing but what every server needs.
    pub fn new() -> Self {
        let force = "ForceCommand $DIR/bin/snapgate-shell --config $DIR/config\n".to_owned();
        Self { site: String::new(), sshd: String::new(), force, policies: Vec::new(), logins: Vec::new(), store: None, is_shell: false }
    }

    /// A client with this policy; `user:` is added where the text has none.
    pub fn client(self, name: &str, policy: &str) -> Self {
        let account = self.logins.len();
        self.client_on(account, name, policy)
    }

    /// A client that logs in on the account of that number.
    pub fn client_on(mut self, account: usize, name: &str, policy: &str) -> Self {
        self.policies.push((name.to_owned(), policy.to_owned()));
        self.logins.push((name.to_owned(), account));
        self
    }

    /// Somebody whom sshd lets in and no policy knows.
    pub fn stranger(self, name: &str) -> Self {
        let account = self.logins.len();
        self.stranger_on(account, name)
    }

    /// One on the account of that number.
    pub fn stranger_on(mut self, account: usize, name: &str) -> Self {
        self.logins.push((name.to_owned(), account));
        self
    }

    /// More lines for `snapgate.yaml`. A key given here replaces the harness's own.
    pub fn site(mut self, lines: &str) -> Self {
        self.site.push_str(lines);
        self
    }

    /// More lines for `sshd_config`. The first word on a setting wins, and a `Match` block wins over both.
    pub fn sshd(mut self, lines: &str) -> Self {
        self.sshd.push_str(lines);
        self
    }

    /// No `ForceCommand`: the keys' own `command="…"` decides.
    pub fn unforced(mut self) -> Self {
        self.force.clear();
        self
    }

    /// The gate is the shell of every account here, and where it looks for its configuration is this server's. For root.
    pub fn shell(mut self) -> Self {
        self.is_shell = true;
        self
    }

    /// A store that exists already, for example a mount point.
    pub fn store(mut self, store: &Path) -> Self {
        self.store = Some(store.to_owned());
        self
    }

    /// Makes everything and starts sshd.
    pub fn start(self) -> Server {
        let dir = tempfile::Builder::new().prefix("snapgate-test-").tempdir().unwrap();
        mode(dir.path(), 0o755);
        let path = dir.path().to_owned();
        for name in ["bin", "config", "config/policies", "store", "spool", "mail", "keys", "client", "hooks", "source"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        for (built, name) in [(SNAPGATE, "bin/snapgate"), (GATE, "bin/snapgate-shell")] {
            // A link where it can be one.
            if fs::hard_link(built, path.join(name)).is_err() {
                programs::copy(built.as_ref(), &path.join(name));
            }
        }
        must(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path.join("host")));
        let store = self.store.clone().unwrap_or_else(|| path.join("store"));
        let syslog = UnixDatagram::bind(path.join("syslog")).unwrap();
        syslog.set_nonblocking(true).unwrap();
        mode(&path.join("syslog"), 0o666);
        let mut server = Server::made(dir, store, syslog);
        server.configure(&self);
        accounts::give_to_gates(&path);
        if self.is_shell {
            server.make_shell(&self);
        }
        server.listen(&self);
        server
    }
}
