//! What a client can ask for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A verb, as a policy's `verbs:` lists it and a client says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Opens a transaction.
    Prepare,
    /// A push with rsync.
    Rsync,
    /// Closes a transaction and publishes it.
    Complete,
    /// Discards a transaction.
    Abort,
    /// Shows the client's newest snapshot and what is going on.
    Status,
    /// Shows what may be done. Every client may ask.
    Help,
}

/// The text is not a verb of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a verb: use prepare, rsync, complete, abort, status or help")]
pub struct NotAVerb(pub String);

impl Verb {
    /// Every verb, in the order in which help shows them.
    pub const ALL: [Self; 6] = [Self::Prepare, Self::Rsync, Self::Complete, Self::Abort, Self::Status, Self::Help];

    /// What a policy without `verbs:` allows.
    pub const DEFAULT: [Self; 2] = [Self::Rsync, Self::Status];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Rsync => "rsync",
            Self::Complete => "complete",
            Self::Abort => "abort",
            Self::Status => "status",
            Self::Help => "help",
        }
    }
}

impl FromStr for Verb {
    type Err = NotAVerb;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|verb| verb.as_str() == text);
        found.ok_or_else(|| NotAVerb(super::text::printable(text.as_bytes())))
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
