//! A time zone: its name, and its rules once its file has been read.

use chrono::{DateTime, Duration, NaiveDateTime, Utc};

use super::limits::MAX_ZONE_NAME;
use super::word::text;

/// An IANA time zone's name, safe as a path below the system's zoneinfo directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneName(String);

/// The text is not the name of a time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time zone's name: write it like Europe/Madrid or UTC")]
pub struct NotAZone(pub String);

impl ZoneName {
    /// Checks a name's form; whether the system knows it shows when its file is read.
    pub fn new(text: &str) -> Result<Self, NotAZone> {
        let part_ok = |part: &str| {
            part.starts_with(|first: char| first.is_ascii_alphabetic())
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
        };
        if text.len() <= MAX_ZONE_NAME && text.split('/').count() <= 3 && text.split('/').all(part_ok) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAZone(super::text::printable(text.as_bytes())))
        }
    }

    /// UTC, the zone of a policy that names none.
    pub fn utc() -> Self {
        Self("UTC".to_owned())
    }
}

text!(ZoneName);

/// A time zone's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// The zone's name.
    pub name: ZoneName,
    rules: tz::TimeZone,
}

impl Zone {
    /// UTC, which needs no file.
    pub fn utc() -> Self {
        Self { name: ZoneName::utc(), rules: tz::TimeZone::utc() }
    }

    /// The zone of a TZif file (RFC 9636); `None` if it is none, or does not cover this century: a
    /// file cut down to the past would silently become UTC.
    pub fn from_tzif(name: ZoneName, bytes: &[u8]) -> Option<Self> {
        let rules = tz::TimeZone::from_tz_data(bytes).ok()?;
        let complete = (2000..=2100i64).all(|year| rules.find_local_time_type((year - 1970) * 31_556_952).is_ok());
        complete.then_some(Self { name, rules })
    }

    /// What clocks in the zone show.
    pub fn local(&self, at: DateTime<Utc>) -> NaiveDateTime {
        let offset = self.rules.find_local_time_type(at.timestamp()).map_or(0, |kind| kind.ut_offset());
        (at + Duration::seconds(i64::from(offset))).naive_utc()
    }

    /// The first moment at which clocks show `local`; `None` in an hour that spring skips.
    pub fn moment(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        // An offset is less than 36 hours; the right one gives the time back.
        let around = [-36, -24, -12, -6, 0, 6, 12, 24, 36];
        let offsets = around.iter().filter_map(|hours| {
            let near = local.and_utc().timestamp() + hours * 3600;
            self.rules.find_local_time_type(near).ok().map(|kind| i64::from(kind.ut_offset()))
        });
        let candidates = offsets.map(|offset| (local - Duration::seconds(offset)).and_utc());
        candidates.filter(|at| self.local(*at) == local).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_as_long_as_it_may_be_and_leads_nowhere_else() {
        assert!(ZoneName::new(&"a".repeat(MAX_ZONE_NAME)).is_ok());
        assert!(ZoneName::new("America/Argentina/Ushuaia").is_ok());
        for wrong in [&"a".repeat(MAX_ZONE_NAME + 1), "", "/etc/passwd", "../UTC", "a//b", "a/b/c/d", "Europe/Ma drid", ".hidden"] {
            assert!(ZoneName::new(wrong).is_err(), "{wrong}");
        }
    }
}
