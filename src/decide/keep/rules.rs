//! The rules of `keep:`: of which periods they keep the last snapshot, and how far they reach.

use std::fmt;

use chrono::{DateTime, Datelike as _, TimeDelta, Utc};

use crate::terms::Zone;

use super::{Reason, Snapshot};

/// Keeps the last complete snapshot of each period, as far back as it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The periods.
    pub period: Period,
    /// How far back.
    pub extent: Extent,
}

/// What a rule keeps one snapshot of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// Each snapshot is one.
    Each,
    /// An hour by the zone's clocks. One that they show twice is two hours.
    Hour,
    /// A day.
    Day,
    /// A week of ISO 8601, from Monday on.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
    /// So many days, counted from the same day whenever one asks; zero counts as one.
    Days(u32),
}

impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Each => out.write_str("last"),
            Self::Hour => out.write_str("hourly"),
            Self::Day => out.write_str("daily"),
            Self::Week => out.write_str("weekly"),
            Self::Month => out.write_str("monthly"),
            Self::Year => out.write_str("yearly"),
            Self::Days(days) => write!(out, "every-{days}d"),
        }
    }
}

impl Period {
    /// What is the same for two moments of one period, and differs from that of the periods beside
    /// it.
    fn of(self, at: DateTime<Utc>, zone: &Zone, number: usize) -> (i64, i64) {
        let local = zone.local(at);
        // Days since the Monday that began the Gregorian calendar's first year.
        let day = i64::from(local.num_days_from_ce()) - 1;
        match self {
            Self::Each => (i64::try_from(number).unwrap_or(i64::MAX), 0),
            Self::Hour => {
                let seconds = local.and_utc().timestamp();
                (seconds.div_euclid(3600), seconds - at.timestamp())
            }
            Self::Day => (day, 0),
            Self::Week => (day.div_euclid(7), 0),
            Self::Month => (i64::from(local.year()) * 12 + i64::from(local.month0()), 0),
            Self::Year => (i64::from(local.year()), 0),
            Self::Days(days) => (day.div_euclid(i64::from(days.max(1))), 0),
        }
    }
}

/// How far back a rule reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Until it has kept so many that no finer rule keeps.
    Count(usize),
    /// To what is younger, seen from the newest complete snapshot.
    Span(Span),
    /// To the oldest.
    Everything,
}

impl Extent {
    fn reaches(self, kept: usize, age: TimeDelta) -> bool {
        match self {
            Self::Count(count) => kept < count,
            Self::Span(span) => span.is_longer_than(age),
            Self::Everything => true,
        }
    }
}

/// A span of time in whole hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    hours: u32,
}

impl Span {
    /// So many hours.
    pub const fn of_hours(hours: u32) -> Self {
        Self { hours }
    }

    /// So many days of 24 hours.
    pub const fn of_days(days: u32) -> Self {
        Self { hours: days.saturating_mul(24) }
    }

    /// Its hours.
    pub fn hours(self) -> u32 {
        self.hours
    }

    pub(super) fn is_longer_than(self, age: TimeDelta) -> bool {
        age < TimeDelta::hours(i64::from(self.hours))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hours.is_multiple_of(24) { write!(out, "{}d", self.hours / 24) } else { write!(out, "{}h", self.hours) }
    }
}

/// Which rule keeps each of these snapshots, which are in order of time. The finest gets the
/// credit.
pub(super) fn ruled(snapshots: &[&Snapshot], zone: &Zone, rules: &[Rule]) -> Vec<Option<Reason>> {
    let mut found = vec![None; snapshots.len()];
    let Some(newest) = snapshots.iter().rev().find(|snapshot| snapshot.complete) else { return found };
    for rule in rules {
        let mut kept = 0;
        let mut last = None;
        let all = snapshots.iter().zip(found.iter_mut()).enumerate().rev();
        for (number, (snapshot, found)) in all.filter(|(_, (snapshot, _))| snapshot.complete) {
            if !rule.extent.reaches(kept, newest.began - snapshot.began) {
                break;
            }
            let period = Some(rule.period.of(snapshot.began, zone, number));
            if period != last && found.is_none() {
                kept += 1;
                *found = Some(Reason::Rule(rule.period, kept));
            }
            last = period;
        }
    }
    found
}
