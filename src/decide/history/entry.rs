//! What is in a snapshot under a name.

use crate::terms::word::words;

words! {
    /// What an inode is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Sort {
        /// A regular file.
        File = "file",
        /// A directory.
        Directory = "directory",
        /// A symbolic link.
        Link = "symlink",
        /// A FIFO.
        Fifo = "fifo",
        /// A socket.
        Socket = "socket",
        /// A block device.
        Block = "block device",
        /// A character device.
        Character = "character device",
    }
}

impl Sort {
    /// By the bits of a mode (inode(7)).
    pub fn of(mode: u32) -> Self {
        match mode & 0o170_000 {
            0o040_000 => Self::Directory,
            0o120_000 => Self::Link,
            0o010_000 => Self::Fifo,
            0o140_000 => Self::Socket,
            0o060_000 => Self::Block,
            0o020_000 => Self::Character,
            _ => Self::File,
        }
    }

    /// The first letter of a mode, as ls(1) writes it.
    fn letter(self) -> char {
        match self {
            Self::File => '-',
            Self::Directory => 'd',
            Self::Link => 'l',
            Self::Fifo => 'p',
            Self::Socket => 's',
            Self::Block => 'b',
            Self::Character => 'c',
        }
    }
}

/// An inode, as stat(2) shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub sort: Sort,
    /// Its number.
    pub inode: u64,
    /// How many names it has.
    pub names: u64,
    /// Bytes in it.
    pub size: u64,
    /// Bytes that it takes on the disk.
    pub allocated: u64,
    /// When it was changed, in seconds and nanoseconds.
    pub changed: (i64, u32),
    /// Permissions, set-ID bits and the sticky bit.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Which device it is, if it is one.
    pub device: u64,
}

impl Entry {
    /// Its mode, as ls(1) writes it.
    pub fn mode_words(&self) -> String {
        let bit = |mask: u32, letter: char| if self.mode & mask != 0 { letter } else { '-' };
        let execute = |mask: u32, special: u32, both: char| match (self.mode & mask != 0, self.mode & special != 0) {
            (true, true) => both,
            (false, true) => both.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        };
        [
            self.sort.letter(),
            bit(0o400, 'r'),
            bit(0o200, 'w'),
            execute(0o100, 0o4000, 's'),
            bit(0o040, 'r'),
            bit(0o020, 'w'),
            execute(0o010, 0o2000, 's'),
            bit(0o004, 'r'),
            bit(0o002, 'w'),
            execute(0o001, 0o1000, 't'),
        ]
        .iter()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_written_as_ls_writes_them() {
        for (mode, expected) in [
            (0o100_644, "-rw-r--r--"),
            (0o040_755, "drwxr-xr-x"),
            (0o104_755, "-rwsr-xr-x"),
            (0o106_644, "-rwSr-Sr--"),
            (0o041_777, "drwxrwxrwt"),
            (0o120_777, "lrwxrwxrwx"),
            (0o010_600, "prw-------"),
        ] {
            let entry = Entry {
                sort: Sort::of(mode),
                mode: mode & 0o7777,
                inode: 1,
                names: 1,
                size: 0,
                allocated: 0,
                changed: (0, 0),
                owner: (0, 0),
                device: 0,
            };
            assert_eq!(entry.mode_words(), expected);
        }
    }
}
