//! What was stored comes back as it was, in every attribute.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use support::tree::noise;
use support::{Gate, is_root, must};

use crate::{gate, target, with};

fn set_time(path: &Path, seconds: i64, nanoseconds: i64) {
    let at = TimeSpec::new(seconds, nanoseconds);
    utimensat(nix::fcntl::AT_FDCWD, path, &at, &at, UtimensatFlags::NoFollowSymlink).unwrap();
}

/// A tree with everything that a file can have.
pub(crate) fn fill(source: &Path, owners: bool) {
    fs::create_dir_all(source.join("dir/empty")).unwrap();
    fs::write(source.join("plain"), "content").unwrap();
    fs::write(source.join(OsStr::from_bytes(b"8-bit \xe9\xff\n name")), "x").unwrap();
    fs::write(source.join("dir/secret"), "x").unwrap();
    // What nobody may read only root can push.
    let closed = if is_root() { 0o000 } else { 0o400 };
    fs::set_permissions(source.join("dir/secret"), fs::Permissions::from_mode(closed)).unwrap();
    fs::write(source.join("setuid"), "x").unwrap();
    fs::hard_link(source.join("plain"), source.join("dir/twin")).unwrap();
    symlink("../nowhere", source.join("link")).unwrap();
    let sparse = fs::File::create(source.join("sparse")).unwrap();
    sparse.set_len(4 << 20).unwrap();
    std::os::unix::fs::FileExt::write_at(&sparse, &noise(5, 4096), 2 << 20).unwrap();
    let attribute = |name: &str, value: &str| {
        must(Command::new("setfattr").args(["-n", name, "-v", value]).arg(source.join("plain")));
    };
    attribute("user.note", "kept");
    must(Command::new("setfacl").args(["-m", "u:12345:r"]).arg(source.join("dir")));
    if owners {
        std::os::unix::fs::chown(source.join("dir/secret"), Some(1234), Some(2345)).unwrap();
        std::os::unix::fs::lchown(source.join("link"), Some(1234), Some(2345)).unwrap();
    }
    fs::set_permissions(source.join("setuid"), fs::Permissions::from_mode(0o4751)).unwrap();
    for (name, seconds, nanoseconds) in
        [("plain", 1_234_567_890, 123_456_789), ("dir/secret", -1_000_000, 1), ("link", 5, 999_999_999), ("setuid", 4_000_000_000, 7)]
    {
        set_time(&source.join(name), seconds, nanoseconds);
    }
    for name in ["dir/empty", "dir", ""] {
        set_time(&source.join(name), 1_000_000_000, 42);
    }
}

/// Everything that can be told of each file.
pub(crate) fn told(root: &Path, owners: bool) -> BTreeMap<Vec<u8>, String> {
    let mut all = BTreeMap::new();
    let mut left = vec![root.to_path_buf()];
    let mut inodes: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    while let Some(path) = left.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        let content = if found.is_file() {
            // Root alone reads what has no mode.
            fs::read(&path).map_or_else(
                |_| "unreadable".to_owned(),
                |content| format!("{} bytes {:?}", content.len(), content.iter().map(|byte| u64::from(*byte)).sum::<u64>()),
            )
        } else if found.is_symlink() {
            fs::read_link(&path).unwrap().display().to_string()
        } else {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            "directory".to_owned()
        };
        let twin = if found.nlink() > 1 && found.is_file() {
            inodes.entry(found.ino()).or_insert_with(|| name.clone()).clone()
        } else {
            Vec::new()
        };
        let attributes = if found.is_symlink() {
            String::new()
        } else {
            let c_path = CString::new(path.as_os_str().as_bytes()).unwrap();
            must(
                Command::new("getfattr")
                    .args(["-h", "-d", "-m", "^(user|system)", "--absolute-names", "-e", "hex"])
                    .arg(OsStr::from_bytes(c_path.as_bytes())),
            )
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect::<Vec<_>>()
            .join(" ")
        };
        let owner = if owners { format!("{}:{}", found.uid(), found.gid()) } else { String::new() };
        let holes = found.is_file() && found.len() > 1 << 20 && found.blocks() * 512 < found.len() / 2;
        let mode = found.mode();
        let line = format!("{mode:o} {}.{} {owner} {content} {:?} {attributes} {holes}", found.mtime(), found.mtime_nsec(), twin.len());
        all.insert(name, line);
    }
    all
}

fn comes_back(gate: &Gate, owners: bool) {
    let source = gate.source("s");
    fill(&source, owners);
    gate.push(&source, &["-HAX", "-S", "--numeric-ids"]).exits(0);
    let to = target(gate);
    gate.rsync(&["-aHAXS", "--numeric-ids", "backup:current/", &format!("{}/", to.display())]).exits(0);
    let (was, is) = (told(&source, owners), told(&to, owners));
    for (name, line) in &was {
        assert_eq!(Some(line), is.get(name), "{}", name.escape_ascii());
    }
    assert_eq!(was.len(), is.len());
    // It came from the store as it stands there, too.
    assert_eq!(told(&gate.newest(), owners).len(), was.len());
}

#[test]
fn everything_comes_back_as_it_was() {
    let gate = gate();
    comes_back(&gate, is_root());
}

#[test]
fn the_same_where_the_kernel_gives_no_namespaces() {
    let gate = with("");
    gate.write(
        "config/snapgate.yaml",
        &(fs::read_to_string(gate.path().join("config/snapgate.yaml")).unwrap() + "namespaces: optional\njail: off\n"),
    );
    comes_back(&gate, is_root());
}
