//! `snapgate delete` and `undelete`: what one chooses goes, and comes back.

use std::path::Path;

use super::client::{Client, failure, upkeep};
use super::done::Done;
use super::held::leads_to;
use super::rules::judge;
use super::{Failure, Printed};
use crate::act::config;
use crate::act::prune::{Held, Protected, Removal};
use crate::decide::keep::{Judged, Snapshot};
use crate::terms::text::{counted, printable};
use crate::terms::{Body, ClientName, Deed, Event, Mail, SnapshotName, exit};

/// How `delete` is meant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    /// Whether what has to stay goes, too.
    pub(crate) force: bool,
    /// Whether nothing is to be changed.
    pub(crate) dry_run: bool,
    /// Whether a program reads the answer.
    pub(crate) json: bool,
}

/// Moves snapshots into the trash: all of these, or none. What a floor keeps stays, unless `force`
/// is said. `current` moves to the newest that is left.
pub(crate) fn delete(directory: &Path, name: &ClientName, wanted: &[String], how: How) -> Result<Printed, Failure> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let client = Client::find(directory, &site, name)?;
    client.reaching(|| deleted(&client, wanted, how))?.printed(&client, how.json)
}

fn deleted(client: &Client<'_>, wanted: &[String], how: How) -> Result<Done, Failure> {
    let opened = client.existing()?;
    let held = client.hold(&opened)?;
    let mut all = client.snapshots(&opened)?;
    for snapshot in &mut all {
        snapshot.being_read = wanted.iter().any(|wanted| wanted == snapshot.name.as_str()) && opened.is_read(&snapshot.name);
    }
    let judged = judge(client, &all);
    let mut goes: Vec<&SnapshotName> = Vec::new();
    let mut stays = Vec::new();
    for wanted in wanted {
        let found = judged.iter().find(|judged| judged.snapshot.name.as_str() == wanted);
        let judged = found.ok_or_else(|| client.unknown(&opened, wanted))?;
        if goes.contains(&&judged.snapshot.name) {
            continue;
        }
        if judged.is_on_a_floor() && !how.force {
            stays.push(floors(judged));
        }
        goes.push(&judged.snapshot.name);
    }
    if !stays.is_empty() {
        let stays = stays.join("\n");
        return Err((format!("nothing was removed, because these have to stay:\n{stays}\nsay --force if they are to go"), exit::REFUSED));
    }
    let count = counted(goes.len(), "snapshot", "snapshots");
    let says = |says: String| Done::new(client, goes.iter().map(|name| name.as_str()), says);
    if how.dry_run {
        return Ok(says(format!("{count} would be removed")).would());
    }
    let removal =
        Removal { why: if how.force { "`snapgate delete --force`" } else { "`snapgate delete`" }.to_owned(), by: client.by.clone() };
    take_out(client, &held, &all, &goes, (&removal, how.force))?;
    Ok(says(format!("{count} removed; `snapgate undelete` brings each back within {}", client.policy.trash_grace)))
}

/// Takes them out, and records it: also of a part, where the rest cannot be.
fn take_out(
    client: &Client<'_>,
    held: &Held<'_>,
    all: &[Snapshot],
    goes: &[&SnapshotName],
    (removal, force): (&Removal, bool),
) -> Result<(), Failure> {
    let words = |removed: &[&str]| {
        let happened = format!("{} deleted by {}", counted(removed.len(), "snapshot", "snapshots"), removal.by);
        Body::Upkeep(Deed::Delete, upkeep(happened, removed.iter().copied(), &removal.why))
    };
    let event = client.event(words(&goes.iter().map(|name| name.as_str()).collect::<Vec<_>>()), Mail::None);
    held.announce(&event).map_err(failure)?;
    // It must never lead to what is gone.
    if all.iter().any(|snapshot| snapshot.current && goes.contains(&&snapshot.name)) {
        held.set_current(leads_to(held.opened(), all, |name| goes.contains(&name))).map_err(failure)?;
    }
    let mut removed = Vec::new();
    let mut failed = None;
    for name in goes {
        let removed_now = if force { held.remove_from_readers(name, client.now, removal) } else { held.remove(name, client.now, removal) };
        match removed_now {
            Ok(()) => removed.push(name.as_str()),
            Err(reason) => {
                failed = Some(failure(reason));
                break;
            }
        }
    }
    let synced = held.sync().map_err(failure);
    if !removed.is_empty() {
        client.record(held.opened(), &Event { body: words(&removed), ..event });
    }
    held.told();
    failed.map_or(synced, Err)
}

/// A snapshot and the floors under it.
fn floors(judged: &Judged<'_>) -> String {
    format!("  {judged}")
}

/// Brings a snapshot back, the one that was removed last where there are several of the name. It is
/// protected for as long as the trash keeps one, since a rule may have removed it.
pub(crate) fn undelete(directory: &Path, name: &ClientName, wanted: &str, json: bool) -> Result<Printed, Failure> {
    let site = config::load_site(directory).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    let client = Client::find(directory, &site, name)?;
    client.reaching(|| undeleted(&client, wanted))?.printed(&client, json)
}

fn undeleted(client: &Client<'_>, wanted: &str) -> Result<Done, Failure> {
    let name = client.name();
    let opened = client.existing()?;
    let shown = printable(wanted.as_bytes());
    let held = client.hold(&opened)?;
    let trash = opened.trash().map_err(failure)?;
    let gone = || {
        let waiting: String = trash.iter().map(|trashed| format!("\n  {}", printable(trashed.name.as_bytes()))).collect();
        let waiting = if waiting.is_empty() { "\nthe trash is empty".to_owned() } else { format!("\nin the trash are:{waiting}") };
        (format!("`{shown}` is not in the trash of `{name}`{waiting}"), exit::USAGE)
    };
    let trashed = trash.iter().rev().find(|trashed| trashed.name == wanted).ok_or_else(gone)?;
    let other = || {
        let help = "write snapshots: { name: … } with the pattern that it has, for as long as that takes";
        (format!("`{shown}` is in the trash, but is no name of the policy's pattern\n{help}"), exit::USAGE)
    };
    let snapshot = client.policy.names.read(wanted).ok_or_else(other)?;
    let there = opened.names(&client.policy.names).map_err(failure)?;
    if there.contains(&snapshot) {
        return Err((format!("`{name}` has another snapshot `{shown}` now\ndelete that one first"), exit::USAGE));
    }
    let until = client.now + client.grace();
    let protections = opened.protections().map_err(failure)?;
    let is_protected = protections.iter().any(|(name, note)| name == wanted && note.until.is_none_or(|end| end >= until));
    if !is_protected {
        let protected = Protected { until: Some(until), why: "it was brought back".to_owned(), by: client.by.clone(), at: client.now };
        opened.protect(&snapshot, &protected).map_err(failure)?;
    }
    let happened = format!("{snapshot} brought back by {}", client.by);
    let event = client.event(Body::Upkeep(Deed::Undelete, upkeep(happened, [snapshot.as_str()], "")), Mail::None);
    held.announce(&event).map_err(failure)?;
    if opened.current().as_deref() == Some(wanted) {
        // What it led to is gone, and what comes in its place may be damage.
        held.set_current(leads_to(&opened, &client.snapshots(&opened)?, |_| false)).map_err(failure)?;
    }
    held.bring_back(trashed, &snapshot).map_err(failure)?;
    held.sync().map_err(failure)?;
    if !opened.is_passed_over(wanted) && there.iter().all(|other| (other.at, other.as_str()) < (snapshot.at, snapshot.as_str())) {
        held.set_current(Some(&snapshot)).map_err(failure)?;
    }
    client.record(&opened, &event);
    held.told();
    let protected = if is_protected { "protected as before".to_owned() } else { format!("protected for {}", client.policy.trash_grace) };
    Ok(Done::new(client, [snapshot.as_str()], format!("{snapshot} is back, {protected}")))
}
