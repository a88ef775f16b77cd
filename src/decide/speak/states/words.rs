//! The mails about states. A subject begins with the client, as all others do, so that a list sorted
//! by subject shows what concerns one client in one place, and then by kind.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::{Closed, Kind, Lasting, Phase};
use crate::terms::limits::{MAX_NAMED_CLIENTS, MAX_REPORTED_TEXT, REMINDERS};
use crate::terms::text::{counted, on_one_line, still_printable};
use crate::terms::{ClientName, MailSubject};

/// The subject and the body of a mail about one.
pub(super) fn one(phase: Phase, state: &Lasting, now: DateTime<Utc>) -> (MailSubject, String) {
    let who = state.client.as_ref().map_or("the server", ClientName::as_str);
    let row = state.kind.row();
    let long = long(state.since, now);
    let what = still_printable(&on_one_line(&state.what), MAX_REPORTED_TEXT);
    let (subject, first) = match phase {
        Phase::Begins => (format!("{}: {what}", row.title), row.lasts),
        Phase::Lasts => (format!("{}, for {long} now: {what}", row.title), row.lasts),
        Phase::Over => (format!("{}: resolved after {long}", row.title), row.over),
        Phase::Closed(Closed::Frozen) => (format!("{}: closed, the client is frozen", row.title), FROZEN),
        Phase::Closed(Closed::Removed) => (format!("{}: closed, its policy was removed", row.title), REMOVED),
    };
    let mut body = format!("{}\n\n", first.replace("{who}", who));
    if let Some(client) = &state.client {
        let _ = writeln!(body, "Client: {client}");
    }
    let _ = writeln!(body, "Facts:  {what}");
    let _ = writeln!(body, "State:  {} since {} ({long})", row.title, moment(state.since));
    if matches!(phase, Phase::Begins | Phase::Lasts) {
        if !row.remedy.is_empty() {
            let _ = writeln!(body, "\n{}", wrapped(&row.remedy.replace("{who}", who)));
        }
        let _ = writeln!(body, "\nIf it lasts, you are told again in {}; when it ends, at once.", pause(state.mails));
    }
    (MailSubject::new(who, subject), signed(body))
}

/// Those of one about many.
pub(super) fn many(phase: Phase, kind: Kind, states: &[&Lasting], now: DateTime<Utc>) -> (MailSubject, String) {
    let row = kind.row();
    let [begins, over] = row.many;
    let clients = counted(states.len(), "client", "clients");
    let (subject, first) = match phase {
        Phase::Begins => (row.title.to_owned(), begins),
        Phase::Lasts => (format!("{}, still", row.title), begins),
        Phase::Over => (format!("{}: resolved", row.title), over),
        Phase::Closed(Closed::Frozen) => {
            (format!("{}: closed, they are frozen", row.title), "{many} are frozen, so nothing is expected of them. Nothing to do.")
        }
        Phase::Closed(Closed::Removed) => (
            format!("{}: closed, their policies were removed", row.title),
            "{many} have no policy any more, so nothing is expected of them. Nothing to do.",
        ),
    };
    let mut body = format!("{}\n\n", first.replace("{many}", &clients));
    for state in states.iter().take(MAX_NAMED_CLIENTS) {
        let who = state.client.as_ref().map_or("the server", ClientName::as_str);
        let what = still_printable(&on_one_line(&state.what), MAX_REPORTED_TEXT);
        let _ = writeln!(body, "  {who}: {what}; {} for {}", row.title, long(state.since, now));
    }
    if states.len() > MAX_NAMED_CLIENTS {
        let _ = writeln!(body, "  and {} more", states.len() - MAX_NAMED_CLIENTS);
    }
    if matches!(phase, Phase::Begins | Phase::Lasts) {
        let _ = writeln!(body, "\nWhere so many have it, the cause may be here: the network, the disk, sshd. Otherwise:");
        let _ = writeln!(body, "{}", wrapped(&row.remedy.replace("{who}", "NAME")));
    }
    (MailSubject::new(clients, subject), signed(body))
}

/// Columns of a line.
const WIDTH: usize = 76;

const FROZEN: &str = "{who} is frozen, so nothing is expected of it. Nothing to do.";
const REMOVED: &str = "{who} has no policy any more, so nothing is expected of it. Nothing to do.";

fn signed(body: String) -> String {
    body + "\n-- \nsnapgate, from a look at all clients.\n"
}

/// In lines that fit a terminal.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

fn pause(mails: u32) -> String {
    let pause = REMINDERS.get((mails as usize).saturating_sub(1)).or(REMINDERS.last());
    counted(pause.map_or(0, |pause| pause.as_secs() / 86400), "day", "days")
}

fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// How long ago, in the unit that suits it.
pub(in crate::decide::speak) fn long(since: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let minutes = (now - since).num_minutes().max(0);
    match (minutes / 1440, minutes / 60) {
        (0 | 1, 0 | 1) => counted(minutes.unsigned_abs(), "minute", "minutes"),
        (0 | 1, hours) => counted(hours.unsigned_abs(), "hour", "hours"),
        (days, _) => counted(days.unsigned_abs(), "day", "days"),
    }
}
