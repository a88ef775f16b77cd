//! An account that keeps owners, and what of a disk is its to use.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::accounts::{self, Account};

/// An account that has ids for others.
pub struct Keeper {
    /// Its name and numbers.
    pub account: Account,
    /// Its first user and its first group for others, and how many it has of each.
    pub ranges: [(u32, u32); 2],
}

/// The account of that number, if it can keep owners; else why it cannot.
pub fn able(number: usize) -> Result<Keeper, String> {
    if !accounts::is_root() {
        return Err("what an account stores for others only root can look at".to_owned());
    }
    if !["/usr/bin/newuidmap", "/usr/bin/newgidmap"].iter().all(|program| Path::new(program).exists()) {
        return Err("no newuidmap (package uidmap)".to_owned());
    }
    let account = accounts::account(number);
    let range = |file| accounts::range(&account, file).ok_or_else(|| format!("useradd gave {} no ids in {file}", account.name));
    let ranges = [range("/etc/subuid")?, range("/etc/subgid")?];
    Ok(Keeper { account, ranges })
}

/// What makes a command that of a user and a group, with no more of either than `groups` says.
pub fn words(uid: u32, gid: u32, groups: &str) -> Vec<String> {
    ["/usr/bin/setpriv", "--reuid", &uid.to_string(), "--regid", &gid.to_string(), groups].map(str::to_owned).to_vec()
}

impl Keeper {
    /// What makes a command the account's, as a login does.
    pub fn words(&self) -> Vec<String> {
        words(self.account.uid, self.account.gid, "--init-groups")
    }

    /// Everything there that is neither the account's nor of its ids for others, or has such an id in an access list or a capability.
    pub fn strangers(&self, roots: &[PathBuf]) -> Vec<String> {
        let roots: Vec<_> = roots.iter().filter(|root| root.exists()).collect();
        let mut found = Vec::new();
        let mut open: Vec<PathBuf> = roots.iter().map(|root| (*root).clone()).collect();
        while let Some(path) = open.pop() {
            let meta = fs::symlink_metadata(&path).unwrap();
            // The spool itself and its count are the administrator's.
            let is_roots = ["spool", "spool/sessions"].iter().any(|own| path.ends_with(own)) && meta.uid() == 0;
            let is_its = self.may_use(0, meta.uid()) && self.may_use(1, meta.gid());
            if !is_roots && !is_its {
                found.push(format!("{}: {}:{}", path.display(), meta.uid(), meta.gid()));
            }
            if meta.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
        for (program, words) in [("getfacl", &["-R", "-P", "-p", "-n", "-s"][..]), ("getcap", &["-n", "-r"])] {
            let Ok(said) = Command::new(program).args(words).args(&roots).stdin(Stdio::null()).stderr(Stdio::null()).output() else {
                continue;
            };
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            found.extend(said.lines().filter(|line| self.is_strange(line)).map(str::to_owned));
        }
        found
    }

    /// Whether a line of getfacl(1) or getcap(8) has an id that the account may not use.
    fn is_strange(&self, line: &str) -> bool {
        let line = line.strip_prefix("default:").unwrap_or(line);
        let root = line.rsplit_once("[rootid=").and_then(|(_, rest)| rest.strip_suffix(']'));
        let ids = [
            (0, line.strip_prefix("user:").and_then(|rest| rest.split(':').next())),
            (1, line.strip_prefix("group:").and_then(|rest| rest.split(':').next())),
            (0, root),
        ];
        ids.iter().any(|(kind, id)| id.and_then(|id| id.parse().ok()).is_some_and(|id| !self.may_use(*kind, id)))
    }

    /// Of a kind, users or groups.
    fn may_use(&self, kind: usize, id: u32) -> bool {
        let (first, count) = self.ranges[kind];
        id == [self.account.uid, self.account.gid][kind] || (first..first + count).contains(&id)
    }
}
