//! Asking history: as the administrator, and as the client through the gate.

#![expect(clippy::unwrap_used, reason = "a test says no by panicking, its helpers too")]

mod answers;
mod bounds;
mod documented;
mod hostile;
mod sshd;
mod wrong;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use chrono::{TimeDelta, Utc};
use serde_json::Value;
use support::{Gate, Ran, run};

/// A policy that lets its client ask everything.
const POLICY: &str = "verbs: [rsync, list, history]\noptions: { allow: [acls, owner, group] }\n";

/// A gate whose client has pushed three times: two days ago, yesterday and now.
struct Past {
    gate: Gate,
    names: Vec<String>,
}

impl Past {
    fn new() -> Self {
        let gate = Gate::with("", POLICY);
        let source = gate.source("data");
        let etc = source.join("etc");
        fs::create_dir(&etc).unwrap();
        fs::write(etc.join("hosts"), "one\ntwo\nthree\n").unwrap();
        fs::write(etc.join("same"), "always").unwrap();
        fs::write(etc.join("gone.conf"), "for a while").unwrap();
        fs::write(source.join("old name"), "moved, and the same\n").unwrap();
        push(&gate, &source, 2);
        fs::write(etc.join("hosts"), "one\n2\nthree\n").unwrap();
        fs::remove_file(etc.join("gone.conf")).unwrap();
        fs::rename(source.join("old name"), source.join("new name")).unwrap();
        push(&gate, &source, 1);
        set_mode(&etc.join("hosts"), 0o600);
        fs::write(etc.join("new.conf"), "x".repeat(5000)).unwrap();
        push(&gate, &source, 0);
        let names = gate.snapshots();
        assert_eq!(names.len(), 3);
        Self { gate, names }
    }

    /// What the administrator's program says.
    fn says(&self, words: &[&str]) -> Ran {
        run(&mut self.gate.snapgate(words))
    }

    /// The same about `web1`, where that went well.
    #[track_caller]
    fn told(&self, word: &str, rest: &[&str]) -> String {
        let words: Vec<_> = [word, "--client", "web1"].iter().chain(rest).copied().collect();
        self.says(&words).exits(0).stdout
    }

    /// Objects of an answer for programs.
    #[track_caller]
    fn objects(&self, word: &str, rest: &[&str]) -> Vec<Value> {
        let rest: Vec<_> = std::iter::once("--json").chain(rest.iter().copied()).collect();
        self.told(word, &rest).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Pushes as if so many days ago.
#[track_caller]
fn push(gate: &Gate, source: &Path, days: i64) {
    gate.set_clock(Utc::now() - TimeDelta::days(days));
    gate.push(source, &[]).exits(0);
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}
