//! The spool: where events wait until somebody speaks of them.
//!
//! Each account has its own directory, `<spool>/<uid>/`, which only it can write. The gate adds
//! events ([`Spool`]); `watch` processes them ([`AccountSpool`]), often as root. So `watch` trusts
//! nothing in there: it works relative to descriptors, follows no symlink, opens only regular files
//! of the owner with one link and within their limits, and changes nothing outside.
//!
//! An event never appears half: it is written beside, made durable, and renamed to its name.

mod account;
mod all;
#[cfg(feature = "admin")]
mod dispatches;
mod failing;
mod former;
mod inside;
mod sessions;
#[cfg(feature = "admin")]
mod sums;

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use nix::unistd::{Uid, geteuid};

pub use self::account::{AccountSpool, Lock, own, root_is_at_it, root_looked};
pub use self::all::{Account, Accounts, accounts};
#[cfg(feature = "admin")]
pub use self::dispatches::Waiting;
pub use self::failing::FailingDrills;
pub use self::former::{account, forget_client, laid_aside, lay_aside, rename_client, strange_aside};
use self::inside::Inside;
pub use self::sessions::{Full, RESTORES, SESSIONS, Slots, take_slots};
#[cfg(feature = "admin")]
pub use self::sums::Sent;
use crate::act::clock;
use crate::terms::text::{printable, printable_path};
use crate::terms::{ClientName, Event};

/// Directories inside an account's own. The gate makes them, so that root never has to.
const INNER: [&str; 4] = ["tmp", "new", "out", "dead"];

/// What the files are called that say that there was a snapshot, before the client's name.
const PUBLISHED: &str = "published";

/// Why the spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// A system call failed.
    #[error("cannot {what} `{path}`: {error}")]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// Where, printable.
        path: String,
        /// The system's word.
        error: std::io::Error,
    },
    /// It is not what a gate makes.
    #[error("`{path}` {why}\nremove it, or make it a directory of the account with mode 0700")]
    Untrusted {
        /// Where, printable.
        path: String,
        /// What is wrong with it, as the rest of a sentence.
        why: &'static str,
    },
    /// There is what no gate makes, or more than is looked at.
    #[error("`{path}` holds {what}\nsee by `ls -ln` whose they are, and remove what nobody needs")]
    Odd {
        /// The spool, printable.
        path: String,
        /// What, in words.
        what: String,
    },
    /// The event's id is not one of ours.
    #[error("`{0}` cannot be the name of an event")]
    Name(String),
    /// The event could not be written as JSON, or is too long.
    #[error("an event cannot be written: {0}")]
    Record(String),
}

impl SpoolError {
    fn io(what: &'static str, path: &Path, error: nix::errno::Errno) -> Self {
        Self::Io { what, path: printable_path(path), error: error.into() }
    }
}

/// The gate's end: it only adds.
#[derive(Debug)]
pub struct Spool {
    home: Inside,
    tmp: Inside,
    new: Inside,
}

impl Spool {
    /// Opens `<dir>/<uid>/`, and makes it (0700) if it is not there yet.
    ///
    /// # Errors
    /// When the site's spool is missing or closed to the account, or when the account's place in it
    /// is not a directory that only the account can write.
    pub fn open(dir: &Path, uid: u32) -> Result<Self, SpoolError> {
        let site = Inside::pass_through(dir)?;
        let name = uid.to_string();
        site.make(&name)?;
        let home = site.enter(&name, Uid::from_raw(uid))?;
        for inner in INNER {
            home.make(inner)?;
        }
        let tmp = home.enter_own("tmp")?;
        let new = home.enter_own("new")?;
        Ok(Self { home, tmp, new })
    }

    /// Adds an event. When this returns it survives a power cut.
    ///
    /// # Errors
    /// When it cannot be written whole; then there is no trace of it under its name.
    pub fn add(&self, event: &Event) -> Result<(), SpoolError> {
        let name = event_name(&event.id)?;
        let json = serde_json::to_vec(event).map_err(|error| SpoolError::Record(error.to_string()))?;
        if json.len() as u64 > crate::terms::limits::MAX_EVENT {
            return Err(SpoolError::Record(format!("it has {} bytes", json.len())));
        }
        self.new.replace(&self.tmp, &name, &json)?;
        // inotify on the site's spool reports only changes of its own entries; this wakes a path
        // unit for an account that it does not know (systemd.path(5), PathChanged; inotify(7),
        // IN_ATTRIB).
        self.home.touch();
        Ok(())
    }

    /// Records that the client has a snapshot, in a place that outlives its repository.
    ///
    /// # Errors
    /// When the file that says so cannot be made.
    pub fn has_published(&self, client: &ClientName) -> Result<(), SpoolError> {
        self.home.lock_file(&format!("{PUBLISHED}-{client}")).map(drop)
    }

    /// The file that the `snapgate maintain` holds that is at work for this account.
    ///
    /// # Errors
    /// When it is not a file of the account's own.
    pub fn maintain_lock(&self) -> Result<std::fs::File, SpoolError> {
        self.home.lock_file("maintain.lock")
    }

    /// What a note of this account's holds, if there is one.
    ///
    /// # Errors
    /// When it is not a file of the account within that limit.
    pub fn note(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, SpoolError> {
        self.home.read(name, most)
    }

    /// Replaces a note, whole and durable.
    ///
    /// # Errors
    /// When it cannot be written; then the old one stands.
    pub fn save_note(&self, name: &str, bytes: &[u8]) -> Result<(), SpoolError> {
        self.home.replace(&self.tmp, name, bytes)
    }

    /// The account's own ledger, for an event that has no repository to stand in.
    pub fn ledger(&self) -> PathBuf {
        self.home.path.join("ledger.jsonl")
    }
}

/// What is known to have happened lately, by the time of an empty file in the spool of whoever did
/// it. It holds nothing, so it is never half, and needs no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// What `snapgate` does regularly has come to its end.
    Ran(&'static str),
    /// A mailer took a mail.
    Mailed,
}

impl Stamp {
    pub(super) fn name(self) -> String {
        match self {
            Self::Ran(word) => format!("ran-{word}"),
            Self::Mailed => "mailed".to_owned(),
        }
    }

    /// Leaves it, for this process's account. It is for `check` alone: where it cannot be left,
    /// nobody else misses it.
    pub fn leave(self, dir: &Path) {
        let left = Spool::open(dir, geteuid().as_raw()).and_then(|spool| spool.home.lock_file(&self.name()));
        let _ = left.map(|file| file.set_modified(clock::kernel().into()));
    }
}

/// Whether a client of the account's has had a snapshot.
pub fn was_published(dir: &Path, uid: u32, client: &ClientName) -> bool {
    let path = dir.join(uid.to_string()).join(format!("{PUBLISHED}-{client}"));
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// When the first client of the account's had its first snapshot.
#[must_use]
pub fn published_since(dir: &Path, uid: u32, client: &ClientName) -> Option<DateTime<Utc>> {
    let path = dir.join(uid.to_string()).join(format!("{PUBLISHED}-{client}"));
    std::fs::symlink_metadata(path).ok()?.modified().ok().map(DateTime::from)
}

/// The name of an event's file.
fn event_name(id: &str) -> Result<String, SpoolError> {
    let name = format!("{id}.json");
    if inside::is_plain(&name) { Ok(name) } else { Err(SpoolError::Name(printable(id.as_bytes()))) }
}

#[cfg(test)]
mod tests;
