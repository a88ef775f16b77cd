//! Since when and until when somebody asks.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use crate::terms::Zone;
use crate::terms::text::{digits, printable};

/// Which end of a day is meant where a time names only that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Its beginning.
    Since,
    /// Its end.
    Until,
}

/// Units of how long ago something was, and their seconds.
const UNITS: [(&str, i64); 5] = [("m", 60), ("min", 60), ("h", 3600), ("d", 24 * 3600), ("w", 7 * 24 * 3600)];

/// The moment that a person means.
///
/// # Errors
/// When it is no time.
pub fn moment(text: &str, edge: Edge, now: DateTime<Utc>, zone: &Zone) -> Result<DateTime<Utc>, String> {
    let word = text.trim().trim_start_matches('@');
    let found = match word {
        "now" => Some(now),
        "today" => day(zone.local(now).date(), edge, zone),
        "yesterday" => zone.local(now).date().pred_opt().and_then(|date| day(date, edge, zone)),
        _ => ago(word, now).or_else(|| at(word, zone)).or_else(|| {
            let date = NaiveDate::parse_from_str(word, "%Y-%m-%d").ok()?;
            day(date, edge, zone)
        }),
    };
    found.ok_or_else(|| {
        let help = "write 2026-11-20, 2026-11-20T03:00, today, yesterday, or how long ago: 30min, 12h, 7d, 2w";
        format!("`{}` is not a time\n{help}", printable(text.as_bytes()))
    })
}

fn ago(word: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let (number, seconds) = UNITS.iter().find_map(|(unit, seconds)| {
        let number = word.strip_suffix(unit)?;
        (!number.is_empty()).then(|| digits::<i64>(number)).flatten().map(|number| (number, *seconds))
    })?;
    now.checked_sub_signed(TimeDelta::try_seconds(number.checked_mul(seconds)?)?)
}

fn at(word: &str, zone: &Zone) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(word) {
        return Some(at.to_utc());
    }
    let formats = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H-%M-%S"];
    let local = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(word, format).ok())?;
    on_the_clock(local, zone)
}

fn day(date: NaiveDate, edge: Edge, zone: &Zone) -> Option<DateTime<Utc>> {
    let date = match edge {
        Edge::Since => date,
        Edge::Until => date.succ_opt()?,
    };
    on_the_clock(date.and_time(NaiveTime::MIN), zone)
}

/// The moment of a time that clocks show, or of the next whole hour where they go forward over it.
fn on_the_clock(local: NaiveDateTime, zone: &Zone) -> Option<DateTime<Utc>> {
    zone.moment(local).or_else(|| zone.moment(local.checked_add_signed(TimeDelta::hours(1))?))
}
