//! The shapes of values: a word, a text, a list, a truth. Each accepts its kind alone, and nothing
//! that YAML would convert.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

use crate::terms::limits::MAX_LIST;
use crate::terms::text::printable;

use super::Wrong;

/// Marks our words in the parser's error. No file can hold it.
const MARK: char = '\u{1}';

/// A parser's error with our words.
pub fn wrong<E: Error>(wrong: &Wrong) -> E {
    E::custom(format_args!("{MARK}{}{MARK}{}{MARK}", wrong.message, wrong.help))
}

/// Our words in a parser's error.
pub(super) fn unmark(error_text: &str) -> Option<Wrong> {
    let mut parts = error_text.split(MARK);
    let (_, message, help, _) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(Wrong::new(message, help))
}

/// A value that is written as one text.
pub trait Word: Sized {
    /// What is expected, with its article: `a network`.
    const WHAT: &'static str;

    /// Reads it.
    fn read(text: &str) -> Result<Self, Wrong>;

    /// What is expected, with its range, for the manual.
    fn values() -> String {
        Self::WHAT.to_owned()
    }

    /// The words that it may be, with their meaning, where these are a few.
    fn choices() -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
}

/// Visits that a shape refuses.
macro_rules! refuse {
    ($($kind:ident)*) => { $(refuse!(@$kind);)* };
    (@text) => {
        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            refused(&self, &format!("`{}`", printable(text.as_bytes())), "")
        }
    };
    (@scalars) => {
        refuse!(truth numbers nothing);
    };
    (@truth) => {
        fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
            refused(&self, &format!("the truth value `{value}`"), "if it is a text, put it in quotes")
        }
    };
    (@numbers) => {
        refuse!(large);
        refuse!(@each visit_i64 i64, visit_u64 u64, visit_f64 f64);
    };
    (@large) => {
        refuse!(@each visit_i128 i128, visit_u128 u128);
    };
    (@each $($visit:ident $number:ty),+) => {
        $(fn $visit<E: Error>(self, value: $number) -> Result<Self::Value, E> {
            refused(&self, &format!("the number {value}"), NUMBER)
        })+
    };
    (@nothing) => {
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            refused(&self, "nothing", "give a value, or remove the key: an empty value means nothing")
        }
        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            self.visit_unit()
        }
        fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            refused(&self, "a YAML tag", "remove it")
        }
    };
    (@list) => {
        fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            refused(&self, "a list", super::shape::ONE_VALUE)
        }
    };
    (@map) => {
        fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
            refused(&self, "a table", "a text with `:` in it needs quotes, as an IPv6 address in brackets does: [\"2001:db8::/48\"]")
        }
    };
}

/// Implements a shape: what is expected, which visits are refused, and those that are accepted.
macro_rules! shape {
    ($shape:ident $([$kind:ident: $($bound:tt)+])?, $expected:expr, refuse $($refused:ident)+; $($accepted:tt)+) => {
        impl<'de, $($kind: $($bound)+)?> Deserialize<'de> for $shape<$($kind)?> {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Reader<$($kind)?>(PhantomData<($($kind,)?)>);
                impl<'de, $($kind: $($bound)+)?> Visitor<'de> for Reader<$($kind)?> {
                    type Value = $shape<$($kind)?>;
                    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(out, "{}", $expected)
                    }
                    $($accepted)+
                    refuse!($($refused)+);
                }
                from.deserialize_any(Reader(PhantomData))
            }
        }
    };
}

pub(super) use {refuse, shape};

pub(super) const NUMBER: &str = "if it is a text, put it in quotes";
pub(super) const ONE_VALUE: &str = "write one value without brackets and dashes";

pub(super) fn refused<'de, V: Visitor<'de>, T, E: Error>(visitor: &V, found: &str, help: &str) -> Result<T, E> {
    struct Expected<'a, V>(&'a V);
    impl<'de, V: Visitor<'de>> fmt::Display for Expected<'_, V> {
        fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.expecting(out)
        }
    }
    let expected = Expected(visitor).to_string();
    let help = if help.is_empty() { format!("write {expected}") } else { help.to_owned() };
    Err(wrong(&Wrong::new(format!("{found} is not {expected}"), help)))
}

/// Reads texts, and hands each on. It knows no type: so the parser is compiled once for all words,
/// and the program stays small.
struct Reader<'a> {
    what: &'a str,
    accepts: Accepts,
    take: &'a mut dyn FnMut(&str) -> Result<(), Wrong>,
}

/// What may stand where a word is expected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Accepts {
    Text,
    TextOrNumber,
    TextOrList,
    List,
}

impl Reader<'_> {
    fn number<E: Error>(self, value: impl fmt::Display) -> Result<Written, E> {
        let text = value.to_string();
        if self.accepts == Accepts::TextOrNumber { self.visit_str(&text) } else { refused(&self, &format!("the number {text}"), NUMBER) }
    }
}

/// Whether words stood alone or in a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Alone,
    InAList,
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Written;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Written, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Written;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.accepts {
            Accepts::Text | Accepts::TextOrNumber => out.write_str(self.what),
            Accepts::TextOrList => write!(out, "{}, or a list of such", self.what),
            Accepts::List => out.write_str("a list"),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Written, E> {
        let shown = printable(text.as_bytes());
        if self.accepts == Accepts::List {
            return refused(&self, &format!("`{shown}`"), &format!("write it in brackets: [\"{shown}\"]"));
        }
        // YAML has escapes for them.
        let control = text.chars().any(char::is_control);
        let read =
            if control { Err(Wrong::new(format!("`{shown}` has a control character in it"), "remove it")) } else { (self.take)(text) };
        read.map(|()| Written::Alone).map_err(|problem| wrong(&problem))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Written, E> {
        self.number(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Written, E> {
        self.number(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Written, E> {
        let help = if self.accepts == Accepts::TextOrNumber { "write a whole number" } else { NUMBER };
        refused(&self, &format!("the number {value}"), help)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Written, A::Error> {
        let Self { what, accepts: Accepts::TextOrList | Accepts::List, take } = self else {
            return refused(&self, "a list", ONE_VALUE);
        };
        let mut count = 0;
        while list.next_element_seed(Reader { what, accepts: Accepts::Text, take: &mut *take })?.is_some() {
            count = more(count)?;
        }
        filled(count).map(|()| Written::InAList)
    }

    refuse!(truth large nothing map);
}

/// Reads words as [`Accepts`] says.
fn words<'de, T: Word, D: Deserializer<'de>>(from: D, accepts: Accepts) -> Result<(Vec<T>, Written), D::Error> {
    let mut all = Vec::new();
    let mut take = |text: &str| T::read(text).map(|word| all.push(word));
    let written = Reader { what: T::WHAT, accepts, take: &mut take }.deserialize(from)?;
    Ok((all, written))
}

/// Reads one word.
fn word<'de, T: Word, D: Deserializer<'de>>(from: D, accepts: Accepts) -> Result<T, D::Error> {
    let (mut all, _) = words(from, accepts)?;
    all.pop().ok_or_else(|| D::Error::custom(T::WHAT))
}

/// A [`Word`] in a file.
#[derive(Debug, Clone)]
pub struct Text<T>(pub T);

impl<'de, T: Word> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        word(from, Accepts::Text).map(Self)
    }
}

/// A [`Word`] that may also be written as a whole number.
#[derive(Debug, Clone)]
pub struct Figure<T>(pub T);

impl<'de, T: Word> Deserialize<'de> for Figure<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        word(from, Accepts::TextOrNumber).map(Self)
    }
}

/// A list that is not empty.
#[derive(Debug, Clone)]
pub struct List<T>(pub Vec<T>);

/// One element more.
fn more<E: Error>(count: usize) -> Result<usize, E> {
    let too_many = || wrong(&Wrong::new(format!("the list has more than {MAX_LIST} elements"), "shorten it"));
    count.checked_add(1).filter(|count| *count <= MAX_LIST).ok_or_else(too_many)
}

/// A list with so many elements means something.
fn filled<E: Error>(count: usize) -> Result<(), E> {
    let empty = || wrong(&Wrong::new("an empty list means nothing: not `any`, and not `none`", "fill it, or remove the key"));
    if count == 0 { Err(empty()) } else { Ok(()) }
}

shape! {
    List[T: Deserialize<'de>], "a list", refuse scalars map;
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let shown = printable(text.as_bytes());
        refused(&self, &format!("`{shown}`"), &format!("write it in brackets: [\"{shown}\"]"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = list.next_element()? {
            more(all.len())?;
            all.push(element);
        }
        filled(all.len())?;
        Ok(List(all))
    }
}

/// A list of words that is not empty.
#[derive(Debug, Clone)]
pub struct Texts<T>(pub Vec<T>);

impl<'de, T: Word> Deserialize<'de> for Texts<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        words(from, Accepts::List).map(|(all, _)| Self(all))
    }
}

/// One word, or a list of them.
#[derive(Debug, Clone)]
pub struct Several<T>(pub Vec<T>);

impl<'de, T: Word> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        words(from, Accepts::TextOrList).map(|(all, _)| Self(all))
    }
}

/// The same, for whom it is not the same.
#[derive(Debug, Clone)]
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// A list.
    Many(Vec<T>),
}

impl<'de, T: Word> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (mut all, written) = words(from, Accepts::TextOrList)?;
        Ok(match all.pop() {
            Some(one) if written == Written::Alone => Self::One(one),
            last => Self::Many(all.into_iter().chain(last).collect()),
        })
    }
}

impl Word for String {
    const WHAT: &'static str = "a text";

    fn read(text: &str) -> Result<Self, Wrong> {
        Ok(text.to_owned())
    }
}

/// `true` or `false`.
#[derive(Debug, Clone, Copy)]
pub struct Truth(pub bool);

shape! {
    Truth, "true or false", refuse text numbers nothing list map;
    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Truth(value))
    }
}

/// No value at all: `~`, or nothing after the key.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

shape! {
    Nothing, "nothing", refuse text truth numbers list map;
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Nothing)
    }
}
