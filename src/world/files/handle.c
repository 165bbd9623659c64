/* handle.c: what is done to open handles. Each number is a handle below, which stands for what we make of it. */
#include "world/files/internal.h"

#include <stdio.h>

/* ---- the table ---- */

struct handle *handle_of(struct files *f, int fd) {
    return (unsigned)fd < f->cap ? f->handles[fd] : NULL;
}

/* Does it use a handle of ours? */
static bool is_stacked(struct files *f, const struct handle *h) {
    const struct handle *under = handle_of(f, h->real);
    return under && under != h;
}

/* The handle that does the work for `*fd`, which is then its number. */
static struct handle *working(struct world *w, int *fd) {
    struct files *f = files_of(w);
    struct handle *h = handle_of(f, *fd);
    if (LIKELY(!h || h->kind != HANDLE_LOWER || !is_stacked(f, h)))
        return h;
    *fd = h->real;
    return handle_of(f, h->real);
}

static void set_handle(struct files *f, int fd, struct handle *h) {
    must(fd >= 0);
    if ((unsigned)fd >= f->cap) {
        uint32_t cap = f->cap ? f->cap : 64;
        while ((unsigned)fd >= cap)
            cap *= 2;
        f->handles = mem_realloc(f->handles, cap * sizeof *f->handles);
        memset(f->handles + f->cap, 0, (cap - f->cap) * sizeof *f->handles);
        f->cap = cap;
    }
    must(!h || !f->handles[fd]);
    f->handles[fd] = h;
}

int handle_add(struct files *f, int fd, enum handle_kind kind, struct node *dir, struct handle **out) {
    struct handle *h = mem_zalloc(sizeof *h);
    *h = (struct handle){.kind = kind, .refs = 1, .real = fd, .dir = node_hold(dir)};
    set_handle(f, fd, h);
    if (out)
        *out = h;
    return fd;
}

int handle_open_dir(struct node *d) {
    int fd = d->tree->ops->stand_in(d);
    return fd < 0 ? fd : handle_add(d->tree->files, fd, HANDLE_DIR, d, NULL);
}

bool handle_is_open(struct files *f, uint64_t dev, uint64_t ino) {
    for (uint32_t i = 0; i < f->cap; i++) {
        const struct handle *h = f->handles[i];
        if (h && h->kind == HANDLE_FILE && h->ino == ino && h->dev == dev)
            return true;
    }
    return false;
}

void handle_copied(struct node *d, const char *name, int copied_in) {
    struct files *f = d->tree->files;
    for (uint32_t i = 0; i < f->cap; i++) {
        struct handle *h = f->handles[i];
        if (!h || h->kind != HANDLE_LOWER || h->dir != d || !h->name || strcmp(h->name, name) != 0)
            continue;
        mem_free(h->name);
        h->name = NULL;
        int fd = copied_in < 0 ? -1 : UNDER(f, open, copied_in, name, WORLD_READ | WORLD_NOFOLLOW, 0);
        if (fd < 0)
            continue;
        int64_t at = WITHIN(f, seek, h->real, 0, 1);
        if (at > 0)
            UNDER(f, seek, fd, at, 0);
        struct world_stat st;
        if (UNDER(f, stat, fd, &st) == 0) {
            h->dev = st.dev;
            h->ino = st.ino;
        }
        if (is_stacked(f, h))
            WITHIN(f, close, h->real);
        h->kind = HANDLE_FILE;
        h->real = fd; /* what it was stays open as its number */
    }
}

static void handle_free(struct files *f, struct handle *h, int fd) {
    if (h->real != fd)
        WITHIN(f, close, h->real);
    node_drop(h->dir);
    mem_free(h->name);
    listing_free(h->listing);
    mem_free(h);
}

int files_close(struct world *w, int fd) {
    struct files *f = files_of(w);
    struct handle *h = handle_of(f, fd);
    if (!h)
        return BELOW(w, close, fd);
    f->handles[fd] = NULL;
    if (--h->refs == 0) {
        charged_close(h->dir->tree, h);
        handle_free(f, h, fd);
    } else if (h->real == fd) {
        /* Another number has the same file below. */
        for (uint32_t i = 0; i < f->cap; i++)
            if (f->handles[i] == h)
                h->real = (int)i;
    }
    return BELOW(w, close, fd);
}

int files_dup(struct world *w, int fd) {
    struct handle *h = handle_of(files_of(w), fd);
    int r = BELOW(w, dup, h ? h->real : fd);
    if (!h || r < 0)
        return r;
    h->refs++;
    set_handle(files_of(w), r, h);
    return r;
}

/* ---- contents ---- */

static int real_of(struct handle *h, int fd) {
    return h ? h->real : fd;
}

/* A handle that is read or written; what is wrong with it for that. */
static int as_file(const struct handle *h, bool to_write) {
    if (h && h->kind == HANDLE_DIR)
        return to_write ? -EBADF : -EISDIR;
    if (h && h->kind == HANDLE_ARCHIVE && to_write)
        return -EBADF;
    return 0;
}

int64_t files_readv(struct world *w, int fd, const struct iovec *iov, int n) {
    struct handle *h = working(w, &fd);
    if (LIKELY(!h))
        return BELOW(w, readv, fd, iov, n);
    int r = as_file(h, false);
    if (r < 0)
        return r;
    return h->kind == HANDLE_ARCHIVE ? archive_read(h, iov, n, UINT64_MAX, false) : BELOW(w, readv, h->real, iov, n);
}

int64_t files_preadv(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    struct handle *h = working(w, &fd);
    int r = as_file(h, false);
    if (r < 0)
        return r;
    if (h && h->kind == HANDLE_ARCHIVE)
        return offset > INT64_MAX ? -EINVAL : archive_read(h, iov, n, offset, false);
    return BELOW(w, preadv, real_of(h, fd), iov, n, offset);
}

int64_t files_read_cached(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    struct handle *h = working(w, &fd);
    int r = as_file(h, false);
    if (r < 0)
        return r;
    return h && h->kind == HANDLE_ARCHIVE ? archive_read(h, iov, n, offset, true)
                                          : BELOW(w, read_cached, real_of(h, fd), iov, n, offset);
}

int64_t files_writev(struct world *w, int fd, const struct iovec *iov, int n) {
    struct handle *h = working(w, &fd);
    if (LIKELY(!h))
        return BELOW(w, writev, fd, iov, n);
    int r = as_file(h, true);
    return r < 0 ? r : charged_write(h->dir->tree, h, iov, n, UINT64_MAX);
}

int64_t files_pwritev(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    struct handle *h = working(w, &fd);
    if (!h)
        return BELOW(w, pwritev, fd, iov, n, offset);
    int r = as_file(h, true);
    if (r == 0 && offset > INT64_MAX)
        r = -EINVAL;
    return r < 0 ? r : charged_write(h->dir->tree, h, iov, n, offset);
}

static int64_t archive_seek(struct handle *h, int64_t offset, int whence) {
    struct world_stat st;
    archive_stat(h->dir->tree, h->entry, &st);
    int64_t from = whence == 0 ? 0 : whence == 1 ? (int64_t)h->offset : (int64_t)st.size, to;
    if (whence < 0 || whence > 2 || __builtin_add_overflow(from, offset, &to) || to < 0)
        return -EINVAL;
    h->offset = (uint64_t)to;
    return to;
}

int64_t files_seek(struct world *w, int fd, int64_t offset, int whence) {
    struct handle *h = working(w, &fd);
    return h && h->kind == HANDLE_ARCHIVE ? archive_seek(h, offset, whence)
                                          : BELOW(w, seek, real_of(h, fd), offset, whence);
}

int files_set_size(struct world *w, int fd, uint64_t size) {
    struct handle *h = working(w, &fd);
    if (!h)
        return BELOW(w, set_size, fd, size);
    return h->kind == HANDLE_FILE || h->kind == HANDLE_LOWER ? charged_set_size(h->dir->tree, h, size) : -EINVAL;
}

int files_allocate(struct world *w, int fd, uint64_t offset, uint64_t size) {
    struct handle *h = working(w, &fd);
    if (!h)
        return BELOW(w, allocate, fd, offset, size);
    int r = as_file(h, true);
    return r < 0 ? r : charged_allocate(h->dir->tree, h, offset, size);
}

int files_advise(struct world *w, int fd, uint64_t offset, uint64_t size, int advice) {
    struct handle *h = working(w, &fd);
    if (h && h->kind == HANDLE_ARCHIVE)
        return 0;
    return BELOW(w, advise, real_of(h, fd), offset, size, advice);
}

int files_map(struct world *w, int fd, uint64_t size, bool writable, void **out) {
    struct handle *h = working(w, &fd);
    /* What is written through a mapping could neither be counted nor copied up. */
    if (h && (writable || h->kind == HANDLE_ARCHIVE || h->kind == HANDLE_DIR))
        return -ENODEV;
    return BELOW(w, map, real_of(h, fd), size, writable, out);
}

/* ---- attributes ---- */

int files_stat(struct world *w, int fd, struct world_stat *out) {
    struct handle *h = working(w, &fd);
    if (!h)
        return BELOW(w, stat, fd, out);
    if (h->kind == HANDLE_DIR)
        return h->dir->tree->ops->stat(h->dir, NULL, out);
    if (h->kind == HANDLE_ARCHIVE) {
        archive_stat(h->dir->tree, h->entry, out);
        return 0;
    }
    struct world_stat st;
    int r = BELOW(w, stat, h->real, &st);
    if (r < 0)
        return r;
    if (h->dir->tree->origin)
        origins_show(h->dir->tree->origin, &st);
    *out = st;
    return 0;
}

int files_set_flags(struct world *w, int fd, uint32_t flags) {
    struct handle *h = working(w, &fd);
    if (h && (h->kind == HANDLE_ARCHIVE || h->kind == HANDLE_DIR))
        return 0; /* of no consequence to what is only read */
    int r = BELOW(w, set_flags, real_of(h, fd), flags);
    if (r == 0 && h)
        h->append = flags & WORLD_APPEND;
    return r;
}

int files_get_flags(struct world *w, int fd, uint32_t *flags) {
    struct handle *h = working(w, &fd);
    if (h && h->kind == HANDLE_ARCHIVE) {
        *flags = 0;
        return 0;
    }
    return BELOW(w, get_flags, real_of(h, fd), flags);
}

int files_set_times(struct world *w, int fd, uint64_t atim, uint64_t mtim, uint32_t which) {
    struct handle *h = handle_of(files_of(w), fd);
    if (!h)
        return BELOW(w, set_times, fd, atim, mtim, which);
    if (h->kind == HANDLE_DIR)
        return h->dir->tree->ops->set_times(h->dir, NULL, atim, mtim, which);
    if (h->kind == HANDLE_ARCHIVE)
        return -EROFS;
    if (h->kind == HANDLE_LOWER) { /* copies it up, whereupon this handle is of the copy */
        if (!h->name)
            return -EROFS;
        char *name = mem_strdup(h->name);
        int r = h->dir->tree->ops->set_times(h->dir, name, atim, mtim, which);
        mem_free(name);
        return r;
    }
    return BELOW(w, set_times, h->real, atim, mtim, which);
}

int files_sync(struct world *w, int fd, bool data_only) {
    struct handle *h = working(w, &fd);
    if (h && (h->kind == HANDLE_ARCHIVE || h->kind == HANDLE_LOWER))
        return 0;
    if (!h || h->kind != HANDLE_DIR || h->dir->at < 0)
        return BELOW(w, sync, real_of(h, fd), data_only);
    /* Of an overlay the number may stand for the lower directory. */
    int r = BELOW(w, open, h->dir->at, ".", WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
    if (r < 0)
        return r;
    int dir = r;
    r = BELOW(w, sync, dir, data_only);
    BELOW(w, close, dir);
    return r;
}

int files_read_dir(struct world *w, int fd, uint64_t cookie, bool (*each)(void *, const struct world_dirent *),
                   void *arg) {
    struct handle *h = handle_of(files_of(w), fd);
    if (!h)
        return BELOW(w, read_dir, fd, cookie, each, arg);
    return h->kind == HANDLE_DIR ? h->dir->tree->ops->read_dir(h->dir, h, cookie, each, arg) : -ENOTDIR;
}

int files_lock(struct world *w, int fd, bool exclusive) {
    struct handle *h = working(w, &fd);
    if (h && h->kind == HANDLE_ARCHIVE)
        return -ENOTSUP; /* all of its files would be one */
    return BELOW(w, lock, real_of(h, fd), exclusive);
}
