/* stream.c: listening, connecting and accepting. */
#include "world/net/internal.h"

#include <errno.h>

/* ---- listeners ---- */

void net_pending_free(struct sock *s) {
    for (struct pending *p = s->first, *next; p; p = next) {
        next = p->next;
        UNDER(s->host, close, p->fd);
        mem_free(p);
    }
    s->first = NULL;
    s->last = &s->first;
    s->npending = 0;
}

/* The handle is readable while somebody waits. */
static int signal_pending(struct sock *s) {
    struct iovec one = {.iov_base = (char[]){1}, .iov_len = 1};
    int64_t r = UNDER(s->host, send, s->inner, &one, 1, NULL);
    return r < 0 ? (int)r : 0;
}

static void unsignal_pending(struct sock *s) {
    char byte;
    struct iovec one = {.iov_base = &byte, .iov_len = 1};
    uint32_t flags = 0;
    UNDER(s->host, recv, s->fd, &one, 1, &flags, NULL); /* should it fail, the handle is readable in vain */
}

static int start_listening(struct sock *s) {
    struct host *h = s->host;
    int fds[2], r = UNDER(h, pair, WORLD_STREAM, fds);
    if (r < 0)
        return r;
    if (s->machine_bound)
        r = UNDER(h, listen, s->fd, (int)s->backlog);
    if (r == 0)
        r = net_replace(s, fds[0], s->machine_bound ? SIDE_BOUND : -1, &s->at);
    if (r < 0) {
        UNDER(h, close, fds[0]);
        UNDER(h, close, fds[1]);
        return r;
    }
    net_set_inner(s, fds[1]);
    s->state = LISTENING;
    return net_claim(s);
}

int net_listen(struct world *w, int fd, int backlog) {
    struct sock *s = sock_of(w, fd);
    if (!s)
        return -EINVAL;
    if (s->type != WORLD_STREAM)
        return -EOPNOTSUPP;
    if (s->state >= CONNECTED)
        return -EINVAL;
    s->backlog = backlog < 0 || backlog > BACKLOG_MAX ? BACKLOG_MAX : (uint32_t)backlog;
    if (s->state == LISTENING) {
        int r = 0;
        for (uint32_t i = 0; i < s->nsides && r == 0; i++)
            r = BELOW(w, listen, s->sides[i].fd, (int)s->backlog);
        return r;
    }
    if (!s->bound) {
        int r = s->family == ADDR_UNIX ? -EINVAL : net_bind_any(s);
        if (r < 0)
            return r;
    }
    if (s->family != ADDR_UNIX && !net_may_listen(s))
        return -EADDRINUSE;
    return start_listening(s);
}

/* ---- accepting ---- */

static struct sock *accepted(const struct sock *listener, int fd, enum state state) {
    struct sock *s = net_sock_new(listener->host, fd, listener->family, WORLD_STREAM);
    s->state = state;
    s->options_set = listener->options_set;
    memcpy(s->options, listener->options, sizeof s->options);
    return s;
}

static int accept_virtual(struct sock *l) {
    struct pending *p = l->first;
    if (!p)
        return -EAGAIN;
    if (!(l->first = p->next)) {
        l->last = &l->first;
        unsignal_pending(l);
    }
    l->npending--;
    struct sock *s = accepted(l, p->fd, CONNECTED);
    s->peer = p->peer;
    s->local = p->local;
    mem_free(p);
    return s->fd;
}

/* One connection from the machine, or a failure; 0: one that was not let in. */
static int accept_outside(struct sock *l, const struct side *side, uint32_t flags) {
    struct host *h = l->host;
    struct addr peer;
    int fd = UNDER(h, accept, side->fd, flags);
    if (fd < 0)
        return fd;
    int r = UNDER(h, peer_addr, fd, &peer);
    uint32_t rule = NO_RULE;
    struct addr plain = r == 0 ? addr_plain(&peer) : peer;
    if (r < 0 || !net_ingress(l, side, &plain, &rule)) { /* gone already, or not wanted */
        UNDER(h, close, fd);
        return 0;
    }
    struct sock *s = accepted(l, fd, OUTSIDE);
    s->rule = rule;
    s->peer = plain;
    if (side->kind == SIDE_PUBLISHED) { /* others have the options of the listener already */
        net_options_apply(s, fd);
        struct route out = {.to = plain};
        s->local = net_source(l, &out);
    }
    return fd;
}

int net_accept(struct world *w, int fd, uint32_t flags) {
    struct sock *s = sock_of(w, fd);
    if (!s)
        return BELOW(w, accept, fd, flags);
    if (s->type != WORLD_STREAM)
        return -EOPNOTSUPP;
    if (s->state != LISTENING)
        return -EINVAL;
    enum { AT_ONCE = 64 };
    int failure = -EAGAIN;
    for (uint32_t i = 0; i <= s->nsides; i++) {
        uint32_t at = s->turn++ % (s->nsides + 1);
        int r = at == s->nsides ? accept_virtual(s) : 0;
        for (int tries = 0; at < s->nsides && r == 0 && tries < AT_ONCE; tries++)
            r = accept_outside(s, &s->sides[at], flags);
        if (r > 0)
            return r;
        if (r < 0 && r != -EAGAIN)
            failure = r;
    }
    return failure;
}

/* ---- connecting ---- */

/* Hands one end of a pair to the listener and becomes the other. */
static int connect_virtual(struct sock *s, struct sock *listener, const struct addr *local, const struct addr *peer) {
    struct host *h = s->host;
    int fds[2];
    if (listener->npending > listener->backlog)
        return s->family == ADDR_UNIX ? -EAGAIN : -ECONNREFUSED;
    int r = UNDER(h, pair, WORLD_STREAM, fds);
    if (r < 0)
        return r;
    net_options_apply(s, fds[0]);
    bool first = listener->npending == 0;
    r = first ? signal_pending(listener) : 0;
    if (r == 0 && (r = net_replace(s, fds[0], -1, NULL)) < 0 && first)
        unsignal_pending(listener);
    if (r < 0) {
        UNDER(h, close, fds[0]);
        UNDER(h, close, fds[1]);
        return r;
    }
    struct pending *p = mem_zalloc(sizeof *p);
    *p = (struct pending){.fd = fds[1], .peer = *local, .local = *peer};
    *listener->last = p;
    listener->last = &p->next;
    listener->npending++;
    s->state = CONNECTED;
    s->local = *local;
    s->peer = *peer;
    return 0;
}

static int connect_name(struct sock *s, const struct addr *a) {
    struct host *h = s->host;
    struct sock *listener = net_named(h->net, WORLD_STREAM, a);
    if (listener) {
        struct addr local = s->bound ? s->at : (struct addr){.family = ADDR_UNIX};
        return listener->state == LISTENING ? connect_virtual(s, listener, &local, a) : -ECONNREFUSED;
    }
    if (net_named(h->net, WORLD_DGRAM, a))
        return -EPROTOTYPE;
    struct policy_decision d;
    policy_unix(h->policy, a->path, &d);
    if (!d.allowed || !a->path[0]) { /* names that are in no directory are never the machine's */
        net_denied(h, "unix %s%.*s: %s", a->path[0] ? "" : "@", ADDR_MAX_PATH - 1, a->path[0] ? a->path : a->path + 1,
                   d.allowed ? "denied: not a path" : d.text);
        return -EACCES;
    }
    int r = UNDER(h, connect, s->fd, a);
    if (r == 0 || r == -EINPROGRESS)
        s->state = OUTSIDE;
    return r;
}

static int connect_outside(struct sock *s, const struct addr *asked, const struct addr *to) {
    struct host *h = s->host;
    uint32_t rule = NO_RULE;
    if (s->tls && !net_tls_allowed(s, to, s->tls))
        return -EACCES;
    if (!net_egress(s, asked, to, &rule))
        return addr_scope(to) == ADDR_LOOPBACK ? -ECONNREFUSED : -EACCES;
    struct addr there = net_dress(to, s->family);
    int r = UNDER(h, connect, s->fd, &there);
    if (r == 0 || r == -EINPROGRESS) {
        s->state = OUTSIDE;
        s->went_out = true;
        s->to = *to;
        s->rule = rule;
    } else {
        policy_uncount(h->policy, rule);
    }
    return r;
}

/* A socket that has already been sent outside: connected, still on its way, or free again after a failure. */
static int connect_again(struct sock *s) {
    struct addr peer;
    if (s->peer.family != ADDR_NONE || UNDER(s->host, peer_addr, s->fd, &peer) == 0)
        return -EISCONN;
    struct world_poll p = {.fd = s->fd, .want = WORLD_WRITABLE};
    if (UNDER(s->host, wait, &p, 1, 0) == 0)
        return -EALREADY;
    int64_t error = 0;
    int r = UNDER(s->host, get_option, s->fd, WORLD_SO_ERROR, &error);
    if (r == 0)
        r = net_refresh(s);
    if (r < 0)
        return r;
    if (s->machine_bound)
        net_unbind(s);
    s->machine_bound = false;
    if (s->rule != NO_RULE)
        policy_uncount(s->host->policy, s->rule);
    s->rule = NO_RULE;
    s->state = s->bound ? BOUND : FRESH;
    return (int)-error;
}

int net_connect(struct world *w, int fd, const struct addr *a) {
    struct sock *s = sock_of(w, fd);
    char text[ADDR_TEXT_MAX];
    if (!s) {
        net_denied(host_of(w), "connect to %s: denied: handle %d was not opened as a socket by the guest",
                   addr_print(a, text), fd);
        return -EACCES;
    }
    if (s->type == WORLD_DGRAM)
        return net_dgram_connect(s, a);
    if (a->family != s->family)
        return -EAFNOSUPPORT;
    if (s->state == LISTENING || s->state == CONNECTED)
        return -EISCONN;
    if (s->state == OUTSIDE) {
        int r = connect_again(s);
        if (r < 0)
            return r;
    }
    if (s->family == ADDR_UNIX)
        return connect_name(s, a);
    struct route r = net_route(s->host, a);
    if (s->family == ADDR_INET6 && r.to.family == ADDR_INET && net_option(s, WORLD_SO_V6ONLY))
        return -ENETUNREACH;
    struct sock *there = net_bound_at(&r, WORLD_STREAM, NULL);
    if (!there && !r.ours)
        return connect_outside(s, a, &r.to);
    if (!there || there->state != LISTENING)
        return -ECONNREFUSED;
    if (s->bound && !s->any && addr_scope(&s->at) == ADDR_LOOPBACK && !r.loopback)
        return -EINVAL;
    struct addr local = net_source(s, &r);
    if (local.port == 0 && (local.port = net_ephemeral(s)) == 0)
        return -EADDRNOTAVAIL;
    return connect_virtual(s, there, &local, &r.to);
}
