//! rsync's words, taken apart by the option table's syntax and judged by its second column. Unlike a push of snapshots they keep
//! their order and their number, since rsync gives both a meaning (`--link-dest` twice, `--no-relative` behind `-R`).

use super::words::{Word, plain};
use crate::decide::rsync::options::rrsync::{self, Bound, Verdict};
use crate::decide::rsync::options::{self, Row, Value, shown};
use crate::terms::text::printable_within;
use crate::terms::{Code, Reason};

/// An option as it was found.
pub(super) struct Found {
    pub(super) row: &'static Row,
    pub(super) verdict: Verdict,
    /// As the client spelled it, without a value.
    pub(super) spelled: String,
    pub(super) value: Option<Word>,
}

/// What reading has gathered.
#[derive(Default)]
pub(super) struct Reading<'a> {
    pub(super) found: Vec<Found>,
    pub(super) reasons: Vec<Reason>,
    /// The words behind `.`; `None` while there was none.
    pub(super) paths: Option<&'a [Word]>,
}

impl<'a> Reading<'a> {
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

    /// Adds an option; what is left of the words behind it comes back.
    fn option(&mut self, row: &'static Row, spelled: String, attached: Option<Word>, next: &'a [Word]) -> &'a [Word] {
        let Some(verdict) = rrsync::verdict(row, &spelled) else {
            self.unlisted(&spelled);
            return next;
        };
        let (value, next) = match (row.value, attached) {
            (Value::None, None) => (None, next),
            (Value::None, Some(_)) => {
                self.bad_value(&spelled, "it takes no value", "leave the value out");
                return next;
            }
            (Value::Attached(_) | Value::Either(_), Some(value)) => (Some(value), next),
            (Value::Attached(_) | Value::Either(_), None) => match next.split_first() {
                Some((value, rest)) => (Some(value.clone()), rest),
                None => {
                    self.bad_value(&spelled, "its value is missing", "give it a value");
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
            self.bad_value(&whole, "its value is not one that is taken here", &bound.expected());
            return next;
        }
        self.found.push(Found { row, verdict, spelled, value });
        next
    }

    fn bad_value(&mut self, spelled: &str, why: &str, instead: &str) {
        self.reasons.push(Reason::new(Code::Option, format!("rsync's `{}` is not allowed: {why}", shown(spelled))).only_client(instead));
    }

    fn unlisted(&mut self, name: &str) {
        let says = format!("rsync's `{}` is not allowed: it is not an option that is known here", shown(name));
        if self.reasons.iter().all(|reason| reason.says != says) {
            self.reasons.push(Reason::new(Code::Option, says).only_client("leave it out, also of -M (--remote-option) and --rsync-path"));
        }
    }
}

/// A client's bytes, made printable and short enough to quote.
pub(super) fn quoted(bytes: &[u8]) -> String {
    printable_within(bytes, crate::terms::limits::MAX_SHOWN_WORD)
}
