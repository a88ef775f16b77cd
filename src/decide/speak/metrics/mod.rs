//! How clients stand, in the text format of Prometheus (its documentation, "Exposition formats"). A
//! metric is a row of [`METRICS`], from which `docs/monitoring.md` is made, too.

mod counts;
mod table;

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

pub use self::counts::{Counted, Counts, Deliveries, MAIL, OTHERS, Others, Sums, Words};
use self::table::Value;
pub use self::table::{METRICS, Metric};
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
    /// What has happened to it, where that could be counted.
    pub sums: Option<Sums>,
}

/// An account of the spool, as far as it is known; or all that no policy names.
#[derive(Debug, Clone, Default)]
pub struct OfAccount {
    /// Its name.
    pub account: String,
    /// What came as none of its clients.
    pub sums: Sums,
    /// What left its spool, and what did not.
    pub deliveries: Deliveries,
    /// Mails that wait there.
    pub waiting: Option<usize>,
}

/// All that is told.
#[derive(Debug, Clone, Default)]
pub struct Stand {
    /// The program's version.
    pub version: &'static str,
    /// Clients that have a policy.
    pub clients: Vec<Figures>,
    /// Accounts.
    pub accounts: Vec<OfAccount>,
}

/// All metrics, as they stand. One of which nothing is known is left out.
pub fn text(stand: &Stand) -> String {
    let mut out = String::new();
    for metric in &METRICS {
        let mut is_first = true;
        metric.each(stand, &mut |labels, value| {
            if std::mem::take(&mut is_first) {
                head(&mut out, metric);
            }
            sample(&mut out, metric.name, labels, value);
        });
    }
    out
}

fn sample(out: &mut String, name: &str, labels: &[(&str, &str)], value: Value) {
    let _ = write!(out, "snapgate_{name}");
    for (index, (name, value)) in labels.iter().enumerate() {
        let _ = write!(out, "{}{name}=\"{}\"", if index == 0 { '{' } else { ',' }, label(value));
    }
    let end = if labels.is_empty() { "" } else { "}" };
    let _ = match value {
        Value::Whole(number) => writeln!(out, "{end} {number}"),
        // Zero is what a broken ledger's "no number" counts as.
        Value::Seconds(seconds) => writeln!(out, "{end} {}", if seconds.is_finite() { seconds } else { 0.0 }),
    };
}

fn head(out: &mut String, metric: &Metric) {
    let Metric { name, help, .. } = metric;
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    let _ = writeln!(out, "# HELP snapgate_{name} {help}\n# TYPE snapgate_{name} {}", metric.kind());
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
            sums: None,
        }
    }

    fn of(clients: &[Figures]) -> Stand {
        Stand { version: "1.2.3", clients: clients.to_vec(), accounts: Vec::new() }
    }

    #[test]
    fn each_metric_has_its_help_and_its_type_once_and_a_line_for_each_client_that_has_it() {
        let other = Figures { client: "other".to_owned(), problem: true, ..Figures::default() };
        let text = text(&of(&[stands(), other]));
        assert!(text.contains("# HELP snapgate_build_info ") && text.contains("\nsnapgate_build_info{version=\"1.2.3\"} 1\n"));
        assert!(text.contains("# TYPE snapgate_clients gauge\nsnapgate_clients 2\n"), "{text}");
        assert!(text.contains("\nsnapgate_last_success_timestamp_seconds{client=\"web1\"} 1795226400\n"), "{text}");
        assert!(text.contains("\nsnapgate_last_attempt_success{client=\"web1\"} 0\n"));
        assert!(text.contains("\nsnapgate_last_push_duration_seconds{client=\"web1\"} 1.5\n"));
        assert!(
            text.contains("\nsnapgate_held_snapshots{client=\"web1\"} 1\n") && text.contains("\nsnapgate_used_inodes{client=\"web1\"} 7\n")
        );
        assert!(text.contains("\nsnapgate_quota_bytes{client=\"web1\"} 18446744073709551615\n") && !text.contains("quota_inodes"));
        assert!(text.contains("\nsnapgate_client_problem{client=\"web1\"} 0\nsnapgate_client_problem{client=\"other\"} 1\n"));
        for line in text.lines().filter(|line| line.starts_with("# TYPE")) {
            assert_eq!(text.matches(line).count(), 1, "{line}");
        }
        assert_eq!(text.matches("client=\"other\"").count(), 1, "what is not known is no zero");
    }

    #[test]
    fn no_value_ends_its_label_or_its_line() {
        let odd = Figures { client: "a\"b\\c\nd".to_owned(), ..Figures::default() };
        assert!(text(&of(&[odd])).contains("\nsnapgate_client_problem{client=\"a\\\"b\\\\c\\nd\"} 0\n"));
        let broken = Figures { push: Some(PushFacts { seconds: f64::NAN, ..PushFacts::default() }), ..stands() };
        assert!(!text(&of(&[broken])).contains("NaN"));
    }
}
