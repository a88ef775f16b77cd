//! Makes the recorded links when every process of rsync is gone: directory by directory, by two
//! threads where there are many.
//!
//! No existing name is replaced, except a placeholder. Only directories of the stage change, and
//! they get their times and modes back.

use std::collections::HashMap;
use std::ffi::CStr;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use super::super::tree::{allocated, restore_times, stat};
use super::super::trouble;
use super::{Deferred, Recorded, anew, beneath, enter_forcibly, number, split};
use crate::decide::push::links::Source;
use crate::terms::limits::{FEW_LINKS, LINK_THREADS, LINKS_BETWEEN_LOOKS, MAX_LOST};
use crate::terms::reason::{Code, Reason};
use crate::terms::text::printable;
use crate::terms::usage::Usage;

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// Files that are links now.
    pub linked: u64,
    /// Files that were stored anew, because theirs can have no more links.
    pub anew: u64,
    /// Of these, those of files that have as many links as the file system gives.
    pub full: u64,
    /// What they take: those that were stored anew, and what directories have grown by.
    pub takes: Usage,
    /// Of all that was made, files that are others in the tree compared with.
    pub changed: u64,
    /// And files that it does not have.
    pub added: u64,
    /// Names that could not be made: what they link to, or their directory, is not there.
    pub lost: u64,
    /// The first of these, printable.
    pub examples: Vec<String>,
    /// Sum of the sizes of all that was made, in bytes, where that was wanted.
    pub bytes: u64,
}

impl Made {
    pub(super) fn and(mut self, other: Self) -> Self {
        self.examples.extend(other.examples);
        self.examples.truncate(MAX_LOST);
        let sums = [
            (&mut self.linked, other.linked),
            (&mut self.anew, other.anew),
            (&mut self.full, other.full),
            (&mut self.lost, other.lost),
            (&mut self.changed, other.changed),
            (&mut self.added, other.added),
        ];
        sums.into_iter().for_each(|(sum, more)| *sum += more);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.takes = self.takes.and(other.takes);
        self
    }

    pub(super) fn lose(&mut self, path: &[u8]) {
        self.lost += 1;
        if self.examples.len() < MAX_LOST {
            self.examples.push(printable(path));
        }
    }
}

impl Deferred<'_> {
    /// Makes the links within these bounds, and sums up their sizes if `sized`. No placeholder is
    /// left. `beside` is a tree that the result is compared with: a link to the file of the same name
    /// there changes nothing, and any other is looked up.
    ///
    /// # Errors
    /// When the disk does not let it, or a bound is reached. Then the tree is no backup.
    pub fn make(&self, bounds: Bounds, sized: bool, beside: Option<&Path>) -> Result<Made, Reason> {
        let making = Making {
            beside: beside.map(|tree| self.recorded.beside(tree)),
            of: &self.recorded,
            sized,
            keeps_owners: self.held.repository.keeps_owners(),
            until: Instant::now().checked_add(bounds.time),
            room: AtomicU64::new(bounds.room),
            anew: Mutex::new(HashMap::new()),
            lending: Mutex::new(()),
            owners: [const { AtomicU8::new(NOBODY) }; NUMBERS],
        };
        let stage = self.held.repository.inprogress();
        let make = || -> io::Result<Made> {
            let mut made = making.all()?;
            // What rsync has put elsewhere.
            made.lost += self.held.clear_placeholders()?;
            Ok(made)
        };
        make().map_err(|error| match error.kind() {
            ErrorKind::TimedOut => too_late(),
            ErrorKind::QuotaExceeded => Reason::new(Code::Limit, "the push brought more than it may")
                .hint("push again: leave something out, or ask the administrator of the server")
                .detail("files that can have no more links would have to be stored anew, and `limits: {bytes: …}` has no room for them"),
            _ => trouble("linking in", &stage, &error),
        })
    }
}

/// The reason of a push whose time is over meanwhile.
pub(super) fn too_late() -> Reason {
    Reason::new(Code::Deadline, "the push took longer than it may")
        .hint("push again, or push a part at a time")
        .detail("its time was over while its links were made")
        .remedy("raise `time_limits: {push: …}` if such pushes are expected")
        .passing()
}

/// What making links may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Time.
    pub time: Duration,
    /// Bytes of files that have to be stored anew.
    pub room: u64,
}

struct Making<'a> {
    of: &'a Recorded<'a>,
    /// What it is compared with: the tree's number, if it is one of the bases, and its directory.
    beside: Option<(Option<u8>, Option<OwnedFd>)>,
    sized: bool,
    keeps_owners: bool,
    until: Option<Instant>,
    /// Bytes that may still be stored anew.
    room: AtomicU64,
    /// What was stored anew, by the inode of its original: the first name. Further names link to
    /// it.
    anew: Mutex<HashMap<u64, Vec<u8>>>,
    /// Held while a mode is lent or given back along a path that the other thread may be on.
    lending: Mutex<()>,
    /// Which thread has the directories of each [`number`].
    owners: [AtomicU8; NUMBERS],
}

/// Numbers that directories are told apart by: enough for an even share.
const NUMBERS: usize = 1024;

const NOBODY: u8 = u8::MAX;

/// What is done in one go through the records.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Share {
    /// One thread's part of the links to bases. It makes all those of a directory, so that times
    /// are put back once.
    Of(u8),
    /// Further names of files of this push, in their order.
    Twins,
}

/// A directory of the stage in which links are made.
struct Here {
    directory: OwnedFd,
    before: FileStat,
    lent: bool,
}

/// A directory that they lead to.
struct There {
    source: Source,
    path: Vec<u8>,
    directory: OwnedFd,
}

fn leads_nowhere(error: Errno) -> bool {
    matches!(error, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::ENAMETOOLONG)
}

/// Counts a name beside the same in another tree.
fn compare(beside: Option<&There>, here: &Here, name: &CStr, made: &mut Made) {
    let inode = |directory: &OwnedFd| stat(directory.as_fd(), name).map(|found| found.st_ino).ok();
    let Some(now) = inode(&here.directory) else { return };
    match beside.and_then(|beside| inode(&beside.directory)) {
        Some(before) if before == now => {}
        Some(_) => made.changed += 1,
        None => made.added += 1,
    }
}

impl Making<'_> {
    fn all(&self) -> io::Result<Made> {
        let threads = if self.of.log.count() > FEW_LINKS { LINK_THREADS } else { 1 };
        let made = thread::scope(|scope| {
            let start = |thread| thread::Builder::new().spawn_scoped(scope, move || self.share(Share::Of(thread)));
            // Where there is no further thread to be had, the others do its part.
            let others: Vec<_> = (1..threads).map_while(|thread| start(thread).ok()).collect();
            let mut made = self.share(Share::Of(0));
            for other in others {
                let other = other.join().unwrap_or_else(|_| Err(io::Error::other("a thread has failed")));
                made = made.and_then(|made| Ok(made.and(other?)));
            }
            made
        })?;
        // Each of these may link to the one before.
        Ok(made.and(if self.of.has_twins { self.share(Share::Twins)? } else { Made::default() }))
    }

    fn share(&self, share: Share) -> io::Result<Made> {
        let mut made = Made::default();
        let (mut here, mut there, mut beside) = (None::<Here>, None::<There>, None::<There>);
        let (mut last, mut is_ours) = (None::<Vec<u8>>, false);
        let mut records = self.of.log.records();
        let mut seen = 0_u64;
        while let Some(record) = records.next()? {
            seen += 1;
            if seen.is_multiple_of(LINKS_BETWEEN_LOOKS) && self.until.is_some_and(|until| Instant::now() >= until) {
                return Err(ErrorKind::TimedOut.into());
            }
            if (record.source == Source::Stage) != (share == Share::Twins) {
                continue;
            }
            let (directory, name) = split(record.to);
            if last.as_deref() != Some(directory) {
                last = Some(directory.to_vec());
                is_ours = self.is_ours(share, directory);
                here.take().map_or(Ok(()), |here| self.leave(&here, &mut made))?;
                here = if is_ours { self.enter(directory)? } else { None };
            }
            if !is_ours {
                continue;
            }
            let (from, old) = split(record.from);
            if there.as_ref().is_none_or(|there| there.source != record.source || there.path != from) {
                there = self.look(record.source, from)?;
            }
            if let Some(here) = here.as_mut().filter(|_| self.of.placeholders.is_some()) {
                self.clear(here, &name)?;
            }
            match (&mut here, &there) {
                (Some(here), Some(there)) => {
                    self.keep(there, &old, here, &name, record.to, &mut made)?;
                    if let Some((number, root)) = &self.beside
                        && (record.from != record.to || number.map(Source::Basis) != Some(record.source))
                    {
                        if beside.as_ref().is_none_or(|beside| beside.path != directory) {
                            let opened = root.as_ref().and_then(|root| beneath(root.as_fd(), directory, OFlag::O_PATH).ok());
                            beside = opened.map(|opened| There { source: Source::Stage, path: directory.to_vec(), directory: opened });
                        }
                        compare(beside.as_ref(), here, &name, &mut made);
                    }
                }
                _ => made.lose(record.to),
            }
        }
        here.map_or(Ok(()), |here| self.leave(&here, &mut made))?;
        Ok(made)
    }

    /// The thread that comes to a directory first has it, with all others of its number.
    fn is_ours(&self, share: Share, directory: &[u8]) -> bool {
        let (Share::Of(thread), Some(owner)) = (share, self.owners.get(number(directory) % NUMBERS)) else { return true };
        let before = owner.compare_exchange(NOBODY, thread, Ordering::Relaxed, Ordering::Relaxed);
        before.is_ok() || before == Err(thread)
    }

    fn enter(&self, path: &[u8]) -> io::Result<Option<Here>> {
        let stage = self.of.stage.as_fd();
        // What is seen of its mode must not be what the other thread has lent it on its way.
        let _lending = self.lending();
        let opened = match beneath(stage, path, OFlag::O_RDONLY | OFlag::O_NOATIME) {
            Err(Errno::EACCES) => enter_forcibly(stage, path),
            Err(Errno::EPERM) => beneath(stage, path, OFlag::O_RDONLY),
            opened => opened,
        };
        match opened {
            Ok(directory) => {
                let before = fstat(&directory)?;
                Ok(Some(Here { directory, before, lent: false }))
            }
            Err(error) if leads_nowhere(error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn lending(&self) -> MutexGuard<'_, ()> {
        self.lending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, here: &Here, made: &mut Made) -> io::Result<()> {
        let grown = allocated(&fstat(&here.directory)?).saturating_sub(allocated(&here.before));
        made.takes.bytes = made.takes.bytes.saturating_add(grown);
        // Where nothing may be looked up in it, its times cannot be set either.
        restore_times(here.directory.as_fd(), &here.before)?;
        if here.lent {
            let _lending = self.lending();
            fchmod(&here.directory, Mode::from_bits_truncate(here.before.st_mode & 0o7777))?;
        }
        Ok(())
    }

    fn lend(&self, here: &mut Here) -> io::Result<()> {
        let _lending = self.lending();
        fchmod(&here.directory, Mode::from_bits_truncate(here.before.st_mode & 0o7777) | Mode::S_IRWXU)?;
        here.lent = true;
        Ok(())
    }

    fn look(&self, source: Source, path: &[u8]) -> io::Result<Option<There>> {
        let root = match source {
            Source::Stage => Some(&self.of.stage),
            Source::Basis(number) => self.of.bases.get(usize::from(number)),
        };
        match root.ok_or(Errno::ENOENT).and_then(|root| beneath(root.as_fd(), path, OFlag::O_PATH)) {
            Ok(directory) => Ok(Some(There { source, path: path.to_vec(), directory })),
            // What its owner may not look into, rsync could not either.
            Err(error) if leads_nowhere(error) || error == Errno::EACCES => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps a file of another tree under its new name: by a link, where it can have one more.
    fn keep(&self, there: &There, old: &CStr, here: &mut Here, name: &CStr, path: &[u8], made: &mut Made) -> io::Result<()> {
        if there.source == Source::Stage && stat(there.directory.as_fd(), old).is_ok_and(|old| self.is_placeholder(&old)) {
            // Nothing has come to stand where it links to.
            made.lose(path);
            return Ok(());
        }
        loop {
            match linkat(&there.directory, old, &here.directory, name, AtFlags::empty()) {
                Ok(()) => made.linked += 1,
                Err(Errno::EACCES) if !here.lent => {
                    self.lend(here)?;
                    continue;
                }
                // At the file system's limit; or immutable, or of another project's quota.
                Err(error @ (Errno::EMLINK | Errno::EPERM | Errno::EXDEV)) => {
                    let before = made.anew;
                    if !self.keep_anew(there, old, here, name, path, made)? {
                        made.lose(path);
                        return Ok(());
                    }
                    made.full += if error == Errno::EMLINK { made.anew - before } else { 0 };
                }
                Err(Errno::EEXIST) => {
                    // Recorded twice; or rsync has made a file there since, which is what the
                    // client has.
                    let stands = stat(here.directory.as_fd(), name)?;
                    let same = stat(there.directory.as_fd(), old).is_ok_and(|old| old.st_ino == stands.st_ino);
                    made.linked += u64::from(same);
                }
                // What rsync could not look into either.
                Err(error) if leads_nowhere(error) || error == Errno::EACCES => {
                    made.lose(path);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
            if self.sized {
                let size = stat(here.directory.as_fd(), name)?.st_size;
                made.bytes = made.bytes.saturating_add(u64::try_from(size).unwrap_or(0));
            }
            return Ok(());
        }
    }

    /// Takes away the placeholder, where one stands there.
    fn clear(&self, here: &mut Here, name: &CStr) -> io::Result<()> {
        loop {
            let found = stat(here.directory.as_fd(), name);
            let removed = match found {
                Ok(found) if self.is_placeholder(&found) => unlinkat(&here.directory, name, UnlinkatFlags::NoRemoveDir),
                Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(Errno::EACCES),
                _ => Ok(()),
            };
            match removed {
                Err(Errno::EACCES) if !here.lent => self.lend(here)?,
                removed => return Ok(removed?),
            }
        }
    }

    /// Keeps a file that can have no further link, by a link to its copy or by a new copy. Returns
    /// whether it could.
    fn keep_anew(&self, there: &There, old: &CStr, here: &Here, name: &CStr, path: &[u8], made: &mut Made) -> io::Result<bool> {
        let found = stat(there.directory.as_fd(), old)?;
        let mut anew = self.anew.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copy) = anew.get(&found.st_ino) {
            let (directory, copy) = split(copy);
            let directory = beneath(self.of.stage.as_fd(), directory, OFlag::O_PATH);
            if directory.and_then(|directory| linkat(&directory, copy.as_c_str(), &here.directory, name, AtFlags::empty())).is_ok() {
                made.linked += 1;
                return Ok(true);
            }
        }
        let size = allocated(&found);
        let enough = |room: u64| room.checked_sub(size);
        self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough).map_err(|_| ErrorKind::QuotaExceeded)?;
        if anew::store(there.directory.as_fd(), old, here.directory.as_fd(), name, self.keeps_owners)?.is_none() {
            return Ok(false);
        }
        anew.insert(found.st_ino, path.to_vec());
        made.anew += 1;
        made.takes = made.takes.and(Usage { bytes: allocated(&stat(here.directory.as_fd(), name)?), inodes: 1 });
        Ok(true)
    }

    fn is_placeholder(&self, found: &FileStat) -> bool {
        self.of.placeholders.as_ref().is_some_and(|placeholders| placeholders.is_one(found.st_ino))
    }
}
