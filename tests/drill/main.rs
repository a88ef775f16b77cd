//! `snapgate restore` and `snapgate drill`, as the administrator and a timer run them.
#![expect(clippy::unwrap_used, reason = "a test says no by panicking, its helpers too")]

mod accounts;
mod interrupted;
mod rehearsed;
mod restore;

use std::path::Path;

use snapgate::act::record::ledger;
use snapgate::terms::{Body, Deed, Event, Upkeep, View};
use support::{Gate, Ran, run};

/// Runs the administrator's program.
#[track_caller]
fn says(gate: &Gate, words: &[&str]) -> Ran {
    run(&mut gate.snapgate(words))
}

/// Runs `snapgate restore --client web1 WORDS --to DIR`.
#[track_caller]
fn restore(gate: &Gate, words: &[&str], to: &Path) -> Ran {
    let words = [&["restore", "--client", "web1"], words, &["--to", to.to_str().unwrap()]].concat();
    says(gate, &words)
}

/// What the ledger says of such commands.
fn told(repository: &Path, is_one: fn(&Body) -> bool) -> Vec<(Event, Upkeep)> {
    let events = ledger::read(&repository.join(".snapgate/ledger.jsonl"));
    let upkeep = |event: &Event| match event.view() {
        View::Upkeep(upkeep) => Some(upkeep.clone()),
        View::Visit(_) | View::Unknown(_) => None,
    };
    events.into_iter().filter(|event| is_one(&event.body)).filter_map(|event| Some((event.clone(), upkeep(&event)?))).collect()
}

fn is_restore(body: &Body) -> bool {
    matches!(body, Body::Upkeep(Deed::LocalRestore, _))
}
