#include "tree.h"

#include "base/must.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[256];
static int root_fd = -1;

const char *tree_new(void) {
    const char *tmp = getenv("TMPDIR");
    snprintf(root, sizeof root, "%s/aeon-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    must(mkdtemp(root));
    root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(root_fd >= 0);
    return root;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void tree_remove(void) {
    nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    close(root_fd);
}

int tree_fd(void) {
    return root_fd;
}

void tree_dir(const char *path) {
    must(mkdirat(root_fd, path, 0755) == 0);
}

void tree_file(const char *path, const char *contents) {
    int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    must(fd >= 0);
    must(write(fd, contents, strlen(contents)) == (ssize_t)strlen(contents));
    close(fd);
}

void tree_fifo(const char *path) {
    must(mkfifoat(root_fd, path, 0600) == 0);
}

void tree_link(const char *path, const char *says) {
    must(symlinkat(says, root_fd, path) == 0);
}

const char *tree_read(const char *path) {
    static char text[4096];
    int fd = openat(root_fd, path, O_RDONLY);
    if (fd < 0)
        return NULL;
    ssize_t n = read(fd, text, sizeof text - 1);
    must(n >= 0);
    text[n] = '\0';
    close(fd);
    return text;
}
