//! What a drill found, for people and for programs.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::admin::prune::Said;
use crate::terms::limits::MAX_REPORTED_TEXT;
use crate::terms::text::{counted, still_printable, still_printable_lines};
use crate::terms::{Bytes, ClientName};

/// What was done for a client, as the process says that did it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) snapshot: String,
    pub(super) files: u64,
    pub(super) directories: u64,
    pub(super) bytes: u64,
    /// Files whose content nobody here may read.
    pub(super) unread: u64,
    /// Files of the sample that were left out, being larger than there is room for.
    pub(super) large: u64,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) problems: Vec<String>,
    /// How much there is besides.
    pub(super) others: u64,
}

impl Said for Option<Done> {
    fn checked(self) -> Self {
        self.map(|mut done| {
            done.snapshot = still_printable(&done.snapshot, MAX_REPORTED_TEXT);
            done.problems.iter_mut().for_each(|text| *text = still_printable_lines(text, MAX_REPORTED_TEXT));
            done
        })
    }
}

/// The same, for whoever asked.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    pub(super) client: String,
    /// By which the same files are chosen again.
    pub(super) seed: u64,
    #[serde(flatten)]
    pub(super) done: Done,
    /// What is wrong.
    pub(super) problems: Vec<String>,
    /// What could not be recorded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) lost: Vec<String>,
}

impl Told {
    pub(super) fn of(client: &ClientName, seed: u64, done: Result<Done, String>) -> Self {
        let (mut done, failed) = match done {
            Ok(done) => (done, None),
            Err(what) => (Done::default(), Some(what)),
        };
        let problems = std::mem::take(&mut done.problems).into_iter().chain(failed).collect();
        Self { client: client.to_string(), seed, done, problems, lost: Vec::new() }
    }

    /// Whether the client could not have had its files back as they were.
    pub(super) fn failed(&self) -> bool {
        !self.problems.is_empty()
    }

    /// For people: a line, and one for each thing that is wrong.
    pub(super) fn text(&self) -> String {
        let Self { client, seed, done: Done { snapshot, files, bytes, unread, large, others, .. }, problems, lost } = self;
        let (files, bytes) = (counted(*files, "file", "files"), Bytes(*bytes));
        let mut text = if problems.is_empty() {
            format!("{client}: {files} of {snapshot} restored as they are stored, {bytes}\n")
        } else {
            format!("{client}: the drill failed (repeat it with --seed {seed})\n")
        };
        if *unread > 0 {
            let _ = writeln!(text, "  {} could be compared by their attributes alone", counted(*unread, "file", "files"));
        }
        if *large > 0 {
            let _ = writeln!(text, "  {} left out: there is no room for so large a file", counted(*large, "file", "files"));
        }
        for problem in problems.iter().chain(lost) {
            let _ = writeln!(text, "  problem: {}", problem.replace('\n', "\n    "));
        }
        if *others > 0 {
            let _ = writeln!(text, "  and {others} more");
        }
        text
    }
}
