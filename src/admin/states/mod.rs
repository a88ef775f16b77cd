//! Looks for states that last: clients that are missed, over their quota, held, or not to be read,
//! and a mailer that is down. `snapgate watch` looks before it sends, when it is time.
//!
//! Root looks for every client, an account for its own where root does not. What is to be told is
//! saved with the states, in one file and one step, and becomes a mail when the spool is processed
//! (`watch`). Nothing here writes to a repository.

mod facts;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use self::facts::Look;
use crate::act::inspect::running_uid;
use crate::act::record::spool::{self, AccountSpool, Spool, SpoolError};
use crate::act::{clock, config, names};
use crate::decide::policy::{Policy, Site, Transport};
use crate::decide::speak::states::{self, Closed, Fact, Kind, Memory, Subject};
use crate::terms::limits::{MAILER_DOWN, ROOT_LOOKS};
use crate::terms::text::{counted, printable_path};

/// What lasts, as the last look found it. Whoever may read the spool of the one who looks is told;
/// others are told of nothing.
pub fn of(site: &Site) -> Memory {
    let bytes = spool::own(&site.spool).and_then(|own| own.states()).ok().flatten();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Looks, if it is time. `false`: it was not, or another process is at it.
///
/// # Errors
/// When it cannot be known how things stand, in words for the administrator.
pub fn look(directory: &Path, site: &Site, now: DateTime<Utc>) -> Result<bool, String> {
    // Without any policy, as in a site that is being set up, nothing is known to be gone.
    if !is_ours(site) || !directory.join(config::POLICIES).is_dir() {
        return Ok(false);
    }
    let failed = |error: SpoolError| error.to_string();
    Spool::open(&site.spool, running_uid()).map_err(failed)?;
    let own = spool::own(&site.spool).map_err(failed)?;
    if !is_time(&own, now).map_err(failed)? {
        return Ok(false);
    }
    let Some(_lock) = own.lock().map_err(failed)? else { return Ok(false) };
    // Another one may have looked just now.
    if !is_time(&own, now).map_err(failed)? {
        return Ok(false);
    }
    let policies = match config::all_policies(directory, site) {
        Ok(policies) => policies,
        // An account that may not list them does not know its clients.
        Err(_) if running_uid() != 0 => return Ok(false),
        Err(fault) => return Err(fault.to_string()),
    };
    let mut memory = read(&own).map_err(failed)?;
    let here = printable_path(&site.file);
    if !memory.site.is_empty() && memory.site != here {
        // To either site the other's clients would be gone.
        let other = &memory.site;
        return Err(format!(
            "the spool has the states of another site, `{other}`: nobody is told what lasts in this one\n\
             give this site a `spool:` of its own, or remove `states.json` from the spool if the other is gone"
        ));
    }
    memory.site = here;
    let told = told(&own).map_err(failed)?;
    let (mut subjects, mut soonest) = (Vec::new(), None);
    let mut look = Look::new(site, now);
    for (name, policy) in policies {
        if let Some((subject, changes)) = look.at(name, policy, &mut memory.known) {
            subjects.push(subject);
            soonest = soonest.into_iter().chain(changes).min();
        }
    }
    subjects.push(Subject { client: None, closed: None, facts: vec![(Kind::Mailer, mailer(site, now), Vec::new())] });
    let memory = states::step(memory, told, &subjects, soonest, now);
    let memory = if site.mail.transport == Transport::Off { memory.silent() } else { memory };
    let json = serde_json::to_vec(&memory).map_err(|error| error.to_string())?;
    own.save_states(&json).map_err(failed)?;
    Ok(true)
}

/// Whether this process looks for states: an account does where root does not.
fn is_ours(site: &Site) -> bool {
    let root_does =
        || spool::root_looked(&site.spool).is_some_and(|at| clock::kernel().timestamp() - at < ROOT_LOOKS.as_secs().cast_signed());
    running_uid() == 0 || !root_does()
}

/// Whether the client is one that this process may look at.
fn is_reached(policy: &Policy, accounts: &mut BTreeMap<String, Option<u32>>) -> Option<u32> {
    let uid = *accounts.entry(policy.user.clone()).or_insert_with(|| names::named(&policy.user).map(|account| account.uid));
    uid.filter(|uid| [0, *uid].contains(&running_uid()))
}

/// Why nothing is expected of a client, whatever it does.
fn closed(policy: &Policy) -> Option<Closed> {
    policy.frozen.is_some().then_some(Closed::Frozen)
}

fn is_time(own: &AccountSpool, now: DateTime<Utc>) -> Result<bool, SpoolError> {
    #[derive(Deserialize)]
    struct Next {
        next: Option<DateTime<Utc>>,
    }
    let next = own.states()?.and_then(|bytes| serde_json::from_slice::<Next>(&bytes).ok()).and_then(|Next { next }| next);
    Ok(states::is_time(next, now))
}

fn read(own: &AccountSpool) -> Result<Memory, SpoolError> {
    let Some(bytes) = own.states()? else { return Ok(Memory::default()) };
    if let Ok(memory) = serde_json::from_slice(&bytes) {
        return Ok(memory);
    }
    own.lay_states_aside()?;
    Ok(Memory::default())
}

/// Up to which notice all have become mails.
fn told(own: &AccountSpool) -> Result<u64, SpoolError> {
    #[derive(Deserialize)]
    struct Told {
        #[serde(default)]
        told: u64,
    }
    Ok(own.state()?.and_then(|bytes| serde_json::from_slice::<Told>(&bytes).ok()).map_or(0, |Told { told }| told))
}

/// Whether mail has waited for too long.
fn mailer(site: &Site, now: DateTime<Utc>) -> Fact {
    let Ok(accounts) = spool::accounts(&site.spool) else { return Fact::Unknown };
    let (mut oldest, mut count) = (now, 0);
    for account in accounts.into_iter().flatten() {
        let waiting = account.waiting().unwrap_or_default();
        count += waiting.len();
        let first = waiting.first().and_then(|seq| account.mail(*seq).ok().flatten());
        oldest = first.map_or(oldest, |mail| oldest.min(account.waits_since(&mail)));
    }
    if (now - oldest).to_std().is_ok_and(|waited| waited >= MAILER_DOWN) {
        return Fact::Lasts(oldest, counted(count, "mail waits", "mails wait"));
    }
    Fact::Over
}
