//! `snapgate restore`: what is in a snapshot comes back as it was, with the client's owners where root restores.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::owners::{attributes, first, keeping, machine};
use support::accounts::{self, is_root};
use support::processes;
use support::{ALL_VERBS, Server, Setup, mode, must, skip, tree, until};
use support::{Ran, Running};

/// Only root keeps owners, and only an account that may map ids keeps owners.
fn skipped() -> bool {
    let why = match () {
        () if !is_root() => "only root keeps owners",
        () if !Path::new("/usr/bin/newuidmap").exists() => "no newuidmap (package uidmap)",
        () => return false,
    };
    skip(why);
    true
}

/// Runs `snapgate restore --client web1 SNAPSHOT PATH --to DIR`.
fn restore(server: &Server, snapshot: &str, path: &str, to: &Path) -> Ran {
    server.snapgate(&["restore", "--client", "web1", snapshot, path, "--to", to.to_str().unwrap()])
}

/// The newest snapshot's name.
fn newest(server: &Server) -> String {
    server.repository("web1").snapshot(-1).file_name().unwrap().to_str().unwrap().to_owned()
}

/// A server that keeps owners and holds a machine's tree, and that.
fn backed_up() -> (Server, PathBuf) {
    let server = keeping();
    let source = server.source("machine");
    machine(&source);
    server.client("web1").push(&source, &["-AXH", "--numeric-ids"]).exits(0);
    (server, source)
}

#[test]
fn a_machine_comes_back_as_it_was_pushed() {
    if skipped() {
        return;
    }
    let (server, source) = backed_up();
    // A capability, a list and so on are there to be compared.
    assert!(attributes(&source, 0).iter().any(|line| line.contains("cap_net_raw")));
    let before = server.state();
    let to = server.path().join("restored");
    let ran = restore(&server, &newest(&server), "", &to).exits(0);
    assert_eq!((ran.stderr.as_str(), ran.stdout.lines().count()), ("", 1), "{}", ran.stdout);
    tree::same(&attributes(&to, 0), &attributes(&source, 0));
    assert_eq!(tree::inode(&to.join("opt/same.html")), tree::inode(&to.join("var/www/index.html")), "links among files are kept");
    assert_eq!(server.state(), before, "nothing has changed in the store");

    // Into a directory that is there and empty, and by the word for the newest.
    let empty = server.path().join("empty");
    fs::create_dir(&empty).unwrap();
    restore(&server, "current", "/", &empty).exits(0);
    tree::same(&attributes(&empty, 0), &attributes(&source, 0));
}

#[test]
fn a_directory_comes_alone_and_a_file_too() {
    if skipped() {
        return;
    }
    let (server, source) = backed_up();
    let to = |name: &str| server.path().join(name);
    for (number, place) in ["var/www", "opt", "closed", "./tmp/"].iter().enumerate() {
        let to = to(&format!("directory {number}'s"));
        restore(&server, "current", place, &to).exits(0);
        tree::same(&attributes(&to, 0), &attributes(&source.join(place), 0));
    }
    for (number, place) in ["opt/capable", "var/secret", "closed/inside", "var/www/link"].iter().enumerate() {
        let to = to(&format!("file-{number}"));
        restore(&server, "current", place, &to).exits(0);
        let name = Path::new(place).file_name().unwrap().to_str().unwrap();
        assert_eq!(tree::files(&to), [PathBuf::from(name)]);
        let of = |root: &Path, name: &str| attributes(root, 0).into_iter().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert_eq!(of(&to, name), of(source.join(place).parent().unwrap(), name));
        assert_eq!(fs::metadata(&to).unwrap().mode() & 0o7777, 0o700, "nobody was told whose it is");
    }
}

#[test]
fn a_name_is_a_name_whatever_is_in_it() {
    if skipped() {
        return;
    }
    let server = keeping();
    let source = server.source("data");
    let names = ["--delete", "it's \"a\" b", "[*?]", "back\\slash", "host:name", "$(id)", "line\nfeed", "~", "#x#", "\u{fc}"];
    for name in names {
        tree::write(&source.join(name).join("-file"), name);
        tree::write(&source.join("files").join(name), name);
    }
    server.client("web1").push(&source, &[]).exits(0);
    for (number, name) in names.iter().enumerate() {
        let to = server.path().join(format!("directory {name}{number}"));
        // `~` alone is the whole snapshot (`terms::SubPath`).
        restore(&server, "current", &format!("./{name}"), &to).exits(0);
        assert_eq!(fs::read_to_string(to.join("-file")).unwrap(), *name);
        let to = server.path().join(format!("file{number}"));
        restore(&server, "current", &format!("files/{name}"), &to).exits(0);
        assert_eq!((tree::files(&to), fs::read_to_string(to.join(name)).unwrap()), (vec![PathBuf::from(name)], (*name).to_owned()));
    }
}

#[test]
fn a_repository_without_owners_is_copied_as_it_is() {
    if !is_root() {
        return skip("only root keeps owners");
    }
    let account = accounts::account(0);
    for site in ["", "jail: off\n"] {
        let policy = format!("{ALL_VERBS}owners: drop\n");
        let server = Setup::new().site(site).client("web1", &policy).start();
        let (web1, source) = (server.client("web1"), server.source("data"));
        tree::small(&source);
        tree::write(&source.join("locked/file"), "x");
        chown(source.join("a.txt"), Some(1234), Some(1234)).unwrap();
        fs::set_permissions(source.join("photo.raw"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::hard_link(source.join("a.txt"), source.join("same")).unwrap();
        web1.push(&source, &["-H"]).exits(0);
        let to = server.path().join("restored");
        restore(&server, &newest(&server), "", &to).exits(0);
        tree::same(&attributes(&to, account.uid), &attributes(&server.repository("web1").snapshot(-1), account.uid));
        assert_eq!(tree::inode(&to.join("same")), tree::inode(&to.join("a.txt")));
        assert_eq!(fs::metadata(to.join("a.txt")).unwrap().uid(), account.uid);
    }
}

#[test]
fn the_repository_of_a_gate_of_root_s_is_copied_as_it_is() {
    if !is_root() {
        return skip("only root keeps owners");
    }
    let server = Server::start();
    server.policy("web1", &format!("{ALL_VERBS}user: root\n"));
    let repository = server.repository("web1");
    chown(&repository.path, Some(0), Some(0)).unwrap();
    let snapshot = repository.path.join("snapshots/2026-11-21T02-00-00Z");
    machine(&snapshot);
    fs::create_dir(repository.path.join(".snapgate")).unwrap();
    let to = server.path().join("restored");
    restore(&server, "2026-11-21T02-00-00Z", "", &to).exits(0);
    tree::same(&attributes(&to, 0), &attributes(&snapshot, 0));
    // A repository that is the account's is not the one that the policy speaks of.
    server.policy("web1", ALL_VERBS);
    let ran = restore(&server, "current", "", &server.path().join("other")).exits(75);
    assert!(ran.stderr.contains("give it to the client's account"), "{}", ran.stderr);
}

#[test]
fn who_reads_is_the_client_s_root_and_nobody_else_s() {
    if skipped() {
        return;
    }
    let server = keeping();
    let source = server.source("data");
    // Long enough to be looked at, and nothing on the disk.
    let name = format!("{}-big", server.path().file_name().unwrap().to_str().unwrap());
    tree::write(&source.join(&name), "");
    server.client("web1").push(&source, &[]).exits(0);
    let big = fs::File::options().write(true).open(server.repository("web1").snapshot(-1).join(&name)).unwrap();
    big.set_len(8 << 30).unwrap();
    let to = server.path().join("restored");
    let mut command = Command::new(server.path().join("bin/snapgate"));
    command.arg("--config").arg(server.config()).args(["restore", "--client", "web1", "current", &name, "--to"]).arg(&to);
    let running = Running::start(&mut command);
    let mut found = None;
    until("the one that reads", || {
        found = readers(&name).into_iter().find_map(|process| Some((fs::read_to_string(process.join("status")).ok()?, process)));
        found.is_some()
    });
    let (status, process) = found.unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let first = first(&accounts::account(0)).to_string();
    assert_eq!(field("Uid:").split('\t').collect::<Vec<_>>(), [first.as_str(); 4]);
    assert_eq!(field("Gid:").split('\t').collect::<Vec<_>>(), [first.as_str(); 4]);
    assert_eq!((field("Groups:").as_str(), field("NoNewPrivs:").as_str(), field("Seccomp:").as_str()), ("", "1", "2"), "{status}");
    let own = |namespace: &str| fs::read_link(process.join("ns").join(namespace)).ok();
    let ours = |namespace: &str| fs::read_link(Path::new("/proc/self/ns").join(namespace)).ok();
    assert!(own("user") != ours("user") && own("mnt") != ours("mnt"));
    let mut seen: Vec<_> = fs::read_dir(process.join("root")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    // The system, and where the suite keeps an rsync that is not the machine's.
    seen.retain(|name| !["usr", "lib", "lib64", "etc", "dev", "tmp"].contains(&name.to_str().unwrap()));
    assert_eq!(seen, ["snapshot"], "nothing else of the server");
    // Whoever has root's terminal and keys is root: an account may look into what is its own, and type what it likes there.
    let account = accounts::account(0);
    let owners: Vec<u32> = all_processes()
        .filter(|process| fs::read(process.join("cmdline")).is_ok_and(|said| said.windows(14).any(|part| part == b"restore-sender")))
        .filter_map(|process| fs::metadata(process).ok().map(|found| std::os::unix::fs::MetadataExt::uid(&found)))
        .collect();
    assert!(!owners.is_empty() && !owners.contains(&account.uid), "{owners:?}");
    // It goes when nobody is left who would write what it sends. Of those one may be about to start another.
    let writers = || -> Vec<u32> {
        let is_one =
            |process: &PathBuf| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(server.path()) && cwd.ends_with("tree"));
        all_processes().filter(is_one).map(number).collect()
    };
    until("there are some who write", || !writers().is_empty());
    until("nobody is left of those", || {
        let left = writers();
        processes::signal(&left, Signal::SIGKILL);
        left.is_empty()
    });
    let ran = running.wait();
    assert!(ran.status != 0 && ran.stderr.contains("ended rsync: ") && !to.exists(), "{} {}", ran.status, ran.stderr);
    until("its end", || readers(&name).is_empty());
}

/// Processes that were told to read this file.
fn readers(name: &str) -> Vec<PathBuf> {
    let is_one = |process: &PathBuf| {
        let said = fs::read(process.join("cmdline")).unwrap_or_default();
        said.split(|byte| *byte == 0).any(|word| word == b"--sender") && said.ends_with(format!("./{name}\0").as_bytes())
    };
    all_processes().filter(is_one).collect()
}

fn all_processes() -> impl Iterator<Item = PathBuf> {
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_str().is_some_and(|name| name.parse::<u32>().is_ok()));
    fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).filter(named)
}

fn number(process: PathBuf) -> u32 {
    process.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

#[test]
fn what_the_policy_says_of_pushes_to_come_changes_nothing_for_what_is_there() {
    if skipped() {
        return;
    }
    let (server, source) = backed_up();
    server.policy("web1", &format!("{ALL_VERBS}owners: drop\n"));
    let to = server.path().join("restored");
    restore(&server, "current", "var", &to).exits(0);
    tree::same(&attributes(&to, 0), &attributes(&source.join("var"), 0));
}

#[test]
fn a_symlink_of_the_client_s_is_no_way_to_a_place() {
    if skipped() {
        return;
    }
    let server = keeping();
    let source = server.source("data");
    tree::small(&source);
    symlink("/etc", source.join("out")).unwrap();
    symlink("etc", source.join("in")).unwrap();
    server.client("web1").push(&source, &[]).exits(0);
    let to = server.path().join("restored");
    for place in ["out/passwd", "in/hosts", "out/", "etc/../etc", "etc/missing"] {
        let ran = restore(&server, "current", place, &to);
        match place {
            // The symlink itself is a thing that can be copied.
            "out/" => {
                ran.exits(0);
                assert_eq!(fs::read_link(to.join("out")).unwrap(), Path::new("/etc"));
                fs::remove_dir_all(&to).unwrap();
            }
            _ => {
                assert!(ran.exits(64).stderr.starts_with("snapgate: "));
                assert!(!to.exists(), "{place}");
            }
        }
    }
}

#[test]
fn nothing_is_written_over() {
    if skipped() {
        return;
    }
    let (server, _) = backed_up();
    let (full, file) = (server.path().join("full"), server.path().join("file"));
    tree::write(&full.join(".hidden"), "mine");
    tree::write(&file, "mine");
    let before = tree::listing(&full);
    let ran = restore(&server, "current", "", &full).exits(64);
    assert!(ran.stderr.contains("is not empty\n"), "{}", ran.stderr);
    restore(&server, "current", "", &file).exits(64);
    restore(&server, "current", "", &server.path().join("no/such")).exits(64);
    assert_eq!((tree::listing(&full), fs::read_to_string(&file).unwrap()), (before, "mine".to_owned()));
    let to = server.path().join("restored");
    for snapshot in ["2001-01-01T00-00-00Z", "..", "../snapshots", "", "--to"] {
        let ran = restore(&server, snapshot, "", &to);
        assert!(ran.status == 64 && !to.exists(), "{snapshot}: {}", ran.stderr);
    }
}

#[test]
fn an_account_without_its_ids_is_told_and_rsync_s_own_failure_too() {
    if skipped() {
        return;
    }
    let (server, _) = backed_up();
    let disk = server.path().join("disk");
    // Its place has no room: the kernel lets root write everywhere else.
    fs::create_dir(&disk).unwrap();
    must(Command::new("mount").args(["-t", "tmpfs", "-o", "size=16k,nr_inodes=12,mode=755", "none"]).arg(&disk));
    let ran = restore(&server, "current", "", &disk.join("copy"));
    let onto = restore(&server, "current", "", &disk);
    let left = fs::read_dir(&disk).unwrap().count();
    must(Command::new("umount").arg(&disk));
    assert!(ran.status == 11 || ran.status == 23, "{} {}", ran.status, ran.stderr);
    assert!(ran.stderr.contains("rsync: ") && ran.stderr.contains("what has come is in `"), "{}", ran.stderr);
    assert_eq!(left, 1, "what has come waits for room, and has no name yet");
    assert!(onto.exits(64).stderr.contains("give a directory in it"));
    let to = server.path().join("restored");
    mode(server.path(), 0o777);
    let ran = restore(&server, "current", "", &to).exits(64);
    mode(server.path(), 0o755);
    assert!(ran.stderr.contains("others can change what is in"), "{}", ran.stderr);
    // Other ids than those that the repository remembers.
    let note = server.repository("web1").path.join(".snapgate/owners.json");
    let other = fs::read_to_string(&note).unwrap().replace("\"count\":65536", "\"count\":70000");
    fs::write(&note, other).unwrap();
    let ran = restore(&server, "current", "", &to).exits(78);
    assert!(ran.stderr.contains("the ids in the repository are those of"), "{}", ran.stderr);
}
