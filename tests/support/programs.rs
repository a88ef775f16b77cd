//! The programs under test. Cargo builds them with every test and benchmark, in the directory above theirs.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::run::must;

/// The administrator's.
pub const SNAPGATE: Program = Program::Snapgate;

/// The gate, which sshd starts.
pub const GATE: Program = Program::Gate;

/// A program under test. It can be used as its path.
#[derive(Debug, Clone, Copy)]
pub enum Program {
    /// See [`SNAPGATE`].
    Snapgate,
    /// See [`GATE`].
    Gate,
}

static PLACES: LazyLock<[PathBuf; 2]> = LazyLock::new(|| ["snapgate", "snapgate-shell"].map(beside));

/// A program beside the directory of this one (`target/…/debug/deps/gate-0123`).
fn beside(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join(name);
    assert!(path.exists(), "{}: `cargo test` builds it", path.display());
    path
}

impl AsRef<Path> for Program {
    fn as_ref(&self) -> &Path {
        let [snapgate, gate] = &*PLACES;
        match self {
            Self::Snapgate => snapgate,
            Self::Gate => gate,
        }
    }
}

impl AsRef<OsStr> for Program {
    fn as_ref(&self) -> &OsStr {
        AsRef::<Path>::as_ref(self).as_os_str()
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        AsRef::<Path>::as_ref(self).display().fmt(f)
    }
}

/// The directory of the whole project.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}

/// Copies a program. Another process does it: a descriptor open for writing here would be inherited by what some parallel test is
/// just starting, and until that has become its program nobody could run the copy (ETXTBSY, execve(2)).
pub fn copy(from: &Path, to: &Path) {
    must(Command::new("cp").arg(from).arg(to));
}

/// Writes a script that can be run, in the same way.
pub fn script(path: &Path, text: &str) {
    let mut draft = path.to_owned().into_os_string();
    draft.push(".text");
    fs::write(&draft, text).unwrap();
    must(Command::new("install").args(["-m", "0755"]).arg(&draft).arg(path));
    fs::remove_file(draft).unwrap();
}
