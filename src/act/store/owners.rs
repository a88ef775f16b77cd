//! What a repository says of the owners in it, in a note of its own: which ids of this machine stand for which of the client's.
//!
//! The note is written before the first file arrives, and means the same for as long as the repository is there.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid};

use super::disk::{read_note, write_note};
use super::{Repository, trouble, unusable};
use crate::decide::owners::Remembered;
use crate::terms::limits::MAX_OWNERS_NOTE;
use crate::terms::{Mapping, Reason, STATE};

/// What the repository at `path` says, if there is one. It is only looked at.
///
/// # Errors
/// When its note cannot be read.
pub fn remembered(path: &Path) -> Result<Remembered, Reason> {
    let state = path.join(STATE);
    let note = note(&state);
    match read_note(&note, MAX_OWNERS_NOTE) {
        Ok(bytes) => {
            let mapping = serde_json::from_slice(&bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error));
            mapping.map(Remembered::Mapped).map_err(|error| trouble("reading", &note, &error))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // The directory of snapshots is made when it is settled what will stand in it (`Repository::open`).
            let is_settled = fs::symlink_metadata(path.join("snapshots")).is_ok();
            Ok(if is_settled { Remembered::Account } else { Remembered::Nothing })
        }
        Err(error) => Err(trouble("reading", &note, &error)),
    }
}

fn note(state: &Path) -> PathBuf {
    state.join("owners.json")
}

impl Repository {
    /// Writes down where the client's ids stand, unless that is there already.
    pub(super) fn remember(&self, mapping: &Mapping) -> Result<(), Reason> {
        let note = note(&self.state());
        match remembered(&self.root)? {
            Remembered::Mapped(before) if before == *mapping => return Ok(()),
            Remembered::Mapped(before) if mapping.extends(&before) => {}
            Remembered::Nothing => {}
            // Somebody else has begun it meanwhile.
            _ => return Err(unusable("the repository holds owners of another kind".to_owned(), "push again")),
        }
        let written = serde_json::to_vec(mapping).map_err(io::Error::from).and_then(|bytes| write_note(&note, &bytes));
        written.map_err(|error| trouble("writing", &note, &error))
    }

    /// Whether files have owners of their own: root's gate can give them any, and one in the namespace of the client's ids those.
    pub(super) fn keeps_owners(&self) -> bool {
        self.ids.is_some() || geteuid().is_root()
    }

    /// Makes something that is to be filled by the client's rsync its own. Where owners are kept, rsync runs as the client's root; else it
    /// is the account anyway.
    ///
    /// # Errors
    /// When the disk does not let it.
    pub fn give(&self, path: &Path) -> io::Result<()> {
        if self.ids.is_none() {
            return Ok(());
        }
        lchown(path, Some(0), Some(0)).or_else(|_| {
            // It may have got the group of a directory above, which is none of the client's. Its owner may always take it back.
            lchown(path, None, Some(getegid().as_raw()))?;
            lchown(path, Some(0), Some(0))
        })
    }
}
