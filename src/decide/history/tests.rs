//! Which snapshot is meant, against a list that is gone through by hand.

use chrono::{DateTime, Duration, NaiveDateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::{Candidate, History, Located, NotSelected};
use crate::act::config::zones;
use crate::terms::{NamePattern, Selector, Zone, ZoneName};

fn snapshots(names: &[&str]) -> Vec<Candidate> {
    let pattern = NamePattern::default();
    names.iter().map(|name| Candidate { name: pattern.read(name).unwrap(), partial: name.contains("T05") }).collect()
}

const NAMES: [&str; 5] =
    ["2026-11-18T23-30-00Z", "2026-11-19T02-00-00Z", "2026-11-20T02-00-00Z", "2026-11-20T03-00-00Z", "2026-11-21T05-00-00Z"];

#[track_caller]
fn means(word: &str, zone: &str, names: &[&str]) -> Result<String, String> {
    let snapshots = snapshots(names);
    let zone = zones::load(&ZoneName::new(zone).unwrap()).unwrap();
    let history = History { snapshots: &snapshots, current: None, now: "2026-11-21T12:00:00Z".parse().unwrap(), zone: &zone };
    let selector = Selector::read(word).map_err(|fault| fault.to_string())?;
    history.select(&selector).map(ToString::to_string).map_err(|fault| fault.to_string())
}

#[test]
fn each_way_of_saying_it_means_the_newest_that_it_is_true_of() {
    for (word, zone, expected) in [
        ("current", "UTC", NAMES[4]),
        ("@complete", "UTC", NAMES[3]),
        ("@1d", "UTC", NAMES[3]),
        ("@34h", "UTC", NAMES[2]),
        ("@0h", "UTC", NAMES[4]),
        ("@yesterday", "UTC", NAMES[3]),
        ("@2026-11-20", "UTC", NAMES[3]),
        ("@2026-11-18", "UTC", NAMES[0]),
        ("@2026-11-20T02:59", "UTC", NAMES[2]),
        ("@2026-11-20T03:00", "UTC", NAMES[3]),
        // Three o'clock in Madrid is two in UTC, and a day begins an hour earlier there.
        ("@2026-11-20T03:00", "Europe/Madrid", NAMES[2]),
        ("@2026-11-19", "Europe/Madrid", NAMES[1]),
        ("2026-11-19T02-00-00Z", "UTC", NAMES[1]),
        ("2026-11-19", "UTC", NAMES[1]),
        ("2026-11-21T", "UTC", NAMES[4]),
    ] {
        assert_eq!(means(word, zone, &NAMES), Ok(expected.to_owned()), "{word} {zone}");
    }
}

#[test]
fn what_means_none_or_several_is_said_with_what_there_is() {
    for (word, names, expected) in [
        ("2026-11-2", &NAMES[..], "`2026-11-2` is the beginning of 3 snapshots, such as 2026-11-20T02-00-00Z and 2026-11-21T05-00-00Z"),
        ("2027", &NAMES, "there is no snapshot `2027`"),
        ("@2026-11-17", &NAMES, "there is no snapshot from `@2026-11-17` or before: the first is 2026-11-18T23-30-00Z"),
        ("@4w", &NAMES, "there is no snapshot from `@28d` or before: the first is 2026-11-18T23-30-00Z"),
        ("@complete", &NAMES[4..], "no snapshot is complete"),
        ("@complete", &[], "there is no snapshot yet"),
        ("current", &[], "there is no snapshot yet"),
        ("2026", &[], "there is no snapshot yet"),
        ("@1d", &[], "there is no snapshot yet"),
    ] {
        assert_eq!(means(word, "UTC", names), Err(expected.to_owned()), "{word}");
    }
}

#[test]
fn a_day_of_23_or_25_hours_and_an_hour_that_comes_twice_are_what_clocks_showed() {
    let spring = ["2026-03-28T22-30-00Z", "2026-03-29T00-30-00Z", "2026-03-29T01-30-00Z", "2026-03-29T22-30-00Z"];
    for (word, expected) in [
        // 01:30, 03:30 and, in summer time, the next day.
        ("@2026-03-29T02:30", spring[1]),
        ("@2026-03-29T03:30", spring[2]),
        ("@2026-03-28", spring[0]),
        ("@2026-03-29", spring[2]),
    ] {
        assert_eq!(means(word, "Europe/Madrid", &spring), Ok(expected.to_owned()), "{word}");
    }
    // 02:20 in summer time, and then again in winter time.
    let autumn = ["2026-10-25T00-20-00Z", "2026-10-25T01-20-00Z", "2026-10-25T01-40-00Z"];
    for (word, expected) in [("@2026-10-25T02:20", autumn[1]), ("@2026-10-25T02:40", autumn[2]), ("@2026-10-25", autumn[2])] {
        assert_eq!(means(word, "Europe/Madrid", &autumn), Ok(expected.to_owned()), "{word}");
    }
}

fn located(pattern: &str, names: &[&str], path: &str) -> String {
    let pattern = NamePattern::new(pattern).unwrap();
    let snapshots: Vec<_> = names.iter().map(|name| Candidate { name: pattern.read(name).unwrap(), partial: false }).collect();
    let zone = Zone::utc();
    let history = History { snapshots: &snapshots, current: None, now: "2026-11-21T12:00:00Z".parse().unwrap(), zone: &zone };
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    match history.locate(&parts) {
        Ok(Located::Root) => "all".to_owned(),
        Ok(Located::Above(above)) => format!("above {above}"),
        Ok(Located::Inside { snapshot, names }) => format!("{snapshot}: {}", parts[names..].join("/")),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn a_path_is_split_after_its_snapshot() {
    for (path, expected) in [
        ("", "all"),
        ("current/etc/hosts", "2026-11-21T05-00-00Z: etc/hosts"),
        ("@1d", "2026-11-20T03-00-00Z: "),
        ("2026-11-19/etc", "2026-11-19T02-00-00Z: etc"),
        ("2026-11-20T03-00-00Z/2026-11-19", "2026-11-20T03-00-00Z: 2026-11-19"),
        ("etc/hosts", "there is no snapshot `etc`"),
        ("@soon/etc", "`@soon` says no snapshot"),
    ] {
        let found = located(NamePattern::DEFAULT, &NAMES, path);
        assert!(found == expected || found.starts_with("`@soon` says no snapshot"), "{path}: {found}");
    }
    let dated = ["2026/1119/0200", "2026/1120/0200", "2026/1120/0930"];
    for (path, expected) in [
        ("2026", "above 2026"),
        ("2026/1120", "above 2026/1120"),
        ("2026/1120/0930/etc", "2026/1120/0930: etc"),
        ("2026/1120/09/etc", "2026/1120/0930: etc"),
        ("2026/1120/0/etc", "`2026/1120/0` is the beginning of 2 snapshots, such as 2026/1120/0200 and 2026/1120/0930"),
        ("2026/1121", "there is no snapshot `2026`"),
        ("@2026-11-19/etc", "2026/1119/0200: etc"),
    ] {
        assert_eq!(located("%Y/%m%d/%H%M", &dated, path), expected, "{path}");
    }
    assert_eq!(located(NamePattern::DEFAULT, &[], "etc"), "there is no snapshot yet");
}

proptest! {
    #[test]
    fn a_time_means_the_last_that_one_comes_to_who_goes_through_them_all(
        hours in proptest::collection::btree_set(0_i64..20_000, 1..30),
        wanted in 0_i64..20_100,
        zone in proptest::sample::select(vec!["UTC", "Europe/Madrid", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]),
    ) {
        let pattern = NamePattern::default();
        let from: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let snapshots: Vec<_> = hours.iter().map(|hours| Candidate { name: pattern.name_at(from + Duration::hours(*hours)), partial: false }).collect();
        let zone = zones::load(&ZoneName::new(zone).unwrap()).unwrap();
        let history = History { snapshots: &snapshots, current: None, now: from + Duration::hours(20_100), zone: &zone };
        let local: NaiveDateTime = zone.local(from + Duration::hours(wanted));
        for (selector, is_early) in [
            (Selector::At(local), Box::new(|at| zone.local(at) <= local) as Box<dyn Fn(DateTime<Utc>) -> bool>),
            (Selector::Day(local.date()), Box::new(|at| zone.local(at).date() <= local.date())),
            (Selector::Ago(TimeDelta::hours(wanted)), Box::new(|at| at <= from + Duration::hours(20_100 - wanted))),
        ] {
            let mut last = None;
            for one in &snapshots {
                if is_early(one.name.at) {
                    last = Some(&one.name);
                }
            }
            prop_assert_eq!(history.select(&selector).ok(), last);
        }
    }

    #[test]
    fn a_beginning_means_the_one_that_has_it_alone(hours in proptest::collection::btree_set(0_i64..300, 1..20), length in 1_usize..20) {
        let pattern = NamePattern::default();
        let from: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let snapshots: Vec<_> = hours.iter().map(|hours| Candidate { name: pattern.name_at(from + Duration::hours(*hours)), partial: false }).collect();
        let zone = Zone::utc();
        let history = History { snapshots: &snapshots, current: None, now: from, zone: &zone };
        let word = snapshots[0].name.as_str().get(..length).unwrap();
        let having = snapshots.iter().filter(|one| one.name.as_str().starts_with(word)).count();
        match history.select(&Selector::Name(word.to_owned())) {
            Ok(name) => prop_assert!(having == 1 && *name == snapshots[0].name),
            Err(NotSelected::Ambiguous { count, .. }) => prop_assert_eq!(count, having),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
