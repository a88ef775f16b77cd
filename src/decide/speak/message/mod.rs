//! The words of mails. The first line says what happened and whether to act; the rest is for whoever does.
//!
//! A subject holds only words of ours and names that were checked where they were made.

mod numbers;
mod pieces;
mod report;

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use self::numbers::{events, moment, number};
use self::pieces::{facts, filled, happened, hooks, kept, origin, parts, reasons, row, tried, warnings, who};
use super::alerts::{About, Draft, Group};
use crate::terms::limits::MAX_SUBJECT;
use crate::terms::text::still_printable;
use crate::terms::{Audience, Code, ComposedMail, Outcome, Record, Verb, printable_lines};

/// Words the mail: `uid` is the account in whose spool it is, `now` stands in it as its date.
pub fn compose(draft: &Draft, uid: u32, now: DateTime<Utc>) -> ComposedMail {
    let (audience, subject, body) = match &draft.about {
        About::Alert(sections) => match sections.as_slice() {
            [one] => (Audience::Alerts, alert_subject(one), alert(one)),
            many => (Audience::Alerts, format!("[snapgate] digest: {}", events(draft.events())), digest(many, draft.events())),
        },
        About::Report(record) => (Audience::Reports, report::subject(record), report::body(record)),
    };
    let footer = format!("\n-- \nsnapgate, from what the unix account with uid {uid} recorded.\n");
    let body = printable_lines(&body) + &footer;
    let subject = still_printable(&subject, MAX_SUBJECT);
    ComposedMail { seq: draft.seq, uid, created: now, audience, events: draft.events(), subject, body }
}

fn alert_subject(section: &Group) -> String {
    let Some((_, sample)) = section.key.as_ref().zip(section.samples.first()) else {
        return "[snapgate] many clients: refusals and failures".to_owned();
    };
    format!("[snapgate] {}: {}{}", who(sample), happened(sample), coded(sample))
}

/// The code behind it, in brackets.
fn coded(record: &Record) -> String {
    // Not the same word twice.
    let code = record.code().map(|code| code.to_string()).filter(|code| code != record.result.as_str());
    code.map(|code| format!(" ({code})")).unwrap_or_default()
}

fn alert(section: &Group) -> String {
    let mut out = String::new();
    let Some(sample) = section.samples.first() else { return format!("{} of which no details were kept.\n", events(section.pending)) };
    if section.key.is_none() {
        let _ = writeln!(out, "{} from more clients, addresses and reasons than can be told apart. Examples:\n", events(section.pending));
    }
    let _ = writeln!(out, "{}\n", first_line(sample));
    row(&mut out, "When:", [how_often(section)]);
    facts(&mut out, sample);
    let published = sample.push.as_ref().filter(|_| sample.result == Outcome::Published);
    if let Some(push) = published {
        out.push('\n');
        report::snapshot(&mut out, push);
    }
    reasons(&mut out, &sample.reasons);
    kept(&mut out, sample);
    sample.push.iter().for_each(|push| parts(&mut out, push));
    hooks(&mut out, &sample.hooks);
    warnings(&mut out, sample);
    among_them(&mut out, section, sample);
    if section.passing {
        let _ = writeln!(out, "\nSuch things pass by themselves: about this client and kind there is one mail a day at most.");
    }
    out
}

/// Others that are counted with the first: each with its own reason, where that is another.
fn among_them(out: &mut String, section: &Group, first: &Record) {
    let others = section.samples.get(1..).unwrap_or_default();
    if others.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nAlso among them:");
    for other in others {
        let kind = if section.key.is_none() { format!("{}: ", sample_kind(other)) } else { String::new() };
        let from =
            if section.key.is_some() && other.address != first.address { format!("from {}: ", origin(other)) } else { String::new() };
        let _ = writeln!(out, "  {}  {kind}{from}{}", moment(other.at), tried(other));
        let why = |record: &Record| record.reasons.first().and_then(|reason| reason.detail.lines().next().map(str::to_owned));
        if let Some(why) = why(other).filter(|detail| Some(detail) != why(first).as_ref()) {
            let _ = writeln!(out, "    why: {why}");
        }
    }
    let left = section.pending.saturating_sub(section.samples.len() as u64);
    if left > 0 {
        let _ = writeln!(out, "  and {} more", number(left));
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

/// What happened and whether to act, in one sentence or two.
fn first_line(record: &Record) -> String {
    let who = who(record);
    match record.result {
        // What was published is a backup, whatever went wrong afterwards.
        Outcome::Published if record.push.as_ref().is_some_and(|push| push.partial) => {
            let hook = if record.hooks.is_empty() { "" } else { ", and a hook failed" };
            format!("Look into it: {who} is backed up, but not whole{hook}.")
        }
        Outcome::Published if !record.hooks.is_empty() => format!("Act: {who} is backed up, but a hook of this server failed."),
        Outcome::Published | Outcome::Added | Outcome::Answered if record.passing => {
            format!("No need to act: {who} was served ({}). What a session before had left is put right.", happened(record))
        }
        Outcome::Published | Outcome::Added | Outcome::Answered => filled(record.result.row().alert, record),
        Outcome::Refused | Outcome::Busy | Outcome::Failed | Outcome::Stopped | Outcome::Unpublished => in_vain(record),
    }
}

/// The same of a connection that came to nothing: what its code says, or else how it ended.
fn in_vain(record: &Record) -> String {
    let who = who(record);
    if let Some(headline) = record.code().map(|code| code.row().headline).filter(|headline| !headline.is_empty()) {
        return filled(headline, record);
    }
    match record.result {
        Outcome::Refused if record.code() == Some(Code::Transaction) => match record.verb {
            Some(verb @ (Verb::Complete | Verb::Abort)) => {
                format!("Look into it: {who} said `{verb}` with no open transaction. Nothing was changed.")
            }
            None | Some(Verb::Prepare | Verb::Rsync | Verb::Status | Verb::Help) => {
                format!("Look into it: {who} pushed too often in one transaction. Nothing was changed.")
            }
        },
        Outcome::Unpublished if record.verb == Some(Verb::Complete) => {
            format!("Look into it: {who} said `complete`, and what it had pushed was not published.")
        }
        Outcome::Failed if record.passing => {
            filled("No need to act if it comes again by itself: {what} of {who} failed. No snapshot was made.", record)
        }
        Outcome::Refused
        | Outcome::Busy
        | Outcome::Failed
        | Outcome::Stopped
        | Outcome::Published
        | Outcome::Added
        | Outcome::Unpublished
        | Outcome::Answered => filled(record.result.row().alert, record),
    }
}

/// One mail for many groups: the list first, then each in full as far as a mail goes.
fn digest(sections: &[Group], total: u64) -> String {
    let mut out = String::new();
    let any = |how: &str| sections.iter().filter_map(|section| section.samples.first()).any(|sample| first_line(sample).starts_with(how));
    let advice = match () {
        () if any("Act:") => "Act: at least one is a fault of this server.",
        () if any("Look into it:") => "Look into it: not all of them are refusals.",
        () => "No need to act unless one of them was legitimate.",
    };
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
    format!("{}: {}{} from {}", who(record), happened(record), coded(record), origin(record))
}

/// Records for tests here and beside.
#[cfg(test)]
pub(crate) mod samples;

#[cfg(test)]
mod tests;
