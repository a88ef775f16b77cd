/* What every program here begins with that stands in rsync's place: it answers for its version, finds its places in the words that
 * it is started with, and opens its log as rsync does. `ATTACK` names the function to run, `main` being this file's. What it has to
 * tell goes to its standard output, which is the client's. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *basis, *bases[32], *partial_dir, *log_path;
static int bases_count, log_fd = -1, keeps_hard_links;

static void tell(const char *what, long answer) {
    dprintf(1, "%s %d\n", what, answer < 0 ? errno : 0);
}

/* As rsync sleeps, so that no filter has to let more through for it. */
static void rest(int milliseconds) {
    struct timeval time = {milliseconds / 1000, milliseconds % 1000 * 1000};
    select(0, NULL, NULL, NULL, &time);
}

static double now(void) {
    struct timeval time;
    gettimeofday(&time, NULL);
    return time.tv_sec + time.tv_usec / 1e6;
}

/* A file of this push, with something in it. */
static int own(const char *name, const char *text) {
    int file = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);
    if (file >= 0 && write(file, text, strlen(text)) < 0)
        return -1;
    return file;
}

/* A name in the tree that is compared with. */
static const char *old(const char *name) {
    static char path[2][PATH_MAX];
    static int turn;
    turn = !turn;
    snprintf(path[turn], PATH_MAX, "%s/%s", basis, name);
    return path[turn];
}

/* Tells the test that it may do its part now, and waits until that is done. */
static void let_the_test_act(void) {
    /* Whole when it is there: the test may end everything at once. */
    close(own("nearly", "ready"));
    rename("nearly", "ready");
    for (int tries = 0; access("go", F_OK) < 0 && tries < 10000; tries++)
        rest(2);
    unlink("go");
    unlink("ready");
}

static int how_it_ended(pid_t child) {
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* How an attempt ends that another process makes, so that its death is an answer too: the number of the error, or of the signal with a
 * minus. */
#define OTHERWISE(attempt) \
    ({ \
        pid_t child = fork(); \
        if (!child) \
            _exit((attempt) < 0 ? errno : 0); \
        how_it_ended(child); \
    })
#define IN_A_CHILD(what, attempt) dprintf(1, "%s %d\n", what, OTHERWISE(attempt))

static int ATTACK(void);

int main(int count, char **words) {
    if (count == 2 && !strcmp(words[1], "--version"))
        return puts("rsync  version 3.5.0  protocol version 32") < 0;
    for (int i = 1; i < count; i++)
        if (!strncmp(words[i], "--link-dest=", 12))
            bases[bases_count++] = words[i] + 12;
        else if (!strncmp(words[i], "--partial-dir=", 14))
            partial_dir = words[i] + 14;
        else if (!strncmp(words[i], "--log-file=", 11))
            log_path = words[i] + 11;
        else if (words[i][0] == '-' && words[i][1] != '-' && strcspn(words[i], "H") < strcspn(words[i], "e"))
            keeps_hard_links = 1;
    basis = bases[0];
    /* Before it reads anything, as rsync does. */
    log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    return ATTACK();
}
