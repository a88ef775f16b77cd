//! `when_full: shorten`: below `keep:`, never below what is always kept.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use snapgate::terms::NamePattern;
use support::{Gate, POLICY, SNAPGATE, can_trace, must, run, tree};

use super::{figures, stands, told};
use crate::says;

/// A client with a push of now, and before it a snapshot of a megabyte for each of so many days.
fn with_days(policy: &str, days: i64) -> (Gate, Vec<String>) {
    let gate = Gate::with("", &format!("{POLICY}{policy}"));
    let source = gate.source("data");
    tree::write(&source.join("own"), tree::noise(0, 1 << 20));
    gate.push(&source, &[]).exits(0);
    for day in 1..=days {
        let name = NamePattern::default().name_at(Utc::now() - TimeDelta::days(day)).to_string();
        let own = gate.inside("snapshots").join(name).join("own");
        tree::write(&own, tree::noise(u64::try_from(day).unwrap(), 1 << 20));
    }
    let names = gate.snapshots();
    (gate, names)
}

const FEW: &str = "min_snapshots: 1\nkeep_within: 1h\nwhen_full: shorten\n";

#[test]
fn the_oldest_go_until_there_is_room_and_no_more_and_it_is_mailed() {
    let (gate, names) = with_days(&format!("{FEW}keep: {{ daily: 100 }}\nquota: {{ bytes: 14M }}\n"), 12);
    says(&gate, &["usage", "--recount"]).exits(0);
    let said = says(&gate, &["prune", "--dry-run", "web1"]).exits(0).stdout;
    assert!(said.contains("more would be removed, the oldest first") && gate.snapshots() == names, "{said}");
    // Thirteen megabytes are over eighty of a hundred, eleven are not.
    let said = says(&gate, &["prune", "web1"]).exits(0).stdout;
    assert_eq!(gate.snapshots(), names[2..], "{said}");
    assert!(said.starts_with("web1: 2 snapshots removed, 11 kept; 2 snapshots gone for good, 2056 KiB and 4 inodes free"), "{said}");
    assert_eq!(figures(&told(&gate, &[])), stands(&gate));
    says(&gate, &["prune", "web1"]).exits(0);
    assert_eq!(gate.snapshots(), names[2..]);
    gate.flush();
    assert!(gate.mails().iter().any(|mail| mail.contains("when_full: shorten") && mail.contains(&names[0])), "{:?}", gate.mails());
}

#[test]
fn what_is_always_kept_stays_and_one_in_four_goes_at_most() {
    let (gate, names) = with_days(&format!("{FEW}quota: {{ bytes: 2M }}\n"), 11);
    says(&gate, &["protect", "--client", "web1", &names[0]]).exits(0);
    says(&gate, &["usage", "--recount"]).exits(0);
    let said = says(&gate, &["prune", "web1"]).exits(1).stdout;
    assert!(said.contains("one in four snapshots went for it"), "{said}");
    let expected: Vec<_> = [&names[..1], &names[4..]].concat();
    assert_eq!(gate.snapshots(), expected);
    for _ in 0..12 {
        says(&gate, &["prune", "web1"]).exits(1);
    }
    let said = says(&gate, &["prune", "web1"]).exits(1).stdout;
    assert!(said.contains("all that is left has to stay"), "{said}");
    assert_eq!(gate.snapshots(), [names[0].clone(), names[11].clone()]);
}

#[test]
fn the_trash_goes_first_and_without_the_word_nothing_goes() {
    let (gate, names) = with_days("min_snapshots: 1\nkeep_within: 1h\nquota: { bytes: 6M }\n", 4);
    says(&gate, &["delete", "--client", "web1", &names[3]]).exits(0);
    says(&gate, &["usage", "--recount"]).exits(0);
    says(&gate, &["prune", "web1"]).exits(0);
    assert_eq!(gate.snapshots().len(), 4);
    assert_eq!(fs::read_dir(gate.inside(".snapgate/trash")).unwrap().count(), 2, "one and its note");
    let user = support::getent::my_name();
    gate.write("config/policies/web1.yaml", &format!("user: {user}\n{POLICY}{FEW}quota: {{ bytes: 6M }}\n"));
    says(&gate, &["prune", "web1"]).exits(0);
    assert_eq!(gate.snapshots().len(), 4, "that was enough");
    assert_eq!(fs::read_dir(gate.inside(".snapgate/trash")).unwrap().count(), 0);
}

#[test]
fn whoever_is_killed_while_room_is_made_has_told_of_all_that_went() {
    if !can_trace() {
        return;
    }
    let (gate, names) = with_days(&format!("{FEW}keep: {{ daily: 100 }}\nquota: {{ bytes: 5500K }}\n"), 4);
    says(&gate, &["usage", "--recount"]).exits(0);
    let kept = gate.path().join("kept");
    must(Command::new("cp").arg("-a").arg(gate.repository()).arg(&kept));
    for call in ["?unlinkat", "?renameat,?renameat2", "?fsync"] {
        for nth in 1.. {
            must(Command::new("rm").arg("-rf").arg(gate.repository()));
            must(Command::new("cp").arg("-a").arg(&kept).arg(gate.repository()));
            // Whoever remembers the mail before waits with another of the same.
            for directory in [gate.path().join("mail"), gate.spool()] {
                must(Command::new("find").arg(directory).args(["-mindepth", "1", "-delete"]));
            }
            let mut strace = Command::new("strace");
            strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={call}:signal=KILL:when={nth}"), "--"]).arg(SNAPGATE);
            let ran = run(strace.arg("--config").arg(gate.path().join("config")).args(["prune", "web1"]));
            says(&gate, &["prune", "web1"]).exits(0);
            // A `watch` of the killed one may still be at work.
            let began = Instant::now();
            let mailed = || gate.mails().iter().any(|mail| mail.contains("when_full: shorten") && mail.contains(&names[0]));
            while !mailed() && began.elapsed() < Duration::from_secs(10) {
                gate.flush();
                thread::sleep(Duration::from_millis(20));
            }
            let (left, ledger) = (gate.snapshots(), fs::read_to_string(gate.inside(".snapgate/ledger.jsonl")).unwrap());
            assert_eq!(left, names[1..], "{call} {nth}");
            assert_eq!(ledger.lines().filter(|line| line.contains(&names[0])).count(), 1, "{call} {nth}: {ledger}");
            assert!(mailed(), "{call} {nth}: {:?}", gate.mails());
            assert!(!gate.inside(".snapgate/announced.json").exists(), "{call} {nth}");
            if ran.status == 0 {
                break;
            }
        }
    }
}
