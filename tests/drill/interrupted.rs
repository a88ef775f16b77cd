//! A restore that is killed goes on, and one that finds no room says so.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use support::mount::{Kind, Mount};
use support::{Gate, Running, processes, skip, tree, until};

use crate::restore;

const MANY: usize = 3000;

/// A gate whose client has pushed many small files and a large one.
fn filled() -> Gate {
    let gate = Gate::new();
    let source = gate.source("data");
    for number in 0..MANY {
        tree::write(&source.join(format!("d{}/f{number}", number % 30)), format!("{number}"));
    }
    tree::write(&source.join("z/large"), tree::noise(5, 40 << 20));
    gate.push(&source, &[]).exits(0);
    gate
}

fn workshop(to: &Path) -> PathBuf {
    to.with_file_name(format!(".snapgate-restore-{}", to.file_name().unwrap().to_str().unwrap()))
}

/// Starts one and kills it with all its processes as soon as `enough` is there.
fn killed(gate: &Gate, words: &[&str], to: &Path, enough: impl Fn() -> bool) {
    let words = [&["restore", "--client", "web1"], words, &["--to", to.to_str().unwrap()]].concat();
    let running = Running::start(&mut gate.snapgate(&words));
    until("some of it has come", enough);
    processes::signal(&processes::stop(running.child.id()), Signal::SIGKILL);
    running.wait();
}

#[test]
fn one_that_was_killed_goes_on_where_it_stopped() {
    let gate = filled();
    let to = gate.path().join("to");
    let tree = workshop(&to).join("tree");
    killed(&gate, &[], &to, || tree::files(&tree).len() > MANY / 2);
    assert!(!to.exists(), "nothing has its name before it is complete");
    let before: Vec<_> = tree::files(&tree).into_iter().map(|file| (tree::inode(&tree.join(&file)), file)).collect();
    let json = restore(&gate, &["--json"], &to).exits(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["resumed"].as_bool(), json["files"].as_u64()), (Some(true), Some(MANY as u64 + 1)));
    assert!(json["written"].as_u64().unwrap() < (MANY / 2) as u64 + 10, "{json}");
    assert!(before.iter().filter(|(inode, file)| tree::inode(&to.join(file)) == *inode).count() + 5 > before.len());
    let same = |root: &Path| tree::files(root).into_iter().map(|file| (fs::read(root.join(&file)).unwrap(), file)).collect::<Vec<_>>();
    assert!(same(&to) == same(&gate.newest()), "nothing is half, and nothing is there besides");
    assert!(!workshop(&to).exists());
}

#[test]
fn another_snapshot_or_place_does_not_go_on_from_it() {
    let gate = filled();
    let to = gate.path().join("to");
    let tree = workshop(&to).join("tree");
    killed(&gate, &[], &to, || tree::files(&tree).len() > 100);
    let said = restore(&gate, &["d1"], &to).exits(0).stdout;
    assert!(!said.contains("interrupted"), "{said}");
    assert_eq!(tree::files(&to).len(), MANY / 30);
}

#[test]
fn two_into_one_place_are_one_too_many() {
    let gate = filled();
    let to = gate.path().join("to");
    let words = ["restore", "--client", "web1", "--to", to.to_str().unwrap()];
    let running = Running::start(&mut gate.snapgate(&words));
    until("it is at work", || !tree::files(&workshop(&to).join("tree")).is_empty());
    let pids = processes::stop(running.child.id());
    assert!(pids.len() > 1, "somebody writes for it");
    let ran = restore(&gate, &[], &to).exits(75);
    assert!(ran.stderr.contains("is at work\n"), "{}", ran.stderr);
    // The one that writes keeps others out when nobody waits for it any more.
    processes::signal(&[running.child.id()], Signal::SIGKILL);
    running.wait();
    restore(&gate, &[], &to).exits(75);
    processes::signal(&pids, Signal::SIGCONT);
    until("it has ended", || {
        restore(&gate, &["--dry-run"], &to).status == 0 && pids.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists())
    });
    restore(&gate, &[], &to).exits(0);
    assert_eq!(tree::files(&to).len(), MANY + 1);
}

#[test]
fn without_room_it_says_so_and_goes_on_when_there_is_some() {
    let Some(mount) = Mount::new(Kind::Ext4, 64) else { return };
    let gate = filled();
    let ballast = mount.store().join("ballast");
    fs::write(&ballast, tree::noise(9, 30 << 20)).unwrap();
    let to = mount.store().join("to");
    let ran = restore(&gate, &[], &to).exits(11);
    assert!(ran.stderr.contains("No space left on device") && ran.stderr.contains("it goes on from there"), "{}", ran.stderr);
    assert!(!to.exists());
    fs::remove_file(ballast).unwrap();
    let said = restore(&gate, &[], &to).exits(0).stdout;
    assert!(said.contains("it went on from an interrupted one: "), "{said}");
    assert_eq!(fs::read(to.join("z/large")).unwrap(), tree::noise(5, 40 << 20));
    // Of the files that are there by force, none is half at any time.
    let gate = filled();
    fs::write(to.join("z/large"), "mine").unwrap();
    fs::write(mount.store().join("ballast"), tree::noise(9, 20 << 20)).unwrap();
    assert_ne!(restore(&gate, &["--force", "z"], &to.join("z")).status, 0);
    assert_eq!(fs::read(to.join("z/large")).unwrap(), b"mine");
}

#[test]
fn it_can_be_watched_on_a_terminal_alone() {
    let gate = filled();
    let script = Path::new("/usr/bin/script");
    if !script.exists() {
        return skip("there is no script(1)");
    }
    let to = gate.path().join("to");
    let line =
        format!("{} --config {} restore --client web1 --to {}", support::SNAPGATE, gate.path().join("config").display(), to.display());
    let ran = support::run(std::process::Command::new(script).args(["-qec", &line, "/dev/null"])).exits(0);
    assert!(ran.stdout.contains("100%") || ran.stdout.contains(" files, "), "{}", ran.stdout);
    assert_eq!(restore(&gate, &[], &gate.path().join("quiet")).exits(0).stderr, "");
}
