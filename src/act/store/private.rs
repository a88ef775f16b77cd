//! A directory of our own where others may write beside it: of this user, shut to all others, and held
//! by one process at a time.
//!
//! What somebody else has made there is never used.

use std::fs::{self, DirBuilder, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::libc;
use nix::unistd::geteuid;

use super::Lock;

/// Takes the directory, which is made where there is none. It is free again when the lock is dropped.
///
/// # Errors
/// Also when another process has it.
pub fn take_private(path: &Path) -> Result<Lock, TryLockError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(TryLockError::Error(error)),
        _ => {}
    }
    let found = fs::symlink_metadata(path).map_err(TryLockError::Error)?;
    if !found.is_dir() || found.uid() != geteuid().as_raw() || found.mode() & 0o077 != 0 {
        return Err(TryLockError::Error(io::Error::other("somebody else has made it")));
    }
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let lock = options.open(path.join("lock")).map_err(TryLockError::Error)?;
    Lock::at_once(lock)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn one_process_has_it_and_what_others_may_enter_or_lead_elsewhere_is_none() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("place");
        let held = take_private(&place).unwrap();
        assert_eq!(fs::metadata(&place).unwrap().mode() & 0o777, 0o700);
        assert!(matches!(take_private(&place), Err(TryLockError::WouldBlock)));
        drop(held);
        assert!(take_private(&place).is_ok(), "it goes on there");
        symlink(&place, root.path().join("link")).unwrap();
        fs::create_dir(root.path().join("open")).unwrap();
        fs::set_permissions(root.path().join("open"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::remove_file(place.join("lock")).unwrap();
        symlink("/dev/null", place.join("lock")).unwrap();
        for wrong in ["link", "open", "place"] {
            assert!(matches!(take_private(&root.path().join(wrong)), Err(TryLockError::Error(_))), "{wrong}");
        }
    }
}
