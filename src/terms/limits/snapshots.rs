//! Bounds on what is said of a snapshot beside the one before it, and on what is looked for in it.
//!
//! None of them may bound what a snapshot can hold.

/// Directories of the last snapshot that a new one has not, which are said; all are counted.
pub const MAX_NAMES_LOST: usize = 10;

/// Files beneath such names that are counted: the look is to take a second, and the number is for a person.
pub const MAX_FILES_LOST: u64 = 1_000_000;

/// Files that have to be gone here and there before anybody is told: of a handful half is nothing.
pub const LEAST_FILES_LOST: u64 = 10;

/// Snapshots that are looked through for the newest one that has the place of a push: a year of one every hour. Each is one directory.
pub const MAX_LOOKED_BACK: usize = 10_000;

/// Earlier snapshots that are remembered because they have more than the ones after them. They are read in each push, and rsync takes
/// [`MAX_BASIS_DIRS`](super::MAX_BASIS_DIRS) trees to compare with.
pub const MAX_FULLER: usize = 8;

/// Bytes of the note that has them, each with a place written as two digits for a byte.
pub const MAX_COUNTED: u64 = 64 * 1024;

/// Names of one directory that a file which rsync had not finished may have been meant for. Most have one or two.
pub const MAX_MEANT: usize = 8;
