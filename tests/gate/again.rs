//! Files that were stored again although the last snapshot has them: what is said of it is what differs.

use std::fs;
use std::path::Path;
use std::process::Command;

use snapgate::terms::record::StoredAgain;

use support::{Gate, POLICY, must};

const ONE: StoredAgain =
    StoredAgain { files: 1, same: 0, content: 0, mode: 0, owner: 0, times: 0, access_list: 0, attributes: 0, more: false };

/// Changes the source, with a program, and says what differs then.
type Case = (&'static str, &'static [&'static str], StoredAgain, &'static str);

const CASES: &[Case] = &[
    ("a mode", &["chmod", "600"], StoredAgain { mode: 1, ..ONE }, "1 with another mode"),
    ("a time", &["touch", "-d", "2026-02-01"], StoredAgain { times: 1, ..ONE }, "1 with another time"),
    ("an access list", &["setfacl", "-m", "u:12345:r"], StoredAgain { access_list: 1, ..ONE }, "1 with another access list"),
    ("an attribute", &["setfattr", "-n", "user.note", "-v", "x"], StoredAgain { attributes: 1, ..ONE }, "1 with other attributes"),
];

fn source(gate: &Gate) -> std::path::PathBuf {
    let source = gate.source("data");
    for name in ["kept", "file", "other"] {
        fs::write(source.join(name), name.repeat(1000)).unwrap();
        must(Command::new("touch").args(["-d", "2026-01-01"]).arg(source.join(name)));
        must(Command::new("chmod").arg("644").arg(source.join(name)));
    }
    source
}

fn change(words: &[&str], file: &Path) {
    must(Command::new(words[0]).args(&words[1..]).arg(file));
}

#[test]
fn where_a_file_differs_in_one_thing_that_is_said_and_it_is_no_warning() {
    for (name, words, expected, says) in CASES {
        let gate = Gate::new();
        let source = source(&gate);
        gate.push(&source, &["-AX"]).exits(0);
        change(words, &source.join("file"));
        gate.push(&source, &["-AX"]).exits(0);
        let record = gate.record();
        assert_eq!(record.warnings, [""; 0], "{name}");
        let facts = record.push.unwrap();
        assert_eq!((facts.linked, facts.received, facts.stored_again), (2, 1, Some(*expected)), "{name}");
        gate.flush();
        let mails = gate.mails();
        assert!(mails.iter().any(|mail| mail.contains(&format!("Again:      1 file stored before: {says}\r\n"))), "{mails:#?}");
        assert!(mails.iter().all(|mail| mail.contains("Nothing to do.")), "{name}: {mails:#?}");
    }
}

#[test]
fn what_changed_in_the_ordinary_way_is_not_spoken_of() {
    let gate = Gate::new();
    let source = source(&gate);
    gate.push(&source, &[]).exits(0);
    fs::write(source.join("file"), "longer".repeat(2000)).unwrap();
    // As long as it was.
    fs::write(source.join("other"), "rehto".repeat(1000)).unwrap();
    fs::write(source.join("new"), "new").unwrap();
    gate.push(&source, &[]).exits(0);
    let record = gate.record();
    assert_eq!((record.warnings.len(), record.push.unwrap().stored_again), (0, None));
}

#[test]
fn what_was_stored_again_as_it_is_is_a_warning_with_the_cause_if_that_is_known() {
    let gate = Gate::with("", POLICY);
    let source = source(&gate);
    gate.push(&source, &[]).exits(0);
    gate.push(&source, &["-I"]).exits(0);
    let record = gate.record();
    let says = "3 files are the same as in the last snapshot, content and all, and stored again instead of linked";
    assert_eq!(record.warnings, [format!("{says}: the client has its rsync ignore times (-I)")]);
    assert_eq!(record.push.unwrap().stored_again, Some(StoredAgain { files: 3, same: 3, ..ONE }));
}

#[test]
fn the_cause_is_named_at_complete_where_a_push_before_it_asked_for_it() {
    let gate = Gate::new();
    let source = source(&gate);
    gate.push(&source, &[]).exits(0);
    for (options, cause) in [(&["--ignore-times"][..], true), (&[][..], false)] {
        gate.say("prepare").exits(0);
        gate.push(&source, options).exits(0);
        gate.say("complete 0").exits(0);
        let record = gate.record();
        let says = "3 files are the same as in the last snapshot, content and all, and stored again instead of linked";
        let says = cause.then(|| format!("{says}: the client has its rsync ignore times (-I)"));
        assert_eq!(record.warnings, Vec::from_iter(says));
        assert_eq!(record.push.unwrap().linked, if cause { 0 } else { 3 });
    }
}

/// A disk that forgets, or somebody who would not be noticed.
#[test]
fn other_content_of_the_same_size_and_time_is_told_when_the_client_looks_for_it() {
    let gate = Gate::new();
    let source = source(&gate);
    gate.push(&source, &[]).exits(0);
    fs::write(source.join("file"), "elif".repeat(1000)).unwrap();
    must(Command::new("touch").args(["-d", "2026-01-01"]).arg(source.join("file")));
    gate.push(&source, &["-c"]).exits(0);
    let record = gate.record();
    assert_eq!((record.warnings.len(), record.push.unwrap().stored_again), (0, Some(StoredAgain { content: 1, ..ONE })));
    assert_eq!(fs::read_to_string(gate.newest().join("file")).unwrap(), "elif".repeat(1000));
}
