//! The events of a span of time, without reading what is older: the end of the ledger that is
//! written to, and of the old ones those that reach into the span.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, OwnedFd};

use chrono::{DateTime, TimeDelta, Utc};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::log::Place;
use super::{LEDGER, Ledgers, OLD, each_line, listed, open_file, unpacked};
use crate::act::store::disk::found;
use crate::terms::Event;
use crate::terms::limits::{FIRST_LOOK_BACK, LONGEST_CONNECTION, MAX_LEDGER_TAIL, MAX_RECENT_LEDGERS};

impl Ledgers<'_> {
    /// Hands out what was recorded since then, the oldest ledger first; an event may come twice. A
    /// line stands where its connection ended, so some come that began earlier. What cannot be read
    /// is left out. Root reads what an account may have put there, so there is a bound on all of it.
    pub fn since(&self, since: DateTime<Utc>, take: impl FnMut(Event)) {
        // The others are read all the same.
        drop(each_since(self.directory, since, MAX_LEDGER_TAIL, take));
    }
}

impl Place {
    /// The same, of each ledger no more than so many bytes of events. Returns whether that was all
    /// there is.
    ///
    /// # Errors
    /// When a ledger cannot be read; what could be was handed out.
    pub fn since(&self, since: DateTime<Utc>, most: u64, take: impl FnMut(Event)) -> io::Result<bool> {
        each_since(self.directory(), since, most, take)
    }
}

/// What a line says at once.
#[derive(serde::Deserialize)]
struct Dated {
    at: DateTime<Utc>,
}

fn each_since(directory: &OwnedFd, since: DateTime<Utc>, most: u64, mut take: impl FnMut(Event)) -> io::Result<bool> {
    let (mut is_whole, mut done) = (true, Ok(()));
    let old = found(openat(directory, OLD, DIRECTORY, Mode::empty()).map_err(io::Error::from)).ok().flatten();
    if let Some(old) = old {
        let mut all = listed(&old).unwrap_or_default();
        all.retain(|ledger| ledger.until >= since);
        // One is plain until the packed one stands beside it.
        all.dedup_by_key(|ledger| ledger.until);
        let begin = all.len().saturating_sub(MAX_RECENT_LEDGERS);
        is_whole &= begin == 0;
        for ledger in all.split_off(begin) {
            let Ok(Some(file)) = open_file(old.as_fd(), &ledger.name()) else { continue };
            // From its beginning, since it may be packed: what is too old there counts for nothing.
            let read = if ledger.is_packed {
                later(unpacked(file, MAX_LEDGER_TAIL), since, most, &mut take)
            } else {
                later(file.take(MAX_LEDGER_TAIL), since, most, &mut take)
            };
            match read {
                Ok(was_all) => is_whole &= was_all,
                Err(error) => done = Err(error),
            }
        }
    }
    if let Some(mut file) = open_file(directory.as_fd(), LEDGER)? {
        let (begin, was_all) = begin(&mut file, since, most)?;
        is_whole &= was_all;
        file.seek(SeekFrom::Start(begin))?;
        later(file.take(most), since, most, &mut take)?;
    }
    done.map(|()| is_whole)
}

/// The events that are not older than that, up to so many bytes of them: whoever takes them may
/// remember something of each. Returns whether all was read.
fn later<F: io::Read>(mut from: io::Take<F>, since: DateTime<Utc>, most: u64, take: &mut dyn FnMut(Event)) -> io::Result<bool> {
    let early = since - TimeDelta::from_std(LONGEST_CONNECTION).unwrap_or_default();
    let (mut taken, mut is_whole) = (0, true);
    each_line(&mut from, |line| {
        // Most of an event is worth no look where it is too old.
        if serde_json::from_slice::<Dated>(line).is_ok_and(|dated| dated.at >= early) {
            taken += line.len() as u64;
            is_whole = taken <= most;
            if is_whole && let Ok(event) = serde_json::from_slice(line) {
                take(event);
            }
        }
        is_whole
    })?;
    Ok(is_whole && from.limit() > 0)
}

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// A place in the ledger before everything that was recorded since then, and whether it is: it is
/// within so many bytes of the end.
fn begin(file: &mut File, since: DateTime<Utc>, most: u64) -> io::Result<(u64, bool)> {
    let early = since - TimeDelta::from_std(LONGEST_CONNECTION).unwrap_or_default();
    let length = file.metadata()?.len();
    let least = length.saturating_sub(most);
    let mut back = FIRST_LOOK_BACK;
    loop {
        let place = length.saturating_sub(back);
        if place <= least {
            return Ok((least, least == 0));
        }
        file.seek(SeekFrom::Start(place))?;
        let mut first = None;
        each_line(file.by_ref().take(back), |line| {
            first = serde_json::from_slice::<Dated>(line).ok().map(|dated| dated.at);
            first.is_none()
        })?;
        if first.is_some_and(|at| at < early) {
            return Ok((place, true));
        }
        back = back.saturating_mul(4);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::decide::speak::message::samples;

    #[test]
    fn of_a_long_ledger_only_the_end_that_matters_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let sample = samples::published();
        let mut file = File::create(directory.path().join(LEDGER)).unwrap();
        for hour in 0..2000 {
            let mut event = sample.clone();
            (event.id, event.at) = (format!("{hour}"), sample.at + TimeDelta::hours(hour));
            serde_json::to_writer(&mut file, &event).unwrap();
            file.write_all(b"\n").unwrap();
        }
        let opened = nix::fcntl::open(directory.path(), DIRECTORY, Mode::empty()).unwrap();
        let ledgers = Ledgers::within(&opened, nix::unistd::geteuid().as_raw()).unwrap();
        for hours in [0, 1, 24, 24 * 30, 1999] {
            let since = sample.at + TimeDelta::hours(1999 - hours);
            let mut found = Vec::new();
            ledgers.since(since, |event| found.push(event.at));
            let all = i64::try_from(found.len()).unwrap();
            let recent = i64::try_from(found.iter().filter(|at| **at >= since).count()).unwrap();
            assert_eq!(recent, hours + 1);
            // It goes back in growing steps, to before the longest connection.
            assert!(all <= 4 * (hours + 60), "{all} of {hours}");
        }
    }

    /// An account packs what is long in little room.
    #[test]
    fn of_an_old_ledger_no_more_is_handed_out_than_was_asked_for_and_what_is_too_old_does_not_count() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join(OLD)).unwrap();
        let sample = samples::published();
        let until = sample.at + TimeDelta::hours(2000);
        let line = |number: i64, at| {
            let event = Event { id: format!("{number}-{}", "x".repeat(1000)), at, ..sample.clone() };
            serde_json::to_string(&event).unwrap() + "\n"
        };
        let old: String = (0..500).map(|number| line(number, sample.at)).collect();
        let new: String = (500..1000).map(|number| line(number, until)).collect();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all((old + &new).as_bytes()).unwrap();
        std::fs::write(
            directory.path().join(OLD).join(format!("{}.jsonl.gz", until.format(super::super::STAMP))),
            packed.finish().unwrap(),
        )
        .unwrap();
        let opened = nix::fcntl::open(directory.path(), DIRECTORY, Mode::empty()).unwrap();
        let handed = |most: u64| {
            let (mut count, since) = (0, until - TimeDelta::hours(1));
            (each_since(&opened, since, most, |_| count += 1).unwrap(), count)
        };
        assert_eq!(handed(new.len() as u64), (true, 500), "what comes before the span is as long");
        assert_eq!(handed(new.len() as u64 / 10), (false, 50));
        // And beside the plain one that it was made of.
        std::fs::write(directory.path().join(OLD).join(format!("{}.jsonl", until.format(super::super::STAMP))), &new).unwrap();
        assert_eq!(handed(new.len() as u64), (true, 500));
    }
}
