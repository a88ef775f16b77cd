//! What other ways than mail are told, in which words, and when one that fails is tried again.
//!
//! Nothing that is as good as a password is in what comes out of here: no URL, no secret.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use hmac_sha256::HMAC;
use serde::{Deserialize, Serialize};

use crate::decide::policy::Site;
use crate::decide::speak::alerts::trimmed;
use crate::decide::speak::states::Notice;
use crate::decide::speak::topic::topic;
use crate::terms::event::BEGINS;
use crate::terms::limits::{MAX_COMMON_DISPATCHES, MAX_DISPATCHES, MAX_QUOTED, MAX_SMALL_DISPATCHES, WAY_PAUSES};
use crate::terms::text::{on_one_line, still_printable};
use crate::terms::{ClientName, ComposedMail, Dispatch, Event, Mail, Outcome, Signal, Tiding, Told, Url, View, Way, What};

/// The version of what a webhook and a program are told. New fields and words need no new one.
const VERSION: u32 = 1;

/// The header that names what is told, the same for each attempt.
pub const ID_HEADER: &str = "Idempotency-Key";

/// The header of the signature.
pub const SIGNATURE_HEADER: &str = "Snapgate-Signature";

/// What an event is about.
pub fn tiding(event: &Event) -> Tiding {
    let is_published = || matches!(event.view(), View::Visit(visit) if visit.result == Outcome::Published);
    topic(event).map_or_else(|| if is_published() { Tiding::Published } else { Tiding::Other }, Tiding::from)
}

/// What a ping says of an event; `None`: it is nothing for a ping.
pub fn signal(event: &Event) -> Option<Signal> {
    let View::Visit(visit) = event.view() else { return None };
    match visit.result {
        Outcome::Started => Some(Signal::Start),
        Outcome::Published if visit.held().is_some() || visit.partial() => Some(Signal::Fail),
        Outcome::Published => Some(Signal::Success),
        // The next one may do better: but this was no backup.
        Outcome::Failed | Outcome::Unpublished | Outcome::Stopped | Outcome::Refused => {
            // A push may end before its rsync begins.
            let is_push = visit.push.is_some() || visit.verb.is_some_and(|verb| verb.row().backs_up);
            is_push.then_some(Signal::Fail)
        }
        Outcome::Busy | Outcome::Added | Outcome::Answered => None,
    }
}

/// What is told of an event, by each way that is wanted. `pings`: whether its client's policy has a URL for that.
pub fn of_event(event: &Event, site: &Site, pings: bool, now: DateTime<Utc>) -> Vec<Dispatch> {
    let is_ping = pings && signal(event).is_some();
    let begins = matches!(event.view(), View::Visit(visit) if visit.result == Outcome::Started);
    let told = !begins && (event.mail != Mail::None || event.push().is_some());
    let ways = [(Way::Webhook, told && wants(site, tiding(event))), (Way::Exec, told && site.exec.is_some()), (Way::Ping, is_ping)];
    let dispatch = |way| Dispatch { way, created: now, what: What::Event(Box::new(trimmed(event.clone()))) };
    ways.into_iter().filter(|(_, wanted)| *wanted).map(|(way, _)| dispatch(way)).collect()
}

/// The same of a notice about a state, which as a mail is this one.
pub fn of_notice(notice: &Notice, mail: &ComposedMail, site: &Site, now: DateTime<Utc>) -> Vec<Dispatch> {
    let tiding = mail.topic.map_or(Tiding::Other, Tiding::from);
    let told = Told {
        id: format!("state-{}-{}", mail.created.timestamp_micros(), notice.number()),
        at: mail.created,
        client: mail.client.clone(),
        tiding: Some(tiding),
        subject: mail.subject.clone(),
        text: mail.body.clone(),
    };
    let ways = [(Way::Webhook, wants(site, tiding)), (Way::Exec, site.exec.is_some())];
    ways.into_iter()
        .filter(|(way, wanted)| *wanted && notice.is_for(*way))
        .map(|(way, _)| Dispatch { way, created: now, what: What::Notice(told.clone()) })
        .collect()
}

/// How much may wait for a way where this is added to it. What a stolen key makes at will leaves room
/// for what gives it away.
pub fn room(what: &What) -> usize {
    let tiding = match what {
        What::Event(event) => Some(tiding(event)),
        What::Notice(told) => told.tiding,
    };
    match (what, tiding) {
        (_, Some(Tiding::Refused | Tiding::Other)) => MAX_SMALL_DISPATCHES,
        (_, Some(Tiding::Published | Tiding::Failed)) | (What::Event(_), Some(Tiding::Quota)) => MAX_COMMON_DISPATCHES,
        (_, Some(Tiding::Held | Tiding::Missed | Tiding::Quota) | None) => MAX_DISPATCHES,
    }
}

fn wants(site: &Site, tiding: Tiding) -> bool {
    site.webhook.is_some() && site.webhook_kinds.contains(&tiding)
}

/// What a webhook and a program are told.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    id: &'a str,
    kind: &'a str,
    host: &'a str,
    at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a ClientName>,
    summary: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a Event>,
}

/// It, as JSON in one line.
///
/// # Errors
/// When it cannot be written so.
pub fn document(what: &What, host: &str) -> Result<String, String> {
    // An account may have written anything into its spool.
    let checked = match what {
        What::Event(event) => What::Event(Box::new(trimmed((**event).clone()))),
        What::Notice(told) => What::Notice(told.clone()),
    };
    let document = match &checked {
        What::Event(event) => Document {
            version: VERSION,
            id: &event.id,
            kind: tiding(event).as_str(),
            host,
            at: event.at,
            client: event.client.as_ref(),
            summary: format!("{}: {}", event.who(), event.summary()),
            text: "",
            event: Some(event),
        },
        What::Notice(told) => Document {
            version: VERSION,
            id: &told.id,
            kind: told.tiding.map_or("test", Tiding::as_str),
            host,
            at: told.at,
            client: told.client.as_ref(),
            summary: told.subject.to_string(),
            text: &told.text,
            event: None,
        },
    };
    serde_json::to_string(&document).map_err(|error| error.to_string())
}

/// The URL of a ping about that client, by a policy's.
pub fn ping(url: &Url, client: &ClientName, signal: Signal) -> Url {
    let url = url.of(client);
    match signal {
        Signal::Success => url,
        Signal::Start | Signal::Fail | Signal::Log => url.below(signal.as_str()),
    }
}

/// What a ping says, besides its URL, where a service shows it.
pub fn ping_text(what: &What) -> String {
    let text = match what {
        What::Event(event) => event.summary(),
        What::Notice(told) => told.subject.to_string(),
    };
    still_printable(&text, MAX_QUOTED) + "\n"
}

/// The value of the header that signs a body at that time: HMAC-SHA256 (RFC 2104) of the time in
/// seconds since 1970, a full stop, and the body.
pub fn signature(secret: &[u8], at: i64, body: &str) -> String {
    let sum = HMAC::mac(format!("{at}.{body}"), secret);
    let digits = sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("t={at},v1={digits}")
}

/// The name in the spool of the end of a push that is begun by a ping with this name; `None`: it is no such beginning.
pub fn end_of(dispatch: &Dispatch) -> Option<&str> {
    dispatch.id().strip_suffix(BEGINS).filter(|_| dispatch.way == Way::Ping)
}

/// A way that fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Since when.
    pub since: DateTime<Utc>,
    /// When it is tried again.
    pub next: DateTime<Utc>,
    /// How often it has failed since.
    pub tries: u32,
    /// Why, the last time.
    pub why: String,
}

/// What is remembered of ways that fail, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Troubles(BTreeMap<String, Trouble>);

impl Troubles {
    /// Whether it is time to try this one.
    pub fn is_due(&self, way: &str, now: DateTime<Utc>) -> bool {
        let longest = WAY_PAUSES.last().copied().unwrap_or_default();
        // A time that is too far ahead is none: the clock was wrong.
        self.0.get(way).is_none_or(|trouble| trouble.next <= now || trouble.next > now + delta(longest))
    }

    /// Whether nothing is known against it.
    pub fn is_well(&self, way: &str) -> bool {
        !self.0.contains_key(way)
    }

    /// It has failed.
    pub fn failed(&mut self, way: &str, why: &str, now: DateTime<Utc>) {
        let tries = self.0.get(way).map_or(0, |trouble| trouble.tries);
        let pause = WAY_PAUSES.get(tries as usize).or(WAY_PAUSES.last()).copied().unwrap_or_default();
        let since = self.0.get(way).map_or(now, |trouble| trouble.since.min(now));
        let trouble = Trouble {
            since,
            next: now + delta(pause),
            tries: tries.saturating_add(1),
            why: still_printable(&on_one_line(why), MAX_QUOTED),
        };
        self.0.insert(way.to_owned(), trouble);
    }

    /// It works.
    pub fn works(&mut self, way: &str) {
        self.0.remove(way);
    }

    /// Forgets those that nothing waits for.
    pub fn retain(&mut self, waits: impl Fn(&str) -> bool) {
        self.0.retain(|way, _| waits(way));
    }

    /// Whether one is known of something that this account had to tell.
    pub fn has_any(&self, uid: u32) -> bool {
        let begins = of_account(uid, "");
        self.0.keys().any(|name| name.starts_with(&begins))
    }

    /// The last failure of a way, or of the first of the pings; before those that one account met.
    pub fn of(&self, way: Way) -> Option<&Trouble> {
        let of_it = |name: &str| name == way.as_str() || name.strip_prefix(way.as_str()).is_some_and(|rest| rest.starts_with(':'));
        let of_one = |name: &str| name.split_once('/').is_some_and(|(_, name)| of_it(name));
        let found = self.0.iter().find(|(name, _)| of_it(name)).or_else(|| self.0.iter().find(|(name, _)| of_one(name)));
        found.map(|(_, trouble)| trouble)
    }
}

/// What a way is called there for one account.
pub fn of_account(uid: u32, name: &str) -> String {
    format!("{uid}/{name}")
}

/// What a way is called there. Pings have a URL for each client.
pub fn name(way: Way, client: Option<&ClientName>) -> String {
    match (way, client) {
        (Way::Ping, Some(client)) => format!("{way}:{client}"),
        (Way::Webhook | Way::Ping | Way::Exec, _) => way.to_string(),
    }
}

fn delta(span: std::time::Duration) -> TimeDelta {
    TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests;
