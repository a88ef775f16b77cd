//! Counters: each event of a ledger once, whatever becomes of the ledger and of whoever counts.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use support::{Gate, POLICY, mode, until};

use crate::{client, push_as, say_as, says};

const SITE: &str = "metrics: $DIR/metrics/snapgate.prom\n";

fn world() -> Gate {
    let gate = Gate::with(SITE, &format!("{POLICY}keep: {{ last: 3 }}\ntrash_grace: 1h\n"));
    fs::create_dir(gate.path().join("metrics")).unwrap();
    mode(&gate.path().join("metrics"), 0o755);
    gate
}

/// The value of a series.
fn value(text: &str, series: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("snapgate_")?.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().unwrap_or_else(|_| panic!("{series} {line}")))
}

/// The file, written anew.
#[track_caller]
fn written(gate: &Gate) -> String {
    says(gate, &["metrics", "--write"]).exits(0);
    fs::read_to_string(gate.path().join("metrics/snapgate.prom")).unwrap()
}

fn pushes(text: &str, client: &str, outcome: &str) -> Option<u64> {
    value(text, &format!("pushes_total{{client=\"{client}\",outcome=\"{outcome}\"}}"))
}

#[test]
fn counters_have_what_ledgers_say_and_keep_it_when_these_are_forgotten() {
    let gate = world();
    let source = gate.source("data");
    fs::write(source.join("file"), "content").unwrap();
    // Nothing yet, which is zero: so Prometheus sees the first one.
    assert_eq!(pushes(&written(&gate), "web1", "refused"), Some(0));
    for number in 0..5 {
        gate.set_clock(Utc::now() + TimeDelta::minutes(number));
        gate.push(&source, &["--ignore-times"]).exits(0);
    }
    gate.say("nothing of the kind").exits(77);
    gate.say("status").exits(0);
    let said = written(&gate);
    assert_eq!(
        (pushes(&said, "web1", "published"), pushes(&said, "web1", "refused"), pushes(&said, "web1", "failed")),
        (Some(5), Some(1), Some(0))
    );
    assert_eq!(value(&said, "refusals_total{client=\"web1\",code=\"program\"}"), Some(1));
    assert_eq!(
        (value(&said, "received_files_total{client=\"web1\"}"), value(&said, "received_bytes_total{client=\"web1\"}")),
        (Some(5), Some(35))
    );
    assert!(
        said.contains("# TYPE snapgate_pushes_total counter\n")
            && said.contains("\nsnapgate_push_duration_seconds_total{client=\"web1\"} ")
    );
    assert_eq!(says(&gate, &["metrics"]).exits(0).stdout.matches("published\"} 5\n").count(), 1);
    // Upkeep sets ledgers aside, packs and forgets them, and is counted itself.
    for month in 1..8 {
        gate.set_clock(Utc::now() + TimeDelta::days(31 * month));
        gate.push(&source, &[]).exits(0);
        gate.say("nothing of the kind").exits(77);
        says(&gate, &["maintain"]);
        let (said, month) = (written(&gate), u64::try_from(month).unwrap());
        assert_eq!((pushes(&said, "web1", "published"), pushes(&said, "web1", "refused")), (Some(5 + month), Some(1 + month)));
    }
    let said = written(&gate);
    assert_eq!(value(&said, "snapshots_removed_total{client=\"web1\"}"), Some(9));
    assert!(value(&said, "freed_bytes_total{client=\"web1\"}").unwrap() > 0);
    fs::remove_dir_all(gate.inside(".snapgate/ledgers")).unwrap();
    // The clock is set back by months.
    gate.set_clock(Utc::now() + TimeDelta::days(3));
    gate.say("nothing of the kind").exits(77);
    gate.push(&source, &[]).exits(75);
    says(&gate, &["maintain"]);
    let said = written(&gate);
    assert_eq!((pushes(&said, "web1", "published"), pushes(&said, "web1", "refused")), (Some(12), Some(9)));
    assert_eq!((pushes(&said, "web1", "failed"), value(&said, "failures_total{client=\"web1\",code=\"clock\"}")), (Some(1), Some(1)));
}

#[test]
fn a_renamed_client_keeps_its_sums_a_removed_one_has_none_and_one_without_a_name_is_its_account_s() {
    let gate = world();
    client(&gate, "db1");
    client(&gate, "web1");
    let source = gate.source("data");
    push_as(&gate, "web1", &source);
    // What was recorded before anybody counted seems to happen at no time.
    assert_eq!(pushes(&written(&gate), "web1", "published"), Some(0));
    push_as(&gate, "web1", &source);
    push_as(&gate, "db1", &source);
    // It comes as none, since no key says who it is.
    gate.say("nothing of the kind").exits(78);
    let said = written(&gate);
    assert_eq!((pushes(&said, "web1", "published"), pushes(&said, "db1", "published")), (Some(1), Some(1)));
    let me = support::getent::my_name();
    let nobody = format!("unknown_client_refusals_total{{account=\"{me}\",code=\"");
    assert_eq!(said.lines().filter(|line| line.contains(&nobody)).count(), 1, "{said}");
    for (directory, end) in [("config/policies", ".yaml"), ("store", "")] {
        let at = gate.path().join(directory);
        fs::rename(at.join(format!("web1{end}")), at.join(format!("www{end}"))).unwrap();
    }
    fs::rename(gate.path().join("ssh-web1"), gate.path().join("ssh-www")).unwrap();
    let script = fs::read_to_string(gate.path().join("ssh-www")).unwrap();
    gate.write("ssh-www", &script.replace("--client web1", "--client www"));
    push_as(&gate, "www", &source);
    fs::remove_file(gate.path().join("config/policies/db1.yaml")).unwrap();
    let said = written(&gate);
    assert_eq!(pushes(&said, "www", "published"), Some(2), "{said}");
    assert!(!said.contains("client=\"web1\"") && !said.contains("client=\"db1\""), "{said}");
    // A policy that is broken, or a disk that is away, is no client that has gone.
    fs::rename(gate.path().join("store/www"), gate.path().join("away")).unwrap();
    assert_eq!(pushes(&written(&gate), "www", "published"), Some(2));
    fs::rename(gate.path().join("away"), gate.path().join("store/www")).unwrap();
    let policy = fs::read_to_string(gate.path().join("config/policies/www.yaml")).unwrap();
    gate.write("config/policies/www.yaml", "kep: 7\n");
    assert_eq!(pushes(&written(&gate), "www", "published"), Some(2));
    gate.write("config/policies/www.yaml", &policy);
    push_as(&gate, "www", &source);
    // One that is new counts from its first event on.
    client(&gate, "young");
    say_as(&gate, "young", "ls").exits(77);
    let said = written(&gate);
    assert_eq!(
        (pushes(&said, "www", "published"), value(&said, "refusals_total{client=\"young\",code=\"verb\"}")),
        (Some(3), Some(1)),
        "{said}"
    );
}

#[test]
fn whoever_is_killed_or_counts_beside_another_counts_nothing_twice_and_shows_nothing_less() {
    let gate = world();
    written(&gate);
    let file = gate.path().join("metrics/snapgate.prom");
    let shown = || pushes(&fs::read_to_string(&file).unwrap(), "web1", "refused").unwrap();
    let (mut last, begun) = (0, Instant::now());
    std::thread::scope(|scope| {
        let gates = scope.spawn(|| {
            for number in 0..60 {
                gate.say("nothing of the kind").exits(77);
                if number % 20 == 10 {
                    gate.set_clock(Utc::now() + TimeDelta::days(31 * (1 + number / 20)));
                    says(&gate, &["maintain"]);
                }
            }
        });
        let mut round = 0_u64;
        while !gates.is_finished() && begun.elapsed() < Duration::from_secs(300) {
            let start = || gate.snapgate(&["metrics", "--write"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let mut all = [start(), start()];
            // At another moment each time.
            std::thread::sleep(Duration::from_millis(round * 7 % 90));
            all[0].kill().unwrap();
            all.iter_mut().for_each(|child| {
                let _ = child.wait().unwrap();
            });
            assert!(shown() >= last, "{} after {last}", shown());
            last = shown();
            round += 1;
        }
    });
    assert_eq!(pushes(&written(&gate), "web1", "refused"), Some(60));
    // While one counts and writes another waits, and counts what came meanwhile.
    let lock = fs::File::open(gate.path().join("spool").join(nix::unistd::geteuid().to_string()).join("sums.lock")).unwrap();
    lock.lock().unwrap();
    let mut waits = gate.snapgate(&["metrics", "--write"]).spawn().unwrap();
    for _ in 0..5 {
        gate.say("nothing of the kind").exits(77);
    }
    assert!(waits.try_wait().unwrap().is_none(), "it has not waited");
    lock.unlock().unwrap();
    assert!(waits.wait().unwrap().success());
    assert_eq!(shown(), 65);
    // Sums that cannot be read begin anew; what is kept elsewhere is not read for that.
    let sums = gate.path().join("spool").join(nix::unistd::geteuid().to_string()).join("sums.json");
    fs::write(&sums, "{").unwrap();
    assert_eq!(pushes(&written(&gate), "web1", "refused"), Some(0));
    let other = fs::read_to_string(&sums).unwrap().replace("snapgate.yaml", "other.yaml");
    fs::write(&sums, other).unwrap();
    let said = says(&gate, &["metrics", "--write"]).exits(1).stderr;
    assert!(said.contains("the spool has the sums of another site"), "{said}");
    assert!(fs::read_to_string(&file).unwrap().contains("snapgate_snapshots{"), "the rest is told all the same");
    let said = says(&gate, &["metrics"]).exits(0).stdout;
    assert!(said.starts_with("# the spool has the sums of another site, `") && said.contains("snapgate_snapshots{"), "{said}");
}

#[test]
fn mails_that_leave_and_mails_that_do_not_are_counted_by_account() {
    let gate = world();
    let me = support::getent::my_name();
    let count = |name: &str| value(&written(&gate), &format!("{name}{{account=\"{me}\",way=\"mail\"}}"));
    let waiting = || value(&written(&gate), &format!("mails_waiting{{account=\"{me}\"}}"));
    gate.say("nothing of the kind").exits(77);
    gate.flush();
    until("the first mail is counted", || count("notices_sent_total") == Some(1));
    assert_eq!((count("notice_failures_total"), waiting()), (Some(0), Some(0)));
    let mails = gate.path().join("mail");
    fs::rename(&mails, gate.path().join("gone")).unwrap();
    gate.say("list nothing").exits(77);
    gate.flush();
    until("the failure is counted", || count("notice_failures_total").is_some_and(|count| count > 0));
    assert_eq!((count("notices_sent_total"), waiting()), (Some(1), Some(1)));
    fs::rename(gate.path().join("gone"), &mails).unwrap();
    gate.flush();
    until("the second mail is counted", || count("notices_sent_total") == Some(2));
    assert_eq!(waiting(), Some(0));
    // An account may write anything there: it is told of no way that there is not, and stops nobody.
    let own = gate.path().join("spool").join(nix::unistd::geteuid().to_string());
    fs::write(own.join("sent-mails.json"), r#"{"sent":{"mail":7,"x\"} 1\nevil 1":9}}"#).unwrap();
    assert!(count("notices_sent_total") == Some(7) && !written(&gate).contains("evil"));
    remove(&own.join("sent-mails.json"));
    fs::create_dir(own.join("sent-mails.json")).unwrap();
    assert_eq!(count("notices_sent_total"), Some(0));
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}
