//! Asks sshd what it does with a connection (`sshd -T`, sshd(8)): it reads its own settings best.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Patience;
use super::fork::listen;
use super::leader::Leader;
use crate::decide::push::outcome::Ended;
use crate::terms::limits::{LOOK_TIMEOUT, MAX_SSHD_ANSWER};
use crate::terms::text::printable_within;

/// Where the program is. It runs its own file again and needs the whole path.
const PROGRAMS: [&str; 4] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd", "/opt/sbin/sshd"];

/// Bytes of its complaint that are shown.
const SHOWN: usize = 300;

/// Its answer for a connection, with the machine's settings or those of a file; `None` without an
/// sshd.
///
/// # Errors
/// With its complaint, printable.
pub fn ask_sshd(settings: Option<&Path>, connection: &str) -> Result<Option<Vec<u8>>, String> {
    let Some(program) = PROGRAMS.into_iter().find(|program| Path::new(program).is_file()) else { return Ok(None) };
    let mut command = Command::new(program);
    command.args(["-T", "-C", connection]);
    if let Some(file) = settings {
        command.arg("-f").arg(file);
    }
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/").process_group(0).stdin(Stdio::null());
    answered_within(command, LOOK_TIMEOUT, MAX_SSHD_ANSWER).map_err(|error| error.to_string()).and_then(|(ended, answer)| match ended {
        Ended::Exit(0) => Ok(Some(answer)),
        _ => Err(printable_within(String::from_utf8_lossy(&answer).trim().as_bytes(), SHOWN)),
    })
}

/// How a program ended, and what it said on both of its ways out.
pub(super) fn answered_within(mut command: Command, limit: Duration, most: usize) -> io::Result<(Ended, Vec<u8>)> {
    let (reader, writer) = io::pipe()?;
    // The answer and the complaint: there is one or the other.
    command.stdout(writer.try_clone()?).stderr(writer);
    let child = Leader::of_child(&command.spawn()?)?;
    // What holds the way out here would be waited for.
    drop(command);
    let answer = listen(reader, limit, most);
    let ended = child.wait_within(Patience { limit, idle: None, until: None, while_read: false, whole: false }, None, None)?;
    Ok((ended, answer))
}
