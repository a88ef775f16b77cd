//! What is known of a connection before any decision: who sshd says it is, and what they asked for.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::client::ClientName;
use super::key::Fingerprint;
use super::peer::Peer;

/// One connection. Only [`Request::original`] comes from the client.
#[derive(Debug, Clone)]
pub struct Request {
    /// When the gate started, by the server's clock.
    pub at: DateTime<Utc>,
    /// The unix account that the gate runs as.
    pub account: Account,
    /// The peer, from `SSH_CONNECTION`; `None` if that cannot be trusted.
    pub address: Option<Peer>,
    /// The keys that sshd accepted, from the file that `SSH_USER_AUTH` names.
    pub keys: Vec<Fingerprint>,
    /// The client that `--client` names in a `command="…"` line.
    pub named: Option<ClientName>,
    /// What the client asked for.
    pub original: Original,
}

/// The unix account that the gate runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name in the user database, or its number.
    pub name: String,
    /// Its number; 0 is root.
    pub uid: u32,
    /// The number of its group.
    pub group: u32,
}

impl Account {
    /// Whether the gate and rsync have root's powers.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }
}

/// What the user database says of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Its home directory.
    pub home: PathBuf,
    /// Its shell, which sshd uses for every command.
    pub shell: PathBuf,
}

/// Who has started the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// sshd, for a client.
    Sshd,
    /// The administrator, to see whether the client could have its files back (`snapgate drill`).
    Drill,
    /// Somebody on this machine who pushes to it (`snapgate rsh`).
    Rsh,
}

/// Where the client's command is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandSource {
    /// In `SSH_ORIGINAL_COMMAND`: the gate is a forced command.
    Variable,
    /// There, too, and the account's shell was told this client: the one that it is, or nothing is
    /// done, since a client could have typed the name.
    VariableOf(ClientName),
    /// In these words, for the account's shell. The client may have set the variable.
    Words(Vec<u8>),
    /// Nowhere: a login. The client may have set the variable.
    Nowhere,
}

/// The client's command, not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Original {
    /// No command and no terminal: `ssh backup`.
    Nothing,
    /// No command but a terminal: somebody wants a shell.
    Login,
    /// A command, byte by byte.
    Command(Vec<u8>),
}
