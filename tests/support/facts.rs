//! Everything that can be known of published snapshots, and of what lies beside the repository, written down and compared
//! after every attack.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use ring::digest::{SHA256, digest};

use crate::gate::Gate;
use crate::run::must;
use crate::tree::hex;

/// Everything that can be known of a tree, by path. What a reader may change stands behind a bar.
pub type Facts = BTreeMap<PathBuf, String>;

/// What a reader may change: reading a file for a checksum or a delta moves its time of access, on any file system that
/// keeps one. That is compared only where the push had nothing to read.
#[derive(Clone, Copy, PartialEq)]
pub enum Reads {
    /// The push has nothing to read.
    Nothing,
    /// It reads files.
    Files,
}

/// Writes trees down. Where others may link to their files, the number of a file's links is left out, and the time of its
/// inode's last change, which a further link moves; of directories both stay.
pub fn facts(roots: &[PathBuf], may_be_linked: bool) -> Facts {
    let mut found = Facts::new();
    for root in roots {
        walk(root, may_be_linked, &mut found);
    }
    // ACLs are attributes too, and are told apart from them once more. A block for each path that has any.
    for (what, tool, words) in [
        ("attributes", "getfattr", &["-R", "-h", "-d", "-m", "-", "--absolute-names"][..]),
        ("access", "getfacl", &["-R", "-P", "-p", "-n", "-s"]),
    ] {
        let told = if roots.is_empty() { String::new() } else { must(Command::new(tool).args(words).args(roots)) };
        for block in told.split("\n\n").filter_map(|block| block.strip_prefix("# file: ")) {
            let (name, block) = block.split_once('\n').unwrap_or((block, ""));
            found.insert(PathBuf::from(format!("{name} ({what})")), block.replace('\n', " "));
        }
    }
    found
}

fn walk(path: &Path, may_be_linked: bool, found: &mut Facts) {
    let meta = fs::symlink_metadata(path).unwrap();
    let accessed = if meta.is_file() { format!("{}.{:09}", meta.atime(), meta.atime_nsec()) } else { String::new() };
    let content = match () {
        () if meta.is_symlink() => format!("-> {}", fs::read_link(path).unwrap().as_os_str().as_bytes().escape_ascii()),
        () if meta.is_file() => hex(digest(&SHA256, &without_a_trace(path)).as_ref()),
        () => String::new(),
    };
    let mut line = format!(
        "{content} {:o} {}:{} {} {}.{:09} {}",
        meta.mode(),
        meta.uid(),
        meta.gid(),
        if meta.is_dir() { 0 } else { meta.size() },
        meta.mtime(),
        meta.mtime_nsec(),
        meta.ino()
    );
    if !may_be_linked || meta.is_dir() {
        line += &format!(" {} {}.{:09}", meta.nlink(), meta.ctime(), meta.ctime_nsec());
    }
    found.insert(path.to_owned(), format!("{line}|{accessed}"));
    if meta.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            walk(&entry.unwrap().path(), may_be_linked, found);
        }
    }
}

/// Reads a file and leaves its time of access alone.
fn without_a_trace(path: &Path) -> Vec<u8> {
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut bytes = Vec::new();
    // Of a file of somebody else's nobody may ask that (open(2), `O_NOATIME`), nor are its times compared.
    let file = fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NOATIME).open(path);
    let mut file = file.or_else(|_| fs::File::open(path)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

/// What differs between two records of one tree, a line each.
pub fn differences(before: &Facts, now: &Facts, reads: Reads) -> Vec<String> {
    let keep = |line: &String| match reads {
        Reads::Nothing => line.clone(),
        Reads::Files => line.split('|').next().unwrap_or_default().to_owned(),
    };
    let paths: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    let mut found = Vec::new();
    for path in paths {
        let (was, is) = (before.get(path).map(keep), now.get(path).map(keep));
        if was != is {
            let told = |line: Option<String>| line.unwrap_or_else(|| "nothing".to_owned());
            found.push(format!("`{}` was {} and is {}", path.display(), told(was), told(is)));
        }
    }
    found
}

/// Every snapshot as it was when it was new.
#[derive(Default)]
pub struct History {
    snapshots: Vec<PathBuf>,
    facts: Facts,
}

impl History {
    /// What has changed in the known snapshots. Writes down the new ones, and the others as they are now.
    pub fn changes(&mut self, gate: &Gate, reads: Reads) -> Vec<String> {
        let all: Vec<_> = gate.snapshots().into_iter().map(|name| gate.inside("snapshots").join(name)).collect();
        let (known, new): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|root| self.snapshots.contains(root));
        let now = facts(&known, true);
        let found = differences(&self.facts, &now, reads);
        self.facts = now;
        self.facts.extend(facts(&new, true));
        self.snapshots = all;
        found
    }
}
