/* Many waits on one thread, and jobs off it. */
#include "base/prng.h"
#include "tree.h"
#include "world/os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

/* ---- helpers ---- */

enum { POLLS = 4, NEVER_HAPPENS_S = 30 };

/* A wait that counts its looks. */
struct one {
    struct world_wait wait; /* first */
    struct world_poll polls[POLLS];
    int looks;
    int when; /* of the last look, among all */
    void (*also)(struct one *);
};

static int all_looks;

static void look(struct world_wait *wait) {
    struct one *o = (struct one *)wait;
    assert_null(wait->inside);
    o->looks++;
    o->when = ++all_looks;
    if (o->also)
        o->also(o);
}

static void begin(struct one *o) {
    o->wait.look = look;
    o->wait.polls = o->polls;
    OP(wait_begin, &o->wait);
}

static void end(struct one *o) {
    OP(wait_end, &o->wait);
    assert_null(o->wait.inside);
}

static void begin_on(struct one *o, int fd, uint32_t want) {
    o->wait.n = 1;
    o->wait.deadline_ns = UINT64_MAX;
    o->polls[0] = (struct world_poll){.fd = fd, .want = want};
    begin(o);
}

static int turn_now(void) {
    return OP(turn, 0);
}

/* For what must come; the deadline is only there so that a failure is one. */
static int turn(void) {
    return OP(turn, world_now(w, WORLD_MONOTONIC) + NEVER_HAPPENS_S * 1000000000ull);
}

static void make_pair(int fds[2]) {
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

static void put(int fd, const char *text) {
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void drain(int fd) {
    char bytes[4096];
    while (read(fd, bytes, sizeof bytes) > 0)
        ;
}

static void close_both(int fds[2]) {
    OP(close, fds[0]);
    OP(close, fds[1]);
}

/* ---- descriptors ---- */

static void test_readable(void **state) {
    (void)state;
    int s[2];
    make_pair(s);
    struct one a = {0};
    begin_on(&a, s[0], WORLD_READABLE);
    assert_int_equal(turn_now(), 0);
    put(s[1], "x");
    assert_int_equal(turn(), 1);
    assert_int_equal(a.looks, 1);
    assert_int_equal(turn_now(), 0); /* once for each begin */
    put(s[1], "y");
    assert_int_equal(turn_now(), 0);
    assert_int_equal(a.looks, 1);
    begin_on(&a, s[0], WORLD_READABLE); /* holds already */
    assert_int_equal(a.looks, 1);       /* but begin never calls */
    assert_int_equal(turn(), 1);
    begin_on(&a, s[0], WORLD_READABLE); /* and still */
    assert_int_equal(turn(), 1);
    drain(s[0]);
    begin_on(&a, s[0], WORLD_READABLE);
    assert_int_equal(turn_now(), 0);
    put(s[1], "z");
    assert_int_equal(turn(), 1);
    assert_int_equal(a.looks, 4);
    close_both(s);
}

/* The same with a look at the level, as waiters do it, which makes the next begin cheaper. */
static void test_level_in_between(void **state) {
    (void)state;
    int s[2];
    make_pair(s);
    struct one a = {0};
    struct world_poll p = {.fd = s[0], .want = WORLD_READABLE};
    for (int i = 1; i <= 100; i++) {
        assert_int_equal(OP(wait, &p, 1, 0), 0);
        begin_on(&a, s[0], WORLD_READABLE);
        assert_int_equal(turn_now(), 0);
        put(s[1], "x");
        assert_int_equal(turn(), 1);
        assert_int_equal(a.looks, i);
        assert_int_equal(OP(wait, &p, 1, 0), 1);
        if (i % 3 == 0) { /* comes between the look and the begin */
            drain(s[0]);
            assert_int_equal(OP(wait, &p, 1, 0), 0);
            put(s[1], "x");
            begin_on(&a, s[0], WORLD_READABLE);
            assert_int_equal(turn(), 1);
            a.looks--;
        }
        drain(s[0]);
    }
    close_both(s);
}

static void fill(int fd) {
    char bytes[4096] = {0};
    while (write(fd, bytes, sizeof bytes) > 0)
        ;
}

static void test_writable_and_hangup(void **state) {
    (void)state;
    int s[2];
    make_pair(s);
    struct one a = {0}, b = {0};
    begin_on(&a, s[0], WORLD_WRITABLE);
    assert_int_equal(turn(), 1);
    fill(s[0]);
    begin_on(&a, s[0], WORLD_WRITABLE);
    begin_on(&b, s[0], WORLD_READABLE);
    assert_int_equal(turn_now(), 0);
    drain(s[1]);
    assert_int_equal(turn(), 1);
    assert_int_equal(a.looks, 2);
    assert_int_equal(shutdown(s[1], SHUT_WR), 0);
    assert_int_equal(turn(), 1);
    assert_int_equal(b.looks, 1);
    fill(s[0]);
    begin_on(&a, s[0], WORLD_WRITABLE); /* the half that ended is the other one */
    assert_int_equal(turn_now(), 0);
    OP(close, s[1]);
    assert_int_equal(turn(), 1);
    begin_on(&a, s[0], 0); /* hanging up comes unasked */
    assert_int_equal(turn(), 1);
    OP(close, s[0]);
}

static void test_pipes_stay_as_they_are(void **state) {
    (void)state;
    int p[2];
    assert_int_equal(pipe(p), 0);
    struct one a = {0}, b = {0};
    begin_on(&a, p[0], WORLD_READABLE);
    begin_on(&b, p[1], WORLD_WRITABLE);
    assert_int_equal(turn(), 1);
    assert_int_equal(b.looks, 1);
    put(p[1], "x");
    assert_int_equal(turn(), 1);
    assert_int_equal(a.looks, 1);
    assert_false(fcntl(p[0], F_GETFL) & O_NONBLOCK);
    assert_false(fcntl(p[1], F_GETFL) & O_NONBLOCK);
    OP(close, p[1]);
    char byte;
    assert_int_equal(read(p[0], &byte, 1), 1);
    begin_on(&a, p[0], WORLD_READABLE);
    assert_int_equal(turn(), 1);
    OP(close, p[0]);
}

static void test_what_is_always_ready(void **state) {
    (void)state;
    tree_new();
    tree_file("f", "x");
    int dir = OP(open, tree_fd(), ".", WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
    int fds[] = {OP(open, dir, "f", WORLD_READ, 0), OP(open, WORLD_CWD, "/dev/null", WORLD_READ, 0), dir, 1000000,
                 1 << 30};
    struct one a = {0};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        for (int twice = 1; twice <= 2; twice++) {
            begin_on(&a, fds[i], WORLD_READABLE);
            assert_int_equal(turn(), 1);
        }
    begin_on(&a, -1, WORLD_READABLE | WORLD_WRITABLE); /* as for poll(2) */
    assert_int_equal(turn_now(), 0);
    end(&a);
    for (int i = 0; i < 3; i++)
        OP(close, fds[i]);
    tree_remove();
}

static void test_one_descriptor_many_waits(void **state) {
    (void)state;
    int s[2];
    make_pair(s);
    struct one a = {0}, b = {0}, c = {0}, d = {0};
    /* several times in one wait */
    a.wait.n = 3;
    a.wait.deadline_ns = UINT64_MAX;
    for (int i = 0; i < 3; i++)
        a.polls[i] = (struct world_poll){.fd = s[0], .want = WORLD_READABLE};
    begin_on(&b, s[0], WORLD_READABLE);
    begin(&a);
    begin_on(&c, s[0], WORLD_READABLE);
    int again = OP(dup, s[0]);
    begin_on(&d, again, WORLD_READABLE);
    assert_int_equal(turn_now(), 0);
    put(s[1], "x");
    int calls = turn();
    while (calls < 4) /* two descriptors make two events */
        calls += turn();
    assert_int_equal(calls, 4);
    assert_int_equal(a.looks + b.looks + c.looks + d.looks, 4);
    /* reading from one takes it from the other */
    drain(s[0]);
    begin_on(&d, again, WORLD_READABLE);
    assert_int_equal(turn_now(), 0);
    /* a second descriptor does not end the wait of the first, nor keeps it */
    begin_on(&a, s[0], WORLD_READABLE);
    assert_int_equal(OP(close, s[0]), 0);
    assert_int_equal(turn(), 1);
    assert_int_equal(a.looks, 2);
    put(s[1], "x");
    assert_int_equal(turn(), 1);
    assert_int_equal(d.looks, 2);
    OP(close, again);
    OP(close, s[1]);
}

static void *close_it(void *arg) {
    OP(close, *(int *)arg);
    return NULL;
}

static void test_closed_while_waited_for(void **state) {
    (void)state;
    struct one a = {0}, b = {0};
    for (int i = 0; i < 20; i++) {
        int s[2], t[2];
        make_pair(s);
        begin_on(&a, s[0], WORLD_READABLE);
        begin_on(&b, s[0], WORLD_READABLE);
        int number = s[0];
        OP(close, s[0]);
        make_pair(t); /* takes the number */
        assert_int_equal(t[0], number);
        assert_int_equal(turn(), 2);
        /* the new owner of the number is its own */
        begin_on(&a, t[0], WORLD_READABLE);
        assert_int_equal(turn_now(), 0);
        put(t[1], "x");
        assert_int_equal(turn(), 1);
        drain(t[0]);
        /* by another thread */
        begin_on(&a, t[0], WORLD_READABLE);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, close_it, &t[0]), 0);
        int calls = turn();
        assert_int_equal(calls, 1);
        assert_int_equal(pthread_join(thread, NULL), 0);
        turn_now(); /* its wake, perhaps */
        OP(close, s[1]);
        OP(close, t[1]);
    }
    assert_int_equal(a.looks, 60);
    assert_int_equal(b.looks, 20);
}

/* A number that becomes another socket's: waits for the old one are over, and the new one is waited for as any. */
static void test_moved_while_waited_for(void **state) {
    (void)state;
    struct one a = {0}, b = {0};
    for (int i = 0; i < 20; i++) {
        int s[2], t[2];
        assert_int_equal(OP(pair, WORLD_STREAM, s), 0);
        assert_int_equal(OP(pair, WORLD_STREAM, t), 0);
        int other_name = i % 2 ? OP(dup, s[0]) : -1;
        begin_on(&a, s[0], WORLD_READABLE);
        begin_on(&b, t[0], WORLD_READABLE);
        assert_int_equal(turn_now(), 0);
        assert_int_equal(OP(move, t[0], s[0]), 0);
        assert_int_equal(turn(), 2);
        begin_on(&a, s[0], WORLD_READABLE);
        assert_int_equal(turn_now(), 0);
        if (other_name >= 0)
            put(s[1], "for the old one");
        assert_int_equal(turn_now(), 0);
        put(t[1], "x");
        assert_int_equal(turn(), 1);
        /* what cannot be moved stays as it was, and waited for */
        drain(s[0]);
        assert_int_equal(OP(move, s[0], 1 << 30), -EBADF);
        begin_on(&a, s[0], WORLD_READABLE);
        assert_int_equal(turn_now(), 0);
        put(t[1], "y");
        assert_int_equal(turn(), 1);
        OP(close, s[0]);
        OP(close, s[1]);
        OP(close, t[1]);
        if (other_name >= 0)
            OP(close, other_name);
    }
    assert_int_equal(a.looks, 60);
    assert_int_equal(b.looks, 20);
}

static void test_sockets_of_tcp(void **state) {
    (void)state;
    struct addr addr = {.family = ADDR_INET, .ip = {127, 0, 0, 1}};
    int l = OP(socket, ADDR_INET, WORLD_STREAM);
    assert_int_equal(OP(bind, l, &addr), 0);
    struct one a = {0}, b = {0};
    begin_on(&a, l, WORLD_READABLE); /* not even listening: hung up, the kernel says */
    assert_int_equal(turn(), 1);
    assert_int_equal(OP(listen, l, 4), 0);
    assert_int_equal(OP(local_addr, l, &addr), 0);
    begin_on(&a, l, WORLD_READABLE);
    assert_int_equal(turn_now(), 0);
    int c = OP(socket, ADDR_INET, WORLD_STREAM);
    assert_int_equal(OP(connect, c, &addr), -EINPROGRESS);
    begin_on(&b, c, WORLD_WRITABLE);
    while (a.looks < 2 || b.looks < 1)
        assert_true(turn() > 0);
    int s = OP(accept, l, 0);
    assert_true(s > 2);
    assert_int_equal(OP(accept, l, 0), -EAGAIN);
    begin_on(&a, l, WORLD_READABLE);
    assert_int_equal(turn_now(), 0);
    begin_on(&b, s, WORLD_READABLE);
    assert_int_equal(OP(shutdown, c, WORLD_SHUT_WR), 0);
    assert_int_equal(turn(), 1);
    assert_int_equal(b.looks, 2);
    end(&a);
    OP(close, s);
    OP(close, c);
    OP(close, l);
}

/* ---- timers, wakes, ends ---- */

static void test_deadlines(void **state) {
    (void)state;
    enum { N = 200 };
    static struct one waits[N];
    memset(waits, 0, sizeof waits);
    struct prng rng;
    rng.state = 7;
    uint64_t start = world_now(w, WORLD_MONOTONIC);
    for (int i = 0; i < N; i++) {
        waits[i].wait.deadline_ns = start + prng_below(&rng, 20) * 100000; /* many ties */
        begin(&waits[i]);
    }
    for (int i = 0; i < N; i += 7)
        end(&waits[i]);
    int calls = 0, expected = N - (N + 6) / 7;
    while (calls < expected)
        calls += turn();
    assert_int_equal(calls, expected);
    assert_true(world_now(w, WORLD_MONOTONIC) >= start);
    for (int i = 0; i < N; i++) {
        assert_int_equal(waits[i].looks, i % 7 != 0);
        for (int j = 0; j < i; j++) /* by deadline, then by begin */
            if (waits[i].looks && waits[j].looks)
                assert_int_equal(waits[j].when < waits[i].when, waits[j].wait.deadline_ns <= waits[i].wait.deadline_ns);
    }
}

static void test_turn_waits_for_the_time(void **state) {
    (void)state;
    struct one a = {0};
    uint64_t deadline = world_now(w, WORLD_MONOTONIC) + 3000000;
    assert_int_equal(OP(turn, deadline), 0);
    assert_true(world_now(w, WORLD_MONOTONIC) >= deadline);
    a.wait.deadline_ns = world_now(w, WORLD_MONOTONIC) + 3000000;
    begin(&a);
    assert_int_equal(turn_now(), 0);
    assert_int_equal(OP(turn, UINT64_MAX), 1);
    assert_true(world_now(w, WORLD_MONOTONIC) >= a.wait.deadline_ns);
    a.wait.deadline_ns = 0; /* long past */
    begin(&a);
    assert_int_equal(turn_now(), 1);
    /* a descriptor is faster than the deadline, which then does not come */
    int s[2];
    make_pair(s);
    begin_on(&a, s[0], WORLD_READABLE);
    end(&a);
    a.wait.deadline_ns = world_now(w, WORLD_MONOTONIC) + 2000000;
    begin(&a);
    put(s[1], "x");
    assert_int_equal(turn(), 1);
    while (world_now(w, WORLD_MONOTONIC) < a.wait.deadline_ns)
        ;
    assert_int_equal(turn_now(), 0);
    close_both(s);
}

static void *wake_it(void *arg) {
    (void)arg;
    usleep(2000);
    w->ops->wake(w);
    return NULL;
}

static void test_wake(void **state) {
    (void)state;
    struct one a = {0};
    int s[2];
    make_pair(s);
    begin_on(&a, s[0], WORLD_READABLE);
    w->ops->wake(w);
    w->ops->wake(w);
    assert_int_equal(OP(turn, UINT64_MAX), 0);
    struct world_poll p = {.fd = s[0], .want = WORLD_READABLE};
    w->ops->wake(w);
    assert_int_equal(OP(wait, &p, 1, 0), 0); /* does not wait, so it was not meant */
    assert_int_equal(OP(turn, UINT64_MAX), 0);
    w->ops->wake(w);
    assert_int_equal(OP(wait, &p, 1, UINT64_MAX), 0);
    uint64_t deadline = world_now(w, WORLD_MONOTONIC) + 2000000;
    assert_int_equal(OP(turn, deadline), 0);
    assert_true(world_now(w, WORLD_MONOTONIC) >= deadline); /* had been taken */
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_it, NULL), 0);
    assert_int_equal(OP(turn, UINT64_MAX), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    end(&a);
    close_both(s);
}

static struct one other;

static void end_the_other(struct one *o) {
    (void)o;
    end(&other);
    end(&other);
}

static void begin_once_more(struct one *o) {
    if (o->looks < 3)
        begin(o);
}

static void test_end(void **state) {
    (void)state;
    int s[2];
    make_pair(s);
    struct one a = {0};
    end(&a); /* never begun */
    begin_on(&a, s[0], WORLD_READABLE);
    end(&a);
    end(&a);
    put(s[1], "x");
    assert_int_equal(turn_now(), 0);
    /* of one that the same turn would have called */
    memset(&other, 0, sizeof other);
    begin_on(&other, s[0], WORLD_READABLE); /* both are ready at once */
    end(&other);
    a.also = end_the_other;
    begin_on(&a, s[0], WORLD_READABLE);
    begin_on(&other, s[0], WORLD_READABLE);
    assert_int_equal(turn(), 1);
    assert_int_equal(other.looks, 0);
    /* a look that begins again has its next look in the next turn */
    a.also = begin_once_more;
    a.looks = 0;
    begin_on(&a, s[0], WORLD_READABLE);
    assert_int_equal(turn(), 1);
    assert_int_equal(turn(), 1);
    assert_int_equal(turn(), 1);
    assert_int_equal(turn_now(), 0);
    assert_int_equal(a.looks, 3);
    close_both(s);
}

/* ---- many ---- */

static void test_thousand(void **state) {
    (void)state;
    enum { N = 1000 };
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 2 * N + 64)
        skip();
    struct rlimit more = {.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &more), 0);
    static struct one waits[N];
    static int pairs[N][2];
    memset(waits, 0, sizeof waits);
    for (int i = 0; i < N; i++) {
        make_pair(pairs[i]);
        begin_on(&waits[i], pairs[i][0], WORLD_READABLE);
    }
    assert_int_equal(turn_now(), 0);
    struct prng rng;
    rng.state = 1;
    for (int round = 0; round < 3000; round++) {
        int i = (int)prng_below(&rng, N), before = waits[i].looks;
        put(pairs[i][1], "x");
        assert_int_equal(turn(), 1);
        assert_int_equal(waits[i].looks, before + 1);
        drain(pairs[i][0]);
        begin_on(&waits[i], pairs[i][0], WORLD_READABLE);
    }
    for (int i = 0; i < N; i++) /* more events than one turn takes */
        put(pairs[i][1], "x");
    int calls = 0;
    while (calls < N) {
        int n = turn();
        assert_true(n > 0);
        calls += n;
    }
    assert_int_equal(calls, N);
    for (int i = 0; i < N; i++)
        close_both(pairs[i]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Random operations; the model is poll(2) over all there is. After turns until none calls anything, no wait may be left
 * for which something holds. */
enum { SOURCES = 10, WAITS = 16 };

struct stress {
    struct prng rng;
    int fds[SOURCES][2];
    struct one waits[WAITS];
};

static void source_open(struct stress *s, int i) {
    if (prng_below(&s->rng, 3) == 0)
        assert_int_equal(pipe2(s->fds[i], O_NONBLOCK | O_CLOEXEC), 0);
    else
        make_pair(s->fds[i]);
}

static bool level(const struct one *o) {
    struct pollfd p[POLLS];
    for (int i = 0; i < o->wait.n; i++) {
        short events = o->polls[i].want & WORLD_READABLE ? POLLIN | POLLRDHUP : 0;
        events |= o->polls[i].want & WORLD_WRITABLE ? POLLOUT : 0;
        p[i] = (struct pollfd){.fd = o->polls[i].fd, .events = events};
    }
    return poll(p, (nfds_t)o->wait.n, 0) > 0;
}

static void stress_begin(struct stress *s, struct one *o) {
    if (o->wait.inside) {
        end(o);
        return;
    }
    o->wait.n = (int)prng_below(&s->rng, POLLS + 1);
    for (int i = 0; i < o->wait.n; i++)
        o->polls[i] = (struct world_poll){
            .fd = s->fds[prng_below(&s->rng, SOURCES)][prng_below(&s->rng, 2)],
            .want = (uint32_t)prng_below(&s->rng, 4),
        };
    o->wait.deadline_ns =
        prng_below(&s->rng, 8) == 0 ? world_now(w, WORLD_MONOTONIC) + prng_below(&s->rng, 50000) : UINT64_MAX;
    if (prng_below(&s->rng, 2) && o->wait.n > 0)
        OP(wait, o->polls, o->wait.n, 0); /* takes from what was seen */
    begin(o);
}

static void stress_one(struct stress *s) {
    int i = (int)prng_below(&s->rng, SOURCES), side = (int)prng_below(&s->rng, 2);
    char byte = 0;
    switch (prng_below(&s->rng, 12)) {
    case 0:
    case 1:
    case 2: stress_begin(s, &s->waits[prng_below(&s->rng, WAITS)]); break;
    case 3:
    case 4: (void)!write(s->fds[i][side], &byte, 1); break;
    case 5: (void)!read(s->fds[i][side], &byte, 1); break;
    case 6: fill(s->fds[i][side]); break;
    case 7:
    case 8: drain(s->fds[i][side]); break;
    case 9: shutdown(s->fds[i][side], prng_below(&s->rng, 2) ? SHUT_RD : SHUT_WR); break;
    case 10:
        if (prng_below(&s->rng, 4) == 0) {
            close_both(s->fds[i]);
            source_open(s, i);
        }
        break;
    default: turn_now(); break;
    }
}

/* A wait for many finds exactly what poll(2) finds. */
static void check_wait_of_all(struct stress *s) {
    enum { N = SOURCES * 2 * 3 };
    struct world_poll polls[N];
    struct pollfd p[N];
    int expected = 0;
    for (int i = 0; i < N; i++) {
        uint32_t want = (uint32_t)i % 3 + 1;
        polls[i] = (struct world_poll){.fd = s->fds[i / 6][i / 3 % 2], .want = want, .got = 99, .nbytes = 99};
        p[i] = (struct pollfd){.fd = polls[i].fd};
        p[i].events = (short)((want & WORLD_READABLE ? POLLIN | POLLRDHUP : 0) | (want & WORLD_WRITABLE ? POLLOUT : 0));
    }
    assert_true(poll(p, N, 0) >= 0);
    int held = OP(wait, polls, N, prng_below(&s->rng, 2) ? 0 : 1);
    for (int i = 0; i < N; i++) {
        uint32_t got = (p[i].revents & (POLLIN | POLLRDHUP) && polls[i].want & WORLD_READABLE ? WORLD_READABLE : 0u) |
                       (p[i].revents & POLLOUT ? WORLD_WRITABLE : 0u) |
                       (p[i].revents & (POLLHUP | POLLRDHUP) ? WORLD_HANGUP : 0u) |
                       (p[i].revents & POLLERR ? WORLD_ERROR : 0u);
        assert_int_equal(polls[i].got, got);
        expected += got != 0;
    }
    assert_int_equal(held, expected);
}

static void test_stress(void **state) {
    (void)state;
    static struct stress s;
    memset(&s, 0, sizeof s);
    s.rng.state = 20261124;
    for (int i = 0; i < SOURCES; i++)
        source_open(&s, i);
    for (int round = 0; round < 20000; round++) {
        for (uint64_t n = prng_below(&s.rng, 6); n > 0; n--)
            stress_one(&s);
        if (prng_below(&s.rng, 4) == 0)
            check_wait_of_all(&s);
        while (turn_now() > 0)
            ;
        uint64_t now = world_now(w, WORLD_MONOTONIC);
        while (turn_now() > 0) /* deadlines up to `now` */
            ;
        for (int i = 0; i < WAITS; i++) {
            const struct one *o = &s.waits[i];
            if (o->wait.inside && (level(o) || o->wait.deadline_ns <= now))
                fail_msg("round %d: wait %d was lost", round, i);
        }
    }
    assert_true(all_looks > 10000);
    for (int i = 0; i < WAITS; i++)
        end(&s.waits[i]);
    for (int i = 0; i < SOURCES; i++)
        close_both(s.fds[i]);
}

/* An echo on this thread for clients on another, over real connections. */
enum { CLIENTS = 40, MESSAGES = 100 };

struct echo {
    struct one one; /* first */
    int fd;
    bool over;
};

static int echoes_over;

static void echo_look(struct one *o) {
    struct echo *e = (struct echo *)o;
    char bytes[512];
    struct iovec v = {bytes, sizeof bytes};
    for (;;) {
        v.iov_len = sizeof bytes;
        int64_t n = OP(readv, e->fd, &v, 1);
        if (n == -EAGAIN)
            break;
        if (n <= 0) {
            assert_int_equal(n, 0);
            e->over = true;
            echoes_over++;
            OP(close, e->fd);
            return;
        }
        v.iov_len = (size_t)n;
        assert_int_equal(OP(writev, e->fd, &v, 1), n);
    }
    begin_on(o, e->fd, WORLD_READABLE);
}

static void *clients(void *arg) {
    int *fds = arg;
    char sent[200], got[200];
    for (int m = 0; m < MESSAGES; m++) {
        for (int i = 0; i < CLIENTS; i++) {
            memset(sent, m + i, sizeof sent);
            if (write(fds[i], sent, sizeof sent) != sizeof sent)
                return "write";
        }
        for (int i = 0; i < CLIENTS; i++) {
            memset(sent, m + i, sizeof sent);
            if (recv(fds[i], got, sizeof got, MSG_WAITALL) != sizeof got || memcmp(sent, got, sizeof got) != 0)
                return "recv";
        }
    }
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    return NULL;
}

static void connect_all(struct echo *echoes, int *fds) {
    echoes_over = 0;
    struct addr addr = {.family = ADDR_INET, .ip = {127, 0, 0, 1}};
    int l = OP(socket, ADDR_INET, WORLD_STREAM);
    assert_int_equal(OP(bind, l, &addr), 0);
    assert_int_equal(OP(listen, l, 128), 0);
    assert_int_equal(OP(local_addr, l, &addr), 0);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = OP(socket, ADDR_INET, WORLD_STREAM);
        assert_int_equal(OP(connect, fds[i], &addr), -EINPROGRESS);
        struct world_poll p = {.fd = l, .want = WORLD_READABLE};
        assert_int_equal(OP(wait, &p, 1, UINT64_MAX), 1);
        assert_true((echoes[i].fd = OP(accept, l, 0)) > 2);
        assert_int_equal(fcntl(fds[i], F_SETFL, 0), 0);
    }
    OP(close, l);
}

static void test_echo(void **state) {
    (void)state;
    static struct echo echoes[CLIENTS];
    int fds[CLIENTS];
    memset(echoes, 0, sizeof echoes);
    connect_all(echoes, fds);
    for (int i = 0; i < CLIENTS; i++) {
        echoes[i].one.also = echo_look;
        begin_on(&echoes[i].one, echoes[i].fd, WORLD_READABLE);
    }
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, clients, fds), 0);
    while (echoes_over < CLIENTS)
        assert_true(turn() > 0);
    void *wrong;
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
}

/* The same by somebody who is alone and waits for all of them at once. */
static void test_echo_with_one_wait(void **state) {
    (void)state;
    static struct echo echoes[CLIENTS];
    int fds[CLIENTS];
    memset(echoes, 0, sizeof echoes);
    connect_all(echoes, fds);
    struct world_poll polls[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        polls[i] = (struct world_poll){.fd = echoes[i].fd, .want = WORLD_READABLE};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, clients, fds), 0);
    for (int open = CLIENTS; open > 0;) {
        assert_true(OP(wait, polls, CLIENTS, UINT64_MAX) > 0);
        for (int i = 0; i < CLIENTS; i++) {
            char bytes[512];
            if (!polls[i].got)
                continue;
            struct iovec v = {bytes, sizeof bytes};
            int64_t n = OP(readv, polls[i].fd, &v, 1);
            assert_true(n >= 0);
            v.iov_len = (size_t)n;
            if (n > 0) {
                assert_int_equal(OP(writev, polls[i].fd, &v, 1), n);
            } else {
                OP(close, polls[i].fd);
                polls[i].fd = -1;
                open--;
            }
        }
    }
    void *wrong;
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
}

/* What holds for a wait for few holds for one for many. */
static void test_wait_of_many(void **state) {
    (void)state;
    enum { N = 100 };
    int s[2];
    make_pair(s);
    struct world_poll polls[N];
    for (int i = 0; i < N; i++)
        polls[i] = (struct world_poll){.fd = i == 50 ? s[0] : -1, .want = WORLD_READABLE};
    struct one a = {0};
    begin_on(&a, s[0], WORLD_READABLE);
    uint64_t deadline = world_now(w, WORLD_MONOTONIC) + 2000000;
    assert_int_equal(OP(wait, polls, N, deadline), 0);
    assert_true(world_now(w, WORLD_MONOTONIC) >= deadline);
    w->ops->wake(w);
    assert_int_equal(OP(wait, polls, N, 0), 0); /* leaves the wake */
    assert_int_equal(OP(wait, polls, N, UINT64_MAX), 0);
    w->ops->wake(w);
    assert_int_equal(OP(wait, polls, N, 0), 0);
    assert_int_equal(OP(wait, polls, 1, UINT64_MAX), 0); /* for whoever waits next */
    w->ops->wake(w);
    assert_int_equal(OP(wait, polls, N, 0), 0);
    assert_int_equal(OP(turn, UINT64_MAX), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_it, NULL), 0);
    assert_int_equal(OP(wait, polls, N, UINT64_MAX), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    put(s[1], "abc");
    assert_int_equal(OP(wait, polls, N, UINT64_MAX), 1);
    assert_int_equal(polls[50].got, WORLD_READABLE);
    assert_int_equal(polls[50].nbytes, 3);
    assert_int_equal(OP(wait, polls, N, 1), 1);
    polls[50].want |= WORLD_UNCOUNTED;
    assert_int_equal(OP(wait, polls, N, UINT64_MAX), 1);
    assert_int_equal(polls[50].got, WORLD_READABLE);
    assert_int_equal(polls[50].nbytes, 0);
    assert_int_equal(a.looks, 0);
    assert_int_equal(turn_now(), 1); /* the wait of somebody else is not forgotten over it */
    polls[7] = (struct world_poll){.fd = 1000000, .want = WORLD_READABLE};
    assert_int_equal(OP(wait, polls, N, UINT64_MAX), 2);
    assert_int_equal(polls[7].got, WORLD_ERROR);
    close_both(s);
}

/* ---- jobs ---- */

struct task {
    struct world_job job; /* first */
    atomic_int started, ran;
    int dones;
    pthread_t thread;
    bool blocked;
    int gate; /* read from it first; -1: do not */
    struct task *then;
};

static int all_dones;

static void task_run(void *arg) {
    struct task *t = arg;
    char byte;
    atomic_store(&t->started, 1);
    if (t->gate >= 0)
        (void)!read(t->gate, &byte, 1);
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    t->blocked = sigismember(&set, SIGINT) && sigismember(&set, SIGUSR1);
    t->thread = pthread_self();
    atomic_fetch_add(&t->ran, 1);
}

static void task_start(struct task *t, enum world_lane lane);

static void task_done(struct world_job *job) {
    struct task *t = (struct task *)job;
    assert_int_equal(t->ran, 1);
    t->dones++;
    all_dones++;
    if (t->then)
        task_start(t->then, job->lane);
}

static void task_start(struct task *t, enum world_lane lane) {
    t->job = (struct world_job){.fn = task_run, .arg = t, .done = task_done, .lane = lane};
    OP(job, &t->job);
}

static void until_done(int n) {
    while (all_dones < n)
        turn();
    assert_int_equal(all_dones, n);
    assert_int_equal(turn_now(), 0);
}

static void test_jobs(void **state) {
    (void)state;
    all_dones = 0;
    struct task second = {.gate = -1}, first = {.gate = -1, .then = &second};
    task_start(&first, WORLD_LANE_FILES);
    until_done(2);
    assert_int_equal(first.dones, 1);
    assert_int_equal(second.dones, 1);
    assert_true(first.blocked);
    assert_false(pthread_equal(first.thread, pthread_self()));
    static struct task many[500];
    for (int i = 0; i < 500; i++) {
        many[i] = (struct task){.gate = -1};
        task_start(&many[i], i % 2 ? WORLD_LANE_FILES : WORLD_LANE_NAMES);
    }
    until_done(502);
    for (int i = 0; i < 500; i++)
        assert_int_equal(many[i].dones, 1);
}

static void test_lanes(void **state) {
    (void)state;
    all_dones = 0;
    int gate[2];
    assert_int_equal(pipe(gate), 0);
    static struct task names[6], files;
    for (int i = 0; i < 6; i++) { /* more than there are threads */
        names[i] = (struct task){.gate = gate[0]};
        task_start(&names[i], WORLD_LANE_NAMES);
    }
    files = (struct task){.gate = -1};
    task_start(&files, WORLD_LANE_FILES);
    until_done(1);
    assert_int_equal(files.dones, 1);
    put(gate[1], "123456");
    until_done(7);
    OP(close, gate[0]);
    OP(close, gate[1]);
}

/* A wait takes the wake that came with the end of a job; the end itself stays. */
static void test_wait_keeps_ends_of_jobs(void **state) {
    (void)state;
    all_dones = 0;
    struct task t = {.gate = -1};
    task_start(&t, WORLD_LANE_FILES);
    assert_int_equal(OP(wait, NULL, 0, UINT64_MAX), 0);
    assert_int_equal(t.dones, 0);
    assert_int_equal(turn_now(), 1);
    assert_int_equal(t.dones, 1);
}

static void test_free_with_jobs(void **state) {
    (void)state;
    struct world *before = w;
    all_dones = 0;
    w = world_os_new();
    int gate[2], never[2];
    assert_int_equal(pipe(gate), 0);
    assert_int_equal(pipe(never), 0);
    static struct task tasks[6], hung;
    for (int i = 0; i < 6; i++) {
        tasks[i] = (struct task){.gate = gate[0]};
        task_start(&tasks[i], WORLD_LANE_FILES);
    }
    put(gate[1], "123456");
    struct one begun = {0}, ready = {0};
    int s[2];
    make_pair(s);
    begin_on(&begun, s[0], WORLD_READABLE);
    begin_on(&ready, 1 << 30, WORLD_READABLE);
    w->ops->free(w); /* what runs is waited for, the rest never runs; nobody is told */
    for (int i = 0; i < 6; i++)
        assert_int_equal(tasks[i].ran, tasks[i].started);
    assert_int_equal(all_dones, 0);
    close(gate[0]);
    close(gate[1]);
    close(s[0]);
    close(s[1]);

    w = world_os_new();
    hung = (struct task){.gate = never[0]};
    task_start(&hung, WORLD_LANE_NAMES);
    while (!atomic_load(&hung.started))
        usleep(100);
    w->ops->free(w); /* a look-up that does not come back is left behind */
    assert_int_equal(hung.ran, 0);
    put(never[1], "x"); /* and may still come back */
    while (!atomic_load(&hung.ran))
        usleep(100);
    assert_int_equal(hung.dones, 0);
    w = before;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readable),
        cmocka_unit_test(test_level_in_between),
        cmocka_unit_test(test_writable_and_hangup),
        cmocka_unit_test(test_pipes_stay_as_they_are),
        cmocka_unit_test(test_what_is_always_ready),
        cmocka_unit_test(test_one_descriptor_many_waits),
        cmocka_unit_test(test_closed_while_waited_for),
        cmocka_unit_test(test_moved_while_waited_for),
        cmocka_unit_test(test_sockets_of_tcp),
        cmocka_unit_test(test_deadlines),
        cmocka_unit_test(test_turn_waits_for_the_time),
        cmocka_unit_test(test_wake),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_thousand),
        cmocka_unit_test(test_stress),
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_echo_with_one_wait),
        cmocka_unit_test(test_wait_of_many),
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_wait_keeps_ends_of_jobs),
        cmocka_unit_test(test_free_with_jobs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
