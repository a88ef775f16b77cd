//! `-s` (`--secluded-args`): the words that a real client sends on standard input are read, judged and obeyed like those on
//! the command line; whoever sends something else there, too much, or nothing, is refused, and nobody's input is read
//! before everything else about the connection is right.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Stdio};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use snapgate::decide::rsync::argv::Version;
use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;

use support::versions::older_client;
use support::{Gate, POLICY, must, run};

const LINE: &str = "rsync --server -slogDtpre.iLsfxCIvu";

/// Destinations as their users type them behind `host:`, and the directory that each is.
const PLACES: &[(&[u8], &[u8])] = &[
    (b"a b/", b"a b"),
    (b" lead and trail /", b" lead and trail "),
    (b"line\nbreak/\r/", b"line\nbreak/\r"),
    (b"tab\there/", b"tab\there"),
    (b"it's \"quoted\"/", b"it's \"quoted\""),
    (b"back\\slash\\/", b"back\\slash\\"),
    (b"st*r ?[x] ~/", b"st*r ?[x] ~"),
    (b"-dash/", b"-dash"),
    (b"--delete/", b"--delete"),
    (b"$(touch x);`y`&|<>#!{}/", b"$(touch x);`y`&|<>#!{}"),
    (b"latin-1 \xe9\xff/", b"latin-1 \xe9\xff"),
    ("d\u{e9}j\u{e0}\u{a0}vu/\u{202e}".as_bytes(), "d\u{e9}j\u{e0}\u{a0}vu/\u{202e}".as_bytes()),
];

#[test]
fn a_real_client_reaches_a_place_of_any_name_and_finds_its_files_linked_the_next_time() {
    let gate = Gate::new();
    let source = gate.source("s");
    fs::write(source.join("file"), "content").unwrap();
    let from = format!("{}/", source.display());
    for (at, (typed, name)) in PLACES.iter().enumerate() {
        let mut command = gate.rsync_command(&["-a", "--delete", "--stats"], "");
        match at % 3 {
            0 => command.arg("-s"),
            1 => command.args(["--protect-args", "-z", "--partial-dir", ".", "--info=stats2"]),
            _ if older_client(Version(3, 2, 6)) => command.arg("-s"),
            _ => command.arg("--secluded-args"),
        };
        command.arg(&from).arg(OsStr::from_bytes(&[b"backup:", *typed].concat()));
        run(&mut command).exits(0);
        let twice = run(&mut command).exits(0);
        assert_eq!(twice.figure("Literal data"), 0, "{:?}", typed.escape_ascii());
        let file = gate.newest().join(OsStr::from_bytes(name)).join("file");
        let found = fs::metadata(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(found.nlink(), 2, "{}: stored again instead of linked", file.display());
    }
    assert_eq!(gate.snapshots().len(), 2 * PLACES.len());
    for record in gate.ledger() {
        assert!(record.command.starts_with(LINE.split_at(22).0), "{}", record.command);
        assert!(record.command.contains(" and on standard input `rsync` `--") && record.command.contains(" `.` `"), "{}", record.command);
        assert!(!record.command.chars().any(|letter| letter.is_control() || letter == '\u{202e}'), "{}", record.command);
    }
    let record = &gate.ledger()[4];
    assert!(record.command.ends_with("`line\\nbreak/\\r/`"), "{}", record.command);
    assert_eq!(record.push.as_ref().unwrap().place.as_deref(), Some("line\\nbreak/\\r"));
    let log = fs::read_to_string(gate.inside(&format!(".snapgate/logs/{}.log", record.id))).unwrap();
    assert!(log.contains("into `line\\nbreak/\\r`") && log.contains("`-s` was not passed on"), "{log}");
}

#[test]
fn every_way_in_which_clients_turn_it_on_works() {
    let gate = Gate::new();
    let source = gate.source("s");
    fs::write(source.join("file"), "content").unwrap();
    let from = format!("{}/", source.display());
    let push = |variable: (&str, &str), options: &[&str]| {
        let mut command = gate.rsync_command(options, "");
        command.args(["-a", &from, "backup:a b\n/"]);
        // The harness empties the environment, so it is set by the program in front.
        let mut with = std::process::Command::new("/usr/bin/env");
        with.arg(format!("{}={}", variable.0, variable.1)).arg(command.get_program()).args(command.get_args());
        run(&mut with)
    };
    push(("RSYNC_PROTECT_ARGS", "1"), &[]).exits(0);
    push(("RSYNC_OLD_ARGS", "1"), &["-s"]).exits(0);
    push(("RSYNC_PROTECT_ARGS", "1"), &["-n"]).exits(0);
    assert_eq!(gate.snapshots().len(), 2, "a dry run publishes nothing");
    assert!(gate.newest().join("a b\n/file").exists());
    // With --old-args a client sends its words as ever, so a space splits the path.
    if !older_client(Version(3, 2, 4)) {
        let old = push(("RSYNC_PROTECT_ARGS", "1"), &["--old-args"]).exits(77);
        assert_eq!(old.code(), Some("command"), "{}", old.stderr);
    }
    let iconv = push(("X", ""), &["-s", "--iconv=utf-8,latin1"]).exits(77);
    assert_eq!(iconv.code(), Some("option"), "{}", iconv.stderr);
    assert!(gate.record().reasons.iter().any(|reason| reason.says.contains("together with `-s`")));
}

#[test]
fn parts_of_a_transaction_may_have_any_name() {
    let gate = Gate::new();
    let source = gate.source("s");
    fs::write(source.join("file"), "content").unwrap();
    let from = format!("{}/", source.display());
    gate.say("prepare").exits(0);
    for place in ["backup:one\ntwo/", "backup:a\\b/"] {
        gate.rsync(&["-as", &from, place]).exits(0);
    }
    gate.say("complete 0").exits(0);
    assert!(gate.newest().join("one\ntwo/file").exists() && gate.newest().join("a\\b/file").exists());
    assert!(!gate.record().push.unwrap().partial, "{:?}", gate.record().warnings);
}

/// A gate whose client has a repository, and so a ledger; its first line is of what made it.
fn gate_with_ledger() -> Gate {
    let gate = Gate::new();
    gate.say("prepare").exits(0);
    gate
}

/// Starts the gate with `input` on its standard input, which stays open.
fn open_line(gate: &Gate, command: &str, input: &[u8]) -> (Child, std::process::ChildStdin) {
    let mut child = gate.say_command(command, "");
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = child.stdin.take().unwrap();
    // A gate that has refused is gone before it has read everything.
    let _ = line.write_all(input);
    (child, line)
}

/// Its status and what it said.
fn ended(mut child: Child) -> (Option<i32>, String) {
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap().code(), said)
}

#[test]
fn whatever_is_no_block_is_refused_and_remembered() {
    let gate = gate_with_ledger();
    let block = |words: &[&[u8]]| [b"rsync\0".to_vec(), words.join(&0), b"\0\0".to_vec()].concat();
    for (input, code, told) in [
        (b"\x20\0\0\0".to_vec(), Code::Command, "something else came"),
        (b"GET / HTTP/1.1\r\n".to_vec(), Code::Command, "something else came"),
        ([b"rsync\0--".to_vec(), vec![b'x'; 1 << 16]].concat(), Code::TooLong, "256 words or 4096 bytes"),
        ([b"rsync\0".to_vec(), b"-r\0".repeat(300)].concat(), Code::TooLong, "256 words or 4096 bytes"),
        (block(&[b"--write-devices", b".", b"x"]), Code::Option, "`--write-devices`"),
        (block(&[b"--link-dest=/etc", b"-K", b".", b"../x"]), Code::Option, "`-K`"),
        (block(&[b"--sender", b".", b"/etc"]), Code::Pull, "this server takes pushes"),
        (block(&[b".", b"a", b"../../b\n"]), Code::Destinations, "`a` `../../b\\n`"),
        (block(&[b".", b"../\x1b[2J"]), Code::Path, "`..`"),
        (block(&[b"--delete"]), Code::Command, "ends before the word `.`"),
    ] {
        let (child, _line) = open_line(&gate, LINE, &input);
        let (status, said) = ended(child);
        assert_eq!(status, Some(77), "{said}");
        let record = gate.record();
        assert_eq!((record.result, record.reasons[0].code), (Outcome::Refused, code), "{said}");
        assert!(said.contains(told) && said.contains(&format!("(code {code})")), "{told}: {said}");
        assert!(record.command.starts_with(&format!("{LINE} and on standard input")) || input[0] == 0x20, "{}", record.command);
        assert!(!record.command.chars().any(char::is_control) && record.command.len() < 1100, "{}", record.command);
    }
    let cut = run(gate.say_command(LINE, "").stdin(Stdio::null())).exits(77);
    assert_eq!(cut.code(), Some("secluded"), "{}", cut.stderr);
    assert_eq!(gate.ledger().len(), 1 + 11, "every one is in the ledger");
    assert!(gate.snapshots().is_empty());
    gate.flush();
    assert!(gate.mails().iter().any(|mail| mail.contains("--write-devices")), "{:?}", gate.mails());
}

#[test]
fn silence_and_dripping_bytes_are_ended_at_the_same_deadline() {
    let gate = gate_with_ledger();
    let (silent, _open) = open_line(&gate, LINE, b"");
    let (dripping, mut line) = open_line(&gate, LINE, b"rsync\0");
    let began = Instant::now();
    let drip = spawn(move || {
        while line.write_all(b"x").is_ok() && began.elapsed() < Duration::from_secs(40) {
            sleep(Duration::from_millis(100));
        }
    });
    for child in [silent, dripping] {
        let (status, said) = ended(child);
        assert_eq!(status, Some(77), "{said}");
        assert!(said.contains("not all there after 10 seconds (code secluded)"), "{said}");
    }
    assert!(began.elapsed() > Duration::from_secs(9) && began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    drip.join().unwrap();
    support::until("both are in the ledger", || gate.ledger().len() == 3);
    assert!(gate.ledger().iter().any(|record| record.command.ends_with("xxx`")), "what had come is remembered");
}

#[test]
fn nobodys_input_is_read_before_who_where_when_and_what_are_right() {
    for (policy, command, code) in [
        (format!("{POLICY}from: [203.0.113.0/24]\n"), LINE, Code::Address),
        (format!("{POLICY}keys: [SHA256:uNiVztksCsDhcc0u9e8BrWZVXkXUtKkdbn5P0ETxr3k]\n"), LINE, Code::Key),
        (format!("{POLICY}when: [{{ days: mon, hours: \"00:00-00:01\" }}]\n"), LINE, Code::Window),
        ("verbs: [status]\n".to_owned(), LINE, Code::Verb),
        (POLICY.to_owned(), "rsync --server -slogDtprKe.iLsfxCIvu", Code::Option),
        (POLICY.to_owned(), "rsync --server --sender -slogDtpre.iLsfxCIvu", Code::Pull),
        (POLICY.to_owned(), "rsync --server -slogDtpre.iLsfxCIvu . x", Code::Command),
        (String::new(), "rsync --server -rle.iLsfxCIvu . ../x", Code::Path),
    ] {
        let gate = Gate::with("", &policy);
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(b"rsync\0.\0x\0\0").unwrap();
        input.rewind().unwrap();
        let mut ran = gate.say_command(command, "");
        let ended = ran.stdin(input.try_clone().unwrap()).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.code() == Some(77) && said.contains(&format!("(code {code})")), "{command}: {said}");
        // The two descriptors are one open file, so its place is where the gate left it.
        assert_eq!(input.stream_position().unwrap(), 0, "{code}: something was read");
    }
}

#[test]
fn explain_judges_what_is_visible_and_says_that_the_rest_is_not() {
    let gate = Gate::new();
    let explain = |line: &str| run(&mut gate.snapgate(&["explain", "--client", "web1", line]));
    let seen = explain(LINE).exits(0);
    assert!(seen.stdout.starts_with("web1: allowed as far as it can be seen\n"), "{}", seen.stdout);
    assert!(seen.stdout.contains("travel on standard input (`-s`)"), "{}", seen.stdout);
    let refused = explain("rsync --server -sKlogDtpr").exits(77);
    assert!(refused.stdout.contains("`-K` is not allowed"), "{}", refused.stdout);
    assert!(must(std::process::Command::new("ls").arg(gate.path().join("store"))).is_empty(), "nothing was done");
}
