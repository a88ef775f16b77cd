//! What mends something on this machine, as a value: `check` shows it, asks for it, and does it by
//! the same words. There is none for what takes a decision: no file is written, none removed. And
//! none has an effect on whom content is believed from or shown to: who gets a directory gets what
//! is in it, and a file that becomes root's is believed whatever somebody has written there.

use std::fmt;
use std::path::PathBuf;

use super::text::printable;

/// A change that takes no decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Permission bits.
    Mode {
        /// Of what.
        path: PathBuf,
        /// All of them.
        mode: u32,
    },
    /// An empty directory of root's that becomes an account's.
    Give {
        /// Which.
        path: PathBuf,
        /// Whose, by number.
        user: u32,
    },
    /// A unit of systemd that is to run, now and from the next start on.
    Enable {
        /// Its name.
        unit: &'static str,
    },
}

/// Whether nobody but root has had the right to write a file, as its owner and mode are now. What
/// somebody else could write is no root's word, whoever owns it later.
pub fn is_written_by_root_alone(owner: u32, group: u32, mode: u32) -> bool {
    owner == 0 && mode & 0o002 == 0 && (mode & 0o020 == 0 || group == 0)
}

/// As an administrator would type it.
impl fmt::Display for Remedy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |path: &PathBuf| shell_words::quote(&printable(path.as_os_str().as_encoded_bytes())).into_owned();
        match self {
            Self::Mode { path, mode } => write!(out, "chmod {mode:04o} {}", quoted(path)),
            Self::Give { path, user } => write!(out, "chown {user} {}", quoted(path)),
            Self::Enable { unit } => write!(out, "systemctl enable --now {unit}"),
        }
    }
}
