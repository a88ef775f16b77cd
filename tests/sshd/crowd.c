/* Stands in rsync's place: as code that has taken rsync over would, it starts processes until the kernel says no. They hold what
 * rsync holds, and wait for ever; how many they are is in `crowd`. Then it becomes rsync, which has to start one more; in the view,
 * where there is no other program, it ends as rsync does then. Where there is something to link from it leaves all this out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 20000 };

static int start(void) {
    int child = fork();
    while (child == 0)
        pause();
    return child;
}

int main(int count, char **words) {
    if (count == 2 && !strcmp(words[1], "--version"))
        return puts("rsync  version 3.5.0  protocol version 32") < 0;
    int alone = 1;
    for (int i = 1; i < count; i++)
        alone &= strncmp(words[i], "--link-dest=", 12) != 0;
    if (alone) {
        int report = open("crowd", O_WRONLY | O_CREAT | O_EXCL, 0644), started = 1, child = 0, full[2];
        char byte;
        if (pipe(full) || (child = fork()) < 0)
            return 14;
        if (child == 0) {
            /* Whatever place comes free from now on, because others of the account end, is taken before rsync asks for it. */
            close(full[1]);
            for (read(full[0], &byte, 1); started < MOST; started++)
                while (start() < 0)
                    usleep(200);
            return 0;
        }
        while (started < MOST && (child = start()) > 0)
            started++;
        dprintf(report, "%d %d\n", started, child < 0 ? errno : 0);
        close(report);
        close(full[0]);
        close(full[1]);
    }
    words[0] = "/usr/bin/rsync";
    execv(words[0], words);
    return 14;
}
