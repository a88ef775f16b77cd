//! The walk over a repository: what in it is the account's, and what the client's.
//!
//! It never goes through a link or into another file system. Nothing is remembered of what was seen, for there may be any number of
//! files: one that has further names is found done under those.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::super::tree::{deeper, each, open_at};
use super::Given;
use super::inode::Inode;
use super::notes::NEW;
use super::pass::Pass;
use super::private::Private;
use crate::decide::owners::remap::{Kind, Meaning, Remap, Whose};
use crate::terms::NamePattern;
use crate::terms::limits::MAX_NAMED_PROBLEMS;
use crate::terms::text::printable;

/// The gate's own directory in a repository.
pub(super) const STATE_NAME: &CStr = c".snapgate";

/// A file with several names is seen as often where nothing is changed, so each name counts for its part of it.
const WHOLE: u64 = 1 << 32;

pub(super) struct Walk<'a> {
    remap: &'a Remap,
    names: &'a NamePattern,
    pass: Pass,
    private: &'a mut Private,
    /// The file system that the repository is in.
    device: (u32, u32),
    /// Where the walk is, for people.
    at: PathBuf,
    /// Names of files that are to get powers back: how many have not been seen.
    elsewhere: u64,
    given: Given,
}

impl<'a> Walk<'a> {
    pub(super) fn new(remap: &'a Remap, names: &'a NamePattern, pass: Pass, private: &'a mut Private) -> Self {
        Self { remap, names, pass, private, device: (0, 0), at: PathBuf::new(), elsewhere: 0, given: Given::default() }
    }

    /// Walks through all of a repository but its own directory.
    pub(super) fn through(mut self, root: BorrowedFd<'_>) -> Given {
        match Inode::hold(root, c".") {
            Ok(held) => self.device = held.device(),
            Err(error) => self.problem(&format!("cannot be looked at: {error}")),
        }
        self.step(root, STATE_NAME, Whose::Accounts, Self::state);
        // Opened for itself: a listing goes on where the last one of the same descriptor ended.
        match open_at(root, c".") {
            Ok(listed) => self.inside(listed.as_fd(), |walk, entry| match entry.to_bytes() {
                b".snapgate" => {}
                b"snapshots" => walk.step(root, entry, Whose::Accounts, |walk, snapshots| walk.snapshots(snapshots, "", 1)),
                b"current" => walk.all(root, entry, Whose::Accounts, 0),
                b"inprogress" => walk.all(root, entry, Whose::Clients, 0),
                _ => walk.others(root, entry),
            }),
            Err(error) => self.problem(&format!("cannot be read: {error}")),
        }
        if self.elsewhere > 0 {
            let names = if self.elsewhere == 1 { "1 name" } else { &format!("{} names", self.elsewhere) };
            self.problem(&format!(
                "has set-ID programs, or ones with capabilities, that have {names} outside of it, where somebody else could run them \
                 (look for them on its disk: find(1) with -xdev -perm /6000 -links +1, or getcap(8) with -r)"
            ));
        }
        let Given { files, lists, capabilities, modes, .. } = &mut self.given;
        for sum in [files, lists, capabilities, modes] {
            *sum = sum.saturating_add(WHOLE / 2) / WHOLE;
        }
        self.given
    }

    /// What the gate did not put there: the account did, or somebody whom it does not concern.
    fn others(&mut self, root: BorrowedFd<'_>, name: &CStr) {
        // Where all ids are the client's own numbers nobody can say.
        if *self.remap.meant() == Meaning::Real {
            return;
        }
        let is_concerned = |inode: &Inode| inode.needs(self.remap, Whose::Clients, self.pass, self.private).is_ok();
        if Inode::hold(root, name).is_ok_and(|inode| inode.device() == self.device && is_concerned(&inode)) {
            if self.given.others.len() < MAX_NAMED_PROBLEMS {
                self.given.others.push(format!("`{}`", printable(name.to_bytes())));
            }
            self.all(root, name, Whose::Clients, 0);
        }
    }

    /// The gate's own directory.
    fn state(&mut self, state: BorrowedFd<'_>) {
        self.inside(state, |walk, entry| {
            let name = entry.to_bytes();
            match name {
                // Root's, where a run was killed, and gone when this one has ended.
                _ if name == NEW.as_bytes() => {}
                b"interrupted" | b"parts" | b"broken" | b"placeholders" => {
                    walk.step(state, entry, Whose::Accounts, |walk, trees| {
                        walk.inside(trees, |walk, tree| walk.all(trees, tree, Whose::Clients, 0));
                    });
                }
                b"logs" => walk.step(state, entry, Whose::Accounts, |walk, logs| {
                    walk.inside(logs, |walk, log| {
                        let whose = if log.to_bytes().ends_with(b".rsync.log") { Whose::Clients } else { Whose::Accounts };
                        walk.all(logs, log, whose, 0);
                    });
                }),
                _ => walk.all(state, entry, Whose::Accounts, 0),
            }
        });
    }

    /// Snapshots, and the directories that are part of their names.
    fn snapshots(&mut self, directory: BorrowedFd<'_>, prefix: &str, level: usize) {
        self.inside(directory, |walk, entry| {
            let name = entry.to_str().map(|name| format!("{prefix}{name}")).unwrap_or_default();
            // Also one that was named by an earlier pattern.
            if walk.names.read(&name).is_some() || level >= walk.names.deepest() || !walk.may_be_the_gates(directory, entry) {
                walk.all(directory, entry, Whose::Clients, 0);
            } else {
                walk.step(directory, entry, Whose::Accounts, |walk, below| walk.snapshots(below, &format!("{name}/"), level + 1));
            }
        });
    }

    /// Whether it may be a directory that is a part of the names of snapshots: where owners are kept, those alone are the account's.
    fn may_be_the_gates(&self, directory: BorrowedFd<'_>, name: &CStr) -> bool {
        let Ok(inode) = Inode::hold(directory, name) else { return false };
        let is_mapped = matches!(self.remap.meant(), Meaning::Mapped(_));
        inode.is_directory() && (!is_mapped || self.remap.is_accounts(Kind::User, inode.user()))
    }

    /// Something, with all that is in it.
    fn all(&mut self, parent: BorrowedFd<'_>, name: &CStr, whose: Whose, depth: usize) {
        self.step(parent, name, whose, |walk, directory| match deeper(depth) {
            Ok(depth) => walk.inside(directory, |walk, entry| walk.all(directory, entry, whose, depth)),
            Err(error) => walk.problem(&error.to_string()),
        });
    }

    /// Something, and then what is to be done inside where it is a directory.
    fn step(&mut self, parent: BorrowedFd<'_>, name: &CStr, whose: Whose, inside: impl FnOnce(&mut Self, BorrowedFd<'_>)) {
        self.at.push(OsStr::from_bytes(name.to_bytes()));
        match self.visit(parent, name, whose) {
            Ok(Some(inode)) => {
                // The listing alone is held while the walk is inside.
                let opened = open_at(inode.held(), c".");
                drop(inode);
                match opened {
                    Ok(directory) => inside(self, directory.as_fd()),
                    Err(error) => self.problem(&format!("cannot be read: {error}")),
                }
            }
            Ok(None) => {}
            Err(what) => self.problem(&what),
        }
        self.at.pop();
    }

    /// Gives each entry of a directory to `look`.
    fn inside(&mut self, directory: BorrowedFd<'_>, mut look: impl FnMut(&mut Self, &CStr)) {
        let read = each(directory, |entry| {
            look(self, entry.name);
            Ok(())
        });
        if let Err(error) = read {
            self.problem(&format!("cannot be read: {error}"));
        }
    }

    /// One thing alone. Gives it back where it is a directory to go on with.
    fn visit(&mut self, parent: BorrowedFd<'_>, name: &CStr, whose: Whose) -> Result<Option<Inode>, String> {
        let inode = Inode::hold(parent, name).map_err(|error| format!("cannot be looked at: {error}"))?;
        // Not all that is beneath another is of the same disk, even without a mount (btrfs(5), subvolumes).
        if inode.is_directory() && inode.device() != self.device {
            return Err("is in another file system".to_owned());
        }
        if let Err(what) = self.give(&inode, whose) {
            self.problem(&what);
        }
        Ok(inode.is_directory().then_some(inode))
    }

    fn give(&mut self, inode: &Inode, whose: Whose) -> Result<(), String> {
        let Some(change) = inode.needs(self.remap, whose, self.pass, self.private)? else { return Ok(()) };
        let words = |error: io::Error| format!("cannot be changed: {error}");
        let mut part = WHOLE / inode.names();
        match (self.pass, change.kept()) {
            (Pass::Keep, Some(kept)) => {
                let is_first = self.private.keep(inode.number(), kept).map_err(|error| format!("cannot be noted: {error}"))?;
                // What has a name elsewhere would run there as one of the new ids, for whoever can reach it: the old account, for one.
                self.elsewhere = self.elsewhere.saturating_add(if is_first { inode.names() } else { 0 }).saturating_sub(1);
            }
            (Pass::Look | Pass::LookAgain | Pass::Keep, _) => {}
            (Pass::Change, _) => {
                part = WHOLE;
                inode.change(&change).map_err(words)?;
            }
            (Pass::Verify, _) => return Err("is not as it should be: somebody has changed it meanwhile".to_owned()),
        }
        let Given { files, lists, capabilities, modes, .. } = &mut self.given;
        for (sum, counts) in
            [(files, true), (lists, change.has_list()), (capabilities, change.has_capability()), (modes, change.has_set_id())]
        {
            *sum = sum.saturating_add(if counts { part } else { 0 });
        }
        Ok(())
    }

    fn problem(&mut self, what: &str) {
        self.given.in_all += 1;
        if self.given.problems.len() < MAX_NAMED_PROBLEMS {
            let at = if self.at.as_os_str().is_empty() { OsStr::new(".") } else { self.at.as_os_str() };
            self.given.problems.push(format!("`{}` {what}", printable(at.as_encoded_bytes())));
        }
    }
}
