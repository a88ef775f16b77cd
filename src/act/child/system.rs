//! Programs of the system that are asked, each for an answer within a time: `sshd -T`, `systemctl`,
//! `timedatectl`. Whatever holds one up, nobody waits for it for ever.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Patience;
use super::fork::listen;
use super::leader::Leader;
use crate::decide::push::outcome::Ended;
use crate::terms::limits::{LOOK_TIMEOUT, MAX_SYSTEM_ANSWER};
use crate::terms::text::printable_within;

const SYSTEMCTL: &str = "/usr/bin/systemctl";

const TIMEDATECTL: &str = "/usr/bin/timedatectl";

/// Where systemd says that it runs (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";

/// Bytes of a complaint that are shown.
const SHOWN: usize = 300;

/// Whether systemd looks after this machine.
#[must_use]
pub fn has_systemd() -> bool {
    Path::new(BOOTED).is_dir()
}

/// What `systemctl` answers to these words.
///
/// # Errors
/// With its complaint, printable.
pub fn systemctl(words: &[&str]) -> Result<Vec<u8>, String> {
    let mut command = Command::new(SYSTEMCTL);
    command.args(["--no-pager", "--no-ask-password"]).args(words);
    answered(command, MAX_SYSTEM_ANSWER)
}

/// What `timedatectl show` answers.
///
/// # Errors
/// With its complaint, printable.
pub fn timedatectl() -> Result<Vec<u8>, String> {
    let mut command = Command::new(TIMEDATECTL);
    command.args(["--no-pager", "show"]);
    answered(command, MAX_SYSTEM_ANSWER)
}

/// The answer of a program with an emptied environment, if it ends well.
pub(super) fn answered(mut command: Command, most: usize) -> Result<Vec<u8>, String> {
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/").process_group(0).stdin(Stdio::null());
    match answered_within(command, LOOK_TIMEOUT, most) {
        Ok((Ended::Exit(0), answer)) => Ok(answer),
        Ok((_, answer)) => Err(printable_within(String::from_utf8_lossy(&answer).trim().as_bytes(), SHOWN)),
        Err(error) => Err(error.to_string()),
    }
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
