//! Whether sshd lets an account in, and to the gate alone: by `sshd -T`, keys and the shell.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use shell_words::quote;

use crate::terms::Origin;
use crate::terms::text::{printable, printable_within};

use crate::decide::policy::lint::Finding;

mod account;
mod alike;
mod asker;
mod keys;
mod listed;
mod loose;
mod past;
mod settings;

pub(crate) use account::{Shadow, shadow, shut};
pub(crate) use alike::{Criteria, Place};
pub(crate) use asker::{Asker, Closed, unheard};
pub(crate) use keys::{Keys, Leads, command_leads, keys};
pub(crate) use listed::{Listed, unlisted};
pub(crate) use loose::loose;
pub(crate) use past::{GATE, Gate, WORDS_OF_ITS_OWN, is_the_gate};
use settings::matches;
pub(crate) use settings::{NOWHERE, Settings, USUAL_PORT, connection, key_files, settings};

/// What the account's shell has to print.
pub(crate) const MARK: &str = "snapgate-check";

/// Bytes of a shell's output that are shown.
const SHOWN: usize = 120;

/// A file of keys as the account finds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyFile {
    pub path: PathBuf,
    pub state: KeyState,
}

/// What is in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyState {
    Missing,
    Unreadable(String),
    /// A file that sshd ignores for the owner or mode of this path, printable (`StrictModes`).
    Distrusted(String),
    Holds(Keys),
}

/// An account whose logins are checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub account: &'a str,
    /// Where the policy names it.
    pub user: &'a Origin,
    /// The `keys:` of a policy of its.
    pub keyed: Option<&'a Origin>,
    pub shell: &'a Path,
    /// Whether the shell is the gate.
    pub is_gate: bool,
    /// What sshd's forced command starts; `None` if its program is missing, which is reported.
    pub forced: Option<Leads>,
    /// The names of all its groups; `None` if one has no name.
    pub groups: Option<&'a [String]>,
    /// Whether it is root, whose other keys may be the administrators'.
    pub is_root: bool,
}

/// What is wrong with sshd's settings for the account. Where `only_named`, nobody but sshd's settings speaks of a place from which it
/// comes: to keep somebody out there may be what they are for.
pub(crate) fn sshd(entry: Entry<'_>, settings: &Settings, files: &[KeyFile], only_named: bool) -> Vec<Finding> {
    let mut found = shuts_out(entry, settings, files);
    if only_named {
        found.iter_mut().for_each(|finding| finding.wrong = false);
    }
    if !only_named || settings.lets_in(entry.account, entry.groups) {
        found.extend(leads_past(entry, settings, files));
    }
    found
}

/// What of sshd's settings keeps the account out, or from being known.
fn shuts_out(entry: Entry<'_>, settings: &Settings, files: &[KeyFile]) -> Vec<Finding> {
    let Entry { account, user, .. } = entry;
    let mut found = Vec::new();
    if !settings.lets_in(account, entry.groups) {
        let message = format!("sshd lets `{account}` not in: `AllowUsers`, `DenyUsers`, `AllowGroups` or `DenyGroups` keeps it out");
        found.push(Finding::wrong(user.clone(), message, "change them in sshd's settings, then reload it"));
    }
    if let Some(directory) = &settings.chroot {
        let message = format!("sshd locks `{account}` into `{}`, where there is neither the gate nor a repository", shown(directory));
        found.push(Finding::wrong(user.clone(), message, format!("set `ChrootDirectory none` for `{account}` in sshd's settings")));
    }
    if entry.is_root && settings.keeps_root_out {
        let help = "set `PermitRootLogin prohibit-password` in sshd's settings, for the client's address alone if you can";
        found.push(Finding::wrong(user.clone(), "sshd lets `root` not in: `PermitRootLogin` is off", help));
    }
    if let Some(methods) = &settings.wants_more {
        let message = format!("sshd is not content with a key of `{account}`: `AuthenticationMethods` is `{}`", shown(methods));
        found.push(Finding::wrong(user.clone(), message, format!("set `AuthenticationMethods publickey` for `{account}`")));
    }
    let held = held(files);
    if settings.takes_no_keys {
        let message = format!("sshd takes no key for `{account}`: `PubkeyAuthentication` is off");
        found.push(Finding::wrong(user.clone(), message, format!("set `PubkeyAuthentication yes` for `{account}` in sshd's settings")));
    } else if held.all() == 0 && !held.cut && settings.by_policies && !settings.keys_elsewhere {
        // `snapgate keys` answers with those of the policies.
        found.extend(entry.keyed.is_none().then(|| {
            let message = format!("sshd takes no key for `{account}`: it asks `snapgate keys`, and no policy of that account has `keys:`");
            Finding::wrong(
                user.clone(),
                message,
                "write the client's key into `keys:` of its policy, as `ssh-keygen -lf key.pub` prints it",
            )
        }));
    } else if held.all() == 0 && !held.cut && !settings.keys_elsewhere {
        found.push(no_keys(entry, files));
    } else if held.all() == 0 && !held.cut {
        let message = format!("whether sshd finds a key for `{account}` was not looked at: it asks a program or takes certificates");
        found.push(Finding::unseen(user.clone(), message, "try it out: log in as the client"));
    }
    if settings.asks_for_groups() && entry.groups.is_none() {
        let message =
            format!("whether `AllowGroups` and `DenyGroups` of sshd's let `{account}` in was not looked at: a group of its has no name");
        found.push(Finding::unseen(user.clone(), message, "see what `id` says of it, and that its groups are in /etc/group"));
    }
    if let Some(keyed) = entry.keyed.filter(|_| !settings.exposes) {
        let message = format!("sshd does not tell which key of `{account}` logged in, so `keys:` matches nobody");
        found.push(Finding::wrong(keyed.clone(), message, format!("set `ExposeAuthInfo yes` for `{account}` in sshd's settings")));
    }
    found
}

/// What of them leads somewhere else than to the gate.
fn leads_past(entry: Entry<'_>, settings: &Settings, files: &[KeyFile]) -> Vec<Finding> {
    let Entry { account, user, .. } = entry;
    let held = held(files);
    let mut found = Vec::new();
    match &settings.force {
        Some(command) => found.extend(entry.forced.and_then(|leads| forced(entry, command, leads))),
        None if entry.is_gate && (held.others > 0 || held.cut || settings.keys_elsewhere) => {
            found.extend(past::past_the_shell(entry, settings))
        }
        None if entry.is_gate => {}
        None => {
            found.extend(ungated(entry, &held, settings));
            if held.cut {
                let message =
                    format!("of a file of keys of `{account}` only the beginning was looked at: a key further down may lead elsewhere");
                found.push(Finding::unseen(user.clone(), message, "shorten the file, or set a `ForceCommand` for the account"));
            }
        }
    }
    found.extend(past::worded(entry, settings, &held));
    found
}

/// The keys of all files together.
fn held(files: &[KeyFile]) -> Keys {
    files.iter().fold(Keys::default(), |all, file| match &file.state {
        KeyState::Holds(keys) => all.and(keys),
        KeyState::Missing | KeyState::Unreadable(_) | KeyState::Distrusted(_) => all,
    })
}

/// A file that keeps everybody out but root (nologin(5)).
pub(crate) fn closed(Entry { account, user, is_root, .. }: Entry<'_>, by: &Path) -> Option<Finding> {
    let message = format!("sshd lets `{account}` not in while `{}` is there", shown(&by.display().to_string()));
    (!is_root).then(|| Finding::wrong(user.clone(), message, "remove it, unless the machine is about to go down"))
}

/// A forced command that is not the gate.
fn forced(Entry { account, user, .. }: Entry<'_>, command: &str, leads: Leads) -> Option<Finding> {
    let command = shown(command);
    match leads {
        Leads::ToTheGate => None,
        Leads::Perhaps => {
            let message = format!("sshd runs `{command}` for `{account}`: whether that leads to the gate cannot be seen");
            Some(Finding::note(user.clone(), message, "if it does not, set `ForceCommand` to `snapgate-shell`"))
        }
        Leads::Elsewhere => {
            let message = format!("sshd runs `{command}` for `{account}`, which is something that is not the gate");
            Some(Finding::wrong(user.clone(), message, "set `ForceCommand` to `snapgate-shell`, with the whole path, and reload sshd"))
        }
    }
}

/// Keys that lead past the gate.
fn ungated(entry: Entry<'_>, held: &Keys, settings: &Settings) -> Option<Finding> {
    let Entry { account, user, .. } = entry;
    let help = format!(
        "copy 50-snapgate.conf to /etc/ssh/sshd_config.d/, add `{account}` to the group that it names, and reload sshd; `sshd -T -C {}` \
         shows what holds",
        connection(&quote(account), NOWHERE, settings.port.unwrap_or(USUAL_PORT))
    );
    let command = held.command.as_deref().unwrap_or_default();
    let past = held.others + held.astray;
    if entry.is_root && held.gated > 0 && past > 0 {
        let message = format!("{past} of root's keys lead to something else than the gate");
        return Some(Finding::note(user.clone(), message, "that is right if they are the administrators'"));
    }
    if held.others > 0 || settings.keys_elsewhere || (held.all() == 0 && !settings.by_policies) {
        let message = format!("no `ForceCommand` of sshd's reaches `{account}`: whoever logs in has a shell, and pushes past the gate");
        return Some(Finding::wrong(user.clone(), message, help));
    }
    if held.astray > 0 {
        let message = format!("a key of `{account}` runs `{command}`, which is something that is not the gate");
        return Some(Finding::wrong(
            user.clone(),
            message,
            "let its command= start `snapgate-shell`, with the whole path, or remove the key",
        ));
    }
    (held.unclear > 0).then(|| {
        let message = format!("a key of `{account}` runs `{command}`: whether that leads to the gate cannot be seen");
        Finding::note(user.clone(), message, "if it does not, let its command= start `snapgate-shell`")
    })
}

/// An account for which sshd finds no key.
fn no_keys(entry: Entry<'_>, files: &[KeyFile]) -> Finding {
    let Entry { account, user, .. } = entry;
    let path = |file: &KeyFile| printable(file.path.as_os_str().as_encoded_bytes());
    let state = files.iter().find_map(|file| match &file.state {
        KeyState::Missing => None,
        KeyState::Unreadable(why) => Some((format!("`{}` cannot be read by it: {}", path(file), printable(why.as_bytes())), "")),
        KeyState::Distrusted(at) => Some((format!("others could have written `{}`, by the owner or the mode of `{at}`", path(file)), "")),
        KeyState::Holds(Keys { expired: 1.., .. }) => {
            Some((format!("those in `{}` have expired", path(file)), "put the client's key in it, with another `expiry-time`"))
        }
        KeyState::Holds(_) => Some((format!("`{}` holds none", path(file)), "put the client's key in it")),
    });
    let (why, help) = state.unwrap_or_else(|| match files.first() {
        Some(first) => (format!("`{}` is not there", path(first)), "make it, with the client's key in it"),
        None => ("sshd looks for them nowhere".to_owned(), "set `AuthorizedKeysFile` in sshd's settings"),
    });
    let usual = format!("chown it and its directory to {}, and chmod go-w both", quote(account));
    let help = if help.is_empty() { usual } else { help.to_owned() };
    Finding::wrong(user.clone(), format!("sshd takes no key for `{account}`: {why}"), help)
}

/// What is wrong with the account's shell, which printed this when it was asked for [`MARK`].
pub(crate) fn shell(entry: Entry<'_>, printed: &[u8]) -> Option<Finding> {
    let (program, account) = (shown(&entry.shell.display().to_string()), entry.account);
    let printed = String::from_utf8_lossy(printed);
    let chsh = format!("chsh -s /bin/sh {}", quote(account));
    if printed == format!("{MARK}\n") {
        return None;
    }
    let first = printed.lines().map(str::trim).find(|line| !line.is_empty() && *line != MARK);
    let line = shown(first.unwrap_or_default());
    let (message, help) = if printed.contains(MARK) {
        let message = format!("the shell `{program}` of `{account}` prints `{line}` of its own accord: no push can be understood");
        (message, format!("take that out of what the shell reads when it starts, or {chsh}"))
    } else {
        let says = if line.is_empty() { String::new() } else { format!(": it says `{line}`") };
        (format!("the shell `{program}` of `{account}` does not run what sshd gives it{says}"), chsh)
    };
    Some(Finding::wrong(entry.user.clone(), message, help))
}

/// Whether the shell lets nobody in, by its name.
pub(crate) fn turns_away(shell: &Path) -> bool {
    shell.file_name().is_some_and(|name| name == "nologin" || name == "false")
}

fn shown(text: &str) -> String {
    printable_within(text.as_bytes(), SHOWN)
}

#[cfg(test)]
mod tests;
