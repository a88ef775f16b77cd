//! Getting files back with plain rsync: which snapshot a path means, what comes back, what never does, and what it is allowed.
#![cfg(test)]

mod attacks;
mod beside;
mod pulls;
mod round;
mod rules;
mod server;

use std::fs;
use std::path::PathBuf;

use support::Gate;

/// A policy that lets a client push and pull.
const POLICY: &str =
    "verbs: [prepare, rsync, complete, abort, status, restore]\nreport: always\noptions: { allow: [acls, owner, group] }\n";

/// A gate whose client may pull.
fn gate() -> Gate {
    with("")
}

/// The same with more in its policy.
fn with(more: &str) -> Gate {
    Gate::with("", &format!("{POLICY}{more}"))
}

/// Where a pull puts what it gets.
fn target(gate: &Gate) -> PathBuf {
    let path = gate.path().join("got");
    fs::create_dir_all(&path).unwrap();
    path
}
