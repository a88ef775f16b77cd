//! What holding does, and what ends it.

use std::fs;

use chrono::TimeDelta;
use snapgate::terms::View;
use support::Gate;
use support::tree::{noise, write};

use super::{current, events, facts, gate, held, home, pushed, text};
use crate::says;

/// A gate with a good snapshot, and a second one that is held.
fn with_damage(policy: &str) -> (Gate, Vec<String>) {
    let gate = gate(policy);
    let source = gate.source("home");
    home(&source);
    assert_eq!(pushed(&gate, &source), [""; 0]);
    fs::remove_dir_all(source.join("Documents")).unwrap();
    fs::remove_dir_all(source.join("src")).unwrap();
    assert!(!pushed(&gate, &source).is_empty());
    let names = gate.snapshots();
    assert_eq!(held(&gate), names[1..]);
    (gate, names)
}

#[test]
fn retention_keeps_all_from_the_last_good_snapshot_on() {
    let (gate, names) = with_damage("keep: { last: 1 }\nmin_snapshots: 1\nkeep_within: 1h\n");
    for day in [400, 300] {
        let name = (chrono::Utc::now() - chrono::TimeDelta::days(day)).format("%Y-%m-%dT%H-%M-%SZ").to_string();
        fs::create_dir(gate.inside("snapshots").join(name)).unwrap();
    }
    (0..3).for_each(|_| assert!(!pushed(&gate, &gate.source("home")).is_empty(), "still compared with the good one"));
    let said = says(&gate, &["prune", "--explain"]).exits(0).stdout;
    assert!(said.contains(&format!("{}: last good one before one that is held", names[0])), "{said}");
    assert!(said.contains(&format!("{}: held, or later than the last good one", names[1])) && said.contains("; 4 held"), "{said}");
    says(&gate, &["prune"]).exits(0);
    assert_eq!(gate.snapshots().len(), 5, "the two old ones are gone");
    assert_eq!(gate.snapshots()[0], names[0]);
}

#[test]
fn a_released_snapshot_is_a_good_one_from_then_on() {
    let (gate, names) = with_damage("anomaly: { current: good }\n");
    assert_eq!(current(&gate), names[0]);
    let said = says(&gate, &["release", "--client", "web1", &names[0]]).exits(64).stderr;
    assert!(said.contains("is not held") && said.contains(&names[1]), "{said}");
    says(&gate, &["release", "--client", "web1", "2020-01-01T00-00-00Z"]).exits(64);
    says(&gate, &["release", "--client", "web1", &names[1], "--why", "I tidied up"]).exits(0);
    assert_eq!((held(&gate).len(), current(&gate)), (0, names[1].clone()));
    let told = events(&gate, "release");
    let View::Upkeep(upkeep) = told[0].view() else { panic!("{told:?}") };
    assert_eq!((upkeep.snapshots.as_slice(), upkeep.why.as_str()), (&names[1..], "I tidied up"));
    assert_eq!(pushed(&gate, &gate.source("home")), [""; 0]);
    assert_eq!(facts(&gate).compared.unwrap().with, names[1]);
    says(&gate, &["release", "--client", "web1", &names[1]]).exits(64);
}

#[test]
fn what_is_held_is_a_state_until_somebody_says_what_it_is() {
    let (gate, names) = with_damage("expect: off\n");
    assert_eq!(gate.told_of("held", TimeDelta::minutes(1)), [""; 0], "the gate has told of it");
    assert_eq!(gate.told_of("held", TimeDelta::hours(25)), ["[snapgate] web1: held: 1 snapshot is held"]);
    says(&gate, &["release", "--client", "web1", &names[1]]).exits(0);
    let told = gate.told_of("held", TimeDelta::hours(27));
    assert_eq!(told[1..], ["[snapgate] web1: held: resolved after 26 hours"], "{told:?}");
}

#[test]
fn a_discarded_snapshot_goes_to_the_trash_and_its_audit_stays() {
    let (gate, names) = with_damage("");
    let said = says(&gate, &["maintain"]).exits(1).stdout;
    assert!(said.contains("  problem: 1 snapshot is held, because it may be damage\n    look at it, then `snapgate release`"), "{said}");
    assert_eq!(events(&gate, "maintain")[0].mail, snapgate::terms::Mail::Alert);
    assert_eq!(current(&gate), names[1], "by default `current` leads to the newest");
    says(&gate, &["protect", "--client", "web1", &names[1]]).exits(0);
    says(&gate, &["discard", "--client", "web1", &names[1]]).exits(77);
    says(&gate, &["unprotect", "--client", "web1", &names[1]]).exits(0);
    says(&gate, &["discard", "--client", "web1", &names[1], "--why", "a virus"]).exits(0);
    assert_eq!((gate.snapshots(), current(&gate)), (names[..1].to_vec(), names[0].clone()));
    assert!(!says(&gate, &["prune", "--explain"]).exits(0).stdout.contains(" held"), "what is in the trash is not counted");
    assert!(events(&gate, "discard")[0].summary().starts_with(&format!("{} discarded by ", names[1])));
    assert!(events(&gate, "push").iter().any(|event| event.push().unwrap().held.is_some()), "why it was held stays in the ledger");
    says(&gate, &["maintain"]).exits(0);
    let note = fs::read_dir(gate.inside(".snapgate/trash")).unwrap().flatten().filter(|entry| entry.path().is_file());
    assert!(note.map(|note| fs::read_to_string(note.path()).unwrap()).any(|note| note.contains("a virus")));
    says(&gate, &["undelete", "--client", "web1", &names[1]]).exits(0);
    assert_eq!(gate.snapshots(), names);
}

#[test]
fn a_good_push_that_takes_the_name_of_damage_ends_only_what_its_own_snapshot_is_held_for() {
    let gate = gate("anomaly: { current: good }\nsnapshots: { name: \"%Y-%m-%d\" }\n");
    let day = |days| chrono::Utc::now() + chrono::TimeDelta::days(days);
    let source = gate.source("home");
    home(&source);
    assert_eq!(pushed(&gate, &source), [""; 0]);
    gate.set_clock(day(1));
    fs::remove_dir_all(source.join("Documents")).unwrap();
    fs::remove_dir_all(source.join("src")).unwrap();
    assert!(!pushed(&gate, &source).is_empty());
    let names = gate.snapshots();
    says(&gate, &["discard", "--client", "web1", &names[1]]).exits(0);
    home(&source);
    assert_eq!(pushed(&gate, &source), [""; 0], "on the same day");
    assert_eq!((gate.snapshots(), held(&gate), current(&gate)), (names.clone(), vec![], names[1].clone()));
    let there = says(&gate, &["undelete", "--client", "web1", &names[1]]).exits(64).stderr;
    assert!(there.contains("has another snapshot"), "{there}");
    assert_eq!(held(&gate), [""; 0]);
    // As in a hurry, or by whoever was killed before it was published.
    fs::remove_dir_all(gate.inside("snapshots").join(&names[1])).unwrap();
    says(&gate, &["undelete", "--client", "web1", &names[1]]).exits(0);
    assert_eq!((gate.snapshots(), held(&gate), current(&gate)), (names.clone(), names[1..].to_vec(), names[0].clone()));
    assert_eq!(fs::read_dir(gate.inside(".snapgate/trash")).unwrap().count(), 0, "nothing is left of it there");
}

#[test]
fn damage_that_comes_back_is_still_held_and_freezes_history() {
    for way in [&["discard"][..], &["delete", "--force"]] {
        let (gate, names) = with_damage("anomaly: { current: good }\n");
        says(&gate, &[way, &["--client", "web1", &names[1]]].concat()).exits(0);
        // A session tidies up.
        gate.say("prepare").exits(0);
        says(&gate, &["undelete", "--client", "web1", &names[1]]).exits(0);
        assert_eq!((gate.snapshots(), held(&gate), current(&gate)), (names.clone(), names[1..].to_vec(), names[0].clone()), "{way:?}");
        says(&gate, &["release", "--client", "web1", &names[1]]).exits(0);
        // Nor does a note stay about what cannot come back.
        let trash = gate.inside(".snapgate/trash");
        assert_eq!(fs::read_dir(&trash).unwrap().count(), 0);
        let note = gate.inside(".snapgate/held/2026-11-21T02-00-00Z.json");
        fs::write(&note, "{}").unwrap();
        gate.say("prepare").exits(0);
        assert!(!note.exists());
    }
}

#[test]
fn a_history_that_cannot_be_read_is_not_written_over_and_pushes_are_judged() {
    let (gate, names) = with_damage("");
    let history = gate.inside(".snapgate/pushes.json");
    fs::write(&history, "torn").unwrap();
    assert!(!pushed(&gate, &gate.source("home")).is_empty());
    let said = says(&gate, &["release", "--client", "web1", &names[1]]).exits(75).stderr;
    assert!(said.contains("pushes.json"), "{said}");
    home(&gate.source("home"));
    assert_eq!(pushed(&gate, &gate.source("home")), [""; 0]);
    assert_eq!(fs::read_to_string(&history).unwrap(), "torn");
    let told = fs::read_to_string(gate.inside(".snapgate/ledger.jsonl")).unwrap();
    assert!(told.lines().last().unwrap().contains("pushes.json"), "{told}");
    // The administrator hears of it from the timer, and not every hour.
    let heard = || {
        let said = says(&gate, &["maintain"]).exits(1).stdout;
        assert!(said.contains("pushes.json") && said.contains("\n    move it away: "), "{said}");
        gate.flush();
        gate.mails().len()
    };
    let first = heard();
    assert!(gate.mails().iter().any(|mail| mail.contains("move it away")));
    assert_eq!((heard(), heard()), (first, first));
    fs::remove_file(&history).unwrap();
    assert_eq!(pushed(&gate, &gate.source("home")), [""; 0]);
    assert!(history.exists() && !says(&gate, &["maintain"]).exits(1).stdout.contains("pushes.json"), "the held one is left");
}

#[test]
fn good_pushes_after_damage_are_good_and_current_follows_them() {
    let (gate, names) = with_damage("anomaly: { current: good }\n");
    let source = gate.source("home");
    home(&source);
    write(&source.join("new.txt"), text(7, 500));
    assert_eq!(pushed(&gate, &source), [""; 0]);
    assert_eq!(current(&gate), gate.snapshots()[2]);
    // A kill between publishing and the link is healed to the same.
    fs::remove_file(gate.inside("current")).unwrap();
    std::os::unix::fs::symlink(format!("snapshots/{}", names[1]), gate.inside("current")).unwrap();
    gate.say("prepare").exits(0);
    assert_eq!(current(&gate), gate.snapshots()[2]);
}

#[test]
fn a_merged_push_onto_a_good_one_that_the_history_lacks_is_good() {
    let gate = gate("partial_pushes: merge\n");
    let source = gate.source("home");
    home(&source);
    assert_eq!(pushed(&gate, &source), [""; 0]);
    let note = gate.inside(".snapgate/pushes.json");
    let before = fs::read(&note).unwrap();
    assert_eq!(pushed(&gate, &source), [""; 0]);
    // As after a kill between publishing it and writing that down.
    fs::write(&note, before).unwrap();
    gate.rsync(&["-a", &format!("{}/Documents/", source.display()), "backup:Documents/"]).exits(0);
    let push = facts(&gate);
    assert!(push.carried > 0 && push.held.is_none(), "{push:?}");
}

#[test]
fn off_holds_nothing_and_still_counts() {
    let gate = gate("anomaly: off\n");
    let source = gate.source("home");
    home(&source);
    pushed(&gate, &source);
    fs::remove_dir_all(source.join("src")).unwrap();
    for number in 0..400_u64 {
        write(&source.join(format!("x{number}.locked")), noise(number, 900));
    }
    fs::remove_dir_all(source.join("Documents")).unwrap();
    assert_eq!(pushed(&gate, &source), [""; 0]);
    assert_eq!(facts(&gate).compared.unwrap().gone, 320);
    (0..400).for_each(|number| fs::remove_file(source.join(format!("x{number}.locked"))).unwrap());
    assert_eq!(pushed(&gate, &source), [""; 0]);
    let history = fs::read_to_string(gate.inside(".snapgate/pushes.json")).unwrap();
    assert!(!history.contains("over"), "nobody said that this is usual: {history}");
}
