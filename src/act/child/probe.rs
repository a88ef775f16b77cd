//! Whether a process of an account can close itself in: tried with rsync's version, since nothing else tells for certain.

use std::os::fd::RawFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::Pid;

use super::Patience;
use super::rsync::{NotStarted, enclosed};
use crate::decide::cell::{self, Cell, View};
use crate::terms::limits::VERSION_TIMEOUT;

/// Whether the account with these numbers (this process's own by default) gets a file system of its own from the kernel.
///
/// # Errors
/// With what the kernel said, for the administrator.
pub fn can_have_a_view(program: &Path, account: Option<(u32, u32)>) -> Result<(), String> {
    try_out(program, account, Some(View { binds: cell::system_binds(program) }), |_, _| Ok(()))
}

/// Whether the kernel hands calls of such an rsync to `supervise`, and lets it look into that.
///
/// # Errors
/// With what the kernel said, for the administrator.
pub fn can_be_supervised(
    program: &Path,
    account: Option<(u32, u32)>,
    supervise: impl FnOnce(RawFd, Pid) -> Result<(), String>,
) -> Result<(), String> {
    try_out(program, account, None, supervise)
}

fn try_out(
    program: &Path,
    account: Option<(u32, u32)>,
    view: Option<View>,
    supervise: impl FnOnce(RawFd, Pid) -> Result<(), String>,
) -> Result<(), String> {
    let cell = Cell {
        limits: None,
        supervised: view.is_none(),
        view,
        grants: None,
        directory: PathBuf::from("/"),
        program: program.to_path_buf(),
        argv: vec!["--version".into()],
    };
    let started = enclosed(&cell, None, supervise, |command: &mut Command| {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((user, group)) = account {
            command.uid(user).gid(group);
        }
    });
    match started {
        Ok(mut child) => ends(&mut child),
        Err(NotStarted::NoView(what)) => Err(what),
        Err(NotStarted::Because(reason)) => Err(reason.detail),
    }
}

fn ends(child: &mut Child) -> Result<(), String> {
    let ended = super::wait_within(child, Patience { limit: VERSION_TIMEOUT, idle: None, whole: false }, None);
    ended.map(drop).map_err(|error| error.to_string())
}
