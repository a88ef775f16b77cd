//! What a restore did, for people and for programs.

use std::time::Duration;

use serde::Serialize;

use crate::admin::prune::{Failure, Printed};
use crate::decide::history::receive::Figures;
use crate::terms::text::counted;
use crate::terms::{Bytes, exit};

/// What was restored, or would be.
#[derive(Debug, Default, Serialize)]
pub(super) struct Told {
    pub(super) client: String,
    pub(super) snapshot: String,
    /// What of it, printable.
    pub(super) path: String,
    /// Where it is, printable.
    pub(super) to: String,
    /// Whether nothing was done.
    pub(super) dry_run: bool,
    /// Whether it went on from an interrupted one.
    pub(super) resumed: bool,
    /// Whether the client's owners are not in the copy.
    pub(super) disowned: bool,
    #[serde(flatten)]
    pub(super) figures: Figures,
    pub(super) seconds: f64,
    /// What could not be recorded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) problems: Vec<String>,
}

impl Told {
    /// With what came.
    pub(super) fn with(self, figures: Figures, took: Duration) -> Self {
        Self { figures, seconds: took.as_secs_f64(), ..self }
    }

    /// In one line, and one for each thing to know.
    pub(super) fn printed(&self, json: bool) -> Result<Printed, Failure> {
        if json {
            let json = serde_json::to_string_pretty(self).map_err(|error| (format!("writing JSON: {error}"), exit::INTERNAL))?;
            return Ok((json + "\n", 0));
        }
        let Self { client, snapshot, path, to, dry_run, resumed, disowned, figures, seconds, problems } = self;
        let (files, bytes) = (counted(figures.files, "file", "files"), Bytes(figures.bytes));
        let goes = if *dry_run { "would be" } else { "is" };
        let took = if *dry_run { String::new() } else { format!(" in {seconds:.1} seconds") };
        let mut text = format!("{client}: `{path}` of {snapshot} {goes} in `{to}`: {files}, {bytes}{took}\n");
        if *resumed {
            let (written, bytes) = (counted(figures.written, "file", "files"), Bytes(figures.written_bytes));
            text.push_str(&format!("  it went on from an interrupted one: {written}, {bytes} now\n"));
        }
        if *disowned {
            text.push_str("  the files are yours: root alone can give them the client's owners\n");
        }
        problems.iter().for_each(|problem| text.push_str(&format!("  problem: {problem}\n")));
        Ok((text, 0))
    }
}
