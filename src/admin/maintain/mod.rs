//! `snapgate maintain`: does what is due for every client, so that a store looks after itself.
//!
//! A timer runs this as root, or cron as an account for its own clients. What goes wrong with one
//! client never stops the others: each has a process of its own (`one`). Whatever is interrupted
//! goes on the next time: each task (`tasks`) sees to that itself. This module only starts the
//! processes, and tells.

mod needs;
mod one;
mod spool;
mod tasks;
mod told;

use std::fs::File;
use std::num::NonZero;
use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::act::child;
use crate::act::inspect::running_uid;
use crate::act::record::spool::{Spool, Stamp};
use crate::act::{config, names, process, several};
use crate::admin::prune::{Client, Failure, LOOK, Printed};
use crate::decide::policy::{Policy, Site};
use crate::terms::limits::MAINTAIN_JOBS;
use crate::terms::{ClientName, exit};

pub(crate) use one::one;
pub(in crate::admin) use tasks::{Facts, due};

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
    /// Whether a program reads the answer.
    pub(crate) json: bool,
}

/// A client, or why nothing can be done for it.
type Found = (ClientName, Result<(), Failure>);

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
    let mut all = each(directory, clients, orders, &lock);
    if orders.clients.is_empty() && !orders.dry_run {
        all.extend(spool::forget(&site));
        Stamp::Ran("maintain").leave(&site.spool);
    }
    for summary in all.iter_mut().filter(|_| !orders.dry_run) {
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
    if !orders.clients.is_empty() {
        // A name that is wrong is told at once, before anything is done.
        return orders.clients.iter().map(|name| Client::find(directory, site, name).map(|_| (name.clone(), Ok(())))).collect();
    }
    let all = config::all_policies(directory, site).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let is_ours = |policy: &Policy| running_uid() == 0 || names::named(&policy.user).is_none_or(|account| account.uid == running_uid());
    let found = all.into_iter().filter_map(|(name, policy)| match policy {
        Ok(policy) => is_ours(&policy).then_some((name, Ok(()))),
        Err(fault) => Some((name, Err((fault.to_string(), exit::CONFIG)))),
    });
    Ok(found.collect())
}

/// Does it for these, several at once.
fn each(directory: &Path, clients: Vec<Found>, orders: &Orders, lock: &File) -> Vec<Summary> {
    let target = if orders.json || orders.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(clients.len() as u64), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len} {msg}") {
        bar.set_style(style);
    }
    let jobs = orders.jobs.map_or(several::processors().min(MAINTAIN_JOBS), |jobs| usize::from(jobs.get()));
    let mut all = several::each(clients, jobs, |(name, found)| {
        bar.set_message(name.to_string());
        let new = || Summary::of(&name, orders.dry_run);
        let summary = match found {
            Ok(()) => started(directory, &name, orders.dry_run, lock).unwrap_or_else(|failure| new().failed(failure)),
            Err(failure) => new().unreadable(failure),
        };
        bar.inc(1);
        summary
    });
    bar.finish_and_clear();
    all.sort_by(|one, other| one.client.cmp(&other.client));
    all
}

fn started(directory: &Path, name: &ClientName, dry_run: bool, lock: &File) -> Result<Summary, Failure> {
    let said = child::upkeep(directory, name, dry_run, lock);
    let said = said.map_err(|error| (format!("the process that looks after it: {error}"), exit::INTERNAL))?;
    serde_json::from_slice(&said).map_err(|_| ("the process that looks after it said nothing".to_owned(), exit::INTERNAL))
}
