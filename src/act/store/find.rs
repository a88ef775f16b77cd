//! A place in a snapshot, for root to copy from.
//!
//! Every name below the repository is a client's or an account's, so a place must never be reached
//! through a symbolic link. It is opened once, and used by its descriptor.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{SFlag, fstatat};
use nix::unistd::fchdir;

use super::Repository;
use super::tree::{self, kind};
use crate::terms::limits::MAX_NAMES_READ;
use crate::terms::text::printable_path;
use crate::terms::word::nearest;
use crate::terms::{SnapshotName, SubPath};

/// A place that is there.
#[derive(Debug)]
pub struct Found {
    directory: OwnedFd,
    name: Option<OsString>,
}

impl Repository {
    /// The one of these snapshots that `current` leads to.
    pub fn current_of<'a>(&self, names: &'a [SnapshotName]) -> Option<&'a SnapshotName> {
        let target = fs::read_link(self.current()).ok()?;
        let name = target.strip_prefix("snapshots").ok()?.to_str()?.to_owned();
        names.iter().find(|one| one.as_str() == name)
    }

    /// Finds a place in a snapshot.
    pub fn find(&self, snapshot: &SnapshotName, place: &SubPath) -> Result<Found, String> {
        let path = snapshot.below(Path::new("snapshots"));
        let say = |error: Errno| match error {
            Errno::ENOENT | Errno::ENOTDIR => format!("there is no `{place}` in {snapshot}\nlook at the spelling"),
            Errno::ELOOP => format!("`{place}` runs through a symlink in {snapshot}\nname the place that the symlink leads to"),
            error => format!("looking at `{place}` in {snapshot}: {}", error.desc()),
        };
        let root = File::open(self.root()).map_err(|error| format!("opening `{}`: {error}", printable_path(self.root())))?;
        let find = || {
            let whole = place.below(&path);
            let last = if place.is_whole() { None } else { whole.file_name() };
            let Some(last) = last else { return Ok(Found { directory: directory(&root, &whole)?, name: None }) };
            let above = directory(&root, whole.parent().unwrap_or(&path))?;
            let found = fstatat(&above, last, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            if kind(&found) == SFlag::S_IFDIR {
                return Ok(Found { directory: directory(&above, Path::new(last))?, name: None });
            }
            Ok(Found { directory: above, name: Some(last.to_owned()) })
        };
        find().map_err(say)
    }
}

impl Repository {
    /// Keeps a snapshot from being removed as long as this is open (flock(2)).
    ///
    /// # Errors
    /// Also where it went while the reaper had it.
    pub fn keep_for_reading(&self, snapshot: &SnapshotName) -> io::Result<File> {
        let how = OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC).resolve(INSIDE);
        let root = File::open(self.root())?;
        let path = snapshot.below(Path::new("snapshots"));
        let open = || openat2(&root, path.as_path(), how).map(File::from);
        let directory = open()?;
        directory.lock_shared()?;
        // Whoever had the lock may have moved it to where it is removed.
        let (there, locked) = (open()?.metadata()?, directory.metadata()?);
        if (there.dev(), there.ino()) != (locked.dev(), locked.ino()) {
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        Ok(directory)
    }
}

impl Found {
    /// What it is called in its directory; `None` where it is a directory, and that itself.
    pub fn name(&self) -> Option<&OsStr> {
        self.name.as_deref()
    }

    /// Has this process, and whatever it becomes or starts, stand in the place's directory.
    pub fn stand_in(&self) -> io::Result<()> {
        Ok(fchdir(&self.directory)?)
    }
}

const INSIDE: ResolveFlag = ResolveFlag::RESOLVE_BENEATH.union(ResolveFlag::RESOLVE_NO_SYMLINKS).union(ResolveFlag::RESOLVE_NO_MAGICLINKS);

impl Repository {
    /// What is there and is spelled nearly as a place that is not: the names up to the one that is
    /// missing, with another in its place.
    pub fn nearest(&self, snapshot: &SnapshotName, place: &SubPath) -> Option<SubPath> {
        let root = File::open(self.root()).ok()?;
        let top = snapshot.below(Path::new("snapshots"));
        let names: Vec<_> = place.components().collect();
        let is_there = |count: &usize| {
            let above: PathBuf = names.iter().take(*count).collect();
            directory(&root, &top.join(above)).is_ok()
        };
        let known = (0..names.len()).rev().find(is_there)?;
        let above: PathBuf = names.iter().take(known).collect();
        let how = OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC).resolve(INSIDE);
        let opened = openat2(&root, &top.join(&above), how).ok()?;
        let mut there = Vec::new();
        let listed = tree::find(opened.as_fd(), |entry| {
            there.extend(entry.name.to_str().ok().map(str::to_owned));
            Ok((there.len() as u64 >= MAX_NAMES_READ).then_some(()))
        });
        listed.ok()?;
        let missing = names.get(known)?.to_str()?;
        // What is there and is no way is not a mistake of spelling.
        if there.iter().any(|name| name == missing) {
            return None;
        }
        let near = nearest(missing, there.iter().map(String::as_str))?;
        SubPath::parse(Path::new(".").join(above).join(near).as_os_str().as_bytes()).ok()
    }
}

/// Opens a directory beneath another, for what is done by its descriptor: it need not be readable.
pub(super) fn directory(beneath: &impl AsFd, path: &Path) -> nix::Result<OwnedFd> {
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC);
    openat2(beneath.as_fd(), path, how.resolve(INSIDE))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::terms::NamePattern;

    #[test]
    fn a_place_is_found_and_no_symlink_is_a_way_to_it() {
        let root = tempfile::tempdir().unwrap();
        let name = NamePattern::default().read("2026-11-21T02-00-00Z").unwrap();
        let snapshot = name.below(&root.path().join("snapshots"));
        fs::create_dir_all(snapshot.join("etc/deep")).unwrap();
        fs::write(snapshot.join("etc/hosts"), "x").unwrap();
        symlink("etc", snapshot.join("link")).unwrap();
        symlink("/etc", snapshot.join("out")).unwrap();
        let repository = Repository::at(root.path());
        let found = |place: &str| repository.find(&name, &SubPath::parse(place).unwrap());
        for (place, file) in [("", None), ("etc", None), ("etc/deep", None), ("etc/hosts", Some("hosts")), ("link", Some("link"))] {
            assert_eq!(found(place).unwrap().name(), file.map(OsStr::new), "{place}");
        }
        for (place, why) in [
            ("link/hosts", "runs through a symlink"),
            ("out/passwd", "runs through a symlink"),
            ("etc/missing", "there is no"),
            ("etc/hosts/x", "there is no"),
        ] {
            assert!(found(place).unwrap_err().contains(why), "{place}");
        }
        let near = |place: &str| repository.nearest(&name, &SubPath::parse(place).unwrap()).map(|place| place.to_string());
        assert_eq!((near("etc/hostz"), near("ect/hosts")), (Some("etc/hosts".to_owned()), Some("etc".to_owned())));
        assert_eq!((near("etc/another"), near("link/hosts"), near("out/passwd")), (None, None, None));
        // Nor is one that stands for the snapshot, or for all of them.
        fs::rename(root.path().join("snapshots"), root.path().join("elsewhere")).unwrap();
        symlink("elsewhere", root.path().join("snapshots")).unwrap();
        assert!(found("etc").is_err());
    }

    #[test]
    fn what_goes_while_somebody_waits_to_read_it_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        let name = NamePattern::default().read("2026-11-21T02-00-00Z").unwrap();
        let snapshot = name.below(&root.path().join("snapshots"));
        fs::create_dir_all(&snapshot).unwrap();
        let repository = Repository::at(root.path());
        for is_given_again in [false, true] {
            let reaper = File::open(&snapshot).unwrap();
            reaper.lock().unwrap();
            let read = std::thread::scope(|scope| {
                let reader = scope.spawn(|| repository.keep_for_reading(&name));
                let locks = || fs::read_to_string("/proc/locks").unwrap();
                let is_waited_for = |line: &str| line.contains("->") && line.contains(&format!(":{} ", reaper.metadata().unwrap().ino()));
                while !locks().lines().any(is_waited_for) && !reader.is_finished() {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                fs::rename(&snapshot, root.path().join(format!("gone{is_given_again}"))).unwrap();
                if is_given_again {
                    fs::create_dir(&snapshot).unwrap();
                }
                drop(reaper);
                reader.join().unwrap()
            });
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::NotFound);
            fs::create_dir_all(&snapshot).unwrap();
        }
    }
}
