//! `restore:` of a policy: how much, for whom, and what the administrator is told.

use std::fs;

use snapgate::terms::outcome::Outcome;
use support::tree::noise;
use support::{Gate, SNAPGATE, run};

use crate::{POLICY, gate, target, with};

fn pushed(gate: &Gate, mebibytes: usize) {
    let source = gate.source("s");
    fs::write(source.join("large"), noise(3, mebibytes << 20)).unwrap();
    gate.push(&source, &[]).exits(0);
}

#[test]
fn what_a_client_is_sent_in_a_day_is_counted_and_ends_at_its_limit() {
    let gate = with("restore: { limits: { bytes: 12MiB } }\n");
    pushed(&gate, 8);
    let into = format!("{}/", target(&gate).display());
    gate.rsync(&["-a", "backup:current/", &into]).exits(0);
    let first = gate.record().restore.unwrap();
    assert!(first.sent_bytes.unwrap() > 8 << 20 && first.day_bytes == first.sent_bytes, "{first:?}");
    assert_eq!(first.snapshots.len(), 1);
    fs::remove_file(target(&gate).join("large")).unwrap();
    // It comes past it on the way.
    let ran = gate.rsync(&["-a", "--bwlimit=3000", "backup:current/", &into]);
    assert!(ran.status != 0 && ran.code() == Some("limit"), "{}", ran.stderr);
    let record = gate.record();
    assert_eq!(record.result, Outcome::Failed);
    assert!(record.restore.unwrap().sent_bytes.unwrap() < 8 << 20);
    // And now it is used up.
    gate.rsync(&["-a", "backup:current/", &into]).refused("limit", 77);
    // A day later there is room again.
    gate.set_clock(chrono::Utc::now() + chrono::TimeDelta::hours(25));
    gate.rsync(&["-a", "backup:current/", &into]).exits(0);
}

#[test]
fn two_pulls_at_once_are_counted_together() {
    let gate = with("restore: { limits: { bytes: 1G } }\n");
    pushed(&gate, 4);
    let pulls: Vec<_> = (0..3)
        .map(|number| {
            let into = gate.path().join(format!("got{number}/"));
            support::Running::start(&mut gate.rsync_command(&["-a", "backup:current/", into.to_str().unwrap()], ""))
        })
        .collect();
    for pull in pulls {
        let ran = pull.wait();
        assert_eq!(ran.status, 0, "{}", ran.stderr);
    }
    let most = gate.ledger().iter().filter_map(|record| record.restore.as_ref()?.day_bytes).max().unwrap();
    assert!(most > 12 << 20, "{most}");
}

#[test]
fn one_mail_says_that_a_client_was_sent_much() {
    let gate = with("restore: { alert_over: 3MiB }\n");
    pushed(&gate, 2);
    for number in 0..4 {
        let into = gate.path().join(format!("got{number}/"));
        gate.rsync(&["-a", "backup:current/", into.to_str().unwrap()]).exits(0);
    }
    gate.flush();
    let mails: Vec<_> = gate.mails().into_iter().filter(|mail| mail.contains("alert_over") && mail.contains("To: alerts@")).collect();
    assert_eq!(mails.len(), 1, "{mails:?}");
}

#[test]
fn the_mail_does_not_wait_for_the_end_of_a_pull() {
    let gate = with("restore: { alert_over: 1MiB }\n");
    pushed(&gate, 16);
    let into = gate.path().join("slow/");
    let words = ["-a", "--bwlimit=1000", "backup:current/", into.to_str().unwrap()];
    let mut slow = support::Running::start(&mut gate.rsync_command(&words, ""));
    let mails = || gate.mails().into_iter().filter(|mail| mail.contains("alert_over") && mail.contains("To: alerts@")).count();
    while slow.child.try_wait().unwrap().is_none() && mails() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(300));
        gate.flush();
    }
    assert!(slow.child.try_wait().unwrap().is_none() && mails() == 1, "it is sent while the pull runs");
    slow.kill();
}

#[test]
fn pulls_have_a_number_of_their_own() {
    let gate = with("limits: { sessions: 1 }\nrestore: { limits: { sessions: 1 } }\n");
    pushed(&gate, 8);
    let into = gate.path().join("slow/");
    let words = ["-a", "--bwlimit=1000", "backup:current/", into.to_str().unwrap()];
    let slow = support::Running::start(&mut gate.rsync_command(&words, ""));
    while !into.is_dir() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    gate.rsync(&["-a", "backup:current/", &format!("{}/", target(&gate).display())]).refused("busy", 75);
    // A push is another session, and is not kept out.
    gate.push(&gate.source("s"), &[]).exits(0);
    slow.kill();
}

#[test]
fn another_place_or_time_may_hold_for_pulls() {
    for (rule, code) in [("from: [198.51.100.0/24]", "address"), ("when: [{ hours: \"00:00-00:01\" }]", "window")] {
        let gate = with(&format!("restore: {{ {rule} }}\n"));
        gate.set_clock("2026-11-20T12:00:00Z".parse().unwrap());
        pushed(&gate, 1);
        gate.rsync(&["-a", "backup:current/", &format!("{}/", target(&gate).display())]).refused(code, 77);
    }
}

#[test]
fn explain_and_list_and_watch_speak_of_pulls() {
    let gate = gate();
    pushed(&gate, 1);
    let explain = |words: &[&str]| run(&mut gate.snapgate(&[&["explain", "--client", "web1"], words].concat()));
    for command in ["rsync -a backup:current/ .", "rsync --server --sender -logDtpre.iLsfxCIvu . current/"] {
        let said = explain(&[command]);
        assert_eq!(said.status, 0, "{}{}", said.stdout, said.stderr);
        assert!(said.stdout.contains("`restore` is allowed") && said.stdout.contains("/snapshots/current"), "{}", said.stdout);
    }
    let said = explain(&["rsync -aL backup:current/ ."]);
    assert!(said.status == 77 && said.stdout.contains("sent as a symlink"), "{}", said.stdout);
    let said = explain(&["rsync -a backup:nothing/ ."]);
    assert!(said.status == 77 && said.stdout.contains("(code snapshot)"), "{}{}", said.stdout, said.stderr);
    gate.rsync(&["-a", "backup:current/", &format!("{}/", target(&gate).display())]).exits(0);
    let listed = run(&mut gate.snapgate(&["list", "web1"]));
    assert_eq!(listed.status, 0, "{}", listed.stderr);
    assert!(POLICY.contains("restore") && !SNAPGATE.to_string().is_empty());
}
