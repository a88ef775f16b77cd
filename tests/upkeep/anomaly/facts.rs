//! What the record of each push says of the one before.

use std::fs;

use support::tree::{age, write};

use super::{facts, gate, old, pushed, text};

#[test]
fn a_push_says_how_many_files_it_linked_changed_received_and_lost() {
    let gate = gate("");
    let source = gate.source("data");
    (0..40).for_each(|number| write(&source.join(format!("d/{number}")), text(number, 700)));
    old(&source);
    let figures = |gate: &support::Gate| {
        let compared = facts(gate).compared.unwrap();
        (compared.files, compared.unchanged, compared.changed, compared.added, compared.gone)
    };
    pushed(&gate, &source);
    pushed(&gate, &source);
    assert_eq!(figures(&gate), (40, 40, 0, 0, 0));
    (0..3).for_each(|number| fs::remove_file(source.join(format!("d/{number}"))).unwrap());
    (3..8).for_each(|number| write(&source.join(format!("d/{number}")), text(number + 90, 700)));
    (50..52).for_each(|number| write(&source.join(format!("e/{number}")), text(number, 700)));
    pushed(&gate, &source);
    assert_eq!(figures(&gate), (40, 32, 5, 2, 3));
    // Hard links among them, a transaction, and a place tell the same.
    fs::hard_link(source.join("d/9"), source.join("d/twin")).unwrap();
    gate.push(&source, &["-H"]).exits(0);
    assert_eq!(figures(&gate), (39, 39, 0, 1, 0));
    gate.push(&source, &["-H"]).exits(0);
    assert_eq!(figures(&gate), (40, 40, 0, 0, 0));
    gate.say("prepare").exits(0);
    gate.push(&source, &[]).exits(0);
    gate.say("complete 0").exits(0);
    let compared = facts(&gate).compared.unwrap();
    assert_eq!((compared.unchanged, compared.gone, compared.added), (40, 0, 0), "{compared:?}");
}

#[test]
fn a_push_that_linked_nothing_is_a_warning_with_its_cause() {
    let gate = gate("");
    let source = gate.source("data");
    (0..40).for_each(|number| write(&source.join(format!("d/{number}")), text(number, 700)));
    old(&source);
    let warned = |options: &[&str]| {
        let from = format!("{}/", source.display());
        gate.rsync(&[options, &[&from, "backup:"]].concat()).exits(0);
        let record = gate.record();
        record.warnings.into_iter().find(|warning| warning.starts_with("nothing was linked")).unwrap_or_default()
    };
    assert_eq!(warned(&["-rlpg"]), "", "the first one");
    let said = warned(&["-rlpg"]);
    assert!(said.contains("40 files of the same names: the client's rsync keeps no times (`-t`"), "{said}");
    warned(&["-a"]);
    assert_eq!(warned(&["-a"]), "");
    (0..40).for_each(|number| age(&source.join(format!("d/{number}")), 50));
    let said = warned(&["-a"]);
    assert!(said.contains("the files have other times at the client"), "{said}");
    (0..40).for_each(|number| write(&source.join(format!("d/{number}")), text(number + 100, 700)));
    assert_eq!(warned(&["-a"]), "", "all have changed");
}
