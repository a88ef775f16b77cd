//! Walks over trees that a client filled. By descriptor, one level at a time, and never through a symbolic link.
//!
//! Every walk runs while the repository is held and no rsync is left, so nothing changes underfoot.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, UtimensatFlags, fchmodat, fstat, fstatat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::terms::limits::MAX_TREE_DEPTH;

/// What stands in a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survey {
    /// Everything that is not a directory.
    pub files: u64,
    /// Of these, what was already on the server: it shares its inode with the tree compared with, or with another
    /// name that came from there.
    pub linked: u64,
    /// Sum of all sizes, in bytes.
    pub bytes: u64,
    /// Sum of the sizes of what was not linked, in bytes.
    pub received_bytes: u64,
    /// Regular files that look the same as in the tree compared with and were stored again all the same.
    pub copied: u64,
}

const DIRECTORY: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC).union(OFlag::O_RDONLY);

/// Opens a directory by the gate's own path.
pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    Ok(nix::fcntl::open(path, DIRECTORY, Mode::empty())?)
}

/// Opens the directory `place` below `root` component by component, so that no link a client planted is followed.
pub(super) fn open_below<'a>(root: &Path, place: impl Iterator<Item = &'a str>) -> io::Result<OwnedFd> {
    let mut here = open(root)?;
    for part in place {
        here = openat(&here, part, DIRECTORY, Mode::empty())?;
    }
    Ok(here)
}

/// Whether anything that is not a directory stands in the tree. A directory that cannot be read counts as if it did:
/// it is no proof of emptiness.
pub(super) fn has_file(path: &Path) -> io::Result<bool> {
    match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(true),
        Err(error) => Err(error),
        Ok(directory) => holds_file(directory, 0),
    }
}

fn holds_file(directory: OwnedFd, depth: usize) -> io::Result<bool> {
    let mut directory = Dir::from_fd(directory)?;
    let names = names(&mut directory)?;
    let mut below = Vec::new();
    for name in names {
        if kind(&stat(directory.as_fd(), &name)?) == SFlag::S_IFDIR { below.push(name) } else { return Ok(true) }
    }
    for name in below {
        let holds = match openat(&directory, name.as_c_str(), DIRECTORY, Mode::empty()) {
            Ok(next) => holds_file(next, deeper(depth)?)?,
            Err(Errno::EACCES) => true,
            Err(error) => return Err(error.into()),
        };
        if holds {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Counts a tree, comparing with the tree it was linked from. Where the sum of all sizes is known already, files that
/// are links are only counted, from the listings: nobody waits for a look at each.
pub(super) fn survey(path: &Path, compare: Option<&Path>, bytes: Option<u64>) -> io::Result<Survey> {
    let mut survey = Survey::default();
    count(open(path)?, compare.and_then(|path| open(path).ok()), bytes.is_some(), &mut survey, 0)?;
    Ok(Survey { bytes: bytes.unwrap_or(survey.bytes), ..survey })
}

fn count(directory: OwnedFd, compare: Option<OwnedFd>, sized: bool, survey: &mut Survey, depth: usize) -> io::Result<()> {
    let mut directory = Dir::from_fd(directory)?;
    let mut compare = compare.map(Dir::from_fd).transpose()?;
    // A directory's listing has the numbers of its inodes in it, so a link is told without asking for the old file.
    let old = compare.as_mut().map(entries).transpose()?.unwrap_or_default();
    let old: HashMap<CString, u64> = old.into_iter().map(|entry| (entry.name, entry.inode)).collect();
    for Listed { name, inode, is_file } in entries(&mut directory)? {
        if sized && is_file && old.get(&name) == Some(&inode) {
            survey.files += 1;
            survey.linked += 1;
            continue;
        }
        let found = stat(directory.as_fd(), &name)?;
        if kind(&found) == SFlag::S_IFDIR {
            let next = match openat(&directory, name.as_c_str(), DIRECTORY, Mode::empty()) {
                Ok(next) => next,
                // The client made it unreadable; its files are there and stay uncounted.
                Err(Errno::EACCES) => continue,
                Err(error) => return Err(error.into()),
            };
            let next_compare = compare.as_ref().and_then(|old| openat(old, name.as_c_str(), DIRECTORY, Mode::empty()).ok());
            count(next, next_compare, sized, survey, deeper(depth)?)?;
            continue;
        }
        let size = u64::try_from(found.st_size).unwrap_or(0);
        survey.files += 1;
        survey.bytes = survey.bytes.saturating_add(size);
        let old_inode = old.get(&name);
        if old_inode == Some(&inode) {
            survey.linked += 1;
            continue;
        }
        survey.received_bytes = survey.received_bytes.saturating_add(size);
        let was = compare.as_ref().filter(|_| old_inode.is_some()).and_then(|old| stat(old.as_fd(), &name).ok());
        if was.is_some_and(|was| looks_alike(&was, &found)) {
            survey.copied += 1;
        }
    }
    Ok(())
}

/// What rsync's quick check and its attributes would call unchanged.
fn looks_alike(a: &FileStat, b: &FileStat) -> bool {
    let facts = |stat: &FileStat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    kind(a) == SFlag::S_IFREG && facts(a) == facts(b)
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
    let time = |seconds, nanos| TimeSpec::new(seconds, nanos);
    let (accessed, changed) = (time(before.st_atime, before.st_atime_nsec), time(before.st_mtime, before.st_mtime_nsec));
    Ok(utimensat(&later, ".", &accessed, &changed, UtimensatFlags::FollowSymlink)?)
}

/// Opens a directory below `parent`, giving its owner every right to it first where one is missing.
fn open_forcibly(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let mode = stat(parent, name)?.st_mode;
    if mode & 0o700 != 0o700 {
        set_mode(parent, name, mode | 0o700)?;
    }
    Ok(openat(parent, name, DIRECTORY, Mode::empty())?)
}

fn set_mode(parent: BorrowedFd<'_>, name: &CStr, mode: u32) -> io::Result<()> {
    // Follows links by nature; the callers have just seen a directory here and nobody else can have changed it.
    Ok(fchmodat(parent, name, Mode::from_bits_truncate(mode & 0o7777), FchmodatFlags::FollowSymlink)?)
}

fn names(directory: &mut Dir) -> io::Result<Vec<CString>> {
    Ok(entries(directory)?.into_iter().map(|entry| entry.name).collect())
}

/// What a directory's listing tells of an entry.
struct Listed {
    name: CString,
    inode: u64,
    /// Whether it surely is a regular file; not every file system says.
    is_file: bool,
}

fn entries(directory: &mut Dir) -> io::Result<Vec<Listed>> {
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

fn stat(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<FileStat> {
    Ok(fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

fn c_string(name: &OsStr) -> io::Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

fn deeper(depth: usize) -> io::Result<usize> {
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
        assert!(open_below(root.path(), ["real", "etc"].into_iter()).is_ok());
        assert!(open_below(root.path(), ["planted", "etc"].into_iter()).is_err());
    }

    #[test]
    fn the_survey_tells_links_from_copies_and_from_hard_links_of_the_push_itself() {
        let root = tempfile::tempdir().unwrap();
        let (old, new) = (root.path().join("old"), root.path().join("new"));
        for tree in [&old, &new] {
            fs::create_dir(tree).unwrap();
        }
        fs::write(old.join("same"), "12345").unwrap();
        fs::hard_link(old.join("same"), new.join("same")).unwrap();
        fs::write(old.join("stored-again"), "123").unwrap();
        fs::write(new.join("stored-again"), "123").unwrap();
        let time = fs::metadata(old.join("stored-again")).unwrap().modified().unwrap();
        fs::File::options().write(true).open(new.join("stored-again")).unwrap().set_modified(time).unwrap();
        fs::write(new.join("one"), "1").unwrap();
        fs::hard_link(new.join("one"), new.join("two")).unwrap();
        let expected = Survey { files: 4, linked: 1, bytes: 10, received_bytes: 5, copied: 1 };
        assert_eq!(survey(&new, Some(&old), None).unwrap(), expected);
        assert_eq!(survey(&new, Some(&old), Some(10)).unwrap(), expected, "the same without a look at each link");
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
