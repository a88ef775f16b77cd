//! What a policy names on this machine: its account, its repository, its hooks, its time zone.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::Path;

use crate::act::clients;
use crate::act::clock;
use crate::act::config::zones;
use crate::act::inspect::{Kind, is_link, look, may_read, real, written};
use crate::act::names;
use crate::act::record::spool;
use crate::act::store::{Repository, mounted};
use crate::decide::clients::steps::Place;
use crate::decide::host::seen;
use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Policy, Site};
use crate::terms::limits::MAX_FIRST_PUSH;
use crate::terms::{Account, Remedy, Verb};

use super::World;
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
                found.push(anothers(policy, site, uid, Finding::wrong(at("path"), message, String::new())));
            }
            let is_its_own = uid == Some(look.owner);
            // A slip in a policy must not have a directory of the system's changed.
            // Where others could write, somebody has to look at what is in it.
            let is_mended = is_its_own && !look.others_write();
            let mended = |finding: Finding| Finding { remedy: finding.remedy.filter(|_| is_mended), ..finding };
            found.extend(writable(&look, at("path"), &policy.path, &[look.owner]).into_iter().map(mended));
            if look.others_read() {
                let message = format!("others can look into the repository {}", shown(&policy.path));
                let help = "chmod 0700 it: files in snapshots have the modes that they have on the client";
                let remedy = Remedy::Mode { path: policy.path.clone(), mode: 0o700 };
                found.push(mended(Finding::wrong(at("path"), message, help).mended_by(remedy)));
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

/// The finding that a repository is not its account's. Only an empty one of root's is given to it:
/// whoever gets a repository gets the history that is in it, which may be another client's, or that
/// of one that was removed.
fn anothers(policy: &Policy, site: &Site, uid: Option<u32>, finding: Finding) -> Finding {
    let is_inside = policy.path.parent() == Some(&site.store);
    let is_begun = clients::place(&policy.path).is_ok_and(|place| place == Place::Begun);
    // What is empty may be the place of a disk that is not mounted.
    let user = uid.filter(|_| is_inside && is_begun && mounted(policy, site).is_ok());
    let remedy = user.map(|user| Remedy::Give { path: policy.path.clone(), user });
    let help = match is_begun {
        true => format!("chown {} it", shell_words::quote(&policy.user)),
        false => "see whose history it holds: whoever owns it can restore all of that; name another path:, or see \"Take up a repository \
                  again\" in docs/how-to.md"
            .to_owned(),
    };
    Finding { remedy, help, ..finding }
}

/// What its account does not reach of what the gate needs.
pub(super) fn out_of_reach(policy: &Policy, site: &Site, account: Option<&Account>, asked: Option<&Asked>) -> Vec<Finding> {
    let mut found: Vec<Finding> = account.iter().flat_map(|account| readable(policy, site, account)).collect();
    found.extend(asked.iter().flat_map(|asked| seen::barred(&policy.user, &policy.origins.of("user"), &asked.seen.barred)));
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

/// Clients that have a policy for days, and have never pushed.
pub(super) fn never_came(world: &World<'_>) -> Vec<Finding> {
    let found = world.each().filter_map(|(policy, known, asked)| {
        let uid = known?.account.uid;
        let stock = asked.and_then(|asked| asked.seen.stock.as_ref());
        let came = spool::was_published(&world.site.spool, uid, &policy.client)
            || stock.is_some_and(|stock| stock.newest.is_some() || stock.cut || stock.unread.is_some());
        // A repository that cannot be looked at is reported, too.
        let is_seen = stock.is_some() || look(&policy.path).is_none();
        // One that is frozen may not come.
        if came || !is_seen || !policy.allows(Verb::Rsync) || policy.frozen.is_some() {
            return None;
        }
        let since = written(&policy.origins.file)?;
        let message = format!("the client {} has never pushed; its policy is of {}", policy.client, since.format("%F"));
        let help = "run its push by hand, and read what it says; take the policy away if nobody is to push";
        let age = (clock::kernel() - since).to_std().unwrap_or_default();
        let make = if age > MAX_FIRST_PUSH { Finding::wrong } else { Finding::note };
        Some(make(policy.origins.of("user"), message, help.to_owned()))
    });
    found.collect()
}
