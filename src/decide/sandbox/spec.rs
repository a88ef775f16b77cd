//! The sandbox that rsync runs in, as decided. The process that enters it begins with the isolation
//! alone, and is sent the rest.
//!
//! No word of a client's may ever decide what a sandbox opens.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

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

/// The part of a sandbox that is the same for every client, so that a process can begin before the
/// client is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
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

impl Isolation {
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// What it stands on.
    pub isolation: Isolation,
    /// What it may use; `None`: as much as the gate.
    pub limits: Option<Limits>,
    /// What it sees besides the system's libraries, where it has a file system of its own.
    pub binds: Vec<Bind>,
    /// What becomes its root once it is loaded; `None`: it keeps the one that it began in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub front: Option<Front>,
    /// Directories that it sees there and that are nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<Listing>,
    /// What the kernel lets it do there; `None`: whatever its account may.
    pub grants: Option<Vec<Grant>>,
    /// Where it starts.
    #[serde(with = "bytes")]
    pub directory: PathBuf,
    /// The program, absolute.
    #[serde(with = "bytes")]
    pub program: PathBuf,
    /// Its arguments, without its name.
    pub argv: Vec<OsString>,
}

/// Which of the kernel's calls are taken from rsync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Filter {
    /// All that rsync has no use for where it may ask the machine about names of accounts.
    Plain,
    /// All that it has no use for where it may not.
    History,
    /// The same for snapgate's own reader, which may keep what it reads from being removed.
    Reader,
    /// The same for one that only reads, and that says when it is loaded. The gate is asked then.
    Browse,
}

/// What the kernel lets rsync use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Address space of each of its processes, in bytes.
    pub memory: u64,
    /// Processes and threads of the account, wherever they were started; `None`: any number.
    pub processes: Option<u64>,
    /// Bytes of a file that it writes; `None`: any number.
    pub file_size: Option<u64>,
}

/// A part of the server's file system that rsync can see in its view. The view has nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// What is shown.
    #[serde(with = "bytes")]
    pub from: PathBuf,
    /// Where it is seen.
    #[serde(with = "bytes")]
    pub to: PathBuf,
    /// In which way.
    pub kind: Kind,
    /// Whether the view may stand without it, because not every system has it.
    pub optional: bool,
}

/// A root for a program that takes paths from `/`. Nothing of the system's is in it, so the program
/// is loaded before it gets this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Front {
    /// The trees that are in it, each by its path below `from` and below the root alike.
    pub names: Vec<String>,
    /// Where the view has them.
    #[serde(with = "bytes")]
    pub from: PathBuf,
    /// A symlink in it, and the one of `names` that it leads to.
    pub link: Option<(String, String)>,
}

/// Where a front is put together and waits.
pub const FRONT: &str = "/front";

/// What stands for the user database before the front does: one name, which is no server's.
pub const PASSWD: &str = "/etc/passwd";

/// Empty directories, with times, that stand for what could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Where they are seen.
    #[serde(with = "bytes")]
    pub at: PathBuf,
    /// Each one's path from there, without `..`, and its time in seconds since 1970. One that holds
    /// others stands behind them, so that its time is not changed by them.
    pub entries: Vec<(String, i64)>,
}

words! {
    /// In which way something is seen; the text stands in `explain`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Kind {
        /// Nothing there can change in any way, times and modes included.
        ReadOnly = "read-only",
        /// A device: it takes what is written to it, and nothing about it changes.
        Device = "device",
        /// A file to write to.
        Writable = "writable",
        /// The stage. No program is run from it, and no symlink followed in it (mount(2),
        /// `MS_NOSYMFOLLOW`).
        Stage = "writable, symlinks lead nowhere",
        /// A tree that it is compared with: the same, and nothing there can change in any way.
        History = "read-only, symlinks lead nowhere",
    }
}

/// A part of the file system that the jail opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The path, and everything beneath it.
    #[serde(with = "bytes")]
    pub path: PathBuf,
    /// What may be done there.
    pub access: Access,
    /// Whether the jail may stand without it, because not every system has the path.
    pub optional: bool,
}

words! {
    /// What may be done beneath a path; the text stands in `explain`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
        /// As `Stage`, with FIFOs and sockets: without them an rsync too old for `--drop-D` ends
        /// with 23.
        StageSpecials = "read, write, create (FIFOs too), remove",
    }
}

/// Paths are sent as bytes: they need not be UTF-8, as serde's own way demands.
mod bytes {
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        OsString::deserialize(from).map(PathBuf::from)
    }
}

/// What every rsync needs besides its data; neither `/etc/passwd` nor `/proc` (measured on Linux
/// 6.18).
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
    use std::os::unix::ffi::OsStringExt as _;

    #[test]
    fn what_is_sent_is_read_as_the_same_cell_whatever_bytes_are_in_it() {
        let program = Path::new("/usr/bin/rsync");
        let strange = OsString::from_vec(b"/repository/inprogress/\xff\n\"".to_vec());
        for (limited, granted) in [(true, true), (false, true), (true, false), (false, false)] {
            let sandbox = Sandbox {
                isolation: Isolation::new(Confinement::View),
                limits: limited.then_some(Limits { memory: 1, processes: granted.then_some(2), file_size: (!granted).then_some(3) }),
                binds: if limited { libraries_shown() } else { Vec::new() },
                front: limited.then(|| Front { names: vec!["a/b".to_owned()], from: "/x".into(), link: None }),
                listing: granted.then(|| Listing { at: "/x".into(), entries: vec![("a".to_owned(), -1)] }),
                grants: granted.then(|| system(program)),
                directory: PathBuf::from(&strange),
                program: program.to_path_buf(),
                argv: [OsString::from("--server"), strange.clone(), OsString::new(), ".".into()].to_vec(),
            };
            let sent = serde_json::to_vec(&sandbox).unwrap();
            assert_eq!(serde_json::from_slice::<Sandbox>(&sent).unwrap(), sandbox);
            assert!(serde_json::from_slice::<Sandbox>(&sent[..sent.len() - 1]).is_err(), "a part of it is not the whole");
        }
    }
}
