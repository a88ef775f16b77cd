//! The sender's lies in each of four ways: by themselves, twice, in the middle of a transaction, whose parts are linked into
//! the snapshot that it ends in, and after an interrupted push, what it left being one more basis.

use crate::entry::Entry;
use crate::items::{again, from, told};
use crate::lab::{CANARY, Case, Lab, MOVED, Way, b, case, run, tell};
use crate::reports::{VALUE, another_value, behind_a_link, list_and_report, report, stands};
use crate::sender::{self, Session};
use crate::wire::say;

/// What an honest client has sent before: other content than history's, and its own attributes.
fn sent_before() -> Vec<Entry> {
    vec![
        Entry::top(),
        Entry::file("a", "sent before, of a\n"),
        Entry::dir("d"),
        b("d/b").mode(0o640),
        Entry::file("sent", "sent before\n"),
        Entry::file("d/z", "never sent whole\n"),
    ]
}

/// Begins a transaction with an honest part.
pub(crate) fn a_part(lab: &Lab) {
    lab.gate.say("prepare").exits(0);
    let part = sender::push(&lab.gate, 31, "-logDtprX", &sent_before());
    assert_eq!(part.status, 0, "{part:?}");
}

/// An honest push whose line breaks in its last file.
pub(crate) fn an_interrupted_push(lab: &Lab) {
    // One that says nothing of what it can do has one place to link from, and then nothing is kept beside the snapshot.
    let mut session = Session::open(&lab.gate, 31, "-logDtprXe.L").unwrap();
    session.list(&sent_before()).unwrap();
    let last = session.index_of("d/z");
    loop {
        let item = session.item().unwrap();
        if item.index == last {
            session.echo(&item);
            session.out.sum_head([0; 4]).literal(b"never");
            session.flush().unwrap();
            break;
        }
        session.answer(&item).unwrap();
    }
    stands(&lab.gate.inside("inprogress/d/b")).unwrap();
    session.end();
    assert!(lab.gate.inside(".snapgate/interrupted/1/d/b").exists(), "what was received is kept");
}

/// The lies, and how each has to end.
fn cases(way: Way, expected: [&str; 16]) -> Vec<Case> {
    let group = |first: Entry, second: Entry| move || vec![Entry::top(), first.clone().linked(1, true), second.clone().linked(1, false)];
    let unchanged =
        || vec![Entry::top(), Entry::file("a", "content of a\n"), Entry::dir("d"), Entry::file("d/b", "content of b\n").mode(0o777)];
    let evil = || Entry::file("aa", "content of a\n").xattr("user.evil", b"1").user(1234, 7);
    let pair = group(Entry::file("a", "content of a\n"), evil());
    let other = group(Entry::file("Z", "content of a\n").mode(0o777), Entry::file("a", "content of a\n"));
    let two = group(Entry::file("a", "content of a\n"), Entry::file("sent", "sent before\n").mode(0o777));
    let moved = || vec![Entry::top(), Entry::file("a", "content of a\n").mtime(MOVED + 3600)];
    let transfer = |index: i32| {
        move |session: &mut Session| {
            session.out.item(index, say::TRANSFER);
            session.whole(b"content of a\n");
        }
    };
    let mut expected = expected.into_iter();
    let mut next = || expected.next().unwrap();
    [
        case("a mode that the client does not keep", 30, "-ltrX", next(), list_and_report(unchanged, &["d/b"])),
        case("attributes of the second of a group", 30, "-ltprHX", next(), list_and_report(pair.clone(), &["aa"])),
        case("an access list of the second of a group", 31, "-ltprHXA", next(), list_and_report(pair, &["aa"])),
        case("a value, where the list has its sum alone", 30, "-logtprX", next(), another_value(b"evil")),
        case("a file behind a link to the newest snapshot", 31, "-logtprX", next(), behind_a_link(Lab::newest, "e/d/b", report)),
        case("a basis by a path up", 31, "-ltpry", next(), from("new", 0x83, Some("../../../../outside/secret"), CANARY)),
        case("a basis by a path up from the snapshot", 31, "-ltpry", next(), from("new", 0x84, Some("../../../outside/secret"), CANARY)),
        case("the first basis, which has no such file", 31, "-ltpr", next(), from("new", 0, None, CANARY)),
        case("the second basis, which has no such file", 31, "-ltpr", next(), from("new", 1, None, CANARY)),
        case("a time within the window", 31, "-ltprc --modify-window=86400", next(), again(moved, "a")),
        case("the second unchanged, the first another", 31, "-ltprH", next(), tell(move |_| other())),
        case("one of history's and one sent before", 31, "-ltprH", next(), tell(move |_| two())),
        case(
            "a link, and a file behind it",
            31,
            "-ltprX",
            next(),
            tell(|lab| vec![Entry::top(), Entry::link("e", &format!("{}/d", lab.newest())), b("e/b")]),
        ),
        case("a path up", 31, "-ltpr", next(), tell(|_| vec![Entry::top(), Entry::file("../up", "x")])),
        case("a file sent that nobody asked for", 31, "-ltpr", next(), told(transfer(1))),
        case("a file sent into the place of another", 31, "-ltpr", next(), told(transfer(3))),
    ]
    .into_iter()
    .map(|case| case.copying().by(way))
    .collect()
}

/// How the lies end that are told by themselves, or where no more is left of an earlier try than one more basis.
fn by_themselves(way: Way) -> Vec<Case> {
    const GROUP: &str = "published: a=644*3 aa=644*3 | published (rsync 23): a=644*3 aa=644*3";
    let unasked = |a: &str, ro: &str| format!("published: {a} d/ d/b=600*3 d/x=644*3 l@ {ro}");
    let same = unasked("a=644*2", "ro=444*3");
    cases(
        way,
        [
            "published: a=644*2 d/ d/b=600*3 | published (rsync 23): a=644*2 d/ d/b=600*3 | published: a=644*2 d/ d/b=777",
            GROUP,
            GROUP,
            // As without it: see the cases of reports.
            VALUE,
            "rsync 2 | rsync 12",
            "rsync 2",
            "rsync 2",
            "rsync 2",
            "rsync 2",
            "published: a=644",
            "published: Z=777*2 a=777*2",
            "published: a=644*3 sent=644*3",
            "rsync 2",
            "rsync 4",
            &format!("{} | {same}", unasked("a=644", "ro=444*3")),
            &format!("{} | {same}", unasked("a=644*2", "ro=444")),
        ],
    )
}

#[test]
fn lies_told_by_themselves_change_nothing_in_history() {
    run("by themselves", &by_themselves(Way::OnePush));
}

#[test]
fn lies_told_twice_change_nothing_in_history() {
    // What the first one stored decides whether the second links it.
    const GROUP: &str = "published: a=644*5 aa=644*5 | published (rsync 23): a=644*5 aa=644*5";
    const MODE: &str = "published: a=644*3 d/ d/b=600*4 | published (rsync 23): a=644*3 d/ d/b=600*4 | published: a=644*3 d/ d/b=777 …";
    const VALUE: &str = "published: a=644*3 d/ d/b=600*4 … | published (rsync 23): a=644*3 d/ d/b=600*4 … | rsync 2";
    const SENT: &str = "published: a=644 d/ … | published: a=644*2 d/ … | published: a=644*3 d/ …";
    let expected = [
        MODE, GROUP, GROUP, VALUE, "rsync 2 | rsync 12", "rsync 2", "rsync 2", "rsync 2", "rsync 2", "published: a=644",
        "published: Z=777*4 a=777*4", "published: a=644*5 sent=644*5", "rsync 2", "rsync 4", SENT, SENT,
    ];
    run("twice", &cases(Way::TwoPushes, expected));
}

#[test]
fn lies_in_the_middle_of_a_transaction_change_nothing_in_history() {
    // The part that lies leaves what was received of it or nothing; what was sent before it is completed.
    const PART: &str = "complete: published: a=644 d/ d/b=640 d/z=644 sent=644";
    const GROUP: &str = "complete: published: a=644*3 aa=644*3 d/ d/b=640 d/z=644 sent=644";
    // Whoever says `complete` and nothing of a part that did not end well hears of it.
    let not_whole = |whole: &str| whole.replacen("published:", "published (rsync 65):", 1);
    let part = not_whole(PART);
    let (two, four) = (format!("rsync 2; {part}"), format!("rsync 4; {part}"));
    let mode = "complete: published: a=644*2 d/ d/b=600*3 d/z=644 sent=644";
    let mode = format!("rsync 0; {mode} | rsync 23; {}", not_whole(mode));
    let group = format!("rsync 0; {GROUP} | rsync 23; {}", not_whole(GROUP));
    let value = ["rsync 0", "rsync 23"].map(|end| {
        ["d/x=644*3", "d/x=644"]
            .map(|x| {
                let whole = format!("complete: published: a=644*2 d/ d/b=600*3 {x} d/z=644 l@ ro=444*3 sent=644");
                format!("{end}; {}", if end == "rsync 0" { whole } else { not_whole(&whole) })
            })
            .join(" | ")
    });
    let value = format!("{} | {two}", value.join(" | "));
    let unasked = |a: &str, ro: &str| format!("rsync 0; complete: published: {a} d/ d/b=600*3 d/x=644*3 d/z=644 l@ {ro} sent=644");
    let same = unasked("a=644*2", "ro=444*3");
    run(
        "in a transaction",
        &cases(
            Way::Transaction,
            [
                &mode,
                &group,
                &group,
                &value,
                &format!("{two} | rsync 12; {part}"),
                &two,
                &two,
                &two,
                &two,
                &format!("rsync 0; {PART}"),
                "rsync 0; complete: published: Z=777*2 a=777*2 d/ d/b=640 d/z=644 sent=644",
                "rsync 0; complete: published: a=644*3 d/ d/b=640 d/z=644 sent=644*3",
                &two,
                &four,
                &format!("{} | {same}", unasked("a=644", "ro=444*3")),
                &format!("{} | {same}", unasked("a=644*2", "ro=444")),
            ],
        ),
    );
}

#[test]
fn lies_after_an_interrupted_push_change_nothing_in_history() {
    run("after an interrupted push", &by_themselves(Way::CutOff));
}
