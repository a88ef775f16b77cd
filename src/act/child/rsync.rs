//! The enclosed rsync: a process of the gate's own program that closes itself in and becomes rsync.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use nix::unistd::Pid;

use super::{Meter, Patience, wait_within};
use crate::decide::cell::{Cell, WORD};
use crate::decide::outcome::Ended;
use crate::decide::plan::Run;
use crate::terms::reason::{Code, Reason};

/// Everything that rsync finds in its environment. It would read `RSYNC_*`, `CVSIGNORE`, `HOME` and more from a
/// client's (facts measured with 3.5.0); the zone is for the times in the run's log.
const ENVIRONMENT: [(&str, &str); 2] = [("LC_ALL", "C"), ("TZ", "UTC")];

/// This very program, even where another has been put in its place since.
const MYSELF: &str = "/proc/self/exe";

/// Why rsync did not start. It has not run, and the client has not been spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotStarted {
    /// The kernel gives this account no file system of its own; why, for the administrator.
    NoView(String),
    /// Something else.
    Because(Reason),
}

impl NotStarted {
    /// Why, for those who want nothing else to be tried.
    #[must_use]
    pub fn reason(self) -> Reason {
        match self {
            Self::NoView(what) | Self::Because(Reason { detail: what, code: Code::Internal, .. }) => broken(&what),
            Self::Because(reason) => reason,
        }
    }
}

/// Runs rsync to its end, its standard streams being the client's. `supervise` is given what the calls that are taken from
/// rsync come in on, before there is one; `meter` watches what it stores, and is taken once it runs.
///
/// # Errors
/// When what holds rsync does not hold, or rsync does not start.
pub fn rsync(
    run: &Run,
    lock: File,
    supervise: impl FnOnce(RawFd, Pid) -> Result<(), String>,
    meter: &mut Option<Meter<'_>>,
) -> Result<Ended, NotStarted> {
    // What rsync's processes leave behind becomes this process's child (`PR_SET_CHILD_SUBREAPER`, prctl(2)).
    nix::sys::prctl::set_child_subreaper(true).map_err(|error| failed(&error.into()))?;
    let mut child = enclosed(run.cell(), Some(&lock), supervise, |_| ())?;
    // From here on the lock is rsync's alone: it is free when the last of its processes is gone, whatever becomes of us.
    drop(lock);
    let patience = Patience { limit: run.deadline(), idle: run.idle(), whole: true };
    wait_within(&mut child, patience, meter.take()).map_err(|error| failed(&error))
}

/// Starts what is in a cell and waits until it runs there.
pub(super) fn enclosed(
    cell: &Cell,
    lock: Option<&File>,
    supervise: impl FnOnce(RawFd, Pid) -> Result<(), String>,
    also: impl FnOnce(&mut Command),
) -> Result<Child, NotStarted> {
    let (mut heard, told) = io::pipe().map_err(|error| failed(&error))?;
    let (ours, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
    // The lock is the one descriptor besides the standard three that rsync gets; the others end where it begins.
    lock.map_or(Ok(()), inherit)?;
    inherit(&told)?;
    inherit(&theirs)?;
    let mut command = Command::new(MYSELF);
    command.arg(WORD).args([told.as_raw_fd(), theirs.as_raw_fd()].map(|number| number.to_string())).args(cell.words()).env_clear();
    // A group of its own, so that at the deadline its receiver is reached too.
    command.process_group(0);
    also(&mut command);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::OutOfMemory => NotStarted::Because(Reason {
            remedy: Some("the kernel has no process or memory for it: see what else runs, and `limits:` of the policy".to_owned()),
            ..broken(&error.to_string())
        }),
        _ => failed(&error),
    })?;
    drop((told, theirs));
    let wait = || {
        if let Some(listener) = listener(&ours).map_err(|error| failed(&error))? {
            let pid = Pid::from_raw(child.id().cast_signed());
            supervise(listener, pid).map_err(|what| read_failure(&no_jail(&what)))?;
        }
        let mut why = Vec::new();
        heard.read_to_end(&mut why).map_err(|error| failed(&error))?;
        if why.is_empty() { Ok(()) } else { Err(read_failure(&String::from_utf8_lossy(&why))) }
    };
    if let Err(failure) = wait() {
        let _ = child.kill();
        let _ = child.wait();
        return Err(failure);
    }
    Ok(child)
}

/// The descriptor that the started process hands over; `None` where it ends or goes on without.
fn listener(channel: &UnixStream) -> io::Result<Option<RawFd>> {
    let mut byte = [0];
    let mut room = nix::cmsg_space!(RawFd);
    let mut parts = [IoSliceMut::new(&mut byte)];
    let message = recvmsg::<()>(channel.as_raw_fd(), &mut parts, Some(&mut room), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let handed = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmRights(descriptors) => descriptors.first().copied(),
        _ => None,
    });
    Ok(handed)
}

fn inherit(descriptor: &impl AsFd) -> Result<(), NotStarted> {
    fcntl(descriptor.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).map(drop).map_err(|error| failed(&error.into()))
}

/// What begins the message of a process that could not close itself in: which part failed.
const NO_VIEW: &str = "view: ";
const NO_JAIL: &str = "jail: ";

/// The message that there can be no view.
#[must_use]
pub fn no_view(what: &str) -> String {
    format!("{NO_VIEW}{what}")
}

/// The message that the jail does not hold.
#[must_use]
pub fn no_jail(what: &str) -> String {
    format!("{NO_JAIL}{what}")
}

fn read_failure(message: &str) -> NotStarted {
    if let Some(what) = message.strip_prefix(NO_VIEW) {
        return NotStarted::NoView(what.to_owned());
    }
    NotStarted::Because(match message.strip_prefix(NO_JAIL) {
        Some(what) => Reason::new(Code::Jail, "the server cannot store anything right now")
            .hint("the administrator has been told")
            .detail(what)
            .remedy("run a kernel with Landlock (5.19 or later, `lsm=` with landlock), or set `jail: off` in the site file and know what that means"),
        None => broken(message),
    })
}

/// In the started process: the way back to the gate.
#[derive(Debug)]
pub struct Teller {
    words: File,
    channel: RawFd,
}

impl Teller {
    /// The way back, and the words behind its numbers. What is returned closes by itself when rsync starts.
    ///
    /// Nothing can be told where there is nobody to tell it to: `None`.
    #[must_use]
    pub fn read(words: &[OsString]) -> Option<(Self, &[OsString])> {
        let [told, channel, rest @ ..] = words else { return None };
        let number = |word: &OsString| word.to_str()?.parse().ok().filter(|number: &RawFd| *number > 2);
        let (told, channel) = (number(told)?, number(channel)?);
        let words = OpenOptions::new().write(true).open(format!("/proc/self/fd/{told}")).ok()?;
        nix::unistd::close(told).ok()?;
        Some((Self { words, channel }, rest))
    }

    /// Hands over a descriptor on which the gate is asked from now on, or says that there is none.
    ///
    /// # Errors
    /// When the gate is gone.
    pub fn hand_over(&self, listener: Option<RawFd>) -> Result<(), String> {
        let handed: Vec<RawFd> = listener.into_iter().collect();
        let parts = [ControlMessage::ScmRights(&handed)];
        let parts = if handed.is_empty() { &[][..] } else { &parts };
        sendmsg::<()>(self.channel, &[IoSlice::new(&[0])], parts, MsgFlags::MSG_NOSIGNAL, None).map_err(|error| error.to_string())?;
        nix::unistd::close(self.channel).map_err(|error| error.to_string())
    }

    /// Says what went wrong.
    pub fn tell(&mut self, what: &str) {
        let _ = self.words.write_all(what.as_bytes());
    }
}

/// Makes this process the cell's rsync. Comes back only if it does not start.
#[must_use]
pub fn become_rsync(cell: &Cell) -> io::Error {
    let mut command = Command::new(&cell.program);
    command.arg0("rsync").args(&cell.argv).env_clear().envs(ENVIRONMENT).current_dir(&cell.directory).exec()
}

fn failed(error: &io::Error) -> NotStarted {
    NotStarted::Because(broken(&error.to_string()))
}

fn broken(what: &str) -> Reason {
    Reason::new(Code::Rsync, "the server cannot store anything right now")
        .hint("the administrator has been told")
        .detail(format!("rsync did not start: {what}"))
        .remedy("install rsync, or set `rsync:` in the site file to its path")
}
