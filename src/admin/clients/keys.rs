//! `snapgate add-key` and `rotate-key`: another key for a client. With `rotate-key` those before it
//! end on a date, by sshd's own clock.
//!
//! The policy knows the new key before sshd does, so that none is let in and then refused.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Others, Printed, another_s, begin, failed, given, indexed, policy};
use crate::act::clients::{self, Owner};
use crate::act::config::zones;
use crate::act::{child, clock};
use crate::decide::clients::key::PublicKey;
use crate::decide::clients::{edit, keyfile};
use crate::decide::keep::Until;
use crate::decide::policy::Policy;
use crate::terms::limits::MAX_OVERLAP;
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
    /// When the others end; `None`: they stay.
    pub(crate) end: Option<End>,
}

/// When keys end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// So long from now.
    After(Duration),
    /// Then.
    At(Until),
}

/// Gives the client another key.
pub(crate) fn add(directory: &Path, orders: &Orders) -> Result<Printed, Printed> {
    let key = given(orders.key.as_deref(), orders.key_file.as_deref())?;
    let (site, _taken) = begin(directory, "changing keys")?;
    let client = &orders.client;
    let policy = policy(directory, &site, client)?;
    let others = Others::of(directory, &site, client)?;
    // A policy that cannot be read may have the account, too: then whose a line is could not be told,
    // and a key would stay that has to end.
    orders.end.map_or(Ok(()), |_| others.all_read())?;
    let now = clock::now();
    let until = orders.end.map(|end| ending(end, now, &policy)).transpose()?;
    let path = clients::key_file(directory, &policy.user);
    let old = clients::read(&path).map_err(|error| failed("reading", &path, &error))?.unwrap_or_default();
    another_s(&others, Some(&policy), &key, (&policy.user, &old))?;

    // Of several clients' keys in one file only this one's are touched.
    let is_alone = others.unread.is_none() && others.with(&policy.user).is_none();
    let is_its = |other: &PublicKey, line: &str| {
        other.fingerprint != key.fingerprint && keyfile::is_of(&policy, &others.policies, is_alone, (other, line))
    };
    let is_nobodys = |(other, line): &(PublicKey, &str)| {
        other.fingerprint != key.fingerprint && keyfile::is_nobodys(&policy, &others.policies, is_alone, (other, line))
    };
    let unsure: Vec<Fingerprint> = keyfile::keys(&old).into_iter().filter(is_nobodys).map(|(other, _)| other.fingerprint).collect();
    let has_ended = |line: &str| keyfile::ends(line).is_some_and(|end| end <= now);
    let its: Vec<(PublicKey, &str)> = keyfile::keys(&old).into_iter().filter(|(other, line)| is_its(other, line)).collect();
    let ended: Vec<&Fingerprint> = its.iter().filter(|(_, line)| has_ended(line)).map(|(other, _)| &other.fingerprint).collect();
    let mut text = keyfile::without(&old, &ended);
    let mut ending = Vec::new();
    if let Some(until) = until {
        for (other, line) in its.iter().filter(|(other, line)| !has_ended(line) && !restores_alone(&policy, &other.fingerprint)) {
            text = keyfile::with(&text, other, &keyfile::ending(line, until));
            ending.push(other.fingerprint.clone());
        }
    }
    text = keyfile::with(&text, &key, &line(&old, &policy, &others, &key)?);

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
    Ok(indexed(directory, &site, told(orders, &policy, &key, (&ending, &unsure), until, &path)))
}

/// A key that may do nothing but restore is not the one that is changed.
fn restores_alone(policy: &Policy, key: &Fingerprint) -> bool {
    let lists = |keys: &Option<Vec<Fingerprint>>| keys.iter().flatten().any(|listed| listed == key);
    lists(&policy.restore.keys) && !lists(&policy.keys)
}

fn ending(end: End, now: DateTime<Utc>, policy: &Policy) -> Result<DateTime<Utc>, Printed> {
    let until = match end {
        End::After(overlap) => TimeDelta::from_std(overlap).ok().and_then(|overlap| now.checked_add_signed(overlap)),
        End::At(until) => {
            let zone = zones::load(&policy.timezone).map_err(|what| (what, exit::CONFIG))?;
            Some(until.end(now, &zone).map_err(|what| (what, exit::USAGE))?)
        }
    };
    let Some(until) = until.filter(|until| *until <= now + MAX_OVERLAP) else {
        let help = "name an earlier end; `snapgate add-key` lets them stay without one";
        return Err((
            format!("the keys before it would end in more than {} days\n{help}", MAX_OVERLAP.as_secs() / (24 * 3600)),
            exit::USAGE,
        ));
    };
    // sshd counts in minutes.
    Ok(until + TimeDelta::seconds(59))
}

/// The line of the new key. It says whose key it is where that of another key of the client does, and
/// where others have the account, too.
fn line(old: &str, policy: &Policy, others: &Others, key: &PublicKey) -> Result<String, Printed> {
    let gate = child::gate().map_err(|what| (what, exit::CONFIG))?;
    let gate = gate.to_string_lossy().into_owned();
    let is_named = old.lines().any(|line| keyfile::names(line).is_some_and(|client| client == policy.client));
    let is_shared = is_named || others.with(&policy.user).is_some();
    Ok(keyfile::line(key, is_shared.then_some((gate.as_str(), &policy.client)), None))
}

/// What was done: to the keys that end, and of those of which nothing says whose they are.
fn told(
    orders: &Orders,
    policy: &Policy,
    key: &PublicKey,
    (ending, unsure): (&[Fingerprint], &[Fingerprint]),
    until: Option<DateTime<Utc>>,
    path: &Path,
) -> String {
    let client = &orders.client;
    let mut text = format!("{client}: key {} may come\n", key.fingerprint);
    match until {
        Some(until) if ending.is_empty() && unsure.is_empty() => {
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
    if until.is_some() && !unsure.is_empty() {
        unsure.iter().for_each(|key| text.push_str(&format!("  key {key} stays: nothing says which client of the account has it\n")));
        text.push_str(&format!(
            "  list the keys of each client under `keys:` in its policy, and run it again; or remove the lines from {} yourself\n",
            printable_path(path)
        ));
    }
    text
}
