//! A client's path as a place beneath DIR, by rules of text alone: a leading slash means DIR, as
//! for rrsync, and no name is `..`.

use super::words::{Quoted, plain};
use crate::terms::limits::{MAX_NAME, MAX_PATH, MAX_PATH_DEPTH};
use crate::terms::word::words;

/// A name in a path. Wildcards count only where no backslash quotes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(Vec<Quoted>);

words! {
    /// What follows the last name. To rsync both mean the directory's content.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub enum Tail {
        /// Nothing.
        #[default]
        None = "",
        /// `/`.
        Slash = "/",
        /// `/.`.
        Dot = "/.",
    }
}

/// A place beneath DIR, or a pattern for several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The names, outermost first.
    pub names: Vec<Name>,
    /// What follows the last name.
    pub tail: Tail,
    /// How many names stand before `/./`; `--relative` keeps those behind it.
    pub marker: Option<usize>,
}

/// Why a path is not beneath DIR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::decide) enum NotBeneath {
    #[error("a path has `..` in it")]
    Parent,
    #[error("a path is too long")]
    TooLong,
}

impl Name {
    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        plain(&self.0)
    }

    /// Each byte, and whether it is quoted.
    pub fn quoted(&self) -> &[(u8, bool)] {
        &self.0
    }

    /// Whether it has wildcards.
    pub fn is_pattern(&self) -> bool {
        self.0.iter().any(|(byte, quoted)| !quoted && b"*?[".contains(byte))
    }
}

impl Place {
    /// Reads a client's word. With `whole`, DIR is `/`, and everything is beneath it.
    pub(super) fn read(word: &[Quoted], whole: bool) -> Result<Self, NotBeneath> {
        if word.len() > MAX_PATH {
            return Err(NotBeneath::TooLong);
        }
        let mut place = Self::default();
        let parts: Vec<&[Quoted]> = word.split(|(byte, _)| *byte == b'/').collect();
        for (index, part) in parts.iter().enumerate() {
            let is_last = index + 1 == parts.len();
            match plain(part).as_slice() {
                b"" if is_last && !place.is_root() => place.tail = Tail::Slash,
                b"" => {}
                b"." if place.is_root() => {}
                b"." if is_last => place.tail = Tail::Dot,
                // rsync honours the first `/./` only.
                b"." => place.marker = place.marker.or(Some(place.names.len())),
                b".." if !whole => return Err(NotBeneath::Parent),
                name if name.len() > MAX_NAME => return Err(NotBeneath::TooLong),
                _ => place.names.push(Name(part.to_vec())),
            }
        }
        if place.names.len() > MAX_PATH_DEPTH { Err(NotBeneath::TooLong) } else { Ok(place) }
    }

    /// The same place with its wildcards quoted.
    pub(super) fn taken_literally(mut self) -> Self {
        for name in &mut self.names {
            name.0.iter_mut().for_each(|(_, quoted)| *quoted = true);
        }
        self
    }

    /// The place without the first `count` names.
    pub(super) fn without(&self, count: usize) -> Self {
        let names: Vec<_> = self.names.iter().skip(count).cloned().collect();
        // DIR is DIR, whatever follows it.
        let tail = if names.is_empty() { Tail::None } else { self.tail };
        Self { names, tail, marker: None }
    }

    /// What is left of the place behind its first `count` names, beneath which `--relative` keeps
    /// its names.
    #[must_use]
    pub fn behind(&self, count: usize) -> Self {
        let marker = self.marker.filter(|marker| *marker >= count).map(|marker| marker - count);
        Self { marker, tail: self.tail, ..self.without(count) }
    }

    /// Whether it is DIR itself.
    pub fn is_root(&self) -> bool {
        self.names.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::rsync::transfer::words::split;

    fn read(word: &str) -> Result<Place, NotBeneath> {
        Place::read(&split(word.as_bytes()).unwrap()[0], false)
    }

    fn names(place: &Place) -> String {
        let names: Vec<_> = place.names.iter().map(|name| String::from_utf8(name.bytes()).unwrap()).collect();
        format!("{}{}", names.join("|"), place.tail.as_str())
    }

    #[test]
    fn a_slash_at_the_beginning_means_the_directory() {
        for word in ["", ".", "/", "./", "//", "/./."] {
            assert_eq!(names(&read(word).unwrap()), "", "{word}");
        }
        for (word, expected) in
            [("a", "a"), ("/a/b", "a|b"), ("./a//b/", "a|b/"), ("a/.", "a/."), ("a/./b", "a|b"), ("~/a", "~|a"), ("-a", "-a")]
        {
            assert_eq!(names(&read(word).unwrap()), expected, "{word}");
        }
    }

    #[test]
    fn nothing_leads_out() {
        for word in ["..", "../x", "a/..", "a/../b", "/..", "a/\\../b"] {
            assert_eq!(read(word), Err(NotBeneath::Parent), "{word}");
        }
        assert_eq!(read("...").unwrap().names.len(), 1);
        assert_eq!(read("/srv/d/./").unwrap().without(2), Place::default());
        assert_eq!(read(&"a".repeat(256)), Err(NotBeneath::TooLong));
        assert_eq!(read(&"a/".repeat(600)), Err(NotBeneath::TooLong));
        assert_eq!(read(&"/".repeat(5000)), Err(NotBeneath::TooLong));
        assert!(Place::read(&[(b'.', false), (b'.', false)], true).is_ok(), "beneath `/` is everything");
    }

    #[test]
    fn the_first_marker_counts_and_a_backslash_takes_the_meaning_of_a_star() {
        assert_eq!(read("a/./b/./c").unwrap().marker, Some(1));
        assert_eq!(read("sub/./").unwrap().marker, Some(1));
        assert_eq!(read("./a/b").unwrap().marker, None);
        assert!(read("a*").unwrap().names[0].is_pattern());
        assert!(!read("a\\*").unwrap().names[0].is_pattern());
        assert!(!read("a*").unwrap().taken_literally().names[0].is_pattern());
    }
}
