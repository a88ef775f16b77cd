//! What the tests of `snapgate remap` begin with: a server, a client, and a repository that goes from one account to another.

use std::cell::Cell;
use std::fs::{self, File};
use std::ops::Deref;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::owners::{first, skipped};
use support::accounts::{self, Account, HANDING};
use support::client::Client;
use support::repository::Repository;
use support::{ALL_VERBS, Ran, Server, Setup, must, tree, until};

pub(crate) const FULL: [&str; 2] = ["-AXH", "--numeric-ids"];

/// A server whose repository goes from one account to the other. One at a time for each pair of them: what runs for one test would be
/// in the way of the next.
pub(crate) struct Lab {
    server: Server,
    _alone: File,
}

thread_local! {
    /// The pair of accounts that the test has, once it has its server.
    static PAIR: Cell<Option<[usize; 2]>> = const { Cell::new(None) };
}

/// Waits for a pair of accounts that no other test is on.
fn pair() -> File {
    // An ordinary user has one account.
    let pairs = &HANDING[..if accounts::is_root() { HANDING.len() } else { 1 }];
    let of = |pair: &[usize; 2]| {
        let lock = std::env::temp_dir().join(format!("snapgate-test-remap-{}.lock", accounts::account(pair[0]).uid));
        let lock = File::create(lock).unwrap();
        lock.try_lock().is_ok().then_some((*pair, lock))
    };
    loop {
        if let Some((pair, lock)) = pairs.iter().find_map(of) {
            PAIR.set(Some(pair));
            return lock;
        }
        sleep(Duration::from_millis(20));
    }
}

impl Deref for Lab {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// A client on the first account; another, `moved`, on the second, whose login stands for the client's own once it has moved there.
pub(crate) fn server(owners: &str) -> Lab {
    let alone = pair();
    let [from, to] = PAIR.get().unwrap();
    let setup = Setup::new().client_on(from, "web1", &format!("{ALL_VERBS}{owners}"));
    let server = setup.stranger_on(to, "moved").start();
    Lab { server, _alone: alone }
}

/// What most stories begin with: the server and its client, the client's repository, and the data that was pushed into it. `None`, and
/// said so, where no owners can be kept.
pub(crate) fn pushed(fill: fn(&Path)) -> Option<(Lab, Client, Repository, PathBuf)> {
    if skipped() {
        return None;
    }
    let server = server("owners: keep\n");
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    fill(&source);
    web1.push(&source, &FULL).exits(0);
    Some((server, web1, repository, source))
}

pub(crate) fn from() -> Account {
    accounts::account(PAIR.get().unwrap()[0])
}

pub(crate) fn to() -> Account {
    accounts::account(PAIR.get().unwrap()[1])
}

/// The policy, now for the second account.
pub(crate) fn moved(server: &Server) -> Account {
    let account = to();
    server.policy("web1", &format!("{ALL_VERBS}owners: keep\nuser: {}\n", account.name));
    account
}

/// A session's last processes may still be there when its client is gone.
pub(crate) fn until_nobody_runs() {
    if !accounts::is_root() {
        return;
    }
    // Asked of every process again and again, and each answer takes a look into `/etc/subuid`.
    let all = [from(), to()].map(|account| (account.uid, first(&account)));
    let is_theirs = |id: &u32| all.iter().any(|(uid, first)| id == uid || (*first..first + 65_536).contains(id));
    let users = |status: String| {
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default().to_owned();
        line.split_whitespace().map(|word| word.parse().unwrap()).collect::<Vec<u32>>()
    };
    until("no process of the accounts runs", || {
        let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join("status"));
        processes.filter_map(|status| fs::read_to_string(status).ok()).flat_map(users).all(|id| !is_theirs(&id))
    });
}

pub(crate) fn remap(server: &Server, words: &[&str]) -> Ran {
    until_nobody_runs();
    server.snapgate(&[&["remap", "--client", "web1"], words].concat())
}

/// The same in a view of its own, in which root has run some commands first.
pub(crate) fn remap_after(server: &Server, commands: &str) -> Ran {
    until_nobody_runs();
    let mut shell = Command::new("unshare");
    shell.args(["-m", "sh", "-ec", &format!("{commands}\nexec \"$@\""), "sh"]).arg(server.path().join("bin/snapgate"));
    support::run(shell.arg("--config").arg(server.config()).args(["remap", "--client", "web1"]))
}

/// What root leaves beside a repository as long as it is not done.
pub(crate) fn private(repository: &Path) -> PathBuf {
    repository.with_file_name(".snapgate-remap-web1")
}

/// What a dry run or a run says of how many.
pub(crate) fn figures(ran: &Ran) -> &str {
    let line = ran.stdout.lines().find_map(|line| line.split_once("change: ").or_else(|| line.split_once("changed: ")));
    line.unwrap_or_else(|| panic!("{}", ran.stdout)).1
}

/// Everything in a repository that has an owner, with all that can name one.
pub(crate) fn state(path: &Path) -> Vec<String> {
    let lists = must(Command::new("getfacl").args(["-RPpn"]).arg(path));
    let more = must(Command::new("getfattr").args(["-Rhd", "-e", "hex", "-m", "^(security.capability|trusted[.])"]).arg(path));
    tree::listing(path).into_iter().chain([lists, more]).collect()
}

/// Everything belongs to the account, or to an id of its own for others.
#[track_caller]
pub(crate) fn nothing_is_strange(path: &Path, account: &Account) {
    let own = first(account)..first(account) + 65_536;
    let known = |id: u32, accounts: u32| id == accounts || own.contains(&id);
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        assert!(known(meta.uid(), account.uid) && known(meta.gid(), account.gid), "{}: {}:{}", path.display(), meta.uid(), meta.gid());
        if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}

/// Pushes to the repository that has moved, through its new account, and finishes the transaction.
#[track_caller]
pub(crate) fn push_moved(server: &Server, source: &Path) {
    let key = server.client("moved").fingerprint();
    let account = to();
    server.policy("web1", &format!("{ALL_VERBS}owners: keep\nuser: {}\nkeys: [\"{key}\"]\n", account.name));
    let client = server.client("moved");
    client.push(source, &FULL).exits(0);
    assert_eq!(server.record().push.unwrap().received, 0, "nothing is sent again");
    let _ = client.ssh(&["complete"]);
    let checked = server.snapgate(&["check", "--all"]).stdout;
    assert!(!checked.contains("remap") && checked.contains(&format!("kept, as users {}-", first(&account))), "{checked}");
}
