use chrono::DateTime;

use super::*;
use crate::decide::push::plan::basis_tests::planned;
use crate::terms::{Excess, Ground, NamePattern, RepositoryState};

/// What the tree and the newest snapshot are like.
const FULL: Found = Found {
    is_empty: false,
    newest_has_files: true,
    store_full: false,
    kept_reaches_limit: false,
    links_lost: false,
    not_carried: false,
    lack: None,
    keeps_some: false,
};
const EMPTY: Found = Found { is_empty: true, ..FULL };
const FIRST: Found = Found { newest_has_files: false, ..EMPTY };
const fn lacks(lack: Lack, keeps_some: bool) -> Found {
    Found { lack: Some(lack), keeps_some, ..FULL }
}

const NO_ROOM: Found = Found { store_full: true, ..FULL };
const KEPT: Found = Found { kept_reaches_limit: true, ..FULL };
const LOST: Found = Found { links_lost: true, ..FULL };
const NOT_CARRIED: Found = Found { not_carried: true, ..FULL };

/// Pushes: by itself, one that changes nothing, one of a transaction.
const ALONE: (&str, bool) = ("-logDtpre.iLsfxC --delete", false);
const DRY: (&str, bool) = ("-nlogDtpre.iLsfxC", false);
const PART: (&str, bool) = ("-logDtpre.iLsfxC", true);

fn plan((options, joins): (&str, bool)) -> PushPlan {
    let transaction = joins.then(|| Transaction::new("2026-11-21T01:00:00Z".parse().unwrap()));
    planned(options, &RepositoryState { transaction, ..RepositoryState::default() }).unwrap()
}

fn pushed(push: (&str, bool), ended: Ended, found: Found) -> Settled {
    settle(Work::Push { plan: &plan(push), ended, untouched: false, can_go_on: true }, found, &Origins::default())
}

fn completed(status: Option<u8>, partial: bool, found: Found) -> Settled {
    let transaction = Transaction { partial, ..Transaction::new(DateTime::default()) };
    let name = NamePattern::default().name_at(DateTime::default());
    settle(Work::Transaction { name: &name, transaction: &transaction, status }, found, &Origins::default())
}

/// A case's name, what follows, and what has to: the fate, how the connection ends, its exit code,
/// the reason's code, `partial`.
type Row<'a> = (&'a str, Settled, (Fate, Outcome, u8, Option<Code>, bool));

fn check(rows: &[Row<'_>]) {
    for (what, settled, expected) in rows {
        let Settled { fate, outcome, exit, reason, partial } = settled;
        assert_eq!((*fate, *outcome, *exit, reason.as_ref().map(|reason| reason.code), *partial), *expected, "{what}");
    }
}

#[test]
fn a_push_becomes_what_its_end_and_its_tree_say() {
    use Fate::{Discard, DiscardAll, Join, Publish, SetAside};
    use Outcome::{Added, Answered, Failed, Published, Stopped, Unpublished};
    let exit = |push, status, found| pushed(push, Ended::Exit(status), found);
    let too_much = |resource| Ended::TooMuch(Excess { ground: Ground::Push, resource, limit: 1 << 30, found: 3 << 30 });
    check(&[
        ("all of it", exit(ALONE, 0, FULL), (Publish, Published, 0, None, false)),
        ("files vanished", exit(ALONE, 24, FULL), (Publish, Published, 24, None, false)),
        ("something was left out, and the client knows", exit(ALONE, 23, FULL), (Publish, Published, 23, None, true)),
        ("the first one may be empty", exit(ALONE, 0, FIRST), (Publish, Published, 0, None, false)),
        ("all of it fitted", exit(ALONE, 0, NO_ROOM), (Publish, Published, 0, None, false)),
        ("links were lost", exit(ALONE, 0, LOST), (Publish, Published, 65, Some(Code::Partial), true)),
        ("links were lost, and the client knows", exit(ALONE, 23, LOST), (Publish, Published, 23, None, true)),
        ("not carried over", exit(ALONE, 0, NOT_CARRIED), (Publish, Published, 65, Some(Code::Partial), true)),
        ("not carried over, and 23", exit(ALONE, 23, NOT_CARRIED), (Publish, Published, 65, Some(Code::Partial), true)),
        ("nothing came", exit(ALONE, 0, EMPTY), (Discard, Unpublished, 65, Some(Code::Unpublished), false)),
        ("nothing could be read", exit(ALONE, 23, EMPTY), (Discard, Unpublished, 23, Some(Code::Unpublished), false)),
        ("nothing was left", exit(ALONE, 24, EMPTY), (Discard, Unpublished, 24, Some(Code::Unpublished), false)),
        (
            "nothing came, and links were lost",
            exit(ALONE, 0, Found { links_lost: true, ..EMPTY }),
            (Discard, Unpublished, 65, Some(Code::Unpublished), false),
        ),
        ("a part", exit(PART, 0, FULL), (Join, Added, 0, None, false)),
        ("a part may be empty", exit(PART, 0, EMPTY), (Join, Added, 0, None, false)),
        ("a part that left something out", exit(PART, 23, FULL), (Join, Added, 23, None, true)),
        ("a part that lost links", exit(PART, 0, LOST), (Join, Added, 0, None, true)),
        ("a dry run", exit(DRY, 0, EMPTY), (Discard, Answered, 0, None, false)),
        ("a dry run that could not read all", exit(DRY, 23, NO_ROOM), (Discard, Answered, 23, None, false)),
        ("no room", exit(ALONE, FILE_IO, NO_ROOM), (DiscardAll, Failed, 75, Some(Code::Store), false)),
        ("no inode", exit(ALONE, 23, NO_ROOM), (DiscardAll, Failed, 75, Some(Code::Store), false)),
        ("a part without room", exit(PART, FILE_IO, NO_ROOM), (DiscardAll, Failed, 75, Some(Code::Store), false)),
        ("room that came back", exit(ALONE, FILE_IO, lacks(Lack::Room, false)), (SetAside, Failed, 75, Some(Code::Store), false)),
        ("a quota", exit(ALONE, 23, lacks(Lack::Quota, false)), (SetAside, Failed, 75, Some(Code::Store), false)),
        ("a quota again", exit(ALONE, FILE_IO, lacks(Lack::Quota, true)), (DiscardAll, Failed, 75, Some(Code::Store), false)),
        ("room for attributes", exit(ALONE, 23, lacks(Lack::Room, false)), (Publish, Published, 23, None, true)),
        ("memory", exit(ALONE, 22, FULL), (SetAside, Failed, 22, Some(Code::Limit), false)),
        ("killed", pushed(ALONE, Ended::Signal(9), FULL), (SetAside, Failed, 20, Some(Code::Interrupted), false)),
        ("too long", pushed(ALONE, Ended::Deadline, FULL), (SetAside, Failed, 75, Some(Code::Deadline), false)),
        ("its window closed", pushed(ALONE, Ended::Closed, FULL), (SetAside, Stopped, 75, Some(Code::Window), false)),
        ("too much", pushed(DRY, too_much(Resource::Bytes), EMPTY), (SetAside, Failed, 77, Some(Code::Limit), false)),
        ("too much again", pushed(ALONE, too_much(Resource::Bytes), KEPT), (Discard, Failed, 77, Some(Code::Limit), false)),
        ("cut off, and much is kept", exit(ALONE, 12, KEPT), (SetAside, Failed, 12, Some(Code::Interrupted), false)),
    ]);
    let of = |ground, resource| pushed(ALONE, Ended::TooMuch(Excess { ground, resource, limit: 9, found: 10 }), FULL);
    for (ground, code, exit) in [(Ground::Quota, Code::Quota, 77), (Ground::Store, Code::Store, 75)] {
        for resource in [Resource::Bytes, Resource::Inodes] {
            let Settled { fate, exit: found, reason, .. } = of(ground, resource);
            let reason = reason.unwrap();
            assert_eq!((fate, found, reason.code), (SetAside, exit, code));
            assert!(reason.hint.is_some_and(|hint| hint.contains("what was received is kept")));
        }
    }
    for status in (1..=60).filter(|status| ![23, 24].contains(status)) {
        for push in [ALONE, DRY, PART] {
            assert_eq!(exit(push, status, FULL).fate, SetAside, "{status}");
        }
    }
    for (resource, key) in [(Resource::Bytes, "bytes:"), (Resource::Inodes, "inodes:"), (Resource::FileSize, "bytes:")] {
        let remedy = pushed(ALONE, too_much(resource), FULL).reason.and_then(|reason| reason.remedy);
        assert!(remedy.is_some_and(|remedy| remedy.contains(key)), "{key}");
    }
}

#[test]
fn complete_believes_a_client_that_says_it_failed() {
    use Fate::{Discard, Publish, SetAside};
    use Outcome::{Published, Unpublished};
    check(&[
        ("it says nothing", completed(None, false, FULL), (Publish, Published, 0, None, false)),
        ("files vanished", completed(Some(24), false, FULL), (Publish, Published, 0, None, false)),
        ("a push left something out", completed(Some(0), true, FULL), (Publish, Published, 65, Some(Code::Partial), true)),
        ("it knows that itself", completed(Some(23), true, FULL), (Publish, Published, 0, None, true)),
        ("it alone knows", completed(Some(23), false, FULL), (Publish, Published, 0, None, true)),
        ("not carried over", completed(None, false, NOT_CARRIED), (Publish, Published, 65, Some(Code::Partial), true)),
        ("the first one may be empty", completed(None, false, FIRST), (Publish, Published, 0, None, false)),
        ("nothing came", completed(None, false, EMPTY), (Discard, Unpublished, 65, Some(Code::Unpublished), false)),
        ("it failed", completed(Some(12), false, FULL), (SetAside, Unpublished, 65, Some(Code::Unpublished), false)),
        ("it failed without a file", completed(Some(20), false, EMPTY), (SetAside, Unpublished, 65, Some(Code::Unpublished), false)),
    ]);
    for settled in [completed(Some(20), false, FULL), completed(None, false, EMPTY)] {
        let hint = settled.reason.and_then(|reason| reason.hint).unwrap();
        assert!(hint.contains(outcome::FROM_THE_BEGINNING), "all has to be done again: {hint}");
    }
}

#[test]
fn nobody_is_told_that_something_is_kept_where_nothing_is() {
    let hint = |settled: Settled| settled.reason.unwrap().hint;
    let plan = plan(ALONE);
    let push = |can_go_on| Work::Push { plan: &plan, ended: Ended::Exit(12), untouched: false, can_go_on };
    let settled = |work| settle(work, FULL, &Origins::default());
    assert_eq!(hint(settled(push(true))).as_deref(), Some("push again: what was received is kept"));
    assert_eq!(hint(settled(push(true)).with_nothing_kept(push(true))), None);
    let useless = settled(push(false));
    assert_eq!((useless.fate, hint(useless)), (Fate::Discard, None));
    let (name, transaction) = (NamePattern::default().name_at(DateTime::default()), Transaction::new(DateTime::default()));
    let transaction = Work::Transaction { name: &name, transaction: &transaction, status: Some(1) };
    assert!(hint(settled(transaction)).is_some_and(|hint| hint.ends_with("what was received is kept")));
    assert_eq!(hint(settled(transaction).with_nothing_kept(transaction)).as_deref(), Some(outcome::FROM_THE_BEGINNING));
}

#[test]
fn a_reason_names_the_key_that_ended_the_push() {
    let at = |line| crate::terms::Origin { file: "p".into(), line };
    let keys = [("time_limits", 1), ("when", 2), ("limits", 3)].map(|(key, line)| (key.to_owned(), at(line)));
    let rules = Origins { file: "p".into(), keys: keys.to_vec() };
    let closing = Closing { at: DateTime::default(), shown: "Sat 06:00".to_owned(), again: None };
    let plan = plan(ALONE).until(Some(&closing));
    let reason = |ended| settle(Work::Push { plan: &plan, ended, untouched: false, can_go_on: true }, FULL, &rules).reason.unwrap();
    let too_much = |resource| Ended::TooMuch(Excess { ground: Ground::Push, resource, limit: 1, found: 2 });
    for (ended, line) in [
        (Ended::Deadline, Some(1)),
        (Ended::Idle(std::time::Duration::from_secs(60)), Some(1)),
        (Ended::Closed, Some(2)),
        (too_much(Resource::Inodes), Some(3)),
        (too_much(Resource::Links), None),
        (Ended::Exit(12), None),
    ] {
        assert_eq!(reason(ended).rule.map(|rule| rule.line), line, "{ended:?}");
    }
    assert!(reason(Ended::Closed).says.ends_with("Sat 06:00"), "and when it was");
}

#[test]
fn a_push_that_is_not_whole_takes_nothing_for_deleted() {
    for (push, partial, replaces) in [(ALONE, false, true), (ALONE, true, false), (PART, false, false)] {
        let work = Work::Push { plan: &plan(push), ended: Ended::Exit(0), untouched: true, can_go_on: true };
        assert_eq!(work.pushed(partial), [Pushed { place: SubPath::default(), replaces, untouched: true }]);
    }
}
