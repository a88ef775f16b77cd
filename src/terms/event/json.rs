//! Events as lines of JSON.
//!
//! A line is read in two steps: what every event has, and, if kind and version are known, the rest.
//! If the second step fails, the event is unknown. Fields that nobody reads are skipped and never
//! stored, however many a hostile account writes.

use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Body, Deed, Event, Kind, Mail, Push, Restore, Restored, Unknown, Upkeep, VERSION};
use crate::terms::limits::{MAX_KIND, MAX_QUOTED, MAX_REPORTED_TEXT, MAX_SPOOL_NAME};
use crate::terms::text::still_printable;
use crate::terms::{ClientName, Usage};

/// The line of an event.
#[derive(Serialize)]
struct Line<'a> {
    version: u32,
    kind: &'a str,
    id: &'a str,
    at: DateTime<Utc>,
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a ClientName>,
    #[serde(skip_serializing_if = "String::is_empty")]
    summary: String,
    mail: Mail,
    #[serde(flatten)]
    body: Rest<'a>,
}

/// What stands behind it, by kind.
#[derive(Serialize)]
#[serde(untagged)]
enum Rest<'a> {
    Of(&'a super::Connection),
    Push(&'a Push),
    Restore(&'a Restore),
    Upkeep(Inner<'a>),
    Nothing {},
}

/// An upkeep behind the envelope, which has its summary.
#[derive(Serialize)]
struct Inner<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    snapshots: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    others: Option<u64>,
    #[serde(skip_serializing_if = "str::is_empty")]
    why: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    freed: Option<Usage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<&'a Restored>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
}

impl<'a> Inner<'a> {
    fn of(upkeep: &'a Upkeep) -> Self {
        let Upkeep { happened: _, snapshots, others, why, freed, restored, problems } = upkeep;
        let (others, problems) = (Some(*others).filter(|others| *others > 0), Upkeep::first_of(problems, ""));
        Self { snapshots, others, why, freed: *freed, restored: restored.as_ref(), problems }
    }
}

/// What is read of every event.
#[derive(Deserialize)]
struct Envelope {
    version: u32,
    kind: String,
    id: String,
    at: DateTime<Utc>,
    #[serde(default)]
    account: String,
    #[serde(default)]
    client: Option<String>,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    mail: String,
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (version, body) = match &self.body {
            Body::Connection(connection) => (VERSION, Rest::Of(connection)),
            Body::Push(push) => (VERSION, Rest::Push(push)),
            Body::Restore(restore) => (VERSION, Rest::Restore(restore)),
            Body::Upkeep(_, upkeep) => (VERSION, Rest::Upkeep(Inner::of(upkeep))),
            Body::Unknown(unknown) => (unknown.version, Rest::Nothing {}),
        };
        let Self { id, at, account, client, mail, .. } = self;
        Line { version, kind: self.kind(), id, at: *at, account, client: client.as_ref(), summary: self.summary(), mail: *mail, body }
            .serialize(to)
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(from)?;
        read(text.get()).map_err(D::Error::custom)
    }
}

fn read(text: &str) -> serde_json::Result<Event> {
    let Envelope { version, kind, id, at, account, client, summary, mail } = serde_json::from_str(text)?;
    if version == 0 || !is_word(&kind) {
        return Err(serde_json::Error::custom("no version or no kind of an event"));
    }
    let known = Some(kind.as_str()).filter(|_| version == VERSION).and_then(|kind| body(kind, text)?.ok());
    let (is_no_client, client) = match client.map(|name| name.parse()).transpose() {
        Ok(client) => (false, client),
        Err(_) => (true, None),
    };
    let mail = Mail::read(&mail);
    // Ids are names of files, and remembered. An account may write any in its ledger.
    let id = still_printable(&id, MAX_SPOOL_NAME);
    match (known, mail) {
        (Some(body), Some(mail)) if !is_no_client => Ok(Event { id, at, account, client, mail, body }),
        (_, mail) => Ok(Event {
            id,
            at,
            account: still_printable(&account, MAX_QUOTED),
            client,
            // Whoever gets alerts hears of it where a later version has other words.
            mail: mail.unwrap_or(Mail::Alert),
            body: Body::Unknown(Unknown { version, kind, summary: still_printable(&summary, MAX_REPORTED_TEXT) }),
        }),
    }
}

/// Whether it could be the word for a kind.
fn is_word(kind: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !kind.is_empty() && kind.len() <= MAX_KIND && kind.bytes().all(plain)
}

/// `None`: this version does not know the kind.
fn body(kind: &str, text: &str) -> Option<serde_json::Result<Body>> {
    match Deed::read(kind) {
        Some(deed) => Some(serde_json::from_str::<Upkeep>(text).map(|upkeep| Body::Upkeep(deed, Box::new(upkeep.checked())))),
        None => Kind::read(kind).map(|kind| of_a_connection(kind, text)),
    }
}

fn of_a_connection(kind: Kind, text: &str) -> serde_json::Result<Body> {
    Ok(match kind {
        Kind::Connection => Body::Connection(serde_json::from_str(text)?),
        Kind::Push => Body::Push(Box::new(Push { connection: serde_json::from_str(text)?, facts: serde_json::from_str(text)? })),
        Kind::Restore => Body::Restore(Box::new(Restore { connection: serde_json::from_str(text)?, facts: serde_json::from_str(text)? })),
    })
}
