//! A store that is not as it should be: not mounted, full, read-only, from the future.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use snapgate::terms::Mail;
use snapgate::terms::limits::MIN_FREE_BYTES;
use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;

use support::Ran;
use support::mount::{Kind, Mount};
use support::{Server, Setup, accounts, must, tree, until};

fn data(server: &Server) -> PathBuf {
    let source = server.source("data");
    tree::small(&source);
    source
}

/// The client's line, the record and the mail of a push that the store did not take.
#[track_caller]
fn told_of_the_store(server: &Server, ran: &Ran) {
    let lines: Vec<_> = ran.stderr.lines().filter(|line| line.starts_with("snapgate: ")).collect();
    assert_eq!(lines[0], "snapgate: the server cannot store anything right now (code store)", "{}", ran.stderr);
    assert!(lines.len() == 2 && lines[1].contains("the administrator has been told"), "{lines:?}");
    let record = server.record();
    assert_eq!((record.result, record.exit, record.mail), (Outcome::Failed, 75, Mail::Alert), "{record:?}");
    assert_eq!(record.reasons[0].code, Code::Store, "{record:?}");
    let mail = server.mail("(code store)");
    assert!(mail.header("Subject").is_some_and(|subject| subject.contains("web1")), "{}", mail.header);
}

#[test]
fn a_store_that_is_not_mounted_is_left_alone() {
    let server = Setup::new().client("web1", "require_mount: true\n").start();
    let source = data(&server);
    let before = server.state();
    let ran = server.client("web1").push(&source, &[]).refused("store", 75);
    told_of_the_store(&server, &ran);
    tree::same(&server.state(), &before);
    let mail = server.mail("mount");
    assert!(mail.body.contains("require_mount"), "{}", mail.body);
}

#[test]
fn a_store_that_is_mounted_is_used() {
    for (kind, megabytes) in [(Kind::Ext4, 16), (Kind::Xfs, 320)] {
        let Some(mount) = Mount::new(kind, megabytes) else { continue };
        let server = Setup::new().client("web1", "require_mount: true\n").store(&mount.store()).start();
        let (source, repository) = (data(&server), server.repository("web1"));
        for count in 1..=2 {
            server.client("web1").push(&source, &[]).exits(0);
            assert_eq!(repository.snapshots().len(), count, "{kind:?}");
        }
        let inode = |number| tree::inode(&repository.snapshot(number).join("a.txt"));
        assert_eq!(inode(0), inode(1), "{kind:?}: what has not changed is linked");
        drop(server);
    }
}

#[test]
fn a_full_store_ends_the_push_and_keeps_history() {
    let Some(mount) = Mount::new(Kind::Ext4, 12) else { return };
    let server = Setup::new().client("web1", "").store(&mount.store()).start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), data(&server));
    web1.push(&source, &[]).exits(0);
    let before = tree::listing(&repository.path.join("snapshots"));
    tree::write(&source.join("huge"), tree::noise(1, 14_000_000));
    let ran = web1.push(&source, &[]);
    // The client's rsync hears of the full disk from the server's, and may end with that status before it has the gate's.
    assert!([11, 12, 75].contains(&ran.status), "{ran:?}");
    until("a record", || server.records().len() == 2);
    told_of_the_store(&server, &ran);
    assert_eq!(server.record().push.and_then(|push| push.rsync_exit), Some(11));
    tree::same(&tree::listing(&repository.path.join("snapshots")), &before);
    assert_eq!(repository.current(), Some(format!("snapshots/{}", repository.snapshots()[0])));
    assert!(!repository.path.join("inprogress").exists() && tree::files(&repository.path.join(".snapgate/interrupted")).is_empty());
    // Without the file that did not fit, the next push works again: what was set aside does not keep the store full.
    fs::remove_file(source.join("huge")).unwrap();
    web1.push(&source, &[]).exits(0);
    assert_eq!(repository.snapshots().len(), 2);
    drop(server);
}

#[test]
fn a_store_without_a_free_byte_is_reported_all_the_same() {
    let Some(mount) = Mount::new(Kind::Ext4, 12) else { return };
    let server = Setup::new().client("web1", "").store(&mount.store()).start();
    let source = data(&server);
    server.client("web1").push(&source, &[]).exits(0);
    let before = tree::listing(&server.repository("web1").path.join("snapshots"));
    let _ = Command::new("dd").args(["if=/dev/zero", "bs=64k"]).arg(format!("of={}", mount.store().join("filler").display())).output();
    tree::write(&source.join("more"), tree::noise(2, 200_000));
    let ran = server.client("web1").push(&source, &[]).refused("store", 75);
    told_of_the_store(&server, &ran);
    tree::same(&tree::listing(&server.repository("web1").path.join("snapshots")), &before);
    drop(server);
}

#[test]
fn a_store_that_fills_up_while_links_are_made_keeps_history() {
    let Some(mount) = Mount::new(Kind::Ext4, 28) else { return };
    let server = Setup::new().client("web1", "").store(&mount.store()).start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), data(&server));
    // Names so long that their directory alone takes more than there will be.
    for number in 0..6000 {
        tree::write(&source.join(format!("many/{number:0250}")), "");
    }
    web1.push(&source, &[]).exits(0);
    let before = tree::listing(&repository.path.join("snapshots"));
    let filler = mount.store().join("filler");
    let stat = nix::sys::statvfs::statvfs(&mount.store()).unwrap();
    let free = stat.blocks_available() * stat.fragment_size();
    tree::write(&filler, tree::noise(3, usize::try_from(free - MIN_FREE_BYTES).unwrap() - 200_000));
    for options in [&[][..], &["-H"]] {
        let ran = web1.push(&source, options).refused("store", 75);
        told_of_the_store(&server, &ran);
        tree::same(&tree::listing(&repository.path.join("snapshots")), &before);
        let detail = &server.record().reasons[0].detail;
        assert_eq!(detail.starts_with("linking in"), options.is_empty(), "placeholders do not fit either: {detail}");
        assert!(!repository.path.join("inprogress").exists() && !repository.path.join(".snapgate/placeholders").exists());
    }
    fs::remove_file(filler).unwrap();
    web1.push(&source, &[]).exits(0);
    assert_eq!(server.record().push.map(|push| (push.linked >= 6000, push.received)), Some((true, 0)));
    assert_eq!(repository.snapshots().len(), 2);
    drop(server);
}

#[test]
fn a_disk_that_loses_what_it_has_taken_publishes_nothing_of_it() {
    let Some(mount) = Mount::thin(64, 16) else { return };
    let server = Setup::new().client("web1", "").store(&mount.store()).start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), data(&server));
    web1.push(&source, &[]).exits(0);
    tree::write(&source.join("huge"), tree::noise(1, 24_000_000));
    // Slow enough that the disk is written to while the gate still counts.
    let ran = web1.push(&source, &["--bwlimit=40000"]).refused("store", 75);
    told_of_the_store(&server, &ran);
    assert_eq!(repository.snapshots().len(), 1);
    // The kernel has told of it, and calls all of it well from then on; what was still to fail has failed when this has ended.
    mount.enlarge(80);
    let _ = Command::new("sync").arg("-f").arg(mount.store()).output();
    let ran = web1.push(&source, &["--stats"]).exits(0);
    assert_eq!(ran.figure("Literal data"), 24_000_000, "none of it is trusted");
    assert_eq!(fs::read(repository.snapshot(-1).join("huge")).unwrap(), tree::noise(1, 24_000_000));
    drop(server);
}

#[test]
fn what_a_killed_gate_left_does_not_keep_the_store_full() {
    let Some(mount) = Mount::new(Kind::Ext4, 12) else { return };
    let server = Setup::new().client("web1", "").store(&mount.store()).start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), data(&server));
    web1.push(&source, &[]).exits(0);
    let uid = web1.account().uid;
    for left in ["inprogress", ".snapgate/interrupted", ".snapgate/interrupted/1"] {
        fs::create_dir(repository.path.join(left)).unwrap();
        std::os::unix::fs::chown(repository.path.join(left), Some(uid), None).unwrap();
    }
    for left in ["inprogress/half", ".snapgate/interrupted/1/half"] {
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=64k", "count=100"])
            .arg(format!("of={}", repository.path.join(left).display()))
            .output();
    }
    web1.push(&source, &[]).exits(0);
    assert_eq!(repository.snapshots().len(), 2);
    drop(server);
}

#[test]
fn a_read_only_store_is_refused_and_mailed() {
    let Some(mount) = Mount::new(Kind::Ext4, 16) else { return };
    let server = Setup::new().client("web1", "").store(&mount.store()).start();
    let source = data(&server);
    server.client("web1").push(&source, &[]).exits(0);
    let before = server.state();
    mount.remount("ro");
    server.client("web1").push(&source, &[]).refused("store", 75);
    tree::same(&server.state(), &before);
    // The repository's ledger cannot be written: the record stands in the spool's.
    let spooled = server.path().join("spool").join(server.client("web1").account().uid.to_string()).join("ledger.jsonl");
    let records = support::repository::read_ledger(&spooled);
    assert_eq!(records.last().map(|record| record.exit), Some(75), "{}", spooled.display());
    server.mail("store");
    mount.remount("rw");
    server.client("web1").push(&source, &[]).exits(0);
    drop(server);
}

#[test]
fn a_repository_that_is_not_the_accounts_is_refused() {
    let Some(second) = accounts::second() else { return };
    let server = Setup::new().client("web1", "").start();
    let repository = server.repository("web1").path;
    accounts::give(&repository, &second);
    let before = server.state();
    server.client("web1").push(&data(&server), &[]).refused("store", 75);
    tree::same(&server.state(), &before);
    server.mail("store");
}

#[test]
fn a_clock_before_the_newest_snapshot_is_refused() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), data(&server));
    web1.push(&source, &[]).exits(0);
    let future = repository.path.join("snapshots/2099-01-01T00-00-00Z");
    must(Command::new("cp").arg("-a").arg(repository.snapshot(0)).arg(&future));
    fs::remove_file(repository.path.join("current")).unwrap();
    std::os::unix::fs::symlink("snapshots/2099-01-01T00-00-00Z", repository.path.join("current")).unwrap();
    let before = server.state();
    web1.push(&source, &[]).refused("clock", 75);
    tree::same(&server.state(), &before);
    server.mail("clock");
}

#[test]
fn a_dangling_or_missing_current_is_mended_by_the_next_push() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), data(&server));
    web1.push(&source, &[]).exits(0);
    let current = repository.path.join("current");
    for broken in [None, Some("snapshots/gone")] {
        fs::remove_file(&current).unwrap();
        if let Some(target) = broken {
            std::os::unix::fs::symlink(target, &current).unwrap();
        }
        web1.push(&source, &[]).exits(0);
        assert_eq!(repository.current(), Some(format!("snapshots/{}", repository.snapshots().pop().unwrap())));
        assert_eq!(tree::inode(&Path::new(&current).join("a.txt")), tree::inode(&repository.snapshot(0).join("a.txt")));
    }
}

#[test]
fn what_somebody_left_in_inprogress_never_reaches_a_snapshot() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), data(&server));
    web1.push(&source, &[]).exits(0);
    let left = repository.path.join("inprogress");
    let _ = fs::remove_dir_all(&left);
    tree::write(&left.join("stray"), "not of this push\n");
    tree::write(&left.join(".a.txt.Xy12Zq"), "orphan\n");
    let account = web1.account();
    for path in [left.clone(), left.join("stray"), left.join(".a.txt.Xy12Zq")] {
        accounts::give(&path, &account);
    }
    web1.push(&source, &[]).exits(0);
    assert_eq!(tree::files(&repository.snapshot(-1)), tree::files(&source));
}
