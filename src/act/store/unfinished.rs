//! Files that rsync had not finished when it ended: in a directory that it was told to put them into, in each directory of the tree.
//!
//! None may be published, and none be taken for a whole file by a later push.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::renameat;
use nix::sys::stat::{UtimensatFlags, fstat, utimensat};
use nix::sys::time::TimeSpec;

use super::tree::{deeper, each, lent, open_forcibly, remove_at, restore_times, split, stat};

/// A number that nobody can know.
fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    // So few come at once (getrandom(2), "up to 256 bytes").
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(bytes))
}

/// A name for the directory in which the rsync of one push leaves unfinished files. No client can know it beforehand, so nothing
/// that one sends is taken for such a directory.
pub(super) fn new_partial_dir() -> io::Result<String> {
    Ok(format!(".~snapgate-{:016x}~", random()?))
}

/// Takes every directory called `name` out of a tree that is not published. With `keep`, its files go to where they
/// were meant to stand, unless something stands there, marked as unfinished.
pub(super) fn take_out(path: &Path, name: &str, keep: bool) -> io::Result<()> {
    let (parent, top) = split(path)?;
    let name = CString::new(name)?;
    lent(parent.as_fd(), &top, |directory| take_out_of(directory, &name, keep, 0))
}

fn take_out_of(directory: OwnedFd, wanted: &CStr, keep: bool, depth: usize) -> io::Result<()> {
    // A listing may pass over an entry when the one before it is removed.
    while take_out_once(directory.as_fd(), wanted, keep, depth)? {}
    Ok(())
}

fn take_out_once(here: BorrowedFd<'_>, wanted: &CStr, keep: bool, depth: usize) -> io::Result<bool> {
    let before = fstat(here)?;
    let mut found = false;
    rustix::fs::seek(here, rustix::fs::SeekFrom::Start(0))?;
    each(here, |entry| {
        if !entry.is_directory(here)? {
            return Ok(());
        }
        let deeper = deeper(depth)?;
        if entry.name != wanted {
            return lent(here, entry.name, |next| take_out_of(next, wanted, keep, deeper));
        }
        if keep {
            let unfinished = open_forcibly(here, entry.name)?;
            each(unfinished.as_fd(), |file| {
                if stat(here, file.name).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                    renameat(&unfinished, file.name, here, file.name)?;
                    mark_unfinished(here, file.name)?;
                }
                Ok(())
            })?;
        }
        found = true;
        remove_at(here, entry.name, deeper)?;
        restore_times(here, &before)
    })?;
    Ok(found)
}

/// Gives a file a time that says that it is none of a client's: rsync must build on it and never take it for the whole. Which one,
/// nobody can know, so no file of a client's has it but by chance: some second before 1970, which every file system can write down.
fn mark_unfinished(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let ago = i64::try_from(random()? % (1 << 31)).unwrap_or_default();
    let time = TimeSpec::new(-1 - ago, 0);
    Ok(utimensat(directory, name, &time, &time, UtimensatFlags::NoFollowSymlink)?)
}
