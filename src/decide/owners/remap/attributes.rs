//! Ids in a file's attributes: access lists and capabilities, in the kernel's format. An unknown
//! format is an error.

use std::fmt;

use crate::decide::owners::Kind;
use crate::decide::owners::lists::{ENTRY, LIST_VERSION, named};

/// The access list of a file (acl(5)).
pub(crate) const ACCESS_LIST: &str = "system.posix_acl_access";
/// The access list of new files in a directory.
pub(crate) const DEFAULT_LIST: &str = "system.posix_acl_default";
/// A file's capabilities (capabilities(7)).
pub(crate) const CAPABILITY: &str = "security.capability";

/// Why an attribute cannot be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It has another format.
    Shape,
    /// An id in it belongs to somebody unknown.
    Foreign(Kind, u32),
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => out.write_str("has a form that is not known"),
            Self::Foreign(kind, id) => write!(out, "names the {kind} {id}, who is neither the account nor one of the client's"),
        }
    }
}

/// An access list with its ids replaced. Every id must have a replacement.
pub(crate) fn access_list(value: &[u8], becomes: impl Fn(Kind, u32) -> Option<u32>) -> Result<Vec<u8>, Fault> {
    let (version, entries) = value.split_first_chunk::<4>().ok_or(Fault::Shape)?;
    if u32::from_le_bytes(*version) != LIST_VERSION || entries.len() % ENTRY != 0 {
        return Err(Fault::Shape);
    }
    let mut changed = version.to_vec();
    for entry in entries.chunks_exact(ENTRY) {
        match named(entry) {
            Some((kind, id)) => {
                changed.extend(entry.iter().take(ENTRY - size_of::<u32>()));
                changed.extend(changed_id(kind, id, &becomes)?.to_le_bytes());
            }
            None => changed.extend(entry),
        }
    }
    Ok(changed)
}

/// `struct vfs_ns_cap_data` (`linux/capability.h`): the revision, sets, and later a root.
const REVISION: u32 = 0xFF00_0000;
const SECOND: u32 = 0x0200_0000;
const THIRD: u32 = 0x0300_0000;
const SECOND_SIZE: usize = 20;

/// A capability with its root replaced. One without a root is the machine's root's, and becomes
/// `client_root`'s.
pub(crate) fn capability(value: &[u8], client_root: u32, becomes: impl Fn(Kind, u32) -> Option<u32>) -> Result<Vec<u8>, Fault> {
    let (sets, root) = value.split_at_checked(SECOND_SIZE).ok_or(Fault::Shape)?;
    let (magic, sets) = sets.split_first_chunk::<4>().ok_or(Fault::Shape)?;
    let magic = u32::from_le_bytes(*magic);
    let root = match (magic & REVISION, <[u8; 4]>::try_from(root)) {
        (SECOND, Err(_)) if root.is_empty() => client_root,
        (THIRD, Ok(root)) => match u32::from_le_bytes(root) {
            0 => client_root,
            root => changed_id(Kind::User, root, &becomes)?,
        },
        _ => return Err(Fault::Shape),
    };
    Ok([&((magic & !REVISION) | THIRD).to_le_bytes(), sets, &root.to_le_bytes()].concat())
}

fn changed_id(kind: Kind, id: u32, becomes: &impl Fn(Kind, u32) -> Option<u32>) -> Result<u32, Fault> {
    becomes(kind, id).ok_or(Fault::Foreign(kind, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn becomes(kind: Kind, id: u32) -> Option<u32> {
        (id < 100).then_some(id + if kind == Kind::User { 1000 } else { 2000 })
    }

    fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            bytes.extend(tag.to_le_bytes().into_iter().chain(permissions.to_le_bytes()).chain(id.to_le_bytes()));
        }
        bytes
    }

    #[test]
    fn in_an_access_list_named_users_and_groups_change_alone() {
        let nobody = u32::MAX;
        let whole = |user, group| list(&[(1, 6, nobody), (2, 4, user), (4, 4, nobody), (8, 5, group), (0x10, 7, 5), (0x20, 0, nobody)]);
        assert_eq!(access_list(&whole(1, 2), becomes), Ok(whole(1001, 2002)));
        assert_eq!(access_list(&whole(1, 100), becomes), Err(Fault::Foreign(Kind::Group, 100)));
        assert_eq!(access_list(&list(&[]), becomes), Ok(list(&[])));
        for shape in [&whole(1, 2)[..9], &[], &[1, 0, 0, 0], &[2, 0, 0]] {
            assert_eq!(access_list(shape, becomes), Err(Fault::Shape), "{shape:?}");
        }
    }

    #[test]
    fn a_capability_names_its_root() {
        let sets: Vec<u8> = (0..16).collect();
        let second = [&0x0200_0001_u32.to_le_bytes(), &sets[..]].concat();
        let third = |root: u32| [&0x0300_0001_u32.to_le_bytes(), &sets[..], &root.to_le_bytes()].concat();
        assert_eq!(capability(&second, 7, becomes), Ok(third(7)));
        assert_eq!(capability(&third(0), 7, becomes), Ok(third(7)));
        assert_eq!(capability(&third(5), 7, becomes), Ok(third(1005)));
        assert_eq!(capability(&third(500), 7, becomes), Err(Fault::Foreign(Kind::User, 500)));
        for shape in [&third(5)[..20], &third(5)[..12], &[], &[&second[..], &[0; 5]].concat()] {
            assert_eq!(capability(shape, 7, becomes), Err(Fault::Shape), "{shape:?}");
        }
    }
}
