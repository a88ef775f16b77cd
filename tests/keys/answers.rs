//! Whose key it is, whatever has become of the policies and of the index since.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;
use std::thread;

use support::{SNAPGATE, can_trace, is_root, mode, must, run};

use crate::lab::{Lab, fingerprint, key, policy};

#[test]
fn a_key_is_the_client_s_whose_policy_lists_it_for_that_account() {
    let restoring = format!("user: backup\nrestore: {{ keys: [{}] }}\n", fingerprint(3));
    let lab = Lab::new(&[
        ("web1", &policy("backup", &[1, 2])),
        ("web2", &policy("other", &[1])),
        ("web3", &restoring),
        ("open", "user: backup\n"),
        ("own", &format!("keys: [{}]\n", fingerprint(4))),
    ]);
    for _ in ["without an index", "with one"] {
        assert_eq!(lab.client("backup", 1).as_deref(), Some("web1"));
        assert_eq!(lab.client("backup", 2).as_deref(), Some("web1"));
        assert_eq!(lab.client("other", 1).as_deref(), Some("web2"));
        assert_eq!(lab.client("other", 2), None);
        assert_eq!(lab.client("backup", 3).as_deref(), Some("web3"), "a key that may only restore");
        assert_eq!(lab.client("own", 4).as_deref(), Some("own"));
        assert_eq!(lab.client("backup", 4), None);
        assert_eq!(lab.client("backup", 9), None, "a policy without keys is nobody's in particular");
        lab.refresh();
    }
}

#[test]
fn the_index_is_never_stale() {
    let lab = Lab::new(&[("a", &policy("backup", &[1])), ("b", &policy("backup", &[2])), ("c", &policy("backup", &[3]))]);
    lab.settle(&["a", "b", "c"]);
    let is = |number: u32, client: Option<&str>| assert_eq!(lab.client("backup", number).as_deref(), client, "key {number}");
    // Edited in place, by as many bytes, and with the time of before.
    let reference = lab.path().join("reference");
    must(Command::new("cp").args(["-p", lab.policy("a").to_str().unwrap()]).arg(&reference));
    lab.write("a", &policy("backup", &[4]));
    must(Command::new("touch").arg("-r").arg(&reference).arg(lab.policy("a")));
    is(1, None);
    is(4, Some("a"));
    // Renamed over.
    fs::write(lab.path().join("new"), policy("backup", &[5])).unwrap();
    fs::rename(lab.path().join("new"), lab.policy("b")).unwrap();
    is(2, None);
    is(5, Some("b"));
    // Moved to another policy, and both changed.
    lab.write("b", &policy("backup", &[4]));
    lab.write("a", &policy("backup", &[5]));
    is(4, Some("b"));
    is(5, Some("a"));
    // Added, and renamed.
    lab.write("d", &policy("backup", &[6]));
    is(6, Some("d"));
    fs::rename(lab.policy("d"), lab.policy("e")).unwrap();
    is(6, Some("e"));
    // Removed.
    fs::remove_file(lab.policy("c")).unwrap();
    is(3, None);
    // Given to another account.
    lab.write("a", &policy("other", &[5]));
    is(5, None);
    assert_eq!(lab.client("other", 5).as_deref(), Some("a"));
    // What the site file says of all of them.
    lab.settle(&["a", "b", "e"]);
    lab.write("f", "report: always\n");
    lab.settle(&["f"]);
    is(8, None);
    lab.site(&format!("defaults: {{ user: backup, keys: [{}] }}\n", fingerprint(8)));
    is(8, Some("f"));
    lab.site("");
    is(8, None);
}

/// What an administrator, an editor or a tool may do to the policies, as a shell does it in their directory. K is the key of a stranger.
const EDITS: [(&str, &str); 17] = [
    ("written in place", "(echo 'user: backup'; echo 'keys: [K]') > a.yaml"),
    (
        "one byte in place, and the times of before",
        "touch -r a.yaml ../t; sed 's/backup/backuq/' a.yaml > ../n; cat ../n > a.yaml; touch -r ../t a.yaml",
    ),
    ("written over through another name", "ln a.yaml ../l; (echo 'user: backup'; echo 'keys: [K]') > ../l"),
    ("by sed -i", "sed -i 's|SHA256:.*|K]|' a.yaml"),
    ("by cp over it", "(echo 'user: backup'; echo 'keys: [K]') > ../n; cp ../n a.yaml"),
    ("by mv over it, an older file", "cp -p b.yaml ../n; touch -d 2001-01-01 ../n; mv ../n a.yaml"),
    ("a backup, as editors make one", "mv a.yaml a.yaml~; (echo 'user: backup'; echo 'keys: [K]') > a.yaml; rm a.yaml~"),
    ("a key added at the end of another account's", "echo 'restore: { keys: [K] }' >> c.yaml; sed -i 's/other/backup/' c.yaml"),
    ("one that lists a key of another's, too", "sed 's/.*keys/keys/' a.yaml | grep keys > ../n; (echo 'user: backup'; cat ../n) > b.yaml"),
    ("exchanged", "mv a.yaml x; mv b.yaml a.yaml; mv x b.yaml"),
    ("a new one", "(echo 'user: backup'; echo 'keys: [K]') > d.yaml"),
    ("a new one beside one that goes", "rm a.yaml; (echo 'user: backup'; echo 'keys: [K]') > d.yaml"),
    ("moved to another client", "mv a.yaml d.yaml"),
    ("a link in its place", "mv a.yaml ../a; ln -s ../a a.yaml"),
    ("others may write it", "chmod 666 a.yaml"),
    ("the directory itself", "cd ..; mv policies old; cp -a old policies; (echo 'user: backup'; echo 'keys: [K]') > policies/a.yaml"),
    (
        "the directory, and the one of before again",
        "cd ..; mv policies old; mkdir policies; rmdir policies; mv old policies; rm policies/a.yaml",
    ),
];

#[test]
fn whatever_is_done_to_the_policies_an_answer_is_the_same_as_without_the_index() {
    // Each has to wait until its files are old enough.
    thread::scope(|scope| EDITS.iter().for_each(|(what, edit)| drop(scope.spawn(|| is_the_same_after(what, edit)))));
}

fn is_the_same_after(what: &str, edit: &str) {
    let lab = Lab::new(&[("a", &policy("backup", &[1])), ("b", &policy("backup", &[2])), ("c", &policy("other", &[3]))]);
    lab.settle(&["a", "b", "c"]);
    let answers = || -> Vec<Option<String>> {
        let asked = [1, 2, 3, 9].into_iter().flat_map(|number| ["backup", "other", "backuq"].map(|account| (account, number)));
        asked.map(|(account, number)| lab.client(account, number)).collect()
    };
    let before = answers();
    let edit = edit.replace('K', fingerprint(9).as_str());
    must(Command::new("sh").args(["-ec", &edit]).current_dir(lab.path().join("policies")));
    let with = answers();
    fs::remove_file(lab.index()).unwrap();
    assert_eq!(with, answers(), "{what}");
    assert_ne!(with, before, "{what}: this says something");
}

#[test]
fn a_policy_that_changed_before_the_clock_went_back_is_read_again() {
    let lab = Lab::new(&[("a", &policy("backup", &[1]))]);
    lab.settle(&["a"]);
    // As the index of a clock that was ahead: it takes the file for another one than it is.
    let mut ahead = lab.read();
    let entry = ahead.entries.get_mut(&"a".parse().unwrap()).unwrap();
    entry.stamp.as_mut().unwrap().changed.0 += 9;
    entry.keys = [fingerprint(2)].into();
    fs::write(lab.index(), ahead.bytes()).unwrap();
    assert_eq!(lab.client("backup", 1).as_deref(), Some("a"));
    assert_eq!(lab.client("backup", 2), None);
}

#[test]
fn an_index_that_is_wrong_about_one_policy_is_believed_in_nothing_whatever_became_of_another() {
    let lab = Lab::new(&[("a", &policy("backup", &[1])), ("b", &policy("backup", &[2])), ("c", &policy("backup", &[3]))]);
    lab.settle(&["a", "b", "c"]);
    let mut wrong = lab.read();
    for (client, number) in [("a", 3), ("b", 3), ("c", 9)] {
        wrong.entries.get_mut(&client.parse().unwrap()).unwrap().keys = [fingerprint(number)].into();
    }
    fs::write(lab.index(), wrong.bytes()).unwrap();
    assert_eq!(lab.client("backup", 3).as_deref(), Some("c"));
    // This one says nothing of the key any more, as it may.
    lab.write("a", &policy("backup", &[4]));
    assert_eq!(lab.client("backup", 3).as_deref(), Some("c"));
}

#[test]
fn a_policy_that_cannot_be_used_lets_nobody_in_and_keeps_nobody_else_out() {
    let lab = Lab::new(&[("a", &policy("backup", &[1])), ("b", &policy("backup", &[2]))]);
    let syslog = std::os::unix::net::UnixDatagram::bind(lab.path().join("syslog")).unwrap();
    syslog.set_nonblocking(true).unwrap();
    lab.settle(&["a", "b"]);
    lab.write("a", &(policy("backup", &[1]) + "reprot: always\n"));
    for _ in ["with the index of before", "with one of now"] {
        assert_eq!(lab.client("backup", 1), None);
        assert_eq!(lab.client("backup", 2).as_deref(), Some("b"));
        let mut line = [0; 4096];
        let length = syslog.recv(&mut line).unwrap();
        let line = String::from_utf8_lossy(&line[..length]).into_owned();
        assert!(line.contains("mode=keys account=backup key=SHA256:") && line.contains("reprot"), "{line}");
        lab.refresh();
    }
    lab.write("a", &policy("backup", &[1]));
    assert_eq!(lab.client("backup", 1).as_deref(), Some("a"), "mended, and its file is read although no check has been");
    // The site file speaks for all.
    lab.site("stroe: x\n");
    let (kind, text) = key(2);
    let ran = lab.ask("backup", kind, &text).exits(78);
    assert!(ran.stdout.is_empty() && ran.stderr.contains("stroe"), "{}", ran.stderr);
}

#[test]
fn a_key_of_two_policies_is_nobody_s_where_both_are_for_the_account() {
    let lab = Lab::new(&[("a", &policy("backup", &[1])), ("b", &policy("backup", &[1, 2]))]);
    for _ in ["without an index", "with one"] {
        assert_eq!(lab.client("backup", 1), None);
        assert_eq!(lab.client("backup", 2).as_deref(), Some("b"));
        lab.refresh();
    }
    lab.write("a", &policy("other", &[1]));
    assert_eq!(lab.client("backup", 1).as_deref(), Some("b"));
    assert_eq!(lab.client("other", 1).as_deref(), Some("a"));
}

#[test]
fn a_key_that_is_valid_until_a_date_is_so_here_too() {
    let lab = Lab::new(&[("a", &policy("backup", &[1, 2]))]);
    fs::create_dir(lab.path().join("keys")).unwrap();
    let file = lab.path().join("keys/backup");
    let (kind, text) = key(1);
    fs::write(&file, format!("restrict,expiry-time=\"202701010000Z\" {kind} {text} old\n")).unwrap();
    let said = lab.ask("backup", kind, &text).exits(0).stdout;
    assert!(said.starts_with("restrict,expiry-time=\"202701010000Z\",command=\""), "{said}");
    assert!(lab.client("backup", 2).is_some(), "of another key it says nothing");
    // Others may have taken the end away.
    mode(&file, 0o666);
    assert!(lab.ask("backup", kind, &text).exits(78).stderr.contains("chmod go-w"));
    mode(&file, 0o644);
    mode(&lab.path().join("keys"), 0o777);
    assert!(lab.ask("backup", kind, &text).exits(78).stdout.is_empty());
    mode(&lab.path().join("keys"), 0o755);
    if is_root() {
        chown(&file, Some(12345), None).unwrap();
        assert!(lab.ask("backup", kind, &text).exits(78).stdout.is_empty());
        chown(&file, Some(0), None).unwrap();
    }
    lab.ask("backup", kind, &text).exits(0);
    // A file that is long, as one of many keys, is read.
    let long = format!("# {}\n", "x".repeat(200)).repeat(2000);
    fs::write(&file, long + &format!("restrict,expiry-time=\"202801010000Z\" {kind} {text} old\n")).unwrap();
    assert!(lab.ask("backup", kind, &text).exits(0).stdout.contains("202801010000Z"));
    // What nobody can read might say so.
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(lab.ask("backup", kind, &text).exits(78).stdout.is_empty());
}

#[test]
fn a_key_that_is_known_costs_the_reading_of_one_policy() {
    if !can_trace() {
        return;
    }
    let policies: Vec<_> = (0..40).map(|number| (format!("c{number}"), policy("backup", &[number]))).collect();
    let lab = Lab::new(&policies.iter().map(|(client, text)| (client.as_str(), text.as_str())).collect::<Vec<_>>());
    let names: Vec<_> = policies.iter().map(|(client, _)| client.as_str()).collect();
    lab.settle(&names);
    let (kind, text) = key(7);
    let log = lab.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-e", "trace=openat,open,getdents64", "-o"]).arg(&log).arg(SNAPGATE);
    run(command.arg("--config").arg(lab.path()).args(["keys", "backup", kind, &text])).exits(0);
    let log = fs::read_to_string(log).unwrap();
    let opened: Vec<_> = log.lines().filter(|line| line.contains(".yaml\"") && !line.contains("snapgate.yaml")).collect();
    assert!(opened.len() == 1 && opened[0].contains("c7.yaml") && !log.contains("getdents64"), "{log}");
}
