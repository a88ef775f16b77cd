//! Snapshots that nobody has been told of yet: `untold/<id>` stands from just before a snapshot is published until its
//! connection is in the ledger and the spool. A gate that is killed in between leaves it, and the next session tells.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::disk::read_note;
use super::{Held, Repository, make_directory};
use crate::terms::SnapshotName;
use crate::terms::limits::MAX_NOTE;

impl Repository {
    fn untold(&self) -> PathBuf {
        self.state().join("untold")
    }

    /// Notes that the connection `id` is about to publish.
    pub(super) fn owe(&self, id: &str, name: &SnapshotName) -> io::Result<()> {
        make_directory(&self.untold(), 0o700)?;
        fs::write(self.untold().join(id), name.as_str())
    }

    /// Strikes the note, once the connection is in the ledger and in the spool.
    pub fn told(&self, id: &str) {
        // One that stays makes the next session say something twice.
        let _ = fs::remove_file(self.untold().join(id));
    }
}

impl Held<'_> {
    /// Says which snapshots nobody has been told of, and strikes the notes of sessions that are gone.
    pub(super) fn tell_of_untold(&self) -> Vec<String> {
        let entries = fs::read_dir(self.repository.untold()).into_iter().flatten().flatten();
        let left = entries.map(|entry| entry.path()).filter(|path| !is_at_work(path)).filter_map(|path| {
            let name = read_note(&path, MAX_NOTE).ok().and_then(|name| String::from_utf8(name).ok());
            let _ = fs::remove_file(&path);
            let name = name?;
            let published = !name.is_empty() && self.repository.snapshots().join(&name).is_dir();
            published.then(|| format!("the session that published `{name}` was ended before it had told of it"))
        });
        left.collect()
    }
}

/// Whether the session lives on: it lets go of the repository before it writes the ledger. Its id ends in its process.
fn is_at_work(note: &Path) -> bool {
    let process = note.file_name().and_then(|id| id.to_str()?.rsplit('-').next()?.parse::<u32>().ok());
    process.is_some_and(|process| Path::new("/proc").join(process.to_string()).exists())
}
