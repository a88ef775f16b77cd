//! A pull of snapshots: which snapshot each of its paths begins with, and the rsync that sends it.
//!
//! What of a path is behind the snapshot is looked up by `act::beneath`, in that snapshot alone.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::cell::{self, Reader, SNAPSHOTS, Tree};
use super::{Candidate, History, Located, NotSelected};
use crate::decide::policy::Policy;
use crate::decide::push::outcome::{self, Ended};
use crate::decide::push::plan::Run;
use crate::decide::rsync::argv::Version;
use crate::decide::rsync::options;
use crate::decide::rsync::transfer::{self, Aim, Flags, Keeps, Name, Place, Setup, Spot, Transfer};
use crate::decide::sandbox::spec::{Confinement, Limits, Listing};
use crate::terms::limits::{MAX_LISTED, MAX_PULLED, MAX_QUOTED, MAX_SNAPSHOT_DEPTH, PULL_IDLE};
use crate::terms::text::{printable_within, still_printable};
use crate::terms::{Bytes, Code, Owners, Reason, SnapshotName};

/// What a pull asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks<'a> {
    /// To see which snapshots there are: all, or those in a directory.
    List(Place),
    /// Files.
    Files(Files<'a>),
}

/// The files that a pull asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files<'a> {
    /// The snapshots.
    pub snapshots: Vec<Named<'a>>,
    /// The paths, in the client's order.
    pub paths: Vec<Inside>,
    /// The lists that the sender reads, one for each of [`Transfer::options`].
    pub lists: Vec<Option<Inside>>,
}

/// A snapshot as a client calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<'a> {
    /// The client's word.
    pub word: String,
    /// What it means.
    pub snapshot: &'a SnapshotName,
}

/// A place in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// The number of the snapshot.
    pub snapshot: usize,
    /// The place from there.
    pub place: Place,
}

/// Finds the snapshots that a pull means.
///
/// # Errors
/// Where a path means none, or they are too many.
pub fn ask<'a>(transfer: &Transfer, history: &History<'a>) -> Result<Asks<'a>, Reason> {
    let mut files = Files { snapshots: Vec::new(), paths: Vec::new(), lists: Vec::new() };
    for place in &transfer.paths {
        match find(place, history)? {
            Where::Above if transfer.paths.len() == 1 => return Ok(Asks::List(place.clone())),
            Where::Above => return Err(no_snapshot("a path names no snapshot")),
            Where::In { word, snapshot, names } => {
                let inside = files.inside(word, snapshot, place.behind(names))?;
                files.paths.push(inside);
            }
        }
    }
    for (aim, places) in transfer.options() {
        let list = match (aim, places.first()) {
            (Aim::List, Some(place)) => match find(place, history)? {
                Where::Above => return Err(no_snapshot("the list of `--files-from` is in no snapshot")),
                Where::In { word, snapshot, names } => Some(files.inside(word, snapshot, place.behind(names))?),
            },
            (Aim::List | Aim::Backup | Aim::Partial | Aim::Temporary | Aim::Basis | Aim::Log, _) => None,
        };
        files.lists.push(list);
    }
    Ok(Asks::Files(files))
}

impl<'a> Files<'a> {
    fn inside(&mut self, word: String, snapshot: &'a SnapshotName, place: Place) -> Result<Inside, Reason> {
        let known = self.snapshots.iter().position(|named| named.word == word);
        let snapshot = match known {
            Some(known) => known,
            None => {
                // One would be seen within the other, where nothing can be shown.
                let within = |one: &str, other: &str| one.strip_prefix(other).is_some_and(|rest| rest.starts_with('/'));
                if self.snapshots.iter().any(|named| within(&named.word, &word) || within(&word, &named.word)) {
                    return Err(no_snapshot("the names of two snapshots begin alike"));
                }
                if self.snapshots.len() >= MAX_PULLED {
                    let says = format!("a command may read {MAX_PULLED} snapshots, and this one names more");
                    return Err(Reason::new(Code::TooLong, says).only_client("fetch them one after the other"));
                }
                self.snapshots.push(Named { word, snapshot });
                self.snapshots.len() - 1
            }
        };
        Ok(Inside { snapshot, place })
    }
}

enum Where<'a> {
    /// In no snapshot, but where they are.
    Above,
    /// In one, whose name takes so many of the path's.
    In { word: String, snapshot: &'a SnapshotName, names: usize },
}

fn find<'a>(place: &Place, history: &History<'a>) -> Result<Where<'a>, Reason> {
    let names: Vec<Vec<u8>> = place.names.iter().take_while(|name| !name.is_pattern()).take(MAX_SNAPSHOT_DEPTH).map(Name::bytes).collect();
    let words: Vec<&str> = names.iter().map_while(|name| std::str::from_utf8(name).ok()).collect();
    match history.locate(&words).map_err(|fault| not_selected(&fault))? {
        Located::Inside { snapshot, names } => {
            let word = words.get(..names).unwrap_or_default().join("/");
            Ok(Where::In { word, snapshot, names })
        }
        Located::Root | Located::Above(_) if words.len() == place.names.len() => Ok(Where::Above),
        Located::Root | Located::Above(_) => {
            let next = place.names.get(words.len());
            if next.is_some_and(Name::is_pattern) {
                return Err(no_snapshot("a wildcard stands for files of a snapshot, and not for snapshots"));
            }
            let shown = next.map(|name| printable_within(&name.bytes(), MAX_QUOTED)).unwrap_or_default();
            Err(not_selected(&NotSelected::Unknown(shown)))
        }
    }
}

fn no_snapshot(says: &str) -> Reason {
    Reason::new(Code::Snapshot, says).only_client("begin each path with one snapshot, for instance host:current/etc/")
}

/// The reason where no snapshot is meant.
pub fn not_selected(fault: &NotSelected) -> Reason {
    let hint = match fault {
        NotSelected::None => "push first",
        NotSelected::Word(_)
        | NotSelected::Unknown(_)
        | NotSelected::Ambiguous { .. }
        | NotSelected::TooEarly { .. }
        | NotSelected::NoneComplete => "rsync host: lists the snapshots that there are",
    };
    Reason::new(Code::Snapshot, fault.to_string()).only_client(hint)
}

/// The reason where a snapshot goes while it was to be read.
pub fn is_going(snapshot: &SnapshotName) -> Reason {
    Reason::new(Code::Snapshot, format!("`{snapshot}` is being removed")).only_client("choose another one: rsync host: lists them")
}

/// The reason where a snapshot's directory has a mode, which its client chose, that shuts out the
/// account.
pub fn is_shut(snapshot: &SnapshotName) -> Reason {
    Reason::new(Code::Snapshot, format!("`{snapshot}` cannot be read: its directory was pushed with a mode that shuts out its owner"))
        .hint("choose another one, or ask the administrator of the server to open it")
        .remedy("give its owner the right to read it: chmod u+rx")
}

/// The reason where nothing that was asked for is there. `there` is how many of the path's names
/// are.
pub fn not_there(snapshot: &SnapshotName, place: &Place, there: usize) -> Reason {
    let names: Vec<Vec<u8>> = place.names.iter().map(Name::bytes).collect();
    let shown = |names: &[Vec<u8>]| printable_within(&names.join(&b'/'), MAX_QUOTED);
    let nearest = match names.get(..there).unwrap_or_default() {
        [] => "nothing of that path is".to_owned(),
        names => format!("the nearest that is: `{}`", shown(names)),
    };
    let says = format!("`{}` is not in {snapshot}", shown(&names));
    Reason::new(Code::Path, says.clone()).only_client("look at the spelling, or into another snapshot").detail(format!("{says}; {nearest}"))
}

/// What holds the rsync of a pull, as far as the kernel can. Access lists of others have no ids
/// where an account is alone. What lists snapshots meets none.
pub fn confinement(transfer: &Transfer, asks: &Asks<'_>, jail: bool, policy: &Policy, owners: &Owners) -> Confinement {
    let lists = || options::by_long("--acls").is_some_and(|row| policy.options.allows(row));
    match jail {
        false => Confinement::None,
        true if matches!(asks, Asks::List(_)) => Confinement::View,
        true if transfer.lists && *owners == Owners::Account && lists() => Confinement::Jail,
        true => Confinement::View,
    }
}

/// Where snapshots are, and what reads them.
#[derive(Debug, Clone)]
pub struct Places<'a> {
    /// The real rsync.
    pub program: &'a Path,
    /// Its version.
    pub version: Version,
    /// The repository's `snapshots/`.
    pub snapshots: PathBuf,
    /// What holds rsync.
    pub confinement: Confinement,
    /// What it may use.
    pub limits: Option<Limits>,
}

/// The run that sends files. `paths` and `lists` were looked up.
pub fn send(
    transfer: &Transfer,
    policy: &Policy,
    files: &Files<'_>,
    places: &Places<'_>,
    paths: Vec<Spot>,
    lists: Vec<Option<Spot>>,
) -> Run {
    let trees = files
        .snapshots
        .iter()
        .map(|named| Tree { from: named.snapshot.below(&places.snapshots), to: Path::new(SNAPSHOTS).join(&named.word) });
    run(transfer, policy, places, trees.collect(), None, paths, lists)
}

/// The run that lists snapshots, as directories with the times at which they began.
pub fn list(transfer: &Transfer, policy: &Policy, history: &History<'_>, places: &Places<'_>, place: &Place) -> Run {
    let names: Vec<Vec<u8>> = place.names.iter().map(Name::bytes).collect();
    let spot = Spot {
        anchor: SNAPSHOTS.into(),
        marked: transfer.relative,
        rest: names.join(&b'/'),
        tail: if names.is_empty() { transfer::Tail::Dot } else { place.tail },
    };
    let listing = Listing { at: SNAPSHOTS.into(), entries: entries(history) };
    run(transfer, policy, places, Vec::new(), Some(listing), vec![spot], transfer.options().map(|_| None).collect())
}

/// The newest snapshots, those above them behind them, and `current`.
fn entries(history: &History<'_>) -> Vec<(String, i64)> {
    let mut all: Vec<&SnapshotName> = history.snapshots.iter().map(|Candidate { name, .. }| name).collect();
    all.sort_by_key(|name| std::cmp::Reverse(name.at));
    all.truncate(MAX_LISTED);
    let entry = |name: &SnapshotName| (name.to_string(), name.at.timestamp());
    let mut entries: Vec<(String, i64)> = all.iter().map(|name| entry(name)).collect();
    entries.extend(history.current.map(|current| (crate::terms::selector::CURRENT.to_owned(), current.at.timestamp())));
    // The first that is met of a directory is its newest.
    let mut above: Vec<(String, i64)> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for name in all {
        let mut rest = name.as_str();
        while let Some((directory, _)) = rest.rsplit_once('/') {
            if known.insert(directory) {
                above.push((directory.to_owned(), name.at.timestamp()));
            }
            rest = directory;
        }
    }
    above.sort_by_key(|(directory, _)| std::cmp::Reverse(directory.matches('/').count()));
    entries.extend(above);
    entries
}

fn run(
    transfer: &Transfer,
    policy: &Policy,
    places: &Places<'_>,
    trees: Vec<Tree>,
    listing: Option<Listing>,
    paths: Vec<Spot>,
    options: Vec<Option<Spot>>,
) -> Run {
    let view = places.confinement == Confinement::View;
    // What the policy has changed on the way in is changed back.
    let munge = policy.options.munges();
    let flags = Flags { munge, ..Flags::default() };
    let keeps = if view { Keeps::Kernel } else { Keeps::Walk(&places.snapshots) };
    let argv: Vec<OsString> =
        transfer::printed(transfer, &Setup { version: places.version, flags: &flags, keeps, spares_times: !view, options, paths });
    let directory = if view { SNAPSHOTS.into() } else { PathBuf::from("/") };
    let program = places.program.to_path_buf();
    cell::run(Reader { program, argv, directory, trees, listing, besides: Vec::new(), limits: places.limits }, places.confinement)
        .within(policy.deadline, PULL_IDLE)
}

/// The paths of a pull, for its record: cut, and how many there are besides.
pub fn shown(transfer: &Transfer, most: usize) -> (Vec<String>, u64) {
    let of = |place: &Place| {
        let names: Vec<Vec<u8>> = place.names.iter().map(Name::bytes).collect();
        still_printable(&format!("{}{}", printable_within(&names.join(&b'/'), MAX_QUOTED), place.tail.as_str()), MAX_QUOTED)
    };
    let paths: Vec<String> = transfer.paths.iter().take(most).map(of).collect();
    let others = transfer.paths.len().saturating_sub(paths.len());
    (paths, others as u64)
}

/// The reason where the kernel gives no view, in which alone they can be listed.
pub fn cannot_list() -> Reason {
    Reason::new(Code::Jail, "snapshots cannot be listed here").hint("name one: host:current/ is the newest").detail(
        "snapshots are listed to rsync in a file system of its own, and the kernel gives the account no namespaces or the site has no jail",
    )
}

/// What the administrator is told where a client was sent so much within a day; `None`: nothing.
pub fn sent_much(policy: &Policy, day: u64) -> Option<String> {
    let over = policy.restore.alert_over?;
    Some(format!("{} was sent {} within 24 hours, more than {} (`alert_over:`)", policy.client, Bytes(day), Bytes(over)))
}

/// Why a pull did not end well; `None`: it did.
pub fn failed(ended: Ended) -> Option<Reason> {
    let (says, detail, passing) = match ended {
        Ended::Exit(0) => return None,
        Ended::TooMuch(_) => return Some(outcome::unfinished(ended)),
        Ended::Exit(status @ (outcome::PARTIAL | outcome::VANISHED)) => (
            "not everything could be sent: see what rsync says",
            format!("rsync ended with status {status}: it could not send everything"),
            true,
        ),
        Ended::Exit(status) => ("the pull did not finish", format!("rsync ended with status {status}"), true),
        Ended::Signal(signal) => ("the pull did not finish", format!("signal {signal} ended rsync"), false),
        Ended::Deadline => ("the pull did not finish", "it took longer than `time_limits: {push: …}` lets a push run".to_owned(), true),
        Ended::Idle(limit) => ("the pull did not finish", format!("nothing moved in {} hours", limit.as_secs() / 3600), true),
        Ended::Gone => ("the pull did not finish", "the client was gone".to_owned(), true),
        Ended::Closed => ("the pull did not finish", "the pull was ended".to_owned(), true),
    };
    let reason = Reason::new(Code::Interrupted, says).hint("pull again: what is there already does not travel twice").detail(detail);
    Some(if passing { reason.passing() } else { reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::policy::{read_policy, read_site};
    use crate::decide::rsync::command::{Command, parse};
    use crate::terms::{NamePattern, Original, Zone};

    fn snapshots(pattern: &str, times: &[&str]) -> Vec<Candidate> {
        let pattern = NamePattern::new(pattern).unwrap();
        times.iter().map(|at| Candidate { name: pattern.name_at(at.parse().unwrap()), partial: false }).collect()
    }

    const NIGHTS: [&str; 3] = ["2026-11-18T02:00:00Z", "2026-11-19T02:00:00Z", "2026-11-20T02:00:00Z"];

    fn asked(pattern: &str, line: &str) -> Result<(Vec<(String, String)>, usize), Code> {
        let (all, zone) = (snapshots(pattern, &NIGHTS), Zone::utc());
        let history = History {
            snapshots: &all,
            current: all.last().map(|one| &one.name),
            now: "2026-11-20T12:00:00Z".parse().unwrap(),
            zone: &zone,
        };
        let line = format!("rsync --server --sender -r . {line}");
        let Ok(Command::Restore(restore)) = parse(&Original::Command(line.into_bytes())) else { panic!("no pull") };
        match ask(&restore.transfer.unwrap(), &history).map_err(|reason| reason.code)? {
            Asks::List(_) => Ok((Vec::new(), 0)),
            Asks::Files(files) => {
                let named = files.snapshots.iter().map(|named| (named.word.clone(), named.snapshot.to_string()));
                Ok((named.collect(), files.paths.len()))
            }
        }
    }

    #[test]
    fn each_path_begins_with_its_snapshot_and_one_word_is_one() {
        let (one, two) = ("2026-11-19T02-00-00Z".to_owned(), "2026-11-20T02-00-00Z".to_owned());
        let expected = vec![("@1d".to_owned(), one.clone()), ("current".to_owned(), two.clone())];
        assert_eq!(asked(NamePattern::DEFAULT, "@1d/a current/b @1d/*.c /@1d/./d"), Ok((expected, 4)));
        assert_eq!(asked(NamePattern::DEFAULT, "2026-11-19/x"), Ok((vec![("2026-11-19".to_owned(), one)], 1)));
        for list in ["", ".", "/"] {
            assert_eq!(asked(NamePattern::DEFAULT, list), Ok((Vec::new(), 0)), "{list}");
        }
        assert_eq!(asked("%Y/%m%d/%H%M", "2026/"), Ok((Vec::new(), 0)));
        let deep = asked("%Y/%m%d/%H%M", "2026/1119/0200/etc").unwrap();
        assert_eq!(deep.0, [("2026/1119/0200".to_owned(), "2026/1119/0200".to_owned())]);
    }

    #[test]
    fn what_names_no_snapshot_or_too_many_is_refused() {
        for line in ["*/x", "20*/x", "nothing", "2026-11", "@9d/x", "current/x .", "@never/x"] {
            assert_eq!(asked(NamePattern::DEFAULT, line), Err(Code::Snapshot), "{line}");
        }
        assert_eq!(asked("%Y/%m%d/%H%M", "2026/1*/x"), Err(Code::Snapshot));
        assert_eq!(asked("%Y/%m%d/%H%M", "2026/1119/02/a 2026/1119/0200/a").map(|(named, _)| named.len()), Ok(2));
        let many: Vec<_> = (0..=MAX_PULLED).map(|number| format!("@{number}h/x")).collect();
        assert_eq!(asked(NamePattern::DEFAULT, &many.join(" ")), Err(Code::TooLong));
    }

    #[test]
    fn whatever_a_client_asks_for_with_it_a_list_is_made_in_a_view() {
        let site = read_site(Path::new("/s.yaml"), b"store: /s\n").unwrap();
        let text = b"report: never\noptions: { allow: [acls] }\n";
        let policy = read_policy(Path::new("/c.yaml"), text, &"c".parse().unwrap(), &site).unwrap();
        let line = b"rsync --server --sender -rA . ".to_vec();
        let Ok(Command::Restore(restore)) = parse(&Original::Command(line)) else { panic!("no pull") };
        let transfer = restore.transfer.unwrap();
        let held = |asks: &Asks<'_>| confinement(&transfer, asks, true, &policy, &Owners::Account);
        assert!(transfer.lists);
        assert_eq!(held(&Asks::List(Place::default())), Confinement::View);
        let files = Files { snapshots: Vec::new(), paths: Vec::new(), lists: Vec::new() };
        assert_eq!(held(&Asks::Files(files)), Confinement::Jail);
    }

    #[test]
    fn a_list_has_every_level_with_the_time_of_its_newest() {
        let (all, zone) = (snapshots("%Y/%m%d/%H%M", &NIGHTS), Zone::utc());
        let history = History { snapshots: &all, current: Some(&all[0].name), now: "2026-11-20T12:00:00Z".parse().unwrap(), zone: &zone };
        let entries = entries(&history);
        let names: Vec<_> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["2026/1120/0200", "2026/1119/0200", "2026/1118/0200", "current", "2026/1120", "2026/1119", "2026/1118", "2026"]);
        let at = |name: &str| entries.iter().find(|(other, _)| other == name).unwrap().1;
        assert_eq!((at("2026"), at("2026/1118"), at("current")), (at("2026/1120/0200"), at("2026/1118/0200"), at("2026/1118/0200")));
    }
}
