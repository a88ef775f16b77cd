//! What `prune` says of a client, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::decide::keep::{Judged, Snapshot};
use crate::terms::text::counted;
use crate::terms::{Bytes, ClientName, Freed};

/// What was done for a client, or would be.
#[derive(Debug, Default, Serialize)]
pub(in crate::admin) struct Told {
    pub(in crate::admin) client: String,
    /// Whether nothing was done.
    pub(in crate::admin) dry_run: bool,
    /// Snapshots that went into the trash, or would go.
    pub(in crate::admin) removed: Vec<String>,
    /// How many stay.
    pub(in crate::admin) kept: usize,
    /// How many wait in the trash.
    pub(in crate::admin) waiting: usize,
    pub(in crate::admin) reaped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) freed: Option<Freed>,
    /// `--explain`: each snapshot, with all that keeps it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::admin) explained: Vec<Explained>,
    /// `--simulate`: what would be there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) simulated: Option<Vec<String>>,
    /// Whether what went wrong has been mailed.
    #[serde(skip)]
    pub(in crate::admin) is_mailed: bool,
    /// What went wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::admin) problems: Vec<String>,
    /// Whether nothing is known of it but a problem.
    #[serde(skip)]
    pub(in crate::admin) failed: bool,
    /// The exit code that goes with it.
    pub(in crate::admin) exit: u8,
}

/// A snapshot and what keeps it.
#[derive(Debug, Serialize)]
pub(in crate::admin) struct Explained {
    name: String,
    complete: bool,
    /// Nothing: it goes.
    kept_by: Vec<String>,
    #[serde(skip)]
    line: String,
}

impl Explained {
    pub(in crate::admin) fn of(judged: &Judged<'_>) -> Self {
        let Judged { snapshot: Snapshot { name, complete, .. }, kept_by } = judged;
        let mark = if judged.is_doomed() { "-" } else { " " };
        let kept_by = kept_by.iter().map(ToString::to_string).collect();
        Self { name: name.to_string(), complete: *complete, kept_by, line: format!("{mark} {judged}") }
    }
}

impl Told {
    /// Of a client for which nothing could be done.
    pub(in crate::admin) fn failed(client: &ClientName, what: String, exit: u8) -> Self {
        Self { client: client.to_string(), problems: vec![what], failed: true, exit, ..Self::default() }
    }

    /// For people: one line, and a line for each thing that was asked for or went wrong.
    pub(in crate::admin) fn text(&self) -> String {
        let Self { client, dry_run, removed, kept, waiting, reaped, freed, explained, simulated, problems, failed, is_mailed: _, exit: _ } =
            self;
        if *failed {
            return format!("{client}: {}\n", problems.concat());
        }
        let goes = if *dry_run { "would be removed" } else { "removed" };
        let mut text = format!("{client}: {} {goes}, {kept} kept", counted(removed.len(), "snapshot", "snapshots"));
        if let Some(Freed { bytes, inodes }) = freed.filter(|_| *reaped > 0) {
            let inodes = counted(inodes, "inode", "inodes");
            let _ = write!(text, "; {} gone for good, {} and {inodes} free", counted(*reaped, "snapshot", "snapshots"), Bytes(bytes));
        }
        if *waiting > 0 {
            let _ = write!(text, "; {waiting} in the trash");
        }
        text.push('\n');
        for Explained { line, .. } in explained {
            let _ = writeln!(text, "  {line}");
        }
        if explained.is_empty() && *dry_run && simulated.is_none() {
            removed.iter().for_each(|name| text.push_str(&format!("  - {name}\n")));
        }
        if let Some(left) = simulated {
            let _ = writeln!(text, "  {} would be there:", counted(left.len(), "snapshot", "snapshots"));
            left.iter().for_each(|name| text.push_str(&format!("    {name}\n")));
        }
        for problem in problems {
            let _ = writeln!(text, "  problem: {}", problem.replace('\n', "\n    "));
        }
        text
    }
}
