/* Waiting for pipes, timers and wakes; background workers. */
#include "base/must.h"
#include "tree.h"
#include "world/os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct world *w;
#define OP(op, ...) w->ops->op(w, __VA_ARGS__)

static int set_up(void **state) {
    (void)state;
    w = world_os_new();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    w->ops->free(w);
    return 0;
}

enum { MS = 1000000 };

static uint64_t in_ms(uint64_t ms) {
    return world_now(w, WORLD_MONOTONIC) + ms * MS;
}

static void test_timer(void **state) {
    (void)state;
    uint64_t deadline = in_ms(5);
    assert_int_equal(OP(wait, NULL, 0, deadline), 0);
    assert_true(world_now(w, WORLD_MONOTONIC) >= deadline);
    assert_int_equal(OP(wait, NULL, 0, 0), 0); /* long past */
}

static void test_pipes(void **state) {
    (void)state;
    int p[2], q[2];
    assert_int_equal(pipe(p), 0);
    assert_int_equal(pipe(q), 0);
    struct world_poll polls[] = {
        {p[0], WORLD_READABLE, 9, 9}, {q[0], WORLD_READABLE, 9, 9}, {p[1], WORLD_WRITABLE, 9, 9}};
    assert_int_equal(OP(wait, polls, 2, in_ms(2)), 0);
    assert_int_equal(polls[0].got, 0);
    assert_int_equal(OP(wait, polls, 3, UINT64_MAX), 1);
    assert_int_equal(polls[2].got, WORLD_WRITABLE);
    assert_int_equal(write(q[1], "abc", 3), 3);
    assert_int_equal(OP(wait, polls, 2, UINT64_MAX), 1);
    assert_int_equal(polls[0].got, 0);
    assert_int_equal(polls[1].got, WORLD_READABLE);
    assert_int_equal(polls[1].nbytes, 3);
    close(p[1]);
    assert_int_equal(OP(wait, polls, 1, UINT64_MAX), 1);
    assert_int_equal(polls[0].got, WORLD_HANGUP);
    close(p[0]);
    assert_int_equal(OP(wait, polls, 1, UINT64_MAX), 1);
    assert_true(polls[0].got & WORLD_ERROR); /* no such descriptor */
    close(q[0]);
    polls[0] = (struct world_poll){.fd = q[1], .want = WORLD_WRITABLE};
    assert_int_equal(OP(wait, polls, 1, UINT64_MAX), 1);
    assert_true(polls[0].got & WORLD_ERROR);
    close(q[1]);
}

static void test_many(void **state) {
    (void)state;
    struct world_poll polls[200];
    int ends[200];
    for (int i = 0; i < 200; i++) {
        int p[2];
        assert_int_equal(pipe(p), 0);
        polls[i] = (struct world_poll){.fd = p[0], .want = WORLD_READABLE};
        ends[i] = p[1];
    }
    assert_int_equal(write(ends[77], "x", 1), 1);
    assert_int_equal(write(ends[199], "xy", 2), 2);
    assert_int_equal(OP(wait, polls, 200, UINT64_MAX), 2);
    assert_int_equal(polls[77].nbytes, 1);
    assert_int_equal(polls[199].nbytes, 2);
    for (int i = 0; i < 200; i++) {
        close(polls[i].fd);
        close(ends[i]);
    }
}

static void test_regular_file_is_ready(void **state) {
    (void)state;
    tree_new();
    tree_file("f", "12345");
    int fd = openat(tree_fd(), "f", O_RDWR);
    assert_int_equal(lseek(fd, 2, SEEK_SET), 2);
    struct world_poll p = {.fd = fd, .want = WORLD_READABLE | WORLD_WRITABLE};
    assert_int_equal(OP(wait, &p, 1, UINT64_MAX), 1);
    assert_int_equal(p.got, WORLD_READABLE | WORLD_WRITABLE);
    assert_int_equal(p.nbytes, 3);
    close(fd);
    tree_remove();
}

static void test_wake_is_sticky(void **state) {
    (void)state;
    w->ops->wake(w);
    w->ops->wake(w);
    assert_int_equal(OP(wait, NULL, 0, UINT64_MAX), 0);
    uint64_t deadline = in_ms(2);
    assert_int_equal(OP(wait, NULL, 0, deadline), 0); /* but only once */
    assert_true(world_now(w, WORLD_MONOTONIC) >= deadline);
}

static void *wake_soon(void *arg) {
    (void)arg;
    usleep(2000);
    w->ops->wake(w);
    return NULL;
}

static void test_wake_from_thread(void **state) {
    (void)state;
    int p[2];
    assert_int_equal(pipe(p), 0);
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, wake_soon, NULL), 0);
    struct world_poll poll = {.fd = p[0], .want = WORLD_READABLE};
    assert_int_equal(OP(wait, &poll, 1, UINT64_MAX), 0);
    pthread_join(t, NULL);
    close(p[0]);
    close(p[1]);
}

static void on_alarm(int sig) {
    (void)sig;
    w->ops->wake(w);
}

static void test_wake_from_signal(void **state) {
    (void)state;
    struct sigaction sa = {.sa_handler = on_alarm}, before;
    assert_int_equal(sigaction(SIGUSR1, &sa, &before), 0);
    assert_int_equal(raise(SIGUSR1), 0);
    assert_int_equal(OP(wait, NULL, 0, UINT64_MAX), 0);
    sigaction(SIGUSR1, &before, NULL);
}

static void test_accept(void **state) {
    (void)state;
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    /* bound to a name that the kernel chooses */
    struct sockaddr address = {.sa_family = AF_UNIX};
    assert_int_equal(bind(s, &address, sizeof address.sa_family), 0);
    assert_int_equal(listen(s, 4), 0);
    assert_int_equal(OP(accept, s, 0), -EAGAIN);
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    assert_int_equal(getsockname(s, (struct sockaddr *)&name, &size), 0);
    int c = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(c, (struct sockaddr *)&name, size), 0);
    struct world_poll p = {.fd = s, .want = WORLD_READABLE};
    assert_int_equal(OP(wait, &p, 1, UINT64_MAX), 1);
    int a = OP(accept, s, 0);
    assert_true(a > 2);
    char byte;
    struct iovec v = {&byte, 1};
    assert_int_equal(OP(readv, a, &v, 1), -EAGAIN);
    close(c);
    assert_int_equal(OP(readv, a, &v, 1), 0);
    OP(close, a);
    close(s);
}

/* ---- workers ---- */

static void count(void *arg) {
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void test_worker(void **state) {
    (void)state;
    atomic_int runs = 0;
    struct world_worker *k = OP(worker_new, count, &runs, 0);
    w->ops->worker_drain(w, k);
    assert_int_equal(runs, 0);
    for (int i = 1; i <= 100; i++) {
        w->ops->worker_kick(w, k);
        w->ops->worker_drain(w, k);
        assert_int_equal(runs, i);
    }
    for (int i = 0; i < 1000; i++)
        w->ops->worker_kick(w, k);
    w->ops->worker_drain(w, k);
    assert_true(runs > 100 && runs <= 1100);
    int before = runs;
    w->ops->worker_kick(w, k);
    w->ops->worker_free(w, k); /* drains */
    assert_int_equal(runs, before + 1);
}

static void test_worker_period(void **state) {
    (void)state;
    atomic_int runs = 0;
    struct world_worker *k = OP(worker_new, count, &runs, 1);
    while (atomic_load(&runs) < 3)
        usleep(500);
    w->ops->worker_free(w, k);
}

/* A run must see all that was written before the kick that it serves. */
struct slot {
    atomic_int written, seen;
};

static void see(void *arg) {
    struct slot *s = arg;
    atomic_store(&s->seen, atomic_load(&s->written));
}

static void test_worker_sees_what_was_before_the_kick(void **state) {
    (void)state;
    struct slot s = {0, 0};
    struct world_worker *k = OP(worker_new, see, &s, 0);
    for (int i = 1; i < 2000; i++) {
        atomic_store(&s.written, i);
        w->ops->worker_kick(w, k);
        if (i % 7 == 0) {
            w->ops->worker_drain(w, k);
            assert_int_equal(s.seen, i);
        }
    }
    w->ops->worker_free(w, k);
    assert_int_equal(s.seen, 1999);
}

/* A kick while it runs makes it run once more. */
struct gate {
    atomic_int runs;
    int entered[2], leave[2];
};

static void run_through_gate(void *arg) {
    struct gate *g = arg;
    char byte = 0;
    atomic_fetch_add(&g->runs, 1);
    must(write(g->entered[1], &byte, 1) == 1);
    must(read(g->leave[0], &byte, 1) == 1);
}

static void test_kick_while_running(void **state) {
    (void)state;
    struct gate g = {0};
    assert_int_equal(pipe(g.entered), 0);
    assert_int_equal(pipe(g.leave), 0);
    struct world_worker *k = OP(worker_new, run_through_gate, &g, 0);
    char bytes[2] = {0};
    w->ops->worker_kick(w, k);
    assert_int_equal(read(g.entered[0], bytes, 1), 1);
    w->ops->worker_kick(w, k);
    w->ops->worker_kick(w, k);
    assert_int_equal(write(g.leave[1], bytes, 2), 2);
    w->ops->worker_drain(w, k);
    assert_int_equal(g.runs, 2);
    w->ops->worker_free(w, k);
    for (int i = 0; i < 2; i++) {
        close(g.entered[i]);
        close(g.leave[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timer),
        cmocka_unit_test(test_pipes),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_regular_file_is_ready),
        cmocka_unit_test(test_wake_is_sticky),
        cmocka_unit_test(test_wake_from_thread),
        cmocka_unit_test(test_wake_from_signal),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_worker),
        cmocka_unit_test(test_kick_while_running),
        cmocka_unit_test(test_worker_period),
        cmocka_unit_test(test_worker_sees_what_was_before_the_kick),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
