use super::*;
use chrono::{DateTime, TimeDelta, Utc};

fn at(days: i64) -> DateTime<Utc> {
    "2026-11-01T02:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::days(days)
}

fn past(days: i64, files: u64, bytes: u64) -> Past {
    Past {
        snapshot: at(days).format("%Y-%m-%d").to_string(),
        at: at(days),
        files,
        bytes,
        over: Vec::new(),
        released: false,
        good: String::new(),
    }
}

fn compared(files: u64, changed: u64, added: u64, gone: u64) -> Compared {
    let unchanged = files - changed - gone;
    Compared { with: "x".to_owned(), files, bytes: files * 1000, unchanged, changed, added, gone, ..Compared::default() }
}

fn found(compared: &Compared, bytes: u64, history: &[Past]) -> Vec<Figure> {
    let files = compared.unchanged + compared.changed + compared.added;
    judge(&Limits::default(), (files, bytes), compared, history).into_iter().map(|over| over.figure).collect()
}

#[test]
fn a_figure_is_over_its_limit_from_the_limit_on_and_never_for_a_handful() {
    for (compared, bytes, expected) in [
        (compared(1000, 899, 0, 0), 1_000_000, vec![]),
        (compared(1000, 900, 0, 0), 1_000_000, vec![Figure::Changed]),
        (compared(1000, 0, 0, 499), 501_000, vec![]),
        (compared(1000, 0, 0, 500), 500_000, vec![Figure::Deleted]),
        (compared(1000, 0, 400, 600), 900_000, vec![]),
        (compared(1000, 0, 900, 900), 900_000, vec![Figure::Deleted]),
        (compared(1000, 0, 0, 100), 199_000, vec![Figure::Shrunk]),
        (compared(1000, 0, 0, 49), 100_000, vec![]),
        (compared(24, 24, 0, 0), 24_000, vec![]),
        (compared(40, 0, 0, 24), 16_000, vec![]),
        (compared(40, 0, 0, 25), 15_000, vec![Figure::Deleted]),
        (compared(0, 0, 5000, 0), 5_000_000, vec![]),
    ] {
        assert_eq!(found(&compared, bytes, &[]), expected, "{compared:?}");
    }
    let scrambled = |scrambled, renamed| Compared { scrambled, renamed, ..compared(1000, 150, 200, 200) };
    assert_eq!(found(&scrambled(99, 199), 1_000_000, &[]), []);
    assert_eq!(found(&scrambled(100, 200), 1_000_000, &[]), [Figure::Renamed, Figure::Scrambled]);
}

#[test]
fn what_was_moved_is_not_what_came_under_a_new_ending() {
    let sum = |added, gone, new| renamed(&compared(1000, 0, added, gone), new);
    assert_eq!(sum(400, 400, 400), 400, "encrypted, and renamed");
    assert_eq!(sum(410, 400, 400), 390, "and a few notes that ask for money");
    assert_eq!(sum(1480, 80, 1400), 0, "80 were moved, and many imported");
    assert_eq!(sum(0, 80, 0), 0);
}

#[test]
fn many_small_losses_are_seen_by_what_the_client_usually_has() {
    let mut files = 10_000;
    let mut history: Vec<Past> = (0..20).map(|day| past(day, files, files * 1000)).collect();
    for step in 0_i64.. {
        let gone = files / 5;
        let now = Compared { bytes: files * 1000, ..compared(files, 0, 0, gone) };
        files -= gone;
        if !found(&now, files * 1000, &history).is_empty() {
            assert_eq!(step, 3, "a fifth each time");
            break;
        }
        history.push(past(20 + step, files, files * 1000));
    }
}

#[test]
fn pushes_in_a_row_displace_nothing_and_a_place_none_but_the_shortest() {
    let (whole, mut history) = (SubPath::default(), History::default());
    for day in 0..40 {
        history.add(&whole, past(day, 10_000, 1));
    }
    assert_eq!((history.of(&whole).len(), history.of(&whole)[0].at), (30, at(10)));
    for minute in 0..1000 {
        let at = at(39) + TimeDelta::minutes(minute / 2);
        history.add(&whole, Past { at, files: 1, ..past(39, 1, 1) });
    }
    assert!(history.of(&whole).iter().all(|past| past.files == 10_000), "{history:?}");
    assert_eq!(history.last(&whole).unwrap().files, 1, "the next one is compared with the last");
    let place = |number: usize| SubPath::parse(format!("p{number}")).unwrap();
    (0..5).for_each(|day| history.add(&place(0), past(day, 7, 1)));
    (1..100).for_each(|number| history.add(&place(number), past(50, 1, 1)));
    assert!(history.last(&whole).is_some() && history.last(&place(0)).is_some() && history.last(&place(99)).is_some());
    assert!(serde_json::to_vec(&history).unwrap().len() < 64 * 1024);
}

#[test]
fn the_administrator_s_word_alone_makes_a_figure_usual() {
    let rotates = compared(1000, 950, 0, 0);
    let plain: Vec<Past> = (0..30).map(|day| past(day, 1000, 1_000_000)).collect();
    assert_eq!(found(&rotates, 1_000_000, &plain), [Figure::Changed]);
    let mut released = plain.clone();
    for day in [3, 10] {
        assert_eq!(found(&rotates, 1_000_000, &released), [Figure::Changed], "once is an exception");
        (released[day].over, released[day].released) = (vec![Figure::Changed], true);
    }
    assert_eq!(found(&rotates, 1_000_000, &released), []);
    assert_eq!(over(&Limits::default(), (1000, 1_000_000), &rotates, &released), [Figure::Changed], "and stays remembered");
    assert_eq!(found(&compared(1000, 0, 0, 600), 400_000, &released), [Figure::Deleted], "the others hold as before");
}

#[test]
fn what_was_held_against_the_same_good_snapshot_is_released_as_one_exception() {
    let (whole, wiped) = (SubPath::default(), compared(1000, 0, 0, 600));
    let held = |days: i64, good: &str| {
        let past = Past { over: vec![Figure::Deleted], ..past(days, 400, 400_000) };
        HeldNote { past, place: SubPath::default(), why: Vec::new(), good: good.to_owned(), stays: false }
    };
    let mut history = History::default();
    (0..20).for_each(|day| history.add(&whole, past(day, 1000, 1_000_000)));
    // Three in one go or one by one, and the first once more, as after a kill.
    (20..23).chain([20]).for_each(|day| history.release(held(day, "2026-11-20")));
    let names: Vec<_> = history.of(&whole).iter().map(|past| past.snapshot.clone()).collect();
    assert_eq!((names.len(), names.iter().collect::<std::collections::BTreeSet<_>>().len()), (23, 23), "{names:?}");
    assert_eq!(found(&wiped, 400_000, history.of(&whole)), [Figure::Deleted], "once is an exception");
    history.release(held(25, "2026-11-23"));
    assert_eq!(found(&wiped, 400_000, history.of(&whole)), [], "another time it is usual");
}

#[test]
fn after_a_release_its_size_is_the_usual_one() {
    let mut history: Vec<Past> = (0..20).map(|day| past(day, 10_000, 10_000_000)).collect();
    let small = compared(3000, 10, 0, 0);
    assert_eq!(found(&small, 3_000_000, &history), [Figure::Deleted]);
    history.push(Past { released: true, ..past(20, 3000, 3_000_000) });
    assert_eq!(found(&small, 3_000_000, &history), []);
}

#[test]
fn what_is_gone_from_history_is_not_compared_with() {
    let (whole, mut history) = (SubPath::default(), History::default());
    (0..5).for_each(|day| history.add(&whole, past(day, 1, 1)));
    let newest = |history: &History| history.last(&SubPath::default()).map(|past| past.snapshot.clone());
    history.forget(|name| name == "2026-11-05");
    assert_eq!(newest(&history).as_deref(), Some("2026-11-04"));
    history.forget(|_| true);
    assert_eq!(newest(&history), None);
}

#[test]
fn endings_are_those_that_programs_give() {
    for (name, expected) in [
        ("a.DOCX", Some("docx")),
        ("a.docx.locked", Some("locked")),
        ("syslog.1", None),
        ("libz.so.1.2.13", None),
        (".bashrc", None),
        ("Makefile", None),
        ("x.", None),
        ("1730000000.M1P2.host,S=3,W=4:2,S", Some("host")),
        ("a.this-is-no-ending-of-a-program", None),
    ] {
        assert_eq!(ending(name.as_bytes()), expected.map(|text| text.as_bytes().to_vec()), "{name}");
    }
    let count = |names: &[(&str, usize)]| {
        let mut all = Endings::default();
        names.iter().for_each(|(name, count)| (0..*count).for_each(|_| all.add(name.as_bytes())));
        all
    };
    let added = count(&[("a.locked", 500), ("b.txt", 300), ("c", 50)]);
    assert_eq!(added.new_beside(&count(&[("x.txt", 5000), ("y.locked", 1)])), 500, "one planted before changes nothing");
    assert_eq!(added.new_beside(&count(&[("x.txt", 30), ("y.locked", 50)])), 0);
    let mut random = Endings::default();
    (0..5000).for_each(|number| random.add(format!("x.r{number}").as_bytes()));
    assert_eq!(random.new_beside(&Endings::default()), 5000, "each with its own");
}

#[test]
fn a_sample_says_about_as_much_as_all_would() {
    for share in [0_u64, 3, 30, 100] {
        let mut sample = Sample::new(share * 7919);
        let mut measured = 0;
        for number in 0..20_000_u64 {
            sample.take(Kind::Changed, || {
                measured += 1;
                Some(number * 2_654_435_761 % 100 < share)
            });
        }
        assert!(measured < 2000, "{measured} of 20000 were looked into");
        let about = sample.sampled().scrambled(20_000, 0);
        assert!(about.abs_diff(200 * share) < 2600, "{share}%: {about}");
    }
    let mut few = Sample::new(1);
    (0..7).for_each(|_| few.take(Kind::Added, || Some(true)));
    assert_eq!(few.sampled().scrambled(0, 7), 0);
    few.take(Kind::Added, || Some(true));
    assert_eq!(few.sampled().scrambled(0, 8), 8);
    assert!(compresses(100, 90) && !compresses(100, 91) && is_dense(100, 98) && !is_dense(100, 97));
}
