//! Bounds on what `snapgate check` asks and looks at.

use std::time::Duration;

/// A disk with less than this part of it free, in percent, and less than [`LOW_FREE_BYTES`], is nearly full.
pub const LOW_FREE_PERCENT: u64 = 5;

/// With more bytes free than these a disk is not nearly full, however large it is.
pub const LOW_FREE_BYTES: u64 = 20 << 30;

/// With fewer than these a nearly full disk is wrong, and not only worth knowing.
pub const SCARCE_BYTES: u64 = 4 << 30;

/// Bytes of what `sshd -T` says: some hundred lines.
pub const MAX_SSHD_ANSWER: usize = 64 * 1024;

/// `sshd -T` may take this long, and so may an account's shell, which reads its files, and the account's own look at what it needs.
pub const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// For so long `check` waits for a mail that may be leaving just now.
pub const MAIL_PAUSE: Duration = Duration::from_secs(1);

/// An event that is older than this has been forgotten: the gate starts a `watch` for each, and a timer does.
pub const STALE_EVENTS: Duration = Duration::from_secs(3600);

/// Bytes of what an account's shell prints when it starts.
pub const MAX_SHELL_ANSWER: usize = 4096;

/// Bytes of what an account finds of what its gate needs.
pub const MAX_SEEN: usize = 64 * 1024;

/// Bytes of a file of keys: some thousands of them.
pub const MAX_KEY_FILE: u64 = 1024 * 1024;

/// Bytes of a script that are looked at for the gate's name.
pub const MAX_SCRIPT: u64 = 64 * 1024;

/// Names in `snapshots/` that `check` looks at, those below included.
pub const MAX_STOCK: u64 = 200_000;

/// Names there that are no snapshots' and are shown.
pub const MAX_STRANGE: usize = 5;

/// Levels of a snapshot that `list` looks at for directories that have changed since it was published, and how many of these. Where one
/// has, all its names are counted.
pub const CHANGED_DEPTH: usize = 3;

/// See [`CHANGED_DEPTH`].
pub const MAX_CHANGED: usize = 2000;

/// Accounts for which `check` tries out the jail: each takes two starts of rsync.
pub const MAX_TRIED_ACCOUNTS: usize = 100;
