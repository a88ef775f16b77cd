//! What a client may hold and how much that is: `quota:`, `min_free:`, `snapgate usage`, `when_full:`, and disks that run full.

mod book;
mod full;
mod links;
mod quota;
mod shorten;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use snapgate::terms::Usage;
use support::Gate;

use crate::says;

/// What `snapgate usage` says of the client, with these words behind it.
#[track_caller]
fn told(gate: &Gate, words: &[&str]) -> serde_json::Value {
    let ran = says(gate, &[&["usage", "web1", "--json"], words].concat());
    assert!([0, 1].contains(&ran.status), "{ran:?}");
    let all: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    all[0].clone()
}

fn figures(told: &serde_json::Value) -> Usage {
    Usage { bytes: told["bytes"].as_u64().unwrap(), inodes: told["inodes"].as_u64().unwrap() }
}

/// What stands in the trees of the repository, each inode once: what `snapgate usage` should say.
fn stands(gate: &Gate) -> Usage {
    let mut seen = BTreeMap::new();
    for trees in ["snapshots", ".snapgate/trash", ".snapgate/reaping", ".snapgate/interrupted", ".snapgate/parts", ".snapgate/broken"] {
        for tree in fs::read_dir(gate.inside(trees)).into_iter().flatten().flatten() {
            if tree.file_type().unwrap().is_dir() {
                look(&tree.path(), &mut seen);
            }
        }
    }
    Usage { bytes: seen.values().sum(), inodes: seen.len() as u64 }
}

fn look(path: &Path, seen: &mut BTreeMap<u64, u64>) {
    let found = fs::symlink_metadata(path).unwrap();
    seen.insert(found.ino(), found.blocks() * 512);
    if found.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| look(&entry.unwrap().path(), seen));
    }
}
