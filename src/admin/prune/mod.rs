//! `snapgate prune`: removes what the policy does not keep, and frees what was removed long enough
//! ago. Beside it, what the administrator does by hand: `delete`, `undelete`, `protect`.
//!
//! A client has no say in any of this. Each command runs as root for every client, or as an account
//! for its own.

mod by_hand;
mod client;
mod parts;
mod protect;
mod told;

use std::path::Path;
use std::time::Duration;

use chrono::TimeDelta;

use crate::act::prune::{Held, Opened, Reaped, Removal, Trashed};
use crate::act::{config, process};
use crate::decide::keep::{Judged, Rhythm, Snapshot, Span, decide, doomed, simulate};
use crate::terms::text::counted;
use crate::terms::{Body, ClientName, Code, Event, Freed, Mail, Upkeep, exit};

pub(crate) use by_hand::{delete, undelete};
pub(crate) use protect::{Until, protect, unprotect};

pub(in crate::admin) use client::{Client, failure, whoami};
pub(in crate::admin) use parts::{prune_alone, reap_alone};
pub(in crate::admin) use told::Told;

use client::upkeep;
use told::Explained;

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

/// Does it for each client. What goes wrong with one does not stop the others. The exit code is 1
/// where a person has to look at something, 75 where a push was running, 78 where a policy cannot
/// be used.
pub(crate) fn prune(directory: &Path, orders: &Orders) -> Result<Printed, Failure> {
    process::many_files();
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let mut all = Vec::new();
    let mut tell = |name: &ClientName, client: Result<Option<Client<'_>>, Failure>| {
        let told = client.and_then(|client| client.map(|client| one(&client, orders)).transpose());
        all.extend(told.unwrap_or_else(|(what, exit)| Some(Told::failed(name, what, exit))));
    };
    if orders.clients.is_empty() {
        for (name, policy) in config::all_policies(directory, &site).map_err(|fault| (fault.to_string(), exit::CONFIG))? {
            let policy = policy.map_err(|fault| (fault.to_string(), exit::CONFIG));
            tell(&name, policy.and_then(|policy| Client::of(directory, &site, policy)));
        }
    } else {
        for name in &orders.clients {
            tell(name, Client::find(directory, &site, name).map(Some));
        }
    }
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

/// Does it for one client.
fn one(client: &Client<'_>, orders: &Orders) -> Result<Told, Failure> {
    let told = Told { client: client.name().to_string(), dry_run: orders.only_looks(), ..Told::default() };
    let Some(opened) = client.open()? else { return Ok(told) };
    if orders.only_looks() {
        return look(client, &opened, orders, told);
    }
    // A name that goes now is in no listing that a push has made.
    let held = client.hold(&opened)?;
    let all = stock(client, &opened)?;
    let mut told = remove(client, &held, &all, orders, told)?;
    drop(held);
    reap(client, &opened, &mut told)?;
    Ok(told)
}

/// What is there, with what is being read where that matters.
fn stock(client: &Client<'_>, opened: &Opened) -> Result<Vec<Snapshot>, Failure> {
    let mut all = client.snapshots(opened)?;
    let goes: Vec<_> = judge(client, &all).iter().map(Judged::is_doomed).collect();
    for (snapshot, goes) in all.iter_mut().zip(goes) {
        snapshot.being_read = goes && opened.is_read(&snapshot.name);
    }
    Ok(all)
}

/// The snapshots are in order of time, and so is the answer.
fn judge<'s>(client: &Client<'_>, all: &'s [Snapshot]) -> Vec<Judged<'s>> {
    decide(all, client.now, &client.zone, &client.policy.keep)
}

/// Says what would be done.
fn look(client: &Client<'_>, opened: &Opened, orders: &Orders, mut told: Told) -> Result<Told, Failure> {
    let all = stock(client, opened)?;
    let judged = judge(client, &all);
    match doomed(&judged, orders.yes_remove_many) {
        Ok(goes) => told.removed = names(&goes),
        Err(too_many) => {
            told.problems.push(too_many.to_string());
            told.exit = LOOK;
        }
    }
    told.kept = all.len() - told.removed.len();
    told.waiting = opened.trash().map_err(failure)?.len();
    if orders.explain {
        told.explained = judged.iter().map(Explained::of).collect();
    }
    if let Some(span) = orders.simulate {
        let span = Duration::from_secs(u64::from(span.hours()) * 3600);
        let rhythm = Rhythm { from: client.now, span, every: orders.every };
        let left = simulate(&all, rhythm, &client.policy.names, &client.zone, &client.policy.keep);
        told.simulated = Some(left.iter().map(|snapshot| snapshot.name.to_string()).collect());
    }
    Ok(told)
}

/// Takes out of history what nothing keeps.
fn remove(client: &Client<'_>, held: &Held<'_>, all: &[Snapshot], orders: &Orders, mut told: Told) -> Result<Told, Failure> {
    let judged = judge(client, all);
    let goes = match doomed(&judged, orders.yes_remove_many) {
        Ok(goes) => goes,
        Err(too_many) => {
            told.kept = all.len();
            told.problems.push(too_many.to_string());
            (told.exit, told.is_mailed) = (LOOK, true);
            let refused = Upkeep { problems: told.problems.clone(), ..Upkeep::of("too many snapshots would go at once".to_owned(), []) };
            told.problems.extend(client.record(held.opened(), &client.event(Body::Prune(Box::new(refused)), Mail::Alert)));
            return Ok(told);
        }
    };
    if goes.is_empty() {
        told.kept = all.len();
        return Ok(told);
    }
    let removal = Removal { why: "the policy's `keep:`".to_owned(), by: whoami() };
    let words = |removed: &[String]| {
        let happened = format!("{} removed, {} kept", counted(removed.len(), "snapshot", "snapshots"), all.len() - removed.len());
        Body::Prune(upkeep(happened, removed.iter().map(String::as_str), &removal.why))
    };
    let event = client.event(words(&names(&goes)), Mail::None);
    held.announce(&event).map_err(failure)?;
    for snapshot in goes {
        match held.remove(&snapshot.name, client.now, &removal) {
            Ok(()) => told.removed.push(snapshot.name.to_string()),
            Err(reason) => {
                told.problems.push(reason.detail);
                told.exit = LOOK;
            }
        }
    }
    told.kept = all.len() - told.removed.len();
    if !told.removed.is_empty() {
        held.sync().map_err(failure)?;
        told.problems.extend(client.record(held.opened(), &Event { body: words(&told.removed), ..event }));
    }
    held.told();
    Ok(told)
}

/// Frees what has been in the trash for long enough.
fn reap(client: &Client<'_>, opened: &Opened, told: &mut Told) -> Result<(), Failure> {
    let grace = TimeDelta::hours(i64::from(client.policy.trash_grace.hours()));
    let trash = opened.trash().map_err(failure)?;
    let (due, waiting): (Vec<Trashed>, Vec<Trashed>) = trash.into_iter().partition(|trashed| client.now - trashed.at >= grace);
    told.waiting = waiting.len();
    let reaped = match opened.reap(&due) {
        Ok(reaped) => reaped,
        Err(reason) => {
            told.problems.push(reason.detail);
            told.exit = if reason.code == Code::Busy { exit::BUSY } else { LOOK };
            return Ok(());
        }
    };
    let Reaped { snapshots, bytes, inodes, problems, in_all } = reaped;
    if snapshots == 0 && in_all == 0 {
        return Ok(());
    }
    let freed = Freed { bytes, inodes };
    (told.reaped, told.freed) = (snapshots, Some(freed));
    let mut happened = format!("{} gone for good", counted(snapshots, "snapshot", "snapshots"));
    if in_all > 0 {
        happened = format!("{happened}, and {} could not be removed", counted(in_all, "file", "files"));
        (told.exit, told.is_mailed) = (LOOK, true);
    }
    let mail = if in_all > 0 { Mail::Alert } else { Mail::None };
    let event = Upkeep { freed: Some(freed), problems: problems.clone(), ..Upkeep::of(happened, []) };
    told.problems.extend(problems);
    told.problems.extend(client.record(opened, &client.event(Body::Prune(Box::new(event)), mail)));
    Ok(())
}

fn names(snapshots: &[&Snapshot]) -> Vec<String> {
    snapshots.iter().map(|snapshot| snapshot.name.to_string()).collect()
}
