//! A program of the administrator's that is handed a text on standard input (`exec:`).

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};

use super::Patience;
use super::fork::listen;
use super::leader::Leader;
use crate::decide::push::outcome::Ended;
use crate::terms::limits::{GROUP_POLL, REACH_GRACE};

/// How a program ended that was handed this text, and the beginning of its complaint. It has no words,
/// and nothing of this program's environment. When its time is up its process group is killed, and so
/// is what it has left there when it ends.
///
/// # Errors
/// When it does not start, or something of it does not end.
pub fn hand(program: &Path, text: &[u8], limit: Duration, most: usize) -> io::Result<(Ended, Vec<u8>)> {
    let begun = Instant::now();
    // Not a pipe: who does not read it must not be waited for.
    let mut input = File::from(memfd_create("snapgate-told", MemfdFlags::CLOEXEC)?);
    input.write_all(text)?;
    input.rewind()?;
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/").process_group(0);
    command.stdin(Stdio::from(input)).stdout(Stdio::null()).stderr(writer);
    let child = Leader::of_child(&started(&mut command, begun)?)?;
    // What holds the way out here would be waited for.
    drop(command);
    let mut rest = reader.try_clone()?;
    let said = listen(reader, limit, most);
    // The rest is read and thrown away, so that a closed pipe does not end a talkative one.
    thread::Builder::new().spawn(move || io::copy(&mut rest, &mut io::sink()))?;
    let limit = limit.saturating_sub(begun.elapsed());
    let ended = child.wait_within(Patience { limit, idle: None, until: None, while_read: false, whole: true }, None, None)?;
    Ok((ended, said))
}

/// Starts it; a moment later where somebody has it open for writing, as who has just put it there, or a
/// child that is being made meanwhile (execve(2), ETXTBSY).
fn started(command: &mut Command, begun: Instant) -> io::Result<Child> {
    loop {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && begun.elapsed() < REACH_GRACE => thread::sleep(GROUP_POLL),
            started => return started,
        }
    }
}
