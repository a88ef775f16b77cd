//! `quota:` and `when_full:` of a policy, and `min_free:` of the site: how much a client may hold,
//! and what pushes leave free.

use crate::decide::policy::yaml::{Figure, Text, Word, Wrong, keys};
use crate::decide::quota::{MinFree, Part, Quota};
use crate::terms::limits::{BYTES_LIMIT, DEFAULT_WARN, INODES_LIMIT, LEAST_FREE, MOST_FREE_PERCENT};
use crate::terms::text::printable;

use super::limits::{Range, bytes, digits, size, whole, within};

keys! {
    /// `quota:` in a file.
    pub(super) struct QuotaKeys, "`quota`" {
        /// Bytes on the disk.
        bytes: HeldBytes as Figure<_> = Words("as many as there is room for"), "500G";
        /// Files, directories and links. `K`, `M` and `G` are powers of 1000 here.
        inodes: HeldInodes as Figure<_> = Words("as many as there is room for"), "5M";
        /// From which share on each push says so in its report, and `when_full: shorten` may begin.
        warn: Percent as Text<_> = Value("80%"), "90%";
    }

    fn whole(&self) -> Result<(), Wrong> {
        if self.bytes.is_none() && self.inodes.is_none() {
            return Err(Wrong::new("a quota of nothing in particular", "write how many bytes or inodes the client may hold"));
        }
        Ok(())
    }
}

impl QuotaKeys {
    pub(super) fn quota(self) -> Quota {
        let Self { bytes, inodes, warn } = self;
        Quota {
            bytes: bytes.map(|HeldBytes(bytes)| bytes),
            inodes: inodes.map(|HeldInodes(inodes)| inodes),
            warn: warn.map_or(DEFAULT_WARN, |Percent(percent)| percent),
        }
    }
}

keys! {
    /// `min_free:` in a file.
    pub(super) struct FreeKeys, "`min_free`" {
        /// Bytes: a size, or a share of the disk. Below 1 MiB no push can run in any case.
        bytes: FreeBytes as Text<_> = Value("1MiB"), "5%";
        /// Inodes: a number, or a share. A file system without a table of them has enough.
        inodes: FreeInodes as Figure<_> = Value("0"), "5%";
    }
}

impl FreeKeys {
    pub(super) fn min_free(self) -> MinFree {
        let Self { bytes, inodes } = self;
        MinFree {
            bytes: bytes.map_or(MinFree::LEAST.bytes, |FreeBytes(part)| part),
            inodes: inodes.map_or(MinFree::LEAST.inodes, |FreeInodes(part)| part),
        }
    }
}

/// A word of one part.
macro_rules! word {
    ($name:ident($inner:ty), $what:literal, $values:expr, |$text:ident| $read:expr) => {
        #[derive(Debug, Clone, Copy)]
        pub(super) struct $name(pub(super) $inner);

        impl Word for $name {
            const WHAT: &'static str = $what;

            fn read($text: &str) -> Result<Self, Wrong> {
                $read.map(Self)
            }

            fn values() -> String {
                $values
            }
        }
    };
}

word!(HeldBytes(u64), "a size like 500G", ranged(Self::WHAT, &BYTES_LIMIT, bytes), |text| size(text, Self::WHAT, &BYTES_LIMIT));
word!(HeldInodes(u64), "a number like 5M", ranged(Self::WHAT, &INODES_LIMIT, digits), |text| count(text, Self::WHAT, &INODES_LIMIT));
word!(Percent(u64), "a share like 80%", format!("{}, from 1% to 100%", Self::WHAT), |text| match share(text) {
    Some(percent @ 1..=100) => Ok(percent),
    _ => Err(Wrong::new(format!("`{}` is not a share", printable(text.as_bytes())), "write 1% to 100%")),
});
word!(FreeBytes(Part), "a size like 20G, or a share like 5%", free_values(Self::WHAT), |text| part(text, |text| size(
    text,
    Self::WHAT,
    &BYTES_LIMIT
)));
word!(FreeInodes(Part), "a number like 100K, or a share like 5%", free_values(Self::WHAT), |text| part(text, |text| count(
    text,
    Self::WHAT,
    &LEAST_FREE
)));

fn ranged(what: &str, range: &Range, show: fn(&u64) -> String) -> String {
    format!("{what}, from {} to {}", show(range.start()), show(range.end()))
}

fn free_values(what: &str) -> String {
    format!("{what}, at most {MOST_FREE_PERCENT}%")
}

/// The number before `%`.
fn share(text: &str) -> Option<u64> {
    whole(text.strip_suffix('%')?)
}

fn part(text: &str, amount: impl FnOnce(&str) -> Result<u64, Wrong>) -> Result<Part, Wrong> {
    match share(text) {
        Some(percent) if percent <= MOST_FREE_PERCENT => Ok(Part::Percent(percent)),
        Some(_) => Err(Wrong::new(format!("`{text}` of the disk is too much to leave free"), format!("use at most {MOST_FREE_PERCENT}%"))),
        None => amount(text).map(Part::Amount),
    }
}

/// A number of inodes: with `K`, `M` or `G` it is of thousands, as people count.
fn count(text: &str, what: &str, range: &Range) -> Result<u64, Wrong> {
    let unit = [("K", 1000), ("M", 1_000_000), ("G", 1_000_000_000)].into_iter().find(|(letter, _)| text.ends_with(letter));
    let (figure, times) = unit.map_or((text, 1), |(letter, times)| (text.strip_suffix(letter).unwrap_or(text), times));
    within(text, what, whole(figure).map(|figure| figure.saturating_mul(times)), range, digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_shares_are_read_and_nothing_is_guessed() {
        let read = |text| HeldInodes::read(text).map(|HeldInodes(count)| count).ok();
        assert_eq!(
            [read("5M"), read("250K"), read("2000000"), read("1G")],
            [Some(5_000_000), Some(250_000), Some(2_000_000), Some(1_000_000_000)]
        );
        assert_eq!([read("5m"), read("M"), read("1"), read("5MB"), read("05M"), read("-1"), read("99999999999G")], [None; 7]);
        let free = |text| FreeBytes::read(text).map(|FreeBytes(part)| part).ok();
        assert_eq!([free("5%"), free("20G"), free("0%")], [Some(Part::Percent(5)), Some(Part::Amount(20 << 30)), Some(Part::Percent(0))]);
        assert_eq!([free("51%"), free("%"), free("5 %"), free("5.5%"), free("0")], [None; 5]);
        assert!(matches!(FreeInodes::read("0"), Ok(FreeInodes(Part::Amount(0)))));
        let warn = |text| Percent::read(text).map(|Percent(percent)| percent).ok();
        assert_eq!([warn("80%"), warn("0%"), warn("101%"), warn("80")], [Some(80), None, None, None]);
    }
}
