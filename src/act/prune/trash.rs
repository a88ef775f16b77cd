//! The trash: snapshots that were taken out of history, and can be brought back.
//!
//! A place in the trash says by its name which snapshot it is and when it went, so that one rename
//! says all, and nothing is half done after a kill. Why it went is in a note beside it. If it was
//! held as damage, a second name of that note is beside it as well: a good push may take the
//! snapshot's name meanwhile, and ends what is held under it.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use nix::errno::Errno;
use nix::fcntl::{RenameFlags, renameat2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::notes::{self, NOTE, key, named};
use super::{Held, Opened, TRASH, gone, is_directory};
use crate::act::store::OrTrouble as _;
use crate::act::store::disk::found;
use crate::act::store::tree::{Lent, c_string, each, find, open_at};
use crate::terms::text::{os_words, printable};
use crate::terms::{Code, Reason, SnapshotName};

/// Where the reaper has begun with it.
pub(super) const REAPING: &str = "reaping";

/// When a snapshot went, behind its name.
pub(super) const STAMP: &str = "@%Y%m%dT%H%M%SZ";

/// The end of the name that the note on a held snapshot has in the trash.
const HOLD: &str = ".held.json";

pub(super) fn hold_of(entry: &str) -> String {
    entry.to_owned() + HOLD
}

/// Why a snapshot was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Why, printable.
    pub why: String,
    /// Who did it: an account.
    pub by: String,
}

/// A snapshot in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trashed {
    /// Its name in history.
    pub name: String,
    /// When it was removed.
    pub at: DateTime<Utc>,
    /// Why, where that is known.
    pub removal: Option<Removal>,
    entry: String,
}

impl Held<'_> {
    /// Takes a snapshot out of history: one rename, whatever its size. Directories above it that
    /// are empty then go as well.
    ///
    /// # Errors
    /// With [`Code::Busy`] where somebody has begun to read it.
    pub fn remove(&self, name: &SnapshotName, at: DateTime<Utc>, removal: &Removal) -> Result<(), Reason> {
        self.taken_out(name, at, removal, true)
    }

    /// The same although somebody reads it, who then finds parts of it gone.
    pub fn remove_from_readers(&self, name: &SnapshotName, at: DateTime<Utc>, removal: &Removal) -> Result<(), Reason> {
        self.taken_out(name, at, removal, false)
    }

    fn taken_out(&self, name: &SnapshotName, at: DateTime<Utc>, removal: &Removal, spares_readers: bool) -> Result<(), Reason> {
        let path = self.opened.path.join(name.below(Path::new("snapshots")));
        match self.bring_up(name).and_then(|()| self.take_out(name, at, removal, spares_readers)) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                Err(Reason::new(Code::Busy, format!("somebody reads {name}")).hint("try again when that has ended"))
            }
            taken => taken.or_trouble("removing", &path),
        }
    }

    fn take_out(&self, name: &SnapshotName, at: DateTime<Utc>, removal: &Removal, spares_readers: bool) -> io::Result<()> {
        let trash = self.opened.directory(TRASH)?;
        let (way, last) = self.way(name, false)?;
        let parent = way.last().map_or(self.opened.snapshots.as_fd(), |(_, directory)| directory.as_fd());
        // Its `..` changes, so its owner has to have the right to write to it.
        let lent = Lent::open(parent, &last)?;
        // Held across the rename: whoever comes to read it waits, and then finds that it is gone.
        if spares_readers && flock(&lent, FlockOperation::NonBlockingLockExclusive) == Err(rustix::io::Errno::WOULDBLOCK) {
            lent.give_back()?;
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let mut at = at;
        loop {
            let entry = format!("{}{}", key(name), at.format(STAMP));
            let note = entry.clone() + NOTE;
            self.opened.put(trash.as_fd(), &note, removal)?;
            self.keep_hold(name, &trash, &entry)?;
            match renameat2(parent, &*last, &trash, entry.as_str(), RenameFlags::RENAME_NOREPLACE) {
                // One of this name went in this very second.
                Err(Errno::EEXIST) => at += TimeDelta::seconds(1),
                Err(error) => {
                    let hold = hold_of(&entry);
                    [note, hold].iter().try_for_each(|note| gone(unlinkat(&trash, note.as_str(), UnlinkatFlags::NoRemoveDir)))?;
                    return Err(error.into());
                }
                Ok(()) => break,
            }
        }
        // It has moved, whatever becomes of its mode.
        let _ = lent.give_back();
        let parents = std::iter::once(self.opened.snapshots.as_fd()).chain(way.iter().map(|(_, directory)| directory.as_fd()));
        let above: Vec<_> = parents.zip(way.iter().map(|(name, _)| name)).collect();
        for (parent, name) in above.into_iter().rev() {
            // Fails where something is left in it, as it should.
            if unlinkat(parent, &**name, UnlinkatFlags::RemoveDir).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Brings what was removed, or brought back, to the disk.
    pub fn sync(&self) -> Result<(), Reason> {
        let sync = || -> io::Result<()> {
            fsync(&self.opened.snapshots)?;
            Ok(fsync(&self.opened.directory(TRASH)?)?)
        };
        sync().or_trouble("syncing", &self.opened.path)
    }

    /// Brings a snapshot back into history.
    ///
    /// # Errors
    /// Also where its name has been given again, or the reaper has begun with it.
    pub fn bring_back(&self, trashed: &Trashed, name: &SnapshotName) -> Result<(), Reason> {
        let bring = || -> io::Result<()> {
            let trash = self.opened.directory(TRASH)?;
            let (way, last) = self.way(name, true)?;
            let parent = way.last().map_or(self.opened.snapshots.as_fd(), |(_, directory)| directory.as_fd());
            let entry = CString::new(trashed.entry.as_str())?;
            let lent = Lent::open(trash.as_fd(), &entry)?;
            // First, so that no moment shows it as a good one.
            self.hold_again(name, &trash, &trashed.entry)?;
            renameat2(&trash, &*entry, parent, &*last, RenameFlags::RENAME_NOREPLACE)?;
            // It is back, whatever becomes of its mode and its notes.
            let _ = lent.give_back();
            for note in [trashed.entry.clone() + NOTE, hold_of(&trashed.entry)] {
                let _ = unlinkat(&trash, note.as_str(), UnlinkatFlags::NoRemoveDir);
            }
            Ok(fsync(parent)?)
        };
        bring().or_trouble("bringing back", &self.opened.path.join(name.below(Path::new("snapshots"))))
    }

    /// The directories on the way to a snapshot, with their names, and its last part.
    fn way(&self, name: &SnapshotName, make: bool) -> io::Result<(Vec<(CString, OwnedFd)>, CString)> {
        let mut parts = name.as_str().split('/').map(|part| c_string(OsStr::new(part))).collect::<io::Result<Vec<_>>>()?;
        let last = parts.pop().ok_or(io::ErrorKind::InvalidInput)?;
        let mut way: Vec<(CString, OwnedFd)> = Vec::new();
        for part in parts {
            let parent = way.last().map_or(self.opened.snapshots.as_fd(), |(_, directory)| directory.as_fd());
            let is_made = make && mkdirat(parent, &*part, Mode::from_bits_truncate(0o755)).is_ok();
            let directory = open_at(parent, &*part)?;
            if is_made {
                self.opened.give(&directory)?;
            }
            way.push((part, directory));
        }
        Ok((way, last))
    }
}

impl Opened {
    /// What is in the trash and can be brought back, in the order in which it went.
    pub fn trash(&self) -> Result<Vec<Trashed>, Reason> {
        let read = || -> io::Result<Vec<Trashed>> {
            let mut all = Vec::new();
            let Some(trash) = found(open_at(&self.state, TRASH).map_err(io::Error::from))? else { return Ok(all) };
            each(trash.as_fd(), |entry| {
                let Some((name, at)) = entry.name.to_str().ok().and_then(read_entry) else { return Ok(()) };
                if entry.is_directory(trash.as_fd())? {
                    let entry = entry.name.to_string_lossy().into_owned();
                    let removal = notes::read(trash.as_fd(), OsStr::new(&(entry.clone() + NOTE))).ok();
                    all.push(Trashed { name, at, removal, entry });
                }
                Ok(())
            })?;
            all.sort_by(|one, other| (one.at, &one.entry).cmp(&(other.at, &other.entry)));
            Ok(all)
        };
        read().or_trouble("reading the trash of", &self.path)
    }

    /// Whether the reaper has begun with something.
    pub fn is_reaping(&self) -> bool {
        let any = |reaping: OwnedFd| find(reaping.as_fd(), |_| Ok(Some(()))).is_ok_and(|found| found.is_some());
        open_at(&self.state, REAPING).is_ok_and(any)
    }

    /// Hands these to the reaper: from then on they cannot be brought back. One that is gone from
    /// the trash is passed over, and one that somebody reads waits there. Returns also what cannot
    /// be handed over, and why.
    pub(super) fn give_up(&self, trashed: &[Trashed]) -> io::Result<(OwnedFd, Vec<String>)> {
        let reaping = self.directory(REAPING)?;
        let trash = self.directory(TRASH)?;
        let mut stuck = Vec::new();
        for Trashed { entry, .. } in trashed {
            if let Err(error) = hand_over(&trash, &reaping, &CString::new(entry.as_str())?) {
                stuck.push(format!("{}: {}", printable(entry.as_bytes()), os_words(&error)));
            }
        }
        self.forget_notes(&trash)?;
        fsync(&trash)?;
        Ok((reaping, stuck))
    }

    /// Removes notes about what is no longer there, also those that a killed reaper left. One that is
    /// written in this very moment may go, too: nothing depends on it.
    fn forget_notes(&self, trash: &OwnedFd) -> io::Result<()> {
        let mut notes = Vec::new();
        let again = open_at(trash, ".")?;
        each(again.as_fd(), |entry| {
            notes.extend(entry.name.to_str().ok().filter(|name| name.ends_with(NOTE)).map(str::to_owned));
            Ok(())
        })?;
        for note in notes {
            let entry = note.strip_suffix(HOLD).or_else(|| note.strip_suffix(NOTE)).unwrap_or(&note);
            if !is_directory(trash.as_fd(), &CString::new(entry)?) {
                gone(unlinkat(trash, note.as_str(), UnlinkatFlags::NoRemoveDir))?;
            }
        }
        Ok(())
    }
}

/// Moves a snapshot from the trash to what is being removed.
fn hand_over(trash: &OwnedFd, reaping: &OwnedFd, name: &CStr) -> io::Result<()> {
    if !is_directory(trash.as_fd(), name) {
        return Ok(());
    }
    // Its `..` changes. Nobody needs its mode any more.
    let lent = Lent::open(trash.as_fd(), name)?;
    if flock(&lent, FlockOperation::NonBlockingLockExclusive) == Err(rustix::io::Errno::WOULDBLOCK) {
        return lent.give_back();
    }
    match renameat2(trash, name, reaping, name, RenameFlags::RENAME_NOREPLACE) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let _ = lent.give_back();
    Ok(())
}

/// A snapshot's name, and when it went.
pub(super) fn read_entry(entry: &str) -> Option<(String, DateTime<Utc>)> {
    let at = entry.rfind('@')?;
    let (key, stamp) = entry.split_at_checked(at)?;
    let at = NaiveDateTime::parse_from_str(stamp, STAMP).ok()?.and_utc();
    Some((named(key), at)).filter(|(name, _)| !name.is_empty())
}
