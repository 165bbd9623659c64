/* file.c: attributes, offsets and contents of open files. */
#include "wasi/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* ---- attributes ---- */

void wasi_filestat_fill(struct wasi_filestat *out, const struct world_stat *st) {
    *out = (struct wasi_filestat){
        .dev = st->dev,
        .ino = st->ino,
        .filetype = wasi_filetype_of(st->type),
        .nlink = st->nlink,
        .size = st->size,
        .atim = st->atim,
        .mtim = st->mtim,
        .ctim = st->ctim,
    };
}

void wasi_unstable_filestat_fill(struct wasi_unstable_filestat *out, const struct world_stat *st) {
    *out = (struct wasi_unstable_filestat){
        .dev = st->dev,
        .ino = st->ino,
        .filetype = wasi_filetype_of(st->type),
        .nlink = st->nlink > UINT32_MAX ? UINT32_MAX : (uint32_t)st->nlink,
        .size = st->size,
        .atim = st->atim,
        .mtim = st->mtim,
        .ctim = st->ctim,
    };
}

static int64_t filestat(struct wasi *w, uint32_t fd, struct world_stat *st) {
    int64_t r;
    struct desc *d = wasi_desc(w, fd, WASI_RIGHT_FD_FILESTAT_GET, &r);
    if (!d)
        return r;
    if (d->handle < 0)
        return wasi_net_stat(w, d, st);
    r = OP(w, stat, d->handle, st);
    if (r == 0 && d->id) /* sockets have numbers of ours, that can be relied on */
        st->ino = d->id;
    return r;
}

int64_t wasi_fd_filestat_get(struct wasi *w, struct abi_fd_filestat_get *a) {
    struct world_stat st;
    int64_t r = filestat(w, a->fd, &st);
    if (r == 0)
        wasi_filestat_fill(a->stat, &st);
    return wasi_answer(r);
}

int64_t wasi_unstable_fd_filestat_get(struct wasi *w, struct abi_unstable_fd_filestat_get *a) {
    struct world_stat st;
    int64_t r = filestat(w, a->fd, &st);
    if (r == 0)
        wasi_unstable_filestat_fill(a->stat, &st);
    return wasi_answer(r);
}

int64_t wasi_fd_filestat_set_size(struct wasi *w, struct abi_fd_filestat_set_size *a) {
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, WASI_RIGHT_FD_FILESTAT_SET_SIZE, &r);
    return wasi_answer(d ? OP(w, set_size, d->handle, a->size) : r);
}

int64_t wasi_times_flags(uint32_t f) {
    const uint32_t atim = WASI_FST_ATIM | WASI_FST_ATIM_NOW, mtim = WASI_FST_MTIM | WASI_FST_MTIM_NOW;
    if (f & ~(atim | mtim) || (f & atim) == atim || (f & mtim) == mtim)
        return -EINVAL;
    return (f & WASI_FST_ATIM ? WORLD_ATIM : 0) | (f & WASI_FST_ATIM_NOW ? WORLD_ATIM_NOW : 0) |
           (f & WASI_FST_MTIM ? WORLD_MTIM : 0) | (f & WASI_FST_MTIM_NOW ? WORLD_MTIM_NOW : 0);
}

int64_t wasi_fd_filestat_set_times(struct wasi *w, struct abi_fd_filestat_set_times *a) {
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, WASI_RIGHT_FD_FILESTAT_SET_TIMES, &r);
    if (!d)
        return wasi_answer(r);
    int64_t which = wasi_times_flags(a->fst_flags);
    if (which < 0)
        return wasi_answer(which);
    r = wasi_check_writable(w, d, "fd_filestat_set_times", NULL);
    return wasi_answer(r ? r : OP(w, set_times, d->handle, a->atim, a->mtim, (uint32_t)which));
}

/* ---- offsets ---- */

static int64_t seek(struct wasi *w, uint32_t fd, int64_t offset, int whence, uint64_t *out) {
    int64_t r;
    /* Asking where one is needs either right. */
    struct desc *d = wasi_desc(w, fd, WASI_RIGHT_FD_SEEK, &r);
    if (!d && offset == 0 && whence == SEEK_CUR)
        d = wasi_desc(w, fd, WASI_RIGHT_FD_TELL, &r);
    if (!d)
        return r;
    r = d->net ? wasi_net_seek(w, d, offset, whence) : OP(w, seek, d->handle, offset, whence);
    if (r >= 0)
        *out = (uint64_t)r;
    return r;
}

int64_t wasi_fd_seek(struct wasi *w, struct abi_fd_seek *a) {
    static const int whences[] = {
        [WASI_WHENCE_SET] = SEEK_SET, [WASI_WHENCE_CUR] = SEEK_CUR, [WASI_WHENCE_END] = SEEK_END};
    if (a->whence > WASI_WHENCE_END)
        return WASI_EINVAL;
    return wasi_answer(seek(w, a->fd, a->offset, whences[a->whence], &a->newoffset));
}

int64_t wasi_unstable_fd_seek(struct wasi *w, struct abi_unstable_fd_seek *a) {
    static const int whences[] = {[WASI_UNSTABLE_WHENCE_SET] = SEEK_SET,
                                  [WASI_UNSTABLE_WHENCE_CUR] = SEEK_CUR,
                                  [WASI_UNSTABLE_WHENCE_END] = SEEK_END};
    if (a->whence > WASI_UNSTABLE_WHENCE_SET)
        return WASI_EINVAL;
    return wasi_answer(seek(w, a->fd, a->offset, whences[a->whence], &a->newoffset));
}

int64_t wasi_fd_tell(struct wasi *w, struct abi_fd_tell *a) {
    return wasi_answer(seek(w, a->fd, 0, SEEK_CUR, &a->offset));
}

/* ---- contents ---- */

int64_t wasi_fd_advise(struct wasi *w, struct abi_fd_advise *a) {
    static const int advices[] = {
        [WASI_ADVICE_NORMAL] = POSIX_FADV_NORMAL,     [WASI_ADVICE_SEQUENTIAL] = POSIX_FADV_SEQUENTIAL,
        [WASI_ADVICE_RANDOM] = POSIX_FADV_RANDOM,     [WASI_ADVICE_WILLNEED] = POSIX_FADV_WILLNEED,
        [WASI_ADVICE_DONTNEED] = POSIX_FADV_DONTNEED, [WASI_ADVICE_NOREUSE] = POSIX_FADV_NOREUSE,
    };
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, WASI_RIGHT_FD_ADVISE, &r);
    if (!d)
        return wasi_answer(r);
    if (a->advice > WASI_ADVICE_NOREUSE)
        return WASI_EINVAL;
    return wasi_answer(OP(w, advise, d->handle, a->offset, a->len, advices[a->advice]));
}

int64_t wasi_fd_allocate(struct wasi *w, struct abi_fd_allocate *a) {
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, WASI_RIGHT_FD_ALLOCATE, &r);
    return wasi_answer(d ? OP(w, allocate, d->handle, a->offset, a->len) : r);
}

int64_t wasi_fd_datasync(struct wasi *w, struct abi_fd_datasync *a) {
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, WASI_RIGHT_FD_DATASYNC, &r);
    return wasi_answer(d ? OP(w, sync, d->handle, true) : r);
}

int64_t wasi_fd_sync(struct wasi *w, struct abi_fd_sync *a) {
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, WASI_RIGHT_FD_SYNC, &r);
    return wasi_answer(d ? OP(w, sync, d->handle, false) : r);
}
