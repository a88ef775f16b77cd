//! Other ways out than mail: one event, one try. What to try and when to try again is `watch`'s to say.
//!
//! A try has a time limit as a whole, however slowly the other end goes about it. No answer is
//! followed elsewhere, and no more of it is read than how it went. What stands in a URL behind the
//! host, and a secret, is in no error.

mod http;
mod trusted;

use std::cell::OnceCell;
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::tls::RootCerts;

use self::http::{Client, Failed};
use crate::act::child;
use crate::decide::push::outcome::Ended;
use crate::terms::Url;
use crate::terms::limits::{EXEC_TIMEOUT, LEAST_SECRET, MAX_EXEC_WORDS, MAX_SECRET, REQUEST_TIMEOUT};
use crate::terms::text::{os_words, printable_path, printable_within};

/// Bytes of a program's complaint that are shown.
const SHOWN: usize = 300;

/// Why something was not taken. Each holds the words for the administrator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It cannot be reached or used at all, whatever it is told: nothing else would be taken now.
    #[error("{0}")]
    Unreachable(String),
    /// Not now, and maybe not this.
    #[error("{0}")]
    Later(String),
    /// Not this.
    #[error("{0}")]
    Refused(String),
}

/// The addresses of a host, in the order in which to try them, within a time limit.
pub type Addresses = fn(&str, Duration) -> Vec<IpAddr>;

/// What a pass needs for its requests, made when the first one needs it.
pub struct Office {
    ca_file: Option<PathBuf>,
    addresses: Addresses,
    limit: Duration,
    plain: OnceCell<Client>,
    tls: OnceCell<Result<Client, String>>,
}

impl Office {
    /// With certificates (PEM) to trust besides the system's.
    pub fn new(ca_file: Option<&Path>, addresses: Addresses) -> Self {
        Self::within(ca_file, addresses, REQUEST_TIMEOUT)
    }

    fn within(ca_file: Option<&Path>, addresses: Addresses, limit: Duration) -> Self {
        Self { ca_file: ca_file.map(Path::to_path_buf), addresses, limit, plain: OnceCell::new(), tls: OnceCell::new() }
    }

    /// Sends a text with these headers by POST. Without an error, the server has taken it.
    ///
    /// # Errors
    /// See [`NotTaken`].
    pub fn post(&self, url: &Url, headers: &[(&str, &str)], body: &str) -> Result<(), NotTaken> {
        let client = self.client(url).map_err(NotTaken::Unreachable)?;
        let status = client.post(url, headers, body).map_err(|failed| match failed {
            Failed::Before(what) => NotTaken::Unreachable(format!("{url}: {what}")),
            Failed::Meanwhile(what) => NotTaken::Later(format!("{url}: {what}")),
        });
        judge(status?, url)
    }

    fn client(&self, url: &Url) -> Result<&Client, String> {
        let client = |roots| http::client(roots, self.addresses, self.limit);
        if !url.is_tls() {
            return Ok(self.plain.get_or_init(|| client(RootCerts::from(Vec::new()))));
        }
        self.tls.get_or_init(|| http::trusted(self.ca_file.as_deref()).map(client)).as_ref().map_err(Clone::clone)
    }
}

/// What a status means (RFC 9110, 15).
fn judge(status: u16, url: &Url) -> Result<(), NotTaken> {
    match status {
        200..=299 => Ok(()),
        300..=399 => Err(NotTaken::Later(format!("{url} answered {status}, that it is elsewhere now: name the new place in its URL"))),
        // Too slow, too early, too many.
        408 | 425 | 429 => Err(NotTaken::Later(format!("{url} answered {status}"))),
        400..=499 => Err(NotTaken::Refused(format!("{url} answered {status}"))),
        _ => Err(NotTaken::Later(format!("{url} answered {status}"))),
    }
}

/// The first line of a file that only root can read, or whoever runs this.
///
/// # Errors
/// When there is none, or others may read it.
pub fn secret(file: &Path) -> Result<Vec<u8>, NotTaken> {
    let read = || -> Result<Vec<u8>, String> {
        let words = |error: std::io::Error| os_words(&error);
        // Without waiting, should somebody have put a pipe there.
        let opened: File = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(file).map_err(words)?;
        let found = opened.metadata().map_err(words)?;
        if !found.is_file() || ![0, nix::unistd::geteuid().as_raw()].contains(&found.uid()) || found.mode() & 0o077 != 0 {
            return Err("others may read it: `chown root` and `chmod 600` it, and write a new secret into it".to_owned());
        }
        let mut bytes = Vec::new();
        opened.take(MAX_SECRET + 1).read_to_end(&mut bytes).map_err(words)?;
        if bytes.len() as u64 > MAX_SECRET {
            return Err("it is too large".to_owned());
        }
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii().to_vec();
        if line.len() < LEAST_SECRET {
            return Err(format!("its first line has less than {LEAST_SECRET} letters: `openssl rand -hex 32` makes a secret"));
        }
        Ok(line)
    };
    read().map_err(|error| NotTaken::Unreachable(format!("`webhook_secret: {}` cannot be used: {error}", printable_path(file))))
}

/// Whether a program may be run.
///
/// # Errors
/// When it is none, or others may change it.
pub fn usable(program: &Path) -> Result<PathBuf, NotTaken> {
    trusted::program(program).map_err(|what| NotTaken::Unreachable(format!("`{}` {what}", printable_path(program))))
}

/// Runs the program of `exec:` with this text on its standard input.
///
/// # Errors
/// When others may change it, and when it does not start, does not end in time, or ends with another status than 0.
pub fn run(program: &Path, text: &str) -> Result<(), NotTaken> {
    run_within(program, text, EXEC_TIMEOUT)
}

fn run_within(program: &Path, text: &str, limit: Duration) -> Result<(), NotTaken> {
    let shown = printable_path(program);
    let failed = |what: &dyn Display| format!("`{shown}` {what}");
    let real = usable(program)?;
    let (ended, said) = child::hand(&real, text.as_bytes(), limit, MAX_EXEC_WORDS)
        .map_err(|error| NotTaken::Unreachable(failed(&format!("does not run: {}", os_words(&error)))))?;
    let said = printable_within(said.trim_ascii(), SHOWN);
    let said = if said.is_empty() { said } else { format!(": {said}") };
    match ended {
        Ended::Exit(0) => Ok(()),
        Ended::Exit(status) => Err(NotTaken::Later(failed(&format!("ended with status {status}{said}")))),
        Ended::Signal(signal) => Err(NotTaken::Later(failed(&format!("was ended by signal {signal}{said}")))),
        Ended::TooMuch(_) | Ended::Idle(_) | Ended::Closed | Ended::Gone | Ended::Deadline => {
            Err(NotTaken::Later(failed(&format!("took longer than {} s and was ended{said}", limit.as_secs()))))
        }
    }
}

#[cfg(test)]
mod tests;
