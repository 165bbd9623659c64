/* Ways out that others left open. Each is tried without a policy, and with one that allows as much as rules can by
 * being wide; each must fail, be told with the address that was tried, and leave no trace on the machine. */
#include "bed.h"

static const char *const policies[] = {
    "",
    "egress:\n"
    "  - allow: any\n"
    "    to: [\"0.0.0.0/0\", \"::/0\", \"*\"]\n"
    "ingress:\n"
    "  - allow: any\n"
    "    on: [\"0.0.0.0/1\", \"128.0.0.0/1\", \"::/0\"]\n"
    "    ports: 1\n",
};
enum { NPOLICIES = sizeof policies / sizeof *policies };

static void each_policy(void (*test)(struct guest *)) {
    for (int i = 0; i < NPOLICIES; i++) {
        struct guest *g = guest_new("guest", policies[i]);
        nleft = 0;
        test(g);
        assert_true(quiet(g));
        assert_int_equal(nleft, 0);
        guest_free(g);
    }
}

static int64_t send_once(struct guest *g, struct addr to) {
    int fd = sock_new(g->w, to.family, WORLD_DGRAM);
    int64_t r = send_text(g->w, fd, "escape", &to);
    assert_int_equal(G(g, close, fd), 0);
    return r;
}

/* By TCP, by a connected UDP socket and by sendto. */
static void refused(struct guest *g, const char *address, int error) {
    char sentence[200];
    struct addr to = addr_of(address);
    snprintf(sentence, sizeof sentence, "tcp to %s", address);
    assert_int_equal(attempt(g->w, WORLD_STREAM, to), error);
    assert_true(said(g, sentence));
    snprintf(sentence, sizeof sentence, "udp to %s", address);
    assert_int_equal(attempt(g->w, WORLD_DGRAM, to), error);
    assert_true(said(g, sentence));
    assert_int_equal(send_once(g, to), error);
    assert_true(said(g, sentence));
}

static const struct {
    const char *address;
    int error;
} ways[] = {
    /* metadata services and other link-local addresses, in all their dresses */
    {"169.254.169.254:80", -EACCES},
    {"169.254.1.1:443", -EACCES},
    {"[::ffff:169.254.169.254]:80", -EACCES},
    {"[::a9fe:a9fe]:80", -EACCES},
    {"[fe80::1]:80", -EACCES},
    {"[fd00:ec2::254]:80", -EACCES},
    {"[64:ff9b::a9fe:a9fe]:80", -EACCES},
    {"[2002:a9fe:a9fe::1]:80", -EACCES},
    /* private networks, and addresses like a guest's own that are none */
    {"10.0.0.1:22", -EACCES},
    {"10.63.200.1:22", -EACCES},
    {"172.16.0.1:22", -EACCES},
    {"192.168.1.1:22", -EACCES},
    {"100.64.0.1:22", -EACCES},
    {"[::ffff:10.0.0.1]:22", -EACCES},
    {"[fd63:656f:6e::ffff]:22", -EACCES},
    /* everybody */
    {"255.255.255.255:67", -EACCES},
    {"10.63.255.255:67", -EACCES},
    {"224.0.0.251:5353", -EACCES},
    {"239.255.255.250:1900", -EACCES},
    {"[ff02::1]:5353", -EACCES},
    {"[ff05::2]:1", -EACCES},
    {"240.0.0.1:1", -EACCES},
};

static void try_ways(struct guest *g) {
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        refused(g, ways[i].address, ways[i].error);
}

static void test_addresses(void **state) {
    (void)state;
    each_policy(try_ways);
}

/* The machine's loopback under each of its names; on the guest's own nothing listens there. */
static int listener, receiver;
static uint16_t port;

static void try_loopback(struct guest *g) {
    static const char *const hosts[] = {"127.0.0.1", "127.1.2.3",          "0.0.0.0",          "[::1]",
                                        "[::]",      "[::ffff:127.0.0.1]", "[::ffff:0.0.0.0]", "[::127.0.0.1]"};
    char text[80];
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        snprintf(text, sizeof text, "%s:%u", hosts[i], port);
        struct addr a = addr_of(text);
        char printed[ADDR_TEXT_MAX];
        refused(g, addr_print(&a, printed), -ECONNREFUSED);
    }
    assert_int_equal(OS(accept, listener, WORLD_NONBLOCK), -EAGAIN);
    assert_int_equal(try_recv(os, receiver), -EAGAIN);
}

static void test_loopback(void **state) {
    (void)state;
    listener = sock_listening(os, addr_of("[::]:0"));
    port = local_of(os, listener).port;
    receiver = sock_bound(os, WORLD_DGRAM, at_port(addr_of("[::]:0"), port));
    each_policy(try_loopback);
    OS(close, listener);
    OS(close, receiver);
}

/* What an address is said to be does not depend on how it was first used. */
static void test_connected_then_elsewhere(void **state) {
    (void)state;
    int good = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0")),
        bad = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0"));
    struct addr allowed = local_of(os, good), denied = local_of(os, bad),
                mapped = at_port(addr_of("[::ffff:127.0.0.1]:0"), denied.port);
    char rules[200], sentence[100];
    snprintf(rules, sizeof rules, "egress:\n  - allow: udp\n    to: 127.0.0.1\n    ports: %u\n", allowed.port);
    struct guest *g = guest_new("guest", rules);
    int fd = sock_connected(g->w, WORLD_DGRAM, allowed);
    put(g->w, fd, "fine", NULL);
    expect_datagram(os, good, "fine");
    snprintf(sentence, sizeof sentence, "udp to 127.0.0.1:%u: denied", denied.port);
    assert_int_equal(send_text(g->w, fd, "escape", &denied), -ECONNREFUSED);
    assert_true(said(g, sentence));
    assert_int_equal(G(g, connect, fd, &denied), -ECONNREFUSED);
    assert_true(said(g, sentence));
    struct addr metadata = addr_of("169.254.169.254:80");
    assert_int_equal(send_text(g->w, fd, "escape", &metadata), -EACCES);
    assert_true(said(g, "udp to 169.254.169.254:80: denied"));
    /* the same in IPv6 dress, and when it was sent to by the other way before */
    int six = sock_new(g->w, ADDR_INET6, WORLD_DGRAM);
    assert_int_equal(send_text(g->w, six, "escape", &mapped), -ECONNREFUSED);
    assert_int_equal(g->ndenials, 1);
    g->ndenials = 0;
    assert_int_equal(send_text(g->w, six, "escape", &denied), -EAFNOSUPPORT);
    assert_int_equal(try_recv(os, bad), -EAGAIN);
    OS(close, good);
    OS(close, bad);
}

/* A stream that was allowed to go to one place and is pointed at another. */
static void test_connect_again(void **state) {
    (void)state;
    int l = sock_listening(os, addr_of("127.0.0.1:0")), deaf = sock_bound(os, WORLD_STREAM, addr_of("127.0.0.1:0"));
    struct addr bad = local_of(os, l), allowed = local_of(os, deaf);
    char rules[200];
    snprintf(rules, sizeof rules, "egress:\n  - allow: tcp\n    to: 127.0.0.1\n    ports: %u\n", allowed.port);
    struct guest *g = guest_new("guest", rules);
    int fd = sock_new(g->w, ADDR_INET, WORLD_STREAM), r = G(g, connect, fd, &allowed);
    assert_true(r == -ECONNREFUSED || r == -EINPROGRESS);
    assert_true(quiet(g));
    if (r == -EINPROGRESS) {
        wait_ready(g->w, fd, WORLD_WRITABLE);
        assert_int_equal(G(g, connect, fd, &bad), -ECONNREFUSED); /* what came of the first */
        assert_true(quiet(g));
    }
    assert_int_equal(G(g, connect, fd, &bad), -ECONNREFUSED);
    assert_true(said(g, "tcp to 127.0.0.1:"));
    assert_int_equal(OS(accept, l, WORLD_NONBLOCK), -EAGAIN);
    OS(close, l);
    OS(close, deaf);
}

static void try_binding(struct guest *g) {
    static const char *const addresses[] = {
        "192.0.2.2:8080",   "10.0.0.1:8080",  "169.254.1.1:8080", "[fe80::1]:8080",     "8.8.8.8:53",
        "[2001:db8::1]:53", "224.0.0.1:1900", "[ff02::1]:1",      "255.255.255.255:67", "[::ffff:192.0.2.2]:8080"};
    char sentence[100];
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
        for (int t = WORLD_STREAM; t <= WORLD_DGRAM; t++) {
            struct addr a = addr_of(addresses[i]);
            int fd = sock_new(g->w, a.family, (enum world_socktype)t);
            snprintf(sentence, sizeof sentence, "bind %s %s: denied", t == WORLD_STREAM ? "tcp" : "udp", addresses[i]);
            assert_int_equal(G(g, bind, fd, &a), -EACCES);
            assert_true(said(g, sentence));
            assert_int_equal(G(g, close, fd), 0);
        }
    /* Loopback and any are the guest's own: nothing of the machine is bound (each_policy counts). */
    static const char *const own[] = {"127.0.0.1:0", "0.0.0.0:0", "[::]:0", "[::1]:0", "[::ffff:127.0.0.1]:0"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        int fd = sock_listening(g->w, addr_of(own[i]));
        assert_false(is_ready(g->w, fd, WORLD_READABLE));
        assert_int_equal(G(g, close, fd), 0);
    }
}

static void test_binding(void **state) {
    (void)state;
    each_policy(try_binding);
}

static int hidden; /* a socket of the machine in no directory */
static char path[80];

static void try_unix(struct guest *g) {
    char sentence[200];
    struct addr at = addr_of(path), up = {.family = ADDR_UNIX}, abstract = {.family = ADDR_UNIX, .path = "\0aeon-test"};
    snprintf(up.path, sizeof up.path, "/tmp/../tmp/%s", path + 10);
    struct addr all[] = {at, up, abstract, addr_of("unix:/var/run/docker.sock"), addr_of("unix:relative.sock")};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (int t = WORLD_STREAM; t <= WORLD_DGRAM; t++) {
            snprintf(sentence, sizeof sentence, "unix %s%s: denied", all[i].path[0] ? "" : "@",
                     all[i].path[0] ? all[i].path : all[i].path + 1);
            assert_int_equal(attempt(g->w, (enum world_socktype)t, all[i]), -EACCES);
            assert_true(said(g, sentence));
        }
    int fd = sock_new(g->w, ADDR_UNIX, WORLD_DGRAM);
    assert_int_equal(send_text(g->w, fd, "escape", &at), -EACCES);
    snprintf(sentence, sizeof sentence, "unix %s: denied", at.path);
    assert_true(said(g, sentence));
    assert_int_equal(send_text(g->w, fd, "escape", &abstract), -EACCES);
    assert_true(said(g, "unix @aeon-test: denied"));
    assert_false(is_ready(os, hidden, WORLD_READABLE));
    assert_int_equal(G(g, close, fd), 0);
}

static void test_unix(void **state) {
    (void)state;
    snprintf(path, sizeof path, "unix:/tmp/net-escape-%llu.sock", (unsigned long long)world_now(os, WORLD_MONOTONIC));
    hidden = sock_listening(os, addr_of(path));
    each_policy(try_unix);
    OS(close, hidden);
    OS(remove, WORLD_CWD, path + 5, 0, false);
}

/* A name of the attacker's that a rule allows, and that answers with addresses of others. */
static void test_rebinding(void **state) {
    (void)state;
    static const char *const answers[] = {"127.0.0.1",        "169.254.169.254", "10.0.0.1", "192.168.0.1",       "::1",
                                          "::ffff:127.0.0.1", "fd00:ec2::254",   "0.0.0.0",  "64:ff9b::a9fe:a9fe"};
    struct guest *g = guest_new("guest", "egress:\n  - allow: any\n    to: \"*.attacker.example\"\n");
    char sentence[200], ip[ADDR_TEXT_MAX];
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct addr a, plain;
        struct world_query q = {.name = "www.attacker.example", .service = "80", .type = WORLD_STREAM};
        struct world_found f[WORLD_MAX_FOUND];
        assert_true(addr_parse_ip(answers[i], &a));
        plain = addr_plain(&a);
        fake_name("www.attacker.example", answers[i]);
        assert_int_equal(G(g, resolve, &q, f, WORLD_MAX_FOUND, NULL), WORLD_NAME_FAILED);
        snprintf(sentence, sizeof sentence, "name www.attacker.example: denied: its address %s is ",
                 addr_print_ip(&plain, ip));
        assert_true(said(g, sentence));
        /* without a port nothing is decided yet: the address does not become allowed by it */
        q.service = NULL;
        G(g, resolve, &q, f, WORLD_MAX_FOUND, NULL);
        g->ndenials = 0;
        int r = attempt(g->w, WORLD_STREAM, at_port(a, 80));
        assert_true(r == -EACCES || r == -ECONNREFUSED);
        assert_int_equal(g->ndenials, 1);
        g->ndenials = 0;
    }
    /* of several answers those that may be had remain */
    struct world_query q = {.name = "www.attacker.example", .service = "80", .type = WORLD_STREAM};
    struct world_found f[WORLD_MAX_FOUND];
    fake_name("www.attacker.example", "10.0.0.1 193.0.0.1");
    assert_int_equal(G(g, resolve, &q, f, WORLD_MAX_FOUND, NULL), 1);
    assert_addr(f[0].addr, "193.0.0.1:80");
    assert_true(said(g, "name www.attacker.example: denied: its address 10.0.0.1 is private"));
    assert_int_equal(nleft, 0);
    /* The name of a guest of the network is the network's, whatever the resolver would say. */
    guest_new("db.attacker.example", "");
    fake_name("db.attacker.example", "193.0.0.2");
    q.name = "db.attacker.example";
    q.family = ADDR_INET;
    assert_int_equal(G(g, resolve, &q, f, WORLD_MAX_FOUND, NULL), 1);
    assert_addr(f[0].addr, "10.63.0.2:80");
}

/* Guests of two networks are two applications. */
static void test_two_networks(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "");
    sock_listening(a->w, addr_of("0.0.0.0:80"));
    sock_listening(a->w, addr_of("unix:/x"));
    struct net *first = net;
    net = net_new();
    struct guest *b = guest_new("b", ""), *c = guest_new("c", "");
    net_addresses(b->w, &b->v4, &b->v6);
    assert_int_equal(attempt(c->w, WORLD_STREAM, at_port(a->v4, 80)), -ECONNREFUSED); /* that is b there */
    assert_int_equal(attempt(b->w, WORLD_STREAM, addr_of("unix:/x")), -EACCES);
    assert_true(said(b, "unix /x: denied"));
    struct world_query q = {.name = "a", .service = "80"};
    struct world_found f[WORLD_MAX_FOUND];
    assert_int_equal(G(b, resolve, &q, f, WORLD_MAX_FOUND, NULL), WORLD_NAME_FAILED);
    assert_true(said(b, "name a: denied"));
    guest_free(b);
    guest_free(c);
    net_free(net);
    net = first;
}

/* Whoever sends to a guest decides how much; what is told of it is bounded. */
static void test_unasked(void **state) {
    (void)state;
    struct guest *g = guest_new("guest", "ingress:\n  - allow: udp\n    on: 127.0.0.1\n    from: 127.0.0.9\n");
    int fd = sock_bound(g->w, WORLD_DGRAM, addr_of("127.0.0.1:0")),
        s = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.1:0"));
    struct addr to = local_of(g->w, fd);
    unsigned told = 0;
    for (int i = 0; i < 1500; i++) {
        put(os, s, "flood", &to);
        wait_ready(g->w, fd, WORLD_READABLE);
        assert_int_equal(try_recv(g->w, fd), -EAGAIN);
        told += g->ndenials;
        g->ndenials = 0;
    }
    assert_int_equal(told, 1001);
    OS(close, s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bed_up, bed_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_addresses),     TEST(test_loopback),     TEST(test_connected_then_elsewhere),
        TEST(test_connect_again), TEST(test_binding),      TEST(test_unix),
        TEST(test_rebinding),     TEST(test_two_networks), TEST(test_unasked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
