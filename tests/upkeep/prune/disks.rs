//! The same on file systems of our own, and beside pushes: killed at any moment, again and again.
//!
//! `PRUNE_KILLS=200` (`make prune`) kills that often; the suite does ten times.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chrono::{TimeDelta, Utc};

use super::{events, says, snapgate, trash, upkeep, with_history};
use crate::{make_old, name};
use snapgate::terms::Event;
use support::mount::{Kind, Mount};
use support::{Gate, Running, must, until, versions};

/// Where the directories of tests are made.
const VARIABLE: &str = "TMPDIR";

/// How often a test kills.
const KILLS: &str = "PRUNE_KILLS";

/// What depends on the file system.
const TESTS: [&str; 9] = [
    "prune::killed::prune_killed_anywhere_leaves_whole_snapshots_and_ends_the_next_time",
    "prune::killed::the_reaper_killed_anywhere_leaves_nothing_in_the_end",
    "prune::killed::undelete_killed_anywhere_brings_it_back_the_next_time",
    "prune::killed::delete_killed_anywhere_takes_whole_snapshots_and_tells_of_each",
    "prune::killed::protect_and_unprotect_killed_anywhere_have_done_what_the_ledger_says",
    "prune::rules::what_no_rule_keeps_goes_to_the_trash_and_is_freed_after_its_grace",
    "prune::wrong::a_trash_that_cannot_be_emptied_is_told_of_once_a_day_and_keeps_nothing_back",
    "prune::wrong::a_snapshot_that_cannot_be_moved_keeps_the_others_from_nothing",
    "prune::disks::killed_at_any_moment_beside_pushes_nothing_is_damaged_or_forgotten",
];

#[test]
fn on_ext4_all_of_it_holds() {
    again_on(Kind::Ext4);
}

#[test]
fn on_xfs_all_of_it_holds() {
    again_on(Kind::Xfs);
}

fn again_on(kind: Kind) {
    // The test itself began there.
    if std::env::temp_dir().starts_with("/tmp/snapgate-mount-") || std::env::var_os(support::kept::VARIABLE).is_some() {
        return;
    }
    if let Some(mount) = Mount::new(kind, 320) {
        versions::rerun(VARIABLE, mount.store(), &TESTS);
    }
}

fn kills() -> usize {
    std::env::var(KILLS).map_or(10, |often| often.parse().unwrap())
}

/// Numbers that are the same in every run (Knuth's generator, TAOCP 3.3.4).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Every snapshot that a push has made has all of its files, whose text says which push that was.
#[track_caller]
fn is_as_pushed(snapshot: &Path, what: &str) {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_else(|error| format!("{error}"));
    let text = read(&snapshot.join("own"));
    assert!(text.starts_with("push "), "{what}: {}: {text}", snapshot.display());
    for directory in 0..10 {
        for file in 0..10 {
            let path = snapshot.join(format!("d{directory}/f{file}"));
            let found = read(&path);
            assert!(found == "the same" || found == text, "{what}: {}: {found}", path.display());
        }
    }
}

fn change(source: &Path, number: usize) {
    // Each has another length than the one before: rsync looks at whole seconds alone.
    let text = format!("push {number:0>5}{}", "!".repeat(number));
    fs::write(source.join("own"), &text).unwrap();
    for directory in 0..10 {
        let directory = source.join(format!("d{directory}"));
        fs::create_dir_all(&directory).unwrap();
        for file in 0..10 {
            fs::write(directory.join(format!("f{file}")), if file == 0 { &text } else { "the same" }).unwrap();
        }
    }
}

/// Has the newest snapshot look as if it was pushed that many days ago.
fn age(gate: &Gate, days: i64) -> String {
    let old = name(Utc::now() - TimeDelta::days(days));
    fs::rename(gate.newest(), gate.inside("snapshots").join(&old)).unwrap();
    old
}

fn days_of(gate: &Gate, what: &str, known: &BTreeSet<String>) {
    for name in gate.snapshots() {
        is_as_pushed(&gate.inside("snapshots").join(name), what);
    }
    for entry in fs::read_dir(gate.inside(".snapgate/trash")).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        is_as_pushed(&entry.path(), what);
    }
    assert!(trash(gate).iter().all(|name| known.contains(name)), "{what}: something else is in the trash");
}

#[test]
fn killed_at_any_moment_beside_pushes_nothing_is_damaged_or_forgotten() {
    let (gate, _) = with_history("keep: { daily: 3 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[]);
    must(Command::new("rm").arg("-rf").arg(gate.repository()));
    let source = gate.source("life");
    let mut chance = Chance(20_261_128);
    let mut doomed = BTreeSet::new();
    let is_busy = |status| [0, 75].contains(&status);
    for round in 0..kills() {
        let what = format!("round {round}");
        // Names would run ahead of a clock that many rounds share a second of, and then no push is taken.
        until("no snapshot has a name of the future", || gate.snapshots().last().is_none_or(|newest| *newest <= name(Utc::now())));
        // Two more that no rule keeps.
        for more in 0..2 {
            change(&source, 3 * round + more);
            gate.push(&source, &[]).exits(0);
            let days = 2000 - i64::try_from(2 * round + more).unwrap();
            doomed.insert(age(&gate, days));
        }
        change(&source, 3 * round + 2);
        let push = Running::start(&mut gate.push_command(&source, &[], ""));
        let words = match chance.below(4) {
            0 => vec!["delete", "--client", "web1", "--force", doomed.last().unwrap().as_str()],
            _ => vec!["prune", "--yes-remove-many"],
        };
        let killed = Running::start(&mut snapgate(&gate, &words));
        std::thread::sleep(Duration::from_micros(chance.below(60_000)));
        killed.kill();
        days_of(&gate, &what, &doomed);
        push.wait().exits(0);
        days_of(&gate, &what, &doomed);
        // Half of the time the trash is due.
        if chance.below(2) == 0 {
            make_old_quietly(&gate);
            let killed = Running::start(&mut snapgate(&gate, &["prune", "--yes-remove-many"]));
            std::thread::sleep(Duration::from_micros(chance.below(60_000)));
            killed.kill();
            days_of(&gate, &what, &doomed);
        }
    }
    until("a run is not in the way of another", || is_busy(says(&gate, &["prune", "--yes-remove-many"]).status) && !gate.is_at_work());
    make_old_quietly(&gate);
    says(&gate, &["prune", "--yes-remove-many"]).exits(0);
    let left: Vec<_> = doomed.iter().filter(|name| gate.snapshots().contains(name)).collect();
    assert!(left.len() <= 3, "rules keep no more: {left:?}");
    let state = gate.inside(".snapgate");
    for directory in ["trash", "reaping"] {
        let left: Vec<_> = fs::read_dir(state.join(directory)).unwrap().collect();
        assert!(left.is_empty(), "{directory}: {left:?}");
    }
    for name in ["draft", "announced.json", "current.new", "protected/draft"] {
        assert!(!state.join(name).exists(), "{name} is left");
    }
    // Each is told of once; an event names the first hundred and counts all.
    let told: Vec<_> = ["prune", "delete"].iter().flat_map(|kind| events(&gate, kind)).collect();
    let counted: u64 = told.iter().map(|event| upkeep(event).unwrap().count()).sum();
    assert_eq!(counted, (doomed.len() - left.len()) as u64, "{:?}", told.iter().map(Event::summary).collect::<Vec<_>>());
    assert!(gate.inside("current").exists());
}

/// As [`make_old`], where the one before was killed: whoever comes next records what that did by the times that are changed here.
fn make_old_quietly(gate: &Gate) {
    says(gate, &["undelete", "--client", "web1", "none"]);
    if gate.inside(".snapgate/trash").exists() {
        make_old(gate);
    }
}
