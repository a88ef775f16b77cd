//! How a connection ended. The value travels between processes: one may be killed at the work.

use serde::{Deserialize, Serialize};

use crate::decide::judge::verdict::Denial;
use crate::terms::{Code, FailedHook, Jail, Note, Outcome, PushFacts, Reason, RestoreFacts};

/// All that is recorded of a client's work.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ending {
    pub(super) end: End,
    #[serde(default, skip_serializing_if = "Jail::is_whole")]
    pub(super) jail: Jail,
    pub(super) hooks: Vec<FailedHook>,
}

/// How a connection ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) outcome: Outcome,
    pub(crate) exit: u8,
    pub(crate) reasons: Vec<Reason>,
    pub(crate) warnings: Vec<String>,
    /// How many of the warnings are about what has been repaired.
    pub(crate) passing: usize,
    /// Whether a person has to look at one of them.
    pub(crate) lasting: bool,
    /// Whether one of them is an alert, whatever the policy's `report:` says.
    #[serde(default)]
    pub(crate) alerts: bool,
    pub(crate) push: Option<PushFacts>,
    #[serde(default)]
    pub(crate) restore: Option<RestoreFacts>,
    pub(crate) text: String,
    /// Whether the gate was killed before it reported, so that nobody knows what it did.
    #[serde(skip)]
    pub(crate) is_lost: bool,
    /// What came on standard input because of `-s`, printable; empty where nothing was read.
    pub(crate) input: String,
}

impl End {
    /// With this text for the client, and nothing else to report.
    pub(crate) fn answered(text: String) -> Self {
        Self {
            outcome: Outcome::Answered,
            exit: 0,
            reasons: Vec::new(),
            warnings: Vec::new(),
            passing: 0,
            lasting: false,
            alerts: false,
            push: None,
            restore: None,
            text,
            is_lost: false,
            input: String::new(),
        }
    }

    pub(super) fn refused(denial: Denial) -> Self {
        let exit = denial.first().code.exit();
        Self { outcome: Outcome::Refused, exit, reasons: denial.into_reasons(), ..Self::answered(String::new()) }
    }

    pub(super) fn stopped(reason: Reason) -> Self {
        Self { outcome: reason.code.row().stops_as, exit: reason.code.exit(), reasons: vec![reason], ..Self::answered(String::new()) }
    }

    /// Of work that may have been stopped.
    pub(crate) fn of(result: Result<Self, Reason>) -> Self {
        result.unwrap_or_else(Self::stopped)
    }

    /// Of a gate that was killed: how far it came is unknown.
    pub(super) fn lost() -> Self {
        let reason = Reason::new(Code::Interrupted, "the server failed").hint("push again");
        let reason =
            reason.detail("the gate was killed at its work").remedy("see in the kernel's log whether memory had run out").passing();
        Self { is_lost: true, ..Self::stopped(reason) }
    }

    /// With what was found on the way, first. It stands in the record however the connection ended.
    pub(crate) fn noting(mut self, notes: Vec<Note>) -> Self {
        self.passing += notes.iter().filter(|note| note.passing).count();
        self.lasting |= notes.iter().any(|note| !note.passing);
        self.alerts |= notes.iter().any(|note| note.alerts);
        self.warnings.splice(..0, notes.into_iter().map(|note| note.text));
        self
    }
}
