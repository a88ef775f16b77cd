//! The dashboard's questions, asked of a real Prometheus that reads what a real server writes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use support::{Gate, POLICY, free_port, mode, until};

use crate::{client, push_as, say_as, says};

/// Prometheus at work.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves a file as it stands, to whoever asks.
fn serve(file: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let text = fs::read_to_string(&file).unwrap_or_default();
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                text.len()
            );
        }
    });
    port
}

impl Prometheus {
    fn start(program: &Path, gate: &Gate, file: PathBuf) -> Self {
        let from = serve(file);
        gate.write(
            "prometheus.yml",
            &format!("global: {{ scrape_interval: 1s }}\nscrape_configs:\n- job_name: node\n  static_configs: [{{ targets: ['127.0.0.1:{from}'] }}]\n"),
        );
        for _ in 0..5 {
            let port = free_port();
            let child = Command::new(program)
                .arg(format!("--config.file={}/prometheus.yml", gate.path().display()))
                .arg(format!("--storage.tsdb.path={}/tsdb", gate.path().display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .stdout(Stdio::null())
                .stderr(fs::File::create(gate.path().join("prometheus.log")).unwrap())
                .spawn()
                .unwrap();
            let mut this = Self { child, port };
            let mut has_ended = false;
            until("Prometheus answers, or has ended", || {
                has_ended = this.child.try_wait().unwrap().is_some();
                has_ended || this.ask("1").is_some()
            });
            // The port was free a moment ago, and may have become another's.
            if !has_ended {
                return this;
            }
        }
        panic!("Prometheus ends: {}", fs::read_to_string(gate.path().join("prometheus.log")).unwrap());
    }

    /// The answer to an expression: labels and values. `None`: it does not answer yet.
    fn ask(&self, expression: &str) -> Option<Vec<serde_json::Value>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        // Whoever has the port.
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02x}")).collect();
        write!(stream, "GET /api/v1/query?query={escaped} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let json: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
        json["data"]["result"].as_array().cloned()
    }
}

#[test]
fn each_panel_of_the_dashboard_has_something_to_show() {
    let Some(program) = crate::of_prometheus("prometheus") else { return };
    let gate = Gate::with("metrics: $DIR/metrics/snapgate.prom\n", POLICY);
    fs::create_dir(gate.path().join("metrics")).unwrap();
    mode(&gate.path().join("metrics"), 0o755);
    // One that is fine, one that is missed, one that is refused and one over its quota. And one with a broken policy.
    for name in ["fine", "missed", "refused", "full"] {
        client(&gate, name);
    }
    let policy = fs::read_to_string(gate.path().join("config/policies/full.yaml")).unwrap();
    gate.write("config/policies/full.yaml", &format!("{policy}quota: {{ bytes: 1M }}\n"));
    fs::remove_file(gate.path().join("config/policies/web1.yaml")).unwrap();
    gate.write("config/policies/broken.yaml", "kep: 7\n");
    let source = gate.source("data");
    let write = || says(&gate, &["metrics", "--write"]).exits(0);
    gate.set_clock(Utc::now() - TimeDelta::days(3));
    push_as(&gate, "missed", &source);
    gate.set_clock(Utc::now());
    push_as(&gate, "refused", &source);
    fs::write(source.join("file"), vec![7; 700_000]).unwrap();
    write();
    let prometheus = Prometheus::start(&program, &gate, gate.path().join("metrics/snapgate.prom"));
    let log = || fs::read_to_string(gate.path().join("prometheus.log")).unwrap();
    until(&format!("Prometheus has read the file: {}", log()), || {
        prometheus.ask("snapgate_pushes_total{client=\"fine\",outcome=\"published\"}").is_some_and(|found| found.len() == 1)
    });
    // It is only now that it happens: an increase.
    push_as(&gate, "fine", &source);
    push_as(&gate, "full", &source);
    fs::write(source.join("more"), vec![8; 700_000]).unwrap();
    let mut full = Command::new(support::versions::client());
    full.arg("-e")
        .arg(format!("/bin/sh {}/ssh-full", gate.path().display()))
        .arg("-a")
        .arg(format!("{}/", source.display()))
        .arg("backup:");
    assert_ne!(support::run(&mut full).status, 0, "it is over its quota");
    // A code has no series before it has come up: twice, so that it is seen to grow.
    for _ in 0..2 {
        say_as(&gate, "refused", "rm -rf /").exits(77);
        gate.say("nothing of the kind").exits(78);
        assert_ne!(support::run(&mut full).status, 0);
        gate.flush();
        write();
        let now = Utc::now().timestamp();
        until("it has read that", || {
            let found = prometheus.ask("min(timestamp(snapgate_refusals_total))").unwrap_or_default();
            found.first().and_then(|found| found["value"][1].as_str()?.parse::<f64>().ok()).is_some_and(|at| at > now as f64 + 1.0)
        });
    }
    // Where a look at the file takes longer than Prometheus waits, it has nothing to show until the next one.
    let written = fs::read_to_string(gate.path().join("metrics/snapgate.prom")).unwrap();
    for (name, expression) in crate::metrics::panels() {
        let shows = || prometheus.ask(&expression).is_some_and(|found| !found.is_empty());
        until(&format!("{name} shows something: {expression}\n{written}"), shows);
    }
    let only = |expression: &str, clients: &[&str]| {
        until(&format!("`{expression}` is so of {clients:?} alone\n{written}"), || {
            let found = prometheus.ask(expression).unwrap_or_default();
            let mut found: Vec<_> = found.iter().map(|found| found["metric"]["client"].as_str().unwrap().to_owned()).collect();
            found.sort();
            found == clients
        });
    };
    only("time() - snapgate_last_success_timestamp_seconds > 36 * 3600", &["missed"]);
    only("snapgate_client_problem == 1", &["broken"]);
    only("snapgate_last_attempt_success == 0", &["full", "refused"]);
    only("snapgate_used_bytes / snapgate_quota_bytes > 0.6", &["full"]);
    only("increase(snapgate_pushes_total{outcome=\"published\"}[1h]) > 0", &["fine", "full"]);
}
