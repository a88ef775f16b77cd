//! The notes and locks of a repository, for root: its account could put links in their place.
//!
//! Only plain files are followed or believed.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::disk::read_bounded;
use super::super::owners::NOTE;
use super::super::{Lock, OrTrouble as _, trouble};
use crate::decide::owners::remap::Holder;
use crate::terms::limits::MAX_MAPPING_NOTE;
use crate::terms::{Mapping, Reason};

pub(super) const ROOT: Holder = Holder { user: 0, group: 0 };

/// The gate's, and the one that rsync carries.
pub(super) const LOCKS: [&str; 2] = ["lock", "rsync.lock"];

/// What is not in its place yet. It may be there when a run was killed, and be root's.
pub(super) const NEW: &str = "remap.new";

#[derive(Debug)]
pub(super) struct Notes {
    directory: OwnedFd,
    path: PathBuf,
}

impl AsFd for Notes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Notes {
    pub(super) fn new(directory: OwnedFd, path: PathBuf) -> Self {
        Self { directory, path }
    }

    /// The account that has the directory, and made it; root may have made the repository's own.
    pub(super) fn holder(&self) -> Result<Holder, Reason> {
        let found = fstat(&self.directory).or_trouble("looking at", &self.path)?;
        Ok(Holder { user: found.st_uid, group: found.st_gid })
    }

    /// Whether these stand in the same directory.
    pub(super) fn is(&self, other: &Self) -> Result<bool, Reason> {
        let place = |notes: &Self| fstat(&notes.directory).map(|found| (found.st_dev, found.st_ino));
        place(self).and_then(|own| Ok(own == place(other)?)).or_trouble("looking at", &self.path)
    }

    /// Closes the directory to everybody but its account.
    pub(super) fn close(&self) -> io::Result<()> {
        Ok(fchmod(&self.directory, Mode::S_IRWXU)?)
    }

    /// Takes those locks that are there.
    pub(super) fn locked(&self) -> Result<Vec<Lock>, Reason> {
        let mut locks = Vec::new();
        for name in LOCKS {
            let path = self.path.join(name);
            let opened = self.open(name).or_trouble("opening", &path)?;
            locks.extend(opened.map(|file| Lock::of(file, &path)).transpose()?);
        }
        Ok(locks)
    }

    /// Makes those that are not, in the account's name.
    pub(super) fn make_locks(&self, to: Holder) -> Result<(), Reason> {
        for name in LOCKS {
            let made = self.put(name, &[], to, RenameFlags::RENAME_NOREPLACE);
            match made {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(trouble("creating", &self.path.join(name), &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Where the client's ids stand, by the gate's note.
    pub(super) fn mapping(&self) -> Result<Option<Mapping>, Reason> {
        self.read(NOTE).or_trouble("reading", &self.path.join(NOTE))
    }

    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let Some(file) = self.open(name)? else { return Ok(None) };
        Ok(Some(serde_json::from_slice(&read_bounded(file, MAX_MAPPING_NOTE)?)?))
    }

    fn open(&self, name: &str) -> io::Result<Option<File>> {
        let how = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(&self.directory, name, how, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(None),
            file => File::from(file?),
        };
        if file.metadata()?.is_file() { Ok(Some(file)) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "it is no file")) }
    }

    /// Writes a note. It is there whole or not at all, and stays.
    pub(super) fn write(&self, name: &str, note: &impl Serialize, to: Holder) -> io::Result<()> {
        self.put(name, &serde_json::to_vec(note)?, to, RenameFlags::empty())
    }

    fn put(&self, name: &str, bytes: &[u8], to: Holder, how: RenameFlags) -> io::Result<()> {
        self.remove(NEW)?;
        let fresh = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&self.directory, NEW, fresh, Mode::from_bits_truncate(0o600))?);
        fchown(&file, Some(Uid::from_raw(to.user)), Some(Gid::from_raw(to.group)))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        let renamed = renameat2(self.directory.as_fd(), NEW, self.directory.as_fd(), name, how);
        if renamed.is_err() {
            self.remove(NEW)?;
        }
        renamed?;
        self.sync()
    }

    /// Removes a note, for good. One that is gone already is as good.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::ENOENT) => Ok(()),
            removed => removed.map_err(io::Error::from).and_then(|()| self.sync()),
        }
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.directory)?)
    }
}
