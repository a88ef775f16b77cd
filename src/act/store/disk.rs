//! The gate's own small files, and what brings things to the disk.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::libc;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// `None` where there is nothing of that name.
pub(in crate::act) fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// All that is in a file, unless that is more than `limit` bytes.
pub(in crate::act) fn read_bounded(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {limit} bytes")));
    }
    Ok(bytes)
}

/// A file of the gate's own, which is never longer than `limit` unless somebody else wrote it.
pub(super) fn read_note(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Root looks at repositories too, and whoever has one may put anything there.
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no file"));
    }
    read_bounded(file, limit)
}

/// The same, with a value in it.
pub(super) fn read_value<T: DeserializeOwned>(path: &Path, limit: u64) -> io::Result<T> {
    Ok(serde_json::from_slice(&read_note(path, limit)?)?)
}

/// Writes such a file. It is there whole or not at all, and stays.
pub(super) fn write_value(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let bytes = serde_json::to_vec(value)?;
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_directory(path.parent().unwrap_or(path))
}

/// Writes one that may be lost or torn in a crash of the machine. The new text goes over the old:
/// removing the old file takes a quarter of all the time before a push, and truncating it makes the
/// file system write its text to the disk.
pub(super) fn overwrite(path: &Path, value: &impl Serialize) -> io::Result<()> {
    overwrite_with(path, &serde_json::to_vec(value)?)
}

/// The same with a text.
pub(super) fn overwrite_with(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)?;
    file.write_all(bytes)?;
    if file.metadata()?.len() != bytes.len() as u64 {
        file.set_len(bytes.len() as u64)?;
    }
    Ok(())
}

/// Removes a file. One that is gone already is as good.
pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    found(fs::remove_file(path)).map(drop)
}

pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
