//! Whether what was restored is what is stored: byte by byte, and attribute by attribute.
//!
//! Both trees are looked at by descriptor and through no link. Nothing in either is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag};

use crate::act::store::attributes;
use crate::act::store::find::directory;
use crate::act::store::tree::{c_string, kind, stat};
use crate::terms::limits::MAX_REPORTED_SNAPSHOTS;
use crate::terms::text::printable_path;

/// Attributes that say something of the machine, and that no restore brings along.
const OF_THE_MACHINE: [&str; 3] = ["security.selinux", "security.ima", "security.evm"];

/// What rsync puts before what a symlink leads to (`SYMLINK_PREFIX` in its rsync.h).
const MUNGED: &[u8] = b"/rsyncd-munged/";

/// What was found.
#[derive(Debug, Default)]
pub struct Same {
    /// Files that were compared.
    pub files: u64,
    /// Directories that they are in.
    pub directories: u64,
    /// Bytes that were read of each of both.
    pub bytes: u64,
    /// Of the files, those whose content nobody here may read: their attributes were compared.
    pub unread: u64,
    /// What is not the same, the first of it.
    pub differences: Vec<String>,
    /// How much there is besides.
    pub others: u64,
}

/// Compares these paths in two trees, and the directories that they are in. Where symlinks are
/// stored `munged`, what is restored leads where they led before.
///
/// # Errors
/// When one of the trees is not there.
pub fn same<'a>(stored: &Path, restored: &Path, munged: bool, paths: impl Iterator<Item = &'a [u8]>) -> io::Result<Same> {
    let mut comparing =
        Comparing { munged, stored: File::open(stored)?, restored: File::open(restored)?, inodes: BTreeMap::new(), found: Same::default() };
    // Each directory once, whether it was named or something in it.
    let mut seen = BTreeSet::new();
    for path in paths {
        let path = Path::new(OsStr::from_bytes(path));
        for place in path.ancestors().filter(|place| !place.as_os_str().is_empty()) {
            if !seen.insert(place.to_path_buf()) {
                break;
            }
            comparing.look(place);
        }
    }
    Ok(comparing.found)
}

struct Comparing {
    munged: bool,
    stored: File,
    restored: File,
    /// The inode in the copy for each one with several names in the store.
    inodes: BTreeMap<(u64, u64), (u64, u64)>,
    found: Same,
}

/// One of both.
struct Side {
    above: OwnedFd,
    found: FileStat,
}

impl Comparing {
    fn look(&mut self, path: &Path) {
        match self.differs(path) {
            Ok(None) => {}
            Ok(Some(what)) => self.tell(path, &what),
            Err(error) => self.tell(path, &format!("cannot be compared: {error}")),
        }
    }

    fn tell(&mut self, path: &Path, what: &str) {
        if self.found.differences.len() < MAX_REPORTED_SNAPSHOTS {
            self.found.differences.push(format!("`{}` {what}", printable_path(path)));
        } else {
            self.found.others += 1;
        }
    }

    /// What differs, if anything does.
    fn differs(&mut self, path: &Path) -> io::Result<Option<String>> {
        let name = c_string(path.file_name().unwrap_or_default())?;
        let side = |root: &File| -> nix::Result<Side> {
            let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let above = directory(root, above)?;
            let found = stat(above.as_fd(), &name).map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
            Ok(Side { above, found })
        };
        let stored = side(&self.stored)?;
        let restored = match side(&self.restored) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Some("was not restored".to_owned())),
            side => side?,
        };
        let (a, b) = (&stored.found, &restored.found);
        let (is_directory, is_link) = (kind(a) == SFlag::S_IFDIR, kind(a) == SFlag::S_IFLNK);
        if is_directory {
            self.found.directories += 1;
        } else {
            self.found.files += 1;
        }
        if kind(a) != kind(b) {
            return Ok(Some("is of another kind".to_owned()));
        }
        let mut what = Vec::new();
        let mut compare = |differs: bool, said: String| what.extend(differs.then_some(said));
        compare(!is_directory && !is_link && a.st_size != b.st_size, format!("has {} bytes instead of {}", b.st_size, a.st_size));
        compare(a.st_mode != b.st_mode, format!("has mode {:o} instead of {:o}", b.st_mode & 0o7777, a.st_mode & 0o7777));
        let owners = ((a.st_uid, a.st_gid), (b.st_uid, b.st_gid));
        compare(owners.0 != owners.1, format!("belongs to {}:{} instead of {}:{}", b.st_uid, b.st_gid, a.st_uid, a.st_gid));
        compare((a.st_mtime, a.st_mtime_nsec) != (b.st_mtime, b.st_mtime_nsec), "has another time".to_owned());
        if is_link {
            let target = |side: &Side| readlinkat(&side.above, &*name);
            let (led, leads) = (target(&stored)?, target(&restored)?);
            let was = led.as_bytes().strip_prefix(MUNGED).filter(|_| self.munged).unwrap_or(led.as_bytes());
            compare(was != leads.as_bytes(), "leads elsewhere".to_owned());
        } else if [SFlag::S_IFCHR, SFlag::S_IFBLK].contains(&kind(a)) {
            compare(a.st_rdev != b.st_rdev, "is another device".to_owned());
        } else if is_directory || kind(a) == SFlag::S_IFREG {
            // No socket can be opened, and to open a device may do something.
            let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
            let open = |side: &Side| openat(&side.above, &*name, flags, Mode::empty()).map(File::from);
            match (open(&stored), open(&restored)) {
                (Err(Errno::EACCES | Errno::EPERM), _) | (_, Err(Errno::EACCES | Errno::EPERM)) => self.found.unread += 1,
                (stored, restored) => {
                    let (stored, restored) = (stored?, restored?);
                    what.extend(attributes_differ(&stored, &restored)?);
                    if !is_directory && a.st_size == b.st_size {
                        what.extend(content_differs(stored, restored, &mut self.found.bytes)?);
                    }
                }
            }
        }
        if !is_directory && a.st_nlink > 1 {
            let copy = (b.st_dev, b.st_ino);
            let known = *self.inodes.entry((a.st_dev, a.st_ino)).or_insert(copy);
            what.extend((known != copy).then(|| "is no longer the same file as its hard link".to_owned()));
        }
        Ok((!what.is_empty()).then(|| what.join(", ")))
    }
}

fn attributes_differ(stored: &File, restored: &File) -> io::Result<Option<String>> {
    let names: BTreeSet<OsString> = attributes::names(stored)?.into_iter().chain(attributes::names(restored)?).collect();
    for name in names.iter().filter(|name| !OF_THE_MACHINE.iter().any(|other| name == other)) {
        if attributes::get(stored, name)? != attributes::get(restored, name)? {
            return Ok(Some(format!("has another `{}`", printable_path(name))));
        }
    }
    Ok(None)
}

fn content_differs(mut stored: File, mut restored: File, bytes: &mut u64) -> io::Result<Option<String>> {
    let (mut one, mut other) = (vec![0; 128 * 1024], vec![0; 128 * 1024]);
    let mut at = 0_u64;
    loop {
        let read = stored.read(&mut one)?;
        let (Some(one), Some(other)) = (one.get(..read), other.get_mut(..read)) else { return Ok(None) };
        match restored.read_exact(other) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Some("is shorter".to_owned())),
            read => read?,
        }
        if let Some(place) = one.iter().zip(other.iter()).position(|(one, other)| one != other) {
            return Ok(Some(format!("has other content from byte {} on", at + place as u64)));
        }
        if read == 0 {
            return Ok(None);
        }
        at += read as u64;
        *bytes += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::process::Command;
    use std::time::{Duration, SystemTime};

    const PATHS: [&str; 5] = ["d/file", "d/other", "d/link", "d/twin", "top"];

    /// A tree, and a copy of it in which something was changed.
    fn compared(change: impl FnOnce(&Path)) -> Same {
        let root = tempfile::tempdir().unwrap();
        let (stored, restored) = (root.path().join("stored"), root.path().join("restored"));
        fs::create_dir_all(stored.join("d")).unwrap();
        for file in ["d/file", "d/other", "top"] {
            fs::write(stored.join(file), vec![b'x'; 200_000]).unwrap();
        }
        symlink("file", stored.join("d/link")).unwrap();
        fs::hard_link(stored.join("d/file"), stored.join("d/twin")).unwrap();
        attributes::set(File::open(stored.join("d/file")).unwrap(), "user.note".as_ref(), b"1").unwrap();
        let copied = Command::new("cp").arg("-a").args([&stored, &restored]).status().unwrap();
        assert!(copied.success());
        change(&restored);
        same(&stored, &restored, false, PATHS.iter().map(|path| path.as_bytes())).unwrap()
    }

    fn kept_times(path: &Path, change: impl FnOnce()) {
        let times = fs::metadata(path).unwrap().modified().unwrap();
        change();
        File::options().read(true).open(path).unwrap().set_modified(times).unwrap();
    }

    #[test]
    fn what_is_the_same_is_told_of_in_figures_alone() {
        let found = compared(|_| ());
        assert_eq!((found.files, found.directories, found.bytes, found.unread), (5, 1, 800_000, 0));
        assert_eq!((found.differences.as_slice(), found.others), (&[][..], 0));
    }

    #[test]
    fn what_is_no_file_is_compared_without_being_opened() {
        let root = tempfile::tempdir().unwrap();
        let (stored, restored) = (root.path().join("stored"), root.path().join("restored"));
        fs::create_dir(&stored).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(stored.join("socket")).unwrap();
        nix::unistd::mkfifo(&stored.join("pipe"), Mode::S_IRUSR).unwrap();
        assert!(Command::new("cp").arg("-a").args([&stored, &restored]).status().unwrap().success());
        let compared = || same(&stored, &restored, false, ["socket", "pipe"].iter().map(|path| path.as_bytes())).unwrap();
        assert_eq!((compared().files, compared().differences.as_slice()), (2, &[][..]));
        fs::set_permissions(restored.join("socket"), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(compared().differences[0].contains("`socket` has mode 600 instead of "));
    }

    #[test]
    fn whatever_differs_is_named_and_nothing_else_is() {
        type Change = fn(&Path);
        let cases: [(Change, &str); 10] = [
            (
                |copy| {
                    kept_times(&copy.join("top"), || {
                        let mut bytes = vec![b'x'; 200_000];
                        bytes[150_000] = b'y';
                        fs::write(copy.join("top"), bytes).unwrap();
                    })
                },
                "`top` has other content from byte 150000 on",
            ),
            (|copy| kept_times(&copy.join("top"), || fs::write(copy.join("top"), "x").unwrap()), "`top` has 1 bytes instead of 200000"),
            (
                |copy| fs::set_permissions(copy.join("d/other"), fs::Permissions::from_mode(0o600)).unwrap(),
                "`d/other` has mode 600 instead of 644",
            ),
            (|copy| kept_times(&copy.join("d"), || fs::remove_file(copy.join("d/other")).unwrap()), "`d/other` was not restored"),
            (
                |copy| {
                    File::options()
                        .read(true)
                        .open(copy.join("top"))
                        .unwrap()
                        .set_modified(SystemTime::now() + Duration::from_nanos(1))
                        .unwrap()
                },
                "`top` has another time",
            ),
            (
                |copy| {
                    kept_times(&copy.join("d"), || {
                        fs::remove_file(copy.join("d/link")).unwrap();
                        fs::write(copy.join("d/link"), "file").unwrap();
                    })
                },
                "`d/link` is of another kind",
            ),
            (
                |copy| {
                    kept_times(&copy.join("d"), || {
                        fs::copy(copy.join("d/twin"), copy.join("new")).unwrap();
                        Command::new("cp")
                            .args(["-a", "--remove-destination"])
                            .args([copy.join("d/file"), copy.join("new")])
                            .status()
                            .unwrap();
                        fs::rename(copy.join("new"), copy.join("d/twin")).unwrap();
                    })
                },
                "`d/twin` is no longer the same file as its hard link",
            ),
            (
                |copy| attributes::set(File::open(copy.join("d/other")).unwrap(), "user.more".as_ref(), b"1").unwrap(),
                "`d/other` has another `user.more`",
            ),
            (
                |copy| attributes::set(File::open(copy.join("d")).unwrap(), "user.more".as_ref(), b"1").unwrap(),
                "`d` has another `user.more`",
            ),
            (|copy| fs::set_permissions(copy.join("d"), fs::Permissions::from_mode(0o700)).unwrap(), "`d` has mode 700 instead of 755"),
        ];
        for (change, expected) in cases {
            assert_eq!(compared(change).differences, [expected]);
        }
    }
}
