/* Attacks on the disk and on the gate's memory: room that no file of the tree shows. */
#include "taken.h"
#include <sys/socket.h>

/* How many names or links, how long, and where: what the test does not say is not what it is about. */
#ifndef IN
#define IN ""
#endif
#ifndef MANY
#define MANY 1L
#endif
#ifndef LENGTH
#define LENGTH 10
#endif

static char block[1 << 20];

/* Names of this push's one file, as many and as long as asked for, in the directory that it stands in; a new file where the file
 * system has no more links. */
static long names(const char *prefix, long many, int length) {
    char name[256], first[256];
    int serial = 0;
    long made = 0;
    for (long i = 0; i < many; i++) {
        if (i % 60000 == 0) {
            snprintf(first, sizeof first, "%sfile%d", prefix, serial++);
            close(own(first, "x"));
        }
        snprintf(name, sizeof name, "%s%0*ld", prefix, length, i);
        made += link(first, name) == 0;
    }
    return made;
}

static int many_names(void) {
    mkdir("d", 0755);
    dprintf(1, "made %ld\n", names(IN, MANY, LENGTH));
    return 0;
}

/* Waits to be ended: whoever counts what this push uses sees it now, or never. */
static int survive(void) {
    for (int i = 0; i < 120; i++)
        rest(100);
    dprintf(1, "survived\n");
    return 0;
}

/* So many files of so many bytes: each well below what may be stored, all of them 64 times as much. */
enum { FILES = 128, BYTES = 512 << 10 };

/* One without a name. */
static int nameless(void) {
    int file = open("nameless", O_RDWR | O_CREAT | O_EXCL, 0600);
    if (write(file, block, BYTES) != BYTES || unlink("nameless") < 0)
        _exit(11);
    return file;
}

static int open_without_names(void) {
    own("arrived", "whole");
    for (int i = 0; i < FILES; i++)
        nameless();
    return survive();
}

static int mapped_without_names(void) {
    own("arrived", "whole");
    for (int i = 0; i < FILES; i++) {
        int file = nameless();
        if (mmap(NULL, BYTES, PROT_READ, MAP_PRIVATE, file, 0) == MAP_FAILED)
            return 11;
        close(file);
    }
    return survive();
}

/* Made without a name from the start. */
static int temporary_without_names(void) {
    own("arrived", "whole");
    for (int i = 0; i < FILES; i++) {
        int file = open(".", O_TMPFILE | O_RDWR, 0600);
        if (file < 0)
            return dprintf(1, "refused %d\n", errno) < 0;
        if (write(file, block, BYTES) != BYTES)
            return 11;
    }
    return survive();
}

/* Held by nobody: on its way from one end of a line to the other. */
static int on_their_way(void) {
    int ends[2];
    own("arrived", "whole");
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    pid_t child = fork();
    if (!child) {
        for (int i = 0; i < FILES; i++) {
            int file = nameless();
            char byte = 0, control[CMSG_SPACE(sizeof file)] = {0};
            struct iovec part = {&byte, 1};
            struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
            struct cmsghdr *header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof file);
            memcpy(CMSG_DATA(header), &file, sizeof file);
            if (sendmsg(ends[0], &message, MSG_DONTWAIT) < 0)
                _exit(errno);
            close(file);
        }
        _exit(0);
    }
    int end = how_it_ended(child);
    return end ? dprintf(1, "refused %d\n", end) < 0 : survive();
}

/* Files in memory are on no disk, and count against no limit of address space. */
static int in_memory(void) {
    own("arrived", "whole");
    IN_A_CHILD("memfd_create", syscall(SYS_memfd_create, "x", 0));
    IN_A_CHILD("memfd_secret", syscall(447, 0));
    return 0;
}

/* Half of what may be stored in the tree, and once more in the log; then blocks behind the log's end. */
static int in_the_log(void) {
    int file = own("arrived", "whole");
    if (write(file, block, 900000) != 900000 || write(log_fd, block, 900000) != 900000)
        return 11;
    return 0;
}

static int behind_the_log(void) {
    own("arrived", "whole");
    fcntl(log_fd, F_SETFL, 0);
    IN_A_CHILD("allocate", fallocate(log_fd, FALLOC_FL_KEEP_SIZE, 1 << 20, 64 << 20));
    return survive();
}

/* Links of history's files, each to be made when this is gone: `MANY` of them, a thousand in a directory. */
static int many_links(void) {
    char name[256], victim[PATH_MAX];
    long made = 0;
    strcpy(victim, old("many/00"));
    for (long i = 0; i < MANY; i++) {
        if (i % 1000 == 0) {
            snprintf(name, sizeof name, "d%ld", i / 1000);
            mkdir(name, 0755);
        }
        victim[strlen(victim) - 2] = '0' + i / 10 % 10, victim[strlen(victim) - 1] = '0' + i % 10;
        snprintf(name, sizeof name, "d%ld/name-of-some-length-%ld", i / 1000, i);
        made += link(victim, name) == 0;
    }
    dprintf(1, "made %ld\n", made);
    return 0;
}

/* The same names again and again: each answer is a record, and no name costs anything. Where links are made at once the name is
 * taken away in between. It does not end by itself before a hundred times of what the gate may keep. */
static int links_for_ever(void) {
    char name[PATH_MAX] = "", part[251];
    const char *victim = old("victim");
    own("arrived", "whole");
    memset(part, 'x', sizeof part), part[250] = 0;
    while (strlen(name) + sizeof part < 3800) {
        strcat(name, part);
        mkdir(name, 0755);
        strcat(name, "/");
    }
    size_t end = strlen(name);
    long made = 0;
    for (double until = now() + 40; now() < until; made++) {
        sprintf(name + end, "%ld", made);
        if (link(victim, name) < 0)
            break;
        if (made % 4 == 3) /* and a name that is gone again is no way to use room for nothing */
            unlink(name);
    }
    dprintf(1, "made %ld %d\n", made, errno);
    return survive();
}
