//! What is published never changes again, whatever a client pushes afterwards and with whatever options: content, mode,
//! owner, times, extended attributes, ACLs, targets of links and inodes are written down after each push and compared after
//! every later one.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use snapgate::terms::record::Jail;

use support::facts::{History, Reads};
use support::kept::{keeper, strace};
use support::{Gate, Ran, can_trace, is_root, must, run, skip};

/// Compares every known snapshot, and writes down the new ones.
#[track_caller]
fn check(history: &mut History, gate: &Gate, what: &str, reads: Reads) {
    let changes = history.changes(gate, reads);
    assert!(changes.is_empty(), "after {what}: {changes:#?}");
    let newest = gate.inside("current").canonicalize().unwrap();
    assert_eq!(newest, gate.newest().canonicalize().unwrap());
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn touch(path: &Path, day: &str) {
    must(Command::new("touch").args(["-h", "-d", day]).arg(path));
}

fn attribute(path: &Path, value: &str) {
    must(Command::new("setfattr").args(["-n", "user.note", "-v", value]).arg(path));
}

/// A tree with one of everything that the attacks below need; all times are old.
fn make_source(source: &Path) {
    for name in ["chmod", "touch", "chown", "inplace", "sparse", "partial", "delayed", "size-only", "checksum", "attributes", "acl", "kept"]
    {
        write(&source.join(name), &format!("first content of {name}\n").repeat(100));
    }
    write(&source.join("read-only"), "only to be read\n");
    chmod(&source.join("read-only"), 0o444);
    write(&source.join("becomes-a-directory"), "still a file\n");
    chmod(&source.join("becomes-a-directory"), 0o444);
    write(&source.join("directory/inner"), "inner\n");
    fs::hard_link(source.join("kept"), source.join("kept-too")).unwrap();
    symlink("kept", source.join("link")).unwrap();
    attribute(&source.join("attributes"), "first");
    attribute(&source.join("directory"), "first");
    must(Command::new("find").arg(source).args(["-depth", "-exec", "touch", "-h", "-d", "2026-01-01 10:00:00.125", "{}", "+"]));
}

/// A change of the client's data and the options that it is pushed with.
struct Attack {
    name: &'static str,
    change: fn(&Path),
    options: &'static [&'static str],
    reads: Reads,
}

const fn attack(name: &'static str, change: fn(&Path), options: &'static [&'static str], reads: Reads) -> Attack {
    Attack { name, change, options, reads }
}

/// What changed published snapshots wherever inodes are shared with a directory that rsync writes to.
const ATTACKS: [Attack; 17] = [
    attack("nothing", |_| {}, &[], Reads::Nothing),
    attack("chmod", |s| chmod(&s.join("chmod"), 0o4751), &[], Reads::Files),
    attack("touch", |s| touch(&s.join("touch"), "2026-02-02"), &[], Reads::Files),
    attack(
        "chown",
        |s| {
            if is_root() {
                std::os::unix::fs::lchown(s.join("chown"), Some(1234), Some(4321)).unwrap();
                std::os::unix::fs::lchown(s.join("link"), Some(1234), Some(4321)).unwrap();
            }
        },
        &["--numeric-ids"],
        Reads::Files,
    ),
    attack("--inplace", |s| write(&s.join("inplace"), "overwritten\n"), &["--inplace"], Reads::Files),
    attack("-S --inplace", |s| write(&s.join("sparse"), &"\0".repeat(9000)), &["-S", "--inplace"], Reads::Files),
    attack("--partial-dir", |s| write(&s.join("partial"), "overwritten\n"), &["--partial-dir=.p"], Reads::Files),
    attack("--partial-dir of the tree's own", |s| write(&s.join("directory/inner"), "in\n"), &["--partial-dir=directory"], Reads::Files),
    attack("--delay-updates", |s| write(&s.join("delayed"), "overwritten\n"), &["--delay-updates"], Reads::Files),
    attack("--size-only", |s| touch(&s.join("size-only"), "2026-03-03"), &["--size-only"], Reads::Files),
    attack("-c", |s| touch(&s.join("checksum"), "2026-04-04"), &["-c"], Reads::Files),
    attack(
        "-X",
        |s| {
            attribute(&s.join("attributes"), "second");
            attribute(&s.join("directory"), "second");
        },
        &["-X"],
        Reads::Files,
    ),
    attack(
        "-A",
        |s| {
            must(Command::new("setfacl").args(["-m", "u:1234:rwx"]).arg(s.join("acl")));
            must(Command::new("setfacl").args(["-d", "-m", "u:1234:rwx"]).arg(s.join("directory")));
        },
        &["-A"],
        Reads::Files,
    ),
    attack("--delete of a read-only file", |s| fs::remove_file(s.join("read-only")).unwrap(), &["--delete", "--force"], Reads::Nothing),
    attack(
        "a read-only file that becomes a directory",
        |s| {
            fs::remove_file(s.join("becomes-a-directory")).unwrap();
            write(&s.join("becomes-a-directory/inner"), "now inside\n");
        },
        &["--delete"],
        Reads::Files,
    ),
    attack("-H with a change to both names", |s| chmod(&s.join("kept"), 0o600), &["-H"], Reads::Files),
    attack(
        "the names of the repository's own",
        |s| {
            write(&s.join(".snapgate/ledger.jsonl"), "nonsense\n");
            write(&s.join(".snapgate/transaction.json"), "{}");
            write(&s.join("inprogress/x"), "x");
            symlink("/etc", s.join("current")).unwrap();
            write(&s.join("snapshots/x"), "x");
        },
        &[],
        Reads::Nothing,
    ),
];

/// The options are the attack's; the changes pile up.
fn push(gate: &Gate, source: &Path, attack: &Attack) -> Ran {
    let ran = gate.push(source, attack.options);
    // What the attack before brought is gone, which is told.
    let is_expected = |line: &&str| line.contains("of the last snapshot") || line.contains("say `complete` to publish it");
    let said: String = ran.stderr.lines().filter(|line| !is_expected(line)).collect();
    assert_eq!((ran.status, said.as_str()), (0, ""), "{}", attack.name);
    ran
}

/// That the newest snapshot has what the client has, so that the attack was not simply left out.
#[track_caller]
fn arrived(gate: &Gate, source: &Path, attack: &Attack) {
    let mut compare = Command::new("rsync");
    compare.args(["-aHn", "--delete", "-i", "--omit-dir-times"]).args(attack.options.iter().filter(|option| ["-X", "-A"].contains(option)));
    // Beneath other numbers there; tests/sshd/owners.rs compares those.
    compare.args(keeper().map_or(&[][..], |_| &["--no-o", "--no-g", "--no-A"]));
    let differs = must(compare.arg(format!("{}/", source.display())).arg(gate.newest()));
    // The one leaves times alone and the other leaves out the directory that it names; that is what they are for.
    if attack.name == "--partial-dir of the tree's own" {
        return;
    }
    let differs: Vec<_> = differs.lines().filter(|line| !(line.starts_with(".f..t") && attack.name == "--size-only")).collect();
    assert!(differs.is_empty(), "after {}: {differs:?}", attack.name);
}

#[test]
fn no_push_changes_an_older_snapshot() {
    let gate = Gate::new();
    let source = gate.source("data");
    make_source(&source);
    let mut history = History::default();
    gate.push(&source, &["-X", "-H"]).exits(0);
    for attack in &ATTACKS {
        check(&mut history, &gate, "the last push", attack.reads);
        (attack.change)(&source);
        push(&gate, &source, attack);
        check(&mut history, &gate, attack.name, attack.reads);
        arrived(&gate, &source, attack);
        let linked = fs::symlink_metadata(gate.newest().join("kept")).unwrap();
        let unchanged = !["-H with a change to both names", "-X", "-A", "the names of the repository's own"].contains(&attack.name);
        assert!(linked.nlink() > 2 || !unchanged, "after {}, an unchanged file was not linked", attack.name);
    }
    assert_eq!(gate.snapshots().len(), ATTACKS.len() + 1);
}

#[test]
fn no_push_of_a_transaction_changes_an_older_snapshot() {
    let gate = Gate::new();
    let source = gate.source("data");
    make_source(&source);
    let mut history = History::default();
    gate.push(&source, &["-X", "-H"]).exits(0);
    check(&mut history, &gate, "the first push", Reads::Nothing);
    gate.say("prepare").exits(0);
    for attack in &ATTACKS {
        // Twice: a part that was linked from the snapshot, and one that was linked from that part.
        push(&gate, &source, attack);
        (attack.change)(&source);
        push(&gate, &source, attack);
        check(&mut history, &gate, attack.name, Reads::Files);
    }
    gate.say("complete").exits(0);
    check(&mut history, &gate, "complete", Reads::Files);
    assert_eq!(gate.snapshots().len(), 2);
    assert_eq!(fs::read_to_string(gate.newest().join("inplace")).unwrap(), "overwritten\n");
}

#[test]
fn no_push_that_was_cut_off_and_begun_again_changes_an_older_snapshot() {
    if !can_trace() {
        return;
    }
    let gate = Gate::new();
    let source = gate.source("data");
    make_source(&source);
    let mut history = History::default();
    gate.push(&source, &["-X", "-H"]).exits(0);
    check(&mut history, &gate, "the first push", Reads::Nothing);
    let cut = format!("{} -o /dev/null -e trace=renameat2 -e inject=renameat2:signal=SIGKILL:when=1", strace());
    for attack in &ATTACKS {
        // `inprogress/` is left full of links into the newest snapshot, killed just before it would be published.
        run(&mut gate.push_command(&source, attack.options, &cut));
        support::until("strace is gone", || support::processes::of(gate.path(), "strace").is_empty());
        assert!(gate.inside("inprogress/kept").exists(), "the push was not cut off");
        (attack.change)(&source);
        push(&gate, &source, attack);
        check(&mut history, &gate, attack.name, Reads::Files);
        arrived(&gate, &source, attack);
    }
}

#[test]
fn a_planted_link_never_leads_a_push_into_history() {
    let gate = Gate::new();
    let (planted, aimed) = (gate.source("planted"), gate.source("aimed"));
    write(&planted.join("file"), "first\n");
    gate.push(&planted, &[]).exits(0);
    let victim = gate.snapshots()[0].clone();
    let mut history = History::default();
    check(&mut history, &gate, "the first push", Reads::Nothing);
    for target in [
        format!("../snapshots/{victim}"),
        format!("../../snapshots/{victim}"),
        gate.inside("snapshots").join(&victim).display().to_string(),
    ] {
        for name in ["d", "e/f"] {
            let link = planted.join(name);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            let _ = fs::remove_file(&link);
            symlink(&target, &link).unwrap();
        }
    }
    write(&aimed.join("file"), "aimed at history\n");
    write(&aimed.join("new"), "aimed at history\n");
    chmod(&aimed.join("file"), 0o777);
    attribute(&aimed, "aimed");
    let aim = |to: &str, more: &[&str]| {
        let from = format!("{}/", aimed.display());
        let mut words = vec!["-aX"];
        words.extend(more);
        words.extend([from.as_str(), to]);
        gate.rsync(&words)
    };
    // The link is in the newest snapshot; then in a part of the same transaction; then in what a push left behind.
    gate.push(&planted, &[]).exits(0);
    for to in ["backup:d/", "backup:d", "backup:e/f/"] {
        aim(to, &[]).exits(0);
        check(&mut history, &gate, to, Reads::Files);
    }
    for keep in [&[][..], &["-K"], &["--inplace"], &["--delete", "--force"]] {
        gate.say("prepare").exits(0);
        gate.push(&planted, &[]).exits(0);
        let ran = aim("backup:d/", keep);
        check(&mut history, &gate, "a part behind a link", Reads::Files);
        gate.say("complete").exits(0);
        check(&mut history, &gate, "complete", Reads::Files);
        let kept = gate.newest().join("d");
        assert!(ran.status != 0 || fs::symlink_metadata(&kept).unwrap().is_dir(), "the push to `d/` is lost: {ran:?}");
    }
    for name in ["current", ".snapgate", "snapshots", "inprogress"] {
        aim(&format!("backup:{name}/"), &[]).exits(0);
        check(&mut history, &gate, name, Reads::Files);
        assert!(gate.newest().join(name).join("new").exists());
    }
    assert!(gate.ledger().len() > 10, "the ledger is whole");
}

#[test]
fn unchanged_files_are_linked_in_the_jail_and_it_is_told_when_they_are_not() {
    let gate = Gate::new();
    let source = gate.source("data");
    for name in ["one", "two", "deep/three"] {
        write(&source.join(name), name);
    }
    must(Command::new("find").arg(&source).args(["-depth", "-exec", "touch", "-d", "2026-01-01", "{}", "+"]));
    for links in 1..=3 {
        gate.push(&source, &[]).exits(0);
        for name in ["one", "two", "deep/three"] {
            assert_eq!(fs::metadata(gate.newest().join(name)).unwrap().nlink(), links, "{name}");
        }
        let record = gate.record();
        assert!(record.jail == Jail::Whole && record.warnings.is_empty(), "{record:?}");
        let facts = record.push.unwrap();
        assert_eq!((facts.files, facts.linked), (3, if links == 1 { 0 } else { 3 }));
    }

    let frozen = gate.newest().join("one");
    if !is_root() || run(Command::new("chattr").arg("+i").arg(&frozen)).status != 0 {
        return skip("it takes root, and a file system whose files can be made immutable");
    }
    gate.push(&source, &[]).exits(0);
    must(Command::new("chattr").arg("-i").arg(&frozen));
    let record = gate.record();
    assert_eq!(fs::metadata(gate.newest().join("one")).unwrap().nlink(), 1, "a file that cannot be linked was linked");
    assert_eq!(record.push.unwrap().linked, 2);
    assert!(record.warnings.iter().any(|warning| warning.contains("stored again")), "{:?}", record.warnings);
    gate.flush();
    assert!(gate.mails().iter().any(|mail| mail.contains("stored again")), "nobody is told");
}

/// rsync's sender fills what it cannot read with zeros and says so, and its receiver leaves the file out (status 23). With
/// `--partial` it would stay under its own name, of the right size, in place of the last good one.
#[test]
fn a_file_that_cannot_be_read_to_its_end_is_left_out_of_the_snapshot() {
    if !can_trace() {
        return;
    }
    let gate = Gate::new();
    let source = gate.source("failing");
    fs::write(source.join("whole"), "whole").unwrap();
    fs::write(source.join("failing"), vec![b'x'; 3_000_000]).unwrap();
    let client = gate.push_command(&source, &[], "");
    // A disk with a bad block, as far as the client's rsync can see.
    let failing = source.join("failing");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-P"]).arg(&failing);
    command.args(["-e", "trace=read", "-e", "inject=read:error=EIO:when=3+"]);
    command.arg(client.get_program()).args(client.get_args());
    command.envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = run(&mut command).exits(23);
    assert!(ran.stderr.contains("failed verification"), "{}", ran.stderr);
    let record = gate.record();
    assert!(record.push.unwrap().partial);
    let newest = gate.inside("current");
    assert_eq!(fs::read_to_string(newest.join("whole")).unwrap(), "whole");
    let names: Vec<_> = fs::read_dir(&newest).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["whole"], "neither the broken file nor the directory that rsync put it into");
}
