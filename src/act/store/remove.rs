//! Removing: trees, places in them, and what a published snapshot has, too.
//!
//! No link is followed, and modes are no obstacle. Nothing here is for published trees.

use std::ffi::{CStr, OsStr};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::disk::found;
use super::tree::{Lent, Listed, c_string, kind, open, open_at, restore_times, stat};
use super::walk::{Closed, Leaving, Next, Visitor, walk, walk_tree};

/// Removes a tree, or whatever stands there. Missing is fine.
pub fn remove(path: &Path) -> io::Result<()> {
    found(remove_at(AT_FDCWD, &c_string(path.as_os_str())?)).map(drop)
}

pub(super) fn remove_at(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    if kind(&stat(parent, name)?) != SFlag::S_IFDIR {
        return Ok(unlinkat(parent, name, UnlinkatFlags::NoRemoveDir)?);
    }
    walk(parent, name, Emptied::default(), Closed::Lent, &mut Removal).map(drop)
}

/// Removes all that is in a directory, which stays.
pub(super) fn empty(directory: BorrowedFd<'_>) -> io::Result<()> {
    walk(directory, c".", Emptied { stays: true, ..Emptied::default() }, Closed::Lent, &mut Removal).map(drop)
}

/// Removes what stands at a place in a tree; of the whole, all but the top. Nothing where the way
/// there is none, or leads through a link.
pub(super) fn remove_place<'a>(path: &Path, place: impl Iterator<Item = &'a OsStr>) -> io::Result<()> {
    let mut way: Vec<_> = place.collect();
    let last = way.pop();
    let remove = || -> io::Result<()> {
        let here = Lent::tree(path)?.along(way.into_iter())?;
        let before = fstat(&here)?;
        match last {
            Some(last) => remove_at(here.as_fd(), &c_string(last)?)?,
            None => empty(here.as_fd())?,
        }
        restore_times(here.as_fd(), &before)
    };
    match remove() {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
        other => other,
    }
}

/// A directory that is to go.
#[derive(Default)]
pub(super) struct Emptied {
    /// Whether something was removed from it since it was last read.
    removed: bool,
    /// Whether it stays itself.
    stays: bool,
}

impl Emptied {
    /// Removes an entry of it, unless that is a directory. Returns whether it did.
    pub(super) fn take(&mut self, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<bool> {
        self.removed = true;
        if entry.is_directory(at)? {
            return Ok(false);
        }
        unlinkat(at, entry.name, UnlinkatFlags::NoRemoveDir)?;
        Ok(true)
    }

    /// Removes it. `Some`: it has to be read again.
    pub(super) fn go(self, left: &Leaving<'_>) -> io::Result<Option<Self>> {
        let again = self.removed.then_some(Self { removed: false, ..self });
        if self.stays {
            return Ok(again);
        }
        match unlinkat(left.parent, left.name, UnlinkatFlags::RemoveDir) {
            Err(Errno::ENOTEMPTY) if again.is_some() => Ok(again),
            removed => Ok(removed.map(|()| None)?),
        }
    }
}

struct Removal;

impl Visitor for Removal {
    type Here = Emptied;

    fn entry(&mut self, here: &mut Emptied, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Emptied>> {
        Ok(if here.take(at, entry)? { Next::Past } else { Next::Into(Emptied::default()) })
    }

    fn leave(&mut self, here: Emptied, left: &Leaving<'_>) -> io::Result<Option<Emptied>> {
        here.go(left)
    }
}

/// Removes from a tree every file that a snapshot has, the very same, and directories that are
/// empty then.
pub(super) fn remove_common(tree: &Path, snapshot: &Path) -> io::Result<()> {
    walk_tree(tree, open(snapshot)?, Closed::Lent, &mut Common).map(drop)
}

struct Common;

impl Visitor for Common {
    /// The same directory in the snapshot.
    type Here = OwnedFd;

    fn entry(&mut self, snapshot: &mut OwnedFd, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<OwnedFd>> {
        let (Ok(one), Ok(other)) = (stat(at, entry.name), stat(snapshot.as_fd(), entry.name)) else { return Ok(Next::Past) };
        if kind(&one) == SFlag::S_IFDIR {
            // What cannot be opened is not in common.
            return Ok(open_at(snapshot.as_fd(), entry.name).map_or(Next::Past, Next::Into));
        }
        if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino) {
            unlinkat(at, entry.name, UnlinkatFlags::NoRemoveDir)?;
        }
        Ok(Next::Past)
    }

    fn leave(&mut self, _: OwnedFd, left: &Leaving<'_>) -> io::Result<Option<OwnedFd>> {
        // Fails where something is left in it, as it should.
        let _ = unlinkat(left.parent, left.name, UnlinkatFlags::RemoveDir);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn removing_never_follows_a_link_and_minds_no_mode() {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("keep"), "x").unwrap();
        let tree = root.path().join("tree");
        fs::create_dir_all(tree.join("locked/inner")).unwrap();
        fs::write(tree.join("locked/inner/f"), "x").unwrap();
        symlink(&outside, tree.join("link")).unwrap();
        chmod(&tree.join("locked/inner"), 0o000);
        chmod(&tree.join("locked"), 0o555);
        remove(&tree).unwrap();
        assert!(!tree.exists());
        assert!(outside.join("keep").exists());
        remove(&tree).unwrap();
    }
}
