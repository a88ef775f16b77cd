//! Every bound on what comes from outside, each with its reason. A number that limits a stranger has its home here.

use std::time::Duration;

/// A client's name is a file name and stands in a mail's subject.
pub const MAX_CLIENT_NAME: usize = 64;

/// Bytes of `SSH_ORIGINAL_COMMAND` that are looked at. The longest real rsync command in the captures is under 300
/// bytes; the kernel would let sshd hand over 128 KiB (`MAX_ARG_STRLEN`).
pub const MAX_COMMAND: usize = 16 * 1024;

/// Words of a command. Every option of rsync at once stays under this.
pub const MAX_WORDS: usize = 256;

/// Bytes of foreign text quoted in one line of a log, mail or answer.
pub const MAX_QUOTED: usize = 512;

/// Bytes of a destination inside the snapshot (`PATH_MAX` less room for the repository's own path).
pub const MAX_SUBPATH: usize = 2048;

/// Components of a destination inside the snapshot.
pub const MAX_SUBPATH_DEPTH: usize = 64;

/// Bytes of a site or policy file. A policy of a thousand networks is about 20 KiB.
pub const MAX_CONFIG_FILE: u64 = 64 * 1024;

/// Elements of any one list in a site or policy file.
pub const MAX_LIST: usize = 4096;

/// Policies in one directory that are searched for a key. Past it, identify by account or `--client`.
pub const MAX_POLICIES: usize = 20_000;

/// Bytes of the file that `SSH_USER_AUTH` names. An RSA-16384 certificate is about 6 KiB.
pub const MAX_AUTH_FILE: u64 = 64 * 1024;

/// Keys read from that file: sshd writes one line for each method that a login needed.
pub const MAX_AUTH_KEYS: usize = 8;

/// Bytes of a time zone file; the largest in tzdata is under 4 KiB.
pub const MAX_ZONE_FILE: u64 = 64 * 1024;

/// Time for all of a policy's `host:` names together. A name that has not answered by then does not match.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);

/// `host:` names in one policy; each costs a thread while it is resolved.
pub const MAX_HOSTS: usize = 16;

/// How far a snapshot's name may run ahead of the clock so that it stays later than the newest one: two pushes in
/// one second, or in one minute where the pattern has no seconds.
pub const MAX_NAME_LEAD: Duration = Duration::from_secs(60);

/// Bytes of a snapshot's name.
pub const MAX_SNAPSHOT_NAME: usize = 128;

/// Levels of directories in a snapshot's name (`%Y/%m%d/%H%M` has three).
pub const MAX_SNAPSHOT_DEPTH: usize = 6;

/// A prepared transaction that nobody completed is set aside after this long without contact.
pub const TRANSACTION_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Pushes in one prepared transaction; merging them costs a walk each.
pub const MAX_PARTS: usize = 1000;

/// Interrupted pushes kept as further link-dests; rsync takes 20 (`MAX_BASIS_DIRS`).
pub const MAX_INTERRUPTED: usize = 8;

/// Depth of a tree that the gate walks itself. Deeper than `PATH_MAX` lets a client's own tools go.
pub const MAX_TREE_DEPTH: usize = 2048;

/// Address space of rsync. It holds about 100 bytes for each file in the list: enough for tens of millions.
pub const CHILD_MEMORY: u64 = 8 * 1024 * 1024 * 1024;

/// Descriptors of rsync: pipes, its list, a file and its basis. Far above its need, far below the kernel's table.
pub const CHILD_FILES: u64 = 256;

/// `rsync --version` may take this long before it counts as broken.
pub const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// After the deadline rsync gets this long between the polite signal and the other one.
pub const TERM_GRACE: Duration = Duration::from_secs(10);

/// Bytes of a hook's output that go into the run's log.
pub const MAX_HOOK_OUTPUT: u64 = 1024 * 1024;

/// Commands in one list of hooks.
pub const MAX_HOOKS: usize = 16;

/// Bytes of the end of a run's log in which rsync's own words are looked for.
pub const MAX_LOG_TAIL: u64 = 64 * 1024;

/// Time to hand one line to the syslog daemon. A stuck daemon never holds up a push.
pub const SYSLOG_TIMEOUT: Duration = Duration::from_millis(200);

/// Bytes of one event in the spool; a larger file was not written by a gate.
pub const MAX_EVENT: u64 = 256 * 1024;

/// Reasons in one answer. A command can be made to break hundreds of rules; the first few tell the story.
pub const MAX_REASONS: usize = 16;

/// Bytes of one option or word quoted in an answer.
pub const MAX_SHOWN_WORD: usize = 80;

/// Seconds that a client may ask for with `--timeout`: a day, like the longest sensible push.
pub const MAX_CLIENT_TIMEOUT: u32 = 86_400;

/// Directories that rsync compares with (`MAX_BASIS_DIRS` in its `rsync.h`); one more and it refuses to start.
pub const MAX_BASIS_DIRS: usize = 20;
