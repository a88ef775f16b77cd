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

/// Bytes of an account's report on what its gate needs, [`MAX_COMPARED_KEYS`] among it.
pub const MAX_SEEN: usize = 1024 * 1024;

/// Keys of an account that are compared with those that policies list.
pub const MAX_COMPARED_KEYS: usize = 4096;

/// Reasons for which the gate refuses keys that sshd takes for an account, each of which is told.
pub const MAX_KEY_REASONS: usize = 8;

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

/// How long a disk may take to answer.
pub const MOUNT_TIMEOUT: Duration = Duration::from_secs(5);

/// Disks that do not answer and are waited for.
pub const MAX_HUNG: usize = 8;

/// Questions to sshd, each about accounts for which the answer is the same.
pub const MAX_SSHD_QUESTIONS: usize = 64;

/// Addresses of an account's clients about which sshd is asked.
pub const MAX_SSHD_PLACES: usize = 16;

/// Names of clients' hosts that `check` looks up.
pub const MAX_NAMES_ASKED: usize = 512;

/// Time for all of them.
pub const NAMES_TIME: Duration = Duration::from_secs(10);

/// Files of sshd's settings that are read to see for which accounts the answer is the same.
pub const MAX_SSHD_FILES: usize = 64;

/// Bytes of what a program of the system says: `systemctl`, `timedatectl`.
pub const MAX_SYSTEM_ANSWER: usize = 64 * 1024;

/// Bytes of a small file of the system: a setting of the kernel's, a table of cron's or of mounts.
pub const MAX_SYSTEM_FILE: u64 = 256 * 1024;

/// Files of cron's that are read.
pub const MAX_CRON_FILES: usize = 200;

/// Bytes of a package's changelog, unpacked. The newest come first.
pub const MAX_CHANGELOG: u64 = 512 * 1024;

/// Files of a snapshot whose names are counted.
pub const MAX_LINKS_SEEN: usize = 2000;

/// From this many of a hundred names on that a file may have, the next pushes may store it anew.
pub const MANY_LINKS_PERCENT: u64 = 90;

/// For so long `check --tell` waits until what it found has left: a mailer that is slow has taken it.
pub const TELL_PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of what `check` remembers to have told: some ten thousand problems.
pub const MAX_TOLD_BEFORE: u64 = 4 * 1024 * 1024;

/// How long a new client is given to come for the first time.
pub const MAX_FIRST_PUSH: Duration = Duration::from_secs(3 * 24 * 3600);

/// After so long without a mail that was taken it is worth knowing.
pub const MAX_SILENT_POST: Duration = Duration::from_secs(8 * 24 * 3600);
