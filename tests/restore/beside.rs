//! Pulls beside pushes, beside what removes snapshots, and killed.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

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
    let into = gate.path().join(name);
    let words = ["-a", "--bwlimit=1500", "backup:current/", into.to_str().unwrap()];
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

#[test]
fn a_killed_gate_leaves_no_sender_and_no_lock() {
    let gate = gate();
    pushed(&gate);
    let _pull = slow(&gate, "slow");
    let gates = support::processes::of(gate.path(), "snapgate-shell");
    assert!(!gates.is_empty());
    for pid in gates {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), nix::sys::signal::Signal::SIGKILL);
    }
    let until = Instant::now() + Duration::from_secs(10);
    while !gate.rsyncs().is_empty() && Instant::now() < until {
        sleep(Duration::from_millis(50));
    }
    assert!(gate.rsyncs().is_empty(), "the sender ended with the gate");
    let into = format!("{}/", target(&gate).display());
    gate.rsync(&["-a", "backup:current/", &into]).exits(0);
}

/// A sender that waits for a fifo writes nothing, and so does not notice who is gone.
#[test]
fn a_sender_that_writes_nothing_ends_with_its_client() {
    let gate = gate();
    pushed(&gate);
    nix::unistd::mkfifo(&gate.newest().join("waits"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let into = format!("{}/", target(&gate).display());
    let mut pull = Running::start(&mut gate.rsync_command(&["-a", "--filter=: waits", "backup:current/", &into], ""));
    let until = |what: &dyn Fn() -> bool| {
        let until = Instant::now() + Duration::from_secs(30);
        while !what() && Instant::now() < until {
            sleep(Duration::from_millis(50));
        }
        what()
    };
    assert!(until(&|| !gate.rsyncs().is_empty()));
    sleep(Duration::from_secs(1));
    pull.child.kill().unwrap();
    pull.child.wait().unwrap();
    assert!(until(&|| gate.rsyncs().is_empty()), "nobody would read what it sends");
    assert!(until(&|| gate.ledger().iter().any(|record| record.restore.is_some())), "and it is recorded");
}
