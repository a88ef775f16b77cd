//! What a client can ask for.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::word::words;

words! {
    /// A verb, as a policy's `verbs:` lists it and a client says it, in the order in which help shows them.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Verb {
        /// Opens a transaction.
        Prepare = "prepare",
        /// A push with rsync.
        Rsync = "rsync",
        /// Closes a transaction and publishes it.
        Complete = "complete",
        /// Discards a transaction.
        Abort = "abort",
        /// Shows the client's newest snapshot and what is going on.
        Status = "status",
        /// Shows what may be done. Every client may ask.
        Help = "help",
    }
}

/// The text is not a verb of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a verb: use prepare, rsync, complete, abort, status or help")]
pub struct NotAVerb(pub String);

impl Verb {
    /// What a policy without `verbs:` allows.
    pub const DEFAULT: [Self; 2] = [Self::Rsync, Self::Status];
}

impl FromStr for Verb {
    type Err = NotAVerb;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::read(text).ok_or_else(|| NotAVerb(super::text::printable(text.as_bytes())))
    }
}
