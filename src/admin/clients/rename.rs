//! `snapgate rename-client`: another name for a client, its policy and its repository. The account
//! keeps its own, so that nothing is to be changed on the client.
//!
//! The policy has the new name last. A run that was killed before goes on when it is run again.

use std::path::Path;

use super::{Printed, begin, failed, indexed, policy};
use crate::act::clients::{self, Owner};
use crate::act::store::Repository;
use crate::act::{accounts, config};
use crate::decide::clients::comment;
use crate::decide::clients::steps::Place;
use crate::terms::text::printable_path;
use crate::terms::{ClientName, exit};

/// Calls a client by another name.
pub(crate) fn rename(directory: &Path, old: &ClientName, new: &ClientName) -> Result<Printed, Printed> {
    let (site, _taken) = begin(directory, "renaming a client")?;
    let target = clients::policy_file(directory, new);
    let has_new = clients::read(&target).map_err(|error| failed("reading", &target, &error))?.is_some();
    if has_new {
        let gone = config::load_policy(directory, &site, old).is_ok_and(|old| old.is_none());
        return if gone {
            Ok(indexed(directory, &site, format!("{new} has that name already, and there is no {old}\n")))
        } else {
            Err((format!("there is a client `{new}` already\nchoose another name"), exit::REFUSED))
        };
    }
    let policy = policy(directory, &site, old)?;
    super::mounted(&policy, &site)?;
    let account = accounts::account(&policy.user).map_err(|error| failed("reading", Path::new("/etc/passwd"), &error))?;
    let from = site.store.join(old.as_str());
    let to = site.store.join(new.as_str());
    // A `path:` of its own stays what it is.
    let moves = policy.path == from && !policy.origins.keys.iter().any(|(key, _)| key == "path");
    let places = [&from, &to].map(|path| clients::place(path).map_err(|error| failed("looking at", path, &error)));
    let [from_is, to_is] = places;
    let (from_is, to_is) = (from_is?, to_is?);
    let is_its = |place: Place| matches!((place, &account), (Place::Directory(owner, _), Some(account)) if owner == account.uid);
    let is_moved = from_is == Place::Missing && is_its(to_is);
    if moves && !is_moved && to_is != Place::Missing {
        return Err((format!("`{}` is there already\nmove it away", printable_path(&to)), exit::REFUSED));
    }
    let _held = if moves && is_its(from_is) {
        super::is_roots_alone(&from)?;
        super::kept_out(&Repository::at(&from), old)?
    } else {
        Vec::new()
    };
    let step = |name: &str| clients::after(directory, name).map_err(|what| (what, exit::INTERNAL));
    let own = policy.origins.of("user");
    if own.line == 0 || own.file != policy.origins.file {
        let user = crate::decide::clients::edit::account(&policy.user);
        clients::change(directory, &site, old, &[("user", Some(&user))]).map_err(|fault| (fault.to_string(), exit::CONFIG))?;
    }
    step("user")?;
    named_in_keys(directory, &policy.user, old, new)?;
    step("keys")?;
    if account.as_ref().is_some_and(|account| account.comment == comment(old)) {
        accounts::describe(&policy.user, &comment(new)).map_err(|what| (what, exit::BUSY))?;
    }
    step("account")?;
    if moves && is_its(from_is) {
        clients::rename(&from, &to).map_err(|error| failed("renaming", &from, &error))?;
    }
    step("repository")?;
    let source = clients::policy_file(directory, old);
    clients::rename(&source, &target).map_err(|error| failed("renaming", &source, &error))?;
    let place = if moves { printable_path(&to) } else { printable_path(&policy.path) };
    let text = format!("{old} is {new} now: its repository is {place}, and its account is `{}` as before\n", policy.user);
    Ok(indexed(directory, &site, text))
}

/// The lines that name the client, where several use the account.
fn named_in_keys(directory: &Path, account: &str, old: &ClientName, new: &ClientName) -> Result<(), Printed> {
    let path = clients::key_file(directory, account);
    let Some(text) = clients::read(&path).map_err(|error| failed("reading", &path, &error))? else { return Ok(()) };
    let renamed = text.replace(&format!(" --client {old}\""), &format!(" --client {new}\""));
    if renamed == text {
        return Ok(());
    }
    clients::write(&path, &renamed, Owner { user: 0, group: 0, mode: 0o644 }).map_err(|error| failed("writing", &path, &error))
}
