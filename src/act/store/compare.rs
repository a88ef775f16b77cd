//! How a file that was stored again differs from the one of its name in the newest snapshot. The
//! look changes nothing, times of access neither.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ffi::{CStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::BorrowedFd;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag};

use super::attributes;
use super::tree::kind;
use crate::terms::limits::MAX_COMPARED;
use crate::terms::record::StoredAgain;

const LISTS: &str = "system.posix_acl_";

/// What it takes to look at a file at all, as so many bytes.
const LOOK: u64 = 1024;

/// The same for an attribute.
const LOOK_AT_ONE: u64 = 64;

/// Compares files, and reads no more of them than it may.
#[derive(Debug)]
pub(super) struct Comparison {
    room: Cell<u64>,
}

impl Comparison {
    pub(super) fn new() -> Self {
        Self { room: Cell::new(MAX_COMPARED) }
    }

    /// What differs between a file and the one that stood in its place. Nothing for one that has
    /// changed in the ordinary way, or cannot be read.
    pub(super) fn of(&self, new: Side<'_>, old: Side<'_>) -> StoredAgain {
        let nothing = StoredAgain::default();
        let facts = |side: &Side<'_>| (kind(&side.found), side.found.st_size);
        if facts(&new) != facts(&old) || kind(&new.found) != SFlag::S_IFREG {
            return nothing;
        }
        let (a, b) = (&new.found, &old.found);
        let times = (a.st_mtime, a.st_mtime_nsec) != (b.st_mtime, b.st_mtime_nsec);
        let (mode, owner) = (a.st_mode != b.st_mode, (a.st_uid, a.st_gid) != (b.st_uid, b.st_gid));
        let count = u64::from;
        // What needs no look is counted where nothing more may be read.
        let is_known = !times && (mode || owner);
        let known =
            StoredAgain { files: count(is_known), mode: count(is_known && mode), owner: count(is_known && owner), more: !times, ..nothing };
        if !self.may_read(LOOK) {
            return known;
        }
        let (Ok(new_file), Ok(old_file)) = (new.open(), old.open()) else { return nothing };
        let Ok(differ) = self.attributes_differ(&new_file, &old_file) else { return nothing };
        let Some((list, attributes)) = differ else { return known };
        let metadata = mode || owner || list || attributes;
        // Same size and time is the same to rsync, unless nothing else says why it was stored.
        let content = if metadata && !times { Some(false) } else { self.content_differs(new_file, old_file, new.found.st_size) };
        match content {
            Some(false) => StoredAgain {
                files: 1,
                same: count(!metadata && !times),
                mode: count(mode),
                owner: count(owner),
                times: count(times),
                access_list: count(list),
                attributes: count(attributes),
                ..nothing
            },
            Some(true) if !times => StoredAgain { files: 1, content: 1, ..nothing },
            Some(true) => nothing,
            None => StoredAgain { more: !times, ..nothing },
        }
    }

    fn may_read(&self, bytes: u64) -> bool {
        self.room.get().checked_sub(bytes).map(|room| self.room.set(room)).is_some()
    }

    /// Whether the access lists do, and whether other attributes do; `None` where that takes too
    /// long. A file may have hundreds of megabytes of them (xattr(7)), so one is read at a time.
    fn attributes_differ(&self, new: &File, old: &File) -> io::Result<Option<(bool, bool)>> {
        let names: BTreeSet<OsString> = attributes::names(new)?.into_iter().chain(attributes::names(old)?).collect();
        let (mut list, mut others) = (false, false);
        for name in names {
            let differs = if name.as_encoded_bytes().starts_with(LISTS.as_bytes()) { &mut list } else { &mut others };
            if *differs {
                continue;
            }
            let (new_has, old_has) = (attributes::get(new, &name)?, attributes::get(old, &name)?);
            let size = new_has.iter().chain(&old_has).fold(LOOK_AT_ONE, |sum, value| sum.saturating_add(value.len() as u64));
            if !self.may_read(size) {
                return Ok(None);
            }
            *differs = new_has != old_has;
        }
        Ok(Some((list, others)))
    }

    /// Whether it does; `None` where that cannot be found out, or would take too long.
    fn content_differs(&self, mut new: File, mut old: File, size: i64) -> Option<bool> {
        if !self.may_read(u64::try_from(size).ok()?) {
            return None;
        }
        let (mut one, mut other) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        loop {
            let (read, of_other) = (fill(&mut new, &mut one).ok()?, fill(&mut old, &mut other).ok()?);
            if one.get(..read) != other.get(..of_other) {
                return Some(true);
            }
            if read < one.len() {
                return Some(false);
            }
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) directory: BorrowedFd<'a>,
    pub(super) name: &'a CStr,
    pub(super) found: FileStat,
}

impl Side<'_> {
    /// Opens a file for reading, and leaves its time of access alone.
    pub(super) fn open(&self) -> nix::Result<File> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOATIME;
        openat(self.directory, self.name, flags, Mode::empty()).map(File::from)
    }
}

/// Reads as much as there is room for, and less at the end alone.
pub(crate) fn fill(file: &mut File, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::time::{Duration, UNIX_EPOCH};

    use crate::act::store::tree::{open, stat};

    fn compared(root: &Path, comparison: &Comparison) -> StoredAgain {
        let (new, old) = (open(&root.join("new")).unwrap(), open(&root.join("old")).unwrap());
        let side = |directory| Side { directory, name: c"file", found: stat(directory, c"file").unwrap() };
        comparison.of(side(new.as_fd()), side(old.as_fd()))
    }

    fn pair() -> (tempfile::TempDir, File) {
        let root = tempfile::tempdir().unwrap();
        for tree in ["old", "new"] {
            fs::create_dir(root.path().join(tree)).unwrap();
            fs::write(root.path().join(tree).join("file"), vec![b'x'; 200_000]).unwrap();
            at(&root.path().join(tree).join("file"), 1);
        }
        let new = File::options().read(true).write(true).open(root.path().join("new/file")).unwrap();
        (root, new)
    }

    fn at(path: &Path, seconds: u64) {
        File::options().write(true).open(path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn what_differs_is_named_and_nothing_else() {
        let one = StoredAgain { files: 1, ..StoredAgain::default() };
        type Change = fn(&Path, &File);
        let cases: &[(StoredAgain, Change)] = &[
            (StoredAgain { same: 1, ..one }, |_, _| ()),
            (StoredAgain { mode: 1, ..one }, |_, file| file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap()),
            (StoredAgain { times: 1, ..one }, |path, _| at(path, 2)),
            (StoredAgain { content: 1, ..one }, |path, _| {
                fs::write(path, [vec![b'x'; 199_999], vec![b'y']].concat()).unwrap();
                at(path, 1);
            }),
            (StoredAgain { attributes: 1, ..one }, |_, file| attributes::set(file, "user.x".as_ref(), b"1").unwrap()),
            (StoredAgain { times: 1, mode: 1, ..one }, |path, file| {
                at(path, 2);
                file.set_permissions(fs::Permissions::from_mode(0o755)).unwrap();
            }),
            // What has changed is no file that was stored again.
            (StoredAgain::default(), |path, _| fs::write(path, "shorter").unwrap()),
            (StoredAgain::default(), |path, _| fs::write(path, vec![b'y'; 200_000]).unwrap()),
        ];
        for (number, (expected, change)) in cases.iter().enumerate() {
            let (root, new) = pair();
            new.set_permissions(fs::Permissions::from_mode(0o644)).unwrap();
            fs::set_permissions(root.path().join("old/file"), fs::Permissions::from_mode(0o644)).unwrap();
            change(&root.path().join("new/file"), &new);
            assert_eq!(compared(root.path(), &Comparison::new()), *expected, "{number}");
        }
    }

    #[test]
    fn no_more_is_read_than_may_be_and_what_was_not_read_is_not_called_the_same() {
        let (root, _new) = pair();
        let comparison = Comparison { room: Cell::new(300_000) };
        assert_eq!(compared(root.path(), &comparison).same, 1);
        let second = compared(root.path(), &comparison);
        assert_eq!(second, StoredAgain { more: true, ..StoredAgain::default() });
        fs::set_permissions(root.path().join("new/file"), fs::Permissions::from_mode(0o640)).unwrap();
        let third = compared(root.path(), &Comparison { room: Cell::new(0) });
        assert_eq!((third.files, third.mode, third.more), (1, 1, true));
    }

    #[test]
    fn attributes_are_read_as_far_as_may_be_like_everything_else() {
        let (root, new) = pair();
        let old = File::open(root.path().join("old/file")).unwrap();
        for number in 0..20 {
            for file in [&new, &old] {
                attributes::set(file, format!("user.{number}").as_ref(), &[b'x'; 100]).unwrap();
            }
        }
        let with = |room| compared(root.path(), &Comparison { room: Cell::new(room) });
        assert_eq!(with(LOOK + 2000), StoredAgain { more: true, ..StoredAgain::default() });
        assert_eq!(with(LOOK + 6000 + 200_000).same, 1);
    }

    #[test]
    fn the_look_leaves_no_trace() {
        let (root, _new) = pair();
        let accessed = |tree: &str| fs::metadata(root.path().join(tree).join("file")).unwrap().accessed().unwrap();
        let before = (accessed("old"), accessed("new"));
        std::thread::sleep(Duration::from_millis(20));
        compared(root.path(), &Comparison::new());
        assert_eq!((accessed("old"), accessed("new")), before);
    }
}
