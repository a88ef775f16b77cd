//! Whose turn it is when a push is silent. A healthy client says nothing while it reads a large file for `-c`, or compares one with what
//! the server has: rsync has no sign of life for that (its `file_checksum` and `hash_search` send none, measured with 3.2.7 and 3.5.0).
//! So silence of a client that may be doing so tells nothing; that of one that has only to send what lies before it does.
//!
//! A client that is let wait here is bound by `time_limits: {push: …}`, and one that is gone by sshd, which asks its ssh
//! (`ClientAliveInterval`), not its rsync.

use std::path::PathBuf;

use super::links::Layout;

/// Whether the client has only to send, and may be expected to.
///
/// `reads`: whether it reads its files for its list (`-c`). `open`: the files that each of rsync's processes has open.
#[must_use]
pub fn must_send(reads: bool, open: &[Vec<PathBuf>], layout: &Layout) -> bool {
    let receives = |files: &Vec<PathBuf>| files.iter().any(|path| path.starts_with(&layout.start));
    let compares = |files: &Vec<PathBuf>| files.iter().any(|path| layout.bases.iter().any(|basis| path.starts_with(&basis.seen)));
    // One that is in the middle of a file may be comparing it; one that is not may be reading the next for its list.
    let may_be_at_work = open.iter().find(|files| receives(files)).map_or(reads, compares);
    !may_be_at_work
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::push::links::{Basis, Tree};

    #[test]
    fn a_client_that_may_be_reading_its_files_owes_nothing() {
        let basis = Basis { tree: Tree::published("/srv/web1/snapshots/x"), seen: "/basis/0".into() };
        let layout = Layout { start: "/stage".into(), bases: vec![basis], partial_dir: ".p".to_owned() };
        let owed = |reads, open: &[&[&str]]| {
            let open: Vec<Vec<PathBuf>> = open.iter().map(|files| files.iter().map(PathBuf::from).collect()).collect();
            must_send(reads, &open, &layout)
        };
        for reads in [false, true] {
            assert!(owed(reads, &[&["/rsync.log"], &["/stage/.file.x1", "/rsync.log"]]), "it sends a file");
            assert!(!owed(reads, &[&[], &["/stage/.file.x1", "/basis/0/file"]]), "it compares one");
            assert!(owed(reads, &[&["/basis/0/other"], &["/stage/.file.x1"]]), "it sends one while the server compares another");
            assert_eq!(owed(reads, &[&["/rsync.log"]]), !reads, "it makes its list");
            assert_eq!(owed(reads, &[&["/rsync.log"], &["/rsync.log"]]), !reads, "it makes the rest of it");
        }
    }
}
