//! Where inside the snapshot a push goes. Made from a client's word once, by rules of text alone: what exists on the
//! disk is never asked, so nothing that a client planted there can bend it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::limits::{MAX_SUBPATH, MAX_SUBPATH_DEPTH};

/// A place inside the snapshot: zero or more plain components, never `..`, never absolute. Empty is the whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubPath(Vec<String>);

/// Why a client's word is no place inside the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotInside {
    /// A component is `..`.
    #[error("the destination has `..` in it")]
    Parent,
    /// It begins with `~` and a name.
    #[error("the destination begins with `~`")]
    Home,
    /// Longer or deeper than anything real.
    #[error("the destination is too long")]
    TooLong,
}

impl SubPath {
    /// Reads a destination as rsync's users write it: ``, `.`, `/`, `~/` are the whole snapshot, `etc/`, `/etc` and
    /// `./etc` are `etc` inside it.
    ///
    /// # Errors
    /// When it leaves the snapshot or is longer than anything real.
    pub fn parse(word: &str) -> Result<Self, NotInside> {
        if word.len() > MAX_SUBPATH {
            return Err(NotInside::TooLong);
        }
        let word = match word.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
            Some(_) => return Err(NotInside::Home),
            None => word,
        };
        let components: Vec<_> = word.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if components.contains(&"..") {
            return Err(NotInside::Parent);
        }
        if components.len() > MAX_SUBPATH_DEPTH || components.iter().any(|part| part.len() > 255) {
            return Err(NotInside::TooLong);
        }
        Ok(Self(components.into_iter().map(str::to_owned).collect()))
    }

    /// Whether it is the whole snapshot.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.is_empty()
    }

    /// The components, outermost first.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The place below `root`.
    #[must_use]
    pub fn below(&self, root: &Path) -> PathBuf {
        let mut path = root.to_path_buf();
        path.extend(&self.0);
        path
    }
}

impl fmt::Display for SubPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_whole() { out.write_str(".") } else { out.write_str(&self.0.join("/")) }
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
    fn nothing_leaves_the_snapshot() {
        assert_eq!(SubPath::parse("../../etc/"), Err(NotInside::Parent));
        assert_eq!(SubPath::parse("a/../b"), Err(NotInside::Parent));
        assert_eq!(SubPath::parse("~root/x"), Err(NotInside::Home));
        assert_eq!(SubPath::parse(&"a/".repeat(65)), Err(NotInside::TooLong));
        assert_eq!(SubPath::parse(&"a".repeat(256)), Err(NotInside::TooLong));
        let below = SubPath::parse("/etc/x").unwrap().below(Path::new("/r"));
        assert_eq!(below, Path::new("/r/etc/x"));
    }
}
