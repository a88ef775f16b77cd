//! Recorded links on a real directory, with whatever may have become of their names.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::super::{Repository, attributes};
use super::*;
use crate::decide::push::links::{Basis, Tree};
use crate::terms::limits::LINKS_BETWEEN_LOOKS;
use crate::terms::reason::Code;

/// As much as it takes.
const UNBOUND: Bounds = Bounds { time: Duration::MAX, room: u64::MAX };

/// A repository with history to link from, and one set-aside push.
struct Store {
    root: tempfile::TempDir,
    repository: Repository,
}

fn store() -> Store {
    let root = tempfile::tempdir().unwrap();
    let repository = Repository::open(&root.path().join("web1"), nix::unistd::getuid().as_raw(), None).unwrap();
    for tree in ["history", "kept"] {
        fs::create_dir_all(root.path().join(tree).join("d/deep")).unwrap();
        for name in ["a", "d/b", "d/deep/c"] {
            fs::write(root.path().join(tree).join(name), format!("{tree} {name}")).unwrap();
        }
    }
    Store { root, repository }
}

impl Store {
    fn history(&self, name: &str) -> PathBuf {
        self.root.path().join("history").join(name)
    }

    fn layout(&self) -> Layout {
        let basis =
            |name: &str, tree: fn(PathBuf) -> Tree| Basis { tree: tree(self.root.path().join(name)), seen: Path::new("/basis").join(name) };
        Layout {
            start: "/stage".into(),
            bases: vec![basis("kept", Tree::set_aside), basis("history", Tree::published)],
            partial_dir: "p".to_owned(),
        }
    }

    /// Stages a push: what its rsync `asks`, given the stage, and what comes of the links.
    fn push(&self, hard_links: bool, asks: impl FnOnce(&Path, &mut dyn FnMut(&str, &str) -> Answer)) -> Made {
        self.staged(hard_links, |staging, links, _| {
            asks(staging.path(), &mut |from, to| links.asked(from.as_bytes(), to.as_bytes()));
            links.make(UNBOUND, true, None).unwrap()
        })
    }

    fn staged<T>(&self, hard_links: bool, work: impl FnOnce(Staging<'_>, &mut Deferred<'_>, &Taken) -> T) -> T {
        let held = self.repository.hold().unwrap();
        let staging = held.stage(&SubPath::default()).unwrap();
        let taken = Taken::default();
        let mut links = staging.defer(&self.layout(), &SubPath::default(), hard_links, true, &taken).unwrap();
        work(staging, &mut links, &taken)
    }

    fn stage(&self, name: &str) -> PathBuf {
        self.repository.inprogress().join(name)
    }

    fn state_names(&self) -> Vec<String> {
        let names = fs::read_dir(self.repository.state()).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap().ino()
}

/// A time that no test has by chance.
fn date(path: &Path) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_000_000_000_123_456_789);
    fs::File::open(path).unwrap().set_times(fs::FileTimes::new().set_accessed(time).set_modified(time)).unwrap();
}

fn is_dated(path: &Path) -> bool {
    let found = fs::metadata(path).unwrap();
    (found.mtime(), found.mtime_nsec()) == (1_000_000_000, 123_456_789)
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn links_are_made_when_rsync_is_gone_and_directories_keep_their_times_and_modes() {
    let store = store();
    let made = store.push(false, |stage, ask| {
        fs::create_dir_all(stage.join("d/deep")).unwrap();
        for name in ["a", "d/b", "d/deep/c"] {
            assert_eq!(ask(&format!("/basis/history/{name}"), name), Answer::Recorded);
        }
        assert_eq!(fs::read_dir(stage).unwrap().count(), 1, "while it runs nothing of history is in there");
        for (name, mode) in [("d/deep", 0o000), ("d", 0o111), ("", 0o555)] {
            date(&stage.join(name));
            chmod(&stage.join(name), mode);
        }
    });
    assert_eq!((made.linked, made.anew, made.lost, made.bytes), (3, 0, 0, 9 + 11 + 16));
    let top = store.stage("");
    assert_eq!(mode(&top), 0o555);
    assert!(is_dated(&top));
    chmod(&top, 0o755);
    assert_eq!(mode(&top.join("d")), 0o111);
    chmod(&top.join("d"), 0o755);
    assert_eq!(mode(&top.join("d/deep")), 0o000);
    chmod(&top.join("d/deep"), 0o755);
    assert!(is_dated(&top.join("d")) && is_dated(&top.join("d/deep")));
    for name in ["a", "d/b", "d/deep/c"] {
        assert_eq!(inode(&top.join(name)), inode(&store.history(name)), "{name}");
    }
}

#[test]
fn many_links_are_shared_among_threads_and_every_one_is_made() {
    let store = store();
    // Each directory comes up again and again.
    let names: Vec<_> = (0..100).flat_map(|f| (0..60).map(move |d| format!("many{d}/file{f}"))).collect();
    for name in &names {
        fs::create_dir_all(store.history(name).parent().unwrap()).unwrap();
        fs::write(store.history(name), name).unwrap();
    }
    let made = store.push(false, |stage, ask| {
        for d in 0..60 {
            let directory = stage.join(format!("many{d}"));
            fs::create_dir(&directory).unwrap();
            date(&directory);
            chmod(&directory, if d % 3 == 0 { 0o555 } else { 0o755 });
        }
        names.iter().for_each(|name| assert_eq!(ask(&format!("/basis/history/{name}"), name), Answer::Recorded));
    });
    assert_eq!((made.linked, made.lost), (6000, 0));
    assert!(names.iter().all(|name| inode(&store.stage(name)) == inode(&store.history(name))));
    for d in 0..60 {
        let directory = store.stage(&format!("many{d}"));
        assert!(is_dated(&directory) && mode(&directory) == if d % 3 == 0 { 0o555 } else { 0o755 });
        chmod(&directory, 0o755);
    }
}

#[test]
fn links_that_take_longer_than_the_push_may_are_no_backup() {
    let store = store();
    store.staged(false, |staging, links, _| {
        let ask = |number: u64, links: &mut Deferred<'_>| links.asked(b"/basis/history/a", number.to_string().as_bytes());
        assert!((0..LINKS_BETWEEN_LOOKS).all(|number| ask(number, links) == Answer::Recorded));
        let at_once = Bounds { time: Duration::ZERO, ..UNBOUND };
        let reason = links.make(at_once, false, None).unwrap_err();
        assert_eq!(reason.code, Code::Deadline);
        assert!(fs::read_dir(staging.path()).unwrap().count() < 1024);
    });
}

#[test]
fn a_name_that_leads_nowhere_is_lost_and_said_and_nothing_else_is() {
    let store = store();
    let outside = store.root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(store.history("a"), store.history("link")).unwrap();
    let long = format!("{}/{}", ["n".repeat(255).as_str(); 14].join("/"), "f".repeat(255));
    fs::create_dir_all(store.history(&long).parent().unwrap()).unwrap();
    fs::write(store.history(&long), "long").unwrap();
    let made = store.push(false, |stage, ask| {
        let mut record = |from: &str, to: &str| assert_eq!(ask(&format!("/basis/history/{from}"), to), Answer::Recorded);
        fs::create_dir_all(stage.join("d")).unwrap();
        fs::create_dir_all(stage.join(&long).parent().unwrap()).unwrap();
        fs::write(stage.join("file"), "").unwrap();
        symlink(&outside, stage.join("planted")).unwrap();
        symlink(store.history(""), stage.join("history")).unwrap();
        record("vanished", "vanished");
        record("d", "a-directory");
        record("a", "file/below");
        record("a", "planted/stolen");
        record("a", "history/d/planted");
        record("link/x", "through-a-link");
        record("link", "link");
        record(&long, &long);
        record("d/b", "d/b");
    });
    assert_eq!((made.linked, made.anew, made.lost), (3, 0, 6), "{made:?}");
    assert_eq!(made.examples.len(), 5);
    assert_eq!(inode(&store.stage("link")), inode(&store.history("link")), "a symlink is linked and not followed");
    assert_eq!(inode(&store.stage(&long)), inode(&store.history(&long)));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(fs::read_dir(store.history("d")).unwrap().count(), 2);
}

#[test]
fn what_rsync_has_made_in_the_meantime_stays() {
    let store = store();
    let made = store.push(false, |stage, ask| {
        for _ in 0..2 {
            assert_eq!(ask("/basis/history/a", "a"), Answer::Recorded);
        }
        fs::create_dir(stage.join("d")).unwrap();
        assert_eq!(ask("/basis/history/d/b", "d/b"), Answer::Recorded);
        fs::write(stage.join("d/b"), "newer").unwrap();
    });
    assert_eq!((made.linked, made.lost), (2, 0), "one of them twice");
    assert_eq!(fs::read_to_string(store.stage("d/b")).unwrap(), "newer");
    assert_eq!(fs::read_to_string(store.history("d/b")).unwrap(), "history d/b");
}

#[test]
fn with_hard_links_a_placeholder_stands_for_each_and_none_is_left() {
    let store = store();
    let made = store.push(true, |stage, ask| {
        fs::create_dir(stage.join("d")).unwrap();
        assert_eq!(ask("/basis/history/a", "a"), Answer::Recorded);
        let stands = fs::metadata(stage.join("a")).unwrap();
        assert_eq!((stands.len(), stands.ino() == inode(&store.history("a"))), (0, false));
        assert_eq!(ask("a", "d/twin"), Answer::Recorded);
        assert_eq!(ask("d/twin", "triplet"), Answer::Recorded);
        fs::write(stage.join("own"), "x").unwrap();
        assert_eq!(ask("own", "own-twin"), Answer::Let, "the kernel's to make");
        assert_eq!(ask("/basis/history/gone", "gone"), Answer::Recorded);
        assert_eq!(ask("gone", "d/gone-too"), Answer::Recorded);
        assert_eq!(ask("/basis/history/d/b", "own"), Answer::Failed(libc::EEXIST));
        // As code in rsync's place may do.
        assert_eq!(ask("/basis/history/d/b", "moved"), Answer::Recorded);
        fs::create_dir(stage.join("hidden")).unwrap();
        fs::rename(stage.join("moved"), stage.join("hidden/elsewhere")).unwrap();
        fs::hard_link(stage.join("a"), stage.join("hidden/linked")).unwrap();
        date(&stage.join("hidden"));
        chmod(&stage.join("hidden"), 0o000);
    });
    assert_eq!((made.linked, made.anew), (4, 0), "{made:?}");
    assert_eq!(made.lost, 4, "two that have gone, under two names, and what was put elsewhere");
    for name in ["a", "d/twin", "triplet"] {
        assert_eq!(inode(&store.stage(name)), inode(&store.history("a")), "{name}");
    }
    assert_eq!(inode(&store.stage("moved")), inode(&store.history("d/b")));
    assert_eq!(mode(&store.stage("hidden")), 0);
    chmod(&store.stage("hidden"), 0o755);
    assert!(is_dated(&store.stage("hidden")));
    assert_eq!(fs::read_dir(store.stage("hidden")).unwrap().count(), 0);
    assert!(!store.stage("gone").exists() && !store.stage("d/gone-too").exists());
    assert!(!store.state_names().contains(&"placeholders".to_owned()));
}

#[test]
fn where_there_can_be_no_further_inode_all_placeholders_are_of_the_first() {
    let store = store();
    let made = store.push(true, |stage, ask| {
        assert_eq!(ask("/basis/history/a", "a"), Answer::Recorded);
        // In the place of the second.
        fs::write(store.repository.state().join("placeholders/1"), "").unwrap();
        for d in 0..40 {
            fs::create_dir(stage.join(format!("d{d}"))).unwrap();
            assert_eq!(ask("/basis/history/a", &format!("d{d}/a")), Answer::Recorded);
            assert_eq!(inode(&stage.join(format!("d{d}/a"))), inode(&stage.join("a")));
        }
        fs::remove_file(store.repository.state().join("placeholders/1")).unwrap();
    });
    assert_eq!((made.linked, made.lost), (41, 0));
    assert_eq!(inode(&store.stage("d39/a")), inode(&store.history("a")));
}

#[test]
fn a_placeholder_gives_way_in_a_directory_that_its_owner_may_not_write_to() {
    let store = store();
    let made = store.push(true, |stage, ask| {
        fs::create_dir(stage.join("d")).unwrap();
        assert_eq!(ask("/basis/history/d/b", "d/b"), Answer::Recorded);
        date(&stage.join("d"));
        chmod(&stage.join("d"), 0o555);
    });
    assert_eq!((made.linked, made.lost), (1, 0));
    assert!(mode(&store.stage("d")) == 0o555 && is_dated(&store.stage("d")));
    chmod(&store.stage("d"), 0o755);
}

#[test]
fn a_tree_that_is_set_aside_has_no_link_to_history_and_no_placeholder() {
    for hard_links in [false, true] {
        let store = store();
        store.staged(hard_links, |staging, links, _| {
            fs::create_dir(staging.path().join("d")).unwrap();
            fs::write(staging.path().join("received"), "new").unwrap();
            assert_eq!(links.asked(b"/basis/kept/a", b"a"), Answer::Recorded);
            assert_eq!(links.asked(b"/basis/history/d/b", b"d/b"), Answer::Recorded);
            assert_eq!(links.reused(), 1);
            links.answer_lost();
            assert_eq!(links.reused(), 1, "that one was of history");
            assert!(staging.set_aside().unwrap());
            let aside = store.repository.state().join("interrupted/1");
            let mut names: Vec<_> = fs::read_dir(&aside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, ["d", "received"]);
            assert_eq!(fs::read_dir(aside.join("d")).unwrap().count(), 0);
            assert!(!store.state_names().contains(&"placeholders".to_owned()));
        });
    }
}

#[test]
fn placeholders_of_a_gate_that_was_killed_are_found_wherever_they_are() {
    let store = store();
    {
        store.staged(true, |staging, links, _| {
            fs::create_dir(staging.path().join("d")).unwrap();
            fs::write(staging.path().join("received"), "new").unwrap();
            assert_eq!(links.asked(b"/basis/history/a", b"a"), Answer::Recorded);
            fs::rename(staging.path().join("a"), staging.path().join("d/a")).unwrap();
            chmod(&staging.path().join("d"), 0o000);
        });
    }
    let names = crate::terms::snapshot::NamePattern::default();
    let mut state = store.repository.look(&names).unwrap();
    let held = store.repository.hold().unwrap();
    held.recover(&mut state, chrono::Utc::now(), std::time::Duration::from_secs(3600)).unwrap();
    let aside = store.repository.state().join("interrupted/1");
    assert_eq!(mode(&aside.join("d")), 0);
    chmod(&aside.join("d"), 0o755);
    assert_eq!(fs::read_dir(aside.join("d")).unwrap().count(), 0);
    assert!(aside.join("received").exists() && !store.state_names().contains(&"placeholders".to_owned()));
}

#[test]
fn a_link_takes_what_the_snapshot_before_did_not() {
    let store = store();
    store.staged(false, |_staging, links, taken| {
        assert!(links.is_empty());
        assert_eq!(links.asked(b"/basis/history/a", b"a"), Answer::Recorded);
        assert_eq!(taken.usage(), Usage::default(), "it stood there before");
        assert_eq!(links.asked(b"/basis/history/a", b"another-name"), Answer::Recorded);
        let name = Usage { bytes: 12 + DIRECTORY_ENTRY, inodes: 1 };
        assert_eq!(taken.usage(), name);
        links.answer_lost();
        assert_eq!(taken.usage(), Usage::default());
        assert_eq!(links.asked(b"/basis/kept/a", b"a"), Answer::Recorded);
        let found = taken.usage();
        assert!(found.inodes == 1 && found.bytes >= 4096, "{found:?}");
    });
}

/// A file with as many links as the file system gives one. `None` where that takes too long.
fn full(directory: &Path) -> Option<PathBuf> {
    let file = directory.join("full");
    fs::write(&file, "full").unwrap();
    chmod(&file, 0o640);
    attributes::set_at(file.to_str().unwrap(), "user.note", b"kept").unwrap();
    date(&file);
    let others = directory.join("others");
    fs::create_dir(&others).unwrap();
    let full = (0..70_000).find_map(|number| fs::hard_link(&file, others.join(number.to_string())).err());
    full.filter(|error| error.raw_os_error() == Some(libc::EMLINK)).map(|_| file)
}

#[test]
fn a_file_that_has_no_more_links_is_stored_anew_with_all_that_it_has() {
    let store = store();
    let Some(full) = full(&store.history("d")) else {
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), "skipped: a file with no more links: this file system gives more than 70,000");
        return;
    };
    for hard_links in [false, true] {
        let made = store.push(hard_links, |stage, ask| {
            fs::create_dir(stage.join("d")).unwrap();
            assert_eq!(ask("/basis/history/d/full", "d/full"), Answer::Recorded);
            let twin = if hard_links { Answer::Recorded } else { Answer::Let };
            assert_eq!(ask("d/full", "twin"), twin);
            assert_eq!(ask("/basis/history/d/full", "again"), Answer::Recorded);
        });
        assert_eq!((made.anew, made.full, made.linked, made.lost), (1, 1, 1 + u64::from(hard_links), 0), "{made:?}");
        assert_eq!(inode(&store.stage("again")), inode(&store.stage("d/full")), "there is one copy");
        let new = store.stage("d/full");
        assert_ne!(inode(&new), inode(&full));
        assert_eq!((fs::read_to_string(&new).unwrap().as_str(), mode(&new), is_dated(&new)), ("full", 0o640, true));
        assert_eq!(attributes::get_at(new.to_str().unwrap(), "user.note").unwrap().unwrap(), b"kept");
        if hard_links {
            assert_eq!(inode(&store.stage("twin")), inode(&new), "its twin is one of the new file");
        }
        fs::remove_dir_all(store.repository.inprogress()).unwrap();
    }
}
