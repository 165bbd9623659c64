/* io.c: reading and writing descriptors. */
#include "wasi/internal.h"

#include <errno.h>
#include <stdio.h>

int64_t wasi_fd_read(struct wasi *w, struct abi_fd_read *a) {
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, WASI_RIGHT_FD_READ, &r);
    if (UNLIKELY(!d))
        return wasi_answer(r);
    for (;;) {
        r = UNLIKELY(d->net) ? wasi_net_read(w, d, &a->iovs) : OP(w, readv, d->handle, a->iovs.iov, (int)a->iovs.n);
        if (LIKELY(r >= 0))
            break;
        if (r == -EAGAIN && !(d->flags & WASI_FDFLAG_NONBLOCK))
            r = wasi_wait_for(w, d, WORLD_READABLE);
        if (r < 0 && r != -EINTR)
            return wasi_answer(r);
    }
    a->iovs.size = (uint32_t)r;
    a->nread = (uint32_t)r;
    return 0;
}

int64_t wasi_fd_pread(struct wasi *w, struct abi_fd_pread *a) {
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, WASI_RIGHT_FD_READ | WASI_RIGHT_FD_SEEK, &r);
    if (!d)
        return wasi_answer(r);
    do
        r = d->net ? wasi_net_pread(w, d, &a->iovs, a->offset)
                   : OP(w, preadv, d->handle, a->iovs.iov, (int)a->iovs.n, a->offset);
    while (r == -EINTR);
    if (r < 0)
        return wasi_answer(r);
    a->iovs.size = (uint32_t)r;
    a->nread = (uint32_t)r;
    return 0;
}

void wasi_iov_advance(struct iovec **iov, uint32_t *count, uint64_t n) {
    while (*count > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++, (*count)--;
    }
    if (*count > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

int64_t wasi_write_rest(struct wasi *w, struct desc *d, const struct abi_iovs *iovs, int64_t r,
                        int64_t (*again)(struct world *, int, const struct iovec *, int)) {
    struct iovec copy[ABI_MAX_IOVS], *iov = copy;
    uint32_t n = iovs->n;
    uint64_t done = 0;
    must(n <= ABI_MAX_IOVS);
    memcpy(copy, iovs->iov, n * sizeof *iov);
    for (;;) {
        if (r == -EAGAIN && !(d->flags & WASI_FDFLAG_NONBLOCK))
            r = wasi_wait_for(w, d, WORLD_WRITABLE);
        else if (r > 0) {
            done += (uint64_t)r;
            wasi_iov_advance(&iov, &n, (uint64_t)r);
        } else if (r == 0) {
            return (int64_t)done; /* nothing taken and no reason given: not worth insisting */
        }
        if ((r < 0 && r != -EINTR) || done == iovs->size)
            return done > 0 ? (int64_t)done : r;
        r = again(w->world, d->handle, iov, (int)n);
    }
}

static void sync_if_asked(struct wasi *w, struct desc *d) {
    if (UNLIKELY(d->sync_after || d->sync_data_after))
        OP(w, sync, d->handle, !d->sync_after);
}

int64_t wasi_fd_write(struct wasi *w, struct abi_fd_write *a) {
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, WASI_RIGHT_FD_WRITE, &r);
    if (UNLIKELY(!d))
        return wasi_answer(r);
    r = UNLIKELY(d->net) ? wasi_net_write(w, d, &a->iovs) : OP(w, writev, d->handle, a->iovs.iov, (int)a->iovs.n);
    if (UNLIKELY(!d->net && (r == -EINTR || (d->waits && r < (int64_t)a->iovs.size))))
        r = wasi_write_rest(w, d, &a->iovs, r, w->world->ops->writev);
    if (UNLIKELY(r < 0))
        return wasi_answer(r);
    sync_if_asked(w, d);
    a->nwritten = (uint32_t)r;
    return 0;
}

int64_t wasi_fd_pwrite(struct wasi *w, struct abi_fd_pwrite *a) {
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_SEEK, &r);
    if (!d)
        return wasi_answer(r);
    do
        r = OP(w, pwritev, d->handle, a->iovs.iov, (int)a->iovs.n, a->offset);
    while (r == -EINTR);
    if (r < 0)
        return wasi_answer(r);
    sync_if_asked(w, d);
    a->nwritten = (uint32_t)r;
    return 0;
}
