#include "store/writer.h"

#include "base/must.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* What is left in tmp/ by processes that died is removed when it is older than this. */
#define TMP_AGE_NS (3600u * 1000000000ull)

enum status store_fail(const struct store *s, struct err *e, int64_t rc, const char *what, const char *fmt, ...) {
    char name[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof name, fmt, ap);
    va_end(ap);

    enum status st = ST_IO;
    const char *advice = "";
    switch (-rc) {
    case ENOENT: st = ST_NOT_FOUND; break;
    case EEXIST: st = ST_EXISTS; break;
    case EAGAIN: st = ST_BUSY; break;
    case ENODATA: return err_set(e, ST_TRUNCATED, "%s%s ends too early", s->path, name);
    case EACCES:
    case EPERM:
    case EROFS:
        st = ST_DENIED;
        advice = "; give the user access, or set AEON_HOME to a directory that can be written";
        break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        st = ST_NO_SPACE;
        advice = "; free some space (aeon rm), bound the journal (--keep-last), or set AEON_HOME to another disk";
        break;
    default: break;
    }
    const char *why = strerrordesc_np((int)-rc);
    return err_set(e, st, "cannot %s %s%s: %s%s", what, s->path, name, why ? why : "unknown error", advice);
}

int store_read_at(struct store *s, int fd, void *p, size_t n, uint64_t offset) {
    uint8_t *at = p;
    while (n) {
        struct iovec iov = {at, n};
        int64_t got = s->world->ops->preadv(s->world, fd, &iov, 1, offset);
        if (got < 0)
            return (int)got;
        if (got == 0)
            return -ENODATA;
        at += got;
        n -= (size_t)got;
        offset += (uint64_t)got;
    }
    return 0;
}

int store_write_at(struct store *s, int fd, struct iovec *iov, int n, uint64_t offset) {
    for (;;) {
        while (n && iov->iov_len == 0)
            iov++, n--;
        if (!n)
            return 0;
        int64_t put = s->world->ops->pwritev(s->world, fd, iov, n, offset);
        if (put < 0)
            return (int)put;
        if (put == 0)
            return -EIO;
        offset += (uint64_t)put;
        for (size_t left = (size_t)put; left;) {
            size_t k = left < iov->iov_len ? left : iov->iov_len;
            iov->iov_base = (char *)iov->iov_base + k;
            iov->iov_len -= k;
            left -= k;
            if (left)
                iov++, n--;
        }
    }
}

int store_open_dir(struct store *s, int dir, const char *name) {
    return s->world->ops->open(s->world, dir, name, WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
}

int store_random_name(struct store *s, char out[33]) {
    uint8_t b[16];
    int rc = s->world->ops->entropy(s->world, b, sizeof b);
    for (int i = 0; rc == 0 && i < 16; i++)
        snprintf(out + i * 2, 3, "%02x", b[i]);
    return rc;
}

static bool add_name(void *arg, const struct world_dirent *d) {
    struct store_names *names = arg;
    if (strcmp(d->name, ".") == 0 || strcmp(d->name, "..") == 0)
        return true;
    if (names->n == names->cap) {
        names->cap = names->cap ? names->cap * 2 : 16;
        names->name = mem_realloc(names->name, names->cap * sizeof *names->name);
    }
    names->name[names->n++] = mem_strdup(d->name);
    return true;
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int store_names_read(struct store *s, int fd, struct store_names *out) {
    *out = (struct store_names){0};
    int rc = s->world->ops->read_dir(s->world, fd, 0, add_name, out);
    if (rc < 0)
        store_names_free(out);
    else if (out->n)
        qsort(out->name, out->n, sizeof *out->name, compare_names);
    return rc < 0 ? rc : 0;
}

void store_names_free(struct store_names *names) {
    for (size_t i = 0; i < names->n; i++)
        mem_free(names->name[i]);
    mem_free(names->name);
    *names = (struct store_names){0};
}

int store_remove_tree(struct store *s, int dir, const char *name) {
    struct world *w = s->world;
    int fd = store_open_dir(s, dir, name);
    if (fd == -ENOTDIR)
        return w->ops->remove(w, dir, name, 0, false);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    struct store_names names;
    int rc = store_names_read(s, fd, &names);
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        rc = w->ops->remove(w, fd, names.name[i], 0, false);
        if (rc == -EISDIR || rc == -EPERM) /* what a guest changed through an overlay */
            rc = store_remove_tree(s, fd, names.name[i]);
        if (rc == -ENOENT)
            rc = 0;
    }
    store_names_free(&names);
    w->ops->close(w, fd);
    return rc == 0 ? w->ops->remove(w, dir, name, 0, true) : rc;
}

int store_run_is_live(struct store *s, int run_dir) {
    struct world *w = s->world;
    int fd = w->ops->open(w, run_dir, "tail", WORLD_READ, 0);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    int rc = w->ops->lock(w, fd, false);
    w->ops->close(w, fd);
    return rc == -EAGAIN ? 1 : rc;
}

/* Removes what processes that died left behind: nothing is older that is still being made. */
static void clean_tmp(struct store *s) {
    struct world *w = s->world;
    struct store_names names;
    if (store_names_read(s, s->tmp, &names) < 0)
        return;
    uint64_t now = world_now(w, WORLD_REALTIME);
    for (size_t i = 0; i < names.n; i++) {
        struct world_stat st;
        if (w->ops->stat_at(w, s->tmp, names.name[i], WORLD_NOFOLLOW, &st) == 0 && now > st.mtim &&
            now - st.mtim > TMP_AGE_NS)
            (void)store_remove_tree(s, s->tmp, names.name[i]);
    }
    store_names_free(&names);
}

/* mkdir -p */
static int make_dirs(struct world *w, const char *path) {
    char *copy = mem_strdup(path);
    int rc = 0;
    for (char *p = copy; rc == 0 && *p; p++) {
        if (p == copy || *p != '/')
            continue;
        *p = 0;
        rc = w->ops->make_dir(w, WORLD_CWD, copy, 0, 0700);
        struct world_stat st;
        if (rc < 0 && w->ops->stat_at(w, WORLD_CWD, copy, 0, &st) == 0)
            rc = 0; /* there already; the error may well be that it cannot be written */
        *p = '/';
    }
    mem_free(copy);
    if (rc == 0)
        rc = w->ops->make_dir(w, WORLD_CWD, path, 0, 0700);
    return rc;
}

enum status store_open(struct world *w, const char *path, struct store **out, struct err *e) {
    struct store *s = mem_zalloc(sizeof *s);
    s->world = w;
    s->path = mem_strdup(path);
    for (size_t n = strlen(s->path); n > 1 && s->path[n - 1] == '/';)
        s->path[--n] = 0;
    s->objects = s->runs = s->tmp = -1;
    int made = make_dirs(w, s->path); /* whether it worked shows when it is opened */
    s->dir = store_open_dir(s, WORLD_CWD, s->path);
    if (s->dir < 0) {
        int rc = s->dir == -ENOENT && made < 0 ? made : s->dir;
        store_fail(s, e, rc, rc == made ? "make" : "open", "%s", "");
        goto fail;
    }
    struct {
        int *fd;
        const char *name;
    } sub[] = {{&s->objects, "objects"}, {&s->runs, "runs"}, {&s->tmp, "tmp"}};
    for (int i = 0; i < 3; i++) {
        made = w->ops->make_dir(w, s->dir, sub[i].name, 0, 0700);
        int fd = store_open_dir(s, s->dir, sub[i].name);
        if (fd < 0) {
            int rc = fd == -ENOENT && made < 0 ? made : fd;
            store_fail(s, e, rc, rc == made ? "make" : "open", "/%s", sub[i].name);
            goto fail;
        }
        *sub[i].fd = fd;
    }
    clean_tmp(s);
    *out = s;
    return ST_OK;

fail:;
    enum status st = e ? e->status : ST_IO;
    store_close(s);
    return st;
}

void store_close(struct store *s) {
    if (!s)
        return;
    flusher_free(atomic_load(&s->flusher));
    int fds[] = {s->dir, s->objects, s->runs, s->tmp};
    for (int i = 0; i < 4; i++)
        if (fds[i] >= 0)
            s->world->ops->close(s->world, fds[i]);
    mem_free(s->path);
    mem_free(s);
}
