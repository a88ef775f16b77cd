//! Looks at what settings name: files and directories. It changes nothing and runs nothing.

mod keys;
mod program;
mod reach;
pub mod running;
mod shut;
#[cfg(feature = "admin")]
pub mod system;

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::decide::policy::{MailSettings, Transport};
use crate::terms::{Account, is_written_by_root_alone};

pub use keys::key_files;
pub use program::{Identity, is_this_program, leads, the_gate};
pub use reach::{barred, device, links, open_to, room};
pub use shut::{closed_by, shadow_of};
#[cfg(feature = "admin")]
pub use system::Package;

/// What a path leads to, links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its kind.
    pub kind: Kind,
    /// Its owner.
    pub owner: u32,
    /// Its group.
    pub group: u32,
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
    pub fn others_read(self) -> bool {
        self.mode & 0o005 != 0
    }

    /// Whether anybody but the owner and the group may write it.
    pub fn others_write(self) -> bool {
        self.mode & 0o002 != 0
    }

    /// Whether the group may write it.
    pub fn group_writes(self) -> bool {
        self.mode & 0o020 != 0
    }

    /// Whether it is a directory in which only root changes root's entries: others do not write
    /// there, or only what is theirs (sticky, chmod(2)).
    pub fn is_roots_alone(self) -> bool {
        self.kind == Kind::Directory && self.owner == 0 && (self.mode & 0o022 == 0 || self.mode & 0o1000 != 0)
    }

    /// Whether nobody but root has had the right to write it, as its owner and mode are now.
    pub fn is_written_by_root_alone(self) -> bool {
        is_written_by_root_alone(self.owner, self.group, self.mode)
    }

    /// Whether it is a program.
    pub fn is_program(self) -> bool {
        self.kind == Kind::File && self.mode & 0o111 != 0
    }
}

/// Looks at a path; `None` when nothing can be seen there.
pub fn look(path: &Path) -> Option<Look> {
    let metadata = std::fs::metadata(path).ok()?;
    let kind = match metadata.file_type() {
        kind if kind.is_file() => Kind::File,
        kind if kind.is_dir() => Kind::Directory,
        kind if kind.is_socket() => Kind::Socket,
        _ => Kind::Other,
    };
    Some(Look { kind, owner: metadata.uid(), group: metadata.gid(), mode: metadata.mode() & 0o7777 })
}

/// Where a path leads when every link on its way is followed; itself where it leads nowhere.
pub fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf())
}

/// Whether a path is a symlink.
pub fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

/// When a file was written last.
pub fn written(path: &Path) -> Option<DateTime<Utc>> {
    std::fs::metadata(path).ok()?.modified().ok().map(DateTime::from)
}

/// Whether a directory is where another file system begins.
pub fn is_mount(path: &Path) -> bool {
    let device = |path: &Path| std::fs::symlink_metadata(path).ok().map(|found| found.dev());
    device(path).is_some_and(|own| path.parent().and_then(device).is_some_and(|above| above != own))
}

/// Whether an account may read a file, or enter a directory, by the mode of that path alone,
/// without access control lists. `groups` returns all groups of the account, and is asked only if
/// they matter. `None` if they or the path are not known.
pub fn may_read(path: &Path, account: &Account, groups: impl FnOnce() -> Option<Vec<u32>>) -> Option<bool> {
    let metadata = std::fs::metadata(path).ok()?;
    let wanted = if metadata.is_dir() { 0o1 } else { 0o4 };
    let [owner, group, other] = [6, 3, 0].map(|shift| (metadata.mode() >> shift) & wanted != 0);
    if account.is_root() {
        return Some(true);
    }
    if metadata.uid() == account.uid {
        return Some(owner);
    }
    if group == other || metadata.gid() == account.group {
        return Some(group);
    }
    Some(if groups()?.contains(&metadata.gid()) { group } else { other })
}

/// Whether a mail has anywhere to go: what takes it may be down now, but it is there.
pub fn leads_somewhere(settings: &MailSettings) -> bool {
    match &settings.transport {
        Transport::Off => false,
        Transport::Directory(dir) => dir.is_dir(),
        Transport::Sendmail(program) => program.is_file(),
        Transport::Smtp { .. } => true,
    }
}

/// A short text in a file, or on standard input (`-`).
///
/// # Errors
/// When it cannot be read, or is longer or no text.
#[cfg(feature = "admin")]
pub fn text(path: &Path, most: usize) -> std::io::Result<String> {
    use std::io::Read as _;
    let path = if path == Path::new("-") { Path::new("/dev/stdin") } else { path };
    let mut text = String::new();
    std::fs::File::open(path)?.take(most as u64 + 1).read_to_string(&mut text)?;
    if text.len() > most { Err(std::io::Error::other(format!("it has more than {most} bytes"))) } else { Ok(text) }
}

/// What this machine calls itself.
#[cfg(feature = "admin")]
pub fn host_name() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "localhost".to_owned())
}

/// The user that this process acts as.
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
    }

    #[test]
    fn whether_an_account_may_read_is_told_by_its_class() {
        let dir = tempfile::tempdir().unwrap();
        let settings = dir.path().join("settings");
        std::fs::write(&settings, "x").unwrap();
        let found = std::fs::metadata(&settings).unwrap();
        let user = |uid: u32, group: u32| Account { name: "web1".to_owned(), uid, group };
        let (own, near, far) = (user(found.uid().max(1), 7), user(4242, found.gid()), user(4242, 4242));
        let may = |mode: u32, account: &Account, groups: Option<&[u32]>| {
            std::fs::set_permissions(&settings, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
            may_read(&settings, account, || groups.map(<[u32]>::to_vec))
        };
        let in_group: &[u32] = &[1, found.gid()];
        for (mode, user, groups, expected) in [
            (0o644, &far, None, Some(true)),
            (0o600, &far, None, Some(false)),
            (0o604, &far, Some(&[1, 2][..]), Some(true)),
            (0o640, &far, Some(&[1, 2]), Some(false)),
            (0o640, &far, Some(in_group), Some(true)),
            (0o604, &far, Some(in_group), Some(false)),
            (0o640, &far, None, None),
            (0o640, &near, None, Some(true)),
            (0o604, &near, None, Some(false)),
            (0o000, &user(0, 0), None, Some(true)),
        ] {
            assert_eq!(may(mode, user, groups), expected, "{mode:o} {user:?} {groups:?}");
        }
        if found.uid() != 0 {
            assert_eq!((may(0o044, &own, None), may(0o400, &own, None)), (Some(false), Some(true)));
        }
        assert_eq!(may_read(&dir.path().join("missing"), &far, || None), None);
    }
}
