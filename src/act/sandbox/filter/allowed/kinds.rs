//! What differs between kinds of processors: names and numbers of calls.
//!
//! Where a kind has a call twice, both have one rule: that which is said of the first.

use nix::libc::{self, c_long};

/// Calls in their first form, which newer kinds of processors have not. None of them changes
/// anything.
#[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
#[rustfmt::skip]
pub(super) const FIRST: &[c_long] = &[
    libc::SYS_dup2, libc::SYS_pipe, libc::SYS_poll, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink, libc::SYS_pause,
];
#[cfg(not(any(target_arch = "x86_64", target_arch = "arm")))]
pub(super) const FIRST: &[c_long] = &[];

/// The same of calls that change something or start a process. musl forks with the last one.
#[cfg(any(target_arch = "x86_64", target_arch = "arm"))]
#[rustfmt::skip]
pub(super) const FIRST_CHANGES: &[c_long] = &[
    libc::SYS_mkdir, libc::SYS_mknod, libc::SYS_symlink, libc::SYS_link, libc::SYS_rename, libc::SYS_unlink, libc::SYS_rmdir,
    libc::SYS_chmod, libc::SYS_chown, libc::SYS_lchown, libc::SYS_utimes, libc::SYS_futimesat,
    #[cfg(target_arch = "x86_64")] libc::SYS_utime,
    libc::SYS_fork,
];
#[cfg(not(any(target_arch = "x86_64", target_arch = "arm")))]
pub(super) const FIRST_CHANGES: &[c_long] = &[];

/// Calls that this kind alone has, or by that name. They are allowed, and change no file.
#[rustfmt::skip]
pub(super) const OWN: &[c_long] = &[
    #[cfg(target_arch = "x86_64")] libc::SYS_select,
    #[cfg(target_arch = "x86_64")] libc::SYS_getrlimit,
    #[cfg(target_arch = "x86_64")] libc::SYS_time,
    #[cfg(target_arch = "x86_64")] libc::SYS_arch_prctl,
    #[cfg(target_arch = "riscv64")] RISCV_HWPROBE,
    #[cfg(target_arch = "riscv64")] RISCV_FLUSH_ICACHE,
    #[cfg(target_arch = "arm")] libc::SYS__newselect,
    #[cfg(target_arch = "arm")] libc::SYS_ugetrlimit,
    #[cfg(target_arch = "arm")] libc::SYS__llseek,
    // The end of a signal's handler.
    #[cfg(target_arch = "arm")] libc::SYS_sigreturn,
    #[cfg(target_arch = "arm")] ARM_CACHEFLUSH,
    #[cfg(target_arch = "arm")] ARM_SET_TLS,
];

/// Calls that this kind of processor has twice: for old and new sizes, ids and times, or for a
/// socket with and without an address. The arguments that rules look at have the same place.
#[cfg(target_arch = "arm")]
#[rustfmt::skip]
pub(super) const TWICE: &[(c_long, c_long)] = &[
    (libc::SYS_fcntl, libc::SYS_fcntl64),
    (libc::SYS_ftruncate, libc::SYS_ftruncate64),
    (libc::SYS_stat, libc::SYS_stat64), (libc::SYS_lstat, libc::SYS_lstat64), (libc::SYS_fstat, libc::SYS_fstat64),
    (libc::SYS_statfs, libc::SYS_statfs64), (libc::SYS_fstatfs, libc::SYS_fstatfs64),
    (libc::SYS_chown, libc::SYS_chown32), (libc::SYS_lchown, libc::SYS_lchown32), (libc::SYS_fchown, libc::SYS_fchown32),
    (libc::SYS_getuid, libc::SYS_getuid32), (libc::SYS_geteuid, libc::SYS_geteuid32),
    (libc::SYS_getgid, libc::SYS_getgid32), (libc::SYS_getegid, libc::SYS_getegid32), (libc::SYS_getgroups, libc::SYS_getgroups32),
    (libc::SYS_sendto, libc::SYS_send), (libc::SYS_recvfrom, libc::SYS_recv),
    (libc::SYS_clock_gettime, TIME64), (libc::SYS_clock_getres, TIME64 + 3), (libc::SYS_clock_nanosleep, TIME64 + 4),
    (libc::SYS_utimensat, TIME64 + 9), (libc::SYS_pselect6, TIME64 + 10), (libc::SYS_ppoll, TIME64 + 11),
    (libc::SYS_rt_sigtimedwait, TIME64 + 18), (libc::SYS_futex, TIME64 + 19),
];
#[cfg(not(target_arch = "arm"))]
pub(super) const TWICE: &[(c_long, c_long)] = &[];

// Calls that have another name on some kind. Of mmap(2) 32-bit ARM has only the form that counts in pages.
#[cfg(target_arch = "arm")]
pub(super) use nix::libc::{SYS_arm_fadvise64_64 as FADVISE, SYS_fstatat64 as FSTATAT, SYS_mmap2 as MMAP};
#[cfg(not(target_arch = "arm"))]
pub(super) use nix::libc::{SYS_fadvise64 as FADVISE, SYS_mmap as MMAP, SYS_newfstatat as FSTATAT};

// The kernel's numbers that are not in libc, or not for every processor.
pub(super) const FCHMODAT2: c_long = 452;
pub(super) const OPEN_TREE_ATTR: c_long = 467;
pub(super) const KEXEC_FILE_LOAD: c_long = if cfg!(target_arch = "x86_64") {
    320
} else if cfg!(target_arch = "arm") {
    401
} else {
    294
};
#[cfg(target_arch = "riscv64")]
const RISCV_HWPROBE: c_long = 258;
#[cfg(target_arch = "riscv64")]
const RISCV_FLUSH_ICACHE: c_long = 259;
/// clock_gettime(2) with times of 64 bits, the first such call of kinds that have words of 32.
#[cfg(target_arch = "arm")]
const TIME64: c_long = 403;
/// ARM's private calls (`__ARM_NR_*`, asm/unistd.h). The C library makes the second one when a
/// program or a thread starts.
#[cfg(target_arch = "arm")]
const ARM_CACHEFLUSH: c_long = 0x000f_0002;
#[cfg(target_arch = "arm")]
const ARM_SET_TLS: c_long = 0x000f_0005;
