//! What a repository says of the owners in it, in a note of its own: which ids of this machine stand for which of the client's.
//!
//! The note is written before the first file arrives, and means the same for as long as the repository is there.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::lchown;
use std::path::{Path, PathBuf};

use super::disk::{read_note, write_note};
use super::{Repository, trouble};
use crate::decide::owners::Remembered;
use crate::terms::limits::MAX_NOTE;
use crate::terms::{Mapping, Reason, STATE};

/// What the repository at `path` says, if there is one. It is only looked at.
///
/// # Errors
/// When its note cannot be read.
pub fn remembered(path: &Path) -> Result<Remembered, Reason> {
    let state = path.join(STATE);
    let note = note(&state);
    match read_note(&note, MAX_NOTE) {
        Ok(bytes) => {
            let mapping = serde_json::from_slice(&bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error));
            mapping.map(Remembered::Mapped).map_err(|error| trouble("reading", &note, &error))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // A repository of an earlier release has none, and holds what is the account's.
            let is_new = !["snapshots", STATE].iter().any(|name| fs::symlink_metadata(path.join(name)).is_ok());
            Ok(if is_new { Remembered::Nothing } else { Remembered::Account })
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
        let remember = || -> io::Result<()> {
            let bytes = serde_json::to_vec(mapping)?;
            if read_note(&note, MAX_NOTE).is_ok_and(|before| before == bytes) { Ok(()) } else { write_note(&note, &bytes) }
        };
        remember().map_err(|error| trouble("writing", &note, &error))
    }

    /// Makes something that is to be filled by the client's rsync its own. Where owners are kept, rsync runs as the client's root; else it
    /// is the account anyway.
    ///
    /// # Errors
    /// When the disk does not let it.
    pub fn give(&self, path: &Path) -> io::Result<()> {
        if self.ids.is_some() { lchown(path, Some(0), Some(0)) } else { Ok(()) }
    }
}
