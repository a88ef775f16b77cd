//! What a client can ask for.

use serde::{Deserialize, Serialize};

use super::word::{as_clause, table};

/// What there is to say of a verb besides its word and what it means.
#[derive(Debug)]
pub struct VerbRow {
    /// How a client says it.
    pub usage: &'static str,
    /// Whether a policy without `verbs:` allows it.
    pub by_default: bool,
    /// Whether every client may ask for it, whatever its policy says.
    pub always: bool,
    /// Whether it may do something with the files of snapshots, or of what is to be one.
    pub touches_trees: bool,
    /// Whether a client that says it is about to back something up.
    pub backs_up: bool,
    /// What was done where it was answered and published nothing.
    pub answered: &'static str,
    /// What a report says that the client did then.
    pub reported: &'static str,
}

table! {
    /// A verb, as a policy's `verbs:` lists it and a client says it, in the order in which help shows them.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Verb: VerbRow {
        /// Open a transaction: pushes add up until `complete`.
        Prepare = "prepare" => VerbRow {
            usage: "ssh HOST prepare",
            by_default: false,
            always: false,
            touches_trees: true,
            backs_up: true,
            answered: "transaction opened",
            reported: "opened a transaction",
        },
        /// Push; it becomes a snapshot.
        Rsync = "rsync" => VerbRow {
            usage: "rsync -a --delete DIR HOST:",
            by_default: true,
            always: false,
            touches_trees: true,
            backs_up: true,
            answered: "dry run",
            reported: "tried a push (a dry run)",
        },
        /// Publish the transaction, unless STATUS says that rsync failed.
        Complete = "complete" => VerbRow {
            usage: "ssh HOST complete [STATUS]",
            by_default: false,
            always: false,
            touches_trees: true,
            backs_up: true,
            answered: "answered",
            reported: ASKED,
        },
        /// Discard the transaction.
        Abort = "abort" => VerbRow {
            usage: "ssh HOST abort",
            by_default: false,
            always: false,
            touches_trees: true,
            backs_up: false,
            answered: "transaction discarded",
            reported: "discarded its transaction",
        },
        /// Show the newest snapshot and what is going on.
        Status = "status" => VerbRow {
            usage: "ssh HOST status",
            by_default: true,
            always: false,
            touches_trees: false,
            backs_up: false,
            answered: "status told",
            reported: ASKED,
        },
        /// Show who you are and what you may do.
        Help = "help" => VerbRow {
            usage: "ssh HOST help",
            by_default: false,
            always: true,
            touches_trees: false,
            backs_up: false,
            answered: "help given",
            reported: ASKED,
        },
    }
}

/// What a report says of a client that did no more than ask.
pub const ASKED: &str = "asked something and was answered";

impl Verb {
    /// What a policy without `verbs:` allows.
    pub fn by_default() -> Vec<Self> {
        Self::ALL.into_iter().filter(|verb| verb.row().by_default).collect()
    }

    /// Its line of `help`.
    pub fn help(self) -> String {
        format!("{:<29}{}", self.row().usage, as_clause(self.means()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_help_says_the_verb_and_what_it_does() {
        assert_eq!(Verb::Rsync.help(), "rsync -a --delete DIR HOST:  push; it becomes a snapshot");
        assert_eq!(Verb::EITHER, "prepare, rsync, complete, abort, status or help");
        for verb in Verb::ALL {
            assert!(verb.row().usage.len() < 29 && verb.row().usage.split([' ', '-']).any(|word| word == verb.as_str()), "{verb}");
        }
    }
}
