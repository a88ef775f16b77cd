//! One walk through a tree that a client filled: by descriptor, one level at a time, entry by entry, and never through a symbolic link.
//! What is done on the way is a [`Visitor`]'s.
//!
//! No walk goes deeper than [`MAX_TREE_DEPTH`](crate::terms::limits::MAX_TREE_DEPTH), and none remembers more than its way: a tree may have
//! any number of files.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use super::tree::{Listed, deeper, find, lent, open_at};

/// What happens to a directory that its owner may not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// It stays so, and is not looked into.
    Left,
    /// It is made readable for the look: only in a tree that is not published.
    Lent,
}

/// What follows an entry.
pub(super) enum Next<H> {
    /// The one after it.
    Past,
    /// Those in it, with what is known of it.
    Into(H),
    /// None: the walk has found what it was for.
    Stop,
}

/// What is done with the entries of a tree.
pub(super) trait Visitor {
    /// What is known of a directory for as long as the walk is in it.
    type Here;

    /// Looks at one of the entries of a directory. Only a directory may be gone into.
    fn entry(&mut self, here: &mut Self::Here, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Self::Here>>;

    /// Hears of a directory that could not be gone into. Unless the visitor has it otherwise the walk ends.
    fn unseen(&mut self, error: io::Error) -> io::Result<ControlFlow<()>> {
        Err(error)
    }

    /// Hears of a directory that could not be read to its end. Unless the visitor has it otherwise the walk ends.
    fn broken_off(&mut self, error: io::Error) -> io::Result<ControlFlow<()>> {
        Err(error)
    }
}

/// Walks through a directory with all that is in it. Says whether the visitor stopped it.
pub(super) fn walk<V: Visitor>(top: OwnedFd, here: V::Here, closed: Closed, visitor: &mut V) -> io::Result<bool> {
    directory(top, here, closed, visitor, 0)
}

fn directory<V: Visitor>(directory: OwnedFd, mut here: V::Here, closed: Closed, visitor: &mut V, depth: usize) -> io::Result<bool> {
    let at = directory.as_fd();
    let stopped = find(at, |entry| {
        let below = match visitor.entry(&mut here, at, entry)? {
            Next::Past => return Ok(None),
            Next::Stop => return Ok(Some(())),
            Next::Into(below) => below,
        };
        let entered = deeper(depth).and_then(|depth| {
            // What goes wrong further down is not this directory's.
            let go_on = |next, visitor: &mut V| {
                let walked = self::directory(next, below, closed, visitor, depth);
                Ok(walked.or_else(|error| visitor.broken_off(error).map(|flow| flow.is_break())))
            };
            match closed {
                Closed::Left => go_on(open_at(at, entry.name)?, visitor),
                Closed::Lent => lent(at, entry.name, |next| go_on(next, visitor)),
            }
        });
        let stopped = entered.unwrap_or_else(|error| visitor.unseen(error).map(|flow| flow.is_break()))?;
        Ok(stopped.then_some(()))
    })?;
    Ok(stopped.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    use super::super::tree::open;

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
        assert!(!walk(open(root.path()).unwrap(), (), Closed::Left, &mut spoiler).unwrap());
        assert_eq!(spoiler.broken, 1);
        assert_eq!(spoiler.seen.iter().filter(|name| *name == "file").count(), 2);
    }
}
