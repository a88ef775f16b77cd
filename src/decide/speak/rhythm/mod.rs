//! When a client's next snapshot is expected, and from when on it is missed.
//!
//! A rhythm is learned from the times of snapshots alone. Five weeks are asked when the client came
//! next after the same hour of the week, and the second latest answer counts: so nights, weekends
//! and free Fridays are no silence, and one outage does not excuse the next. How late the client
//! was by this very rule in the last four weeks is the slack: a client without a rhythm is given
//! time, and one that comes on the minute is missed soon.
//!
//! Nothing here may depend on what a client says of itself: only on when its snapshots began.

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::decide::policy::window::Window;
use crate::decide::policy::{Expect, Told};
use crate::terms::Zone;
use crate::terms::limits::{LAPTOP_AWAY, LEAST_RHYTHM, MAX_ARRIVALS, WINDOWS_AHEAD};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// Weeks that are asked.
const WEEKS: i64 = 5;

/// From when on the same hour of another week says something.
const SETTLED: i64 = 3 * WEEK;

/// Who comes this much earlier or later than in another week comes at the same time.
const SAME: i64 = 3 * HOUR;

/// For so long back it is looked at how late the client was.
const REHEARSED: i64 = 4 * WEEK;

/// All that is looked at of a client that comes at least twice a week.
pub const REMEMBERED: i64 = SETTLED + REHEARSED + WEEKS * WEEK;

/// Of fewer times no worst one is an exception.
const LEAST_TRIED: usize = 8;

/// A client that comes less often has no week.
const SPARSE: i64 = 3 * DAY;

/// Gaps that are looked at of such a client.
const SPARSE_GAPS: usize = 12;

/// A next snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// When it should begin.
    pub at: DateTime<Utc>,
    /// How much later it may.
    pub slack: u32,
}

impl Expected {
    fn new(at: i64, slack: i64) -> Option<Self> {
        Some(Self { at: DateTime::from_timestamp(at, 0)?, slack: u32::try_from(slack).unwrap_or(u32::MAX) })
    }

    fn slack(self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.slack))
    }
}

/// What a client's own rhythm expects, from the times at which its snapshots began, in order.
/// `None` while there are too few.
pub fn learned(arrivals: &[DateTime<Utc>]) -> Option<Expected> {
    let mut all: Vec<i64> = arrivals.iter().map(DateTime::timestamp).collect();
    all.sort_unstable();
    all.dedup();
    if all.len() < LEAST_RHYTHM {
        return None;
    }
    let last = *all.last()?;
    let gaps = gaps(&all);
    let lately = gaps.iter().rev().take_while(|gap| gap.1 > last - WEEKS * WEEK).map(|gap| gap.0).collect::<Vec<_>>();
    let middle = median(if lately.len() + 1 < LEAST_RHYTHM { gaps.iter().map(|gap| gap.0).collect() } else { lately })?;
    if middle >= SPARSE {
        let longest = gaps.iter().rev().take(SPARSE_GAPS).map(|gap| gap.0).max()?;
        return Expected::new(last + longest, (longest / 4).clamp(DAY, WEEK));
    }
    let from = all.partition_point(|at| *at < last - REMEMBERED).max(all.len().saturating_sub(MAX_ARRIVALS));
    let all = all.get(from..)?;
    let first = *all.first()?;
    if last - first < SETTLED {
        // A first weekend must not look like silence.
        let longest = self::gaps(all).iter().map(|gap| gap.0).max()?;
        return Expected::new(last + (3 * longest).max(4 * DAY), 2 * HOUR);
    }
    let at = next(all, middle)?;
    let late = lateness(all, middle);
    let slack = (2 * HOUR).max((middle / 4).min(DAY)).max(late + late / 4);
    // Who sleeps longer gets up at a less certain time: in a thousand made-up years of half-hourly pushes an
    // eighth of the gap was too little in every fiftieth, and a fifth in none.
    Expected::new(at, slack + ((at - last) / 5).min(4 * HOUR))
}

/// Gaps, each with when it ended.
fn gaps(all: &[i64]) -> Vec<(i64, i64)> {
    all.iter().zip(all.iter().skip(1)).map(|(one, next)| (next - one, *next)).collect()
}

fn median(mut of: Vec<i64>) -> Option<i64> {
    of.sort_unstable();
    of.get(of.len() / 2).copied()
}

/// When the one after the last of these should come.
fn next(all: &[i64], middle: i64) -> Option<i64> {
    let (first, last) = (*all.first()?, *all.last()?);
    let behind = (middle / 2).max(SAME);
    let mut answers: Vec<i64> = (1..=WEEKS)
        .map(|week| week * WEEK)
        .filter(|back| last - back >= first)
        .filter_map(|back| all.get(all.partition_point(|at| *at <= last - back + behind)).map(|at| at + back))
        .collect();
    answers.sort_unstable_by(|one, other| other.cmp(one));
    let answer = if answers.len() >= 4 { answers.get(1) } else { answers.first() };
    Some(answer.copied().unwrap_or(last).max(last + middle))
}

/// How late it was in the last weeks, but for one time that was much worse than all others: that was
/// an outage.
fn lateness(all: &[i64], middle: i64) -> i64 {
    let (Some(first), Some(last)) = (all.first(), all.last()) else { return 0 };
    let begin = all.partition_point(|at| *at < (last - REHEARSED).max(first + SETTLED));
    let mut late: Vec<i64> = (begin..all.len().saturating_sub(1))
        .filter_map(|place| Some(all.get(place + 1)? - next(all.get(..=place)?, middle)?))
        .filter(|late| *late > 0)
        .collect();
    late.sort_unstable_by(|one, other| other.cmp(one));
    let (worst, second) = (late.first().copied().unwrap_or(0), late.get(1).copied().unwrap_or(0));
    let tried = all.len().saturating_sub(begin + 1);
    if tried >= LEAST_TRIED && worst > 3 * second.max(2 * HOUR) { second } else { worst }
}

/// What is known of a client, beside its policy.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// When its newest snapshot began, or since when it is known, where there is none.
    pub last: DateTime<Utc>,
    /// Whether it has a snapshot.
    pub has_one: bool,
    /// What its rhythm says.
    pub learned: Option<Expected>,
    /// When it was heard of since the newest snapshot, in order.
    pub contacts: &'a [DateTime<Utc>],
}

/// What the policy expects; `None` where it expects nothing.
pub fn expected(told: &Told, known: &Known<'_>) -> Option<Expected> {
    let expected = match told.expect {
        Expect::Off => return None,
        Expect::Learn => known.learned.filter(|_| known.has_one)?,
        Expect::Within(span) => {
            let span = i64::from(span.hours()) * HOUR;
            Expected::new(known.last.timestamp() + span, (span / 4).clamp(HOUR, DAY))?
        }
    };
    let slack = told.grace.map_or(expected.slack, |grace| grace.hours().saturating_mul(3600));
    Some(Expected { slack, ..expected })
}

/// From when on it is missed; `None`: never.
pub fn missed_at(told: &Told, windows: Option<&[Window]>, zone: &Zone, known: &Known<'_>) -> Option<DateTime<Utc>> {
    let expected = expected(told, known)?;
    let due = match windows {
        Some(windows) => opening(windows, zone, expected.at)?,
        None => expected.at,
    };
    let limit = due.checked_add_signed(expected.slack())?;
    if !told.laptop {
        return Some(limit);
    }
    let away = known.last.checked_add_signed(TimeDelta::from_std(LAPTOP_AWAY).ok()?)?;
    let back = known.contacts.iter().find(|at| **at >= due).and_then(|at| at.checked_add_signed(expected.slack()));
    Some(back.map_or(away, |back| back.min(away)).max(limit))
}

/// The first moment from `at` on at which a window is open.
fn opening(windows: &[Window], zone: &Zone, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let is_open = |at: DateTime<Utc>| windows.iter().any(|window| window.is_open(zone.local(at)));
    if is_open(at) {
        return Some(at);
    }
    // Windows begin on full minutes.
    let first = at.duration_trunc(TimeDelta::minutes(1)).ok()?;
    let minutes = i64::try_from(WINDOWS_AHEAD.as_secs() / 60).unwrap_or(0);
    (1..=minutes).filter_map(|count| first.checked_add_signed(TimeDelta::minutes(count))).find(|at| is_open(*at))
}

#[cfg(test)]
mod tests;
