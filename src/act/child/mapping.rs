//! The user namespace that maps a client's ids to the account's subordinate ids
//! (user_namespaces(7)).
//!
//! An ordinary account may map only itself. newuidmap(1) and newgidmap(1), which are root's, map
//! the ids of `/etc/subuid` and `/etc/subgid`. They need a process in the namespace: the one that
//! is to become rsync is there already. It does nothing before it is told to, and helpers have a
//! time limit.

use std::fs::File;
use std::io::{self, PipeReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::prctl::set_dumpable;
use nix::unistd::{Pid, getgid, getuid};

use super::Patience;
use super::fork::listen;
use super::leader::Leader;
use super::rsync::{Standby, Undecided};
use crate::decide::owners::idmaps::lines;
use crate::decide::owners::subids::HELPERS;
use crate::decide::push::outcome::Ended;
use crate::terms::limits::{MAPPING_TIMEOUT, MAX_QUOTED};
use crate::terms::text::still_printable;
use crate::terms::{IdMap, Mapping};

/// A namespace whose maps are being written, each by its helper.
#[derive(Debug)]
pub struct NamespaceBegun {
    /// Dropped before the process: until that is collected its number is not reused, and they map
    /// no other.
    helpers: [Helper; 2],
    process: Undecided,
    mapping: Mapping,
    begun: Instant,
}

/// A namespace with its maps.
#[derive(Debug)]
pub struct Namespace {
    file: File,
    /// Who this process is in it, behind the client's ids.
    own: (u32, u32),
}

/// Begins to map the namespace of the process. The client's ids are 0 and up; the account has the
/// first id behind them, so that no client can name it.
///
/// # Errors
/// With what did not work, for the administrator.
pub fn begin_namespace(process: Undecided, mapping: &Mapping) -> Result<NamespaceBegun, String> {
    let pid = process.apart()?;
    let [users, groups] = HELPERS;
    // One beside the other.
    let users = Helper::start(users, pid, &mapping.users, getuid().as_raw())?;
    let groups = Helper::start(groups, pid, &mapping.groups, getgid().as_raw())?;
    Ok(NamespaceBegun { process, mapping: mapping.clone(), helpers: [users, groups], begun: Instant::now() })
}

impl NamespaceBegun {
    /// Waits for the helpers. The process goes on in the namespace.
    ///
    /// # Errors
    /// With what they said, for the administrator.
    pub fn finish(self) -> Result<(Namespace, Standby), String> {
        let Self { process, mapping, helpers, begun } = self;
        for helper in helpers {
            helper.finish(MAPPING_TIMEOUT.saturating_sub(begun.elapsed()))?;
        }
        // It leaves for the one of rsync when it has been sent its sandbox, and not before.
        let standby = process.for_clients_root(&mapping);
        let own = (mapping.users.count(), mapping.groups.count());
        let namespace = File::open(Path::new("/proc").join(standby.pid().to_string()).join("ns/user"));
        namespace.map(|file| (Namespace { file, own }, standby)).map_err(|error| format!("the user namespace for owners: {error}"))
    }
}

impl Namespace {
    /// Takes this process into it, for good. There it has root's power over the client's files, and
    /// is still the account.
    ///
    /// # Errors
    /// With what the kernel said, or where the maps are not what they should be.
    pub fn enter(self) -> Result<(), String> {
        let entered = setns(self.file, CloneFlags::CLONE_NEWUSER);
        // After the change of powers too, what it starts and maps may look into it.
        let settled = entered.and_then(|()| set_dumpable(true));
        settled.map_err(|error| format!("entering the user namespace for owners: {}", error.desc()))?;
        if (getuid().as_raw(), getgid().as_raw()) == self.own {
            Ok(())
        } else {
            Err("newuidmap or newgidmap has not written its map".to_owned())
        }
    }
}

/// One that writes a map.
#[derive(Debug)]
struct Helper {
    program: &'static str,
    leader: Leader,
    answer: PipeReader,
}

impl Helper {
    fn start(program: &'static str, pid: Pid, map: &IdMap, own: u32) -> Result<Self, String> {
        let start = || -> io::Result<Self> {
            let (answer, says) = io::pipe()?;
            let mut command = Command::new(program);
            command.arg(pid.to_string()).args(lines(map, own).iter().flatten().map(u32::to_string));
            command.env_clear().process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(says);
            Ok(Self { program, leader: Leader::of_child(&command.spawn()?)?, answer })
        };
        start().map_err(|error| format!("{program}: {error}"))
    }

    /// What it says ends when it does.
    fn finish(self, limit: Duration) -> Result<(), String> {
        let Self { program, leader, answer } = self;
        let begun = Instant::now();
        let answer = listen(answer, limit, MAX_QUOTED);
        let patience = Patience { limit: limit.saturating_sub(begun.elapsed()), idle: None, until: None, while_read: false, whole: false };
        match leader.wait_within(patience, None, None) {
            Ok(Ended::Exit(0)) => Ok(()),
            Ok(Ended::Deadline) => Err(format!("{program} did not come to an end")),
            Ok(_) => Err(format!("{program} failed: {}", still_printable(String::from_utf8_lossy(&answer).trim_end(), MAX_QUOTED))),
            Err(error) => Err(format!("{program}: {error}")),
        }
    }
}
