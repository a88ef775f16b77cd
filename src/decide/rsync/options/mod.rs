//! The one table of rsync's options: what each may do on the server of a push, and why. The parser,
//! policies, answers and tests all read it. What is not in it is refused.

mod check;
mod choice;
pub(in crate::decide) mod restore;
mod row;
pub(in crate::decide) mod rrsync;
mod table;

pub use check::Check;
pub use choice::Choice;
pub use restore::on_restore;
pub use row::{Cause, Force, Row, Rule, Runs, Side, Value};

use crate::terms::limits::MAX_SHOWN_WORD;
use crate::terms::text::printable_within;
use crate::terms::{Code, Reason};

/// The row of a long spelling, with its dashes and without a value.
pub fn by_long(name: &str) -> Option<&'static Row> {
    rows().iter().find(|row| row.long.contains(&name))
}

/// The row of a letter.
pub fn by_letter(letter: char) -> Option<&'static Row> {
    rows().iter().find(|row| row.letter == Some(letter))
}

/// The row of a policy's name: a long spelling without dashes, or the row's word.
pub fn by_name(name: &str) -> Option<&'static Row> {
    let is_named =
        |row: &&Row| row.long.iter().any(|long| long.strip_prefix("--") == Some(name)) || (row.word() == name && !name.is_empty());
    rows().iter().find(is_named)
}

/// Every row, in the order in which options are printed.
pub fn rows() -> &'static [Row] {
    table::ROWS
}

/// A client's word, printable and short.
pub(crate) fn shown(word: &str) -> String {
    printable_within(word.as_bytes(), MAX_SHOWN_WORD)
}

/// Why a value is refused that its option does not take.
pub(in crate::decide) const NOT_TAKEN: &str = "its value is not one that is taken here";

/// The reason for refusing an option, or an option with its value.
pub(in crate::decide) fn not_allowed(spelled: &str, why: &str) -> Reason {
    Reason::new(Code::Option, format!("rsync's `{}` is not allowed: {why}", shown(spelled)))
}

/// The reason for refusing an option's value.
pub(in crate::decide) fn bad_value(spelled: &str, why: &str, instead: impl Into<String>) -> Reason {
    not_allowed(spelled, why).only_client(instead)
}

/// The reason for refusing an option that the table does not have.
pub(in crate::decide) fn unlisted(name: &[u8]) -> Reason {
    let says = format!("rsync's `{}` is not allowed: it is not an option that is known here", printable_within(name, MAX_SHOWN_WORD));
    Reason::new(Code::Option, says).only_client("leave it out, also of -M (--remote-option) and --rsync-path")
}

impl Row {
    /// The reason for refusing the option as the client spelled it.
    pub(super) fn refusal(&self, cause: Cause, spelled: &str) -> Reason {
        let code = cause.code();
        let reason = if code == Code::Option { not_allowed(spelled, self.why) } else { Reason::new(code, self.why) };
        let reason = reason.detail(format!("the client's rsync sent `{}`: {}", shown(spelled), self.why));
        match cause.never() {
            Some(_) => reason.only_client(self.instead),
            None => reason.hint(self.instead).remedy(self.how_to_allow()),
        }
    }

    /// The reason where such a gate needs the policy's word for it.
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
        let remedy = format!("{}, {remedy}", self.how_to_allow());
        not_allowed(&spelled, self.why).hint(self.instead).detail(detail).remedy(remedy)
    }

    /// The reason where the policy refuses it.
    pub(super) fn refused_by_policy(&self, word: &str, spelled: &str) -> Reason {
        let shown = shown(spelled);
        // `-a` brings several options, which are left out one by one.
        let hint = match self.letter {
            Some(letter) if "rlptgoD".contains(letter) => format!("leave it out: `-a` brings it, and --no-{letter} takes it back"),
            _ => format!("leave `{shown}` out"),
        };
        not_allowed(spelled, "the policy refuses it")
            .hint(hint)
            .detail(format!("the client's rsync sent `{shown}`: the policy refuses it"))
            .remedy(format!("remove `{word}` from `options: {{refuse: […]}}` in the policy"))
    }

    /// The effect where the policy forces it.
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
