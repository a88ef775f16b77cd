//! The index of keys: which policies list a key, and of which state of their files that was read.
//!
//! It is a hint. What it says of a key is proved by reading that policy, and that it says nothing
//! counts only for files that are as they were. So an answer is the same as without it: one that is
//! old, cut or made up lets nobody in, and keeps nobody out whose policy has changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::terms::limits::MAX_INDEX_HEAD;
use crate::terms::{ClientName, Fingerprint};

/// The beginning of the first line, and the version of what follows.
const MARK: &str = "snapgate-keys 2";

/// A file or a directory, as long as nobody has touched it. Nobody can set the time of its last change,
/// which every other change sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Its inode.
    pub inode: u64,
    /// When it last changed, by its file system: seconds and nanoseconds.
    pub changed: (i64, i64),
}

/// How many seconds a file has to be as it is until its stamp tells the next change from this one: as
/// coarse as the clock of a file system may be. The time is set before the bytes are written, too.
const COARSE: i64 = 2;

/// The same of a directory whose file system counts nanoseconds: its clock goes on with the kernel's
/// ticks, and a directory is locked while it changes.
const TICKS: i64 = 20_000_000;

/// What the clocks of others count.
const MILLISECOND: i64 = 1_000_000;

/// What stands where there is no stamp.
const NONE: &str = "-";

impl Stamp {
    /// Whether a later change of this file would show, by the time of its file system.
    pub fn is_settled(&self, now: (i64, i64)) -> bool {
        self.changed.0.saturating_add(COARSE) < now.0
    }

    /// Whether a later change of the names in this directory would show.
    pub fn has_settled_names(&self, now: (i64, i64)) -> bool {
        let passed = |(seconds, nanos): (i64, i64)| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let is_fine = self.changed.1 % MILLISECOND != 0;
        self.is_settled(now) || (is_fine && passed(self.changed) + i128::from(TICKS) < passed(now))
    }

    fn text(stamp: Option<Self>) -> String {
        let [inode, seconds, nanos] = match stamp {
            None => return NONE.to_owned(),
            Some(Self { inode, changed: (seconds, nanos) }) => [inode, seconds.cast_unsigned(), nanos.cast_unsigned()],
        };
        format!("{inode:x} {seconds:x} {nanos:x}")
    }

    /// Reads one, or that there is none, and what separates it from the next. The outer `None`: it is
    /// neither. Digit by digit: ten thousand of them are read for an answer.
    fn read(text: &mut std::slice::Iter<'_, u8>) -> Option<Option<Self>> {
        if let Some(rest) = text.as_slice().strip_prefix(NONE.as_bytes()) {
            *text = rest.iter();
            return matches!(text.next(), None | Some(b' ')).then_some(None);
        }
        let mut number = || {
            let mut value = None;
            loop {
                let digit = match text.next() {
                    Some(digit @ b'0'..=b'9') => digit - b'0',
                    Some(letter @ b'a'..=b'f') => letter - b'a' + 10,
                    Some(b' ') | None => return value,
                    Some(_) => return None,
                };
                let before = value.unwrap_or(0_u64);
                value = (before >> 60 == 0).then_some((before << 4) | u64::from(digit));
                value?;
            }
        };
        let inode = number()?;
        Some(Some(Self { inode, changed: (number()?.cast_signed(), number()?.cast_signed()) }))
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
    /// The directory of policies; `None`: one may come unseen.
    pub directory: Option<Stamp>,
    /// What each file said that has a policy's name.
    pub entries: BTreeMap<ClientName, Entry>,
}

/// The first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// As in [`Index`].
    pub site: Option<Stamp>,
    /// As in [`Index`].
    pub directory: Option<Stamp>,
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
        let mut words = words.splitn(3, ' ');
        let (keys, files): (u64, u64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let length = line.len() as u64 + 1;
        let is_whole = length.checked_add(keys).and_then(|sum| sum.checked_add(files)) == Some(size);
        let mut stamps = words.next()?.as_bytes().iter();
        let (site, directory) = (Stamp::read(&mut stamps)?, Stamp::read(&mut stamps)?);
        is_whole.then_some(Self { site, directory, length, keys, files })
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

    /// What a line of files says: a client's name, and the state of its file.
    pub fn file(line: &str) -> Option<(&str, Option<Stamp>)> {
        let (client, stamp) = line.split_once(' ')?;
        Some((client, Stamp::read(&mut stamp.as_bytes().iter())?))
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
            let _ = writeln!(files, "{client} {}", Stamp::text(entry.stamp));
        }
        let [site, directory] = [self.site, self.directory].map(Stamp::text);
        format!("{MARK} {} {} {site} {directory}\n{keys}{files}", keys.len(), files.len())
    }

    /// Reads what was written; `None` where any of it is not as this program writes it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let head = Head::read(bytes, bytes.len() as u64)?;
        let (_, rest) = bytes.split_at_checked(usize::try_from(head.length).ok()?)?;
        let (keys, files) = rest.split_at_checked(usize::try_from(head.keys).ok()?)?;
        let [keys, files] = [keys, files].map(|lines| std::str::from_utf8(lines).ok());
        let mut entries: BTreeMap<ClientName, Entry> = BTreeMap::new();
        for line in files?.lines() {
            let (client, stamp) = Head::file(line)?;
            entries.insert(client.parse().ok()?, Entry { stamp, ..Entry::default() });
        }
        for line in keys?.lines() {
            let mut words = line.splitn(3, ' ');
            let (key, client, account) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?);
            let entry = entries.get_mut(&client)?;
            account.clone_into(&mut entry.account);
            entry.keys.insert(key);
        }
        let index = Self { site: head.site, directory: head.directory, entries };
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
        Stamp { inode: number, changed: (1_795_000_000, 5) }
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
            ("e", Entry { account: String::new(), ..entry(5, "", &[]) }),
            ("f", Entry::default()),
        ];
        Index {
            site: Some(stamp(9)),
            directory: Some(stamp(8)),
            entries: entries.into_iter().map(|(name, entry)| (name.parse().unwrap(), entry)).collect(),
        }
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
        assert_eq!(Index::read(text.replace("keys 2", "keys 1").as_bytes()), None);
    }

    #[test]
    fn a_file_is_settled_when_its_file_system_s_clock_has_gone_on() {
        let stamp = stamp(1);
        assert!(!stamp.is_settled(stamp.changed));
        assert!(!stamp.is_settled((stamp.changed.0 + COARSE, 999_999_999)));
        assert!(stamp.is_settled((stamp.changed.0 + COARSE + 1, 0)));
        assert!(!stamp.is_settled((0, 0)), "the clock went back");
        // A directory sooner, where nanoseconds are counted.
        let fine = Stamp { changed: (5, 999_000_001), ..stamp };
        for (now, is) in
            [((5, 999_000_001), false), ((6, 19_000_001), false), ((6, 19_000_002), true), ((4, 0), false), ((i64::MAX, 0), true)]
        {
            assert_eq!(fine.has_settled_names(now), is, "{now:?}");
        }
        let coarse = Stamp { changed: (5, 990_000_000), ..stamp };
        assert!(!coarse.has_settled_names((7, 999_999_999)) && coarse.has_settled_names((8, 0)));
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
