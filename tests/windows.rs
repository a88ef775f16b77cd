//! The system's time zones against instants that are known, and windows against a clock that knows nothing of them but a
//! calendar of wall-clock minutes.
#![expect(clippy::unwrap_used, reason = "a test says no by panicking, its helpers too")]
#![expect(clippy::indexing_slicing, reason = "a day of the week is below seven")]

use std::collections::HashSet;

use chrono::{DateTime, Datelike as _, Duration, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use proptest::prelude::*;
use snapgate::act::config::zones::load;
use snapgate::decide::judge::closing::closing;
use snapgate::decide::policy::window::{Days, Hours, Window};
use snapgate::terms::zone::{Zone, ZoneName};

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn zone(name: &str) -> Zone {
    load(&ZoneName::new(name).unwrap()).unwrap()
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn clocks_show_what_they_showed_around_every_change() {
    // `TZ=<zone> date -d @<seconds>` of GNU coreutils says the same.
    for (name, utc, wall) in [
        ("UTC", "2026-11-21T02:00:00Z", "2026-11-21T02:00:00"),
        ("Europe/Madrid", "2026-03-29T00:59:59Z", "2026-03-29T01:59:59"),
        ("Europe/Madrid", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00"),
        ("Europe/Madrid", "2026-10-25T00:59:59Z", "2026-10-25T02:59:59"),
        ("Europe/Madrid", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00"),
        ("America/New_York", "2026-03-08T06:59:59Z", "2026-03-08T01:59:59"),
        ("America/New_York", "2026-03-08T07:00:00Z", "2026-03-08T03:00:00"),
        ("America/New_York", "2026-11-01T06:00:00Z", "2026-11-01T01:00:00"),
        ("Australia/Lord_Howe", "2026-04-04T14:59:59Z", "2026-04-05T01:59:59"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z", "2026-04-05T01:30:00"),
        ("Australia/Lord_Howe", "2026-10-03T15:30:00Z", "2026-10-04T02:30:00"),
        ("Asia/Kathmandu", "2026-11-21T00:00:00Z", "2026-11-21T05:45:00"),
        ("Pacific/Kiritimati", "2026-11-21T12:00:00Z", "2026-11-22T02:00:00"),
        ("Europe/Madrid", "2087-07-01T12:00:00Z", "2087-07-01T14:00:00"),
    ] {
        assert_eq!(zone(name).local(at(utc)), wall.parse().unwrap(), "{name} {utc}");
    }
}

#[test]
fn a_time_on_the_wall_is_its_first_moment_and_a_skipped_one_is_none() {
    for (name, wall, utc) in [
        ("Europe/Madrid", "2026-11-21T03:00:00", Some("2026-11-21T02:00:00Z")),
        ("Europe/Madrid", "2026-03-29T02:30:00", None),
        ("Europe/Madrid", "2026-10-25T02:30:00", Some("2026-10-25T00:30:00Z")),
        ("Australia/Lord_Howe", "2026-10-04T02:15:00", None),
        ("Australia/Lord_Howe", "2026-04-05T01:45:00", Some("2026-04-04T14:45:00Z")),
        ("UTC", "2026-11-21T03:00:00", Some("2026-11-21T03:00:00Z")),
    ] {
        assert_eq!(zone(name).moment(wall.parse().unwrap()), utc.map(at), "{name} {wall}");
    }
}

#[test]
fn every_half_hour_of_a_year_comes_back() {
    for name in ["Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"] {
        let zone = zone(name);
        for step in 0..366 * 48 {
            let moment = at("2026-01-01T00:00:00Z") + Duration::minutes(30 * step);
            let found = zone.moment(zone.local(moment)).unwrap();
            let repeated = moment - found;
            assert!(repeated >= Duration::zero() && repeated <= Duration::hours(1), "{name} {moment}");
            assert_eq!(zone.local(found), zone.local(moment));
        }
    }
}

#[test]
fn a_push_is_ended_when_clocks_on_the_wall_say_so() {
    for (hours, from, utc) in [
        ("22:00-06:00", "2026-11-20T22:00:00Z", Some("2026-11-21T05:00:00Z")),
        // The night in spring is an hour shorter, that in autumn an hour longer.
        ("22:00-06:00", "2026-03-28T22:00:00Z", Some("2026-03-29T04:00:00Z")),
        ("22:00-06:00", "2026-10-24T22:00:00Z", Some("2026-10-25T05:00:00Z")),
        // A time that does not come that night has come when the hour is over that takes its place.
        ("22:00-02:30", "2026-03-28T22:00:00Z", Some("2026-03-29T01:00:00Z")),
        // One that comes twice has come the first time.
        ("22:00-02:30", "2026-10-24T22:00:00Z", Some("2026-10-25T00:30:00Z")),
        ("00:00-24:00", "2026-10-24T22:00:00Z", None),
    ] {
        let window = Window::new(Days::ALL, Hours::parse(hours).unwrap()).stopping(true);
        let found = closing(&[window], &zone("Europe/Madrid"), at(from), std::time::Duration::from_secs(30 * 86_400));
        assert_eq!(found.as_ref().map(|found| found.at), utc.map(at), "{hours} {from}");
        let shown = hours.split('-').next_back().unwrap();
        assert!(found.is_none_or(|found| found.shown.contains(shown) || found.shown.contains("03:00")), "{hours} {from}");
    }
}

#[test]
fn what_is_no_whole_zone_is_none() {
    let good = std::fs::read("/usr/share/zoneinfo/Europe/Madrid").unwrap();
    let name = ZoneName::new("Europe/Madrid").unwrap();
    for bad in [&b""[..], b"TZif", b"Europe/Madrid", &good[..good.len() / 2], &[0; 4096]] {
        assert!(Zone::from_tzif(name.clone(), bad).is_none());
    }
    for cut in 0..good.len() - 1 {
        let _never_panics = Zone::from_tzif(name.clone(), &good[..cut]);
    }
    for bad in ["", "/etc/passwd", "../../etc/passwd", "Europe/../UTC", "Europe//Madrid", "a b", "UTC\n", ".", &"a".repeat(65)] {
        assert!(ZoneName::new(bad).is_err(), "{bad}");
    }
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
        let zone = zone(name);
        let listed: Vec<_> = DAYS.iter().zip(days).filter(|(_, on)| *on).map(|(day, _)| *day).collect();
        let hours = format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60);
        let window = Window::new(Days::parse(&listed.join(",")).unwrap(), Hours::parse(&hours).unwrap());
        let open = calendar(days, from, until, 2026);
        prop_assert!(!open.is_empty(), "one that never opens cannot be written");
        let start: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        for minute in 0..365 * 24 * 60 {
            let local = zone.local(start + Duration::minutes(minute));
            prop_assert_eq!(window.is_open(local + Duration::seconds(minute % 60)), open.contains(&local), "{} {}", name, local);
        }
    }
}
