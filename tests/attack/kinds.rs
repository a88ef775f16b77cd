//! Lies in single entries of the file list: names, kinds, sizes, times, owners, attributes and access lists that cannot be,
//! and names that are the repository's own.

use crate::entry::Entry;
use crate::lab::{Lab, MOVED, case, run, tell};
use crate::sender::{End, Session};
use crate::wire::say;

fn one(entry: Entry) -> impl Fn(&mut Session, &Lab) -> Result<(), End> + 'static {
    tell(move |_| vec![Entry::top(), entry.clone()])
}

/// A file list that is broken off by bytes of any kind.
fn broken(bytes: impl Fn(&mut Session) + 'static) -> impl Fn(&mut Session, &Lab) -> Result<(), End> + 'static {
    move |session, _| {
        Entry::top().put(&mut session.out, &session.asked);
        bytes(session);
        session.end_list();
        session.flush()?;
        session.finish();
        Ok(())
    }
}

#[test]
fn names_lead_nowhere_else() {
    let long = "n".repeat(255);
    let cases = [
        case("a path up", 29, "-ltpr", "rsync 4", one(Entry::file("../up", "x"))),
        case("a path up", 31, "-ltpr", "rsync 4", one(Entry::file("../up", "x"))),
        case("a path up with -R", 31, "-ltpRr", "rsync 4", one(Entry::file("../up", "x"))),
        case("down and up again", 32, "-ltpr", "rsync 4", tell(|_| vec![Entry::top(), Entry::dir("d"), Entry::file("d/../../up", "x")])),
        case("the directory above", 30, "-ltpr", "rsync 4", one(Entry::dir("..").mode(0o777))),
        case("an absolute name", 29, "-ltpr", "rsync 4", tell(|lab| vec![Entry::top(), Entry::file(&lab.outside("new"), "x")])),
        case("an absolute name", 31, "-ltpr", "rsync 4", tell(|lab| vec![Entry::top(), Entry::file(&lab.outside("new"), "x")])),
        case("an absolute name with -R", 31, "-ltpRr", "rsync 2", tell(|lab| vec![Entry::top(), Entry::file(&lab.outside("new"), "x")])),
        case("the root", 31, "-ltpr", "rsync 4", one(Entry::dir("/"))),
        case("no name", 31, "-ltpr", "refused: unpublished", one(Entry::file("", "x"))),
        case("a file called dot", 31, "-ltpr", "rsync 2", one(Entry::file(".", "x"))),
        case(
            "a link called dot",
            29,
            "-ltpr",
            "rsync 2",
            tell(|lab| vec![Entry::link(".", &lab.newest()), Entry::file("a", "content of a\n").mode(0o777)]),
        ),
        case("a name that ends in a slash", 31, "-ltpr", "published: new=644", one(Entry::file("new/", "x"))),
        case("a name with a null byte", 31, "-ltpr", "published: new=644", one(Entry::file("new\0/../../x", "x"))),
        case(
            "a name with every control byte",
            31,
            "-ltpr",
            "published: \\x01\\x02\\x1b[31m\\n\\r\\t\\x7f=644",
            one(Entry::file("\u{1}\u{2}\u{1b}[31m\n\r\t\u{7f}", "x")),
        ),
        case(
            "a name of 255 bytes",
            31,
            "-ltpr",
            "published: nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn=644",
            one(Entry::file(&long, "x")),
        ),
        case("a name of 256 bytes", 31, "-ltpr", "rsync 23 unpublished", one(Entry::file(&format!("{long}n"), "x"))),
        case("a path of 4095 bytes", 31, "-ltpr", "rsync 2", one(Entry::file(&"d/".repeat(2047).as_str()[..4093], "x"))),
        case("a path of 5000 bytes", 31, "-ltpr", "rsync 22 limit", one(Entry::file(&"n".repeat(5000), "x"))),
        case(
            "a path of two gigabytes",
            31,
            "-ltpr",
            "rsync 22 limit",
            broken(|session| {
                session.out.byte(0x44).byte(0).varint30(i32::MAX);
            }),
        ),
        case(
            "a path of less than nothing",
            29,
            "-ltpr",
            "rsync 22 limit",
            broken(|session| {
                session.out.byte(0x40).int(-5);
            }),
        ),
        case(
            "duplicates, with dots and slashes",
            29,
            "-ltpr",
            "published: d/ d/b=600*3",
            tell(|_| {
                let b = |name: &str| Entry::file(name, "content of b\n").mode(0o777).mtime(MOVED);
                vec![
                    Entry::top(),
                    Entry::dir("d"),
                    Entry::file("d/b", "content of b\n").mode(0o600),
                    b("d//b"),
                    b("./d/b"),
                    b("d/./b"),
                    b("d/b/"),
                ]
            }),
        ),
        case(
            "duplicates, with other attributes",
            31,
            "-ltprX",
            "published: d/ d/b=600*3",
            tell(|_| {
                let b = |name: &str| Entry::file(name, "content of b\n").mode(0o600).xattr("user.evil", b"1");
                vec![Entry::top(), Entry::dir("d"), Entry::file("d/b", "content of b\n").mode(0o600), b("d/b"), b("d//b")]
            }),
        ),
        case(
            "a directory and a link of one name",
            31,
            "-ltpr",
            "published: d/ d/b=777",
            tell(|lab| {
                vec![
                    Entry::top(),
                    Entry::dir("d"),
                    Entry::link("d", &format!("{}/d", lab.newest())),
                    Entry::file("d/b", "content of b\n").mode(0o777),
                ]
            }),
        )
        .copying(),
        case(
            "a file and a directory of one name",
            31,
            "-ltpr",
            "published: a/ a/b=644",
            tell(|_| vec![Entry::top(), Entry::dir("a"), Entry::file("a", "content of a\n"), Entry::file("a/b", "b")]),
        ),
        case(
            "the repository's own names",
            31,
            "-ltpr --delete",
            "published: .snapgate/ .snapgate/ledger.jsonl=644 .snapgate/lock=644 .snapgate/transaction.json=644 current@ inprogress/ inprogress/x=644 snapshots/ snapshots/x=644",
            tell(|lab| {
                let mut list = vec![
                    Entry::top(),
                    Entry::link("current", &lab.newest()),
                    Entry::dir("snapshots"),
                    Entry::dir("inprogress"),
                    Entry::dir(".snapgate"),
                ];
                list.extend(
                    ["snapshots/x", "inprogress/x", ".snapgate/ledger.jsonl", ".snapgate/lock", ".snapgate/transaction.json"]
                        .map(|name| Entry::file(name, "x")),
                );
                list
            }),
        ),
        case(
            "names of rsync's temporary files",
            31,
            "-ltpr",
            "published: .a.XXXXXX=644 .~snapgate-~/ .~snapgate-~/a=644 .~tmp~=644",
            tell(|_| {
                vec![
                    Entry::top(),
                    Entry::file(".a.XXXXXX", "x"),
                    Entry::file(".~tmp~", "x"),
                    Entry::dir(".~snapgate-1~"),
                    Entry::file(".~snapgate-1~/a", "x"),
                ]
            }),
        ),
        case("a partial directory of the right name", 31, "-ltpr", "published: .~snapgate-~/ .~snapgate-~/a=644 a=644", |session, lab| {
            // The stage's number is no secret to whoever sees the disk; a client has to guess it.
            use std::os::unix::fs::MetadataExt as _;
            let stage = std::fs::metadata(lab.gate.inside("inprogress")).unwrap().ino();
            let dir = format!(".~snapgate-{stage}~");
            session.list(&[
                Entry::top(),
                Entry::file("a", "other content of a\n"),
                Entry::dir(&dir),
                Entry::file(&format!("{dir}/a"), "content of a\n"),
            ])?;
            session.finish();
            Ok(())
        }),
    ];
    run("names", &cases);
}

#[test]
fn kinds_and_figures_that_cannot_be() {
    let mode = |mode: u32| Entry { mode, ..Entry::file("new", "x") };
    let new = || Entry::file("new", "x");
    let cases = [
        case("a character device without -D", 31, "-ltpr", "refused: unpublished", one(Entry::node("new", 0o020_666))),
        case("a character device", 29, "-ltprD", "refused: unpublished", one(Entry::node("new", 0o020_666))),
        case("a block device", 31, "-ltprD", "refused: unpublished", one(Entry::node("new", 0o060_666))),
        case("a FIFO", 31, "-ltprD", "refused: unpublished", one(Entry::node("new", 0o010_666))),
        case("a socket", 30, "-ltprD", "refused: unpublished", one(Entry::node("new", 0o140_666))),
        case("a FIFO without -D", 32, "-ltpr", "refused: unpublished", one(Entry::node("new", 0o010_666))),
        case("content for a FIFO", 31, "-ltprD", "rsync 2", |session, _| {
            session.list(&[Entry::top(), Entry::node("new", 0o010_666)])?;
            session.out.item(1, say::TRANSFER);
            session.whole(b"x");
            session.finish();
            Ok(())
        }),
        case("a mode of no kind", 31, "-ltpr", "rsync 2", one(mode(0o644))),
        case("a mode of every kind", 31, "-ltpr", "rsync 2", one(mode(0o177_777))),
        case("a mode of 32 bits", 31, "-ltpr", "rsync 2", one(mode(0xffff_ffff))),
        case("a set-uid file", 31, "-ltpr", "published: new=6755", one(mode(0o106_755))),
        case(
            "a directory of no mode, and a file in it",
            31,
            "-ltpr",
            "published: new/=0 new/b=644",
            tell(|_| vec![Entry::top(), Entry::dir("new").mode(0), Entry::file("new/b", "x")]),
        )
        .for_root(),
        case("a top of no mode", 31, "-ltpr", "published: new=644", tell(|_| vec![Entry::top().mode(0), Entry::file("new", "x")]))
            .for_root(),
        case("a file of no mode", 31, "-ltpr", "published: new=0", one(new().mode(0))).for_root(),
        case("a size of less than nothing", 31, "-ltpr", "rsync 4", one(new().size(-1))),
        case("a size of less than nothing", 29, "-ltpr", "rsync 4", one(new().size(i64::MIN))),
        case("a size of 2^62", 31, "-ltpr", "published: new=644", one(new().size(1 << 62))),
        case("a size that is too small", 31, "-ltpr", "published: new=644", one(Entry::file("new", &"x".repeat(100_000)).size(1))),
        case("an unchanged size with other content", 29, "-ltpr", "published: a=644*2", one(Entry::file("a", "xxntent of a\n"))),
        case("a time before all others", 31, "-ltpr", "published: new=644", one(new().mtime(i64::MIN))),
        case("a time after all others", 31, "-ltpr", "published: new=644", one(new().mtime(i64::MAX))),
        case("more nanoseconds than a second has", 31, "-ltpr", "rsync 2", one(Entry { nsec: Some(i32::MAX), ..new() })),
        case("fewer nanoseconds than none", 32, "-ltpr", "rsync 2", one(Entry { nsec: Some(-1), ..new() })),
        case("an owner of all bits", 31, "-logtpr --numeric-ids", "published (rsync 23): new=644", one(new().owner(u32::MAX, u32::MAX)))
            .without_root("published: new=644"),
        case("an owner of all bits", 29, "-logtpr", "published (rsync 23): new=644", one(new().owner(u32::MAX, u32::MAX)))
            .without_root("published: new=644"),
        case(
            "an owner with a name without end",
            31,
            "-logtpr --timeout=1",
            "rsync 30",
            broken(|session| {
                session
                    .out
                    .byte(0x04)
                    .byte(0x04)
                    .byte(3)
                    .raw(b"new")
                    .varlong(1, 3)
                    .varlong(1, 4)
                    .raw(&0o100_644_u32.to_le_bytes())
                    .varint(7)
                    .byte(255)
                    .raw(&[b'n'; 100]);
            }),
        ),
        case("names of more users than there are numbers", 31, "-logtpr", "refused: unpublished", |session, _| {
            Entry::top().put(&mut session.out, &session.asked);
            session.out.byte(0);
            for number in 1..2_000 {
                session.out.varint(number).byte(1).byte(b'n');
            }
            session.out.varint(0).varint(0);
            session.lists += 1;
            session.flush()?;
            session.finish();
            Ok(())
        }),
        case("a link to nothing", 31, "-ltpr", "rsync 23 unpublished", one(Entry::link("new", ""))),
        case("a link to itself", 31, "-ltpr", "published: new@", one(Entry::link("new", "new"))),
        case("a link to everything", 31, "-ltpr", "published: new@", one(Entry::link("new", "/"))),
        case("a link of 4095 bytes", 31, "-ltpr", "published: new@", one(Entry::link("new", &"n".repeat(4095)))),
        case("a link of 4096 bytes", 31, "-ltpr", "rsync 22 limit", one(Entry::link("new", &"n".repeat(4096)))),
        case("a link with a null byte", 31, "-ltpr", "published: new@", one(Entry::link("new", "a\0b"))),
        case("reading failed, says the list", 29, "-ltpr --delete", "rsync 23 unpublished", |session, _| {
            Entry::top().put(&mut session.out, &session.asked);
            session.end_list();
            let last = session.out.bytes.len() - 4;
            session.out.bytes.truncate(last);
            session.out.int(1);
            session.flush()?;
            session.finish();
            Ok(())
        }),
        case("nothing at all", 31, "-ltpr", "refused: unpublished", |session, _| {
            session.list(&[])?;
            session.finish();
            Ok(())
        }),
    ];
    run("kinds and figures", &cases);
}

#[test]
fn attributes_and_access_lists_that_cannot_be() {
    let new = || Entry::file("new", "x");
    /// An entry in full, up to where its access list or attributes begin.
    fn head(session: &mut Session) {
        let asked = crate::entry::Asked { xattrs: false, acls: false, ..session.asked.clone() };
        Entry::file("new", "x").put(&mut session.out, &asked);
    }
    let after = |bytes: fn(&mut Session)| {
        move |session: &mut Session, _: &Lab| {
            let asked = crate::entry::Asked { xattrs: false, acls: false, ..session.asked.clone() };
            Entry::top().put(&mut session.out, &session.asked);
            let _ = asked;
            head(session);
            bytes(session);
            session.end_list();
            session.flush()?;
            session.finish();
            Ok(())
        }
    };
    let cases = [
        case(
            "an attribute of the system",
            31,
            "-ltprX",
            "published (rsync 23): new=644",
            one(new().xattr("system.posix_acl_access", b"nonsense")),
        )
        // Only user attributes are for others to set.
        .without_root("published: new=644")
        .with_owners_kept("published: new=644"),
        case("an attribute of the kernel's trust", 31, "-ltprX", "published: new=644", one(new().xattr("trusted.overlay.opaque", b"y"))),
        case(
            "a capability",
            31,
            "-ltprX",
            "published: new=644",
            one(new().xattr("security.capability", b"\x01\0\0\x02\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0")),
        ),
        case("an attribute of rsync's own", 31, "-ltprX", "published: new=644", one(new().xattr("user.rsync.%stat", b"100777 0,0 0:0"))),
        case("an attribute without a name", 31, "-ltprX", "published (rsync 23): new=644", one(new().xattr("", b"x")))
            .without_root("published: new=644"),
        case("an attribute of no known kind", 31, "-ltprX", "published (rsync 23): new=644", one(new().xattr("nonsense", b"x")))
            .without_root("published: new=644")
            .with_owners_kept("published: new=644"),
        case("a value of 60,000 bytes", 31, "-ltprX", "published (rsync 23): new=644", one(new().xattr("user.big", &[b'v'; 60_000]))),
        case(
            "attributes without end",
            31,
            "-ltprX",
            "rsync 2",
            after(|session| {
                session.out.varint(0).varint(i32::MAX);
            }),
        ),
        case(
            "less than no attributes",
            31,
            "-ltprX",
            "rsync 2",
            after(|session| {
                session.out.varint(0).varint(-1);
            }),
        ),
        case(
            "attributes of another file, which is not there",
            31,
            "-ltprX",
            "rsync 12",
            after(|session| {
                session.out.varint(77);
            }),
        ),
        case(
            "a name of two gigabytes",
            31,
            "-ltprX",
            "rsync 2",
            after(|session| {
                session.out.varint(0).varint(1).varint(i32::MAX).varint(1);
            }),
        ),
        case(
            "a value of two gigabytes",
            31,
            "-ltprX",
            "rsync 2",
            after(|session| {
                session.out.varint(0).varint(1).varint(6).varint(i32::MAX).raw(b"user.x\0");
            }),
        ),
        case(
            "a name without its end",
            31,
            "-ltprX",
            "rsync 11",
            after(|session| {
                session.out.varint(0).varint(1).varint(6).varint(1).raw(b"user.xv");
            }),
        ),
        case(
            "an access list without end",
            31,
            "-ltprA",
            "rsync 2",
            after(|session| {
                session.out.varint(0).byte(16).varint(i32::MAX);
            }),
        ),
        case(
            "less than no access",
            31,
            "-ltprA",
            "rsync 2",
            after(|session| {
                session.out.varint(0).byte(16).varint(-1);
            }),
        ),
        case(
            "the access list of another file, which is not there",
            31,
            "-ltprA",
            "rsync 12",
            after(|session| {
                session.out.varint(77);
            }),
        ),
        case(
            "rights that are none",
            31,
            "-ltprA",
            "rsync 12",
            after(|session| {
                session.out.varint(0).byte(31).varint(-1).varint(-1).varint(-1).varint(-1);
            }),
        ),
        case("one user twice", 31, "-ltprA", "published: new=644", one(new().user(1234, 7).user(1234, 0))),
    ];
    run("attributes and access lists", &cases);
}
