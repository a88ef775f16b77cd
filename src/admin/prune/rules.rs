//! What the rules of a policy remove from a client's history, or would.

use std::time::Duration;

use chrono::TimeDelta;

use super::client::{Client, UNPROTECTED, failure, upkeep};
use super::shorten::short_now;
use super::told::{Explained, Told};
use super::{Failure, LOOK, Orders};
use crate::act::prune::{Held, Opened, Removal};
use crate::decide::keep::{Judged, Rhythm, Snapshot, TooMany, decide, doomed, simulate};
use crate::decide::policy::WhenFull;
use crate::terms::limits::REPEATED_AFTER;
use crate::terms::text::{counted, printable};
use crate::terms::{Body, Code, Deed, Event, Mail, Upkeep};

/// Does it for one client, or looks.
pub(super) fn apply(client: &Client<'_>, orders: &Orders) -> Result<Told, Failure> {
    let mut told = Told { client: client.name().to_string(), dry_run: orders.only_looks(), ..Told::default() };
    let Some(opened) = client.open()? else { return Ok(told) };
    told.strange = client.strange();
    if orders.only_looks() {
        return look(client, &opened, orders, told);
    }
    let strange: Vec<_> = told.strange.iter().cloned().collect();
    if !strange.is_empty() && !client.was_told(&opened, &strange, TimeDelta::MAX) {
        let event = Upkeep { problems: strange, ..Upkeep::of("what is no snapshot stands among them".to_owned(), []) };
        client.record(&opened, &client.event(Body::Upkeep(Deed::Prune, Box::new(event)), Mail::Alert));
    }
    // A name that goes now is in no listing that a push has made.
    let held = client.hold(&opened)?;
    let all = stock(client, &opened)?;
    told.unprotected = forget(client, &held)?;
    remove(client, &held, &all, orders, told)
}

/// Does it for one client as a timer would, or looks.
pub(in crate::admin) fn once(client: &Client<'_>, dry_run: bool) -> Result<Told, Failure> {
    let every = Duration::ZERO;
    let orders =
        Orders { clients: Vec::new(), dry_run, explain: false, simulate: None, every, yes_remove_many: false, quiet: true, json: false };
    client.reaching(|| apply(client, &orders))
}

/// Ends protections of what nobody can bring back. Returns of which.
fn forget(client: &Client<'_>, held: &Held<'_>) -> Result<Vec<String>, Failure> {
    let opened = held.opened();
    let trash = opened.trash().map_err(failure)?;
    let is_there = |name: &String| opened.has(name) || trash.iter().any(|gone| gone.name == *name);
    let protections = opened.protections().map_err(failure)?.into_iter();
    let ended: Vec<String> = protections.map(|(name, _)| name).filter(|name| !is_there(name)).collect();
    if ended.is_empty() {
        return Ok(ended);
    }
    let happened = format!("{}, {UNPROTECTED}", counted(ended.len(), "snapshot that is gone", "snapshots that are gone"));
    let shown: Vec<String> = ended.iter().map(|name| printable(name.as_bytes())).collect();
    let event = client
        .event(Body::Upkeep(Deed::Protect, upkeep(happened, shown.iter().map(String::as_str), "nobody can bring it back")), Mail::None);
    held.announce(&event).map_err(failure)?;
    for name in &ended {
        opened.unprotect(name).map_err(failure)?;
    }
    client.record(opened, &event);
    held.told();
    Ok(ended)
}

/// What is there, with what is being read where that matters.
pub(super) fn stock(client: &Client<'_>, opened: &Opened) -> Result<Vec<Snapshot>, Failure> {
    let mut all = client.snapshots(opened)?;
    let goes: Vec<_> = judge(client, &all).iter().map(Judged::is_doomed).collect();
    for (snapshot, goes) in all.iter_mut().zip(goes) {
        snapshot.being_read = goes && opened.is_read(&snapshot.name);
    }
    Ok(all)
}

/// The snapshots are in order of time, and so is the answer.
pub(super) fn judge<'s>(client: &Client<'_>, all: &'s [Snapshot]) -> Vec<Judged<'s>> {
    decide(all, client.now, &client.zone, &client.policy.keep)
}

/// Says what would be done.
fn look(client: &Client<'_>, opened: &Opened, orders: &Orders, mut told: Told) -> Result<Told, Failure> {
    let all = stock(client, opened)?;
    told.held = held_of(&all);
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
    if client.policy.when_full == WhenFull::Shorten
        && let Some(short) = short_now(client, opened)?
    {
        told.problems.push(format!("{short}: more would be removed, the oldest first, until there is room"));
    }
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
    told.held = held_of(all);
    let judged = judge(client, all);
    let goes = match doomed(&judged, orders.yes_remove_many) {
        Ok(goes) => goes,
        Err(too_many) => {
            told.kept = all.len();
            refuse(client, held.opened(), &too_many, &mut told);
            return Ok(told);
        }
    };
    if goes.is_empty() {
        told.kept = all.len();
        return Ok(told);
    }
    take_out(client, held, &goes, all.len(), &Why { words: "the policy's `keep:`".to_owned(), mail: Mail::None }, &mut told)?;
    told.kept = all.len() - told.removed.len();
    if !told.problems.is_empty() && !client.was_told(held.opened(), &told.problems, REPEATED_AFTER) {
        let stuck = Upkeep { problems: told.problems.clone(), ..Upkeep::of("snapshots could not be removed".to_owned(), []) };
        client.record(held.opened(), &client.event(Body::Upkeep(Deed::Prune, Box::new(stuck)), Mail::Alert));
    }
    Ok(told)
}

/// Why snapshots go, and whether somebody is mailed.
pub(super) struct Why {
    pub(super) words: String,
    pub(super) mail: Mail,
}

/// Takes these snapshots out of history, of so many that there are.
pub(super) fn take_out(
    client: &Client<'_>,
    held: &Held<'_>,
    goes: &[&Snapshot],
    all: usize,
    why: &Why,
    told: &mut Told,
) -> Result<(), Failure> {
    let removal = Removal { why: why.words.clone(), by: client.by.clone() };
    let words = |removed: &[String]| {
        let happened = format!("{} removed, {} kept", counted(removed.len(), "snapshot", "snapshots"), all - removed.len());
        Body::Upkeep(Deed::Prune, upkeep(happened, removed.iter().map(String::as_str), &removal.why))
    };
    let event = client.event(words(&names(goes)), why.mail);
    held.announce(&event).map_err(failure)?;
    let mut removed = Vec::new();
    for snapshot in goes {
        match held.remove(&snapshot.name, client.now, &removal) {
            Ok(()) => removed.push(snapshot.name.to_string()),
            // A restore has begun meanwhile: it goes the next time.
            Err(reason) if reason.code == Code::Busy => {}
            Err(reason) => {
                told.problems.push(reason.detail);
                told.exit = LOOK;
            }
        }
    }
    if !removed.is_empty() {
        held.sync().map_err(failure)?;
    }
    let event = Event { body: words(&removed), ..event };
    match (removed.is_empty(), why.mail) {
        (true, _) => held.told(),
        (false, Mail::None) => {
            client.record(held.opened(), &event);
            held.told();
        }
        (false, _) => client.record_announced(held.opened(), &event, false),
    }
    told.removed.extend(removed);
    Ok(())
}

/// Leaves it to a person, who is told once a day.
fn refuse(client: &Client<'_>, opened: &Opened, too_many: &TooMany, told: &mut Told) {
    told.problems.push(too_many.to_string());
    told.exit = LOOK;
    if !client.was_told(opened, &told.problems, REPEATED_AFTER) {
        let refused = Upkeep { problems: told.problems.clone(), ..Upkeep::of("too many snapshots would go at once".to_owned(), []) };
        client.record(opened, &client.event(Body::Upkeep(Deed::Prune, Box::new(refused)), Mail::Alert));
    }
}

fn held_of(all: &[Snapshot]) -> usize {
    all.iter().filter(|snapshot| snapshot.held).count()
}

fn names(snapshots: &[&Snapshot]) -> Vec<String> {
    snapshots.iter().map(|snapshot| snapshot.name.to_string()).collect()
}
