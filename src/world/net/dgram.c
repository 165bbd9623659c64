/* dgram.c: datagrams, of IP and of unix sockets.
 *
 * A virtual datagram lies in its receiver's pair with the sender's address, a struct addr, in front. One from outside
 * is read into the host's scratch first: a guest's memory must not change by what it is not to have. */
#include "world/net/internal.h"

#include <errno.h>

enum { SCRATCH_BYTES = sizeof(struct addr) + DATAGRAM_MAX + 1, JUDGED_AT_ONCE = 64 };

/* ---- whom it talks to ---- */

enum { PEER_CHAINS = 256 };

static uint32_t hash_of(const struct addr *a) {
    uint32_t h = a->port * 0x9e3779b1u;
    for (int i = 0; i < (a->family == ADDR_INET ? 4 : 16); i += 4)
        h = (h ^ get_u32(a->ip + i)) * 0x85ebca6bu;
    return (h ^ h >> 15) % PEER_CHAINS;
}

static struct peer *find_peer(const struct sock *s, const struct addr *plain) {
    if (s->peers.chains)
        for (int32_t i = s->peers.chains[hash_of(plain)]; i >= 0; i = s->peers.slots[i].next)
            if (addr_equal(&s->peers.slots[i].addr, plain))
                return &s->peers.slots[i];
    return NULL;
}

static void forget_oldest(struct sock *s, uint32_t at) {
    struct peers *p = &s->peers;
    int32_t *link = &p->chains[hash_of(&p->slots[at].addr)];
    while (*link != (int32_t)at)
        link = &p->slots[*link].next;
    *link = p->slots[at].next;
    if (p->slots[at].rule != NO_RULE)
        policy_uncount(s->host->policy, p->slots[at].rule);
}

static void add_peer(struct sock *s, const struct addr *plain, int side_fd, uint32_t rule) {
    struct peers *p = &s->peers;
    if (!p->chains) {
        p->chains = mem_alloc(PEER_CHAINS * sizeof *p->chains);
        memset(p->chains, 0xff, PEER_CHAINS * sizeof *p->chains);
    }
    uint32_t at = p->n;
    if (p->n == PEERS_MAX) {
        at = p->oldest++ % PEERS_MAX;
        forget_oldest(s, at);
    } else if (p->n++ == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 4;
        p->slots = mem_realloc(p->slots, p->cap * sizeof *p->slots);
    }
    int32_t *chain = &p->chains[hash_of(plain)];
    p->slots[at] = (struct peer){.addr = *plain, .side_fd = side_fd, .rule = rule, .next = *chain};
    *chain = (int32_t)at;
}

void net_peers_free(struct sock *s) {
    for (uint32_t i = 0; i < s->peers.n; i++)
        if (s->peers.slots[i].rule != NO_RULE)
            policy_uncount(s->host->policy, s->peers.slots[i].rule);
    mem_free(s->peers.slots);
    mem_free(s->peers.chains);
    s->peers = (struct peers){0};
}

/* The sockets of the machine that peers were reached by changed their numbers: the handle's became that of `side`. */
static void repoint_peers(struct sock *s, int from, int to) {
    for (uint32_t i = 0; i < s->peers.n; i++)
        if (s->peers.slots[i].side_fd == from)
            s->peers.slots[i].side_fd = to;
}

/* ---- its sockets ---- */

int net_dgram_activate(struct sock *s) {
    struct host *h = s->host;
    int fds[2];
    if (s->inner >= 0)
        return 0;
    int r = UNDER(h, pair, WORLD_DGRAM, fds);
    if (r < 0)
        return r;
    struct addr out = {.family = s->family};
    int kind = s->machine_bound ? SIDE_BOUND : s->state == OUTSIDE ? SIDE_OUT : -1;
    r = net_replace(s, fds[0], kind, kind == SIDE_BOUND ? &s->at : &out);
    if (r < 0) {
        UNDER(h, close, fds[0]);
        UNDER(h, close, fds[1]);
        return r;
    }
    if (kind >= 0)
        repoint_peers(s, s->fd, s->sides[s->nsides - 1].fd);
    net_set_inner(s, fds[1]);
    s->state = BOUND;
    net_options_apply(s, s->fd);
    return 0;
}

/* The socket of the machine by which it sends to the outside. */
static int way_out(struct sock *s) {
    struct host *h = s->host;
    if (s->inner < 0) {
        s->state = OUTSIDE;
        return s->fd;
    }
    for (uint32_t i = 0; i < s->nsides; i++)
        if (s->sides[i].kind != SIDE_PUBLISHED)
            return s->sides[i].fd;
    int fd = UNDER(h, socket, s->family, WORLD_DGRAM);
    if (fd < 0)
        return fd;
    net_options_apply(s, fd);
    net_side_add(s, fd, SIDE_OUT, &(struct addr){.family = s->family});
    return fd;
}

static enum addr_family family_of(const struct sock *s, int fd) {
    for (uint32_t i = 0; i < s->nsides; i++)
        if (s->sides[i].fd == fd && s->sides[i].kind == SIDE_PUBLISHED)
            return s->sides[i].on.family;
    return s->family;
}

/* ---- sending ---- */

static size_t size_of(const struct iovec *iov, int n) {
    size_t size = 0;
    for (int i = 0; i < n; i++)
        size += iov[i].iov_len;
    return size;
}

/* Into the pair of a socket of the network; one that does not fit there is lost, as datagrams are. */
static int64_t deliver(struct sock *to, const struct addr *from, const struct iovec *iov, int n) {
    struct iovec few[16], *all = n < 16 ? few : mem_alloc((size_t)(n + 1) * sizeof *all);
    struct addr header = *from;
    all[0] = (struct iovec){&header, sizeof header};
    memcpy(all + 1, iov, (size_t)n * sizeof *iov);
    int64_t r = UNDER(to->host, send, to->inner, all, n + 1, NULL);
    if (all != few)
        mem_free(all);
    return r == -EMSGSIZE ? r : (int64_t)size_of(iov, n);
}

static int64_t send_name(struct sock *s, const struct iovec *iov, int n, const struct addr *to) {
    struct host *h = s->host;
    struct sock *there = net_named(h->net, WORLD_DGRAM, to);
    if (there) {
        if (there->peer.family != ADDR_NONE && (!s->bound || !addr_equal(&there->peer, &s->at)))
            return -EPERM;
        return deliver(there, s->bound ? &s->at : &(struct addr){.family = ADDR_UNIX}, iov, n);
    }
    if (net_named(h->net, WORLD_STREAM, to))
        return -EPROTOTYPE;
    struct policy_decision d;
    policy_unix(h->policy, to->path, &d);
    if (!d.allowed || !to->path[0]) {
        net_denied(h, "unix %s%.*s: %s", to->path[0] ? "" : "@", ADDR_MAX_PATH - 1,
                   to->path[0] ? to->path : to->path + 1, d.allowed ? "denied: not a path" : d.text);
        return -EACCES;
    }
    int fd = way_out(s);
    return fd < 0 ? fd : UNDER(h, send, fd, iov, n, to);
}

static int64_t send_virtual(struct sock *s, const struct route *r, const struct iovec *iov, int n) {
    int e = s->inner < 0 ? net_bind_any(s) : 0;
    if (e < 0)
        return e;
    if (s->bound && !s->any && addr_scope(&s->at) == ADDR_LOOPBACK && !r->loopback)
        return -EINVAL;
    struct addr from = net_source(s, r);
    struct sock *there = net_bound_at(r, WORLD_DGRAM, &from);
    if (there)
        return deliver(there, &from, iov, n);
    return s->peer.family != ADDR_NONE ? -ECONNREFUSED : (int64_t)size_of(iov, n);
}

/* `asked` is what the guest said: `to` is where that leads. */
static int64_t send_outside(struct sock *s, const struct addr *asked, const struct addr *to, const struct iovec *iov,
                            int n) {
    const struct peer *known = find_peer(s, to);
    int fd = known ? known->side_fd : -1;
    if (!known) {
        uint32_t rule;
        if (!net_egress(s, asked, to, &rule))
            return addr_scope(to) == ADDR_LOOPBACK ? -ECONNREFUSED : -EACCES;
        fd = way_out(s);
        if (fd < 0) {
            policy_uncount(s->host->policy, rule);
            return fd;
        }
        add_peer(s, to, fd, rule);
    }
    if (s->inner < 0 && s->peer.family != ADDR_NONE && addr_equal(to, &s->peer))
        return UNDER(s->host, send, fd, iov, n, NULL);
    struct addr there = net_dress(to, family_of(s, fd));
    return UNDER(s->host, send, fd, iov, n, &there);
}

int64_t net_dgram_send(struct sock *s, const struct iovec *iov, int n, const struct addr *to) {
    if (s->shut_wr)
        return -EPIPE;
    if (!to && s->peer.family == ADDR_NONE)
        return s->family == ADDR_UNIX ? -ENOTCONN : -EDESTADDRREQ;
    const struct addr *asked = to ? to : &s->peer;
    if (size_of(iov, n) > DATAGRAM_MAX)
        return -EMSGSIZE;
    if (s->family == ADDR_UNIX)
        return asked->family == ADDR_UNIX ? send_name(s, iov, n, asked) : -EINVAL;
    if (asked->family != ADDR_INET && asked->family != ADDR_INET6)
        return -EAFNOSUPPORT;
    struct route r = net_route(s->host, asked);
    if (find_peer(s, &r.to)) /* also one who came in by a published port of the other family */
        return send_outside(s, asked, &r.to, iov, n);
    if (to && to->family != s->family)
        return -EAFNOSUPPORT;
    if (s->family == ADDR_INET6 && r.to.family == ADDR_INET && net_option(s, WORLD_SO_V6ONLY))
        return -ENETUNREACH;
    if (r.ours || net_bound_at(&r, WORLD_DGRAM, NULL))
        return send_virtual(s, &r, iov, n);
    return send_outside(s, asked, &r.to, iov, n);
}

/* ---- connecting ---- */

static int disconnect(struct sock *s) {
    s->peer = (struct addr){.family = ADDR_NONE};
    if (s->inner < 0 && s->state == OUTSIDE) {
        int r = net_refresh(s);
        if (r < 0)
            return r;
        net_peers_free(s);
        s->state = FRESH;
    }
    return 0;
}

static int connect_name(struct sock *s, const struct addr *a) {
    struct iovec nothing = {0};
    if (a->family != ADDR_UNIX)
        return -EINVAL;
    if (!net_named(s->host->net, WORLD_DGRAM, a)) {
        /* That of the machine: may it be sent to? Nothing is, yet. */
        struct policy_decision d;
        policy_unix(s->host->policy, a->path, &d);
        if (!d.allowed || !a->path[0] || net_named(s->host->net, WORLD_STREAM, a))
            return (int)send_name(s, &nothing, 0, a);
    }
    s->peer = *a;
    return 0;
}

int net_dgram_connect(struct sock *s, const struct addr *a) {
    if (a->family == ADDR_NONE)
        return disconnect(s);
    if (s->family == ADDR_UNIX)
        return connect_name(s, a);
    if (a->family != s->family)
        return -EAFNOSUPPORT;
    struct route r = net_route(s->host, a);
    if (s->family == ADDR_INET6 && r.to.family == ADDR_INET && net_option(s, WORLD_SO_V6ONLY))
        return -ENETUNREACH;
    if (r.ours || net_bound_at(&r, WORLD_DGRAM, NULL)) {
        int e = s->inner < 0 ? net_bind_any(s) : 0;
        if (e == 0)
            s->peer = r.to;
        return e;
    }
    int fd = -1;
    if (!find_peer(s, &r.to)) {
        uint32_t rule;
        if (!net_egress(s, a, &r.to, &rule))
            return r.loopback ? -ECONNREFUSED : -EACCES;
        fd = way_out(s);
        if (fd < 0) {
            policy_uncount(s->host->policy, rule);
            return fd;
        }
        add_peer(s, &r.to, fd, rule);
    }
    /* A handle that is the machine's own socket is connected there, which also tells of refusals; one that others of
     * the network can reach stays open to them, and what comes in is compared. */
    if (s->inner < 0) {
        struct addr there = net_dress(&r.to, s->family);
        int e = UNDER(s->host, connect, s->fd, &there);
        if (e < 0)
            return e;
    }
    s->peer = r.to;
    return 0;
}

/* ---- receiving ---- */

static uint8_t *scratch_of(struct host *h) {
    if (!h->scratch)
        h->scratch = mem_alloc(SCRATCH_BYTES);
    return h->scratch;
}

static int64_t scatter(const uint8_t *p, size_t size, const struct iovec *iov, int n, uint32_t *flags) {
    size_t done = 0;
    for (int i = 0; i < n && done < size; i++) {
        size_t part = iov[i].iov_len < size - done ? iov[i].iov_len : size - done;
        memcpy(iov[i].iov_base, p + done, part);
        done += part;
    }
    *flags = done < size ? WORLD_RECV_TRUNCATED : 0;
    return (int64_t)done;
}

/* Takes one that was only peeked at away. */
static void take_away(struct host *h, int fd, uint32_t flags) {
    uint8_t byte;
    struct iovec one = {&byte, 1};
    if (flags & WORLD_RECV_PEEK) {
        uint32_t none = 0;
        UNDER(h, recv, fd, &one, 1, &none, NULL);
    }
}

static int64_t recv_virtual(struct sock *s, const struct iovec *iov, int n, uint32_t *flags, struct addr *from) {
    struct host *h = s->host;
    uint8_t *p = scratch_of(h);
    for (int tries = 0; tries < JUDGED_AT_ONCE; tries++) {
        struct iovec all = {p, SCRATCH_BYTES};
        uint32_t f = *flags & WORLD_RECV_PEEK;
        int64_t r = UNDER(h, recv, s->fd, &all, 1, &f, NULL);
        if (r <= 0) /* 0: shut down */
            return r;
        struct addr sender;
        must((size_t)r >= sizeof sender);
        memcpy(&sender, p, sizeof sender);
        if (s->peer.family != ADDR_NONE && !addr_equal(&sender, &s->peer)) { /* sent before it was connected */
            take_away(h, s->fd, *flags);
            continue;
        }
        if (from)
            *from = net_dress(&sender, s->family);
        return scatter(p + sizeof sender, (size_t)r - sizeof sender, iov, n, flags);
    }
    return -EAGAIN;
}

/* May the guest have what this sender sent? */
static bool welcome(struct sock *s, const struct side *side, const struct addr *sender) {
    if (s->peer.family != ADDR_NONE && !addr_equal(sender, &s->peer))
        return false;
    const struct peer *known = find_peer(s, sender);
    if (known)
        return known->side_fd == side->fd;
    uint32_t rule;
    if (side->kind == SIDE_OUT || !net_ingress(s, side, sender, &rule))
        return false;
    add_peer(s, sender, side->fd, rule);
    return true;
}

static int64_t recv_outside(struct sock *s, const struct side *side, const struct iovec *iov, int n, uint32_t *flags,
                            struct addr *from) {
    struct host *h = s->host;
    uint8_t *p = scratch_of(h);
    for (int tries = 0; tries < JUDGED_AT_ONCE; tries++) {
        struct iovec all = {p, SCRATCH_BYTES};
        uint32_t f = *flags & WORLD_RECV_PEEK;
        struct addr sender = {.family = ADDR_NONE};
        int64_t r = UNDER(h, recv, side->fd, &all, 1, &f, &sender);
        if (r < 0)
            return r;
        struct addr plain = addr_plain(&sender);
        if (s->family != ADDR_UNIX && !welcome(s, side, &plain)) {
            take_away(h, side->fd, *flags);
            continue;
        }
        if (from)
            *from = net_dress(&plain, s->family);
        return scatter(p, (size_t)r, iov, n, flags);
    }
    return -EAGAIN;
}

static int64_t recv_any(struct sock *s, const struct iovec *iov, int n, uint32_t *flags, struct addr *from) {
    if (s->inner < 0) {
        if (s->state == FRESH)
            return -EAGAIN;
        struct side own = {s->fd, SIDE_OUT, {.family = s->family}};
        return recv_outside(s, &own, iov, n, flags, from);
    }
    int64_t r = -EAGAIN;
    bool peek = *flags & WORLD_RECV_PEEK;
    for (uint32_t i = 0; i <= s->nsides && r == -EAGAIN; i++) {
        uint32_t at = (s->turn + i) % (s->nsides + 1);
        r = at == s->nsides ? recv_virtual(s, iov, n, flags, from)
                            : recv_outside(s, &s->sides[at], iov, n, flags, from);
    }
    if (!peek) /* after one the same datagram comes again */
        s->turn++;
    return r;
}

int64_t net_dgram_recv(struct sock *s, const struct iovec *iov, int n, uint32_t *flags, struct addr *from) {
    int64_t r = recv_any(s, iov, n, flags, from);
    if (r != -EAGAIN || !s->shut_rd)
        return r;
    *flags = 0; /* nothing will come any more: the machine, too, says that it is readable */
    if (from)
        *from = (struct addr){.family = ADDR_NONE};
    return 0;
}
