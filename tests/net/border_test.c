/* The border: what leaves by rule, what comes in by rule, what is published. */
#include "bed.h"

/* What came of connecting from the machine. */
static int outcome(struct addr to) {
    int fd = sock_new(os, to.family, WORLD_STREAM), r = OS(connect, fd, &to);
    if (r == -EINPROGRESS) {
        int64_t error = 0;
        wait_ready(os, fd, WORLD_WRITABLE);
        assert_int_equal(OS(get_option, fd, WORLD_SO_ERROR, &error), 0);
        r = (int)-error;
    }
    OS(close, fd);
    return r;
}

static void test_egress(void **state) {
    (void)state;
    int l = sock_listening(os, addr_of("127.0.0.1:0")), other = sock_listening(os, addr_of("127.0.0.1:0"));
    struct addr to = local_of(os, l), closed = local_of(os, other);
    char rules[200];
    snprintf(rules, sizeof rules, "egress:\n  - allow: tcp\n    to: 127.0.0.1\n    ports: %u\n", to.port);
    struct guest *a = guest_new("a", rules);
    int c = sock_connected(a->w, WORLD_STREAM, to), s = accepted(os, l);
    put(a->w, c, "out", NULL);
    expect(os, s, "out");
    put(os, s, "in", NULL);
    expect(a->w, c, "in");
    struct addr peer = peer_of(a->w, c), local = local_of(a->w, c), seen = peer_of(os, s);
    assert_true(addr_equal(&peer, &to));
    assert_true(addr_equal(&local, &seen)); /* what the machine says */
    assert_int_equal(G(a, connect, c, &to), -EISCONN);
    assert_int_equal(G(a, shutdown, c, WORLD_SHUT_WR), 0);
    wait_ready(os, s, WORLD_READABLE);
    assert_int_equal(try_recv(os, s), 0);
    OS(close, s);
    /* IPv6 dress is the same place; so is 0.0.0.0 */
    struct addr mapped = at_port(addr_of("[::ffff:127.0.0.1]:0"), to.port);
    c = sock_connected(a->w, WORLD_STREAM, mapped);
    s = accepted(os, l);
    OS(close, s);
    c = sock_connected(a->w, WORLD_STREAM, at_port(addr_of("0.0.0.0:0"), to.port));
    s = accepted(os, l);
    OS(close, s);
    assert_true(quiet(a));
    /* the next port is another matter */
    assert_int_equal(attempt(a->w, WORLD_STREAM, closed), -ECONNREFUSED);
    char sentence[100];
    snprintf(sentence, sizeof sentence, "tcp to 127.0.0.1:%u: denied", closed.port);
    assert_true(said(a, sentence));
    assert_false(is_ready(os, other, WORLD_READABLE));
    /* what the guest itself has bound there comes first */
    int own = sock_listening(a->w, to);
    sock_connected(a->w, WORLD_STREAM, to);
    accepted(a->w, own);
    assert_false(is_ready(os, l, WORLD_READABLE));
    OS(close, l);
    OS(close, other);
}

static void test_connecting_again(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "egress:\n  - allow: tcp\n    to: 127.0.0.0/8\n    max-connections: 1\n");
    int l = sock_listening(os, addr_of("127.0.0.1:0")), deaf = sock_bound(os, WORLD_STREAM, addr_of("127.0.0.1:0"));
    struct addr to = local_of(os, l), closed = local_of(os, deaf);
    int c = sock_new(a->w, ADDR_INET, WORLD_STREAM), r = G(a, connect, c, &closed);
    int64_t error = 0;
    if (r == -EINPROGRESS) {
        wait_ready(a->w, c, WORLD_WRITABLE);
        assert_int_equal(G(a, get_option, c, WORLD_SO_ERROR, &error), 0);
        r = (int)-error;
    }
    assert_int_equal(r, -ECONNREFUSED);
    /* The failed one is no longer counted. */
    r = G(a, connect, c, &to);
    assert_true(r == 0 || r == -EINPROGRESS);
    int s = accepted(os, l);
    wait_ready(a->w, c, WORLD_WRITABLE);
    put(os, s, "ok", NULL);
    expect(a->w, c, "ok");
    assert_true(quiet(a));
    assert_int_equal(attempt(a->w, WORLD_STREAM, to), -ECONNREFUSED);
    assert_true(said(a, "tcp to 127.0.0.1:"));
    assert_int_equal(G(a, close, c), 0);
    c = sock_connected(a->w, WORLD_STREAM, to);
    /* closed twice is counted once */
    assert_int_equal(G(a, close, c), 0);
    c = sock_connected(a->w, WORLD_STREAM, to);
    assert_int_equal(attempt(a->w, WORLD_STREAM, to), -ECONNREFUSED);
    OS(close, s);
    OS(close, l);
    OS(close, deaf);
}

/* Bound by rule on the machine: from there, and by the guest itself. */
static void test_ingress(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "ingress:\n  - allow: any\n    on: 127.0.0.1\n    from: 127.0.0.1\n"
                                     "    max-connections: 2\n");
    int l = sock_listening(a->w, addr_of("127.0.0.1:0"));
    struct addr on = local_of(a->w, l);
    assert_false(is_ready(a->w, l, WORLD_READABLE));
    int c = sock_connected(os, WORLD_STREAM, on);
    int s = accepted(a->w, l);
    put(os, c, "hello", NULL);
    expect(a->w, s, "hello");
    struct addr peer = peer_of(a->w, s), client = local_of(os, c), local = local_of(a->w, s);
    assert_true(addr_equal(&peer, &client));
    assert_true(addr_equal(&local, &on));
    int own = sock_connected(a->w, WORLD_STREAM, on), t = accepted(a->w, l);
    put(a->w, own, "self", NULL);
    expect(a->w, t, "self");
    assert_true(quiet(a));
    /* from elsewhere: let in by nobody, and told */
    int d = sock_bound(os, WORLD_STREAM, addr_of("127.0.0.2:0"));
    int r = OS(connect, d, &on);
    assert_true(r == 0 || r == -EINPROGRESS);
    wait_ready(a->w, l, WORLD_READABLE);
    assert_int_equal(G(a, accept, l, WORLD_NONBLOCK), -EAGAIN);
    assert_true(said(a, "tcp from 127.0.0.2:"));
    wait_ready(os, d, WORLD_READABLE);
    assert_true(try_recv(os, d) <= 0);
    /* more than the rule lets in at a time */
    int e = sock_connected(os, WORLD_STREAM, on), f = sock_connected(os, WORLD_STREAM, on);
    assert_true(accepted(a->w, l) > 0);
    wait_ready(a->w, l, WORLD_READABLE);
    assert_int_equal(G(a, accept, l, WORLD_NONBLOCK), -EAGAIN);
    assert_true(said(a, "tcp from 127.0.0.1:"));
    assert_int_equal(G(a, close, s), 0);
    int g = sock_connected(os, WORLD_STREAM, on);
    accepted(a->w, l);
    /* closed: nobody there */
    assert_int_equal(G(a, close, l), 0);
    assert_int_equal(outcome(on), -ECONNREFUSED);
    for (int i = 0, all[] = {c, d, e, f, g}; i < 5; i++)
        OS(close, all[i]);
}

static void test_ingress_datagrams(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "ingress:\n  - allow: udp\n    on: 127.0.0.1\n    from: 127.0.0.1\n");
    int s = sock_bound(a->w, WORLD_DGRAM, addr_of("127.0.0.1:0"));
    struct addr on = local_of(a->w, s);
    int c = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0")),
        d = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.2:0"));
    put(os, d, "not let in", &on);
    put(os, c, "let in", &on);
    struct addr from = expect_datagram(a->w, s, "let in"), client = local_of(os, c);
    assert_true(addr_equal(&from, &client));
    assert_true(said(a, "udp from 127.0.0.2:"));
    put(a->w, s, "answer", &from); /* needs no rule of its own */
    from = expect_datagram(os, c, "answer");
    assert_true(addr_equal(&from, &on));
    struct addr stranger = local_of(os, d);
    assert_int_equal(send_text(a->w, s, "x", &stranger), -ECONNREFUSED);
    assert_true(said(a, "udp to 127.0.0.2:"));
    assert_int_equal(try_recv(os, d), -EAGAIN);
    OS(close, c);
    OS(close, d);
}

/* What is bound on the machine also sends from there; many pieces are one datagram. */
static void test_bound_sends(void **state) {
    (void)state;
    int server = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0"));
    struct addr to = local_of(os, server);
    struct guest *a = guest_new("a", "ingress:\n  - allow: udp\n    on: 127.0.0.2\n"
                                     "egress:\n  - allow: udp\n    to: 127.0.0.1\n");
    int s = sock_bound(a->w, WORLD_DGRAM, addr_of("127.0.0.2:0")), again = sock_new(a->w, ADDR_INET, WORLD_DGRAM);
    struct addr on = local_of(a->w, s);
    put(a->w, s, "out", &to);
    struct addr from = expect_datagram(os, server, "out");
    assert_true(addr_equal(&from, &on));
    put(os, server, "back", &from);
    expect_datagram(a->w, s, "back");
    assert_int_equal(G(a, bind, again, &on), -EADDRINUSE);
    struct iovec v[40];
    char text[41] = {0};
    for (int i = 0; i < 40; i++) {
        text[i] = (char)('a' + i % 26);
        v[i] = (struct iovec){&text[i], 1};
    }
    assert_int_equal(G(a, send, s, v, 40, &on), 40); /* to itself, without leaving */
    assert_int_equal(nleft, 2);                      /* the bind, and what went to the server */
    expect_datagram(a->w, s, text);
    OS(close, server);
}

static bool have_v6(void) {
    struct addr one = addr_of("[::1]:0");
    int fd = OS(socket, ADDR_INET6, WORLD_STREAM);
    bool have = fd >= 0 && OS(bind, fd, &one) == 0;
    if (fd >= 0)
        OS(close, fd);
    return have;
}

/* An address is bound exactly: a rule about :: is not one about 0.0.0.0. */
static void test_exact(void **state) {
    (void)state;
    if (!have_v6())
        skip();
    struct guest *a = guest_new("a", "ingress:\n  - allow: tcp\n    on: \"::\"\n");
    int l = sock_listening(a->w, addr_of("[::]:0"));
    struct addr on = local_of(a->w, l);
    int c = sock_connected(os, WORLD_STREAM, at_port(addr_of("[::1]:0"), on.port));
    accepted(a->w, l);
    int d = sock_new(os, ADDR_INET, WORLD_STREAM);
    struct addr v4 = at_port(addr_of("127.0.0.1:0"), on.port);
    OS(connect, d, &v4);
    assert_false(is_ready(a->w, l, WORLD_READABLE));
    OS(close, c);
    OS(close, d);
}

/* Allowed by rule it is one. */
static void test_both_families(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "ingress:\n  - allow: tcp\n    on: [\"::\", 0.0.0.0]\n    from: 127.0.0.1\n");
    int l = sock_listening(a->w, addr_of("[::]:0"));
    int c = sock_connected(os, WORLD_STREAM, at_port(addr_of("127.0.0.1:0"), local_of(a->w, l).port));
    int s = accepted(a->w, l);
    struct addr peer = peer_of(a->w, s), client = local_of(os, c), dressed = addr_of("[::ffff:127.0.0.1]:0");
    dressed.port = client.port;
    assert_true(addr_equal(&peer, &dressed));
    OS(close, c);
}

static void test_published(void **state) {
    (void)state;
    struct guest *a = guest_new("a", ""), *b = guest_new("b", "");
    struct addr on = addr_of("127.0.0.1:0"), bound, taken;
    struct err e = ERR_INIT;
    assert_int_equal(net_publish(a->w, false, &on, 80, &bound, &e), ST_OK);
    assert_true(bound.port != 0);
    assert_int_equal(net_publish(b->w, false, &bound, 80, &taken, &e), ST_BUSY);
    assert_non_null(strstr(e.text, "publishing tcp on 127.0.0.1:"));
    /* Nobody listens yet; what is bound to loopback is not meant. */
    int own = sock_listening(a->w, addr_of("127.0.0.1:80"));
    assert_int_equal(outcome(bound), -ECONNREFUSED);
    assert_int_equal(G(a, close, own), 0);
    int l = sock_listening(a->w, addr_of("0.0.0.0:80"));
    for (int i = 0; i < 3; i++) { /* listened to anew each time */
        int c = sock_connected(os, WORLD_STREAM, bound);
        int inner = sock_connected(b->w, WORLD_STREAM, at_port(a->v4, 80));
        put(os, c, "from the machine", NULL);
        put(b->w, inner, "from the network", NULL);
        for (int k = 0; k < 2; k++) {
            int s = accepted(a->w, l);
            struct addr peer = peer_of(a->w, s), client = local_of(os, c);
            bool outside = addr_equal(&peer, &client); /* the true one */
            expect(a->w, s, outside ? "from the machine" : "from the network");
            assert_addr(local_of(a->w, s), "10.63.0.1:80");
            assert_int_equal(G(a, close, s), 0);
        }
        OS(close, c);
        assert_int_equal(G(b, close, inner), 0);
        assert_int_equal(G(a, close, l), 0);
        l = sock_listening(a->w, at_port(a->v4, 80));
    }
    assert_true(quiet(a) && quiet(b));
}

/* On IPv6, before and after somebody listens; a guest of IPv4 has it too. */
static void test_published_v6(void **state) {
    (void)state;
    if (!have_v6())
        skip();
    struct guest *a = guest_new("a", "");
    struct addr one = addr_of("[::1]:0"), two = one;
    assert_int_equal(net_publish(a->w, false, &one, 80, &one, NULL), ST_OK);
    int l = sock_listening(a->w, addr_of("0.0.0.0:80"));
    assert_int_equal(net_publish(a->w, false, &two, 80, &two, NULL), ST_OK);
    int c = sock_connected(os, WORLD_STREAM, one), d = sock_connected(os, WORLD_STREAM, two);
    int s = accepted(a->w, l);
    assert_int_equal(peer_of(a->w, s).family, ADDR_INET6);
    accepted(a->w, l);
    OS(close, c);
    OS(close, d);
}

static void test_published_is_denied_by_rule(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "ingress:\n  - deny: tcp\n    from: 127.0.0.2\n");
    struct addr on = addr_of("127.0.0.1:0"), bound;
    assert_int_equal(net_publish(a->w, false, &on, 80, &bound, NULL), ST_OK);
    int l = sock_listening(a->w, addr_of("0.0.0.0:80"));
    int c = sock_bound(os, WORLD_STREAM, addr_of("127.0.0.2:0"));
    OS(connect, c, &bound);
    wait_ready(a->w, l, WORLD_READABLE);
    assert_int_equal(G(a, accept, l, 0), -EAGAIN);
    assert_true(said(a, "tcp from 127.0.0.2:"));
    int d = sock_connected(os, WORLD_STREAM, bound);
    accepted(a->w, l);
    OS(close, c);
    OS(close, d);
}

static void test_published_datagrams(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "");
    struct addr on = addr_of("127.0.0.1:0"), bound;
    assert_int_equal(net_publish(a->w, true, &on, 53, &bound, NULL), ST_OK);
    int s = sock_bound(a->w, WORLD_DGRAM, addr_of("[::]:53")), c = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0"));
    put(os, c, "question", &bound);
    struct addr from = expect_datagram(a->w, s, "question"), client = local_of(os, c), dressed;
    dressed = at_port(addr_of("[::ffff:127.0.0.1]:0"), client.port);
    assert_true(addr_equal(&from, &dressed));
    put(a->w, s, "answer", &from);
    from = expect_datagram(os, c, "answer");
    assert_true(addr_equal(&from, &bound));                      /* from the port that was asked */
    int d = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0")); /* nobody who asked */
    struct addr stranger = at_port(addr_of("[::ffff:127.0.0.1]:0"), local_of(os, d).port);
    assert_int_equal(send_text(a->w, s, "x", &stranger), -ECONNREFUSED);
    assert_true(said(a, "udp to "));
    /* the next one bound has it */
    assert_int_equal(G(a, close, s), 0);
    s = sock_bound(a->w, WORLD_DGRAM, addr_of("0.0.0.0:53"));
    put(os, c, "again", &bound);
    expect_datagram(a->w, s, "again");
    OS(close, c);
    OS(close, d);
}

/* One wait over handles with several sockets behind them and others with none. */
static void test_waiting_for_many(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "ingress:\n  - allow: any\n    on: 127.0.0.1\n");
    enum { N = 100 };
    struct world_poll p[N];
    struct addr on[N];
    for (int i = 0; i < N; i++) {
        int fd = i % 2 ? sock_listening(a->w, i % 4 == 1 ? addr_of("127.0.0.1:0") : addr_of("0.0.0.0:0"))
                       : sock_bound(a->w, WORLD_DGRAM, addr_of("127.0.0.1:0"));
        on[i] = local_of(a->w, fd);
        p[i] = (struct world_poll){.fd = fd, .want = WORLD_READABLE};
    }
    assert_int_equal(G(a, wait, p, N, 0), 0);
    int c = sock_connected(os, WORLD_STREAM, on[1]), d = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0"));
    put(os, d, "12345", &on[98]);
    int own = sock_new(a->w, ADDR_INET, WORLD_DGRAM);
    put(a->w, own, "123", &on[0]);
    assert_int_equal(G(a, wait, p, N, UINT64_MAX), 3);
    for (int i = 0; i < N; i++)
        assert_int_equal(p[i].got, i == 0 || i == 1 || i == 98 ? WORLD_READABLE : 0);
    assert_int_equal(p[0].nbytes, 3);
    assert_int_equal(p[1].nbytes, 0);
    assert_int_equal(p[98].nbytes, 5);
    p[98].want = WORLD_WRITABLE; /* not asked for: not told */
    assert_int_equal(G(a, wait, p + 98, 1, UINT64_MAX), 1);
    assert_int_equal(p[98].got, WORLD_WRITABLE);
    OS(close, c);
    OS(close, d);
}

static void test_unix_of_the_machine(void **state) {
    (void)state;
    char path[80], rules[200];
    snprintf(path, sizeof path, "unix:/tmp/net-border-%llu.sock", (unsigned long long)world_now(os, WORLD_MONOTONIC));
    snprintf(rules, sizeof rules, "unix: [%s]\n", path + 5);
    struct guest *a = guest_new("a", rules), *b = guest_new("b", "");
    int l = sock_listening(os, addr_of(path));
    int c = sock_connected(a->w, WORLD_STREAM, addr_of(path)), s = accepted(os, l);
    put(a->w, c, "hi", NULL);
    expect(os, s, "hi");
    assert_int_equal(attempt(b->w, WORLD_STREAM, addr_of(path)), -EACCES);
    assert_true(said(b, "unix /tmp/net-border-"));
    assert_false(is_ready(os, l, WORLD_READABLE));
    OS(remove, WORLD_CWD, path + 5, 0, false);
    /* datagrams likewise */
    int u = sock_bound(os, WORLD_DGRAM, addr_of(path)), v = sock_new(a->w, ADDR_UNIX, WORLD_DGRAM);
    struct addr to = addr_of(path);
    put(a->w, v, "sent", &to);
    expect_datagram(os, u, "sent");
    assert_int_equal(G(a, connect, v, &to), 0);
    put(a->w, v, "connected", NULL);
    expect_datagram(os, u, "connected");
    v = sock_new(b->w, ADDR_UNIX, WORLD_DGRAM);
    assert_int_equal(send_text(b->w, v, "x", &to), -EACCES);
    assert_true(said(b, "unix /tmp/net-border-"));
    assert_int_equal(try_recv(os, u), -EAGAIN);
    OS(remove, WORLD_CWD, path + 5, 0, false);
    /* bound there it is never: the name is the application's then */
    sock_listening(a->w, to);
    struct world_stat st;
    assert_int_equal(OS(stat_at, WORLD_CWD, path + 5, 0, &st), -ENOENT);
    for (int i = 0, all[] = {l, s, u}; i < 3; i++)
        OS(close, all[i]);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bed_up, bed_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_egress),
        TEST(test_connecting_again),
        TEST(test_ingress),
        TEST(test_ingress_datagrams),
        TEST(test_bound_sends),
        TEST(test_exact),
        TEST(test_both_families),
        TEST(test_published),
        TEST(test_published_v6),
        TEST(test_published_is_denied_by_rule),
        TEST(test_published_datagrams),
        TEST(test_waiting_for_many),
        TEST(test_unix_of_the_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
