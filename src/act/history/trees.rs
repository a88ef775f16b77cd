//! Two trees beside each other, directory by directory, and one tree by itself.
//!
//! What shares an inode is passed without a look. Nothing is remembered but the names of the
//! directories on the way.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use super::changes::Changes;
use super::listing::Listing;
use super::places::Place;
use super::{Out, Reader, Stop};
use crate::decide::history::differ::{Beside, Side, next};
use crate::decide::history::entry::Sort;
use crate::decide::history::said::What;
use crate::terms::limits::MAX_TREE_DEPTH;
use crate::terms::{Code, Reason};

/// What is done with everything in a tree: it is shown each thing with its path.
pub(super) type Look<'l> = dyn FnMut(&mut Out, &[u8], &Place<'_>) -> Result<(), Stop> + 'l;

/// Tells `changes` of everything that differs between two places, one of which may be missing.
pub(super) fn differ(reader: &Reader<'_>, out: &mut Out, sides: [Option<&Place<'_>>; 2], changes: &mut Changes<'_>) -> Result<(), Stop> {
    let mut path = changes.top();
    pair(reader, out, sides, &mut path, changes, 0)
}

fn pair(
    reader: &Reader<'_>,
    out: &mut Out,
    [old, new]: [Option<&Place<'_>>; 2],
    path: &mut Vec<u8>,
    changes: &mut Changes<'_>,
    depth: usize,
) -> Result<(), Stop> {
    out.look()?;
    let what = match (old, new) {
        (None, None) => return Ok(()),
        (Some(_), None) => Some(What::Deleted),
        (None, Some(_)) => Some(What::Created),
        (Some(old), Some(new)) if old.entry.inode == new.entry.inode => return Ok(()),
        (Some(old), Some(new)) => match reader.alike.beside(old, new)? {
            Beside::Changed => Some(What::Changed),
            Beside::Metadata => Some(What::Metadata),
            Beside::Same | Beside::Unread { .. } => None,
        },
    };
    // The top has no name in its snapshot.
    if let Some(what) = what.filter(|_| !path.is_empty()) {
        changes.add(out, what, path, [old, new].map(|side| side.map(|place| place.entry)))?;
    }
    let directory = |side: Option<&Place<'_>>| side.filter(|place| place.entry.sort == Sort::Directory).map(Place::directory).transpose();
    let sides = [directory(old)?, directory(new)?];
    if sides.iter().all(Option::is_none) { Ok(()) } else { below(reader, out, &sides, path, changes, deeper(depth)?) }
}

fn below(
    reader: &Reader<'_>,
    out: &mut Out,
    sides: &[Option<OwnedFd>; 2],
    path: &mut Vec<u8>,
    changes: &mut Changes<'_>,
    depth: usize,
) -> Result<(), Stop> {
    let [old, new] = sides;
    let read = |side: &Option<OwnedFd>| side.as_ref().map(|side| Listing::read(side, &reader.room)).transpose();
    let (ours, theirs) = (read(old)?, read(new)?);
    let mut at = (0, 0);
    loop {
        let names = [ours.as_ref().and_then(|ours| ours.name(at.0)), theirs.as_ref().and_then(|theirs| theirs.name(at.1))];
        let [our, their] = names.map(|name| name.map(CStr::to_bytes));
        let Some(side) = next(our, their, at) else { return Ok(()) };
        let (ours_at, theirs_at) = match side {
            Side::Old(one) => (Some(one), None),
            Side::New(one) => (None, Some(one)),
            Side::Both(one, other) => (Some(one), Some(other)),
        };
        at = (at.0 + usize::from(ours_at.is_some()), at.1 + usize::from(theirs_at.is_some()));
        let inode = |listing: &Option<Listing<'_>>, at: Option<usize>| listing.as_ref().and_then(|listing| listing.inode(at?));
        let inodes = (inode(&ours, ours_at), inode(&theirs, theirs_at));
        let is_shared = inodes.0.is_some() && inodes.0 == inodes.1;
        let Some(name) = names.into_iter().zip([ours_at, theirs_at]).find_map(|(name, at)| at.and(name)).filter(|_| !is_shared) else {
            continue;
        };
        let before = match (old, ours_at) {
            (Some(old), Some(_)) => Some(Place::at(old, name)?),
            _ => None,
        };
        let after = match (new, theirs_at) {
            (Some(new), Some(_)) => Some(Place::at(new, name)?),
            _ => None,
        };
        let length = enter(path, name);
        pair(reader, out, [before.as_ref(), after.as_ref()], path, changes, depth)?;
        path.truncate(length);
    }
}

/// Shows everything in a directory to `look`, with its path, in order.
pub(super) fn each(
    reader: &Reader<'_>,
    out: &mut Out,
    directory: &OwnedFd,
    path: &mut Vec<u8>,
    look: &mut Look<'_>,
    depth: usize,
) -> Result<(), Stop> {
    let listing = Listing::read(directory, &reader.room)?;
    for at in 0..listing.len() {
        let Some(name) = listing.name(at) else { continue };
        out.look()?;
        let place = Place::at(directory, name)?;
        let length = enter(path, name);
        look(out, path, &place)?;
        if place.entry.sort == Sort::Directory {
            each(reader, out, &place.directory()?, path, look, deeper(depth)?)?;
        }
        path.truncate(length);
    }
    Ok(())
}

/// Adds a name to a path, and says how long that was.
fn enter(path: &mut Vec<u8>, name: &CStr) -> usize {
    let length = path.len();
    if length > 0 {
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
    length
}

fn deeper(depth: usize) -> Result<usize, Stop> {
    if depth < MAX_TREE_DEPTH {
        return Ok(depth + 1);
    }
    Err(Reason::new(Code::TooMuch, "the tree is deeper than any path can be").hint("ask about a part of it").into())
}
