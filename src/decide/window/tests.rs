//! Windows against a clock that knows nothing of them but a calendar of wall-clock minutes.

use std::collections::HashSet;

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, Utc};
use proptest::prelude::*;

use super::*;
use crate::terms::zone::{Zone, ZoneName};

fn window(days: &str, hours: &str) -> Window {
    Window::new(Days::parse(days).unwrap(), Hours::parse(hours).unwrap())
}

fn at(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

#[test]
fn a_window_past_midnight_belongs_to_the_day_on_which_it_begins() {
    let nights = window("mon-fri", "22:00-06:00");
    // 2026-11-20 is a Friday.
    for (time, open) in [
        ("2026-11-20T21:59:59", false),
        ("2026-11-20T22:00:00", true),
        ("2026-11-21T05:59:59", true),
        ("2026-11-21T06:00:00", false),
        ("2026-11-21T23:00:00", false),
        ("2026-11-23T03:00:00", false),
        ("2026-11-24T03:00:00", true),
    ] {
        assert_eq!(nights.is_open(at(time)), open, "{time}");
    }
    assert!(window("sun", "22:00-06:00").is_open(at("2026-11-23T03:00:00")), "sunday's night reaches into monday");
}

#[test]
fn days_and_hours_are_read_and_written_back() {
    for (days, shown) in [
        ("mon-fri", "mon-fri"),
        ("sat,sun", "sat,sun"),
        ("fri-mon", "fri-mon"),
        ("SUN, Mon", "sun,mon"),
        ("mon,wed,fri", "mon,wed,fri"),
        ("mon-wed,sat", "mon-wed,sat"),
        ("mon-sun", "mon-sun"),
        ("thu-wed", "mon-sun"),
    ] {
        assert_eq!(Days::parse(days).unwrap().to_string(), shown, "{days}");
    }
    for bad in ["", "monday", "mon-", "-fri", "mon..fri", "mon-fri-sun", "mon,", "1-5", "mon-mon", "daily", "mon fri"] {
        assert!(Days::parse(bad).is_err(), "{bad}");
    }
    for good in ["22:00-06:00", "00:00-24:00", "00:00-00:01", "23:59-24:00", "22:00-00:00"] {
        assert_eq!(Hours::parse(good).unwrap().to_string(), good);
    }
    for bad in [
        "",
        "22-06",
        "22:00",
        "22:00-",
        "24:00-06:00",
        "24:01-06:00",
        "22:60-06:00",
        "06:00-06:00",
        "00:00-00:00",
        "6:00-7:00",
        "+1:00-02:00",
        "22:00-06:00-07:00",
        "22:00–06:00",
        "25:00-26:00",
    ] {
        assert!(Hours::parse(bad).is_err(), "{bad}");
    }
    let shown = |days, hours| window(days, hours).to_string();
    assert_eq!(shown("mon-fri", "22:00-06:00"), "mon-fri 22:00-06:00");
    assert_eq!(shown("mon-sun", "22:00-06:00"), "22:00-06:00");
    assert_eq!(shown("sat,sun", "00:00-24:00"), "sat,sun");
    assert_eq!(shown("mon-sun", "00:00-24:00"), "always");
}

#[test]
fn a_window_within_others_is_seen() {
    let nights = window("mon-sun", "22:00-06:00");
    assert!(window("tue", "23:00-24:00").is_within(&[nights]));
    assert!(window("tue", "22:00-06:00").is_within(&[nights]));
    assert!(!window("tue", "21:00-24:00").is_within(&[nights]));
    assert!(window("sat", "00:00-24:00").is_within(&[window("sat", "00:00-12:00"), window("sat", "12:00-24:00")]));
    assert!(!window("sat", "22:00-06:00").is_within(&[window("sat", "00:00-24:00")]), "it reaches into sunday");
}

/// The minutes that a window covers, day by day of the calendar, as the words of the policy say it.
fn calendar(days: [bool; 7], from: i64, until: i64, year: i32) -> HashSet<NaiveDateTime> {
    let mut open = HashSet::new();
    let mut day = NaiveDate::from_ymd_opt(year - 1, 12, 25).unwrap();
    while day < NaiveDate::from_ymd_opt(year + 1, 1, 8).unwrap() {
        if days[day.weekday().num_days_from_monday() as usize] {
            let end = if until > from { until } else { until + 24 * 60 };
            open.extend((from..end).map(|minute| day.and_time(NaiveTime::MIN) + Duration::minutes(minute)));
        }
        day = day.succ_opt().unwrap();
    }
    open
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn over_a_whole_year_a_window_is_open_exactly_when_the_calendar_says(
        days in any::<[bool; 7]>(), from in 0i64..1440, until in 1i64..=1440, which in 0usize..4,
    ) {
        prop_assume!(from != until && days.contains(&true));
        let name = ["UTC", "Europe/Madrid", "America/New_York", "Australia/Lord_Howe"][which];
        let zone = Zone::from_tzif(ZoneName::new(name).unwrap(), &std::fs::read(format!("/usr/share/zoneinfo/{name}")).unwrap()).unwrap();
        let listed: Vec<_> = DAYS.iter().zip(days).filter(|(_, on)| *on).map(|(day, _)| *day).collect();
        let hours = format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60);
        let window = window(&listed.join(","), &hours);
        prop_assert!(window.opens_ever());
        prop_assert_eq!(Days::parse(&Days(days).to_string()).unwrap(), Days(days));
        let open = calendar(days, from, until, 2026);
        let start: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        for minute in 0..365 * 24 * 60 {
            let local = zone.local(start + Duration::minutes(minute));
            prop_assert_eq!(window.is_open(local + Duration::seconds(minute % 60)), open.contains(&local), "{} {}", name, local);
        }
    }

    #[test]
    fn no_text_makes_the_readers_panic(text in ".{0,24}") {
        let _ = (Days::parse(&text), Hours::parse(&text));
    }
}
