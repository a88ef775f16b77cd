//! Every bound on what comes from outside, each with its reason. A number that limits a stranger has its home here.

mod check;
mod mail;
mod snapshots;
mod time;

use std::time::Duration;

pub use check::*;
pub use mail::*;
pub use snapshots::*;
pub use time::*;

/// Bytes of a client's name: it is a file name and stands in a mail's subject.
pub const MAX_CLIENT_NAME: usize = 64;

/// Bytes of `SSH_ORIGINAL_COMMAND` that are looked at. The longest real rsync command in the captures is under 300
/// bytes; the kernel would let sshd hand over 128 KiB (`MAX_ARG_STRLEN`).
pub const MAX_COMMAND: usize = 16 * 1024;

/// Words of a command. Every option of rsync at once stays under this.
pub const MAX_WORDS: usize = 256;

/// Bytes of the block that `-s` (`--secluded-args`) sends on standard input, name and ends included. Every option of
/// rsync and the longest place fit; each byte costs a system call, and a refusal should cost little.
pub const MAX_SECLUDED: usize = 4 * 1024;

/// Words of that block behind the name; see [`MAX_WORDS`].
pub const MAX_SECLUDED_WORDS: usize = 256;

/// Time for the whole block. A client writes it in one go, before it waits for anything: this is for its line.
pub const SECLUDED_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of foreign text quoted in one line of a log, mail or answer: as much of it as anybody reads.
pub const MAX_QUOTED: usize = 512;

/// Bytes of a destination inside the snapshot (`PATH_MAX` less room for the repository's own path).
pub const MAX_SUBPATH: usize = 2048;

/// Names of a destination inside the snapshot. Each is a directory that the gate makes and looks up; people use a handful.
pub const MAX_SUBPATH_DEPTH: usize = 64;

/// Bytes of a site or policy file. A policy of a thousand networks is about 20 KiB.
pub const MAX_CONFIG_FILE: u64 = 64 * 1024;

/// Elements of any one list in a site or policy file: more networks than such a file holds, were each ten bytes long.
pub const MAX_LIST: usize = 4096;

/// Policies in one directory that are searched for a key, each of them a file to open. Past it, identify by account or `--client`.
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

/// Time for all of a policy's `host:` names together. A name that has not answered by then does not match.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes of a host's name (RFC 1035, 2.3.4, as text).
pub const MAX_HOST_NAME: usize = 253;

/// `host:` names in one policy; each costs a process while it is looked up.
pub const MAX_HOSTS: usize = 16;

/// How far a snapshot's name may run ahead of the clock so that it stays later than the newest one: two pushes in
/// one second, or in one minute where the pattern has no seconds.
pub const MAX_NAME_LEAD: Duration = Duration::from_secs(60);

/// Bytes of a snapshot's name: half of what one file name may have, so that with any pattern there is room around it.
pub const MAX_SNAPSHOT_NAME: usize = 128;

/// Levels of directories in a snapshot's name (`%Y/%m%d/%H%M` has three).
pub const MAX_SNAPSHOT_DEPTH: usize = 6;

/// A prepared transaction is closed this long after its pushes could have ended (`time_limits: {push: …}`), however often
/// somebody pushes into it: a `prepare` that was forgotten must not swallow backups for good.
pub const TRANSACTION_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// Pushes in one prepared transaction; merging them costs a walk each.
pub const MAX_PARTS: usize = 1000;

/// Depth of a tree that the gate walks itself: what rsync can make below its directory (`PATH_MAX` of single letters),
/// below a place as deep as it may be. A limit that a push could pass would keep every later one out.
pub const MAX_TREE_DEPTH: usize = 2048 + MAX_SUBPATH_DEPTH + 64;

/// Address space of rsync where no policy says `limits: {memory: …}`. It holds about 100 bytes for each file in the list:
/// enough for tens of millions.
pub const CHILD_MEMORY: u64 = 8 * 1024 * 1024 * 1024;

/// Descriptors of rsync, which needs a dozen and, when it walks carefully, one for each level of a path.
pub const CHILD_FILES: u64 = 8192;

/// `rsync --version` may take this long before it counts as broken: a disk that has to wake up first is slower than most.
pub const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of the answer to `rsync --version` that are read: the version is on the first line.
pub const MAX_VERSION_ANSWER: u64 = 4096;

/// After the deadline rsync gets this long between the polite signal and the other one.
pub const TERM_GRACE: Duration = Duration::from_secs(10);

/// What a child has started gets this long to end by itself when the child has.
pub const GROUP_GRACE: Duration = Duration::from_secs(2);

/// When something of it is still there after this, although it was killed, it hangs in the kernel, and nothing is published.
pub const GROUP_GONE: Duration = Duration::from_secs(20);

/// Between two looks at whether it has ended: a push must not be longer for it.
pub const GROUP_POLL: Duration = Duration::from_millis(1);

/// Commands in one list of hooks. The client waits for each; more of them belong into a script.
pub const MAX_HOOKS: usize = 16;

/// Bytes of the end of a run's log that are read where it is longer than [`MAX_READ_LOG`]: hundreds of lines.
pub const MAX_LOG_TAIL: u64 = 64 * 1024;

/// Time to hand one line to the syslog daemon, hundreds of times what it takes. A stuck daemon never holds up a push.
pub const SYSLOG_TIMEOUT: Duration = Duration::from_millis(200);

/// Bytes of one line to syslog (RFC 3164 asks for 1 KiB, every daemon of today takes more).
pub const MAX_SYSLOG_LINE: usize = 2048;

/// Levels of nesting in a site or policy file; the deepest real value has four.
pub const MAX_CONFIG_DEPTH: usize = 16;

/// `time_limits: {idle: …}`. Shorter would end healthy pushes over bad lines; longer holds the lock for a dead client.
pub const IDLE_LIMIT: std::ops::RangeInclusive<Duration> = Duration::from_secs(10)..=Duration::from_secs(24 * 3600);

/// `idle` where no policy says it.
pub const DEFAULT_IDLE: Duration = Duration::from_secs(600);

/// `time_limits: {push: …}`. A first push over a slow line may take weeks; a push that must not take longer than a
/// second is odd, but it is the administrator's word.
pub const PUSH_LIMIT: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3600);

/// `push` where no policy says it.
pub const DEFAULT_PUSH: Duration = Duration::from_secs(24 * 3600);

/// `time_limits: {hook: …}`. The client waits at the other end all the while.
pub const HOOK_LIMIT: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// `hook` where no policy says it.
pub const DEFAULT_HOOK: Duration = Duration::from_secs(300);

/// Bytes of a unix account's name (`LOGIN_NAME_MAX` of Linux without its last byte). useradd makes shorter ones; a domain's have its name in them.
pub const MAX_ACCOUNT_NAME: usize = 255;

/// Bytes of a network interface's name (`IFNAMSIZ` of Linux without its last byte).
pub const MAX_LINK_NAME: usize = 15;

/// Bytes of a mail address (RFC 5321, 4.5.3.1.3).
pub const MAX_MAIL_ADDRESS: usize = 254;

/// Reasons in one answer. A command can be made to break hundreds of rules; the first few tell the story.
pub const MAX_REASONS: usize = 16;

/// Programs that one answer gives advice about, and names: it has to stay one line.
pub const MAX_ADVICE: usize = 4;

/// Bytes of one option or word quoted in an answer: it has to stay one line of a terminal.
pub const MAX_SHOWN_WORD: usize = 80;

/// Seconds that a client may ask for with `--timeout`: a day, like the longest sensible push.
pub const MAX_CLIENT_TIMEOUT: u32 = 86_400;

/// Directories that rsync compares with (`MAX_BASIS_DIRS` in its `rsync.h`); one more and it refuses to start.
pub const MAX_BASIS_DIRS: usize = 20;

/// A store with less room than this, in bytes, is full: a ledger line and a mail must still fit.
pub const MIN_FREE_BYTES: u64 = 1024 * 1024;

/// Time for rsync's receiver to follow its ended parent before the gate gives up on the tree.
pub const RSYNC_GONE: Duration = Duration::from_secs(15);

/// Parts of an open transaction used as link-dests; with what was set aside and the newest snapshot that is rsync's 20.
pub const MAX_PART_BASES: usize = 18;

/// How long a lock that is taken is waited for: long enough for a question about it, or a last step, to pass.
pub const LOCK_PATIENCE: Duration = Duration::from_millis(300);

/// Pause between two tries at a lock, short beside [`LOCK_PATIENCE`].
pub const LOCK_POLL: Duration = Duration::from_millis(10);

/// Complaints of rsync's that are quoted in a record: the first say what began it, and the last how it ended. The run's log has them all.
pub const MAX_LOG_LINES: usize = 12;

/// Bytes of `/proc/self/mountinfo`. A line is about 150 bytes: enough for ten thousands of mounts.
pub const MAX_MOUNTINFO: u64 = 4 * 1024 * 1024;

/// Bytes of a path that rsync hands to the kernel, its zero included (`PATH_MAX`).
pub const MAX_CALL_PATH: usize = 4096;

/// Links that one push may have recorded: as many as rsync's own list of files holds in [`CHILD_MEMORY`]. One that asks for more is ended.
pub const MAX_LINKS: u64 = 100_000_000;

/// Bytes that they may take on the disk while rsync runs: about 20 for each.
pub const MAX_LINK_LOG: u64 = 1024 * 1024 * 1024;

/// Bytes of them that stand in memory before they go to a file: those of a push of a hundred thousand files.
pub const LINK_LOG_MEMORY: usize = 1024 * 1024;

/// Bytes that a name takes in a directory besides its own (ext4, `struct ext4_dir_entry_2`, and some for its index).
pub const DIRECTORY_ENTRY: u64 = 16;

/// Threads that make recorded links. Each link is a handful of system calls, which two processors share well.
pub const LINK_THREADS: u8 = 2;

/// A push whose time is over when its rsync has ended still gets this long to have its links made: a hundred thousand in a second, mostly.
pub const LEAST_LINK_TIME: Duration = Duration::from_secs(600);

/// After a push of so long the disk is sent what has arrived while the gate still counts and links. A shorter one would only wait for a
/// second trip to it.
pub const WORTH_SYNCING_AHEAD: Duration = Duration::from_millis(250);

/// Links between two looks at the clock while they are made.
pub const LINKS_BETWEEN_LOOKS: u64 = 1024;

/// Links that are made by one thread: starting a second one would take longer.
pub const FEW_LINKS: u64 = 2000;

/// Names of lost links that are quoted in a warning.
pub const MAX_LOST: usize = 5;

/// Bytes of what one rsync has said that are kept when it has ended: far more than anybody reads.
pub const MAX_RSYNC_LOG: u64 = 4 * 1024 * 1024;

/// Bytes of such a log that are read from its beginning: the owners of more than ten million files, or the names of some millions.
pub const MAX_READ_LOG: u64 = 512 * 1024 * 1024;

/// Bytes of one message of rsync's that are looked at. It cuts its own at 2 KiB, and writes some bytes as five.
pub const MAX_MESSAGE: usize = 16 * 1024;

/// Bytes of a line in which an owner is looked for, many times what one has. What is longer is read in pieces.
pub const MAX_OWNER_LINE: u64 = 1024;

/// Owners of others' files that are told apart in a push: more than a machine has.
pub const MAX_DROPPED_OWNERS: usize = 10_000;

/// Bytes of files that are read in a push to see whether those that were stored again are the same as before: a second of a slow disk.
pub const MAX_COMPARED: u64 = 64 * 1024 * 1024;

/// Bytes of a file's access list: no attribute has more (xattr(7)).
pub const MAX_ACCESS_LIST: usize = 64 * 1024;

/// Bytes of one that are asked for at first, since the kernel clears as many: some thirty entries.
pub const USUAL_ACCESS_LIST: usize = 256;

/// Processes of one rsync that are looked at while it is counted. `limits: {processes: …}` is mostly far below.
pub const MAX_FAMILY: usize = 10_000;

/// Bytes of `/proc/pid/maps` that are looked at for each of them: ten times what an rsync has.
pub const MAX_MAPS: u64 = 256 * 1024;

/// Address space of the gate itself. It reads directories, links and logs in pieces, whatever their number.
pub const GATE_MEMORY: u64 = 256 * 1024 * 1024;

/// `limits: {sessions: …}`. Each is a process of about 4 MB with an sshd of its own beside it.
pub const SESSIONS_LIMIT: std::ops::RangeInclusive<u64> = 1..=1000;

/// `sessions` where no policy says it: a push, its transaction's questions, and a few impatient ones besides.
pub const DEFAULT_SESSIONS: u64 = 8;

/// `sessions:` of the site file, all clients together.
pub const ALL_SESSIONS_LIMIT: std::ops::RangeInclusive<u64> = 1..=10_000;

/// `sessions:` where the site file does not say it: with rsync at a few MB each this fits a machine of 2 GB.
pub const DEFAULT_ALL_SESSIONS: u64 = 100;

/// `limits: {memory: …}`. With less than this rsync could not even start; with more the kernel's own killer decides.
pub const MEMORY_LIMIT: std::ops::RangeInclusive<u64> = 128 * 1024 * 1024..=1024 * 1024 * 1024 * 1024;

/// `limits: {processes: …}`. rsync is two.
pub const PROCESSES_LIMIT: std::ops::RangeInclusive<u64> = 4..=10_000;

/// `processes` where no policy says it: far below what a fork bomb needs to be felt.
pub const DEFAULT_PROCESSES: u64 = 64;

/// `limits: {bytes: …}`. Below a few blocks every push is too much.
pub const BYTES_LIMIT: std::ops::RangeInclusive<u64> = 1024 * 1024..=1 << 60;

/// `limits: {inodes: …}`. Fewer files are no backup, more no file system holds.
pub const INODES_LIMIT: std::ops::RangeInclusive<u64> = 10..=1 << 40;

/// Bytes that no disk takes in a second. A push is looked at before it could have gone past its limit at this speed.
pub const FASTEST_BYTES: u64 = 4 * 1024 * 1024 * 1024;

/// Files that no file system makes in a second; see [`FASTEST_BYTES`].
pub const FASTEST_INODES: u64 = 100_000;

/// Bytes that the smallest file takes on common file systems.
pub const BLOCK: u64 = 4096;

/// Between two looks at how much a push has stored, at the least: it bounds what a look costs.
pub const SHORTEST_LOOK: Duration = Duration::from_millis(50);

/// Between two looks at how much a push has stored, at the most: where the counters of the kernel do not tell, this does.
pub const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// A count of a tree is followed by so many times its own time without one: it takes a twentieth of the processor.
pub const COUNT_SHARE: u32 = 20;

/// The same while rsync may have reached its limit: then a count takes at most half of the processor.
pub const URGENT_SHARE: u32 = 1;

/// Descriptors of the gate itself. Its walks hold one or two for each level of a tree, and one for each tree that they compare
/// with: [`MAX_TREE_DEPTH`] levels and [`MAX_BASIS_DIRS`] trees may be there.
pub const GATE_FILES: u64 = 65_536;

/// Bytes of `SSH_CONNECTION`: two addresses and two ports are under 110.
pub const MAX_CONNECTION: usize = 256;

/// Bytes of `/etc/passwd`, or of `/etc/group`, that are read. A line is about 60 bytes: enough for a quarter of a million accounts.
pub const MAX_PASSWD: u64 = 16 * 1024 * 1024;

/// Bytes of a line of it. The C library begins with room for 1024 (`NSS_BUFLEN_PASSWD`).
pub const MAX_PASSWD_LINE: usize = 4096;

/// Bytes of `/etc/subuid` and of `/etc/subgid`: some thirty thousand accounts.
pub const MAX_SUBIDS: u64 = 1024 * 1024;

/// Ranges of subordinate ids of one account. The kernel takes 340 lines of a map (user_namespaces(7)), five before Linux 4.15.
pub const MAX_ID_RANGES: usize = 64;

/// Time to ask the name services about an account that is not in `/etc/passwd`. sshd has just asked them the same.
pub const ACCOUNT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for both maps of a user namespace to be written. The helpers read two files of the machine.
pub const MAPPING_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of what the process that did a client's work says about how it ended, and of a note in `unrecorded/` that has the same: a warning for each unfinished place of a
/// transaction, every byte escaped, and a mebibyte of other words.
pub const MAX_END: u64 = (MAX_PARTS * (MAX_QUOTED + 128) * 2 + 1024 * 1024) as u64;

/// Bytes of one answer of the name services: [`MAX_ADDRESSES`] addresses, three times each, or some ten thousand groups.
pub const MAX_ANSWER: usize = 64 * 1024;

/// Bytes of what is told of a part of the jail that was tried and does not hold.
pub const MAX_TRIED: usize = 4096;

/// Addresses of one `host:` name that count. A name with more stands for a whole network, which `from:` can say.
pub const MAX_ADDRESSES: usize = 64;

/// Bytes of a small file of the gate's own in a repository: `run.json`, `rsync.json`. Each has under 300.
pub const MAX_NOTE: u64 = 4096;

/// Bytes of `owners.json` and of `remap.json`: four times [`MAX_ID_RANGES`] ranges, each with under fifty.
pub const MAX_MAPPING_NOTE: u64 = 16 * 1024;

/// Problems that `snapgate remap` names; all are counted.
pub const MAX_NAMED_PROBLEMS: usize = 20;

/// Bytes of `/proc/pid/status`, of which those that name a process's ids come in the first thousand; it may have 65,536 further groups.
pub const MAX_STATUS: u64 = 1024 * 1024;

/// Bytes of what `snapgate remap` keeps of a file whose mode or capability chown(2) clears: two numbers, a time, and a capability.
pub const MAX_KEPT: usize = 256;

/// Bytes of `transaction.json`: as many unfinished places as it may have parts, each as long as a place may be, with every
/// byte escaped.
pub const MAX_TRANSACTION: u64 = 16 * 1024 * 1024;

/// Bytes at the end of a ledger that are read for `snapgate list`: about a hundred thousand connections.
pub const MAX_LEDGER_TAIL: u64 = 64 * 1024 * 1024;

/// Bytes of a path that a client names (`PATH_MAX` of Linux, less its end).
pub const MAX_PATH: usize = 4095;

/// Bytes of one name in it (`NAME_MAX`).
pub const MAX_NAME: usize = 255;

/// Names of a path that a client names. Each may be a symlink and is looked at.
pub const MAX_PATH_DEPTH: usize = 512;

/// Files that a client's patterns may stand for. Their names make rsync's command line, which the kernel bounds at 2 MiB.
pub const MAX_MATCHES: usize = 16 * 1024;

/// Bytes of those names together: half of what the kernel takes (`ARG_MAX`).
pub const MAX_MATCHED: usize = 1024 * 1024;

/// Bytes of a mapping of users or groups (`--usermap`, `--groupmap`, what `--chown` becomes): some dozens of names.
pub const MAX_MAPPING: usize = 1024;

/// Characters of the number in a size (`--max-size`, `--bwlimit`): nine petabytes in bytes have as many.
pub const MAX_SIZE_FIGURE: usize = 16;

/// Digits behind `-e`: of a protocol's number, and of the release under way behind the dot. There have been four at most.
pub const MAX_PROTOCOL_DIGITS: usize = 8;

/// Threads that a client may ask the server's compression to use. 3.5.0 takes any number and starts as many.
pub const MAX_COMPRESS_THREADS: i64 = 4;

/// Bytes of a value of an option that is a word and no path: a list of endings. rsync's own list of those has 600.
pub const MAX_OPTION_VALUE: usize = 1024;

/// Bytes of a command in `snapgate-shell rrsync`, where a pull may name many files: what the kernel lets sshd hand over
/// (`MAX_ARG_STRLEN`).
pub const MAX_PULL_COMMAND: usize = 128 * 1024;

/// Words of such a command: of names of fifteen bytes, as many as its bytes hold.
pub const MAX_PULL_WORDS: usize = 8192;
