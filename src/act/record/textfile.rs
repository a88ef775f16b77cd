//! A file for Prometheus' node exporter, which reads it whenever it likes: it is replaced in one
//! step, and never half.
//!
//! Root writes it, so nobody else may have a say in where it goes: no link is followed on the way to
//! its directory, and only root, or who writes it, may change what is in there.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, renameat};
use nix::sys::stat::{Mode, fchmod, fstatat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use crate::act::clock;
use crate::terms::limits::STALE_TMP;
use crate::terms::text::{os_words, printable_path};

/// The mode of the file: the exporter is nobody in particular.
const MODE: Mode = Mode::from_bits_truncate(0o644);

/// Replaces the file at `path` with this text.
///
/// # Errors
/// When its directory is not root's alone or cannot be written, in words for the administrator.
pub fn replace(path: &Path, text: &str) -> Result<(), String> {
    let shown = printable_path(path);
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return Err(format!("`{shown}` is no file's path")) };
    let failed = |error: io::Error| {
        let help = if error.raw_os_error() == Some(Errno::ELOOP as i32) {
            "a symbolic link is on the way to it: name the directory itself in metrics:"
        } else {
            "let there be that directory, root's, or name another in metrics:"
        };
        format!("`{shown}` cannot be written: {}\n{help}", os_words(&error))
    };
    let directory = open(above).map_err(failed)?;
    let found = directory.metadata().map_err(failed)?;
    if ![0, geteuid().as_raw()].contains(&found.uid()) || found.mode() & 0o022 != 0 {
        let help = "let root own it, and nobody else write in it: `chown root:root` and `chmod go-w`";
        return Err(format!("`{shown}` is not written: others may change what is in its directory\n{help}"));
    }
    write(&directory, name, text).map_err(failed)
}

fn open(directory: &Path) -> io::Result<File> {
    let how = OpenHow::new().flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    Ok(File::from(openat2(AT_FDCWD, directory, how)?))
}

fn write(directory: &File, name: &OsStr, text: &str) -> io::Result<()> {
    // The exporter passes over names that do not end in `.prom`. Two may write at once.
    let begins = format!(".{}.", name.to_string_lossy());
    let draft = format!("{begins}{}", std::process::id());
    sweep(directory, &begins);
    let new = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let _ = unlinkat(directory, draft.as_str(), UnlinkatFlags::NoRemoveDir);
    let mut file = File::from(openat(directory, draft.as_str(), new, MODE)?);
    let written = file.write_all(text.as_bytes()).and_then(|()| {
        // Whatever mask the administrator has.
        fchmod(&file, MODE)?;
        file.sync_all()?;
        Ok(renameat(directory, draft.as_str(), directory, name)?)
    });
    if written.is_err() {
        let _ = unlinkat(directory, draft.as_str(), UnlinkatFlags::NoRemoveDir);
    }
    written
}

/// Removes what a killed one has left.
fn sweep(directory: &File, begins: &str) {
    let Ok(names) = rustix::fs::Dir::read_from(directory.as_fd()) else { return };
    for name in names.flatten() {
        let name = name.file_name();
        if !name.to_bytes().starts_with(begins.as_bytes()) {
            continue;
        }
        let age = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).map(|found| clock::kernel().timestamp() - found.st_mtime);
        if age.is_ok_and(|age| age > STALE_TMP.as_secs().cast_signed()) {
            let _ = unlinkat(directory, name, UnlinkatFlags::NoRemoveDir);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn the_file_is_replaced_whole_and_everybody_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("snapgate.prom");
        fs::write(directory.path().join(format!(".snapgate.prom.{}", std::process::id())), "of a killed one").unwrap();
        replace(&path, "a 1\n").unwrap();
        let before = fs::metadata(&path).unwrap().ino();
        replace(&path, "a 2\n").unwrap();
        let found = fs::metadata(&path).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), found.mode() & 0o7777), ("a 2\n", 0o644));
        assert_ne!(found.ino(), before, "who reads the old one reads it to its end");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_written_where_somebody_else_has_a_say() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real"), directory.path().join("link"));
        fs::create_dir(&real).unwrap();
        symlink(&real, &link).unwrap();
        assert!(replace(&link.join("snapgate.prom"), "").unwrap_err().contains("a symbolic link is on the way"));
        fs::set_permissions(&real, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(replace(&real.join("snapgate.prom"), "").unwrap_err().contains("others may change"));
        assert!(replace(&directory.path().join("none/snapgate.prom"), "").unwrap_err().contains("let there be that directory"));
        assert_eq!(fs::read_dir(&real).unwrap().count(), 0);
        // A link in the file's own place is replaced, not followed.
        let (victim, path) = (directory.path().join("victim"), directory.path().join("snapgate.prom"));
        fs::write(&victim, "mine").unwrap();
        symlink(&victim, &path).unwrap();
        replace(&path, "a 1\n").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }
}
