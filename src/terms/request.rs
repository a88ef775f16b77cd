//! What is known of a connection before anything is decided: who sshd says is there, and what they said.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use super::client::ClientName;
use super::key::Fingerprint;
use super::peer::Peer;

/// One connection. Only [`Request::said`] comes from the client; the rest is sshd's word or the kernel's.
#[derive(Debug, Clone)]
pub struct Request {
    /// When the gate started, by the server's clock.
    pub at: DateTime<Utc>,
    /// The unix account that the gate runs as.
    pub account: Account,
    /// The peer, from `SSH_CONNECTION`. `None` where there is none to trust.
    pub address: Option<Peer>,
    /// The keys that sshd accepted, from the file that `SSH_USER_AUTH` names. Empty without `ExposeAuthInfo`.
    pub keys: Vec<Fingerprint>,
    /// The client that `--client` names in a `command="…"` line.
    pub named: Option<ClientName>,
    /// What the client asked for.
    pub said: Said,
}

/// The unix account that the gate runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name in the user database, or its number as text where it has none.
    pub name: String,
    /// Its number; 0 is root.
    pub uid: u32,
    /// The number of its group.
    pub group: u32,
}

impl Account {
    /// Whether the gate, and so rsync, has root's powers.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }
}

/// What the user database says of an account besides: what sshd starts, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Its home directory.
    pub home: PathBuf,
    /// Its shell, through which sshd runs every command.
    pub shell: PathBuf,
}

/// Where what the client asked for is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spoken {
    /// In `SSH_ORIGINAL_COMMAND`: sshd runs the gate whatever the client asks for.
    Variable,
    /// In these words, which sshd has the account's shell run. The variable may be anything, such as what the client has set.
    Words(Vec<u8>),
    /// Nowhere: somebody logs in. The same holds of the variable.
    Nowhere,
}

/// What the client asked for, not yet looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// No command and no terminal: `ssh backup`.
    Nothing,
    /// No command but a terminal: somebody wants a shell.
    Login,
    /// A command, byte by byte.
    Command(Vec<u8>),
}
