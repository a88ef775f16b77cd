//! What the last snapshot has and a push did not bring, carried over into its tree. It is put
//! together beside that: directories are made anew, with their attributes, and files are recorded
//! and linked like those that rsync asks for. Then it is laid beneath the tree, as one part of a
//! transaction beneath another.
//!
//! Nothing that the push has brought is replaced, and nothing in the last snapshot changed. A kill
//! leaves nothing half made in the tree: what was beside it is removed, and it can be carried over
//! again.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::super::disk::found;
use super::super::keep::remove;
use super::super::overlay::{Layers, overlay};
use super::super::tree::{Lent, Listed, kind, open, open_at, open_below, set_mode, stat};
use super::super::walk::{Closed, Leaving, Next, Visitor, walk_tree};
use super::super::{Held, OrTrouble as _, Staging, make_directory, trouble};
use super::log::Log;
use super::make::too_late;
use super::{Bounds, Deferred, Made, Taken, anew};
use crate::decide::push::links::{Basis, Layout, Link, Source, Tree};
use crate::decide::push::parts;
use crate::terms::limits::LINKS_BETWEEN_LOOKS;
use crate::terms::path::SubPath;
use crate::terms::reason::Reason;
use crate::terms::repository::Pushed;
use crate::terms::snapshot::SnapshotName;

impl Held<'_> {
    /// Removes what a gate that was killed had put together.
    pub(in super::super) fn clear_carried(&self) -> Result<(), Reason> {
        let carried = self.repository.carried();
        remove(&carried).or_trouble("removing", &carried)
    }
}

impl Staging<'_> {
    /// Carries over what `from` has and these pushes left alone. For a tree whose links are made.
    ///
    /// # Errors
    /// When the disk does not let it, or a bound is reached. Then the tree is no backup.
    pub fn carry_over(&self, from: &SnapshotName, pushed: &[Pushed], bounds: Bounds) -> Result<Made, Reason> {
        let repository = self.held().repository;
        let (old, beside) = (from.below(&repository.snapshots()), repository.carried());
        self.held().clear_carried()?;
        let made = self.put_together(&old, &beside, pushed, bounds).and_then(|made| {
            let laid = overlay(self.path(), &beside, Layers::Parts).and_then(|()| self.liken_the_way(&old, pushed));
            laid.map(|()| made).or_trouble("carrying over into", self.path())
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
        let walk = || -> io::Result<(Deferred<'_>, Made)> {
            make_directory(beside, 0o700)?;
            let basis = Basis { tree: Tree::published(old), seen: old.to_path_buf() };
            let layout = Layout { start: beside.to_path_buf(), bases: vec![basis], partial_dir: String::new() };
            let mut links = Deferred::begin(held, beside, layout, &SubPath::default(), None, false, &taken)?;
            let mut missing = Missing {
                log: &mut links.recorded.log,
                pushed,
                keeps_owners: held.repository.keeps_owners(),
                until: Instant::now().checked_add(bounds.time),
                way: Vec::new(),
                found: 0,
                seen: 0,
                lost: Made::default(),
            };
            let top = Here { new: Some(Lent::tree(self.path())?), beside: open(beside)?, way: 0, before: 0 };
            walk_tree(old, top, Closed::Left, &mut missing)?;
            let lost = missing.lost;
            Ok((links, lost))
        };
        let (links, lost) = walk().map_err(|error| match error.kind() {
            ErrorKind::TimedOut => too_late(),
            _ => trouble("carrying over into", beside, &error),
        })?;
        Ok(links.make(bounds, true, None)?.and(lost))
    }

    /// Gives directories that the gate made on the way to a place what they have in an older tree.
    pub(in super::super) fn liken_the_way(&self, old: &Path, pushed: &[Pushed]) -> io::Result<()> {
        let keeps_owners = self.held().repository.keeps_owners();
        for place in pushed.iter().flat_map(|pushed| pushed.place.way()).filter(|place| parts::is_on_the_way(pushed, place)) {
            // There may be none, or something else in its place.
            let Ok(old) = open_below(old, place.components()) else { continue };
            // What is lent is given back before it gets its mode: later would undo that.
            let new = {
                let lent = Lent::tree(self.path())?.along(place.components())?;
                open_at(lent.as_fd(), c".")?
            };
            anew::liken(&File::from(old), &File::from(new), keeps_owners)?;
        }
        Ok(())
    }
}

/// Walks through the last snapshot and finds what the new tree lacks.
struct Missing<'a> {
    log: &'a mut Log,
    pushed: &'a [Pushed],
    keeps_owners: bool,
    until: Option<Instant>,
    /// The way to the directory that the walk is in, and perhaps more behind it. There is one for
    /// all levels: a way may be long.
    way: Vec<u8>,
    found: u64,
    seen: u64,
    lost: Made,
}

/// A directory of the last snapshot.
struct Here {
    /// The same in the new tree, if that has it.
    new: Option<Lent>,
    /// The same in what is put together.
    beside: OwnedFd,
    /// How long the way to it is.
    way: usize,
    before: u64,
}

impl Visitor for Missing<'_> {
    type Here = Here;

    fn entry(&mut self, here: &mut Here, old: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Here>> {
        self.seen += 1;
        if self.seen.is_multiple_of(LINKS_BETWEEN_LOOKS) && self.until.is_some_and(|until| Instant::now() >= until) {
            return Err(ErrorKind::TimedOut.into());
        }
        let name = entry.name;
        self.way.truncate(here.way);
        self.way.extend(if here.way == 0 { &b""[..] } else { b"/" }.iter().chain(name.to_bytes()));
        let is_directory = entry.is_directory(old)?;
        let stands = here.new.as_ref().map_or(Ok(None), |new| found(stat(new.as_fd(), name)))?;
        let new = match (&here.new, stands) {
            (Some(new), Some(stands)) if is_directory && kind(&stands) == SFlag::S_IFDIR && !self.is_replaced() => {
                Some(Lent::open(new.as_fd(), name)?)
            }
            // It was sent, or all that is there is what was sent.
            (_, Some(_)) => return Ok(Next::Past),
            (_, None) if is_directory => None,
            (_, None) => return self.link().map(|()| Next::Past),
        };
        let before = self.found;
        self.found += u64::from(new.is_none());
        let opened = match open_at(old, name) {
            // What its owner may not look into cannot be carried over: no mode may change there.
            Err(Errno::EACCES) => {
                self.lost.lose(&self.way);
                if new.is_none() {
                    mkdirat(&here.beside, name, Mode::S_IRWXU)?;
                    set_mode(here.beside.as_fd(), name, stat(old, name)?.st_mode)?;
                }
                return Ok(Next::Past);
            }
            opened => opened?,
        };
        mkdirat(&here.beside, name, Mode::S_IRWXU)?;
        let beside = open_at(&here.beside, name)?;
        Ok(Next::Through(opened, Here { new, beside, way: self.way.len(), before }))
    }

    fn leave(&mut self, here: Here, left: &Leaving<'_>) -> io::Result<Option<Here>> {
        if here.new.is_none() {
            anew::liken(&File::from(left.at.try_clone_to_owned()?), &File::from(here.beside), self.keeps_owners)?;
        } else if here.way > 0 && self.found == here.before {
            unlinkat(open_at(&here.beside, c"..")?, left.name, UnlinkatFlags::RemoveDir)?;
        }
        Ok(None)
    }
}

impl Missing<'_> {
    fn link(&mut self) -> io::Result<()> {
        self.found += 1;
        let link = Link { source: Source::Basis(0), from: self.way.clone(), to: self.way.clone() };
        if self.log.push(&link)? { Ok(()) } else { Err(io::Error::other("there are more files than can be carried over")) }
    }

    fn is_replaced(&self) -> bool {
        // What no client could name is none that was pushed into.
        SubPath::parse([b"./", self.way.as_slice()].concat()).is_ok_and(|place| parts::replaces(self.pushed, &place))
    }
}
