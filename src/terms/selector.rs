//! Which snapshot a person means: `current`, a name or the beginning of one, or `@` and a time.
//!
//! It is a word until it is held against the snapshots that there are (`decide/history/select`).

use std::fmt;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

use super::limits::{MAX_QUOTED, MAX_SNAPSHOT_NAME};
use super::text::{digits, still_printable};

/// A word for a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// `current`: what that leads to.
    Current,
    /// `@complete`: the newest that is not partial.
    Complete,
    /// `@1d`, `@2w`, `@36h`: the newest that began at least so long ago.
    Ago(TimeDelta),
    /// `@yesterday`: the newest that began before today.
    Yesterday,
    /// `@2026-11-20`: the newest that began on that day or earlier.
    Day(NaiveDate),
    /// `@2026-11-20T03:00`: the newest that began then or earlier.
    At(NaiveDateTime),
    /// A name, or a beginning that one name alone has.
    Name(String),
}

/// The word selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` says no snapshot: write current, a snapshot's name, @1d, @2w, @36h, @yesterday, @2026-11-20, @2026-11-20T03:00 or @complete"
)]
pub struct NotASelector(pub String);

/// What the link to the newest snapshot is called.
pub const CURRENT: &str = "current";

impl Selector {
    /// Reads a word.
    ///
    /// # Errors
    /// When it is neither a time nor anything that a name begins with.
    pub fn read(word: &str) -> Result<Self, NotASelector> {
        let fault = || NotASelector(still_printable(word, MAX_QUOTED));
        if let Some(when) = word.strip_prefix('@') {
            return Self::time(when).ok_or_else(fault);
        }
        let is_name = !word.is_empty() && word.len() <= MAX_SNAPSHOT_NAME && !word.starts_with(['.', '/']);
        match word {
            CURRENT => Ok(Self::Current),
            name if is_name => Ok(Self::Name(name.to_owned())),
            _ => Err(fault()),
        }
    }

    /// Whether a word is a time or `current`, and so no beginning of a name.
    pub fn stands_alone(word: &str) -> bool {
        word == CURRENT || word.starts_with('@')
    }

    fn time(when: &str) -> Option<Self> {
        match when {
            "complete" => return Some(Self::Complete),
            "yesterday" => return Some(Self::Yesterday),
            _ => {}
        }
        if let Ok(day) = NaiveDate::parse_from_str(when, "%Y-%m-%d") {
            return Some(Self::Day(day));
        }
        let formats = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H-%M-%S"];
        if let Some(at) = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(when, format).ok()) {
            return Some(Self::At(at));
        }
        let (number, hours) =
            [('h', 1), ('d', 24), ('w', 7 * 24)].iter().find_map(|(unit, hours)| Some((when.strip_suffix(*unit)?, *hours)))?;
        let count: i64 = digits(number)?;
        TimeDelta::try_hours(count.checked_mul(hours)?).map(Self::Ago)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => out.write_str(CURRENT),
            Self::Complete => out.write_str("@complete"),
            Self::Yesterday => out.write_str("@yesterday"),
            Self::Ago(span) if span.num_hours() % 24 == 0 => write!(out, "@{}d", span.num_days()),
            Self::Ago(span) => write!(out, "@{}h", span.num_hours()),
            Self::Day(day) => write!(out, "@{day}"),
            Self::At(at) if at.time() == NaiveTime::MIN => write!(out, "@{}T00:00", at.date()),
            Self::At(at) => write!(out, "@{}", at.format("%Y-%m-%dT%H:%M:%S")),
            Self::Name(name) => out.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_of_writing_it_is_read_and_written_as_the_same() {
        for (word, expected) in [
            ("current", Selector::Current),
            ("@complete", Selector::Complete),
            ("@yesterday", Selector::Yesterday),
            ("@36h", Selector::Ago(TimeDelta::hours(36))),
            ("@1d", Selector::Ago(TimeDelta::hours(24))),
            ("@2w", Selector::Ago(TimeDelta::weeks(2))),
            ("@2026-11-20", Selector::Day(NaiveDate::from_ymd_opt(2026, 11, 20).unwrap())),
            ("@2026-11-20T03:00", Selector::At("2026-11-20T03:00:00".parse().unwrap())),
            ("@2026-11-20T00:00:00", Selector::At("2026-11-20T00:00:00".parse().unwrap())),
            ("@2026-11-20T03-00-30", Selector::At("2026-11-20T03:00:30".parse().unwrap())),
            ("2026-11", Selector::Name("2026-11".to_owned())),
            ("2026/1120", Selector::Name("2026/1120".to_owned())),
        ] {
            let read = Selector::read(word).unwrap();
            assert_eq!(read, expected, "{word}");
            assert_eq!(Selector::read(&read.to_string()).unwrap(), expected, "{read}");
        }
    }

    #[test]
    fn what_says_no_time_is_an_error_and_is_shown_printable() {
        for wrong in [
            "", "@", "@1", "@d", "@-1d", "@+1d", "@1.5d", "@1m", "@99999999999999999999d", "@9223372036854775807w", "@2026-13-01",
            "@today", "@2026-11-20T25:00", "@2026-11-20 03:00", ".hidden", "/etc", "..",
        ] {
            assert!(Selector::read(wrong).is_err(), "{wrong}");
        }
        assert!(Selector::read(&"a".repeat(MAX_SNAPSHOT_NAME + 1)).is_err());
        assert!(!Selector::read("@\u{1b}[2J").unwrap_err().to_string().contains('\u{1b}'));
    }
}
