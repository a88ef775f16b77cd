//! The book about what a client holds, where something is removed, and counting all of it anew.
//! `act/store/holding` has the other half: what pushes add.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::libc::c_long;
use nix::sys::stat::{FileStat, SFlag, fstat};

use super::notes::{self, DRAFT};
use super::{Held, Opened, is_directory};
use crate::act::store::disk::found;
use crate::act::store::tree::{Listed, allocated, each, kind, open_at, stat};
use crate::act::store::walk::{Closed, Next, Visitor, walk};
use crate::act::store::{OrTrouble as _, disk_of as disk};
use crate::decide::quota::{Book, Disk, Holding, Reclaimed};
use crate::terms::limits::RECOUNT_TRIES;
use crate::terms::{Code, NamePattern, Reason, SnapshotName, Usage};

const BOOK: &str = "usage";
const RECLAIMED: &str = "freed";

/// What a count has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// What the book had said.
    pub before: Holding,
    /// What is there.
    pub found: Holding,
}

impl Opened {
    /// What the client holds. Nothing is walked.
    #[must_use]
    pub fn holding(&self, newest: Option<&SnapshotName>) -> Holding {
        self.book(newest.map(SnapshotName::as_str)).holding(self.reclaimed())
    }

    /// What is free on its disk; `None` where the kernel does not say.
    pub fn disk(&self) -> Option<Disk> {
        disk(&self.root)
    }

    /// Counts anew what the client holds, and enters it. No push is held up for longer than it
    /// takes to write that: if something comes or goes meanwhile it is counted once more.
    ///
    /// # Errors
    /// With [`Code::Busy`] where that happens each time, or a reaper is at work.
    pub fn recount(&self, names: &NamePattern) -> Result<Counted, Reason> {
        let _lock = self.reaper_lock()?;
        for _ in 0..RECOUNT_TRIES {
            let stamp = self.stamp();
            let mut counting = self.count(names).or_trouble("counting what is in", &self.path)?;
            if let Some(what) = counting.blind.take() {
                return Err(what).or_trouble("counting what is in", &self.path);
            }
            let _held = self.hold()?;
            if self.stamp() != stamp {
                continue;
            }
            let newest = self.names(names)?.pop();
            let before = self.holding(newest.as_ref());
            // No reaper is at work, whatever one that was killed has left there.
            let reclaimed = self.reclaimed().ended();
            let book =
                Book::counted(counting.history, counting.set_aside, counting.waiting, newest.map(|name| name.to_string()), reclaimed);
            // In this order: killed between the two, it is due once more.
            let write = || self.enter(&book).and_then(|()| self.enter_reclaimed(reclaimed));
            write().or_trouble("writing in", &self.path)?;
            return Ok(Counted { before, found: book.holding(reclaimed) });
        }
        Err(Reason::new(Code::Busy, "something was pushed or removed each time while it was counted").hint("try again when less happens"))
    }

    /// What the reaper has freed so far.
    pub(super) fn reclaimed(&self) -> Reclaimed {
        self.read(RECLAIMED).and_then(|text| Reclaimed::read(&text)).unwrap_or_default()
    }

    /// Enters it. Only the reaper does, and whoever keeps it from its work.
    pub(super) fn enter_reclaimed(&self, reclaimed: Reclaimed) -> io::Result<()> {
        self.write_from(self.state.as_fd(), "freed.new", RECLAIMED, reclaimed.to_string().as_bytes())
    }

    fn book(&self, newest: Option<&str>) -> Book {
        let book = self.read(BOOK).and_then(|text| Book::read(&text)).unwrap_or_default();
        book.brought_up(newest, |name| self.has(name))
    }

    /// Enters a book, for the holder of the repository.
    fn enter(&self, book: &Book) -> io::Result<()> {
        self.write_from(self.state.as_fd(), DRAFT, BOOK, book.to_string().as_bytes())
    }

    fn read(&self, name: &str) -> Option<String> {
        String::from_utf8(notes::read_bytes(self.state.as_fd(), OsStr::new(name)).ok()?).ok()
    }

    /// What changes whenever a snapshot comes, goes, or comes back.
    fn stamp(&self) -> (Option<String>, Option<(i64, c_long)>) {
        let trash = open_at(&self.state, "trash").and_then(|trash| fstat(&trash));
        (self.read(BOOK), trash.ok().map(|found| (found.st_mtime, found.st_mtime_nsec)))
    }

    fn count(&self, names: &NamePattern) -> io::Result<Counting> {
        let mut counting = Counting { device: fstat(&self.snapshots)?.st_dev, ..Counting::default() };
        counting.snapshots(self.snapshots.as_fd(), "", 1, names)?;
        for name in ["trash", "reaping"] {
            counting.trees(&self.state, name)?;
        }
        counting.history = std::mem::take(&mut counting.sum);
        counting.trees(&self.state, "interrupted")?;
        counting.set_aside = std::mem::take(&mut counting.sum);
        for name in ["parts", "broken"] {
            counting.trees(&self.state, name)?;
        }
        counting.waiting = std::mem::take(&mut counting.sum);
        Ok(counting)
    }
}

impl Held<'_> {
    /// Has the book say whether the last snapshot was published while that can be seen.
    pub(super) fn bring_up(&self, removed: &SnapshotName) -> io::Result<()> {
        let opened = self.opened;
        let Some(book) = opened.read(BOOK).and_then(|text| Book::read(&text)) else { return Ok(()) };
        let brought_up = book.clone().brought_up(Some(removed.as_str()), |name| opened.has(name));
        if brought_up == book { Ok(()) } else { opened.enter(&brought_up) }
    }
}

/// Counts inodes, each once.
#[derive(Default)]
struct Counting {
    device: u64,
    sum: Usage,
    history: Usage,
    set_aside: Usage,
    waiting: Usage,
    /// Those with several names, which have been counted.
    seen: HashSet<u64>,
    /// Why a part was not seen.
    blind: Option<io::Error>,
}

impl Counting {
    /// Counts the snapshots, and what else somebody has put beside them; not the directories that
    /// lead to them.
    fn snapshots(&mut self, directory: BorrowedFd<'_>, prefix: &str, level: usize, names: &NamePattern) -> io::Result<()> {
        let again = open_at(directory, ".")?;
        each(again.as_fd(), |entry| {
            let name = entry.name.to_str().ok().map(|name| format!("{prefix}{name}"));
            match name.filter(|name| level < names.deepest() && names.read(name).is_none() && is_directory(directory, entry.name)) {
                Some(name) => self.snapshots(open_at(directory, entry.name)?.as_fd(), &format!("{name}/"), level + 1, names),
                None => self.tree(directory, entry.name),
            }
        })
    }

    /// Counts the trees in a directory of the gate's.
    fn trees(&mut self, state: &OwnedFd, name: &str) -> io::Result<()> {
        let Some(directory) = found(open_at(state, name).map_err(io::Error::from))? else { return Ok(()) };
        let again = open_at(&directory, ".")?;
        each(again.as_fd(), |entry| {
            // Notes beside them are the gate's.
            if entry.is_directory(directory.as_fd())? { self.tree(directory.as_fd(), entry.name) } else { Ok(()) }
        })
    }

    fn tree(&mut self, parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
        // It may have gone to the trash, which is counted later.
        let Some(top) = found(stat(parent, name))? else { return Ok(()) };
        self.add(&top);
        if kind(&top) == SFlag::S_IFDIR && top.st_dev == self.device {
            found(walk(parent, name, (), Closed::Left, self))?;
        }
        Ok(())
    }

    fn add(&mut self, found: &FileStat) {
        let is_new = kind(found) == SFlag::S_IFDIR || found.st_nlink <= 1 || self.seen.insert(found.st_ino);
        if is_new && found.st_dev == self.device {
            self.sum = self.sum.and(Usage { bytes: allocated(found), inodes: 1 });
        }
    }
}

impl Visitor for Counting {
    type Here = ();

    fn entry(&mut self, (): &mut (), at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<()>> {
        let found = stat(at, entry.name)?;
        self.add(&found);
        Ok(if kind(&found) == SFlag::S_IFDIR && found.st_dev == self.device { Next::Into(()) } else { Next::Past })
    }

    fn unseen(&mut self, error: io::Error) -> io::Result<ControlFlow<()>> {
        self.blind.get_or_insert(error);
        Ok(ControlFlow::Continue(()))
    }
}
