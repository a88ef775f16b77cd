//! What becomes of history on this machine: which snapshots stay, what a client may hold, what is taken for damage, and the
//! commands that remove, bring back and look after them. One program, because linking five takes longer.
#![cfg(test)]

mod anomaly;
mod keep;
mod maintain;
mod prune;
mod space;

use std::fs;

use chrono::{DateTime, Utc};
use snapgate::terms::NamePattern;
use support::{Gate, Ran, run};

/// Runs the administrator's program.
#[track_caller]
fn says(gate: &Gate, words: &[&str]) -> Ran {
    run(&mut gate.snapgate(words))
}

/// The name of a snapshot that began then.
fn name(at: DateTime<Utc>) -> String {
    NamePattern::default().name_at(at).to_string()
}

/// Has the trash look older than any grace.
fn make_old(gate: &Gate) {
    let trash = gate.inside(".snapgate/trash");
    for entry in fs::read_dir(&trash).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let Some((key, (_, end))) = name.split_once('@').and_then(|(key, rest)| Some((key, rest.split_once('Z')?))) else { continue };
        fs::rename(entry.path(), trash.join(format!("{key}@20260101T000000Z{end}"))).unwrap();
    }
}
