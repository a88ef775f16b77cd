//! Names of snapshots: UTC times by a strftime pattern, so that directory listings are in order.

use std::fmt;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::format::{Item, Parsed, StrftimeItems};
use chrono::{DateTime, Duration, NaiveTime, TimeZone as _, Utc};

use super::limits::{MAX_SNAPSHOT_DEPTH, MAX_SNAPSHOT_NAME};
use super::word::text;

/// A snapshot's name, and the time that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotName {
    text: String,
    /// The time, as exactly as the pattern tells.
    pub at: DateTime<Utc>,
}

impl SnapshotName {
    /// The name below `snapshots/`, which may have `/` in it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a text has figures where this name has some, and is the same elsewhere. Most patterns
    /// write such names, and then they sort as texts.
    pub fn is_of_the_form_of(&self, text: &str) -> bool {
        let is_like = |(one, other): (u8, u8)| if one.is_ascii_digit() { other.is_ascii_digit() } else { one == other };
        self.text.len() == text.len() && self.text.bytes().zip(text.bytes()).all(is_like)
    }

    /// The snapshot's directory below `snapshots`.
    pub fn below(&self, snapshots: &Path) -> PathBuf {
        snapshots.join(&self.text)
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

/// A strftime pattern whose names sort by time and can be read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

/// Why a pattern cannot name snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPattern {
    /// chrono does not know one of the `%` letters.
    #[error("it has a `%` letter that is no part of strftime")]
    Unknown,
    /// The result is not a safe relative path.
    #[error("its names would not be plain directories: use letters, digits, `-`, `_`, `.`, `:` and `/`, no part beginning with a dot")]
    Path,
    /// Times and names are not in the same order.
    #[error("its names would not sort by time: go from the year down, with fixed widths")]
    Order,
    /// A name does not tell its time.
    #[error("its names could not be read back as times: give at least year, month and day")]
    Reading,
}

/// Patterns that a repository may hold from before its policy was changed.
const KNOWN: [&str; 3] = [NamePattern::DEFAULT, "%Y_%m_%d_%H_%M_%S", "%Y/%m%d/%H%M"];

impl NamePattern {
    /// The default pattern.
    pub const DEFAULT: &'static str = "%Y-%m-%dT%H-%M-%SZ";

    /// Checks a pattern with times a second, a minute, an hour, a day, a month and a year apart.
    pub fn new(pattern: &str) -> Result<Self, NotAPattern> {
        if StrftimeItems::new(pattern).any(|item| matches!(item, Item::Error)) {
            return Err(NotAPattern::Unknown);
        }
        let this = Self(pattern.to_owned());
        let mut last: Option<(String, DateTime<Utc>)> = None;
        for at in probes() {
            let text = write(&this.0, at);
            if !is_plain(&text) {
                return Err(NotAPattern::Path);
            }
            let slot = this.read(&text).ok_or(NotAPattern::Reading)?;
            if slot.at > at || at - slot.at >= Duration::days(1) {
                return Err(NotAPattern::Reading);
            }
            if let Some((last_text, last_at)) = &last
                && (text < *last_text || (text == *last_text) != (slot.at == *last_at))
            {
                return Err(NotAPattern::Order);
            }
            last = Some((text, slot.at));
        }
        Ok(this)
    }

    /// How many directories deep a name is.
    pub fn levels(&self) -> usize {
        self.0.matches('/').count() + 1
    }

    /// The name of a push that began at `at`.
    pub fn name_at(&self, at: DateTime<Utc>) -> SnapshotName {
        let text = write(&self.0, at);
        let at = parse(&self.0, &text).unwrap_or(at);
        SnapshotName { text, at }
    }

    /// Reads a name, whether this pattern or an earlier usual one wrote it.
    pub fn read(&self, text: &str) -> Option<SnapshotName> {
        if text.len() > MAX_SNAPSHOT_NAME {
            return None;
        }
        let patterns = std::iter::once(self.0.as_str()).chain(KNOWN);
        patterns.into_iter().find_map(|pattern| {
            let at = parse(pattern, text)?;
            (write(pattern, at) == text).then(|| SnapshotName { text: text.to_owned(), at })
        })
    }

    /// The most directories in a name of this repository, whichever pattern wrote it.
    pub fn deepest(&self) -> usize {
        KNOWN.iter().map(|known| known.matches('/').count() + 1).fold(self.levels(), usize::max)
    }

    /// By how much a push may have begun later than its name says.
    pub fn resolution(&self) -> Duration {
        let one = self.name_at(DateTime::UNIX_EPOCH);
        let step = self.after(&one).at - one.at;
        if step > Duration::seconds(1) { step } else { Duration::zero() }
    }

    /// The earliest name that is later than `newest`.
    pub fn after(&self, newest: &SnapshotName) -> SnapshotName {
        let from = newest.at;
        let units = [Duration::seconds(1), Duration::minutes(1), Duration::hours(1), Duration::days(1)];
        for unit in units {
            let step = unit.num_seconds();
            let whole = from.timestamp().div_euclid(step).saturating_add(1).saturating_mul(step);
            if let Some(at) = Utc.timestamp_opt(whole, 0).single() {
                let name = self.name_at(at);
                if name.at > from && name.text != newest.text {
                    return name;
                }
            }
        }
        self.name_at(from + Duration::days(2))
    }
}

impl Default for NamePattern {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

text!(NamePattern);

fn write(pattern: &str, at: DateTime<Utc>) -> String {
    let mut text = String::new();
    // `new` refuses patterns that fail, and an empty name is refused as a path.
    if write!(text, "{}", at.format(pattern)).is_err() {
        text.clear();
    }
    text
}

fn parse(pattern: &str, text: &str) -> Option<DateTime<Utc>> {
    let mut parsed = Parsed::new();
    chrono::format::parse(&mut parsed, text, StrftimeItems::new(pattern)).ok()?;
    let date = parsed.to_naive_date().ok()?;
    let time = parsed.to_naive_time().unwrap_or_else(|_| {
        let hour = parsed.hour_div_12().zip(parsed.hour_mod_12()).map(|(half, hour)| half * 12 + hour);
        hour.and_then(|hour| NaiveTime::from_hms_opt(hour, 0, 0)).unwrap_or_default()
    });
    Some(date.and_time(time).and_utc())
}

fn is_plain(text: &str) -> bool {
    let part_ok = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:+,=".contains(&byte))
    };
    text.len() <= MAX_SNAPSHOT_NAME && text.matches('/').count() < MAX_SNAPSHOT_DEPTH && text.split('/').all(part_ok)
}

/// Times in order, in which every field of a pattern changes alone and carries into the next.
fn probes() -> impl Iterator<Item = DateTime<Utc>> {
    let from = Utc.timestamp_opt(1_790_000_000, 0).single().unwrap_or_default();
    let mut seconds: Vec<i64> = vec![0];
    for unit in [1, 60, 3600, 86_400, 31 * 86_400, 366 * 86_400] {
        let last = seconds.last().copied().unwrap_or_default();
        seconds.extend((1..=13).map(|count| last + unit * count));
    }
    seconds.into_iter().map(move |offset| from + Duration::seconds(offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn the_three_usual_styles_name_a_push() {
        let began = at("2012-03-19T00:18:54Z");
        for (pattern, name) in [
            (NamePattern::DEFAULT, "2012-03-19T00-18-54Z"),
            ("%Y_%m_%d_%H_%M_%S", "2012_03_19_00_18_54"),
            ("%Y/%m%d/%H%M", "2012/0319/0018"),
            ("%Y-%m-%d", "2012-03-19"),
            ("%Y-%m-%d_%H", "2012-03-19_00"),
        ] {
            assert_eq!(NamePattern::new(pattern).unwrap().name_at(began).as_str(), name);
        }
    }

    #[test]
    fn a_pattern_that_would_lose_history_is_refused() {
        for (pattern, why) in [
            ("%d-%m-%Y", NotAPattern::Order),
            ("%H%M", NotAPattern::Reading),
            ("%Y/../%m%d", NotAPattern::Path),
            ("/%Y%m%d", NotAPattern::Path),
            (".%Y%m%d", NotAPattern::Path),
            ("%Y %m %d", NotAPattern::Path),
            ("%Y%m%d %Q", NotAPattern::Unknown),
            ("%b-%Y-%m-%d", NotAPattern::Order),
            ("", NotAPattern::Path),
            ("fixed", NotAPattern::Reading),
        ] {
            assert_eq!(NamePattern::new(pattern), Err(why), "{pattern}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_or_too_deep_is_none() {
        let fill = |length: usize| format!("%Y-%m-%d{}", "x".repeat(length - "2026-11-21".len()));
        let longest = NamePattern::new(&fill(MAX_SNAPSHOT_NAME)).unwrap();
        let name = longest.name_at(at("2026-11-21T00:00:00Z"));
        assert_eq!(name.as_str().len(), MAX_SNAPSHOT_NAME);
        assert_eq!(longest.read(name.as_str()), Some(name.clone()));
        assert_eq!(NamePattern::new(&fill(MAX_SNAPSHOT_NAME + 1)), Err(NotAPattern::Path));
        assert_eq!(longest.read(&format!("{name}x")), None);
        let deep = |levels: usize| format!("%Y-%m-%d{}", "/d".repeat(levels - 1));
        assert_eq!(NamePattern::new(&deep(MAX_SNAPSHOT_DEPTH)).unwrap().levels(), MAX_SNAPSHOT_DEPTH);
        assert_eq!(NamePattern::new(&deep(MAX_SNAPSHOT_DEPTH + 1)), Err(NotAPattern::Path));
    }

    #[test]
    fn names_of_an_older_pattern_are_still_read() {
        let now = NamePattern::new("%Y/%m%d/%H%M").unwrap();
        assert_eq!(now.read("2012_03_19_00_18_54").unwrap().at, at("2012-03-19T00:18:54Z"));
        assert_eq!(now.read("2012/0319/0018").unwrap().at, at("2012-03-19T00:18:00Z"));
        for foreign in ["lost+found", "2012", "2012/0319", "2012_03_19", "2012-13-01T00-00-00Z"] {
            assert!(now.read(foreign).is_none(), "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn the_next_name_is_later_both_as_time_and_as_text(seconds in 1_000_000_000i64..4_000_000_000, which in 0usize..5) {
            let pattern = [NamePattern::DEFAULT, "%Y_%m_%d_%H_%M_%S", "%Y/%m%d/%H%M", "%Y-%m-%d", "%Y%m%d%H"][which];
            let pattern = NamePattern::new(pattern).unwrap();
            let name = pattern.name_at(Utc.timestamp_opt(seconds, 0).unwrap());
            prop_assert_eq!(pattern.read(name.as_str()).unwrap(), name.clone());
            let next = pattern.after(&name);
            prop_assert!(next.at > name.at);
            prop_assert!(next.as_str() > name.as_str());
        }
    }
}
