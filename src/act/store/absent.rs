//! Directories at the top of the last snapshot that a new tree lacks. Single files come and go in
//! the top of a home. Nothing is changed, and no symbolic link followed.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use super::tree::{Listed, each, find, open, open_below, stat};
use super::walk::{Closed, Next, Visitor, walk};
use crate::decide::push::lost::Absent;
use crate::terms::SubPath;
use crate::terms::limits::{MAX_FILES_LOST, MAX_NAMES_LOST, MAX_QUOTED};
use crate::terms::text::{printable, still_printable};

/// What `new` lacks of `old`: at the top, or else on the way to `place`, or else there.
pub(super) fn absent(old: &Path, new: &Path, place: &SubPath) -> io::Result<Absent> {
    let mut absent = at(open(old)?, &open(new)?, "")?;
    let (mut way, mut before) = (Vec::new(), String::new());
    for part in place.components() {
        if absent.count > 0 {
            return Ok(Absent { outside: true, ..absent });
        }
        way.push(part);
        before = format!("{before}{}/", printable(part.as_encoded_bytes()));
        let both = (open_below(old, way.iter().copied()), open_below(new, way.iter().copied()));
        let (Ok(old), Ok(new)) = both else { return Ok(absent) };
        absent = at(old, &new, &before)?;
    }
    Ok(absent)
}

/// Whether `new` lacks a directory that `old` has at the top.
pub(super) fn lacks(old: &Path, new: &Path) -> io::Result<bool> {
    let (old, new) = (open(old)?, open(new)?);
    let here = old.as_fd();
    let lacked = find(here, |entry| Ok((entry.is_directory(here)? && is_gone(&new, entry)).then_some(())))?;
    Ok(lacked.is_some())
}

fn is_gone(new: &OwnedFd, entry: &Listed<'_>) -> bool {
    matches!(stat(new.as_fd(), entry.name), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

fn at(old: OwnedFd, new: &OwnedFd, before: &str) -> io::Result<Absent> {
    let (mut absent, mut seen) = (Absent::default(), 0);
    let here = old.as_fd();
    each(here, |entry| {
        if !entry.is_directory(here)? || !is_gone(new, entry) {
            return Ok(());
        }
        let (files, more) = (absent.files, std::mem::take(&mut absent.more));
        // What cannot be read is not counted.
        let walked = walk(here, entry.name, (), Closed::Left, &mut Counting { absent: &mut absent, seen: &mut seen });
        absent.more |= walked.is_err();
        // Of directories without a file nothing is lost; `-m` leaves them out.
        if absent.files > files || absent.more {
            absent.count += 1;
            if absent.names.len() < MAX_NAMES_LOST {
                absent.names.push(still_printable(&format!("{before}{}", entry.name.to_string_lossy()), MAX_QUOTED));
            }
        }
        absent.more |= more;
        Ok(())
    })?;
    Ok(absent)
}

struct Counting<'a> {
    absent: &'a mut Absent,
    /// Entries seen, directories too: there may be millions of these and hardly a file.
    seen: &'a mut u64,
}

impl Visitor for Counting<'_> {
    type Here = ();

    fn entry(&mut self, (): &mut (), at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<()>> {
        *self.seen += 1;
        if self.absent.files >= MAX_FILES_LOST || *self.seen > MAX_FILES_LOST {
            self.absent.more = true;
            return Ok(Next::Stop);
        }
        if entry.is_directory(at)? {
            return Ok(Next::Into(()));
        }
        self.absent.files += 1;
        Ok(Next::Past)
    }

    fn unseen(&mut self, _: io::Error) -> io::Result<ControlFlow<()>> {
        self.absent.more = true;
        Ok(ControlFlow::Continue(()))
    }
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
        assert_eq!(found(""), Absent { names: vec!["b".into()], count: 1, files: 1, ..Absent::default() });
        assert!(found("a").outside, "where the push did not go");
        fs::create_dir(new.join("b")).unwrap();
        assert_eq!(found(""), Absent::default(), "further down it is the client's affair");
        assert_eq!(found("a"), Absent { names: vec!["a/y".into()], count: 1, files: 1, ..Absent::default() });
        assert!(found("a/x/deep").outside, "beside the way, too");
        assert_eq!(found("c"), Absent::default());
        fs::rename(old.join("a"), old.join("moved")).unwrap();
        assert_eq!(found(""), Absent { names: vec!["moved".into()], count: 1, files: 2, ..Absent::default() });
        fs::remove_dir_all(old.join("moved/y")).unwrap();
        std::os::unix::fs::symlink("/", old.join("moved/y")).unwrap();
        assert_eq!(found("").files, 2, "no link is followed");
    }
}
