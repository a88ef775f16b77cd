//! What pushes that were cut off leave for the next one: all that was received, once, and nothing that no later one could use.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use snapgate::terms::outcome::Outcome;

use support::processes::{of, signal};
use support::{Gate, Running, must};

/// What a note says where something of an earlier try was used.
const USED: &str = "used for this one";

/// Bytes that nobody can compress, the same for the same seed.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    let day = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    fs::File::options().write(true).open(path).unwrap().set_modified(day).unwrap();
}

/// Every file of a tree, whatever its directories are.
fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

fn kept(gate: &Gate) -> PathBuf {
    gate.inside(".snapgate/interrupted")
}

/// Bytes of what is kept, and in how many trees.
fn size_of_kept(gate: &Gate) -> (u64, usize) {
    let mut inodes = std::collections::BTreeMap::new();
    for path in files(&kept(gate)) {
        let found = fs::symlink_metadata(path).unwrap();
        inodes.insert(found.ino(), found.len());
    }
    (inodes.values().sum(), fs::read_dir(kept(gate)).into_iter().flatten().count())
}

/// Bytes that have arrived of the file that is under way.
fn under_way(gate: &Gate, stem: &[u8]) -> u64 {
    let is_it = |path: &PathBuf| {
        let name = path.file_name().unwrap().as_bytes();
        name.strip_prefix(b".").is_some_and(|name| name.starts_with(stem) && name.len() == stem.len() + 7)
    };
    files(&gate.inside("inprogress")).iter().filter(|path| is_it(path)).map(|path| fs::metadata(path).map_or(0, |found| found.len())).sum()
}

fn start(gate: &Gate, source: &Path, options: &[&str]) -> Running {
    Running::start(&mut gate.push_command(source, &[&["--bwlimit=4000"], options].concat(), ""))
}

/// Waits for so many bytes of the large file, and breaks the line.
fn cut_off(gate: &Gate, source: &Path, options: &[&str], stem: &[u8], bytes: u64) {
    let mut push = start(gate, source, options);
    support::until("enough has arrived", || under_way(gate, stem) >= bytes);
    push.child.kill().unwrap();
    push.child.wait().unwrap();
    settle(gate);
}

/// The same, and nobody of the server's has time to tidy up.
fn kill(gate: &Gate, source: &Path, options: &[&str], stem: &[u8], bytes: u64) -> u64 {
    let mut push = start(gate, source, options);
    support::until("enough has arrived", || under_way(gate, stem) >= bytes);
    let rsyncs = gate.rsyncs();
    signal(&rsyncs, Signal::SIGSTOP);
    let arrived = under_way(gate, stem);
    signal(&of(gate.path(), "snapgate-shell"), Signal::SIGKILL);
    signal(&rsyncs, Signal::SIGKILL);
    let _ = push.child.kill();
    push.child.wait().unwrap();
    settle(gate);
    assert!(gate.inside("inprogress").exists() && under_way(gate, stem) == arrived, "it was to be left as it was");
    arrived
}

fn settle(gate: &Gate) {
    for program in ["snapgate-shell", "snapgate", "rsync"] {
        support::until("it is gone", || of(gate.path(), program).is_empty());
    }
    support::until("nobody carries the locks", || !gate.is_at_work());
}

fn says_used(gate: &Gate) -> bool {
    gate.record().warnings.iter().any(|warning| warning.contains(USED))
}

#[test]
fn ten_tries_keep_what_was_received_once_and_none_of_it_comes_again() {
    let gate = Gate::new();
    let source = gate.source("data");
    for number in 0..10 {
        write(&source.join(format!("d{number}/small")), &noise(50_000, number));
    }
    write(&source.join("z/large"), &noise(8_000_000, 77));
    for number in 1..=10 {
        cut_off(&gate, &source, &[], b"large", number * 500_000);
        assert_eq!(gate.record().result, Outcome::Failed);
        assert!(gate.record().push.unwrap().kept);
        let (bytes, trees) = size_of_kept(&gate);
        assert!(bytes <= 500_000 + 8_000_000 && trees == 1, "after {number} tries: {bytes} bytes in {trees} trees");
    }
    let (bytes, _) = size_of_kept(&gate);
    assert!(bytes >= 5_400_000, "{bytes} bytes are left");
    let ran = gate.push(&source, &[]).exits(0);
    assert!(ran.figure("Literal data") <= 8_500_000 - bytes + 10_000, "{bytes} bytes were there: {}", ran.stdout);
    assert!(!kept(&gate).exists());
    must(std::process::Command::new("diff").arg("-r").args([&source, &gate.newest()]));
}

#[test]
fn of_a_file_that_is_cut_off_again_and_again_the_longest_part_is_kept() {
    let gate = Gate::new();
    let source = gate.source("data");
    write(&source.join("large"), &noise(6_000_000, 5));
    cut_off(&gate, &source, &[], b"large", 4_000_000);
    let (longest, _) = size_of_kept(&gate);
    // From the beginning, and not as far.
    cut_off(&gate, &source, &["--whole-file"], b"large", 500_000);
    assert_eq!(size_of_kept(&gate), (longest, 1));
    let arrived = kill(&gate, &source, &["--whole-file"], b"large", 500_000);
    assert!(arrived < longest);
    let ran = gate.push(&source, &[]).exits(0);
    assert!(ran.figure("Literal data") <= 6_000_000 - longest + 10_000, "{longest} bytes were there: {}", ran.stdout);
}

#[test]
fn a_file_that_had_arrived_whole_is_not_given_up_for_a_part_of_it() {
    let gate = Gate::new();
    let source = gate.source("data");
    write(&source.join("a"), &noise(2_000_000, 3));
    write(&source.join("b"), &noise(6_000_000, 4));
    cut_off(&gate, &source, &["--whole-file"], b"b", 1_000_000);
    // Everything is sent again, and the line breaks while the first file is.
    cut_off(&gate, &source, &["--whole-file", "--ignore-times"], b"a", 500_000);
    let ran = gate.push(&source, &[]).exits(0);
    assert!(ran.figure("Literal data") <= 5_100_000, "{}", ran.stdout);
}

#[test]
fn what_a_try_used_and_what_it_did_not_reach_is_all_in_the_one_that_is_left() {
    let gate = Gate::new();
    let source = gate.source("data");
    for name in ["a/1", "b/2", "c/3"] {
        write(&source.join(name), &noise(300_000, u32::from(name.as_bytes()[0])));
    }
    write(&source.join("d/large"), &noise(4_000_000, 9));
    cut_off(&gate, &source, &[], b"large", 600_000);
    // The next one has something new at its beginning, and comes no further.
    write(&source.join("a/0-new"), &noise(4_000_000, 10));
    fs::set_permissions(source.join("b"), fs::Permissions::from_mode(0o555)).unwrap();
    cut_off(&gate, &source, &[], b"0-new", 600_000);
    assert_eq!(size_of_kept(&gate).1, 1);
    let (bytes, _) = size_of_kept(&gate);
    assert!(bytes >= 900_000 + 1_200_000 - 100_000, "{bytes}");
    let ran = gate.push(&source, &[]).exits(0);
    assert!(ran.figure("Literal data") <= 8_900_000 - bytes + 20_000, "{}", ran.stdout);
    fs::set_permissions(source.join("b"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_try_of_one_place_leaves_that_of_another_alone() {
    let gate = Gate::new();
    let large = noise(4_000_000, 11);
    let push = |place: &str| {
        let source = gate.source(place);
        write(&source.join("large"), &large);
        (format!("{}/", source.display()), format!("backup:{place}/"))
    };
    for place in ["etc", "home"] {
        let (from, to) = push(place);
        let mut command = gate.rsync_command(&["-a", "--stats", "--bwlimit=4000", "--whole-file", &from, &to], "");
        let mut running = Running::start(&mut command);
        support::until("enough has arrived", || under_way(&gate, b"large") >= 1_000_000);
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        settle(&gate);
    }
    assert!(size_of_kept(&gate).1 <= 2);
    for place in ["etc", "home"] {
        let (from, to) = push(place);
        let ran = gate.rsync(&["-a", "--stats", &from, &to]).exits(0);
        assert!(ran.figure("Literal data") < 3_500_000, "{place}: {}", ran.stdout);
    }
    assert!(!kept(&gate).exists());
}

#[test]
fn over_an_old_protocol_nothing_is_kept_that_no_later_push_could_use() {
    let gate = Gate::new();
    let source = gate.source("data");
    write(&source.join("large"), &noise(4_000_000, 12));
    let old = ["--protocol=28"];
    // Before there is a snapshot the latest try is what it links from.
    for number in 1..=3 {
        cut_off(&gate, &source, &old, b"large", number * 500_000);
        assert_eq!(size_of_kept(&gate).1, 1);
    }
    let (bytes, _) = size_of_kept(&gate);
    let ran = gate.push(&source, &old).exits(0);
    assert!(ran.figure("Literal data") <= 4_000_000 - bytes + 10_000, "{}", ran.stdout);
    // Then it is the snapshot.
    write(&source.join("other"), &noise(4_000_000, 13));
    cut_off(&gate, &source, &old, b"other", 500_000);
    assert!(!gate.record().push.unwrap().kept && !kept(&gate).exists());
    assert!(gate.record().reasons[0].hint.is_none(), "nothing is promised: {:?}", gate.record().reasons);
    gate.push(&source, &old).exits(0);
}

/// Names as rsync makes them shorter, or as they are cut.
fn names() -> Vec<Vec<u8>> {
    let long = |unit: &str, bytes: usize| unit.repeat(bytes / unit.len()).into_bytes();
    vec![
        b"large".to_vec(),
        b".large".to_vec(),
        b"large.".to_vec(),
        b"a.b.AbCdEf".to_vec(),
        long("x", 240),
        long("x", 246),
        long("ü", 240),
        b"\xff\xfe large\n".to_vec(),
    ]
}

#[test]
fn a_gate_and_rsync_that_are_killed_lose_nothing_that_had_arrived() {
    for name in names() {
        let gate = Gate::new();
        let source = gate.source("data");
        let path = source.join("d").join(OsStr::from_bytes(&name));
        write(&path, &noise(5_000_000, 21));
        let stem = name.strip_prefix(b".").unwrap_or(&name);
        let stem = stem.strip_suffix(b".").unwrap_or(stem);
        let arrived = kill(&gate, &source, &[], stem, 2_000_000);
        let ran = gate.push(&source, &[]).exits(0);
        let shown = name.escape_ascii();
        assert!(ran.figure("Literal data") <= 5_000_000 - arrived + 10_000, "{shown}: {arrived} were there: {}", ran.stdout);
        assert!(says_used(&gate), "{shown}: {:?}", gate.record().warnings);
        let found: Vec<_> = files(&gate.newest());
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(fs::read(&found[0]).unwrap() == fs::read(&path).unwrap());
    }
}

#[test]
fn a_long_name_that_was_cut_is_found_again_where_an_earlier_push_had_it() {
    let gate = Gate::new();
    let source = gate.source("data");
    let path = source.join("x".repeat(252));
    write(&path, b"short");
    write(&source.join("other"), b"short");
    gate.push(&source, &[]).exits(0);
    write(&path, &noise(5_000_000, 22));
    let arrived = kill(&gate, &source, &[], &[b'x'; 246], 2_000_000);
    let ran = gate.push(&source, &[]).exits(0);
    assert!(ran.figure("Literal data") <= 5_000_000 - arrived + 10_000, "{}", ran.stdout);
}

#[test]
fn an_rsync_that_is_killed_alone_loses_nothing_either_and_one_part_is_kept() {
    let gate = Gate::new();
    let source = gate.source("data");
    write(&source.join("large"), &noise(6_000_000, 23));
    for (number, by_the_client) in [(1, false), (2, true), (3, false), (4, true)] {
        if by_the_client {
            cut_off(&gate, &source, &[], b"large", number * 1_000_000);
        } else {
            let mut push = start(&gate, &source, &[]);
            support::until("enough has arrived", || under_way(&gate, b"large") >= number * 1_000_000);
            signal(&gate.rsyncs(), Signal::SIGKILL);
            let _ = push.child.wait();
            settle(&gate);
        }
        let (bytes, trees) = size_of_kept(&gate);
        assert!(bytes >= number * 1_000_000 && bytes < 6_000_000 && trees == 1, "{number}: {bytes} in {trees}");
    }
    let (bytes, _) = size_of_kept(&gate);
    let ran = gate.push(&source, &[]).exits(0);
    assert!(ran.figure("Literal data") <= 6_000_000 - bytes + 10_000, "{}", ran.stdout);
}

#[test]
fn nothing_is_said_to_be_used_that_was_not() {
    let gate = Gate::new();
    let (source, other) = (gate.source("data"), gate.source("other"));
    write(&source.join("large"), &noise(5_000_000, 24));
    write(&other.join("large"), &noise(3_000_000, 25));
    // Another file of that name; one that is sent as a whole; and one that was left out.
    let cases: [(&Path, &[&str]); 4] =
        [(&other, &[]), (&source, &["--whole-file"]), (&source, &["--size-only"]), (&other, &["--exclude=large", "--include=x"])];
    for (pushed, options) in cases {
        kill(&gate, &source, &["--whole-file"], b"large", 1_000_000);
        gate.push(pushed, options);
        settle(&gate);
        let record = gate.record();
        assert!(!says_used(&gate), "{options:?}: {:?}", record.warnings);
        assert!(record.warnings.iter().any(|warning| warning.contains("an earlier push did not finish")), "{:?}", record.warnings);
        let log = fs::read_to_string(gate.inside(&format!(".snapgate/logs/{}.log", record.id))).unwrap();
        assert!(!log.contains(USED), "{log}");
        let _ = fs::remove_dir_all(gate.inside("snapshots"));
        let _ = fs::remove_dir_all(kept(&gate));
        fs::create_dir(gate.inside("snapshots")).unwrap();
    }
}

#[test]
fn a_client_s_own_file_that_is_called_like_a_temporary_one_stays_a_file() {
    let gate = Gate::new();
    let source = gate.source("data");
    for name in [".foo.AbCdEf", ".bar.123456", ".x.AbCdEf"] {
        write(&source.join("a").join(name), &noise(400_000, u32::from(name.as_bytes()[1])));
        fs::set_permissions(source.join("a").join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    write(&source.join("b/large"), &noise(5_000_000, 26));
    kill(&gate, &source, &[], b"large", 500_000);
    let ran = gate.push(&source, &[]).exits(0);
    assert!(ran.figure("Literal data") <= 4_510_000, "one of them was sent again: {}", ran.stdout);
    must(std::process::Command::new("diff").arg("-r").args([&source, &gate.newest()]));
}
