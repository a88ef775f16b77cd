//! Names that stand for recorded links while rsync runs with `-H`, all of a few empty inodes: rsync
//! only looks whether they are there, and links further names of a group to them.
//!
//! None may outlive its push. Their inodes have a name each in a directory of the gate's own while
//! they are in use, so that whoever follows a killed gate finds them.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::fstatat;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use super::super::contents;
use super::super::disk::found;
use super::super::keep::remove;
use super::super::tree::{self, Lent};
use super::super::{Held, Repository, make_directory};
use super::{beneath, enter_forcibly, errno, number, split};
use crate::terms::usage::Usage;

#[derive(Debug)]
pub(super) struct Placeholders<'a> {
    repository: &'a Repository,
    path: PathBuf,
    directory: Option<OwnedFd>,
    /// The inodes. A further one is made when a file system gives one no more links.
    pub(super) inodes: Vec<u64>,
    /// Which of them the directories of each [`number`] use.
    in_use: [Option<usize>; NUMBERS],
    /// The directories of the stage that were used last, for what is linked to and for its new
    /// name. With hard links across directories they take turns.
    from: Parent,
    to: Parent,
}

/// Numbers that directories are told apart by. The kernel removes one name of an inode at a time;
/// among so many inodes two threads seldom meet.
const NUMBERS: usize = 16;

type Parent = Option<(Vec<u8>, OwnedFd)>;

impl<'a> Placeholders<'a> {
    pub(super) fn new(repository: &'a Repository) -> Self {
        Self {
            repository,
            path: repository.placeholders(),
            directory: None,
            inodes: Vec::new(),
            in_use: [None; NUMBERS],
            from: None,
            to: None,
        }
    }

    pub(super) fn is_one(&self, inode: u64) -> bool {
        self.inodes.contains(&inode)
    }

    /// Whether one stands at this path, which something is to be linked to.
    pub(super) fn one_at(&mut self, stage: BorrowedFd<'_>, path: &[u8]) -> bool {
        // The directory may be another one by now.
        find(&mut self.from, stage, path)
            .or_else(|| {
                self.from = None;
                find(&mut self.from, stage, path)
            })
            .is_some_and(|inode| self.is_one(inode))
    }

    fn one_is_new_at(&mut self, stage: BorrowedFd<'_>, path: &[u8]) -> bool {
        find(&mut self.to, stage, path).is_some_and(|inode| self.is_one(inode))
    }

    /// Puts one at this path, where nothing else stands.
    pub(super) fn put(&mut self, stage: BorrowedFd<'_>, path: &[u8]) -> nix::Result<()> {
        let (directory, name) = split(path);
        let number = number(directory) % NUMBERS;
        let mut fresh = false;
        loop {
            let (Some(all), Some(Some(current))) = (&self.directory, self.in_use.get(number)) else {
                self.begin(number)?;
                continue;
            };
            let current = current.to_string();
            let link = |parent: BorrowedFd<'_>| linkat(all, current.as_str(), parent, name.as_c_str(), AtFlags::empty());
            match in_directory(&mut self.to, stage, directory, link) {
                // A call that was interrupted is made again.
                Err(Errno::EEXIST) if self.one_is_new_at(stage, path) => return Ok(()),
                Err(Errno::EMLINK) => self.make(number)?,
                // The directory may be another one by now.
                Err(Errno::ENOENT) if !fresh => (self.to, fresh) = (None, true),
                other => return other,
            }
        }
    }

    /// Takes one away again.
    pub(super) fn take_away(&mut self, stage: BorrowedFd<'_>, path: &[u8]) {
        if self.one_is_new_at(stage, path) {
            let (directory, name) = split(path);
            let remove = |parent: BorrowedFd<'_>| unlinkat(parent, name.as_c_str(), UnlinkatFlags::NoRemoveDir);
            let _ = in_directory(&mut self.to, stage, directory, remove);
        }
    }

    /// Gives the directories of this number a new one; if the disk has no more inodes, another's.
    fn begin(&mut self, number: usize) -> nix::Result<()> {
        let made = self.make(number);
        let last = self.inodes.len().checked_sub(1);
        match self.in_use.get_mut(number) {
            Some(in_use) if made.is_err() && last.is_some() => *in_use = last,
            _ => return made,
        }
        Ok(())
    }

    /// Makes one for the directories of this number.
    fn make(&mut self, number: usize) -> nix::Result<()> {
        let make = || -> io::Result<(OwnedFd, u64)> {
            make_directory(&self.path, 0o700)?;
            let directory = tree::open(&self.path)?;
            let path = self.path.join(self.inodes.len().to_string());
            let inode = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?.metadata()?.ino();
            self.repository.give(&path)?;
            Ok((directory, inode))
        };
        let (directory, inode) = make().map_err(errno)?;
        self.directory = Some(directory);
        if let Some(in_use) = self.in_use.get_mut(number) {
            *in_use = Some(self.inodes.len());
        }
        self.inodes.push(inode);
        Ok(())
    }
}

/// Does something in a directory of the stage. A mode that keeps its owner out is lifted for that,
/// as rsync can: its process that sets such modes is waiting for the answer.
fn in_directory<T>(
    open: &mut Parent,
    stage: BorrowedFd<'_>,
    directory: &[u8],
    work: impl Fn(BorrowedFd<'_>) -> nix::Result<T>,
) -> nix::Result<T> {
    match parent(open, stage, directory).and_then(&work) {
        Err(Errno::EACCES) => {}
        done => return done,
    }
    let here = Lent::of(enter_forcibly(stage, directory)?).map_err(errno)?;
    work(here.as_fd())
}

fn find(open: &mut Parent, stage: BorrowedFd<'_>, path: &[u8]) -> Option<u64> {
    let (directory, name) = split(path);
    let look = |parent: BorrowedFd<'_>| fstatat(parent, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW);
    in_directory(open, stage, directory, look).ok().map(|found| found.st_ino)
}

/// Opens a directory of the stage, unless it is the one that is open.
fn parent<'a>(open: &'a mut Parent, stage: BorrowedFd<'_>, directory: &[u8]) -> nix::Result<BorrowedFd<'a>> {
    if open.as_ref().is_none_or(|(path, _)| path != directory) {
        *open = Some((directory.to_vec(), beneath(stage, directory, OFlag::O_PATH)?));
    }
    open.as_ref().map(|(_, parent)| parent.as_fd()).ok_or(Errno::EBADF)
}

impl Held<'_> {
    /// Bytes that somebody has written into placeholders, which should be empty.
    pub(in super::super) fn placeholders(&self) -> Usage {
        let all = fs::read_dir(self.repository.placeholders()).into_iter().flatten().flatten();
        let bytes = all.filter_map(|entry| entry.metadata().ok()).map(|found| found.blocks().saturating_mul(512)).sum();
        Usage { bytes, inodes: 0 }
    }

    /// Removes all placeholders, wherever rsync has put them in the stage, and returns how many
    /// names they still had there.
    pub(in super::super) fn clear_placeholders(&self) -> io::Result<u64> {
        let directory = self.repository.placeholders();
        let Some(entries) = found(fs::read_dir(&directory))? else { return Ok(0) };
        let all: Vec<_> = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
        let stage = self.repository.inprogress();
        let mut removed = 0;
        while fs::symlink_metadata(&stage).is_ok() {
            let mut inodes = Vec::new();
            for placeholder in &all {
                let found = fs::symlink_metadata(placeholder)?;
                // Nobody else removes names of it, so the number is right.
                inodes.extend((found.nlink() > 1).then(|| found.ino()));
            }
            if inodes.is_empty() {
                break;
            }
            match contents::remove_names(&stage, &inodes)? {
                0 => return Err(io::Error::other("a placeholder has a name that cannot be found")),
                some => removed += some,
            }
        }
        remove(&directory)?;
        Ok(removed)
    }
}
