//! What the administrator asks of clients and their past: `snapgate log`, `status` and `metrics`, of ledgers that real pushes have
//! written.
#![cfg(test)]

mod follow;
mod hostile;
mod log;
mod metrics;
mod prometheus;
mod standing;
mod sums;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{GATE, Gate, Ran, root, run, skip};

/// Runs the administrator's program.
#[track_caller]
fn says(gate: &Gate, words: &[&str]) -> Ran {
    run(&mut gate.snapgate(words))
}

/// A program of Debian's package `prometheus`, where it is.
fn of_prometheus(program: &str) -> Option<PathBuf> {
    let unpacked = root().join("target/prometheus/usr/bin");
    let named = std::env::var_os("PROMETHEUS").map(PathBuf::from);
    let places = named.into_iter().chain([unpacked, "/usr/bin".into()]);
    let found = places.map(|place| place.join(program)).find(|path| path.exists());
    if found.is_none() {
        skip(&format!("there is no {program} (Debian: prometheus); PROMETHEUS names the directory of another"));
    }
    found
}

/// One more client of the same account.
fn client(gate: &Gate, name: &str) {
    let me = support::getent::my_name();
    gate.write(&format!("config/policies/{name}.yaml"), &format!("user: {me}\n{}", support::POLICY));
    let script = fs::read_to_string(gate.path().join("ssh")).unwrap();
    gate.write(&format!("ssh-{name}"), &script.replace("/config\nexit", &format!("/config --client {name}\nexit")));
}

/// The gate as that client's key starts it, with these words.
fn say_as(gate: &Gate, name: &str, words: &str) -> Ran {
    let mut command = Command::new("/usr/bin/env");
    command.args(["-i", "SSH_CONNECTION=192.0.2.9 50000 192.0.2.1 22"]).arg(format!("SSH_ORIGINAL_COMMAND={words}"));
    run(command.arg(GATE).arg("--config").arg(gate.path().join("config")).args(["--client", name]))
}

/// That client's push.
#[track_caller]
fn push_as(gate: &Gate, name: &str, source: &Path) {
    let mut command = Command::new(support::versions::client());
    command.arg("-e").arg(format!("/bin/sh {}/ssh-{name}", gate.path().display())).arg("-a");
    run(command.arg(format!("{}/", source.display())).arg("backup:")).exits(0);
}

/// The lines without their times, with single spaces.
fn told(said: &str) -> Vec<String> {
    let line = |line: &str| line.split_whitespace().skip(3).collect::<Vec<_>>().join(" ");
    said.lines().map(line).collect()
}
