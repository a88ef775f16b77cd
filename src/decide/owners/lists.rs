//! Access lists as the kernel hands them out (xattr(7); linux/posix_acl_xattr.h): a version, and an entry for each whom a list names.
//!
//! A list is a client's: whatever it is like, it must be no more than looked through.

use crate::decide::sandbox::spec::Ids;

const VERSION: [u8; 4] = 2_u32.to_le_bytes();
const ENTRY: usize = 8;
const USER: u16 = 0x02;
const GROUP: u16 = 0x08;

/// Whether a list names the last user or the last group of these. What is no list names nobody.
pub fn names_last(list: &[u8], ids: Ids) -> bool {
    let last = |count: u32| count.checked_sub(1);
    list.strip_prefix(&VERSION).unwrap_or_default().chunks_exact(ENTRY).any(|entry| match *entry {
        [tag, high, _, _, a, b, c, d] => {
            let id = Some(u32::from_le_bytes([a, b, c, d]));
            match u16::from_le_bytes([tag, high]) {
                USER => id == last(ids.users),
                GROUP => id == last(ids.groups),
                _ => false,
            }
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: Ids = Ids { users: 65_536, groups: 1000 };

    fn list(entries: &[(u16, u32)]) -> Vec<u8> {
        let entry = |(tag, id): &(u16, u32)| [&tag.to_le_bytes()[..], &4_u16.to_le_bytes(), &id.to_le_bytes()].concat();
        [VERSION.to_vec(), entries.iter().flat_map(entry).collect()].concat()
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
