//! Trees on disk: making them and writing down exactly what stands in them.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ring::digest::{SHA256, digest};

/// Writes a file, with the directories above it.
///
/// Only beneath a directory for temporary files: joined to an absolute path, a test's directory is forgotten, and root would write
/// into the machine.
#[track_caller]
pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    let temporary = [std::env::temp_dir(), "/dev/shm".into()];
    assert!(temporary.iter().any(|temporary| path.starts_with(temporary)), "{} is beneath none of {temporary:?}", path.display());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// A small tree of a few files and directories.
pub fn small(root: &Path) {
    write(&root.join("a.txt"), "first\n");
    write(&root.join("etc/hosts"), "127.0.0.1 localhost\n");
    write(&root.join("etc/deep/er/file"), "deep\n");
    write(&root.join("photo.raw"), noise(1, 20_000));
    fs::create_dir_all(root.join("empty")).unwrap();
}

/// Bytes that neither compress nor repeat; the same for the same seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The inode of a file.
pub fn inode(path: &Path) -> u64 {
    fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).ino()
}

/// Makes a file's times old, so that a later change shows.
pub fn age(path: &Path, seconds: u64) {
    let time = SystemTime::now() - std::time::Duration::from_secs(seconds);
    fs::File::options().read(true).open(path).unwrap().set_modified(time).unwrap();
}

/// One line for each thing in a tree, in order: path, kind, mode, owner, size, mtime, inode, content or target.
/// Names are as printable as Rust makes them. A path that does not exist is an empty list.
pub fn listing(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    walk(root, &mut |path, meta| lines.push(line(root, path, meta)));
    lines.sort();
    lines
}

/// Two listings have to be the same; shows the lines that are not.
#[track_caller]
pub fn same(now: &[String], before: &[String]) {
    let missing: Vec<_> = before.iter().filter(|line| !now.contains(line)).collect();
    let new: Vec<_> = now.iter().filter(|line| !before.contains(line)).collect();
    assert!(missing.is_empty() && new.is_empty(), "gone or changed: {missing:#?}\nnew: {new:#?}");
}

/// Every path in a tree that is no directory, below its root.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    walk(root, &mut |path, meta| {
        if !meta.is_dir() {
            paths.push(path.strip_prefix(root).unwrap().to_owned());
        }
    });
    paths.sort();
    paths
}

/// How many directories a tree has, its root among them.
pub fn directories(root: &Path) -> u64 {
    let mut count = 0;
    walk(root, &mut |_, meta| count += u64::from(meta.is_dir()));
    count
}

/// Gives an owner the use of every directory in a tree again, so that it can be removed.
pub fn open_up(root: &Path) {
    let Ok(meta) = fs::symlink_metadata(root) else { return };
    if !meta.is_dir() {
        return;
    }
    if meta.permissions().mode() & 0o700 != 0o700 {
        let _ = fs::set_permissions(root, fs::Permissions::from_mode(0o700));
    }
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        open_up(&entry.path());
    }
}

fn walk(path: &Path, visit: &mut dyn FnMut(&Path, &fs::Metadata)) {
    let Ok(meta) = fs::symlink_metadata(path) else { return };
    visit(path, &meta);
    if meta.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            walk(&entry.path(), visit);
        }
    }
}

fn line(root: &Path, path: &Path, meta: &fs::Metadata) -> String {
    let content = if meta.is_symlink() {
        format!("-> {}", fs::read_link(path).unwrap().display())
    } else if meta.is_file() {
        fs::read(path).map_or_else(|error| error.to_string(), |bytes| hex(digest(&SHA256, &bytes).as_ref()))
    } else {
        String::new()
    };
    let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().escape_ascii();
    // A directory's size and link count are the file system's business.
    let size = if meta.is_dir() { 0 } else { meta.size() };
    let time = format!("{}.{:09}", meta.mtime(), meta.mtime_nsec());
    format!("{name} {:o} {}:{} {size} {time} {} {content}", meta.mode(), meta.uid(), meta.gid(), meta.ino())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
