//! How much a push has stored: what stands in its tree and not in history. It is asked while rsync still writes there, so
//! everything may change underfoot: what is gone is gone, what cannot be opened is said, and nothing is changed.
//!
//! What counts, each inode once: files, directories and links that are new; what an earlier, interrupted push received and this
//! one links to. What does not count: links to the newest snapshot, and to earlier parts of the same transaction, which have
//! been counted. A file whose new place is not its old one counts although it may be a link; only hard links among the client's
//! own files (rsync's `-H`) can be that.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, SFlag};

use super::disk::numbered;
use super::tree::{Listed, deeper, entries, kind, lent, open, open_at, open_below, split, stat};
use super::{Held, Repository, Staging};
use crate::decide::pace::Allowance;
use crate::terms::limits::MAX_BASIS_DIRS;
use crate::terms::path::SubPath;
use crate::terms::shelf::Shelf;
use crate::terms::usage::{Count, Usage};

/// What a tree is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Basis {
    /// A file of the same name and inode does not count.
    History,
    /// It counts, but need not be remembered to count once.
    Kept,
}

impl Repository {
    fn compared(&self, shelf: &Shelf, with_kept: bool) -> Vec<(PathBuf, Basis)> {
        let newest = shelf.newest.iter().map(|newest| newest.below(&self.snapshots()));
        let parts = numbered(&self.parts()).into_iter().rev();
        let kept = numbered(&self.interrupted()).into_iter().rev().filter(|_| with_kept);
        let all = newest.chain(parts).map(|path| (path, Basis::History)).chain(kept.map(|path| (path, Basis::Kept)));
        all.take(MAX_BASIS_DIRS).collect()
    }
}

impl Staging<'_> {
    /// Counts what the push has stored so far. Once rsync is gone (`ended`) a directory that its owner may not read is made
    /// readable for the look.
    #[must_use]
    pub fn count(&self, shelf: &Shelf, ended: bool) -> Count {
        count(self.path(), &self.held().repository.compared(shelf, true), ended)
    }
}

impl Held<'_> {
    /// Whether one of the pushes into `place` that were set aside has reached the limit by itself.
    #[must_use]
    pub fn kept_reaches(&self, allowance: &Allowance, place: &SubPath, shelf: &Shelf) -> bool {
        let compared = self.repository.compared(shelf, false);
        let mut kept = numbered(&self.repository.interrupted());
        kept.retain(|kept| open_below(kept, place.components()).is_ok());
        kept.iter().any(|kept| allowance.is_reached_by(count(kept, &compared, true).usage))
    }
}

fn count(path: &Path, compared: &[(PathBuf, Basis)], forcibly: bool) -> Count {
    let bases = compared.iter().filter_map(|(path, basis)| Some((open(path).ok()?, *basis))).collect();
    let kept = compared.iter().filter(|(_, basis)| *basis == Basis::Kept).count();
    let mut tally = Tally { kept, forcibly, ..Tally::default() };
    let counted = split(path).and_then(|(parent, name)| tally.below(parent.as_fd(), &name, bases, 0));
    tally.blind |= counted.is_err();
    if !tally.shared.is_empty() && compared.iter().any(|(_, basis)| *basis == Basis::History) {
        // Hard links that the client made, and history to compare with: some of them may be links to an old file after all.
        let history: Vec<_> = compared.iter().filter(|(_, basis)| *basis == Basis::History).cloned().collect();
        let bases = history.iter().filter_map(|(path, basis)| Some((open(path).ok()?, *basis))).collect();
        let mut again = Tally { forget: true, forcibly, shared: tally.shared, ..Tally::default() };
        let _ = split(path).and_then(|(parent, name)| again.below(parent.as_fd(), &name, bases, 0));
        tally.shared = again.shared;
    }
    let shared = tally.shared.into_values().fold(tally.usage, |sum, bytes| sum.and(Usage { bytes, inodes: 1 }));
    Count { usage: shared, blind: tally.blind }
}

#[derive(Debug, Default)]
struct Tally {
    usage: Usage,
    blind: bool,
    /// Inodes with several names that are not known from their place, and their bytes.
    shared: HashMap<u64, u64>,
    /// How many trees of interrupted pushes may each have a name for a file.
    kept: usize,
    /// Whether a directory may be made readable for the look.
    forcibly: bool,
    /// Whether nothing is counted, and inodes of history are struck from `shared` instead.
    forget: bool,
}

/// A tree that is compared with: its directory of this name, and the inodes there by name.
struct Old {
    directory: Dir,
    inodes: HashMap<CString, u64>,
    basis: Basis,
}

impl Tally {
    /// Goes into the directory `name`, unless it has gone or become something else.
    fn below(&mut self, parent: BorrowedFd<'_>, name: &CStr, bases: Vec<(OwnedFd, Basis)>, depth: usize) -> io::Result<()> {
        if self.forcibly {
            return lent(parent, name, |directory| self.directory(directory, bases, depth));
        }
        match open_at(parent, name) {
            Ok(directory) => self.directory(directory, bases, depth),
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn directory(&mut self, directory: OwnedFd, bases: Vec<(OwnedFd, Basis)>, depth: usize) -> io::Result<()> {
        let depth = deeper(depth)?;
        let mut directory = Dir::from_fd(directory)?;
        let olds: Vec<Old> = bases.into_iter().filter_map(|(fd, basis)| old(fd, basis).ok()).collect();
        for Listed { name, inode, is_file } in entries(&mut directory)? {
            let known = |basis| olds.iter().any(|old| old.basis == basis && old.inodes.get(&name) == Some(&inode));
            if known(Basis::History) {
                if self.forget {
                    self.shared.remove(&inode);
                }
                continue;
            }
            if is_file && self.forget {
                continue;
            }
            let found = match stat(directory.as_fd(), &name) {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(_) => {
                    self.blind = true;
                    continue;
                }
            };
            if kind(&found) != SFlag::S_IFDIR {
                self.file(&found, known(Basis::Kept));
                continue;
            }
            self.add(&found);
            let here = |old: &Old| Some((open_at(&old.directory, name.as_c_str()).ok()?, old.basis));
            let next = olds.iter().filter(|old| old.inodes.contains_key(&name)).filter_map(here).collect();
            // What is below a directory that cannot be opened stays unseen; the rest of the tree does not.
            self.blind |= self.below(directory.as_fd(), &name, next, depth).is_err();
        }
        Ok(())
    }

    fn add(&mut self, found: &FileStat) {
        if !self.forget {
            self.usage = self.usage.and(Usage { bytes: allocated(found), inodes: 1 });
        }
    }

    /// A file that is not history's. One with several names is remembered, so that it counts once; but for a plain link to
    /// what was kept, of which there may be millions.
    fn file(&mut self, found: &FileStat, kept: bool) {
        let names = usize::try_from(found.st_nlink).unwrap_or(usize::MAX);
        if names <= 1 || kept && names <= self.kept.saturating_add(1) {
            self.add(found);
        } else if !self.forget {
            self.shared.insert(found.st_ino, allocated(found));
        }
    }
}

fn old(fd: OwnedFd, basis: Basis) -> io::Result<Old> {
    let mut directory = Dir::from_fd(fd)?;
    let inodes = entries(&mut directory)?.into_iter().map(|entry| (entry.name, entry.inode)).collect();
    Ok(Old { directory, inodes, basis })
}

/// Bytes on the disk, what is still to be written there included (stat(2), `st_blocks`).
fn allocated(found: &FileStat) -> u64 {
    u64::try_from(found.st_blocks).unwrap_or(0).saturating_mul(512)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    struct Trees(tempfile::TempDir);

    impl Trees {
        fn new() -> Self {
            let this = Self(tempfile::tempdir().unwrap());
            for name in ["new", "old", "kept"] {
                fs::create_dir(this.path(name)).unwrap();
            }
            this
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str) {
            fs::write(self.path(name), vec![1; 8192]).unwrap();
        }

        fn link(&self, from: &str, to: &str) {
            fs::hard_link(self.path(from), self.path(to)).unwrap();
        }

        fn count(&self) -> Count {
            let compared = [(self.path("old"), Basis::History), (self.path("kept"), Basis::Kept)];
            count(&self.path("new"), &compared, false)
        }
    }

    fn inodes(count: Count) -> u64 {
        assert!(!count.blind);
        count.usage.inodes
    }

    #[test]
    fn links_to_history_are_free_and_everything_else_counts_once() {
        let trees = Trees::new();
        trees.write("old/same");
        trees.link("old/same", "new/same");
        assert_eq!(trees.count().usage, Usage::default());
        trees.write("new/received");
        assert_eq!(trees.count().usage, Usage { bytes: 8192, inodes: 1 });
        trees.write("kept/resumed");
        trees.link("kept/resumed", "new/resumed");
        assert_eq!(trees.count().usage, Usage { bytes: 16384, inodes: 2 });
        symlink("/etc", trees.path("new/link")).unwrap();
        assert_eq!(inodes(trees.count()), 3, "and nothing behind it");
    }

    #[test]
    fn hard_links_of_the_client_s_own_hide_nothing_and_cost_nothing() {
        let trees = Trees::new();
        trees.write("new/one");
        trees.link("new/one", "new/two");
        assert_eq!(trees.count().usage, Usage { bytes: 8192, inodes: 1 });
        // An old file under a further name, found before and after its known one.
        trees.write("old/m");
        trees.link("old/m", "new/m");
        fs::create_dir(trees.path("new/d")).unwrap();
        let before = trees.count().usage;
        for other in ["new/a", "new/d/x", "new/z"] {
            trees.link("old/m", other);
        }
        assert_eq!(trees.count().usage, before);
        // And kept ones that are each other's links count once.
        trees.write("kept/p");
        trees.link("kept/p", "kept/q");
        trees.link("kept/p", "new/p");
        trees.link("kept/p", "new/q");
        assert_eq!(inodes(trees.count()), before.inodes + 1);
    }

    #[test]
    fn a_tree_that_changes_or_hides_is_no_error() {
        let trees = Trees::new();
        assert!(count(&trees.path("nothing"), &[], false).usage == Usage::default());
        fs::create_dir_all(trees.path("new/a/b")).unwrap();
        fs::write(trees.path("new/a/b/f"), "x").unwrap();
        fs::set_permissions(trees.path("new/a"), fs::Permissions::from_mode(0o000)).unwrap();
        let seen = trees.count();
        if nix::unistd::geteuid().is_root() {
            assert_eq!(inodes(seen), 3);
        } else {
            assert!(seen.blind && seen.usage.inodes == 1);
        }
        let forced = count(&trees.path("new"), &[], true);
        assert_eq!(inodes(forced), 3);
        assert_eq!(fs::metadata(trees.path("new/a")).unwrap().permissions().mode() & 0o777, 0, "as it was");
        fs::set_permissions(trees.path("new/a"), fs::Permissions::from_mode(0o700)).unwrap();
    }
}
