//! Does what a [`Remedy`] says, as root, and follows nobody there.
//!
//! A path is walked by descriptor from `/`. Every directory on the way must be one that only root
//! changes; what is at its end is held before it is looked at, may be no link, and a file may have
//! no second name. So what is changed is what was meant, whatever accounts do meanwhile.
//!
//! Nothing that somebody else could have written becomes root's work by this, and nobody is given
//! what a directory holds: both have to be looked at first, by a person.

use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmodat, fstat};
use nix::unistd::{Uid, fchownat};
use rustix::fs::getxattr;

use crate::act::child;
use crate::decide::owners::remap::attributes::ACCESS_LIST;
use crate::terms::text::{printable_path, quoted_path};
use crate::terms::{Remedy, is_written_by_root_alone};

/// Bits that lend an identity, which no remedy adds.
const LENDING: u32 = 0o6000;

/// Does it.
///
/// # Errors
/// With why it was not done, printable.
pub fn apply(remedy: &Remedy) -> Result<(), String> {
    match remedy {
        Remedy::Mode { path, mode } => {
            let (held, found) = hold(path)?;
            let is_file = kind(&found) == SFlag::S_IFREG;
            if is_file && !is_roots_work(&found) {
                return Err(format!("somebody else than root could write {}: read it, then install it anew", quoted_path(path)));
            }
            if is_file && has_list(&held) {
                return Err(format!("{} has a list of accesses: read it, then install it anew", quoted_path(path)));
            }
            if mode & LENDING & !found.st_mode != 0 {
                return Err(format!("{} would lend an identity: mend it by hand", quoted_path(path)));
            }
            let mode = Mode::from_bits_truncate(*mode);
            fchmodat(AT_FDCWD, name(&held).as_str(), mode, FchmodatFlags::FollowSymlink).map_err(|error| said(path, error))
        }
        Remedy::Give { path, user } => {
            let (held, found) = hold(path)?;
            // Nobody but root adds to it, so it stays as it is seen.
            let is_roots = kind(&found) == SFlag::S_IFDIR && is_roots_work(&found) && !has_list(&held);
            let is_empty = || fs::read_dir(name(&held)).is_ok_and(|mut entries| entries.next().is_none());
            if !is_roots || !is_empty() {
                return Err(format!("{} is no empty directory of root's: see what it holds, and whose that is", quoted_path(path)));
            }
            fchownat(&held, "", Some(Uid::from_raw(*user)), None, AtFlags::AT_EMPTY_PATH).map_err(|error| said(path, error))
        }
        Remedy::Enable { unit } => child::systemctl(&["enable", "--now", unit]).map(drop),
    }
}

/// The kernel's name for what is held, which leads to nothing else. O_PATH descriptors have neither
/// fchmod(2) nor entries.
fn name(held: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", held.as_raw_fd())
}

/// Whether others than the mode tells of may have a right: its group's bits are their bound then
/// (acl(5)).
fn has_list(held: &OwnedFd) -> bool {
    getxattr(name(held).as_str(), ACCESS_LIST, &mut [0_u8; 0]).is_ok()
}

fn hold(path: &Path) -> Result<(OwnedFd, FileStat), String> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut names: Vec<&OsStr> = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(name) => names.push(name),
            Component::Prefix(_) | Component::CurDir | Component::ParentDir => {
                return Err(format!("{} is no plain path: mend it by hand", quoted_path(path)));
            }
        }
    }
    let Some((last, above)) = names.split_last().filter(|_| path.is_absolute()) else {
        return Err(format!("{} is no path to something: mend it by hand", quoted_path(path)));
    };
    let mut held = open("/", flags | OFlag::O_DIRECTORY, Mode::empty()).map_err(|error| said(path, error))?;
    for name in above {
        held = step(&held, name, flags | OFlag::O_DIRECTORY, path)?.0;
    }
    let (end, found) = step(&held, last, flags, path)?;
    match kind(&found) {
        SFlag::S_IFDIR => Ok((end, found)),
        SFlag::S_IFREG if found.st_nlink == 1 => Ok((end, found)),
        SFlag::S_IFREG => Err(format!("{} has another name elsewhere: mend it by hand", quoted_path(path))),
        SFlag::S_IFLNK => Err(format!("{} is a link: mend it by hand", quoted_path(path))),
        _ => Err(format!("{} is neither a file nor a directory: mend it by hand", quoted_path(path))),
    }
}

/// What a directory has under this name, if nobody but root could have put it there. In a sticky
/// directory of root's everybody adds, and nobody takes away what is root's.
fn step(directory: &OwnedFd, name: &OsStr, flags: OFlag, path: &Path) -> Result<(OwnedFd, FileStat), String> {
    let above = fstat(directory).map_err(|error| said(path, error))?;
    let held = openat(directory, name, flags, Mode::empty()).map_err(|error| said(path, error))?;
    let found = fstat(&held).map_err(|error| said(path, error))?;
    let is_closed = above.st_mode & 0o022 == 0 || above.st_mode & 0o1000 != 0 && found.st_uid == 0;
    if above.st_uid == 0 && is_closed {
        return Ok((held, found));
    }
    Err(format!("somebody else than root can change a directory on the way to {}: mend it by hand", quoted_path(path)))
}

fn is_roots_work(found: &FileStat) -> bool {
    is_written_by_root_alone(found.st_uid, found.st_gid, found.st_mode)
}

fn kind(found: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT
}

fn said(path: &Path, error: Errno) -> String {
    format!("{}: {}", printable_path(path), crate::terms::text::os_words(&error.into()))
}
