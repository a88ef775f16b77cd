//! A client's repository on the disk: who may open it, who holds it, and what is in it.
//!
//! Only the gate makes paths here. Trees that a client filled are walked by descriptor and never
//! through a symbolic link (`walk`). Nothing beneath `snapshots/` is ever removed or changed,
//! except that root's `snapgate remap` changes owners (`remap`).
//!
//! Errors are what the disk does not allow, in words for the administrator. Where a function has
//! others it says so.

mod absent;
pub(in crate::act) mod attributes;
mod bases;
pub(crate) mod compare;
mod contents;
pub(in crate::act) mod disk;
#[cfg(feature = "admin")]
mod drilled;
mod find;
mod holding;
mod holds;
mod keep;
mod links;
pub(in crate::act) mod lock;
mod look;
mod mounts;
mod overlay;
mod owners;
pub mod private;
mod publish;
mod remap;
mod remove;
mod restored;
mod stage;
mod stock;
mod survey;
mod transaction;
pub(in crate::act) mod tree;
mod unfinished;
mod usage;
pub(in crate::act) mod walk;
mod whole;

#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::decide::quota::MinFree;
use crate::terms::limits::{KEPT_WHILE_SHORT, MIN_FREE_BYTES, RSYNC_GONE};
use crate::terms::text::printable;
use crate::terms::{Code, Mapping, NamePattern, Reason, RepositoryState, STATE, SnapshotName};

use disk::found;
#[cfg(feature = "admin")]
pub use drilled::{Chosen, Same, same};
pub use find::Found;
#[cfg(feature = "admin")]
pub(in crate::act) use holding::disk_of;
pub use holds::Canary;
#[cfg(feature = "admin")]
pub(in crate::act) use holds::note_name;
pub use links::{Bounds, Deferred, Made, Taken};
pub use lock::Lock;
pub use look::Look;
pub use mounts::mounted;
pub use owners::{owners_of, remembered};
pub use publish::{Published, Staging};
pub use remap::{Given, Ownership};
pub use remove::remove;
pub use stage::boot_id;
pub use survey::Survey;

/// A client's repository: a directory of the running account that nobody else can write to.
#[derive(Debug)]
pub struct Repository {
    root: PathBuf,
    /// Where the client's ids stand; this process is in their user namespace.
    mapping: Option<Mapping>,
}

/// A repository that this process alone may change, until this is dropped or the process ends.
#[derive(Debug)]
pub struct Held<'a> {
    repository: &'a Repository,
    /// It also brings everything to the disk: the kernel reports to a descriptor the errors since
    /// it was opened, and this one was open before anything was written.
    lock: Lock,
}

/// Puts an error of the file system into words. The client learns only that the server has one.
pub(crate) fn trouble(doing: &str, path: &Path, error: &io::Error) -> Reason {
    let remedy = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on the store",
        ErrorKind::ReadOnlyFilesystem => "the store is mounted read-only: look for errors of the disk, then remount it",
        ErrorKind::PermissionDenied => "make the repository and give it to the client's account: install -d -m 700 -o ACCOUNT DIRECTORY",
        ErrorKind::NotFound => "create the directory, or mount the store",
        _ => "look at the store and the kernel's log",
    };
    let detail = format!("{doing} `{}`: {error}", printable(path.as_os_str().as_encoded_bytes()));
    // Of these the machine has enough again when something else has ended.
    let passes = matches!(error.kind(), ErrorKind::OutOfMemory | ErrorKind::ResourceBusy | ErrorKind::TimedOut | ErrorKind::WouldBlock)
        || matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE));
    if passes { Reason::for_now(Code::Store, detail).remedy(remedy) } else { unusable(detail, remedy) }
}

/// The same for a step that may fail.
pub(in crate::act) trait OrTrouble<T> {
    fn or_trouble(self, doing: &str, path: &Path) -> Result<T, Reason>;
}

impl<T, E: Into<io::Error>> OrTrouble<T> for Result<T, E> {
    fn or_trouble(self, doing: &str, path: &Path) -> Result<T, Reason> {
        self.map_err(|error| trouble(doing, path, &error.into()))
    }
}

pub(in crate::act) fn unusable(detail: String, remedy: &str) -> Reason {
    Reason::of_the_server(Code::Store, detail).remedy(remedy)
}

impl Repository {
    /// The repository at `path` if it is there and fit to be written to by `uid`.
    pub fn existing(path: &Path, uid: u32) -> Option<Self> {
        Self::checked(path, uid).ok()
    }

    /// The same, with what is wrong with it.
    pub fn checked(path: &Path, uid: u32) -> Result<Self, Reason> {
        belongs_to(path, uid)?;
        Ok(Self::at(path))
    }

    /// The repository at `path`, there or not, for looking only.
    pub fn at(path: &Path) -> Self {
        Self { root: path.to_path_buf(), mapping: None }
    }

    /// Opens the repository and makes it on first use, if the store can take anything at all. With
    /// a `mapping` this process is in its namespace.
    pub fn open(path: &Path, uid: u32, mapping: Option<&Mapping>) -> Result<Self, Reason> {
        let parent = path.parent().unwrap_or(path);
        match fs::symlink_metadata(path) {
            Ok(_) => read_write(path)?,
            // A new repository needs room; an existing one may have some to give back
            // (`Held::make_room`).
            Err(_) => read_write(parent).and_then(|()| has_room(parent))?,
        }
        make_directory(path, 0o700).or_trouble("creating", path)?;
        belongs_to(path, uid)?;
        // The kernel names files without symlinks on the way, and rsync's own walk follows none.
        let root = fs::canonicalize(path).or_trouble("looking at", path)?;
        let this = Self { root, mapping: mapping.cloned() };
        for directory in [this.state(), this.logs(), this.snapshots()] {
            let mode = if directory == this.snapshots() { 0o755 } else { 0o700 };
            make_directory(&directory, mode).or_trouble("creating", &directory)?;
        }
        Ok(this)
    }

    /// Whether the store has no room left.
    pub fn is_full(&self) -> bool {
        has_room(&self.root).is_err()
    }

    /// Bytes that the account can still write.
    pub fn free_bytes(&self) -> Option<u64> {
        let stat = statvfs(&self.root).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Takes the repository for this process.
    ///
    /// # Errors
    /// With [`Code::Busy`] when another push holds it, be it the gate or an rsync whose gate is
    /// gone; with [`Code::Owners`] when its ids mean something else than when they were looked at, or
    /// its file system keeps none.
    pub fn hold(&self) -> Result<Held<'_>, Reason> {
        let lock = self.locked("lock")?;
        self.locked("rsync.lock")?;
        // Before the note, which would have the repository stay one with owners.
        self.try_owners()?;
        self.remember()?;
        Ok(Held { repository: self, lock })
    }

    fn locked(&self, name: &str) -> Result<Lock, Reason> {
        let path = self.state().join(name);
        Lock::of(lock_file(&path)?, &path)
    }

    /// What stands in the repository. Reads the names of snapshots, not their contents.
    pub fn look(&self, names: &NamePattern) -> Result<RepositoryState, Reason> {
        let mut all = self.names(names)?;
        all.sort_by(|a, b| (b.at, b.as_str()).cmp(&(a.at, a.as_str())));
        let mut all = all.into_iter();
        Ok(RepositoryState { newest: all.next(), earlier: all.collect(), transaction: self.transaction()? })
    }

    /// The names of all snapshots, in no order.
    pub fn names(&self, names: &NamePattern) -> Result<Vec<SnapshotName>, Reason> {
        let mut all = Vec::new();
        let mut below = vec![(String::new(), 1)];
        while let Some((prefix, level)) = below.pop() {
            let directory = self.snapshots().join(&prefix);
            let entries = found(fs::read_dir(&directory)).or_trouble("reading", &directory)?;
            for entry in entries.into_iter().flatten() {
                let entry = entry.or_trouble("reading", &directory)?;
                // A link is never a snapshot.
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                let Some(name) = entry.file_name().to_str().map(|name| format!("{prefix}{name}")) else { continue };
                match names.read(&name) {
                    Some(name) => all.push(name),
                    None if level < names.deepest() => below.push((format!("{name}/"), level + 1)),
                    None => {}
                }
            }
        }
        Ok(all)
    }

    /// The repository's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where published snapshots stand.
    pub fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    /// The link to the newest one.
    pub fn current(&self) -> PathBuf {
        self.root.join("current")
    }

    /// Where rsync writes.
    pub fn inprogress(&self) -> PathBuf {
        self.root.join("inprogress")
    }

    /// The log of the run with this id.
    pub fn log(&self, id: &str) -> PathBuf {
        self.logs().join(format!("{id}.log"))
    }

    /// What the rsync of this run says. In a file of its own: rsync can do with it what it likes.
    pub fn rsync_log(&self, id: &str) -> PathBuf {
        self.logs().join(format!("{id}.rsync.log"))
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join(STATE)
    }
}

/// What the gate keeps in its own directory of a repository, by name.
macro_rules! in_state {
    ($($(#[$doc:meta])* $visible:vis $name:ident = $path:literal)*) => {
        impl Repository {
            $($(#[$doc])* $visible fn $name(&self) -> PathBuf {
                self.state().join($path)
            })*
        }
    };
}

in_state! {
    /// The ledger.
    pub ledger = "ledger.jsonl"
    /// Which snapshots are partial, by the ledgers that were set aside.
    pub partial_note = "partial"
    /// Where the version of rsync is remembered.
    pub version_cache = "rsync.json"
    logs = "logs"
    unrecorded = "unrecorded"
    run_mark = "run.json"
    links_log = "links"
    placeholders = "placeholders"
    interrupted = "interrupted"
    transaction_file = "transaction.json"
    parts = "parts"
    counted_note = "counted.json"
    usage_note = "usage"
    freed_note = "freed"
    holds = "held"
    trash = "trash"
    history_note = "pushes.json"
    daily_book = "restored.json"
    daily_lock = "restored.lock"
    carried = "carried"
    broken = "broken"
    next_current = "current.new"
}

impl Held<'_> {
    /// The repository.
    pub fn repository(&self) -> &Repository {
        self.repository
    }

    /// Takes the lock that rsync will carry, so that it outlives a killed gate.
    pub fn rsync_lock(&self) -> Result<File, Reason> {
        let path = self.repository.state().join("rsync.lock");
        let file = lock_file(&path)?;
        lock::wait_for(&file, &path).map(|()| file)
    }

    /// Makes sure that there is room. What interrupted pushes left is given up for it: at once on a
    /// disk that is full, and after a while on one that has less than pushes have to `leave`. No push
    /// could use it there, and it would keep all others out for ever.
    ///
    /// # Errors
    /// When the store is full all the same.
    pub fn make_room(&self, leave: &MinFree) -> Result<(), Reason> {
        let is_short = || self.repository.disk().is_some_and(|disk| disk.is_short(leave));
        if self.repository.is_full() || (self.has_waited(KEPT_WHILE_SHORT) && is_short()) {
            self.forget_unfinished()?;
        }
        has_room(&self.repository.root)
    }

    /// Whether nothing was set aside for so long, and something is.
    fn has_waited(&self, so_long: Duration) -> bool {
        let changed = fs::symlink_metadata(self.repository.interrupted()).and_then(|found| found.modified());
        changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age >= so_long))
    }

    /// Waits until every process of an rsync is gone: its receiver may outlive it for a moment.
    ///
    /// # Errors
    /// When one is still there after [`RSYNC_GONE`].
    pub fn wait_for_rsync(&self) -> Result<(), Reason> {
        let deadline = Instant::now() + RSYNC_GONE;
        while let Err(reason) = self.repository.locked("rsync.lock") {
            if reason.code != Code::Busy || Instant::now() >= deadline {
                return Err(reason);
            }
        }
        Ok(())
    }
}

fn lock_file(path: &Path) -> Result<File, Reason> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path).or_trouble("opening", path)
}

/// Makes a directory with exactly this mode, unless it is there.
pub(crate) fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Names in a repository are trusted, so only its account may write there.
fn belongs_to(path: &Path, uid: u32) -> Result<(), Reason> {
    let found = fs::symlink_metadata(path).or_trouble("looking at", path)?;
    let shown = printable(path.as_os_str().as_encoded_bytes());
    if !found.is_dir() {
        return Err(unusable(format!("`{shown}` is no directory"), "give the client a directory of its own in `path:`"));
    }
    if found.uid() != uid {
        // Root's for as long as that lasts, and not to be given away.
        owners::under_way(path)?;
        return Err(unusable(
            format!("`{shown}` belongs to uid {}, and the gate runs as uid {uid}", found.uid()),
            "give the repository to the client's account, or set `user:`",
        ));
    }
    if found.mode() & 0o022 != 0 {
        return Err(unusable(format!("`{shown}` can be written to by others"), "chmod go-w on the repository"));
    }
    Ok(())
}

/// Asks the file system before anything is changed, so that a read-only store is a clear refusal.
fn read_write(path: &Path) -> Result<(), Reason> {
    let stat = statvfs(path).or_trouble("looking at", path)?;
    if stat.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Err(trouble("writing to", path, &io::Error::from(ErrorKind::ReadOnlyFilesystem)));
    }
    Ok(())
}

/// Asks for room before anything is changed, so that a full store is a clear refusal.
fn has_room(path: &Path) -> Result<(), Reason> {
    let stat = statvfs(path).or_trouble("looking at", path)?;
    // A file system without a table of inodes (btrfs) says that it has none at all.
    let no_inodes = stat.f_files > 0 && stat.f_favail == 0;
    if no_inodes || stat.f_bavail.saturating_mul(stat.f_frsize) < MIN_FREE_BYTES {
        return Err(trouble("writing to", path, &io::Error::from(ErrorKind::StorageFull)));
    }
    Ok(())
}
