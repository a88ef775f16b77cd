//! `snapgate release` and `discard`: what becomes of a snapshot that may be damage.

use std::path::Path;

use super::client::{Client, failure, upkeep};
use super::done::Done;
use super::{Failure, Printed};
use crate::act::config;
use crate::act::prune::{Held, Opened, Removal};
use crate::decide::keep::{Protection, Snapshot};
use crate::terms::limits::MAX_QUOTED;
use crate::terms::text::{on_one_line, printable_within};
use crate::terms::{Body, ClientName, Deed, Event, Mail, SnapshotName, exit};

/// Says that held snapshots are no damage: all of these, or none. From then on they are good ones.
pub(crate) fn release(directory: &Path, name: &ClientName, wanted: &[String], why: &str, json: bool) -> Result<Printed, Failure> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let client = Client::find(directory, &site, name)?;
    client.reaching(|| released(&client, wanted, why))?.printed(&client, json)
}

fn released(client: &Client<'_>, wanted: &[String], why: &str) -> Result<Done, Failure> {
    let opened = client.existing()?;
    let held = client.hold(&opened)?;
    let all = client.snapshots(&opened)?;
    let chosen = chosen(client, &opened, &all, wanted)?;
    let names: Vec<&str> = chosen.iter().map(|snapshot| snapshot.name.as_str()).collect();
    let why = printable_within(on_one_line(why).as_bytes(), MAX_QUOTED);
    let happened = format!("{} released by {}", names.join(", "), client.by);
    let event = client.event(Body::Upkeep(Deed::Release, upkeep(happened.clone(), names.iter().copied(), &why)), Mail::None);
    held.announce(&event).map_err(failure)?;
    // What is known of them goes into the history first: after a kill they are still held, and can be
    // released again.
    let mut history = opened.history().map_err(failure)?;
    for note in names.iter().filter_map(|name| opened.held_note(name)) {
        history.release(note);
    }
    held.write_history(&history).map_err(failure)?;
    for name in &names {
        held.release(name).map_err(failure)?;
    }
    lead(&opened, &held, &all, &names)?;
    client.record(&opened, &event);
    held.told();
    Ok(Done::new(client, names, happened))
}

/// Removes held snapshots, as damage: all of these, or none. They go where `delete` puts what it
/// removes, and `undelete` brings them back for a while.
pub(crate) fn discard(directory: &Path, name: &ClientName, wanted: &[String], why: &str, json: bool) -> Result<Printed, Failure> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let client = Client::find(directory, &site, name)?;
    client.reaching(|| discarded(&client, wanted, why))?.printed(&client, json)
}

fn discarded(client: &Client<'_>, wanted: &[String], why: &str) -> Result<Done, Failure> {
    let opened = client.existing()?;
    let held = client.hold(&opened)?;
    let all = client.snapshots(&opened)?;
    let chosen = chosen(client, &opened, &all, wanted)?;
    for snapshot in &chosen {
        if is_protected(snapshot, client) || opened.is_read(&snapshot.name) {
            let what = format!("{} has to stay: it is protected, or being read\nend that first, then discard it", snapshot.name);
            return Err((what, exit::REFUSED));
        }
    }
    if chosen.len() == all.len() {
        return Err((
            "nothing would be left of its history\nrelease one of them, or remove them with `snapgate delete --force`".to_owned(),
            exit::REFUSED,
        ));
    }
    let names: Vec<&str> = chosen.iter().map(|snapshot| snapshot.name.as_str()).collect();
    let why = printable_within(on_one_line(why).as_bytes(), MAX_QUOTED);
    let removal = Removal { why: format!("`snapgate discard`{}{why}", if why.is_empty() { "" } else { ": " }), by: client.by.clone() };
    let words = |names: &[&str]| {
        let happened = format!("{} discarded by {}", names.join(", "), client.by);
        Body::Upkeep(Deed::Discard, upkeep(happened, names.iter().copied(), &removal.why))
    };
    let event = client.event(words(&names), Mail::None);
    held.announce(&event).map_err(failure)?;
    // It must never lead to what is gone.
    lead(&opened, &held, &all, &names)?;
    let mut removed = Vec::new();
    let mut failed = None;
    for snapshot in &chosen {
        match held.remove(&snapshot.name, client.now, &removal) {
            Ok(()) => removed.push(snapshot.name.as_str()),
            Err(reason) => {
                failed = Some(failure(reason));
                break;
            }
        }
    }
    let synced = held.sync().map_err(failure);
    // It stays held, wherever it stands: if it comes back, it is no good one.
    client.record(&opened, &Event { body: words(&removed), ..event.clone() });
    held.told();
    if let Some(failed) = failed {
        return Err(failed);
    }
    synced?;
    let grace = client.policy.trash_grace;
    Ok(Done::new(client, names, format!("{}; `snapgate undelete` brings it back within {grace}", event.summary())))
}

/// The snapshots of these names, each of which has to be held.
fn chosen<'a>(client: &Client<'_>, opened: &Opened, all: &'a [Snapshot], wanted: &[String]) -> Result<Vec<&'a Snapshot>, Failure> {
    let mut chosen: Vec<&Snapshot> = Vec::new();
    for wanted in wanted {
        let found = all.iter().find(|snapshot| snapshot.name.as_str() == wanted).ok_or_else(|| client.unknown(opened, wanted))?;
        if !found.held {
            let client = client.name();
            let held: String = all.iter().filter(|one| one.held).map(|one| format!("\n  {}", one.name)).collect();
            let held = if held.is_empty() { "\nnone is".to_owned() } else { format!("\nthese are:{held}") };
            return Err((format!("`{}` of `{client}` is not held{held}", found.name), exit::USAGE));
        }
        if !chosen.iter().any(|one| one.name == found.name) {
            chosen.push(found);
        }
    }
    Ok(chosen)
}

fn is_protected(snapshot: &Snapshot, client: &Client<'_>) -> bool {
    match snapshot.protected {
        Protection::None => false,
        Protection::Until(end) => client.now < end,
        Protection::Always => true,
    }
}

/// Has `current` lead to the newest snapshot that it may lead to, without these that go or were
/// released. Does nothing where it does already.
fn lead(opened: &Opened, held: &Held<'_>, all: &[Snapshot], names: &[&str]) -> Result<(), Failure> {
    let newest = leads_to(opened, all, |name| names.contains(&name.as_str()) && opened.is_held(name.as_str()).unwrap_or(true));
    if newest.map(SnapshotName::as_str) == opened.current().as_deref() {
        return Ok(());
    }
    held.set_current(newest).map_err(failure)
}

/// The newest snapshot that `current` may lead to, without these.
pub(super) fn leads_to<'a>(opened: &Opened, all: &'a [Snapshot], is_gone: impl Fn(&SnapshotName) -> bool) -> Option<&'a SnapshotName> {
    let left = || all.iter().rev().map(|snapshot| &snapshot.name).filter(|name| !is_gone(name));
    left().find(|name| !opened.is_passed_over(name.as_str())).or_else(|| left().next())
}
