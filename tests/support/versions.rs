//! Servers and clients with an rsync that is not the machine's own: `tests/support/older.sh` puts them beneath `target/rsync`.
//!
//! `SERVER_RSYNC=/a/path cargo test --test attack` has every gate run that rsync, where a test's site file names no other, and
//! `CLIENT_RSYNC` every client. The suite itself runs some of its tests a second time so, with 3.2.7.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use snapgate::decide::rsync::argv::{DEFENCES, Version};

use crate::{root, skip};

/// Names the server's rsync.
pub const SERVER: &str = "SERVER_RSYNC";

/// Names the client's.
pub const CLIENT: &str = "CLIENT_RSYNC";

/// The release that many servers have, and that the suite uses.
pub const USUAL: Version = Version(3, 2, 7);

/// The rsync that a variable names.
fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty())
}

/// The server's rsync, if it is not the machine's.
pub fn server() -> Option<PathBuf> {
    named(SERVER)
}

/// What clients are started by.
pub fn client() -> PathBuf {
    named(CLIENT).unwrap_or_else(|| "rsync".into())
}

/// The release of a program, if it runs and is an rsync.
pub fn version(program: &Path) -> Option<Version> {
    let said = Command::new(program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    Version::parse(String::from_utf8_lossy(&said.stdout).lines().next()?)
}

/// The release of the server's rsync, if that is one without the defences that 3.5.0 has.
pub fn old_server() -> Option<Version> {
    server().map(|program| version(&program).unwrap_or_else(|| panic!("{}: no rsync", program.display()))).filter(|found| *found < DEFENCES)
}

/// Whether clients are of a release before this one.
pub fn older_client(than: Version) -> bool {
    named(CLIENT).and_then(|program| version(&program)).is_some_and(|found| found < than)
}

/// One of the rsyncs beneath `target/rsync`, if it is there and runs.
pub fn unpacked(of: Version) -> Option<PathBuf> {
    let program = root().join(format!("target/rsync/{of}/usr/bin/rsync"));
    (version(&program)? == of).then_some(program)
}

/// Runs tests of this program once more, in a process of their own, the variable naming rsync 3.2.7. Each has to be there and
/// to pass. Says so where there is no such rsync.
#[track_caller]
pub fn again(variable: &str, tests: &[&str]) {
    if server().is_some() || named(CLIENT).is_some() {
        return;
    }
    match unpacked(USUAL) {
        Some(program) => rerun(variable, program, tests),
        None => skip(&format!("no rsync {USUAL} in target/rsync: `make test` puts it there where root and apt can")),
    }
}

/// Runs tests of this program once more, in a process of their own, with this variable. Each has to be there and to pass.
#[track_caller]
pub fn rerun(variable: &str, value: impl AsRef<OsStr>, tests: &[&str]) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--test-threads", "4", "--exact"]).args(tests).env(variable, value);
    let ran = command.stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    let all = format!("test result: ok. {} passed", tests.len());
    assert!(said.contains(&all), "{said}{}", String::from_utf8_lossy(&ran.stderr));
}
