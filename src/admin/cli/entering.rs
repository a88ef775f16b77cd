//! The words of `keys`, `import` and `rsh`: ways in beside sshd's files of keys.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::decide::keys::is_an_account;
use crate::terms::ClientName;

/// What sshd asks.
#[derive(Debug, Args)]
pub(super) struct Keys {
    /// The account that somebody logs in to (`%u`)
    pub(super) account: OsString,
    /// The type of the key (`%t`)
    #[arg(value_name = "TYPE")]
    pub(super) kind: OsString,
    /// The key in base64 (`%k`)
    pub(super) key: OsString,
}

/// What to propose policies from.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// What the keys force
    pub(super) what: Former,
    /// The file: lines of keys; of authprogs its rules
    pub(super) file: PathBuf,
    /// With authprogs, the lines of the keys that its rules name
    #[arg(long, value_name = "FILE")]
    pub(super) keys: Option<PathBuf>,
    /// The account that the keys are for
    #[arg(long, value_name = "ACCOUNT", value_parser = account)]
    pub(super) user: Option<String>,
    /// Write the proposals into that directory, for you to read
    #[arg(long, value_name = "DIR")]
    pub(super) write: Option<PathBuf>,
}

/// What rsync starts in the place of ssh.
#[derive(Debug, Args)]
pub(super) struct Rsh {
    /// The client
    #[arg(long, value_name = "NAME")]
    pub(super) client: ClientName,
    /// A host, which can have any name, and what rsync would run there
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pub(super) command: Vec<OsString>,
}

/// What let clients in before. Each is read by what its line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Former {
    /// rsync's rrsync
    Rrsync,
    /// `rsync --server` with fixed options
    Rsync,
    /// A script that lets any `rsync --server` through
    ValidateRsync,
    /// The rules of authprogs, authprogs.yaml
    Authprogs,
}

/// A unix account, as a policy may name it.
fn account(text: &str) -> Result<String, String> {
    if is_an_account(text) { Ok(text.to_owned()) } else { Err("it is not the name of a unix account".to_owned()) }
}
