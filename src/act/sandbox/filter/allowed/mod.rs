//! Which calls rsync may make, as rules.
//!
//! The calls that rsync 3.2.3 to 3.5.0 makes (traced over its options and ways to fail), and those
//! that glibc and musl may make in their stead on other kernels or processors. Everything else
//! fails with an error that programs live with. A call ends the process only if no rsync and no C
//! library makes it in good faith.

mod kinds;

use nix::libc::{self, c_int, c_long};

use kinds::{FADVISE, FCHMODAT2, FIRST, FIRST_CHANGES, FSTATAT, KEXEC_FILE_LOAD, MMAP, OPEN_TREE_ATTR, OWN, TWICE};

use super::program::{Answer, Rule, Test};
use crate::decide::sandbox::spec::Filter;

/// Calls that are allowed to every rsync, whatever their arguments.
#[rustfmt::skip]
const ALLOWED: &[c_long] = &[
    // Descriptors, and what is read and written through them.
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64, libc::SYS_pwrite64, libc::SYS_lseek,
    libc::SYS_close, libc::SYS_close_range, libc::SYS_dup, libc::SYS_dup3, libc::SYS_pipe2, libc::SYS_ftruncate, libc::SYS_fallocate,
    libc::SYS_fsync, libc::SYS_fdatasync, FADVISE,
    // Waiting for them.
    libc::SYS_ppoll, libc::SYS_pselect6,
    // Looking at files and directories. What is seen there, Landlock and the view decide.
    libc::SYS_fstat, FSTATAT, libc::SYS_statx, libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_faccessat, libc::SYS_faccessat2,
    libc::SYS_readlinkat, libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_chdir, libc::SYS_fchdir,
    // Making, moving and removing names. Landlock decides about FIFOs and sockets, which rsync
    // before 3.5.0 stores. The asking half handles links.
    libc::SYS_mkdirat, libc::SYS_mknodat, libc::SYS_symlinkat, libc::SYS_linkat, libc::SYS_unlinkat, libc::SYS_umask,
    #[cfg(not(target_arch = "riscv64"))] libc::SYS_renameat,
    // Metadata.
    libc::SYS_fchmod, libc::SYS_fchmodat, FCHMODAT2, libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_utimensat,
    libc::SYS_getxattr, libc::SYS_lgetxattr, libc::SYS_fgetxattr, libc::SYS_listxattr, libc::SYS_llistxattr, libc::SYS_flistxattr,
    libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr, libc::SYS_removexattr, libc::SYS_lremovexattr, libc::SYS_fremovexattr,
    // Starting, becoming a program, ending, children. The process that loads the filter has yet to
    // become rsync; Landlock decides what else it may become.
    libc::SYS_execve, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_wait4, libc::SYS_waitid,
    // Who and where it is: nothing of this changes anything.
    libc::SYS_getpid, libc::SYS_getppid, libc::SYS_gettid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid,
    libc::SYS_getgroups, libc::SYS_uname, libc::SYS_getrusage, libc::SYS_getcpu,
    // How much memory a sort may take, and how many processors there are to allocate for, to glibc.
    libc::SYS_sysinfo, libc::SYS_sched_getaffinity,
    // Signals. `raise` and `abort` send them to a thread; Landlock decides about others from Linux
    // 6.12 on.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigsuspend, libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack, libc::SYS_restart_syscall,
    // Time, where the kernel gives a process no page to read it from.
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_gettimeofday, libc::SYS_nanosleep, libc::SYS_clock_nanosleep,
    // Memory.
    libc::SYS_brk, libc::SYS_mprotect, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_madvise,
    // Threads, which zstd has, and what a C library does when a program or a thread starts.
    libc::SYS_futex, libc::SYS_set_robust_list, libc::SYS_set_tid_address, libc::SYS_rseq, libc::SYS_membarrier, libc::SYS_sched_yield,
    libc::SYS_getrandom,
];

/// Allowed besides where there is no history: the C library's modules may ask a service for names
/// of owners there (nscd, sssd, winbind, nslcd and systemd-userdbd all listen on a local socket).
const TO_ASK_FOR_NAMES: &[c_long] = &[
    libc::SYS_connect,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
];

/// Not allowed to one that only reads, and starts nothing.
#[rustfmt::skip]
const CHANGES: &[c_long] = &[
    libc::SYS_ftruncate, libc::SYS_fallocate, libc::SYS_fsync, libc::SYS_fdatasync,
    libc::SYS_mkdirat, libc::SYS_mknodat, libc::SYS_symlinkat, libc::SYS_linkat, libc::SYS_unlinkat, libc::SYS_renameat2,
    #[cfg(not(target_arch = "riscv64"))] libc::SYS_renameat,
    libc::SYS_fchmod, libc::SYS_fchmodat, FCHMODAT2, libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_utimensat,
    libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr, libc::SYS_removexattr, libc::SYS_lremovexattr, libc::SYS_fremovexattr,
    libc::SYS_clone, libc::SYS_socketpair,
];

/// A shared lock, which whoever removes snapshots respects, and no other.
const KEEPS: (c_long, &[Test]) = (libc::SYS_flock, &[only(1, -1, libc::LOCK_SH)]);

/// OpenSSH's sftp-server makes itself unreadable to others when it has all that it needs of the
/// system, and before it reads a byte of the client's (`sftp_server_main` in its sftp-server.c).
const LOADED: (c_long, &[Test]) = (libc::SYS_prctl, &[only(0, -1, libc::PR_SET_DUMPABLE)]);

/// Calls that send a signal: to each process by itself, as rsync ends its other one.
const SIGNALS: &[c_long] = &[libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill];

/// Processes that no signal may reach: other groups, everybody, and the gate, which must outlive
/// rsync.
pub(super) fn spared(gate: u32) -> [Test; 2] {
    [any(0, c_int::MIN), Test { value: gate, ..equal(0, -1, 0) }]
}

/// Calls that are allowed but for some arguments.
#[rustfmt::skip]
const ALLOWED_BUT: &[(c_long, &[Test])] = &[
    #[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
    (libc::SYS_open, &[any(1, NAMELESS), equal(1, libc::O_ACCMODE, libc::O_ACCMODE), equal(1, EMPTYING, libc::O_TRUNC)]),
    // rsync's two processes use a pair of streams. Other types could send to a named socket, and
    // for other families the kernel would load modules.
    (libc::SYS_socketpair, &[other(0, !0, libc::AF_UNIX), other(1, 0xf, libc::SOCK_STREAM)]),
    // Usual threads and children: no namespaces, no tracing, no other parent.
    (libc::SYS_clone, &[any(0, !USUAL_CHILD)]),
    // Private memory. The C library reads its tables if it cannot map them shared.
    (MMAP, &[any(3, libc::MAP_SHARED)]),
    // A rename may spare what is there, but not exchange it or leave a device behind.
    (libc::SYS_renameat2, &[any(4, !RENAME_NOREPLACE)]),
    // Its own limits it may lower, the gate's it may not.
    (libc::SYS_prlimit64, &[any(0, -1)]),
];

/// Calls that are allowed only with these arguments.
const ALLOWED_WITH: &[(c_long, &[Test])] = &[
    // Questions about a terminal and what there is to read. Many others change a file, or its file
    // system.
    (libc::SYS_ioctl, &[only(1, -1, TCGETS), only(1, -1, TCGETS2), only(1, -1, TIOCGWINSZ), only(1, -1, FIONREAD)]),
    // The first four: copies of descriptors, and flags. No leases or signals, which come from
    // others' files.
    (libc::SYS_fcntl, &[only(1, !3, 0), only(1, -1, libc::F_SETFL), only(1, -1, libc::F_DUPFD_CLOEXEC)]),
];

/// Sockets of this machine, and none of the network: to TCP alone Landlock would see.
const SOCKETS: (c_long, &[Test]) = (libc::SYS_socket, &[only(0, -1, libc::AF_UNIX)]);

/// Calls that end the process: other processes' memory, files by their number, mounts, and the
/// parts of the kernel that attackers like. rsync never makes them.
#[rustfmt::skip]
const DEADLY: &[c_long] = &[
    libc::SYS_ptrace, libc::SYS_process_vm_writev, libc::SYS_open_by_handle_at,
    libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key,
    // These do what is done by other calls, past every filter.
    libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_move_mount, libc::SYS_open_tree, OPEN_TREE_ATTR, libc::SYS_fsopen,
    libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick, libc::SYS_mount_setattr,
    libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_kexec_load, KEXEC_FILE_LOAD,
];

/// `RENAME_NOREPLACE` (renameat2(2)), which musl's constants have no name for.
const RENAME_NOREPLACE: c_int = 1;

/// Requests of ioctl(2); C libraries differ in their type. glibc 2.42 asks for the first by the
/// second.
const TCGETS: c_int = 0x5401;
const TCGETS2: c_int = 0x802c_542a_u32.cast_signed();
const TIOCGWINSZ: c_int = 0x5413;
const FIONREAD: c_int = 0x541b;

/// The flag of open(2) for a file without a name, which no count by names would find; libc's
/// constant includes another flag. The third mode of opening is for ioctl(2) alone, and granted
/// even where writing is not.
const NAMELESS: c_int = libc::O_TMPFILE & !libc::O_DIRECTORY;

/// How a file is not opened.
const OPENING: [Test; 3] = [any(2, NAMELESS), equal(2, libc::O_ACCMODE, libc::O_ACCMODE), equal(2, EMPTYING, libc::O_TRUNC)];

/// The same in a view, where the last one fails. glibc before 2.39 begins with it to set a mode
/// without following a symlink (`fchmodat`), and goes on by /proc, which is not there: so for each
/// file again. If the call is unknown, rsync stops trying with the first file (`do_chmod` in its
/// syscall.c).
const OPENING_IN_VIEW: [Test; 4] = {
    let [nameless, neither, emptying] = OPENING;
    [nameless, neither, emptying, Test { then: Answer::NotKnown, ..equal(2, -1, libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC) }]
};

/// Opening for reading that truncates: Landlock cannot deny that before Linux 6.2.
const EMPTYING: c_int = libc::O_ACCMODE | libc::O_TRUNC;

/// What clone(2) is given for a child or a thread by glibc and musl, with any signal for its end.
const USUAL_CHILD: c_int = 0xff
    | libc::CLONE_VM
    | libc::CLONE_VFORK
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_SETTID
    | libc::CLONE_CHILD_CLEARTID
    | libc::CLONE_DETACHED;

/// The rules for a filter, in the order of their calls' numbers.
pub(super) fn rules(which: Filter, view: bool, spared: &[Test; 2]) -> Vec<(c_long, Rule<'_>)> {
    let always = |answer| move |number: &c_long| (*number, Rule::always(answer));
    let but = |answer| move |(number, unless): &(c_long, &'static [Test])| (*number, Rule { answer, unless });
    let allowed = [ALLOWED, FIRST, FIRST_CHANGES, OWN].into_iter().flatten();
    let mut rules: Vec<(c_long, Rule<'_>)> = allowed.map(always(Answer::Allow)).collect();
    let signal = Rule { answer: Answer::Allow, unless: spared };
    rules.extend(SIGNALS.iter().map(|number| (*number, signal)));
    rules.push((libc::SYS_openat, Rule { answer: Answer::Allow, unless: if view { &OPENING_IN_VIEW } else { &OPENING } }));
    rules.extend(ALLOWED_BUT.iter().map(but(Answer::Allow)));
    rules.extend(ALLOWED_WITH.iter().map(but(Answer::NotPermitted)));
    if which == Filter::Plain {
        rules.extend(TO_ASK_FOR_NAMES.iter().map(always(Answer::Allow)));
        rules.push(but(Answer::NotPermitted)(&SOCKETS));
    }
    if which == Filter::Reader {
        rules.push(but(Answer::NotPermitted)(&KEEPS));
    }
    if which == Filter::Browse {
        rules.retain(|(number, _)| !CHANGES.contains(number) && !FIRST_CHANGES.contains(number));
        rules.push(but(Answer::NotPermitted)(&LOADED));
    }
    rules.extend(DEADLY.iter().map(always(Answer::End)));
    for (one, other) in TWICE {
        let rule = rules.iter().find(|(number, _)| number == one).map(|(_, rule)| *rule);
        rules.extend(rule.map(|rule| (*other, rule)));
    }
    rules.sort_by_key(|(number, _)| *number);
    rules
}

/// Not this.
const fn equal(argument: u8, mask: c_int, value: c_int) -> Test {
    Test { argument, mask: mask.cast_unsigned(), value: value.cast_unsigned(), not: false, then: Answer::NotPermitted }
}

/// This.
const fn only(argument: u8, mask: c_int, value: c_int) -> Test {
    Test { then: Answer::Allow, ..equal(argument, mask, value) }
}

/// Not anything but this.
const fn other(argument: u8, mask: c_int, value: c_int) -> Test {
    Test { not: true, ..equal(argument, mask, value) }
}

/// Not any of these bits.
const fn any(argument: u8, bits: c_int) -> Test {
    other(argument, bits, 0)
}

#[cfg(test)]
mod tests;
