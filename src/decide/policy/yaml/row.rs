//! What there is to say of a key: the parser, the errors and `docs/policy.md` read the same rows.

use super::shape::{Figure, List, Several, Text, Texts, Truth, Word};
use super::table::{Table, TableOf};

/// A key of a [`Table`].
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The key.
    pub word: &'static str,
    /// What the manual says of it, in lines that each begin with a space.
    pub means: &'static str,
    /// What holds where nobody says it.
    pub usual: Usual,
    /// A value, as it stands behind the key in a file.
    pub example: &'static str,
    /// Which values it takes.
    pub values: fn() -> String,
    /// The words that it takes, if these are a few, each with what it means.
    pub choices: fn() -> Vec<(&'static str, &'static str)>,
    /// The keys of the table that it takes, if it takes one.
    pub below: &'static [Row],
}

/// What holds where a key is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usual {
    /// The same as with this value.
    Value(&'static str),
    /// What these words say, since no value says the same.
    Words(&'static str),
    /// What the keys of its table have where they are missing.
    Below,
    /// Nothing: the key has to be there.
    Required,
}

impl Row {
    /// A key that is written in the shape `S`, out of which its value is taken.
    pub(in crate::decide) const fn new<S: Shape, V>(
        word: &'static str,
        means: &'static str,
        usual: Usual,
        example: &'static str,
        _value: fn(S) -> V,
    ) -> Self {
        Self { word, means, usual, example, values: S::values, choices: S::choices, below: S::BELOW }
    }
}

/// How a value may be written.
pub(in crate::decide) trait Shape {
    /// The keys of its table, if it is one.
    const BELOW: &'static [Row] = &[];

    /// What may stand there.
    fn values() -> String;

    /// The words that may, if these are a few.
    fn choices() -> Vec<(&'static str, &'static str)> {
        Vec::new()
    }
}

impl<T: Word> Shape for Text<T> {
    fn values() -> String {
        T::values()
    }

    fn choices() -> Vec<(&'static str, &'static str)> {
        T::choices()
    }
}

impl<T: Word> Shape for Figure<T> {
    fn values() -> String {
        T::values()
    }
}

impl<T: Word> Shape for Texts<T> {
    fn values() -> String {
        format!("a list, each {}", T::values())
    }

    fn choices() -> Vec<(&'static str, &'static str)> {
        T::choices()
    }
}

impl<T: Word> Shape for Several<T> {
    fn values() -> String {
        format!("{}, or a list of such", T::values())
    }
}

impl Shape for Truth {
    fn values() -> String {
        "true or false".to_owned()
    }
}

impl<T: Table> Shape for TableOf<T> {
    const BELOW: &'static [Row] = T::ROWS;

    fn values() -> String {
        "a table".to_owned()
    }
}

impl<T: Table> Shape for List<TableOf<T>> {
    const BELOW: &'static [Row] = T::ROWS;

    fn values() -> String {
        "a list of tables".to_owned()
    }
}
