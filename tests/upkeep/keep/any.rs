//! What holds for any snapshots, clocks, zones and policies.

use std::collections::BTreeSet;

use proptest::prelude::*;
use snapgate::decide::keep::{Extent, Floor, Period, Protection, Reason, Rule, Span, doomed, may_be_shortened};

use super::*;

fn periods() -> impl Strategy<Value = Period> {
    use Period::{Day, Days, Each, Hour, Month, Week, Year};
    prop_oneof![Just(Each), Just(Hour), Just(Day), Just(Week), Just(Month), Just(Year), (1_u32..40).prop_map(Days)]
}

fn extents() -> impl Strategy<Value = Extent> {
    prop_oneof![
        6 => (0_usize..8).prop_map(Extent::Count),
        3 => (1_u32..3000).prop_map(|hours| Extent::Span(Span::of_hours(hours))),
        1 => Just(Extent::Everything),
    ]
}

/// Rules in any order: no property may rest on a policy's making sense.
fn policies() -> impl Strategy<Value = Keep> {
    let rules = prop::collection::vec((periods(), extents()).prop_map(|(period, extent)| Rule { period, extent }), 0..5);
    let floors = (0_usize..6, 0_u32..400);
    (rules, floors).prop_map(|(rules, (min_snapshots, within))| Keep {
        rules,
        min_snapshots,
        keep_within: Span::of_hours(within),
        resolution: chrono::TimeDelta::zero(),
    })
}

/// Around the turn of a year and both changes of clocks. Some are close to each other, some far.
fn moments() -> impl Strategy<Value = DateTime<Utc>> {
    let near = ["2026-10-25T01:00:00Z", "2026-03-29T01:00:00Z", "2027-01-03T23:00:00Z", "2026-11-01T06:00:00Z", "2026-04-04T15:00:00Z"];
    let near = (prop::sample::select(near.to_vec()), -7200_i64..7200).prop_map(|(text, off)| at(text) + TimeDelta::seconds(off));
    let far = (0_i64..3 * 366 * 24 * 60).prop_map(|minutes| at("2025-01-01T00:00:00Z") + TimeDelta::minutes(minutes));
    prop_oneof![1 => near, 2 => far]
}

fn protections() -> impl Strategy<Value = Protection> {
    prop_oneof![20 => Just(Protection::None), 1 => Just(Protection::Always), 1 => moments().prop_map(Protection::Until)]
}

fn stocks() -> impl Strategy<Value = Vec<Snapshot>> {
    let rarely = || prop::bool::weighted(0.04);
    let one = (moments(), prop::bool::weighted(0.8), protections(), rarely(), rarely(), rarely());
    let one = one.prop_map(|(began, complete, protected, held, current, being_read)| Snapshot {
        complete,
        protected,
        held,
        current,
        being_read,
        ..snapshot(began)
    });
    prop::collection::vec(one, 0..60).prop_map(|mut all| {
        all.sort_by_key(|snapshot| snapshot.began);
        all.dedup_by_key(|snapshot| snapshot.began);
        all
    })
}

fn zones() -> impl Strategy<Value = Zone> {
    prop::sample::select(ZONES.to_vec()).prop_map(zone)
}

fn names(snapshots: &[Snapshot]) -> BTreeSet<String> {
    snapshots.iter().map(|snapshot| snapshot.name.to_string()).collect()
}

proptest! {
    #[test]
    fn the_model_says_the_same(stock in stocks(), now in moments(), zone in zones(), keep in policies()) {
        prop_assert_eq!(names(&pruned(&stock, now, &zone, &keep)), model::kept(&stock, now, &zone, &keep));
    }

    #[test]
    fn order_and_names_decide_nothing(stock in stocks(), now in moments(), zone in zones(), keep in policies(), seed in any::<prop::sample::Index>()) {
        let mut turned = stock.clone();
        let middle = seed.index(stock.len().max(1));
        turned.rotate_left(middle.min(stock.len()));
        prop_assert_eq!(pruned(&turned, now, &zone, &keep), pruned(&stock, now, &zone, &keep));
        // A name that says another time.
        let pattern = NamePattern::default();
        let mut renamed = stock.clone();
        renamed.iter_mut().for_each(|one| one.name = pattern.name_at(at("2040-01-01T00:00:00Z") - (one.began - at("2025-01-01T00:00:00Z"))));
        let began = |left: Vec<Snapshot>| left.into_iter().map(|one| one.began).collect::<Vec<_>>();
        prop_assert_eq!(began(pruned(&renamed, now, &zone, &keep)), began(pruned(&stock, now, &zone, &keep)));
    }

    #[test]
    fn pruning_twice_removes_nothing_more(stock in stocks(), now in moments(), zone in zones(), keep in policies()) {
        let once = pruned(&stock, now, &zone, &keep);
        prop_assert_eq!(pruned(&once, now, &zone, &keep), once);
    }

    #[test]
    fn what_will_be_kept_later_is_not_doomed_before(
        stock in stocks(), nows in prop::collection::vec(moments(), 1..4), zone in zones(), keep in policies(),
    ) {
        // Nothing ends by itself here, and nothing is held: these change what is wanted.
        let plain = stock.into_iter().map(|one| Snapshot { complete: one.complete, ..snapshot(one.began) });
        let plain: Vec<_> = plain.collect();
        let end = at("2029-01-01T00:00:00Z");
        let once = pruned(&plain, end, &zone, &keep);
        let mut often = Vec::new();
        let mut nows = nows;
        nows.sort();
        let mut rest = plain.into_iter().peekable();
        for now in nows {
            while let Some(next) = rest.next_if(|next| next.began <= now) {
                often.push(next);
            }
            often = pruned(&often, now, &zone, &keep);
        }
        often.extend(rest);
        prop_assert_eq!(pruned(&often, end, &zone, &keep), once);
    }

    #[test]
    fn a_slow_clock_never_dooms_what_a_right_one_keeps(stock in stocks(), mut nows in prop::collection::vec(moments(), 2), zone in zones(), keep in policies()) {
        nows.sort();
        let (slow, right) = (names(&pruned(&stock, nows[0], &zone, &keep)), names(&pruned(&stock, nows[1], &zone, &keep)));
        prop_assert!(slow.is_superset(&right), "{:?}", right.difference(&slow));
    }

    #[test]
    fn a_fast_clock_dooms_nothing_by_itself(stock in stocks(), zone in zones(), keep in policies(), years in 0_i64..200) {
        let forever = |protected| if matches!(protected, Protection::Until(_)) { Protection::Always } else { protected };
        let stock: Vec<_> = stock.into_iter().map(|one| Snapshot { protected: forever(one.protected), ..one }).collect();
        if let Some(newest) = stock.iter().map(|one| one.began).max() {
            let late = newest + TimeDelta::days(366 * years);
            prop_assert_eq!(pruned(&stock, late, &zone, &keep), pruned(&stock, newest, &zone, &keep));
        }
    }

    #[test]
    fn more_rules_and_larger_numbers_doom_nothing_that_was_kept(
        stock in stocks(), now in moments(), zone in zones(), keep in policies(),
        rule in (periods(), extents()), place in any::<prop::sample::Index>(), more in 1_usize..5,
    ) {
        prop_assume!(!keep.rules.is_empty());
        let before = names(&pruned(&stock, now, &zone, &keep));
        let mut wider = keep.clone();
        let (period, extent) = rule;
        wider.rules.insert(place.index(keep.rules.len() + 1), Rule { period, extent });
        let mut larger = keep.clone();
        let at = place.index(keep.rules.len());
        larger.rules[at].extent = match larger.rules[at].extent {
            Extent::Count(count) => Extent::Count(count + more),
            Extent::Span(span) => Extent::Span(Span::of_hours(span.hours() * 2)),
            Extent::Everything => Extent::Everything,
        };
        let floors = Keep { min_snapshots: keep.min_snapshots.max(1) + more, keep_within: Span::of_hours(keep.keep_within.hours() + 99), ..keep };
        for changed in [wider, larger, floors] {
            let after = names(&pruned(&stock, now, &zone, &changed));
            prop_assert!(after.is_superset(&before), "{:?}: {:?}", changed, before.difference(&after));
        }
    }

    #[test]
    fn whatever_is_marked_only_adds(stock in stocks(), now in moments(), zone in zones(), keep in policies(), which in any::<prop::sample::Index>()) {
        prop_assume!(!stock.is_empty());
        let which = which.index(stock.len());
        let before = names(&pruned(&stock, now, &zone, &keep));
        let marks: [fn(&mut Snapshot); 4] = [
            |one| one.protected = Protection::Always,
            |one| one.current = true,
            |one| one.being_read = true,
            |one| one.held = true,
        ];
        for mark in marks {
            let mut marked = stock.clone();
            mark(&mut marked[which]);
            let after = names(&pruned(&marked, now, &zone, &keep));
            prop_assert!(after.is_superset(&before) && after.contains(&stock[which].name.to_string()));
        }
    }

    #[test]
    fn when_space_is_short_floors_stay_and_the_oldest_goes_first(stock in stocks(), now in moments(), zone in zones(), keep in policies(), share in 0_usize..101) {
        let judged = decide(&stock, now, &zone, &keep);
        let goes: Vec<_> = doomed(&judged, true).unwrap().into_iter().map(|one| one.name.to_string()).collect();
        let order = may_be_shortened(&judged);
        prop_assert!(order.windows(2).all(|pair| pair[0].began < pair[1].began));
        let more = order.iter().take(order.len() * share / 100).map(|one| one.name.to_string());
        let gone: BTreeSet<_> = goes.into_iter().chain(more).collect();
        for one in &judged {
            let is_on_a_floor = one.kept_by.iter().any(|reason| matches!(reason, Reason::Floor(_)));
            prop_assert!(!(is_on_a_floor && gone.contains(one.snapshot.name.as_str())));
        }
        let left: Vec<_> = stock.iter().filter(|one| !gone.contains(one.name.as_str())).cloned().collect();
        // Every floor is where it was.
        for one in decide(&left, now, &zone, &keep) {
            let floors = |reasons: &[Reason]| reasons.iter().filter(|reason| matches!(reason, Reason::Floor(_))).copied().collect::<Vec<_>>();
            let before = judged.iter().find(|before| before.snapshot.name == one.snapshot.name).unwrap();
            prop_assert_eq!(floors(&one.kept_by), floors(&before.kept_by));
        }
    }

    #[test]
    fn a_flood_of_pushes_removes_nothing_that_is_young(
        keep in policies(), zone in zones(), steps in prop::collection::vec(steps(), 1..150),
    ) {
        let mut clock = at("2026-03-20T12:00:00Z");
        let mut stock: Vec<Snapshot> = Vec::new();
        for (pause, jump, complete, prune) in steps {
            clock += TimeDelta::minutes(pause + jump);
            if !stock.iter().any(|one| one.began == clock) {
                stock.push(Snapshot { complete, ..snapshot(clock) });
            }
            if prune {
                let newest = stock.iter().map(|one| one.began).max().unwrap();
                let complete = stock.iter().filter(|one| one.complete && one.began <= clock).count();
                for one in decide(&stock, clock, &zone, &keep) {
                    let age = clock - one.snapshot.began;
                    prop_assert!(!one.is_doomed() || age >= TimeDelta::hours(keep.keep_within.hours().into()));
                    prop_assert!(!one.is_doomed() || one.snapshot.began != newest);
                    prop_assert!(one.snapshot.began <= clock || one.kept_by.contains(&Reason::Floor(Floor::Future)));
                }
                stock = pruned(&stock, clock, &zone, &keep);
                let left = stock.iter().filter(|one| one.complete && one.began <= clock).count();
                prop_assert!(left >= complete.min(keep.min_snapshots.max(1)));
            }
        }
    }

    /// A thief of a key pushes as often and as long as he likes while numbers alone are in the
    /// policy, and the clock is right.
    #[test]
    fn days_that_a_number_keeps_are_not_lost_to_many_pushes_of_one_day(pushes in 1_usize..200, zone in zones(), days in 1_usize..20) {
        let keep = Keep { rules: vec![Rule { period: Period::Day, extent: Extent::Count(days) }], min_snapshots: 1, keep_within: Span::of_hours(0), resolution: chrono::TimeDelta::zero() };
        let noon = at("2026-06-01T12:00:00Z");
        let mut stock: Vec<_> = (1..=30).rev().map(|day| snapshot(noon - TimeDelta::days(day))).collect();
        stock.extend((0..pushes).map(|push| snapshot(noon + TimeDelta::seconds(i64::try_from(push).unwrap()))));
        let left = pruned(&stock, noon + hours(1), &zone, &keep);
        prop_assert_eq!(left.iter().filter(|one| one.began < noon).count(), days - 1);
    }
}

/// Minutes that pass, by which the clock is set besides, whether the push is complete, and whether
/// the rules are applied then.
fn steps() -> impl Strategy<Value = (i64, i64, bool, bool)> {
    let pauses = prop_oneof![3 => 0_i64..90, 2 => 0_i64..3000, 1 => 0_i64..60_000];
    let jumps = prop_oneof![12 => Just(0_i64), 1 => -100_000_i64..100_000, 1 => -200_i64..200];
    (pauses, jumps, prop::bool::weighted(0.8), prop::bool::weighted(0.5))
}
