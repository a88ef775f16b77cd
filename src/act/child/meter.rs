//! The watch over what a push stores while it runs. When to count is [`Pace`]'s to say; here it is asked, and the clock and
//! the kernel's counters are read.

use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::limits::written;
use crate::decide::pace::Pace;
use crate::terms::usage::{Count, Excess};

/// A push that is counted while it runs.
pub struct Meter<'a> {
    pace: Pace,
    count: &'a mut dyn FnMut() -> Count,
    /// The most that was seen; a process that ends takes its figure with it.
    written: Option<u64>,
}

impl std::fmt::Debug for Meter<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Meter").field("pace", &self.pace).field("written", &self.written).finish_non_exhaustive()
    }
}

impl<'a> Meter<'a> {
    /// One that asks `count` for what stands in the tree.
    pub fn new(pace: Pace, count: &'a mut dyn FnMut() -> Count) -> Self {
        Self { pace, count, written: None }
    }

    /// The time until the next look.
    pub(super) fn pause(&self, now: Duration) -> Duration {
        self.pace.pause(now, self.written)
    }

    /// Looks, and counts where that is due.
    pub(super) fn look(&mut self, pid: Pid, begun: Instant) -> Option<Excess> {
        self.written = self.written.max(written(pid));
        if !self.pace.is_due(begun.elapsed(), self.written) {
            return None;
        }
        let started = Instant::now();
        let Count { usage, blind } = (self.count)();
        self.pace.counted(begun.elapsed(), started.elapsed(), self.written, usage, blind)
    }
}
