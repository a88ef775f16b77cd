//! Whether a snapshot is as it was published: one whose removal is under way, or was cut off, still
//! has its name.

use std::io;
use std::os::fd::BorrowedFd;

use chrono::{DateTime, Utc};
use nix::sys::stat::lstat;

use super::Repository;
use super::tree::{Listed, stat};
use super::walk::{Closed, Next, Visitor, walk_tree};
use crate::terms::SnapshotName;
use crate::terms::limits::{CHANGED_DEPTH, MAX_CHANGED};

impl Repository {
    /// How many files are left in a snapshot whose directories have changed since it was published;
    /// `None` where they have not, or it is unknown. Only names are read.
    pub fn left(&self, name: &SnapshotName, published: DateTime<Utc>) -> Option<u64> {
        let top = name.below(&self.snapshots());
        let since = published.timestamp();
        let changed = lstat(&top).ok()?.st_ctime > since || {
            let mut changes = Changes { since, looked_at: 0 };
            walk_tree(&top, CHANGED_DEPTH, Closed::Left, &mut changes).ok()?
        };
        let mut files = Files(0);
        changed.then(|| walk_tree(&top, (), Closed::Left, &mut files).ok()).flatten()?;
        Some(files.0)
    }
}

/// Whether one of the upper directories has changed.
struct Changes {
    since: i64,
    looked_at: usize,
}

impl Visitor for Changes {
    /// How much deeper the look goes.
    type Here = usize;

    fn entry(&mut self, deeper: &mut usize, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<usize>> {
        if *deeper == 0 || self.looked_at >= MAX_CHANGED || !entry.is_directory(at)? {
            return Ok(Next::Past);
        }
        self.looked_at += 1;
        Ok(match *deeper {
            _ if stat(at, entry.name)?.st_ctime > self.since => Next::Stop,
            // What the lowest have in them is not looked at.
            1 => Next::Past,
            deeper => Next::Into(deeper - 1),
        })
    }
}

struct Files(u64);

impl Visitor for Files {
    type Here = ();

    fn entry(&mut self, (): &mut (), at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<()>> {
        if entry.is_directory(at)? {
            return Ok(Next::Into(()));
        }
        self.0 += 1;
        Ok(Next::Past)
    }
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
