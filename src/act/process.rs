//! This process itself: it closes what it inherited from sshd, and sets its own limits and powers.

use std::env;
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
#[cfg(feature = "admin")]
use std::time::{Duration, Instant};

#[cfg(feature = "admin")]
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{
    Gid, Uid, dup2_stderr, dup2_stdin, dup2_stdout, getegid, geteuid, getgroups, getuid, setegid, seteuid, setgid, setgroups, setresgid,
    setresuid, setsid, setuid,
};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, configure_capability_in_ambient_set,
    set_capabilities, set_capabilities_secure_bits,
};

use crate::decide::sandbox::spec::Limits;
use crate::terms::Account;
use crate::terms::limits::{CHILD_FILES, GATE_FILES, GATE_MEMORY, READER_MEMORY, WATCH_MEMORY};

/// Closes every descriptor but the three standard ones, before any is opened. One that leaked from
/// sshd would be a hole in the jail: Landlock asks when a file is opened, not when it is used.
pub fn close_inherited() {
    close_all_but(&[]);
}

/// Closes every descriptor but the three standard ones and these.
pub fn close_all_but(kept: &[RawFd]) {
    // This directory's size is their number from Linux 6.2 on (Documentation/filesystems/proc.rst,
    // "/proc/<pid>/fd"), and Rust sees to it that the standard ones are open.
    if fs::metadata("/proc/self/fd").is_ok_and(|directory| directory.len() == 3 + kept.len() as u64) {
        return;
    }
    let listed = fs::read_dir("/proc/self/fd").map(|entries| {
        let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        numbers.collect::<Vec<_>>()
    });
    // Without /proc every number up to the usual soft limit is tried.
    let numbers = listed.unwrap_or_else(|_| (3..1024).collect());
    for number in numbers.into_iter().filter(|number| *number > 2 && !kept.contains(number)) {
        // The listing's own descriptor is listed and closed already: the one possible error.
        let _ = nix::unistd::close(number);
    }
}

/// What a program could use before the gate set its own limits, for those that are not the gate.
#[derive(Debug, Clone, Copy)]
pub struct Inherited {
    /// Files that it may open.
    pub files: u64,
    /// Address space, in bytes.
    pub memory: u64,
}

/// Sets the mask for new files of this process and whatever it starts.
pub fn mask() {
    umask(Mode::from_bits_truncate(0o022));
}

/// Gives this process enough descriptors for its walks, and bounds its memory: it never holds a
/// whole push.
pub fn limit() -> Inherited {
    // With fewer files the deepest trees cannot be walked.
    Inherited { files: soft(Resource::RLIMIT_NOFILE, GATE_FILES), memory: soft(Resource::RLIMIT_AS, GATE_MEMORY) }
}

/// Sets a soft limit, and says what it was. A lower hard limit stands: up to that anybody may.
fn soft(resource: Resource, ours: u64) -> u64 {
    let (before, hard) = getrlimit(resource).unwrap_or((ours, ours));
    let _ = setrlimit(resource, ours.min(hard), hard);
    before
}

/// Gives this process, which is not to be the gate, what it could use before.
pub fn unlimit(inherited: Inherited) {
    soft(Resource::RLIMIT_NOFILE, inherited.files);
    soft(Resource::RLIMIT_AS, inherited.memory);
}

/// Gives this process enough descriptors for walks of several threads, and no other limit.
pub fn many_files() {
    soft(Resource::RLIMIT_NOFILE, GATE_FILES);
}

/// Turns core files off, here and in what it starts: rsync holds the client's data in memory.
pub fn no_core() {
    // Lowering a limit needs no right.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
}

/// Bounds the memory of a `watch`: the mail library reads a server's line to its end before it
/// checks the length. A pass that is ended by this loses nothing; the next one continues.
pub fn bound_memory() {
    soft(Resource::RLIMIT_AS, WATCH_MEMORY);
}

/// Bounds the memory of this process and of what it starts, and lets others go first: at the
/// processors, and at disks whose scheduler has priorities (ionice(1)). It does what anybody may ask
/// for at any time.
pub fn stand_back() {
    soft(Resource::RLIMIT_AS, READER_MEMORY);
    let _ = rustix::process::setpriority_process(None, LEAST_PRIORITY);
}

/// The least that a process can have (setpriority(2)).
const LEAST_PRIORITY: i32 = 19;

/// Bounds what this process and whatever it becomes or starts may use, for good.
///
/// # Errors
/// When the kernel does not do that.
pub fn bound(limits: &Limits) -> Result<(), String> {
    let mut wanted = vec![(Resource::RLIMIT_AS, limits.memory), (Resource::RLIMIT_NOFILE, CHILD_FILES)];
    wanted.extend(limits.file_size.map(|bytes| (Resource::RLIMIT_FSIZE, bytes)));
    wanted.extend(limits.processes.map(|processes| (Resource::RLIMIT_NPROC, processes)));
    wanted.into_iter().try_for_each(|(resource, value)| {
        // What somebody has set lower for the account stays.
        let value = getrlimit(resource).map_or(value, |(soft, hard)| value.min(soft).min(hard));
        setrlimit(resource, value, value).map_err(|error| format!("a limit of the kernel's: {}", error.desc()))
    })
}

/// Processes and threads of the machine (proc(5), `/proc/loadavg`, the fourth field), if they are
/// limited: root's are not (setrlimit(2), `RLIMIT_NPROC`).
pub fn running() -> Option<u64> {
    if getuid().is_root() { None } else { all_running() }
}

/// The same, whoever runs this: for one who becomes somebody else.
pub fn all_running() -> Option<u64> {
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    load.split(' ').nth(3)?.split_once('/')?.1.parse().ok()
}

/// Root's capabilities that rsync needs for files: any owner, modes that keep others out,
/// set-user-ID bits, and `security.capability` (xattr(7)).
const KEPT: CapabilitySet = CapabilitySet::DAC_OVERRIDE
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::SETFCAP);

/// What the machine's root needs besides, for `trusted.*` attributes (xattr(7)). The filter and
/// Landlock (landlock(7)) keep it from the rest of that power.
const KEPT_OF_THE_MACHINES: CapabilitySet = KEPT.union(CapabilitySet::SYS_ADMIN);

/// What an account keeps where it is alone in a user namespace: access to its own files, whatever
/// their modes are, and to nobody else's (user_namespaces(7), "Interaction of user namespaces and
/// other types of namespaces": a capability reaches inodes whose owner and group are both in the
/// namespace).
const KEPT_ALONE: CapabilitySet = CapabilitySet::DAC_OVERRIDE;

/// Of which namespace of users a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Users {
    /// The machine's.
    Machine,
    /// One that has the account alone.
    Alone,
    /// One that has a client's ids, whose root it is.
    Client,
}

/// Gives up all power over the system, for good (capabilities(7)), also for whatever this process
/// becomes. Root keeps what files need; an account of the machine keeps nothing.
///
/// # Errors
/// When the kernel does not do that.
pub fn give_up_power(users: Users) -> Result<(), String> {
    let root = geteuid().is_root();
    let kept = match users {
        Users::Client => KEPT,
        _ if root => KEPT_OF_THE_MACHINES,
        Users::Alone => KEPT_ALONE,
        Users::Machine => CapabilitySet::empty(),
    };
    let give_up = || {
        if root {
            // Without these bits root's programs would regain all; with them they get the ambient
            // set.
            let bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
            set_capabilities_secure_bits(bits)?;
        }
        // Root of a container may have fewer.
        let kept = kept & capabilities(None)?.permitted;
        clear_ambient_capability_set()?;
        set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable: kept })?;
        kept.iter().try_for_each(|kept| configure_capability_in_ambient_set(kept, true))
    };
    give_up().map_err(|error: rustix::io::Errno| format!("giving up capabilities: {error}"))
}

/// Makes this process the root of the user namespace that it is in, which is a client's.
///
/// # Errors
/// When the kernel does not do that.
pub fn become_root() -> Result<(), String> {
    let (user, group) = (Uid::from_raw(0), Gid::from_raw(0));
    let becomes = setgroups(&[]).and_then(|()| setresgid(group, group, group)).and_then(|()| setresuid(user, user, user));
    // The gate has to look into it before it is a program of that namespace's.
    let settled = becomes.and_then(|()| nix::sys::prctl::set_dumpable(true));
    settled.map_err(|error| format!("becoming root of the client's ids: {}", error.desc()))
}

/// Ends this process, and whatever it becomes, politely when its parent ends (`PR_SET_PDEATHSIG`,
/// prctl(2)).
///
/// # Errors
/// When the kernel does not do that.
pub fn end_with_parent() -> Result<(), String> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM).map_err(|error| error.to_string())
}

/// Takes that back.
///
/// # Errors
/// When the kernel does not do that.
pub fn outlive_parent() -> Result<(), String> {
    set_pdeathsig(None).map_err(|error| error.desc().to_owned())
}

/// How many letters are in a line of standard output, if that is a terminal.
#[cfg(feature = "admin")]
pub fn columns() -> Option<usize> {
    rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// How many lines the terminal has that is standard output.
#[cfg(feature = "admin")]
pub fn lines() -> Option<usize> {
    rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_row)).filter(|lines| *lines > 0)
}

/// Waits for that long, or until nobody can read standard output any more. Says whether that is so.
#[cfg(feature = "admin")]
pub fn is_closed_within(time: Duration) -> bool {
    let (out, until) = (io::stdout(), Instant::now() + time);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut end = [PollFd::new(out.as_fd(), PollFlags::empty())];
        match poll(&mut end, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Err(nix::errno::Errno::EINTR) => {}
            Ok(0) => return false,
            Ok(_) | Err(_) => return true,
        }
    }
}

/// Does something with standard error closed, for this process and what it starts.
///
/// # Errors
/// When there is no `/dev/null`.
pub fn without_errors<T>(quietly: impl FnOnce() -> T) -> io::Result<T> {
    let null = fs::OpenOptions::new().write(true).open("/dev/null")?;
    let kept = io::stderr().as_fd().try_clone_to_owned()?;
    dup2_stderr(&null)?;
    let done = quietly();
    dup2_stderr(&kept)?;
    Ok(done)
}

/// Takes the standard streams away.
///
/// # Errors
/// When there is no `/dev/null`.
pub fn silence() -> Result<(), String> {
    let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null").map_err(|error| format!("/dev/null: {error}"))?;
    dup2_stdin(&null).and_then(|()| dup2_stdout(&null)).and_then(|()| dup2_stderr(&null)).map_err(|error| error.to_string())
}

/// Starts this program anew without its environment, if it has one. An account may read the
/// environment of its processes (proc(5), `/proc/pid/environ`), and only exec(2) removes it.
///
/// # Errors
/// When the kernel does not do that.
pub fn forget_environment() -> io::Result<()> {
    if env::vars_os().next().is_none() {
        return Ok(());
    }
    let mut words = env::args_os();
    let mut again = Command::new("/proc/self/exe");
    Err(again.arg0(words.next().unwrap_or_default()).args(words).env_clear().exec())
}

/// Makes a process of root's, or of the account itself, one of the account's with these groups, for
/// good, in a session without a terminal: it must not be able to type for root (`TIOCSTI`,
/// ioctl_tty(2)). The account's other processes cannot reach it until it starts a program, and it
/// ends with its parent.
///
/// # Errors
/// When the kernel does not do that.
pub fn live_as(account: &Account, groups: &[u32]) -> Result<(), String> {
    let groups: Vec<_> = groups.iter().copied().map(Gid::from_raw).collect();
    let becomes = setsid().and_then(|_| {
        // Anybody else is the account already.
        if !geteuid().is_root() {
            return Ok(());
        }
        setgroups(&groups)?;
        setgid(Gid::from_raw(account.group))?;
        setuid(Uid::from_raw(account.uid))?;
        // A process forgets this when its account changes (prctl(2)). In a session of its own no
        // interrupt reaches it: without this it would stay if it hangs.
        set_pdeathsig(Signal::SIGKILL)
    });
    becomes.map_err(|error| error.desc().to_owned())
}

/// Does something of root's as the account: whatever is opened, made and removed meanwhile has to
/// be the account's to open, make and remove. It is root's process still, which the account's can
/// neither look into nor signal. Whoever begins a thread meanwhile has to see its end: this is for
/// all threads at once.
///
/// # Errors
/// When there is a second thread, or the kernel does not do that. Then nothing was done.
pub fn acting_as<T>(account: &Account, groups: &[u32], work: impl FnOnce() -> T) -> Result<T, String> {
    // A directory has a link for each one in it, and two of its own (proc(5), "/proc/pid/task").
    if !fs::metadata("/proc/self/task").is_ok_and(|tasks| tasks.nlink() == 3) {
        return Err("there is a second thread".to_owned());
    }
    let fail = |error: nix::Error| error.desc().to_owned();
    let (group, others) = (getegid(), getgroups().map_err(fail)?);
    let wanted: Vec<_> = groups.iter().copied().map(Gid::from_raw).collect();
    let become_it = || {
        setgroups(&wanted)?;
        setegid(Gid::from_raw(account.group))?;
        seteuid(Uid::from_raw(account.uid))
    };
    let done = become_it().map(|()| work());
    let back = seteuid(Uid::from_raw(0)).and_then(|()| setegid(group)).and_then(|()| setgroups(&others));
    if back.is_err() {
        // Whoever is half the account must do nothing as either.
        std::process::abort();
    }
    done.map_err(fail)
}

/// As [`live_as`], as a fresh login: its files in /proc are the account's, not root's as they would be
/// until it starts a program (proc(5), `PR_SET_DUMPABLE`).
///
/// # Errors
/// When the kernel does not do that.
pub fn log_in(account: &Account, groups: &[u32]) -> Result<(), String> {
    live_as(account, groups)?;
    nix::sys::prctl::set_dumpable(true).map_err(|error| error.desc().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_how_many_processes_there_are() {
        let listed = fs::read_dir("/proc").unwrap().flatten().filter(|entry| entry.file_name().as_encoded_bytes()[0].is_ascii_digit());
        let listed = u64::try_from(listed.count()).unwrap();
        // Threads count too, and others come and go meanwhile.
        assert!(all_running().unwrap() * 2 >= listed, "{listed}");
    }
}
