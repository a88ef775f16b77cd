//! `limits: {processes: …}`, where nothing is left for rsync's second process.

use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::libc::EAGAIN;
use snapgate::terms::Mail;
use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;

use support::accounts::is_root;
use support::record::Record;
use support::{Server, Setup, mode, must, processes, tree, until};

/// The kernel counts all that an account runs: one at a time.
static CROWD: Mutex<()> = Mutex::new(());

/// A push that finds no room for rsync's second process; how many others there were. `None` where there was room all the same: an
/// ordinary user's account has the other tests in it, and one of them ended in the very moment.
fn crowded(server: &Server, client: &str) -> Option<u64> {
    let (repository, source) = (server.repository(client), server.source("data"));
    let began = Instant::now();
    let ran = server.client(client).push(&source, &[]);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    if ran.status == 0 && !is_root() {
        return None;
    }
    let known = |record: &Record| record.client.as_ref().is_some_and(|known| known.as_str() == client);
    until("it is in the ledger", || server.records().iter().any(known));
    assert_eq!(processes::of(server.path(), "crowd"), [0; 0], "nothing of it is left");
    // Its own rsync hears of the end of the line first (12), or of the server's status (14), and then may hear no words any more: a
    // client that knows how it ended does not wait for what comes over another way (`MSG_ERROR_EXIT` in rsync's io.c).
    let told = ran.stderr.contains("push again: what was received is kept") && ran.stderr.contains("(code interrupted)");
    assert!(ran.status == 14 || (ran.status == 12 && told), "{ran:?}");

    let record = server.record();
    let (reason, push) = (&record.reasons[0], record.push.as_ref().unwrap());
    assert_eq!((record.result, record.exit, record.mail, reason.code), (Outcome::Failed, 14, Mail::Alert, Code::Interrupted));
    assert_eq!((reason.says.as_str(), reason.hint.as_deref()), ("the push did not finish", Some("push again: what was received is kept")));
    assert!(reason.detail.contains("could not start its second process"), "{reason:?}");
    assert!(reason.remedy.as_ref().unwrap().contains("`limits: {processes: …}`"), "{reason:?}");
    assert!(push.kept && push.rsync_exit == Some(14) && repository.snapshots().is_empty(), "{push:?}");

    let said = fs::read_to_string(repository.path.join(".snapgate/interrupted/1/crowd")).unwrap();
    let (started, error) = said.trim().split_once(' ').unwrap();
    assert_eq!(error, EAGAIN.to_string(), "there was no end of processes");
    Some(started.parse().unwrap())
}

/// A server whose rsync is that program. An ordinary user has one account for both clients, and their keys tell them apart.
fn server(site: &str, policies: [&str; 2]) -> Server {
    let server = Setup::new()
        .client_on(2, "few", &format!("keys: [$KEY]\nlimits: {{ processes: {} }}\n", policies[0]))
        .client_on(3, "many", &format!("keys: [$KEY]\nlimits: {{ processes: {} }}\n", policies[1]))
        .site(&format!("rsync: $DIR/bin/crowd\n{site}"))
        .start();
    let program = server.path().join("bin/crowd");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sshd/crowd.c");
    must(Command::new("cc").args(["-O1", "-w", "-o"]).arg(&program).arg(source));
    mode(&program, 0o755);
    tree::small(&server.source("data"));
    server
}

#[test]
fn what_runs_in_rsync_s_place_can_start_so_many_processes_and_no_more() {
    let _alone = CROWD.lock();
    let server = server("", ["4", "1004"]);
    // In a namespace of its own the kernel counts from nothing, and the program itself is one.
    assert_eq!(crowded(&server, "few"), Some(3));
    assert_eq!(crowded(&server, "many"), Some(1003));
}

#[test]
fn rsync_itself_says_that_it_could_not_start_its_second_process_and_the_next_push_goes_on() {
    let _alone = CROWD.lock();
    let crowded = || {
        let server = server("jail: off\n", ["4", "64"]);
        crowded(&server, "few").map(|_| server)
    };
    let server = (0..20).find_map(|_| crowded()).expect("no room at least once");
    let record = server.record();
    assert!(record.warnings.iter().any(|line| line.contains("fork failed")), "{:?}", record.warnings);
    let (repository, source) = (server.repository("few"), server.source("data"));
    server.client("few").push(&source, &[]).exits(0);
    assert_eq!(tree::files(&repository.snapshot(-1)), tree::files(&source));
    assert!(!repository.path.join(".snapgate/interrupted").exists());
}
