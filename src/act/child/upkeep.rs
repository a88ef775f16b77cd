//! Starts this program again for one client's upkeep. Whoever works on a client's files becomes its
//! account meanwhile, which is for a whole process: so each client has a process of its own.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::terms::ClientName;
use crate::terms::limits::MAX_TOLD;

/// The hidden word.
pub const ONE: &str = "maintain-one";

/// Runs `snapgate --config DIR maintain-one CLIENT`, and returns what it printed. It keeps `lock`
/// open, so that this is held until the last one of them has ended, whatever becomes of this
/// process.
///
/// # Errors
/// When it cannot be started, or ends in another way than by itself.
pub fn upkeep(directory: &Path, client: &ClientName, dry_run: bool, lock: &File) -> io::Result<Vec<u8>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--config").arg(std::path::absolute(directory)?).args([ONE, client.as_str()]).args(dry_run.then_some("--dry-run"));
    command.env_clear().current_dir("/").stdin(lock.try_clone()?).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut said = Vec::new();
    let read = child.stdout.take().map_or(Ok(0), |out| out.take(MAX_TOLD as u64).read_to_end(&mut said));
    let status = child.wait()?;
    read?;
    if status.success() { Ok(said) } else { Err(io::Error::other(format!("it ended with {status}"))) }
}
