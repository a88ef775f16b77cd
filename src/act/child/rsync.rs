//! The enclosed rsync: a process of the gate's own that closes itself in and becomes rsync.
//!
//! It must never run for anybody who is gone: until it is rsync it ends when nobody is at the other end of its channel.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use nix::unistd::{Pid, setpgid};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use super::fork::forked;
use super::leader::Leader;
use super::mapping::map_of_clients;
use super::{Attend, Meter, Patience};
use crate::decide::cell::{Cell, Ground};
use crate::decide::outcome::Ended;
use crate::decide::plan::Run;
use crate::terms::limits::VERSION_TIMEOUT;
use crate::terms::word::words;
use crate::terms::{Code, Mapping, Reason};

/// Everything that rsync finds in its environment. It would read `RSYNC_*`, `CVSIGNORE`, `HOME` and more from a
/// client's (facts measured with 3.5.0); the zone is for the times in the run's log.
pub(super) const ENVIRONMENT: [(&str, &str); 2] = [("LC_ALL", "C"), ("TZ", "UTC")];

/// Why rsync did not start. It has not run, and the client has not been spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotStarted {
    /// The kernel gives this account no file system of its own; why, for the administrator.
    NoView(String),
    /// It gives one, and what was to be seen in it could not be shown; why, for the administrator.
    Unseen(String),
    /// Something else.
    Because(Reason),
}

impl NotStarted {
    /// What stood in the way, for the administrator.
    pub fn what(self) -> String {
        match self {
            Self::NoView(what) | Self::Unseen(what) | Self::Because(Reason { detail: what, .. }) => what,
        }
    }

    /// Why, for those who want nothing else to be tried.
    pub fn reason(self) -> Reason {
        match self {
            Self::NoView(what) | Self::Unseen(what) | Self::Because(Reason { detail: what, code: Code::Internal, .. }) => broken(&what),
            Self::Because(reason) => reason,
        }
    }
}

/// A process that is to become rsync and waits to be told which one. Dropped, it is ended.
#[derive(Debug)]
pub struct Standby {
    leader: Leader,
    channel: UnixStream,
    /// What it is given where it asks for a client's ids: the maps of users and of groups.
    maps: Option<[String; 2]>,
}

/// Starts a process that does `story`, which comes back only with what went wrong, or with nothing where no rsync is wanted
/// after all. With a `mapping` it can ask for the client's ids. Only before there is a second thread.
///
/// # Errors
/// When there is no process to be had.
pub fn stand_by(mapping: Option<&Mapping>, story: impl FnOnce(&mut Orders) -> Option<String>) -> Result<Standby, NotStarted> {
    let (ours, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
    let (mut ours, orders) = (Some(ours), Orders { channel: theirs });
    let pid = forked(|| {
        // With both ends of the channel it would never see that the gate is gone.
        ours = None;
        let mut orders = orders;
        // A group of its own, so that at the deadline its receiver is reached too.
        let grouped = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        let what = grouped.map_or_else(|error| Some(error.to_string()), |()| story(&mut orders));
        // As to a file: to a socket the library would send, which the filter may not let through any more. Nobody may be listening.
        let _ = what.map(|what| File::from(OwnedFd::from(orders.channel)).write_all(what.as_bytes()));
    });
    let pid = pid.map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::OutOfMemory => NotStarted::Because(Reason {
            remedy: Some("the kernel has no process or memory for it: see what else runs, and `limits:` of the policy".to_owned()),
            ..broken(&error.to_string())
        }),
        _ => failed(&error),
    })?;
    let leader = Leader::of(pid).map_err(|error| failed(&error))?;
    let maps = mapping.map(|mapping| [&mapping.users, &mapping.groups].map(map_of_clients));
    ours.map(|channel| Standby { leader, channel, maps }).ok_or_else(|| NotStarted::Because(broken("there is no way to it")))
}

impl Standby {
    /// Runs rsync to its end, its standard streams being the client's. `attend` is given what its questions come in on, before there
    /// is one, and makes whoever answers them; `meter` watches what it stores, and is taken once it runs.
    ///
    /// # Errors
    /// When what holds rsync does not hold, or rsync does not start.
    pub fn rsync<'a>(
        self,
        run: &Run,
        lock: File,
        attend: impl FnOnce(OwnedFd, Pid) -> Result<Box<dyn Attend + 'a>, String>,
        meter: &mut Option<Meter<'_>>,
    ) -> Result<Ended, NotStarted> {
        self.run(run, Some(lock), attend, meter)
    }

    /// The same for one that changes nothing, and so keeps nobody out and is asked nothing.
    ///
    /// # Errors
    /// As [`Standby::rsync`].
    pub fn unlocked(self, run: &Run) -> Result<Ended, NotStarted> {
        self.run(run, None, |_, _| Err("nobody is asked anything".to_owned()), &mut None)
    }

    fn run<'a>(
        mut self,
        run: &Run,
        lock: Option<File>,
        attend: impl FnOnce(OwnedFd, Pid) -> Result<Box<dyn Attend + 'a>, String>,
        meter: &mut Option<Meter<'_>>,
    ) -> Result<Ended, NotStarted> {
        // What rsync's processes leave behind becomes this process's child (`PR_SET_CHILD_SUBREAPER`, prctl(2)).
        nix::sys::prctl::set_child_subreaper(true).map_err(|error| failed(&error.into()))?;
        let attend = self.start(run.cell(), lock.as_ref(), attend)?;
        // From here on the lock is rsync's alone: it is free when the last of its processes is gone, whatever becomes of us.
        drop(lock);
        let patience = Patience { limit: run.deadline(), idle: run.idle(), whole: true };
        self.leader.wait_within(patience, meter.take(), attend).map_err(|error| lost(&error))
    }

    /// Runs a cell's rsync that only says something about itself.
    ///
    /// # Errors
    /// As [`Standby::rsync`].
    pub fn to_its_end<'a>(
        mut self,
        cell: &Cell,
        attend: impl FnOnce(OwnedFd, Pid) -> Result<Box<dyn Attend + 'a>, String>,
    ) -> Result<(), NotStarted> {
        let attend = self.start(cell, None, attend)?;
        let patience = Patience { limit: VERSION_TIMEOUT, idle: None, whole: false };
        self.leader.wait_within(patience, None, attend).map(drop).map_err(|error| lost(&error))
    }

    /// Tells the process what it is to become, and waits until it is that.
    fn start<'a>(
        &mut self,
        cell: &Cell,
        lock: Option<&File>,
        attend: impl FnOnce(OwnedFd, Pid) -> Result<Box<dyn Attend + 'a>, String>,
    ) -> Result<Option<Box<dyn Attend + 'a>>, NotStarted> {
        let ended = || NotStarted::Because(broken("the process that was to become it has ended"));
        // If this fails, the process has ended over something that it tells.
        let sent = self.send(cell, lock);
        let mut why = Vec::new();
        let mut first = self.hear()?;
        if let (Some((MAP, _)), Some(maps)) = (&first, self.maps.take()) {
            self.map(&maps).map_err(|error| NotStarted::Because(broken(&format!("its ids: {error}"))))?;
            first = self.hear()?;
        }
        let attending = match first {
            Some((READY, listener)) => {
                let made = listener.map(|listener| attend(listener, self.leader.pid)).transpose();
                made.map_err(|what| read_failure(&format!("{}{what}", Part::Jail)))?
            }
            Some((first, _)) => {
                why.push(first);
                None
            }
            None => return Err(sent.map_or_else(|error| failed(&error), |()| ended())),
        };
        match self.channel.read_to_end(&mut why) {
            // What it was sent and did not read any more.
            Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(failed(&error)),
            _ if !why.is_empty() => Err(read_failure(&String::from_utf8_lossy(&why))),
            _ => Ok(attending),
        }
    }

    fn hear(&self) -> Result<Option<(u8, Option<OwnedFd>)>, NotStarted> {
        heard(&self.channel, RecvFlags::CMSG_CLOEXEC).map_err(|error| failed(&error))
    }

    /// Gives the process, which is in a user namespace below this one, the client's ids and none besides. It cannot do so itself: only
    /// who has power over these may (user_namespaces(7), "Defining user and group ID mappings").
    fn map(&mut self, maps: &[String; 2]) -> io::Result<()> {
        let process = Path::new("/proc").join(self.leader.pid.to_string());
        for (file, map) in ["uid_map", "gid_map"].iter().zip(maps) {
            fs::write(process.join(file), map)?;
        }
        self.channel.write_all(&[MAP])
    }

    fn send(&mut self, cell: &Cell, lock: Option<&File>) -> io::Result<()> {
        let words = cell.words();
        if words.iter().any(|word| word.as_bytes().contains(&0)) {
            return Err(io::Error::from(ErrorKind::InvalidInput));
        }
        say(&self.channel, if lock.is_some() { LOCKED } else { UNLOCKED }, lock.map(File::as_raw_fd))?;
        let bytes: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), &[0]].concat()).collect();
        // How many there are comes first, so that a part of them is never taken for the whole.
        self.channel.write_all(&[&bytes.len().to_le_bytes()[..], &bytes].concat())
    }
}

/// The first byte of what is sent: whether a lock comes with it.
const LOCKED: u8 = 1;
const UNLOCKED: u8 = 0;

/// The byte that says that everything holds; no text begins with it.
const READY: u8 = 0;

/// The one that asks for the client's ids, and says that they are there.
const MAP: u8 = 1;

/// Says a byte, and hands over a descriptor with it.
fn say(channel: &UnixStream, byte: u8, handed: Option<RawFd>) -> nix::Result<()> {
    let handed: Vec<RawFd> = handed.into_iter().collect();
    let parts = [ControlMessage::ScmRights(&handed)];
    let parts = if handed.is_empty() { &[][..] } else { &parts };
    sendmsg::<()>(channel.as_raw_fd(), &[IoSlice::new(&[byte])], parts, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// The first byte of what is said, and what was handed over with it; `None`: the other end is gone without a word.
fn heard(channel: &UnixStream, flags: RecvFlags) -> io::Result<Option<(u8, Option<OwnedFd>)>> {
    let mut byte = [0];
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut room = RecvAncillaryBuffer::new(&mut room);
    let bytes = match rustix::net::recvmsg(channel, &mut [IoSliceMut::new(&mut byte)], &mut room, flags) {
        Err(rustix::io::Errno::CONNRESET) => 0,
        message => message?.bytes,
    };
    let handed = room.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok((bytes > 0).then_some((byte[0], handed)))
}

words! {
    /// Which part a process could not close itself in with; it begins the message about that.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Part {
        /// There can be no view.
        View = "view: ",
        /// Something cannot be shown in the view.
        Unseen = "unseen: ",
        /// The jail does not hold.
        Jail = "jail: ",
    }
}

fn read_failure(message: &str) -> NotStarted {
    if let Some(what) = message.strip_prefix(Part::View.as_str()) {
        return NotStarted::NoView(what.to_owned());
    }
    if let Some(what) = message.strip_prefix(Part::Unseen.as_str()) {
        return NotStarted::Unseen(what.to_owned());
    }
    NotStarted::Because(match message.strip_prefix(Part::Jail.as_str()) {
        Some(what) => Reason::of_the_server(Code::Jail, what)
            .remedy("run a kernel with Landlock (5.19 or later, `lsm=` with landlock), leave a gate of root's CAP_SETPCAP, or set `jail: off` in the site file and know what that means"),
        None => broken(message),
    })
}

/// In the process that waits: the way to the gate. It closes by itself when rsync starts.
#[derive(Debug)]
pub struct Orders {
    channel: UnixStream,
}

impl Orders {
    /// Waits for the rest of a cell. A lock may come with it, which from then on stays open in this process and whatever it
    /// becomes. `None` where nobody wants an rsync any more.
    ///
    /// # Errors
    /// When something else was sent.
    pub fn receive(&mut self, ground: Ground) -> Result<Option<Cell>, String> {
        // Without `CMSG_CLOEXEC`: the lock is the one descriptor besides the standard three that rsync gets.
        let Some((first, lock)) = heard(&self.channel, RecvFlags::empty()).map_err(|error| error.to_string())? else { return Ok(None) };
        if lock.map(OwnedFd::into_raw_fd).is_some() != (first == LOCKED) {
            return Err("the lock did not come".to_owned());
        }
        let mut length = [0; size_of::<usize>()];
        self.channel.read_exact(&mut length).map_err(|error| error.to_string())?;
        let mut bytes = vec![0; usize::from_le_bytes(length)];
        self.channel.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        let words = bytes.strip_suffix(&[0]).map(|bytes| bytes.split(|byte| *byte == 0));
        let words: Vec<_> = words.into_iter().flatten().map(|word| OsString::from_vec(word.to_vec())).collect();
        Cell::read(ground, &words).map(Some).ok_or_else(|| "its own words cannot be read".to_owned())
    }

    /// Has the gate give this process, which is in a user namespace of its own, the client's ids.
    ///
    /// # Errors
    /// When the gate is gone, or could not.
    pub fn be_mapped(&mut self) -> Result<(), String> {
        let asked = say(&self.channel, MAP, None).map_err(io::Error::from);
        asked.and_then(|()| self.channel.read_exact(&mut [0])).map_err(|error| error.to_string())
    }

    /// Says that everything holds, and hands over a descriptor on which the gate is asked from now on.
    ///
    /// # Errors
    /// When the gate is gone.
    pub fn ready(&self, listener: Option<RawFd>) -> Result<(), String> {
        say(&self.channel, READY, listener).map_err(|error| error.to_string())
    }
}

/// Makes this process the cell's rsync. Comes back only if it does not start.
#[must_use]
pub fn become_rsync(cell: &Cell) -> io::Error {
    let mut command = Command::new(&cell.program);
    command.arg0("rsync").args(&cell.argv).env_clear().envs(ENVIRONMENT).current_dir(&cell.directory).exec()
}

/// Why there is no telling how rsync ended: it ran, and was killed when it could not be waited for.
fn lost(error: &io::Error) -> NotStarted {
    let what = format!("rsync was ended, because the gate could not wait for it: {error}");
    NotStarted::Because(Reason::new(Code::Interrupted, "the server failed").hint("push again").detail(what))
}

fn failed(error: &io::Error) -> NotStarted {
    NotStarted::Because(broken(&error.to_string()))
}

fn broken(what: &str) -> Reason {
    Reason::of_the_server(Code::Rsync, format!("rsync did not start: {what}"))
        .remedy("install rsync, or set `rsync:` in the site file to its path")
}
