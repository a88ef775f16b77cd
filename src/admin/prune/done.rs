//! What a command by hand did, for people and for programs.

use serde::{Deserialize, Serialize};

use super::client::Client;
use super::reach::Said;
use super::{Failure, Printed};
use crate::terms::exit;
use crate::terms::limits::MAX_REPORTED_TEXT;
use crate::terms::text::still_printable;

/// What `delete`, `undelete`, `protect` or `unprotect` did, or would do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Done {
    client: String,
    /// Whether nothing was done.
    dry_run: bool,
    /// To which snapshots.
    snapshots: Vec<String>,
    /// In words.
    says: String,
    /// What could not be recorded.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    problems: Vec<String>,
}

impl Done {
    /// It was done, and says so in one line.
    pub(super) fn new<'a>(client: &Client<'_>, snapshots: impl IntoIterator<Item = &'a str>, says: String) -> Self {
        let snapshots = snapshots.into_iter().map(str::to_owned).collect();
        Self { client: client.name().to_string(), dry_run: false, snapshots, says, problems: Vec::new() }
    }

    /// It would be done.
    pub(super) fn would(self) -> Self {
        Self { dry_run: true, ..self }
    }

    /// With what went wrong beside it.
    pub(super) fn printed(mut self, client: &Client<'_>, json: bool) -> Result<Printed, Failure> {
        self.problems.extend(client.lost());
        if json {
            let json = serde_json::to_string_pretty(&self).map_err(|error| (format!("writing JSON: {error}"), exit::INTERNAL))?;
            return Ok((json + "\n", 0));
        }
        let Self { client, dry_run, snapshots, says, problems } = self;
        let listed = snapshots.iter().filter(|_| dry_run).map(|name| format!("  - {name}\n"));
        let problems = problems.iter().map(|what| format!("  problem: {}\n", what.replace('\n', "\n    ")));
        Ok((format!("{client}: {says}\n{}", listed.chain(problems).collect::<String>()), 0))
    }
}

impl Said for Done {
    fn checked(mut self) -> Self {
        for text in self.snapshots.iter_mut().chain([&mut self.says]) {
            *text = still_printable(text, MAX_REPORTED_TEXT);
        }
        self
    }
}
