/* Tries every call of the kernel that takes a path or a descriptor with every tree that rsync can see, in every way that leads there,
 * and after them every number that is in no table, with paths and descriptors in all places.
 *
 * A line for each: `what target way number`, the last being the error's, 0, or that of the signal that it died of with a minus. `!`
 * stands before a call that changes what it is used on, and must not. All attempts are made by children, of which a new one is made
 * wherever one has died or hangs. */
#include "taken.h"
#include <linux/fs.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/xattr.h>

/* In the place of an argument: what this attempt is about. */
enum { PATH = 0x7a000001, DIR, FD, NEW, HERE, OWN, OWN_PATH, OTHER_FD };

/* What an attempt would change. `ITSELF`: of a link, the link and not what it leads to. */
enum { LOOKS = 0, CONTENT = 1, METADATA = 2, ITSELF = 4 };

struct call {
    const char *name;
    int number, changes;
    long arguments[6];
};

static char room[65536];
static struct timespec times[2] = {{1, 0}, {2, 0}};
static struct timeval old_times[2] = {{1, 0}, {2, 0}};
static struct { __u64 value; __u32 size, flags; } attribute = {(__u64) "1", 1, 0};
static struct file_clone_range range;
static struct iovec part = {"TAMPERED", 8};
static struct { __u64 set, clear, propagation, users; } mount_attributes = {0, 1, 0, 0};
static struct { __u64 flags, mode, resolve; } how = {O_RDWR};
static struct { unsigned bytes; int type; unsigned char handle[128]; } handle = {128};
static struct { __u64 flags; __u32 size, count, project, cow; } file_attributes = {0x10};
static __s64 begin;

#define BUFFER ((long)"TAMPERED")
#define ROOM ((long)room)
#define TIMES ((long)times)

static const struct call calls[] = {
    /* Content. */
    {"open-write", SYS_openat, CONTENT, {DIR, PATH, O_WRONLY, 0}},
    {"open-both", SYS_openat, CONTENT, {DIR, PATH, O_RDWR, 0}},
    {"open-append", SYS_openat, CONTENT, {DIR, PATH, O_WRONLY | O_APPEND, 0}},
    {"open-append-create", SYS_openat, CONTENT, {DIR, PATH, O_WRONLY | O_APPEND | O_CREAT, 0600}},
    {"open-create", SYS_openat, CONTENT, {DIR, PATH, O_WRONLY | O_CREAT, 0600}},
    {"open-truncate", SYS_openat, CONTENT, {DIR, PATH, O_RDONLY | O_TRUNC, 0}},
    {"open-create-truncate", SYS_openat, CONTENT, {DIR, PATH, O_WRONLY | O_CREAT | O_TRUNC, 0600}},
    {"open-third-mode", SYS_openat, CONTENT, {DIR, PATH, O_ACCMODE, 0}},
    {"open-temporary", SYS_openat, CONTENT, {DIR, PATH, O_TMPFILE | O_RDWR, 0600}},
    {"openat2", SYS_openat2, CONTENT, {DIR, PATH, (long)&how, 24}},
    {"truncate", SYS_truncate, CONTENT, {PATH, 0}},
    {"ftruncate", SYS_ftruncate, CONTENT, {FD, 0}},
    {"write", SYS_write, CONTENT, {FD, BUFFER, 8}},
    {"pwrite", SYS_pwrite64, CONTENT, {FD, BUFFER, 8, 0}},
    {"writev", SYS_writev, CONTENT, {FD, (long)&part, 1}},
    {"pwritev", SYS_pwritev, CONTENT, {FD, (long)&part, 1, 0, 0}},
    {"pwritev2-append", SYS_pwritev2, CONTENT, {FD, (long)&part, 1, 0, 0, 0x10}},
    {"fallocate", SYS_fallocate, CONTENT, {FD, 0, 0, 65536}},
    {"fallocate-keep", SYS_fallocate, CONTENT, {FD, 1, 0, 65536}},
    {"fallocate-punch", SYS_fallocate, CONTENT, {FD, 3, 0, 4096}},
    {"fallocate-collapse", SYS_fallocate, CONTENT, {FD, 8, 0, 4096}},
    {"fallocate-zero", SYS_fallocate, CONTENT, {FD, 16, 0, 4096}},
    {"fallocate-insert", SYS_fallocate, CONTENT, {FD, 32, 0, 4096}},
    {"fallocate-unshare", SYS_fallocate, CONTENT, {FD, 64, 0, 4096}},
    {"copy-range", SYS_copy_file_range, CONTENT, {OWN, 0, FD, 0, 4, 0}},
    {"sendfile", SYS_sendfile, CONTENT, {FD, OWN, (long)&begin, 4}},
    {"splice", SYS_splice, CONTENT, {OTHER_FD, 0, FD, 0, 4, 2}},
    {"tee", SYS_tee, CONTENT, {OTHER_FD, FD, 4, 2}},
    {"vmsplice", SYS_vmsplice, CONTENT, {FD, (long)&part, 1, 2}},
    {"mmap-shared", SYS_mmap, CONTENT, {0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, FD, 0}},
    {"clone", SYS_ioctl, CONTENT, {FD, FICLONE, OWN}},
    {"clone-range", SYS_ioctl, CONTENT, {FD, FICLONERANGE, (long)&range}},
    {"deduplicate", SYS_ioctl, CONTENT, {FD, FIDEDUPERANGE, ROOM}},
    {"exchange-content", SYS_ioctl, CONTENT, {FD, 0xc0286611, ROOM}},
    {"io-setup", SYS_io_setup, CONTENT, {1, ROOM}},
    {"io-uring", SYS_io_uring_setup, CONTENT, {1, ROOM}},
    {"accounting", SYS_acct, CONTENT, {PATH}},
    {"swap-on", SYS_swapon, CONTENT, {PATH, 0}},
    /* Names. */
    {"unlinkat", SYS_unlinkat, CONTENT | ITSELF, {DIR, PATH, 0}},
    {"rmdir", SYS_unlinkat, CONTENT | ITSELF, {DIR, PATH, AT_REMOVEDIR}},
    {"rename-away", SYS_renameat2, CONTENT | ITSELF, {DIR, PATH, HERE, NEW, 0}},
    {"rename-over", SYS_renameat2, CONTENT | ITSELF, {HERE, OWN_PATH, DIR, PATH, 0}},
    {"rename-no-replace", SYS_renameat2, CONTENT | ITSELF, {HERE, OWN_PATH, DIR, PATH, 1}},
    {"rename-exchange", SYS_renameat2, CONTENT | ITSELF, {HERE, OWN_PATH, DIR, PATH, 2}},
    {"rename-whiteout", SYS_renameat2, CONTENT | ITSELF, {DIR, PATH, HERE, NEW, 4}},
    {"link-over", SYS_linkat, CONTENT | ITSELF, {HERE, OWN_PATH, DIR, PATH, 0}},
    {"mknodat", SYS_mknodat, CONTENT, {DIR, PATH, S_IFREG | 0600, 0}},
    {"mknodat-device", SYS_mknodat, CONTENT, {DIR, PATH, S_IFCHR | 0600, 0x103}},
    {"mkdirat", SYS_mkdirat, CONTENT, {DIR, PATH, 0700}},
    {"symlinkat", SYS_symlinkat, CONTENT, {BUFFER, DIR, PATH}},
    /* Made later, or not at all; what comes of it is looked at. */
    {"link-from", SYS_linkat, LOOKS, {DIR, PATH, HERE, NEW, 0}},
    {"link-followed", SYS_linkat, LOOKS, {DIR, PATH, HERE, NEW, AT_SYMLINK_FOLLOW}},
    {"link-itself", SYS_linkat, LOOKS, {DIR, PATH, HERE, NEW, AT_EMPTY_PATH}},
    {"symlink-to", SYS_symlinkat, LOOKS, {PATH, HERE, NEW}},
    /* Metadata. */
    {"fchmod", SYS_fchmod, METADATA, {FD, 0777}},
    {"fchmodat", SYS_fchmodat, METADATA, {DIR, PATH, 0777}},
    {"fchmodat2", 452, METADATA, {DIR, PATH, 0777, 0}},
    {"fchmodat2-link", 452, METADATA | ITSELF, {DIR, PATH, 0777, AT_SYMLINK_NOFOLLOW}},
    {"fchmodat2-itself", 452, METADATA, {DIR, PATH, 0777, AT_EMPTY_PATH}},
    {"fchown", SYS_fchown, METADATA, {FD, 1, 1}},
    {"fchownat", SYS_fchownat, METADATA, {DIR, PATH, 1, 1, 0}},
    {"fchownat-link", SYS_fchownat, METADATA | ITSELF, {DIR, PATH, 1, 1, AT_SYMLINK_NOFOLLOW}},
    {"fchownat-itself", SYS_fchownat, METADATA, {DIR, PATH, 1, 1, AT_EMPTY_PATH}},
    {"utimensat", SYS_utimensat, METADATA, {DIR, PATH, TIMES, 0}},
    {"utimensat-now", SYS_utimensat, METADATA, {DIR, PATH, 0, 0}},
    {"utimensat-link", SYS_utimensat, METADATA | ITSELF, {DIR, PATH, TIMES, AT_SYMLINK_NOFOLLOW}},
    {"utimensat-itself", SYS_utimensat, METADATA, {DIR, PATH, TIMES, AT_EMPTY_PATH}},
    {"futimens", SYS_utimensat, METADATA, {FD, 0, TIMES, 0}},
    {"setxattr", SYS_setxattr, METADATA, {PATH, (long)"user.evil", BUFFER, 1, 0}},
    {"lsetxattr", SYS_lsetxattr, METADATA | ITSELF, {PATH, (long)"user.evil", BUFFER, 1, 0}},
    {"lsetxattr-trusted", SYS_lsetxattr, METADATA | ITSELF, {PATH, (long)"trusted.evil", BUFFER, 1, 0}},
    {"fsetxattr", SYS_fsetxattr, METADATA, {FD, (long)"user.evil", BUFFER, 1, 0}},
    {"setxattr-access", SYS_setxattr, METADATA, {PATH, (long)"system.posix_acl_access", (long)"\2\0\0\0\1\0\7\0\xff\xff\xff\xff\4\0\7\0\xff\xff\xff\xff\x20\0\7\0\xff\xff\xff\xff", 28, 0}},
    {"setxattrat", 463, METADATA, {DIR, PATH, 0, (long)"user.evil", (long)&attribute, 16}},
    {"setxattrat-itself", 463, METADATA, {DIR, PATH, AT_EMPTY_PATH, (long)"user.evil", (long)&attribute, 16}},
    {"removexattr", SYS_removexattr, METADATA, {PATH, (long)"user.note"}},
    {"lremovexattr", SYS_lremovexattr, METADATA | ITSELF, {PATH, (long)"user.note"}},
    {"fremovexattr", SYS_fremovexattr, METADATA, {FD, (long)"user.note"}},
    {"removexattrat", 466, METADATA, {DIR, PATH, 0, (long)"user.note"}},
    {"file-setattr", 469, METADATA, {DIR, PATH, (long)&file_attributes, 24, 0}},
    {"file-setattr-itself", 469, METADATA, {DIR, PATH, (long)&file_attributes, 24, AT_EMPTY_PATH}},
    {"set-flags", SYS_ioctl, METADATA, {FD, FS_IOC_SETFLAGS, ROOM}},
    {"set-attributes", SYS_ioctl, METADATA, {FD, FS_IOC_FSSETXATTR, ROOM}},
    {"set-version", SYS_ioctl, METADATA, {FD, 0x40087602, ROOM}},
    {"set-label", SYS_ioctl, METADATA, {FD, 0x41009432, ROOM}},
    {"enable-verity", SYS_ioctl, METADATA, {FD, 0x40806685, ROOM}},
    {"encrypt", SYS_ioctl, METADATA, {FD, 0x800c6613, ROOM}},
    {"freeze", SYS_ioctl, METADATA, {FD, FIFREEZE, 0}},
    {"trim", SYS_ioctl, METADATA, {FD, FITRIM, ROOM}},
    {"subvolume", SYS_ioctl, METADATA, {FD, 0x5000940e, ROOM}},
    /* Mounts. */
    {"mount", SYS_mount, METADATA, {BUFFER, PATH, (long)"tmpfs", 0, 0}},
    {"bind", SYS_mount, METADATA, {PATH, (long)".", 0, MS_BIND, 0}},
    {"remount", SYS_mount, METADATA, {0, PATH, 0, MS_REMOUNT | MS_BIND, 0}},
    {"share", SYS_mount, METADATA, {0, PATH, 0, MS_SHARED, 0}},
    {"umount", SYS_umount2, METADATA, {PATH, MNT_DETACH}},
    {"pivot-root", SYS_pivot_root, METADATA, {PATH, PATH}},
    {"chroot", SYS_chroot, METADATA, {PATH}},
    {"open-tree", 428, METADATA, {DIR, PATH, 1}},
    {"open-tree-attributes", 467, METADATA, {DIR, PATH, 1, (long)&mount_attributes, 32}},
    {"move-mount", 429, METADATA, {DIR, PATH, HERE, (long)".", 0}},
    {"fspick", 433, METADATA, {DIR, PATH, 0}},
    {"mount-setattr", 442, METADATA, {DIR, PATH, 0, (long)&mount_attributes, 32}},
    {"mount-setattr-itself", 442, METADATA, {DIR, PATH, AT_EMPTY_PATH, (long)&mount_attributes, 32}},
    {"quotactl", SYS_quotactl, METADATA, {0x80000200, PATH, 0, ROOM}},
    {"quotactl-fd", 443, METADATA, {FD, 0x80000200, 0, ROOM}},
    {"fanotify", SYS_fanotify_init, METADATA, {0, 0}},
    {"open-by-handle", SYS_open_by_handle_at, METADATA, {FD, (long)&handle, O_RDWR}},
    {"setns", SYS_setns, METADATA, {FD, 0}},
    {"execute", SYS_execveat, METADATA, {DIR, PATH, ROOM, ROOM, 0}},
    /* What only looks, or should. */
    {"name-to-handle", SYS_name_to_handle_at, LOOKS, {DIR, PATH, (long)&handle, ROOM, 0}},
    {"inotify", SYS_inotify_add_watch, LOOKS, {OTHER_FD, PATH, IN_ALL_EVENTS}},
    {"lock", SYS_flock, LOOKS, {FD, 6}},
    {"lease", SYS_fcntl, LOOKS, {FD, F_SETLEASE, F_WRLCK}},
    {"open-path", SYS_openat, LOOKS, {DIR, PATH, O_PATH, 0}},
    {"statx", SYS_statx, LOOKS, {DIR, PATH, 0, 0xfff, ROOM}},
    {"faccessat2", 439, LOOKS, {DIR, PATH, 2, 0}},
    {"readahead", SYS_readahead, LOOKS, {FD, 0, 4096}},
    {"advise", SYS_fadvise64, LOOKS, {FD, 0, 0, 4}},
    {"sync", SYS_fsync, LOOKS, {FD}},
    {"sync-system", SYS_syncfs, LOOKS, {FD}},
    {"sync-range", SYS_sync_file_range, LOOKS, {FD, 0, 0, 0}},
#ifdef SYS_open
    {"old-open", SYS_open, CONTENT, {PATH, O_RDWR, 0}},
    {"old-creat", SYS_creat, CONTENT, {PATH, 0600}},
    {"old-unlink", SYS_unlink, CONTENT | ITSELF, {PATH}},
    {"old-rmdir", SYS_rmdir, CONTENT | ITSELF, {PATH}},
    {"old-rename", SYS_rename, CONTENT | ITSELF, {PATH, NEW}},
    {"old-renameat", SYS_renameat, CONTENT | ITSELF, {DIR, PATH, HERE, NEW}},
    {"old-link-over", SYS_link, CONTENT | ITSELF, {OWN_PATH, PATH}},
    {"old-link", SYS_link, LOOKS, {PATH, NEW}},
    {"old-mknod", SYS_mknod, CONTENT, {PATH, S_IFIFO | 0600, 0}},
    {"old-mkdir", SYS_mkdir, CONTENT, {PATH, 0700}},
    {"old-symlink", SYS_symlink, CONTENT, {BUFFER, PATH}},
    {"old-chmod", SYS_chmod, METADATA, {PATH, 0777}},
    {"old-chown", SYS_chown, METADATA, {PATH, 1, 1}},
    {"old-lchown", SYS_lchown, METADATA | ITSELF, {PATH, 1, 1}},
    {"old-utime", SYS_utime, METADATA, {PATH, 0}},
    {"old-utimes", SYS_utimes, METADATA, {PATH, (long)old_times}},
    {"old-futimesat", SYS_futimesat, METADATA, {DIR, PATH, (long)old_times}},
    {"old-uselib", SYS_uselib, METADATA, {PATH}},
#endif
};
enum { CALLS = sizeof calls / sizeof *calls, NUMBERS = 512, SHAPES = 4 };

static const char *targets[16];
static const char *const ways[] = {"path", "above", "link", "parent", "O_PATH", "O_RDONLY", "proc"};
enum { WAYS = sizeof ways / sizeof *ways };

/* In the place of an answer. */
enum { NOT_TRIED = 1000, ENDED_ITSELF };

/* Written by the children: which attempt is next, and the answers so far. In a file, since there is no memory that two processes share. */
static int progress;

static int next(void) {
    int at = 0;
    pread(progress, &at, sizeof at, 0);
    return at;
}

static void next_is(int at) {
    pwrite(progress, &at, sizeof at, 0);
}

static void answer_is(int at, short answer) {
    pwrite(progress, &answer, sizeof answer, 16 + (off_t)at * sizeof answer);
}

static short answer_of(int at) {
    short answer = 0;
    pread(progress, &answer, sizeof answer, 16 + (off_t)at * sizeof answer);
    return answer;
}

/* Where an attempt leads: to a path, from a directory, or to a descriptor. */
struct aim {
    char path[PATH_MAX];
    int from, fd;
};

static int aim(struct aim *aim, int target, int way) {
    char name[PATH_MAX], *slash;
    snprintf(name, sizeof name, "%s", targets[target]);
    aim->from = AT_FDCWD;
    aim->fd = open(name, (way == 4 ? O_PATH | O_NOFOLLOW : O_RDONLY) | O_NONBLOCK);
    strcpy(aim->path, name);
    switch (way) {
    case 1: /* from the directory that it stands in, upwards */
        memset(aim->path, 0, 64);
        for (int level = 0; level < 12; level++)
            memcpy(aim->path + 3 * level, "../", 3);
        strcpy(aim->path + 36, name[1] ? name + 1 : ".");
        break;
    case 2:
        snprintf(aim->path, PATH_MAX, "own-link-%d", target);
        break;
    case 3:
        if (!(slash = strrchr(name, '/')) || !slash[1])
            return 0;
        strcpy(aim->path, slash + 1);
        slash[slash == name] = 0;
        aim->from = open(name, O_PATH | O_DIRECTORY);
        break;
    case 4:
    case 5:
        aim->path[0] = 0;
        aim->from = aim->fd;
        break;
    case 6:
        snprintf(aim->path, PATH_MAX, "/proc/self/fd/%d", aim->fd);
        break;
    }
    return 1;
}

static long attempt(const struct call *call, struct aim *aim, int own, const int *ends) {
    static int serial;
    static char new[32];
    long arguments[6];
    snprintf(new, sizeof new, "new-%d-%d", getpid(), serial++);
    for (int i = 0; i < 6; i++)
        switch (call->arguments[i]) {
        case PATH: arguments[i] = (long)aim->path; break;
        case DIR: arguments[i] = aim->from; break;
        case FD: arguments[i] = aim->fd; break;
        case NEW: arguments[i] = (long)new; break;
        case HERE: arguments[i] = AT_FDCWD; break;
        case OWN: arguments[i] = own; break;
        case OWN_PATH: arguments[i] = (long)"own"; break;
        case OTHER_FD: arguments[i] = ends[0]; break;
        default: arguments[i] = call->arguments[i];
        }
    range.src_fd = own, range.src_length = 4, begin = 0;
    long answer = syscall(call->number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
    return answer < 0 && answer > -4096 ? errno : 0;
}

/* Numbers that end or stop whoever calls, wait for something, make processes, take away what later attempts need, or would leave
 * something in memory where they are not denied, which has a test of its own. */
static int is_left_out(int number) {
    static const int out[] = {
        SYS_exit, SYS_exit_group, SYS_clone, SYS_rt_sigreturn, SYS_rt_sigsuspend, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_kill, SYS_tkill, SYS_tgkill,
        SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_wait4, SYS_waitid, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_brk, SYS_close, 435,
        436, SYS_rt_sigtimedwait, SYS_futex, SYS_pselect6, SYS_ppoll, SYS_reboot, SYS_dup3, SYS_dup, SYS_personality, SYS_vhangup,
        SYS_chdir, SYS_fchdir, SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setgroups, SYS_setfsuid,
        SYS_setfsgid, SYS_prctl, SYS_prlimit64, SYS_setrlimit, SYS_sync, SYS_nanosleep, SYS_clock_nanosleep, SYS_sched_setaffinity,
        SYS_shmget, SYS_shmat, SYS_shmctl, SYS_semget, SYS_semop, SYS_semctl, SYS_semtimedop, SYS_msgget, SYS_msgsnd, SYS_msgrcv, SYS_msgctl,
        SYS_mq_open, SYS_mq_unlink, SYS_mq_timedreceive, SYS_getrandom,
#ifdef SYS_fork
        SYS_fork, SYS_vfork, SYS_pause, SYS_select, SYS_poll, SYS_dup2, SYS_alarm, SYS_arch_prctl,
#endif
    };
    for (unsigned i = 0; i < sizeof out / sizeof *out; i++)
        if (out[i] == number)
            return 1;
    return 0;
}

static int has(const struct call *call, long argument) {
    for (int i = 0; i < 6; i++)
        if (call->arguments[i] == argument)
            return 1;
    return 0;
}

/* Whether this way is none of the call's, or another one already. */
static int is_idle(const struct call *call, int is_named, int target, int way) {
    if (!METADATA_TOO && !(call->changes & CONTENT))
        return 1;
    if (!is_named) /* one way by path and one by descriptor are enough, and what can be harmed of history and the log */
        return (way != 0 && way != 4) || (target > 3 && targets[target] != log_path) || is_left_out(call->number);
    if (!has(call, PATH))
        return way != 0 && way != 4;
    return way == 3 && !has(call, DIR);
}

/* What earlier attempts have used up of this push's own. */
static void renew(int target) {
    char name[64];
    close(own("own", "of this push"));
    snprintf(name, sizeof name, "own-link-%d", target);
    if (unlink(name) < 0)
        rmdir(name);
    symlink(targets[target], name);
}

static void child(int count, int total) {
    static const long shapes[SHAPES][6] = {
        {PATH, ROOM, 0, 0, 0, 0}, {FD, PATH, ROOM, 0, 0, 0}, {DIR, PATH, 0777, 0, 0, 0}, {FD, OWN, 4, 0, 0, 0}};
    int ends[2], file = open("own", O_RDONLY);
    if (pipe(ends) < 0 || write(ends[1], "12345678", 8) != 8)
        _exit(1);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    for (int at; (at = next()) < total;) {
        int row = at / (count * WAYS), target = at / WAYS % count, way = at % WAYS;
        struct call swept = {0};
        const struct call *call = &calls[row];
        if (row >= CALLS) {
            call = &swept;
            swept.number = (row - CALLS) / SHAPES;
            memcpy(swept.arguments, shapes[(row - CALLS) % SHAPES], sizeof swept.arguments);
        }
        struct aim found;
        answer_is(at, NOT_TRIED);
        if (!is_idle(call, row < CALLS, target, way)) {
            renew(target);
            if (aim(&found, target, way))
                answer_is(at, attempt(call, &found, file, ends));
            for (int more = 1; more < 12; more++)
                close(ends[1] + more);
        }
        next_is(at + 1);
    }
    _exit(0);
}

static int everything(void) {
    int count = 0;
    targets[count++] = strdup(old("victim"));
    targets[count++] = strdup(old("d"));
    targets[count++] = strdup(old("link"));
    targets[count++] = strdup(basis);
    if (METADATA_TOO) {
        targets[count++] = "/";
        targets[count++] = "/usr/lib";
        targets[count++] = "/usr/lib/os-release";
        targets[count++] = "/dev";
    }
    targets[count++] = strdup(old("nothing"));
    targets[count++] = HISTORY "/victim";
    targets[count++] = log_path;
    progress = open("progress", O_RDWR | O_CREAT | O_EXCL, 0600);
    next_is(0);
    int total = (CALLS + NUMBERS * SHAPES) * count * WAYS;
    while (next() < total) {
        pid_t pid = fork();
        if (!pid)
            child(count, total);
        int status, seen = -1;
        for (int still = 0; !waitpid(pid, &status, WNOHANG); rest(1)) {
            still = next() == seen ? still + 1 : 0;
            seen = next();
            if (still > 300) /* it waits for something */
                kill(pid, SIGKILL);
        }
        int at = next();
        if (at < total) {
            answer_is(at, WIFSIGNALED(status) ? -WTERMSIG(status) : ENDED_ITSELF);
            next_is(at + 1);
        }
    }
    for (int at = 0; at < total; at++) {
        int row = at / (count * WAYS), target = at / WAYS % count, way = at % WAYS;
        if (answer_of(at) == NOT_TRIED)
            continue;
        if (row < CALLS) {
            int may = targets[target] == log_path || (calls[row].changes & ITSELF && way == 2);
            const char *must_not = calls[row].changes && !may ? "!" : "";
            printf("%s%s %s %s %d\n", must_not, calls[row].name, targets[target], ways[way], answer_of(at));
        } else
            printf("%d/%d %s %s %d\n", (row - CALLS) / SHAPES, (row - CALLS) % SHAPES, targets[target], ways[way], answer_of(at));
    }
    fflush(stdout);
    return 0;
}
