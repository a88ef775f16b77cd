//! The same decision, made slowly: each question is asked of each snapshot anew, and periods are
//! what strftime(3) writes.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta, Utc};
use snapgate::decide::keep::{Extent, Keep, Period, Protection, Snapshot};
use snapgate::terms::zone::Zone;

/// A period's name. Of an hour that comes twice, both are told apart by their distance from UTC.
fn period(period: Period, began: DateTime<Utc>, zone: &Zone) -> String {
    let local = zone.local(began);
    match period {
        Period::Each => began.to_rfc3339(),
        Period::Hour => format!("{} {}", local.format("%F %H"), local - began.naive_utc()),
        Period::Day => local.format("%F").to_string(),
        Period::Week => local.format("%G week %V").to_string(),
        Period::Month => local.format("%Y-%m").to_string(),
        Period::Year => local.format("%Y").to_string(),
        Period::Days(days) => {
            let since = local.date() - NaiveDate::from_ymd_opt(1, 1, 1).unwrap();
            format!("{}", since.num_days() / i64::from(days))
        }
    }
}

/// The names of what is kept.
pub(crate) fn kept(stock: &[Snapshot], now: DateTime<Utc>, zone: &Zone, keep: &Keep) -> BTreeSet<String> {
    let name = |snapshot: &Snapshot| snapshot.name.to_string();
    let is_later = |one: &Snapshot, other: &Snapshot| (one.began, one.name.as_str()) > (other.began, other.name.as_str());
    let count = |of: &dyn Fn(&Snapshot) -> bool| stock.iter().filter(|snapshot| of(snapshot)).count();
    let is_seen = |one: &Snapshot| one.began <= now && !one.held && count(&|other| other.held && is_later(one, other)) == 0;
    let seen: Vec<&Snapshot> = stock.iter().filter(|one| is_seen(one)).collect();
    let is_seen = |one: &Snapshot| seen.iter().any(|other| other.name == one.name);
    let seen_later =
        |one: &Snapshot, complete: bool| seen.iter().filter(|other| other.complete == complete && is_later(other, one)).count();
    let span = |span: u32| TimeDelta::hours(span.into());

    let mut kept = BTreeSet::new();
    for one in stock {
        let later = |of: &dyn Fn(&Snapshot) -> bool| count(&|other| is_later(other, one) && of(other));
        let held_later = later(&|other| other.held) > 0;
        let good_between = stock
            .iter()
            .filter(|other| other.held)
            .min_by_key(|held| (held.began, name(held)))
            .is_some_and(|first| count(&|other| other.complete && is_later(other, one) && is_later(first, other)) > 0);
        let after_held = one.held || count(&|other| other.held && is_later(one, other)) > 0;
        let rank = seen_later(one, one.complete) + if one.complete { 0 } else { seen.iter().filter(|other| other.complete).count() };
        let floors = [
            one.current || one.being_read || one.began > now,
            matches!(one.protected, Protection::Always) || matches!(one.protected, Protection::Until(end) if end > now),
            later(&|_| true) == 0,
            one.complete && later(&|other| other.complete) == 0 && later(&|_| true) > 0,
            after_held || (held_later && !good_between),
            is_seen(one) && seen.iter().all(|other| other.began - one.began < span(keep.keep_within.hours())),
            is_seen(one) && rank < keep.min_snapshots.max(1),
            keep.rules.is_empty(),
        ];
        if floors.contains(&true) {
            kept.insert(name(one));
        }
    }

    let mut ruled: BTreeSet<String> = BTreeSet::new();
    let mut candidates: Vec<&Snapshot> = stock.iter().filter(|one| is_seen(one) && one.complete).collect();
    candidates.sort_by_key(|one| (std::cmp::Reverse(one.began), std::cmp::Reverse(name(one))));
    for rule in &keep.rules {
        let of = |one: &Snapshot| if rule.period == Period::Each { name(one) } else { period(rule.period, one.began, zone) };
        let mut periods = BTreeSet::new();
        let mut added = BTreeSet::new();
        for one in &candidates {
            let is_last = periods.insert(of(one));
            let reaches = match rule.extent {
                Extent::Count(most) => added.len() < most,
                Extent::Span(most) => candidates[0].began - one.began < span(most.hours()),
                Extent::Everything => true,
            };
            if is_last && reaches && !ruled.contains(&name(one)) {
                added.insert(name(one));
            }
        }
        ruled.extend(added);
    }
    kept.extend(ruled);
    kept
}

/// Weeks are the calendar's.
#[test]
fn the_model_knows_the_weeks_at_the_turn_of_a_year() {
    let week = |text: &str| period(Period::Week, text.parse().unwrap(), &Zone::utc());
    assert_eq!(week("2027-01-03T12:00:00Z"), "2026 week 53");
    assert_eq!(week("2027-01-04T12:00:00Z"), "2027 week 01");
    assert_eq!(NaiveDate::from_ymd_opt(1, 1, 1).unwrap().weekday(), chrono::Weekday::Mon);
}
