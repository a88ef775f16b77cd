//! Where a drill restores to: a directory of the account's that nobody else may enter, and that is
//! gone when the drill is. What a killed one has left the next one removes.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::act::inspect;
use crate::act::store;
use crate::admin::prune::{Client, Failure};
use crate::terms::text::{os_words, printable_path};
use crate::terms::{Bytes, STATE, exit};

/// Where there may be room if the store has none.
const ELSEWHERE: &str = "/var/tmp";

/// The directory. It goes when this is dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) path: PathBuf,
    lock: store::Lock,
}

impl Scratch {
    /// Makes one with room for so much, on the client's own disk if possible: what that cannot store
    /// of a file, another one might not restore either.
    pub(super) fn with_room(client: &Client<'_>, bytes: u64, files: u64) -> Result<Self, Failure> {
        let places = places(client);
        let has_room = |path: &PathBuf| {
            let room = inspect::room(path.parent().unwrap_or(path));
            // Twice as much, so that nothing else on the disk suffers from it.
            room.is_some_and(|room| room.free / 2 >= bytes && (room.inodes == 0 || room.free_inodes / 2 >= files) && !room.read_only)
        };
        let Some(path) = places.iter().find(|path| has_room(path)) else {
            let shown: Vec<_> =
                places.iter().filter_map(|path| path.parent()).map(|place| format!("`{}`", printable_path(place))).collect();
            let what = format!("there is no room for {} twice in {}", Bytes(bytes), shown.join(" or "));
            return Err((format!("{what}\nmake room, or take a smaller --sample"), exit::BUSY));
        };
        Self::at(path).map_err(|error| match error {
            TryLockError::WouldBlock => ("another drill of this client is at work\nwait for its end".to_owned(), exit::BUSY),
            TryLockError::Error(error) => (format!("making `{}`: {}", printable_path(path), os_words(&error)), exit::INTERNAL),
        })
    }

    fn at(path: &Path) -> Result<Self, TryLockError> {
        let this = Self { lock: store::private::take_private(path)?, path: path.to_path_buf() };
        let made = store::remove(&this.tree()).and_then(|()| DirBuilder::new().mode(0o700).create(this.tree()));
        made.map_err(TryLockError::Error)?;
        Ok(this)
    }

    /// Where files are restored to.
    pub(super) fn tree(&self) -> PathBuf {
        self.path.join("tree")
    }

    /// For the process that writes: until it has ended nobody removes what it makes.
    pub(super) fn lock(&self) -> io::Result<File> {
        self.lock.carried()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = store::remove(&self.path);
    }
}

/// Removes what was left by one that was killed.
pub(super) fn clean(client: &Client<'_>) {
    for path in places(client) {
        if fs::symlink_metadata(&path).is_ok()
            && let Ok(lock) = store::private::take_private(&path)
        {
            drop(Scratch { path, lock });
        }
    }
}

/// How large a file may be that is restored there.
pub(super) fn room(client: &Client<'_>) -> u64 {
    let found = places(client).into_iter().filter_map(|path| inspect::room(path.parent().unwrap_or(&path)));
    found.filter(|room| !room.read_only).map(|room| room.free / 2).max().unwrap_or(0)
}

fn places(client: &Client<'_>) -> [PathBuf; 2] {
    let repository = &client.policy.path;
    // Another site of this machine may have a client of that name.
    let inode = fs::symlink_metadata(repository).map_or(0, |found| found.ino());
    let elsewhere = Path::new(ELSEWHERE).join(format!("snapgate-drill-{}-{inode}", client.name()));
    [repository.join(STATE).join("drill"), elsewhere]
}
