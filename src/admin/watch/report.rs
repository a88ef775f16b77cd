//! What a pass of `watch` did, for whoever asked for it.

use std::fmt;

use crate::terms::limits::{MAX_PROBLEMS, MAX_REPORTED_TEXT};
use crate::terms::text::{counted, still_printable_lines};

/// What a pass did, for whoever asked for it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[must_use]
pub struct WatchReport {
    /// Events counted.
    pub counted: u64,
    /// Mails handed to the mailer.
    pub sent: u64,
    /// What was told by other ways.
    pub told: u64,
    /// Mails that still wait for it, and what waits for other ways.
    pub waiting: u64,
    /// Mails that it has refused. They are tried again for days, but wait for nothing.
    pub refused: u64,
    /// Accounts that another pass was working on.
    pub busy: u64,
    /// What did not go well, each a line or two for the administrator, printable.
    pub problems: Vec<String>,
}

impl WatchReport {
    /// This and a later one together.
    pub fn and(mut self, later: Self) -> Self {
        self.counted += later.counted;
        self.sent += later.sent;
        self.told += later.told;
        (self.waiting, self.busy) = (later.waiting, later.busy);
        for problem in later.problems {
            if !self.problems.contains(&problem) {
                self.problem(&problem);
            }
        }
        self
    }

    /// Keeps a problem, up to a limit: a hostile account could make any number.
    pub(super) fn problem(&mut self, words: &str) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(still_printable_lines(words, MAX_REPORTED_TEXT));
        }
    }
}

impl fmt::Display for WatchReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (events, mails) = (counted(self.counted, "event", "events"), counted(self.sent, "mail", "mails"));
        write!(out, "{events} counted, {mails} sent, {} waiting", self.waiting)?;
        if self.refused > 0 {
            write!(out, ", {} refused", self.refused)?;
        }
        if self.told > 0 {
            write!(out, ", {} told by other ways", self.told)?;
        }
        if self.busy > 0 {
            write!(out, ", {} left to another watch", counted(self.busy, "account", "accounts"))?;
        }
        Ok(())
    }
}
