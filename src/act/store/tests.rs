//! What a repository promises, on a real directory.

mod deep;
mod transaction;
mod tries;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::*;
use crate::decide::anomaly::{History, Past};
use crate::decide::push::links::Tree;
use crate::terms::{Pushed, SubPath};

struct Store {
    _root: tempfile::TempDir,
    repository: Repository,
    names: NamePattern,
}

fn store() -> Store {
    let root = tempfile::tempdir().unwrap();
    let repository = Repository::open(&root.path().join("web1"), uid(), None).unwrap();
    Store { _root: root, repository, names: NamePattern::default() }
}

fn uid() -> u32 {
    nix::unistd::getuid().as_raw()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

const NOON: &str = "2026-11-21T12:00:00Z";
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Store {
    fn look(&self) -> RepositoryState {
        self.repository.look(&self.names).unwrap()
    }

    fn bases(&self) -> Vec<Tree> {
        self.bases_of(&self.look(), false)
    }

    fn bases_of(&self, state: &RepositoryState, whole_files_only: bool) -> Vec<Tree> {
        let whole = SubPath::default();
        self.repository.bases(&whole, &self.repository.snapshots_with(&whole, state), whole_files_only)
    }

    fn publish(&self, time: &str, file: &str) {
        let held = self.repository.hold().unwrap();
        held.recover(&mut self.look(), at(time), DAY).unwrap();
        let staging = held.stage(&SubPath::default()).unwrap();
        fs::write(staging.path().join(file), file).unwrap();
        staging.publish(self.names.name_at(at(time)), "test", b"").unwrap();
        self.repository.forget_unrecorded("test");
    }

    /// A push that was cut off when this file had arrived.
    fn cut_off(&self, file: &str) {
        drop(stage_with(&self.repository.hold().unwrap(), file));
    }

    fn recover(&self) -> Vec<String> {
        self.repository.hold().unwrap().recover(&mut self.look(), at(NOON), DAY).unwrap().into_iter().map(|note| note.text).collect()
    }

    fn current(&self) -> String {
        fs::read_link(self.repository.current()).unwrap().display().to_string()
    }
}

fn into(place: &str) -> Pushed {
    Pushed { place: SubPath::parse(place).unwrap(), replaces: false, untouched: false }
}

/// A stage with an empty file of this name.
fn stage_with<'a>(held: &'a Held<'a>, file: &str) -> Staging<'a> {
    let staging = held.stage(&SubPath::default()).unwrap();
    fs::write(staging.path().join(file), "").unwrap();
    staging
}

#[test]
fn publishing_names_the_tree_and_moves_current() {
    let store = store();
    store.publish("2026-11-21T01:00:00Z", "a");
    store.publish("2026-11-21T02:00:00Z", "b");
    assert_eq!(store.current(), "snapshots/2026-11-21T02-00-00Z");
    assert_eq!(store.look().newest.unwrap().as_str(), "2026-11-21T02-00-00Z");
    assert!(!store.repository.inprogress().exists());
}

#[test]
fn a_name_that_exists_is_never_replaced() {
    let store = store();
    store.publish(NOON, "first");
    let held = store.repository.hold().unwrap();
    let staging = stage_with(&held, "second");
    assert!(staging.publish(store.names.name_at(at(NOON)), "test", b"").is_err());
    assert!(store.repository.current().join("first").exists());
}

#[test]
fn a_snapshot_that_nobody_was_told_of_is_told_of_once_and_not_while_its_session_lives() {
    let store = store();
    let publish = |time: &str, id: &str| {
        let held = store.repository.hold().unwrap();
        stage_with(&held, "f").publish(store.names.name_at(at(time)), id, b"").unwrap();
    };
    // No process has this number (pid_max is at most 4194304), and the test's own lives.
    publish("2026-11-21T01:00:00Z", "x-4194305");
    publish("2026-11-21T02:00:00Z", &format!("x-{}", std::process::id()));
    let notes = store.recover();
    assert!(notes.len() == 1 && notes[0].contains("2026-11-21T01-00-00Z"), "{notes:?}");
    assert!(store.recover().is_empty());
    store.repository.forget_unrecorded(&format!("x-{}", std::process::id()));
}

#[test]
fn a_directory_that_forbids_writing_is_published_with_its_mode_and_time() {
    let store = store();
    let held = store.repository.hold().unwrap();
    let staging = stage_with(&held, "f");
    fs::set_permissions(staging.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let before = fs::metadata(staging.path()).unwrap();
    let published = staging.publish(store.names.name_at(at(NOON)), "test", b"").unwrap();
    let after = fs::metadata(published.path()).unwrap();
    assert_eq!((before.mode(), before.mtime_nsec()), (after.mode(), after.mtime_nsec()));
}

#[test]
fn what_a_crash_leaves_is_set_aside_and_linked_from() {
    let store = store();
    store.publish("2026-11-21T01:00:00Z", "a");
    store.cut_off("half");
    assert_eq!(store.recover().len(), 1);
    let bases = store.bases();
    assert_eq!(bases.len(), 2);
    assert!(bases[0].root.join("half").exists(), "what was cut off comes first");
    assert!(bases[1].root.join("a").exists());
}

#[test]
fn what_another_boot_left_is_not_trusted() {
    let store = store();
    store.cut_off("half");
    fs::write(store.repository.state().join("run.json"), r#"{"boot":"another"}"#).unwrap();
    assert!(store.recover().is_empty());
    assert!(store.bases().is_empty());
    assert!(!store.repository.inprogress().exists());
}

#[test]
fn current_is_healed_whatever_it_says() {
    let store = store();
    store.publish("2026-11-21T01:00:00Z", "a");
    fs::create_dir(store.repository.snapshots().join("2026-11-21T03-00-00Z")).unwrap();
    store.recover();
    assert_eq!(store.current(), "snapshots/2026-11-21T03-00-00Z");
    fs::remove_file(store.repository.current()).unwrap();
    store.recover();
    assert_eq!(store.current(), "snapshots/2026-11-21T03-00-00Z");
    fs::remove_dir_all(store.repository.snapshots()).unwrap();
    store.recover();
    assert!(fs::symlink_metadata(store.repository.current()).is_err(), "no link is better than one to nothing");
}

#[test]
fn nothing_but_directories_with_names_of_time_are_snapshots() {
    let store = store();
    let snapshots = store.repository.snapshots();
    fs::create_dir_all(snapshots.join("2026/1121/0200")).unwrap();
    fs::create_dir(snapshots.join("lost+found")).unwrap();
    fs::write(snapshots.join("2027-01-01T00-00-00Z"), "a file").unwrap();
    std::os::unix::fs::symlink("/", snapshots.join("2028-01-01T00-00-00Z")).unwrap();
    let names: Vec<_> = store.repository.names(&store.names).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["2026/1121/0200"]);
}

#[test]
fn one_process_at_a_time_and_rsync_counts() {
    let store = store();
    let held = store.repository.hold().unwrap();
    assert_eq!(store.repository.hold().unwrap_err().code, Code::Busy);
    let rsync = held.rsync_lock().unwrap();
    drop(held);
    assert!(store.repository.is_busy());
    assert_eq!(store.repository.hold().unwrap_err().code, Code::Busy, "the gate is gone and rsync is not");
    drop(rsync);
    // A program that another test starts now has the lock, too, until it is exec'd.
    let begun = std::time::Instant::now();
    while store.repository.is_busy() && begun.elapsed() < std::time::Duration::from_secs(10) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(!store.repository.is_busy());
    store.repository.hold().unwrap();
}

#[test]
fn what_can_be_neither_kept_nor_removed_does_not_keep_later_pushes_out() {
    let store = store();
    store.cut_off("f");
    fs::write(store.repository.state().join("interrupted"), "in the way").unwrap();
    let said = store.recover();
    assert!(!store.repository.inprogress().exists());
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(store.repository.state().join("broken/1/f").exists());
}

#[test]
fn somebody_elses_directory_is_no_repository() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("web1");
    assert_eq!(Repository::open(&path, uid() + 1, None).unwrap_err().code, Code::Store);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(Repository::open(&path, uid(), None).unwrap_err().code, Code::Store);
    let link = root.path().join("link");
    std::os::unix::fs::symlink("/", &link).unwrap();
    assert_eq!(Repository::open(&link, uid(), None).unwrap_err().code, Code::Store);
    assert!(Repository::existing(&root.path().join("missing"), uid()).is_none());
}

#[test]
fn notes_of_the_gate_s_own_that_are_too_long_are_no_notes() {
    let store = store();
    let state = store.repository.state();
    let spaces = |length: u64| " ".repeat(usize::try_from(length).unwrap());
    // A stage of "this boot", and a transaction: each well written but for its length.
    let held = store.repository.hold().unwrap();
    let staging = held.stage(&SubPath::default()).unwrap();
    fs::write(staging.path().join("f"), "x").unwrap();
    let mark = fs::read_to_string(state.join("run.json")).unwrap();
    fs::write(state.join("run.json"), mark + &spaces(crate::terms::limits::MAX_NOTE)).unwrap();
    drop(held);
    store.recover();
    assert!(!state.join("interrupted").exists(), "nothing tells that it is of this boot, so it is not kept");

    fs::create_dir_all(state.join("unrecorded")).unwrap();
    fs::write(state.join("unrecorded/x-0"), spaces(crate::terms::limits::MAX_END + 1)).unwrap();
    assert_eq!(store.recover(), Vec::<String>::new());
    assert!(!state.join("unrecorded/x-0").exists());

    let held = store.repository.hold().unwrap();
    held.open_transaction(at(NOON)).unwrap();
    drop(held);
    let open = fs::read_to_string(state.join("transaction.json")).unwrap();
    fs::write(state.join("transaction.json"), open + &spaces(crate::terms::limits::MAX_TRANSACTION)).unwrap();
    let reason = store.repository.look(&store.names).unwrap_err();
    assert!(reason.code == Code::Store && reason.detail.contains("more than"), "{}", reason.detail);
}

#[test]
fn a_pattern_that_changes_for_a_moment_makes_no_push_unjudged() {
    let (mut store, whole, mut history) = (store(), SubPath::default(), History::default());
    store.names = NamePattern::new("%Y/%m%d.%H%M%S").unwrap();
    store.publish(NOON, "a");
    let name = store.look().newest.unwrap();
    let past = Past { snapshot: name.to_string(), at: name.at, files: 1, bytes: 1, over: Vec::new(), released: false, good: String::new() };
    history.add(&whole, past.clone());
    let state = store.repository.look(&NamePattern::default()).unwrap();
    assert_eq!(state.newest, None);
    let path = name.below(&store.repository.snapshots());
    assert_eq!(store.repository.last_good(&mut history, &whole, &state), Some((past, path.clone())));
    fs::remove_dir_all(path).unwrap();
    assert_eq!(store.repository.last_good(&mut history, &whole, &state), None);
    assert_eq!(history, History::default());
}

#[test]
fn the_note_of_what_is_held_stays_as_long_as_the_trash_can_bring_that_back() {
    let store = store();
    store.publish(NOON, "a");
    let (name, state) = (store.look().newest.unwrap(), store.repository.state());
    let is_held = || {
        store.recover();
        store.repository.is_held(name.as_str())
    };
    ["held", "trash"].iter().for_each(|directory| fs::create_dir(state.join(directory)).unwrap());
    fs::write(state.join("held").join(note_name(name.as_str())), "{}").unwrap();
    assert!(is_held());
    let (snapshot, trashed) = (name.below(&store.repository.snapshots()), state.join(format!("trash/{name}@20261121T130000Z")));
    fs::rename(&snapshot, &trashed).unwrap();
    assert!(is_held());
    fs::remove_dir_all(&trashed).unwrap();
    assert!(!is_held());
}
