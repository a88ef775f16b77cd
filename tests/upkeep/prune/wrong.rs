//! Mistakes of the administrator's, and what stands in the way.

use std::fs::{self, File};
use std::process::Command;

use chrono::{TimeDelta, Utc};
use nix::sys::signal::Signal;
use snapgate::terms::{Mail, NamePattern};

use super::{events, says, snapgate, trash, upkeep, with_history};
use crate::{make_old, name};
use support::{Gate, Running, is_root, must, processes, run, skip, until};

const DAILY: &str = "keep: { daily: 2 }\nmin_snapshots: 1\nkeep_within: 1h\n";

#[test]
fn a_name_that_is_none_is_answered_with_the_one_that_was_meant() {
    let (gate, names) = with_history("", &[1, 2]);
    let (day, typed) = (&names[1][..10], names[1].replace('Z', "X"));
    for (words, wrong) in [(vec!["delete"], day), (vec!["protect"], &typed), (vec!["delete", "--dry-run"], &typed)] {
        let said = says(&gate, &[&words[..], &["--client", "web1", wrong]].concat()).exits(64).stderr;
        assert_eq!(said, format!("snapgate: `web1` has no snapshot `{wrong}`\ndid you mean `{}`?\n", names[1]));
    }
    let said = says(&gate, &["delete", "--client", "web1", "latest\x1b[2J"]).exits(64).stderr;
    assert_eq!(said, "snapgate: `web1` has no snapshot `latest\\u{1b}[2J`\n`snapgate list web1` shows those that there are\n");
    for words in [&["delete", "--client", "web2", "x"][..], &["prune", "web2"], &["undelete", "--client", "web1", ""]] {
        says(&gate, words).exits(64);
    }
    says(&gate, &["delete", "--client", "web1", "--force", &names[0]]).exits(0);
    let said = says(&gate, &["protect", "--client", "web1", &names[0]]).exits(64).stderr;
    assert!(said.contains(&format!("it is in the trash: `snapgate undelete --client web1 {}` brings it back", names[0])), "{said}");
    assert_eq!(gate.snapshots(), names[1..]);
    assert!(events(&gate, "protect").is_empty());
}

#[test]
fn the_protection_of_what_is_gone_ends_and_not_before_it_is_gone() {
    let (gate, names) = with_history(DAILY, &[1, 2]);
    let notes = || fs::read_dir(gate.inside(".snapgate/protected")).unwrap().count();
    says(&gate, &["protect", "--client", "web1", &names[0]]).exits(0);
    let said = says(&gate, &["delete", "--client", "web1", &names[0]]).exits(77).stderr;
    assert!(said.contains("protected"), "{said}");
    says(&gate, &["delete", "--client", "web1", "--force", &names[0]]).exits(0);
    says(&gate, &["prune"]).exits(0);
    assert_eq!(notes(), 1, "it may come back");
    // What stands in another pattern than the policy's of this moment is not gone.
    fs::create_dir_all(gate.inside("snapshots/2026/1121.0300")).unwrap();
    let policy = fs::read_to_string(gate.path().join("config/policies/web1.yaml")).unwrap();
    gate.write("config/policies/web1.yaml", &format!("{policy}snapshots: {{ name: '%Y/%m%d.%H%M' }}\n"));
    says(&gate, &["protect", "--client", "web1", "2026/1121.0300"]).exits(0);
    gate.write("config/policies/web1.yaml", &policy);
    says(&gate, &["prune"]).exits(0);
    assert_eq!(notes(), 2, "both are there, or may come back");
    says(&gate, &["unprotect", "--client", "web1", "2026/1121.0300"]).exits(0);
    let told = events(&gate, "protect").len();
    make_old(&gate);
    says(&gate, &["prune"]).exits(0);
    assert_eq!(trash(&gate), [""; 0]);
    let said = says(&gate, &["prune", "web1"]).exits(0).stdout;
    assert!(said.contains(&format!("{} is gone, and no longer protected", names[0])), "{said}");
    assert_eq!(notes(), 0);
    let ended = &events(&gate, "protect")[told..];
    assert_eq!((ended.len(), &upkeep(&ended[0]).unwrap().snapshots[..]), (1, &names[..1]));
    says(&gate, &["unprotect", "--client", "web1", &names[0]]).exits(64);
}

#[test]
fn beside_a_push_nothing_is_removed_and_the_push_is_whole() {
    let (gate, names) = with_history(DAILY, &[1, 2, 3]);
    let source = gate.source("data");
    fs::write(source.join("large"), vec![7; 2_000_000]).unwrap();
    let push = Running::start(&mut gate.push_command(&source, &["--bwlimit=1000", "--whole-file"], ""));
    until("rsync runs", || gate.rsync_runs());
    for words in [&["prune", "web1"][..], &["delete", "--client", "web1", &names[0]], &["protect", "--client", "web1", &names[0]]] {
        let ran = says(&gate, words).exits(75);
        assert!((ran.stdout + &ran.stderr).contains("a push that is running"), "{words:?}");
    }
    assert_eq!(says(&gate, &["prune"]).exits(75).stdout, "", "a timer's mail would say nothing");
    says(&gate, &["prune", "--dry-run"]).exits(0);
    assert_eq!((&gate.snapshots()[..4], trash(&gate).len()), (&names[..], 0));
    push.wait().exits(0);
    assert!(gate.newest().join("large").exists());
    says(&gate, &["prune"]).exits(0);
    // The first push of today is not an hour old.
    assert_eq!((gate.snapshots().len(), trash(&gate)), (3, names[..2].to_vec()));
}

#[test]
fn what_is_restored_stays_until_that_has_ended() {
    if !is_root() {
        return skip("only root keeps owners");
    }
    let (gate, names) = with_history(DAILY, &[1, 2, 3]);
    let snapshot = gate.inside("snapshots").join(&names[0]);
    (0..5000).for_each(|file| fs::write(snapshot.join(format!("f{file}")), "x").unwrap());
    let to = gate.path().join("restored");
    let words = ["restore", "--client", "web1", &names[0], "--to", to.to_str().unwrap()];
    let restore = Running::start(&mut snapgate(&gate, &words));
    let is_read = || File::open(&snapshot).is_ok_and(|directory| matches!(directory.try_lock(), Err(fs::TryLockError::WouldBlock)));
    let begun = || {
        let beside = fs::read_dir(gate.path()).unwrap().flatten().map(|entry| entry.path());
        let mut workshops = beside.filter(|path| path.to_string_lossy().contains(".snapgate-restore-"));
        workshops.any(|workshop| fs::read_dir(workshop.join("tree")).is_ok_and(|copy| copy.count() > 10))
    };
    until("it is being copied", begun);
    let pids = processes::stop(restore.child.id());
    assert!(is_read(), "it was faster than that");
    says(&gate, &["prune"]).exits(0);
    assert_eq!((gate.snapshots(), trash(&gate)), ([&names[..1], &names[2..]].concat(), names[1..2].to_vec()));
    let said = says(&gate, &["delete", "--client", "web1", &names[0]]).exits(77).stderr;
    assert!(said.contains("being read"), "{said}");
    // Whoever forces it takes it out of history; it is not gone before the restore has ended.
    says(&gate, &["delete", "--client", "web1", "--force", &names[0]]).exits(0);
    make_old(&gate);
    says(&gate, &["prune"]).exits(0);
    assert_eq!(trash(&gate), names[..1]);
    processes::signal(&pids, Signal::SIGCONT);
    restore.wait().exits(0);
    assert_eq!(fs::read_dir(to).unwrap().count(), 5003);
    says(&gate, &["prune"]).exits(0);
    assert_eq!(trash(&gate), [""; 0]);
}

#[test]
fn what_is_no_snapshot_is_never_removed_and_is_told_of_once() {
    let (gate, names) = with_history(DAILY, &[1, 2, 3]);
    let foreign = ["lost+found", "notes", "old copies", "web1.bak"];
    for name in foreign {
        fs::create_dir(gate.inside("snapshots").join(name)).unwrap();
    }
    let said = says(&gate, &["prune", "web1"]).exits(0).stdout;
    assert!(foreign.iter().all(|name| said.contains(&format!("`{name}`"))), "{said}");
    assert_eq!(trash(&gate), names[..2]);
    // Whoever asks is told again, a timer is not.
    assert!(says(&gate, &["prune", "web1"]).exits(0).stdout.contains("`lost+found`"));
    assert_eq!(says(&gate, &["prune"]).exits(0).stdout, "");
    let told = |gate: &Gate| events(gate, "prune").iter().filter(|event| event.mail == Mail::Alert).count();
    assert_eq!(told(&gate), 1);
    gate.flush();
    assert_eq!(gate.mails().iter().filter(|mail| mail.contains("lost+found")).count(), 1, "{:?}", gate.mails());
    fs::create_dir(gate.inside("snapshots/another")).unwrap();
    says(&gate, &["prune"]).exits(0);
    assert_eq!(told(&gate), 2, "of another one, too");
    let there: Vec<_> = gate.snapshots().into_iter().filter(|name| !names.contains(name)).collect();
    assert_eq!(there, ["another", "lost+found", "notes", "old copies", "web1.bak"]);
}

#[test]
fn snapshots_of_another_pattern_stay_and_are_told_of() {
    let (gate, names) = with_history(DAILY, &[1, 2, 3, 4]);
    let named = |pattern: &str| {
        let name = format!("snapshots: {{ name: '{pattern}' }}\n{DAILY}");
        gate.write("config/policies/web1.yaml", &format!("user: {}\n{name}", support::getent::my_name()));
    };
    // As if they had been pushed before the pattern was changed.
    let other = NamePattern::new("%Y/%m-%d/at.%H.%M.%S").unwrap();
    let old: Vec<_> = names[..4].iter().map(|name| other.name_at(NamePattern::default().read(name).unwrap().at).to_string()).collect();
    for (name, old) in names.iter().zip(&old) {
        let old = gate.inside("snapshots").join(old);
        fs::create_dir_all(old.parent().unwrap()).unwrap();
        fs::rename(gate.inside("snapshots").join(name), old).unwrap();
    }
    let said = says(&gate, &["prune", "web1"]).exits(0).stdout;
    assert!(said.contains("0 snapshots removed, 1 kept") && said.contains(&format!("`{}`", &old[0][..4])), "{said}");
    assert_eq!(events(&gate, "prune").iter().filter(|event| event.mail == Mail::Alert).count(), 1);
    let said = says(&gate, &["delete", "--client", "web1", &old[0]]).exits(64).stderr;
    assert!(said.contains("has no snapshot"), "{said}");
    assert!(old.iter().all(|name| gate.inside("snapshots").join(name).exists()));
    // With their own pattern they are snapshots like others.
    named("%Y/%m-%d/at.%H.%M.%S");
    let said = says(&gate, &["prune", "web1"]).exits(0).stdout;
    assert!(said.starts_with("web1: 3 snapshots removed, 2 kept"), "{said}");
    // One of them is not brought back where nobody would see it.
    named("%Y-%m-%d_%H.%M.%S");
    let said = says(&gate, &["undelete", "--client", "web1", &old[0]]).exits(64).stderr;
    assert!(said.contains("is no name of the policy's pattern"), "{said}");
    named("%Y/%m-%d/at.%H.%M.%S");
    says(&gate, &["undelete", "--client", "web1", &old[0]]).exits(0);
    assert!(gate.inside("snapshots").join(&old[0]).exists());
}

#[test]
fn a_trash_that_cannot_be_emptied_is_told_of_once_a_day_and_keeps_nothing_back() {
    if !is_root() {
        return skip("only root can make a file that nobody can remove");
    }
    let (gate, names) = with_history(&format!("{DAILY}trash_grace: 1h\n"), &[1, 2, 3, 4, 5]);
    says(&gate, &["prune"]).exits(0);
    make_old(&gate);
    let entry = |name: &str| gate.inside(".snapgate/trash").join(format!("{name}@20260101T000000Z"));
    let stuck = [entry(&names[0]), entry(&names[1]).join("below")];
    if stuck.iter().any(|path| run(Command::new("chattr").arg("+i").arg(path)).status != 0) {
        return skip("this file system has no immutable files");
    }
    let said = says(&gate, &["prune", "web1"]).exits(1).stdout;
    assert!(said.contains("; 2 snapshots gone for good, "), "{said}");
    for what in [format!("{}@20260101T000000Z: ", names[0]), format!("{}@20260101T000000Z: `file`: ", names[1])] {
        assert!(said.contains(&format!("problem: {what}")), "{said}");
    }
    says(&gate, &["prune"]).exits(1);
    assert_eq!(events(&gate, "prune").iter().filter(|event| event.mail == Mail::Alert).count(), 1);
    gate.flush();
    assert_eq!(gate.mails().iter().filter(|mail| mail.contains("operation not permitted")).count(), 1, "{:?}", gate.mails());
    must(Command::new("chattr").args(["-R", "-i"]).arg(gate.inside(".snapgate")));
    says(&gate, &["prune"]).exits(0);
    let left = |name| fs::read_dir(gate.inside(".snapgate").join(name)).unwrap().count();
    assert_eq!((left("trash"), left("reaping")), (0, 0));
}

#[test]
fn a_snapshot_that_cannot_be_moved_keeps_the_others_from_nothing() {
    if !is_root() {
        return skip("only root can make a directory that nobody can move");
    }
    let (gate, names) = with_history(DAILY, &[1, 2, 3, 4]);
    let stuck = gate.inside("snapshots").join(&names[0]);
    if run(Command::new("chattr").arg("+i").arg(&stuck)).status != 0 {
        return skip("this file system has no immutable files");
    }
    let said = says(&gate, &["prune", "web1"]).exits(1).stdout;
    assert!(said.contains("2 snapshots removed, 3 kept") && said.contains("  problem: "), "{said}");
    assert_eq!((&gate.snapshots()[..1], trash(&gate)), (&names[..1], names[1..3].to_vec()));
    let told: Vec<_> = events(&gate, "prune").iter().map(|event| upkeep(event).unwrap().snapshots.clone()).collect();
    assert_eq!(told[0], names[1..3]);
    must(Command::new("chattr").arg("-i").arg(&stuck));
    says(&gate, &["prune"]).exits(0);
    assert_eq!(trash(&gate), names[..3]);
}

#[test]
fn a_clock_behind_the_newest_snapshot_removes_nothing_more() {
    let (gate, names) = with_history("keep: { last: 2 }\nmin_snapshots: 1\nkeep_within: 1h\n", &[1, 2, 3, 4]);
    let ahead: Vec<_> = [10, 20].map(|days| name(Utc::now() + TimeDelta::days(days))).to_vec();
    for name in &ahead {
        must(Command::new("cp").arg("-a").arg(gate.inside("snapshots").join(&names[0])).arg(gate.inside("snapshots").join(name)));
    }
    let said = says(&gate, &["prune", "--explain", "web1"]).exits(0).stdout;
    assert!(ahead.iter().all(|name| said.contains(&format!("    {name}: "))) && said.contains("later than the clock"), "{said}");
    says(&gate, &["prune"]).exits(0);
    // Of those that the clock knows the last two, as ever.
    assert_eq!((gate.snapshots(), trash(&gate)), ([&names[3..], &ahead[..]].concat(), names[..3].to_vec()));
}

#[test]
fn nine_of_ten_are_mailed_once_a_day_and_nothing_else_is_held_up() {
    let days: Vec<i64> = (1..30).collect();
    let (gate, names) = with_history("keep: { last: 1 }\nmin_snapshots: 1\nkeep_within: 1h\n", &days);
    for _ in 0..3 {
        says(&gate, &["prune"]).exits(1);
    }
    assert_eq!((gate.snapshots(), events(&gate, "prune").len()), (names.clone(), 1));
    // What was in the trash goes nevertheless.
    says(&gate, &["delete", "--client", "web1", &names[0]]).exits(0);
    make_old(&gate);
    says(&gate, &["prune"]).exits(1);
    assert_eq!((gate.snapshots().len(), trash(&gate).len()), (29, 0));
    let json = says(&gate, &["prune", "--json"]).exits(1).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["exit"], &json[0]["kept"]), (&1.into(), &29.into()), "{json}");
}

#[test]
fn programs_are_answered_in_json() {
    let (gate, names) = with_history("min_snapshots: 1\nkeep_within: 1h\n", &[1, 2]);
    for (words, dry_run) in
        [(&["delete", "--dry-run"][..], true), (&["delete"], false), (&["undelete"], false), (&["protect"], false), (&["unprotect"], false)]
    {
        let said = says(&gate, &[words, &["--client", "web1", "--json", &names[0]]].concat()).exits(0).stdout;
        let said: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!((&said["client"], &said["dry_run"]), (&"web1".into(), &dry_run.into()), "{said}");
        assert_eq!(said["snapshots"], serde_json::json!([names[0]]), "{said}");
    }
}
