//! Where a name leads, links followed. Nothing outside the directory is looked at: whether what a
//! link names there exists makes no difference to a client, in time neither.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::Mode;

use super::Root;

/// As many as the kernel follows on one way (path_resolution(7)).
const MAX_LINKS: usize = 40;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Leads {
    /// A directory, from the root, without links.
    Directory(PathBuf),
    /// Something else beneath the root.
    Other,
    /// Nothing beneath the root; by a link, if it is one.
    Nowhere { linked: bool },
    /// Out of the root.
    Out,
}

impl Root {
    /// Follows a name in `directory`, which is from the root and without links.
    pub(super) fn follow(&self, directory: &Path, name: &[u8]) -> io::Result<Leads> {
        let mut at = self.path.join(directory);
        // The next name is the last one.
        let mut left = vec![name.to_vec()];
        let mut links = 0;
        while let Some(name) = left.pop() {
            let name = match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    at.pop();
                    continue;
                }
                name => OsStr::from_bytes(name),
            };
            let Ok(inside) = at.strip_prefix(&self.path) else {
                // Above the root only the way back to it is known.
                at.push(name);
                if self.path.starts_with(&at) {
                    continue;
                }
                return Ok(Leads::Out);
            };
            let inside = inside.join(name);
            let found = match self.open_at(&inside, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty()) {
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Ok(Leads::Nowhere { linked: links > 0 });
                }
                found => File::from(found?),
            };
            let kind = found.metadata()?.file_type();
            if kind.is_dir() {
                at.push(name);
            } else if kind.is_symlink() {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::ELOOP.into());
                }
                let target = PathBuf::from(readlinkat(&found, "")?);
                let target = match self.places().find_map(|place| target.strip_prefix(place).ok()) {
                    Some(below) => {
                        at.clone_from(&self.path);
                        below
                    }
                    None => &target,
                };
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                left.extend(target.as_os_str().as_bytes().split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
            } else if left.is_empty() {
                return Ok(Leads::Other);
            } else {
                return Ok(Leads::Nowhere { linked: links > 0 });
            }
        }
        Ok(at.strip_prefix(&self.path).map_or(Leads::Out, |inside| Leads::Directory(inside.to_path_buf())))
    }
}
