//! Directories of trees that a client filled: opened by descriptor, one level at a time, never
//! through a symbolic link.
//!
//! Whatever changes a tree runs while the repository is held and rsync is gone, so nothing changes
//! underfoot. Only directories change, which no two trees share, and files that have just arrived.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmod, fchmodat, fstat, fstatat, futimens};
use nix::sys::time::TimeSpec;
use rustix::fs::{FileType, RawDir};

use super::disk::found;
use crate::terms::SubPath;
use crate::terms::limits::MAX_TREE_DEPTH;

const DIRECTORY: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC).union(OFlag::O_RDONLY);

/// Opens a directory, never through a link, and leaves its time of access alone if its owner does
/// (open(2), `O_NOATIME`).
pub(in crate::act) fn open_at(parent: impl AsFd + Copy, name: &(impl NixPath + ?Sized)) -> nix::Result<OwnedFd> {
    match openat(parent, name, DIRECTORY.union(OFlag::O_NOATIME), Mode::empty()) {
        Err(Errno::EPERM) => openat(parent, name, DIRECTORY, Mode::empty()),
        opened => opened,
    }
}

pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(open_at(AT_FDCWD, path)?)
}

/// Opens the directory `place` below `root` component by component, through no planted link.
pub(super) fn open_below<'a>(root: &Path, place: impl Iterator<Item = &'a OsStr>) -> io::Result<OwnedFd> {
    along(open(root)?.as_fd(), place)
}

/// The same below an open directory.
pub(in crate::act) fn along<'a>(root: BorrowedFd<'_>, place: impl Iterator<Item = &'a OsStr>) -> io::Result<OwnedFd> {
    let mut here = root.try_clone_to_owned()?;
    for part in place {
        here = open_at(&here, part)?;
    }
    Ok(here)
}

/// The same with nothing to be read in it, so its own mode does not matter (open(2), `O_PATH`).
pub(super) fn hold_below<'a>(root: &Path, place: impl Iterator<Item = &'a OsStr>) -> io::Result<OwnedFd> {
    const HELD: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
    let mut here = openat(AT_FDCWD, root, HELD, Mode::empty())?;
    for part in place {
        here = openat(&here, part, HELD, Mode::empty())?;
    }
    Ok(here)
}

/// The directory `place` below a tree that was set aside, as its parent and its name there; `None`
/// where there is none. No link is followed, and its owner may change every directory on the way
/// from then on.
pub(super) fn place_in(tree: &Path, place: &SubPath) -> io::Result<Option<(OwnedFd, CString)>> {
    let Some((mut parent, mut name)) = found(split(tree))? else { return Ok(None) };
    for part in place.components() {
        match open_forcibly(parent.as_fd(), &name) {
            Ok(next) => (parent, name) = (next, c_string(part)?),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let is_there = stat(parent.as_fd(), &name).is_ok_and(|found| kind(&found) == SFlag::S_IFDIR);
    Ok(is_there.then_some((parent, name)))
}

pub(in crate::act) struct Listed<'a> {
    pub(in crate::act) name: &'a CStr,
    pub(in crate::act) inode: u64,
    kind: FileType,
}

impl Listed<'_> {
    /// Whether it is a directory. Not every file system says so in a listing.
    pub(in crate::act) fn is_directory(&self, parent: BorrowedFd<'_>) -> io::Result<bool> {
        match self.kind {
            FileType::Unknown => Ok(kind(&stat(parent, self.name)?) == SFlag::S_IFDIR),
            kind => Ok(kind == FileType::Directory),
        }
    }
}

/// Bytes of a directory that are read at once, for each level. The longest entry fits ten times.
const PIECE: usize = 4096;

/// Gives each entry of a directory to `look`, until that finds something.
pub(in crate::act) fn find<T>(
    directory: BorrowedFd<'_>,
    mut look: impl FnMut(&Listed<'_>) -> io::Result<Option<T>>,
) -> io::Result<Option<T>> {
    let mut room = Vec::with_capacity(PIECE);
    let mut entries = RawDir::new(directory, room.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if matches!(entry.file_name().to_bytes(), b"." | b"..") {
            continue;
        }
        let found = look(&Listed { name: entry.file_name(), inode: entry.ino(), kind: entry.file_type() })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

pub(in crate::act) fn each(directory: BorrowedFd<'_>, mut look: impl FnMut(&Listed<'_>) -> io::Result<()>) -> io::Result<()> {
    find(directory, |entry| look(entry).map(|()| None::<()>)).map(drop)
}

/// A directory that is open whatever its mode. It gets that back when this is dropped, in its place
/// or not; where the disk denies even that, whatever follows fails, too.
#[derive(Debug)]
pub(in crate::act) struct Lent {
    directory: OwnedFd,
    /// Where it keeps its owner out.
    mode: Option<Mode>,
    above: Option<Box<Lent>>,
}

impl Lent {
    pub(in crate::act) fn open(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<Self> {
        let mode = directory_mode(parent, name)?;
        let is_closed = mode & 0o700 != 0o700;
        let opened = open_forcibly(parent, name).inspect_err(|_| {
            let _ = is_closed.then(|| set_mode(parent, name, mode));
        });
        Ok(Self { directory: opened?, mode: is_closed.then(|| Mode::from_bits_truncate(mode & 0o7777)), above: None })
    }

    /// The top of a tree.
    pub(super) fn tree(path: &Path) -> io::Result<Self> {
        Self::open(AT_FDCWD, &c_string(path.as_os_str())?)
    }

    /// One that is open, and keeps its mode.
    pub(super) fn as_it_is(directory: OwnedFd) -> Self {
        Self { directory, mode: None, above: None }
    }

    /// One that is open already.
    pub(super) fn of(directory: OwnedFd) -> io::Result<Self> {
        let mode = Mode::from_bits_truncate(fstat(&directory)?.st_mode & 0o7777);
        let is_closed = !mode.contains(Mode::S_IRWXU);
        if is_closed {
            fchmod(&directory, mode | Mode::S_IRWXU)?;
        }
        Ok(Self { directory, mode: is_closed.then_some(mode), above: None })
    }

    /// The directory that these names lead to. Those on the way are lent for as long.
    pub(super) fn along<'a>(self, names: impl Iterator<Item = &'a OsStr>) -> io::Result<Self> {
        let mut here = self;
        for name in names {
            let mut next = Self::open(here.as_fd(), &c_string(name)?)?;
            next.above = Some(Box::new(here));
            here = next;
        }
        Ok(here)
    }
}

impl Lent {
    /// Gives the mode back, where something depends on it. Without this it is given back, too, but
    /// nobody learns of an error.
    pub(in crate::act) fn give_back(mut self) -> io::Result<()> {
        self.mode.take().map_or(Ok(()), |mode| Ok(fchmod(&self.directory, mode)?))
    }
}

impl AsFd for Lent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let _ = self.mode.map(|mode| fchmod(&self.directory, mode));
    }
}

/// A path's directory, opened, and its last part.
pub(super) fn split(path: &Path) -> io::Result<(OwnedFd, CString)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    Ok((open(parent)?, c_string(name)?))
}

/// Gives a directory the times back that it had before its entries were changed.
pub(super) fn restore_times(directory: BorrowedFd<'_>, before: &FileStat) -> io::Result<()> {
    let accessed = TimeSpec::new(before.st_atime, before.st_atime_nsec);
    let changed = TimeSpec::new(before.st_mtime, before.st_mtime_nsec);
    Ok(futimens(directory, &accessed, &changed)?)
}

/// Opens a directory below `parent`, giving its owner every right to it first where one is missing.
pub(in crate::act) fn open_forcibly(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let mode = directory_mode(parent, name)?;
    if mode & 0o700 != 0o700 {
        set_mode(parent, name, mode | 0o700)?;
    }
    Ok(open_at(parent, name)?)
}

/// The mode of a directory. Of anything else no mode is ever set here: it may be a file of history.
fn directory_mode(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<u32> {
    let found = stat(parent, name)?;
    if kind(&found) == SFlag::S_IFDIR { Ok(found.st_mode) } else { Err(Errno::ENOTDIR.into()) }
}

pub(super) fn set_mode(parent: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    // Held first, so that it is a directory whatever becomes of its name. One that may not be read
    // can only be held so (open(2), `O_PATH`).
    let held = openat(parent, name, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    let held = format!("/proc/self/fd/{}", held.as_raw_fd());
    Ok(fchmodat(AT_FDCWD, held.as_str(), Mode::from_bits_truncate(mode & 0o7777), FchmodatFlags::FollowSymlink)?)
}

pub(in crate::act) fn stat(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<FileStat> {
    Ok(fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

pub(in crate::act) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// How many names a file has.
pub(in crate::act) fn names_of(found: &FileStat) -> u64 {
    // Its type is another on each processor.
    u32::try_from(found.st_nlink).unwrap_or(u32::MAX).into()
}

/// Bytes on the disk, what is still to be written there included (stat(2), `st_blocks`).
pub(in crate::act) fn allocated(found: &FileStat) -> u64 {
    u64::try_from(found.st_blocks).unwrap_or(0).saturating_mul(512)
}

pub(in crate::act) fn c_string(name: &OsStr) -> io::Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Makes sure that a walk may go below this depth.
pub(super) fn deeper(depth: usize) -> io::Result<()> {
    if depth < MAX_TREE_DEPTH { Ok(()) } else { Err(io::Error::other("the tree is deeper than any path can be")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_place_is_opened_without_following_a_planted_link() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("real/etc")).unwrap();
        symlink("real", root.path().join("planted")).unwrap();
        assert!(open_below(root.path(), ["real", "etc"].into_iter().map(OsStr::new)).is_ok());
        assert!(open_below(root.path(), ["planted", "etc"].into_iter().map(OsStr::new)).is_err());
    }
}
