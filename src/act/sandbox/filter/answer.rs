//! The gate's side of the filter: it receives each link that rsync asks for, and answers.
//!
//! Nothing counts that the calling process could change meanwhile: both paths are copied once, and
//! used as names only. Links that the kernel makes itself stay within the stage: mounts and jail
//! see to that.

use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::time::Duration;

use libseccomp::{ScmpNotifReq, ScmpNotifResp, ScmpNotifRespFlags};
use nix::errno::Errno;
use nix::fcntl::readlink;
use nix::libc::{self, c_long};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use super::beside::Beside;
use crate::act::child::Attend;
use crate::decide::push::links::{Answer, Links};
use crate::terms::limits::MAX_CALL_PATH;
use crate::terms::usage::Excess;

/// Answers the processes of one rsync.
pub struct Answering<'a> {
    listener: OwnedFd,
    beside: Beside,
    links: &'a mut dyn Links,
}

impl std::fmt::Debug for Answering<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Answering").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl AsFd for Answering<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl<'a> Answering<'a> {
    /// For the process with this number and those that it starts. `links` knows the answers.
    ///
    /// # Errors
    /// With what the administrator can do, if this machine lets no process look into its own child.
    pub fn new(listener: OwnedFd, pid: Pid, links: &'a mut dyn Links) -> Result<Self, String> {
        // Nothing is at this address: that is another error than being forbidden to look.
        let looked = process_vm_readv(pid, &mut [IoSliceMut::new(&mut [0])], &[RemoteIoVec { base: 0, len: 1 }]);
        if looked == Err(Errno::EPERM) {
            return Err("the gate may not look into its own rsync: set kernel.yama.ptrace_scope to 0 or 1".to_owned());
        }
        Ok(Self { listener, beside: Beside::new(pid), links })
    }
}

impl Attend for Answering<'_> {
    /// Answers a call that waits. A call that was interrupted is made anew by whoever made it.
    fn answer(&mut self) -> Option<Excess> {
        let listener = self.listener.as_raw_fd();
        let request = ScmpNotifReq::receive(listener).ok()?;
        let asking = Pid::from_raw(request.pid.cast_signed());
        let answer = match read(&request, asking) {
            Ok(Some((from, to))) => self.links.asked(&from, &to),
            Ok(None) => Answer::Let,
            Err(error) => Answer::Failed(error as i32),
        };
        self.beside.asked(asking);
        let response = match answer {
            Answer::Recorded => ScmpNotifResp::new_val(request.id, 0, ScmpNotifRespFlags::empty()),
            Answer::Let => ScmpNotifResp::new_continue(request.id, ScmpNotifRespFlags::empty()),
            Answer::Failed(error) => ScmpNotifResp::new_error(request.id, -error.abs().max(1), ScmpNotifRespFlags::empty()),
            // It is ended while it waits.
            Answer::TooMany(excess) => return Some(excess),
        };
        // A waiting process cannot end: if the answer reached it, what was read was its own.
        if response.respond(listener).is_err() && answer == Answer::Recorded {
            self.links.answer_lost();
        }
        None
    }

    fn patience(&self) -> Option<Duration> {
        self.beside.patience()
    }

    fn silence(&mut self) {
        self.beside.silence();
    }
}

/// What a link leads from and to.
type Paths = (Vec<u8>, Vec<u8>);

/// Both paths of a call; `None` if only the kernel may answer, because it names a file by
/// descriptor or follows links.
fn read(request: &ScmpNotifReq, pid: Pid) -> Result<Option<Paths>, Errno> {
    let [a, b, c, d, flags, _] = request.data.args;
    let number: i32 = request.data.syscall.into();
    let (from, to) = match c_long::from(number) {
        libc::SYS_linkat if flags != 0 => return Ok(None),
        libc::SYS_linkat => ((Some(a), b), (Some(c), d)),
        _ => ((None, a), (None, b)),
    };
    let (first, second) = texts(pid, from.1, to.1)?;
    Ok(Some((absolute(pid, from.0, first)?, absolute(pid, to.0, second)?)))
}

/// The descriptor that stands for where a process is (`AT_FDCWD`, fcntl.h).
const HERE: i32 = -100;

/// A path with the directory before it that it begins in, unless the process stands there.
fn absolute(pid: Pid, directory: Option<u64>, path: Vec<u8>) -> Result<Vec<u8>, Errno> {
    // The kernel looks at the lower half of an argument that is an int.
    let number = directory.map(|number| u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default().cast_signed());
    let Some(number) = number.filter(|number| *number != HERE && path.first() != Some(&b'/')) else { return Ok(path) };
    // Of a directory in another mount namespace the kernel shows the path from that one's root.
    let mut whole = readlink(format!("/proc/{pid}/fd/{number}").as_str()).map_err(|_| Errno::EBADF)?.into_vec();
    whole.push(b'/');
    whole.extend(path);
    if whole.len() < MAX_CALL_PATH { Ok(whole) } else { Err(Errno::ENAMETOOLONG) }
}

/// Bytes of each path that are read at first: both in one call, and few are longer.
const SHORT: usize = 256;

/// No page is smaller. What lies in one is there or is not.
const PAGE: usize = 4096;

/// Copies two texts up to their zeros.
fn texts(pid: Pid, first: u64, second: u64) -> Result<Paths, Errno> {
    let address = |at: u64| usize::try_from(at).map_err(|_| Errno::EFAULT);
    let part = |base: usize| RemoteIoVec { base, len: (PAGE - base % PAGE).min(SHORT) };
    let parts = [part(address(first)?), part(address(second)?)];
    let mut room = [0; 2 * SHORT];
    let copied = process_vm_readv(pid, &mut [IoSliceMut::new(&mut room)], &parts)?;
    let (one, two) = room.get(..copied).and_then(|room| room.split_at_checked(parts[0].len)).ok_or(Errno::EFAULT)?;
    let whole = |begun: &[u8], at: usize| match begun.iter().position(|byte| *byte == 0) {
        Some(end) => Ok(begun.get(..end).unwrap_or_default().to_vec()),
        None => long_text(pid, at),
    };
    Ok((whole(one, parts[0].base)?, whole(two, parts[1].base)?))
}

/// The same for one that is long, or ends in another page.
fn long_text(pid: Pid, at: usize) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    while bytes.len() < MAX_CALL_PATH {
        let base = at.checked_add(bytes.len()).ok_or(Errno::EFAULT)?;
        let mut room = [0; PAGE];
        let part = [RemoteIoVec { base, len: (PAGE - base % PAGE).min(MAX_CALL_PATH - bytes.len()) }];
        let copied = process_vm_readv(pid, &mut [IoSliceMut::new(&mut room)], &part)?;
        let read = room.get(..copied).filter(|read| !read.is_empty()).ok_or(Errno::EFAULT)?;
        if let Some(end) = read.iter().position(|byte| *byte == 0) {
            bytes.extend(read.iter().take(end));
            return Ok(bytes);
        }
        bytes.extend(read);
    }
    Err(Errno::ENAMETOOLONG)
}
