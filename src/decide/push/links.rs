//! What a link that rsync asks for means. A link to a file of a basis is recorded, and made when
//! rsync is gone; rsync itself makes links between names of the stage.
//!
//! Names are read as they are written, without a look at the disk, and recorded as a pair.

use std::path::{Path, PathBuf};

use crate::terms::Excess;

/// A tree on the server that a push is compared with: its files are linked to where they are
/// unchanged (`--link-dest`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// Where it stands.
    pub root: PathBuf,
    /// What holds of it.
    pub of: BasisOf,
}

/// What a basis is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BasisOf {
    /// A snapshot, or an earlier push of the same transaction: what it holds has been counted, and
    /// its files are whole.
    Published,
    /// A push that was cut off and set aside: what it holds counts for the push that uses it, and a
    /// file may be a part of one.
    SetAside,
}

/// One that rsync is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// The tree.
    pub tree: Tree,
    /// The part of it that the push's place corresponds to, as rsync is told of it.
    pub seen: PathBuf,
}

impl Tree {
    /// A snapshot, or a part of a transaction.
    pub fn published(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), of: BasisOf::Published }
    }

    /// A push that was cut off.
    pub fn set_aside(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), of: BasisOf::SetAside }
    }

    /// Whether it is what a push that was cut off has left.
    pub fn is_set_aside(&self) -> bool {
        self.of == BasisOf::SetAside
    }
}

/// The directories of a push as rsync knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Where rsync is started, and its names begin.
    pub start: PathBuf,
    /// What it compares with, in the order of its options.
    pub bases: Vec<Basis>,
    /// The directory for unfinished files. No link is made in it: its files still change.
    pub partial_dir: String,
}

/// Where a file is that a link is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the basis of this number.
    Basis(u8),
    /// In the stage, where a placeholder may stand for it.
    Stage,
}

/// A link as rsync asks for it. Both paths begin where rsync was started, or in the basis, without
/// `.` and `..`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where the file is.
    pub source: Source,
    /// Its name there.
    pub from: Vec<u8>,
    /// Its new name in the stage.
    pub to: Vec<u8>,
}

/// The answer to rsync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// That the link is made. It is recorded, and will be.
    Recorded,
    /// Nothing: the kernel makes the link, where it may be made.
    Let,
    /// That it cannot be made, by this number of an error.
    Failed(i32),
    /// That it has come to its end: it has asked for more links than one push may.
    TooMany(Excess),
}

/// Whoever is asked.
pub trait Links {
    /// The answer to a call that links `from` to `to`, as the caller wrote them, or absolute if
    /// they began at a descriptor of its own.
    fn asked(&mut self, from: &[u8], to: &[u8]) -> Answer;

    /// The answer did not arrive, because the call was interrupted or its process ended: the last
    /// link was not recorded after all.
    fn answer_lost(&mut self);
}

impl Layout {
    /// Reads a link. `None` unless it leads from a basis or the stage into the stage: the kernel
    /// makes no other.
    #[must_use]
    pub fn read(&self, from: &[u8], to: &[u8]) -> Option<Link> {
        let start = self.start.as_os_str().as_encoded_bytes();
        let to = plain(beneath(to, start)?)?;
        if to.is_empty() || to.split(|byte| *byte == b'/').any(|name| name == self.partial_dir.as_bytes()) {
            return None;
        }
        for (number, basis) in self.bases.iter().enumerate() {
            if let Some(rest) = inside(from, &basis.seen) {
                let source = Source::Basis(u8::try_from(number).ok()?);
                return Some(Link { source, from: plain(rest).filter(|from| !from.is_empty())?, to });
            }
        }
        let from = plain(beneath(from, start)?).filter(|from| !from.is_empty())?;
        Some(Link { source: Source::Stage, from, to })
    }
}

/// What stands behind a directory in an absolute path.
fn inside<'a>(path: &'a [u8], directory: &Path) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(directory.as_os_str().as_encoded_bytes())?;
    rest.first().is_some_and(|byte| *byte == b'/').then_some(rest)
}

/// The same for a path that may begin in the directory.
fn beneath<'a>(path: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    if path.first() != Some(&b'/') {
        return Some(path);
    }
    path.strip_prefix(start).filter(|rest| rest.first() == Some(&b'/'))
}

/// A path without `.` and doubled slashes; `None` where `..` is in it.
fn plain(path: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(path.len());
    for name in path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")) {
        if name == b".." {
            return None;
        }
        if !plain.is_empty() {
            plain.push(b'/');
        }
        plain.extend_from_slice(name);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let basis =
            |seen: &str, tree: fn(PathBuf) -> Tree| Basis { tree: tree(PathBuf::from("/srv").join(seen)), seen: PathBuf::from(seen) };
        Layout {
            start: PathBuf::from("/stage/etc"),
            bases: vec![basis("/basis/0", Tree::set_aside), basis("/basis/1", Tree::published)],
            partial_dir: ".~p~".to_owned(),
        }
    }

    fn read(from: &str, to: &str) -> Option<(Source, String, String)> {
        let link = layout().read(from.as_bytes(), to.as_bytes())?;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Some((link.source, text(link.from), text(link.to)))
    }

    #[test]
    fn links_are_read_as_rsync_writes_them() {
        let link = |source, from: &str, to: &str| Some((source, from.to_owned(), to.to_owned()));
        assert_eq!(read("/basis/1/d/f", "d/f"), link(Source::Basis(1), "d/f", "d/f"));
        assert_eq!(read("/basis/0/./d//f", "./d/f"), link(Source::Basis(0), "d/f", "d/f"));
        assert_eq!(read("/basis/0/f", "/stage/etc/g"), link(Source::Basis(0), "f", "g"));
        assert_eq!(read("d/f", "e"), link(Source::Stage, "d/f", "e"));
        assert_eq!(read("/stage/etc/d/f", "e"), link(Source::Stage, "d/f", "e"));
    }

    #[test]
    fn what_leads_elsewhere_is_none() {
        for (from, to) in [
            ("/basis/1/../f", "f"),
            ("/basis/1/f", "../f"),
            ("/basis/1/f", "d/../f"),
            ("/basis/1/f", "/stage/f"),
            ("/basis/1/f", "/stage/etc2/f"),
            ("/basis/1/f", "/basis/1/g"),
            ("/basis/10/f", "f"),
            ("/basis/1", "f"),
            ("/basis/1/", "f"),
            ("/basis/1/f", ""),
            ("/basis/1/f", "."),
            ("/basis/1/f", ".~p~/f"),
            ("/basis/1/f", "d/.~p~/f"),
            ("/etc/passwd", "f"),
            ("../f", "f"),
            ("", "f"),
        ] {
            assert_eq!(read(from, to), None, "{from} {to}");
        }
        assert!(read("/basis/1/f", "d/.~p~x").is_some(), "a longer name is another one");
    }
}
