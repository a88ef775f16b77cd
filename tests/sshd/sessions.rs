//! How many connections there are at once.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use snapgate::terms::Mail;
use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;

use support::Running;
use support::{Server, Setup, processes, tree, until};

/// Clients of one account are told apart by these: an ordinary user has no more than one.
const KEYS: &str = "keys: [$KEY]\n";

fn large(server: &Server) -> PathBuf {
    let source = server.source("large");
    tree::write(&source.join("noise"), tree::noise(5, 6_000_000));
    source
}

/// A push that takes a minute, and has begun.
fn begun(server: &Server, client: &str) -> Running {
    let push = server.client(client).start_push(&large(server), &["--bwlimit=100"]);
    until("it has begun", || server.store().join(client).join("inprogress").exists());
    push
}

#[test]
fn a_client_has_as_many_sessions_as_it_may_and_the_rest_try_again() {
    let server = Setup::new().client_on(0, "web1", "keys: [$KEY]\nlimits: { sessions: 1 }\n").client_on(0, "db1", "keys: [$KEY]\n").start();
    let (web1, db1) = (server.client("web1"), server.client("db1"));
    let push = begun(&server, "web1");
    let mails = server.mails().len();
    let ran = web1.ssh(&["status"]).refused("busy", 75);
    assert!(ran.stderr.contains("too many connections of this client") && ran.stderr.contains("try again"), "{}", ran.stderr);
    let record = server.record();
    assert_eq!((record.result, record.exit, record.mail), (Outcome::Busy, 75, Mail::None));
    assert_eq!((record.client.map(String::from).as_deref(), record.reasons[0].code), (Some("web1"), Code::Busy));
    assert!(server.repository("web1").path.join(".snapgate/ledger.jsonl").exists(), "it is in the ledger");
    assert_eq!(server.mails().len(), mails, "and nobody is mailed about it");
    web1.ssh(&["head", "/etc/passwd"]).refused("busy", 75);
    db1.ssh(&["status"]).exits(0);
    push.kill();
    until("the gate has ended", || processes::of(&server.store().join("web1"), "rsync").is_empty());
    until("a place is free again", || web1.ssh(&["status"]).status == 0);
}

#[test]
fn all_clients_together_have_as_many_as_the_site_says() {
    let server = Setup::new().client("web1", KEYS).client("db1", KEYS).site("sessions: 1\n").start();
    let push = begun(&server, "web1");
    let ran = server.client("db1").ssh(&["status"]).refused("busy", 75);
    assert!(!ran.stderr.contains("web1"), "{}", ran.stderr);
    let record = server.record();
    assert_eq!((record.result, record.client.map(String::from).as_deref()), (Outcome::Busy, Some("db1")));
    assert!(record.reasons[0].remedy.as_ref().unwrap().contains("`sessions:`"));
    push.kill();
    until("a place is free again", || server.client("db1").ssh(&["status"]).status == 0);
}

#[test]
fn a_killed_gate_leaves_no_place_taken() {
    let server = Setup::new().client("web1", "limits: { sessions: 1 }\n").site("sessions: 1\n").start();
    let push = begun(&server, "web1");
    let gates = processes::of(server.path(), "snapgate-shell");
    processes::signal(&gates, Signal::SIGKILL);
    until("the gate is gone", || gates.iter().all(|gate| !processes::is_alive(*gate)));
    // The rsync that it left still holds the repository, and no place.
    server.client("web1").ssh(&["status"]).exits(0);
    push.kill();
}

#[test]
fn a_flood_of_one_client_leaves_room_for_another() {
    let server =
        Setup::new().client("web1", &format!("limits: {{ sessions: 2 }}\n{KEYS}")).client("db1", KEYS).site("sessions: 4\n").start();
    std::thread::scope(|scope| {
        let flood = || scope.spawn(|| (0..6).map(|_| server.client("web1").ssh(&["status"]).status).collect::<Vec<_>>());
        let floods: Vec<_> = (0..12).map(|_| flood()).collect();
        for _ in 0..10 {
            server.client("db1").ssh(&["status"]).exits(0);
        }
        let statuses: Vec<_> = floods.into_iter().flat_map(|flood| flood.join().unwrap()).collect();
        assert!(statuses.iter().all(|status| [0, 75].contains(status)), "{statuses:?}");
        assert!(statuses.contains(&0));
    });
    assert_eq!(server.records().len(), 82, "each has its line");
}

#[test]
fn where_nobody_made_the_file_it_is_said_and_nobody_is_turned_away() {
    let server = Setup::new().client("web1", "").start();
    fs::remove_file(server.path().join("spool/sessions")).unwrap();
    let ran = server.snapgate(&["check", "--all"]);
    assert!(ran.stdout.contains("sessions of all clients") && ran.stdout.contains("0660"), "{}", ran.stdout);
    server.client("web1").ssh(&["status"]).exits(0);
    if support::accounts::is_root() {
        // The spool is root's, so the account cannot make it.
        assert!(server.record().warnings.iter().any(|line| line.contains("not counted")), "{:?}", server.record().warnings);
    }
}

#[test]
fn the_account_s_processes_are_bounded_while_rsync_runs() {
    if !support::accounts::is_root() {
        return support::skip("an account that runs nothing else is needed: needs root");
    }
    let server = Setup::new().client("web1", "limits: { processes: 20 }\n").start();
    let push = begun(&server, "web1");
    for pid in processes::of(&server.store().join("web1"), "rsync") {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max processes")).unwrap();
        let soft: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
        let load = fs::read_to_string("/proc/loadavg").unwrap();
        let running: u64 = load.split(' ').nth(3).unwrap().split_once('/').unwrap().1.parse().unwrap();
        // Other tests come and go beside this one.
        assert!((20..running * 3 + 20).contains(&soft), "{soft} where {running} run");
    }
    push.kill();
}

#[test]
fn a_push_of_an_ordinary_account_is_stopped_while_it_runs() {
    let server = Setup::new().client("web1", "limits: { bytes: 10MB }\n").start();
    let source = server.source("much");
    for number in 0..40 {
        tree::write(&source.join(number.to_string()), tree::noise(number, 4_000_000));
    }
    let ran = server.client("web1").push(&source, &[]);
    assert_ne!(ran.status, 0);
    until("a record", || server.records().len() == 1);
    let record = server.record();
    assert_eq!((record.exit, record.reasons[0].code), (77, Code::Limit), "{record:?}");
    let kept = server.store().join("web1/.snapgate/interrupted/1");
    let stored: u64 = tree::files(&kept).iter().map(|file| fs::metadata(kept.join(file)).unwrap().len()).sum();
    assert!((10_000_000..100_000_000).contains(&stored), "{stored} of 160 MB");
    eprintln!("10 MB allowed: stopped at {stored} bytes");
    assert!(server.mail("(code limit)").body.contains("10 MB"));
}

#[test]
fn check_and_explain_show_the_limits() {
    let limits = format!("limits: {{ sessions: 2, bytes: 500G }}\n{KEYS}");
    let server = Setup::new().client("web1", &limits).client("db1", KEYS).client("db2", KEYS).site("sessions: 7\n").start();
    let said = server.snapgate(&["check", "--all"]).exits(0).stdout;
    for line in [
        "limits of the server: 7 sessions at once",
        "limits of web1: 2 sessions at once, rsync with 8 GiB and 64 processes, at most 500 GiB new in a push",
        "limits of db1, db2: 8 sessions at once, rsync with 8 GiB and 64 processes, pushes of any size",
    ] {
        assert!(said.lines().any(|found| found == line), "`{line}` in {said}");
    }
    let said = server.snapgate(&["explain", "--client", "web1", "rsync --server -logDtpre.iLsfxCIvu . ."]).exits(0).stdout;
    assert!(said.contains("within the limits: 2 sessions at once") && said.contains("web1.yaml:1)"), "{said}");
}
