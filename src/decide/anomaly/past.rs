//! A client's good pushes. The gate keeps this note, and the administrator's program adds to it what
//! is released.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::Figure;
use crate::terms::SubPath;
use crate::terms::limits::{MAX_PAST, MAX_PLACES};

/// A good push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The name of its snapshot.
    pub snapshot: String,
    /// When it began, by that name.
    pub at: DateTime<Utc>,
    /// How many files the snapshot has.
    pub files: u64,
    /// Sum of their sizes.
    pub bytes: u64,
    /// Which figures were over their limits all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub over: Vec<Figure>,
    /// Whether the administrator released it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
    /// The last good snapshot before one that was released.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub good: String,
}

/// The good pushes of a client, by the place that they went into.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    places: Vec<Place>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    place: SubPath,
    /// The newest one, whenever it came.
    last: Past,
    /// Those before, the oldest first, half a day apart.
    before: Vec<Past>,
}

/// Pushes that come sooner after one another count as one: nobody displaces a history in an hour.
const APART: TimeDelta = TimeDelta::hours(12);

impl History {
    /// The last good push into a place.
    pub fn last(&self, place: &SubPath) -> Option<&Past> {
        self.at(place).map(|found| &found.last)
    }

    /// The good pushes into it, the oldest first.
    pub fn of(&self, place: &SubPath) -> &[Past] {
        self.at(place).map(|found| found.before.as_slice()).unwrap_or_default()
    }

    fn at(&self, place: &SubPath) -> Option<&Place> {
        self.places.iter().find(|found| found.place == *place)
    }

    /// Adds one that the administrator released. All that were held against the same good snapshot
    /// are one event, which says once what is usual, however many are released and in how many steps.
    pub fn release(&mut self, note: HeldNote) {
        let HeldNote { mut past, place, good, .. } = note;
        let others = || self.of(&place).iter().filter(|other| other.good == good && other.snapshot != past.snapshot);
        let said: Vec<Figure> = others().flat_map(|other| other.over.iter().copied()).collect();
        past.over.retain(|figure| !said.contains(figure));
        self.add(&place, Past { released: true, good, ..past });
    }

    /// Adds a good push. One that is older than the last one is known, and no more.
    pub fn add(&mut self, place: &SubPath, past: Past) {
        let Some(found) = self.places.iter_mut().find(|found| found.place == *place) else {
            self.make_room(place);
            let before = vec![past.clone()];
            return self.places.push(Place { place: place.clone(), last: past, before });
        };
        if past.released {
            // A release that was killed is said again.
            found.before.retain(|known| known.snapshot != past.snapshot);
        }
        let is_apart = found.before.last().is_none_or(|last| past.at - last.at >= APART);
        if is_apart || past.released {
            found.before.push(past.clone());
            found.before.sort_by(|one, other| (one.at, &one.snapshot).cmp(&(other.at, &other.snapshot)));
        }
        let over = found.before.len().saturating_sub(MAX_PAST);
        found.before.drain(..over);
        if (past.at, &past.snapshot) >= (found.last.at, &found.last.snapshot) {
            found.last = past;
        }
    }

    /// Forgets a snapshot that is no longer there, so that nothing is compared with it.
    pub fn forget(&mut self, gone: impl Fn(&str) -> bool) {
        self.places.retain_mut(|found| {
            if !gone(&found.last.snapshot) {
                return true;
            }
            let left = found.before.iter().rev().find(|past| !gone(&past.snapshot)).cloned();
            left.map(|left| found.last = left).is_some()
        });
    }

    /// Makes room for another place: the whole is never given up, and otherwise the place with the
    /// shortest history, so that pushes into many places displace one another alone.
    fn make_room(&mut self, place: &SubPath) {
        if self.places.len() < MAX_PLACES || place.is_whole() {
            return;
        }
        let others = self.places.iter().enumerate().filter(|(_, found)| !found.place.is_whole());
        let least = others.min_by_key(|(_, found)| (found.before.len(), found.last.at)).map(|(number, _)| number);
        least.map(|number| self.places.remove(number));
    }
}

/// What its snapshots usually have: the median of files, and that of bytes, since the administrator
/// last released one. `None` where fewer than `known` pushes say so.
pub(super) fn usual(past: &[Past], known: usize) -> Option<(u64, u64)> {
    let since = past.iter().rposition(|past| past.released).unwrap_or(0);
    let past = past.get(since..).unwrap_or_default();
    let median = |of: fn(&Past) -> u64| {
        let mut all: Vec<u64> = past.iter().map(of).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied()
    };
    if past.len() < known { None } else { median(|past| past.files).zip(median(|past| past.bytes)) }
}

/// The note on a snapshot that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldNote {
    /// What becomes of the history when it is released.
    pub past: Past,
    /// Where its push went.
    pub place: SubPath,
    /// Why, in sentences.
    pub why: Vec<String>,
    /// The last good snapshot.
    pub good: String,
    /// Whether `current` stays on that one. The last field: the gate looks for it at the end.
    pub stays: bool,
}
