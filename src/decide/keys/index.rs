//! The index of keys: which policies list a key, and of which state of their files that was read.
//!
//! It is a hint. What it says of a key is proved by reading that policy, and that it says nothing
//! counts only for files that are as they were. So an answer is the same as without it: one that is
//! old, cut or made up lets nobody in, and keeps nobody out whose policy has changed since.
//!
//! A first line, then a line for each key of a policy, sorted, in which one is looked up by a few
//! reads. Then the state of each file, in blocks of one size ([`BLOCK`]), so that each thread reads
//! its own: ten thousand are compared for an answer, so none is a number to be parsed.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;

use crate::decide::policy::ENDING;
use crate::terms::limits::{MAX_INDEX_HEAD, MAX_INDEX_LINE};
use crate::terms::{ClientName, Fingerprint};

/// The beginning of the first line, and the version of what follows.
const MARK: &str = "snapgate-keys 3";

/// Bytes of a block of files. None of them stands in two.
pub const BLOCK: usize = 16 * 1024;

/// So few bytes of lines are searched at once.
const FEW: u64 = 4096;

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

    /// Reads one, or that there is none. The outer `None`: it is neither.
    fn read<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<Option<Self>> {
        let first = words.next()?;
        if first == NONE {
            return Some(None);
        }
        let number = |word: &str| u64::from_str_radix(word, 16).ok();
        let inode = number(first)?;
        let changed = (number(words.next()?)?.cast_signed(), number(words.next()?)?.cast_signed());
        Some(Some(Self { inode, changed }))
    }

    /// As it stands in a block. No file has the inode 0.
    fn bytes(stamp: Option<Self>) -> [u8; STAMP] {
        let [inode, seconds, nanos] = stamp.map_or_else(Default::default, |Self { inode, changed: (seconds, nanos) }| {
            [inode.to_le_bytes(), seconds.to_le_bytes(), nanos.to_le_bytes()]
        });
        let mut bytes = [0; STAMP];
        bytes.iter_mut().zip([inode, seconds, nanos].as_flattened()).for_each(|(to, from)| *to = *from);
        bytes
    }

    fn of_bytes(bytes: &[u8; STAMP]) -> Option<Self> {
        let ([inode, seconds, nanos], _) = bytes.as_chunks::<8>() else { return None };
        let changed = (i64::from_le_bytes(*seconds), i64::from_le_bytes(*nanos));
        Some(Self { inode: u64::from_le_bytes(*inode), changed }).filter(|stamp| stamp.inode != 0)
    }
}

/// Bytes of a stamp in a block.
const STAMP: usize = 24;

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
    /// Blocks of files, which follow these.
    pub blocks: u64,
}

impl Head {
    /// Reads it from the beginning of the file, which has so many bytes; `None` where it is no index,
    /// or not a whole one.
    pub fn read(beginning: &[u8], size: u64) -> Option<Self> {
        let line = beginning.split(|byte| *byte == b'\n').next().filter(|line| line.len() < MAX_INDEX_HEAD.min(beginning.len()))?;
        let words = std::str::from_utf8(line).ok()?.strip_prefix(MARK)?.strip_prefix(' ')?;
        let mut words = words.split(' ');
        let (keys, blocks): (u64, u64) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let length = line.len() as u64 + 1;
        let files = blocks.checked_mul(BLOCK as u64)?;
        let is_whole = length.checked_add(keys).and_then(|sum| sum.checked_add(files)) == Some(size);
        let (site, directory) = (Stamp::read(&mut words)?, Stamp::read(&mut words)?);
        is_whole.then_some(Self { site, directory, length, keys, blocks })
    }

    /// Where a block begins.
    pub fn block(&self, number: u64) -> u64 {
        self.length + self.keys + number * BLOCK as u64
    }

    /// Of which clients the lines of keys say that a policy for this account lists the key. `read` reads
    /// so many bytes of the index from there on. `None`: it cannot, or they are no such lines.
    pub fn claimants(
        &self,
        read: &impl Fn(u64, u64) -> Option<Vec<u8>>,
        fingerprint: &Fingerprint,
        account: &str,
    ) -> Option<Vec<ClientName>> {
        // A space ends the key, and nothing sorts between the two.
        let [wanted, beyond] = [' ', '!'].map(|end| format!("{fingerprint}{end}"));
        let from = self.first_not_before(read, wanted.as_bytes())?;
        let to = self.first_not_before(read, beyond.as_bytes())?;
        let lines = read(from, to.checked_sub(from)?)?;
        let named = str::from_utf8(&lines).ok()?.lines().map(|line| {
            let (client, its) = line.strip_prefix(&wanted)?.split_once(' ')?;
            Some((client.parse().ok()?, its == account))
        });
        let all: Option<Vec<(ClientName, bool)>> = named.collect();
        Some(all?.into_iter().filter_map(|(client, is_its)| is_its.then_some(client)).collect())
    }

    /// Where the first line of keys begins that does not sort before `wanted`, in the index.
    fn first_not_before(&self, read: &impl Fn(u64, u64) -> Option<Vec<u8>>, wanted: &[u8]) -> Option<u64> {
        let (mut low, mut high) = (self.length, self.length + self.keys);
        while high - low > FEW {
            let middle = low + (high - low) / 2;
            // The rest of a line, and the beginning of the next: both end before `high`.
            let lines = read(middle, 2 * MAX_INDEX_LINE)?;
            let rest = lines.iter().position(|byte| *byte == b'\n').filter(|at| *at as u64 <= MAX_INDEX_LINE)?;
            let next = lines.get(rest + 1..)?.split(|byte| *byte == b'\n').next()?;
            let start = middle + rest as u64 + 1;
            if next < wanted { low = start } else { high = start }
        }
        let few = read(low, high - low)?;
        let before = few.split_inclusive(|byte| *byte == b'\n').take_while(|line| *line < wanted);
        Some(low + before.map(|line| line.len() as u64).sum::<u64>())
    }
}

/// What a block says of a file: its name, and its state.
pub type Known<'a> = (&'a CStr, Option<Stamp>);

/// The files of a block. One that is `None` is none, and no more come.
pub fn files(block: &[u8]) -> impl Iterator<Item = Option<Known<'_>>> {
    let mut rest = block;
    std::iter::from_fn(move || {
        if rest.first().is_none_or(|byte| *byte == 0) {
            return None;
        }
        let file = CStr::from_bytes_until_nul(rest).ok().and_then(|name| {
            let after = rest.get(name.count_bytes() + 1..)?;
            let (stamp, after) = after.split_first_chunk::<STAMP>()?;
            Some(((name, Stamp::of_bytes(stamp)), after))
        });
        rest = file.map_or(&[], |(_, after)| after);
        Some(file.map(|(known, _)| known))
    })
}

/// The client whose policy's file has this name.
pub fn client(name: &CStr) -> Option<ClientName> {
    name.to_str().ok()?.strip_suffix(ENDING)?.parse().ok()
}

impl Index {
    /// Whether no policy lists a key.
    pub fn is_empty(&self) -> bool {
        self.entries.values().all(|entry| entry.keys.is_empty())
    }

    /// As it is written.
    pub fn bytes(&self) -> Vec<u8> {
        let lines =
            self.entries.iter().flat_map(|(client, entry)| entry.keys.iter().map(move |key| format!("{key} {client} {}\n", entry.account)));
        let keys: BTreeSet<String> = lines.collect();
        let keys: String = keys.into_iter().collect();
        let mut blocks = Vec::new();
        for (client, entry) in &self.entries {
            let mut file = format!("{client}{ENDING}\0").into_bytes();
            file.extend(Stamp::bytes(entry.stamp));
            if blocks.len() % BLOCK + file.len() > BLOCK {
                blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
            }
            blocks.extend(file);
        }
        blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
        let [site, directory] = [self.site, self.directory].map(Stamp::text);
        let mut bytes = format!("{MARK} {} {} {site} {directory}\n{keys}", keys.len(), blocks.len() / BLOCK).into_bytes();
        bytes.extend(blocks);
        bytes
    }

    /// Reads what was written; `None` where any of it is not as this program writes it.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let head = Head::read(bytes, bytes.len() as u64)?;
        let (_, rest) = bytes.split_at_checked(usize::try_from(head.length).ok()?)?;
        let (keys, blocks) = rest.split_at_checked(usize::try_from(head.keys).ok()?)?;
        let mut entries: BTreeMap<ClientName, Entry> = BTreeMap::new();
        for known in blocks.chunks(BLOCK).flat_map(files) {
            let (name, stamp) = known?;
            entries.insert(client(name)?, Entry { stamp, ..Entry::default() });
        }
        for line in str::from_utf8(keys).ok()?.lines() {
            let mut words = line.splitn(3, ' ');
            let (key, client, account) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?);
            let entry = entries.get_mut(&client)?;
            account.clone_into(&mut entry.account);
            entry.keys.insert(key);
        }
        let index = Self { site: head.site, directory: head.directory, entries };
        (index.bytes() == bytes).then_some(index)
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

    fn ask(bytes: &[u8], number: u8, account: &str) -> Option<Vec<String>> {
        let head = Head::read(bytes, bytes.len() as u64)?;
        let read = |from: u64, most: u64| {
            let rest = bytes.get(usize::try_from(from).unwrap()..)?;
            Some(rest.get(..usize::try_from(most).unwrap()).unwrap_or(rest).to_vec())
        };
        Some(head.claimants(&read, &key(number), account)?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_key_is_found_for_its_account_alone() {
        let bytes = index().bytes();
        for (number, account, clients) in [
            (1, "backup", &["a"][..]),
            (2, "backup", &["a", "b"]),
            (3, "backup", &["b"]),
            (9, "backup", &["d"]),
            (1, r"DOM\jane", &["c"]),
            (2, r"DOM\jane", &[]),
            (7, "backup", &[]),
        ] {
            assert_eq!(ask(&bytes, number, account).unwrap(), clients, "{number} {account}");
        }
        assert_eq!(Index::read(&bytes), Some(index()));
        let nothing = Index::default();
        assert_eq!(Index::read(&nothing.bytes()), Some(nothing));
    }

    #[test]
    fn one_that_was_cut_or_changed_is_none() {
        let bytes = index().bytes();
        for length in 0..bytes.len() {
            assert_eq!(ask(&bytes[..length], 1, "backup"), None, "{length}");
            assert_eq!(Index::read(&bytes[..length]), None);
        }
        assert_eq!(Index::read(&[bytes.as_slice(), b"x"].concat()), None);
        for (from, to) in [(" a backup", " / backup"), ("keys 3", "keys 2"), ("a.yaml", "a.yamm"), ("a.yaml", "../x.y")] {
            let at = bytes.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
            let changed = [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat();
            assert_eq!(Index::read(&changed), None, "{to}");
        }
    }

    #[test]
    fn ten_thousand_files_are_in_blocks_that_are_read_apart() {
        let mut index = index();
        for number in 0..10_000_u32 {
            let stamp = Stamp { inode: u64::from(number) + 1, changed: (-i64::from(number), i64::MAX) };
            let name = format!("{}{number}", "n".repeat(usize::try_from(number % 50).unwrap()));
            index.entries.insert(name.parse().unwrap(), Entry { stamp: Some(stamp), ..Entry::default() });
        }
        let bytes = index.bytes();
        assert_eq!(Index::read(&bytes).as_ref(), Some(&index));
        let head = Head::read(&bytes, bytes.len() as u64).unwrap();
        let block = |number| bytes.get(usize::try_from(head.block(number)).unwrap()..).unwrap().get(..BLOCK).unwrap();
        let found = (0..head.blocks).flat_map(|number| files(block(number))).map(Option::unwrap);
        let found: Vec<_> = found.map(|(name, stamp)| (client(name).unwrap(), stamp)).collect();
        let wanted: Vec<_> = index.entries.into_iter().map(|(client, entry)| (client, entry.stamp)).collect();
        assert_eq!(found, wanted);
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
        fn what_is_found_is_what_a_search_of_every_line_finds(numbers in proptest::collection::vec((0_u8..40, 0_u8..20), 0..400), wanted in 0_u8..40) {
            let mut index = Index::default();
            for (number, client) in &numbers {
                let entry = index.entries.entry(format!("c{client}").parse().unwrap()).or_default();
                entry.account = "backup".to_owned();
                entry.keys.insert(key(*number));
            }
            let by_hand: Vec<_> = index.entries.iter().filter(|(_, entry)| entry.keys.contains(&key(wanted))).map(|(client, _)| client.to_string()).collect();
            prop_assert_eq!(ask(&index.bytes(), wanted, "backup").unwrap(), by_hand);
        }

        #[test]
        fn no_bytes_are_taken_for_more_than_they_are(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Head::read(&bytes, bytes.len() as u64);
            let head = Head { site: None, directory: None, length: 0, keys: bytes.len() as u64, blocks: 0 };
            let _ = head.claimants(&|from, most| bytes.get(usize::try_from(from).ok()?..usize::try_from(from + most).ok()?).map(<[u8]>::to_vec), &key(1), "backup");
            files(&bytes).for_each(drop);
            let _ = Index::read(&bytes);
        }
    }
}
