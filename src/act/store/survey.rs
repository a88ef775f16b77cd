//! Counts a tree: what is in it, and how much of it was on the server already. Nothing is changed,
//! and a placeholder is no file.

use std::ffi::CStr;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sys::stat::{FileStat, SFlag, lstat};
use rustix::fs::lgetxattr;

use super::compare::{Comparison, Side};
use super::links::Taken;
use super::look::Look;
use super::tree::{Listed, allocated, kind, names_of, open, open_at, stat};
use super::walk::{Closed, Next, Visitor, walk_tree};
use crate::decide::owners::lists;
use crate::decide::sandbox::spec::Ids;
use crate::terms::limits::{MAX_ACCESS_LIST, USUAL_ACCESS_LIST};
use crate::terms::record::StoredAgain;
use crate::terms::usage::{Shares, Usage};

/// What stands in a tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survey {
    /// Everything that is not a directory.
    pub files: u64,
    /// Of these, what was already on the server: it shares its inode with the tree compared with.
    pub linked: u64,
    /// Sum of all sizes, in bytes.
    pub bytes: u64,
    /// Sum of the sizes of what was not linked, in bytes.
    pub received_bytes: u64,
    /// Files that stand in the first tree compared with, and are others there.
    pub changed: u64,
    /// Files that it does not have.
    pub added: u64,
    /// Regular files that stand in the tree compared with and were stored again all the same.
    pub again: StoredAgain,
    /// Files and directories, not linked, with the last id that is kept as owner or group, or in an
    /// access list: it stands for all ids beyond.
    pub beyond: u64,
    /// What it takes, where nothing in it has a name elsewhere: so before its links are made.
    pub takes: Usage,
    /// Whether a part of it was not seen.
    pub blind: bool,
}

/// Which ids are looked for in a tree whose owners are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) ids: Ids,
    /// Whether access lists may have come with it: to ask for one is a call for each file.
    pub(super) lists: bool,
}

/// Counts a tree, comparing with those before it, the first of which counts most.
pub(super) fn survey(path: &Path, compare: &[PathBuf], taken: &Taken, kept: Option<Kept>, look: Option<&mut Look>) -> io::Result<Survey> {
    let trees = compare.iter().map(|path| open(path).ok()).collect();
    let mut counting = Counting {
        taken,
        kept,
        comparison: Comparison::new(),
        survey: Survey::default(),
        shares: Shares::default(),
        look,
        way: Vec::new(),
    };
    counting.shares.add(allocated(&lstat(path)?), 1);
    walk_tree(path, Here { trees, way: 0 }, Closed::Left, &mut counting)?;
    Ok(Survey { takes: counting.shares.sum(), ..counting.survey })
}

/// A directory that is counted.
struct Here {
    /// The same in the trees compared with, in their order.
    trees: Vec<Option<OwnedFd>>,
    /// How long the way to it is.
    way: usize,
}

struct Counting<'a> {
    taken: &'a Taken,
    kept: Option<Kept>,
    comparison: Comparison,
    survey: Survey,
    shares: Shares,
    look: Option<&'a mut Look>,
    /// The way to the directory that the walk is in, and perhaps more behind it.
    way: Vec<u8>,
}

impl Counting<'_> {
    /// Counts a file, with what stands there in the trees compared with: the first of them, and all.
    fn file(&mut self, new: Side<'_>, first: Option<Side<'_>>, old: &[Side<'_>]) {
        let survey = &mut self.survey;
        let size = u64::try_from(new.found.st_size).unwrap_or(0);
        survey.files += 1;
        survey.bytes = survey.bytes.saturating_add(size);
        match first {
            Some(first) if first.found.st_ino == new.found.st_ino => {}
            Some(_) => survey.changed += 1,
            None => survey.added += 1,
        }
        if old.iter().any(|old| old.found.st_ino == new.found.st_ino) {
            survey.linked += 1;
            return;
        }
        survey.received_bytes = survey.received_bytes.saturating_add(size);
        survey.again = old.first().map_or(survey.again, |old| survey.again.and(self.comparison.of(new, *old)));
        if let Some(look) = &mut self.look {
            look.see(&self.way, &new, first.as_ref());
        }
    }

    fn is_beyond(&self, here: BorrowedFd<'_>, name: &CStr, found: &FileStat) -> bool {
        self.kept.is_some_and(|Kept { ids, lists }| {
            let is_last = |id: u32, count: u32| count.checked_sub(1) == Some(id);
            is_last(found.st_uid, ids.users) || is_last(found.st_gid, ids.groups) || (lists && lists_last(here, name, found, ids))
        })
    }
}

/// Whether an access list of an entry names the last id.
fn lists_last(here: BorrowedFd<'_>, name: &CStr, found: &FileStat, ids: Ids) -> bool {
    let kinds = match kind(found) {
        SFlag::S_IFDIR => &[c"system.posix_acl_access", c"system.posix_acl_default"][..],
        SFlag::S_IFREG => &[c"system.posix_acl_access"],
        _ => &[],
    };
    // There is no call for it that takes a descriptor and a name before Linux 6.13.
    let path = [format!("/proc/self/fd/{}/", here.as_raw_fd()).as_bytes(), name.to_bytes()].concat();
    kinds.iter().any(|kind| list(&path, kind).is_some_and(|list| lists::names_last(&list, ids)))
}

fn list(path: &[u8], kind: &CStr) -> Option<Vec<u8>> {
    let read = |most: usize| {
        let mut bytes = vec![0; most];
        let length = lgetxattr(path, kind, bytes.as_mut_slice())?;
        bytes.truncate(length);
        Ok(bytes)
    };
    match read(USUAL_ACCESS_LIST) {
        Err(rustix::io::Errno::RANGE) => read(MAX_ACCESS_LIST).ok(),
        read => read.ok(),
    }
}

impl Visitor for Counting<'_> {
    type Here = Here;

    fn entry(&mut self, here: &mut Here, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Here>> {
        let Some(found) = self.taken.not_a_placeholder(at, entry)? else { return Ok(Next::Past) };
        self.survey.beyond += u64::from(self.is_beyond(at, entry.name, &found));
        let is_directory = kind(&found) == SFlag::S_IFDIR;
        self.shares.add(allocated(&found), if is_directory { 1 } else { names_of(&found) });
        if is_directory {
            if self.look.is_some() {
                self.way.truncate(here.way);
                self.way.extend_from_slice(entry.name.to_bytes());
                self.way.push(b'/');
            }
            let trees = here.trees.iter().map(|old| old.as_ref().and_then(|old| open_at(old, entry.name).ok())).collect();
            return Ok(Next::Into(Here { trees, way: self.way.len() }));
        }
        self.way.truncate(here.way);
        let side = |directory, found| Side { directory, name: entry.name, found };
        let old = here.trees.iter().map(|old| Some(side(old.as_ref()?.as_fd(), stat(old.as_ref()?.as_fd(), entry.name).ok()?)));
        let old: Vec<_> = old.collect();
        // A directory that has become a file is another thing.
        let first = old.first().copied().flatten().filter(|old| kind(&old.found) != SFlag::S_IFDIR);
        self.file(side(at, found), first, &old.into_iter().flatten().collect::<Vec<_>>());
        Ok(Next::Past)
    }

    /// The client made it unreadable; its files are there and stay uncounted.
    fn unseen(&mut self, error: io::Error) -> io::Result<ControlFlow<()>> {
        self.survey.blind = true;
        if error.kind() == io::ErrorKind::PermissionDenied { Ok(ControlFlow::Continue(())) } else { Err(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

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
        let again = StoredAgain { files: 1, same: 1, ..StoredAgain::default() };
        let found = survey(&new, std::slice::from_ref(&old), &Taken::default(), None, None).unwrap();
        let expected = Survey {
            files: 4,
            linked: 1,
            bytes: 10,
            received_bytes: 5,
            changed: 1,
            added: 2,
            again,
            beyond: 0,
            takes: found.takes,
            blind: false,
        };
        assert_eq!(found, expected);
        let own = |number: u32| Some(Kept { ids: Ids { users: number + 1, groups: u32::MAX }, lists: true });
        let user = fs::metadata(&new).unwrap().uid();
        let beyond = |ids| survey(&new, &[], &Taken::default(), ids, None).unwrap().beyond;
        assert_eq!((beyond(own(user)), beyond(own(user + 1))), (4, 0));
        assert_eq!(
            survey(&new, &[], &Taken::default(), None, None).unwrap(),
            Survey { linked: 0, received_bytes: 10, changed: 0, added: 4, again: StoredAgain::default(), ..expected }
        );
    }
}
