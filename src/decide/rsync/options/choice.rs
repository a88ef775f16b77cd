//! What a policy says of options. A name that would widen what the table forbids is an error.

use super::{Row, rows};

/// A policy's `options:`, each name the word of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// `refuse:` Accepted by the table, refused here.
    pub refuse: Vec<&'static str>,
    /// `allow:` Refused by the table, or to some gates, accepted here.
    pub allow: Vec<&'static str>,
    /// `force:` Done by the server's rsync, whatever the client asks for.
    pub force: Vec<&'static str>,
}

impl Choice {
    /// The name by which the policy refuses an option: its own, or its kin's.
    pub fn refuses(&self, row: &Row) -> Option<&'static str> {
        self.refuse.iter().copied().find(|name| covers(name, row))
    }

    /// Whether the policy allows an option.
    pub fn allows(&self, row: &Row) -> bool {
        self.allow.iter().any(|name| covers(name, row))
    }

    /// The options that the server's rsync is always given, in the table's order.
    pub fn forced(&self) -> impl Iterator<Item = &'static Row> {
        rows().iter().filter(|row| row.may_be_forced() && self.force.contains(&row.word()))
    }

    /// Whether symlinks are stored so that they lead nowhere, and get their own text back when they
    /// are restored.
    pub fn munges(&self) -> bool {
        self.forced().any(|row| row.long.contains(&"--munge-links"))
    }

    /// Their effects, for the run's log and for `explain`.
    pub fn forces(&self) -> Vec<String> {
        self.forced().map(Row::forced).collect()
    }
}

fn covers(name: &str, row: &Row) -> bool {
    !name.is_empty() && (name == row.word() || name == row.kin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::rsync::options::{Rule, Value, by_long};

    #[test]
    fn only_what_the_servers_side_can_do_alone_is_forced() {
        let can: Vec<_> = rows().iter().filter(|row| row.may_be_forced()).map(Row::word).collect();
        assert_eq!(can, ["munge-links"]);
        for row in rows().iter().filter(|row| row.may_be_forced()) {
            // What is printed is the long spelling without a value, and clients may not ask for it.
            assert!(!row.word().is_empty() && matches!(row.value, Value::None) && matches!(row.rule, Rule::Refuse(_)), "{row:?}");
            let choice = Choice { force: vec![row.word()], ..Choice::default() };
            assert!(choice.forced().eq([row]) && !choice.allows(row) && choice.refuses(row).is_none(), "{row:?}");
        }
    }

    #[test]
    fn a_name_covers_the_forms_of_its_option() {
        let choice = Choice { refuse: vec!["delete", "compress"], allow: vec!["owner"], ..Choice::default() };
        for long in ["--delete", "--delete-during", "--delete-excluded", "--del"] {
            assert_eq!(choice.refuses(by_long(long).unwrap()), Some("delete"), "{long}");
        }
        assert_eq!(choice.refuses(by_long("--compress-choice").unwrap()), Some("compress"));
        assert_eq!(choice.refuses(by_long("--max-delete").unwrap()), None);
        assert!(choice.allows(by_long("--usermap").unwrap()) && !choice.allows(by_long("--groupmap").unwrap()));
        assert!(!choice.allows(by_long("--append").unwrap()));
        for row in rows().iter().filter(|row| !row.kin.is_empty()) {
            assert!(rows().iter().any(|other| other.word() == row.kin), "{row:?}");
        }
    }
}
