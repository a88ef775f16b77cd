//! Removing published snapshots. Only the administrator's program has this room, and no session can
//! reach it: `tests/tidy` sees to that, and the gate is built without it.
//!
//! A snapshot goes in two steps. One rename takes it out of history, into `.snapgate/trash/`, from
//! where it can be brought back. Later the reaper removes it (`reap`).
//!
//! An account may put anything into its directories. So every step is taken by descriptor and
//! through no link; root becomes the account for it, or leaves what it makes to it.

mod book;
mod holds;
mod ledgers;
mod notes;
mod past;
mod queue;
mod reap;
mod trash;

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, fsync, geteuid, symlinkat, unlinkat};

use crate::act::store::disk::found;
use crate::act::store::tree::{Listed, each, open_at, stat};
use crate::act::store::{Lock, OrTrouble as _, lock, remembered, tree};
use crate::terms::{NamePattern, Reason, STATE, SnapshotName};

pub use book::Counted;
pub use ledgers::{Follower, Ids, Ledgers, Lines, Piece, Place, of_account, recorded};
pub use notes::Protected;
pub use past::Dated;
pub use reap::Reaped;
pub use trash::{Removal, Trashed};

/// A client's repository, opened for removing from it.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    root: OwnedFd,
    state: OwnedFd,
    snapshots: OwnedFd,
    owner: (Uid, Gid),
}

/// The same, while no push and nobody else removes or publishes.
#[derive(Debug)]
pub struct Held<'a> {
    opened: &'a Opened,
    _locks: [Lock; 2],
}

impl Opened {
    /// Opens the repository at `path`, which is the account's with this uid; `None` where nothing
    /// was ever published in it. This process is the account, or in the namespace of its clients'
    /// ids where the files are of these.
    pub fn open(path: &Path, uid: u32) -> Result<Option<Self>, Reason> {
        // Not while root gives its files other ids.
        remembered(path)?;
        let opened = || -> io::Result<Self> {
            let root = open_at(AT_FDCWD, path)?;
            let owner = owner(&root, uid)?;
            let [state, snapshots] = [STATE, "snapshots"].map(|name| -> io::Result<OwnedFd> {
                let inner = open_at(&root, name)?;
                self::owner(&inner, uid).map(|_| inner)
            });
            Ok(Self { path: path.to_path_buf(), root, state: state?, snapshots: snapshots?, owner })
        };
        match opened() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some).or_trouble("opening", path),
        }
    }

    /// Takes the repository, for a moment. A push that comes meanwhile waits that long.
    ///
    /// # Errors
    /// With [`Code::Busy`](crate::terms::Code::Busy) while a push is running.
    pub fn hold(&self) -> Result<Held<'_>, Reason> {
        let lock = |name| self.lock_file(name).or_trouble("opening", &self.path).and_then(|file| Lock::of(file, &self.path));
        Ok(Held { opened: self, _locks: [lock("lock")?, lock("rsync.lock")?] })
    }

    /// Whether a push is running.
    pub fn is_busy(&self) -> bool {
        ["lock", "rsync.lock"].into_iter().any(|name| self.lock_file(name).is_ok_and(lock::is_taken))
    }

    /// The names of all snapshots, in order of time.
    pub fn names(&self, names: &NamePattern) -> Result<Vec<SnapshotName>, Reason> {
        let mut all = Vec::new();
        let found = below(self.snapshots.as_fd(), "", 1, names, &mut all);
        found.or_trouble("reading the snapshots of", &self.path)?;
        all.sort_by(|one, other| (one.at, one.as_str()).cmp(&(other.at, other.as_str())));
        Ok(all)
    }

    /// Whether a snapshot of that name stands there, in the pattern or not: that may be another one
    /// for a moment. One that cannot be looked at is there.
    pub fn has(&self, snapshot: &str) -> bool {
        let path = Path::new(snapshot);
        let Some((above, last)) = path.parent().zip(path.file_name()) else { return false };
        let look = || stat(tree::along(self.snapshots.as_fd(), above.iter())?.as_fd(), &tree::c_string(last)?);
        !matches!(found(look()), Ok(None))
    }

    /// What `current` leads to, as a name; `None` where it leads to no snapshot's place.
    pub fn current(&self) -> Option<String> {
        let target = readlinkat(&self.root, "current").ok()?;
        target.to_str()?.strip_prefix("snapshots/").map(str::to_owned)
    }

    /// Where its ledger can be read and written, whatever the account does to names meanwhile.
    pub fn ledger(&self) -> io::Result<PathBuf> {
        const NAME: &str = "ledger.jsonl";
        match openat(&self.state, NAME, NEW, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(made) => self.give(&made)?,
            Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(PathBuf::from(format!("/proc/self/fd/{}/{NAME}", self.state.as_raw_fd())))
    }

    /// Whether somebody reads a snapshot: whoever does holds its directory (flock(2)).
    pub fn is_read(&self, name: &SnapshotName) -> bool {
        let held = tree::along(self.snapshots.as_fd(), Path::new(name.as_str()).iter()).map(File::from);
        held.is_ok_and(lock::is_held)
    }

    /// A file of the gate's that processes lock. It is the account's, and never a link.
    fn lock_file(&self, name: &str) -> io::Result<File> {
        const LOCK: OFlag = OFlag::O_RDWR.union(OFlag::O_NOFOLLOW).union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);
        let opened = match openat(&self.state, name, NEW, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(made) => {
                self.give(&made)?;
                made
            }
            Err(Errno::EEXIST) => openat(&self.state, name, LOCK, Mode::empty())?,
            Err(error) => return Err(error.into()),
        };
        let file = File::from(opened);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other(format!("`{name}` is no file"))) }
    }

    /// A directory of the gate's own, made where it is missing.
    fn directory(&self, name: &str) -> io::Result<OwnedFd> {
        directory(&self.state, name, self.owner)
    }

    /// Gives what root has made to the account.
    fn give(&self, made: &impl AsFd) -> io::Result<()> {
        give(made, self.owner)
    }
}

impl Held<'_> {
    /// The repository.
    pub fn opened(&self) -> &Opened {
        self.opened
    }

    /// Has `current` lead to a snapshot, in one step; without one it goes.
    pub fn set_current(&self, name: Option<&SnapshotName>) -> Result<(), Reason> {
        let Opened { root, state, owner, path, .. } = self.opened;
        let set = || -> io::Result<()> {
            let Some(name) = name else { return gone(unlinkat(root, "current", UnlinkatFlags::NoRemoveDir)) };
            gone(unlinkat(state, NEXT, UnlinkatFlags::NoRemoveDir))?;
            symlinkat(Path::new(&format!("snapshots/{name}")), state, NEXT)?;
            if geteuid().is_root() {
                fchownat(state, NEXT, Some(owner.0), Some(owner.1), AtFlags::AT_SYMLINK_NOFOLLOW)?;
            }
            renameat(state, NEXT, root, "current")?;
            Ok(fsync(root)?)
        };
        set().or_trouble("setting `current` of", path)
    }
}

/// The directory of what was removed.
const TRASH: &str = "trash";

/// The link that is to be `current`.
const NEXT: &str = "current.new";

/// A file that is not there yet.
const NEW: OFlag = OFlag::O_RDWR.union(OFlag::O_CREAT).union(OFlag::O_EXCL).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// Whose an open directory is, if it is the account's and nobody else can write to it.
fn owner(directory: &OwnedFd, uid: u32) -> io::Result<(Uid, Gid)> {
    let found = fstat(directory)?;
    if found.st_uid != uid || found.st_mode & 0o022 != 0 {
        return Err(io::Error::other(format!("it is not the directory of uid {uid} alone")));
    }
    Ok((Uid::from_raw(found.st_uid), Gid::from_raw(found.st_gid)))
}

/// Adds the names of the snapshots below a directory.
fn below(directory: BorrowedFd<'_>, prefix: &str, level: usize, names: &NamePattern, all: &mut Vec<SnapshotName>) -> io::Result<()> {
    let mut look = |entry: &Listed<'_>| -> io::Result<()> {
        let Ok(name) = entry.name.to_str() else { return Ok(()) };
        if !entry.is_directory(directory)? {
            return Ok(());
        }
        let name = format!("{prefix}{name}");
        match names.read(&name) {
            Some(name) => all.push(name),
            // What cannot be opened is no directory of the gate's.
            None if level < names.deepest() => {
                if let Ok(inner) = open_at(directory, entry.name) {
                    below(inner.as_fd(), &format!("{name}/"), level + 1, names, all)?;
                }
            }
            None => {}
        }
        Ok(())
    };
    // A descriptor keeps its place in a listing.
    let again = open_at(directory, OsStr::new("."))?;
    each(again.as_fd(), &mut look)
}

/// A directory of the gate's own in this one, made where it is missing.
fn directory(parent: &OwnedFd, name: &str, owner: (Uid, Gid)) -> io::Result<OwnedFd> {
    match mkdirat(parent, name, Mode::S_IRWXU) {
        Ok(()) => {
            let made = open_at(parent, name)?;
            give(&made, owner)?;
            return Ok(made);
        }
        Err(Errno::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let there = open_at(parent, name)?;
    // Root may have been killed before it gave it away.
    let found = fstat(&there)?.st_uid;
    if found == 0 && geteuid().is_root() {
        give(&there, owner)?;
    } else if found != owner.0.as_raw() {
        return Err(io::Error::other(format!("`{name}` is not the account's")));
    }
    Ok(there)
}

/// Gives what root has made to an account.
fn give(made: &impl AsFd, owner: (Uid, Gid)) -> io::Result<()> {
    if geteuid().is_root() { Ok(fchown(made, Some(owner.0), Some(owner.1))?) } else { Ok(()) }
}

/// What is gone already is as good.
fn gone(result: nix::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::ENOENT) => Ok(()),
        other => Ok(other?),
    }
}

/// Whether an entry is a directory.
fn is_directory(parent: BorrowedFd<'_>, name: &std::ffi::CStr) -> bool {
    stat(parent, name).is_ok_and(|found| tree::kind(&found) == SFlag::S_IFDIR)
}
