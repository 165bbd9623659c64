#include "world/tls/internal.h"

#include <errno.h>
#include <openssl/err.h>

enum { MAX_CLOSED = 256 /* of which something is still unsent */, MAX_HOST = 253 };

/* Marks on handles that have no TLS; they are counted by nobody. */
static struct tls_handle accepted = {TLS_ACCEPTED, 1}, dialled = {TLS_DIALLED, 1};

static const struct tls_identity *identity(const struct tls *t, const char *host) {
    for (uint32_t i = 0; i < t->o.nservers; i++)
        if (tls_same_host(t->servers[i].name, host))
            return &t->servers[i];
    return NULL;
}

static const struct tls_identity *identity_or_say(struct tls *t, const char *host) {
    const struct tls_identity *id = identity(t, host);
    if (!id)
        tls_say(t, "TLS as server for %s: no certificate for %s given", host, host);
    if (id && t->o.serves)
        t->o.serves(t->o.ctx, host);
    return id;
}

static bool may(struct tls *t, int fd, const char *host) {
    return !t->o.may || t->o.may(t->o.ctx, fd, host);
}

static void listener_free(struct tls_listener *l) {
    mem_free(l);
}

static void listener_set(struct tls *t, int fd, const struct tls_identity *id) {
    struct tls_listener *l = mem_zalloc(sizeof *l);
    *l = (struct tls_listener){{TLS_LISTENER, 1}, id};
    handles_set(&t->handles, fd, l);
}

/* ---- beginning ---- */

static bool is_host(const char *host) {
    if (!host || !*host || strlen(host) > MAX_HOST)
        return false;
    for (const char *p = host; *p; p++)
        if (*p <= ' ' || *p >= 0x7f)
            return false;
    return true;
}

static int tls_start(struct world *w, int fd, const char *host) {
    struct tls *t = tls_of(w);
    struct tls_handle *h = handles_get(&t->handles, fd);
    int64_t type = 0, listens = 0;
    struct addr peer;
    if (h && (h->kind == TLS_CONN || h->kind == TLS_LISTENER))
        return -EALREADY;
    if (!is_host(host))
        return -EINVAL;
    int r = UNDER(t, get_option, fd, WORLD_SO_TYPE, &type);
    if (r < 0)
        return r;
    if (type != WORLD_STREAM)
        return -ENOTSUP;
    if (UNDER(t, get_option, fd, WORLD_SO_ACCEPTCONN, &listens) < 0)
        listens = 0;
    if (listens || h == &accepted) {
        const struct tls_identity *id = identity_or_say(t, host);
        if (!id)
            return -ENOENT;
        if (listens)
            listener_set(t, fd, id);
        else
            handles_set(&t->handles, fd, tls_conn_new(t, fd, id->ctx, host, true, TLS_HANDSHAKE));
        return 0;
    }
    enum tls_state s = UNDER(t, peer_addr, fd, &peer) == 0 ? TLS_HANDSHAKE : h == &dialled ? TLS_CONNECTING : TLS_NEW;
    if (s != TLS_NEW && !may(t, fd, host)) /* a new one has no peer yet: connect asks */
        return -EACCES;
    handles_set(&t->handles, fd, tls_conn_new(t, fd, tls_client_context(t), host, false, s));
    return 0;
}

static int tls_connect(struct world *w, int fd, const struct addr *a) {
    struct tls *t = tls_of(w);
    struct tls_conn *c = tls_conn_of(t, fd);
    if (!c) {
        int r = UNDER(t, connect, fd, a);
        if (r == -EINPROGRESS && !handles_get(&t->handles, fd))
            handles_set(&t->handles, fd, &dialled);
        return r;
    }
    if (c->state == TLS_CONNECTING || c->state == TLS_HANDSHAKE)
        tls_progress(c);
    switch (c->state) {
    case TLS_NEW: break;
    case TLS_OPEN: return -EISCONN;
    case TLS_FAILED: return c->failure;
    default: return -EALREADY;
    }
    int r = UNDER(t, connect, fd, a);
    if (r != 0 && r != -EINPROGRESS)
        return r;
    c->state = r == 0 ? TLS_HANDSHAKE : TLS_CONNECTING;
    if (!may(t, fd, c->host)) {
        tls_refuse(c, EACCES);
        UNDER(t, shutdown, fd, WORLD_SHUT_RD | WORLD_SHUT_WR);
        return -EACCES;
    }
    if (r == 0)
        tls_progress(c);
    return -EINPROGRESS;
}

static int tls_listen(struct world *w, int fd, int backlog) {
    struct tls *t = tls_of(w);
    struct tls_conn *c = tls_conn_of(t, fd);
    if (!c || c->state != TLS_NEW)
        return UNDER(t, listen, fd, backlog);
    const struct tls_identity *id = identity_or_say(t, c->host); /* it was to be a server all along */
    if (!id)
        return -ENOENT;
    int r = UNDER(t, listen, fd, backlog);
    if (r == 0) {
        tls_conn_free(c);
        listener_set(t, fd, id);
    }
    return r;
}

static int tls_accept(struct world *w, int fd, uint32_t flags) {
    struct tls *t = tls_of(w);
    struct tls_handle *h = handles_get(&t->handles, fd);
    int got = UNDER(t, accept, fd, flags);
    if (got < 0)
        return got;
    if (h && h->kind == TLS_LISTENER) {
        const struct tls_identity *id = ((struct tls_listener *)h)->identity;
        handles_set(&t->handles, got, tls_conn_new(t, got, id->ctx, id->name, true, TLS_HANDSHAKE));
    } else {
        handles_set(&t->handles, got, &accepted);
    }
    return got;
}

/* ---- going on ---- */

/* The connection of a handle on which there is TLS by now. */
static struct tls_conn *begun(struct world *w, int fd) {
    struct tls_conn *c = tls_conn_of(tls_of(w), fd);
    return c && c->state != TLS_NEW ? c : NULL;
}

static int64_t tls_recv(struct world *w, int fd, const struct iovec *iov, int n, uint32_t *flags, struct addr *from) {
    struct tls_conn *c = begun(w, fd);
    if (!c)
        return BELOW(w, recv, fd, iov, n, flags, from);
    int64_t r = tls_read(c, iov, n, *flags & WORLD_RECV_PEEK);
    if (r >= 0) {
        *flags = 0;
        if (from)
            *from = (struct addr){.family = ADDR_NONE};
    }
    return r;
}

static int64_t tls_send(struct world *w, int fd, const struct iovec *iov, int n, const struct addr *to) {
    struct tls_conn *c = begun(w, fd);
    return c ? tls_write(c, iov, n) : BELOW(w, send, fd, iov, n, to);
}

static int64_t tls_readv(struct world *w, int fd, const struct iovec *iov, int n) {
    struct tls_conn *c = begun(w, fd);
    return c ? tls_read(c, iov, n, false) : BELOW(w, readv, fd, iov, n);
}

static int64_t tls_writev(struct world *w, int fd, const struct iovec *iov, int n) {
    struct tls_conn *c = begun(w, fd);
    return c ? tls_write(c, iov, n) : BELOW(w, writev, fd, iov, n);
}

static int64_t tls_read_cached(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    struct tls_conn *c = begun(w, fd);
    if (!c)
        return BELOW(w, read_cached, fd, iov, n, offset);
    return offset == UINT64_MAX ? tls_read(c, iov, n, false) : -ESPIPE;
}

static int tls_shutdown(struct world *w, int fd, uint32_t how) {
    struct tls_conn *c = begun(w, fd);
    if (!c)
        return BELOW(w, shutdown, fd, how);
    if (how == 0 || how & ~(uint32_t)(WORLD_SHUT_RD | WORLD_SHUT_WR))
        return -EINVAL;
    if (c->state == TLS_FAILED)
        return -ENOTCONN;
    /* The socket itself stays open both ways: TLS has messages of its own to exchange. */
    if (how & WORLD_SHUT_RD)
        c->rd_shut = true;
    if (how & WORLD_SHUT_WR && !c->wr_shut) {
        c->wr_shut = true;
        tls_progress(c);
        tls_notify(c);
    }
    return 0;
}

static int tls_get_option(struct world *w, int fd, enum world_sockopt o, int64_t *value) {
    struct tls_conn *c = begun(w, fd);
    if (!c || o != WORLD_SO_ERROR)
        return BELOW(w, get_option, fd, o, value);
    if (c->state != TLS_OPEN)
        tls_progress(c);
    if (c->state == TLS_OPEN)
        return BELOW(w, get_option, fd, o, value);
    *value = c->error;
    c->error = 0;
    return 0;
}

/* ---- handles ---- */

/* Takes note that `fd` is no longer this; true when it was the last. */
static bool forget(struct tls *t, int fd, struct tls_handle *h) {
    handles_set(&t->handles, fd, NULL);
    if (h == &accepted || h == &dialled || --h->refs > 0) {
        if (h->kind == TLS_CONN && ((struct tls_conn *)h)->fd == fd) {
            int other = 0;
            while ((other = handles_next(&t->handles, other)) >= 0 && handles_get(&t->handles, other) != h)
                other++;
            must(other >= 0);
            ((struct tls_conn *)h)->fd = other;
        }
        return false;
    }
    if (h->kind == TLS_LISTENER) {
        listener_free((struct tls_listener *)h);
        return false;
    }
    return true;
}

/* Says goodbye; true when not all of it went out yet. */
static bool part(struct tls_conn *c) {
    uint64_t nbytes;
    if (c->state == TLS_OPEN) {
        /* What is left unread would make the kernel answer with a reset, and what was sent could be lost by that: at
         * least what is TLS's own is read. */
        if (!c->over && !c->rd_shut)
            tls_readable(c, true, &nbytes);
        if (!c->wr_shut)
            tls_notify(c);
        tls_flush(c);
    }
    return c->state == TLS_OPEN && tls_unsent(c);
}

static int tls_close(struct world *w, int fd) {
    struct tls *t = tls_of(w);
    struct tls_handle *h = handles_get(&t->handles, fd);
    if (!h || !forget(t, fd, h))
        return UNDER(t, close, fd);
    struct tls_conn *c = (struct tls_conn *)h;
    if (part(c) && t->nclosed < MAX_CLOSED) {
        c->closed = true;
        c->fd = fd;
        c->deadline_ns = world_now(t->layer.below, WORLD_MONOTONIC) + TLS_LINGER_MS * 1000000ull;
        t->nclosed++;
        return 0;
    }
    tls_conn_free(c);
    return UNDER(t, close, fd);
}

static int tls_dup(struct world *w, int fd) {
    struct tls *t = tls_of(w);
    struct tls_handle *h = handles_get(&t->handles, fd);
    int got = UNDER(t, dup, fd);
    if (got >= 0 && h) {
        handles_set(&t->handles, got, h);
        if (h != &accepted && h != &dialled)
            h->refs++;
    }
    return got;
}

static int tls_move(struct world *w, int from, int to) {
    struct tls *t = tls_of(w);
    struct tls_handle *h = handles_get(&t->handles, from), *gone = handles_get(&t->handles, to);
    struct tls_conn *parted =
        from != to && gone && gone->kind == TLS_CONN && gone->refs == 1 ? tls_conn_of(t, to) : NULL;
    if (parted)
        part(parted);
    int r = UNDER(t, move, from, to);
    if (r < 0 || from == to)
        return r;
    if (gone && forget(t, to, gone))
        tls_conn_free(parted);
    handles_set(&t->handles, from, NULL);
    handles_set(&t->handles, to, h);
    if (h && h->kind == TLS_CONN && ((struct tls_conn *)h)->fd == from)
        ((struct tls_conn *)h)->fd = to;
    return r;
}

/* ---- the layer ---- */

/* What was closed has a last moment to go out. */
static void last_moment(struct tls *t) {
    uint64_t deadline = world_now(t->layer.below, WORLD_MONOTONIC) + TLS_LAST_MS * 1000000ull;
    for (tls_bury(t); t->nclosed > 0; tls_bury(t)) {
        struct world_poll polls[MAX_CLOSED];
        int n = 0;
        for (struct tls_conn *c = t->unsent; c && n < MAX_CLOSED; c = c->next_unsent)
            if (c->closed)
                polls[n++] = (struct world_poll){.fd = c->fd, .want = WORLD_WRITABLE};
        if (UNDER(t, wait, polls, n, deadline) > 0)
            continue;
        for (struct tls_conn *c = t->unsent; c; c = c->next_unsent)
            c->deadline_ns = 0;
    }
}

static void tls_free(struct world *w) {
    struct tls *t = tls_of(w);
    last_moment(t);
    for (int fd = 0; (fd = handles_next(&t->handles, fd)) >= 0;) {
        struct tls_handle *h = handles_get(&t->handles, fd);
        if (forget(t, fd, h))
            tls_conn_free((struct tls_conn *)h);
    }
    handles_deinit(&t->handles);
    for (uint32_t i = 0; i < t->o.nservers; i++) {
        mem_free(t->servers[i].name);
        SSL_CTX_free(t->servers[i].ctx);
    }
    mem_free(t->servers);
    SSL_CTX_free(t->client);
    mem_free(t);
}

static const struct world_ops ops = {
    WORLD_FORWARD,
    .name = "tls",
    .close = tls_close,
    .dup = tls_dup,
    .move = tls_move,
    .readv = tls_readv,
    .writev = tls_writev,
    .read_cached = tls_read_cached,
    .connect = tls_connect,
    .listen = tls_listen,
    .accept = tls_accept,
    .recv = tls_recv,
    .send = tls_send,
    .shutdown = tls_shutdown,
    .get_option = tls_get_option,
    .start_tls = tls_start,
    .wait = tls_wait,
    .free = tls_free,
};

enum status tls_new(struct world *below, const struct tls_options *o, struct world **out, struct err *e) {
    struct tls *t = mem_zalloc(sizeof *t);
    t->layer = (struct world_layer){{&ops}, below};
    t->o = *o;
    t->o.nservers = 0; /* those that are read */
    t->servers = mem_zalloc((o->nservers + 1) * sizeof *t->servers);
    enum status s = tls_read_authorities(t, o->cas, o->ncas, e);
    for (uint32_t i = 0; s == ST_OK && i < o->nservers; i++) {
        s = tls_read_identity(t, &o->servers[i], &t->servers[i], e);
        t->o.nservers += s == ST_OK;
    }
    if (s != ST_OK) {
        tls_free(&t->layer.world);
        return s;
    }
    t->o.cas = NULL; /* the caller's */
    t->o.servers = NULL;
    *out = &t->layer.world;
    return ST_OK;
}
