//! Files whose owners became the account, where owners are not kept. Only rsync's log of received
//! files tells the client's owners.

use std::collections::BTreeSet;

use crate::decide::rsync::output;
use crate::terms::DroppedOwners;
use crate::terms::limits::MAX_DROPPED_OWNERS;
use crate::terms::text::{counted, digits};

/// Has rsync log the owner's number of each received regular file (rsyncd.conf(5), "log format").
pub(crate) const OWNER_ALONE: &str = "%U";

/// Counts such lines of a log. An rsync that was taken over can only make the numbers wrong.
#[derive(Debug)]
pub(crate) struct Tally {
    account: u32,
    owners: BTreeSet<u32>,
    counted: DroppedOwners,
}

impl Tally {
    /// A new count, which leaves out the account's own files.
    pub(crate) fn new(account: u32) -> Self {
        Self { account, owners: BTreeSet::new(), counted: DroppedOwners::default() }
    }

    /// Whether a line is an owner and nothing else; it is counted then.
    pub(crate) fn takes(&mut self, line: &[u8]) -> bool {
        let Some(owner) = output::by_rsync(line).and_then(|text| digits(str::from_utf8(text).ok()?)) else { return false };
        if owner != self.account {
            self.counted.files = self.counted.files.saturating_add(1);
            if self.owners.len() < MAX_DROPPED_OWNERS || self.owners.contains(&owner) {
                self.owners.insert(owner);
            } else {
                self.counted.more = true;
            }
        }
        true
    }

    /// The result, if there is any. `whole` is whether every line was seen.
    pub(crate) fn found(self, whole: bool) -> Option<DroppedOwners> {
        let owners = u64::try_from(self.owners.len()).unwrap_or(u64::MAX);
        let counted = DroppedOwners { owners, more: self.counted.more || !whole, ..self.counted };
        (counted.files > 0).then_some(counted)
    }
}

/// The result in words.
pub(crate) fn describe(dropped: DroppedOwners) -> String {
    let DroppedOwners { files, owners, more } = dropped;
    let least = if more { "at least " } else { "" };
    format!("{least}{} of {least}{}", counted(files, "file", "files"), counted(owners, "other owner", "other owners"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lines: &[&str]) -> (Vec<bool>, Option<DroppedOwners>) {
        let mut tally = Tally::new(1001);
        let taken = lines.iter().map(|text| tally.takes(format!("2026/11/21 09:12:02 [2735] {text}").as_bytes())).collect();
        (taken, tally.found(true))
    }

    #[test]
    fn files_of_others_are_counted_and_so_are_these() {
        let (taken, dropped) = found(&["33", "1234", "1001", "33", "0", "4294967294"]);
        assert_eq!(taken, [true; 6]);
        assert_eq!(dropped, Some(DroppedOwners { files: 5, owners: 4, more: false }));
        assert_eq!(found(&["1001", "1001"]).1, None);
    }

    #[test]
    fn no_other_line_is_taken() {
        let lines = ["", "-1", "+1", " 1", "1 ", "1\n2", "4294967296", "receiving file list", "rsync: 33", "DEFAULT", "٣"];
        assert_eq!(found(&lines), (vec![false; lines.len()], None));
        let mut tally = Tally::new(1001);
        for line in ["33", "2026/11/21 09:12:02 [snapgate] 33", "2026/11/21 [2735] 33", "[2735] 33", "2026/11/21 09:12:02 [2735]33"] {
            assert!(!tally.takes(line.as_bytes()), "{line}");
        }
        assert_eq!(tally.found(true), None);
    }

    #[test]
    fn owners_without_end_take_no_room_without_end() {
        let mut tally = Tally::new(1001);
        for owner in 2000..52_000 {
            assert!(tally.takes(format!("2026/11/21 09:12:02 [1] {owner}").as_bytes()));
        }
        let most = u64::try_from(MAX_DROPPED_OWNERS).unwrap();
        let dropped = tally.found(true).unwrap();
        assert_eq!(dropped, DroppedOwners { files: 50_000, owners: most, more: true });
        assert_eq!(describe(dropped), format!("at least 50000 files of at least {most} other owners"));
    }

    #[test]
    fn what_was_not_seen_is_said() {
        let mut tally = Tally::new(1001);
        assert!(tally.takes(b"2026/11/21 09:12:02 [1] 33"));
        let dropped = tally.found(false).unwrap();
        assert_eq!(describe(dropped), "at least 1 file of at least 1 other owner");
        assert_eq!(describe(DroppedOwners { more: false, ..dropped }), "1 file of 1 other owner");
    }
}
