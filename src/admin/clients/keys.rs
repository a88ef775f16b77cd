//! `snapgate add-key` and `rotate-key`: another key for a client. With `rotate-key` those before it
//! end on a date, by sshd's own clock.
//!
//! The policy knows the new key before sshd does, so that none is let in and then refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Printed, another_s, begin, failed, given, indexed, policy};
use crate::act::clients::{self, Owner};
use crate::act::{child, clock};
use crate::decide::clients::key::PublicKey;
use crate::decide::clients::{edit, keyfile};
use crate::decide::policy::Policy;
use crate::terms::text::printable_path;
use crate::terms::{ClientName, Fingerprint, exit};

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Orders {
    /// The client.
    pub(crate) client: ClientName,
    /// The new key.
    pub(crate) key: Option<String>,
    /// The same in a file.
    pub(crate) key_file: Option<PathBuf>,
    /// For how long the others are still taken; `None`: they stay.
    pub(crate) overlap: Option<Duration>,
}

/// Gives the client another key.
pub(crate) fn add(directory: &Path, orders: &Orders) -> Result<Printed, Printed> {
    let key = given(orders.key.as_deref(), orders.key_file.as_deref())?;
    let (site, _taken) = begin(directory, "changing keys")?;
    let client = &orders.client;
    let policy = policy(directory, &site, client)?;
    let now = clock::now();
    let until = orders.overlap.map(|overlap| ending(now, overlap)).transpose()?;
    let path = clients::key_file(directory, &policy.user);
    let old = clients::read(&path).map_err(|error| failed("reading", &path, &error))?.unwrap_or_default();
    another_s(directory, &site, client, &key)?;

    let ended: Vec<Fingerprint> = keyfile::keys(&old)
        .into_iter()
        .filter(|(_, line)| keyfile::ends(line).is_some_and(|end| end <= now))
        .map(|(key, _)| key.fingerprint)
        .collect();
    // Of several clients' keys in one file only this one's are touched.
    let is_its = |other: &Fingerprint| policy.keys.as_ref().is_none_or(|keys| keys.contains(other));
    let ended: Vec<&Fingerprint> = ended.iter().filter(|ended| is_its(ended) && **ended != key.fingerprint).collect();
    let mut text = keyfile::without(&old, &ended);
    let mut ending = Vec::new();
    if let Some(until) = until {
        for (other, line) in keyfile::keys(&text.clone()) {
            if is_its(&other.fingerprint) && other.fingerprint != key.fingerprint {
                text = keyfile::with(&text, &other, &keyfile::ending(line, until));
                ending.push(other.fingerprint);
            }
        }
    }
    text = keyfile::with(&text, &key, &line(&old, &policy, &key)?);

    if let Some(keys) = &policy.keys {
        let mut keys: Vec<&Fingerprint> = keys.iter().filter(|key| !ended.contains(key)).collect();
        keys.extend((!keys.contains(&&key.fingerprint)).then_some(&key.fingerprint));
        let words: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
        let changed = clients::change(directory, &site, client, &[("keys", Some(&edit::list(&words)))]);
        changed.map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    }
    clients::after(directory, "policy").map_err(|what| (what, exit::INTERNAL))?;
    if text != old {
        let written = clients::directory(&directory.join(clients::KEYS), Owner { user: 0, group: 0, mode: 0o755 })
            .and_then(|_| clients::write(&path, &text, Owner { user: 0, group: 0, mode: 0o644 }));
        written.map_err(|error| failed("writing", &path, &error))?;
    }
    Ok(indexed(directory, &site, told(orders, &policy, &key, &ending, until, &path)))
}

fn ending(now: DateTime<Utc>, overlap: Duration) -> Result<DateTime<Utc>, Printed> {
    // sshd counts in minutes.
    let until = TimeDelta::from_std(overlap).ok().and_then(|overlap| now.checked_add_signed(overlap + TimeDelta::seconds(59)));
    until.filter(|until| *until > now).ok_or_else(|| ("--overlap is no time\nwrite 7d or 12h".to_owned(), exit::USAGE))
}

/// The line of the new key: as those of the same client have it.
fn line(old: &str, policy: &Policy, key: &PublicKey) -> Result<String, Printed> {
    let mark = format!("--client {}\"", policy.client);
    let gate = child::gate().map_err(|what| (what, exit::CONFIG))?;
    let gate = gate.to_string_lossy().into_owned();
    let is_shared = old.lines().any(|line| line.contains(&mark));
    Ok(keyfile::line(key, is_shared.then_some((gate.as_str(), &policy.client)), None))
}

fn told(orders: &Orders, policy: &Policy, key: &PublicKey, ending: &[Fingerprint], until: Option<DateTime<Utc>>, path: &Path) -> String {
    let client = &orders.client;
    let mut text = format!("{client}: key {} may come\n", key.fingerprint);
    match until {
        Some(until) if ending.is_empty() => {
            let account = &policy.user;
            text.push_str(&format!(
                "  no other key of its is in {}, so none ends at {}; one in `{account}`'s own ~/.ssh/authorized_keys is removed there\n",
                printable_path(path),
                until.format("%Y-%m-%d %H:%M UTC")
            ));
        }
        Some(until) => {
            ending.iter().for_each(|key| text.push_str(&format!("  key {key} ends at {}\n", until.format("%Y-%m-%d %H:%M UTC"))))
        }
        None => text.push_str("  those before it stay; `snapgate rotate-key` would end them\n"),
    }
    text
}
