//! The user namespace in which a client's ids are those that its account may use for others (user_namespaces(7)).
//!
//! The kernel lets an ordinary account map nobody but itself; others are mapped by newuidmap(1) and newgidmap(1), which are root's and know
//! what `/etc/subuid` and `/etc/subgid` allow. They need a process that is in the namespace already, so one is made for them, and ends.
//! It may see nothing of the client's, and nobody may wait for a helper for ever.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::{set_dumpable, set_pdeathsig};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, geteuid, getgid, getuid};

use super::Patience;
use super::fork::{forked_with_gate, listen};
use super::leader::Leader;
use crate::decide::outcome::Ended;
use crate::decide::subids::HELPERS;
use crate::terms::limits::{MAPPING_TIMEOUT, MAX_QUOTED};
use crate::terms::text::still_printable;
use crate::terms::{IdMap, Mapping};

/// A namespace whose maps are being written, each by its helper.
#[derive(Debug)]
pub struct NamespaceBegun {
    holder: Leader,
    helpers: [Helper; 2],
    begun: Instant,
}

/// A namespace with its maps.
#[derive(Debug)]
pub struct Namespace(File);

/// Begins one. A client's ids are those from 0 on in it; the account itself has the first one behind them, so that no client
/// can name it, and its own files stay its own to change. Only for a process with a single thread.
///
/// # Errors
/// With what did not work, for the administrator.
pub fn begin_namespace(mapping: &Mapping) -> Result<NamespaceBegun, String> {
    let holder = holder().map_err(|error| format!("a user namespace for owners: {error}"))?;
    let [users, groups] = HELPERS;
    // One beside the other.
    let users = Helper::start(users, holder.pid, &mapping.users, getuid().as_raw())?;
    let groups = Helper::start(groups, holder.pid, &mapping.groups, getgid().as_raw())?;
    Ok(NamespaceBegun { holder, helpers: [users, groups], begun: Instant::now() })
}

impl NamespaceBegun {
    /// Waits for the helpers.
    ///
    /// # Errors
    /// With what they said, for the administrator.
    pub fn finish(self) -> Result<Namespace, String> {
        let Self { holder, helpers, begun } = self;
        for helper in helpers {
            helper.finish(MAPPING_TIMEOUT.saturating_sub(begun.elapsed()))?;
        }
        let namespace = File::open(Path::new("/proc").join(holder.pid.to_string()).join("ns/user"));
        // An open descriptor keeps it from here on.
        namespace.map(Namespace).map_err(|error| format!("the user namespace for owners: {error}"))
    }
}

impl Namespace {
    /// Takes this process into it, for good. There it may do with the client's files what root may with all, and is the account still.
    ///
    /// # Errors
    /// With what the kernel said; then nothing has changed.
    pub fn enter(self) -> Result<(), String> {
        let entered = setns(self.0, CloneFlags::CLONE_NEWUSER);
        // Whatever the kernel makes of the change of powers: it ends with the gate, and may be looked into by what it starts and maps.
        let settled = entered.and_then(|()| set_dumpable(true)).and_then(|()| set_pdeathsig(Signal::SIGKILL));
        settled.map_err(|error| format!("entering the user namespace for owners: {}", error.desc()))
    }
}

/// A process that is in a new namespace until nobody needs it any more.
fn holder() -> io::Result<Leader> {
    let (mut ready, told) = io::pipe()?;
    let pid = forked_with_gate(move || {
        // The helpers only serve whoever may look into the process (ptrace(2), "Ptrace access mode checking").
        let made = unshare(CloneFlags::CLONE_NEWUSER).and_then(|()| set_dumpable(true));
        if made.is_ok() && { told }.write_all(&[1]).is_ok() {
            // Until it is killed.
            loop {
                std::thread::park();
            }
        }
    })?;
    let leader = Leader::of(pid)?;
    // It ends by itself where the kernel gives it none; then nothing comes.
    ready.read_exact(&mut [0]).map_err(|_| io::Error::other("the kernel gives this account none"))?;
    Ok(leader)
}

/// One that writes a map.
#[derive(Debug)]
struct Helper {
    program: &'static str,
    leader: Leader,
    said: PipeReader,
}

impl Helper {
    fn start(program: &'static str, pid: Pid, map: &IdMap, own: u32) -> Result<Self, String> {
        let start = || -> io::Result<Self> {
            let (said, says) = io::pipe()?;
            let mut command = Command::new(program);
            command.arg(pid.to_string()).args(lines(map, own).iter().flatten().map(u32::to_string));
            command.env_clear().current_dir("/").process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(says);
            Ok(Self { program, leader: Leader::of_child(&command.spawn()?)?, said })
        };
        start().map_err(|error| format!("{program}: {error}"))
    }

    /// What it says ends when it does.
    fn finish(self, limit: Duration) -> Result<(), String> {
        let Self { program, leader, said } = self;
        let begun = Instant::now();
        let said = listen(said, limit, MAX_QUOTED);
        let patience = Patience { limit: limit.saturating_sub(begun.elapsed()), idle: None, whole: false };
        match leader.wait_within(patience, None, None) {
            Ok(Ended::Exit(0)) => Ok(()),
            Ok(Ended::Deadline) => Err(format!("{program} did not come to an end")),
            Ok(_) => Err(format!("{program} failed: {}", still_printable(String::from_utf8_lossy(&said).trim_end(), MAX_QUOTED))),
            Err(error) => Err(format!("{program}: {error}")),
        }
    }
}

/// The lines of a map: the first id inside, the first outside, and how many.
fn lines(map: &IdMap, own: u32) -> Vec<[u32; 3]> {
    let mut inside = 0;
    let mut lines = Vec::new();
    for range in map.ranges() {
        lines.push([inside, range.first(), range.count()]);
        inside += range.count();
    }
    lines.push([inside, own, 1]);
    lines
}

/// The map of a namespace that has a client's ids and no other, by whoever is in the one of [`begin_namespace`], where they have the same
/// numbers, or is the machine's root. The kernel takes a line only where one of the upper map holds all of it.
pub(super) fn map_of_clients(map: &IdMap) -> String {
    below(map, geteuid().is_root())
}

fn below(map: &IdMap, as_root: bool) -> String {
    let mut inside = 0;
    let mut text = String::new();
    for range in map.ranges() {
        let outside = if as_root { range.first() } else { inside };
        let _ = writeln!(text, "{inside} {outside} {}", range.count());
        inside += range.count();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::IdRange;

    #[test]
    fn the_account_is_behind_its_client_s_ids_and_not_below() {
        let map =
            IdMap::new([(100_000, 65_536), (900_000, 10)].map(|(first, count)| IdRange::new(first, count).unwrap()).to_vec()).unwrap();
        assert_eq!(lines(&map, 1001), [[0, 100_000, 65_536], [65_536, 900_000, 10], [65_546, 1001, 1]]);
        assert_eq!(below(&map, false), "0 0 65536\n65536 65536 10\n");
        assert_eq!(below(&map, true), "0 100000 65536\n65536 900000 10\n");
    }
}
