//! Reads what an rsync with `-s` writes before its protocol: byte by byte, since rsync would lack
//! whatever is read beyond the block. All of it is due by one deadline, however the bytes drip in.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;

use crate::decide::rsync::secluded::{Block, Fault, Words};
use crate::terms::limits::SECLUDED_TIMEOUT;

/// The block on standard input.
///
/// # Errors
/// With the fault, and what had come until then, printable.
pub fn from_stdin() -> Result<Words, (Fault, String)> {
    // Only the descriptor is taken: the buffer of std's stdin would read ahead.
    from(&std::io::stdin(), Instant::now() + SECLUDED_TIMEOUT)
}

fn from(line: &impl AsFd, deadline: Instant) -> Result<Words, (Fault, String)> {
    let mut block = Block::default();
    let restless = match Restless::make(line.as_fd()) {
        Ok(restless) => restless,
        Err(_) => return Err((Fault::Unreadable, block.shown())),
    };
    loop {
        let fed = restless.next(deadline).and_then(|byte| block.feed(byte));
        match fed {
            Ok(None) => {}
            Ok(Some(words)) => return Ok(words),
            Err(fault) => return Err((fault, block.shown())),
        }
    }
}

/// A line that does not block: one system call for a byte, where asking before each takes two.
/// Dropping it restores the line for rsync.
struct Restless<'a> {
    line: BorrowedFd<'a>,
    before: OFlag,
}

impl<'a> Restless<'a> {
    fn make(line: BorrowedFd<'a>) -> Result<Self, Errno> {
        let before = OFlag::from_bits_retain(fcntl(line, FcntlArg::F_GETFL)?);
        fcntl(line, FcntlArg::F_SETFL(before | OFlag::O_NONBLOCK))?;
        Ok(Self { line, before })
    }

    /// The next byte, waited for until the deadline. Nothing but it is taken from the line.
    fn next(&self, deadline: Instant) -> Result<u8, Fault> {
        let mut byte = [0];
        loop {
            match read(self.line, &mut byte) {
                Ok(0) => return Err(Fault::Ended),
                Ok(_) => return Ok(byte[0]),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.wait(deadline)?,
                Err(_) => return Err(Fault::Unreadable),
            }
        }
    }

    /// Waits until there is something to read, or the line is closed.
    fn wait(&self, deadline: Instant) -> Result<(), Fault> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Fault::Silence);
        }
        // A part of a millisecond is waited for as a whole one, and the clock asked again.
        let wait = PollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(self.line, PollFlags::POLLIN)], wait) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(_) => Err(Fault::Unreadable),
        }
    }
}

impl Drop for Restless<'_> {
    fn drop(&mut self) {
        // What could be set can be set back.
        let _ = fcntl(self.line, FcntlArg::F_SETFL(self.before));
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::thread::{sleep, spawn};
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(400)
    }

    fn fault(written: &[u8], close: bool) -> Fault {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(written).unwrap();
        let _writer = (!close).then_some(writer);
        from(&reader, soon()).unwrap_err().0
    }

    #[test]
    fn not_a_byte_beyond_the_block_is_read() {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(b"rsync\0-r\0.\0d\xff\n/\0\0\x20\0\0\0rest").unwrap();
        drop(writer);
        let before = fcntl(&reader, FcntlArg::F_GETFL).unwrap();
        assert_eq!(from(&reader, soon()).unwrap().as_slice(), [&b"-r"[..], b".", b"d\xff\n/"]);
        assert_eq!(fcntl(&reader, FcntlArg::F_GETFL).unwrap(), before, "rsync finds the line as it was");
        let mut rest = Vec::new();
        reader.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"\x20\0\0\0rest");
    }

    #[test]
    fn every_way_in_which_there_is_no_block_is_told_apart() {
        assert_eq!(fault(b"", true), Fault::Ended);
        assert_eq!(fault(b"rsync\0.\0x", true), Fault::Ended);
        assert_eq!(fault(b"", false), Fault::Silence);
        assert_eq!(fault(b"rsync\0.\0x\0", false), Fault::Silence);
        assert_eq!(fault(b"\x20\0\0\0", false), Fault::NotABlock);
        assert_eq!(fault(&[b"rsync\0".to_vec(), vec![b'x'; 60_000]].concat(), false), Fault::TooLong);
        let directory = File::open("/").unwrap();
        assert_eq!(from(&directory, soon()).unwrap_err().0, Fault::Unreadable);
    }

    #[test]
    fn bytes_that_drip_in_do_not_move_the_deadline() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let began = Instant::now();
        let dripping = spawn(move || {
            for byte in b"rsync\0".iter().chain([b'x'; 100].iter()) {
                if writer.write_all(&[*byte]).is_err() {
                    return;
                }
                sleep(Duration::from_millis(50));
            }
        });
        let (fault, shown) = from(&reader, soon()).unwrap_err();
        assert_eq!(fault, Fault::Silence);
        assert!(began.elapsed() >= Duration::from_millis(400) && began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        assert!(shown.starts_with("`rs"), "what came is told: {shown}");
        drop(reader);
        dripping.join().unwrap();
    }
}
