//! A ledger and its old ones, line by line, for whoever shows them: no more than a line is held, and
//! of one that is longer than an event only the beginning.
//!
//! Gates write meanwhile, and ledgers are set aside and packed. What is open stays readable, so the
//! ledger is opened before the old ones are listed, and no line is missed between the two.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use chrono::{DateTime, Utc};
use nix::fcntl::AT_FDCWD;

use super::super::owner;
use super::{LEDGER, Line, OLD, Old, listed, of_account, open_file, unpacked};
use crate::act::store::OrTrouble as _;
use crate::act::store::disk::found;
use crate::act::store::tree::open_at;
use crate::terms::limits::{LEDGER_REPEATED, MAX_EVENT, MAX_LAST_LOOK, MAX_LOGGED, MAX_OLD_LEDGER};
use crate::terms::{Event, Reason, STATE};

/// Bytes that are read of a file at once: a thousand of them may be open.
const READ_AT_ONCE: usize = 16 * 1024;

/// How many of a ledger's first lines were read in the one before. It begins with those of connections
/// that were not recorded yet, of which some may be too old to be known, and with the last ones. A known
/// line that comes later was recorded twice (`act/record/ledger`): what stands before that one is new.
pub(super) fn repeated<'a>(lines: impl Iterator<Item = &'a [u8]>, is_known: impl Fn(&str) -> bool) -> usize {
    let (mut read, mut count) = (0, 0);
    for (number, line) in lines.enumerate() {
        if read >= LEDGER_REPEATED {
            break;
        }
        read += line.len() as u64;
        match Place::id(line) {
            Some(id) if is_known(&id) => count = number + 1,
            Some(_) if count > 0 => break,
            _ => {}
        }
    }
    count
}

/// A directory with ledgers: a repository's own, or an account's in the spool.
#[derive(Debug)]
pub struct Place {
    directory: OwnedFd,
}

/// A ledger.
#[derive(Debug)]
pub struct Piece {
    /// Until when it was written to; `None`: it still is.
    pub until: Option<DateTime<Utc>>,
    /// It, or the old one that is opened when it is read.
    file: Option<(File, u64)>,
    old: Option<Old>,
}

/// The lines of a ledger.
pub struct Lines {
    from: BufReader<Box<dyn Read + Send>>,
    /// Whether its beginning, or its end, is not read: it is longer than anything is.
    pub is_cut: bool,
}

impl Place {
    /// A repository's, which is the account's with this uid. It need not have a snapshot.
    pub fn of_repository(path: &Path, uid: u32) -> Result<Option<Self>, Reason> {
        let opened = || -> io::Result<Self> {
            let root = open_at(AT_FDCWD, path)?;
            owner(&root, uid)?;
            let directory = open_at(&root, STATE)?;
            owner(&directory, uid)?;
            Ok(Self { directory })
        };
        found(opened()).or_trouble("opening", path)
    }

    /// An account's in the spool, for events that belong to no repository.
    pub fn of_account(spool: &Path, uid: u32) -> Result<Option<Self>, Reason> {
        Ok(of_account(spool, uid)?.map(|directory| Self { directory }))
    }

    /// Its ledgers, the oldest first.
    pub fn pieces(&self) -> io::Result<Vec<Piece>> {
        let ledger = self.ledger()?;
        let length = ledger.as_ref().map(File::metadata).transpose()?.map_or(0, |found| found.len());
        self.pieces_before(ledger, length)
    }

    /// Those before this one, and it up to there.
    pub(super) fn pieces_before(&self, ledger: Option<File>, length: u64) -> io::Result<Vec<Piece>> {
        let place = ledger.as_ref().map(File::metadata).transpose()?.map(|found| (found.dev(), found.ino()));
        let mut pieces: Vec<Piece> = Vec::new();
        for old in self.old()? {
            // One is plain until the packed one stands beside it.
            if pieces.last().is_some_and(|last| last.until == Some(old.until)) {
                continue;
            }
            let file = if old.is_packed { None } else { self.open_old(&old)? };
            let is_ours = file.as_ref().is_some_and(|file| file.metadata().is_ok_and(|found| Some((found.dev(), found.ino())) == place));
            if !is_ours {
                pieces.push(Piece { until: Some(old.until), file: None, old: Some(old) });
            }
        }
        pieces.extend(ledger.map(|file| Piece { until: None, file: Some((file, length)), old: None }));
        Ok(pieces)
    }

    /// The events at the end of the ledger, the newest first, until the answer is no. It looks at
    /// [`MAX_LAST_LOOK`] bytes at most.
    pub fn newest_first(&self, mut take: impl FnMut(Event) -> bool) -> io::Result<()> {
        let Some(ledger) = self.ledger()? else { return Ok(()) };
        let length = ledger.metadata()?.len();
        let from = length.saturating_sub(MAX_LAST_LOOK);
        let mut end = vec![0; usize::try_from(length - from).unwrap_or_default()];
        ledger.read_exact_at(&mut end, from)?;
        for line in end.rsplit(|byte| *byte == b'\n') {
            if serde_json::from_slice(line).is_ok_and(|event| !take(event)) {
                break;
            }
        }
        Ok(())
    }

    /// The id of a line's event, if it is one.
    pub fn id(line: &[u8]) -> Option<String> {
        serde_json::from_slice::<Line>(line).ok().map(|Line { id, .. }| id)
    }

    /// The directory.
    pub(super) fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    /// The ledger that is written to.
    pub(super) fn ledger(&self) -> io::Result<Option<File>> {
        open_file(self.directory.as_fd(), LEDGER)
    }

    /// Those that were set aside, the oldest first.
    pub(super) fn old(&self) -> io::Result<Vec<Old>> {
        let old = found(open_at(&self.directory, OLD).map_err(io::Error::from))?;
        Ok(old.map(|old| listed(&old)).transpose()?.unwrap_or_default())
    }

    /// Opens one of them; `None` where it has gone.
    pub(super) fn open_old(&self, old: &Old) -> io::Result<Option<File>> {
        let directory = open_at(&self.directory, OLD)?;
        open_file(directory.as_fd(), &old.name())
    }

    /// The lines of a piece; none where it has gone.
    pub fn lines(&self, piece: &Piece) -> io::Result<Option<Lines>> {
        if let Some((file, length)) = &piece.file {
            return Lines::up_to(file.try_clone()?, *length).map(Some);
        }
        piece.old.as_ref().map_or(Ok(None), |old| self.lines_of(old))
    }

    /// The lines of one that was set aside; none where it has gone.
    pub(super) fn lines_of(&self, old: &Old) -> io::Result<Option<Lines>> {
        // It may have been packed since it was listed.
        let packed = Old { is_packed: true, ..old.clone() };
        let opened = match self.open_old(old)? {
            None if !old.is_packed => self.open_old(&packed)?.map(|file| (file, true)),
            opened => opened.map(|file| (file, old.is_packed)),
        };
        Ok(opened.map(|(file, is_packed)| Lines::of_old(file, is_packed)))
    }

    /// The ids at the beginning of a piece: its first lines may stand in the one before, too.
    pub fn begins_with(&self, piece: &Piece) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        let Ok(Some(mut lines)) = self.lines(piece) else { return ids };
        let (mut line, mut read) = (Vec::new(), 0);
        while read < LEDGER_REPEATED && matches!(lines.next(&mut line), Ok(true)) {
            read += line.len() as u64 + 1;
            ids.extend(Self::id(&line));
        }
        ids
    }
}

impl Lines {
    /// Of the ledger that is written to: of one without end the end.
    fn up_to(mut file: File, length: u64) -> io::Result<Self> {
        let from = length.saturating_sub(MAX_LOGGED);
        file.seek(SeekFrom::Start(from))?;
        Ok(Self::within(Box::new(file.take(length - from)), from > 0))
    }

    fn of_old(file: File, is_packed: bool) -> Self {
        let is_cut = !is_packed && file.metadata().is_ok_and(|found| found.len() > MAX_OLD_LEDGER);
        if is_packed {
            Self::within(Box::new(unpacked(file, MAX_OLD_LEDGER)), is_cut)
        } else {
            Self::within(Box::new(file.take(MAX_OLD_LEDGER)), is_cut)
        }
    }

    fn within(from: Box<dyn Read + Send>, is_cut: bool) -> Self {
        Self { from: BufReader::with_capacity(READ_AT_ONCE, from), is_cut }
    }

    /// Reads the next line, without its end; `false` where there is none. Of one that is too long
    /// for an event the beginning comes, which is none.
    pub fn next(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        if self.from.by_ref().take(MAX_EVENT).read_until(b'\n', line)? == 0 {
            return Ok(false);
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() as u64 == MAX_EVENT {
            self.from.skip_until(b'\n')?;
        }
        Ok(true)
    }
}
