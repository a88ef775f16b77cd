//! The directory beside a repository in which root notes what it is doing, and which only root may
//! enter.
//!
//! A run goes on by it where one was killed, so nothing in it may come from anybody else: it counts
//! only as root's own directory, closed to all others, and not reached through a link. It goes when
//! all is on the disk.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::fstat;
use rustix::fs::{AtFlags, Mode, fsync, mkdirat, readlinkat, symlinkat, syncfs, unlinkat};
use serde::{Deserialize, Serialize};

use super::super::disk::found;
use super::super::remove::{empty, remove_at};
use super::super::tree::{c_string, open_at};
use super::super::{OrTrouble as _, stage, unusable};
use super::notes::{Notes, ROOT};
use crate::decide::owners::remap::Remap;
use crate::decide::owners::remap::kept::Kept;
use crate::terms::Reason;
use crate::terms::text::printable;

/// What is under way.
const NOTE: &str = "remap.json";
/// A link for each file whose mode or capability chown(2) clears: named by its inode, with [`Kept`]
/// as its target.
const KEPT: &str = "kept";

/// Where the repository stood when it was begun: another one of the same name is not meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    device: u64,
    inode: u64,
    /// Disks may have other numbers after a start of the machine.
    boot: String,
}

impl Place {
    pub(super) fn of(repository: BorrowedFd<'_>) -> io::Result<Self> {
        let found = fstat(repository)?;
        Ok(Self { device: found.st_dev, inode: found.st_ino, boot: stage::boot_id() })
    }

    fn is(&self, other: &Self) -> bool {
        self.inode == other.inode && (self.device == other.device || self.boot != other.boot)
    }
}

#[derive(Serialize, Deserialize)]
struct Note {
    remap: Remap,
    place: Place,
}

/// The directory, there or not.
#[derive(Debug)]
pub(super) struct Private {
    parent: OwnedFd,
    name: CString,
    path: PathBuf,
    directory: Option<Notes>,
    kept: Option<OwnedFd>,
}

impl Private {
    /// The one at `path`, whose parent is held.
    pub(super) fn find(parent: OwnedFd, path: PathBuf) -> Result<Self, Reason> {
        let name = c_string(path.file_name().unwrap_or(OsStr::new("."))).or_trouble("looking at", &path)?;
        let mut this = Self { parent, name, path, directory: None, kept: None };
        this.open()?;
        Ok(this)
    }

    fn open(&mut self) -> Result<(), Reason> {
        let path = &self.path;
        let directory = match open_at(&self.parent, self.name.as_c_str()) {
            Err(Errno::ENOENT) => return Ok(()),
            opened => opened.or_trouble("opening", path)?,
        };
        let found = fstat(&directory).or_trouble("looking at", path)?;
        if found.st_uid != 0 || found.st_mode & 0o077 != 0 {
            let shown = printable(path.as_os_str().as_encoded_bytes());
            return Err(unusable(format!("`{shown}` is not root's alone, and stands in the way"), "see what it is, and remove it"));
        }
        self.kept = open_at(&directory, KEPT).ok();
        self.directory = Some(Notes::new(directory, path.clone()));
        Ok(())
    }

    pub(super) fn is_there(&self) -> bool {
        self.directory.is_some()
    }

    /// Makes it. From then on no push is let in.
    pub(super) fn make(&mut self) -> Result<(), Reason> {
        if self.is_there() {
            return Ok(());
        }
        mkdirat(&self.parent, self.name.as_c_str(), Mode::RWXU).and_then(|()| fsync(&self.parent)).or_trouble("making", &self.path)?;
        self.open()
    }

    fn directory(&self) -> io::Result<&Notes> {
        self.directory.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// What was begun and has not ended.
    ///
    /// # Errors
    /// Also where it was begun with another directory than this `place`.
    pub(super) fn begun(&self, place: &Place) -> Result<Option<Remap>, Reason> {
        let path = self.path.join(NOTE);
        let note = self.directory.as_ref().map_or(Ok(None), |directory| directory.read::<Note>(NOTE));
        let Some(note) = note.or_trouble("reading", &path)? else { return Ok(None) };
        if note.place.is(place) {
            return Ok(Some(note.remap));
        }
        let detail = format!("`{}` is about another directory than the repository", printable(path.as_os_str().as_encoded_bytes()));
        Err(unusable(detail, "put back the repository that was there when it was begun, and run it again"))
    }

    /// Writes down what is about to be done. What is kept is on the disk before; the note is there
    /// whole or not at all.
    pub(super) fn begin(&self, remap: &Remap, place: &Place) -> io::Result<()> {
        let directory = self.directory()?;
        syncfs(directory)?;
        directory.write(NOTE, &Note { remap: remap.clone(), place: place.clone() }, ROOT)
    }

    /// Keeps what a file is to get back, once for each inode. Returns whether this was its first
    /// name.
    pub(super) fn keep(&mut self, inode: u64, kept: &Kept) -> io::Result<bool> {
        if self.kept.is_none() {
            let directory = self.directory()?;
            mkdirat(directory, KEPT, Mode::RWXU)?;
            self.kept = Some(open_at(directory.as_fd(), KEPT)?);
        }
        let directory = self.kept.as_ref().ok_or(io::ErrorKind::NotFound)?;
        match symlinkat(kept.to_string(), directory, inode.to_string()) {
            Err(rustix::io::Errno::EXIST) => Ok(false),
            made => Ok(made.map(|()| true)?),
        }
    }

    pub(super) fn kept(&self, inode: u64) -> io::Result<Option<Kept>> {
        let Some(directory) = &self.kept else { return Ok(None) };
        let text = match readlinkat(directory, inode.to_string(), Vec::new()) {
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            text => text?,
        };
        let kept = text.to_str().ok().and_then(|text| text.parse().ok());
        kept.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what was kept of it cannot be read"))
    }

    /// Forgets what was kept: nothing has been changed yet, or everything is done.
    pub(super) fn forget_kept(&mut self) -> io::Result<()> {
        self.kept = None;
        match &self.directory {
            Some(directory) => found(remove_at(directory.as_fd(), &c_string(OsStr::new(KEPT))?)).map(drop),
            None => Ok(()),
        }
    }

    /// Removes the note: all of it is done, and on the disk.
    pub(super) fn end(&self) -> io::Result<()> {
        let directory = self.directory()?;
        directory.remove(NOTE)?;
        directory.sync()
    }

    /// Removes it with all that is in it. Pushes are let in again.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        if !self.is_there() {
            return Ok(());
        }
        self.end()?;
        // Emptied by descriptor: whoever has the directory above could have put a full one in its
        // place.
        empty(self.directory()?.as_fd())?;
        (self.directory, self.kept) = (None, None);
        unlinkat(&self.parent, &self.name, AtFlags::REMOVEDIR)?;
        Ok(fsync(&self.parent)?)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
