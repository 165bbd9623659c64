/* beneath.c: opening a path that must not leave a directory.
 *
 * The kernel does it in one call where it has openat2(2). It refuses with EXDEV what would leave, and with EAGAIN when
 * a rename nearby makes it unsure about a `..`; after some attempts, and on kernels without the call, we walk: every
 * component is opened from the handle of the directory before it and never through a symbolic link, whose text is put
 * in front of what is left of the path instead.  `..` goes back to the handle we came from, not to where the kernel
 * thinks the parent is by now, so that no rename can lead the walk above its start. */
#include "world/os/internal.h"

#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    LINKS_MAX = 40,    /* the kernel's own bound */
    ATTEMPTS_MAX = 64, /* of openat2 while others rename */
    DEPTH_MAX = PATH_MAX / 2,
};

struct walk {
    int depth;        /* handles in dirs; dirs[0] is the start and not ours */
    int links;        /* symbolic links followed so far */
    const char *rest; /* in one of `text` */
    char text[2][2 * PATH_MAX];
    int which; /* the text that `rest` lies in */
    int dirs[DEPTH_MAX + 1];
};

static int top(const struct walk *k) {
    return k->dirs[k->depth - 1];
}

/* Puts what the link `name` says in front of the rest. `r`: why it was looked at, the answer when it is no link. */
static int follow(struct walk *k, const char *name, const char *rest, int r) {
    char target[PATH_MAX];
    ssize_t n = readlinkat(top(k), name, target, sizeof target);
    if (n < 0)
        return errno == EINVAL ? r : -errno;
    if (n == sizeof target)
        return -ENAMETOOLONG;
    if (++k->links > LINKS_MAX)
        return -ELOOP;
    if (n == 0)
        return -ENOENT;
    if (target[0] == '/')
        return -EPERM;
    char *text = k->text[!k->which];
    size_t left = strlen(rest);
    if ((size_t)n + left >= sizeof k->text[0])
        return -ENAMETOOLONG;
    memcpy(text, target, (size_t)n);
    memcpy(text + n, rest, left + 1); /* starts with '/' or is empty */
    k->which = !k->which;
    k->rest = text;
    return 0;
}

static int go_up(struct walk *k) {
    if (k->depth == 1)
        return -EPERM;
    close(top(k));
    k->depth--;
    return 0;
}

static int go_down(struct walk *k, const char *name, const char *rest) {
    int fd = openat(top(k), name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOTDIR || errno == ELOOP ? follow(k, name, rest, -ENOTDIR) : -errno;
    if (k->depth > DEPTH_MAX) {
        close(fd);
        return -ENAMETOOLONG;
    }
    k->dirs[k->depth++] = fd;
    k->rest = rest;
    return 0;
}

/* Opens the last component. The handle, or -errno, or 0 after setting k->rest when it was a link to follow. */
static int open_last(struct walk *k, const char *name, const char *rest, int oflags, uint32_t mode) {
    bool may_follow = !(oflags & O_NOFOLLOW) && (oflags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
    if (rest[0] == '/') { /* `name/` is `name/.` */
        if (oflags & O_CREAT)
            return -EISDIR;
        oflags |= O_DIRECTORY;
        may_follow = true;
    }
    int fd = openat(top(k), name, oflags | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) {
        int r = -errno;
        return may_follow && (r == -ELOOP || r == -ENOTDIR) ? follow(k, name, rest, r) : r;
    }
    struct stat st;
    if (may_follow && oflags & O_PATH && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode)) {
        close(fd);
        return follow(k, name, rest, -ELOOP);
    }
    return fd;
}

static int walk(int dir, const char *path, int oflags, uint32_t mode) {
    struct walk k; /* 20 KiB, of which only what is used is touched */
    size_t size = strlen(path) + 1;
    if (size > PATH_MAX)
        return -ENAMETOOLONG;
    k.depth = 1;
    k.links = 0;
    k.which = 0;
    k.dirs[0] = dir;
    memcpy(k.text[0], path, size);
    k.rest = k.text[0];

    int r = size == 1 ? -ENOENT : path[0] == '/' ? -EPERM : 0;
    while (r == 0) {
        const char *at = k.rest + strspn(k.rest, "/");
        size_t n = strcspn(at, "/");
        char name[NAME_MAX + 1];
        if (n > NAME_MAX) {
            r = -ENAMETOOLONG;
            break;
        }
        memcpy(name, at, n);
        name[n] = '\0';
        const char *rest = at + n;
        bool last = rest[strspn(rest, "/")] == '\0';
        if (n == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
            if (n == 2)
                r = go_up(&k);
            if (r == 0 && last) {
                r = os_result(openat(top(&k), ".", oflags | O_CLOEXEC, mode));
                break;
            }
            k.rest = rest;
        } else if (last) {
            r = open_last(&k, name, rest, oflags, mode);
            if (r > 0)
                break;
        } else {
            r = go_down(&k, name, rest);
        }
    }
    while (k.depth > 1)
        go_up(&k);
    return r;
}

int os_open_beneath(struct os *os, int dir, const char *path, int oflags, uint32_t mode) {
    must(dir >= 0);
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(oflags | O_CLOEXEC),
        .mode = oflags & O_CREAT ? mode & 07777 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    for (int i = 0; i < ATTEMPTS_MAX && !atomic_load_explicit(&os->no_openat2, memory_order_relaxed); i++) {
        long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        switch (errno) {
        case EXDEV: return -EPERM;
        case EAGAIN: continue;
        case ENOSYS: atomic_store(&os->no_openat2, true); break;
        case EPERM: return walk(dir, path, oflags, mode); /* what a system call filter says, among others */
        default: return -errno;
        }
    }
    return walk(dir, path, oflags, mode);
}
