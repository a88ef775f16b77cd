//! What mends something on this machine, as a value: `check` shows it, asks for it, and does it by
//! the same words. There is none for what takes a decision: no file is written, none removed.

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
    /// An owner.
    Owner {
        /// Of what.
        path: PathBuf,
        /// By number.
        user: u32,
    },
    /// A unit of systemd that is to run, now and from the next start on.
    Enable {
        /// Its name.
        unit: &'static str,
    },
}

/// As an administrator would type it.
impl fmt::Display for Remedy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |path: &PathBuf| shell_words::quote(&printable(path.as_os_str().as_encoded_bytes())).into_owned();
        match self {
            Self::Mode { path, mode } => write!(out, "chmod {mode:04o} {}", quoted(path)),
            Self::Owner { path, user } => write!(out, "chown {user} {}", quoted(path)),
            Self::Enable { unit } => write!(out, "systemctl enable --now {unit}"),
        }
    }
}
