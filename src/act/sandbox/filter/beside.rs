//! Keeps a process that asks again and again beside the thread that answers it: on one processor.
//!
//! Half the cost of a question is that each side wakes the other on another processor. The kernel's
//! remedy (`SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`, Linux 6.6) needs unsafe. The binding must not
//! outlast the questions: on a busy processor both would have to wait.

use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::unistd::{Pid, getpgid};

/// So many questions of one process, [`DENSE`] enough, count as the first of many.
const MANY: u32 = 8;
/// Far longer than they take on a slow disk.
const DENSE: Duration = Duration::from_millis(4);
/// So long without a question, and each may run where it likes again.
const SILENCE: Duration = Duration::from_millis(4);
/// After so long the kernel may choose other processors, for as long as the next [`MANY`] take.
const AT_MOST: Duration = Duration::from_millis(100);

/// The thread that calls (sched_setaffinity(2)).
const MYSELF: Pid = Pid::from_raw(0);

/// How the two stand to each other. Dropped, both may run where they like.
pub(super) struct Beside {
    /// Only processes of this group are bound: a number may have become a stranger's.
    group: Pid,
    state: State,
}

enum State {
    /// Each is where the kernel puts it. So many questions came from this process since then.
    Apart { asked: u32, by: Pid, since: Instant },
    /// Both are on one processor since then.
    Together { since: Instant, bound: Box<Bound> },
    /// It cannot be done here.
    Never,
}

/// A process, and where it and this thread could run before.
#[derive(Clone, Copy)]
struct Bound {
    asking: Pid,
    its: CpuSet,
    ours: CpuSet,
}

impl Beside {
    /// For questions of processes of this group, answered by the thread that calls.
    pub(super) fn new(group: Pid) -> Self {
        Self { group, state: apart() }
    }

    /// For how long no question changes nothing; `None`: for ever.
    pub(super) fn patience(&self) -> Option<Duration> {
        matches!(self.state, State::Together { .. }).then_some(SILENCE)
    }

    /// Takes note that nothing was asked for so long.
    pub(super) fn silence(&mut self) {
        if let State::Together { bound, .. } = &self.state {
            let bound = **bound;
            self.part(bound);
        }
    }

    /// Takes note of a question. Whoever asked still waits for the answer.
    pub(super) fn asked(&mut self, asking: Pid) {
        let now = Instant::now();
        match &mut self.state {
            State::Apart { asked, by, since } if *by == asking && now.duration_since(*since) < DENSE => {
                *asked += 1;
                if *asked == MANY {
                    self.state = self.bind(asking).map_or(State::Never, |bound| State::Together { since: now, bound: Box::new(bound) });
                }
            }
            State::Apart { .. } => self.state = State::Apart { asked: 1, by: asking, since: now },
            State::Together { since, bound } if now.duration_since(*since) >= AT_MOST => {
                let bound = **bound;
                self.part(bound);
            }
            State::Together { .. } | State::Never => {}
        }
    }

    /// Binds both to the processor that this thread is on.
    fn bind(&self, asking: Pid) -> Option<Bound> {
        let bound = Bound { asking, its: sched_getaffinity(asking).ok()?, ours: sched_getaffinity(MYSELF).ok()? };
        let mut here = CpuSet::new();
        here.set(sched_getcpu().ok()?).ok()?;
        if !self.is_ours(asking) || bound.ours == here || sched_setaffinity(MYSELF, &here).is_err() {
            return None;
        }
        if sched_setaffinity(asking, &here).is_err() {
            let _ = sched_setaffinity(MYSELF, &bound.ours);
            return None;
        }
        Some(bound)
    }

    fn part(&mut self, bound: Bound) {
        let _ = sched_setaffinity(MYSELF, &bound.ours);
        if self.is_ours(bound.asking) {
            let _ = sched_setaffinity(bound.asking, &bound.its);
        }
        self.state = apart();
    }

    fn is_ours(&self, pid: Pid) -> bool {
        getpgid(Some(pid)) == Ok(self.group)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.silence();
    }
}

fn apart() -> State {
    State::Apart { asked: 0, by: MYSELF, since: Instant::now() }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, Command};

    use super::*;

    fn processors(pid: Pid) -> usize {
        let set = sched_getaffinity(pid).unwrap();
        (0..CpuSet::count()).filter(|number| set.is_set(*number) == Ok(true)).count()
    }

    fn sleeper() -> (Child, Pid) {
        let child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let pid = Pid::from_raw(child.id().cast_signed());
        (child, pid)
    }

    #[test]
    fn one_that_asks_a_lot_is_bound_until_it_is_silent_and_a_stranger_never() {
        let all = processors(MYSELF);
        if all == 1 {
            let _ = writeln!(std::io::stderr(), "skipped: processes on one processor: there is no other");
            return;
        }
        let ((mut child, pid), (mut other, stranger)) = (sleeper(), sleeper());
        let mut beside = Beside::new(pid);
        for _ in 1..MANY {
            beside.asked(pid);
        }
        assert_eq!((processors(pid), processors(MYSELF)), (all, all));
        beside.asked(pid);
        assert_eq!((processors(pid), processors(MYSELF)), (1, 1));
        beside.silence();
        assert_eq!((processors(pid), processors(MYSELF)), (all, all));

        for _ in 0..MANY {
            beside.asked(pid);
        }
        assert_eq!((processors(pid), processors(MYSELF)), (1, 1));
        std::thread::sleep(AT_MOST);
        beside.asked(pid);
        assert_eq!((processors(pid), processors(MYSELF)), (all, all), "not for good");
        for _ in 0..MANY {
            beside.asked(pid);
        }
        drop(beside);
        assert_eq!((processors(pid), processors(MYSELF)), (all, all), "nor for what comes after");

        let mut beside = Beside::new(pid);
        for _ in 0..2 * MANY {
            beside.asked(stranger);
        }
        assert_eq!((processors(stranger), processors(MYSELF)), (all, all));
        for child in [&mut child, &mut other] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
