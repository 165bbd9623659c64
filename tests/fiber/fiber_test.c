/* Fibers over the machine: order, waits that let others run, wakes, look-ups and files on threads, thousands. */
#include "base/must.h"
#include "world/fiber/fiber.h"
#include "world/os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define OP(op, ...) (world->ops->op(world, ##__VA_ARGS__))

static struct world *os;
static struct fibers *fibers;
static struct world *world;
static char trace[4096];

static int set_up(void **state) {
    (void)state;
    os = world_os_new();
    fibers = fibers_new(os);
    world = fibers_world(fibers);
    trace[0] = '\0';
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    fibers_free(fibers);
    os->ops->free(os);
    return 0;
}

static void run_all(void) {
    while (fibers_turn(fibers, UINT64_MAX))
        ;
}

static void say(const char *word) {
    size_t n = strlen(trace);
    snprintf(trace + n, sizeof trace - n, "%s ", word);
}

static uint64_t in_ms(uint64_t ms) {
    return world_now(os, WORLD_MONOTONIC) + ms * 1000000;
}

/* ---- order ------------------------------------------------------------------------------------------------------- */

static void says_twice(void *arg) {
    say(arg);
    OP(wait, NULL, 0, in_ms(1));
    say(arg);
}

static void fibers_run_in_the_order_they_began(void **state) {
    (void)state;
    fiber_start(fibers, says_twice, "a");
    fiber_start(fibers, says_twice, "b");
    fiber_start(fibers, says_twice, "c");
    run_all();
    assert_string_equal(trace, "a b c a b c ");
}

struct sleeper {
    const char *name;
    uint64_t ms;
};

static void sleeps(void *arg) {
    const struct sleeper *s = arg;
    OP(wait, NULL, 0, in_ms(s->ms));
    say(s->name);
}

static void shorter_sleeps_end_first(void **state) {
    (void)state;
    static struct sleeper list[] = {{"30", 30}, {"1", 1}, {"20", 20}, {"10", 10}};
    for (size_t i = 0; i < 4; i++)
        fiber_start(fibers, sleeps, &list[i]);
    run_all();
    assert_string_equal(trace, "1 10 20 30 ");
}

/* ---- waiting for each other -------------------------------------------------------------------------------------- */

static int pair[2];

static void reads(void *arg) {
    char c[8];
    struct iovec v = {c, sizeof c};
    (void)arg;
    struct world_poll p = {.fd = pair[0], .want = WORLD_READABLE};
    assert_int_equal(OP(readv, pair[0], &v, 1), -EAGAIN);
    assert_int_equal(OP(wait, &p, 1, UINT64_MAX), 1);
    assert_int_equal(p.got, WORLD_READABLE);
    assert_int_equal(OP(readv, pair[0], &v, 1), 2);
    say("read");
}

static void writes(void *arg) {
    (void)arg;
    struct iovec v = {"hi", 2};
    OP(wait, NULL, 0, in_ms(3));
    say("write");
    assert_int_equal(OP(writev, pair[1], &v, 1), 2);
}

static void one_waits_for_the_other(void **state) {
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    fiber_start(fibers, reads, NULL);
    fiber_start(fibers, writes, NULL);
    run_all();
    assert_string_equal(trace, "write read ");
    OP(close, pair[0]);
    OP(close, pair[1]);
}

/* ---- wakes ------------------------------------------------------------------------------------------------------- */

static void waits_for_ever(void *arg) {
    assert_int_equal(OP(wait, NULL, 0, UINT64_MAX), 0);
    say(arg);
}

static struct fiber *sleeping;

static void wakes_the_other(void *arg) {
    (void)arg;
    say("wake");
    fiber_wake(sleeping);
}

static void a_wake_ends_a_wait(void **state) {
    (void)state;
    sleeping = fiber_start(fibers, waits_for_ever, "woken");
    fiber_start(fibers, wakes_the_other, NULL);
    run_all();
    assert_string_equal(trace, "wake woken ");
}

static void wakes_all(void *arg) {
    (void)arg;
    say("all");
    fibers_wake_all(fibers);
}

static void a_wake_of_all_ends_every_wait(void **state) {
    (void)state;
    fiber_start(fibers, waits_for_ever, "a");
    fiber_start(fibers, waits_for_ever, "b");
    fiber_start(fibers, wakes_all, NULL);
    run_all();
    char *all = strstr(trace, "all ");
    assert_non_null(all);
    assert_non_null(strstr(trace, "a "));
    assert_non_null(strstr(trace, "b "));
}

static void wake_alone(void *arg) {
    fibers_wake_all(arg);
}

static void one_alone_is_woken_too(void **state) {
    (void)state;
    struct world_worker *k = os->ops->worker_new(os, wake_alone, fibers, 5);
    fiber_start(fibers, waits_for_ever, "woken");
    run_all();
    os->ops->worker_free(os, k);
    assert_string_equal(trace, "woken ");
}

/* ---- fairness ---------------------------------------------------------------------------------------------------- */

static bool stop_computing;

static void computes(void *arg) {
    (void)arg;
    while (!stop_computing)
        fibers_yield(fibers);
    say("stopped");
}

static void sleeps_and_stops(void *arg) {
    (void)arg;
    for (int i = 0; i < 5; i++)
        OP(wait, NULL, 0, in_ms(1));
    say("slept");
    stop_computing = true;
}

static void who_computes_lets_others_run(void **state) {
    (void)state;
    stop_computing = false;
    fiber_start(fibers, computes, NULL);
    fiber_start(fibers, sleeps_and_stops, NULL);
    run_all();
    assert_string_equal(trace, "slept stopped ");
}

/* A reader that always has something to read must not keep the others from running. */
static void reads_without_end(void *arg) {
    (void)arg;
    char c[16];
    int zero = OP(open, WORLD_CWD, "/dev/zero", WORLD_READ, 0);
    while (!stop_computing) {
        struct iovec v = {c, sizeof c};
        assert_int_equal(OP(readv, zero, &v, 1), sizeof c);
    }
    OP(close, zero);
}

static void who_transfers_lets_others_run(void **state) {
    (void)state;
    stop_computing = false;
    fiber_start(fibers, reads_without_end, NULL);
    fiber_start(fibers, sleeps_and_stops, NULL);
    run_all();
    assert_string_equal(trace, "slept ");
}

/* ---- threads ----------------------------------------------------------------------------------------------------- */

static char path[] = "/tmp/aeon-fiber-XXXXXX";

static void reads_a_file(void *arg) {
    (void)arg;
    char c[1 << 16];
    struct iovec v = {c, sizeof c};
    int fd = OP(open, WORLD_CWD, path, WORLD_READ, 0);
    assert_true(fd >= 0);
    OP(advise, fd, 0, 0, POSIX_FADV_DONTNEED);
    uint64_t total = 0;
    for (int64_t n; (n = OP(readv, fd, &v, 1)) != 0; total += (uint64_t)n)
        assert_true(n > 0);
    assert_int_equal(total, 1 << 20);
    v.iov_len = 10;
    assert_int_equal(OP(preadv, fd, &v, 1, 100), 10);
    assert_int_equal(OP(sync, fd, true), 0);
    OP(close, fd);
    say("file");
}

static void files_are_read_beside_others(void **state) {
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    assert_int_equal(fsync(fd), 0);
    close(fd);
    for (int i = 0; i < 8; i++)
        fiber_start(fibers, reads_a_file, NULL);
    run_all();
    unlink(path);
    assert_string_equal(trace, "file file file file file file file file ");
}

static void looks_up(void *arg) {
    struct world_found found[WORLD_MAX_FOUND];
    struct world_query q = {.name = arg, .service = "80", .type = WORLD_STREAM};
    int n = OP(resolve, &q, found, WORLD_MAX_FOUND, NULL);
    assert_true(n > 0);
    assert_int_equal(found[0].addr.port, 80);
    say("found");
}

static void names_are_looked_up_beside_others(void **state) {
    (void)state;
    fiber_start(fibers, looks_up, "127.0.0.1");
    fiber_start(fibers, looks_up, "::1");
    fiber_start(fibers, says_twice, "x");
    run_all();
    assert_non_null(strstr(trace, "found"));
}

static void gives_up(void *arg) {
    (void)arg;
    struct world_found found[1];
    struct world_query q = {.name = "127.0.0.1"};
    int n = OP(resolve, &q, found, 1, NULL);
    assert_true(n == -EINTR || n == 1);
    say("gave up");
}

static void a_look_up_can_be_given_up(void **state) {
    (void)state;
    sleeping = fiber_start(fibers, gives_up, NULL);
    fiber_start(fibers, wakes_the_other, NULL);
    run_all();
    /* the answer comes after its asker is gone */
    uint64_t until = in_ms(20);
    while (world_now(os, WORLD_MONOTONIC) < until)
        os->ops->turn(os, until);
    assert_string_equal(trace, "wake gave up ");
}

/* ---- many -------------------------------------------------------------------------------------------------------- */

enum { MANY = 3000 };
static uint32_t hops;

static void hops_three_times(void *arg) {
    (void)arg;
    for (int i = 0; i < 3; i++) {
        OP(wait, NULL, 0, in_ms(1 + hops % 7));
        hops++;
    }
}

static void thousands_wait_at_once(void **state) {
    (void)state;
    hops = 0;
    for (int i = 0; i < MANY; i++)
        fiber_start(fibers, hops_three_times, NULL);
    run_all();
    assert_int_equal(hops, 3 * MANY);
    for (int i = 0; i < 10; i++) /* on stacks that were used before */
        fiber_start(fibers, hops_three_times, NULL);
    run_all();
    assert_int_equal(hops, 3 * MANY + 30);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(fibers_run_in_the_order_they_began),
        TEST(shorter_sleeps_end_first),
        TEST(one_waits_for_the_other),
        TEST(a_wake_ends_a_wait),
        TEST(a_wake_of_all_ends_every_wait),
        TEST(one_alone_is_woken_too),
        TEST(who_computes_lets_others_run),
        TEST(who_transfers_lets_others_run),
        TEST(files_are_read_beside_others),
        TEST(names_are_looked_up_beside_others),
        TEST(a_look_up_can_be_given_up),
        TEST(thousands_wait_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
