//! A look at what a push has brought, while it is counted: a sample of the files is compressed, and
//! endings and a few names are remembered. Only what arrived is looked into, through no link; it
//! changes nothing, and no file costs more than a few reads.

use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::os::fd::AsFd as _;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use lz4_flex::block::{compress_into, get_maximum_output_size};
use nix::sys::stat::SFlag;

use super::compare::Side;
use super::tree::{Listed, kind, open, stat};
use super::walk::{Closed, Next, Visitor, walk_tree};
use crate::decide::anomaly::{Endings, Kind, Sample, compresses, is_dense};
use crate::terms::limits::MAX_QUOTED;
use crate::terms::limits::{LEAST_SAMPLE, MAX_NAMED, MAX_NAMES_READ, SAMPLE_BYTES};
use crate::terms::text::still_printable;

/// What was seen of what a push has brought.
#[derive(Debug, Default)]
pub struct Look {
    /// What a sample of it says.
    pub sample: Sample,
    /// The endings of what was added.
    pub endings: Endings,
    /// Names of what has changed, and of what was added: the first ones.
    names: [Vec<String>; 2],
}

impl Look {
    /// A new one, whose sample nobody can foresee.
    pub fn new() -> Self {
        let seed = RandomState::new().build_hasher().finish();
        Self { sample: Sample::new(seed), ..Self::default() }
    }

    /// The first names of what has changed, or of what was added.
    pub fn names(&self, kind: Kind) -> &[String] {
        let [changed, added] = &self.names;
        match kind {
            Kind::Changed => changed,
            Kind::Added => added,
        }
    }

    /// Sees a file that has arrived, in the directory on this way, and the one that stood there.
    pub(super) fn see(&mut self, way: &[u8], new: &Side<'_>, old: Option<&Side<'_>>) {
        let [changed, added] = &mut self.names;
        let (kind_of, names) = if old.is_some() { (Kind::Changed, changed) } else { (Kind::Added, added) };
        if names.len() < MAX_NAMED {
            names.push(still_printable(&String::from_utf8_lossy(&[way, new.name.to_bytes()].concat()), MAX_QUOTED));
        }
        if old.is_none() {
            self.endings.add(new.name.to_bytes());
        }
        let is_long = |side: &Side<'_>| {
            kind(&side.found) == SFlag::S_IFREG && usize::try_from(side.found.st_size).is_ok_and(|size| size >= LEAST_SAMPLE)
        };
        if is_long(new) && old.is_none_or(is_long) {
            self.sample.take(kind_of, || match old {
                None => packed(new).map(|(bytes, packed)| is_dense(bytes, packed)),
                Some(old) => {
                    let (bytes, now) = packed(new)?;
                    if !is_dense(bytes, now) {
                        return Some(false);
                    }
                    packed(old).map(|(bytes, before)| compresses(bytes, before))
                }
            });
        }
    }
}

/// Bytes of pieces of a file, and of the same compressed (LZ4). `None` where it cannot be read.
fn packed(side: &Side<'_>) -> Option<(usize, usize)> {
    let file = side.open().ok()?;
    let mut bytes = vec![0; SAMPLE_BYTES];
    let read = pieces(&file, u64::try_from(side.found.st_size).ok()?, &mut bytes).ok()?;
    let bytes = bytes.get(..read).filter(|bytes| bytes.len() >= LEAST_SAMPLE)?;
    let mut room = vec![0; get_maximum_output_size(bytes.len())];
    compress_into(bytes, &mut room).ok().map(|packed| (bytes.len(), packed))
}

/// Reads four pieces, at even distances from the beginning to the end; a short file as a whole.
fn pieces(file: &File, size: u64, into: &mut [u8]) -> io::Result<usize> {
    const PIECES: u64 = 4;
    let piece = into.len() / PIECES as usize;
    let last = size.saturating_sub(piece as u64);
    let mut filled = 0;
    for number in 0..PIECES {
        let at = if size <= into.len() as u64 { filled as u64 } else { last / (PIECES - 1) * number };
        let Some(room) = into.get_mut(filled..filled + piece) else { break };
        let read = file.read_at(room, at)?;
        filled += read;
        if read == 0 {
            break;
        }
    }
    Ok(filled)
}

/// How often the endings of `of` are in a tree, by names alone. Of more than [`MAX_NAMES_READ`] names
/// the rest is not read.
pub(super) fn endings_in(tree: &Path, of: &Endings) -> Endings {
    let mut reading = Reading { of, found: Endings::default(), left: MAX_NAMES_READ };
    // What cannot be read counts as without any.
    let _ = walk_tree(tree, (), Closed::Left, &mut reading);
    reading.found
}

struct Reading<'a> {
    of: &'a Endings,
    found: Endings,
    left: u64,
}

impl Visitor for Reading<'_> {
    type Here = ();

    fn entry(&mut self, (): &mut (), at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<()>> {
        self.left -= 1;
        if self.left == 0 {
            return Ok(Next::Stop);
        }
        if entry.is_directory(at)? {
            return Ok(Next::Into(()));
        }
        self.found.add_known(entry.name.to_bytes(), self.of);
        Ok(Next::Past)
    }

    fn unseen(&mut self, _: io::Error) -> io::Result<std::ops::ControlFlow<()>> {
        Ok(std::ops::ControlFlow::Continue(()))
    }
}

/// The first names in `old` that are not in `new`, printable.
pub(super) fn gone(old: &Path, new: &Path) -> Vec<String> {
    let mut missing = Missing { names: Vec::new(), way: Vec::new(), left: MAX_NAMES_READ };
    if let Ok(new) = open(new) {
        let _ = walk_tree(old, Here { new: Some(new), way: 0 }, Closed::Left, &mut missing);
    }
    missing.names
}

struct Missing {
    names: Vec<String>,
    way: Vec<u8>,
    left: u64,
}

/// The same directory in the new tree, where there is one, and the length of the way to it.
struct Here {
    new: Option<std::os::fd::OwnedFd>,
    way: usize,
}

impl Visitor for Missing {
    type Here = Here;

    fn entry(&mut self, here: &mut Here, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Here>> {
        self.left -= 1;
        if self.left == 0 || self.names.len() >= MAX_NAMED {
            return Ok(Next::Stop);
        }
        self.way.truncate(here.way);
        let name = entry.name.to_bytes();
        if entry.is_directory(at)? {
            self.way.extend_from_slice(name);
            self.way.push(b'/');
            let new = here.new.as_ref().and_then(|new| super::tree::open_at(new, entry.name).ok());
            return Ok(Next::Into(Here { new, way: self.way.len() }));
        }
        let is_gone = here.new.as_ref().is_none_or(|new| stat(new.as_fd(), entry.name).is_err());
        if is_gone {
            let whole = [self.way.as_slice(), name].concat();
            self.names.push(still_printable(&String::from_utf8_lossy(&whole), MAX_QUOTED));
        }
        Ok(Next::Past)
    }

    fn unseen(&mut self, _: io::Error) -> io::Result<std::ops::ControlFlow<()>> {
        Ok(std::ops::ControlFlow::Continue(()))
    }
}
