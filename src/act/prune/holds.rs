//! Ends what holds a snapshot (`act/store/holds`).

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{UnlinkatFlags, fsync, linkat, unlinkat};

use super::trash::hold_of;
use super::{Held, Opened, notes};
use crate::act::store::tree::{each, open_at};
use crate::act::store::{OrTrouble as _, disk::found, note_name, tree};
use crate::decide::anomaly::{HeldNote, History};
use crate::terms::{Reason, SnapshotName};

/// The directory of the notes on held snapshots.
const HELD: &str = "held";

/// What good pushes were like.
const PUSHES: &str = "pushes.json";

impl Opened {
    /// Whether a snapshot is held.
    ///
    /// # Errors
    /// Where that cannot be seen: then it may be damage.
    pub fn is_held(&self, snapshot: &str) -> Result<bool, Reason> {
        let look = || -> io::Result<bool> {
            let Some(directory) = found(open_at(&self.state, HELD).map_err(io::Error::from))? else { return Ok(false) };
            let note = tree::c_string(OsStr::new(&note_name(snapshot)))?;
            Ok(found(tree::stat(directory.as_fd(), &note))?.is_some())
        };
        look().or_trouble("looking at what is held in", &self.path)
    }

    /// How many are held. What was discarded may come back, and then is held again.
    pub fn held(&self) -> Result<usize, Reason> {
        let count = || -> io::Result<usize> {
            let mut held = 0;
            if let Some(directory) = found(open_at(&self.state, HELD).map_err(io::Error::from))? {
                each(directory.as_fd(), |entry| {
                    // The next push removes a note whose snapshot never came to be, or is gone.
                    let key = entry.name.to_str().ok().and_then(|name| name.strip_suffix(notes::NOTE));
                    held += usize::from(key.is_some_and(|key| self.has(&notes::named(key))));
                    Ok(())
                })?;
            }
            Ok(held)
        };
        count().or_trouble("reading what is held in", &self.path)
    }

    /// Whether it is, and `current` does not lead to it. Nor to one whose note cannot be read.
    pub fn is_passed_over(&self, snapshot: &str) -> bool {
        found(self.read_held(snapshot)).map_or(true, |note| note.is_some_and(|note| note.stays))
    }

    /// The note on a held snapshot, where it can be read.
    pub fn held_note(&self, snapshot: &str) -> Option<HeldNote> {
        self.read_held(snapshot).ok()
    }

    fn read_held(&self, snapshot: &str) -> io::Result<HeldNote> {
        notes::read(open_at(&self.state, HELD)?.as_fd(), OsStr::new(&note_name(snapshot)))
    }

    /// What good pushes were like. Without the note there was none.
    ///
    /// # Errors
    /// Where it cannot be read: nothing may be written over it.
    pub fn history(&self) -> Result<History, Reason> {
        let history = found(notes::read(self.state.as_fd(), OsStr::new(PUSHES)));
        history.map(Option::unwrap_or_default).or_trouble("reading `pushes.json` of", &self.path)
    }
}

impl Held<'_> {
    /// Gives the note on a snapshot, if it is held, a name of its own beside the snapshot's place in
    /// the trash. The other one stays until the next push: after a kill either is enough.
    pub(super) fn keep_hold(&self, snapshot: &SnapshotName, trash: &OwnedFd, entry: &str) -> io::Result<()> {
        let Some(directory) = found(open_at(&self.opened.state, HELD).map_err(io::Error::from))? else { return Ok(()) };
        second_name((&directory, &note_name(snapshot.as_str())), (trash, &hold_of(entry)))
    }

    /// Holds a snapshot that is about to come back, if it was held when it went.
    pub(super) fn hold_again(&self, snapshot: &SnapshotName, trash: &OwnedFd, entry: &str) -> io::Result<()> {
        let directory = self.opened.directory(HELD)?;
        second_name((trash, &hold_of(entry)), (&directory, &note_name(snapshot.as_str())))?;
        Ok(fsync(&directory)?)
    }

    /// Ends it. Returns whether it was held.
    pub fn release(&self, snapshot: &str) -> Result<bool, Reason> {
        let release = || -> io::Result<bool> {
            let Some(directory) = found(open_at(&self.opened.state, HELD).map_err(io::Error::from))? else { return Ok(false) };
            let note = note_name(snapshot);
            let removed = found(unlinkat(&directory, note.as_str(), UnlinkatFlags::NoRemoveDir).map_err(io::Error::from))?;
            fsync(&directory)?;
            Ok(removed.is_some())
        };
        release().or_trouble("releasing a snapshot in", &self.opened.path)
    }

    /// Writes down what good pushes were like.
    pub fn write_history(&self, history: &History) -> Result<(), Reason> {
        self.opened.write(self.opened.state.as_fd(), PUSHES, history).or_trouble("writing in", &self.opened.path)
    }
}

/// Gives a note another name, if it is there. Where that name is taken, something is held by it.
fn second_name((from, note): (&OwnedFd, &str), (to, name): (&OwnedFd, &str)) -> io::Result<()> {
    match linkat(from, note, to, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::ENOENT | Errno::EEXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
