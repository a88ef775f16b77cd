//! `snapgate prune`: removes what the policy does not keep, and frees what was removed long enough
//! ago. Beside it, what the administrator does by hand: `delete`, `undelete`, `protect`.
//!
//! A client has no say in any of this. Each command runs as root for every client, or as an account
//! for its own.

mod by_hand;
mod client;
mod done;
mod held;
mod progress;
mod protect;
mod reach;
mod reap;
mod rules;
mod shorten;
mod told;
mod usage;

use std::path::Path;
use std::time::Duration;

use crate::act::{config, process};
use crate::decide::keep::Span;
use crate::decide::policy::Site;
use crate::terms::{ClientName, exit};

pub(crate) use by_hand::{How, delete, undelete};
pub(crate) use held::{discard, release};
pub(crate) use protect::{Wish, protect, unprotect};
pub(crate) use usage::usage;

pub(in crate::admin) use client::{Client, failure};
pub(in crate::admin) use reach::Said;
pub(in crate::admin) use reap::once as reap_once;
pub(in crate::admin) use rules::once as prune_once;
pub(in crate::admin) use shorten::{once as room_once, short};
pub(in crate::admin) use told::Told;

use progress::Progress;

/// What is printed, and the exit code.
pub(crate) type Printed = (String, u8);

/// An error, and the exit code.
pub(crate) type Failure = (String, u8);

/// Something is left to a person.
pub(in crate::admin) const LOOK: u8 = 1;

/// What `prune` is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    /// For whom; for all where there is none.
    pub(crate) clients: Vec<ClientName>,
    /// Whether nothing is to be changed.
    pub(crate) dry_run: bool,
    /// Whether to say of each snapshot what keeps it. Nothing is changed then.
    pub(crate) explain: bool,
    /// For how long to look ahead. Nothing is changed then.
    pub(crate) simulate: Option<Span>,
    /// How often the client pushes then.
    pub(crate) every: Duration,
    /// Whether most of the snapshots may go at once.
    pub(crate) yes_remove_many: bool,
    /// Whether nobody wants to read of what went well: a timer runs this, for all clients.
    pub(crate) quiet: bool,
    /// Whether a program reads the answer.
    pub(crate) json: bool,
}

impl Orders {
    fn only_looks(&self) -> bool {
        self.dry_run || self.explain || self.simulate.is_some()
    }
}

/// A client, or why nothing can be done for it.
pub(in crate::admin) type Found<'a> = (ClientName, Result<Client<'a>, Failure>);

/// These clients, or all for which this process may work.
pub(in crate::admin) fn clients<'a>(directory: &'a Path, site: &'a Site, names: &[ClientName]) -> Result<Vec<Found<'a>>, Failure> {
    if !names.is_empty() {
        return Ok(names.iter().map(|name| (name.clone(), Client::find(directory, site, name))).collect());
    }
    let all = config::all_policies(directory, site).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let ours = all.into_iter().filter_map(|(name, policy)| {
        let policy = policy.map_err(|fault| (fault.to_string(), exit::CONFIG));
        Some((name, policy.and_then(|policy| Client::of(directory, site, policy)).transpose()?))
    });
    Ok(ours.collect())
}

/// Does it for each client: first history, then the trash, since that takes long, and where there is
/// no room all the same, more of history if the policy says so. What goes wrong
/// with one does not stop the others. The exit code is 1 where a person has to look at something,
/// 75 where a push was running, 78 where a policy cannot be used.
pub(crate) fn prune(directory: &Path, orders: &Orders) -> Result<Printed, Failure> {
    process::many_files();
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let found = clients(directory, &site, &orders.clients)?;
    let told = |(name, client): &Found<'_>| {
        let told = client.as_ref().map_err(Clone::clone).and_then(|client| client.reaching(|| rules::apply(client, orders)));
        told.unwrap_or_else(|(what, exit)| Told::failed(name, what, exit))
    };
    let mut all: Vec<Told> = found.iter().map(told).collect();
    if !orders.only_looks() {
        let due = found.iter().zip(&mut all).filter(|(_, told)| !told.failed);
        let due: Vec<_> = due.filter_map(|((_, client), told)| Some((client.as_ref().ok()?, told))).collect();
        let progress = Progress::new(found.len(), orders.json);
        reap::in_turn(due, &progress);
        let due = found.iter().zip(&mut all).filter(|(_, told)| !told.failed);
        for (client, told) in due.filter_map(|((_, client), told)| Some((client.as_ref().ok()?, told))) {
            shorten::shorten(client, told, &progress);
        }
    }
    for ((_, client), told) in found.iter().zip(&mut all) {
        told.problems.extend(client.iter().flat_map(Client::lost));
    }
    answer(&all, orders)
}

fn answer(all: &[Told], orders: &Orders) -> Result<Printed, Failure> {
    let code = [exit::CONFIG, exit::REFUSED, exit::USAGE, LOOK].into_iter().find(|code| all.iter().any(|told| told.exit == *code));
    let code = code.or_else(|| all.iter().map(|told| told.exit).max()).unwrap_or(0);
    let text = if orders.json {
        let json = serde_json::to_string_pretty(&all).map_err(|error| (format!("writing JSON: {error}"), exit::INTERNAL))?;
        json + "\n"
    } else {
        let is_told = |told: &&Told| !orders.quiet || orders.only_looks() || ![0, exit::BUSY].contains(&told.exit);
        all.iter().filter(is_told).map(Told::text).collect()
    };
    Ok((text, code))
}
