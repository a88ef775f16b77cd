//! What each snapshot alone takes, and so would free, and what all take together.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use super::{Out, Reader, Stop};
use crate::act::store::tree::{Listed, allocated, kind, names_of, stat};
use crate::act::store::walk::{Closed, Next, Visitor, walk};
use crate::terms::limits::MAX_SEVERAL;
use crate::terms::{Shares, Usage};

pub(super) fn usage(reader: &Reader<'_>, out: &mut Out) -> Result<(), Stop> {
    let (mut all, mut more) = (Shares::default(), false);
    for name in reader.store.names()? {
        let Some(snapshot) = reader.store.still(name.as_str())? else { continue };
        let mut count = Count { alone: Usage::default(), several: Vec::new(), all, out, more: false, closed: false };
        count.add(snapshot.as_fd(), c".")?;
        let walked = walk(snapshot.as_fd(), c".", (), Closed::Left, &mut count);
        if count.closed {
            return Err(Stop::Closed);
        }
        walked?;
        let alone = count.alone();
        all = count.all;
        more |= count.more;
        let or_more = count.more;
        out.line(&reader.writing.taken(Some(name.as_str()), alone, or_more))?;
    }
    out.line(&reader.writing.taken(None, all.sum(), more))
}

struct Count<'o> {
    /// What has no name elsewhere, for certain.
    alone: Usage,
    /// Each name of what has several, some of which may be in other snapshots.
    several: Vec<(u64, u32, u64)>,
    all: Shares,
    out: &'o mut Out,
    more: bool,
    closed: bool,
}

impl Count<'_> {
    fn add(&mut self, at: BorrowedFd<'_>, name: &std::ffi::CStr) -> io::Result<()> {
        let found = stat(at, name)?;
        let bytes = allocated(&found);
        let names = if kind(&found) == nix::sys::stat::SFlag::S_IFDIR { 1 } else { names_of(&found) };
        self.all.add(bytes, names);
        if names <= 1 {
            self.alone = self.alone.and(Usage { bytes, inodes: 1 });
        } else if self.several.len() < MAX_SEVERAL {
            self.several.push((found.st_ino, u32::try_from(names).unwrap_or(u32::MAX), bytes));
        } else {
            self.more = true;
        }
        Ok(())
    }

    /// With that of which every name was seen here.
    fn alone(&mut self) -> Usage {
        self.several.sort_unstable();
        let same = |one: &(u64, u32, u64), other: &(u64, u32, u64)| one.0 == other.0;
        let whole = self.several.chunk_by(same).filter_map(|names| {
            let (_, all, bytes) = names.first()?;
            (u32::try_from(names.len()) == Ok(*all)).then_some(Usage { bytes: *bytes, inodes: 1 })
        });
        whole.fold(self.alone, Usage::and)
    }
}

impl Visitor for Count<'_> {
    type Here = ();

    fn entry(&mut self, (): &mut (), at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<()>> {
        if self.out.look().is_err() {
            self.closed = true;
            return Ok(Next::Stop);
        }
        self.add(at, entry.name)?;
        Ok(if entry.is_directory(at)? { Next::Into(()) } else { Next::Past })
    }
}
