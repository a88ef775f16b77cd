//! The words of mails. The first line says what happened and whether to act; the rest is for whoever does.
//!
//! A subject holds only words of ours and names that were checked where they were made.

use std::fmt::{Display, Write as _};

use chrono::{DateTime, Utc};

use super::notice::{About, Draft, Group};
use super::{again, dropped};
use crate::terms::limits::MAX_SUBJECT;
use crate::terms::text::still_printable;
use crate::terms::{Audience, ClientName, Code, ComposedMail, Outcome, PushFacts, Reason, Record, Verb, printable_lines};

/// Words the mail: `uid` is the account in whose spool it is, `now` stands in it as its date.
pub fn compose(draft: &Draft, uid: u32, now: DateTime<Utc>) -> ComposedMail {
    let (audience, subject, body) = match &draft.about {
        About::Alert(sections) => match sections.as_slice() {
            [one] => (Audience::Alerts, alert_subject(one), alert(one)),
            many => (Audience::Alerts, format!("[snapgate] digest: {}", events(draft.events())), digest(many, draft.events())),
        },
        About::Report(record) => (Audience::Reports, report_subject(record), report(record)),
    };
    let footer = format!("\n-- \nsnapgate, from what the unix account with uid {uid} recorded.\n");
    let body = printable_lines(&body) + &footer;
    let subject = still_printable(&subject, MAX_SUBJECT);
    ComposedMail { seq: draft.seq, uid, created: now, audience, events: draft.events(), subject, body }
}

// ---- subjects

fn alert_subject(section: &Group) -> String {
    let Some((_, sample)) = section.key.as_ref().zip(section.samples.first()) else {
        return "[snapgate] many clients: refusals and failures".to_owned();
    };
    let code = sample.reasons.first().map(|reason| format!(" ({})", reason.code)).unwrap_or_default();
    format!("[snapgate] {}: {}{code}", who(sample), sample.result.as_str())
}

fn report_subject(record: &Record) -> String {
    let snapshot = record.push.as_ref().and_then(|push| push.snapshot.as_deref()).map(|name| format!(" {name}")).unwrap_or_default();
    let partial = record.push.as_ref().is_some_and(|push| push.partial);
    let remark = if partial { ", partial" } else { "" };
    let warned = if record.warnings.is_empty() { "" } else { ", with warnings" };
    format!("[snapgate] {}: {}{snapshot}{remark}{warned}", who(record), record.result.as_str())
}

/// The client's name, or the account's where there is no client.
fn who(record: &Record) -> String {
    record.client.as_ref().map_or_else(|| format!("account {}", record.account), ToString::to_string)
}

// ---- alerts

fn alert(section: &Group) -> String {
    let mut out = String::new();
    let Some(sample) = section.samples.first() else { return format!("{} of which no details were kept.\n", events(section.pending)) };
    if section.key.is_none() {
        let _ = writeln!(out, "{} from more clients, addresses and reasons than can be told apart. Examples:\n", events(section.pending));
    }
    let _ = writeln!(out, "{}\n", first_line(sample));
    facts(&mut out, section, sample);
    reasons(&mut out, &sample.reasons);
    kept(&mut out, sample);
    warnings(&mut out, &sample.warnings);
    let others = section.samples.get(1..).unwrap_or_default();
    if !others.is_empty() {
        let _ = writeln!(out, "\nAlso among them:");
        for other in others {
            let kind = if section.key.is_none() { format!("{}: ", sample_kind(other)) } else { String::new() };
            let _ = writeln!(out, "  {}  {kind}{}", moment(other.at), tried(other));
        }
    }
    out
}

/// What happened and whether to act, in one sentence or two.
fn first_line(record: &Record) -> String {
    let who = who(record);
    let code = record.reasons.first().map(|reason| reason.code);
    match (record.result, code) {
        // First: what was published is a backup, whatever went wrong afterwards.
        (Outcome::Published | Outcome::Added | Outcome::Answered, _) => {
            format!("Look into it: {who} was served ({}), but not everything went well.", record.result.as_str())
        }
        (_, Some(Code::Config)) => format!("Act: {who} cannot back up, because the configuration of this server is not usable."),
        (_, Some(Code::Rsync)) => format!("Act: {who} cannot back up, because rsync does not run on this server."),
        (_, Some(Code::Jail)) => format!("Act: {who} cannot back up, because the kernel of this server cannot confine rsync."),
        (_, Some(Code::Store)) => format!("Act: {who} could not back up, because something is wrong with the store."),
        (_, Some(Code::Clock)) => format!("Act: {who} could not back up, because the clock of this server is before its newest snapshot."),
        (_, Some(Code::Hook)) => format!("Act: {who} could not back up, because a prepare hook said no."),
        (_, Some(Code::Internal)) => format!("Act: {who} could not back up, because of an error inside snapgate."),
        (_, Some(Code::Deadline)) => format!("Look into it: a push of {who} took too long and was ended. No snapshot was made."),
        (Outcome::Refused, Some(Code::Transaction)) => match record.verb {
            Some(verb @ (Verb::Complete | Verb::Abort)) => {
                format!("Look into it: {who} said `{verb}` with no open transaction. Nothing was changed.")
            }
            _ => format!("Look into it: {who} pushed too often in one transaction. Nothing was changed."),
        },
        (Outcome::Unpublished, _) => format!("Look into it: {who} pushed, but what came is no backup and was not published."),
        (Outcome::Failed, _) => format!("Look into it: a push of {who} failed. No snapshot was made."),
        (Outcome::Stopped, _) => stopped(&who, true),
        (Outcome::Busy, _) => format!("No need to act: {who} was told to come again later."),
        (Outcome::Refused, _) => format!("{who} was refused, and nothing was changed. No need to act unless it was legitimate."),
    }
}

/// A night was too short, which the next one may mend.
fn stopped(who: &str, kept: bool) -> String {
    let goes_on = if kept { "What arrived is kept, and the next push goes on from it." } else { "Nothing had arrived that could be kept." };
    format!("No need to act: a push of {who} was ended with its window. {goes_on}")
}

fn facts(out: &mut String, section: &Group, sample: &Record) {
    let _ = writeln!(out, "When:    {}", how_often(section));
    let client = sample.client.as_ref().map_or("not recognised", ClientName::as_str);
    row(out, "Client:", [format!("{client} (unix account {})", sample.account)]);
    row(out, "From:", [origin(sample)]);
    row(out, "Key:", [keys(sample)]);
    row(out, "Tried:", [tried(sample)]);
    row(out, "Exit:", [sample.exit]);
    row(out, "Jail:", sample.jail.says());
}

/// A line for each value: mostly there is one, or none.
fn row(out: &mut String, name: &str, values: impl IntoIterator<Item: Display>) {
    lines(out, 8, name, values);
}

fn lines(out: &mut String, width: usize, name: &str, values: impl IntoIterator<Item: Display>) {
    for value in values {
        let _ = writeln!(out, "{name:<width$} {value}");
    }
}

fn how_often(section: &Group) -> String {
    let earlier = if section.told > 0 { format!(", besides {} told of before", number(section.told)) } else { String::new() };
    if section.pending == 1 {
        format!("once, {}{earlier}", moment(section.last))
    } else {
        format!("{} times, {} to {}{earlier}", number(section.pending), moment(section.first), moment(section.last))
    }
}

fn origin(record: &Record) -> String {
    record.address.as_ref().map_or_else(|| "unknown: sshd did not say".to_owned(), |address| address.to_string())
}

fn keys(record: &Record) -> String {
    if record.keys.is_empty() {
        return "unknown: sshd did not say (ExposeAuthInfo)".to_owned();
    }
    record.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn tried(record: &Record) -> String {
    match (record.command.as_str(), record.verb) {
        ("", Some(verb)) => format!("({verb}, without a command)"),
        ("", None) => "no command".to_owned(),
        (command, _) => command.to_owned(),
    }
}

fn reasons(out: &mut String, reasons: &[Reason]) {
    if reasons.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", if reasons.len() == 1 { "Why:" } else { "Why, every reason:" });
    for reason in reasons {
        let _ = writeln!(out, "  {} (code {})", reason.detail, reason.code);
        if let Some(rule) = &reason.rule {
            let _ = writeln!(out, "    rule:     {rule}");
        }
        if let Some(remedy) = &reason.remedy {
            let _ = writeln!(out, "    {:<9} {remedy}", reason.code.remedied());
        }
    }
}

/// What became of the data of a push that is no snapshot.
fn kept(out: &mut String, record: &Record) {
    if !matches!(record.result, Outcome::Failed | Outcome::Unpublished) {
        return;
    }
    let Some(push) = &record.push else {
        let _ = writeln!(out, "\nNothing was received. Earlier snapshots are as they were.");
        return;
    };
    if push.kept {
        let _ = writeln!(out, "\nWhat was received is kept and will not travel again. Earlier snapshots are as they were.");
    } else {
        let _ = writeln!(out, "\nNothing of it is kept. Earlier snapshots are as they were.");
    }
    let ended = push.rsync_exit.map_or_else(|| "ended by a signal".to_owned(), |exit| format!("exit {exit}"));
    row(out, "rsync:", [format!("{ended} after {}", duration(push.seconds))]);
}

fn warnings(out: &mut String, warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nIn the words of rsync and the gate:");
    for warning in warnings {
        let _ = writeln!(out, "  {warning}");
    }
}

/// One mail for many groups: the list first, then each in full as far as a mail goes.
fn digest(sections: &[Group], total: u64) -> String {
    let mut out = String::new();
    let act = sections.iter().filter_map(|section| section.samples.first()).any(|sample| first_line(sample).starts_with("Act:"));
    let advice = if act { "Act: at least one is a fault of this server." } else { "No need to act unless one of them was legitimate." };
    let _ = writeln!(out, "{} of {} kinds in one mail. {advice}\n", events(total), sections.len());
    for (index, section) in sections.iter().enumerate() {
        let _ = writeln!(out, "{:>3}. {:>6} x {}", index + 1, number(section.pending), kind(section));
    }
    for (index, section) in sections.iter().enumerate() {
        let _ = writeln!(out, "\n{}\n{}. {}\n", "-".repeat(72), index + 1, kind(section));
        out.push_str(&alert(section));
    }
    out
}

fn kind(section: &Group) -> String {
    let Some(sample) = section.samples.first() else { return "no details".to_owned() };
    if section.key.is_none() {
        return "from more clients, addresses and reasons than can be told apart; examples below".to_owned();
    }
    sample_kind(sample)
}

fn sample_kind(record: &Record) -> String {
    let code = record.reasons.first().map(|reason| format!(" ({})", reason.code)).unwrap_or_default();
    format!("{}: {}{code} from {}", who(record), record.result.as_str(), origin(record))
}

// ---- reports

fn report(record: &Record) -> String {
    let mut out = String::new();
    let facts = record.push.clone().unwrap_or_default();
    let _ = writeln!(out, "{}\n", report_line(record, &facts));
    wide(&mut out, "Snapshot:", &facts.snapshot);
    wide(&mut out, "Place:", facts.place.iter().map(|place| format!("{place} inside the snapshot")));
    if record.push.is_some() {
        figures(&mut out, &facts);
    }
    wide(&mut out, "Began:", [moment(record.at)]);
    wide(&mut out, "Client:", [format!("{} (unix account {})", who(record), record.account)]);
    wide(&mut out, "From:", [origin(record)]);
    wide(&mut out, "Key:", [keys(record)]);
    wide(&mut out, "Jail:", record.jail.says());
    reasons(&mut out, &record.reasons);
    warnings(&mut out, &record.warnings);
    out
}

fn report_line(record: &Record, push: &PushFacts) -> String {
    let who = who(record);
    let quiet = record.warnings.is_empty() && record.reasons.is_empty() && !push.partial;
    match record.result {
        Outcome::Published if quiet => format!("{who} is backed up. Nothing to do."),
        Outcome::Published if push.partial && record.reasons.is_empty() => {
            format!("Look into it: {who} is backed up, but not whole. rsync left something out.")
        }
        Outcome::Published if push.partial => format!("Look into it: {who} is backed up, but not whole."),
        Outcome::Published => format!("{who} is backed up, with warnings. Please read them."),
        Outcome::Added if quiet => format!("A push of {who} arrived and waits for `complete`. Nothing to do."),
        Outcome::Stopped => stopped(&who, push.kept),
        other => format!("A push of {who} ended: {}. Please read on.", other.as_str()),
    }
}

fn figures(out: &mut String, push: &PushFacts) {
    wide(out, "Received:", [format!("{}, {}", files(push.received), size(push.received_bytes))]);
    wide(out, "Linked:", [format!("{}, unchanged since the snapshot before", files(push.linked))]);
    wide(out, "Total:", [format!("{}, {}", files(push.files), size(push.bytes))]);
    wide(out, "Skipped:", (push.skipped > 0).then(|| format!("{}: sockets, FIFOs and devices are not stored", files(push.skipped))));
    wide(out, "Again:", push.stored_again.as_ref().and_then(again::told));
    wide(out, "Owners:", push.dropped_owners.map(|dropped| format!("{} became the account's", dropped::told(dropped))));
    wide(out, "Network:", push.wire_bytes.map(size));
    wide(out, "Duration:", [duration(push.seconds)]);
    wide(out, "Free space:", push.free_bytes.map(size));
}

fn wide(out: &mut String, name: &str, values: impl IntoIterator<Item: Display>) {
    lines(out, 11, name, values);
}

// ---- numbers

fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn events(count: u64) -> String {
    if count == 1 { "1 refusal or failure".to_owned() } else { format!("{} refusals and failures", number(count)) }
}

fn files(count: u64) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{} files", number(count)) }
}

/// A number with commas between thousands.
fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A size in the unit that suits it (powers of 1000, as disks are sold) and exactly.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} bytes");
    }
    let mut tenths = bytes / 100;
    let mut unit = "kB";
    for next in UNITS {
        unit = next;
        if tenths < 10_000 {
            break;
        }
        tenths /= 1000;
    }
    format!("{}.{} {unit} ({} bytes)", tenths / 10, tenths % 10, number(bytes))
}

/// Seconds as a person says them.
fn duration(seconds: f64) -> String {
    let whole = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    if whole.as_secs() < 60 {
        return format!("{seconds:.1} s");
    }
    humantime::format_duration(std::time::Duration::from_secs(whole.as_secs())).to_string()
}

/// Records for tests here and beside.
#[cfg(test)]
pub(crate) mod samples;

#[cfg(test)]
#[path = "letter_tests.rs"]
mod tests;
