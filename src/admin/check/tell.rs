//! `check --tell`, for a timer: has the administrator know of what was not wrong before, by a mail
//! like every other. What was told once is told again only after it was gone.

use std::collections::BTreeSet;
use std::path::Path;

use crate::act::child::detach;
use crate::act::inspect::running_uid;
use crate::act::record::spool::{Spool, Stamp};
use crate::act::record::{ledger, syslog};
use crate::act::{clock, config, names};
use crate::decide::doctor::told::{known_by, new, remembered};
use crate::decide::speak::line;
use crate::terms::limits::{MAX_REPORTED_TEXT, MAX_TOLD_BEFORE};
use crate::terms::text::{counted, printable_name, still_printable_lines};
use crate::terms::{Body, Deed, Event, Mail, Upkeep};

use super::CheckReport;

/// The note of what has been told, in the spool of whoever runs this.
const NOTE: &str = "checked.json";

/// Tells what is new, and remembers it.
///
/// # Errors
/// With what kept it from being told, printable; then it is new the next time, too.
pub(crate) fn tell(directory: &Path, report: &CheckReport) -> Result<(), String> {
    let Ok(site) = config::load_site(directory) else {
        return Err("nobody is told: the site file, which says how, cannot be used".to_owned());
    };
    let spool = Spool::open(&site.spool, running_uid()).map_err(|error| error.to_string())?;
    let problems: Vec<String> = report.problems().iter().map(|text| still_printable_lines(text, MAX_REPORTED_TEXT)).collect();
    let note = spool.note(NOTE, MAX_TOLD_BEFORE).ok().flatten();
    // A note that cannot be read is none: at worst something is told twice.
    let before: BTreeSet<String> = note.and_then(|note| serde_json::from_slice(&note).ok()).unwrap_or_default();
    let new: Vec<String> = new(&before, &problems).into_iter().cloned().collect();
    if let Some(first) = new.first() {
        let event = event(first, &new, problems.len());
        spool.add(&event).map_err(|error| format!("the mail could not be spooled: {error}"))?;
        let _ = ledger::append(&spool.ledger(), &event);
        if let Some(socket) = &site.syslog {
            let _ = syslog::send(socket, &line::record_line(&event));
        }
    }
    let told = remembered(problems.iter().map(|text| known_by(text)).collect(), MAX_TOLD_BEFORE);
    if told != before {
        let json = serde_json::to_vec(&told).map_err(|error| error.to_string())?;
        spool.save_note(NOTE, &json).map_err(|error| error.to_string())?;
    }
    Stamp::Ran("check").leave(&site.spool);
    if new.is_empty() { Ok(()) } else { detach::watch(directory) }
}

fn event(first: &str, new: &[String], all: usize) -> Event {
    let at = clock::now();
    let id = format!("{}-{}-c0", at.format("%Y%m%dT%H%M%S%6fZ"), std::process::id());
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
