//! The mail about one push.

use std::fmt::Display;

use super::numbers::{duration, files, moment, size};
use super::pieces::{filled, held, hooks, keys, lines, origin, parts, reasons, warnings};
use crate::decide::owners::dropped;
use crate::decide::push::again;
use crate::terms::{Code, Compared, Event, MailSubject, Outcome, PushFacts, Visit};

pub(super) fn subject(visit: Visit<'_>) -> MailSubject {
    let warned = if visit.warnings.is_empty() { "" } else { ", with warnings" };
    MailSubject::new(visit.event.who(), format_args!("{}{warned}", visit.happened()))
}

pub(super) fn body(visit: Visit<'_>) -> String {
    let Event { at, account, .. } = visit.event;
    let mut out = first_line(visit) + "\n\n";
    visit.push.into_iter().for_each(|push| snapshot(&mut out, push));
    let prepared = visit.push.and_then(|push| push.prepared);
    wide(&mut out, "Began:", [moment(prepared.unwrap_or(*at))]);
    wide(&mut out, "Completed:", prepared.map(|_| moment(*at)));
    wide(&mut out, "Client:", [format!("{} (unix account {account})", visit.event.who())]);
    wide(&mut out, "From:", [origin(visit)]);
    wide(&mut out, "Key:", [keys(visit)]);
    wide(&mut out, "Jail:", visit.jail.says());
    held(&mut out, visit);
    reasons(&mut out, &visit.reasons);
    visit.push.into_iter().for_each(|push| parts(&mut out, push));
    hooks(&mut out, &visit.hooks);
    warnings(&mut out, visit);
    out
}

fn first_line(visit: Visit<'_>) -> String {
    let who = visit.event.who();
    let quiet = visit.warnings.is_empty() && visit.reasons.is_empty() && visit.hooks.is_empty() && !visit.partial();
    let published = visit.result == Outcome::Published;
    if visit.held().is_some() {
        return filled(Code::Anomaly.row().headline, visit);
    }
    if published && quiet {
        format!("{who} is backed up. Nothing to do.")
    } else if published && visit.partial() {
        format!("Look into it: {who} is backed up, but not whole.")
    } else if published && !visit.hooks.is_empty() {
        format!("Look into it: {who} is backed up, but a hook failed.")
    } else if visit.result == Outcome::Added && quiet {
        format!("A push of {who} arrived and waits for `complete`. Nothing to do.")
    } else {
        filled(visit.result.row().report, visit)
    }
}

/// The snapshot and its figures.
pub(super) fn snapshot(out: &mut String, push: &PushFacts) {
    wide(out, "Snapshot:", &push.snapshot);
    wide(out, "Place:", push.place.iter().map(|place| format!("{place} inside the snapshot")));
    wide(out, "Received:", [format!("{}, {}", files(push.received), size(push.received_bytes))]);
    wide(out, "Linked:", [format!("{}, unchanged since the snapshot before", files(push.linked))]);
    let carried = || format!("{} of the snapshot before, which this push did not send", files(push.carried));
    let beside = |compared: &Compared| {
        let Compared { with, unchanged, changed, added, gone, .. } = compared;
        format!("{unchanged} unchanged, {changed} changed, {added} added, {gone} gone since {with}")
    };
    wide(out, "Compared:", push.compared.as_ref().map(beside));
    wide(out, "Carried:", (push.carried > 0).then(carried));
    wide(out, "Total:", [format!("{}, {}", files(push.files), size(push.bytes))]);
    wide(out, "Skipped:", (push.skipped > 0).then(|| format!("{}: sockets, FIFOs and devices are not stored", files(push.skipped))));
    wide(out, "Again:", push.stored_again.as_ref().and_then(again::describe));
    wide(out, "Owners:", push.dropped_owners.map(|dropped| format!("{} became the account's", dropped::describe(dropped))));
    wide(out, "Network:", push.wire_bytes.map(size));
    let whole = if push.prepared.is_some() { ", from `prepare` to `complete`" } else { "" };
    wide(out, "Duration:", [format!("{}{whole}", duration(push.seconds))]);
    wide(out, "Free space:", push.free_bytes.map(size));
}

fn wide(out: &mut String, name: &str, values: impl IntoIterator<Item: Display>) {
    lines(out, 11, name, values);
}
