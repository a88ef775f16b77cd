//! rsync's words, taken apart by the option table. They keep their order and number, to which rsync
//! gives a meaning (`--link-dest` twice, `--no-relative` behind `-R`).

use super::words::{Word, plain};
use crate::decide::rsync::options::rrsync::{Bound, Table, Verdict};
use crate::decide::rsync::options::{self, NOT_TAKEN, Row, Value, bad_value, unlisted};
use crate::terms::text::printable_within;
use crate::terms::{Code, Reason};

/// An option that was found.
pub(super) struct Found {
    pub(super) row: &'static Row,
    pub(super) verdict: Verdict,
    pub(super) spelled: String,
    pub(super) value: Option<Word>,
}

/// What was read.
pub(super) struct Reading<'a> {
    table: &'static Table,
    pub(super) found: Vec<Found>,
    pub(super) reasons: Vec<Reason>,
    /// The words behind `.`.
    pub(super) paths: Option<&'a [Word]>,
}

impl<'a> Reading<'a> {
    /// Nothing yet.
    pub(super) fn of(table: &'static Table) -> Self {
        Self { table, found: Vec::new(), reasons: Vec::new(), paths: None }
    }

    pub(super) fn options(&mut self, mut words: &'a [Word]) {
        while let Some((word, rest)) = words.split_first() {
            words = rest;
            match plain(word).as_slice() {
                b"." => {
                    self.paths = Some(words);
                    return;
                }
                b"" => {}
                [b'-', b'-', ..] => words = self.long(word, words),
                [b'-', _, ..] => words = self.cluster(word, words),
                other => {
                    let says = format!("`{}` stands where an option should be", quoted(other));
                    self.reasons.push(Reason::new(Code::Command, says).only_client("use plain rsync, without words of your own"));
                }
            }
        }
    }

    fn long(&mut self, word: &'a Word, next: &'a [Word]) -> &'a [Word] {
        let equals = word.iter().position(|(byte, _)| *byte == b'=').unwrap_or(word.len());
        let (name, value) = word.split_at_checked(equals).unwrap_or((word, &[]));
        let name = String::from_utf8_lossy(&plain(name)).into_owned();
        let attached = (equals < word.len()).then(|| value.iter().skip(1).copied().collect());
        match options::by_long(&name) {
            Some(row) => self.option(row, name, attached, next),
            None => {
                self.unlisted(&name);
                next
            }
        }
    }

    fn cluster(&mut self, word: &'a Word, next: &'a [Word]) -> &'a [Word] {
        let mut letters = word.iter().skip(1);
        while let Some((byte, _)) = letters.next() {
            let name = format!("-{}", char::from(*byte));
            match options::by_letter(char::from(*byte)) {
                Some(row) if matches!(row.value, Value::None) => {
                    self.option(row, name, None, next);
                }
                // The rest of the word is the value, as for getopt and popt.
                Some(row) => {
                    let rest: Word = letters.copied().collect();
                    return self.option(row, name, (!rest.is_empty()).then_some(rest), next);
                }
                None => self.unlisted(&name),
            }
        }
        next
    }

    /// Adds an option; returns the words that are left.
    fn option(&mut self, row: &'static Row, spelled: String, attached: Option<Word>, next: &'a [Word]) -> &'a [Word] {
        let Some(verdict) = self.table.verdict(row, &spelled) else {
            self.unlisted(&spelled);
            return next;
        };
        let (value, next) = match (row.value, attached) {
            (Value::None, None) => (None, next),
            (Value::None, Some(_)) => {
                self.reasons.push(bad_value(&spelled, "it takes no value", "leave the value out"));
                return next;
            }
            (Value::Attached(_) | Value::Either(_), Some(value)) => (Some(value), next),
            (Value::Attached(_) | Value::Either(_), None) => match next.split_first() {
                Some((value, rest)) => (Some(value.clone()), rest),
                None => {
                    self.reasons.push(bad_value(&spelled, "its value is missing", "give it a value"));
                    return next;
                }
            },
        };
        let bound = match (verdict, row.value) {
            (Verdict::If(bound), _) => Some(bound),
            (Verdict::Pass, Value::Attached(check) | Value::Either(check)) => Some(Bound::Table(check)),
            (Verdict::Pass, Value::None) | (Verdict::Path(_) | Verdict::Drop | Verdict::Follows | Verdict::Refuse(_), _) => None,
        };
        if let (Some(bound), Some(value)) = (bound, &value)
            && !String::from_utf8(plain(value)).is_ok_and(|text| bound.allows(&text))
        {
            let whole = format!("{spelled}={}", quoted(&plain(value)));
            self.reasons.push(bad_value(&whole, NOT_TAKEN, bound.expected()));
            return next;
        }
        self.found.push(Found { row, verdict, spelled, value });
        next
    }

    fn unlisted(&mut self, name: &str) {
        let reason = unlisted(name.as_bytes());
        if self.reasons.iter().all(|known| known.says != reason.says) {
            self.reasons.push(reason);
        }
    }
}

/// A client's bytes, printable and short.
pub(super) fn quoted(bytes: &[u8]) -> String {
    printable_within(bytes, crate::terms::limits::MAX_SHOWN_WORD)
}
