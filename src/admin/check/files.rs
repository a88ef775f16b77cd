//! Files and directories in settings: whether they exist, and who can change them.

use std::path::Path;

use crate::act::inspect::{Kind, Look, look, running_uid};
use crate::decide::policy::lint::Finding;
pub(super) use crate::terms::text::quoted_path as shown;
use crate::terms::{Origin, Remedy};

/// A program that is missing, cannot run, or could be replaced by somebody.
pub(super) fn program(path: &Path, origin: Origin, what: &str, owners: &[u32]) -> Vec<Finding> {
    match look(path) {
        None => vec![Finding::wrong(origin, format!("{what} {} is not there", shown(path)), "install it, or name its place")],
        Some(look) if !look.is_program() => {
            vec![Finding::wrong(origin, format!("{what} {} is not a program", shown(path)), "make it executable, or name another")]
        }
        Some(look) => writable(&look, origin, path, owners),
    }
}

/// A file or program that is missing or could be replaced by somebody.
pub(super) fn file(path: &Path, origin: Origin, what: &str) -> Vec<Finding> {
    match look(path) {
        None => vec![Finding::wrong(origin, format!("{what} {} is not there", shown(path)), "make it, or take it out of sshd's settings")],
        Some(look) => writable(&look, origin, path, &[]),
    }
}

/// What a wrong user owns or may write. Root and the running user may own everything.
pub(super) fn writable(look: &Look, origin: Origin, path: &Path, owners: &[u32]) -> Vec<Finding> {
    let mut found = Vec::new();
    if look.owner != 0 && look.owner != running_uid() && !owners.contains(&look.owner) {
        let message = format!("{} belongs to user {}", shown(path), look.owner);
        // A directory that somebody named by a slip may be somebody's home.
        let remedy = Some(Remedy::Owner { path: path.to_path_buf(), user: 0 }).filter(|_| look.kind == Kind::File);
        found.push(Finding { remedy, ..Finding::wrong(origin.clone(), message, "chown it to root") });
    }
    // A sticky directory is open to all on purpose, whoever has named it here.
    let without = |bits: u32, finding: Finding| match look.mode & 0o1000 {
        0 => finding.mended_by(Remedy::Mode { path: path.to_path_buf(), mode: look.mode & !bits }),
        _ => finding,
    };
    if look.others_write() {
        found.push(without(0o002, Finding::wrong(origin, format!("everybody may write {}", shown(path)), "chmod o-w it")));
    } else if look.group_writes() && look.kind == Kind::File {
        found.push(without(0o020, Finding::wrong(origin, format!("a group may write {}", shown(path)), "chmod g-w it")));
    }
    found
}
