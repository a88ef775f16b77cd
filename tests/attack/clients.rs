//! What an ordinary rsync can be made to do: every option and every change that is known to reach into history where inodes
//! are shared, as one push, as two, cut off and resumed, and inside one transaction.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::lab::{Lab, Row, Way, copies, table};
use support::{Ran, Running, is_root, must};

/// A change of the client's data, the options it is pushed with, and how that ends.
struct Attack {
    name: &'static str,
    change: fn(&Path),
    options: &'static [&'static str],
    expected: &'static str,
}

const fn attack(name: &'static str, change: fn(&Path), options: &'static [&'static str], expected: &'static str) -> Attack {
    Attack { name, change, options, expected }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn touch(path: &Path) {
    must(Command::new("touch").args(["-h", "-d", "2026-02-02 12:00:00.5"]).arg(path));
}

fn attribute(path: &Path, value: &str) {
    must(Command::new("setfattr").args(["-n", "user.note", "-v", value]).arg(path));
}

fn nothing(_: &Path) {}

fn rewrite(source: &Path) {
    fs::write(source.join("a"), "CONTENT of a\n").unwrap();
}

/// Longer each time, so that it is never the same as before.
fn rewrite_in_time(source: &Path) {
    let was = fs::read(source.join("a")).unwrap();
    fs::write(source.join("a"), [b"CONTENT of a\n", &was[..]].concat()).unwrap();
}

fn grow(source: &Path) {
    fs::write(source.join("a"), "content of a\nand more\n").unwrap();
}

const PUSHED: &str = "published";
const REFUSED: &str = "refused: option";

/// What changes published snapshots wherever inodes are shared with a directory that rsync writes to.
const ATTACKS: [Attack; 29] = [
    attack("nothing", nothing, &[], PUSHED),
    attack("chmod", |s| chmod(&s.join("a"), 0o4751), &[], PUSHED),
    attack("touch", |s| touch(&s.join("a")), &[], PUSHED),
    attack(
        "chown",
        |s| {
            if is_root() {
                std::os::unix::fs::lchown(s.join("a"), Some(1234), Some(4321)).unwrap();
            }
        },
        &["--numeric-ids"],
        PUSHED,
    ),
    attack("--inplace", rewrite, &["--inplace"], PUSHED),
    attack("--inplace --no-whole-file", grow, &["--inplace", "--no-W"], PUSHED),
    attack("-S --inplace", |s| fs::write(s.join("a"), [0; 9000]).unwrap(), &["-S", "--inplace"], PUSHED),
    attack("--append", grow, &["--append"], REFUSED),
    attack("--append-verify", grow, &["--append-verify"], REFUSED),
    attack("--write-devices", rewrite, &["--write-devices"], REFUSED),
    attack("--partial-dir", rewrite, &["--partial-dir=.p"], PUSHED),
    attack("--partial-dir of the tree's own", rewrite, &["--partial-dir=d"], PUSHED),
    attack("--partial-dir where history has the file", rewrite_in_time, &["--partial-dir=part"], PUSHED),
    attack("--delay-updates", rewrite, &["--delay-updates"], PUSHED),
    attack("--delay-updates where history has the file", rewrite_in_time, &["--delay-updates"], PUSHED),
    attack("--size-only", |s| touch(&s.join("a")), &["--size-only"], PUSHED),
    attack("-c", |s| touch(&s.join("a")), &["-c"], PUSHED),
    attack("-I", |s| touch(&s.join("a")), &["-I"], PUSHED),
    attack("--modify-window", |s| touch(&s.join("a")), &["--modify-window=86400"], PUSHED),
    attack("--no-times --no-perms", |s| chmod(&s.join("a"), 0o777), &["--no-t", "--no-p", "--size-only"], PUSHED),
    attack("-X", |s| attribute(&s.join("d/b"), "second"), &["-X"], PUSHED),
    attack(
        "-A",
        |s| {
            must(Command::new("setfacl").args(["-m", "u:1234:rwx"]).arg(s.join("d/b")));
        },
        &["-A"],
        PUSHED,
    ),
    attack("--fake-super", |s| chmod(&s.join("a"), 0o600), &["-M--fake-super"], REFUSED),
    attack("-U", nothing, &["-U"], REFUSED),
    attack("--delete of a read-only file", |s| fs::remove_file(s.join("ro-too")).unwrap(), &["--delete", "--force"], PUSHED),
    attack(
        "a read-only file that becomes a directory",
        |s| {
            fs::remove_file(s.join("ro")).unwrap();
            fs::create_dir(s.join("ro")).unwrap();
            fs::write(s.join("ro/inner"), "now inside\n").unwrap();
        },
        &["--delete"],
        PUSHED,
    ),
    attack("-H with a change to both names", |s| chmod(&s.join("kept"), 0o600), &["-H"], PUSHED),
    attack("-K", nothing, &["-K"], REFUSED),
    attack("its own --link-dest", nothing, &["--link-dest=../../web2/current"], PUSHED),
];

/// A tree as history knows it, and two names of one file; all times are old.
fn source(lab: &Lab) -> PathBuf {
    let source = lab.gate.source("data");
    for name in ["d", "part", ".~tmp~"] {
        fs::create_dir_all(source.join(name)).unwrap();
    }
    for (name, content) in [
        ("a", "content of a\n"),
        ("ro", "only to be read\n"),
        ("ro-too", "only to be read\n"),
        ("d/b", "content of b\n"),
        ("kept", "kept\n"),
        // Where rsync would look for an unfinished `a`, and write it in place.
        ("part/a", "content of a\n"),
        (".~tmp~/a", "content of a\n"),
    ] {
        fs::write(source.join(name), content).unwrap();
    }
    chmod(&source.join("ro"), 0o444);
    chmod(&source.join("ro-too"), 0o444);
    chmod(&source.join("d/b"), 0o600);
    fs::hard_link(source.join("kept"), source.join("kept-too")).unwrap();
    symlink("a", source.join("l")).unwrap();
    attribute(&source.join("d/b"), "first");
    must(Command::new("find").arg(&source).args(["-depth", "-exec", "touch", "-h", "-d", "@1767261600", "{}", "+"]));
    source
}

/// How a push ended, without what it stored: that is compared with the source.
fn ending(way: Way, lab: &Lab, source: &Path, ran: &Ran, attack: &Attack) -> String {
    if ran.status == 12 || ran.status >= 64 {
        return format!("refused:{}", ran.code().map(|code| format!(" {code}")).unwrap_or_default());
    }
    let compare = ["-rlcn", "--delete", "-i", "--open-noatime"];
    let differs = must(Command::new("rsync").args(compare).arg(format!("{}/", source.display())).arg(lab.gate.newest()));
    // Attributes alone were compared already, and a transaction deletes nothing. An option that names a directory of
    // unfinished files leaves it out; that is what it is for.
    let beside = attack.options.iter().find_map(|option| option.strip_prefix("--partial-dir=")).unwrap_or(".~tmp~");
    let is_beside = |line: &str| line.get(12..).is_some_and(|name| name.starts_with(&format!("{beside}/")));
    let same = |line: &&str| line.starts_with('.') || is_beside(line) || line.starts_with("*deleting") && way == Way::Transaction;
    let left = differs.lines().filter(|line| !same(line)).count();
    if ran.status == 0 && left == 0 { PUSHED.to_owned() } else { format!("rsync {}, {differs}", ran.status) }
}

/// A push that the client's end leaves while it still runs: everything but a slow file has been received.
pub(crate) fn cut_off(lab: &Lab, source: &Path, options: &[&str], place: &str) {
    let slow = source.join("slow");
    // rsync writes nothing before it has a quarter of a megabyte, and then there is time to look for some seconds.
    let noise: Vec<u8> = (0..2_000_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    fs::write(&slow, noise).unwrap();
    let (from, to) = (format!("{}/", source.display()), format!("backup:{place}"));
    let words = [&["-a", "--delete", "--bwlimit=400"], options, &[&from, &to]].concat();
    let mut running = Running::start(&mut lab.gate.rsync_command(&words, ""));
    support::until("the slow file is under way, or nothing is", || {
        let stage = fs::read_dir(lab.gate.inside("inprogress").join(place));
        // Until something of it is there, there is nothing to keep.
        let has_begun = |entry: &fs::DirEntry| entry.metadata().is_ok_and(|found| found.len() > 0);
        let mut slow = stage.into_iter().flatten().flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b".slow."));
        let under_way = slow.any(|entry| has_begun(&entry));
        under_way || running.child.try_wait().unwrap().is_some()
    });
    let _ = running.child.kill();
    running.wait();
    support::until("its push has ended", || !lab.gate.is_at_work());
    fs::remove_file(slow).unwrap();
}

/// Every attack, one after another, in one of four ways; the changes pile up, and each is compared with all of history.
fn all(way: Way, push: impl Fn(&Lab, &Path, &Attack) -> Ran) -> Vec<Row> {
    let mut lab = Lab::new();
    let source = source(&lab);
    lab.gate.push(&source, &["-X", "-H"]).exits(0);
    assert_eq!(lab.changes(copies()), [""; 0]);
    let mut rows = Vec::new();
    for attack in &ATTACKS {
        let ran = push(&lab, &source, attack);
        let found = ending(way, &lab, &source, &ran, attack);
        rows.push(Row::new(attack.name, attack.expected, found, lab.changes(copies())).by(way));
    }
    rows
}

#[test]
fn one_push_changes_nothing_in_history() {
    let rows = all(Way::OnePush, |lab, source, attack| {
        (attack.change)(source);
        lab.gate.push(source, attack.options)
    });
    table("one push", rows);
}

#[test]
fn two_pushes_change_nothing_in_history() {
    let rows = all(Way::TwoPushes, |lab, source, attack| {
        let first = lab.gate.push(source, attack.options);
        assert_eq!(first.status == 0, attack.expected == PUSHED, "{}: {first:?}", attack.name);
        (attack.change)(source);
        lab.gate.push(source, attack.options)
    });
    table("two pushes", rows);
}

#[test]
fn a_push_that_is_cut_off_and_resumed_changes_nothing_in_history() {
    let rows = all(Way::CutOff, |lab, source, attack| {
        cut_off(lab, source, attack.options, "");
        let kept = ["inprogress", ".snapgate/interrupted"]
            .iter()
            .any(|place| fs::read_dir(lab.gate.inside(place)).is_ok_and(|mut entries| entries.next().is_some()));
        assert_eq!(kept, attack.expected == PUSHED, "{}: what was received is kept for the next push", attack.name);
        (attack.change)(source);
        lab.gate.push(source, attack.options)
    });
    table("cut off and resumed", rows);
}

#[test]
fn pushes_of_one_transaction_change_nothing_in_history() {
    let rows = all(Way::Transaction, |lab, source, attack| {
        lab.gate.say("prepare").exits(0);
        lab.gate.push(source, attack.options);
        (attack.change)(source);
        let ran = lab.gate.push(source, attack.options);
        let ended = lab.gate.say(if attack.expected == PUSHED { "complete" } else { "abort" });
        assert_eq!(ended.status, 0, "{}: {ended:?}", attack.name);
        ran
    });
    table("in a transaction", rows);
}
