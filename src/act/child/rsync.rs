//! The jailed rsync.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};

use super::{Patience, wait_within};
use crate::decide::outcome::Ended;
use crate::decide::plan::Run;
use crate::terms::reason::{Code, Reason};

/// Everything that rsync finds in its environment. It would read `RSYNC_*`, `CVSIGNORE`, `HOME` and more from a
/// client's (facts measured with 3.5.0); the zone is for the times in the run's log.
const ENVIRONMENT: [(&str, &str); 2] = [("LC_ALL", "C"), ("TZ", "UTC")];

/// Runs rsync to its end, its standard streams being the client's. `enter_jail` is called on the thread that starts
/// it, just before.
///
/// # Errors
/// When the jail does not hold or rsync does not start; rsync has not run then.
pub fn rsync(run: &Run, lock: File, enter_jail: impl FnOnce() -> Result<(), Reason> + Send) -> Result<Ended, Reason> {
    let mut child = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter_jail()?;
            start(run, &lock)
        });
        thread.join().unwrap_or_else(|_| Err(broken("the thread that starts it ended early")))
    })?;
    // From here on the lock is rsync's alone: it is free when the last of its processes is gone, whatever becomes of us.
    drop(lock);
    let patience = Patience { limit: run.deadline(), idle: run.idle() };
    wait_within(&mut child, patience).map_err(|error| broken(&error.to_string()))
}

fn start(run: &Run, lock: &File) -> Result<Child, Reason> {
    // The lock is the one descriptor besides the standard three that rsync gets.
    fcntl(lock.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).map_err(|error| broken(&error.to_string()))?;
    let mut command = Command::new(run.program());
    command.arg0("rsync").args(run.argv()).env_clear().envs(ENVIRONMENT).current_dir(run.directory());
    // A group of its own, so that at the deadline its receiver is reached too.
    command.process_group(0);
    command.spawn().map_err(|error| broken(&error.to_string()))
}

fn broken(what: &str) -> Reason {
    Reason::new(Code::Rsync, "the server cannot store anything right now")
        .hint("the administrator has been told")
        .detail(format!("rsync did not start: {what}"))
        .remedy("install rsync, or set `rsync:` in the site file to its path")
}
