//! Bounds of the look at what a push may have damaged.

/// Good pushes of a client that are remembered, half a day apart.
pub const MAX_PAST: usize = 30;

/// Places whose pushes are remembered by themselves.
pub const MAX_PLACES: usize = 8;

/// Bytes of the note on them: places are in hexadecimal.
pub const MAX_HISTORY: u64 = 256 * 1024;

/// Bytes of the note on a snapshot that is held.
pub const MAX_HELD_NOTE: u64 = 64 * 1024;

/// Files of each kind that are looked into: more than a hundred tell a share to within a tenth.
pub const MAX_SAMPLED: usize = 128;

/// Fewer files tell nothing of the others.
pub const LEAST_SAMPLED: u64 = 8;

/// Bytes of a file that are compressed, in pieces from its beginning to its end.
pub const SAMPLE_BYTES: usize = 16 * 1024;

/// Shorter files are not looked into: nothing as short compresses well.
pub const LEAST_SAMPLE: usize = 512;

/// Bytes of an ending: the longest that anybody uses have fewer.
pub const MAX_ENDING: usize = 24;

/// Endings that are told apart.
pub const MAX_ENDINGS: usize = 256;

/// Names of the last good snapshot that are read where a push seems to be damage: a second.
pub const MAX_NAMES_READ: u64 = 1_000_000;

/// Files that an alert names.
pub const MAX_NAMED: usize = 20;

/// Files of a policy that never change.
pub const MAX_CANARIES: usize = 32;

/// Bytes of such a file that are compared; a longer one has changed when it came anew.
pub const MAX_CANARY: u64 = 16 * 1024 * 1024;
