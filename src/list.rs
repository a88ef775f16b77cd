//! `snapgate list`: the snapshots of one client, or of all, for the administrator.

use std::fmt::Write as _;
use std::path::Path;

use crate::act::store::Repository;
use crate::act::{config, ledger};
use crate::decide::policy::Policy;
use crate::terms::{ClientName, PushFacts, Record};

/// The text.
///
/// # Errors
/// In words, when the configuration or a repository cannot be read.
pub fn list(directory: &Path, client: Option<&ClientName>) -> Result<String, String> {
    let site = config::load_site(directory).map_err(|fault| fault.to_string())?;
    let mut text = String::new();
    match client {
        Some(client) => {
            let policy = config::load_policy(directory, &site, client).map_err(|fault| fault.to_string())?;
            let policy = policy.ok_or_else(|| format!("no policy for `{client}`\n`snapgate list` without a name shows every client"))?;
            snapshots(&mut text, &policy)?;
        }
        None => {
            for (client, policy) in config::all_policies(directory, &site).map_err(|fault| fault.to_string())? {
                match policy {
                    Ok(policy) => snapshots(&mut text, &policy)?,
                    Err(fault) => text.push_str(&format!("{client}: {fault}\n")),
                }
            }
        }
    }
    Ok(text)
}

fn snapshots(text: &mut String, policy: &Policy) -> Result<(), String> {
    let repository = Repository::at(&policy.path);
    let mut names = repository.names(&policy.names).map_err(|reason| reason.detail)?;
    names.sort_by_key(|name| name.at);
    let _ = writeln!(text, "{}: {} in {}", policy.client, counted(names.len(), "snapshot"), policy.path.display());
    let records = ledger::read(&repository.ledger());
    let current = std::fs::read_link(repository.current()).unwrap_or_default();
    for name in names {
        let facts = records.iter().rev().find_map(|record| published_as(record, name.as_str()));
        let size = facts.map(|facts| format!("  {:>10} files  {:>10} new", facts.files, facts.received)).unwrap_or_default();
        let partial = if facts.is_some_and(|facts| facts.partial) { "  partial" } else { "" };
        let shrunk = if facts.is_some_and(|facts| facts.lost.is_some()) { "  shrunk" } else { "" };
        let beyond = facts.map(|facts| facts.beyond).filter(|beyond| *beyond > 0);
        let beyond = beyond.map(|beyond| format!("  {beyond} stored as nobody's")).unwrap_or_default();
        // A person's own files have one owner, who is of no account here.
        let dropped = facts.and_then(|facts| facts.dropped_owners).filter(|dropped| dropped.owners > 1);
        let dropped = dropped.map(|dropped| format!("  {} stored as the account's", dropped.files)).unwrap_or_default();
        let mark = if current.ends_with(name.as_str()) { "  current" } else { "" };
        let _ = writeln!(text, "  {name}{size}{partial}{shrunk}{beyond}{dropped}{mark}");
    }
    Ok(())
}

fn published_as<'a>(record: &'a Record, name: &str) -> Option<&'a PushFacts> {
    record.push.as_ref().filter(|facts| facts.snapshot.as_deref() == Some(name))
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
