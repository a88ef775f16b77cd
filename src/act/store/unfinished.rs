//! Files that rsync had not finished: in a directory that it was told to use, in each directory of
//! the tree; and, where it was killed, the one that it was at, under its temporary name.
//!
//! None may be published, or be taken for a whole file by a later push.

use std::ffi::{CStr, CString, OsStr};
use std::fs;
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, UtimensatFlags, fstat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use super::disk::found;
use super::remove::Emptied;
use super::tree::{Lent, Listed, each, kind, open_at, open_below, open_forcibly, restore_times, stat};
use super::walk::{Closed, Leaving, Next, Visitor, walk, walk_tree};
use crate::decide::rsync::temporary::{likely, stem, stem_of};
use crate::terms::limits::MAX_MEANT;

/// A number that nobody can know.
fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    // So few come at once (getrandom(2), "up to 256 bytes").
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(bytes))
}

/// A name for the directory in which one push's rsync leaves unfinished files. No client can know
/// it beforehand, so nothing that one sends is taken for it.
pub(super) fn new_partial_dir() -> io::Result<String> {
    Ok(format!(".~snapgate-{:016x}~", random()?))
}

/// Takes every directory called `name` out of a tree that is not published. With `keep`, its files
/// go to where they were meant to stand, unless something stands there, marked as unfinished.
pub(super) fn take_out(path: &Path, name: &str, keep: bool) -> io::Result<()> {
    walk_tree(path, Taken::From(None), Closed::Lent, &mut TakingOut { wanted: &CString::new(name)?, keep }).map(drop)
}

struct TakingOut<'a> {
    wanted: &'a CStr,
    keep: bool,
}

enum Taken {
    /// A directory that stays; as it was, once something has been taken out of it.
    From(Option<Box<FileStat>>),
    /// One that is taken out, or that is in such a one.
    Out(Emptied),
}

impl TakingOut<'_> {
    fn rescue(from: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
        let unfinished = open_forcibly(from, name)?;
        each(unfinished.as_fd(), |file| {
            if is_free(from, file.name, &stat(unfinished.as_fd(), file.name)?)? {
                renameat(&unfinished, file.name, from, file.name)?;
                mark_unfinished(from, file.name)?;
            }
            Ok(())
        })
    }
}

impl Visitor for TakingOut<'_> {
    type Here = Taken;

    fn entry(&mut self, here: &mut Taken, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Taken>> {
        let before = match here {
            Taken::Out(emptied) => {
                return Ok(if emptied.take(at, entry)? { Next::Past } else { Next::Into(Taken::Out(Emptied::default())) });
            }
            Taken::From(before) => before,
        };
        if !entry.is_directory(at)? {
            return Ok(Next::Past);
        }
        if entry.name != self.wanted {
            return Ok(Next::Into(Taken::From(None)));
        }
        before.get_or_insert(Box::new(fstat(at)?));
        if self.keep {
            Self::rescue(at, entry.name)?;
        }
        Ok(Next::Into(Taken::Out(Emptied::default())))
    }

    fn leave(&mut self, here: Taken, left: &Leaving<'_>) -> io::Result<Option<Taken>> {
        match here {
            Taken::Out(emptied) => Ok(emptied.go(left)?.map(Taken::Out)),
            Taken::From(None) => Ok(None),
            Taken::From(Some(before)) => {
                restore_times(left.at, &before)?;
                Ok(Some(Taken::From(None)))
            }
        }
    }
}

/// Whether a name is free for an unfinished file: nothing stands there, or a shorter one.
fn is_free(directory: BorrowedFd<'_>, name: &CStr, file: &FileStat) -> io::Result<bool> {
    Ok(found(stat(directory, name))?.is_none_or(|stands| is_less(&stands, file)))
}

/// Whether a file is a part, and less than the other. The longest part is kept.
pub(super) fn is_less(file: &FileStat, than: &FileStat) -> bool {
    is_marked(file) && kind(than) == SFlag::S_IFREG && file.st_size < than.st_size
}

/// Whether a file has the mark of an unfinished one. A client's file as old as that is at worst
/// sent again.
pub(super) fn is_marked(file: &FileStat) -> bool {
    kind(file) == SFlag::S_IFREG && file.st_mtime < 0
}

/// Gives a file a time before 1970 that nobody can know: rsync builds on such a file and never
/// takes it for the whole, and no file of a client's has the same time but by chance.
fn mark_unfinished(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let ago = i64::try_from(random()? % (1 << 31)).unwrap_or_default();
    let time = TimeSpec::new(-1 - ago, 0);
    Ok(utimensat(directory, name, &time, &time, UtimensatFlags::NoFollowSymlink)?)
}

/// Trees in which names are looked up.
pub(super) struct Earlier {
    /// What pushes that were cut off have left.
    pub(super) tries: Option<PathBuf>,
    pub(super) newest: Option<PathBuf>,
}

/// A file that has the name of a temporary one.
struct Temporary {
    directory: Vec<u8>,
    name: CString,
    found: FileStat,
}

/// Gives the file that a killed rsync was at its name, marked as unfinished. If it may have been
/// meant for several names, it gets each: one that no client asks for costs nothing.
pub(super) fn take_temporary(path: &Path, earlier: &Earlier) -> io::Result<()> {
    let mut latest = Latest::default();
    walk_tree(path, 0, Closed::Lent, &mut latest)?;
    let Some(Temporary { directory, name, found }) = latest.last else { return Ok(()) };
    let Some(of) = stem_of(name.to_bytes()) else { return Ok(()) };
    let here = Lent::tree(path)?.along(parts(&directory))?;
    let mut given = None::<CString>;
    for meant in meant(of, &directory, earlier)? {
        if !is_free(here.as_fd(), &meant, &found)? {
            continue;
        }
        if let Some(given) = &given {
            match unlinkat(&here, meant.as_c_str(), UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(nix::errno::Errno::ENOENT) => {}
                Err(error) => return Err(error.into()),
            }
            linkat(&here, given.as_c_str(), &here, meant.as_c_str(), AtFlags::empty())?;
        } else {
            renameat(&here, name.as_c_str(), &here, meant.as_c_str())?;
            given = Some(meant);
        }
    }
    match given {
        Some(given) => mark_unfinished(here.as_fd(), &given),
        // No push could use it, and none may leave one more each time.
        None => Ok(unlinkat(&here, name.as_c_str(), UnlinkatFlags::NoRemoveDir)?),
    }
}

fn parts(directory: &[u8]) -> impl Iterator<Item = &OsStr> {
    directory.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).map(OsStr::from_bytes)
}

/// Looks for the one that was changed last: rsync works on one file at a time.
#[derive(Default)]
struct Latest {
    last: Option<Temporary>,
    /// The way to the directory that the walk is in, and perhaps more. One for all levels: it may
    /// be long.
    way: Vec<u8>,
}

impl Visitor for Latest {
    /// How long the way to the directory is.
    type Here = usize;

    fn entry(&mut self, here: &mut usize, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<usize>> {
        self.way.truncate(*here);
        if entry.is_directory(at)? {
            self.way.extend(entry.name.to_bytes().iter().chain(b"/"));
            return Ok(Next::Into(self.way.len()));
        }
        if stem_of(entry.name.to_bytes()).is_some() {
            let found = stat(at, entry.name)?;
            let changed = |found: &FileStat| (found.st_ctime, found.st_ctime_nsec);
            if is_under_way(&found) && self.last.as_ref().is_none_or(|last| changed(&last.found) < changed(&found)) {
                self.last = Some(Temporary { directory: self.way.clone(), name: entry.name.to_owned(), found });
            }
        }
        Ok(Next::Past)
    }
}

/// Whether rsync was still writing to a file. One of a client's may be called so; when it arrived
/// rsync gave it the client's time or its name, either of which moved its ctime past its last
/// write. Until then nobody else may read it (`INITACCESSPERMS` in rsync's rsync.h), and it has one
/// name. A client that forges all this has its own file sent again.
fn is_under_way(found: &FileStat) -> bool {
    let (changed, written) = ((found.st_ctime, found.st_ctime_nsec), (found.st_mtime, found.st_mtime_nsec));
    kind(found) == SFlag::S_IFREG && found.st_nlink == 1 && found.st_mode & 0o077 == 0 && found.st_size > 0 && changed == written
}

/// The names that a temporary file with this stem may have been meant for: those of which earlier
/// tries have a part, if any; and none that they have received whole, if there is another.
fn meant(of: &[u8], directory: &[u8], earlier: &Earlier) -> io::Result<Vec<CString>> {
    let (parts, whole): (Vec<_>, Vec<_>) =
        names(of, directory, earlier.tries.as_deref())?.into_iter().partition(|(_, found)| is_marked(found));
    let name = |(name, _)| name;
    if !parts.is_empty() {
        return Ok(parts.into_iter().map(name).collect());
    }
    let whole: Vec<_> = whole.into_iter().map(name).collect();
    let mut meant = likely(of).map(CString::new).collect::<Result<Vec<_>, _>>()?;
    let known = names(of, directory, earlier.newest.as_deref())?.into_iter().map(name);
    meant.extend(known.filter(|known| !meant.contains(known)).collect::<Vec<_>>());
    meant.retain(|name| !whole.contains(name));
    Ok(if meant.is_empty() { whole } else { meant })
}

/// Those with this stem in a directory of a tree, which is not changed.
fn names(of: &[u8], directory: &[u8], tree: Option<&Path>) -> io::Result<Vec<(CString, FileStat)>> {
    let mut names = Vec::new();
    let Some(Ok(there)) = tree.map(|tree| open_below(tree, parts(directory))) else { return Ok(names) };
    each(there.as_fd(), |entry| {
        if names.len() < MAX_MEANT && stem(entry.name.to_bytes()) == of {
            // What may not be looked at is of no use here, and must not cost the rest.
            names.extend(stat(there.as_fd(), entry.name).ok().map(|found| (entry.name.to_owned(), found)));
        }
        Ok(())
    })?;
    Ok(names)
}

/// Whether a file is a part that may have been meant for another name, which `later` has.
pub(super) fn is_superseded(name: &CStr, found: &FileStat, later: BorrowedFd<'_>) -> io::Result<bool> {
    if !is_marked(found) || found.st_nlink == 1 {
        return Ok(false);
    }
    for other in likely(stem(name.to_bytes())).filter(|other| other != name.to_bytes()) {
        if stat(later, &CString::new(other)?).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the tree in `stage` has a file, finished or among its `own` unfinished ones, that was
/// built on a part of it in `tries`: it begins with the first block of that, so rsync took at
/// least this from there.
pub(super) fn is_built_on(stage: OwnedFd, own: &CStr, tries: BorrowedFd<'_>) -> io::Result<bool> {
    walk(tries, c".", stage, Closed::Left, &mut Building { own })
}

struct Building<'a> {
    own: &'a CStr,
}

impl Visitor for Building<'_> {
    /// The same directory in the stage.
    type Here = OwnedFd;

    fn entry(&mut self, stage: &mut OwnedFd, tries: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<OwnedFd>> {
        let (stage, name) = (stage.as_fd(), entry.name);
        if entry.is_directory(tries)? {
            return Ok(open_at(stage, name).map_or(Next::Past, Next::Into));
        }
        let unfinished = || open_at(stage, self.own).is_ok_and(|own| begins_with(own.as_fd(), tries, name));
        let built_on = is_marked(&stat(tries, name)?) && (begins_with(stage, tries, name) || unfinished());
        Ok(if built_on { Next::Stop } else { Next::Past })
    }

    fn unseen(&mut self, _: io::Error) -> io::Result<ControlFlow<()>> {
        Ok(ControlFlow::Continue(()))
    }
}

/// The longest block that rsync compares (`MAX_BLOCK_SIZE` in its rsync.h).
const BLOCK: u64 = 1 << 17;

fn begins_with(stage: BorrowedFd<'_>, tries: BorrowedFd<'_>, name: &CStr) -> bool {
    let block = |directory: BorrowedFd<'_>| -> io::Result<Vec<u8>> {
        let mut block = Vec::new();
        if kind(&stat(directory, name)?) == SFlag::S_IFREG {
            let how = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NOATIME | OFlag::O_CLOEXEC;
            fs::File::from(openat(directory, name, how, Mode::empty())?).take(BLOCK).read_to_end(&mut block)?;
        }
        Ok(block)
    };
    match (block(stage), block(tries)) {
        (Ok(file), Ok(part)) => !part.is_empty() && file.starts_with(&part),
        _ => false,
    }
}
