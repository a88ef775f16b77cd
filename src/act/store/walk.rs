//! The one walk through a tree that a client filled: by descriptor, one level at a time, entry by
//! entry, never through a symbolic link. What happens on the way is a [`Visitor`]'s.
//!
//! No walk goes deeper than [`MAX_TREE_DEPTH`](crate::terms::limits::MAX_TREE_DEPTH), and none
//! remembers more than its way: a tree may have any number of files.

use std::ffi::CStr;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::fcntl::AT_FDCWD;
use rustix::fs::{SeekFrom, seek};

use super::tree::{Lent, Listed, c_string, deeper, find, open_at};

/// What happens to a directory that its owner may not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::act) enum Closed {
    /// It stays so, and the walk passes it.
    Left,
    /// Its owner gets every right to it for the visit: only in a tree that is not published.
    Lent,
}

/// What follows an entry.
pub(in crate::act) enum Next<H> {
    /// The one after it.
    Past,
    /// Those in it, with what is known of it.
    Into(H),
    /// The same; the visitor has opened it.
    Through(OwnedFd, H),
    /// None: the walk has found what it was for.
    Stop,
}

/// A directory whose entries have all been seen, still open.
pub(in crate::act) struct Leaving<'a> {
    pub(in crate::act) parent: BorrowedFd<'a>,
    pub(in crate::act) name: &'a CStr,
    pub(in crate::act) at: BorrowedFd<'a>,
}

/// What is done with a tree. After an error, or where it stops, no further directory is left.
pub(in crate::act) trait Visitor {
    /// What is known of a directory while the walk is in it.
    type Here;

    /// Levels between the top of the walk and a tree that a client filled.
    const ABOVE: usize = 0;

    /// Looks at an entry of a directory. Only directories can be gone into.
    fn entry(&mut self, here: &mut Self::Here, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Self::Here>>;

    /// Leaves a directory, the top at last. With `Some` it is read again: a listing may pass over
    /// an entry when the one before it is removed. The visitor may remove the directory.
    fn leave(&mut self, _: Self::Here, _: &Leaving<'_>) -> io::Result<Option<Self::Here>> {
        Ok(None)
    }

    /// A directory below the top could not be opened. Ends the walk, unless it is overridden.
    fn unseen(&mut self, error: io::Error) -> io::Result<ControlFlow<()>> {
        Err(error)
    }

    /// A directory below the top could not be read to its end. Likewise.
    fn broken_off(&mut self, error: io::Error) -> io::Result<ControlFlow<()>> {
        Err(error)
    }
}

/// Walks through a directory and all that is in it. Returns whether the visitor stopped it.
pub(in crate::act) fn walk<V: Visitor>(
    parent: BorrowedFd<'_>,
    name: &CStr,
    here: V::Here,
    closed: Closed,
    visitor: &mut V,
) -> io::Result<bool> {
    let opened = open(parent, name, closed)?;
    let stopped = read(&Leaving { parent, name, at: opened.as_fd() }, here, closed, visitor, 0)?;
    opened.give_back().map(|()| stopped)
}

/// The same by the gate's own path.
pub(in crate::act) fn walk_tree<V: Visitor>(path: &Path, here: V::Here, closed: Closed, visitor: &mut V) -> io::Result<bool> {
    walk(AT_FDCWD, &c_string(path.as_os_str())?, here, closed, visitor)
}

fn open(parent: BorrowedFd<'_>, name: &CStr, closed: Closed) -> io::Result<Lent> {
    match closed {
        Closed::Left => Ok(Lent::as_it_is(open_at(parent, name)?)),
        Closed::Lent => Lent::open(parent, name),
    }
}

/// Calls itself for each level: whatever it holds, the stack has to hold as often.
fn read<V: Visitor>(directory: &Leaving<'_>, mut here: V::Here, closed: Closed, visitor: &mut V, depth: usize) -> io::Result<bool> {
    let at = directory.at;
    loop {
        let stopped = find(at, |entry| {
            let (opened, below) = match visitor.entry(&mut here, at, entry)? {
                Next::Past => return Ok(None),
                Next::Stop => return Ok(Some(())),
                Next::Into(below) => (deeper(depth.saturating_sub(V::ABOVE)).and_then(|_| open(at, entry.name, closed)), below),
                Next::Through(opened, below) => (deeper(depth.saturating_sub(V::ABOVE)).map(|_| Lent::as_it_is(opened)), below),
            };
            let stopped = match opened {
                Err(error) => visitor.unseen(error)?.is_break(),
                Ok(opened) => {
                    let next = Leaving { parent: at, name: entry.name, at: opened.as_fd() };
                    // What goes wrong further down is not this directory's.
                    let read = read(&next, below, closed, visitor, depth + 1).and_then(|stopped| opened.give_back().map(|()| stopped));
                    read.or_else(|error| visitor.broken_off(error).map(|flow| flow.is_break()))?
                }
            };
            Ok(stopped.then_some(()))
        })?;
        if stopped.is_some() {
            return Ok(true);
        }
        match visitor.leave(here, directory)? {
            None => return Ok(false),
            Some(again) => here = again,
        }
        seek(at, SeekFrom::Start(0))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use nix::sys::stat::fstat;
    use nix::unistd::{UnlinkatFlags, unlinkat};

    /// Removes a directory as soon as it sees what is in it.
    struct Spoiler {
        victim: PathBuf,
        seen: Vec<String>,
        broken: usize,
    }

    impl Visitor for Spoiler {
        type Here = ();

        fn entry(&mut self, (): &mut (), at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<()>> {
            self.seen.push(entry.name.to_string_lossy().into_owned());
            if entry.name.to_bytes().starts_with(b"inside") && self.victim.exists() {
                fs::remove_dir_all(&self.victim)?;
            }
            Ok(if entry.is_directory(at).unwrap_or(false) { Next::Into(()) } else { Next::Past })
        }

        fn broken_off(&mut self, _: io::Error) -> io::Result<ControlFlow<()>> {
            self.broken += 1;
            Ok(ControlFlow::Continue(()))
        }
    }

    #[test]
    fn a_directory_that_goes_while_it_is_read_is_told_of_and_the_others_are_seen() {
        let root = tempfile::tempdir().unwrap();
        let victim = root.path().join("victim");
        fs::create_dir_all(victim.join("deeper")).unwrap();
        for number in 0..200 {
            // More than is read at once.
            fs::write(victim.join(format!("inside-{number:0>200}")), "").unwrap();
        }
        for name in ["a", "z"] {
            fs::create_dir(root.path().join(name)).unwrap();
            fs::write(root.path().join(name).join("file"), "").unwrap();
        }
        let mut spoiler = Spoiler { victim, seen: Vec::new(), broken: 0 };
        assert!(!walk_tree(root.path(), (), Closed::Left, &mut spoiler).unwrap());
        assert_eq!(spoiler.broken, 1);
        assert_eq!(spoiler.seen.iter().filter(|name| *name == "file").count(), 2);
    }

    /// Finds one file in each directory, however often it has to read it, and fails in `bad`.
    struct Reader(Vec<u32>);

    impl Visitor for Reader {
        type Here = Option<CString>;

        fn entry(&mut self, seen: &mut Self::Here, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Self::Here>> {
            if entry.is_directory(at)? {
                return Ok(Next::Into(None));
            }
            *seen = Some(entry.name.to_owned());
            Ok(Next::Past)
        }

        fn leave(&mut self, seen: Self::Here, left: &Leaving<'_>) -> io::Result<Option<Self::Here>> {
            self.0.push(fstat(left.at)?.st_mode & 0o777);
            match seen {
                Some(name) if name.as_bytes() == b"bad" => Err(io::ErrorKind::InvalidData.into()),
                Some(name) => unlinkat(left.at, &*name, UnlinkatFlags::NoRemoveDir).map(|()| Some(None)).map_err(io::Error::from),
                None => Ok(None),
            }
        }
    }

    #[test]
    fn a_directory_is_read_again_where_the_visitor_says_so_and_has_its_mode_back_also_after_an_error() {
        let root = tempfile::tempdir().unwrap();
        let (top, closed) = (root.path().join("top"), root.path().join("top/closed"));
        for (file, modes) in [("good", vec![0o700, 0o700, 0o755]), ("bad", vec![0o700])] {
            fs::create_dir_all(&closed).unwrap();
            fs::write(closed.join(file), "").unwrap();
            fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
            fs::set_permissions(&top, fs::Permissions::from_mode(0o755)).unwrap();
            let mut reader = Reader(Vec::new());
            assert_eq!(walk_tree(&top, None, Closed::Lent, &mut reader).is_ok(), file == "good");
            assert_eq!(reader.0, modes, "{file}");
            assert_eq!(fs::metadata(&closed).unwrap().permissions().mode() & 0o777, 0, "{file}");
            fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        }
    }
}
