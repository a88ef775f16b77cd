//! What a client has on the server besides its account: a file of keys and a repository. For root.
//!
//! One process at a time makes and removes clients. What stands in the place of a repository is
//! never followed, taken over or emptied: it is a directory of the client's account, or an error.

mod fault;

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, RenameFlags, open, openat, renameat2};
use nix::libc;
use nix::sys::stat::{Mode, mkdirat};

pub use crate::act::config::edit::{Owner, change, gone, policy_file, write};
use crate::decide::clients::steps::Place;
use crate::terms::limits::{MAX_KEY_FILE, MAX_MOUNTINFO};

pub use fault::after;

/// The directory of files of keys, beside the policies: sshd asks for `keys/<account>`.
pub const KEYS: &str = "keys";

/// Held by whoever makes or removes a client.
const LOCK: &str = ".clients.lock";

/// Nobody else makes or removes a client while this is held.
#[derive(Debug)]
pub struct Taken(#[expect(dead_code, reason = "it is held")] File);

/// Waits for its turn.
///
/// # Errors
/// When the directory of settings cannot be written.
pub fn take(config: &Path) -> io::Result<Taken> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(config.join(LOCK))?;
    file.lock()?;
    Ok(Taken(file))
}

/// Where an account's keys are.
pub fn key_file(config: &Path, account: &str) -> PathBuf {
    config.join(KEYS).join(account)
}

/// A file of the administrator's; `None` where there is none.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let text = String::from_utf8(crate::act::store::disk::read_bounded(file, MAX_KEY_FILE)?);
    text.map(Some).map_err(|_| io::Error::other("it is no text"))
}

/// Makes a directory with this owner and mode. One that is there stays as it is.
pub fn directory(path: &Path, owner: Owner) -> io::Result<bool> {
    match fs::DirBuilder::new().create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => return Ok(false),
        made => made?,
    }
    give(&opened(path)?, owner)?;
    Ok(true)
}

fn give(file: &File, owner: Owner) -> io::Result<()> {
    fchown(file, Some(owner.user), Some(owner.group))?;
    file.set_permissions(fs::Permissions::from_mode(owner.mode))
}

/// A directory by its own name: no link in its place is followed.
fn opened(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(File::from(open(path, flags, Mode::empty())?))
}

/// What stands in the place of a repository.
pub fn place(path: &Path) -> io::Result<Place> {
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Place::Missing),
        found => found?,
    };
    Ok(match found.file_type() {
        kind if kind.is_dir() && found.uid() == 0 && fs::read_dir(path)?.next().is_none() => Place::Begun,
        kind if kind.is_dir() => Place::Directory(found.uid(), found.mode() & 0o022 != 0),
        kind if kind.is_symlink() => Place::Link,
        _ => Place::Other,
    })
}

/// The first directory above a repository that is not root's alone, where there is one: whoever has a
/// hand in it could lead elsewhere what root does with the repository. It may be reached by links of
/// root's.
pub fn not_roots_alone(path: &Path) -> io::Result<Option<PathBuf>> {
    let Some(parent) = path.parent() else { return Ok(Some(path.to_path_buf())) };
    // A ring of links has no end. Those in directories of root's alone stay what they are.
    fs::canonicalize(parent)?;
    // A name at a time, as the kernel goes, so that every directory is seen that a link leads through.
    let mut left = names(parent);
    let mut above = PathBuf::from("/");
    while let Some(name) = left.pop() {
        if name.as_os_str() == ".." {
            above.pop();
            continue;
        }
        let here = above.join(name);
        let found = fs::symlink_metadata(&here)?;
        if found.uid() != 0 || (!found.is_symlink() && found.mode() & 0o022 != 0) {
            return Ok(Some(here));
        }
        if found.is_symlink() {
            left.extend(names(&fs::read_link(&here)?));
        } else {
            above = here;
        }
    }
    Ok(None)
}

/// The names of a path, the last one first. The root is one, which leads back to it.
fn names(path: &Path) -> Vec<PathBuf> {
    path.components().rev().filter(|name| *name != Component::CurDir).map(|name| name.as_os_str().into()).collect()
}

/// Makes a repository. It is root's until all is done: then nobody else has had a hand in it.
pub fn make_repository(path: &Path, user: u32, group: u32) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(io::Error::other("it has no name")) };
    let store = File::open(parent)?;
    match mkdirat(&store, name, Mode::from_bits_truncate(0o700)) {
        // Of a run that was killed here.
        Err(Errno::EEXIST) if place(path)? == Place::Begun => {}
        made => made?,
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let made = File::from(openat(&store, name, flags, Mode::empty())?);
    give(&made, Owner { user, group, mode: 0o700 })?;
    store.sync_all()
}

/// Shuts a repository to all but root, if it is this account's: its number may be another's soon.
/// Returns whether it was.
pub fn close(path: &Path, user: u32) -> io::Result<bool> {
    let directory = match opened(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        directory => directory?,
    };
    if directory.metadata()?.uid() != user {
        return Ok(false);
    }
    directory.set_permissions(fs::Permissions::from_mode(0o700))?;
    fchown(&directory, Some(0), Some(0))?;
    Ok(true)
}

/// Whether it is a directory of root's that nobody else can enter.
pub fn is_shut(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir() && found.uid() == 0 && found.mode() & 0o077 == 0)
}

/// The directories in the store that are this account's, and what could not be looked at: a disk that is
/// dead is somebody else's.
pub fn of_account(store: &Path, user: u32) -> (Vec<PathBuf>, Vec<(PathBuf, io::Error)>) {
    let (mut found, mut unseen) = (Vec::new(), Vec::new());
    let entries = match fs::read_dir(store) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return (found, unseen),
        Err(error) => return (found, vec![(store.to_path_buf(), error)]),
    };
    for entry in entries {
        let (path, looked) = match entry {
            Ok(entry) => (entry.path(), entry.metadata()),
            Err(error) => (store.to_path_buf(), Err(error)),
        };
        match looked {
            Ok(stat) if stat.is_dir() && stat.uid() == user => found.push(path),
            Err(error) if error.kind() != ErrorKind::NotFound => unseen.push((path, error)),
            _ => {}
        }
    }
    (found, unseen)
}

/// What tells a directory from others in the same store, whatever it is called.
pub fn number(path: &Path) -> io::Result<u64> {
    fs::symlink_metadata(path).map(|found| found.ino())
}

/// Calls something by another name, in whose place nothing stands.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE)?;
    File::open(to.parent().unwrap_or(to))?.sync_all()
}

/// What is mounted beneath a directory, by the kernel's list.
pub fn mounted_beneath(path: &Path) -> io::Result<Option<String>> {
    let path = fs::canonicalize(path)?;
    let list =
        String::from_utf8_lossy(&crate::act::store::disk::read_bounded(File::open("/proc/self/mountinfo")?, MAX_MOUNTINFO)?).into_owned();
    // It has blanks as octal numbers (proc_pid_mountinfo(5)).
    let beneath =
        format!("{}/", path.to_string_lossy().replace('\\', r"\134").replace(' ', r"\040").replace('\t', r"\011").replace('\n', r"\012"));
    let point = |line: &str| line.split(' ').nth(4).filter(|point| format!("{point}/").starts_with(&beneath)).map(str::to_owned);
    Ok(list.lines().find_map(point))
}

/// Removes a repository in which nothing is yet.
pub fn unmade(path: &Path) -> io::Result<()> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_gone_or_cannot_be_read_keeps_no_client() {
        let work = tempfile::tempdir().unwrap();
        let (store, file) = (work.path().join("store"), work.path().join("file"));
        let user = nix::unistd::geteuid().as_raw();
        let looked = |store: &Path, user| {
            let (found, unseen) = of_account(store, user);
            (found, unseen.into_iter().map(|(path, _)| path).collect::<Vec<_>>())
        };
        assert_eq!(looked(&store, user), (vec![], vec![]));
        fs::write(&file, "").unwrap();
        assert_eq!(looked(&file, user), (vec![], vec![file.clone()]));
        fs::create_dir_all(store.join("web1")).unwrap();
        fs::write(store.join("file"), "").unwrap();
        std::os::unix::fs::symlink("/nowhere", store.join("link")).unwrap();
        assert_eq!(looked(&store, user), (vec![store.join("web1")], vec![]));
        assert_eq!(looked(&store, user + 1), (vec![], vec![]));
    }
}
