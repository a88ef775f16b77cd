//! The shapes of values: a word, a text, a list, a truth. Each accepts its kind alone, and nothing
//! that YAML would convert.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

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

/// Reads a text, unless an escape of YAML put a control character into it.
fn read<T: Word, E: Error>(text: &str) -> Result<T, E> {
    let plain = || {
        let shown = printable(text.as_bytes());
        let control = text.chars().any(char::is_control);
        if control { Err(Wrong::new(format!("`{shown}` has a control character in it"), "remove it")) } else { T::read(text) }
    };
    plain().map_err(|problem| wrong(&problem))
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
        refuse!(@each visit_i64 i64, visit_u64 u64, visit_i128 i128, visit_u128 u128, visit_f64 f64);
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
            refused(&self, "a list", "write one value without brackets and dashes")
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

/// A [`Word`] in a file.
#[derive(Debug, Clone)]
pub struct Text<T>(pub T);

shape! {
    Text[T: Word], T::WHAT, refuse scalars list map;
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        read(text).map(Text)
    }
}

/// A [`Word`] that may also be written as a whole number.
#[derive(Debug, Clone)]
pub struct Figure<T>(pub T);

shape! {
    Figure[T: Word], T::WHAT, refuse truth nothing list map;
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        read(text).map(Figure)
    }
    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        self.visit_str(&value.to_string())
    }
    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.visit_str(&value.to_string())
    }
    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        refused(&self, &format!("the number {value}"), "write a whole number")
    }
}

/// A list that is not empty.
#[derive(Debug, Clone)]
pub struct List<T>(pub Vec<T>);

fn elements<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(mut list: A) -> Result<Vec<T>, A::Error> {
    let mut all = Vec::new();
    while let Some(element) = list.next_element()? {
        if all.len() >= MAX_LIST {
            return Err(wrong(&Wrong::new(format!("the list has more than {MAX_LIST} elements"), "shorten it")));
        }
        all.push(element);
    }
    if all.is_empty() {
        return Err(wrong(&Wrong::new("an empty list means nothing: not `any`, and not `none`", "fill it, or remove the key")));
    }
    Ok(all)
}

shape! {
    List[T: Deserialize<'de>], "a list", refuse scalars map;
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let shown = printable(text.as_bytes());
        refused(&self, &format!("`{shown}`"), &format!("write it in brackets: [\"{shown}\"]"))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        elements(list).map(List)
    }
}

/// A list of words that is not empty.
#[derive(Debug, Clone)]
pub struct Texts<T>(pub Vec<T>);

impl<'de, T: Word> Deserialize<'de> for Texts<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        List::deserialize(from).map(|List(all)| Self(all.into_iter().map(|Text(one)| one).collect()))
    }
}

/// One word, or a list of them.
#[derive(Debug, Clone)]
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// A list.
    Many(Vec<T>),
}

shape! {
    OneOrMany[T: Word], format_args!("{}, or a list of such", T::WHAT), refuse scalars map;
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        read(text).map(OneOrMany::One)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        let all: Vec<Text<T>> = elements(list)?;
        Ok(OneOrMany::Many(all.into_iter().map(|Text(one)| one).collect()))
    }
}

/// The same, as a list.
#[derive(Debug, Clone)]
pub struct Several<T>(pub Vec<T>);

impl<'de, T: Word> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(match OneOrMany::deserialize(from)? {
            OneOrMany::One(one) => vec![one],
            OneOrMany::Many(all) => all,
        }))
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
