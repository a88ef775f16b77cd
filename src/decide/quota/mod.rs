//! How much a client may hold on the server in all, what it holds, and what pushes have to leave
//! free on the disk.
//!
//! What it holds is told by a [`Book`], which each push and each removal enters its difference
//! into. Nothing here may take a doubt for a fact: where an entry is missing, the book says that it
//! is due to be counted anew, and no client is refused for more than what is entered.

mod book;
mod words;

use crate::terms::limits::MIN_FREE_BYTES;
use crate::terms::{Ground, Usage};

pub use book::{Book, Holding, Next, Reclaimed};
pub use words::{held, no_room, refusal, warnings};

/// `quota:` What a client may hold in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Bytes on the disk; `None`: as many as there is room for.
    pub bytes: Option<u64>,
    /// Inodes; likewise.
    pub inodes: Option<u64>,
    /// From how many hundredths of it on the administrator is told.
    pub warn: u64,
}

impl Quota {
    /// Whether it bounds anything.
    pub fn is_set(&self) -> bool {
        self.bytes.is_some() || self.inodes.is_some()
    }

    /// Whether nothing more may come.
    pub fn is_reached_by(&self, used: Usage) -> bool {
        self.bytes.is_some_and(|most| used.bytes >= most) || self.inodes.is_some_and(|most| used.inodes >= most)
    }

    /// Whether it is time to tell the administrator, and where it may be to shorten history.
    pub fn is_nearly_reached_by(&self, used: Usage) -> bool {
        self.over(used, self.warn)
    }

    /// Whether more than so many hundredths of it are used.
    fn over(&self, used: Usage, percent: u64) -> bool {
        let over = |used: u64, most: Option<u64>| most.is_some_and(|most| reaches(used, most, percent));
        over(used.bytes, self.bytes) || over(used.inodes, self.inodes)
    }
}

fn reaches(used: u64, most: u64, percent: u64) -> bool {
    u128::from(used) * 100 >= u128::from(most) * u128::from(percent)
}

/// A part of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// So many.
    Amount(u64),
    /// So many of a hundred.
    Percent(u64),
}

impl Part {
    fn of(self, whole: u64) -> u64 {
        match self {
            Self::Amount(amount) => amount,
            Self::Percent(percent) => u64::try_from(u128::from(whole) * u128::from(percent) / 100).unwrap_or(u64::MAX),
        }
    }
}

/// `min_free:` What pushes leave free on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinFree {
    /// Bytes.
    pub bytes: Part,
    /// Inodes.
    pub inodes: Part,
}

impl MinFree {
    /// Without it a ledger line and a mail would no longer fit.
    pub const LEAST: Self = Self { bytes: Part::Amount(MIN_FREE_BYTES), inodes: Part::Amount(0) };
}

/// A disk, by its own word (statvfs(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// What an account can still take of it.
    pub free: Usage,
    /// Its size; no inodes where it has no table of them (btrfs).
    pub size: Usage,
}

impl Disk {
    /// What pushes may still take.
    pub fn room(&self, leave: &MinFree) -> Usage {
        let inodes = if self.size.inodes == 0 { u64::MAX } else { self.free.inodes.saturating_sub(leave.inodes.of(self.size.inodes)) };
        Usage { bytes: self.free.bytes.saturating_sub(leave.bytes.of(self.size.bytes)), inodes }
    }

    /// Whether they may take no more.
    pub fn is_short(&self, leave: &MinFree) -> bool {
        let Usage { bytes, inodes } = self.room(leave);
        bytes == 0 || inodes == 0
    }
}

/// What a push may add at most, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cap {
    /// So much.
    pub most: u64,
    /// What there is already of the same kind.
    pub before: u64,
    /// Whose limit it is.
    pub ground: Ground,
}

impl Cap {
    /// One with this limit on the sum.
    pub fn up_to(limit: u64, before: u64, ground: Ground) -> Self {
        Self { most: limit.saturating_sub(before), before, ground }
    }

    /// The stricter one.
    #[must_use]
    pub fn or_less(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) if other.most < one.most => Some(other),
            (None, other) => other,
            (one, _) => one,
        }
    }
}

#[cfg(test)]
mod tests;
