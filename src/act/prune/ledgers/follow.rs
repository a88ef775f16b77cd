//! A ledger as it grows. It changes places with a new one when it is set aside; then the old one is
//! read to its end, and for a while longer, since a gate that opened it may still write there. The
//! new one begins with lines of the old one, which are not told twice.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::Old;
use super::log::{Piece, Place, repeated};
use crate::terms::limits::{LEDGER_REPEATED, MAX_EVENT, MAX_FOLLOWED};

/// For how long a ledger that was set aside is read on: longer than a gate waits for its turn.
const LINGER: Duration = Duration::from_secs(5);

/// Ids that are remembered, of the last lines: as many as the next ledger begins with.
const REMEMBERED: usize = (LEDGER_REPEATED / 128) as usize;

/// A ledger that is followed.
#[derive(Debug)]
pub struct Follower {
    place: Place,
    tail: Option<Tail>,
    /// One that was set aside, and until when it is read.
    before: Option<(Tail, Instant)>,
    /// The ids of the last lines.
    recent: VecDeque<String>,
    /// The last one that was set aside before the one that is read now.
    aside: Option<DateTime<Utc>>,
}

/// A file that grows.
#[derive(Debug)]
struct Tail {
    file: File,
    at: u64,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
    /// Whether that is too long for an event, and is passed over.
    is_passing: bool,
}

impl Follower {
    /// From here on. What stands in the ledger now was told.
    pub fn from_now(place: Place) -> io::Result<Self> {
        let tail = place.ledger()?.map(Tail::of);
        let aside = place.old()?.last().map(|old| old.until);
        let mut this = Self { place, tail, before: None, recent: VecDeque::new(), aside };
        if let Some(tail) = &mut this.tail {
            let length = tail.file.metadata()?.len();
            tail.at = length.saturating_sub(LEDGER_REPEATED);
            let recent = &mut this.recent;
            // The end of a line that is being written comes with the next look.
            tail.read(length, &mut |line| remember(recent, line))?;
        }
        Ok(this)
    }

    /// What stood there when it began, the oldest ledger first.
    pub fn pieces(&self) -> io::Result<Vec<Piece>> {
        let tail = self.tail.as_ref();
        let file = tail.map(|tail| tail.file.try_clone()).transpose()?;
        self.place.pieces_before(file, tail.map_or(0, |tail| tail.at))
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// From its beginning: it was not there before.
    pub fn from_the_start(place: Place) -> Self {
        Self { place, tail: None, before: None, recent: VecDeque::new(), aside: None }
    }

    /// Hands out the lines that have come since the last time.
    pub fn more(&mut self, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        // The one that stands there is opened first: what is written before it was set aside is in
        // one that is read below.
        let ledger = self.place.ledger()?;
        let Self { tail, before, recent, .. } = self;
        let mut told = |line: &[u8]| {
            remember(recent, line);
            take(line);
        };
        if let Some((tail, until)) = before {
            tail.more(&mut told)?;
            if Instant::now() > *until {
                *before = None;
            }
        }
        if let Some(tail) = tail {
            tail.more(&mut told)?;
        }
        let Some(ledger) = ledger else { return Ok(()) };
        let is_same = tail.as_ref().map(|tail| is_same(&tail.file, &ledger)).transpose()?.unwrap_or(false);
        if is_same { Ok(()) } else { self.turn(ledger, take) }
    }

    /// Another one has come to stand there.
    fn turn(&mut self, ledger: File, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut old: Vec<Old> = self.place.old()?.into_iter().filter(|old| self.aside.is_none_or(|aside| old.until > aside)).collect();
        // One is plain until the packed one stands beside it.
        old.dedup_by_key(|old| old.until);
        let was = self.tail.take();
        // Of several the first is the one that was read. Who had stopped for long missed the others.
        let between: Vec<Old> = old.iter().skip(usize::from(was.is_some())).cloned().collect();
        self.aside = old.last().map(|old| old.until).or(self.aside);
        self.before = was.map(|tail| (tail, Instant::now() + LINGER));
        for old in between {
            if let Some(mut lines) = self.place.lines_of(&old)? {
                let mut line = Vec::new();
                self.begin(&mut |tell| Ok(lines.next(&mut line)?.then(|| tell(&line))), take)?;
            }
        }
        let mut tail = Tail::of(ledger);
        let mut read = Vec::new();
        tail.more(&mut |line| read.push(line.to_vec()))?;
        let mut read = read.iter();
        self.begin(&mut |tell| Ok(read.next().map(|line| tell(line))), take)?;
        self.tail = Some(tail);
        Ok(())
    }

    /// Tells the lines of one from its beginning, without those that it shares with what was told before.
    fn begin(&mut self, next: &mut Next<'_>, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let (mut lines, mut read): (Vec<Vec<u8>>, u64) = (Vec::new(), 0);
        while read < LEDGER_REPEATED && next(&mut |line| lines.push(line.to_vec()))?.is_some() {
            read += lines.last().map_or(0, |line| line.len() as u64 + 1);
        }
        let shared = repeated(lines.iter().map(Vec::as_slice), |id| self.recent.iter().any(|known| known == id));
        lines.drain(..shared);
        // One that was recorded twice.
        lines.retain(|line| Place::id(line).is_none_or(|id| !self.recent.contains(&id)));
        let recent = &mut self.recent;
        let mut told = |line: &[u8]| {
            remember(recent, line);
            take(line);
        };
        lines.iter().for_each(|line| told(line));
        while next(&mut told)?.is_some() {}
        Ok(())
    }
}

/// Hands out the next line; `None` where there is none.
type Next<'a> = dyn FnMut(&mut dyn FnMut(&[u8])) -> io::Result<Option<()>> + 'a;

impl Tail {
    fn of(file: File) -> Self {
        Self { file, at: 0, begun: Vec::new(), is_passing: false }
    }

    /// The lines that it has more. Of one that grows without end some come the next time, so that
    /// the others have their turn.
    fn more(&mut self, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length < self.at {
            // Somebody has cut it: nothing that was read stands there any more.
            (self.at, self.is_passing) = (0, false);
            self.begun.clear();
        }
        self.read(length.min(self.at.saturating_add(MAX_FOLLOWED)), take)
    }

    /// The lines up to there.
    fn read(&mut self, until: u64, take: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut room = vec![0; 64 * 1024];
        while self.at < until {
            let most = usize::try_from(until - self.at).map_or(room.len(), |left| left.min(room.len()));
            let read = self.file.read_at(room.get_mut(..most).unwrap_or_default(), self.at)?;
            if read == 0 {
                break;
            }
            self.at += read as u64;
            for part in room.get(..read).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
                self.add(part, take);
            }
        }
        Ok(())
    }

    fn add(&mut self, part: &[u8], take: &mut dyn FnMut(&[u8])) {
        let end = part.strip_suffix(b"\n");
        if !self.is_passing {
            self.begun.extend_from_slice(end.unwrap_or(part));
            self.is_passing = self.begun.len() as u64 > MAX_EVENT;
        }
        if end.is_some() {
            if !self.is_passing {
                take(&self.begun);
            }
            self.is_passing = false;
        }
        if end.is_some() || self.is_passing {
            self.begun = Vec::new();
        }
    }
}

fn remember(recent: &mut VecDeque<String>, line: &[u8]) {
    if let Some(id) = Place::id(line) {
        if recent.len() >= REMEMBERED {
            recent.pop_front();
        }
        recent.push_back(id);
    }
}

fn is_same(one: &File, other: &File) -> io::Result<bool> {
    let place = |file: &File| file.metadata().map(|found| (found.dev(), found.ino()));
    Ok(place(one)? == place(other)?)
}
