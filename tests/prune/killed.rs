//! `prune`, `undelete` and `protect` are killed before each system call with which they change anything, and run again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{events, is_whole, make_old, says, snapgate, trash, upkeep, with_history};
use support::{Gate, can_trace, must, run};

const CALLS: &str = "?mkdir,?mkdirat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?rmdir,?symlink,?symlinkat,?write,?fsync,?fdatasync,\
?chmod,?fchmod,?fchmodat,?fchown,?fchownat,?flock";

/// Each call of a run, with how many there are of it.
fn calls(gate: &Gate, words: &[&str]) -> BTreeMap<String, usize> {
    let log = gate.path().join("calls");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&log).arg("-e").arg(format!("trace={CALLS}")).arg("--");
    let program = snapgate(gate, words);
    must(command.arg(program.get_program()).args(program.get_args()));
    let mut all = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let call = line.split_once(' ').map_or("", |(_, rest)| rest.trim_start()).split('(').next().unwrap();
        if !call.is_empty() && call.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            *all.entry(call.to_owned()).or_default() += 1;
        }
    }
    all
}

fn kill(gate: &Gate, words: &[&str], call: &str, nth: usize) {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("inject={call}:signal=KILL:when={nth}")).arg("--");
    let program = snapgate(gate, words);
    run(command.arg(program.get_program()).args(program.get_args()));
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
    let kept = gate.path().join("kept");
    must(Command::new("cp").arg("-a").arg(gate.repository()).arg(&kept));
    let all = calls(&gate, &["prune"]);
    assert!(all.contains_key("renameat2"), "{all:?}");
    for (call, count) in &all {
        for nth in 1..=*count {
            let what = format!("killed at {call} {nth}");
            restore(&gate, &kept);
            kill(&gate, &["prune"], call, nth);
            nothing_is_half(&gate, &names, &what);
            says(&gate, &["prune"]).exits(0);
            nothing_is_half(&gate, &names, &what);
            assert_eq!((gate.snapshots(), trash(&gate)), (names[2..].to_vec(), names[..2].to_vec()), "{what}");
            told_of(&gate, "prune", &names[..2], &what);
        }
    }
}

#[test]
fn the_reaper_killed_anywhere_leaves_nothing_in_the_end() {
    if !can_trace() {
        return;
    }
    let (gate, names) = with_history("keep: { daily: 2 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[1, 2, 3]);
    says(&gate, &["prune"]).exits(0);
    make_old(&gate);
    let kept = gate.path().join("kept");
    must(Command::new("cp").arg("-a").arg(gate.repository()).arg(&kept));
    for (call, count) in calls(&gate, &["prune"]) {
        for nth in 1..=count {
            let what = format!("killed at {call} {nth}");
            restore(&gate, &kept);
            kill(&gate, &["prune"], &call, nth);
            assert_eq!(gate.snapshots(), names[2..], "{what}");
            assert!(gate.snapshots().iter().all(|name| is_whole(&gate.inside("snapshots").join(name))), "{what}");
            says(&gate, &["prune"]).exits(0);
            for directory in ["trash", "reaping"] {
                let left: Vec<_> = fs::read_dir(gate.inside(".snapgate").join(directory)).unwrap().collect();
                assert!(left.is_empty(), "{what}: {left:?}");
            }
        }
    }
}

#[test]
fn undelete_killed_anywhere_brings_it_back_the_next_time() {
    if !can_trace() {
        return;
    }
    let (gate, names) = with_history("min_snapshots: 1\nkeep_within: 1h\n", &[1, 2]);
    says(&gate, &["delete", "--client", "web1", &names[0]]).exits(0);
    let kept = gate.path().join("kept");
    must(Command::new("cp").arg("-a").arg(gate.repository()).arg(&kept));
    let words = ["undelete", "--client", "web1", names[0].as_str()];
    for (call, count) in calls(&gate, &words) {
        for nth in 1..=count {
            let what = format!("killed at {call} {nth}");
            restore(&gate, &kept);
            kill(&gate, &words, &call, nth);
            nothing_is_half(&gate, &names, &what);
            if !gate.snapshots().contains(&names[0]) {
                says(&gate, &words).exits(0);
            }
            assert_eq!(gate.snapshots(), names, "{what}");
            says(&gate, &["prune"]).exits(0);
            told_of(&gate, "undelete", &names[..1], &what);
            nothing_is_half(&gate, &names, &what);
        }
    }
}
