//! How much a push has stored: everything in the stage, which holds nothing of history while rsync
//! runs. rsync may still be writing: what is gone is gone, and what cannot be opened is reported.
//!
//! Every name counts, since it takes room in its directory. The bytes of a file with several names
//! are divided among them.

use std::ffi::CString;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{FileStat, SFlag};

use super::keep::numbered;
use super::links::Taken;
use super::tree::{Listed, allocated, c_string, kind, open_at, open_below, place_in, stat};
use super::walk::{Closed, Next, Visitor, walk};
use super::{Held, Staging};
use crate::decide::push::metering::Allowance;
use crate::terms::{Count, SubPath, Usage};

impl Staging<'_> {
    /// Counts what the push has stored, with what its links add. Once rsync is gone (`ended`),
    /// directories that their owner may not read are lent for the look.
    pub fn count(&self, taken: &Taken, ended: bool) -> Count {
        count(self.path(), taken, ended).and(Count { usage: taken.usage().and(self.held().placeholders()), blind: false })
    }
}

impl Held<'_> {
    /// Whether the interrupted pushes into `place` have reached the limit by themselves. What they
    /// share with the newest snapshot takes nothing.
    #[must_use]
    pub fn kept_reaches(&self, allowance: &Allowance, place: &SubPath, newest: Option<&Path>) -> bool {
        let nothing = Taken::default();
        let of = |kept: &PathBuf| {
            let newest = newest.and_then(|newest| open_below(newest, place.components()).ok());
            let found = place_in(kept, place).and_then(|found| found.ok_or_else(|| io::ErrorKind::NotFound.into()));
            count_in(found, newest, &nothing, true).usage
        };
        let sum = numbered(&self.repository.interrupted()).iter().map(of).fold(Usage::default(), Usage::and);
        allowance.is_reached_by(sum)
    }
}

fn count(path: &Path, taken: &Taken, forcibly: bool) -> Count {
    count_in(c_string(path.as_os_str()).map(|path| (AT_FDCWD, path)), None, taken, forcibly)
}

fn count_in(tree: io::Result<(impl AsFd, CString)>, newest: Option<OwnedFd>, taken: &Taken, forcibly: bool) -> Count {
    let mut tally = Tally { taken, count: Count::default() };
    let counted = tree.and_then(|(parent, name)| {
        tally.add(&stat(parent.as_fd(), &name)?);
        walk(parent.as_fd(), &name, newest, if forcibly { Closed::Lent } else { Closed::Left }, &mut tally)
    });
    // Before a push and after it there is no tree.
    tally.count.blind |= counted.is_err_and(|error| error.kind() != io::ErrorKind::NotFound);
    tally.count
}

struct Tally<'a> {
    count: Count,
    taken: &'a Taken,
}

impl Tally<'_> {
    fn add(&mut self, found: &FileStat) {
        // A directory's names are its parent's and those of what is in it.
        let names = if kind(found) == SFlag::S_IFDIR { 1 } else { u32::try_from(found.st_nlink).unwrap_or(u32::MAX).max(1) };
        self.count.usage = self.count.usage.and(Usage { bytes: allocated(found).div_ceil(names.into()), inodes: 1 });
    }
}

impl Visitor for Tally<'_> {
    /// The same directory in the newest snapshot.
    type Here = Option<OwnedFd>;

    fn entry(&mut self, newest: &mut Option<OwnedFd>, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Option<OwnedFd>>> {
        match self.taken.not_a_placeholder(at, entry) {
            Ok(None) => {}
            Ok(Some(found)) if kind(&found) == SFlag::S_IFDIR => {
                self.add(&found);
                return Ok(Next::Into(newest.as_ref().and_then(|newest| open_at(newest.as_fd(), entry.name).ok())));
            }
            Ok(Some(found)) => {
                let old = newest.as_ref().and_then(|newest| stat(newest.as_fd(), entry.name).ok());
                if old.is_none_or(|old| old.st_ino != found.st_ino) {
                    self.add(&found);
                }
            }
            Err(error) => self.count.blind |= error.kind() != io::ErrorKind::NotFound,
        }
        Ok(Next::Past)
    }

    /// What is below stays unseen. One may have gone meanwhile, or become something else.
    fn unseen(&mut self, error: io::Error) -> io::Result<ControlFlow<()>> {
        let is_gone = [Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP].iter().any(|gone| error.raw_os_error() == Some(*gone as i32));
        self.count.blind |= !is_gone;
        Ok(ControlFlow::Continue(()))
    }

    /// It was removed while it was read (getdents(2), ENOENT), and may have held anything.
    fn broken_off(&mut self, _: io::Error) -> io::Result<ControlFlow<()>> {
        self.count.blind = true;
        Ok(ControlFlow::Continue(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn count(path: &Path, forcibly: bool) -> Count {
        super::count(path, &Taken::default(), forcibly)
    }
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn inodes(count: Count) -> u64 {
        assert!(!count.blind);
        count.usage.inodes
    }

    #[test]
    fn every_name_counts_and_every_byte_once() {
        let root = tempfile::tempdir().unwrap();
        let new = root.path().join("new");
        assert_eq!(count(&new, false), Count::default());
        fs::create_dir(&new).unwrap();
        let top = count(&new, false).usage;
        assert_eq!(top.inodes, 1, "the directory itself");
        fs::write(new.join("one"), vec![1; 12288]).unwrap();
        let one = count(&new, false).usage;
        assert_eq!(one, top.and(Usage { bytes: 12288, inodes: 1 }));
        fs::create_dir(new.join("d")).unwrap();
        let before = count(&new, false).usage;
        for name in ["two", "d/three"] {
            fs::hard_link(new.join("one"), new.join(name)).unwrap();
        }
        assert_eq!(count(&new, false).usage, before.and(Usage { bytes: 0, inodes: 2 }));
        symlink("/etc", new.join("link")).unwrap();
        assert_eq!(inodes(count(&new, false)), before.inodes + 3, "and nothing behind it");
    }

    #[test]
    fn a_tree_that_hides_is_no_error() {
        let root = tempfile::tempdir().unwrap();
        let new = root.path().join("new");
        fs::create_dir_all(new.join("a/b")).unwrap();
        fs::write(new.join("a/b/f"), "x").unwrap();
        fs::set_permissions(new.join("a"), fs::Permissions::from_mode(0o000)).unwrap();
        let seen = count(&new, false);
        if nix::unistd::geteuid().is_root() {
            assert_eq!(inodes(seen), 4);
        } else {
            assert!(seen.blind && seen.usage.inodes == 2);
        }
        assert_eq!(inodes(count(&new, true)), 4);
        assert_eq!(fs::metadata(new.join("a")).unwrap().permissions().mode() & 0o777, 0, "as it was");
        fs::set_permissions(new.join("a"), fs::Permissions::from_mode(0o700)).unwrap();
    }
}
