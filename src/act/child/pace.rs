//! How much of the disk this process takes beside others.
//!
//! Setting that takes a system call that has no safe form; ionice(1), which is on every system,
//! does it.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

const IONICE: &str = "/usr/bin/ionice";

/// Whether this process stands back.
static BACK: AtomicBool = AtomicBool::new(false);

/// Has this thread, and what it begins or starts from now on, use the disk only when nobody else
/// does. Where that cannot be, the kernel goes by how nice a thread is (ioprio_set(2)).
pub fn stand_back() {
    if !BACK.swap(true, Ordering::Relaxed) {
        set("3");
    }
}

/// Ends that: what comes now is waited for.
pub fn step_forward() {
    if BACK.swap(false, Ordering::Relaxed) {
        set("0");
    }
}

fn set(class: &str) {
    let mut command = Command::new(IONICE);
    command.args(["-c", class, "-p", &std::process::id().to_string()]).env_clear();
    let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}
