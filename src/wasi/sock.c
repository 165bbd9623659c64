/* sock.c: sockets, preview 1's and those of the extension in both generations. */
#include "wasi/internal.h"

#include <errno.h>

static bool is_socket(const struct desc *d) {
    return d->filetype == WASI_FILETYPE_SOCKET_STREAM || d->filetype == WASI_FILETYPE_SOCKET_DGRAM;
}

struct desc *wasi_socket(struct wasi *w, uint32_t fd, uint64_t rights, int64_t *r) {
    struct desc *d = wasi_desc(w, fd, 0, r);
    if (d && (!is_socket(d) || d->handle < 0)) {
        *r = -ENOTSOCK;
        return NULL;
    }
    return LIKELY(!d || !(rights & ~d->base)) ? d : wasi_desc(w, fd, rights, r);
}

/* Whether a call that answered `*r` is to be made again: it was interrupted, or the descriptor blocks and by now can be
 * read or written. Otherwise `*r` is the answer. */
static bool again(struct wasi *w, const struct desc *d, uint32_t want, int64_t *r) {
    if (*r == -EAGAIN && !(d->flags & WASI_FDFLAG_NONBLOCK))
        *r = wasi_wait_for(w, d, want);
    return *r >= 0 || *r == -EINTR;
}

static int64_t address_of(struct abi_mem bytes, uint32_t port, struct addr *out) {
    return abi_addr_read(SPAN(bytes.data, bytes.size), port, out) ? 0 : -EINVAL;
}

/* ---- making and connecting ---- */

int64_t wasi_sock_open(struct wasi *w, struct abi_sock_open *a) {
    static const enum addr_family families[] = {
        [WASI_FAMILY_INET] = ADDR_INET, [WASI_FAMILY_INET6] = ADDR_INET6, [WASI_FAMILY_UNIX] = ADDR_UNIX};
    if (a->family == WASI_FAMILY_UNSPEC || a->family >= sizeof families / sizeof *families)
        return WASI_EAFNOSUPPORT;
    if (a->type > WASI_SOCKTYPE_STREAM)
        return WASI_EPROTOTYPE;
    int64_t r = OP(w, socket, families[a->family], a->type == WASI_SOCKTYPE_DGRAM ? WORLD_DGRAM : WORLD_STREAM);
    if (r < 0)
        return wasi_answer(r);
    struct desc *d;
    r = wasi_desc_new(w, (int)r, &d);
    if (r < 0)
        return wasi_answer(r);
    d->base = d->applicable;
    d->inheriting = d->applicable & ~(uint64_t)WASI_RIGHT_SOCK_ACCEPT;
    a->fd = wasi_desc_number(w, d);
    return 0;
}

int64_t wasi_sock_bind(struct wasi *w, struct abi_sock_bind *a) {
    struct addr addr;
    int64_t r;
    struct desc *d = wasi_socket(w, a->fd, 0, &r);
    if (d)
        r = address_of(a->addr, a->port, &addr);
    return wasi_answer(d && r == 0 ? OP(w, bind, d->handle, &addr) : r);
}

/* Waits for the end of a connecting. Called again after it was parked, connect says how far it has come since. */
static int64_t finish_connecting(struct wasi *w, struct desc *d) {
    int64_t r = wasi_wait_for(w, d, WORLD_WRITABLE), error = 0;
    if (r == -EAGAIN)
        return -EINPROGRESS; /* its time-out; it goes on */
    if (r >= 0)
        r = OP(w, get_option, d->handle, WORLD_SO_ERROR, &error);
    return r < 0 ? r : -error;
}

/* The listener of a unix socket has no room for one more, and nothing tells when it does. */
static int64_t wait_for_room(struct wasi *w) {
    return wasi_wait(w, NULL, 0, world_now(w->world, WORLD_MONOTONIC) + 1000000);
}

int64_t wasi_sock_connect(struct wasi *w, struct abi_sock_connect *a) {
    struct addr addr;
    int64_t r;
    struct desc *d = wasi_socket(w, a->fd, 0, &r);
    if (d)
        r = address_of(a->addr, a->port, &addr);
    if (!d || r)
        return wasi_answer(r);
    do
        r = OP(w, connect, d->handle, &addr);
    while (r == -EINTR || (r == -EAGAIN && !(d->flags & WASI_FDFLAG_NONBLOCK) && (r = wait_for_room(w)) == 0));
    if (r == -EISCONN && d->connecting)
        r = 0;
    if (r == -EINPROGRESS)
        d->connecting = true;
    if ((r == -EINPROGRESS || (r == -EALREADY && d->connecting)) && !(d->flags & WASI_FDFLAG_NONBLOCK))
        r = finish_connecting(w, d);
    if (r != -EINPROGRESS && r != -EALREADY && r != PARKED)
        d->connecting = false;
    return wasi_answer(r);
}

int64_t wasi_sock_listen(struct wasi *w, struct abi_sock_listen *a) {
    int64_t r;
    struct desc *d = wasi_socket(w, a->fd, WASI_RIGHT_SOCK_ACCEPT, &r);
    const uint32_t most = 4096; /* also for what is negative */
    return wasi_answer(d ? OP(w, listen, d->handle, (int)(a->backlog < most ? a->backlog : most)) : r);
}

static int64_t take_connection(struct wasi *w, uint32_t fd, uint32_t flags, uint32_t *out) {
    int64_t r;
    struct desc *d = wasi_socket(w, fd, WASI_RIGHT_SOCK_ACCEPT, &r);
    if (!d) {
        if (!w->has_listener)
            wasi_refuse(
                w, "sock_accept on descriptor %d: no listening socket was given; to give one, --listen ADDRESS:PORT",
                (int)fd);
        return r;
    }
    if (flags & ~(uint32_t)WASI_FDFLAG_NONBLOCK)
        return -EINVAL;
    do
        r = OP(w, accept, d->handle, WORLD_NONBLOCK);
    while (r < 0 && again(w, d, WORLD_READABLE, &r));
    if (r < 0)
        return r;
    const uint64_t rights = d->inheriting;
    struct desc *connection;
    r = wasi_desc_new(w, (int)r, &connection); /* may move `d` */
    if (r < 0)
        return r;
    connection->base = rights & connection->applicable;
    connection->flags = (uint16_t)flags;
    *out = wasi_desc_number(w, connection);
    return 0;
}

int64_t wasi_sock_accept(struct wasi *w, struct abi_sock_accept *a) {
    return wasi_answer(take_connection(w, a->fd, a->flags, &a->connection_fd));
}

int64_t wasi_v1_sock_accept(struct wasi *w, struct abi_v1_sock_accept *a) {
    return wasi_answer(take_connection(w, a->fd, 0, &a->connection_fd));
}

int64_t wasi_sock_shutdown(struct wasi *w, struct abi_sock_shutdown *a) {
    int64_t r;
    struct desc *d = wasi_socket(w, a->fd, WASI_RIGHT_SOCK_SHUTDOWN, &r);
    if (!d)
        return wasi_answer(r);
    if (a->how == 0 || a->how & ~(uint32_t)(WASI_SD_RD | WASI_SD_WR))
        return WASI_EINVAL;
    return wasi_answer(OP(w, shutdown, d->handle,
                          (a->how & WASI_SD_RD ? WORLD_SHUT_RD : 0u) | (a->how & WASI_SD_WR ? WORLD_SHUT_WR : 0u)));
}

/* ---- receiving ---- */

/* Into `iovs`, whose size becomes what was received; `from` may be NULL. */
static int64_t receive(struct wasi *w, uint32_t fd, struct abi_iovs *iovs, uint32_t ri_flags, struct addr *from,
                       uint32_t *ro_flags) {
    int64_t r;
    struct desc *d = wasi_socket(w, fd, WASI_RIGHT_FD_READ, &r);
    if (UNLIKELY(!d))
        return r;
    if (ri_flags & ~(uint32_t)(WASI_RI_RECV_PEEK | WASI_RI_RECV_WAITALL))
        return -EINVAL;
    const bool peek = ri_flags & WASI_RI_RECV_PEEK;
    const bool all = ri_flags & WASI_RI_RECV_WAITALL && !peek && d->filetype == WASI_FILETYPE_SOCKET_STREAM;
    struct iovec copy[ABI_MAX_IOVS], *iov = copy;
    uint32_t n = iovs->n, flags = 0;
    uint64_t done = 0;
    must(n <= ABI_MAX_IOVS);
    memcpy(copy, iovs->iov, n * sizeof *iov);
    for (;;) {
        flags = peek ? WORLD_RECV_PEEK : 0;
        r = OP(w, recv, d->handle, iov, (int)n, &flags, from);
        if (r > 0) {
            done += (uint64_t)r;
            wasi_iov_advance(&iov, &n, (uint64_t)r);
        }
        if (r == 0 || (r > 0 && (!all || done == iovs->size)))
            break;
        if (r < 0 && !again(w, d, WORLD_READABLE, &r)) {
            if (done == 0)
                return r;
            break;
        }
    }
    iovs->size = (uint32_t)done;
    *ro_flags = flags & WORLD_RECV_TRUNCATED ? WASI_RO_RECV_DATA_TRUNCATED : 0;
    return 0;
}

int64_t wasi_sock_recv(struct wasi *w, struct abi_sock_recv *a) {
    int64_t r = receive(w, a->fd, &a->iovs, a->ri_flags, NULL, &a->ro_flags);
    a->nread = a->iovs.size;
    return wasi_answer(r);
}

/* Where there is no room for an address, the data are worth more. */
static void put_sender(const struct addr *from, struct abi_mem *room) {
    if (!abi_addr_write(from, room))
        room->size = 0;
}

int64_t wasi_sock_recv_from(struct wasi *w, struct abi_sock_recv_from *a) {
    struct addr from = {0};
    int64_t r = receive(w, a->fd, &a->iovs, a->ri_flags, &from, &a->ro_flags);
    if (r)
        return wasi_answer(r);
    a->nread = a->iovs.size;
    a->port = from.port;
    put_sender(&from, &a->addr);
    return 0;
}

int64_t wasi_v1_sock_recv_from(struct wasi *w, struct abi_v1_sock_recv_from *a) {
    struct addr from = {0};
    int64_t r = receive(w, a->fd, &a->iovs, a->ri_flags, &from, &a->ro_flags);
    if (r)
        return wasi_answer(r);
    a->nread = a->iovs.size;
    put_sender(&from, &a->addr);
    return 0;
}

/* ---- sending ---- */

static int64_t send_connected(struct world *w, int fd, const struct iovec *iov, int n) {
    return w->ops->send(w, fd, iov, n, NULL);
}

/* `to` may be NULL. What a stream does not take at once needs no address any more. */
static int64_t transmit(struct wasi *w, struct desc *d, const struct abi_iovs *iovs, const struct addr *to) {
    int64_t r;
    do
        r = OP(w, send, d->handle, iovs->iov, (int)iovs->n, to);
    while (UNLIKELY(r < 0) && again(w, d, WORLD_WRITABLE, &r));
    if (LIKELY(r == iovs->size) || r < 0 || d->filetype == WASI_FILETYPE_SOCKET_DGRAM)
        return r;
    return wasi_write_rest(w, d, iovs, r, send_connected);
}

int64_t wasi_sock_send(struct wasi *w, struct abi_sock_send *a) {
    int64_t r;
    struct desc *d = wasi_socket(w, a->fd, WASI_RIGHT_FD_WRITE, &r);
    if (UNLIKELY(!d))
        return wasi_answer(r);
    if (a->si_flags != 0)
        return WASI_EINVAL;
    r = transmit(w, d, &a->iovs, NULL);
    if (r < 0)
        return wasi_answer(r);
    a->nsent = (uint32_t)r;
    return 0;
}

int64_t wasi_sock_send_to(struct wasi *w, struct abi_sock_send_to *a) {
    struct addr to;
    int64_t r;
    struct desc *d = wasi_socket(w, a->fd, WASI_RIGHT_FD_WRITE, &r);
    if (!d)
        return wasi_answer(r);
    if (a->si_flags != 0 || (a->addr.size && address_of(a->addr, a->port, &to)))
        return WASI_EINVAL;
    r = transmit(w, d, &a->iovs, a->addr.size ? &to : NULL);
    if (r < 0)
        return wasi_answer(r);
    a->nsent = (uint32_t)r;
    return 0;
}

/* ---- addresses ---- */

static int64_t address(struct wasi *w, uint32_t fd, bool peer, struct abi_mem *room, struct addr *out) {
    int64_t r;
    struct desc *d = wasi_socket(w, fd, 0, &r);
    if (!d)
        return r;
    *out = (struct addr){0};
    r = peer ? OP(w, peer_addr, d->handle, out) : OP(w, local_addr, d->handle, out);
    if (r < 0)
        return r;
    return abi_addr_write(out, room) ? 0 : -EINVAL;
}

int64_t wasi_sock_getlocaladdr(struct wasi *w, struct abi_sock_getlocaladdr *a) {
    struct addr at;
    int64_t r = address(w, a->fd, false, &a->addr, &at);
    a->port = at.port;
    return wasi_answer(r);
}

int64_t wasi_sock_getpeeraddr(struct wasi *w, struct abi_sock_getpeeraddr *a) {
    struct addr at;
    int64_t r = address(w, a->fd, true, &a->addr, &at);
    a->port = at.port;
    return wasi_answer(r);
}

static uint32_t address_type(const struct addr *a) {
    return a->family == ADDR_INET ? WASI_ADDRTYPE_INET : a->family == ADDR_INET6 ? WASI_ADDRTYPE_INET6 : 0;
}

int64_t wasi_v1_sock_getlocaladdr(struct wasi *w, struct abi_v1_sock_getlocaladdr *a) {
    struct addr at;
    int64_t r = address(w, a->fd, false, &a->addr, &at);
    a->port = at.port;
    a->type = address_type(&at);
    return wasi_answer(r);
}

int64_t wasi_v1_sock_getpeeraddr(struct wasi *w, struct abi_v1_sock_getpeeraddr *a) {
    struct addr at;
    int64_t r = address(w, a->fd, true, &a->addr, &at);
    a->port = at.port;
    a->type = address_type(&at);
    return wasi_answer(r);
}
