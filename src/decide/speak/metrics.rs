//! How clients stand, in the text format of Prometheus (its documentation, "Exposition formats"). A
//! metric is a row of [`CLIENTS`]; `docs/monitoring.md` has them all.

use std::fmt::{Display, Write as _};

use chrono::{DateTime, Utc};

use crate::terms::PushFacts;

/// How a client stands, as far as it is known.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Its name.
    pub client: String,
    /// When the newest snapshot began.
    pub newest: Option<DateTime<Utc>>,
    /// When its last try to back up began, and whether that did what it was for.
    pub tried: Option<(DateTime<Utc>, bool)>,
    /// Its last push that became a snapshot.
    pub push: Option<PushFacts>,
    /// Its snapshots: all, held, and in the trash.
    pub snapshots: Option<[usize; 3]>,
    /// Bytes and inodes that it uses.
    pub used: Option<[u64; 2]>,
    /// Bytes and inodes that it may use.
    pub quota: [Option<u64>; 2],
    /// How many kinds of upkeep are due.
    pub due: Option<usize>,
    /// Whether it cannot be said how it stands.
    pub problem: bool,
}

/// A value: the format has whole numbers and others.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// A whole one.
    Whole(i64),
    /// Seconds.
    Seconds(f64),
}

/// A metric of which each client has a value, or none where it is not known.
pub struct Metric {
    /// Its name behind `snapgate_`.
    pub name: &'static str,
    /// What it says, as a sentence.
    pub help: &'static str,
    value: fn(&Figures) -> Option<Value>,
}

const fn metric(name: &'static str, help: &'static str, value: fn(&Figures) -> Option<Value>) -> Metric {
    Metric { name, help, value }
}

/// All of them. Names and units follow Prometheus' conventions; all are gauges.
pub const CLIENTS: [Metric; 18] = [
    metric("last_success_timestamp_seconds", "When the newest snapshot of the client began.", |of| when(of.newest)),
    metric("last_attempt_timestamp_seconds", "When the last try of the client to back up began.", |of| when(of.tried.map(|(at, _)| at))),
    metric("last_attempt_success", "Whether that try did what it was for (1) or was refused or failed (0).", |of| {
        of.tried.map(|(_, is_good)| Value::Whole(is_good.into()))
    }),
    metric("last_push_duration_seconds", "How long the last push took that became a snapshot.", |of| {
        of.push.as_ref().map(|push| Value::Seconds(push.seconds))
    }),
    metric("last_push_files", "Files in the snapshot of that push.", |of| of.push.as_ref().map(|push| whole(push.files))),
    metric("last_push_received_files", "Files that came with it.", |of| of.push.as_ref().map(|push| whole(push.received))),
    metric("last_push_size_bytes", "Sum of the sizes of all its files.", |of| of.push.as_ref().map(|push| whole(push.bytes))),
    metric("last_push_received_bytes", "Sum of the sizes of the files that came.", |of| {
        of.push.as_ref().map(|push| whole(push.received_bytes))
    }),
    metric("last_push_partial", "Whether rsync left something out (1).", |of| {
        of.push.as_ref().map(|push| Value::Whole(push.partial.into()))
    }),
    metric("snapshots", "Snapshots of the client.", |of| of.snapshots.map(|[all, ..]| count(all))),
    metric("held_snapshots", "Snapshots that are held, because they may be damage.", |of| of.snapshots.map(|[_, held, _]| count(held))),
    metric("trash_snapshots", "Snapshots that were removed and can be brought back.", |of| of.snapshots.map(|[.., trash]| count(trash))),
    metric("used_bytes", "Bytes on the disk that the client uses.", |of| of.used.map(|[bytes, _]| whole(bytes))),
    metric("used_inodes", "Inodes that the client uses.", |of| of.used.map(|[_, inodes]| whole(inodes))),
    metric("quota_bytes", "Bytes that the client may use.", |of| of.quota[0].map(whole)),
    metric("quota_inodes", "Inodes that the client may use.", |of| of.quota[1].map(whole)),
    metric("due_tasks", "Kinds of upkeep that the next snapgate maintain has to do.", |of| of.due.map(count)),
    metric("client_problem", "Whether it cannot be said how the client stands (1): see snapgate status.", |of| {
        Some(Value::Whole(of.problem.into()))
    }),
];

fn when(at: Option<DateTime<Utc>>) -> Option<Value> {
    at.map(|at| Value::Whole(at.timestamp()))
}

fn whole(number: u64) -> Value {
    Value::Whole(i64::try_from(number).unwrap_or(i64::MAX))
}

fn count(number: usize) -> Value {
    whole(number as u64)
}

/// All metrics of these clients.
pub fn text(clients: &[Figures], version: &str) -> String {
    let mut out = String::new();
    head(&mut out, "build_info", "The version of snapgate; the value is always 1.");
    let _ = writeln!(out, "snapgate_build_info{{version=\"{}\"}} 1", label(version));
    head(&mut out, "clients", "Clients that have a policy.");
    let _ = writeln!(out, "snapgate_clients {}", clients.len());
    for Metric { name, help, value } in &CLIENTS {
        let mut values = clients.iter().filter_map(|of| value(of).map(|value| (of, value))).peekable();
        if values.peek().is_some() {
            head(&mut out, name, help);
        }
        for (of, value) in values {
            let _ = match value {
                Value::Whole(number) => sample(&mut out, name, &of.client, number),
                // Zero is what a broken ledger's "no number" counts as.
                Value::Seconds(seconds) => sample(&mut out, name, &of.client, if seconds.is_finite() { seconds } else { 0.0 }),
            };
        }
    }
    out
}

fn sample(out: &mut String, name: &str, client: &str, value: impl Display) -> std::fmt::Result {
    writeln!(out, "snapgate_{name}{{client=\"{}\"}} {value}", label(client))
}

fn head(out: &mut String, name: &str, help: &str) {
    let _ = writeln!(out, "# HELP snapgate_{name} {}\n# TYPE snapgate_{name} gauge", help.replace('\\', "\\\\").replace('\n', "\\n"));
}

/// The value of a label, as it stands between quotes.
fn label(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stands() -> Figures {
        Figures {
            client: "web1".to_owned(),
            newest: "2026-11-21T02:00:00Z".parse().ok(),
            tried: "2026-11-22T02:00:00Z".parse().ok().map(|at| (at, false)),
            push: Some(PushFacts { seconds: 1.5, files: 12, ..PushFacts::default() }),
            snapshots: Some([3, 1, 0]),
            used: Some([4096, 7]),
            quota: [Some(u64::MAX), None],
            due: Some(2),
            problem: false,
        }
    }

    #[test]
    fn each_metric_has_its_help_and_its_type_once_and_a_line_for_each_client_that_has_it() {
        let other = Figures { client: "other".to_owned(), problem: true, ..Figures::default() };
        let text = text(&[stands(), other], "1.2.3");
        assert!(text.contains("# HELP snapgate_build_info ") && text.contains("\nsnapgate_build_info{version=\"1.2.3\"} 1\n"));
        assert!(text.contains("# TYPE snapgate_clients gauge\nsnapgate_clients 2\n"), "{text}");
        assert!(text.contains("\nsnapgate_last_success_timestamp_seconds{client=\"web1\"} 1795226400\n"), "{text}");
        assert!(text.contains("\nsnapgate_last_attempt_success{client=\"web1\"} 0\n"));
        assert!(text.contains("\nsnapgate_last_push_duration_seconds{client=\"web1\"} 1.5\n"));
        assert!(
            text.contains("\nsnapgate_held_snapshots{client=\"web1\"} 1\n") && text.contains("\nsnapgate_used_inodes{client=\"web1\"} 7\n")
        );
        assert!(text.contains("\nsnapgate_quota_bytes{client=\"web1\"} 9223372036854775807\n") && !text.contains("quota_inodes"));
        assert!(text.contains("\nsnapgate_client_problem{client=\"web1\"} 0\nsnapgate_client_problem{client=\"other\"} 1\n"));
        for line in text.lines().filter(|line| line.starts_with("# TYPE")) {
            assert_eq!(text.matches(line).count(), 1, "{line}");
        }
        assert_eq!(text.matches("client=\"other\"").count(), 1, "what is not known is no zero");
    }

    #[test]
    fn no_value_ends_its_label_or_its_line() {
        let odd = Figures { client: "a\"b\\c\nd".to_owned(), ..Figures::default() };
        assert!(text(&[odd], "1").contains("\nsnapgate_client_problem{client=\"a\\\"b\\\\c\\nd\"} 0\n"));
        let broken = Figures { push: Some(PushFacts { seconds: f64::NAN, ..PushFacts::default() }), ..stands() };
        assert!(!text(&[broken], "1").contains("NaN"));
    }
}
