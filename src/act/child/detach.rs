//! Starting a `watch` that nobody waits for, so that an alert leaves within seconds even where no
//! timer runs.
//!
//! It must not hold anything of the session that starts it: not its pipes (sshd would wait for
//! them), not its lock, not its environment, not its session.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{SigSet, Signal};

/// The administrator's program, which is beside this one.
const PROGRAM: &str = "snapgate";

/// Starts `snapgate --config DIR watch --detached` and comes back at once. The new process outlives
/// this one.
///
/// # Errors
/// When the program cannot be started, with its path. The events are in the spool all the same; the
/// next pass takes them.
pub fn watch(directory: &Path) -> Result<(), String> {
    let program =
        std::env::current_exe().map_err(|error| format!("the gate's own program cannot be found: {error}"))?.with_file_name(PROGRAM);
    start(&program, directory).map_err(|error| format!("{} cannot be started, so the mail waits for the timer: {error}", program.display()))
}

fn start(program: &Path, directory: &Path) -> io::Result<()> {
    let mut command = Command::new(program);
    command.arg("--config").arg(std::path::absolute(directory)?).args(["watch", "--detached"]);
    command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Where somebody had a terminal, the kernel hangs up what is still in its session when the gate
    // ends, which is sooner than the new process can leave it. What is spawned inherits a mask, so
    // it never hears of that.
    let mut hang_up = SigSet::empty();
    hang_up.add(Signal::SIGHUP);
    hang_up.thread_block()?;
    // Never waited for: the gate ends soon, and then init is its parent.
    let spawned = command.spawn().map(drop);
    hang_up.thread_unblock()?;
    spawned
}

/// What the started process does first.
pub fn leave_session() {
    // Here and not before exec, which would need `unsafe`. It fails only for the leader of a group:
    // somebody who typed the hidden word in a shell.
    let _ = nix::unistd::setsid();
}
