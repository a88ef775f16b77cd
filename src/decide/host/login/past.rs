//! The gate as a login shell: how it is recognised, what passes it by, and what it refuses.

use std::path::Path;

use super::{Entry, Keys, Leads, Settings, shown};
use crate::decide::policy::lint::Finding;
use crate::terms::ClientName;

pub(crate) const GATE: &str = "snapgate-shell";

pub(crate) fn is_the_gate(program: &Path) -> bool {
    program.file_name().is_some_and(|name| name == GATE || name == "rrsync")
}

/// The gate by its name or its whole path, with no word behind it but a client's name, which says who
/// is meant to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gate {
    /// The client of `--client`.
    pub(crate) client: Option<ClientName>,
}

impl Gate {
    /// Reads what an account's shell is to run; `None` where that is anything else.
    pub(crate) fn read(command: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(command).ok()?.split_ascii_whitespace();
        let program = words.next()?;
        let name = if program.starts_with('/') { program.rsplit('/').next().unwrap_or_default() } else { program };
        if name != GATE {
            return None;
        }
        match (words.next(), words.next(), words.next()) {
            (None, ..) => Some(Self { client: None }),
            (Some("--client"), Some(client), None) => Some(Self { client: Some(client.parse().ok()?) }),
            _ => None,
        }
    }
}

/// The remedy where a gate that is the account's shell gets arguments.
pub(crate) const WORDS_OF_ITS_OWN: &str = "name the client's key in `keys:` of its policy and force `snapgate-shell` alone or with `--client` and its \
    own name, or give the account `/bin/sh` as its shell";

/// What sshd does without the account's shell, and so without a gate that is this shell.
pub(super) fn past_the_shell(entry: Entry<'_>, settings: &Settings) -> Vec<Finding> {
    let Entry { account, user, .. } = entry;
    let mut found = Vec::new();
    let message =
        format!("sshd answers sftp for `{account}` itself, past its shell: whoever logs in reads and writes what the account may");
    let help =
        format!("set `ForceCommand snapgate-shell` for `{account}` in sshd's settings, or `Subsystem sftp /usr/lib/openssh/sftp-server`");
    found.extend(settings.internal_sftp.then(|| Finding::wrong(user.clone(), message, help)));
    found
}

/// A gate that is the account's shell and gets arguments: it refuses them, as a client's.
pub(super) fn worded(entry: Entry<'_>, settings: &Settings, held: &Keys) -> Option<Finding> {
    let Entry { account, user, .. } = entry;
    let command = match settings.force.as_deref() {
        Some(command) if entry.forced == Some(Leads::ToTheGate) && Gate::read(command.as_bytes()).is_none() => {
            format!("`{}`", shown(command))
        }
        None if held.worded > 0 => "`command=\"…\"` of its keys".to_owned(),
        _ => return None,
    };
    let message =
        format!("the shell of `{account}` is the gate, which refuses {command}: a client could have typed the words behind its name");
    entry.is_gate.then(|| Finding::wrong(user.clone(), message, WORDS_OF_ITS_OWN))
}
