//! Restores of many small files: through the gate, and by a bare `rsync --server --sender` of the same snapshot, in turns.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::median;
use crate::pushes::{RSYNC, remote_shell, run, small_files};
use crate::site::{Gate, Set, user};

const ROUNDS: usize = 5;

/// Seconds of a pull into a directory that is made for it and removed afterwards.
fn pull(shell: &Path, from: &str, into: &Path) -> f64 {
    let begin = Instant::now();
    let status = Command::new(RSYNC).args(["-a", "-e"]).arg(shell).arg(from).arg(into).stdin(Stdio::null()).status().expect("rsync");
    let seconds = begin.elapsed().as_secs_f64();
    assert!(status.success(), "{from}: {status}");
    fs::remove_dir_all(into).expect("what was pulled");
    seconds
}

pub(crate) fn restores(root: &Path, files: usize) {
    let set = Set::new(root, "restores", Some(Path::new(RSYNC)), 0);
    let policy = "verbs: [rsync, restore]\noptions: { allow: [owner, group] }\n";
    fs::write(set.config.join(format!("policies/{}.yaml", user())), policy).expect("a policy");
    let (gate, bare) = (root.join("restores/shell"), root.join("restores/bare"));
    remote_shell(&gate, &run(&Gate::this(), &set));
    remote_shell(&bare, "cd / && exec $SSH_ORIGINAL_COMMAND");
    let source = root.join("restores/source");
    fs::create_dir(&source).expect("a directory");
    small_files(&source, files);
    let pushed = Command::new(RSYNC).args(["-a", "-e"]).arg(&gate).arg(format!("{}/", source.display())).arg("backup:").status();
    assert!(pushed.expect("rsync").success());
    let current: PathBuf = set.config.join("store").join(user()).join("current");
    let snapshot = fs::canonicalize(current).expect("a snapshot");
    // In memory where there is room: what is compared is how the files are read.
    let memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory");
    let into = memory.path().join("got");
    let (mut through, mut plain) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let times = [pull(&gate, "backup:current/", &into), pull(&bare, &format!("host:{}/", snapshot.display()), &into)];
        // The first round only warms the cache.
        if round > 0 {
            through.push(times[0]);
            plain.push(times[1]);
        }
    }
    let (through, plain) = (median(&mut through), median(&mut plain));
    println!("restore of {files} small files, s (median of {ROUNDS})");
    println!("  bare rsync --server --sender {plain:12.2}");
    println!("  gate                         {through:12.2}   ratio {:.3} (at most 1.05)\n", through / plain);
}
