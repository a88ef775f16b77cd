//! `snapgate rename-client`: another name for a client, its policy and its repository. The account
//! keeps its own, so that nothing is to be changed on the client.
//!
//! The policy has the new name last. A run that was killed before goes on when it is run again: what it
//! was about to move stands in a file of root's. What an account can write decides nothing here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::{Printed, begin, failed, indexed, policy};
use crate::act::accounts::{self, Entry};
use crate::act::clients::{self, Owner};
use crate::act::config;
use crate::act::record::spool;
use crate::act::store::Repository;
use crate::decide::clients::steps::Place;
use crate::decide::clients::{comment, keyfile};
use crate::decide::policy::{Policy, Site};
use crate::terms::text::printable_path;
use crate::terms::{ClientName, exit};

/// Says in the directory of settings what is being moved, until the policy has its new name.
const MOVING: &str = ".renaming";

/// Calls a client by another name.
pub(crate) fn rename(directory: &Path, old: &ClientName, new: &ClientName) -> Result<Printed, Printed> {
    let (site, _taken) = begin(directory, "renaming a client")?;
    let target = clients::policy_file(directory, new);
    let has_new = clients::read(&target).map_err(|error| failed("reading", &target, &error))?.is_some();
    if has_new {
        let gone = config::load_policy(directory, &site, old).is_ok_and(|old| old.is_none());
        return if gone {
            let moving = directory.join(MOVING);
            clients::gone(&moving).map_err(|error| failed("removing", &moving, &error))?;
            Ok(indexed(directory, &site, format!("{new} has that name already, and there is no {old}\n")))
        } else {
            Err((format!("there is a client `{new}` already\nchoose another name"), exit::REFUSED))
        };
    }
    let policy = policy(directory, &site, old)?;
    super::mounted(&policy, &site)?;
    let account = accounts::account(&policy.user).map_err(|error| failed("reading", Path::new("/etc/passwd"), &error))?;
    let step = |name: &str| clients::after(directory, name).map_err(|what| (what, exit::INTERNAL));
    let renamed = renamed(directory, &policy.user, old, new)?;
    let moves = moves(directory, &site, &policy, account.as_ref(), new)?;
    let due = moves.as_ref().filter(|moves| moves.is_due);
    let _held = match due {
        Some(Moves { from, .. }) => {
            super::is_roots_alone(from)?;
            super::kept_out(&Repository::at(from), old)?
        }
        None => Vec::new(),
    };
    let own = policy.origins.of("user");
    if own.line == 0 || own.file != policy.origins.file {
        let user = crate::decide::clients::edit::account(&policy.user);
        clients::change(directory, &site, old, &[("user", Some(&user))]).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    }
    step("user")?;
    if let Some(text) = renamed {
        let path = clients::key_file(directory, &policy.user);
        let written = clients::write(&path, &text, Owner { user: 0, group: 0, mode: 0o644 });
        written.map_err(|error| failed("writing", &path, &error))?;
    }
    step("keys")?;
    if account.as_ref().is_some_and(|account| account.comment == comment(old)) {
        accounts::describe(&policy.user, &comment(new)).map_err(|what| (what, exit::BUSY))?;
    }
    step("account")?;
    // It says that there was a snapshot, where the repository is not to be seen.
    let told = account.map_or(Ok(()), |account| spool::rename_client(&site.spool, account.uid, old, new));
    step("spool")?;
    let moving = directory.join(MOVING);
    if let Some(Moves { from, to, .. }) = due {
        let text = record(old, new, from).map_err(|error| failed("looking at", from, &error))?;
        let written = clients::write(&moving, &text, Owner { user: 0, group: 0, mode: 0o600 });
        written.map_err(|error| failed("writing", &moving, &error))?;
        step("record")?;
        clients::rename(from, to).map_err(|error| failed("renaming", from, &error))?;
    }
    step("repository")?;
    let source = clients::policy_file(directory, old);
    clients::rename(&source, &target).map_err(|error| failed("renaming", &source, &error))?;
    clients::gone(&moving).map_err(|error| failed("removing", &moving, &error))?;
    let place = printable_path(moves.as_ref().map_or(&policy.path, |moves| &moves.to));
    let mut text = format!("{old} is {new} now: its repository is {place}, and its account is `{}` as before\n", policy.user);
    if let Err(error) = told {
        let _ = writeln!(text, "  note: {}", error.to_string().replace('\n', "\n  "));
    }
    Ok(indexed(directory, &site, text))
}

/// A repository that has its client's name, and is called as the client is.
struct Moves {
    from: PathBuf,
    to: PathBuf,
    /// Whether it has its old name.
    is_due: bool,
}

/// What becomes of the repository. A `path:` of its own stays what it is.
fn moves(directory: &Path, site: &Site, policy: &Policy, account: Option<&Entry>, new: &ClientName) -> Result<Option<Moves>, Printed> {
    let old = &policy.client;
    let [from, to] = [old, new].map(|client| site.store.join(client.as_str()));
    if policy.path != from || policy.origins.keys.iter().any(|(key, _)| key == "path") {
        return Ok(None);
    }
    let place = |path: &Path| clients::place(path).map_err(|error| failed("looking at", path, &error));
    let (from_is, to_is) = (place(&from)?, place(&to)?);
    let is_its = |place: Place| matches!((place, account), (Place::Directory(owner, _), Some(account)) if owner == account.uid);
    // A run that was killed may have moved it. Otherwise it is another's, which an account with several
    // clients may have as well.
    let is_recorded = || {
        let moving = directory.join(MOVING);
        let said = clients::read(&moving).map_err(|error| failed("reading", &moving, &error))?;
        Ok::<_, Printed>(said.is_some() && said == record(old, new, &to).ok())
    };
    let is_moved = from_is == Place::Missing && is_its(to_is) && is_recorded()?;
    if !is_moved && to_is != Place::Missing {
        let [from, to] = [&from, &to].map(printable_path);
        let help = format!("look whose it is: call it `{from}` again if it is {old}'s and nothing has that name, or else something new");
        return Err((format!("`{to}` is there already\n{help}"), exit::REFUSED));
    }
    Ok(Some(Moves { is_due: is_its(from_is), from, to }))
}

/// What is written of a repository that is about to have the new name, or has it.
fn record(old: &ClientName, new: &ClientName, repository: &Path) -> std::io::Result<String> {
    clients::number(repository).map(|number| format!("{old} {new} {number}\n"))
}

fn keys(directory: &Path, account: &str) -> Result<Option<String>, Printed> {
    let path = clients::key_file(directory, account);
    clients::read(&path).map_err(|error| failed("reading", &path, &error))
}

fn names(keys: &str, client: &ClientName) -> bool {
    keys.lines().any(|line| keyfile::names(line).is_some_and(|named| named == *client))
}

/// The account's file of keys with the new name; `None` where no line has the old one, as is so where
/// nobody else uses the account.
fn renamed(directory: &Path, account: &str, old: &ClientName, new: &ClientName) -> Result<Option<String>, Printed> {
    let Some(text) = keys(directory, account)?.filter(|text| names(text, old)) else { return Ok(None) };
    let renamed = keyfile::renamed(&text, old, new);
    if names(&renamed, old) {
        let shown = printable_path(clients::key_file(directory, account));
        let help = format!("write its command= as `snapgate-shell --client {old}`, and run it again");
        return Err((
            format!("a line of `{shown}` is for {old} and is written in a way that snapgate cannot change\n{help}"),
            exit::REFUSED,
        ));
    }
    Ok(Some(renamed))
}
