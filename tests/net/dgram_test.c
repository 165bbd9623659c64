/* Datagrams: on the virtual network, to the outside, and both through one socket. */
#include "bed.h"

static void test_virtual(void **state) {
    (void)state;
    struct guest *a = guest_new("a", ""), *b = guest_new("b", "");
    int s = sock_bound(a->w, WORLD_DGRAM, addr_of("0.0.0.0:53")), c = sock_new(b->w, ADDR_INET, WORLD_DGRAM);
    struct addr to = at_port(a->v4, 53);
    assert_int_equal(try_recv(a->w, s), -EAGAIN);
    assert_false(is_ready(a->w, s, WORLD_READABLE));
    assert_true(is_ready(a->w, s, WORLD_WRITABLE));
    put(b->w, c, "question", &to);
    put(b->w, c, "", &to);
    struct world_poll p = {.fd = s, .want = WORLD_READABLE};
    assert_int_equal(G(a, wait, &p, 1, UINT64_MAX), 1);
    assert_int_equal(p.nbytes, 8);
    struct addr from = expect_datagram(a->w, s, "question");
    assert_addr(from, "10.63.0.2:32768");
    assert_addr(expect_datagram(a->w, s, ""), "10.63.0.2:32768");
    put(a->w, s, "answer", &from);
    assert_addr(expect_datagram(b->w, c, "answer"), "10.63.0.1:53");
    assert_addr(local_of(b->w, c), "0.0.0.0:32768");
    /* to nobody: lost; to oneself */
    put(b->w, c, "x", &(struct addr){.family = ADDR_INET, .port = 54, .ip = {10, 63, 0, 1}});
    to = addr_of("127.0.0.1:32768");
    put(b->w, c, "self", &to);
    assert_addr(expect_datagram(b->w, c, "self"), "127.0.0.1:32768");
    assert_int_equal(send_text(b->w, c, "x", NULL), -EDESTADDRREQ);
    to = addr_of("[::1]:1");
    assert_int_equal(send_text(b->w, c, "x", &to), -EAFNOSUPPORT);
    /* as files */
    struct iovec v = {"by write", 8};
    to = at_port(a->v4, 53);
    assert_int_equal(G(b, connect, c, &to), 0);
    assert_int_equal(G(b, writev, c, &v, 1), 8);
    char got[8];
    v.iov_base = got;
    assert_int_equal(G(a, readv, s, &v, 1), 8);
    assert_memory_equal(got, "by write", 8);
    assert_true(quiet(a) && quiet(b));
}

static void test_peek_and_truncation(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "");
    int s = sock_bound(a->w, WORLD_DGRAM, addr_of("127.0.0.1:53"));
    struct addr to = addr_of("127.0.0.1:53"), from;
    put(a->w, s, "0123456789", &to);
    char got[10] = {0};
    struct iovec v[] = {{got, 2}, {got + 2, 2}};
    uint32_t flags = WORLD_RECV_PEEK;
    assert_int_equal(G(a, recv, s, v, 2, &flags, &from), 4);
    assert_int_equal(flags, WORLD_RECV_TRUNCATED);
    flags = 0;
    assert_int_equal(G(a, recv, s, v, 2, &flags, &from), 4);
    assert_int_equal(flags, WORLD_RECV_TRUNCATED);
    assert_string_equal(got, "0123");
    assert_int_equal(try_recv(a->w, s), -EAGAIN);
    /* the largest there is, and one more */
    static uint8_t large[65508], back[65508];
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 7);
    struct iovec l = {large, 65507};
    assert_int_equal(G(a, send, s, &l, 1, &to), 65507);
    l = (struct iovec){back, sizeof back};
    flags = 0;
    assert_int_equal(G(a, recv, s, &l, 1, &flags, NULL), 65507);
    assert_memory_equal(large, back, 65507);
    l = (struct iovec){large, 65508};
    assert_int_equal(G(a, send, s, &l, 1, &to), -EMSGSIZE);
}

/* When a socket's room is full, what comes is lost, and it goes on. */
static void test_overflow(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "");
    int s = sock_bound(a->w, WORLD_DGRAM, addr_of("127.0.0.1:53")), n = 0;
    struct addr to = addr_of("127.0.0.1:53");
    for (int i = 0; i < 5000; i++)
        put(a->w, s, "datagram", &to);
    while (try_recv(a->w, s) == 8)
        n++;
    assert_true(n > 10 && n < 5000);
    put(a->w, s, "again", &to);
    expect_datagram(a->w, s, "again");
}

static void test_connected(void **state) {
    (void)state;
    struct guest *a = guest_new("a", ""), *b = guest_new("b", "");
    int s = sock_bound(a->w, WORLD_DGRAM, addr_of("0.0.0.0:53"));
    int c = sock_connected(b->w, WORLD_DGRAM, at_port(a->v4, 53)), other = sock_new(b->w, ADDR_INET, WORLD_DGRAM);
    struct addr to = at_port(a->v4, 53);
    assert_addr(local_of(b->w, c), "10.63.0.2:32768");
    assert_addr(peer_of(b->w, c), "10.63.0.1:53");
    put(b->w, c, "one", NULL);
    put(b->w, other, "two", &to);
    struct addr first = expect_datagram(a->w, s, "one");
    expect_datagram(a->w, s, "two");
    put(a->w, s, "early", &first);
    /* A connected socket hears its peer alone; what came before from others is dropped. */
    struct addr mine = addr_of("10.63.0.2:32768");
    put(b->w, other, "stranger", &mine);
    expect_datagram(b->w, c, "early");
    assert_int_equal(try_recv(b->w, c), -EAGAIN);
    put(b->w, other, "before", &to);
    assert_int_equal(G(a, connect, s, &first), 0);
    assert_int_equal(try_recv(a->w, s), -EAGAIN);
    put(b->w, c, "three", NULL);
    expect_datagram(a->w, s, "three");
    /* and no longer */
    struct addr none = {.family = ADDR_NONE};
    assert_int_equal(G(a, connect, s, &none), 0);
    put(b->w, other, "four", &to);
    expect_datagram(a->w, s, "four");
    assert_int_equal(G(a, peer_addr, s, &to), -ENOTCONN);
    /* refused, where nobody is */
    int r = sock_connected(b->w, WORLD_DGRAM, at_port(a->v4, 99));
    assert_int_equal(send_text(b->w, r, "x", NULL), -ECONNREFUSED);
    assert_int_equal(G(b, shutdown, r, WORLD_SHUT_WR), 0);
    assert_int_equal(send_text(b->w, r, "x", NULL), -EPIPE);
    /* who will hear no more is told so and does not wait for it, here as with the machine's sockets */
    assert_int_equal(G(b, shutdown, r, WORLD_SHUT_RD), 0);
    assert_int_equal(try_recv(b->w, r), 0);
    struct guest *out = guest_new("out", "egress: [{allow: udp, to: 127.0.0.0/8}]");
    int o = sock_connected(out->w, WORLD_DGRAM, addr_of("127.0.0.1:9"));
    assert_int_equal(try_recv(out->w, o), -EAGAIN);
    assert_int_equal(G(out, shutdown, o, WORLD_SHUT_RD), 0);
    assert_int_equal(try_recv(out->w, o), 0);
}

static void test_ipv6(void **state) {
    (void)state;
    struct guest *a = guest_new("a", ""), *b = guest_new("b", "");
    int s = sock_bound(a->w, WORLD_DGRAM, addr_of("[::]:53")), c = sock_new(b->w, ADDR_INET6, WORLD_DGRAM);
    int d = sock_new(b->w, ADDR_INET, WORLD_DGRAM);
    struct addr six = at_port(a->v6, 53), four = at_port(a->v4, 53), mapped = addr_of("[::ffff:10.63.0.1]:53");
    put(b->w, c, "six", &six);
    assert_addr(expect_datagram(a->w, s, "six"), "[fd63:656f:6e::2]:32768");
    put(b->w, d, "four", &four);
    struct addr from = expect_datagram(a->w, s, "four");
    assert_addr(from, "[::ffff:10.63.0.2]:32769");
    put(a->w, s, "back", &from);
    assert_addr(expect_datagram(b->w, d, "back"), "10.63.0.1:53");
    put(b->w, c, "mapped", &mapped);
    assert_addr(expect_datagram(a->w, s, "mapped"), "[::ffff:10.63.0.2]:32768");
}

/* The machine's sockets of the test. */
static const char loopback_rules[] = "egress:\n  - allow: udp\n    to: 127.0.0.0/8\n";

static void test_outside(void **state) {
    (void)state;
    struct guest *a = guest_new("a", loopback_rules);
    int server = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0"));
    int stranger = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0"));
    struct addr to = local_of(os, server);
    int c = sock_new(a->w, ADDR_INET, WORLD_DGRAM);
    put(a->w, c, "question", &to);
    struct addr client = expect_datagram(os, server, "question");
    /* The stranger's datagram comes first and is not given to the guest, nor written to its memory. */
    client.ip[0] = 127, client.ip[3] = 1;
    put(os, stranger, "poison", &client);
    put(os, server, "answer", &client);
    char got[16] = "untouched";
    struct iovec v = {got, sizeof got};
    uint32_t flags = WORLD_RECV_PEEK;
    struct addr from;
    wait_ready(a->w, c, WORLD_READABLE);
    assert_int_equal(G(a, recv, c, &v, 1, &flags, &from), 6);
    assert_memory_equal(got, "answerhed", 9);
    assert_true(addr_equal(&from, &to));
    expect_datagram(a->w, c, "answer");
    put(os, stranger, "poison", &client);
    wait_ready(a->w, c, WORLD_READABLE);
    assert_int_equal(try_recv(a->w, c), -EAGAIN);
    /* connected, which the kernel then does; and back on the network with the same socket */
    assert_int_equal(G(a, connect, c, &to), 0);
    put(a->w, c, "connected", NULL);
    assert_true(addr_equal(&(struct addr){.family = ADDR_INET, .port = client.port, .ip = {127, 0, 0, 1}},
                           &(struct addr[]){expect_datagram(os, server, "connected")}[0]));
    put(os, server, "yes", &client);
    expect_datagram(a->w, c, "yes");
    struct addr got_peer = peer_of(a->w, c);
    assert_true(addr_equal(&got_peer, &to));
    OS(close, server);
    OS(close, stranger);
    assert_true(quiet(a));
}

/* One socket that others on the network reach and that sends to the outside. */
static void test_both_ways(void **state) {
    (void)state;
    struct guest *a = guest_new("a", loopback_rules), *b = guest_new("b", "");
    int server = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0"));
    struct addr to = local_of(os, server);
    /* bound first */
    int s = sock_bound(a->w, WORLD_DGRAM, addr_of("0.0.0.0:53"));
    put(a->w, s, "out", &to);
    struct addr client = expect_datagram(os, server, "out");
    client.ip[0] = 127, client.ip[3] = 1;
    int c = sock_connected(b->w, WORLD_DGRAM, at_port(a->v4, 53));
    put(b->w, c, "inner", NULL);
    put(os, server, "outer", &client);
    char got[2][16] = {{0}};
    for (int i = 0; i < 2; i++) {
        struct iovec v = {got[i], 15};
        uint32_t flags = 0;
        wait_ready(a->w, s, WORLD_READABLE);
        assert_int_equal(G(a, recv, s, &v, 1, &flags, NULL), 5);
    }
    assert_true((!strcmp(got[0], "inner") && !strcmp(got[1], "outer")) ||
                (!strcmp(got[1], "inner") && !strcmp(got[0], "outer")));
    put(os, server, "readiness by the machine's socket", &client);
    wait_ready(a->w, s, WORLD_READABLE);
    expect_datagram(a->w, s, "readiness by the machine's socket");
    /* sent to the outside first, then found on the network */
    int t = sock_new(a->w, ADDR_INET, WORLD_DGRAM), far = sock_bound(b->w, WORLD_DGRAM, addr_of("0.0.0.0:54"));
    put(a->w, t, "first", &to);
    client = expect_datagram(os, server, "first");
    client.ip[0] = 127, client.ip[3] = 1;
    put(a->w, t, "then", &(struct addr){.family = ADDR_INET, .port = 54, .ip = {10, 63, 0, 2}});
    struct addr from = expect_datagram(b->w, far, "then");
    put(b->w, far, "near", &from);
    expect_datagram(a->w, t, "near");
    put(os, server, "far", &client);
    expect_datagram(a->w, t, "far");
    put(a->w, t, "same port", &to);
    struct addr again = expect_datagram(os, server, "same port");
    assert_int_equal(again.port, client.port);
    OS(close, server);
    assert_true(quiet(a) && quiet(b));
}

/* More peers than are remembered: those of long ago are strangers again, and the counts of rules are given back. */
static void test_many_peers(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "egress:\n  - allow: udp\n    to: 127.0.0.0/8\n    max-connections: 1100\n");
    int server = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0"));
    struct addr to = local_of(os, server);
    int c = sock_new(a->w, ADDR_INET, WORLD_DGRAM);
    put(a->w, c, "first", &to);
    struct addr client = expect_datagram(os, server, "first");
    client.ip[0] = 127, client.ip[3] = 1;
    for (int i = 0; i < 3000; i++) {
        struct addr other = at_port(addr_of("127.1.0.1:0"), (uint16_t)(10000 + i));
        int64_t sent = send_text(a->w, c, "x", &other);
        assert_true(sent == 1 || sent == -ECONNREFUSED); /* told of an earlier one */
    }
    assert_true(quiet(a));
    put(os, server, "late", &client);
    int64_t r;
    while ((r = try_recv(a->w, c)) == -ECONNREFUSED) /* told of one of the others */
        continue;
    assert_int_equal(r, -EAGAIN);
    OS(close, server);
}

static void test_max_connections(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "egress:\n  - allow: udp\n    to: 127.0.0.0/8\n    max-connections: 1\n");
    struct addr one = addr_of("127.77.0.1:10001"), two = addr_of("127.77.0.1:10002");
    int c = sock_new(a->w, ADDR_INET, WORLD_DGRAM);
    put(a->w, c, "x", &one);
    assert_int_equal(send_text(a->w, c, "x", &two), -ECONNREFUSED);
    assert_true(said(a, "udp to 127.77.0.1:10002: denied"));
    assert_int_equal(G(a, close, c), 0);
    c = sock_new(a->w, ADDR_INET, WORLD_DGRAM);
    put(a->w, c, "x", &two);
}

static void test_unix(void **state) {
    (void)state;
    struct guest *a = guest_new("a", ""), *b = guest_new("b", "");
    struct addr at = addr_of("unix:/log"), back = addr_of("unix:/back"), nowhere = addr_of("unix:/nowhere");
    int s = sock_bound(a->w, WORLD_DGRAM, at), c = sock_new(b->w, ADDR_UNIX, WORLD_DGRAM);
    put(b->w, c, "nameless", &at);
    assert_addr(expect_datagram(a->w, s, "nameless"), "unix:");
    assert_int_equal(G(b, bind, c, &back), 0);
    assert_int_equal(G(b, connect, c, &at), 0);
    put(b->w, c, "named", NULL);
    struct addr from = expect_datagram(a->w, s, "named");
    assert_addr(from, "unix:/back");
    put(a->w, s, "reply", &from);
    assert_addr(expect_datagram(b->w, c, "reply"), "unix:/log");
    assert_int_equal(send_text(a->w, s, "x", NULL), -ENOTCONN);
    assert_true(quiet(a));
    assert_int_equal(send_text(a->w, s, "x", &nowhere), -EACCES);
    assert_true(said(a, "unix /nowhere: "));
    assert_int_equal(G(a, connect, s, &nowhere), -EACCES);
    assert_true(said(a, "unix /nowhere: "));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bed_up, bed_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_virtual),
        TEST(test_peek_and_truncation),
        TEST(test_overflow),
        TEST(test_connected),
        TEST(test_ipv6),
        TEST(test_outside),
        TEST(test_both_ways),
        TEST(test_many_peers),
        TEST(test_max_connections),
        TEST(test_unix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
