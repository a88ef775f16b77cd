//! The gates that are measured, and sites for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const PUSH: &str = "rsync --server -logDtpre.iLsfxCIvu . .";

pub(crate) const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A program to measure.
pub(crate) struct Gate {
    pub(crate) name: &'static str,
    pub(crate) program: PathBuf,
}

impl Gate {
    pub(crate) fn this() -> Self {
        Self { name: "gate", program: PathBuf::from(env!("CARGO_BIN_EXE_snapgate-shell")) }
    }

    /// An older build, where one is named.
    pub(crate) fn base() -> Option<Self> {
        let program = fs::canonicalize(std::env::var_os("BASE_GATE")?).expect("BASE_GATE names a program");
        Some(Self { name: "yesterday's gate", program })
    }

    /// The word by which an older one, which is the administrator's program as well, knows that it is the gate.
    pub(crate) fn order(&self) -> Option<&'static str> {
        let is_both = self.program.file_name().is_none_or(|name| name != "snapgate-shell");
        is_both.then_some("serve")
    }

    /// This one first.
    pub(crate) fn all() -> Vec<Self> {
        std::iter::once(Self::this()).chain(Self::base()).collect()
    }
}

/// A site with one policy for this account. Each gate needs one of its own: it has repositories in it.
pub(crate) struct Set {
    pub(crate) config: PathBuf,
    pub(crate) probe: PathBuf,
}

impl Set {
    /// Its rsync is the probe where no other is named, and it has policies for `others` besides. An older gate has to understand it, so
    /// there are no newer keys in it.
    pub(crate) fn new(root: &Path, name: &str, rsync: Option<&Path>, others: usize) -> Self {
        let config = root.join(name);
        let (store, spool) = (config.join("store"), config.join("spool"));
        for directory in [&config.join("policies"), &store, &spool] {
            fs::create_dir_all(directory).expect("directories");
        }
        let probe = config.join("probe");
        if rsync.is_none() {
            fs::copy(std::env::current_exe().expect("this program"), &probe).expect("a copy");
        }
        let site = format!(
            "store: {}\nrsync: {}\nspool: {}\nsyslog: off\nmail: {{ transport: off }}\n",
            store.display(),
            rsync.unwrap_or(&probe).display(),
            spool.display()
        );
        fs::write(config.join("snapgate.yaml"), site).expect("the site file");
        let user = user();
        let own = "verbs: [rsync]\noptions: { allow: [owner, group] }\n";
        fs::write(config.join(format!("policies/{user}.yaml")), own).expect("a policy");
        fs::write(config.join("policies/bench.yaml"), format!("user: {user}\nkeys: [{}]\n{own}", fingerprint())).expect("a policy");
        for number in 0..others {
            let text = format!("user: other{number}\nkeys: [SHA256:{number:043}]\nfrom: [192.0.2.0/24]\nverbs: [rsync]\n");
            fs::write(config.join(format!("policies/other{number}.yaml")), text).expect("a policy");
        }
        Self { config, probe }
    }

    /// The command that sshd would run for a push.
    pub(crate) fn serve(&self, gate: &Gate, client: Option<&str>, auth: Option<&Path>) -> Command {
        let mut command = Command::new(&gate.program);
        command.arg("--config").arg(&self.config).args(gate.order());
        if let Some(client) = client {
            command.args(["--client", client]);
        }
        // What cargo sets for a benchmark slows the linker down: nobody gets it here.
        command.env_clear().env("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22").env("SSH_ORIGINAL_COMMAND", PUSH);
        if let Some(auth) = auth {
            command.env("SSH_USER_AUTH", auth);
        }
        command
    }
}

pub(crate) fn user() -> String {
    support::getent::my_name()
}

fn fingerprint() -> String {
    use snapgate::terms::base64;
    let blob = base64::read(KEY).expect("base64");
    let digest = ring::digest::digest(&ring::digest::SHA256, &blob);
    format!("SHA256:{}", base64::without_padding(digest.as_ref()))
}
