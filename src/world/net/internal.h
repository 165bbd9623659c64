/* internal.h: what the files of world/net share.
 *
 * A socket of a guest is a handle from below, and beside it:
 *
 *     inner   the other end of the pair that the handle is one end of: of a listener (a byte in it says that somebody
 *             waits to be accepted) and of virtual datagrams (whoever sends one writes it there)
 *     sides   sockets of the machine that belong to it too: bound there by rule, published, or sending to the outside
 *
 *                   stream                                   datagrams
 *     FRESH         handle: the machine's, not yet bound     the same
 *     BOUND         the same; bound, virtually or there      handle: pair with inner; sides
 *     LISTENING     handle: pair with inner; sides           -
 *     CONNECTED     handle: pair, the peer has the other     -
 *     OUTSIDE       handle: the machine's, connected         handle: the machine's, has sent or is connected
 *
 * Addresses inside are plain (addr_plain); what a guest sees is dressed for the family of its socket. */
#ifndef AEON_WORLD_NET_INTERNAL_H
#define AEON_WORLD_NET_INTERNAL_H

#include "base/must.h"
#include "world/net/net.h"

enum {
    BOUND_CHAINS = 64,
    HOSTS_MAX = 65534,
    PINS_MAX = 4096,    /* addresses of names that a guest remembers */
    PIN_NAMES_MAX = 64, /* names of one address that a decision looks at */
    PEERS_MAX = 1024,   /* whom a datagram socket remembers */
    UNASKED_MAX = 1000, /* denials of what came in that are told, by guest */
    BACKLOG_MAX = 4096,
    DATAGRAM_MAX = 65507,
};
#define NO_RULE UINT32_MAX

struct host;
struct sock;

enum side_kind {
    SIDE_OUT,       /* sends; receives from whom it sent to */
    SIDE_BOUND,     /* bound on the machine by an ingress rule */
    SIDE_PUBLISHED, /* of net_publish */
};
struct side {
    int fd;
    enum side_kind kind;
    struct addr on; /* of the machine, with the port; OUT: only the family */
};

struct published {
    int fd;
    bool udp;
    struct addr on;
    uint16_t port; /* the guest's */
    struct sock *owner;
};

/* Somebody that waits to be accepted. */
struct pending {
    int fd;
    struct addr peer, local; /* as the one who accepts will see them */
    struct pending *next;
};

/* Whom a datagram socket has sent to, or was allowed to hear from. */
struct peer {
    struct addr addr;
    int side_fd;
    uint32_t rule; /* to be uncounted */
    int32_t next;  /* in the chain of its hash; -1: last */
};
struct peers {
    struct peer *slots;
    int32_t *chains;
    uint32_t n, cap, oldest;
};

enum state { FRESH, BOUND, LISTENING, CONNECTED, OUTSIDE };

struct sock {
    struct host *host;
    int fd;
    enum addr_family family;
    enum world_socktype type;
    enum state state;
    int inner; /* -1: none */
    struct side *sides;
    uint32_t nsides, turn; /* whose turn it is to be looked at */
    bool unusual;          /* counted in the host's */

    /* where it is bound: in a chain of its host, or the network's list of names */
    bool bound, machine_bound;
    bool any, any4, any6; /* on every address of the host, of these families */
    struct addr at;
    struct sock *next_bound;

    struct addr local, peer; /* CONNECTED, or published; `peer` also of datagrams; ADDR_NONE: none */
    uint32_t rule;           /* to be uncounted; UINT32_MAX: none */
    char *tls;               /* to speak TLS as, before it was connected */
    bool shut_rd, shut_wr;   /* datagrams */
    bool went_out;           /* OUTSIDE: connected from here, not accepted; to `to` */
    struct addr to;

    struct pending *first, **last;
    uint32_t npending, backlog;
    struct peers peers;
    uint32_t options_set; /* bits by enum world_sockopt */
    int64_t options[WORLD_NSOCKOPTS];
};

struct pin {
    struct addr addr; /* without port */
    char *name;
};

struct host {
    struct world_layer layer;
    struct net *net;
    struct policy *policy;
    void (*denied)(void *ctx, const char *sentence);
    void *ctx;
    uint32_t number; /* the last part of its addresses */
    struct addr v4, v6;
    struct sock **socks; /* by handle, open addressing: a guest has few of many numbers */
    uint32_t nsocks, socks_cap, nunusual;
    struct sock *bound[BOUND_CHAINS]; /* by port */
    uint16_t next_port;
    struct published **published;
    uint32_t npublished;
    struct pin *pins;
    uint32_t npins, next_pin;
    uint32_t nunasked;
    uint8_t *scratch; /* a datagram that has not been judged yet */
};

struct net {
    struct host **hosts; /* by number, from 1; NULL: it has ended */
    char **known;        /* names, likewise, also of those who have ended: neither is ever the machine's */
    uint32_t nhosts, cap, nattached;
    struct sock *names; /* of unix sockets */
};

static inline struct host *host_of(struct world *w) {
    return (struct host *)w;
}
static inline struct sock *sock_of(struct world *w, int fd) {
    const struct host *h = host_of(w);
    uint32_t mask = h->socks_cap - 1;
    if (h->nsocks == 0)
        return NULL;
    for (uint32_t i = (uint32_t)fd & mask; h->socks[i]; i = (i + 1) & mask)
        if (h->socks[i]->fd == fd)
            return h->socks[i];
    return NULL;
}

/* An operation of the world below, for a host. */
#define UNDER(h, op, ...) ((h)->layer.below->ops->op((h)->layer.below, __VA_ARGS__))

/* net.c */
struct sock *net_sock_new(struct host *h, int fd, enum addr_family f, enum world_socktype t);
void net_sock_free(struct sock *s); /* and all that belongs to it, but not the handle */
void net_set_inner(struct sock *s, int fd);
void net_side_add(struct sock *s, int fd, enum side_kind kind, const struct addr *on);
/* Puts `from` in place of the handle; what the handle was goes on as a side when `kind` is not negative. */
int net_replace(struct sock *s, int from, int kind, const struct addr *on);
/* A fresh socket of the machine in place of what the handle is. */
int net_refresh(struct sock *s);
/* A published port of TCP begins to let in who comes. */
int net_published_listen(struct host *h, const struct published *p, uint32_t backlog);
void net_denied(struct host *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "tcp to 0.0.0.0:80 (127.0.0.1:80): denied: ..." */
void net_denied_to(struct host *h, enum policy_proto p, const struct addr *asked, const struct addr *to,
                   const struct policy_decision *d);
static inline enum policy_proto net_proto(const struct sock *s) {
    return s->type == WORLD_STREAM ? POLICY_TCP : POLICY_UDP;
}
static inline const char *net_proto_text(const struct sock *s) {
    return s->type == WORLD_STREAM ? "tcp" : "udp";
}

/* place.c: addresses, and who is bound where */

/* Where an address leads, as a host sees it. */
struct route {
    struct addr to;    /* plain; the unspecified address made loopback */
    struct host *host; /* whose it may be; NULL: nobody's on the network */
    bool ours;         /* an address of the network: nothing else can be meant */
    bool loopback;
};
struct route net_route(struct host *h, const struct addr *a);
/* The best socket bound there: a listener if there is one; for datagrams one that would take what `from` sends (NULL:
 * anybody). */
struct sock *net_bound_at(const struct route *r, enum world_socktype t, const struct addr *from);
struct sock *net_named(struct net *n, enum world_socktype t, const struct addr *path);
/* The address that `s` sends from when it sends there. */
struct addr net_source(const struct sock *s, const struct route *r);
struct addr net_dress(const struct addr *plain, enum addr_family f);
bool net_is_unspecified(const struct addr *plain);
/* The addresses of a host by its number. */
void net_own_addresses(uint32_t number, struct addr *v4, struct addr *v6);
uint16_t net_ephemeral(const struct sock *s);
/* Binds to any address and a port of its own, on the virtual network. */
int net_bind_any(struct sock *s);
void net_unbind(struct sock *s);
bool net_may_listen(const struct sock *s); /* nobody listens there yet */
int net_bind(struct world *w, int fd, const struct addr *a);
/* Ports of the machine that are published for what `s` is bound to become its sides. */
int net_claim(struct sock *s);
/* May it go there? Counted in `rule`; a denial is told. */
bool net_egress(struct sock *s, const struct addr *asked, const struct addr *to, uint32_t *rule);
/* May what came in from there stay? Likewise. */
bool net_ingress(struct sock *s, const struct side *side, const struct addr *from, uint32_t *rule);

/* stream.c */
int net_listen(struct world *w, int fd, int backlog);
int net_accept(struct world *w, int fd, uint32_t flags);
int net_connect(struct world *w, int fd, const struct addr *a);
void net_pending_free(struct sock *s);

/* dgram.c */
int net_dgram_activate(struct sock *s); /* its handle becomes the pair through which others reach it */
int net_dgram_connect(struct sock *s, const struct addr *a);
int64_t net_dgram_recv(struct sock *s, const struct iovec *iov, int n, uint32_t *flags, struct addr *from);
int64_t net_dgram_send(struct sock *s, const struct iovec *iov, int n, const struct addr *to);
void net_peers_free(struct sock *s);

/* names.c */
int net_resolve(struct world *w, const struct world_query *q, struct world_found *out, int max, char *canonical);
/* Names that were looked up and had this address; returns their number. */
uint32_t net_pinned(const struct host *h, const struct addr *a, const char *names[PIN_NAMES_MAX]);
bool net_tls_allowed(struct sock *s, const struct addr *to, const char *hostname);
void net_pins_free(struct host *h);

/* option.c */
int net_get_option(struct world *w, int fd, enum world_sockopt o, int64_t *value);
int net_set_option(struct world *w, int fd, enum world_sockopt o, int64_t value);
int64_t net_option(const struct sock *s, enum world_sockopt o);
/* All that was set, on another socket that belongs to it, as far as it goes with that one. */
void net_options_apply(const struct sock *s, int fd);

#endif
