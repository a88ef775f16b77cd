//! How much of a disk something takes, and the words for it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What stands on a disk and was not there before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Bytes that are allocated (stat(2), `st_blocks` times 512).
    pub bytes: u64,
    /// Inodes: files, directories, symbolic links.
    pub inodes: u64,
}

impl Usage {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), inodes: self.inodes.saturating_add(other.inodes) }
    }
}

/// What a count of a tree found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// What was seen.
    pub usage: Usage,
    /// Whether a part of the tree could not be seen.
    pub blind: bool,
}

impl Count {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { usage: self.usage.and(other.usage), blind: self.blind || other.blind }
    }
}

/// What a push can bring too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Bytes on the disk.
    Bytes,
    /// Inodes.
    Inodes,
    /// Bytes of a single file, by the kernel's word (`RLIMIT_FSIZE`).
    FileSize,
    /// Links to unchanged files.
    Links,
}

/// That a push went past a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    /// Of what.
    pub resource: Resource,
    /// The limit.
    pub limit: u64,
    /// How much was found; for [`Resource::FileSize`] and [`Resource::Links`] the limit again.
    pub found: u64,
}

/// A number of bytes for people: a small whole number of some unit, or else one decimal.
#[derive(Debug, Clone, Copy)]
pub struct Bytes(pub u64);

/// The largest number that is easy to read.
const READABLE: u64 = 9999;

/// Units, the largest first.
const UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
];

impl fmt::Display for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, unit)| self.0.is_multiple_of(*unit) && (1..=READABLE).contains(&(self.0 / unit)));
        if let Some((name, unit)) = whole {
            return write!(out, "{} {name}", self.0 / unit);
        }
        match UNITS.iter().find(|(name, unit)| name.contains('i') && self.0 >= *unit) {
            Some((name, unit)) => write!(out, "{}.{} {name}", self.0 / unit, self.0 % unit * 10 / unit),
            None => write!(out, "{} bytes", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_they_were_written() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (2 << 30, "2 GiB"),
            (500_000_000_000, "500 GB"),
            (512 << 20, "512 MiB"),
            (1_234_567, "1.1 MiB"),
            (98048 << 10, "95.7 MiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), words);
        }
    }
}
