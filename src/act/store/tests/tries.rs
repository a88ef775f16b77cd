//! What is kept of pushes that were cut off: all of it, once, in one tree.

use super::*;

/// What stands in the one tree that is kept.
fn kept(store: &Store) -> std::path::PathBuf {
    let kept: Vec<_> = fs::read_dir(store.repository.state().join("interrupted")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    kept[0].clone()
}

#[test]
fn of_pushes_that_were_cut_off_one_tree_is_kept_and_nothing_of_older_ones_is_lost() {
    use crate::terms::limits::{MAX_BASIS_DIRS, MAX_PART_BASES};
    let store = store();
    store.publish(NOON, "f");
    for number in 0..5 {
        let held = store.repository.hold().unwrap();
        let staging = stage_with(&held, &number.to_string());
        assert!(staging.set_aside().unwrap());
        assert_eq!(fs::read_dir(kept(&store)).unwrap().count(), number + 1);
    }
    for number in 0..MAX_PART_BASES + 5 {
        fs::create_dir_all(store.repository.state().join(format!("parts/{number}"))).unwrap();
    }
    assert_eq!(store.bases().len(), MAX_BASIS_DIRS);
}

#[test]
fn trees_that_an_older_gate_or_a_kill_has_left_are_laid_together_by_the_next_session() {
    let store = store();
    let interrupted = store.repository.state().join("interrupted");
    for number in [1, 2, 7] {
        let tree = interrupted.join(number.to_string());
        fs::create_dir_all(tree.join("d")).unwrap();
        fs::write(tree.join(format!("d/of-{number}")), "").unwrap();
        fs::write(tree.join("d/of-all"), number.to_string()).unwrap();
        fs::set_permissions(tree.join("d"), fs::Permissions::from_mode(if number == 7 { 0o000 } else { 0o555 })).unwrap();
    }
    assert_eq!(store.recover(), Vec::<String>::new());
    let tree = kept(&store);
    fs::set_permissions(tree.join("d"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(fs::read_to_string(tree.join("d/of-all")).unwrap(), "7");
    assert_eq!(fs::read_dir(tree.join("d")).unwrap().count(), 4);
}

#[test]
fn what_cannot_be_laid_together_keeps_nobody_out() {
    let store = store();
    let interrupted = store.repository.state().join("interrupted");
    fs::create_dir_all(&interrupted).unwrap();
    fs::write(interrupted.join("1"), "no tree").unwrap();
    fs::create_dir(interrupted.join("2")).unwrap();
    fs::write(interrupted.join("2/f"), "").unwrap();
    let said = store.recover();
    assert!(said.len() == 1 && said[0].contains("given up"), "{said:?}");
    assert!(kept(&store).join("f").exists());
}

#[test]
fn what_was_received_for_one_place_is_forgotten_without_what_was_for_another_and_through_no_link() {
    let store = store();
    let held = store.repository.hold().unwrap();
    let outside = store.repository.root().join("snapshots/x");
    fs::create_dir_all(outside.join("etc")).unwrap();
    for place in ["etc", "home/a"] {
        let place = SubPath::parse(place).unwrap();
        let staging = held.stage(&place).unwrap();
        fs::write(place.below(staging.path()).join("f"), "").unwrap();
        std::os::unix::fs::symlink(&outside, place.below(staging.path()).join("link")).unwrap();
        fs::set_permissions(place.below(staging.path()), fs::Permissions::from_mode(0o555)).unwrap();
        staging.set_aside().unwrap();
    }
    let place = |place: &str| SubPath::parse(place).unwrap();
    held.forget_interrupted(&place("etc/link/etc"), None).unwrap();
    held.forget_interrupted(&place("home"), None).unwrap();
    assert!(outside.join("etc").exists() && kept(&store).join("etc/f").exists() && !kept(&store).join("home").exists());
    assert!(held.keeps(&place("etc")) && !held.keeps(&place("home/a")));
    held.forget_interrupted(&place("etc"), None).unwrap();
    assert!(!store.repository.state().join("interrupted").exists());
}

#[test]
fn a_file_in_the_place_of_a_directory_and_the_other_way_round_are_as_the_latest_try_has_them() {
    let store = store();
    let held = store.repository.hold().unwrap();
    for (directory, file) in [("a", "b"), ("b", "a")] {
        let staging = held.stage(&SubPath::default()).unwrap();
        fs::create_dir(staging.path().join(directory)).unwrap();
        fs::write(staging.path().join(directory).join("f"), "").unwrap();
        fs::write(staging.path().join(file), "").unwrap();
        staging.set_aside().unwrap();
    }
    let tree = kept(&store);
    assert!(tree.join("b/f").is_file() && tree.join("a").is_file());
}

/// Leaves a file in a stage as a killed rsync does.
fn under_way(staging: &Staging<'_>, name: &str, bytes: usize) {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = staging.path().join(name);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    std::io::Write::write_all(&mut file, &vec![b'x'; bytes]).unwrap();
}

#[test]
fn the_file_that_a_killed_rsync_was_at_gets_each_name_that_it_may_have_been_meant_for_until_that_is_known() {
    let store = store();
    let held = store.repository.hold().unwrap();
    let staging = held.stage(&SubPath::default()).unwrap();
    under_way(&staging, ".foo.AbCdEf", 100);
    staging.set_aside().unwrap();
    let names = || -> std::collections::BTreeMap<String, u64> {
        let all = fs::read_dir(kept(&store)).unwrap().map(Result::unwrap);
        all.map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len())).collect()
    };
    let each = |bytes| ["foo", ".foo", "foo.", ".foo."].map(|name| (name.to_owned(), bytes)).into();
    assert_eq!(names(), each(100));
    // Killed again, at more of it, and at less.
    for bytes in [200, 50] {
        let staging = held.stage(&SubPath::default()).unwrap();
        under_way(&staging, ".foo.123456", bytes);
        staging.set_aside().unwrap();
        assert_eq!(names(), each(200));
    }
    let inode = |name: &str| fs::metadata(kept(&store).join(name)).unwrap().ino();
    assert_eq!(inode("foo"), inode(".foo"), "one part, once");
    // One that was cut off while rsync could tidy up says which it is, for the next one, too.
    let staging = held.stage(&SubPath::default()).unwrap();
    let own = staging.path().join(staging.partial_dir());
    fs::create_dir(&own).unwrap();
    fs::write(own.join("foo"), vec![b'x'; 300]).unwrap();
    staging.set_aside().unwrap();
    assert_eq!(names(), [("foo".to_owned(), 300)].into());
    let staging = held.stage(&SubPath::default()).unwrap();
    under_way(&staging, ".foo.123456", 400);
    staging.set_aside().unwrap();
    assert_eq!(names(), [("foo".to_owned(), 400)].into());
}

#[test]
fn a_file_of_a_client_s_that_is_called_like_a_temporary_one_is_none() {
    let store = store();
    let held = store.repository.hold().unwrap();
    // One that has arrived has a new time or name, is readable for others, or has two names.
    for (number, finish) in [
        |path: &Path| fs::File::open(path).unwrap().set_modified(std::time::UNIX_EPOCH + DAY).unwrap(),
        |path: &Path| {
            fs::rename(path, path.with_extension("x")).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            fs::rename(path.with_extension("x"), path).unwrap();
        },
        |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap(),
        |path: &Path| fs::hard_link(path, path.with_extension("x")).unwrap(),
    ]
    .into_iter()
    .enumerate()
    {
        let staging = held.stage(&SubPath::default()).unwrap();
        let name = format!(".foo.AbCde{number}");
        under_way(&staging, &name, 10);
        finish(&staging.path().join(&name));
        staging.set_aside().unwrap();
        assert!(kept(&store).join(&name).exists() && !kept(&store).join("foo").exists(), "{number}");
    }
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
    assert_eq!(fs::read_to_string(bases[0].root.join("f")).unwrap(), "half");
    // Some files of clients are dated 1970, and none some second before it that nobody can know.
    assert!(fs::metadata(bases[0].root.join("f")).unwrap().mtime() < 0);
    assert!(store.bases_of(&store.look(), true).is_empty(), "never where size alone counts");
}
