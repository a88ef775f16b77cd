//! Looks for states that last: clients that are missed, over their quota, held, or not to be read,
//! and a mailer that is down. `snapgate watch` looks before it sends, when it is time.
//!
//! Root looks for every client, an account for its own where root does not. What is to be told is
//! saved with the states, in one file and one step, and becomes a mail when the spool is processed
//! (`watch`). Nothing here writes to a repository. Nobody else mails what is a state.

mod facts;
mod ways;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Deserialize;

use self::facts::Look;
use crate::act::inspect::{self, running_uid};
use crate::act::record::spool::{self, AccountSpool, Lock, Spool, SpoolError};
use crate::act::{config, names};
use crate::decide::policy::{Policy, Site, Transport};
use crate::decide::speak::states::{self, Closed, Memory, Notices, Past, Subject};
use crate::terms::ClientName;
use crate::terms::limits::{LOCK_AGAIN, LOOK_PATIENCE, LOOK_TIME};
use crate::terms::text::printable_path;

/// What lasts, as the last look found it. Whoever may read the spool of the one who looks is told;
/// others are told of nothing.
pub fn of(site: &Site) -> Memory {
    let bytes = spool::own(&site.spool).and_then(|own| own.states()).ok().flatten();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// What is remembered of the last digest, without the rest.
pub(super) fn digested(site: &Site) -> Option<Past> {
    #[derive(Deserialize)]
    struct Digested {
        digest: Option<Past>,
    }
    let bytes = spool::own(&site.spool).and_then(|own| own.states()).ok().flatten()?;
    serde_json::from_slice::<Digested>(&bytes).ok()?.digest
}

/// Looks, if it is time. `false`: it was not, or another process is at it.
///
/// # Errors
/// When it cannot be known how things stand, in words for the administrator.
pub fn look(directory: &Path, site: &Site, now: DateTime<Utc>) -> Result<bool, String> {
    look_for(directory, site, now, LOOK_TIME)
}

/// Whether a look has found something to tell that is no mail yet.
pub(super) fn has_news(site: &Site) -> bool {
    let Ok(own) = spool::own(&site.spool) else { return false };
    let notices = own.states().ok().flatten().and_then(|bytes| serde_json::from_slice::<Notices>(&bytes).ok()).unwrap_or_default();
    told(&own).is_ok_and(|told| notices.from(told).next().is_some())
}

/// [`look`], with that much time for all clients together. One is looked at in any case.
///
/// # Errors
/// As [`look`].
pub fn look_for(directory: &Path, site: &Site, now: DateTime<Utc>, time: Duration) -> Result<bool, String> {
    // Without any policy, as in a site that is being set up, nothing is known to be gone.
    if !is_ours(site) || !directory.join(config::POLICIES).is_dir() {
        return Ok(false);
    }
    let failed = |error: SpoolError| error.to_string();
    let spool = Spool::open(&site.spool, running_uid()).map_err(failed)?;
    let own = spool::own(&site.spool).map_err(failed)?;
    if !is_time(&own, now).map_err(failed)? {
        return Ok(false);
    }
    let Some(_lock) = lock(&own).map_err(failed)? else { return Ok(false) };
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
    let (mut memory, told) = remembered(&own, site)?;
    let (mut subjects, mut soonest) = (Vec::new(), None);
    let mut look = Look::new(site, now, spool.failing_drills());
    let (behind, begun) = (std::mem::take(&mut memory.behind), Instant::now());
    for (name, policy) in turns(policies, &behind) {
        if begun.elapsed() >= time && !subjects.is_empty() {
            subjects.push(Subject::unseen(name.clone()));
            memory.behind.push(name);
            soonest = Some(now);
            continue;
        }
        if let Some((subject, changes)) = look.at(name, policy, &mut memory.known) {
            subjects.push(subject);
            soonest = soonest.into_iter().chain(changes).min();
        }
    }
    subjects.push(Subject { client: None, closed: None, facts: ways::facts(site, &own, now) });
    let memory = states::step(memory, told, &subjects, soonest, now);
    let is_told = site.mail.transport != Transport::Off || site.webhook.is_some() || site.exec.is_some();
    let memory = if is_told { memory } else { memory.silent() };
    save(&own, memory)?;
    Ok(true)
}

/// Whoever was behind is the first, in the same order.
fn turns(policies: Vec<config::Loaded>, behind: &[ClientName]) -> Vec<config::Loaded> {
    let place = |name: &ClientName| behind.iter().position(|one| one == name).unwrap_or(behind.len());
    let mut policies: Vec<_> = policies.into_iter().map(|one| (place(&one.0), one)).collect();
    policies.sort_by_key(|(place, _)| *place);
    policies.into_iter().map(|(_, one)| one).collect()
}

/// What is remembered, while nobody else changes it.
pub(super) struct Held {
    own: AccountSpool,
    _lock: Lock,
    /// It.
    pub(super) memory: Memory,
    /// Up to which notice all have become mails.
    pub(super) told: u64,
}

/// Opens it, for whoever has more to tell than states; `None` where another process does that.
pub(super) fn hold(site: &Site) -> Result<Option<Held>, String> {
    if !is_ours(site) {
        return Ok(None);
    }
    let failed = |error: SpoolError| error.to_string();
    Spool::open(&site.spool, running_uid()).map_err(failed)?;
    let own = spool::own(&site.spool).map_err(failed)?;
    let Some(lock) = lock(&own).map_err(failed)? else { return Ok(None) };
    let (memory, told) = remembered(&own, site)?;
    Ok(Some(Held { own, _lock: lock, memory, told }))
}

impl Held {
    /// Saves this in its place, in one step.
    pub(super) fn save(&self, memory: Memory) -> Result<(), String> {
        save(&self.own, memory)
    }
}

/// What is remembered of this site, and up to which notice all have become mails.
fn remembered(own: &AccountSpool, site: &Site) -> Result<(Memory, u64), String> {
    let failed = |error: SpoolError| error.to_string();
    let mut memory = read(own).map_err(failed)?;
    // However whoever runs this has written it.
    let here = printable_path(inspect::real(&site.file));
    if !memory.site.is_empty() && memory.site != here && memory.site != printable_path(&site.file) {
        // To either site the other's clients would be gone.
        let other = &memory.site;
        return Err(format!(
            "the spool has the states of another site, `{other}`: nobody is told what lasts in this one\n\
             give this site a `spool:` of its own, or remove `states.json` from the spool if the other is gone"
        ));
    }
    memory.site = here;
    Ok((memory, told(own).map_err(failed)?))
}

/// Saves it. What had no room is an error, though the rest is saved: somebody should know.
fn save(own: &AccountSpool, memory: Memory) -> Result<(), String> {
    let (json, forgotten) = memory.written()?;
    own.save_states(&json).map_err(|error| error.to_string())?;
    forgotten.map_or(Ok(()), Err)
}

/// Whether a look finds something to read of a client's repository. Where it does not, the state says so.
pub(super) fn can_read(policy: &Policy, site: &Site) -> bool {
    names::named(&policy.user).is_some_and(|account| facts::opened(policy, site, account.uid).is_ok_and(|opened| opened.is_some()))
}

/// The lock of the spool. A gate's own `watch` may have it, as one does that `maintain` has started:
/// without a wait it would be chance when a state begins.
fn lock(own: &AccountSpool) -> Result<Option<Lock>, SpoolError> {
    let begun = Instant::now();
    loop {
        let lock = own.lock()?;
        if lock.is_some() || begun.elapsed() > LOOK_PATIENCE {
            return Ok(lock);
        }
        std::thread::sleep(LOCK_AGAIN);
    }
}

/// Whether this process looks for states: an account does where root does not.
pub(super) fn is_ours(site: &Site) -> bool {
    running_uid() == 0 || !spool::root_is_at_it(&site.spool)
}

/// Whether this process may open a policy's file, whatever stands in it.
pub(super) fn may_open(site: &Site, client: &ClientName) -> bool {
    let directory = site.file.parent().unwrap_or(Path::new("/"));
    config::may_open(directory, client)
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
