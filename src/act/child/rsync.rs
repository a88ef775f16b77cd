//! The sandboxed rsync: a process of the gate's own that closes itself in and becomes rsync.
//!
//! It must never run for a client who is gone: until it is rsync, it ends with the gate's end of
//! the channel.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::unistd::{Pid, geteuid, setpgid};
use rustix::net::RecvFlags;

use super::fork::forked;
use super::leader::Leader;
use super::orders::{ACCOUNT, APART, CLIENTS_ROOT, LOCKED, MAP, Orders, Part, READY, UNLOCKED, received, say};
use super::{Attend, Idle, Meter, Patience};
use crate::decide::owners::idmaps;
use crate::decide::push::outcome::Ended;
use crate::decide::push::plan::Run;
use crate::decide::sandbox::spec::{RunsAs, Sandbox};
use crate::terms::limits::VERSION_TIMEOUT;
use crate::terms::{Code, Mapping, Reason};

/// rsync's whole environment. It would read `RSYNC_*`, `CVSIGNORE`, `HOME` and more from a client's
/// (measured with 3.5.0); the zone is for the times in the run's log.
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

/// A process that waits for a sandbox, to become its rsync. When dropped it is ended.
#[derive(Debug)]
pub struct Standby {
    leader: Leader,
    channel: UnixStream,
    /// What it is given where it asks for a client's ids: the maps of users and of groups.
    maps: Option<[String; 2]>,
}

/// One whose ids are not known yet. It waits in namespaces of its own.
#[derive(Debug)]
pub struct Undecided(Standby);

/// Starts a process that does `story`. That returns only an error, or nothing if no rsync is wanted
/// after all. With a `mapping` it can ask for the client's ids. Only before there is a second
/// thread.
///
/// # Errors
/// When there is no process to be had.
pub fn stand_by(mapping: Option<&Mapping>, story: impl FnOnce(&mut Orders) -> Option<String>) -> Result<Standby, NotStarted> {
    Ok(Standby { maps: mapping.map(|mapping| idmaps::below(mapping, geteuid().is_root())), ..start(story)? })
}

/// The same where the `mapping` is not known yet.
///
/// # Errors
/// As [`stand_by`].
pub fn begin(story: impl FnOnce(&mut Orders) -> Option<String>) -> Result<Undecided, NotStarted> {
    start(story).map(Undecided)
}

fn start(story: impl FnOnce(&mut Orders) -> Option<String>) -> Result<Standby, NotStarted> {
    let (ours, theirs) = UnixStream::pair().map_err(|error| failed(&error))?;
    let (mut ours, orders) = (Some(ours), Orders { channel: theirs });
    let pid = forked(|| {
        // With both ends of the channel it would never see that the gate is gone.
        ours = None;
        let mut orders = orders;
        // A group of its own, so that at the deadline its receiver is reached too.
        let grouped = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        let what = grouped.map_or_else(|error| Some(error.to_string()), |()| story(&mut orders));
        // As to a file: the filter may not allow `send` any more. Nobody may be reading.
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
    ours.map(|channel| Standby { leader, channel, maps: None }).ok_or_else(|| NotStarted::Because(broken("there is no way to it")))
}

impl Undecided {
    /// Has it run as the account.
    pub fn for_account(self) -> Standby {
        let Self(standby) = self;
        standby.say_who(RunsAs::Account);
        standby
    }

    /// Waits until it is in a user namespace that has no maps yet, and says which process it is.
    ///
    /// # Errors
    /// With what stood in the way, for the administrator.
    pub(super) fn apart(&self) -> Result<Pid, String> {
        let Self(standby) = self;
        match standby.receive().map_err(NotStarted::what)? {
            Some((APART, _)) => Ok(standby.pid()),
            None => Err(ended().what()),
            Some((first, _)) => Err(standby.last_words(Some(first)).map_or_else(NotStarted::what, |why| read_failure(&why).what())),
        }
    }

    /// Has it run as the root of the client's ids, which the namespace has been given.
    pub(super) fn for_clients_root(self, mapping: &Mapping) -> Standby {
        let Self(standby) = self;
        standby.say_who(RunsAs::ClientsRoot);
        Standby { maps: Some(idmaps::below(mapping, geteuid().is_root())), ..standby }
    }
}

impl Standby {
    pub(super) fn pid(&self) -> Pid {
        self.leader.pid
    }

    fn say_who(&self, runs_as: RunsAs) {
        let word = match runs_as {
            RunsAs::Account => ACCOUNT,
            RunsAs::ClientsRoot => CLIENTS_ROOT,
        };
        // If this fails, the process has ended and reports why.
        let _ = say(&self.channel, word, None);
    }

    /// Runs rsync to its end, on the client's standard streams. `attend` gets the descriptor for
    /// questions and makes what answers them; `meter` measures what it stores, and is taken once it
    /// runs.
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

    /// The same for one that is asked nothing but whether it is loaded, and is measured.
    ///
    /// # Errors
    /// As [`Standby::rsync`].
    pub fn reading<'a>(
        self,
        run: &Run,
        attend: impl FnOnce(OwnedFd, Pid) -> Result<Box<dyn Attend + 'a>, String>,
        meter: &mut Option<Meter<'_>>,
    ) -> Result<Ended, NotStarted> {
        self.run(run, None, attend, meter)
    }

    /// The same, measured.
    ///
    /// # Errors
    /// As [`Standby::rsync`].
    pub fn metered(self, run: &Run, meter: &mut Option<Meter<'_>>) -> Result<Ended, NotStarted> {
        self.run(run, None, |_, _| Err("nobody is asked anything".to_owned()), meter)
    }

    fn run<'a>(
        mut self,
        run: &Run,
        lock: Option<File>,
        attend: impl FnOnce(OwnedFd, Pid) -> Result<Box<dyn Attend + 'a>, String>,
        meter: &mut Option<Meter<'_>>,
    ) -> Result<Ended, NotStarted> {
        // Orphans of rsync's become this process's children (`PR_SET_CHILD_SUBREAPER`, prctl(2)).
        nix::sys::prctl::set_child_subreaper(true).map_err(|error| failed(&error.into()))?;
        let idle = run.idle().map(|limit| Idle { limit, run });
        let attend = self.start(run.sandbox(), lock.as_ref(), attend)?;
        // From here on the lock is rsync's alone: it is free when the last of its processes is
        // gone.
        drop(lock);
        let patience = Patience { limit: run.deadline(), idle, until: run.until(), while_read: run.ends_unread(), whole: true };
        self.leader.wait_within(patience, meter.take(), attend).map_err(|error| lost(&error))
    }

    /// Runs a sandbox's rsync that only says something about itself.
    ///
    /// # Errors
    /// As [`Standby::rsync`].
    pub fn to_its_end<'a>(
        mut self,
        sandbox: &Sandbox,
        attend: impl FnOnce(OwnedFd, Pid) -> Result<Box<dyn Attend + 'a>, String>,
    ) -> Result<(), NotStarted> {
        let attend = self.start(sandbox, None, attend)?;
        let patience = Patience { limit: VERSION_TIMEOUT, idle: None, until: None, while_read: false, whole: false };
        self.leader.wait_within(patience, None, attend).map(drop).map_err(|error| lost(&error))
    }

    /// Tells the process what it is to become, and waits until it is that.
    fn start<'a>(
        &mut self,
        sandbox: &Sandbox,
        lock: Option<&File>,
        attend: impl FnOnce(OwnedFd, Pid) -> Result<Box<dyn Attend + 'a>, String>,
    ) -> Result<Option<Box<dyn Attend + 'a>>, NotStarted> {
        // If this fails, the process has ended over something that it tells.
        let sent = self.send(sandbox, lock);
        let mut first = self.receive()?;
        if let Some((APART, _)) = &first {
            first = self.receive()?;
        }
        if let (Some((MAP, _)), Some(maps)) = (&first, self.maps.take()) {
            self.map(&maps).map_err(|error| NotStarted::Because(broken(&format!("its ids: {error}"))))?;
            first = self.receive()?;
        }
        let (first, attending) = match first {
            Some((READY, listener)) => {
                let made = listener.map(|listener| attend(listener, self.leader.pid)).transpose();
                (None, made.map_err(|what| read_failure(&format!("{}{what}", Part::Jail)))?)
            }
            Some((first, _)) => (Some(first), None),
            None => return Err(sent.map_or_else(|error| failed(&error), |()| ended())),
        };
        let why = self.last_words(first)?;
        if why.is_empty() { Ok(attending) } else { Err(read_failure(&why)) }
    }

    /// What the process sends until it is rsync, or gone: nothing, or an error.
    fn last_words(&self, first: Option<u8>) -> Result<String, NotStarted> {
        let mut words = Vec::from_iter(first);
        match (&self.channel).read_to_end(&mut words) {
            // What it was sent and did not read any more.
            Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(failed(&error)),
            _ => Ok(String::from_utf8_lossy(&words).into_owned()),
        }
    }

    fn receive(&self) -> Result<Option<(u8, Option<OwnedFd>)>, NotStarted> {
        received(&self.channel, RecvFlags::CMSG_CLOEXEC).map_err(|error| failed(&error))
    }

    /// Maps the client's ids for the process, which is in a user namespace below this one and may
    /// not do so itself (user_namespaces(7), "Defining user and group ID mappings").
    fn map(&mut self, maps: &[String; 2]) -> io::Result<()> {
        let process = Path::new("/proc").join(self.leader.pid.to_string());
        for (file, map) in ["uid_map", "gid_map"].iter().zip(maps) {
            fs::write(process.join(file), map)?;
        }
        self.channel.write_all(&[MAP])
    }

    fn send(&mut self, sandbox: &Sandbox, lock: Option<&File>) -> io::Result<()> {
        let bytes = serde_json::to_vec(sandbox)?;
        say(&self.channel, if lock.is_some() { LOCKED } else { UNLOCKED }, lock.map(File::as_raw_fd))?;
        // How many there are comes first, so that a part of them is never taken for the whole.
        self.channel.write_all(&[&bytes.len().to_le_bytes()[..], &bytes].concat())
    }
}

fn ended() -> NotStarted {
    NotStarted::Because(broken("the process that was to become it has ended"))
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

/// Makes this process the sandbox's rsync. Comes back only if it does not start.
#[must_use]
pub fn become_rsync(sandbox: &Sandbox) -> io::Error {
    let mut command = Command::new(&sandbox.program);
    let name = if sandbox.front.is_some() { "sftp-server" } else { "rsync" };
    command.arg0(name).args(&sandbox.argv).env_clear().envs(ENVIRONMENT).current_dir(&sandbox.directory).exec()
}

/// For an rsync whose end is not known: it was killed because it could not be waited for.
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
