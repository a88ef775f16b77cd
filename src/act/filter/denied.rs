//! Which calls are denied whoever asks, as rules.
//!
//! What is denied is a list, because a C library that finds another way to do what rsync needs must not break backups. But every way
//! of the kernel to write to a file that exists has to be in here, or be asked of the gate.

use nix::libc::{self, c_int, c_long};

use super::program::{Rule, Test};
use crate::decide::cell::Filter;

/// Calls that are denied to every rsync.
#[rustfmt::skip]
const DENIED: &[c_long] = &[
    // Other processes, and namespaces, in which a process may do what it may not outside.
    libc::SYS_ptrace, libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_process_madvise, libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd, libc::SYS_pidfd_send_signal, libc::SYS_unshare, libc::SYS_setns, libc::SYS_setpriority, libc::SYS_ioprio_set,
    libc::SYS_sched_setparam, libc::SYS_sched_setscheduler, libc::SYS_sched_setattr,
    // What left its session or group would outlive the deadline.
    libc::SYS_setsid, libc::SYS_setpgid,
    // Another filter could hand calls to somebody else.
    libc::SYS_seccomp,
    // Ways to a file that say nothing of how it is opened.
    libc::SYS_open_by_handle_at, libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register,
    // Parts of the kernel that attackers like and rsync does not know.
    libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key,
    libc::SYS_personality, libc::SYS_fanotify_init, libc::SYS_fanotify_mark,
];

/// Calls that are denied as well where there is no history and capabilities are kept. Where there is, the kernel denies them all
/// to an rsync that has none (`process::give_up_power`), and its file system is still to be put together by some.
#[rustfmt::skip]
const DENIED_TO_POWER: &[c_long] = &[
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_chroot, libc::SYS_move_mount, libc::SYS_open_tree, OPEN_TREE_ATTR,
    libc::SYS_fsopen, libc::SYS_fsconfig, libc::SYS_fsmount, libc::SYS_fspick, libc::SYS_mount_setattr, libc::SYS_kexec_load,
    KEXEC_FILE_LOAD, libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module, libc::SYS_reboot, libc::SYS_swapon,
    libc::SYS_swapoff, libc::SYS_acct, libc::SYS_quotactl, libc::SYS_quotactl_fd, libc::SYS_settimeofday, libc::SYS_clock_settime,
    libc::SYS_adjtimex, libc::SYS_clock_adjtime,
    #[cfg(target_arch = "x86_64")] libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")] libc::SYS_ioperm,
];

/// Calls that are denied as well where there is history: they change a file that exists, or reach other machines and the
/// services of this one. Names of owners, which may have to be asked of a service, do not matter there.
#[rustfmt::skip]
const DENIED_WITH_HISTORY: &[c_long] = &[
    libc::SYS_truncate, libc::SYS_socket, libc::SYS_connect, libc::SYS_bind, libc::SYS_listen,
    #[cfg(target_arch = "x86_64")] libc::SYS_creat,
];

/// Calls that answer as if the kernel did not know them, so that the C library takes the way that can be seen.
const UNKNOWN: &[c_long] = &[libc::SYS_clone3, libc::SYS_openat2, SETXATTRAT, REMOVEXATTRAT, FILE_SETATTR];

// The kernel's numbers that are not in libc yet, the same on every processor from 424 on.
const SETXATTRAT: c_long = 463;
const REMOVEXATTRAT: c_long = 466;
const OPEN_TREE_ATTR: c_long = 467;
const FILE_SETATTR: c_long = 469;
const KEXEC_FILE_LOAD: c_long = if cfg!(target_arch = "x86_64") { 320 } else { 294 };

/// Flags of clone(2) that make namespaces.
const NAMESPACES: &[Test] = &[any(
    0,
    libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP,
)];

/// The one that is the way to all others for whoever has no capabilities (user_namespaces(7)).
const NEW_USERS: &[Test] = &[any(0, libc::CLONE_NEWUSER)];

/// Kinds of requests of ioctl(2), the second byte of their number: flags, versions, verity and encryption of files, exchange of
/// content, freezing, copies and subvolumes, block devices, networks.
#[rustfmt::skip]
const REQUESTS: &[Test] = &[
    equal(1, 0xff00, 0x6600), equal(1, 0xff00, 0x7600), equal(1, 0xff00, 0x5800), equal(1, 0xff00, 0x9400), equal(1, 0xff00, 0x1200),
    equal(1, 0xff00, 0x8900),
];

/// Types of socketpair(2) that could send to a socket with a name; rsync's own are streams.
const DATAGRAMS: &[Test] = &[equal(1, 0xf, libc::SOCK_DGRAM), equal(1, 0xf, libc::SOCK_SEQPACKET), equal(1, 0xf, libc::SOCK_RAW)];

/// Another process, to prlimit(2): its own limits it may lower, the gate's it may not.
const SOMEBODY_ELSE: &[Test] = &[any(0, -1)];

/// The rules for such a filter, in the order of the calls' numbers.
pub(super) fn denied(which: Filter) -> Vec<Rule<'static>> {
    let history = which == Filter::History;
    let always = |errno| move |number: &c_long| Rule { number: *number, errno, only: &[] };
    let further = if history { DENIED_WITH_HISTORY } else { DENIED_TO_POWER };
    let mut rules: Vec<_> = DENIED.iter().chain(further).map(always(libc::EPERM)).collect();
    rules.extend(UNKNOWN.iter().map(always(libc::ENOSYS)));
    let some = |number, only| Rule { number, errno: libc::EPERM, only };
    rules.extend([
        some(libc::SYS_clone, if history { NEW_USERS } else { NAMESPACES }),
        some(libc::SYS_ioctl, REQUESTS),
        some(libc::SYS_prlimit64, SOMEBODY_ELSE),
        some(libc::SYS_socketpair, DATAGRAMS),
    ]);
    if history {
        rules.push(some(libc::SYS_openat, &const { opening(2) }));
        #[cfg(target_arch = "x86_64")]
        rules.push(some(libc::SYS_open, &const { opening(1) }));
    }
    rules.sort_by_key(|rule| rule.number);
    rules
}

/// What is denied of opening: a file is opened for writing only where it is made new, since what stands there already may share
/// its inode with history. Appending to what may exist is left for the gate to judge. `flags` is the number of the argument.
const fn opening(flags: u8) -> [Test; 6] {
    // The mode is a number, and yet each of its bits means writing: the third number is both, and for ioctl(2) alone (open(2)).
    let (write, both) = (libc::O_WRONLY, libc::O_RDWR);
    let (create, new, append, truncate) = (libc::O_CREAT, libc::O_EXCL, libc::O_APPEND, libc::O_TRUNC);
    [
        equal(flags, write | create, write),
        equal(flags, write | new | append, write),
        equal(flags, both | create, both),
        equal(flags, both | new, both),
        // This truncates whatever the mode is.
        equal(flags, truncate | create, truncate),
        equal(flags, truncate | new, truncate),
    ]
}

const fn equal(argument: u8, mask: c_int, value: c_int) -> Test {
    Test { argument, mask: mask.cast_unsigned(), value: value.cast_unsigned(), not: false }
}

/// Any of these bits.
const fn any(argument: u8, bits: c_int) -> Test {
    Test { argument, mask: bits.cast_unsigned(), value: 0, not: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_has_two_rules() {
        for filter in [Filter::Plain, Filter::History] {
            let numbers: Vec<_> = denied(filter).iter().map(|rule| rule.number).collect();
            assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
            assert!(numbers.len() > 40, "{numbers:?}");
        }
    }

    #[test]
    fn every_way_to_open_what_exists_for_writing_is_denied_or_asked() {
        let tests = opening(2);
        let holds = |test: &Test, flags: u32| (flags & test.mask == test.value) != test.not;
        let bits = [libc::O_CREAT, libc::O_EXCL, libc::O_APPEND, libc::O_TRUNC, libc::O_DIRECTORY, libc::O_NOFOLLOW, libc::O_PATH];
        for chosen in 0..1 << bits.len() {
            let others = bits.iter().enumerate().filter(|(index, _)| chosen >> index & 1 == 1).fold(0, |all, (_, bit)| all | bit);
            for mode in [libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR, libc::O_ACCMODE] {
                let flags = mode | others;
                let makes_new = flags & libc::O_CREAT != 0 && flags & libc::O_EXCL != 0;
                let writes = mode != libc::O_RDONLY || flags & libc::O_TRUNC != 0;
                let asked = flags & super::super::APPENDING_LOOKS_AT == super::super::APPENDING;
                let denied = tests.iter().any(|test| holds(test, flags.cast_unsigned()));
                assert_eq!(denied, writes && !makes_new && !asked, "{flags:#o}");
            }
        }
    }
}
