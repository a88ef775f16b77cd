//! When a digest is to be made: once for each time at which one is due, however often it is asked,
//! and once for all of those that a machine slept through. The clock may be wrong for a while: one
//! that was far ahead and is set back must not silence the digest until that time comes.

use chrono::{DateTime, Utc};

use crate::decide::policy::Digest;
use crate::decide::speak::states::Past;
use crate::terms::Zone;

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Not,
    /// Nothing is known of any, or the clock was set back: the next one tells of what comes from now
    /// on. The last one counts as due at that time.
    Begin(DateTime<Utc>),
    /// A digest, which was due at that time.
    Since {
        /// When it was due.
        due: DateTime<Utc>,
        /// How many before it did not come.
        skipped: i64,
    },
    /// What is known of the last one is to be forgotten: there are none any more.
    Off,
}

/// Whether one is due.
pub fn due(digest: Digest, zone: &Zone, past: Option<&Past>, now: DateTime<Utc>) -> Due {
    let Some(last) = digest.last_due(zone, now) else {
        return if past.is_some() { Due::Off } else { Due::Not };
    };
    let Some(past) = past else { return Due::Begin(last) };
    if digest.next_due(zone, now).is_some_and(|next| past.due > next) {
        return Due::Begin(last);
    }
    if past.due >= last {
        return Due::Not;
    }
    // In between a day may have an hour more or less.
    let periods = ((last - past.due).num_hours() + 12 * digest.days()) / (24 * digest.days());
    Due::Since { due: last, skipped: (periods - 1).max(0) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn there_is_one_for_each_time_whatever_the_clock_does() {
        let (daily, zone) = (Digest::USUAL, Zone::utc());
        let at = |text: &str| format!("2026-11-{text}:00Z").parse::<DateTime<Utc>>().unwrap();
        let past =
            |text: &str| Past { due: at(text), at: at(text), set_back: false, used: BTreeMap::new(), points: Vec::new(), marks: None };
        let asked = |before: Option<&str>, now: &str| due(daily, &zone, before.map(past).as_ref(), at(now));
        let since = |due: &str, skipped| Due::Since { due: at(due), skipped };
        assert_eq!(asked(None, "28T12:00"), Due::Begin(at("28T07:00")));
        assert_eq!(asked(Some("27T07:00"), "28T06:59"), Due::Not);
        assert_eq!(asked(Some("27T07:00"), "28T07:00"), since("28T07:00", 0));
        assert_eq!(asked(Some("28T07:00"), "28T07:15"), Due::Not);
        // It slept over three of them.
        assert_eq!(asked(Some("24T07:00"), "28T06:00"), since("27T07:00", 2));
        // Set back by an hour, or by most of a day: the same digest comes no second time.
        assert_eq!(asked(Some("28T07:00"), "28T06:30"), Due::Not);
        assert_eq!(asked(Some("28T07:00"), "27T13:00"), Due::Not);
        // It was days ahead.
        assert_eq!(asked(Some("30T07:00"), "28T06:00"), Due::Begin(at("27T07:00")));
        assert_eq!(due(Digest::Off, &zone, Some(&past("27T07:00")), at("28T07:00")), Due::Off);
        assert_eq!(due(Digest::Off, &zone, None, at("28T07:00")), Due::Not);
    }

    #[test]
    fn a_weekly_one_comes_once_a_week_and_tells_how_many_weeks_had_none() {
        let zone = Zone::utc();
        let weekly = Digest::Weekly(chrono::Weekday::Mon, chrono::NaiveTime::from_hms_opt(7, 0, 0).unwrap());
        let at = |text: &str| format!("2026-11-{text}:00Z").parse::<DateTime<Utc>>().unwrap();
        let past =
            |text: &str| Past { due: at(text), at: at(text), set_back: false, used: BTreeMap::new(), points: Vec::new(), marks: None };
        let asked = |before: Option<&str>, now: &str| due(weekly, &zone, before.map(past).as_ref(), at(now));
        // 2026-11-23 is a Monday. The first one tells of what comes from now on.
        assert_eq!(asked(None, "28T12:00"), Due::Begin(at("23T07:00")));
        assert_eq!(asked(Some("23T07:00"), "29T23:59"), Due::Not);
        assert_eq!(asked(Some("23T07:00"), "30T06:59"), Due::Not);
        assert_eq!(asked(Some("23T07:00"), "30T07:00"), Due::Since { due: at("30T07:00"), skipped: 0 });
        assert_eq!(asked(Some("02T07:00"), "28T06:00"), Due::Since { due: at("23T07:00"), skipped: 2 });
        // Who turns from one a day to one a week waits for the next Monday.
        assert_eq!(asked(Some("26T07:00"), "28T07:00"), Due::Not);
        assert_eq!(asked(Some("26T07:00"), "30T07:00"), Due::Since { due: at("30T07:00"), skipped: 0 });
    }
}
