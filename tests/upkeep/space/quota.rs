//! A quota and a disk's reserve: refused before, stopped while it runs, gone on with afterwards.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{figures, stands, told};
use crate::says;
use chrono::TimeDelta;
use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;
use snapgate::terms::{Mail, Usage};
use support::mount::{Kind, Mount};
use support::{Gate, POLICY, Ran, tree};

fn policy(gate: &Gate, more: &str) {
    gate.write("config/policies/web1.yaml", &format!("user: {}\n{POLICY}{more}", support::getent::my_name()));
}

/// As many files of a megabyte of noise, from a number on.
pub(super) fn megabytes(source: &Path, from: u64, many: u64) {
    for number in from..from + many {
        tree::write(&source.join(format!("m{number}")), tree::noise(number, 1 << 20));
    }
}

/// The last connection was ended with this code, and everybody was told.
#[track_caller]
pub(super) fn ended(gate: &Gate, ran: &Ran, code: Code, words: &[&str]) {
    assert_ne!(ran.status, 0);
    // It records what happened after it has let the repository go.
    support::until("the gate has ended", || support::processes::of(gate.path(), "snapgate-shell").is_empty());
    let record = gate.record();
    assert_eq!((record.result, record.reasons[0].code, record.mail), (Outcome::Failed, code, Mail::Alert), "{record:?}");
    let reason = &record.reasons[0];
    let told = format!("{}\n{:?}\n{}\n{:?}", reason.says, reason.hint, reason.detail, reason.remedy);
    assert!(words.iter().all(|word| told.contains(word)), "{words:?} in {told}");
    gate.flush();
    assert!(gate.mails().iter().any(|mail| mail.contains(&format!("failed ({code})"))), "{:?}", gate.mails());
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_sent() {
    let gate = Gate::with("", &format!("{POLICY}quota: {{ bytes: 10M }}\n"));
    let source = gate.source("data");
    megabytes(&source, 0, 3);
    gate.push(&source, &[]).exits(0);
    assert_eq!(figures(&told(&gate, &[])), stands(&gate));
    let status = gate.say("status").exits(0).stdout;
    assert!(status.contains("on the server:   3076 KiB of 10 MiB, 4 files and directories\n"), "{status}");
    let explained = |words: &str, code| says(&gate, &["explain", "--client", "web1", words]).exits(code).stdout;
    let (push, holds) = ("rsync --server -logDtpre.iLsfxCIvu . .", "the client holds 3076 KiB of 10 MiB, 4 files and directories  (");
    assert!([push, "prepare 7000000"].iter().all(|command| explained(command, 0).contains(holds)));
    let told = explained("prepare 8000000", 77);
    assert!(told.contains("it could not be done now:\n  no   the client means to bring ") && told.contains("web1.yaml:"), "{told}");
    gate.say("prepare 7000000").exits(0);
    gate.say("abort").exits(0);
    let ran = gate.say("prepare 8000000").refused("quota", 77);
    assert!(ran.stderr.contains("8000000 bytes do not fit") || ran.stderr.contains("MB do not fit"), "{}", ran.stderr);
    ended(&gate, &ran, Code::Quota, &["may keep 10 MiB", "raise `quota:`", "leaves it"]);
    assert!(!gate.inside(".snapgate/transaction.json").exists());
    // It is used up: nothing is let in, and nothing but the ledger changes.
    policy(&gate, "quota: { bytes: 3M }\n");
    let before = (gate.snapshots(), stands(&gate));
    let told = says(&gate, &["explain", "--client", "web1", push]).exits(77).stdout;
    assert!(told.contains("  no   the client's quota is used up: 3076 KiB of 3 MiB"), "{told}");
    let ran = gate.push(&source, &[]);
    ended(&gate, &ran, Code::Quota, &["the server keeps as much of yours as it may", "3 MiB", "when_full: shorten"]);
    gate.say("prepare").refused("quota", 77);
    assert_eq!((gate.snapshots(), stands(&gate)), before);
    policy(&gate, "");
    gate.push(&source, &[]).exits(0);
}

#[test]
fn a_push_that_would_pass_the_quota_is_stopped_and_the_next_one_goes_on() {
    let gate = Gate::with("", &format!("{POLICY}quota: {{ bytes: 12M }}\n"));
    let source = gate.source("data");
    megabytes(&source, 0, 4);
    gate.push(&source, &[]).exits(0);
    let history = tree::listing(&gate.inside("snapshots"));
    megabytes(&source, 4, 60);
    let ran = gate.push(&source, &["--whole-file", "--bwlimit=40000"]);
    ended(
        &gate,
        &ran,
        Code::Quota,
        &["12 MiB of yours", "what was received is kept", "next push goes on from what is kept", "raise `quota:`"],
    );
    tree::same(&tree::listing(&gate.inside("snapshots")), &history);
    assert_eq!(figures(&told(&gate, &[])), stands(&gate));
    let kept = told(&gate, &[])["unfinished"]["bytes"].as_u64().unwrap();
    assert!(kept > 7 << 20, "{kept}");
    // Trying again does not take more and more.
    let again = gate.push(&source, &["--whole-file"]);
    ended(&gate, &again, Code::Quota, &["trying again does not help"]);
    assert_eq!((told(&gate, &[])["unfinished"]["bytes"].as_u64(), figures(&told(&gate, &[]))), (Some(kept), stands(&gate)));
    policy(&gate, "quota: { bytes: 100M }\n");
    let ran = gate.push(&source, &[]).exits(0);
    assert!(ran.figure("Literal data") <= (60 << 20) - (kept - (1 << 20)), "nothing is sent twice: {}", ran.stdout);
    assert_eq!(figures(&told(&gate, &[])), stands(&gate));
}

#[test]
fn inodes_are_bounded_too_and_a_transaction_adds_up() {
    let gate = Gate::with("", &format!("{POLICY}quota: {{ inodes: 100 }}\n"));
    let source = gate.source("data");
    (0..30).for_each(|number| tree::write(&source.join(number.to_string()), "x"));
    gate.push(&source, &[]).exits(0);
    // Unchanged, it takes a directory.
    gate.push(&source, &[]).exits(0);
    assert_eq!(figures(&told(&gate, &[])).inodes, 32);
    gate.say("prepare").exits(0);
    let push = |place: &str| gate.rsync(&["-a", "-I", &format!("{}/", source.display()), &format!("backup:{place}")]);
    push("one/").exits(0);
    push("two/").exits(0);
    let ran = push("three/");
    ended(&gate, &ran, Code::Quota, &["100 files and directories"]);
    gate.say("abort").exits(0);
    assert_eq!(figures(&told(&gate, &[])), stands(&gate));
}

#[test]
fn a_quota_that_is_used_up_is_a_state_until_there_is_room_again() {
    let gate = Gate::with("", &format!("{POLICY}quota: {{ bytes: 10M }}\nexpect: off\n"));
    let source = gate.source("data");
    megabytes(&source, 0, 3);
    gate.push(&source, &[]).exits(0);
    policy(&gate, "quota: { bytes: 3M }\nexpect: off\n");
    assert_eq!(gate.told_of("over quota", TimeDelta::minutes(1)), [""; 0], "a push that is refused tells of it");
    let told = gate.told_of("over quota", TimeDelta::hours(25));
    assert_eq!(told, ["[snapgate] web1: over quota: 3076 KiB used"]);
    policy(&gate, "quota: { bytes: 10M }\nexpect: off\n");
    let told = gate.told_of("over quota", TimeDelta::hours(27));
    assert_eq!(told[1..], ["[snapgate] web1: over quota: resolved after 26 hours"], "{told:?}");
}

#[test]
fn the_report_tells_once_that_the_quota_is_nearly_used_up() {
    let gate = Gate::with("", &format!("{POLICY}quota: {{ bytes: 10M, warn: 50% }}\n"));
    let source = gate.source("data");
    let warned = |from, many| {
        megabytes(&source, from, many);
        gate.push(&source, &[]).exits(0);
        let warnings = gate.record().warnings;
        warnings.iter().any(|warning| warning.contains("quota is nearly used up"))
    };
    assert_eq!([warned(0, 4), warned(4, 2), warned(6, 1), warned(7, 2), warned(9, 0)], [false, true, false, false, false]);
}

#[test]
fn history_from_before_there_was_a_book_is_counted_and_until_then_said_to_be_unknown() {
    let gate = Gate::with("", &format!("{POLICY}quota: {{ bytes: 100M }}\n"));
    let source = gate.source("data");
    megabytes(&source, 0, 3);
    gate.push(&source, &[]).exits(0);
    fs::remove_file(gate.inside(".snapgate/usage")).unwrap();
    assert_eq!(told(&gate, &[])["recount_due"], true);
    gate.push(&source, &[]).exits(0);
    assert!(gate.record().warnings.iter().any(|warning| warning.contains("not known exactly")), "{:?}", gate.record());
    assert!(gate.say("status").exits(0).stdout.contains(", or more\n"));
    says(&gate, &["prune"]).exits(0);
    assert_eq!((figures(&told(&gate, &[])), &told(&gate, &[])["recount_due"]), (stands(&gate), &false.into()));
}

/// A gate whose store is on a disk of its own.
pub(super) fn on(mount: &Mount, site: &str, more: &str) -> Gate {
    let gate = Gate::with(site, &format!("{POLICY}{more}"));
    fs::remove_dir(gate.path().join("store")).unwrap();
    std::os::unix::fs::symlink(mount.store(), gate.path().join("store")).unwrap();
    gate
}

/// What an account can still take of a disk.
pub(super) fn free(mount: &Mount) -> u64 {
    nix::sys::statvfs::statvfs(&mount.store()).map(|now| now.blocks_available() * now.fragment_size()).unwrap()
}

/// Removes a large file, and waits for its blocks: XFS gives them back a moment later.
pub(super) fn emptied(filler: &Path, free: impl Fn() -> u64) {
    let (before, size) = (free(), fs::metadata(filler).unwrap().len());
    fs::remove_file(filler).unwrap();
    support::until("its blocks are free", || free() >= before + size / 10 * 9);
}

#[test]
fn pushes_leave_free_what_the_site_says_and_go_on_when_there_is_room() {
    for (kind, megabytes_of_it, share) in [(Kind::Ext4, 64, 40), (Kind::Xfs, 320, 50)] {
        let Some(mount) = Mount::new(kind, megabytes_of_it) else { return };
        let gate = on(&mount, &format!("min_free: {{ bytes: {share}% }}\n"), "");
        let source = gate.source("data");
        megabytes(&source, 0, 2);
        gate.push(&source, &[]).exits(0);
        let before = tree::listing(&gate.inside("snapshots"));
        let stat = nix::sys::statvfs::statvfs(&mount.store()).unwrap();
        let free = || free(&mount);
        let floor = stat.blocks() * stat.fragment_size() * share / 100;
        let filler = mount.store().join("filler");
        tree::write(&filler, tree::noise(5, usize::try_from(free() - floor - (8 << 20)).unwrap()));
        megabytes(&source, 2, 24);
        let ran = gate.push(&source, &["--whole-file", "--bwlimit=30000"]);
        ended(&gate, &ran, Code::Store, &["`min_free:`", "what was received is kept", "make room"]);
        assert!(free() > floor - (6 << 20), "{kind:?}: {} of {floor}", free());
        tree::same(&tree::listing(&gate.inside("snapshots")), &before);
        // Now it is refused at once, with what is kept.
        let ran = gate.push(&source, &[]);
        ended(&gate, &ran, Code::Store, &["are free on the store: `min_free:` leaves pushes 0 bytes"]);
        gate.say("prepare").refused("store", 75);
        emptied(&filler, free);
        let ran = gate.push(&source, &[]).exits(0);
        assert!(ran.figure("Literal data") < 19 << 20, "{kind:?}: nothing is sent twice: {}", ran.stdout);
        assert_eq!(figures(&told(&gate, &["--recount"])).inodes, stands(&gate).inodes);
        assert_ne!(stands(&gate), Usage::default());
        drop(gate);
    }
}

#[test]
fn what_no_push_can_use_does_not_hold_a_short_disk_for_ever() {
    let Some(mount) = Mount::new(Kind::Ext4, 64) else { return };
    let gate = on(&mount, "min_free: { bytes: 40M }\n", "");
    let source = gate.source("data");
    megabytes(&source, 0, 30);
    let ran = gate.push(&source, &["--whole-file", "--bwlimit=30000"]);
    ended(&gate, &ran, Code::Store, &["`min_free:`", "what was received is kept"]);
    gate.say("prepare").refused("store", 75);
    let interrupted = File::open(gate.inside(".snapgate/interrupted")).unwrap();
    interrupted.set_modified(SystemTime::now() - Duration::from_secs(25 * 3600)).unwrap();
    gate.say("prepare").exits(0);
    drop(gate);
}

#[test]
fn a_push_is_stopped_for_the_disk_whoever_fills_it() {
    let Some(mount) = Mount::new(Kind::Ext4, 64) else { return };
    let gate = on(&mount, "min_free: { bytes: 16M }\n", "");
    let source = gate.source("data");
    megabytes(&source, 0, 8);
    let push = support::Running::start(&mut gate.push_command(&source, &["--whole-file", "--bwlimit=1000"], ""));
    support::until("it has begun", || fs::read_dir(gate.inside("inprogress")).is_ok_and(|all| all.count() > 1));
    tree::write(&mount.store().join("filler"), tree::noise(5, 44 << 20));
    let ran = push.wait();
    ended(&gate, &ran, Code::Store, &["had no more free than `min_free:` says", "what was received is kept"]);
    emptied(&mount.store().join("filler"), || free(&mount));
    gate.push(&source, &[]).exits(0);
    drop(gate);
}
