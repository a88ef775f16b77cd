//! From an empty directory to a tree that rsync has filled, and what becomes of a tree that is not published.
//!
//! rsync never starts in a directory that has anything in it: a file there could share its inode with history.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use nix::fcntl::AT_FDCWD;
use nix::fcntl::{RenameFlags, renameat2};
use serde::{Deserialize, Serialize};

use super::publish::Staging;
use super::{Held, Repository, make_directory, tree, trouble};
use crate::terms::limits::{MAX_INTERRUPTED, MAX_PART_BASES};
use crate::terms::path::SubPath;
use crate::terms::reason::Reason;
use crate::terms::shelf::Shelf;

/// Which boot a staging directory was filled in. After a crash of the machine its files may be shorter or emptier
/// than rsync left them, with the right size and time on them; they are not linked from again.
#[derive(Debug, Serialize, Deserialize)]
struct RunMark {
    boot: String,
}

impl Repository {
    fn interrupted(&self) -> PathBuf {
        self.state().join("interrupted")
    }

    fn run_mark(&self) -> PathBuf {
        self.state().join("run.json")
    }

    /// Trees that unchanged files can be linked from, for a push to `place`: set-aside pushes, earlier parts of the
    /// open transaction, the newest snapshot. Each with the directory in it that corresponds to `place`.
    #[must_use]
    pub fn bases(&self, place: &SubPath, shelf: &Shelf) -> Vec<(PathBuf, PathBuf)> {
        let mut roots: Vec<_> = numbered(&self.interrupted()).into_iter().rev().take(MAX_INTERRUPTED).collect();
        roots.extend(numbered(&self.parts()).into_iter().rev().take(MAX_PART_BASES));
        roots.extend(shelf.newest.iter().map(|newest| newest.below(&self.snapshots())));
        let corresponds = |root: PathBuf| {
            tree::open_below(&root, place.components()).ok()?;
            let place = place.below(&root);
            Some((root, place))
        };
        roots.into_iter().filter_map(corresponds).collect()
    }

    /// Whether the newest snapshot holds a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn newest_has_files(&self, shelf: &Shelf) -> Result<bool, Reason> {
        let Some(newest) = &shelf.newest else { return Ok(false) };
        let path = newest.below(&self.snapshots());
        tree::has_file(&path).map_err(|error| trouble("reading", &path, &error))
    }
}

impl<'a> Held<'a> {
    /// Brings the repository from whatever a crash left to the state before or after it: `current` is made to name the
    /// newest snapshot, what was in progress is set aside, a transaction that nobody completed is closed.
    /// Says what was done.
    ///
    /// # Errors
    /// When the disk does not let it.
    pub fn recover(&self, shelf: &mut Shelf, now: DateTime<Utc>) -> Result<Vec<String>, Reason> {
        let mut notes = Vec::new();
        if self.heal_current(shelf)? {
            notes.push("`current` did not name the newest snapshot, and does now".to_owned());
        }
        notes.extend(self.tell_of_untold());
        let inprogress = self.repository.inprogress();
        // `complete` was cut short between putting the sum here and closing the transaction: it can be said again.
        let is_sum =
            shelf.transaction.as_ref().is_some_and(|transaction| transaction.parts > 0) && numbered(&self.repository.parts()).is_empty();
        if fs::symlink_metadata(&inprogress).is_ok() && is_sum && self.is_of_this_boot() {
            self.add_part(&inprogress)?;
        } else if fs::symlink_metadata(&inprogress).is_ok() {
            let kept = if self.is_of_this_boot() { self.set_aside(&inprogress)? } else { false };
            if kept {
                notes.push("an earlier push did not finish; what it had received is used for this one".to_owned());
            } else {
                tree::remove(&inprogress).map_err(|error| trouble("removing", &inprogress, &error))?;
            }
        }
        if let Some(transaction) = shelf.transaction.take_if(|transaction| transaction.is_stale(now)) {
            self.close_transaction()?;
            notes.push(format!("the transaction prepared at {} was never completed and is closed", transaction.began));
        }
        if shelf.transaction.is_none() {
            self.set_parts_aside()?;
        }
        Ok(notes)
    }

    /// Makes the empty directory, with `place` in it.
    ///
    /// # Errors
    /// When the disk does not let it, or something is in the way.
    pub fn stage(&self, place: &SubPath) -> Result<Staging<'_>, Reason> {
        // Mostly the mark is there already, and truncating a file costs more than all the reading before a push.
        if !self.is_of_this_boot() {
            let mark = serde_json::to_vec(&RunMark { boot: boot_id() }).unwrap_or_default();
            let path = self.repository.run_mark();
            fs::write(&path, mark).map_err(|error| trouble("writing", &path, &error))?;
        }
        let mut directory = self.repository.inprogress();
        fs::create_dir(&directory).map_err(|error| trouble("creating", &directory, &error))?;
        for part in place.components() {
            directory.push(part);
            fs::create_dir(&directory).map_err(|error| trouble("creating", &directory, &error))?;
        }
        Ok(Staging::new(self))
    }

    /// Keeps a tree as one more link-dest for the next push. One without a file is not kept; says whether it was.
    pub(super) fn set_aside(&self, path: &Path) -> Result<bool, Reason> {
        if !tree::has_file(path).map_err(|error| trouble("reading", path, &error))? {
            tree::remove(path).map_err(|error| trouble("removing", path, &error))?;
            return Ok(false);
        }
        // A set-aside tree is trusted by size and time later on, so its data has to be there even after a power cut.
        sync_file_system(self.repository.root()).map_err(|error| trouble("syncing", path, &error))?;
        let interrupted = self.repository.interrupted();
        let keep = |path: &Path| -> io::Result<()> {
            make_directory(&interrupted, 0o700)?;
            let last = numbered(&interrupted).last().and_then(|path| number(path)).unwrap_or(0);
            make_movable(path)?;
            rename_new(path, &interrupted.join((last + 1).to_string()))
        };
        keep(path).map_err(|error| trouble("setting aside", path, &error))?;
        let all = numbered(&interrupted);
        for oldest in all.iter().take(all.len().saturating_sub(MAX_INTERRUPTED)) {
            tree::remove(oldest).map_err(|error| trouble("removing", oldest, &error))?;
        }
        Ok(true)
    }

    /// Removes what was set aside, once a snapshot holds it all.
    ///
    /// # Errors
    /// When the disk does not let it; nothing depends on it.
    pub fn forget_interrupted(&self) -> Result<(), Reason> {
        let interrupted = self.repository.interrupted();
        tree::remove(&interrupted).map_err(|error| trouble("removing", &interrupted, &error))
    }

    /// Removes what was set aside and what a killed gate left, however useful it might be. Not what belongs to an open
    /// transaction: the client has been told that it is there.
    pub(super) fn forget_unfinished(&self) -> Result<(), Reason> {
        if self.repository.transaction()?.is_none() {
            let inprogress = self.repository.inprogress();
            tree::remove(&inprogress).map_err(|error| trouble("removing", &inprogress, &error))?;
        }
        self.forget_interrupted()
    }

    fn set_parts_aside(&self) -> Result<(), Reason> {
        for part in numbered(&self.repository.parts()) {
            self.set_aside(&part)?;
        }
        Ok(())
    }

    fn heal_current(&self, shelf: &Shelf) -> Result<bool, Reason> {
        let current = self.repository.current();
        let wanted = shelf.newest.as_ref().map(|newest| PathBuf::from("snapshots").join(newest.as_str()));
        let found = match fs::read_link(&current) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(trouble("reading", &current, &error)),
        };
        match wanted {
            Some(wanted) if found.as_ref() != Some(&wanted) => {
                self.repository.point_current(&wanted).map_err(|error| trouble("replacing", &current, &error))?;
                Ok(true)
            }
            // Somebody removed the last snapshot: a link to nothing is worse than no link.
            None if found.is_some() => {
                fs::remove_file(&current).map_err(|error| trouble("removing", &current, &error))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn is_of_this_boot(&self) -> bool {
        let mark = fs::read(self.repository.run_mark()).ok().and_then(|bytes| serde_json::from_slice::<RunMark>(&bytes).ok());
        mark.is_some_and(|mark| !mark.boot.is_empty() && mark.boot == boot_id())
    }
}

impl Repository {
    /// Replaces `current` in one step: never missing, never half.
    pub(super) fn point_current(&self, target: &Path) -> io::Result<()> {
        let new = self.state().join("current.new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        symlink(target, &new)?;
        fs::rename(&new, self.current())
    }
}

/// Directories whose names are numbers, in order. Unreadable or missing counts as none.
pub(super) fn numbered(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(|path| number(path).is_some()).collect();
    found.sort_by_key(|path| number(path));
    found
}

pub(super) fn number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.parse().ok()
}

/// Renames without ever replacing anything (renameat2(2), `RENAME_NOREPLACE`).
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    Ok(renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE)?)
}

/// A directory can only move to another parent if its owner may write to it, since its `..` changes. Gives that right
/// and returns the mode from before, if it had to.
pub(super) fn make_movable(path: &Path) -> io::Result<Option<fs::Permissions>> {
    let before = fs::symlink_metadata(path)?.permissions();
    if before.mode() & 0o700 == 0o700 {
        return Ok(None);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(before.mode() | 0o700))?;
    Ok(Some(before))
}

/// Brings everything written so far to the disk (syncfs(2)).
pub(super) fn sync_file_system(path: &Path) -> io::Result<()> {
    Ok(nix::unistd::syncfs(tree::open(path)?)?)
}

/// Brings a directory's entries to the disk.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// Empty where the kernel does not say, and then nothing counts as of this boot.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
