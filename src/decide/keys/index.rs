//! The index of keys: which policies list a key, and of which state of their files that was read.
//!
//! It is a hint. What it says of a key is proved by reading that policy, and that it says nothing
//! counts only for files that are as they were. So one that is old, cut or made up lets nobody in, and
//! keeps nobody out whose policy has changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::terms::limits::MAX_INDEX_HEAD;
use crate::terms::{ClientName, Fingerprint};

/// The beginning of the first line, and the version of what follows.
const MARK: &str = "snapgate-keys 1";

/// A file, as long as nobody has touched it. Nobody can set the time of its last change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its inode.
    pub inode: u64,
    /// Its length.
    pub size: u64,
    /// When it last changed, by its file system: seconds and nanoseconds.
    pub changed: (i64, i64),
}

/// How many seconds a file has to be as it is until its stamp tells the next change from this one:
/// as coarse as the clock of a file system may be.
const COARSE: i64 = 2;

impl Stamp {
    /// Whether a later change would show, by the time of its file system.
    pub fn is_settled(&self, now: (i64, i64)) -> bool {
        self.changed.0.saturating_add(COARSE) < now.0
    }

    fn text(&self) -> String {
        format!("{} {} {} {}", self.inode, self.size, self.changed.0, self.changed.1)
    }

    fn read<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Self> {
        let (inode, size) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some(Self { inode, size, changed: (words.next()?.parse().ok()?, words.next()?.parse().ok()?) })
    }
}

/// What a policy's file said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its state then; `None`: it may change unseen, or could not be read.
    pub stamp: Option<Stamp>,
    /// The account, and the keys that it lists.
    pub account: String,
    /// Its keys.
    pub keys: BTreeSet<Fingerprint>,
}

/// All policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    /// The site file, whose defaults are part of every policy; `None`: it may change unseen.
    pub site: Option<Stamp>,
    /// What each file said.
    pub entries: BTreeMap<ClientName, Entry>,
}

/// The first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// As in [`Index`].
    pub site: Option<Stamp>,
    /// Bytes of this line.
    pub length: u64,
    /// Bytes of the lines of keys, which follow.
    pub keys: u64,
    /// Bytes of the lines of files, which follow these.
    pub files: u64,
}

impl Head {
    /// Reads it from the beginning of the file, which has so many bytes; `None` where it is no index,
    /// or not a whole one.
    pub fn read(beginning: &[u8], size: u64) -> Option<Self> {
        let line = beginning.split(|byte| *byte == b'\n').next().filter(|line| line.len() < MAX_INDEX_HEAD.min(beginning.len()))?;
        let words = std::str::from_utf8(line).ok()?.strip_prefix(MARK)?.strip_prefix(' ')?;
        let mut words = words.split(' ');
        let (keys, files): (u64, u64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let length = line.len() as u64 + 1;
        let is_whole = length.checked_add(keys).and_then(|sum| sum.checked_add(files)) == Some(size);
        let mut words = words.filter(|word| *word != "-");
        let site = Stamp::read(&mut words);
        is_whole.then_some(Self { site, length, keys, files })
    }

    /// Of which clients the lines of keys say that a policy for this account lists the key.
    pub fn claimants(keys: &[u8], fingerprint: &Fingerprint, account: &str) -> Vec<ClientName> {
        let wanted = format!("{fingerprint} ");
        let from = first_not_before(keys, wanted.as_bytes());
        let lines = keys.get(from..).unwrap_or_default().split(|byte| *byte == b'\n');
        let lines = lines.map_while(|line| line.strip_prefix(wanted.as_bytes()));
        let named = lines.filter_map(|line| {
            let (client, its) = std::str::from_utf8(line).ok()?.split_once(' ')?;
            (its == account).then(|| client.parse().ok()).flatten()
        });
        named.collect()
    }

    /// What the lines of files say of their state. What cannot be read is as if it were not there.
    pub fn stamps(files: &str) -> BTreeMap<&str, Stamp> {
        let line = |line: &'_ str| -> Option<(usize, Stamp)> {
            let mut words = line.split(' ');
            Some((words.next()?.len(), Stamp::read(&mut words)?))
        };
        files.lines().filter_map(|text| line(text).and_then(|(length, stamp)| Some((text.get(..length)?, stamp)))).collect()
    }
}

/// Where the first line begins that does not sort before `wanted`.
fn first_not_before(lines: &[u8], wanted: &[u8]) -> usize {
    let (mut low, mut high) = (0, lines.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let before = lines.get(low..middle).unwrap_or_default();
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(low, |at| low + at + 1);
        let rest = lines.get(start..high).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        if rest.get(..length).unwrap_or_default() < wanted { low = start + length + 1 } else { high = start }
    }
    low.min(lines.len())
}

impl Index {
    /// Whether no policy lists a key.
    pub fn is_empty(&self) -> bool {
        self.entries.values().all(|entry| entry.keys.is_empty())
    }

    /// As it is written.
    pub fn text(&self) -> String {
        let lines =
            self.entries.iter().flat_map(|(client, entry)| entry.keys.iter().map(move |key| format!("{key} {client} {}\n", entry.account)));
        let keys: BTreeSet<String> = lines.collect();
        let keys: String = keys.into_iter().collect();
        let mut files = String::new();
        for (client, entry) in &self.entries {
            if let Some(stamp) = entry.stamp {
                let _ = writeln!(files, "{client} {}", stamp.text());
            }
        }
        let site = self.site.map_or_else(|| "-".to_owned(), |stamp| stamp.text());
        format!("{MARK} {} {} {site}\n{keys}{files}", keys.len(), files.len())
    }

    /// Reads what was written; `None` where any of it is not as this program writes it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let head = Head::read(bytes, bytes.len() as u64)?;
        let (_, rest) = bytes.split_at_checked(usize::try_from(head.length).ok()?)?;
        let (keys, files) = rest.split_at_checked(usize::try_from(head.keys).ok()?)?;
        let [keys, files] = [keys, files].map(|lines| std::str::from_utf8(lines).ok());
        let mut entries: BTreeMap<ClientName, Entry> = BTreeMap::new();
        for (client, stamp) in Head::stamps(files?) {
            entries.entry(client.parse().ok()?).or_default().stamp = Some(stamp);
        }
        for line in keys?.lines() {
            let mut words = line.splitn(3, ' ');
            let (key, client, account) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?);
            let entry = entries.entry(client).or_default();
            account.clone_into(&mut entry.account);
            entry.keys.insert(key);
        }
        let index = Self { site: head.site, entries };
        (index.text().as_bytes() == bytes).then_some(index)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(number: u8) -> Fingerprint {
        Fingerprint::of_digest(&[number; 32])
    }

    fn stamp(number: u64) -> Stamp {
        Stamp { inode: number, size: 7, changed: (1_795_000_000, 5) }
    }

    fn index() -> Index {
        let entry = |number: u8, account: &str, keys: &[u8]| Entry {
            stamp: Some(stamp(number.into())),
            account: account.to_owned(),
            keys: keys.iter().map(|number| key(*number)).collect(),
        };
        let entries = [
            ("a", entry(1, "backup", &[1, 2])),
            ("b", entry(2, "backup", &[2, 3])),
            ("c", entry(3, r"DOM\jane", &[1])),
            ("d", Entry { stamp: None, ..entry(4, "backup", &[9]) }),
        ];
        Index { site: Some(stamp(9)), entries: entries.into_iter().map(|(name, entry)| (name.parse().unwrap(), entry)).collect() }
    }

    fn ask(text: &str, number: u8, account: &str) -> Option<Vec<String>> {
        let head = Head::read(text.as_bytes(), text.len() as u64)?;
        let from = usize::try_from(head.length).unwrap();
        let keys = text.as_bytes().get(from..from + usize::try_from(head.keys).unwrap()).unwrap();
        Some(Head::claimants(keys, &key(number), account).iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_key_is_found_for_its_account_alone() {
        let text = index().text();
        for (number, account, clients) in [
            (1, "backup", &["a"][..]),
            (2, "backup", &["a", "b"]),
            (3, "backup", &["b"]),
            (9, "backup", &["d"]),
            (1, r"DOM\jane", &["c"]),
            (2, r"DOM\jane", &[]),
            (7, "backup", &[]),
        ] {
            assert_eq!(ask(&text, number, account).unwrap(), clients, "{number} {account}");
        }
        assert_eq!(Index::read(text.as_bytes()), Some(index()));
        let nothing = Index::default();
        assert_eq!(Index::read(nothing.text().as_bytes()), Some(nothing));
    }

    #[test]
    fn one_that_was_cut_or_changed_is_none() {
        let text = index().text();
        for length in 0..text.len() {
            assert_eq!(ask(&text[..length], 1, "backup"), None, "{length}");
            assert_eq!(Index::read(&text.as_bytes()[..length]), None);
        }
        assert_eq!(Index::read(format!("{text}x").as_bytes()), None);
        assert_eq!(Index::read(text.replace(" a backup", " ../a backup").as_bytes()), None);
        assert_eq!(Index::read(text.replace("keys 1", "keys 2").as_bytes()), None);
    }

    #[test]
    fn a_file_is_settled_when_its_file_system_s_clock_has_gone_on() {
        let stamp = stamp(1);
        assert!(!stamp.is_settled(stamp.changed));
        assert!(!stamp.is_settled((stamp.changed.0 + COARSE, 999_999_999)));
        assert!(stamp.is_settled((stamp.changed.0 + COARSE + 1, 0)));
        assert!(!stamp.is_settled((0, 0)), "the clock went back");
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_a_search_of_every_line_finds(numbers in proptest::collection::vec((0_u8..40, 0_u8..20), 0..60), wanted in 0_u8..40) {
            let mut index = Index::default();
            for (number, client) in &numbers {
                let entry = index.entries.entry(format!("c{client}").parse().unwrap()).or_default();
                entry.account = "backup".to_owned();
                entry.keys.insert(key(*number));
            }
            let by_hand: Vec<_> = index.entries.iter().filter(|(_, entry)| entry.keys.contains(&key(wanted))).map(|(client, _)| client.to_string()).collect();
            prop_assert_eq!(ask(&index.text(), wanted, "backup").unwrap(), by_hand);
        }

        #[test]
        fn no_bytes_are_taken_for_more_than_they_are(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Head::read(&bytes, bytes.len() as u64);
            let _ = Head::claimants(&bytes, &key(1), "backup");
            let _ = Index::read(&bytes);
        }
    }
}
