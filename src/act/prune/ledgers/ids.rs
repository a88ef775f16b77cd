//! What came by already. An account writes the ids, as long and as many as it likes, and several are
//! read at once by a process of root's: of each a figure is kept that nobody can foresee, and no more
//! of these than an honest client has.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use crate::terms::limits::MAX_IDS;

/// Ids that came by.
#[derive(Debug, Default)]
pub struct Ids {
    by: RandomState,
    all: HashSet<u64>,
}

impl Ids {
    /// Remembers one; whether it is new. What comes when there is no more room always is.
    pub fn insert(&mut self, id: &str) -> bool {
        let figure = self.by.hash_one(id);
        if self.all.len() < MAX_IDS { self.all.insert(figure) } else { !self.all.contains(&figure) }
    }
}

/// What is read of several ledgers. What two of them have is one event; what one has twice was
/// recorded twice, and is shown so.
#[derive(Default)]
pub(super) struct Once {
    /// Those of the ledgers before this one.
    earlier: Ids,
    figures: Vec<u64>,
}

impl Once {
    pub(super) fn is_new(&mut self, id: &str) -> bool {
        let figure = self.earlier.by.hash_one(id);
        let is_new = !self.earlier.all.contains(&figure);
        if is_new && self.earlier.all.len() + self.figures.len() < MAX_IDS {
            self.figures.push(figure);
        }
        is_new
    }

    /// The next ledger begins.
    pub(super) fn next(&mut self) {
        self.earlier.all.extend(self.figures.drain(..));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_id_no_more_is_kept_than_a_figure_and_of_these_no_more_than_there_is_room() {
        let (mut ids, mut once) = (Ids::default(), Once::default());
        let long = "x".repeat(60_000);
        assert!(ids.insert(&long) && !ids.insert(&long) && ids.insert("x") && !ids.insert("x"));
        assert!(once.is_new(&long) && once.is_new(&long), "recorded twice");
        once.next();
        assert!(!once.is_new(&long) && once.is_new("x"));
        for number in 0..MAX_IDS + 1000 {
            let id = number.to_string();
            ids.insert(&id);
            once.is_new(&id);
            if number % 10_000 == 0 {
                once.next();
            }
        }
        once.next();
        assert_eq!((ids.all.len(), once.earlier.all.len(), once.figures.len()), (MAX_IDS, MAX_IDS, 0));
        assert!(ids.insert("another") && ids.insert("another") && !ids.insert(&long));
        assert!(once.is_new("another") && !once.is_new(&long));
    }
}
