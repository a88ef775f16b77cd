//! rsync's version, asked of the program once and cached in the repository while the file is the
//! same: starting it takes longer than everything else before a push.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::Patience;
use super::leader::Leader;
use crate::decide::push::outcome::Ended;
use crate::decide::rsync::argv::Version;
use crate::terms::limits::{MAX_NOTE, MAX_VERSION_ANSWER, VERSION_TIMEOUT};
use crate::terms::text::printable_path;
use crate::terms::{Code, Reason};

/// What is remembered. All but the version says which file it was.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
    version: Version,
}

/// The version of the rsync at `program`; `cache` is read, and written if the answer was not there.
///
/// # Errors
/// With [`Code::Rsync`] when there is no such program or it does not answer like rsync.
pub fn version(program: &Path, cache: Option<&Path>) -> Result<Version, Reason> {
    let found = fs::metadata(program).map_err(|error| broken(program, &error.to_string()))?;
    let now = |version: Version| Remembered {
        device: found.dev(),
        inode: found.ino(),
        size: found.size(),
        changed: (found.ctime(), found.ctime_nsec()),
        version,
    };
    if let Some(remembered) = cache.and_then(remembered).filter(|remembered| now(remembered.version) == *remembered) {
        return Ok(remembered.version);
    }
    let version = ask(program)?;
    if let (Some(cache), Ok(json)) = (cache, serde_json::to_vec(&now(version))) {
        // A cache that cannot be written only costs the next connection a question.
        let _ = fs::write(cache, json);
    }
    Ok(version)
}

/// The cache's content; one that is too long was not written here, and counts as none.
fn remembered(cache: &Path) -> Option<Remembered> {
    let mut bytes = Vec::new();
    let read = fs::File::open(cache).ok()?.take(MAX_NOTE + 1).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok().filter(|_| read as u64 <= MAX_NOTE)
}

fn ask(program: &Path) -> Result<Version, Reason> {
    let mut command = Command::new(program);
    command.arg("--version").env_clear().process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| broken(program, &error.to_string()))?;
    let output = child.stdout.take();
    let patience = Patience { limit: VERSION_TIMEOUT, idle: None, until: None, while_read: false, whole: false };
    let ended = Leader::of_child(&child)
        .and_then(|child| child.wait_within(patience, None, None))
        .map_err(|error| broken(program, &error.to_string()))?;
    if ended != Ended::Exit(0) {
        return Err(broken(program, "`rsync --version` failed"));
    }
    let mut text = String::new();
    if let Some(output) = output {
        // Shorter than a pipe's buffer, so it is all there although the program has ended.
        let _ = output.take(MAX_VERSION_ANSWER).read_to_string(&mut text);
    }
    Version::parse(&text).ok_or_else(|| broken(program, "it does not answer `--version` as rsync does"))
}

fn broken(program: &Path, what: &str) -> Reason {
    Reason::of_the_server(Code::Rsync, format!("rsync at `{}`: {what}", printable_path(program)))
        .remedy("install rsync, or set `rsync:` in the site file to its path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_that_is_longer_than_any_that_was_written_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("rsync.json");
        fs::write(&cache, r#"{"device":1,"inode":2,"size":3,"changed":[4,5],"version":[3,5,0]}"#).unwrap();
        assert_eq!(remembered(&cache).map(|found| found.version), Some(Version(3, 5, 0)));
        let written = fs::read_to_string(&cache).unwrap();
        let padding = " ".repeat(5000);
        for longer in [written.replace("\"version\"", &format!("{padding}\"version\"")), format!("{written}{padding}")] {
            fs::write(&cache, longer).unwrap();
            assert!(remembered(&cache).is_none());
        }
    }

    #[test]
    fn of_a_long_answer_the_beginning_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("rsync");
        // A byte that is not UTF-8: with it the answer would be no text.
        let answers = |before: u64| {
            let script = format!("#!/bin/sh\nprintf 'rsync  version 3.5.0 '; head -c {before} /dev/zero; printf '\\377'\n");
            support::programs::script(&program, &script);
            ask(&program).ok()
        };
        assert_eq!(answers(100), None);
        assert_eq!(answers(MAX_VERSION_ANSWER), Some(Version(3, 5, 0)));
    }
}
