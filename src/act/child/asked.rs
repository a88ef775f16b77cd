//! The administrator's program, started to answer a question about one client's history: by the gate
//! for the client, and by that program itself for the administrator.
//!
//! What it says may have been written by the client's account. Whoever asked passes it on, or makes
//! it printable; nothing here believes a word of it.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc::PIPE_BUF;
use nix::poll::{PollFd, PollFlags, poll};
use nix::unistd::write;

use super::detach::program;
use super::milliseconds;
use crate::decide::history::query::Asked;
use crate::terms::limits::MAX_READERS_FAULT;
use crate::terms::{ClientName, Code, Reason};

/// The hidden word of the administrator's program that answers.
pub const ANSWER: &str = "answer-history";

/// Its option for an answer that is the administrator's.
pub const FOR_ADMINISTRATOR: &str = "administrator";

/// What is asked, and of whom.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Where the configuration is.
    pub directory: &'a Path,
    /// Whose history.
    pub client: &'a ClientName,
    /// What.
    pub asked: &'a Asked,
    /// Whether the administrator asks.
    pub is_administrators: bool,
    /// For how long it is answered.
    pub limit: Duration,
}

/// What came of it.
#[derive(Debug)]
pub enum Answered {
    /// The answer is whole.
    Whole,
    /// Nobody reads it any more.
    Closed,
    /// There is none, or a part of one.
    Failed(Reason),
}

/// Takes a piece of an answer, with when the time is over. It says whether it wants more.
pub(super) type Take<'a> = dyn FnMut(&[u8], Instant) -> Result<bool, Reason> + 'a;

/// Asks. Each piece of the answer goes to `take`.
pub fn ask(question: &Question<'_>, take: &mut Take<'_>) -> Answered {
    let mut child = match start(question) {
        Ok(child) => child,
        Err(error) => return Answered::Failed(unanswered(format!("starting `snapgate`: {error}"))),
    };
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        return Answered::Failed(unanswered("`snapgate` has no streams".to_owned()));
    };
    let heard = hear(out, err, question.limit, take);
    // Who is cut off has nothing more to say, and what it has started ends with these pipes.
    if !matches!(heard, Ok((true, _))) {
        let _ = child.kill();
    }
    let ended = child.wait();
    match (heard, ended) {
        (Err(reason), _) => Answered::Failed(reason),
        (Ok((false, _)), _) => Answered::Closed,
        (Ok(_), Ok(status)) if status.success() => Answered::Whole,
        (Ok((_, fault)), ended) => {
            let told = fault.split(|byte| *byte == b'\n').find_map(|line| serde_json::from_slice::<Reason>(line).ok());
            let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
            Answered::Failed(told.map_or_else(|| unanswered(format!("`snapgate` could not answer: {how}")), Reason::believed_less))
        }
    }
}

fn start(question: &Question<'_>) -> io::Result<Child> {
    let mut command = Command::new(program()?);
    command.arg("--config").arg(std::path::absolute(question.directory)?).arg(ANSWER).arg(format!("--client={}", question.client));
    if question.is_administrators {
        command.arg(format!("--{FOR_ADMINISTRATOR}"));
    }
    command.arg("--").arg(question.asked.word().as_str()).args(question.asked.words());
    command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn()
}

/// Hands the answer over. Returns whether it was wanted to its end, and what was said besides.
fn hear(mut out: ChildStdout, mut err: ChildStderr, limit: Duration, take: &mut Take<'_>) -> Result<(bool, Vec<u8>), Reason> {
    let (until, shown) = (Instant::now() + limit, io::stdout());
    let (mut fault, mut room) = (Vec::new(), vec![0; 64 * 1024]);
    let (mut is_out, mut is_err) = (true, true);
    while is_out || is_err {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(over(limit));
        }
        let ready = {
            let mut both = Vec::new();
            both.extend(is_out.then(|| PollFd::new(out.as_fd(), PollFlags::POLLIN)));
            both.extend(is_err.then(|| PollFd::new(err.as_fd(), PollFlags::POLLIN)));
            // A walk may go on for long without a word, and nobody be there to hear it.
            both.push(PollFd::new(shown.as_fd(), PollFlags::empty()));
            match poll(&mut both, milliseconds(left)) {
                Err(Errno::EINTR) | Ok(0) => continue,
                Err(error) => return Err(unanswered(format!("waiting for `snapgate`: {}", error.desc()))),
                Ok(_) => {}
            }
            let mut ready = both.iter().map(|end| end.any().unwrap_or(false));
            let mut next = || ready.next().unwrap_or(false);
            [is_out && next(), is_err && next(), next()]
        };
        let [from_out, from_err, is_gone] = ready;
        if is_gone {
            return Ok((false, fault));
        }
        if from_out {
            let read = piece(&mut out, &mut room)?;
            is_out = read > 0;
            if is_out && !take(room.get(..read).unwrap_or_default(), until)? {
                let is_over = Instant::now() >= until;
                return if is_over { Err(over(limit)) } else { Ok((false, fault)) };
            }
        }
        if from_err {
            let read = piece(&mut err, &mut room)?;
            is_err = read > 0;
            fault.extend(room.iter().take(read.min(MAX_READERS_FAULT.saturating_sub(fault.len()))));
        }
    }
    Ok((true, fault))
}

fn piece(from: &mut impl io::Read, room: &mut [u8]) -> Result<usize, Reason> {
    loop {
        match from.read(room) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read.map_err(|error| unanswered(format!("reading what `snapgate` says: {error}"))),
        }
    }
}

/// The reason for an answer that nobody waits for any longer.
fn over(limit: Duration) -> Reason {
    let says = format!("the answer took longer than {}", humantime::format_duration(limit));
    Reason::new(Code::Slow, says).hint("ask about a part of it")
}

/// Hands a piece of an answer on, and waits no longer for whoever reads it. Returns whether all of
/// it went.
pub fn hand_on(to: &impl AsFd, piece: &[u8], until: Instant) -> bool {
    let mut left = piece;
    while !left.is_empty() {
        let ready = {
            let mut end = [PollFd::new(to.as_fd(), PollFlags::POLLOUT)];
            poll(&mut end, milliseconds(until.saturating_duration_since(Instant::now())))
        };
        match ready {
            Ok(0) if Instant::now() >= until => return false,
            Err(Errno::EINTR) | Ok(0) => continue,
            Err(_) => return false,
            Ok(_) => {}
        }
        // What is ready takes so much without a wait (pipe(7)).
        let (now, _) = left.split_at(left.len().min(PIPE_BUF));
        match write(to, now) {
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(_) => return false,
        }
    }
    true
}

fn unanswered(detail: String) -> Reason {
    Reason::new(Code::Internal, "the server cannot answer right now")
        .hint("ask the administrator of the server")
        .detail(detail)
        .remedy("see that `snapgate` is beside `snapgate-shell`, and what the kernel's log says")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_reader_who_reads_nothing() {
        let (reader, writer) = io::pipe().unwrap();
        let begun = Instant::now();
        assert!(!hand_on(&writer, &vec![b'x'; 1 << 20], begun + Duration::from_millis(200)));
        assert!(begun.elapsed() < Duration::from_secs(20));
        drop(reader);
        assert!(!hand_on(&writer, b"x", Instant::now() + Duration::from_secs(60)));
    }

    #[test]
    fn an_answer_that_takes_too_long_is_no_push_that_did() {
        let mut child = Command::new("sleep").arg("60").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let reason = hear(out, err, Duration::from_millis(50), &mut |_, _| Ok(true)).unwrap_err();
        assert_eq!(reason.code, Code::Slow);
        assert!(!reason.code.row().headline.contains("push"));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
