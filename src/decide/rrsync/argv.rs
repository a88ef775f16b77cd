//! Prints the words that rsync is run with in this mode. A path is never the client's text: it is a descriptor that holds a directory
//! beneath DIR, and the names from there.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::flags::Flags;
use super::place::Tail;
use super::transfer::{Direction, Piece, Transfer};
use crate::decide::rsync::argv::{DEFENCES, Version};

/// A place that has been looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The number of the descriptor that holds the directory.
    pub anchor: i32,
    /// Whether `--relative` keeps what follows.
    pub marked: bool,
    /// The names from there, with slashes between.
    pub rest: Vec<u8>,
    /// What stands behind.
    pub tail: Tail,
}

/// What the server knows of a run.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    /// The server's rsync.
    pub version: Version,
    /// What the administrator wrote.
    pub flags: &'a Flags,
    /// DIR, real and absolute.
    pub root: &'a Path,
    /// The values of [`Transfer::options`], one for each; `None` leaves the option out.
    pub options: Vec<Option<Spot>>,
    /// What is sent, each place for itself; or the destination.
    pub paths: Vec<Spot>,
}

impl Spot {
    /// A directory that is held.
    pub fn held(anchor: i32) -> Self {
        Self { anchor, marked: false, rest: Vec::new(), tail: Tail::None }
    }

    /// The directory that is held, as a path. The kernel goes from it to the directory itself, wherever that has been moved to
    /// and whatever stands in its place since (proc(5), `/proc/pid/fd`).
    pub fn directory(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.anchor))
    }

    /// The place as a path from anywhere.
    pub fn path(&self) -> OsString {
        let mut path = self.directory().into_os_string();
        if self.marked {
            path.push("/.");
        }
        if !self.rest.is_empty() {
            path.push("/");
            path.push(OsStr::from_bytes(&self.rest));
        }
        path.push(self.tail.as_str());
        path
    }

    /// The place as a path from the directory that is held, in which rsync is started.
    fn seen_from_there(&self) -> OsString {
        let mut path = OsString::from(".");
        if !self.rest.is_empty() {
            path.push("/");
            path.push(OsStr::from_bytes(&self.rest));
            path.push(self.tail.as_str());
        }
        path
    }
}

/// The words behind `rsync`.
pub fn words(transfer: &Transfer, setup: &Setup<'_>) -> Vec<OsString> {
    let push = transfer.direction == Direction::Push;
    let whole = setup.root == Path::new("/");
    let mut words: Vec<OsString> = vec!["--server".into()];
    if !push {
        words.push("--sender".into());
    }
    let mut values = setup.options.iter();
    for piece in &transfer.pieces {
        match piece {
            Piece::Word(word) => words.push(word.into()),
            Piece::Path { option, .. } => {
                if let Some(Some(spot)) = values.next() {
                    words.push(joined(&format!("{option}="), &spot.path()));
                }
            }
        }
    }
    if setup.version >= DEFENCES && !whole {
        if push {
            // Works on one side alone, unlike --no-D (rsync(1)); device files are the kernel's affair besides.
            words.push("--drop-D".into());
        }
        // Landlock does not mediate stat(2): names in lists and filters that lead out are rsync's own to refuse.
        words.push(joined("--confine-root=", setup.root.as_os_str()));
    }
    if setup.flags.munge {
        words.push("--munge-links".into());
    }
    if setup.flags.no_overwrite {
        words.push("--ignore-existing".into());
    }
    words.extend([OsString::from("--"), OsString::from(".")]);
    words.extend(setup.paths.iter().map(|spot| if push { spot.seen_from_there() } else { spot.path() }));
    words
}

fn joined(option: &str, value: &OsStr) -> OsString {
    let mut word = OsString::from(option);
    word.push(value);
    word
}
