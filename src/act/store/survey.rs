//! Counting a tree: what is in it, and how much of it was on the server already. Nothing is changed by it.

use std::collections::HashMap;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::sys::stat::{FileStat, SFlag};

use super::tree::{Listed, deeper, entries, kind, open, open_at, stat};

/// What stands in a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survey {
    /// Everything that is not a directory.
    pub files: u64,
    /// Of these, what was already on the server: it shares its inode with the tree compared with, or with another
    /// name that came from there.
    pub linked: u64,
    /// Sum of all sizes, in bytes.
    pub bytes: u64,
    /// Sum of the sizes of what was not linked, in bytes.
    pub received_bytes: u64,
    /// Regular files that look the same as in the tree compared with and were stored again all the same.
    pub copied: u64,
}

/// Counts a tree, comparing with the tree it was linked from. Where the sum of all sizes is known already, files that
/// are links are only counted, from the listings: nobody waits for a look at each.
pub(super) fn survey(path: &Path, compare: Option<&Path>, bytes: Option<u64>) -> io::Result<Survey> {
    let mut survey = Survey::default();
    count(open(path)?, compare.and_then(|path| open(path).ok()), bytes.is_some(), &mut survey, 0)?;
    Ok(Survey { bytes: bytes.unwrap_or(survey.bytes), ..survey })
}

fn count(directory: OwnedFd, compare: Option<OwnedFd>, sized: bool, survey: &mut Survey, depth: usize) -> io::Result<()> {
    let mut directory = Dir::from_fd(directory)?;
    let mut compare = compare.map(Dir::from_fd).transpose()?;
    // A directory's listing has the numbers of its inodes in it, so a link is told without asking for the old file.
    let old = compare.as_mut().map(entries).transpose()?.unwrap_or_default();
    let old: HashMap<CString, u64> = old.into_iter().map(|entry| (entry.name, entry.inode)).collect();
    for Listed { name, inode, is_file } in entries(&mut directory)? {
        if sized && is_file && old.get(&name) == Some(&inode) {
            survey.files += 1;
            survey.linked += 1;
            continue;
        }
        let found = stat(directory.as_fd(), &name)?;
        if kind(&found) == SFlag::S_IFDIR {
            let next = match open_at(&directory, name.as_c_str()) {
                Ok(next) => next,
                // The client made it unreadable; its files are there and stay uncounted.
                Err(Errno::EACCES) => continue,
                Err(error) => return Err(error.into()),
            };
            let next_compare = compare.as_ref().and_then(|old| open_at(old, name.as_c_str()).ok());
            count(next, next_compare, sized, survey, deeper(depth)?)?;
            continue;
        }
        let size = u64::try_from(found.st_size).unwrap_or(0);
        survey.files += 1;
        survey.bytes = survey.bytes.saturating_add(size);
        let old_inode = old.get(&name);
        if old_inode == Some(&inode) {
            survey.linked += 1;
            continue;
        }
        survey.received_bytes = survey.received_bytes.saturating_add(size);
        let was = compare.as_ref().filter(|_| old_inode.is_some()).and_then(|old| stat(old.as_fd(), &name).ok());
        if was.is_some_and(|was| looks_alike(&was, &found)) {
            survey.copied += 1;
        }
    }
    Ok(())
}

/// What rsync's quick check and its attributes would call unchanged.
fn looks_alike(a: &FileStat, b: &FileStat) -> bool {
    let facts = |stat: &FileStat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    kind(a) == SFlag::S_IFREG && facts(a) == facts(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_survey_tells_links_from_copies_and_from_hard_links_of_the_push_itself() {
        let root = tempfile::tempdir().unwrap();
        let (old, new) = (root.path().join("old"), root.path().join("new"));
        for tree in [&old, &new] {
            fs::create_dir(tree).unwrap();
        }
        fs::write(old.join("same"), "12345").unwrap();
        fs::hard_link(old.join("same"), new.join("same")).unwrap();
        fs::write(old.join("stored-again"), "123").unwrap();
        fs::write(new.join("stored-again"), "123").unwrap();
        let time = fs::metadata(old.join("stored-again")).unwrap().modified().unwrap();
        fs::File::options().write(true).open(new.join("stored-again")).unwrap().set_modified(time).unwrap();
        fs::write(new.join("one"), "1").unwrap();
        fs::hard_link(new.join("one"), new.join("two")).unwrap();
        let expected = Survey { files: 4, linked: 1, bytes: 10, received_bytes: 5, copied: 1 };
        assert_eq!(survey(&new, Some(&old), None).unwrap(), expected);
        assert_eq!(survey(&new, Some(&old), Some(10)).unwrap(), expected, "the same without a look at each link");
    }
}
