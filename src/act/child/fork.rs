//! A second process of this program that goes on from here, without the cost of starting it anew.
//!
//! It must never be made beside a thread: that would be gone in it, and its locks held for ever.

use std::fs;
use std::io::{self, BufRead as _, BufReader, PipeReader, PipeWriter, Read as _, Take, Write};
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt as _;
#[cfg(feature = "admin")]
use std::thread;
use std::time::{Duration, Instant};

use fork::{Fork, fork};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
#[cfg(feature = "admin")]
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
#[cfg(feature = "admin")]
use nix::sys::signal::kill;
#[cfg(feature = "admin")]
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Pid, getpid, getppid, setpgid};

use super::leader::{Leader, collect};
use super::milliseconds;
use crate::decide::push::outcome::Ended;
use crate::terms::exit;
use crate::terms::limits::MAX_END;
#[cfg(feature = "admin")]
use crate::terms::limits::{GROUP_POLL, REACH_GRACE};

/// Whether this process has no second thread.
///
/// # Errors
/// When nobody can say, because there is no `/proc`.
pub(super) fn is_alone() -> io::Result<bool> {
    // A directory has a link for each one in it, and two of its own (proc(5), "/proc/pid/task").
    Ok(fs::metadata("/proc/self/task")?.nlink() == 3)
}

/// Starts a process that does `story` and nothing else.
///
/// # Errors
/// When there is a second thread, or the kernel has no process for it.
pub(super) fn forked(story: impl FnOnce()) -> io::Result<Pid> {
    if !is_alone()? {
        return Err(io::Error::other("there is a second thread"));
    }
    match fork()? {
        Fork::Parent(pid) => Ok(Pid::from_raw(pid)),
        Fork::Child => {
            story();
            std::process::exit(exit::INTERNAL.into());
        }
    }
}

/// The same for a story that ends with the gate, whatever the process becomes: the signal outlives
/// exec(2), and a process whose gate is gone already has another parent.
pub(super) fn forked_with_gate(story: impl FnOnce()) -> io::Result<Pid> {
    let gate = getpid();
    forked(move || {
        if set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == gate {
            story();
        }
    })
}

/// What `story` writes in a process of its own, up to `most` bytes and for this long. Then the
/// process is ended, even if it hangs.
pub fn apart(limit: Duration, most: usize, story: impl FnOnce(&mut dyn Write)) -> Vec<u8> {
    apart_for_good(limit, most, |writer| story(&mut { writer }))
}

/// The same for a process that may become another program: it is given the way out itself.
pub fn apart_for_good(limit: Duration, most: usize, story: impl FnOnce(PipeWriter)) -> Vec<u8> {
    let Ok((reader, writer)) = io::pipe() else { return Vec::new() };
    // Only the process has `writer`, so that its end is seen. It holds what the gate holds: the
    // session's place, its streams.
    let forked = forked_with_gate(move || story(writer));
    let Ok(process) = forked.and_then(Leader::of) else { return Vec::new() };
    let answer = listen(reader, limit, most);
    drop(process);
    answer
}

/// Does `story` in a process with which everything ends that it has started, in whatever session
/// that is (pid_namespaces(7), "The namespace init process"). Only root has such a process; anybody
/// else does it as it is.
#[cfg(feature = "admin")]
pub fn with_all_it_starts(story: impl FnOnce()) {
    if unshare(CloneFlags::CLONE_NEWPID).is_err() {
        return story();
    }
    // Its parent has no number there.
    let first = forked(move || {
        if set_pdeathsig(Signal::SIGKILL).is_ok() {
            story();
        }
    });
    let _ = first.map(collect);
}

/// What `work` returns in a process of its own, which first has to `leave` for where this one must
/// not go. It has no time limit, and ends with this process. Empty if it was killed; `None` if it
/// could not leave, and has done nothing.
///
/// # Errors
/// When there is a second thread, or the kernel has no process for it.
pub fn delegated(leave: impl FnOnce() -> bool, work: impl FnOnce() -> Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let (reader, pid) = entrusted(leave, work)?;
    let mut answer = Vec::new();
    // From here on it may have done its work, so nobody else does: half a word is none.
    let _ = reader.take(MAX_END).read_to_end(&mut answer);
    Ok(came_of(collect(pid), answer))
}

/// The same for work that may return up to `most` bytes, within this time.
///
/// # Errors
/// As [`delegated`]; with [`io::ErrorKind::TimedOut`] where it took longer, and was killed.
#[cfg(feature = "admin")]
pub fn delegated_within(
    limit: Duration,
    most: usize,
    leave: impl FnOnce() -> bool,
    work: impl FnOnce() -> Vec<u8>,
) -> io::Result<Option<Vec<u8>>> {
    let (reader, pid) = entrusted(leave, work)?;
    let (ended, answer) = heard_out(reader, pid, limit, REACH_GRACE, most)?;
    Ok(came_of(Ok(ended), answer))
}

/// What a child says that may be stopped, or may keep the pipe open: it is killed then.
#[cfg(feature = "admin")]
fn heard_out(reader: PipeReader, pid: Pid, limit: Duration, grace: Duration, most: usize) -> io::Result<(Ended, Vec<u8>)> {
    let begun = Instant::now();
    let answer = listen(reader, limit, most);
    // It may stay although it has closed the pipe.
    let last = if begun.elapsed() < limit { begun.elapsed() + grace } else { limit };
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while waitid(Id::Pid(pid), look) == Ok(WaitStatus::StillAlive) {
        if begun.elapsed() >= last {
            let _ = kill(pid, Signal::SIGKILL);
            collect(pid)?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(GROUP_POLL);
    }
    Ok((collect(pid)?, answer))
}

/// How a process ends that could not leave.
const STAYED: i32 = 3;

/// Begins what [`delegated`] tells of.
fn entrusted(leave: impl FnOnce() -> bool, work: impl FnOnce() -> Vec<u8>) -> io::Result<(PipeReader, Pid)> {
    let (reader, writer) = io::pipe()?;
    let gate = getpid();
    let pid = forked(move || {
        let mut writer = writer;
        if !leave() {
            std::process::exit(STAYED);
        }
        // Not before: whoever gains powers loses it (prctl(2), `PR_SET_PDEATHSIG`).
        let bound = set_pdeathsig(Signal::SIGKILL).is_ok() && getppid() == gate;
        // Half a word is none.
        if bound && writer.write_all(&work()).is_ok() {
            std::process::exit(0);
        }
    })?;
    Ok((reader, pid))
}

fn came_of(ended: io::Result<Ended>, answer: Vec<u8>) -> Option<Vec<u8>> {
    match ended {
        Ok(Ended::Exit(0)) => Some(answer),
        Ok(Ended::Exit(STAYED)) => None,
        _ => Some(Vec::new()),
    }
}

/// A process that continues when this one has sent its last message, or is gone without one.
#[derive(Debug)]
pub struct Successor {
    pid: Pid,
    word: PipeWriter,
}

/// What it waits for.
#[derive(Debug)]
pub struct LastWord {
    reader: BufReader<Take<PipeReader>>,
}

/// What a message begins with that is not the last; no JSON does. It ends with its line.
const EARLY: u8 = b'+';

/// Starts one, which stays what this process is now, and does `story`. Of the message it takes up
/// to `most` bytes.
///
/// # Errors
/// When there is a second thread, or the kernel has no process for it.
pub fn succeeded(most: u64, story: impl FnOnce(LastWord) -> bool) -> io::Result<Successor> {
    let (reader, word) = io::pipe()?;
    let reader = BufReader::new(reader.take(most));
    let pid = forked(move || {
        // A client may have sshd kill the group of the program that it started (RFC 4254, 6.9).
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        std::process::exit(if story(LastWord { reader }) { 0 } else { exit::INTERNAL.into() })
    })?;
    Ok(Successor { pid, word })
}

impl LastWord {
    /// Waits for a message that is not the last; `None`: the last is next. As with [`Self::wait`].
    pub fn early(&mut self) -> Option<Vec<u8>> {
        let begins = self.reader.fill_buf().ok().and_then(|begun| begun.first().copied());
        let mut line = Vec::new();
        (begins == Some(EARLY) && self.reader.read_until(b'\n', &mut line).is_ok()).then(|| line.split_off(1))
    }

    /// Waits for it. The pipe must have been closed in this process, which would not see the end of
    /// the other otherwise.
    pub fn wait(mut self) -> Vec<u8> {
        let mut answer = Vec::new();
        // By reading alone: poll(2) waits for 24 days at most, and a push may take longer. Whoever
        // parses it notices a part.
        let _ = self.reader.read_to_end(&mut answer);
        answer
    }
}

impl AsRawFd for LastWord {
    fn as_raw_fd(&self) -> RawFd {
        self.reader.get_ref().get_ref().as_raw_fd()
    }
}

impl Successor {
    /// Sends a message of one line that is not the last. Says whether it went out.
    pub fn tell(&mut self, early: &[u8]) -> bool {
        self.word.write_all(&[&[EARLY], early, b"\n"].concat()).is_ok()
    }

    /// Sends the message, and waits for the other. Returns what its story came to; `None`: it was
    /// killed.
    #[must_use]
    pub fn go_on(self, last: &[u8]) -> Option<bool> {
        let Self { pid, mut word } = self;
        // It may be gone.
        let _ = word.write_all(last);
        drop(word);
        if let Ok(Ended::Exit(status)) = collect(pid) { Some(status == 0) } else { None }
    }
}

/// What comes in until the end, for this long, and no more than `most` bytes of it.
pub(super) fn listen(mut reader: PipeReader, limit: Duration, most: usize) -> Vec<u8> {
    let begun = Instant::now();
    let mut answer = Vec::new();
    let mut room = [0; 4096];
    while answer.len() < most {
        let timeout = milliseconds(limit.saturating_sub(begun.elapsed()));
        match poll(&mut [PollFd::new(reader.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(1) => {}
            Err(Errno::EINTR) => continue,
            _ => break,
        }
        match reader.read(&mut room) {
            Ok(length @ 1..) => answer.extend(room.iter().take(length.min(most - answer.len()))),
            _ => break,
        }
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_may_be_written_and_nobody_is_waited_for() {
        const LONG: Duration = Duration::from_secs(30);
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(&[b'x'; 10_000]).unwrap();
        assert_eq!(listen(reader, LONG, 5000), [b'x'; 5000], "although there is more, and no end of it");
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"half").unwrap();
        let begun = Instant::now();
        assert_eq!(listen(reader.try_clone().unwrap(), Duration::from_millis(50), 5000), b"half");
        assert!(begun.elapsed() < LONG);
        writer.write_all(b" and all").unwrap();
        drop(writer);
        assert_eq!(listen(reader, LONG, 5000), b" and all");
    }

    #[test]
    fn a_child_that_stops_or_stays_is_not_waited_for_for_ever() {
        const SHORT: Duration = Duration::from_millis(300);
        const LONG: Duration = Duration::from_secs(30);
        let heard = |script: &str, limit: Duration| {
            let (reader, writer) = io::pipe().unwrap();
            let mut command = std::process::Command::new("sh");
            #[expect(clippy::zombie_processes, reason = "it is waited for by its number, which is what is tested")]
            let child = command.args(["-c", script]).stdout(writer).spawn().unwrap();
            drop(command);
            let pid = Pid::from_raw(child.id().cast_signed());
            let heard = heard_out(reader, pid, limit, SHORT, 100).map_err(|error| error.kind());
            assert_eq!(kill(pid, None), Err(Errno::ESRCH), "{script}");
            heard
        };
        assert_eq!(heard("echo half; kill -STOP $$", SHORT), Err(io::ErrorKind::TimedOut));
        assert_eq!(heard("exec >&-; kill -STOP $$", LONG), Err(io::ErrorKind::TimedOut));
        assert_eq!(heard("echo all; exit 3", LONG), Ok((Ended::Exit(3), b"all\n".to_vec())));
    }

    #[test]
    fn beside_a_thread_no_process_is_made() {
        // Tests are run by threads of their own.
        assert_eq!(forked(|| ()).unwrap_err().to_string(), "there is a second thread");
    }
}
