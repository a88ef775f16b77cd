//! Events: what is recorded in the ledger, the spool and syslog, and what mails are made from.
//!
//! Every event has the same envelope, and a body by its kind. What is done to history on this machine
//! is a row of [`Deed`]. Another new kind is a row of [`Kind`] and a value of [`Body`]; the compiler
//! asks for the rest.

mod json;
mod upkeep;

use std::ops::Deref;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::beside::FailedHook;
use super::client::ClientName;
use super::compared::Brake;
use super::key::Fingerprint;
use super::outcome::Outcome;
use super::peer::Peer;
use super::reason::{Code, Reason};
use super::record::{Jail, PushFacts};
use super::restored::RestoreFacts;
use super::verb::Verb;
use super::word::{table, words};

pub use upkeep::{Deed, Restored, Upkeep};

/// The version of the format. Raise it when a reader would misread a field; new kinds, words and
/// fields need no new version. The envelope ([`Event`], `kind` and `summary`) means the same in
/// every version.
pub const VERSION: u32 = 1;

/// What the id of a push that begins has behind that of its end.
pub const BEGINS: &str = "-0";

/// Something that happened. Every text in it that came from a client has been made printable.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unique and in order of time: the start in microseconds, the process, a counter.
    pub id: String,
    /// When it began.
    pub at: DateTime<Utc>,
    /// The unix account.
    pub account: String,
    /// The client, where one was recognised.
    pub client: Option<ClientName>,
    /// The mail that it asks for.
    pub mail: Mail,
    /// The rest, by its kind.
    pub body: Body,
}

table! {
    /// What an event of a connection is about: its `kind`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Kind {
        /// A connection that stored nothing: refused, failed before its rsync began, or answered.
        Connection = "connection",
        /// A connection whose rsync ran, or whose `complete` ended a transaction, with what was
        /// pushed.
        Push = "push",
        /// A connection that read snapshots (the verbs `restore`, `browse` and `history`), with what it
        /// was sent.
        Restore = "restore",
    }
}

/// What an event says by its kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// See [`Kind::Connection`].
    Connection(Box<Connection>),
    /// See [`Kind::Push`].
    Push(Box<Push>),
    /// See [`Kind::Restore`].
    Restore(Box<Restore>),
    /// What was done to history on this machine.
    Upkeep(Deed, Box<Upkeep>),
    /// What only a later version can read. It is kept, shown and mailed by what every event says.
    Unknown(Unknown),
}

/// A connection, ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// How it ended.
    pub result: Outcome,
    /// The exit code that the client saw.
    pub exit: u8,
    /// The peer's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Peer>,
    /// Whether it came from this machine by `snapgate rsh`, and not by way of sshd.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub local: bool,
    /// The keys that were used to log in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Fingerprint>,
    /// What was asked for, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<Verb>,
    /// The command as it came, made printable and cut.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    /// Every rule that said no, or what went wrong. The first one's code is the connection's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// What somebody should look at although the connection did what it was for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Hooks that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<FailedHook>,
    /// Whether all that went wrong passes by itself: there is no more than one mail a day about it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passing: bool,
    /// The newest snapshot, in alerts: since when nothing has come through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
    /// What held rsync, or would have.
    #[serde(default, skip_serializing_if = "Jail::is_whole")]
    pub jail: Jail,
}

/// A connection that pushed. In JSON the fields of both stand side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Push {
    /// The connection.
    #[serde(flatten)]
    pub connection: Connection,
    /// What it pushed.
    #[serde(flatten)]
    pub facts: PushFacts,
}

/// A connection that read snapshots. In JSON the fields of both stand side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Restore {
    /// The connection.
    #[serde(flatten)]
    pub connection: Connection,
    /// What it was sent.
    #[serde(flatten)]
    pub facts: RestoreFacts,
}

/// An event of another kind or version, or with words that this version does not know. Printable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unknown {
    /// The version that it is written in.
    pub version: u32,
    /// Its kind, a word.
    pub kind: String,
    /// What happened, in a few words; empty where it does not say.
    pub summary: String,
}

words! {
    /// The mail that an event asks for.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Mail {
        /// None.
        None = "none",
        /// To `to:`, at once, then coalesced.
        Alert = "alert",
        /// To `reports_to:`, one for each.
        Report = "report",
        /// Both.
        Both = "both",
    }
}

/// An event as those see it who speak of it: several kinds may be spoken of alike.
#[derive(Debug, Clone, Copy)]
pub enum View<'a> {
    /// A connection, whether it pushed or not.
    Visit(Visit<'a>),
    /// What was done to history on this machine.
    Upkeep(&'a Upkeep),
    /// What this version cannot read.
    Unknown(&'a Unknown),
}

/// A connection with what every event says, and what it pushed.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// The event.
    pub event: &'a Event,
    /// Its connection; the fields are reached through the view as well.
    pub connection: &'a Connection,
    /// What it pushed.
    pub push: Option<&'a PushFacts>,
    /// What it was sent.
    pub restore: Option<&'a RestoreFacts>,
}

impl Event {
    /// Its kind, in a word.
    pub fn kind(&self) -> &str {
        match &self.body {
            Body::Connection(_) => Kind::Connection.as_str(),
            Body::Push(_) => Kind::Push.as_str(),
            Body::Restore(_) => Kind::Restore.as_str(),
            Body::Upkeep(deed, _) => deed.as_str(),
            Body::Unknown(unknown) => &unknown.kind,
        }
    }

    /// For whoever speaks of it.
    pub fn view(&self) -> View<'_> {
        match &self.body {
            Body::Connection(connection) => View::Visit(Visit { event: self, connection, push: None, restore: None }),
            Body::Push(push) => View::Visit(Visit { event: self, connection: &push.connection, push: Some(&push.facts), restore: None }),
            Body::Restore(restore) => {
                View::Visit(Visit { event: self, connection: &restore.connection, push: None, restore: Some(&restore.facts) })
            }
            Body::Upkeep(_, upkeep) => View::Upkeep(upkeep),
            Body::Unknown(unknown) => View::Unknown(unknown),
        }
    }

    /// What was pushed.
    pub fn push(&self) -> Option<&PushFacts> {
        match self.view() {
            View::Visit(visit) => visit.push,
            View::Upkeep(_) | View::Unknown(_) => None,
        }
    }

    /// The client's name, or the account's where there is no client.
    pub fn who(&self) -> String {
        self.client.as_ref().map_or_else(|| format!("account {}", self.account), ToString::to_string)
    }

    /// What happened, in a few words, for those as well who do not know its kind.
    pub fn summary(&self) -> String {
        match self.view() {
            View::Visit(visit) => visit.summary(),
            View::Upkeep(upkeep) => upkeep.happened.clone(),
            View::Unknown(unknown) => unknown.summary.clone(),
        }
    }
}

impl Body {
    /// Of a connection, and of what it pushed or was sent.
    pub fn of(connection: Connection, push: Option<PushFacts>, restore: Option<RestoreFacts>) -> Self {
        match (push, restore) {
            (None, None) => Self::Connection(Box::new(connection)),
            (None, Some(facts)) => Self::Restore(Box::new(Restore { connection, facts })),
            (Some(facts), _) => Self::Push(Box::new(Push { connection, facts })),
        }
    }

    /// The same kind of upkeep with other words; what is none stays as it is.
    #[must_use]
    pub fn with(&self, upkeep: Upkeep) -> Self {
        match self {
            Self::Upkeep(deed, _) => Self::Upkeep(*deed, Box::new(upkeep)),
            Self::Connection(_) | Self::Push(_) | Self::Restore(_) | Self::Unknown(_) => self.clone(),
        }
    }

    /// The connection, what it pushed, and what it was sent.
    pub fn visit_mut(&mut self) -> Option<(&mut Connection, Option<&mut PushFacts>, Option<&mut RestoreFacts>)> {
        match self {
            Self::Connection(connection) => Some((connection, None, None)),
            Self::Push(push) => {
                let Push { connection, facts } = &mut **push;
                Some((connection, Some(facts), None))
            }
            Self::Restore(restore) => {
                let Restore { connection, facts } = &mut **restore;
                Some((connection, None, Some(facts)))
            }
            Self::Upkeep(..) | Self::Unknown(_) => None,
        }
    }
}

impl Deref for Visit<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl Visit<'_> {
    /// What it is about: the first reason's code, or that of what went wrong although it was
    /// served.
    pub fn code(&self) -> Option<Code> {
        let first = self.reasons.first().map(|reason| reason.code);
        let hook = (!self.hooks.is_empty()).then_some(Code::Hook);
        let cut_off = self.passing.then_some(Code::Interrupted);
        let held = self.held().map(|_| Code::Anomaly);
        first.or(held).or(hook).or(self.partial().then_some(Code::Partial)).or(cut_off)
    }

    /// Whether rsync left something out.
    pub fn partial(&self) -> bool {
        self.push.is_some_and(|push| push.partial)
    }

    /// Why its snapshot is held, if it is.
    pub fn held(&self) -> Option<&Brake> {
        self.push.and_then(|push| push.held.as_ref())
    }

    /// How it ended, in a few words.
    pub fn happened(&self) -> String {
        match (self.result, self.verb) {
            (Outcome::Published, _) => {
                let name = self.push.and_then(|push| push.snapshot.as_deref()).map(|name| format!(" {name}")).unwrap_or_default();
                let partial = if self.partial() { ", partial" } else { "" };
                let hook = if self.hooks.is_empty() { "" } else { ", but a hook failed" };
                let held = if self.held().is_some() { ", held" } else { "" };
                format!("published{name}{partial}{held}{hook}")
            }
            (Outcome::Answered, Some(Verb::Restore)) if self.restore.is_some_and(|restore| restore.snapshots.is_empty()) => {
                "snapshots listed".to_owned()
            }
            (Outcome::Answered, Some(Verb::Restore)) if self.restore.is_some() => {
                let from = self.restore.map(|restore| restore.snapshots.as_slice()).unwrap_or_default();
                let more = if from.len() > 3 { " and others" } else { "" };
                format!("restored from {}{more}", from.get(..3).unwrap_or(from).join(", "))
            }
            (Outcome::Answered, Some(verb)) => verb.row().answered.to_owned(),
            (result, _) => result.to_string(),
        }
    }

    /// The same, with the code behind it, but not the same word twice.
    pub fn summary(&self) -> String {
        let code = self.code().map(Code::as_str).filter(|code| *code != self.result.as_str());
        self.happened() + &code.map(|code| format!(" ({code})")).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
