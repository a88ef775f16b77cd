//! Pushes of a part of a client's data: what they are compared with, and what becomes of the rest.
//!
//! Without `--delete` a push never removes anything in a transaction, or where the policy says
//! `merge`.

use serde::{Deserialize, Serialize};

use crate::decide::policy::{PartialPushes, Policy};
use crate::terms::limits::MAX_FULLER;
use crate::terms::{Code, Pushed, Reason, SubPath, Verb};

/// How many files a snapshot has, and the place of the push that it came of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Its name.
    pub snapshot: String,
    /// The place; the whole for a transaction, and where the rest was carried over.
    pub place: SubPath,
    /// The files.
    pub files: u64,
}

/// What is kept for comparison when there is a new snapshot, newest first: that, and earlier ones
/// that have more. They have places that its own does not cover, twice as many files, or a
/// directory at the top that it `lacks`.
pub fn remember(mut earlier: Vec<Counted>, new: Counted, lacks: impl Fn(&Counted) -> bool) -> Vec<Counted> {
    let has_more = |old: &Counted| !new.place.covers(&old.place) || old.files / 2 > new.files || lacks(old);
    earlier.retain(|old| old.snapshot != new.snapshot && has_more(old));
    while earlier.len() >= MAX_FULLER {
        let least = earlier.iter().enumerate().min_by_key(|(_, old)| old.files).map_or(0, |(at, _)| at);
        earlier.remove(least);
    }
    earlier.insert(0, new);
    earlier
}

/// Those that a push into `place` may have something in common with.
pub fn related<'a>(all: &'a [Counted], place: &'a SubPath) -> impl Iterator<Item = &'a Counted> {
    all.iter().filter(|counted| counted.place.covers(place) || place.covers(&counted.place))
}

/// The reason of a push into a part where these are not taken.
///
/// # Errors
/// With it.
pub fn admit(policy: &Policy, place: &SubPath, joins: bool) -> Result<(), Reason> {
    if policy.partial_pushes != PartialPushes::Refuse || joins || place.is_whole() {
        return Ok(());
    }
    let prepares = [Verb::Prepare, Verb::Complete].iter().all(|verb| policy.verbs.contains(verb));
    let hint = if prepares {
        "say `prepare`, push every part, then `complete`; or push the whole to host: without a place"
    } else {
        "push the whole to host: without a place"
    };
    Err(Reason::new(Code::Part, "a push into a part of the snapshot is not taken by itself")
        .hint(hint)
        .detail(format!("the push went into `{place}` with no transaction open: its snapshot would have nothing else"))
        .remedy("`partial_pushes: publish` takes such pushes, and `merge` carries over what they do not bring")
        .rule(policy.origins.of("partial_pushes")))
}

/// What the policy means for a push, for `explain`; nothing if that is ordinary.
pub fn explain(policy: &Policy, place: &SubPath, deletes: bool) -> Option<String> {
    let whole = place.is_whole();
    let at = if whole { "the snapshot".to_owned() } else { format!("`{place}`") };
    match policy.partial_pushes {
        PartialPushes::Merge if deletes && whole => Some("what is not sent is not in the new snapshot (`--delete`)".to_owned()),
        PartialPushes::Merge if deletes => {
            Some(format!("{at} has what is sent (`--delete`), and the rest of the last snapshot is carried over"))
        }
        PartialPushes::Merge => Some(format!("what the last snapshot has and is not sent is carried over, in {at} too")),
        PartialPushes::Refuse if !whole => Some("pushes into a part are taken between `prepare` and `complete` alone".to_owned()),
        PartialPushes::Publish if !whole => Some(format!("by itself it becomes a snapshot of {at} alone")),
        PartialPushes::Publish | PartialPushes::Refuse => None,
    }
}

/// Whether what earlier pushes or snapshots have at this place is to be left behind.
pub fn replaces(pushed: &[Pushed], place: &SubPath) -> bool {
    pushed.iter().any(|pushed| pushed.replaces && pushed.place == *place)
}

/// Whether something of an earlier snapshot may be missing from these pushes. If none is known,
/// because their gate was killed or was an older one, anything may be.
pub fn leaves_anything(pushed: &[Pushed]) -> bool {
    !replaces(pushed, &SubPath::default())
}

/// Whether the gate made a directory on the way to a place, and none of these pushes sent it: it is
/// then as before.
pub fn is_on_the_way(pushed: &[Pushed], directory: &SubPath) -> bool {
    let sent = |pushed: &Pushed| pushed.place.covers(directory) && !(pushed.untouched && pushed.place == *directory);
    pushed.iter().any(|pushed| directory.covers(&pushed.place)) && !pushed.iter().any(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> SubPath {
        SubPath::parse(text).unwrap()
    }

    fn remembered(pushes: &[(&str, &str, u64)]) -> Vec<String> {
        let counted =
            |(snapshot, at, files): &(&str, &str, u64)| Counted { snapshot: (*snapshot).to_owned(), place: place(at), files: *files };
        let all = pushes.iter().map(counted).fold(Vec::new(), |all, new| remember(all, new, |old| old.snapshot == "lacked"));
        all.into_iter().map(|counted| counted.snapshot).collect()
    }

    #[test]
    fn a_snapshot_is_remembered_until_a_later_one_has_as_much() {
        assert_eq!(remembered(&[("1", "", 1000), ("2", "", 990)]), ["2"]);
        assert_eq!(remembered(&[("1", "", 1000), ("2", "", 1), ("3", "", 1)]), ["3", "1"]);
        assert_eq!(remembered(&[("1", "etc", 2), ("2", "home", 40), ("3", "etc", 2)]), ["3", "2"]);
        assert_eq!(remembered(&[("1", "etc", 2), ("2", "home", 40), ("3", "", 42)]), ["3"]);
        assert_eq!(remembered(&[("1", "", 42), ("2", "etc", 2), ("3", "etc/ssh", 1)]), ["3", "2", "1"]);
        assert_eq!(remembered(&[("1", "etc/ssh", 1), ("2", "etc", 20)]), ["2"]);
        assert_eq!(remembered(&[("lacked", "", 600), ("2", "", 1000), ("3", "", 1000)]), ["3", "lacked"]);
        let many: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"].map(|name| (name, name, 5)).to_vec();
        let all = remembered(&[[("whole", "", 1000)].as_slice(), &many].concat());
        assert!(all.len() == MAX_FULLER && all.first().unwrap() == "j" && all.contains(&"whole".to_owned()), "{all:?}");
    }

    #[test]
    fn a_push_is_compared_with_snapshots_of_its_place_of_what_it_is_in_and_of_what_is_in_it() {
        let all = ["etc", "etc/ssh", "", "home"].map(|at| Counted { snapshot: at.to_owned(), place: place(at), files: 1 });
        let found = |at: &str| related(&all, &place(at)).map(|counted| counted.snapshot.clone()).collect::<Vec<_>>();
        assert_eq!(found("etc"), ["etc", "etc/ssh", ""]);
        assert_eq!(found("etc/ssh/keys"), ["etc", "etc/ssh", ""]);
        assert_eq!(found("srv"), [""]);
        assert_eq!(found("").len(), 4);
    }

    #[test]
    fn a_directory_on_the_way_is_told_from_one_that_was_sent() {
        let pushed = |at: &str, untouched| Pushed { place: place(at), replaces: false, untouched };
        let is = |pushed: &[Pushed], at: &str| is_on_the_way(pushed, &place(at));
        let one = [pushed("etc/ssh", false)];
        assert!(is(&one, "") && is(&one, "etc") && !is(&one, "etc/ssh") && !is(&one, "etc/ssh/x") && !is(&one, "home"));
        assert!(is(&[pushed("etc", true)], "etc") && !is(&[pushed("etc", true)], "etc/x"));
        let (part, whole) = (pushed("etc/ssh", false), pushed("", false));
        assert!(!is(&[part.clone(), whole.clone()], "etc") && !is(&[whole, part], "etc"), "one of them sent it");
    }

    #[test]
    fn where_no_push_is_known_anything_may_be_missing() {
        let whole = |replaces| Pushed { place: SubPath::default(), replaces, untouched: false };
        assert!(leaves_anything(&[]));
        assert!(leaves_anything(&[whole(false)]));
        assert!(!leaves_anything(&[whole(false), whole(true)]));
    }
}
