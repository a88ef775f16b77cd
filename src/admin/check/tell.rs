//! `check --tell`, for a timer: has the administrator know of what was not wrong before, by a mail
//! like every other. What was told once is told again only after it was gone.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use crate::act::child::detach;
use crate::act::inspect::running_uid;
use crate::act::record::spool::{self, AccountSpool, Spool, SpoolError, Stamp};
use crate::act::record::{ledger, syslog};
use crate::act::{clock, config, names};
use crate::decide::doctor::told::{known, new, remembered};
use crate::decide::policy::Transport;
use crate::decide::speak::line;
use crate::terms::limits::{LOCK_AGAIN, MAX_REPORTED_TEXT, MAX_TOLD_BEFORE, TELL_PATIENCE};
use crate::terms::text::{counted, printable_name, still_printable_lines};
use crate::terms::{Body, Deed, Event, Mail, Upkeep};

use super::CheckReport;

/// The note of what has been told, in the spool of whoever runs this.
const NOTE: &str = "checked.json";

/// How the ids of its events end.
const MARK: &str = "-c0";

/// Tells what is new, and remembers as much as it told. Comes back with why nobody hears of what is wrong,
/// where the site is to tell nobody.
///
/// # Errors
/// With what kept it from being told, printable; then it is new the next time, or waits in the spool.
pub(crate) fn tell(directory: &Path, report: &CheckReport) -> Result<Option<String>, String> {
    let Ok(site) = config::load_site(directory) else {
        return Err("nobody is told: the site file, which says how, cannot be used".to_owned());
    };
    let failed = |error: SpoolError| error.to_string();
    let spool = Spool::open(&site.spool, running_uid()).map_err(failed)?;
    let own = spool::own(&site.spool).map_err(failed)?;
    let rows: Vec<Vec<String>> = report
        .problems_by_row()
        .iter()
        .map(|row| row.iter().map(|text| still_printable_lines(text, MAX_REPORTED_TEXT)).collect())
        .collect();
    let problems = || rows.iter().flatten();
    if site.mail.transport == Transport::Off && site.webhook.is_none() && site.exec.is_none() {
        Stamp::Ran("check").leave(&site.spool);
        let nobody = "nobody is told: the site file says `transport: off`, and names no webhook and no program";
        return Ok(problems().next().map(|_| nobody.to_owned()));
    }
    let note = spool.note(NOTE, MAX_TOLD_BEFORE).ok().flatten();
    // A note that cannot be read is none: at worst something is told twice.
    let before: BTreeSet<String> = note.and_then(|note| serde_json::from_slice(&note).ok()).unwrap_or_default();
    let new = new(&before, &rows);
    let waiting = own.waiting().map_err(failed)?;
    if let Some(first) = new.first() {
        let event = event(first, &new, problems().count());
        spool.add(&event).map_err(|error| format!("the mail could not be spooled: {error}"))?;
        let _ = ledger::append(&spool.ledger(), &event);
        if let Some(socket) = &site.syslog {
            let _ = syslog::send(socket, &line::record_line(&event));
        }
    }
    let told = new.get(..Upkeep::shown(new.len())).unwrap_or_default();
    let known = remembered(known(&before, problems(), told), MAX_TOLD_BEFORE);
    if known != before {
        let json = serde_json::to_vec(&known).map_err(|error| error.to_string())?;
        spool.save_note(NOTE, &json).map_err(failed)?;
    }
    Stamp::Ran("check").leave(&site.spool);
    if is_unread(&own).map_err(failed)? {
        detach::watch(directory)?;
        leaves(&own, &waiting)?;
    }
    Ok(None)
}

/// Whether an event of `check` waits for a `watch`.
fn is_unread(own: &AccountSpool) -> Result<bool, SpoolError> {
    Ok(own.news()?.iter().any(|id| id.ends_with(MARK)))
}

/// Waits until what was found has left, or is counted for a later mail: who runs this by a timer takes
/// its end for "told".
fn leaves(own: &AccountSpool, before: &[u64]) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let (is_unread, waiting) = (is_unread(own), own.waiting());
        let what = match (is_unread, waiting) {
            (Ok(true), _) => "no `snapgate watch` has come for it",
            (Ok(false), Ok(waiting)) if waiting.iter().all(|mail| before.contains(mail)) => return Ok(()),
            (Ok(false), Ok(_)) => "the mailer has not taken it",
            (Err(error), _) | (_, Err(error)) => return Err(error.to_string()),
        };
        if begun.elapsed() >= TELL_PATIENCE {
            return Err(format!("what is wrong waits in the spool, and nobody is told: {what}\nsee what `snapgate watch` says"));
        }
        std::thread::sleep(LOCK_AGAIN);
    }
}

fn event(first: &str, new: &[String], all: usize) -> Event {
    let at = clock::now();
    let id = format!("{}-{}{MARK}", at.format("%Y%m%dT%H%M%S%6fZ"), std::process::id());
    let account = printable_name(names::running().name.as_bytes());
    let first = first.lines().next().unwrap_or_default();
    let others = match new.len() - 1 {
        0 => String::new(),
        more => format!(", and {}", counted(more, "more new problem", "more new problems")),
    };
    let known = match all - new.len() {
        0 => String::new(),
        known => format!("; {known} known before"),
    };
    let upkeep =
        Upkeep { problems: Upkeep::first_of(new, ": `snapgate check` shows all"), ..Upkeep::of(format!("{first}{others}{known}"), []) };
    Event { id, at, account, client: None, mail: Mail::Alert, body: Body::Upkeep(Deed::Check, Box::new(upkeep)) }
}
