//! The examples of other programs' documentation, and each floor; `tests/upkeep/keep` goes through years.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{Datelike as _, TimeDelta};

use crate::terms::NamePattern;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn snapshot(began: DateTime<Utc>) -> Snapshot {
    Snapshot::complete(NamePattern::default().name_at(began), began)
}

fn stock(times: &[&str]) -> Vec<Snapshot> {
    times.iter().map(|time| snapshot(at(&format!("{time}Z")))).collect()
}

/// One snapshot at noon of each day.
fn days(first: &str, count: i64) -> Vec<Snapshot> {
    let first = at(&format!("{first}T12:00:00Z"));
    (0..count).map(|day| snapshot(first + TimeDelta::days(day))).collect()
}

fn rule(period: Period, count: usize) -> Rule {
    Rule { period, extent: Extent::Count(count) }
}

fn within(period: Period, days: u32) -> Rule {
    Rule { period, extent: Extent::Span(Span::of_days(days)) }
}

/// Rules, with no floor but the newest.
fn rules(rules: &[Rule]) -> Keep {
    Keep { rules: rules.to_vec(), min_snapshots: 1, keep_within: Span::of_hours(0), resolution: TimeDelta::zero() }
}

const LATER: &str = "2200-01-01T00:00:00Z";

fn kept<'a>(snapshots: &'a [Snapshot], keep: &Keep) -> Vec<&'a Snapshot> {
    let judged = decide(snapshots, at(LATER), &Zone::utc(), keep);
    judged.into_iter().filter(|judged| !judged.is_doomed()).map(|judged| judged.snapshot).collect()
}

fn kept_times(snapshots: &[Snapshot], keep: &[Rule]) -> Vec<String> {
    kept(snapshots, &rules(keep)).iter().map(|snapshot| snapshot.began.format("%FT%T").to_string()).collect()
}

use Period::{Day, Each, Hour, Month, Week, Year};

/// `tests/prune.rs` of Proxmox Backup Server.
#[test]
fn the_examples_of_proxmox_backup_server_come_out_as_there() {
    let hours = [
        "2019-11-15T09:39:15", "2019-11-15T10:49:15", "2019-11-15T10:59:15", "2019-11-15T11:39:15", "2019-11-15T11:49:15",
        "2019-11-15T11:59:15",
    ];
    let year = [
        "2018-11-15T11:59:15", "2019-11-15T11:59:15", "2019-11-21T11:59:15", "2019-11-22T11:59:15", "2019-11-29T11:59:15",
        "2019-12-01T11:59:15", "2019-12-02T11:59:15", "2019-12-03T11:59:15", "2019-12-04T11:59:15",
    ];
    let week = ["2019-12-02T11:59:15", "2019-12-03T11:59:15", "2019-12-04T11:59:15", "2019-12-04T12:59:15"];
    let cases: [(&[&str], &[Rule], &[usize]); 19] = [
        (&hours, &[rule(Hour, 3)], &[0, 2, 5]),
        (&hours, &[rule(Hour, 2)], &[2, 5]),
        (&year, &[rule(Day, 1)], &[8]),
        (&year, &[rule(Each, 1), rule(Day, 1)], &[7, 8]),
        (&year, &[rule(Day, 1), rule(Week, 1)], &[5, 8]),
        (&year, &[rule(Month, 1), rule(Year, 1)], &[0, 8]),
        (&week, &[rule(Each, 4)], &[0, 1, 2, 3]),
        (&week, &[rule(Each, 3)], &[1, 2, 3]),
        (&week, &[rule(Each, 2)], &[2, 3]),
        (&week, &[rule(Each, 1)], &[3]),
        (&week, &[rule(Each, 2), rule(Day, 2)], &[0, 1, 2, 3]),
        (&week, &[rule(Day, 3)], &[0, 1, 3]),
        (&week, &[rule(Day, 2)], &[1, 3]),
        (&week, &[rule(Week, 5)], &[3]),
        (&week, &[rule(Day, 1), rule(Week, 5)], &[3]),
        (&week, &[rule(Month, 6)], &[3]),
        (&week, &[rule(Year, 7)], &[3]),
        (&week, &[rule(Week, 5), rule(Month, 6), rule(Year, 7)], &[3]),
        // There it keeps the snapshot of 22 November: a rule passes over what a finer one has
        // passed over, and so over the last one of November. Here it is the last one, as it would
        // be without `weekly`: another rule never dooms what was kept.
        (&year, &[rule(Day, 1), rule(Week, 1), rule(Month, 1)], &[4, 5, 8]),
    ];
    for (times, rules, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|number| times[*number].to_owned()).collect();
        assert_eq!(kept_times(&stock(times), rules), expected, "{rules:?}");
    }
    // There `keep-last 0` removes everything. Here no policy can say so, and the newest one stays.
    assert_eq!(kept_times(&stock(&week), &[rule(Each, 0)]), [week[3]]);
}

/// "Retention Settings Example" of the Proxmox documentation: two weeks of days, two months of
/// weeks, a year of months, ten years.
#[test]
fn the_settings_that_proxmox_recommends_reach_as_far_as_it_says() {
    let stock = days("2010-01-01", 6000);
    for newest in (5000..6000).step_by(37) {
        let settings = rules(&[rule(Each, 3), rule(Day, 13), rule(Week, 8), rule(Month, 11), rule(Year, 9)]);
        let kept = kept(&stock[..newest], &settings);
        let newest = kept.last().unwrap().began;
        let has = |period: &dyn Fn(DateTime<Utc>) -> i32, count: i32| {
            let all: BTreeSet<_> = kept.iter().map(|snapshot| period(newest) - period(snapshot.began)).collect();
            (0..count).all(|back| all.contains(&back))
        };
        assert!(has(&|at| at.num_days_from_ce(), 14));
        assert!(has(&|at| (at.num_days_from_ce() - 1) / 7, 10));
        assert!(has(&|at| at.year() * 12 + at.month0() as i32, 12));
        assert!(has(&|at| at.year(), 10));
    }
}

/// "Removing snapshots according to a policy" of restic's documentation.
#[test]
fn the_examples_of_restic_come_out_as_there_or_keep_more() {
    let sundays: Vec<_> = (0..12).map(|week| snapshot(at("2019-09-01T11:00:00Z") + TimeDelta::weeks(week))).collect();
    let four = ["2019-10-27T11:00:00", "2019-11-03T11:00:00", "2019-11-10T11:00:00", "2019-11-17T11:00:00"];
    assert_eq!(kept_times(&sundays, &[rule(Day, 4)]), four);
    // A span reaches back from the newest snapshot, and not from today as in borg.
    assert_eq!(kept_times(&sundays, &[within(Day, 28)]), four);

    // A backup every day for 100 years, up to a Sunday that ends one. To restic a daily one is a
    // weekly one as well, which each rule alone shows.
    let century = days("1924-01-01", 36_525);
    let policy = [rule(Day, 7), rule(Week, 5), rule(Month, 12), rule(Year, 75)];
    let alone = policy.iter().flat_map(|rule| kept_times(&century, &[*rule]));
    let restic: BTreeSet<_> = alone.collect();
    assert_eq!(restic.len(), 7 + 4 + 11 + 74);
    // Here what a finer rule keeps is not counted, as in Proxmox Backup Server and borg: so there
    // are five weeks besides the days.
    let ours: BTreeSet<_> = kept_times(&century, &policy).into_iter().collect();
    assert_eq!(ours.len(), 7 + 5 + 12 + 75);
    assert!(ours.is_superset(&restic));

    // In spans it makes no difference.
    let policy = [within(Day, 7), within(Week, 31), within(Month, 366), within(Year, 75 * 366)];
    let alone: BTreeSet<_> = policy.iter().flat_map(|rule| kept_times(&century, &[*rule])).collect();
    assert_eq!(kept_times(&century, &policy).into_iter().collect::<BTreeSet<_>>(), alone);

    // restic keeps the oldest besides while a rule is not satisfied. Here nothing is kept that no
    // rule names.
    let month = stock(&["2024-01-02T13:42:44", "2024-01-03T01:04:38", "2024-01-04T20:09:54", "2024-01-04T20:20:32"]);
    assert_eq!(kept_times(&month, &[rule(Month, 4)]), ["2024-01-04T20:20:32"]);
}

/// `docs/misc/prune-example.txt` of borg.
#[test]
fn the_example_of_borg_comes_out_as_there_but_for_the_oldest() {
    let mut year = days("2015-01-01", 365);
    year.retain(|snapshot| snapshot.began.date_naive().to_string() != "2015-12-19");
    let kept = kept_times(&year, &[rule(Day, 14), rule(Month, 6), rule(Year, 1)]);
    let months = ["2015-06-30", "2015-07-31", "2015-08-31", "2015-09-30", "2015-10-31", "2015-11-30"].map(str::to_owned);
    let daily = (17..=31).filter(|day| *day != 19).map(|day| format!("2015-12-{day}"));
    // borg keeps 2015-01-01 besides, as restic would.
    let expected: Vec<_> = months.into_iter().chain(daily).map(|day| format!("{day}T12:00:00")).collect();
    assert_eq!(kept, expected);
}

/// The README of rsync-time-backup. It keeps the first snapshot of each seven days, here it is the
/// last.
#[test]
fn the_strategy_of_rsync_time_backup_thins_out_as_it_says() {
    let every = |days, reach| Rule { period: Period::Days(days), extent: reach };
    let strategy = [
        within(Each, 1),
        every(1, Extent::Span(Span::of_days(30))),
        every(7, Extent::Span(Span::of_days(365))),
        every(30, Extent::Everything),
    ];
    let stock: Vec<_> = (0..24 * 1000).map(|hour| snapshot(at("2020-01-01T00:30:00Z") + TimeDelta::hours(hour))).collect();
    let kept = kept(&stock, &rules(&strategy));
    let newest = kept.last().unwrap().began;
    let ages: Vec<_> = kept.iter().rev().map(|snapshot| (newest - snapshot.began).num_hours()).collect();
    assert_eq!(ages.iter().filter(|age| **age < 24).count(), 24);
    assert_eq!(ages.iter().filter(|age| (24..30 * 24).contains(*age)).count(), 29);
    for pair in ages.windows(2) {
        let most = if pair[1] < 30 * 24 {
            1
        } else if pair[1] < 365 * 24 {
            7
        } else {
            30
        };
        assert!(pair[1] - pair[0] <= most * 24, "{pair:?}");
    }
    assert!(ages.len() < 24 + 29 + 49 + 13 + 23 && *ages.last().unwrap() > 970 * 24, "{}", ages.len());
}

#[test]
fn a_floor_holds_whatever_the_rules_say() {
    let now = at("2026-03-01T00:00:00Z");
    let floors = |change: &dyn Fn(&mut Vec<Snapshot>)| {
        let mut stock = days("2026-01-01", 30);
        change(&mut stock);
        let keep = Keep { rules: vec![rule(Each, 1)], min_snapshots: 2, keep_within: Span::of_days(3), resolution: TimeDelta::zero() };
        let judged = decide(&stock, now, &Zone::utc(), &keep);
        let floors = judged.iter().enumerate().flat_map(|(day, judged)| {
            let shown = judged.kept_by.iter().filter(|reason| matches!(reason, Reason::Floor(_))).map(ToString::to_string);
            shown.map(move |shown| format!("{} {shown}", day + 1)).collect::<Vec<_>>()
        });
        floors.collect::<Vec<_>>().join("; ")
    };
    let usual = "28 within 3d; 29 within 3d; 29 one of the last 2; 30 newest; 30 within 3d; 30 one of the last 2";
    assert_eq!(floors(&|_| ()), usual);
    assert_eq!(floors(&|stock| stock[3].protected = Protection::Always), format!("4 protected; {usual}"));
    assert_eq!(floors(&|stock| stock[3].protected = Protection::Until(now)), usual);
    assert_eq!(floors(&|stock| stock[3].protected = Protection::Until(now + TimeDelta::seconds(1))), format!("4 protected; {usual}"));
    assert_eq!(floors(&|stock| stock[3].current = true), format!("4 current; {usual}"));
    assert_eq!(floors(&|stock| stock[3].being_read = true), format!("4 being read; {usual}"));
    assert_eq!(
        floors(&|stock| stock[20..].iter_mut().for_each(|snapshot| snapshot.complete = false)),
        "19 one of the last 2; 20 newest complete one; 20 one of the last 2; 28 within 3d; 29 within 3d; 30 newest; 30 within 3d"
    );
    assert_eq!(
        floors(&|stock| stock[1..].iter_mut().for_each(|snapshot| snapshot.complete = false)),
        "1 newest complete one; 1 one of the last 2; 28 within 3d; 29 within 3d; 30 newest; 30 within 3d; 30 one of the last 2"
    );
    // While one is held, time stands still at the last good one.
    assert_eq!(
        floors(&|stock| {
            stock.truncate(12);
            stock[9].complete = false;
            stock[10].held = true;
        }),
        "8 within 3d; 8 one of the last 2; 9 last good one before one that is held; 9 within 3d; 9 one of the last 2; \
         10 held, or later than the last good one; 10 within 3d; 11 held, or later than the last good one; 12 newest; \
         12 held, or later than the last good one"
    );
    assert_eq!(
        floors(&|stock| {
            stock.truncate(2);
            stock[0].held = true;
        }),
        "1 held, or later than the last good one; 2 newest; 2 held, or later than the last good one"
    );
    // The clock stands between the second and the third.
    assert_eq!(
        floors(&|stock| {
            stock.truncate(4);
            stock[2].began = now + TimeDelta::days(1);
            stock[3].began = now + TimeDelta::days(2);
        }),
        "1 within 3d; 1 one of the last 2; 2 within 3d; 2 one of the last 2; 3 later than the clock; 4 newest; 4 later than the clock"
    );
}

#[test]
fn without_rules_everything_is_kept_and_nothing_at_all_is_fine() {
    let stock = days("2026-01-01", 30);
    let judged = decide(&stock, at(LATER), &Zone::utc(), &rules(&[]));
    assert!(judged.iter().all(|judged| !judged.is_doomed()));
    assert_eq!(judged[0].to_string(), "2026-01-01T12-00-00Z: no `keep:` in the policy");
    assert_eq!(may_be_shortened(&judged).len(), 29, "short space is another matter");
    assert_eq!(decide(&[], at(LATER), &Zone::utc(), &rules(&[rule(Each, 1)])), []);
    // Whatever stands in a policy, the newest one stays that a clock which was set back has left in
    // the past.
    let keep = Keep { min_snapshots: 0, ..rules(&[rule(Each, 0)]) };
    let left = decide(&stock, stock[20].began, &Zone::utc(), &keep);
    assert_eq!(left.iter().position(|judged| !judged.is_doomed()), Some(20));
    assert_eq!(doomed(&[], false), Ok(Vec::new()));
}

#[test]
fn what_keeps_a_snapshot_or_dooms_it_is_said() {
    let mut stock = days("2026-01-29", 4);
    stock[2].complete = false;
    stock[0].protected = Protection::Always;
    let judged = decide(&stock, at(LATER), &Zone::utc(), &rules(&[rule(Each, 1), rule(Week, 1), rule(Month, 1)]));
    let said: Vec<_> = judged.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "2026-01-29T12-00-00Z: protected",
            "2026-01-30T12-00-00Z: monthly-1",
            "2026-01-31T12-00-00Z: it is incomplete, and rules keep complete ones",
            "2026-02-01T12-00-00Z: newest, one of the last 1, last-1",
        ]
    );
    let judged = decide(&stock[..2], at(LATER), &Zone::utc(), &rules(&[rule(Each, 1)]));
    assert_eq!(judged[0].to_string(), "2026-01-29T12-00-00Z: protected");
}

#[test]
fn nine_of_ten_go_at_once_only_if_somebody_says_so() {
    for (all, refused) in [(30, 27), (29, 27)] {
        let stock = days("2026-01-01", all);
        let keep = rules(&[rule(Each, usize::try_from(all).unwrap() - refused)]);
        let judged = decide(&stock, at(LATER), &Zone::utc(), &keep);
        assert!(doomed(&judged, false).unwrap_err().to_string().starts_with(&format!("27 of {all} snapshots would be removed at once: ")));
        assert_eq!(doomed(&judged, true).unwrap().len(), 27);
    }
    let stock = days("2026-01-01", 30);
    let judged = decide(&stock, at(LATER), &Zone::utc(), &rules(&[rule(Each, 4)]));
    let doomed = doomed(&judged, false).unwrap();
    assert_eq!((doomed.len(), doomed[0]), (26, &stock[0]), "the oldest first");
    assert_eq!(may_be_shortened(&judged).into_iter().collect::<Vec<_>>(), stock[26..29].iter().collect::<Vec<_>>());
}

#[test]
fn a_rhythm_ends_in_what_the_rules_keep_of_it() {
    let from = at("2026-01-01T00:00:00Z");
    let keep = rules(&[rule(Each, 2), rule(Day, 3), rule(Month, 20)]);
    let after = |span: u64, every: u64| {
        let rhythm = Rhythm { from, span: Duration::from_secs(span * 3600), every: Duration::from_secs(every * 3600) };
        let left = simulate(&days("2025-11-01", 40), rhythm, &NamePattern::default(), &Zone::utc(), &keep);
        left.iter().map(|snapshot| snapshot.began.format("%m-%dT%H").to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(after(0, 1), "11-30T12 12-06T12 12-07T12 12-08T12 12-09T12 12-10T12");
    assert_eq!(after(90 * 24, 6), "11-30T12 12-10T12 01-31T18 02-28T18 03-28T18 03-29T18 03-30T18 03-31T18 04-01T00");
    // A rhythm of nothing is one of a minute.
    assert!(after(1, 0).ends_with("01-01T00 01-01T01"));
    let rhythm = Rhythm { from: DateTime::<Utc>::MAX_UTC, span: Duration::MAX, every: Duration::MAX };
    assert_eq!(simulate(&[], rhythm, &NamePattern::default(), &Zone::utc(), &keep), []);
}

#[test]
fn what_may_be_younger_than_its_name_says_is_kept_for_as_long_as_it_may_be() {
    let names = NamePattern::new("%Y-%m-%d").unwrap();
    assert_eq!((names.resolution(), NamePattern::default().resolution()), (TimeDelta::days(1), TimeDelta::zero()));
    // Pushed on the first evening and on the eighth morning.
    let stock: Vec<_> = ["2026-01-01T23:00:00Z", "2026-01-08T01:00:00Z"].map(|when| names.name_at(at(when))).into();
    let stock: Vec<_> = stock.into_iter().map(|name| Snapshot::complete(name.clone(), name.at)).collect();
    let keep = Keep { keep_within: Span::of_days(7), ..rules(&[rule(Each, 1)]) };
    let goes = |keep: &Keep| decide(&stock, at("2026-01-08T02:00:00Z"), &Zone::utc(), keep)[0].is_doomed();
    assert_eq!((goes(&keep), goes(&Keep { resolution: names.resolution(), ..keep.clone() })), (true, false));
}
