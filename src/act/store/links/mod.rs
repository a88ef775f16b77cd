//! Links to unchanged files. While rsync runs each one that it asks for is only recorded, so that
//! no inode of history is within its reach; they are made when it is gone.
//!
//! Nothing is made here, placeholders neither, through a symlink or outside the stage.

mod anew;
mod carry;
mod log;
mod make;
mod placeholders;

use std::cell::{Cell, RefCell};
use std::ffi::{CString, OsStr};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::libc;
use nix::sys::stat::FileStat;

use super::tree::{Lent, Listed, allocated, hold_below, open_at, open_below, stat};
use super::{Held, OrTrouble as _, Staging};
use crate::decide::push::links::{Answer, Basis, BasisOf, Layout, Link, Links, Source};
use crate::terms::limits::{DIRECTORY_ENTRY, MAX_LINKS};
use crate::terms::path::SubPath;
use crate::terms::reason::Reason;
use crate::terms::usage::{Excess, Ground, Resource, Usage};
use log::Log;
use placeholders::Placeholders;

pub use make::{Bounds, Made};

/// What the links of a push add to it, known while they are recorded.
#[derive(Debug, Default)]
pub struct Taken {
    usage: Cell<Usage>,
    /// Inodes of placeholders, whose names are none of the push's.
    placeholders: RefCell<Vec<u64>>,
}

impl Taken {
    pub(super) fn usage(&self) -> Usage {
        self.usage.get()
    }

    /// What stands at an entry of a directory, but for a placeholder.
    pub(super) fn not_a_placeholder(&self, directory: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Option<FileStat>> {
        let is_one = |inode| self.placeholders.borrow().contains(&inode);
        // A listing tells the inode in most file systems, and spares a call.
        if is_one(entry.inode) {
            Ok(None)
        } else {
            stat(directory, entry.name).map(|found| Some(found).filter(|found| !is_one(found.st_ino)))
        }
    }
}

/// The links of one push: recorded while its rsync runs, made afterwards.
#[derive(Debug)]
pub struct Deferred<'a> {
    held: &'a Held<'a>,
    recorded: Recorded<'a>,
    /// Whether somebody asks what they take.
    counting: bool,
    taken: &'a Taken,
    /// How many are to files of a push that was cut off.
    reused: u64,
    /// What both were before the last one.
    before: (Usage, u64),
}

/// What is recorded, and what the names in it mean.
#[derive(Debug)]
struct Recorded<'a> {
    layout: Layout,
    /// Where that is in each tree.
    place: SubPath,
    /// The directory that the names begin in.
    stage: OwnedFd,
    bases: Vec<OwnedFd>,
    log: Log,
    /// What stands for links that are recorded, where rsync looks at them again.
    placeholders: Option<Placeholders<'a>>,
    /// Whether one of them is to a placeholder.
    has_twins: bool,
}

impl<'a> Staging<'a> {
    /// Begins to record the links of a push into `place`. With `hard_links` rsync looks again at
    /// names that it has linked (`hard_link_check` in its hlink.c), so a placeholder stands for
    /// each. If `counting`, `taken` sums up what the links add to the push.
    pub fn defer(
        &self,
        layout: &Layout,
        place: &SubPath,
        hard_links: bool,
        counting: bool,
        taken: &'a Taken,
    ) -> Result<Deferred<'a>, Reason> {
        let placeholders = hard_links.then(|| Placeholders::new(self.held().repository));
        Deferred::begin(self.held(), self.path(), layout.clone(), place, placeholders, counting, taken)
            .or_trouble("looking at", self.path())
    }
}

impl<'a> Deferred<'a> {
    /// Begins to record the links into `place` of a tree.
    fn begin(
        held: &'a Held<'a>,
        tree: &Path,
        layout: Layout,
        place: &SubPath,
        placeholders: Option<Placeholders<'a>>,
        counting: bool,
        taken: &'a Taken,
    ) -> io::Result<Self> {
        taken.usage.set(Usage::default());
        taken.placeholders.borrow_mut().clear();
        let stage = open_below(tree, place.components())?;
        let bases = layout.bases.iter().map(|basis| hold_below(&basis.tree.root, place.components())).collect::<io::Result<_>>()?;
        let log = Log::new(held.repository.links_log());
        let recorded = Recorded { layout, place: place.clone(), stage, bases, log, placeholders, has_twins: false };
        Ok(Self { held, recorded, counting, taken, reused: 0, before: (Usage::default(), 0) })
    }
}

impl Links for Deferred<'_> {
    fn asked(&mut self, from: &[u8], to: &[u8]) -> Answer {
        let recorded = &mut self.recorded;
        let Some(link) = recorded.layout.read(from, to) else { return Answer::Let };
        let stage = recorded.stage.as_fd();
        if let Some(placeholders) = &mut recorded.placeholders {
            if link.source == Source::Stage && !placeholders.one_at(stage, &link.from) {
                return Answer::Let;
            }
            if let Err(error) = placeholders.put(stage, &link.to) {
                return Answer::Failed(error as i32);
            }
            let known = &mut *self.taken.placeholders.borrow_mut();
            known.extend(placeholders.inodes.iter().skip(known.len()));
        } else if link.source == Source::Stage {
            return Answer::Let;
        }
        recorded.has_twins |= link.source == Source::Stage;
        match recorded.log.push(&link) {
            Ok(true) => {}
            Ok(false) => {
                return Answer::TooMany(Excess { ground: Ground::Push, resource: Resource::Links, limit: MAX_LINKS, found: MAX_LINKS });
            }
            Err(error) => {
                // rsync stores the file anew. What stands for it must not be in the way.
                if let Some(placeholders) = &mut recorded.placeholders {
                    placeholders.take_away(stage, &link.to);
                }
                return Answer::Failed(error.raw_os_error().unwrap_or(libc::EIO));
            }
        }
        let takes = if self.counting { recorded.takes(&link) } else { Usage::default() };
        self.before = (self.taken.usage(), self.reused);
        self.taken.usage.set(self.before.0.and(takes));
        self.reused += u64::from(recorded.is_set_aside(link.source));
        Answer::Recorded
    }

    fn answer_lost(&mut self) {
        self.recorded.log.undo();
        self.taken.usage.set(self.before.0);
        self.reused = self.before.1;
    }
}

impl Deferred<'_> {
    /// What its links add to the push.
    pub(super) fn taken(&self) -> &Taken {
        self.taken
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.recorded.log.count() == 0
    }

    /// What it had to link from.
    pub fn bases(&self) -> &[Basis] {
        &self.recorded.layout.bases
    }

    /// How many files of a push that was cut off rsync has taken as they are.
    pub fn reused(&self) -> u64 {
        self.reused
    }
}

impl Recorded<'_> {
    /// What a link adds to the push: nothing where the snapshot before has the same file there.
    fn takes(&self, link: &Link) -> Usage {
        let name = Usage { bytes: link.to.len() as u64 + DIRECTORY_ENTRY, inodes: 1 };
        let Source::Basis(number) = link.source else { return name };
        let number = usize::from(number);
        match self.layout.bases.get(number).map(|basis| basis.tree.of) {
            Some(BasisOf::Published) if link.from == link.to => Usage::default(),
            // Nor what a tree that was set aside has from there.
            Some(BasisOf::SetAside) => match self.at(number, &link.from) {
                Some(found) if link.from == link.to && self.is_published(&link.from, found.st_ino) => Usage::default(),
                found => name.and(Usage { bytes: found.map_or(0, |found| allocated(&found)), inodes: 0 }),
            },
            _ => name,
        }
    }
}

impl Recorded<'_> {
    /// A tree as one to compare with: its number, if it is one of the bases, and the place in it.
    fn beside(&self, tree: &Path) -> (Option<u8>, Option<OwnedFd>) {
        let number = self.layout.bases.iter().position(|basis| basis.tree.root == tree && !basis.tree.is_set_aside());
        // It may have no such place.
        (number.and_then(|number| u8::try_from(number).ok()), hold_below(tree, self.place.components()).ok())
    }

    fn is_set_aside(&self, source: Source) -> bool {
        let Source::Basis(number) = source else { return false };
        self.layout.bases.get(usize::from(number)).is_some_and(|basis| basis.tree.is_set_aside())
    }

    fn at(&self, number: usize, path: &[u8]) -> Option<FileStat> {
        let (directory, file) = split(path);
        let directory = beneath(self.bases.get(number)?.as_fd(), directory, OFlag::O_PATH).ok()?;
        stat(directory.as_fd(), &file).ok()
    }

    fn is_published(&self, path: &[u8], inode: u64) -> bool {
        let published = self.layout.bases.iter().enumerate().filter(|(_, basis)| !basis.tree.is_set_aside());
        published.filter_map(|(number, _)| self.at(number, path)).any(|found| found.st_ino == inode)
    }
}

fn split(path: &[u8]) -> (&[u8], CString) {
    let (directory, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
        None => (&[][..], path),
    };
    // Paths came up to their first zero.
    (directory, CString::new(name).unwrap_or_default())
}

/// A number of a directory, the same for as long as this process runs.
fn number(directory: &[u8]) -> usize {
    let mut hasher = DefaultHasher::new();
    directory.hash(&mut hasher);
    usize::try_from(hasher.finish() >> 32).unwrap_or_default()
}

/// Opens a directory below another, through no symlink and into no other mount.
fn beneath(root: BorrowedFd<'_>, path: &[u8], how: OFlag) -> nix::Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let resolve =
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS | ResolveFlag::RESOLVE_NO_XDEV;
    openat2(root, path, OpenHow::new().flags(how | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC).resolve(resolve))
}

/// Opens a directory along a way that its owner may not go. All modes are as they were afterwards.
fn enter_forcibly(stage: BorrowedFd<'_>, path: &[u8]) -> nix::Result<OwnedFd> {
    let enter = || -> io::Result<OwnedFd> {
        let names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        let here = Lent::of(stage.try_clone_to_owned()?)?.along(names.map(OsStr::from_bytes))?;
        Ok(open_at(here.as_fd(), c".")?)
    };
    enter().map_err(errno)
}

fn errno(error: io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests;
