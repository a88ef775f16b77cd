//! `snapgate maintain`: does what is due for every client, so that a store looks after itself.
//!
//! A timer runs this as root, or cron as an account for its own clients. What goes wrong with one
//! client never stops the others, and whatever is interrupted goes on the next time: each task
//! (`tasks`) sees to that itself. This module only brings them in order, and tells.

mod needs;
mod spool;
mod tasks;
mod told;

use std::num::NonZero;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};

use crate::act::inspect::running_uid;
use crate::act::record::spool::Spool;
use crate::act::{config, process};
use crate::admin::prune::{Client, Failure, LOOK, Printed};
use crate::decide::policy::{Policy, Site};
use crate::terms::limits::MAINTAIN_JOBS;
use crate::terms::{ClientName, exit};

pub(in crate::admin) use tasks::{Facts, due};

use tasks::{TASKS, Work};
use told::Summary;

/// What `maintain` is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    /// For whom; for all where there is none.
    pub(crate) clients: Vec<ClientName>,
    /// How many clients at once.
    pub(crate) jobs: Option<NonZero<u8>>,
    /// Whether nothing is to be changed.
    pub(crate) dry_run: bool,
    /// Whether nobody wants to read of what went well.
    pub(crate) quiet: bool,
    /// Whether somebody looks on.
    pub(crate) watched: bool,
    /// Whether a program reads the answer.
    pub(crate) json: bool,
}

/// A client, or why nothing can be done for it.
type Found = (ClientName, Result<Policy, Failure>);

/// Does it for each client. The exit code is 1 where a person has to look at something, which is
/// mailed then, and 75 where another `maintain` is at work.
pub(crate) fn maintain(directory: &Path, orders: &Orders) -> Result<Printed, Failure> {
    process::many_files();
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let clients = clients(directory, &site, orders)?;
    let spool = Spool::open(&site.spool, running_uid()).map_err(|error| (error.to_string(), LOOK))?;
    let lock = spool.maintain_lock().map_err(|error| (error.to_string(), LOOK))?;
    if lock.try_lock().is_err() {
        // By hand one wants to know; a timer comes again.
        let words = if orders.quiet { String::new() } else { "another `snapgate maintain` is at work: nothing was done\n".to_owned() };
        return Ok((words, exit::BUSY));
    }
    let mut all = each(directory, &site, clients, orders);
    if orders.clients.is_empty() && !orders.dry_run {
        all.extend(spool::forget(&site));
    }
    for summary in all.iter_mut().filter(|summary| !orders.dry_run && summary.needs_somebody()) {
        needs::tell(directory, &site, summary);
    }
    let code = if all.iter().any(Summary::needs_somebody) { LOOK } else { 0 };
    let text = if orders.json {
        let json = serde_json::to_string_pretty(&all).map_err(|error| (format!("writing JSON: {error}"), exit::INTERNAL))?;
        json + "\n"
    } else {
        all.iter().filter(|summary| !orders.quiet || orders.dry_run || summary.needs_somebody()).map(Summary::text).collect()
    };
    Ok((text, code))
}

/// The clients that are meant, and that this process may work for.
fn clients(directory: &Path, site: &Site, orders: &Orders) -> Result<Vec<Found>, Failure> {
    if orders.clients.is_empty() {
        let all = config::all_policies(directory, site).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
        return Ok(all.into_iter().map(|(name, policy)| (name, policy.map_err(|fault| (fault.to_string(), exit::CONFIG)))).collect());
    }
    // A name that is wrong is told at once, before anything is done.
    let found = |name: &ClientName| Client::find(directory, site, name).map(|client| (name.clone(), Ok(client.policy)));
    orders.clients.iter().map(found).collect()
}

/// Does it for these, several at once.
fn each(directory: &Path, site: &Site, clients: Vec<Found>, orders: &Orders) -> Vec<Summary> {
    let bar = if orders.watched && !orders.json { ProgressBar::new(clients.len() as u64) } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{pos}/{len} {bar:30} {msg}") {
        bar.set_style(style);
    }
    let usual = thread::available_parallelism().map_or(1, NonZero::get).min(MAINTAIN_JOBS);
    let jobs = orders.jobs.map_or(usual, |jobs| usize::from(jobs.get())).min(clients.len()).max(1);
    let queue = Mutex::new(clients.into_iter());
    let done = Mutex::new(Vec::new());
    let work = || {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((name, policy)) = next else { return };
            bar.set_message(name.to_string());
            let client = policy.and_then(|policy| Client::of(directory, site, policy));
            let summary = match client {
                Ok(None) => None,
                Ok(Some(client)) => Some(one(&client, orders.dry_run)),
                Err(failure) => Some(Summary::of(&name, orders.dry_run).failed(failure)),
            };
            done.lock().unwrap_or_else(PoisonError::into_inner).extend(summary);
            bar.inc(1);
        }
    };
    thread::scope(|scope| {
        for _ in 1..jobs {
            // With fewer it takes longer.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    bar.finish_and_clear();
    let mut all = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.sort_by(|one, other| one.client.cmp(&other.client));
    all
}

/// Does what is due for one client.
fn one(client: &Client<'_>, dry_run: bool) -> Summary {
    let mut summary = Summary::of(client.name(), dry_run);
    let opened = match client.open() {
        Ok(Some(opened)) => opened,
        Ok(None) => return client.lost().into_iter().fold(summary, Summary::failed),
        Err(failure) => return summary.failed(failure),
    };
    let facts = match Facts::of(client, &opened) {
        Ok(facts) => facts,
        Err(failure) => return summary.failed(failure),
    };
    let mut last = facts.last.clone();
    let work = Work { client, opened: &opened, dry_run };
    for task in TASKS.iter().filter(|task| task.always || (task.is_due)(&facts)) {
        let is_held_up = |done: &Result<(), Failure>| matches!(done, Err((_, exit::BUSY)));
        let mut done = (task.run)(&work, &mut summary);
        if is_held_up(&done) && !opened.is_busy() {
            // By a push that has just ended, or by something else.
            done = (task.run)(&work, &mut summary);
        }
        match done {
            Ok(()) => {
                summary.done.push(task.word);
                last.insert(task.word.to_owned(), client.now);
            }
            Err((_, exit::BUSY)) if opened.is_busy() => summary.busy = true,
            Err(failure) => summary = summary.failed(failure),
        }
    }
    // While a push runs the next one does it again, which does no harm.
    if !dry_run
        && last != facts.last
        && let Ok(held) = client.hold(&opened)
    {
        let _ = held.has_maintained(&last);
    }
    summary
}
