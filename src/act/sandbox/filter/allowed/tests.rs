//! The list as it stands, and as a process lives with it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::UdpSocket;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use super::super::program::{MACHINE, program};
use super::*;

#[test]
fn no_call_has_two_rules() {
    for (filter, view) in
        [(Filter::Plain, false), (Filter::History, false), (Filter::History, true), (Filter::Reader, true), (Filter::Browse, true)]
    {
        let numbers: Vec<_> = rules(filter, view, &spared(1)).iter().map(|(number, _)| *number).collect();
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        assert!(numbers.len() > 90, "{numbers:?}");
    }
}

/// Runs `probe` on a thread with the filter.
fn filtered(filter: Filter, view: bool, probe: impl FnOnce() + Send) {
    let program = program(MACHINE.unwrap(), &rules(filter, view, &spared(std::os::unix::process::parent_id()))).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            seccompiler::apply_filter(&program).unwrap();
            probe();
        });
    });
}

fn refused<T: std::fmt::Debug>(attempts: impl IntoIterator<Item = io::Result<T>>) {
    for (number, attempt) in attempts.into_iter().enumerate() {
        assert_eq!(attempt.unwrap_err().raw_os_error(), Some(libc::EPERM), "attempt {number}");
    }
}

#[test]
fn files_are_made_and_threads_and_pairs_but_nobody_is_spoken_to() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name| directory.path().join(name);
    let _service = UnixListener::bind(path("service")).unwrap();
    filtered(Filter::History, true, || {
        fs::write(path("file"), "x").unwrap();
        fs::rename(path("file"), path("moved")).unwrap();
        fs::hard_link(path("moved"), path("twin")).unwrap();
        assert_eq!(std::thread::spawn(|| 7).join().unwrap(), 7);
        UnixStream::pair().unwrap();
        refused([UnixStream::connect(path("service")).map(drop), UdpSocket::bind("127.0.0.1:0").map(drop)]);
        refused([File::open(path("moved")).unwrap().lock()]);
    });
    // Names may have to be asked for, of what listens on this machine.
    filtered(Filter::Plain, false, || {
        UnixStream::connect(path("service")).unwrap();
        refused([UdpSocket::bind("127.0.0.1:0")]);
    });
}

#[test]
fn one_that_browses_reads_and_does_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("file"), "x").unwrap();
    fs::create_dir(path("empty")).unwrap();
    std::os::unix::fs::symlink("file", path("link")).unwrap();
    filtered(Filter::Browse, true, || {
        assert_eq!(fs::read(path("file")).unwrap(), b"x");
        assert_eq!(fs::read_link(path("link")).unwrap(), std::path::Path::new("file"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
        refused([
            fs::create_dir(path("new")),
            fs::remove_dir(path("empty")),
            fs::remove_file(path("file")),
            fs::rename(path("file"), path("other")),
            fs::hard_link(path("file"), path("other")),
            std::os::unix::fs::symlink("x", path("other")),
            fs::set_permissions(path("file"), std::os::unix::fs::PermissionsExt::from_mode(0o777)),
            std::os::unix::fs::chown(path("file"), Some(0), None),
            File::open(path("file")).unwrap().set_modified(std::time::UNIX_EPOCH),
            File::open(path("file")).unwrap().set_len(0),
            UnixStream::pair().map(drop),
        ]);
        assert!(Command::new("/bin/true").status().is_err());
        assert!(std::thread::Builder::new().spawn(|| ()).is_err());
        assert_eq!(nix::sys::prctl::set_name(c"x"), Err(nix::Error::EPERM));
    });
}

#[test]
fn what_leads_to_proc_is_not_known_where_there_is_none_and_else_is_as_ever() {
    use nix::fcntl::{OFlag, open};
    use nix::sys::stat::Mode;

    let directory = tempfile::tempdir().unwrap();
    let path = |flags| open(directory.path(), OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | flags, Mode::empty()).map(drop);
    for (view, answer) in [(true, Err(nix::Error::ENOSYS)), (false, Ok(()))] {
        filtered(Filter::History, view, || assert_eq!((path(OFlag::empty()), path(OFlag::O_DIRECTORY)), (answer, Ok(()))));
    }
}

/// Calls by their numbers on x86-64, and what these are on 32-bit ARM, with arguments that would reach the kernel's own checks where
/// those count, and how each ends: `P` is not permitted, `N` is not known, `K` ends the process;
/// anything else is what the kernel says.
const CALLS: &str = r#"
import ctypes, errno, os, signal, sys
call = ctypes.CDLL(None, use_errno=True).syscall
history = sys.argv[1] == 'history'
os.chdir(sys.argv[2])
old, buffer = b'old', ctypes.create_string_buffer(4096)
long = ctypes.c_ulong
AT, FULL = ctypes.c_long(-100), long(0xffffffff)
P, N, K = errno.EPERM, errno.ENOSYS, 'end'
# Calls whose arguments nobody comes to look at.
ended = dict(
    ptrace=101, process_vm_writev=311, open_by_handle_at=304, bpf=321, perf_event_open=298, userfaultfd=323, keyctl=250, add_key=248,
    request_key=249, io_uring_setup=425, io_uring_enter=426, io_uring_register=427, mount=165, umount2=166, pivot_root=155,
    open_tree=428, move_mount=429, fsopen=430, fsconfig=431, fsmount=432, fspick=433, mount_setattr=442, open_tree_attr=467,
    init_module=175, finit_module=313, delete_module=176, kexec_load=246, kexec_file_load=320,
)
unknown = dict(
    clone3=435, pidfd_open=434, pidfd_getfd=438, pidfd_send_signal=424, process_madvise=440, landlock_create_ruleset=444,
    memfd_secret=447, openat2=437, setxattrat=463, removexattrat=466, file_setattr=469,
)
both = [(name, K, number, *[0] * 6) for name, number in ended.items()]
both += [(name, N, number, *[0] * 6) for name, number in unknown.items()]
both += [
    ('unshare of nothing', P, 272, 0),
    ('unshare NEWNS', P, 272, 0x20000),
    ('setns', P, 308, 0, 0),
    ('chroot', P, 161, b'/'),
    ('clone NEWNS', P, 56, 0x20011, 0, 0, 0, 0),
    ('clone NEWUSER', P, 56, 0x10000011, 0, 0, 0, 0),
    ('clone PARENT', P, 56, 0x8011, 0, 0, 0, 0),
    ('clone PTRACE', P, 56, 0x2011, 0, 0, 0, 0),
    ('execveat', P, 322, AT, b'nothing', 0, 0, 0),
    ('process_vm_readv', P, 310, 1, buffer, 1, buffer, 1, 0),
    ('kill everybody', P, 62, ctypes.c_long(-1), 0),
    ('the same with the upper half empty', P, 62, FULL, 0),
    ('kill a group', P, 62, ctypes.c_long(-os.getpid()), 0),
    ('kill itself', 0, 62, os.getpid(), 0),
    ('rt_sigqueueinfo', P, 129, os.getpid(), 0, buffer),
    ('setsid', P, 112),
    ('setpgid', P, 109, 0, 0),
    ('setuid', P, 105, 0),
    ('setpriority', P, 141, 0, 0, 0),
    ('ioprio_set', P, 251, 1, 0, 0),
    ('sched_setaffinity of another', P, 203, 1, 8, buffer),
    ('sched_setscheduler', P, 144, 0, 0, buffer),
    ('prlimit64 of another', P, 302, 1, 7, 0, buffer),
    ('prlimit64', 0, 302, 0, 7, 0, buffer),
    ('prctl PDEATHSIG', P, 157, 1, 0, 0, 0, 0),
    ('prctl DUMPABLE', P, 157, 4, 1, 0, 0, 0),
    ('seccomp', P, 317, 2, 0, buffer),
    ('personality', P, 135, FULL),
    ('modify_ldt', P, 154, 0, buffer, 16),
    ('iopl', P, 172, 0),
    ('capset', P, 126, buffer, buffer),
    ('reboot', P, 169, 0, 0, 0, 0),
    ('quotactl', P, 179, 0, b'/', 0, 0),
    ('clock_settime', P, 227, 0, buffer),
    ('shmget', P, 29, 0, 4096, 0o1600),
    ('shmat', P, 30, 0, 0, 0),
    ('semget', P, 64, 0, 1, 0o1600),
    ('msgget', P, 68, 0, 0o1600),
    ('mq_open', P, 240, b'queue', 0o102, 0o600, 0),
    ('memfd_create', P, 319, b'x', 0),
    ('mmap SHARED', P, 9, 0, long(4096), 3, 0x21, -1, long(0)),
    ('mmap SHARED_VALIDATE', P, 9, 0, long(4096), 3, 0x23, -1, long(0)),
    ('remap_file_pages', P, 216, 0, 4096, 0, 0, 0),
    ('io_setup', P, 206, 1, buffer),
    ('epoll_create1', P, 291, 0),
    ('inotify_init1', P, 294, 0),
    ('fanotify_init', P, 300, 0, 0),
    ('timer_create', P, 222, 0, 0, buffer),
    ('eventfd2', P, 290, 0, 0),
    ('splice', P, 275, 0, 0, 0, 0, 0, 0),
    ('sendfile', P, 40, 1, 0, 0, 0),
    ('a call of the future', N, 511),
    ('another', N, 100000),
    ('name_to_handle_at', P, 303, AT, old, buffer, buffer, 0),
    ('truncate', P, 76, old, 0),
    ('creat', P, 85, old, 0o600),
    ('flock', P, 73, 0, 8),
    ('open TMPFILE', P, 2, b'.', 0o20200002, 0o600),
    ('openat TMPFILE', P, 257, AT, b'.', 0o20200002, 0o600),
    ('open with mode 3', P, 2, b'.', 3),
    ('openat with mode 3', P, 257, AT, b'.', 0o2003, 0),
    ('renameat2 EXCHANGE', P, 316, AT, old, AT, b'.', 2),
    ('renameat2 WHITEOUT', P, 316, AT, old, AT, b'x', 4),
    ('renameat2 NOREPLACE', errno.EEXIST, 316, AT, old, AT, b'.', 1),
    ('ioctl FS_IOC_SETFLAGS', P, 16, 0, long(0x40086602), buffer),
    ('the same in 64 bits', P, 16, 0, long(0xdead000040086602), buffer),
    ('ioctl FICLONE', P, 16, 1, long(0x40049409), 0),
    ('ioctl TIOCSTI', P, 16, 0, long(0x5412), b'x'),
    ('ioctl TCGETS', errno.EBADF, 16, 1000, long(0x5401), buffer),
    ('fcntl SETOWN', P, 72, 0, 8, os.getpid()),
    ('fcntl SETSIG', P, 72, 0, 10, 0),
    ('fcntl SETLK', P, 72, 0, 6, buffer),
    ('fcntl SETLEASE', P, 72, 0, 1024, 2),
    ('fcntl NOTIFY', P, 72, 0, 1026, 2),
    ('fcntl SETPIPE_SZ', P, 72, 0, 1031, 4096),
    ('socketpair DGRAM', P, 53, 1, 2, 0, buffer),
    ('socketpair SEQPACKET', P, 53, 1, 5, 0, buffer),
    ('socketpair INET', P, 53, 2, 1, 0, buffer),
    ('socketpair TIPC', P, 53, 30, 1, 0, buffer),
    ('socketpair UNIX', 0, 53, 1, 1, 0, buffer),
    ('socket INET', P, 41, 2, 1, 0),
    ('socket NETLINK', P, 41, 16, 3, 0),
    ('bind', P, 49, -1, buffer, 8),
    ('listen', P, 50, -1, 1),
]
of_history = [
    ('socket UNIX', P, 41, 1, 1, 0),
    ('connect', P, 42, -1, buffer, 8),
    ('sendto', P, 44, -1, buffer, 1, 0, 0, 0),
    ('sendmsg', P, 46, -1, buffer, 0),
    ('recvmsg', P, 47, -1, buffer, 0),
]
# Numbers from 424 on are the same everywhere; what is not here ARM has not.
arm = {
    2: 5, 9: 192, 16: 54, 29: 307, 30: 305, 40: 187, 41: 281, 42: 283, 44: 290, 46: 296, 47: 297, 49: 282, 50: 284, 53: 288, 56: 120,
    62: 37, 64: 299, 68: 303, 72: 55, 73: 143, 76: 92, 85: 8, 101: 26, 105: 213, 109: 57, 112: 66, 126: 185, 129: 178, 135: 136, 141: 97,
    144: 156, 155: 218, 157: 172, 161: 61, 165: 21, 166: 52, 169: 88, 175: 128, 176: 129, 179: 131, 203: 241, 206: 243, 216: 253,
    222: 257, 227: 262, 240: 274, 246: 347, 248: 309, 249: 310, 250: 311, 251: 314, 257: 322, 272: 337, 275: 340, 290: 356, 291: 357,
    294: 360, 298: 364, 300: 367, 302: 369, 303: 370, 304: 371, 308: 375, 310: 376, 311: 377, 313: 379, 316: 382, 317: 383, 319: 385,
    320: 401, 321: 386, 322: 387, 323: 388,
}
if ctypes.sizeof(long) == 4:
    both = [(name, answer, arm.get(number, number), *words) for name, answer, number, *words in both if number in arm or number >= 424]
    of_history = [(name, answer, arm[number], *words) for name, answer, number, *words in of_history]
    # Calls in another form, and those that have had others in them.
    both += [
        ('fcntl64 SETOWN', P, 221, 0, 8, os.getpid()),
        ('fcntl64 SETLK64', P, 221, 0, 13, buffer),
        ('fcntl64 OFD_SETLK', P, 221, 0, 37, buffer),
        ('fcntl64 SETLEASE', P, 221, 0, 1024, 2),
        ('fcntl64 GETFL', 0, 221, 1, 3, 0),
        ('truncate64', P, 193, old, 0, 0, 0),
        ('setuid of 16 bits', P, 23, 0),
        ('setreuid', P, 203, 0, 0),
        ('clock_settime64', P, 404, 0, buffer),
        ('semtimedop_time64', P, 420, 0, buffer, 1, 0),
        ('socketcall', P, 102, 1, buffer),
        ('ipc', P, 117, 0, 0, 0, 0, 0),
        ('syscall', P, 113, 21, 0, 0, 0, 0),
        ('old mmap', P, 90, buffer),
        ('old select', P, 82, buffer),
        ('vfork', P, 190),
        ('a private call', N, 0xf0004),
    ]
    of_history += [('send', P, 289, -1, buffer, 1, 0), ('recv', P, 291, -1, buffer, 1, 0), ('setsockopt', P, 294, -1, 1, 2, buffer, 4)]
def tried(words):
    ctypes.set_errno(0)
    result = call(*words)
    return ctypes.get_errno() if result == -1 else 0
for name, expected, *words in both + (of_history if history else []):
    if expected == K:
        child = os.fork()
        if child == 0:
            tried(words)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        found = K if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSYS else 'no end'
    else:
        found = tried(words)
    if found != expected:
        print(name, 'ended with', errno.errorcode.get(found, found))
"#;

/// The system's own: another one may be a script with a shell of its own.
const PYTHON: &str = "/usr/bin/python3";

#[test]
fn what_cannot_be_said_in_rust_is_refused_too() {
    let mut python = Command::new(PYTHON);
    let numbered = cfg!(any(target_arch = "x86_64", target_arch = "arm"));
    let there = numbered && python.args(["-c", "import ctypes"]).status().is_ok_and(|status| status.success());
    if !there {
        let _ = writeln!(io::stderr(), "skipped: calls by their numbers: needs {PYTHON} on x86-64 or 32-bit ARM");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("old"), "x").unwrap();
    for (filter, name) in [(Filter::History, "history"), (Filter::Plain, "plain")] {
        // Into a file: from a pipe std reads in a way of its own.
        let said = directory.path().join(name);
        let out = File::create(&said).unwrap();
        filtered(filter, false, || {
            let status = Command::new(PYTHON).args(["-c", CALLS, name]).arg(directory.path()).stdout(out).status().unwrap();
            assert!(status.success(), "{name}: {status:?}");
        });
        assert_eq!(fs::read_to_string(said).unwrap(), "", "{name}");
    }
}
