//! How long something stays, as an administrator says it: to a time, or for a span.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::Span;
use crate::terms::Zone;

/// How long something stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// To the end of a span from now.
    For(Span),
    /// To a time on the clocks of the policy's zone.
    At(NaiveDateTime),
}

impl FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let day = || text.parse::<NaiveDate>().ok().map(|day| day.and_time(NaiveTime::MIN));
        let time = || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").ok();
        let span = || text.parse().ok().map(Self::For);
        let until = day().or_else(time).map(Self::At).or_else(span);
        until.ok_or_else(|| "write a day like 2026-12-31, a time like 2026-12-31T03:00, or a span like 30d".to_owned())
    }
}

impl Until {
    /// The moment at which it ends.
    ///
    /// # Errors
    /// In words, when there is none, or it has passed.
    pub fn end(self, now: DateTime<Utc>, zone: &Zone) -> Result<DateTime<Utc>, String> {
        let end = match self {
            Self::For(span) => now.checked_add_signed(TimeDelta::hours(i64::from(span.hours()))),
            Self::At(local) => zone.moment(local),
        };
        let end = end.ok_or_else(|| format!("there is no such time in {}: clocks go forward over it", zone.name))?;
        if end > now { Ok(end) } else { Err("that time is past\nname one that is to come".to_owned()) }
    }
}
