//! Walks over trees that a client filled. By descriptor, one level at a time, and never through a symbolic link.
//!
//! Every walk runs while the repository is held and no rsync is left, so nothing changes underfoot.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::NixPath;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, UtimensatFlags, fchmodat, fstat, fstatat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::terms::limits::MAX_TREE_DEPTH;

const DIRECTORY: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC).union(OFlag::O_RDONLY);

/// Opens a directory, never through a link, and without a trace: a look at a snapshot must not move its times of access. Only
/// its owner may look so (open(2), `O_NOATIME`); anybody else leaves a trace, as ever.
pub(super) fn open_at(parent: impl AsFd + Copy, name: &(impl NixPath + ?Sized)) -> nix::Result<OwnedFd> {
    match openat(parent, name, DIRECTORY.union(OFlag::O_NOATIME), Mode::empty()) {
        Err(Errno::EPERM) => openat(parent, name, DIRECTORY, Mode::empty()),
        opened => opened,
    }
}

/// Opens a directory by the gate's own path.
pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(open_at(AT_FDCWD, path)?)
}

/// Opens the directory `place` below `root` component by component, so that no link a client planted is followed.
pub(super) fn open_below<'a>(root: &Path, place: impl Iterator<Item = &'a OsStr>) -> io::Result<OwnedFd> {
    let mut here = open(root)?;
    for part in place {
        here = open_at(&here, part)?;
    }
    Ok(here)
}

/// Whether anything that is not a directory stands in the tree, which is not changed. A directory that cannot be read
/// counts as if something did: it is no proof of emptiness.
pub(super) fn has_file(path: &Path) -> io::Result<bool> {
    match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(true),
        Err(error) => Err(error),
        Ok(directory) => holds_file(directory, false, 0),
    }
}

/// [`has_file`] of a tree that is not published: a directory that its owner may not read is made readable for the look.
pub(super) fn has_file_anywhere(path: &Path) -> io::Result<bool> {
    let (parent, name) = split(path)?;
    match lent(parent.as_fd(), &name, |directory| holds_file(directory, true, 0)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other,
    }
}

fn holds_file(directory: OwnedFd, forcibly: bool, depth: usize) -> io::Result<bool> {
    let mut directory = Dir::from_fd(directory)?;
    let mut below = Vec::new();
    for name in names(&mut directory)? {
        if kind(&stat(directory.as_fd(), &name)?) == SFlag::S_IFDIR { below.push(name) } else { return Ok(true) }
    }
    for name in below {
        let deeper = deeper(depth)?;
        let holds = if forcibly {
            lent(directory.as_fd(), &name, |next| holds_file(next, true, deeper))?
        } else {
            match open_at(&directory, name.as_c_str()) {
                Ok(next) => holds_file(next, false, deeper)?,
                Err(Errno::EACCES) => true,
                Err(error) => return Err(error.into()),
            }
        };
        if holds {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes every directory called `name` out of a tree that is not published. With `keep`, its files go to where they
/// were meant to stand, unless something stands there, with a time that no file of a client has: they are unfinished.
pub(super) fn take_out(path: &Path, name: &str, keep: bool) -> io::Result<()> {
    let (parent, top) = split(path)?;
    let name = CString::new(name)?;
    lent(parent.as_fd(), &top, |directory| take_out_of(directory, &name, keep, 0))
}

fn take_out_of(directory: OwnedFd, wanted: &CStr, keep: bool, depth: usize) -> io::Result<()> {
    let before = fstat(&directory)?;
    let mut directory = Dir::from_fd(directory)?;
    for Listed { name, is_file, .. } in entries(&mut directory)? {
        if is_file || kind(&stat(directory.as_fd(), &name)?) != SFlag::S_IFDIR {
            continue;
        }
        if name.as_c_str() != wanted {
            let deeper = deeper(depth)?;
            lent(directory.as_fd(), &name, |next| take_out_of(next, wanted, keep, deeper))?;
            continue;
        }
        if keep {
            let mut unfinished = Dir::from_fd(open_forcibly(directory.as_fd(), &name)?)?;
            for file in names(&mut unfinished)? {
                if stat(directory.as_fd(), &file).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                    renameat(&unfinished, file.as_c_str(), &directory, file.as_c_str())?;
                    let never = TimeSpec::new(0, 0);
                    utimensat(&directory, file.as_c_str(), &never, &never, UtimensatFlags::NoFollowSymlink)?;
                }
            }
        }
        remove_at(directory.as_fd(), &name, depth)?;
        restore_times(directory.as_fd(), &before)?;
    }
    Ok(())
}

/// Opens a directory whatever its mode, and gives its mode back afterwards.
pub(super) fn lent<T>(parent: BorrowedFd<'_>, name: &CStr, look: impl FnOnce(OwnedFd) -> io::Result<T>) -> io::Result<T> {
    let mode = stat(parent, name)?.st_mode;
    let looked = open_forcibly(parent, name).and_then(look);
    if mode & 0o700 != 0o700 {
        set_mode(parent, name, mode)?;
    }
    looked
}

/// A path's directory, opened, and its last part.
pub(super) fn split(path: &Path) -> io::Result<(OwnedFd, CString)> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    Ok((open(parent)?, c_string(name)?))
}

/// Removes a tree, whatever modes its directories have. Missing is fine.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let parent = match open(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    match remove_at(parent.as_fd(), &c_string(name)?, 0) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn remove_at(parent: BorrowedFd<'_>, name: &CStr, depth: usize) -> io::Result<()> {
    if kind(&stat(parent, name)?) != SFlag::S_IFDIR {
        return Ok(unlinkat(parent, name, UnlinkatFlags::NoRemoveDir)?);
    }
    let mut directory = Dir::from_fd(open_forcibly(parent, name)?)?;
    for child in names(&mut directory)? {
        remove_at(directory.as_fd(), &child, deeper(depth)?)?;
    }
    Ok(unlinkat(parent, name, UnlinkatFlags::RemoveDir)?)
}

/// Lays `later` over `earlier`: what only `earlier` has moves into `later`, and `earlier` is gone. Where both have a
/// directory they are merged and keep `later`'s attributes; of anything else `later`'s stays. Begun again after a
/// crash, it goes on where it was.
pub(super) fn overlay(later: &Path, earlier: &Path) -> io::Result<()> {
    let Some(parent) = later.parent() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let parent = open(parent)?;
    let name = |path: &Path| c_string(path.file_name().unwrap_or_default());
    let forced = |path: &Path| open_forcibly(parent.as_fd(), &name(path)?);
    let mode = stat(parent.as_fd(), &name(later)?)?.st_mode;
    merge(forced(later)?, forced(earlier)?, 0)?;
    set_mode(parent.as_fd(), &name(later)?, mode)?;
    remove(earlier)
}

fn merge(later: OwnedFd, earlier: OwnedFd, depth: usize) -> io::Result<()> {
    let before = fstat(&later)?;
    let mut earlier = Dir::from_fd(earlier)?;
    for name in names(&mut earlier)? {
        let old = stat(earlier.as_fd(), &name)?;
        match stat(later.as_fd(), &name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Moving a directory to another parent needs the right to write to it, since its `..` changes.
                let is_directory = kind(&old) == SFlag::S_IFDIR;
                if is_directory {
                    open_forcibly(earlier.as_fd(), &name)?;
                }
                renameat(&earlier, name.as_c_str(), &later, name.as_c_str())?;
                if is_directory {
                    set_mode(later.as_fd(), &name, old.st_mode)?;
                }
            }
            Err(error) => return Err(error),
            Ok(new) if kind(&new) == SFlag::S_IFDIR && kind(&old) == SFlag::S_IFDIR => {
                let inner_later = open_forcibly(later.as_fd(), &name)?;
                let inner_earlier = open_forcibly(earlier.as_fd(), &name)?;
                merge(inner_later, inner_earlier, deeper(depth)?)?;
                set_mode(later.as_fd(), &name, new.st_mode)?;
            }
            Ok(_) => {}
        }
    }
    restore_times(later.as_fd(), &before)
}

/// Gives a directory the times back that it had before its entries were changed.
fn restore_times(directory: BorrowedFd<'_>, before: &FileStat) -> io::Result<()> {
    let accessed = TimeSpec::new(before.st_atime, before.st_atime_nsec);
    let changed = TimeSpec::new(before.st_mtime, before.st_mtime_nsec);
    Ok(utimensat(directory, ".", &accessed, &changed, UtimensatFlags::FollowSymlink)?)
}

/// Opens a directory below `parent`, giving its owner every right to it first where one is missing.
fn open_forcibly(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let mode = stat(parent, name)?.st_mode;
    if mode & 0o700 != 0o700 {
        set_mode(parent, name, mode | 0o700)?;
    }
    Ok(open_at(parent, name)?)
}

fn set_mode(parent: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    // Follows links by nature; the callers have just seen a directory here and nobody else can have changed it.
    Ok(fchmodat(parent, name, Mode::from_bits_truncate(mode & 0o7777), FchmodatFlags::FollowSymlink)?)
}

fn names(directory: &mut Dir) -> io::Result<Vec<CString>> {
    Ok(entries(directory)?.into_iter().map(|entry| entry.name).collect())
}

/// What a directory's listing tells of an entry.
pub(super) struct Listed {
    pub(super) name: CString,
    pub(super) inode: u64,
    /// Whether it surely is a regular file; not every file system says.
    pub(super) is_file: bool,
}

pub(super) fn entries(directory: &mut Dir) -> io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    for entry in directory.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes() != b"." && name.to_bytes() != b".." {
            found.push(Listed { name: name.to_owned(), inode: entry.ino(), is_file: entry.file_type() == Some(Type::File) });
        }
    }
    Ok(found)
}

pub(super) fn stat(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<FileStat> {
    Ok(fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

pub(super) fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn c_string(name: &OsStr) -> io::Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

pub(super) fn deeper(depth: usize) -> io::Result<usize> {
    if depth >= MAX_TREE_DEPTH {
        return Err(io::Error::other("the tree is deeper than any path can be"));
    }
    Ok(depth + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_tree_of_directories_only_holds_no_file() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b/c")).unwrap();
        assert!(!has_file(root.path()).unwrap());
        assert!(!has_file(&root.path().join("missing")).unwrap());
        symlink("nowhere", root.path().join("a/b/c/link")).unwrap();
        assert!(has_file(root.path()).unwrap());
    }

    #[test]
    fn removing_never_follows_a_link_and_minds_no_mode() {
        let root = tempfile::tempdir().unwrap();
        let outside = root.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("keep"), "x").unwrap();
        let tree = root.path().join("tree");
        fs::create_dir_all(tree.join("locked/inner")).unwrap();
        fs::write(tree.join("locked/inner/f"), "x").unwrap();
        symlink(&outside, tree.join("link")).unwrap();
        chmod(&tree.join("locked/inner"), 0o000);
        chmod(&tree.join("locked"), 0o555);
        remove(&tree).unwrap();
        assert!(!tree.exists());
        assert!(outside.join("keep").exists());
        remove(&tree).unwrap();
    }

    #[test]
    fn a_place_is_opened_without_following_a_planted_link() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("real/etc")).unwrap();
        symlink("real", root.path().join("planted")).unwrap();
        assert!(open_below(root.path(), ["real", "etc"].into_iter().map(OsStr::new)).is_ok());
        assert!(open_below(root.path(), ["planted", "etc"].into_iter().map(OsStr::new)).is_err());
    }

    #[test]
    fn laying_over_keeps_what_is_later_and_adds_what_is_missing() {
        let root = tempfile::tempdir().unwrap();
        let (later, earlier) = (root.path().join("2"), root.path().join("1"));
        fs::create_dir_all(later.join("etc")).unwrap();
        fs::create_dir_all(earlier.join("etc/deep")).unwrap();
        fs::write(later.join("etc/both"), "later").unwrap();
        fs::write(earlier.join("etc/both"), "earlier").unwrap();
        fs::write(earlier.join("etc/deep/only"), "earlier").unwrap();
        fs::write(earlier.join("etc/clash"), "file").unwrap();
        fs::create_dir(later.join("etc/clash")).unwrap();
        chmod(&later.join("etc"), 0o555);
        chmod(&later, 0o555);
        chmod(&earlier.join("etc/deep"), 0o500);
        let before = fs::metadata(later.join("etc")).unwrap();
        overlay(&later, &earlier).unwrap();
        assert!(!earlier.exists());
        assert_eq!(fs::read_to_string(later.join("etc/both")).unwrap(), "later");
        assert_eq!(fs::read_to_string(later.join("etc/deep/only")).unwrap(), "earlier");
        assert!(later.join("etc/clash").is_dir());
        let after = fs::metadata(later.join("etc")).unwrap();
        assert_eq!((after.mode(), after.mtime(), after.mtime_nsec()), (before.mode(), before.mtime(), before.mtime_nsec()));
        assert_eq!(fs::metadata(later.join("etc/deep")).unwrap().mode() & 0o777, 0o500);
        assert_eq!(fs::metadata(&later).unwrap().mode() & 0o777, 0o555);
    }
}
