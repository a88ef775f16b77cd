//! Room on the disk and in memory that no file of the tree shows.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;

use super::{PUSH, PUSH_LINKS, Scene, stored, told};
use support::Ran;
use support::processes::of;

/// The gate has ended it for its limit, and has published nothing.
#[track_caller]
fn is_stopped(scene: &mut Scene, ran: &Ran) {
    let record = scene.gate.record();
    let code = record.reasons.first().map(|reason| reason.code);
    assert!(!ran.stdout.contains("survived"), "it was not ended: {record:?}");
    assert_eq!((record.result, code), (Outcome::Failed, Some(Code::Limit)), "{}{record:?}", ran.stdout);
    assert_eq!(scene.gate.snapshots().len(), 2);
    scene.is_unharmed();
}

fn must_be_stopped(limits: &str, attack: &str, defines: &[(&str, &str)]) {
    let mut scene = Scene::taken_over("", &format!("limits: {{ {limits} }}\n"), "room.c", attack, defines);
    let ran = scene.say(PUSH);
    is_stopped(&mut scene, &ran);
}

/// The same, unless the kernel does not give it to rsync in the first place.
fn must_be_stopped_or_refused(limits: &str, attack: &str) {
    let mut scene = Scene::taken_over("", &format!("limits: {{ {limits} }}\n"), "room.c", attack, &[]);
    let ran = scene.say(PUSH);
    if ran.stdout.contains("refused") {
        return scene.is_unharmed();
    }
    is_stopped(&mut scene, &ran);
}

#[test]
fn names_count_as_files_do() {
    must_be_stopped("inodes: 10", "many_names", &[("IN", "\"\""), ("MANY", "20000"), ("LENGTH", "10")]);
}

#[test]
fn names_below_the_top_count_too() {
    must_be_stopped("inodes: 10", "many_names", &[("IN", "\"d/\""), ("MANY", "20000"), ("LENGTH", "10")]);
}

#[test]
fn the_top_directory_counts_as_others_do() {
    for place in ["\"\"", "\"d/\""] {
        must_be_stopped("bytes: 1M", "many_names", &[("IN", place), ("MANY", "10000"), ("LENGTH", "200")]);
    }
}

#[test]
fn files_without_a_name_count_as_long_as_they_are_held_open() {
    must_be_stopped("bytes: 1M", "open_without_names", &[]);
}

#[test]
fn files_without_a_name_count_as_long_as_they_are_mapped() {
    must_be_stopped("bytes: 1M", "mapped_without_names", &[]);
}

#[test]
fn files_that_never_had_a_name_count() {
    must_be_stopped_or_refused("bytes: 1M", "temporary_without_names");
}

#[test]
fn files_on_their_way_from_one_process_to_another_hide_nothing() {
    must_be_stopped_or_refused("bytes: 1M", "on_their_way");
}

#[test]
fn the_log_is_no_place_to_store_anything() {
    must_be_stopped("bytes: 1M", "in_the_log", &[]);
    let mut scene = Scene::taken_over("", "limits: { bytes: 1M }\n", "room.c", "behind_the_log", &[]);
    let ran = scene.say(PUSH);
    if told(&ran)["allocate"] == [0] {
        is_stopped(&mut scene, &ran);
    }
    let left = stored(&scene.gate.inside(".snapgate"));
    assert!(left < 8 << 20, "{left} bytes are left");
}

#[test]
fn there_are_no_files_in_memory() {
    let mut scene = Scene::taken_over("", "", "room.c", "in_memory", &[]);
    let ran = scene.say(PUSH);
    for (what, answer) in told(&ran) {
        assert_ne!(answer, [0], "{what}");
    }
    scene.is_unharmed();
}

/// Says a command; the most memory that the gate has had meanwhile, in bytes. What the kernel keeps of it only grows, so the last look
/// is the one that counts.
fn watched(scene: &Scene, command: &str) -> (Ran, u64) {
    let (ended, peak) = (AtomicBool::new(false), AtomicU64::new(0));
    let status = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let most = |text: String| text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<u64>().ok());
    let ran = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut pids = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                if pids.is_empty() {
                    pids = of(scene.gate.path(), "snapgate-shell");
                }
                peak.fetch_max(pids.iter().map(status).filter_map(most).max().unwrap_or(0) << 10, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let ran = scene.say(command);
        ended.store(true, Ordering::Relaxed);
        ran
    });
    (ran, peak.load(Ordering::Relaxed))
}

#[test]
fn a_directory_of_any_number_of_names_costs_the_gate_no_memory() {
    let defines = [("IN", "\"d/\""), ("MANY", "300000"), ("LENGTH", "60")];
    let mut scene = Scene::taken_over("", "", "room.c", "many_names", &defines);
    let (ran, peak) = watched(&scene, PUSH);
    assert_eq!(told(&ran)["made"], [300_000]);
    eprintln!("300,000 names in one directory: {} KiB", peak >> 10);
    assert_eq!(scene.gate.snapshots().len(), 3);
    assert!(peak < 32 << 20, "{} KiB", peak >> 10);
    scene.is_unharmed();
}

/// `ATTACKS_RECORDS` says how many: a million is the long form.
#[test]
fn a_push_of_many_links_costs_the_gate_no_memory() {
    let many = std::env::var("ATTACKS_RECORDS").unwrap_or_else(|_| "200000".to_owned());
    for push in [PUSH, PUSH_LINKS] {
        let mut scene = Scene::taken_over("", "", "room.c", "many_links", &[("MANY", &many)]);
        let began = Instant::now();
        let (ran, peak) = watched(&scene, push);
        eprintln!("{many} links: {} KiB, {:?}", peak >> 10, began.elapsed());
        assert_eq!(told(&ran)["made"], [many.parse::<i64>().unwrap()]);
        assert!(peak < 64 << 20, "{} KiB", peak >> 10);
        let record = scene.gate.record();
        assert_eq!(record.result, Outcome::Published, "{record:?}");
        assert_eq!(record.push.unwrap().linked, many.parse::<u64>().unwrap());
        scene.is_unharmed();
    }
}

/// Names of files of history take room too. How many may be remembered at all has a test in `src/act/store/links/log.rs`.
#[test]
fn links_without_end_are_stopped_by_a_limit() {
    let mut scene = Scene::taken_over("", "limits: { inodes: 10000 }\n", "room.c", "links_for_ever", &[]);
    let began = Instant::now();
    let (ran, peak) = watched(&scene, PUSH);
    eprintln!("{:?} in {:?}, {} KiB", ran.stdout, began.elapsed(), peak >> 10);
    is_stopped(&mut scene, &ran);
    assert!(began.elapsed() < Duration::from_secs(40), "{:?}", began.elapsed());
    assert!(peak < 64 << 20, "{} KiB", peak >> 10);
    let left = stored(&scene.gate.inside(".snapgate"));
    assert!(left < 64 << 20, "{left} bytes are left");
}
