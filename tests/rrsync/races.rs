//! Somebody else with the same key turns a directory into a link while a path is looked up and while rsync runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::both::{Program, Tree};

/// Rounds of each race. A round is a whole transfer, during which the place is flipped thousands of times.
const ROUNDS: usize = 25;

/// Swaps `dir/flip`, a directory, with `dir/flop`, a link to the directory outside, again and again while `work` runs.
fn flipping<T>(tree: &Tree, work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    let (flip, flop) = (tree.at("dir/flip"), tree.at("dir/flop"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                renameat2(AT_FDCWD, &flip, AT_FDCWD, &flop, RenameFlags::RENAME_EXCHANGE).unwrap();
                std::thread::yield_now();
            }
        });
        let done = work();
        stop.store(true, Ordering::Relaxed);
        done
    })
}

fn tree() -> Tree {
    let tree = Tree::aged();
    fs::create_dir(tree.at("dir/flip")).unwrap();
    fs::write(tree.at("dir/flip/secret"), "public").unwrap();
    fs::create_dir(tree.at("dir/flip/in")).unwrap();
    fs::write(tree.at("dir/flip/in/deep"), "public").unwrap();
    symlink("../outside", tree.at("dir/flop")).unwrap();
    tree
}

#[test]
fn no_flip_lets_a_pull_read_what_is_outside() {
    for words in ["-a|h:flip/|got/", "-a|h:flip/secret|got/", "-aR|h:flip/./in/|got/", "-a|h:f*/secret|got/", "-a|h:flip|got/"] {
        let tree = tree();
        let mut ended = Vec::new();
        flipping(&tree, || {
            for _ in 0..ROUNDS {
                let _ = fs::remove_dir_all(tree.at("got"));
                let output = tree.rsync(Program::Ours, "-no-lock", words).output().unwrap();
                ended.push(output.status.success());
                let got = format!("{:?}", tree.listing("got"));
                assert!(!got.contains("\\\"secret") && !got.contains("\\\"deep\\\""), "{words}: {got}");
            }
        });
        let well = ended.iter().filter(|well| **well).count();
        assert!(well > 0 || words.contains("-aR"), "{words}: nothing was ever sent");
    }
}

#[test]
fn no_flip_lets_a_push_write_or_change_what_is_outside() {
    for words in [
        "-a|--delete|local/|h:flip/",
        "-a|local/f|h:flip/f",
        "-a|local/|h:flip/in/",
        "-ab|--backup-dir=flip/b|local/|h:dst/",
        "-a|--partial-dir=flip/p|local/|h:dst/",
        "-a|--temp-dir=flip|local/|h:dst/",
        "-a|--link-dest=flip|local/|h:dst/",
        "-a|--mkpath|local/|h:flip/a/b/",
    ] {
        let tree = tree();
        let outside = everything(&tree);
        let mut ended = Vec::new();
        flipping(&tree, || {
            for _ in 0..ROUNDS {
                let output = tree.rsync(Program::Ours, "-no-lock", words).output().unwrap();
                ended.push(output.status.success());
            }
        });
        assert_eq!(everything(&tree), outside, "{words}");
        assert!(ended.contains(&true), "{words}: nothing ever arrived");
    }
}

/// A name that is not there yet is rsync's to make, as a file or as a directory. A link that takes the name first is followed by rsync's
/// chdir(2), which no jail of Landlock's stops; that nothing is written there is the kernel's doing. rrsync 3.5.0 writes.
#[test]
fn a_link_that_takes_a_new_name_first_gets_no_file_written() {
    let tree = Tree::aged();
    let contents = |tree: &Tree| {
        let listing = tree.listing("outside").into_iter();
        listing.map(|(name, what)| (name, what.split_once(' ').map(|(_, what)| what.to_owned()))).collect::<Vec<_>>()
    };
    let (before, leaf) = (contents(&tree), tree.at("dir/leaf"));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = symlink("../outside", &leaf);
                std::thread::yield_now();
                if fs::remove_file(&leaf).is_err() {
                    let _ = fs::remove_dir_all(&leaf);
                }
            }
        });
        for _ in 0..ROUNDS {
            let _ = tree.rsync(Program::Ours, "-no-lock", "-a|local/|h:leaf").output().unwrap();
            assert_eq!(contents(&tree), before);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// All that is outside, with the directory itself: modes, times and links to the nanosecond.
fn everything(tree: &Tree) -> Vec<String> {
    use std::os::unix::fs::MetadataExt as _;
    let mut open = vec![tree.at("outside")];
    let mut all = Vec::new();
    while let Some(path) = open.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        all.push(format!(
            "{} {:o} {} {} {} {} {} {}",
            path.display(),
            found.mode(),
            found.uid(),
            found.gid(),
            found.nlink(),
            found.size(),
            found.mtime_nsec() + found.mtime() * 1_000_000_000,
            found.ctime_nsec() + found.ctime() * 1_000_000_000
        ));
        if found.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    all
}
