//! The local mailer, by its oldest interface: the message on standard input, recipients as words.
//!
//! lettre's own sendmail transport is not used: it has no time limit, passes the environment on,
//! and a mailer that hangs would hold the account's lock until the pass ends.

use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::NotSent;
use crate::terms::limits::MAX_SENDMAIL_WORDS;
use crate::terms::text::{printable, printable_path};

/// How often the mailer is looked after.
const TICK: Duration = Duration::from_millis(20);

/// How long its last words are waited for when it is gone: a child of its may still hold the pipe.
const LAST_WORDS: Duration = Duration::from_secs(1);

pub(super) fn send(program: &Path, from: &str, to: &[String], message: &[u8], limit: Duration) -> Result<(), NotSent> {
    // Local mailers take lines as the system ends them; CRLF would reach some mailboxes doubled.
    let message: Vec<u8> = message.iter().copied().filter(|byte| *byte != b'\r').collect();
    let mut child =
        start(program, from, to).map_err(|error| NotSent::Unreachable(format!("`{}` does not start: {error}", printable_path(program))))?;
    if let Some(mut stdin) = child.stdin.take() {
        // In a thread: a mailer that does not read must run into the limit, not hang this process.
        // It may also end without reading everything; its exit status then says what that means.
        let _ = std::thread::Builder::new().spawn(move || stdin.write_all(&message));
    }
    let words = child.stderr.take().map(listen);
    let status = wait(&mut child, limit)?;
    let words = words.and_then(|words| words.recv_timeout(LAST_WORDS).ok()).unwrap_or_default();
    judge(status, &words)
}

fn start(program: &Path, from: &str, to: &[String]) -> std::io::Result<Child> {
    Command::new(program)
        // `-i`: a single dot does not end the message. `--`: no address is taken for an option.
        .args(["-i", "-f", from, "--"])
        .args(to)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // A group of its own, so that what it starts can be ended with it.
        .process_group(0)
        .spawn()
}

fn listen(stderr: impl Read + Send + 'static) -> Receiver<String> {
    let (said, words) = mpsc::channel();
    let _ = std::thread::Builder::new().spawn(move || {
        let mut bytes = Vec::new();
        let mut stderr = stderr;
        let _ = (&mut stderr).take(MAX_SENDMAIL_WORDS).read_to_end(&mut bytes);
        let _ = said.send(printable(bytes.trim_ascii()));
        // Read and discard the rest, so that a closed pipe does not end a talkative mailer.
        let _ = std::io::copy(&mut stderr, &mut std::io::sink());
    });
    words
}

fn wait(child: &mut Child, limit: Duration) -> Result<ExitStatus, NotSent> {
    let deadline = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(TICK),
            Ok(None) => {
                if let Ok(group) = i32::try_from(child.id()) {
                    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
                }
                let _ = child.kill();
                let _ = child.wait();
                return Err(NotSent::Later(format!("sendmail took longer than {} s and was ended", limit.as_secs())));
            }
            Err(error) => return Err(NotSent::Later(format!("sendmail cannot be waited for: {error}"))),
        }
    }
}

/// What an exit status means (`sysexits.h`): these are about the mail, all others about the mailer.
fn judge(status: ExitStatus, words: &str) -> Result<(), NotSent> {
    const ABOUT_THE_MAIL: [i32; 5] = [64, 65, 67, 68, 77];
    let said = if words.is_empty() { String::new() } else { format!(": {words}") };
    match status.code() {
        Some(0) => Ok(()),
        Some(code) if ABOUT_THE_MAIL.contains(&code) => Err(NotSent::Refused(format!("sendmail ended with {code}{said}"))),
        Some(code) => Err(NotSent::Later(format!("sendmail ended with {code}{said}"))),
        None => Err(NotSent::Later(format!("sendmail was ended by signal {}{said}", status.signal().unwrap_or_default()))),
    }
}
