//! The gate is killed just before each system call with which it changes anything, in every story that changes something,
//! and then the client tries again. What has to hold each time is in [`check_after_kill`] and [`check_after_retry`].
//!
//! The calls are those that a first run makes, seen by strace, which is also who kills.

mod stories;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use nix::sys::signal::Signal;
use snapgate::terms::Mail;
use snapgate::terms::outcome::Outcome;
use snapgate::terms::verb::Verb;

use stories::STORIES;
use support::kept::{is_short, no_strangers, strace};
use support::record::Record;
use support::{Gate, POLICY, Ran, Running, can_trace, must};

/// Every call that can change what stands on the disk, what is locked, or what runs. A `?` where not every machine has it.
const CALLS: &str = "?mkdir,?mkdirat,?rename,?renameat,?renameat2,?unlink,?unlinkat,?rmdir,?symlink,?symlinkat,?link,?linkat,?write,\
?pwrite64,?writev,?ftruncate,?truncate,?fsync,?fdatasync,?syncfs,?chmod,?fchmod,?fchmodat,?fchmodat2,?utimensat,?flock,?clone,\
?clone3,?vfork,?open,?openat,?openat2,?copy_file_range,?sendfile";

/// A story with fewer calls has not been seen as a whole.
const FEW: usize = 6;

/// One system call of the gate: its name, and the how manieth of that name it is.
#[derive(Debug, Clone)]
struct Point {
    call: String,
    nth: usize,
    line: String,
    /// See [`Point::is_asked`]; of any process.
    asked: bool,
}

impl Point {
    /// Whether the gate makes a placeholder with it, so that rsync waits for the answer to a question. A placeholder's first name is a
    /// number, and no file of a story is called so.
    fn is_asked(&self) -> bool {
        let name = self.line.split('"').nth(1).unwrap_or_default();
        match self.call.as_str() {
            "linkat" => name.parse::<u32>().is_ok(),
            "mkdir" | "openat" => name.contains("/placeholders"),
            _ => false,
        }
    }
}

/// A story that is told again and again, with the gate killed at a later point each time.
struct Story {
    name: &'static str,
    /// What has happened before it.
    before: fn(&Gate),
    /// What the client does, the gate being started by the words given.
    act: fn(&Gate, &str) -> Ran,
    /// What the client does after the kill; the last snapshot has to hold the new data then.
    retry: fn(&Gate),
    /// Whether it makes a snapshot when it is left alone.
    publishes: bool,
}

fn data(gate: &Gate, name: &str) -> PathBuf {
    gate.path().join("source").join(name)
}

fn write(path: &Path, text: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Two states of a client's data. `same` is in both, unchanged; the top directory may not be written to by its owner, so
/// that the gate has to lend itself that right.
fn make_sources(gate: &Gate) {
    for name in ["old", "new"] {
        let root = gate.source(name);
        write(&root.join("same"), &[7; 5000]);
        write(&root.join("etc/changed"), format!("{name} text").as_bytes());
        write(&root.join("etc/deep").join(name), b"only here");
        // rsync compares times by the second, so two states made in one second would look the same to it.
        let day = if name == "old" { "2026-01-01" } else { "2026-01-02" };
        must(Command::new("find").arg(&root).args(["-depth", "-exec", "touch", "-d", &format!("{day} 10:00:00.25"), "{}", "+"]));
        must(Command::new("touch").args(["-d", "2025-01-01"]).arg(root.join("same")));
        must(Command::new("chmod").arg("555").arg(&root));
    }
}

/// What stands in a tree, by path: everything but inodes.
fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    fn walk(root: &Path, path: &Path, found: &mut BTreeMap<PathBuf, String>) {
        let meta = fs::symlink_metadata(path).unwrap();
        let content = if meta.is_file() { shown(&fs::read(path).unwrap()) } else { String::new() };
        let line = format!("{:o} {}.{:09} {content}", meta.mode(), meta.mtime(), meta.mtime_nsec());
        found.insert(path.strip_prefix(root).unwrap().to_owned(), line);
        if meta.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                walk(root, &entry.unwrap().path(), found);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

/// Enough of a content to tell it from every other one here.
fn shown(bytes: &[u8]) -> String {
    format!("{} bytes, {}", bytes.len(), bytes.iter().take(20).copied().collect::<Vec<u8>>().escape_ascii())
}

/// What a file system holds beside the client's data: saved and put back between two kills.
fn copy_state(from: &Path, to: &Path) {
    let script = "all='store spool mail'; cd \"$2\" && chmod -R u+w $all 2>/dev/null; rm -rf $all && cd \"$1\" && cp -a $all \"$2\"";
    must(Command::new("sh").args(["-c", script, "sh"]).args([from, to]));
}

/// Every call that strace has written down, with the process that made it, where there are several, and the how manieth of its name it
/// is of that process; and the processes that were killed.
fn calls(log: &Path) -> (Vec<(String, Point)>, BTreeSet<String>) {
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    let (mut all, mut killed) = (Vec::new(), BTreeSet::new());
    for line in fs::read_to_string(log).expect("what strace wrote; `make test` installs it").lines() {
        let (process, line) = if line.starts_with(|c: char| c.is_ascii_digit()) { line.split_once(' ').unwrap() } else { ("", line) };
        if line.contains("+++ killed by SIGKILL +++") {
            killed.insert(process.to_owned());
        }
        let Some((call, _)) = line.trim_start().split_once('(').filter(|_| !line.contains("resumed>")) else { continue };
        let nth = seen.entry((process.to_owned(), call.to_owned())).or_default();
        *nth += 1;
        all.push((process.to_owned(), Point { call: call.to_owned(), nth: *nth, line: line.trim_start().to_owned(), asked: false }));
    }
    (all, killed)
}

/// Where a story's gate is killed. Where owners are kept several processes are looked at, and whichever first makes so many calls of that
/// name is killed: the gate, the process that does its work, a helper, or rsync.
fn points(log: &Path) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    // Opening for reading changes nothing; it is only counted.
    for (_, point) in calls(log).0.into_iter().filter(|(_, point)| !point.call.starts_with("open") || point.line.contains("O_CREAT")) {
        match points.iter_mut().find(|other| (&other.call, other.nth) == (&point.call, point.nth)) {
            Some(other) => other.asked |= point.is_asked(),
            None => points.push(Point { asked: point.is_asked(), ..point }),
        }
    }
    points
}

/// Whether a process was killed at that point.
fn is_met(log: &Path, point: &Point) -> bool {
    let (all, killed) = calls(log);
    all.iter().any(|(process, found)| (&found.call, found.nth) == (&point.call, point.nth) && killed.contains(process))
}

/// Tells a story once to see its points, then once for each of them.
fn tell(story: &Story) {
    let gate = Gate::in_memory("", &format!("{POLICY}from: [192.0.2.7]\n"));
    make_sources(&gate);
    (story.before)(&gate);
    gate.flush();
    settle(&gate);
    let saved = gate.path().join("saved");
    fs::create_dir(&saved).unwrap();
    copy_state(gate.path(), &saved);

    let log = gate.path().join("calls");
    let first = (story.act)(&gate, &format!("{} -s 200 -o {} -e trace={CALLS}", strace(), log.display()));
    settle(&gate);
    let mut all = points(&log);
    if is_short() {
        let moves = |point: &Point| ["rename", "link", "symlink", "syncfs", "fsync"].iter().any(|step| point.call.starts_with(step));
        // What moves a name or says that the disk has it. A story that hardly does makes, removes and locks things all the same.
        let is_quiet = all.iter().filter(|point| moves(point)).count() < FEW;
        all.retain(|point| if is_quiet { point.call != "write" } else { moves(point) });
    }
    assert!(all.len() >= FEW, "{}: strace saw too little: {all:?}; {first:?}", story.name);
    if story.publishes {
        assert_eq!(tree(&gate.newest()), tree(&data(&gate, "new")), "{}: not the client's data", story.name);
    }
    let began = Instant::now();
    let mut missed = Vec::new();
    for point in &all {
        settle(&gate);
        copy_state(&saved, gate.path());
        let before = Before::look(&gate);
        let inject = format!("{}:signal=SIGKILL:when={}", point.call, point.nth);
        let wrap = format!("{} -o {} -e trace={CALLS} -e inject={inject}", strace(), log.display());
        let ran = (story.act)(&gate, &wrap);
        settle(&gate);
        if !is_met(&log, point) {
            missed.push(point);
        }
        let at = format!("{}, killed before `{}` (number {})", story.name, point.line, point.nth);
        let after = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check_after_kill(&gate, &before, &ran);
            no_strangers(gate.path());
            (story.retry)(&gate);
            check_after_retry(&gate, &before, point.asked);
            no_strangers(gate.path());
        }));
        if let Err(why) = after {
            println!("{at}\nthe client saw {ran:?}");
            std::panic::resume_unwind(why);
        }
    }
    println!("{}: {} calls, {:.1} s, not met again: {missed:#?}", story.name, all.len(), began.elapsed().as_secs_f64());
    // How often a lock is tried depends on the moment, so the last of these calls may not come again.
    assert!(missed.len() * 4 < all.len(), "{}: {missed:#?} of {} were not met again", story.name, all.len());
}

/// Waits for what outlives the gate: an rsync, the pass that mails, and strace with its last line.
fn settle(gate: &Gate) {
    let programs = ["strace", "snapgate-shell", "snapgate", "rsync"];
    support::until("they are gone", || support::processes::of_any(gate.path(), &programs).is_empty());
    // A process that ends gives up its name a moment before its descriptors.
    support::until("nobody carries rsync's lock", || !gate.rsync_runs());
}

struct Before {
    snapshots: Vec<String>,
    trees: Vec<BTreeMap<PathBuf, String>>,
    ledger: Vec<u8>,
}

impl Before {
    fn look(gate: &Gate) -> Self {
        let snapshots = gate.snapshots();
        let trees = snapshots.iter().map(|name| tree(&gate.inside("snapshots").join(name))).collect();
        Self { snapshots, trees, ledger: fs::read(gate.inside(".snapgate/ledger.jsonl")).unwrap_or_default() }
    }
}

/// The gate has to lend the owner the right to write to the top directory while it moves it; a kill may leave it lent.
fn writable_top(tree: &mut BTreeMap<PathBuf, String>) {
    let top = tree.get_mut(Path::new("")).unwrap();
    *top = top.replace("40555", "40755");
}

/// The old state or the new one, and nothing between.
#[track_caller]
fn check_after_kill(gate: &Gate, before: &Before, ran: &Ran) {
    let now = gate.snapshots();
    assert!(now.starts_with(&before.snapshots) && now.len() <= before.snapshots.len() + 1, "{:?} became {now:?}", before.snapshots);
    for (name, old) in before.snapshots.iter().zip(&before.trees) {
        assert_eq!(&tree(&gate.inside("snapshots").join(name)), old, "an old snapshot changed");
    }
    if let Some(new) = now.get(before.snapshots.len()) {
        let mut found = tree(&gate.inside("snapshots").join(new));
        let mut wanted = tree(&data(gate, "new"));
        writable_top(&mut found);
        writable_top(&mut wanted);
        assert_eq!(found, wanted, "a snapshot that is not whole");
    }
    let current = fs::read_link(gate.inside("current"));
    assert!(current.is_ok() || before.snapshots.is_empty(), "`current` is missing");
    if let Ok(target) = current {
        let names = now.iter().map(|name| Path::new("snapshots").join(name)).collect::<Vec<_>>();
        assert!(names.contains(&target), "`current` names {}", target.display());
    }
    let ledger = fs::read(gate.inside(".snapgate/ledger.jsonl")).unwrap_or_default();
    assert!(ledger.starts_with(&before.ledger), "the ledger lost something");
    // Whoever was answered is remembered.
    if ran.code().is_some() {
        assert!(ledger.len() > before.ledger.len(), "an answer without a line in the ledger");
    }
}

/// Everything is as if nothing had happened, and everything that happened is known. An rsync that `asked` for a link when its gate died
/// may have copied the file before it heard of that.
#[track_caller]
fn check_after_retry(gate: &Gate, before: &Before, asked: bool) {
    let newest = gate.newest();
    let (mut found, mut wanted) = (tree(&newest), tree(&data(gate, "new")));
    if gate.record().verb == Some(Verb::Complete) {
        // Laying parts over one another sets a directory's time last, so a kill before that leaves another one; its
        // contents are what counts. Without a kill the time is right: the story's first run has shown it.
        for tree in [&mut found, &mut wanted] {
            tree.values_mut().filter(|line| line.starts_with('4')).for_each(|line| line.truncate(2));
        }
    }
    assert_eq!(found, wanted, "the newest snapshot is not the client's data");
    assert_eq!(gate.inside("current").canonicalize().unwrap(), newest.canonicalize().unwrap(), "`current` is not the newest");
    for (name, old) in before.snapshots.iter().zip(&before.trees) {
        let path = gate.inside("snapshots").join(name);
        assert_eq!(&tree(&path), old, "an old snapshot changed");
        let inode = |root: &Path| fs::metadata(root.join("same")).unwrap().ino();
        assert!(asked || inode(&path) == inode(&newest), "an unchanged file was stored again");
    }
    for gone in [
        "inprogress", ".snapgate/interrupted", ".snapgate/transaction.json", ".snapgate/current.new", ".snapgate/placeholders",
        ".snapgate/carried",
    ] {
        assert!(fs::symlink_metadata(gate.inside(gone)).is_err(), "`{gone}` is left over");
    }
    let parts = fs::read_dir(gate.inside(".snapgate/parts")).map(Iterator::count).unwrap_or_default();
    assert_eq!(parts, 0, "parts are left over");

    settle(gate);
    gate.flush();
    assert_eq!(fs::read_dir(gate.spool().join("new")).map(Iterator::count).unwrap_or_default(), 0, "events wait still");
    let mails = gate.mails();
    let records = gate.ledger();
    assert_eq!(records.last().unwrap().result, Outcome::Published);
    let counted = |to: &str| -> usize {
        let those = mails.iter().filter(|mail| mail.contains(&format!("To: {to}@")));
        let header = |mail: &String| mail.lines().find_map(|line| line.strip_prefix("X-Snapgate-Events: ")?.trim().parse::<usize>().ok());
        those.map(|mail| header(mail).unwrap_or(1)).sum()
    };
    for name in gate.snapshots() {
        let tells = |record: &Record| {
            let own = record.push.as_ref().is_some_and(|push| push.snapshot.as_ref() == Some(&name));
            own || record.warnings.iter().any(|warning| warning.contains(&name))
        };
        assert!(records.iter().any(tells), "no record speaks of {name}");
    }
    let asked = |mail: Mail| records.iter().filter(|record| record.mail == mail).count();
    // Once it is in the ledger it is mailed; a kill between the two may at most leave one that is only mailed.
    for (to, mail) in [("reports", Mail::Report), ("alerts", Mail::Alert)] {
        let (counted, asked) = (counted(to), asked(mail));
        assert!(counted == asked || counted == asked + 1, "{counted} {to} mailed, {asked} in the ledger");
    }
}

/// One test for each story, so that they run beside one another.
macro_rules! stories {
    ($($test:ident: $number:literal,)*) => { $(
        #[test]
        fn $test() {
            if can_trace() {
                tell(&STORIES[$number]);
            }
        }
    )* };
}

stories! {
    a_first_push_may_be_killed_anywhere: 0,
    a_push_may_be_killed_anywhere: 1,
    a_push_after_one_that_was_cut_off_may_be_killed_anywhere: 2,
    a_prepare_over_an_open_transaction_may_be_killed_anywhere: 3,
    a_push_in_a_transaction_may_be_killed_anywhere: 4,
    a_complete_may_be_killed_anywhere: 5,
    a_complete_of_a_failed_client_may_be_killed_anywhere: 6,
    an_abort_may_be_killed_anywhere: 7,
    a_refusal_may_be_killed_anywhere: 8,
    a_dry_run_may_be_killed_anywhere: 9,
    a_push_with_hard_links_may_be_killed_anywhere: 10,
    a_push_whose_rest_is_carried_over_may_be_killed_anywhere: 11,
    a_complete_whose_rest_is_carried_over_may_be_killed_anywhere: 12,
    a_complete_of_a_failed_client_after_pushes_that_did_not_finish_may_be_killed_anywhere: 13,
}

#[test]
fn rsync_ends_with_its_gate_and_until_then_keeps_the_lock_and_nothing_it_received_comes_again() {
    let gate = Gate::new();
    let source = gate.source("data");
    for number in 0..8 {
        write(&source.join(format!("file{number}")), &vec![b'a' + number; 400_000]);
    }
    // Slow enough to be met while it runs, on a busy machine too: about 10 seconds.
    let slow = Running::start(&mut gate.push_command(&source, &["--bwlimit=320", "--whole-file"], ""));
    support::until("something has arrived", || gate.inside("inprogress/file1").exists());
    let gates = support::processes::of(gate.path(), "snapgate-shell");
    // The gate may have others of its program at work for it. They are below it, and end with it.
    let is_first = |pid: &&u32| support::processes::parent(**pid).is_none_or(|parent| !gates.contains(&parent));
    let first: Vec<_> = gates.iter().filter(is_first).copied().collect();
    assert_eq!(first.len(), 1, "{gates:?}");
    // An rsync that cannot end at once: it waits for a disk, say.
    let rsyncs = gate.rsyncs();
    support::processes::signal(&rsyncs, Signal::SIGSTOP);
    support::processes::signal(&first, Signal::SIGKILL);
    support::until("the gate is gone, and all that it had at work", || !gates.iter().any(|pid| support::processes::is_alive(*pid)));
    assert!(gate.rsync_runs() && gate.inside("inprogress").exists(), "the lock went with the gate");

    let second = gate.push(&source, &[]).exits(75);
    assert_eq!(second.code(), Some("busy"));
    assert_eq!(gate.record().exit, 75);
    assert_eq!(gate.say("status").exits(0).stderr, "");
    assert!(gate.rsync_runs());

    support::processes::signal(&rsyncs, Signal::SIGCONT);
    support::until("rsync has ended too", || !gate.rsync_runs());
    slow.wait();
    settle(&gate);
    assert!(gate.snapshots().is_empty(), "published without a gate");
    let third = gate.push(&source, &[]).exits(0);
    assert!(third.figure("Literal data") <= 6 * 400_000, "{}", third.stdout);
    assert_eq!(tree(&gate.newest()), tree(&source));
}
