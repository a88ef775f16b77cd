//! The few steps on the disk that staging, transactions and publishing share: moving a tree without ever replacing
//! anything, bringing things to the disk, and directories that are numbered.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::libc;

use super::make_directory;

/// A file of the gate's own, which is never longer than `limit` unless somebody else wrote it.
pub(super) fn read_note(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // Root looks at repositories too, and whoever has one may put anything there.
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no file"));
    }
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

/// Writes such a file. It is there whole or not at all, and stays.
pub(super) fn write_note(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_directory(path.parent().unwrap_or(path))
}

/// Writes one that may be lost, or be torn, in a crash of the machine. To remove the old file takes a quarter of all the rest before a
/// push, and where one is truncated the file system brings its text to the disk; so the new text goes over the old.
pub(super) fn overwrite(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)?;
    file.write_all(bytes)?;
    if file.metadata()?.len() != bytes.len() as u64 {
        file.set_len(bytes.len() as u64)?;
    }
    Ok(())
}

/// Directories whose names are numbers, in order. Unreadable or missing counts as none.
pub(super) fn numbered(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(|path| number(path).is_some()).collect();
    found.sort_by_key(|path| number(path));
    found
}

fn number(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.parse().ok()
}

/// The next free number in a directory, which is made where it is missing.
pub(super) fn next_number(directory: &Path) -> io::Result<PathBuf> {
    make_directory(directory, 0o700)?;
    let last = numbered(directory).last().and_then(|path| number(path)).unwrap_or(0);
    Ok(directory.join((last + 1).to_string()))
}

/// Removes a file. One that is gone already is as good.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Renames without ever replacing anything (renameat2(2), `RENAME_NOREPLACE`).
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    Ok(renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE)?)
}

/// A directory can only move to another parent if its owner may write to it, since its `..` changes. Gives that right
/// and returns the mode from before, if it had to.
pub(super) fn make_movable(path: &Path) -> io::Result<Option<fs::Permissions>> {
    let before = fs::symlink_metadata(path)?.permissions();
    if before.mode() & 0o700 == 0o700 {
        return Ok(None);
    }
    fs::set_permissions(path, fs::Permissions::from_mode(before.mode() | 0o700))?;
    Ok(Some(before))
}

/// Moves a directory, whatever mode it has, and gives it that again.
pub(super) fn move_whole(from: &Path, to: &Path) -> io::Result<()> {
    let mode = make_movable(from)?;
    rename_new(from, to)?;
    mode.map_or(Ok(()), |mode| fs::set_permissions(to, mode))
}

/// Brings a directory's entries to the disk.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}
