/* Stands in rsync's place and does what code would do that has taken rsync over: every way to change a file of history that a
 * link in the stage leads to, and to stay. Each attempt is a line in `attempts`: what it was, and the error's number or 0. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

static int report;
static void tried(const char *what, long answer) {
    dprintf(report, "%s %d\n", what, answer < 0 ? errno : 0);
}

int main(int count, char **words) {
    const char *basis = NULL;
    if (count == 2 && !strcmp(words[1], "--version"))
        return puts("rsync  version 3.5.0  protocol version 32") < 0;
    for (int i = 1; i < count; i++)
        if (!strncmp(words[i], "--link-dest=", 12))
            basis = words[i] + 12;
        else if (!strncmp(words[i], "--log-file=", 11)) /* before it reads anything, as rsync does */
            open(words[i] + 11, O_WRONLY | O_CREAT | O_APPEND, 0644);
    report = open("attempts", O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (!basis) {
        int victim = open("victim", O_WRONLY | O_CREAT | O_EXCL, 0600);
        return write(victim, "history", 7) != 7;
    }
    char path[4096];
    struct timespec times[2] = {{1, 0}, {2, 0}};
    struct rlimit none = {0, 0};
    unsigned char room[128] = {1};
    int pair[2];
    snprintf(path, sizeof path, "%s/victim", basis);
    tried("link", link(path, "name"));
    int held = open("name", O_RDONLY);
    tried("open", open("name", O_RDWR));
    tried("append", open("name", O_WRONLY | O_APPEND | O_CREAT, 0644));
    tried("append-again", open("name", O_WRONLY | O_APPEND | O_CREAT, 0644));
    tried("open-basis", open(path, O_WRONLY));
    tried("truncate", truncate("name", 0));
    tried("chmod", chmod("name", 0777));
    tried("chmod-basis", chmod(path, 0777));
    tried("fchmod", fchmod(held, 0777));
    tried("fchmod-set-user", fchmod(held, 04600));
    tried("own-mode-again", fchmod(held, 0600)); /* as it is, which changes nothing */
    tried("utimes", utimensat(AT_FDCWD, "name", times, 0));
    tried("setxattr", setxattr("name", "user.evil", "1", 1, 0));
    tried("unlink", unlink("name"));
    tried("fchmod-unlinked", fchmod(held, 04777));
    tried("futimens-unlinked", futimens(held, times));
    tried("fsetxattr-unlinked", fsetxattr(held, "user.evil", "1", 1, 0));
    tried("unlink-basis", unlink(path));
    tried("rename-basis", rename(path, "stolen"));
    tried("set-flags", ioctl(held, 0x40086602, room));
    tried("set-version", ioctl(held, 0x40087602, room));
    tried("enable-verity", ioctl(held, 0x40806685, room));
    tried("clone-range", ioctl(held, 0x4020940d, room));
    tried("prlimit-of-the-gate", prlimit(getppid(), RLIMIT_FSIZE, &none, NULL));
    tried("datagrams", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    tried("socket", socket(AF_UNIX, SOCK_STREAM, 0));
    tried("setsid", setsid());
    tried("setpgid", setpgid(0, 0));
    /* What takes power over the system: root's rsync has none either. */
    struct rlimit more = {1 << 20, 1 << 20};
    mkdir("there", 0755);
    tried("mount", mount("none", "there", "tmpfs", 0, NULL));
    tried("remount", mount(NULL, "/usr/lib", NULL, MS_REMOUNT | MS_BIND, NULL));
    tried("umount", umount2("/usr/lib", MNT_DETACH));
    tried("pivot-root", syscall(SYS_pivot_root, ".", "there"));
    tried("chroot", chroot("there"));
    tried("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
    tried("users", unshare(CLONE_NEWUSER));
    tried("mounts", unshare(CLONE_NEWNS));
    tried("device", mknod("device", S_IFCHR | 0600, 0x103));
    tried("host-name", sethostname("taken", 5));
    tried("more-files", setrlimit(RLIMIT_NOFILE, &more));
    tried("handle", syscall(SYS_open_by_handle_at, AT_FDCWD, room, O_RDONLY));
    /* What is copied from here to the gate: as long as it may be, and longer. The file is this push's own. */
    static char much[70000];
    memset(much, 'x', sizeof much);
    close(open("own", O_WRONLY | O_CREAT | O_EXCL, 0644));
    memset(path, '/', sizeof path);
    path[0] = '.';
    strcpy(path + 4092, "own");
    tried("own-path-4095", chmod(path, 0600));
    much[4096] = 0;
    tried("long-path-4096", chmod(much, 0600));
    much[4096] = 'x', much[69999] = 0;
    tried("long-path-69999", chmod(much, 0600));
    memcpy(much, "user.", 5), much[255] = 0;
    tried("own-name-255", setxattr("own", much, "1", 1, 0));
    tried("own-name-255-removed", removexattr("own", much));
    much[255] = 'x', much[256] = 0;
    tried("long-name-256", setxattr("own", much, "1", 1, 0));
    tried("long-name-256-removed", removexattr("own", much));
    tried("own-value-3000", setxattr("own", "user.x", much, 3000, 0));
    tried("long-value-65537", setxattr("own", "user.y", much, 65537, 0));
    tried("long-value-endless", setxattr("own", "user.y", much, (size_t)-1, 0));
    int kept = open("kept", O_RDWR | O_CREAT | O_EXCL, 0644);
    if (write(kept, "innocent", 8) == 8 && fork() == 0) {
        prctl(PR_SET_PDEATHSIG, 0);
        setsid();
        if (fork())
            _exit(0);
        for (int i = 0; i < 64; i++)
            if (i != kept)
                close(i);
        sleep(4);
        _exit(pwrite(kept, "TAMPERED", 8, 0) != 8 || unlink("kept"));
    }
    return 0;
}
