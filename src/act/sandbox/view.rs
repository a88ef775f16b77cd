//! rsync's own file system: namespaces of users, mounts and System V IPC. It holds the whole
//! process, so only a process that exists for this may enter one.
//!
//! It shows nothing that its list does not name, and nothing is writable that need not be: a step
//! that fails is an error, never skipped.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::fcntl::AT_FDCWD;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_dumpable;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, getegid, geteuid, pivot_root};

use crate::decide::sandbox::spec::{Bind, Kind, Listing, RunsAs};
use crate::terms::text::printable_path;

/// Where the new root is built: a directory that every system has and that is not shown.
const WORKSHOP: &str = "/proc";

/// `MS_NOSYMFOLLOW` (mount(2), Linux 5.10): no symlink is followed. nix has no name for it.
const NO_SYMLINKS: MsFlags = MsFlags::from_bits_retain(256);

/// This process in namespaces of its own, where it sees all that it has seen.
#[derive(Debug)]
#[must_use]
pub struct Apart {
    /// Who it was, where one of users is among them: that knows nobody until it has its maps.
    was: Option<(Uid, Gid)>,
}

/// A view that is being put together: this process still sees the server, and `/proc` no more.
#[derive(Debug)]
#[must_use]
pub struct Begun(());

/// Takes this process, which must have a single thread, into namespaces of its own. There is none
/// of users if it is `mapped` already, and may mount there, nor for root, who could no longer give
/// files away.
///
/// # Errors
/// With what did not work. The process must then end: it may be halfway.
pub fn leave(mapped: bool) -> Result<Apart, String> {
    // Memory, semaphores and queues of System V have no path that a mount could hide
    // (ipc_namespaces(7)). They end with the namespace.
    let own = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC;
    let was = (!mapped && !geteuid().is_root()).then(|| (geteuid(), getegid()));
    if was.is_some() {
        step("namespaces of users, mounts and System V IPC", unshare(CloneFlags::CLONE_NEWUSER | own))?;
        // The helpers that map it must be able to look into it (ptrace(2), "Ptrace access mode
        // checking").
        step("letting it be mapped", set_dumpable(true))?;
    } else {
        step("namespaces of mounts and System V IPC", unshare(own))?;
    }
    // Mounts made here stay here. Those that the server makes meanwhile come in if they are shared
    // (as with systemd): the gate's first look may mount a store. Otherwise the run's log is not
    // found, and a new process begins.
    step("keeping mounts apart", mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_SLAVE, NOTHING))?;
    Ok(Apart { was })
}

impl Apart {
    /// Begins a view with these parts of the system, for one that `runs_as` this. A client's root
    /// is mapped already.
    ///
    /// # Errors
    /// As [`leave`].
    pub fn begin(self, system: &[Bind], runs_as: RunsAs) -> Result<Begun, String> {
        if let Some(account) = self.was.filter(|_| runs_as == RunsAs::Account) {
            map_to_itself(account)?;
        }
        put_together(system)
    }
}

/// Takes this process, which must have a single thread, into a user namespace with the account
/// alone, for good. There it may access the account's own files whatever their modes are, and has
/// no other power. It cannot start programs for other accounts from there.
///
/// # Errors
/// As [`leave`]. Root needs none, and stays where it is.
pub fn reach_own_files() -> Result<(), String> {
    let was = (geteuid(), getegid());
    if was.0.is_root() {
        return Ok(());
    }
    // Files in /proc are root's otherwise, once it has gained powers (proc(5), "dumpable").
    let left = unshare(CloneFlags::CLONE_NEWUSER).and_then(|()| set_dumpable(true));
    step("a user namespace of the account's", left)?;
    map_to_itself(was)
}

/// In its user namespace the account stays itself, and is alone (user_namespaces(7)). No file can
/// be made before that.
fn map_to_itself((user, group): (Uid, Gid)) -> Result<(), String> {
    for (file, text) in
        [("setgroups", "deny".to_owned()), ("uid_map", format!("{user} {user} 1")), ("gid_map", format!("{group} {group} 1"))]
    {
        let path = format!("/proc/self/{file}");
        fs::write(&path, text).map_err(|error| format!("{path}: {error}"))?;
    }
    Ok(())
}

fn put_together(system: &[Bind]) -> Result<Begun, String> {
    let room = Some("size=64k,nr_inodes=256,mode=755");
    step("an empty directory", mount(Some("none"), WORKSHOP, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, room))?;
    for bind in system {
        match alias(bind, system) {
            Some(target) => link(&within(&bind.to), &target)?,
            None => show(bind)?,
        }
    }
    Ok(Begun(()))
}

impl Begun {
    /// Turns the view, with these parts besides, into all that this process can see.
    ///
    /// # Errors
    /// As [`begin`].
    pub fn finish(self, binds: &[Bind], listing: Option<&Listing>) -> Result<(), String> {
        // From here on nothing of the server's comes in any more.
        step("keeping mounts out", mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING))?;
        binds.iter().try_for_each(show)?;
        listing.map_or(Ok(()), list)?;
        step("changing to the new root", nix::unistd::chdir(WORKSHOP))?;
        // The old root ends up over the new one and is removed from there (pivot_root(2),
        // "pivot_root(".", ".")").
        step("making it the root", pivot_root(".", "."))?;
        step("leaving the old root", umount2(".", MntFlags::MNT_DETACH))?;
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | closed(MsFlags::MS_RDONLY);
        step("closing the new root", mount(NOTHING, "/", NOTHING, flags, NOTHING))
    }
}

const NOTHING: Option<&str> = None;

/// Leaves for a user namespace below this one, which has no ids yet. All powers in the old one are
/// gone: it cannot change the mounts of its view any more.
///
/// # Errors
/// As [`begin`].
pub fn leave_powers() -> Result<(), String> {
    // Whoever is to map it has to be able to look into it.
    let left = set_dumpable(true).and_then(|()| unshare(CloneFlags::CLONE_NEWUSER));
    step("a user namespace for the client's ids", left)
}

/// Where a system's own symlink leads, if that is shown anyway: `/lib` is mostly a link to
/// `usr/lib`, and costs less than a mount.
fn alias(bind: &Bind, system: &[Bind]) -> Option<PathBuf> {
    let target = fs::read_link(&bind.from).ok().filter(|_| bind.kind == Kind::ReadOnly)?;
    let leads_to = bind.from.parent()?.join(&target);
    system.iter().any(|other| other.kind == Kind::ReadOnly && other.from == other.to && other.from == leads_to).then_some(target)
}

fn link(at: &Path, target: &Path) -> Result<(), String> {
    let made = make_place(at.parent().unwrap_or(at), true).and_then(|()| symlink(target, at));
    made.map_err(|error| format!("a link for `{}`: {error}", printable_path(at)))
}

fn show(bind: &Bind) -> Result<(), String> {
    let to = within(&bind.to);
    let what = || printable_path(&bind.to);
    let found = match fs::metadata(&bind.from) {
        Err(error) if bind.optional && error.kind() == ErrorKind::NotFound => return Ok(()),
        found => found.map_err(|error| format!("`{}`: {error}", what()))?,
    };
    make_place(&to, found.is_dir()).map_err(|error| format!("a place for `{}`: {error}", what()))?;
    // What is mounted within a backup would keep the flags that it has, and could be written to.
    let deep = if matches!(bind.kind, Kind::Stage | Kind::History) { MsFlags::empty() } else { MsFlags::MS_REC };
    let bound = mount(Some(&bind.from), &to, NOTHING, MsFlags::MS_BIND | deep, NOTHING);
    step(&format!("showing `{}`", what()), bound)?;
    // A bind takes its flags in a second step, and must keep those that it had in a user namespace
    // (mount_namespaces(7)).
    let had = statvfs(&to).map_err(|error| format!("`{}`: {error}", what()))?.flags();
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | kept(had) | flags(bind.kind);
    step(&format!("closing `{}`", what()), mount(NOTHING, &to, NOTHING, flags, NOTHING))
}

/// Makes a listing: directories in memory alone, in a mount of their own, which they may fill.
fn list(listing: &Listing) -> Result<(), String> {
    let to = within(&listing.at);
    let what = || printable_path(&listing.at);
    make_place(&to, true).map_err(|error| format!("a place for `{}`: {error}", what()))?;
    // The names of one directory, and those of all that may stand above one.
    let room = format!("nr_inodes={},mode=755", listing.entries.len().saturating_mul(2).saturating_add(16));
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    step(&format!("showing `{}`", what()), mount(Some("none"), &to, Some("tmpfs"), flags, Some(room.as_str())))?;
    for (name, at) in &listing.entries {
        let entry = to.join(name);
        make_place(&entry, true).map_err(|error| format!("a directory for `{name}`: {error}"))?;
        let at = TimeSpec::new(*at, 0);
        step("its time", utimensat(AT_FDCWD, &entry, &at, &at, UtimensatFlags::NoFollowSymlink))?;
    }
    step(&format!("closing `{}`", what()), mount(NOTHING, &to, NOTHING, flags | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY, NOTHING))
}

fn flags(kind: Kind) -> MsFlags {
    match kind {
        Kind::ReadOnly => MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_RDONLY,
        // A device is written to all the same: it is not the file system's to forbid.
        Kind::Device => MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY,
        Kind::Writable => closed(MsFlags::empty()),
        Kind::Stage => closed(NO_SYMLINKS),
        // Nothing is changed by reading either: a mount that is read-only keeps no times of access.
        Kind::History => closed(NO_SYMLINKS | MsFlags::MS_RDONLY),
    }
}

fn closed(also: MsFlags) -> MsFlags {
    MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | also
}

fn kept(had: FsFlags) -> MsFlags {
    let pairs = [
        (FsFlags::ST_RDONLY, MsFlags::MS_RDONLY),
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
    ];
    pairs.into_iter().filter(|(flag, _)| had.contains(*flag)).map(|(_, flag)| flag).collect()
}

fn within(path: &Path) -> PathBuf {
    Path::new(WORKSHOP).join(path.strip_prefix("/").unwrap_or(path))
}

/// Makes what a bind is put over, where an earlier bind does not hold it.
fn make_place(at: &Path, directory: bool) -> io::Result<()> {
    let above = if directory { Some(at) } else { at.parent() };
    if let Some(above) = above {
        DirBuilder::new().recursive(true).mode(0o755).create(above)?;
    }
    if !directory && fs::symlink_metadata(at).is_err() {
        File::create_new(at)?;
    }
    Ok(())
}

fn step(what: &str, done: nix::Result<()>) -> Result<(), String> {
    done.map_err(|error| format!("{what}: {}", error.desc()))
}
