//! Several clients at once: none waits for another one's push.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use super::{snapgate, with_history};
use support::{Gate, Running, must, until};

/// A second client with a snapshot in its trash that is due, beside the first one's with so many files.
fn two(files: usize) -> Gate {
    let (gate, _) = with_history("", &[]);
    let policy = fs::read_to_string(gate.path().join("config/policies/web1.yaml")).unwrap();
    gate.write("config/policies/web2.yaml", &policy);
    let second = gate.path().join("store/web2");
    must(Command::new("cp").arg("-a").arg(gate.repository()).arg(second));
    for (client, files) in [("web1", files), ("web2", 10)] {
        let due = reaping(&gate, client).join("2026-01-01T00-00-00Z@20260101T000000Z");
        fs::create_dir_all(&due).unwrap();
        support::mode(&reaping(&gate, client), 0o700);
        for directory in 0..files / 100 + 1 {
            let directory = due.join(directory.to_string());
            fs::create_dir(&directory).unwrap();
            (0..100).for_each(|file| fs::write(directory.join(file.to_string()), "").unwrap());
        }
    }
    gate
}

fn reaping(gate: &Gate, client: &str) -> std::path::PathBuf {
    gate.path().join("store").join(client).join(".snapgate/reaping")
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn a_push_that_begins_holds_up_its_own_client_s_reaping_alone() {
    let gate = two(40_000);
    let lock = File::open(gate.inside(".snapgate/rsync.lock")).unwrap();
    let mut prune = Running::start(&mut snapgate(&gate, &["prune", "web1", "web2"]));
    let first = reaping(&gate, "web1");
    // The first one's history was looked at: only the reaper meets the push.
    let top = first.join("2026-01-01T00-00-00Z@20260101T000000Z");
    until("it is at work", || fs::read_dir(&top).map_or(0, Iterator::count) < 390);
    lock.lock().unwrap();
    until("the other one's is gone", || is_empty(&reaping(&gate, "web2")));
    let left = fs::read_dir(&top).unwrap().count();
    assert!(left > 0, "it was faster than that");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(fs::read_dir(&top).unwrap().count(), left, "nothing goes while the push runs");
    assert!(prune.child.try_wait().unwrap().is_none());
    assert_eq!(must(Command::new("ionice").args(["-p", &prune.child.id().to_string()])), "idle\n");
    lock.unlock().unwrap();
    let said = prune.wait().exits(0).stdout;
    assert!(is_empty(&first), "{said}");
    assert_eq!(said.matches("; 1 snapshot gone for good, ").count(), 2, "{said}");
    // The directories, and their files: of both visits.
    assert!(said.contains(&format!(" {} inodes free", 401 * 101 + 1)), "{said}");
}

#[test]
fn one_whose_push_runs_and_one_whose_policy_is_broken_keep_nobody_waiting() {
    let gate = two(10);
    gate.write("config/policies/bad.yaml", "bogus: 1\n");
    let lock = File::open(gate.inside(".snapgate/rsync.lock")).unwrap();
    lock.lock().unwrap();
    let said = support::run(&mut snapgate(&gate, &["prune", "--json"])).exits(78).stdout;
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let exits: Vec<_> = said.as_array().unwrap().iter().map(|told| (&told["client"], &told["exit"], &told["reaped"])).collect();
    let expected = [("bad", 78, 0), ("web1", 75, 0), ("web2", 0, 1)];
    let expected = expected.map(|(client, exit, reaped)| (client.into(), exit.into(), reaped.into()));
    assert_eq!(exits, expected.iter().map(|(client, exit, reaped)| (client, exit, reaped)).collect::<Vec<_>>(), "{said}");
    assert!(!is_empty(&reaping(&gate, "web1")) && is_empty(&reaping(&gate, "web2")));
}

#[test]
fn a_person_at_a_terminal_sees_how_far_it_is_and_nobody_else_does() {
    let gate = two(5000);
    let words = |gate: &Gate| {
        let command = snapgate(gate, &["prune", "web1", "web2"]);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        format!("TERM=xterm {}", words.map(|word| word.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(" "))
    };
    let seen = support::run(Command::new("script").args(["-qec", &words(&gate), "/dev/null"])).exits(0).stdout;
    assert!(seen.contains("0/2 web1 ") && seen.contains("inodes, ") && seen.contains("1/2 web2"), "{seen:?}");
    let ran = support::run(&mut snapgate(&two(500), &["prune", "web1", "web2"])).exits(0);
    assert_eq!((ran.stderr.as_str(), ran.stdout.lines().count()), ("", 2), "{}", ran.stdout);
}
