//! A window that ends a push: cleanly, with what arrived kept, and with words for everybody.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;

use chrono::{DateTime, TimeDelta, Timelike as _, Utc};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use snapgate::terms::Mail;
use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;

use support::{Gate, POLICY, Ran, Running};

/// A policy whose window closes with the next minute that leaves time for a test to begin, and that minute.
fn policy() -> (String, DateTime<Utc>) {
    let soon = Utc::now() + TimeDelta::seconds(75);
    let end = soon - TimeDelta::seconds(i64::from(soon.second())) - TimeDelta::nanoseconds(i64::from(soon.nanosecond()));
    let begin = end - TimeDelta::hours(2);
    let hours = format!("{}-{}", begin.format("%H:%M"), end.format("%H:%M"));
    (format!("{POLICY}when: [{{ hours: \"{hours}\", stop: true }}]\n"), end)
}

fn source(gate: &Gate) -> PathBuf {
    let source = gate.source("slow");
    fs::write(source.join("a-small-one"), "small").unwrap();
    // Nothing that `-z` or a delta would make short.
    let noise: Vec<u8> = (0..8_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    fs::write(source.join("large"), noise).unwrap();
    source
}

/// A push that takes longer than any window is open.
fn slow(gate: &Gate, source: &Path) -> Running {
    let push = Running::start(&mut gate.push_command(source, &["--bwlimit=20", "--whole-file"], ""));
    support::until("something has arrived", || gate.inside("inprogress/a-small-one").exists());
    push
}

fn ends(gate: &Gate, end: DateTime<Utc>, push: Running) -> Ran {
    sleep((end - Utc::now()).to_std().unwrap_or_default());
    support::until("rsync is gone", || !gate.is_at_work());
    let late = Utc::now() - end;
    assert!(late >= TimeDelta::zero() && late < TimeDelta::seconds(15), "{late}");
    let ran = push.wait();
    let line = format!("snapgate: the push was ended: its time was over at {} UTC (code window)", end.format("%a %Y-%m-%d %H:%M"));
    assert!(ran.stderr.contains(&line), "{}", ran.stderr);
    assert!(ran.stderr.contains("snapgate: push again from ") && ran.stderr.contains(": what was received is kept"), "{}", ran.stderr);
    ran
}

#[test]
fn a_push_is_ended_with_its_window_and_the_next_night_goes_on() {
    let (policy, end) = policy();
    let gate = Gate::with("", &policy);
    let source = source(&gate);
    let shown = format!("{} UTC", end.format("%a %Y-%m-%d %H:%M"));
    let said = gate.say("status").exits(0);
    assert!(said.stdout.contains(&format!("pushes end:      {shown}\n")), "{}", said.stdout);
    let ran = slow(&gate, &source);
    let ran = ends(&gate, end, ran);
    assert_ne!(ran.status, 0);
    let record = gate.record();
    assert_eq!((record.result, record.exit, record.reasons[0].code, record.mail), (Outcome::Stopped, 75, Code::Window, Mail::Report));
    assert!(record.push.as_ref().unwrap().kept && gate.snapshots().is_empty());
    assert!(record.reasons[0].rule.as_ref().is_some_and(|rule| rule.line > 0), "{record:?}");
    // Whoever comes now is told the hours, and is no news besides.
    let refused = gate.push(&source, &[]);
    assert_eq!(refused.code(), Some("window"));
    assert_eq!(gate.record().exit, 77);
    gate.flush();
    let mails = gate.mails();
    let report = mails.iter().find(|mail| mail.contains("No need to act: a push of web1 was ended with its window.")).unwrap();
    assert!(report.contains("To: reports@") && report.contains("Subject: [snapgate] web1: stopped"), "{report}");

    // The next night.
    let kept = fs::metadata(gate.inside(".snapgate/interrupted/1/large")).unwrap().len();
    let text = fs::read_to_string(gate.path().join("config/policies/web1.yaml")).unwrap();
    let text: Vec<_> = text.lines().filter(|line| !line.starts_with("when:")).collect();
    gate.write("config/policies/web1.yaml", &(text.join("\n") + "\n"));
    let again = gate.push(&source, &["--no-whole-file"]).exits(0);
    assert!(kept > 100_000 && again.figure("Literal data") <= 8_000_005 - kept + 8192, "{kept}: {}", again.stdout);
    assert_eq!(fs::read(gate.newest().join("large")).unwrap(), fs::read(source.join("large")).unwrap());
}

#[test]
fn a_client_that_stands_still_in_a_transaction_is_ended_with_its_window_too() {
    let (policy, end) = policy();
    let gate = Gate::with("", &policy);
    let source = source(&gate);
    gate.say("prepare").exits(0);
    let push = slow(&gate, &source);
    let client = Pid::from_raw(i32::try_from(push.child.id()).unwrap());
    kill(client, Signal::SIGSTOP).unwrap();
    sleep((end - Utc::now()).to_std().unwrap_or_default());
    support::until("rsync is gone", || !gate.is_at_work());
    kill(client, Signal::SIGCONT).unwrap();
    ends(&gate, end, push);
    let record = gate.record();
    assert_eq!((record.result, record.exit), (Outcome::Stopped, 75));
    assert!(gate.snapshots().is_empty() && gate.inside(".snapgate/transaction.json").exists());
    // Today's rule for everything else: `complete` has its hours, too.
    assert_eq!(gate.say("complete 0").code(), Some("window"));
}
