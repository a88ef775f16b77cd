//! A root that holds nothing of the system's: the front of a program that takes paths from `/`, as
//! OpenSSH's sftp-server does. It is put together in the view, beside what the program is loaded
//! from, and becomes the root of the loaded program from outside.
//!
//! It must never become that in two steps: pivot_root(2) changes the root of all who have the old one
//! at once, and no name of the old one is left.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns};
use nix::unistd::{Pid, chdir, geteuid, pivot_root};
use rustix::process::{PidfdFlags, pidfd_open};

use super::answered;
use super::view::{NOTHING, step, within};
use crate::act::child;
use crate::decide::sandbox::spec::{FRONT, Front, PASSWD};
use crate::terms::limits::{FRONT_TIME, MAX_SNAPSHOT_DEPTH, MAX_TRIED};

/// A front's own mount. In it alone symlinks are followed: it has one, the gate's.
const OWN: MsFlags = MsFlags::MS_NOSUID.union(MsFlags::MS_NODEV).union(MsFlags::MS_NOEXEC);

/// Puts a front together in the view that is being built. `user` is the number of the program's own
/// user there, without whose name OpenSSH's programs do not begin.
pub(super) fn put_together(front: &Front, user: u32) -> Result<(), String> {
    let (at, passwd) = (within(Path::new(FRONT)), within(Path::new(PASSWD)));
    let made = make(&at).and_then(|()| passwd.parent().map_or(Ok(()), make));
    made.and_then(|()| fs::write(&passwd, format!("client:x:{user}:{user}::/:/\n"))).map_err(|error| format!("a front: {error}"))?;
    // A directory for each of a name's parts.
    let inodes = front.names.len().saturating_mul(MAX_SNAPSHOT_DEPTH).saturating_add(16);
    let room = format!("size=64k,nr_inodes={inodes},mode=755");
    step("a front", mount(Some("none"), &at, Some("tmpfs"), OWN, Some(room.as_str())))?;
    let from = within(&front.from);
    for name in &front.names {
        let (tree, place) = (from.join(name), at.join(name));
        make(&place).map_err(|error| format!("a place for `{name}`: {error}"))?;
        // A part of a mount has the flags of that one from the beginning: read-only, links lead
        // nowhere.
        match mount(Some(&tree), &place, NOTHING, MsFlags::MS_BIND, NOTHING) {
            // It was removed meanwhile.
            Err(nix::Error::ENOENT) => drop(fs::remove_dir(&place)),
            bound => step(&format!("showing `{name}`"), bound)?,
        }
    }
    if let Some((name, to)) = &front.link {
        symlink(to, at.join(name)).map_err(|error| format!("the link `{name}`: {error}"))?;
    }
    step("closing a front", mount(NOTHING, &at, NOTHING, OWN | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, NOTHING))
}

fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(directory)
}

/// Makes the front of a process its root, in the place of what it was loaded from. The process has to
/// wait meanwhile.
///
/// # Errors
/// With what did not work, for the administrator.
pub(super) fn give(pid: Pid) -> Result<(), String> {
    let answer = child::apart(FRONT_TIME, MAX_TRIED, |out| {
        // Nobody who would read it, nobody who would miss it.
        let _ = out.write_all(given(pid).err().unwrap_or_else(|| super::HOLDS.to_owned()).as_bytes());
    });
    answered(&answer)
}

fn given(pid: Pid) -> Result<(), String> {
    let process = rustix::process::Pid::from_raw(pid.as_raw()).ok_or("there is no such process")?;
    let process = pidfd_open(process, PidfdFlags::empty()).map_err(|error| format!("finding it: {error}"))?;
    step("entering its mounts", enter(&process))?;
    step("going to its front", chdir(FRONT))?;
    // As in `Begun::finish`.
    step("making that its root", pivot_root(".", "."))?;
    step("leaving what it was loaded from", umount2(".", MntFlags::MNT_DETACH))
}

/// Whoever may mount here already, as root and whoever keeps owners, made the mounts from here; an
/// account has made a namespace of users for them.
fn enter(process: &impl std::os::fd::AsFd) -> nix::Result<()> {
    let mounts = CloneFlags::CLONE_NEWNS;
    if geteuid().is_root() {
        return setns(process, mounts);
    }
    setns(process, mounts).or_else(|_| setns(process, mounts | CloneFlags::CLONE_NEWUSER))
}
