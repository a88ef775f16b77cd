//! Which snapshots are held because they may be damage, what good pushes were like, and files that
//! never change. The gate holds; only the administrator's program releases (`act/prune`).
//!
//! A snapshot is held before it has its name, so that no moment shows it as a good one. The note may
//! then be about a snapshot that never came to be, and the next session removes it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sys::stat::SFlag;

use super::compare::Side;
use super::disk::{found, read_note, read_value, remove_file, write_value};
use super::look::{endings_in, gone};
use super::tree::{c_string, kind, open_below, stat};
use super::{Held, OrTrouble as _, Repository, Staging, make_directory};
use crate::decide::anomaly::{Endings, HeldNote, History, Past};
use crate::terms::limits::{MAX_CANARY, MAX_HELD_NOTE, MAX_HISTORY};
use crate::terms::{Reason, RepositoryState, SnapshotName, SubPath};

/// How a note ends with which `current` stays. It is asked for at every push, and a parser for it would
/// be as large as the rest of this file.
const STAYS: &[u8] = br#","stays":true}"#;

/// The name of the note on a held snapshot.
pub(in crate::act) fn note_name(snapshot: &str) -> String {
    snapshot.replace('/', "~") + ".json"
}

/// Whether nothing is there. What cannot be looked at is not gone.
fn is_gone(path: &Path) -> bool {
    matches!(found(fs::symlink_metadata(path)), Ok(None))
}

impl Repository {
    fn held_note(&self, snapshot: &str) -> PathBuf {
        self.holds().join(note_name(snapshot))
    }

    /// Whether a snapshot is held. One whose note cannot be read is, too.
    pub fn is_held(&self, snapshot: &str) -> bool {
        !is_gone(&self.held_note(snapshot))
    }

    /// Whether a snapshot stands in history, or in the trash, from where it comes back as it went:
    /// held. Where that cannot be seen, it may.
    fn may_be_there(&self, key: &str) -> bool {
        let trashed = format!("{key}@");
        let is_it = |entry: io::Result<fs::DirEntry>| {
            entry.map_or(true, |entry| entry.file_name().as_encoded_bytes().starts_with(trashed.as_bytes()))
        };
        let is_in_trash = || found(fs::read_dir(self.trash())).map_or(true, |trash| trash.into_iter().flatten().any(is_it));
        !is_gone(&self.snapshots().join(key.replace('~', "/"))) || is_in_trash()
    }

    /// Whether it is, and `current` does not lead to it. Nor to one whose note cannot be read.
    pub(super) fn is_passed_over(&self, snapshot: &str) -> bool {
        let note = found(read_note(&self.held_note(snapshot), MAX_HELD_NOTE));
        note.map_or(true, |note| note.is_some_and(|note| note.ends_with(STAYS)))
    }

    /// What its good pushes were like. Without the note there was none.
    ///
    /// # Errors
    /// Where it cannot be read: nothing may be written over it.
    pub fn history(&self) -> Result<History, Reason> {
        let path = self.history_note();
        found(read_value(&path, MAX_HISTORY)).map(Option::unwrap_or_default).or_trouble("reading", &path)
    }

    /// The last good push into a place whose snapshot is still there, and that. An older gate has
    /// counted its files alone.
    pub fn last_good(&self, history: &mut History, place: &SubPath, state: &RepositoryState) -> Option<(Past, PathBuf)> {
        // Not by the pattern: the administrator may have changed that for a moment.
        let stands = |snapshot: &str| SubPath::parse(snapshot).ok().map(|place| place.below(&self.snapshots()));
        history.forget(|snapshot| stands(snapshot).is_none_or(|path| is_gone(&path)));
        if let Some(last) = history.last(place) {
            return Some((last.clone(), stands(&last.snapshot)?));
        }
        let all = || state.newest.iter().chain(&state.earlier);
        let name = |snapshot: &str| all().find(|name| name.as_str() == snapshot && !self.is_held(snapshot));
        let (counted, name) = self.counted_at(place).find_map(|(snapshot, files)| Some((files, name(&snapshot)?)))?;
        let past = Past {
            snapshot: name.to_string(),
            at: name.at,
            files: counted,
            bytes: 0,
            over: Vec::new(),
            released: false,
            good: String::new(),
        };
        Some((past, name.below(&self.snapshots())))
    }
}

impl Held<'_> {
    /// Holds a snapshot that is about to be published.
    pub fn hold_back(&self, snapshot: &SnapshotName, note: &HeldNote) -> Result<(), Reason> {
        let path = self.repository.held_note(snapshot.as_str());
        let write = || make_directory(&self.repository.holds(), 0o700).and_then(|()| write_value(&path, note));
        write().or_trouble("writing", &path)
    }

    /// Lets a snapshot of this name be a good one: what was noted was about one that never was.
    pub fn let_pass(&self, snapshot: &SnapshotName) -> Result<(), Reason> {
        let path = self.repository.held_note(snapshot.as_str());
        remove_file(&path).or_trouble("removing", &path)
    }

    /// Writes down what good pushes were like.
    pub fn write_history(&self, history: &History) -> Result<(), Reason> {
        let path = self.repository.history_note();
        write_value(&path, history).or_trouble("writing", &path)
    }

    /// Removes notes about snapshots that are not there, and cannot come back. Nothing depends on it.
    pub(super) fn forget_holds(&self) {
        for entry in fs::read_dir(self.repository.holds()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_str().and_then(|name| name.strip_suffix(".json")).is_none_or(|key| !self.repository.may_be_there(key)) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// What became of a file that never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canary {
    /// It is as it was.
    Same,
    /// It has other content.
    Changed,
    /// It is gone.
    Gone,
    /// It was not there before, either.
    Missing,
}

impl Staging<'_> {
    /// What became of a file that `good` has. For a tree whose links are made.
    pub fn canary(&self, good: &Path, place: &SubPath) -> Canary {
        let Some(old) = At::open(good, place) else { return Canary::Missing };
        let Some(new) = At::open(self.path(), place) else { return Canary::Gone };
        if same(&old.side(), &new.side()).unwrap_or(false) { Canary::Same } else { Canary::Changed }
    }

    /// How often endings are in a tree.
    pub fn endings_in(&self, tree: &Path, of: &Endings) -> Endings {
        endings_in(tree, of)
    }

    /// The first names that `good` has and this has not, printable. For a tree whose links are made.
    pub fn gone_since(&self, good: &Path) -> Vec<String> {
        gone(good, self.path())
    }
}

/// A name in a directory.
struct At {
    directory: OwnedFd,
    name: std::ffi::CString,
    found: nix::sys::stat::FileStat,
}

impl At {
    fn open(tree: &Path, place: &SubPath) -> Option<Self> {
        let mut way: Vec<&OsStr> = place.components().collect();
        let name = c_string(way.pop()?).ok()?;
        let directory = open_below(tree, way.into_iter()).ok()?;
        let found = stat(directory.as_fd(), &name).ok()?;
        Some(Self { directory, name, found })
    }

    fn side(&self) -> Side<'_> {
        Side { directory: self.directory.as_fd(), name: &self.name, found: self.found }
    }
}

/// Whether two files have the same content.
fn same(old: &Side<'_>, new: &Side<'_>) -> io::Result<bool> {
    if old.found.st_ino == new.found.st_ino {
        return Ok(true);
    }
    let is_file = |side: &Side<'_>| kind(&side.found) == SFlag::S_IFREG;
    let is_short = u64::try_from(new.found.st_size).is_ok_and(|size| size <= MAX_CANARY);
    if !is_file(old) || !is_file(new) || old.found.st_size != new.found.st_size || !is_short {
        return Ok(false);
    }
    let read = |file: File| {
        let mut bytes = Vec::new();
        file.take(MAX_CANARY).read_to_end(&mut bytes).map(|_| bytes)
    };
    Ok(read(old.open()?)? == read(new.open()?)?)
}
