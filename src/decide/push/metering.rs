//! How often a push that is running is counted, and when it has brought too much.
//!
//! Counting a tree is expensive. Between two counts there are cheap bounds: what rsync's processes
//! have written, and how many files they could have made in the time. Nobody needs to count while
//! both are under the limit. No push may run unseen beyond these bounds.

use std::time::Duration;

use crate::decide::policy::Limits;
use crate::decide::quota::Cap;
use crate::terms::limits::{BLOCK, COUNT_SHARE, FASTEST_BYTES, FASTEST_INODES, LONGEST_LOOK, SHORTEST_LOOK, URGENT_SHARE};
use crate::terms::{Excess, Ground, Resource, Usage};

/// What a push may bring: by its policy's `limits:`, together with what came before it in its
/// transaction, by the client's quota, and by the room on the disk.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    bytes: Option<Cap>,
    inodes: Option<Cap>,
    /// The limit on a single file.
    file: Option<u64>,
}

impl Allowance {
    /// The policy's, less what the transaction has already; `None` where there is no limit.
    pub fn new(limits: &Limits, before: Usage) -> Option<Self> {
        let bytes = limits.bytes.map(|limit| Cap::up_to(limit, before.bytes, Ground::Push));
        let inodes = limits.inodes.map(|limit| Cap::up_to(limit, before.inodes, Ground::Push));
        Self { bytes, inodes, file: limits.bytes }.if_any()
    }

    /// The same with what further limits leave of it.
    pub fn within(this: Option<Self>, bytes: Option<Cap>, inodes: Option<Cap>) -> Option<Self> {
        let Self { bytes: own_bytes, inodes: own_inodes, file } = this.unwrap_or(Self { bytes: None, inodes: None, file: None });
        Self { bytes: Cap::or_less(own_bytes, bytes), inodes: Cap::or_less(own_inodes, inodes), file }.if_any()
    }

    fn if_any(self) -> Option<Self> {
        (self.bytes.is_some() || self.inodes.is_some()).then_some(self)
    }

    /// Whether a push that has stored this much is past a limit.
    #[must_use]
    pub fn excess(&self, stored: Usage) -> Option<Excess> {
        let over = |resource, cap: Option<Cap>, stored: u64| {
            let Cap { most, before, ground } = cap.filter(|cap| stored > cap.most)?;
            Some(Excess { ground, resource, limit: before.saturating_add(most), found: before.saturating_add(stored) })
        };
        over(Resource::Bytes, self.bytes, stored.bytes).or_else(|| over(Resource::Inodes, self.inodes, stored.inodes))
    }

    /// Bytes that may still come when this much is stored.
    pub fn room(&self, stored: Usage) -> u64 {
        self.bytes.map_or(u64::MAX, |cap| cap.most.saturating_sub(stored.bytes))
    }

    /// Whether what earlier pushes left is as much as may come: then keeping more serves nobody.
    #[must_use]
    pub fn is_reached_by(&self, kept: Usage) -> bool {
        self.bytes.is_some_and(|cap| kept.bytes >= cap.most) || self.inodes.is_some_and(|cap| kept.inodes >= cap.most)
    }

    /// That the kernel stopped a single file (`RLIMIT_FSIZE`), where that is this limit's doing.
    pub fn file_too_large(&self) -> Option<Excess> {
        self.file.map(|limit| Excess { ground: Ground::Push, resource: Resource::FileSize, limit, found: limit })
    }
}

/// The counts of one push. Times are since its beginning.
#[derive(Debug, Clone)]
pub struct Metering {
    allowance: Allowance,
    stored: Usage,
    /// What had been written when it was counted.
    written: u64,
    counted_at: Duration,
    cost: Duration,
}

impl Metering {
    /// The beginning.
    pub fn new(allowance: Allowance) -> Self {
        Self { allowance, stored: Usage::default(), written: 0, counted_at: Duration::ZERO, cost: Duration::ZERO }
    }

    /// The time until the next look at what has been written, in bytes; `None` if the kernel does
    /// not know.
    pub fn pause(&self, now: Duration, written: Option<u64>) -> Duration {
        let unseen = written.map_or(0, |written| written.saturating_sub(self.written));
        let bytes = self.room_bytes().map(|room| per_second(room.saturating_sub(unseen), FASTEST_BYTES));
        let (small, inodes) = (self.bytes_due(written), self.inodes_due());
        let [small, inodes] = [small, inodes].map(|due| due.map(|due| due.saturating_sub(now)));
        let first = [bytes, small, inodes].into_iter().flatten().min().unwrap_or(LONGEST_LOOK);
        first.clamp(SHORTEST_LOOK, LONGEST_LOOK)
    }

    /// Whether the tree has to be counted now.
    pub fn is_due(&self, now: Duration, written: Option<u64>) -> bool {
        let unseen = written.unwrap_or(0).saturating_sub(self.written);
        let full = self.room_bytes().is_some_and(|room| unseen > room) && now >= self.counted_at + self.cost * URGENT_SHARE;
        full || [self.bytes_due(written), self.inodes_due()].into_iter().flatten().any(|due| now >= due)
    }

    /// Takes a count that ended `now` and took `cost`, after `written` bytes. If a part of the tree
    /// could not be seen (`blind`), everything that was written counts.
    #[must_use]
    pub fn counted(&mut self, now: Duration, cost: Duration, written: Option<u64>, stored: Usage, blind: bool) -> Option<Excess> {
        let written = written.unwrap_or(self.written);
        let bytes = if blind { stored.bytes.max(written) } else { stored.bytes };
        self.stored = Usage { bytes, ..stored };
        (self.written, self.counted_at, self.cost) = (written, now, cost);
        self.allowance.excess(self.stored)
    }

    fn room_bytes(&self) -> Option<u64> {
        self.allowance.bytes.map(|cap| cap.most.saturating_sub(self.stored.bytes))
    }

    /// When the bytes are counted whatever was written: a file of one byte takes a whole block.
    fn bytes_due(&self, written: Option<u64>) -> Option<Duration> {
        let rate = if written.is_some() { FASTEST_INODES * BLOCK } else { FASTEST_BYTES };
        Some(self.counted_at + (self.cost * COUNT_SHARE).max(per_second(self.room_bytes()?, rate)))
    }

    fn inodes_due(&self) -> Option<Duration> {
        let room = self.allowance.inodes?.most.saturating_sub(self.stored.inodes);
        Some(self.counted_at + (self.cost * COUNT_SHARE).max(per_second(room, FASTEST_INODES)))
    }
}

/// The time until the disk may have no more of this room, whoever takes it.
pub fn until_full(room: Usage) -> Duration {
    per_second(room.bytes, FASTEST_BYTES).min(per_second(room.inodes, FASTEST_INODES)).clamp(SHORTEST_LOOK, LONGEST_LOOK)
}

/// Whether it has no more.
pub fn full(room: Usage) -> Option<Excess> {
    let resource = if room.bytes == 0 { Resource::Bytes } else { Resource::Inodes };
    let is_full = room.bytes == 0 || room.inodes == 0;
    is_full.then_some(Excess { ground: Ground::Store, resource, limit: 0, found: 0 })
}

/// The time that so many take at so many a second.
fn per_second(many: u64, rate: u64) -> Duration {
    Duration::from_millis(many.saturating_mul(1000) / rate.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn metering(bytes: Option<u64>, inodes: Option<u64>) -> Metering {
        let limits = Limits { bytes, inodes, ..Limits::default() };
        Metering::new(Allowance::new(&limits, Usage::default()).unwrap())
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn without_limits_nothing_is_counted() {
        assert!(Allowance::new(&Limits::default(), Usage::default()).is_none());
    }

    #[test]
    fn a_push_far_from_its_limit_is_hardly_ever_counted_for_its_bytes() {
        let metering = metering(Some(1 << 40), None);
        for minute in 0..40 {
            assert!(!metering.is_due(SECOND * 60 * minute, Some(1 << 39)));
        }
        assert!(metering.is_due(SECOND * 3600, Some(0)), "by then it could be full of files of one byte");
        assert_eq!(metering.pause(SECOND, Some(0)), LONGEST_LOOK);
        assert!(metering.is_due(SECOND, Some((1 << 40) + 1)), "now it may be past it");
        assert_eq!(metering.pause(SECOND, Some((1 << 40) - 1)), SHORTEST_LOOK);
    }

    #[test]
    fn what_was_linked_and_written_elsewhere_is_forgiven_by_the_count() {
        let mut metering = metering(Some(1000), None);
        assert!(metering.is_due(SECOND, Some(1500)));
        assert_eq!(metering.counted(SECOND, Duration::ZERO, Some(1500), Usage { bytes: 400, inodes: 3 }, false), None);
        let soon = SECOND + Duration::from_micros(1);
        assert!(metering.is_due(soon, Some(2101)));
        let excess = metering.counted(SECOND * 2, Duration::ZERO, Some(2101), Usage { bytes: 1001, inodes: 3 }, false);
        assert_eq!(excess, Some(Excess { ground: Ground::Push, resource: Resource::Bytes, limit: 1000, found: 1001 }));
    }

    #[test]
    fn what_cannot_be_seen_counts_by_what_was_written() {
        let mut metering = metering(Some(1000), None);
        let excess = metering.counted(SECOND, Duration::ZERO, Some(1500), Usage { bytes: 400, inodes: 3 }, true);
        assert_eq!(excess.map(|excess| excess.found), Some(1500));
    }

    #[test]
    fn a_disk_is_looked_at_before_it_can_be_full_and_is_full_without_either() {
        let room = |bytes, inodes| Usage { bytes, inodes };
        assert_eq!((until_full(room(1 << 50, u64::MAX)), until_full(room(1, u64::MAX))), (LONGEST_LOOK, SHORTEST_LOOK));
        assert_eq!(until_full(room(1 << 50, 0)), SHORTEST_LOOK);
        assert_eq!(full(room(1, 1)), None);
        let found = |bytes, inodes| full(room(bytes, inodes)).map(|excess| (excess.ground, excess.resource));
        assert_eq!(found(0, 1), Some((Ground::Store, Resource::Bytes)));
        assert_eq!(found(1, 0), Some((Ground::Store, Resource::Inodes)));
    }

    #[test]
    fn a_transaction_adds_up() {
        let limits = Limits { inodes: Some(100), ..Limits::default() };
        let allowance = Allowance::new(&limits, Usage { bytes: 0, inodes: 60 }).unwrap();
        assert!(allowance.excess(Usage { bytes: 1 << 50, inodes: 40 }).is_none());
        assert_eq!(allowance.excess(Usage { bytes: 0, inodes: 41 }).unwrap().found, 101);
    }

    proptest! {
        /// A push that stores as fast as anything can is past its limit by no more than what fits
        /// into the longest time between two counts: a pause, and the count itself.
        #[test]
        fn nothing_runs_on_unseen(limit in 1u64 << 20..1 << 42, rate in 1u64 << 10..1 << 32, cost in 0u64..2000) {
            let mut metering = metering(Some(limit), None);
            let cost = Duration::from_millis(cost);
            let (mut now, mut stored) = (Duration::ZERO, 0);
            let grown = |time: Duration| u64::try_from(u128::from(rate) * time.as_millis() / 1000).unwrap();
            for _ in 0..100_000 {
                let pause = metering.pause(now, Some(stored));
                now += pause;
                stored += grown(pause);
                if metering.is_due(now, Some(stored)) {
                    let seen = stored;
                    now += cost;
                    stored += grown(cost);
                    if metering.counted(now, cost, Some(seen), Usage { bytes: seen, inodes: 1 }, false).is_some() {
                        break;
                    }
                }
                prop_assert!(stored <= limit + grown(SHORTEST_LOOK * 2 + cost * 2) + 2, "{stored} of {limit}");
            }
        }

        /// Counting takes no more than its share, whatever it finds, as long as the push is not at
        /// its limit.
        #[test]
        fn counting_takes_a_small_part_of_the_time(cost in 1u64..100_000, limit in 10u64..1 << 40) {
            let mut metering = metering(None, Some(limit));
            let cost = Duration::from_millis(cost);
            let mut now = Duration::ZERO;
            let mut spent = Duration::ZERO;
            for _ in 0..1000 {
                now += metering.pause(now, None);
                if metering.is_due(now, None) {
                    now += cost;
                    spent += cost;
                    let _ = metering.counted(now, cost, None, Usage { bytes: 0, inodes: limit / 2 }, false);
                }
            }
            prop_assert!(spent <= now / COUNT_SHARE + cost);
        }
    }
}
