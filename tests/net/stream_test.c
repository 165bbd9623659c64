/* Streams on the virtual network: who reaches whom, and how sockets behave meanwhile. */
#include "bed.h"

static void test_loopback_is_ones_own(void **state) {
    (void)state;
    struct guest *a = guest_new("a", ""), *b = guest_new("b", "");
    int l = sock_listening(a->w, addr_of("127.0.0.1:80"));
    assert_false(is_ready(a->w, l, WORLD_READABLE));
    assert_int_equal(G(a, accept, l, 0), -EAGAIN);
    int c = sock_connected(a->w, WORLD_STREAM, addr_of("127.0.0.1:80"));
    assert_true(is_ready(a->w, l, WORLD_READABLE));
    int s = accepted(a->w, l);
    assert_false(is_ready(a->w, l, WORLD_READABLE));
    put(a->w, c, "hello", NULL);
    expect(a->w, s, "hello");
    assert_addr(peer_of(a->w, c), "127.0.0.1:80");
    assert_addr(local_of(a->w, c), "127.0.0.1:32768");
    assert_addr(peer_of(a->w, s), "127.0.0.1:32768");
    assert_addr(local_of(a->w, s), "127.0.0.1:80");
    /* b's loopback is another, and a's is not to be had by its address. */
    assert_int_equal(attempt(b->w, WORLD_STREAM, addr_of("127.0.0.1:80")), -ECONNREFUSED);
    assert_true(said(b, "tcp to 127.0.0.1:80: "));
    assert_int_equal(attempt(b->w, WORLD_STREAM, at_port(a->v4, 80)), -ECONNREFUSED);
    assert_int_equal(attempt(a->w, WORLD_STREAM, at_port(a->v4, 80)), -ECONNREFUSED);
    assert_true(quiet(a) && quiet(b));
}

static void test_addresses(void **state) {
    (void)state;
    struct guest *a = guest_new("a", ""), *b = guest_new("b", "");
    assert_addr(a->v4, "10.63.0.1:0");
    assert_addr(a->v6, "[fd63:656f:6e::1]:0");
    assert_addr(b->v4, "10.63.0.2:0");
    int l = sock_listening(a->w, addr_of("0.0.0.0:80"));
    assert_addr(local_of(a->w, l), "0.0.0.0:80");
    int c = sock_connected(b->w, WORLD_STREAM, at_port(a->v4, 80)), s = accepted(a->w, l);
    assert_addr(local_of(b->w, c), "10.63.0.2:32768");
    assert_addr(peer_of(a->w, s), "10.63.0.2:32768");
    assert_addr(local_of(a->w, s), "10.63.0.1:80");
    put(a->w, s, "from a", NULL);
    expect(b->w, c, "from a");
    /* by loopback too, of any number */
    c = sock_connected(a->w, WORLD_STREAM, addr_of("127.0.0.9:80"));
    s = accepted(a->w, l);
    assert_addr(local_of(a->w, s), "127.0.0.9:80");
    /* 0.0.0.0 as a destination is oneself */
    c = sock_connected(a->w, WORLD_STREAM, addr_of("0.0.0.0:80"));
    s = accepted(a->w, l);
    assert_addr(peer_of(a->w, c), "127.0.0.1:80");
    /* and IPv6 is not there: [::] was not bound */
    assert_int_equal(attempt(b->w, WORLD_STREAM, at_port(a->v6, 80)), -ECONNREFUSED);
    struct addr none;
    int f = sock_new(a->w, ADDR_INET, WORLD_STREAM);
    assert_addr(local_of(a->w, f), "0.0.0.0:0");
    assert_int_equal(G(a, peer_addr, f, &none), -ENOTCONN);
}

static void test_ipv6(void **state) {
    (void)state;
    struct guest *a = guest_new("a", ""), *b = guest_new("b", "");
    int l = sock_listening(a->w, addr_of("[::]:80"));
    int c = sock_connected(b->w, WORLD_STREAM, at_port(a->v6, 80)), s = accepted(a->w, l);
    assert_addr(peer_of(a->w, s), "[fd63:656f:6e::2]:32768");
    /* a socket of both families sees IPv4 dressed up, and can go there so */
    c = sock_connected(b->w, WORLD_STREAM, at_port(a->v4, 80));
    s = accepted(a->w, l);
    assert_addr(peer_of(a->w, s), "[::ffff:10.63.0.2]:32769");
    assert_addr(local_of(a->w, s), "[::ffff:10.63.0.1]:80");
    c = sock_connected(b->w, WORLD_STREAM, addr_of("[::ffff:10.63.0.1]:80"));
    s = accepted(a->w, l);
    put(b->w, c, "x", NULL);
    expect(a->w, s, "x");
    c = sock_connected(a->w, WORLD_STREAM, addr_of("[::1]:80"));
    s = accepted(a->w, l);
    assert_addr(peer_of(a->w, s), "[::1]:32768");
    /* V6ONLY */
    int only = sock_new(a->w, ADDR_INET6, WORLD_STREAM);
    assert_int_equal(G(a, set_option, only, WORLD_SO_V6ONLY, 1), 0);
    struct addr any = addr_of("[::]:81"), mapped = addr_of("[::ffff:10.63.0.1]:80"), v4 = addr_of("10.63.0.1:80");
    assert_int_equal(G(a, connect, only, &mapped), -ENETUNREACH);
    assert_int_equal(G(a, connect, only, &v4), -EAFNOSUPPORT);
    assert_int_equal(G(a, bind, only, &any), 0);
    assert_int_equal(G(a, listen, only, 1), 0);
    assert_int_equal(attempt(b->w, WORLD_STREAM, at_port(a->v4, 81)), -ECONNREFUSED);
    assert_int_equal(attempt(b->w, WORLD_STREAM, at_port(a->v6, 81)), 0);
    sock_listening(a->w, addr_of("0.0.0.0:81")); /* beside it */
    assert_int_equal(attempt(b->w, WORLD_STREAM, at_port(a->v4, 81)), 0);
}

static int bind_result(struct guest *g, const char *on, bool reuse) {
    struct addr a = addr_of(on);
    int fd = sock_new(g->w, a.family, WORLD_STREAM);
    if (reuse)
        assert_int_equal(G(g, set_option, fd, WORLD_SO_REUSEADDR, 1), 0);
    int r = G(g, bind, fd, &a);
    if (r < 0)
        G(g, close, fd);
    return r < 0 ? r : fd;
}

static void test_binding(void **state) {
    (void)state;
    struct guest *a = guest_new("a", ""), *b = guest_new("b", "");
    int one = bind_result(a, "10.63.0.1:80", false);
    assert_true(one > 0);
    assert_true(bind_result(b, "0.0.0.0:80", false) > 0); /* another machine */
    assert_int_equal(bind_result(a, "10.63.0.1:80", false), -EADDRINUSE);
    assert_int_equal(bind_result(a, "0.0.0.0:80", false), -EADDRINUSE);
    assert_int_equal(bind_result(a, "[::]:80", false), -EADDRINUSE);
    assert_true(bind_result(a, "127.0.0.1:80", false) > 0); /* beside it */
    assert_int_equal(bind_result(a, "10.63.0.1:80", true), -EADDRINUSE);
    /* REUSEADDR of both, as long as nobody listens */
    int x = bind_result(a, "0.0.0.0:90", true), y = bind_result(a, "0.0.0.0:90", true);
    assert_true(x > 0 && y > 0);
    assert_int_equal(G(a, listen, x, 1), 0);
    assert_int_equal(G(a, listen, y, 1), -EADDRINUSE);
    assert_int_equal(bind_result(a, "0.0.0.0:90", true), -EADDRINUSE);
    assert_int_equal(G(a, close, x), 0);
    assert_int_equal(G(a, listen, y, 1), 0);
    assert_int_equal(G(a, close, y), 0);
    assert_true(bind_result(a, "0.0.0.0:90", false) > 0);
    /* a second time, another's address, of another family */
    struct addr on = addr_of("0.0.0.0:91"), six = addr_of("[::]:91");
    assert_int_equal(G(a, bind, one, &on), -EINVAL);
    assert_int_equal(bind_result(a, "10.63.0.2:80", false), -EACCES);
    assert_true(said(a, "bind tcp 10.63.0.2:80: "));
    int f = sock_new(a->w, ADDR_INET, WORLD_STREAM);
    assert_int_equal(G(a, bind, f, &six), -EAFNOSUPPORT);
    /* a port of its own choice; listening without having bound */
    int p = sock_bound(a->w, WORLD_STREAM, addr_of("0.0.0.0:0"));
    assert_addr(local_of(a->w, p), "0.0.0.0:32768");
    assert_int_equal(G(a, listen, f, 1), 0);
    assert_addr(local_of(a->w, f), "0.0.0.0:32769");
    assert_int_equal(attempt(b->w, WORLD_STREAM, at_port(a->v4, 32769)), 0);
    /* bound but not listening is refused; so is what has been closed */
    assert_int_equal(attempt(b->w, WORLD_STREAM, at_port(a->v4, 32768)), -ECONNREFUSED);
    assert_int_equal(G(a, close, f), 0);
    assert_int_equal(attempt(b->w, WORLD_STREAM, at_port(a->v4, 32769)), -ECONNREFUSED);
    assert_true(quiet(a) && quiet(b));
}

static void test_reuseport(void **state) {
    (void)state;
    struct guest *a = guest_new("a", ""), *b = guest_new("b", "");
    int l[2];
    for (int i = 0; i < 2; i++) {
        struct addr on = addr_of("0.0.0.0:80");
        l[i] = sock_new(a->w, ADDR_INET, WORLD_STREAM);
        assert_int_equal(G(a, set_option, l[i], WORLD_SO_REUSEPORT, 1), 0);
        assert_int_equal(G(a, bind, l[i], &on), 0);
        assert_int_equal(G(a, listen, l[i], 4), 0);
    }
    sock_connected(b->w, WORLD_STREAM, at_port(a->v4, 80));
    sock_connected(b->w, WORLD_STREAM, at_port(a->v4, 80));
    assert_true(is_ready(a->w, l[0], WORLD_READABLE) && is_ready(a->w, l[1], WORLD_READABLE));
}

static void test_backlog(void **state) {
    (void)state;
    struct guest *a = guest_new("a", ""), *b = guest_new("b", "");
    int l = sock_bound(a->w, WORLD_STREAM, addr_of("0.0.0.0:80")), c[3];
    assert_int_equal(G(a, listen, l, 2), 0);
    for (int i = 0; i < 3; i++) {
        c[i] = sock_connected(b->w, WORLD_STREAM, at_port(a->v4, 80));
        put(b->w, c[i], (const char *[]){"0", "1", "2"}[i], NULL);
    }
    assert_int_equal(attempt(b->w, WORLD_STREAM, at_port(a->v4, 80)), -ECONNREFUSED);
    for (int i = 0; i < 3; i++) {
        int s = accepted(a->w, l);
        expect(a->w, s, (const char *[]){"0", "1", "2"}[i]);
    }
    assert_int_equal(G(a, accept, l, 0), -EAGAIN);
    sock_connected(b->w, WORLD_STREAM, at_port(a->v4, 80));
    /* what nobody accepted ends with the listener */
    int late = sock_connected(b->w, WORLD_STREAM, at_port(a->v4, 80));
    assert_int_equal(G(a, close, l), 0);
    wait_ready(b->w, late, WORLD_READABLE);
    assert_int_equal(try_recv(b->w, late), 0);
}

static void test_states(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "");
    struct addr at = addr_of("127.0.0.1:80"), six = addr_of("[::1]:80");
    int f = sock_new(a->w, ADDR_INET, WORLD_STREAM);
    assert_int_equal(try_recv(a->w, f), -ENOTCONN);
    assert_int_equal(send_text(a->w, f, "x", NULL), -EPIPE);
    assert_int_equal(G(a, shutdown, f, WORLD_SHUT_WR), -ENOTCONN);
    assert_int_equal(G(a, accept, f, 0), -EINVAL);
    assert_int_equal(G(a, connect, f, &six), -EAFNOSUPPORT);
    int l = sock_listening(a->w, at), c = sock_connected(a->w, WORLD_STREAM, at), s = accepted(a->w, l);
    assert_int_equal(G(a, connect, c, &at), -EISCONN);
    assert_int_equal(G(a, connect, l, &at), -EISCONN);
    assert_int_equal(G(a, listen, c, 1), -EINVAL);
    assert_int_equal(G(a, bind, c, &at), -EINVAL);
    assert_int_equal(try_recv(a->w, l), -ENOTCONN);
    assert_int_equal(try_recv(a->w, s), -EAGAIN);
    struct iovec v = {(char[8]){0}, 8};
    assert_int_equal(G(a, readv, l, &v, 1), -ENOTCONN); /* not the byte by which it is told */
    sock_connected(a->w, WORLD_STREAM, at);
    assert_int_equal(G(a, readv, l, &v, 1), -ENOTCONN);
    assert_true(is_ready(a->w, l, WORLD_READABLE));
    /* halves */
    assert_int_equal(G(a, shutdown, c, WORLD_SHUT_WR), 0);
    assert_int_equal(send_text(a->w, c, "x", NULL), -EPIPE);
    assert_int_equal(try_recv(a->w, s), 0);
    put(a->w, s, "still", NULL);
    expect(a->w, c, "still");
    assert_int_equal(G(a, close, s), 0);
    assert_int_equal(try_recv(a->w, c), 0);
    /* a socket whose attempt failed can be used again */
    struct addr nobody = at_port(a->v4, 81);
    assert_int_equal(G(a, connect, f, &nobody), -ECONNREFUSED);
    assert_int_equal(G(a, connect, f, &at), 0);
}

static void test_options(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "");
    int l = sock_listening(a->w, addr_of("127.0.0.1:80"));
    int64_t v = -7;
    int c = sock_new(a->w, ADDR_INET, WORLD_STREAM);
    assert_int_equal(G(a, set_option, c, WORLD_SO_NODELAY, 5), 0);
    assert_int_equal(G(a, set_option, c, WORLD_SO_KEEPIDLE, 33), 0);
    struct addr at = addr_of("127.0.0.1:80");
    assert_int_equal(G(a, connect, c, &at), 0);
    static const struct {
        enum world_sockopt o;
        int64_t value;
    } expected[] = {
        {WORLD_SO_TYPE, WORLD_STREAM}, {WORLD_SO_ERROR, 0},      {WORLD_SO_ACCEPTCONN, 0}, {WORLD_SO_NODELAY, 1},
        {WORLD_SO_KEEPIDLE, 33},       {WORLD_SO_KEEPINTVL, 75}, {WORLD_SO_LINGER, -1},    {WORLD_SO_REUSEADDR, 0},
        {WORLD_SO_RCVTIMEO, 0},        {WORLD_SO_KEEPALIVE, 0},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        assert_int_equal(G(a, get_option, c, expected[i].o, &v), 0);
        assert_int_equal(v, expected[i].value);
    }
    assert_int_equal(G(a, get_option, l, WORLD_SO_ACCEPTCONN, &v), 0);
    assert_int_equal(v, 1);
    assert_int_equal(G(a, set_option, c, WORLD_SO_LINGER, 3), 0);
    assert_int_equal(G(a, get_option, c, WORLD_SO_LINGER, &v), 0);
    assert_int_equal(v, 3);
    assert_int_equal(G(a, set_option, c, WORLD_SO_SNDBUF, 20000), 0);
    assert_int_equal(G(a, get_option, c, WORLD_SO_SNDBUF, &v), 0);
    assert_true(v >= 20000 && v <= 40000);
    assert_int_equal(G(a, set_option, c, WORLD_SO_RCVTIMEO, -1), -EDOM);
    assert_int_equal(G(a, set_option, c, WORLD_SO_TYPE, 1), -ENOPROTOOPT);
    assert_int_equal(G(a, set_option, c, WORLD_SO_V6ONLY, 1), -ENOPROTOOPT);
    int u = sock_bound(a->w, WORLD_DGRAM, addr_of("127.0.0.1:53"));
    assert_int_equal(G(a, get_option, u, WORLD_SO_NODELAY, &v), -ENOPROTOOPT);
    assert_int_equal(G(a, get_option, u, WORLD_SO_TYPE, &v), 0);
    assert_int_equal(v, WORLD_DGRAM);
    /* an accepted one has what its listener has */
    assert_int_equal(G(a, set_option, l, WORLD_SO_KEEPALIVE, 1), 0);
    int again = sock_connected(a->w, WORLD_STREAM, at), s = accepted(a->w, l);
    s = accepted(a->w, l);
    assert_true(again > 0);
    assert_int_equal(G(a, get_option, s, WORLD_SO_KEEPALIVE, &v), 0);
    assert_int_equal(v, 1);
}

static void test_unix(void **state) {
    (void)state;
    struct guest *a = guest_new("a", ""), *b = guest_new("b", "");
    struct addr at = addr_of("unix:/run/x.sock"), other = addr_of("unix:/run/y.sock");
    int l = sock_listening(a->w, at);
    assert_addr(local_of(a->w, l), "unix:/run/x.sock");
    int c = sock_connected(b->w, WORLD_STREAM, at), s = accepted(a->w, l); /* of the whole application */
    put(b->w, c, "hi", NULL);
    expect(a->w, s, "hi");
    assert_addr(peer_of(b->w, c), "unix:/run/x.sock");
    assert_addr(peer_of(a->w, s), "unix:");
    assert_int_equal(send_text(b->w, c, "x", &at), -EISCONN);
    int again = sock_new(b->w, ADDR_UNIX, WORLD_STREAM), d = sock_new(b->w, ADDR_UNIX, WORLD_DGRAM);
    assert_int_equal(G(b, bind, again, &at), -EADDRINUSE);
    assert_int_equal(G(b, bind, d, &at), -EADDRINUSE);
    assert_int_equal(G(b, connect, d, &at), -EPROTOTYPE);
    assert_int_equal(G(b, listen, again, 1), -EINVAL);
    assert_true(quiet(a) && quiet(b));
    assert_int_equal(attempt(b->w, WORLD_STREAM, other), -EACCES);
    assert_true(said(b, "unix /run/y.sock: "));
    assert_int_equal(G(a, close, l), 0);
    assert_int_equal(G(b, bind, again, &at), 0);
    assert_int_equal(attempt(a->w, WORLD_STREAM, at), -ECONNREFUSED); /* does not listen yet */
    /* names that are in no directory are names as well, within the application */
    struct addr hidden = {.family = ADDR_UNIX, .path = "\0hidden"}, empty = {.family = ADDR_UNIX};
    sock_listening(a->w, hidden);
    sock_connected(b->w, WORLD_STREAM, hidden);
    int e = sock_new(a->w, ADDR_UNIX, WORLD_STREAM);
    assert_int_equal(G(a, bind, e, &empty), -EINVAL);
}

/* Handles that the guest was given open work, and go nowhere else. */
static void test_given(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "egress:\n  - allow: any\n    to: 127.0.0.0/8\n");
    int l = sock_listening(os, addr_of("127.0.0.1:0"));
    int c = sock_connected(os, WORLD_STREAM, local_of(os, l)), s = accepted(a->w, l);
    put(os, c, "in", NULL);
    expect(a->w, s, "in");
    put(a->w, s, "out", NULL);
    expect(os, c, "out");
    int u = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0")), v = sock_new(os, ADDR_INET, WORLD_DGRAM);
    struct addr to = local_of(os, u);
    assert_int_equal(send_text(a->w, v, "x", &to), -EACCES);
    assert_true(said(a, "send to 127.0.0.1:"));
    assert_int_equal(G(a, connect, v, &to), -EACCES);
    assert_true(said(a, "connect to 127.0.0.1:"));
    assert_int_equal(G(a, bind, v, &to), -EACCES);
    assert_true(said(a, "bind 127.0.0.1:"));
    assert_int_equal(G(a, listen, v, 1), -EINVAL);
    assert_int_equal(try_recv(os, u), -EAGAIN);
    int all[] = {l, c, s, u, v};
    for (int i = 0; i < 5; i++)
        assert_int_equal(G(a, close, all[i]), 0);
}

static int open_handles(void) {
    int first = OS(dup, 1), n = 0;
    for (int fd = 3; fd < 256; fd++) {
        struct world_stat st;
        n += OS(stat, fd, &st) == 0;
    }
    OS(close, first);
    return n;
}

/* Nothing stays open behind a guest, whatever it left. */
static void test_leaves_nothing(void **state) {
    (void)state;
    int before = open_handles();
    struct guest *a = guest_new("a", "ingress:\n  - allow: any\n    on: 127.0.0.1\n"), *b = guest_new("b", "");
    struct addr on = addr_of("127.0.0.1:0");
    assert_int_equal(net_publish(a->w, false, &on, 80, NULL, NULL), ST_OK);
    assert_int_equal(net_publish(a->w, true, &on, 53, NULL, NULL), ST_OK);
    int l = sock_listening(a->w, addr_of("0.0.0.0:80"));
    sock_bound(a->w, WORLD_DGRAM, addr_of("0.0.0.0:53"));
    sock_listening(a->w, addr_of("127.0.0.1:0"));
    sock_bound(a->w, WORLD_DGRAM, addr_of("127.0.0.1:0"));
    sock_listening(a->w, addr_of("unix:/x"));
    sock_connected(b->w, WORLD_STREAM, at_port(a->v4, 80));
    accepted(a->w, l);
    sock_connected(b->w, WORLD_STREAM, at_port(a->v4, 80)); /* never accepted */
    int u = sock_new(b->w, ADDR_INET, WORLD_DGRAM);
    put(b->w, u, "x", &(struct addr){.family = ADDR_INET, .port = 53, .ip = {10, 63, 0, 1}});
    guest_free(a);
    assert_int_equal(attempt(b->w, WORLD_STREAM, addr_of("10.63.0.1:80")), -ECONNREFUSED); /* never the machine's */
    guest_free(b);
    assert_int_equal(open_handles(), before);
}

static void test_dup(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "");
    int l = sock_listening(a->w, addr_of("127.0.0.1:80"));
    int c = sock_connected(a->w, WORLD_STREAM, addr_of("127.0.0.1:80")), s = accepted(a->w, l), d = G(a, dup, c);
    assert_true(d > 0);
    assert_int_equal(G(a, close, c), 0);
    assert_addr(peer_of(a->w, d), "127.0.0.1:80");
    put(a->w, d, "dup", NULL);
    expect(a->w, s, "dup");
    assert_int_equal(G(a, dup, l), -EOPNOTSUPP);
}

static int looks;
static void look(struct world_wait *w) {
    (void)w;
    looks++;
}

static int turn_for(struct world_poll *p, int n) {
    looks = 0;
    struct world_wait wait = {.polls = p, .n = n, .deadline_ns = UINT64_MAX, .look = look};
    OS(wait_begin, &wait);
    OS(turn, 0);
    OS(wait_end, &wait);
    return looks;
}

/* A handle keeps its number while what stands behind it changes, also for waits without a thread: those of the layer
 * below, which know it by its number alone. */
static void test_waiting_below(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "egress:\n  - allow: udp\n    to: 127.0.0.0/8\n"), *b = guest_new("b", "");
    int server = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0")), s = sock_new(a->w, ADDR_INET, WORLD_DGRAM);
    struct addr outside = local_of(os, server), on = addr_of("0.0.0.0:53"), to = at_port(a->v4, 53);
    struct world_poll p[2] = {{.fd = s, .want = WORLD_READABLE}};
    assert_int_equal(turn_for(p, 1), 0);
    assert_int_equal(G(a, bind, s, &on), 0); /* the machine's socket becomes a pair */
    assert_int_equal(turn_for(p, 1), 0);
    int c = sock_new(b->w, ADDR_INET, WORLD_DGRAM);
    put(b->w, c, "x", &to);
    assert_int_equal(turn_for(p, 1), 1);
    expect_datagram(a->w, s, "x");
    assert_int_equal(turn_for(p, 1), 0);
    /* the machine's socket goes on beside it */
    int t = sock_new(a->w, ADDR_INET, WORLD_DGRAM);
    p[0].fd = t;
    put(a->w, t, "out", &outside);
    struct addr client = expect_datagram(os, server, "out");
    client.ip[0] = 127, client.ip[3] = 1;
    assert_int_equal(turn_for(p, 1), 0);
    put(a->w, t, "self", &to);
    struct addr from = expect_datagram(a->w, s, "self");
    assert_int_equal(turn_for(p, 1), 0);
    put(os, server, "answer", &client);
    assert_int_equal(turn_for(p, 1), 0); /* not by the handle: net's own wait knows the other */
    expect_datagram(a->w, t, "answer");
    put(a->w, s, "near", &from);
    assert_int_equal(turn_for(p, 1), 1);
    expect_datagram(a->w, t, "near");
    /* a listener, and one who connects */
    int l = sock_bound(a->w, WORLD_STREAM, addr_of("0.0.0.0:80"));
    p[0].fd = l;
    turn_for(p, 1);
    assert_int_equal(G(a, listen, l, 1), 0);
    assert_int_equal(turn_for(p, 1), 0);
    int d = sock_new(b->w, ADDR_INET, WORLD_STREAM);
    p[1] = (struct world_poll){.fd = d, .want = WORLD_READABLE};
    turn_for(p + 1, 1);
    to = at_port(a->v4, 80);
    assert_int_equal(G(b, connect, d, &to), 0);
    assert_int_equal(turn_for(p + 1, 1), 0);
    assert_int_equal(turn_for(p, 1), 1);
    put(a->w, accepted(a->w, l), "hi", NULL);
    assert_int_equal(turn_for(p + 1, 1), 1);
    OS(close, server);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bed_up, bed_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_loopback_is_ones_own),
        TEST(test_addresses),
        TEST(test_ipv6),
        TEST(test_binding),
        TEST(test_reuseport),
        TEST(test_backlog),
        TEST(test_states),
        TEST(test_options),
        TEST(test_unix),
        TEST(test_given),
        TEST(test_dup),
        TEST(test_leaves_nothing),
        TEST(test_waiting_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
