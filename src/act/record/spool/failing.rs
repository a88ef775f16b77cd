//! Which clients' last drill failed, as whoever drills remembers it in its spool. A client's own
//! ledger says so as well, but its account may write there.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Spool, SpoolError};
use crate::terms::ClientName;
use crate::terms::limits::MAX_FAILING_DRILLS;

/// The note's name.
const NOTE: &str = "drilled.json";

/// Clients whose last drill failed, and the first of the drills that have failed since one did not.
pub type FailingDrills = BTreeMap<ClientName, DateTime<Utc>>;

impl Spool {
    /// Those that are remembered. A note that cannot be read is none: the next drill writes it anew.
    pub fn failing_drills(&self) -> FailingDrills {
        let note = self.note(NOTE, MAX_FAILING_DRILLS).ok().flatten();
        note.and_then(|note| serde_json::from_slice(&note).ok()).unwrap_or_default()
    }

    /// Remembers these in their place.
    ///
    /// # Errors
    /// When it cannot be written; then the old ones stand.
    pub fn save_failing_drills(&self, failing: &FailingDrills) -> Result<(), SpoolError> {
        // Names and times are text of this program's making.
        self.save_note(NOTE, &serde_json::to_vec(failing).unwrap_or_default())
    }
}
