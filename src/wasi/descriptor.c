/* descriptor.c: the program's descriptors and their rights. */
#include "wasi/internal.h"

#include <errno.h>

#define R(name) WASI_RIGHT_##name

static const uint64_t stream_rights = R(FD_DATASYNC) | R(FD_READ) | R(FD_FDSTAT_SET_FLAGS) | R(FD_SYNC) | R(FD_WRITE) |
                                      R(FD_FILESTAT_GET) | R(POLL_FD_READWRITE);
static const uint64_t device_rights = stream_rights | R(FD_SEEK) | R(FD_TELL) | R(FD_ADVISE);
static const uint64_t file_rights = device_rights | R(FD_ALLOCATE) | R(FD_FILESTAT_SET_SIZE) | R(FD_FILESTAT_SET_TIMES);
static const uint64_t directory_rights =
    R(FD_DATASYNC) | R(FD_FDSTAT_SET_FLAGS) | R(FD_SYNC) | R(FD_ADVISE) | R(PATH_CREATE_DIRECTORY) |
    R(PATH_CREATE_FILE) | R(PATH_LINK_SOURCE) | R(PATH_LINK_TARGET) | R(PATH_OPEN) | R(FD_READDIR) | R(PATH_READLINK) |
    R(PATH_RENAME_SOURCE) | R(PATH_RENAME_TARGET) | R(PATH_FILESTAT_GET) | R(PATH_FILESTAT_SET_SIZE) |
    R(PATH_FILESTAT_SET_TIMES) | R(FD_FILESTAT_GET) | R(FD_FILESTAT_SET_TIMES) | R(PATH_SYMLINK) |
    R(PATH_REMOVE_DIRECTORY) | R(PATH_UNLINK_FILE) | R(POLL_FD_READWRITE);
static const uint64_t socket_rights = R(FD_READ) | R(FD_FDSTAT_SET_FLAGS) | R(FD_WRITE) | R(FD_FILESTAT_GET) |
                                      R(POLL_FD_READWRITE) | R(SOCK_SHUTDOWN) | R(SOCK_ACCEPT);

static const struct {
    uint8_t filetype;
    const uint64_t *rights;
} types[] = {
    [WORLD_UNKNOWN] = {WASI_FILETYPE_UNKNOWN, &stream_rights},
    [WORLD_BLOCK_DEVICE] = {WASI_FILETYPE_BLOCK_DEVICE, &device_rights},
    [WORLD_CHAR_DEVICE] = {WASI_FILETYPE_CHARACTER_DEVICE, &device_rights},
    [WORLD_DIRECTORY] = {WASI_FILETYPE_DIRECTORY, &directory_rights},
    [WORLD_REGULAR] = {WASI_FILETYPE_REGULAR_FILE, &file_rights},
    [WORLD_SOCKET_DGRAM] = {WASI_FILETYPE_SOCKET_DGRAM, &socket_rights},
    [WORLD_SOCKET_STREAM] = {WASI_FILETYPE_SOCKET_STREAM, &socket_rights},
    [WORLD_SYMLINK] = {WASI_FILETYPE_SYMBOLIC_LINK, &stream_rights},
    [WORLD_PIPE] = {WASI_FILETYPE_UNKNOWN, &stream_rights}, /* preview 1 has no type for it */
    /* A program takes for a terminal what is a character device and cannot seek. */
    [WORLD_TERMINAL] = {WASI_FILETYPE_CHARACTER_DEVICE, &stream_rights},
};

uint64_t wasi_rights_of(enum world_filetype type) {
    return *types[type].rights;
}

uint8_t wasi_filetype_of(enum world_filetype type) {
    return types[type].filetype;
}

/* What to say of a right that is missing: the usual error where it makes no sense for what is open. */
static int64_t missing(const struct desc *d, uint64_t rights) {
    uint64_t senseless = rights & ~d->applicable;
    if (!senseless)
        return NOTCAPABLE;
    if (senseless & (R(SOCK_ACCEPT) | R(SOCK_SHUTDOWN)))
        return -ENOTSOCK;
    if (d->filetype == WASI_FILETYPE_DIRECTORY)
        return -EISDIR;
    if (senseless & directory_rights & ~file_rights)
        return -ENOTDIR;
    if (senseless & (R(FD_SEEK) | R(FD_TELL) | R(FD_ALLOCATE) | R(FD_ADVISE)))
        return -ESPIPE;
    return -EINVAL;
}

struct desc *wasi_desc(struct wasi *w, uint32_t fd, uint64_t rights, int64_t *e) {
    if (UNLIKELY(fd >= w->cap || !w->fds[fd].open)) {
        *e = -EBADF;
        return NULL;
    }
    struct desc *d = &w->fds[fd];
    if (UNLIKELY(rights & ~d->base)) {
        *e = missing(d, rights & ~d->base);
        return NULL;
    }
    return d;
}

static void grow(struct wasi *w) {
    uint32_t cap = w->cap ? w->cap * 2 : 16;
    if (cap > w->max_fds)
        cap = w->max_fds;
    w->fds = mem_realloc(w->fds, cap * sizeof *w->fds);
    memset(w->fds + w->cap, 0, (cap - w->cap) * sizeof *w->fds);
    w->cap = cap;
}

static struct desc *take_slot(struct wasi *w) {
    while (w->lowest_free < w->cap && w->fds[w->lowest_free].open)
        w->lowest_free++;
    if (w->lowest_free == w->cap)
        grow(w);
    w->nopen++;
    return &w->fds[w->lowest_free++];
}

int64_t wasi_desc_new(struct wasi *w, int handle, struct desc **out) {
    struct world_stat st;
    int64_t r = w->nopen < w->max_fds ? OP(w, stat, handle, &st) : -EMFILE;
    if (w->nopen >= w->max_fds)
        wasi_refuse(w, "handles: %u descriptors were open, the limit; --handles N allows more", w->max_fds);
    if (r < 0) {
        OP(w, close, handle);
        return r;
    }
    const bool socket = st.type == WORLD_SOCKET_STREAM || st.type == WORLD_SOCKET_DGRAM;
    struct desc *d = take_slot(w);
    *d = (struct desc){
        .open = true,
        .id = socket ? ++w->nsockets : 0,
        .waits = st.type != WORLD_REGULAR && st.type != WORLD_DIRECTORY && st.type != WORLD_BLOCK_DEVICE,
        .filetype = wasi_filetype_of(st.type),
        .handle = handle,
        .applicable = wasi_rights_of(st.type),
    };
    *out = d;
    return 0;
}

int64_t wasi_desc_share(struct wasi *w, uint32_t fd, struct desc **out) {
    if (w->nopen >= w->max_fds)
        return -EMFILE;
    struct desc *d = take_slot(w), *like = &w->fds[fd];
    if (!like->sharers) {
        like->sharers = mem_alloc(sizeof *like->sharers);
        *like->sharers = 1;
    }
    ++*like->sharers;
    *d = (struct desc){
        .open = true,
        .waits = like->waits,
        .borrowed = like->borrowed,
        .filetype = like->filetype,
        .handle = like->handle,
        .sharers = like->sharers,
        .id = ++w->nsockets,
        .applicable = like->applicable,
        .base = like->base,
        .inheriting = like->inheriting,
    };
    *out = d;
    return 0;
}

int64_t wasi_desc_new_bare(struct wasi *w, uint8_t filetype, struct desc **out) {
    if (w->nopen >= w->max_fds)
        return -EMFILE;
    struct desc *d = take_slot(w);
    *d = (struct desc){.open = true, .borrowed = true, .filetype = filetype, .handle = -1};
    *out = d;
    return 0;
}

uint32_t wasi_desc_number(const struct wasi *w, const struct desc *d) {
    return (uint32_t)(d - w->fds);
}

int64_t wasi_desc_close(struct wasi *w, struct desc *d) {
    const bool last = !d->sharers || --*d->sharers == 0;
    int64_t r = d->borrowed || !last ? 0 : OP(w, close, d->handle);
    if (last)
        mem_free(d->sharers);
    wasi_listing_free(d);
    wasi_net_free(d);
    mem_free(d->path);
    *d = (struct desc){0};
    uint32_t fd = wasi_desc_number(w, d);
    if (fd < w->lowest_free)
        w->lowest_free = fd;
    w->nopen--;
    return r;
}

int64_t wasi_fd_close(struct wasi *w, struct abi_fd_close *a) {
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, 0, &r);
    return wasi_answer(d ? wasi_desc_close(w, d) : r);
}

int64_t wasi_fd_renumber(struct wasi *w, struct abi_fd_renumber *a) {
    int64_t r = 0;
    struct desc *from = wasi_desc(w, a->fd, 0, &r);
    struct desc *to = wasi_desc(w, a->to, 0, &r);
    if (!from || !to)
        return wasi_answer(r);
    if (from == to)
        return 0;
    r = wasi_desc_close(w, to);
    *to = *from;
    *from = (struct desc){0};
    /* `to` was counted out by its closing, and `from` is what is free now. */
    w->lowest_free = a->fd < w->lowest_free ? a->fd : w->lowest_free;
    return wasi_answer(r);
}

int64_t wasi_fd_fdstat_get(struct wasi *w, struct abi_fd_fdstat_get *a) {
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, 0, &r);
    if (!d)
        return wasi_answer(r);
    *a->stat = (struct wasi_fdstat){
        .filetype = d->filetype,
        .flags = d->flags,
        .rights_base = d->base,
        .rights_inheriting = d->inheriting,
    };
    return 0;
}

int64_t wasi_fd_fdstat_set_rights(struct wasi *w, struct abi_fd_fdstat_set_rights *a) {
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, 0, &r);
    if (!d)
        return wasi_answer(r);
    if (a->base & ~d->base || a->inheriting & ~d->inheriting)
        return WASI_ENOTCAPABLE;
    d->base = a->base;
    d->inheriting = a->inheriting;
    return 0;
}

uint32_t wasi_world_flags(uint32_t fdflags) {
    return (fdflags & WASI_FDFLAG_APPEND ? WORLD_APPEND : 0) | (fdflags & WASI_FDFLAG_DSYNC ? WORLD_DSYNC : 0) |
           (fdflags & WASI_FDFLAG_NONBLOCK ? WORLD_NONBLOCK : 0) | (fdflags & WASI_FDFLAG_RSYNC ? WORLD_RSYNC : 0) |
           (fdflags & WASI_FDFLAG_SYNC ? WORLD_SYNC : 0);
}

int64_t wasi_fd_fdstat_set_flags(struct wasi *w, struct abi_fd_fdstat_set_flags *a) {
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, WASI_RIGHT_FD_FDSTAT_SET_FLAGS, &r);
    if (!d)
        return wasi_answer(r);
    const uint32_t syncs = WASI_FDFLAG_DSYNC | WASI_FDFLAG_RSYNC | WASI_FDFLAG_SYNC;
    if (a->flags & ~(WASI_FDFLAG_APPEND | WASI_FDFLAG_NONBLOCK | syncs))
        return WASI_EINVAL;
    uint32_t changed = a->flags ^ d->flags;
    if (changed & WASI_FDFLAG_APPEND) {
        r = OP(w, set_flags, d->handle, wasi_world_flags(a->flags & WASI_FDFLAG_APPEND));
        if (r < 0)
            return wasi_answer(r);
    }
    /* A world cannot make an open file synchronous; then every write is followed by a sync. */
    if (changed & syncs) {
        d->sync_after = a->flags & (WASI_FDFLAG_SYNC | WASI_FDFLAG_RSYNC);
        d->sync_data_after = a->flags & WASI_FDFLAG_DSYNC;
    }
    d->flags = (uint16_t)a->flags;
    return 0;
}
