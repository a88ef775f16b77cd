//! A push that was cut off goes on where it stopped, and two pushes never meet.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use snapgate::terms::Mail;
use snapgate::terms::outcome::Outcome;

use support::{Server, Setup, processes, tree, until};

/// How many files have arrived whole, with a running push or with those before it. What those before it brought is linked only
/// when rsync is gone, so that it stands in their trees until then.
fn arrived(server: &Server, source: &Path) -> usize {
    let repository = server.repository("web1").path;
    let set_aside = repository.join(".snapgate/interrupted");
    let tries = fs::read_dir(set_aside).into_iter().flatten().flatten().map(|entry| entry.path());
    let trees = tries.chain([repository.join("inprogress")]);
    let names = trees.flat_map(|tree| tree::files(&tree)).filter(|file| source.join(file).exists());
    names.collect::<BTreeSet<_>>().len()
}

/// Waits until no rsync and no gate of this server runs.
fn quiet(server: &Server) {
    until("the cut-off push has ended on the server", || {
        ["rsync", "snapgate-shell"].iter().all(|name| processes::of(server.store(), name).is_empty())
            && processes::of(server.path(), "bin/snapgate-shell").is_empty()
    });
}

#[test]
fn nothing_that_had_arrived_travels_again() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    let size = 100_000;
    for number in 0..30 {
        tree::write(&source.join(format!("{number:02}/file{number:02}")), tree::noise(number, 100_000));
    }
    let push = web1.start_push(&source, &["--bwlimit=1000"]);
    until("ten files are there", || arrived(&server, &source) >= 10);
    push.kill();
    quiet(&server);
    assert!(repository.snapshots().is_empty(), "half a push is no snapshot");
    assert_eq!(repository.current(), None);

    let ran = web1.push(&source, &["--stats"]).exits(0);
    let sent = ran.figure("Total bytes sent");
    // Ten files had arrived whole; what was under way need not have been kept.
    assert!(ran.figure("Literal data") <= 20 * size, "{}", ran.stdout);
    assert!(sent <= 21 * size, "{sent}");
    assert_eq!(repository.snapshots().len(), 1);
    let snapshot = repository.snapshot(0);
    assert_eq!(tree::files(&snapshot), tree::files(&source), "and no orphan of rsync's among them");
    for file in tree::files(&source) {
        assert_eq!(fs::read(snapshot.join(&file)).unwrap(), fs::read(source.join(&file)).unwrap(), "{file:?}");
    }
    let again = web1.push(&source, &["--stats"]).exits(0);
    assert_eq!(again.figure("Literal data"), 0);
    assert_eq!(tree::inode(&repository.snapshot(-1).join("00/file00")), tree::inode(&snapshot.join("00/file00")));
}

#[test]
fn one_big_file_goes_on_in_the_middle() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    let size = 6_000_000;
    tree::write(&source.join("disk.img"), tree::noise(99, size));
    let push = web1.start_push(&source, &["--bwlimit=3000"]);
    let inprogress = repository.path.join("inprogress");
    let received =
        || tree::files(&inprogress).iter().filter_map(|file| fs::metadata(inprogress.join(file)).ok()).map(|meta| meta.len()).sum::<u64>();
    until("half of it is there", || received() > 3_000_000);
    push.kill();
    quiet(&server);
    let ran = web1.push(&source, &["--stats"]).exits(0);
    let literal = ran.figure("Literal data");
    assert!(literal < 3_500_000, "{literal} of {size} bytes travelled again");
    assert_eq!(fs::read(repository.snapshot(0).join("disk.img")).unwrap(), tree::noise(99, size));
    assert_eq!(tree::files(&repository.snapshot(0)).len(), 1);
}

#[test]
fn several_cut_off_pushes_add_up() {
    let server = Server::start();
    let (web1, source) = (server.client("web1"), server.source("data"));
    for number in 0..30 {
        tree::write(&source.join(format!("file{number:02}")), tree::noise(number, 50_000));
    }
    for want in [5, 12, 20] {
        let push = web1.start_push(&source, &["--bwlimit=600"]);
        until("some more files are there", || arrived(&server, &source) >= want);
        push.kill();
        quiet(&server);
    }
    let ran = web1.push(&source, &["--stats"]).exits(0);
    assert!(ran.figure("Literal data") <= 10 * 50_000, "{}", ran.stdout);
    assert_eq!(tree::files(&server.repository("web1").snapshot(0)).len(), 30);
}

#[test]
fn a_cut_off_push_leaves_a_record_and_history_alone() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &[]).exits(0);
    let before = tree::listing(&repository.path.join("snapshots"));
    tree::write(&source.join("photo.raw"), tree::noise(5, 300_000));
    let push = web1.start_push(&source, &["--bwlimit=100"]);
    until("it has begun", || !tree::files(&repository.path.join("inprogress")).is_empty());
    push.kill();
    quiet(&server);
    tree::same(&tree::listing(&repository.path.join("snapshots")), &before);
    until("a record of it", || server.records().len() == 2);
    let record = server.record();
    assert!(matches!(record.result, Outcome::Failed | Outcome::Unpublished), "{record:?}");
}

#[test]
fn a_second_push_while_one_runs_is_told_to_come_later() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    // About ten seconds: on a busy machine a connection takes its time.
    tree::write(&source.join("slow"), tree::noise(1, 300_000));
    let push = web1.start_push(&source, &["--bwlimit=30"]);
    until("the push has begun", || !tree::files(&repository.path.join("inprogress")).is_empty());
    let ran = web1.push(&source, &[]).refused("busy", 75);
    assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
    let record = server.record();
    assert_eq!((record.result, record.mail, record.exit), (Outcome::Busy, Mail::None, 75), "a plain busy is not mailed");
    web1.ssh(&["status"]).exits(0);
    push.wait().exits(0);
    assert_eq!(repository.snapshots().len(), 1);
}

#[test]
fn the_lock_is_held_until_rsync_is_gone_even_if_the_gate_was_killed() {
    // An rsync that has work left when its gate dies. A stopped one would not do: the kernel wakes and hangs up what is
    // stopped in an orphaned process group. The jail is off, since it would not let rsync be a script.
    let server = Setup::new().client("web1", "").site("rsync: $DIR/hooks/lingering\njail: off\n").start();
    let real = support::client::which("rsync").display().to_string();
    let linger = server.source("seen").join("linger");
    let text = format!(
        "if [ \"$1\" = --version ]; then exec {real} --version; fi\ntrap '' HUP TERM INT PIPE\n{real} \"$@\"\nstatus=$?\n\
         while [ -e {} ]; do sleep 0.05; done\nexit $status",
        linger.display()
    );
    server.script("lingering", &text);
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &[]).exits(0);
    let before = tree::listing(&repository.path.join("snapshots"));
    tree::write(&linger, "");
    // About ten seconds: on a busy machine a connection takes its time.
    tree::write(&source.join("slow"), tree::noise(1, 300_000));
    let push = web1.start_push(&source, &["--bwlimit=30"]);
    until("the push has begun", || !tree::files(&repository.path.join("inprogress")).is_empty());
    let gates = processes::of(server.path(), "bin/snapgate-shell");
    assert!(!gates.is_empty());
    processes::signal(&gates, Signal::SIGKILL);
    until("the gate is gone", || gates.iter().all(|pid| !processes::is_alive(*pid)));
    push.kill();

    web1.push(&source, &[]).refused("busy", 75);
    assert!(web1.ssh(&["status"]).exits(0).stdout.contains("yes"), "and `status` says that a push runs");

    fs::remove_file(&linger).unwrap();
    until("rsync is gone", || web1.ssh(&["status"]).stdout.contains("push running:    no"));
    tree::same(&tree::listing(&repository.path.join("snapshots")), &before);
    web1.push(&source, &[]).exits(0);
    assert_eq!(repository.snapshots().len(), 2);
    assert_eq!(tree::files(&repository.snapshot(-1)), tree::files(&source));
    assert_eq!(repository.current(), Some(format!("snapshots/{}", repository.snapshots()[1])));
}

#[test]
fn a_push_that_takes_too_long_is_ended_and_goes_on_next_time() {
    let server = Setup::new().client("web1", "time_limits: { push: 2s }\n").start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    for number in 0..40 {
        tree::write(&source.join(format!("file{number:02}")), tree::noise(number, 20_000));
    }
    let ran = web1.push(&source, &["--bwlimit=150"]);
    assert_ne!(ran.status, 0);
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
    assert!(repository.snapshots().is_empty());
    until("a record of it", || !server.records().is_empty());
    assert!(server.record().reasons.iter().any(|reason| reason.code.as_str() == "deadline"), "{:?}", server.record());
    let ran = web1.push(&source, &["--stats"]).exits(0);
    assert!(ran.figure("Literal data") < 40 * 20_000, "{}", ran.stdout);
    assert_eq!(repository.snapshots().len(), 1);
}
