//! The cell that rsync runs in: what it sees, what it may do there, and what it is started with. Decided here, printed as
//! words for the process that closes itself in and then becomes rsync, and read back by it.
//!
//! No word of a client's may ever decide what a cell opens.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The word that makes this program close itself in and become rsync.
pub const WORD: &str = "enclose";

/// What holds rsync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confinement {
    /// A file system of its own, and the jail in it.
    View,
    /// The jail alone: where the kernel gives an account no namespaces.
    Jail,
    /// Nothing: the site file says `jail: off`.
    None,
}

/// One rsync and everything that closes it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What it may use; `None`: as much as the gate.
    pub limits: Option<Limits>,
    /// What it sees of the file system; `None`: all of it.
    pub view: Option<View>,
    /// What the kernel lets it do there; `None`: whatever its account may.
    pub grants: Option<Vec<Grant>>,
    /// Whether files that exist are out of its reach: it makes new ones, and the gate makes every change of metadata for it.
    pub supervised: bool,
    /// Where it starts.
    pub directory: PathBuf,
    /// The program, absolute.
    pub program: PathBuf,
    /// Its arguments, without its name.
    pub argv: Vec<OsString>,
}

/// What the kernel lets rsync use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Address space of each of its processes, in bytes.
    pub memory: u64,
    /// Processes of the account besides as many as the machine runs when it starts.
    pub processes: u64,
    /// Bytes of a file that it writes; `None`: any number.
    pub file_size: Option<u64>,
}

/// A file system of its own, made of binds; there is nothing else in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// In the order in which they are made: a later one may lie in an earlier one.
    pub binds: Vec<Bind>,
}

/// A part of the server's file system that can be seen in a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// What is shown.
    pub from: PathBuf,
    /// Where it is seen.
    pub to: PathBuf,
    /// In which way.
    pub kind: Kind,
    /// Whether the view may stand without it, because not every system has it.
    pub optional: bool,
}

/// In which way something is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing there can change in any way, times and modes included.
    ReadOnly,
    /// A device, or a file to write to.
    Writable,
    /// A tree that a client fills. No program is run from it and no symlink is followed in it (mount(2), `MS_NOSYMFOLLOW`).
    Backup,
    /// Nothing: an empty directory stands over what is there. `from` means nothing.
    Hidden,
}

/// A part of the file system that the jail opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The path, and everything beneath it.
    pub path: PathBuf,
    /// What may be done there.
    pub access: Access,
    /// Whether the jail may stand without it, because not every system has the path.
    pub optional: bool,
}

/// What may be done beneath a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read and execute: rsync and its libraries.
    Execute,
    /// Read one file or directory.
    Read,
    /// Read, and remove files: a pull that takes away what it has sent.
    Take,
    /// Read, and write without creating: `/dev/null`, the run's log.
    ReadWrite,
    /// Read, and link from. The kernel also wants the right to write here, or links fail and rsync copies in silence
    /// (Documentation/userspace-api/landlock.rst, "File hierarchy").
    Link,
    /// Everything but execute and making devices: where the push lands.
    Stage,
    /// As `Stage`, and FIFOs and sockets: an rsync too old for `--drop-D` ends with 23 without them.
    StageSpecials,
}

impl Access {
    const ALL: [Self; 7] = [Self::Execute, Self::Read, Self::Take, Self::ReadWrite, Self::Link, Self::Stage, Self::StageSpecials];

    /// The words in `explain`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Execute => "read, execute",
            Self::Read => "read",
            Self::Take => "read, remove files",
            Self::ReadWrite => "read, write",
            Self::Link => "read, link from",
            Self::Stage => "read, write, create, remove",
            Self::StageSpecials => "read, write, create (FIFOs too), remove",
        }
    }
}

impl Kind {
    const ALL: [Self; 4] = [Self::ReadOnly, Self::Writable, Self::Backup, Self::Hidden];

    /// The words in `explain`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Writable => "writable",
            Self::Backup => "writable, symlinks lead nowhere",
            Self::Hidden => "hidden",
        }
    }
}

/// Words that begin an entry of a printed cell.
const LIMITS: &str = "limits";
const BIND: &str = "bind";
const GRANT: &str = "grant";
const JAIL: &str = "jail";
const SUPERVISED: &str = "supervised";
const RUN: &str = "run";
/// In the place of a limit that there is none of.
const NO_LIMIT: &str = "none";
/// Whether an entry may be missing.
const OPTIONAL: &str = "optional";
const NEEDED: &str = "needed";

impl Cell {
    /// The cell as words; [`Cell::read`] makes the same cell of them.
    #[must_use]
    pub fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(Limits { memory, processes, file_size }) = self.limits {
            let file_size = file_size.map_or_else(|| NO_LIMIT.to_owned(), |bytes| bytes.to_string());
            words.extend([LIMITS.to_owned(), memory.to_string(), processes.to_string(), file_size].map(OsString::from));
        }
        for bind in self.view.iter().flat_map(|view| &view.binds) {
            words.extend([BIND, bind.kind.as_str(), needed(bind.optional)].map(OsString::from));
            words.extend([bind.from.clone().into(), bind.to.clone().into()]);
        }
        if let Some(grants) = &self.grants {
            words.push(JAIL.into());
            for grant in grants {
                words.extend([GRANT, grant.access.as_str(), needed(grant.optional)].map(OsString::from));
                words.push(grant.path.clone().into());
            }
        }
        if self.supervised {
            words.push(SUPERVISED.into());
        }
        words.extend([RUN.into(), self.directory.clone().into(), self.program.clone().into()]);
        words.extend(self.argv.iter().cloned());
        words
    }

    /// Reads what [`Cell::words`] printed; `None` for anything else.
    #[must_use]
    pub fn read(words: &[OsString]) -> Option<Self> {
        let mut limits = None;
        let mut binds = Vec::new();
        let mut grants = None::<Vec<Grant>>;
        let mut supervised = false;
        let mut rest = words;
        loop {
            let (first, behind) = rest.split_first()?;
            rest = match (first.to_str()?, behind) {
                (LIMITS, [memory, processes, file_size, behind @ ..]) => {
                    let file_size = if file_size == NO_LIMIT { None } else { Some(number(file_size)?) };
                    limits = Some(Limits { memory: number(memory)?, processes: number(processes)?, file_size });
                    behind
                }
                (BIND, [kind, optional, from, to, behind @ ..]) => {
                    let kind = *Kind::ALL.iter().find(|known| OsStr::new(known.as_str()) == kind)?;
                    binds.push(Bind { from: from.into(), to: to.into(), kind, optional: is_optional(optional)? });
                    behind
                }
                (JAIL, behind) => {
                    grants = Some(Vec::new());
                    behind
                }
                (GRANT, [access, optional, path, behind @ ..]) => {
                    let access = *Access::ALL.iter().find(|known| OsStr::new(known.as_str()) == access)?;
                    grants.as_mut()?.push(Grant { path: path.into(), access, optional: is_optional(optional)? });
                    behind
                }
                (SUPERVISED, behind) => {
                    supervised = true;
                    behind
                }
                (RUN, [directory, program, argv @ ..]) => {
                    let view = (!binds.is_empty()).then_some(View { binds });
                    let (directory, program) = (directory.into(), program.into());
                    return Some(Self { limits, view, grants, supervised, directory, program, argv: argv.to_vec() });
                }
                _ => return None,
            };
        }
    }
}

fn number(word: &OsStr) -> Option<u64> {
    word.to_str()?.parse().ok()
}

fn needed(optional: bool) -> &'static str {
    if optional { OPTIONAL } else { NEEDED }
}

fn is_optional(word: &OsStr) -> Option<bool> {
    match word.to_str()? {
        OPTIONAL => Some(true),
        NEEDED => Some(false),
        _ => None,
    }
}

/// What every rsync needs besides its own data. It needs neither `/etc/passwd` nor `/proc` (measured on Linux 6.18).
#[must_use]
pub fn system(program: &Path) -> Vec<Grant> {
    let grant = |path: &Path, access, optional| Grant { path: path.to_path_buf(), access, optional };
    vec![
        grant(program, Access::Execute, false),
        grant(Path::new("/usr/lib"), Access::Execute, true),
        grant(Path::new("/usr/lib64"), Access::Execute, true),
        grant(Path::new("/usr/local/lib"), Access::Execute, true),
        grant(Path::new("/lib"), Access::Execute, true),
        grant(Path::new("/lib64"), Access::Execute, true),
        grant(Path::new("/etc/ld.so.cache"), Access::Read, true),
        grant(Path::new("/dev/null"), Access::ReadWrite, false),
        grant(Path::new("/dev/urandom"), Access::Read, true),
    ]
}

/// The same as binds, each seen where it is.
#[must_use]
pub fn system_binds(program: &Path) -> Vec<Bind> {
    let bind = |grant: Grant| {
        let kind = if grant.path.starts_with("/dev") { Kind::Writable } else { Kind::ReadOnly };
        Bind { from: grant.path.clone(), to: grant.path, kind, optional: grant.optional }
    };
    system(program).into_iter().map(bind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(view: bool, grants: bool) -> Cell {
        let program = Path::new("/usr/bin/rsync");
        Cell {
            limits: view.then_some(Limits { memory: 1, processes: 2, file_size: grants.then_some(3) }),
            view: view.then(|| View { binds: system_binds(program) }),
            grants: grants.then(|| system(program)),
            supervised: view,
            directory: PathBuf::from("/repository/inprogress/run"),
            program: program.to_path_buf(),
            argv: ["--server", "run", "grant", "."].map(OsString::from).to_vec(),
        }
    }

    #[test]
    fn what_is_printed_is_read_as_the_same_cell() {
        for cell in [cell(true, true), cell(false, true), cell(true, false), cell(false, false)] {
            assert_eq!(Cell::read(&cell.words()), Some(cell));
        }
        let jailed_in_nothing = Cell { grants: Some(Vec::new()), ..cell(false, false) };
        assert_eq!(Cell::read(&jailed_in_nothing.words()), Some(jailed_in_nothing));
    }

    #[test]
    fn whatever_is_not_a_whole_cell_is_none() {
        let words = cell(true, true).words();
        for end in 0..words.len() - 5 {
            assert_eq!(Cell::read(&words[..end]), None, "{end}");
        }
        for words in [&["run"][..], &["run", "/"], &["grant", "read", "needed", "/", "run", "/", "/x"], &["bind", "x", "y", "/", "/"], &[]]
        {
            assert_eq!(Cell::read(&words.iter().map(OsString::from).collect::<Vec<_>>()), None, "{words:?}");
        }
    }
}
