//! A plain rsync push becomes a snapshot, and history stays as it was.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use snapgate::terms::outcome::Outcome;

use support::{Server, Setup, accounts, mode, tree, until};

fn time_of(name: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(name, "%Y-%m-%dT%H-%M-%SZ").unwrap_or_else(|error| panic!("{name}: {error}")).and_utc()
}

#[test]
fn two_pushes_are_two_snapshots_that_share_what_did_not_change() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.rsync(&["-az", "--delete", &format!("{}/", source.display()), "backup:"]).exits(0);
    let first = repository.snapshot(-1);
    assert_eq!(tree::files(&first), tree::files(&source));

    fs::write(source.join("a.txt"), "second, longer\n").unwrap();
    fs::remove_file(source.join("etc/deep/er/file")).unwrap();
    tree::write(&source.join("new"), "new\n");
    web1.rsync(&["-az", "--delete", &format!("{}/", source.display()), "backup:"]).exits(0);
    let second = repository.snapshot(-1);

    assert_eq!(repository.snapshots().len(), 2);
    assert_eq!(tree::files(&second), tree::files(&source));
    for same in ["etc/hosts", "photo.raw"] {
        assert_eq!(tree::inode(&first.join(same)), tree::inode(&second.join(same)), "{same}");
    }
    assert_ne!(tree::inode(&first.join("a.txt")), tree::inode(&second.join("a.txt")));
    assert_eq!(fs::read_to_string(first.join("a.txt")).unwrap(), "first\n");
    assert_eq!(fs::read_to_string(second.join("a.txt")).unwrap(), "second, longer\n");
    assert!(first.join("etc/deep/er/file").exists(), "what was deleted on the client is still in the older snapshot");

    let record = server.record();
    assert_eq!(record.result, Outcome::Published);
    let push = record.push.unwrap();
    assert_eq!((push.files, push.linked, push.received), (4, 2, 2));
    assert_eq!(push.snapshot.as_deref(), repository.snapshots().last().map(String::as_str));
}

#[test]
fn words_that_travel_on_standard_input_come_through_sshd_as_they_are() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    let from = format!("{}/", source.display());
    for link in 0..2 {
        web1.rsync(&["-azs", "--delete", &from, "backup:it's\n\\ \"a* b\"/"]).exits(0);
        let place = repository.snapshot(-1).join("it's\n\\ \"a* b\"");
        assert_eq!(tree::files(&place), tree::files(&source));
        assert_eq!(server.record().push.unwrap().linked, 4 * link);
    }
    assert!(
        server.record().command.ends_with("and on standard input `rsync` `--delete` `.` `it's\\n\\\\ \"a* b\"/`"),
        "{}",
        server.record().command
    );
    web1.rsync(&["-as", &from, "backup:../x/"]).refused("path", 77);
}

#[test]
fn current_is_a_relative_link_to_the_newest_snapshot() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    for count in 1..=3 {
        web1.push(&source, &[]).exits(0);
        let names = repository.snapshots();
        assert_eq!(names.len(), count, "a name is always later than the newest one, within one second too");
        assert_eq!(repository.current(), Some(format!("snapshots/{}", names[count - 1])));
        assert!(!repository.path.join("inprogress").exists() || tree::files(&repository.path.join("inprogress")).is_empty());
    }
}

#[test]
fn a_snapshot_is_named_after_the_time_its_push_began() {
    let server = Server::start();
    let source = server.source("data");
    tree::write(&source.join("slow"), tree::noise(7, 300_000));
    let before = Utc::now();
    let ran = server.client("web1").push(&source, &["--bwlimit=100"]).exits(0);
    assert!(ran.took > Duration::from_millis(2500), "slow enough to tell the beginning from the end: {:?}", ran.took);
    let named = time_of(&server.repository("web1").snapshots()[0]);
    let lag = named - before;
    let half = i64::try_from(ran.took.as_millis() / 2).unwrap();
    assert!((-1000..half).contains(&lag.num_milliseconds()), "{lag} of {:?}", ran.took);
}

#[test]
fn both_seed_styles_of_names_work() {
    for (pattern, parts) in [("%Y_%m_%d_%H_%M_%S", 1), ("%Y/%m%d/%H%M", 3)] {
        let server = Setup::new().client("web1", &format!("snapshots: {{ name: \"{pattern}\" }}\n")).start();
        let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
        tree::small(&source);
        web1.push(&source, &[]).exits(0);
        let current = repository.current().unwrap();
        let name = current.strip_prefix("snapshots/").unwrap();
        assert_eq!(name.split('/').count(), parts, "{name}");
        NaiveDateTime::parse_from_str(name, pattern).unwrap();
        assert_eq!(tree::files(&repository.path.join("current/")), tree::files(&source));
        assert_eq!(server.record().push.unwrap().snapshot.as_deref(), Some(name));
    }
}

#[test]
fn every_spelling_of_the_root_is_the_whole_snapshot_and_a_path_is_a_place_inside_it() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    let from = format!("{}/", source.display());
    for destination in ["backup:", "backup:.", "backup:/", "backup:./"] {
        web1.rsync(&["-a", &from, destination]).exits(0);
        assert_eq!(tree::files(&repository.snapshot(-1)), tree::files(&source), "{destination}");
    }
    for destination in ["backup:etc/", "backup:/etc", "backup:./etc/"] {
        web1.rsync(&["-a", &format!("{from}etc/"), destination]).exits(0);
        let newest = repository.snapshot(-1);
        assert_eq!(tree::files(&newest.join("etc")), tree::files(&source.join("etc")), "{destination}");
        assert!(!newest.join("a.txt").exists());
    }
    let linked = [repository.snapshot(-1), repository.snapshot(-2)].map(|snapshot| tree::inode(&snapshot.join("etc/hosts")));
    assert_eq!(linked[0], linked[1], "a place inside the snapshot is linked with the same place of the previous one");
}

#[test]
fn a_dry_run_and_a_listing_publish_nothing() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    for option in ["-n", "--list-only"] {
        let ran = web1.push(&source, &[option]);
        assert!(repository.snapshots().is_empty(), "{option}: {ran:?}");
        assert_eq!(repository.current(), None, "{option}");
    }
    web1.push(&source, &[]).exits(0);
    let before = server.state();
    web1.push(&source, &["-n"]);
    tree::same(&server.state(), &before);
}

#[test]
fn an_empty_tree_after_a_full_one_publishes_nothing_and_is_mailed() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &[]).exits(0);
    let before = tree::listing(&repository.path.join("snapshots"));
    web1.push(&server.source("nothing"), &[]).refused("unpublished", 65);
    // A source that is missing looks the same from the server, which ends with 0 (the client with 23).
    let ran = web1.rsync(&["-a", &format!("{}/gone/", source.display()), "backup:"]);
    assert_ne!(ran.status, 0);
    tree::same(&tree::listing(&repository.path.join("snapshots")), &before);
    assert_eq!(server.record().result, Outcome::Unpublished);
    server.mail("unpublished");
}

#[test]
fn an_empty_tree_may_be_the_first() {
    let server = Server::start();
    let source = server.source("nothing");
    server.client("web1").push(&source, &[]).exits(0);
    server.client("web1").push(&source, &[]).exits(0);
    assert_eq!(server.repository("web1").snapshots().len(), 2, "nothing after nothing is no loss");
}

#[test]
fn a_file_that_vanishes_meanwhile_is_no_failure() {
    let server = Server::start();
    let (repository, source) = (server.repository("web1"), server.source("data"));
    tree::write(&source.join("a-slow-one"), tree::noise(3, 300_000));
    tree::write(&source.join("z-vanishes"), "soon gone\n");
    let push = server.client("web1").start_push(&source, &["--bwlimit=100"]);
    until("the push has begun", || !tree::files(&repository.path.join("inprogress")).is_empty());
    fs::remove_file(source.join("z-vanishes")).unwrap();
    push.wait().exits(24);
    assert_eq!(repository.snapshots().len(), 1);
    let record = server.record();
    assert_eq!((record.result, record.push.unwrap().partial), (Outcome::Published, false));
}

#[test]
fn a_file_that_the_client_cannot_read_makes_a_partial_snapshot_and_a_mail() {
    let server = Server::start();
    let source = server.source("data");
    tree::small(&source);
    mode(&source.join("photo.raw"), 0);
    if accounts::is_root() {
        accounts::give(&source.join("photo.raw"), &accounts::account(1));
    }
    let web1 = server.client("web1").run_as(&accounts::account(2));
    web1.push(&source, &[]).exits(23);
    assert!(!server.repository("web1").snapshot(-1).join("photo.raw").exists());
    let record = server.record();
    assert_eq!(record.result, Outcome::Published);
    assert!(record.push.unwrap().partial);
    server.mail("partial");
}

#[test]
fn no_later_push_changes_a_snapshot() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    let photo = source.join("photo.raw");
    tree::age(&photo, 10_000);
    web1.push(&source, &[]).exits(0);
    let first = repository.snapshot(0);
    let before = tree::listing(&first);

    // Each of these changes old history where rsync is let into a directory that is hard-linked with it.
    let elsewhere = format!("--link-dest={}", server.path().join("elsewhere").display());
    let mine = format!("--link-dest=../snapshots/{}", repository.snapshots()[0]);
    let attempts: [&[&str]; 12] = [
        &[],
        &["--inplace"],
        &["--size-only"],
        &["-c"],
        &["-I"],
        &["--partial-dir=.partial"],
        &["--partial-dir=etc"],
        &["--delay-updates"],
        &["--delay-updates", "--partial-dir=etc"],
        &["-S", "--partial"],
        &[&elsewhere],
        &[&mine],
    ];
    for (turn, options) in attempts.into_iter().enumerate() {
        mode(&photo, if turn % 2 == 0 { 0o600 } else { 0o640 });
        tree::age(&photo, 1000 * u64::try_from(turn).unwrap());
        tree::write(&source.join("etc/hosts"), format!("{}\n", "x".repeat(turn + 30)));
        web1.push(&source, options).exits(0);
        tree::same(&tree::listing(&first), &before);
        let newest = repository.snapshot(-1);
        if options.contains(&"--partial-dir=etc") {
            // rsync leaves a directory of that name out by itself.
            continue;
        }
        assert_eq!(fs::read(newest.join("etc/hosts")).unwrap(), fs::read(source.join("etc/hosts")).unwrap(), "{options:?}");
        let bits = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(bits(newest.join("photo.raw")), bits(photo.clone()), "{options:?}");
    }
    assert_eq!(repository.snapshots().len(), 13);
}

#[test]
fn appending_in_place_is_refused() {
    let server = Server::start();
    let source = server.source("data");
    tree::small(&source);
    for option in ["--append", "--append-verify"] {
        server.client("web1").push(&source, &[option]).refused("option", 77);
    }
}

#[test]
fn a_symlink_that_a_client_planted_leads_nowhere() {
    let server = Server::start();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &[]).exits(0);
    let first = repository.snapshot(0);
    let before = tree::listing(&first);
    let trap = server.source("trap");
    std::os::unix::fs::symlink(format!("../snapshots/{}", repository.snapshots()[0]), trap.join("d")).unwrap();
    web1.push(&trap, &[]).exits(0);
    assert!(fs::symlink_metadata(repository.snapshot(-1).join("d")).unwrap().is_symlink());
    tree::write(&source.join("a.txt"), "changed\n");
    mode(&source.join("photo.raw"), 0o600);
    web1.rsync(&["-a", "--delete", &format!("{}/", source.display()), "backup:d/"]).exits(0);
    tree::same(&tree::listing(&first), &before);
    assert!(repository.snapshot(-1).join("d").metadata().unwrap().is_dir());
}

#[test]
fn a_push_from_the_previous_snapshot_costs_no_traffic_for_what_is_unchanged() {
    let server = Server::start();
    let (web1, source) = (server.client("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &[]).exits(0);
    let ran = web1.push(&source, &["--stats"]).exits(0);
    assert_eq!(ran.figure("Literal data"), 0, "{}", ran.stdout);
    let photo = server.repository("web1").snapshot(-1).join("photo.raw");
    assert_eq!(fs::metadata(photo).unwrap().nlink(), 2);
}

#[test]
fn clients_of_different_accounts_cannot_read_each_other() {
    if accounts::second().is_none() {
        return;
    }
    let server = Setup::new().client("web1", "").client("db1", "").start();
    let source = server.source("data");
    tree::small(&source);
    for name in ["web1", "db1"] {
        server.client(name).push(&source, &[]).exits(0);
        let repository = fs::metadata(server.store().join(name)).unwrap();
        assert_eq!((repository.uid(), repository.mode() & 0o077), (server.client(name).account().uid, 0));
    }
}

#[test]
fn every_connection_is_one_line_of_syslog() {
    let server = Server::start();
    let (web1, source) = (server.client("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &[]).exits(0);
    web1.ssh(&["reboot\u{1b}[31m now"]).exits(77);
    // The line is sent before the answer, but sshd may see the end of the gate first.
    let mut lines = Vec::new();
    until("two lines", || {
        lines.extend(server.syslog());
        lines.len() >= 2
    });
    assert!(lines[0].contains("published") && lines[0].contains("web1"), "{lines:?}");
    assert!(lines[1].contains("refused") && lines[1].contains("127.0.0.1"), "{lines:?}");
    assert!(lines.iter().all(|line| !line.trim_end().chars().any(char::is_control)), "{lines:?}");
}

#[test]
fn a_missing_or_stuck_syslog_never_holds_up_a_push() {
    let server = Setup::new().client("web1", "").site("syslog: $DIR/no/such/socket\n").start();
    let source = server.source("data");
    tree::small(&source);
    server.client("web1").push(&source, &[]).exits(0);

    let server = Setup::new().client("web1", "").site("syslog: $DIR/stuck\n").start();
    let stuck = std::os::unix::net::UnixDatagram::bind(server.path().join("stuck")).unwrap();
    mode(&server.path().join("stuck"), 0o666);
    let filler = std::os::unix::net::UnixDatagram::unbound().unwrap();
    filler.connect(server.path().join("stuck")).unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send(b"nobody reads this").is_ok() {}
    let ran = server.client("web1").push(&source, &[]).exits(0);
    assert!(ran.took < Duration::from_secs(10), "{:?}", ran.took);
    drop(stuck);
}
