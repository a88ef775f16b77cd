//! Logins of clients: whether sshd lets their account in, and to the gate alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::act::child::{self, ask_sshd};
use crate::act::clock;
use crate::act::inspect::{closed_by, is_this_program, real, running_uid, shadow_of, system};
use crate::act::names;
use crate::decide::host::login::{self, Criteria, Entry, KeyFile, Listed, Settings, Shadow};
use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Policy, Site, Source, Sshd};
use crate::terms::Peer;
use crate::terms::limits::{LOOK_TIMEOUT, MAX_SEEN, MAX_SSHD_FILES, MAX_SSHD_QUESTIONS, MAX_SYSTEM_FILE};
use crate::terms::text::quoted_path;

use super::World;
use super::asked::{Known, SSHD_SETTINGS};
use super::files::{file, program};

/// The known accounts of all policies with sshd's settings. An error of sshd is reported once.
/// Accounts that sshd's settings do not tell apart are one question.
pub(super) fn accounts<'a>(site: &Site, policies: &'a [Policy]) -> (BTreeMap<&'a str, Known>, Vec<Finding>) {
    let (mut known, mut found) = (BTreeMap::new(), Vec::new());
    let criteria = criteria(site);
    let mut answers: BTreeMap<String, Option<Settings>> = BTreeMap::new();
    let mut left: u64 = 0;
    for policy in policies {
        if known.contains_key(policy.user.as_str()) {
            continue;
        }
        let Some(account) = names::named(&policy.user) else { continue };
        let mut one = Known::new(account);
        let groups = if criteria.asks_for_groups() { one.group_names() } else { None };
        let question = criteria.question(&policy.user, groups.as_deref(), &address(policy));
        one.sshd = match answers.get(&question) {
            Some(settings) => settings.clone(),
            None if answers.len() >= MAX_SSHD_QUESTIONS => {
                left += 1;
                None
            }
            None => {
                let settings = settings(site, policy).unwrap_or_else(|why| {
                    if found.is_empty() {
                        found.push(unanswered(site, &policy.user, &why));
                    }
                    None
                });
                answers.entry(question).or_insert(settings).clone()
            }
        };
        if let (Some(settings), Some(directory)) = (&mut one.sshd, site.file.parent()) {
            settings.ask_the_policies(directory, is_this_program);
        }
        known.insert(policy.user.as_str(), one);
    }
    if left > 0 {
        let message =
            format!("sshd was not asked about {left} further accounts: its settings tell more than {MAX_SSHD_QUESTIONS} kinds apart");
        found.push(Finding::unseen(site.origins.of("sshd"), message, "put the accounts into a group, and write one `Match Group` for it"));
    }
    (known, found)
}

fn unanswered(site: &Site, account: &str, why: &str) -> Finding {
    let message = format!("sshd does not say what it does with `{account}`: {why}");
    let help = "mend its settings, and see that `sshd -t` is content; where clients come by another sshd, write sshd: and its \
                sshd_config, or off";
    Finding::wrong(site.origins.of("sshd"), message, help)
}

/// What sshd's settings tell apart, files that they include among them.
fn criteria(site: &Site) -> Criteria {
    let mut found = Criteria::default();
    let first = match &site.sshd {
        Sshd::None => return found,
        Sshd::OfTheMachine => Path::new(SSHD_SETTINGS),
        Sshd::With(file) => file,
    };
    let mut files = vec![first.to_path_buf()];
    let mut read = 0;
    while let Some(file) = files.pop() {
        read += 1;
        let text = system::small(&file).or_else(|| system::small(&real(&file)));
        let Some(text) = text.filter(|text| read <= MAX_SSHD_FILES && (text.len() as u64) < MAX_SYSTEM_FILE) else {
            found.give_up();
            break;
        };
        for pattern in found.read(&text) {
            match system::spread(&Path::new(SSHD_DIRECTORY).join(pattern)) {
                Some(more) => files.extend(more),
                None => found.give_up(),
            }
        }
    }
    found
}

/// Where relative names of files in sshd's settings begin (sshd_config(5), "Include").
const SSHD_DIRECTORY: &str = "/etc/ssh";

/// sshd's settings for a policy's account; `None` if nobody can ask, or there is no sshd.
fn settings(site: &Site, policy: &Policy) -> Result<Option<Settings>, String> {
    let file = match &site.sshd {
        Sshd::None => return Ok(None),
        // sshd needs its host keys to answer.
        _ if running_uid() != 0 => return Ok(None),
        Sshd::OfTheMachine => None,
        Sshd::With(file) => Some(file.as_path()),
    };
    let asked = |port| {
        let answer = ask_sshd(file, &login::connection(&policy.user, &address(policy), port))?;
        answer.map(|answer| login::settings(&answer).ok_or_else(|| "its answer is none".to_owned())).transpose()
    };
    // The answer names the port, on which settings may depend.
    let first = asked(login::USUAL_PORT)?;
    match first.as_ref().and_then(|settings| settings.port).filter(|port| *port != login::USUAL_PORT) {
        Some(port) => asked(port),
        None => Ok(first),
    }
}

/// An address from which the client may come.
fn address(policy: &Policy) -> String {
    let mut peers = policy.from.iter().flatten().filter_map(|source| match source {
        Source::Network(network) => Some(Peer::from(network.addr())),
        Source::OnLink(network, link) => Some(Peer { address: network.addr(), link: Some(link.clone()) }),
        Source::Host(_) => None,
    });
    peers.next().map_or_else(|| login::NOWHERE.to_owned(), |peer| peer.to_string())
}

/// What is wrong with an account's logins. `keys` are its files of keys, `listed` what all policies say of them.
pub(super) fn findings(known: &Known, policies: &[&Policy], keys: Option<&[KeyFile]>, listed: &Listed<'_>) -> Vec<Finding> {
    let (Some(first), Some(home)) = (policies.first(), &known.login) else { return Vec::new() };
    let user = first.origins.of("user");
    let keyed = policies.iter().find(|policy| policy.keys.is_some()).map(|policy| policy.origins.of("keys"));
    let is_root = known.account.is_root();
    let groups = known.sshd.as_ref().filter(|settings| settings.asks_for_groups()).and_then(|_| known.group_names());
    let (account, groups) = (known.account.name.as_str(), groups.as_deref());
    let (is_gate, forced) = (known.has_the_gate_for_a_shell(), known.forced());
    let entry = Entry { account, user: &user, keyed: keyed.as_ref(), shell: &home.shell, is_gate, forced, groups, is_root };
    let mut found = Vec::new();
    if let Some((settings, keys)) = known.sshd.as_ref().zip(keys) {
        found.extend(login::sshd(entry, settings, keys));
        found.extend(login::unlisted(entry, settings, keys, policies, listed));
        found.extend(closed_by().and_then(|by| login::closed(entry, by)));
        let today = clock::now().timestamp().div_euclid(24 * 3600);
        found.extend(shadow(account).and_then(|shadow| login::shut(entry, settings.pam, shadow, today)));
        let runs = known.runs();
        // sshd runs and reads these as root.
        found.extend(settings.named.iter().flat_map(|named| file(named, user.clone(), "what sshd asks for keys,")));
        found.extend(runs.iter().flat_map(|runs| program(runs, user.clone(), "what sshd runs for it,", &[])));
    }
    if is_gate {
        found.extend(program(&home.shell, user.clone(), "the shell", &[]));
    } else {
        found.extend(known.shell_prints().and_then(|printed| login::shell(entry, &printed)));
    }
    found
}

/// What else the keys of all accounts open.
pub(super) fn loose(world: &World<'_>) -> Vec<Finding> {
    let found = world.each_account().filter_map(|(known, its, asked)| {
        let (first, home, asked) = (its.first()?, known.login.as_ref()?, asked?);
        let user = first.origins.of("user");
        let is_root = known.account.is_root();
        let is_gate = known.has_the_gate_for_a_shell();
        let account = known.account.name.as_str();
        let entry = Entry { account, user: &user, keyed: None, shell: &home.shell, is_gate, forced: None, groups: None, is_root };
        let seen = &asked.seen;
        Some(login::loose(entry, known.sshd.as_ref()?, &seen.keys, &seen.own_keys, seen.writes_rc))
    });
    found.flatten().collect()
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
