//! A key's description, for the parser, the errors and `docs/policy.md`.

use super::shape::{Figure, List, Several, Text, Texts, Truth, Word};
use super::table::{Table, TableOf, TableOrText};

/// A key of a [`Table`].
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The key.
    pub word: &'static str,
    /// Its description in the manual, in lines that each begin with a space.
    pub means: &'static str,
    /// Its default.
    pub usual: Usual,
    /// An example of its value.
    pub example: &'static str,
    /// Which values it takes.
    pub values: fn() -> String,
    /// The words that it takes, if there are a few, with their meaning.
    pub choices: fn() -> Vec<(&'static str, &'static str)>,
    /// The keys of its table, if it takes one.
    pub below: &'static [Row],
}

/// A key's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usual {
    /// This value.
    Value(&'static str),
    /// In words, since no value says the same.
    Words(&'static str),
    /// The defaults of its table's keys.
    Below,
    /// None: the key is required.
    Required,
}

impl Row {
    /// A key whose value is taken out of the shape `S`.
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

impl<T: Table, W: Word> Shape for TableOrText<T, W> {
    const BELOW: &'static [Row] = T::ROWS;

    fn values() -> String {
        format!("a table, or {}", W::values())
    }
}

impl<T: Table> Shape for List<TableOf<T>> {
    const BELOW: &'static [Row] = T::ROWS;

    fn values() -> String {
        "a list of tables".to_owned()
    }
}
