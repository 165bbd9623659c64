/* netopen.c: what opening a file beneath /net does. */
#include "wasi/netfile.h"

#include <errno.h>

#define R(name) WASI_RIGHT_##name

enum { BACKLOG = 1024 };

/* ---- addresses ---- */

/* Why a name has no address, as an error of opening. */
static int64_t name_error(int64_t r) {
    switch (r) {
    case WORLD_NAME_UNKNOWN:
    case WORLD_NAME_SERVICE: return -ENOENT;
    case WORLD_NAME_AGAIN: return -EAGAIN;
    case WORLD_NAME_FAILED: return -EACCES; /* mostly a policy's answer */
    default: return r;
    }
}

static int64_t look_up(struct wasi *w, const struct world_query *q, struct world_found found[WORLD_MAX_FOUND]) {
    for (;;) {
        int64_t r = OP(w, resolve, q, found, WORLD_MAX_FOUND, NULL);
        if (r != -EINTR)
            return name_error(r);
        if (w->stopping && w->stopping(w->stopping_ctx))
            return PARKED;
    }
}

static bool port_number(const char *text, uint16_t *out) {
    size_t n = strspn(text, "0123456789");
    if (text[n] || n > 5)
        return false;
    uint32_t v = 0;
    for (; *text; text++)
        v = v * 10 + (uint32_t)(*text - '0');
    *out = (uint16_t)v;
    return v <= UINT16_MAX;
}

/* The addresses of HOST:PORT; `passive`: to be bound, and no host (or `*`) is any. Returns their number. */
static int64_t addresses(struct wasi *w, const char *text, enum world_socktype type, bool passive,
                         struct world_found found[WORLD_MAX_FOUND]) {
    struct net_address a;
    must(net_address_parse(text, &a));
    const bool any = !a.host[0] || strcmp(a.host, "*") == 0;
    uint16_t port;
    if (any && !passive)
        return -ENOENT;
    if (port_number(a.port, &port) && (any || addr_parse_ip(a.host, &found[0].addr))) {
        if (any)
            found[0].addr = (struct addr){.family = ADDR_INET};
        found[0].addr.port = port;
        found[0].type = type;
        return 1;
    }
    return look_up(w,
                   &(struct world_query){.name = any ? NULL : a.host,
                                         .service = a.port,
                                         .family = any ? ADDR_INET : ADDR_NONE,
                                         .type = type,
                                         .passive = passive},
                   found);
}

/* ---- sockets ---- */

/* `handle` as a descriptor with what `a` asks for, of what such a socket can do. */
static int64_t new_socket(struct wasi *w, int64_t handle, const struct abi_path_open *a, bool listener,
                          struct desc **out) {
    struct desc *d;
    int64_t r = handle < 0 ? handle : wasi_desc_new(w, (int)handle, &d);
    if (r < 0)
        return r;
    const uint64_t connection = d->applicable & ~(uint64_t)R(SOCK_ACCEPT);
    /* Whether somebody waits at a listener is asked for as readiness to be read. */
    if (listener)
        d->base = d->applicable & ~(uint64_t)R(FD_WRITE);
    else
        d->base = (a->rights_base | R(SOCK_SHUTDOWN) | R(POLL_FD_READWRITE)) & connection;
    d->inheriting = listener ? connection : 0;
    d->flags = (uint16_t)a->fdflags;
    w->has_listener |= listener;
    *out = d;
    return 0;
}

/* Finishes a connection that was begun. */
static int64_t await_connection(struct wasi *w, int handle) {
    struct world_poll p = {.fd = handle, .want = WORLD_WRITABLE};
    int64_t error = 0, r = wasi_wait(w, &p, 1, UINT64_MAX);
    if (r >= 0)
        r = OP(w, get_option, handle, WORLD_SO_ERROR, &error);
    return r < 0 ? r : -error;
}

/* A handle; `tls` is the name of the other side, or NULL. */
static int64_t connect_to(struct wasi *w, const struct addr *to, enum world_socktype type, const char *tls, bool wait) {
    int64_t r = OP(w, socket, to->family, type);
    if (r < 0)
        return r;
    int handle = (int)r;
    r = tls ? OP(w, start_tls, handle, tls) : 0;
    if (r == 0)
        r = OP(w, connect, handle, to);
    if (r == -EINPROGRESS || (r == 0 && tls))
        r = wait ? await_connection(w, handle) : 0;
    if (r == 0)
        return handle;
    OP(w, close, handle);
    return r;
}

static int64_t open_connection(struct wasi *w, const char *address, enum world_socktype type, bool tls,
                               const struct abi_path_open *a, struct desc **out) {
    struct world_found found[WORLD_MAX_FOUND];
    struct net_address host;
    must(net_address_parse(address, &host));
    int64_t n = addresses(w, address, type, false, found), first = -ENOENT;
    if (n < 0)
        return n;
    for (int64_t i = 0; i < n; i++) {
        int64_t r = connect_to(w, &found[i].addr, type, tls ? host.host : NULL, !(a->fdflags & WASI_FDFLAG_NONBLOCK));
        if (r >= 0 || r == PARKED)
            return new_socket(w, r, a, false, out);
        first = i == 0 ? r : first;
    }
    return first;
}

int64_t net_open_connect(struct wasi *w, const struct net_name *name, const struct abi_path_open *a,
                         struct desc **out) {
    return open_connection(w, name->part[1], WORLD_STREAM, false, a, out);
}

int64_t net_open_tls(struct wasi *w, const struct net_name *name, const struct abi_path_open *a, struct desc **out) {
    return open_connection(w, name->part[1], WORLD_STREAM, true, a, out);
}

int64_t net_open_udp(struct wasi *w, const struct net_name *name, const struct abi_path_open *a, struct desc **out) {
    return open_connection(w, name->part[1], WORLD_DGRAM, false, a, out);
}

/* A bound handle, which listens when it is a stream's. */
static int64_t bound(struct wasi *w, const char *address, enum world_socktype type) {
    struct world_found found[WORLD_MAX_FOUND];
    int64_t r = addresses(w, address, type, true, found);
    if (r < 0)
        return r;
    r = OP(w, socket, found[0].addr.family, type);
    if (r < 0)
        return r;
    int handle = (int)r;
    r = type == WORLD_STREAM ? OP(w, set_option, handle, WORLD_SO_REUSEADDR, 1) : 0;
    if (r == 0)
        r = OP(w, bind, handle, &found[0].addr);
    if (r == 0 && type == WORLD_STREAM)
        r = OP(w, listen, handle, BACKLOG);
    if (r == 0)
        return handle;
    OP(w, close, handle);
    return r;
}

int64_t net_open_listen(struct wasi *w, const struct net_name *name, const struct abi_path_open *a, struct desc **out) {
    return new_socket(w, bound(w, name->part[2], WORLD_STREAM), a, true, out);
}

int64_t net_open_udp_listen(struct wasi *w, const struct net_name *name, const struct abi_path_open *a,
                            struct desc **out) {
    int64_t r = new_socket(w, bound(w, name->part[2], WORLD_DGRAM), a, false, out);
    if (r == 0)
        (*out)->net = net_file_alloc(NET_DATAGRAMS);
    return r;
}

int64_t net_open_accept(struct wasi *w, const struct net_name *name, const struct abi_path_open *a, struct desc **out) {
    int64_t r;
    struct desc *d = wasi_desc(w, name->who, R(SOCK_ACCEPT), &r);
    if (!d)
        return r == NOTCAPABLE ? -EINVAL : r; /* a connection */
    for (;;) {
        r = OP(w, accept, d->handle, WORLD_NONBLOCK);
        if (r >= 0)
            return new_socket(w, r, a, false, out);
        if (r == -EAGAIN && !((d->flags | a->fdflags) & WASI_FDFLAG_NONBLOCK))
            r = wasi_wait_for(w, d, WORLD_READABLE);
        if (r < 0 && r != -EINTR)
            return r;
    }
}

int64_t net_open_fd(struct wasi *w, const struct net_name *name, const struct abi_path_open *a, struct desc **out) {
    struct desc *d;
    int64_t r = wasi_desc_share(w, name->who, &d);
    if (r < 0)
        return r;
    d->flags = (uint16_t)a->fdflags;
    if (w->fds[name->who].net)
        d->net = net_file_alloc(w->fds[name->who].net->kind);
    *out = d;
    return 0;
}

int64_t net_open_new(struct wasi *w, const struct net_name *name, const struct abi_path_open *a, struct desc **out) {
    const enum world_socktype type = strcmp(name->part[0], "udp") == 0 ? WORLD_DGRAM : WORLD_STREAM;
    int64_t r = OP(w, socket, strcmp(name->part[2], "inet6") == 0 ? ADDR_INET6 : ADDR_INET, type);
    r = new_socket(w, r, a, type == WORLD_STREAM, out); /* it may become a listener */
    if (r < 0)
        return r;
    (*out)->base |= a->rights_base & (*out)->applicable;
    if (type == WORLD_DGRAM)
        (*out)->net = net_file_alloc(NET_DATAGRAMS);
    return 0;
}

/* ---- what is done to a socket by opening ---- */

static int64_t done(struct wasi *w, int64_t r, const struct abi_path_open *a, struct desc **out) {
    return r < 0 ? r : net_file_new(w, NET_TEXT, a, out);
}

static enum world_socktype type_of(const struct desc *d) {
    return d->filetype == WASI_FILETYPE_SOCKET_DGRAM ? WORLD_DGRAM : WORLD_STREAM;
}

int64_t net_open_bind(struct wasi *w, const struct net_name *name, const struct abi_path_open *a, struct desc **out) {
    struct world_found found[WORLD_MAX_FOUND];
    const struct desc *d = &w->fds[name->who];
    int64_t r = addresses(w, name->part[2], type_of(d), true, found);
    return done(w, r < 0 ? r : OP(w, bind, d->handle, &found[0].addr), a, out);
}

int64_t net_open_listen_on(struct wasi *w, const struct net_name *name, const struct abi_path_open *a,
                           struct desc **out) {
    uint16_t backlog;
    if (!port_number(name->part[2], &backlog))
        return -EINVAL;
    return done(w, OP(w, listen, w->fds[name->who].handle, backlog), a, out);
}

/* As connect(2): -EINPROGRESS when neither the socket nor this opening may wait. */
int64_t net_open_connect_it(struct wasi *w, const struct net_name *name, const struct abi_path_open *a,
                            struct desc **out) {
    struct world_found found[WORLD_MAX_FOUND];
    const struct desc *d = &w->fds[name->who];
    int64_t r = addresses(w, name->part[2], type_of(d), false, found);
    if (r >= 0)
        r = OP(w, connect, d->handle, &found[0].addr);
    if (r == -EINPROGRESS && !((d->flags | a->fdflags) & WASI_FDFLAG_NONBLOCK))
        r = await_connection(w, d->handle);
    return done(w, r, a, out);
}

int64_t net_open_shutdown(struct wasi *w, const struct net_name *name, const struct abi_path_open *a,
                          struct desc **out) {
    const char *how = name->part[3];
    int64_t r;
    struct desc *d = wasi_desc(w, name->who, R(SOCK_SHUTDOWN), &r);
    if (!d)
        return r;
    uint32_t halves = (strncmp(how, "rd", 2) == 0 ? WORLD_SHUT_RD : 0) | (strstr(how, "wr") ? WORLD_SHUT_WR : 0);
    return done(w, OP(w, shutdown, d->handle, halves), a, out);
}

int64_t net_open_tls_start(struct wasi *w, const struct net_name *name, const struct abi_path_open *a,
                           struct desc **out) {
    return done(w, OP(w, start_tls, w->fds[name->who].handle, name->part[3]), a, out);
}

/* ---- texts ---- */

static int64_t new_address(struct wasi *w, int64_t r, const struct addr *address, const struct abi_path_open *a,
                           struct desc **out) {
    char text[ADDR_TEXT_MAX];
    r = done(w, r, a, out);
    if (r == 0)
        buf_print(&(*out)->net->text, "%s\n", addr_print(address, text));
    return r;
}

int64_t net_open_local(struct wasi *w, const struct net_name *name, const struct abi_path_open *a, struct desc **out) {
    struct addr address;
    return new_address(w, OP(w, local_addr, w->fds[name->who].handle, &address), &address, a, out);
}

int64_t net_open_peer(struct wasi *w, const struct net_name *name, const struct abi_path_open *a, struct desc **out) {
    struct addr address;
    int handle = w->fds[name->who].handle;
    int64_t r = OP(w, peer_addr, handle, &address), error = 0;
    /* A connection that could not be made says here why. */
    if (r == -ENOTCONN && OP(w, get_option, handle, WORLD_SO_ERROR, &error) == 0 && error != 0)
        r = -error;
    return new_address(w, r, &address, a, out);
}

int64_t net_open_dns(struct wasi *w, const struct net_name *name, const struct abi_path_open *a, struct desc **out) {
    struct world_found found[WORLD_MAX_FOUND];
    const char *text = name->part[1];
    struct net_address host;
    struct world_query q = {.type = WORLD_STREAM};
    struct addr literal;
    if (!addr_parse_ip(text, &literal) && net_address_parse(text, &host)) {
        q.name = host.host;
        q.service = host.port;
    } else {
        q.name = text;
    }
    if (!*q.name || strlen(q.name) >= WORLD_MAX_NAME)
        return -ENOENT;
    int64_t n = look_up(w, &q, found), r = done(w, n, a, out);
    for (int64_t i = 0; r == 0 && i < n; i++) {
        char line[ADDR_TEXT_MAX];
        buf_print(&(*out)->net->text, "%s\n",
                  q.service ? addr_print(&found[i].addr, line) : addr_print_ip(&found[i].addr, line));
    }
    return r;
}

int64_t net_open_option(struct wasi *w, const struct net_name *name, const struct abi_path_open *a, struct desc **out) {
    enum world_sockopt option;
    must(netfile_option(name->part[2], &option));
    const struct desc *d = &w->fds[name->who];
    const uint64_t id = d->id;
    int64_t value = 0, r = OP(w, get_option, d->handle, option, &value);
    if (r >= 0)
        r = net_file_new(w, NET_OPTION, a, out);
    if (r < 0)
        return r;
    struct net_file *f = (*out)->net;
    f->socket = id;
    f->option = option;
    if (option == WORLD_SO_ERROR && value)
        value = wasi_errno_of(-value); /* as the program counts */
    buf_print(&f->text, "%lld\n", (long long)value);
    return 0;
}

int64_t net_open_poll(struct wasi *w, const struct net_name *name, const struct abi_path_open *a, struct desc **out) {
    (void)name;
    int64_t r = net_file_new(w, NET_POLL, a, out);
    if (r == 0)
        (*out)->net->poll = net_poll_new();
    return r;
}
