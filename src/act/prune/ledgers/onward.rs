//! What was recorded since somebody read a ledger last, each line once: for sums that are kept.
//!
//! Ledgers are set aside, packed and forgotten meanwhile, by a clock that may be wrong. So the place is
//! looked for by what stands before it. In the ledger that is written to it is found at once.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use chrono::{DateTime, Utc};

use super::log::{Place, repeated};
use super::{Old, unpacked};
use crate::terms::cursor::last;
use crate::terms::limits::{LEDGER_REPEATED, MAX_EVENT, MAX_OLD_LEDGER, MAX_RECENT_LEDGERS, MAX_SUMMED};
use crate::terms::{Cursor, Event};

/// How often one looks again where a ledger is set aside at that moment.
const TRIES: usize = 5;

/// A ledger in which something is looked for: the one that is written to, or an old one.
enum In<'a> {
    Ledger(&'a File),
    Old(&'a Old),
}

/// Reading on.
struct Onward<'a> {
    place: &'a Place,
    cursor: Cursor,
    now: DateTime<Utc>,
    take: &'a mut dyn FnMut(Event),
}

impl Place {
    /// The end of the ledger as it stands.
    pub fn end(&self) -> io::Result<Cursor> {
        let Some(ledger) = self.ledger()? else { return Ok(Cursor::default()) };
        let length = ledger.metadata()?.len();
        let begin = length.saturating_sub(MAX_EVENT);
        let mut bytes = In::Ledger(&ledger).read(self, begin, MAX_EVENT)?;
        bytes.truncate(whole(&bytes));
        Ok(Cursor { at: begin, ..Cursor::default() }.behind(&bytes, None))
    }

    /// Whether it is a place in this ledger, and not at its beginning.
    pub fn has(&self, cursor: &Cursor) -> bool {
        let found = self.ledger().and_then(|ledger| ledger.map(|ledger| In::Ledger(&ledger).has(self, cursor)).transpose());
        cursor.at > 0 && found.is_ok_and(|found| found == Some(true))
    }

    /// Hands out the events behind that place, and says how far they went. Where more was written than
    /// is read at once, the rest comes the next time.
    ///
    /// # Errors
    /// When a ledger cannot be read. Then what was handed out counts for nothing.
    pub fn onward(&self, cursor: &Cursor, now: DateTime<Utc>, take: &mut dyn FnMut(Event)) -> io::Result<Cursor> {
        let Some(mut ledger) = self.ledger()? else { return Ok(cursor.clone()) };
        let mut tries = 0;
        let old = loop {
            if In::Ledger(&ledger).has(self, cursor)? {
                let mut onward = Onward { place: self, cursor: cursor.clone(), now, take };
                onward.go_on(&In::Ledger(&ledger))?;
                return Ok(onward.cursor);
            }
            let old = self.old()?;
            // If it was set aside just now, it is among the old ones, and would be read twice.
            let again = self.ledger()?;
            let is_same = again.as_ref().map(|again| is_same(again, &ledger)).transpose()? == Some(true);
            if is_same {
                break old;
            }
            tries += 1;
            let Some(again) = again.filter(|_| tries < TRIES) else {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, "the ledger changes all the time"));
            };
            ledger = again;
        };
        let mut onward = Onward { place: self, cursor: cursor.clone(), now, take };
        onward.through(old, &ledger)?;
        Ok(onward.cursor)
    }
}

impl Onward<'_> {
    /// Through the old ledger in which the place is, those that came after it, and the new one.
    fn through(&mut self, mut old: Vec<Old>, ledger: &File) -> io::Result<()> {
        // One is plain until the packed one stands beside it.
        old.dedup_by_key(|old| old.until);
        let Some(index) = self.standing_in(&old)? else { return self.anew(ledger) };
        let mut later = old.split_off(index);
        let here = later.remove(0);
        if !self.go_on(&In::Old(&here))? {
            return Ok(());
        }
        let mut known = self.known(&here)?;
        // With a clock that was set back one that came later stands before it.
        later.extend(old.into_iter().rev().take(MAX_RECENT_LEDGERS).filter(|one| self.follows(one).is_ok_and(|follows| follows)));
        for one in &later {
            if !self.begin(&In::Old(one), &known)? {
                return Ok(());
            }
            known.extend(self.known(one)?);
        }
        self.begin(&In::Ledger(ledger), &known).map(drop)
    }

    /// In which of the old ones the place is.
    fn standing_in(&self, old: &[Old]) -> io::Result<Option<usize>> {
        for (index, one) in old.iter().enumerate().rev().take(MAX_RECENT_LEDGERS) {
            if In::Old(one).has(self.place, &self.cursor)? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// Whether a ledger begins with the line that was read last.
    fn follows(&self, one: &Old) -> io::Result<bool> {
        let bytes = In::Old(one).read(self.place, 0, LEDGER_REPEATED)?;
        Ok(bytes.split_inclusive(|byte| *byte == b'\n').any(|line| self.cursor.is_behind(line)))
    }

    /// The ids of the last lines that were read of an old one: the next one begins with them.
    fn known(&self, old: &Old) -> io::Result<HashSet<String>> {
        let begin = self.cursor.at.saturating_sub(LEDGER_REPEATED);
        let bytes = In::Old(old).read(self.place, begin, self.cursor.at - begin)?;
        Ok(bytes.split(|byte| *byte == b'\n').filter_map(Place::id).collect())
    }

    /// Reads on where the place is. Says whether that was all.
    fn go_on(&mut self, from: &In<'_>) -> io::Result<bool> {
        let bytes = from.read(self.place, self.cursor.at, MAX_SUMMED)?;
        Ok(self.count(&bytes, 0, &|_| true))
    }

    /// Reads another one from its beginning, without what it shares with those before.
    fn begin(&mut self, from: &In<'_>, known: &HashSet<String>) -> io::Result<bool> {
        let bytes = from.read(self.place, 0, MAX_SUMMED)?;
        let lines = || bytes.split_inclusive(|byte| *byte == b'\n');
        let skipped = lines().take(repeated(lines(), |id| known.contains(id))).map(<[u8]>::len).sum();
        self.cursor.at = 0;
        Ok(self.count(&bytes, skipped, &|event| !known.contains(&event.id)))
    }

    /// The place is nowhere: the ledger is lost, and this is another one, or a copy from earlier days.
    fn anew(&mut self, ledger: &File) -> io::Result<()> {
        let bytes = In::Ledger(ledger).read(self.place, 0, MAX_SUMMED)?;
        self.cursor.at = 0;
        let newest = self.cursor.newest;
        self.count(&bytes, 0, &|event| newest.is_none_or(|newest| event.at > newest));
        Ok(())
    }

    /// Counts the lines of what was read, but for so many bytes, and moves behind them. Says whether
    /// there is nothing more.
    fn count(&mut self, bytes: &[u8], skipped: usize, is_new: &dyn Fn(&Event) -> bool) -> bool {
        let is_all = (bytes.len() as u64) < MAX_SUMMED;
        // A line without end is none.
        let whole = if is_all { whole(bytes) } else { Some(whole(bytes)).filter(|whole| *whole > 0).unwrap_or(bytes.len()) };
        let mut newest = None;
        for line in bytes.get(skipped..whole).unwrap_or_default().split(|byte| *byte == b'\n') {
            if line.len() as u64 <= MAX_EVENT
                && let Ok(event) = serde_json::from_slice::<Event>(line)
                && is_new(&event)
            {
                newest = newest.max(Some(event.at.min(self.now)));
                (self.take)(event);
            }
        }
        self.cursor = self.cursor.behind(bytes.get(..whole).unwrap_or_default(), newest);
        is_all
    }
}

impl In<'_> {
    /// Up to so many bytes from there on.
    fn read(&self, place: &Place, begin: u64, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Self::Ledger(file) => plain(file, begin, most, &mut bytes)?,
            Self::Old(old) => {
                let packed = Old { is_packed: true, ..(*old).clone() };
                // It may have been packed since it was listed.
                let opened = match place.open_old(old)? {
                    None if !old.is_packed => place.open_old(&packed)?.map(|file| (file, true)),
                    opened => opened.map(|file| (file, old.is_packed)),
                };
                match opened {
                    Some((file, true)) => {
                        let mut from = unpacked(file, MAX_OLD_LEDGER);
                        io::copy(&mut from.by_ref().take(begin), &mut io::sink())?;
                        from.take(most).read_to_end(&mut bytes)?;
                    }
                    Some((file, false)) => plain(&file, begin, most, &mut bytes)?,
                    None => {}
                }
            }
        }
        Ok(bytes)
    }

    /// Whether the place is in it.
    fn has(&self, place: &Place, cursor: &Cursor) -> io::Result<bool> {
        if cursor.line > cursor.at.min(MAX_SUMMED) {
            return Ok(false);
        }
        let line = self.read(place, cursor.at - cursor.line, cursor.line)?;
        Ok(cursor.is_behind(&line))
    }
}

fn plain(file: &File, begin: u64, most: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    let length = file.metadata()?.len().saturating_sub(begin).min(most);
    bytes.resize(usize::try_from(length).unwrap_or_default(), 0);
    let mut read = 0;
    while let Some(room) = bytes.get_mut(read..).filter(|room| !room.is_empty()) {
        match file.read_at(room, begin + read as u64)? {
            0 => break,
            count => read += count,
        }
    }
    bytes.truncate(read);
    Ok(())
}

/// The bytes up to the end of the last line that has one.
fn whole(bytes: &[u8]) -> usize {
    if bytes.ends_with(b"\n") { bytes.len() } else { bytes.len() - last(bytes).len() }
}

fn is_same(one: &File, other: &File) -> io::Result<bool> {
    let place = |file: &File| file.metadata().map(|found| (found.dev(), found.ino()));
    Ok(place(one)? == place(other)?)
}

#[cfg(test)]
mod tests;
