//! How much of a disk something takes, and the words for it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Room on a disk: what something takes, or what became free.
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

    /// What is left without it; nothing where that is more.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_sub(other.bytes), inodes: self.inodes.saturating_sub(other.inodes) }
    }
}

/// A sum over names that counts each inode once, however many names it has: each of them adds its
/// share. It remembers nothing, and is exact where all names of an inode are seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shares {
    blocks: u128,
    inodes: u128,
}

/// Binary digits of a share: what is cut off of 2^47 names is less than half a block.
const SHARE: u32 = 48;

/// Bytes of what `st_blocks` counts (stat(2)).
const BLOCK: u64 = 512;

impl Shares {
    /// A name of an inode that takes so many bytes and has so many names in all.
    pub fn add(&mut self, bytes: u64, names: u64) {
        let names = u128::from(names.max(1));
        self.blocks = self.blocks.saturating_add((u128::from(bytes / BLOCK) << SHARE) / names);
        self.inodes = self.inodes.saturating_add((1 << SHARE) / names);
    }

    /// The sum.
    pub fn sum(self) -> Usage {
        let whole = |shares: u128| u64::try_from(shares.saturating_add(1 << (SHARE - 1)) >> SHARE).unwrap_or(u64::MAX);
        Usage { bytes: whole(self.blocks).saturating_mul(BLOCK), inodes: whole(self.inodes) }
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

/// Whose limit it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ground {
    /// That of a single push or transaction (`limits:`).
    #[default]
    Push,
    /// That of all that the client holds (`quota:`).
    Quota,
    /// That of the disk, of which pushes leave some free (`min_free:`).
    Store,
    /// That of what a client is sent in a day (`restore:`).
    Restore,
}

/// That a push went past a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    /// Whose limit.
    pub ground: Ground,
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
const UNITS: [(&str, u64); 10] = [
    ("PiB", 1 << 50),
    ("PB", 1_000_000_000_000_000),
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
    fn shares_count_each_inode_once_whatever_its_names() {
        let mut shares = Shares::default();
        let mut expected = Usage::default();
        for (inode, names) in (1..=2000u64).zip([1, 2, 3, 7, 64_999, 65_000].into_iter().cycle()) {
            (0..names).for_each(|_| shares.add(inode * 4096, names));
            expected = expected.and(Usage { bytes: inode * 4096, inodes: 1 });
        }
        assert_eq!(shares.sum(), expected);
        let mut some = Shares::default();
        some.add(4096, 0);
        assert_eq!((some.sum(), Shares::default().sum()), (Usage { bytes: 4096, inodes: 1 }, Usage::default()));
    }

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
            (1 << 60, "1024 PiB"),
            (u64::MAX, "16383.9 PiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), words);
        }
    }
}
