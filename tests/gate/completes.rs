//! What a client hears that says `complete`, where its transaction did not become a whole snapshot: nobody else could tell it.

use std::fs;

use snapgate::terms::outcome::Outcome;

use support::{Gate, Running};

const ALL_AGAIN: &str = "snapgate: the transaction is closed: say `prepare`, push all of it again, then `complete`";

#[test]
fn a_client_that_says_it_failed_hears_that_all_has_to_be_done_again() {
    let gate = Gate::new();
    let source = gate.source("data");
    fs::write(source.join("file"), "x").unwrap();
    gate.say("prepare").exits(0);
    gate.push(&source, &[]).exits(0);
    let ran = gate.say("complete 20").exits(65);
    assert!(ran.stderr.contains(&format!("{ALL_AGAIN}; what was received is kept\n")), "{}", ran.stderr);
    assert_eq!((gate.record().result, gate.snapshots().len()), (Outcome::Unpublished, 0));
    // It is as it says.
    gate.say("complete 0").exits(64);
    gate.say("prepare").exits(0);
    gate.push(&source, &[]).exits(0);
    let ran = gate.say("complete 0").exits(0);
    assert_eq!((ran.stderr.as_str(), gate.snapshots().len()), ("", 1));
}

#[test]
fn it_hears_it_too_where_nothing_was_pushed_or_nothing_arrived_and_none_is_told_that_nothing_is_kept() {
    let gate = Gate::new();
    let (source, empty) = (gate.source("data"), gate.source("empty"));
    fs::write(source.join("file"), "x").unwrap();
    gate.push(&source, &[]).exits(0);
    gate.say("prepare").exits(0);
    let ran = gate.say("complete 0").exits(65);
    assert!(ran.stderr.contains(ALL_AGAIN), "{}", ran.stderr);
    // It has to be true of a push that was cut off before its first file, too.
    assert!(ran.stderr.contains("nothing has arrived since `prepare`"), "{}", ran.stderr);
    for status in ["0", "20"] {
        gate.say("prepare").exits(0);
        gate.push(&empty, &[]).exits(0);
        let ran = gate.say(&format!("complete {status}")).exits(65);
        let hears = ran.stderr.contains(ALL_AGAIN.trim_start_matches("snapgate: "));
        assert!(hears && !ran.stderr.contains("is kept"), "complete {status}: {}", ran.stderr);
    }
}

#[test]
fn a_client_whose_push_was_cut_off_and_that_says_nothing_of_it_hears_that_the_snapshot_is_not_whole() {
    for (said, told) in [("complete 0", true), ("complete", true), ("complete 24", true), ("complete 23", false)] {
        let gate = Gate::new();
        let (source, large) = (gate.source("data"), gate.source("large"));
        fs::write(source.join("file"), "x").unwrap();
        fs::write(large.join("large"), vec![b'x'; 3_000_000]).unwrap();
        gate.say("prepare").exits(0);
        gate.push(&source, &[]).exits(0);
        let from = format!("{}/", large.display());
        let mut cut = Running::start(&mut gate.rsync_command(&["-a", "--bwlimit=200", &from, "backup:large/"], ""));
        support::until("its rsync writes", || fs::read_dir(gate.inside("inprogress/large")).is_ok_and(|mut files| files.next().is_some()));
        cut.child.kill().unwrap();
        cut.wait();
        support::until("the gate is done with it", || !gate.is_at_work());
        let ran = gate.say(said).exits(if told { 65 } else { 0 });
        assert_eq!(ran.code(), told.then_some("partial"), "{said}: {}", ran.stderr);
        let names = ran.stderr.contains("a push into `large` did not end well") && ran.stderr.contains(ALL_AGAIN);
        assert!(names == told && ran.stdout.starts_with("published "), "{said}: {ran:?}");
        let record = gate.record();
        assert_eq!((record.result, record.push.unwrap().partial, gate.snapshots().len()), (Outcome::Published, true, 1), "{said}");
    }
}
