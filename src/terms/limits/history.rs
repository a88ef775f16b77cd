//! Bounds of asking history. A tree may have any number of files; these bound what is remembered
//! of it, read of it, and said about it.

use std::time::Duration;

/// Bytes that a client is sent of one answer. rsync has no such limit.
pub const MAX_ANSWERED: u64 = 64 * 1024 * 1024;

/// For how long a client is answered: a walk through everything that it holds.
pub const ANSWER_TIME: Duration = Duration::from_secs(10 * 60);

/// The same for the administrator.
pub const ASK_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of a file that `cat` shows a client.
pub const MAX_SHOWN_FILE: u64 = 16 * 1024 * 1024;

/// Names that a pattern may stand for.
pub const MAX_FOUND: usize = 10_000;

/// Bytes of a pattern.
pub const MAX_PATTERN: usize = 1024;

/// Bytes of names, in directories that are open at a time.
pub const MAX_OPEN_NAMES: usize = 56 * 1024 * 1024;

/// Differences of two snapshots among which files are looked for that were moved.
pub const MAX_MOVABLE: usize = 50_000;

/// Bytes of their names.
pub const MAX_MOVABLE_NAMES: usize = 8 * 1024 * 1024;

/// Bytes that one command reads to compare files. Beyond, size and time say whether they differ.
pub const MAX_READ_ALIKE: u64 = 16 * 1024 * 1024 * 1024;

/// Files of one size that one may have been moved to.
pub const MAX_ALIKE: usize = 4;

/// Bytes of a text of which differences are shown.
pub const MAX_DIFFED: u64 = 1024 * 1024;

/// For how long lines of two texts are compared.
pub const DIFF_TIME: Duration = Duration::from_secs(1);

/// Names of inodes with several names that are told apart at a time.
pub const MAX_SEVERAL: usize = 2_000_000;

/// Bytes of an error that comes from where history is read.
pub const MAX_READERS_FAULT: usize = 16 * 1024;

/// Bytes of a line that comes from there: a path, escaped, twice.
pub const MAX_ANSWER_LINE: usize = 128 * 1024;

/// Address space of the process that reads history, in bytes.
pub const READER_MEMORY: u64 = 512 * 1024 * 1024;

/// Years, months or days that `yesterday` goes back.
pub const MAX_GOING_BACK: u32 = 1_000_000;

/// Entries of a tree between two looks whether somebody still reads the answer.
pub const LOOK_FOR_READERS: u64 = 4096;
