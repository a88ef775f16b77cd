//! What the last snapshot has and a new one has not. A client alone knows whether it has removed something or could not read it: its rsync
//! ends with 23 where a source is missing, and the server's with 0.
//!
//! It must never keep a push from being published: it may be just what the client wants.

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
}

/// What is worth a word: a name at the top that is gone, or more than half of all files. `before` and `now` are the files of the two trees, as
/// far as they are known.
pub fn judge(absent: Absent, before: Option<u64>, now: u64) -> Option<Lost> {
    let Absent { names, count, files, more } = absent;
    if count > 0 {
        return Some(Lost { names, others: count.saturating_sub(MAX_NAMES_LOST as u64), files, more });
    }
    let gone = before?.saturating_sub(now);
    let is_much = gone > now && gone >= LEAST_FILES_LOST;
    is_much.then_some(Lost { names: Vec::new(), others: 0, files: gone, more: false })
}

/// It, in words for the administrator.
pub fn told(lost: &Lost) -> String {
    let Lost { names, others, .. } = lost;
    let named = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let others = if *others > 0 { format!(" and {others} more") } else { String::new() };
    said(&format!("{named}{others}"), lost)
}

/// The same for the client. No names: whoever has its key could have them told one after the other, and may read nothing back.
pub fn told_to_client(lost: &Lost) -> String {
    said(&if directories(lost) == 1 { "1 directory".to_owned() } else { format!("{} directories", directories(lost)) }, lost)
}

fn said(directories_named: &str, lost: &Lost) -> String {
    let Lost { files, more, .. } = *lost;
    let least = if more { "at least " } else { "" };
    let files = if files == 1 { format!("{least}1 file") } else { format!("{least}{files} files") };
    match directories(lost) {
        0 => format!("{files} of the last snapshot are not in this one"),
        1 => format!("{directories_named} of the last snapshot is not in this one ({files})"),
        _ => format!("{directories_named} of the last snapshot are not in this one ({files})"),
    }
}

fn directories(lost: &Lost) -> u64 {
    lost.others.saturating_add(lost.names.len() as u64)
}

/// What follows, for the administrator.
pub const ADVICE: &str =
    "if the client has not removed this itself, its rsync could not read it and ended with 23: look there. The snapshots before have it";

#[cfg(test)]
mod tests {
    use super::*;

    fn absent(names: &[&str], files: u64) -> Absent {
        Absent { names: names.iter().map(ToString::to_string).collect(), count: names.len() as u64, files, more: false }
    }

    #[test]
    fn a_name_that_is_gone_is_told_and_so_is_more_than_half_of_the_files() {
        let lost = judge(absent(&["B"], 812), Some(1000), 188).unwrap();
        assert_eq!(told(&lost), "`B` of the last snapshot is not in this one (812 files)");
        assert_eq!(judge(Absent::default(), Some(1000), 500), None, "half of them");
        assert_eq!(told(&judge(Absent::default(), Some(1000), 499).unwrap()), "501 files of the last snapshot are not in this one");
        for (before, now) in [(Some(0), 0), (Some(5), 0), (None, 3), (Some(7), 900)] {
            assert_eq!(judge(Absent::default(), before, now), None, "{before:?} {now}");
        }
    }

    #[test]
    fn many_names_are_counted_and_few_of_them_said() {
        let many = Absent { count: MAX_NAMES_LOST as u64 + 3, files: 1, more: true, ..absent(&["a", "b"], 1) };
        assert_eq!(told(&judge(many, None, 0).unwrap()), "`a`, `b` and 3 more of the last snapshot are not in this one (at least 1 file)");
    }

    #[test]
    fn the_client_hears_how_much_is_gone_and_no_name() {
        let said = |names: &[&str], others| told_to_client(&Lost { others, ..judge(absent(names, 812), None, 0).unwrap() });
        assert_eq!(said(&["B"], 0), "1 directory of the last snapshot is not in this one (812 files)");
        assert_eq!(said(&["B", "C"], 5), "7 directories of the last snapshot are not in this one (812 files)");
        let scattered = judge(Absent::default(), Some(1000), 499).unwrap();
        assert_eq!(told_to_client(&scattered), told(&scattered));
    }
}
