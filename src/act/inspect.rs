//! Looks at what settings name: files, directories, accounts. It changes nothing and runs nothing.

use std::ffi::CString;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use nix::unistd::{User, getgrouplist};

/// What a path leads to, links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its kind.
    pub kind: Kind,
    /// Its owner.
    pub owner: u32,
    /// Its permission bits.
    pub mode: u32,
}

/// Kinds of files that settings speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A socket.
    Socket,
    /// Something else.
    Other,
}

impl Look {
    /// Whether anybody but the owner and the group may read, or pass through.
    #[must_use]
    pub fn others_read(self) -> bool {
        self.mode & 0o005 != 0
    }

    /// Whether anybody but the owner and the group may write it.
    #[must_use]
    pub fn others_write(self) -> bool {
        self.mode & 0o002 != 0
    }

    /// Whether the group may write it.
    #[must_use]
    pub fn group_writes(self) -> bool {
        self.mode & 0o020 != 0
    }

    /// Whether it is a program.
    #[must_use]
    pub fn is_program(self) -> bool {
        self.kind == Kind::File && self.mode & 0o111 != 0
    }
}

/// Looks at a path; `None` when nothing can be seen there.
#[must_use]
pub fn look(path: &Path) -> Option<Look> {
    let metadata = std::fs::metadata(path).ok()?;
    let kind = match metadata.file_type() {
        kind if kind.is_file() => Kind::File,
        kind if kind.is_dir() => Kind::Directory,
        kind if kind.is_socket() => Kind::Socket,
        _ => Kind::Other,
    };
    Some(Look { kind, owner: metadata.uid(), mode: metadata.mode() & 0o7777 })
}

/// The numbers of an account and its group.
#[must_use]
pub fn ids_of(account: &str) -> Option<(u32, u32)> {
    let user = User::from_name(account).ok().flatten()?;
    Some((user.uid.as_raw(), user.gid.as_raw()))
}

/// The number of an account; `None` when the user database does not know it.
#[must_use]
pub fn uid_of(account: &str) -> Option<u32> {
    User::from_name(account).ok().flatten().map(|user| user.uid.as_raw())
}

/// Whether an account may read a file, or enter and read through a directory, by the permission bits of that one path.
/// `None` when the account or the path is not known. Access control lists are not looked at.
#[must_use]
pub fn may_read(path: &Path, account: &str) -> Option<bool> {
    let user = User::from_name(account).ok().flatten()?;
    let metadata = std::fs::metadata(path).ok()?;
    let groups = getgrouplist(&CString::new(account).ok()?, user.gid).ok()?;
    let wanted = if metadata.is_dir() { 0o1 } else { 0o4 };
    let shift = if metadata.uid() == user.uid.as_raw() {
        6
    } else if groups.iter().any(|group| group.as_raw() == metadata.gid()) {
        3
    } else {
        0
    };
    Some(user.uid.is_root() || (metadata.mode() >> shift) & wanted != 0)
}

/// The user that this process acts as.
#[must_use]
pub fn running_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_seen_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(dir.path()).unwrap().kind, Kind::Directory);
        assert!(look(&dir.path().join("missing")).is_none());
        assert!(look(Path::new("/bin/sh")).unwrap().is_program());
        assert_eq!(look(Path::new("/dev/null")).unwrap().kind, Kind::Other);
        assert_eq!((uid_of("root"), uid_of("no-such-account")), (Some(0), None));
        let settings = dir.path().join("settings");
        std::fs::write(&settings, "x").unwrap();
        let may = |mode: u32| {
            std::fs::set_permissions(&settings, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            may_read(&settings, "daemon").unwrap()
        };
        assert!(may(0o644) && may(0o604) && !may(0o640) && !may(0o600));
        assert_eq!((may_read(&settings, "root"), may_read(&settings, "no-such-account")), (Some(true), None));
    }
}
