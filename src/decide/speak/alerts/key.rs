//! What makes two events the same, and which share mails and groups.

use serde::{Deserialize, Serialize};

use crate::terms::limits::{
    ALERTS_IN_SPAN, FAILURES_IN_SPAN, MAX_CAUSE, MAX_FAILURE_GROUPS, MAX_GROUPS, MAX_PASSING_GROUPS, PASSING_IN_SPAN,
};
use crate::terms::text::still_printable;
use crate::terms::{Body, ClientName, Code, Connection, Deed, Event, Fingerprint, Outcome, Peer, View, Visit};

/// What makes alerts the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// The client, where one was recognised.
    pub client: Option<ClientName>,
    /// Where it came from, where that makes a difference.
    pub address: Option<Peer>,
    /// What it is about, in a word.
    pub code: Option<Code>,
    /// What tells failures of one code apart.
    pub cause: Option<String>,
}

/// What shares mails and groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Failures,
    Refusals,
    Passing,
}

impl Kind {
    /// In the order in which they are told.
    pub(super) const ALL: [Self; 3] = [Self::Failures, Self::Refusals, Self::Passing];

    pub(super) fn of(event: &Event) -> Self {
        match event.view() {
            View::Visit(visit) if visit.passing => Self::Passing,
            // Settings that could not even say who it was are the server's fault.
            View::Visit(visit) if visit.result == Outcome::Refused && (visit.code() != Some(Code::Config) || event.client.is_some()) => {
                Self::Refusals
            }
            // A timer finds it again every hour, until somebody has looked.
            View::Upkeep(_) if matches!(event.body, Body::Upkeep(Deed::Prune | Deed::Maintain, _)) => Self::Passing,
            // A gate writes no event that this version cannot read because of what its client did.
            View::Visit(_) | View::Upkeep(_) | View::Unknown(_) => Self::Failures,
        }
    }

    pub(super) fn groups(self) -> usize {
        match self {
            Self::Failures => MAX_FAILURE_GROUPS,
            Self::Refusals => MAX_GROUPS,
            Self::Passing => MAX_PASSING_GROUPS,
        }
    }

    pub(super) fn mails(self) -> usize {
        match self {
            Self::Failures => FAILURES_IN_SPAN,
            Self::Refusals => ALERTS_IN_SPAN,
            Self::Passing => PASSING_IN_SPAN,
        }
    }
}

impl Key {
    /// What makes events the same. Each cause of a failure is mailed; what a client does by itself
    /// has no address, since whoever has a key may have any number of these.
    pub(super) fn of(event: &Event) -> Self {
        let client = event.client.clone();
        let visit = match event.view() {
            View::Visit(visit) => visit,
            View::Upkeep(upkeep) => {
                let cause = still_printable(&without_numbers(&upkeep.happened, false), MAX_CAUSE);
                return Self { client, address: None, code: None, cause: Some(cause) };
            }
            View::Unknown(unknown) => return Self { client, address: None, code: None, cause: Some(unknown.kind.clone()) },
        };
        let (address, code) = (visit.address.clone(), visit.code());
        match Kind::of(event) {
            Kind::Passing => Self { client, address: None, code, cause: None },
            Kind::Refusals => Self { client, address, code, cause: None },
            Kind::Failures => {
                let anywhere = code.is_some_and(|code| code.row().anywhere);
                Self { client, address: address.filter(|_| !anywhere), code, cause: Some(cause(visit, anywhere)) }
            }
        }
    }
}

/// What tells the events of a group apart for whoever reads of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Apart<'a> {
    words: &'a str,
    keys: &'a [Fingerprint],
    /// Where it came from.
    pub address: Option<&'a Peer>,
    /// The first reason.
    pub why: Option<&'a str>,
}

impl<'a> Apart<'a> {
    /// Of this event.
    pub fn of(event: &'a Event) -> Self {
        match event.view() {
            View::Visit(Visit { connection: Connection { command, keys, address, reasons, .. }, .. }) => {
                Self { words: command, keys, address: address.as_ref(), why: reasons.first().map(|reason| reason.detail.as_str()) }
            }
            View::Upkeep(upkeep) => {
                let why = upkeep.problems.first().map(String::as_str);
                Self { words: &upkeep.happened, keys: &[], address: None, why }
            }
            View::Unknown(unknown) => Self { words: &unknown.summary, keys: &[], address: None, why: None },
        }
    }
}

/// What went wrong, without what may differ each time: numbers (but not exit statuses and signals)
/// and places that a client named.
fn cause(visit: Visit<'_>, of_client: bool) -> String {
    let reasons = visit.reasons.iter().filter(|reason| reason.code != Code::Partial).map(|reason| {
        // A client may end its rsync with any status, and report any: one cause, so that there are
        // few.
        let detail = reason.detail.split(if of_client { " (" } else { "\n" }).next().unwrap_or_default();
        without_numbers(detail, !of_client)
    });
    let hooks = visit.hooks.iter().map(|hook| format!("{} {}: {}", hook.hook, hook.command, hook.how));
    let partial = visit.partial().then(|| "not whole".to_owned());
    let held = visit.held().map(|_| "held".to_owned());
    let cause = reasons.chain(held).chain(hooks).chain(partial).collect::<Vec<_>>().join("; ");
    still_printable(&cause, MAX_CAUSE)
}

fn without_numbers(text: &str, keeps_ends: bool) -> String {
    let mut out = String::new();
    let mut before = "";
    for piece in text.split_inclusive([' ', '/', '`']) {
        let word = piece.trim_end_matches([' ', '/', '`']);
        let is_end = keeps_ends && ["status", "signal"].contains(&before);
        let same = is_end || !word.contains(|character: char| character.is_ascii_digit());
        out.push_str(if same { word } else { "#" });
        out.push(' ');
        before = word;
    }
    out
}
