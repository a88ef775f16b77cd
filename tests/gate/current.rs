//! `current` is replaced, never taken away: whoever reads it at any moment reads a whole snapshot.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use support::Gate;

#[test]
fn a_reader_of_current_never_finds_it_missing_or_dangling() {
    const PUSHES: usize = 50;
    let gate = Gate::new();
    let source = gate.source("data");
    let push = |turn: usize| {
        fs::write(source.join("turn"), format!("{turn:05}")).unwrap();
        gate.push(&source, &["--ignore-times"]).exits(0);
    };
    push(0);
    let done = AtomicBool::new(false);
    let (looks, seen) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let (mut looks, mut seen, mut newest) = (0_u64, BTreeSet::new(), String::new());
            while !done.load(Ordering::Relaxed) {
                let target = fs::read_link(gate.inside("current")).expect("`current` is there");
                assert!(target.starts_with("snapshots"), "{}", target.display());
                let target = target.to_str().unwrap().to_owned();
                assert!(fs::metadata(gate.inside("current")).expect("`current` leads somewhere").is_dir());
                let turn = fs::read_to_string(gate.inside("current/turn")).expect("what it leads to is whole");
                assert_eq!(turn.len(), 5, "a file of it is not whole");
                assert!(target >= newest, "it never goes back: {newest}, then {target}");
                newest.clone_from(&target);
                seen.insert(target);
                looks += 1;
            }
            (looks, seen)
        });
        // Whatever happens here, the reader has to end.
        let pushed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (1..PUSHES).for_each(push)));
        done.store(true, Ordering::Relaxed);
        let read = reader.join().unwrap();
        pushed.unwrap();
        read
    });
    assert_eq!(gate.snapshots().len(), PUSHES);
    assert!(looks > 1000 && seen.len() > PUSHES / 2, "the reader was asleep: {looks} looks, {} snapshots", seen.len());
}
