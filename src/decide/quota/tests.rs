use proptest::prelude::*;

use super::*;
use crate::terms::Code;

const QUOTA: Quota = Quota { bytes: Some(1000 << 20), inodes: Some(500), warn: 80 };

fn usage(bytes: u64, inodes: u64) -> Usage {
    Usage { bytes, inodes }
}

fn holding(bytes: u64, set_aside: u64) -> Holding {
    Holding { used: usage(bytes, 1), set_aside: usage(set_aside, 0), due: false }
}

#[test]
fn a_quota_refuses_what_does_not_fit_and_nothing_else() {
    let refused = |bytes: u64, wants| refusal(&QUOTA, &holding(bytes << 20, 0), wants).map(|reason| (reason.code, reason.says));
    assert_eq!(refused(999, None), None);
    assert_eq!(refused(999, Some(1 << 20)), None);
    let (code, says) = refused(999, Some(2 << 20)).unwrap();
    assert_eq!((code, says.as_str()), (Code::Quota, "2 MiB do not fit: the server keeps 999 MiB of yours, and may keep 1000 MiB"));
    assert_eq!(
        refused(1000, None).unwrap().1,
        "the server keeps as much of yours as it may: 1000 MiB of 1000 MiB, 1 of 500 files and directories"
    );
    // What a push that was stopped has left is used by the next one.
    assert_eq!(refusal(&QUOTA, &holding(1100 << 20, 200 << 20), None), None);
    let none = Quota { bytes: None, inodes: None, warn: 80 };
    assert_eq!(refusal(&none, &holding(u64::MAX, 0), Some(u64::MAX)), None);
    let doubt = refusal(&QUOTA, &Holding { due: true, ..holding(1000 << 20, 0) }, None).unwrap();
    assert!(doubt.detail.contains("--recount") && !doubt.says.contains("recount"));
}

#[test]
fn a_warning_comes_once_for_each_share_that_is_passed_and_names_what_is_short() {
    let warned = |bytes: u64, more: u64| warnings(&QUOTA, &holding(bytes << 20, 0), Some(usage(more << 20, 1)));
    assert_eq!(warned(700, 99), Vec::<String>::new());
    assert_eq!(warned(700, 100), ["the client's quota is nearly used up: 800 MiB of 1000 MiB, 2 of 500 files and directories"]);
    assert_eq!((warned(800, 100).len(), warned(800, 150).len(), warned(960, 10).len()), (0, 1, 0));
    let many = warnings(&QUOTA, &holding(0, 0), Some(usage(0, 400)));
    assert_eq!(many, ["the client's quota is nearly used up: 0 bytes of 1000 MiB, 401 of 500 files and directories"]);
    assert!(warnings(&QUOTA, &holding(0, 0), None)[0].contains("not known exactly"));
    let none = Quota { bytes: None, inodes: None, warn: 80 };
    assert!(warnings(&none, &Holding { due: true, ..holding(0, 0) }, None).is_empty());
}

#[test]
fn pushes_leave_free_what_they_are_told_to() {
    let disk = |free, inodes, of| Disk { free: usage(free, inodes), size: usage(10_000, of) };
    let leave = MinFree { bytes: Part::Percent(5), inodes: Part::Amount(10) };
    assert_eq!(disk(600, 15, 100).room(&leave), usage(100, 5));
    assert!(!disk(501, 11, 100).is_short(&leave));
    assert!(disk(500, 11, 100).is_short(&leave) && disk(501, 10, 100).is_short(&leave));
    assert!(!disk(501, 0, 0).is_short(&leave), "a disk without a table of inodes has enough of them");
    let with = |free, wants| no_room(&disk(free, 15, 100), &leave, wants);
    let refused = |wants| with(600, wants);
    assert_eq!((refused(None), refused(Some(96))), (None, None));
    // What others have written meanwhile cannot be told from the answers.
    assert!((596..=611).all(|free| with(free, Some(96)).is_none() && with(free, Some(97)).is_some()));
    let reason = refused(Some(101)).unwrap();
    assert!(reason.code == Code::Store && !reason.says.contains("600") && reason.detail.contains("600 bytes"), "{reason:?}");
}

#[test]
fn the_stricter_limit_counts() {
    let cap = |most, ground| Some(Cap { most, before: 0, ground });
    assert_eq!(Cap::or_less(cap(1, Ground::Push), cap(2, Ground::Quota)), cap(1, Ground::Push));
    assert_eq!(Cap::or_less(cap(2, Ground::Push), cap(1, Ground::Quota)), cap(1, Ground::Quota));
    assert_eq!(Cap::or_less(None, cap(1, Ground::Quota)), cap(1, Ground::Quota));
    assert_eq!(Cap::or_less(cap(1, Ground::Push), None), cap(1, Ground::Push));
    assert_eq!(Cap::up_to(5, 7, Ground::Quota).most, 0);
}

#[test]
fn a_book_is_read_as_it_was_written_and_half_of_one_is_none() {
    let all = Book::counted(
        usage(1, 2),
        usage(3, 4),
        usage(5, 6),
        Some("2026/1121/0300 x".to_owned()),
        Reclaimed { freed: usage(7, 8), at_work: true, gaps: 9 },
    );
    let next = |adds| all.clone().brought_up(Some("2027"), |_| false).announcing(Next { name: "2027 1 2".to_owned(), adds });
    for book in [Book::default(), all.clone(), next(Some(usage(10, 11))), next(None)] {
        let text = book.to_string();
        assert_eq!(Book::read(&text).as_ref(), Some(&book), "{text}");
        (0..text.len()).for_each(|cut| assert_eq!(Book::read(&text[..cut]), None, "{cut} of {text}"));
        assert_eq!(Book::read(&format!("{text}st 5 6\nend\n")), None, "the end of a longer one");
        assert_eq!(Book::read(&format!("later 1\n{text}")), Some(book));
    }
    let reclaimed = Reclaimed { freed: usage(7, 8), at_work: true, gaps: 9 };
    assert_eq!(Reclaimed::read(&reclaimed.to_string()), Some(reclaimed));
    assert_eq!((Reclaimed::read("freed 1\nend\n"), Book::read("history 1 x\nend\n"), Book::read("")), (None, None, None));
}

/// What may happen to a repository, and to who writes its book.
#[derive(Debug, Clone)]
enum Deed {
    /// A push, killed before it publishes, after it, or not at all.
    Push(u64, Killed),
    /// The oldest snapshot is removed and freed; killed in the middle of it, or not.
    Reap(Killed),
    Recount,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Killed {
    Not,
    Before,
    After,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let killed = || prop_oneof![6 => Just(Killed::Not), 1 => Just(Killed::Before), 1 => Just(Killed::After)];
    let push = (1..1000u64, killed()).prop_map(|(size, killed)| Deed::Push(size, killed));
    let reap = killed().prop_map(Deed::Reap);
    prop::collection::vec(prop_oneof![4 => push, 2 => reap, 1 => Just(Deed::Recount)], 0..60)
}

proptest! {
    /// Whatever is killed: the book is right, or says that it is not. Killed pushes alone never
    /// have it wrong.
    #[test]
    fn the_book_is_right_or_says_that_it_may_not_be(deeds in deeds()) {
        let mut snapshots: Vec<(String, u64)> = Vec::new();
        let (mut book, mut reclaimed) = (Book::default(), Reclaimed::default());
        let (mut clock, mut doubt) = (0, false);
        for deed in deeds {
            let newest = snapshots.last().map(|(name, _)| name.clone());
            let there = |name: &str| snapshots.iter().any(|(other, _)| other == name);
            match deed {
                Deed::Push(size, killed) => {
                    clock += 1;
                    let name = format!("{clock:05}");
                    book = book.brought_up(newest.as_deref(), there).announcing(Next { name: name.clone(), adds: Some(usage(size, 1)) });
                    if killed != Killed::Before {
                        snapshots.push((name, size));
                    }
                }
                Deed::Reap(killed) if !snapshots.is_empty() => {
                    // Whoever removes brings it up first.
                    book = book.brought_up(newest.as_deref(), there);
                    doubt |= reclaimed.at_work;
                    reclaimed = reclaimed.begun();
                    let (_, size) = snapshots.remove(0);
                    if killed == Killed::Not {
                        reclaimed = reclaimed.and(usage(size, 1)).ended();
                    } else {
                        // What it freed is nowhere until the next reaper finds out.
                        doubt = true;
                        reclaimed = reclaimed.begun();
                    }
                }
                Deed::Reap(_) => {}
                Deed::Recount => {
                    let all = usage(snapshots.iter().map(|(_, size)| size).sum(), snapshots.len() as u64);
                    reclaimed = reclaimed.ended();
                    book = Book::counted(all, Usage::default(), Usage::default(), newest, reclaimed);
                    doubt = false;
                }
            }
            let newest = snapshots.last().map(|(name, _)| name.clone());
            let there = |name: &str| snapshots.iter().any(|(other, _)| other == name);
            let holding = book.clone().brought_up(newest.as_deref(), there).holding(reclaimed);
            let all = usage(snapshots.iter().map(|(_, size)| size).sum(), snapshots.len() as u64);
            prop_assert!(holding.due == doubt && (holding.used == all || doubt), "{holding:?} {all:?}");
        }
    }
}
