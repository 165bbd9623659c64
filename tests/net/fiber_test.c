/* Guests on fibers of one thread, one network: nobody's waiting keeps another from going on. */
#include "bed.h"

#include "world/fiber/fiber.h"

enum { CONNECTIONS = 40 };

static struct guest *server, *client;
static struct fibers *fibers;
static struct addr published;
static int echoed, answered;

/* Waits as long as it takes; fails the test when something is wrong, not by time. */
static void wait_for(struct world *w, int fd, uint32_t want) {
    struct world_poll p = {.fd = fd, .want = want};
    while (w->ops->wait(w, &p, 1, UINT64_MAX) == 0)
        continue;
    assert_true(p.got & want);
}

static int64_t receive(struct world *w, int fd, char *text, size_t size) {
    struct iovec v = {text, size};
    for (;;) {
        uint32_t flags = 0;
        int64_t r = w->ops->recv(w, fd, &v, 1, &flags, NULL);
        if (r != -EAGAIN)
            return r;
        wait_for(w, fd, WORLD_READABLE);
    }
}

/* Takes connections as they come, from the network and from the machine, and answers each. */
static void serve(void *arg) {
    struct world *w = server->w;
    int l = *(int *)arg;
    while (echoed < 2 * CONNECTIONS) {
        int s = w->ops->accept(w, l, WORLD_NONBLOCK);
        if (s == -EAGAIN) {
            wait_for(w, l, WORLD_READABLE);
            continue;
        }
        assert_true(s > 2);
        char text[32] = {0};
        int64_t n = receive(w, s, text, sizeof text);
        assert_true(n > 0);
        put(w, s, text, NULL);
        assert_int_equal(w->ops->close(w, s), 0);
        echoed++;
    }
}

static void ask(struct world *w, struct addr to, const char *who) {
    for (int i = 0; i < CONNECTIONS; i++) {
        char text[32], back[32] = {0};
        snprintf(text, sizeof text, "%s %d", who, i);
        int c = sock_new(w, ADDR_INET, WORLD_STREAM), r = w->ops->connect(w, c, &to);
        if (r == -EINPROGRESS) {
            wait_for(w, c, WORLD_WRITABLE);
            r = 0;
        }
        assert_int_equal(r, 0);
        put(w, c, text, NULL);
        assert_int_equal(receive(w, c, back, sizeof back), strlen(text));
        assert_string_equal(back, text);
        assert_int_equal(receive(w, c, back, sizeof back), 0);
        assert_int_equal(w->ops->close(w, c), 0);
        answered++;
    }
}

static void ask_within(void *arg) {
    (void)arg;
    ask(client->w, at_port(server->v4, 80), "guest");
}

static void ask_from_the_machine(void *arg) {
    (void)arg;
    ask(fibers_world(fibers), published, "machine");
}

static void test_fibers(void **state) {
    (void)state;
    fibers = fibers_new(os);
    bed_over(fibers_world(fibers));
    server = guest_new("server", "");
    client = guest_new("client", "");
    echoed = answered = 0;
    published = addr_of("127.0.0.1:0");
    assert_int_equal(net_publish(server->w, false, &published, 80, &published, NULL), ST_OK);
    int l = sock_listening(server->w, addr_of("0.0.0.0:80"));
    fiber_start(fibers, serve, &l);
    fiber_start(fibers, ask_within, NULL);
    fiber_start(fibers, ask_from_the_machine, NULL);
    while (fibers_turn(fibers, UINT64_MAX) > 0)
        continue;
    assert_int_equal(echoed, 2 * CONNECTIONS);
    assert_int_equal(answered, 2 * CONNECTIONS);
    assert_true(quiet(server) && quiet(client));
    guest_free(server);
    guest_free(client);
    fibers_free(fibers);
}

/* Datagrams to a socket that has sides, while its owner waits on it as well as on others. */
static int inbox;

static void collect(void *arg) {
    struct world *w = server->w;
    int idle = *(int *)arg;
    for (int n = 0; n < 2 * CONNECTIONS;) {
        struct world_poll p[] = {{.fd = idle, .want = WORLD_READABLE}, {.fd = inbox, .want = WORLD_READABLE}};
        if (w->ops->wait(w, p, 2, UINT64_MAX) == 0)
            continue;
        assert_int_equal(p[0].got, 0);
        assert_int_equal(p[1].got, WORLD_READABLE);
        while (try_recv(w, inbox) > 0)
            n++;
    }
}

static void tell(struct world *w, struct addr to) {
    int u = sock_new(w, ADDR_INET, WORLD_DGRAM);
    for (int i = 0; i < CONNECTIONS; i++) {
        put(w, u, "datagram", &to);
        w->ops->wait(w, NULL, 0, world_now(w, WORLD_MONOTONIC) + 100000);
    }
    assert_int_equal(w->ops->close(w, u), 0);
}

static void tell_within(void *arg) {
    (void)arg;
    tell(client->w, at_port(server->v4, 53));
}

static void tell_from_the_machine(void *arg) {
    (void)arg;
    tell(fibers_world(fibers), published);
}

static void test_datagrams(void **state) {
    (void)state;
    fibers = fibers_new(os);
    bed_over(fibers_world(fibers));
    server = guest_new("server", "");
    client = guest_new("client", "");
    published = addr_of("127.0.0.1:0");
    assert_int_equal(net_publish(server->w, true, &published, 53, &published, NULL), ST_OK);
    inbox = sock_bound(server->w, WORLD_DGRAM, addr_of("0.0.0.0:53"));
    int idle = sock_listening(server->w, addr_of("0.0.0.0:80"));
    fiber_start(fibers, collect, &idle);
    fiber_start(fibers, tell_within, NULL);
    fiber_start(fibers, tell_from_the_machine, NULL);
    while (fibers_turn(fibers, UINT64_MAX) > 0)
        continue;
    guest_free(server);
    guest_free(client);
    fibers_free(fibers);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, bed_up, bed_down)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_fibers), TEST(test_datagrams)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
