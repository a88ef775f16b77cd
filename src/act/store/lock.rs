//! The locks of a repository (flock(2)).
//!
//! A lock belongs to the open file. A process that is being made has that file too until it becomes
//! its program, so a lock that is only closed may last for a moment longer than its holder, wherever
//! another thread starts something. What is asked without patience must not see that: a [`Lock`] is
//! given back. What a child carries on purpose is a plain file, free when the last process that has
//! it is gone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Instant;

use nix::libc;

use super::{Repository, trouble};
use crate::terms::limits::{LOCK_PATIENCE, LOCK_POLL};
use crate::terms::{Code, Reason};

/// A lock that ends when this is dropped, whoever else has the file open.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Locks the file against everybody, with a little patience.
    ///
    /// # Errors
    /// With [`Code::Busy`] when another holds it.
    pub(in crate::act) fn of(file: File, path: &Path) -> Result<Self, Reason> {
        wait_for(&file, path)?;
        Ok(Self(file))
    }

    /// The same at once.
    ///
    /// # Errors
    /// Also when another holds it.
    pub(super) fn at_once(file: File) -> Result<Self, TryLockError> {
        file.try_lock()?;
        Ok(Self(file))
    }

    /// The file.
    pub(super) fn file(&self) -> &File {
        &self.0
    }

    /// The file with its lock, for a child to carry, so that the lock outlives a process that is
    /// killed. A process that ends gives it back first.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn carried(&self) -> io::Result<File> {
        self.0.try_clone()
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // It cannot fail for an open file, and closing it does the rest.
        let _ = self.0.unlock();
    }
}

/// The gate's lock of a repository, and the one that its rsync carries.
const OF_A_PUSH: [&str; 2] = ["lock", "rsync.lock"];

/// What root asks of a push, who believes nothing that the account has put in their place.
impl Repository {
    /// Whether a push is running.
    pub fn is_busy(&self) -> bool {
        OF_A_PUSH.iter().any(|name| self.lock_there(name).is_some_and(is_taken))
    }

    /// Keeps every push out, without changing anything: takes the locks that there are.
    ///
    /// # Errors
    /// With [`Code::Busy`] when a push is running.
    #[cfg(feature = "admin")]
    pub fn keep_out(&self) -> Result<Vec<Lock>, Reason> {
        let taken = OF_A_PUSH.iter().filter_map(|name| Some(Lock::of(self.lock_there(name)?, &self.state().join(name))));
        taken.collect()
    }

    fn lock_there(&self, name: &str) -> Option<File> {
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(self.state().join(name));
        file.ok().filter(|file| file.metadata().is_ok_and(|found| found.is_file()))
    }
}

/// Whether somebody holds it against everybody. Asks with a shared lock, so that two who ask do not
/// collide.
pub(in crate::act) fn is_taken(file: File) -> bool {
    match file.try_lock_shared() {
        Ok(()) => {
            drop(Lock(file));
            false
        }
        Err(error) => matches!(error, TryLockError::WouldBlock),
    }
}

/// Whether somebody holds it, be it with others.
pub(in crate::act) fn is_held(file: File) -> bool {
    matches!(Lock::at_once(file), Err(TryLockError::WouldBlock))
}

/// Locks the file against everybody. Who only asks whether it is taken has it for a moment, and a
/// push may be on its last step.
pub(super) fn wait_for(file: &File, path: &Path) -> Result<(), Reason> {
    let patience = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < patience => thread::sleep(LOCK_POLL),
            Err(TryLockError::WouldBlock) => {
                return Err(Reason::new(Code::Busy, "another push of this client is running")
                    .hint("try again when it has ended")
                    .detail("the client's repository is locked by a push that is running"));
            }
            Err(TryLockError::Error(error)) => return Err(trouble("locking", path, &error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a process has it that another thread is just making.
    fn inherited(lock: &Lock) -> File {
        lock.carried().unwrap()
    }

    #[test]
    fn what_is_given_back_is_free_whoever_is_just_being_started() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        File::create(&path).unwrap();
        let open = || File::open(&path).unwrap();
        let lock = Lock::of(open(), &path).unwrap();
        let _child = inherited(&lock);
        assert!(is_taken(open()) && is_held(open()));
        drop(lock);
        assert!(!is_taken(open()) && !is_held(open()));
        assert!(Lock::at_once(open()).is_ok());
    }

    #[test]
    fn whoever_only_asks_is_in_nobody_s_way_and_readers_are_not_in_each_other_s() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lock");
        let reader = File::create(&path).unwrap();
        let open = || File::open(&path).unwrap();
        reader.lock_shared().unwrap();
        assert!(!is_taken(open()) && is_held(open()));
        drop(reader);
        let asking = open();
        let _child = asking.try_clone().unwrap();
        assert!(!is_taken(asking));
        assert!(Lock::at_once(open()).is_ok(), "what asked is gone");
    }
}
