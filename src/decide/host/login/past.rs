//! The gate as an account's shell: how it is known, what goes past it, and what it refuses.

use std::path::Path;

use super::{Entry, Keys, Leads, Settings, shown};
use crate::decide::policy::lint::Finding;

/// The gate's program.
pub const GATE: &str = "snapgate-shell";

/// Whether a program is the gate, by its name.
pub fn is_the_gate(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name == GATE || name == "rrsync")
}

/// Whether a command is the gate without any word of its own, as it is forced upon an account: by its name, or by its whole path.
pub fn is_the_gate_alone(command: &[u8]) -> bool {
    let program = command.trim_ascii();
    let name = if program.starts_with(b"/") { program.rsplit(|byte| *byte == b'/').next().unwrap_or_default() } else { program };
    name == GATE.as_bytes() && !program.iter().any(u8::is_ascii_whitespace)
}

/// What an administrator is to do where the account's shell is the gate and it is given words of its own.
pub const WORDS_OF_ITS_OWN: &str = "name the client's key in `keys:` of its policy and force `snapgate-shell` alone, or give the account \
    `/bin/sh` as its shell";

/// What sshd does for an account past a gate that is its shell, since no shell is started for it.
pub(super) fn past_the_shell(entry: Entry<'_>, settings: &Settings) -> Vec<Finding> {
    let Entry { account, user, .. } = entry;
    let mut found = Vec::new();
    let message =
        format!("sshd answers sftp for `{account}` itself, past its shell: whoever logs in reads and writes what the account may");
    let help =
        format!("set `ForceCommand snapgate-shell` for `{account}` in sshd's settings, or `Subsystem sftp /usr/lib/openssh/sftp-server`");
    found.extend(settings.internal_sftp.then(|| Finding::wrong(user.clone(), message, help)));
    let message = format!("sshd forwards connections for `{account}`: whoever has its key reaches what the server itself reaches");
    let help = format!("set `DisableForwarding yes` for `{account}` in sshd's settings, unless `restrict` stands before each of its keys");
    let forwards = (settings.forwards_tcp || settings.forwards_sockets) && !settings.forwards_none;
    found.extend(forwards.then(|| Finding::note(user.clone(), message, help)));
    found
}

/// Where a gate that is the account's shell is given words of its own: it refuses those, as a client may have typed them.
pub(super) fn worded(entry: Entry<'_>, settings: &Settings, held: &Keys) -> Option<Finding> {
    let Entry { account, user, .. } = entry;
    let command = match settings.force.as_deref() {
        Some(command) if entry.forced == Some(Leads::ToTheGate) && !is_the_gate_alone(command.as_bytes()) => {
            format!("`{}`", shown(command))
        }
        None if held.worded > 0 => "`command=\"…\"` of its keys".to_owned(),
        _ => return None,
    };
    let message =
        format!("the shell of `{account}` is the gate, which refuses {command}: a client could have typed the words behind its name");
    entry.is_gate.then(|| Finding::wrong(user.clone(), message, WORDS_OF_ITS_OWN))
}
