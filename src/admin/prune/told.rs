//! What `prune` says of a client, for people and for programs.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::reach::Said;
use crate::decide::keep::{Judged, Snapshot};
use crate::terms::limits::MAX_REPORTED_TEXT;
use crate::terms::text::{counted, still_printable, still_printable_lines};
use crate::terms::{Bytes, ClientName, Usage};

/// What was done for a client, or would be.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::admin) struct Told {
    pub(in crate::admin) client: String,
    /// Whether nothing was done.
    pub(in crate::admin) dry_run: bool,
    /// Snapshots that went into the trash, or would go.
    pub(in crate::admin) removed: Vec<String>,
    /// How many stay.
    pub(in crate::admin) kept: usize,
    /// How many are held.
    pub(in crate::admin) held: usize,
    /// How many wait in the trash.
    pub(in crate::admin) waiting: usize,
    /// Protections that ended, since their snapshots are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::admin) unprotected: Vec<String>,
    /// Snapshots that are gone for good.
    pub(in crate::admin) reaped: u64,
    /// Whether a push keeps the rest from going.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::admin) paused: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) freed: Option<Usage>,
    /// `--explain`: each snapshot, with all that keeps it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::admin) explained: Vec<Explained>,
    /// `--simulate`: what would be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) simulated: Option<Vec<String>>,
    /// What is no snapshot, and stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) strange: Option<String>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::admin) problems: Vec<String>,
    /// Whether nothing is known of it but a problem.
    pub(in crate::admin) failed: bool,
    /// The exit code that goes with it.
    pub(in crate::admin) exit: u8,
}

/// A snapshot and what keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::admin) struct Explained {
    name: String,
    complete: bool,
    /// Nothing: it goes.
    kept_by: Vec<String>,
    /// In words.
    says: String,
}

impl Explained {
    pub(in crate::admin) fn of(judged: &Judged<'_>) -> Self {
        let Judged { snapshot: Snapshot { name, complete, .. }, kept_by } = judged;
        let kept_by = kept_by.iter().map(ToString::to_string).collect();
        Self { name: name.to_string(), complete: *complete, kept_by, says: judged.to_string() }
    }
}

impl Told {
    /// Of a client for which nothing could be done.
    pub(in crate::admin) fn failed(client: &ClientName, what: String, exit: u8) -> Self {
        Self { client: client.to_string(), problems: vec![what], failed: true, exit, ..Self::default() }
    }

    /// For people: one line, and a line for each thing that was asked for or went wrong.
    pub(in crate::admin) fn text(&self) -> String {
        let Self { client, dry_run, removed, kept, held, waiting, reaped, freed, explained, simulated, problems, .. } = self;
        if self.failed {
            return format!("{client}: {}\n", problems.concat());
        }
        let goes = if *dry_run { "would be removed" } else { "removed" };
        let mut text = format!("{client}: {} {goes}, {kept} kept", counted(removed.len(), "snapshot", "snapshots"));
        if let Some(Usage { bytes, inodes }) = freed.filter(|freed| *reaped > 0 || freed.inodes > 0) {
            let inodes = counted(inodes, "inode", "inodes");
            let _ = write!(text, "; {} gone for good, {} and {inodes} free", counted(*reaped, "snapshot", "snapshots"), Bytes(bytes));
        }
        if self.paused {
            text.push_str("; the rest waits for the end of a push, or for the next time");
        }
        if *held > 0 {
            let _ = write!(text, "; {held} held (`snapgate release` or `discard`)");
        }
        if *waiting > 0 {
            let _ = write!(text, "; {waiting} in the trash");
        }
        text.push('\n');
        for Explained { kept_by, says, .. } in explained {
            let mark = if kept_by.is_empty() { "-" } else { " " };
            let _ = writeln!(text, "  {mark} {says}");
        }
        if explained.is_empty() && *dry_run && simulated.is_none() {
            removed.iter().for_each(|name| text.push_str(&format!("  - {name}\n")));
        }
        if let Some(left) = simulated {
            let _ = writeln!(text, "  {} would be there:", counted(left.len(), "snapshot", "snapshots"));
            left.iter().for_each(|name| text.push_str(&format!("    {name}\n")));
        }
        for name in &self.unprotected {
            let _ = writeln!(text, "  {name} is gone, and no longer protected");
        }
        if let Some(strange) = &self.strange {
            let _ = writeln!(text, "  {strange}");
        }
        for problem in problems {
            let _ = writeln!(text, "  problem: {}", problem.replace('\n', "\n    "));
        }
        text
    }
}

impl Said for Told {
    fn checked(mut self) -> Self {
        let names = self.removed.iter_mut().chain(&mut self.unprotected).chain(self.simulated.iter_mut().flatten());
        let words = self.explained.iter_mut().flat_map(|Explained { name, kept_by, says, .. }| kept_by.iter_mut().chain([name, says]));
        for text in names.chain(words).chain(&mut self.strange) {
            *text = still_printable(text, MAX_REPORTED_TEXT);
        }
        for problem in &mut self.problems {
            *problem = still_printable_lines(problem, MAX_REPORTED_TEXT);
        }
        self
    }
}
