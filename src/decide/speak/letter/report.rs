//! The mail about one push.

use std::fmt::{Display, Write as _};

use super::numbers::{duration, files, moment, size};
use super::pieces::{happened, hooks, keys, lines, origin, parts, reasons, stopped, warnings, who};
use crate::decide::owners::dropped;
use crate::decide::push::again;
use crate::terms::{Outcome, PushFacts, Record, Verb};

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
    match (record.result, record.verb) {
        (Outcome::Published, _) if quiet => format!("{who} is backed up. Nothing to do."),
        (Outcome::Published, _) if push.partial => format!("Look into it: {who} is backed up, but not whole."),
        (Outcome::Published, _) if !record.hooks.is_empty() => format!("Look into it: {who} is backed up, but a hook failed."),
        (Outcome::Published, _) => format!("{who} is backed up, with warnings. Please read them."),
        (Outcome::Added, _) if quiet => format!("A push of {who} arrived and waits for `complete`. Nothing to do."),
        (Outcome::Answered, Some(Verb::Prepare)) => format!("{who} opened a transaction, with warnings. Please read them."),
        (Outcome::Answered, Some(Verb::Abort)) => format!("{who} discarded its transaction, with warnings. Please read them."),
        (Outcome::Answered, Some(Verb::Rsync)) => format!("{who} tried a push (a dry run), with warnings. Please read them."),
        (Outcome::Answered, _) => format!("{who} asked something and was answered, with warnings. Please read them."),
        (Outcome::Stopped, _) => stopped(record),
        (other, _) => format!("A push of {who} ended: {}. Please read on.", other.as_str()),
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
    wide(out, "Owners:", push.dropped_owners.map(|dropped| format!("{} became the account's", dropped::told(dropped))));
    wide(out, "Network:", push.wire_bytes.map(size));
    let whole = if push.prepared.is_some() { ", from `prepare` to `complete`" } else { "" };
    wide(out, "Duration:", [format!("{}{whole}", duration(push.seconds))]);
    wide(out, "Free space:", push.free_bytes.map(size));
}

fn wide(out: &mut String, name: &str, values: impl IntoIterator<Item: Display>) {
    lines(out, 11, name, values);
}
