//! Whether a child still does anything.
//!
//! rsync's own `--timeout` misses a client that freezes with its line open: the generator's
//! keep-alives count as movement (measured with 3.5.0). And it ends a healthy one that reads a
//! large file for its list. So the gate itself looks at what the processes read, at their processor
//! time, which linking and comparing use, and at whose turn it is where nothing moves
//! ([`must_send`]).

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::decide::push::plan::Run;
use crate::decide::push::silence::must_send;

/// Clock ticks (10 ms) that keep-alives may use between two looks without counting as movement.
const KEEP_ALIVE_TICKS: u64 = 1;

/// The watch over a child and its own children.
#[derive(Debug)]
pub(super) struct Activity {
    pid: Pid,
    idle: Duration,
    used: Option<Used>,
    since: Instant,
}

/// What processes have used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Used {
    /// Bytes that their reads returned (proc(5), `/proc/pid/io`, `rchar`).
    read: u64,
    /// Processor time, in clock ticks (proc(5), `/proc/pid/stat`, `utime` and `stime`).
    ticks: u64,
}

impl Activity {
    pub(super) fn new(pid: Pid, idle: Duration) -> Self {
        Self { pid, idle, used: None, since: Instant::now() }
    }

    /// The time until the next look.
    pub(super) fn pause(&self) -> Duration {
        (self.idle / 4).clamp(Duration::from_secs(1), Duration::from_secs(30))
    }

    /// Whether nothing has moved for too long. Where the kernel does not tell, it counts as moving.
    pub(super) fn is_idle(&mut self) -> bool {
        let used = measure(self.pid);
        let moved = match (used, self.used) {
            (Some(now), Some(before)) => now.read != before.read || now.ticks.abs_diff(before.ticks) > KEEP_ALIVE_TICKS,
            _ => true,
        };
        if moved {
            self.since = Instant::now();
        }
        self.used = used;
        self.since.elapsed() >= self.idle
    }

    /// Whether the run has nothing to do but wait for what the client has to send.
    pub(super) fn waits_for_the_client(&self, run: &Run) -> bool {
        let open: Vec<_> = family(self.pid).iter().map(|pid| open_files(pid)).collect();
        must_send(run.reads_for_list(), &open, run.layout())
    }
}

/// A process and its children, each by its number.
fn family(pid: Pid) -> Vec<String> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    std::iter::once(pid.to_string()).chain(children.split_whitespace().map(str::to_owned)).collect()
}

/// The files that a process has open, by the names that it sees.
fn open_files(pid: &str) -> Vec<PathBuf> {
    let held = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().map(|entry| entry.path());
    held.filter(|fd| fs::metadata(fd).is_ok_and(|file| file.is_file())).filter_map(|fd| fs::read_link(fd).ok()).collect()
}

fn measure(pid: Pid) -> Option<Used> {
    let mut sum = of(&pid.to_string())?;
    // One that ends between the two looks takes its share with it, and a change is a movement.
    for used in family(pid).iter().skip(1).filter_map(|pid| of(pid)) {
        sum.read = sum.read.saturating_add(used.read);
        sum.ticks = sum.ticks.saturating_add(used.ticks);
    }
    Some(sum)
}

fn of(pid: &str) -> Option<Used> {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let read = io.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok())?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name stands in brackets and may hold anything; behind it, `utime` and `stime`
    // are the 12th and 13th.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map_while(|field| field.parse::<u64>().ok());
    Some(Used { read, ticks: times.next()?.saturating_add(times.next()?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn one_that_waits_is_idle_and_one_that_works_is_not() {
        // On a busy machine one that works may get no time of a processor for half a second.
        let limit = Duration::from_secs(1);
        let mut sleeper = Command::new("sleep").arg("60").spawn().unwrap();
        let mut worker = Command::new("sh").args(["-c", "while :; do :; done"]).stdin(Stdio::null()).spawn().unwrap();
        let watch = |pid: u32| Activity::new(Pid::from_raw(i32::try_from(pid).unwrap()), limit);
        let (mut still, mut busy) = (watch(sleeper.id()), watch(worker.id()));
        let mut found = (false, false);
        for _ in 0..8 {
            std::thread::sleep(limit / 4);
            found = (found.0 || still.is_idle(), found.1 || busy.is_idle());
        }
        for child in [&mut sleeper, &mut worker] {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        assert_eq!(found, (true, false));
    }

    #[test]
    fn one_that_is_gone_cannot_be_measured() {
        assert_eq!(measure(Pid::from_raw(i32::MAX)), None);
    }
}
