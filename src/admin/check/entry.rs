//! Logins of clients: whether sshd lets their account in, and to the gate alone.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::act::child;
use crate::act::clock;
use crate::act::inspect::{closed_by, running_uid, shadow_of};
use crate::decide::host::login::{self, Entry, KeyFile, Listed, Place, Shadow};
use crate::decide::policy::Policy;
use crate::decide::policy::lint::Finding;
use crate::terms::Origin;
use crate::terms::limits::{LOOK_TIMEOUT, MAX_SEEN};
use crate::terms::text::quoted_path;

use super::World;
use super::asked::{Asked, Known};
use super::files::{file, program};

/// What is wrong with the logins of all accounts. What holds for one wherever it comes from is said once.
pub(super) fn logins(world: &World<'_>) -> Vec<Finding> {
    let listed = Listed::of(world.all, !world.faults.is_empty() || !world.hung.is_empty());
    let mut found = Vec::new();
    for (known, its, asked) in world.each_account() {
        let mut all = findings(world, known, &its, asked.map(|asked| asked.seen.keys.as_slice()));
        let elsewhere = || world.elsewhere.iter().filter(|(other, _)| other.account == known.account);
        let other_files = elsewhere().find(|(other, _)| !other.is_kept_out() && !other.has_the_key_files_of(known));
        if let Some((other, _)) = other_files {
            all.extend(its.first().map(|first| uncompared(other, first.origins.of("user"))));
        } else if let Some((settings, asked)) = known.sshd.as_ref().zip(asked) {
            let at = its.first().map(|first| first.origins.of("user"));
            let entry = at.as_ref().and_then(|user| entry(known, user));
            let compare = |entry| login::unlisted(entry, settings, &asked.seen.keys, &asked.seen.own_keys, &its, &listed);
            all.extend(entry.into_iter().flat_map(compare));
        }
        if asked.is_none() && running_uid() == 0 {
            let message = format!("the account `{}` has not come to an end of looking at what its gate needs", known.account.name);
            let at = its.first().map(|policy| policy.origins.of("user"));
            all.extend(at.map(|at| Finding::wrong(at, message, "see whether a disk or the name services hang")));
        }
        let mut said: BTreeSet<String> = all.iter().map(|finding| finding.message.clone()).collect();
        found.extend(all);
        for (other, asked) in elsewhere() {
            if asked.is_none() && running_uid() == 0 {
                found.extend(its.first().map(|first| other.placed(unjudged(other, first.origins.of("user")))));
            }
            let more = findings(world, other, &its, asked.as_ref().map(|asked| asked.seen.keys.as_slice()));
            found.extend(more.into_iter().filter(|finding| said.insert(finding.message.clone())).map(|finding| other.placed(finding)));
        }
    }
    found
}

/// The keys that sshd takes depend on where a client comes from.
fn uncompared(other: &Known, user: Origin) -> Finding {
    let (account, place) = (&other.account.name, other.place.as_ref().map(Place::shown).unwrap_or_default());
    let message =
        format!("the keys that sshd takes for `{account}` were not compared with those of policies: for those {place} it has others");
    Finding::unseen(user, message, "set `AuthorizedKeysFile` to the same for all places, or try it out: log in as the client")
}

/// The account did not come to an end of looking.
fn unjudged(other: &Known, user: Origin) -> Finding {
    let message = format!("what sshd does with `{}` there was not looked at: its look came to no end", other.account.name);
    Finding::unseen(user, message, "see whether a disk or the name services hang")
}

/// An account whose logins are looked at, and where its policy names it.
fn entry<'a>(known: &'a Known, user: &'a Origin) -> Option<Entry<'a>> {
    let (is_gate, forced) = (known.has_the_gate_for_a_shell(), known.forced());
    let shell = &known.login.as_ref()?.shell;
    Some(Entry { account: &known.account.name, user, keyed: None, shell, is_gate, forced, groups: None, is_root: known.account.is_root() })
}

/// What is wrong with an account's logins. `keys` are its files of keys.
fn findings(world: &World<'_>, known: &Known, policies: &[&Policy], keys: Option<&[KeyFile]>) -> Vec<Finding> {
    let (Some(first), Some(home)) = (policies.first(), &known.login) else { return Vec::new() };
    let user = first.origins.of("user");
    let keyed = policies.iter().find(|policy| policy.keys.is_some()).map(|policy| policy.origins.of("keys"));
    let groups = known.sshd.as_ref().filter(|settings| settings.asks_for_groups()).and_then(|_| known.group_names());
    let Some(entry) = entry(known, &user) else { return Vec::new() };
    let entry = Entry { keyed: keyed.as_ref(), groups: groups.as_deref(), ..entry };
    let (account, is_gate) = (entry.account, entry.is_gate);
    let mut found = Vec::new();
    if let Some((settings, keys)) = known.sshd.as_ref().zip(keys) {
        found.extend(login::sshd(entry, settings, keys, known.is_named_by_sshd_alone()));
        let asker = known.asker(world.directory, world.site, policies);
        found.extend(login::unheard(entry, settings, asker.as_ref()));
        found.extend(closed_by().and_then(|by| login::closed(entry, by)));
        let today = clock::now().timestamp().div_euclid(24 * 3600);
        found.extend(shadow(account).and_then(|shadow| login::shut(entry, settings.pam, shadow, today)));
        let runs = known.runs();
        // sshd runs and reads these as root.
        found.extend(settings.named.iter().flat_map(|named| file(named, user.clone(), "what sshd asks for keys,")));
        found.extend(runs.iter().flat_map(|runs| program(runs, user.clone(), "what sshd runs for it,", &[])));
    }
    if known.place.is_some() {
        // Its shell is the same everywhere.
    } else if is_gate {
        found.extend(program(&home.shell, user.clone(), "the shell", &[]));
    } else {
        found.extend(known.shell_prints().and_then(|printed| login::shell(entry, &printed)));
    }
    found
}

/// What else the keys of all accounts open.
pub(super) fn loose(world: &World<'_>) -> Vec<Finding> {
    let of = |known: &Known, its: &[&Policy], asked: Option<&Asked>| {
        if known.is_named_by_sshd_alone() && known.is_kept_out() {
            return None;
        }
        let (first, seen) = (its.first()?, &asked?.seen);
        let user = first.origins.of("user");
        Some(login::loose(entry(known, &user)?, known.sshd.as_ref()?, &seen.keys, &seen.own_keys, seen.writes_rc))
    };
    let mut found = Vec::new();
    for (known, its, asked) in world.each_account() {
        let all = of(known, &its, asked).unwrap_or_default();
        let mut said: BTreeSet<String> = all.iter().map(|finding| finding.message.clone()).collect();
        found.extend(all);
        for (other, asked) in world.elsewhere.iter().filter(|(other, _)| other.account == known.account) {
            let more = of(other, &its, asked.as_ref()).unwrap_or_default();
            found.extend(more.into_iter().filter(|finding| said.insert(finding.message.clone())).map(|finding| other.placed(finding)));
        }
    }
    found
}

/// Files that decide what accounts may do, and that one of them can change.
pub(super) fn hands(world: &World<'_>) -> Vec<Finding> {
    let mut reported: Vec<&PathBuf> = Vec::new();
    let mut found = Vec::new();
    for (policy, _, asked) in world.each() {
        for path in asked.iter().flat_map(|asked| &asked.seen.hands).filter(|path| !path.as_os_str().is_empty()) {
            if reported.contains(&path) {
                continue;
            }
            reported.push(path);
            let message = format!("the account `{}` can change {}, which decides what it may do", policy.user, quoted_path(path));
            let help = "read it, for the account may have written it, and install it anew; give every directory above it to root, and let \
                        nobody else write there";
            found.push(Finding::wrong(policy.origins.of("user"), message, help));
        }
    }
    found
}

/// The account's line of `/etc/shadow`, read in a process of its own: later processes of this one
/// become the account's, which may then read all of their memory.
fn shadow(account: &str) -> Option<Shadow> {
    let answer = child::apart(LOOK_TIMEOUT, MAX_SEEN, |out| {
        let _ = out.write_all(&serde_json::to_vec(&shadow_of(account)).unwrap_or_default());
    });
    serde_json::from_slice(&answer).ok()?
}
