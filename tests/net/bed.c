#include "bed.h"

#include "world/layer.h"

#include <stdlib.h>

struct world *os;
struct net *net;
int nlookups, nleft;
bool (*bed_may_leave)(const struct addr *plain);

static struct guest *guests[16];
static struct world_layer border;
static struct {
    const char *name, *addresses;
} names[16];

/* ---- a resolver that answers what the test says ---- */

static int fake_resolve(struct world *w, const struct world_query *q, struct world_found *out, int max,
                        char *canonical) {
    if (q->numeric_host || !q->name)
        return BELOW(w, resolve, q, out, max, canonical);
    nlookups++;
    for (int i = 0; i < 16 && names[i].name; i++) {
        if (strcmp(names[i].name, q->name) != 0)
            continue;
        char copy[256], *save, *one;
        int n = 0;
        snprintf(copy, sizeof copy, "%s", names[i].addresses);
        for (one = strtok_r(copy, " ", &save); one && n < max; one = strtok_r(NULL, " ", &save)) {
            struct addr a;
            assert_true(addr_parse_ip(one, &a));
            if (q->family != ADDR_NONE && q->family != a.family)
                continue;
            a.port = q->service ? (uint16_t)atoi(q->service) : 0;
            out[n++] = (struct world_found){a, q->type ? q->type : WORLD_STREAM};
        }
        if (n > 0 && canonical)
            snprintf(canonical, WORLD_MAX_NAME, "%s", q->name);
        return n > 0 ? n : WORLD_NAME_UNKNOWN;
    }
    return WORLD_NAME_UNKNOWN;
}

/* What leaves is counted, and gets no further than this machine. */
static int leaves(const struct addr *a) {
    struct addr plain = addr_plain(a);
    nleft++;
    must(!bed_may_leave || bed_may_leave(&plain));
    return plain.family != ADDR_UNIX && addr_scope(&plain) != ADDR_LOOPBACK ? -ENETUNREACH : 0;
}

static int fake_connect(struct world *w, int fd, const struct addr *a) {
    int r = leaves(a);
    return r < 0 ? r : BELOW(w, connect, fd, a);
}

static int64_t fake_send(struct world *w, int fd, const struct iovec *iov, int n, const struct addr *to) {
    int r = to ? leaves(to) : 0;
    return r < 0 ? r : BELOW(w, send, fd, iov, n, to);
}

static int fake_bind(struct world *w, int fd, const struct addr *a) {
    nleft++;
    return BELOW(w, bind, fd, a);
}

// clang-format off
static const struct world_ops border_ops = {
    WORLD_FORWARD,
    .name = "border",
    .resolve = fake_resolve,
    .connect = fake_connect,
    .send = fake_send,
    .bind = fake_bind,
};
// clang-format on

void fake_name(const char *name, const char *addresses) {
    for (int i = 0; i < 16; i++)
        if (!names[i].name || !strcmp(names[i].name, name)) {
            names[i].name = name;
            names[i].addresses = addresses;
            return;
        }
    must(!"room for the name");
}

/* ---- guests ---- */

int bed_up(void **state) {
    (void)state;
    os = world_os_new();
    border = (struct world_layer){{&border_ops}, os};
    net = net_new();
    nlookups = nleft = 0;
    bed_may_leave = NULL;
    memset(names, 0, sizeof names);
    return 0;
}

void bed_over(struct world *w) {
    border.below = w;
}

int bed_down(void **state) {
    (void)state;
    for (int i = 0; i < 16; i++)
        if (guests[i])
            guest_free(guests[i]);
    net_free(net);
    OS(free);
    return 0;
}

static void denied(void *ctx, const char *sentence) {
    struct guest *g = ctx;
    must(g->ndenials < 64);
    snprintf(g->denials[g->ndenials++], sizeof g->denials[0], "%s", sentence);
}

struct guest *guest_new(const char *name, const char *rules) {
    struct err e = ERR_INIT;
    struct guest *g = mem_zalloc(sizeof *g);
    if (!*rules)
        g->policy = policy_none();
    else if (policy_parse(SPAN_STR(rules), "net.yaml", &g->policy, &e) != ST_OK)
        fail_msg("%s", e.text);
    struct net_host h = {.name = name, .policy = g->policy, .denied = denied, .ctx = g};
    assert_int_equal(net_attach(net, &border.world, &h, &g->w, &e), ST_OK);
    net_addresses(g->w, &g->v4, &g->v6);
    for (int i = 0; i < 16; i++)
        if (!guests[i]) {
            guests[i] = g;
            return g;
        }
    must(!"room for the guest");
    return NULL;
}

void guest_free(struct guest *g) {
    for (int i = 0; i < 16; i++)
        if (guests[i] == g)
            guests[i] = NULL;
    G(g, free);
    policy_free(g->policy);
    mem_free(g);
}

bool said(struct guest *g, const char *sentence) {
    bool yes = g->ndenials == 1 && !strncmp(g->denials[0], sentence, strlen(sentence)) &&
               strstr(g->denials[0], "denied") != NULL;
    for (unsigned i = 0; i < g->ndenials && !yes; i++)
        print_message("told: %s\n", g->denials[i]);
    g->ndenials = 0;
    return yes;
}

bool quiet(struct guest *g) {
    for (unsigned i = 0; i < g->ndenials; i++)
        print_message("told: %s\n", g->denials[i]);
    return g->ndenials == 0;
}

/* ---- sockets ---- */

struct addr addr_of(const char *text) {
    struct addr a;
    if (!addr_parse(text, &a))
        fail_msg("%s is no address", text);
    return a;
}

struct addr at_port(struct addr a, uint16_t port) {
    a.port = port;
    return a;
}

int sock_new(struct world *w, enum addr_family f, enum world_socktype t) {
    int fd = w->ops->socket(w, f, t);
    assert_true(fd > 2);
    return fd;
}

int sock_bound(struct world *w, enum world_socktype t, struct addr on) {
    int fd = sock_new(w, on.family, t);
    assert_int_equal(w->ops->bind(w, fd, &on), 0);
    return fd;
}

int sock_listening(struct world *w, struct addr on) {
    int fd = sock_bound(w, WORLD_STREAM, on);
    assert_int_equal(w->ops->listen(w, fd, 16), 0);
    return fd;
}

int sock_connected(struct world *w, enum world_socktype t, struct addr to) {
    int fd = sock_new(w, to.family, t), r = w->ops->connect(w, fd, &to);
    if (r == -EINPROGRESS) {
        int64_t error = -1;
        wait_ready(w, fd, WORLD_WRITABLE);
        assert_int_equal(w->ops->get_option(w, fd, WORLD_SO_ERROR, &error), 0);
        r = (int)-error;
    }
    assert_int_equal(r, 0);
    return fd;
}

struct addr local_of(struct world *w, int fd) {
    struct addr a;
    assert_int_equal(w->ops->local_addr(w, fd, &a), 0);
    return a;
}

struct addr peer_of(struct world *w, int fd) {
    struct addr a;
    assert_int_equal(w->ops->peer_addr(w, fd, &a), 0);
    return a;
}

int attempt(struct world *w, enum world_socktype t, struct addr to) {
    int fd = sock_new(w, to.family, t), r = w->ops->connect(w, fd, &to);
    assert_int_equal(w->ops->close(w, fd), 0);
    return r;
}

static uint32_t readiness(struct world *w, int fd, uint32_t want, uint64_t deadline_ns) {
    struct world_poll p = {.fd = fd, .want = want};
    int r = w->ops->wait(w, &p, 1, deadline_ns);
    assert_int_equal(r, p.got != 0);
    return p.got;
}

bool is_ready(struct world *w, int fd, uint32_t want) {
    return readiness(w, fd, want, 0) & want;
}

void wait_ready(struct world *w, int fd, uint32_t want) {
    assert_true(readiness(w, fd, want, world_now(w, WORLD_MONOTONIC) + UINT64_C(10000000000)) & want);
}

int accepted(struct world *w, int listener) {
    wait_ready(w, listener, WORLD_READABLE);
    int fd = w->ops->accept(w, listener, WORLD_NONBLOCK);
    assert_true(fd > 2);
    return fd;
}

int64_t send_text(struct world *w, int fd, const char *text, const struct addr *to) {
    struct iovec v = {(void *)text, strlen(text)};
    return w->ops->send(w, fd, &v, 1, to);
}

void put(struct world *w, int fd, const char *text, const struct addr *to) {
    assert_int_equal(send_text(w, fd, text, to), strlen(text));
}

void expect(struct world *w, int fd, const char *text) {
    char got[256];
    size_t n = 0;
    while (n < strlen(text)) {
        wait_ready(w, fd, WORLD_READABLE);
        struct iovec v = {got + n, strlen(text) - n};
        uint32_t flags = 0;
        int64_t r = w->ops->recv(w, fd, &v, 1, &flags, NULL);
        assert_true(r > 0);
        n += (size_t)r;
    }
    assert_memory_equal(got, text, n);
}

struct addr expect_datagram(struct world *w, int fd, const char *text) {
    char got[256];
    struct addr from = {.family = ADDR_NONE};
    struct iovec v = {got, sizeof got};
    uint32_t flags = 0;
    wait_ready(w, fd, WORLD_READABLE);
    assert_int_equal(w->ops->recv(w, fd, &v, 1, &flags, &from), strlen(text));
    assert_memory_equal(got, text, strlen(text));
    return from;
}

int64_t try_recv(struct world *w, int fd) {
    char got[256];
    struct iovec v = {got, sizeof got};
    uint32_t flags = 0;
    return w->ops->recv(w, fd, &v, 1, &flags, NULL);
}
