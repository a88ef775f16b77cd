//! The kinds of states, a row for each. A mirror that is behind is a further row, when there are
//! mirrors; what a verification finds is, until there is one, what a drill found.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Fact, Subject};
use crate::terms::limits::{TOLD_BY_GATE, UNREADABLE_FOR};
use crate::terms::word::table;
use crate::terms::{ClientName, Topic, Way};

/// What is said of a kind. `{who}` stands for the client.
#[derive(Debug)]
pub struct Row {
    /// In subjects.
    pub title: &'static str,
    /// Whose mail it is.
    pub topic: Topic,
    /// How long it lasts before it is told.
    pub first: Duration,
    /// The first line of a mail while it lasts.
    pub lasts: &'static str,
    /// That of the mail about its end.
    pub over: &'static str,
    /// Both, where a mail is about many clients: `{many}` stands for how many.
    pub many: [&'static str; 2],
    /// What to do.
    pub remedy: &'static str,
}

table! {
    /// What lasts.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Kind: Row {
        /// No snapshot has come when one was expected (`expect:`).
        Missed = "missed" => Row {
            title: "missed",
            topic: Topic::Missed,
            first: Duration::ZERO,
            lasts: "Look into it: {who} has not backed up when it should have.",
            over: "{who} has backed up again. Nothing to do.",
            many: [
                "Look into it: {many} have not backed up when they should have.",
                "{many} have backed up again. Nothing to do.",
            ],
            remedy: "See whether the client runs, whether its cron or timer does, and whether it reaches this server: none of its pushes \
                     became a snapshot. `snapgate list {who}` shows what there is. If all is as it should be, say so in its policy: `expect:` \
                     and `grace:` say when it is missed, `laptop: true` that it travels, `expect: off` that nobody waits for it.",
        },
        /// As much is used as `quota:` allows.
        Quota = "quota" => Row {
            title: "over quota",
            topic: Topic::Quota,
            first: TOLD_BY_GATE,
            lasts: "Look into it: {who} has used up its quota, so its pushes are refused.",
            over: "{who} is below its quota again. Nothing to do.",
            many: [
                "Look into it: {many} have used up their quotas, so their pushes are refused.",
                "{many} are below their quotas again. Nothing to do.",
            ],
            remedy: "Raise `quota:` in its policy, have `keep:` keep less and run `snapgate prune {who}`, or say `when_full: shorten`. \
                     `snapgate usage {who}` shows what it holds.",
        },
        /// A snapshot is held, because it may be damage (`anomaly:`).
        Held = "held" => Row {
            title: "held",
            topic: Topic::Held,
            first: TOLD_BY_GATE,
            lasts: "Look into it: what {who} pushed may be damage, and nobody has said yet whether it is.",
            over: "Nothing of {who} is held any more. Nothing to do.",
            many: [
                "Look into it: what {many} pushed may be damage, and nobody has said yet whether it is.",
                "Nothing of {many} is held any more. Nothing to do.",
            ],
            remedy: "`snapgate list {who}` shows which. Look at the client, then say `snapgate release --client {who} SNAPSHOT` if this is \
                     what it should have, or `snapgate discard --client {who} SNAPSHOT` if it is damage. Until then nothing is removed that \
                     is newer than the last good one.",
        },
        /// The last drill could not restore what is stored.
        Drill = "drill" => Row {
            title: "drill failed",
            topic: Topic::Failed,
            first: TOLD_BY_GATE,
            lasts: "Look into it: a drill could not restore files of {who} as they are stored, and none has since.",
            over: "A drill restored files of {who} as they are stored. Nothing to do.",
            many: [
                "Look into it: drills could not restore files of {many} as they are stored, and none have since.",
                "Drills restored files of {many} as they are stored. Nothing to do.",
            ],
            remedy: "`snapgate drill {who}` tries again, and says what is wrong. Until one succeeds, take it that its files may not come \
                     back as they were: see what the kernel's log says of the disk, and have the client push anew.",
        },
        /// Its policy or its repository cannot be read, so that nothing is known of it.
        Unreadable = "unreadable" => Row {
            title: "unreadable",
            topic: Topic::Failed,
            first: UNREADABLE_FOR,
            lasts: "Look into it: nothing is known of {who}, so nobody sees whether it backs up.",
            over: "What is known of {who} can be read again. Nothing to do.",
            many: [
                "Look into it: nothing is known of {many}, so nobody sees whether they back up.",
                "What is known of {many} can be read again. Nothing to do.",
            ],
            remedy: "`snapgate check` says more, and what to do.",
        },
        /// Mail has waited for the mailer.
        Mailer = "mailer" => Row {
            title: "mailer down",
            topic: Topic::Failed,
            first: Duration::ZERO,
            lasts: "Look into it: mail does not get through.",
            over: "No mail is held up any more. Nothing to do.",
            many: ["", ""],
            remedy: "Nothing is lost: what waits is sent as soon as the mailer takes it, and no mail tells you of this before. \
                     `snapgate watch --flush` tries at once and says why it is not taken, `snapgate watch --test CLIENT` sends a test.",
        },
        /// The mailer has refused mails, so that somebody does not hear what happens.
        Undelivered = "undelivered" => Row {
            title: "mail refused",
            topic: Topic::Failed,
            first: Duration::ZERO,
            lasts: "Look into it: mail is refused, so somebody does not hear what happens.",
            over: "No mail that was refused waits any more: it was taken, or laid aside after five days.",
            many: ["", ""],
            remedy: "Where the mail server does not know an address, mend `to:` or `reports_to:` of the site's `mail:`, or `alerts_to:`, \
                     `reports_to:` or `routes:` of the policies. What is refused is tried again for five days, and then laid aside in the \
                     spool's `dead/`. `snapgate watch --test CLIENT` sends a test.",
        },
        /// What happens has waited for `webhook:`.
        Webhook = "webhook" => Row {
            title: "webhook down",
            topic: Topic::Failed,
            first: Duration::ZERO,
            lasts: "Look into it: `webhook:` does not get through. What happened has waited to be told for an hour.",
            over: "The webhook is told again what happens. Nothing to do.",
            many: ["", ""],
            remedy: "Nothing is lost: what waits is tried again, for five days. `snapgate watch --flush` tries at once and says why it is not \
                     taken, `snapgate watch --test CLIENT` sends a test.",
        },
        /// Pings have waited for the services of `ping:`.
        Ping = "ping" => Row {
            title: "pings down",
            topic: Topic::Failed,
            first: Duration::ZERO,
            lasts: "Look into it: pings do not get through, so a service of a `ping:` may take its client for silent.",
            over: "Pings arrive again. Nothing to do.",
            many: ["", ""],
            remedy: "Nothing is lost: what waits is tried again, for five days. `snapgate watch --flush` tries at once and says why it is not \
                     taken, `snapgate watch --test CLIENT` sends a test.",
        },
        /// What happens has waited for the program of `exec:`.
        Exec = "exec" => Row {
            title: "program down",
            topic: Topic::Failed,
            first: Duration::ZERO,
            lasts: "Look into it: the program of `exec:` fails. What happened has waited to be told for an hour.",
            over: "The program of `exec:` works again. Nothing to do.",
            many: ["", ""],
            remedy: "Nothing is lost: what waits is tried again, for five days. `snapgate watch --flush` tries at once and says why it is not \
                     taken, `snapgate watch --test CLIENT` sends a test.",
        },
    }
}

impl Kind {
    /// That this way is down.
    pub fn of(way: Way) -> Self {
        match way {
            Way::Webhook => Self::Webhook,
            Way::Ping => Self::Ping,
            Way::Exec => Self::Exec,
        }
    }
}

impl Subject {
    /// A client that nobody has looked at: what lasts of it does so still.
    pub fn unseen(client: ClientName) -> Self {
        Self { client: Some(client), closed: None, facts: Kind::ALL.map(|kind| (kind, Fact::Unknown, Vec::new())).to_vec() }
    }
}
