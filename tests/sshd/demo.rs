//! `make demo` does what it says and leaves nothing.

use std::path::Path;
use std::process::Command;

use support::{Ran, Running};
use support::{SNAPGATE, processes, tree};

/// Runs the demo with a directory of its own and the program that is under test.
fn demo(dir: &Path, data: Option<&Path>) -> Ran {
    support::mode(dir, 0o755);
    // The demo's own environment is cleared by the harness; what it needs is said here, by another program.
    let mut command = Command::new("env");
    command.arg(format!("TMPDIR={}", dir.display())).arg(format!("SNAPGATE={SNAPGATE}"));
    command.args(data.map(|data| format!("DATA={}", data.display())));
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/demo"));
    Running::start(&mut command).wait()
}

#[test]
fn the_demo_shows_two_snapshots_a_refusal_and_a_mail_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let ran = demo(dir.path(), None).exits(0);
    for text in ["current", "snapshots/", "(code path)", "Subject:", "buy milk and bread"] {
        assert!(ran.stdout.contains(text), "`{text}` in: {}", ran.stdout);
    }
    assert_eq!(tree::listing(dir.path()).len(), 1, "only the directory that it was given");
    assert!(processes::of(dir.path(), "").is_empty());
    let data = dir.path().join("data");
    tree::small(&data);
    let before = tree::listing(&data);
    let ran = demo(dir.path(), Some(&data)).exits(0);
    assert!(ran.stdout.contains("4 of 5 files"), "{}", ran.stdout);
    tree::same(&tree::listing(&data), &before);
}
