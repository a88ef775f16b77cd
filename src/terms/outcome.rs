//! How connections end, with the first line of the mails about it.

use serde::{Deserialize, Serialize};

use super::word::table;

/// How mails about an outcome begin, unless its code says. `{who}` is the client, `{what}` its push
/// or verb, `{did}` what it did, `{kept}` whether the next push goes on.
#[derive(Debug)]
pub struct OutcomeRow {
    /// An alert.
    pub alert: &'static str,
    /// A report.
    pub report: &'static str,
}

const SERVED: &str = "Look into it: {who} was served ({result}), but not everything went well.";
const ENDED: &str = "A push of {who} ended: {result}. Please read on.";
const STOPPED: &str = "No need to act: a push of {who} was ended with its window. {kept}";

table! {
    /// How a connection ended.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Outcome: OutcomeRow {
        /// It was refused before anything was done.
        Refused = "refused" => OutcomeRow {
            alert: "{who} was refused, and nothing was changed. No need to act unless it was legitimate.",
            report: ENDED,
        },
        /// Not now: another push is running, or there are too many connections.
        Busy = "busy" => OutcomeRow { alert: "No need to act: {who} was told to come again later.", report: ENDED },
        /// Something on the server was in the way, or rsync failed.
        Failed = "failed" => OutcomeRow { alert: "Look into it: {what} of {who} failed. No snapshot was made.", report: ENDED },
        /// A push was ended with its client's window, and what arrived was kept for the next one.
        Stopped = "stopped" => OutcomeRow { alert: STOPPED, report: STOPPED },
        /// The push is a snapshot now.
        Published = "published" => OutcomeRow { alert: SERVED, report: "{who} is backed up, with warnings. Please read them." },
        /// The push waits in its transaction.
        Added = "added" => OutcomeRow { alert: SERVED, report: ENDED },
        /// What arrived was kept for the next try, or was nothing to publish.
        Unpublished = "unpublished" => OutcomeRow {
            alert: "Look into it: {who} pushed, but what came is no backup and was not published.",
            report: ENDED,
        },
        /// A push begins; its end is told apart. The ledger has its end alone.
        Started = "started" => OutcomeRow { alert: SERVED, report: ENDED },
        /// A question was answered, a dry run made, or a transaction opened or discarded.
        Answered = "answered" => OutcomeRow { alert: SERVED, report: "{who} {did}, with warnings. Please read them." },
    }
}

impl Outcome {
    /// Whether the connection did what it was for.
    pub fn served(self) -> bool {
        match self {
            Self::Published | Self::Added | Self::Started | Self::Answered => true,
            Self::Refused | Self::Busy | Self::Failed | Self::Stopped | Self::Unpublished => false,
        }
    }
}
