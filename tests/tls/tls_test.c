/* Two TLS layers against each other: what is sent arrives, readiness is true, ends and failures are what they are. */
#include "base/must.h"
#include "base/prng.h"
#include "support.h"
#include "world/os/os.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct world *os, *client, *server;

static int set_up(void **state) {
    (void)state;
    certs_make();
    os = world_os_new();
    client = layer_new(os, true, NULL);
    server = layer_new(os, false, "good");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    client->ops->free(client);
    server->ops->free(server);
    os->ops->free(os);
    certs_remove();
    return 0;
}

static uint8_t *noise(size_t n, uint64_t seed) {
    uint8_t *p = malloc(n + 8);
    struct prng r = {seed};
    for (size_t i = 0; i < n; i += 8)
        put_u64(p + i, prng_next(&r));
    return p;
}

/* A connection, `host` asked for after connecting; the handshake has not begun. */
static void connection(struct world *c, struct world *s, const char *host, int fds[2]) {
    uint16_t port;
    int listener = tcp_listen(s, &port);
    assert_int_equal(s->ops->start_tls(s, listener, "LOCALHOST."), 0);
    fds[0] = tcp_connect(c, port);
    fds[1] = accept_one(s, listener);
    wait_for(os, fds[0], WORLD_WRITABLE);
    assert_int_equal(c->ops->start_tls(c, fds[0], host), 0);
    assert_int_equal(c->ops->start_tls(c, fds[0], host), -EALREADY);
    s->ops->close(s, listener);
}

/* Sends `n` bytes each way in pieces of `chunk`. */
static void exchange(struct world *c, struct world *s, const char *host, size_t n, size_t chunk) {
    int fds[2];
    connection(c, s, host, fds);
    uint8_t *up = noise(n, 1), *down = noise(n, 2);
    struct side a = {.w = c, .fd = fds[0], .out = up, .nout = n, .in = malloc(n), .cap = n, .chunk = chunk};
    struct side b = {.w = s, .fd = fds[1], .out = down, .nout = n, .in = malloc(n), .cap = n, .chunk = chunk};
    told[0] = '\0';
    pump(&a, &b);
    assert_string_equal(told, "");
    assert_int_equal(a.failure, 0);
    assert_int_equal(b.failure, 0);
    assert_int_equal(a.nin, n);
    assert_int_equal(b.nin, n);
    assert_memory_equal(a.in, down, n);
    assert_memory_equal(b.in, up, n);
    c->ops->close(c, fds[0]);
    s->ops->close(s, fds[1]);
    free(a.in);
    free(b.in);
    free(up);
    free(down);
}

static void test_small(void **state) {
    (void)state;
    exchange(client, server, "localhost", 5, 100);
    exchange(client, server, "127.0.0.1", 40, 1);
    exchange(client, server, "LocalHost.", 0, 1);
}

static void test_large(void **state) {
    (void)state;
    exchange(client, server, "localhost", 10 << 20, 1000);
    exchange(client, server, "localhost", 10 << 20, 1 << 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_large),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
