//! Code that has taken rsync over, in the cell: a program in rsync's place tries whatever it can think of.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::libc::{E2BIG, EACCES, ENAMETOOLONG, EPERM, EXDEV};

use crate::facts::{History, Reads};
use crate::support::{Gate, POLICY, must};

const PUSH: &str = "rsync --server -logDtpre.iLsfxCIvu . .";

/// A gate whose rsync is that program.
fn taken_over() -> Gate {
    let gate = Gate::with("rsync: $DIR/taken\n", POLICY);
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/direct/taken_over.c");
    must(Command::new("cc").args(["-O1", "-w", "-o"]).arg(gate.path().join("taken")).arg(source));
    gate
}

#[test]
fn code_that_has_taken_rsync_over_changes_nothing_in_history_and_does_not_stay() {
    let gate = taken_over();
    let mut history = History::default();
    gate.say(PUSH).exits(0);
    assert_eq!(history.changes(&gate, Reads::Nothing), [""; 0]);
    let first = gate.newest();
    std::thread::sleep(Duration::from_millis(1100));

    gate.say(PUSH).exits(0);
    assert_ne!(gate.newest(), first);
    let text = fs::read_to_string(gate.newest().join("attempts")).unwrap();
    let attempts: BTreeMap<&str, i32> =
        text.lines().map(|line| line.split_once(' ').unwrap()).map(|(what, error)| (what, error.parse().unwrap())).collect();
    for (what, error) in &attempts {
        let expected = match *what {
            // What the cell is for lets these happen; they are the push's own.
            "link" | "unlink" => &[0][..],
            _ if what.starts_with("own-") => &[0],
            // The gate's, which has copied no more than may be.
            _ if what.starts_with("long-value") => &[E2BIG],
            _ if what.starts_with("long-") => &[ENAMETOOLONG],
            // Landlock's answers.
            "unlink-basis" | "rename-basis" => &[EACCES, EXDEV],
            _ => &[EPERM],
        };
        assert!(expected.contains(error), "{what} ended with {error}\n{text}");
    }
    assert_eq!(attempts.len(), 36, "{text}");
    assert_eq!(history.changes(&gate, Reads::Files), [""; 0]);

    // Longer than what it left behind would have slept.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(fs::read_to_string(gate.newest().join("kept")).unwrap(), "innocent");
    assert_eq!(history.changes(&gate, Reads::Files), [""; 0]);
}
