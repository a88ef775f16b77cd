//! The repository's own promises, on a real directory.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::Duration;

use chrono::{DateTime, Utc};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::*;
use crate::decide::push::links::BasisOf;
use crate::terms::{Pushed, SubPath};

pub(super) struct Store {
    _root: tempfile::TempDir,
    pub(super) repository: Repository,
    names: NamePattern,
}

pub(super) fn store() -> Store {
    let root = tempfile::tempdir().unwrap();
    let repository = Repository::open(&root.path().join("web1"), uid(), None).unwrap();
    Store { _root: root, repository, names: NamePattern::default() }
}

fn uid() -> u32 {
    nix::unistd::getuid().as_raw()
}

pub(super) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(super) const NOON: &str = "2026-11-21T12:00:00Z";
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

impl Store {
    pub(super) fn look(&self) -> RepositoryState {
        self.repository.look(&self.names).unwrap()
    }

    pub(super) fn bases(&self) -> Vec<(PathBuf, BasisOf)> {
        self.bases_of(&self.look(), false)
    }

    fn bases_of(&self, state: &RepositoryState, whole_files_only: bool) -> Vec<(PathBuf, BasisOf)> {
        let whole = SubPath::default();
        self.repository.bases(&whole, &self.repository.snapshots_with(&whole, state), whole_files_only)
    }

    pub(super) fn publish(&self, time: &str, file: &str) {
        let held = self.repository.hold().unwrap();
        held.recover(&mut self.look(), at(time), DAY).unwrap();
        let staging = held.stage(&SubPath::default()).unwrap();
        fs::write(staging.path().join(file), file).unwrap();
        staging.publish(self.names.name_at(at(time)), "test", b"").unwrap();
        self.repository.told("test");
    }

    /// A push that was cut off when this file had arrived.
    fn cut_off(&self, file: &str) {
        drop(stage_with(&self.repository.hold().unwrap(), file));
    }

    pub(super) fn recover(&self) -> Vec<String> {
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
pub(super) fn stage_with<'a>(held: &'a Held<'a>, file: &str) -> Staging<'a> {
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
    store.repository.told(&format!("x-{}", std::process::id()));
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
    assert!(bases[0].0.join("half").exists(), "what was cut off comes first");
    assert!(bases[1].0.join("a").exists());
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
    // A program that another test starts at this moment has the lock, too, until it is that program.
    let begun = std::time::Instant::now();
    while store.repository.is_busy() && begun.elapsed() < std::time::Duration::from_secs(10) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(!store.repository.is_busy());
    store.repository.hold().unwrap();
}

#[test]
fn the_parts_of_a_transaction_add_up_and_the_later_one_wins() {
    let store = store();
    let held = store.repository.hold().unwrap();
    held.open_transaction(at(NOON)).unwrap();
    for (file, text) in [("a", "1"), ("b", "2"), ("a", "3")] {
        let staging = held.stage(&SubPath::parse("etc").unwrap()).unwrap();
        fs::write(staging.path().join("etc").join(file), text).unwrap();
        staging.join(&into("")).unwrap();
        held.write_transaction(&store.look().transaction.unwrap().adding(into("etc"), false)).unwrap();
    }
    let staging = held.merge_transaction(&store.look().transaction.unwrap()).unwrap();
    assert_eq!(fs::read_to_string(staging.path().join("etc/a")).unwrap(), "3");
    assert_eq!(fs::read_to_string(staging.path().join("etc/b")).unwrap(), "2");
    staging.publish(store.names.name_at(at(NOON)), "id", b"").unwrap();
    held.close_transaction().unwrap();
    assert!(store.look().transaction.is_none());
}

#[test]
fn a_complete_that_was_cut_short_can_be_said_again_even_after_a_reboot() {
    let store = store();
    {
        let held = store.repository.hold().unwrap();
        held.open_transaction(at(NOON)).unwrap();
        stage_with(&held, "f").join(&into("")).unwrap();
        held.write_transaction(&store.look().transaction.unwrap().adding(into("."), false)).unwrap();
        // The kill comes when the sum stands in progress, and the machine starts again.
        let _ = held.merge_transaction(&store.look().transaction.unwrap()).unwrap();
        fs::write(store.repository.state().join("run.json"), r#"{"boot":"another"}"#).unwrap();
    }
    let held = store.repository.hold().unwrap();
    let mut state = store.look();
    held.recover(&mut state, at(NOON), DAY).unwrap();
    let transaction = state.transaction.unwrap();
    assert!(!transaction.merging);
    assert!(held.merge_transaction(&transaction).unwrap().path().join("f").exists());
}

#[test]
fn a_push_that_was_cut_off_is_never_taken_for_the_sum_of_a_transaction() {
    let store = store();
    {
        let held = store.repository.hold().unwrap();
        held.open_transaction(at(NOON)).unwrap();
        held.write_transaction(&store.look().transaction.unwrap().adding(into("."), false)).unwrap();
        drop(stage_with(&held, "half"));
    }
    let held = store.repository.hold().unwrap();
    let mut state = store.look();
    held.recover(&mut state, at(NOON), DAY).unwrap();
    assert_eq!(held.merge_transaction(&state.transaction.unwrap()).unwrap_err().code, Code::Unpublished);
}

#[test]
fn a_complete_that_had_published_is_over() {
    let store = store();
    {
        let held = store.repository.hold().unwrap();
        held.open_transaction(at(NOON)).unwrap();
        stage_with(&held, "f").join(&into("")).unwrap();
        let staging = held.merge_transaction(&store.look().transaction.unwrap().adding(into("."), false)).unwrap();
        staging.publish(store.names.name_at(at(NOON)), "id", b"").unwrap();
    }
    let mut state = store.look();
    store.repository.hold().unwrap().recover(&mut state, at(NOON), DAY).unwrap();
    assert!(state.transaction.is_none() && store.look().transaction.is_none());
}

#[test]
fn the_deepest_tree_that_rsync_can_make_is_walked_and_removed() {
    // As much stack as a program's first thread has.
    let walk = || {
        let store = store();
        let held = store.repository.hold().unwrap();
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
        let staging = held.stage(&SubPath::default()).unwrap();
        // The way down is longer than any path.
        deep(staging.path(), &"d".repeat(250), 2048 + 64);
        let before = peak();
        assert!(staging.has_file().unwrap());
        staging.drop_unfinished().unwrap();
        assert!(staging.set_aside().unwrap());
        held.forget_interrupted(&SubPath::default(), None).unwrap();
        assert!(store.bases().is_empty());
        assert!(peak() - before < 200 << 10, "no level remembers the whole way: {} kB, {before} kB before", peak());
    };
    std::thread::Builder::new().stack_size(8 << 20).spawn(walk).unwrap().join().unwrap();
}

/// The most memory that this process has had, in kB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Makes directories in one another, and a file in the innermost.
fn deep(top: &Path, name: &str, levels: usize) {
    use nix::fcntl::{OFlag, openat};
    use nix::sys::stat::{Mode, mkdirat};
    let mut here = tree::open(top).unwrap();
    for _ in 0..levels {
        mkdirat(&here, name, Mode::from_bits_truncate(0o755)).unwrap();
        here = openat(&here, name, OFlag::O_DIRECTORY, Mode::empty()).unwrap();
    }
    openat(&here, "f", OFlag::O_CREAT | OFlag::O_WRONLY, Mode::from_bits_truncate(0o644)).unwrap();
}

#[test]
fn a_tree_that_is_deeper_than_any_path_ends_the_walk_and_keeps_nobody_out() {
    let walk = || {
        let store = store();
        let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
        let top = {
            let held = store.repository.hold().unwrap();
            let staging = held.stage(&SubPath::default()).unwrap();
            deep(staging.path(), "d", crate::terms::limits::MAX_TREE_DEPTH + 1);
            let error = staging.has_file().unwrap_err();
            assert!(error.detail.contains("deeper than any path"), "{error:?}");
            store.repository.root().to_path_buf()
        };
        let said = store.recover();
        assert_eq!(said.len(), 1, "{said:?}");
        store.publish(NOON, "f");
        assert_eq!(store.look().newest.unwrap().as_str(), "2026-11-21T12-00-00Z");
        // Deeper than this program would remove it, too.
        assert!(std::process::Command::new("rm").arg("-rf").arg(top).status().unwrap().success());
    };
    std::thread::Builder::new().stack_size(8 << 20).spawn(walk).unwrap().join().unwrap();
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
fn an_unfinished_file_never_stands_under_its_name_in_a_snapshot() {
    let store = store();
    let held = store.repository.hold().unwrap();
    let staging = held.stage(&SubPath::parse("etc").unwrap()).unwrap();
    let unfinished = staging.path().join("etc").join(staging.partial_dir());
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("f"), "half").unwrap();
    fs::write(staging.path().join("etc/whole"), "whole").unwrap();
    let before = fs::metadata(staging.path().join("etc")).unwrap();
    staging.drop_unfinished().unwrap();
    let after = fs::metadata(staging.path().join("etc")).unwrap();
    assert_eq!((before.mtime(), before.mtime_nsec()), (after.mtime(), after.mtime_nsec()));
    let names: Vec<_> = fs::read_dir(staging.path().join("etc")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["whole"]);
}

#[test]
fn an_unfinished_file_is_built_on_by_the_next_push_and_looks_like_no_file_of_a_client() {
    let store = store();
    let held = store.repository.hold().unwrap();
    let staging = held.stage(&SubPath::default()).unwrap();
    let unfinished = staging.path().join(staging.partial_dir());
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("f"), "half").unwrap();
    assert!(staging.set_aside().unwrap());
    let bases = store.bases();
    assert_eq!(fs::read_to_string(bases[0].0.join("f")).unwrap(), "half");
    // Some files of clients are dated 1970, and none some second before it that nobody can know.
    assert!(fs::metadata(bases[0].0.join("f")).unwrap().mtime() < 0);
    assert!(store.bases_of(&store.look(), true).is_empty(), "never where size alone counts");
}

#[test]
fn a_transaction_that_nobody_completes_does_not_swallow_later_pushes() {
    let store = store();
    let held = store.repository.hold().unwrap();
    held.open_transaction(at("2026-11-19T11:59:59Z")).unwrap();
    stage_with(&held, "f").join(&into("")).unwrap();
    let mut state = store.look();
    assert_eq!(held.recover(&mut state, at(NOON), DAY).unwrap().len(), 2);
    assert!(state.transaction.is_none());
    assert_eq!(store.bases_of(&state, false).len(), 1, "its data is linked from all the same");
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
