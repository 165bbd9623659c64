/* net.h: a guest's own network, and the border between it and the machine's.
 *
 * A `struct net` is the network of one application: names, addresses, and the sockets bound to them. A `net_host` is
 * one guest on it, with addresses of its own (10.x, fd..), its own loopback, and a policy; its world is a layer whose
 * socket operations work as if the guest were a machine of its own:
 *
 *   - bind, listen: on its loopback, its own address or any (0.0.0.0, ::) it is on the virtual network, reachable from
 *     where that address is. An address that an ingress rule of its policy names is the machine's as well, exactly that
 *     one. A published port (net_publish) is one of the machine's whose connections arrive at the guest's port.
 *   - connect, send: to its loopback or an address of the network it is what is bound there, or -ECONNREFUSED; anything
 *     else only as the policy's egress rules say: a real socket. Loopback of the machine only where a rule names it and
 *     nothing is bound there on the guest's own.
 *   - unix sockets: a name space of the application's own; a path of the machine only where the policy says.
 *   - resolve: names of the network, localhost, then (as the policy allows) the machine's resolver; what it answers is
 *     pinned to the name for this guest, minus addresses that a name must not lead to.
 *   - recv, accept: a datagram from whom this socket has neither sent to nor an ingress rule allows is dropped, as is a
 *     connection.
 *
 * A denial answers -EACCES (a look-up: WORLD_NAME_FAILED; of the machine's loopback -ECONNREFUSED, which is what the
 * guest's own says) and is told to `denied`, with the sentence of the decision. Virtual streams and datagrams are pairs
 * of the machine's unix sockets. A handle may stand for several of the machine's sockets at once, which only `wait`
 * knows: wait_begin and turn are for the layer below. Handles that were not opened here pass through, but cannot be
 * bound, connected or given an address. All hosts of a network are of one thread; freeing one closes what it has open.
 * docs/design/network.md has the picture. */
#ifndef AEON_WORLD_NET_NET_H
#define AEON_WORLD_NET_NET_H

#include "base/err.h"
#include "policy/policy.h"
#include "world/layer.h"

struct net;

struct net *net_new(void);
void net_free(struct net *n); /* after its hosts */

struct net_host {
    const char *name;      /* by which others reach it; NULL: none */
    struct policy *policy; /* borrowed */
    /* told of every attempt that was denied: "tcp to 169.254.169.254:80: denied: ..." */
    void (*denied)(void *ctx, const char *sentence);
    void *ctx;
};

/* The world of a new guest on `n`; borrowed strings are copied. ST_EXISTS: the name is taken. */
NODISCARD enum status net_attach(struct net *n, struct world *below, const struct net_host *h, struct world **out,
                                 struct err *e);
/* The addresses of a guest, by its world. */
void net_addresses(struct world *host, struct addr *v4, struct addr *v6);

/* Connections (or with `udp` datagrams) to `on` of the machine arrive at the guest's `port`, whatever address of its
 * own but loopback it binds it on. The port of the machine is taken now, so that errors show at once (`on`.port 0: any;
 * `bound` tells it). */
NODISCARD enum status net_publish(struct world *host, bool udp, const struct addr *on, uint16_t port,
                                  struct addr *bound, struct err *e);

/* The names under which `to` was looked up by this guest (for TLS): see policy_tls. May it speak TLS as `hostname`
 * on this connection? Denied ones are told. True for what stays on the virtual network. */
bool net_may_tls(struct world *host, int fd, const char *hostname);

#endif
