//! The events of a span of time, without reading what is older: the end of the ledger that is
//! written to, and of the old ones those that reach into the span.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::fd::AsFd as _;

use chrono::{DateTime, TimeDelta, Utc};
use flate2::read::MultiGzDecoder;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::{LEDGER, Ledgers, OLD, each_event, each_line, listed, open_file};
use crate::act::store::disk::found;
use crate::terms::Event;
use crate::terms::limits::{FIRST_LOOK_BACK, LONGEST_CONNECTION, MAX_LEDGER_TAIL, MAX_RECENT_LEDGERS};

impl Ledgers<'_> {
    /// Hands out what was recorded since then, the oldest ledger first; an event may come twice. A
    /// line stands where its connection ended, so some come that began earlier. What cannot be read
    /// is left out. Root reads what an account may have put there, so there is a bound on all of it.
    pub fn since(&self, since: DateTime<Utc>, mut take: impl FnMut(Event)) {
        let old = found(openat(self.directory, OLD, DIRECTORY, Mode::empty()).map_err(io::Error::from)).ok().flatten();
        if let Some(old) = old {
            let mut all = listed(&old).unwrap_or_default();
            all.retain(|ledger| ledger.until >= since);
            let begin = all.len().saturating_sub(MAX_RECENT_LEDGERS);
            for ledger in all.split_off(begin) {
                let Ok(Some(file)) = open_file(old.as_fd(), &ledger.name()) else { continue };
                let read = if ledger.is_packed {
                    each_event(MultiGzDecoder::new(BufReader::new(file)).take(MAX_LEDGER_TAIL), &mut take)
                } else {
                    each_event(file.take(MAX_LEDGER_TAIL), &mut take)
                };
                // The others are read all the same.
                drop(read);
            }
        }
        if let Ok(Some(mut file)) = open_file(self.directory.as_fd(), LEDGER)
            && let Ok(begin) = begin(&mut file, since)
            && file.seek(SeekFrom::Start(begin)).is_ok()
        {
            let _ = each_event(file.take(MAX_LEDGER_TAIL), &mut take);
        }
    }
}

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// A place in the ledger before everything that was recorded since then.
fn begin(file: &mut File, since: DateTime<Utc>) -> io::Result<u64> {
    #[derive(serde::Deserialize)]
    struct Dated {
        at: DateTime<Utc>,
    }
    let early = since - TimeDelta::from_std(LONGEST_CONNECTION).unwrap_or_default();
    let length = file.metadata()?.len();
    let least = length.saturating_sub(MAX_LEDGER_TAIL);
    let mut back = FIRST_LOOK_BACK;
    loop {
        let place = length.saturating_sub(back);
        if place <= least {
            return Ok(least);
        }
        file.seek(SeekFrom::Start(place))?;
        let mut first = None;
        each_line(file.by_ref().take(back), |line| {
            first = serde_json::from_slice::<Dated>(line).ok().map(|dated| dated.at);
            first.is_none()
        })?;
        if first.is_some_and(|at| at < early) {
            return Ok(place);
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
