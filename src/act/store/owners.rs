//! What a repository says of the owners in it, in a note of its own: which ids of this machine
//! stand for which of the client's.
//!
//! The note is written before the first file arrives and holds until `snapgate remap` gives every
//! file its new ids. While that runs nothing may be stored.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::{Path, PathBuf};

use nix::libc;
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, TMPFS_MAGIC, XFS_SUPER_MAGIC, statfs};
use nix::unistd::{getegid, geteuid};

use super::disk::{found, read_value, write_value};
use super::{OrTrouble as _, Repository};
use crate::act::names::subids;
use crate::decide::owners::{self, Remembered, unusable};
use crate::decide::policy::{Policy, Site};
use crate::decide::sandbox::spec::Ids;
use crate::terms::limits::MAX_MAPPING_NOTE;
use crate::terms::text::{os_words, printable_path};
use crate::terms::{Account, Mapping, Owners, Reason, STATE};

pub(super) const NOTE: &str = "owners.json";

/// File systems that are known to keep owners.
const KEEPERS: [FsType; 4] = [EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, TMPFS_MAGIC];

/// A directory that is there for a moment, to see whom it belongs to.
const TRIED: &str = "owners.try";

/// Where root notes what it does to the repository at `path`: beside it, since the account can
/// write in it.
pub(super) fn private(path: &Path) -> Option<PathBuf> {
    let mut name = OsString::from(".snapgate-remap-");
    name.push(path.file_name()?);
    Some(path.with_file_name(name))
}

/// Makes sure that the repository's files are not being given other ids.
pub(super) fn under_way(path: &Path) -> Result<(), Reason> {
    if private(path).is_none_or(|private| fs::symlink_metadata(private).is_err()) {
        return Ok(());
    }
    let remedy = "wait for the `snapgate remap` that runs; if none does, run it again for this client: it goes on where it stopped";
    Err(unusable("the files in the repository are being given other ids").hint("try again later").remedy(remedy))
}

/// Whose the client's files are: what its repository, its policy and the account's ids amount to.
pub fn owners_of(site: &Site, policy: &Policy, account: &Account) -> Result<Owners, Reason> {
    owners::decide(site, policy, account.is_root(), remembered(&policy.path)?, || subids::available(account))
}

/// What the repository at `path` says, if there is one. It is only looked at.
pub fn remembered(path: &Path) -> Result<Remembered, Reason> {
    under_way(path)?;
    let state = path.join(STATE);
    let note = note(&state);
    if let Some(mapping) = found(read_value(&note, MAX_MAPPING_NOTE)).or_trouble("reading", &note)? {
        return Ok(Remembered::Mapped(mapping));
    }
    let holds = |place: PathBuf| fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_some());
    let places = ["snapshots", "inprogress"].map(|name| path.join(name));
    let unfinished = ["interrupted", "parts"].map(|name| state.join(name));
    let is_settled = places.into_iter().chain(unfinished).any(holds);
    Ok(if is_settled { Remembered::Account } else { Remembered::Nothing })
}

fn note(state: &Path) -> PathBuf {
    state.join(NOTE)
}

impl Repository {
    /// Writes down where the client's ids stand, unless the note is there. For the holder of the
    /// repository: the note that was decided by may have changed until then.
    pub(super) fn remember(&self) -> Result<(), Reason> {
        let note = note(&self.state());
        match (remembered(&self.root)?, &self.mapping) {
            (Remembered::Mapped(before), Some(mapping)) if before == *mapping => {}
            (Remembered::Mapped(before), mapping) if !mapping.as_ref().is_some_and(|mapping| mapping.extends(&before)) => {
                return Err(unusable("the repository remembers other ids than a moment ago")
                    .hint("push again")
                    .remedy("nothing to do: the next push goes by them"));
            }
            (Remembered::Account, Some(_)) => {
                return Err(unusable("the repository was begun without owners meanwhile")
                    .hint("push again")
                    .remedy("nothing to do: the next push does without"));
            }
            (_, None) => {}
            (_, Some(mapping)) => {
                write_value(&note, mapping).or_trouble("writing", &note)?;
            }
        }
        Ok(())
    }

    /// Makes sure that this file system keeps a client's owners, in what it does for a client's root
    /// as well. Some let nobody give a file away (NFS, FUSE), or only say that they did (CIFS); behind
    /// others stands a process that does not know the client's ids (gocryptfs). A push would store
    /// there what happens to belong to root. For the holder of the repository; what else is wrong with
    /// the disk the push itself finds.
    pub(super) fn try_owners(&self) -> Result<(), Reason> {
        let Some(mapping) = &self.mapping else { return Ok(()) };
        // To try it takes a millisecond, which most need not wait for.
        if statfs(&self.state()).is_ok_and(|found| KEEPERS.contains(&found.filesystem_type())) {
            return Ok(());
        }
        let why = match self.tried_owners(mapping) {
            Ok(true) => return Ok(()),
            Ok(false) => "it takes an owner and has another".to_owned(),
            Err(error) if is_about_owners(&error) => os_words(&error),
            Err(_) => return Ok(()),
        };
        let detail = format!("the file system of `{}` does not keep owners: {why}", printable_path(&self.root));
        Err(unusable(&detail)
            .remedy("say `owners: drop` in the policy, or have the repository on a local file system, such as ext4 or XFS"))
    }

    fn tried_owners(&self, mapping: &Mapping) -> io::Result<bool> {
        let tried = self.state().join(TRIED);
        let inner = tried.join("inner");
        let remove = || {
            let _ = fs::remove_dir(&inner);
            let _ = fs::remove_dir(&tried);
        };
        // Somebody who was killed may have left it.
        fs::create_dir(&tried).or_else(|_| {
            remove();
            fs::create_dir(&tried)
        })?;
        // Another than root, where the account has an id for one.
        let [user, group] = [&mapping.users, &mapping.groups].map(|map| map.count().saturating_sub(1).min(1));
        let has_owner = || -> io::Result<bool> {
            self.give(&tried)?;
            lchown(&tried, Some(user), Some(group))?;
            let found = fs::symlink_metadata(&tried)?;
            // A client's root may, whoever owns it.
            fs::create_dir(&inner)?;
            Ok((found.uid(), found.gid()) == (user, group))
        };
        let has_owner = has_owner();
        remove();
        has_owner
    }

    /// The client's ids, where this process is in the user namespace of them.
    pub(super) fn ids(&self) -> Option<Ids> {
        self.mapping.as_ref().map(Ids::of)
    }

    /// Whether files have owners of their own: root can set any, and in the client's namespace
    /// those.
    pub(super) fn keeps_owners(&self) -> bool {
        self.mapping.is_some() || geteuid().is_root()
    }

    /// Gives something that the client's rsync is to fill to it. Where owners are kept, rsync runs
    /// as the client's root; otherwise as the account.
    pub fn give(&self, path: &Path) -> io::Result<()> {
        if self.mapping.is_none() {
            return Ok(());
        }
        lchown(path, Some(0), Some(0)).or_else(|_| {
            // It may have the group of the directory above, which is none of the client's. Its
            // owner may always take it back.
            lchown(path, None, Some(getegid().as_raw()))?;
            lchown(path, Some(0), Some(0))
        })
    }
}

/// Whether it says that an owner cannot be stored, or that whoever has power over it has none there.
fn is_about_owners(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported, io::ErrorKind::InvalidInput];
    kinds.contains(&error.kind()) || error.raw_os_error() == Some(libc::EOVERFLOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::{Code, IdMap, IdRange};

    #[test]
    fn what_was_remembered_has_to_be_so_still_when_the_repository_is_held() {
        let root = tempfile::tempdir().unwrap();
        let [path, plain] = ["web1", "web2"].map(|name| root.path().join(name));
        let mapping = |ranges: &[u32]| {
            let map = IdMap::new(ranges.iter().map(|first| IdRange::new(*first, 10).unwrap()).collect()).unwrap();
            Mapping { users: map.clone(), groups: map }
        };
        let held = |path: &Path, mapping: Option<&Mapping>| {
            let repository = Repository::open(path, nix::unistd::getuid().as_raw(), mapping).unwrap();
            repository.remember()
        };
        assert_eq!(remembered(&plain).unwrap(), Remembered::Nothing);
        held(&plain, None).unwrap();
        assert_eq!(remembered(&plain).unwrap(), Remembered::Nothing, "nothing is settled before something is there");
        fs::create_dir(plain.join("snapshots/2026")).unwrap();
        assert_eq!(remembered(&plain).unwrap(), Remembered::Account);
        assert_eq!(held(&plain, Some(&mapping(&[100]))).unwrap_err().code, Code::Owners);
        held(&path, Some(&mapping(&[100]))).unwrap();
        held(&path, Some(&mapping(&[100, 200]))).unwrap();
        assert_eq!(remembered(&path).unwrap(), Remembered::Mapped(mapping(&[100, 200])));
        for other in [None, Some(&mapping(&[100])), Some(&mapping(&[300]))] {
            assert_eq!(held(&path, other).unwrap_err().code, Code::Owners);
        }
        fs::create_dir(root.path().join(".snapgate-remap-web1")).unwrap();
        assert_eq!(held(&path, Some(&mapping(&[100, 200]))).unwrap_err().code, Code::Owners);
        assert_eq!(remembered(&path).unwrap_err().code, Code::Owners);
    }
}
