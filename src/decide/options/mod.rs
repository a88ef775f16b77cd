//! The one table of rsync's options: what each may do on the server of a push, and why. The parser, the policy's words,
//! the answers and the tests all read it. What does not stand in it is refused; no spelling is ever guessed or completed.

mod check;
pub(in crate::decide) mod rrsync;
mod table;

pub use check::Check;

use crate::terms::limits::MAX_SHOWN_WORD;
use crate::terms::reason::{Code, Reason};
use crate::terms::text::printable_within;

/// One option.
#[derive(Debug)]
pub struct Row {
    /// Its letter, which is also how it is printed unless it takes a value.
    pub letter: Option<char>,
    /// Its long spellings with their dashes, exact; the first is how it is printed where there is no letter.
    pub long: &'static [&'static str],
    /// Whether it takes a value.
    pub value: Value,
    /// Whose work it changes.
    pub side: Side,
    /// What becomes of it.
    pub rule: Rule,
    /// How often its letter means more than once (`-vv`, `-HH`); further ones add nothing and are not printed.
    pub repeats: usize,
    /// Why, in words that may stand after a colon and be read by the client.
    pub why: &'static str,
    /// What the client can do instead, as advice. Every refused option has one.
    pub instead: &'static str,
}

/// Whether an option takes a value, and which values it takes.
#[derive(Debug, Clone, Copy)]
pub enum Value {
    /// It takes none.
    None,
    /// `--long=value`, or right behind the letter.
    Attached(Check),
    /// The same, or the next word.
    Either(Check),
}

/// Whose work an option changes (rsync(1) and `server_options()` in rsync's `options.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Both ends must know of it.
    Both,
    /// The one that receives: on a push, the server.
    Receiver,
    /// The one that sends: on a push, the client, so that it means nothing here.
    Sender,
    /// The process that is started, whatever it does then.
    Process,
}

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It is passed on.
    Pass,
    /// It is accepted and not passed on; noted in the run's log.
    Drop,
    /// It is passed on, with a warning in the record.
    Warn,
    /// It is passed on, and what arrives is never published.
    NotABackup,
    /// The smaller of the client's number and ours is passed on, once.
    Smaller,
    /// It is passed on for an ordinary account; for root only where the policy allows this word.
    NeedsWordAsRoot(&'static str),
    /// It is refused with this code.
    Refuse(Code),
}

/// The row whose long spelling is exactly `name` (with its dashes, without a value).
#[must_use]
pub fn by_long(name: &str) -> Option<&'static Row> {
    rows().iter().find(|row| row.long.contains(&name))
}

/// The row whose letter is `letter`.
#[must_use]
pub fn by_letter(letter: char) -> Option<&'static Row> {
    rows().iter().find(|row| row.letter == Some(letter))
}

/// Every row, in the order in which options are printed.
#[must_use]
pub fn rows() -> &'static [Row] {
    table::ROWS
}

/// The words that a policy may write in `options: {allow: […]}`, each once, in the table's order.
#[must_use]
pub fn words_a_policy_may_allow() -> Vec<&'static str> {
    let mut words = Vec::new();
    for row in rows() {
        if let Rule::NeedsWordAsRoot(word) = row.rule
            && !words.contains(&word)
        {
            words.push(word);
        }
    }
    words
}

/// A client's word, made printable and short enough to quote.
pub(super) fn shown(word: &str) -> String {
    printable_within(word.as_bytes(), MAX_SHOWN_WORD)
}

impl Row {
    /// The option's name for people: its first long spelling, else its letter with a dash.
    #[must_use]
    pub fn name(&self) -> String {
        match (self.long.first(), self.letter) {
            (Some(long), _) => (*long).to_owned(),
            (None, Some(letter)) => format!("-{letter}"),
            (None, None) => String::new(),
        }
    }

    /// The reason for refusing the option as the client spelled it.
    pub(super) fn refusal(&self, code: Code, spelled: &str) -> Reason {
        let says = match code {
            Code::Option => format!("rsync's `{}` is not allowed: {}", shown(spelled), self.why),
            _ => self.why.to_owned(),
        };
        Reason::new(code, says).only_client(self.instead).detail(format!("the client's rsync sent `{}`: {}", shown(spelled), self.why))
    }

    /// The reason for asking for this option's word.
    pub(super) fn word_missing(&self, word: &str, spelled: &str) -> Reason {
        Reason::new(Code::Option, format!("rsync's `{}` is not allowed: {}", shown(spelled), self.why))
            .hint(self.instead)
            .detail(format!("the gate runs as root and the client sent `{}`, so it would choose who owns files here", shown(spelled)))
            .remedy(format!("add `{word}` to `options: {{allow: […]}}` in the policy, or give the client an account of its own"))
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
            if matches!(row.rule, Rule::Refuse(_) | Rule::NeedsWordAsRoot(_)) {
                assert!(!row.instead.is_empty() && !row.instead.ends_with('.'), "{row:?}");
            }
            assert!(row.repeats >= 1 && (row.repeats == 1 || row.letter.is_some()), "{row:?}");
        }
    }

    #[test]
    fn a_value_that_reaches_rsync_is_always_checked() {
        for row in rows() {
            let unchecked = matches!(row.value, Value::Attached(Check::Anything) | Value::Either(Check::Anything));
            let stays_here = matches!(row.rule, Rule::Drop | Rule::Refuse(_));
            assert!(!unchecked || stays_here, "{row:?}");
        }
    }

    #[test]
    fn what_only_a_sender_does_is_never_passed_on_by_a_receiver() {
        for row in rows().iter().filter(|row| row.side == Side::Sender) {
            assert!(matches!(row.rule, Rule::Refuse(_) | Rule::Drop), "{row:?}");
        }
    }

    #[test]
    fn a_policy_may_allow_owner_and_group() {
        assert_eq!(words_a_policy_may_allow(), ["owner", "group"]);
    }
}
