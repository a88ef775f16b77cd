//! Links that are made when rsync is gone: what stands where one is to be made, where it is taken from, and what stands in its place
//! until then.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use snapgate::terms::outcome::Outcome;

use super::{PUSH, PUSH_LINKS, Scene, WITHOUT_A_VIEW, is_told_of_a_loss, quoted, told};
use crate::jail::where_there_is_no_view;
use support::processes::{is_alive, of, signal};
use support::{Running, is_root, must, run, skip};

/// With `-H` and without, with a view and without.
fn everywhere(attack: impl Fn(&str, &str) + Sync) {
    for push in [PUSH, PUSH_LINKS] {
        attack("", push);
        where_there_is_no_view(|| attack(WITHOUT_A_VIEW, push));
    }
}

fn scene(site: &str, attack: &str, ending: i32) -> Scene {
    let mut scene = Scene::new(site, "");
    let (history, outside) = (scene.newest_quoted(), quoted(&scene.gate.path().join("outside")));
    scene.take_over("links.c", attack, &[("HISTORY", &history), ("OUTSIDE", &outside), ("ENDING", &format!("({ending})"))]);
    scene
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).ino()
}

/// Every path in a tree, whatever the modes in it.
fn all(tree: &Path) -> Vec<PathBuf> {
    must(Command::new("find").arg(tree).args(["-type", "d", "-exec", "chmod", "u+rwx", "{}", ";"]));
    let mut open = vec![tree.to_owned()];
    let mut found = Vec::new();
    while let Some(directory) = open.pop() {
        for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                open.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

/// No file is there that the push did not store and that is not history's. Last, because it opens every directory.
#[track_caller]
fn holds_no_placeholder(tree: &Path) {
    for path in all(tree) {
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_file() {
            let bytes = fs::read(&path).unwrap();
            assert!(!bytes.is_empty() && !bytes.starts_with(b"evil") && bytes[0] != 0, "{} is left: {meta:?}", path.display());
            assert_eq!(meta.mode() & 0o7000, 0, "{}", path.display());
        }
    }
}

fn odd_records(site: &str, push: &str) {
    let mut scene = scene(site, "odd_records", 0);
    let (victim, inner) = (inode(&scene.gate.newest().join("victim")), inode(&scene.gate.newest().join("d/inner")));
    for _ in 0..2 {
        let ran = scene.say(push);
        let record = scene.gate.record();
        assert_eq!(record.result, Outcome::Published, "{record:?}{}", ran.stdout);
        // Its rsync ended with 0, and no client would know.
        assert!(record.push.as_ref().is_some_and(|push| push.partial && push.rsync_exit == Some(0)), "{record:?}");
        assert_eq!((ran.code(), ran.status, record.exit), (Some("partial"), 65, 65), "{}", ran.stderr);
        scene.is_unharmed();
        let newest = scene.gate.newest();
        for (name, text) in [("taken", "of this push"), ("file", "no directory any more"), ("arrived", "whole")] {
            assert_eq!(fs::read_to_string(newest.join(name)).unwrap(), text, "{name}");
        }
        for name in ["to-history", "to-history-as-it-is-seen", "to-outside", "up", "up-and-away", "way", "way-out"] {
            assert!(fs::symlink_metadata(newest.join(name)).unwrap().is_symlink(), "{name}");
        }
        let paths = all(&newest);
        let ends =
            |length: usize| paths.iter().filter(|path| path.strip_prefix(&newest).unwrap().as_os_str().len() == length).collect::<Vec<_>>();
        for (what, found) in [("a name of 255", ends(255)), ("a path of 3,900", ends(3900))] {
            assert!(found.iter().any(|path| inode(path) == victim), "{what} is not linked: {found:?} {}", ran.stdout);
        }
        for name in ["own", "from-deep"] {
            assert_eq!(inode(&newest.join(name)), victim, "{name}");
        }
        assert!([victim, inner].contains(&inode(&newest.join("twice"))));
        assert!(!paths.iter().any(|path| path.ends_with("escaped") || path.ends_with("planted")));
        // Whatever was linked is a file of the tree that was compared with, and never the outside's.
        let outside: BTreeSet<_> = all(&scene.gate.path().join("outside")).iter().map(|path| inode(path)).collect();
        let led_out: Vec<_> = paths.iter().filter(|path| outside.contains(&inode(path))).collect();
        assert!(led_out.is_empty(), "{led_out:?}");
        assert!(told(&ran)["too-long-name"] != [0] || is_told_of_a_loss(&record), "nobody is told: {}", ran.stdout);
        holds_no_placeholder(&newest);
        scene.remember();
    }
}

#[test]
fn odd_names_of_links_lead_nowhere_and_long_ones_are_made() {
    everywhere(odd_records);
}

/// The push is published: whatever was done to what stood in the place of links, the links are made, or nothing is there.
#[test]
fn what_stands_in_the_place_of_links_is_in_no_snapshot() {
    if !is_root() {
        return skip("it takes root to look into directories that their owner may not read");
    }
    everywhere(|site, push| {
        let mut scene = scene(site, "placeholders", 0);
        let victim = inode(&scene.gate.newest().join("victim"));
        let ran = scene.say(push);
        let record = scene.gate.record();
        assert_eq!(record.result, Outcome::Published, "{record:?}{}", ran.stdout);
        scene.is_unharmed();
        let newest = scene.gate.newest();
        assert_eq!(fs::metadata(newest.join("locked")).unwrap().mode() & 0o777, 0);
        assert_eq!(fs::metadata(newest.join("deep/deep")).unwrap().mode() & 0o777, 0o111);
        holds_no_placeholder(&newest);
        assert_eq!(inode(&newest.join("grouped")), victim);
        assert_eq!(inode(&newest.join("locked/name")), victim, "{}", ran.stdout);
        if push == PUSH_LINKS {
            assert_eq!(inode(&newest.join("grouped-too")), victim);
        }
    });
}

#[test]
fn what_stands_in_the_place_of_links_is_in_nothing_that_is_kept() {
    everywhere(|site, push| {
        let mut scene = scene(site, "placeholders", 12);
        scene.say(push);
        assert!(scene.gate.record().push.unwrap().kept);
        scene.is_unharmed();
        holds_no_placeholder(&scene.gate.inside(".snapgate/interrupted/1"));
    });
}

#[test]
fn what_stands_in_the_place_of_links_is_gone_after_the_gate_was_killed() {
    for push in [PUSH, PUSH_LINKS] {
        let mut scene = scene("", "placeholders", -1);
        let running = Running::start(&mut scene.gate.say_command(push, ""));
        support::until("it has recorded", || scene.gate.inside("inprogress/ready").exists());
        let gates = of(scene.gate.path(), "snapgate-shell");
        signal(&gates, Signal::SIGKILL);
        support::until("the gate is gone", || gates.iter().all(|pid| !is_alive(*pid)));
        running.wait();
        scene.settle();
        scene.is_unharmed();
        // The next push keeps what is of use, and it is looked at before that is forgotten: that one fails.
        scene.take_over("small.c", "history_among_the_unfinished", &[]);
        scene.say(push);
        scene.is_unharmed();
        let kept = scene.gate.inside(".snapgate/interrupted");
        assert!(fs::read_dir(&kept).unwrap().count() > 0);
        holds_no_placeholder(&kept);
        scene.rsync_is(None);
        scene.gate.push(&scene.gate.source("data"), &["-H"]).exits(0);
        scene.is_unharmed();
        holds_no_placeholder(&scene.gate.newest());
    }
}

/// Pushes while something is done to the tree that it links from, which an earlier one has left. What comes of it.
fn while_links_vanish(site: &str, push: &str, act: impl Fn(&Path, &Path)) -> Scene {
    let mut scene = scene(site, "vanishing", 0);
    scene.say(push);
    assert!(scene.gate.record().push.unwrap().kept);
    scene.is_unharmed();
    let running = Running::start(&mut scene.gate.say_command(push, ""));
    support::until("it has recorded", || scene.gate.inside("inprogress/ready").exists());
    act(&scene.gate.inside(".snapgate/interrupted/1"), &scene.gate.path().join("outside"));
    fs::write(scene.gate.inside("inprogress/go"), "").unwrap();
    running.wait();
    scene.settle();
    scene.is_unharmed();
    scene
}

/// A file of the newest snapshot, if it is there.
fn published(scene: &Scene, name: &str) -> Option<String> {
    fs::read_to_string(scene.gate.newest().join(name)).ok()
}

#[test]
fn a_file_that_is_gone_when_it_is_to_be_linked_is_missed_aloud() {
    everywhere(|site, push| {
        let scene = while_links_vanish(site, push, |left, _| fs::remove_file(left.join("left")).unwrap());
        let record = scene.gate.record();
        if record.result == Outcome::Published {
            let found = published(&scene, "left");
            assert!(found.is_none_or(|text| text == "left behind"), "something else is in its place");
            assert_eq!(published(&scene, "stays").as_deref(), Some("stays"));
        }
        assert!(published(&scene, "left").is_some() || is_told_of_a_loss(&record), "{record:?}");
        let tree = if record.result == Outcome::Published { scene.gate.newest() } else { scene.gate.inside(".snapgate/interrupted") };
        holds_no_placeholder(&tree);
    });
}

#[test]
fn what_became_a_link_before_it_was_to_be_linked_leads_nowhere() {
    everywhere(|site, push| {
        let scene = while_links_vanish(site, push, |left, outside| {
            fs::remove_file(left.join("left")).unwrap();
            symlink(outside.join("secret"), left.join("left")).unwrap();
            run(Command::new("rm").arg("-rf").arg(left.join("e")));
            symlink(outside.join("e"), left.join("e")).unwrap();
        });
        for (name, text) in [("left", "left behind"), ("inner", "left behind in e")] {
            let path = scene.gate.newest().join(name);
            let is_file = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file());
            assert!(!is_file || published(&scene, name).as_deref() == Some(text), "{name} leads out");
        }
    });
}
