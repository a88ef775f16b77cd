//! What a sender tells rsync's receiver although nobody asked: attributes of a file, content of a file, at a time when the
//! name leads elsewhere.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::entry::Entry;
use crate::lab::{Lab, MOVED, b, base, case, run};
use crate::sender::{End, Session};
use crate::wire::say;

/// Says that the attributes of a file differ. rsync's receiver then sets all that the list says of it, whatever stands
/// under the name.
pub(crate) fn report(session: &mut Session, name: &'static str) -> Result<(), End> {
    let index = session.index_of(name);
    session.out.item(index, say::REPORT_XATTR).byte(0);
    session.flush()
}

/// Waits until something stands in the stage.
pub(crate) fn stands(path: &Path) -> Result<(), End> {
    let began = Instant::now();
    while std::fs::symlink_metadata(path).is_err() {
        if began.elapsed() > Duration::from_secs(10) {
            return Err(End::Silent);
        }
        sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// More files than the generator can ask for while nobody listens: it stops in the middle of them, long before it sees
/// what comes behind them.
const CROWD: usize = 20_000;

/// What the receiver is told of one file.
pub(crate) type Tell = fn(&mut Session, &'static str) -> Result<(), End>;

/// The receiver is told of a file behind a link, while the generator, which would refuse it, waits.
pub(crate) fn behind_a_link(
    target: fn(&Lab) -> String,
    behind: &'static str,
    tell: Tell,
) -> impl Fn(&mut Session, &Lab) -> Result<(), End> + 'static {
    move |session, lab| {
        let mut list = vec![Entry::top(), Entry::link("e", &target(lab)), b(behind).mtime(MOVED)];
        list.extend((0..CROWD).map(|number| Entry::file(&format!("f{number:05}"), "x")));
        session.list(&list)?;
        stands(&lab.gate.inside("inprogress/e"))?;
        tell(session, behind)?;
        // What follows is received when that has been dealt with.
        honest(session, "f00000")?;
        stands(&lab.gate.inside("inprogress/f00000"))
    }
}

/// A file's content, asked for or not.
fn honest(session: &mut Session, name: &'static str) -> Result<(), End> {
    let index = session.index_of(name);
    let content = session.files[usize::try_from(index).unwrap()].content.clone();
    session.out.item(index, say::TRANSFER);
    session.whole(&content);
    session.flush()
}

/// Reports names at the first word that every file has been looked at.
fn reporting(names: &'static [&'static str]) -> impl Fn(&mut Session, &Lab) -> Result<(), End> {
    move |session, _| {
        let mut told = false;
        session.finish_with(|session, item| {
            if item.index == say::DONE && !told {
                told = true;
                for name in names {
                    let index = session.index_of(name);
                    session.out.item(index, say::REPORT_XATTR).byte(0);
                }
            }
            false
        });
        Ok(())
    }
}

/// A list, then reports of names.
pub(crate) fn list_and_report(
    list: impl Fn() -> Vec<Entry> + 'static,
    names: &'static [&'static str],
) -> impl Fn(&mut Session, &Lab) -> Result<(), End> + 'static {
    move |session, lab| {
        session.list(&list())?;
        reporting(names)(session, lab)
    }
}

/// A list, and once every file has been looked at, another value for the attribute that the list tells by its sum alone.
pub(crate) fn another_value(value: &'static [u8]) -> impl Fn(&mut Session, &Lab) -> Result<(), End> + 'static {
    move |session, _| {
        session.list(&base())?;
        let mut told = false;
        session.finish_with(|session, item| {
            if item.index == say::DONE && !told {
                told = true;
                let index = session.index_of("d/x");
                session.out.item(index, say::REPORT_XATTR).varint(1).varint(i32::try_from(value.len()).unwrap()).raw(value).byte(0);
            }
            false
        });
        Ok(())
    }
}

/// The push may end well, the file being linked or stored anew, or with an error.
pub(crate) const VALUE: &str = "published: a=644*2 d/ d/b=600*3 d/x=644*3 l@ ro=444*3 | published: a=644*2 d/ d/b=600*3 d/x=644 l@ ro=444*3 \
     | published (rsync 23): a=644*2 d/ d/b=600*3 d/x=644*3 l@ ro=444*3 | rsync 2";

#[test]
fn reports_that_nobody_asked_for_change_nothing() {
    // rsync is told that it may not, and says so.
    const NOT_SET: &str = "published (rsync 23): a=644*2 d/ d/b=600*3 | published: a=644*2 d/ d/b=600*3 | published: a=644*2 d/ d/b=777";
    const GROUP: &str = "published: a=644*3 aa=644*3 | published (rsync 23): a=644*3 aa=644*3";
    let unchanged =
        || vec![Entry::top(), Entry::file("a", "content of a\n"), Entry::dir("d"), Entry::file("d/b", "content of b\n").mode(0o777)];
    let group = || {
        let evil = Entry::file("aa", "content of a\n").xattr("user.evil", b"1").user(1234, 7);
        vec![Entry::top(), Entry::file("a", "content of a\n").linked(1, true), evil.linked(1, false)]
    };
    let cases = [
        case("a mode that the client does not keep", 30, "-ltrX", NOT_SET, list_and_report(unchanged, &["d/b"])),
        case("the same again", 32, "-ltrX", NOT_SET, list_and_report(unchanged, &["d/b", "d/b", "d/b"])),
        case("attributes of the second of a group", 30, "-ltprHX", GROUP, list_and_report(group, &["aa"])),
        case("an access list of the second of a group", 31, "-ltprHXA", GROUP, list_and_report(group, &["aa"])),
        case("a value, where the list has its sum alone", 30, "-logtprX", VALUE, another_value(b"evil")),
        case("a long value, where the list has its sum alone", 32, "-logtprX", VALUE, another_value(&[b'e'; 100])),
        case("no value, where the list has its sum alone", 31, "-logtprX", VALUE, another_value(b"")),
        case(
            "a file behind a link to the newest snapshot",
            31,
            "-logtprX",
            "rsync 2 | rsync 12",
            behind_a_link(Lab::newest, "e/d/b", report),
        ),
        case(
            "a file behind a link to the older snapshot",
            32,
            "-logtprXA",
            "rsync 2 | rsync 12",
            behind_a_link(Lab::older, "e/d/older", report),
        ),
        case("a directory behind a link", 31, "-logtprX", "rsync 2 | rsync 12", behind_a_link(|lab| lab.newest(), "e/d", report)),
        case("a file of the outside", 31, "-ltprX", "rsync 2 | rsync 12", behind_a_link(|lab| lab.outside(""), "e/d/b", report)),
        case(
            "a file of the neighbour",
            30,
            "-ltprX",
            "rsync 2 | rsync 12",
            behind_a_link(|_| "../../web2/current".to_owned(), "e/d/b", report),
        ),
    ];
    run("reports that nobody asked for", &cases);
}

#[test]
fn content_sent_behind_a_link_lands_nowhere() {
    let ends = "rsync 2 | rsync 12";
    let other = |session: &mut Session, name: &'static str| {
        let index = session.index_of(name);
        session.out.item(index, say::TRANSFER);
        session.whole(b"other content\n");
        session.flush()
    };
    // With another sum than its content's it would be kept in a directory of unfinished files beside it.
    let broken = |session: &mut Session, name: &'static str| {
        let index = session.index_of(name);
        session.out.item(index, say::TRANSFER).sum_head([0; 4]).literal(b"x").int(0).raw(&[0; 16]);
        session.flush()
    };
    let cases = [
        case("into the newest snapshot", 29, "-ltpr", ends, behind_a_link(Lab::newest, "e/d/b", other)),
        case("into the newest snapshot, as it is", 31, "-ltpr", ends, behind_a_link(Lab::newest, "e/d/b", honest)),
        case("into the older snapshot", 31, "-ltpr", ends, behind_a_link(Lab::older, "e/d/older", other)),
        case("into the older snapshot, broken", 31, "-ltpr", ends, behind_a_link(Lab::older, "e/d/older", broken)),
        case("into the outside", 31, "-ltpr", ends, behind_a_link(|lab| lab.outside(""), "e/secret", other)),
        case("into the neighbour's", 29, "-ltpr", ends, behind_a_link(|_| "../../web2/current".to_owned(), "e/d/b", other)),
        case("into the repository itself", 31, "-ltpr", ends, behind_a_link(|_| "../.snapgate".to_owned(), "e/ledger.jsonl", other)),
    ];
    run("content behind a link", &cases);
}
