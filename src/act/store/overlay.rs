//! Laying one tree over another: the parts of a transaction, and pushes that were cut off.
//!
//! Nothing that only the tree beneath has may be lost, whatever happens in between.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::renameat;
use nix::sys::stat::{SFlag, fstat};
use rustix::fs::{SeekFrom, seek};

use super::tree::{deeper, each, kind, open_forcibly, remove, restore_times, set_mode, split, stat};
use super::unfinished::{is_less, is_superseded};

/// What the trees are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layers {
    /// Parts of a transaction, or what is carried over and what was pushed.
    Parts,
    /// Pushes that were cut off: parts of files are among their files.
    Tries,
}

/// Lays `later` over `earlier`: what only `earlier` has moves into `later`, and `earlier` is gone. Where both have a
/// directory they are merged and keep `later`'s attributes; of anything else `later`'s stays, but for a part of a file of which the earlier
/// of two tries has more. Begun again after a crash, it goes on where it was.
pub(super) fn overlay(later: &Path, earlier: &Path, layers: Layers) -> io::Result<()> {
    let (parent, name) = split(later)?;
    let (beside, other) = split(earlier)?;
    let mode = stat(parent.as_fd(), &name)?.st_mode;
    merge(open_forcibly(parent.as_fd(), &name)?, open_forcibly(beside.as_fd(), &other)?, layers, 0)?;
    set_mode(parent.as_fd(), &name, mode)?;
    remove(earlier)
}

fn merge(later: OwnedFd, earlier: OwnedFd, layers: Layers, depth: usize) -> io::Result<()> {
    let before = fstat(&later)?;
    let (later, earlier) = (later.as_fd(), earlier.as_fd());
    // A listing may pass over an entry when the one before it is moved away; what is left then would be removed.
    while move_missing(later, earlier, layers)? {}
    seek(earlier, SeekFrom::Start(0))?;
    each(earlier, |entry| {
        let new = match stat(later, entry.name) {
            // It was left behind.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            new => new?,
        };
        if kind(&new) == SFlag::S_IFDIR && entry.is_directory(earlier)? {
            merge(open_forcibly(later, entry.name)?, open_forcibly(earlier, entry.name)?, layers, deeper(depth)?)?;
            set_mode(later, entry.name, new.st_mode)?;
        } else if layers == Layers::Tries && is_less(&new, &stat(earlier, entry.name)?) {
            renameat(earlier, entry.name, later, entry.name)?;
        }
        Ok(())
    })?;
    restore_times(later, &before)
}

/// Moves what only `earlier` has. Says whether there was anything.
fn move_missing(later: BorrowedFd<'_>, earlier: BorrowedFd<'_>, layers: Layers) -> io::Result<bool> {
    let mut moved = false;
    seek(earlier, SeekFrom::Start(0))?;
    each(earlier, |entry| {
        match stat(later, entry.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.map(drop),
        }
        // Moving a directory to another parent needs the right to write to it, since its `..` changes.
        let found = stat(earlier, entry.name)?;
        if layers == Layers::Tries && is_superseded(entry.name, &found, later)? {
            return Ok(());
        }
        let is_directory = entry.is_directory(earlier)?;
        if is_directory {
            open_forcibly(earlier, entry.name)?;
        }
        renameat(earlier, entry.name, later, entry.name)?;
        if is_directory {
            set_mode(later, entry.name, found.st_mode)?;
        }
        moved = true;
        Ok(())
    })?;
    Ok(moved)
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
