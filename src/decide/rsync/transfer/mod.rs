//! One side of a transfer whose client names the paths: what `snapgate-shell rrsync` takes, and pulls
//! of snapshots. A command becomes a [`Transfer`]: every option has its verdict in a table of
//! `options`, every path is a [`Place`] beneath one directory.
//!
//! Whether a place exists, and where its links lead, is `act::beneath`'s to find out.

mod argv;
mod parse;
mod pattern;
mod place;
mod reading;
pub(in crate::decide) mod words;

use std::ffi::OsString;

pub use argv::{Keeps, Setup, Spot, words as printed};
pub use parse::{Aim, Direction, Transfer};
pub(in crate::decide) use parse::{Words, hides, parse};
pub use place::{Name, Place, Tail};

/// What rsync may do, and where: rrsync's flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `-ro`: only pulls. Implies [`Flags::no_del`]; pulls do not exclude each other.
    pub read_only: bool,
    /// `-wo`: only pushes.
    pub write_only: bool,
    /// `-munge`: symlinks are stored so that they lead nowhere.
    pub munge: bool,
    /// `-absolute`: paths may begin with DIR itself.
    pub absolute: bool,
    /// `-no-del`: nothing is deleted.
    pub no_del: bool,
    /// `-no-lock`: sessions do not exclude each other.
    pub no_lock: bool,
    /// `-no-overwrite`: what is there stays as it is.
    pub no_overwrite: bool,
    /// DIR as it was written.
    pub dir: OsString,
}
