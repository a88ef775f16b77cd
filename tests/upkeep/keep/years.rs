//! Years, hour by hour.

use std::collections::BTreeSet;
use std::time::Duration;

use snapgate::decide::keep::{Extent, Period, Rhythm, Rule, Span, simulate};

use super::*;

fn count(period: Period, count: usize) -> Rule {
    Rule { period, extent: Extent::Count(count) }
}

fn span(period: Period, days: u32) -> Rule {
    Rule { period, extent: Extent::Span(Span::of_days(days)) }
}

fn keep(rules: &[Rule]) -> Keep {
    Keep { rules: rules.to_vec(), min_snapshots: 3, keep_within: Span::of_hours(10), resolution: chrono::TimeDelta::zero() }
}

/// As people write them: numbers, spans, both, and a strategy.
fn policies() -> [Keep; 4] {
    use Period::{Day, Days, Each, Hour, Month, Week, Year};
    [
        keep(&[count(Each, 2), count(Hour, 5), count(Day, 7), count(Week, 4), count(Month, 6), count(Year, 10)]),
        keep(&[span(Hour, 1), span(Day, 7), span(Week, 28), span(Month, 366)]),
        keep(&[span(Each, 1), count(Day, 5), span(Week, 30), count(Month, 6)]),
        keep(&[span(Each, 1), span(Days(1), 10), span(Days(7), 60), Rule { period: Days(30), extent: Extent::Everything }]),
    ]
}

/// A client that pushes every hour of every day, but for holidays, and a clock that somebody sets
/// now and then.
#[test]
fn hour_by_hour_the_model_says_the_same() {
    let from = at("2025-12-20T00:20:00Z");
    for (number, (keep, name)) in policies().iter().zip(ZONES.iter().cycle().skip(1)).enumerate() {
        let zone = zone(name);
        let mut stock: Vec<Snapshot> = Vec::new();
        let mut clock = from;
        for hour in 0..24 * 400_usize {
            clock += hours(1);
            match hour % 2111 {
                700 => clock -= hours(30),
                1400 => clock += hours(50),
                _ => {}
            }
            let is_away = hour % 1000 < 60;
            let is_taken = stock.iter().any(|snapshot| snapshot.began == clock);
            if !is_away && !is_taken {
                stock.push(Snapshot { complete: hour % 11 != 0, ..snapshot(clock) });
            }
            let left = pruned(&stock, clock, &zone, keep);
            // The model is slow: it is asked in some hours, and in all hours around changes of the
            // clocks.
            let is_near = [(3, 28), (3, 29), (10, 24), (10, 25), (3, 8), (11, 1), (4, 4), (10, 3)]
                .contains(&(chrono::Datelike::month(&clock), chrono::Datelike::day(&clock)));
            if is_near || hour % (23 + number) == 0 {
                let names: BTreeSet<_> = left.iter().map(|snapshot| snapshot.name.to_string()).collect();
                assert_eq!(names, model::kept(&stock, clock, &zone, keep), "{name} {clock}");
            }
            stock = left;
        }
        assert!((15..80).contains(&stock.len()), "{}", stock.len());
    }
}

/// What is left is the same, whether the rules were applied every hour or once.
#[test]
fn it_does_not_matter_how_often_the_rules_are_applied() {
    let from = at("2025-12-20T00:20:00Z");
    for (keep, name) in policies().iter().zip(ZONES) {
        let zone = zone(name);
        let all: Vec<_> = (0..24 * 400).map(|hour| snapshot(from + hours(hour))).collect();
        let now = from + hours(24 * 400);
        let once = pruned(&all, now, &zone, keep);
        for every in [3, 31, 24 * 30] {
            let mut stock = Vec::new();
            for some in all.chunks(every) {
                stock.extend_from_slice(some);
                stock = pruned(&stock, some.last().unwrap().began, &zone, keep);
            }
            assert_eq!(pruned(&stock, now, &zone, keep), once, "{name} every {every}");
        }
    }
}

/// `simulate` is nothing but pushes and the same decision.
#[test]
fn an_outlook_is_what_then_comes_true() {
    let from = at("2026-01-01T00:00:00Z");
    let today: Vec<_> = (0..50).map(|day| snapshot(from - hours(24 * day + 3))).rev().collect();
    for (keep, name) in policies().iter().zip(ZONES) {
        let zone = zone(name);
        let rhythm = Rhythm { from, span: Duration::from_secs(3600 * 24 * 365), every: Duration::from_secs(3600 * 2) };
        let left = simulate(&today, rhythm, &NamePattern::default(), &zone, keep);
        let mut stock = today.clone();
        for push in 1..=12 * 365 {
            stock.push(snapshot(from + hours(2 * push)));
            stock = pruned(&stock, from + hours(2 * push), &zone, keep);
        }
        assert!(left.last().unwrap().current);
        let plain: Vec<_> = left.into_iter().map(|snapshot| Snapshot { current: false, ..snapshot }).collect();
        assert_eq!(plain, stock, "{name}");
    }
}

#[test]
fn an_hour_that_clocks_show_twice_is_two_and_days_are_the_zone_s() {
    // In Madrid clocks went from 03:00 back to 02:00 at 01:00 UTC; Saturday had begun at 22:00 UTC.
    let times = ["2026-10-23T21:30:00Z", "2026-10-23T22:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"];
    let stock: Vec<_> = times.iter().map(|time| snapshot(at(time))).collect();
    let left = |period, name| {
        let keep = Keep { min_snapshots: 1, keep_within: Span::of_hours(0), ..keep(&[count(period, 9)]) };
        pruned(&stock, at("2027-01-01T00:00:00Z"), &zone(name), &keep).len()
    };
    assert_eq!((left(Period::Hour, "Europe/Madrid"), left(Period::Hour, "UTC")), (5, 5));
    assert_eq!((left(Period::Day, "Europe/Madrid"), left(Period::Day, "UTC")), (3, 2));
}
