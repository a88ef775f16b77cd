//! Starts a `watch` that nobody waits for, so that an alert leaves at once even without a timer.
//!
//! It must hold nothing of the session: not its pipes (sshd would wait for them), its lock, its
//! environment.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{SigSet, Signal};

/// The administrator's program, which is beside this one.
const PROGRAM: &str = "snapgate";

/// Starts `snapgate --config DIR watch --detached` and comes back at once. The new process outlives
/// this one.
///
/// # Errors
/// When the program cannot be started, with its path. The next pass takes the events from the
/// spool.
pub fn watch(directory: &Path) -> Result<(), String> {
    let program = program().map_err(|error| format!("the gate's own program cannot be found: {error}"))?;
    start(&program, directory).map_err(|error| format!("{} cannot be started, so the mail waits for the timer: {error}", program.display()))
}

/// Where the administrator's program is.
pub(super) fn program() -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(PROGRAM))
}

fn start(program: &Path, directory: &Path) -> io::Result<()> {
    let mut command = Command::new(program);
    command.arg("--config").arg(std::path::absolute(directory)?).args(["watch", "--detached"]);
    command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // With a terminal, the kernel hangs up the session when the gate ends, before the new process
    // can leave it. A spawned process inherits the mask, so the signal never reaches it.
    let mut hang_up = SigSet::empty();
    hang_up.add(Signal::SIGHUP);
    hang_up.thread_block()?;
    // Never waited for: with the gate's end init becomes its parent. Of one that tells of a push's beginning an entry in the table of
    // processes stays until then.
    let spawned = command.spawn().map(drop);
    hang_up.thread_unblock()?;
    spawned
}

/// What the started process does first.
pub fn leave_session() {
    // Before exec it would need `unsafe`. It fails only for the leader of a group: somebody who
    // typed the hidden word in a shell.
    let _ = nix::unistd::setsid();
}
