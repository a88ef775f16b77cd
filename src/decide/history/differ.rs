//! Whether two versions of a file differ, as far as that can be told without reading them, and a
//! merge of two listings that are in order.

use std::cmp::Ordering;

use super::entry::{Entry, Sort};

/// What two inodes of one name say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// They are one, or nobody could tell them apart.
    Same,
    /// Their content differs.
    Changed,
    /// Who reads both will know; else `metadata` says whether they differ in anything else.
    Unread {
        /// Whether mode, owner or time differ.
        metadata: bool,
    },
    /// Their content is the same, and mode, owner or time differ.
    Metadata,
}

/// Compares two versions.
pub fn beside(old: &Entry, new: &Entry) -> Beside {
    // Two inodes of one number that are both there are one.
    if old.inode == new.inode {
        return Beside::Same;
    }
    if old.sort != new.sort {
        return Beside::Changed;
    }
    let rights = (old.mode, old.owner) != (new.mode, new.owner);
    let times = old.changed != new.changed;
    match old.sort {
        // Its time says only that something in it has changed.
        Sort::Directory if rights => Beside::Metadata,
        Sort::Directory => Beside::Same,
        Sort::File | Sort::Link if old.size != new.size => Beside::Changed,
        Sort::File if old.size == 0 => settled(true, rights || times),
        Sort::File | Sort::Link => Beside::Unread { metadata: rights || times },
        Sort::Block | Sort::Character if old.device != new.device => Beside::Changed,
        Sort::Fifo | Sort::Socket | Sort::Block | Sort::Character => settled(true, rights || times),
    }
}

/// The same once both were read.
pub fn settled(same: bool, metadata: bool) -> Beside {
    match (same, metadata) {
        (false, _) => Beside::Changed,
        (true, true) => Beside::Metadata,
        (true, false) => Beside::Same,
    }
}

/// Where a name is, by its place in each listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// In the old one alone.
    Old(usize),
    /// In the new one alone.
    New(usize),
    /// In both.
    Both(usize, usize),
}

/// The next name of two listings that are in order, from these places on.
pub fn next<'a>(old: Option<&'a [u8]>, new: Option<&'a [u8]>, at: (usize, usize)) -> Option<Side> {
    match (old, new) {
        (None, None) => None,
        (Some(_), None) => Some(Side::Old(at.0)),
        (None, Some(_)) => Some(Side::New(at.1)),
        (Some(old), Some(new)) => Some(match old.cmp(new) {
            Ordering::Less => Side::Old(at.0),
            Ordering::Greater => Side::New(at.1),
            Ordering::Equal => Side::Both(at.0, at.1),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn file(inode: u64) -> Entry {
        Entry { sort: Sort::File, inode, names: 1, size: 5, allocated: 512, changed: (10, 0), mode: 0o644, owner: (1, 1), device: 0 }
    }

    #[test]
    fn what_shares_an_inode_is_the_same_and_what_does_not_is_read_only_where_that_can_tell() {
        let one = file(1);
        for (other, expected) in [
            (Entry { mode: 0, ..one }, Beside::Same),
            (file(2), Beside::Unread { metadata: false }),
            (Entry { changed: (10, 1), ..file(2) }, Beside::Unread { metadata: true }),
            (Entry { owner: (1, 2), ..file(2) }, Beside::Unread { metadata: true }),
            (Entry { size: 6, ..file(2) }, Beside::Changed),
            (Entry { sort: Sort::Fifo, ..file(2) }, Beside::Changed),
        ] {
            assert_eq!(beside(&one, &other), expected, "{other:?}");
        }
        let directory = Entry { sort: Sort::Directory, ..one };
        assert_eq!(beside(&directory, &Entry { changed: (99, 0), size: 99, inode: 2, ..directory }), Beside::Same);
        assert_eq!(beside(&directory, &Entry { mode: 0o700, inode: 2, ..directory }), Beside::Metadata);
        let empty = Entry { size: 0, ..one };
        assert_eq!(beside(&empty, &Entry { size: 0, ..file(2) }), Beside::Same);
        let device = Entry { sort: Sort::Block, device: 1, ..one };
        assert_eq!(beside(&device, &Entry { device: 2, inode: 2, ..device }), Beside::Changed);
    }

    proptest! {
        #[test]
        fn a_merge_finds_each_name_once_on_the_side_where_it_is(
            old in proptest::collection::btree_set("[a-d]{0,3}", 0..12),
            new in proptest::collection::btree_set("[a-d]{0,3}", 0..12),
        ) {
            let (ours, theirs): (Vec<_>, Vec<_>) = (old.iter().collect(), new.iter().collect());
            let (mut at, mut found) = ((0, 0), Vec::new());
            while let Some(side) = next(ours.get(at.0).map(|name| name.as_bytes()), theirs.get(at.1).map(|name| name.as_bytes()), at) {
                match side {
                    Side::Old(one) => { found.push((ours[one].clone(), true, false)); at.0 += 1; }
                    Side::New(one) => { found.push((theirs[one].clone(), false, true)); at.1 += 1; }
                    Side::Both(one, other) => {
                        prop_assert_eq!(ours[one], theirs[other]);
                        found.push((ours[one].clone(), true, true));
                        at = (at.0 + 1, at.1 + 1);
                    }
                }
            }
            let all: BTreeSet<_> = old.union(&new).cloned().collect();
            let expected: Vec<_> = all.into_iter().map(|name| (name.clone(), old.contains(&name), new.contains(&name))).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
