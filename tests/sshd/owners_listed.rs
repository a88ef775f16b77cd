//! `owners: keep`: access lists that name ids beyond those of the account.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;

use snapgate::terms::Mail;

use super::owners::{first, keeping, run, skipped};
use support::{accounts, must, tree};

/// The ids that a list names, as the client's.
fn named(path: &Path, first: u32) -> Vec<String> {
    let list = must(Command::new("getfacl").args(["-pcn"]).arg(path));
    let entry = |line: &str| {
        let mut parts = line.trim_start_matches("default:").split(':');
        let (kind, id) = (parts.next()?, parts.next()?.parse::<u32>().ok()?);
        Some(format!("{kind} {}", i64::from(id) - i64::from(first)))
    };
    list.lines().filter_map(entry).collect()
}

/// Three that name somebody beyond, one that names somebody else, and one that is somebody's beyond.
fn listing(source: &Path) {
    tree::small(source);
    run("setfacl", &["-m", "u:70000:r,g:80000:r,u:5:r"], &source.join("a.txt"));
    run("setfacl", &["-m", "u:6:r"], &source.join("photo.raw"));
    run("setfacl", &["-d", "-m", "u:90000:r"], &source.join("etc"));
    let many: Vec<_> = (100..200).chain([4_000_000_000]).map(|id: u32| format!("g:{id}:r")).collect();
    run("setfacl", &["-m", &many.join(",")], &source.join("etc/hosts"));
    fs::set_permissions(source.join("etc/hosts"), Permissions::from_mode(0o000)).unwrap();
}

#[test]
fn an_id_beyond_in_an_access_list_is_nobody_s_however_it_is_sent() {
    if skipped() {
        return;
    }
    let server = keeping();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    let first = first(&accounts::account(0));
    listing(&source);
    let ways = [
        &[][..],
        &["--numeric-ids"],
        &["--numeric-ids", "--delete-before"],
        &["--numeric-ids", "--delete-after"],
        &["--numeric-ids", "--prune-empty-dirs"],
        &["--numeric-ids", "--no-inc-recursive"],
        &["--numeric-ids", "--delete", "-H"],
        &["--numeric-ids", "--usermap=7:8"],
        &["--no-owner"],
        &["--no-group"],
        &["--no-owner", "--no-group"],
        &["--no-owner", "--no-group", "--numeric-ids"],
        &["--no-owner", "--no-group", "--delete-before"],
        &["--no-owner", "--no-group", "--numeric-ids", "--delete-before"],
    ];
    for (number, options) in ways.into_iter().enumerate() {
        // Another size, so that it travels within the same second.
        for file in ["a.txt", "photo.raw", "etc/hosts"] {
            tree::write(&source.join(file), "x".repeat(number));
        }
        let ran = web1.push(&source, &[&["-A"], options].concat()).exits(0);
        assert!(ran.stderr.contains("snapgate: 3 files name users or groups that the server cannot keep"), "{options:?}: {}", ran.stderr);
        let record = server.record();
        assert_eq!((record.push.unwrap().beyond, record.mail), (3, Mail::Report), "{options:?}");
        assert_eq!(record.warnings.len(), 1, "{options:?}: {:?}", record.warnings);
        let snapshot = repository.snapshot(-1);
        assert_eq!(named(&snapshot.join("a.txt"), first), ["user 5", "user 65535", "group 65535"], "{options:?}");
        assert_eq!(named(&snapshot.join("photo.raw"), first), ["user 6"], "{options:?}");
        assert_eq!(named(&snapshot.join("etc"), first), ["user 65535"], "{options:?}");
        assert_eq!(named(&snapshot.join("etc/hosts"), first).last().unwrap(), "group 65535", "{options:?}");
        let log = fs::read_to_string(repository.path.join(format!(".snapgate/logs/{}.log", record.id))).unwrap();
        let whole = ["--delete-before", "--delete-after", "--prune-empty-dirs", "--no-inc-recursive"];
        let unmapped = options.contains(&"--numeric-ids") && !options.iter().any(|option| whole.contains(option));
        assert_eq!(log.contains("`--numeric-ids` was not passed on: "), unmapped, "{options:?}: {log}");
        let owner = fs::metadata(snapshot.join("a.txt")).unwrap().uid() - first;
        assert_eq!(owner, 0, "{options:?}");
    }
}

#[test]
fn no_owner_comes_with_an_access_list_that_was_not_asked_for() {
    if skipped() {
        return;
    }
    let server = keeping();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    let first = first(&accounts::account(0));
    listing(&source);
    chown(source.join("a.txt"), Some(70_000), Some(7)).unwrap();
    let owner = || {
        let found = fs::metadata(repository.snapshot(-1).join("a.txt")).unwrap();
        (found.uid() - first, found.gid() - first)
    };
    for (options, expected, beyond) in [
        (&["-A", "--no-owner", "--no-group"][..], (0, 0), 3),
        (&["-A", "--no-owner"], (0, 7), 3),
        (&["-A"], (65_535, 7), 3),
        (&[], (65_535, 7), 1),
    ] {
        fs::write(source.join("a.txt"), format!("{options:?}")).unwrap();
        fs::write(source.join("etc/hosts"), format!("{options:?}")).unwrap();
        web1.push(&source, options).exits(0);
        assert_eq!((owner(), server.record().push.unwrap().beyond), (expected, beyond), "{options:?}");
    }
}

#[test]
fn access_lists_of_a_transaction_are_looked_at_when_it_is_complete() {
    if skipped() {
        return;
    }
    let server = keeping();
    let (web1, source) = (server.client("web1"), server.source("data"));
    listing(&source);
    web1.ssh(&["prepare"]).exits(0);
    web1.push(&source, &["-A"]).exits(0);
    web1.push(&source, &["-A"]).exits(0);
    web1.ssh(&["complete"]).exits(0);
    assert_eq!(server.record().push.unwrap().beyond, 3);
}
