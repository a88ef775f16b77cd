//! Bounds of what is kept about the past.

/// Bytes of a ledger that is set aside before its month is over: readers see no more than
/// [`MAX_LEDGER_TAIL`](super::MAX_LEDGER_TAIL) of the one that is written to.
pub const LEDGER_PIECE: u64 = 16 * 1024 * 1024;

/// Bytes at the end of a ledger that stand at the beginning of the next one, too: who has just
/// written there looks for its own line.
pub const LEDGER_OVERLAP: u64 = 64 * 1024;

/// Old ledgers that are read, the newest: eighty years of one a month.
pub const MAX_OLD_LEDGERS: usize = 1000;

/// Bytes that are read of an old ledger, unpacked: an account may have packed any number of them.
pub const MAX_OLD_LEDGER: u64 = 256 * 1024 * 1024;

/// Notes of connections that are not recorded yet, whose lines are looked for.
pub const MAX_UNRECORDED: usize = 1000;

/// Clients that `snapgate maintain` looks after at once, unless it is told otherwise: they share
/// the disk.
pub const MAINTAIN_JOBS: usize = 4;

/// Bytes at the end of a ledger that `snapgate list` reads: about a hundred thousand connections.
pub const MAX_LEDGER_TAIL: u64 = 64 * 1024 * 1024;
