//! Logins of clients: whether sshd lets their account in, and to the gate alone.

use std::collections::BTreeMap;

use crate::act::child::{self, ask_sshd};
use crate::act::clock;
use crate::act::inspect::{closed_by, running_uid, shadow_of};
use crate::act::names;
use crate::decide::host::login::{self, Entry, KeyFile, Settings, Shadow};
use crate::decide::policy::lint::Finding;
use crate::decide::policy::{Policy, Site, Source, Sshd};
use crate::terms::Peer;
use crate::terms::limits::{LOOK_TIMEOUT, MAX_SEEN};

use super::asked::Known;
use super::files::{file, program};

/// The known accounts of all policies with sshd's settings. An error of sshd is reported once.
pub(super) fn accounts<'a>(site: &Site, policies: &'a [Policy]) -> (BTreeMap<&'a str, Known>, Vec<Finding>) {
    let (mut known, mut found) = (BTreeMap::new(), Vec::new());
    for policy in policies {
        if known.contains_key(policy.user.as_str()) {
            continue;
        }
        let Some(account) = names::named(&policy.user) else { continue };
        let sshd = match settings(site, policy) {
            Ok(settings) => settings,
            Err(why) if found.is_empty() => {
                let message = format!("sshd does not say what it does with `{}`: {why}", policy.user);
                let help = "mend its settings, and see that `sshd -t` is content; where clients come by another sshd, write sshd: and its \
                            sshd_config, or off";
                found.push(Finding::wrong(site.origins.of("sshd"), message, help));
                None
            }
            Err(_) => None,
        };
        known.insert(policy.user.as_str(), Known::new(account, sshd));
    }
    (known, found)
}

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

/// What is wrong with an account's logins. `keys` are its files of keys.
pub(super) fn findings(known: &Known, policies: &[&Policy], keys: Option<&[KeyFile]>) -> Vec<Finding> {
    let (Some(first), Some(home)) = (policies.first(), &known.login) else { return Vec::new() };
    let user = first.origins.of("user");
    let keyed = policies.iter().find(|policy| policy.keys.is_some()).map(|policy| policy.origins.of("keys"));
    let is_root = known.account.is_root();
    let groups = known.group_names();
    let (account, groups) = (known.account.name.as_str(), groups.as_deref());
    let (is_gate, forced) = (known.has_the_gate_for_a_shell(), known.forced());
    let entry = Entry { account, user: &user, keyed: keyed.as_ref(), shell: &home.shell, is_gate, forced, groups, is_root };
    let mut found = Vec::new();
    if let Some((settings, keys)) = known.sshd.as_ref().zip(keys) {
        found.extend(login::sshd(entry, settings, keys));
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

/// The account's line of `/etc/shadow`, read in a process of its own: later processes of this one
/// become the account's, which may then read all of their memory.
fn shadow(account: &str) -> Option<Shadow> {
    let answer = child::apart(LOOK_TIMEOUT, MAX_SEEN, |out| {
        let _ = out.write_all(&serde_json::to_vec(&shadow_of(account)).unwrap_or_default());
    });
    serde_json::from_slice(&answer).ok()?
}
