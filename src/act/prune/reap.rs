//! The reaper: removes what was in the trash for long enough, and says what that freed.
//!
//! Threads share directories. Each goes through a tree by the store's one walker, and gives a
//! directory away when another thread has nothing to do. What they leave, since it was not empty
//! yet, goes in a last walk. While a push runs it does nothing, and says so. Whatever is interrupted
//! goes on the next time: it stands in `.snapgate/reaping/`, from where nothing comes back.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::io;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::queue::{Given, Queue, soon, taken, tasks};
use super::{Opened, Trashed};
use crate::act::store::tree::{Listed, allocated, each, kind, open_at, open_forcibly, stat};
use crate::act::store::walk::{Closed, Leaving, Next, Visitor, walk};
use crate::act::store::{Lock, OrTrouble as _};
use crate::terms::limits::{MAX_NAMED_PROBLEMS, REAP_LIMIT, REAP_LOOK, REAP_THREADS, THREADS_GONE};
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
    /// Whether it gave way to a push before the end, or had no more time.
    pub paused: bool,
}

/// How many locks files of several names share.
const TURNS: usize = 256;

/// Bytes of a thread's stack: the walk calls itself for each level.
const STACK: usize = 16 << 20;

impl Opened {
    /// Removes these from the trash for good, and what an earlier reaper did not finish. Gives way
    /// to a push that runs.
    ///
    /// # Errors
    /// With [`Code::Busy`](crate::terms::Code::Busy) while another reaper is at work.
    pub fn reap(&self, trashed: &[Trashed]) -> Result<Reaped, Reason> {
        self.reap_telling(trashed, REAP_LIMIT, &|_| {})
    }

    /// The same for this long; `tell` hears every so often what is free of the snapshot in hand.
    ///
    /// # Errors
    /// As [`Opened::reap`].
    pub fn reap_telling(&self, trashed: &[Trashed], limit: Duration, tell: &(dyn Fn(Usage) + Sync)) -> Result<Reaped, Reason> {
        let begun = Instant::now();
        let _lock = self.reaper_lock()?;
        let (reaping, stuck) = self.give_up(trashed).or_trouble("emptying the trash of", &self.path)?;
        let mut all = Reaped { in_all: stuck.len() as u64, ..Reaped::default() };
        all.problems.extend(stuck.into_iter().take(MAX_NAMED_PROBLEMS));
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
            let common = Common::new(self, limit.saturating_sub(begun.elapsed()), tell);
            if let Err(error) = common.tree(&reaping, &name) {
                common.problem(&name, &error);
            }
            let is_gone = stat(reaping.as_fd(), &name).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
            common.add_to(&mut all, &name, is_gone);
            // After each, so that a kill leaves out no more than one.
            reclaimed = reclaimed.and(all.freed().without(before));
            let _ = self.enter_reclaimed(reclaimed);
            if all.paused {
                break;
            }
        }
        if let Err(error) = self.enter_reclaimed(reclaimed.ended()) {
            all.problems.push(format!("what is free now could not be entered: {}", os_words(&error)));
            all.in_all = all.in_all.saturating_add(1);
        }
        Ok(all)
    }

    /// Keeps every other reaper away.
    pub(super) fn reaper_lock(&self) -> Result<Lock, Reason> {
        let lock = self.lock_file("reaper.lock").or_trouble("opening", &self.path)?;
        Lock::of(lock, &self.path).map_err(|reason| match reason.code {
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
    begun: Instant,
    limit: Duration,
    tell: &'a (dyn Fn(Usage) + Sync),
    queue: Queue,
    turns: Vec<Mutex<()>>,
    bytes: AtomicU64,
    inodes: AtomicU64,
    /// Whether a push runs, or the time is over.
    stopped: AtomicBool,
    problems: Mutex<(BTreeSet<String>, u64)>,
}

impl<'a> Common<'a> {
    fn new(opened: &'a Opened, limit: Duration, tell: &'a (dyn Fn(Usage) + Sync)) -> Self {
        let turns = std::iter::repeat_with(Mutex::default).take(TURNS).collect();
        Self {
            opened,
            begun: Instant::now(),
            limit,
            tell,
            queue: Queue::default(),
            turns,
            bytes: AtomicU64::new(0),
            inodes: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            problems: Mutex::default(),
        }
    }

    /// Removes what stands there.
    fn tree(&self, parent: &OwnedFd, name: &CStr) -> io::Result<()> {
        let found = stat(parent.as_fd(), name)?;
        if kind(&found) != SFlag::S_IFDIR {
            let (_, bytes) = self.unlink(parent.as_fd(), name, found.st_ino)?;
            bytes.into_iter().for_each(|bytes| self.freed(bytes, 1));
            return Ok(());
        }
        if self.gives_way() {
            return Ok(());
        }
        let device = found.st_dev;
        self.queue.begin(open_forcibly(parent.as_fd(), name)?);
        let before = tasks();
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
        // They have done their work, and may still be there: beside them no process is made, and none
        // becomes the account.
        soon(THREADS_GONE, || tasks() <= before);
        if self.has_stopped() {
            return Ok(());
        }
        // What is left is tried once more, and told of then.
        *taken(&self.problems) = <(BTreeSet<String>, u64)>::default();
        let mut rest = Reaper::new(self, device, false);
        let here = Here { since: 0, bytes: Some(allocated(&found)), gave: false };
        let walked = walk(parent.as_fd(), name, here, Closed::Lent, &mut rest).map(drop);
        rest.tell();
        walked
    }

    /// Empties directories until there are no more.
    fn work(&self, device: u64) {
        // The kernel takes the priority of input and output from this one (ioprio_set(2)).
        let _ = rustix::process::nice(19);
        let mut reaper = Reaper::new(self, device, true);
        while let Some(Given { directory, place }) = self.queue.next(&self.stopped) {
            let here = Here { since: reaper.removed, bytes: None, gave: false };
            if let Err(error) = walk(directory.as_fd(), c".", here, Closed::Lent, &mut reaper) {
                self.problem(c"a directory", &error);
            }
            if let Some((parent, name, bytes)) = place
                && unlinkat(&parent, &*name, UnlinkatFlags::RemoveDir).is_ok()
            {
                reaper.freed(bytes);
            }
            self.queue.done(&self.stopped);
        }
        reaper.tell();
    }

    /// Removes a name. Returns whether it was there, and what that frees of its file's bytes; `None`
    /// where the file has another name.
    fn unlink(&self, at: BorrowedFd<'_>, name: &CStr, inode: u64) -> io::Result<(bool, Option<u64>)> {
        // Two threads with two names of one file must not both see the other's.
        let _turn = self.turns.get(usize::try_from(inode % TURNS as u64).unwrap_or_default()).map(taken);
        let found = stat(at, name)?;
        match unlinkat(at, name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::ENOENT) => return Ok((false, None)),
            removed => removed?,
        }
        Ok((true, (found.st_nlink == 1).then(|| allocated(&found))))
    }

    fn freed(&self, bytes: u64, inodes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.inodes.fetch_add(inodes, Ordering::Relaxed);
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

    fn gives_way(&self) -> bool {
        let gives_way = self.begun.elapsed() >= self.limit || self.opened.is_busy();
        if gives_way {
            self.stopped.store(true, Ordering::Relaxed);
        }
        gives_way
    }

    fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn add_to(self, all: &mut Reaped, name: &CStr, is_gone: bool) {
        let (problems, in_all) = self.problems.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.snapshots += u64::from(is_gone);
        all.bytes = all.bytes.saturating_add(self.bytes.into_inner());
        all.inodes = all.inodes.saturating_add(self.inodes.into_inner());
        all.paused |= self.stopped.into_inner() && !is_gone;
        // What is gone in the end was no problem, and what is left to do is none yet.
        if !is_gone && !all.paused {
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
    /// What it takes; `None`: it was given away, and goes when this is over.
    bytes: Option<u64>,
    /// Whether a directory in it was given away.
    gave: bool,
}

struct Reaper<'a> {
    common: &'a Common<'a>,
    /// Whatever is mounted in a tree is not the gate's.
    device: u64,
    /// How much this thread has removed.
    removed: u64,
    /// Whether it gives directories away.
    shares: bool,
    /// Entries seen: now and then it looks whether a push runs.
    seen: u64,
    /// What it has freed since it told of that.
    bytes: u64,
    inodes: u64,
}

impl<'a> Reaper<'a> {
    fn new(common: &'a Common<'a>, device: u64, shares: bool) -> Self {
        Self { common, device, removed: 0, shares, seen: 0, bytes: 0, inodes: 0 }
    }

    /// Tells of it: the threads do not share what they count with.
    fn tell(&mut self) {
        self.common.freed(std::mem::take(&mut self.bytes), std::mem::take(&mut self.inodes));
    }

    /// Looks now and then whether a push runs: it has the disk to itself.
    fn look_up(&mut self) {
        if self.seen.is_multiple_of(REAP_LOOK) {
            self.tell();
            let Common { bytes, inodes, .. } = self.common;
            (self.common.tell)(Usage { bytes: bytes.load(Ordering::Relaxed), inodes: inodes.load(Ordering::Relaxed) });
            self.common.gives_way();
        }
        self.seen += 1;
    }

    fn freed(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.inodes += 1;
    }
}

/// Opens a directory, with every right to it, also where its owner has none.
fn enter(at: BorrowedFd<'_>, name: &CStr) -> io::Result<(OwnedFd, FileStat)> {
    let opened = match open_at(at, name) {
        Err(Errno::EACCES) => open_forcibly(at, name)?,
        opened => opened?,
    };
    let found = fstat(&opened)?;
    let mode = Mode::from_bits_truncate(found.st_mode & 0o7777);
    if !mode.contains(Mode::S_IRWXU) {
        // Without it what is in there stays, and is told of.
        let _ = fchmod(&opened, mode | Mode::S_IRWXU);
    }
    Ok((opened, found))
}

impl Visitor for Reaper<'_> {
    type Here = Here;

    fn entry(&mut self, here: &mut Here, at: BorrowedFd<'_>, entry: &Listed<'_>) -> io::Result<Next<Here>> {
        self.look_up();
        if self.common.has_stopped() {
            return Ok(Next::Stop);
        }
        let mut look = || -> io::Result<Next<Here>> {
            if !entry.is_directory(at)? {
                let (was_there, bytes) = self.common.unlink(at, entry.name, entry.inode)?;
                self.removed += u64::from(was_there);
                bytes.into_iter().for_each(|bytes| self.freed(bytes));
                return Ok(Next::Past);
            }
            let (opened, found) = enter(at, entry.name)?;
            if found.st_dev != self.device {
                return Err(io::Error::other("something is mounted there"));
            }
            let bytes = allocated(&found);
            let kept =
                if self.shares { self.common.queue.share(opened, (at, entry.name), bytes, here.bytes.is_none()) } else { Some(opened) };
            here.gave |= kept.is_none();
            let below = Here { since: self.removed, bytes: Some(bytes), gave: false };
            Ok(kept.map_or(Next::Past, |opened| Next::Through(opened, below)))
        };
        Ok(look().unwrap_or_else(|error| {
            self.common.problem(entry.name, &error);
            Next::Past
        }))
    }

    fn leave(&mut self, here: Here, left: &Leaving<'_>) -> io::Result<Option<Here>> {
        // Others are at work in what it gave away: the last walk takes what is left.
        let again = (self.removed > here.since && !here.gave).then_some(Here { since: self.removed, ..here });
        let Some(bytes) = here.bytes else { return Ok(again) };
        match unlinkat(left.parent, left.name, UnlinkatFlags::RemoveDir) {
            Ok(()) => {
                self.removed += 1;
                self.freed(bytes);
                Ok(None)
            }
            // Others are still at work in it, or something could not be removed, which was said.
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => Ok(again),
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
