//! The log of one run: what the gate did, what hooks printed, what rsync complained about. For the administrator only.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::terms::limits::{MAX_LOG_TAIL, MAX_QUOTED};
use crate::terms::text::still_printable;

/// A run's log, open for appending; hooks and rsync append to the same file.
#[derive(Debug)]
pub struct RunLog {
    file: File,
    path: PathBuf,
}

impl RunLog {
    /// Begins the log of a run.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn begin(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(&path)?;
        Ok(Self { file, path })
    }

    /// Adds a line of the gate's own, in the form of rsync's. What it quotes has been made printable where it was quoted.
    pub fn note(&self, at: DateTime<Utc>, text: &str) {
        self.notes(at, [text]);
    }

    /// The same with a line for each of these, at once.
    pub fn notes<'a>(&self, at: DateTime<Utc>, texts: impl IntoIterator<Item = &'a str>) {
        let at = at.format("%Y/%m/%d %H:%M:%S").to_string();
        let line = |text| format!("{at} [snapgate] {}\n", still_printable(text, MAX_QUOTED));
        let lines: String = texts.into_iter().map(line).collect();
        // A log that cannot be written never fails a push: its end is what the ledger says.
        let _ = (&self.file).write_all(lines.as_bytes());
    }

    /// The file, for a hook's output.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Bytes that it takes on the disk.
    pub fn allocated(&self) -> u64 {
        self.file.metadata().map_or(0, |found| found.blocks().saturating_mul(512))
    }

    /// Gives back what is beyond `most` bytes, and whatever was reserved behind its end.
    pub fn shorten(&self, most: u64) {
        // What stays too long only takes room.
        let _ = self.file.metadata().and_then(|found| self.file.set_len(found.len().min(most)));
    }

    /// Where it stands.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last part of what was written, at most [`MAX_LOG_TAIL`] bytes.
    pub fn tail(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut read = || -> io::Result<()> {
            let mut file = &self.file;
            let length = file.seek(SeekFrom::End(0))?;
            file.seek(SeekFrom::Start(length.saturating_sub(MAX_LOG_TAIL)))?;
            file.take(MAX_LOG_TAIL).read_to_end(&mut bytes).map(drop)
        };
        let _ = read();
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_log_without_end_the_end_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let log = RunLog::begin(dir.path().join("log")).unwrap();
        let most = usize::try_from(MAX_LOG_TAIL).unwrap();
        log.file().write_all(&vec![b'a'; most - 1]).unwrap();
        assert_eq!(log.tail().len(), most - 1);
        log.file().write_all(b"bc").unwrap();
        let tail = log.tail();
        assert!(tail.len() == most && tail.first() == Some(&b'a') && tail.ends_with(b"abc"), "{} bytes", tail.len());
        log.file().set_len(1 << 40).unwrap();
        log.file().write_all(b"the end").unwrap();
        assert!(log.tail().len() == most && log.tail().ends_with(b"\0the end"));
    }
}
