//! The two attacks that are made of more than a change of the client's data, in each of the four ways: a link that is
//! planted for a later push to walk through, and a basis that the sender forges, with the letter that would have it written in
//! place.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::cut_off;
use crate::entry::Entry;
use crate::lab::{Case, Lab, Row, Way, base, case, copies, run, table};
use crate::sender::{End, Session};
use crate::wire::say;
use support::versions::{USUAL, old_server};
use support::{Ran, must};

/// A link of the client's, and a push through it.
struct Planted {
    name: &'static str,
    link: &'static str,
    target: fn(&Lab) -> String,
    /// Where the second push goes.
    aim: &'static str,
    options: &'static [&'static str],
    /// What is in the snapshot then; nothing where the second push is refused.
    arrives: Option<&'static str>,
}

/// A directory of the link's name, with the modes that it was pushed with.
const ARRIVES: Option<&str> = Some("p/=777 p/a=666 p/b=666 p/d/=777 p/d/b=666 p/older=666");

const PLANTED: &[Planted] = &[
    Planted { name: "the newest snapshot", link: "p", target: Lab::newest, aim: "p/", options: &[], arrives: ARRIVES },
    Planted { name: "the newest snapshot, without a slash", link: "p", target: Lab::newest, aim: "p", options: &["-A"], arrives: ARRIVES },
    Planted {
        name: "the older snapshot, from deeper down",
        link: "e/f",
        target: |lab| format!("../{}", lab.older()),
        aim: "e/f/",
        options: &[],
        arrives: Some("e/ e/f/=777 e/f/a=666 e/f/b=666 e/f/d/=777 e/f/d/b=666 e/f/older=666"),
    },
    Planted {
        name: "a directory of the newest snapshot",
        link: "p",
        target: |lab| format!("{}/d", lab.newest()),
        aim: "p/",
        options: &["--delete", "--force", "--inplace"],
        arrives: ARRIVES,
    },
    Planted {
        name: "what is behind the link",
        link: "p",
        target: Lab::newest,
        aim: "p/d/",
        options: &[],
        arrives: Some("p/ p/d/=777 p/d/a=666 p/d/b=666 p/d/d/=777 p/d/d/b=666 p/d/older=666"),
    },
    Planted {
        name: "a file of the newest snapshot",
        link: "p",
        target: |lab| format!("{}/a", lab.newest()),
        aim: "p",
        options: &[],
        arrives: ARRIVES,
    },
    Planted {
        name: "the newest snapshot, by its whole path",
        link: "p",
        target: |lab| lab.gate.inside("current").canonicalize().unwrap().display().to_string(),
        aim: "p/",
        options: &[],
        arrives: ARRIVES,
    },
    Planted { name: "`current`", link: "p", target: |_| "../current".to_owned(), aim: "p/", options: &["--numeric-ids"], arrives: ARRIVES },
    Planted {
        name: "the repository itself",
        link: "p",
        target: |_| "..".to_owned(),
        aim: "p/snapshots/",
        options: &[],
        arrives: Some(
            "p/ p/snapshots/=777 p/snapshots/a=666 p/snapshots/b=666 p/snapshots/d/=777 p/snapshots/d/b=666 p/snapshots/older=666",
        ),
    },
    Planted { name: "the outside", link: "p", target: |lab| lab.outside(""), aim: "p/", options: &[], arrives: ARRIVES },
    Planted { name: "the neighbour", link: "p", target: |_| "../../web2/current".to_owned(), aim: "p/", options: &[], arrives: ARRIVES },
    Planted { name: "the newest snapshot, with -K", link: "p", target: Lab::newest, aim: "p/", options: &["-K"], arrives: None },
];

/// What is to go through the link: a directory and files of history's names, with everything about them changed.
fn aimed(lab: &Lab, place: &str) -> PathBuf {
    let root = lab.gate.source("aimed");
    let dir = root.join(place);
    fs::create_dir_all(dir.join("d")).unwrap();
    for name in ["a", "b", "d/b", "older"] {
        fs::write(dir.join(name), format!("aimed at {name}\n")).unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o666)).unwrap();
    }
    for path in [&dir, &dir.join("d")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
        must(Command::new("setfattr").args(["-n", "user.note", "-v", "aimed"]).arg(path));
    }
    root
}

/// What plants it.
fn plant(lab: &Lab, case: &Planted) -> PathBuf {
    let root = lab.gate.source("planted");
    fs::create_dir_all(root.join(case.link).parent().unwrap()).unwrap();
    symlink((case.target)(lab), root.join(case.link)).unwrap();
    fs::write(root.join("a"), "content of a\n").unwrap();
    root
}

fn push(lab: &Lab, options: &[&str], from: &[&Path], to: &str) -> Ran {
    let from: Vec<_> = from.iter().map(|path| format!("{}/", path.display())).collect();
    let mut words = vec!["-aX"];
    words.extend(options);
    words.extend(from.iter().map(String::as_str));
    let to = format!("backup:{to}");
    words.push(&to);
    lab.gate.rsync(&words)
}

/// One case in one way. Everything is compared after each step, and what the last one left is told.
fn walk(case: &Planted, way: Way) -> Row {
    let mut lab = Lab::new();
    let planted = plant(&lab, case);
    let whole = aimed(&lab, case.aim);
    let through = whole.join(case.aim);
    let mut changed = Vec::new();
    let mut after = |lab: &mut Lab| changed.extend(lab.changes(copies()));
    let ran = match way {
        // Both at once: the link of one source, and the files behind it of another.
        Way::OnePush => push(&lab, case.options, &[&planted, &whole], ""),
        Way::TwoPushes => {
            assert_eq!(push(&lab, &[], &[&planted], "").status, 0);
            after(&mut lab);
            push(&lab, case.options, &[&through], case.aim)
        }
        Way::CutOff => {
            cut_off(&lab, &planted, &[], "");
            let kept = ["inprogress", ".snapgate/interrupted/1"].map(|place| lab.gate.inside(place).join(case.link));
            assert!(kept.iter().any(|link| link.is_symlink()), "the link is not among what was left behind");
            after(&mut lab);
            cut_off(&lab, &through, case.options, case.aim);
            after(&mut lab);
            push(&lab, case.options, &[&through], case.aim)
        }
        Way::Transaction => {
            lab.gate.say("prepare").exits(0);
            assert_eq!(push(&lab, &[], &[&planted], "").status, 0);
            after(&mut lab);
            push(&lab, case.options, &[&through], case.aim);
            after(&mut lab);
            lab.gate.say("complete")
        }
    };
    let found = lab.ending(&ran);
    after(&mut lab);
    // Where both are in one push or one transaction the first push's file is there as well.
    let whole = matches!(way, Way::OnePush | Way::Transaction);
    let expected = match (case.arrives, way) {
        (Some(tree), _) if whole => format!("published: a=644 {tree}"),
        (Some(tree), _) => format!("published: {tree}"),
        (None, Way::Transaction) => "published: a=644 p@".to_owned(),
        // The client may have the broken line before the status (see `Ran::exits`).
        (None, _) => "refused: option | rsync 12 option".to_owned(),
    };
    Row::new(case.name, &expected, found, changed).by(way)
}

#[test]
fn a_planted_link_leads_no_push_into_history() {
    let rows: Vec<_> = PLANTED.iter().flat_map(|case| Way::ALL.map(|way| walk(case, way))).collect();
    table("a planted link", rows);
}

/// Of a list that is all unchanged, so that its files share their inodes with history, one is told as longer by now, on the
/// basis that the sender chooses.
fn longer(name: &'static str, basis: u8, xname: Option<&'static str>) -> impl Fn(&mut Session, &Lab) -> Result<(), End> + 'static {
    move |session, _| {
        session.list(&base())?;
        let content = session.files[usize::try_from(session.index_of(name)).unwrap()].content.clone();
        let mut said = false;
        session.finish_with(|session, item| {
            // Everything has been looked at, and linked, by then.
            if item.index == say::DONE && !said {
                said = true;
                let length = i32::try_from(content.len()).unwrap();
                let sum = session.sum(&[&content[..], b"and more\n"].concat());
                let flags = say::TRANSFER | say::BASIS | if xname.is_some() { say::XNAME } else { 0 };
                session.out.item(session.index_of(name), flags).byte(basis);
                if let Some(xname) = xname {
                    session.out.vstring(xname.as_bytes());
                }
                session.out.sum_head([1, length, 16, length]).block(0).literal(b"and more\n").int(0).raw(&sum);
            }
            false
        });
        Ok(())
    }
}

/// A new file beside them, made of the file in the partial directory that the client names.
fn resumed(session: &mut Session, _: &Lab) -> Result<(), End> {
    let mut list = base();
    list.push(Entry::file("new", "content of a\n"));
    session.list(&list)?;
    session.finish_with(|session, item| {
        if item.flags & say::TRANSFER == 0 {
            return false;
        }
        let sum = session.sum(b"content of a\n");
        session.out.item(item.index, say::TRANSFER | say::BASIS).byte(0x81);
        session.out.sum_head([1, 13, 16, 13]).block(0).int(0).raw(&sum);
        true
    });
    Ok(())
}

/// The capabilities that have `I`: a file in the partial directory may be written in place.
const IN_PLACE: &str = "-ltpre.LsfxCI --partial-dir=d";

/// What comes of a forged basis: the file is made new, beside history's, or is left out, or the push ends.
#[derive(Clone, Copy)]
enum Comes {
    NewA,
    NewB,
    NoNew,
    Nothing,
}

impl Comes {
    fn of(self, way: Way) -> String {
        // Each push that went before shares what did not change.
        let names = if way == Way::TwoPushes { 4 } else { 3 };
        let (a, b) = match self {
            Self::NewA => ("a=644".to_owned(), format!("d/b=600*{names}")),
            Self::NewB => (format!("a=644*{}", names - 1), "d/b=600".to_owned()),
            Self::NoNew => (format!("a=644*{}", names - 1), format!("d/b=600*{names}")),
            Self::Nothing if way == Way::Transaction => {
                return "rsync 2; complete: published (rsync 65): a=644 d/ d/b=640 d/z=644 sent=644".to_owned();
            }
            Self::Nothing => return "rsync 2".to_owned(),
        };
        let (exit, partial) = if let Self::NoNew = self { (23, " (rsync 23)") } else { (0, "") };
        match way {
            Way::Transaction => {
                let told = if exit == 0 { "" } else { " (rsync 65)" };
                format!("rsync {exit}; complete: published{told}: {a} d/ {b} d/x=644*{names} d/z=644 l@ ro=444*{names} sent=644")
            }
            _ => format!("published{partial}: {a} d/ {b} d/x=644*{names} l@ ro=444*{names}"),
        }
    }
}

fn forged(way: Way) -> Vec<Case> {
    let new = |name, protocol, options, comes: Comes, lie: (&'static str, u8, Option<&'static str>)| {
        case(name, protocol, options, &comes.of(way), longer(lie.0, lie.1, lie.2))
    };
    // 3.2.7 takes a basis by whatever name it is told, where 3.5.0 ends. What that names is not there or not to be seen; nor is a file
    // that is to be linked there while rsync runs.
    let lax = old_server() == Some(USUAL);
    let unless_lax = |comes: Comes| if lax { comes } else { Comes::Nothing };
    let mut cases = Vec::new();
    for protocol in [29, 31] {
        cases.push(new("the file itself", protocol, "-ltpr", unless_lax(Comes::NewA), ("a", 0x80, None)));
        cases.push(new("the file itself, by a path", protocol, "-ltpr", unless_lax(Comes::NewB), ("d/b", 0x80, None)));
        cases.push(new("the backup", protocol, "-ltpr", unless_lax(Comes::NewA), ("a", 0x82, None)));
        cases.push(new("a similar file beside it", protocol, "-ltpry", unless_lax(Comes::NewB), ("d/b", 0x83, Some("x"))));
        cases.push(new("the snapshot's", protocol, "-ltpr", Comes::NewB, ("d/b", 0, None)));
    }
    cases.push(new("the partial file, in place", 31, IN_PLACE, unless_lax(Comes::NewA), ("a", 0x81, None)));
    cases.push(new("the partial file, in place, by a path", 32, IN_PLACE, unless_lax(Comes::NewB), ("d/b", 0x81, None)));
    cases.push(new("the file itself, in place", 31, "-ltpre.LsfxCI --inplace", unless_lax(Comes::NewA), ("a", 0x80, None)));
    cases.push(case("a new file of a partial one, in place", 31, IN_PLACE, &unless_lax(Comes::NoNew).of(way), resumed));
    cases.into_iter().map(|case| case.copying().by(way)).collect()
}

#[test]
fn a_forged_basis_changes_nothing_in_history() {
    run("a forged basis", &Way::ALL.into_iter().flat_map(forged).collect::<Vec<_>>());
}
