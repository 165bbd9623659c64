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

/* Drops the first `n` bytes of gathered output. */
static void advance(struct iovec **iov, uint32_t *count, uint64_t n) {
    while (*count > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++, (*count)--;
    }
    if (*count > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

/* A descriptor that waits takes all that it is given, unless it is non-blocking. `r` is what the first attempt came to,
 * `again` is one more. Once something was written, that is the answer, whatever ends it. */
static int64_t write_rest(struct wasi *w, struct desc *d, struct abi_iovs *iovs, int64_t r,
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
            advance(&iov, &n, (uint64_t)r);
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
        r = write_rest(w, d, &a->iovs, r, w->world->ops->writev);
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

/* ---- sockets ---- */

static bool is_socket(const struct desc *d) {
    return d->filetype == WASI_FILETYPE_SOCKET_STREAM || d->filetype == WASI_FILETYPE_SOCKET_DGRAM;
}

static struct desc *socket_of(struct wasi *w, uint32_t fd, uint64_t rights, int64_t *r) {
    struct desc *d = wasi_desc(w, fd, 0, r);
    if (d && !is_socket(d)) {
        *r = -ENOTSOCK;
        return NULL;
    }
    return d ? wasi_desc(w, fd, rights, r) : NULL;
}

int64_t wasi_sock_accept(struct wasi *w, struct abi_sock_accept *a) {
    int64_t r;
    struct desc *d = socket_of(w, a->fd, WASI_RIGHT_SOCK_ACCEPT, &r);
    if (!d) {
        if (!w->has_listener)
            wasi_refuse(w, "sock_accept on descriptor %d: no listening socket was given, and no flag gives one yet",
                        (int)a->fd);
        return wasi_answer(r);
    }
    if (a->flags & ~(uint32_t)WASI_FDFLAG_NONBLOCK)
        return WASI_EINVAL;
    for (;;) {
        r = OP(w, accept, d->handle, WORLD_NONBLOCK);
        if (r >= 0)
            break;
        if (r == -EAGAIN && !(d->flags & WASI_FDFLAG_NONBLOCK))
            r = wasi_wait_for(w, d, WORLD_READABLE);
        if (r < 0 && r != -EINTR)
            return wasi_answer(r);
    }
    const uint64_t rights = d->inheriting;
    struct desc *connection;
    r = wasi_desc_new(w, (int)r, &connection); /* may move `d` */
    if (r < 0)
        return wasi_answer(r);
    connection->base = rights & connection->applicable;
    connection->flags = (uint16_t)a->flags;
    a->connection_fd = wasi_desc_number(w, connection);
    return 0;
}

int64_t wasi_sock_recv(struct wasi *w, struct abi_sock_recv *a) {
    int64_t r;
    struct desc *d = socket_of(w, a->fd, WASI_RIGHT_FD_READ, &r);
    if (!d)
        return wasi_answer(r);
    if (a->ri_flags & ~(uint32_t)(WASI_RI_RECV_PEEK | WASI_RI_RECV_WAITALL))
        return WASI_EINVAL;
    const bool peek = a->ri_flags & WASI_RI_RECV_PEEK;
    const bool all = a->ri_flags & WASI_RI_RECV_WAITALL && !peek && d->filetype == WASI_FILETYPE_SOCKET_STREAM;
    struct iovec copy[ABI_MAX_IOVS], *iov = copy;
    uint32_t n = a->iovs.n, flags = 0;
    uint64_t done = 0;
    must(n <= ABI_MAX_IOVS);
    memcpy(copy, a->iovs.iov, n * sizeof *iov);
    for (;;) {
        flags = peek ? WORLD_RECV_PEEK : 0;
        r = OP(w, recv, d->handle, iov, (int)n, &flags, NULL);
        if (r > 0) {
            done += (uint64_t)r;
            advance(&iov, &n, (uint64_t)r);
        }
        if (r == 0 || (r > 0 && (!all || done == a->iovs.size)))
            break;
        if (r == -EAGAIN && !(d->flags & WASI_FDFLAG_NONBLOCK))
            r = wasi_wait_for(w, d, WORLD_READABLE);
        if (r < 0 && r != -EINTR) {
            if (done > 0)
                break;
            return wasi_answer(r);
        }
    }
    a->iovs.size = (uint32_t)done;
    a->nread = (uint32_t)done;
    a->ro_flags = flags & WORLD_RECV_TRUNCATED ? WASI_RO_RECV_DATA_TRUNCATED : 0;
    return 0;
}

static int64_t send_connected(struct world *w, int fd, const struct iovec *iov, int n) {
    return w->ops->send(w, fd, iov, n, NULL);
}

int64_t wasi_sock_send(struct wasi *w, struct abi_sock_send *a) {
    int64_t r;
    struct desc *d = socket_of(w, a->fd, WASI_RIGHT_FD_WRITE, &r);
    if (!d)
        return wasi_answer(r);
    if (a->si_flags != 0)
        return WASI_EINVAL;
    r = send_connected(w->world, d->handle, a->iovs.iov, (int)a->iovs.n);
    if (r < (int64_t)a->iovs.size)
        r = write_rest(w, d, &a->iovs, r, send_connected);
    if (r < 0)
        return wasi_answer(r);
    a->nsent = (uint32_t)r;
    return 0;
}

int64_t wasi_sock_shutdown(struct wasi *w, struct abi_sock_shutdown *a) {
    int64_t r;
    struct desc *d = socket_of(w, a->fd, WASI_RIGHT_SOCK_SHUTDOWN, &r);
    if (!d)
        return wasi_answer(r);
    if (a->how == 0 || a->how & ~(uint32_t)(WASI_SD_RD | WASI_SD_WR))
        return WASI_EINVAL;
    return wasi_answer(OP(w, shutdown, d->handle,
                          (a->how & WASI_SD_RD ? WORLD_SHUT_RD : 0u) | (a->how & WASI_SD_WR ? WORLD_SHUT_WR : 0u)));
}
