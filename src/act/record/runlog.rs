//! The log of one run: what the gate did, and what hooks and rsync printed. Only the administrator
//! reads it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::terms::limits::{MAX_LOG_TAIL, MAX_OWNER_LINE, MAX_QUOTED, MAX_READ_LOG, MAX_RSYNC_LOG};
use crate::terms::text::{on_one_line, printable, still_printable};

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

    /// Adds a line of the gate's own, in the form of rsync's. Quoted text is printable already.
    pub fn note(&self, at: DateTime<Utc>, text: &str) {
        self.notes(at, [text]);
    }

    /// The same with a line for each of these, at once.
    pub fn notes<'a>(&self, at: DateTime<Utc>, texts: impl IntoIterator<Item = &'a str>) {
        let at = at.format("%Y/%m/%d %H:%M:%S").to_string();
        let line = |text| format!("{at} [snapgate] {}\n", still_printable(&on_one_line(text), MAX_QUOTED));
        let lines: String = texts.into_iter().map(line).collect();
        // A log that cannot be written never fails a push: its end is what the ledger says.
        let _ = (&self.file).write_all(lines.as_bytes());
    }

    /// How long it is.
    pub fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |found| found.len())
    }

    /// The last lines behind `from`, printable: at most `lines`, within the last `bytes`. Whoever
    /// wrote the file may have written anything, or truncated it.
    pub fn last_lines(&self, from: u64, bytes: u64, lines: usize) -> Vec<String> {
        let start = self.length().saturating_sub(bytes).max(from);
        let mut file = &self.file;
        let mut end = Vec::new();
        if file.seek(SeekFrom::Start(start)).and_then(|_| file.take(bytes).read_to_end(&mut end)).is_err() {
            return Vec::new();
        }
        let end = end.strip_suffix(b"\n").unwrap_or(&end);
        let mut all: Vec<_> = if end.is_empty() { Vec::new() } else { end.split(|byte| *byte == b'\n').collect() };
        // A line that begins before is no whole one.
        if start > from && all.len() > 1 {
            all.remove(0);
        }
        let over = all.len().saturating_sub(lines);
        all.drain(..over);
        let mut told: Vec<_> = all.into_iter().map(|line| printable(line.strip_suffix(b"\r").unwrap_or(line))).collect();
        // Escapes are longer than what they stand for.
        while told.iter().map(String::len).sum::<usize>() > length(bytes) && told.len() > 1 {
            told.remove(0);
        }
        told
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

    /// Reads the log once nobody else writes to it: removes the lines that `takes` claims, and
    /// passes the rest to `hears` in pieces; of the rest, the first [`MAX_RSYNC_LOG`] bytes stay.
    /// Of a log that is too long, the beginning and the end are read. Returns whether that was all
    /// of it.
    pub fn sift(&self, takes: impl FnMut(&[u8]) -> bool, hears: impl FnMut(&[u8])) -> bool {
        let mut rest = Rest { kept: Vec::new(), taken: false, hears };
        let read = self.read_through(&mut rest, takes);
        if rest.taken && read.is_ok() {
            // What cannot be written is lost, and nothing depends on it.
            let _ = self.file.set_len(0).and_then(|()| (&self.file).write_all(&rest.kept));
        }
        read.unwrap_or(false)
    }

    fn read_through(&self, rest: &mut Rest<impl FnMut(&[u8])>, mut takes: impl FnMut(&[u8]) -> bool) -> io::Result<bool> {
        let mut file = &self.file;
        let length = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        rest.read(BufReader::new(file.take(MAX_READ_LOG)), &mut takes)?;
        if length > MAX_READ_LOG {
            file.seek(SeekFrom::Start(MAX_READ_LOG.max(length.saturating_sub(MAX_LOG_TAIL))))?;
            rest.read(BufReader::new(file.take(MAX_LOG_TAIL)), &mut takes)?;
        }
        Ok(length <= MAX_READ_LOG)
    }
}

/// The lines that nobody took.
struct Rest<H> {
    kept: Vec<u8>,
    taken: bool,
    hears: H,
}

impl<H: FnMut(&[u8])> Rest<H> {
    fn read(&mut self, mut log: impl BufRead, takes: &mut impl FnMut(&[u8]) -> bool) -> io::Result<()> {
        let mut piece = Vec::new();
        let mut begins = true;
        loop {
            piece.clear();
            if log.by_ref().take(MAX_OWNER_LINE).read_until(b'\n', &mut piece)? == 0 {
                return Ok(());
            }
            let line = piece.strip_suffix(b"\n");
            if line.is_some_and(|line| begins && takes(line)) {
                self.taken = true;
            } else {
                let room = length(MAX_RSYNC_LOG).saturating_sub(self.kept.len());
                self.kept.extend_from_slice(piece.get(..room).unwrap_or(&piece));
                (self.hears)(&piece);
            }
            begins = line.is_some();
        }
    }
}

fn length(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of a log, and whether it was read to its end.
    fn sift(log: &RunLog, takes: impl FnMut(&[u8]) -> bool) -> (Vec<u8>, bool) {
        let mut heard = Vec::new();
        let whole = log.sift(takes, |piece| heard.extend_from_slice(piece));
        (heard, whole)
    }

    fn is_number(line: &[u8]) -> bool {
        !line.is_empty() && line.iter().all(u8::is_ascii_digit)
    }

    #[test]
    fn what_was_said_before_a_hundred_thousand_numbers_is_found_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let log = RunLog::begin(dir.path().join("log")).unwrap();
        let text = format!("first error\n{}second error\n33", "33\n".repeat(100_000));
        log.file().write_all(text.as_bytes()).unwrap();
        let mut numbers = 0;
        let (rest, whole) = sift(&log, |line| is_number(line).then(|| numbers += 1).is_some());
        assert_eq!((numbers, whole), (100_000, true));
        assert_eq!(rest, b"first error\nsecond error\n33", "what does not end is no line");
        assert_eq!(std::fs::read(log.path()).unwrap(), rest);
        log.note(DateTime::default(), "more");
        let after = std::fs::read(log.path()).unwrap();
        assert!(after.starts_with(&rest) && after.ends_with(b" more\n"), "it is written to as before");
    }

    #[test]
    fn of_what_was_printed_the_last_lines_are_told_printable_and_within_their_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let log = RunLog::begin(dir.path().join("log")).unwrap();
        log.note(DateTime::default(), "before");
        let from = log.length();
        assert!(log.last_lines(from, 100, 3).is_empty());
        log.file().write_all(b"one\ntwo \x1b[2J\r\n\nfour\\").unwrap();
        assert_eq!(log.last_lines(from, 100, 9), ["one", "two \\u{1b}[2J", "", "four\\\\"]);
        assert_eq!(log.last_lines(from, 100, 1), ["four\\\\"]);
        assert_eq!(log.last_lines(from, 10, 9), ["", "four\\\\"], "a line that is cut in front is left out");
        log.file().write_all(&vec![b'x'; 1 << 20]).unwrap();
        let told = log.last_lines(from, 4096, 20);
        assert!(told.len() == 1 && told[0].len() <= MAX_QUOTED + 3, "{told:?}");
        log.file().set_len(0).unwrap();
        assert!(log.last_lines(from, 100, 3).is_empty(), "it may take away what it has written");
    }

    #[test]
    fn a_log_without_numbers_is_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let log = RunLog::begin(dir.path().join("log")).unwrap();
        let long = b"x".repeat(length(MAX_LOG_TAIL) * 3 / 2);
        for text in [&b""[..], b"one\n", b"one\ntwo", b"\n\n", b"\xff\0\n", &long, b"\n1", &long] {
            log.file().write_all(text).unwrap();
            let before = std::fs::read(log.path()).unwrap();
            assert!(sift(&log, is_number) == (before.clone(), true) && std::fs::read(log.path()).unwrap() == before);
        }
    }

    #[test]
    fn no_piece_of_a_long_line_is_taken_for_a_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = RunLog::begin(dir.path().join("log")).unwrap();
        let text = format!("{}33\n{}\n7\n", "x".repeat(length(MAX_OWNER_LINE)), "5".repeat(length(MAX_OWNER_LINE)));
        log.file().write_all(text.as_bytes()).unwrap();
        let mut taken = Vec::new();
        sift(&log, |line| is_number(line).then(|| taken.push(line.to_vec())).is_some());
        assert_eq!(taken, [b"7"]);
    }

    #[test]
    fn a_log_without_end_is_read_as_far_as_the_limit_and_at_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let log = RunLog::begin(dir.path().join("log")).unwrap();
        log.file().write_all(b"1\nfirst\n2\n").unwrap();
        log.file().set_len(1 << 40).unwrap();
        log.file().write_all(b"\n3\nlast\n4\n").unwrap();
        let mut taken = Vec::new();
        let (mut heard, mut end) = (0, Vec::new());
        let whole = log.sift(
            |line| is_number(line).then(|| taken.push(line.to_vec())).is_some(),
            |piece| {
                heard += piece.len();
                end = [end.as_slice(), piece].concat().split_off(end.len().saturating_sub(length(MAX_OWNER_LINE)));
            },
        );
        assert_eq!(taken, [b"1", b"2", b"3", b"4"]);
        assert!(!whole && heard < length(MAX_READ_LOG + MAX_LOG_TAIL) && end.ends_with(b"\0\nlast\n"));
        let kept = std::fs::read(log.path()).unwrap();
        assert!(kept.len() == length(MAX_RSYNC_LOG) && kept.starts_with(b"first\n\0"));
    }
}
