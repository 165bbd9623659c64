/* place.c: addresses, who is bound where, and the decisions at the border. */
#include "world/net/internal.h"

#include <errno.h>

/* ---- addresses ---- */

struct addr net_dress(const struct addr *plain, enum addr_family f) {
    if (f != ADDR_INET6 || plain->family != ADDR_INET)
        return *plain;
    struct addr mapped = {.family = ADDR_INET6, .port = plain->port, .ip = {[10] = 0xff, [11] = 0xff}};
    memcpy(mapped.ip + 12, plain->ip, 4);
    return mapped;
}

bool net_is_unspecified(const struct addr *a) {
    static const uint8_t zeros[16];
    return (a->family == ADDR_INET && !memcmp(a->ip, zeros, 4)) ||
           (a->family == ADDR_INET6 && !memcmp(a->ip, zeros, 16));
}

static const struct addr loopback4 = {.family = ADDR_INET, .ip = {127, 0, 0, 1}};
static const struct addr loopback6 = {.family = ADDR_INET6, .ip = {[15] = 1}};

static struct addr with_port(const struct addr *ip, uint16_t port) {
    struct addr a = *ip;
    a.port = port;
    return a;
}

static struct addr unspecified(enum addr_family f, uint16_t port) {
    return (struct addr){.family = f, .port = port};
}

static const uint8_t net4[2] = {10, 63}, net6[14] = {0xfd, 0x63, 0x65, 0x6f, 0, 0x6e};

void net_own_addresses(uint32_t number, struct addr *v4, struct addr *v6) {
    uint8_t high = (uint8_t)(number >> 8), low = (uint8_t)number;
    *v4 = (struct addr){.family = ADDR_INET, .ip = {[2] = high, [3] = low}};
    *v6 = (struct addr){.family = ADDR_INET6, .ip = {[14] = high, [15] = low}};
    memcpy(v4->ip, net4, sizeof net4);
    memcpy(v6->ip, net6, sizeof net6);
}

/* The number of the host that has or had this address; 0: none. */
static uint32_t owner_of(const struct net *n, const struct addr *a) {
    uint32_t number;
    if (a->family == ADDR_INET && !memcmp(a->ip, net4, sizeof net4))
        number = (uint32_t)a->ip[2] << 8 | a->ip[3];
    else if (a->family == ADDR_INET6 && !memcmp(a->ip, net6, sizeof net6))
        number = (uint32_t)a->ip[14] << 8 | a->ip[15];
    else
        return 0;
    return number <= n->nattached ? number : 0;
}

static bool is_own(const struct host *h, const struct addr *a) {
    return addr_equal_ip(a, &h->v4) || addr_equal_ip(a, &h->v6);
}

static uint32_t chain_of(uint16_t port) {
    return port % BOUND_CHAINS;
}

struct route net_route(struct host *h, const struct addr *a) {
    struct route r = {.to = addr_plain(a)};
    if (net_is_unspecified(&r.to))
        r.to = with_port(r.to.family == ADDR_INET ? &loopback4 : &loopback6, r.to.port);
    r.loopback = addr_scope(&r.to) == ADDR_LOOPBACK;
    if (r.loopback) {
        r.host = h;
        return r;
    }
    uint32_t number = owner_of(h->net, &r.to);
    r.ours = number != 0;
    r.host = r.ours ? h->net->hosts[number] : NULL;
    /* What it has bound on the machine itself it can reach without leaving. */
    for (struct sock *s = h->bound[chain_of(r.to.port)]; s && !r.host && !r.ours; s = s->next_bound)
        if (s->machine_bound && !s->any && addr_equal(&s->at, &r.to))
            r.host = h;
    return r;
}

static bool serves(const struct sock *s, const struct addr *to) {
    return s->any ? (to->family == ADDR_INET ? s->any4 : s->any6) : addr_equal_ip(&s->at, to);
}

struct sock *net_bound_at(const struct route *r, enum world_socktype t, const struct addr *from) {
    struct sock *best = NULL;
    int best_score = -1;
    if (!r->host)
        return NULL;
    for (struct sock *s = r->host->bound[chain_of(r->to.port)]; s; s = s->next_bound) {
        if (s->type != t || s->at.port != r->to.port || !serves(s, &r->to))
            continue;
        if (from && s->peer.family != ADDR_NONE && !addr_equal(&s->peer, from))
            continue;
        int score = (s->any ? 0 : 1) + (s->peer.family != ADDR_NONE ? 2 : 0) + (s->state == LISTENING ? 4 : 0);
        /* Of several that share a port (REUSEPORT) the one with the shortest queue. */
        if (score > best_score || (score == best_score && s->npending < best->npending)) {
            best = s;
            best_score = score;
        }
    }
    return best;
}

static bool same_name(const struct addr *a, const struct addr *b) {
    /* One that is in no directory begins with a NUL and may have others. */
    return a->path[0] || b->path[0] ? !strcmp(a->path, b->path) : !memcmp(a->path, b->path, sizeof a->path);
}

struct sock *net_named(struct net *n, enum world_socktype t, const struct addr *path) {
    for (struct sock *s = n->names; s; s = s->next_bound)
        if (s->type == t && same_name(&s->at, path))
            return s;
    return NULL;
}

struct addr net_source(const struct sock *s, const struct route *r) {
    const struct host *h = s->host;
    bool v4 = r->to.family == ADDR_INET;
    if (s->bound && !s->any && (!s->machine_bound || r->host == h))
        return s->at;
    const struct addr *ip = r->loopback ? (v4 ? &loopback4 : &loopback6) : v4 ? &h->v4 : &h->v6;
    return with_port(ip, s->at.port);
}

/* ---- binding ---- */

static bool overlap(const struct sock *s, const struct sock *other) {
    if (s->type != other->type || s->at.port != other->at.port)
        return false;
    if (s->any && other->any)
        return (s->any4 && other->any4) || (s->any6 && other->any6);
    return s->any ? serves(s, &other->at) : serves(other, &s->at);
}

static bool both(const struct sock *a, const struct sock *b, enum world_sockopt o) {
    return net_option(a, o) && net_option(b, o);
}

/* Is the place that `s` says free? */
static bool is_free(const struct sock *s) {
    for (struct sock *o = s->host->bound[chain_of(s->at.port)]; o; o = o->next_bound)
        if (overlap(s, o) && !both(s, o, WORLD_SO_REUSEPORT) &&
            !(both(s, o, WORLD_SO_REUSEADDR) && (s->type == WORLD_DGRAM || o->state != LISTENING)))
            return false;
    return true;
}

bool net_may_listen(const struct sock *s) {
    for (struct sock *o = s->host->bound[chain_of(s->at.port)]; o; o = o->next_bound)
        if (o != s && o->state == LISTENING && overlap(s, o) && !both(s, o, WORLD_SO_REUSEPORT))
            return false;
    return true;
}

uint16_t net_ephemeral(const struct sock *s) {
    struct host *h = s->host;
    enum { FIRST = 32768, LAST = 60999 };
    for (int tries = FIRST; tries <= LAST; tries++) {
        uint16_t port = h->next_port < FIRST ? FIRST : h->next_port;
        h->next_port = port == LAST ? FIRST : (uint16_t)(port + 1);
        bool taken = false;
        for (struct sock *o = h->bound[chain_of(port)]; o && !taken; o = o->next_bound)
            taken = o->type == s->type && o->at.port == port;
        if (!taken)
            return port;
    }
    return 0;
}

static void link_in(struct sock *s) {
    struct sock **chain = s->family == ADDR_UNIX ? &s->host->net->names : &s->host->bound[chain_of(s->at.port)];
    s->bound = true;
    s->next_bound = *chain;
    *chain = s;
}

void net_unbind(struct sock *s) {
    if (!s->bound)
        return;
    struct sock **p = s->family == ADDR_UNIX ? &s->host->net->names : &s->host->bound[chain_of(s->at.port)];
    while (*p != s)
        p = &(*p)->next_bound;
    *p = s->next_bound;
    s->bound = false;
}

static void set_place(struct sock *s, const struct addr *plain) {
    s->at = *plain;
    s->any = net_is_unspecified(plain);
    s->any4 = s->any && (plain->family == ADDR_INET || (s->family == ADDR_INET6 && !net_option(s, WORLD_SO_V6ONLY)));
    s->any6 = s->any && plain->family == ADDR_INET6;
}

static void unset_place(struct sock *s) {
    s->at = (struct addr){.family = ADDR_NONE};
    s->any = s->any4 = s->any6 = s->machine_bound = false;
}

/* On the virtual network, at a place of the host's own. */
static int bind_virtual(struct sock *s, const struct addr *plain) {
    set_place(s, plain);
    int r = -EADDRINUSE;
    if (s->at.port == 0 && (s->at.port = net_ephemeral(s)) == 0)
        goto failed;
    if (!is_free(s))
        goto failed;
    if (s->type == WORLD_DGRAM && (r = net_dgram_activate(s)) < 0)
        goto failed;
    link_in(s);
    s->state = BOUND;
    r = s->type == WORLD_DGRAM ? net_claim(s) : 0;
    return r;
failed:
    unset_place(s);
    return r;
}

int net_bind_any(struct sock *s) {
    struct addr any = unspecified(s->family, 0);
    return bind_virtual(s, &any);
}

/* [::] is also 0.0.0.0 unless the rules allow only the one. */
static int keep_to_v6(struct sock *s, const struct addr *plain) {
    struct policy_decision d;
    struct addr any4 = unspecified(ADDR_INET, plain->port);
    if (plain->family != ADDR_INET6 || !net_is_unspecified(plain))
        return 0;
    policy_bind(s->host->policy, net_proto(s), &any4, &d);
    if (d.allowed)
        return 0;
    int r = UNDER(s->host, set_option, s->fd, WORLD_SO_V6ONLY, 1);
    if (r == 0) {
        s->options_set |= 1u << WORLD_SO_V6ONLY;
        s->options[WORLD_SO_V6ONLY] = 1;
    }
    return r;
}

/* On the machine, and on the virtual network at the same address. */
static int bind_machine(struct sock *s, const struct addr *plain) {
    struct addr on = net_dress(plain, s->family), got;
    int r = keep_to_v6(s, plain);
    if (r < 0)
        return r;
    set_place(s, plain);
    if (plain->port && !is_free(s)) {
        r = -EADDRINUSE;
        goto failed;
    }
    if ((r = UNDER(s->host, bind, s->fd, &on)) < 0 || (r = UNDER(s->host, local_addr, s->fd, &got)) < 0)
        goto failed;
    s->at.port = got.port;
    s->machine_bound = true;
    if (s->type == WORLD_DGRAM && (r = net_dgram_activate(s)) < 0)
        goto failed;
    link_in(s);
    s->state = BOUND;
    return 0;
failed:
    unset_place(s);
    return r;
}

static int bind_name(struct sock *s, const struct addr *a) {
    static const char nothing[ADDR_MAX_PATH];
    if (!memcmp(a->path, nothing, sizeof nothing))
        return -EINVAL;
    for (struct sock *o = s->host->net->names; o; o = o->next_bound)
        if (same_name(&o->at, a)) /* of either type: there it would be a file */
            return -EADDRINUSE;
    s->at = *a;
    int r = s->type == WORLD_DGRAM ? net_dgram_activate(s) : 0;
    if (r < 0)
        return r;
    link_in(s);
    if (s->state == FRESH)
        s->state = BOUND;
    return 0;
}

int net_bind(struct world *w, int fd, const struct addr *a) {
    struct sock *s = sock_of(w, fd);
    struct host *h = host_of(w);
    char text[ADDR_TEXT_MAX];
    if (!s) {
        net_denied(h, "bind %s: denied: handle %d was not opened as a socket by the guest", addr_print(a, text), fd);
        return -EACCES;
    }
    if (a->family != s->family)
        return -EAFNOSUPPORT;
    if (s->bound)
        return -EINVAL;
    if (s->family == ADDR_UNIX)
        return s->state == FRESH || s->type == WORLD_DGRAM ? bind_name(s, a) : -EINVAL;
    if (s->state != FRESH)
        return -EINVAL;
    struct addr plain = addr_plain(a);
    if (s->family == ADDR_INET6 && plain.family == ADDR_INET && net_option(s, WORLD_SO_V6ONLY))
        return -EINVAL;
    if (is_own(h, &plain))
        return bind_virtual(s, &plain);
    struct policy_decision d;
    policy_bind(h->policy, net_proto(s), &plain, &d);
    if (d.allowed)
        return bind_machine(s, &plain);
    if (net_is_unspecified(&plain) || addr_scope(&plain) == ADDR_LOOPBACK)
        return bind_virtual(s, &plain);
    net_denied(h, "bind %s %s: %s", net_proto_text(s), addr_print(a, text), d.text);
    return -EACCES;
}

int net_claim(struct sock *s) {
    struct host *h = s->host;
    for (uint32_t i = 0; i < h->npublished; i++) {
        struct published *p = h->published[i];
        if (p->owner || p->udp != (s->type == WORLD_DGRAM) || !s->bound || p->port != s->at.port ||
            addr_scope(&s->at) == ADDR_LOOPBACK || s->family == ADDR_UNIX)
            continue;
        int r = p->udp ? 0 : net_published_listen(h, p, s->backlog);
        if (r < 0)
            return r;
        p->owner = s;
        net_side_add(s, p->fd, SIDE_PUBLISHED, &p->on);
    }
    return 0;
}

/* ---- decisions ---- */

bool net_egress(struct sock *s, const struct addr *asked, const struct addr *to, uint32_t *rule) {
    struct host *h = s->host;
    struct policy_decision d;
    const char *names[PIN_NAMES_MAX];
    uint32_t n = net_pinned(h, to, names);
    policy_egress(h->policy, net_proto(s), to, names, n, &d);
    if (d.allowed)
        policy_count(h->policy, &d, world_now(h->layer.below, WORLD_MONOTONIC));
    if (d.allowed)
        *rule = d.rule;
    else
        net_denied_to(h, net_proto(s), asked, to, &d);
    return d.allowed;
}

bool net_ingress(struct sock *s, const struct side *side, const struct addr *from, uint32_t *rule) {
    struct host *h = s->host;
    struct policy_decision d;
    policy_ingress(h->policy, net_proto(s), &side->on, from, &d);
    if (!d.allowed && d.line == 0 && side->kind == SIDE_PUBLISHED) {
        *rule = NO_RULE; /* published to everybody whom no rule denies */
        return true;
    }
    if (d.allowed)
        policy_count(h->policy, &d, world_now(h->layer.below, WORLD_MONOTONIC));
    if (d.allowed) {
        *rule = d.rule;
        return true;
    }
    char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];
    if (h->nunasked < UNASKED_MAX) /* whoever sends them decides how many there are */
        net_denied(h, "%s from %s to %s: %s", net_proto_text(s), addr_print(from, a), addr_print(&side->on, b), d.text);
    if (++h->nunasked == UNASKED_MAX)
        net_denied(h, "more that came in was denied than is told here");
    return false;
}
