//! The reaper: removes what was in the trash for long enough, and says what that freed.
//!
//! Threads share directories. Each goes through a tree by the store's one walker, and gives a
//! directory away when another thread has nothing to do. What they leave, since it was not empty
//! yet, goes in a last walk. Whatever is interrupted goes on the next time: it stands in
//! `.snapgate/reaping/`, from where nothing comes back.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::stat::{FileStat, SFlag, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::{Opened, Trashed};
use crate::act::store::tree::{Listed, allocated, each, kind, open_at, open_forcibly, stat};
use crate::act::store::walk::{Closed, Leaving, Next, Visitor, walk};
use crate::act::store::{OrTrouble as _, locked};
use crate::terms::limits::{MAX_NAMED_PROBLEMS, REAP_LOOK, REAP_THREADS};
use crate::terms::text::{os_words, printable};
use crate::terms::{Code, Reason, Usage};

/// What the reaper did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Snapshots that are gone.
    pub snapshots: u64,
    /// Bytes that are free now. A file frees its own when its last name goes.
    pub bytes: u64,
    /// Inodes that are free now.
    pub inodes: u64,
    /// What could not be removed, the first of it.
    pub problems: Vec<String>,
    /// How much could not be removed.
    pub in_all: u64,
}

/// How many locks files of several names share.
const TURNS: usize = 256;

/// Bytes of a thread's stack: the walk calls itself for each level.
const STACK: usize = 16 << 20;

impl Opened {
    /// Removes these from the trash for good, and what an earlier reaper did not finish. Stands
    /// back while a push runs.
    ///
    /// # Errors
    /// With [`Code::Busy`](crate::terms::Code::Busy) while another reaper is at work.
    pub fn reap(&self, trashed: &[Trashed]) -> Result<Reaped, Reason> {
        let _lock = self.reaper_lock()?;
        let reaping = self.give_up(trashed).or_trouble("emptying the trash of", &self.path)?;
        let mut all = Reaped::default();
        let mut names: Vec<CString> = Vec::new();
        let listed = open_at(&reaping, ".").map_err(io::Error::from).and_then(|again| {
            each(again.as_fd(), |entry| {
                names.push(entry.name.to_owned());
                Ok(())
            })
        });
        listed.or_trouble("reading the trash of", &self.path)?;
        let mut reclaimed = self.reclaimed();
        if names.is_empty() && !reclaimed.at_work {
            return Ok(all);
        }
        reclaimed = reclaimed.begun();
        // A disk that is full takes it later, when something is free.
        let _ = self.enter_reclaimed(reclaimed);
        for name in names {
            let before = all.freed();
            let common = Common::new(self);
            if let Err(error) = common.tree(&reaping, &name) {
                common.problem(&name, &error);
            }
            let is_gone = stat(reaping.as_fd(), &name).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
            common.add_to(&mut all, &name, is_gone);
            // After each, so that a kill leaves out no more than one.
            reclaimed = reclaimed.and(all.freed().without(before));
            let _ = self.enter_reclaimed(reclaimed);
        }
        if let Err(error) = self.enter_reclaimed(reclaimed.ended()) {
            all.problems.push(format!("what is free now could not be entered: {}", os_words(&error)));
            all.in_all = all.in_all.saturating_add(1);
        }
        Ok(all)
    }

    /// Keeps every other reaper away.
    pub(super) fn reaper_lock(&self) -> Result<File, Reason> {
        let lock = self.lock_file("reaper.lock").or_trouble("opening", &self.path)?;
        locked(lock, &self.path).map_err(|reason| match reason.code {
            Code::Busy => Reason::new(Code::Busy, "another `snapgate prune` is freeing what was removed").hint("wait until it has ended"),
            _ => reason,
        })
    }
}

impl Reaped {
    fn freed(&self) -> Usage {
        Usage { bytes: self.bytes, inodes: self.inodes }
    }
}

/// What the threads share.
struct Common<'a> {
    opened: &'a Opened,
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Threads that have nothing to do, and that nobody has given anything.
    hungry: AtomicUsize,
    turns: Vec<Mutex<()>>,
    bytes: AtomicU64,
    inodes: AtomicU64,
    /// Entries seen: now and then one looks whether a push runs.
    seen: AtomicU64,
    problems: Mutex<(BTreeSet<String>, u64)>,
}

/// Directories to be emptied.
#[derive(Default)]
struct Queue {
    directories: Vec<OwnedFd>,
    working: usize,
}

/// Nothing that these guard is broken by a thread that panics.
fn taken<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Common<'a> {
    fn new(opened: &'a Opened) -> Self {
        let turns = std::iter::repeat_with(Mutex::default).take(TURNS).collect();
        Self {
            opened,
            queue: Mutex::default(),
            changed: Condvar::new(),
            hungry: AtomicUsize::new(0),
            turns,
            bytes: AtomicU64::new(0),
            inodes: AtomicU64::new(0),
            seen: AtomicU64::new(0),
            problems: Mutex::default(),
        }
    }

    /// Removes what stands there.
    fn tree(&self, parent: &OwnedFd, name: &CStr) -> io::Result<()> {
        let found = stat(parent.as_fd(), name)?;
        if kind(&found) != SFlag::S_IFDIR {
            return self.unlink(parent.as_fd(), name).map(drop);
        }
        let device = found.st_dev;
        taken(&self.queue).directories.push(open_forcibly(parent.as_fd(), name)?);
        let threads = thread::available_parallelism().map_or(1, NonZero::get).clamp(2, REAP_THREADS);
        thread::scope(|scope| {
            for _ in 1..threads {
                // With fewer it takes longer.
                let _ = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || self.work(device));
            }
            let last = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || self.work(device));
            if last.is_err() {
                self.work(device);
            }
        });
        // What is left is tried once more, and told of then.
        *taken(&self.problems) = <(BTreeSet<String>, u64)>::default();
        let mut rest = Reaper { common: self, device, removed: 0, shares: false };
        walk(parent.as_fd(), name, Here { since: 0, stays: false }, Closed::Lent, &mut rest).map(drop)
    }

    /// Empties directories until there are no more.
    fn work(&self, device: u64) {
        // The kernel takes the priority of input and output from this one (ioprio_set(2)).
        let _ = rustix::process::nice(19);
        let mut reaper = Reaper { common: self, device, removed: 0, shares: true };
        while let Some(directory) = self.next() {
            let here = Here { since: reaper.removed, stays: true };
            if let Err(error) = walk(directory.as_fd(), c".", here, Closed::Lent, &mut reaper) {
                self.problem(c"a directory", &error);
            }
            taken(&self.queue).working -= 1;
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Option<OwnedFd> {
        let mut queue = taken(&self.queue);
        loop {
            if let Some(directory) = queue.directories.pop() {
                queue.working += 1;
                return Some(directory);
            }
            if queue.working == 0 {
                self.changed.notify_all();
                return None;
            }
            self.hungry.fetch_add(1, Ordering::Relaxed);
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
            self.hungry.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Gives a directory to a thread that has nothing to do. Returns whether there was one.
    fn share(&self, at: BorrowedFd<'_>, name: &CStr) -> bool {
        if self.hungry.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut queue = taken(&self.queue);
        if queue.directories.len() >= self.hungry.load(Ordering::Relaxed) {
            return false;
        }
        let Ok(directory) = open_forcibly(at, name) else { return false };
        queue.directories.push(directory);
        self.changed.notify_one();
        true
    }

    /// Removes a name, and counts what that frees. Returns whether it was there.
    fn unlink(&self, at: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
        let mut found = stat(at, name)?;
        // Two threads with two names of one file must not both see the other's.
        let turn = (found.st_nlink > 1).then(|| usize::try_from(found.st_ino).unwrap_or_default() % TURNS);
        let _turn = turn.and_then(|turn| self.turns.get(turn)).map(taken);
        if turn.is_some() {
            found = stat(at, name)?;
        }
        match unlinkat(at, name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::ENOENT) => return Ok(false),
            removed => removed?,
        }
        if found.st_nlink == 1 {
            self.freed(&found);
        }
        Ok(true)
    }

    fn freed(&self, found: &FileStat) {
        self.bytes.fetch_add(allocated(found), Ordering::Relaxed);
        self.inodes.fetch_add(1, Ordering::Relaxed);
    }

    fn problem(&self, name: &CStr, error: &io::Error) {
        if error.kind() == io::ErrorKind::NotFound {
            return;
        }
        let mut problems = taken(&self.problems);
        problems.1 += 1;
        if problems.0.len() < MAX_NAMED_PROBLEMS {
            problems.0.insert(format!("`{}`: {}", printable(name.to_bytes()), os_words(error)));
        }
    }

    /// Waits while a push runs: it has the disk to itself.
    fn breathe(&self) {
        if self.seen.fetch_add(1, Ordering::Relaxed).is_multiple_of(REAP_LOOK) {
            while self.opened.is_busy() {
                thread::sleep(Duration::from_millis(500));
            }
        }
    }

    fn add_to(self, all: &mut Reaped, name: &CStr, is_gone: bool) {
        let (problems, in_all) = self.problems.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.snapshots += u64::from(is_gone);
        all.bytes = all.bytes.saturating_add(self.bytes.into_inner());
        all.inodes = all.inodes.saturating_add(self.inodes.into_inner());
        // What is gone in the end was no problem.
        if !is_gone {
            all.in_all = all.in_all.saturating_add(in_all.max(1));
            let room = MAX_NAMED_PROBLEMS.saturating_sub(all.problems.len());
            let name = printable(name.to_bytes());
            all.problems.extend(problems.into_iter().take(room).map(|problem| format!("{name}: {problem}")));
        }
    }
}

/// A directory on the way.
struct Here {
    /// What had been removed when it was last read.
    since: u64,
    /// Whether it stays itself: whoever gave it away removes it.
    stays: bool,
}

struct Reaper<'a> {
    common: &'a Common<'a>,
    /// Whatever is mounted in a tree is not the gate's.
    device: u64,
    /// How much this thread has removed.
    removed: u64,
    /// Whether it gives directories away.
    shares: bool,
}

impl Visitor for Reaper<'_> {
    type Here = Here;

    fn entry(&mut self, _: &mut Here, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Here>> {
        self.common.breathe();
        let mut look = || -> io::Result<Next<Here>> {
            if !entry.is_directory(at)? {
                self.removed += u64::from(self.common.unlink(at, entry.name)?);
                return Ok(Next::Past);
            }
            if stat(at, entry.name)?.st_dev != self.device {
                return Err(io::Error::other("something is mounted there"));
            }
            if self.shares && self.common.share(at, entry.name) {
                return Ok(Next::Past);
            }
            Ok(Next::Into(Here { since: self.removed, stays: false }))
        };
        Ok(look().unwrap_or_else(|error| {
            self.common.problem(entry.name, &error);
            Next::Past
        }))
    }

    fn leave(&mut self, here: Here, left: &Leaving<'_>) -> io::Result<Option<Here>> {
        let again = (self.removed > here.since).then_some(Here { since: self.removed, stays: here.stays });
        if here.stays {
            return Ok(again);
        }
        let found = fstat(left.at)?;
        match unlinkat(left.parent, left.name, UnlinkatFlags::RemoveDir) {
            Ok(()) => {
                self.removed += 1;
                self.common.freed(&found);
                Ok(None)
            }
            // Others are still at work in it, or something could not be removed, which was said.
            Err(Errno::ENOTEMPTY) => Ok(again),
            Err(error) => {
                self.common.problem(left.name, &error.into());
                Ok(None)
            }
        }
    }

    fn unseen(&mut self, error: io::Error) -> io::Result<ControlFlow<()>> {
        self.common.problem(c"a directory", &error);
        Ok(ControlFlow::Continue(()))
    }

    fn broken_off(&mut self, error: io::Error) -> io::Result<ControlFlow<()>> {
        self.unseen(error)
    }
}
