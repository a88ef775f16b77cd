//! Whether a tree that a client filled holds any file, and names that are taken out of one.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::path::Path;

use nix::sys::stat::{FileStat, lstat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::disk::found;
use super::tree::{Listed, restore_times, stat};
use super::walk::{Closed, Next, Visitor, walk_tree};

/// Whether anything that is not a directory stands in the tree, which is not changed. A directory
/// that cannot be read counts as if something did: it is no proof of emptiness, and neither is one
/// that goes while it is looked at. A tree that is not there has none.
pub(super) fn has_file(path: &Path) -> io::Result<bool> {
    if found(fs::symlink_metadata(path))?.is_none() {
        return Ok(false);
    }
    match walk_tree(path, (), Closed::Left, &mut AnyFile { closed_counts: true }) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(true),
        other => other,
    }
}

/// [`has_file`] of a tree that is not published: directories that its owner may not read are lent
/// for the look.
pub(super) fn has_file_anywhere(path: &Path) -> io::Result<bool> {
    Ok(found(fs::symlink_metadata(path))?.is_some() && walk_tree(path, (), Closed::Lent, &mut AnyFile { closed_counts: false })?)
}

struct AnyFile {
    /// Whether a directory that may not be read counts as one that holds a file.
    closed_counts: bool,
}

impl Visitor for AnyFile {
    type Here = ();

    fn entry(&mut self, (): &mut (), at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<()>> {
        Ok(if entry.is_directory(at)? { Next::Into(()) } else { Next::Stop })
    }

    fn unseen(&mut self, error: io::Error) -> io::Result<ControlFlow<()>> {
        if self.closed_counts && error.kind() == io::ErrorKind::PermissionDenied { Ok(ControlFlow::Break(())) } else { Err(error) }
    }
}

/// Removes names of these inodes from a tree that is not published, and returns how many. A listing
/// may pass over some.
pub(super) fn remove_names(path: &Path, inodes: &[u64]) -> io::Result<u64> {
    let mut removing = Names { inodes, removed: 0 };
    walk_tree(path, lstat(path)?, Closed::Lent, &mut removing)?;
    Ok(removing.removed)
}

struct Names<'a> {
    inodes: &'a [u64],
    removed: u64,
}

impl Visitor for Names<'_> {
    /// The directory as it was.
    type Here = FileStat;

    fn entry(&mut self, before: &mut FileStat, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<FileStat>> {
        if entry.is_directory(at)? {
            return Ok(Next::Into(stat(at, entry.name)?));
        }
        if self.inodes.contains(&entry.inode) || self.inodes.contains(&stat(at, entry.name)?.st_ino) {
            unlinkat(at, entry.name, UnlinkatFlags::NoRemoveDir)?;
            self.removed += 1;
            restore_times(at, before)?;
        }
        Ok(Next::Past)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_tree_of_directories_only_holds_no_file() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b/c")).unwrap();
        assert!(!has_file(root.path()).unwrap());
        assert!(!has_file(&root.path().join("missing")).unwrap());
        symlink("nowhere", root.path().join("a/b/c/link")).unwrap();
        assert!(has_file(root.path()).unwrap());
    }
}
