//! What code in rsync's place does with a few calls.

use std::process::Command;

use nix::libc::{EACCES, ENOSYS, EPERM, SIGSYS};
use snapgate::terms::outcome::Outcome;

use super::{PUSH, Scene, WITHOUT_A_VIEW, quoted, told};
use crate::jail::where_there_is_no_view;
use support::{must, run};

/// A call that the filter does not let through, or lets nobody survive.
fn is_denied(answer: i64) -> bool {
    [EPERM, ENOSYS, -SIGSYS].map(i64::from).contains(&answer)
}

#[test]
fn names_that_are_removed_while_the_gate_looks_open_no_way_to_history() {
    let mut scene = Scene::taken_over("", "", "small.c", "race", &[]);
    let ran = scene.say(PUSH);
    println!("{}", ran.stdout);
    scene.is_unharmed();
    assert_eq!(told(&ran)["changed"], [0], "of {:?} rounds", told(&ran)["rounds"]);
}

#[test]
fn nor_do_they_where_there_is_no_view() {
    where_there_is_no_view(|| {
        let scene = Scene::taken_over(WITHOUT_A_VIEW, "", "small.c", "race", &[]);
        // Code as this can change metadata there by path, which the threat model says. The bytes are what is looked at.
        let victim = scene.gate.newest().join("victim");
        let before = std::fs::read(&victim).unwrap();
        scene.say(PUSH);
        assert_eq!(std::fs::read(&victim).unwrap(), before);
    });
}

#[test]
fn a_planted_link_tells_nothing_of_what_another_client_has() {
    let mut scene = Scene::new("", "");
    let name = scene.gate.snapshots().pop().unwrap();
    let neighbour = quoted(&scene.gate.path().join("store/web2/snapshots").join(name));
    scene.take_over("small.c", "planted_links", &[("NEIGHBOUR", &neighbour)]);
    let ran = scene.say(PUSH).exits(0);
    let told = told(&ran);
    println!("{}", ran.stdout);
    assert!(told.len() > 200, "{told:?}");
    let telling: Vec<_> = told.iter().filter(|(_, errors)| errors[0] != errors[1]).collect();
    assert!(telling.is_empty(), "each with the error for a file that is there, and for one that is not: {telling:?}");
    scene.is_unharmed();
}

/// Memory, semaphores and queues that the kernel keeps when their maker is gone, and shows to everybody of the account.
#[test]
fn nothing_is_left_in_memory_and_what_others_share_there_is_out_of_reach() {
    let key = 0x5a00_0000 | std::process::id() & 0xff_ffff;
    let queue = format!("/snapgate-test-{key}");
    let made = must(Command::new("ipcmk").args(["-M", "4096", "-p", "0600"]));
    let segment = made.trim().rsplit(' ').next().unwrap().to_owned();
    let mut scene = Scene::taken_over(
        "",
        "",
        "small.c",
        "left_in_memory",
        &[("KEY", &key.to_string()), ("QUEUE", &format!("\"{queue}\"")), ("SEGMENT", &segment)],
    );
    let ran = scene.say(PUSH);
    println!("{}", ran.stdout);
    let left = must(&mut Command::new("ipcs"));
    let hex = format!("{key:#010x}");
    let is_left = left.contains(&hex);
    let is_there = must(Command::new("ipcs").arg("-m")).lines().any(|line| line.split_whitespace().nth(1) == Some(&segment));
    for (option, what) in [("-M", hex.as_str()), ("-S", &hex), ("-Q", &hex), ("-m", &segment)] {
        run(Command::new("ipcrm").args([option, what]));
    }
    assert!(is_there, "somebody else's memory is gone");
    assert!(!is_left, "{left}");
    for (what, answer) in told(&ran) {
        // The C library's word for EPERM there (mq_unlink(3)).
        let by_the_library = what == "mq_unlink" && answer[0] == i64::from(EACCES);
        assert!(is_denied(answer[0]) || by_the_library, "{what} ended with {answer:?}\n{}", ran.stdout);
    }
    scene.is_unharmed();
}

#[test]
fn what_the_gate_logs_is_not_rsync_s_to_overwrite() {
    for site in ["", WITHOUT_A_VIEW] {
        let attack = || {
            let mut scene = Scene::taken_over(site, "", "small.c", "forged_log", &[]);
            let ran = scene.say(PUSH).exits(0);
            let record = scene.gate.record();
            assert_eq!(record.result, Outcome::Published);
            let log = scene.log();
            let first = log.lines().next().unwrap_or_default();
            assert!(first.contains("push of `web1` from 192.0.2.7"), "{}\n{log}", ran.stdout);
            assert!(log.lines().last().unwrap_or_default().contains(", exit 0"), "{log}");
            assert!(!first.contains("forged"), "{log}");
            scene.is_unharmed();
        };
        if site.is_empty() { attack() } else { where_there_is_no_view(attack) }
    }
}
