//! Bounds of the comparison with the snapshot before. None limits what a snapshot can hold.

use std::ops::RangeInclusive;
use std::time::Duration;

use chrono::TimeDelta;

/// Lost directories that are named; all are counted.
pub const MAX_NAMES_LOST: usize = 10;

/// Files counted beneath lost directories: it takes about a second.
pub const MAX_FILES_LOST: u64 = 1_000_000;

/// Fewer scattered files that are gone are not reported: half of a handful is nothing.
pub const LEAST_FILES_LOST: u64 = 10;

/// Snapshots searched for the newest one with the place of a push: a year of one every hour.
pub const MAX_LOOKED_BACK: usize = 10_000;

/// Fuller snapshots that are remembered: fewer than the trees that rsync compares with.
pub const MAX_FULLER: usize = 8;

/// Bytes of the note on them, each with a place in hexadecimal.
pub const MAX_COUNTED: u64 = 64 * 1024;

/// Names that an unfinished file may have been meant for. Most have one or two.
pub const MAX_MEANT: usize = 8;

/// Snapshots of one kind that a policy may have kept: one an hour for eleven years.
pub const KEEP_LIMIT: RangeInclusive<u64> = 1..=100_000;

/// How many days back a policy may have snapshots kept, and how many it may make one of.
pub const MAX_KEEP_DAYS: u32 = 100 * 366;

/// Steps in which a policy's strategy may thin out snapshots.
pub const MAX_KEEP_STEPS: usize = 16;

/// How long a client that browses may be silent: whoever mounts snapshots looks at them again after
/// the night. One that is gone keeps its place among the sessions no longer than this.
pub const BROWSE_IDLE: Duration = Duration::from_secs(12 * 3600);

/// Address space of an sftp-server, in bytes: it holds a list of one directory and a few packets.
pub const BROWSE_MEMORY: u64 = 1024 * 1024 * 1024;

/// How long a program that browses may take to load: it takes a hundredth of a second. After that it
/// is none that says when it is loaded.
pub const LOADING_TIME: Duration = Duration::from_secs(10);

/// How long it may take to change a process's root, which is nothing but four calls.
pub const FRONT_TIME: Duration = Duration::from_secs(10);

/// Threads that remove a snapshot.
pub const REAP_THREADS: usize = 4;

/// Directories that wait for a thread of the reaper's, each with two descriptors.
pub const REAP_QUEUE: usize = 32;

/// After so many entries the reaper looks whether a push is running.
pub const REAP_LOOK: u64 = 512;

/// Snapshots that an event names; all are counted.
pub const MAX_REPORTED_SNAPSHOTS: usize = 100;

/// Bytes of what a process in a namespace reports to `snapgate prune`: each of the snapshots of
/// [`MAX_LOOKED_BACK`] with all that keeps it, several times over.
pub const MAX_TOLD: usize = 16 * 1024 * 1024;

/// For how long a process in a namespace works on a client's repository at a time. The account can
/// stop it, and the other clients wait meanwhile.
pub const REACH_LIMIT: Duration = Duration::from_secs(4 * 3600);

/// For how long such a process may stay when it has said all.
pub const REACH_GRACE: Duration = Duration::from_secs(10);

/// For how long the reaper works for a client at a time, within [`REACH_LIMIT`]. The next one goes
/// on.
pub const REAP_LIMIT: Duration = Duration::from_secs(2 * 3600);

/// How long the reaper waits for the kernel to be done with its threads.
pub const THREADS_GONE: Duration = Duration::from_secs(1);

/// For how long the reaper waits for the ends of pushes when it has nothing else to do. The next
/// one goes on.
pub const REAP_PATIENCE: Duration = Duration::from_secs(600);

/// How often it looks whether they have ended.
pub const REAP_POLL: Duration = Duration::from_millis(500);

/// After that long a problem that stays is mailed again.
pub const REPEATED_AFTER: TimeDelta = TimeDelta::days(1);

/// Snapshots that one pull may read from: each is a mount in its view.
pub const MAX_PULLED: usize = 16;

/// Snapshots that `rsync HOST:` lists and a session of sftp has mounted, the newest: two years of one
/// every hour.
pub const MAX_LISTED: usize = 20_000;

/// How long nothing may move in a pull: a client with `-c` reads a large file of its own meanwhile.
pub const PULL_IDLE: Duration = Duration::from_secs(2 * 3600);

/// How often a reader of snapshots is looked at, whether its client is still there. It is ended at
/// the second look in vain: most end by themselves before.
pub const CLIENT_LOOK: Duration = Duration::from_secs(2);

/// Bytes of the book of what a client was sent in a day.
pub const MAX_DAILY: u64 = 4096;

/// How often it is looked at what a client is sent, and entered where a limit or a mail depends on it.
pub const SENT_LOOK: Duration = Duration::from_millis(500);

/// Files in the places that a policy names under `drill:`, and in a sample.
pub const MAX_DRILLED: usize = 100_000;

/// Places that it may name.
pub const MAX_DRILL_PLACES: usize = 1000;

/// Bytes of the note of clients whose last drill failed: tens of thousands of them.
pub const MAX_FAILING_DRILLS: u64 = 4 * 1024 * 1024;

/// Bytes of a line that the rsync of `snapgate restore` says.
pub const MAX_SAID: usize = 4096;

/// How often it is entered where neither does.
pub const SENT_ENTRY: Duration = Duration::from_secs(5);

/// Bytes that count where the gate was killed, for what it had not entered yet: what a line of a
/// gigabit takes within [`SENT_LOOK`].
pub const LOST_SENT: u64 = 64 * 1024 * 1024;
