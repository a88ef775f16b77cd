//! Lies in the file list: names that lead elsewhere, twice the same name, kinds and sizes that cannot be.

use crate::entry::Entry;
use crate::lab::{Lab, b, case, run, tell, tell_each};

fn link(lab: &Lab, name: &str) -> Entry {
    Entry::link(name, &format!("{}/d", lab.newest()))
}

/// One level further down.
fn deep(lab: &Lab, name: &str) -> Entry {
    Entry::link(name, &format!("../{}/d", lab.newest()))
}

#[test]
fn nothing_behind_a_link_is_touched() {
    let mut cases = Vec::new();
    for protocol in [29, 30, 31, 32] {
        cases.push(case(
            "a link, and a file behind it",
            protocol,
            "-logtpr",
            "rsync 2",
            tell(|lab| vec![Entry::top(), link(lab, "e"), b("e/b")]),
        ));
    }
    for options in
        ["-ltprX", "-ltprA", "-ltpr --delete", "-ltpr --delete-before --force", "-ltpRr", "-ltpr --size-only", "-ltprc", "-ltprI", "-ltpry"]
    {
        let name = format!("a link, and a file behind it, with {options}");
        cases.push(case(
            &name,
            31,
            options,
            "rsync 2",
            tell(|lab| vec![Entry::top(), link(lab, "e"), b("e/b"), Entry::file("e/new", "new")]),
        ));
    }
    cases.extend([
        case(
            "a link into the older snapshot",
            31,
            "-ltpr",
            "rsync 2",
            tell(|lab| vec![Entry::top(), Entry::link("e", &lab.older()), b("e/d/older")]),
        ),
        case(
            "an absolute link to the outside",
            31,
            "-ltpr",
            "rsync 2",
            tell(|lab| vec![Entry::top(), Entry::link("e", &lab.outside("d")), b("e/b")]),
        ),
        case(
            "a link to the neighbour",
            31,
            "-ltpr",
            "rsync 2",
            tell(|_| vec![Entry::top(), Entry::link("e", "../../web2/current/d"), b("e/b")]),
        ),
        case("no directory in the list at all", 31, "-ltpr", "rsync 2", tell(|lab| vec![link(lab, "e"), b("e/b")])),
        case(
            "a directory behind a link",
            31,
            "-ltpr",
            "rsync 2",
            tell(|lab| vec![Entry::top(), Entry::link("e", &lab.newest()), Entry::dir("e/d").mode(0o777)]),
        ),
        case("a link behind a link", 31, "-ltpr", "rsync 2", tell(|lab| vec![Entry::top(), link(lab, "e"), Entry::link("e/l", "x")])),
        case(
            "a file of other content behind a link",
            29,
            "-ltpr",
            "rsync 2",
            tell(|lab| vec![Entry::top(), link(lab, "e"), Entry::file("e/b", "other")]),
        ),
        case(
            "a link with a file of its name below it",
            31,
            "-ltpr",
            "rsync 2",
            tell(|lab| vec![Entry::top(), Entry::link("e", &format!("{}/d/b", lab.newest())), b("e/b")]),
        ),
        case(
            "in one list of an incremental push",
            31,
            "-ltpre.i",
            "rsync 4",
            tell_each(|lab| (vec![Entry::top(), link(lab, "e"), b("e/b")], vec![])),
        ),
        case("the same with -R", 32, "-ltpRre.i", "rsync 4", tell_each(|lab| (vec![Entry::top(), link(lab, "e"), b("e/b")], vec![]))),
        case(
            "a list for the top itself",
            30,
            "-ltpre.i",
            "rsync 4",
            tell_each(|lab| (vec![Entry::top(), Entry::dir("e")], vec![(0, vec![link(lab, "e")]), (1, vec![b("e/b")])])),
        ),
        case(
            "a list for a link",
            31,
            "-ltpre.i",
            "rsync 2",
            tell_each(|lab| (vec![Entry::top(), link(lab, "e")], vec![(1, vec![b("e/b")])])),
        ),
        case(
            "a list for no directory",
            31,
            "-ltpre.i",
            "rsync 2",
            tell_each(|_| (vec![Entry::top(), Entry::dir("e")], vec![(77, vec![b("e/b")])])),
        ),
        case(
            "a list for another directory",
            31,
            "-ltpre.i",
            "rsync 4",
            tell_each(|_| (vec![Entry::top(), Entry::dir("e"), Entry::dir("f")], vec![(1, vec![b("f/b")])])),
        ),
        case(
            "two lists for one directory",
            31,
            "-ltpre.i",
            "rsync 2",
            tell_each(|lab| {
                (
                    vec![Entry::top(), Entry::dir("x")],
                    vec![(1, vec![Entry::dir("x/e")]), (1, vec![deep(lab, "x/e")]), (2, vec![b("x/e/b")])],
                )
            }),
        ),
        case(
            "a list for each of two directories of one name",
            31,
            "-ltpre.i",
            "rsync 2",
            tell_each(|lab| {
                (
                    vec![Entry::top(), Entry::dir("x"), Entry::dir("x")],
                    vec![(1, vec![Entry::dir("x/e")]), (2, vec![deep(lab, "x/e")]), (3, vec![b("x/e/b")])],
                )
            }),
        ),
        case(
            "a directory without a name, and its list",
            31,
            "-ltpre.i",
            "rsync 4",
            tell_each(|lab| (vec![Entry::top(), Entry::dir("e"), Entry::dir("")], vec![(2, vec![link(lab, "e")]), (1, vec![b("e/b")])])),
        ),
    ]);
    run("behind a link", &cases);
}
