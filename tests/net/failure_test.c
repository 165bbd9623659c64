/* Every operation of the world below fails once, in turn: nothing breaks, nothing is left open. */
#include "bed.h"

#include "world/layer.h"

static int until_failure; /* calls; 0: none fails any more */
static bool failed;

static bool fails(void) {
    if (until_failure == 0 || --until_failure > 0)
        return false;
    failed = true;
    return true;
}

// clang-format off
#define FAILING(X) \
    X(int, dup, (struct world *w, int fd), fd) \
    X(int, socket, (struct world *w, enum addr_family f, enum world_socktype t), f, t) \
    X(int, pair, (struct world *w, enum world_socktype t, int fds[2]), t, fds) \
    X(int, move, (struct world *w, int from, int to), from, to) \
    X(int, bind, (struct world *w, int fd, const struct addr *a), fd, a) \
    X(int, listen, (struct world *w, int fd, int backlog), fd, backlog) \
    X(int, connect, (struct world *w, int fd, const struct addr *a), fd, a) \
    X(int, accept, (struct world *w, int fd, uint32_t flags), fd, flags) \
    X(int64_t, recv, (struct world *w, int fd, const struct iovec *iov, int n, uint32_t *flags, struct addr *from), \
      fd, iov, n, flags, from) \
    X(int64_t, send, (struct world *w, int fd, const struct iovec *iov, int n, const struct addr *to), fd, iov, n, to) \
    X(int, local_addr, (struct world *w, int fd, struct addr *out), fd, out) \
    X(int, peer_addr, (struct world *w, int fd, struct addr *out), fd, out) \
    X(int, get_option, (struct world *w, int fd, enum world_sockopt o, int64_t *value), fd, o, value) \
    X(int, set_option, (struct world *w, int fd, enum world_sockopt o, int64_t value), fd, o, value) \
    X(int, resolve, (struct world *w, const struct world_query *q, struct world_found *out, int max, char *canonical), \
      q, out, max, canonical) \
    X(int, wait, (struct world *w, struct world_poll *polls, int n, uint64_t deadline_ns), polls, n, deadline_ns)
#define X(result, op, params, ...) \
    static result failing_##op params { \
        return fails() ? -ENOBUFS : BELOW(w, op, __VA_ARGS__); \
    }
FAILING(X)
#undef X
static const struct world_ops failing_ops = {
    WORLD_FORWARD,
#define X(result, op, params, ...) .op = failing_##op,
    FAILING(X)
#undef X
    .name = "failing",
};
// clang-format on

static int count_handles(void) {
    int n = 0;
    for (int fd = 3; fd < 256; fd++) {
        struct world_stat st;
        n += OS(stat, fd, &st) == 0;
    }
    return n;
}

static void talk(struct guest *a, int from, int to) {
    if (from < 0 || to < 0)
        return;
    send_text(a->w, from, "hello", NULL);
    try_recv(a->w, to);
}

/* A bit of everything; whatever does not come about is not used further. */
static void live(struct guest *a, struct guest *b, int server, int receiver) {
    struct addr on = addr_of("127.0.0.1:0"), any = addr_of("0.0.0.0:80"), any53 = addr_of("[::]:53"), bound = on, x;
    struct addr out = local_of(os, server), far = local_of(os, receiver), to = at_port(a->v4, 80);
    int l = G(a, socket, ADDR_INET, WORLD_STREAM);
    enum status tcp = net_publish(a->w, false, &on, 80, &bound, NULL),
                udp = net_publish(a->w, true, &on, 53, NULL, NULL);
    assert_true((tcp == ST_OK && udp == ST_OK) || failed);
    if (l >= 0 && G(a, bind, l, &any) == 0 && G(a, listen, l, 4) == 0) {
        int c = G(b, socket, ADDR_INET, WORLD_STREAM), o = OS(socket, ADDR_INET, WORLD_STREAM);
        if (c >= 0)
            G(b, set_option, c, WORLD_SO_SNDBUF, 10000);
        if (c >= 0 && G(b, connect, c, &to) == 0)
            talk(b, c, c);
        OS(connect, o, &bound);
        for (int i = 0; i < 3; i++) {
            struct world_poll p = {.fd = l, .want = WORLD_READABLE};
            G(a, wait, &p, 1, 0);
            int s = G(a, accept, l, 0);
            talk(a, s, s);
            if (s >= 0)
                G(a, close, s);
        }
        OS(close, o);
        G(a, close, l); /* and listen anew */
        l = G(a, socket, ADDR_INET, WORLD_STREAM);
        if (l >= 0 && G(a, bind, l, &any) == 0)
            G(a, listen, l, 4);
    }
    int m = G(a, socket, ADDR_INET, WORLD_STREAM), e = G(a, socket, ADDR_INET, WORLD_STREAM);
    if (m >= 0 && G(a, bind, m, &on) == 0 && G(a, listen, m, 4) == 0 && G(a, local_addr, m, &x) == 0)
        G(a, accept, m, 0);
    if (e >= 0 && G(a, connect, e, &out) != -EINPROGRESS)
        G(a, connect, e, &out);
    int u = G(a, socket, ADDR_INET6, WORLD_DGRAM), v = G(b, socket, ADDR_INET, WORLD_DGRAM);
    to.port = 53;
    if (u >= 0 && G(a, bind, u, &any53) == 0 && v >= 0) {
        send_text(b->w, v, "q", &to);
        try_recv(a->w, u);
        if (G(b, connect, v, &to) == 0)
            talk(b, v, v);
    }
    int w = G(a, socket, ADDR_INET, WORLD_DGRAM), y = G(a, socket, ADDR_INET, WORLD_DGRAM);
    if (w >= 0) {
        send_text(a->w, w, "out", &far);
        send_text(a->w, w, "near", &(struct addr){.family = ADDR_INET, .port = 9, .ip = {10, 63, 0, 2}});
        try_recv(a->w, w);
        G(a, connect, w, &(struct addr){.family = ADDR_NONE});
    }
    if (y >= 0 && G(a, connect, y, &far) == 0)
        G(a, connect, y, &(struct addr){.family = ADDR_NONE});
    struct addr name = addr_of("unix:/x");
    int n = G(a, socket, ADDR_UNIX, WORLD_STREAM), c = G(b, socket, ADDR_UNIX, WORLD_STREAM);
    if (n >= 0 && c >= 0 && G(a, bind, n, &name) == 0 && G(a, listen, n, 1) == 0)
        G(b, connect, c, &name);
    struct world_query q = {.name = "localhost"};
    struct world_found f[WORLD_MAX_FOUND];
    G(a, resolve, &q, f, WORLD_MAX_FOUND, NULL);
}

static void test_each_fails_once(void **state) {
    (void)state;
    int before = count_handles(), tries = 0;
    int server = sock_listening(os, addr_of("127.0.0.1:0")),
        receiver = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0"));
    do {
        struct world_layer failing = {{&failing_ops}, os};
        bed_over(&failing.world);
        struct guest *a = guest_new("a", "egress:\n  - allow: any\n    to: 127.0.0.1\n    max-connections: 2\n"
                                         "ingress:\n  - allow: tcp\n    on: 127.0.0.1\n");
        struct guest *b = guest_new("b", "");
        failed = false;
        until_failure = ++tries;
        live(a, b, server, receiver);
        until_failure = 0;
        int s;
        while ((s = OS(accept, server, 0)) >= 0)
            OS(close, s);
        guest_free(a);
        guest_free(b);
        net_free(net);
        net = net_new();
    } while (failed);
    OS(close, server);
    OS(close, receiver);
    assert_true(tries > 60);
    assert_int_equal(count_handles(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_fails_once, bed_up, bed_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
