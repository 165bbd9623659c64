/* bed.h: guests on a network over the machine, for tests; with a layer below that answers look-ups as a test says
 * and counts what leaves, and the denials each guest was told. */
#ifndef TESTS_NET_BED_H
#define TESTS_NET_BED_H

#include "base/must.h"
#include "policy/policy.h"
#include "world/net/net.h"
#include "world/os/os.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct guest {
    struct world *w;
    struct policy *policy;
    struct addr v4, v6;
    char denials[64][700];
    unsigned ndenials;
};

extern struct world *os; /* the machine */
extern struct net *net;

int bed_up(void **state);
int bed_down(void **state);
void bed_over(struct world *w); /* guests from now on are over this one in place of the machine */

/* `rules`: a policy file's text; "": nothing is allowed. Freed by bed_down at the latest. */
struct guest *guest_new(const char *name, const char *rules);
void guest_free(struct guest *g);

#define G(g, op, ...) (g)->w->ops->op((g)->w, ##__VA_ARGS__)
#define OS(op, ...)   os->ops->op(os, ##__VA_ARGS__)

/* Must hold of every address that is sent or connected to beyond the network; NULL: is not asked. */
extern bool (*bed_may_leave)(const struct addr *plain);

/* What the resolver below answers for a name: addresses separated by spaces; "": it is unknown. How often it was asked
 * for anything but numbers. */
void fake_name(const char *name, const char *addresses);
extern int nlookups;
extern int nleft; /* connects, binds and datagrams that went to the machine; those beyond it are -ENETUNREACH */

struct addr addr_of(const char *text); /* ADDRESS:PORT or unix:PATH */
struct addr at_port(struct addr a, uint16_t port);
bool said(struct guest *g, const char *sentence); /* the only denial since the last look begins so */
bool quiet(struct guest *g);                      /* none since */

/* Of a world: sockets that must come about. */
int sock_new(struct world *w, enum addr_family f, enum world_socktype t);
int sock_bound(struct world *w, enum world_socktype t, struct addr on);
int sock_listening(struct world *w, struct addr on);
int sock_connected(struct world *w, enum world_socktype t, struct addr to); /* waits until it is */
struct addr local_of(struct world *w, int fd);
struct addr peer_of(struct world *w, int fd);
int attempt(struct world *w, enum world_socktype t, struct addr to); /* what connect says; closes */
bool is_ready(struct world *w, int fd, uint32_t want);               /* without waiting */
void wait_ready(struct world *w, int fd, uint32_t want);             /* at most 10 s */
int accepted(struct world *w, int listener);                         /* waits */
void put(struct world *w, int fd, const char *text, const struct addr *to);
void expect(struct world *w, int fd, const char *text); /* of a stream, whole; waits */
/* One datagram; waits. Returns from whom. */
struct addr expect_datagram(struct world *w, int fd, const char *text);
int64_t send_text(struct world *w, int fd, const char *text, const struct addr *to);
int64_t try_recv(struct world *w, int fd);

#define assert_addr(a, text)                          \
    do {                                              \
        char assert_addr_text[ADDR_TEXT_MAX];         \
        struct addr assert_addr_a = (a);              \
        addr_print(&assert_addr_a, assert_addr_text); \
        assert_string_equal(assert_addr_text, text);  \
    } while (0)

#endif
