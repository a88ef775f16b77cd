//! Maps with known keys. A key that is not known, or that stands twice, is a fault at the key itself.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

use crate::terms::text::printable;

use super::Wrong;
use super::shape::{NUMBER, refuse, refused, shape, wrong};

/// A map with known keys.
pub trait Table: Default {
    /// What is expected, with its article: `a policy`.
    const WHAT: &'static str;
    /// Every key.
    const KEYS: &'static [&'static str];

    /// Whether a key that is none of [`Table::KEYS`] is taken too.
    fn takes(_key: &str) -> bool {
        false
    }

    /// Takes the value of one of [`Table::KEYS`], or of another key that it says it takes.
    ///
    /// # Errors
    /// When the value is not right.
    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;

    /// Looks at the table as a whole.
    ///
    /// # Errors
    /// When its keys do not fit each other.
    fn whole(&self) -> Result<(), Wrong> {
        Ok(())
    }
}

/// A [`Table`] in a file.
#[derive(Debug, Clone, Default)]
pub struct TableOf<T>(pub T);

shape! {
    TableOf[T: Table], format_args!("{} (keys: {})", T::WHAT, T::KEYS.join(", ")), refuse text scalars list;
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut table = T::default();
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key_seed(Key { known: T::KEYS, takes: T::takes, what: T::WHAT, seen: &seen })? {
            table.take(&key, &mut map)?;
            seen.insert(key);
        }
        if seen.is_empty() {
            let keys = T::KEYS.join(", ");
            return Err(wrong(&Wrong::new("an empty table means nothing", format!("fill it with some of {keys}, or remove it"))));
        }
        table.whole().map_err(|problem| wrong(&problem))?;
        Ok(TableOf(table))
    }
}

/// A [`Table`] whose keys may all be missing: for each its value, and the shape in which it is written.
macro_rules! keys {
    ($(#[$of_all:meta])* $visible:vis struct $name:ident, $what:literal { $($key:ident: $value:ty as $shape:ty,)+ } $($more:tt)*) => {
        $(#[$of_all])*
        #[derive(Debug, Clone, Default)]
        $visible struct $name {
            $($key: Option<$value>,)+
        }

        impl $crate::decide::policy::yaml::Table for $name {
            const WHAT: &'static str = $what;
            const KEYS: &'static [&'static str] = &[$(stringify!($key)),+];

            fn take<'de, A: serde::de::MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
                match key {
                    $(stringify!($key) => self.$key = Some(map.next_value::<$shape>()?.0),)+
                    // Every other was refused when it was read.
                    _ => {}
                }
                Ok(())
            }

            $($more)*
        }
    };
}

pub(in crate::decide) use keys;

/// A key, read with the others in sight: so a fault stands at the key itself.
struct Key<'a> {
    known: &'static [&'static str],
    takes: fn(&str) -> bool,
    what: &'static str,
    seen: &'a BTreeSet<String>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = String;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "a key of {}", self.what)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let shown = printable(text.as_bytes());
        if !self.known.contains(&text) && !(self.takes)(text) {
            let help = match nearest(text, self.known) {
                Some(key) => format!("did you mean `{key}`?"),
                None => format!("the keys are {}", self.known.join(", ")),
            };
            return Err(wrong(&Wrong::new(format!("`{shown}` is not a key of {}", self.what), help)));
        }
        if self.seen.contains(text) {
            return Err(wrong(&Wrong::new(format!("the key `{shown}` stands here for the second time"), "keep one of them")));
        }
        Ok(text.to_owned())
    }

    refuse!(scalars list map);
}

/// The one of `known` that `text` could be a slip of the pen for: at most two letters away.
pub fn nearest<'a>(text: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|key| (distance(key, text), *key)).min();
    near.filter(|(changes, _)| *changes <= 2).map(|(_, key)| key)
}

/// How many letters to change, add or remove to make one word of the other (Levenshtein). Long words are far from all.
fn distance(one: &str, other: &str) -> usize {
    if one.len().abs_diff(other.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (line, left) in one.chars().enumerate() {
        let mut diagonal = line;
        let mut last = line + 1;
        for (right, cell) in other.chars().zip(row.iter_mut().skip(1)) {
            let substituted = diagonal + usize::from(left != right);
            diagonal = *cell;
            last = substituted.min(*cell + 1).min(last + 1);
            *cell = last;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}
