//! Small files of the gate's own about snapshots: which are protected, and why one was removed.
//! Root or the account wrote them; nothing in them is a client's.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};

use chrono::{DateTime, Utc};
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Held, NEW, NEXT, Opened, TRASH, gone};
use crate::act::store::OrTrouble as _;
use crate::act::store::disk::{found, read_bounded};
use crate::act::store::tree::{each, open_at};
use crate::decide::keep::Protection;
use crate::terms::limits::MAX_EVENT;
use crate::terms::{Event, Reason, SnapshotName};

/// The directory of protections.
const PROTECTED: &str = "protected";

/// What is about to be done.
pub(super) const ANNOUNCED: &str = "announced.json";

/// A note that is being written.
pub(super) const DRAFT: &str = "draft";

/// The end of a note's name.
pub(super) const NOTE: &str = ".json";

/// `snapgate protect`, as it was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protected {
    /// Until then; without it, until `snapgate unprotect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// Why, in the administrator's words, printable.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// Who said so: an account.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl Protected {
    /// As what rules know of it.
    pub fn protection(&self) -> Protection {
        self.until.map_or(Protection::Always, Protection::Until)
    }
}

impl Opened {
    /// All protections, by the names of snapshots.
    ///
    /// # Errors
    /// When one cannot be read: then it is not known what it protects.
    pub fn protections(&self) -> Result<Vec<(String, Protected)>, Reason> {
        let read = || -> io::Result<Vec<(String, Protected)>> {
            let mut all = Vec::new();
            let Some(directory) = found(open_at(&self.state, PROTECTED).map_err(io::Error::from))? else { return Ok(all) };
            each(directory.as_fd(), |entry| {
                let name = entry.name.to_str().ok().and_then(|name| name.strip_suffix(NOTE)).map(named);
                if let Some(name) = name {
                    all.push((name, read(directory.as_fd(), OsStr::new(entry.name.to_str().unwrap_or_default()))?));
                }
                Ok(())
            })?;
            Ok(all)
        };
        read().or_trouble("reading the protections in", &self.path)
    }

    /// Protects a snapshot, over what was said before.
    pub fn protect(&self, name: &SnapshotName, protected: &Protected) -> Result<(), Reason> {
        let protect = || {
            let directory = self.directory(PROTECTED)?;
            self.write(directory.as_fd(), &(key(name) + NOTE), protected)
        };
        protect().or_trouble("protecting a snapshot in", &self.path)
    }

    /// Ends a protection. Returns whether there was one. The snapshot may be gone.
    pub fn unprotect(&self, name: &str) -> Result<bool, Reason> {
        let unprotect = || -> io::Result<bool> {
            let Some(directory) = found(open_at(&self.state, PROTECTED).map_err(io::Error::from))? else { return Ok(false) };
            let note = name.replace('/', SLASH) + NOTE;
            let removed = found(unlinkat(&directory, note.as_str(), UnlinkatFlags::NoRemoveDir).map_err(io::Error::from))?;
            Ok(removed.is_some())
        };
        unprotect().or_trouble("ending a protection in", &self.path)
    }

    /// Writes a note: it is there whole or not at all, and stays.
    pub(super) fn write(&self, directory: BorrowedFd<'_>, name: &str, note: &impl Serialize) -> io::Result<()> {
        self.write_from(directory, DRAFT, name, &serde_json::to_vec(note)?)
    }

    /// The same with any bytes and another draft, for somebody else than the holder of the
    /// repository.
    pub(super) fn write_from(&self, directory: BorrowedFd<'_>, draft: &str, name: &str, note: &[u8]) -> io::Result<()> {
        self.draft(directory, draft, note)?.sync_all()?;
        renameat(directory, draft, directory, name)?;
        Ok(fsync(directory)?)
    }

    /// The same where a crash of the machine may take it: nothing depends on it.
    pub(super) fn put(&self, directory: BorrowedFd<'_>, name: &str, note: &impl Serialize) -> io::Result<()> {
        self.draft(directory, DRAFT, &serde_json::to_vec(note)?)?;
        Ok(renameat(directory, DRAFT, directory, name)?)
    }

    /// Writes it under a name of its own, at which nobody else writes: [`DRAFT`] is the holder's of
    /// the repository.
    fn draft(&self, directory: BorrowedFd<'_>, draft: &str, note: &[u8]) -> io::Result<File> {
        gone(unlinkat(directory, draft, UnlinkatFlags::NoRemoveDir))?;
        let mut file = File::from(openat(directory, draft, NEW, Mode::S_IRUSR | Mode::S_IWUSR)?);
        file.write_all(note)?;
        self.give(&file)?;
        Ok(file)
    }
}

impl Held<'_> {
    /// Notes what is about to be done, so that it is recorded even if this process is killed
    /// meanwhile.
    pub fn announce(&self, event: &Event) -> Result<(), Reason> {
        let Opened { state, path, .. } = self.opened;
        self.opened.write(state.as_fd(), ANNOUNCED, event).or_trouble("writing in", path)
    }

    /// What somebody was about to do who did not come to recording it.
    pub fn announced(&self) -> Option<Event> {
        read(self.opened.state.as_fd(), OsStr::new(ANNOUNCED)).ok()
    }

    /// Removes what somebody was writing who was killed.
    pub fn tidy(&self) {
        let Opened { state, .. } = self.opened;
        let inner = [PROTECTED, TRASH].map(|name| open_at(state, name));
        let drafts = inner.iter().flatten().chain([state]).map(|directory| (directory, DRAFT));
        for (directory, name) in drafts.chain([(state, NEXT)]) {
            // What stays does no harm: whoever writes next replaces it.
            let _ = unlinkat(directory, name, UnlinkatFlags::NoRemoveDir);
        }
    }

    /// It is recorded.
    pub fn told(&self) {
        // If it stays, the ledger has it already.
        let _ = unlinkat(&self.opened.state, ANNOUNCED, UnlinkatFlags::NoRemoveDir);
    }
}

/// Reads a note.
pub(super) fn read<T: DeserializeOwned>(directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<T> {
    Ok(serde_json::from_slice(&read_bytes(directory, name)?)?)
}

/// Reads what is in one.
pub(super) fn read_bytes(directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<Vec<u8>> {
    const NOTE: OFlag = OFlag::O_RDONLY.union(OFlag::O_NOFOLLOW).union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);
    let file = File::from(openat(directory, name, NOTE, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    read_bounded(file, MAX_EVENT)
}

/// What stands for a slash where a snapshot's name is that of one file. No name has it.
const SLASH: &str = "~";

/// A snapshot's name as that of one file.
pub(super) fn key(name: &SnapshotName) -> String {
    name.as_str().replace('/', SLASH)
}

/// The other way round.
pub(super) fn named(key: &str) -> String {
    key.replace(SLASH, "/")
}
