//! What waits for other ways than mail, in the same directory as the mails. Its names are no numbers,
//! so neither is taken for the other. It has a lock of its own: a server that stalls holds up no mail.

use chrono::{DateTime, Utc};

use super::account::{AccountSpool, Lock, since};
use super::{SpoolError, inside};
use crate::terms::limits::{MAX_DISPATCH, MAX_SPOOL_NAMES, MAX_TROUBLES};
use crate::terms::text::printable;
use crate::terms::{Dispatch, Way};

/// The file of what is remembered of ways that fail, in the spool of whoever tries them.
const TROUBLES: &str = "ways.json";

/// Something that waits for a way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What it is about.
    pub id: String,
    /// The way.
    pub way: Way,
}

impl Waiting {
    /// What waits for that.
    pub fn of(dispatch: &Dispatch) -> Self {
        Self { id: dispatch.id().to_owned(), way: dispatch.way }
    }

    fn name(&self) -> String {
        format!("{}.{}.json", self.id, self.way)
    }

    fn read(name: &str) -> Option<Self> {
        let (id, way) = name.strip_suffix(".json")?.rsplit_once('.')?;
        Some(Self { id: id.to_owned(), way: Way::read(way)? })
    }
}

impl AccountSpool {
    /// What waits for other ways than mail, in order of time.
    pub fn dispatches(&self) -> Result<Vec<Waiting>, SpoolError> {
        let (names, _) = self.out.names(MAX_SPOOL_NAMES)?;
        Ok(names.iter().filter_map(|name| Waiting::read(name)).collect())
    }

    /// One of them, with nothing but printable text in it; `None` if it is gone.
    pub fn dispatch(&self, waiting: &Waiting) -> Result<Option<Dispatch>, SpoolError> {
        let Some(bytes) = self.out.read(&waiting.name(), MAX_DISPATCH)? else { return Ok(None) };
        let failed = |what: String| SpoolError::Record(format!("`{}`: {what}", printable(waiting.name().as_bytes())));
        let dispatch = serde_json::from_slice::<Dispatch>(&bytes).map_err(|error| failed(error.to_string()))?.checked();
        // A receiver drops what it has had already, by this.
        if Waiting::of(&dispatch) != *waiting {
            return Err(failed("it has another name inside".to_owned()));
        }
        Ok(Some(dispatch))
    }

    /// Since when it waits, as [`AccountSpool::waits_since`] has it of a mail.
    pub fn dispatch_waits_since(&self, dispatch: &Dispatch, now: DateTime<Utc>) -> DateTime<Utc> {
        since(&self.out, &Waiting::of(dispatch).name(), dispatch.created, now)
    }

    /// Puts something among those that wait.
    pub fn dispatch_later(&self, dispatch: &Dispatch) -> Result<(), SpoolError> {
        let name = Waiting::of(dispatch).name();
        if !inside::is_plain(&name) {
            return Err(SpoolError::Name(printable(name.as_bytes())));
        }
        let json = serde_json::to_vec(dispatch).map_err(|error| SpoolError::Record(error.to_string()))?;
        self.out.replace(&self.tmp, &name, &json)
    }

    /// Takes it away: it was told, or nobody wants to be told.
    pub fn dispatched(&self, waiting: &Waiting) -> Result<(), SpoolError> {
        self.out.remove(&waiting.name())?;
        self.out.sync()
    }

    /// Lays it aside, with a note beside it that says why.
    pub fn bury_dispatch(&self, waiting: &Waiting, why: &str) -> Result<(), SpoolError> {
        self.dead.replace(&self.tmp, &format!("{}.{}.why", waiting.id, waiting.way), why.as_bytes())?;
        self.out.move_to(&waiting.name(), &self.dead)
    }

    /// Wakes whoever waits for something to be told, as a gate does (`Spool::add`).
    pub fn wake(&self) {
        self.home.touch();
    }

    /// While this is held, nobody else tells what waits here; `None` while somebody does.
    pub fn lock_ways(&self) -> Result<Option<Lock>, SpoolError> {
        self.lock_by("ways.lock")
    }

    /// What is remembered of ways that fail, as it stands; `None` where there is nothing.
    pub fn troubles(&self) -> Result<Option<Vec<u8>>, SpoolError> {
        self.home.read(TROUBLES, MAX_TROUBLES)
    }

    /// Replaces it.
    pub fn save_troubles(&self, json: &[u8]) -> Result<(), SpoolError> {
        self.home.replace(&self.tmp, TROUBLES, json)
    }
}
