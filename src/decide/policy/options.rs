//! `options:` of a policy: names of rsync's options, each held against the table. A name that would change nothing, or that
//! the store can never have, is a fault of the file.

use serde::de::MapAccess;

use crate::decide::options::{self, Choice, Row, Rule, Unfit};
use crate::decide::yaml::{Table, Texts, Word, Wrong, nearest};
use crate::terms::text::printable;

/// The table below `options:`.
#[derive(Debug, Clone, Default)]
pub(super) struct OptionKeys(pub(super) Choice);

impl Table for OptionKeys {
    const WHAT: &'static str = "`options`";
    const KEYS: &'static [&'static str] = &["refuse", "allow", "force"];

    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        match key {
            "refuse" => self.0.refuse = map.next_value::<Texts<Refused>>()?.0.into_iter().map(|Refused(word)| word).collect(),
            "force" => self.0.force = map.next_value::<Texts<Forced>>()?.0.into_iter().map(|Forced(word)| word).collect(),
            _ => self.0.allow = map.next_value::<Texts<Allowed>>()?.0.into_iter().map(|Allowed(word)| word).collect(),
        }
        Ok(())
    }

    fn whole(&self) -> Result<(), Wrong> {
        match self.0.allow.iter().find(|word| self.0.refuse.contains(word)) {
            Some(word) => Err(Wrong::new(format!("`{word}` stands in both lists of `options`"), "remove it from one of them")),
            None => Ok(()),
        }
    }
}

/// A name in `refuse:`.
#[derive(Debug, Clone)]
struct Refused(&'static str);

impl Word for Refused {
    const WHAT: &'static str = "an option that a policy may refuse";

    fn read(text: &str) -> Result<Self, Wrong> {
        options::to_refuse(text).map(Self).map_err(|unfit| match unfit {
            Unfit::Already(row) => Wrong::new(format!("`{text}` is refused anyway: {}", row.why), "remove it from the list"),
            _ => unknown(text, Row::may_be_refused),
        })
    }
}

/// A name in `allow:`.
#[derive(Debug, Clone)]
struct Allowed(&'static str);

impl Word for Allowed {
    const WHAT: &'static str = "an option that a policy may allow";

    fn read(text: &str) -> Result<Self, Wrong> {
        options::to_allow(text).map(Self).map_err(|unfit| match unfit {
            Unfit::Never(_, why) => Wrong::new(format!("`{text}` can never be allowed: {why}"), "remove it from the list"),
            Unfit::Already(row) if row.rule == Rule::Drop => {
                Wrong::new(format!("`{text}` is accepted anyway, and never passed on: {}", row.why), "remove it from the list")
            }
            Unfit::Already(_) => Wrong::new(format!("`{text}` is allowed anyway"), "remove it from the list"),
            Unfit::GoesBy(word) => {
                Wrong::new(format!("`{text}` is allowed anyway, unless the gate is root"), format!("for a gate that is root, write {word}"))
            }
            Unfit::Unknown => unknown(text, Row::may_be_allowed),
        })
    }
}

/// A name in `force:`.
#[derive(Debug, Clone)]
struct Forced(&'static str);

impl Word for Forced {
    const WHAT: &'static str = "an option that a policy may force";

    fn read(text: &str) -> Result<Self, Wrong> {
        options::to_force(text).map(Self).map_err(|unfit| match unfit {
            Unfit::Never(_, why) => Wrong::new(format!("`{text}` can never be forced: {why}"), "remove it from the list"),
            _ => unknown(text, Row::may_be_forced),
        })
    }
}

/// What could have been meant by a name that is none.
fn unknown(text: &str, fits: fn(&Row) -> bool) -> Wrong {
    let words: Vec<&str> = options::rows().iter().filter(|row| fits(row)).map(Row::word).collect();
    let plain = text.trim_start_matches('-');
    let mut letters = plain.chars();
    let by_letter = match (letters.next(), letters.next()) {
        (Some(letter), None) => options::by_letter(letter).map(Row::word).filter(|word| !word.is_empty()),
        _ => None,
    };
    let meant = by_letter.or_else(|| words.iter().copied().find(|word| *word == plain)).or_else(|| nearest(plain, &words));
    let help = match meant {
        Some(word) => format!("did you mean `{word}`?"),
        None if words.len() <= SHORT_LIST => format!("these can stand here: {}", words.join(", ")),
        None => "write an option's long name without dashes, as in rsync(1) and docs/options.md".to_owned(),
    };
    Wrong::new(format!("`{}` is not the name of an option", printable(text.as_bytes())), help)
}

/// A list that is short enough to be shown whole.
const SHORT_LIST: usize = 20;
