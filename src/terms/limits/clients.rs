//! Bounds on what an administrator says of a client to be, and on the programs that make accounts.

use std::time::Duration;

/// Bytes of a public key's text: RSA of 16384 bits has under 3 KiB.
pub const MAX_PUBLIC_KEY: usize = 16 * 1024;

/// Bytes of what a key's owner calls it.
pub const MAX_KEY_COMMENT: usize = 64;

/// Letters of an account that is made: useradd(8) takes no more.
pub const MAX_NEW_ACCOUNT: usize = 32;

/// How long keys that are to end are still taken: one that stays on for years is one that nobody
/// remembers.
pub const MAX_OVERLAP: Duration = Duration::from_secs(366 * 24 * 3600);

/// Bytes of what a frozen client reads: a line on a terminal, and some.
pub const MAX_FROZEN: usize = 200;

/// Bytes of what useradd(8) and its like say.
pub const MAX_TOOL_ANSWER: usize = 64 * 1024;

/// How long they may take: they wait for a lock that others of them hold.
pub const TOOL_TIMEOUT: Duration = Duration::from_secs(60);
