//! Counts the sessions that run at once. A session locks one byte of a file for each group that it
//! counts in, until its process ends. The kernel counts, so a killed gate leaves no wrong number.
//!
//! A client's file is in its account's directory. The file of all clients is in the spool itself,
//! and every account can write it, since the kernel requires that for a lock. Its content means
//! nothing.
//!
//! A session that cannot be counted is not refused: otherwise whoever breaks the file keeps
//! everybody out.

use std::fs::File;
use std::path::Path;
use std::thread;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::unistd::Uid;

use super::SpoolError;
use super::inside::Inside;
use crate::terms::ClientName;
use crate::terms::limits::{LOCK_PATIENCE, LOCK_POLL};

/// The file of all sessions, in the spool.
pub const SESSIONS: &str = "sessions";

/// What the files of pulls are called, which are counted apart.
pub const RESTORES: &str = "restores";

/// A session's places. Given back when this is dropped or the process ends.
#[derive(Debug)]
#[must_use]
pub struct Slots {
    _files: Vec<File>,
}

/// Which of the two numbers is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The client's own.
    Client,
    /// That of all clients together.
    All,
}

/// Takes a place among `most` sessions of the client in a group (its name begins the file's) and among `all` of the server. The strings say
/// which of the two could not be counted.
///
/// # Errors
/// When there are as many already.
pub fn take_slots(dir: &Path, uid: u32, of: (&str, &ClientName), most: u64, all: u64) -> Result<(Slots, Vec<String>), Full> {
    let (mut files, mut notes) = (Vec::new(), Vec::new());
    match own_file(dir, uid, of).and_then(|file| patiently(&file, most).map(|taken| (file, taken))) {
        Ok((file, true)) => files.push(file),
        Ok((_, false)) => return Err(Full::Client),
        Err(error) => notes.push(format!("the client's sessions are not counted: {error}")),
    }
    // Last, so that sessions waiting for their client's limit take no place from other clients.
    match Inside::pass_through(dir).and_then(|site| site.shared_file(SESSIONS)).and_then(|file| slot(&file, all).map(|taken| (file, taken)))
    {
        Ok((file, true)) => files.push(file),
        Ok((_, false)) => return Err(Full::All),
        Err(error) => notes.push(format!(
            "the sessions of all clients are not counted: {error}; `systemd-tmpfiles --create` or `install -o root -g snapgate -m 0660 /dev/null` makes the file"
        )),
    }
    Ok((Slots { _files: files }, notes))
}

fn own_file(dir: &Path, uid: u32, (group, client): (&str, &ClientName)) -> Result<File, SpoolError> {
    let site = Inside::pass_through(dir)?;
    let name = uid.to_string();
    let home = match site.enter(&name, Uid::from_raw(uid)) {
        Err(SpoolError::Io { error, .. }) if error.kind() == std::io::ErrorKind::NotFound => {
            site.make(&name)?;
            site.enter(&name, Uid::from_raw(uid))?
        }
        other => other?,
    };
    home.lock_file(&format!("{group}-{client}"))
}

/// Waits a moment for the session before, which may be about to end.
fn patiently(file: &File, most: u64) -> Result<bool, SpoolError> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        if slot(file, most)? {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        thread::sleep(LOCK_POLL);
    }
}

/// Locks the first free one of `most` bytes; returns whether there was one. The lock belongs to the
/// open file, not to the process (fcntl(2), open file description locks), so opening the file again
/// does not lose it.
fn slot(file: &File, most: u64) -> Result<bool, SpoolError> {
    // Each begins elsewhere, so that mostly the first try is a free one.
    let begin = u64::from(std::process::id());
    for number in 0..most {
        let byte = begin.wrapping_add(number) % most.max(1);
        let lock = libc::flock {
            l_type: i16::try_from(libc::F_WRLCK).unwrap_or_default(),
            l_whence: i16::try_from(libc::SEEK_SET).unwrap_or_default(),
            l_start: libc::off_t::try_from(byte).unwrap_or(libc::off_t::MAX),
            l_len: 1,
            l_pid: 0,
        };
        match fcntl(file, FcntlArg::F_OFD_SETLK(&lock)) {
            Ok(_) => return Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => {}
            Err(error) => return Err(SpoolError::io("lock", Path::new(SESSIONS), error)),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn spool() -> (tempfile::TempDir, u32) {
        (tempfile::tempdir().unwrap(), nix::unistd::geteuid().as_raw())
    }

    #[test]
    fn a_place_is_free_again_when_its_session_ends() {
        let (dir, uid) = spool();
        let client: ClientName = "web1".parse().unwrap();
        let take = |all| take_slots(dir.path(), uid, (SESSIONS, &client), 2, all);
        let (first, notes) = take(3).unwrap();
        assert_eq!(notes, Vec::<String>::new());
        let _second = take(3).unwrap();
        assert_eq!(take(3).unwrap_err(), Full::Client);
        let other: ClientName = "web2".parse().unwrap();
        let third = take_slots(dir.path(), uid, (SESSIONS, &other), 2, 3).unwrap();
        assert_eq!(take_slots(dir.path(), uid, (SESSIONS, &other), 2, 3).unwrap_err(), Full::All);
        drop(first);
        let _again = take(3).unwrap();
        drop(third);
        assert_eq!(fs::read(dir.path().join(SESSIONS)).unwrap(), b"", "there is no number that could be wrong");
    }

    #[test]
    fn what_cannot_be_counted_is_said_and_turns_nobody_away() {
        let (dir, uid) = spool();
        let client: ClientName = "web1".parse().unwrap();
        let (_slots, notes) = take_slots(&dir.path().join("missing"), uid, (SESSIONS, &client), 1, 1).unwrap();
        assert_eq!(notes.len(), 2, "{notes:?}");

        std::os::unix::fs::symlink("/etc/passwd", dir.path().join(SESSIONS)).unwrap();
        let (_slots, notes) = take_slots(dir.path(), uid, (SESSIONS, &client), 1, 1).unwrap();
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("all clients"), "{notes:?}");
    }

    #[test]
    fn the_file_of_all_is_for_whoever_may_add_to_the_spool() {
        use std::os::unix::fs::PermissionsExt as _;
        let (dir, uid) = spool();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1730)).unwrap();
        let _slots = take_slots(dir.path(), uid, (SESSIONS, &"web1".parse().unwrap()), 1, 1).unwrap();
        assert_eq!(fs::metadata(dir.path().join(SESSIONS)).unwrap().permissions().mode() & 0o7777, 0o660);
    }
}
