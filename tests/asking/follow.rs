//! Events as they come.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use chrono::{TimeDelta, Utc};
use support::{Gate, until};

use crate::{client, push_as, say_as, says};

/// `snapgate log --follow`, and what it has said.
struct Following {
    child: Child,
    said: PathBuf,
}

impl Following {
    fn start(gate: &Gate, words: &[&str]) -> Self {
        let said = gate.path().join("said");
        let mut command = gate.snapgate(&[&["log", "--follow"], words].concat());
        let child = command.stdout(File::create(&said).unwrap()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, said }
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.said).unwrap().lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn has(&self, count: usize) {
        until(&format!("there are {count} lines"), || self.lines().len() >= count);
        assert_eq!(self.lines().len(), count, "{:#?}", self.lines());
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_happens_is_told_once_and_no_line_is_lost_when_the_ledger_is_set_aside() {
    let gate = Gate::new();
    gate.push(&gate.source("data"), &[]).exits(0);
    let following = Following::start(&gate, &["--json"]);
    following.has(1);
    gate.say("nothing of the kind");
    following.has(2);
    let ledger = gate.inside(".snapgate/ledger.jsonl");
    let mut count = 2;
    for month in 1..4 {
        let before = fs::metadata(&ledger).unwrap().ino();
        gate.set_clock(Utc::now() + TimeDelta::days(32 * month));
        // Gates write while it is set aside.
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..4).for_each(|_| drop(gate.say("nothing of the kind"))));
            }
            says(&gate, &["maintain"]);
        });
        assert_ne!(fs::metadata(&ledger).unwrap().ino(), before);
        let all = says(&gate, &["log", "--json"]).exits(0).stdout.lines().count();
        count += 12;
        assert!(all >= count);
        count = all;
        following.has(count);
    }
    let ids: std::collections::BTreeSet<String> = following
        .lines()
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), count);
}

#[test]
fn who_was_stopped_meanwhile_misses_no_ledger_between_two_others() {
    let gate = Gate::new();
    gate.push(&gate.source("data"), &[]).exits(0);
    let following = Following::start(&gate, &["--json"]);
    following.has(1);
    support::processes::signal(&[following.child.id()], nix::sys::signal::Signal::SIGSTOP);
    // With so many lines no ledger has all of the one before.
    for month in 1..3 {
        gate.set_clock(Utc::now() + TimeDelta::days(32 * month));
        let ledger = gate.inside(".snapgate/ledger.jsonl");
        let line = fs::read_to_string(&ledger).unwrap().lines().last().unwrap().to_owned();
        let mut file = fs::OpenOptions::new().append(true).open(&ledger).unwrap();
        let id = serde_json::from_str::<serde_json::Value>(&line).unwrap()["id"].as_str().unwrap().to_owned();
        for number in 0..400 {
            writeln!(file, "{}", line.replace(&id, &format!("{id}-{month}-{number}"))).unwrap();
        }
        says(&gate, &["maintain"]);
    }
    let all = says(&gate, &["log", "--json"]).exits(0).stdout.lines().count();
    assert!(all > 800, "{all}");
    support::processes::signal(&[following.child.id()], nix::sys::signal::Signal::SIGCONT);
    following.has(all);
}

#[test]
fn the_last_ten_come_first_and_new_clients_as_soon_as_they_have_a_policy() {
    let gate = Gate::new();
    client(&gate, "web1");
    for _ in 0..12 {
        say_as(&gate, "web1", "ls").exits(77);
    }
    let following = Following::start(&gate, &[]);
    following.has(10);
    client(&gate, "new1");
    let source = gate.source("data");
    push_as(&gate, "new1", &source);
    following.has(11);
    assert!(following.lines()[10].contains("  new1  published "), "{:#?}", following.lines());
    // A line that is not whole yet is told when it is.
    let ledger = gate.path().join("store/new1/.snapgate/ledger.jsonl");
    let line = fs::read_to_string(&ledger).unwrap().lines().last().unwrap().replace("Z-", "Z-9");
    let (begin, end) = line.split_at(100);
    let mut file = fs::OpenOptions::new().append(true).open(&ledger).unwrap();
    file.write_all(begin.as_bytes()).unwrap();
    push_as(&gate, "new1", &source);
    following.has(12);
    file.write_all(format!("{line}\n{begin}").as_bytes()).unwrap();
    following.has(13);
    file.write_all(format!("{end}\n").as_bytes()).unwrap();
    following.has(14);
}

#[test]
fn who_follows_is_told_of_what_it_asked_for_alone_when_a_push_ends_and_when_one_is_refused() {
    let gate = Gate::new();
    client(&gate, "web1");
    client(&gate, "db1");
    let source = gate.source("data");
    push_as(&gate, "web1", &source);
    say_as(&gate, "web1", "rm -rf /").exits(77);
    let refusals = Following::start(&gate, &["web1", "--outcome", "refused", "--code", "program"]);
    refusals.has(1);
    let said = gate.path().join("pushes");
    let mut command = gate.snapgate(&["log", "--follow", "--outcome", "published", "--since", "1h"]);
    let child = command.stdout(File::create(&said).unwrap()).stderr(Stdio::null()).spawn().unwrap();
    let pushes = Following { child, said };
    pushes.has(1);
    say_as(&gate, "db1", "rm -rf /").exits(77);
    say_as(&gate, "web1", "ls").exits(77);
    push_as(&gate, "db1", &source);
    say_as(&gate, "web1", "rm -rf /").exits(77);
    push_as(&gate, "web1", &source);
    pushes.has(3);
    refusals.has(2);
    let (told, pushed) = (refusals.lines(), pushes.lines());
    assert!(told.iter().all(|line| line.contains("  web1  refused ") && line.ends_with("(code program)")), "{told:#?}");
    assert!(pushed.iter().all(|line| line.contains("  published ")) && pushed[1].contains("  db1 "), "{pushed:#?}");
}

#[test]
fn it_ends_when_nobody_reads_it_any_more() {
    let gate = Gate::new();
    gate.say("nothing of the kind");
    let mut command: Command = gate.snapgate(&["log", "--follow"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert!(line.contains("refused"), "{line}");
    drop(out);
    until("it has ended", || child.try_wait().unwrap().is_some());
    assert_eq!(child.wait().unwrap().code(), Some(141));
}
