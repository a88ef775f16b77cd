//! Snapshots, and places in them: opened one level at a time, through no link.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use chrono::{DateTime, Utc};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstat};

use super::{Stop, gone};
use crate::act::store::Repository;
use crate::act::store::tree::{allocated, along, c_string, each, names_of, open_at, stat};
use crate::decide::history::entry::{Entry, Sort};
use crate::decide::history::said::name;
use crate::terms::text::os_words;
use crate::terms::word::nearest;
use crate::terms::{Code, NamePattern, Reason, SnapshotName, SubPath};

/// A client's snapshots.
pub(super) struct Store {
    repository: Repository,
    snapshots: OwnedFd,
    pattern: NamePattern,
}

/// One of them.
pub(super) struct Opened {
    name: String,
    directory: OwnedFd,
}

/// Something in it.
pub(super) struct Place<'s> {
    above: Above<'s>,
    last: CString,
    pub(super) entry: Entry,
}

/// The directory that it is in.
enum Above<'s> {
    Open(BorrowedFd<'s>),
    Own(OwnedFd),
}

impl Store {
    pub(super) fn open(root: &Path, pattern: NamePattern) -> Result<Self, Stop> {
        let repository = Repository::at(root);
        let snapshots = open_at(AT_FDCWD, &repository.snapshots()).map_err(|error| broken("opening the snapshots", &error.into()))?;
        Ok(Self { repository, snapshots, pattern })
    }

    /// All of them, the oldest first.
    pub(super) fn names(&self) -> Result<Vec<SnapshotName>, Stop> {
        let mut names = self.repository.names(&self.pattern)?;
        names.sort_by_key(|name| name.at);
        Ok(names)
    }

    pub(super) fn time_of(&self, name: &str) -> Result<DateTime<Utc>, Stop> {
        self.pattern.read(name).map(|name| name.at).ok_or_else(|| removed(name).into())
    }

    pub(super) fn snapshot(&self, name: &str) -> Result<Opened, Stop> {
        Ok(self.kept(name).map_err(|error| gone(name, &error))?)
    }

    /// The same where it may have been removed meanwhile.
    pub(super) fn still(&self, name: &str) -> Result<Option<Opened>, Stop> {
        match self.kept(name) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            kept => kept.map(Some).map_err(|error| gone(name, &error).into()),
        }
    }

    /// Opens it and keeps it from being removed, no longer than it is open: whoever reads an answer
    /// slowly must not keep every snapshot from going.
    fn kept(&self, name: &str) -> io::Result<Opened> {
        let open = || along(self.snapshots.as_fd(), name.split('/').map(OsStr::new)).map(File::from);
        let directory = open()?;
        directory.lock_shared()?;
        // Whoever had the lock may have moved it to where it is removed.
        let (there, locked) = (open()?.metadata()?, directory.metadata()?);
        if (there.dev(), there.ino()) != (locked.dev(), locked.ino()) {
            return Err(ErrorKind::NotFound.into());
        }
        Ok(Opened { name: name.to_owned(), directory: directory.into() })
    }
}

impl Opened {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// What stands in a place; `None` where nothing does.
    pub(super) fn find(&self, place: &SubPath) -> Result<Option<Place<'_>>, Stop> {
        Ok(self.along(place.components().collect())?)
    }

    /// The same by a path that was found in it before.
    pub(super) fn again(&self, path: &[u8]) -> io::Result<Option<Place<'_>>> {
        self.along(path.split(|byte| *byte == b'/').map(OsStr::from_bytes).collect())
    }

    fn along(&self, mut names: Vec<&OsStr>) -> io::Result<Option<Place<'_>>> {
        let Some(last) = names.pop() else { return Place::at(&self.directory, c".").map(Some) };
        let Some(above) = there(along(self.directory.as_fd(), names.into_iter()))? else { return Ok(None) };
        Place::owning(above, last)
    }

    /// Words for what is there and near to a place that is not.
    pub(super) fn near(&self, place: &SubPath) -> Result<String, Stop> {
        let mut here = self.directory.try_clone()?;
        let mut way: Vec<&[u8]> = Vec::new();
        for part in place.components() {
            match there(open_at(&here, part).map_err(io::Error::from))? {
                Some(next) => here = next,
                None => {
                    let mut names = Vec::new();
                    each(here.as_fd(), |entry| {
                        let text = entry.name.to_str().ok().filter(|text| text.len().abs_diff(part.len()) <= 2);
                        names.extend(text.map(str::to_owned));
                        Ok(())
                    })?;
                    let near = part.to_str().and_then(|part| nearest(part, names.iter().map(String::as_str)));
                    let Some(near) = near else { break };
                    return Ok(format!("did you mean `{}`?", name(&[way.as_slice(), &[near.as_bytes()]].concat().join(&b'/'))));
                }
            }
            way.push(part.as_bytes());
        }
        let shown = if way.is_empty() { "/".to_owned() } else { name(&way.join(&b'/')) };
        Ok(format!("there is `{shown}`: `ls` shows what is in it"))
    }
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl<'s> Place<'s> {
    /// What a directory has of that name.
    pub(super) fn at(above: &'s impl AsFd, last: &CStr) -> io::Result<Self> {
        let entry = entry(&stat(above.as_fd(), last)?);
        Ok(Self { above: Above::Open(above.as_fd()), last: last.to_owned(), entry })
    }

    fn owning(above: OwnedFd, last: &OsStr) -> io::Result<Option<Self>> {
        let last = c_string(last)?;
        let found = there(stat(above.as_fd(), &last))?;
        Ok(found.map(|found| Self { above: Above::Own(above), last, entry: entry(&found) }))
    }

    fn above(&self) -> BorrowedFd<'_> {
        match &self.above {
            Above::Open(above) => *above,
            Above::Own(above) => above.as_fd(),
        }
    }

    /// It as a directory.
    pub(super) fn directory(&self) -> io::Result<OwnedFd> {
        Ok(open_at(self.above(), self.last.as_c_str())?)
    }

    /// Its content, if it is a regular file: nothing else is opened, and nothing is waited for.
    pub(super) fn open(&self) -> io::Result<File> {
        if self.entry.sort != Sort::File {
            return Err(ErrorKind::InvalidInput.into());
        }
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let opened = match openat(self.above(), self.last.as_c_str(), flags | OFlag::O_NOATIME, Mode::empty()) {
            Err(Errno::EPERM) => openat(self.above(), self.last.as_c_str(), flags, Mode::empty()),
            opened => opened,
        };
        let file = File::from(opened?);
        // Another may stand there by now.
        if entry(&fstat(&file)?).inode == self.entry.inode { Ok(file) } else { Err(ErrorKind::NotFound.into()) }
    }

    /// Where it leads, if it is a link.
    pub(super) fn target(&self) -> io::Result<Option<Vec<u8>>> {
        if self.entry.sort != Sort::Link {
            return Ok(None);
        }
        Ok(Some(readlinkat(self.above(), self.last.as_c_str())?.into_vec()))
    }
}

/// Nothing where something is missing, or stands where a directory would have to.
fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG) => Ok(None),
            _ => Err(error),
        },
    }
}

fn entry(found: &FileStat) -> Entry {
    Entry {
        sort: Sort::of(found.st_mode),
        inode: found.st_ino,
        names: names_of(found),
        size: u64::try_from(found.st_size).unwrap_or(0),
        allocated: allocated(found),
        changed: (found.st_mtime, u32::try_from(found.st_mtime_nsec).unwrap_or(0)),
        mode: found.st_mode & 0o7777,
        owner: (found.st_uid, found.st_gid),
        device: found.st_rdev,
    }
}

/// The reason for a place that is not there.
pub(super) fn missing(place: &SubPath, snapshot: &str) -> Reason {
    let says = format!("there is no `{}` in {snapshot}", name(place.to_string().as_bytes()));
    Reason::new(Code::Missing, says).hint("look at the spelling, or use find")
}

/// The reason for a snapshot that goes while somebody asks about it.
pub(super) fn removed(snapshot: &str) -> Reason {
    Reason::new(Code::Snapshot, format!("{snapshot} is not there any more")).hint("use list to see which snapshots there are").passing()
}

/// The reason for what the disk or the kernel does not do.
pub(super) fn broken(doing: &str, error: &io::Error) -> Reason {
    Reason::new(Code::Store, "the server cannot read it right now").hint("try again later").detail(format!("{doing}: {}", os_words(error)))
}
