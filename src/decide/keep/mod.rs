//! Which snapshots of a client are kept, and which may be removed.
//!
//! **Floors come first.** A floor ([`Floor`]) keeps a snapshot whatever the rules say.
//!
//! **Rules** ([`Rule`]) are applied from the finest to the coarsest. A rule goes back from the
//! newest snapshot, and keeps the last complete one of each of its periods: of an hour, a day, an
//! ISO week, a month or a year, in the policy's time zone. A period without a snapshot is not
//! counted, as in Proxmox Backup Server, restic and borg. A period whose last snapshot a finer rule
//! keeps is not counted, either. borg does that; restic counts it, and Proxmox Backup Server passes
//! over a period if a finer rule keeps any snapshot of it. So `daily: 7` and `weekly: 4` reach back
//! seven days and then four weeks, and what restic keeps with the same numbers is kept here, but
//! for the oldest, which it and borg keep besides while a number is not reached. It follows, and
//! tests check, that
//!
//! - another rule, or a larger number, never dooms a snapshot that was kept;
//! - it does not matter how often the rules are applied: what they will keep later is never doomed
//!   earlier.
//!
//! **Time is told by snapshots.** Spans and `keep_within` reach back from the newest snapshot, as
//! in restic, and not from the clock, as in borg. So a client that is gone loses nothing, however
//! long. The clock says one thing alone: which snapshots are later than now. Those are kept, and
//! the rules do not see them; so a clock that is slow never dooms what a right one would keep. For
//! the same reason the rules see nothing from the first held snapshot on, until it is released. A
//! clock that is fast dooms nothing by itself. A push that it dates makes all earlier ones old;
//! numbers and `min_snapshots` still hold then, spans do not.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use crate::terms::{SnapshotName, Zone};

mod floors;
mod outlook;
mod removal;
mod rules;
mod until;

pub use floors::Floor;
pub use outlook::{Rhythm, simulate};
pub use removal::{TooMany, doomed, may_be_shortened, most_at_once};
pub use rules::{Extent, Period, Rule, Span};
pub use until::Until;

/// What a policy says about keeping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// `keep:` From the finest to the coarsest; with none everything is kept.
    pub rules: Vec<Rule>,
    /// `min_snapshots:` So many are kept whatever the rules say; one at least.
    pub min_snapshots: usize,
    /// `keep_within:` Everything is kept that is no older.
    pub keep_within: Span,
    /// By how much a snapshot may have begun later than its name says: by a day where names have no
    /// hours.
    pub resolution: TimeDelta,
}

/// A published snapshot, as far as it matters here. All of it is what the gate itself wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: SnapshotName,
    /// When its push began.
    pub began: DateTime<Utc>,
    /// Whether all of it arrived.
    pub complete: bool,
    /// Whether the administrator protects it.
    pub protected: Protection,
    /// Whether it is held because it may be damage, and was not released.
    pub held: bool,
    /// Whether `current` leads to it.
    pub current: bool,
    /// Whether a restore reads it.
    pub being_read: bool,
}

impl Snapshot {
    /// A complete snapshot of which there is nothing else to say.
    pub fn complete(name: SnapshotName, began: DateTime<Utc>) -> Self {
        Self { name, began, complete: true, protected: Protection::None, held: false, current: false, being_read: false }
    }
}

/// `snapgate protect`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Not protected.
    None,
    /// Until then.
    Until(DateTime<Utc>),
    /// Until `snapgate unprotect`.
    Always,
}

/// Why a snapshot is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A floor, which nothing out-votes.
    Floor(Floor),
    /// A rule, and how many it had kept when it came to this snapshot, this one included:
    /// `daily-3`.
    Rule(Period, usize),
    /// The policy has no `keep:`.
    NoRules,
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Floor(floor) => write!(out, "{floor}"),
            Self::Rule(period, number) => write!(out, "{period}-{number}"),
            Self::NoRules => out.write_str("no `keep:` in the policy"),
        }
    }
}

/// A snapshot and all that keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged<'a> {
    /// The snapshot.
    pub snapshot: &'a Snapshot,
    /// Why it is kept: floors, then the rule. It is doomed if there is nothing.
    pub kept_by: Vec<Reason>,
}

impl Judged<'_> {
    /// Whether nothing keeps it.
    pub fn is_doomed(&self) -> bool {
        self.kept_by.is_empty()
    }

    /// Whether a floor keeps it.
    pub fn is_on_a_floor(&self) -> bool {
        self.kept_by.iter().any(|reason| matches!(reason, Reason::Floor(_)))
    }
}

impl fmt::Display for Judged<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.snapshot.name)?;
        match self.kept_by.split_first() {
            None if self.snapshot.complete => out.write_str("no rule keeps it"),
            None => out.write_str("it is incomplete, and rules keep complete ones"),
            Some((first, more)) => {
                write!(out, "{first}")?;
                more.iter().try_for_each(|reason| write!(out, ", {reason}"))
            }
        }
    }
}

/// Judges all snapshots of a client. The answer is in order of time, the oldest first.
pub fn decide<'a>(snapshots: &'a [Snapshot], now: DateTime<Utc>, zone: &Zone, keep: &Keep) -> Vec<Judged<'a>> {
    let mut order: Vec<&Snapshot> = snapshots.iter().collect();
    order.sort_by(|one, other| (one.began, one.name.as_str()).cmp(&(other.began, other.name.as_str())));
    let in_sight = order.iter().take_while(|snapshot| snapshot.began <= now && !snapshot.held).count();

    let floors = floors::floors(&order, in_sight, now, keep);
    let ruled = rules::ruled(order.get(..in_sight).unwrap_or_default(), zone, &keep.rules);
    let all = order.into_iter().zip(floors).zip(ruled.into_iter().chain(std::iter::repeat(None)));
    let judged = all.map(|((snapshot, floors), ruled)| {
        let none = keep.rules.is_empty().then_some(Reason::NoRules);
        let kept_by = floors.into_iter().map(Reason::Floor).chain(ruled).chain(none).collect();
        Judged { snapshot, kept_by }
    });
    judged.collect()
}

#[cfg(test)]
mod tests;
