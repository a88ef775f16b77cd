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
    let Keys { bare, with_rc, expired, .. } = held(files);
    let mut found = Vec::new();
    // The administrators' keys stand beside those of root's clients.
    let keys = |count| if count == 1 { format!("a key of `{account}`") } else { format!("{count} keys of `{account}`") };
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
