//! What the policy removes, and when.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use snapgate::terms::Mail;

use super::{events, is_whole, says, snapgate, trash, with_history};
use crate::make_old;
use support::{Gate, must, processes, run};

const DAILY: &str = "keep: { daily: 2 }\nmin_snapshots: 1\nkeep_within: 1h\n";

#[test]
fn what_no_rule_keeps_goes_to_the_trash_and_is_freed_after_its_grace() {
    let (gate, names) = with_history(&format!("{DAILY}trash_grace: 1h\n"), &[1, 2, 3, 4]);
    let shared = fs::metadata(gate.newest().join("shared")).unwrap().ino();
    let said = says(&gate, &["prune", "--dry-run"]).exits(0).stdout;
    assert!(said.starts_with("web1: 3 snapshots would be removed, 2 kept\n") && said.contains(&format!("  - {}\n", names[0])), "{said}");
    assert_eq!(gate.snapshots(), names);
    let said = says(&gate, &["prune", "web1"]).exits(0).stdout;
    assert_eq!(said, "web1: 3 snapshots removed, 2 kept; 3 in the trash\n");
    assert_eq!((gate.snapshots(), trash(&gate)), (names[3..].to_vec(), names[..3].to_vec()));
    let told = &events(&gate, "prune")[0];
    assert_eq!((told.summary().as_str(), told.mail), ("3 snapshots removed, 2 kept", Mail::None));
    // Nothing more to do, and nothing is recorded of that.
    says(&gate, &["prune"]).exits(0);
    assert_eq!(events(&gate, "prune").len(), 1);
    make_old(&gate);
    let said = says(&gate, &["prune", "web1"]).exits(0).stdout;
    // Of each two directories and two files; the third is the newest snapshot's, too.
    assert!(said.contains("; 3 snapshots gone for good, ") && said.contains("12 inodes free"), "{said}");
    assert_eq!(fs::metadata(gate.newest().join("shared")).unwrap().ino(), shared);
    for directory in ["trash", "reaping"] {
        assert_eq!(fs::read_dir(gate.inside(".snapgate").join(directory)).unwrap().count(), 0, "{directory}");
    }
    assert_eq!(events(&gate, "prune").pop().unwrap().summary(), "3 snapshots gone for good");
    // A push goes on as ever, and so does the list.
    gate.push(&gate.source("data"), &[]).exits(0);
    assert!(must(&mut snapgate(&gate, &["list", "web1"])).contains("3 snapshots"));
}

#[test]
fn without_keep_everything_is_kept_and_a_client_without_snapshots_is_no_error() {
    let (gate, names) = with_history("", &[400, 800]);
    gate.write("config/policies/new.yaml", &format!("user: {}\n", support::getent::my_name()));
    let said = says(&gate, &["prune", "new", "web1"]).exits(0).stdout;
    assert_eq!(said, "new: 0 snapshots removed, 0 kept\nweb1: 0 snapshots removed, 3 kept\n");
    // A timer's mail would say nothing.
    assert_eq!(says(&gate, &["prune"]).exits(0).stdout, "");
    gate.write("config/policies/bad.yaml", "bogus: 1\n");
    let said = says(&gate, &["prune"]).exits(78).stdout;
    assert!(said.starts_with("bad: ") && said.contains("`bogus` is not a key") && !said.contains("web1"), "{said}");
    assert_eq!(gate.snapshots(), names);
    says(&gate, &["prune", "nobody"]).exits(64);
}

#[test]
fn explain_says_what_keeps_each_and_simulate_what_would_be_there() {
    let (gate, names) = with_history(DAILY, &[1, 2]);
    let said = says(&gate, &["prune", "--explain"]).exits(0).stdout;
    for line in
        [format!("  - {}: no rule keeps it\n", names[0]), format!("    {}: daily-2\n", names[1]), format!("    {}: newest, ", names[2])]
    {
        assert!(said.contains(&line), "{line}{said}");
    }
    let json = says(&gate, &["prune", "--explain", "--simulate", "30d", "--every", "6h", "--json"]).exits(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["client"], "web1");
    assert_eq!(json[0]["explained"][0]["kept_by"], serde_json::json!([]));
    assert_eq!(json[0]["explained"][1]["kept_by"], serde_json::json!(["daily-2"]));
    assert_eq!(json[0]["simulated"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(gate.snapshots(), names);
}

#[test]
fn nine_of_ten_go_only_where_somebody_says_so_and_that_is_mailed() {
    let days: Vec<i64> = (1..30).collect();
    let (gate, names) = with_history("keep: { last: 1 }\nmin_snapshots: 1\nkeep_within: 1h\n", &days);
    let said = says(&gate, &["prune", "web1"]).exits(1).stdout;
    assert!(said.contains("29 of 30 snapshots would be removed at once"), "{said}");
    assert_eq!(gate.snapshots(), names);
    assert_eq!(events(&gate, "prune")[0].mail, Mail::Alert);
    gate.flush();
    assert!(gate.mails().iter().any(|mail| mail.contains("too many snapshots would go at once")), "{:?}", gate.mails());
    says(&gate, &["prune", "--yes-remove-many"]).exits(0);
    assert_eq!((gate.snapshots().len(), trash(&gate).len()), (1, 29));
}

#[test]
fn while_a_push_runs_nothing_is_removed_and_the_others_have_their_turn() {
    let (gate, names) = with_history(DAILY, &[1, 2, 3]);
    let lock = File::open(gate.inside(".snapgate/rsync.lock")).unwrap();
    lock.lock().unwrap();
    let said = says(&gate, &["prune", "web1"]).exits(75).stdout;
    assert!(said.contains("locked by a push that is running"), "{said}");
    assert_eq!(gate.snapshots(), names);
    lock.unlock().unwrap();
    says(&gate, &["prune"]).exits(0);
    assert_eq!(gate.snapshots().len(), 2);
}

#[test]
fn two_at_once_remove_each_snapshot_once() {
    let (gate, names) = with_history(DAILY, &[1, 2, 3, 4, 5]);
    let both: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..2).map(|_| scope.spawn(|| says(&gate, &["prune"]))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(both.iter().all(|ran| [0, 75].contains(&ran.status)), "{both:?}");
    assert_eq!((gate.snapshots(), trash(&gate)), (names[4..].to_vec(), names[..4].to_vec()));
    assert_eq!(events(&gate, "prune").len(), 1);
}

#[test]
fn what_is_foreign_in_the_repository_is_never_removed() {
    let (gate, _) = with_history(DAILY, &[1, 2, 3]);
    for foreign in ["lost+found", "old copies"] {
        fs::create_dir(gate.inside("snapshots").join(foreign)).unwrap();
    }
    std::os::unix::fs::symlink("/etc", gate.inside("snapshots/2020-01-01T00-00-00Z")).unwrap();
    says(&gate, &["prune"]).exits(0);
    for foreign in ["lost+found", "old copies", "2020-01-01T00-00-00Z"] {
        assert!(fs::symlink_metadata(gate.inside("snapshots").join(foreign)).is_ok(), "{foreign}");
    }
}

#[test]
fn a_snapshot_of_many_files_goes_at_once_and_none_of_it_is_left_in_the_end() {
    let (gate, names) = with_history(&format!("{DAILY}trash_grace: 1h\n"), &[1, 2, 3]);
    for name in &names[..2] {
        let big = gate.inside("snapshots").join(name);
        for directory in 0..50 {
            let directory = big.join(directory.to_string());
            fs::create_dir(&directory).unwrap();
            (0..100).for_each(|file| fs::write(directory.join(file.to_string()), "x").unwrap());
        }
        must(Command::new("chown").args(["-R", "--reference"]).args([&big.join("own"), &big]));
    }
    let file = gate.path().join("config/policies/web1.yaml");
    let policy = fs::read_to_string(&file).unwrap();
    // By hand, and as cron does it.
    for (kept, command) in [(3, "prune"), (2, "maintain")] {
        gate.write("config/policies/web1.yaml", &policy.replace("daily: 2", &format!("daily: {kept}")));
        says(&gate, &["prune"]).exits(0);
        assert_eq!(trash(&gate), names[3 - kept..4 - kept]);
        // It is in history or in the trash, and whole in either.
        let there = fs::read_dir(gate.inside(".snapgate/trash")).unwrap().flatten().map(|entry| entry.path());
        assert!(there.filter(|path| path.is_dir()).all(|path| is_whole(&path)));
        make_old(&gate);
        let (said, paces) = at_its_pace(&gate, &mut snapgate(&gate, &[command, "web1"]));
        assert!(said.contains(" 5054 inodes free"), "{said}");
        if Path::new("/usr/bin/ionice").exists() {
            assert_eq!(paces, BTreeSet::from(["idle".to_owned()]), "{command}");
        }
    }
}

/// What a command says, and the classes in which the threads that remove things may use the disk (ionice(1)).
fn at_its_pace(gate: &Gate, command: &mut Command) -> (String, BTreeSet<String>) {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut paces = BTreeSet::new();
    while child.try_wait().unwrap().is_none() {
        for pid in processes::of(gate.path(), "snapgate") {
            let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            // The first one only waits.
            for thread in threads.map(|entry| entry.file_name()).filter(|thread| thread.to_str() != Some(&pid.to_string())) {
                let pace = run(Command::new("ionice").arg("-p").arg(thread));
                // It may have ended meanwhile.
                paces.extend(Some(pace.stdout.trim().to_owned()).filter(|_| pace.status == 0));
            }
        }
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    (String::from_utf8(output.stdout).unwrap(), paces)
}

#[test]
fn what_cannot_be_removed_is_told_of_and_the_rest_goes() {
    if !support::is_root() {
        support::skip("only root can make a file that nobody can remove");
        return;
    }
    let (gate, names) = with_history(&format!("{DAILY}trash_grace: 1h\n"), &[1, 2, 3]);
    let stuck = gate.inside("snapshots").join(&names[0]).join("below/file");
    if support::run(std::process::Command::new("chattr").arg("+i").arg(&stuck)).status != 0 {
        support::skip("this file system has no immutable files");
        return;
    }
    says(&gate, &["prune"]).exits(0);
    make_old(&gate);
    let said = says(&gate, &["prune", "web1"]).exits(1).stdout;
    assert!(said.contains("; 1 snapshot gone for good, "), "{said}");
    assert!(said.contains(&format!("problem: {}@20260101T000000Z: `file`: ", names[0])), "{said}");
    let told = events(&gate, "prune").pop().unwrap();
    assert_eq!(told.mail, Mail::Alert, "{told:?}");
    let left = gate.inside(".snapgate/reaping").join(format!("{}@20260101T000000Z", names[0]));
    assert!(left.join("below/file").exists() && !left.join("own").exists());
    must(std::process::Command::new("chattr").arg("-i").arg(left.join("below/file")));
    says(&gate, &["prune"]).exits(0);
    assert!(!left.exists());
}
