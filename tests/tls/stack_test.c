/* Whole stacks of layers, as guests have them: seeded faults over TLS over a bound on bytes over fibers, one guest a
 * fiber, all on one thread. */
#include "base/must.h"
#include "support.h"
#include "world/fault/fault.h"
#include "world/fiber/fiber.h"
#include "world/os/os.h"
#include "world/throttle/throttle.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { CLIENTS = 40, BYTES = 100000, PIECE = 7000 };

static struct world *os;
static struct fibers *fibers;
static uint16_t port;
static uint32_t served, echoed;

struct stack {
    struct world *throttle, *tls, *fault;
};

static struct stack stack_new(uint64_t seed, bool trusting, const char *server) {
    struct fault_plan p = {.seed = seed, .short_io = 0.3};
    struct stack s;
    s.throttle = throttle_new(fibers_world(fibers), 1 << 30);
    s.tls = layer_new(s.throttle, trusting, server);
    s.fault = fault_new(s.tls, &p, NULL, NULL);
    return s;
}

static void stack_free(struct stack s) {
    s.fault->ops->free(s.fault);
    s.tls->ops->free(s.tls);
    s.throttle->ops->free(s.throttle);
}

/* ---- clients as simple programs are ---- */

static void client_guest(void *arg) {
    size_t id = (size_t)arg;
    struct stack s = stack_new(id + 2, true, NULL);
    struct world *w = s.fault;
    int fd = tcp_connect(w, port);
    must(w->ops->start_tls(w, fd, "localhost") == 0);
    uint8_t out[1000], in[1000];
    for (size_t at = 0, back = 0; back < BYTES;) {
        for (size_t i = 0; i < sizeof out; i++)
            out[i] = (uint8_t)((at + i) * (id + 1) >> 3);
        size_t left = BYTES - at < sizeof out ? BYTES - at : sizeof out;
        struct iovec v = {out, left};
        int64_t r = left > 0 ? w->ops->send(w, fd, &v, 1, NULL) : 0;
        must(r >= 0 || r == -EAGAIN);
        at += r > 0 ? (size_t)r : 0;
        uint32_t flags = 0;
        v = (struct iovec){in, sizeof in};
        r = w->ops->recv(w, fd, &v, 1, &flags, NULL);
        must(r > 0 || r == -EAGAIN);
        for (int64_t i = 0; i < r; i++)
            must(in[i] == (uint8_t)((back + (size_t)i) * (id + 1) >> 3));
        back += r > 0 ? (size_t)r : 0;
        if (r == -EAGAIN)
            wait_for(w, fd, WORLD_READABLE | (at < BYTES ? WORLD_WRITABLE : 0));
    }
    w->ops->shutdown(w, fd, WORLD_SHUT_WR);
    w->ops->close(w, fd);
    stack_free(s);
    echoed++;
}

/* ---- a server that never waits for one of its clients alone ---- */

struct client {
    uint8_t bytes[PIECE];
    size_t have, sent;
    bool ended;
};

/* Sends back what came; false when that is over. */
static bool serve(struct world *w, int fd, struct client *c, uint32_t can) {
    if (can & WORLD_WRITABLE && c->sent < c->have) {
        struct iovec v = {c->bytes + c->sent, c->have - c->sent};
        int64_t r = w->ops->send(w, fd, &v, 1, NULL);
        must(r > 0);
        c->sent += (size_t)r;
    }
    if (c->sent == c->have && can & WORLD_READABLE) {
        struct iovec v = {c->bytes, sizeof c->bytes};
        uint32_t flags = 0;
        int64_t r = w->ops->recv(w, fd, &v, 1, &flags, NULL);
        must(r >= 0);
        c->have = (size_t)r;
        c->sent = 0;
        c->ended = r == 0;
    }
    return !c->ended;
}

static void server_guest(void *arg) {
    (void)arg;
    struct stack s = stack_new(1, false, "good");
    struct world *w = s.fault;
    int listener = tcp_listen(w, &port), n = 1;
    must(w->ops->start_tls(w, listener, "localhost") == 0);
    for (size_t i = 0; i < CLIENTS; i++)
        fiber_start(fibers, client_guest, (void *)i);
    struct world_poll polls[1 + CLIENTS] = {{listener, WORLD_READABLE, 0, 0}};
    struct client *clients[1 + CLIENTS];
    while (served < CLIENTS) {
        for (int i = 1; i < n; i++)
            polls[i].want = clients[i]->sent < clients[i]->have ? WORLD_WRITABLE : WORLD_READABLE;
        must(w->ops->wait(w, polls, n, UINT64_MAX) >= 0);
        for (int i = n - 1; i > 0; i--) {
            if (serve(w, polls[i].fd, clients[i], polls[i].got))
                continue;
            w->ops->close(w, polls[i].fd);
            free(clients[i]);
            clients[i] = clients[--n];
            polls[i] = polls[n];
            served++;
        }
        if (polls[0].got) {
            int fd = w->ops->accept(w, listener, WORLD_NONBLOCK);
            must(fd >= 0);
            clients[n] = calloc(1, sizeof *clients[n]);
            polls[n++] = (struct world_poll){.fd = fd};
        }
    }
    w->ops->close(w, listener);
    stack_free(s);
}

static void test_guests(void **state) {
    (void)state;
    fiber_start(fibers, server_guest, NULL);
    uint64_t until = world_now(os, WORLD_MONOTONIC) + 600000000000u;
    while (fibers_turn(fibers, until) > 0)
        assert_true(world_now(os, WORLD_MONOTONIC) < until);
    assert_int_equal(echoed, CLIENTS);
    assert_int_equal(served, CLIENTS);
}

static int set_up(void **state) {
    (void)state;
    certs_make();
    os = world_os_new();
    fibers = fibers_new(os);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fibers_free(fibers);
    os->ops->free(os);
    certs_remove();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_guests)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
