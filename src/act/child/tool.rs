//! The machine's own programs that change accounts (useradd(8) and its like), for the administrator.
//!
//! Each is started by its whole path with an emptied environment, and no shell. Words of the
//! administrator's come behind `--` or as an option's value.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::system::answered_within;
use crate::decide::push::outcome::Ended;
use crate::terms::limits::{MAX_TOOL_ANSWER, TOOL_TIMEOUT};
use crate::terms::text::{printable_path, printable_within};

/// Where such programs are.
const DIRECTORIES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Bytes of its complaint that are shown.
const SHOWN: usize = 300;

/// The gate, which is beside this program.
///
/// # Errors
/// When it is not there.
pub fn gate() -> Result<PathBuf, String> {
    let gate = std::env::current_exe().map(|program| program.with_file_name("snapgate-shell"));
    let gate = gate.map_err(|error| format!("this program cannot be found: {error}"))?;
    if gate.is_file() { Ok(gate) } else { Err(format!("{} is missing\ninstall it beside `snapgate`", printable_path(&gate))) }
}

/// Runs a program of the machine's to its end, and returns what it printed.
///
/// # Errors
/// When there is none, it takes too long, or it says no; with its complaint, printable.
pub fn tool(name: &str, words: &[&OsStr]) -> Result<Vec<u8>, String> {
    let program = DIRECTORIES.iter().map(|directory| Path::new(directory).join(name)).find(|program| program.is_file());
    let Some(program) = program else { return Err(format!("`{name}` is not installed")) };
    let mut command = Command::new(program);
    command.args(words).env_clear().env("PATH", DIRECTORIES.join(":")).current_dir("/").process_group(0).stdin(Stdio::null());
    match answered_within(command, TOOL_TIMEOUT, MAX_TOOL_ANSWER) {
        Err(error) => Err(format!("`{name}`: {error}")),
        Ok((Ended::Exit(0), answer)) => Ok(answer),
        Ok((ended, answer)) => {
            let said = printable_within(String::from_utf8_lossy(&answer).trim().as_bytes(), SHOWN);
            Err(if said.is_empty() { format!("`{name}` ended: {ended:?}") } else { format!("`{name}`: {said}") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_yes_or_no_and_has_nothing_of_this_one_s() {
        let words = |words: &[&str]| words.iter().map(OsStr::new).map(ToOwned::to_owned).collect::<Vec<_>>();
        let ran = |name: &str, all: &[&str]| tool(name, &words(all).iter().map(AsRef::as_ref).collect::<Vec<_>>());
        assert_eq!(ran("true", &[]), Ok(Vec::new()));
        assert!(ran("false", &[]).unwrap_err().starts_with("`false` ended"));
        assert!(ran("ls", &["/no/such/place"]).unwrap_err().starts_with("`ls`: "));
        assert_eq!(ran("no-such-program", &[]), Err("`no-such-program` is not installed".to_owned()));
        assert_eq!(ran("env", &[]), Ok(b"PATH=/usr/sbin:/sbin:/usr/bin:/bin\n".to_vec()));
    }
}
