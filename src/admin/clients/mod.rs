//! Clients come, change and go: `snapgate add-client` and its like. For root.
//!
//! One of them runs at a time. Nothing that is somebody else's is taken over or removed, and the
//! data of a client stays unless its name is said twice.

pub(crate) mod add;
pub(crate) mod freeze;
pub(crate) mod keys;
mod qr;
pub(crate) mod remove;
pub(crate) mod rename;

use std::path::Path;

use crate::act::clients::{self, Taken};
use crate::act::store::{self, Lock, Repository};
use crate::act::{config, inspect};
use crate::decide::clients::key::PublicKey;
use crate::decide::clients::keyfile;
use crate::decide::policy::yaml::Fault;
use crate::decide::policy::{Policy, Site};
use crate::terms::limits::MAX_PUBLIC_KEY;
use crate::terms::text::printable_path;
use crate::terms::{ClientName, Code, exit};

/// What is printed, and the exit code.
pub(crate) type Printed = (String, u8);

/// Its file, the site, and nobody else at it.
fn begin(directory: &Path, what: &str) -> Result<(Site, Taken), Printed> {
    if inspect::running_uid() != 0 {
        return Err((format!("{what} takes root\nrun it by sudo, or as root"), exit::REFUSED));
    }
    let site = config::load_site(directory).map_err(|fault| {
        let first = "`snapgate init` writes the site file, where there is none";
        (format!("{fault}\n{first}"), exit::CONFIG)
    })?;
    Ok((site, taken(directory)?))
}

fn taken(directory: &Path) -> Result<Taken, Printed> {
    clients::take(directory).map_err(|error| (format!("writing to `{}`: {error}", printable_path(directory)), exit::CONFIG))
}

/// What was done, with the index of keys brought up to date, and a note where that could not be.
/// Whoever calls still keeps others away from the policies.
fn indexed(directory: &Path, site: &Site, text: String) -> Printed {
    let note = config::keyring::refreshed(directory, site).map(|note| format!("note: {note}\n")).unwrap_or_default();
    (text + &note, 0)
}

fn policy(directory: &Path, site: &Site, client: &ClientName) -> Result<Policy, Printed> {
    let policy = config::load_policy(directory, site, client).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    policy.ok_or_else(|| (format!("there is no client `{client}`\nsee `snapgate status` for the clients there are"), exit::USAGE))
}

/// The key that was given as text, in a file, or on standard input (`-`).
fn given(key: Option<&str>, file: Option<&Path>) -> Result<PublicKey, Printed> {
    let text = match (key, file) {
        (Some(text), _) => text.to_owned(),
        (None, Some(file)) => {
            let read = inspect::text(file, MAX_PUBLIC_KEY);
            read.map_err(|error| (format!("reading `{}`: {error}\nname the client's .pub file", printable_path(file)), exit::USAGE))?
        }
        (None, None) => return Err(("no key was given\ngive the line of the client's .pub file with --key '…'".to_owned(), exit::USAGE)),
    };
    PublicKey::read(&text).map_err(|what| (what, exit::USAGE))
}

/// The other clients that there are.
struct Others {
    /// All of them, whatever their policies say.
    names: Vec<ClientName>,
    policies: Vec<Policy>,
    /// A policy that cannot be read: it may speak of the same account or place.
    unread: Option<Fault>,
}

impl Others {
    fn of(directory: &Path, site: &Site, client: &ClientName) -> Result<Self, Printed> {
        let all = config::all_policies(directory, site).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
        let (mut names, mut policies, mut unread) = (Vec::new(), Vec::new(), None);
        for (name, other) in all.into_iter().filter(|(other, _)| other != client) {
            names.push(name);
            match other {
                Ok(other) => policies.push(other),
                Err(fault) => unread = Some(fault),
            }
        }
        Ok(Self { names, policies, unread })
    }

    /// Refuses where a policy cannot be read.
    fn all_read(&self) -> Result<(), Printed> {
        match &self.unread {
            Some(fault) => Err((format!("another policy may share what this one has, and cannot be read\n{fault}"), exit::CONFIG)),
            None => Ok(()),
        }
    }

    /// One that has the account, too.
    fn with(&self, account: &str) -> Option<&Policy> {
        self.policies.iter().find(|other| other.user == account)
    }
}

/// Refuses a key that another client has, by its policy or by the key's line in the account's file:
/// which of them it speaks for could not be told. The gate gives the key of a bare line, which names
/// nobody, to a client of the account whose policy lists no keys.
fn another_s(others: &Others, own: Option<&Policy>, key: &PublicKey, (account, text): (&str, &str)) -> Result<(), Printed> {
    let by_policy = others.policies.iter().find(|other| keyfile::lists(other, key)).map(|other| other.client.clone());
    let by_line = || keyfile::named(text, key).into_iter().find(|named| others.names.contains(named));
    let is_bare = || keyfile::keys(text).iter().any(|(found, line)| found.fingerprint == key.fingerprint && keyfile::names(line).is_none());
    let by_account = || {
        let open = others.policies.iter().find(|other| other.user == account && other.keys.is_none())?;
        (!own.is_some_and(|own| keyfile::lists(own, key)) && is_bare()).then(|| open.client.clone())
    };
    match by_policy.or_else(by_line).or_else(by_account) {
        Some(other) => Err(has_already(&other)),
        None => Ok(()),
    }
}

fn has_already(other: &ClientName) -> Printed {
    let help = "make the client a key of its own: ssh-keygen -t ed25519";
    (format!("{other} has this key already\n{help}"), exit::REFUSED)
}

/// Refuses where the repository's disk is not mounted, though its policy says that it has to be: what
/// is not seen is not gone.
fn mounted(policy: &Policy, site: &Site) -> Result<(), Printed> {
    store::mounted(policy, site).map_err(|reason| {
        let remedy = reason.remedy.or(reason.hint).map(|remedy| format!("\n{remedy}")).unwrap_or_default();
        (format!("{}{remedy}", reason.detail), exit::CONFIG)
    })
}

fn busy(client: &ClientName) -> Printed {
    let help = "wait until it has ended, or end it; `snapgate freeze` lets no other in";
    (format!("a push of {client} is running\n{help}"), exit::BUSY)
}

/// Holds a repository, so that no push begins there; refuses where one is running.
fn kept_out(repository: &Repository, client: &ClientName) -> Result<Vec<Lock>, Printed> {
    repository.keep_out().map_err(|reason| if reason.code == Code::Busy { busy(client) } else { (reason.detail, exit::INTERNAL) })
}

/// Refuses where somebody else has a hand in a directory above the repository.
fn is_roots_alone(path: &Path) -> Result<(), Printed> {
    match clients::not_roots_alone(path).map_err(|error| failed("looking above", path, &error))? {
        None => Ok(()),
        Some(above) => {
            let help = "let it be root's, and nobody else write in it (chown root, chmod go-w), or do by hand what is to be done there";
            Err((format!("`{}`, above the repository, is not root's alone\n{help}", printable_path(&above)), exit::REFUSED))
        }
    }
}

fn failed(doing: &str, path: &Path, error: &std::io::Error) -> Printed {
    (step_failed(doing, path, error), exit::INTERNAL)
}

fn step_failed(doing: &str, path: &Path, error: &std::io::Error) -> String {
    format!("{doing} `{}`: {error}", printable_path(path))
}
