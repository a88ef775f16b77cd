//! The rsync of a restore that writes: that of whoever restores, on this machine, with the terminal
//! that asked for it.
//!
//! No client may ever be the one who has it started.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::rsync::ENVIRONMENT;
use crate::decide::push::outcome::Ended;
use crate::terms::limits::MAX_SAID;

/// Runs it to its end, in a directory. `hear` gets each line that it says and answers whether it knows what it
/// means; the others go to standard error, as its errors do. It stays in this process's group, so
/// that an interrupt reaches both, and has `held` open for as long as it writes.
///
/// # Errors
/// When it does not start.
pub fn receive(
    program: &Path,
    words: &[OsString],
    directory: &Path,
    held: Option<File>,
    mut hear: impl FnMut(&str) -> bool,
) -> io::Result<Ended> {
    let mut command = Command::new(program);
    command.args(words).env_clear().envs(ENVIRONMENT).current_dir(directory).stdout(Stdio::piped());
    // It reads nothing there. The lock is free when the last of its processes is gone.
    command.stdin(held.map_or_else(Stdio::null, Stdio::from));
    let mut child = command.spawn()?;
    drop(command);
    if let Some(said) = child.stdout.take() {
        lines(said, |line| {
            if !hear(line) {
                let _ = writeln!(io::stderr(), "{line}");
            }
        });
    }
    let status = child.wait()?;
    Ok(status.code().map_or_else(|| Ended::Signal(status.signal().unwrap_or_default()), Ended::Exit))
}

/// Runs the rsync of a drill to its end. It says nothing to anybody but `said`.
///
/// # Errors
/// When it does not start.
#[cfg(feature = "admin")]
pub fn drilled(program: &Path, words: &[OsString], directory: &Path, held: File, said: File) -> io::Result<Ended> {
    let mut command = Command::new(program);
    command.args(words).env_clear().envs(ENVIRONMENT).current_dir(directory);
    command.stdin(held).stdout(Stdio::null()).stderr(said);
    let status = command.status()?;
    Ok(status.code().map_or_else(|| Ended::Signal(status.signal().unwrap_or_default()), Ended::Exit))
}

/// Each line that comes, up to [`MAX_SAID`] bytes of it. What says how far something is ends with a
/// carriage return.
fn lines(mut said: impl Read, mut each: impl FnMut(&str)) {
    let (mut room, mut line) = ([0; 4096], Vec::new());
    while let Ok(length @ 1..) = said.read(&mut room) {
        for byte in room.iter().take(length) {
            match byte {
                b'\n' | b'\r' => each(&String::from_utf8_lossy(&std::mem::take(&mut line))),
                byte if line.len() < MAX_SAID => line.push(*byte),
                _ => {}
            }
        }
    }
    if !line.is_empty() {
        each(&String::from_utf8_lossy(&line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_where_rsync_ends_one_and_none_is_without_end() {
        let mut heard = Vec::new();
        let long = [vec![b'x'; MAX_SAID + 5], b"\nlast".to_vec()].concat();
        lines(&[&b"one\r  2 50%\rthree\n"[..], &long].concat()[..], |line| heard.push(line.to_owned()));
        assert_eq!(heard, ["one", "  2 50%", "three", &"x".repeat(MAX_SAID), "last"]);
    }
}
