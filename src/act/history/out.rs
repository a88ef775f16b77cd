//! Where an answer goes, and why there is none.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::fd::{AsFd as _, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::places::broken;
use crate::decide::history::paint;
use crate::terms::Reason;
use crate::terms::limits::LOOK_FOR_READERS;

/// Why nothing more is answered.
#[derive(Debug)]
pub enum Stop {
    /// Nobody reads it.
    Closed,
    /// There is no answer.
    Because(Reason),
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self::Because(reason)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Because(broken("reading history", &error))
    }
}

impl From<nix::Error> for Stop {
    fn from(error: nix::Error) -> Self {
        io::Error::from(error).into()
    }
}

/// Where it goes.
pub struct Out {
    to: BufWriter<Box<dyn Write>>,
    /// What shows whether somebody reads.
    watched: Option<OwnedFd>,
    seen: u64,
    /// Whether nobody makes colours of marks on the way.
    is_plain: bool,
}

impl Out {
    /// To standard output.
    ///
    /// # Errors
    /// When that is not open.
    pub fn standard() -> io::Result<Self> {
        let watched = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Self { watched: Some(watched), ..Self::to(Box::new(io::stdout())) })
    }

    /// To somewhere else.
    pub fn to(writer: Box<dyn Write>) -> Self {
        Self { to: BufWriter::with_capacity(64 * 1024, writer), watched: None, seen: 0, is_plain: false }
    }

    /// Without marks.
    #[must_use]
    pub fn plain(self) -> Self {
        Self { is_plain: true, ..self }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// When nobody reads it.
    pub fn line(&mut self, line: &str) -> Result<(), Stop> {
        if self.is_plain {
            self.raw(paint::unmarked(line).as_bytes())?;
        } else {
            self.raw(line.as_bytes())?;
        }
        self.raw(b"\n")
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// When nobody reads them.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.to.write_all(bytes).map_err(unwritten)
    }

    /// Writes what is still here.
    ///
    /// # Errors
    /// When nobody reads it.
    pub fn flush(&mut self) -> Result<(), Stop> {
        self.to.flush().map_err(unwritten)
    }

    /// Sees every so often whether somebody still reads: a walk may go on for long without a word.
    pub(super) fn look(&mut self) -> Result<(), Stop> {
        self.seen += 1;
        let Some(watched) = self.watched.as_ref().filter(|_| self.seen.is_multiple_of(LOOK_FOR_READERS)) else { return Ok(()) };
        let mut end = [PollFd::new(watched.as_fd(), PollFlags::empty())];
        let is_closed = poll(&mut end, PollTimeout::ZERO).is_ok_and(|found| found > 0);
        if is_closed { Err(Stop::Closed) } else { Ok(()) }
    }
}

fn unwritten(error: io::Error) -> Stop {
    if error.kind() == ErrorKind::BrokenPipe { Stop::Closed } else { Stop::Because(broken("writing the answer", &error)) }
}
