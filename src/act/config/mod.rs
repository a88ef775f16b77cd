//! Site and policy files on the disk. Their owner is checked before `decide::policy` reads them.
//!
//! Everything is opened beneath a directory that is open and checked, and examined by descriptor,
//! so nobody can swap a file in between. A policy that cannot be used never makes way for another.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;

use crate::decide::policy::yaml::Fault;
use crate::decide::policy::{ENDING, Policy, Site, read_policy, read_site};
use crate::terms::limits::{MAX_CONFIG_FILE, MAX_POLICIES};
use crate::terms::text::os_words;
use crate::terms::{ClientName, Code, Reason};

#[cfg(feature = "admin")]
pub mod edit;
pub mod identity;
#[cfg(feature = "admin")]
pub mod keyring;
pub mod zones;

pub use identity::identify;

/// The site file's name.
pub const SITE_FILE: &str = "snapgate.yaml";

/// The directory of policies.
pub const POLICIES: &str = "policies";

/// Reads the site file in the directory of settings.
///
/// # Errors
/// When it is missing, could have been written by others, or is not exactly right.
pub fn load_site(dir: &Path) -> Result<Site, Fault> {
    let opened = open_directory(dir)?;
    let file = dir.join(SITE_FILE);
    let found = open_file(&opened, &file, OsStr::new(SITE_FILE))?;
    let handle = found.ok_or_else(|| Fault::whole(&file, "there is no site file", "create it, with at least store:"))?;
    read_site(&file, &contents(&handle, &file)?)
}

/// Reads a client's policy; `None` when it has no file.
///
/// # Errors
/// When the file or its directory could have been written by others, or is not exactly right.
pub fn load_policy(dir: &Path, site: &Site, client: &ClientName) -> Result<Option<Policy>, Fault> {
    Policies::open(dir)?.load(site, client)
}

/// A client and its policy, or what is wrong with its file.
pub type Loaded = (ClientName, Result<Policy, Fault>);

/// Every policy of the directory, in order of name, each read or with its fault.
///
/// # Errors
/// When the directory could have been written by others, or cannot be listed.
pub fn all_policies(dir: &Path, site: &Site) -> Result<Vec<Loaded>, Fault> {
    let policies = Policies::open(dir)?;
    let listing = policies.list()?;
    let loaded = listing.clients.into_iter().filter_map(|client| {
        let policy = policies.load(site, &client).transpose()?;
        Some((client, policy))
    });
    Ok(loaded.collect())
}

/// Whether this process may open a policy's file, whatever stands in it.
pub fn may_open(dir: &Path, client: &ClientName) -> bool {
    let path = dir.join(POLICIES).join(format!("{client}{ENDING}"));
    nix::unistd::access(&path, nix::unistd::AccessFlags::R_OK) != Err(nix::errno::Errno::EACCES)
}

/// What is in the directory of policies.
#[derive(Debug, Default)]
pub struct Listing {
    /// Clients, in order of name.
    pub clients: Vec<ClientName>,
    /// What is no policy, and so is not read.
    pub strays: Vec<PathBuf>,
}

/// Lists the directory of policies.
///
/// # Errors
/// When the directory could have been written by others, or cannot be listed.
pub fn list(dir: &Path) -> Result<Listing, Fault> {
    Policies::open(dir)?.list()
}

/// The directory of policies, opened and checked.
struct Policies {
    dir: PathBuf,
    handle: OwnedFd,
}

impl Policies {
    fn open(config: &Path) -> Result<Self, Fault> {
        open_directory(config)?;
        let dir = config.join(POLICIES);
        let handle = open_directory(&dir)?;
        Ok(Self { dir, handle })
    }

    fn path(&self, client: &ClientName) -> PathBuf {
        self.dir.join(format!("{client}{ENDING}"))
    }

    fn load(&self, site: &Site, client: &ClientName) -> Result<Option<Policy>, Fault> {
        let path = self.path(client);
        let name = format!("{client}{ENDING}");
        match open_file(&self.handle, &path, OsStr::new(&name))? {
            None => Ok(None),
            Some(handle) => read_policy(&path, &contents(&handle, &path)?, client, site).map(Some),
        }
    }

    fn list(&self) -> Result<Listing, Fault> {
        let failed = |error: std::io::Error| {
            Fault::whole(&self.dir, format!("the policies cannot be listed: {}", os_words(&error)), "let the account read this directory")
        };
        let mut listing = Listing::default();
        for entry in std::fs::read_dir(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let client = name.to_str().and_then(|name| name.strip_suffix(ENDING)).and_then(|name| name.parse().ok());
            match client {
                Some(client) if entry.file_type().is_ok_and(|kind| kind.is_file()) => listing.clients.push(client),
                _ => listing.strays.push(entry.path()),
            }
            if listing.clients.len() > MAX_POLICIES {
                return Err(Fault::whole(
                    &self.dir,
                    format!("more than {MAX_POLICIES} policies to search"),
                    "say `--client NAME` in each key's command=",
                ));
            }
        }
        listing.clients.sort();
        listing.strays.sort();
        Ok(listing)
    }
}

fn open_directory(path: &Path) -> Result<OwnedFd, Fault> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    // Who needs no search may do with a directory that can be entered but not listed.
    let handle = match open(path, flags, Mode::empty()) {
        Err(Errno::EACCES) => open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()),
        other => other,
    };
    let handle = handle.map_err(|errno| {
        let words = os_words(&errno.into());
        Fault::whole(path, format!("the directory of settings cannot be opened: {words}"), "create it, or name another by --config")
    })?;
    vet(path, &File::from(handle.try_clone().map_err(|error| broken_handle(path, &error))?), true)?;
    Ok(handle)
}

fn broken_handle(path: &Path, error: &std::io::Error) -> Fault {
    Fault::whole(path, format!("it cannot be examined: {}", os_words(error)), "try again")
}

/// Opens a file below a checked directory; `None` when there is none.
fn open_file(dir: &OwnedFd, path: &Path, name: &OsStr) -> Result<Option<File>, Fault> {
    match raw_open(dir, name) {
        Ok(handle) => {
            vet(path, &handle, false)?;
            Ok(Some(handle))
        }
        Err(Errno::ENOENT) => Ok(None),
        Err(Errno::ELOOP) => Err(Fault::whole(path, "a symbolic link", "put the file itself here")),
        Err(errno) => {
            let words = os_words(&errno.into());
            Err(Fault::whole(path, format!("it cannot be opened: {words}"), "let root or the account own it and read it"))
        }
    }
}

/// A FIFO is not waited for, a link not followed.
fn raw_open(dir: &OwnedFd, name: &OsStr) -> Result<File, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    openat(dir, name, flags, Mode::empty()).map(File::from)
}

/// Nobody but root and the running user may have had a hand in it.
fn vet(path: &Path, handle: &File, directory: bool) -> Result<(), Fault> {
    vet_within(path, handle, directory, MAX_CONFIG_FILE)
}

fn vet_within(path: &Path, handle: &File, directory: bool, most: u64) -> Result<(), Fault> {
    let metadata = handle.metadata().map_err(|error| broken_handle(path, &error))?;
    let fault = |message: String, help: &str| Err(Fault::whole(path, message, help));
    if !directory && !metadata.is_file() {
        return fault("not a regular file".to_owned(), "put the file itself here");
    }
    let owner = metadata.uid();
    if owner != 0 && owner != nix::unistd::geteuid().as_raw() {
        return fault(
            format!("owned by user {owner}, who is neither root nor the running user"),
            "read it, then install it anew as root's",
        );
    }
    if metadata.mode() & 0o022 != 0 {
        return fault(
            format!("others may write it: its mode is {:04o}", metadata.mode() & 0o7777),
            "chmod go-w it, and read what is in it",
        );
    }
    if !directory && metadata.len() > most {
        return fault(format!("{} bytes long; at most {most} are read", metadata.len()), "shorten it");
    }
    Ok(())
}

/// The bytes of a file that was vetted; one that grew since is refused.
fn contents(handle: &File, path: &Path) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    handle.take(MAX_CONFIG_FILE + 1).read_to_end(&mut bytes).map_err(|error| broken_handle(path, &error))?;
    if bytes.len() as u64 > MAX_CONFIG_FILE {
        return Err(Fault::whole(path, format!("more than {MAX_CONFIG_FILE} bytes long"), "shorten it"));
    }
    Ok(bytes)
}

/// The reason of a file that cannot be used. The client learns only that it is not to blame.
impl From<Fault> for Reason {
    fn from(fault: Fault) -> Self {
        unusable(fault.to_string()).rule(fault.origin())
    }
}

/// The same for settings that are well written and cannot be used, in these words.
pub fn unusable(detail: impl Into<String>) -> Reason {
    Reason::new(Code::Config, "the server's settings cannot be used")
        .hint("tell the administrator of the server; nothing is wrong at this end")
        .detail(detail)
        .remedy("mend the file, then run `snapgate check`")
}
