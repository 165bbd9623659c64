/* sockopt.c: options of sockets. */
#include "wasi/internal.h"

#include <errno.h>

/* How the program sees a value. */
enum form {
    NUMBER,   /* an i32; set with fewer bytes, that many */
    SOCKTYPE, /* WASI_SOCKTYPE */
    ERRNO,    /* WASI_E... */
    LINGER,   /* i32 on, i32 seconds */
    TIMEOUT,  /* seconds and microseconds, two i64 or two i32; kept here, for it is we who wait */
};

static const struct option {
    uint64_t name;
    enum world_sockopt world;
    enum form form;
} options[] = {
    {WASI_SO_REUSEADDR, WORLD_SO_REUSEADDR, NUMBER},
    {WASI_SO_TYPE, WORLD_SO_TYPE, SOCKTYPE},
    {WASI_SO_ERROR, WORLD_SO_ERROR, ERRNO},
    {WASI_SO_DONTROUTE, WORLD_SO_DONTROUTE, NUMBER},
    {WASI_SO_BROADCAST, WORLD_SO_BROADCAST, NUMBER},
    {WASI_SO_SNDBUF, WORLD_SO_SNDBUF, NUMBER},
    {WASI_SO_RCVBUF, WORLD_SO_RCVBUF, NUMBER},
    {WASI_SO_KEEPALIVE, WORLD_SO_KEEPALIVE, NUMBER},
    {WASI_SO_OOBINLINE, WORLD_SO_OOBINLINE, NUMBER},
    {WASI_SO_LINGER, WORLD_SO_LINGER, LINGER},
    {WASI_SO_RCVLOWAT, WORLD_SO_RCVLOWAT, NUMBER},
    {WASI_SO_RCVTIMEO, WORLD_SO_RCVTIMEO, TIMEOUT},
    {WASI_SO_SNDTIMEO, WORLD_SO_SNDTIMEO, TIMEOUT},
    {WASI_SO_ACCEPTCONN, WORLD_SO_ACCEPTCONN, NUMBER},
    {WASI_SO_REUSEPORT, WORLD_SO_REUSEPORT, NUMBER},
    {WASI_SO_TCP_NODELAY, WORLD_SO_NODELAY, NUMBER},
    {WASI_SO_TCP_NODELAY_LINUX, WORLD_SO_NODELAY, NUMBER},
    {WASI_SO_TCP_KEEPIDLE, WORLD_SO_KEEPIDLE, NUMBER},
    {WASI_SO_TCP_KEEPINTVL, WORLD_SO_KEEPINTVL, NUMBER},
    {WASI_SO_TCP_KEEPCNT, WORLD_SO_KEEPCNT, NUMBER},
    {WASI_SO_IPV6_V6ONLY, WORLD_SO_V6ONLY, NUMBER},
};

static const struct option *option(uint64_t name) {
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (options[i].name == name)
            return &options[i];
    return NULL;
}

static uint64_t *timeout_of(struct desc *d, const struct option *o) {
    return o->world == WORLD_SO_RCVTIMEO ? &d->recv_timeout_ns : &d->send_timeout_ns;
}

static int64_t put_pair(struct abi_mem *out, bool wide, int64_t a, int64_t b) {
    if (wide) {
        put_u64(out->data, (uint64_t)a);
        put_u64(out->data + 8, (uint64_t)b);
    } else {
        put_u32(out->data, (uint32_t)a);
        put_u32(out->data + 4, (uint32_t)b);
    }
    out->size = wide ? 16 : 8;
    return 0;
}

int64_t wasi_sock_getsockopt(struct wasi *w, struct abi_sock_getsockopt *a) {
    const struct option *o = option(a->option);
    int64_t r, v;
    struct desc *d = wasi_socket(w, a->fd, 0, &r);
    if (!d)
        return wasi_answer(r);
    if (!o)
        return WASI_ENOPROTOOPT;
    const bool pair = o->form == TIMEOUT || o->form == LINGER;
    if (a->value.size < (pair ? 8 : 4))
        return WASI_EINVAL;
    if (o->form == TIMEOUT) {
        uint64_t ns = *timeout_of(d, o);
        return put_pair(&a->value, a->value.size >= 16, (int64_t)(ns / 1000000000), (int64_t)(ns % 1000000000 / 1000));
    }
    r = OP(w, get_option, d->handle, o->world, &v);
    if (r < 0)
        return wasi_answer(r);
    if (o->form == LINGER)
        return put_pair(&a->value, false, v >= 0, v < 0 ? 0 : v);
    if (o->form == SOCKTYPE)
        v = v == WORLD_DGRAM ? WASI_SOCKTYPE_DGRAM : WASI_SOCKTYPE_STREAM;
    if (o->form == ERRNO)
        v = v ? wasi_errno_of(-v) : 0;
    put_u32(a->value.data, v > INT32_MAX ? INT32_MAX : (uint32_t)v);
    a->value.size = 4;
    return 0;
}

static int64_t set_timeout(struct desc *d, const struct option *o, struct abi_mem value) {
    int64_t s = 0, us = 0;
    if (value.size >= 16) {
        s = (int64_t)get_u64(value.data);
        us = (int64_t)get_u64(value.data + 8);
    } else if (value.size >= 8) {
        s = (int32_t)get_u32(value.data);
        us = (int32_t)get_u32(value.data + 4);
    } else {
        return -EINVAL;
    }
    if (s < 0 || us < 0 || us >= 1000000)
        return -EINVAL;
    const int64_t most = INT64_MAX / 1000000000 - 1; /* longer is for ever */
    *timeout_of(d, o) = s > most ? 0 : (uint64_t)s * 1000000000 + (uint64_t)us * 1000;
    return 0;
}

/* The number in so many bytes as there are. */
static int64_t number(struct abi_mem value, int64_t *out) {
    switch (value.size) {
    case 0: return -EINVAL;
    case 1: *out = value.data[0]; return 0;
    case 2:
    case 3: *out = (int16_t)get_u16(value.data); return 0;
    default: *out = (int32_t)get_u32(value.data); return 0;
    }
}

static int64_t start_tls(struct wasi *w, const struct desc *d, struct abi_mem value) {
    char host[WORLD_MAX_NAME];
    uint32_t n = value.size;
    while (n && value.data[n - 1] == '\0')
        n--;
    if (n >= sizeof host || (n && memchr(value.data, '\0', n)))
        return -EINVAL;
    memcpy(host, value.data, n);
    host[n] = '\0';
    return OP(w, start_tls, d->handle, host);
}

int64_t wasi_sock_setsockopt(struct wasi *w, struct abi_sock_setsockopt *a) {
    const struct option *o = option(a->option);
    int64_t r, v;
    struct desc *d = wasi_socket(w, a->fd, 0, &r);
    if (!d)
        return wasi_answer(r);
    if (a->option == WASI_SO_START_TLS)
        return wasi_answer(start_tls(w, d, a->value));
    if (!o || o->form == SOCKTYPE || o->form == ERRNO)
        return WASI_ENOPROTOOPT;
    if (o->form == TIMEOUT)
        return wasi_answer(set_timeout(d, o, a->value));
    if (o->form == LINGER) {
        if (a->value.size < 8)
            return WASI_EINVAL;
        int32_t seconds = (int32_t)get_u32(a->value.data + 4);
        v = get_u32(a->value.data) == 0 ? -1 : seconds < 0 ? 0 : seconds;
        r = 0;
    } else {
        r = number(a->value, &v);
    }
    return wasi_answer(r ? r : OP(w, set_option, d->handle, o->world, v));
}
