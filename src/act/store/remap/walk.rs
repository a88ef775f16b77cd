//! The visitor of a repository: what in it is the account's, and what the client's.
//!
//! It never goes into another file system. It remembers nothing of what it saw, since there may be
//! any number of files: one with further names is found done under those.

use std::ffi::{CStr, OsStr};
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::super::tree::{Listed, open_at};
use super::super::walk::{Closed, Leaving, Next, Visitor, walk};
use super::Given;
use super::inode::Inode;
use super::notes::NEW;
use super::pass::Pass;
use super::private::Private;
use crate::decide::owners::remap::{Kind, Meaning, Remap, Whose};
use crate::terms::NamePattern;
use crate::terms::limits::{MAX_NAMED_PROBLEMS, MAX_SUBPATH_DEPTH};
use crate::terms::text::printable;

pub(super) const STATE_NAME: &CStr = c".snapgate";

/// A file with several names is seen as often, so each name counts for its part of it.
const WHOLE: u64 = 1 << 32;

pub(super) struct Walk<'a> {
    remap: &'a Remap,
    names: &'a NamePattern,
    pass: Pass,
    private: &'a mut Private,
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

    /// Walks through all of a repository.
    pub(super) fn through(mut self, root: BorrowedFd<'_>) -> Given {
        match Inode::hold(root, c".") {
            Ok(held) => self.device = held.device(),
            Err(error) => self.problem(&format!("cannot be looked at: {error}")),
        }
        if let Some(state) = self.step(root, STATE_NAME, Whose::Accounts) {
            self.inside(state.as_fd(), Here::State);
        }
        self.inside(root, Here::Root);
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

    fn inside(&mut self, directory: BorrowedFd<'_>, here: Here) {
        if let Err(error) = walk(directory, c".", here, Closed::Left, self) {
            self.fault(&format!("cannot be read: {error}"));
        }
    }

    /// Whether something that the gate did not put there goes along: the account put it there, or
    /// somebody whom it does not concern.
    fn goes_along(&mut self, root: BorrowedFd<'_>, name: &CStr) -> bool {
        // Where all ids are the client's own numbers nobody can say.
        if *self.remap.meant() == Meaning::Real {
            return false;
        }
        let is_concerned = |inode: &Inode| inode.needs(self.remap, Whose::Clients, self.pass, self.private).is_ok();
        let goes = Inode::hold(root, name).is_ok_and(|inode| inode.device() == self.device && is_concerned(&inode));
        if goes && self.given.others.len() < MAX_NAMED_PROBLEMS {
            self.given.others.push(format!("`{}`", printable(name.to_bytes())));
        }
        goes
    }

    /// Whether it may be a directory that is a part of the names of snapshots: where owners are
    /// kept, those alone are the account's.
    fn may_be_the_gates(&self, directory: BorrowedFd<'_>, name: &CStr) -> bool {
        let Ok(inode) = Inode::hold(directory, name) else { return false };
        let is_mapped = matches!(self.remap.meant(), Meaning::Mapped(_));
        inode.is_directory() && (!is_mapped || self.remap.is_accounts(Kind::User, inode.user()))
    }

    /// Looks at something. Opens it where it is a directory.
    fn step(&mut self, parent: BorrowedFd<'_>, name: &CStr, whose: Whose) -> Option<OwnedFd> {
        self.at.push(OsStr::from_bytes(name.to_bytes()));
        let opened = self.visit(parent, name, whose).and_then(|inode| {
            let open = |inode: Inode| open_at(inode.held(), c".").map_err(|error| format!("cannot be read: {error}"));
            inode.map(open).transpose()
        });
        let opened = opened.unwrap_or_else(|what| {
            self.problem(&what);
            None
        });
        if opened.is_none() {
            self.at.pop();
        }
        opened
    }

    /// One thing alone. Gives it back where it is a directory to go on with.
    fn visit(&mut self, parent: BorrowedFd<'_>, name: &CStr, whose: Whose) -> Result<Option<Inode>, String> {
        let inode = Inode::hold(parent, name).map_err(|error| format!("cannot be looked at: {error}"))?;
        // A subvolume (btrfs(5)) is another file system even without a mount.
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
                // A name elsewhere would run as one of the new ids, for the old account, too.
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
        *files = files.saturating_add(part);
        for (sum, counts) in [lists, capabilities, modes].into_iter().zip(change.concerns()) {
            *sum = sum.saturating_add(if counts { part } else { 0 });
        }
        Ok(())
    }

    /// A problem with the directory that the walk is in. It goes on above.
    fn fault(&mut self, what: &str) {
        self.problem(what);
        self.at.pop();
    }

    fn problem(&mut self, what: &str) {
        self.given.in_all += 1;
        if self.given.problems.len() < MAX_NAMED_PROBLEMS {
            let at = if self.at.as_os_str().is_empty() { OsStr::new(".") } else { self.at.as_os_str() };
            self.given.problems.push(format!("`{}` {what}", printable(at.as_encoded_bytes())));
        }
    }
}

pub(super) enum Here {
    Root,
    /// The gate's own.
    State,
    /// A directory of the gate's with trees of the client's.
    Trees,
    /// The same, with a note of the gate's beside each.
    Trash,
    Logs,
    /// `snapshots/`, or a directory that is part of names in it.
    Snapshots {
        prefix: String,
        level: usize,
    },
    /// With all that is in it.
    All(Whose),
}

impl Here {
    /// What is in it by that name, and whose that is itself. `None`: it is passed.
    fn below(&self, walk: &mut Walk<'_>, at: BorrowedFd<'_>, name: &CStr) -> Option<(Whose, Self)> {
        use Whose::{Accounts, Clients};
        let all = |whose| Some((whose, Self::All(whose)));
        match (self, name.to_bytes()) {
            (Self::All(whose), _) => all(*whose),
            (Self::Trees, _) => all(Clients),
            (Self::Trash, entry) => all(if entry.contains(&b'@') && !entry.ends_with(b".json") { Clients } else { Accounts }),
            (Self::Logs, log) => all(if log.ends_with(b".rsync.log") { Clients } else { Accounts }),
            // Root's, where a run was killed, and gone when this one has ended.
            (Self::State, name) if name == NEW.as_bytes() => None,
            (Self::State, b"interrupted" | b"parts" | b"broken" | b"placeholders") => Some((Accounts, Self::Trees)),
            (Self::State, b"trash" | b"reaping") => Some((Accounts, Self::Trash)),
            (Self::State, b"logs") => Some((Accounts, Self::Logs)),
            (Self::State, _) | (Self::Root, b"current") => all(Accounts),
            // Seen before.
            (Self::Root, b".snapgate") => None,
            (Self::Root, b"snapshots") => Some((Accounts, Self::Snapshots { prefix: String::new(), level: 1 })),
            (Self::Root, b"inprogress") => all(Clients),
            (Self::Root, _) => all(Clients).filter(|_| walk.goes_along(at, name)),
            (Self::Snapshots { prefix, level }, _) => {
                let full = name.to_str().map(|name| format!("{prefix}{name}")).unwrap_or_default();
                // Also one that was named by an earlier pattern.
                if walk.names.read(&full).is_some() || *level >= walk.names.deepest() || !walk.may_be_the_gates(at, name) {
                    return all(Clients);
                }
                Some((Accounts, Self::Snapshots { prefix: format!("{full}/"), level: level + 1 }))
            }
        }
    }
}

/// No error ends the walk: each is a problem of what it is about.
impl Visitor for Walk<'_> {
    type Here = Here;

    /// It begins at the repository, and a snapshot's name may be a path.
    const ABOVE: usize = MAX_SUBPATH_DEPTH;

    fn entry(&mut self, here: &mut Here, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Here>> {
        let Some((whose, below)) = here.below(self, at, entry.name) else { return Ok(Next::Past) };
        Ok(self.step(at, entry.name, whose).map_or(Next::Past, |opened| Next::Through(opened, below)))
    }

    fn leave(&mut self, _: Here, _: &Leaving<'_>) -> io::Result<Option<Here>> {
        self.at.pop();
        Ok(None)
    }

    fn unseen(&mut self, error: io::Error) -> io::Result<ControlFlow<()>> {
        self.fault(&error.to_string());
        Ok(ControlFlow::Continue(()))
    }

    fn broken_off(&mut self, error: io::Error) -> io::Result<ControlFlow<()>> {
        self.fault(&format!("cannot be read: {error}"));
        Ok(ControlFlow::Continue(()))
    }
}
