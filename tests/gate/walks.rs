//! How often the gate looks at each directory and each link of a push. System calls are counted: times would tell of the machine.

use std::fs;
use std::path::Path;

use support::{Gate, can_trace, run};

/// How many calls of this name the gate itself makes for a push.
fn calls(gate: &Gate, source: &Path, options: &[&str], call: &str) -> usize {
    let log = gate.path().join("calls");
    let wrap = format!("{} -o {} -e trace={call}", support::kept::strace(), log.display());
    run(&mut gate.push_command(source, options, &wrap)).exits(0);
    support::until("the gate has ended", || support::processes::of(gate.path(), "strace").is_empty());
    fs::read_to_string(log).unwrap().lines().filter(|line| line.contains(&format!("{call}("))).count()
}

#[test]
fn a_push_of_directories_alone_has_each_looked_at_a_few_times() {
    if !can_trace() {
        return;
    }
    let gate = Gate::new();
    let source = gate.source("data");
    for number in 0..1000 {
        fs::create_dir_all(source.join(format!("{}/{number}", number / 100))).unwrap();
    }
    gate.push(&source, &[]).exits(0);
    // Is there a file in it, is there an unfinished one, and a count of it beside the snapshot before.
    let opened = calls(&gate, &source, &[], "openat");
    assert!(opened < 4400, "{opened}");
}

#[test]
fn with_hard_links_across_directories_none_is_opened_for_each_link() {
    if !can_trace() {
        return;
    }
    let gate = Gate::new();
    let source = gate.source("data");
    for directory in ["a", "b"] {
        fs::create_dir(source.join(directory)).unwrap();
        for number in 0..500 {
            let name = source.join(directory).join(number.to_string());
            if directory == "a" && number == 0 {
                fs::write(name, "x").unwrap();
            } else {
                fs::hard_link(source.join("a/0"), name).unwrap();
            }
        }
    }
    gate.push(&source, &["-H"]).exits(0);
    let opened = calls(&gate, &source, &["-H"], "openat2");
    assert!(opened < 100, "{opened}");
}
