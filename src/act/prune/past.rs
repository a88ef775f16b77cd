//! What is kept about the past besides ledgers: logs of runs, and what was set aside as broken.
//! Also when a client was last looked after.
//!
//! A log's age is in its name, which the gate gave it; a broken tree's is when it was set aside,
//! which its client cannot say.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use chrono::{DateTime, NaiveDateTime, Utc};
use nix::errno::Errno;
use nix::fcntl::{RenameFlags, renameat2};
use nix::unistd::{UnlinkatFlags, fsync, unlinkat};

use super::trash::{REAPING, STAMP, read_entry};
use super::{Held, Opened, Reaped, TRASH, gone, notes};
use crate::act::store::OrTrouble as _;
use crate::act::store::disk::found;
use crate::act::store::tree::{Lent, c_string, each, open_at, stat};
use crate::terms::{NamePattern, Reason, SnapshotName};

/// The directory of what could be neither kept nor removed.
const BROKEN: &str = "broken";

/// The note of when what was done last.
const MAINTAINED: &str = "maintained.json";

/// The note of which snapshots are partial.
const PARTIAL: &str = "partial";

/// When a run began, in the first letters of its id.
const BEGAN: &str = "%Y%m%dT%H%M%S";

/// The length of these letters.
const BEGAN_LENGTH: usize = 15;

/// When each kind of upkeep was done last, by its word.
pub type Dated = BTreeMap<String, DateTime<Utc>>;

impl Opened {
    /// Removes the logs of runs that began before that time.
    pub fn forget_logs(&self, before: DateTime<Utc>) -> Result<u64, Reason> {
        let forget = || -> io::Result<u64> {
            let Some(logs) = found(open_at(&self.state, "logs").map_err(io::Error::from))? else { return Ok(0) };
            let mut all = Vec::new();
            each(logs.as_fd(), |entry| {
                let name = entry.name.to_str().ok();
                all.extend(name.filter(|name| began(name).is_some_and(|began| began < before)).map(str::to_owned));
                Ok(())
            })?;
            for name in &all {
                gone(unlinkat(&logs, name.as_str(), UnlinkatFlags::NoRemoveDir))?;
            }
            Ok(all.len() as u64)
        };
        forget().or_trouble("removing old logs of", &self.path)
    }

    /// Removes what was set aside as broken before that time, by the clock that files have.
    pub fn forget_broken(&self, before: DateTime<Utc>) -> Result<Reaped, Reason> {
        let give_up = || -> io::Result<bool> {
            let Some(broken) = found(open_at(&self.state, BROKEN).map_err(io::Error::from))? else { return Ok(false) };
            let mut all = Vec::new();
            each(broken.as_fd(), |entry| {
                // Whatever a client does to its tree, this is no earlier than the rename to here.
                if stat(broken.as_fd(), entry.name)?.st_ctime < before.timestamp() {
                    all.push(entry.name.to_owned());
                }
                Ok(())
            })?;
            for name in &all {
                self.reaped_from(&broken, name, before)?;
            }
            fsync(&broken)?;
            Ok(!all.is_empty())
        };
        if give_up().or_trouble("removing what is broken of", &self.path)? { self.reap(&[]) } else { Ok(Reaped::default()) }
    }

    /// Hands a broken tree to the reaper.
    fn reaped_from(&self, broken: &OwnedFd, name: &std::ffi::CStr, at: DateTime<Utc>) -> io::Result<()> {
        let reaping = self.directory(REAPING)?;
        let number = name.to_string_lossy();
        let new = c_string(OsStr::new(&format!("{BROKEN}-{number}{}", at.format(STAMP))))?;
        // Its `..` changes. Nobody needs its mode any more.
        let lent = Lent::open(broken.as_fd(), name).ok();
        match renameat2(broken, name, &reaping, &*new, RenameFlags::RENAME_NOREPLACE) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(error.into()),
        }
        lent.map(Lent::give_back);
        Ok(())
    }

    /// Writes down which snapshots are partial, by all ledgers: the gate reads the newest one alone,
    /// so this comes before that is set aside. Those that are not there for good are left out.
    pub fn note_partial(&self, is_there: impl Fn(&str) -> bool) -> Result<(), Reason> {
        let all = self.partial(is_there)?;
        let partial: String = all.iter().filter(|(_, partial)| **partial).flat_map(|(name, _)| [name.as_str(), "\n"]).collect();
        let written = self.write_from(self.state.as_fd(), "partial.new", PARTIAL, partial.as_bytes());
        written.or_trouble("writing in", &self.path)
    }

    /// When each kind of upkeep was done last. The account may write anything there; it delays its
    /// own upkeep alone.
    pub fn maintained(&self) -> Dated {
        notes::read(self.state.as_fd(), OsStr::new(MAINTAINED)).unwrap_or_default()
    }

    /// How many snapshots there are, and the newest one.
    /// It reads one name of each form, and the later ones that it comes across: a directory of the
    /// same form with a date that there never was is counted, too.
    pub fn newest(&self, names: &NamePattern) -> Result<(usize, Option<SnapshotName>), Reason> {
        let mut found = Found { names, newest: None, count: 0 };
        found.below(self.snapshots.as_fd(), "", 1).or_trouble("reading the snapshots of", &self.path)?;
        Ok((found.count, found.newest))
    }

    /// When each snapshot went that waits in the trash.
    pub fn trashed_at(&self) -> Result<Vec<DateTime<Utc>>, Reason> {
        let read = || -> io::Result<Vec<DateTime<Utc>>> {
            let mut all = Vec::new();
            if let Some(trash) = found(open_at(&self.state, TRASH).map_err(io::Error::from))? {
                each(trash.as_fd(), |entry| {
                    all.extend(entry.name.to_str().ok().and_then(read_entry).map(|(_, at)| at));
                    Ok(())
                })?;
            }
            Ok(all)
        };
        read().or_trouble("reading the trash of", &self.path)
    }
}

impl Held<'_> {
    /// Notes when each kind of upkeep was done last.
    pub fn has_maintained(&self, dated: &Dated) -> Result<(), Reason> {
        let Opened { state, path, .. } = self.opened;
        self.opened.put(state.as_fd(), MAINTAINED, dated).or_trouble("writing in", path)
    }
}

/// What is found in history.
struct Found<'a> {
    names: &'a NamePattern,
    newest: Option<SnapshotName>,
    count: usize,
}

impl Found<'_> {
    fn below(&mut self, directory: BorrowedFd<'_>, prefix: &str, level: usize) -> io::Result<()> {
        // A descriptor keeps its place in a listing.
        let again = open_at(directory, ".")?;
        each(again.as_fd(), |entry| {
            let Ok(name) = entry.name.to_str() else { return Ok(()) };
            if !entry.is_directory(directory)? {
                return Ok(());
            }
            let name = format!("{prefix}{name}");
            if self.newest.as_ref().is_some_and(|newest| newest.is_of_the_form_of(&name) && name.as_str() <= newest.as_str()) {
                self.count += 1;
            } else if let Some(read) = self.names.read(&name) {
                self.count += 1;
                if self.newest.as_ref().is_none_or(|newest| newest.at < read.at) {
                    self.newest = Some(read);
                }
            } else if level < self.names.deepest()
                && let Ok(inner) = open_at(directory, entry.name)
            {
                // What cannot be opened is no directory of the gate's.
                self.below(inner.as_fd(), &format!("{name}/"), level + 1)?;
            }
            Ok(())
        })
    }
}

/// When the run began whose log this is; `None` where it is none of the gate's.
fn began(name: &str) -> Option<DateTime<Utc>> {
    let id = name.strip_suffix(".log")?;
    let (stamp, rest) = id.split_at_checked(BEGAN_LENGTH)?;
    let is_ours = rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let began = NaiveDateTime::parse_from_str(stamp, BEGAN).ok()?;
    is_ours.then(|| began.and_utc())
}
