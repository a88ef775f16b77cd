//! A snapshot that has much less than the one before it does not look as if all were well.

use std::fs;

use snapgate::terms::Mail;
use snapgate::terms::outcome::Outcome;
use snapgate::terms::record::Lost;

use support::{Gate, POLICY, run};

/// One that mails problems alone.
fn gate() -> Gate {
    Gate::with("", &POLICY.replace("report: always\n", ""))
}

fn fill(gate: &Gate, name: &str, files: usize) -> String {
    let path = gate.source(name);
    for number in 0..files {
        fs::write(path.join(number.to_string()), "x").unwrap();
    }
    path.display().to_string()
}

/// What the newest record and the list say, and what the client was told.
#[track_caller]
fn told(gate: &Gate, said: &str, lost: Option<&Lost>) {
    let record = gate.record();
    assert_eq!(record.result, Outcome::Published);
    let facts = record.push.unwrap();
    assert_eq!(facts.lost.as_ref(), lost);
    assert_eq!(record.mail, if lost.is_some() { Mail::Report } else { Mail::None }, "{:?}", record.warnings);
    assert_eq!(said.contains("of the last snapshot"), lost.is_some(), "{said}");
    // Whoever has the key alone could list the names of history one push after the other.
    let line = said.lines().find(|line| line.contains("of the last snapshot")).unwrap_or_default();
    assert!(lost.iter().flat_map(|lost| &lost.names).all(|name| !line.contains(&format!("`{name}`"))), "{said}");
    let list = run(&mut gate.snapgate(&["list", "web1"])).exits(0).stdout;
    let newest = list.lines().find(|line| line.contains("current")).unwrap();
    assert_eq!(newest.contains("shrunk"), lost.is_some(), "{list}");
    assert!(!list.contains(" 1 files"), "{list}");
}

#[test]
fn a_source_that_is_not_there_is_missed_although_the_server_s_rsync_ends_well() {
    let gate = gate();
    let (a, b) = (fill(&gate, "a", 3), fill(&gate, "b", 12));
    let push = || gate.rsync(&["-a", "--delete", &a, &b, "backup:"]);
    push().exits(0);
    told(&gate, "", None);
    fs::remove_dir_all(&b).unwrap();
    let lost = Lost { names: vec!["b".into()], files: 12, ..Lost::default() };
    told(&gate, &push().exits(23).stderr, Some(&lost));
    assert!(gate.record().warnings.iter().any(|warning| warning.contains("`b` of the last snapshot is not in this one (12 files)")));
    told(&gate, &push().exits(23).stderr, None);
}

#[test]
fn more_than_half_of_all_files_are_missed_wherever_they_were() {
    let gate = gate();
    let source = gate.source("data");
    fs::create_dir(source.join("below")).unwrap();
    fill(&gate, "data/below", 30);
    gate.push(&source, &[]).exits(0);
    for number in 0..10 {
        fs::remove_file(source.join(format!("below/{number}"))).unwrap();
    }
    told(&gate, &gate.push(&source, &[]).exits(0).stderr, None);
    for number in 10..21 {
        fs::remove_file(source.join(format!("below/{number}"))).unwrap();
    }
    told(&gate, &gate.push(&source, &[]).exits(0).stderr, Some(&Lost { files: 11, ..Lost::default() }));
}

#[test]
fn a_push_into_a_part_says_what_the_snapshot_is_without() {
    let gate = gate();
    let (etc, home) = (fill(&gate, "etc", 2), fill(&gate, "home", 40));
    gate.rsync(&["-a", &format!("{home}/"), "backup:home/"]).exits(0);
    told(&gate, "", None);
    let ran = gate.rsync(&["-a", &format!("{etc}/"), "backup:etc/"]).exits(0);
    told(&gate, &ran.stderr, Some(&Lost { names: vec!["home".into()], files: 40, outside: true, ..Lost::default() }));
}

#[test]
fn a_transaction_is_held_against_the_last_snapshot_as_a_whole() {
    let gate = gate();
    let (a, b) = (fill(&gate, "a", 2), fill(&gate, "b", 5));
    gate.rsync(&["-a", &a, &b, "backup:"]).exits(0);
    gate.say("prepare").exits(0);
    gate.rsync(&["-a", &a, "backup:"]).exits(0);
    let ran = gate.say("complete 0").exits(0);
    told(&gate, &ran.stderr, Some(&Lost { names: vec!["b".into()], files: 5, ..Lost::default() }));
}
