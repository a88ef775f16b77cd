//! The system calls that rsync has no use for are taken away, and those that could change history are handed to the gate
//! (seccomp(2), seccomp_unotify(2)). The other half of the jail: Landlock guards what a path leads to, this guards what is
//! done with it.
//!
//! No way of the kernel to change a file that exists may be left out: each is denied, or asked of the gate.

mod denied;
mod program;
mod supervise;

use std::fmt::Display;
use std::os::fd::RawFd;

use libseccomp::error::SeccompError;
use libseccomp::{ScmpAction, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use nix::libc::{self, c_long};

use crate::decide::cell::Filter;
use crate::decide::supervision::Call;

use denied::denied;
use program::{MACHINE, program};
pub use supervise::supervise;

/// A descriptor on which the gate is asked.
pub type Listener = RawFd;

/// A filter that holds. What the calls come in on is closed with it, so it has to be kept until that is handed over.
#[must_use]
pub struct Installed {
    asking: Option<ScmpFilterContext>,
}

/// Filters the calls of this thread and whatever it starts or becomes.
///
/// # Errors
/// With what did not work, for the administrator.
pub fn install(filter: Filter) -> Result<Installed, String> {
    let machine = MACHINE.ok_or_else(|| failed(&"this kind of processor is not known to it"))?;
    let program = program(machine, &denied(filter)).ok_or_else(|| failed(&"it is too long"))?;
    // The one that asks comes first: after the other no filter is added any more. Of two answers the kernel takes the stricter, and
    // a denial is stricter than a question.
    let asking = (filter == Filter::History).then(asking).transpose().map_err(|error| failed(&error))?;
    seccompiler::apply_filter(&program).map_err(|error| failed(&error))?;
    Ok(Installed { asking })
}

impl Installed {
    /// What the supervised calls come in on; `None` where there is no history.
    ///
    /// # Errors
    /// When the kernel gave none.
    pub fn listener(&self) -> Result<Option<Listener>, String> {
        self.asking.as_ref().map(ScmpFilterContext::get_notify_fd).transpose().map_err(|error| failed(&error))
    }
}

fn failed(error: &dyn Display) -> String {
    format!("the filter of system calls: {error}")
}

/// The calls that the gate is asked about: changes of metadata, and where something is appended to, because rsync opens its log
/// so. The library is here for the descriptor that they come in on.
fn asking() -> Result<ScmpFilterContext, SeccompError> {
    let number = |call: c_long| ScmpSyscall::from(i32::try_from(call).unwrap_or(NO_CALL));
    let mut filter = ScmpFilterContext::new(ScmpAction::Allow)?;
    // A tree and not a list: the kernel runs it for every call there is when it is loaded.
    filter.set_ctl_optimize(2)?;
    for (call, _) in SUPERVISED {
        filter.add_rule(ScmpAction::Notify, number(*call))?;
    }
    for (call, flags) in OPENING {
        let [mask, value] = [APPENDING_LOOKS_AT, APPENDING].map(|bits| u64::from(bits.cast_unsigned()));
        let appends = ScmpArgCompare::new(*flags, ScmpCompareOp::MaskedEqual(mask), value);
        filter.add_rule_conditional(ScmpAction::Notify, number(*call), &[appends])?;
    }
    filter.load()?;
    Ok(filter)
}

/// What libseccomp takes no rule for (`__NR_SCMP_ERROR`, seccomp.h).
const NO_CALL: i32 = -1;

/// The supervised calls with their numbers on this processor. The kernel's newest one is not in libc yet.
#[rustfmt::skip]
const SUPERVISED: &[(c_long, Call)] = &[
    (libc::SYS_fchmod, Call::Fchmod), (libc::SYS_fchmodat, Call::Fchmodat), (FCHMODAT2, Call::Fchmodat2),
    (libc::SYS_fchown, Call::Fchown), (libc::SYS_fchownat, Call::Fchownat), (libc::SYS_utimensat, Call::Utimensat),
    (libc::SYS_setxattr, Call::Setxattr), (libc::SYS_lsetxattr, Call::Lsetxattr), (libc::SYS_fsetxattr, Call::Fsetxattr),
    (libc::SYS_removexattr, Call::Removexattr), (libc::SYS_lremovexattr, Call::Lremovexattr),
    (libc::SYS_fremovexattr, Call::Fremovexattr),
    #[cfg(target_arch = "x86_64")] (libc::SYS_chmod, Call::Chmod),
    #[cfg(target_arch = "x86_64")] (libc::SYS_chown, Call::Chown),
    #[cfg(target_arch = "x86_64")] (libc::SYS_lchown, Call::Lchown),
    #[cfg(target_arch = "x86_64")] (libc::SYS_utime, Call::Utime),
    #[cfg(target_arch = "x86_64")] (libc::SYS_utimes, Call::Utimes),
    #[cfg(target_arch = "x86_64")] (libc::SYS_futimesat, Call::Futimesat),
];
const FCHMODAT2: c_long = 452;

/// The calls that open a file, each with the number of the argument that says how.
const OPENING: &[(c_long, u32)] = &[
    (libc::SYS_openat, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 1),
];

/// How rsync opens its log, and the bits that tell. Everything else that writes to a file that exists is denied.
const APPENDING: libc::c_int = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND;
const APPENDING_LOOKS_AT: libc::c_int = libc::O_ACCMODE | libc::O_CREAT | libc::O_EXCL | libc::O_APPEND | libc::O_TRUNC;

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
                send.send(installed.listener().unwrap().unwrap()).unwrap();
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
