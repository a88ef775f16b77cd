use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::act::record::ledger;
use crate::act::store::Repository;
use crate::decide::speak::message::samples;
use crate::terms::Code;
use crate::terms::limits::REAP_LIMIT;

/// A repository with snapshots, each with a file.
struct Place {
    dir: TempDir,
    names: NamePattern,
}

impl Place {
    fn with(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let this = Self { dir, names: NamePattern::new("%Y/%m%d/%H%M").unwrap() };
        Repository::open(&this.root(), uid(), None).unwrap();
        for name in names {
            fs::create_dir_all(this.snapshot(name)).unwrap();
            fs::write(this.snapshot(name).join("file"), *name).unwrap();
        }
        this
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("web1")
    }

    fn snapshot(&self, name: &str) -> PathBuf {
        self.root().join("snapshots").join(name)
    }

    fn state(&self, name: &str) -> PathBuf {
        self.root().join(STATE).join(name)
    }

    fn open(&self) -> Opened {
        Opened::open(&self.root(), uid()).unwrap().unwrap()
    }

    fn name(&self, text: &str) -> SnapshotName {
        self.names.read(text).unwrap()
    }

    fn all(&self) -> Vec<String> {
        self.open().names(&self.names).unwrap().iter().map(ToString::to_string).collect()
    }

    /// Removes it now.
    fn remove(&self, name: &str) {
        self.open().hold().unwrap().remove(&self.name(name), moment(), &removal()).unwrap();
    }

    fn reap(&self) -> Reaped {
        let opened = self.open();
        opened.reap(&opened.trash().unwrap()).unwrap()
    }
}

fn uid() -> u32 {
    nix::unistd::getuid().as_raw()
}

fn moment() -> chrono::DateTime<chrono::Utc> {
    "2026-11-28T09:00:00Z".parse().unwrap()
}

fn removal() -> Removal {
    Removal { why: "a test".to_owned(), by: "nobody".to_owned() }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Inodes, and bytes of them, in a directory.
fn room(path: &Path, seen: &mut std::collections::BTreeMap<u64, u64>) {
    let found = fs::symlink_metadata(path).unwrap();
    // A file has its blocks once it is written out, which may be while the reaper is at work.
    let bytes = if found.is_file() { found.len().next_multiple_of(4096) } else { 0 };
    seen.insert(found.ino(), bytes.max(found.blocks() * 512));
    if found.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| room(&entry.unwrap().path(), seen));
    }
}

fn sum(path: &Path) -> (u64, u64) {
    let mut seen = std::collections::BTreeMap::new();
    room(path, &mut seen);
    (seen.values().sum(), seen.len() as u64)
}

#[test]
fn a_snapshot_goes_by_one_rename_with_the_empty_directories_above_it_and_comes_back_as_it_was() {
    let place = Place::with(&["2026/1121/0300", "2026/1121/0400", "2026/1122/0300"]);
    chmod(&place.snapshot("2026/1122/0300"), 0o555);
    let inode = fs::metadata(place.snapshot("2026/1122/0300/file")).unwrap().ino();
    place.remove("2026/1122/0300");
    place.remove("2026/1121/0300");
    assert_eq!(place.all(), ["2026/1121/0400"]);
    assert!(!place.snapshot("2026/1122").exists() && place.snapshot("2026/1121").exists());
    let opened = place.open();
    let trash = opened.trash().unwrap();
    let names: Vec<_> = trash.iter().map(|trashed| (trashed.name.as_str(), trashed.at, trashed.removal.clone())).collect();
    let expected = |name| (name, moment(), Some(removal()));
    assert_eq!(names, [expected("2026/1121/0300"), expected("2026/1122/0300")]);
    opened.hold().unwrap().bring_back(&trash[1], &place.name("2026/1122/0300")).unwrap();
    let back = fs::metadata(place.snapshot("2026/1122/0300")).unwrap();
    assert_eq!(back.permissions().mode() & 0o777, 0o555);
    assert_eq!(fs::metadata(place.snapshot("2026/1122/0300/file")).unwrap().ino(), inode);
    let left: Vec<_> = fs::read_dir(place.state("trash")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "one and its note: {left:?}");
    assert!(opened.hold().unwrap().bring_back(&trash[1], &place.name("2026/1122/0300")).is_err(), "it is no longer there");
}

#[test]
fn two_of_one_name_that_go_in_one_second_are_both_kept_and_none_replaces_what_is_there() {
    let place = Place::with(&["2026/1121/0300"]);
    for text in ["one", "two"] {
        fs::create_dir_all(place.snapshot("2026/1121/0300")).unwrap();
        fs::write(place.snapshot("2026/1121/0300/file"), text).unwrap();
        place.remove("2026/1121/0300");
    }
    let opened = place.open();
    let trash = opened.trash().unwrap();
    assert_eq!(trash.iter().map(|trashed| trashed.name.as_str()).collect::<Vec<_>>(), ["2026/1121/0300"; 2]);
    let held = opened.hold().unwrap();
    let name = place.name("2026/1121/0300");
    held.bring_back(&trash[1], &name).unwrap();
    assert_eq!(fs::read(place.snapshot("2026/1121/0300/file")).unwrap(), b"two");
    assert!(held.bring_back(&trash[0], &name).is_err());
    assert_eq!(fs::read(place.snapshot("2026/1121/0300/file")).unwrap(), b"two");
}

#[test]
fn current_is_set_in_one_step_and_read_back() {
    let place = Place::with(&["2026/1121/0300"]);
    let opened = place.open();
    let held = opened.hold().unwrap();
    assert_eq!(opened.current(), None);
    held.set_current(Some(&place.name("2026/1121/0300"))).unwrap();
    assert_eq!(opened.current().as_deref(), Some("2026/1121/0300"));
    assert!(place.root().join("current/file").exists());
    held.set_current(None).unwrap();
    held.set_current(None).unwrap();
    assert!(fs::symlink_metadata(place.root().join("current")).is_err());
}

#[test]
fn the_reaper_frees_what_has_no_other_name_and_minds_no_mode() {
    let place = Place::with(&["2026/1121/0300", "2026/1122/0300"]);
    let (goes, stays) = (place.snapshot("2026/1121/0300"), place.snapshot("2026/1122/0300"));
    let outside = place.dir.path().join("outside");
    fs::write(&outside, "x").unwrap();
    fs::create_dir_all(goes.join("locked/inner")).unwrap();
    fs::write(goes.join("locked/inner/twice"), vec![1; 100_000]).unwrap();
    fs::hard_link(goes.join("locked/inner/twice"), goes.join("again")).unwrap();
    fs::hard_link(goes.join("file"), stays.join("shared")).unwrap();
    symlink(&outside, goes.join("link")).unwrap();
    chmod(&goes.join("locked/inner"), 0o000);
    chmod(&goes.join("locked"), 0o555);
    chmod(&goes, 0o555);
    place.remove("2026/1121/0300");
    chmod(&place.root(), 0o700);
    let shared = fs::metadata(stays.join("shared")).unwrap();
    let reaped = place.reap();
    // The top, two directories, one file of two names, and the link.
    assert_eq!((reaped.snapshots, reaped.inodes, reaped.in_all), (1, 5, 0), "{reaped:?}");
    assert!(reaped.bytes >= 100_000, "{reaped:?}");
    assert!(outside.exists() && fs::metadata(stays.join("shared")).unwrap().ino() == shared.ino());
    for name in ["trash", "reaping"] {
        assert_eq!(fs::read_dir(place.state(name)).unwrap().count(), 0, "{name}");
    }
    assert_eq!(place.reap(), Reaped::default());
}

#[test]
fn what_a_killed_reaper_left_is_finished_and_cannot_come_back() {
    let place = Place::with(&["2026/1121/0300"]);
    let half = place.state("reaping/2026~1120~0300@20261127T090000Z");
    fs::create_dir_all(half.join("deep/er")).unwrap();
    fs::write(half.join("deep/er/file"), "x").unwrap();
    assert_eq!(place.open().trash().unwrap(), []);
    let reaped = place.open().reap(&[]).unwrap();
    assert_eq!((reaped.snapshots, reaped.inodes), (1, 4));
    assert_eq!(place.all(), ["2026/1121/0300"]);
}

#[test]
fn the_reaper_gives_way_to_a_push_and_goes_on_after_it() {
    let place = Place::with(&["2026/1121/0300"]);
    place.remove("2026/1121/0300");
    let repository = Repository::open(&place.root(), uid(), None).unwrap();
    let opened = place.open();
    let trash = opened.trash().unwrap();
    let held = repository.hold().unwrap();
    assert_eq!(opened.hold().unwrap_err().code, Code::Busy);
    assert_eq!(opened.reap(&trash).unwrap(), Reaped { paused: true, ..Reaped::default() });
    assert!(place.state("reaping/2026~1121~0300@20261128T090000Z/file").exists());
    drop(held);
    let reaped = opened.reap(&[]).unwrap();
    assert_eq!((reaped.snapshots, reaped.paused), (1, false));
}

#[test]
fn there_is_one_reaper_and_it_gives_way_in_the_middle_of_a_tree() {
    let place = Place::with(&["2026/1121/0300"]);
    for directory in 0..20 {
        let below = place.snapshot("2026/1121/0300").join(directory.to_string());
        fs::create_dir(&below).unwrap();
        (0..500).for_each(|file| fs::write(below.join(file.to_string()), "").unwrap());
    }
    place.remove("2026/1121/0300");
    let (opened, other) = (place.open(), place.open());
    let repository = Repository::open(&place.root(), uid(), None).unwrap();
    let held = std::sync::Mutex::new(None);
    let busy = std::sync::Mutex::new(None);
    let begins = |freed: crate::terms::Usage| {
        if freed.inodes > 1000 {
            held.lock().unwrap().get_or_insert_with(|| repository.hold().unwrap());
            busy.lock().unwrap().get_or_insert_with(|| other.reap(&[]).unwrap_err().code);
        }
    };
    // What takes too long gives way, too.
    let none = opened.reap_telling(&opened.trash().unwrap(), Duration::ZERO, &|_| {}).unwrap();
    assert_eq!(none, Reaped { paused: true, ..Reaped::default() });
    let first = opened.reap_telling(&[], REAP_LIMIT, &begins).unwrap();
    assert_eq!((first.snapshots, first.paused, first.in_all), (0, true, 0), "{first:?}");
    assert_eq!(busy.into_inner().unwrap(), Some(Code::Busy));
    drop(held);
    let second = opened.reap(&[]).unwrap();
    assert_eq!((second.snapshots, second.paused, first.inodes + second.inodes), (1, false, 10_022), "{first:?} {second:?}");
}

#[test]
fn what_somebody_reads_waits_in_the_trash_and_what_cannot_be_moved_keeps_nothing_back() {
    let place = Place::with(&["2026/1121/0300", "2026/1122/0300"]);
    let name = place.name("2026/1121/0300");
    let reading = Repository::at(&place.root()).keep_for_reading(&name).unwrap();
    place.open().hold().unwrap().remove_from_readers(&name, moment(), &removal()).unwrap();
    place.remove("2026/1122/0300");
    assert_eq!(place.reap().snapshots, 1);
    assert_eq!(place.open().trash().unwrap().len(), 1);
    drop(reading);
    assert_eq!(place.reap().snapshots, 1);
}

#[test]
fn what_a_killed_command_was_writing_goes_with_the_next_one() {
    let place = Place::with(&["2026/1121/0300"]);
    for left in ["draft", "current.new", "trash/draft", "protected/draft"] {
        fs::create_dir_all(place.state(left).parent().unwrap()).unwrap();
        chmod(place.state(left).parent().unwrap(), 0o700);
        fs::write(place.state(left), "half").unwrap();
    }
    place.open().hold().unwrap().tidy();
    for left in ["draft", "current.new", "trash/draft", "protected/draft"] {
        assert!(!place.state(left).exists(), "{left}");
    }
}

#[test]
fn nothing_is_removed_through_a_link_that_somebody_plants() {
    for planted in [".snapgate/trash", ".snapgate/reaping", ".snapgate/protected", "snapshots", "snapshots/2026/1121", ".snapgate"] {
        let place = Place::with(&["2026/1121/0300"]);
        let outside = place.dir.path().join("outside");
        fs::create_dir_all(outside.join("0300")).unwrap();
        fs::create_dir_all(outside.join("2026~1121~0300@20261128T090000Z")).unwrap();
        fs::write(outside.join("0300/file"), "x").unwrap();
        let before = sum(&outside);
        let at = place.root().join(planted);
        if at.exists() {
            fs::rename(&at, place.dir.path().join("aside")).unwrap();
        }
        symlink(&outside, &at).unwrap();
        if let Ok(Some(opened)) = Opened::open(&place.root(), uid()) {
            let held = opened.hold().unwrap();
            let removed = held.remove(&place.name("2026/1121/0300"), moment(), &removal());
            assert_eq!(removed.is_ok(), [".snapgate/reaping", ".snapgate/protected"].contains(&planted), "{planted}");
            // The reaper would wait for its end.
            drop(held);
            let trash = opened.trash();
            assert!(planted == ".snapgate/trash" || trash.is_ok(), "{planted}");
            let reaped = opened.reap(&trash.unwrap_or_default());
            assert!(planted != ".snapgate/reaping" || reaped.is_err(), "{planted}");
        }
        assert_eq!(sum(&outside), before, "{planted}");
    }
}

#[test]
fn a_repository_of_somebody_else_or_that_others_can_write_to_is_not_opened() {
    let place = Place::with(&["2026/1121/0300"]);
    assert!(Opened::open(&place.root(), uid() + 1).is_err());
    chmod(&place.root().join("snapshots"), 0o777);
    assert!(Opened::open(&place.root(), uid()).is_err());
    assert!(Opened::open(&place.dir.path().join("none"), uid()).unwrap().is_none());
}

#[test]
fn a_protection_is_kept_until_it_is_ended_and_a_broken_one_is_told_of() {
    let place = Place::with(&["2026/1121/0300"]);
    let opened = place.open();
    let name = place.name("2026/1121/0300");
    assert_eq!(opened.protections().unwrap(), []);
    assert!(!opened.unprotect(name.as_str()).unwrap());
    let protected = Protected { until: None, why: "an audit".to_owned(), by: "root".to_owned(), at: moment() };
    let shorter = Protected { until: Some(moment()), ..protected.clone() };
    for note in [protected, shorter] {
        opened.protect(&name, &note).unwrap();
        assert_eq!(opened.protections().unwrap(), [(name.to_string(), note)]);
    }
    assert!(opened.unprotect(name.as_str()).unwrap());
    assert_eq!(opened.protections().unwrap(), []);
    fs::write(place.state("protected/2026~1121~0300.json"), "{").unwrap();
    assert!(opened.protections().is_err(), "nobody knows what it protects");
}

#[test]
fn what_cannot_be_read_is_not_taken_for_nothing() {
    let place = Place::with(&["2026/1121/0300"]);
    let opened = place.open();
    assert_eq!(
        (opened.is_held("2026/1121/0300"), opened.history(), opened.partial(|_| true)),
        (Ok(false), Ok(Default::default()), Ok(Default::default()))
    );
    assert!(!opened.is_passed_over("2026/1121/0300"));
    fs::create_dir(place.state("held")).unwrap();
    fs::write(place.state("held/2026~1121~0300.json"), "{}").unwrap();
    assert_eq!((opened.held(), opened.has("2026/1121/0300")), (Ok(1), true));
    place.remove("2026/1121/0300");
    assert_eq!((opened.held(), opened.has("2026/1121/0300")), (Ok(0), false), "it is in the trash");
    fs::remove_dir_all(place.state("held")).unwrap();
    // As it is with a bad sector, or without descriptors left: there is something, and no more is known.
    ["held", "ledgers"].iter().for_each(|name| fs::write(place.state(name), "").unwrap());
    fs::write(place.state("pushes.json"), "{").unwrap();
    assert!(opened.is_held("2026/1121/0300").is_err() && opened.is_passed_over("2026/1121/0300"));
    assert!(opened.history().is_err() && opened.partial(|_| true).is_err());
    let gate = Repository::at(&place.root());
    assert!(gate.is_held("2026/1121/0300") && gate.history().is_err());
}

#[test]
fn what_is_partial_is_known_also_after_its_ledger_was_set_aside() {
    let place = Place::with(&["2026/1121/0300", "2026/1122/0300", "2026/1123/0300"]);
    let tell = |id: &str, at: &str, snapshot: &str, partial: bool| {
        let mut event = crate::terms::Event { id: id.to_owned(), at: at.parse().unwrap(), ..samples::published() };
        let crate::terms::Body::Push(push) = &mut event.body else { panic!("no push") };
        (push.facts.snapshot, push.facts.partial) = (Some(snapshot.to_owned()), partial);
        ledger::append(&place.state("ledger.jsonl"), &event).unwrap();
    };
    let partial = || ledger::partial(&place.state("ledger.jsonl"), &place.state("partial")).into_iter().collect::<Vec<_>>();
    tell("1", "2026-11-21T03:00:00Z", "2026/1121/0300", true);
    tell("2", "2026-11-22T03:00:00Z", "2026/1122/0300", true);
    tell("3", "2026-11-23T03:00:00Z", "2026/1120/0300", true);
    // What stays in the next ledger is no more than its last lines.
    for number in 4..200 {
        tell(&number.to_string(), "2026-11-23T03:00:00Z", "2026/1123/0300", false);
    }
    let opened = place.open();
    opened.note_partial(|name| opened.has(name)).unwrap();
    opened.ledgers().rotate("2026-12-01T00:05:00Z".parse().unwrap()).unwrap();
    assert!(!fs::read_to_string(place.state("ledger.jsonl")).unwrap().contains("2026/1121/0300"));
    assert_eq!(partial(), ["2026/1121/0300", "2026/1122/0300"], "one that is gone is forgotten");
    tell("200", "2026-12-01T03:00:00Z", "2026/1122/0300", false);
    assert_eq!(partial(), ["2026/1121/0300"], "that name was given again");
}

#[test]
fn whoever_reads_a_snapshot_is_seen() {
    let place = Place::with(&["2026/1121/0300"]);
    let opened = place.open();
    let name = place.name("2026/1121/0300");
    assert!(!opened.is_read(&name));
    let reading = Repository::at(&place.root()).keep_for_reading(&name).unwrap();
    let another = Repository::at(&place.root()).keep_for_reading(&name).unwrap();
    assert!(opened.is_read(&name));
    drop((reading, another));
    assert!(!opened.is_read(&name));
}

#[test]
fn a_snapshot_that_somebody_has_come_to_read_stays_without_a_trace() {
    let place = Place::with(&["2026/1121/0300"]);
    let (opened, name) = (place.open(), place.name("2026/1121/0300"));
    let held = opened.hold().unwrap();
    let _reading = Repository::at(&place.root()).keep_for_reading(&name).unwrap();
    let removed = held.remove(&name, moment(), &removal());
    assert_eq!(removed.unwrap_err().code, Code::Busy);
    assert_eq!((place.all(), opened.trash().unwrap()), (vec![name.to_string()], vec![]));
    assert_eq!(fs::read_dir(place.state("trash")).unwrap().count(), 0, "no note of it is left");
}

#[test]
fn what_is_mounted_elsewhere_or_no_snapshot_is_no_snapshot() {
    let place = Place::with(&["2026/1121/0300"]);
    for foreign in ["lost+found", "2026/notes", "old/one/two/three"] {
        fs::create_dir_all(place.snapshot(foreign)).unwrap();
    }
    symlink("1121", place.snapshot("2026/1120")).unwrap();
    fs::write(place.snapshot("README"), "x").unwrap();
    assert_eq!(place.all(), ["2026/1121/0300"]);
    fs::create_dir_all(place.state("trash")).unwrap();
    for foreign in ["@20261128T090000Z", "a@b", "draft", "2026~1121~0300"] {
        fs::DirBuilder::new().mode(0o700).create(place.state("trash").join(foreign)).unwrap();
    }
    assert_eq!(place.open().trash().unwrap(), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Files with several names, in one snapshot and in several, in many directories: what the
    /// reaper says is free is what is gone.
    #[test]
    fn what_the_reaper_counts_is_what_becomes_free(names in prop::collection::vec((0usize..30, 0usize..3, 0usize..40, 0usize..9000), 1..200)) {
        let all = ["2026/1121/0300", "2026/1122/0300", "2026/1123/0300"];
        let place = Place::with(&all);
        let mut files: Vec<PathBuf> = Vec::new();
        for (number, (file, snapshot, directory, length)) in names.into_iter().enumerate() {
            let below = place.snapshot(all[snapshot]).join(format!("d{}/e{directory}", directory % 5));
            fs::create_dir_all(&below).unwrap();
            let name = below.join(number.to_string());
            match files.get(file) {
                Some(first) => fs::hard_link(first, &name).unwrap(),
                None => fs::write(&name, vec![7; length]).unwrap(),
            }
            files.push(name);
        }
        let snapshots = place.root().join("snapshots");
        for name in &all[..2] {
            let before = sum(&snapshots);
            let parent = sum(&place.snapshot(&name[..9])).1 - sum(&place.snapshot(name)).1;
            place.remove(name);
            let reaped = place.reap();
            let after = sum(&snapshots);
            prop_assert_eq!((reaped.snapshots, reaped.in_all), (1, 0));
            prop_assert_eq!(reaped.inodes, before.1 - after.1 - parent);
            prop_assert!(reaped.bytes <= before.0 - after.0);
        }
    }
}
