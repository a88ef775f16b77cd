//! The gate's side of the filter: it makes the changes of metadata that rsync asks for, where rsync may.
//!
//! Nothing that the calling process could change meanwhile may count: every argument is copied once, what it leads to is held
//! open, and what is held is looked at and changed. No call is ever sent on to be made by rsync itself but the opening of its
//! log, which comes before it reads a byte of the client's.

mod beside;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use libseccomp::{ScmpNotifReq, ScmpNotifResp, ScmpNotifRespFlags, notify_id_valid};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat};
use nix::libc::{self, c_long};
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags, fchmodat, fstatat, utimensat};
use nix::sys::time::TimeSpec;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{Gid, Pid, Uid, fchownat};

use super::{Listener, SUPERVISED};
use crate::decide::supervision::{AT_EMPTY_PATH, Asked, Base, Bounds, Change, Found, Target, Unit};
use crate::terms::limits::{MAX_ATTRIBUTE, MAX_ATTRIBUTE_NAME, MAX_CALL_PATH};
use beside::Beside;

/// Pause after the kernel had nothing to say: rsync has ended, or one that asked was killed.
const PAUSE: Duration = Duration::from_millis(10);

/// Begins to answer the process with this number and those that it starts, on a thread of its own that ends with the gate.
///
/// # Errors
/// With what the administrator can do, where this machine does not let a process look into one that it started.
pub fn supervise(listener: Listener, pid: Pid, bounds: Bounds) -> Result<(), String> {
    // There is nothing at this address, which is another answer than that it may not be looked at.
    let looked = process_vm_readv(pid, &mut [IoSliceMut::new(&mut [0])], &[RemoteIoVec { base: 0, len: 1 }]);
    if looked == Err(Errno::EPERM) {
        return Err("the gate may not look into its own rsync: set kernel.yama.ptrace_scope to 0 or 1".to_owned());
    }
    thread::spawn(move || {
        let mut log_is_open = false;
        let mut beside = Beside::new(pid, listener);
        let mut proc = Proc::default();
        loop {
            beside.wait();
            let Ok(request) = ScmpNotifReq::receive(listener) else {
                thread::sleep(PAUSE);
                continue;
            };
            let number: i32 = request.data.syscall.into();
            let answer = match SUPERVISED.iter().find(|(supervised, _)| *supervised == c_long::from(number)) {
                Some((_, call)) => answer(&request, perform(listener, &request, call.asks(request.data.args), &bounds, &mut proc)),
                // rsync opens its log before it reads what the client sends; nothing else is ever appended to.
                None if !log_is_open => {
                    log_is_open = true;
                    ScmpNotifResp::new_continue(request.id, ScmpNotifRespFlags::empty())
                }
                None => answer(&request, Err(Errno::EPERM)),
            };
            beside.asked(Pid::from_raw(request.pid.cast_signed()));
            // Fails where the one that asked is gone.
            let _ = answer.respond(listener);
        }
    });
    Ok(())
}

fn answer(request: &ScmpNotifReq, done: Result<(), Errno>) -> ScmpNotifResp {
    match done {
        Ok(()) => ScmpNotifResp::new_val(request.id, 0, ScmpNotifRespFlags::empty()),
        Err(error) => ScmpNotifResp::new_error(request.id, -(error as i32), ScmpNotifRespFlags::empty()),
    }
}

/// Makes a change, or says why not.
fn perform(listener: Listener, request: &ScmpNotifReq, asked: Asked, bounds: &Bounds, proc: &mut Proc) -> Result<(), Errno> {
    let mut caller = Caller { pid: Pid::from_raw(request.pid.cast_signed()), proc };
    if caller.has_it_so(asked) {
        return Ok(());
    }
    let change = caller.read(asked.change)?;
    let held = caller.open(asked.target)?;
    // While the call waits its process cannot end and its number is nobody else's (seccomp_unotify(2)).
    notify_id_valid(listener, request.id).map_err(|_| Errno::ESRCH)?;
    // The names are counted first and looked up then: who removes one in between is seen to have.
    let metadata = held.metadata().map_err(|error| errno(&error))?;
    let own = proc.own()?;
    let name = held.as_raw_fd().to_string();
    let path = readlinkat(own, name.as_str())?;
    let found = Found { path: Path::new(&path), is_directory: metadata.is_dir(), links: metadata.nlink(), born: metadata.created().ok() };
    if !bounds.may_change(found) {
        return Err(Errno::EPERM);
    }
    change.make(own, &name, metadata.is_symlink())
}

/// Directories of `/proc` that are looked into again and again.
#[derive(Default)]
struct Proc {
    /// The descriptors of this process.
    own: Option<OwnedFd>,
    /// The process that asked last. Once it has ended nothing can be looked up here, whoever has its number then.
    caller: Option<(Pid, OwnedFd)>,
}

impl Proc {
    /// The directory in which each descriptor that is held here leads to what it holds and nowhere else, whatever happens to that
    /// one's names.
    fn own(&mut self) -> Result<&OwnedFd, Errno> {
        if self.own.is_none() {
            self.own = Some(directory("/proc/self/fd")?);
        }
        self.own.as_ref().ok_or(Errno::EBADF)
    }
}

fn directory(path: &str) -> Result<OwnedFd, Errno> {
    open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

/// A change with everything that it needs, copied from the caller.
enum Copied {
    Mode(u32),
    Owner(Option<u32>, Option<u32>),
    Times(TimeSpec, TimeSpec),
    Set(OsString, Vec<u8>),
    Remove(OsString),
}

impl Copied {
    /// Makes it to what is held under this name of [`Proc::own`].
    fn make(&self, own: &OwnedFd, name: &str, is_symlink: bool) -> Result<(), Errno> {
        let place = || format!("/proc/self/fd/{name}");
        match self {
            // As the kernel itself answers (fchmodat(2)).
            Self::Mode(_) if is_symlink => Err(Errno::EOPNOTSUPP),
            Self::Mode(mode) => fchmodat(own, name, Mode::from_bits_truncate(*mode), FchmodatFlags::FollowSymlink),
            Self::Owner(user, group) => fchownat(own, name, user.map(Uid::from_raw), group.map(Gid::from_raw), AtFlags::empty()),
            Self::Times(accessed, modified) => utimensat(own, name, accessed, modified, UtimensatFlags::FollowSymlink),
            Self::Set(name, value) => xattr::set_deref(place(), name, value).map_err(|error| errno(&error)),
            Self::Remove(name) => xattr::remove_deref(place(), name).map_err(|error| errno(&error)),
        }
    }
}

/// The process that asks.
struct Caller<'a> {
    pid: Pid,
    proc: &'a mut Proc,
}

impl Caller<'_> {
    /// Whether a call asks for permissions that are so already, of a file that its process holds open and may look at itself. rsync
    /// does for each new one. Nothing is changed then, and so nothing is judged.
    fn has_it_so(&mut self, asked: Asked) -> bool {
        asked.permissions_by_descriptor().is_some_and(|(number, permissions)| {
            let found = self.directory().and_then(|at| fstatat(at, format!("fd/{number}").as_str(), AtFlags::empty()));
            found.is_ok_and(|found| found.st_mode == libc::S_IFREG | permissions)
        })
    }

    /// Holds what a call names, without opening it for anything.
    fn open(&mut self, target: Target) -> Result<File, Errno> {
        let path = target.path.map(|at| self.text(at, MAX_CALL_PATH)).transpose()?;
        let mut from = |base: Base| match base {
            Base::Here => self.held("cwd"),
            Base::Descriptor(number) => self.held(&format!("fd/{number}")),
        };
        let Some(path) = path else { return from(target.from) };
        if path.is_empty() {
            return if target.flags & AT_EMPTY_PATH != 0 { from(target.from) } else { Err(Errno::ENOENT) };
        }
        // rsync and the C library name descriptors of their own so; here `self` would be the gate.
        if let Some(number) = own_descriptor(&path) {
            return self.held(&format!("fd/{number}"));
        }
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC | if target.follow { OFlag::empty() } else { OFlag::O_NOFOLLOW };
        let how = OpenHow::new().flags(flags);
        let opened = if path.as_bytes().first() == Some(&b'/') {
            openat2(self.held("root")?, path.as_os_str(), how.resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS))
        } else {
            openat2(from(target.from)?, path.as_os_str(), how.resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS))
        };
        opened.map(File::from)
    }

    /// Something of the caller's own in `/proc`.
    fn held(&mut self, name: &str) -> Result<File, Errno> {
        let of = |at: &OwnedFd| openat(at, name, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map(File::from);
        match of(self.directory()?) {
            // It may be another process's, which has ended and had this number.
            Err(Errno::ENOENT | Errno::ESRCH) => {
                self.proc.caller = None;
                of(self.directory()?)
            }
            held => held,
        }
    }

    /// Its directory in `/proc`.
    fn directory(&mut self) -> Result<&OwnedFd, Errno> {
        if self.proc.caller.as_ref().is_none_or(|(pid, _)| *pid != self.pid) {
            self.proc.caller = Some((self.pid, directory(&format!("/proc/{}", self.pid))?));
        }
        self.proc.caller.as_ref().map(|(_, directory)| directory).ok_or(Errno::ESRCH)
    }

    /// Copies what a change needs.
    fn read(&self, change: Change) -> Result<Copied, Errno> {
        Ok(match change {
            Change::Mode(mode) => Copied::Mode(mode),
            Change::Owner { user, group } => {
                let given = |number: u32| (number != u32::MAX).then_some(number);
                Copied::Owner(given(user), given(group))
            }
            Change::Times { at: 0, .. } => Copied::Times(TimeSpec::UTIME_NOW, TimeSpec::UTIME_NOW),
            Change::Times { at, unit } => self.times(at, unit)?,
            Change::SetAttribute { name, value, size, flags: 0 } => {
                let size = usize::try_from(size).ok().filter(|size| *size <= MAX_ATTRIBUTE).ok_or(Errno::E2BIG)?;
                Copied::Set(self.text(name, MAX_ATTRIBUTE_NAME)?, self.bytes(value, size)?)
            }
            // Whether it is there already is not asked of anybody here; rsync does not ask either.
            Change::SetAttribute { .. } => return Err(Errno::EOPNOTSUPP),
            Change::RemoveAttribute { name } => Copied::Remove(self.text(name, MAX_ATTRIBUTE_NAME)?),
        })
    }

    fn times(&self, at: u64, unit: Unit) -> Result<Copied, Errno> {
        let words = if unit == Unit::Seconds { 2 } else { 4 };
        let bytes = self.bytes(at, words * size_of::<libc::c_long>())?;
        let mut words =
            bytes.chunks_exact(size_of::<libc::c_long>()).map(|word| word.try_into().map(libc::c_long::from_ne_bytes).unwrap_or(0));
        let mut next = || words.next().unwrap_or(0);
        let mut time = || match unit {
            Unit::Seconds => TimeSpec::new(next(), 0),
            Unit::Micros => TimeSpec::new(next(), next().saturating_mul(1000)),
            Unit::Nanos => TimeSpec::new(next(), next()),
        };
        Ok(Copied::Times(time(), time()))
    }

    /// Copies a text up to its zero.
    fn text(&self, at: u64, limit: usize) -> Result<OsString, Errno> {
        // Most end within the page that they begin in.
        let first = usize::try_from(at).map_or(limit, |at| (PAGE - at % PAGE).min(limit));
        let mut bytes = self.copy(at, first)?;
        if first < limit && !bytes.contains(&0) {
            bytes = self.copy(at, limit)?;
        }
        let end = bytes.iter().position(|byte| *byte == 0).ok_or(Errno::ENAMETOOLONG)?;
        bytes.truncate(end);
        Ok(OsString::from_vec(bytes))
    }

    fn bytes(&self, at: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let bytes = if length == 0 { Vec::new() } else { self.copy(at, length)? };
        if bytes.len() == length { Ok(bytes) } else { Err(Errno::EFAULT) }
    }

    /// Copies up to `length` bytes of the caller's memory; fewer where the memory ends sooner.
    fn copy(&self, at: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let at = usize::try_from(at).map_err(|_| Errno::EFAULT)?;
        let mut bytes = vec![0; length];
        // A part that is not there fails as a whole (process_vm_readv(2)), so that each page is a part.
        let (mut parts, mut done) = (Vec::new(), 0);
        while done < length {
            let base = at.checked_add(done).ok_or(Errno::EFAULT)?;
            let len = (PAGE - base % PAGE).min(length - done);
            parts.push(RemoteIoVec { base, len });
            done += len;
        }
        let copied = process_vm_readv(self.pid, &mut [IoSliceMut::new(&mut bytes)], &parts)?;
        bytes.truncate(copied);
        Ok(bytes)
    }
}

/// No page is smaller.
const PAGE: usize = 4096;

fn own_descriptor(path: &OsStr) -> Option<i32> {
    path.to_str()?.strip_prefix("/proc/self/fd/")?.parse().ok()
}
