//! What a policy names on this machine: its account, its repository, its hooks, its time zone.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;

use crate::act::clock;
use crate::act::config::zones;
use crate::act::inspect::{Kind, is_link, look, may_read, real};
use crate::act::names;
use crate::act::record::spool;
use crate::act::store::{Repository, mounted};
use crate::decide::host::seen;
use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Policy, Site};
use crate::terms::Account;

use super::asked::Asked;
use super::files::{program, shown, writable};

pub(super) fn on_disk(policy: &Policy, site: &Site, account: Option<&Account>, asked: Option<&Asked>) -> Vec<Finding> {
    let at = |key: &str| policy.origins.of(key);
    let mut found = Vec::new();
    let uid = account.map(|account| account.uid);
    if uid.is_none() {
        let message = format!("this machine has no account `{}`", policy.user);
        found.push(Finding::wrong(at("user"), message, "create it, or write user: and the account that the client logs in as"));
    }
    found.extend(account.iter().flat_map(|account| readable(policy, site, account)));
    found.extend(asked.iter().flat_map(|asked| seen::barred(&policy.user, &at("user"), &asked.seen.barred)));
    let was_here = uid.is_some_and(|uid| spool::was_published(&site.spool, uid, &policy.client));
    let owners: Vec<u32> = uid.into_iter().collect();
    match look(&policy.path) {
        None => {
            let barred = asked.is_some_and(|asked| !asked.may_make);
            found.push(seen::missing(&at("path"), &policy.path, &policy.user, &policy.client, was_here, barred));
        }
        Some(look) if look.kind != Kind::Directory => {
            let message = format!("the repository {} is not a directory", shown(&policy.path));
            found.push(Finding::wrong(at("path"), message, "name a directory"));
        }
        Some(_) if is_link(&policy.path) => {
            let message = format!("the repository {} is a symlink: the gate follows none there", shown(&policy.path));
            found.push(Finding::wrong(at("path"), message, format!("write path: {}", real(&policy.path).display())));
        }
        Some(look) => {
            if uid.is_some_and(|uid| uid != look.owner) {
                let message = format!("the repository {} belongs to user {}, not to `{}`", shown(&policy.path), look.owner, policy.user);
                found.push(Finding::wrong(at("path"), message, format!("chown {} it", shell_words::quote(&policy.user))));
            }
            found.extend(writable(&look, at("path"), &policy.path, &[look.owner]));
            if look.others_read() {
                let message = format!("others can look into the repository {}", shown(&policy.path));
                let help = "chmod 0700 it: files in snapshots have the modes that they have on the client";
                found.push(Finding::wrong(at("path"), message, help));
            }
        }
    }
    if let Some(stock) = asked.and_then(|asked| asked.seen.stock.as_ref()) {
        found.extend(seen::stock(&at("path"), &Repository::at(&policy.path).snapshots(), stock, clock::now()));
    }
    if let Err(reason) = mounted(policy, site) {
        found.push(Finding::wrong(at("require_mount"), reason.detail, reason.remedy.unwrap_or_default()));
    }
    for command in policy.hooks.prepare.iter().chain(&policy.hooks.complete) {
        if let Some(path) = command.first() {
            found.extend(program(Path::new(path), at("hooks"), "the hook", &owners));
        }
    }
    found
}

/// The gate runs as the client's account, which has to read both files.
fn readable(policy: &Policy, site: &Site, account: &Account) -> Vec<Finding> {
    let files = [&site.file, &policy.origins.file];
    let directories = files.iter().filter_map(|file| file.parent());
    let all: Vec<&Path> = directories.chain(files.iter().map(|file| file.as_path())).collect();
    // Looked up once, if at all.
    let groups = OnceCell::new();
    let barred = all.iter().enumerate().filter(|(position, path)| {
        !all.iter().take(*position).any(|earlier| earlier == *path)
            && may_read(path, account, || groups.get_or_init(|| names::groups(account)).clone()) == Some(false)
    });
    let found = barred.map(|(_, path)| {
        let message = format!("the account `{}` may not read {}", policy.user, shown(path));
        let help = "chmod o+r a file and o+x a directory, or give it to a group of the account's: the gate runs as the account";
        Finding::wrong(policy.origins.of("user"), message, help)
    });
    found.collect()
}

/// Zones that the system does not know, each once.
pub(super) fn time_zones(policies: &[Policy]) -> Vec<Finding> {
    let named: BTreeMap<&str, &Policy> = policies.iter().map(|policy| (policy.timezone.as_str(), policy)).collect();
    let found = named.into_values().filter_map(|policy| {
        let words = zones::load(&policy.timezone).err()?;
        let (message, help) = words.split_once('\n').unwrap_or((&words, "install tzdata"));
        Some(Finding::wrong(policy.origins.of("timezone"), message, help))
    });
    found.collect()
}
