//! Laying one tree over another: the parts of a transaction, and pushes that were cut off.
//!
//! Nothing that only the tree beneath has may be lost, whatever happens in between.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use nix::fcntl::{AT_FDCWD, renameat};
use nix::sys::stat::{FileStat, SFlag};

use super::disk::found;
use super::keep::remove;
use super::tree::{Lent, Listed, c_string, kind, restore_times, stat};
use super::unfinished::{is_less, is_superseded};
use super::walk::{Closed, Leaving, Next, Visitor, walk_tree};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layers {
    /// Parts of a transaction, or what is carried over and what was pushed.
    Parts,
    /// Pushes that were cut off: parts of files are among their files.
    Tries,
}

/// Lays `later` over `earlier`: what only `earlier` has moves into `later`, and `earlier` is gone.
/// Directories of both are merged and keep `later`'s attributes. Of anything else `later`'s stays,
/// except for a part of a file of which the earlier of two tries has more. Begun again after a
/// crash, it goes on where it was.
pub(super) fn overlay(later: &Path, earlier: &Path, layers: Layers) -> io::Result<()> {
    let over = Over::open(AT_FDCWD, &c_string(later.as_os_str())?)?;
    walk_tree(earlier, over, Closed::Lent, &mut Laying { layers })?;
    remove(earlier)
}

/// Walks through the earlier tree.
struct Laying {
    layers: Layers,
}

/// The same directory in the later one.
struct Over {
    later: Lent,
    before: Box<FileStat>,
    /// Whether a name was moved since the earlier one was last read.
    moved: bool,
    /// Whether all that has to move has moved, so that the directories of both are next.
    merging: bool,
}

impl Over {
    fn open(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<Self> {
        Ok(Self { before: Box::new(stat(parent, name)?), later: Lent::open(parent, name)?, moved: false, merging: false })
    }
}

impl Visitor for Laying {
    type Here = Over;

    fn entry(&mut self, here: &mut Over, earlier: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Over>> {
        let (later, name) = (here.later.as_fd(), entry.name);
        let new = found(stat(later, name))?;
        let is_directory = entry.is_directory(earlier)?;
        if here.merging {
            let in_both = is_directory && new.is_some_and(|new| kind(&new) == SFlag::S_IFDIR);
            return Ok(if in_both { Next::Into(Over::open(later, name)?) } else { Next::Past });
        }
        let tries = self.layers == Layers::Tries;
        let moves = match new {
            None => !(tries && is_superseded(name, &stat(earlier, name)?, later)?),
            Some(new) => tries && is_less(&new, &stat(earlier, name)?),
        };
        if moves {
            // Moving a directory to another parent needs the right to write to it, since its `..`
            // changes.
            let _lent = if is_directory { Some(Lent::open(earlier, name)?) } else { None };
            renameat(earlier, name, later, name)?;
            here.moved = true;
        }
        Ok(Next::Past)
    }

    fn leave(&mut self, here: Over, _: &Leaving<'_>) -> io::Result<Option<Over>> {
        if here.moved || !here.merging {
            return Ok(Some(Over { merging: !here.moved, moved: false, ..here }));
        }
        restore_times(here.later.as_fd(), &here.before)?;
        here.later.give_back().map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn laying_over_keeps_what_is_later_and_adds_what_is_missing() {
        let root = tempfile::tempdir().unwrap();
        let (later, earlier) = (root.path().join("2"), root.path().join("1"));
        fs::create_dir_all(later.join("etc")).unwrap();
        fs::create_dir_all(earlier.join("etc/deep")).unwrap();
        fs::write(later.join("etc/both"), "later").unwrap();
        fs::write(earlier.join("etc/both"), "earlier").unwrap();
        fs::write(earlier.join("etc/deep/only"), "earlier").unwrap();
        fs::write(earlier.join("etc/clash"), "file").unwrap();
        fs::create_dir(later.join("etc/clash")).unwrap();
        chmod(&later.join("etc"), 0o555);
        chmod(&later, 0o555);
        chmod(&earlier.join("etc/deep"), 0o500);
        let before = fs::metadata(later.join("etc")).unwrap();
        overlay(&later, &earlier, Layers::Parts).unwrap();
        assert!(!earlier.exists());
        assert_eq!(fs::read_to_string(later.join("etc/both")).unwrap(), "later");
        assert_eq!(fs::read_to_string(later.join("etc/deep/only")).unwrap(), "earlier");
        assert!(later.join("etc/clash").is_dir());
        let after = fs::metadata(later.join("etc")).unwrap();
        assert_eq!((after.mode(), after.mtime(), after.mtime_nsec()), (before.mode(), before.mtime(), before.mtime_nsec()));
        assert_eq!(fs::metadata(later.join("etc/deep")).unwrap().mode() & 0o777, 0o500);
        assert_eq!(fs::metadata(&later).unwrap().mode() & 0o777, 0o555);
    }
}
