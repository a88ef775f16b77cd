//! Bounds of `snapgate check`.

use std::time::Duration;

/// A disk with less of it free, in percent, and less than [`LOW_FREE_BYTES`], is nearly full.
pub const LOW_FREE_PERCENT: u64 = 5;

/// With more bytes free a disk is not nearly full, however large it is.
pub const LOW_FREE_BYTES: u64 = 20 << 30;

/// With fewer bytes free a nearly full disk is wrong, and not only worth knowing.
pub const SCARCE_BYTES: u64 = 4 << 30;

/// Bytes of the answer of `sshd -T`: some hundred lines.
pub const MAX_SSHD_ANSWER: usize = 64 * 1024;

/// Time for `sshd -T`, for an account's shell to start, and for the account's own checks.
pub const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long `check` waits for a mail that may be leaving just now.
pub const MAIL_PAUSE: Duration = Duration::from_secs(1);

/// An older event is forgotten: each starts a `watch`, and so does a timer.
pub const STALE_EVENTS: Duration = Duration::from_secs(3600);

/// Bytes of what an account's shell prints when it starts.
pub const MAX_SHELL_ANSWER: usize = 4096;

/// Bytes of an account's report on what its gate needs.
pub const MAX_SEEN: usize = 64 * 1024;

/// Bytes of a file of keys: some thousands of them.
pub const MAX_KEY_FILE: u64 = 1024 * 1024;

/// Bytes of a script that are searched for the gate's name.
pub const MAX_SCRIPT: u64 = 64 * 1024;

/// Names in `snapshots/` that `check` looks at, those below included.
pub const MAX_STOCK: u64 = 200_000;

/// Names there that are not snapshots and are shown.
pub const MAX_STRANGE: usize = 5;

/// Levels of a snapshot that `list` searches for directories that changed after it was published.
pub const CHANGED_DEPTH: usize = 3;

/// How many of these it names; all are counted.
pub const MAX_CHANGED: usize = 2000;

/// Accounts for which `check` tries out the jail: each takes two starts of rsync.
pub const MAX_TRIED_ACCOUNTS: usize = 100;
