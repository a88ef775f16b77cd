//! `prune`, `undelete` and `protect` are killed before each system call with which they change anything, and run again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{events, is_whole, says, snapgate, trash, upkeep, with_history};
use crate::make_old;
use support::{Gate, can_trace, must, strace};

const CALLS: &str = "?mkdir,?mkdirat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?rmdir,?symlink,?symlinkat,?write,?fsync,?fdatasync,\
?chmod,?fchmod,?fchmodat,?fchown,?fchownat,?flock";

/// Each call of a run, with how many there are of it.
fn calls(gate: &Gate, words: &[&str]) -> BTreeMap<String, usize> {
    strace::calls(&snapgate(gate, words), CALLS, &gate.path().join("calls"))
}

fn kill(gate: &Gate, words: &[&str], call: &str, nth: usize) {
    strace::kill(&snapgate(gate, words), call, nth);
}

/// Puts the repository back as it was.
fn restore(gate: &Gate, kept: &Path) {
    must(Command::new("rm").arg("-rf").arg(gate.repository()));
    must(Command::new("cp").arg("-a").arg(kept).arg(gate.repository()));
}

/// What must hold whenever it was killed.
#[track_caller]
fn nothing_is_half(gate: &Gate, names: &[String], what: &str) {
    let (history, trash) = (gate.snapshots(), trash(gate));
    for name in names {
        assert!(history.contains(name) != trash.contains(name), "{what}: {name} is in history {history:?} or in the trash {trash:?}");
    }
    for name in history {
        assert!(is_whole(&gate.inside("snapshots").join(&name)), "{what}: {name} is half");
    }
    for entry in fs::read_dir(gate.inside(".snapgate/trash")).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        assert!(is_whole(&entry.path()), "{what}: {entry:?} is half");
    }
    assert!(gate.inside("current").exists(), "{what}: `current` dangles");
}

/// After a run that was not killed.
#[track_caller]
fn nothing_is_left_over(gate: &Gate, what: &str) {
    let state = gate.inside(".snapgate");
    for name in ["draft", "announced.json", "current.new", "trash/draft", "protected/draft"] {
        assert!(fs::symlink_metadata(state.join(name)).is_err(), "{what}: {name} is left");
    }
    for note in fs::read_dir(state.join("trash")).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let is_of_something = note.extension().is_none_or(|end| end != "json") || note.with_extension("").is_dir();
        assert!(is_of_something, "{what}: {note:?} is about nothing");
    }
}

/// Kills a command before each of its calls, from the same beginning each time, and has `then` look at what came of it.
fn killed_anywhere(gate: &Gate, words: &[&str], then: impl Fn(&str)) {
    let kept = gate.path().join("kept");
    must(Command::new("cp").arg("-a").arg(gate.repository()).arg(&kept));
    let all = calls(gate, words);
    assert!(all.values().sum::<usize>() > 3, "{all:?}");
    for (call, count) in &all {
        for nth in 1..=*count {
            restore(gate, &kept);
            kill(gate, words, call, nth);
            then(&format!("killed at {call} {nth}"));
        }
    }
}

/// Whatever was done is in the ledger.
#[track_caller]
fn told_of(gate: &Gate, kind: &str, names: &[String], what: &str) {
    let told: BTreeSet<String> = events(gate, kind).iter().flat_map(|event| upkeep(event).unwrap().snapshots.clone()).collect();
    assert_eq!(told, names.iter().cloned().collect(), "{what}");
}

#[test]
fn prune_killed_anywhere_leaves_whole_snapshots_and_ends_the_next_time() {
    if !can_trace() {
        return;
    }
    let (gate, names) = with_history("keep: { daily: 2 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[1, 2, 3]);
    killed_anywhere(&gate, &["prune"], |what| {
        nothing_is_half(&gate, &names, what);
        says(&gate, &["prune"]).exits(0);
        nothing_is_half(&gate, &names, what);
        assert_eq!((gate.snapshots(), trash(&gate)), (names[2..].to_vec(), names[..2].to_vec()), "{what}");
        told_of(&gate, "prune", &names[..2], what);
        nothing_is_left_over(&gate, what);
    });
}

#[test]
fn the_reaper_killed_anywhere_leaves_nothing_in_the_end() {
    if !can_trace() {
        return;
    }
    let (gate, names) = with_history("keep: { daily: 2 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[1, 2, 3]);
    says(&gate, &["prune"]).exits(0);
    make_old(&gate);
    killed_anywhere(&gate, &["prune"], |what| {
        assert_eq!(gate.snapshots(), names[2..], "{what}");
        assert!(gate.snapshots().iter().all(|name| is_whole(&gate.inside("snapshots").join(name))), "{what}");
        says(&gate, &["prune"]).exits(0);
        for directory in ["trash", "reaping"] {
            let left: Vec<_> = fs::read_dir(gate.inside(".snapgate").join(directory)).unwrap().collect();
            assert!(left.is_empty(), "{what}: {left:?}");
        }
        nothing_is_left_over(&gate, what);
    });
}

#[test]
fn undelete_killed_anywhere_brings_it_back_the_next_time() {
    if !can_trace() {
        return;
    }
    let (gate, names) = with_history("min_snapshots: 1\nkeep_within: 1h\n", &[1, 2]);
    says(&gate, &["delete", "--client", "web1", &names[0]]).exits(0);
    let words = ["undelete", "--client", "web1", names[0].as_str()];
    killed_anywhere(&gate, &words, |what| {
        nothing_is_half(&gate, &names, what);
        if !gate.snapshots().contains(&names[0]) {
            says(&gate, &words).exits(0);
        }
        assert_eq!(gate.snapshots(), names, "{what}");
        says(&gate, &["prune"]).exits(0);
        told_of(&gate, "undelete", &names[..1], what);
        nothing_is_half(&gate, &names, what);
        nothing_is_left_over(&gate, what);
    });
}

#[test]
fn delete_killed_anywhere_takes_whole_snapshots_and_tells_of_each() {
    if !can_trace() {
        return;
    }
    let (gate, names) = with_history("min_snapshots: 1\nkeep_within: 1h\n", &[1, 2]);
    // The newest, too, so that `current` moves.
    let words = ["delete", "--client", "web1", "--force", names[1].as_str(), names[2].as_str()];
    killed_anywhere(&gate, &words, |what| {
        nothing_is_half(&gate, &names, what);
        let gone = trash(&gate);
        // Whatever comes next records it.
        says(&gate, &["prune"]).exits(0);
        told_of(&gate, "delete", &gone, what);
        nothing_is_half(&gate, &names, what);
        nothing_is_left_over(&gate, what);
        let left: Vec<_> = names[1..].iter().filter(|name| gate.snapshots().contains(name)).map(String::as_str).collect();
        if !left.is_empty() {
            says(&gate, &[&words[..4], &left[..]].concat()).exits(0);
        }
        assert_eq!((gate.snapshots(), trash(&gate)), (names[..1].to_vec(), names[1..].to_vec()), "{what}");
        assert_eq!(fs::read_link(gate.inside("current")).unwrap(), Path::new("snapshots").join(&names[0]), "{what}");
        told_of(&gate, "delete", &names[1..], what);
    });
}

#[test]
fn protect_and_unprotect_killed_anywhere_have_done_what_the_ledger_says() {
    if !can_trace() {
        return;
    }
    let (gate, names) = with_history("keep: { last: 1 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[1, 2]);
    let explained = || says(&gate, &["prune", "--explain"]).exits(0).stdout;
    let is_protected = || explained().contains(&format!("{}: protected", names[0]));
    let protect = ["protect", "--client", "web1", names[0].as_str()];
    let unprotect = ["unprotect", "--client", "web1", names[0].as_str()];
    let told = |what: &str| {
        let before = is_protected();
        // Whatever comes next records it, and goes by it.
        says(&gate, &["prune"]).exits(0);
        assert_eq!(gate.snapshots().contains(&names[0]), before, "{what}");
        assert_eq!(gate.inside(".snapgate/protected").join(format!("{}.json", names[0])).exists(), before, "{what}");
        nothing_is_left_over(&gate, what);
        before
    };
    killed_anywhere(&gate, &protect, |what| {
        let is_so = told(what);
        told_of(&gate, "protect", &names[..usize::from(is_so)], what);
    });
    fs::remove_dir_all(gate.path().join("kept")).unwrap();
    let summaries = |ends: &str| events(&gate, "protect").iter().filter(|event| event.summary().contains(ends)).count();
    restore_protected(&gate, &names[0]);
    killed_anywhere(&gate, &unprotect, |what| {
        let is_so = told(what);
        assert_eq!(summaries("no longer protected"), usize::from(!is_so), "{what}");
    });
}

/// A snapshot that no command has touched is protected, and the ledger says so.
fn restore_protected(gate: &Gate, name: &str) {
    if trash(gate).contains(&name.to_owned()) {
        says(gate, &["undelete", "--client", "web1", name]).exits(0);
    }
    says(gate, &["protect", "--client", "web1", name]).exits(0);
    fs::write(gate.inside(".snapgate/ledger.jsonl"), "").unwrap();
}
