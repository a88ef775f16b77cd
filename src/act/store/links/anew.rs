//! A file that can have no further link is stored anew, with all its attributes: later pushes link
//! to the new one.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstat, futimens, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, symlinkat, unlinkat};
use rustix::fs::{SeekFrom, seek};

use super::super::attributes;
use super::super::tree::{kind, stat};

/// Stores the file `from` of one directory as `to` in another, where nothing stands, with its
/// owners if asked. `None` for anything but symlinks and readable regular files.
pub(super) fn store(there: BorrowedFd<'_>, from: &CStr, here: BorrowedFd<'_>, to: &CStr, owners: bool) -> io::Result<Option<()>> {
    let found = stat(there, from)?;
    let stored = match kind(&found) {
        SFlag::S_IFREG => file(there, from, here, to, owners),
        SFlag::S_IFLNK => symlink(there, from, here, to, &found, owners),
        _ => return Ok(None),
    };
    match stored {
        Ok(()) => Ok(Some(())),
        Err(error) => {
            // Half of it must not stand under its name.
            let _ = unlinkat(here, to, UnlinkatFlags::NoRemoveDir);
            if error.kind() == io::ErrorKind::PermissionDenied { Ok(None) } else { Err(error) }
        }
    }
}

fn file(there: BorrowedFd<'_>, from: &CStr, here: BorrowedFd<'_>, to: &CStr, owners: bool) -> io::Result<()> {
    let reading = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let old = match openat(there, from, reading | OFlag::O_NOATIME, Mode::empty()) {
        Err(Errno::EPERM) => openat(there, from, reading, Mode::empty()),
        old => old,
    };
    let old = File::from(old?);
    let new = openat(here, to, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC, Mode::from_bits_truncate(0o600))?;
    let new = File::from(new);
    copy(&old, &new)?;
    liken(&old, &new, owners)
}

/// Gives a file or directory everything that another has, but for what is in it.
pub(super) fn liken(old: &File, new: &File, owners: bool) -> io::Result<()> {
    let found = fstat(old)?;
    own(&found, owners, |user, group| fchown(new, user, group))?;
    // The machine's own (xattr(7), "Extended security attributes"), not everybody's to set.
    let unless_the_machine_s =
        |name: &OsStr, done: io::Result<()>| if name.as_encoded_bytes().starts_with(b"security.") { Ok(()) } else { done };
    let all = attributes::names(old)?;
    // What it has by itself comes from an access list of the directory that it was made in.
    for name in attributes::names(new)?.into_iter().filter(|name| !all.contains(name)) {
        unless_the_machine_s(&name, attributes::remove(new, &name))?;
    }
    for name in &all {
        unless_the_machine_s(name, attributes::set(new, name, &attributes::get(old, name)?.unwrap_or_default()))?;
    }
    fchmod(new, Mode::from_bits_truncate(found.st_mode & 0o7777))?;
    let (accessed, modified) = times(&found);
    Ok(futimens(new, &accessed, &modified)?)
}

/// Copies what is in a file, and leaves its holes what they are.
fn copy(mut old: &File, mut new: &File) -> io::Result<()> {
    let length = old.metadata()?.len();
    new.set_len(length)?;
    let mut at = 0;
    // There are no data any more where this is no place (lseek(2), ENXIO).
    while let Ok(begin) = seek(old, SeekFrom::Data(at)) {
        let end = seek(old, SeekFrom::Hole(begin))?;
        seek(old, SeekFrom::Start(begin))?;
        seek(new, SeekFrom::Start(begin))?;
        io::copy(&mut (&mut old).take(end - begin), &mut new)?;
        at = end;
    }
    Ok(())
}

fn symlink(there: BorrowedFd<'_>, from: &CStr, here: BorrowedFd<'_>, to: &CStr, found: &FileStat, owners: bool) -> io::Result<()> {
    symlinkat(readlinkat(there, from)?.as_os_str(), here, to)?;
    own(found, owners, |user, group| fchownat(here, to, user, group, AtFlags::AT_SYMLINK_NOFOLLOW))?;
    let (accessed, modified) = times(found);
    Ok(utimensat(here, to, &accessed, &modified, UtimensatFlags::NoFollowSymlink)?)
}

fn own(found: &FileStat, owners: bool, give: impl FnOnce(Option<Uid>, Option<Gid>) -> nix::Result<()>) -> nix::Result<()> {
    if owners { give(Some(Uid::from_raw(found.st_uid)), Some(Gid::from_raw(found.st_gid))) } else { Ok(()) }
}

fn times(found: &FileStat) -> (TimeSpec, TimeSpec) {
    (TimeSpec::new(found.st_atime, found.st_atime_nsec), TimeSpec::new(found.st_mtime, found.st_mtime_nsec))
}
