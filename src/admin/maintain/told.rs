//! What `maintain` says of a client: a line for people, an object for programs.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::admin::prune::{Failure, Told};
use crate::terms::text::counted;
use crate::terms::{Bytes, Usage, exit};

/// What was done for a client, or would be.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    /// The client, or what else was looked after.
    pub(super) client: String,
    pub(super) dry_run: bool,
    /// The tasks that were done, or would be, in order.
    pub(super) done: Vec<String>,
    /// Snapshots that went into the trash, or would go.
    pub(super) removed: Vec<String>,
    /// How many stay.
    pub(super) kept: usize,
    /// How many wait in the trash.
    pub(super) waiting: usize,
    pub(super) reaped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) freed: Option<Usage>,
    /// Logs of runs that went.
    pub(super) logs: u64,
    /// Old ledgers that went.
    pub(super) ledgers: u64,
    /// Broken trees that went.
    pub(super) broken: u64,
    /// Mails that nobody took, and that went.
    pub(super) mails: u64,
    /// Whether a push was running, so that something waits for the next time.
    pub(super) busy: bool,
    /// What a person has to look at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) problems: Vec<String>,
    /// What is strange, and no problem.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) notes: Vec<String>,
    /// How many of the problems are mailed already.
    pub(super) mailed: usize,
    /// Whether a state tells that nothing is known of the client: one mail of one mechanism is enough.
    pub(super) has_state: bool,
    /// Whether it is of no client's.
    #[serde(skip)]
    pub(super) is_of_the_site: bool,
}

impl Summary {
    /// Of a client for which nothing was done yet.
    pub(super) fn of(client: &impl ToString, dry_run: bool) -> Self {
        Self { client: client.to_string(), dry_run, ..Self::default() }
    }

    /// With something that did not work.
    pub(super) fn failed(mut self, (what, _): Failure) -> Self {
        self.problems.push(what);
        self
    }

    /// The same, of a client whose policy or repository cannot be read.
    pub(super) fn unreadable(self, failure: Failure) -> Self {
        Self { has_state: true, ..self.failed(failure) }
    }

    /// Adds what `prune` says. What it leaves for a person it has mailed, and what a push holds up
    /// is no problem.
    pub(super) fn add(&mut self, told: Told) -> Result<(), Failure> {
        let Told { dry_run, removed, kept, reaped, freed, problems, exit, paused, strange, .. } = told;
        let gone = usize::try_from(reaped).unwrap_or_default();
        self.waiting = self.waiting.saturating_add(if dry_run { 0 } else { removed.len() }).saturating_sub(gone);
        self.removed.extend(removed);
        self.kept = self.kept.max(kept);
        self.reaped = self.reaped.saturating_add(reaped);
        self.freed = freed.or(self.freed);
        self.busy |= paused;
        self.notes.extend(strange);
        if exit == exit::BUSY {
            return Err((problems.join("\n"), exit));
        }
        // What is mailed stands first.
        self.mailed += problems.len();
        self.problems.splice(0..0, problems);
        Ok(())
    }

    /// Whether a person has to look.
    pub(super) fn needs_somebody(&self) -> bool {
        !self.problems.is_empty()
    }

    /// For people: one line, and a line for each thing that would go or went wrong.
    pub(super) fn text(&self) -> String {
        let Self { client, dry_run, done, removed, kept, waiting, reaped, freed, logs, ledgers, broken, mails, busy, problems, .. } = self;
        let mut said = Vec::new();
        if done.iter().any(|done| done == "prune") {
            let goes = if *dry_run { "would be removed" } else { "removed" };
            said.push(format!("{} {goes}, {kept} kept", counted(removed.len(), "snapshot", "snapshots")));
        }
        if *reaped > 0 {
            let Usage { bytes, inodes } = freed.unwrap_or_default();
            let inodes = counted(inodes, "inode", "inodes");
            said.push(format!("{} gone for good, {} and {inodes} free", counted(*reaped, "snapshot", "snapshots"), Bytes(bytes)));
        }
        let forgotten = [
            (logs, "log", "logs"),
            (ledgers, "old ledger", "old ledgers"),
            (broken, "broken tree", "broken trees"),
            (mails, "dead mail", "dead mails"),
        ];
        let forgotten: Vec<_> =
            forgotten.into_iter().filter(|(count, ..)| **count > 0).map(|(count, one, many)| counted(*count, one, many)).collect();
        if !forgotten.is_empty() {
            said.push(format!("{} forgotten", forgotten.join(", ")));
        }
        if *waiting > 0 {
            said.push(format!("{waiting} in the trash"));
        }
        if *busy {
            said.push("a push is running, the rest waits for the next time".to_owned());
        }
        if *dry_run && !done.is_empty() {
            said.push(format!("due: {}", done.join(", ")));
        }
        if said.is_empty() {
            said.push(if problems.is_empty() { "nothing to do" } else { "nothing could be done" }.to_owned());
        }
        let mut text = format!("{client}: {}\n", said.join("; "));
        if *dry_run {
            removed.iter().for_each(|name| text.push_str(&format!("  - {name}\n")));
        }
        for note in &self.notes {
            let _ = writeln!(text, "  {note}");
        }
        for problem in problems {
            let _ = writeln!(text, "  problem: {}", problem.replace('\n', "\n    "));
        }
        text
    }
}
