//! Questions: `explain`, `list`, `check`, and what a client may ask. None of them changes anything.

use std::fs;

use crate::support::{ALL_VERBS, Server, Setup, tree};

const PUSH: &str = "rsync --server -logDtpre.iLsfxCIvu --delete . .";

fn quiet(server: &Server, words: &[&str]) -> crate::support::client::Ran {
    let everything = || [server.config(), server.store().to_owned(), server.path().join("spool")].map(|path| tree::listing(&path));
    let before = everything();
    let ran = server.snapgate(words);
    assert_eq!(everything(), before, "{words:?} does nothing");
    ran
}

#[test]
fn explain_shows_what_would_be_done_and_does_nothing() {
    let server = Setup::new().client("web1", "from: [203.0.113.0/24]\n").start();
    let ran = quiet(&server, &["explain", "--client", "web1", "--from", "203.0.113.9", "--at", "2026-11-21T03:00", PUSH]).exits(0);
    for text in ["--server", "--delete", "2026-11-21T03-00-00Z", "inprogress"] {
        assert!(ran.stdout.contains(text), "`{text}` in: {}", ran.stdout);
    }
}

#[test]
fn explain_says_every_reason_with_file_and_line() {
    let policy = "from: [203.0.113.0/24]\nverbs: [status]\nwhen: [{ days: mon-fri, hours: \"22:00-06:00\" }]\ntimezone: Europe/Madrid\n";
    let server = Setup::new().client("web1", policy).start();
    // 2026-11-21 is a Saturday.
    let ran = quiet(&server, &["explain", "--client", "web1", "--from", "192.0.2.1", "--at", "2026-11-21T12:00", PUSH]).exits(77);
    let output = ran.stdout + &ran.stderr;
    for text in ["address", "verb", "window", "web1.yaml:1", "web1.yaml:2", "web1.yaml:3"] {
        assert!(output.contains(text), "`{text}` in: {output}");
    }
    let night = quiet(&server, &["explain", "--client", "web1", "--from", "203.0.113.9", "--at", "2026-11-20T23:00", "status"]).exits(0);
    assert!(night.stdout.contains("status"), "{}", night.stdout);
}

#[test]
fn explain_and_serve_run_the_same_argv() {
    let server = Server::start();
    let source = server.source("data");
    tree::small(&source);
    server.client("web1").push(&source, &[]).exits(0);
    let ran = quiet(&server, &["explain", "--client", "web1", PUSH]).exits(0);
    assert!(ran.stdout.contains("--link-dest"), "the newest snapshot is its basis: {}", ran.stdout);
}

#[test]
fn check_finds_nothing_in_good_files_and_the_fault_in_bad_ones() {
    let server = Setup::new().client("web1", ALL_VERBS).start();
    quiet(&server, &["check"]).exits(0);
    server.policy("web1", "colour: blue\n");
    let ran = quiet(&server, &["check"]).exits(1);
    let output = ran.stdout + &ran.stderr;
    assert!(output.contains("web1.yaml:1:") && output.contains("colour") && output.contains('^'), "{output}");
}

#[test]
fn check_finds_policies_that_get_in_each_others_way() {
    let server = Setup::new().client_on(0, "web1", "keys: [$KEY]\n").client_on(0, "db1", "keys: [$KEY]\n").start();
    let key = server.client("web1").fingerprint();
    server.policy("db1", &format!("keys: [{key}]\n"));
    let ran = quiet(&server, &["check"]).exits(1);
    assert!((ran.stdout + &ran.stderr).contains(&key));
    server.policy("db1", "keys: [$KEY]\npath: $DIR/store/web1/inside\n");
    let ran = quiet(&server, &["check"]).exits(1);
    assert!((ran.stdout + &ran.stderr).contains("is inside the repository"));
}

#[test]
fn list_shows_the_snapshots() {
    let server = Server::start();
    let source = server.source("data");
    tree::small(&source);
    for _ in 0..2 {
        server.client("web1").push(&source, &[]).exits(0);
    }
    let names = server.repository("web1").snapshots();
    for words in [["list"].as_slice(), &["list", "web1"]] {
        let ran = quiet(&server, words).exits(0);
        assert!(ran.stdout.contains("web1") || words.len() == 2);
        for name in &names {
            assert!(ran.stdout.contains(name.as_str()), "{name} in: {}", ran.stdout);
        }
    }
    assert_ne!(quiet(&server, &["list", "nobody"]).status, 0);
}

#[test]
fn no_command_says_who_you_are_and_what_you_may_do() {
    let server = Setup::new().client("web1", "verbs: [rsync, status]\nwhen: [{ days: mon-sun, hours: \"00:00-24:00\" }]\n").start();
    let (web1, source) = (server.client("web1"), server.source("data"));
    tree::small(&source);
    let before = web1.ssh::<&str>(&[]).exits(0);
    assert!(before.stdout.contains("web1") && before.stdout.contains("rsync"), "{}", before.stdout);
    web1.push(&source, &[]).exits(0);
    let after = web1.ssh::<&str>(&[]).exits(0);
    assert!(after.stdout.contains(&server.repository("web1").snapshots()[0]), "{}", after.stdout);
    assert!(!after.stdout.contains(&server.path().display().to_string()), "nothing about the server: {}", after.stdout);
}

#[test]
fn help_and_status_answer() {
    let server = Server::start();
    let web1 = server.client("web1");
    let help = web1.ssh(&["help"]).exits(0);
    for verb in ["prepare", "rsync", "complete", "abort", "status"] {
        assert!(help.stdout.contains(verb), "{verb} in: {}", help.stdout);
    }
    web1.ssh(&["status"]).exits(0);
    web1.ssh(&["prepare"]).exits(0);
    let status = web1.ssh(&["status"]).exits(0);
    assert!(status.stdout.contains("prepare") || status.stdout.contains("transaction"), "{}", status.stdout);
}

#[test]
fn there_is_a_sample_for_each_way_of_working_and_it_explains_itself() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    let mut count = 0;
    for entry in fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "yaml") {
            count += 1;
            assert!(fs::read_to_string(&path).unwrap().contains('#'), "{}: a sample explains itself", path.display());
        }
    }
    assert!(count >= 5, "one for each way of working");
}

#[test]
fn a_wrong_word_on_the_command_line_is_a_usage_error() {
    let server = Setup::new().start();
    for words in [["fly"].as_slice(), &["explain"], &["serve", "--client"], &["serve", "--client", "../x"]] {
        let ran = server.snapgate(words);
        assert!(ran.status >= 2, "{words:?}: {ran:?}");
    }
}
