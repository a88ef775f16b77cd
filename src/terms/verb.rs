//! What a client can ask for.

use serde::{Deserialize, Serialize};

use super::word::{as_clause, table};

/// A verb's properties.
#[derive(Debug)]
pub struct VerbRow {
    /// How a client writes it.
    pub usage: &'static str,
    /// Whether a policy without `verbs:` allows it.
    pub by_default: bool,
    /// Whether every client may ask for it, whatever its policy says.
    pub always: bool,
    /// Whether it may change the files of snapshots, or of one in progress.
    pub touches_trees: bool,
    /// Whether the gate has the files of snapshots read.
    pub reads_trees: bool,
    /// Whether its client gets what is in snapshots, by the rules of `restore:`.
    pub gives_back: bool,
    /// Whether a client that uses it is about to back something up.
    pub backs_up: bool,
    /// What was done if it published nothing.
    pub answered: &'static str,
    /// The same in a report.
    pub reported: &'static str,
}

const fn verb(usage: &'static str, answered: &'static str, reported: &'static str) -> VerbRow {
    VerbRow {
        usage,
        by_default: false,
        always: false,
        touches_trees: false,
        reads_trees: false,
        gives_back: false,
        backs_up: false,
        answered,
        reported,
    }
}

/// A verb that works on the files of snapshots.
const fn works(usage: &'static str, answered: &'static str, reported: &'static str) -> VerbRow {
    VerbRow { touches_trees: true, ..verb(usage, answered, reported) }
}

/// A verb whose client gets back what it has backed up.
const fn gives(usage: &'static str, answered: &'static str, reported: &'static str) -> VerbRow {
    VerbRow { gives_back: true, ..verb(usage, answered, reported) }
}

table! {
    /// A verb, as policies list it and clients write it, in the order of `help`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Verb: VerbRow {
        /// Open a transaction: pushes add up until `complete`. BYTES is what will be new.
        Prepare = "prepare" => VerbRow { backs_up: true, ..works("ssh HOST prepare [BYTES]", "transaction opened", "opened a transaction") },
        /// Push; it becomes a snapshot.
        Rsync = "rsync" => VerbRow {
            by_default: true,
            backs_up: true,
            ..works("rsync -a --delete DIR HOST:", "dry run", "tried a push (a dry run)")
        },
        /// Publish the transaction, unless STATUS says that rsync failed.
        Complete = "complete" => VerbRow { backs_up: true, ..works("ssh HOST complete [STATUS]", "answered", ASKED) },
        /// Discard the transaction.
        Abort = "abort" => works("ssh HOST abort", "transaction discarded", "discarded its transaction"),
        /// Read snapshots: `current`, a snapshot's name, or @ and a time, such as `@1d`.
        Restore = "restore" => VerbRow { reads_trees: true, ..gives("rsync -a HOST:@1d/DIR/ DIR/", "restored", "restored files") },
        /// Look at snapshots with sftp, scp or sshfs.
        Browse = "browse" => VerbRow { reads_trees: true, ..gives("sftp HOST", "browsed", "looked at snapshots") },
        /// List snapshots.
        List = "list" => verb("ssh HOST list", "snapshots listed", ASKED),
        /// Search snapshots and compare them.
        History = "history" => gives("ssh HOST history FILE", "history told", ASKED),
        /// Show the newest snapshot and what is going on.
        Status = "status" => VerbRow { by_default: true, ..verb("ssh HOST status", "status told", ASKED) },
        /// Show who you are and what you may do.
        Help = "help" => VerbRow { always: true, ..verb("ssh HOST help", "help given", ASKED) },
    }
}

/// What a report says of a client that only asked something.
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
        assert_eq!(Verb::EITHER, "prepare, rsync, complete, abort, restore, browse, list, history, status or help");
        for verb in Verb::ALL {
            let usage = verb.row().usage;
            let says_it = usage.strip_prefix("ssh HOST ").is_none_or(|words| words.split(' ').next() == Some(verb.as_str()));
            assert!(usage.len() < 29 && says_it, "{verb}");
        }
    }
}
