//! Where a word of a command leads: to the gate, to something that may start it, or elsewhere.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc;

use crate::decide::host::login::{GATE, Leads};
use crate::terms::limits::MAX_SCRIPT;

/// Where sshd looks for programs without a path (`_PATH_STDPATH`, and what Debian and others put
/// before it).
const PATH: [&str; 5] = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// The identity of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

/// The gate's file, beside this program's. Call it before this process becomes another account's,
/// which may not look.
pub fn the_gate() -> Option<Identity> {
    let own = fs::read_link("/proc/self/exe").ok()?;
    identity(&own.with_file_name(GATE))
}

/// Whether that is this program's own file.
pub fn is_this_program(path: &Path) -> bool {
    let own = fs::read_link("/proc/self/exe").ok().and_then(|own| identity(&own));
    own.is_some() && identity(path) == own
}

fn identity(path: &Path) -> Option<Identity> {
    let found = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some(Identity { device: found.dev(), inode: found.ino() })
}

/// Where a program leads that is named by its path, or by a name alone.
pub fn leads(word: &str, own: Option<Identity>) -> Leads {
    let Some(path) = place(word) else { return Leads::Elsewhere };
    match identity(&path) {
        None => return Leads::Elsewhere,
        Some(found) if Some(found) == own => return Leads::ToTheGate,
        Some(_) => {}
    }
    // Another version of the gate, or a script that starts it.
    let is_named = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"snapgate"));
    if is_named || script(&path).is_some_and(|text| text.windows(8).any(|part| part == b"snapgate")) {
        return Leads::Perhaps;
    }
    Leads::Elsewhere
}

fn place(word: &str) -> Option<PathBuf> {
    match word.contains('/') {
        true => Some(PathBuf::from(word)).filter(|path| path.is_absolute()),
        false => PATH.iter().map(|directory| Path::new(directory).join(word)).find(|path| path.is_file()),
    }
}

/// The beginning of a script.
fn script(path: &Path) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    // Its owner may replace it at any moment with something that blocks.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    file.take(MAX_SCRIPT).read_to_end(&mut text).ok()?;
    Some(text).filter(|text| text.starts_with(b"#!"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_program_is_the_gate_by_its_file_and_by_no_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let own = identity(&std::env::current_exe().unwrap());
        assert!(own.is_some());
        symlink(std::env::current_exe().unwrap(), at("rrsync")).unwrap();
        assert_eq!(leads(&at("rrsync"), own), Leads::ToTheGate);
        assert_eq!(leads(&at("rrsync"), None), Leads::Elsewhere);
        fs::remove_file(at("rrsync")).unwrap();
        fs::write(at("rrsync"), "#!/usr/bin/env python3\nimport os\n").unwrap();
        assert_eq!(leads(&at("rrsync"), own), Leads::Elsewhere);
        fs::write(at("wrapper"), "#!/bin/sh\nexec nice /usr/bin/snapgate-shell\n").unwrap();
        fs::write(at("snapgate-1.0"), b"\x7fELF").unwrap();
        assert_eq!((leads(&at("wrapper"), own), leads(&at("snapgate-1.0"), own)), (Leads::Perhaps, Leads::Perhaps));
        for other in ["internal-sftp", "sh", "serve", "/no/such/snapgate", "/dev/null", "/", "", "./x", "-c"] {
            assert_eq!(leads(other, own), Leads::Elsewhere, "{other}");
        }
    }
}
