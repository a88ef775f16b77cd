//! What `snapgate help` explains besides its commands: the topics. Manual pages are made of the same texts, by `packaging/pages`.
//!
//! What the program has a table of is written from that table.

pub mod blocks;
pub mod keys;
mod plain;

use crate::decide::policy::yaml::Row;
use crate::decide::policy::{POLICY_KEYS, SITE_KEYS};
use crate::terms::word::table;
use crate::terms::{Code, Outcome, Verb};

table! {
    /// A topic, in the order in which `snapgate help` lists them.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Topic {
        /// The keys of `snapgate.yaml`, which holds for the whole server.
        Site = "site",
        /// The keys of a policy, which says what one client may do.
        Policy = "policy",
        /// How to say which snapshot.
        Snapshots = "snapshots",
        /// How to write sizes, numbers and shares of a disk.
        Sizes = "sizes",
        /// How to write spans of time, days and times.
        Times = "times",
        /// How to write the hours in which a client may come.
        Windows = "windows",
        /// How to write where a client may come from.
        Addresses = "addresses",
        /// What `snapgate check` looks at.
        Checks = "checks",
        /// What a client may ask for, and how.
        Verbs = "verbs",
        /// The codes of refusals and failures.
        Codes = "codes",
        /// How a connection ends: the word behind `result`.
        Outcomes = "outcomes",
        /// The exit codes of both programs.
        Exit = "exit",
        /// Where files are.
        Files = "files",
    }
}

impl Topic {
    /// The keys that it is about.
    #[must_use]
    pub fn rows(self) -> &'static [Row] {
        match self {
            Self::Site => SITE_KEYS,
            Self::Policy => POLICY_KEYS,
            Self::Snapshots
            | Self::Sizes
            | Self::Times
            | Self::Windows
            | Self::Addresses
            | Self::Checks
            | Self::Verbs
            | Self::Codes
            | Self::Outcomes
            | Self::Exit
            | Self::Files => &[],
        }
    }

    /// Its text.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Site => include_str!("topics/site.md").to_owned() + &keys::overview(SITE_KEYS),
            Self::Policy => include_str!("topics/policy.md").to_owned() + &keys::overview(POLICY_KEYS),
            Self::Snapshots => include_str!("topics/snapshots.md").to_owned(),
            Self::Sizes => include_str!("topics/sizes.md").to_owned(),
            Self::Times => include_str!("topics/times.md").to_owned(),
            Self::Windows => include_str!("topics/windows.md").to_owned(),
            Self::Addresses => include_str!("topics/addresses.md").to_owned(),
            Self::Checks => include_str!("topics/checks.md").to_owned(),
            Self::Verbs => include_str!("topics/verbs.md").to_owned() + &verbs(),
            Self::Codes => include_str!("topics/codes.md").to_owned() + &codes(),
            Self::Outcomes => include_str!("topics/outcomes.md").to_owned() + &outcomes(),
            Self::Exit => include_str!("topics/exit.md").to_owned(),
            Self::Files => include_str!("topics/files.md").to_owned(),
        }
    }
}

fn verbs() -> String {
    Verb::ALL.map(|verb| format!("| `{}` | {} |\n", verb.row().usage, verb.means())).concat()
}

fn codes() -> String {
    Code::ALL.map(|code| format!("| `{code}` ({}) | {} |\n", code.exit(), code.means())).concat()
}

fn outcomes() -> String {
    Outcome::ALL.map(|outcome| format!("| `{outcome}` | {} |\n", outcome.means())).concat()
}

/// A text, for a terminal of so many columns.
#[must_use]
pub fn shown(text: &str, columns: Option<usize>) -> String {
    plain::shown(&blocks::read(text), columns)
}

/// What there is to say of a key, with or without its colon, and of which file it is: of both, where both have it.
#[must_use]
pub fn key(topics: &[Topic], word: &str) -> Option<String> {
    let word = word.trim_end_matches(':');
    let found = |topic: &Topic| {
        let row = topic.rows().iter().find(|row| row.word == word)?;
        let file = if *topic == Topic::Site { "In the site file:" } else { "In a policy, or below `defaults:` in the site file:" };
        Some(format!("{file}\n\n{}", keys::key(row)))
    };
    let all: Vec<_> = topics.iter().filter_map(found).collect();
    (!all.is_empty()).then(|| all.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::exit;

    #[test]
    fn every_topic_says_something_that_fits_a_line() {
        for topic in Topic::ALL {
            let text = shown(&topic.text(), Some(80));
            assert!(text.lines().count() > 4 && text.lines().all(|line| line.chars().count() <= 80), "{topic}: {text}");
        }
    }

    #[test]
    fn the_exit_codes_are_all_said() {
        let text = Topic::Exit.text();
        let codes = [exit::USAGE, exit::DATA, exit::INTERNAL, exit::BUSY, exit::REFUSED, exit::CONFIG, exit::CLOSED];
        for code in codes.into_iter().chain(Code::ALL.map(Code::exit)) {
            assert!(text.contains(&format!("| {code} |")), "{code}");
        }
    }

    #[test]
    fn every_key_has_its_entry() {
        for (topic, rows) in [(Topic::Site, SITE_KEYS), (Topic::Policy, POLICY_KEYS)] {
            for row in rows {
                let text = key(&[topic], row.word).unwrap();
                assert!(text.contains(&format!("### `{}:`", row.word)) && topic.text().contains(&format!("`{}:`", row.word)));
            }
        }
        assert_eq!(key(&[Topic::Policy, Topic::Site], "quota:"), key(&[Topic::Policy], "quota"));
        assert_eq!(key(&Topic::ALL, "nothing"), None);
    }
}
