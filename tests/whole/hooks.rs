//! The administrator's own commands, before and after a push.

use std::fs;
use std::time::Duration;

use crate::support::{Server, Setup, tree, until};

/// A server whose `web1` has these hooks; their scripts are written before the policy is read for the first time.
fn with_hooks(policy: &str, scripts: &[(&str, &str)]) -> Server {
    let server = Setup::new().client("web1", &format!("verbs: [prepare, rsync, complete, abort, status]\n{policy}")).start();
    for (name, text) in scripts {
        server.script(name, &text.replace("$DIR", &server.path().display().to_string()));
    }
    // Hooks run as the account; this is where they leave what they have seen.
    let seen = server.source("seen");
    crate::support::mode(&seen, 0o777);
    tree::small(&server.source("data"));
    server
}

#[test]
fn hooks_run_around_a_plain_push_and_their_output_is_in_the_runs_log() {
    let policy = "hooks:\n  prepare: [$DIR/hooks/before, one, two words]\n  complete:\n    - [$DIR/hooks/after]\n    - [/bin/echo, second, $HOME, ';reboot']\n";
    let scripts = [
        ("before", "echo before $# \"$2\"; env | sort > $DIR/source/seen/before; pwd > $DIR/source/seen/pwd"),
        ("after", "echo after; env | sort > $DIR/source/seen/after"),
    ];
    let server = with_hooks(policy, &scripts);
    let source = server.path().join("source/data");
    server.client("web1").push(&source, &[]).exits(0);
    let repository = server.repository("web1");
    until("the complete hook has run", || server.path().join("source/seen/after").exists());
    let log = repository.log();
    for line in ["before 2 two words", "after", "second $HOME ;reboot"] {
        assert!(log.contains(line), "`{line}` in: {log}");
    }
    let before = fs::read_to_string(server.path().join("source/seen/before")).unwrap();
    let after = fs::read_to_string(server.path().join("source/seen/after")).unwrap();
    let snapshot = repository.snapshot(0);
    for line in [
        "SNAPGATE_CLIENT=web1".to_owned(),
        "SNAPGATE_HOOK=prepare".to_owned(),
        format!("SNAPGATE_REPOSITORY={}", repository.path.display()),
    ] {
        assert!(before.lines().any(|found| found == line), "`{line}` in: {before}");
    }
    for line in ["SNAPGATE_HOOK=complete".to_owned(), format!("SNAPGATE_SNAPSHOT={}", snapshot.display())] {
        assert!(after.lines().any(|found| found == line), "`{line}` in: {after}");
    }
    assert!(before.lines().any(|line| line.starts_with("PATH=/usr/")), "{before}");
    assert!(!before.contains("SSH_"), "nothing of the client's is in its environment: {before}");
}

#[test]
fn a_prepare_hook_that_fails_refuses_the_push() {
    let server = with_hooks("hooks: { prepare: [$DIR/hooks/no] }\n", &[("no", "echo the disk is nearly full; exit 3")]);
    let source = server.path().join("source/data");
    let ran = server.client("web1").push(&source, &[]).refused("hook", 75);
    assert!(!ran.stderr.contains("nearly full") && !ran.stderr.contains("/hooks/"), "the client learns nothing: {}", ran.stderr);
    assert!(server.repository("web1").snapshots().is_empty());
    let mail = server.mail("hook");
    assert!(mail.body.contains("/hooks/no"), "{}", mail.body);
    server.client("web1").ssh(&["prepare"]).refused("hook", 75);
    server.client("web1").ssh(&["complete"]).refused("transaction", 64);
}

#[test]
fn a_hook_that_hangs_is_ended_with_everything_it_started() {
    let policy = "hooks: { prepare: [$DIR/hooks/hang] }\ntime_limits: { hook: 1s }\n";
    let server = with_hooks(policy, &[("hang", "cd $DIR/hooks; sleep 300 & sleep 300")]);
    let source = server.path().join("source/data");
    let ran = server.client("web1").push(&source, &[]).refused("hook", 75);
    assert!(ran.took < Duration::from_secs(20), "{:?}", ran.took);
    until("its children are gone", || crate::support::processes::of(&server.path().join("hooks"), "sleep").is_empty());
}

#[test]
fn a_complete_hook_that_fails_is_a_warning_and_the_snapshot_stays() {
    let server = with_hooks("hooks: { complete: [$DIR/hooks/bad] }\n", &[("bad", "exit 4")]);
    let source = server.path().join("source/data");
    server.client("web1").push(&source, &[]).exits(0);
    assert_eq!(server.repository("web1").snapshots().len(), 1);
    let record = server.record();
    assert!(!record.warnings.is_empty(), "{record:?}");
    server.mail("hook");
}

#[test]
fn hooks_of_a_transaction_run_once_for_each_verb() {
    let policy = "hooks: { prepare: [$DIR/hooks/note], complete: [$DIR/hooks/note] }\n";
    let server = with_hooks(policy, &[("note", "echo $SNAPGATE_HOOK >> $DIR/source/seen/notes")]);
    let (web1, source) = (server.client("web1"), server.path().join("source/data"));
    web1.ssh(&["prepare"]).exits(0);
    web1.push(&source, &[]).exits(0);
    web1.push(&source, &[]).exits(0);
    web1.ssh(&["complete"]).exits(0);
    until("both have run", || fs::read_to_string(server.path().join("source/seen/notes")).unwrap_or_default() == "prepare\ncomplete\n");
}

#[test]
fn a_hook_cannot_speak_to_the_client() {
    let policy = "hooks: { prepare: [/bin/echo, hello client] }\n";
    let server = with_hooks(policy, &[]);
    let source = server.path().join("source/data");
    let ran = server.client("web1").push(&source, &[]).exits(0);
    assert!(!ran.stdout.contains("hello") && !ran.stderr.contains("hello"), "{ran:?}");
}

#[test]
fn a_job_report_is_mailed_when_the_policy_asks() {
    let server = with_hooks("report: always\n", &[]);
    let source = server.path().join("source/data");
    server.client("web1").push(&source, &[]).exits(0);
    let name = server.repository("web1").snapshots()[0].clone();
    let mail = server.mail(&name);
    assert!(mail.header("To").is_some_and(|to| to.contains("root@test.example")), "{}", mail.header);
    assert!(mail.header("Subject").is_some_and(|subject| subject.contains("web1")), "{}", mail.header);
}
