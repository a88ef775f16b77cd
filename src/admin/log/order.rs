//! Events of many ledgers in order of time.
//!
//! A line is written when a connection ends, and an event's time is when it began: each ledger is
//! nearly in order. The one that comes next of all ledgers is taken, and held for as long as there is
//! room, so that one that took long comes before what came and went meanwhile.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use chrono::{DateTime, Utc};

use super::places::{Source, Whose};
use super::{Show, Style};
use crate::act::prune::{Lines, Piece, Place};
use crate::decide::speak::log::Wanted;
use crate::terms::limits::{MAX_LOGGED, MAX_OLD_LEDGER, MAX_SORTED};
use crate::terms::text::counted;
use crate::terms::{Bytes, ClientName, Event};

/// What is wanted, and how it is shown.
pub(super) struct Reading<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) style: &'a Style,
    /// Of whom alone.
    pub(super) only: Option<&'a ClientName>,
}

/// Bytes that are shown at once.
const PIECE: usize = 32 * 1024;

/// Where an event comes: by its time, its place, and its line.
type Rank = (DateTime<Utc>, usize, u64);

impl Reading<'_> {
    /// A line of that place's as it is shown, with its time; `None` where it is not wanted.
    /// An error says that it is no event.
    pub(super) fn shown(&self, whose: &Whose, line: &[u8]) -> Result<Option<(DateTime<Utc>, String)>, ()> {
        let event: Event = serde_json::from_slice(line).map_err(|_| ())?;
        let event = whose.own(event);
        let is_wanted = self.wanted.has(&event) && self.only.is_none_or(|only| event.client.as_ref() == Some(only));
        Ok(is_wanted.then(|| (event.at, self.style.text(&event, &event.who()))))
    }

    /// Whether a ledger may have something of it.
    fn may_be_in(&self, piece: &Piece) -> bool {
        self.wanted.since.is_none_or(|since| piece.until.is_none_or(|until| until >= since))
    }
}

/// A place that is read from its oldest ledger to its newest.
struct Stream<'a> {
    source: &'a Source,
    pieces: VecDeque<Piece>,
    lines: Option<Lines>,
    /// What stands in the next ledger as well, and is shown there.
    repeated: BTreeSet<String>,
    strange: u64,
}

impl Stream<'_> {
    /// The next event that is wanted.
    fn next(&mut self, reading: &Reading<'_>, line: &mut Vec<u8>, problems: &mut Vec<String>) -> Option<(DateTime<Utc>, String)> {
        loop {
            if self.lines.is_none() {
                self.open(problems)?;
            }
            let Some(lines) = &mut self.lines else { continue };
            match lines.next(line) {
                Ok(true) => {}
                Ok(false) => {
                    self.lines = None;
                    continue;
                }
                Err(error) => {
                    problems.push(self.source.problem(&error));
                    self.lines = None;
                    continue;
                }
            }
            if is_repeated(line, &self.repeated) {
                continue;
            }
            match reading.shown(&self.source.whose, line) {
                Ok(Some(shown)) => return Some(shown),
                Ok(None) => {}
                Err(()) => self.strange += u64::from(!line.is_empty()),
            }
        }
    }

    /// Opens the next ledger; `None` where there is none.
    fn open(&mut self, problems: &mut Vec<String>) -> Option<()> {
        let (piece, place) = (self.pieces.pop_front()?, self.source.place()?);
        self.repeated = self.pieces.front().map(|next| place.begins_with(next)).unwrap_or_default();
        match place.lines(&piece) {
            Ok(lines) => self.lines = lines.inspect(|lines| problems.extend(cut(self.source, &piece, lines))),
            Err(error) => problems.push(self.source.problem(&error)),
        }
        Some(())
    }
}

/// Whether a line stands in the next ledger, too.
fn is_repeated(line: &[u8], repeated: &BTreeSet<String>) -> bool {
    !repeated.is_empty() && Place::id(line).is_some_and(|id| repeated.contains(&id))
}

/// Says of a ledger that is too long to be read whole.
fn cut(source: &Source, piece: &Piece, lines: &Lines) -> Option<String> {
    let which = match piece.until {
        None => format!("the last {} of its ledger", Bytes(MAX_LOGGED)),
        Some(_) => format!("the first {} of an old ledger", Bytes(MAX_OLD_LEDGER)),
    };
    lines.is_cut.then(|| format!("{}: only {which} were read", source.whose.name()))
}

/// Shows all. Says whether somebody reads it to its end.
pub(super) fn all(sources: &[Source], reading: &Reading<'_>, problems: &mut Vec<String>, show: &mut Show<'_>) -> bool {
    let mut streams = Vec::new();
    for source in sources {
        match source.pieces() {
            Ok(pieces) => {
                let pieces = pieces.into_iter().filter(|piece| reading.may_be_in(piece)).collect();
                streams.push(Stream { source, pieces, lines: None, repeated: BTreeSet::new(), strange: 0 });
            }
            Err(problem) => problems.push(problem),
        }
    }
    let (mut line, mut number, mut held) = (Vec::new(), 0, 0);
    let mut out = Out { show, text: String::new() };
    let mut heads: BTreeMap<(DateTime<Utc>, usize), String> = BTreeMap::new();
    for (index, stream) in streams.iter_mut().enumerate() {
        heads.extend(stream.next(reading, &mut line, problems).map(|(at, text)| ((at, index), text)));
    }
    let mut sorted: BTreeMap<Rank, String> = BTreeMap::new();
    while let Some(((at, index), text)) = heads.pop_first() {
        held += text.len();
        sorted.insert((at, index, number), text);
        number += 1;
        if let Some(stream) = streams.get_mut(index) {
            heads.extend(stream.next(reading, &mut line, problems).map(|(at, text)| ((at, index), text)));
        }
        while held > MAX_SORTED
            && let Some((_, text)) = sorted.pop_first()
        {
            held -= text.len();
            if !out.add(&text) {
                return false;
            }
        }
    }
    let strange = streams.iter().filter(|stream| stream.strange > 0);
    problems.extend(strange.filter(|_| reading.style.verbose).map(|stream| strange_lines(stream.source, stream.strange)));
    out.end(sorted.values())
}

/// What is shown, in pieces that are worth a system call.
struct Out<'a, 'b> {
    show: &'a mut Show<'b>,
    text: String,
}

impl Out<'_, '_> {
    fn add(&mut self, text: &str) -> bool {
        self.text.push_str(text);
        self.text.len() < PIECE || self.put()
    }

    fn put(&mut self) -> bool {
        let is_read = (self.show)(&self.text);
        self.text.clear();
        is_read
    }

    fn end<'t>(mut self, mut rest: impl Iterator<Item = &'t String>) -> bool {
        rest.all(|text| self.add(text)) && self.put()
    }
}

/// What is no event: a crash may have cut a line, and an account writes what it likes.
fn strange_lines(source: &Source, count: u64) -> String {
    format!("{}: {} of its ledgers that no gate wrote whole", source.whose.name(), counted(count, "line", "lines"))
}

/// Shows the last ones, so many. Ledgers that cannot have any of them are not read.
pub(super) fn last(sources: &[Source], reading: &Reading<'_>, count: usize, problems: &mut Vec<String>, show: &mut Show<'_>) -> bool {
    let mut best = Best { count, ..Best::default() };
    for (index, source) in sources.iter().enumerate() {
        match source.pieces() {
            Ok(pieces) => best.of(index, source, pieces, reading, problems),
            Err(problem) => problems.push(problem),
        }
    }
    Out { show, text: String::new() }.end(best.events.values())
}

/// The last events that were found.
#[derive(Default)]
struct Best {
    count: usize,
    events: BTreeMap<Rank, String>,
    bytes: usize,
}

impl Best {
    /// Takes those of a place, from its newest ledger back.
    fn of(&mut self, index: usize, source: &Source, pieces: Vec<Piece>, reading: &Reading<'_>, problems: &mut Vec<String>) {
        let Some(place) = source.place() else { return };
        let (mut line, mut repeated) = (Vec::new(), BTreeSet::new());
        let (mut found, mut age) = (0, 0);
        for piece in pieces.into_iter().rev().filter(|piece| reading.may_be_in(piece)) {
            let is_earlier = self.events.first_key_value().is_some_and(|((at, ..), _)| piece.until.is_some_and(|until| until < *at));
            if found >= self.count || (self.events.len() >= self.count && is_earlier) {
                return;
            }
            // In a ledger that is older a line comes before all of those.
            age += 1;
            let mut number = u64::MAX / 2 - (age << 32);
            let mut read = || -> std::io::Result<()> {
                let Some(mut lines) = place.lines(&piece)? else { return Ok(()) };
                problems.extend(cut(source, &piece, &lines));
                while lines.next(&mut line)? {
                    number += 1;
                    if is_repeated(&line, &repeated) {
                        continue;
                    }
                    if let Ok(Some((at, text))) = reading.shown(&source.whose, &line) {
                        found += 1;
                        self.take((at, index, number), text);
                    }
                }
                Ok(())
            };
            if let Err(error) = read() {
                problems.push(source.problem(&error));
            }
            repeated = place.begins_with(&piece);
        }
    }

    fn take(&mut self, rank: Rank, text: String) {
        if self.events.len() >= self.count && self.events.first_key_value().is_none_or(|(first, _)| rank < *first) {
            return;
        }
        self.bytes += text.len();
        self.events.insert(rank, text);
        while (self.events.len() > self.count || self.bytes > MAX_SORTED)
            && let Some((_, text)) = self.events.pop_first()
        {
            self.bytes -= text.len();
        }
    }
}
