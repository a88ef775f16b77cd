//! What a key opens besides the gate, and who can add a key.

use std::path::PathBuf;

use super::{Entry, Keys, Settings, held};
use crate::decide::host::login::KeyFile;
use crate::decide::policy::lint::Finding;
use crate::terms::text::quoted_path;

/// What sshd lets the keys of an account do that its settings do not forbid and that no `restrict`
/// takes from them. `writes_rc` says whether the account can write its ~/.ssh/rc.
pub(crate) fn loose(entry: Entry<'_>, settings: &Settings, files: &[KeyFile], own: &[PathBuf], writes_rc: bool) -> Vec<Finding> {
    let Entry { account, user, is_root, .. } = entry;
    let held = held(files);
    let Keys { bare, with_rc, expired, .. } = held;
    let mut found = Vec::new();
    let keys = |count| some_keys(account, count);
    // The administrators' keys stand beside those of root's clients.
    if settings.forwards() && bare > 0 && !is_root {
        let message =
            format!("{} without `restrict` may forward connections: whoever has it reaches what the server itself reaches", keys(bare));
        let help = format!("set `DisableForwarding yes` for `{account}` in sshd's settings, or write `restrict` before each of its keys");
        found.push(Finding::wrong(user.clone(), message, help));
    }
    if settings.keys_elsewhere && settings.forwards() && bare == 0 && !is_root {
        let message = format!("whether keys of `{account}` that sshd finds elsewhere may forward connections was not looked at");
        let help = format!("set `DisableForwarding yes` for `{account}` in sshd's settings");
        found.push(Finding::unseen(user.clone(), message, help));
    }
    found.extend(beside(entry, settings, &held));
    if held.cut {
        let message = format!("what keys of `{account}` open was looked at only for the beginning of its file of keys");
        let help = format!("shorten the file, or set `DisableForwarding yes` and `PermitUserRC no` for `{account}` in sshd's settings");
        found.push(Finding::unseen(user.clone(), message, help));
    }
    // It runs none where it forces a command itself, and a shell that is the gate refuses it (session.c, `do_rc_files`).
    if settings.runs_rc && settings.force.is_none() && !entry.is_gate && writes_rc && !is_root {
        let which = "~/.ssh/rc, which the account can write";
        let help = format!("set `PermitUserRC no` for `{account}` in sshd's settings, or write `restrict` before each of its keys");
        if with_rc > 0 {
            let message = format!("for {} without `restrict` sshd runs {which}, as a program before the gate and past it", keys(with_rc));
            found.push(Finding::wrong(user.clone(), message, help));
        } else if settings.keys_elsewhere {
            let message = format!("whether sshd runs {which}, for keys of `{account}` that it finds elsewhere was not looked at");
            found.push(Finding::unseen(user.clone(), message, help));
        }
    }
    if settings.takes_environment && !is_root {
        let message = format!("sshd takes variables of the environment from files of `{account}`, for the shell that starts the gate");
        found.push(Finding::wrong(user.clone(), message, "set `PermitUserEnvironment no` in sshd's settings"));
    }
    if expired > 0 {
        let count = if expired == 1 { "a key".to_owned() } else { format!("{expired} keys") };
        let message = format!("{count} of `{account}` has expired by `expiry-time`, and lets nobody in");
        found.push(Finding::note(user.clone(), message, "take it out of its file, or give it another date"));
    }
    if let Some(first) = own.first().filter(|_| !is_root) {
        let message = format!("the account `{account}` can change {}, which says whose keys let in", quoted_path(first));
        let help = format!("keep its keys in /etc/snapgate/keys/{account}, root's, and name that in `AuthorizedKeysFile`");
        found.push(Finding::note(user.clone(), message, help));
    }
    found
}

/// What sshd gives besides the gate, and no backup needs.
fn beside(entry: Entry<'_>, settings: &Settings, held: &Keys) -> Vec<Finding> {
    let Entry { account, user, is_root, .. } = entry;
    let mut found = Vec::new();
    // Neither `restrict` nor `DisableForwarding` takes this away. The kernel gives interfaces to root, and to others those that
    // root has made for them.
    if settings.makes_tunnels && (held.all() > 0 || held.cut || settings.keys_elsewhere || settings.by_policies) {
        let whoever = "whoever has a key of it reaches what the server itself reaches";
        let help = format!("set `PermitTunnel no` for `{account}` in sshd's settings");
        found.push(if is_root {
            let message = format!("sshd gives whoever comes as `{account}` a network interface (tun), `restrict` or not: {whoever}");
            Finding::wrong(user.clone(), message, help)
        } else {
            let message = format!(
                "sshd gives whoever comes as `{account}` a network interface (tun) that is the account's, if there is one: {whoever}"
            );
            Finding::note(user.clone(), message, help)
        });
    }
    // Past a forced command none of these opens anything: a stolen key takes terminals from the machine's, has sshd listen on a port
    // that leads to the thief, and xauth(1) run as the account; an agent is the client's own risk.
    let rights = settings.idle_rights(held);
    if let Some(most) = rights.iter().map(|(.., keys)| *keys).max().filter(|_| !is_root) {
        let list = |of: fn(&(&'static str, &'static str, u64)) -> &'static str| rights.iter().map(of).collect::<Vec<_>>().join(", ");
        let message = format!(
            "{} without `restrict` may ask sshd for more than the gate ({}): that leads nowhere past it, and no backup needs it",
            some_keys(account, most),
            list(|(_, what, _)| what)
        );
        let help = format!(
            "set {} for `{account}` in sshd's settings, or write `restrict` before each of its keys",
            list(|(keyword, ..)| keyword)
        );
        found.push(Finding::note(user.clone(), message, help));
    }
    found
}

fn some_keys(account: &str, count: u64) -> String {
    if count == 1 { format!("a key of `{account}`") } else { format!("{count} keys of `{account}`") }
}
