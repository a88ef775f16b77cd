//! What this process itself, as the account that it runs as, may do with what its gate needs.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};
use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::decide::host::seen::{Barred, Need, Room, Wanted};

/// What of these is out of reach. What is missing is reported elsewhere.
pub fn barred(wanted: &[Wanted]) -> Vec<Barred> {
    let barred = wanted.iter().filter_map(|Wanted { path, need }| {
        let at = way_ends(path, *need)?;
        let fixed = access(&at, AccessFlags::W_OK) == Err(Errno::EPERM);
        Some(Barred { path: path.clone(), need: *need, at, fixed })
    });
    barred.collect()
}

/// Where access to a path ends: at the first directory that may not be entered, or at the path
/// itself.
fn way_ends(path: &Path, need: Need) -> Option<PathBuf> {
    let mut above: Vec<&Path> = path.ancestors().skip(1).filter(|above| above.as_os_str() != OsStr::new("")).collect();
    above.reverse();
    let closed = above.into_iter().find(|above| denied(above, AccessFlags::X_OK));
    let needed = match need {
        Need::Enter | Need::Run => AccessFlags::X_OK,
        Need::Read => AccessFlags::R_OK,
        Need::Write => AccessFlags::W_OK,
        Need::Fill => AccessFlags::X_OK | AccessFlags::W_OK,
    };
    closed.or_else(|| Some(path).filter(|path| denied(path, needed))).map(Path::to_path_buf)
}

/// Whether the kernel says no; not whether it says that there is nothing.
fn denied(path: &Path, access: AccessFlags) -> bool {
    // What is immutable may nobody change, and that is another error.
    matches!(self::access(path, access), Err(Errno::EACCES | Errno::EPERM))
}

fn access(path: &Path, access: AccessFlags) -> nix::Result<()> {
    faccessat(AT_FDCWD, path, access, AtFlags::AT_EACCESS)
}

/// What of these this process could change: the file itself, or what stands in its place.
pub fn open_to(paths: &[PathBuf]) -> Vec<PathBuf> {
    let writes = |path: &Path| access(path, AccessFlags::W_OK).is_ok();
    let replaces = |path: &Path| {
        let above = path.ancestors().skip(1).filter(|above| above.as_os_str() != OsStr::new(""));
        // In a sticky directory nobody takes away what is another's.
        above.into_iter().any(|above| writes(above) && !std::fs::metadata(above).is_ok_and(|found| found.mode() & 0o1000 != 0))
    };
    paths.iter().filter(|path| path.exists() && (writes(path) || replaces(path))).cloned().collect()
}

/// The most names that a file beneath a directory has, of the first that are met. It follows no
/// link, and stops after so many.
pub fn links(directory: &Path, most: usize) -> u64 {
    let (mut found, mut seen) = (0, 0);
    let mut open = vec![directory.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            seen += 1;
            if seen > most {
                return found;
            }
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                open.push(entry.path());
            } else {
                found = found.max(metadata.nlink());
            }
        }
    }
    found
}

/// What is left of the disk that a path is on, or will be.
pub fn room(path: &Path) -> Option<Room> {
    let there = path.ancestors().find(|above| above.exists())?;
    let stat = statvfs(there).ok()?;
    Some(Room {
        path: there.to_path_buf(),
        device: device(there)?,
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        size: stat.f_blocks.saturating_mul(stat.f_frsize),
        free_inodes: stat.f_favail,
        inodes: stat.f_files,
        read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}

/// The disk that a path is on.
pub fn device(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|found| found.dev())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_way_ends_where_the_kernel_says_no_and_what_is_missing_is_not_barred() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        let wanted = |path: &Path, need| barred(&[Wanted { path: path.to_path_buf(), need }]).pop().map(|barred| barred.at);
        assert_eq!(wanted(&inner, Need::Fill), None);
        assert_eq!(wanted(&dir.path().join("gone/x"), Need::Enter), None);
        std::fs::write(dir.path().join("text"), "").unwrap();
        // Even root may not run what nobody may run.
        assert_eq!(wanted(&dir.path().join("text"), Need::Run), Some(dir.path().join("text")));
        if !nix::unistd::geteuid().is_root() {
            std::fs::set_permissions(dir.path().join("a"), std::fs::Permissions::from_mode(0o000)).unwrap();
            assert_eq!(wanted(&inner, Need::Enter), Some(dir.path().join("a")));
            std::fs::set_permissions(dir.path().join("a"), std::fs::Permissions::from_mode(0o700)).unwrap();
        }
    }

    #[test]
    fn a_disk_is_asked_for_what_is_left_also_where_the_path_will_be() {
        let dir = tempfile::tempdir().unwrap();
        let room = room(&dir.path().join("not/yet")).unwrap();
        assert_eq!((room.path.as_path(), Some(room.device)), (dir.path(), device(dir.path())));
        assert!(room.size > 0 && room.free <= room.size && !room.read_only);
    }
}
