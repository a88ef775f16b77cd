//! Has a person know of what needs one: an event for each client, in the spool, the ledger and
//! syslog. What comes again every hour is mailed at once, and then once a day (`decide/speak/alerts`).

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::told::Summary;
use crate::act::child::detach;
use crate::act::inspect::running_uid;
use crate::act::record::spool::Spool;
use crate::act::record::{ledger, syslog};
use crate::act::{clock, config};
use crate::admin::prune::{Client, whoami};
use crate::decide::policy::Site;
use crate::decide::speak::line;
use crate::terms::text::{counted, printable_name};
use crate::terms::{Body, ClientName, Event, Mail, Upkeep};

/// Tells of what went wrong, but for what was mailed where it happened. What goes wrong here is one
/// more problem.
pub(super) fn tell(directory: &Path, site: &Site, summary: &mut Summary) {
    let problems = summary.problems.get(summary.mailed..).unwrap_or_default().to_vec();
    let Some(first) = problems.first() else { return };
    let first = first.lines().next().unwrap_or_default();
    let more = problems.len().saturating_sub(1);
    let more = if more > 0 { format!(", and {} more", counted(more, "problem", "problems")) } else { String::new() };
    let about = Upkeep { problems: problems.clone(), ..Upkeep::of(format!("{first}{more}"), []) };
    let client: Option<ClientName> = if summary.is_of_the_site { None } else { summary.client.parse().ok() };
    let event = event(client, about);
    let mut lost = Vec::new();
    let spool = Spool::open(&site.spool, running_uid());
    let spooled = spool.as_ref().map_err(ToString::to_string).and_then(|spool| spool.add(&event).map_err(|error| error.to_string()));
    lost.extend(spooled.err().map(|error| format!("the mail could not be spooled: {error}")));
    lost.extend(detach::watch(directory).err());
    // What cannot stand in the client's ledger stands in that of whoever runs this.
    let is_entered = event.client.as_ref().is_some_and(|name| enter(directory, site, name, &event));
    if let Ok(spool) = &spool
        && !is_entered
        && let Err(error) = ledger::append(&spool.ledger(), &event)
    {
        lost.push(format!("no ledger could be written: {error}"));
    }
    if let Some(socket) = &site.syslog {
        let _ = syslog::send(socket, &line::record_line(&event));
    }
    summary.problems.extend(lost);
}

fn event(client: Option<ClientName>, about: Upkeep) -> Event {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let (at, number) = (clock::now(), COUNTER.fetch_add(1, Ordering::Relaxed));
    let id = format!("{}-{}-m{number}", at.format("%Y%m%dT%H%M%S%6fZ"), std::process::id());
    Event { id, at, account: printable_name(whoami().as_bytes()), client, mail: Mail::Alert, body: Body::Maintain(Box::new(about)) }
}

/// Whether it could be written to the client's ledger.
fn enter(directory: &Path, site: &Site, name: &ClientName, event: &Event) -> bool {
    let policy = config::load_policy(directory, site, name).ok().flatten();
    let client = policy.and_then(|policy| Client::of(directory, site, policy).ok().flatten());
    let opened = client.and_then(|client| client.open().ok().flatten());
    let path = opened.as_ref().and_then(|opened| opened.ledger().ok());
    path.is_some_and(|path| ledger::append(&path, event).is_ok())
}
