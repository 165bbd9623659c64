/* path.c: everything that takes a path.
 *
 * With WORLD_BENEATH the directory that holds the last component is opened first (beneath.c); what is to be done is
 * then done to the last component alone, relative to that handle and without following it, so that nothing that
 * somebody renames meanwhile can lead elsewhere. */
#include "world/os/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static int open_flags(uint32_t flags) {
    int o = O_CLOEXEC | O_NOCTTY;
    if (flags & WORLD_PATH)
        o |= O_PATH;
    else
        o |= O_NONBLOCK; /* nothing waits; files and directories do not care */
    if ((flags & (WORLD_READ | WORLD_WRITE)) == (WORLD_READ | WORLD_WRITE))
        o |= O_RDWR;
    else if (flags & WORLD_WRITE)
        o |= O_WRONLY;
    o |= flags & WORLD_CREATE ? O_CREAT : 0;
    o |= flags & WORLD_EXCLUSIVE ? O_EXCL : 0;
    o |= flags & WORLD_TRUNCATE ? O_TRUNC : 0;
    o |= flags & WORLD_APPEND ? O_APPEND : 0;
    o |= flags & WORLD_DSYNC ? O_DSYNC : 0;
    o |= flags & WORLD_RSYNC ? O_RSYNC : 0;
    o |= flags & WORLD_SYNC ? O_SYNC : 0;
    o |= flags & WORLD_DIRECTORY_ONLY ? O_DIRECTORY : 0;
    o |= flags & WORLD_NOFOLLOW ? O_NOFOLLOW : 0;
    if (flags & WORLD_PATH) /* all that open(2) knows beside it; openat2 refuses the rest */
        o &= O_PATH | O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW;
    return o;
}

static int open_any(struct os *os, int dir, const char *path, int oflags, uint32_t mode, bool beneath) {
    if (beneath)
        return os_open_beneath(os, dir, path, oflags, mode);
    return os_result(openat(dir, path, oflags | O_CLOEXEC, mode));
}

int os_open(struct world *w, int dir, const char *path, uint32_t flags, uint32_t mode) {
    int fd = open_any(os_of(w), dir, path, open_flags(flags), mode, flags & WORLD_BENEATH);
    return fd < 0 ? fd : os_handle(os_of(w), fd, ACCESS_UNKNOWN);
}

/* ---- the place of a last component ---- */

struct place {
    int dir;
    bool owned;
    const char *name; /* last component, with the slashes behind it; the whole path when it may go anywhere */
};

static void place_close(struct place *p) {
    if (p->owned)
        close(p->dir);
}

static bool is_dots(const char *name, size_t n) {
    return (n == 1 && name[0] == '.') || (n == 2 && name[0] == '.' && name[1] == '.');
}

/* Finds the place of `path` below `dir`. */
static int place_open(struct os *os, int dir, const char *path, uint32_t flags, struct place *out) {
    *out = (struct place){.dir = dir, .name = path};
    if (!(flags & WORLD_BENEATH))
        return 0;
    size_t size = strlen(path);
    if (size == 0)
        return -ENOENT;
    if (path[0] == '/')
        return -EPERM;
    if (size >= PATH_MAX)
        return -ENAMETOOLONG;
    size_t end = size;
    while (path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    if (is_dots(path + start, end - start)) {
        /* No name in any directory: every operation refuses it, but only what is inside may be asked about. */
        int r = os_open_beneath(os, dir, path, O_PATH | O_DIRECTORY, 0);
        if (r < 0)
            return r;
        close(r);
    }
    if (start > 0) {
        char parent[PATH_MAX];
        memcpy(parent, path, start);
        parent[start] = '\0';
        int fd = os_open_beneath(os, dir, parent, O_PATH | O_DIRECTORY, 0);
        if (fd < 0)
            return fd;
        out->dir = fd;
        out->owned = true;
    }
    out->name = path + start;
    return 0;
}

static bool ends_in_slash(const char *path) {
    size_t n = strlen(path);
    return n > 0 && path[n - 1] == '/';
}

/* A path to what a handle stands for, for calls that take no handle. */
struct handle_path {
    char text[32];
};

static const char *handle_path(struct handle_path *p, int fd) {
    snprintf(p->text, sizeof p->text, "/proc/self/fd/%d", fd);
    return p->text;
}

/* ---- operations ---- */

int os_stat_at(struct world *w, int dir, const char *path, uint32_t flags, struct world_stat *out) {
    struct stat st;
    bool nofollow = flags & WORLD_NOFOLLOW && !ends_in_slash(path);
    if (!(flags & WORLD_BENEATH)) {
        if (fstatat(dir, path, &st, nofollow ? AT_SYMLINK_NOFOLLOW : 0) != 0)
            return -errno;
        os_stat_fill(out, &st);
        return 0;
    }
    /* A single name that is no link needs no handle. */
    if (!strchr(path, '/') && strcmp(path, "..") != 0) {
        if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return -errno;
        if (nofollow || !S_ISLNK(st.st_mode)) {
            os_stat_fill(out, &st);
            return 0;
        }
    }
    int fd = os_open_beneath(os_of(w), dir, path, O_PATH | (nofollow ? O_NOFOLLOW : 0), 0);
    if (fd < 0)
        return fd;
    int r = os_result(fstat(fd, &st));
    close(fd);
    if (r == 0)
        os_stat_fill(out, &st);
    return r;
}

int os_set_times_at(struct world *w, int dir, const char *path, uint32_t flags, uint64_t atim, uint64_t mtim,
                    uint32_t which) {
    struct timespec ts[2];
    os_times_fill(ts, atim, mtim, which);
    bool nofollow = flags & WORLD_NOFOLLOW && !ends_in_slash(path);
    if (!(flags & WORLD_BENEATH))
        return os_result(utimensat(dir, path, ts, nofollow ? AT_SYMLINK_NOFOLLOW : 0));
    if (nofollow) {
        struct place p;
        int r = place_open(os_of(w), dir, path, flags, &p);
        if (r == 0)
            r = os_result(utimensat(p.dir, p.name, ts, AT_SYMLINK_NOFOLLOW));
        place_close(&p);
        return r;
    }
    int fd = os_open_beneath(os_of(w), dir, path, O_PATH, 0);
    if (fd < 0)
        return fd;
    struct handle_path hp;
    int r = os_result(utimensat(AT_FDCWD, handle_path(&hp, fd), ts, 0));
    close(fd);
    return r;
}

int os_make_dir(struct world *w, int dir, const char *path, uint32_t flags, uint32_t mode) {
    struct place p;
    int r = place_open(os_of(w), dir, path, flags, &p);
    if (r == 0)
        r = os_result(mkdirat(p.dir, p.name, mode));
    place_close(&p);
    return r;
}

int os_remove(struct world *w, int dir, const char *path, uint32_t flags, bool directory) {
    struct place p;
    int r = place_open(os_of(w), dir, path, flags, &p);
    if (r == 0)
        r = os_result(unlinkat(p.dir, p.name, directory ? AT_REMOVEDIR : 0));
    place_close(&p);
    return r;
}

int os_rename(struct world *w, int dir, const char *path, int to_dir, const char *to, uint32_t flags) {
    struct place a, b = {0};
    int r = place_open(os_of(w), dir, path, flags, &a);
    if (r == 0)
        r = place_open(os_of(w), to_dir, to, flags, &b);
    if (r == 0)
        r = os_result(renameat(a.dir, a.name, b.dir, b.name));
    place_close(&a);
    place_close(&b);
    return r;
}

int os_link(struct world *w, int dir, const char *path, int to_dir, const char *to, uint32_t flags) {
    struct os *os = os_of(w);
    bool nofollow = flags & WORLD_NOFOLLOW;
    if (!(flags & WORLD_BENEATH))
        return os_result(linkat(dir, path, to_dir, to, nofollow ? 0 : AT_SYMLINK_FOLLOW));
    struct place a = {0}, b = {0};
    int r = place_open(os, to_dir, to, flags, &b);
    if (r != 0)
        goto done;
    if (nofollow && !ends_in_slash(path)) {
        r = place_open(os, dir, path, flags, &a);
        if (r == 0)
            r = os_result(linkat(a.dir, a.name, b.dir, b.name, 0));
    } else {
        int fd = os_open_beneath(os, dir, path, O_PATH, 0);
        if (fd < 0) {
            r = fd;
            goto done;
        }
        struct handle_path hp;
        r = os_result(linkat(AT_FDCWD, handle_path(&hp, fd), b.dir, b.name, AT_SYMLINK_FOLLOW));
        close(fd);
    }
done:
    place_close(&a);
    place_close(&b);
    return r;
}

int os_symlink(struct world *w, const char *target, int dir, const char *path, uint32_t flags) {
    struct place p;
    int r = place_open(os_of(w), dir, path, flags, &p);
    if (r == 0)
        r = os_result(symlinkat(target, p.dir, p.name));
    place_close(&p);
    return r;
}

int64_t os_read_link(struct world *w, int dir, const char *path, uint32_t flags, char *out, size_t cap) {
    struct place p;
    if (flags & WORLD_BENEATH && ends_in_slash(path)) {
        int fd = os_open_beneath(os_of(w), dir, path, O_PATH | O_DIRECTORY, 0);
        if (fd < 0)
            return fd;
        close(fd);
        return -EINVAL; /* a directory, then, and no link */
    }
    int64_t r = place_open(os_of(w), dir, path, flags, &p);
    if (r == 0) {
        r = readlinkat(p.dir, p.name, out, cap);
        r = r < 0 ? -errno : r;
    }
    place_close(&p);
    return r;
}
