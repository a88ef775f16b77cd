//! Directories that a thread of the reaper's has given away, for those that have nothing to do, and
//! the end of those threads.

use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::fs;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::terms::limits::{GROUP_POLL, REAP_QUEUE};

/// They wait in the order in which they came.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// How many wait, for a look without the lock.
    length: AtomicUsize,
}

#[derive(Default)]
struct Waiting {
    directories: VecDeque<Given>,
    working: usize,
}

/// A directory, with its parent, its name there and what it takes. The top has none of these.
pub(super) struct Given {
    pub(super) directory: OwnedFd,
    pub(super) place: Option<(OwnedFd, CString, u64)>,
}

/// Nothing that these guard is broken by a thread that panics.
pub(super) fn taken<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    /// Begins with the top of a tree.
    pub(super) fn begin(&self, directory: OwnedFd) {
        self.add(Given { directory, place: None });
    }

    fn add(&self, given: Given) {
        let mut waiting = taken(&self.waiting);
        waiting.directories.push_back(given);
        self.length.store(waiting.directories.len(), Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// Gives a directory away, so that no thread has nothing to do; back it comes where there is
    /// enough to be done.
    pub(super) fn share(&self, directory: OwnedFd, (parent, name): (BorrowedFd<'_>, &CStr), bytes: u64, is_top: bool) -> Option<OwnedFd> {
        // The further apart two threads are in the tree, the less they wait for each other in the
        // kernel: what is at the top is given first.
        if self.length.load(Ordering::Relaxed) >= if is_top { REAP_QUEUE } else { 1 } {
            return Some(directory);
        }
        let Ok(parent) = parent.try_clone_to_owned() else { return Some(directory) };
        self.add(Given { directory, place: Some((parent, name.to_owned(), bytes)) });
        None
    }

    /// The next one, which [`Queue::done`] has to follow; `None`: there will be no more.
    pub(super) fn next(&self, stopped: &AtomicBool) -> Option<Given> {
        let mut waiting = taken(&self.waiting);
        loop {
            if stopped.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(given) = waiting.directories.pop_front() {
                waiting.working += 1;
                self.length.store(waiting.directories.len(), Ordering::Relaxed);
                return Some(given);
            }
            if waiting.working == 0 {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// One is empty.
    pub(super) fn done(&self, stopped: &AtomicBool) {
        let mut waiting = taken(&self.waiting);
        waiting.working -= 1;
        if waiting.working == 0 || stopped.load(Ordering::Relaxed) {
            self.changed.notify_all();
        }
    }
}

/// The threads of this process, and two (proc(5), "/proc/pid/task").
pub(super) fn tasks() -> u64 {
    fs::metadata("/proc/self/task").map_or(0, |tasks| tasks.nlink())
}

/// Waits until something is so, for this long.
pub(super) fn soon(limit: Duration, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() && begun.elapsed() < limit {
        thread::sleep(GROUP_POLL);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn a_thread_that_has_not_left_yet_is_waited_for_and_not_for_ever() {
        let looks = AtomicU64::new(0);
        let is_third = || looks.fetch_add(1, Ordering::Relaxed) == 2;
        soon(Duration::from_secs(30), is_third);
        assert_eq!(looks.into_inner(), 3);
        soon(Duration::from_millis(5), || false);
    }
}
