/* Names: of the network, of the machine's resolver, and what is remembered of them. */
#include "bed.h"

static int look_up(struct guest *g, const char *name, const char *service, enum addr_family f,
                   struct world_found out[WORLD_MAX_FOUND], char *canonical) {
    struct world_query q = {
        .name = name, .service = service, .family = f, .type = WORLD_STREAM, .canonical = canonical != NULL};
    return G(g, resolve, &q, out, WORLD_MAX_FOUND, canonical);
}

static void test_of_the_network(void **state) {
    (void)state;
    struct guest *a = guest_new("web", ""), *b = guest_new("db", "");
    struct world_found f[WORLD_MAX_FOUND];
    char canonical[WORLD_MAX_NAME];
    assert_int_equal(look_up(a, "db", "5432", ADDR_NONE, f, canonical), 2);
    assert_addr(f[0].addr, "10.63.0.2:5432");
    assert_addr(f[1].addr, "[fd63:656f:6e::2]:5432");
    assert_int_equal(f[0].type, WORLD_STREAM);
    assert_string_equal(canonical, "db");
    assert_int_equal(look_up(a, "DB.", NULL, ADDR_INET6, f, NULL), 1);
    assert_addr(f[0].addr, "[fd63:656f:6e::2]:0");
    assert_int_equal(look_up(b, "db", "x-no-such-service", ADDR_NONE, f, NULL), WORLD_NAME_SERVICE);
    assert_int_equal(look_up(b, "localhost", "80", ADDR_NONE, f, NULL), 2);
    assert_addr(f[0].addr, "127.0.0.1:80");
    assert_addr(f[1].addr, "[::1]:80");
    assert_int_equal(look_up(b, "any.localhost.", "80", ADDR_INET, f, NULL), 1);
    assert_addr(f[0].addr, "127.0.0.1:80");
    /* numbers are no look-ups, and the machine's own name is not given away */
    assert_int_equal(look_up(b, "192.0.2.7", "80", ADDR_NONE, f, NULL), 1);
    assert_addr(f[0].addr, "192.0.2.7:80");
    assert_int_equal(look_up(b, "2001:db8::1", "80", ADDR_NONE, f, NULL), 1);
    assert_addr(f[0].addr, "[2001:db8::1]:80");
    struct world_query q = {.service = "80", .passive = true, .family = ADDR_INET, .type = WORLD_STREAM};
    assert_int_equal(G(b, resolve, &q, f, WORLD_MAX_FOUND, NULL), 1);
    assert_addr(f[0].addr, "0.0.0.0:80");
    assert_true(quiet(a) && quiet(b));
    assert_int_equal(nlookups, 0);
    /* one that is gone does not become the machine's business, neither its name nor its address; the name can be had
     * again */
    guest_free(b);
    assert_int_equal(look_up(a, "db", "5432", ADDR_NONE, f, NULL), 2);
    assert_addr(f[0].addr, "10.63.0.2:5432");
    assert_int_equal(nlookups, 0);
    struct guest *wide = guest_new("wide", "egress: [{allow: any, to: [10.0.0.0/8, 'fc00::/7']}]");
    assert_int_equal(attempt(wide->w, WORLD_STREAM, f[0].addr), -ECONNREFUSED);
    assert_int_equal(attempt(wide->w, WORLD_STREAM, f[1].addr), -ECONNREFUSED);
    assert_int_equal(attempt(wide->w, WORLD_DGRAM, f[0].addr), 0);
    assert_int_equal(nleft, 0);
    assert_true(quiet(a) && quiet(wide));
    b = guest_new("db", "");
    assert_int_equal(look_up(a, "db", "1", ADDR_INET, f, NULL), 1);
    assert_addr(f[0].addr, "10.63.0.4:1");
    struct net_host again = {.name = "DB", .policy = b->policy};
    struct world *w;
    struct err e = ERR_INIT;
    assert_int_equal(net_attach(net, os, &again, &w, &e), ST_EXISTS);
}

static void test_of_the_resolver(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "egress:\n  - allow: tcp\n    to: [\"*.example.org\"]\n    ports: 443\n"
                                     "names: [other.example.net]\n");
    struct world_found f[WORLD_MAX_FOUND];
    char canonical[WORLD_MAX_NAME];
    fake_name("api.example.org", "93.184.216.34 2606:2800:220:1::1");
    fake_name("other.example.net", "93.184.216.35");
    assert_int_equal(look_up(a, "api.example.org", "443", ADDR_NONE, f, canonical), 2);
    assert_addr(f[0].addr, "93.184.216.34:443");
    assert_addr(f[1].addr, "[2606:2800:220:1::1]:443");
    assert_string_equal(canonical, "api.example.org");
    assert_int_equal(look_up(a, "other.example.net", NULL, ADDR_NONE, f, NULL), 1);
    assert_int_equal(look_up(a, "unknown.example.org", NULL, ADDR_NONE, f, NULL), WORLD_NAME_UNKNOWN);
    assert_int_equal(nlookups, 3);
    assert_true(quiet(a));
    /* what no rule names is not even asked for: a question is a message to somebody */
    assert_int_equal(look_up(a, "secret.attacker.example", NULL, ADDR_NONE, f, NULL), WORLD_NAME_FAILED);
    assert_true(said(a, "name secret.attacker.example: denied"));
    assert_int_equal(look_up(a, "example.org", NULL, ADDR_NONE, f, NULL), WORLD_NAME_FAILED);
    assert_true(said(a, "name example.org: denied"));
    assert_int_equal(nlookups, 3);
    /* numbers as old libraries write them are not taken for addresses */
    assert_true(look_up(a, "127.1", "80", ADDR_NONE, f, NULL) < 0);
    a->ndenials = 0;
    assert_true(look_up(a, "2130706433", "80", ADDR_NONE, f, NULL) < 0);
    a->ndenials = 0;
    assert_true(look_up(a, "0x7f.0.0.1", "80", ADDR_NONE, f, NULL) < 0);
}

/* The name makes the address allowed, for this guest and this rule. */
static void test_pins(void **state) {
    (void)state;
    const char *rules = "egress:\n  - allow: tcp\n    to: api.example.org\n    ports: 443\n";
    struct guest *a = guest_new("a", rules), *b = guest_new("b", rules);
    struct world_found f[WORLD_MAX_FOUND];
    struct addr to = addr_of("192.88.98.7:443"), other = addr_of("192.88.98.7:80");
    fake_name("api.example.org", "192.88.98.7");
    assert_int_equal(attempt(a->w, WORLD_STREAM, to), -EACCES);
    assert_true(said(a, "tcp to 192.88.98.7:443: denied"));
    assert_int_equal(look_up(a, "API.example.org.", "443", ADDR_NONE, f, NULL),
                     WORLD_NAME_UNKNOWN); /* the fake's case */
    assert_int_equal(look_up(a, "api.example.org", "443", ADDR_NONE, f, NULL), 1);
    int c = sock_new(a->w, ADDR_INET, WORLD_STREAM);
    assert_int_equal(nleft, 0);
    assert_int_equal(G(a, connect, c, &to), -ENETUNREACH);
    assert_int_equal(nleft, 1);
    assert_true(quiet(a));
    assert_int_equal(attempt(a->w, WORLD_STREAM, other), -EACCES);
    assert_true(said(a, "tcp to 192.88.98.7:80: denied"));
    assert_int_equal(attempt(b->w, WORLD_STREAM, to), -EACCES);
    assert_true(said(b, "tcp to 192.88.98.7:443: denied"));
    assert_int_equal(attempt(a->w, WORLD_STREAM, addr_of("[::ffff:192.88.98.7]:80")), -EACCES);
    assert_true(said(a, "tcp to [::ffff:192.88.98.7]:80 (192.88.98.7:80): denied"));
    /* TLS as that name and no other */
    assert_true(net_may_tls(a->w, c, "api.example.org"));
    assert_true(quiet(a));
}

/* More names than are remembered: the oldest no longer count. */
static void test_many_pins(void **state) {
    (void)state;
    struct guest *a = guest_new("a", "egress:\n  - allow: tcp\n    to: \"*.example.org\"\n");
    struct world_found f[WORLD_MAX_FOUND];
    char name[40], address[40];
    fake_name("first.example.org", "192.88.98.7");
    assert_int_equal(look_up(a, "first.example.org", "443", ADDR_NONE, f, NULL), 1);
    for (int i = 0; i < 4096; i++) {
        snprintf(name, sizeof name, "n.example.org");
        snprintf(address, sizeof address, "193.1.%d.%d", i / 250, i % 250);
        fake_name("n.example.org", address);
        assert_int_equal(look_up(a, name, "443", ADDR_NONE, f, NULL), 1);
    }
    assert_true(quiet(a));
    assert_int_equal(attempt(a->w, WORLD_STREAM, addr_of("192.88.98.7:443")), -EACCES);
    assert_true(said(a, "tcp to 192.88.98.7:443: denied"));
}

static void test_tls(void **state) {
    (void)state;
    int l = sock_listening(os, addr_of("127.0.0.1:0"));
    struct addr to = local_of(os, l), published = addr_of("127.0.0.1:0");
    struct guest *a = guest_new("a", "egress:\n  - allow: tcp\n    to: [127.0.0.1, good.example.org]\n");
    struct guest *b = guest_new("b", "");
    /* before it is known where to: decided when it connects */
    int c = sock_new(a->w, ADDR_INET, WORLD_STREAM);
    assert_true(net_may_tls(a->w, c, "bad.example.org"));
    assert_int_equal(G(a, connect, c, &to), -EACCES);
    assert_true(said(a, "tls to 127.0.0.1:"));
    assert_true(net_may_tls(a->w, c, "good.example.org")); /* another choice */
    int r = G(a, connect, c, &to);
    assert_true(r == 0 || r == -EINPROGRESS);
    assert_true(net_may_tls(a->w, c, "good.example.org"));
    assert_true(quiet(a));
    assert_false(net_may_tls(a->w, c, "bad.example.org"));
    assert_true(said(a, "tls to 127.0.0.1:"));
    /* on the network, and of what comes in, as anybody */
    assert_int_equal(net_publish(b->w, false, &published, 80, &published, NULL), ST_OK);
    int s = sock_listening(b->w, addr_of("0.0.0.0:80"));
    assert_true(net_may_tls(b->w, s, "b"));
    int d = sock_connected(a->w, WORLD_STREAM, at_port(b->v4, 80));
    assert_true(net_may_tls(a->w, d, "whoever"));
    assert_true(net_may_tls(b->w, accepted(b->w, s), "b"));
    int o = sock_connected(os, WORLD_STREAM, published);
    assert_true(net_may_tls(b->w, accepted(b->w, s), "b"));
    assert_true(quiet(a) && quiet(b));
    OS(close, o);
    OS(close, l);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bed_up, bed_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_of_the_network), TEST(test_of_the_resolver), TEST(test_pins), TEST(test_many_pins), TEST(test_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
