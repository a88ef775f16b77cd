//! What of today's findings is new: a timer looks every day, and whoever knows of something need
//! not read of it again.

use std::collections::BTreeSet;

/// What a finding is known by: its text without the figures that every day changes. A word that
/// only ends in a figure, such as a client's name, stays, and so does the number of an account.
pub(crate) fn known_by(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let mut before = "";
    let words = first.split_ascii_whitespace().filter(|word| {
        let is_whose = matches!(std::mem::replace(&mut before, word), "user" | "uid" | "group" | "gid");
        is_whose || !word.starts_with(|first: char| first.is_ascii_digit())
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Those that were not there before, of findings row by row: the first of each row before the second
/// of any, as somebody may be able to make any number for one of them.
pub(crate) fn new(before: &BTreeSet<String>, rows: &[Vec<String>]) -> Vec<String> {
    let new = |row: &Vec<String>| row.iter().filter(|text| !before.contains(&known_by(text))).cloned().collect::<Vec<_>>().into_iter();
    let mut rows: Vec<_> = rows.iter().map(new).collect();
    let turns = std::iter::from_fn(|| Some(rows.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>()).filter(|turn| !turn.is_empty()));
    turns.flatten().collect()
}

/// What is known of today's findings once these were told: what was not told is new the next time.
pub(crate) fn known<'a>(before: &BTreeSet<String>, now: impl Iterator<Item = &'a String>, told: &[String]) -> BTreeSet<String> {
    let told: BTreeSet<String> = told.iter().map(|text| known_by(text)).collect();
    now.map(|text| known_by(text)).filter(|text| before.contains(text) || told.contains(text)).collect()
}

/// As many of them as a note of so many bytes holds, as JSON: one that is longer is not read again,
/// and everything in it would be new every day.
pub(crate) fn remembered(known: BTreeSet<String>, most: u64) -> BTreeSet<String> {
    let mut bytes = 2;
    let fits = |text: &String| {
        // A byte is written as six at most (RFC 8259, 7), with quotes and a comma.
        bytes += serde_json::to_string(text).map_or(text.len() * 6, |json| json.len()) as u64 + 1;
        bytes <= most
    };
    known.into_iter().take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_can_be_read_again() {
        let known: BTreeSet<String> = (0..1000).map(|number| format!("\"{number}\u{1}\"")).collect();
        for most in [1, 2, 100, 5000] {
            let kept = remembered(known.clone(), most);
            let bytes = serde_json::to_vec(&kept).unwrap().len() as u64;
            assert!(bytes <= most.max(2) && (bytes + 30 > most || kept == known), "{most}: {bytes}");
        }
        assert_eq!(remembered(known.clone(), 1 << 20), known);
    }

    #[test]
    fn any_number_of_one_kind_hides_none_of_another_and_what_was_not_told_stays_new() {
        let junk: Vec<String> = (0..150).map(|number| format!("junk j{number}")).collect();
        let rows = [vec!["first".to_owned()], junk.clone(), vec![], vec!["open".to_owned(), "late".to_owned()]];
        let before = BTreeSet::from([known_by("first")]);
        let all = new(&before, &rows);
        assert_eq!((all.len(), &all[..4]), (152, ["junk j0", "open", "junk j1", "late"].map(str::to_owned).as_slice()));
        let known = known(&before, rows.iter().flatten(), &all[..99]);
        assert_eq!(new(&known, &rows), junk[97..], "the rest is told tomorrow");
        assert!(known.contains("first") && known.len() == 100);
        let gone = super::known(&known, junk.iter(), &[]);
        assert!(!gone.contains("open"), "what is gone is new when it comes again");
    }

    #[test]
    fn what_only_its_figures_tell_apart_is_known_and_another_client_s_is_not() {
        let text = |days: u32, client: &str| {
            format!("/etc/{client}.yaml:3: `{client}` has not pushed for {days} days, since 2026-01-{days}\nhelp")
        };
        let before = BTreeSet::from([known_by(&text(3, "web1"))]);
        assert_eq!(new(&before, &[vec![text(4, "web1"), text(3, "web2")]]), [text(3, "web2")]);
        let owner = |uid: u32| format!("`/srv/web1` belongs to user {uid}, and has 3 entries");
        assert_eq!(new(&BTreeSet::from([known_by(&owner(1002))]), &[vec![owner(1003)]]), [owner(1003)]);
    }
}
