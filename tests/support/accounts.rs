//! The unix accounts that clients log in as. As root seven of them are made once and stay (`make clean-accounts` removes
//! them); as an ordinary user there is one, oneself.

use std::fs;
use std::os::unix::fs::{chown, lchown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use nix::unistd::Uid;

use crate::run::must;
use crate::{getent, mode, skip};

/// A unix account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its home.
    pub home: PathBuf,
}

/// Where the homes are.
const HOMES: &str = "/var/lib/snapgate-test";

/// The group of every account that the gate serves, as in production.
const GROUP: &str = "snapgate";

/// How many accounts root gets.
pub const COUNT: usize = 9;

/// The one whose ids for others change in `tests/sshd/owners_ranges.rs`. No other test is on it.
pub const CHANGING: usize = 4;

/// Pairs of accounts whose repositories change hands, for which no process of theirs may run. No other test is on them.
pub const HANDING: [[usize; 2]; 2] = [[5, 6], [7, 8]];

/// Whether root runs the tests.
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// The account of that number. An ordinary user only ever has one.
pub fn account(number: usize) -> Account {
    static ALL: OnceLock<Vec<Account>> = OnceLock::new();
    let all = ALL.get_or_init(|| if is_root() { (1..=COUNT).map(make).collect() } else { vec![of(&getent::my_name()).unwrap()] });
    all[number % all.len()].clone()
}

/// An account that is not the first client's; `None`, and said so, for an ordinary user, who has one.
pub fn second() -> Option<Account> {
    if !is_root() {
        skip("a second account is needed: needs root");
        return None;
    }
    Some(account(1))
}

/// The first range of ids that such a file (subuid(5), subgid(5)) gives an account, and how many they are.
pub fn range(account: &Account, file: &str) -> Option<(u32, u32)> {
    let text = fs::read_to_string(file).ok()?;
    let (first, count) = text.lines().find_map(|line| line.strip_prefix(&format!("{}:", account.name)))?.split_once(':')?;
    Some((first.parse().unwrap(), count.parse().unwrap()))
}

/// Gives a file or directory to an account, where that is possible.
pub fn give(path: &Path, account: &Account) {
    if is_root() {
        lchown(path, Some(account.uid), Some(account.gid)).unwrap();
    }
}

/// Owners and modes as in production: the configuration is root's and readable by the accounts' group, the spool lets
/// every account make its own directory and read no other's.
pub fn give_to_gates(dir: &Path) {
    // A server without clients has asked for no account yet, and the group is made with them.
    account(0);
    let group = is_root().then(|| group().expect("just made"));
    let config = dir.join("config");
    let sessions = dir.join("spool/sessions");
    if !sessions.exists() {
        fs::write(&sessions, "").unwrap();
    }
    let mut paths = vec![(config.clone(), 0o750), (config.join("policies"), 0o750), (config.join("snapgate.yaml"), 0o640)];
    paths.extend(fs::read_dir(config.join("policies")).unwrap().map(|entry| (entry.unwrap().path(), 0o640)));
    paths.extend([(dir.join("spool"), 0o1730), (sessions, 0o660), (dir.join("mail"), 0o1770)]);
    for (path, bits) in paths {
        if is_root() {
            chown(&path, Some(0), group).unwrap();
        }
        mode(&path, bits);
    }
    if dir.join("store").exists() {
        mode(&dir.join("store"), 0o711);
    }
}

/// The number of that group, if it is there.
fn group() -> Option<u32> {
    Some(getent::entry("group", GROUP)?.get(2)?.parse().unwrap())
}

/// The account of that name, if it is there.
fn of(name: &str) -> Option<Account> {
    let fields = getent::entry("passwd", name)?;
    let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { panic!("an odd line of passwd: {fields:?}") };
    Some(Account { name: name.clone(), uid: uid.parse().unwrap(), gid: gid.parse().unwrap(), home: home.into() })
}

fn make(number: usize) -> Account {
    // Two test programs may come here at once.
    let lock = fs::File::create("/run/snapgate-test.lock").unwrap();
    lock.lock().unwrap();
    let name = format!("sgtest{number}");
    if group().is_none() {
        must(Command::new("groupadd").args(["--system", GROUP]));
    }
    if of(&name).is_none() {
        fs::create_dir_all(HOMES).unwrap();
        let home = format!("{HOMES}/{name}");
        // `*` is no password but, unlike `!`, not a locked account, which sshd without PAM would turn away.
        must(Command::new("useradd").args(["-p", "*", "-s", "/bin/sh", "-m", "-k", "/dev/null", "-d", &home, "-G", GROUP, &name]));
    }
    let account = of(&name).expect("just made");
    assert_ne!(account.gid, 0, "{name} is an ordinary account");
    account
}
