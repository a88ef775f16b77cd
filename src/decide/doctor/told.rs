//! What of today's findings is new: a timer looks every day, and whoever knows of something need
//! not read of it again.

use std::collections::BTreeSet;

/// What a finding is known by: its text without the figures that every day changes. A word that
/// only ends in a figure, such as a client's name, stays.
pub(crate) fn known_by(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let words = first.split_ascii_whitespace().filter(|word| !word.starts_with(|first: char| first.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

/// Those that were not there before.
pub(crate) fn new<'a>(before: &BTreeSet<String>, now: &'a [String]) -> Vec<&'a String> {
    now.iter().filter(|text| !before.contains(&known_by(text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_its_figures_tell_apart_is_known_and_another_client_s_is_not() {
        let text = |days: u32, client: &str| {
            format!("/etc/{client}.yaml:3: `{client}` has not pushed for {days} days, since 2026-01-{days}\nhelp")
        };
        let before = BTreeSet::from([known_by(&text(3, "web1"))]);
        assert_eq!(new(&before, &[text(4, "web1"), text(3, "web2")]), [&text(3, "web2")]);
    }
}
