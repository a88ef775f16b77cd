/* Stands in rsync's place and does what code would do that has taken rsync over: every way to change a file of history, by its name, by a
 * descriptor and by a link of its own, and to stay. Each attempt is a line in `attempts`: what it was, and the error's number, 0, or the
 * signal that ended it with a minus. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
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
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int report;
static void tried(const char *what, long answer) {
    dprintf(report, "%s %d\n", what, answer < 0 ? errno : 0);
}

/* The same for what may end the process that tries it. */
#define APART(what, call)                                                  \
    do {                                                                   \
        int ended;                                                         \
        pid_t child = fork();                                              \
        if (child == 0)                                                    \
            _exit((call) < 0 ? errno : 0);                                 \
        waitpid(child, &ended, 0);                                         \
        dprintf(report, "%s %d\n", what, WIFSIGNALED(ended) ? -WTERMSIG(ended) : WEXITSTATUS(ended)); \
    } while (0)

int main(int count, char **words) {
    const char *basis = NULL;
    if (count == 2 && !strcmp(words[1], "--version"))
        return puts("rsync  version 3.5.0  protocol version 32") < 0;
    for (int i = 1; i < count; i++)
        if (!strncmp(words[i], "--link-dest=", 12))
            basis = words[i] + 12;
    report = open("attempts", O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (!basis) {
        int victim = open("victim", O_WRONLY | O_CREAT | O_EXCL, 0600);
        return write(victim, "history", 7) != 7;
    }
    char path[4096];
    struct timespec times[2] = {{1, 0}, {2, 0}};
    struct rlimit none = {0, 0}, more = {1 << 20, 1 << 20};
    unsigned char room[128] = {1};
    int pair[2];
    snprintf(path, sizeof path, "%s/victim", basis);
    tried("link", link(path, "name"));
    tried("absent-name", access("name", F_OK));
    tried("linkat-descriptor", linkat(open(path, O_PATH), "", AT_FDCWD, "held", AT_EMPTY_PATH));
    tried("linkat-follow", linkat(AT_FDCWD, path, AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
    int held = open(path, O_RDONLY);
    tried("open", open(path, O_RDWR));
    tried("append", open(path, O_WRONLY | O_APPEND));
    tried("truncate", truncate(path, 0));
    tried("chmod", chmod(path, 0777));
    tried("fchmod", fchmod(held, 0777));
    tried("fchmod-again", fchmod(held, 0600));
    tried("chown", chown(path, geteuid(), -1));
    tried("utimes", utimensat(AT_FDCWD, path, times, 0));
    tried("futimens", futimens(held, times));
    tried("setxattr", setxattr(path, "user.evil", "1", 1, 0));
    tried("fsetxattr", fsetxattr(held, "user.evil", "1", 1, 0));
    symlink(path, "way");
    tried("chmod-through-a-link", chmod("way", 0777));
    tried("open-through-a-link", open("way", O_RDWR));
    tried("unlink-basis", unlink(path));
    tried("rename-basis", rename(path, "stolen"));
    tried("set-flags", ioctl(held, 0x40086602, room));
    tried("set-version", ioctl(held, 0x40087602, room));
    tried("enable-verity", ioctl(held, 0x40806685, room));
    tried("clone-range", ioctl(held, 0x4020940d, room));
    tried("chmod-null", chmod("/dev/null", 0600));
    tried("kill-the-gate", kill(getppid(), 0));
    tried("prlimit-of-the-gate", prlimit(getppid(), RLIMIT_FSIZE, &none, NULL));
    tried("datagrams", socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    tried("socket", socket(AF_UNIX, SOCK_STREAM, 0));
    tried("setsid", setsid());
    tried("setpgid", setpgid(0, 0));
    /* What takes power over the system: root's rsync has none either. */
    mkdir("there", 0755);
    APART("mount", mount("none", "there", "tmpfs", 0, NULL));
    APART("remount", mount(NULL, basis, NULL, MS_REMOUNT | MS_BIND, NULL));
    APART("umount", umount2(basis, MNT_DETACH));
    APART("pivot-root", syscall(SYS_pivot_root, ".", "there"));
    APART("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
    APART("handle", syscall(SYS_open_by_handle_at, AT_FDCWD, room, O_RDONLY));
    tried("chroot", chroot("there"));
    tried("users", unshare(CLONE_NEWUSER));
    tried("mounts", unshare(CLONE_NEWNS));
    tried("device", mknod("device", S_IFCHR | 0600, 0x103));
    tried("host-name", sethostname("taken", 5));
    tried("more-files", setrlimit(RLIMIT_NOFILE, &more));
    /* The push's own is its own. */
    close(open("own", O_WRONLY | O_CREAT | O_EXCL, 0644));
    tried("own-mode", chmod("own", 0600));
    tried("own-attribute", setxattr("own", "user.x", "1", 1, 0));
    tried("own-twin", link("own", "twin"));
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
