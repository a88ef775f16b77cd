//! Old ledgers. A ledger that has something of an earlier month is set aside whole, as
//! `ledgers/<time>.jsonl`, and packed later. Who asks what a repository's ledger says, reads all.
//!
//! Gates write to the ledger meanwhile, and any step may be the last one. So the new ledger changes
//! places with the old one in one step, under the lock with which each line is written, and begins
//! with the last lines of the old one: who has just written there looks for its own line. Nothing
//! is removed before it stands elsewhere, and what stands in two places is read once.

mod follow;
mod ids;
mod log;
mod onward;
mod since;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike as _, NaiveDateTime, TimeDelta, Utc};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fsync, unlinkat};
use serde::Deserialize;

use super::{NEW, Opened, directory, give, gone, notes, owner};
use crate::act::store::OrTrouble as _;
use crate::act::store::disk::found;
use crate::act::store::tree::{c_string, each, open_at, stat};
use crate::terms::limits::{LEDGER_OVERLAP, LEDGER_PIECE, MAX_EVENT, MAX_LEDGER_TAIL, MAX_OLD_LEDGER, MAX_OLD_LEDGERS, MAX_UNRECORDED};
use crate::terms::{Event, Reason};

use ids::Once;

pub use follow::Follower;
pub use ids::Ids;
pub use log::{Lines, Piece, Place};

/// The ledger that is written to.
const LEDGER: &str = "ledger.jsonl";

/// The directory of old ones.
const OLD: &str = "ledgers";

/// Until when an old one was written to, in its name.
const STAMP: &str = "%Y-%m-%dT%H-%M-%SZ";

/// The end of an old ledger's name.
const PLAIN: &str = ".jsonl";

/// The same once it is packed.
const PACKED: &str = ".jsonl.gz";

/// While it is being packed.
const DRAFT: &str = ".new";

/// How long the lock is waited for. A gate holds it for less than a millisecond.
const PATIENCE: Duration = Duration::from_secs(2);

/// A directory with ledgers: a repository's own, or an account's in the spool.
#[derive(Debug)]
pub struct Ledgers<'a> {
    directory: &'a OwnedFd,
    owner: (Uid, Gid),
}

/// An old ledger.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Old {
    /// Until when it was written to.
    until: DateTime<Utc>,
    is_packed: bool,
}

impl Old {
    fn read(name: &str) -> Option<Self> {
        let (stamp, is_packed) = match name.strip_suffix(PACKED) {
            Some(stamp) => (stamp, true),
            None => (name.strip_suffix(PLAIN)?, false),
        };
        let until = NaiveDateTime::parse_from_str(stamp, STAMP).ok()?.and_utc();
        Some(Self { until, is_packed })
    }

    fn name(&self) -> String {
        format!("{}{}", self.until.format(STAMP), if self.is_packed { PACKED } else { PLAIN })
    }
}

/// What a line says besides.
#[derive(Deserialize)]
struct Line {
    id: String,
    at: DateTime<Utc>,
}

/// An account's directory in the spool, whose ledger has the events that belong to no repository;
/// `None` where there is none.
pub fn of_account(spool: &Path, uid: u32) -> Result<Option<OwnedFd>, Reason> {
    let path = spool.join(uid.to_string());
    let opened = found(open_at(AT_FDCWD, &path).map_err(io::Error::from)).and_then(|opened| {
        let checked = opened.map(|opened| owner(&opened, uid).map(|_| opened));
        checked.transpose()
    });
    opened.or_trouble("opening", &path)
}

/// All events that are `wanted` in the ledgers below a repository's own directory, the oldest
/// ledger first, each event once. What cannot be read is left out.
pub fn events(state: &Path, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut all = Vec::new();
    if let Ok(directory) = open_at(AT_FDCWD, state) {
        let _ = each_once(&directory, wanted, |event| all.push(event));
    }
    all
}

impl Opened {
    /// Its ledgers.
    pub fn ledgers(&self) -> Ledgers<'_> {
        Ledgers { directory: &self.state, owner: self.owner }
    }

    /// Whether each snapshot that is there is partial, as far as a ledger says so. The account may
    /// have written of any number of others, so nothing is kept of these.
    ///
    /// # Errors
    /// Where a ledger cannot be read: then it is not known which snapshots are whole.
    pub fn partial(&self, is_there: impl Fn(&str) -> bool) -> Result<BTreeMap<String, bool>, Reason> {
        let name = |event: &Event| event.push().and_then(|push| push.snapshot.clone()).filter(|name| is_there(name));
        let mut all = BTreeMap::new();
        // A name may have been given again: what was recorded last is about the one that is there.
        let whole = each_once(
            &self.state,
            |event| name(event).is_some(),
            |event| all.extend(name(&event).zip(event.push().map(|push| push.partial))),
        );
        whole.map(|()| all).or_trouble("reading the ledgers of", &self.path)
    }
}

impl<'a> Ledgers<'a> {
    /// Those in an open directory of the account's.
    pub fn within(directory: &'a OwnedFd, uid: u32) -> Result<Self, Reason> {
        let owner = owner(directory, uid).or_trouble("looking at", Path::new("the account's spool"))?;
        Ok(Self { directory, owner })
    }

    /// Whether an event is so; what cannot be read is not.
    pub fn any(&self, is_so: impl Fn(&Event) -> bool) -> bool {
        let mut found = false;
        let _ = each_once(self.directory, is_so, |_| found = true);
        found
    }

    /// Sets the ledger aside if it has something of an earlier month, and packs what was set aside.
    pub fn rotate(&self, now: DateTime<Utc>) -> io::Result<()> {
        self.set_aside(now)?;
        let Some(old) = found(open_at(self.directory, OLD).map_err(io::Error::from))? else { return Ok(()) };
        for ledger in listed(&old)?.iter().filter(|ledger| !ledger.is_packed) {
            self.pack(&old, ledger)?;
        }
        Ok(())
    }

    /// Removes old ledgers that were set aside before that time. One that speaks of a snapshot that
    /// is there, or may come back, stays: it alone says whether that is whole. Returns how many
    /// went.
    pub fn forget(&self, before: DateTime<Utc>, is_there: impl Fn(&str) -> bool) -> io::Result<u64> {
        let Some(old) = found(open_at(self.directory, OLD).map_err(io::Error::from))? else { return Ok(0) };
        let mut forgotten = 0;
        for ledger in listed(&old)?.into_iter().filter(|ledger| ledger.is_packed && ledger.until < before) {
            let mut speaks = false;
            let unread = read_old(&old, &ledger, &mut |event| {
                let snapshot = event.push().and_then(|push| push.snapshot.as_deref());
                speaks = speaks || snapshot.is_some_and(&is_there);
            });
            if !speaks && unread.is_ok() {
                gone(unlinkat(&old, ledger.name().as_str(), UnlinkatFlags::NoRemoveDir))?;
                forgotten += 1;
            }
        }
        fsync(&old)?;
        Ok(forgotten)
    }

    fn set_aside(&self, now: DateTime<Utc>) -> io::Result<()> {
        let Some(mut ledger) = open_file(self.directory.as_fd(), LEDGER)? else { return Ok(()) };
        if !self.is_due(&ledger, now)? {
            return Ok(());
        }
        let began = Instant::now();
        while ledger.try_lock().is_err() {
            if began.elapsed() > PATIENCE {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, "somebody holds the ledger"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        // Another who does this may have been faster.
        let there = stat(self.directory.as_fd(), &c_string(LEDGER.as_ref())?)?;
        if there.st_ino != ledger.metadata()?.ino() || !self.is_due(&ledger, now)? {
            return Ok(());
        }
        let begins = self.overlap(&mut ledger)?;
        let old = directory(self.directory, OLD, self.owner)?;
        let all = listed(&old)?;
        let mut until = now;
        while all.iter().any(|old| old.until.timestamp() == until.timestamp()) {
            until += TimeDelta::seconds(1);
        }
        let name = Old { until, is_packed: false }.name();
        // What a kill leaves of it are lines that stand in the ledger as well.
        let mut next = File::from(openat(&old, name.as_str(), NEW, Mode::S_IRUSR | Mode::S_IWUSR)?);
        give(&next, self.owner)?;
        next.write_all(&begins)?;
        next.sync_all()?;
        renameat2(&old, name.as_str(), self.directory, LEDGER, RenameFlags::RENAME_EXCHANGE)?;
        fsync(&old)?;
        Ok(fsync(self.directory)?)
    }

    /// Whether it has something of an earlier month, and none was set aside in this one; or whether
    /// it is too long.
    fn is_due(&self, ledger: &File, now: DateTime<Utc>) -> io::Result<bool> {
        let month = |at: DateTime<Utc>| (at.year(), at.month());
        let length = ledger.metadata()?.len();
        if length == 0 || length > LEDGER_PIECE {
            return Ok(length > 0);
        }
        let old = found(open_at(self.directory, OLD).map_err(io::Error::from))?;
        let all = old.map(|old| listed(&old)).transpose()?.unwrap_or_default();
        if all.iter().any(|old| month(old.until) == month(now)) {
            return Ok(false);
        }
        let mut again = ledger;
        again.rewind()?;
        let mut began = None;
        each_line(again.take(LEDGER_PIECE), |line| {
            began = began.or_else(|| serde_json::from_slice::<Line>(line).ok().map(|line| line.at));
            began.is_none()
        })?;
        Ok(began.is_none_or(|began| month(began) < month(now)))
    }

    /// What the next ledger begins with: the last lines, and those of connections that somebody may
    /// still ask about.
    fn overlap(&self, ledger: &mut File) -> io::Result<Vec<u8>> {
        let length = ledger.metadata()?.len();
        let mut unrecorded = BTreeSet::new();
        if let Some(notes) = found(open_at(self.directory, "unrecorded").map_err(io::Error::from))? {
            each(notes.as_fd(), |entry| {
                if unrecorded.len() < MAX_UNRECORDED {
                    unrecorded.extend(entry.name.to_str().ok().map(str::to_owned));
                }
                Ok(())
            })?;
        }
        // What a killed `snapgate prune` was about to do.
        let announced = notes::read::<Line>(self.directory.as_fd(), notes::ANNOUNCED.as_ref());
        unrecorded.extend(announced.ok().map(|Line { id, .. }| id));
        let mut begins = Vec::new();
        let tail = length.saturating_sub(LEDGER_OVERLAP);
        if !unrecorded.is_empty() {
            let from = length.saturating_sub(MAX_LEDGER_TAIL);
            ledger.seek(SeekFrom::Start(from))?;
            each_line(ledger.take(tail.saturating_sub(from)), |line| {
                if serde_json::from_slice::<Line>(line).is_ok_and(|line| unrecorded.contains(&line.id)) {
                    begins.extend_from_slice(line);
                    begins.push(b'\n');
                }
                true
            })?;
        }
        ledger.seek(SeekFrom::Start(tail))?;
        let mut last = Vec::new();
        ledger.take(LEDGER_OVERLAP).read_to_end(&mut last)?;
        let cut = if tail == 0 { 0 } else { last.iter().position(|byte| *byte == b'\n').map_or(last.len(), |at| at + 1) };
        begins.extend_from_slice(last.get(cut..).unwrap_or_default());
        Ok(begins)
    }

    /// Packs an old ledger. It goes when the packed one is on the disk, and nobody has added a line.
    fn pack(&self, old: &OwnedFd, ledger: &Old) -> io::Result<()> {
        let name = ledger.name();
        let Some(plain) = open_file(old.as_fd(), &name)? else { return Ok(()) };
        if plain.try_lock().is_err() {
            // Somebody writes the last line that it gets, or packs it.
            return Ok(());
        }
        let packed = Old { is_packed: true, ..ledger.clone() }.name();
        let draft = format!("{packed}{DRAFT}");
        gone(unlinkat(old, draft.as_str(), UnlinkatFlags::NoRemoveDir))?;
        let file = File::from(openat(old, draft.as_str(), NEW, Mode::S_IRUSR | Mode::S_IWUSR)?);
        give(&file, self.owner)?;
        let mut packer = GzEncoder::new(file, Compression::default());
        let read = io::copy(&mut &plain, &mut packer)?;
        packer.finish()?.sync_all()?;
        renameat(old, draft.as_str(), old, packed.as_str())?;
        fsync(old)?;
        if plain.metadata()?.len() == read {
            gone(unlinkat(old, name.as_str(), UnlinkatFlags::NoRemoveDir))?;
            fsync(old)?;
        }
        Ok(())
    }
}

/// Old ledgers, the oldest first.
fn listed(old: &OwnedFd) -> io::Result<Vec<Old>> {
    let mut all = Vec::new();
    let again = open_at(old, ".")?;
    each(again.as_fd(), |entry| {
        all.extend(entry.name.to_str().ok().and_then(Old::read));
        Ok(())
    })?;
    all.sort();
    Ok(all.split_off(all.len().saturating_sub(MAX_OLD_LEDGERS)))
}

/// A file that nobody else has put there, to be read; `None` where there is none.
fn open_file(directory: BorrowedFd<'_>, name: &str) -> io::Result<Option<File>> {
    const READ: OFlag = OFlag::O_RDONLY.union(OFlag::O_NOFOLLOW).union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);
    let Some(file) = found(openat(directory, name, READ, Mode::empty()).map(File::from).map_err(Errno::into))? else { return Ok(None) };
    let found = file.metadata()?;
    if found.is_file() && found.nlink() == 1 { Ok(Some(file)) } else { Err(io::Error::other(format!("`{name}` is not a file of its own"))) }
}

/// Hands out the events that are `wanted`, the oldest ledger first, each once.
fn each_once(directory: &OwnedFd, wanted: impl Fn(&Event) -> bool, mut take: impl FnMut(Event)) -> io::Result<()> {
    let mut once = Once::default();
    let mut take = |once: &mut Once, event: Event| {
        if wanted(&event) && once.is_new(&event.id) {
            take(event);
        }
    };
    // This one first: if it is set aside meanwhile, its lines are read twice, not never.
    let ledger = open_file(directory.as_fd(), LEDGER);
    let old = found(open_at(directory, OLD).map_err(io::Error::from)).and_then(|old| match old {
        Some(old) => listed(&old).map(|all| Some((old, all))),
        None => Ok(None),
    });
    let mut whole = Ok(());
    match old {
        Ok(old) => {
            for (old, ledger) in old.iter().flat_map(|(old, all)| all.iter().map(move |ledger| (old, ledger))) {
                whole = whole.and(read_old(old, ledger, &mut |event| take(&mut once, event)));
                once.next();
            }
        }
        Err(error) => whole = Err(error),
    }
    let newest = ledger.and_then(|ledger| {
        let Some(mut ledger) = ledger else { return Ok(()) };
        let length = ledger.metadata()?.len();
        ledger.seek(SeekFrom::Start(length.saturating_sub(MAX_LEDGER_TAIL)))?;
        each_event(ledger.take(MAX_LEDGER_TAIL), &mut |event| take(&mut once, event))
    });
    whole.and(newest)
}

fn read_old(old: &OwnedFd, ledger: &Old, take: &mut dyn FnMut(Event)) -> io::Result<()> {
    let Some(file) = open_file(old.as_fd(), &ledger.name())? else { return Ok(()) };
    if ledger.is_packed { each_event(unpacked(file, MAX_OLD_LEDGER), take) } else { each_event(file.take(MAX_OLD_LEDGER), take) }
}

/// What is in a packed file, up to so many bytes; nor is the file read any further: what is packed in
/// it may be nothing, for ever.
fn unpacked(file: File, most: u64) -> io::Take<impl io::Read + Send + 'static> {
    MultiGzDecoder::new(BufReader::new(file.take(most))).take(most)
}

fn each_event(from: impl io::Read, take: &mut dyn FnMut(Event)) -> io::Result<()> {
    each_line(from, |line| {
        if let Ok(event) = serde_json::from_slice(line) {
            take(event);
        }
        true
    })
}

/// Hands out the lines, until the answer is no. Of one that is too long for an event, pieces come,
/// which are none.
fn each_line(from: impl io::Read, mut take: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    loop {
        line.clear();
        if from.by_ref().take(MAX_EVENT).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if !take(line.strip_suffix(b"\n").unwrap_or(&line)) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
