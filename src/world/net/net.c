#include "world/net/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

/* ---- denials ---- */

void net_denied(struct host *h, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (h->denied)
        h->denied(h->ctx, text);
}

/* As addr_print, with a name that is in no directory told by an @. */
static const char *print(const struct addr *a, char out[ADDR_TEXT_MAX]) {
    if (a->family == ADDR_UNIX && !a->path[0])
        snprintf(out, ADDR_TEXT_MAX, "unix:@%.*s", ADDR_MAX_PATH - 1, a->path + 1);
    else
        addr_print(a, out);
    return out;
}

void net_denied_to(struct host *h, enum policy_proto p, const struct addr *asked, const struct addr *to,
                   const struct policy_decision *d) {
    char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];
    const char *proto = p == POLICY_TCP ? "tcp" : "udp";
    if (addr_equal(asked, to))
        net_denied(h, "%s to %s: %s", proto, print(asked, a), d->text);
    else
        net_denied(h, "%s to %s (%s): %s", proto, print(asked, a), print(to, b), d->text);
}

/* What a guest was given already open can be used, but not led elsewhere. */
static int not_ours(struct world *w, int fd, const char *what, const struct addr *a) {
    char text[ADDR_TEXT_MAX];
    net_denied(host_of(w), "%s %s: denied: handle %d was not opened as a socket by the guest", what, print(a, text),
               fd);
    return -EACCES;
}

/* ---- sockets ---- */

static void put_in(struct sock **socks, uint32_t mask, struct sock *s) {
    uint32_t i = (uint32_t)s->fd & mask;
    while (socks[i])
        i = (i + 1) & mask;
    socks[i] = s;
}

static void take_out(struct host *h, const struct sock *s) {
    uint32_t mask = h->socks_cap - 1, hole = (uint32_t)s->fd & mask;
    while (h->socks[hole] != s)
        hole = (hole + 1) & mask;
    h->nsocks--;
    /* Whoever was put behind it because it was here moves up. */
    for (uint32_t i = (hole + 1) & mask; h->socks[i]; i = (i + 1) & mask) {
        uint32_t home = (uint32_t)h->socks[i]->fd & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            h->socks[hole] = h->socks[i];
            hole = i;
        }
    }
    h->socks[hole] = NULL;
}

struct sock *net_sock_new(struct host *h, int fd, enum addr_family f, enum world_socktype t) {
    must(!sock_of(&h->layer.world, fd));
    if (2 * h->nsocks >= h->socks_cap) {
        uint32_t cap = h->socks_cap ? 2 * h->socks_cap : 8;
        struct sock **socks = mem_zalloc(cap * sizeof *socks);
        for (uint32_t i = 0; i < h->socks_cap; i++)
            if (h->socks[i])
                put_in(socks, cap - 1, h->socks[i]);
        mem_free(h->socks);
        h->socks = socks;
        h->socks_cap = cap;
    }
    struct sock *s = mem_zalloc(sizeof *s);
    *s = (struct sock){.host = h, .fd = fd, .family = f, .type = t, .inner = -1, .rule = NO_RULE, .last = &s->first};
    put_in(h->socks, h->socks_cap - 1, s);
    h->nsocks++;
    return s;
}

static void set_unusual(struct sock *s) {
    if (!s->unusual) {
        s->unusual = true;
        s->host->nunusual++;
    }
}

void net_set_inner(struct sock *s, int fd) {
    s->inner = fd;
    set_unusual(s);
}

void net_side_add(struct sock *s, int fd, enum side_kind kind, const struct addr *on) {
    s->sides = mem_realloc(s->sides, (s->nsides + 1) * sizeof *s->sides);
    s->sides[s->nsides++] = (struct side){fd, kind, *on};
    set_unusual(s);
}

int net_replace(struct sock *s, int from, int kind, const struct addr *on) {
    int aside = -1;
    if (kind >= 0) {
        aside = UNDER(s->host, dup, s->fd);
        if (aside < 0)
            return aside;
    }
    int r = UNDER(s->host, move, from, s->fd);
    if (r < 0) {
        if (aside >= 0)
            UNDER(s->host, close, aside);
        return r;
    }
    if (aside >= 0)
        net_side_add(s, aside, (enum side_kind)kind, on);
    return 0;
}

int net_refresh(struct sock *s) {
    int fd = UNDER(s->host, socket, s->family, s->type);
    if (fd < 0)
        return fd;
    net_options_apply(s, fd);
    int r = UNDER(s->host, move, fd, s->fd);
    if (r < 0)
        UNDER(s->host, close, fd);
    return r;
}

/* Who connects from now on is refused. The port stays taken: without REUSEADDR nobody can listen there instead. */
static void published_stop(struct host *h, const struct published *p) {
    UNDER(h, shutdown, p->fd, WORLD_SHUT_RD | WORLD_SHUT_WR);
    UNDER(h, set_option, p->fd, WORLD_SO_REUSEADDR, 0);
}

/* With it, because connections of a moment ago may still linger. */
int net_published_listen(struct host *h, const struct published *p, uint32_t backlog) {
    int r = UNDER(h, set_option, p->fd, WORLD_SO_REUSEADDR, 1);
    return r < 0 ? r : UNDER(h, listen, p->fd, (int)backlog);
}

/* To the first socket that it is for, if there is one. */
static void offer(struct host *h, struct published *p) {
    for (uint32_t i = 0; i < h->socks_cap && !p->owner; i++) {
        struct sock *s = h->socks[i];
        if (s && s->state == (p->udp ? BOUND : LISTENING) && net_claim(s) < 0)
            return; /* the machine will not listen there again: it refuses */
    }
}

static void release(struct host *h, struct published *p) {
    if (!p->udp)
        published_stop(h, p);
    p->owner = NULL;
    offer(h, p);
}

void net_sock_free(struct sock *s) {
    struct host *h = s->host;
    net_unbind(s);
    take_out(h, s);
    s->state = FRESH; /* it claims nothing any more */
    for (uint32_t i = 0; i < s->nsides; i++)
        if (s->sides[i].kind != SIDE_PUBLISHED)
            UNDER(h, close, s->sides[i].fd);
    for (uint32_t i = 0; i < h->npublished; i++)
        if (h->published[i]->owner == s)
            release(h, h->published[i]);
    net_pending_free(s);
    if (s->inner >= 0)
        UNDER(h, close, s->inner);
    if (s->rule != NO_RULE)
        policy_uncount(h->policy, s->rule);
    net_peers_free(s);
    h->nunusual -= s->unusual;
    mem_free(s->sides);
    mem_free(s->tls);
    mem_free(s);
}

static int net_socket(struct world *w, enum addr_family f, enum world_socktype t) {
    int fd = BELOW(w, socket, f, t);
    if (fd >= 0)
        net_sock_new(host_of(w), fd, f, t);
    return fd;
}

static int net_close(struct world *w, int fd) {
    struct sock *s = sock_of(w, fd);
    if (s)
        net_sock_free(s);
    return BELOW(w, close, fd);
}

/* A second handle would have to share what a socket is beside its handle: only what is just the handle has one. */
static int net_dup(struct world *w, int fd) {
    struct sock *s = sock_of(w, fd);
    if (!s)
        return BELOW(w, dup, fd);
    if (s->state != CONNECTED && !(s->state == OUTSIDE && s->type == WORLD_STREAM))
        return -EOPNOTSUPP;
    int to = BELOW(w, dup, fd);
    if (to < 0)
        return to;
    struct sock *d = net_sock_new(host_of(w), to, s->family, s->type);
    d->state = s->state;
    d->local = s->local;
    d->peer = s->peer;
    d->options_set = s->options_set;
    memcpy(d->options, s->options, sizeof s->options);
    return to;
}

static int net_move(struct world *w, int from, int to) {
    if (sock_of(w, from) || sock_of(w, to))
        return -EOPNOTSUPP;
    return BELOW(w, move, from, to);
}

/* ---- data ---- */

static bool is_connected(const struct sock *s) {
    return s->type == WORLD_STREAM && s->state >= CONNECTED;
}

static int64_t net_recv(struct world *w, int fd, const struct iovec *iov, int n, uint32_t *flags, struct addr *from) {
    struct sock *s = sock_of(w, fd);
    if (!s)
        return BELOW(w, recv, fd, iov, n, flags, from);
    if (s->type == WORLD_DGRAM)
        return net_dgram_recv(s, iov, n, flags, from);
    if (s->state < CONNECTED)
        return s->family == ADDR_UNIX ? -EINVAL : -ENOTCONN;
    int64_t r = BELOW(w, recv, fd, iov, n, flags, NULL);
    if (r >= 0 && from)
        *from = (struct addr){.family = ADDR_NONE};
    return r;
}

static int64_t net_send(struct world *w, int fd, const struct iovec *iov, int n, const struct addr *to) {
    struct sock *s = sock_of(w, fd);
    if (!s)
        return to ? not_ours(w, fd, "send to", to) : BELOW(w, send, fd, iov, n, NULL);
    if (s->type == WORLD_DGRAM)
        return net_dgram_send(s, iov, n, to);
    if (s->state < CONNECTED)
        return s->family == ADDR_UNIX ? -ENOTCONN : -EPIPE;
    if (to && s->family == ADDR_UNIX)
        return -EISCONN;
    return BELOW(w, send, fd, iov, n, NULL);
}

static int64_t net_readv(struct world *w, int fd, const struct iovec *iov, int n) {
    struct sock *s = sock_of(w, fd);
    uint32_t flags = 0;
    return !s || is_connected(s) ? BELOW(w, readv, fd, iov, n) : net_recv(w, fd, iov, n, &flags, NULL);
}

static int64_t net_writev(struct world *w, int fd, const struct iovec *iov, int n) {
    struct sock *s = sock_of(w, fd);
    return !s || is_connected(s) ? BELOW(w, writev, fd, iov, n) : net_send(w, fd, iov, n, NULL);
}

static int64_t net_read_cached(struct world *w, int fd, const struct iovec *iov, int n, uint64_t offset) {
    if (!sock_of(w, fd))
        return BELOW(w, read_cached, fd, iov, n, offset);
    return offset == UINT64_MAX ? net_readv(w, fd, iov, n) : -ESPIPE;
}

static int net_shutdown(struct world *w, int fd, uint32_t how) {
    struct sock *s = sock_of(w, fd);
    if (!s)
        return BELOW(w, shutdown, fd, how);
    if (how == 0 || how & ~(uint32_t)(WORLD_SHUT_RD | WORLD_SHUT_WR))
        return -EINVAL;
    if (s->type == WORLD_STREAM ? s->state < CONNECTED : s->peer.family == ADDR_NONE)
        return -ENOTCONN;
    if (s->type == WORLD_DGRAM) {
        s->shut_rd |= (how & WORLD_SHUT_RD) != 0;
        s->shut_wr |= (how & WORLD_SHUT_WR) != 0;
    }
    return BELOW(w, shutdown, fd, how);
}

/* ---- addresses ---- */

static int net_local_addr(struct world *w, int fd, struct addr *out) {
    struct sock *s = sock_of(w, fd);
    if (!s)
        return BELOW(w, local_addr, fd, out);
    if (s->local.family != ADDR_NONE)
        *out = net_dress(&s->local, s->family);
    else if (s->bound)
        *out = net_dress(&s->at, s->family);
    else
        return BELOW(w, local_addr, fd, out);
    if (s->type == WORLD_DGRAM && s->any && s->peer.family != ADDR_NONE) {
        struct route r = net_route(s->host, &s->peer);
        struct addr from = net_source(s, &r);
        *out = net_dress(&from, s->family);
    }
    return 0;
}

static int net_peer_addr(struct world *w, int fd, struct addr *out) {
    struct sock *s = sock_of(w, fd);
    if (!s)
        return BELOW(w, peer_addr, fd, out);
    if (s->peer.family != ADDR_NONE) {
        *out = net_dress(&s->peer, s->family);
        return 0;
    }
    return s->type == WORLD_STREAM && s->state == OUTSIDE ? BELOW(w, peer_addr, fd, out) : -ENOTCONN;
}

/* ---- waiting ----
 *
 * Readiness of a side is readiness of the handle. Only `wait` is ours: whoever uses wait_begin and turn is below. */

enum { POLLS_INLINE = 64 };

static bool is_virtual_dgram(const struct sock *s) {
    return s && s->type == WORLD_DGRAM && s->inner >= 0;
}

/* What is readable of a virtual datagram has the sender's address in front; a byte at a listener is no data. */
static void correct_size(const struct sock *s, struct world_poll *p) {
    if (!s || s->inner < 0)
        return;
    p->nbytes = is_virtual_dgram(s) && p->nbytes > sizeof(struct addr) ? p->nbytes - sizeof(struct addr) : 0;
}

static int net_wait(struct world *w, struct world_poll *polls, int n, uint64_t deadline_ns) {
    struct host *h = host_of(w);
    int extra = 0;
    if (h->nunusual)
        for (int i = 0; i < n; i++) {
            struct sock *s = sock_of(w, polls[i].fd);
            extra += s ? (int)s->nsides : 0;
        }
    if (extra == 0) {
        int r = BELOW(w, wait, polls, n, deadline_ns);
        for (int i = 0; h->nunusual && r > 0 && i < n; i++)
            correct_size(sock_of(w, polls[i].fd), &polls[i]);
        return r;
    }
    struct world_poll inlined[POLLS_INLINE], *all = inlined;
    int owner_inlined[POLLS_INLINE], *owner = owner_inlined, m = n;
    if (n + extra > POLLS_INLINE) {
        all = mem_alloc((size_t)(n + extra) * sizeof *all);
        owner = mem_alloc((size_t)(n + extra) * sizeof *owner);
    }
    memcpy(all, polls, (size_t)n * sizeof *all);
    for (int i = 0; i < n; i++) {
        struct sock *s = sock_of(w, polls[i].fd);
        for (uint32_t k = 0; s && polls[i].want & WORLD_READABLE && k < s->nsides; k++) {
            owner[m] = i;
            uint32_t want = polls[i].want & ~(uint32_t)WORLD_WRITABLE;
            all[m++] = (struct world_poll){.fd = s->sides[k].fd, .want = want};
        }
    }
    int r = BELOW(w, wait, all, m, deadline_ns);
    if (r > 0) {
        memcpy(polls, all, (size_t)n * sizeof *polls);
        for (int i = 0; i < n; i++)
            correct_size(sock_of(w, polls[i].fd), &polls[i]);
        for (int i = n; i < m; i++)
            if (all[i].got) {
                polls[owner[i]].got |= WORLD_READABLE;
                if (!polls[owner[i]].nbytes)
                    polls[owner[i]].nbytes = all[i].nbytes;
            }
        r = 0;
        for (int i = 0; i < n; i++)
            r += polls[i].got != 0;
    } else if (r == 0) {
        for (int i = 0; i < n; i++)
            polls[i].got = 0;
    }
    if (all != inlined) {
        mem_free(all);
        mem_free(owner);
    }
    return r;
}

/* ---- hosts ---- */

static void net_host_free(struct world *w) {
    struct host *h = host_of(w);
    for (uint32_t i = 0; i < h->npublished; i++) /* first, so that nothing is claimed any more */
        UNDER(h, close, h->published[i]->fd);
    for (uint32_t i = 0; i < h->npublished; i++)
        mem_free(h->published[i]);
    h->npublished = 0;
    for (uint32_t i = 0; i < h->socks_cap; i++)
        while (h->socks[i]) /* another may move up */
            net_close(w, h->socks[i]->fd);
    net_pins_free(h);
    h->net->hosts[h->number] = NULL;
    h->net->nhosts--;
    mem_free(h->published);
    mem_free(h->socks);
    mem_free(h->scratch);
    mem_free(h);
}

// clang-format off
static const struct world_ops ops = {
    WORLD_FORWARD,
    .name = "net",
    .close = net_close,
    .dup = net_dup,
    .readv = net_readv,
    .writev = net_writev,
    .read_cached = net_read_cached,
    .socket = net_socket,
    .move = net_move,
    .bind = net_bind,
    .listen = net_listen,
    .connect = net_connect,
    .accept = net_accept,
    .recv = net_recv,
    .send = net_send,
    .shutdown = net_shutdown,
    .local_addr = net_local_addr,
    .peer_addr = net_peer_addr,
    .get_option = net_get_option,
    .set_option = net_set_option,
    .resolve = net_resolve,
    .wait = net_wait,
    .free = net_host_free,
};
// clang-format on

struct net *net_new(void) {
    return mem_zalloc(sizeof(struct net));
}

void net_free(struct net *n) {
    must(n->nhosts == 0);
    for (uint32_t i = 1; i <= n->nattached; i++)
        mem_free(n->known[i]);
    mem_free(n->known);
    mem_free(n->hosts);
    mem_free(n);
}

enum status net_attach(struct net *n, struct world *below, const struct net_host *o, struct world **out,
                       struct err *e) {
    if (o->name)
        for (uint32_t i = 1; i <= n->nattached; i++)
            if (n->hosts[i] && n->known[i] && !strcasecmp(n->known[i], o->name))
                return err_set(e, ST_EXISTS, "two guests of one network cannot both be called %s", o->name);
    if (n->nattached == HOSTS_MAX)
        return err_set(e, ST_LIMIT, "a network has addresses for %d guests", HOSTS_MAX);
    struct host *h = mem_zalloc(sizeof *h);
    h->layer = (struct world_layer){{&ops}, below};
    h->net = n;
    h->policy = o->policy;
    h->denied = o->denied;
    h->ctx = o->ctx;
    h->number = ++n->nattached;
    net_own_addresses(h->number, &h->v4, &h->v6);
    if (h->number >= n->cap) {
        n->cap = n->cap ? 2 * n->cap : 8;
        n->hosts = mem_realloc(n->hosts, n->cap * sizeof(struct host *));
        n->known = mem_realloc(n->known, n->cap * sizeof(char *));
    }
    n->hosts[h->number] = h;
    n->known[h->number] = o->name ? mem_strdup(o->name) : NULL;
    n->nhosts++;
    *out = &h->layer.world;
    return ST_OK;
}

void net_addresses(struct world *host, struct addr *v4, struct addr *v6) {
    *v4 = host_of(host)->v4;
    *v6 = host_of(host)->v6;
}

/* A socket of the machine bound to `on`, whose port is not 0 for TCP; or why not. */
static int bind_published(struct host *h, bool udp, const struct addr *on) {
    int fd = UNDER(h, socket, on->family, udp ? WORLD_DGRAM : WORLD_STREAM);
    if (fd < 0)
        return fd;
    int r = udp ? 0 : UNDER(h, set_option, fd, WORLD_SO_REUSEADDR, 1);
    if (r == 0 && on->family == ADDR_INET6) /* [::] is not also 0.0.0.0 */
        r = UNDER(h, set_option, fd, WORLD_SO_V6ONLY, 1);
    if (r == 0)
        r = UNDER(h, bind, fd, on);
    if (r == 0 && !udp && on->port) { /* only listening shows whether somebody else does */
        struct published p = {.fd = fd};
        if ((r = net_published_listen(h, &p, 1)) == 0)
            published_stop(h, &p);
    }
    if (r < 0)
        UNDER(h, close, fd);
    return r < 0 ? r : fd;
}

/* A port that the system chose goes back to it when listening stops; one that was asked for stays. */
static int free_port(struct host *h, struct addr *on) {
    int fd = bind_published(h, false, on);
    if (fd < 0)
        return fd;
    int r = UNDER(h, local_addr, fd, on);
    UNDER(h, close, fd);
    return r;
}

enum status net_publish(struct world *host, bool udp, const struct addr *on, uint16_t port, struct addr *bound,
                        struct err *e) {
    struct host *h = host_of(host);
    char text[ADDR_TEXT_MAX];
    int fd = -EADDRINUSE;
    struct addr at;
    for (int tries = 0; tries < 8 && fd == -EADDRINUSE && (tries == 0 || on->port == 0); tries++) {
        at = *on;
        int r = !udp && on->port == 0 ? free_port(h, &at) : 0;
        fd = r < 0 ? r : bind_published(h, udp, &at);
        if (fd >= 0 && (r = UNDER(h, local_addr, fd, &at)) < 0) {
            UNDER(h, close, fd);
            fd = r;
        }
    }
    if (fd < 0) {
        enum status st = fd == -EADDRINUSE ? ST_BUSY : fd == -EACCES ? ST_DENIED : ST_IO;
        return err_set(e, st, "publishing %s on %s: %s", udp ? "udp" : "tcp", addr_print(on, text), strerror(-fd));
    }
    struct published *p = mem_zalloc(sizeof *p);
    *p = (struct published){.fd = fd, .udp = udp, .on = at, .port = port};
    h->published = mem_realloc(h->published, (h->npublished + 1) * sizeof(struct published *));
    h->published[h->npublished++] = p;
    offer(h, p);
    if (bound)
        *bound = at;
    return ST_OK;
}
