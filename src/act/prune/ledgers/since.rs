//! The events of a span of time, without reading what is older: the end of the ledger that is
//! written to, and of the old ones those that reach into the span.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, OwnedFd};

use chrono::{DateTime, TimeDelta, Utc};
use flate2::read::MultiGzDecoder;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::log::Place;
use super::{LEDGER, Ledgers, OLD, each_line, listed, open_file};
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
    /// The same, of each ledger no more than so many bytes. Returns whether that was all there is.
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
        let begin = all.len().saturating_sub(MAX_RECENT_LEDGERS);
        is_whole &= begin == 0;
        for ledger in all.split_off(begin) {
            let Ok(Some(file)) = open_file(old.as_fd(), &ledger.name()) else { continue };
            // From its beginning, since it may be packed.
            let read = if ledger.is_packed {
                later(MultiGzDecoder::new(BufReader::new(file)).take(MAX_LEDGER_TAIL), since, &mut take)
            } else {
                later(file.take(MAX_LEDGER_TAIL), since, &mut take)
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
        later(file.take(most), since, &mut take)?;
    }
    done.map(|()| is_whole)
}

/// The events that are not older than that. Returns whether all was read.
fn later<F: io::Read>(mut from: io::Take<F>, since: DateTime<Utc>, take: &mut dyn FnMut(Event)) -> io::Result<bool> {
    let early = since - TimeDelta::from_std(LONGEST_CONNECTION).unwrap_or_default();
    each_line(&mut from, |line| {
        // Most of an event is worth no look where it is too old.
        let is_late = serde_json::from_slice::<Dated>(line).is_ok_and(|dated| dated.at >= early);
        if is_late && let Ok(event) = serde_json::from_slice(line) {
            take(event);
        }
        true
    })?;
    Ok(from.limit() > 0)
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
}
