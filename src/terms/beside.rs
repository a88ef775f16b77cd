//! What a record holds besides its main event: notes, failed hooks, the pushes of a transaction.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Something found before a connection did its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// In words.
    pub text: String,
    /// Whether it is repaired already, as after a session that was killed.
    pub passing: bool,
    /// Whether an alert is due, whatever the policy's `report:` says.
    pub alerts: bool,
}

impl Note {
    /// One that is repaired already.
    pub fn passing(text: impl Into<String>) -> Self {
        Self { text: text.into(), passing: true, alerts: false }
    }

    /// Something for a person.
    pub fn lasting(text: impl Into<String>) -> Self {
        Self { text: text.into(), passing: false, alerts: false }
    }

    /// The same, and it must not wait.
    pub fn alert(text: impl Into<String>) -> Self {
        Self { alerts: true, ..Self::lasting(text) }
    }
}

/// A hook that failed. Its words are the administrator's; clients never see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedHook {
    /// Which list it stands in, `prepare` or `complete`.
    pub hook: String,
    /// Its words.
    pub command: String,
    /// How it ended.
    pub how: String,
    /// The last lines that it printed, printable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub printed: Vec<String>,
    /// The log with all that it printed.
    pub log: String,
}

impl FailedHook {
    /// What happened, as a sentence.
    pub fn describe(&self) -> String {
        format!("the {} hook `{}` failed: {}", self.hook, self.command, self.how)
    }

    /// Where to look, for a mail that has what it printed.
    pub fn remedy(&self) -> &'static str {
        if self.printed.is_empty() {
            "run it by hand as the client's account: it has printed nothing"
        } else {
            "see what it has printed, below"
        }
    }
}

/// A push of a transaction, and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// When it began.
    pub at: DateTime<Utc>,
    /// Where inside the snapshot, printable; `.` is the whole.
    pub place: String,
    /// How its rsync ended; `None`: it has not, or its gate was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<PartEnd>,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PartEnd {
    /// rsync's exit status on the server; `None` where it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The signal that ended it; without either the gate ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Seconds from its beginning.
    pub seconds: f64,
}
