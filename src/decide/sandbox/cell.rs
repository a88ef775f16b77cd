//! The cell that rsync runs in: what it sees, what it may do there, and what it is started with. Decided here. The process that
//! closes itself in and becomes rsync begins with the ground of it, and is sent the rest as words.
//!
//! No word of a client's may ever decide what a cell opens.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::terms::Mapping;
use crate::terms::word::words;

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

/// What of a cell is the same for every client, so that a process can begin to close itself in before anybody knows whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    /// Whether rsync sees a file system of its own and not the server's.
    pub view: bool,
    /// Whether the gate is asked about links, and makes them when rsync is gone.
    pub asks: bool,
    /// What is taken from it of the kernel's calls; `None`: nothing.
    pub filter: Option<Filter>,
}

/// Who an rsync is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunsAs {
    /// The account.
    Account,
    /// The first of a client's ids, in a namespace that has these alone.
    ClientsRoot,
}

/// How many users and groups there are in a namespace, from 0 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// Users.
    pub users: u32,
    /// Groups.
    pub groups: u32,
}

impl Ground {
    /// That of a push.
    pub fn new(confinement: Confinement) -> Self {
        let filter = (confinement != Confinement::None).then_some(Filter::History);
        Self { view: confinement == Confinement::View, asks: true, filter }
    }
}

impl Ids {
    /// Those of a mapping.
    pub fn of(mapping: &Mapping) -> Self {
        Self { users: mapping.users.count(), groups: mapping.groups.count() }
    }
}

/// One rsync and everything that closes it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What it stands on.
    pub ground: Ground,
    /// What it may use; `None`: as much as the gate.
    pub limits: Option<Limits>,
    /// What it sees besides the system's libraries, where it has a file system of its own.
    pub binds: Vec<Bind>,
    /// What the kernel lets it do there; `None`: whatever its account may.
    pub grants: Option<Vec<Grant>>,
    /// Where it starts.
    pub directory: PathBuf,
    /// The program, absolute.
    pub program: PathBuf,
    /// Its arguments, without its name.
    pub argv: Vec<OsString>,
}

/// Which of the kernel's calls are taken from rsync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// All that rsync has no use for where it may ask the machine about names of accounts.
    Plain,
    /// All that it has no use for where it may not.
    History,
}

/// What the kernel lets rsync use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Address space of each of its processes, in bytes.
    pub memory: u64,
    /// Processes and threads of the account, wherever they were started; `None`: any number.
    pub processes: Option<u64>,
    /// Bytes of a file that it writes; `None`: any number.
    pub file_size: Option<u64>,
}

/// A part of the server's file system that rsync can see, where it has one of its own. There is nothing else in that.
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

words! {
    /// In which way something is seen; the text stands in `explain`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Kind {
        /// Nothing there can change in any way, times and modes included.
        ReadOnly = "read-only",
        /// A device: it takes what is written to it, and nothing about it changes.
        Device = "device",
        /// A file to write to.
        Writable = "writable",
        /// The tree that a push fills. No program is run from it and no symlink is followed in it (mount(2), `MS_NOSYMFOLLOW`).
        Stage = "writable, symlinks lead nowhere",
        /// A tree that it is compared with: the same, and nothing there can change in any way.
        History = "read-only, symlinks lead nowhere",
    }
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

words! {
    /// What may be done beneath a path; the text stands in `explain`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Access {
        /// Read and execute: rsync and its libraries.
        Execute = "read, execute",
        /// Read one file or directory.
        Read = "read",
        /// Read, and remove files: a pull that takes away what it has sent.
        Take = "read, remove files",
        /// Read, and write without creating: `/dev/null`, the run's log.
        ReadWrite = "read, write",
        /// Everything but execute and making devices: where the push lands.
        Stage = "read, write, create, remove",
        /// As `Stage`, and FIFOs and sockets: an rsync too old for `--drop-D` ends with 23 without them.
        StageSpecials = "read, write, create (FIFOs too), remove",
    }
}

/// Words that begin an entry of a printed cell.
const LIMITS: &str = "limits";
const BIND: &str = "bind";
const GRANT: &str = "grant";
const JAIL: &str = "jail";
const RUN: &str = "run";
/// In the place of a limit that there is none of.
const NO_LIMIT: &str = "none";

impl Cell {
    /// Everything but the ground as words; [`Cell::read`] makes the same cell of them.
    pub fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(Limits { memory, processes, file_size }) = self.limits {
            words.extend([LIMITS.to_owned(), memory.to_string(), printed(processes), printed(file_size)].map(OsString::from));
        }
        for bind in &self.binds {
            words.extend([BIND.to_owned(), bind.kind.to_string(), bind.optional.to_string()].map(OsString::from));
            words.extend([bind.from.clone().into(), bind.to.clone().into()]);
        }
        if let Some(grants) = &self.grants {
            words.push(JAIL.into());
            for grant in grants {
                words.extend([GRANT.to_owned(), grant.access.to_string(), grant.optional.to_string()].map(OsString::from));
                words.push(grant.path.clone().into());
            }
        }
        words.extend([RUN.into(), self.directory.clone().into(), self.program.clone().into()]);
        words.extend(self.argv.iter().cloned());
        words
    }

    /// Reads what [`Cell::words`] printed; `None` for anything else.
    pub fn read(ground: Ground, words: &[OsString]) -> Option<Self> {
        let mut limits = None;
        let mut binds = Vec::new();
        let mut grants = None::<Vec<Grant>>;
        let mut rest = words;
        loop {
            let (first, behind) = rest.split_first()?;
            rest = match (first.to_str()?, behind) {
                (LIMITS, [memory, processes, file_size, behind @ ..]) => {
                    limits = Some(Limits { memory: parsed(memory)?, processes: limit(processes)?, file_size: limit(file_size)? });
                    behind
                }
                (BIND, [kind, optional, from, to, behind @ ..]) => {
                    let kind = Kind::read(kind.to_str()?)?;
                    binds.push(Bind { from: from.into(), to: to.into(), kind, optional: parsed(optional)? });
                    behind
                }
                (JAIL, behind) => {
                    grants = Some(Vec::new());
                    behind
                }
                (GRANT, [access, optional, path, behind @ ..]) => {
                    let access = Access::read(access.to_str()?)?;
                    grants.as_mut()?.push(Grant { path: path.into(), access, optional: parsed(optional)? });
                    behind
                }
                (RUN, [directory, program, argv @ ..]) => {
                    let (directory, program) = (directory.into(), program.into());
                    return Some(Self { ground, limits, binds, grants, directory, program, argv: argv.to_vec() });
                }
                _ => return None,
            };
        }
    }
}

fn printed(limit: Option<u64>) -> String {
    limit.map_or_else(|| NO_LIMIT.to_owned(), |number| number.to_string())
}

fn limit(word: &OsStr) -> Option<Option<u64>> {
    if word == NO_LIMIT { Some(None) } else { parsed(word).map(Some) }
}

fn parsed<T: FromStr>(word: &OsStr) -> Option<T> {
    word.to_str()?.parse().ok()
}

/// What every rsync needs besides its own data. It needs neither `/etc/passwd` nor `/proc` (measured on Linux 6.18).
pub fn system(program: &Path) -> Vec<Grant> {
    let own = Grant { path: program.to_path_buf(), access: Access::Execute, optional: false };
    [own].into_iter().chain(libraries()).collect()
}

/// What every program of the system needs.
fn libraries() -> impl Iterator<Item = Grant> {
    [
        ("/usr/lib", Access::Execute, true),
        ("/usr/lib64", Access::Execute, true),
        ("/usr/local/lib", Access::Execute, true),
        ("/lib", Access::Execute, true),
        ("/lib64", Access::Execute, true),
        ("/etc/ld.so.cache", Access::Read, true),
        ("/dev/null", Access::ReadWrite, false),
    ]
    .into_iter()
    .map(|(path, access, optional)| Grant { path: path.into(), access, optional })
}

/// The same as binds, each seen where it is.
pub fn libraries_shown() -> Vec<Bind> {
    libraries().map(|grant| shown(grant.path, grant.optional)).collect()
}

/// A program as a bind.
pub fn program_shown(program: &Path) -> Bind {
    shown(program.to_path_buf(), false)
}

/// A part of the system, seen where it is.
fn shown(path: PathBuf, optional: bool) -> Bind {
    let kind = if path.starts_with("/dev") { Kind::Device } else { Kind::ReadOnly };
    Bind { from: path.clone(), to: path, kind, optional }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(binds: bool, grants: bool) -> Cell {
        let program = Path::new("/usr/bin/rsync");
        Cell {
            ground: Ground::new(Confinement::View),
            limits: binds.then_some(Limits { memory: 1, processes: grants.then_some(2), file_size: (!grants).then_some(3) }),
            binds: if binds { libraries_shown() } else { Vec::new() },
            grants: grants.then(|| system(program)),
            directory: PathBuf::from("/repository/inprogress/run"),
            program: program.to_path_buf(),
            argv: ["--server", "run", "grant", "."].map(OsString::from).to_vec(),
        }
    }

    #[test]
    fn what_is_printed_is_read_as_the_same_cell() {
        for cell in [cell(true, true), cell(false, true), cell(true, false), cell(false, false)] {
            assert_eq!(Cell::read(cell.ground, &cell.words()), Some(cell));
        }
        let jailed_in_nothing = Cell { grants: Some(Vec::new()), ..cell(false, false) };
        assert_eq!(Cell::read(jailed_in_nothing.ground, &jailed_in_nothing.words()), Some(jailed_in_nothing));
    }

    #[test]
    fn whatever_is_not_a_whole_cell_is_none() {
        let whole = cell(true, true);
        let read = |words: &[OsString]| Cell::read(whole.ground, words);
        let words = whole.words();
        for end in 0..words.len() - 5 {
            assert_eq!(read(&words[..end]), None, "{end}");
        }
        for words in [&["run"][..], &["run", "/"], &["grant", "read", "false", "/", "run", "/", "/x"], &["bind", "x", "y", "/", "/"], &[]] {
            assert_eq!(read(&words.iter().map(OsString::from).collect::<Vec<_>>()), None, "{words:?}");
        }
    }
}
