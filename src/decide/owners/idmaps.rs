//! The maps of user namespaces (user_namespaces(7)). They must hold no ids but those of the
//! account's ranges, and the account itself in the gate's.

use std::fmt::Write as _;

use crate::terms::{IdMap, Mapping};

/// The map of a gate's namespace, with the account behind the client's ids: the first id inside,
/// the first outside, and how many.
pub(crate) fn lines(map: &IdMap, own: u32) -> Vec<[u32; 3]> {
    let mut inside = 0;
    let mut lines = Vec::new();
    for range in map.ranges() {
        lines.push([inside, range.first(), range.count()]);
        inside += range.count();
    }
    lines.push([inside, own, 1]);
    lines
}

/// The maps of users and groups of a namespace with a client's ids alone, made by root or in the
/// namespace of [`lines`]. The kernel takes a line only if one of the upper map covers it.
pub(crate) fn below(mapping: &Mapping, as_root: bool) -> [String; 2] {
    [&mapping.users, &mapping.groups].map(|map| below_one(map, as_root))
}

fn below_one(map: &IdMap, as_root: bool) -> String {
    let mut inside = 0;
    let mut text = String::new();
    for range in map.ranges() {
        let outside = if as_root { range.first() } else { inside };
        let _ = writeln!(text, "{inside} {outside} {}", range.count());
        inside += range.count();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::IdRange;

    #[test]
    fn the_account_is_behind_its_client_s_ids_and_not_below() {
        let map =
            IdMap::new([(100_000, 65_536), (900_000, 10)].map(|(first, count)| IdRange::new(first, count).unwrap()).to_vec()).unwrap();
        assert_eq!(lines(&map, 1001), [[0, 100_000, 65_536], [65_536, 900_000, 10], [65_546, 1001, 1]]);
        assert_eq!(below_one(&map, false), "0 0 65536\n65536 65536 10\n");
        assert_eq!(below_one(&map, true), "0 100000 65536\n65536 900000 10\n");
    }
}
