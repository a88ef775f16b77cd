//! Bounds on what is said of a snapshot beside the one before it, and on what is looked for in it.
//!
//! None of them may bound what a snapshot can hold.

/// Directories of the last snapshot that a new one has not, which are said; all are counted.
pub const MAX_NAMES_LOST: usize = 10;

/// Files beneath such names that are counted: the look is to take a second, and the number is for a person.
pub const MAX_FILES_LOST: u64 = 1_000_000;

/// Files that have to be gone here and there before anybody is told: of a handful half is nothing.
pub const LEAST_FILES_LOST: u64 = 10;

/// Names of one directory that a file which rsync had not finished may have been meant for. Most have one or two.
pub const MAX_MEANT: usize = 8;
