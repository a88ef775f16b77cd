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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_a_time_or_a_span_is_a_moment_that_is_to_come() {
        let bytes = std::fs::read("/usr/share/zoneinfo/Europe/Madrid").unwrap();
        let madrid = Zone::from_tzif(crate::terms::ZoneName::new("Europe/Madrid").unwrap(), &bytes).unwrap();
        let now = "2026-11-29T12:00:00Z".parse().unwrap();
        let end = |text: &str| text.parse::<Until>()?.end(now, &madrid).map(|end| end.to_rfc3339());
        assert_eq!(end("2026-12-31").as_deref(), Ok("2026-12-30T23:00:00+00:00"));
        assert_eq!(end("2026-12-31T03:00").as_deref(), Ok("2026-12-31T02:00:00+00:00"));
        assert_eq!(end("2d").as_deref(), Ok("2026-12-01T12:00:00+00:00"));
        for (text, why) in [
            ("2026-11-29", "past"),
            ("2026-11-29T13:00", "past"),
            ("2027-03-28T02:30", "there is no such time in Europe/Madrid"),
            ("soon", "write a day like"),
            ("3m", "write a day like"),
        ] {
            assert!(end(text).is_err_and(|said| said.contains(why)), "{text}: {:?}", end(text));
        }
    }
}
