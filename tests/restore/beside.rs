//! Pulls beside pushes, beside what removes snapshots, and killed.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use snapgate::terms::limits::LOST_SENT;
use snapgate::terms::outcome::Outcome;
use support::tree::noise;
use support::{Gate, Running, run};

use crate::{gate, target};

fn pushed(gate: &Gate) {
    let source = gate.source("s");
    for number in 0..20 {
        fs::write(source.join(format!("file{number}")), noise(number, 256 << 10)).unwrap();
    }
    gate.push(&source, &[]).exits(0);
}

/// A pull that takes some seconds, and has begun.
fn slow(gate: &Gate, name: &str) -> Running {
    slowly(gate, name, "-a")
}

fn slowly(gate: &Gate, name: &str, options: &str) -> Running {
    let into = gate.path().join(name);
    let words = [options, "--bwlimit=1500", "backup:current/", into.to_str().unwrap()];
    let running = Running::start(&mut gate.rsync_command(&words, ""));
    let until = Instant::now() + Duration::from_secs(20);
    while !into.is_dir() && Instant::now() < until {
        sleep(Duration::from_millis(20));
    }
    running
}

#[test]
fn a_push_beside_a_pull_keeps_nobody_out() {
    let gate = gate();
    pushed(&gate);
    let pull = slow(&gate, "slow");
    fs::write(gate.source("s").join("new"), "x").unwrap();
    gate.push(&gate.source("s"), &[]).exits(0);
    let ran = pull.wait();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(!gate.path().join("slow/new").exists(), "what it began with is what it reads");
    assert_eq!(fs::read_dir(gate.path().join("slow")).unwrap().count(), 20);
}

#[test]
fn what_removes_snapshots_waits_for_who_reads_them() {
    let gate = gate();
    pushed(&gate);
    let old = gate.newest();
    let pull = slow(&gate, "slow");
    fs::write(gate.source("s").join("new"), "x").unwrap();
    gate.push(&gate.source("s"), &[]).exits(0);
    let name = old.file_name().unwrap().to_str().unwrap().to_owned();
    run(&mut gate.snapgate(&["delete", "web1", &name, "--yes"]));
    assert!(old.is_dir(), "it is being read");
    let ran = pull.wait();
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(fs::read_dir(gate.path().join("slow")).unwrap().count(), 20);
}

/// As sshd kills a program and its group where a client asks for that.
fn kill_the_gate(gate: &Gate) {
    let group = nix::unistd::getpgrp();
    let gates = support::processes::of(gate.path(), "snapgate-shell").into_iter().map(|pid| Pid::from_raw(pid.cast_signed()));
    let gates: Vec<_> = gates.filter(|pid| nix::unistd::getpgid(Some(*pid)) == Ok(group)).collect();
    assert!(!gates.is_empty());
    for pid in gates {
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
}

/// What is recorded of a client whose gate was killed.
#[track_caller]
fn is_remembered(gate: &Gate) {
    let lost = || gate.ledger().into_iter().find(|record| record.restore.is_some());
    assert!(until(&|| lost().is_some()), "somebody remembers");
    let lost = lost().unwrap();
    assert_eq!(lost.result, Outcome::Failed);
    assert!(lost.restore.unwrap().day_bytes >= Some(LOST_SENT), "and it is not for nothing");
}

#[test]
fn a_question_whose_gate_was_killed_is_recorded() {
    let gate = Gate::with("", &crate::POLICY.replace("restore]", "restore, history]"));
    let source = gate.source("s");
    fs::write(source.join("large"), noise(1, 4 << 20)).unwrap();
    gate.push(&source, &[]).exits(0);
    let mut asks = gate.say_command("cat large", "").stdout(std::process::Stdio::piped()).spawn().unwrap();
    // Nobody reads more than this of the answer.
    std::io::Read::read_exact(asks.stdout.as_mut().unwrap(), &mut [0]).unwrap();
    kill_the_gate(&gate);
    asks.wait().unwrap();
    is_remembered(&gate);
}

/// With access lists there is no view.
#[test]
fn a_killed_gate_leaves_no_sender_no_lock_and_a_record() {
    for options in ["-a", "-aA"] {
        let gate = gate();
        pushed(&gate);
        let pull = slowly(&gate, "slow", options);
        kill_the_gate(&gate);
        assert_ne!(pull.wait().status, 0, "{options}: nobody sends the rest");
        assert!(until(&|| gate.rsyncs().is_empty()), "{options}: the sender ended with the gate");
        is_remembered(&gate);
        let into = format!("{}/", target(&gate).display());
        gate.rsync(&["-a", "backup:current/", &into]).exits(0);
    }
}

/// Whether something comes to be soon.
fn until(what: &dyn Fn() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(30);
    while !what() && Instant::now() < until {
        sleep(Duration::from_millis(50));
    }
    what()
}

/// A sender that waits for a fifo writes nothing, and so does not notice who is gone.
#[test]
fn a_sender_that_writes_nothing_ends_with_its_client() {
    let gate = gate();
    pushed(&gate);
    nix::unistd::mkfifo(&gate.newest().join("waits"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let into = format!("{}/", target(&gate).display());
    let mut pull = Running::start(&mut gate.rsync_command(&["-a", "--filter=: waits", "backup:current/", &into], ""));
    assert!(until(&|| !gate.rsyncs().is_empty()));
    sleep(Duration::from_secs(1));
    pull.child.kill().unwrap();
    pull.child.wait().unwrap();
    assert!(until(&|| gate.rsyncs().is_empty()), "nobody would read what it sends");
    assert!(until(&|| gate.ledger().iter().any(|record| record.restore.is_some())), "and it is recorded");
}
