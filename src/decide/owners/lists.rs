//! Access lists in the kernel's format (xattr(7); linux/posix_acl_xattr.h). A list is a client's
//! and may hold anything.

use crate::decide::owners::Kind;
use crate::decide::sandbox::spec::Ids;

/// The header and an entry of a list: tag, permissions, id.
pub(super) const LIST_VERSION: u32 = 2;
pub(super) const ENTRY: usize = 8;
/// Tags with an id (`linux/posix_acl.h`, `ACL_USER` and `ACL_GROUP`).
const USER: u16 = 0x02;
const GROUP: u16 = 0x08;

/// Whom an entry names.
pub(super) fn named(entry: &[u8]) -> Option<(Kind, u32)> {
    let [t0, t1, _, _, a, b, c, d] = *entry else { return None };
    let kind = match u16::from_le_bytes([t0, t1]) {
        USER => Kind::User,
        GROUP => Kind::Group,
        _ => return None,
    };
    Some((kind, u32::from_le_bytes([a, b, c, d])))
}

/// Whether a list names the last user or the last group of these. What is no list names nobody.
pub(crate) fn names_last(list: &[u8], ids: Ids) -> bool {
    let last = |kind| if kind == Kind::User { ids.users } else { ids.groups }.checked_sub(1);
    let entries = list.strip_prefix(&LIST_VERSION.to_le_bytes()).unwrap_or_default().chunks_exact(ENTRY);
    entries.filter_map(named).any(|(kind, id)| Some(id) == last(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: Ids = Ids { users: 65_536, groups: 1000 };

    fn list(entries: &[(u16, u32)]) -> Vec<u8> {
        let entry = |(tag, id): &(u16, u32)| [&tag.to_le_bytes()[..], &4_u16.to_le_bytes(), &id.to_le_bytes()].concat();
        [LIST_VERSION.to_le_bytes().to_vec(), entries.iter().flat_map(entry).collect()].concat()
    }

    #[test]
    fn the_last_user_and_the_last_group_are_found_each_among_its_own() {
        let owner = (0x01, u32::MAX);
        for (entries, expected) in [
            (&[owner][..], false),
            (&[owner, (USER, 65_535)], true),
            (&[owner, (USER, 7), (GROUP, 999), (0x20, u32::MAX)], true),
            (&[owner, (USER, 999), (GROUP, 65_535)], false),
            (&[(0x01, 65_535), (0x04, 999), (0x10, 65_535), (0x20, 999)], false),
        ] {
            assert_eq!(names_last(&list(entries), IDS), expected, "{entries:?}");
        }
    }

    #[test]
    fn what_is_no_list_names_nobody() {
        let whole = list(&[(USER, 65_535)]);
        for bad in [&b""[..], b"\x02", &whole[..11], &whole[4..], &[&[3], &whole[1..]].concat()] {
            assert!(!names_last(bad, IDS), "{bad:?}");
        }
        assert!(!names_last(&list(&[(USER, u32::MAX)]), Ids { users: 0, groups: 0 }));
    }
}
