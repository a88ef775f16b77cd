//! One file, directory or whatever else it is: its owners, those that it is to have, and the
//! change.
//!
//! It is held before it is looked at, beneath a directory that is held, through no link and into no
//! mount, so what is changed is what was seen. chown(2) clears set-ID bits and capabilities: they
//! are kept before anything that has them is changed.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{FchmodatFlags, Mode, fchmodat};
use nix::unistd::{Gid, Uid, fchownat};
use rustix::fs::{AtFlags as StatFlags, FileType, Statx, StatxAttributes, StatxFlags, statx};

use super::pass::Pass;
use super::private::Private;
use crate::act::store::attributes;
use crate::decide::owners::remap::attributes::{ACCESS_LIST, CAPABILITY, DEFAULT_LIST, access_list, capability};
use crate::decide::owners::remap::kept::Kept;
use crate::decide::owners::remap::{Kind, Remap, Whose};

const SET_USER: u32 = 0o4000;
const SET_GROUP: u32 = 0o2000;
const SET_ID: u32 = SET_USER | SET_GROUP;
/// What only its owner may do with a file of the gate's: write it, or run it as somebody else.
const OTHERS_POWER: u32 = SET_ID | 0o022;

/// Something that is held, so that it is the same whatever becomes of its name.
pub(super) struct Inode {
    held: OwnedFd,
    found: Statx,
}

pub(super) struct Change {
    owners: Option<(u32, u32)>,
    lists: Vec<(&'static str, Vec<u8>)>,
    /// The mode that it gets before it changes hands.
    closed: Option<u32>,
    /// What it gets back afterwards.
    kept: Option<Kept>,
}

impl Change {
    /// Whether it concerns access lists, a capability, set-ID bits.
    pub(super) fn concerns(&self) -> [bool; 3] {
        let keeps = |has: fn(&Kept) -> bool| self.kept.as_ref().is_some_and(has);
        [!self.lists.is_empty(), keeps(|kept| !kept.capability.is_empty()), keeps(|kept| kept.mode & SET_ID != 0)]
    }

    pub(super) fn kept(&self) -> Option<&Kept> {
        self.kept.as_ref()
    }
}

impl Inode {
    pub(super) fn hold(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<Self> {
        let inside = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_XDEV;
        let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC).resolve(inside);
        let held = match openat2(parent, name, how) {
            Err(Errno::EXDEV) => return Err(io::Error::other("something is mounted there (unmount it first)")),
            held => held?,
        };
        let found = statx(&held, c"", StatFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
        Ok(Self { held, found })
    }

    pub(super) fn held(&self) -> BorrowedFd<'_> {
        self.held.as_fd()
    }

    pub(super) fn number(&self) -> u64 {
        self.found.stx_ino
    }

    pub(super) fn device(&self) -> (u32, u32) {
        (self.found.stx_dev_major, self.found.stx_dev_minor)
    }

    pub(super) fn is_directory(&self) -> bool {
        self.kind() == FileType::Directory
    }

    pub(super) fn user(&self) -> u32 {
        self.found.stx_uid
    }

    pub(super) fn names(&self) -> u64 {
        if self.is_directory() { 1 } else { u64::from(self.found.stx_nlink.max(1)) }
    }

    fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.found.stx_mode.into())
    }

    fn mode(&self) -> u32 {
        u32::from(self.found.stx_mode) & 0o7777
    }

    fn written(&self) -> (i64, u32) {
        (self.found.stx_mtime.tv_sec, self.found.stx_mtime.tv_nsec)
    }

    /// What has to be changed. `None`: it is as it is to be.
    pub(super) fn needs(&self, remap: &Remap, whose: Whose, pass: Pass, private: &Private) -> Result<Option<Change>, String> {
        let owners = self.owners(remap, whose, pass)?;
        let is_owned = owners == (self.found.stx_uid, self.found.stx_gid);
        let is_plain = !matches!(self.kind(), FileType::Directory | FileType::Symlink);
        if is_plain && whose == Whose::Accounts && self.found.stx_nlink > 1 {
            return Err("is one of the gate's own files and has further names, which somebody else may hold".to_owned());
        }
        let mut kept = None;
        if is_plain && pass.has_kept() {
            kept = private.kept(self.number()).map_err(|error| error.to_string())?;
            kept = kept.filter(|kept| kept.written == self.written() && !(is_owned && self.has(kept)));
        }
        let lost = self.lost(remap, whose);
        if is_plain && !is_owned && kept.is_none() {
            kept = self.to_keep(remap, lost, pass)?;
        }
        let lists = self.lists(remap, whose, pass, is_owned)?;
        if is_owned && lists.is_empty() && kept.is_none() {
            return Ok(None);
        }
        if self.found.stx_attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND) {
            return Err("is immutable or append-only (chattr(1))".to_owned());
        }
        let is_open = self.kind() != FileType::Symlink && self.mode() & lost != 0;
        let closed = (is_open && !is_owned).then(|| self.mode() & !lost);
        Ok(Some(Change { owners: (!is_owned).then_some(owners), lists, closed, kept }))
    }

    fn owners(&self, remap: &Remap, whose: Whose, pass: Pass) -> Result<(u32, u32), String> {
        let becomes = |kind, id| {
            let known = remap.owner(whose, kind, id, pass.is_untouched());
            known.ok_or_else(|| format!("belongs to the {kind} {id}, who is neither the account nor one of the client's"))
        };
        Ok((becomes(Kind::User, self.found.stx_uid)?, becomes(Kind::Group, self.found.stx_gid)?))
    }

    /// Bits of its mode that it may not take to its new owner.
    fn lost(&self, remap: &Remap, whose: Whose) -> u32 {
        let keeps = |kind, id| remap.keeps_power(whose, kind, id);
        match whose {
            Whose::Accounts => OTHERS_POWER,
            // What is made in such a directory gets its group (inode(7)), and power over nothing.
            Whose::Clients if self.is_directory() => 0,
            Whose::Clients => {
                let user = if keeps(Kind::User, self.found.stx_uid) { 0 } else { SET_USER };
                let group = if keeps(Kind::Group, self.found.stx_gid) { 0 } else { SET_GROUP };
                user | group
            }
        }
    }

    /// What chown(2) would clear and it is to get back.
    fn to_keep(&self, remap: &Remap, lost: u32, pass: Pass) -> Result<Option<Kept>, String> {
        let mut kept = Kept { mode: self.mode() & !lost, written: self.written(), capability: Vec::new() };
        if lost & SET_USER == 0
            && let Some(value) = self.attribute(CAPABILITY)?
        {
            let (root, becomes) =
                (remap.client_root().unwrap_or_default(), |kind, id| remap.listed(Whose::Clients, kind, id, pass.is_untouched()));
            kept.capability = capability(&value, root, becomes).map_err(|fault| format!("{CAPABILITY} {fault}"))?;
        }
        Ok((kept.mode & SET_ID != 0 || !kept.capability.is_empty()).then_some(kept))
    }

    /// Whether it has what was kept of it.
    fn has(&self, kept: &Kept) -> bool {
        let capability = self.attribute(CAPABILITY).ok().flatten().unwrap_or_default();
        self.mode() == kept.mode && capability == kept.capability
    }

    /// What its access lists are to be, where they change; and its capability, unless chown clears
    /// it.
    fn lists(&self, remap: &Remap, whose: Whose, pass: Pass, is_owned: bool) -> Result<Vec<(&'static str, Vec<u8>)>, String> {
        let becomes = |kind, id| remap.listed(whose, kind, id, pass.is_untouched());
        let names = [ACCESS_LIST, DEFAULT_LIST, CAPABILITY];
        let mut changed = Vec::new();
        for name in names.into_iter().filter(|name| *name != CAPABILITY || is_owned) {
            let Some(value) = self.attribute(name)? else { continue };
            let new = match name {
                CAPABILITY => capability(&value, remap.client_root().unwrap_or_default(), becomes),
                _ => access_list(&value, becomes),
            };
            let new = new.map_err(|fault| format!("{name} {fault}"))?;
            changed.extend((new != value).then_some((name, new)));
        }
        Ok(changed)
    }

    fn attribute(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        if self.kind() == FileType::Symlink {
            return Ok(None);
        }
        match attributes::get_at(&self.link(), name) {
            Err(error) if error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32) => Ok(None),
            value => value.map_err(|error| format!("{name}: {error}")),
        }
    }

    /// Changes it. Whatever step fails, a further run takes it up.
    pub(super) fn change(&self, change: &Change) -> io::Result<()> {
        let link = self.link();
        let set_mode = |mode| fchmodat(AT_FDCWD, link.as_str(), Mode::from_bits_truncate(mode), FchmodatFlags::FollowSymlink);
        for (name, list) in &change.lists {
            attributes::set_at(&link, name, list)?;
        }
        if let Some(closed) = change.closed {
            set_mode(closed)?;
        }
        if let Some((user, group)) = change.owners {
            fchownat(&self.held, c"", Some(Uid::from_raw(user)), Some(Gid::from_raw(group)), AtFlags::AT_EMPTY_PATH)?;
        }
        if let Some(kept) = &change.kept {
            set_mode(kept.mode)?;
            if !kept.capability.is_empty() {
                attributes::set_at(&link, CAPABILITY, &kept.capability)?;
            }
        }
        Ok(())
    }

    /// What is held, as a path that leads to it and nowhere else.
    fn link(&self) -> String {
        format!("/proc/self/fd/{}", self.held.as_raw_fd())
    }
}
