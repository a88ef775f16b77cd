//! Every bound on what comes from outside, with its reason.

mod anomaly;
mod check;
mod clients;
mod command;
mod digest;
mod history;
mod keys;
mod mail;
mod metrics;
mod past;
mod snapshots;
mod space;
mod time;
mod told;
mod ways;

use std::time::Duration;

pub use anomaly::*;
pub use check::*;
pub use clients::*;
pub use command::*;
pub use digest::*;
pub use history::*;
pub use keys::*;
pub use mail::*;
pub use metrics::*;
pub use past::*;
pub use snapshots::*;
pub use space::*;
pub use time::*;
pub use told::*;
pub use ways::*;

/// Bytes of a client's name: it is a file name and stands in a mail's subject.
pub const MAX_CLIENT_NAME: usize = 64;

/// Bytes of foreign text in one line of a log, mail or answer: as much as anybody reads.
pub const MAX_QUOTED: usize = 512;

/// Bytes of a destination inside the snapshot (`PATH_MAX` less room for the repository's own path).
pub const MAX_SUBPATH: usize = 2048;

/// Names of a destination in the snapshot, each a directory that the gate makes; people use a few.
pub const MAX_SUBPATH_DEPTH: usize = 64;

/// Bytes of a site or policy file. A policy of a thousand networks is about 20 KiB.
pub const MAX_CONFIG_FILE: u64 = 64 * 1024;

/// Elements of a list in a site or policy file: more than fit into such a file.
pub const MAX_LIST: usize = 4096;

/// Policies that are searched for a key. With more, identify by account or `--client`.
pub const MAX_POLICIES: usize = 20_000;

/// Bytes of the file that `SSH_USER_AUTH` names. An RSA-16384 certificate is about 6 KiB.
pub const MAX_AUTH_FILE: u64 = 64 * 1024;

/// Bytes of the random part of that file's name: sshd's has ten, of letters and digits.
pub const MAX_AUTH_NAME: usize = 64;

/// Keys read from that file: sshd writes one line for each method that a login needed.
pub const MAX_AUTH_KEYS: usize = 8;

/// Bytes of a time zone file; the largest in tzdata is under 4 KiB.
pub const MAX_ZONE_FILE: u64 = 64 * 1024;

/// Bytes of a time zone's name; the longest in tzdata has 32.
pub const MAX_ZONE_NAME: usize = 64;

/// Time for all of a policy's `host:` names. A name without an answer by then does not match.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes of a host's name (RFC 1035, 2.3.4, as text).
pub const MAX_HOST_NAME: usize = 253;

/// `host:` names in one policy; each costs a process while it is looked up.
pub const MAX_HOSTS: usize = 16;

/// How far a snapshot's name may run ahead of the clock to be later than the newest: for two pushes
/// in one second, or in one minute where the pattern has no seconds.
pub const MAX_NAME_LEAD: Duration = Duration::from_secs(60);

/// Bytes of a snapshot's name: half of what a file name may have, to leave room around it.
pub const MAX_SNAPSHOT_NAME: usize = 128;

/// Levels of directories in a snapshot's name (`%Y/%m%d/%H%M` has three).
pub const MAX_SNAPSHOT_DEPTH: usize = 6;

/// A transaction is closed this long after its pushes could have ended (`time_limits: {push: …}`):
/// a forgotten `prepare` must not swallow backups for good.
pub const TRANSACTION_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Pushes in one prepared transaction; merging them costs a walk each.
pub const MAX_PARTS: usize = 1000;

/// Depth of a tree that the gate walks: what rsync can make (`PATH_MAX` of single letters) below
/// the deepest place. A limit that a push could pass would keep every later one out.
pub const MAX_TREE_DEPTH: usize = 2048 + MAX_SUBPATH_DEPTH + 64;

/// Default of `limits: {memory: …}`. rsync takes about 100 bytes for each file in the list: enough
/// for tens of millions.
pub const CHILD_MEMORY: u64 = 8 * 1024 * 1024 * 1024;

/// Descriptors of rsync, which needs a dozen and, on careful walks, one for each level of a path.
pub const CHILD_FILES: u64 = 8192;

/// Time for `rsync --version`: a disk that has to wake up first is slower than most.
pub const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of the answer to `rsync --version` that are read: the version is in the first line.
pub const MAX_VERSION_ANSWER: u64 = 4096;

/// Time between the two signals that end rsync at its deadline.
pub const TERM_GRACE: Duration = Duration::from_secs(10);

/// Time for what a child started to end after the child.
pub const GROUP_GRACE: Duration = Duration::from_secs(2);

/// After this, what was killed and is still there hangs in the kernel, and nothing is published.
pub const GROUP_GONE: Duration = Duration::from_secs(20);

/// Pause between two looks at whether it has ended. Every push waits for it.
pub const GROUP_POLL: Duration = Duration::from_millis(1);

/// Commands in one list of hooks. The client waits for each; more belong into a script.
pub const MAX_HOOKS: usize = 16;

/// Bytes at the end of a run's log that are read if it is longer than [`MAX_READ_LOG`].
pub const MAX_LOG_TAIL: u64 = 64 * 1024;

/// Time to send a line to syslog. A stuck daemon never holds up a push.
pub const SYSLOG_TIMEOUT: Duration = Duration::from_millis(200);

/// Bytes of a line to syslog (RFC 3164 asks for 1 KiB, daemons of today take more).
pub const MAX_SYSLOG_LINE: usize = 2048;

/// Levels of nesting in a site or policy file; the deepest real value has four.
pub const MAX_CONFIG_DEPTH: usize = 16;

/// `time_limits: {idle: …}`. Less would end healthy pushes; more keeps the lock for a dead client.
pub const IDLE_LIMIT: std::ops::RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(24 * 3600);

/// Default of `idle`.
pub const DEFAULT_IDLE: Duration = Duration::from_secs(600);

/// `time_limits: {push: …}`. A first push over a slow line may take weeks.
pub const PUSH_LIMIT: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3600);

/// Default of `push`.
pub const DEFAULT_PUSH: Duration = Duration::from_secs(24 * 3600);

/// `time_limits: {hook: …}`. The client waits meanwhile.
pub const HOOK_LIMIT: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Default of `hook`.
pub const DEFAULT_HOOK: Duration = Duration::from_secs(300);

/// Bytes of a unix account's name (`LOGIN_NAME_MAX` of Linux without its last byte).
pub const MAX_ACCOUNT_NAME: usize = 255;

/// Bytes of a network interface's name (`IFNAMSIZ` of Linux without its last byte).
pub const MAX_LINK_NAME: usize = 15;

/// Bytes of a mail address (RFC 5321, 4.5.3.1.3).
pub const MAX_MAIL_ADDRESS: usize = 254;

/// Reasons in one answer. A command can break hundreds of rules; the first few are enough.
pub const MAX_REASONS: usize = 16;

/// Programs that an answer gives advice about: it has to stay one line.
pub const MAX_ADVICE: usize = 4;

/// Bytes of an option or word in an answer: it has to stay one line of a terminal.
pub const MAX_SHOWN_WORD: usize = 80;

/// Seconds of a client's `--timeout`: a day, like the longest sensible push.
pub const MAX_CLIENT_TIMEOUT: u32 = 86_400;

/// Directories that rsync compares with (`MAX_BASIS_DIRS` in its `rsync.h`); it refuses more.
pub const MAX_BASIS_DIRS: usize = 20;

/// A store with fewer bytes free is full: a ledger line and a mail must still fit.
pub const MIN_FREE_BYTES: u64 = 1024 * 1024;

/// Time for rsync's receiver to end after its parent, before the gate gives up on the tree.
pub const RSYNC_GONE: Duration = Duration::from_secs(15);

/// Parts of an open transaction used as link-dests; rsync takes 20 in all.
pub const MAX_PART_BASES: usize = 18;

/// How long a taken lock is waited for: enough for a question or a last step to pass.
pub const LOCK_PATIENCE: Duration = Duration::from_millis(300);

/// How long what interrupted pushes left is kept on a disk that has less free than pushes have to
/// leave: time for a person to make room.
pub const KEPT_WHILE_SHORT: Duration = Duration::from_secs(24 * 3600);

/// Pause between two tries at a lock.
pub const LOCK_POLL: Duration = Duration::from_millis(10);

/// Complaints of rsync in a record: the first and the last. The run's log has them all.
pub const MAX_LOG_LINES: usize = 12;

/// Bytes of `/proc/self/mountinfo`: enough for tens of thousands of mounts.
pub const MAX_MOUNTINFO: u64 = 4 * 1024 * 1024;

/// Bytes of a path that rsync hands to the kernel, its zero included (`PATH_MAX`).
pub const MAX_CALL_PATH: usize = 4096;

/// Links that one push may record: as many as fit into rsync's list in [`CHILD_MEMORY`].
pub const MAX_LINKS: u64 = 100_000_000;

/// Bytes that these may take on the disk: about 20 each.
pub const MAX_LINK_LOG: u64 = 1024 * 1024 * 1024;

/// Bytes of these in memory before they go to a file: a push of a hundred thousand files.
pub const LINK_LOG_MEMORY: usize = 1024 * 1024;

/// Bytes of a name in a directory besides its own (ext4, `struct ext4_dir_entry_2`, and its index).
pub const DIRECTORY_ENTRY: u64 = 16;

/// Threads that make recorded links. Two processors share the system calls well.
pub const LINK_THREADS: u8 = 2;

/// Time for a push's links after its deadline: a hundred thousand take about a second.
pub const LEAST_LINK_TIME: Duration = Duration::from_secs(600);

/// After a push of so long the disk is synced while the gate still counts and links. A shorter push
/// would only wait for it twice.
pub const WORTH_SYNCING_AHEAD: Duration = Duration::from_millis(250);

/// Links between two looks at the clock.
pub const LINKS_BETWEEN_LOOKS: u64 = 1024;

/// Links that one thread makes faster than two.
pub const FEW_LINKS: u64 = 2000;

/// Names of lost links in a warning.
pub const MAX_LOST: usize = 5;

/// Bytes of an rsync's log that are kept: far more than anybody reads.
pub const MAX_RSYNC_LOG: u64 = 4 * 1024 * 1024;

/// Bytes at the beginning of such a log that are read: owners of more than ten million files.
pub const MAX_READ_LOG: u64 = 512 * 1024 * 1024;

/// Bytes of one message of rsync's. It cuts them at 2 KiB, and writes some bytes as five.
pub const MAX_MESSAGE: usize = 16 * 1024;

/// Bytes of a line that are searched for an owner. A longer one is read in pieces.
pub const MAX_OWNER_LINE: u64 = 1024;

/// Different owners counted in a push: more than a machine has.
pub const MAX_DROPPED_OWNERS: usize = 10_000;

/// Bytes read in a push to compare files that were stored again: a second of a slow disk.
pub const MAX_COMPARED: u64 = 64 * 1024 * 1024;

/// Bytes of a file's access list: no attribute has more (xattr(7)).
pub const MAX_ACCESS_LIST: usize = 64 * 1024;

/// Bytes of one that are asked for first, since the kernel clears as many: some thirty entries.
pub const USUAL_ACCESS_LIST: usize = 256;

/// Processes of one rsync that are counted. `limits: {processes: …}` is usually far below.
pub const MAX_FAMILY: usize = 10_000;

/// Bytes of `/proc/pid/maps` that are read for each of them: ten times what an rsync has.
pub const MAX_MAPS: u64 = 256 * 1024;

/// Address space of the gate. It reads directories, links and logs in pieces.
pub const GATE_MEMORY: u64 = 256 * 1024 * 1024;

/// `limits: {sessions: …}`. Each is a process of about 4 MB, with an sshd beside it.
pub const SESSIONS_LIMIT: std::ops::RangeInclusive<u64> = 1..=1000;

/// Default of `sessions`: a push, its transaction's questions, and a few impatient ones.
pub const DEFAULT_SESSIONS: u64 = 8;

/// `sessions:` of the site file, for all clients together.
pub const ALL_SESSIONS_LIMIT: std::ops::RangeInclusive<u64> = 1..=10_000;

/// Default of `sessions:` of the site file: with rsync at a few MB each it fits 2 GB.
pub const DEFAULT_ALL_SESSIONS: u64 = 100;

/// `limits: {memory: …}`. With less rsync could not start; with more the OOM killer decides.
pub const MEMORY_LIMIT: std::ops::RangeInclusive<u64> = 128 * 1024 * 1024..=1024 * 1024 * 1024 * 1024;

/// `limits: {processes: …}`. rsync needs two.
pub const PROCESSES_LIMIT: std::ops::RangeInclusive<u64> = 4..=10_000;

/// Default of `processes`: far below what a fork bomb needs.
pub const DEFAULT_PROCESSES: u64 = 64;

/// `limits: {bytes: …}`. With less every push is too much.
pub const BYTES_LIMIT: std::ops::RangeInclusive<u64> = 1024 * 1024..=1 << 60;

/// `limits: {inodes: …}`. Fewer files are no backup, more no file system holds.
pub const INODES_LIMIT: std::ops::RangeInclusive<u64> = 10..=1 << 40;

/// Bytes that no disk takes in a second: a push is checked before it can exceed its limit.
pub const FASTEST_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// Files that no file system makes in a second; see [`FASTEST_BYTES`].
pub const FASTEST_INODES: u64 = 100_000;

/// Bytes that the smallest file takes on common file systems.
pub const BLOCK: u64 = 4096;

/// Pause between two counts of what a push has stored, at the least: it bounds their cost.
pub const SHORTEST_LOOK: Duration = Duration::from_millis(50);

/// The same at the most: where the kernel's counters are silent, this decides.
pub const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// A count is followed by so many times its own duration without one.
pub const COUNT_SHARE: u32 = 20;

/// The same while rsync may be near its limit.
pub const URGENT_SHARE: u32 = 1;

/// Descriptors of the gate. A walk holds one or two for each level ([`MAX_TREE_DEPTH`]), and one
/// for each tree that it compares with ([`MAX_BASIS_DIRS`]).
pub const GATE_FILES: u64 = 65_536;

/// Bytes of `SSH_CONNECTION`: two addresses and two ports are under 110.
pub const MAX_CONNECTION: usize = 256;

/// Bytes of `/etc/passwd` or `/etc/group`: enough for a quarter of a million accounts.
pub const MAX_PASSWD: u64 = 16 * 1024 * 1024;

/// Bytes of a line of these. The C library begins with 1024 (`NSS_BUFLEN_PASSWD`).
pub const MAX_PASSWD_LINE: usize = 4096;

/// Bytes of `/etc/subuid` and of `/etc/subgid`: some thirty thousand accounts.
pub const MAX_SUBIDS: u64 = 1024 * 1024;

/// Ranges of subordinate ids of an account. The kernel takes 340 (user_namespaces(7)).
pub const MAX_ID_RANGES: usize = 64;

/// Time for the name services to answer about an account. sshd has just asked them the same.
pub const ACCOUNT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for both maps of a user namespace to be written.
pub const MAPPING_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a worker's report on its end, and of a note in `unrecorded/` with the same: a warning
/// for each unfinished place of a transaction, every byte escaped, and a mebibyte of other text.
pub const MAX_END: u64 = (MAX_PARTS * (MAX_QUOTED + 128) * 2 + 1024 * 1024) as u64;

/// Bytes of an answer of the name services: [`MAX_ADDRESSES`] three times, or ten thousand groups.
pub const MAX_ANSWER: usize = 64 * 1024;

/// Bytes of the report on a part of the jail that does not hold.
pub const MAX_TRIED: usize = 4096;

/// Addresses of a `host:` name. One with more is a whole network, which `from:` can say.
pub const MAX_ADDRESSES: usize = 64;

/// Bytes of a small file of the gate's in a repository, such as `run.json`. Each has under 300.
pub const MAX_NOTE: u64 = 4096;

/// Bytes of `owners.json` and of `remap.json`: four times [`MAX_ID_RANGES`] ranges.
pub const MAX_MAPPING_NOTE: u64 = 16 * 1024;

/// Problems that `snapgate remap` names; all are counted.
pub const MAX_NAMED_PROBLEMS: usize = 20;

/// Bytes of `/proc/pid/status`. It may list 65,536 groups.
pub const MAX_STATUS: u64 = 1024 * 1024;

/// Bytes that `snapgate remap` keeps of what chown(2) clears: a mode, a time, a capability.
pub const MAX_KEPT: usize = 256;

/// Bytes of `transaction.json`: the most and longest unfinished places, every byte escaped.
pub const MAX_TRANSACTION: u64 = 16 * 1024 * 1024;

/// Bytes of a path that a client names (`PATH_MAX` of Linux, less its end).
pub const MAX_PATH: usize = 4095;

/// Bytes of one name (`NAME_MAX`).
pub const MAX_NAME: usize = 255;

/// Names in a client's path. Each may be a symlink and is looked up.
pub const MAX_PATH_DEPTH: usize = 512;

/// Files that a client's patterns may match. Their names become rsync's arguments.
pub const MAX_MATCHES: usize = 16 * 1024;

/// Bytes of these names: half of what the kernel takes (`ARG_MAX`).
pub const MAX_MATCHED: usize = 1024 * 1024;

/// Bytes of a map of users or groups (`--usermap`, `--groupmap`): some dozens of names.
pub const MAX_MAPPING: usize = 1024;

/// Digits of a size (`--max-size`, `--bwlimit`): nine petabytes in bytes have as many.
pub const MAX_SIZE_FIGURE: usize = 16;

/// Digits of a protocol behind `-e`, on both sides of the dot. There have been four at most.
pub const MAX_PROTOCOL_DIGITS: usize = 8;

/// Threads of the server's compression that a client may ask for. 3.5.0 starts any number.
pub const MAX_COMPRESS_THREADS: i64 = 4;

/// Bytes of an option's value that is not a path. rsync's own list of endings has 600.
pub const MAX_OPTION_VALUE: usize = 1024;

/// Bytes of a command for `snapgate-shell rrsync`: a pull may name many files.
pub const MAX_PULL_COMMAND: usize = 128 * 1024;

/// Words of such a command: names of fifteen bytes fill it.
pub const MAX_PULL_WORDS: usize = 8192;
