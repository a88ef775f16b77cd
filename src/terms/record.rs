//! What is recorded of a push: its figures, and what held its rsync.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::beside::Part;
use super::compared::{Brake, Compared};

/// What held the rsync of a connection, or would have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Jail {
    /// All that there is.
    #[default]
    Whole,
    /// All but namespaces, so that rsync saw the server's own files.
    WithoutNamespaces,
    /// Nothing: the site file says `jail: off`.
    Off,
}

impl Jail {
    /// The word in ledgers and logs; `None` where there is nothing to say.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::WithoutNamespaces => Some("without-namespaces"),
            Self::Off => Some("off"),
        }
    }

    /// The words in mails and in a run's log; `None` where there is nothing to say.
    pub fn says(self) -> Option<&'static str> {
        match self {
            Self::Whole => None,
            Self::WithoutNamespaces => Some("a weaker one, without namespaces"),
            Self::Off => Some("off, by the site file"),
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a field over by reference")]
    pub(crate) fn is_whole(&self) -> bool {
        *self == Self::Whole
    }
}

/// What a push did. Counts are of what stands on the disk; bytes are bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PushFacts {
    /// The snapshot's name, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// When it was published. What changes in it later is not the gate's work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<DateTime<Utc>>,
    /// Where inside the snapshot, when it was not the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Seconds from the start of the connection to the end of rsync.
    pub seconds: f64,
    /// rsync's exit status on the server; `None` where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsync_exit: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rsync_signal: Option<i32>,
    /// When `prepare` came, where `complete` published what several pushes brought, or did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<DateTime<Utc>>,
    /// These pushes, the last ones; no rsync ran for `complete` itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// How many there were before them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earlier_parts: u64,
    /// Files in the snapshot (everything that is not a directory).
    pub files: u64,
    /// Of these, how many share their inode with the previous snapshot.
    pub linked: u64,
    /// Of these, how many came over the network, in whole or in part.
    pub received: u64,
    /// Files that did not come with the push and were carried over from the snapshot before
    /// (`partial_pushes: merge`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub carried: u64,
    /// Sum of the sizes of all files.
    pub bytes: u64,
    /// Sum of the sizes of the files that were received.
    pub received_bytes: u64,
    /// Bytes that rsync read from the network, where it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wire_bytes: Option<u64>,
    /// Bytes free on the store afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// Whether what arrived was not published and is kept for the next try.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
    /// Whether it used what earlier pushes had received that did not finish.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
    /// Whether rsync left something out (its 23).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
    /// Sockets, FIFOs and devices of the client's that are not stored.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped: u64,
    /// Files that were stored again although they stand in the snapshot before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_again: Option<StoredAgain>,
    /// Files and directories received with an owner or group beyond the ids that are kept, or with
    /// one in an access list: they have the last of these instead.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beyond: u64,
    /// Files of others that became the account's, where no owners are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_owners: Option<DroppedOwners>,
    /// What the snapshot before has and this one has not, where that is much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
    /// Its files beside those of the last good snapshot before, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compared: Option<Compared>,
    /// Why it is held (`anomaly:`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Brake>,
}

/// What one snapshot has and the next one has not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// The first names at the top, printable; none where files are gone here and there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// How many names there are besides.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub others: u64,
    /// Files.
    pub files: u64,
    /// Whether there may be more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// Whether they are outside of the push's place, so that it could not have brought them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outside: bool,
}

/// Regular files that stand in the snapshot before as well, in the same place and with the same
/// content, and have no link to it. Counted by what differs; a file may differ in several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StoredAgain {
    /// How many files.
    pub files: u64,
    /// Those that do not differ.
    pub same: u64,
    /// Those of the same size and time that have other content all the same.
    pub content: u64,
    /// Those with another mode.
    pub mode: u64,
    /// With another owner or group.
    pub owner: u64,
    /// With another time of modification.
    pub times: u64,
    /// With another access list.
    pub access_list: u64,
    /// With other extended attributes.
    pub attributes: u64,
    /// Whether there may be more.
    pub more: bool,
}

impl StoredAgain {
    /// Those of two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            files: self.files + other.files,
            same: self.same + other.same,
            content: self.content + other.content,
            mode: self.mode + other.mode,
            owner: self.owner + other.owner,
            times: self.times + other.times,
            access_list: self.access_list + other.access_list,
            attributes: self.attributes + other.attributes,
            more: self.more || other.more,
        }
    }
}

/// Regular files that were received and are the account's, though they were not at the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedOwners {
    /// How many files.
    pub files: u64,
    /// How many owners they had at the client.
    pub owners: u64,
    /// Whether there may be more of either.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl DroppedOwners {
    /// Those of two pushes. Some owners may be the same; the greater number is safe.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let more = self.more || other.more || (self.owners > 0 && other.owners > 0);
        Self { files: self.files.saturating_add(other.files), owners: self.owners.max(other.owners), more }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a field over by reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
