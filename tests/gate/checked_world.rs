//! A server for `check`, and accounts of the test's own. They are in a list of the test's, put over the machine's in a mount namespace;
//! sshd is asked with settings of the test's, and does not run.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use snapgate::decide::doctor::releases::RELEASES;
use support::{GATE, Ran, SNAPGATE, is_root, mode, must, run, skip};

/// Numbers of accounts that no machine has.
pub(crate) const FIRST: u32 = 77_001;

pub(crate) const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPlTNFcpSsyAP3G9ssXcmvpMJTbf+KFlvGwzGeyTlKJs laptop\n";

/// Its fingerprint.
pub(crate) const KEY_NAME: &str = "SHA256:kRSlucaKe4OQ/v7wHJfprJQ1hUQTtcbzamjfp12xOC4";

/// A server where nothing is wrong.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    clients: Vec<&'static str>,
}

impl World {
    /// With these clients; `None` where it cannot be made, which is said.
    pub(crate) fn new(clients: &[&'static str]) -> Option<Self> {
        if !is_root() {
            skip("it takes root to look as somebody else");
            return None;
        }
        if run(Command::new("unshare").args(["-m", "true"])).status != 0 {
            skip("this machine gives no mount namespace");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("snapgate-checked-").tempdir().unwrap();
        let this = Self { dir, clients: clients.to_vec() };
        mode(this.dir.path(), 0o755);
        for (name, bits) in
            [("bin", 0o755), ("etc", 0o755), ("etc/policies", 0o755), ("store", 0o711), ("home", 0o755), ("spool", 0o1733), ("mail", 0o777)]
        {
            fs::create_dir(this.path(name)).unwrap();
            mode(&this.path(name), bits);
        }
        // The spool is its group's; here that is everybody's who is told below.
        mode(&this.path("spool"), 0o1730);
        chown(this.path("spool"), None, Some(FIRST)).unwrap();
        fs::write(this.path("spool/sessions"), "").unwrap();
        mode(&this.path("spool/sessions"), 0o660);
        must(Command::new("install").args(["-m", "0755"]).args([SNAPGATE, GATE]).arg(this.path("bin")));
        must(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(this.path("host")));
        fs::create_dir_all("/run/sshd").unwrap();
        this.changelog(&everything());
        this.site("");
        this.sshd("ForceCommand $DIR/bin/snapgate-shell --config $DIR/etc\nExposeAuthInfo yes\n");
        for client in clients {
            this.policy(client, "");
            this.own_directory(&format!("store/{client}"), client);
            this.own_directory(&format!("home/{client}"), client);
            this.own_directory(&format!("home/{client}/.ssh"), client);
            this.put(&format!("home/{client}/.ssh/authorized_keys"), KEY, 0o600, this.uid(client));
        }
        this.shell("/bin/sh");
        Some(this)
    }

    /// What the changelog of rsync's package says, where the machine has one.
    pub(crate) fn changelog(&self, text: &str) {
        self.put("changelog", text, 0o644, 0);
        must(Command::new("gzip").args(["-kf"]).arg(self.path("changelog")));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn uid(&self, client: &str) -> u32 {
        FIRST + u32::try_from(self.clients.iter().position(|one| *one == client).unwrap()).unwrap()
    }

    pub(crate) fn put(&self, name: &str, text: &str, bits: u32, uid: u32) {
        let path = self.path(name);
        let text = text.replace("$DIR", &self.dir.path().display().to_string());
        if text.starts_with("#!") {
            support::programs::script(&path, &text)
        } else {
            fs::write(&path, text).unwrap()
        }
        chown(&path, Some(uid), None).unwrap();
        mode(&path, bits);
    }

    pub(crate) fn own_directory(&self, name: &str, client: &str) {
        fs::create_dir_all(self.path(name)).unwrap();
        chown(self.path(name), Some(self.uid(client)), None).unwrap();
        mode(&self.path(name), 0o700);
    }

    pub(crate) fn site(&self, more: &str) {
        let usual = "store: $DIR/store\nrsync: /usr/bin/rsync\nspool: $DIR/spool\nsyslog: off\nsshd: $DIR/sshd_config\n\
            mail: { transport: \"file:$DIR/mail\" }\ndefaults: { owners: drop }\n";
        self.put("etc/snapgate.yaml", &format!("{usual}{more}"), 0o644, 0);
    }

    pub(crate) fn policy(&self, client: &str, more: &str) {
        self.put(&format!("etc/policies/{client}.yaml"), &format!("user: {client}\n{more}"), 0o644, 0);
    }

    pub(crate) fn sshd(&self, lines: &str) {
        let usual = "HostKey $DIR/host\nDisableForwarding yes\nAuthorizedKeysFile $DIR/home/%u/.ssh/authorized_keys\nStrictModes no\n";
        self.put("sshd_config", &format!("{usual}{lines}"), 0o644, 0);
    }

    /// Every account's shell. They are all in the spool's group.
    pub(crate) fn shell(&self, shell: &str) {
        let dir = self.dir.path().display().to_string();
        let mut accounts = fs::read_to_string("/etc/passwd").unwrap();
        for client in &self.clients {
            accounts.push_str(&format!("{client}:x:{}:{FIRST}::{dir}/home/{client}:{shell}\n", self.uid(client)));
        }
        self.put("passwd", &accounts, 0o644, 0);
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.run_after("true", words)
    }

    /// The same after this was done in the mount namespace.
    pub(crate) fn run_after(&self, done: &str, words: &[&str]) -> Ran {
        let dir = self.dir.path().display();
        // Whatever this machine's rsync is, it is one in which everything is mended.
        let changelog = "/usr/share/doc/rsync/changelog.Debian.gz";
        let script = format!(
            "mount --bind {dir}/passwd /etc/passwd && {{ ! test -e {changelog} || mount --bind {dir}/changelog.gz {changelog}; }} && {done} && \
             exec {dir}/bin/snapgate --config {dir}/etc \"$@\""
        );
        run(Command::new("unshare").args(["-m", "/bin/sh", "-c", &script, "sh"]).args(words))
    }

    /// It finds this, and so many problems.
    #[track_caller]
    pub(crate) fn finds(&self, problems: usize, words: &[&str]) {
        let ran = self.run(&["check", "--all"]).exits(i32::from(problems > 0));
        for word in words {
            assert!(ran.stdout.contains(word), "`{word}` in: {}", ran.stdout);
        }
        let end = match problems {
            0 => "nothing wrong\n".to_owned(),
            1 => "1 problem\n".to_owned(),
            many => format!("{many} problems\n"),
        };
        assert!(ran.stdout.ends_with(&end), "{end} in: {}", ran.stdout);
    }
}

/// Every vulnerability of rsync that is known.
pub(crate) fn everything() -> String {
    RELEASES.iter().flat_map(|release| release.reached.iter().chain(release.others)).map(|name| format!("  * Fix {name}\n")).collect()
}
