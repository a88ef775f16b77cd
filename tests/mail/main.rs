//! From an event in the spool to a mail at a real server: nothing lost, nothing twice, whatever happens in between.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use nix::unistd::geteuid;
use snapgate::act::record::spool::Spool;
use snapgate::admin::watch::{Means, WatchReport, run, run_with};
use snapgate::decide::policy::{Defaults, MailSettings, Namespaces, Origins, Site, Sshd, Tls, Transport};
use snapgate::decide::quota::MinFree;
use snapgate::terms::Event;

mod bounds;
mod others;
mod passed;
mod strangers;

use support::smtp::{Manner, Protection, Server, header};

/// A spool, a place for mails, and the site that joins them.
struct Place {
    dir: tempfile::TempDir,
    site: Site,
}

impl Place {
    fn new(transport: impl FnOnce(&Path) -> Transport) -> Self {
        Self::within(tempfile::tempdir().unwrap(), transport)
    }

    fn within(dir: tempfile::TempDir, transport: impl FnOnce(&Path) -> Transport) -> Self {
        for name in ["spool", "mails"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let mail = MailSettings {
            from: Some("snapgate@example.org".to_owned()),
            to: vec!["root@example.org".to_owned()],
            reports_to: vec!["ops@example.org".to_owned()],
            transport: transport(dir.path()),
            password_file: None,
            ca_file: None,
        };
        let site = Site {
            logs_keep: snapgate::decide::keep::Span::of_days(90),
            digest: snapgate::decide::policy::Digest::Off,
            metrics: None,
            file: dir.path().join("snapgate.yaml"),
            store: dir.path().join("store"),
            rsync: PathBuf::from("/usr/bin/rsync"),
            sftp_server: snapgate::decide::policy::DEFAULT_SFTP_SERVER.into(),
            spool: dir.path().join("spool"),
            syslog: None,
            sshd: Sshd::None,
            sessions: 100,
            jail: true,
            namespaces: Namespaces::Required,
            min_free: MinFree::LEAST,
            mail,
            webhook: None,
            webhook_secret: PathBuf::new(),
            webhook_kinds: Vec::new(),
            exec: None,
            defaults: Defaults::default(),
            origins: Origins::default(),
        };
        Self { dir, site }
    }

    fn with_files() -> Self {
        Self::new(|dir| Transport::Directory(dir.join("mails")))
    }

    fn with(server: &Server) -> Self {
        Self::new(|_| Transport::Smtp { host: "127.0.0.1".to_owned(), port: server.port, tls: Tls::None, user: None })
    }

    fn add(&self, event: &Event) {
        Spool::open(&self.site.spool, geteuid().as_raw()).unwrap().add(event).unwrap();
    }

    fn own(&self) -> PathBuf {
        self.site.spool.join(geteuid().to_string())
    }

    fn count(&self, name: &str) -> usize {
        fs::read_dir(self.own().join(name)).unwrap().count()
    }

    /// The mails in the directory, in order of their names, which is the order of writing.
    fn mails(&self) -> Vec<String> {
        let mut paths: Vec<_> = fs::read_dir(self.dir.path().join("mails")).unwrap().flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    fn told(&self) -> u64 {
        self.mails().iter().map(|mail| events(mail)).sum()
    }

    fn stop_after(&self, steps: u64, flush: bool) -> (WatchReport, bool) {
        let left = Cell::new(steps);
        let stopped = Cell::new(false);
        let go_on = || {
            stopped.set(left.get() == 0);
            left.set(left.get().saturating_sub(1));
            !stopped.get()
        };
        (run_with(&self.site, flush, &Means { now: &Utc::now, go_on: &go_on }), stopped.get())
    }
}

fn events(mail: &str) -> u64 {
    header(mail, "X-Snapgate-Events").unwrap().parse().unwrap()
}

fn id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("1795226400000000-{:06}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// An event with fields of its own.
fn event(client: &str, mut fields: serde_json::Value) -> Event {
    let envelope = serde_json::json!({"version": 1, "id": id(), "at": Utc::now(), "account": client, "client": client});
    fields.as_object_mut().unwrap().extend(envelope.as_object().unwrap().clone());
    serde_json::from_value(fields).unwrap()
}

fn refusal_of(client: &str, command: &str, code: &str, warnings: &[String]) -> Event {
    let fields = serde_json::json!({
        "kind": "connection", "mail": "alert", "result": "refused", "exit": 77, "address": "203.0.113.9", "command": command,
        "reasons": [{"code": code, "says": "no", "detail": "no, because of the policy",
                     "rule": {"file": "/etc/snapgate/policies/web1.yaml", "line": 5}, "remedy": "change the policy"}],
        "warnings": warnings,
    });
    event(client, fields)
}

fn refusal(client: &str, code: &str) -> Event {
    refusal_of(client, "rsync --server . .", code, &[])
}

fn report(snapshot: &str) -> Event {
    let fields = serde_json::json!({
        "kind": "push", "mail": "report", "result": "published", "exit": 0, "snapshot": snapshot, "seconds": 1.5, "rsync_exit": 0,
        "files": 3, "linked": 2, "received": 1, "bytes": 300, "received_bytes": 100,
    });
    event("web1", fields)
}

#[test]
fn an_alert_and_a_report_reach_their_own_people() {
    let server = Server::plain();
    let place = Place::with(&server);
    place.add(&refusal("web1", "window"));
    place.add(&report("2026-11-21T02-00-00Z"));
    let done = run(&place.site, false);
    assert_eq!((done.counted, done.sent, done.waiting, done.problems), (2, 2, 0, Vec::new()));
    let mut taken = server.taken();
    taken.sort_by_key(|mail| mail.header("Subject"));
    assert_eq!(taken[0].header("Subject").unwrap(), "[snapgate] web1: published 2026-11-21T02-00-00Z");
    assert_eq!(taken[0].to, ["RCPT TO:<ops@example.org>"]);
    assert_eq!(taken[1].header("Subject").unwrap(), "[snapgate] web1: refused (window)");
    assert_eq!(taken[1].to, ["RCPT TO:<root@example.org>"]);
    assert!(taken[1].data.contains("to allow: change the policy"), "{}", taken[1].data);
    assert_eq!((place.count("new"), place.count("out"), place.count("tmp")), (0, 0, 0));
}

#[test]
fn the_mail_server_is_found_by_its_name_and_that_is_whom_the_certificate_is_for() {
    let (config, pem) = support::smtp::private_authority_for(&["localhost"]);
    let server = Server::start(Protection::Starttls(config), None);
    let through = |host: &str| Transport::Smtp { host: host.to_owned(), port: server.port, tls: Tls::Starttls, user: None };
    let mut place = Place::new(|_| through("localhost"));
    let ca = place.dir.path().join("ca.pem");
    fs::write(&ca, pem).unwrap();
    place.site.mail.ca_file = Some(ca);
    for (host, why) in [("127.0.0.1", "certificate"), ("nothing.invalid", "cannot be reached: no address was found for `nothing.invalid`")]
    {
        place.site.mail.transport = through(host);
        place.add(&refusal("web1", "window"));
        let failed = run(&place.site, true);
        assert_eq!((failed.sent, failed.waiting), (0, 1), "{host}: {failed:?}");
        assert!(failed.problems[0].contains(why), "{host}: {failed:?}");
    }
    place.site.mail.transport = through("localhost");
    let done = run(&place.site, true);
    assert!(done.sent > 0 && done.waiting == 0 && done.problems.is_empty(), "{done:?}");
    assert!(server.taken().iter().all(|mail| mail.encrypted));
}

#[test]
fn nothing_is_lost_and_the_order_is_kept_while_the_server_has_a_bad_day() {
    let server = Server::plain();
    let place = Place::with(&server);
    let names = ["a", "b", "c", "d"];
    for (name, manner) in names.iter().zip([
        Manner::Answer("MAIL", "451 not now"),
        Manner::HangUp("220"),
        Manner::HangUp("DATA"),
        Manner::Answer(".", "452 full"),
    ]) {
        server.behave(manner.clone());
        place.add(&report(name));
        let before = server.connections();
        let done = run(&place.site, false);
        assert_eq!((done.sent, done.problems.len()), (0, 1), "{manner:?}: {done:?}");
        assert!(server.connections() - before <= 1, "a server that is down is not hammered");
    }
    assert_eq!(place.count("out"), 4);
    server.behave(Manner::Accept);
    let done = run(&place.site, false);
    assert_eq!((done.sent, done.waiting), (4, 0));
    let subjects: Vec<_> = server.taken().iter().map(|mail| mail.header("Subject").unwrap()).collect();
    assert_eq!(subjects, names.map(|name| format!("[snapgate] web1: published {name}")));
}

#[test]
fn while_the_server_is_down_alerts_are_counted_and_not_written() {
    let server = Server::plain();
    let place = Place::with(&server);
    server.behave(Manner::HangUp("220"));
    for index in 0..30 {
        place.add(&refusal(&format!("c{index}"), "key"));
        let _ = run(&place.site, index % 10 == 0);
    }
    assert_eq!((place.count("out"), place.count("new")), (1, 0));
    server.behave(Manner::Accept);
    let _ = run(&place.site, true);
    let taken = server.taken();
    assert_eq!((taken.len(), taken.iter().map(support::smtp::Taken::events).sum::<u64>()), (2, 30));
}

#[test]
fn a_mail_that_is_refused_does_not_hold_up_others_and_is_laid_aside_after_five_days() {
    let server = Server::plain();
    let place = Place::with(&server);
    server.behave(Manner::RefuseWith("poison"));
    place.add(&report("poison"));
    place.add(&report("good"));
    let done = run(&place.site, false);
    assert_eq!(done.to_string(), "2 events counted, 1 mail sent, 0 waiting, 1 refused", "it waits for nothing");
    let later = |days: i64| {
        let now = move || Utc::now() + TimeDelta::days(days);
        run_with(&place.site, false, &Means { now: &now, go_on: &|| true })
    };
    assert_eq!([later(4), later(6)].map(|done| (done.waiting, done.refused)), [(0, 1), (0, 0)]);
    let why = fs::read_to_string(place.own().join("dead/000000000000.why")).unwrap();
    assert!(why.starts_with("refused for 6 days") && why.contains("554"), "{why}");
    assert!(fs::read_to_string(place.own().join("dead/000000000000.json")).unwrap().contains("poison"));
    assert_eq!(server.taken().len(), 1);
}

#[test]
fn a_thousand_refusals_in_a_minute_are_at_most_five_mails_that_add_up() {
    for varied in [false, true] {
        let place = Place::with_files();
        let codes = ["window", "key", "address", "verb", "option", "path", "login"];
        for index in 0..1000_usize {
            let client = if varied { format!("c{}", index % 300) } else { "web1".to_owned() };
            place.add(&refusal(&client, if varied { codes[index % codes.len()] } else { "window" }));
            // The gate starts a watch each time; not every one of them is quick enough to get the lock.
            if index % 20 == 0 {
                let _ = run(&place.site, false);
            }
        }
        let _ = run(&place.site, true);
        assert!(place.mails().len() <= 5, "varied {varied}: {}", place.mails().len());
        assert_eq!(place.told(), 1000, "varied {varied}");
    }
}

#[test]
fn a_pass_that_is_cut_off_between_any_two_steps_loses_nothing_and_counts_nothing_twice() {
    for flush in [false, true] {
        for first in 0.. {
            let mut over = false;
            // The next pass is cut off, too, at each of its steps in turn.
            for second in [0, 1, 2, 3, 5, 8, 100] {
                let place = Place::within(support::in_memory(), |dir| Transport::Directory(dir.join("mails")));
                let records =
                    [refusal("a", "key"), report("r1"), refusal("a", "key"), refusal("b", "window"), report("r2"), refusal("c", "verb")];
                records.iter().for_each(|record| place.add(record));
                over = !place.stop_after(first, flush).1;
                place.add(&refusal("d", "login"));
                let _ = place.stop_after(second, flush);
                let done = run(&place.site, true);
                assert_eq!(done.problems, Vec::<String>::new());
                assert_eq!(place.told(), 7, "cut off after {first}, then after {second}");
                assert_eq!((place.count("new"), place.count("out")), (0, 0));
                let mut ids = BTreeMap::new();
                place.mails().iter().for_each(|mail| *ids.entry(header(mail, "Message-ID")).or_insert(0) += 1);
                assert!(ids.values().all(|count| *count == 1), "{ids:?}");
            }
            if over {
                assert!(first > 10, "there were {first} steps only");
                break;
            }
        }
    }
}

#[test]
fn counts_that_cannot_be_read_are_laid_aside_and_waiting_mails_survive() {
    let server = Server::plain();
    let place = Place::with(&server);
    server.behave(Manner::HangUp("220"));
    place.add(&report("a"));
    let _ = run(&place.site, false);
    for broken in ["", "{", "{\"next\":0}", "null"] {
        fs::write(place.own().join("state.json"), broken).unwrap();
        let done = run(&place.site, false);
        assert!(done.problems.iter().any(|problem| problem.contains("laid aside")), "{broken}: {done:?}");
        assert_eq!(place.count("out"), 1);
    }
    fs::remove_file(place.own().join("state.json")).unwrap();
    server.behave(Manner::Accept);
    place.add(&report("b"));
    assert_eq!(run(&place.site, false).sent, 2);
}

#[test]
fn two_watches_and_a_busy_gate_at_once_tell_everything_once() {
    let place = Place::with_files();
    place.add(&refusal("web1", "key"));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let _ = run(&place.site, false);
                }
            });
        }
        for index in 0..200 {
            place.add(&refusal(&format!("c{}", index % 7), "key"));
            place.add(&report(&index.to_string()));
        }
        over.store(true, Ordering::Relaxed);
    });
    let _ = run(&place.site, true);
    assert_eq!(place.told(), 401);
    assert_eq!((place.count("new"), place.count("out")), (0, 0));
}

#[test]
fn an_event_that_came_while_another_watch_was_busy_is_not_stranded() {
    let server = Server::plain();
    let place = Place::with(&server);
    server.behave(Manner::Hold);
    place.add(&report("a"));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| run(&place.site, false));
        wait_for(|| server.connections() == 1);
        place.add(&report("b"));
        let second = run(&place.site, false);
        assert_eq!((second.busy, second.sent), (1, 0));
        server.behave(Manner::Accept);
        assert_eq!(first.join().unwrap().sent, 2);
    });
    assert_eq!(server.taken().len(), 2);
}

#[test]
fn with_mail_turned_off_nothing_piles_up() {
    let place = Place::new(|_| Transport::Off);
    place.add(&refusal("web1", "key"));
    let done = run(&place.site, true);
    assert_eq!((done.problems, place.count("new")), (Vec::new(), 0));
}

#[test]
fn text_from_a_client_stays_in_the_body_and_on_its_line() {
    let server = Server::plain();
    let place = Place::with(&server);
    let command = "rsync\r\nBcc: victim@example.org\r\n\r\n\u{1b}[2J é \u{202e}".to_owned() + &"x".repeat(100_000);
    let mut forged = refusal_of("web1", &command, "command", &[]);
    forged.client = None;
    forged.account = "x\r\nBcc: victim@example.org".to_owned();
    place.add(&forged);
    assert_eq!(run(&place.site, false).sent, 1);
    let taken = server.taken().remove(0);
    assert_eq!((taken.header("Bcc"), taken.to.len()), (None, 1), "{}", taken.data);
    assert!(taken.data.len() < 20_000);
}

fn wait_for(what: impl Fn() -> bool) {
    let begun = Instant::now();
    while !what() {
        assert!(begun.elapsed() < Duration::from_secs(10), "it never happened");
        std::thread::sleep(Duration::from_millis(10));
    }
}
