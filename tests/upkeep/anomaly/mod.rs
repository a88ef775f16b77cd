//! What is taken for damage, what is not, and what becomes of it: real pushes of trees with the shapes of real machines.

mod damage;
mod ended;
mod facts;
mod killed;
mod ordinary;

use std::fs;
use std::path::Path;

use snapgate::act::record::ledger;
use snapgate::terms::{Event, PushFacts};
use support::Gate;
use support::tree::{age, noise, write};

/// Words of a text that somebody has written: it compresses as such texts do.
fn text(seed: usize, length: usize) -> Vec<u8> {
    const WORDS: [&str; 24] = [
        "the ", "report ", "of ", "a ", "meeting ", "with ", "customers ", "in ", "November, ", "and ", "figures ", "for ", "next ",
        "year: ", "budget ", "plans ", "to ", "be ", "discussed ", "by ", "everybody. ", "Signed, ", "yours ", "truly\n",
    ];
    let mut state = (seed as u64).wrapping_mul(2_862_933_555_777_941_757).wrapping_add(3_037_000_493);
    let mut out = format!("document {seed}\n").into_bytes();
    while out.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        out.extend(WORDS[(state >> 33) as usize % WORDS.len()].bytes());
    }
    out.truncate(length);
    out
}

/// A person's home: documents, sources, pictures, and a browser's files.
fn home(root: &Path) {
    for number in 0..160 {
        write(&root.join(format!("Documents/{}/letter-{number}.odt.txt", number % 8)), text(number, 3000 + number * 7));
        write(&root.join(format!("src/project/{}/file{number}.c", number % 5)), text(number + 500, 2000));
    }
    for number in 0..80 {
        write(&root.join(format!("Pictures/2025/IMG_{number}.jpg")), noise(number, 9000));
    }
    for number in 0..20 {
        write(&root.join(format!(".mozilla/firefox/profile/cache/{number}.sqlite")), text(number + 900, 4000));
    }
    write(&root.join(".bashrc"), "PS1='$ '\n");
    old(root);
}

/// Has all files look as if they had been there for long.
fn old(root: &Path) {
    for file in support::tree::files(root) {
        age(&root.join(file), 40 * 24 * 3600);
    }
}

/// A gate with this in its policy.
fn gate(policy: &str) -> Gate {
    Gate::with("", &format!("{}{policy}", support::POLICY))
}

/// Pushes, and returns why the snapshot is held.
#[track_caller]
fn pushed(gate: &Gate, source: &Path) -> Vec<String> {
    gate.push(source, &[]).exits(0);
    let push = facts(gate);
    assert!(push.snapshot.is_some());
    push.held.map(|held| held.why).unwrap_or_default()
}

/// What the newest push has done.
#[track_caller]
fn facts(gate: &Gate) -> PushFacts {
    events(gate, "push").last().unwrap().push().unwrap().clone()
}

/// The events of a kind.
fn events(gate: &Gate, kind: &str) -> Vec<Event> {
    let all = ledger::read(&gate.inside(".snapgate/ledger.jsonl"));
    all.into_iter().filter(|event| event.kind() == kind).collect()
}

/// The snapshots that are held.
fn held(gate: &Gate) -> Vec<String> {
    let notes = fs::read_dir(gate.inside(".snapgate/held")).into_iter().flatten().flatten();
    let mut names: Vec<_> = notes.filter_map(|note| note.file_name().to_str()?.strip_suffix(".json").map(str::to_owned)).collect();
    names.sort();
    names
}

fn current(gate: &Gate) -> String {
    fs::read_link(gate.inside("current")).unwrap().file_name().unwrap().to_str().unwrap().to_owned()
}
