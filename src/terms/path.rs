//! Where in the snapshot a push goes, by rules of text alone: nothing on the disk can change it.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::limits::{MAX_NAME, MAX_SUBPATH, MAX_SUBPATH_DEPTH};
use super::text::printable_within;

/// A place in the snapshot: plain components, never `..`, never absolute; none is the whole. Names
/// are any bytes but `/` and NUL. Its text ([`fmt::Display`]) is printable and unique.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubPath(Vec<OsString>);

/// Why a client's word is no place inside the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotInside {
    /// A component is `..`.
    #[error("the destination has `..` in it")]
    Parent,
    /// It begins with `~` and a name.
    #[error("the destination begins with `~`")]
    Home,
    /// Too long or too deep.
    #[error("the destination is too long")]
    TooLong,
    /// It has a NUL byte.
    #[error("the destination has a NUL byte in it")]
    Nul,
}

impl SubPath {
    /// Reads a destination as rsync's users write it: ``, `.`, `/`, `~/` are the whole snapshot,
    /// `etc/`, `/etc` and `./etc` are `etc` in it.
    pub fn parse(word: impl AsRef<[u8]>) -> Result<Self, NotInside> {
        let word = word.as_ref();
        if word.len() > MAX_SUBPATH {
            return Err(NotInside::TooLong);
        }
        if word.contains(&0) {
            return Err(NotInside::Nul);
        }
        let word = match word {
            [b'~'] => &[],
            [b'~', rest @ ..] if rest.starts_with(b"/") => rest,
            [b'~', ..] => return Err(NotInside::Home),
            word => word,
        };
        let components: Vec<_> = word.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
        if components.contains(&b"..".as_slice()) {
            return Err(NotInside::Parent);
        }
        if components.len() > MAX_SUBPATH_DEPTH || components.iter().any(|part| part.len() > MAX_NAME) {
            return Err(NotInside::TooLong);
        }
        Ok(Self(components.into_iter().map(|part| OsString::from_vec(part.to_vec())).collect()))
    }

    /// Whether it is the whole snapshot.
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &OsStr> {
        self.0.iter().map(OsString::as_os_str)
    }

    /// The place below `root`.
    pub fn below(&self, root: &Path) -> PathBuf {
        let mut path = root.to_path_buf();
        path.extend(&self.0);
        path
    }

    /// Whether the other one is this place or in it.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// Every place from the whole to this one.
    pub fn way(&self) -> impl Iterator<Item = Self> {
        (0..=self.0.len()).map(|parts| Self(self.0.iter().take(parts).cloned().collect()))
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.join(OsStr::new("/")).into_encoded_bytes()
    }
}

/// In hexadecimal, for the gate's own notes: names may have any bytes.
impl Serialize for SubPath {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        self.bytes().iter().try_for_each(|byte| write!(text, "{byte:02x}")).map_err(serde::ser::Error::custom)?;
        to.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for SubPath {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let pair = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
        // Text that begins with `~` had `./` before it.
        let home = |bytes: &[u8]| if bytes.starts_with(b"~") { &b"./"[..] } else { b"" };
        let place = bytes.and_then(|bytes| Self::parse([home(&bytes), &bytes].concat()).ok());
        place.ok_or_else(|| serde::de::Error::custom("it is no place"))
    }
}

impl fmt::Display for SubPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole() {
            return out.write_str(".");
        }
        let joined = self.0.join(OsStr::new("/"));
        out.write_str(&printable_within(joined.as_encoded_bytes(), usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_the_root_is_the_whole_snapshot() {
        for root in ["", ".", "/", "./", "//", "~", "~/", "/./."] {
            assert!(SubPath::parse(root).unwrap().is_whole(), "{root}");
        }
        for (word, place) in [("etc/", "etc"), ("/srv/x", "srv/x"), (".//x//", "x"), ("x/./y/", "x/y"), ("~/x/", "x"), ("a b", "a b")] {
            assert_eq!(SubPath::parse(word).unwrap().to_string(), place, "{word}");
        }
    }

    #[test]
    fn a_name_is_any_bytes_and_its_text_is_printable_and_its_own() {
        for (word, text) in [
            (&b"a\nb/\xe9/"[..], "a\\nb/\\xe9"),
            (b"a\\nb/", "a\\\\nb"),
            (b" '\"*?$(x);&", " '\"*?$(x);&"),
            ("\u{202e}".as_bytes(), "\\u{202e}"),
        ] {
            let place = SubPath::parse(word).unwrap();
            assert_eq!(place.to_string(), text);
            assert_eq!(place.below(Path::new("")).as_os_str().as_encoded_bytes(), word.strip_suffix(b"/").unwrap_or(word));
        }
        let long = SubPath::parse(vec![0xff; 200]).unwrap();
        assert_eq!(long.to_string().len(), 800, "its text is whole, or two places could have the same");
        assert_eq!(SubPath::parse(b"a\0b"), Err(NotInside::Nul));
    }

    #[test]
    fn a_place_comes_back_from_a_note_as_it_was() {
        for word in [&b""[..], b"etc/ssh/", b"./~root/x", b"a\nb/\xe9", &[b'a'; 200], &b"x/".repeat(64)] {
            let place = SubPath::parse(word).unwrap();
            let note = serde_json::to_string(&place).unwrap();
            assert_eq!(serde_json::from_str::<SubPath>(&note).unwrap(), place, "{note}");
        }
        for note in ["\"2e2e\"", "\"2\"", "\"zz\"", "\"612f2e2e2f62\"", "1"] {
            assert!(serde_json::from_str::<SubPath>(note).is_err(), "{note}");
        }
    }

    #[test]
    fn a_place_covers_itself_and_what_is_in_it() {
        let covers = |one: &str, other: &str| SubPath::parse(one).unwrap().covers(&SubPath::parse(other).unwrap());
        assert!(covers("", "etc") && covers("etc", "etc") && covers("etc", "etc/ssh"));
        assert!(!covers("etc/ssh", "etc") && !covers("et", "etc") && !covers("etc", ""));
    }

    #[test]
    fn nothing_leaves_the_snapshot() {
        assert_eq!(SubPath::parse("../../etc/"), Err(NotInside::Parent));
        assert_eq!(SubPath::parse("a/../b"), Err(NotInside::Parent));
        assert_eq!(SubPath::parse("~root/x"), Err(NotInside::Home));
        assert_eq!(SubPath::parse("a/".repeat(65)), Err(NotInside::TooLong));
        assert_eq!(SubPath::parse("a".repeat(256)), Err(NotInside::TooLong));
        // Long as a whole, although each part of it is not.
        let long = format!("{}/", "a".repeat(127)).repeat(MAX_SUBPATH / 128);
        assert_eq!(long.len(), MAX_SUBPATH);
        assert!(SubPath::parse(long.as_bytes()).is_ok());
        assert_eq!(SubPath::parse(long + "b"), Err(NotInside::TooLong));
        let below = SubPath::parse("/etc/x").unwrap().below(Path::new("/r"));
        assert_eq!(below, Path::new("/r/etc/x"));
    }
}
