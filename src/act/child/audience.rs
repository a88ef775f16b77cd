//! Whether somebody is there who reads what a child says.
//!
//! A sender notices it when it writes. One that waits for something else does not: it would stay for
//! ever, with what it has locked.

use std::io::{self, Stdout};
use std::mem;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::terms::limits::CLIENT_LOOK;

/// The other end of a standard output.
#[derive(Debug)]
pub(super) struct Audience<Out = Stdout> {
    out: Out,
    next: Duration,
    /// What the last look came to.
    was_gone: bool,
}

impl Audience {
    /// That of this process, which is its child's as well.
    pub(super) fn new() -> Self {
        Self::of(io::stdout())
    }
}

impl<Out: AsFd> Audience<Out> {
    fn of(out: Out) -> Self {
        Self { out, next: CLIENT_LOOK, was_gone: false }
    }

    /// When it is looked at next.
    pub(super) fn next(&self) -> Duration {
        self.next
    }

    /// Whether it was gone already when it was looked at last. Until then the child may end by
    /// itself.
    pub(super) fn is_gone(&mut self, now: Duration) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now + CLIENT_LOOK;
        let is_gone = self.has_hung_up();
        mem::replace(&mut self.was_gone, is_gone) && is_gone
    }

    /// By the two words that poll(2) says without being asked for any.
    fn has_hung_up(&self) -> bool {
        let mut looked = [PollFd::new(self.out.as_fd(), PollFlags::empty())];
        let over = PollFlags::POLLERR | PollFlags::POLLHUP;
        poll(&mut looked, PollTimeout::ZERO).is_ok() && looked.iter().any(|end| end.revents().is_some_and(|found| found.intersects(over)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn whoever_has_closed_the_other_end_is_gone_at_the_second_look() {
        let (reader, writer) = io::pipe().unwrap();
        let (client, server) = UnixStream::pair().unwrap();
        let (mut pipe, mut socket) = (Audience::of(writer), Audience::of(server));
        let mut looks = |number: u32| [pipe.is_gone(CLIENT_LOOK * number), socket.is_gone(CLIENT_LOOK * number)];
        assert_eq!(looks(1), [false; 2]);
        // Having said all is not having gone.
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!([looks(2), looks(3)], [[false; 2]; 2]);
        drop((reader, client));
        assert_eq!([looks(4), looks(4), looks(5)], [[false; 2], [false; 2], [true; 2]]);
    }
}
