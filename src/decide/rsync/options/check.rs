//! Which values an option takes. Each check says what is allowed, never what is not.

use crate::decide::owners::idpairs;
use crate::terms::limits::{MAX_MAPPING, MAX_PROTOCOL_DIGITS, MAX_SIZE_FIGURE};

/// What a value must be.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// Anything; only for options whose value never reaches rsync.
    Anything,
    /// A whole number from the first to the second.
    Number(i64, i64),
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One or two of these words, with a comma (`--checksum-choice=TRANSFER,FILES`).
    OneOrTwoOf(&'static [&'static str]),
    /// One of these character sets, in either case, with or without dashes.
    Charset(&'static [&'static str]),
    /// Some of these words in either case, with commas, each with a level of 0 to 3 or none.
    Levels(&'static [&'static str]),
    /// A size as rsync writes it: `100`, `1.5G`, `10MB`, `4KiB-1`.
    Size,
    /// `FROM:TO` pairs of names and numbers, with commas; wildcards and ranges in FROM.
    Mapping,
    /// The same with numbers or root in TO.
    NumberMapping,
    /// The value of `-e`: an unreleased protocol's number, a dot, and a letter for each capability
    /// (`maybe_add_e_option()` in rsync's `options.c`).
    Capabilities,
}

/// Letters of capabilities up to rsync 3.5.0.
const CAPABILITIES: &str = "iLsfxCIvu";

impl Check {
    /// Whether `value` passes.
    pub fn allows(self, value: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Number(least, most) => number(value).is_some_and(|number| (least..=most).contains(&number)),
            Self::OneOf(words) => words.contains(&value),
            Self::OneOrTwoOf(words) => value.split(',').count() <= 2 && value.split(',').all(|part| words.contains(&part)),
            Self::Charset(words) => words.contains(&bare(value).as_str()),
            Self::Levels(words) => value.split(',').all(|part| is_level(part, words)),
            Self::Size => is_size(value),
            Self::Mapping => is_mapping(value),
            Self::NumberMapping => is_mapping(value) && idpairs::names_nobody(value),
            Self::Capabilities => is_capabilities(value),
        }
    }

    /// What would have passed, for people.
    pub fn expected(self) -> String {
        match self {
            Self::Anything => "use any value".to_owned(),
            Self::Number(least, most) => format!("use a whole number from {least} to {most}"),
            Self::OneOf(words) | Self::Charset(words) => format!("use one of {}", words.join(" ")),
            Self::OneOrTwoOf(words) => format!("use one or two of {}", words.join(" ")),
            Self::Levels(words) => format!("use some of {}, each with a level of 0 to 3", words.join(" ")),
            Self::Size => "use a size like 500M or 1.5G".to_owned(),
            Self::Mapping => "use pairs like *:backup or 0-99:nobody, with commas".to_owned(),
            Self::NumberMapping => {
                "use pairs like *:34 or 0-99:root, with commas: numbers, since no other name is looked up on the server".to_owned()
            }
            Self::Capabilities => "leave `-e` to rsync itself".to_owned(),
        }
    }
}

/// A number as rsync prints it: without plus sign, space or leading zero.
fn number(value: &str) -> Option<i64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { value.parse().ok() } else { None }
}

/// A character set's name without what people leave out of it.
fn bare(value: &str) -> String {
    value.chars().filter(|character| !matches!(character, '-' | '_')).map(|character| character.to_ascii_lowercase()).collect()
}

fn is_level(part: &str, words: &[&str]) -> bool {
    let name = part.strip_suffix(|last| ('0'..='3').contains(&last)).unwrap_or(part);
    words.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// `parse_size_arg()` in rsync's `options.c`, without its rarer forms.
fn is_size(value: &str) -> bool {
    let Some((figure, unit)) = figure_and_unit(value) else { return false };
    let figure_ok = figure.len() <= MAX_SIZE_FIGURE
        && figure.matches('.').count() <= 1
        && figure.starts_with(|first: char| first.is_ascii_digit())
        && figure.ends_with(|last: char| last.is_ascii_digit());
    let mut letters = unit.chars();
    let unit_ok = match letters.next() {
        None => true,
        Some(first) => "bkmgtpBKMGTP".contains(first) && matches!(letters.as_str(), "" | "b" | "B" | "ib" | "iB" | "IB"),
    };
    figure_ok && unit_ok
}

/// The number and the unit of a size, without the `+1` or `-1` that may follow.
pub(super) fn figure_and_unit(value: &str) -> Option<(&str, &str)> {
    let size = value.strip_suffix("+1").or_else(|| value.strip_suffix("-1")).unwrap_or(value);
    size.split_at_checked(size.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(size.len()))
}

fn is_mapping(value: &str) -> bool {
    let name_ok = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.*?[]-@$".contains(&byte));
    value.len() <= MAX_MAPPING
        && value.split(',').all(|pair| {
            pair.split_once(':').is_some_and(|(from, to)| name_ok(from) && name_ok(to) && !to.is_empty() && !to.starts_with('-'))
        })
}

fn is_capabilities(value: &str) -> bool {
    let Some((protocol, rest)) = value.split_once('.') else { return false };
    let letters = rest.trim_start_matches(|character: char| character.is_ascii_digit());
    let digits = protocol.len() + (rest.len() - letters.len());
    let known = letters.chars().all(|letter| CAPABILITIES.contains(letter) && letters.matches(letter).count() == 1);
    digits <= MAX_PROTOCOL_DIGITS && protocol.bytes().all(|byte| byte.is_ascii_digit()) && known
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(check: Check, good: &[&str], bad: &[&str]) {
        for value in good {
            assert!(check.allows(value), "{check:?} allows `{value}`");
        }
        for value in bad {
            assert!(!check.allows(value), "{check:?} does not allow `{value}`");
        }
        assert!(!check.expected().is_empty());
    }

    #[test]
    fn numbers_are_whole_plain_and_in_range() {
        every(Check::Number(-1, 600), &["-1", "0", "60", "600"], &["", "-", "-2", "601", "+5", "0x5", "060", " 5", "5 ", "1e3", "٣"]);
        every(Check::Number(1, 5), &["1"], &["99999999999999999999", "-99999999999999999999", "--1"]);
    }

    #[test]
    fn words_come_from_their_list() {
        every(Check::OneOf(&["zstd", "lz4"]), &["zstd"], &["", "ZSTD", "zst", "zstd,lz4"]);
        every(Check::OneOrTwoOf(&["md5", "xxh3"]), &["md5", "md5,xxh3"], &["", "md5,", "md5,md5,md5", ",md5"]);
        every(
            Check::Charset(&["utf8", "latin1"]),
            &["utf8", "UTF-8", "Latin-1"],
            &["", ".", "-", "utf", "utf-8,latin1", "utf8//IGNORE", "ＵTF8"],
        );
        every(Check::Levels(&["ALL", "NAME"]), &["ALL2", "name", "NAME0,all"], &["", "NAME4", "HELP", "NAME22", "NAME,", "2"]);
    }

    #[test]
    fn sizes_are_what_rsync_prints() {
        let good = ["1", "1073741824", "1G", "1.5M", "10MB", "4KiB", "100b", "1G-1", "2k+1"];
        every(Check::Size, &good, &["", "G", ".5", "5.", "1..5", "1X", "1Gx", "-1", "1G-2", "1 G", "1e9", "11111111111111111"]);
    }

    #[test]
    fn mappings_hold_names_only() {
        let good = ["*:root", "0-99:nogroup", "a:b,c:d", ":nobody", "www-data:33"];
        every(Check::Mapping, &good, &["", "root", "a:b,", "a:b c", "a:/etc", "a:-1", "a:\\b", "a:"]);
        let long = |length: usize| format!("*:{}", "a".repeat(length - 2));
        every(Check::Mapping, &[&long(MAX_MAPPING)], &[&long(MAX_MAPPING + 1)]);
    }

    #[test]
    fn capabilities_are_letters_that_clients_send() {
        let good = [".", ".iLsfxC", ".iLsfxCIvu", "31.14iLsf", "31."];
        every(Check::Capabilities, &good, &["", "iLs", ".iLsZ", "ssh", ".ii", "123456789.", ".i.L", "-1.i", ".i1"]);
    }
}
