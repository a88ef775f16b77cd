//! Which calls rsync may make, as rules.
//!
//! What is allowed is a list: what rsync 3.2.3 to 3.5.0 call (traced over their options and ways to
//! fail), and what the C libraries glibc and musl may call in their stead, on a kernel or a
//! processor of another kind. Everything else ends with an error that a program lives with. A call
//! may end the process only where no rsync and no C library could try it in good faith.

use nix::libc::{self, c_int, c_long};

use super::program::{Answer, Rule, Test};
use crate::decide::sandbox::spec::Filter;

/// Calls that are allowed to every rsync, whatever their arguments.
#[rustfmt::skip]
const ALLOWED: &[c_long] = &[
    // Descriptors, and what is read and written through them.
    libc::SYS_read, libc::SYS_write, libc::SYS_readv, libc::SYS_writev, libc::SYS_pread64, libc::SYS_pwrite64, libc::SYS_lseek,
    libc::SYS_close, libc::SYS_close_range, libc::SYS_dup, libc::SYS_dup3, libc::SYS_pipe2, libc::SYS_ftruncate, libc::SYS_fallocate,
    libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_fadvise64,
    #[cfg(target_arch = "x86_64")] libc::SYS_dup2,
    #[cfg(target_arch = "x86_64")] libc::SYS_pipe,
    // Waiting for them.
    libc::SYS_ppoll, libc::SYS_pselect6,
    #[cfg(target_arch = "x86_64")] libc::SYS_poll,
    #[cfg(target_arch = "x86_64")] libc::SYS_select,
    // Looking at files and directories. What is seen there, Landlock and the view decide.
    libc::SYS_fstat, libc::SYS_newfstatat, libc::SYS_statx, libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_faccessat, libc::SYS_faccessat2,
    libc::SYS_readlinkat, libc::SYS_getdents64, libc::SYS_getcwd, libc::SYS_chdir, libc::SYS_fchdir,
    #[cfg(target_arch = "x86_64")] libc::SYS_stat,
    #[cfg(target_arch = "x86_64")] libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")] libc::SYS_access,
    #[cfg(target_arch = "x86_64")] libc::SYS_readlink,
    // Making names, moving and removing them. A FIFO or a socket is a thing that rsync before 3.5.0
    // stores: Landlock has the say. A link is asked about by the filter that asks.
    libc::SYS_mkdirat, libc::SYS_mknodat, libc::SYS_symlinkat, libc::SYS_linkat, libc::SYS_unlinkat, libc::SYS_umask,
    #[cfg(not(target_arch = "riscv64"))] libc::SYS_renameat,
    #[cfg(target_arch = "x86_64")] libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")] libc::SYS_mknod,
    #[cfg(target_arch = "x86_64")] libc::SYS_symlink,
    #[cfg(target_arch = "x86_64")] libc::SYS_link,
    #[cfg(target_arch = "x86_64")] libc::SYS_rename,
    #[cfg(target_arch = "x86_64")] libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")] libc::SYS_rmdir,
    // Metadata.
    libc::SYS_fchmod, libc::SYS_fchmodat, FCHMODAT2, libc::SYS_fchown, libc::SYS_fchownat, libc::SYS_utimensat,
    libc::SYS_getxattr, libc::SYS_lgetxattr, libc::SYS_fgetxattr, libc::SYS_listxattr, libc::SYS_llistxattr, libc::SYS_flistxattr,
    libc::SYS_setxattr, libc::SYS_lsetxattr, libc::SYS_fsetxattr, libc::SYS_removexattr, libc::SYS_lremovexattr, libc::SYS_fremovexattr,
    #[cfg(target_arch = "x86_64")] libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")] libc::SYS_chown,
    #[cfg(target_arch = "x86_64")] libc::SYS_lchown,
    #[cfg(target_arch = "x86_64")] libc::SYS_utime,
    #[cfg(target_arch = "x86_64")] libc::SYS_utimes,
    #[cfg(target_arch = "x86_64")] libc::SYS_futimesat,
    // Starting, becoming a program, ending, and the children. The filter is loaded by what has yet
    // to become rsync; what it may become later, Landlock decides.
    libc::SYS_execve, libc::SYS_exit, libc::SYS_exit_group, libc::SYS_wait4, libc::SYS_waitid,
    // This is how musl forks.
    #[cfg(target_arch = "x86_64")] libc::SYS_fork,
    // Who and where it is: nothing of this changes anything.
    libc::SYS_getpid, libc::SYS_getppid, libc::SYS_gettid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid,
    libc::SYS_getgroups, libc::SYS_uname, libc::SYS_getrusage, libc::SYS_getcpu,
    // How much memory a sort may take, and how many processors there are to allocate for, to glibc.
    libc::SYS_sysinfo, libc::SYS_sched_getaffinity,
    #[cfg(target_arch = "x86_64")] libc::SYS_getrlimit,
    // Signals. `raise` and `abort` send them to a thread; to what else they may go, Landlock
    // decides from Linux 6.12 on.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn, libc::SYS_rt_sigsuspend, libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack, libc::SYS_restart_syscall,
    #[cfg(target_arch = "x86_64")] libc::SYS_pause,
    // Time, where the kernel gives a process no page to read it from.
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_gettimeofday, libc::SYS_nanosleep, libc::SYS_clock_nanosleep,
    #[cfg(target_arch = "x86_64")] libc::SYS_time,
    // Memory.
    libc::SYS_brk, libc::SYS_mprotect, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_madvise,
    // Threads, which zstd has, and what a C library does when a program or a thread starts.
    libc::SYS_futex, libc::SYS_set_robust_list, libc::SYS_set_tid_address, libc::SYS_rseq, libc::SYS_membarrier, libc::SYS_sched_yield,
    libc::SYS_getrandom,
    #[cfg(target_arch = "x86_64")] libc::SYS_arch_prctl,
    #[cfg(target_arch = "riscv64")] RISCV_HWPROBE,
    #[cfg(target_arch = "riscv64")] RISCV_FLUSH_ICACHE,
];

/// Calls that are allowed as well where there is no history: there the names of owners may have to
/// be asked of a service, by the C library's modules (nscd, sssd, winbind, nslcd and
/// systemd-userdbd all listen on a socket of this machine).
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

/// Calls that send a signal: to each process by itself, as rsync ends its other one.
const SIGNALS: &[c_long] = &[libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill];

/// Whom no signal may reach: other groups and everybody; and the gate, which nobody outlives who is
/// still looked after.
pub(super) fn spared(gate: u32) -> [Test; 2] {
    [any(0, c_int::MIN), Test { value: gate, ..equal(0, -1, 0) }]
}

/// Calls that are allowed but for some arguments.
#[rustfmt::skip]
const ALLOWED_BUT: &[(c_long, &[Test])] = &[
    #[cfg(target_arch = "x86_64")] (libc::SYS_open, &[any(1, NAMELESS), equal(1, libc::O_ACCMODE, libc::O_ACCMODE), equal(1, EMPTYING, libc::O_TRUNC)]),
    // rsync's own two processes talk over a pair of streams. Another type could send to a socket
    // with a name, and for another family the kernel would load a module.
    (libc::SYS_socketpair, &[other(0, !0, libc::AF_UNIX), other(1, 0xf, libc::SOCK_STREAM)]),
    // Threads and children of the usual kind: no namespaces, no tracing, no child of somebody
    // else's.
    (libc::SYS_clone, &[any(0, !USUAL_CHILD)]),
    // Memory that is shared with nobody. The tables of the C library that are mapped so are read
    // where that fails.
    (libc::SYS_mmap, &[any(3, libc::MAP_SHARED)]),
    // A name may move, and what stands in its place may stay, but not be exchanged or leave a
    // device behind.
    (libc::SYS_renameat2, &[any(4, !RENAME_NOREPLACE)]),
    // Its own limits it may lower, the gate's it may not.
    (libc::SYS_prlimit64, &[any(0, -1)]),
];

/// Calls that are allowed only with these arguments.
const ALLOWED_WITH: &[(c_long, &[Test])] = &[
    // Whether it is a terminal, how wide that is, how much there is to read. Many another changes a
    // file, or what it is on.
    (libc::SYS_ioctl, &[only(1, -1, TCGETS), only(1, -1, TCGETS2), only(1, -1, TIOCGWINSZ), only(1, -1, FIONREAD)]),
    // The first four: copies of descriptors and flags. No leases, notices or signals, which would
    // come from others' files.
    (libc::SYS_fcntl, &[only(1, !3, 0), only(1, -1, libc::F_SETFL), only(1, -1, libc::F_DUPFD_CLOEXEC)]),
];

/// Sockets of this machine, and none of the network: to TCP alone Landlock would see.
const SOCKETS: (c_long, &[Test]) = (libc::SYS_socket, &[only(0, -1, libc::AF_UNIX)]);

/// Calls that end the process: other processes' memory, files by their number, mounts, and the
/// parts of the kernel that attackers like. Whoever tries one is not rsync any more.
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

// The kernel's numbers that are not in libc, or not for every processor.
const FCHMODAT2: c_long = 452;
const OPEN_TREE_ATTR: c_long = 467;
const KEXEC_FILE_LOAD: c_long = if cfg!(target_arch = "x86_64") { 320 } else { 294 };
#[cfg(target_arch = "riscv64")]
const RISCV_HWPROBE: c_long = 258;
#[cfg(target_arch = "riscv64")]
const RISCV_FLUSH_ICACHE: c_long = 259;

/// `RENAME_NOREPLACE` (renameat2(2)), which musl's constants have no name for.
const RENAME_NOREPLACE: c_int = 1;

/// Requests of ioctl(2), whose numbers have another type in each C library. The second is how glibc
/// 2.42 asks for the first.
const TCGETS: c_int = 0x5401;
const TCGETS2: c_int = 0x802c_542a_u32.cast_signed();
const TIOCGWINSZ: c_int = 0x5413;
const FIONREAD: c_int = 0x541b;

/// The flag of open(2) for a file without a name, which nobody who counts names would find. The
/// other part of libc's word for it is a flag of its own. The third mode of opening is for ioctl(2)
/// alone, and is granted on what may not be written to.
const NAMELESS: c_int = libc::O_TMPFILE & !libc::O_DIRECTORY;

/// How a file is not opened.
const OPENING: [Test; 3] = [any(2, NAMELESS), equal(2, libc::O_ACCMODE, libc::O_ACCMODE), equal(2, EMPTYING, libc::O_TRUNC)];

/// The same in a view, where the last one is in vain. It is how glibc before 2.39 begins to set a
/// mode that no symlink may be followed to (`fchmodat`): it goes on by /proc, which is not there,
/// so that rsync does without in the end, for each file again. Told that the kernel does not know
/// it, rsync does so from the first file on (`do_chmod` in its syscall.c).
const OPENING_IN_VIEW: [Test; 4] = {
    let [nameless, neither, emptying] = OPENING;
    [nameless, neither, emptying, Test { then: Answer::NotKnown, ..equal(2, -1, libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC) }]
};

/// Opening for reading that empties the file all the same: before Linux 6.2 Landlock has no word
/// against it.
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

/// The rules for such a filter, in a view or not, each with the number of its call and in the order
/// of those.
pub(super) fn rules(which: Filter, view: bool, spared: &[Test; 2]) -> Vec<(c_long, Rule<'_>)> {
    let always = |answer| move |number: &c_long| (*number, Rule::always(answer));
    let but = |answer| move |(number, unless): &(c_long, &'static [Test])| (*number, Rule { answer, unless });
    let mut rules: Vec<(c_long, Rule<'_>)> = ALLOWED.iter().map(always(Answer::Allow)).collect();
    let signal = Rule { answer: Answer::Allow, unless: spared };
    rules.extend(SIGNALS.iter().map(|number| (*number, signal)));
    rules.push((libc::SYS_openat, Rule { answer: Answer::Allow, unless: if view { &OPENING_IN_VIEW } else { &OPENING } }));
    rules.extend(ALLOWED_BUT.iter().map(but(Answer::Allow)));
    rules.extend(ALLOWED_WITH.iter().map(but(Answer::NotPermitted)));
    if which == Filter::Plain {
        rules.extend(TO_ASK_FOR_NAMES.iter().map(always(Answer::Allow)));
        rules.push(but(Answer::NotPermitted)(&SOCKETS));
    }
    rules.extend(DEADLY.iter().map(always(Answer::End)));
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
