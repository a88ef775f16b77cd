//! What an administrator is mailed and a client is told: whose fault it was, what a hook has printed, and that somebody knows only where
//! somebody does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use nix::sys::signal::Signal;
use snapgate::terms::Mail;
use snapgate::terms::outcome::Outcome;

use support::processes;
use support::{GATE, Gate, POLICY, Running, can_trace, run};

/// The policy with these words about reports and hooks.
fn policy(report: &str, more: &str) -> String {
    format!("verbs: [prepare, rsync, complete, abort, status]\nreport: {report}\noptions: {{ allow: [owner, group] }}\n{more}")
}

/// A hook of the administrator's.
fn script(gate: &Gate, name: &str, text: &str) {
    gate.write(name, &format!("#!/bin/sh\n{text}\n"));
    fs::set_permissions(gate.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
}

fn file(gate: &Gate) -> std::path::PathBuf {
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();
    source
}

/// The mails to an address, whole lines, when everything that could still write one is done.
fn mails(gate: &Gate, to: &str) -> Vec<String> {
    support::until("every watch has ended", || processes::of(gate.path(), "snapgate").is_empty());
    gate.flush();
    let whole = |mail: String| mail.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    gate.mails().into_iter().map(whole).filter(|mail| mail.contains(&format!("To: {to}@"))).collect()
}

/// Starts a push that takes long, and comes back when files arrive.
fn slow_push(gate: &Gate) -> Running {
    slow_push_of(gate, 3_000_000)
}

/// The same of so many bytes, a hundred thousand in a second.
fn slow_push_of(gate: &Gate, bytes: usize) -> Running {
    let large = gate.source("large");
    fs::write(large.join("large"), vec![b'x'; bytes]).unwrap();
    let push = Running::start(&mut gate.push_command(&large, &["--bwlimit=100"], ""));
    support::until("its rsync writes", || fs::read_dir(gate.inside("inprogress")).is_ok_and(|mut files| files.next().is_some()));
    push
}

#[test]
fn a_hook_that_fails_is_told_to_whoever_gets_alerts_with_what_it_printed_whatever_report_says() {
    for report in ["always", "problems", "never"] {
        for hook in ["prepare", "complete"] {
            let gate = Gate::with("", &policy(report, &format!("hooks: {{ {hook}: [$DIR/mirror, \"a b\"] }}\n")));
            script(&gate, "mirror", "echo connecting; printf 'no \\033[2Jroute\\nto other\\n' >&2; exit 3");
            let ran = gate.push(&file(&gate), &[]).exits(if hook == "prepare" { 75 } else { 0 });
            assert!(!format!("{}{}", ran.stdout, ran.stderr).contains("route"), "the client learns nothing: {ran:?}");
            if hook == "prepare" {
                assert_eq!(
                    ran.stderr.lines().filter(|line| line.starts_with("snapgate: ")).nth(1),
                    Some("snapgate: the administrator has been told")
                );
            }
            let alerts = mails(&gate, "alerts");
            assert_eq!(alerts.len(), 1, "{report}, {hook}: {alerts:#?}");
            let words = format!("the {hook} hook `{}/mirror a b` failed: it ended with status 3", gate.path().display());
            let printed = "It printed, in the end:\n  connecting\n  no \\u{1b}[2Jroute\n  to other\n";
            for said in [words.as_str(), printed, "(hook)", ".log\n"] {
                assert!(alerts[0].replace("\r\n", "\n").contains(said), "{report}, {hook}: no `{said}` in {}", alerts[0]);
            }
            assert_eq!(mails(&gate, "reports").len(), usize::from(hook == "complete" && report == "always"), "{report}");
        }
    }
}

#[test]
fn a_hook_that_hangs_is_told_with_what_it_had_printed_and_no_flood_of_it_is() {
    let more = "hooks: { complete: [[$DIR/hang], [$DIR/flood]] }\ntime_limits: { hook: 1s }\n";
    let gate = Gate::with("", &policy("never", more));
    script(&gate, "hang", "echo waiting for the other; sleep 300");
    script(&gate, "flood", "yes 'all work and no play' | head -c 3000000; echo; echo the end; exit 1");
    gate.push(&file(&gate), &[]).exits(0);
    let alerts = mails(&gate, "alerts");
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    let mail = alerts[0].replace("\r\n", "\n");
    assert!(
        mail.contains("hang` failed: it was ended after 1s (`time_limits: hook`)\nIt printed, in the end:\n  waiting for the other\n"),
        "{mail}"
    );
    assert!(mail.contains("  the end\n") && mail.len() < 20_000, "{} bytes: {mail}", mail.len());
}

#[test]
fn a_hook_that_printed_nothing_is_not_said_to_have_and_what_to_do_is() {
    for (name, text, said) in [
        ("quiet", Some("exit 5"), "it ended with status 5"),
        ("missing", None, "it did not start: No such file or directory (os error 2): see that it is there"),
    ] {
        let gate = Gate::with("", &policy("never", &format!("hooks: {{ prepare: [$DIR/{name}] }}\n")));
        text.inspect(|text| script(&gate, name, text));
        let _ = gate.push(&file(&gate), &[]).exits(75);
        let alerts = mails(&gate, "alerts");
        assert_eq!(alerts.len(), 1, "{alerts:#?}");
        assert!(alerts[0].contains(said) && alerts[0].contains("It printed nothing."), "{}", alerts[0]);
        assert!(alerts[0].contains("run it by hand as the client's account") && !alerts[0].contains("below"), "{}", alerts[0]);
    }
}

#[test]
fn a_hook_is_told_who_came_and_what_was_published() {
    let gate = Gate::with("", &policy("never", "hooks: { prepare: [$DIR/note], complete: [$DIR/note] }\n"));
    script(&gate, "note", "env | grep ^SNAPGATE_ | sort > $DIR/store/$SNAPGATE_HOOK");
    gate.push(&file(&gate), &[]).exits(0);
    let told = |name: &str| fs::read_to_string(gate.path().join("store").join(name)).unwrap();
    let (before, after, record) = (told("prepare"), told("complete"), gate.record());
    for line in ["SNAPGATE_ADDRESS=192.0.2.7\n", "SNAPGATE_CLIENT=web1\n", &format!("SNAPGATE_ID={}\n", record.id)] {
        assert!(before.contains(line) && after.contains(line), "`{line}`\n{before}\n{after}");
    }
    for line in ["OUTCOME=published", "FILES=1", "BYTES=1", "RECEIVED=1", "RECEIVED_BYTES=1", "LINKED=0", "RSYNC_EXIT=0"] {
        assert!(after.contains(&format!("SNAPGATE_{line}\n")), "{line}: {after}");
    }
    assert!(after.contains(&format!("SNAPGATE_NAME={}\n", gate.snapshots()[0])), "{after}");
    assert!(before.contains("SNAPGATE_OUTCOME=\n") && before.contains("SNAPGATE_FILES=\n"), "{before}");
    assert_eq!(before.lines().count(), after.lines().count());
}

#[test]
fn a_partial_snapshot_is_told_to_whoever_gets_alerts_whatever_report_says() {
    if !can_trace() {
        return;
    }
    for (report, reports) in [("always", 1), ("problems", 0), ("never", 0)] {
        let gate = Gate::with("", &policy(report, ""));
        let source = file(&gate);
        let bad = source.join("bad");
        fs::write(&bad, vec![b'x'; 3_000_000]).unwrap();
        let client = gate.push_command(&source, &[], "");
        // A disk with a bad block, as far as the client's rsync can see.
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(&bad).args(["-e", "trace=read", "-e", "inject=read:error=EIO:when=3+"]);
        command.arg(client.get_program()).args(client.get_args());
        command.envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
        run(&mut command).exits(23);
        let alerts = mails(&gate, "alerts");
        assert!(alerts.len() == 1 && alerts[0].contains(", partial (partial)"), "{report}: {alerts:#?}");
        assert!(alerts[0].contains("Look into it: web1 is backed up, but not whole."), "{}", alerts[0]);
        assert_eq!(mails(&gate, "reports").len(), reports, "{report}");
    }
}

#[test]
fn pushes_that_break_and_sessions_that_are_killed_are_one_mail_a_day_and_a_fault_is_told_all_the_same() {
    let gate = Gate::with("", &policy("problems", ""));
    for kills_gate in [false, true, false, true] {
        let mut push = slow_push(&gate);
        if kills_gate {
            let gates = processes::of(gate.path(), "snapgate-shell");
            processes::signal(&gates, Signal::SIGKILL);
        } else {
            push.child.kill().unwrap();
        }
        push.wait();
        support::until("it is over", || !gate.is_at_work() && !gate.rsync_runs());
    }
    gate.push(&file(&gate), &[]).exits(0);
    let alerts = mails(&gate, "alerts");
    assert!(alerts.len() == 1 && alerts[0].contains("(interrupted)"), "{alerts:#?}");
    assert_eq!(mails(&gate, "reports").len(), 0, "nor as reports");
    // What a person has to mend waits for no day to be over.
    fs::rename(gate.repository(), gate.path().join("away")).unwrap();
    fs::write(gate.repository(), "").unwrap();
    gate.push(&file(&gate), &[]).exits(75);
    let alerts = mails(&gate, "alerts");
    assert!(alerts.len() == 2 && alerts.iter().any(|mail| mail.contains("failed (store)")), "{alerts:#?}");
}

#[test]
fn hours_that_are_over_are_one_mail_a_day() {
    let gate =
        Gate::with("", &policy("problems", "when: [{ days: mon, hours: \"00:00-00:01\" }, { days: tue, hours: \"00:00-00:01\" }]\n"));
    for from in ["192.0.2.7", "192.0.2.8", "192.0.2.9"] {
        let mut push = gate.push_command(&file(&gate), &[], "");
        run(push.env("FROM", from)).exits(77);
        mails(&gate, "alerts");
    }
    assert_eq!(mails(&gate, "alerts").len(), 1);
}

#[test]
fn a_client_hears_that_the_administrator_knows_only_where_a_mail_is_on_its_way() {
    let mail = |transport: &str| format!("mail: {{ from: g@example.org, to: [alerts@example.org], transport: \"{transport}\" }}\n");
    let told = "snapgate: the administrator has been told";
    let tell = "snapgate: tell the administrator of the server";
    for (site, says) in
        [(String::new(), told), (mail("off"), tell), (mail("file:$DIR/nowhere"), tell), (mail("sendmail:/nonexistent/sendmail"), tell)]
    {
        let gate = Gate::with(&site, POLICY);
        fs::write(gate.repository(), "").unwrap();
        let ran = gate.push(&file(&gate), &[]).exits(75);
        assert!(ran.stderr.contains(&format!("(code store)\n{says}\n")), "{site}: {}", ran.stderr);
        assert!(!ran.stderr.contains("again"), "only a person can mend it: {}", ran.stderr);
    }
    let gate = Gate::new();
    fs::write(gate.repository(), "").unwrap();
    fs::remove_dir_all(gate.path().join("spool")).unwrap();
    let ran = gate.push(&file(&gate), &[]).exits(75);
    assert!(ran.stderr.contains(tell), "the spool is gone: {}", ran.stderr);
}

#[test]
fn behind_rrsync_nobody_is_said_to_know() {
    let gate = Gate::new();
    let missing = gate.path().join("missing");
    let words: [&std::ffi::OsStr; 2] = ["rrsync".as_ref(), missing.as_ref()];
    let answers = |words: &[&std::ffi::OsStr]| {
        let mut command = Command::new(GATE);
        command.arg("--config").arg(gate.path().join("config")).args(words);
        let output = command.env("SSH_CONNECTION", "192.0.2.7 1 192.0.2.1 22").env("SSH_ORIGINAL_COMMAND", "rsync --server . .").output();
        String::from_utf8(output.unwrap().stderr).unwrap()
    };
    for said in [answers(&words), answers(&["rrsync".as_ref()])] {
        assert!(said.ends_with("snapgate: tell the administrator of the server\n") && !said.contains("has been told"), "{said}");
    }
}

#[test]
fn a_mail_about_a_complete_tells_of_its_pushes_and_their_times() {
    let gate = Gate::new();
    let source = file(&gate);
    gate.say("prepare").exits(0);
    gate.push(&source, &[]).exits(0);
    gate.say("complete 11").exits(65);
    let record = gate.record();
    assert_eq!((record.result, record.mail), (Outcome::Unpublished, Mail::Alert));
    let facts = record.push.clone().unwrap();
    assert!(facts.parts.len() == 1 && facts.parts[0].end.is_some_and(|end| end.exit == Some(0)), "{facts:?}");
    let alert = mails(&gate, "alerts").remove(0);
    assert!(alert.contains("1 push since `prepare` at ") && alert.contains("into `.`: exit 0 after "), "{alert}");
    assert!(!alert.contains("ended by") && !alert.contains("rsync:  "), "{alert}");
    gate.say("prepare").exits(0);
    let prepared = gate.record().at;
    gate.push(&source, &[]).exits(0);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    gate.say("complete 0").exits(0);
    let report = mails(&gate, "reports").pop().unwrap();
    assert!(report.contains(&format!("Began:      {}", prepared.format("%Y-%m-%d %H:%M:%S UTC"))), "{report}");
    assert!(report.contains("Completed:  "), "{report}");
}

#[test]
fn a_fault_of_a_policy_is_mailed_line_by_line() {
    let gate = Gate::new();
    let text = fs::read_to_string(gate.path().join("config/policies/web1.yaml")).unwrap();
    gate.write("config/policies/web1.yaml", &(text + "usr: x\n"));
    gate.push(&file(&gate), &[]).exits(78);
    let alert = mails(&gate, "alerts").remove(0).replace("\r\n", "\n");
    assert!(alert.contains(" | usr: =E2=80=A6\n       | ^\n    did you mean `user`?\n") && !alert.contains("\\n"), "{alert}");
}

#[test]
fn a_service_hears_when_a_push_begins_and_how_it_ended_and_of_nothing_else() {
    let service = support::http::Server::plain();
    let gate = Gate::with("", &policy("never", &format!("ping: \"http://127.0.0.1:{}/token\"\n", service.port)));
    let lines = |count| service.until(count).iter().map(|request| request.line.replace(" HTTP/1.1", "")).collect::<Vec<_>>();
    gate.push(&file(&gate), &["-n"]).exits(0);
    gate.say("status").exits(0);
    let push = slow_push_of(&gate, 500_000);
    assert_eq!(lines(1), ["POST /token/start"], "a dry run and a question are no pushes; of one it hears while that runs");
    push.wait().exits(0);
    assert_eq!(lines(2), ["POST /token/start", "POST /token"], "nobody has to run a watch for that");
    assert!(service.seen()[1].body.contains("published"));
    support::until("every watch has ended", || processes::of(gate.path(), "snapgate").is_empty());
    assert_eq!((mails(&gate, "alerts").len(), mails(&gate, "reports").len()), (0, 0));
    assert!(gate.ledger().iter().all(|record| record.result != Outcome::Started), "the ledger has the ends");
}
