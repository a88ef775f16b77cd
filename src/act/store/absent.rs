//! Directories at the top of the last snapshot that a new tree does not have. Single files come and go in the top of a home.
//!
//! Nothing is changed by the look, and no symbolic link is followed.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use super::tree::{deeper, each, open, open_at, open_below, stat};
use crate::decide::lost::Absent;
use crate::terms::SubPath;
use crate::terms::limits::{MAX_FILES_LOST, MAX_NAMES_LOST, MAX_QUOTED};
use crate::terms::text::still_printable;

/// What `new` lacks of `old`: at the top, and where that lacks nothing at `place`.
pub(super) fn absent(old: &Path, new: &Path, place: &SubPath) -> io::Result<Absent> {
    let top = at(open(old)?, &open(new)?, "")?;
    if top.count > 0 || place.is_whole() {
        return Ok(top);
    }
    match (open_below(old, place.components()), open_below(new, place.components())) {
        (Ok(old), Ok(new)) => at(old, &new, &format!("{place}/")),
        _ => Ok(top),
    }
}

fn at(old: OwnedFd, new: &OwnedFd, before: &str) -> io::Result<Absent> {
    let mut absent = Absent::default();
    let here = old.as_fd();
    each(here, |entry| {
        let is_gone = || matches!(stat(new.as_fd(), entry.name), Err(error) if error.kind() == io::ErrorKind::NotFound);
        if !entry.is_directory(here)? || !is_gone() {
            return Ok(());
        }
        absent.count += 1;
        if absent.names.len() < MAX_NAMES_LOST {
            absent.names.push(still_printable(&format!("{before}{}", entry.name.to_string_lossy()), MAX_QUOTED));
        }
        // What cannot be read is not counted.
        match open_at(here, entry.name) {
            Ok(next) => count(next, &mut absent, 0)?,
            Err(_) => absent.more = true,
        }
        Ok(())
    })?;
    Ok(absent)
}

fn count(directory: OwnedFd, absent: &mut Absent, depth: usize) -> io::Result<()> {
    let here = directory.as_fd();
    each(here, |entry| {
        if absent.files >= MAX_FILES_LOST {
            absent.more = true;
        } else if !entry.is_directory(here)? {
            absent.files += 1;
        } else if let Ok(next) = open_at(here, entry.name) {
            count(next, absent, deeper(depth)?)?;
        } else {
            absent.more = true;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_gone_at_the_top_is_found_and_otherwise_what_is_gone_at_the_place() {
        let root = tempfile::tempdir().unwrap();
        let (old, new) = (root.path().join("old"), root.path().join("new"));
        for name in ["old/a/x", "old/a/y/z", "old/b/1", "old/file", "new/a/x"] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = |place: &str| absent(&old, &new, &SubPath::parse(place.as_bytes()).unwrap()).unwrap();
        assert_eq!(found(""), Absent { names: vec!["b".into()], count: 1, files: 1, more: false });
        fs::create_dir(new.join("b")).unwrap();
        assert_eq!(found(""), Absent::default(), "further down it is the client's affair");
        assert_eq!(found("a"), Absent { names: vec!["a/y".into()], count: 1, files: 1, more: false });
        assert_eq!(found("c"), Absent::default());
        fs::rename(old.join("a"), old.join("moved")).unwrap();
        assert_eq!(found(""), Absent { names: vec!["moved".into()], count: 1, files: 2, more: false });
        fs::remove_dir_all(old.join("moved/y")).unwrap();
        std::os::unix::fs::symlink("/", old.join("moved/y")).unwrap();
        assert_eq!(found("").files, 2, "no link is followed");
    }
}
