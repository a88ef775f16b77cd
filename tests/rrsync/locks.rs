//! The lock: rrsync's own, held by rsync itself for as long as one of its processes is there.

use std::fs::File;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::both::{Program, Tree, compared};

const PUSH: &str = "rsync --server -logDtpre.iLsfxCIvu . dst/";
const PULL: &str = "rsync --server --sender -logDtpre.iLsfxCIvu . src/";

/// Starts a program that waits for its client, until its rsync speaks.
fn waiting(tree: &Tree, program: Program, flags: &str, command: &str) -> Child {
    let words = tree.words(program, flags);
    let mut started = Command::new(&words[0]);
    started.args(&words[1..]).env_clear().env("PATH", "/usr/bin:/bin").env("SSH_ORIGINAL_COMMAND", command);
    let mut child = started.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut greeting = [0; 4];
    child.stdout.as_mut().unwrap().read_exact(&mut greeting).unwrap();
    child
}

/// Hangs up, as a client does, and waits for the end.
fn hang_up(mut child: Child) {
    drop(child.stdin.take());
    drop(child.stdout.take());
    child.wait().unwrap();
}

fn is_locked(tree: &Tree) -> bool {
    let directory = File::open(tree.at("dir")).unwrap();
    // Given back at once: closed alone, it would last as long as a process that is just being made.
    directory.try_lock().map(|()| directory.unlock().unwrap()).is_err()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[track_caller]
fn is_busy(tree: &Tree, flags: &str, command: &str) {
    let said = tree.say(Program::Ours, flags, command.as_bytes());
    assert!(said.status == 75 && said.stderr.contains("(code busy)"), "{said:?}");
}

#[test]
fn a_push_keeps_everything_out_and_pulls_only_pushes() {
    let tree = Tree::new();
    let push = waiting(&tree, Program::Ours, "", PUSH);
    is_busy(&tree, "", PUSH);
    is_busy(&tree, "", PULL);
    assert!(tree.say(Program::Ours, "-no-lock", PUSH.as_bytes()).spoke);
    assert!(tree.say(Program::Ours, "-ro", PULL.as_bytes()).spoke, "-ro implies -no-lock");
    hang_up(push);
    let pull = waiting(&tree, Program::Ours, "", PULL);
    assert!(tree.say(Program::Ours, "", PULL.as_bytes()).spoke, "pulls share");
    is_busy(&tree, "", PUSH);
    is_busy(&tree, "", &PULL.replace(" . ", " --remove-source-files . "));
    hang_up(pull);
    assert!(tree.say(Program::Ours, "", PUSH.as_bytes()).spoke);
}

#[test]
fn rrsync_and_this_keep_each_other_out() {
    if !compared("the lock of both programs") {
        return;
    }
    let tree = Tree::new();
    let theirs = waiting(&tree, Program::Theirs, "", PUSH);
    is_busy(&tree, "", PUSH);
    is_busy(&tree, "", PULL);
    hang_up(theirs);
    let ours = waiting(&tree, Program::Ours, "", PULL);
    let said = tree.say(Program::Theirs, "", PUSH.as_bytes());
    assert!(said.status == 1 && said.stderr.contains("already accessing"), "{said:?}");
    hang_up(ours);
}

#[test]
fn the_lock_outlives_a_killed_gate_for_as_long_as_rsync_runs() {
    let tree = Tree::new();
    let mut gate = waiting(&tree, Program::Ours, "", PUSH);
    // Its rsync waits for the client, who is still there; `wait` would hang up.
    let client = (gate.stdin.take(), gate.stdout.take());
    gate.kill().unwrap();
    gate.wait().unwrap();
    is_busy(&tree, "", PUSH);
    assert!(is_locked(&tree));
    drop(client);
    until("the lock is free", || !is_locked(&tree));
    assert!(tree.say(Program::Ours, "", PUSH.as_bytes()).spoke);
}
