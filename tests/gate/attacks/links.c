/* Attacks on links that are made later: what stands where one is to be made, where it is taken from, and what stands in its place
 * until then. `HISTORY` and `OUTSIDE` are the server's own names of the newest snapshot and of a directory beside the store. */
#include "taken.h"
#include <sys/xattr.h>

static void record(const char *what, const char *from, const char *to) {
    tell(what, link(from, to));
}

/* What the next push is to have too. */
static void usual(void) {
    own("arrived", "whole");
    mkdir("d", 0755);
    record("victim", old("victim"), "victim");
    record("inner", old("d/inner"), "d/inner");
    record("link", old("link"), "link");
    record("out", old("out"), "out");
    record("secret", old("secret"), "secret");
}

/* Makes something else of a directory in which a link is to be made. */
static void replace(const char *directory, const char *target) {
    char name[PATH_MAX];
    mkdir(directory, 0755);
    snprintf(name, sizeof name, "%s/planted", directory);
    record(name, old("victim"), name);
    unlink(name);
    rmdir(directory);
    if (target)
        symlink(target, directory);
    else
        own(directory, "no directory any more");
}

/* A path of that many bytes, whose directories are there. */
static char *deep(size_t length) {
    static char path[PATH_MAX];
    char part[201];
    path[0] = 0;
    memset(part, 'y', sizeof part), part[200] = 0;
    while (strlen(path) + 202 < length) {
        strcat(path, part);
        mkdir(path, 0755);
        strcat(path, "/");
    }
    size_t end = strlen(path);
    memset(path + end, 'z', length - end), path[length] = 0;
    return path;
}

static int odd_records(void) {
    char name[PATH_MAX], victim[PATH_MAX], seen[PATH_MAX];
    strcpy(victim, old("victim"));
    usual();
    record("taken", victim, "taken");
    unlink("taken");
    own("taken", "of this push");
    replace("file", NULL);
    replace("to-history", HISTORY "/d");
    replace("to-history-as-it-is-seen", basis);
    replace("to-outside", OUTSIDE "/d");
    replace("up", "..");
    replace("up-and-away", "../../../outside/d");

    memset(name, 'x', 256), name[255] = 0;
    record("longest-name", victim, name);
    name[255] = 'x', name[256] = 0;
    record("too-long-name", victim, name);
    record("deep", victim, deep(3900));
    snprintf(seen, sizeof seen, "%s", old("deep"));
    record("from-deep", access(old(deep(3900)), F_OK) ? victim : old(deep(3900)), "from-deep");
    memset(name, '/', sizeof name), name[0] = '.', strcpy(name + 4092, "own");
    record("path-of-4095", victim, name);

    record("above", victim, "../escaped");
    mkdir("e", 0755);
    record("above-by-a-way", victim, "e/../../escaped");
    record("of-the-root", victim, "/escaped");
    record("in-history", victim, HISTORY "/escaped");
    record("in-history-as-it-is-seen", victim, old("escaped"));
    record("outside", victim, OUTSIDE "/escaped");
    record("empty", victim, "");
    record("here", victim, ".");
    record("slash", victim, "slash/");
    record("directory", victim, "e");
    record("twice", victim, "twice");
    record("twice-again", old("d/inner"), "twice");
    mkdir(partial_dir, 0700);
    snprintf(name, sizeof name, "%s/unfinished", partial_dir);
    record("unfinished", victim, name);

    record("from-above", old("../../../../outside/secret"), "from-above");
    record("from-below-and-above", old("d/../../../../../outside/secret"), "from-below-and-above");
    record("from-outside", OUTSIDE "/secret", "from-outside");
    record("from-a-directory", old("d"), "from-a-directory");
    record("from-nothing", old("nothing"), "from-nothing");
    record("from-a-link", old("link"), "from-a-link");
    symlink(basis, "way");
    record("from-a-way", "way/d/inner", "from-a-way");
    symlink(OUTSIDE, "way-out");
    record("from-a-way-out", "way-out/secret", "from-a-way-out");
    record("from-itself", "from-itself", "from-itself");
    record("through-a-link", old("out/secret"), "through-a-link");
    tell("followed", linkat(AT_FDCWD, old("link"), AT_FDCWD, "followed", AT_SYMLINK_FOLLOW));
    tell("followed-out", linkat(AT_FDCWD, old("secret"), AT_FDCWD, "followed-out", AT_SYMLINK_FOLLOW));
    int directory = open(old("d"), O_PATH | O_DIRECTORY), file = open(victim, O_PATH);
    tell("by-descriptor", linkat(directory, "inner", AT_FDCWD, "by-descriptor", 0));
    tell("by-descriptor-above", linkat(directory, "../../../../outside/secret", AT_FDCWD, "by-descriptor-above", 0));
    tell("by-itself", linkat(file, "", AT_FDCWD, "by-itself", AT_EMPTY_PATH));
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    tell("by-proc", linkat(AT_FDCWD, name, AT_FDCWD, "by-proc", AT_SYMLINK_FOLLOW));
    tell("by-address", link((char *)1, "by-address"));
    tell("to-address", link(victim, (char *)1));
    return 0;
}

/* What stands in the place of links until they are made, where rsync looks at them again. None of it may be left. */
static int placeholders(void) {
    char victim[PATH_MAX];
    strcpy(victim, old("victim"));
    usual();
    record("renamed", victim, "before");
    rename("before", "renamed");
    record("grouped", victim, "grouped");
    record("grouped-too", "grouped", "grouped-too");
    mkdir("locked", 0755);
    record("locked", victim, "locked/name");
    link("locked/name", "locked/other");
    mkdir("moved", 0755);
    record("moved", victim, "moved/name");
    rename("moved", "moved-away");
    record("removed", victim, "removed");
    unlink("removed");
    own("written-over", "of this push");
    record("over", victim, "over");
    rename("over", "written-over");
    record("exchanged", victim, "exchanged");
    own("exchanged-with", "of this push");
    IN_A_CHILD("exchange", syscall(SYS_renameat2, AT_FDCWD, "exchanged", AT_FDCWD, "exchanged-with", 2));
    record("filled", victim, "filled");
    IN_A_CHILD("fill", write(open("filled", O_WRONLY), "evil", 4));
    record("changed", victim, "changed");
    IN_A_CHILD("change-mode", chmod("changed", 04777));
    IN_A_CHILD("change-attribute", setxattr("changed", "user.evil", "1", 1, 0));
    IN_A_CHILD("grow", truncate("changed", 1 << 20));
    mkdir("deep", 0755), mkdir("deep/deep", 0755);
    link("filled", "deep/deep/name");
    linkat(AT_FDCWD, "changed", AT_FDCWD, "deep/deep/other", 0);
    chmod("deep/deep", 0111);
    chmod("locked", 0);
    if (ENDING < 0)
        let_the_test_act();
    return ENDING;
}

/* First leaves a tree behind, then links from it while the test takes something out of it. */
static int vanishing(void) {
    if (bases_count < 2) {
        own("left", "left behind");
        own("stays", "stays");
        mkdir("e", 0755);
        own("e/inner", "left behind in e");
        return 12;
    }
    own("arrived", "whole");
    record("left", old("left"), "left");
    record("stays", old("stays"), "stays");
    record("inner", old("e/inner"), "inner");
    let_the_test_act();
    return 0;
}
