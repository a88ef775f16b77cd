//! `snapgate list`: the snapshots of one client, or of all, for the administrator.

use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, Utc};

use crate::act::config;
use crate::act::inspect::look;
use crate::act::names;
use crate::act::prune;
use crate::act::record::spool;
use crate::act::store::{Repository, mounted};
use crate::decide::policy::{Policy, Site};
use crate::decide::speak::line;
use crate::terms::limits::MAX_UNKNOWN;
use crate::terms::text::{counted, printable_path};
use crate::terms::{ClientName, Event, PushFacts, SnapshotName, View, exit};

/// The text and the exit code: 75 if snapshots could not be listed, 78 if a policy cannot be read.
/// It is an error if the configuration or the one repository cannot be read.
pub(crate) fn list(directory: &Path, client: Option<&ClientName>) -> Result<(String, u8), String> {
    let site = config::load_site(directory).map_err(|fault| fault.to_string())?;
    let mut text = String::new();
    if let Some(client) = client {
        let policy = config::load_policy(directory, &site, client).map_err(|fault| fault.to_string())?;
        let policy = policy.ok_or_else(|| format!("no policy for `{client}`\n`snapgate list` without a name shows every client"))?;
        let listed = snapshots(&mut text, &site, &policy)?;
        return Ok((text, if listed { 0 } else { exit::BUSY }));
    }
    let policies = config::all_policies(directory, &site).map_err(|fault| fault.to_string())?;
    if policies.is_empty() {
        let _ = writeln!(text, "no client yet: there is no policy in {}", directory.join("policies").display());
    }
    // An error of one client does not hide the others.
    let (mut listed, mut readable) = (true, true);
    for (client, policy) in policies {
        match policy.map(|policy| snapshots(&mut text, &site, &policy)) {
            Ok(Ok(there)) => listed &= there,
            Ok(Err(why)) => {
                text.push_str(&format!("{client}: {why}\n"));
                listed = false;
            }
            Err(fault) => {
                text.push_str(&format!("{client}: {fault}\n"));
                readable = false;
            }
        }
    }
    let exit = if !readable {
        exit::CONFIG
    } else if !listed {
        exit::BUSY
    } else {
        0
    };
    Ok((text, exit))
}

/// Adds a client's snapshots; returns whether the repository is there.
fn snapshots(text: &mut String, site: &Site, policy: &Policy) -> Result<bool, String> {
    let repository = Repository::at(&policy.path);
    if let Err(reason) = mounted(policy, site) {
        let _ = writeln!(text, "{}: its snapshots are not there: {}", policy.client, reason.detail);
        let _ = writeln!(text, "{}", reason.remedy.unwrap_or_default());
        return Ok(false);
    }
    if look(&policy.path).is_none() {
        let shown = printable_path(&policy.path);
        let was_here = names::named(&policy.user).is_some_and(|account| spool::was_published(&site.spool, account.uid, &policy.client));
        if was_here || look(&site.store).is_none() {
            let _ = writeln!(text, "{}: its snapshots are not there: the repository `{shown}` is missing", policy.client);
            text.push_str("see whether its disk is mounted and who removed it\n");
            return Ok(false);
        }
        let _ = writeln!(text, "{}: no snapshot yet: the repository `{shown}` is not there", policy.client);
        return Ok(true);
    }
    let mut names = repository.names(&policy.names).map_err(|reason| reason.detail)?;
    names.sort_by_key(|name| name.at);
    let _ = writeln!(text, "{}: {} in {}", policy.client, counted(names.len(), "snapshot", "snapshots"), policy.path.display());
    let is_about_snapshots = |event: &Event| event.push().is_some_and(|facts| facts.snapshot.is_some());
    let events = prune::events(&repository.state(), |event| is_about_snapshots(event) || matches!(event.view(), View::Unknown(_)));
    let current = std::fs::read_link(repository.current()).unwrap_or_default();
    for name in names {
        let published = events.iter().rev().find_map(|event| published_as(event, name.as_str()).map(|facts| (event.at, facts)));
        let facts = published.map(|(_, facts)| facts);
        let size = facts
            .map(|facts| format!("  {:>10} {:5}  {:>10} new", facts.files, if facts.files == 1 { "file" } else { "files" }, facts.received))
            .unwrap_or_default();
        let partial = if facts.is_some_and(|facts| facts.partial) { "  partial" } else { "" };
        let shrunk = if facts.is_some_and(|facts| facts.lost.is_some()) { "  shrunk" } else { "" };
        let held = if repository.is_held(name.as_str()) { "  HELD" } else { "" };
        let beyond = facts.map(|facts| facts.beyond).filter(|beyond| *beyond > 0);
        let beyond = beyond.map(|beyond| format!("  {beyond} stored as nobody's")).unwrap_or_default();
        // A single owner is not worth a remark.
        let dropped = facts.and_then(|facts| facts.dropped_owners).filter(|dropped| dropped.owners > 1);
        let dropped = dropped.map(|dropped| format!("  {} stored as the account's", dropped.files)).unwrap_or_default();
        let carried = facts.map(|facts| facts.carried).filter(|carried| *carried > 0);
        let carried = carried.map(|carried| format!("  {carried} carried over")).unwrap_or_default();
        let missing = published.and_then(|(at, facts)| missing(&repository, &name, at, facts)).unwrap_or_default();
        let mark = if current.ends_with(name.as_str()) { "  current" } else { "" };
        let _ = writeln!(text, "  {name}{size}{carried}{partial}{shrunk}{held}{missing}{beyond}{dropped}{mark}");
    }
    unknown(text, &events);
    Ok(true)
}

/// Adds the last events that only a later version can read, and how many there are.
fn unknown(text: &mut String, events: &[Event]) {
    let unknown: Vec<_> = events.iter().filter(|event| matches!(event.view(), View::Unknown(_))).collect();
    if !unknown.is_empty() {
        let _ =
            writeln!(text, "  {} of the ledger that only another version of snapgate can read:", counted(unknown.len(), "event", "events"));
    }
    for event in unknown.iter().skip(unknown.len().saturating_sub(MAX_UNKNOWN)) {
        let _ = writeln!(text, "    {}", line::plain(event));
    }
}

/// What is said of a snapshot that has lost files since it was published by a push that began then.
fn missing(repository: &Repository, name: &SnapshotName, began: DateTime<Utc>, facts: &PushFacts) -> Option<String> {
    let left = repository.left(name, facts.published.unwrap_or(began)).filter(|left| *left < facts.files)?;
    Some(format!("  NOT WHOLE: {left} of {} files are left", facts.files))
}

fn published_as<'a>(event: &'a Event, name: &str) -> Option<&'a PushFacts> {
    event.push().filter(|facts| facts.snapshot.as_deref() == Some(name))
}
