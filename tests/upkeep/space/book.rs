//! The book about what a client holds is what a walk finds, whatever has happened.

use std::fs;
use std::path::{Path, PathBuf};

use super::{figures, look, stands, told};
use crate::{make_old, says};
use support::{Gate, POLICY, Running, tree};

/// Random numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// Changes a client's data a little.
fn change(dice: &mut Dice, source: &Path) {
    for _ in 0..=dice.below(6) {
        let directory = source.join(format!("d{}", dice.below(4)));
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join(format!("f{}", dice.below(12)));
        match dice.below(6) {
            0 => drop(fs::remove_file(&file)),
            1 => drop(fs::remove_dir_all(&directory)),
            2 => drop(fs::hard_link(&file, source.join(format!("twin{}", dice.below(20))))),
            3 => drop(std::os::unix::fs::symlink("elsewhere", directory.join(format!("link{}", dice.below(3))))),
            _ => {
                let _ = fs::remove_file(&file);
                tree::write(&file, tree::noise(dice.below(1 << 30), usize::try_from(dice.below(30_000)).unwrap()));
            }
        }
    }
}

/// A push whose client is killed in the middle of it.
fn cut_off(gate: &Gate, source: &Path) {
    tree::write(&source.join("large"), tree::noise(77, 3_000_000));
    let push = Running::start(&mut gate.push_command(source, &["--bwlimit=4000", "--whole-file"], ""));
    let arrived = || {
        let mut seen = std::collections::BTreeMap::new();
        fs::symlink_metadata(gate.inside("inprogress")).is_ok_and(|_| {
            // rsync renames files while one looks.
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| look(&gate.inside("inprogress"), &mut seen))).is_ok()
        }) && seen.values().sum::<u64>() > 600_000
    };
    support::until("something has arrived", arrived);
    push.kill();
    support::until("the gate has ended", || !gate.is_at_work());
    fs::remove_file(source.join("large")).unwrap();
}

fn into(gate: &Gate, source: &Path, place: &str, options: &[&str]) {
    let from = format!("{}/", source.display());
    gate.rsync(&[&["-a"], options, &[&from, &format!("backup:{place}")]].concat()).exits(0);
}

fn live(policy: &str, seed: u64, steps: usize) {
    let gate = Gate::with("", &format!("{POLICY}{policy}"));
    let (mut dice, source): (_, PathBuf) = (Dice(seed), gate.source("data"));
    for step in 0..steps {
        change(&mut dice, &source);
        let what = match dice.below(12) {
            0 | 1 => {
                gate.push(&source, &["-H"]).exits(0);
                "a push with hard links"
            }
            2 => {
                into(&gate, &source, "place/", &["-H"]);
                "a push into a place"
            }
            3 => {
                cut_off(&gate, &source);
                "a push that was cut off"
            }
            4 => {
                gate.say("prepare").exits(0);
                into(&gate, &source, "one/", &[]);
                change(&mut dice, &source);
                into(&gate, &source, "two/", &["-H"]);
                change(&mut dice, &source);
                into(&gate, &source, "one/", &["--delete"]);
                gate.say("complete").exits(0);
                "a transaction"
            }
            5 => {
                gate.say("prepare").exits(0);
                into(&gate, &source, "one/", &[]);
                gate.say(if dice.below(2) == 0 { "abort" } else { "complete 12" });
                "a transaction in vain"
            }
            6 | 7 => {
                let all = gate.snapshots();
                let Some(name) = all.get(usize::try_from(dice.below(all.len().max(1) as u64)).unwrap()) else { continue };
                says(&gate, &["delete", "--client", "web1", "--force", name]).exits(0);
                "a snapshot deleted"
            }
            8 => {
                make_old(&gate);
                says(&gate, &["prune", "web1"]).exits(0);
                "the trash emptied"
            }
            _ => {
                gate.push(&source, &[]).exits(0);
                "a push"
            }
        };
        let said = told(&gate, &[]);
        assert_eq!((figures(&said), &said["recount_due"]), (stands(&gate), &false.into()), "step {step}: {what}: {said}");
    }
    let counted = told(&gate, &["--recount"]);
    assert_eq!((figures(&counted), &counted["before"]["inodes"]), (stands(&gate), &counted["inodes"]));
}

#[test]
fn the_book_is_what_a_walk_finds_over_a_long_random_history() {
    live("", 4711, 90);
}

#[test]
fn and_where_pushes_of_a_part_are_merged() {
    live("partial_pushes: merge\n", 12, 60);
}

#[test]
fn a_gate_or_a_reaper_that_is_killed_leaves_a_book_that_is_right_or_says_that_it_is_not() {
    if !support::can_trace() {
        return;
    }
    let gate = Gate::with("", POLICY);
    let source = gate.source("data");
    let mut dice = Dice(99);
    (0..10).for_each(|_| change(&mut dice, &source));
    gate.push(&source, &[]).exits(0);
    let mut right = 0;
    for call in ["renameat2", "rename", "renameat", "write", "unlinkat", "syncfs", "mkdir"] {
        for nth in [1, 2, 3, 5] {
            let kill = format!("inject=?{call}:signal=KILL:when={nth}");
            change(&mut dice, &source);
            support::run(&mut gate.push_command(&source, &[], &format!("strace -f -qq -o /dev/null -e {kill}")));
            support::until("the gate has ended", || !gate.is_at_work());
            // What it left in progress is nowhere until the next push looks.
            if !gate.inside("inprogress").exists() {
                right += check(&gate, &format!("push, {call} {nth}"));
            }
            gate.push(&source, &[]).exits(0);
            right += check(&gate, &format!("after a push, {call} {nth}"));
            let oldest = gate.snapshots().remove(0);
            says(&gate, &["delete", "--client", "web1", "--force", &oldest]).exits(0);
            make_old(&gate);
            let killed = |words: &[&str]| {
                let mut strace = std::process::Command::new("strace");
                strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &kill, "--"]).arg(support::SNAPGATE).arg("--config");
                support::run(strace.arg(gate.path().join("config")).args(words));
            };
            killed(&["prune", "web1"]);
            says(&gate, &["prune", "web1"]).exits(0);
            right += check(&gate, &format!("prune, {call} {nth}"));
            killed(&["usage", "web1", "--recount"]);
            right += check(&gate, &format!("recount, {call} {nth}"));
            let counted = told(&gate, &["--recount"]);
            assert_eq!((figures(&counted), &counted["recount_due"]), (stands(&gate), &false.into()), "{call} {nth}");
        }
    }
    assert!(right > 70, "and most of them are right: {right}");
}

/// Whether it is right; otherwise it says so.
#[track_caller]
fn check(gate: &Gate, when: &str) -> u32 {
    let said = told(gate, &[]);
    let is_right = figures(&said) == stands(gate);
    assert!(is_right || said["recount_due"] == true, "{when}: {said} {:?}", stands(gate));
    u32::from(is_right)
}
