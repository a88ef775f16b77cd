//! Maps with known keys. An unknown or repeated key is a fault at the key itself.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer as _, MapAccess, SeqAccess, Visitor};

use crate::terms::text::printable;
use crate::terms::word::nearest;

use super::shape::{NUMBER, Text, Word, refuse, refused, shape, wrong};
use super::{Row, Wrong};

/// A map with known keys.
pub trait Table: Default {
    /// What is expected, with its article: `a policy`.
    const WHAT: &'static str;
    /// Every key.
    const ROWS: &'static [Row];

    /// Whether a key without a row is accepted, by [`Table::take_other`].
    fn takes(_key: &str) -> bool {
        false
    }

    /// Takes the value of a key with a row.
    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error>;

    /// Takes the value of a key without a row.
    fn take_other<'de, A: MapAccess<'de>>(&mut self, key: &str, _map: &mut A) -> Result<(), A::Error> {
        Err(wrong(&unknown(key, Self::WHAT, Self::ROWS)))
    }

    /// This, with the values of `usual` for missing keys.
    #[must_use]
    fn over(self, usual: Self) -> Self;

    /// Checks the table as a whole.
    fn whole(&self) -> Result<(), Wrong> {
        Ok(())
    }
}

/// A [`Table`] in a file.
#[derive(Debug, Clone, Default)]
pub struct TableOf<T>(pub T);

shape! {
    TableOf[T: Table], format_args!("{} (keys: {})", T::WHAT, words(T::ROWS)), refuse text scalars list;
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut table = T::default();
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key_seed(Key { known: T::ROWS, takes: T::takes, what: T::WHAT, seen: &seen })? {
            table.take(&key, &mut map)?;
            seen.insert(key);
        }
        if seen.is_empty() {
            let keys = words(T::ROWS);
            return Err(wrong(&Wrong::new("an empty table means nothing", format!("fill it with some of {keys}, or remove it"))));
        }
        table.whole().map_err(|problem| wrong(&problem))?;
        Ok(TableOf(table))
    }
}

/// A [`Table`], or a [`Word`] that stands for one.
#[derive(Debug, Clone)]
pub struct TableOrText<T, W>(pub Written<T, W>);

/// Which of them a file has.
#[derive(Debug, Clone)]
pub enum Written<T, W> {
    /// The table.
    Table(T),
    /// The word.
    Text(W),
}

impl<'de, T: Table, W: Word> Deserialize<'de> for TableOrText<T, W> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader<T, W>(PhantomData<(T, W)>);
        impl<'de, T: Table, W: Word> Visitor<'de> for Reader<T, W> {
            type Value = Written<T, W>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "{} (keys: {}), or {}", T::WHAT, words(T::ROWS), W::WHAT)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Text::deserialize(text.into_deserializer()).map(|Text(word)| Written::Text(word))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                TableOf::deserialize(MapAccessDeserializer::new(map)).map(|TableOf(table)| Written::Table(table))
            }
            refuse!(scalars list);
        }
        from.deserialize_any(Reader(PhantomData)).map(Self)
    }
}

/// A [`Table`] whose keys may all be missing. A row has the key's description as its comment, the
/// key with its type and its shape in the file, the default and an example.
macro_rules! keys {
    ($(#[$of_all:meta])* $visible:vis struct $name:ident, $what:literal {
        $($(#[doc = $means:literal])+ $key:ident: $value:ty as $shape:ty = $usual:expr, $example:literal;)+
    } $($more:tt)*) => {
        $(#[$of_all])*
        #[derive(Debug, Clone, Default)]
        $visible struct $name {
            $($key: Option<$value>,)+
        }

        impl $crate::decide::policy::yaml::Table for $name {
            const WHAT: &'static str = $what;
            const ROWS: &'static [$crate::decide::policy::yaml::Row] = &[$({
                use $crate::decide::policy::yaml::Usual::*;
                $crate::decide::policy::yaml::Row::new::<$shape, $value>(
                    stringify!($key), concat!($($means, "\n"),+), $usual, $example, |shape| shape.0,
                )
            }),+];

            fn take<'de, A: serde::de::MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
                match key {
                    $(stringify!($key) => self.$key = Some(map.next_value::<$shape>()?.0),)+
                    other => self.take_other(other, map)?,
                }
                Ok(())
            }

            fn over(self, usual: Self) -> Self {
                Self { $($key: self.$key.or(usual.$key),)+ }
            }

            $($more)*
        }
    };
}

pub(in crate::decide) use keys;

/// A key, read with the others in sight, so that a fault has the key's place.
struct Key<'a> {
    known: &'static [Row],
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
        if !self.known.iter().any(|row| row.word == text) && !(self.takes)(text) {
            return Err(wrong(&unknown(text, self.what, self.known)));
        }
        if self.seen.contains(text) {
            return Err(wrong(&Wrong::new(format!("the key `{shown}` stands here for the second time"), "keep one of them")));
        }
        Ok(text.to_owned())
    }

    refuse!(scalars list map);
}

fn words(rows: &[Row]) -> String {
    rows.iter().map(|row| row.word).collect::<Vec<_>>().join(", ")
}

/// The error for an unknown key, with a suggestion.
fn unknown(key: &str, what: &str, known: &[Row]) -> Wrong {
    let help = match nearest(key, known.iter().map(|row| row.word)) {
        Some(key) => format!("did you mean `{key}`?"),
        None => format!("the keys are {}", words(known)),
    };
    Wrong::new(format!("`{}` is not a key of {what}", printable(key.as_bytes())), help)
}
