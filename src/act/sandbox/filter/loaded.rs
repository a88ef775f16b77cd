//! The gate's side of the filter of a program that browses: it hears once that the program is loaded,
//! and gives it its front before it goes on.
//!
//! Until then the program has read nothing of the client's, and one that never says so never serves.

use std::cell::RefCell;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use libseccomp::{ScmpNotifReq, ScmpNotifResp, ScmpNotifRespFlags};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::act::child::Attend;
use crate::act::sandbox::front;
use crate::terms::Excess;
use crate::terms::limits::LOADING_TIME;

/// How far a program has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Came {
    /// It has not said that it is loaded.
    #[default]
    Nowhere,
    /// Its root is its front.
    Through,
    /// It could not be given that; why, for the administrator.
    Failed(String),
}

/// Waits for one program.
#[derive(Debug)]
pub struct Loading<'a> {
    listener: OwnedFd,
    pid: Pid,
    begun: Instant,
    came: &'a RefCell<Came>,
}

impl<'a> Loading<'a> {
    /// For the process with this number, which `came` tells of.
    pub fn new(listener: OwnedFd, pid: Pid, came: &'a RefCell<Came>) -> Self {
        Self { listener, pid, begun: Instant::now(), came }
    }

    fn is_waited_for(&self) -> bool {
        *self.came.borrow() == Came::Nowhere
    }
}

impl AsFd for Loading<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Attend for Loading<'_> {
    fn answer(&mut self) -> Option<Excess> {
        let listener = self.listener.as_raw_fd();
        let request = ScmpNotifReq::receive(listener).ok()?;
        // It starts no other process, and says so once.
        let came = if request.pid == self.pid.as_raw().cast_unsigned() && self.is_waited_for() {
            front::give(self.pid).map_or_else(Came::Failed, |()| Came::Through)
        } else {
            Came::Failed("it said twice that it was loaded".to_owned())
        };
        // The call is not made: whoever measures what the program reads has to look into it, and
        // nobody else can, in a root without /proc.
        let response = match &came {
            Came::Through => ScmpNotifResp::new_val(request.id, 0, ScmpNotifRespFlags::empty()),
            Came::Nowhere | Came::Failed(_) => ScmpNotifResp::new_error(request.id, -libc::EPERM, ScmpNotifRespFlags::empty()),
        };
        if self.is_waited_for() {
            *self.came.borrow_mut() = came;
        }
        let _ = response.respond(listener);
        None
    }

    fn patience(&self) -> Option<Duration> {
        self.is_waited_for().then(|| LOADING_TIME.saturating_sub(self.begun.elapsed()))
    }

    fn silence(&mut self) {
        // Another program than OpenSSH's: it would be served from the root that it was loaded in.
        if self.is_waited_for() && self.begun.elapsed() >= LOADING_TIME {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
    }
}
