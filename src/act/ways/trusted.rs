//! Whether a program that root is to run is root's alone: the file, and each directory that it is in.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::terms::text::{os_words, printable_path};

/// A directory in which everybody changes only what is theirs (chmod(2)).
const STICKY: u32 = 0o1000;

/// The program itself, links followed.
///
/// # Errors
/// When it is none, or somebody else may change it, in words that go on from its name.
pub(super) fn program(path: &Path) -> Result<PathBuf, String> {
    let real = fs::canonicalize(path).map_err(|error| format!("is not to be found: {}", os_words(&error)))?;
    for place in real.ancestors() {
        let found = fs::metadata(place).map_err(|error| format!("cannot be looked at: {}", os_words(&error)))?;
        let is_program = place == real;
        if is_program && (!found.is_file() || found.mode() & 0o111 == 0) {
            return Err("is no program: `chmod +x` it, or name another in exec:".to_owned());
        }
        let is_theirs = ![0, geteuid().as_raw()].contains(&found.uid());
        let others_write = found.mode() & 0o022 != 0 && (is_program || found.mode() & STICKY == 0);
        if is_theirs || others_write {
            let place = printable_path(place);
            return Err(format!("is not run, since others may change `{place}`: `chown root` and `chmod go-w` that"));
        }
    }
    Ok(real)
}
