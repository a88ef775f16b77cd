//! Bounds of what Prometheus is told.

use std::time::Duration;

use super::past::LEDGER_PIECE;

/// Time in which ledgers are counted: its timer's unit has five minutes. Whom it did not suffice for is
/// counted first the next time.
pub const SUMS_TIME: Duration = Duration::from_secs(2 * 60);

/// Bytes of a ledger that are counted at once; the rest has its turn the next time. An honest client
/// writes less in a month.
pub const MAX_SUMMED: u64 = 2 * LEDGER_PIECE;

/// Bytes of the file of sums: of as many clients as there may be.
pub const MAX_SUMS: u64 = 64 * 1024 * 1024;

/// Bytes of an account's file of mails that were sent and failed.
pub const MAX_DELIVERIES: u64 = 4 * 1024;

/// Clients without a policy among which one that was renamed is looked for.
pub const MAX_FORMER: usize = 100;

/// Mails, or notices by another way, by which an account that no policy names moves the sum of all such
/// accounts at once: more than one sends between two looks.
pub const MAX_SENT_AT_ONCE: u64 = 10_000;

/// Accounts whose spool is gone and may come back, of which is known how far they are counted.
pub const MAX_GONE: usize = 1000;
