//! `snapgate status`.

use std::fs;

use chrono::{TimeDelta, Utc};

use super::with_history;
use crate::says;

#[test]
fn status_shows_in_a_table_how_each_client_stands() {
    let gate = with_history("keep: { daily: 2 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[1, 2, 3]);
    let newest =
        snapgate::terms::NamePattern::default().read(gate.snapshots().last().unwrap()).unwrap().at.format("%Y-%m-%d %H:%M").to_string();
    let me = support::getent::my_name();
    gate.write("config/policies/young.yaml", &format!("user: {me}\n"));
    let said = says(&gate, &["status"]).exits(0).stdout;
    let words: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["client", "newest", "age", "state", "last", "snapshots", "used", "quota", "held", "trash", "due"]);
    let (day, time) = newest.split_once(' ').unwrap();
    assert_eq!(words[1][..7], ["web1", day, time, "0m", "-", "published", "4"]);
    // What is used has a unit.
    assert_eq!(words[1][9..], ["-", "0", "0", "prune,", "logs"]);
    assert_eq!(words[2], ["young", "-", "-", "-", "-", "0", "-", "-", "-", "0", "-"]);
    says(&gate, &["maintain"]).exits(0);
    let said = says(&gate, &["status", "web1"]).exits(0).stdout;
    let words: Vec<&str> = said.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((&words[3..7], &words[9..]), (&["0m", "-", "published", "2"][..], &["-", "0", "2", "-"][..]), "{said}");
    gate.set_clock(Utc::now() + TimeDelta::hours(30));
    let json: serde_json::Value = serde_json::from_str(&says(&gate, &["status", "--json"]).exits(0).stdout).unwrap();
    assert_eq!(
        (&json[0]["due"], &json[0]["trash"], &json[1]["newest"]),
        (&serde_json::json!(["reap", "logs"]), &2.into(), &serde_json::Value::Null)
    );
    assert!((29 * 3600..31 * 3600).contains(&json[0]["age_seconds"].as_i64().unwrap()), "{json}");
}

#[test]
fn status_shows_what_is_used_of_the_quota() {
    let gate = with_history("quota: { bytes: 100M }\n", &[]);
    let used = || says(&gate, &["status", "web1"]).exits(0).stdout.lines().nth(1).map(str::to_owned).unwrap();
    fs::remove_file(gate.inside(".snapgate/usage")).unwrap();
    assert!(used().contains(" -  100 MiB ") && used().ends_with("room, logs"), "{}", used());
    says(&gate, &["maintain"]).exits(0);
    assert!(used().contains(" KiB  100 MiB ") && used().ends_with("  -"), "{}", used());
}

#[test]
fn what_is_wrong_with_one_client_stands_below_the_table() {
    let gate = with_history("", &[]);
    gate.write("config/policies/broken.yaml", "kep: 7\n");
    let said = says(&gate, &["status"]).exits(1).stdout;
    assert!(
        said.contains("\nbroken  -") && said.contains("\nweb1") && said.contains("\nbroken: ") && said.contains("`kep` is not a key"),
        "{said}"
    );
    assert!(says(&gate, &["status", "nobody"]).exits(64).stderr.contains("no policy for `nobody`"));
    fs::remove_dir_all(gate.path().join("config/policies")).unwrap();
    fs::create_dir(gate.path().join("config/policies")).unwrap();
    assert!(says(&gate, &["status"]).exits(0).stdout.starts_with("no client yet: "));
}
