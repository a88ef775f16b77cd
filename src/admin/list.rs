//! `snapgate list`: the snapshots of one client, or of all, for the administrator.

use std::fmt::Write as _;
use std::path::Path;

use crate::act::config;
use crate::act::inspect::look;
use crate::act::names;
use crate::act::record::{ledger, spool};
use crate::act::store::{Repository, mounted};
use crate::decide::policy::{Policy, Site};
use crate::terms::text::{counted, printable};
use crate::terms::{ClientName, PushFacts, Record, SnapshotName, exit};

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
        let shown = printable(policy.path.as_os_str().as_encoded_bytes());
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
    let count = counted(names.len(), "snapshot", "snapshots");
    let _ = writeln!(text, "{}: {count} in {}", policy.client, policy.path.display());
    let records = ledger::read(&repository.ledger());
    let current = std::fs::read_link(repository.current()).unwrap_or_default();
    for name in names {
        let record = records.iter().rev().find(|record| published_as(record, name.as_str()).is_some());
        let facts = record.and_then(|record| published_as(record, name.as_str()));
        let size = facts
            .map(|facts| format!("  {:>10} {:5}  {:>10} new", facts.files, if facts.files == 1 { "file" } else { "files" }, facts.received))
            .unwrap_or_default();
        let partial = if facts.is_some_and(|facts| facts.partial) { "  partial" } else { "" };
        let shrunk = if facts.is_some_and(|facts| facts.lost.is_some()) { "  shrunk" } else { "" };
        let beyond = facts.map(|facts| facts.beyond).filter(|beyond| *beyond > 0);
        let beyond = beyond.map(|beyond| format!("  {beyond} stored as nobody's")).unwrap_or_default();
        // A single owner is not worth a remark.
        let dropped = facts.and_then(|facts| facts.dropped_owners).filter(|dropped| dropped.owners > 1);
        let dropped = dropped.map(|dropped| format!("  {} stored as the account's", dropped.files)).unwrap_or_default();
        let carried = facts.map(|facts| facts.carried).filter(|carried| *carried > 0);
        let carried = carried.map(|carried| format!("  {carried} carried over")).unwrap_or_default();
        let missing = record.and_then(|record| missing(&repository, &name, record)).unwrap_or_default();
        let mark = if current.ends_with(name.as_str()) { "  current" } else { "" };
        let _ = writeln!(text, "  {name}{size}{carried}{partial}{shrunk}{missing}{beyond}{dropped}{mark}");
    }
    Ok(true)
}

/// The remark on a snapshot that has lost files since it was published.
fn missing(repository: &Repository, name: &SnapshotName, record: &Record) -> Option<String> {
    let facts = record.push.as_ref()?;
    let published = facts.published.unwrap_or(record.at);
    let left = repository.left(name, published).filter(|left| *left < facts.files)?;
    Some(format!("  NOT WHOLE: {left} of {} files are left", facts.files))
}

fn published_as<'a>(record: &'a Record, name: &str) -> Option<&'a PushFacts> {
    record.push.as_ref().filter(|facts| facts.snapshot.as_deref() == Some(name))
}
