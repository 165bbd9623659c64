/* Guests that do anything in any order: nothing breaks, nothing leaves but to where rules allow, nothing stays open. */
#include "bed.h"

#include "base/prng.h"

enum { GUESTS = 3, HANDLES = 12, STEPS = 20000 };

static struct prng random;
static uint32_t below(uint32_t n) {
    return (uint32_t)prng_below(&random, n);
}

static struct addr allowed, denied; /* of the machine */
static struct addr pool[40];
static uint32_t npool;

static bool may_leave(const struct addr *a) {
    return addr_equal(a, &allowed) || addr_equal_ip(a, &(struct addr){.family = ADDR_INET, .ip = {127, 0, 0, 5}});
}

static void fill_pool(void) {
    static const char *const texts[] = {
        "127.0.0.1:1",
        "127.0.0.1:2",
        "127.0.0.1:0",
        "0.0.0.0:1",
        "0.0.0.0:2",
        "0.0.0.0:0",
        "[::]:1",
        "[::]:2",
        "[::1]:1",
        "10.63.0.1:1",
        "10.63.0.2:1",
        "10.63.0.2:2",
        "10.63.0.3:1",
        "[::ffff:10.63.0.1]:1",
        "[::ffff:127.0.0.1]:1",
        "10.63.0.9:1",
        "10.0.0.1:1",
        "169.254.169.254:80",
        "8.8.8.8:53",
        "255.255.255.255:1",
        "[fd00:ec2::254]:80",
        "unix:/a",
        "unix:/b",
        "unix:/var/run/docker.sock",
        "[fd63:656f:6e::2]:1",
    };
    npool = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        pool[npool++] = addr_of(texts[i]);
    for (int i = 0; i < 3; i++)
        pool[npool++] = allowed;
    pool[npool++] = denied;
    pool[npool++] = (struct addr){.family = ADDR_NONE};
    pool[npool++] = (struct addr){.family = ADDR_UNIX};
    pool[npool++] = at_port(addr_of("[::ffff:127.0.0.1]:0"), allowed.port);
    pool[npool++] = at_port(addr_of("[::ffff:127.0.0.1]:0"), denied.port);
    pool[npool++] = at_port(addr_of("0.0.0.0:0"), allowed.port);
}

static int fds[GUESTS][HANDLES];

static void transfer(struct guest *g, int fd) {
    uint8_t bytes[300] = {0};
    struct iovec v[2] = {{bytes, below(200)}, {bytes + 200, below(100)}};
    uint32_t flags = below(4) ? 0 : WORLD_RECV_PEEK;
    struct addr from;
    switch (below(5)) {
    case 0: G(g, send, fd, v, 2, &pool[below(npool)]); break;
    case 1: G(g, send, fd, v, 2, NULL); break;
    case 2: G(g, recv, fd, v, 2, &flags, &from); break;
    case 3: G(g, readv, fd, v, 2); break;
    case 4: G(g, writev, fd, v, 2); break;
    }
}

static void wait_for_all(struct guest *g, const int *own) {
    struct world_poll p[HANDLES];
    int n = 0, held = 0;
    for (int i = 0; i < HANDLES; i++)
        if (own[i] >= 0)
            p[n++] = (struct world_poll){.fd = own[i], .want = 1 + below(3)};
    int r = G(g, wait, p, n, 0);
    for (int i = 0; i < n; i++)
        held += p[i].got != 0;
    assert_int_equal(r, held);
}

static void step(struct guest *g, int *own) {
    int *fd = &own[below(HANDLES)];
    const struct addr *a = &pool[below(npool)];
    int64_t value;
    struct addr out;
    if (*fd < 0) {
        *fd = G(g, socket, (enum addr_family)(1 + below(3)), (enum world_socktype)(1 + below(2)));
        assert_true(*fd > 2);
        return;
    }
    enum world_sockopt o = (enum world_sockopt)below(WORLD_NSOCKOPTS);
    int r = -1;
    switch (below(14)) {
    case 0: G(g, bind, *fd, a); break;
    case 1: G(g, listen, *fd, (int)below(4)); break;
    case 2:
    case 3: G(g, connect, *fd, a); break;
    case 4: r = G(g, accept, *fd, WORLD_NONBLOCK); break;
    case 5: r = G(g, dup, *fd); break;
    case 6: G(g, shutdown, *fd, below(5)); break;
    case 7: G(g, get_option, *fd, o, &value); break;
    case 8: G(g, set_option, *fd, o, (int64_t)below(5000) - (below(5) ? 0 : 5000)); break;
    case 9:
        G(g, local_addr, *fd, &out);
        G(g, peer_addr, *fd, &out);
        break;
    case 10: wait_for_all(g, own); break;
    case 11:
        if (below(3) == 0) {
            assert_int_equal(G(g, close, *fd), 0);
            *fd = -1;
        }
        break;
    default: transfer(g, *fd); break;
    }
    if (r >= 0) { /* another handle, in place of this one */
        assert_int_equal(G(g, close, *fd), 0);
        *fd = r;
    }
}

/* The machine's side of what is published and allowed. */
static void outside(int listener, int receiver, struct addr stream, struct addr dgram) {
    int fd;
    while ((fd = OS(accept, listener, 0)) >= 0)
        OS(close, fd);
    while (try_recv(os, receiver) >= 0)
        continue;
    int c = sock_bound(os, WORLD_STREAM, addr_of("127.0.0.5:0")),
        u = sock_bound(os, WORLD_DGRAM, addr_of("127.0.0.5:0"));
    OS(connect, c, &stream);
    send_text(os, u, "from outside", &dgram);
    OS(close, c);
    OS(close, u);
}

static int count_handles(void) {
    int n = 0;
    for (int fd = 3; fd < 512; fd++) {
        struct world_stat st;
        n += OS(stat, fd, &st) == 0;
    }
    return n;
}

static void live(uint64_t seed, int listener, int receiver) {
    struct guest *g[GUESTS];
    char rules[200];
    random.state = seed;
    snprintf(rules, sizeof rules, "egress:\n  - allow: any\n    to: 127.0.0.1\n    ports: %u\n    max-connections: 5\n",
             allowed.port);
    g[0] = guest_new("a", rules);
    g[1] = guest_new("b", "");
    g[2] = guest_new("c", rules);
    struct addr stream = addr_of("127.0.0.1:0"), dgram = stream;
    assert_int_equal(net_publish(g[1]->w, false, &stream, 1, &stream, NULL), ST_OK);
    assert_int_equal(net_publish(g[1]->w, true, &dgram, 1, &dgram, NULL), ST_OK);
    memset(fds, 0xff, sizeof fds);
    for (int i = 0; i < STEPS; i++) {
        uint32_t who = below(GUESTS);
        step(g[who], fds[who]);
        g[who]->ndenials = 0;
        if (i % 50 == 0)
            outside(listener, receiver, stream, dgram);
    }
    for (int i = 0; i < GUESTS; i++)
        guest_free(g[i]);
}

static void test_random(void **state) {
    (void)state;
    int before = count_handles();
    int listener = sock_listening(os, addr_of("127.0.0.1:0")), forbidden = sock_listening(os, addr_of("127.0.0.1:0"));
    allowed = local_of(os, listener);
    denied = local_of(os, forbidden);
    int receiver = sock_bound(os, WORLD_DGRAM, allowed), secret = sock_bound(os, WORLD_DGRAM, denied);
    fill_pool();
    bed_may_leave = may_leave;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        live(seed, listener, receiver);
        net_free(net);
        net = net_new();
    }
    assert_int_equal(OS(accept, forbidden, 0), -EAGAIN);
    assert_int_equal(try_recv(os, secret), -EAGAIN);
    int all[] = {listener, forbidden, receiver, secret};
    for (int i = 0; i < 4; i++)
        OS(close, all[i]);
    assert_int_equal(count_handles(), before);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_random, bed_up, bed_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
