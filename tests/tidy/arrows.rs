//! Who may use whom: layers whose arrows point down, and beside each other only the arrows that are listed here.

use std::collections::BTreeSet;

use super::house::House;

/// The layers, the lowest first. The stories of one program are nothing to the other.
const LAYERS: [&[&str]; 4] = [&["terms"], &["decide"], &["act"], &["gate", "admin"]];

/// Layers in which a room uses another one only along an arrow of [`ARROWS`]. The layer's own module joins its rooms.
const APART: [&str; 3] = ["act", "gate", "admin"];

/// These arrows: a layer, a room, and the room that it uses. A process closes itself in and is asked for names through the same
/// children, a repository asks whose ids an account may use, what removes snapshots and what reads them walk as a repository does, whoever needs the time asks the
/// one clock, whose spools come first the policies say, `maintain` does what other stories do when it is due, which `status` shows, and leaves what lasts to `states`, the digest tells of both,
/// `init` and `add-client` end with a check, what a client has beside its account is a policy and a repository, `remove-client` leaves to `watch` what waits for
/// a mail, and the command line starts every story.
const ARROWS: [(&str, &str, &str); 41] = [
    ("act", "accounts", "child"),
    ("act", "arrive", "clock"),
    ("act", "child", "clock"),
    ("act", "clients", "config"),
    ("act", "clients", "store"),
    ("act", "config", "several"),
    ("act", "history", "store"),
    ("act", "mend", "child"),
    ("act", "names", "child"),
    ("act", "prune", "store"),
    ("act", "pulls", "beneath"),
    ("act", "pulls", "record"),
    ("act", "pulls", "store"),
    ("act", "record", "clock"),
    ("act", "sandbox", "child"),
    ("act", "sandbox", "process"),
    ("act", "spools", "config"),
    ("act", "spools", "names"),
    ("act", "spools", "record"),
    ("act", "store", "clock"),
    ("act", "store", "names"),
    ("act", "ways", "child"),
    ("gate", "serve", "connection"),
    ("admin", "cli", EVERY),
    ("admin", "clients", "check"),
    ("admin", "digest", "prune"),
    ("admin", "digest", "states"),
    ("admin", "digest", "status"),
    ("admin", "clients", "watch"),
    ("admin", "drill", "prune"),
    ("admin", "init", "check"),
    ("admin", "log", "prune"),
    ("admin", "maintain", "prune"),
    ("admin", "maintain", "states"),
    ("admin", "metrics", "log"),
    ("admin", "metrics", "prune"),
    ("admin", "metrics", "status"),
    ("admin", "restore", "prune"),
    ("admin", "status", "maintain"),
    ("admin", "status", "prune"),
    ("admin", "status", "states"),
];

/// Every room of the layer.
const EVERY: &str = "*";

/// The only program that has the administrator's stories in it.
const ADMINISTRATORS: &str = "snapgate";

/// The rooms that remove and read snapshots, and what is said of others that would: a session cannot reach them, not even by way of
/// another room.
const ADMINISTRATORS_ROOMS: [([&str; 2], &str); 2] = [
    (["act", "prune"], "removes snapshots, which is the administrator's"),
    (["act", "history"], "reads snapshots, which is the administrator's"),
];

type Arrow = (String, String, String);

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// What is wrong with what a module uses, and the arrow between rooms that it is, if it is one.
fn judge(house: &House, here: &[String], used: &[String], arrows: &[(&str, &str, &str)]) -> (Option<String>, Option<Arrow>) {
    let (own, other) = (here.get(1).map_or("", String::as_str), used.get(1).map_or("", String::as_str));
    let told = |what: &str| (Some(format!("`{}` {what}", used.join("::"))), None);
    if used.first().is_none_or(|first| first != "crate") || other.is_empty() {
        return (None, None);
    }
    for (room, what) in ADMINISTRATORS_ROOMS {
        let is_in = |path: &[String]| path.iter().skip(1).take(room.len()).eq(room);
        if is_in(used) && !is_in(here) && own != "admin" {
            return told(what);
        }
    }
    if own == "bin" {
        let is_theirs = other == "admin" && here.last().is_some_and(|program| program != ADMINISTRATORS);
        return if is_theirs { told("is the administrator's") } else { (None, None) };
    }
    match (layer(own), layer(other)) {
        (_, None) => return told("is in no layer"),
        (None, _) => return (None, None),
        (Some(mine), Some(its)) if its > mine => return told("points up"),
        (Some(mine), Some(its)) if its == mine && own != other => return told("is the other program's"),
        (Some(_), Some(_)) => {}
    }
    let (Some(mine), Some(its)) = (here.get(2), used.get(2)) else { return (None, None) };
    if own != other || mine == its || !APART.contains(&own) || !house.has(&used[..3]) {
        return (None, None);
    }
    let is_listed = arrows.iter().any(|(layer, from, to)| *layer == own && from == mine && (to == its || *to == EVERY));
    let fault = format!("`{}` is a sibling: what two need is below them, or whoever is above joins them", used.join("::"));
    ((!is_listed).then_some(fault), Some((own.to_owned(), mine.clone(), its.clone())))
}

/// Everything that is wrong with the arrows of a crate.
fn faults(house: &House, arrows: &[(&str, &str, &str)]) -> Vec<String> {
    let (mut faults, mut used) = (BTreeSet::new(), BTreeSet::new());
    for module in house.modules("") {
        for said in module.said.iter().filter(|said| !said.is_member) {
            for path in house.means(module, &said.words) {
                let (fault, arrow) = judge(house, &module.path, &path, arrows);
                faults.extend(fault.map(|fault| format!("src/{}:{}: {fault}", module.file, said.line)));
                used.extend(arrow);
            }
        }
    }
    let mut faults: Vec<String> = faults.into_iter().collect();
    let is_used = |(layer, from, to): &(&str, &str, &str)| {
        used.iter().any(|used| used.0 == *layer && used.1 == *from && (used.2 == *to || *to == EVERY))
    };
    faults.extend(arrows.iter().filter(|arrow| !is_used(arrow)).map(|arrow| format!("nothing uses the arrow {arrow:?}")));
    faults.extend(in_a_circle(&used).map(|room| format!("the arrows from `{room}` lead back to it")));
    faults
}

/// A room from which these arrows lead back to it.
fn in_a_circle(arrows: &BTreeSet<Arrow>) -> Option<String> {
    let next = |layer: &str, room: &str| {
        let leaving: Vec<&Arrow> = arrows.iter().filter(|arrow| arrow.0 == layer && arrow.1 == room).collect();
        leaving.into_iter().map(|arrow| arrow.2.clone())
    };
    arrows.iter().find_map(|(layer, room, _)| {
        let (mut reached, mut open) = (BTreeSet::new(), vec![room.clone()]);
        while let Some(at) = open.pop() {
            open.extend(next(layer, &at).filter(|room| reached.insert(room.clone())));
        }
        reached.contains(room).then(|| format!("{layer}::{room}"))
    })
}

#[test]
fn arrows_point_down_and_rooms_and_stories_know_only_whom_they_may() {
    let all = faults(&House::real(), &ARROWS);
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn an_arrow_is_found_however_it_is_written() {
    for (file, code, expected) in [
        ("terms/path.rs", "use crate::decide::policy::Policy;", "`crate::decide::policy::Policy` points up"),
        ("terms/path.rs", "use crate::{terms::text, act::names};", "`crate::act::names` points up"),
        ("decide/push.rs", "use super::super::act::names;", "`crate::act::names` points up"),
        ("decide/push.rs", "fn f() { crate::admin::cli::run() }", "`crate::admin::cli::run` points up"),
        ("decide/push.rs", "fn f(x: &[Box<dyn crate::act::names::Name>]) {}", "`crate::act::names::Name` points up"),
        ("decide/push.rs", "fn f() { assert!(x, \"{}\", $crate::act::names::y()) }", "`crate::act::names::y` points up"),
        ("decide/push.rs", "macro_rules! m { () => { use crate::act::{names::x}; } }", "`crate::act::names::x` points up"),
        ("decide/push.rs", "#[serde(with = \"crate::act::names\")] struct X;", "`crate::act::names` points up"),
        ("decide/push.rs", "#[cfg(test)] mod tests {}\nfn f() { crate::act::names::x() }", "`crate::act::names::x` points up"),
        ("decide/push.rs", "impl X { #[cfg(test)] fn t() {} fn f() { crate::act::x() } }", "`crate::act::x` points up"),
        ("decide/push.rs", "mod inner { use super::super::super::act as a; }", "`crate::act` points up"),
        ("decide/push.rs", "use crate::helper;", "`crate::helper` is in no layer"),
        ("act/names.rs", "use super::mail::write;", "`crate::act::mail::write` is a sibling"),
        ("act/names.rs", "use crate::act::{child, mail};", "`crate::act::mail` is a sibling"),
        ("act/names.rs", "use super as act;\nfn f() { act::mail::write() }", "`crate::act::mail::write` is a sibling"),
        ("act/names.rs", "use crate::act::Write;", "`crate::act::mail::write` is a sibling"),
        ("act/child.rs", "use crate::act::sandbox;", "`crate::act::sandbox` is a sibling"),
        ("act/names.rs", "use crate::gate::serve;", "`crate::gate::serve` points up"),
        ("gate/serve.rs", "use crate::admin::watch;", "`crate::admin::watch` is the other program's"),
        ("admin/watch.rs", "use crate::gate::serve;", "`crate::gate::serve` is the other program's"),
        ("gate/serve.rs", "use super::rrsync;", "`crate::gate::rrsync` is a sibling"),
        ("admin/watch.rs", "use super::check::look;", "`crate::admin::check::look` is a sibling"),
        ("admin/watch.rs", "use super::cli;", "`crate::admin::cli` is a sibling"),
        ("bin/snapgate-shell.rs", "fn main() { snapgate::admin::cli::run() }", "`crate::admin::cli::run` is the administrator's"),
        ("gate/serve.rs", "use crate::act::prune::Opened;", "`crate::act::prune::Opened` removes snapshots"),
        ("gate/serve.rs", "use crate::act;\nfn f() { act::prune::remove() }", "`crate::act::prune::remove` removes snapshots"),
        ("act/sandbox.rs", "use super::prune;", "`crate::act::prune` removes snapshots"),
        ("bin/snapgate-shell.rs", "fn main() { snapgate::act::prune::remove() }", "`crate::act::prune::remove` removes snapshots"),
        ("gate/serve.rs", "use crate::act::history::Out;", "`crate::act::history::Out` reads snapshots"),
        ("act/child.rs", "use super::history;", "`crate::act::history` reads snapshots"),
        // What is allowed, for comparison.
        ("act/names.rs", "use crate::act::child::{self, Ask};\nuse crate::decide::push;\nuse crate::terms::path;", ""),
        ("act/mail/smtp.rs", "use super::Mail;\nuse crate::act::mail::Mail;", ""),
        ("gate/serve.rs", "use crate::act::{names, mail};\nuse super::Answer;", ""),
        ("gate/mod.rs", "pub mod serve;\nfn f() { serve::serve() }", ""),
        ("admin/cli.rs", "use super::{watch, check};", ""),
        ("admin/watch.rs", "use crate::act::prune::Opened;", ""),
        ("act/prune.rs", "use crate::act::prune::Opened;", ""),
        ("bin/snapgate.rs", "fn main() { snapgate::admin::cli::run() }", ""),
        ("terms/path.rs", "// crate::act is above\n#[cfg(test)]\nmod tests { use crate::act::names; }", ""),
        ("terms/path.rs", "const X: &str = \"crate::act\";", ""),
    ] {
        let empty = [
            "terms/text.rs", "decide/policy.rs", "act/child.rs", "act/history.rs", "act/prune.rs", "act/sandbox.rs", "gate/rrsync.rs",
            "gate/serve.rs", "admin/check.rs", "admin/cli.rs", "admin/watch.rs",
        ];
        let empty = empty.iter().filter(|other| **other != file).map(|other| (*other, ""));
        let act = ("act/mod.rs", "pub use mail::write as Write;");
        let others = empty.chain([act, ("act/mail/mod.rs", "pub fn write() {}")]);
        let house = House::planted(&others.chain([(file, code)]).collect::<Vec<_>>());
        let found: Vec<String> = faults(&house, &ARROWS).into_iter().filter(|fault| fault.starts_with("src/")).collect();
        let is_expected = |fault: &String| !expected.is_empty() && fault.starts_with(&format!("src/{file}:")) && fault.contains(expected);
        assert_eq!(
            found.iter().filter(|fault| is_expected(fault)).count(),
            usize::from(!expected.is_empty()),
            "{file}: {code}: {found:#?}"
        );
        assert!(found.len() <= 1, "{file}: {code}: {found:#?}");
    }
}

#[test]
fn the_list_of_arrows_is_what_is_used_and_leads_in_no_circle() {
    let planted = [("act/a.rs", "use super::b;"), ("act/b.rs", "use crate::act::c::X;"), ("act/c.rs", "")];
    let house = House::planted(&planted);
    let listed = [("act", "a", "b"), ("act", "b", "c")];
    assert_eq!(faults(&house, &listed), [""; 0]);
    assert_eq!(faults(&house, &[listed[0], listed[1], ("act", "c", "a")]), ["nothing uses the arrow (\"act\", \"c\", \"a\")"]);
    let house = House::planted(&[planted[0], planted[1], ("act/c.rs", "fn f() { super::a::x() }")]);
    assert_eq!(faults(&house, &[listed[0], listed[1], ("act", "c", "a")]), ["the arrows from `act::a` lead back to it"]);
}
