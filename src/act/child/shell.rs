//! An account's shell, started as sshd would start it, to see what it prints of its own accord.

use std::io::PipeWriter;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::decide::host::login::{MARK, NOWHERE};
use crate::terms::Login;

/// Becomes the shell of this process's account, to print [`MARK`] into `out` and nothing else.
/// Returns if there is no such shell.
pub fn become_shell(account: &str, login: &Login, out: PipeWriter) {
    let home = if login.home.is_dir() { login.home.as_path() } else { Path::new("/") };
    let mut command = Command::new(&login.shell);
    command.arg("-c").arg(format!("echo {MARK}")).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir(home);
    command.env("HOME", &login.home).env("USER", account).env("LOGNAME", account).env("SHELL", &login.shell);
    // By these some shells know that they are started by sshd, and read their files for it.
    command.env("SSH_CONNECTION", format!("{NOWHERE} 1 127.0.0.1 22")).env("SSH_CLIENT", format!("{NOWHERE} 1 22"));
    drop(command.stdin(Stdio::null()).stdout(out).stderr(Stdio::null()).exec());
}
