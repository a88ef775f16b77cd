//! The rsync of an export that writes: root's own, on this machine, with the terminal that asked
//! for it.
//!
//! No client may ever be the one who has it started.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::rsync::ENVIRONMENT;
use crate::decide::push::outcome::Ended;

/// Runs it to its end. Its messages go to standard error. It stays in this process's group, so that
/// an interrupt reaches both.
///
/// # Errors
/// When it does not start.
pub fn receive(program: &Path, words: &[OsString], directory: &Path) -> io::Result<Ended> {
    let mut command = Command::new(program);
    command.args(words).env_clear().envs(ENVIRONMENT).current_dir(directory).stdin(Stdio::null()).stdout(io::stderr());
    let status = command.status()?;
    Ok(status.code().map_or_else(|| Ended::Signal(status.signal().unwrap_or_default()), Ended::Exit))
}
