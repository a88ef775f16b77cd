//! Which of the files that are gone stand under another name: one inode, or one size and, once
//! somebody has read both, one content.

use std::collections::BTreeMap;

use crate::terms::limits::MAX_ALIKE;

/// A file that is on one side alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lone {
    /// Its number.
    pub inode: u64,
    /// Its size.
    pub size: u64,
    /// When it was changed.
    pub changed: (i64, u32),
}

/// Finds for each file that came the one that it was, by its place in `gone`. No file is two.
/// `same` reads both, and is asked for few: those of its size, of its time first.
pub fn moved(gone: &[Lone], came: &[Lone], mut same: impl FnMut(usize, usize) -> bool) -> Vec<Option<usize>> {
    let mut inodes: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut sizes: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, one) in gone.iter().enumerate().rev() {
        inodes.entry(one.inode).or_default().push(at);
        sizes.entry(one.size).or_default().push(at);
    }
    let mut taken = vec![false; gone.len()];
    let mut take = |at: usize| taken.get_mut(at).map(|taken| std::mem::replace(taken, true)) == Some(false);
    let mut found = vec![None; came.len()];
    for (one, found) in came.iter().zip(&mut found) {
        while let Some(at) = inodes.get_mut(&one.inode).and_then(Vec::pop) {
            if take(at) {
                *found = Some(at);
                break;
            }
        }
    }
    for (number, (one, found)) in came.iter().zip(&mut found).enumerate() {
        // Nothing tells empty files apart.
        if found.is_some() || one.size == 0 {
            continue;
        }
        let Some(alike) = sizes.get_mut(&one.size) else { continue };
        alike.retain(|at| !taken.get(*at).copied().unwrap_or(true));
        let is_of_the_time = |at: &&usize| gone.get(**at).is_some_and(|other| other.changed == one.changed);
        let first = alike.iter().rev().filter(is_of_the_time);
        let others = alike.iter().rev().filter(|at| !is_of_the_time(at));
        let chosen = first.chain(others).take(MAX_ALIKE).copied().find(|at| same(*at, number));
        if let Some(at) = chosen
            && let Some(taken) = taken.get_mut(at)
        {
            *taken = true;
            *found = Some(at);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn lone((inode, size, seconds): (u64, u64, i64)) -> Lone {
        Lone { inode, size, changed: (seconds, 0) }
    }

    #[test]
    fn an_inode_comes_before_content_and_a_time_before_others() {
        let gone = [(1, 10, 5), (2, 10, 6), (3, 10, 7)].map(lone);
        let came = [(9, 10, 6), (1, 10, 5), (8, 10, 0), (7, 11, 7)].map(lone);
        assert_eq!(moved(&gone, &came, |_, _| true), [Some(1), Some(0), Some(2), None]);
        assert_eq!(moved(&gone, &came, |_, _| false), [None, Some(0), None, None]);
        assert_eq!(moved(&[lone((1, 0, 0))], &[lone((2, 0, 0))], |_, _| true), [None], "nothing tells empty files apart");
    }

    proptest! {
        #[test]
        fn nothing_is_two_files_and_whatever_is_found_is_one_inode_or_one_content(
            gone in proptest::collection::vec((0_u64..8, 0_u64..4, 0_i64..3), 0..12),
            came in proptest::collection::vec((0_u64..8, 0_u64..4, 0_i64..3), 0..12),
        ) {
            let (gone, came): (Vec<_>, Vec<_>) = (gone.into_iter().map(lone).collect(), came.into_iter().map(lone).collect());
            // Content is the same where the parity of inodes is.
            let same = |at: usize, number: usize| gone[at].inode % 2 == came[number].inode % 2;
            let found = moved(&gone, &came, same);
            let used: Vec<_> = found.iter().flatten().collect();
            prop_assert_eq!(used.iter().collect::<BTreeSet<_>>().len(), used.len());
            for (number, at) in found.iter().enumerate() {
                let by_inode = gone.iter().filter(|one| one.inode == came[number].inode).count();
                let sharing = came.iter().take(number).filter(|one| one.inode == came[number].inode).count();
                match at {
                    Some(at) => prop_assert!(
                        gone[*at].inode == came[number].inode || (gone[*at].size == came[number].size && same(*at, number))
                    ),
                    None => prop_assert!(by_inode <= sharing, "an inode that is left is found"),
                }
            }
        }
    }
}
