//! Bounds on what a client may hold, and on counting it.

use std::ops::RangeInclusive;

/// `min_free: {inodes: …}`.
pub const LEAST_FREE: RangeInclusive<u64> = 0..=1 << 40;

/// `min_free:` as a share of the disk, at most: with more it is hardly used.
pub const MOST_FREE_PERCENT: u64 = 50;

/// Default of `quota: {warn: …}`.
pub const DEFAULT_WARN: u64 = 80;

/// Inodes with several names that the gate tells apart in a tree: a MB for each ten thousand.
pub const MAX_TWINS: usize = 500_000;

/// Times that what a client holds is counted before a person is told that too much happens.
pub const RECOUNT_TRIES: usize = 3;

/// Bytes of the book about what a client holds.
pub const MAX_BOOK: u64 = 16 * 1024;
