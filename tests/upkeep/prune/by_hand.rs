//! What the administrator removes, brings back and protects.

use std::fs::{self, File};

use super::{events, is_whole, says, trash, with_history};
use crate::make_old;

#[test]
fn what_one_chooses_goes_and_comes_back() {
    let (gate, names) = with_history("min_snapshots: 1\nkeep_within: 1h\n", &[1, 2, 3]);
    let said = says(&gate, &["delete", "--client", "web1", "--dry-run", &names[0]]).exits(0).stdout;
    assert!(said.starts_with("web1: 1 snapshot would be removed\n"), "{said}");
    says(&gate, &["delete", "--client", "web1", &names[0], &names[1], &names[0]]).exits(0);
    assert_eq!((gate.snapshots(), trash(&gate)), (names[2..].to_vec(), names[..2].to_vec()));
    assert!(events(&gate, "delete")[0].summary().starts_with("2 snapshots deleted by "));
    says(&gate, &["undelete", "--client", "web1", &names[1]]).exits(0);
    assert_eq!((gate.snapshots(), trash(&gate)), (names[1..].to_vec(), names[..1].to_vec()));
    assert!(is_whole(&gate.inside("snapshots").join(&names[1])));
    assert_eq!(events(&gate, "undelete").len(), 1);
    let said = says(&gate, &["undelete", "--client", "web1", &names[1]]).exits(64).stderr;
    assert!(said.contains("is not in the trash of `web1`") && said.contains(&names[0]), "{said}");
    let said = says(&gate, &["delete", "--client", "web1", "2020-01-01T00-00-00Z", &names[1]]).exits(64).stderr;
    assert!(said.contains("has no snapshot `2020-01-01T00-00-00Z`"), "{said}");
    assert_eq!(gate.snapshots(), names[1..], "all or none");
}

#[test]
fn what_came_back_stays_although_a_rule_had_removed_it() {
    let (gate, names) = with_history("keep: { daily: 2 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[1, 2]);
    says(&gate, &["prune"]).exits(0);
    let said = says(&gate, &["undelete", "--client", "web1", &names[0]]).exits(0).stdout;
    assert_eq!(said, format!("web1: {} is back, protected for 1d\n", names[0]));
    says(&gate, &["prune"]).exits(0);
    assert_eq!(gate.snapshots(), names);
    says(&gate, &["unprotect", "--client", "web1", &names[0]]).exits(0);
    says(&gate, &["prune"]).exits(0);
    assert_eq!(gate.snapshots(), names[1..]);
    make_old(&gate);
    says(&gate, &["prune"]).exits(0);
    says(&gate, &["undelete", "--client", "web1", &names[0]]).exits(64);
}

#[test]
fn floors_hold_unless_it_is_forced_and_current_never_dangles() {
    let (gate, names) = with_history("", &[1, 2]);
    let current = || fs::read_link(gate.inside("current")).ok().map(|path| path.display().to_string());
    let said = says(&gate, &["delete", "--client", "web1", &names[2], &names[0]]).exits(77).stderr;
    assert!(said.contains(&format!("{}: newest, current, ", names[2])) && said.contains("--force"), "{said}");
    assert_eq!(gate.snapshots(), names);
    says(&gate, &["delete", "--client", "web1", "--force", &names[2]]).exits(0);
    assert_eq!(current(), Some(format!("snapshots/{}", names[1])));
    says(&gate, &["delete", "--client", "web1", "--force", &names[0], &names[1]]).exits(0);
    assert_eq!((current(), gate.snapshots().len(), trash(&gate)), (None, 0, names.clone()));
    says(&gate, &["undelete", "--client", "web1", &names[1]]).exits(0);
    assert_eq!(current(), Some(format!("snapshots/{}", names[1])));
    says(&gate, &["undelete", "--client", "web1", &names[0]]).exits(0);
    assert_eq!(current(), Some(format!("snapshots/{}", names[1])));
    gate.push(&gate.source("data"), &[]).exits(0);
    assert_eq!(gate.snapshots().len(), 3);
}

#[test]
fn a_protected_snapshot_stays_until_then_or_until_somebody_says_otherwise() {
    let (gate, names) = with_history("keep: { last: 1 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[1, 2, 3]);
    says(&gate, &["protect", "--client", "web1", &names[0], "--why", "an audit", "--until", "30d"]).exits(0);
    says(&gate, &["protect", "--client", "web1", &names[1]]).exits(0);
    let said = says(&gate, &["prune", "--explain"]).exits(0).stdout;
    assert!(said.contains(&format!("    {}: protected\n", names[0])), "{said}");
    says(&gate, &["prune"]).exits(0);
    assert_eq!(gate.snapshots(), [&names[..2], &names[3..]].concat());
    says(&gate, &["unprotect", "--client", "web1", &names[1]]).exits(0);
    says(&gate, &["unprotect", "--client", "web1", &names[1]]).exits(64);
    says(&gate, &["prune"]).exits(0);
    assert_eq!(gate.snapshots(), [&names[..1], &names[3..]].concat());
    for (words, wrong) in [
        (&["--until", "yesterday"][..], 64),
        (&["--until", "2020-01-01"], 64),
        (&["--until", "3m"], 64),
        (&["--until", "2099-12-31"], 0),
        (&["--until", "2099-12-31T03:00"], 0),
    ] {
        says(&gate, &[&["protect", "--client", "web1", names[0].as_str()], words].concat()).exits(wrong);
    }
    says(&gate, &["protect", "--client", "web1", &names[2]]).exits(64);
    let summaries: Vec<_> = events(&gate, "protect").iter().map(snapgate::terms::Event::summary).collect();
    assert_eq!(summaries.len(), 5, "{summaries:?}");
}

#[test]
fn what_a_restore_reads_is_not_removed() {
    let (gate, names) = with_history("keep: { last: 1 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[1, 2]);
    let reading = File::open(gate.inside("snapshots").join(&names[0])).unwrap();
    reading.lock_shared().unwrap();
    let said = says(&gate, &["delete", "--client", "web1", &names[0]]).exits(77).stderr;
    assert!(said.contains("being read"), "{said}");
    says(&gate, &["prune"]).exits(0);
    assert_eq!(gate.snapshots(), [&names[..1], &names[2..]].concat());
    // Not by closing it: a process that is just being made has it open, too.
    reading.unlock().unwrap();
    says(&gate, &["prune"]).exits(0);
    assert_eq!(gate.snapshots(), names[2..]);
}
