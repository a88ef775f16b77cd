//! A directory of the spool by its descriptor, and the operations in one. Names are single plain
//! components. Nothing here follows a symlink or waits for a pipe.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, open, openat, renameat, renameat2};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, fchmod, fstat, fstatat, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, fsync, geteuid, unlinkat};

use super::SpoolError;
use crate::terms::limits::MAX_SPOOL_NAME;
use crate::terms::text::printable_path;

/// A directory, open.
#[derive(Debug)]
pub(super) struct Inside {
    fd: OwnedFd,
    pub(super) owner: Uid,
    /// Where it was reached, for messages only.
    pub(super) path: PathBuf,
}

/// Whether the name is a single plain component that a gate could have made.
pub(super) fn is_plain(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    first && name.len() <= MAX_SPOOL_NAME && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

impl Inside {
    /// The site's spool, to go through and not to read: accounts may not list it (mode 1730).
    pub(super) fn pass_through(path: &Path) -> Result<Self, SpoolError> {
        Self::open(path, OFlag::O_PATH)
    }

    /// The site's spool, to list it.
    pub(super) fn listing(path: &Path) -> Result<Self, SpoolError> {
        Self::open(path, OFlag::O_RDONLY)
    }

    fn open(path: &Path, how: OFlag) -> Result<Self, SpoolError> {
        let flags = how | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = open(path, flags, Mode::empty()).map_err(|error| SpoolError::io("open", path, error))?;
        Ok(Self { fd, owner: geteuid(), path: path.to_path_buf() })
    }

    /// The directory `name` in this one, which must be `owner`'s and writable for nobody else.
    pub(super) fn enter(&self, name: &str, owner: Uid) -> Result<Self, SpoolError> {
        let path = self.path.join(name);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ELOOP | Errno::ENOTDIR) => return Err(untrusted(&path, "is not a directory")),
            Err(error) => return Err(SpoolError::io("open", &path, error)),
        };
        let stat = fstat(&fd).map_err(|error| SpoolError::io("look at", &path, error))?;
        if stat.st_uid != owner.as_raw() {
            return Err(untrusted(&path, "belongs to somebody else"));
        }
        if stat.st_mode & 0o022 != 0 {
            return Err(untrusted(&path, "can be written by others"));
        }
        Ok(Self { fd, owner, path })
    }

    /// [`Self::enter`] with this directory's owner.
    pub(super) fn enter_own(&self, name: &str) -> Result<Self, SpoolError> {
        self.enter(name, self.owner)
    }

    /// Makes the directory `name` if nothing of that name is there.
    pub(super) fn make(&self, name: &str) -> Result<(), SpoolError> {
        match mkdirat(&self.fd, name, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(error) => Err(SpoolError::io("make", &self.path.join(name), error)),
        }
    }

    /// Up to `most` plain names in it, sorted, and whether there were more or others.
    pub(super) fn names(&self, most: usize) -> Result<(Vec<String>, bool), SpoolError> {
        self.names_like(most, is_plain)
    }

    /// The same of names of another form.
    pub(super) fn names_like(&self, most: usize, is_one: fn(&str) -> bool) -> Result<(Vec<String>, bool), SpoolError> {
        let fail = |error| SpoolError::io("list", &self.path, error);
        // A second descriptor, because a directory stream keeps its place in the one it is given.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut dir = Dir::from_fd(openat(&self.fd, ".", flags, Mode::empty()).map_err(fail)?).map_err(fail)?;
        let mut names = Vec::new();
        let mut strange = false;
        for (seen, entry) in dir.iter().enumerate() {
            let entry = entry.map_err(fail)?;
            // Plain names and others alike cost time, so both count.
            if seen >= most.saturating_mul(2) || names.len() >= most {
                strange = true;
                break;
            }
            match entry.file_name().to_str() {
                Ok("." | "..") => {}
                Ok(name) if is_one(name) => names.push(name.to_owned()),
                _ => strange = true,
            }
        }
        names.sort_unstable();
        Ok((names, strange))
    }

    /// What the regular file `name` holds, up to `limit` bytes; `None` where there is none.
    ///
    /// # Errors
    /// If it is anything but a regular file of the owner, with one link and within the limit.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, SpoolError> {
        let path = self.path.join(name);
        // O_NONBLOCK: a pipe without a writer must not hold up the pass.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ELOOP | Errno::ENXIO) => return Err(untrusted(&path, "is not a regular file")),
            Err(error) => return Err(SpoolError::io("open", &path, error)),
        };
        let stat = fstat(&fd).map_err(|error| SpoolError::io("look at", &path, error))?;
        self.trust(&stat, &path)?;
        if u64::try_from(stat.st_size).unwrap_or(u64::MAX) > limit {
            return Err(untrusted(&path, "is too large"));
        }
        let mut bytes = Vec::new();
        let read = File::from(fd).take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| SpoolError::Io { what: "read", path: printable_path(&path), error })?;
        if bytes.len() as u64 > limit {
            return Err(untrusted(&path, "is too large"));
        }
        Ok(Some(bytes))
    }

    fn trust(&self, stat: &FileStat, path: &Path) -> Result<(), SpoolError> {
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(untrusted(path, "is not a regular file"));
        }
        if stat.st_uid != self.owner.as_raw() {
            return Err(untrusted(path, "belongs to somebody else"));
        }
        if stat.st_nlink != 1 {
            return Err(untrusted(path, "has another name elsewhere"));
        }
        Ok(())
    }

    /// Puts a file with these bytes under `name`, whole or not at all, and durable. It is written
    /// in `tmp` first, and belongs to the directory's owner.
    pub(super) fn replace(&self, tmp: &Self, name: &str, bytes: &[u8]) -> Result<(), SpoolError> {
        let path = tmp.path.join(name);
        let fail = |what| move |error| SpoolError::io(what, &path, error);
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        // The process in the name: two writers of one name never meet in one file.
        let half = format!("{name}.{}", std::process::id());
        match unlinkat(&tmp.fd, half.as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(fail("clear")(error)),
        }
        let fd = openat(&tmp.fd, half.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(fail.clone()("make"))?;
        if geteuid() != self.owner {
            fchown(&fd, Some(self.owner), None).map_err(fail.clone()("give away"))?;
        }
        let mut file = File::from(fd);
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let renamed =
            written.map_err(|error| SpoolError::Io { what: "write", path: printable_path(tmp.path.join(name)), error }).and_then(|()| {
                renameat(&tmp.fd, half.as_str(), &self.fd, name).map_err(|error| SpoolError::io("rename", &self.path.join(name), error))
            });
        if renamed.is_err() {
            let _ = unlinkat(&tmp.fd, half.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        renamed?;
        self.sync()
    }

    /// Sets the directory's times to now, for whoever watches the directory above.
    pub(super) fn touch(&self) {
        // Only wakes a watch sooner than its timer would, so failing is no failure.
        let _ = utimensat(&self.fd, ".", &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW, UtimensatFlags::FollowSymlink);
    }

    /// Opens (or makes) the file that is locked, for the directory's owner.
    pub(super) fn lock_file(&self, name: &str) -> Result<File, SpoolError> {
        let path = self.path.join(name);
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|error| SpoolError::io("open", &path, error))?;
        let stat = fstat(&fd).map_err(|error| SpoolError::io("look at", &path, error))?;
        // Ours until it is given away: a file that root just made is empty and has one link.
        if stat.st_uid != self.owner.as_raw() && stat.st_uid == geteuid().as_raw() && stat.st_nlink == 1 && stat.st_size == 0 {
            fchown(&fd, Some(self.owner), None).map_err(|error| SpoolError::io("give away", &path, error))?;
        } else {
            self.trust(&stat, &path)?;
        }
        Ok(File::from(fd))
    }

    /// Opens the file in which every account locks a byte. If this process owns the directory, it
    /// makes the file, for whoever may write the directory; otherwise somebody else has to.
    pub(super) fn shared_file(&self, name: &str) -> Result<File, SpoolError> {
        let path = self.path.join(name);
        let fail = |what| move |error| SpoolError::io(what, &path, error);
        let here = fstat(&self.fd).map_err(fail.clone()("look at"))?;
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Err(Errno::ENOENT) if here.st_uid == geteuid().as_raw() => {
                let fd = openat(&self.fd, name, flags | OFlag::O_CREAT, Mode::S_IRUSR | Mode::S_IWUSR).map_err(fail.clone()("make"))?;
                // With two at it, each does the same.
                fchown(&fd, None, Some(Gid::from_raw(here.st_gid))).map_err(fail.clone()("give away"))?;
                let group = Mode::from_bits_truncate(here.st_mode & 0o020) | Mode::from_bits_truncate((here.st_mode & 0o020) << 1);
                fchmod(&fd, Mode::S_IRUSR | Mode::S_IWUSR | group).map_err(fail.clone()("open up"))?;
                fd
            }
            other => other.map_err(fail.clone()("open"))?,
        };
        let stat = fstat(&fd).map_err(fail("look at"))?;
        let path = self.path.join(name);
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Err(untrusted(&path, "is not a regular file"));
        }
        // Whoever owns it could take it away and put another in its place.
        if stat.st_uid != here.st_uid {
            return Err(untrusted(&path, "belongs to somebody else than the spool"));
        }
        Ok(File::from(fd))
    }

    /// Moves a file to another directory of the same account.
    pub(super) fn move_to(&self, name: &str, other: &Self) -> Result<(), SpoolError> {
        renameat(&self.fd, name, &other.fd, name).map_err(|error| SpoolError::io("move", &self.path.join(name), error))?;
        other.sync()?;
        self.sync()
    }

    /// Removes a file. One that is gone already is as good.
    pub(super) fn remove(&self, name: &str) -> Result<(), SpoolError> {
        match unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(SpoolError::io("remove", &self.path.join(name), error)),
        }
    }

    /// Gives a file another name. One that is gone already is as good.
    pub(super) fn rename(&self, name: &str, to: &str) -> Result<(), SpoolError> {
        match renameat(&self.fd, name, &self.fd, to) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(SpoolError::io("rename", &self.path.join(name), error)),
        }
    }

    /// Whose the thing of that name is, itself and not what it points to; `None` where there is none.
    pub(super) fn owner_of(&self, name: &str) -> Result<Option<u32>, SpoolError> {
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.st_uid)),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(SpoolError::io("look at", &self.path.join(name), error)),
        }
    }

    /// Moves what has that name into a directory where nothing has the new one, and makes that this
    /// process's alone.
    pub(super) fn hand_over(&self, name: &str, other: &Self, to: &str) -> Result<(), SpoolError> {
        let path = other.path.join(to);
        let moved = renameat2(&self.fd, name, &other.fd, to, RenameFlags::RENAME_NOREPLACE);
        moved.map_err(|error| SpoolError::io("move", &path, error))?;
        let give = fchownat(&other.fd, to, Some(geteuid()), None, AtFlags::AT_SYMLINK_NOFOLLOW);
        give.map_err(|error| SpoolError::io("take", &path, error))?;
        other.sync()?;
        self.sync()
    }

    /// Seconds since the epoch at which `name` was last written, itself and not what it points to.
    pub(super) fn written_at(&self, name: &str) -> Option<i64> {
        fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok().map(|stat| stat.st_mtime)
    }

    /// When `name` itself was last changed in any way.
    pub(super) fn changed_at(&self, name: &str) -> Option<DateTime<Utc>> {
        let stat = fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
        DateTime::from_timestamp(stat.st_ctime, u32::try_from(stat.st_ctime_nsec).ok()?)
    }

    /// Makes renames and removals in it durable.
    pub(super) fn sync(&self) -> Result<(), SpoolError> {
        fsync(self.fd.as_fd()).map_err(|error| SpoolError::io("sync", &self.path, error))
    }
}

fn untrusted(path: &Path, why: &'static str) -> SpoolError {
    SpoolError::Untrusted { path: printable_path(path), why }
}
