//! The deepest trees.

use std::process::Command;
use std::{env, thread};

use nix::fcntl::{OFlag, openat};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, mkdirat};

use super::*;
use crate::terms::limits::MAX_TREE_DEPTH;

/// With as much stack as a program's first thread has, and all descriptors.
fn walking(work: impl FnOnce() + Send + 'static) {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    thread::Builder::new().stack_size(8 << 20).spawn(work).unwrap().join().unwrap();
}

/// Runs a test of this program again, by itself: what the kernel counts for a whole process holds
/// the other tests that run beside it, too.
fn alone(test: &str, work: impl FnOnce() + Send + 'static) {
    const ALONE: &str = "SNAPGATE_TEST_ALONE";
    if env::var_os(ALONE).is_some() {
        return walking(work);
    }
    let mut again = Command::new(env::current_exe().unwrap());
    let ran = again.args(["--exact", test]).env(ALONE, "1").output().unwrap();
    let report = String::from_utf8_lossy(&ran.stdout);
    assert!(report.contains("test result: ok. 1 passed"), "{report}{}", String::from_utf8_lossy(&ran.stderr));
}

/// The most memory that this process has had, in kB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Makes directories in one another, and a file in the innermost.
fn deep(top: &Path, name: &str, levels: usize) {
    let mut here = tree::open(top).unwrap();
    for _ in 0..levels {
        mkdirat(&here, name, Mode::from_bits_truncate(0o755)).unwrap();
        here = openat(&here, name, OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
    }
    openat(&here, "f", OFlag::O_CREAT | OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::from_bits_truncate(0o644)).unwrap();
}

#[test]
fn the_deepest_tree_that_rsync_can_make_is_walked_merged_and_removed() {
    let test = "act::store::tests::deep::the_deepest_tree_that_rsync_can_make_is_walked_merged_and_removed";
    alone(test, || {
        let store = store();
        let held = store.repository.hold().unwrap();
        let before = peak();
        for _ in 0..2 {
            let staging = held.stage(&SubPath::default()).unwrap();
            // The way down is longer than any path.
            deep(staging.path(), &"d".repeat(250), 2048 + 64);
            assert!(staging.has_file().unwrap());
            staging.drop_unfinished().unwrap();
            assert!(staging.set_aside().unwrap());
        }
        assert_eq!(store.bases().len(), 1);
        held.forget_interrupted(&SubPath::default(), None).unwrap();
        assert!(store.bases().is_empty());
        assert!(peak() - before < 200 << 10, "no level remembers the whole way: {} kB, {before} kB before", peak());
    });
}

#[test]
fn the_deepest_tree_is_carried_over_and_what_a_snapshot_has_of_it_is_forgotten() {
    walking(|| {
        let store = store();
        let held = store.repository.hold().unwrap();
        let staging = held.stage(&SubPath::default()).unwrap();
        deep(staging.path(), "d", 2048);
        fs::create_dir(staging.path().join("etc")).unwrap();
        let first = store.names.name_at(at("2026-11-21T01:00:00Z"));
        staging.publish(first.clone(), "test", b"").unwrap();
        let staging = held.stage(&SubPath::parse("etc").unwrap()).unwrap();
        let made = staging.carry_over(&first, &[into("etc")], Bounds { time: DAY, room: 0 }).unwrap();
        assert_eq!((made.linked, made.lost), (1, 0), "{made:?}");
        let published = staging.publish(store.names.name_at(at(NOON)), "test", b"").unwrap();
        let kept = held.stage(&SubPath::default()).unwrap();
        deep(kept.path(), "d", 2048);
        assert!(kept.set_aside().unwrap());
        held.forget_interrupted(&SubPath::parse("etc").unwrap(), Some(published.path())).unwrap();
        assert_eq!(store.bases().len(), 2, "another file of that name is not the same");
    });
}

#[test]
fn a_tree_that_is_deeper_than_any_path_ends_the_walk_and_keeps_nobody_out() {
    walking(|| {
        let store = store();
        let top = {
            let held = store.repository.hold().unwrap();
            let staging = held.stage(&SubPath::default()).unwrap();
            deep(staging.path(), "d", MAX_TREE_DEPTH + 1);
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
    });
}
