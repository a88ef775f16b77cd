//! Whether a process of an account can close itself in: tried with rsync's version, since nothing else tells for certain.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::Patience;
use super::rsync::{NotStarted, enclosed};
use crate::decide::cell::{self, Cell, View};
use crate::terms::limits::VERSION_TIMEOUT;

/// Whether the account with these numbers (this process's own by default) gets a file system of its own from the kernel.
///
/// # Errors
/// With what the kernel said, for the administrator.
pub fn can_have_a_view(program: &Path, account: Option<(u32, u32)>) -> Result<(), String> {
    let cell = Cell {
        view: Some(View { binds: cell::system_binds(program) }),
        grants: None,
        supervised: false,
        directory: PathBuf::from("/"),
        program: program.to_path_buf(),
        argv: vec!["--version".into()],
    };
    let started = enclosed(
        &cell,
        None,
        |_, _| Ok(()),
        |command: &mut Command| {
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            if let Some((user, group)) = account {
                command.uid(user).gid(group);
            }
        },
    );
    match started {
        Ok(mut child) => ends(&mut child),
        Err(NotStarted::NoView(what)) => Err(what),
        Err(NotStarted::Because(reason)) => Err(reason.detail),
    }
}

fn ends(child: &mut Child) -> Result<(), String> {
    let ended = super::wait_within(child, Patience { limit: VERSION_TIMEOUT, idle: None });
    ended.map(drop).map_err(|error| error.to_string())
}
