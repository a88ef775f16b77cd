//! Does what a [`Remedy`] says, as root, and follows nobody there.
//!
//! A path is walked by descriptor from `/`. Every directory on the way must be one that only root
//! changes; what is at its end is held before it is looked at, may be no link, and a file may have
//! no second name. So what is changed is what was meant, whatever accounts do meanwhile.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmodat, fstat};
use nix::unistd::{Uid, fchownat};

use crate::act::child;
use crate::terms::Remedy;
use crate::terms::text::{printable_path, quoted_path};

/// Bits that a remedy may set: none that lends an identity.
const BITS: u32 = 0o1777;

/// Does it.
///
/// # Errors
/// With why it was not done, printable.
pub fn apply(remedy: &Remedy) -> Result<(), String> {
    match remedy {
        Remedy::Mode { path, mode } => {
            let held = hold(path)?;
            // O_PATH descriptors have no fchmod(2); the kernel's name for one leads to nothing else.
            let name = format!("/proc/self/fd/{}", held.as_raw_fd());
            fchmodat(AT_FDCWD, name.as_str(), Mode::from_bits_truncate(mode & BITS), FchmodatFlags::FollowSymlink)
                .map_err(|error| said(path, error))
        }
        Remedy::Owner { path, user } => {
            let held = hold(path)?;
            fchownat(&held, "", Some(Uid::from_raw(*user)), None, AtFlags::AT_EMPTY_PATH).map_err(|error| said(path, error))
        }
        Remedy::Enable { unit } => child::systemctl(&["enable", "--now", unit]).map(drop),
    }
}

fn hold(path: &Path) -> Result<OwnedFd, String> {
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
        SFlag::S_IFDIR => Ok(end),
        SFlag::S_IFREG if found.st_nlink == 1 => Ok(end),
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

fn kind(found: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT
}

fn said(path: &Path, error: Errno) -> String {
    format!("{}: {}", printable_path(path), crate::terms::text::os_words(&error.into()))
}
