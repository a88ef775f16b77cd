//! What happened with a client in a span of time, by the events of its ledgers. An account may have
//! written anything there, so texts are cut and made printable, and all of it is only counted.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::decide::speak::log::{Ended, line};
use crate::terms::limits::{MAX_PAGE_TEXT, PUSH_BARS};
use crate::terms::page::Bar;
use crate::terms::text::still_printable;
use crate::terms::{Body, Code, Deed, Event, Outcome, Verb, View, Visit};

/// A span of time: what ended in it is told, and what ended before it and was recorded too late to be
/// told then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub since: DateTime<Utc>,
    /// Its end, which is no more in it.
    pub until: DateTime<Utc>,
}

/// What happened in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Pushes that became snapshots, and of these partial ones.
    pub snapshots: u64,
    /// See there.
    pub partial: u64,
    /// Bytes that these brought.
    pub new: u64,
    /// The last one.
    pub last: Option<DateTime<Utc>>,
    /// Tries that came to nothing.
    pub failed: u64,
    /// The last one, in a line.
    pub failure: Option<(DateTime<Utc>, String)>,
    /// Connections that were refused, or told to come again, by their codes.
    pub refused: BTreeMap<&'static str, u64>,
    /// Restores by the client, and by the administrator.
    pub restores: u64,
    /// Drills that found what they should.
    pub drills: u64,
    /// Upkeep that went wrong, and the last time in a line.
    pub problems: u64,
    /// See there.
    pub problem: Option<String>,
    /// Pushes over the span: snapshots, and tries that came to nothing.
    pub bars: Vec<Bar>,
}

impl Span {
    /// Which of so many equal parts of it that is.
    fn part(&self, at: DateTime<Utc>, parts: usize) -> usize {
        let (whole, until) = ((self.until - self.since).num_seconds().max(1), (at - self.since).num_seconds());
        let part = until.saturating_mul(i64::try_from(parts).unwrap_or(1)) / whole;
        usize::try_from(part).unwrap_or(0).min(parts.saturating_sub(1))
    }

    /// Whether what ended then is told. `is_late`: the last digest could not see it.
    pub fn has(&self, at: DateTime<Utc>, is_late: bool) -> bool {
        at < self.until && (is_late || at >= self.since)
    }
}

/// When it ended. An event's time is when it began; what began before a span and ended in it belongs to
/// it.
pub fn ended(event: &Event) -> DateTime<Utc> {
    let took = event.push().map_or(0.0, |push| push.seconds);
    let took = std::time::Duration::try_from_secs_f64(took).ok().and_then(|took| TimeDelta::from_std(took).ok());
    event.at.checked_add_signed(took.unwrap_or_default()).unwrap_or(event.at)
}

impl Seen {
    /// Takes an event in, if it is of that span. `is_late`: the last digest could not see it.
    pub fn add(&mut self, event: &Event, span: &Span, is_late: bool) {
        let ended = ended(event);
        if !span.has(ended, is_late) {
            return;
        }
        match event.view() {
            View::Visit(visit) => self.visited(visit, ended, span),
            View::Upkeep(upkeep) => {
                if upkeep.problems.is_empty() {
                    self.restores += u64::from(upkeep.restored.is_some());
                    self.drills += u64::from(matches!(event.body, Body::Upkeep(Deed::Drill, _)));
                } else {
                    self.problems += 1;
                    self.problem = Some(still_printable(&line(event), MAX_PAGE_TEXT));
                }
            }
            View::Unknown(_) => {}
        }
    }

    fn visited(&mut self, visit: Visit<'_>, ended: DateTime<Utc>, span: &Span) {
        self.bars.resize(PUSH_BARS, Bar::default());
        let bar = self.bars.get_mut(span.part(ended, PUSH_BARS));
        match Ended::of(visit.result) {
            Ended::Ok if visit.result == Outcome::Published => {
                bar.into_iter().for_each(|bar| bar.good += 1);
                self.snapshots += 1;
                self.partial += u64::from(visit.partial());
                self.new = self.new.saturating_add(visit.push.map_or(0, |push| push.received_bytes));
                self.last = self.last.max(Some(ended));
            }
            Ended::Ok => self.restores += u64::from(visit.verb == Some(Verb::Restore)),
            Ended::Refused => *self.refused.entry(visit.code().map_or(visit.result.as_str(), Code::as_str)).or_default() += 1,
            Ended::Failed => {
                bar.into_iter().for_each(|bar| bar.bad += 1);
                self.failed += 1;
                if self.failure.as_ref().is_none_or(|(at, _)| *at <= ended) {
                    self.failure = Some((ended, still_printable(&line(visit.event), MAX_PAGE_TEXT)));
                }
            }
        }
    }

    /// Whether its last try came to nothing.
    pub fn ended_badly(&self) -> bool {
        self.failure.as_ref().is_some_and(|(at, _)| self.last.is_none_or(|last| last < *at))
    }

    /// Connections that were refused.
    pub fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }
}
