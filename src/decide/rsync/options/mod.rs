//! The one table of rsync's options: what each may do on the server of a push, and why. The parser, the policy's words,
//! the answers and the tests all read it. What does not stand in it is refused; no spelling is ever guessed or completed.

mod check;
mod choice;
mod row;
pub(in crate::decide) mod rrsync;
mod table;

pub use check::Check;
pub use choice::Choice;
pub use row::{Cause, Force, Row, Rule, Runs, Side, Value};

use crate::terms::limits::MAX_SHOWN_WORD;
use crate::terms::text::printable_within;
use crate::terms::{Code, Reason};

/// The row whose long spelling is exactly `name` (with its dashes, without a value).
pub fn by_long(name: &str) -> Option<&'static Row> {
    rows().iter().find(|row| row.long.contains(&name))
}

/// The row whose letter is `letter`.
pub fn by_letter(letter: char) -> Option<&'static Row> {
    rows().iter().find(|row| row.letter == Some(letter))
}

/// The row that a policy calls so: by a long spelling without its dashes, or, where it has none, by its word.
pub fn by_name(name: &str) -> Option<&'static Row> {
    let is_named =
        |row: &&Row| row.long.iter().any(|long| long.strip_prefix("--") == Some(name)) || (row.word() == name && !name.is_empty());
    rows().iter().find(is_named)
}

/// Every row, in the order in which options are printed.
pub fn rows() -> &'static [Row] {
    table::ROWS
}

/// A client's word, made printable and short enough to quote.
pub(crate) fn shown(word: &str) -> String {
    printable_within(word.as_bytes(), MAX_SHOWN_WORD)
}

impl Row {
    /// The reason for refusing the option as the client spelled it.
    pub(super) fn refusal(&self, cause: Cause, spelled: &str) -> Reason {
        let code = cause.code();
        let is_another_session = code != Code::Option;
        let says =
            if is_another_session { self.why.to_owned() } else { format!("rsync's `{}` is not allowed: {}", shown(spelled), self.why) };
        let reason = Reason::new(code, says).detail(format!("the client's rsync sent `{}`: {}", shown(spelled), self.why));
        match cause.never() {
            Some(_) => reason.only_client(self.instead),
            None => reason.hint(self.instead).remedy(self.how_to_allow()),
        }
    }

    /// The reason for asking for this option's word, where the gate runs so.
    pub(super) fn word_missing(&self, runs: Runs, spelled: &str) -> Reason {
        let spelled = shown(spelled);
        let (detail, remedy) = match runs {
            Runs::AsRoot => (
                format!("the gate runs as root and the client sent `{spelled}`, so it would choose who owns files here"),
                "or give the client an account of its own",
            ),
            Runs::AsAccount => (
                format!("the client's rsync sent `{spelled}`: {}", self.why),
                "and know that such a push runs without namespaces (docs/threat-model.md, \"What gives some of it up\")",
            ),
        };
        Reason::new(Code::Option, format!("rsync's `{spelled}` is not allowed: {}", self.why))
            .hint(self.instead)
            .detail(detail)
            .remedy(format!("{}, {remedy}", self.how_to_allow()))
    }

    /// The reason where the policy itself says no.
    pub(super) fn refused_by_policy(&self, word: &str, spelled: &str) -> Reason {
        let shown = shown(spelled);
        // What `-a` stands for is left out one by one.
        let hint = match self.letter {
            Some(letter) if "rlptgoD".contains(letter) => format!("leave it out: `-a` brings it, and --no-{letter} takes it back"),
            _ => format!("leave `{shown}` out"),
        };
        Reason::new(Code::Option, format!("rsync's `{shown}` is not allowed: the policy refuses it"))
            .hint(hint)
            .detail(format!("the client's rsync sent `{shown}`: the policy refuses it"))
            .remedy(format!("remove `{word}` from `options: {{refuse: […]}}` in the policy"))
    }

    /// What is said where the policy forces it.
    pub(super) fn forced(&self) -> String {
        match self.force {
            Force::May(what) => format!("the policy forces `{}`: {what}", self.name()),
            Force::Never(_) => String::new(),
        }
    }

    fn how_to_allow(&self) -> String {
        let word = if self.kin.is_empty() { self.word() } else { self.kin };
        format!("add `{word}` to `options: {{allow: […]}}` in the policy")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_stands_twice() {
        let mut seen = Vec::new();
        for row in rows() {
            for spelling in row.long.iter().map(|long| (*long).to_owned()).chain(row.letter.map(|letter| format!("-{letter}"))) {
                assert!(!seen.contains(&spelling), "{spelling} stands twice");
                seen.push(spelling);
            }
        }
    }

    #[test]
    fn every_row_can_be_reached_and_says_why() {
        for row in rows() {
            assert!(row.letter.is_some() || !row.long.is_empty(), "{row:?}");
            assert!(row.letter.is_none_or(|letter| std::ptr::eq(by_letter(letter).unwrap(), row)), "{row:?}");
            assert!(row.long.iter().all(|long| std::ptr::eq(by_long(long).unwrap(), row)), "{row:?}");
            assert!(row.long.iter().all(|long| long.starts_with("--") && !long.contains('=')), "{row:?}");
            assert!(!row.why.is_empty() && !row.why.ends_with('.'), "{row:?}");
            if matches!(row.rule, Rule::Refuse(_) | Rule::NeedsWord(_)) {
                assert!(!row.instead.is_empty() && !row.instead.ends_with('.'), "{row:?}");
            }
            assert!(row.repeats >= 1 && (row.repeats == 1 || row.letter.is_some()), "{row:?}");
        }
    }

    #[test]
    fn a_value_that_reaches_rsync_is_always_checked() {
        for row in rows() {
            let unchecked = matches!(row.value, Value::Attached(Check::Anything) | Value::Either(Check::Anything));
            let stays_here = matches!(row.rule, Rule::Drop | Rule::Refuse(_)) && !row.may_be_allowed();
            assert!(!unchecked || stays_here, "{row:?}");
        }
    }

    #[test]
    fn what_only_a_sender_does_is_never_passed_on_by_a_receiver() {
        for row in rows().iter().filter(|row| row.side == Side::Sender) {
            assert!(matches!(row.rule, Rule::Refuse(_) | Rule::Drop), "{row:?}");
        }
    }
}
