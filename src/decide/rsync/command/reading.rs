//! rsync's words, taken apart by the option table. No spelling is guessed or completed.

use crate::decide::owners::idpairs;
use crate::decide::rsync::options::{self, Check, NOT_TAKEN, Row, Rule, Value, bad_value, shown, unlisted};
use crate::terms::{Code, Reason};

/// The words still to be read: an option may take the next one as its value.
type Words<'w, 'a> = &'w mut dyn Iterator<Item = &'a [u8]>;

/// Advice on a path that fell apart.
pub(super) const SPACE: &str =
    "if a path has a space in it, add -s (--secluded-args), or put a backslash before it, or use rsync 3.2.4 or newer, which does";

/// An option that was found, however often.
pub(super) struct Found {
    pub(super) row: &'static Row,
    /// As the client spelled it the first time, without a value.
    pub(super) spelled: String,
    pub(super) count: usize,
    /// The last value, as rsync itself would have it.
    pub(super) value: Option<String>,
}

/// What was read.
#[derive(Default)]
pub(super) struct Reading {
    pub(super) found: Vec<Found>,
    pub(super) reasons: Vec<Reason>,
    /// The words behind `.`, which name files.
    pub(super) destinations: Option<Vec<Vec<u8>>>,
    strays: usize,
}

impl Reading {
    pub(super) fn has(&self, long: &str) -> bool {
        self.found.iter().any(|found| found.row.long.contains(&long))
    }

    /// Reads options up to a `.`, and takes what follows as it is.
    pub(super) fn options<'a, W: AsRef<[u8]> + 'a>(&mut self, words: impl Iterator<Item = &'a W>) {
        self.read(&mut words.map(AsRef::as_ref));
    }

    fn read<'a>(&mut self, words: Words<'_, 'a>) {
        while let Some(word) = words.next() {
            if word == b"." {
                self.destinations = Some(words.map(<[u8]>::to_vec).collect());
                return;
            }
            let Ok(text) = std::str::from_utf8(word) else {
                self.unlisted(word);
                continue;
            };
            if text.starts_with("--") {
                self.long(text, words);
            } else if text.len() > 1
                && let Some(letters) = text.strip_prefix('-')
            {
                self.cluster(letters, words);
            } else {
                self.stray(text);
            }
        }
    }

    fn long(&mut self, word: &str, next: Words<'_, '_>) {
        let (name, attached) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        match options::by_long(name) {
            Some(row) => self.option(row, name, attached, next),
            None => self.unlisted(name.as_bytes()),
        }
    }

    fn cluster(&mut self, letters: &str, next: Words<'_, '_>) {
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            let name = format!("-{letter}");
            match options::by_letter(letter) {
                Some(row) if matches!(row.value, Value::None) => self.option(row, &name, None, next),
                // The rest of the word is the value, as for getopt and popt.
                Some(row) => {
                    let rest = letters.as_str();
                    return self.option(row, &name, (!rest.is_empty()).then_some(rest), next);
                }
                None => self.unlisted(name.as_bytes()),
            }
        }
    }

    fn option(&mut self, row: &'static Row, name: &str, attached: Option<&str>, next: Words<'_, '_>) {
        let (check, value) = match (row.value, attached) {
            (Value::None, None) => (Check::Anything, None),
            (Value::None, Some(_)) => return self.bad_value(row, name, "it takes no value", "leave the value out"),
            (Value::Attached(check) | Value::Either(check), Some(value)) => (check, Some(value.to_owned())),
            (Value::Either(check), None) => match next.next().map(std::str::from_utf8) {
                Some(Ok(value)) => (check, Some(value.to_owned())),
                Some(Err(_)) => return self.bad_value(row, name, "its value is not UTF-8", "use a value in UTF-8"),
                None => return self.bad_value(row, name, "its value is missing", "give it a value"),
            },
            (Value::Attached(check), None) => return self.bad_value(row, name, "its value is missing", &check.expected()),
        };
        if let Some(value) = &value
            && !check.allows(value)
            && !names_somebody(check, value)
        {
            return self.bad_value(row, &format!("{name}={value}"), NOT_TAKEN, &check.expected());
        }
        self.add(row, name, value);
    }

    fn add(&mut self, row: &'static Row, name: &str, value: Option<String>) {
        match self.found.iter_mut().find(|found| std::ptr::eq(found.row, row)) {
            Some(found) => {
                found.count += 1;
                found.value = value;
            }
            None => self.found.push(Found { row, spelled: name.to_owned(), count: 1, value }),
        }
    }

    /// Refuses a value, or the option itself where no policy can allow it.
    fn bad_value(&mut self, row: &'static Row, spelled: &str, why: &str, instead: &str) {
        let mut instead = instead.to_owned();
        if let Rule::Refuse(_) = row.rule {
            if !row.may_be_allowed() {
                let name = spelled.split_once('=').map_or(spelled, |(name, _)| name);
                return self.add(row, name, None);
            }
            instead = format!("{}; where the policy allows it, {instead}", row.instead);
        }
        self.reasons.push(bad_value(spelled, why, instead));
    }

    fn unlisted(&mut self, name: &[u8]) {
        let reason = unlisted(name);
        if self.reasons.iter().all(|known| known.says != reason.says) {
            self.reasons.push(reason);
        }
    }

    /// A word where an option should be. Only the first is reported, since others follow from it.
    fn stray(&mut self, word: &str) {
        self.strays += 1;
        if self.strays == 1 {
            let says = format!("`{}` stands where an option should be", shown(word));
            self.reasons.push(Reason::new(Code::Command, says).only_client(SPACE));
        }
    }
}

/// Whether it is a map that names an account of the server's. It is never passed on; whether it is
/// refused depends on whose the files are. Accounts of domains may have `\` and `+` in their names.
pub(super) fn names_somebody(check: Check, value: &str) -> bool {
    matches!(check, Check::NumberMapping) && !idpairs::names_nobody(value) && Check::Mapping.allows(&value.replace(['\\', '+'], "_"))
}

impl Found {
    /// Its name and value for people.
    pub(super) fn shown(&self) -> String {
        self.value.as_ref().map_or_else(|| shown(&self.spelled), |value| shown(&format!("{} {value}", self.spelled)))
    }
}
