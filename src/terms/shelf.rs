//! What stands in a client's repository, as far as a decision needs it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::snapshot::SnapshotName;

/// The repository as a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shelf {
    /// The newest published snapshot.
    pub newest: Option<SnapshotName>,
    /// The transaction that `prepare` opened, if one is open.
    pub transaction: Option<Transaction>,
}

/// A prepared transaction: pushes add up in it until `complete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// When `prepare` came; the snapshot gets this name.
    pub began: DateTime<Utc>,
    /// The last contact that had to do with it.
    pub touched: DateTime<Utc>,
    /// Pushes that have succeeded in it.
    pub parts: usize,
    /// Whether one of them was not whole (rsync's 23).
    pub partial: bool,
}

impl Transaction {
    /// Whether nobody has touched it for longer than [`super::limits::TRANSACTION_LIFETIME`].
    #[must_use]
    pub fn is_stale(&self, now: DateTime<Utc>) -> bool {
        (now - self.touched).to_std().is_ok_and(|idle| idle > super::limits::TRANSACTION_LIFETIME)
    }
}
