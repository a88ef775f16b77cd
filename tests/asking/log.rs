//! The ledger for people.

use std::fs;
use std::process::Command;

use chrono::{TimeDelta, Utc};
use support::{Gate, POLICY, is_root, mode, run, skip};

use crate::{client, push_as, say_as, says, told};

/// A gate with two clients: web1 pushes, is refused and asks, then db1 pushes.
fn with_two() -> Gate {
    let gate = Gate::new();
    client(&gate, "db1");
    // Now no key says which of the two comes.
    client(&gate, "web1");
    let source = gate.source("data");
    fs::write(source.join("file"), "content").unwrap();
    push_as(&gate, "web1", &source);
    say_as(&gate, "web1", "rm -rf /").exits(77);
    say_as(&gate, "web1", "status").exits(0);
    push_as(&gate, "db1", &source);
    gate
}

#[test]
fn all_clients_are_told_of_in_order_of_time_a_line_for_each_event() {
    let gate = with_two();
    let said = says(&gate, &["log"]).exits(0).stdout;
    let lines = told(&said);
    assert_eq!(lines.len(), 4, "{said}");
    assert!(lines[0].starts_with("web1 published 20") && lines[0].contains(", 1 file, 1 new (7 bytes), in under 1s"), "{said}");
    assert!(lines[1].starts_with("web1 refused from 192.0.2.9: ") && lines[1].ends_with("(code program)"), "{said}");
    assert_eq!(lines[2], "web1 status told from 192.0.2.9", "{said}");
    assert!(lines[3].starts_with("db1 published 20"), "{said}");
    assert!(said.lines().all(|line| line.split_whitespace().nth(2) == Some("UTC")), "{said}");
    assert_eq!(told(&says(&gate, &["log", "db1"]).exits(0).stdout), lines[3..]);
    assert!(says(&gate, &["log", "nobody"]).exits(64).stderr.contains("no policy for `nobody`"));
    // What comes before it has a repository stands in the account's own ledger.
    client(&gate, "young");
    say_as(&gate, "young", "ls").exits(77);
    assert_eq!(told(&says(&gate, &["log", "young"]).exits(0).stdout).len(), 1);
    assert_eq!(told(&says(&gate, &["log"]).exits(0).stdout).len(), 5);
}

#[test]
fn one_finds_what_one_looks_for() {
    let gate = with_two();
    let said = says(&gate, &["log"]).exits(0).stdout;
    let lines = told(&said);
    let found = |words: &[&str]| told(&says(&gate, &[&["log"], words].concat()).exits(0).stdout);
    assert_eq!(found(&["--outcome", "refused"]), lines[1..2]);
    assert_eq!(found(&["--outcome", "ok"]), [&lines[..1], &lines[2..]].concat());
    assert_eq!(found(&["--outcome", "failed"]), [""; 0]);
    assert_eq!(found(&["--outcome", "published,refused"]).len(), 3);
    assert_eq!(found(&["--code", "program"]), lines[1..2]);
    assert_eq!(found(&["--verb", "status"]), lines[2..3]);
    assert_eq!(found(&["-n", "2"]), lines[2..]);
    assert_eq!(found(&["-n", "1", "--outcome", "refused"]), lines[1..2]);
    assert_eq!(found(&["-n", "0"]), [""; 0]);
    assert_eq!(found(&["--since", "1h"]), lines);
    assert_eq!(found(&["--until", "yesterday"]), [""; 0]);
    let third = said.lines().nth(2).unwrap()[..19].to_owned();
    assert!(found(&["--since", &third]).len() >= 2, "in UTC, as it is shown");
    assert!(says(&gate, &["log", "--code", "windw"]).exits(64).stderr.contains("did you mean `window`?"));
    assert!(says(&gate, &["log", "--outcome", "bad"]).exits(64).stderr.contains("ok, refused or failed"));
    assert!(says(&gate, &["log", "--since", "soon"]).exits(64).stderr.contains("`soon` is not a time\nwrite 2026-11-20"));
    assert!(says(&gate, &["log", "--since", "1h", "--until", "2h"]).exits(64).stderr.contains("nothing lies between"));
}

#[test]
fn details_and_json_say_all_that_the_ledger_says() {
    let gate = with_two();
    let said = says(&gate, &["log", "-v", "--outcome", "refused"]).exits(0).stdout;
    for part in
        ["\n    command   rm -rf /\n", "\n    exit      77\n", "\n    from      192.0.2.9\n", "\n    why       ", "\n    id        20"]
    {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    let said = says(&gate, &["log", "--json"]).exits(0).stdout;
    let events: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 4);
    assert_eq!((&events[1]["client"], &events[1]["result"], &events[1]["kind"]), (&"web1".into(), &"refused".into(), &"connection".into()));
    let ledger: Vec<serde_json::Value> = fs::read_to_string(gate.path().join("store/db1/.snapgate/ledger.jsonl"))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events[3..], ledger);
}

#[test]
fn times_are_the_client_s_own_or_those_of_the_site_s_policies() {
    let gate = Gate::with("defaults: { timezone: Asia/Tokyo, owners: drop }\n", &format!("timezone: America/Lima\n{POLICY}"));
    gate.say("nothing of the kind");
    assert!(says(&gate, &["log"]).exits(0).stdout.contains(" +09:00  web1"));
    assert!(says(&gate, &["log", "web1"]).exits(0).stdout.contains(" -05:00  web1"));
}

#[test]
fn ledgers_that_were_set_aside_are_read_too_and_each_event_once() {
    let gate = Gate::with("", &format!("{POLICY}keep: {{ daily: 9 }}\n"));
    let source = gate.source("data");
    for month in 0..3 {
        gate.set_clock(Utc::now() + TimeDelta::days(31 * month));
        gate.push(&source, &["--ignore-times"]).exits(0);
        gate.say("nothing of the kind");
        let was = says(&gate, &["log", "--json"]).exits(0).stdout;
        says(&gate, &["maintain"]);
        // The new ledger begins with lines of the old one.
        let is = says(&gate, &["log", "--json"]).exits(0).stdout;
        let ids = |said: &str| -> Vec<String> {
            said.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned()).collect()
        };
        let connections: Vec<_> = ids(&is).into_iter().filter(|id| ids(&was).contains(id)).collect();
        assert_eq!(connections, ids(&was), "month {month}");
        assert!(ids(&is).is_sorted() && ids(&is).windows(2).all(|two| two[0] != two[1]), "{is}");
    }
    let old = fs::read_dir(gate.inside(".snapgate/ledgers")).unwrap().count();
    assert_eq!(old, 2);
    let refused = says(&gate, &["log", "--outcome", "refused"]).exits(0).stdout;
    assert_eq!(refused.lines().count(), 3, "{refused}");
    assert_eq!(
        says(&gate, &["log", "--outcome", "refused", "-n", "2"]).exits(0).stdout,
        refused.split_inclusive('\n').skip(1).collect::<String>()
    );
    assert_eq!(says(&gate, &["log", "--outcome", "refused", "-n", "9"]).exits(0).stdout, refused);
    let since = (Utc::now() + TimeDelta::days(20)).format("%Y-%m-%d").to_string();
    assert_eq!(says(&gate, &["log", "--outcome", "refused", "--since", &since]).exits(0).stdout.lines().count(), 2);
}

#[test]
fn an_ordinary_user_is_told_of_its_own_clients_alone() {
    if !is_root() {
        return skip("it takes two accounts");
    }
    let gate = with_two();
    let other = support::accounts::account(1);
    gate.write("config/policies/other.yaml", &format!("user: {}\n", other.name));
    for (name, bits) in [(".", 0o755), ("config", 0o755), ("config/policies", 0o755), ("store", 0o755), ("spool", 0o1777)] {
        mode(&gate.path().join(name), bits);
    }
    for name in ["snapgate.yaml", "policies/web1.yaml", "policies/db1.yaml", "policies/other.yaml"] {
        mode(&gate.path().join("config").join(name), 0o644);
    }
    let as_other = |command: &Command| {
        let mut words = Command::new("setpriv");
        words.args([&format!("--reuid={}", other.uid), &format!("--regid={}", other.gid), "--clear-groups"]);
        run(words.arg(command.get_program()).args(command.get_args()))
    };
    let mut refused = Command::new("/usr/bin/env");
    refused.args(["-i", "SSH_CONNECTION=192.0.2.9 1 192.0.2.1 22", "SSH_ORIGINAL_COMMAND=ls"]).arg(support::GATE);
    as_other(refused.arg("--config").arg(gate.path().join("config")).args(["--client", "other"])).exits(77);
    assert_eq!(says(&gate, &["log"]).exits(0).stdout.lines().count(), 5);
    let said = as_other(&gate.snapgate(&["log"])).exits(0).stdout;
    assert!(said.lines().count() == 1 && said.contains("  other  refused history from 192.0.2.9"), "{said}");
    assert!(as_other(&gate.snapgate(&["log", "web1"])).exits(77).stderr.contains("run it as that account, or as root"));
}
