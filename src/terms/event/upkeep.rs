//! What is recorded of snapshots that were removed, brought back or protected on this machine.

use serde::{Deserialize, Serialize};

use crate::terms::limits::{MAX_REPORTED_SNAPSHOTS, MAX_REPORTED_TEXT};
use crate::terms::text::{still_printable, still_printable_lines};
use crate::terms::usage::Usage;
use crate::terms::word::table;

table! {
    /// What was done to a client's history on this machine: the `kind` of its event.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Deed {
        /// `snapgate prune` removed snapshots by the policy's `keep:`, freed what was in the trash
        /// for long enough, or could not do so.
        Prune = "prune",
        /// The administrator removed snapshots (`snapgate delete`).
        Delete = "delete",
        /// The administrator brought a snapshot back (`snapgate undelete`).
        Undelete = "undelete",
        /// The administrator protected a snapshot, or ended that (`snapgate protect` and
        /// `unprotect`).
        Protect = "protect",
        /// The administrator said that a held snapshot is no damage (`snapgate release`).
        Release = "release",
        /// The administrator removed a held snapshot (`snapgate discard`).
        Discard = "discard",
        /// `snapgate maintain` could not do something that a person has to look at.
        Maintain = "maintain",
        /// The administrator copied from a snapshot (`snapgate restore`).
        LocalRestore = "local-restore",
        /// `snapgate drill` restored a sample through the gate, and compared it with the store.
        Drill = "drill",
        /// `snapgate check` found something wrong that was not wrong before.
        Check = "check",
    }
}

/// What was done to a client's history on this machine, not by the client. Printable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Upkeep {
    /// What happened, in a few words.
    #[serde(default, rename = "summary")]
    pub happened: String,
    /// The snapshots that it happened to, the first of them.
    #[serde(default)]
    pub snapshots: Vec<String>,
    /// How many there are besides.
    #[serde(default)]
    pub others: u64,
    /// Why, where somebody said so.
    #[serde(default)]
    pub why: String,
    /// What became free.
    #[serde(default)]
    pub freed: Option<Usage>,
    /// What was copied out of a snapshot.
    #[serde(default)]
    pub restored: Option<Restored>,
    /// What went wrong.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// What was copied out of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// From which place in it.
    pub path: String,
    /// How many files (everything that is not a directory).
    pub files: u64,
    /// Sum of their sizes.
    pub bytes: u64,
}

impl Upkeep {
    /// Of these snapshots.
    pub fn of<'a>(happened: String, snapshots: impl IntoIterator<Item = &'a str>) -> Self {
        let mut this = Self { happened, ..Self::default() };
        for name in snapshots {
            if this.snapshots.len() < MAX_REPORTED_SNAPSHOTS {
                this.snapshots.push(name.to_owned());
            } else {
                this.others = this.others.saturating_add(1);
            }
        }
        this
    }

    /// How many of so many problems [`Self::first_of`] says.
    pub fn shown(problems: usize) -> usize {
        if problems > MAX_REPORTED_SNAPSHOTS { MAX_REPORTED_SNAPSHOTS - 1 } else { problems }
    }

    /// As much of these problems as an event says and whoever reads it takes: the first, and how many
    /// there are besides, with the command that shows them. More would not fit, and tell of nothing.
    pub fn first_of(problems: &[String], shown_by: &str) -> Vec<String> {
        let cut =
            |text: &String| if text.len() > MAX_REPORTED_TEXT { still_printable_lines(text, MAX_REPORTED_TEXT) } else { text.clone() };
        let (first, others) = problems.split_at_checked(Self::shown(problems.len())).unwrap_or_default();
        let rest = Some(others.len()).filter(|others| *others > 0).map(|others| format!("and {others} more{shown_by}"));
        first.iter().map(cut).chain(rest).collect()
    }

    /// How many snapshots it happened to.
    pub fn count(&self) -> u64 {
        (self.snapshots.len() as u64).saturating_add(self.others)
    }

    /// With every text printable and short: whoever has a ledger may write anything in it.
    pub(super) fn checked(mut self) -> Self {
        let cut = |text: &mut String| *text = still_printable(text, MAX_REPORTED_TEXT);
        for texts in [&mut self.snapshots, &mut self.problems] {
            texts.truncate(MAX_REPORTED_SNAPSHOTS);
            texts.shrink_to_fit();
        }
        let path = self.restored.iter_mut().map(|restored| &mut restored.path);
        self.snapshots.iter_mut().chain(path).chain([&mut self.happened, &mut self.why]).for_each(cut);
        // A fault of a file shows its line, and what to do has its own.
        self.problems.iter_mut().for_each(|problem| *problem = still_printable_lines(problem, MAX_REPORTED_TEXT));
        self
    }
}
