//! The ledger: one JSON line for each connection, only ever appended to.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::fcntl::OFlag;

use crate::terms::record::Record;

/// Appends `record` to the ledger at `path`, making the file on first use, and returns when the line is on the disk.
///
/// # Errors
/// When the file cannot be opened or written, or is anything but a file.
pub fn append(path: &Path, record: &Record) -> io::Result<()> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("the ledger is not a file"));
    }
    // One write of one line: appends of other processes come before or after it, never inside.
    file.write_all(&line)?;
    file.sync_data()
}

/// The records of the ledger at `path`, oldest first. Lines that cannot be read are left out: a line may have been cut
/// by a crash, and the rest still tells.
#[must_use]
pub fn read(path: &Path) -> Vec<Record> {
    let text = std::fs::read(path).unwrap_or_default();
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}
