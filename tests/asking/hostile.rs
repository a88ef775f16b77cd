//! Ledgers that no gate wrote: an account may write anything into its own.

use std::fs::{self, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::symlink;
use std::process::Command;

use support::{Gate, run};

use crate::says;

/// A gate with a few events, and its ledger.
fn with_events() -> (Gate, std::path::PathBuf) {
    let gate = Gate::new();
    gate.push(&gate.source("data"), &[]).exits(0);
    gate.say("nothing of the kind");
    let ledger = gate.inside(".snapgate/ledger.jsonl");
    (gate, ledger)
}

fn add(ledger: &std::path::Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(ledger).unwrap().write_all(bytes).unwrap();
}

#[test]
fn no_ledger_speaks_of_another_client_or_to_the_terminal() {
    let (gate, ledger) = with_events();
    let real = fs::read_to_string(&ledger).unwrap().lines().last().unwrap().to_owned();
    let forged = real
        .replace("\"client\":\"web1\"", "\"client\":\"db1\"")
        .replace("nothing of the kind", "\\u001b[2J\u{9b}31m\u{202e}x\\nroot  published")
        .replace("\"account\":\"", "\"account\":\"\\u001b]0;x\\u0007");
    assert_ne!(forged, real);
    add(&ledger, format!("{forged}\n").as_bytes());
    for words in [&["log"][..], &["log", "-v"], &["log", "--json"], &["log", "-n", "9"]] {
        let said = says(&gate, words).exits(0).stdout;
        assert!(!said.contains("db1"), "{said}");
        assert!(!said.chars().any(|one| (one.is_control() && one != '\n') || one == '\u{202e}'), "{said:?}");
    }
    assert_eq!(says(&gate, &["log"]).exits(0).stdout.lines().count(), 3, "it is web1's own");
}

#[test]
fn lines_that_are_no_events_are_passed_over_whatever_they_are() {
    let (gate, ledger) = with_events();
    let real = fs::read_to_string(&ledger).unwrap();
    add(&ledger, b"\n\n{\"id\":\"torn\n\xff\xfe\x00\n[]\n{}\n");
    add(&ledger, &vec![b'{'; 3 << 20]);
    add(&ledger, b"\n");
    add(&ledger, format!("{real}{{\"version\":1,\"kind\":\"push\",\"id\":\"half").as_bytes());
    for words in [&["log"][..], &["log", "-n", "99"]] {
        assert_eq!(says(&gate, words).exits(0).stdout.lines().count(), 4, "{words:?}");
    }
    let said = says(&gate, &["log", "-v"]).exits(1);
    assert!(said.stderr.contains("web1: 6 lines of its ledgers that no gate wrote whole"), "{}", said.stderr);
    // Who writes next goes on behind a torn line.
    gate.say("nothing of the kind");
    assert_eq!(says(&gate, &["log"]).exits(0).stdout.lines().count(), 5);
}

#[test]
fn nothing_else_is_read_in_the_ledger_s_place_and_nobody_is_waited_for() {
    let (gate, ledger) = with_events();
    let kept = gate.path().join("kept");
    fs::rename(&ledger, &kept).unwrap();
    symlink(&kept, &ledger).unwrap();
    assert!(says(&gate, &["log"]).exits(1).stderr.contains("web1: its ledger cannot be read"));
    fs::remove_file(&ledger).unwrap();
    support::must(Command::new("mkfifo").arg(&ledger));
    let said = says(&gate, &["log"]).exits(1);
    assert!(said.stderr.contains("`ledger.jsonl` is not a file of its own") && said.stdout.is_empty(), "{said:?}");
    fs::remove_file(&ledger).unwrap();
    fs::create_dir_all(gate.inside(".snapgate/ledgers")).unwrap();
    fs::write(gate.inside(".snapgate/ledgers/2026-01-01T00-00-00Z.jsonl.gz"), "no gzip").unwrap();
    assert!(says(&gate, &["log"]).exits(1).stderr.contains("web1: its ledger cannot be read"));
}

#[test]
fn a_ledger_of_any_length_takes_no_more_memory() {
    let (gate, ledger) = with_events();
    let lines = fs::read(&ledger).unwrap();
    let mut out = BufWriter::new(OpenOptions::new().append(true).open(&ledger).unwrap());
    let (mut written, wanted) = (0, 8 << 20);
    while written < wanted {
        out.write_all(&lines).unwrap();
        written += lines.len();
    }
    out.write_all(&vec![b'x'; 64 << 20]).unwrap();
    out.flush().unwrap();
    for words in [&["log"][..], &["log", "-n", "100"], &["log", "--outcome", "failed"]] {
        // Address space, so all of it: program, stacks of threads, heap.
        let mut command = Command::new("prlimit");
        let program = gate.snapgate(words);
        command.arg(format!("--as={}", 256 << 20)).arg(program.get_program()).args(program.get_args());
        let said = run(&mut command).exits(0).stdout;
        let count = said.lines().count();
        match words.len() {
            1 => assert!(count > 10_000, "{count}"),
            _ => assert!([100, 0].contains(&count), "{words:?}: {count}"),
        }
    }
}
