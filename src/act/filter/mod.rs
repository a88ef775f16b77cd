//! The system calls that rsync has no use for are taken away, and those that could change history are handed to the gate
//! (seccomp(2), seccomp_unotify(2)). The other half of the jail: Landlock guards what a path leads to, this guards what is
//! done with it.
//!
//! What is denied is a list, because a C library that finds another way to do what rsync needs must not break backups. What
//! could change a file that exists is not a list of wishes: every way of the kernel to do it has to be in here.

mod supervise;

use std::os::fd::RawFd;

use libseccomp::error::SeccompError;
use libseccomp::{ScmpAction, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use nix::libc;

use crate::decide::cell::Filter;
use crate::decide::supervision::Call;

pub use supervise::supervise;

/// A descriptor on which the gate is asked.
pub type Listener = RawFd;

/// A filter that holds. What the calls come in on is closed with it, so it has to be kept until that is handed over.
#[must_use]
pub struct Installed {
    filter: ScmpFilterContext,
}

/// Calls that are denied to every rsync. A kernel or a processor without one of them has nothing to deny.
#[rustfmt::skip]
const DENIED: &[&str] = &[
    // Other processes, and namespaces, in which a process may do what it may not outside.
    "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "pidfd_send_signal", "unshare", "setns",
    "setpriority", "ioprio_set", "sched_setparam", "sched_setscheduler", "sched_setattr",
    // What left its session or group would outlive the deadline.
    "setsid", "setpgid",
    // Another filter could hand calls to somebody else.
    "seccomp",
    // Ways to a file that say nothing of how it is opened.
    "open_by_handle_at", "io_uring_setup", "io_uring_enter", "io_uring_register",
    // Parts of the kernel that attackers like and rsync does not know.
    "bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key", "personality", "fanotify_init", "fanotify_mark",
];

/// Calls that are denied as well where there is no history and capabilities are kept. Where there is, the kernel denies them all
/// to an rsync that has none (`process::give_up_power`), and its file system is still to be put together by some.
#[rustfmt::skip]
const DENIED_TO_POWER: &[&str] = &[
    "mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick",
    "mount_setattr", "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff",
    "acct", "quotactl", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "iopl", "ioperm",
];

/// Calls that are denied as well where there is history: they change a file that exists, or reach other machines and the
/// services of this one. Names of owners, which may have to be asked of a service, do not matter there.
const DENIED_WITH_HISTORY: &[&str] = &["truncate", "truncate64", "creat", "socket", "connect", "bind", "listen"];

/// Calls that are denied to every rsync, by number: newer than the tables of libseccomp 2.5 and the same on every processor.
/// `process_madvise`, `process_mrelease`.
const DENIED_NUMBERS: &[i32] = &[440, 448];

/// Such that are denied as [`DENIED_TO_POWER`]: `quotactl_fd`, `open_tree_attr`.
const DENIED_TO_POWER_NUMBERS: &[i32] = &[443, 467];

/// Calls that answer as if the kernel did not know them, so that the C library takes the way that can be seen. The numbers
/// are newer than the tables of libseccomp 2.5 and the same on every processor: `clone3`, `openat2`, `setxattrat`,
/// `removexattrat`, `file_setattr`.
const UNKNOWN: &[i32] = &[435, 437, 463, 466, 469];

/// Flags of clone(2) that make namespaces. Without capabilities the first is the way to all others (user_namespaces(7)).
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Kinds of requests of ioctl(2), the second byte of their number: flags, versions, verity and encryption of files, exchange of
/// content, freezing, copies and subvolumes, block devices, networks.
const REQUESTS: [u64; 6] = [0x66, 0x76, 0x58, 0x94, 0x12, 0x89];

/// Types of socketpair(2) that could send to a socket with a name; rsync's own are streams.
const DATAGRAMS: [libc::c_int; 3] = [libc::SOCK_DGRAM, libc::SOCK_SEQPACKET, libc::SOCK_RAW];

/// Filters the calls of this thread and whatever it starts or becomes.
///
/// # Errors
/// With what did not work, for the administrator.
pub fn install(filter: Filter) -> Result<Installed, String> {
    rules(filter).and_then(|filter| filter.load().map(|()| Installed { filter })).map_err(|error| failed(&error))
}

impl Installed {
    /// What the supervised calls come in on, where there is history.
    ///
    /// # Errors
    /// When the kernel gave none.
    pub fn listener(&self) -> Result<Listener, String> {
        self.filter.get_notify_fd().map_err(|error| failed(&error))
    }
}

fn failed(error: &SeccompError) -> String {
    format!("the filter of system calls: {error}")
}

fn rules(which: Filter) -> Result<ScmpFilterContext, SeccompError> {
    let history = which == Filter::History;
    let mut filter = ScmpFilterContext::new(ScmpAction::Allow)?;
    // A tree and not a list: the kernel runs it for every call there is when it is loaded.
    filter.set_ctl_optimize(2)?;
    let denied = ScmpAction::Errno(libc::EPERM);
    let (names, numbers) = if history { (DENIED_WITH_HISTORY, &[][..]) } else { (DENIED_TO_POWER, DENIED_TO_POWER_NUMBERS) };
    for call in DENIED.iter().chain(names).filter_map(|name| ScmpSyscall::from_name(name).ok()) {
        filter.add_rule(denied, call)?;
    }
    for number in DENIED_NUMBERS.iter().chain(numbers) {
        filter.add_rule(denied, ScmpSyscall::from(*number))?;
    }
    for number in UNKNOWN {
        filter.add_rule(ScmpAction::Errno(libc::ENOSYS), ScmpSyscall::from(*number))?;
    }
    for flag in NAMESPACES.iter().take(if history { 1 } else { NAMESPACES.len() }) {
        filter.add_rule_conditional(denied, syscall("clone")?, &[masked(0, *flag, *flag)])?;
    }
    for kind in REQUESTS {
        let is = ScmpArgCompare::new(1, ScmpCompareOp::MaskedEqual(0xff00), kind << 8);
        filter.add_rule_conditional(denied, syscall("ioctl")?, &[is])?;
    }
    // Its own limits it may lower; the gate's it may not.
    let other = ScmpArgCompare::new(0, ScmpCompareOp::NotEqual, 0);
    filter.add_rule_conditional(denied, syscall("prlimit64")?, &[other])?;
    for datagram in DATAGRAMS {
        filter.add_rule_conditional(denied, syscall("socketpair")?, &[masked(1, 0xf, datagram)])?;
    }
    if !history {
        return Ok(filter);
    }
    for (call, _) in supervised() {
        filter.add_rule(ScmpAction::Notify, call)?;
    }
    for (name, flags) in [("openat", 2), ("open", 1)] {
        if let Ok(call) = ScmpSyscall::from_name(name) {
            opening(&mut filter, call, flags)?;
        }
    }
    Ok(filter)
}

/// The supervised calls that this processor has, with their numbers.
fn supervised() -> impl Iterator<Item = (ScmpSyscall, Call)> {
    Call::ALL.into_iter().filter_map(|call| Some((number_of(call)?, call)))
}

fn number_of(call: Call) -> Option<ScmpSyscall> {
    match ScmpSyscall::from_name(call.name()) {
        Ok(number) => Some(number),
        // Newer than the tables of libseccomp 2.5, and the same on every processor.
        Err(_) if call == Call::Fchmodat2 => Some(ScmpSyscall::from(452)),
        Err(_) => None,
    }
}

/// A file is opened for writing only where it is made new: what stands there already may share its inode with history.
/// The gate is asked where something is appended to, because rsync opens its log so. `flags` is the number of the argument.
fn opening(filter: &mut ScmpFilterContext, call: ScmpSyscall, flags: u32) -> Result<(), SeccompError> {
    // The mode is a number, and yet each of its bits means writing: the third number is both, and for ioctl(2) alone (open(2)).
    let (write, both) = (libc::O_WRONLY, libc::O_RDWR);
    let (create, new, append, truncate) = (libc::O_CREAT, libc::O_EXCL, libc::O_APPEND, libc::O_TRUNC);
    for (mask, value) in [
        (write | create, write),
        (write | new | append, write),
        (both | create, both),
        (both | new, both),
        // This truncates whatever the mode is.
        (truncate | create, truncate),
        (truncate | new, truncate),
    ] {
        filter.add_rule_conditional(ScmpAction::Errno(libc::EPERM), call, &[masked(flags, mask, value)])?;
    }
    let appends = masked(flags, libc::O_ACCMODE | create | new | append | truncate, write | create | append);
    filter.add_rule_conditional(ScmpAction::Notify, call, &[appends]).map(drop)
}

fn syscall(name: &str) -> Result<ScmpSyscall, SeccompError> {
    ScmpSyscall::from_name(name)
}

fn masked(argument: u32, mask: libc::c_int, value: libc::c_int) -> ScmpArgCompare {
    let [mask, value] = [mask, value].map(|number| u64::from(number.cast_unsigned()));
    ScmpArgCompare::new(argument, ScmpCompareOp::MaskedEqual(mask), value)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File, OpenOptions};
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use std::sync::mpsc;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::decide::supervision::Bounds;

    /// Runs `probe` on a thread that has the filter, and answers it from another. Once in a process: libseccomp 2.5 keeps one
    /// listener for all of its filters.
    fn filtered<T: Send>(stage: &Path, since: SystemTime, probe: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let (send, receive) = mpsc::channel();
            let bounds = Bounds { stage: stage.to_path_buf(), since: Some(since) };
            // Before there is a filter: a thread has the filter of the one that starts it.
            scope.spawn(move || supervise(receive.recv().unwrap(), nix::unistd::getpid(), bounds).unwrap());
            let thread = scope.spawn(move || {
                let installed = install(Filter::History).unwrap();
                send.send(installed.listener().unwrap()).unwrap();
                probe()
            });
            thread.join().unwrap()
        })
    }

    /// A tick of the clock that inodes are dated with, and some.
    const TICK: Duration = Duration::from_millis(20);

    /// What a push may look like: files of history, one of them shared, and files of its own.
    fn lay_out(history: &Path, stage: &Path) {
        fs::create_dir(history).unwrap();
        for name in ["old", "alone"] {
            fs::write(history.join(name), "history").unwrap();
            fs::set_permissions(history.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        std::thread::sleep(TICK);
        fs::create_dir(stage).unwrap();
        std::thread::sleep(TICK);
        fs::hard_link(history.join("old"), stage.join("shared")).unwrap();
        fs::write(stage.join("new"), "x").unwrap();
        fs::hard_link(stage.join("new"), stage.join("twin")).unwrap();
        std::os::unix::fs::symlink("new", stage.join("link")).unwrap();
        std::os::unix::fs::symlink(history.join("alone"), stage.join("out")).unwrap();
    }

    fn refused<T: std::fmt::Debug>(attempts: impl IntoIterator<Item = std::io::Result<T>>) {
        for (number, attempt) in attempts.into_iter().enumerate() {
            assert_eq!(attempt.unwrap_err().raw_os_error(), Some(libc::EPERM), "attempt {number}");
        }
    }

    fn writing_reaches_only_new_files(stage: &Path) {
        let (log, old) = (stage.join("log"), stage.join("shared"));
        // As rsync opens its log, which is the first time that something is appended to.
        OpenOptions::new().append(true).create(true).open(log).unwrap();
        refused([
            OpenOptions::new().write(true).open(&old),
            OpenOptions::new().read(true).write(true).open(&old),
            OpenOptions::new().write(true).create(true).truncate(false).open(&old),
            OpenOptions::new().write(true).truncate(true).open(&old),
            OpenOptions::new().append(true).open(&old),
            OpenOptions::new().append(true).create(true).open(&old),
            OpenOptions::new().read(true).append(true).create(true).open(&old),
            File::create(&old),
            // As rsync would keep a symlink with `--fake-super`: whether there is a file by then nobody can tell before.
            File::create(stage.join("kept-as-a-file")),
        ]);
        refused([nix::unistd::truncate(&old, 0).map_err(std::io::Error::from)]);
        // As it makes its files.
        File::create_new(stage.join("file")).unwrap();
    }

    fn changing_reaches_only_what_is_of_the_push(history: &Path, stage: &Path, time: SystemTime) {
        let chmod = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755));
        let attribute = |path: &Path| xattr::set(path, "user.note", &[7; 3000]);
        let own = nix::unistd::getuid().as_raw();
        for name in ["new", "twin", "."] {
            chmod(&stage.join(name)).unwrap();
            attribute(&stage.join(name)).unwrap();
        }
        File::open(stage.join("new")).unwrap().set_modified(time).unwrap();
        std::os::unix::fs::lchown(stage.join("link"), Some(own), None).unwrap();
        xattr::set(stage.join("twin"), "user.gone", b"x").unwrap();
        xattr::remove(stage.join("twin"), "user.gone").unwrap();
        // A file of history that has one name there, held open while its name in the stage is taken away again.
        fs::hard_link(history.join("alone"), stage.join("brief")).unwrap();
        let brief = File::open(stage.join("brief")).unwrap();
        fs::remove_file(stage.join("brief")).unwrap();
        refused([brief.set_permissions(fs::Permissions::from_mode(0o777)), brief.set_modified(time)]);
        let old = File::open(stage.join("shared")).unwrap();
        refused([
            chmod(&stage.join("shared")),
            chmod(&history.join("old")),
            chmod(&history.join("alone")),
            chmod(&stage.join("out")),
            chmod(history),
            chmod(stage.parent().unwrap()),
            attribute(&stage.join("shared")),
            xattr::remove(stage.join("shared"), "user.note"),
            old.set_modified(time),
            old.set_permissions(fs::Permissions::from_mode(0o777)),
            std::os::unix::fs::chown(stage.join("shared"), Some(own), None),
        ]);
    }

    fn there_is_no_network_and_nobody_else() {
        refused([UnixStream::connect("/dev/log").map(drop), UdpSocket::bind("127.0.0.1:0").map(drop)]);
        refused([TcpListener::bind("127.0.0.1:0").map(drop)]);
        refused([nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).map_err(std::io::Error::from)]);
        // rsync's own two processes talk over a pair of these.
        UnixStream::pair().unwrap();
    }

    /// Further calls, by their numbers on x86-64, each with arguments that would reach the kernel's own checks, and the error
    /// it has to end with: `P` is not permitted, `N` is not known.
    const CALLS: &str = r#"
import ctypes, errno, struct, sys
call = ctypes.CDLL(None, use_errno=True).syscall
# Without capabilities, as rsync is: the filter leaves to the kernel what takes one.
if call(126, struct.pack('Ii', 0x20080522, 0), bytes(24)) != 0:
    print('capset failed')
    sys.exit(1)
old, buffer = sys.argv[1].encode(), ctypes.create_string_buffer(4096)
AT = ctypes.c_long(-100)
P, N = errno.EPERM, errno.ENOSYS
for name, expected, *words in [
    ('ptrace TRACEME', P, 101, 0, 0, 0, 0),
    ('io_uring_setup', P, 425, 1, buffer),
    ('io_uring_enter', P, 426, -1, 0, 0, 0, 0),
    ('bpf', P, 321, 0, buffer, 128),
    ('keyctl', P, 250, 0, -3, 0),
    ('add_key', P, 248, b'user', b'x', b'x', 1, -3),
    ('unshare of nothing', P, 272, 0),
    ('unshare NEWNS', P, 272, 0x20000),
    ('setns', P, 308, 0, 0),
    ('mount', P, 165, b'none', b'/', b'tmpfs', 0, 0),
    ('open_tree', P, 428, AT, b'/', 1),
    ('setsid', P, 112),
    ('setpgid', P, 109, 0, 0),
    ('openat2', N, 437, AT, old, buffer, 24),
    ('clone3', N, 435, buffer, 88),
    ('setxattrat', N, 463, AT, old, 0, b'user.x', buffer, 16),
    ('removexattrat', N, 466, AT, old, 0, b'user.x'),
    ('file_setattr', N, 469, AT, old, buffer, 24, 0),
    ('open_by_handle_at', P, 304, AT, buffer, 1),
    ('truncate', P, 76, old, 0),
    ('creat', P, 85, old, 0o600),
    ('open to write', P, 2, old, 1, 0),
    ('open to truncate', P, 2, old, 0o1000, 0),
    ('openat with mode 3', P, 257, AT, old, 3, 0),
    ('the same, to append', P, 257, AT, old, 0o2103, 0),
    ('openat to truncate a new one', P, 257, AT, old, 0o1200, 0),
    ('ioctl FS_IOC_SETFLAGS', P, 16, 0, ctypes.c_ulong(0x40086602), buffer),
    ('the same in 64 bits', P, 16, 0, ctypes.c_ulong(0xdead000040086602), buffer),
    ('ioctl FICLONE', P, 16, 1, ctypes.c_ulong(0x40049409), 0),
    ('socket', P, 41, 2, 1, 0),
    ('seccomp', P, 317, 2, 0, buffer),
    ('process_vm_writev', P, 311, 1, buffer, 1, buffer, 1, 0),
    ('personality', P, 135, ctypes.c_ulong(0xffffffff)),
]:
    ctypes.set_errno(0)
    result = call(*words)
    found = ctypes.get_errno() if result == -1 else 0
    if found != expected:
        print(name, 'ended with', errno.errorcode.get(found, 'no error'))
"#;

    /// The system's own: another one may be a script, which the filter would hear of too.
    const PYTHON: &str = "/usr/bin/python3";

    fn what_cannot_be_said_in_rust_is_refused_too(stage: &Path) {
        let mut python = std::process::Command::new(PYTHON);
        let there = cfg!(target_arch = "x86_64") && python.args(["-c", "import ctypes"]).status().is_ok_and(|status| status.success());
        if !there {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "skipped: calls by their numbers: needs {PYTHON} on x86-64");
            return;
        }
        let ran = std::process::Command::new(PYTHON).args(["-c", CALLS]).arg(stage.join("shared")).output().unwrap();
        assert!(ran.status.success() && ran.stdout.is_empty(), "{ran:?}");
    }

    #[test]
    fn a_filtered_process_makes_files_and_changes_only_those() {
        let root = tempfile::tempdir().unwrap();
        let (history, stage) = (root.path().join("history"), root.path().join("stage"));
        lay_out(&history, &stage);
        let since = fs::metadata(&stage).unwrap().created().unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_000_000_000_123_456_789);
        filtered(&stage, since, || {
            writing_reaches_only_new_files(&stage);
            changing_reaches_only_what_is_of_the_push(&history, &stage, time);
            there_is_no_network_and_nobody_else();
            what_cannot_be_said_in_rust_is_refused_too(&stage);
        });
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&stage.join("twin")), mode(&stage)), (0o755, 0o755));
        assert_eq!(fs::metadata(stage.join("twin")).unwrap().modified().unwrap(), time);
        assert_eq!(xattr::get(stage.join("new"), "user.note").unwrap().unwrap(), vec![7; 3000]);
        assert_eq!(xattr::list(stage.join("new")).unwrap().count(), 1);
        for name in ["old", "alone"] {
            assert_eq!(mode(&history.join(name)), 0o600);
            assert_eq!(fs::read_to_string(history.join(name)).unwrap(), "history");
            assert_eq!(xattr::list(history.join(name)).unwrap().count(), 0);
            assert_ne!(fs::metadata(history.join(name)).unwrap().modified().unwrap(), time);
        }
    }
}
