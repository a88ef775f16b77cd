//! Whether two versions have the same content. What may be read for it has a bound; beyond, size
//! and time decide.

use std::cell::Cell;
use std::fs::File;
use std::io;

use super::places::Place;
use crate::act::store::attributes;
use crate::act::store::compare::fill;
use crate::decide::history::differ::{Beside, beside, settled};
use crate::decide::history::entry::Sort;
use crate::terms::limits::MAX_READ_ALIKE;

/// Compares, and knows how much it may still read.
pub(super) struct Alike {
    room: Cell<u64>,
    /// Whether something was not read that should have been.
    guessed: Cell<bool>,
}

impl Default for Alike {
    fn default() -> Self {
        Self { room: Cell::new(MAX_READ_ALIKE), guessed: Cell::new(false) }
    }
}

impl Alike {
    /// Whether some answer rests on size and time alone.
    pub(super) fn has_guessed(&self) -> bool {
        self.guessed.get()
    }

    /// What two versions of a name say.
    pub(super) fn beside(&self, old: &Place<'_>, new: &Place<'_>) -> io::Result<Beside> {
        let unread = beside(&old.entry, &new.entry);
        let Beside::Unread { metadata } = unread else { return Ok(unread) };
        if old.entry.sort == Sort::Link {
            return Ok(settled(old.target()? == new.target()?, metadata));
        }
        let same = match self.same(old, new)? {
            Some(same) => same,
            None => old.entry.changed == new.entry.changed,
        };
        let metadata = metadata || (same && attributes_differ(&old.open()?, &new.open()?)?);
        Ok(settled(same, metadata))
    }

    /// Whether two files of one size have the same content; `None`: that is too much to read.
    pub(super) fn same(&self, old: &Place<'_>, new: &Place<'_>) -> io::Result<Option<bool>> {
        let Some(left) = self.room.get().checked_sub(new.entry.size.max(1)) else {
            self.guessed.set(true);
            return Ok(None);
        };
        self.room.set(left);
        let (mut one, mut other) = (old.open()?, new.open()?);
        let (mut here, mut there) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        loop {
            let read = fill(&mut one, &mut here)?;
            let of_other = fill(&mut other, &mut there)?;
            if here.get(..read) != there.get(..of_other) {
                return Ok(Some(false));
            }
            if read < here.len() {
                return Ok(Some(true));
            }
        }
    }
}

fn attributes_differ(old: &File, new: &File) -> io::Result<bool> {
    let read = |file: &File| match attributes::names(file) {
        Ok(mut names) => {
            names.sort();
            Ok(names)
        }
        // A file system without them.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    let names = read(old)?;
    if names != read(new)? {
        return Ok(true);
    }
    for name in names {
        if attributes::get(old, &name)? != attributes::get(new, &name)? {
            return Ok(true);
        }
    }
    Ok(false)
}
