//! Is the disk mounted (`require_mount: true`)? In doubt it is not. And is a part of it mounted
//! elsewhere, too?

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, StatxFlags, statx};

use super::{OrTrouble as _, unusable};
use crate::decide::host::mounts;
use crate::decide::policy::{Policy, Site};
use crate::terms::Reason;
use crate::terms::limits::MAX_MOUNTINFO;
use crate::terms::text::printable_path;

/// The kernel's list of what is mounted in this process's view.
const MOUNTINFO: &str = "/proc/self/mountinfo";

/// Makes sure, if the policy says `require_mount: true`, that the store is mounted for a repository
/// in it, otherwise the repository or a directory above it other than `/`.
///
/// # Errors
/// When it is not, or the kernel's list cannot be read.
pub fn mounted(policy: &Policy, site: &Site) -> Result<(), Reason> {
    if !policy.require_mount {
        return Ok(());
    }
    is_mounted(&site.store, &policy.path).map_err(|reason| reason.rule(policy.origins.of("require_mount")))
}

fn is_mounted(store: &Path, repository: &Path) -> Result<(), Reason> {
    let looked_at = |path: &Path| real(path).or_trouble("looking at", path);
    let (real_store, real_repository) = if let Ok(below) = repository.strip_prefix(store) {
        let store = looked_at(store)?;
        let repository = store.join(below);
        (store, repository)
    } else {
        // A repository elsewhere may still have to be made; the directory that it is in is there.
        let missing = fs::symlink_metadata(repository).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        let place = if missing { repository.parent().unwrap_or(repository) } else { repository };
        // A store that is not there holds nothing, this repository neither.
        (real(store).unwrap_or_else(|_| store.to_path_buf()), looked_at(place)?)
    };
    let points = points(Path::new(MOUNTINFO)).or_trouble("reading", Path::new(MOUNTINFO))?;
    if mounts::satisfied(&real_store, &real_repository, &points) {
        return Ok(());
    }
    let shown = |path: &Path| printable_path(path);
    let what = if real_repository.starts_with(&real_store) {
        format!("the store `{}` is not a mount point", shown(store))
    } else {
        format!("neither `{}` nor a directory above it is a mount point", shown(repository))
    };
    Err(unusable(format!("{what}, and `require_mount` is set"), "mount it, or remove `require_mount:`"))
}

/// The directory without symbolic links. Looking at what is inside wakes an automounter.
fn real(directory: &Path) -> io::Result<PathBuf> {
    fs::metadata(directory.join("."))?;
    fs::canonicalize(directory)
}

fn points(list: &Path) -> io::Result<Vec<PathBuf>> {
    read(list).map(|text| mounts::points(&text))
}

fn read(list: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(list)?.take(MAX_MOUNTINFO + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_MOUNTINFO {
        return Err(io::Error::other(format!("more than {MAX_MOUNTINFO} bytes of mounts")));
    }
    Ok(text)
}

/// Where else something beneath a directory is mounted. Other processes' views may have more.
pub(super) fn ways_around(directory: BorrowedFd<'_>) -> io::Result<Option<PathBuf>> {
    let mount = statx(directory, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?.stx_mnt_id;
    let path = fs::read_link(format!("/proc/self/fd/{}", directory.as_raw_fd()))?;
    mounts::ways_around(&read(Path::new(MOUNTINFO))?, mount, &path).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::reason::Code;

    #[test]
    fn the_kernel_is_asked_about_mounts_and_what_is_not_there_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path();
        let detail = is_mounted(store, &store.join("web1")).unwrap_err().detail;
        assert!(detail.contains("is not a mount point") && detail.contains("require_mount"), "{detail}");
        let missing = is_mounted(&store.join("gone"), &store.join("gone/web1")).unwrap_err();
        assert_eq!((missing.code, missing.detail.contains("looking at")), (Code::Store, true));
        is_mounted(Path::new("/proc"), Path::new("/proc/web1")).unwrap();
        is_mounted(store, Path::new("/proc/self/nothing-yet")).unwrap();
        // A link to a mounted place is one.
        std::os::unix::fs::symlink("/proc", store.join("link")).unwrap();
        is_mounted(&store.join("link"), &store.join("link/web1")).unwrap();
    }

    #[test]
    fn a_list_of_mounts_without_end_is_an_error_and_no_list() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("mountinfo");
        let line = "22 1 254:1 / /srv rw,relatime shared:1 - ext4 /dev/vda1 rw\n";
        let most = usize::try_from(MAX_MOUNTINFO).unwrap();
        fs::write(&list, line.to_owned() + &" ".repeat(most - line.len())).unwrap();
        assert_eq!(points(&list).unwrap(), [Path::new("/srv")]);
        File::options().write(true).open(&list).unwrap().set_len(MAX_MOUNTINFO + 1).unwrap();
        assert!(points(&list).unwrap_err().to_string().contains("bytes of mounts"));
        File::options().write(true).open(&list).unwrap().set_len(1 << 40).unwrap();
        assert!(points(&list).is_err());
    }
}
