//! Whether a process of this machine runs as somebody, or has something beneath a directory open.
//!
//! It may hold files open that it could no longer open. What cannot be read is an error.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use crate::decide::owners::remap::Kind;
use crate::decide::owners::remap::status::{Status, status};
use crate::terms::limits::MAX_STATUS;

/// A process, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its number.
    pub process: u32,
    /// What it calls itself.
    pub name: String,
    /// The user or group as which it runs; `None` where it is found by what it has open.
    pub whom: Option<(Kind, u32)>,
}

/// A process that runs as one of these, by any id of any thread. Or one of anybody's but root that
/// has something beneath `directory` open, except what is in transit between processes.
///
/// # Errors
/// When the kernel does not say.
pub fn running(is_one: impl Fn(Kind, u32) -> bool, directory: &Path) -> io::Result<Option<Found>> {
    // Twice: a process that starts another with a smaller number and ends may escape a single
    // listing.
    for _ in 0..2 {
        let found = look(&is_one, directory)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

fn look(is_one: &impl Fn(Kind, u32) -> bool, directory: &Path) -> io::Result<Option<Found>> {
    let mut seen = false;
    for process in numbers(Path::new("/proc"))? {
        let tasks = Path::new("/proc").join(process.to_string()).join("task");
        // What has ended meanwhile holds nothing.
        let Some(threads) = unless_gone(numbers(&tasks))? else { continue };
        for thread in threads {
            let task = tasks.join(thread.to_string());
            let Some(text) = unless_gone(read(&task.join("status")))? else { continue };
            let status = status(&text).ok_or_else(|| io::Error::other(format!("as whom process {process} runs cannot be read")))?;
            seen |= process == std::process::id();
            let whom = whom(&status, is_one);
            let is_roots = status.users.iter().all(|user| *user == 0);
            if whom.is_some() || !is_roots && unless_gone(holds(&task, directory))? == Some(true) {
                return Ok(Some(Found { process, name: status.name, whom }));
            }
        }
    }
    if seen { Ok(None) } else { Err(io::Error::other("/proc does not show the processes")) }
}

/// Whether a thread has something beneath a directory open, or in its memory, or stands in it.
fn holds(task: &Path, directory: &Path) -> io::Result<bool> {
    let leads_there = |link: &Path| fs::read_link(link).is_ok_and(|path| path.starts_with(directory));
    if ["cwd", "root", "exe"].iter().any(|link| leads_there(&task.join(link))) {
        return Ok(true);
    }
    // A process has one memory, whatever its threads are.
    let memory = task.join("../../map_files");
    for links in [task.join("fd"), memory] {
        for link in fs::read_dir(links)? {
            if leads_there(&link?.path()) {
                return Ok(true);
            }
        }
    }
    Ok(false)
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
        let nowhere = Path::new("/nowhere");
        // Of others an ordinary user cannot see what they have open.
        assert!(running(|kind, id| kind == Kind::User && id == uid, nowhere).is_ok_and(|found| found.is_some()) || uid != 0);
        if uid == 0 {
            assert_eq!(running(|kind, id| kind == Kind::User && id == u32::MAX - 7, nowhere).unwrap(), None);
        }
    }

    #[test]
    fn what_it_has_open_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let own = Path::new("/proc/self");
        assert!(!holds(&own.join("task").join(std::process::id().to_string()), dir.path()).unwrap_or(false));
        let _open = File::create(dir.path().join("file")).unwrap();
        assert!(holds(&own.join("task").join(std::process::id().to_string()), dir.path()).unwrap());
    }
}
