//! What a pass of `watch` takes at most, each bound crossed: events, mails, refusals, servers that are not there, names, answers
//! without end, and time. With the program itself wherever nothing has to happen in the middle of a pass.

use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chrono::Utc;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Gid, Uid, chown, geteuid};
use snapgate::admin::watch::{Means, run_with};
use snapgate::decide::policy::Transport;
use snapgate::terms::Event;
use snapgate::terms::limits::{
    FLUSH_PATIENCE, MAX_BATCH, MAX_PROBLEMS, MAX_REFUSED_MAILS, MAX_REPORTED, MAX_REPORTED_TEXT, MAX_ROUNDS, MAX_SAMPLES, MAX_UNREACHABLE,
    MAX_WAITING, STALE_TMP, WATCH_TIMEOUT,
};
use snapgate::terms::reason::exit;

use super::{Place, refusal, refusal_of, report};
use support::smtp::{Manner, Server};

/// How a `watch` ended and what it said.
#[derive(Debug)]
struct Said {
    status: i32,
    out: String,
    err: String,
    took: Duration,
}

impl Place {
    /// The program with this place's spool and a mail server here.
    pub(super) fn program(&self, port: u16, before: &[&str]) -> Command {
        let config = self.dir.path().join("config");
        let _ = fs::create_dir(&config);
        let at = self.dir.path().display();
        let mail = format!("{{ from: s@example.org, to: [root@example.org], transport: \"smtp://127.0.0.1:{port}\" }}");
        let mail =
            if port == 0 { format!("{{ from: s@example.org, to: [root@example.org], transport: \"file:{at}/mails\" }}") } else { mail };
        fs::write(config.join("snapgate.yaml"), format!("store: {at}\nspool: {at}/spool\nsyslog: off\nmail: {mail}\n")).unwrap();
        // With nothing to set, what env(1) does is to start it.
        let mut command = Command::new("/usr/bin/env");
        command.args(before).arg(env!("CARGO_BIN_EXE_snapgate")).arg("--config").arg(config).arg("watch").stdin(Stdio::null());
        command
    }

    /// One pass.
    fn watch(&self, port: u16, words: &[&str]) -> Said {
        said(self.program(port, &[]).args(words))
    }

    /// Puts an event where a gate would, without waiting for the disk.
    fn put(&self, event: &Event) {
        fs::write(self.own().join("new").join(format!("{}.json", event.id)), serde_json::to_vec(event).unwrap()).unwrap();
    }

    /// A spool with the account's directories in it.
    fn begun(transport: impl FnOnce(&Path) -> Transport) -> Self {
        let place = Self::new(transport);
        place.add(&refusal("first", "key"));
        fs::remove_dir_all(place.own().join("new")).unwrap();
        fs::create_dir(place.own().join("new")).unwrap();
        place
    }
}

fn said(command: &mut Command) -> Said {
    let began = Instant::now();
    let ran = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { status: ran.status.code().unwrap_or(-1), out: text(&ran.stdout), err: text(&ran.stderr), took: began.elapsed() }
}

/// A spool, and the port that says that mails go into a directory.
fn with_files() -> (Place, u16) {
    (Place::begun(|dir| Transport::Directory(dir.join("mails"))), 0)
}

fn with(server: &Server) -> (Place, u16) {
    (Place::begun(|_| Transport::Off), server.port)
}

#[test]
fn more_events_than_are_counted_in_one_step_are_counted_in_one_pass_and_told_together() {
    let (place, port) = with_files();
    let total = 2 * MAX_BATCH + 1;
    for _ in 0..total {
        place.put(&refusal("web1", "window"));
    }
    let done = place.watch(port, &[]);
    assert_eq!((done.status, done.out.as_str()), (0, format!("{total} events counted, 1 mail sent, 0 waiting\n").as_str()), "{done:?}");
    assert_eq!((place.told(), place.count("new")), (total as u64, 0));
    let state: serde_json::Value = serde_json::from_slice(&fs::read(place.own().join("state.json")).unwrap()).unwrap();
    assert!(state["absorbed"].as_array().unwrap().len() <= MAX_BATCH, "{state}");
}

#[test]
fn while_many_mails_wait_reports_stay_events_and_alerts_are_told() {
    let server = Server::plain();
    server.behave(Manner::HangUp("220"));
    let (place, files) = with_files();
    for number in 0..MAX_WAITING + 10 {
        place.put(&report(&format!("s{number}")));
    }
    place.put(&refusal("web1", "window"));
    for pass in 0..2 {
        let done = place.watch(server.port, &[]);
        assert_eq!((place.count("out"), place.count("new")), (MAX_WAITING + 1, 10), "pass {pass}: {done:?}");
    }
    let done = place.watch(files, &[]);
    assert_eq!(done.out, format!("10 events counted, {} mails sent, 0 waiting\n", MAX_WAITING + 11), "{done:?}");
    assert_eq!((place.count("out"), place.count("new")), (0, 0));
}

#[test]
fn a_server_that_refuses_one_mail_after_the_other_is_not_asked_about_all_and_no_more_alerts_are_written() {
    let server = Server::plain();
    server.behave(Manner::Answer("RCPT", "550 no"));
    let (place, port) = with(&server);
    for number in 0..2 * MAX_REFUSED_MAILS {
        place.put(&report(&format!("s{number}")));
    }
    let done = place.watch(port, &[]);
    assert_eq!((server.connections(), done.err.lines().count()), (MAX_REFUSED_MAILS, MAX_REFUSED_MAILS), "{done:?}");
    assert_eq!(place.count("out"), 2 * MAX_REFUSED_MAILS);
    for number in 0..2 * MAX_REFUSED_MAILS {
        place.put(&refusal(&format!("c{number}"), "window"));
        place.watch(port, &["--flush"]);
    }
    assert_eq!((place.count("out"), place.count("new")), (3 * MAX_REFUSED_MAILS, 0), "alerts are counted, and a few written");
    server.behave(Manner::Accept);
    place.watch(port, &["--flush"]);
    let told: u64 = server.taken().iter().map(support::smtp::Taken::events).sum();
    assert_eq!((told, place.count("out")), (4 * MAX_REFUSED_MAILS as u64, 0));
}

/// An event as that file has it.
pub(super) fn event_of(id: &str, event: &Event) -> Vec<u8> {
    serde_json::to_vec(&Event { id: id.to_owned(), ..event.clone() }).unwrap()
}

#[test]
fn a_server_that_is_not_there_is_tried_for_a_few_accounts_and_everybody_is_counted() {
    if !geteuid().is_root() {
        println!("skipped: only root looks after other accounts");
        return;
    }
    let (place, _) = with_files();
    let accounts: Vec<_> = (65_000..65_000 + u32::try_from(2 * MAX_UNREACHABLE).unwrap()).collect();
    for uid in &accounts {
        let home = place.site.spool.join(uid.to_string());
        let own = |path: &Path| chown(path, Some(Uid::from_raw(*uid)), Some(Gid::from_raw(*uid))).unwrap();
        for path in [home.clone(), home.join("tmp"), home.join("new"), home.join("out"), home.join("dead")] {
            fs::create_dir(&path).unwrap();
            own(&path);
        }
        fs::write(home.join("new/1.json"), event_of("1", &refusal("web1", "key"))).unwrap();
        own(&home.join("new/1.json"));
    }
    // A port of nobody's: taken, and let go of.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let done = place.watch(port, &[]);
    assert_eq!((done.err.lines().count(), done.status), (MAX_UNREACHABLE, i32::from(exit::BUSY)), "{done:?}");
    assert!(done.out.starts_with(&format!("{0} events counted, 0 mails sent, {0} waiting", accounts.len())), "{done:?}");
    // One that hangs up on a mail says nothing of the mails of others.
    let server = Server::plain();
    server.behave(Manner::HangUp("DATA"));
    let done = place.watch(server.port, &[]);
    assert_eq!((server.connections(), done.err.lines().count()), (accounts.len(), accounts.len()), "{done:?}");
}

#[test]
fn a_gate_that_never_rests_does_not_keep_a_pass_for_ever() {
    let place = Place::begun(|_| Transport::Off);
    place.put(&refusal("web1", "key"));
    let steps = Cell::new(0);
    // One step a round here; in each, something new comes.
    let go_on = || {
        steps.set(steps.get() + 1);
        place.put(&refusal("web1", "key"));
        steps.get() <= 2 * MAX_ROUNDS
    };
    let _ = run_with(&place.site, false, &Means { now: &Utc::now, go_on: &go_on });
    assert_eq!((steps.get(), place.count("new")), (MAX_ROUNDS, 1), "what is left is the next one's");
}

#[test]
fn of_problems_without_end_so_many_are_told_and_no_more() {
    let (place, port) = with_files();
    for number in 0..MAX_PROBLEMS + 20 {
        fs::write(place.own().join(format!("new/{number}.json")), "{}").unwrap();
    }
    place.put(&refusal("web1", "key"));
    let done = place.watch(port, &[]);
    assert_eq!((done.status, done.err.lines().count()), (i32::from(exit::BUSY), MAX_PROBLEMS), "{done:?}");
    assert_eq!((place.told(), place.count("new")), (1, MAX_PROBLEMS + 20), "what can be read is told");
}

#[test]
fn of_one_event_and_of_many_so_much_is_told_and_no_more() {
    let (place, port) = with_files();
    let warnings: Vec<_> =
        (0..MAX_REPORTED + 10).map(|number| format!("warning-{number}. {}", "w".repeat(3 * MAX_REPORTED_TEXT))).collect();
    place.put(&refusal_of("web1", "rsync --server . .", "key", &warnings));
    for number in 0..2 * MAX_SAMPLES {
        place.put(&refusal_of("web2", &format!("sample-{number}."), "window", &[]));
    }
    place.watch(port, &["--flush"]);
    let mails = place.mails().concat();
    assert_eq!(place.told(), 1 + 2 * MAX_SAMPLES as u64);
    let told = |what: &str, most: usize| (0..most).filter(|number| mails.contains(&format!("{what}-{number}."))).count();
    assert_eq!((told("warning", MAX_REPORTED + 10), told("sample", 2 * MAX_SAMPLES)), (MAX_REPORTED, MAX_SAMPLES), "{mails}");
    let w = mails.chars().filter(|letter| *letter == 'w').count();
    assert!(w > MAX_REPORTED * MAX_REPORTED_TEXT / 2 && w < MAX_REPORTED * (MAX_REPORTED_TEXT + 64), "{w}");
}

/// A server that sends this first, and again and again if it is to.
fn sends(what: Vec<u8>, for_ever: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let talk = move |mut stream: TcpStream| while stream.write_all(&what).is_ok() && for_ever {};
    std::thread::spawn(move || listener.incoming().flatten().for_each(talk));
    port
}

#[test]
fn a_mail_server_whose_answer_does_not_end_is_left() {
    let line = |begin: &[u8], length: usize| [begin, &vec![b'x'; length], b"\r\n"].concat();
    for (port, words) in [(sends(line(b"220-", 900), true), "too large"), (sends(line(b"220 ", 1 << 20), false), "too long")] {
        let (place, _) = with_files();
        place.put(&refusal("web1", "key"));
        let done = place.watch(port, &[]);
        assert!(done.status == i32::from(exit::BUSY) && done.err.contains(words), "{done:?}");
        assert!(done.took < Duration::from_secs(15), "{done:?}");
        assert_eq!(place.count("out"), 1, "the mail waits");
    }
}

#[test]
fn a_pass_that_hangs_is_ended_by_itself_and_loses_nothing() {
    let traces = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if !traces.is_ok_and(|status| status.success()) {
        println!("skipped: it takes strace, and the right to use it, to have ten minutes go by at once");
        return;
    }
    let server = Server::plain();
    server.behave(Manner::Stall("220"));
    let (place, port) = with(&server);
    place.put(&refusal("web1", "key"));
    // The watchdog's sleep is over at once, some time after it began to wait for the server.
    let trace = place.dir.path().join("trace");
    let inject = "inject=clock_nanosleep,nanosleep:retval=0:delay_exit=3s";
    let before = ["strace", "-f", "-qq", "-e", "trace=clock_nanosleep,nanosleep", "-e", inject, "-o", trace.to_str().unwrap()];
    let done = said(&mut place.program(port, &before));
    assert_eq!((done.status, done.out.as_str()), (i32::from(exit::BUSY), ""), "{done:?}");
    assert!(done.took < Duration::from_secs(15), "{done:?}");
    let slept = fs::read_to_string(trace).unwrap();
    assert!(slept.contains(&format!("tv_sec={}", WATCH_TIMEOUT.as_secs())), "{slept}");
    server.behave(Manner::Accept);
    place.watch(port, &[]);
    assert_eq!((server.taken().len(), place.count("out"), place.count("new")), (1, 0, 0));
}

#[test]
fn who_waits_for_another_pass_waits_so_long_and_no_longer() {
    let (place, port) = with_files();
    place.put(&refusal("web1", "key"));
    let lock = fs::File::options().create(true).append(true).open(place.own().join("lock")).unwrap();
    let lock = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
    let busy = "0 events counted, 0 mails sent, 0 waiting, 1 account left to another watch\n";
    let done = place.watch(port, &[]);
    assert!(done.out == busy && done.took < FLUSH_PATIENCE / 2, "{done:?}");
    let done = place.watch(port, &["--flush"]);
    assert!(done.out == busy && done.took >= FLUSH_PATIENCE && done.took < FLUSH_PATIENCE * 2, "{done:?}");
    drop(lock);
    assert_eq!(place.watch(port, &["--flush"]).out, "1 event counted, 1 mail sent, 0 waiting\n");
}

#[test]
fn half_a_file_is_thrown_away_once_its_writer_must_be_gone() {
    let (place, port) = with_files();
    let half = |name: &str, age: Duration| {
        let path = place.own().join("tmp").join(name);
        fs::write(&path, "{").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(std::time::SystemTime::now() - age).unwrap();
    };
    half("1.json.1", STALE_TMP + Duration::from_secs(60));
    half("2.json.1", STALE_TMP - Duration::from_secs(60));
    place.watch(port, &[]);
    let left: Vec<_> = fs::read_dir(place.own().join("tmp")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["2.json.1"]);
}
