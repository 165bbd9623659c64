/* A bound on bytes a second, over a clock that only moves when somebody waits. */
#include "../fault/fake.h"
#include "world/os/os.h"
#include "world/throttle/throttle.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { MS = 1000000, RATE = 8000 /* bucket: 2000, enough: 250, a byte each 125 us */ };

static struct world *os, *w;
static struct fake fake;
static uint8_t bytes[65536];

#define OP(op, ...) w->ops->op(w, __VA_ARGS__)

static int set_up(void **state) {
    (void)state;
    os = world_os_new();
    fake_init(&fake, os);
    w = throttle_new(&fake.layer.world, RATE);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    w->ops->free(w);
    os->ops->free(os);
    return 0;
}

static uint64_t held(void) {
    uint64_t ns, n;
    throttle_report(w, &ns, &n);
    return ns;
}

static uint64_t passed(void) {
    uint64_t ns, n;
    throttle_report(w, &ns, &n);
    return n;
}

static int64_t transfer(struct world *by, int fd, size_t n, bool send) {
    struct iovec v[3] = {{bytes, n / 2}, {bytes, 0}, {bytes, n - n / 2}};
    uint32_t flags = 0;
    return send ? by->ops->send(by, fd, v, 3, NULL) : by->ops->recv(by, fd, v, 3, &flags, NULL);
}

static void close_pair(int fds[2]) {
    OP(close, fds[0]);
    OP(close, fds[1]);
}

static void test_stream(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(OP(pair, WORLD_STREAM, fds), 0);
    assert_int_equal(transfer(w, fds[0], 500, true), 500);
    assert_int_equal(transfer(w, fds[1], 5000, false), 500); /* both ways count */
    assert_int_equal(transfer(w, fds[0], 5000, true), 1000); /* what is left */
    assert_int_equal(transfer(w, fds[0], 1, true), -EAGAIN);
    assert_int_equal(transfer(w, fds[1], 1, false), -EAGAIN);
    assert_int_equal(transfer(w, fds[1], 0, true), 0);
    assert_int_equal(passed(), 2000);
    assert_int_equal(held(), 0);

    uint64_t began = fake.clocks[WORLD_MONOTONIC];
    struct world_poll p = {fds[0], WORLD_WRITABLE, 0, 0};
    assert_int_equal(OP(wait, &p, 1, 0), 0);
    assert_int_equal(OP(wait, &p, 1, began + 10 * MS), 0); /* the deadline comes first */
    assert_int_equal(fake.clocks[WORLD_MONOTONIC] - began, 10 * MS);
    assert_int_equal(transfer(w, fds[0], 5000, true), 80);
    assert_int_equal(OP(wait, &p, 1, UINT64_MAX), 1);
    assert_int_equal(p.got, WORLD_WRITABLE);
    assert_int_equal(fake.clocks[WORLD_MONOTONIC] - began, 10 * MS + 250 * 125000);
    assert_int_equal(held(), 250 * 125000);
    assert_int_equal(transfer(w, fds[0], 5000, true), 250);
    close_pair(fds);
}

/* Much data takes as long as it has to, to the nanosecond. */
static void test_rate(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(OP(pair, WORLD_STREAM, fds), 0);
    uint64_t began = fake.clocks[WORLD_MONOTONIC], total = 0;
    while (total < 800000) {
        int64_t r = transfer(w, fds[0], 3000, true);
        if (r == -EAGAIN) {
            struct world_poll p = {fds[0], WORLD_WRITABLE, 0, 0};
            assert_int_equal(OP(wait, &p, 1, UINT64_MAX), 1);
            continue;
        }
        assert_true(r > 0);
        total += (uint64_t)r;
        while (transfer(os, fds[1], sizeof bytes, false) > 0) {
        }
    }
    uint64_t took = fake.clocks[WORLD_MONOTONIC] - began;
    assert_int_equal(took, (total - 2000) * 125000); /* the bucket was full */
    assert_int_equal(held(), took);
    assert_int_equal(passed(), total);
    fake_pass(&fake, 100000000000u); /* it does not grow beyond */
    assert_int_equal(transfer(w, fds[0], 5000, true), 2000);
    close_pair(fds);
}

/* Somebody who had nothing to get was not held up; others are not concerned. */
static void test_idle(void **state) {
    (void)state;
    int fds[2], listener = OP(socket, ADDR_INET, WORLD_STREAM);
    assert_int_equal(OP(pair, WORLD_STREAM, fds), 0);
    assert_int_equal(transfer(w, fds[0], 5000, true), 2000);
    assert_int_equal(transfer(os, fds[1], 5000, false), 2000);
    struct world_poll p[2] = {{fds[1], WORLD_READABLE, 0, 0}, {fds[0], 0, 0, 0}};
    uint64_t began = fake.clocks[WORLD_MONOTONIC];
    while (fake.clocks[WORLD_MONOTONIC] < began + 1000 * MS) /* it may be woken to look again */
        assert_int_equal(OP(wait, p, 2, began + 1000 * MS), 0);
    assert_int_equal(fake.clocks[WORLD_MONOTONIC] - began, 1000 * MS);
    assert_int_equal(held(), 0);
    /* A wake ends the wait for the bucket. */
    assert_int_equal(transfer(w, fds[0], 5000, true), 2000);
    w->ops->wake(w);
    assert_int_equal(OP(wait, p, 1, UINT64_MAX), 0);
    /* A regular file is always there. */
    int file = memfd_create("x", 0);
    p[1] = (struct world_poll){file, WORLD_READABLE, 0, 0};
    assert_int_equal(OP(wait, p, 2, UINT64_MAX), 1);
    assert_int_equal(p[0].got, 0);
    assert_true(p[1].got & WORLD_READABLE);
    OP(close, file);
    OP(close, listener);
    close_pair(fds);
}

static void test_file(void **state) {
    (void)state;
    int fd = memfd_create("x", 0);
    struct iovec v = {bytes, 3000};
    assert_int_equal(OP(writev, fd, &v, 1), 2000);
    assert_int_equal(OP(pwritev, fd, &v, 1, 2000), 250); /* held up until there is enough */
    assert_int_equal(held(), 250 * 125000);
    assert_int_equal(fake.waited_ns, 250 * 125000);
    assert_int_equal(OP(read_cached, fd, &v, 1, 0), -EAGAIN);
    assert_int_equal(OP(preadv, fd, &v, 1, 0), 250);
    assert_int_equal(fake.waited_ns, 500 * 125000);
    w->ops->wake(w);
    assert_int_equal(OP(preadv, fd, &v, 1, 0), 250); /* who is woken is let through, and pays later */
    assert_int_equal(fake.waited_ns, 500 * 125000);
    assert_true(fake.woken);
    fake.woken = false;
    assert_int_equal(OP(preadv, fd, &v, 1, 0), 250);
    assert_int_equal(fake.waited_ns, 1000 * 125000);
    assert_int_equal(passed(), 3000);
    OP(close, fd);
}

static void test_datagram(void **state) {
    (void)state;
    int fds[2];
    assert_int_equal(OP(pair, WORLD_DGRAM, fds), 0);
    assert_int_equal(transfer(w, fds[0], 5000, true), 5000); /* whole, or not at all */
    assert_int_equal(transfer(w, fds[0], 10, true), -EAGAIN);
    struct world_poll p = {fds[0], WORLD_WRITABLE, 0, 0};
    assert_int_equal(OP(wait, &p, 1, UINT64_MAX), 1);
    assert_int_equal(fake.waited_ns, 3250 * 125000ull);
    assert_int_equal(transfer(w, fds[1], 60000, false), 5000);
    close_pair(fds);
}

static void test_numbers_again(void **state) {
    (void)state;
    int fds[2], other[2];
    assert_int_equal(OP(pair, WORLD_DGRAM, fds), 0);
    assert_int_equal(transfer(w, fds[0], 10, true), 10);
    close_pair(fds);
    assert_int_equal(OP(pair, WORLD_STREAM, other), 0); /* takes the numbers, not the manners */
    assert_int_equal(transfer(w, other[0], 5000, true), 1990);
    assert_int_equal(OP(pair, WORLD_DGRAM, fds), 0);
    fake_pass(&fake, 1000 * MS);
    assert_int_equal(transfer(w, fds[0], 1, true), 1);
    assert_int_equal(OP(move, other[1], fds[0]), 0);
    assert_int_equal(transfer(w, fds[0], 5000, false), 1990);
    OP(close, fds[0]);
    OP(close, fds[1]);
    OP(close, other[0]);
    struct world *slow = throttle_new(&fake.layer.world, 1);
    assert_int_equal(slow->ops->pair(slow, WORLD_STREAM, fds), 0);
    assert_int_equal(transfer(slow, fds[0], 10, true), 1);
    struct world_poll p = {fds[0], WORLD_WRITABLE, 0, 0};
    fake.waited_ns = 0;
    assert_int_equal(slow->ops->wait(slow, &p, 1, UINT64_MAX), 1);
    assert_int_equal(fake.waited_ns, 1000 * MS);
    close_pair(fds);
    slow->ops->free(slow);
    struct world *fast = throttle_new(&fake.layer.world, UINT64_MAX);
    assert_int_equal(fast->ops->pair(fast, WORLD_STREAM, fds), 0);
    assert_int_equal(transfer(fast, fds[0], 10000, true), 10000);
    close_pair(fds);
    fast->ops->free(fast);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(test_stream), TEST(test_rate),     TEST(test_idle),
                                       TEST(test_file),   TEST(test_datagram), TEST(test_numbers_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
