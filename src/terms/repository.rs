//! What a decision has to know of a client's repository.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::beside::{Note, Part, PartEnd};
use super::limits::{MAX_QUOTED, MAX_REPORTED_PARTS, TRANSACTION_LIFETIME};
use super::path::SubPath;
use super::record::DroppedOwners;
use super::snapshot::SnapshotName;
use super::text::still_printable;
use super::usage::Usage;

/// The gate's own directory in a repository.
pub const STATE: &str = ".snapgate";

/// The repository as a value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RepositoryState {
    /// The newest published snapshot.
    pub newest: Option<SnapshotName>,
    /// The others, newest first.
    pub earlier: Vec<SnapshotName>,
    /// The open transaction.
    pub transaction: Option<Transaction>,
}

/// A prepared transaction: pushes add up in it until `complete`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use]
pub struct Transaction {
    /// When `prepare` came, which names the snapshot.
    pub began: DateTime<Utc>,
    /// Pushes that have succeeded in it.
    pub parts: usize,
    /// Whether one of them was not whole (rsync's 23).
    pub partial: bool,
    /// Places with a push that failed or has not ended.
    pub unfinished: Vec<String>,
    /// What its pushes have stored, as far as that was counted.
    #[serde(default)]
    pub used: Usage,
    /// Others' files that became the account's, where owners are not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_owners: Option<DroppedOwners>,
    /// Sockets, FIFOs and devices that were not stored.
    #[serde(default)]
    pub skipped: u64,
    /// Whether a push brought access lists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lists: bool,
    /// Whether a push ignored times, so that all files were sent again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignores_times: bool,
    /// The pushes that have succeeded, in order, as far as they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pushed: Vec<Pushed>,
    /// The last [`MAX_REPORTED_PARTS`] pushes, for the mail.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listed: Vec<Part>,
    /// How many pushes came before these.
    #[serde(default)]
    pub unrecorded: u64,
    /// Whether its parts are being merged, so that the stage holds their sum.
    pub merging: bool,
}

/// What a push means for other files at its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// Its place in the snapshot.
    pub place: SubPath,
    /// Whether it replaces everything there (`--delete`).
    pub replaces: bool,
    /// Whether the place's own directory was not sent, and is as the gate made it.
    pub untouched: bool,
}

impl Transaction {
    /// One that begins now.
    pub fn new(began: DateTime<Utc>) -> Self {
        Self { began, ..Self::default() }
    }

    /// Whether it should have been completed long ago; `push_limit` is how long a push may take.
    pub fn is_stale(&self, now: DateTime<Utc>, push_limit: Duration) -> bool {
        (now - self.began).to_std().is_ok_and(|age| age > TRANSACTION_LIFETIME + push_limit)
    }

    /// The note where it is closed without `complete`.
    pub fn given_up(&self) -> Note {
        Note::passing(format!(
            "the transaction prepared at {} was never completed and is closed",
            self.began.format("%Y-%m-%d %H:%M:%S UTC")
        ))
    }

    /// With a push into `place` under way, since `at`.
    pub fn beginning(mut self, place: &str, at: DateTime<Utc>) -> Self {
        if self.listed.len() >= MAX_REPORTED_PARTS {
            self.listed.remove(0);
            self.unrecorded = self.unrecorded.saturating_add(1);
        }
        self.listed.push(Part { at, place: still_printable(place, MAX_QUOTED), end: None });
        if !self.unfinished.iter().any(|unfinished| unfinished == place) {
            self.unfinished.push(place.to_owned());
        }
        self
    }

    /// With the end of the push that began last.
    pub fn ended(mut self, end: PartEnd) -> Self {
        if let Some(part) = self.listed.last_mut() {
            part.end = Some(end);
        }
        self
    }

    /// With what a push stored added.
    pub fn using(mut self, used: Usage) -> Self {
        self.used = self.used.and(used);
        self
    }

    /// With the files of others of a push added.
    pub fn dropping(mut self, dropped: Option<DroppedOwners>) -> Self {
        self.dropped_owners = match (self.dropped_owners, dropped) {
            (Some(before), Some(dropped)) => Some(before.and(dropped)),
            (before, dropped) => before.or(dropped),
        };
        self
    }

    /// With what a push did not store added.
    pub fn skipping(mut self, skipped: u64) -> Self {
        self.skipped = self.skipped.saturating_add(skipped);
        self
    }

    /// With whether access lists came with a push.
    pub fn listing(mut self, lists: bool) -> Self {
        self.lists |= lists;
        self
    }

    /// With whether the client had all files of a push sent again.
    pub fn ignoring_times(mut self, ignores_times: bool) -> Self {
        self.ignores_times |= ignores_times;
        self
    }

    /// With a push added.
    pub fn adding(mut self, pushed: Pushed, partial: bool) -> Self {
        let place = pushed.place.to_string();
        self.unfinished.retain(|unfinished| *unfinished != place);
        self.pushed.push(pushed);
        self.parts += 1;
        self.partial |= partial;
        self
    }

    /// Whether its sum lacks something.
    pub fn is_partial(&self) -> bool {
        self.partial || !self.unfinished.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn into(place: &str) -> Pushed {
        Pushed { place: SubPath::parse(place).unwrap(), replaces: false, untouched: false }
    }

    #[test]
    fn a_push_that_failed_counts_until_it_is_made_good() {
        let transaction = Transaction::new(DateTime::default())
            .beginning("etc", DateTime::default())
            .adding(into("etc"), false)
            .beginning("home", DateTime::default())
            .beginning("home", DateTime::default());
        assert!(transaction.is_partial());
        assert!(!transaction.adding(into("home"), false).is_partial());
    }

    #[test]
    fn files_of_others_add_up_and_their_owners_may_be_the_same() {
        let dropped = |files, owners, more| Some(DroppedOwners { files, owners, more });
        let transaction = Transaction::new(DateTime::default()).dropping(None).dropping(dropped(2, 2, false)).dropping(None);
        assert_eq!(transaction.dropped_owners, dropped(2, 2, false));
        assert_eq!(transaction.dropping(dropped(5, 1, false)).dropped_owners, dropped(7, 2, true));
    }

    #[test]
    fn pushing_into_it_keeps_no_transaction_open() {
        let (hour, began) = (Duration::from_secs(3600), DateTime::default());
        let transaction = Transaction::new(began).beginning(".", DateTime::default()).adding(into(""), false);
        assert!(!transaction.is_stale(began + TRANSACTION_LIFETIME + hour, hour));
        assert!(transaction.is_stale(began + TRANSACTION_LIFETIME + hour + Duration::from_secs(1), hour));
    }
}
