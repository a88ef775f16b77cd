//! Pushes of a part alone: what they are linked with, and what becomes of the rest.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;

use support::{Gate, POLICY, Running, mode, run};

pub(crate) fn policy(word: &str) -> String {
    format!("partial_pushes: {word}\n{POLICY}")
}

/// A client's directory with so many files of a kilobyte.
pub(crate) fn fill(gate: &Gate, name: &str, files: usize) -> String {
    let path = gate.source(name);
    for number in 0..files {
        fs::write(path.join(number.to_string()), vec![b'x'; 1000]).unwrap();
    }
    format!("{}/", path.display())
}

/// What is in a directory, sorted.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn inode(path: PathBuf) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

/// A push that publishes; says how much of its content travelled, and how many files were linked.
#[track_caller]
fn sent(gate: &Gate, words: &[&str]) -> (u64, u64) {
    let ran = gate.rsync(&[&["-a", "--stats"], words].concat()).exits(0);
    let record = gate.record();
    assert_eq!(record.result, Outcome::Published);
    (ran.figure("Literal data"), record.push.unwrap().linked)
}

#[test]
fn a_push_into_a_part_is_linked_with_the_newest_snapshot_that_has_it() {
    let gate = Gate::new();
    let (etc, home) = (fill(&gate, "etc", 3), fill(&gate, "home", 5));
    assert_eq!(sent(&gate, &["--delete", &etc, "backup:etc/"]), (3000, 0));
    let first = inode(gate.newest().join("etc/1"));
    assert_eq!(sent(&gate, &["--delete", &home, "backup:home/"]), (5000, 0));
    assert_eq!(sent(&gate, &["--delete", &etc, "backup:etc/"]), (0, 3));
    assert_eq!(inode(gate.newest().join("etc/1")), first);
    assert_eq!(names(&gate.newest()), ["etc"], "the policy says nothing else");
    assert_eq!(sent(&gate, &[&home, "backup:home/"]), (0, 5));
    // The whole is in no one of them.
    let (etc, home) = (etc.trim_end_matches('/'), home.trim_end_matches('/'));
    assert_eq!(sent(&gate, &[etc, home, "backup:"]), (0, 8));
    assert_eq!(sent(&gate, &[&format!("{etc}/"), "backup:etc"]), (0, 3), "and it has every part");
}

#[test]
fn nested_places_and_the_same_place_from_above_are_linked_too() {
    let gate = Gate::new();
    let (etc, home) = (fill(&gate, "etc", 3), fill(&gate, "home", 2));
    fill(&gate, "etc/ssh", 4);
    assert_eq!(sent(&gate, &[&etc, "backup:etc/"]), (7000, 0));
    assert_eq!(sent(&gate, &[&home, "backup:home/"]), (2000, 0));
    assert_eq!(sent(&gate, &[&format!("{etc}ssh/"), "backup:etc/ssh/"]), (0, 4));
    assert_eq!(sent(&gate, &[&etc, "backup:etc/"]), (0, 7), "the newest that has `etc` has its `ssh` alone");
    assert_eq!(sent(&gate, &[etc.trim_end_matches('/'), "backup:"]), (0, 7));
}

#[test]
fn sources_that_take_turns_at_the_top_are_linked_each_with_its_own() {
    let gate = Gate::new();
    let all: Vec<_> = ["a", "b", "c"].iter().map(|name| fill(&gate, name, 4).trim_end_matches('/').to_owned()).collect();
    for source in &all {
        assert_eq!(sent(&gate, &[source, "backup:"]).0, 4000);
    }
    for source in all.iter().chain(&all) {
        assert_eq!(sent(&gate, &[source, "backup:"]), (0, 4), "{source}");
    }
}

#[test]
fn what_follows_pushes_of_single_files_is_linked_with_what_came_before_them() {
    let gate = Gate::new();
    let data = fill(&gate, "data", 40);
    for place in ["backup:", "backup:data/"] {
        sent(&gate, &["--delete", &data, place]);
        for _ in 0..3 {
            fs::write(gate.source("data").join("7"), vec![b'y'; 1000 + gate.snapshots().len()]).unwrap();
            sent(&gate, &["--include=/7", "--exclude=*", &data, place]);
            let warnings = gate.record().warnings;
            assert!(gate.snapshots().len() % 4 != 2 || warnings.iter().any(|warning| warning.contains("39 files")), "{warnings:?}");
        }
        assert_eq!(sent(&gate, &["--delete", &data, place]), (0, 40), "{place}");
    }
}

#[test]
fn ten_times_the_files_are_missed_however_few_they_are() {
    let gate = Gate::new();
    let data = fill(&gate, "data", 10);
    sent(&gate, &[&data, "backup:"]);
    let ran = gate.rsync(&["-a", "--include=/7", "--exclude=*", &data, "backup:"]).exits(0);
    assert!(ran.stderr.contains("9 files of the last snapshot are not in this one"), "{}", ran.stderr);
}

#[test]
fn a_push_into_a_part_alone_says_what_it_was_and_what_can_be_done() {
    let gate = Gate::new();
    let (etc, home) = (fill(&gate, "etc", 1), fill(&gate, "home", 20));
    sent(&gate, &[&home, "backup:home/"]);
    let ran = gate.rsync(&["-a", &etc, "backup:etc/"]).exits(0);
    assert!(
        ran.stderr.contains("1 directory of the last snapshot is not in this one (20 files): the push went into a part alone"),
        "{}",
        ran.stderr
    );
    let warnings = gate.record().warnings.join("\n");
    assert!(warnings.contains("went into `etc` alone") && warnings.contains("`partial_pushes: merge`"), "{warnings}");
}

#[test]
fn no_link_is_followed_to_what_a_place_is_compared_with() {
    let gate = Gate::new();
    let (etc, data) = (fill(&gate, "etc", 3), gate.source("data"));
    sent(&gate, &[&etc, "backup:etc/"]);
    symlink("/etc", data.join("etc")).unwrap();
    symlink(gate.newest().join("etc"), data.join("home")).unwrap();
    sent(&gate, &["--delete", &format!("{}/", data.display()), "backup:"]);
    // The newest has a link there, and what it leads to has the files.
    assert_eq!(sent(&gate, &[&etc, "backup:home/"]), (3000, 0));
    assert_eq!(sent(&gate, &[&etc, "backup:etc/"]), (0, 3), "with the one before it");
}

#[test]
fn a_part_by_itself_is_refused_where_the_policy_says_so_and_taken_in_a_transaction() {
    let gate = Gate::with("", &policy("refuse"));
    let etc = fill(&gate, "etc", 3);
    for place in ["backup:etc/", "backup:./etc/ssh"] {
        let ran = gate.rsync(&["-a", "--delete", &etc, place]).exits(77);
        assert_eq!(ran.code(), Some("part"));
        assert!(ran.stderr.contains("say `prepare`, push every part, then `complete`"), "{}", ran.stderr);
        let record = gate.record();
        assert_eq!((record.result, record.reasons[0].code), (Outcome::Refused, Code::Part));
        assert!(record.reasons[0].rule.as_ref().is_some_and(|rule| rule.line > 0), "{record:?}");
    }
    assert_eq!(gate.snapshots().len(), 0);
    assert!(!gate.inside("inprogress").exists());
    sent(&gate, &[&etc, "backup:"]);
    gate.say("prepare").exits(0);
    gate.rsync(&["-a", &etc, "backup:etc/"]).exits(0);
    gate.say("complete 0").exits(0);
    assert_eq!(names(&gate.newest().join("etc")).len(), 3);
}

#[test]
fn of_two_pushes_with_delete_into_one_place_of_a_transaction_the_later_one_counts() {
    // The second push: its place, whether it deletes, and what is there then of `etc`, `etc/ssh` and `home`.
    let all = ["0", "1", "ssh"].as_slice();
    for (place, delete, etc_has, ssh_has, home_is_there) in [
        ("etc/", "--delete", ["new"].as_slice(), None, true),
        ("etc/", "--delete-after", &["new"], None, true),
        ("etc/", "--delete-excluded", &["new"], None, true),
        ("etc/", "--max-delete=5 --delete", &["new"], None, true),
        ("etc/", "--no-W", &["0", "1", "new", "ssh"], Some(["0"].as_slice()), true),
        ("etc/", "--max-delete=0 --delete", &["0", "1", "new", "ssh"], Some(&["0"]), true),
        ("etc/ssh", "--delete", all, Some(&["new"]), true),
        ("etc/ssh", "--no-W", all, Some(&["0", "new"]), true),
    ] {
        let gate = Gate::new();
        let (etc, home, new) = (fill(&gate, "etc", 2), fill(&gate, "home", 1), gate.source("new"));
        fill(&gate, "etc/ssh", 1);
        fs::write(new.join("new"), "x").unwrap();
        gate.say("prepare").exits(0);
        gate.rsync(&["-a", "--delete", &etc, "backup:etc/"]).exits(0);
        gate.rsync(&["-a", "--delete", &home, "backup:home/"]).exits(0);
        let (new, place) = (format!("{}/", new.display()), format!("backup:{place}"));
        let words: Vec<_> = ["-a"].into_iter().chain(delete.split(' ')).chain([new.as_str(), place.as_str()]).collect();
        gate.rsync(&words).exits(0);
        gate.say("complete 0").exits(0);
        let newest = gate.newest();
        assert_eq!(names(&newest.join("etc")), etc_has, "{place} {delete}");
        let ssh = newest.join("etc/ssh");
        assert_eq!(
            ssh.exists().then(|| names(&ssh)).as_deref(),
            ssh_has.map(|has| has.iter().map(ToString::to_string).collect::<Vec<_>>()).as_deref()
        );
        assert_eq!(newest.join("home/0").exists(), home_is_there);
        assert!(!gate.record().push.unwrap().partial);
    }
}

#[test]
fn one_with_delete_to_the_top_of_a_transaction_is_all_there_is_and_is_not_sent_again() {
    let gate = Gate::new();
    let etc = fill(&gate, "etc", 5);
    let whole = format!("{}/", gate.source("etc").parent().unwrap().display());
    gate.say("prepare").exits(0);
    gate.rsync(&["-a", "--delete", &etc, "backup:etc/"]).exits(0);
    gate.rsync(&["-a", "--delete", &etc, "backup:gone/"]).exits(0);
    fs::remove_file(gate.source("etc").join("0")).unwrap();
    let ran = gate.rsync(&["-a", "--delete", "--stats", &whole, "backup:"]).exits(0);
    assert_eq!(ran.figure("Literal data"), 0);
    gate.say("complete 0").exits(0);
    assert_eq!(names(&gate.newest()), ["etc"]);
    assert_eq!(names(&gate.newest().join("etc")), ["1", "2", "3", "4"]);
}

#[test]
fn one_with_delete_above_an_earlier_place_takes_that_one_s_place_too() {
    for (earlier, later, delete, has) in [
        ("etc/ssh/", "etc/", "--delete", ["0", "1"].as_slice()),
        ("etc/ssh/", "etc/", "--stats", &["0", "1", "ssh"]),
        ("etc/ssh/", "home/", "--delete", &["ssh"]),
        ("etc/ss/", "etc/ssh/", "--delete", &["ss", "ssh"]),
    ] {
        let gate = Gate::new();
        let (one, two) = (fill(&gate, "one", 1), fill(&gate, "two", 2));
        gate.say("prepare").exits(0);
        gate.rsync(&["-a", "--delete", &one, &format!("backup:{earlier}")]).exits(0);
        gate.rsync(&["-a", delete, &two, &format!("backup:{later}")]).exits(0);
        gate.say("complete 0").exits(0);
        assert_eq!(names(&gate.newest().join("etc")), has, "{earlier} {later} {delete}");
    }
}

#[test]
fn a_directory_on_the_way_of_a_later_push_of_a_transaction_stays_as_it_was_sent() {
    let gate = Gate::new();
    let etc = fill(&gate, "data/etc", 1);
    let (ssh, whole) = (fill(&gate, "data/etc/ssh", 1), fill(&gate, "data", 1));
    mode(&gate.source("data/etc"), 0o710);
    run(std::process::Command::new("touch").args(["-d", "2025-05-05", &etc])).exits(0);
    gate.say("prepare").exits(0);
    gate.rsync(&["-a", "--delete", &whole, "backup:"]).exits(0);
    gate.rsync(&["-a", "--delete", &ssh, "backup:etc/ssh/"]).exits(0);
    gate.rsync(&["-a", &format!("{ssh}0"), "backup:etc/"]).exits(0);
    gate.say("complete 0").exits(0);
    let stat = |path: PathBuf| fs::metadata(path).map(|found| (found.mode(), found.mtime())).unwrap();
    assert_eq!(stat(gate.newest().join("etc")), stat(gate.source("data/etc")));
}

#[test]
fn a_directory_that_closed_between_two_pushes_of_a_transaction_has_the_later_mode() {
    let gate = Gate::new();
    let (ssh, whole) = (fill(&gate, "data/etc/ssh", 1), fill(&gate, "data", 1));
    gate.say("prepare").exits(0);
    for bits in [0o555, 0o500] {
        mode(&gate.source("data/etc"), bits);
        gate.rsync(&["-a", &whole, "backup:"]).exits(0);
    }
    gate.rsync(&["-a", "--delete", &ssh, "backup:etc/ssh/"]).exits(0);
    gate.say("complete 0").exits(0);
    assert_eq!(fs::metadata(gate.newest().join("etc")).unwrap().mode() & 0o777, 0o500);
}

#[test]
fn a_link_in_the_way_of_what_is_replaced_in_a_transaction_leads_nowhere() {
    let gate = Gate::new();
    let (data, new, outside) = (gate.source("data"), fill(&gate, "new", 1), gate.source("outside"));
    fs::write(outside.join("kept"), "x").unwrap();
    symlink(&outside, data.join("etc")).unwrap();
    gate.say("prepare").exits(0);
    gate.rsync(&["-a", &format!("{}/", data.display()), "backup:"]).exits(0);
    for place in ["backup:etc/deep/", "backup:etc/"] {
        gate.rsync(&["-a", "--delete", &new, place]).exits(0);
        assert_eq!(names(&outside), ["kept"]);
    }
    gate.say("complete 0").exits(0);
    assert_eq!(names(&gate.newest().join("etc")), ["0"]);
}

#[test]
fn explain_and_status_say_what_becomes_of_a_part() {
    let said = |word: &str, place: &str| {
        let gate = Gate::with("", &policy(word));
        let command = format!("rsync --server -logDtpre.iLsfxCIvu . {place}");
        let ran = run(&mut gate.snapgate(&["explain", "--client", "web1", &command]));
        (ran.status, ran.stdout, gate.say("status").exits(0).stdout)
    };
    for (word, place, status, explains, client) in [
        ("refuse", "etc/", 77, "pushes into a part are taken between `prepare` and `complete` alone", true),
        ("refuse", ".", 0, "", true),
        ("merge", "etc/", 0, "what the last snapshot has and is not sent is carried over, in `etc` too", true),
        ("publish", "etc/", 0, "by itself it becomes a snapshot of `etc` alone", false),
    ] {
        let (ended, explained, told) = said(word, place);
        assert!(ended == status && explained.contains(explains), "{word} {place}: {ended} {explained}");
        assert_eq!(told.contains("partial pushes:"), client, "{told}");
    }
}

#[test]
fn a_later_push_that_did_not_end_well_takes_nothing_from_an_earlier_one() {
    let gate = Gate::new();
    let (etc, new) = (fill(&gate, "etc", 3), fill(&gate, "new", 1));
    gate.say("prepare").exits(0);
    gate.rsync(&["-a", "--delete", &etc, "backup:etc/"]).exits(0);
    fs::write(gate.source("new").join("large"), vec![b'x'; 3_000_000]).unwrap();
    let mut cut = Running::start(&mut gate.rsync_command(&["-a", "--delete", "--bwlimit=200", &new, "backup:etc/"], ""));
    support::until("its rsync writes", || fs::read_dir(gate.inside("inprogress/etc")).is_ok_and(|mut files| files.next().is_some()));
    cut.child.kill().unwrap();
    cut.wait();
    support::until("the gate is done with it", || !gate.is_at_work());
    let ran = gate.say("complete 0").exits(65);
    assert_eq!(ran.code(), Some("partial"));
    assert_eq!(names(&gate.newest().join("etc")), ["0", "1", "2"]);
    assert!(gate.record().push.unwrap().partial);
}
