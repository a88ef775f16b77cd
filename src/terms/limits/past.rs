//! Bounds of what is kept about the past.

use std::time::Duration;

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

/// Events that are told apart where several ledgers are read: pushes of fifty years, one an hour. What
/// comes on top may be taken twice.
pub const MAX_IDS: usize = 500_000;

/// Notes of connections that are not recorded yet, whose lines are looked for.
pub const MAX_UNRECORDED: usize = 1000;

/// Clients that `snapgate maintain` looks after at once, unless it is told otherwise: they share
/// the disk.
pub const MAINTAIN_JOBS: usize = 4;

/// Bytes at the end of a ledger that `snapgate list` reads: about a hundred thousand connections.
pub const MAX_LEDGER_TAIL: u64 = 64 * 1024 * 1024;

/// Bytes at the beginning of a ledger in which lines of the one before are looked for:
/// [`LEDGER_OVERLAP`], and some hundred connections that were not recorded yet.
pub const LEDGER_REPEATED: u64 = 4 * LEDGER_OVERLAP;

/// Bytes at the end of the ledger that is written to, of which `snapgate log` tells: a hostile
/// account's may have no end.
pub const MAX_LOGGED: u64 = 4 << 30;

/// Bytes of lines that `snapgate log` holds to put them in order of time: twenty thousand or more.
pub const MAX_SORTED: usize = 16 * 1024 * 1024;

/// Lines that `snapgate log -n` shows.
pub const MAX_LAST: u32 = 100_000;

/// Bytes of one line of `snapgate log`, and of each of its details.
pub const MAX_LOG_LINE: usize = 1024;

/// Details of an event that it shows.
pub const MAX_DETAILS: usize = 100;

/// Bytes of a ledger that it reads at a time while it follows: the others have their turn, too.
pub const MAX_FOLLOWED: u64 = 4 * 1024 * 1024;

/// Bytes at the end of a ledger in which the last outcome is looked for.
pub const MAX_LAST_LOOK: u64 = 64 * 1024;

/// How long `snapgate status --watch` waits before it looks again.
pub const WATCH_PAUSE: Duration = Duration::from_secs(2);
