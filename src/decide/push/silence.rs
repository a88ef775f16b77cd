//! Whose turn it is when a push is silent. A healthy client is silent while it reads a large file
//! for `-c`, or compares one (rsync's `file_checksum` and `hash_search` send no sign of life,
//! measured with 3.2.7 and 3.5.0). Only the silence of a client that has nothing to do but send
//! counts.
//!
//! `time_limits: {push: …}` still bounds such a client, and sshd ends one that is gone
//! (`ClientAliveInterval` asks its ssh, not its rsync).

use std::path::PathBuf;

use super::links::Layout;

/// Whether the client has only to send, and may be expected to.
///
/// `reads`: it reads its files for its list (`-c`). `open`: the files that each of rsync's
/// processes has open.
#[must_use]
pub fn must_send(reads: bool, open: &[Vec<PathBuf>], layout: &Layout) -> bool {
    let receives = |files: &Vec<PathBuf>| files.iter().any(|path| path.starts_with(&layout.start));
    let compares = |files: &Vec<PathBuf>| files.iter().any(|path| layout.bases.iter().any(|basis| path.starts_with(&basis.seen)));
    // In the middle of a file it may be comparing; otherwise it may be reading the next one for its
    // list.
    let may_be_at_work = open.iter().find(|files| receives(files)).map_or(reads, compares);
    !may_be_at_work
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::push::links::{Basis, Tree};

    #[test]
    fn a_client_that_may_be_reading_its_files_need_not_send() {
        let basis = Basis { tree: Tree::published("/srv/web1/snapshots/x"), seen: "/basis/0".into() };
        let layout = Layout { start: "/stage".into(), bases: vec![basis], partial_dir: ".p".to_owned() };
        let must = |reads, open: &[&[&str]]| {
            let open: Vec<Vec<PathBuf>> = open.iter().map(|files| files.iter().map(PathBuf::from).collect()).collect();
            must_send(reads, &open, &layout)
        };
        for reads in [false, true] {
            assert!(must(reads, &[&["/rsync.log"], &["/stage/.file.x1", "/rsync.log"]]), "it sends a file");
            assert!(!must(reads, &[&[], &["/stage/.file.x1", "/basis/0/file"]]), "it compares one");
            assert!(must(reads, &[&["/basis/0/other"], &["/stage/.file.x1"]]), "it sends one while the server compares another");
            assert_eq!(must(reads, &[&["/rsync.log"]]), !reads, "it makes its list");
            assert_eq!(must(reads, &[&["/rsync.log"], &["/rsync.log"]]), !reads, "it makes the rest of it");
        }
    }
}
