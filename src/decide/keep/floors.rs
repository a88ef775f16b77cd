//! What keeps a snapshot whatever the rules say.

use std::fmt;

use chrono::{DateTime, Utc};

use super::{Keep, Protection, Snapshot, Span};

/// What keeps a snapshot whatever the rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Floor {
    /// The administrator protects it.
    Protected,
    /// It is the newest.
    Newest,
    /// `current` leads to it.
    Current,
    /// It is the newest complete one, and newer ones are not.
    NewestComplete,
    /// It is the last complete one before the first that is held.
    LastGood,
    /// It is held, or came after [`Floor::LastGood`].
    SinceHeld,
    /// A restore reads it.
    BeingRead,
    /// It began later than now, by this machine's clock.
    Future,
    /// It is younger than `keep_within`, seen from the newest.
    Within(Span),
    /// It is among the newest, of which `min_snapshots` are kept.
    Minimum(usize),
}

impl fmt::Display for Floor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected => out.write_str("protected"),
            Self::Newest => out.write_str("newest"),
            Self::Current => out.write_str("current"),
            Self::NewestComplete => out.write_str("newest complete one"),
            Self::LastGood => out.write_str("last good one before one that is held"),
            Self::SinceHeld => out.write_str("held, or later than the last good one"),
            Self::BeingRead => out.write_str("being read"),
            Self::Future => out.write_str("later than the clock"),
            Self::Within(span) => write!(out, "within {span}"),
            Self::Minimum(least) => write!(out, "one of the last {least}"),
        }
    }
}

/// The floors under each of these snapshots, which are in order of time. The first `in_sight` of
/// them are neither held nor later than now, nor is one before them.
pub(super) fn floors(order: &[&Snapshot], in_sight: usize, now: DateTime<Utc>, keep: &Keep) -> Vec<Vec<Floor>> {
    let newest = order.len().checked_sub(1);
    let last_complete = |before: usize| order.iter().take(before).rposition(|snapshot| snapshot.complete);
    let newest_complete = last_complete(order.len()).filter(|_| order.last().is_some_and(|newest| !newest.complete));
    let held = order.iter().position(|snapshot| snapshot.held);
    let good = held.and_then(last_complete);
    // Where nothing before it is complete, it is not known what is good.
    let frozen = held.map(|_| good.unwrap_or(0));
    let seen = order.get(..in_sight).unwrap_or_default();
    let present = seen.last().map(|snapshot| snapshot.began);
    let least = keep.min_snapshots.max(1);
    let minimum = newest_of(seen, least);

    let under = |(number, snapshot): (usize, &&Snapshot)| {
        let is_protected = match snapshot.protected {
            Protection::None => false,
            Protection::Until(end) => now < end,
            Protection::Always => true,
        };
        let is_young = present.is_some_and(|present| keep.keep_within.is_longer_than(present - snapshot.began - keep.resolution));
        let all = [
            (is_protected, Floor::Protected),
            (Some(number) == newest, Floor::Newest),
            (snapshot.current, Floor::Current),
            (Some(number) == newest_complete, Floor::NewestComplete),
            (Some(number) == good, Floor::LastGood),
            (frozen.is_some_and(|from| number >= from) && Some(number) != good, Floor::SinceHeld),
            (snapshot.being_read, Floor::BeingRead),
            (snapshot.began > now, Floor::Future),
            (number < in_sight && is_young, Floor::Within(keep.keep_within)),
            (minimum.get(number).copied().unwrap_or(false), Floor::Minimum(least)),
        ];
        all.into_iter().filter_map(|(holds, floor)| holds.then_some(floor)).collect()
    };
    order.iter().enumerate().map(under).collect()
}

/// Which are the newest `least`: complete ones, and where these are fewer, incomplete ones besides.
fn newest_of(seen: &[&Snapshot], least: usize) -> Vec<bool> {
    let mut chosen = vec![false; seen.len()];
    let mut room = least;
    for complete in [true, false] {
        let fitting = seen.iter().zip(&mut chosen).rev().filter(|(snapshot, _)| snapshot.complete == complete);
        for (_, chosen) in fitting.take(room) {
            *chosen = true;
            room -= 1;
        }
    }
    chosen
}
