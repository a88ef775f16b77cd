//! Tests of what becomes of each id.

use proptest::prelude::*;

use super::*;
use crate::terms::IdRange;

const OLD: Holder = Holder { user: 1001, group: 1001 };
const NEW: Holder = Holder { user: 1002, group: 1012 };

fn mapping(users: &[(u32, u32)], groups: &[(u32, u32)]) -> Mapping {
    let map =
        |ranges: &[(u32, u32)]| IdMap::new(ranges.iter().map(|(first, count)| IdRange::new(*first, *count).unwrap()).collect()).unwrap();
    Mapping { users: map(users), groups: map(groups) }
}

fn same(ranges: &[(u32, u32)]) -> Mapping {
    mapping(ranges, ranges)
}

#[test]
fn what_could_not_be_told_apart_is_refused() {
    let before = same(&[(100_000, 65_536)]);
    let new = |mapping: Mapping, from, to| Remap::new(Meaning::Mapped(before.clone()), from, mapping, to).is_ok();
    for (mapping, fine) in [
        (same(&[(200_000, 65_536)]), true),
        (before.clone(), true),
        (same(&[(100_000, 65_536), (900_000, 5)]), true),
        (same(&[(100_001, 65_536)]), false),
        (same(&[(900_000, 5), (100_000, 65_536)]), false),
        (same(&[(100_000, 65_535)]), false),
        (mapping(&[(100_000, 65_536)], &[(300_000, 65_536)]), true),
        (mapping(&[(300_000, 65_536)], &[(99_999, 2)]), false),
    ] {
        assert_eq!(new(mapping.clone(), OLD, NEW), fine, "{mapping:?}");
    }
    let within = Holder { user: 100_000, group: 5 };
    assert!(!new(before.clone(), OLD, within) && !new(before.clone(), within, NEW));
    let after = Remap::new(Meaning::Account, Holder { user: 5, group: 200_001 }, same(&[(200_000, 10)]), NEW);
    assert!(after.unwrap_err().contains("own group 200001"));
    for (user, group) in [(0, 1012), (1002, 0)] {
        assert!(!new(same(&[(200_000, 65_536)]), OLD, Holder { user, group }), "{user} {group}");
    }
}

#[test]
fn only_a_client_s_program_keeps_its_power() {
    let (u, g) = (Kind::User, Kind::Group);
    let of = |meant| Remap::new(meant, OLD, same(&[(200_000, 1000)]), NEW).unwrap();
    let (mapped, account, real) = (of(Meaning::Mapped(same(&[(100_000, 1000)]))), of(Meaning::Account), of(Meaning::Real));
    for (remap, whose, kind, id, expected) in [
        (&mapped, Whose::Clients, u, 100_000, true),
        (&mapped, Whose::Clients, u, 1001, false),
        (&mapped, Whose::Clients, g, 1001, false),
        (&mapped, Whose::Clients, u, 1002, false),
        (&mapped, Whose::Clients, g, 1012, false),
        (&mapped, Whose::Accounts, u, 100_000, false),
        (&account, Whose::Clients, u, 1001, false),
        (&real, Whose::Clients, u, 0, true),
        (&real, Whose::Accounts, u, 0, false),
    ] {
        assert_eq!(remap.keeps_power(whose, kind, id), expected, "{remap:?} {whose:?} {kind} {id}");
    }
}

#[test]
fn the_ids_that_nobody_may_run_as_are_the_accounts_and_the_client_s() {
    let of = |from| Remap::new(Meaning::Mapped(same(&[(100_000, 10)])), from, same(&[(200_000, 10)]), NEW).unwrap();
    let remap = of(OLD);
    for (kind, id, expected) in [
        (Kind::User, 1001, true),
        (Kind::User, 1002, true),
        (Kind::User, 100_009, true),
        (Kind::Group, 200_000, true),
        (Kind::Group, 1001, false),
        (Kind::User, 1003, false),
        (Kind::Group, 200_010, false),
    ] {
        assert_eq!(remap.concerns(kind, id), expected, "{kind} {id}");
    }
    assert!(!of(Holder { user: 0, group: 0 }).concerns(Kind::User, 0), "root is who does it");
    assert!(remap.stands_for_a_client(Kind::User, 100_000) && !remap.stands_for_a_client(Kind::User, 1001));
}

#[test]
fn an_id_becomes_what_it_means() {
    let (u, g) = (Kind::User, Kind::Group);
    let after = mapping(&[(200_000, 1000)], &[(300_000, 1000)]);
    let of = |meant| Remap::new(meant, OLD, after.clone(), NEW).unwrap();
    let (mapped, account, real) = (of(Meaning::Mapped(same(&[(100_000, 1000)]))), of(Meaning::Account), of(Meaning::Real));
    for (remap, whose, kind, id, expected) in [
        (&mapped, Whose::Clients, u, 100_033, Some(200_033)),
        (&mapped, Whose::Clients, g, 100_999, Some(300_999)),
        (&mapped, Whose::Clients, u, 101_000, None),
        (&mapped, Whose::Clients, u, 1001, Some(1002)),
        (&mapped, Whose::Accounts, g, 1001, Some(1012)),
        (&mapped, Whose::Accounts, g, 100_000, Some(300_000)),
        (&mapped, Whose::Accounts, g, 100, Some(1012)),
        (&mapped, Whose::Accounts, u, 0, None),
        (&account, Whose::Clients, u, 1001, Some(200_000)),
        (&account, Whose::Clients, u, 1002, Some(200_000)),
        (&account, Whose::Clients, g, 27, Some(300_000)),
        (&account, Whose::Clients, u, 27, None),
        (&account, Whose::Accounts, u, 1001, Some(1002)),
        (&account, Whose::Accounts, g, 27, Some(1012)),
        (&account, Whose::Accounts, u, 0, None),
        (&real, Whose::Clients, u, 0, Some(200_000)),
        (&real, Whose::Clients, u, 1001, None),
        (&real, Whose::Clients, g, 27, Some(300_027)),
    ] {
        assert_eq!(remap.owner(whose, kind, id, true), expected, "{remap:?} {whose:?} {kind} {id}");
    }
    assert_eq!((mapped.listed(Whose::Clients, u, 100_001, true), mapped.listed(Whose::Clients, u, 1001, true)), (Some(200_001), None));
    assert_eq!((account.listed(Whose::Clients, g, 33, true), account.listed(Whose::Clients, g, 1000, true)), (Some(300_033), None));
    assert_eq!(
        (account.listed(Whose::Clients, u, 200_001, true), account.listed(Whose::Clients, u, 200_001, false)),
        (None, Some(200_001))
    );
    let gates = [100_001, 1001, 1002, 998].map(|id| mapped.listed(Whose::Accounts, u, id, true));
    assert_eq!(gates, [Some(200_001), Some(1002), Some(1002), Some(998)]);
    assert!(!mapped.is_done() && mapped.leads_to(&after, NEW) && !mapped.leads_to(&after, OLD));
    assert!(Remap::new(Meaning::Mapped(after.clone()), NEW, after.clone(), NEW).unwrap().is_done());
}

#[test]
fn the_note_says_all_of_it() {
    let remap = Remap::new(Meaning::Mapped(same(&[(100_000, 10)])), OLD, same(&[(200_000, 10)]), NEW).unwrap();
    let note = serde_json::to_string(&remap).unwrap();
    assert_eq!(serde_json::from_str::<Remap>(&note).unwrap(), remap);
    for (from, wrong) in [("1012", "0"), ("100000", "199995"), ("200000", "0")] {
        assert!(serde_json::from_str::<Remap>(&note.replace(from, wrong)).is_err(), "{note}");
    }
    assert_eq!(serde_json::to_string(&Meaning::Real).unwrap(), "\"real\"");
    assert!(remap.to_string().contains("100000-100009") && remap.to_string().contains("1001:1001 to 1002:1012"), "{remap}");
}

proptest! {
    #[test]
    fn nothing_is_changed_twice(
        before in 1..400_u32, after in 1..400_u32, count in 1..100_u32, id in 0..600_u32, meant in 0..3_u8, accounts in any::<bool>(),
    ) {
        let meant = match meant {
            0 => Meaning::Mapped(same(&[(before, count)])),
            1 => Meaning::Account,
            _ => Meaning::Real,
        };
        let whose = if accounts { Whose::Accounts } else { Whose::Clients };
        if let Ok(remap) = Remap::new(meant, OLD, same(&[(after, count)]), NEW) {
            for kind in [Kind::User, Kind::Group] {
                if let Some(first) = remap.owner(whose, kind, id, true) {
                    prop_assert_eq!(remap.owner(whose, kind, first, false), Some(first));
                }
                if let Some(first) = remap.listed(whose, kind, id, true) {
                    prop_assert_eq!(remap.listed(whose, kind, first, false), Some(first));
                }
            }
        }
    }
}
