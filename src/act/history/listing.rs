//! The names of a directory, in order, in little memory: a client may have a million in one.

use std::cell::Cell;
use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;

use super::Stop;
use crate::act::store::tree::each;
use crate::terms::limits::MAX_OPEN_NAMES;
use crate::terms::{Code, Reason};

/// What all listings that are open may take together.
pub(super) struct Room(Cell<usize>);

impl Default for Room {
    fn default() -> Self {
        Self(Cell::new(MAX_OPEN_NAMES))
    }
}

/// A listing.
pub(super) struct Listing<'a> {
    room: &'a Room,
    taken: usize,
    /// Each with a NUL behind it.
    names: Vec<u8>,
    /// Where each begins, and its inode.
    all: Vec<(u32, u64)>,
}

/// What a name takes besides its bytes.
const EACH: usize = size_of::<(u32, u64)>() + 1;

impl<'a> Listing<'a> {
    pub(super) fn read(directory: &impl AsFd, room: &'a Room) -> Result<Self, Stop> {
        let mut listing = Self { room, taken: 0, names: Vec::new(), all: Vec::new() };
        let mut full = false;
        each(directory.as_fd(), |entry| {
            let name = entry.name.to_bytes_with_nul();
            let needed = name.len() + EACH;
            let left = listing.room.0.get().checked_sub(needed);
            let (Some(left), Ok(start)) = (left, u32::try_from(listing.names.len())) else {
                full = true;
                return Err(io::ErrorKind::OutOfMemory.into());
            };
            listing.room.0.set(left);
            listing.taken += needed;
            listing.all.push((start, entry.inode));
            listing.names.extend_from_slice(name);
            Ok(())
        })
        .map_err(|error| if full { too_wide().into() } else { Stop::from(error) })?;
        let Self { names, all, .. } = &mut listing;
        all.sort_unstable_by(|one, other| bytes(names, one.0).cmp(&bytes(names, other.0)));
        Ok(listing)
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn name(&self, at: usize) -> Option<&CStr> {
        let (start, _) = self.all.get(at)?;
        bytes(&self.names, *start)
    }

    pub(super) fn inode(&self, at: usize) -> Option<u64> {
        self.all.get(at).map(|(_, inode)| *inode)
    }
}

impl Drop for Listing<'_> {
    fn drop(&mut self) {
        self.room.0.set(self.room.0.get() + self.taken);
    }
}

fn bytes(names: &[u8], start: u32) -> Option<&CStr> {
    CStr::from_bytes_until_nul(names.get(usize::try_from(start).ok()?..)?).ok()
}

fn too_wide() -> Reason {
    Reason::new(Code::TooMuch, "a directory has more names than can be put in order").hint("ask about a part of it")
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn names_are_in_order_and_what_they_took_is_given_back() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b", "a", "a.b", "a0", "\u{e9}", "A"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let room = Room::default();
        let listing = Listing::read(&File::open(dir.path()).unwrap(), &room).unwrap();
        let names: Vec<_> = (0..listing.len()).map(|at| listing.name(at).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["A", "a", "a.b", "a0", "b", "\u{e9}"]);
        assert!(listing.name(6).is_none() && room.0.get() < MAX_OPEN_NAMES);
        drop(listing);
        assert_eq!(room.0.get(), MAX_OPEN_NAMES);
        let small = Room(Cell::new(30));
        assert!(matches!(Listing::read(&File::open(dir.path()).unwrap(), &small), Err(Stop::Because(why)) if why.code == Code::TooMuch));
        assert_eq!(small.0.get(), 30);
    }
}
