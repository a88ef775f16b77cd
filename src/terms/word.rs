//! Macros for types that stand for a word or hold a checked text, and helpers for words.

/// An enum whose values have a text each.
macro_rules! words {
    ($(#[$of_all:meta])* pub enum $name:ident { $($(#[$of_one:meta])* $value:ident = $text:literal,)+ }) => {
        $(#[$of_all])*
        pub enum $name {
            $($(#[$of_one])* $value,)+
        }

        impl $name {
            /// Every one, in order.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$value),+];

            /// It as it is written.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }

            /// The one that is written so.
            pub fn read(text: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|one| one.as_str() == text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str(self.as_str())
            }
        }
    };
}

/// A [`words`] enum that is a table: the comment of a value is its description in the manual.
/// Behind `=>` is the rest of its row, if the enum names a type of rows.
macro_rules! table {
    ($(#[$of_all:meta])* pub enum $name:ident { $($(#[doc = $means:literal])+ $value:ident = $text:literal,)+ }) => {
        $crate::terms::word::words! { $(#[$of_all])* pub enum $name { $($(#[doc = $means])+ $value = $text,)+ } }

        impl $name {
            /// Every one in a row: `a, b or c`.
            pub const EITHER: &'static str = $crate::terms::word::either!($($text),+);

            /// What it means, in a sentence.
            pub fn means(self) -> &'static str {
                match self {
                    $(Self::$value => concat!($($means),+).trim_start(),)+
                }
            }
        }
    };
    ($(#[$of_all:meta])* pub enum $name:ident: $row:ty { $($(#[doc = $means:literal])+ $value:ident = $text:literal => $rest:expr,)+ }) => {
        $crate::terms::word::table! { $(#[$of_all])* pub enum $name { $($(#[doc = $means])+ $value = $text,)+ } }

        impl $name {
            /// What else there is to say of it.
            pub fn row(self) -> &'static $row {
                match self {
                    $(Self::$value => const { &$rest },)+
                }
            }
        }
    };
}

/// Words in a row: `a, b or c`.
macro_rules! either {
    ($one:literal) => { $one };
    ($one:literal, $last:literal) => { concat!($one, " or ", $last) };
    ($one:literal, $($more:literal),+) => { concat!($one, ", ", $crate::terms::word::either!($($more),+)) };
}

/// A sentence as part of another: in lower case and without its full stop.
pub(crate) fn as_clause(sentence: &str) -> String {
    let mut letters = sentence.trim_end_matches('.').chars();
    letters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(letters).collect()
}

/// The one of `known` that `text` may be a typing error for: at most two letters away.
pub(crate) fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|word| (distance(word, text), word)).min();
    near.filter(|(changes, _)| *changes <= 2).map(|(_, word)| word)
}

/// Letters to change, add or remove to make one word of the other (Levenshtein), if at most two.
fn distance(one: &str, other: &str) -> usize {
    if one.len().abs_diff(other.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (line, left) in one.chars().enumerate() {
        let mut diagonal = line;
        let mut last = line + 1;
        for (right, entry) in other.chars().zip(row.iter_mut().skip(1)) {
            let substituted = diagonal + usize::from(left != right);
            diagonal = *entry;
            last = substituted.min(*entry + 1).min(last + 1);
            *entry = last;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// The text of a type that holds nothing else. With an error type also its (de)serialization: as
/// the text, which is checked when it is read.
macro_rules! text {
    ($name:ident) => {
        impl $name {
            /// It as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
    ($name:ident, $error:ident) => {
        $crate::terms::word::text!($name);
        $crate::terms::word::as_string!($name, $error);
    };
}

/// The way of a type through a file: as its text, which is checked when it is read.
macro_rules! as_string {
    ($name:ident, $error:ident) => {
        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(one: $name) -> Self {
                one.to_string()
            }
        }
    };
}

pub(crate) use {as_string, either, table, text, words};
