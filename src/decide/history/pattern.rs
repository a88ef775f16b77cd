//! A pattern for names in a snapshot: `*`, `?` and sets, where a star does not stand for `/`. With
//! a `/` in it, it is held against the whole path, and else against the last name.
//!
//! No pattern is slow: each of its names is matched alone, and backtracks to its last star.

use crate::decide::rsync::transfer::Name;
use crate::terms::limits::{MAX_PATTERN, MAX_SUBPATH_DEPTH};
use crate::terms::text::printable;
use crate::terms::{Code, Reason};

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Vec<u8>,
    names: Vec<Name>,
    whole: bool,
}

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// When it is empty or longer than names are, or leads outside.
    pub fn read(text: &[u8]) -> Result<Self, Reason> {
        let unfit = |what: &str| {
            let shown = printable(text);
            Reason::new(Code::Command, format!("`{shown}` is no pattern: {what}")).only_client("use a name, such as `*.conf` or `etc/*`")
        };
        if text.len() > MAX_PATTERN || text.contains(&0) {
            return Err(unfit("it is too long, or has a NUL byte in it"));
        }
        let trimmed = text.strip_prefix(b"/").unwrap_or(text);
        let parts: Vec<&[u8]> = trimmed.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
        if parts.is_empty() {
            return Err(unfit("it has no name in it"));
        }
        if parts.contains(&b"..".as_slice()) || parts.len() > MAX_SUBPATH_DEPTH {
            return Err(unfit("it leads outside"));
        }
        let names = parts.into_iter().map(Name::unquoted).collect();
        Ok(Self { text: text.to_vec(), names, whole: text.contains(&b'/') })
    }

    /// It as it was written.
    pub fn bytes(&self) -> &[u8] {
        &self.text
    }

    /// Whether it stands for a path, from the top of the snapshot on.
    pub fn matches(&self, path: &[u8]) -> bool {
        let mut parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        if !self.whole {
            parts.drain(..parts.len().saturating_sub(1));
        }
        parts.len() == self.names.len() && self.names.iter().zip(parts).all(|(name, part)| name.matches_any(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_anywhere_and_a_path_from_the_top_on() {
        for (pattern, path, expected) in [
            ("*.conf", "etc/a.conf", true),
            ("*.conf", "etc/a.conf/b", false),
            ("etc/*", "etc/a.conf", true),
            ("etc/*", "etc/a/b", false),
            ("/passwd", "passwd", true),
            ("/passwd", "etc/passwd", false),
            ("*", ".hidden", true),
            ("?", "\u{e9}", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("a/./b", "a/b", true),
        ] {
            assert_eq!(Pattern::read(pattern.as_bytes()).unwrap().matches(path.as_bytes()), expected, "{pattern} {path}");
        }
        assert!(Pattern::read(b"\xff*").unwrap().matches(b"d/\xffx"));
        for wrong in [&b""[..], b"/", b"a/../b", b"a\0", &[b'a'; MAX_PATTERN + 1]] {
            assert!(Pattern::read(wrong).is_err());
        }
    }

    #[test]
    fn a_pattern_that_means_harm_takes_no_time() {
        let pattern = Pattern::read(&[b"*a".repeat(100), b"b".to_vec()].concat()).unwrap();
        assert!(!pattern.matches(&[b'a'; 255]));
    }
}
