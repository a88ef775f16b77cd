//! `owners: drop`: all of a client's files are the account's, and the record says how many were others'.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;

use snapgate::terms::{DroppedOwners, Mail};

use support::accounts::{self, is_root};
use support::{ALL_VERBS, Server, Setup, must, skip, tree};

/// A server with a client whose owners are dropped; only root can make files of several.
fn dropping(options: &str) -> Option<Server> {
    if !is_root() {
        skip("files of several owners have to be made: needs root");
        return None;
    }
    Some(Setup::new().client("web1", &format!("{ALL_VERBS}owners: drop\nreport: problems\n{options}")).start())
}

fn owned(path: &Path, owner: u32) {
    tree::write(path, path.as_os_str().as_encoded_bytes());
    chown(path, Some(owner), Some(owner)).unwrap();
}

fn dropped(server: &Server) -> Option<DroppedOwners> {
    server.record().push.unwrap().dropped_owners
}

fn some(files: u64, owners: u64) -> Option<DroppedOwners> {
    Some(DroppedOwners { files, owners, more: false })
}

#[test]
fn files_of_others_are_counted_when_they_become_the_account_s() {
    let Some(server) = dropping("") else { return };
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    let account = accounts::account(0);
    for (name, owner) in [("a", 33), ("b/c", 33), ("b/d", 1234), ("e", account.uid), ("f", 0)] {
        owned(&source.join(name), owner);
    }
    symlink("a", source.join("link")).unwrap();
    web1.push(&source, &["-n"]).exits(0);
    assert_eq!(dropped(&server), None, "a dry run has brought nothing");
    web1.push(&source, &["--numeric-ids"]).exits(0);
    let record = server.record();
    assert_eq!((dropped(&server), record.mail, record.warnings.len()), (some(4, 3), Mail::None, 0), "{record:?}");
    assert_eq!(fs::metadata(repository.snapshot(-1).join("b/d")).unwrap().uid(), account.uid);
    let logs = repository.path.join(".snapgate/logs");
    let said = fs::read_to_string(logs.join(format!("{}.log", record.id))).unwrap();
    assert!(said.contains("] 4 files of 3 other owners became the account's: no owners are kept\n"), "{said}");
    let said = fs::read_to_string(logs.join(format!("{}.rsync.log", record.id))).unwrap();
    assert!(!said.lines().any(|line| line.ends_with("] 33")) && said.contains("total size"), "{said}");
    let listed = server.snapgate(&["list", "web1"]).exits(0).stdout;
    assert!(listed.contains("  4 stored as the account's  current"), "{listed}");
    assert!(server.syslog().iter().any(|line| line.contains(" of_others=4 ")), "{:?}", server.record());

    let ran = web1.push(&source, &[]).exits(0);
    assert_eq!((dropped(&server), ran.stderr.as_str()), (None, ""), "nothing arrived, and the client is told nothing");
    tree::write(&source.join("b/d"), "changed");
    web1.push(&source, &[]).exits(0);
    assert_eq!(dropped(&server), some(1, 1));
    tree::write(&source.join("b/d"), "changed again");
    web1.push(&source, &["--no-owner"]).exits(0);
    assert_eq!(dropped(&server), None, "whose it is was not sent");
}

#[test]
fn an_account_that_keeps_no_owners_may_be_named_as_whom_it_is_and_nobody_else() {
    let Some(server) = dropping("") else { return };
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    let account = accounts::account(0);
    owned(&source.join("a"), 33);
    for own in
        [format!("--chown={0}:{0}", account.name), format!("--chown={}", account.name), format!("--chown={}:{}", account.uid, account.gid)]
    {
        web1.push(&source, &[&own]).exits(0);
        let record = server.record();
        assert_eq!((record.mail, record.warnings.len()), (Mail::None, 0), "{own}: {record:?}");
        assert_eq!(fs::metadata(repository.snapshot(-1).join("a")).unwrap().uid(), account.uid);
        let said = fs::read_to_string(repository.path.join(format!(".snapgate/logs/{}.log", record.id))).unwrap();
        assert!(
            own.contains(&account.uid.to_string()) || said.contains("was not passed on: whatever is stored belongs to this account"),
            "{said}"
        );
    }
    let ran = web1.push(&source, &["--chown=daemon:daemon"]).exits(77);
    assert!(ran.stderr.contains("`--usermap=*:daemon` is not allowed"), "{}", ran.stderr);
}

#[test]
fn what_rsync_says_is_heard_before_and_among_thousands_of_owners() {
    let Some(server) = dropping("") else { return };
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    for number in 0..3000 {
        owned(&source.join(format!("b/{number}")), 70_000 + number % 7);
    }
    must(Command::new("mkfifo").arg(source.join("a-first")));
    web1.push(&source, &["--no-D"]).exits(0);
    let record = server.record();
    let facts = record.push.unwrap();
    assert_eq!((facts.dropped_owners, facts.skipped), (some(3000, 7), 1));
    assert_eq!(record.warnings, [""; 0], "what is skipped is no complaint");
    let said = fs::read_to_string(repository.path.join(format!(".snapgate/logs/{}.rsync.log", record.id))).unwrap();
    assert!(said.contains("a-first") && said.len() < 4096, "{said}");
}

#[test]
fn what_the_pushes_of_a_transaction_have_dropped_adds_up() {
    let Some(server) = dropping("") else { return };
    let (web1, source) = (server.client("web1"), server.source("data"));
    owned(&source.join("a"), 33);
    owned(&source.join("b"), 34);
    web1.ssh(&["prepare"]).exits(0);
    for place in ["one", "two"] {
        web1.rsync(&["-a", &format!("{}/", source.display()), &format!("backup:{place}/")]).exits(0);
        assert_eq!(dropped(&server), some(2, 2));
    }
    web1.ssh(&["complete"]).exits(0);
    assert_eq!(dropped(&server), Some(DroppedOwners { files: 4, owners: 2, more: true }));
}
