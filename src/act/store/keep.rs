//! How this file system keeps a snapshot: as a directory whose unchanged files are hard links.
//!
//! The rest of the store says what becomes of a tree and when; how that is done is here, and in
//! what this names: `remove`, [`bases`](super::bases) for what rsync compares with, and
//! [`links`](super::links) for how an unchanged file stays. Nothing else may make, move or remove
//! a whole tree, so that another kind of store is another set of these.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::{Repository, make_directory};

pub(super) use super::remove::remove;

/// Makes an empty tree, or a directory in one, for the client's rsync to fill.
pub(super) fn make(repository: &Repository, directory: &Path) -> io::Result<()> {
    fs::create_dir(directory).and_then(|()| repository.give(directory))
}

/// Gives its owner every right to a directory.
pub(super) fn open_to_owner(directory: &Path) -> io::Result<()> {
    let mode = fs::symlink_metadata(directory)?.permissions().mode();
    fs::set_permissions(directory, fs::Permissions::from_mode(mode | 0o700))
}

/// Gives a tree another place, in one step that never replaces anything (renameat2(2),
/// `RENAME_NOREPLACE`). That publishes a stage, and sets one aside.
pub(super) fn move_tree(tree: &Path, to: &Path) -> io::Result<()> {
    let before = fs::symlink_metadata(tree)?.permissions();
    // Its `..` changes, so its owner has to have the right to write to it.
    let is_closed = before.mode() & 0o700 != 0o700;
    if is_closed {
        open_to_owner(tree)?;
    }
    renameat2(AT_FDCWD, tree, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE)?;
    // It has moved, whatever becomes of its mode; only its owner's own right was lent.
    let _ = is_closed.then(|| fs::set_permissions(to, before));
    Ok(())
}

/// Moves a tree under the next free number in a directory, which is made where it is missing.
pub(super) fn move_under_number(tree: &Path, directory: &Path) -> io::Result<PathBuf> {
    let to = next_number(directory)?;
    move_tree(tree, &to).map(|()| to)
}

/// Trees whose names are numbers, in order. Unreadable or missing counts as none.
pub(super) fn numbered(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(|path| number(path).is_some()).collect();
    found.sort_by_key(|path| number(path));
    found
}

fn number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.parse().ok()
}

fn next_number(directory: &Path) -> io::Result<PathBuf> {
    make_directory(directory, 0o700)?;
    let last = numbered(directory).last().and_then(|path| number(path)).unwrap_or(0);
    Ok(directory.join((last + 1).to_string()))
}
