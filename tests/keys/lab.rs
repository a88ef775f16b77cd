//! A directory of settings, and keys that sshd could ask about.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use snapgate::act::config::{self, keyring};
use snapgate::decide::keys::Index;
use snapgate::terms::{Fingerprint, base64};
use support::{Ran, SNAPGATE, run, until};
use tempfile::TempDir;

/// A key as sshd tells it: its type, and its text in base64.
pub(crate) fn key(number: u32) -> (&'static str, String) {
    let mut blob = Vec::new();
    for part in [&b"ssh-ed25519"[..], &[&[7; 28], &number.to_be_bytes()[..]].concat()] {
        blob.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        blob.extend(part);
    }
    ("ssh-ed25519", base64::without_padding(&blob))
}

/// Its fingerprint.
pub(crate) fn fingerprint(number: u32) -> Fingerprint {
    Fingerprint::of_digest(&hmac_sha256::Hash::hash(&base64::read(&key(number).1).unwrap()))
}

/// A policy for an account with these keys.
pub(crate) fn policy(account: &str, keys: &[u32]) -> String {
    let keys: Vec<_> = keys.iter().map(|number| fingerprint(*number).to_string()).collect();
    format!("user: {account}\nkeys: [{}]\n", keys.join(", "))
}

/// The directory, which goes away.
pub(crate) struct Lab {
    dir: TempDir,
}

impl Lab {
    pub(crate) fn new(policies: &[(&str, &str)]) -> Self {
        let this = Self { dir: tempfile::Builder::new().prefix("snapgate-keys-").tempdir().unwrap() };
        fs::create_dir(this.path().join("policies")).unwrap();
        this.site("");
        policies.iter().for_each(|(client, text)| this.write(client, text));
        this
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes the site file, with more lines.
    pub(crate) fn site(&self, more: &str) {
        let dir = self.path().display();
        fs::write(self.path().join("snapgate.yaml"), format!("store: {dir}\nspool: {dir}\nsyslog: {dir}/syslog\n{more}")).unwrap();
    }

    pub(crate) fn policy(&self, client: &str) -> PathBuf {
        self.path().join(format!("policies/{client}.yaml"))
    }

    /// Writes a policy in place.
    pub(crate) fn write(&self, client: &str, text: &str) {
        fs::write(self.policy(client), text).unwrap();
    }

    pub(crate) fn index(&self) -> PathBuf {
        self.path().join(keyring::INDEX)
    }

    /// What the index says.
    pub(crate) fn read(&self) -> Index {
        Index::read(&fs::read(self.index()).unwrap()).unwrap()
    }

    /// Makes the index.
    pub(crate) fn refresh(&self) {
        keyring::refresh(self.path(), &config::load_site(self.path()).unwrap()).unwrap();
    }

    /// Makes the index, until it knows every one of these files so well that none is read for a stranger's key.
    pub(crate) fn settle(&self, clients: &[&str]) {
        until("a change of the files would show", || {
            self.refresh();
            let index = self.read();
            let has = |client: &&str| index.entries.get(&client.parse().unwrap()).is_some_and(|entry| entry.stamp.is_some());
            clients.iter().all(has) && index.site.is_some() && index.directory.is_some()
        });
    }

    /// As sshd asks.
    pub(crate) fn ask(&self, account: &str, kind: &str, key: &str) -> Ran {
        run(Command::new(SNAPGATE).arg("--config").arg(self.path()).args(["keys", account, kind, key]).env_clear())
    }

    /// The client that the key of that number is, on the account.
    #[track_caller]
    pub(crate) fn client(&self, account: &str, number: u32) -> Option<String> {
        let (kind, text) = key(number);
        let said = self.ask(account, kind, &text).exits(0).stdout;
        if said.is_empty() {
            return None;
        }
        let gate = AsRef::<Path>::as_ref(&SNAPGATE).with_file_name("snapgate-shell");
        let begin = format!("restrict,command=\"{} --config {} --client ", gate.display(), self.path().display());
        let client = said.strip_prefix(&begin).unwrap().strip_suffix(&format!("\" {kind} {text}\n")).unwrap();
        Some(client.to_owned())
    }
}

/// These bytes with others in the place of some.
pub(crate) fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let mut changed = Vec::new();
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(from.as_bytes()) {
            changed.extend_from_slice(to.as_bytes());
            rest = after;
        } else {
            changed.push(*first);
            rest = after;
        }
    }
    changed
}
