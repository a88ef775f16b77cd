//! What the gate and a process that is to become rsync send each other: single bytes, with which a
//! descriptor may come, and a sandbox.
//!
//! It must never hand over a descriptor that is not named here, nor take a part of a message for
//! all.

use std::io::{self, IoSlice, IoSliceMut, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};

use crate::decide::sandbox::spec::{Isolation, RunsAs, Sandbox};
use crate::terms::word::words;

/// The first byte of what is sent: whether a lock comes with it.
pub(super) const LOCKED: u8 = 1;
pub(super) const UNLOCKED: u8 = 0;

/// The byte that says that everything holds; no text begins with it.
pub(super) const READY: u8 = 0;

/// The one that asks for the client's ids, and says that they are there.
pub(super) const MAP: u8 = 1;

/// The one that says that the process has namespaces of its own.
pub(super) const APART: u8 = 2;

/// Who the process is to be.
pub(super) const ACCOUNT: u8 = 3;
pub(super) const CLIENTS_ROOT: u8 = 4;

/// Says a byte, and hands over a descriptor with it.
pub(super) fn say(channel: &UnixStream, byte: u8, handed: Option<RawFd>) -> nix::Result<()> {
    let handed: Vec<RawFd> = handed.into_iter().collect();
    let parts = [ControlMessage::ScmRights(&handed)];
    let parts = if handed.is_empty() { &[][..] } else { &parts };
    sendmsg::<()>(channel.as_raw_fd(), &[IoSlice::new(&[byte])], parts, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// The next byte, and the descriptor that came with it; `None`: the other end is gone.
pub(super) fn received(channel: &UnixStream, flags: RecvFlags) -> io::Result<Option<(u8, Option<OwnedFd>)>> {
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

/// In the process that waits: the way to the gate. It closes by itself when rsync starts.
#[derive(Debug)]
pub struct Orders {
    pub(super) channel: UnixStream,
}

impl Orders {
    /// Says that this process has left for namespaces of its own.
    ///
    /// # Errors
    /// When the gate is gone.
    pub fn say_apart(&self) -> Result<(), String> {
        say(&self.channel, APART, None).map_err(|error| error.to_string())
    }

    /// Waits to learn who it is. Its user namespace is mapped then, unless it is the account's.
    /// `None` if no rsync is wanted.
    ///
    /// # Errors
    /// When something else was sent.
    pub fn learn_who(&self) -> Result<Option<RunsAs>, String> {
        match received(&self.channel, RecvFlags::CMSG_CLOEXEC).map_err(|error| error.to_string())? {
            None => Ok(None),
            Some((ACCOUNT, None)) => Ok(Some(RunsAs::Account)),
            Some((CLIENTS_ROOT, None)) => Ok(Some(RunsAs::ClientsRoot)),
            Some(_) => Err("nothing that it was told says who it is".to_owned()),
        }
    }

    /// Waits for its sandbox, perhaps with a lock, which stays open in this process and what it
    /// becomes. `None` if no rsync is wanted.
    ///
    /// # Errors
    /// When something else was sent.
    pub fn receive(&mut self, isolation: Isolation) -> Result<Option<Sandbox>, String> {
        // Without `CMSG_CLOEXEC`: the lock is the one descriptor besides the standard three that
        // rsync gets.
        let Some((first, lock)) = received(&self.channel, RecvFlags::empty()).map_err(|error| error.to_string())? else { return Ok(None) };
        if lock.map(OwnedFd::into_raw_fd).is_some() != (first == LOCKED) {
            return Err("the lock did not come".to_owned());
        }
        let mut length = [0; size_of::<usize>()];
        self.channel.read_exact(&mut length).map_err(|error| error.to_string())?;
        let mut bytes = vec![0; usize::from_le_bytes(length)];
        self.channel.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        let sandbox: Sandbox = serde_json::from_slice(&bytes).map_err(|error| format!("what it is to run cannot be read: {error}"))?;
        if sandbox.isolation == isolation { Ok(Some(sandbox)) } else { Err("it was begun for another sandbox".to_owned()) }
    }

    /// Has the gate give this process, which is in a user namespace of its own, the client's ids.
    ///
    /// # Errors
    /// When the gate is gone, or could not.
    pub fn be_mapped(&mut self) -> Result<(), String> {
        let asked = say(&self.channel, MAP, None).map_err(io::Error::from);
        asked.and_then(|()| self.channel.read_exact(&mut [0])).map_err(|error| error.to_string())
    }

    /// Reports that everything holds, and hands over the descriptor that questions come in on.
    ///
    /// # Errors
    /// When the gate is gone.
    pub fn ready(&self, listener: Option<RawFd>) -> Result<(), String> {
        say(&self.channel, READY, listener).map_err(|error| error.to_string())
    }
}
