//! What Prometheus is told.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

use chrono::Utc;
use snapgate::decide::speak::metrics::METRICS;
use support::{Gate, is_root, mode, root, run};

use crate::says;

/// promtool, where there is one.
fn promtool() -> Option<PathBuf> {
    crate::of_prometheus("promtool")
}

/// A gate with a client that has pushed, and one whose policy is broken.
fn with_clients() -> Gate {
    let gate = Gate::with("metrics: $DIR/metrics/snapgate.prom\n", &format!("{}quota: {{ bytes: 1G }}\n", support::POLICY));
    fs::create_dir(gate.path().join("metrics")).unwrap();
    mode(&gate.path().join("metrics"), 0o755);
    let source = gate.source("data");
    fs::write(source.join("file"), "content").unwrap();
    gate.push(&source, &[]).exits(0);
    gate.write("config/policies/broken.yaml", "kep: 7\n");
    gate
}

#[test]
fn metrics_say_how_clients_stand_and_promtool_finds_nothing_wrong() {
    let gate = with_clients();
    let said = says(&gate, &["metrics"]).exits(0).stdout;
    let value = |name: &str, client: &str| -> Option<i64> {
        let line = said.lines().find_map(|line| line.strip_prefix(&format!("snapgate_{name}{{client=\"{client}\"}} ")))?;
        Some(line.parse().unwrap_or_else(|_| panic!("{line}")))
    };
    let now = Utc::now().timestamp();
    assert!((now - 60..=now).contains(&value("last_success_timestamp_seconds", "web1").unwrap()), "{said}");
    assert_eq!(
        (value("snapshots", "web1"), value("last_push_files", "web1"), value("last_attempt_success", "web1")),
        (Some(1), Some(1), Some(1))
    );
    assert_eq!((value("quota_bytes", "web1"), value("client_problem", "web1")), (Some(1 << 30), Some(0)));
    assert_eq!((value("client_problem", "broken"), value("snapshots", "broken")), (Some(1), None));
    assert!(
        said.contains("snapgate_clients 2\n")
            && said.contains(&format!("snapgate_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION")))
    );
    let Some(promtool) = promtool() else { return };
    fs::write(gate.path().join("said"), &said).unwrap();
    let checked =
        run(Command::new("/bin/sh").args(["-c", "exec \"$0\" check metrics < \"$1\""]).arg(promtool).arg(gate.path().join("said")));
    assert_eq!((checked.status, checked.stdout.as_str(), checked.stderr.as_str()), (0, "", ""));
}

#[test]
fn the_file_is_written_whole_and_after_each_maintain_of_root() {
    let gate = with_clients();
    let file = gate.path().join("metrics/snapgate.prom");
    says(&gate, &["metrics", "--write"]).exits(0);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o644);
    assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.ends_with('\n') && text.contains("snapgate_due_tasks{client=\"web1\"} 2\n"), "{text}");
    says(&gate, &["maintain"]).exits(1);
    let due = if is_root() { 0 } else { 2 };
    assert!(fs::read_to_string(&file).unwrap().contains(&format!("snapgate_due_tasks{{client=\"web1\"}} {due}\n")));
    // A directory that others may change is no place for root to write in.
    mode(file.parent().unwrap(), 0o777);
    let said = says(&gate, &["metrics", "--write"]).exits(1).stderr;
    assert!(said.contains("others may change what is in its directory"), "{said}");
    let site = fs::read_to_string(gate.path().join("config/snapgate.yaml")).unwrap();
    gate.write("config/snapgate.yaml", &site.replace("snapgate.prom", "snapgate.txt"));
    assert!(says(&gate, &["metrics"]).exits(78).stderr.contains("does not end in .prom"));
    gate.write("config/snapgate.yaml", &site.replace("metrics:", "# metrics:"));
    assert_eq!(says(&gate, &["metrics", "--write"]).exits(0).stdout, "");
}

/// All expressions of the dashboard's panels, by what they are called.
pub(crate) fn panels() -> Vec<(String, String)> {
    let dashboard = fs::read(root().join("packaging/monitoring/snapgate-dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_slice(&dashboard).unwrap();
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let name = format!("{} {}", panel["title"].as_str().unwrap(), target["refId"].as_str().unwrap());
            let expression = target["expr"].as_str().unwrap();
            // What Grafana puts in their place where nothing is chosen.
            let expression = expression.replace("$instance", ".*").replace("$client", ".*");
            assert!(!expression.contains('$'), "{expression}");
            all.push((name, expression));
        }
    }
    all
}

#[test]
fn the_rules_and_the_dashboard_ask_for_nothing_that_there_is_not() {
    let monitoring = root().join("packaging/monitoring");
    let texts = ["snapgate-dashboard.json", "snapgate.rules.yml", "snapgate.rules.test.yml"];
    for (file, text) in texts.map(|file| (file, fs::read_to_string(monitoring.join(file)).unwrap())) {
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let words: BTreeSet<&str> = text.split(|letter| !is_letter(letter)).filter(|word| word.starts_with("snapgate_")).collect();
        assert!(words.len() > 10, "{file}");
        for word in words {
            assert!(METRICS.iter().any(|metric| word == format!("snapgate_{}", metric.name)), "{file}: `{word}` is no metric");
        }
    }
    let Some(promtool) = promtool() else { return };
    run(Command::new(&promtool).args(["check", "rules"]).arg(monitoring.join("snapgate.rules.yml"))).exits(0);
    run(Command::new(&promtool).args(["test", "rules"]).arg(monitoring.join("snapgate.rules.test.yml"))).exits(0);
    // What a panel asks for can be asked.
    let gate = Gate::new();
    let mut rules = "groups:\n- name: panels\n  rules:\n".to_owned();
    for (number, (_, expression)) in panels().iter().enumerate() {
        rules.push_str(&format!("  - record: panel_{number}\n    expr: {}\n", serde_json::to_string(expression).unwrap()));
    }
    gate.write("panels.yml", &rules);
    run(Command::new(&promtool).args(["check", "rules"]).arg(gate.path().join("panels.yml"))).exits(0);
}

#[test]
fn each_alert_is_tried_when_it_tells_and_when_it_does_not() {
    let read = |file: &str| fs::read_to_string(root().join("packaging/monitoring").join(file)).unwrap();
    let (rules, tests) = (read("snapgate.rules.yml"), read("snapgate.rules.test.yml"));
    let names: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 10);
    for name in names {
        let tried: Vec<&str> = tests.split("- eval_time:").filter(|test| test.contains(&format!("alertname: {name}\n"))).collect();
        let silent = tried.iter().filter(|test| test.contains("exp_alerts: []")).count();
        assert!(silent > 0 && silent < tried.len(), "{name}: {silent} of {} tests expect nothing", tried.len());
    }
}
