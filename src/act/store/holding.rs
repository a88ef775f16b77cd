//! What the client holds in all, kept from push to push in the book `usage`, so that nobody
//! has to walk through history to know it.
//!
//! A push enters what it adds before it publishes; whether it did, the name of its snapshot tells.
//! So a kill leaves nothing out. Where something is missing all the same, the book says that it is
//! due to be counted anew. What a push adds is known while it is settled: until its links are made
//! nothing of history is in the stage. Only where that is not so the new tree is walked.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sys::stat::{SFlag, lstat};
use rustix::fs::fstatvfs;

use super::disk::{overwrite_with, read_note};
use super::keep::numbered;
use super::tree::{Listed, allocated, kind, names_of, open, open_at, stat};
use super::walk::{Closed, Next, Visitor, walk_tree};
use super::{Held, Repository, Staging};
use crate::decide::policy::{Policy, Site};
use crate::decide::quota::{self, Book, Disk, Holding, Next as Announced, Reclaimed};
use crate::terms::limits::{MAX_BOOK, MAX_TWINS};
use crate::terms::{Reason, SnapshotName, Usage};

impl Repository {
    /// What the client holds. Nothing is walked.
    #[must_use]
    pub fn holding(&self, newest: Option<&SnapshotName>) -> Holding {
        self.book(newest).holding(read(&self.freed_note(), Reclaimed::read))
    }

    /// What the client holds, if it may bring something, or the bytes that it `wants` to bring.
    ///
    /// # Errors
    /// With [`Code::Quota`](crate::terms::Code::Quota) where it holds as much as it may, and with
    /// [`Code::Store`](crate::terms::Code::Store) where the disk has no room for it.
    pub fn room(&self, policy: &Policy, site: &Site, newest: Option<&SnapshotName>, wants: Option<u64>) -> Result<Holding, Reason> {
        let holding = self.holding(newest);
        if let Some(reason) = quota::refusal(&policy.quota, &holding, wants) {
            return Err(reason.rule(policy.origins.of("quota")));
        }
        if let Some(reason) = self.disk().and_then(|disk| quota::no_room(&disk, &site.min_free, wants)) {
            return Err(reason.rule(site.origins.of("min_free")));
        }
        Ok(holding)
    }

    /// What is free on its disk; `None` where the kernel does not say.
    pub fn disk(&self) -> Option<Disk> {
        disk_of(&File::open(self.root()).ok()?)
    }

    /// One that cannot be read is as good as none: it is due then.
    fn book(&self, newest: Option<&SnapshotName>) -> Book {
        let is_there = |name: &str| lstat(&self.snapshots().join(name)).is_ok_and(|found| kind(&found) == SFlag::S_IFDIR);
        read(&self.usage_note(), Book::read).brought_up(newest.map(SnapshotName::as_str), is_there)
    }

    /// What is not written is due to be counted.
    fn enter(&self, book: &Book) {
        let _ = overwrite_with(&self.usage_note(), book.to_string().as_bytes());
    }
}

fn read<T: Default>(note: &Path, read: impl FnOnce(&str) -> Option<T>) -> T {
    let bytes = read_note(note, MAX_BOOK).ok();
    bytes.and_then(|bytes| read(std::str::from_utf8(&bytes).ok()?)).unwrap_or_default()
}

/// The disk of an open directory.
pub(in crate::act) fn disk_of(directory: impl AsFd) -> Option<Disk> {
    let stat = fstatvfs(directory).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    Some(Disk {
        free: Usage { bytes: bytes(stat.f_bavail), inodes: stat.f_favail },
        size: Usage { bytes: bytes(stat.f_blocks), inodes: stat.f_files },
    })
}

impl Held<'_> {
    /// Enters what the snapshot adds that is about to be published. `newest` is the one before.
    pub fn enter_next(&self, newest: Option<&SnapshotName>, name: &SnapshotName, adds: Option<Usage>) {
        let next = Announced { name: name.to_string(), adds };
        self.repository.enter(&self.repository.book(newest).announcing(next));
    }

    /// Enters what a push adds that waits in its transaction.
    pub fn enter_part(&self, adds: Option<Usage>) {
        self.repository.enter(&self.repository.book(None).with_part(adds));
    }

    /// Enters what stands unpublished when a session ends. It is counted, which costs no more than
    /// setting it aside did; of what waits in a transaction only what nobody could remove.
    pub fn enter_unpublished(&self) {
        let repository = self.repository;
        let [tries, parts, broken] = [repository.interrupted(), repository.parts(), repository.broken()].map(|trees| numbered(&trees));
        let book = repository.book(None);
        if tries.is_empty() && parts.is_empty() && broken.is_empty() && !book.has_unpublished() {
            return;
        }
        let set_aside = own(&tries);
        let waiting = if parts.is_empty() { own(&broken) } else { book.waiting() };
        repository.enter(&book.with_unpublished(set_aside, waiting));
    }
}

impl Staging<'_> {
    /// What the tree adds to what the client holds, by a walk through all of it. What is in these
    /// snapshots at the same place is not new. `None` where a part of it could not be seen.
    pub fn adds(&self, snapshots: &[PathBuf]) -> Option<Usage> {
        let mut counting = Counting::default();
        counting.tree(self.path(), snapshots, Closed::Left);
        if counting.has_incomplete() {
            for kept in numbered(&self.held().repository.interrupted()) {
                counting.names_alone(&kept);
            }
        }
        counting.sum()
    }
}

/// What these trees hold and history does not.
fn own(trees: &[PathBuf]) -> Usage {
    let mut counting = Counting::default();
    trees.iter().for_each(|tree| counting.tree(tree, &[], Closed::Lent));
    counting.usage()
}

/// An inode with several names, some of which were seen.
struct Twin {
    names: u64,
    seen: u64,
    bytes: u64,
}

/// Counts inodes all of whose names are in the trees that it sees.
#[derive(Default)]
struct Counting {
    sum: Usage,
    twins: HashMap<u64, Twin>,
    /// Whether it only looks for further names of what it has seen.
    names_alone: bool,
    blind: bool,
}

impl Counting {
    fn tree(&mut self, tree: &Path, snapshots: &[PathBuf], closed: Closed) {
        let snapshots = snapshots.iter().filter_map(|path| open(path).ok()).collect();
        let top = lstat(tree).map(|found| self.add(allocated(&found)));
        let walked = walk_tree(tree, snapshots, closed, self);
        self.blind |= top.is_err() || walked.is_err();
    }

    fn names_alone(&mut self, tree: &Path) {
        self.names_alone = true;
        self.blind |= walk_tree(tree, Vec::new(), Closed::Lent, self).is_err();
        self.names_alone = false;
    }

    fn add(&mut self, bytes: u64) {
        self.sum = self.sum.and(Usage { bytes, inodes: 1 });
    }

    fn has_incomplete(&self) -> bool {
        self.twins.values().any(|twin| twin.seen < twin.names)
    }

    fn usage(&self) -> Usage {
        let whole = self.twins.values().filter(|twin| twin.seen >= twin.names);
        whole.fold(self.sum, |sum, twin| sum.and(Usage { bytes: twin.bytes, inodes: 1 }))
    }

    fn sum(&self) -> Option<Usage> {
        (!self.blind).then(|| self.usage())
    }
}

impl Visitor for Counting {
    /// The same directory in the snapshots.
    type Here = Vec<OwnedFd>;

    fn entry(&mut self, here: &mut Vec<OwnedFd>, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Vec<OwnedFd>>> {
        let found = stat(at, entry.name)?;
        if kind(&found) == SFlag::S_IFDIR {
            if !self.names_alone {
                self.add(allocated(&found));
            }
            return Ok(Next::Into(here.iter().filter_map(|old| open_at(old, entry.name).ok()).collect()));
        }
        let names = names_of(&found);
        if self.names_alone {
            self.twins.entry(found.st_ino).and_modify(|twin| twin.seen += 1);
        } else if names <= 1 {
            self.add(allocated(&found));
        } else if !here.iter().any(|old| stat(old.as_fd(), entry.name).is_ok_and(|old| old.st_ino == found.st_ino)) {
            if self.twins.len() < MAX_TWINS || self.twins.contains_key(&found.st_ino) {
                let twin = Twin { names, seen: 0, bytes: allocated(&found) };
                self.twins.entry(found.st_ino).or_insert(twin).seen += 1;
            } else {
                self.blind = true;
            }
        }
        Ok(Next::Past)
    }

    fn unseen(&mut self, _: io::Error) -> io::Result<ControlFlow<()>> {
        self.blind = true;
        Ok(ControlFlow::Continue(()))
    }
}
