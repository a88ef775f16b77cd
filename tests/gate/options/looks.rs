//! The source that every option is tried on, and a look at the disk for each meaning.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use super::Seen;
use support::tree::noise;
use support::versions::old_server;
use support::{is_root, must};

/// The files of the source whose content is compared.
pub(super) const FILES: &[&str] = &["plain", "run", "large", "sparse", "left.o", "sub/inner"];

/// What a file of the source holds.
pub(super) fn content(name: &str) -> Vec<u8> {
    match name {
        "large" => noise(1, 200_000),
        "sparse" => {
            let mut bytes = vec![0; 1 << 20];
            bytes.extend(b"end");
            bytes
        }
        _ => format!("what {name} holds\n").into_bytes(),
    }
}

/// A tree with one of everything that an option can mean; all times are old.
pub(super) fn make_source(source: &Path) {
    fs::create_dir(source.join("sub")).unwrap();
    fs::create_dir(source.join("empty")).unwrap();
    for name in FILES {
        fs::write(source.join(name), content(name)).unwrap();
    }
    fs::set_permissions(source.join("run"), fs::Permissions::from_mode(0o751)).unwrap();
    fs::write(source.join("é"), "a name that is not ASCII\n").unwrap();
    fs::hard_link(source.join("plain"), source.join("plain-too")).unwrap();
    symlink("plain", source.join("link")).unwrap();
    fs::write(source.parent().unwrap().join("outside"), "outside of the tree\n").unwrap();
    symlink("../outside", source.join("away")).unwrap();
    must(Command::new("mkfifo").arg(source.join("fifo")));
    must(Command::new("setfattr").args(["-n", "user.note", "-v", "kept"]).arg(source.join("plain")));
    must(Command::new("setfacl").args(["-m", "u:1234:r"]).arg(source.join("sub/inner")));
    if is_root() {
        std::os::unix::fs::chown(source.join("run"), Some(1234), Some(4321)).unwrap();
    }
    must(Command::new("find").arg(source).args(["-depth", "-exec", "touch", "-h", "-d", "2026-01-01 10:00:00.125", "{}", "+"]));
}

/// The tree is what the client has; that was compared already.
pub(super) fn whole(_: &Seen) {}

/// Writes a file of the source anew, with the time that it had.
fn rewrite(path: &Path, bytes: &[u8], day: &str) {
    fs::write(path, bytes).unwrap();
    must(Command::new("touch").args(["-d", day]).arg(path));
}

/// Pushes a changed file, and finds it changed.
#[track_caller]
fn takes(seen: &Seen, name: &str, bytes: &[u8], day: &str) -> support::Ran {
    rewrite(&seen.own(name), bytes, day);
    let ran = seen.push().exits(0);
    assert!(fs::read(seen.stored(name)).unwrap() == bytes, "{:?}: the change to {name} did not arrive", seen.words);
    ran
}

/// The others of the tree are links of the snapshot before.
#[track_caller]
fn links_are_intact(seen: &Seen) {
    let nlink = fs::metadata(seen.stored("sub/inner")).unwrap().nlink();
    assert_eq!(nlink, seen.gate.snapshots().len() as u64, "{:?}: an unchanged file was not linked", seen.words);
}

pub(super) fn change_arrives(seen: &Seen) {
    let mut bytes = content("large");
    bytes[100_000..100_100].fill(7);
    takes(seen, "large", &bytes, "2026-02-02");
    takes(seen, "plain", b"another content\n", "2026-02-02");
    links_are_intact(seen);
}

pub(super) fn delta(seen: &Seen) {
    let mut bytes = content("large");
    bytes[100_000..100_100].fill(7);
    let ran = takes(seen, "large", &bytes, "2026-02-02");
    assert!(ran.figure("Matched data") > 150_000, "{:?}: {}", seen.words, ran.stdout);
    links_are_intact(seen);
}

pub(super) fn nothing_is_matched(seen: &Seen) {
    let mut bytes = content("large");
    bytes[100_000..100_100].fill(7);
    assert_eq!(takes(seen, "large", &bytes, "2026-02-02").figure("Matched data"), 0);
}

pub(super) fn similar_is_found(seen: &Seen) {
    fs::rename(seen.own("large"), seen.own("large-2")).unwrap();
    let mut bytes = content("large");
    bytes[100_000..100_100].fill(7);
    let ran = takes(seen, "large-2", &bytes, "2026-02-02");
    assert!(ran.figure("Matched data") > 150_000, "{}", ran.stdout);
    fs::rename(seen.own("large-2"), seen.own("large")).unwrap();
}

pub(super) fn older_is_taken(seen: &Seen) {
    takes(seen, "plain", b"from a backup of the client's own\n", "2020-01-01");
}

/// The same size and the same time, and another content.
pub(super) fn hidden_change_is_found(seen: &Seen) {
    let bytes = String::from_utf8(content("run")).unwrap().to_uppercase();
    takes(seen, "run", bytes.as_bytes(), "2026-01-01 10:00:00.125");
}

pub(super) fn gone_from_the_newest_only(seen: &Seen) {
    fs::rename(seen.own("run"), seen.source.parent().unwrap().join("run")).unwrap();
    seen.push().exits(0);
    assert!(!seen.stored("run").exists());
    let oldest = seen.gate.inside("snapshots").join(&seen.gate.snapshots()[0]);
    assert_eq!(fs::read(oldest.join("run")).unwrap(), content("run"));
    links_are_intact(seen);
}

pub(super) fn quiet_about_the_server(seen: &Seen) {
    let ran = seen.push().exits(0);
    let store = seen.gate.repository().display().to_string();
    assert!(!ran.stdout.contains(&store) && !ran.stderr.contains(&store), "{}{}", ran.stdout, ran.stderr);
}

fn target(path: &Path) -> String {
    fs::read_link(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).display().to_string()
}

pub(super) fn links(seen: &Seen) {
    assert_eq!((target(&seen.stored("link")).as_str(), target(&seen.stored("away")).as_str()), ("plain", "../outside"));
}

pub(super) fn no_unsafe_link(seen: &Seen) {
    assert_eq!(target(&seen.stored("link")), "plain");
    assert!(fs::symlink_metadata(seen.stored("away")).is_err());
}

pub(super) fn munged(seen: &Seen) {
    assert_eq!(target(&seen.stored("link")), "/rsyncd-munged/plain");
}

pub(super) fn unsafe_link_is_a_file(seen: &Seen) {
    assert_eq!(target(&seen.stored("link")), "plain");
    assert!(fs::symlink_metadata(seen.stored("away")).unwrap().is_file());
    assert_eq!(fs::read(seen.stored("away")).unwrap(), b"outside of the tree\n");
}

fn mtime(path: &Path) -> (i64, i64) {
    let meta = fs::symlink_metadata(path).unwrap();
    (meta.mtime(), meta.mtime_nsec())
}

pub(super) fn times(seen: &Seen) {
    for name in ["plain", "sub", "link"] {
        assert_eq!(mtime(&seen.stored(name)), mtime(&seen.own(name)), "{name}");
    }
}

pub(super) fn directory_times_are_new(seen: &Seen) {
    assert_eq!(mtime(&seen.stored("plain")), mtime(&seen.own("plain")));
    assert!(mtime(&seen.stored("sub")) > mtime(&seen.own("sub")));
}

pub(super) fn link_times_are_new(seen: &Seen) {
    assert_eq!(mtime(&seen.stored("sub")), mtime(&seen.own("sub")));
    assert!(mtime(&seen.stored("link")) > mtime(&seen.own("link")));
}

pub(super) fn hard_links(seen: &Seen) {
    let inode = |name: &str| fs::metadata(seen.stored(name)).unwrap().ino();
    assert_eq!(inode("plain"), inode("plain-too"));
    assert_ne!(inode("plain"), inode("run"));
}

pub(super) fn owner(seen: &Seen) {
    let uid = |path: &Path| fs::metadata(path).unwrap().uid();
    assert_eq!(uid(&seen.stored("run")), uid(&seen.own("run")));
}

pub(super) fn group(seen: &Seen) {
    let gid = |path: &Path| fs::metadata(path).unwrap().gid();
    assert_eq!(gid(&seen.stored("run")), gid(&seen.own("run")));
}

pub(super) fn mapped_user(seen: &Seen) {
    assert_eq!(fs::metadata(seen.stored("plain")).unwrap().uid(), 4242);
}

pub(super) fn mapped_group(seen: &Seen) {
    assert_eq!(fs::metadata(seen.stored("plain")).unwrap().gid(), 4242);
}

/// A FIFO is no part of a snapshot, and no error either. A server's rsync that is too old for `--drop-D` makes it.
pub(super) fn no_fifo(seen: &Seen) {
    assert!(fs::symlink_metadata(seen.stored("fifo")).is_err() || old_server().is_some());
    assert_eq!(fs::read(seen.stored("plain")).unwrap(), content("plain"));
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

pub(super) fn modes(seen: &Seen) {
    assert_eq!(mode(&seen.stored("run")), 0o751);
    assert_eq!(mode(&seen.stored("plain")), mode(&seen.own("plain")));
}

pub(super) fn executable(seen: &Seen) {
    assert_ne!(mode(&seen.stored("run")) & 0o100, 0);
    assert_eq!(mode(&seen.stored("plain")) & 0o111, 0);
}

pub(super) fn access_lists(seen: &Seen) {
    let list = must(Command::new("getfacl").args(["-n", "-p"]).arg(seen.stored("sub/inner")));
    assert!(list.contains("user:1234:r--"), "{list}");
}

fn attribute(path: &Path, name: &str) -> String {
    must(Command::new("getfattr").args(["--only-values", "--absolute-names", "-n", name]).arg(path))
}

pub(super) fn attributes(seen: &Seen) {
    assert_eq!(attribute(&seen.stored("plain"), "user.note"), "kept");
}

pub(super) fn relative(seen: &Seen) {
    let inside = seen.source.strip_prefix("/").unwrap();
    assert_eq!(fs::read(seen.gate.newest().join(inside).join("plain")).unwrap(), content("plain"));
}

pub(super) fn holes(seen: &Seen) {
    let stored = fs::metadata(seen.stored("sparse")).unwrap();
    assert!(stored.blocks() * 512 < stored.size() / 4, "{} blocks", stored.blocks());
}

pub(super) fn no_in_place_capability(seen: &Seen) {
    // What the client sent has the letter; what ran stands in no log, so what it does is looked at: a file that was cut off
    // in the partial directory is never written in place.
    let sent = seen.gate.record().command;
    let capabilities = sent.split("e.").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!(capabilities.contains('I'), "{sent}");
    change_arrives(seen);
}

pub(super) fn moved(seen: &Seen) {
    assert!(!seen.own("plain").exists() && !seen.own("sub/inner").exists(), "the client still has its files");
    for name in super::looks::FILES {
        assert_eq!(fs::read(seen.stored(name)).unwrap(), content(name), "{name}");
    }
    // The next push starts from what the client has by then.
    for name in FILES {
        fs::write(seen.own(name), content(name)).unwrap();
    }
}

pub(super) fn names_are_latin1(seen: &Seen) {
    let file = File::open(seen.gate.newest().join(OsStr::from_bytes(b"\xe9"))).expect("the name in ISO 8859-1");
    let mut first = [0; 6];
    file.read_exact_at(&mut first, 0).unwrap();
    assert_eq!(&first, b"a name");
    assert!(!seen.stored("é").exists());
}
