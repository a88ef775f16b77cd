//! Ids of users and groups: a client's own, and those on the disk of an account that keeps owners.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A range of ids that an account may use for others (subuid(5), subgid(5)). It is checked when it
/// is read from a note: an account could write one with root's id in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct IdRange {
    first: u32,
    count: u32,
}

/// A range as it stands in a note.
#[derive(Deserialize)]
struct Written {
    first: u32,
    count: u32,
}

impl TryFrom<Written> for IdRange {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        Self::new(written.first, written.count).ok_or("a range without ids, or with one that is root's or no id")
    }
}

impl IdRange {
    /// The range; `None` if it is empty or has root's id or no id in it.
    pub fn new(first: u32, count: u32) -> Option<Self> {
        // The greatest number stands for nobody (chown(2)).
        first.checked_add(count)?;
        (first > 0 && count > 0).then_some(Self { first, count })
    }

    /// The first.
    pub fn first(self) -> u32 {
        self.first
    }

    /// How many ids it has.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether an id is in it.
    pub fn contains(self, id: u32) -> bool {
        id.checked_sub(self.first).is_some_and(|offset| offset < self.count)
    }

    /// Whether an id is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.first) || other.contains(self.first)
    }
}

/// Where a client's ids are stored: its id 0 is the first of the first range, and so on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<IdRange>")]
pub struct IdMap(Vec<IdRange>);

impl TryFrom<Vec<IdRange>> for IdMap {
    type Error = &'static str;

    fn try_from(ranges: Vec<IdRange>) -> Result<Self, Self::Error> {
        Self::new(ranges).ok_or("no ranges, or an id in two of them")
    }
}

impl IdMap {
    /// A map onto these ranges, in order; `None` if there is none, or an id is in two of them.
    pub fn new(ranges: Vec<IdRange>) -> Option<Self> {
        let twice = |(at, range): (usize, &IdRange)| ranges.iter().take(at).any(|before| before.overlaps(*range));
        (!ranges.is_empty() && !ranges.iter().enumerate().any(twice)).then_some(Self(ranges))
    }

    /// The ranges.
    pub fn ranges(&self) -> &[IdRange] {
        &self.0
    }

    /// Whether every id of `before` is stored as it was; there may be more.
    pub fn extends(&self, before: &Self) -> bool {
        self.0.starts_with(&before.0)
    }

    /// How many ids a client may have, from 0 on.
    pub fn count(&self) -> u32 {
        self.0.iter().fold(0, |sum, range| sum.saturating_add(range.count))
    }

    /// A client's id as it is stored.
    pub fn stored(&self, id: u32) -> Option<u32> {
        let mut left = id;
        for range in &self.0 {
            match left.checked_sub(range.count) {
                None => return range.first.checked_add(left),
                Some(beyond) => left = beyond,
            }
        }
        None
    }

    /// The client's id that is stored as this one.
    pub fn client(&self, stored: u32) -> Option<u32> {
        let mut before = 0_u32;
        for range in &self.0 {
            if range.contains(stored) {
                return before.checked_add(stored - range.first);
            }
            before = before.checked_add(range.count)?;
        }
        None
    }
}

/// As `first-last` of each range.
impl fmt::Display for IdMap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(out, "{comma}{}-{}", range.first, range.first.saturating_add(range.count.saturating_sub(1)))?;
        }
        Ok(())
    }
}

/// Where a client's ids are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Of users.
    pub users: IdMap,
    /// Of groups.
    pub groups: IdMap,
}

impl Mapping {
    /// Whether what was stored by `before` means the same here.
    pub fn extends(&self, before: &Self) -> bool {
        self.users.extends(&before.users) && self.groups.extends(&before.groups)
    }
}

/// Who owns a client's files on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owners {
    /// The client's owners, by the same number: the gate runs as root.
    Real,
    /// The client's owners, by a number of the account's ranges.
    Mapped(Mapping),
    /// The account.
    Account,
    /// Unknown, since there is an error. Nothing is stored then.
    Undecided,
}

impl Owners {
    /// The mapping, where there is one.
    pub fn mapping(&self) -> Option<&Mapping> {
        if let Self::Mapped(mapping) = self { Some(mapping) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_range_is_none() {
        for (first, count) in [(0, 1), (1, 0), (u32::MAX, 1), (u32::MAX - 1, 2), (5, u32::MAX)] {
            assert_eq!(IdRange::new(first, count), None, "{first} {count}");
        }
        assert!(IdRange::new(u32::MAX - 1, 1).is_some_and(|last| last.contains(u32::MAX - 1)));
    }

    #[test]
    fn a_map_has_ranges_and_no_id_twice() {
        let range = |first, count| IdRange::new(first, count).unwrap();
        assert_eq!(IdMap::new(Vec::new()), None);
        assert_eq!(IdMap::new(vec![range(100, 10), range(109, 5)]), None);
        assert_eq!(IdMap::new(vec![range(100, 10), range(50, 60)]), None);
        let map = IdMap::new(vec![range(200_000, 10), range(100_000, 65_536)]).unwrap();
        assert_eq!((map.count(), map.stored(0), map.stored(10), map.stored(65_545)), (65_546, Some(200_000), Some(100_000), Some(165_535)));
        assert_eq!((map.stored(65_546), map.client(165_536), map.client(0)), (None, None, None));
    }

    #[test]
    fn a_note_says_nothing_that_could_not_be_made() {
        let read = |text: &str| serde_json::from_str::<IdMap>(text).ok();
        let map = IdMap::new(vec![IdRange::new(200_000, 10).unwrap(), IdRange::new(100_000, 65_536).unwrap()]).unwrap();
        assert_eq!(read(&serde_json::to_string(&map).unwrap()), Some(map));
        for text in [
            "[]",
            r#"[{"first":0,"count":10}]"#,
            r#"[{"first":10,"count":0}]"#,
            r#"[{"first":4294967290,"count":10}]"#,
            r#"[{"first":100,"count":10},{"first":105,"count":1}]"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_id_comes_back_and_no_other_does(
            ranges in prop::collection::vec((1..1_000_u32, 1..50_u32), 1..6),
            id in 0..400_u32,
            stored in 0..2_000_u32,
        ) {
            let ranges = ranges.into_iter().filter_map(|(first, count)| IdRange::new(first, count)).collect();
            if let Some(map) = IdMap::new(ranges) {
                prop_assert_eq!(map.stored(id).is_some(), id < map.count());
                if let Some(stored) = map.stored(id) {
                    prop_assert_eq!(map.client(stored), Some(id));
                }
                if let Some(id) = map.client(stored) {
                    prop_assert_eq!(map.stored(id), Some(stored));
                }
            }
        }
    }
}
