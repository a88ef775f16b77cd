//! Files and directories in settings: whether they exist, and who can change them.

use std::path::Path;

use crate::act::inspect::{Kind, Look, look, running_uid};
use crate::decide::policy::lint::Finding;
pub(super) use crate::terms::text::quoted_path as shown;
use crate::terms::{Origin, Remedy};

/// What to do with a file that somebody else than root could write.
const INSTALL: &str = "read it, then install it anew: others could write it, and may have it open";

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
///
/// No remedy makes trusted what somebody else could have written: whoever did may still have it open.
pub(super) fn writable(look: &Look, origin: Origin, path: &Path, owners: &[u32]) -> Vec<Finding> {
    let mut found = Vec::new();
    if look.owner != 0 && look.owner != running_uid() && !owners.contains(&look.owner) {
        let message = format!("{} belongs to user {}", shown(path), look.owner);
        found.push(Finding::wrong(
            origin.clone(),
            message,
            if look.kind == Kind::File { INSTALL } else { "look at what is in it, then chown it to root" },
        ));
    }
    // A sticky directory is open to all on purpose, whoever has named it here.
    let is_mended = look.mode & 0o1000 == 0 && (look.kind == Kind::Directory || look.is_written_by_root_alone());
    let without = |bits: u32, finding: Finding| match is_mended {
        true => finding.mended_by(Remedy::Mode { path: path.to_path_buf(), mode: look.mode & !bits }),
        false => finding,
    };
    if look.others_write() {
        let help = if look.kind == Kind::File { INSTALL } else { "chmod o-w it, and look at what is in it" };
        found.push(without(0o002, Finding::wrong(origin, format!("everybody may write {}", shown(path)), help)));
    } else if look.group_writes() && look.kind == Kind::File {
        let help = if is_mended { "chmod g-w it" } else { INSTALL };
        found.push(without(0o020, Finding::wrong(origin, format!("a group may write {}", shown(path)), help)));
    }
    found
}
