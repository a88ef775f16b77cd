//! Bounds of `snapgate restore` and `snapgate drill`.

/// Files in the places that a policy names under `drill:`, and in a sample.
pub const MAX_DRILLED: usize = 100_000;

/// Places that it may name.
pub const MAX_DRILL_PLACES: usize = 1000;

/// Bytes of a line that the rsync of `snapgate restore` says.
pub const MAX_SAID: usize = 4096;
