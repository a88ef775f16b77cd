//! The administrator's own commands, before and after a push.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use support::{Server, Setup, tree, until};

/// A server whose `web1` has these hooks; their scripts are written before the policy is read for the first time.
fn with_hooks(policy: &str, scripts: &[(&str, &str)]) -> Server {
    let server = Setup::new().client("web1", &format!("verbs: [prepare, rsync, complete, abort, status]\n{policy}")).start();
    for (name, text) in scripts {
        server.script(name, &text.replace("$DIR", &server.path().display().to_string()));
    }
    // Hooks run as the account; this is where they leave what they have seen.
    let seen = server.source("seen");
    support::mode(&seen, 0o777);
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
    let (path, snapshot) = (repository.path.display(), repository.snapshot(0));
    let environment = |name: &str| {
        let text = fs::read_to_string(server.path().join("source/seen").join(name)).unwrap();
        // What the shell sets for itself is no one's word, and other programs change how much is free.
        let others = ["PWD=", "SHLVL=", "_=", "OLDPWD=", "SNAPGATE_FREE_BYTES="];
        let lines = text.lines().filter(|line| !others.iter().any(|own| line.starts_with(own)));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let record = server.record();
    let facts = record.push.unwrap();
    let began = record.at.format("%Y-%m-%dT%H:%M:%SZ");
    // All of it: nothing of the client's and nothing of sshd's is in there.
    let expected = |hook: &str, told: [(&str, String); 12]| {
        let mut all = vec![
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            "SNAPGATE_ADDRESS=127.0.0.1".to_owned(),
            format!("SNAPGATE_BEGAN={began}"),
            "SNAPGATE_CLIENT=web1".to_owned(),
            format!("SNAPGATE_HOOK={hook}"),
            format!("SNAPGATE_ID={}", record.id),
            format!("SNAPGATE_INPROGRESS={path}/inprogress"),
            format!("SNAPGATE_REPOSITORY={path}"),
        ];
        all.extend(told.map(|(name, value)| format!("SNAPGATE_{name}={value}")));
        all.sort();
        all
    };
    let told = [
        ("SNAPSHOT", snapshot.display().to_string()),
        ("NAME", facts.snapshot.unwrap()),
        ("OUTCOME", "published".to_owned()),
        ("RSYNC_EXIT", "0".to_owned()),
        ("SECONDS", format!("{:.0}", facts.seconds)),
        ("FILES", facts.files.to_string()),
        ("BYTES", facts.bytes.to_string()),
        ("LINKED", "0".to_owned()),
        ("RECEIVED", facts.received.to_string()),
        ("RECEIVED_BYTES", facts.received_bytes.to_string()),
        ("SKIPPED", "0".to_owned()),
        ("WIRE_BYTES", facts.wire_bytes.unwrap().to_string()),
    ];
    assert_eq!(environment("before"), expected("prepare", told.clone().map(|(name, _)| (name, String::new()))));
    assert_eq!(environment("after"), expected("complete", told));
    assert_eq!(fs::read_to_string(server.path().join("source/seen/pwd")).unwrap(), "/\n");
}

#[test]
fn the_complete_hook_finds_the_snapshot_published_and_inprogress_is_where_rsync_writes() {
    let policy = "hooks: { prepare: [$DIR/hooks/note], complete: [$DIR/hooks/look] }\n";
    let scripts = [
        ("note", "echo \"$SNAPGATE_INPROGRESS\" > $DIR/source/seen/inprogress"),
        (
            "look",
            "ls \"$SNAPGATE_SNAPSHOT\" > $DIR/source/seen/look; ls -d \"$SNAPGATE_INPROGRESS\" >> $DIR/source/seen/look 2>&1; readlink \"$SNAPGATE_REPOSITORY/current\" >> $DIR/source/seen/look",
        ),
    ];
    let server = with_hooks(policy, &scripts);
    let (source, repository) = (server.path().join("source/data"), server.repository("web1"));
    tree::write(&source.join("large"), tree::noise(5, 3_000_000));
    let push = server.client("web1").start_push(&source, &["--bwlimit=300"]);
    let noted = server.path().join("source/seen/inprogress");
    until("the hook has run", || fs::read_to_string(&noted).is_ok_and(|text| text.ends_with('\n')));
    let inprogress = fs::read_to_string(&noted).unwrap().trim_end().to_owned();
    until("rsync stands there", || {
        let all = support::processes::of(&repository.path, "rsync");
        // Under the name that it has for rsync.
        let stands =
            |pid: &u32| fs::metadata(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.ino() == fs::metadata(&inprogress).unwrap().ino());
        all.iter().any(stands)
    });
    push.kill();
    until("the push is over", || support::processes::of(server.path(), "snapgate-shell").is_empty());
    fs::remove_file(source.join("large")).unwrap();
    server.client("web1").push(&source, &[]).exits(0);
    let look = fs::read_to_string(server.path().join("source/seen/look")).unwrap();
    let lines: Vec<_> = look.lines().collect();
    let current = repository.current().unwrap();
    assert_eq!(lines[..4], ["a.txt", "empty", "etc", "photo.raw"], "{look}");
    assert!(lines[4].contains("No such file"), "it is a snapshot now: {look}");
    assert_eq!(lines[5], current, "`current` leads to it already");
}

#[test]
fn a_prepare_hook_that_fails_refuses_the_push() {
    let server = with_hooks("hooks: { prepare: [$DIR/hooks/no] }\n", &[("no", "echo the disk is nearly full; exit 3")]);
    let source = server.path().join("source/data");
    let ran = server.client("web1").push(&source, &[]).refused("hook", 75);
    assert!(!ran.stderr.contains("nearly full") && !ran.stderr.contains("/hooks/"), "the client learns nothing: {}", ran.stderr);
    assert!(server.repository("web1").snapshots().is_empty());
    let mail = server.mail("hook");
    assert!(mail.body.contains("/hooks/no") && mail.body.contains("\n  the disk is nearly full\n"), "{}", mail.body);
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
    until("its children are gone", || support::processes::of(&server.path().join("hooks"), "sleep").is_empty());
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
