//! `owners: keep`: an ordinary account stores what the client's root sends, in the ids that it has for others.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use snapgate::terms::outcome::Outcome;
use snapgate::terms::reason::Code;
use snapgate::terms::{Jail, Mail};

use support::accounts::{self, Account, is_root};
use support::{ALL_VERBS, Server, Setup, ids, must, processes, skip, tree, until, versions};

/// The first of an account's ids for others.
pub(crate) fn first(account: &Account) -> u32 {
    accounts::range(account, "/etc/subuid").expect("useradd gave it some").0
}

/// Only root can make what belongs to others, and can give an account ids.
pub(crate) fn skipped() -> bool {
    let why = match () {
        () if !is_root() => "files of several owners have to be made: needs root",
        () if !Path::new("/usr/bin/newuidmap").exists() => "no newuidmap (package uidmap)",
        () => return false,
    };
    skip(why);
    true
}

pub(crate) fn keeping() -> Server {
    Setup::new().client("web1", &format!("{ALL_VERBS}owners: keep\n")).start()
}

pub(crate) fn run(program: &str, words: &[&str], path: &Path) {
    must(Command::new(program).args(words).arg(path));
}

/// A tree as the root of a machine has it.
pub(crate) fn machine(root: &Path) {
    for (name, user, group, bits) in [
        ("etc/shadow", 0, 42, 0o640),
        ("etc/sudoers", 0, 0, 0o440),
        ("usr/bin/su", 0, 0, 0o4755),
        ("usr/bin/crontab", 0, 101, 0o2755),
        ("var/www/index.html", 33, 8, 0o644),
        ("var/secret", 1234, 5678, 0o000),
        ("home/last", 65_535, 65_535, 0o600),
        ("closed/inside", 7, 7, 0o600),
        ("walked/inside", 0, 7, 0o604),
        ("tmp/of-somebody", 1000, 1000, 0o644),
        ("opt/listed", 2, 3, 0o640),
        ("opt/capable", 0, 0, 0o755),
    ] {
        let path = root.join(name);
        tree::write(&path, name);
        chown(&path, Some(user), Some(group)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
    }
    symlink("index.html", root.join("var/www/link")).unwrap();
    lchown(root.join("var/www/link"), Some(33), Some(33)).unwrap();
    fs::hard_link(root.join("var/www/index.html"), root.join("opt/same.html")).unwrap();
    run("setfacl", &["-m", "u:1:r,g:65535:rw"], &root.join("opt/listed"));
    run("setfacl", &["-d", "-m", "u:33:rwx"], &root.join("opt"));
    run("setcap", &["cap_net_raw+ep"], &root.join("opt/capable"));
    run("setfattr", &["-n", "user.note", "-v", "kept"], &root.join("opt/listed"));
    for (name, user, group, bits) in
        [("closed", 7, 7, 0o000), ("walked", 5, 5, 0o111), ("tmp", 0, 0, 0o1777), ("var/www", 33, 33, 0o2775), ("", 0, 0, 0o755)]
    {
        let path = root.join(name);
        chown(&path, Some(user), Some(group)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
    }
}

/// What stands in a tree, its ids counted from `first`: path, mode, owner, group, size, time, content and attributes of each thing.
pub(crate) fn attributes(root: &Path, first: u32) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(name) = open.pop() {
        let path = root.join(&name);
        let meta = fs::symlink_metadata(&path).unwrap();
        let (user, group) = (i64::from(meta.uid()) - i64::from(first), i64::from(meta.gid()) - i64::from(first));
        let size = if meta.is_dir() { 0 } else { meta.size() };
        let content = if meta.is_file() { fs::read_to_string(&path).unwrap_or_else(|error| error.to_string()) } else { String::new() };
        let more = if meta.is_symlink() { fs::read_link(&path).unwrap().display().to_string() } else { listed(&path, first) };
        lines.push(format!("{} {:o} {user}:{group} {size} {} {content} {more}", name.display(), meta.mode(), meta.mtime()));
        if meta.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| name.join(entry.unwrap().file_name())));
        }
    }
    lines.sort();
    lines
}

/// Access list, capability and attributes of a file.
fn listed(path: &Path, first: u32) -> String {
    let said = |program: &str, words: &[&str]| {
        let output = Command::new(program).args(words).arg(path).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let list = said("getfacl", &["-pcn"]);
    let list = list.lines().map(|line| match line.rsplit(':').nth(1).and_then(|id| id.parse::<u32>().ok()) {
        Some(id) => line.replace(&id.to_string(), &(i64::from(id) - i64::from(first)).to_string()),
        None => line.to_owned(),
    });
    let capable = said("getcap", &[]).replace(path.to_str().unwrap(), "");
    let capable = capable.split('[').next().unwrap().trim().to_owned();
    format!("{} {capable} {}", list.collect::<Vec<_>>().join(","), said("getfattr", &["--only-values", "-n", "user.note"]))
}

/// How many files of a tree are in the one before, too.
pub(crate) fn linked(tree: &Path, before: &Path) -> usize {
    let same = |file: &PathBuf| tree::inode(&tree.join(file)) == tree::inode(&before.join(file));
    let files = tree::files(tree);
    files.iter().filter(|file| before.join(file).symlink_metadata().is_ok()).filter(|file| same(file)).count()
}

#[test]
fn everything_that_a_client_s_root_sends_is_kept_and_nothing_of_it_is_the_account_s() {
    if skipped() {
        return;
    }
    let server = keeping();
    let account = accounts::account(0);
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("machine"));
    machine(&source);
    let first = first(&account);
    web1.push(&source, &["-AXH", "--numeric-ids"]).exits(0);
    let snapshot = repository.snapshot(-1);
    tree::same(&attributes(&snapshot, first), &attributes(&source, 0));
    let record = server.record();
    assert_eq!((record.result, record.jail), (Outcome::Published, Jail::Whole), "{record:?}");
    // The last id that there is stands for all beyond it, too, in an access list as well.
    assert_eq!((record.warnings.len(), record.push.unwrap().beyond), (1, 2), "{:?}", record.warnings);

    // Nothing has changed: every file is linked.
    let before = tree::listing(&snapshot);
    web1.push(&source, &["-AXH", "--numeric-ids"]).exits(0);
    let second = repository.snapshot(-1);
    assert_eq!(linked(&second, &snapshot), tree::files(&second).len());
    assert_eq!(server.record().push.unwrap().received, 0);
    tree::same(&attributes(&second, first), &attributes(&source, 0));

    // Owners alone have changed.
    chown(source.join("etc/sudoers"), Some(12), Some(13)).unwrap();
    web1.push(&source, &["-AXH"]).exits(0);
    let third = repository.snapshot(-1);
    tree::same(&attributes(&third, first), &attributes(&source, 0));
    assert_eq!(linked(&third, &second), tree::files(&third).len() - 1);
    tree::same(&tree::listing(&snapshot), &before);
}

#[test]
fn an_id_beyond_the_account_s_is_nobody_s_and_the_push_is_whole() {
    if skipped() {
        return;
    }
    let server = keeping();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    let first = first(&accounts::account(0));
    tree::small(&source);
    chown(source.join("a.txt"), Some(65_536), Some(1)).unwrap();
    chown(source.join("photo.raw"), Some(4_000_000_000), Some(4_000_000_000)).unwrap();
    let ran = web1.push(&source, &[]).exits(0);
    assert!(ran.stderr.contains("snapgate: 2 files name users or groups that the server cannot keep"), "{}", ran.stderr);
    let record = server.record();
    assert_eq!((record.push.unwrap().beyond, record.mail), (2, Mail::Report));
    assert!(record.warnings[0].contains("2 files and directories") && record.warnings[0].contains("user 65535"), "{:?}", record.warnings);
    let listed = server.snapgate(&["list", "web1"]).exits(0).stdout;
    assert!(listed.contains("  2 stored as nobody's  current"), "{listed}");
    let owner = |name: &str| {
        fs::symlink_metadata(repository.snapshot(-1).join(name)).map(|found| (found.uid() - first, found.gid() - first)).unwrap()
    };
    assert_eq!((owner("a.txt"), owner("photo.raw")), ((65_535, 1), (65_535, 65_535)));
    web1.push(&source, &[]).exits(0);
    assert_eq!(server.record().push.unwrap().received, 0, "it is the same again");
}

#[test]
fn a_push_that_was_cut_off_and_a_transaction_keep_owners_too() {
    if skipped() {
        return;
    }
    let server = keeping();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    let first = first(&accounts::account(0));
    machine(&source);
    web1.ssh(&["prepare"]).exits(0);
    web1.push(&source, &["-AXH"]).exits(0);
    web1.push(&source, &["-AXH"]).exits(0);
    web1.ssh(&["complete"]).exits(0);
    let snapshot = repository.snapshot(-1);
    tree::same(&attributes(&snapshot, first), &attributes(&source, 0));
    web1.ssh(&["prepare"]).exits(0);
    web1.push(&source, &["-AXH"]).exits(0);
    web1.ssh(&["abort"]).exits(0);
    assert_eq!(repository.snapshots().len(), 1);
}

#[test]
fn what_had_arrived_of_several_owners_when_the_client_died_is_linked_and_theirs() {
    if skipped() {
        return;
    }
    let server = keeping();
    let keeper = ids::able(0).unwrap();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    for number in 0..30 {
        let file = source.join(format!("d{}/file{number:02}", number % 3));
        tree::write(&file, tree::noise(number.into(), 50_000));
        chown(&file, Some(number), Some(number + 100)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(if number % 2 == 0 { 0o600 } else { 0o4711 })).unwrap();
    }
    chown(source.join("d1"), Some(65_000), Some(1)).unwrap();
    fs::set_permissions(source.join("d1"), fs::Permissions::from_mode(0o700)).unwrap();
    let state = repository.path.join(".snapgate");
    let arrived = |tree: &Path| {
        let files = tree::files(tree).into_iter().filter(|file| source.join(file).exists());
        files.map(|file| (tree::inode(&tree.join(&file)), file)).collect::<Vec<_>>()
    };
    let push = web1.start_push(&source, &["--bwlimit=600"]);
    until("some files are there", || arrived(&repository.path.join("inprogress")).len() >= 8);
    push.kill();
    until("the push has ended on the server", || processes::of(server.path(), "bin/snapgate-shell").is_empty());
    assert_eq!(keeper.strangers(std::slice::from_ref(&repository.path)), [""; 0]);
    let kept = [repository.path.join("inprogress"), state.join("interrupted/1")].map(|tree| arrived(&tree)).concat();
    assert!(kept.len() >= 8 && kept.len() < 30, "{kept:?}");

    let ran = web1.push(&source, &["--stats"]).exits(0);
    assert!(ran.figure("Literal data") <= (30 - u64::try_from(kept.len()).unwrap()) * 50_000, "{}", ran.stdout);
    let snapshot = repository.snapshot(-1);
    let owned = |root: &Path, first: u32| {
        let line = |file: &PathBuf| {
            let meta = fs::symlink_metadata(root.join(file)).unwrap();
            format!("{} {}:{} {:o}", file.display(), meta.uid() - first, meta.gid() - first, meta.mode())
        };
        tree::files(root).iter().chain(&["", "d0", "d1", "d2"].map(PathBuf::from)).map(line).collect::<Vec<_>>()
    };
    tree::same(&owned(&snapshot, keeper.ranges[0].0), &owned(&source, 0));
    for (inode, file) in kept {
        assert_eq!(tree::inode(&snapshot.join(&file)), inode, "{} was stored again", file.display());
    }
    assert_eq!(keeper.strangers(std::slice::from_ref(&repository.path)), [""; 0]);
}

#[test]
fn a_repository_is_of_one_kind() {
    if skipped() {
        return;
    }
    let server = keeping();
    let (web1, source) = (server.client("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &[]).exits(0);
    let kept =
        format!("owners of web1: kept, as users {0}-{1} and groups ", first(&accounts::account(0)), first(&accounts::account(0)) + 65_535);
    assert!(server.snapgate(&["check", "--all"]).stdout.contains(&kept), "{}", server.snapgate(&["check", "--all"]).stdout);
    server.policy("web1", &format!("{ALL_VERBS}owners: drop\n"));
    let said = server.snapgate(&["check", "--all"]).exits(1).stdout;
    assert!(said.contains("the policy says `owners: drop`, and the repository holds snapshots with owners"), "{said}");
    let ran = web1.push(&source, &[]);
    assert!(ran.stderr.contains("code owners"), "{}", ran.stderr);
    assert_eq!(server.record().reasons[0].code, Code::Owners);
    server.policy("web1", ALL_VERBS);
    web1.push(&source, &[]).exits(0);
    assert_eq!(fs::symlink_metadata(server.repository("web1").snapshot(-1).join("a.txt")).unwrap().uid(), first(&accounts::account(0)));
}

#[test]
fn hooks_may_read_whatever_they_are_told_about() {
    if skipped() {
        return;
    }
    let server = keeping();
    let text = "stat -c '%u:%g %a' \"$SNAPGATE_SNAPSHOT/secret\" && cat \"$SNAPGATE_SNAPSHOT/secret\" && touch \"$SNAPGATE_REPOSITORY/was-here\"\n";
    let hook = server.script("mirror", text);
    server.policy("web1", &format!("{ALL_VERBS}owners: keep\nhooks: {{ complete: [[{}]] }}\n", hook.display()));
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::write(&source.join("secret"), "of user 7\n");
    chown(source.join("secret"), Some(7), Some(8)).unwrap();
    fs::set_permissions(source.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    web1.push(&source, &[]).exits(0);
    let record = server.record();
    assert_eq!(record.warnings, [""; 0], "{record:?}");
    let log = fs::read_to_string(repository.path.join(format!(".snapgate/logs/{}.log", record.id))).unwrap();
    assert!(log.contains("7:8 600\nof user 7\n"), "{log}");
    assert_eq!(fs::metadata(repository.path.join("was-here")).unwrap().uid(), first(&accounts::account(0)));
}

#[test]
fn what_only_the_machines_root_may_store_is_left_out_and_said() {
    if skipped() {
        return;
    }
    let server = keeping();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    run("setfattr", &["-n", "trusted.note", "-v", "root's"], &source.join("a.txt"));
    run("setfattr", &["-n", "security.note", "-v", "root's"], &source.join("a.txt"));
    run("setfattr", &["-n", "user.note", "-v", "kept"], &source.join("a.txt"));
    must(Command::new("mknod").arg(source.join("null")).args(["c", "1", "3"]));
    must(Command::new("mknod").arg(source.join("fifo")).arg("p"));
    run("chattr", &["+i"], &source.join("photo.raw"));
    let ran = web1.push(&source, &["-AXH"]);
    run("chattr", &["-i"], &source.join("photo.raw"));
    // One before 3.5.0 tries to make the device, and makes the FIFO.
    let old = versions::old_server().is_some();
    assert_eq!(ran.status, if old { 23 } else { 0 }, "{ran:?}");
    let snapshot = repository.snapshot(-1);
    let files = ["a.txt", "etc/deep/er/file", "etc/hosts", "fifo", "photo.raw"].into_iter().filter(|name| old || *name != "fifo");
    assert_eq!(tree::files(&snapshot), files.map(PathBuf::from).collect::<Vec<_>>());
    let names = Command::new("getfattr").args(["-m", "-", "--absolute-names"]).arg(snapshot.join("a.txt")).output().unwrap();
    let names = String::from_utf8(names.stdout).unwrap();
    assert_eq!(names.lines().skip(1).collect::<Vec<_>>(), ["user.note", ""]);
    web1.push(&source, &["-AXH"]);
    assert_eq!(server.record().push.unwrap().received, 0, "it is the same again");
}

#[test]
fn ids_are_those_of_the_client_whatever_they_are_called_here() {
    if skipped() {
        return;
    }
    let server = keeping();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    let first = first(&accounts::account(0));
    tree::write(&source.join("file"), "x");
    chown(source.join("file"), Some(33), Some(5)).unwrap();
    let owner =
        || fs::symlink_metadata(repository.snapshot(-1).join("file")).map(|found| (found.uid() - first, found.gid() - first)).unwrap();
    for (options, expected) in [
        (&[][..], (33, 5)),
        (&["--numeric-ids"], (33, 5)),
        (&["--chown=root:root"], (0, 0)),
        (&["--chown=7:70000"], (7, 65_535)),
        (&["--usermap=www-data:12,*:13", "--groupmap=0-9:14"], (12, 14)),
    ] {
        web1.push(&source, options).exits(0);
        assert_eq!(owner(), expected, "{options:?}");
    }
    let ran = web1.push(&source, &["--chown=sgtest1"]);
    assert!(ran.stderr.contains("code option") && ran.stderr.contains("no other name is looked up on the server"), "{}", ran.stderr);
}

#[test]
fn a_snapshot_whose_maker_was_lost_is_told_of_by_the_process_that_remembers_it() {
    if skipped() {
        return;
    }
    let server = keeping();
    let hook = server.script("killer", "kill -KILL $PPID\n");
    let killing = format!("{ALL_VERBS}owners: keep\nhooks: {{ complete: [[{}]] }}\n", hook.display());
    server.policy("web1", &killing);
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    web1.push(&source, &[]);
    // By a process that nobody waits for any more.
    until("the record of a gate that was killed", || !server.records().is_empty());
    let record = server.record();
    assert_eq!((record.result, record.exit), (Outcome::Published, 0), "{record:?}");
    assert!(record.warnings.iter().any(|warning| warning.contains("after it had published")), "{record:?}");
    assert_eq!(repository.snapshots().len(), 1);
    server.policy("web1", &format!("{ALL_VERBS}owners: keep\n"));
    web1.push(&source, &[]).exits(0);
    let warnings = server.record().warnings;
    assert!(!warnings.iter().any(|warning| warning.contains("was ended before it had told of it")), "it is told once: {warnings:?}");
}

#[test]
fn a_repository_that_could_not_be_begun_is_begun_by_the_next_push() {
    if skipped() {
        return;
    }
    let server = keeping();
    let (web1, repository, source) = (server.client("web1"), server.repository("web1"), server.source("data"));
    tree::small(&source);
    // As a push leaves it that found no room for the note, in a directory that gives its group to what is made in it.
    let account = accounts::account(0);
    chown(&repository.path, Some(account.uid), Some(4)).unwrap();
    fs::set_permissions(&repository.path, fs::Permissions::from_mode(0o2700)).unwrap();
    fs::create_dir(repository.path.join(".snapgate")).unwrap();
    accounts::give(&repository.path.join(".snapgate"), &account);
    web1.push(&source, &[]).exits(0);
    let first = first(&account);
    let found = fs::symlink_metadata(repository.snapshot(-1)).unwrap();
    assert_eq!((found.uid(), found.gid()), (first, first));
    tree::same(&attributes(&repository.snapshot(-1), first), &attributes(&source, 0));
}
