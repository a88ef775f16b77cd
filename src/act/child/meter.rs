//! Measures what a push stores while it runs. [`Metering`] decides when to count; here the clock
//! and the kernel's counters are read.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::decide::push::metering::{self, Metering};
use crate::terms::limits::{MAX_FAMILY, MAX_MAPS, SENT_LOOK};
use crate::terms::{Count, Excess, Usage};

/// A push that is counted while it runs.
pub struct Meter<'a> {
    metering: Option<Metering>,
    count: Option<&'a mut dyn FnMut() -> Count>,
    /// What pushes may still take of the disk, where they have to leave something free. Others take
    /// of it, too.
    room: Option<&'a dyn Fn() -> Usage>,
    /// Takes what a sender has written, and whether that was all.
    spend: Option<&'a mut dyn FnMut(Option<u64>, bool) -> Option<Excess>>,
    /// The most that was seen; a process that ends takes its figure with it.
    written: Option<u64>,
    /// The kernel's counters of a sender, open since it began: those of a process that has ended can
    /// be read still, but only root can open them (measured on Linux 6.18).
    counters: Option<File>,
}

impl<'a> Meter<'a> {
    /// One that asks `count` for what stands in the tree, and `room` for what the disk has. `None`
    /// where there is nothing to measure.
    pub fn new(metering: Option<Metering>, count: &'a mut dyn FnMut() -> Count, room: Option<&'a dyn Fn() -> Usage>) -> Option<Self> {
        (metering.is_some() || room.is_some()).then_some(Self {
            metering,
            count: Some(count),
            room,
            spend: None,
            written: None,
            counters: None,
        })
    }

    /// One of what a sender sends. It is told once more when that has ended.
    pub fn of_what_is_sent(spend: &'a mut dyn FnMut(Option<u64>, bool) -> Option<Excess>) -> Self {
        Self { metering: None, count: None, room: None, spend: Some(spend), written: None, counters: None }
    }

    /// Prepares for the end of a process that has begun.
    pub(super) fn begin(&mut self, pid: Pid) {
        self.counters = self.spend.as_ref().and_then(|_| File::open(counters(pid)).ok());
    }

    /// Looks a last time at a process that has ended and is still there.
    pub(super) fn last(&mut self, pid: Pid) {
        let mut text = String::new();
        let kept = self.counters.take().and_then(|mut file| file.read_to_string(&mut text).ok());
        self.written = self.written.max(written(pid)).max(kept.and_then(|_| written_by(&text)));
        let written = self.written;
        let _ = self.spend.as_mut().map(|spend| spend(written, true));
    }

    /// The time until the next look.
    pub(super) fn pause(&self, now: Duration) -> Duration {
        let counted = self.metering.as_ref().map(|metering| metering.pause(now, self.written));
        let disk = self.room.map(|room| metering::until_full(room()));
        let sent = self.spend.as_ref().map(|_| SENT_LOOK);
        counted.into_iter().chain(disk).chain(sent).min().unwrap_or_default()
    }

    /// Looks, and counts where that is due.
    pub(super) fn look(&mut self, pid: Pid, begun: Instant) -> Option<Excess> {
        if let Some(excess) = self.room.and_then(|room| metering::full(room())) {
            return Some(excess);
        }
        if let Some(spend) = &mut self.spend {
            self.written = self.written.max(written(pid));
            return spend(self.written, false);
        }
        let metering = self.metering.as_ref()?;
        self.written = self.written.max(written(pid));
        if !metering.is_due(begun.elapsed(), self.written) {
            return None;
        }
        // A file that is renamed meanwhile may be counted twice (readdir(3)): no push is stopped
        // for that.
        self.count(pid, begun).and_then(|_| self.count(pid, begun))
    }

    fn count(&mut self, pid: Pid, begun: Instant) -> Option<Excess> {
        let started = Instant::now();
        let Count { usage, blind } = self.count.as_mut().map(|count| count()).unwrap_or_default().and(unnamed(pid));
        self.metering.as_mut()?.counted(begun.elapsed(), started.elapsed(), self.written, usage, blind)
    }
}

/// Bytes that a process and its descendants have written so far, to anything (proc(5),
/// `/proc/pid/io`, `wchar`).
fn written(pid: Pid) -> Option<u64> {
    let of = |pid: &Pid| written_by(&fs::read_to_string(counters(*pid)).ok()?);
    let (first, others) = (of(&pid)?, family(pid));
    Some(others.iter().skip(1).filter_map(of).fold(first, u64::saturating_add))
}

fn written_by(counters: &str) -> Option<u64> {
    counters.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok())
}

fn counters(pid: Pid) -> String {
    format!("/proc/{pid}/io")
}

/// A process and its descendants, by the kernel's word (proc(5), `/proc/pid/task/tid/children`).
fn family(pid: Pid) -> Vec<Pid> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(parent) = all.get(next).filter(|_| all.len() < MAX_FAMILY).copied() {
        let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        all.extend(children.split_whitespace().filter_map(|child| child.parse().ok()).map(Pid::from_raw));
        next += 1;
    }
    all
}

/// Open files without a name, which take room and which no walk finds, once for each process that
/// holds them. If one is only mapped, everything that was written counts. The gate's own standard
/// streams are not the push's, even if they lead to such a file.
fn unnamed(pid: Pid) -> Count {
    let mut found = Count::default();
    let number = |file: &fs::Metadata| (file.dev(), file.ino());
    let own: Vec<_> = (0..3).filter_map(|fd| fs::metadata(format!("/proc/self/fd/{fd}")).ok()).map(|file| number(&file)).collect();
    for pid in family(pid) {
        let held = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let held = held.filter_map(|entry| fs::metadata(entry.path()).ok()).filter(|file| !own.contains(&number(file)));
        for file in held.filter(|file| (file.is_file() || file.is_dir()) && file.nlink() == 0) {
            found.usage = found.usage.and(Usage { bytes: file.blocks().saturating_mul(512), inodes: 1 });
        }
        let maps = File::open(format!("/proc/{pid}/maps")).map(|maps| BufReader::new(maps.take(MAX_MAPS)).split(b'\n').flatten());
        found.blind |= maps.is_ok_and(|mut maps| maps.any(|line| line.ends_with(b" (deleted)") && line.contains(&b'/')));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::policy::Limits;
    use crate::decide::push::metering::Allowance;

    #[test]
    fn a_push_is_stopped_for_nothing_that_a_second_count_does_not_find() {
        // One that was started here would have what tests beside this one hold open.
        let nobody = Pid::from_raw(i32::MAX);
        let limits = Limits { inodes: Some(500), ..Limits::default() };
        let look = |counts: &[u64]| {
            let mut left = counts.iter();
            let mut count = || Count { usage: Usage { bytes: 0, inodes: *left.next().unwrap() }, blind: false };
            let metering = Metering::new(Allowance::new(&limits, Usage::default()).unwrap());
            let mut meter = Meter::new(Some(metering), &mut count, None).unwrap();
            let found = meter.look(nobody, Instant::now() - Duration::from_secs(3600)).map(|excess| excess.found);
            assert!(left.next().is_none(), "and nothing is counted for nothing");
            found
        };
        assert_eq!(look(&[500]), None);
        assert_eq!(look(&[501, 500]), None);
        assert_eq!(look(&[501, 502]), Some(502));
    }

    #[test]
    fn what_a_child_has_written_is_known() {
        use std::io::Read as _;
        let script = "i=0; while [ $i -lt 100 ]; do echo 123456789 >/dev/null; i=$((i+1)); done; echo done; read line";
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdout.take().unwrap().read_exact(&mut [0; 5]).unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        assert_eq!(written(pid), Some(1005));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(written(Pid::from_raw(i32::MAX)), None);
    }
}
