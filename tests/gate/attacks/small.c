/* Attacks that need a few calls. */
#include "taken.h"
#include <mqueue.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

/* A name of history where unfinished files are left, in a push that then fails: whoever tidies up after it must not touch that. */
static int history_among_the_unfinished(void) {
    char path[PATH_MAX];
    own("arrived", "whole");
    mkdir("d", 0755);
    for (int deep = 0; deep < 2; deep++) {
        snprintf(path, sizeof path, "%s%s", deep ? "d/" : "", partial_dir);
        mkdir(path, 0700);
        strcat(path, deep ? "/inner" : "/victim");
        tell("link", link(old(deep ? "d/inner" : "victim"), path));
    }
    return 12;
}

/* An unfinished file of the size that the whole one has. */
static int unfinished(void) {
    char path[PATH_MAX];
    static char zeros[100000];
    own("arrived", "whole");
    mkdir(partial_dir, 0700);
    snprintf(path, sizeof path, "%s/file", partial_dir);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    return write(file, zeros, sizeof zeros) == sizeof zeros ? 12 : 1;
}

/* The link count of a file drops before its name is gone (facts: an observer sees one link and a name). Whoever trusts it is asked
 * for changes in that moment, which watches on the file make longer. */
static struct {
    volatile int go, done, end;
} turn;

static void *unlinking(void *nothing) {
    while (!turn.end)
        if (turn.go) {
            turn.go = 0;
            unlink("name");
            turn.done = 1;
        }
    return nothing;
}

static int race(void) {
    pthread_t other;
    struct timespec times[2] = {{1, 0}, {2, 0}};
    char victim[PATH_MAX];
    strcpy(victim, old("victim"));
    own("arrived", "whole");
    for (int i = 0; i < 100; i++)
        inotify_add_watch(inotify_init1(0), victim, IN_ALL_EVENTS);
    if (pthread_create(&other, NULL, unlinking, NULL))
        return 11;
    int rounds = 0, changed = 0;
    for (double until = now() + 5; now() < until; rounds++) {
        link(victim, "name");
        int held = open("name", O_RDONLY);
        if (held < 0)
            held = open(victim, O_RDONLY);
        turn.done = 0;
        turn.go = 1;
        while (!turn.done)
            changed += !(rounds % 3 == 0 ? fchmod(held, 0777) : rounds % 3 == 1 ? futimens(held, times) : fsetxattr(held, "user.evil", "1", 1, 0));
        close(held);
    }
    turn.end = 1;
    pthread_join(other, NULL);
    dprintf(1, "rounds %d\nchanged %d\n", rounds, changed);
    return 0;
}

#ifdef NEIGHBOUR
/* Whether a file of another client exists, asked through links of its own. Each line has the number of the error for one that does
 * and for one that does not. */
static const char *asked[2];
#define ASK(what, call) \
    do { \
        const char *name = asked[0]; \
        int there = OTHERWISE(call); \
        name = asked[1]; \
        dprintf(1, "%s-%s %d %d\n", what, asked[0], there, OTHERWISE(call)); \
    } while (0)

static int planted_links(void) {
    static const char *const pairs[][2] = {
        {"there", "gone"},
        {"way/victim", "way/missing"},
        {"way/d/inner", "way/e/inner"},
        {NEIGHBOUR "/victim", NEIGHBOUR "/missing"},
        {"up/web2/current/victim", "up/web3/current/victim"},
        {"../../web2/current/victim", "../../web3/current/victim"},
        {"way/../../current/d/inner", "way/../../current/e/inner"},
    };
    struct timespec times[2] = {{1, 0}, {2, 0}};
    struct stat found;
    struct statfs system;
    char room[256];
    own("arrived", "whole");
    symlink(NEIGHBOUR "/victim", "there");
    symlink(NEIGHBOUR "/missing", "gone");
    symlink(NEIGHBOUR, "way");
    symlink("../..", "up");
    for (int pair = 0; pair < sizeof pairs / sizeof *pairs; pair++) {
        asked[0] = pairs[pair][0], asked[1] = pairs[pair][1];
        ASK("stat", stat(name, &found));
        ASK("access", access(name, F_OK));
        ASK("statfs", statfs(name, &system));
        ASK("open", open(name, O_RDONLY));
        ASK("open-for-writing", open(name, O_WRONLY));
        ASK("open-new", open(name, O_WRONLY | O_CREAT | O_EXCL, 0600));
        ASK("open-path", open(name, O_PATH));
        ASK("truncate", truncate(name, 0));
        ASK("chmod", chmod(name, 0777));
        ASK("fchmodat", fchmodat(AT_FDCWD, name, 0777, 0));
        ASK("fchmodat2", syscall(452, AT_FDCWD, name, 0777, 0));
        ASK("chown", chown(name, getuid(), getgid()));
        ASK("fchownat", fchownat(AT_FDCWD, name, getuid(), getgid(), 0));
        ASK("utimensat", utimensat(AT_FDCWD, name, times, 0));
        ASK("setxattr", setxattr(name, "user.evil", "1", 1, 0));
        ASK("removexattr", removexattr(name, "user.evil"));
        ASK("getxattr", getxattr(name, "user.note", room, sizeof room));
        ASK("listxattr", listxattr(name, room, sizeof room));
        ASK("link-followed", linkat(AT_FDCWD, name, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
        ASK("chdir", chdir(name));
        ASK("exec", execl(name, name, NULL));
        if (pair == 0) /* of the link itself there is an answer, and it is the link's */
            continue;
        ASK("lstat", lstat(name, &found));
        ASK("lchown", lchown(name, getuid(), getgid()));
        ASK("lutimes", utimensat(AT_FDCWD, name, times, AT_SYMLINK_NOFOLLOW));
        ASK("lsetxattr", lsetxattr(name, "user.evil", "1", 1, 0));
        ASK("lgetxattr", lgetxattr(name, "user.note", room, sizeof room));
        ASK("readlink", readlink(name, room, sizeof room));
        ASK("link", link(name, "linked-too"));
        ASK("link-here", link("arrived", name));
        ASK("unlink", unlink(name));
        ASK("rmdir", rmdir(name));
        ASK("mkdir", mkdir(name, 0700));
        ASK("rename", rename(name, "moved"));
        ASK("symlink", symlink("x", name));
        ASK("mknod", mknod(name, S_IFIFO | 0600, 0));
    }
    return 0;
}
#endif

#ifdef KEY
/* What outlives a process without a file. */
static int left_in_memory(void) {
    own("arrived", "whole");
    IN_A_CHILD("shmget", shmget(KEY, 1 << 20, IPC_CREAT | 0600));
    IN_A_CHILD("semget", semget(KEY, 1, IPC_CREAT | 0600));
    IN_A_CHILD("msgget", msgget(KEY, IPC_CREAT | 0600));
    IN_A_CHILD("mq_open", mq_open(QUEUE, O_RDWR | O_CREAT, 0600, NULL));
    IN_A_CHILD("mq_unlink", mq_unlink(QUEUE));
    IN_A_CHILD("shmat", (long)shmat(SEGMENT, NULL, 0) == -1 ? -1 : 0);
    IN_A_CHILD("shmctl", shmctl(SEGMENT, IPC_STAT, (struct shmid_ds *)(char[512]){0}));
    IN_A_CHILD("shmctl-remove", shmctl(SEGMENT, IPC_RMID, NULL));
    IN_A_CHILD("semop", semop(SEGMENT, (struct sembuf *)(char[64]){0}, 1));
    IN_A_CHILD("semctl", semctl(SEGMENT, 0, IPC_RMID));
    IN_A_CHILD("msgsnd", msgsnd(SEGMENT, (long[4]){1}, 8, IPC_NOWAIT));
    IN_A_CHILD("msgrcv", msgrcv(SEGMENT, (long[4]){1}, 8, 0, IPC_NOWAIT));
    IN_A_CHILD("msgctl", msgctl(SEGMENT, IPC_RMID, NULL));
    return 0;
}
#endif

/* Whatever rsync can do with its log, the lines of the gate are not in its reach. */
static int forged_log(void) {
    own("arrived", "whole");
    own("forgery", "forged\n");
    IN_A_CHILD("append", fcntl(log_fd, F_SETFL, 0));
    IN_A_CHILD("overwrite", pwrite(log_fd, "forged line, and more than the first one of the gate's has: " __FILE__ "\n", 100, 0));
    IN_A_CHILD("truncate", ftruncate(log_fd, 0));
    IN_A_CHILD("punch", fallocate(log_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    IN_A_CHILD("again", open(log_path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
    IN_A_CHILD("by-path", truncate(log_path, 0));
    IN_A_CHILD("replace", rename("forgery", log_path));
    IN_A_CHILD("remove", unlink(log_path));
    if (write(log_fd, "forged\n", 7) != 7)
        return 1;
    return 0;
}
