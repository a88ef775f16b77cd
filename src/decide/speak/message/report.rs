//! The mail about one push.

use std::fmt::{Display, Write as _};

use super::numbers::{duration, files, moment, size};
use super::pieces::{filled, happened, hooks, keys, lines, origin, parts, reasons, warnings, who};
use crate::decide::owners::dropped;
use crate::decide::push::again;
use crate::terms::{Outcome, PushFacts, Record};

pub(super) fn subject(record: &Record) -> String {
    let warned = if record.warnings.is_empty() { "" } else { ", with warnings" };
    format!("[snapgate] {}: {}{warned}", who(record), happened(record))
}

pub(super) fn body(record: &Record) -> String {
    let mut out = String::new();
    let facts = record.push.clone().unwrap_or_default();
    let _ = writeln!(out, "{}\n", line(record, &facts));
    if record.push.is_some() {
        snapshot(&mut out, &facts);
    }
    wide(&mut out, "Began:", [moment(facts.prepared.unwrap_or(record.at))]);
    wide(&mut out, "Completed:", facts.prepared.map(|_| moment(record.at)));
    wide(&mut out, "Client:", [format!("{} (unix account {})", who(record), record.account)]);
    wide(&mut out, "From:", [origin(record)]);
    wide(&mut out, "Key:", [keys(record)]);
    wide(&mut out, "Jail:", record.jail.says());
    reasons(&mut out, &record.reasons);
    parts(&mut out, &facts);
    hooks(&mut out, &record.hooks);
    warnings(&mut out, record);
    out
}

fn line(record: &Record, push: &PushFacts) -> String {
    let who = who(record);
    let quiet = record.warnings.is_empty() && record.reasons.is_empty() && record.hooks.is_empty() && !push.partial;
    match record.result {
        Outcome::Published if quiet => format!("{who} is backed up. Nothing to do."),
        Outcome::Published if push.partial => format!("Look into it: {who} is backed up, but not whole."),
        Outcome::Published if !record.hooks.is_empty() => format!("Look into it: {who} is backed up, but a hook failed."),
        Outcome::Added if quiet => format!("A push of {who} arrived and waits for `complete`. Nothing to do."),
        Outcome::Refused
        | Outcome::Busy
        | Outcome::Failed
        | Outcome::Stopped
        | Outcome::Published
        | Outcome::Added
        | Outcome::Unpublished
        | Outcome::Answered => filled(record.result.row().report, record),
    }
}

/// The snapshot and its figures.
pub(super) fn snapshot(out: &mut String, push: &PushFacts) {
    wide(out, "Snapshot:", &push.snapshot);
    wide(out, "Place:", push.place.iter().map(|place| format!("{place} inside the snapshot")));
    wide(out, "Received:", [format!("{}, {}", files(push.received), size(push.received_bytes))]);
    wide(out, "Linked:", [format!("{}, unchanged since the snapshot before", files(push.linked))]);
    let carried = || format!("{} of the snapshot before, which this push did not send", files(push.carried));
    wide(out, "Carried:", (push.carried > 0).then(carried));
    wide(out, "Total:", [format!("{}, {}", files(push.files), size(push.bytes))]);
    wide(out, "Skipped:", (push.skipped > 0).then(|| format!("{}: sockets, FIFOs and devices are not stored", files(push.skipped))));
    wide(out, "Again:", push.stored_again.as_ref().and_then(again::told));
    wide(out, "Owners:", push.dropped_owners.map(|dropped| format!("{} became the account's", dropped::describe(dropped))));
    wide(out, "Network:", push.wire_bytes.map(size));
    let whole = if push.prepared.is_some() { ", from `prepare` to `complete`" } else { "" };
    wide(out, "Duration:", [format!("{}{whole}", duration(push.seconds))]);
    wide(out, "Free space:", push.free_bytes.map(size));
}

fn wide(out: &mut String, name: &str, values: impl IntoIterator<Item: Display>) {
    lines(out, 11, name, values);
}
