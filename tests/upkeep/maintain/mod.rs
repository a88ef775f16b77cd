//! `snapgate maintain` and `status`, as a timer and the administrator run them.

mod accounts;
mod killed;
mod past;
mod standing;
mod year;

use std::fs;
use std::path::Path;
use std::process::Command;

use chrono::{TimeDelta, Utc};
use snapgate::act::prune::recorded;
use snapgate::act::record::ledger;
use snapgate::terms::{Event, Mail};
use support::Gate;

use crate::{name, says};

/// A gate whose client has pushed once, and has besides a copy of that snapshot of each of these ages in days.
fn with_history(policy: &str, days: &[i64]) -> Gate {
    with_history_in(Gate::with("", &format!("{}{policy}", support::POLICY)), days)
}

fn with_history_in(gate: Gate, days: &[i64]) -> Gate {
    let source = gate.source("data");
    fs::write(source.join("file"), "now").unwrap();
    gate.push(&source, &[]).exits(0);
    for days in days {
        // With the owners that a push has given them.
        let snapshot = gate.inside("snapshots").join(name(Utc::now() - TimeDelta::days(*days)));
        support::must(Command::new("cp").arg("-a").arg(gate.newest()).arg(snapshot));
    }
    gate
}

/// All events of a client, wherever they stand.
fn told(gate: &Gate) -> Vec<Event> {
    let mut all = Vec::new();
    recorded(&gate.inside(".snapgate"), |_| true, |event| all.push(event));
    all
}

fn count(directory: &Path) -> usize {
    fs::read_dir(directory).into_iter().flatten().count()
}

#[test]
fn it_says_a_line_for_each_client_and_frees_and_removes_in_this_order() {
    let gate = with_history("keep: { daily: 2 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[1, 2, 3]);
    let said = says(&gate, &["maintain", "--dry-run"]).exits(0).stdout;
    assert!(said.starts_with("web1: 2 snapshots would be removed, 2 kept; due: prune, logs\n  - "), "{said}");
    assert_eq!((gate.snapshots().len(), gate.inside(".snapgate/maintained.json").exists()), (4, false));
    let said = says(&gate, &["maintain", "web1"]).exits(0).stdout;
    assert_eq!(said, "web1: 2 snapshots removed, 2 kept; 2 in the trash\n");
    gate.set_clock(Utc::now() + TimeDelta::hours(25));
    let said = says(&gate, &["maintain", "web1"]).exits(0).stdout;
    assert!(said.starts_with("web1: 0 snapshots removed, 2 kept; 2 snapshots gone for good, ") && said.ends_with(" free\n"), "{said}");
    assert_eq!(count(&gate.inside(".snapgate/trash")), 0);
    // A timer, and cron, hear nothing of what went well.
    assert_eq!(says(&gate, &["maintain"]).exits(0).stdout, "");
    let json: serde_json::Value = serde_json::from_str(&says(&gate, &["maintain", "--json"]).exits(0).stdout).unwrap();
    assert_eq!((&json[0]["client"], &json[0]["kept"], &json[0]["done"]), (&"web1".into(), &2.into(), &serde_json::json!(["prune"])));
}

#[test]
fn one_broken_policy_or_repository_never_stops_the_others_and_a_person_gets_one_mail_a_day() {
    let gate = with_history("keep: { daily: 2 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[1, 2, 3]);
    gate.write("config/policies/broken.yaml", "kep: 7\n");
    let me = support::getent::my_name();
    gate.write("config/policies/other.yaml", &format!("user: {me}\n"));
    fs::create_dir(gate.path().join("store/other")).unwrap();
    support::mode(&gate.path().join("store/other"), 0o777);
    gate.write("config/policies/young.yaml", &format!("user: {me}\n"));
    let said = says(&gate, &["maintain", "--jobs", "3"]).exits(1).stdout;
    assert_eq!(gate.snapshots().len(), 2, "{said}");
    let lines: Vec<_> = said.lines().filter(|line| !line.starts_with(' ')).collect();
    assert_eq!(lines, ["broken: nothing could be done", "other: nothing could be done"], "{said}");
    assert!(said.contains("`kep` is not a key") && said.contains("is not the directory of uid"), "{said}");
    gate.flush();
    // A disk or a directory of accounts may be away for a moment. Then it is a state, and that alone is mailed.
    let first = gate.mails().len();
    assert!(gate.mails().iter().all(|mail| mail.contains("Subject: [snapgate] web1: published")), "{:#?}", gate.mails());
    gate.set_clock(Utc::now() + TimeDelta::minutes(70));
    says(&gate, &["maintain"]).exits(1);
    gate.flush();
    let mails = gate.mails();
    let about = |client: &str| mails.iter().filter(|mail| mail.contains(&format!("nothing is known of {client},"))).count();
    assert_eq!((about("broken"), about("other"), mails.len()), (1, 1, first + 2), "{mails:#?}");
    let before = mails.len();
    for hours in 2..7 {
        gate.set_clock(Utc::now() + TimeDelta::hours(hours));
        says(&gate, &["maintain"]).exits(1);
        gate.flush();
    }
    assert_eq!(gate.mails().len(), before, "{:#?}", gate.mails());
    gate.set_clock(Utc::now() + TimeDelta::hours(30));
    says(&gate, &["maintain"]).exits(1);
    gate.flush();
    assert_eq!(gate.mails().len(), before + 2, "{:#?}", gate.mails());
    // What cannot stand in a client's ledger stands in the spool's.
    let events = ledger::read(&gate.spool().join("ledger.jsonl"));
    assert!(events.iter().all(|event| event.kind() == "maintain" && event.mail == Mail::None) && events.len() > 10, "{}", events.len());
}

#[test]
fn a_second_one_says_so_and_does_nothing_and_a_push_makes_it_wait_for_the_next_time() {
    let gate = with_history("keep: { daily: 2 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[1, 2, 3]);
    let lock = gate.spool().join("maintain.lock");
    let held = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&lock).unwrap();
    support::mode(&lock, 0o600);
    held.lock().unwrap();
    let said = says(&gate, &["maintain", "web1"]).exits(75);
    assert_eq!((said.stdout.as_str(), gate.snapshots().len()), ("another `snapgate maintain` is at work: nothing was done\n", 4));
    assert_eq!(says(&gate, &["maintain"]).exits(75).stdout, "");
    // Not by closing it: a process that a test beside this one is just making has it open, too.
    held.unlock().unwrap();
    let push = fs::OpenOptions::new().write(true).open(gate.inside(".snapgate/lock")).unwrap();
    push.lock().unwrap();
    let said = says(&gate, &["maintain", "web1"]).exits(0).stdout;
    assert_eq!(said, "web1: a push is running, the rest waits for the next time\n");
    push.unlock().unwrap();
    says(&gate, &["maintain"]).exits(0);
    assert_eq!(gate.snapshots().len(), 2);
}

#[test]
fn a_repository_that_is_gone_needs_somebody() {
    let gate = with_history("", &[]);
    says(&gate, &["maintain"]).exits(0);
    fs::rename(gate.repository(), gate.path().join("elsewhere")).unwrap();
    let said = says(&gate, &["maintain"]).exits(1).stdout;
    assert!(said.starts_with("web1: nothing could be done\n  problem: the repository `"), "{said}");
    assert!(says(&gate, &["status"]).exits(1).stdout.contains("is missing"));
}

#[test]
fn an_unknown_client_is_told_of_before_anything_is_done() {
    let gate = with_history("keep: { daily: 2 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[1, 2, 3]);
    let said = says(&gate, &["maintain", "web1", "nobody"]).exits(64);
    assert!(said.stderr.contains("no policy for `nobody`"), "{said:?}");
    assert_eq!(gate.snapshots().len(), 4);
}
