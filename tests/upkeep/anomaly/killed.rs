//! Holding, releasing and discarding are killed before each system call with which they change anything, and tried again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use support::tree::write;
use support::{Gate, can_trace, must, run, strace};

use super::{current, events, held, pushed, text};
use crate::says;

const CALLS: &str = "?mkdir,?mkdirat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?rmdir,?symlink,?symlinkat,?write,?fsync,?fdatasync,\
?chmod,?fchmod,?fchmodat,?fchown,?fchownat";

/// Each call of a command, with how many there are of it.
fn calls(gate: &Gate, words: &[&str]) -> BTreeMap<String, usize> {
    strace::calls(&gate.snapgate(words), CALLS, &gate.path().join("calls"))
}

fn kill(gate: &Gate, words: &[&str], call: &str, nth: usize) {
    strace::kill(&gate.snapgate(words), call, nth);
}

fn restore(gate: &Gate, kept: &Path) {
    must(Command::new("rm").arg("-rf").arg(gate.repository()));
    must(Command::new("cp").arg("-a").arg(kept).arg(gate.repository()));
}

/// A gate with a good snapshot, a source that is damage, and a copy of the repository as it is.
fn prepared() -> (Gate, std::path::PathBuf) {
    let gate = Gate::in_memory("", &format!("{}anomaly: {{ current: good }}\n", support::POLICY));
    let source = gate.source("data");
    (0..40).for_each(|number| write(&source.join(format!("d/{number}")), text(number, 700)));
    assert_eq!(pushed(&gate, &source), [""; 0]);
    fs::remove_dir_all(source.join("d")).unwrap();
    write(&source.join("left"), "x");
    let kept = gate.path().join("kept");
    (gate, kept)
}

fn keep(gate: &Gate, kept: &Path) {
    must(Command::new("cp").arg("-a").arg(gate.repository()).arg(kept));
}

#[test]
fn a_push_killed_anywhere_never_shows_damage_as_a_good_snapshot() {
    if !can_trace() {
        return;
    }
    let (gate, kept) = prepared();
    keep(&gate, &kept);
    let source = gate.source("data");
    let log = gate.path().join("calls");
    // What rsync does is none of this: only the gate's own process is followed.
    let wrap = format!("strace -qq -o {} -e trace={CALLS}", log.display());
    run(&mut gate.push_command(&source, &[], &wrap)).exits(0);
    let all: BTreeMap<String, usize> = fs::read_to_string(&log).unwrap().lines().fold(BTreeMap::new(), |mut all, line| {
        let call = line.split('(').next().unwrap();
        *all.entry(call.to_owned()).or_default() += 1;
        all
    });
    assert!(all.contains_key("renameat2") || all.contains_key("rename"), "{all:?}");
    for (call, count) in all.iter().filter(|(call, _)| call.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        for nth in 1..=*count {
            let what = format!("killed at {call} {nth}");
            restore(&gate, &kept);
            run(&mut gate.push_command(&source, &[], &format!("strace -qq -o /dev/null -e inject={call}:signal=KILL:when={nth}")));
            while gate.is_at_work() {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            let names = gate.snapshots();
            assert_eq!(current(&gate), names[0], "{what}");
            assert!(names[1..].iter().all(|name| held(&gate).contains(name)), "{what}: {names:?} and held {:?}", held(&gate));
            // Another push: compared with the good one, held too, and no note is left of what never was.
            assert!(!pushed(&gate, &source).is_empty(), "{what}");
            assert_eq!(held(&gate), gate.snapshots()[1..], "{what}");
            assert_eq!(current(&gate), names[0], "{what}");
        }
    }
}

#[test]
fn release_and_discard_killed_anywhere_end_the_next_time_and_are_recorded() {
    if !can_trace() {
        return;
    }
    let (gate, kept) = prepared();
    assert!(!pushed(&gate, &gate.source("data")).is_empty());
    keep(&gate, &kept);
    let names = gate.snapshots();
    for verb in ["release", "discard"] {
        let words = [verb, "--client", "web1", names[1].as_str()];
        restore(&gate, &kept);
        for (call, count) in calls(&gate, &words) {
            for nth in 1..=count {
                let what = format!("{verb} killed at {call} {nth}");
                restore(&gate, &kept);
                kill(&gate, &words, &call, nth);
                assert!(gate.inside("current").exists(), "{what}: `current` dangles");
                let there = gate.snapshots().contains(&names[1]);
                if there && held(&gate).contains(&names[1]) {
                    says(&gate, &words).exits(0);
                }
                says(&gate, &["prune"]).exits(0);
                assert_eq!(gate.snapshots().len(), if verb == "release" { 2 } else { 1 }, "{what}");
                let told = events(&gate, verb);
                assert_eq!(told.len(), 1, "{what}: {told:?}");
                // The next push finds everything in order.
                write(&gate.source("data").join("left"), "x");
                let why = pushed(&gate, &gate.source("data"));
                assert_eq!(why.is_empty(), verb == "release", "{what}: {why:?}");
                assert_eq!(current(&gate), if verb == "release" { gate.snapshots()[2].clone() } else { names[0].clone() }, "{what}");
            }
        }
    }
}
