//! Links to be made, in the order in which rsync asked: in memory, and many of them in a file
//! without a name. Neighbours share most of their path, which is written once.
//!
//! A client can make it take no more memory or room than its bounds.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use super::super::disk::remove_file;
use crate::decide::push::links::{Link, Source};
use crate::terms::limits::{LINK_LOG_MEMORY, MAX_CALL_PATH, MAX_LINK_LOG, MAX_LINKS};

/// Bytes that a record may take: its figures and two paths.
const MAX_RECORD: usize = 8 + 2 * MAX_CALL_PATH;

const PIECE: usize = 64 * 1024;

/// Stands for [`Source::Stage`]; no basis has this number.
const STAGE: u8 = u8::MAX;

#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    room: Vec<u8>,
    file: Option<(File, u64)>,
    count: u64,
    last: Vec<u8>,
    /// Where the last record begins in `room`, and the name before it.
    undo: Option<(usize, Vec<u8>)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) source: Source,
    pub(super) from: &'a [u8],
    pub(super) to: &'a [u8],
}

impl Log {
    /// An empty one, which makes the file `path` when it needs one.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, room: Vec::new(), file: None, count: 0, last: Vec::new(), undo: None }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Adds one, unless there are as many as there may be.
    pub(super) fn push(&mut self, link: &Link) -> io::Result<bool> {
        let written = self.file.as_ref().map_or(0, |(_, length)| *length) + self.room.len() as u64;
        if self.count >= MAX_LINKS || written >= MAX_LINK_LOG {
            return Ok(false);
        }
        if self.room.len() >= LINK_LOG_MEMORY {
            self.spill()?;
        }
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).map_err(|_| io::Error::from(ErrorKind::InvalidInput));
        let shared = self.last.iter().zip(&link.to).take_while(|(one, other)| one == other).count();
        let rest = link.to.get(shared..).unwrap_or_default();
        let same = link.from == link.to;
        let source = match link.source {
            Source::Basis(number) => number,
            Source::Stage => STAGE,
        };
        let begin = self.room.len();
        self.room.extend([source, u8::from(same)]);
        self.room.extend(length(link.to.get(..shared).unwrap_or_default())?.to_le_bytes());
        self.room.extend(length(rest)?.to_le_bytes());
        self.room.extend(rest);
        if !same {
            self.room.extend(length(&link.from)?.to_le_bytes());
            self.room.extend(&link.from);
        }
        let before = std::mem::replace(&mut self.last, link.to.clone());
        self.undo = Some((begin, before));
        self.count += 1;
        Ok(true)
    }

    /// Takes the last one back. Only once after each.
    pub(super) fn undo(&mut self) {
        if let Some((begin, before)) = self.undo.take() {
            self.room.truncate(begin);
            self.last = before;
            self.count -= 1;
        }
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            // One that a killed gate left is in nobody's hands.
            remove_file(&self.path)?;
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&self.path)?;
            fs::remove_file(&self.path)?;
            self.file = Some((file, 0));
        }
        if let Some((file, length)) = &mut self.file {
            // At its place: of a write that met a full disk a part may be there.
            file.write_all_at(&self.room, *length)?;
            *length += self.room.len() as u64;
        }
        self.room.clear();
        self.undo = None;
        Ok(())
    }

    pub(super) fn records(&self) -> Records<'_> {
        Records { log: self, offset: 0, piece: Vec::new(), at: 0, from: Vec::new(), to: Vec::new() }
    }

    /// Reads on at `offset`, at most [`PIECE`] bytes; none at the end.
    fn read(&self, offset: u64, into: &mut Vec<u8>) -> io::Result<()> {
        let in_file = self.file.as_ref().map_or(0, |(_, length)| *length);
        match &self.file {
            Some((file, length)) if offset < *length => {
                let begin = into.len();
                let wanted = usize::try_from(*length - offset).unwrap_or(PIECE).min(PIECE);
                into.resize(begin + wanted, 0);
                file.read_exact_at(into.get_mut(begin..).unwrap_or_default(), offset)
            }
            _ => {
                let begin = usize::try_from(offset - in_file).unwrap_or(usize::MAX);
                into.extend(self.room.iter().skip(begin).take(PIECE));
                Ok(())
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Records<'a> {
    log: &'a Log,
    offset: u64,
    piece: Vec<u8>,
    at: usize,
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Records<'_> {
    /// The next one; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Record<'_>>> {
        if self.piece.len() - self.at < MAX_RECORD {
            self.piece.drain(..self.at);
            self.at = 0;
            let before = self.piece.len();
            self.log.read(self.offset, &mut self.piece)?;
            self.offset += (self.piece.len() - before) as u64;
        }
        if self.at >= self.piece.len() {
            return Ok(None);
        }
        let (source, used) = self.decode().ok_or(ErrorKind::InvalidData)?;
        self.at += used;
        let from = if self.from.is_empty() { &self.to } else { &self.from };
        Ok(Some(Record { source, from, to: &self.to }))
    }

    fn decode(&mut self) -> Option<(Source, usize)> {
        let mut rest = self.piece.get(self.at..)?;
        let mut take = |length: usize| {
            let (taken, left) = rest.split_at_checked(length)?;
            rest = left;
            Some(taken)
        };
        let number = |bytes: &[u8]| Some(usize::from(u16::from_le_bytes(bytes.try_into().ok()?)));
        let source = match take(1)?.first()? {
            &STAGE => Source::Stage,
            number => Source::Basis(*number),
        };
        let same = take(1)?.first()? == &1;
        let (shared, length) = (number(take(2)?)?, number(take(2)?)?);
        self.to.truncate(shared);
        self.to.extend(take(length)?);
        self.from.clear();
        if !same {
            let length = number(take(2)?)?;
            self.from.extend(take(length)?);
        }
        let left = rest.len();
        Some((source, self.piece.len() - self.at - left))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn links() -> impl Strategy<Value = Vec<Link>> {
        let path = || prop::collection::vec(prop::sample::select(b"ab/".to_vec()), 1..40);
        let source = prop_oneof![(0..20_u8).prop_map(Source::Basis), Just(Source::Stage)];
        let link = (source, path(), path(), any::<bool>()).prop_map(|(source, from, to, same)| Link {
            source,
            from: if same { to.clone() } else { from },
            to,
        });
        prop::collection::vec(link, 0..60)
    }

    fn read(log: &Log) -> Vec<Link> {
        let mut records = log.records();
        let mut all = Vec::new();
        while let Some(Record { source, from, to }) = records.next().unwrap() {
            all.push(Link { source, from: from.to_vec(), to: to.to_vec() });
        }
        all
    }

    proptest! {
        #[test]
        fn what_is_recorded_is_read_back(links in links(), spills in any::<u64>(), undone in any::<u64>()) {
            let root = tempfile::tempdir().unwrap();
            let mut log = Log::new(root.path().join("links"));
            let mut kept = Vec::new();
            for (number, link) in links.into_iter().enumerate() {
                log.push(&link).unwrap();
                if undone >> (number % 64) & 1 == 1 { log.undo() } else { kept.push(link) }
                if spills >> (number % 64) & 7 == 7 { log.spill().unwrap() }
            }
            prop_assert_eq!(log.count(), kept.len() as u64);
            prop_assert_eq!(read(&log), kept);
            prop_assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_million_neighbours_take_little_room_and_the_longest_paths_fit() {
        let root = tempfile::tempdir().unwrap();
        let mut log = Log::new(root.path().join("links"));
        let long = vec![b'x'; MAX_CALL_PATH - 1];
        log.push(&Link { source: Source::Basis(0), from: long.clone(), to: [&long[1..], b"y"].concat() }).unwrap();
        for number in 0..1_000_000 {
            let name = format!("d{}/file{number}", number / 100).into_bytes();
            log.push(&Link { source: Source::Basis(1), from: name.clone(), to: name }).unwrap();
        }
        let length = log.file.as_ref().unwrap().1;
        assert!(length < 12_000_000 && log.room.capacity() <= 2 * LINK_LOG_MEMORY, "{length} {}", log.room.capacity());
        let all = read(&log);
        assert_eq!((all.len(), &all[0].from, &all[1_000_000].to[..]), (1_000_001, &long, &b"d9999/file999999"[..]));
    }

    #[test]
    fn there_are_never_more_than_there_may_be() {
        let root = tempfile::tempdir().unwrap();
        let link = Link { source: Source::Basis(0), from: b"f".to_vec(), to: b"f".to_vec() };
        let mut log = Log::new(root.path().join("links"));
        log.count = MAX_LINKS - 1;
        log.push(&link).unwrap();
        assert!(!log.push(&link).unwrap());
        let mut log = Log::new(root.path().join("links"));
        log.push(&link).unwrap();
        log.spill().unwrap();
        log.file.as_mut().unwrap().1 = MAX_LINK_LOG;
        assert!(!log.push(&link).unwrap());
    }
}
