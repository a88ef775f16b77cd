//! What the last snapshot has and a push did not bring, carried over into its tree. It is put together beside that, in a directory of the gate's
//! own: directories are made anew, with all that they have, and files are recorded like links that rsync asks for, and made like those. Then it
//! is laid beneath the tree as one push of a transaction is beneath another.
//!
//! Nothing that the push has brought may be replaced, and nothing in the last snapshot be changed. After a kill on the way the tree has
//! nothing that is half made: what was beside it is removed, and it can be carried over again.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::super::overlay::{Layers, overlay};
use super::super::tree::{self, deeper, each, kind, lent, open, open_at, open_below, open_lent, set_mode, split, stat};
use super::super::{Held, Repository, Staging, make_directory, trouble};
use super::log::{self, Log};
use super::make::too_late;
use super::{Bounds, Deferred, Made, Recorded, Taken, anew};
use crate::decide::push::links::{Basis, BasisOf, Layout, Link, Source};
use crate::decide::push::parts;
use crate::terms::limits::LINKS_BETWEEN_LOOKS;
use crate::terms::path::SubPath;
use crate::terms::reason::Reason;
use crate::terms::repository::Pushed;
use crate::terms::snapshot::SnapshotName;
use crate::terms::usage::Usage;

impl Repository {
    fn carried(&self) -> PathBuf {
        self.state().join("carried")
    }
}

impl Held<'_> {
    /// Removes what a gate that was killed had put together.
    pub(in super::super) fn clear_carried(&self) -> Result<(), Reason> {
        let carried = self.repository.carried();
        tree::remove(&carried).map_err(|error| trouble("removing", &carried, &error))
    }
}

impl Staging<'_> {
    /// Carries over what `from` has and these pushes have left alone. For a tree whose links are made.
    ///
    /// # Errors
    /// When the disk does not let it, or a bound is reached. Then the tree is no backup.
    pub fn carry_over(&self, from: &SnapshotName, pushed: &[Pushed], bounds: Bounds) -> Result<Made, Reason> {
        let repository = self.held().repository;
        let (old, beside) = (from.below(&repository.snapshots()), repository.carried());
        self.held().clear_carried()?;
        let made = self.put_together(&old, &beside, pushed, bounds).and_then(|made| {
            let laid = overlay(self.path(), &beside, Layers::Parts).and_then(|()| self.liken_the_way(&old, pushed));
            laid.map(|()| made).map_err(|error| trouble("carrying over into", self.path(), &error))
        });
        if made.is_err() {
            // The room is wanted, and whoever comes next removes what is left.
            let _ = self.held().clear_carried();
        }
        made
    }

    /// Makes a tree of what is missing.
    fn put_together(&self, old: &Path, beside: &Path, pushed: &[Pushed], bounds: Bounds) -> Result<Made, Reason> {
        let (held, taken) = (self.held(), Taken::default());
        let begin = || -> io::Result<Deferred<'_>> {
            make_directory(beside, 0o700)?;
            let basis = Basis { root: old.to_path_buf(), seen: old.to_path_buf(), of: BasisOf::Published };
            let recorded = Recorded {
                layout: Layout { start: beside.to_path_buf(), bases: vec![basis], partial_dir: String::new() },
                stage: open(beside)?,
                bases: vec![open(old)?],
                log: Log::new(log::path(&held.repository.state())),
                placeholders: None,
                has_twins: false,
            };
            Ok(Deferred { held, recorded, counting: false, taken: &taken, reused: 0, before: (Usage::default(), 0) })
        };
        let walk = || -> io::Result<(Deferred<'_>, Made)> {
            let mut links = begin()?;
            let keeps_owners = held.repository.keeps_owners();
            let until = Instant::now().checked_add(bounds.time);
            let mut walk = Walk { log: &mut links.recorded.log, pushed, keeps_owners, until, found: 0, seen: 0, lost: Made::default() };
            let (parent, name) = split(self.path())?;
            let (old, beside) = (open(old)?, open(beside)?);
            lent(parent.as_fd(), &name, |new| walk.directory(Some(&new), &old, &beside, &[], 0))?;
            let lost = walk.lost;
            Ok((links, lost))
        };
        let (links, lost) = walk().map_err(|error| match error.kind() {
            ErrorKind::TimedOut => too_late(),
            _ => trouble("carrying over into", beside, &error),
        })?;
        Ok(links.make(bounds, true)?.and(lost))
    }

    /// Gives directories that the gate made, on the way to a place, what they have in an older tree.
    pub(in super::super) fn liken_the_way(&self, old: &Path, pushed: &[Pushed]) -> io::Result<()> {
        let keeps_owners = self.held().repository.keeps_owners();
        for place in pushed.iter().flat_map(|pushed| pushed.place.way()).filter(|place| parts::is_on_the_way(pushed, place)) {
            // There may be none, or something else in its place.
            let Ok(old) = open_below(old, place.components()) else { continue };
            let (parent, name) = split(self.path())?;
            let new = lent(parent.as_fd(), &name, |top| open_lent(top.as_fd(), place.below(Path::new("")).as_os_str().as_bytes()))?;
            anew::liken(&File::from(old), &File::from(new), keeps_owners)?;
        }
        Ok(())
    }
}

/// A walk through the last snapshot, and the new tree where that has the same directory.
struct Walk<'a> {
    log: &'a mut Log,
    pushed: &'a [Pushed],
    keeps_owners: bool,
    until: Option<Instant>,
    /// What is missing, so far.
    found: u64,
    seen: u64,
    lost: Made,
}

impl Walk<'_> {
    fn directory(&mut self, new: Option<&OwnedFd>, old: &OwnedFd, beside: &OwnedFd, path: &[u8], depth: usize) -> io::Result<()> {
        let depth = deeper(depth)?;
        each(old.as_fd(), |entry| {
            self.seen += 1;
            if self.seen.is_multiple_of(LINKS_BETWEEN_LOOKS) && self.until.is_some_and(|until| Instant::now() >= until) {
                return Err(ErrorKind::TimedOut.into());
            }
            let is_directory = entry.is_directory(old.as_fd())?;
            let below = [path, if path.is_empty() { b"" } else { b"/" }, entry.name.to_bytes()].concat();
            match new.map(|new| (new, stat(new.as_fd(), entry.name))) {
                Some((_, Err(error))) if error.kind() != ErrorKind::NotFound => Err(error),
                None | Some((_, Err(_))) if is_directory => self.anew(old.as_fd(), beside.as_fd(), entry.name, &below, depth),
                None | Some((_, Err(_))) => self.link(below),
                Some((new, Ok(found))) if is_directory && kind(&found) == SFlag::S_IFDIR && !self.is_replaced(&below) => {
                    self.further([new.as_fd(), old.as_fd(), beside.as_fd()], entry.name, &below, depth)
                }
                // It was sent, or all that is there is what was sent.
                Some(_) => Ok(()),
            }
        })
    }

    /// Goes on in a directory that both have.
    fn further(&mut self, [new, old, beside]: [BorrowedFd<'_>; 3], name: &CStr, path: &[u8], depth: usize) -> io::Result<()> {
        let Some(old) = self.look(old, name, path)? else { return Ok(()) };
        let before = self.found;
        mkdirat(beside, name, Mode::S_IRWXU)?;
        let next = open_at(beside, name)?;
        lent(new, name, |new| self.directory(Some(&new), &old, &next, path, depth))?;
        if self.found == before {
            unlinkat(beside, name, UnlinkatFlags::RemoveDir)?;
        }
        Ok(())
    }

    /// Makes a directory that only the last snapshot has.
    fn anew(&mut self, old: BorrowedFd<'_>, beside: BorrowedFd<'_>, name: &CStr, path: &[u8], depth: usize) -> io::Result<()> {
        self.found += 1;
        mkdirat(beside, name, Mode::S_IRWXU)?;
        let Some(next) = self.look(old, name, path)? else {
            return set_mode(beside, name, stat(old, name)?.st_mode);
        };
        let new = open_at(beside, name)?;
        self.directory(None, &next, &new, path, depth)?;
        anew::liken(&File::from(next), &File::from(new), self.keeps_owners)
    }

    /// Opens a directory of the last snapshot. What its owner may not look into cannot be carried over: no mode may change there.
    fn look(&mut self, old: BorrowedFd<'_>, name: &CStr, path: &[u8]) -> io::Result<Option<OwnedFd>> {
        match open_at(old, name) {
            Err(Errno::EACCES) => {
                self.lost.lose(path);
                Ok(None)
            }
            opened => Ok(Some(opened?)),
        }
    }

    fn link(&mut self, path: Vec<u8>) -> io::Result<()> {
        self.found += 1;
        let link = Link { source: Source::Basis(0), from: path.clone(), to: path };
        if self.log.push(&link)? { Ok(()) } else { Err(io::Error::other("there are more files than can be carried over")) }
    }

    fn is_replaced(&self, path: &[u8]) -> bool {
        // What no client could name is none that was pushed into.
        SubPath::parse([&b"./"[..], path].concat()).is_ok_and(|place| parts::replaces(self.pushed, &place))
    }
}
