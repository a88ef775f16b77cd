//! The processes of this machine: whether any runs as somebody.
//!
//! One that runs may hold files open that it could not open any more. In doubt there is one: what cannot be read is an error.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use crate::decide::remap::Kind;
use crate::decide::remap::status::{Status, status};
use crate::terms::limits::MAX_STATUS;

/// A process, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub process: u32,
    /// What it calls itself.
    pub name: String,
    /// Whether it runs as a user or a group.
    pub kind: Kind,
    /// Which.
    pub id: u32,
}

/// A process that runs as one of these, by any of its ids, or those of a thread of its.
///
/// # Errors
/// When the kernel does not say.
pub fn running(is_one: impl Fn(Kind, u32) -> bool) -> io::Result<Option<Found>> {
    // Twice: one that starts another and ends may not be in a single listing, where the new one got a smaller number.
    for _ in 0..2 {
        let found = look(&is_one)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn look(is_one: &impl Fn(Kind, u32) -> bool) -> io::Result<Option<Found>> {
    let mut seen = false;
    for process in numbers(Path::new("/proc"))? {
        let tasks = Path::new("/proc").join(process.to_string()).join("task");
        // What has ended meanwhile holds nothing.
        let Some(threads) = unless_gone(numbers(&tasks))? else { continue };
        for thread in threads {
            let Some(text) = unless_gone(read(&tasks.join(thread.to_string()).join("status")))? else { continue };
            let status = status(&text).ok_or_else(|| io::Error::other(format!("as whom process {process} runs cannot be read")))?;
            seen |= process == std::process::id();
            if let Some((kind, id)) = whom(&status, is_one) {
                return Ok(Some(Found { process, name: status.name, kind, id }));
            }
        }
    }
    if seen { Ok(None) } else { Err(io::Error::other("/proc does not show the processes")) }
}

fn whom(status: &Status, is_one: &impl Fn(Kind, u32) -> bool) -> Option<(Kind, u32)> {
    let users = status.users.iter().map(|id| (Kind::User, *id));
    let mut all = users.chain(status.groups.iter().map(|id| (Kind::Group, *id)));
    all.find(|(kind, id)| !status.is_gone && is_one(*kind, *id))
}

fn numbers(directory: &Path) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(numbers)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(MAX_STATUS).read_to_end(&mut text)?;
    Ok(text)
}

fn unless_gone<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(nix::libc::ESRCH) => Ok(None),
        found => found.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_as_whom_it_runs() {
        let uid = nix::unistd::getuid().as_raw();
        assert!(running(|kind, id| kind == Kind::User && id == uid).unwrap().is_some());
        assert_eq!(running(|kind, id| kind == Kind::User && id == u32::MAX - 7).unwrap(), None);
    }
}
