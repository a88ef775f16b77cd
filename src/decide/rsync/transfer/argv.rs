//! rsync's arguments for a transfer. A path in them is never the client's text: it is a descriptor
//! of a directory beneath DIR, and names from there.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::Flags;
use super::parse::{Direction, Piece, Transfer};
use super::place::Tail;
use crate::decide::rsync::argv::{DEFENCES, OPEN_NOATIME, Version, joined};

/// A place that was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The directory as a path that rsync has. Behind a descriptor the kernel goes to the open
    /// directory itself, wherever it was moved (proc(5), `/proc/pid/fd`).
    pub anchor: PathBuf,
    /// Whether `--relative` keeps what follows.
    pub marked: bool,
    /// The names from there, with slashes between.
    pub rest: Vec<u8>,
    /// What follows the last name.
    pub tail: Tail,
}

/// The server's part of a run.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    /// The server's rsync.
    pub version: Version,
    /// What the administrator wrote.
    pub flags: &'a Flags,
    /// What keeps rsync from links that lead out, besides the kernel.
    pub keeps: Keeps<'a>,
    /// Whether reading must leave no time of access.
    pub spares_times: bool,
    /// The values of [`Transfer::options`]; `None` leaves the option out.
    pub options: Vec<Option<Spot>>,
    /// The places to send, or the destination.
    pub paths: Vec<Spot>,
}

/// What keeps rsync from links that lead out, besides the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps<'a> {
    /// Nothing: beneath `/` is everything.
    Nothing,
    /// rsync's own walk, to this directory. Landlock does not mediate stat(2): rsync has to refuse
    /// names in lists and filters.
    Walk(&'a Path),
    /// The kernel alone, which follows no link there.
    Kernel,
}

impl Spot {
    /// A directory that rsync reaches so.
    pub fn held(anchor: PathBuf) -> Self {
        Self { anchor, marked: false, rest: Vec::new(), tail: Tail::None }
    }

    /// The directory as a path.
    pub fn directory(&self) -> PathBuf {
        self.anchor.clone()
    }

    /// The place as an absolute path.
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

    /// The place as a path from the directory, where rsync is started.
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

/// The arguments of rsync.
pub fn words(transfer: &Transfer, setup: &Setup<'_>) -> Vec<OsString> {
    let push = transfer.direction == Direction::Push;
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
                    words.push(joined(&format!("{option}="), spot.path()));
                }
            }
        }
    }
    if setup.version >= DEFENCES && setup.keeps != Keeps::Nothing {
        if push {
            // Works on one side alone, unlike --no-D (rsync(1)).
            words.push("--drop-D".into());
        }
        match setup.keeps {
            Keeps::Walk(root) => words.push(joined("--confine-root=", root)),
            Keeps::Kernel => words.push("--insecure-links".into()),
            Keeps::Nothing => {}
        }
    }
    if setup.spares_times && setup.version >= OPEN_NOATIME && !words.iter().any(|word| word == "--open-noatime") {
        words.push("--open-noatime".into());
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
