//! Lies behind the file list: items that cannot be, bases that are elsewhere, groups of hard links that do not fit.

use crate::entry::Entry;
use crate::lab::{CANARY, Lab, MOVED, base, case, run, tell, tell_each};
use crate::sender::{End, Item, Session};
use crate::sums::md5;
use crate::wire::say;

/// A file of the list is told with a forged basis, and its content as blocks of that.
pub(crate) fn from(
    file: &'static str,
    basis: u8,
    xname: Option<&'static str>,
    content: &'static str,
) -> impl Fn(&mut Session, &Lab) -> Result<(), End> + 'static {
    move |session, lab| {
        let name = xname.map(|name| name.replace("OUTSIDE", &lab.outside("")).replace("OLDER", &lab.older()));
        session.list(&[Entry::top(), Entry::dir("d"), Entry::file(file, content)])?;
        session.finish_with(|session, item| {
            if item.flags & say::TRANSFER == 0 {
                return false;
            }
            let flags = say::TRANSFER | say::BASIS | if name.is_some() { say::XNAME } else { 0 };
            session.out.item(item.index, flags).byte(basis);
            if let Some(name) = &name {
                session.out.vstring(name.as_bytes());
            }
            let length = i32::try_from(content.len()).unwrap();
            let sum = session.sum(content.as_bytes());
            session.out.sum_head([1, length, 16, length]).block(0).int(0).raw(&sum);
            true
        });
        Ok(())
    }
}

#[test]
fn no_forged_basis_reads_what_the_push_may_not_see() {
    const NEITHER: &str = "rsync 2";
    let mut cases = Vec::new();
    for (name, file, basis, xname) in [
        ("the file itself, which is not there", "new", 0x80, None),
        ("the partial file, which is not there", "new", 0x81, None),
        ("the backup", "new", 0x82, None),
        ("a similar file, by a path up", "new", 0x83, Some("../../../../outside/secret")),
        ("a similar file, by a path up from a directory", "d/new", 0x83, Some("../../../outside/secret")),
        ("a similar file, by an absolute path", "new", 0x83, Some("OUTSIDEsecret")),
        ("a file similar to one of the snapshot, by a path up", "new", 0x84, Some("../../../../outside/secret")),
        ("a file similar to one of the snapshot, by another path up", "new", 0x84, Some("../../../outside/secret")),
        ("the snapshot", "new", 0, None),
        ("the snapshot, with a name", "new", 0, Some("../../../../outside/secret")),
    ] {
        cases.push(case(name, 29, "-ltpry", NEITHER, from(file, basis, xname, CANARY)));
        cases.push(case(name, 31, "-ltpry", NEITHER, from(file, basis, xname, CANARY)));
    }
    for basis in [1, 20, 0x7f, 0x85, 0xff] {
        cases.push(case(&format!("a basis of number {basis}"), 31, "-ltpr", "rsync 2", from("new", basis, None, CANARY)));
    }
    const OLDER: &str = "content of older\n";
    cases.push(case("a similar file of the older snapshot", 31, "-ltpry", NEITHER, from("new", 0x83, Some("OLDER/d/older"), OLDER)));
    const SYSTEM: &str = "/usr/share/common-licenses/GPL-3";
    let system: &'static str = Box::leak(std::fs::read_to_string(SYSTEM).unwrap_or_default()[..100].to_owned().into_boxed_str());
    cases.push(case("a file of the system", 31, "-ltpry", NEITHER, from("new", 0x83, Some(SYSTEM), system)));
    cases.push(case(
        "a similar file of the snapshot, truly",
        29,
        "-ltpry",
        "published: d/ new=644",
        from("new", 0x84, Some("a"), "content of a\n"),
    ));
    cases.push(case(
        "a similar file of the snapshot, truly",
        31,
        "-ltpry",
        "published: d/ d/new=644",
        from("d/new", 0x84, Some("b"), "content of b\n"),
    ));
    cases.push(case("a device", 31, "-ltpry", NEITHER, from("new", 0x83, Some("/dev/zero"), "\0\0\0\0")));
    cases.push(case("a name that is too long", 31, "-ltpry", "rsync 2", |session, _| {
        session.list(&[Entry::top(), Entry::file("new", CANARY)])?;
        session.out.item(1, say::TRANSFER | say::BASIS | say::XNAME).byte(0x83).raw(&[0xff, 0xff]).raw(&[b'x'; 32767]);
        session.whole(b"x");
        session.flush()?;
        session.finish();
        Ok(())
    }));
    run("forged bases", &cases);
}

/// A file that was linked is sent unasked with another sum than its content's, so that the generator looks at it once more:
/// it is there now, and what differs by less than the client's window is made the same.
pub(crate) fn again(
    list: impl Fn() -> Vec<Entry> + 'static,
    name: &'static str,
) -> impl Fn(&mut Session, &Lab) -> Result<(), End> + 'static {
    move |session, _| {
        session.list(&list())?;
        let mut told = false;
        session.finish_with(|session, item| {
            if item.index == say::DONE && !told {
                told = true;
                let index = session.index_of(name);
                session.out.item(index, say::TRANSFER).sum_head([0; 4]).literal(b"x").int(0).raw(&[0; 16]);
            }
            false
        });
        Ok(())
    }
}

#[test]
fn files_that_are_looked_at_again_are_not_made_the_same() {
    let moved = || vec![Entry::top(), Entry::file("a", "content of a\n").mtime(MOVED + 3600)];
    let mode = || vec![Entry::top(), Entry::file("a", "content of a\n").mode(0o777)];
    let cases = [
        case("a time within the window", 29, "-ltprc --modify-window=86400", "published: a=644", again(moved, "a")),
        case("a time within the window", 31, "-ltprc --modify-window=86400", "published: a=644", again(moved, "a")),
        case("the same by size alone", 31, "-ltpr --size-only --modify-window=86400", "published: a=644", again(moved, "a")),
        case("the same by time", 31, "-ltpr --modify-window=86400", "published: a=644", again(moved, "a")),
        // It is not there yet, and comes anew.
        case("a mode that the client does not keep", 31, "-ltrc", "published: a=755", again(mode, "a")),
        case("a mode that the client does not keep, but for executing", 31, "-ltrcE", "published: a=755", again(mode, "a")).copying(),
    ];
    run("looked at again", &cases);
}

#[test]
fn groups_of_hard_links_that_do_not_fit_share_nothing_with_history() {
    let pair =
        |first: Entry, second: Entry| move |_: &Lab| vec![Entry::top(), first.clone().linked(1, true), second.clone().linked(1, false)];
    let other = || Entry::file("aa", "content of a\n").mode(0o777).mtime(MOVED).owner(1234, 1234);
    let cases = [
        case(
            "the first unchanged, the second another",
            29,
            "-logtprH",
            "published: a=644*3 aa=644*3",
            tell(pair(Entry::file("a", "content of a\n"), other())),
        ),
        case(
            "the first unchanged, the second another",
            31,
            "-logtprH",
            "published: a=644*3 aa=644*3",
            tell(pair(Entry::file("a", "content of a\n"), other())),
        ),
        case(
            "the second unchanged, the first another",
            29,
            "-ltprH",
            "published: Z=644*3 a=644*3",
            tell(|_| {
                vec![
                    Entry::top(),
                    Entry::file("Z", "content of a\n").mode(0o777).linked(1, true),
                    Entry::file("a", "content of a\n").linked(1, false),
                ]
            }),
        ),
        case(
            "the second unchanged, the first another",
            31,
            "-ltprH",
            "published: Z=777*2 a=777*2",
            tell(|_| {
                vec![
                    Entry::top(),
                    Entry::file("Z", "content of a\n").mode(0o777).linked(1, true),
                    Entry::file("a", "content of a\n").linked(1, false),
                ]
            }),
        )
        .copying(),
        case(
            "a group over two unchanged files",
            29,
            "-ltprH",
            "published: a=644*3 d/ d/b=644*3",
            tell(|_| {
                vec![
                    Entry::top(),
                    Entry::file("a", "content of a\n").linked(7, true),
                    Entry::dir("d"),
                    Entry::file("d/b", "content of b\n").mode(0o600).linked(7, false),
                ]
            }),
        ),
        case(
            "a link and a file in one group",
            29,
            "-ltprH",
            "published: a=644*3 l=644*3",
            tell(|_| vec![Entry::top(), Entry::file("a", "content of a\n").linked(7, true), Entry::link("l", "a").linked(7, false)]),
        ),
        case(
            "a group that begins behind its end",
            31,
            "-ltprH",
            "rsync 2",
            tell(|_| vec![Entry::top(), Entry::file("a", "content of a\n").linked(9, false)]),
        ),
        case(
            "a group that begins with itself",
            31,
            "-ltprH",
            "rsync 2",
            tell(|_| vec![Entry::top(), Entry::file("a", "content of a\n").linked(1, false)]),
        ),
        case(
            "a group that begins before the list",
            31,
            "-ltprH",
            "rsync 2",
            tell(|_| vec![Entry::top(), Entry::file("a", "content of a\n").linked(-7, false)]),
        ),
        case(
            "a group that begins with a directory",
            31,
            "-ltprH",
            "refused: unpublished",
            tell(|_| vec![Entry::top(), Entry::dir("d"), Entry::file("a", "content of a\n").linked(1, false)]),
        ),
        case(
            "a directory in a group",
            31,
            "-ltprH",
            "published: a=644*3 d=644*3",
            tell(|_| vec![Entry::top(), Entry::file("a", "content of a\n").linked(1, true), Entry::dir("d").linked(1, false)]),
        ),
        case(
            "a group over two lists, with other attributes",
            31,
            "-logtprHXe.i",
            "published: a=644*3 d/ d/aa=644*3",
            tell_each(|_| {
                let second = Entry::file("d/aa", "content of a\n").mode(0o777).mtime(MOVED).owner(1234, 1234).xattr("user.evil", b"1");
                (
                    vec![Entry::top(), Entry::file("a", "content of a\n").linked(2, true), Entry::dir("d")],
                    vec![(1, vec![second.linked(2, false).told()])],
                )
            }),
        ),
    ];
    run("groups of hard links", &cases);
}

/// One item of a base that is all unchanged, told in the middle of the answers.
pub(crate) fn told(say: impl Fn(&mut Session) + 'static) -> impl Fn(&mut Session, &Lab) -> Result<(), End> + 'static {
    move |session, _| {
        session.list(&base())?;
        let mut said = false;
        session.finish_with(|session, _: &Item| {
            if !said {
                said = true;
                say(session);
            }
            false
        });
        Ok(())
    }
}

#[test]
fn items_that_cannot_be_end_the_push_or_change_nothing() {
    const UNCHANGED: &str = "published: a=644*2 d/ d/b=600*3 d/x=644*3 l@ ro=444*3";
    // The generator finds either the file that was sent, or nothing and links the old one.
    const ONE_NEW: &str = "published: a=644 d/ d/b=600*3 d/x=644*3 l@ ro=444*3 | published: a=644*2 d/ d/b=600*3 d/x=644*3 l@ ro=444*3";
    let transfer = |index: i32| {
        move |session: &mut Session| {
            session.out.item(index, say::TRANSFER);
            session.whole(b"content of a\n");
        }
    };
    let bare = |index: i32, flags: u16| {
        move |session: &mut Session| {
            session.out.item(index, flags);
        }
    };
    let cases = [
        case("a file sent that nobody asked for", 29, "-ltpr", ONE_NEW, told(transfer(1))),
        case("a file sent that nobody asked for", 31, "-ltpr", ONE_NEW, told(transfer(1))),
        case("a file sent three times", 31, "-ltpr", ONE_NEW, told(move |session| (0..3).for_each(|_| transfer(1)(session)))),
        case(
            "a file sent into the place of another",
            31,
            "-ltpr",
            "published: a=644*2 d/ d/b=600*3 d/x=644*3 l@ ro=444 | published: a=644*2 d/ d/b=600*3 d/x=644*3 l@ ro=444*3",
            told(transfer(3)),
        ),
        case("content for a directory", 31, "-ltpr", "rsync 2", told(transfer(4))),
        case("content for a link", 31, "-ltpr", "rsync 2", told(transfer(2))),
        case("content for the top", 31, "-ltpr", "rsync 2", told(transfer(0))),
        case("an index behind the list", 29, "-ltpr", "rsync 2", told(transfer(7))),
        case("an index behind the list", 32, "-ltpr", "rsync 2", told(transfer(7))),
        case("an index far behind the list", 31, "-ltpr", "rsync 2", told(transfer(i32::MAX))),
        case("an index before the list", 29, "-ltpr", "rsync 2", told(transfer(-5))),
        case("an index before the list", 31, "-ltpr", "rsync 2", told(transfer(-5))),
        case("the least index there is", 29, "-ltpr", "rsync 2", told(transfer(i32::MIN))),
        case(
            "a list that was not announced",
            31,
            "-ltpr",
            "rsync 2",
            told(|session| {
                session.out.index(-101).byte(0);
            }),
        ),
        case(
            "no more lists, twice",
            31,
            "-ltpre.i",
            "rsync 4",
            told(|session| {
                session.out.index(say::FLIST_EOF).index(say::FLIST_EOF);
            }),
        ),
        case(
            "figures of deletions",
            31,
            "-ltpr",
            UNCHANGED,
            told(|session| {
                session.out.index(say::DEL_STATS).raw(&[1; 5]);
            }),
        ),
        case(
            "the end before its time",
            31,
            "-ltpr",
            "rsync 12",
            told(|session| {
                session.out.index(say::DONE).index(say::DONE).index(say::DONE);
            }),
        ),
        case(
            "a hundred ends",
            31,
            "-ltpr",
            "rsync 12",
            told(|session| {
                (0..100).for_each(|_| {
                    session.out.index(say::DONE);
                })
            }),
        ),
        case("every flag at once", 31, "-ltpr", "rsync 2", told(bare(1, 0xffff))),
        case("a new file that is not", 31, "-ltpr", UNCHANGED, told(bare(1, say::IS_NEW | say::LOCAL_CHANGE))),
        case("a file that vanished", 31, "-ltpr", UNCHANGED, told(bare(1, 0))),
        case(
            "attributes of a file that has none",
            31,
            "-ltprX",
            "rsync 2",
            told(|session| {
                session.out.item(1, say::REPORT_XATTR).varint(1).varint(4).raw(b"evil").byte(0);
            }),
        ),
        case(
            "an attribute of two gigabytes",
            31,
            "-ltprX",
            "rsync 2",
            told(|session| {
                session.out.item(6, say::REPORT_XATTR).varint(1).varint(i32::MAX).raw(b"evil");
            }),
        ),
        case("another sum than the content's, twice", 31, "-ltpr", "rsync 23 unpublished", |session, _| {
            session.list(&[Entry::top(), Entry::file("new", "what was said\n")])?;
            session.finish_with(|session, item| {
                if item.flags & say::TRANSFER == 0 {
                    return false;
                }
                session.echo(item);
                session.out.sum_head([0; 4]).literal(b"what was sent\n").int(0).raw(&md5(b"neither"));
                true
            });
            Ok(())
        }),
    ];
    run("items that cannot be", &cases);
}
