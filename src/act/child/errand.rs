//! A gate on this machine that serves one rsync of the administrator's, as sshd would have it serve
//! a client's.
//!
//! The rsync may be in a namespace of ids in which no gate could make its own. So a process waits
//! outside, and is handed the streams that rsync has made for its remote shell.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;
use rustix::net::RecvFlags;
use rustix::rand::{GetRandomFlags, getrandom};

use super::fork::forked;
use super::leader::{Leader, collect};
use super::orders::{received, say};
use crate::decide::push::outcome::exit_code;
use crate::terms::limits::{GROUP_POLL, MAX_COMMAND, MAX_MESSAGE, REACH_GRACE};
use crate::terms::text::{os_words, printable};

/// The process that waits. When dropped it is ended.
#[derive(Debug)]
pub struct Errand {
    _leader: Leader,
    /// Where it waits, for [`run`].
    pub name: String,
}

/// Starts it. It does `become_them` first, with the one descriptor that it needs, and then only waits for one of that account, to start
/// `program` with these `words` and what its rsync says as the client's command.
///
/// # Errors
/// When there is a second thread, or the kernel has no process or socket for it.
pub fn errand(program: &Path, words: &[OsString], become_them: impl FnOnce(RawFd) -> Result<(), String>) -> io::Result<Errand> {
    let mut random = [0; 16];
    getrandom(&mut random, GetRandomFlags::empty())?;
    let name = random.iter().fold("snapgate-".to_owned(), |name, byte| format!("{name}{byte:02x}"));
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    let pid = forked(move || {
        if become_them(listener.as_raw_fd()).is_ok() && nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL).is_ok() {
            let _ = serve(&listener, program, words);
        }
    })?;
    Ok(Errand { _leader: Leader::of(pid)?, name })
}

fn serve(listener: &UnixListener, program: &Path, words: &[OsString]) -> io::Result<()> {
    let mut channel = loop {
        let (channel, _) = listener.accept()?;
        // Whoever else finds the socket is nobody.
        if getsockopt(&channel, PeerCredentials)?.uid() == geteuid().as_raw() {
            break channel;
        }
    };
    let stream = || {
        let handed = received(&channel, RecvFlags::CMSG_CLOEXEC)?.and_then(|(_, handed)| handed);
        handed.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    };
    let streams: [OwnedFd; 3] = [stream()?, stream()?, stream()?];
    let mut length = [0; size_of::<u64>()];
    channel.read_exact(&mut length)?;
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_COMMAND {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut said = vec![0; length];
    channel.read_exact(&mut said)?;
    let [input, output, errors] = streams.map(Stdio::from);
    let mut command = gate(program, words, &said);
    let mut child = command.stdin(input).stdout(output).stderr(errors).spawn()?;
    // rsync sees the end of a stream when nobody else has it open.
    drop(command);
    let ended = child.wait()?;
    let status = ended.code().unwrap_or_else(|| 128 + ended.signal().unwrap_or_default());
    channel.write_all(&[u8::try_from(status).unwrap_or(u8::MAX)])
}

/// The gate, with what its rsync says as the client's command and nothing else of ours.
fn gate(program: &Path, words: &[OsString], said: &[u8]) -> Command {
    let mut command = Command::new(program);
    command.args(words).env_clear().env("SSH_ORIGINAL_COMMAND", OsStr::from_bytes(said)).current_dir("/");
    command
}

/// As the remote shell of an rsync: becomes such a gate. Returns only where that fails.
pub fn become_gate(program: &Path, words: &[OsString], command: &[OsString]) -> io::Error {
    gate(program, words, command.join(OsStr::new(" ")).as_bytes()).exec()
}

/// The same where it has to `become_them` first, with the one descriptor that it needs. It gets none of
/// this process's streams but rsync's two: its errors are passed on from here, printable, since they may
/// go to root's terminal. Returns the exit code.
///
/// # Errors
/// When there is a second thread, or the kernel has no process or pipe for it.
pub fn gate_as(
    program: &Path,
    words: &[OsString],
    command: &[OsString],
    become_them: impl FnOnce(RawFd) -> Result<(), String>,
) -> io::Result<u8> {
    let (reader, writer) = io::pipe()?;
    let said = command.join(OsStr::new(" "));
    let pid = forked(move || match become_them(writer.as_raw_fd()) {
        Ok(()) => {
            let error = gate(program, words, said.as_bytes()).stderr(writer).exec();
            let _ = writeln!(io::stderr(), "snapgate: starting the gate: {}", os_words(&error));
        }
        Err(what) => {
            let _ = writeln!(&writer, "snapgate: becoming the account: {what}");
        }
    })?;
    let lines = thread::spawn(move || {
        let mut lines = BufReader::new(reader);
        let mut line = Vec::new();
        while (&mut lines).take(MAX_MESSAGE as u64).read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            let text = printable(line.strip_suffix(b"\n").unwrap_or(&line));
            let _ = writeln!(io::stderr(), "{text}");
            line.clear();
        }
    });
    let ended = collect(pid);
    // Something that the gate has left behind may keep the pipe open.
    let begun = Instant::now();
    while !lines.is_finished() && begun.elapsed() < REACH_GRACE {
        thread::sleep(GROUP_POLL);
    }
    Ok(exit_code(ended?))
}

/// As the remote shell of an rsync: has its streams and its command handed over, and returns the
/// exit code.
///
/// # Errors
/// When nobody waits there, or goes without a word.
pub fn run(name: &str, command: &[OsString]) -> io::Result<u8> {
    let mut channel = UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
    let streams = [io::stdin().as_fd().as_raw_fd(), io::stdout().as_fd().as_raw_fd(), io::stderr().as_fd().as_raw_fd()];
    for stream in streams {
        say(&channel, 0, Some(stream))?;
    }
    let said = command.join(OsStr::new(" ")).into_vec();
    channel.write_all(&[&(said.len() as u64).to_le_bytes()[..], &said].concat())?;
    let mut status = [0];
    channel.read_exact(&mut status)?;
    Ok(status[0])
}
