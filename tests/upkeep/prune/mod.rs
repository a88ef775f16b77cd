//! `snapgate prune`, `delete`, `undelete` and `protect`, as the administrator runs them.

mod accounts;
mod by_hand;
mod disks;
mod killed;
mod rules;
mod several;
mod wrong;

use std::fs;
use std::path::Path;
use std::process::Command;

use chrono::{TimeDelta, Utc};
use snapgate::act::record::ledger;
use snapgate::terms::{Event, Upkeep, View};
use support::{Gate, Ran, SNAPGATE, kept, must, run};

use crate::name;

/// A gate whose client has pushed once and has, besides, a snapshot of each of these ages in days. Each has three files, one of which
/// all of them share.
fn with_history(policy: &str, days: &[i64]) -> (Gate, Vec<String>) {
    let gate = Gate::with("", &format!("{}{policy}", support::POLICY));
    let source = gate.source("data");
    fill(&source, "now");
    fs::write(source.join("shared"), "shared").unwrap();
    gate.push(&source, &[]).exits(0);
    let shared = gate.newest().join("shared");
    let mut names: Vec<String> = days.iter().map(|days| name(Utc::now() - TimeDelta::days(*days))).collect();
    for name in &names {
        let snapshot = gate.inside("snapshots").join(name);
        // With the owners that a push has given them.
        must(Command::new("cp").arg("-a").arg(gate.newest()).arg(&snapshot));
        fill(&snapshot, name);
        fs::remove_file(snapshot.join("shared")).unwrap();
        fs::hard_link(&shared, snapshot.join("shared")).unwrap();
    }
    names.sort();
    names.extend(gate.snapshots().pop());
    (gate, names)
}

fn fill(directory: &Path, text: &str) {
    fs::create_dir_all(directory.join("below")).unwrap();
    fs::write(directory.join("below/file"), text).unwrap();
    fs::write(directory.join("own"), text).unwrap();
}

/// What runs the administrator's program: whoever runs the tests, or the account where it is to do that itself.
fn snapgate(gate: &Gate, words: &[&str]) -> Command {
    let account = kept::keeper().filter(|_| accounts::is_by_account());
    let mut all = account.map_or_else(Vec::new, kept::Keeper::words);
    all.push(account.map_or_else(|| SNAPGATE.to_string(), |_| gate.path().join("snapgate").display().to_string()));
    let (program, before) = all.split_first().unwrap();
    let mut command = Command::new(program);
    command.args(before).arg("--config").arg(gate.path().join("config")).args(words);
    command
}

#[track_caller]
fn says(gate: &Gate, words: &[&str]) -> Ran {
    run(&mut snapgate(gate, words))
}

/// The events of a kind, by what they say.
fn events(gate: &Gate, kind: &str) -> Vec<Event> {
    let all = ledger::read(&gate.inside(".snapgate/ledger.jsonl"));
    all.into_iter().filter(|event| event.kind() == kind).collect()
}

/// What an event says of snapshots.
fn upkeep(event: &Event) -> Option<&Upkeep> {
    match event.view() {
        View::Upkeep(upkeep) => Some(upkeep),
        View::Visit(_) | View::Unknown(_) => None,
    }
}

/// What is in the trash, in order.
fn trash(gate: &Gate) -> Vec<String> {
    let entries = fs::read_dir(gate.inside(".snapgate/trash")).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap()).filter(|name| name.contains('@') && !name.ends_with(".json"));
    let mut names: Vec<_> = names.map(|name| name.split('@').next().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Whether a tree is as it was made.
fn is_whole(snapshot: &Path) -> bool {
    ["below/file", "own", "shared"].iter().all(|file| snapshot.join(file).is_file())
}
