//! `snapgate check`, the doctor: everything on this machine that makes backups fail silently. It
//! changes nothing but the index of keys; `fix` does what a finding has a remedy for, where the
//! administrator agrees.
//!
//! A check is a row of [`CHECKS`]. Nothing here may wait for ever: what could hang, a mount or a
//! program, is looked at by a process with an end. Nothing goes out to the network but what the name
//! services ask for `host:`.

mod asked;
mod client;
mod disks;
mod entry;
mod files;
mod fix;
mod kinds;
mod machine;
mod post;
mod report;
mod sandbox;
mod silent;
mod site;
mod sshd;
mod tell;
mod timers;
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

pub(crate) use fix::{Step, mend, steps};
pub use report::{CheckReport, Item, Row, State};
pub use sandbox::enforced;
pub(crate) use tell::tell;

use crate::act::config;
use crate::act::inspect;
use crate::act::names;
use crate::decide::host::sources::{self, Answers};
use crate::decide::policy::lint::{self, Finding};
use crate::decide::policy::yaml::Fault;
use crate::decide::policy::{Policy, Site};
use crate::terms::{ClientName, Origin};

use asked::{Asked, Known};

/// A part of the jail on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is, and for whom.
    pub what: String,
    /// Whether it was not tried.
    pub untried: bool,
    /// Why it does not hold; `None`: it does.
    pub missing: Option<String>,
    /// What to do if no push can run without it.
    pub help: Option<String>,
}

/// A row of the table.
struct Check {
    name: &'static str,
    /// What it looks at, as the rest of a sentence.
    looks_at: &'static str,
    look: fn(&World<'_>, &mut Row),
}

/// Rows that are about the machine: no client is the worse for them when it pushes.
const OF_THE_MACHINE: [&str; 3] = ["rsync", "timers", "clock"];

/// The row of what hangs.
const ANSWERS: &str = "answers";

/// All of them. What hangs comes first, since the others then leave it alone.
const CHECKS: [Check; 18] = [
    Check { name: "settings", looks_at: "the site file and what it names", look: settings },
    Check { name: ANSWERS, looks_at: "whether every disk answers", look: |world, row| row.find(&silent::findings(world)) },
    Check { name: "policies", looks_at: "policies that cannot be meant, or never let anybody in", look: policies },
    Check { name: "mail", looks_at: "the way of mails, those that wait, the last that was taken", look: mail },
    Check { name: "disks", looks_at: "room and files that fit, mounts and how they are mounted", look: disks },
    Check { name: "repositories", looks_at: "each client's directory, snapshots and hooks", look: repositories },
    Check { name: "links", looks_at: "how many names files have, and may have", look: |world, row| row.find(&disks::links(world)) },
    Check { name: "logins", looks_at: "whether sshd and the shell lead each account to the gate", look: logins },
    Check { name: "keys", looks_at: "what else a key opens, and who can add one", look: |world, row| row.find(&entry::loose(world)) },
    Check { name: "hands", looks_at: "files of root's that an account can change", look: |world, row| row.find(&entry::hands(world)) },
    Check { name: "pushes", looks_at: "clients that never came", look: |world, row| row.find(&client::never_came(world)) },
    Check { name: "limits", looks_at: "what clients may use", look: limits },
    Check { name: "owners", looks_at: "whose files are in the store", look: |world, row| kinds::owners(world.site, world.policies, row) },
    Check { name: "jail", looks_at: "what rsync is confined by, tried as each account", look: jail },
    Check { name: "kernel", looks_at: "settings that keep namespaces from accounts, AppArmor's too", look: machine::kernel },
    Check { name: "rsync", looks_at: "rsync's release and known vulnerabilities", look: machine::rsync },
    Check { name: "timers", looks_at: "whether what has to run regularly is enabled, and ran", look: timers::look },
    Check { name: "clock", looks_at: "whether something sets the clock", look: machine::clock },
];

/// What the rows look at: settings, and what each account found by itself.
pub(in crate::admin::check) struct World<'a> {
    directory: &'a Path,
    site: &'a Site,
    /// Those of the clients that are looked at.
    policies: &'a [Policy],
    /// All that could be read.
    all: &'a [Policy],
    faults: Vec<Fault>,
    /// Why the index of keys was not made anew.
    index: Option<Finding>,
    accounts: BTreeMap<&'a str, Known>,
    /// Errors of sshd.
    unasked: Vec<Finding>,
    /// What each policy's account found, in the order of the policies.
    asked: Vec<Option<Asked>>,
    /// Accounts at addresses where sshd's settings for them are others, and what they found there.
    elsewhere: Vec<(Known, Option<Asked>)>,
    /// What the name services say of clients' hosts.
    answers: Answers,
    parts: Vec<Part>,
    /// Policies whose disks do not answer, and the paths that do not.
    hung: Vec<(Origin, PathBuf)>,
}

impl World<'_> {
    fn each(&self) -> impl Iterator<Item = (&Policy, Option<&Known>, Option<&Asked>)> {
        let asked = self.policies.iter().zip(&self.asked);
        asked.map(|(policy, asked)| (policy, self.accounts.get(policy.user.as_str()), asked.as_ref()))
    }

    /// Each account once, with all its policies and what it found for the first of them.
    fn each_account(&self) -> impl Iterator<Item = (&Known, Vec<&Policy>, Option<&Asked>)> {
        let firsts = self
            .each()
            .enumerate()
            .filter(|(number, (policy, ..))| !self.policies.iter().take(*number).any(|earlier| earlier.user == policy.user));
        firsts.filter_map(|(_, (first, known, asked))| {
            Some((known?, self.policies.iter().filter(|other| other.user == first.user).collect(), asked))
        })
    }
}

/// Checks the site file, every policy and what they name. `jail` tries the parts of the jail.
#[must_use]
pub fn run(dir: &Path, jail: impl FnOnce(&Site, &[Policy]) -> Vec<Part>) -> CheckReport {
    looked(dir, None, jail)
}

/// The same as far as it concerns one client's pushes, and what its policy has in common with others.
#[must_use]
pub(crate) fn of_client(dir: &Path, client: &ClientName) -> CheckReport {
    looked(dir, Some(client), enforced)
}

fn looked(dir: &Path, only: Option<&ClientName>, jail: impl FnOnce(&Site, &[Policy]) -> Vec<Part>) -> CheckReport {
    let site = match config::load_site(dir) {
        Ok(site) => site,
        Err(fault) => {
            let items = vec![Item::from(&fault)];
            let [first, ..] = &CHECKS;
            return CheckReport { rows: vec![Row { name: first.name, looks_at: first.looks_at, items }], policies: 0 };
        }
    };
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    match config::all_policies(dir, &site) {
        Err(fault) => faults.push(fault),
        Ok(found) => found.into_iter().for_each(|(_, loaded)| match loaded {
            Ok(policy) => all.push(policy),
            Err(fault) => faults.push(fault),
        }),
    }
    let index = config::keyring::refreshed(dir, &site);
    let read = all.len();
    let hung = silent::hung(&site, &mut all);
    let policies: Vec<Policy> = all.iter().filter(|policy| only.is_none_or(|only| policy.client == *only)).cloned().collect();
    if let Some(found) = silent::all(&site, &hung) {
        // Whatever is looked at now would hang as well.
        let answers = CHECKS.iter().find(|check| check.name == ANSWERS);
        let row = |check: &Check| Row { name: check.name, looks_at: check.looks_at, items: vec![Item::from(&found)] };
        return CheckReport { rows: answers.map(row).into_iter().collect(), policies: read };
    }
    let answers = names::answers(&sources::names(&policies));
    let sshd::Accounts { known: accounts, elsewhere, found: unasked } = sshd::accounts(&site, &policies, &answers);
    // What is the account's is looked at once, with the first of its policies.
    let mut begun = BTreeSet::new();
    let mut ask = |policy: &Policy| {
        let is_first = begun.insert(policy.user.clone());
        accounts.get(policy.user.as_str()).and_then(|known| known.ask(policy, &site, is_first))
    };
    let asked = policies.iter().map(&mut ask).collect();
    let first = |known: &Known| policies.iter().find(|policy| policy.user == known.account.name);
    let elsewhere = elsewhere.into_iter().map(|known| {
        let asked = first(&known).and_then(|policy| known.ask(policy, &site, true));
        (known, asked)
    });
    let elsewhere = elsewhere.collect();
    let parts = jail(&site, &policies);
    let world = World {
        directory: dir,
        site: &site,
        policies: &policies,
        all: &all,
        faults,
        index,
        accounts,
        unasked,
        asked,
        elsewhere,
        answers,
        parts,
        hung,
    };
    let asked_for = CHECKS.iter().filter(|check| only.is_none() || !OF_THE_MACHINE.contains(&check.name));
    let rows = asked_for.map(|check| {
        let mut row = Row { name: check.name, looks_at: check.looks_at, items: Vec::new() };
        (check.look)(&world, &mut row);
        row
    });
    CheckReport { rows: rows.collect(), policies: read }
}

fn settings(world: &World<'_>, row: &mut Row) {
    row.find(&site::itself(world.site));
    row.find(&site::sftp(world.site, world.policies));
}

fn mail(world: &World<'_>, row: &mut Row) {
    row.find(&site::mail(world.site));
    row.find(&ways::out(world.site));
    row.find(&post::taken(world.site));
    row.find(&post::waiting(world.site));
}

fn policies(world: &World<'_>, row: &mut Row) {
    row.items.extend(world.faults.iter().map(Item::from));
    strays(world.directory, row);
    row.find(&world.index);
    for policy in world.all {
        row.find(&lint::one(policy));
        row.find(&lint::room(policy, &world.site.min_free));
    }
    // Two paths may be the same place.
    let real: Vec<_> = world.all.iter().map(|policy| Policy { path: inspect::real(&policy.path), ..policy.clone() }).collect();
    row.find(&lint::together(&real));
    row.find(&client::time_zones(world.all));
    world.policies.iter().for_each(|policy| row.find(&sources::unresolved(policy, &world.answers)));
}

fn disks(world: &World<'_>, row: &mut Row) {
    row.find(&disks::rooms(world.site, world.policies));
    row.find(&disks::mounts(world.site, world.policies));
}

fn repositories(world: &World<'_>, row: &mut Row) {
    // What an account shares with others of its clients is said once.
    let mut said: BTreeSet<String> = BTreeSet::new();
    for (policy, known, asked) in world.each() {
        let account = known.map(|known| &known.account);
        let closed = client::out_of_reach(policy, world.site, account, asked);
        row.find(closed.iter().filter(|finding| said.insert(finding.message.clone())));
        row.find(&client::on_disk(policy, world.site, account, asked));
    }
}

fn logins(world: &World<'_>, row: &mut Row) {
    row.find(&world.unasked);
    row.find(&entry::logins(world));
}

fn limits(world: &World<'_>, row: &mut Row) {
    kinds::limits(world.site, world.policies).into_iter().for_each(|line| row.say(line));
}

fn jail(world: &World<'_>, row: &mut Row) {
    for Part { what, untried, missing, help } in &world.parts {
        let holds = missing.as_ref().map_or_else(|| "enforced".to_owned(), |why| format!("NOT enforced, {why}"));
        let (state, what) = match help {
            _ if *untried => (State::Unseen, format!("jail, {what}: not tried")),
            Some(_) if world.site.jail && missing.is_some() => (State::Wrong, format!("jail, {what}: {holds}")),
            _ => (State::Fact, format!("jail, {what}: {holds}")),
        };
        let help = help.iter().filter(|_| state == State::Wrong).map(|help| format!("no push can run: {help}")).collect();
        row.items.push(Item { state, at: String::new(), what, help, remedy: None });
    }
}

/// Files in the directory of policies that are not policies.
fn strays(dir: &Path, row: &mut Row) {
    // `all_policies` reports a directory that cannot be listed.
    let Ok(listing) = config::list(dir) else { return };
    if listing.clients.is_empty() {
        let origin = Origin { file: dir.join(config::POLICIES), line: 0 };
        let help = "create one, named after the client, ending in .yaml";
        row.find(&[Finding::note(origin, "there are no policies: nobody is let in", help)]);
    }
    for stray in listing.strays {
        let hidden = stray.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let message = "not a policy, and not read";
        let help = "a policy is a regular file named after its client, ending in .yaml";
        let origin = Origin { file: stray, line: 0 };
        row.find(&[if hidden { Finding::note(origin, message, help) } else { Finding::wrong(origin, message, help) }]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_explained() {
        let texts = [include_str!("../../../docs/administration.md"), include_str!("../help/topics/checks.md")];
        for Check { name, .. } in CHECKS {
            assert!(texts.iter().all(|text| text.contains(&format!("| `{name}` | "))), "{name}");
        }
    }
}
