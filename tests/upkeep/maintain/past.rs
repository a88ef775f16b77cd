//! What is kept about the past has an end.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use chrono::{TimeDelta, Utc};
use snapgate::act::record::ledger;

use super::{count, told, with_history};
use crate::says;

fn old_ledgers(gate: &support::Gate) -> Vec<String> {
    let entries = fs::read_dir(gate.inside(".snapgate/ledgers")).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn logs_of_runs_go_after_their_time_and_nothing_else_does() {
    let gate = with_history("", &[]);
    let logs = gate.inside(".snapgate/logs");
    let before = count(&logs);
    assert!(before > 0);
    for name in ["20200101T000000000000Z-1.log", "20200101T000000000000Z-1.rsync.log", "mine.log", "20200101.log"] {
        fs::write(logs.join(name), "").unwrap();
    }
    let outside = gate.path().join("outside");
    fs::write(&outside, "").unwrap();
    symlink(&outside, logs.join("20190101T000000000000Z-1.log")).unwrap();
    let said = says(&gate, &["maintain", "web1"]).exits(0).stdout;
    assert!(said.contains("; 3 logs forgotten"), "{said}");
    assert_eq!(count(&logs), before + 2);
    assert!(outside.exists());
    gate.set_clock(Utc::now() + TimeDelta::days(89));
    says(&gate, &["maintain"]).exits(0);
    assert_eq!(count(&logs), before + 2);
    gate.set_clock(Utc::now() + TimeDelta::days(91));
    says(&gate, &["maintain"]).exits(0);
    assert_eq!(count(&logs), 2);
    for name in ["mine.log", "20200101.log"] {
        fs::remove_file(logs.join(name)).unwrap();
    }
}

#[test]
fn what_is_broken_and_mails_that_nobody_took_go_by_the_clock_that_files_have() {
    let gate = with_history("", &[]);
    let broken = gate.inside(".snapgate/broken/1");
    fs::create_dir_all(broken.join("below")).unwrap();
    fs::write(broken.join("below/file"), "x").unwrap();
    support::must(std::process::Command::new("touch").args(["-d", "2001-01-01"]).arg(&broken));
    let dead = gate.spool().join("dead");
    for (name, when) in [("000000000001.json", "2001-01-01"), ("000000000001.why", "2001-01-01"), ("000000000002.json", "now")] {
        fs::write(dead.join(name), "{}").unwrap();
        support::mode(&dead.join(name), 0o600);
        support::must(std::process::Command::new("touch").args(["-d", when]).arg(dead.join(name)));
    }
    let said = says(&gate, &["maintain", "--json"]).exits(0).stdout;
    assert!(said.contains("\"mails\": 2"), "{said}");
    assert_eq!(count(&dead), 1);
    assert!(broken.join("below/file").exists(), "its client has only said that it is old");
    gate.write(
        "config/snapgate.yaml",
        &fs::read_to_string(gate.path().join("config/snapgate.yaml")).unwrap().replace("spool:", "logs: { keep: 1h }\nspool:"),
    );
    fs::remove_file(gate.inside(".snapgate/maintained.json")).unwrap();
    says(&gate, &["maintain"]).exits(0);
    assert!(broken.exists(), "it has been there for no hour");
}

#[test]
fn old_ledgers_are_read_like_the_new_one_and_stay_while_they_speak_of_a_snapshot() {
    let gate = with_history("", &[]);
    let first = gate.snapshots();
    // Its age is another each time.
    let list = || {
        let listed = says(&gate, &["list"]).exits(0).stdout;
        let without_age =
            |line: &str| line.split_once(" ago ").map_or_else(|| line.to_owned(), |(name, rest)| name[..22].to_owned() + rest);
        listed.lines().map(|line| without_age(line) + "\n").collect::<String>()
    };
    let listed = list();
    assert!(listed.contains("1 file "), "{listed}");
    // So much that the next ledger does not begin with it.
    let ledger = gate.inside(".snapgate/ledger.jsonl");
    let event = ledger::read(&ledger).pop().unwrap();
    for number in 0..200 {
        let refusal = snapgate::terms::Event { id: format!("r{number}"), ..event.clone() };
        let refusal = serde_json::to_string(&refusal).unwrap().replace(&first[0], "2001-01-01T00-00-00Z");
        let mut text = fs::read_to_string(&ledger).unwrap();
        text.push_str(&(refusal + "\n"));
        fs::write(&ledger, text).unwrap();
    }
    let all = told(&gate).len();
    gate.set_clock(Utc::now() + TimeDelta::days(40));
    says(&gate, &["maintain"]).exits(0);
    assert_eq!((old_ledgers(&gate).len(), told(&gate).len()), (1, all));
    assert!(ledger::read(&ledger).len() < all && !ledger::has(&ledger, &event.id));
    assert_eq!(list(), listed);
    let source = gate.source("data");
    fs::write(source.join("more"), "").unwrap();
    gate.push(&source, &[]).exits(0);
    let ids: BTreeSet<_> = told(&gate).into_iter().map(|event| event.id).collect();
    assert_eq!((ids.len(), told(&gate).len()), (all + 1, all + 1));
    gate.set_clock(Utc::now() + TimeDelta::days(400));
    says(&gate, &["maintain"]).exits(0);
    assert_eq!((old_ledgers(&gate).len(), list().contains(listed.lines().nth(1).unwrap().trim_end_matches("  current"))), (2, true));
    says(&gate, &["delete", "--client", "web1", "--force", &first[0]]).exits(0);
    gate.set_clock(Utc::now() + TimeDelta::days(402));
    says(&gate, &["maintain"]).exits(0);
    gate.set_clock(Utc::now() + TimeDelta::days(403));
    says(&gate, &["maintain"]).exits(0);
    assert_eq!(old_ledgers(&gate).len(), 1, "it went with the snapshot");
}
