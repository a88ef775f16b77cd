//! File systems of a test's own, in a file, by a loop device. They need root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::run::{must, run};
use crate::{client, is_root, mode, skip};

/// Which file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ext4, of any size.
    Ext4,
    /// btrfs, not smaller than 110 MiB: the one that has quotas in every kernel that has it.
    Btrfs,
    /// XFS, which is not made smaller than 300 MiB. Its file takes no more room than is written to it.
    Xfs,
}

/// A small file system, mounted as long as the value lives.
pub struct Mount {
    dir: TempDir,
}

impl Mount {
    /// `None`, and said so, where nothing can be mounted.
    pub fn new(kind: Kind, megabytes: u32) -> Option<Self> {
        Self::made(kind, megabytes, None, &[])
    }

    /// One whose disk has less than it says, as thin ones may: a write is taken, and fails later.
    pub fn thin(megabytes: u32, room: u32) -> Option<Self> {
        Self::made(Kind::Ext4, megabytes, Some(room), &["-O", "^has_journal"])
    }

    fn made(kind: Kind, megabytes: u32, room: Option<u32>, options: &[&str]) -> Option<Self> {
        let (program, usual) = match kind {
            Kind::Ext4 => ("mkfs.ext4", &["-q", "-m", "0"][..]),
            Kind::Btrfs => ("mkfs.btrfs", &["-q"][..]),
            Kind::Xfs => ("mkfs.xfs", &["-q"][..]),
        };
        if !is_root() {
            skip("a file system has to be mounted: needs root");
            return None;
        }
        if client::place(program).is_none() {
            skip(&format!("there is no {program}: `make test` installs it where root and apt can"));
            return None;
        }
        let dir = tempfile::Builder::new().prefix("snapgate-mount-").tempdir().unwrap();
        mode(dir.path(), 0o755);
        let mount = Self { dir };
        fs::create_dir(mount.disk()).unwrap();
        if let Some(room) = room {
            must(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={room}m"), "tmpfs"]).arg(mount.disk()));
        }
        let image = mount.disk().join("image");
        must(Command::new("truncate").arg(format!("--size={megabytes}M")).arg(&image));
        must(Command::new(program).args(usual).args(options).arg(&image));
        fs::create_dir(mount.store()).unwrap();
        let mounted = run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(mount.store()));
        if mounted.status != 0 {
            skip(&format!("no loop mounts of {kind:?} here: {}", mounted.stderr.trim()));
            return None;
        }
        mode(&mount.store(), 0o711);
        Some(mount)
    }

    /// Where it is mounted.
    pub fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// Where the file is that stands for its disk.
    pub fn disk(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    /// Mounts it with other options.
    pub fn remount(&self, options: &str) {
        remount(&self.store(), options);
    }

    /// Gives a [`Mount::thin`] one's disk so much room.
    pub fn enlarge(&self, room: u32) {
        remount(&self.disk(), &format!("size={room}m"));
    }
}

fn remount(path: &Path, options: &str) {
    must(Command::new("mount").args(["-o", &format!("remount,{options}")]).arg(path));
}

impl Drop for Mount {
    fn drop(&mut self) {
        // The server is dropped first, so nothing stands in it any more; a lazy one never leaves it behind.
        let _ = Command::new("umount").arg("-l").arg(self.store()).arg(self.disk()).output();
    }
}
