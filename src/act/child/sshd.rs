//! Asks sshd what it does with a connection (`sshd -T`, sshd(8)): it reads its own settings best.

use std::path::Path;
use std::process::Command;

use super::system::answered;
use crate::terms::limits::MAX_SSHD_ANSWER;

/// Where the program is. It runs its own file again and needs the whole path.
const PROGRAMS: [&str; 4] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd", "/opt/sbin/sshd"];

/// Its answer for a connection, with the machine's settings or those of a file; `None` without an
/// sshd.
///
/// # Errors
/// With its complaint, printable.
pub fn ask_sshd(settings: Option<&Path>, connection: &str) -> Result<Option<Vec<u8>>, String> {
    let Some(program) = PROGRAMS.into_iter().find(|program| Path::new(program).is_file()) else { return Ok(None) };
    let mut command = Command::new(program);
    command.args(["-T", "-C", connection]);
    if let Some(file) = settings {
        command.arg("-f").arg(file);
    }
    answered(command, MAX_SSHD_ANSWER).map(Some)
}
