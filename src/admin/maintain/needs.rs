//! Has a person know of what needs one: an event for each client, in the spool, the ledger and
//! syslog. What comes again every hour is mailed at once, and then once a day (`decide/speak/alerts`).
//! That a client cannot be read is a state, which `watch` mails (`admin/states`): here it is recorded,
//! and no more, or each would have its own mail.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use super::told::Summary;
use crate::act::child::detach;
use crate::act::inspect::running_uid;
use crate::act::record::spool::Spool;
use crate::act::record::{ledger, syslog};
use crate::act::{clock, names};
use crate::admin::prune::Client;
use crate::decide::policy::Site;
use crate::decide::speak::line;
use crate::terms::text::{counted, printable_name};
use crate::terms::{Body, Deed, Event, Mail, Upkeep};

/// What is to be told: all but what was mailed where it happened.
fn about(summary: &Summary) -> Option<Body> {
    let problems = summary.problems.get(summary.mailed..).unwrap_or_default();
    let first = problems.first()?.lines().next().unwrap_or_default();
    let more = problems.len() - 1;
    let more = if more > 0 { format!(", and {} more", counted(more, "problem", "problems")) } else { String::new() };
    Some(Body::Upkeep(Deed::Maintain, Box::new(Upkeep { problems: problems.to_vec(), ..Upkeep::of(format!("{first}{more}"), []) })))
}

/// Tells of it in the client's ledger.
pub(super) fn record(client: &Client<'_>, summary: &mut Summary) {
    let Some(body) = about(summary) else { return };
    let event = client.event(body, Mail::Alert);
    let recorded = client.reaching(|| {
        client.record(&client.existing()?, &event);
        Ok(())
    });
    if recorded.is_ok() {
        summary.mailed = summary.problems.len();
    }
}

/// Tells of what could not stand in a client's ledger, in that of whoever runs this. What goes wrong
/// here is one more problem.
pub(super) fn tell(directory: &Path, site: &Site, summary: &mut Summary) {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let Some(body) = about(summary) else { return };
    let (at, number) = (clock::now(), COUNTER.fetch_add(1, Ordering::Relaxed));
    let id = format!("{}-{}-m{number}", at.format("%Y%m%dT%H%M%S%6fZ"), std::process::id());
    let account = printable_name(names::running().name.as_bytes());
    let client = if summary.is_of_the_site { None } else { summary.client.parse().ok() };
    let mail = if summary.has_state { Mail::None } else { Mail::Alert };
    let event = Event { id, at, account, client, mail, body };
    let told = Spool::open(&site.spool, running_uid()).and_then(|spool| {
        if event.mail != Mail::None {
            spool.add(&event)?;
        }
        Ok(ledger::append(&spool.ledger(), &event))
    });
    match told {
        Err(error) => summary.problems.push(format!("the mail could not be spooled: {error}")),
        Ok(Err(error)) => summary.problems.push(format!("no ledger could be written: {error}")),
        Ok(Ok(())) => {}
    }
    if event.mail != Mail::None {
        summary.problems.extend(detach::watch(directory).err());
    }
    if let Some(socket) = &site.syslog {
        let _ = syslog::send(socket, &line::record_line(&event));
    }
}
