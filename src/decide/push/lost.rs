//! What the last snapshot has and a new one lacks. Only the client knows whether it removed that or
//! could not read it: its rsync ends with 23 if a source is missing, the server's with 0.
//!
//! It never keeps a push from being published: it may be what the client wants.

use crate::terms::limits::{LEAST_FILES_LOST, MAX_NAMES_LOST};
use crate::terms::record::Lost;

/// What directories are not at the top of a new tree and were there in the last one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Absent {
    /// The first names, printable.
    pub names: Vec<String>,
    /// How many there are.
    pub count: u64,
    /// Files beneath them.
    pub files: u64,
    /// Whether there may be more files.
    pub more: bool,
    /// Whether they were outside of the place that the push went into.
    pub outside: bool,
}

/// What is worth reporting: a name at the top that is gone, more than half of all files, or nine
/// tenths of however few. `before` and `now` are the files of both trees, if known.
pub fn judge(absent: Absent, before: Option<u64>, now: u64) -> Option<Lost> {
    let Absent { names, count, files, more, outside } = absent;
    if count > 0 {
        return Some(Lost { names, others: count.saturating_sub(MAX_NAMES_LOST as u64), files, more, outside });
    }
    let before = before?;
    let gone = before.saturating_sub(now);
    let is_much = (gone > now && gone >= LEAST_FILES_LOST) || before / MUCH_MORE >= now.max(1);
    is_much.then_some(Lost { files: gone, ..Lost::default() })
}

/// One snapshot has much more than another with so many times its files, however few these are.
const MUCH_MORE: u64 = 10;

/// It, in words for the administrator.
pub fn describe(lost: &Lost) -> String {
    let Lost { names, others, .. } = lost;
    let named = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let others = if *others > 0 { format!(" and {others} more") } else { String::new() };
    sentence(&format!("{named}{others}"), lost)
}

/// The same for the client, without names: whoever has its key may not read back, and could learn
/// them one by one.
pub fn describe_to_client(lost: &Lost) -> String {
    sentence(&if directories(lost) == 1 { "1 directory".to_owned() } else { format!("{} directories", directories(lost)) }, lost)
}

fn sentence(directories_named: &str, lost: &Lost) -> String {
    let Lost { files, more, .. } = *lost;
    let least = if more { "at least " } else { "" };
    let files = if files == 1 { format!("{least}1 file") } else { format!("{least}{files} files") };
    match directories(lost) {
        0 if lost.files == 1 => format!("{files} of the last snapshot is not in this one"),
        0 => format!("{files} of the last snapshot are not in this one"),
        1 => format!("{directories_named} of the last snapshot is not in this one ({files})"),
        _ => format!("{directories_named} of the last snapshot are not in this one ({files})"),
    }
}

fn directories(lost: &Lost) -> u64 {
    lost.others.saturating_add(lost.names.len() as u64)
}

/// The administrator's advice, for a push into `place` (`None`: the whole), or a transaction.
pub fn advice(lost: &Lost, place: Option<&str>) -> String {
    match place {
        Some(place) if lost.outside => format!(
            "the push went into `{place}` alone, and so `current` has nothing else. The snapshots before have it. To keep it: pushes between \
             `prepare` and `complete`, or `partial_pushes: merge` in the policy; `refuse` turns such pushes away"
        ),
        _ => "if the client has not removed this itself, its rsync could not read it and ended with 23, or it sent a part alone \
              (`--files-from`, filters): look there. The snapshots before have it"
            .to_owned(),
    }
}

/// The same for the client.
pub fn hint(lost: &Lost) -> &'static str {
    if lost.outside {
        "the push went into a part alone; to have all in one snapshot push the whole, or say `prepare`, push every part, then `complete`"
    } else {
        "if you have not removed this, look at what your rsync said, and push again"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absent(names: &[&str], files: u64) -> Absent {
        Absent { names: names.iter().map(ToString::to_string).collect(), count: names.len() as u64, files, ..Absent::default() }
    }

    #[test]
    fn a_name_that_is_gone_is_told_and_so_is_more_than_half_of_the_files() {
        let lost = judge(absent(&["B"], 812), Some(1000), 188).unwrap();
        assert_eq!(describe(&lost), "`B` of the last snapshot is not in this one (812 files)");
        assert_eq!(judge(Absent::default(), Some(1000), 500), None, "half of them");
        assert_eq!(describe(&judge(Absent::default(), Some(1000), 499).unwrap()), "501 files of the last snapshot are not in this one");
        let one = Lost { files: 1, ..Lost::default() };
        assert_eq!(describe(&one), "1 file of the last snapshot is not in this one");
        for (before, now) in [(10, 1), (30, 3), (19, 1)] {
            assert_eq!(judge(Absent::default(), Some(before), now).unwrap().files, before - now, "ten times as many, however few");
        }
        for (before, now) in [(Some(0), 0), (Some(5), 0), (None, 3), (Some(7), 900), (Some(9), 1)] {
            assert_eq!(judge(Absent::default(), before, now), None, "{before:?} {now}");
        }
    }

    #[test]
    fn many_names_are_counted_and_few_of_them_said() {
        let many = Absent { count: MAX_NAMES_LOST as u64 + 3, files: 1, more: true, ..absent(&["a", "b"], 1) };
        assert_eq!(
            describe(&judge(many, None, 0).unwrap()),
            "`a`, `b` and 3 more of the last snapshot are not in this one (at least 1 file)"
        );
    }

    #[test]
    fn the_client_hears_how_much_is_gone_and_no_name() {
        let said = |names: &[&str], others| describe_to_client(&Lost { others, ..judge(absent(names, 812), None, 0).unwrap() });
        assert_eq!(said(&["B"], 0), "1 directory of the last snapshot is not in this one (812 files)");
        assert_eq!(said(&["B", "C"], 5), "7 directories of the last snapshot are not in this one (812 files)");
        let scattered = judge(Absent::default(), Some(1000), 499).unwrap();
        assert_eq!(describe_to_client(&scattered), describe(&scattered));
    }
}
