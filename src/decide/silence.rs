//! Whose turn it is when a push is silent. A healthy client says nothing while it reads a large file for `-c`, or compares one with what
//! the server has: rsync has no sign of life for that (its `file_checksum` and `hash_search` send none, measured with 3.2.7 and 3.5.0).
//! So silence alone tells nothing; silence of a client that has only to send what lies before it does.
//!
//! A client that is let wait here is bound by `time_limits: {push: …}`, and one that is gone by sshd, which asks its ssh
//! (`ClientAliveInterval`), not its rsync.

use std::path::PathBuf;

use super::links::Layout;

/// Whether the client has nothing to do but send: it has said nothing yet, or is in the middle of a file that it sends whole.
///
/// `begun`: whether it has said anything. `open`: the files that each of rsync's processes has open.
#[must_use]
pub fn is_owed(begun: bool, open: &[Vec<PathBuf>], layout: &Layout) -> bool {
    let of_basis = |path: &PathBuf| layout.bases.iter().any(|basis| path.starts_with(&basis.seen));
    let in_a_whole_file = |files: &Vec<PathBuf>| files.iter().any(|path| path.starts_with(&layout.start)) && !files.iter().any(of_basis);
    !begun || open.iter().any(in_a_whole_file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::links::{Basis, BasisOf};

    #[test]
    fn a_client_that_may_be_reading_its_files_owes_nothing() {
        let basis = Basis { root: "/srv/web1/snapshots/x".into(), seen: "/basis/0".into(), of: BasisOf::Published };
        let layout = Layout { start: "/stage".into(), bases: vec![basis], partial_dir: ".p".to_owned() };
        let owed = |begun, open: &[&[&str]]| {
            let open: Vec<Vec<PathBuf>> = open.iter().map(|files| files.iter().map(PathBuf::from).collect()).collect();
            is_owed(begun, &open, &layout)
        };
        assert!(owed(false, &[&["/rsync.log"]]), "it has said nothing");
        assert!(!owed(true, &[&["/rsync.log"]]), "it makes its list");
        assert!(!owed(true, &[&["/rsync.log"], &["/rsync.log"]]), "it makes the rest of it");
        assert!(owed(true, &[&["/rsync.log"], &["/stage/.file.x1", "/rsync.log"]]), "it sends a file");
        assert!(!owed(true, &[&[], &["/stage/.file.x1", "/basis/0/file"]]), "it compares one");
        assert!(owed(true, &[&["/basis/0/other"], &["/stage/.file.x1"]]), "it sends one while the server compares another");
    }
}
