//! The texts of mails. The first line says what happened and whether to act; the rest has the
//! details.
//!
//! A subject holds only words of ours, names that were checked where they were made, and what an
//! unknown event says of itself, printable and cut.

mod numbers;
mod pieces;
mod report;
mod upkeep;

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use self::numbers::{events, moment, number};
use self::pieces::{client, facts, filled, held, hooks, kept, origin, parts, reasons, row, tried, warnings};
use super::alerts::{About, Apart, Draft, Group};
use super::topic;
use crate::terms::{
    Audience, ClientName, Code, ComposedMail, Event, MailSubject, Outcome, Topic, Unknown, Verb, View, Visit, footer, printable_lines,
};

/// Words the mail: `uid` is the account in whose spool it is, `now` stands in it as its date.
pub fn compose(draft: &Draft, uid: u32, now: DateTime<Utc>) -> ComposedMail {
    let (audience, subject, body) = match &draft.about {
        About::Alert(sections) => match sections.as_slice() {
            [one] => (Audience::Alerts, alert_subject(one), alert(one)),
            many => (Audience::Alerts, MailSubject::new("digest", events(draft.events())), digest(many, draft.events())),
        },
        About::Report(event) => match event.view() {
            View::Visit(visit) => (Audience::Reports, report::subject(visit), report::body(visit)),
            View::Upkeep(about) => (Audience::Reports, subject(event), upkeep::body(event, about, None)),
            View::Unknown(about) => (Audience::Reports, subject(event), unknown(event, about, None)),
        },
    };
    let body = printable_lines(&body) + &footer(uid);
    let (client, topic) = whose(&draft.about);
    ComposedMail {
        seq: draft.seq,
        uid,
        created: now,
        audience,
        events: draft.events(),
        subject,
        body,
        client,
        topic,
        thread: None,
        page: None,
    }
}

/// The one client that it is about, if it is about one alone, and what of it.
fn whose(about: &About) -> (Option<ClientName>, Option<Topic>) {
    let sections = match about {
        About::Report(event) => return (event.client.clone(), None),
        About::Alert(sections) => sections,
    };
    let samples = || sections.iter().flat_map(|section| &section.samples);
    let client = samples().next().and_then(|first| first.client.clone());
    // A common group may have events of others than of those that it shows.
    let is_alone = sections.iter().all(|section| section.key.is_some()) && samples().all(|sample| sample.client == client);
    let topic = match sections.as_slice() {
        [one] => Some(topic(one)),
        _ => None,
    };
    (client.filter(|_| is_alone), topic)
}

/// All of a group of its own are about the same; in a common one is anything.
fn topic(section: &Group) -> Topic {
    let of_all = section.samples.first().filter(|_| section.key.is_some()).and_then(topic::topic);
    of_all.unwrap_or(if section.is_of_refusals() { Topic::Refused } else { Topic::Failed })
}

fn alert_subject(section: &Group) -> MailSubject {
    match section.samples.first() {
        Some(sample) if section.key.is_some() => subject(sample),
        _ => MailSubject::new("many clients", "refusals and failures"),
    }
}

fn subject(event: &Event) -> MailSubject {
    MailSubject::new(event.who(), summary(event))
}

/// What happened, in a few words.
fn summary(event: &Event) -> String {
    match event.view() {
        View::Visit(visit) => visit.summary(),
        View::Upkeep(upkeep) => upkeep.happened.clone(),
        View::Unknown(Unknown { kind, summary, .. }) if summary.is_empty() => kind.clone(),
        View::Unknown(Unknown { kind, summary, .. }) => format!("{kind}: {summary}"),
    }
}

fn alert(section: &Group) -> String {
    let Some(sample) = section.samples.first() else { return format!("{} of which no details were kept.\n", events(section.pending)) };
    let mut out = String::new();
    if section.key.is_none() {
        let _ = writeln!(out, "{} from more clients, addresses and reasons than can be told apart. Examples:\n", events(section.pending));
    }
    out += &match sample.view() {
        View::Visit(visit) => connection(visit, section),
        View::Upkeep(about) => upkeep::body(sample, about, Some(section)),
        View::Unknown(about) => unknown(sample, about, Some(section)),
    };
    among_them(&mut out, section, sample);
    if section.passing {
        let _ = writeln!(out, "\nSuch things pass by themselves: about this client and kind there is one mail a day at most.");
    }
    out
}

fn connection(visit: Visit<'_>, section: &Group) -> String {
    let mut out = first_line(visit) + "\n\n";
    row(&mut out, "When:", [how_often(section)]);
    facts(&mut out, visit);
    if let Some(push) = visit.push.filter(|_| visit.result == Outcome::Published) {
        out.push('\n');
        report::snapshot(&mut out, push);
    }
    held(&mut out, visit);
    reasons(&mut out, &visit.reasons);
    kept(&mut out, visit);
    visit.push.into_iter().for_each(|push| parts(&mut out, push));
    hooks(&mut out, &visit.hooks);
    warnings(&mut out, visit);
    out
}

/// All that can be said of an event that only a later version can read.
fn unknown(event: &Event, about: &Unknown, section: Option<&Group>) -> String {
    let mut out = format!("Look into it: {} has a `{}` event that this version of snapgate cannot read.\n\n", event.who(), about.kind);
    row(&mut out, "When:", [section.map_or_else(|| moment(event.at), how_often)]);
    client(&mut out, event);
    row(&mut out, "Kind:", [format!("{}, in version {} of the format", about.kind, about.version)]);
    row(&mut out, "Says:", Some(&about.summary).filter(|summary| !summary.is_empty()));
    row(&mut out, "Id:", [&event.id]);
    out += "\nThe gate that wrote it is newer than this program, or its line is damaged. The ledger has all of it.\n";
    out
}

/// Others that are counted with the first: each with its own reason, where that is another.
fn among_them(out: &mut String, section: &Group, first: &Event) {
    let others = section.samples.get(1..).unwrap_or_default();
    if others.is_empty() {
        return;
    }
    let why = |event| Apart::of(event).why.and_then(|detail| detail.lines().next());
    let _ = writeln!(out, "\nAlso among them:");
    for other in others {
        let kind = if section.key.is_none() { format!("{}: ", sample_kind(other)) } else { String::new() };
        let moved = section.key.is_some() && Apart::of(other).address != Apart::of(first).address;
        let said = match other.view() {
            View::Visit(visit) if moved => format!("from {}: {}", origin(visit), tried(visit)),
            View::Visit(visit) => tried(visit),
            View::Upkeep(_) | View::Unknown(_) => other.summary(),
        };
        let _ = writeln!(out, "  {}  {kind}{said}", moment(other.at));
        if let Some(why) = why(other).filter(|detail| Some(*detail) != why(first)) {
            let _ = writeln!(out, "    why: {why}");
        }
    }
    let left = section.pending.saturating_sub(section.samples.len() as u64);
    if left > 0 {
        let _ = writeln!(out, "  and {} more", number(left));
    }
}

fn how_often(section: &Group) -> String {
    let earlier = if section.reported > 0 { format!(", besides {} told of before", number(section.reported)) } else { String::new() };
    if section.pending == 1 {
        format!("once, {}{earlier}", moment(section.last))
    } else {
        format!("{} times, {} to {}{earlier}", number(section.pending), moment(section.first), moment(section.last))
    }
}

/// What happened and whether to act, in one sentence or two.
fn first_line(visit: Visit<'_>) -> String {
    let who = visit.event.who();
    if visit.held().is_some() {
        return filled(Code::Anomaly.row().headline, visit);
    }
    // What was published is a backup, whatever went wrong afterwards.
    if visit.result == Outcome::Published && visit.partial() {
        let hook = if visit.hooks.is_empty() { "" } else { ", and a hook failed" };
        format!("Look into it: {who} is backed up, but not whole{hook}.")
    } else if visit.result == Outcome::Published && !visit.hooks.is_empty() {
        format!("Act: {who} is backed up, but a hook of this server failed.")
    } else if visit.result.served() && visit.passing {
        format!("No need to act: {who} was served ({}). What a session before had left is put right.", visit.happened())
    } else if visit.result.served() {
        filled(visit.result.row().alert, visit)
    } else {
        in_vain(visit)
    }
}

/// The same of a connection that came to nothing: what its code says, or else how it ended.
fn in_vain(visit: Visit<'_>) -> String {
    let who = visit.event.who();
    if let Some(headline) = visit.code().map(|code| code.row().headline).filter(|headline| !headline.is_empty()) {
        return filled(headline, visit);
    }
    match (visit.result, visit.verb) {
        (Outcome::Refused, verb) if visit.code() == Some(Code::Transaction) => match verb {
            Some(verb @ (Verb::Complete | Verb::Abort)) => {
                format!("Look into it: {who} said `{verb}` with no open transaction. Nothing was changed.")
            }
            _ => {
                format!("Look into it: {who} pushed too often in one transaction. Nothing was changed.")
            }
        },
        (Outcome::Unpublished, Some(Verb::Complete)) => {
            format!("Look into it: {who} said `complete`, and what it had pushed was not published.")
        }
        (Outcome::Failed, _) if visit.restore.is_some() && visit.code() == Some(Code::Limit) => {
            format!("Look into it: {who} was sent as much in a day as it may be, and its restore was ended. Nothing was changed.")
        }
        (Outcome::Failed, _) if visit.restore.is_some() && visit.passing => {
            format!("No need to act if it comes again by itself: a restore of {who} did not end well. Nothing was changed.")
        }
        (Outcome::Failed, Some(Verb::Restore)) => format!("Look into it: a restore of {who} failed. Nothing was changed."),
        (Outcome::Failed, _) if visit.passing => {
            filled("No need to act if it comes again by itself: {what} of {who} failed. No snapshot was made.", visit)
        }
        (result, _) => filled(result.row().alert, visit),
    }
}

/// One mail for many groups: the list first, then each in full as far as a mail goes.
fn digest(sections: &[Group], total: u64) -> String {
    let mut out = String::new();
    let any = |how: &str| sections.iter().filter_map(|section| section.samples.first()).any(|sample| begins(sample, how));
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

fn begins(sample: &Event, how: &str) -> bool {
    match sample.view() {
        View::Visit(visit) => first_line(visit).starts_with(how),
        View::Upkeep(about) => upkeep::body(sample, about, None).starts_with(how),
        View::Unknown(about) => unknown(sample, about, None).starts_with(how),
    }
}

fn kind(section: &Group) -> String {
    let Some(sample) = section.samples.first() else { return "no details".to_owned() };
    if section.key.is_none() {
        return "from more clients, addresses and reasons than can be told apart; examples below".to_owned();
    }
    sample_kind(sample)
}

fn sample_kind(event: &Event) -> String {
    let from = match event.view() {
        View::Visit(visit) => format!(" from {}", origin(visit)),
        View::Upkeep(_) | View::Unknown(_) => String::new(),
    };
    format!("{}: {}{from}", event.who(), summary(event))
}

/// Events for tests here and beside.
#[cfg(test)]
pub(crate) mod samples;

#[cfg(test)]
mod tests;
