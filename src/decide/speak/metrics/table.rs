//! All metrics. Names and units follow Prometheus' conventions: what ends in `_total` is a counter, the
//! rest are gauges; times are in seconds, sizes in bytes.
//!
//! A counter whose labels are known stands at zero before anything has happened: Prometheus sees no
//! increase in a series that begins with one.

use chrono::{DateTime, Utc};

use super::{Figures, MAIL, OfAccount, Stand, Sums, Words};
use crate::terms::Outcome;

/// A value: the format has whole numbers and others.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    /// A whole one.
    Whole(u64),
    /// Seconds.
    Seconds(f64),
}

/// A metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name behind `snapgate_`.
    pub name: &'static str,
    /// What it says, as a sentence.
    pub help: &'static str,
    of: Of,
}

/// Takes a value with its labels.
pub(super) type Tell<'a> = dyn FnMut(&[(&str, &str)], Value) + 'a;

/// What has a value of it. What is not known has none.
#[derive(Debug)]
enum Of {
    /// The program.
    Program,
    /// The server.
    Server(fn(&Stand) -> Value),
    /// Each client.
    Client(fn(&Figures) -> Option<Value>),
    /// Each client, for each word that this label may be; and those that stand at zero before.
    Words(&'static str, fn(&Sums) -> &Words, &'static [Outcome]),
    /// Each account.
    Account(fn(&OfAccount) -> Option<Value>),
    /// What came as no client, for each account and code.
    Nobody(fn(&Sums) -> &Words),
    /// What left the spool of each account, for each way.
    Sent(fn(&OfAccount) -> &Words),
}

/// Outcomes that stand in a ledger.
const OUTCOMES: &[Outcome] = &[
    Outcome::Published,
    Outcome::Added,
    Outcome::Unpublished,
    Outcome::Stopped,
    Outcome::Failed,
    Outcome::Busy,
    Outcome::Refused,
    Outcome::Answered,
];

const fn metric(name: &'static str, of: Of, help: &'static str) -> Metric {
    Metric { name, help, of }
}

/// A gauge of each client.
const fn client(name: &'static str, help: &'static str, value: fn(&Figures) -> Option<Value>) -> Metric {
    metric(name, Of::Client(value), help)
}

/// All of them.
pub const METRICS: [Metric; 38] = [
    metric("build_info", Of::Program, "The version of snapgate; the value is always 1."),
    metric("clients", Of::Server(|stand| count(stand.clients.len())), "Clients that have a policy."),
    client("last_success_timestamp_seconds", "When the newest snapshot of the client began.", |of| when(of.newest)),
    client("last_attempt_timestamp_seconds", "When the last try of the client to back up began.", |of| when(of.tried.map(|(at, _)| at))),
    client("last_attempt_success", "Whether that try did what it was for (1) or was refused or failed (0).", |of| {
        of.tried.map(|(_, is_good)| whole(is_good.into()))
    }),
    client("last_push_duration_seconds", "How long the last push took that became a snapshot.", |of| {
        of.push.as_ref().map(|push| Value::Seconds(push.seconds))
    }),
    client("last_push_files", "Files in the snapshot of that push.", |of| of.push.as_ref().map(|push| whole(push.files))),
    client("last_push_received_files", "Files that came with it.", |of| of.push.as_ref().map(|push| whole(push.received))),
    client("last_push_size_bytes", "Sum of the sizes of all its files.", |of| of.push.as_ref().map(|push| whole(push.bytes))),
    client("last_push_received_bytes", "Sum of the sizes of the files that came.", |of| {
        of.push.as_ref().map(|push| whole(push.received_bytes))
    }),
    client("last_push_partial", "Whether rsync left something out (1).", |of| of.push.as_ref().map(|push| whole(push.partial.into()))),
    client("snapshots", "Snapshots of the client.", |of| of.snapshots.map(|[all, ..]| count(all))),
    client("held_snapshots", "Snapshots that are held, because they may be damage.", |of| of.snapshots.map(|[_, held, _]| count(held))),
    client("trash_snapshots", "Snapshots that were removed and can be brought back.", |of| of.snapshots.map(|[.., trash]| count(trash))),
    client("used_bytes", "Bytes on the disk that the client uses.", |of| of.used.map(|[bytes, _]| whole(bytes))),
    client("used_inodes", "Inodes that the client uses.", |of| of.used.map(|[_, inodes]| whole(inodes))),
    client("quota_bytes", "Bytes that the client may use.", |of| of.quota[0].map(whole)),
    client("quota_inodes", "Inodes that the client may use.", |of| of.quota[1].map(whole)),
    client("due_tasks", "Kinds of upkeep that the next snapgate maintain has to do.", |of| of.due.map(count)),
    client("client_problem", "Whether it cannot be said how the client stands (1): see snapgate status.", |of| {
        Some(whole(of.problem.into()))
    }),
    metric("pushes_total", Of::Words("outcome", |sums| &sums.pushes, OUTCOMES), "Tries of the client to back up, by how they ended."),
    metric("refusals_total", Of::Words("code", |sums| &sums.refusals, &[]), "Connections of the client that were refused, by code."),
    metric(
        "failures_total",
        Of::Words("code", |sums| &sums.failures, &[]),
        "Connections of the client that failed, were told to come later or were ended, by code.",
    ),
    client("received_files_total", "Files that came with the client's pushes.", |of| sum(of, |sums| sums.received_files)),
    client("received_bytes_total", "Sum of the sizes of the files that came with the client's pushes.", |of| {
        sum(of, |sums| sums.received_bytes)
    }),
    client("network_received_bytes_total", "Bytes that rsync read from the network for them, where it said so.", |of| {
        sum(of, |sums| sums.wire_bytes)
    }),
    client("push_duration_seconds_total", "Time that the client's pushes took.", |of| {
        of.sums.as_ref().map(|sums| Value::Seconds(sums.push_milliseconds as f64 / 1000.0))
    }),
    client("snapshots_held_total", "Snapshots of the client that were held when they came.", |of| sum(of, |sums| sums.held)),
    client("snapshots_partial_total", "Snapshots of the client in which rsync left something out.", |of| sum(of, |sums| sums.partial)),
    client("snapshots_removed_total", "Snapshots of the client that were moved to the trash.", |of| sum(of, |sums| sums.removed)),
    client("freed_bytes_total", "Bytes that became free when they were removed for good.", |of| sum(of, |sums| sums.freed_bytes)),
    client("restores_total", "Connections of the client that read snapshots.", |of| sum(of, |sums| sums.restores)),
    client("restored_bytes_total", "Bytes that they were sent, as far as it is known.", |of| sum(of, |sums| sums.restored_bytes)),
    client("upkeep_failures_total", "Upkeep of the client's history of which somebody had to be told.", |of| {
        sum(of, |sums| sums.upkeep_failures)
    }),
    metric(
        "unknown_client_refusals_total",
        Of::Nobody(|sums| &sums.refusals),
        "Connections to the account that were refused, and of which no key said which client it was, by code.",
    ),
    metric(
        "notices_sent_total",
        Of::Sent(|of| &of.deliveries.sent),
        "Mails, and notices by other ways, that left the spool of the account.",
    ),
    metric(
        "notice_failures_total",
        Of::Sent(|of| &of.deliveries.failed),
        "Tries to send them that failed; what could not be sent is tried again.",
    ),
    metric("mails_waiting", Of::Account(|of| of.waiting.map(count)), "Mails that wait in the spool of the account."),
];

fn when(at: Option<DateTime<Utc>>) -> Option<Value> {
    at.map(|at| Value::Whole(u64::try_from(at.timestamp()).unwrap_or(0)))
}

const fn whole(number: u64) -> Value {
    Value::Whole(number)
}

fn count(number: usize) -> Value {
    whole(number as u64)
}

fn sum(of: &Figures, sum: fn(&Sums) -> u64) -> Option<Value> {
    of.sums.as_ref().map(|sums| whole(sum(sums)))
}

impl Metric {
    /// What Prometheus calls it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        if self.name.ends_with("_total") { "counter" } else { "gauge" }
    }

    /// In which unit it is, for people; empty where it counts.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        let name = self.name.trim_end_matches("_total");
        [("_timestamp_seconds", "seconds since 1970"), ("_seconds", "seconds"), ("_bytes", "bytes")]
            .into_iter()
            .find_map(|(end, unit)| name.ends_with(end).then_some(unit))
            .unwrap_or_default()
    }

    /// Its labels.
    #[must_use]
    pub fn labels(&self) -> Vec<&'static str> {
        match self.of {
            Of::Program => vec!["version"],
            Of::Server(_) => Vec::new(),
            Of::Client(_) => vec!["client"],
            Of::Words(label, ..) => vec!["client", label],
            Of::Account(_) => vec!["account"],
            Of::Nobody(_) => vec!["account", "code"],
            Of::Sent(_) => vec!["account", "way"],
        }
    }

    /// Tells each value with its labels.
    pub(super) fn each(&self, stand: &Stand, tell: &mut Tell<'_>) {
        match self.of {
            Of::Program => tell(&[("version", stand.version)], whole(1)),
            Of::Server(value) => tell(&[], value(stand)),
            Of::Client(value) => stand.clients.iter().for_each(|of| {
                if let Some(value) = value(of) {
                    tell(&[("client", &of.client)], value);
                }
            }),
            Of::Words(label, words, zero) => stand.clients.iter().for_each(|of| {
                let Some(sums) = &of.sums else { return };
                let zero = zero.iter().map(|outcome| outcome.as_str());
                by_word(words(sums), zero, &mut |word, value| tell(&[("client", &of.client), (label, word)], value));
            }),
            Of::Account(value) => stand.accounts.iter().for_each(|of| {
                if let Some(value) = value(of) {
                    tell(&[("account", &of.account)], value);
                }
            }),
            Of::Nobody(words) => stand.accounts.iter().for_each(|of| {
                by_word(words(&of.sums), [], &mut |code, value| tell(&[("account", &of.account), ("code", code)], value));
            }),
            Of::Sent(words) => stand.accounts.iter().for_each(|of| {
                by_word(words(of), [MAIL], &mut |way, value| tell(&[("account", &of.account), ("way", way)], value));
            }),
        }
    }
}

fn by_word<'a>(words: &'a Words, zero: impl IntoIterator<Item = &'a str>, tell: &mut dyn FnMut(&str, Value)) {
    let zero: Vec<_> = zero.into_iter().collect();
    zero.iter().for_each(|word| tell(word, whole(words.get(*word).copied().unwrap_or(0))));
    words.iter().filter(|(word, _)| !zero.contains(&word.as_str())).for_each(|(word, count)| tell(word, whole(*count)));
}
