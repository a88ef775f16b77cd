//! `digest:` of the site: how often the digest is mailed, by the clocks of the site's zone.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};

use crate::decide::policy::yaml::{Word, Wrong};
use crate::terms::Zone;
use crate::terms::text::{digits, printable};

/// Days of the week as they are written here.
const WEEK: [(&str, Weekday); 7] = [
    ("monday", Weekday::Mon),
    ("tuesday", Weekday::Tue),
    ("wednesday", Weekday::Wed),
    ("thursday", Weekday::Thu),
    ("friday", Weekday::Fri),
    ("saturday", Weekday::Sat),
    ("sunday", Weekday::Sun),
];

/// How many days are looked at for a moment that comes once a week: of one that a zone skipped the
/// next one counts.
const AROUND: u64 = 15;

/// Minutes that clocks skip at most, but for whole days.
const SKIPPED: i64 = 180;

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digest {
    /// Every day at that time.
    Daily(NaiveTime),
    /// Every week on that day, at that time.
    Weekly(Weekday, NaiveTime),
    /// Never.
    Off,
}

impl Digest {
    /// What holds where the site file says nothing.
    pub const USUAL: Self = Self::Daily(match NaiveTime::from_hms_opt(7, 0, 0) {
        Some(seven) => seven,
        None => NaiveTime::MIN,
    });

    /// For how many days one tells.
    pub fn days(self) -> i64 {
        match self {
            Self::Daily(_) | Self::Off => 1,
            Self::Weekly(..) => 7,
        }
    }

    /// What it is called; nothing where there is none.
    pub fn name(self) -> &'static str {
        match self {
            Self::Daily(_) => "daily",
            Self::Weekly(..) => "weekly",
            Self::Off => "",
        }
    }

    /// When the last one was due, at or before `now`; `None` where none ever is. In an hour that
    /// spring skips it is due at the next moment that there is.
    pub fn last_due(self, zone: &Zone, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = zone.local(now).date();
        let dates = (0..=AROUND).filter_map(|back| today.checked_sub_days(Days::new(back)));
        self.due_on(zone, dates).find(|due| *due <= now)
    }

    /// When the next one is due, after `now`.
    pub fn next_due(self, zone: &Zone, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = zone.local(now).date();
        let dates = (0..=AROUND).filter_map(|ahead| today.checked_add_days(Days::new(ahead)));
        self.due_on(zone, dates).find(|due| *due > now)
    }

    /// When one is due on these dates.
    fn due_on(self, zone: &Zone, dates: impl Iterator<Item = NaiveDate>) -> impl Iterator<Item = DateTime<Utc>> {
        let rule = match self {
            Self::Off => None,
            Self::Daily(time) => Some((None, time)),
            Self::Weekly(day, time) => Some((Some(day), time)),
        };
        dates.filter_map(move |date| {
            let (day, time) = rule?;
            day.is_none_or(|day| date.weekday() == day).then(|| at(zone, date, time)).flatten()
        })
    }
}

fn at(zone: &Zone, date: NaiveDate, time: NaiveTime) -> Option<DateTime<Utc>> {
    let local = date.and_time(time);
    (0..=SKIPPED).find_map(|later| zone.moment(local.checked_add_signed(TimeDelta::minutes(later))?))
}

/// `07:00`.
fn time(text: &str) -> Option<NaiveTime> {
    let (hour, minute) = text.split_once(':').filter(|(hour, minute)| hour.len() == 2 && minute.len() == 2)?;
    NaiveTime::from_hms_opt(digits(hour)?, digits(minute)?, 0)
}

impl Word for Digest {
    const WHAT: &'static str = "daily at 07:00, weekly on monday at 07:00, or off";

    fn read(text: &str) -> Result<Self, Wrong> {
        let day = |text: &str| WEEK.iter().find(|(name, _)| *name == text).map(|(_, day)| *day);
        let words: Vec<_> = text.split(' ').collect();
        let read = match words.as_slice() {
            ["off"] => Some(Self::Off),
            ["daily", "at", at] => time(at).map(Self::Daily),
            ["weekly", "on", on, "at", at] => day(on).zip(time(at)).map(|(on, at)| Self::Weekly(on, at)),
            _ => None,
        };
        let wrong =
            || Wrong::new(format!("`{}` says of no digest when it is due", printable(text.as_bytes())), format!("write {}", Self::WHAT));
        read.ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::ZoneName;

    fn zone(name: &str) -> Zone {
        let bytes = std::fs::read(format!("/usr/share/zoneinfo/{name}")).unwrap();
        Zone::from_tzif(ZoneName::new(name).unwrap(), &bytes).unwrap()
    }

    fn due(text: &str, zone: &Zone, now: &str) -> [String; 2] {
        let (digest, now) = (Digest::read(text).unwrap(), now.parse().unwrap());
        [digest.last_due(zone, now), digest.next_due(zone, now)]
            .map(|due| due.map(|at| at.format("%a %d %H:%M").to_string()).unwrap_or_default())
    }

    #[test]
    fn a_digest_is_due_at_its_hour_and_what_says_no_time_is_refused() {
        let utc = Zone::utc();
        // 2026-11-28 is a Saturday.
        assert_eq!(due("daily at 07:00", &utc, "2026-11-28T06:59:59Z"), ["Fri 27 07:00", "Sat 28 07:00"]);
        assert_eq!(due("daily at 07:00", &utc, "2026-11-28T07:00:00Z"), ["Sat 28 07:00", "Sun 29 07:00"]);
        assert_eq!(due("weekly on monday at 07:00", &utc, "2026-11-28T07:00:00Z"), ["Mon 23 07:00", "Mon 30 07:00"]);
        assert_eq!(due("weekly on saturday at 23:59", &utc, "2026-11-28T07:00:00Z"), ["Sat 21 23:59", "Sat 28 23:59"]);
        assert_eq!(due("off", &utc, "2026-11-28T07:00:00Z"), ["", ""]);
        assert_eq!(Digest::read("daily at 07:00").unwrap(), Digest::USUAL);
        for wrong in ["", "daily", "daily at 7", "daily at 24:00", "weekly on mon at 07:00", "daily at 07:00 ", "daily at +7:00"] {
            assert!(Digest::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_hour_that_clocks_skip_or_show_twice_has_one_digest() {
        let madrid = zone("Europe/Madrid");
        // 02:30 is not there on 2027-03-28, and twice on 2026-10-25.
        assert_eq!(due("daily at 02:30", &madrid, "2027-03-28T00:59:59Z"), ["Sat 27 01:30", "Sun 28 01:00"]);
        assert_eq!(due("daily at 02:30", &madrid, "2027-03-28T01:00:00Z"), ["Sun 28 01:00", "Mon 29 00:30"]);
        assert_eq!(due("daily at 02:30", &madrid, "2026-10-25T00:29:59Z"), ["Sat 24 00:30", "Sun 25 00:30"]);
        assert_eq!(due("daily at 02:30", &madrid, "2026-10-25T01:45:00Z"), ["Sun 25 00:30", "Mon 26 01:30"]);
        // Samoa had no 2011-12-30, a Friday.
        let apia = zone("Pacific/Apia");
        assert_eq!(
            due("weekly on friday at 07:00", &apia, "2011-12-31T12:00:00Z"),
            ["Fri 23 17:00", "Thu 05 17:00"].map(|day| day.to_owned())
        );
    }
}
