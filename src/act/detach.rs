//! Starting a `watch` that nobody waits for, so that an alert leaves within seconds even where no timer runs.
//!
//! It must not hold anything of the session that starts it: not its pipes (sshd would wait for them), not its lock, not its
//! environment, not its session.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Starts `snapgate [--config DIR] watch --detached` and comes back at once. The new process outlives this one.
///
/// # Errors
/// When the program cannot be started. The events are in the spool all the same; the next pass takes them.
pub fn watch(config_dir: &Path, explicit_config: bool) -> io::Result<()> {
    let mut command = Command::new(std::env::current_exe()?);
    if explicit_config {
        // Whole, because the new process starts in the root directory.
        command.arg("--config").arg(std::path::absolute(config_dir)?);
    }
    command.args(["watch", "--detached"]).env_clear().current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Never waited for: the gate ends soon, and then init is its parent.
    command.spawn().map(drop)
}

/// What the started process does first: it leaves the session and closes every descriptor that it was not meant to have.
pub fn settle() {
    // Here and not before exec, which would need `unsafe`. It fails only for the leader of a group: somebody who typed the
    // hidden word in a shell.
    let _ = nix::unistd::setsid();
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    // Collected first: the listing has a descriptor of its own, which is closed (and so not there any more) afterwards.
    let open: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
        let _ = nix::unistd::close(descriptor);
    }
}
