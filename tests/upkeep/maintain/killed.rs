//! `maintain` is killed before each system call with which it changes anything, at the turn of a month, and run again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use chrono::{TimeDelta, Utc};

use super::{told, with_history_in};
use crate::says;
use support::{Gate, can_trace, must, run};

const CALLS: &str = "?mkdir,?mkdirat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?rmdir,?write,?fsync,?fdatasync,?fchown,?flock";

/// strace, which does this to a `maintain`.
fn traced(gate: &Gate, words: &[String]) -> Command {
    let mut command = Command::new("strace");
    command.args(["-f", "-qq"]).args(words).arg("--");
    let program = gate.snapgate(&["maintain", "--jobs", "1"]);
    command.arg(program.get_program()).args(program.get_args());
    command
}

/// Each call of a run, with how many there are of it.
fn calls(gate: &Gate) -> BTreeMap<String, usize> {
    let log = gate.path().join("calls");
    must(&mut traced(gate, &["-o".to_owned(), log.display().to_string(), "-e".to_owned(), format!("trace={CALLS}")]));
    let mut all = BTreeMap::new();
    for line in fs::read_to_string(log).unwrap().lines() {
        let call = line.split_once(' ').map_or("", |(_, rest)| rest.trim_start()).split('(').next().unwrap();
        if !call.is_empty() && call.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            *all.entry(call.to_owned()).or_default() += 1;
        }
    }
    all
}

#[test]
fn maintain_killed_anywhere_loses_no_event_and_ends_the_next_time() {
    if !can_trace() {
        return;
    }
    let policy = "keep: { daily: 2 }\nmin_snapshots: 1\nkeep_within: 1h\n";
    let gate = with_history_in(Gate::in_memory("", &format!("{}{policy}", support::POLICY)), &[1, 2, 3]);
    says(&gate, &["delete", "--client", "web1", &gate.snapshots()[0]]).exits(0);
    let source = gate.source("data");
    for number in 0..60 {
        fs::write(source.join("file"), "x".repeat(number)).unwrap();
        gate.say("nothing of the kind");
    }
    gate.set_clock(Utc::now() + TimeDelta::days(40));
    let kept = gate.path().join("kept");
    must(Command::new("cp").arg("-a").arg(gate.repository()).arg(&kept));
    let before: BTreeSet<_> = told(&gate).into_iter().map(|event| event.id).collect();
    let restore = || {
        must(Command::new("rm").arg("-rf").arg(gate.repository()));
        must(Command::new("cp").arg("-a").arg(&kept).arg(gate.repository()));
    };
    let all = calls(&gate);
    assert!(all.contains_key("renameat2"), "{all:?}");
    for (call, count) in &all {
        for nth in 1..=*count {
            let what = format!("killed at {call} {nth}");
            restore();
            run(&mut traced(
                &gate,
                &["-o".to_owned(), "/dev/null".to_owned(), "-e".to_owned(), format!("inject={call}:signal=KILL:when={nth}")],
            ));
            let has_all = || {
                let all: Vec<_> = told(&gate).into_iter().map(|event| event.id).collect();
                let ids: BTreeSet<_> = all.iter().cloned().collect();
                assert!(ids.is_superset(&before) && ids.len() == all.len(), "{what}: {} of {}", ids.len(), before.len());
            };
            has_all();
            // One who says something meanwhile is heard.
            gate.say("nothing of the kind");
            says(&gate, &["maintain"]).exits(0);
            has_all();
            assert_eq!(gate.snapshots().len(), 2, "{what}");
            let old: Vec<_> = fs::read_dir(gate.inside(".snapgate/ledgers")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert!(!old.is_empty() && old.iter().all(|name| name.to_str().unwrap().ends_with(".jsonl.gz")), "{what}: {old:?}");
            for directory in ["trash", "reaping"] {
                let reaped = fs::read_dir(gate.inside(".snapgate").join(directory)).into_iter().flatten();
                let names: Vec<_> =
                    reaped.map(|entry| entry.unwrap().file_name().into_string().unwrap()).filter(|name| !name.ends_with(".json")).collect();
                assert!(directory == "trash" || names.is_empty(), "{what}: {directory} {names:?}");
            }
        }
    }
}
