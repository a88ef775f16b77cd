//! A child that leads a process group of its own: waited for, within limits, and never left behind.
//!
//! Nothing that it has started may outlast the gate's interest in it.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};

use super::activity::Activity;
use super::audience::Audience;
use super::{Attend, Idle, Meter, Patience, milliseconds};
use crate::act::clock;
use crate::decide::push::outcome::Ended;
use crate::terms::Excess;
use crate::terms::limits::{CLOCK_LOOK, GROUP_GONE, GROUP_GRACE, GROUP_POLL, TERM_GRACE};

/// A child that nobody else waits for. When dropped it is killed, with its group.
#[derive(Debug)]
pub(super) struct Leader {
    pub(super) pid: Pid,
    /// Readable when the child has ended (pidfd_open(2)).
    end: OwnedFd,
    /// Until then its number is its own, and a signal cannot hit a stranger.
    collected: bool,
}

impl Leader {
    /// Takes over the child with this number.
    ///
    /// # Errors
    /// When the kernel does not say when it ends; it is dead then.
    pub(super) fn of(pid: Pid) -> std::io::Result<Self> {
        let opened = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(rustix::io::Errno::SRCH);
        match opened.and_then(|pid| pidfd_open(pid, PidfdFlags::empty())) {
            Ok(end) => Ok(Self { pid, end, collected: false }),
            Err(error) => {
                put_an_end_to(pid);
                Err(error.into())
            }
        }
    }

    /// The same for one that the standard library has started.
    pub(super) fn of_child(child: &Child) -> std::io::Result<Self> {
        Self::of(Pid::from_raw(child.id().cast_signed()))
    }

    /// Waits for it, while `attend` answers its questions. If its time is up, or `meter` finds too
    /// much, the group is asked to end, and after [`TERM_GRACE`] killed.
    ///
    /// # Errors
    /// When it cannot be waited for; it has been killed then.
    pub(super) fn wait_within(
        mut self,
        patience: Patience<'_>,
        mut meter: Option<Meter<'_>>,
        mut attend: Option<Box<dyn Attend + '_>>,
    ) -> std::io::Result<Ended> {
        let begun = Instant::now();
        meter.iter_mut().for_each(|meter| meter.begin(self.pid));
        let mut activity = patience.idle.map(|idle| Activity::new(self.pid, idle.limit));
        let mut look_at_idle = activity.as_ref().map(Activity::pause);
        let mut look_at_meter = meter.as_ref().map(|meter| meter.pause(Duration::ZERO));
        let mut audience = patience.while_read.then(Audience::new);
        let ends_as = loop {
            let look_at_clock = patience.until.map(|until| begun.elapsed() + left(until).min(CLOCK_LOOK));
            let look_at_client = audience.as_ref().map(Audience::next);
            let looks = [Some(patience.limit), look_at_idle, look_at_meter, look_at_clock, look_at_client];
            let next = looks.into_iter().flatten().min().unwrap_or_default();
            match has_ended(self.end.as_fd(), next.saturating_sub(begun.elapsed()), &mut attend)? {
                Waited::Ended => {
                    meter.iter_mut().for_each(|meter| meter.last(self.pid));
                    let ended = self.collect()?;
                    return end_group_of(self.pid, patience).map(|()| ended);
                }
                Waited::TooMuch(excess) => break Ended::TooMuch(excess),
                Waited::InVain => {}
            }
            let now = begun.elapsed();
            if now >= patience.limit {
                break Ended::Deadline;
            }
            if patience.until.is_some_and(|until| left(until).is_zero()) {
                break Ended::Closed;
            }
            if audience.as_mut().is_some_and(|audience| audience.is_gone(now)) {
                break Ended::Gone;
            }
            if let Some(activity) = activity.as_mut().filter(|_| look_at_idle.is_some_and(|at| now >= at)) {
                let idle = patience.idle.filter(|idle| activity.is_idle() && activity.waits_for_the_client(idle.run));
                if let Some(Idle { limit, .. }) = idle {
                    break Ended::Idle(limit);
                }
                look_at_idle = Some(now + activity.pause());
            }
            if let Some(meter) = meter.as_mut().filter(|_| look_at_meter.is_some_and(|at| now >= at)) {
                if let Some(excess) = meter.look(self.pid, begun) {
                    break Ended::TooMuch(excess);
                }
                let now = begun.elapsed();
                look_at_meter = Some(now + meter.pause(now));
            }
        };
        let _ = killpg(self.pid, Signal::SIGTERM);
        if !matches!(has_ended(self.end.as_fd(), TERM_GRACE, &mut attend)?, Waited::Ended) {
            let _ = killpg(self.pid, Signal::SIGKILL);
        }
        meter.iter_mut().for_each(|meter| meter.last(self.pid));
        self.collect()?;
        end_group_of(self.pid, patience).map(|()| ends_as)
    }

    fn collect(&mut self) -> std::io::Result<Ended> {
        let ended = collect(self.pid)?;
        self.collected = true;
        Ok(ended)
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        if !self.collected {
            put_an_end_to(self.pid);
        }
    }
}

/// The time until then by the clock on the wall.
fn left(until: DateTime<Utc>) -> Duration {
    (until - clock::now()).to_std().unwrap_or_default()
}

/// Kills a child that was not waited for yet, and all of its group.
fn put_an_end_to(pid: Pid) {
    let _ = killpg(pid, Signal::SIGKILL);
    // It may not have come so far as to lead one.
    let _ = kill(pid, Signal::SIGKILL);
    let _ = waitpid(pid, None);
    let _ = end_group(pid);
}

fn end_group_of(group: Pid, patience: Patience<'_>) -> std::io::Result<()> {
    if patience.whole { end_group(group) } else { Ok(()) }
}

/// Ends what is left of a group whose leader has ended: such a process could go on writing to open
/// files, whatever becomes of their names. It gets a moment to finish by itself.
fn end_group(group: Pid) -> std::io::Result<()> {
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

/// What came of waiting for a process.
enum Waited {
    Ended,
    TooMuch(Excess),
    InVain,
}

/// Waits until a process has ended, for so long, and has its questions answered.
fn has_ended(process: BorrowedFd<'_>, within: Duration, attend: &mut Option<Box<dyn Attend + '_>>) -> std::io::Result<Waited> {
    let begun = Instant::now();
    loop {
        let left = within.saturating_sub(begun.elapsed());
        let silence = attend.as_ref().and_then(|attend| attend.patience());
        let timeout = milliseconds(silence.map_or(left, |silence| silence.min(left)));
        match look(process, attend.as_deref(), timeout) {
            Ok((true, _)) => return Ok(Waited::Ended),
            Ok((false, Asked::Question)) => {
                if let Some(excess) = attend.as_mut().and_then(|attend| attend.answer()) {
                    return Ok(Waited::TooMuch(excess));
                }
            }
            // Nobody is left who could ask.
            Ok((false, Asked::Gone)) => *attend = None,
            Ok((false, Asked::Nothing)) => attend.as_mut().filter(|_| silence.is_some()).map_or((), |attend| attend.silence()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        if begun.elapsed() >= within {
            return Ok(Waited::InVain);
        }
    }
}

/// What came of listening for a question.
enum Asked {
    Nothing,
    Question,
    Gone,
}

/// Waits for the end of a process or for a question. Returns whether it has ended, and what was
/// asked.
fn look(process: BorrowedFd<'_>, attend: Option<&(dyn Attend + '_)>, timeout: PollTimeout) -> nix::Result<(bool, Asked)> {
    let end = PollFd::new(process, PollFlags::POLLIN);
    let woken = |found: &PollFd<'_>, flags: PollFlags| found.revents().is_some_and(|events| events.intersects(flags));
    let Some(attend) = attend else {
        let mut waited = [end];
        poll(&mut waited, timeout)?;
        return Ok((waited.iter().any(|found| woken(found, PollFlags::all())), Asked::Nothing));
    };
    let mut waited = [end, PollFd::new(attend.as_fd(), PollFlags::POLLIN)];
    poll(&mut waited, timeout)?;
    let [end, question] = &waited;
    let asked = match () {
        () if woken(question, PollFlags::POLLIN) => Asked::Question,
        () if woken(question, PollFlags::all()) => Asked::Gone,
        () => Asked::Nothing,
    };
    Ok((woken(end, PollFlags::all()), asked))
}

/// Waits for a process that has ended or is about to.
pub(super) fn collect(pid: Pid) -> std::io::Result<Ended> {
    loop {
        match waitpid(pid, None) {
            Ok(WaitStatus::Exited(_, status)) => return Ok(Ended::Exit(status)),
            Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Ended::Signal(signal as i32)),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
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
        #[expect(clippy::zombie_processes, reason = "it is waited for by its number, which is what is tested")]
        let child = Command::new("sh").args(["-c", &script]).process_group(0).spawn().unwrap();
        let leader = Leader::of_child(&child).unwrap();
        let group = leader.pid;
        let patience = Patience { limit: Duration::from_secs(30), idle: None, until: None, while_read: false, whole: true };
        assert_eq!(leader.wait_within(patience, None, None).unwrap(), Ended::Exit(3));
        assert_eq!(killpg(group, None), Err(Errno::ESRCH));
        let length = std::fs::metadata(&written).unwrap().len();
        thread::sleep(Duration::from_millis(200));
        assert_eq!(std::fs::metadata(&written).unwrap().len(), length);
    }

    #[test]
    fn whoever_is_no_longer_waited_for_is_gone_with_all_that_it_has_started() {
        #[expect(clippy::zombie_processes, reason = "it is waited for by its number, which is what is tested")]
        let child = Command::new("sh").args(["-c", "trap '' TERM; (trap '' TERM; sleep 60) & sleep 60"]).process_group(0).spawn().unwrap();
        let leader = Leader::of_child(&child).unwrap();
        let group = leader.pid;
        let begun = Instant::now();
        drop(leader);
        assert_eq!(killpg(group, None), Err(Errno::ESRCH));
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
