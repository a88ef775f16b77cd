//! Whether a snapshot is still as it was published, for somebody who lists it: one that is being removed, or whose removal was cut off,
//! stands there under its name.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use chrono::{DateTime, Utc};
use nix::sys::stat::fstat;

use super::Repository;
use super::tree::{deeper, each, open, open_at};
use crate::terms::SnapshotName;
use crate::terms::limits::{CHANGED_DEPTH, MAX_CHANGED};

impl Repository {
    /// How many files are left in a snapshot, where its directories have changed since it was published; `None` where they have not, or where it
    /// cannot be told. Names alone are read.
    pub fn left(&self, name: &SnapshotName, published: DateTime<Utc>) -> Option<u64> {
        let top = || open(&name.below(&self.snapshots()));
        let mut looked_at = 0;
        let changed = has_changed(&top().ok()?, published.timestamp(), &mut looked_at, 0).ok()?;
        changed.then(|| count(&top().ok()?, 0).ok()).flatten()
    }
}

/// Whether something was added to a directory of the upper ones or taken out, or one was changed otherwise.
fn has_changed(directory: &OwnedFd, since: i64, looked_at: &mut usize, depth: usize) -> io::Result<bool> {
    if fstat(directory)?.st_ctime > since {
        return Ok(true);
    }
    let here = directory.as_fd();
    let mut changed = false;
    if depth < CHANGED_DEPTH {
        each(here, |entry| {
            if changed || *looked_at >= MAX_CHANGED || !entry.is_directory(here)? {
                return Ok(());
            }
            *looked_at += 1;
            changed = has_changed(&open_at(here, entry.name)?, since, looked_at, depth + 1)?;
            Ok(())
        })?;
    }
    Ok(changed)
}

/// Everything that is no directory.
fn count(directory: &OwnedFd, depth: usize) -> io::Result<u64> {
    let here = directory.as_fd();
    let mut files = 0_u64;
    each(here, |entry| {
        files += if entry.is_directory(here)? { count(&open_at(here, entry.name)?, deeper(depth)?)? } else { 1 };
        Ok(())
    })?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::terms::NamePattern;

    #[test]
    fn what_is_left_is_counted_once_something_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::at(dir.path());
        let name = NamePattern::default().read("2026-11-21T02-00-00Z").unwrap();
        let now = || Utc::now() + chrono::Duration::seconds(1);
        assert_eq!(repository.left(&name, now()), None, "there is none");
        let inner = name.below(&repository.snapshots()).join("a/b");
        fs::create_dir_all(&inner).unwrap();
        for number in 0..3 {
            fs::write(inner.join(number.to_string()), "").unwrap();
        }
        std::os::unix::fs::symlink("/", inner.join("link")).unwrap();
        assert_eq!(repository.left(&name, now()), None);
        assert_eq!(repository.left(&name, Utc::now() - chrono::Duration::hours(1)), Some(4));
        let published = Utc::now();
        std::thread::sleep(std::time::Duration::from_millis(1100));
        fs::remove_file(inner.join("1")).unwrap();
        assert_eq!(repository.left(&name, published), Some(3), "below, too");
    }
}
