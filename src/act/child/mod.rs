//! Child processes: the jailed rsync, the administrator's hooks, and `rsync --version`.
//!
//! No shell, no word of a client's that is not in a [`Run`](crate::decide::plan::Run), no inherited environment.

mod activity;
mod hook;
mod meter;
mod probe;
mod rsync;
mod version;

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::Pid;

use crate::decide::outcome::{Ended, IDLE};
use crate::terms::limits::{GROUP_GONE, GROUP_GRACE, GROUP_POLL, TERM_GRACE};

use activity::Activity;
pub use hook::{HookEnd, Setting, hook};
pub use meter::Meter;
pub use probe::{can_be_supervised, can_have_a_view};
pub use rsync::{NotStarted, Teller, become_rsync, no_jail, no_view, rsync};
pub use version::version;

/// How long a child may take.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// In all.
    limit: Duration,
    /// Without doing anything; `None`: that is its own affair.
    idle: Option<Duration>,
    /// Whether what it has started must have ended too.
    whole: bool,
}

/// Waits for a child that leads its own process group. Where its time is up, or `meter` says that it has brought too much, the
/// group is asked to end, and after [`TERM_GRACE`] it is made to.
fn wait_within(child: &mut Child, patience: Patience, mut meter: Option<Meter<'_>>) -> std::io::Result<Ended> {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    let (tell, told) = mpsc::channel();
    // The thread only learns that the child ended; reaping it is left to this one, so its number stays its own and
    // a signal cannot hit a stranger.
    thread::spawn(move || {
        let _ = tell.send(waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT));
    });
    let begun = Instant::now();
    let mut activity = patience.idle.map(|idle| Activity::new(pid, idle));
    let mut look_at_idle = activity.as_ref().map(Activity::pause);
    let mut look_at_meter = meter.as_ref().map(|meter| meter.pause(Duration::ZERO));
    let ends_as = loop {
        let next = [Some(patience.limit), look_at_idle, look_at_meter].into_iter().flatten().min().unwrap_or_default();
        if told.recv_timeout(next.saturating_sub(begun.elapsed())).is_ok() {
            let status = child.wait()?;
            return end_group(pid, patience).map(|()| ended(status));
        }
        let now = begun.elapsed();
        if now >= patience.limit {
            break Ended::Deadline;
        }
        if let Some(activity) = activity.as_mut().filter(|_| look_at_idle.is_some_and(|at| now >= at)) {
            if activity.is_idle() {
                break Ended::Exit(IDLE);
            }
            look_at_idle = Some(now + activity.pause());
        }
        if let Some(meter) = meter.as_mut().filter(|_| look_at_meter.is_some_and(|at| now >= at)) {
            if let Some(excess) = meter.look(pid, begun) {
                break Ended::TooMuch(excess);
            }
            let now = begun.elapsed();
            look_at_meter = Some(now + meter.pause(now));
        }
    };
    let _ = killpg(pid, Signal::SIGTERM);
    if told.recv_timeout(TERM_GRACE).is_err() {
        let _ = killpg(pid, Signal::SIGKILL);
    }
    child.wait()?;
    end_group(pid, patience).map(|()| ends_as)
}

/// Sees to it that nothing of a group is left when its leader has ended: a process that stayed behind could go on writing to
/// files that it holds open, whatever becomes of their names. What only needs a moment to put its things away gets it.
fn end_group(group: Pid, patience: Patience) -> std::io::Result<()> {
    if !patience.whole {
        return Ok(());
    }
    let begun = Instant::now();
    let mut killed = false;
    // The number stays the group's for as long as one process is in it.
    while killpg(group, None) != Err(Errno::ESRCH) {
        if begun.elapsed() >= GROUP_GONE {
            return Err(std::io::Error::other("a process that it started does not end"));
        }
        if !killed && begun.elapsed() >= GROUP_GRACE {
            let _ = killpg(group, Signal::SIGKILL);
            killed = true;
        }
        // Orphans are the gate's to collect (see `rsync`), not those of an init that may not do it.
        let _ = waitpid(Pid::from_raw(-group.as_raw()), Some(WaitPidFlag::WNOHANG));
        thread::sleep(GROUP_POLL);
    }
    Ok(())
}

fn ended(status: ExitStatus) -> Ended {
    status.code().map_or_else(|| Ended::Signal(status.signal().unwrap_or_default()), Ended::Exit)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::*;

    #[test]
    fn nothing_that_a_child_has_started_outlives_it_where_that_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let written = directory.path().join("written");
        let script = format!("exec 9>{}; (while :; do echo x >&9; sleep 0.05; done) & exit 3", written.display());
        let mut child = Command::new("sh").args(["-c", &script]).process_group(0).spawn().unwrap();
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let patience = Patience { limit: Duration::from_secs(30), idle: None, whole: true };
        assert_eq!(wait_within(&mut child, patience, None).unwrap(), Ended::Exit(3));
        assert_eq!(killpg(group, None), Err(Errno::ESRCH));
        let length = std::fs::metadata(&written).unwrap().len();
        thread::sleep(Duration::from_millis(200));
        assert_eq!(std::fs::metadata(&written).unwrap().len(), length);
    }
}
