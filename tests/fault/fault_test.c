/* Seeded faults: the same again by the same seed, as many as were asked for, and each of its kind. */
#include "base/buf.h"
#include "base/prng.h"
#include "fake.h"
#include "world/fault/fault.h"
#include "world/os/os.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { MS = 1000000 };

static struct world *os;
static struct fake fake;
static struct buf heard; /* all sentences, a line each */

static int set_up(void **state) {
    (void)state;
    os = world_os_new();
    fake_init(&fake, os);
    buf_init(&heard, 16 << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    buf_deinit(&heard);
    os->ops->free(os);
    return 0;
}

static void hear(void *ctx, const char *sentence) {
    (void)ctx;
    buf_print(&heard, "%s\n", sentence);
}

static uint32_t count(const char *what) {
    uint32_t n = 0;
    for (const char *p = buf_cstr(&heard); (p = strstr(p, what)); p++)
        n++;
    return n;
}

static struct world *faulty(const char *text) {
    struct fault_plan p;
    struct err e = ERR_INIT;
    enum status s = fault_plan_parse(text, &p, &e);
    assert_string_equal(e.text, "");
    assert_int_equal(s, ST_OK);
    buf_clear(&heard);
    return fault_new(&fake.layer.world, &p, hear, NULL);
}

#define OP(op, ...) w->ops->op(w, __VA_ARGS__)

static void test_parse(void **state) {
    (void)state;
    struct fault_plan p;
    assert_int_equal(fault_plan_parse("seed=18446744073709551615,error=0.01,short-io=1,delay=5ms,clock-drift=0.02,"
                                      "partition=0.5:1500ms",
                                      &p, NULL),
                     ST_OK);
    assert_true(p.seed == UINT64_MAX && p.error == 0.01 && p.short_io == 1 && p.delay_ns == 5 * MS);
    assert_true(p.clock_drift == 0.02 && p.stall == 0.5 && p.stall_ns == 1500 * MS);
    assert_int_equal(fault_plan_parse("seed=7", &p, NULL), ST_OK);
    assert_true(p.seed == 7 && p.error == 0 && p.stall == 0);
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"", "has no value"},
        {"seed", "'seed' has no value; possible are seed=N"},
        {"seed=-1", "whole number"},
        {"seed=18446744073709551616", "below 2^64"},
        {"seed=7,", "has no value"},
        {"errors=0.1", "'errors' is no kind of fault; possible are"},
        {"error=1.5", "error=1.5: must be a number from 0 to 1"},
        {"error=nan", "from 0 to 1"},
        {"error=", "from 0 to 1"},
        {"error=0.1x", "from 0 to 1"},
        {"clock-drift=0.9", "from 0 to 0.5"},
        {"delay=5 parsecs", "delay=5 parsecs: "},
        {"delay=-5ms", "delay"},
        {"delay=2h", "an hour is the most"},
        {"partition=0.1", "a probability and a duration"},
        {"partition=2:1s", "from 0 to 1"},
        {"partition=0.1:x", "partition"},
        {"seed=1111111111111111111111111111111111111111111111111111111111111111111111", "is too long"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = ERR_INIT;
        p.seed = 99;
        assert_int_equal(fault_plan_parse(bad[i].text, &p, &e), ST_INVALID);
        if (!strstr(e.text, bad[i].says))
            fail_msg("%s: %s", bad[i].text, e.text);
        assert_int_equal(p.seed, 99);
    }
}

static int64_t send_text(struct world *w, int fd, const char *text) {
    struct iovec v = {(void *)text, strlen(text)};
    return OP(send, fd, &v, 1, NULL);
}

static int64_t recv_some(struct world *w, int fd, size_t n) {
    char bytes[100];
    struct iovec v = {bytes, n};
    uint32_t flags = 0;
    return OP(recv, fd, &v, 1, &flags, NULL);
}

/* A few hundred calls; what they answered goes to `out`. With `impatient` more of them that have nothing to get. */
static void scenario(struct world *w, bool impatient, struct buf *out) {
    int file = OP(open, WORLD_CWD, "/dev/null", WORLD_READ | WORLD_WRITE, 0), memory = memfd_create("x", 0);
    buf_print(out, "%d ", file < 0 ? file : 0);
    assert_true(memory >= 0);
    for (int i = 0; i < 200; i++) {
        struct iovec v[3] = {{"hello", 5}, {"", 0}, {"world", 5}};
        buf_print(out, "%d ", (int)OP(pwritev, memory, v, 3, (uint64_t)i));
        if (impatient)
            OP(wait, NULL, 0, world_now(w, WORLD_MONOTONIC) + 1);
        buf_print(out, "%d ", OP(sync, memory, true));
    }
    for (int i = 0; i < 20; i++) {
        int fds[2];
        assert_int_equal(OP(pair, WORLD_STREAM, fds), 0);
        for (int k = 0; k < 10; k++) {
            if (impatient)
                for (int again = 0; again < 3; again++)
                    assert_true(recv_some(w, fds[0], 50) < 0);
            buf_print(out, "%d ", (int)send_text(w, fds[0], "some text"));
            buf_print(out, "%d ", (int)recv_some(w, fds[1], 50));
        }
        OP(close, fds[0]);
        OP(close, fds[1]);
    }
    struct world_query q = {.name = "127.0.0.1", .numeric_host = true};
    struct world_found found[4];
    for (int i = 0; i < 20; i++)
        buf_print(out, "%d ", OP(resolve, &q, found, 4, NULL) < 0);
    OP(close, memory);
    if (file >= 0)
        OP(close, file);
}

static char *run(const char *plan, bool impatient) {
    struct world *w = faulty(plan);
    struct buf out;
    buf_init(&out, 1 << 20);
    scenario(w, impatient, &out);
    buf_print(&out, "\n%s", buf_cstr(&heard));
    char *text = mem_strdup(buf_cstr(&out));
    buf_deinit(&out);
    w->ops->free(w);
    return text;
}

static void test_same_again(void **state) {
    (void)state;
    char *a = run("seed=7,error=0.05,short-io=0.3,delay=1ms", false);
    char *b = run("seed=7,error=0.05,short-io=0.3,delay=1ms", false);
    char *other = run("seed=8,error=0.05,short-io=0.3,delay=1ms", false);
    assert_string_equal(a, b);
    assert_string_not_equal(a, other);
    assert_non_null(strstr(a, "ECONNRESET"));
    assert_non_null(strstr(a, "EIO"));
    assert_non_null(strstr(a, "ENOSPC"));
    assert_non_null(strstr(a, "AGAIN"));
    assert_non_null(strstr(a, "of 10 bytes"));
    mem_free(a);
    mem_free(b);
    mem_free(other);
}

/* Asking again for what is not there yet changes nothing. */
static void test_timing(void **state) {
    (void)state;
    char *a = run("seed=11,error=0,short-io=0.5,delay=1ms", false);
    char *b = run("seed=11,error=0,short-io=0.5,delay=1ms", true);
    *strchr(a, '\n') = *strchr(b, '\n') = '\0';
    assert_string_equal(a, b);
    mem_free(a);
    mem_free(b);
}

static void test_none(void **state) {
    (void)state;
    char *a = run("seed=7", false);
    assert_null(strstr(a, "-"));
    assert_string_equal(strchr(a, '\n'), "\n");
    mem_free(a);
}

static void test_shares(void **state) {
    (void)state;
    struct world *w = faulty("seed=3,error=0.1,short-io=0.25");
    int fd = memfd_create("x", 0);
    uint32_t full = 0, cut = 0, failed = 0;
    uint64_t moved = 0;
    char bytes[100] = {0};
    struct iovec v[2] = {{bytes, 50}, {bytes + 50, 50}};
    for (int i = 0; i < 10000; i++) {
        int64_t r = OP(pwritev, fd, v, 2, 0);
        full += r == 100;
        failed += r == -EIO || r == -ENOSPC;
        cut += r > 0 && r < 100;
        moved += r > 0 && r < 100 ? (uint64_t)r : 0;
    }
    assert_int_equal(full + failed + cut, 10000);
    assert_in_range(failed, 850, 1150);
    assert_in_range(cut, 2050, 2450);     /* a quarter of nine tenths */
    assert_in_range(moved / cut, 46, 54); /* from 1 to 99, evenly */
    assert_in_range(count("ENOSPC"), 400, 600);
    assert_int_equal(count("EIO") + count("ENOSPC"), failed);
    assert_int_equal(count("bytes at most"), cut);
    uint32_t refused = 0;
    for (int i = 0; i < 1000; i++) {
        int r = OP(open, WORLD_CWD, "/dev/null", WORLD_READ, 0);
        refused += r < 0;
        if (r >= 0)
            OP(close, r);
        else
            assert_true(r == -EMFILE || r == -EIO);
    }
    assert_in_range(refused, 60, 140);
    OP(close, fd);
    w->ops->free(w);
}

static void test_dead(void **state) {
    (void)state;
    struct world *w = faulty("seed=1,error=1");
    int fds[2];
    assert_int_equal(OP(pair, WORLD_STREAM, fds), 0);
    assert_int_equal(send_text(os, fds[1], "waiting"), 7);
    assert_int_equal(recv_some(w, fds[0], 10), -ECONNRESET);
    assert_int_equal(recv_some(w, fds[0], 10), -ECONNRESET);
    assert_int_equal(send_text(w, fds[0], "x"), -ECONNRESET);
    assert_int_equal(count("\n"), 1);
    int twin = OP(dup, fds[0]);
    OP(close, fds[0]);
    assert_int_equal(recv_some(w, twin, 10), -ECONNRESET);
    struct world_poll p = {twin, WORLD_READABLE, 0, 0};
    assert_int_equal(OP(wait, &p, 1, UINT64_MAX), 1);
    assert_int_equal(p.got, WORLD_READABLE | WORLD_HANGUP | WORLD_ERROR);
    assert_int_equal(recv_some(os, fds[1], 10), 0); /* the other side notices */
    OP(close, twin);
    OP(close, fds[1]);
    int fd = OP(socket, ADDR_INET, WORLD_STREAM);
    struct addr a;
    assert_true(addr_parse("127.0.0.1:1", &a));
    int r = OP(connect, fd, &a);
    assert_true(r == -ECONNREFUSED || r == -ETIMEDOUT);
    OP(close, fd);
    /* Datagrams are lost, sockets for them do not die. */
    assert_int_equal(OP(pair, WORLD_DGRAM, fds), 0);
    assert_int_equal(send_text(w, fds[0], "lost"), 4);
    assert_int_equal(recv_some(os, fds[1], 10), -EAGAIN);
    assert_int_equal(send_text(os, fds[1], "got"), 3);
    assert_int_equal(recv_some(w, fds[0], 10), 3);
    OP(close, fds[0]);
    OP(close, fds[1]);
    w->ops->free(w);
}

static void test_stall(void **state) {
    (void)state;
    struct world *w = faulty("seed=5,partition=0.2:2s");
    int fds[2], other[2], stalls = 0;
    assert_int_equal(OP(pair, WORLD_STREAM, fds), 0);
    assert_int_equal(OP(pair, WORLD_STREAM, other), 0);
    assert_int_equal(send_text(os, fds[1], "something to be read"), 20);
    for (int i = 0; i < 100; i++) {
        int64_t r = send_text(w, fds[0], "x");
        if (r == 1) {
            assert_int_equal(recv_some(os, fds[1], 1), 1);
            continue;
        }
        stalls++;
        assert_int_equal(r, -EAGAIN);
        assert_int_equal(recv_some(w, fds[0], 1), -EAGAIN); /* the other way neither */
        struct world_poll p[2] = {{fds[0], WORLD_READABLE | WORLD_WRITABLE, 0, 0}, {other[0], WORLD_WRITABLE, 0, 0}};
        uint64_t began = fake.clocks[WORLD_MONOTONIC];
        assert_int_equal(OP(wait, p, 2, UINT64_MAX), 1); /* others are not concerned */
        assert_int_equal(p[0].got, 0);
        assert_int_equal(p[1].got, WORLD_WRITABLE);
        assert_int_equal(OP(wait, p, 1, world_now(w, WORLD_MONOTONIC) + 500 * MS), 0);
        assert_int_equal(fake.clocks[WORLD_MONOTONIC] - began, 500 * MS);
        w->ops->wake(w);
        assert_int_equal(OP(wait, p, 1, UINT64_MAX), 0);
        assert_int_equal(fake.clocks[WORLD_MONOTONIC] - began, 500 * MS);
        assert_int_equal(OP(wait, p, 1, UINT64_MAX), 0); /* it goes on: time to look again */
        assert_int_equal(fake.clocks[WORLD_MONOTONIC] - began, 2000 * MS);
        assert_int_equal(OP(wait, p, 1, UINT64_MAX), 1);
        assert_int_equal(p[0].got, WORLD_READABLE | WORLD_WRITABLE);
        assert_int_equal(p[0].nbytes, 20);
    }
    assert_in_range(stalls, 8, 35);
    assert_int_equal(count("send on"), stalls);
    for (int i = 0; i < 2; i++) {
        OP(close, fds[i]);
        OP(close, other[i]);
    }
    w->ops->free(w);
}

static void test_delay(void **state) {
    (void)state;
    struct world *w = faulty("seed=2,delay=10ms");
    int fd = memfd_create("x", 0);
    fake.waited_ns = 0;
    uint64_t longest = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t before = fake.waited_ns;
        struct iovec v = {"abc", 3};
        assert_int_equal(OP(pwritev, fd, &v, 1, 0), 3);
        uint64_t one = fake.waited_ns - before;
        longest = one > longest ? one : longest;
    }
    assert_in_range(longest, 19 * MS, 20 * MS);
    assert_in_range(fake.waited_ns / 1000, 9 * MS, 11 * MS);
    /* What is not told to wait does not; and who is woken meanwhile learns it. */
    uint64_t before = fake.waited_ns;
    assert_int_equal(OP(wait, NULL, 0, 0), 0);
    assert_int_equal(fake.waited_ns, before);
    w->ops->wake(w);
    assert_int_equal(OP(wait, NULL, 0, UINT64_MAX), 0);
    assert_int_equal(fake.waited_ns, before);
    OP(close, fd);
    w->ops->free(w);
}

static void test_clocks(void **state) {
    (void)state;
    bool slower = false, faster = false;
    for (uint64_t seed = 0; seed < 40; seed++) {
        char text[64];
        snprintf(text, sizeof text, "seed=%u,clock-drift=0.1", (unsigned)seed);
        struct world *w = faulty(text);
        uint64_t from = world_now(w, WORLD_MONOTONIC), real = world_now(w, WORLD_REALTIME);
        assert_int_equal(from, fake.clocks[WORLD_MONOTONIC]);
        fake_pass(&fake, 1000 * MS);
        uint64_t passed = world_now(w, WORLD_MONOTONIC) - from;
        assert_in_range(passed, 900 * MS, 1100 * MS);
        assert_int_equal(world_now(w, WORLD_REALTIME) - real, passed);
        slower |= passed < 1000 * MS;
        faster |= passed > 1000 * MS;
        fake.clocks[WORLD_REALTIME] -= 500 * MS; /* somebody sets the clock */
        assert_int_equal(world_now(w, WORLD_REALTIME) - real, passed);
        fake.clocks[WORLD_REALTIME] += 500 * MS;
        struct prng r = {seed};
        for (int i = 0; i < 100; i++) {
            uint64_t deadline = world_now(w, WORLD_MONOTONIC) + prng_below(&r, 50 * MS) + 1;
            assert_int_equal(OP(wait, NULL, 0, deadline), 0);
            assert_in_range(world_now(w, WORLD_MONOTONIC), deadline, deadline + 2);
        }
        w->ops->free(w);
    }
    assert_true(slower && faster);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse), cmocka_unit_test(test_same_again), cmocka_unit_test(test_timing),
        cmocka_unit_test(test_none),  cmocka_unit_test(test_shares),     cmocka_unit_test(test_dead),
        cmocka_unit_test(test_stall), cmocka_unit_test(test_delay),      cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
