//! What is remembered of a connection. One value is the ledger's line, the log's line and the mail's source.

use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::beside::{FailedHook, Part};
use super::client::ClientName;
use super::key::Fingerprint;
use super::outcome::Outcome;
use super::peer::Peer;
use super::reason::{Code, Reason};
use super::verb::Verb;

/// One connection, ended. Every text in it that came from a client has been made printable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Unique and in order of time: the start in microseconds, the process, a counter.
    pub id: String,
    /// When the connection began.
    pub at: DateTime<Utc>,
    /// How it ended.
    pub result: Outcome,
    /// The exit code that the client saw.
    pub exit: u8,
    /// The unix account.
    pub account: String,
    /// The client, where one was recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientName>,
    /// The peer's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Peer>,
    /// The keys that were used to log in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Fingerprint>,
    /// What was asked for, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<Verb>,
    /// The command as it came, made printable and cut.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// Every rule that said no, or what went wrong. The first one's code is the record's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// What a push did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushFacts>,
    /// What somebody should look at although the connection did what it was for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Hooks that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<FailedHook>,
    /// Whether all that went wrong passes by itself: there is no more than one mail a day about it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
    /// The newest snapshot, where there is an alert about a client that has some: how long it has not come through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// What held rsync. Lines of earlier releases say `"unjailed":true` where nothing did.
    #[serde(default, skip_serializing_if = "Jail::is_whole", alias = "unjailed")]
    pub jail: Jail,
    /// The mail that the record asks for.
    pub mail: Mail,
}

impl Record {
    /// What it is about, in a word: the first reason's, or that of what went wrong although the connection did what it was for.
    pub fn code(&self) -> Option<Code> {
        let partial = self.push.as_ref().is_some_and(|push| push.partial);
        let first = self.reasons.first().map(|reason| reason.code);
        let hook = (!self.hooks.is_empty()).then_some(Code::Hook);
        let cut_off = self.passing.then_some(Code::Interrupted);
        first.or(hook).or(partial.then_some(Code::Partial)).or(cut_off)
    }
}

/// What held the rsync of a connection, or would have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    const LESS: [Self; 2] = [Self::WithoutNamespaces, Self::Off];

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

impl Serialize for Jail {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.word().serialize(to)
    }
}

impl<'de> Deserialize<'de> for Jail {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Unjailed(bool),
            Word(String),
        }
        Ok(match Written::deserialize(from)? {
            Written::Unjailed(unjailed) => {
                if unjailed {
                    Self::Off
                } else {
                    Self::Whole
                }
            }
            Written::Word(word) => {
                let found = Self::LESS.into_iter().find(|jail| jail.word() == Some(word.as_str()));
                found.ok_or_else(|| D::Error::custom(format!("`{word}` is no jail")))?
            }
        })
    }
}

/// The mail that a record asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mail {
    /// None.
    None,
    /// To `to:`, at once, then coalesced.
    Alert,
    /// To `reports_to:`, one for each.
    Report,
    /// Both.
    Both,
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
    /// Files that did not come with the push and were carried over from the snapshot before (`partial_pushes: merge`).
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
    /// Files and directories received with an owner or group beyond the ids that are kept, or with one in an access list: they have the
    /// last of these instead.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beyond: u64,
    /// Files of others that became the account's, where no owners are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_owners: Option<DroppedOwners>,
    /// What the snapshot before has and this one has not, where that is much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Lost>,
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
    /// Whether they stood outside of the place that the push went into, so that it could not have brought them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub outside: bool,
}

/// Regular files that stand in the snapshot before as well, in the same place and with the same content, and have no link to it. Counted by what
/// differs; a file may differ in several.
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
    /// Those of two pushes. Some of their owners may be the same, and the greater number is a safe one.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_held_rsync_and_one_of_an_earlier_release_is_read() {
        let line = |jail: &str| {
            format!(r#"{{"id":"1","at":"2026-11-21T02:00:00Z","result":"answered","exit":0,"account":"web1"{jail},"mail":"none"}}"#)
        };
        let read = |jail: &str| serde_json::from_str::<Record>(&line(jail));
        for (written, jail) in
            [("", Jail::Whole), (r#","jail":"without-namespaces""#, Jail::WithoutNamespaces), (r#","jail":"off""#, Jail::Off)]
        {
            let record = read(written).unwrap();
            assert_eq!(record.jail, jail);
            assert_eq!(serde_json::to_string(&record).unwrap(), line(written));
        }
        assert_eq!(read(r#","unjailed":true"#).unwrap().jail, Jail::Off);
        assert_eq!(read(r#","unjailed":false"#).unwrap().jail, Jail::Whole);
        assert!(read(r#","jail":"some""#).is_err() && read(r#","jail":null"#).is_err());
    }
}
