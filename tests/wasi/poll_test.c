/* Waiting: poll_oneoff over clocks, pipes, files and sockets; reads and writes that have to wait; being stopped. */
#include "base/must.h"
#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX = 40 };

/* A poll and what came of it. Guest memory is not aligned. */
struct polled {
    struct wasi_subscription in[MAX];
    uint32_t n;
    struct wasi_event out[MAX];
    uint32_t nout;
};

static void on_clock(struct polled *p, uint32_t clock, uint64_t timeout, uint16_t flags) {
    p->in[p->n] = (struct wasi_subscription){
        .userdata = 1000 + p->n,
        .type = WASI_EVENT_CLOCK,
        .u.clock = {.id = clock, .timeout = timeout, .flags = flags},
    };
    p->n++;
}

static void on_fd(struct polled *p, uint8_t type, uint32_t fd) {
    p->in[p->n] = (struct wasi_subscription){.userdata = 1000 + p->n, .type = type, .u.fd = fd};
    p->n++;
}

static int64_t poll_all(struct polled *p) {
    uint8_t memory[MAX * (sizeof(struct wasi_subscription) + sizeof(struct wasi_event)) + 1];
    uint8_t *in = memory + 1, *out = in + sizeof p->in;
    memcpy(in, p->in, sizeof p->in);
    struct abi_poll_oneoff a = {
        .in = {in, p->n * (uint32_t)sizeof *p->in},
        .out = {out, p->n * (uint32_t)sizeof *p->out},
        .nsubscriptions = p->n,
    };
    int64_t r = wasi_poll_oneoff(wasi, &a);
    p->nout = r == 0 ? a.nevents : 0;
    if (r == 0)
        assert_int_equal(a.out.size, a.nevents * sizeof *p->out);
    memcpy(p->out, out, p->nout * sizeof *p->out);
    return r;
}

static void expect_event(const struct polled *p, uint32_t i, uint64_t userdata, uint8_t type, uint16_t error) {
    assert_true(i < p->nout);
    assert_int_equal(p->out[i].userdata, userdata);
    assert_int_equal(p->out[i].type, type);
    assert_int_equal(p->out[i].error, error);
}

/* A pipe of which the program has the end that `to_program` says, and the test the other. */
static uint32_t pipe_to(bool to_program, int *other) {
    char name[32];
    static int n;
    snprintf(name, sizeof name, "data/pipe%d", n++);
    tree_fifo(name);
    int keep = openat(tree_fd(), name, O_RDWR); /* lets both ends open */
    uint32_t fd = box_must_open(DATA, name + 5, to_program ? TO_READ : TO_WRITE, 0, 0);
    *other = openat(tree_fd(), name, to_program ? O_WRONLY : O_RDONLY);
    must(*other >= 0);
    close(keep);
    return fd;
}

static void test_clocks(void **state) {
    (void)state;
    uint64_t before = world_now(world, WORLD_MONOTONIC);
    struct polled p = {0};
    on_clock(&p, WASI_CLOCK_MONOTONIC, 3000000, 0);
    on_clock(&p, WASI_CLOCK_MONOTONIC, 3600000000000, 0);
    on_clock(&p, WASI_CLOCK_REALTIME, UINT64_MAX, WASI_SUBCLOCK_ABSTIME);
    assert_int_equal(poll_all(&p), 0);
    assert_int_equal(p.nout, 1);
    expect_event(&p, 0, 1000, WASI_EVENT_CLOCK, 0);
    assert_true(world_now(world, WORLD_MONOTONIC) >= before + 3000000);

    p = (struct polled){0};
    on_clock(&p, WASI_CLOCK_MONOTONIC, UINT64_MAX, 0);
    on_clock(&p, WASI_CLOCK_MONOTONIC, before + 4000000, WASI_SUBCLOCK_ABSTIME);
    on_clock(&p, WASI_CLOCK_REALTIME, 1, WASI_SUBCLOCK_ABSTIME); /* 1970 */
    assert_int_equal(poll_all(&p), 0);
    expect_event(&p, p.nout - 1, 1002, WASI_EVENT_CLOCK, 0);

    p = (struct polled){0};
    on_clock(&p, WASI_CLOCK_REALTIME, world_now(world, WORLD_REALTIME) + 2000000, WASI_SUBCLOCK_ABSTIME);
    assert_int_equal(poll_all(&p), 0);
    assert_int_equal(p.nout, 1);

    p = (struct polled){0};
    on_clock(&p, 17, 1, 0);
    on_clock(&p, WASI_CLOCK_THREAD_CPUTIME_ID, 1, 0);
    on_clock(&p, WASI_CLOCK_MONOTONIC, 1, 2);
    on_clock(&p, WASI_CLOCK_MONOTONIC, UINT64_MAX, 0);
    assert_int_equal(poll_all(&p), 0);
    assert_int_equal(p.nout, 3);
    expect_event(&p, 0, 1000, WASI_EVENT_CLOCK, WASI_EINVAL);
    expect_event(&p, 1, 1001, WASI_EVENT_CLOCK, WASI_ENOTSUP);
    expect_event(&p, 2, 1002, WASI_EVENT_CLOCK, WASI_EINVAL);
}

static void test_files_and_pipes(void **state) {
    (void)state;
    int writer, reader;
    uint32_t in = pipe_to(true, &writer), out = pipe_to(false, &reader);
    uint32_t file = box_must_open(DATA, "f", TO_READ | TO_WRITE, 0, 0);
    char byte[8];
    struct polled p = {0};
    on_fd(&p, WASI_EVENT_FD_READ, in);
    on_clock(&p, WASI_CLOCK_MONOTONIC, 1000000, 0);
    assert_int_equal(poll_all(&p), 0);
    assert_int_equal(p.nout, 1);
    expect_event(&p, 0, 1001, WASI_EVENT_CLOCK, 0);

    p = (struct polled){0};
    on_fd(&p, WASI_EVENT_FD_READ, in);
    on_fd(&p, WASI_EVENT_FD_WRITE, out);
    on_fd(&p, WASI_EVENT_FD_READ, file);
    on_fd(&p, WASI_EVENT_FD_WRITE, file);
    on_clock(&p, WASI_CLOCK_MONOTONIC, UINT64_MAX, 0);
    assert_int_equal(poll_all(&p), 0);
    assert_int_equal(p.nout, 3);
    expect_event(&p, 0, 1001, WASI_EVENT_FD_WRITE, 0);
    expect_event(&p, 1, 1002, WASI_EVENT_FD_READ, 0);
    assert_int_equal(p.out[1].nbytes, 8);
    expect_event(&p, 2, 1003, WASI_EVENT_FD_WRITE, 0);

    assert_int_equal(write(writer, "abcde", 5), 5);
    p = (struct polled){0};
    on_fd(&p, WASI_EVENT_FD_READ, in);
    assert_int_equal(poll_all(&p), 0);
    expect_event(&p, 0, 1000, WASI_EVENT_FD_READ, 0);
    assert_int_equal(p.out[0].nbytes, 5);
    assert_int_equal(p.out[0].flags, 0);
    assert_int_equal(box_read(in, byte, 7), 0);
    close(writer);
    assert_int_equal(poll_all(&p), 0);
    expect_event(&p, 0, 1000, WASI_EVENT_FD_READ, 0);
    assert_int_equal(p.out[0].nbytes, 0);
    assert_int_equal(p.out[0].flags, WASI_EVENTRW_FD_READWRITE_HANGUP);

    close(reader);
    p = (struct polled){0};
    on_fd(&p, WASI_EVENT_FD_WRITE, out);
    assert_int_equal(poll_all(&p), 0);
    expect_event(&p, 0, 1000, WASI_EVENT_FD_WRITE, 0);
    assert_int_equal(p.out[0].flags, WASI_EVENTRW_FD_READWRITE_HANGUP);

    p = (struct polled){0};
    on_fd(&p, WASI_EVENT_FD_READ, 99);
    on_fd(&p, WASI_EVENT_FD_READ, DATA);
    on_fd(&p, WASI_EVENT_FD_WRITE, in);
    on_fd(&p, 7, file);
    assert_int_equal(poll_all(&p), 0);
    assert_int_equal(p.nout, 4);
    expect_event(&p, 0, 1000, WASI_EVENT_FD_READ, WASI_EBADF);
    expect_event(&p, 1, 1001, WASI_EVENT_FD_READ, WASI_EISDIR);
    expect_event(&p, 2, 1002, WASI_EVENT_FD_WRITE, WASI_ENOTCAPABLE);
    expect_event(&p, 3, 1003, 7, WASI_EINVAL);

    p = (struct polled){0};
    for (int i = 0; i < MAX; i++)
        on_fd(&p, WASI_EVENT_FD_READ, file);
    assert_int_equal(poll_all(&p), 0);
    assert_int_equal(p.nout, MAX);
}

static void test_unstable_layout(void **state) {
    (void)state;
    struct wasi_unstable_subscription in[2] = {
        {.userdata = 7, .type = WASI_EVENT_CLOCK, .u.clock = {.identifier = 99, .id = 1, .timeout = 1}},
        {.userdata = 8, .type = WASI_EVENT_FD_READ, .u.fd = box_must_open(DATA, "f", TO_READ, 0, 0)},
    };
    struct wasi_event out[2];
    struct abi_unstable_poll_oneoff a = {
        .in = {(uint8_t *)in, sizeof in}, .out = {(uint8_t *)out, sizeof out}, .nsubscriptions = 2};
    assert_int_equal(wasi_unstable_poll_oneoff(wasi, &a), 0);
    assert_int_equal(out[a.nevents - 1].userdata, 8);
}

/* ---- calls that wait ---- */

static void *write_later(void *arg) {
    usleep(3000);
    must(write(*(int *)arg, "late", 4) == 4);
    return NULL;
}

static void test_read_waits(void **state) {
    (void)state;
    int writer;
    char out[16];
    uint32_t in = pipe_to(true, &writer);
    assert_int_equal(CALLED(fd_fdstat_set_flags, .fd = in, .flags = WASI_FDFLAG_NONBLOCK), 0);
    assert_int_equal(box_read(in, out, 15), WASI_EAGAIN);
    assert_int_equal(CALLED(fd_fdstat_set_flags, .fd = in, .flags = 0), 0);
    pthread_t t;
    must(pthread_create(&t, NULL, write_later, &writer) == 0);
    assert_int_equal(box_read(in, out, 15), 0);
    assert_string_equal(out, "late");
    pthread_join(t, NULL);
    close(writer);
    assert_int_equal(box_read(in, out, 15), 0);
    assert_string_equal(out, "");
}

enum { BIG = 1 << 20 };
static char big[BIG];

struct drain {
    int fd;
    size_t n;
};

static void *drain(void *arg) {
    struct drain *d = arg;
    static char sink[10000];
    ssize_t n;
    while ((n = read(d->fd, sink, sizeof sink)) > 0)
        d->n += (size_t)n;
    return NULL;
}

static void test_write_waits_for_all(void **state) {
    (void)state;
    int reader;
    uint32_t out = pipe_to(false, &reader);
    struct iovec v[3] = {{big, 1000}, {big, BIG - 3000}, {big, 2000}};
    struct abi_fd_write a = {.fd = out, .iovs = {v, 3, BIG}};
    struct drain d = {reader, 0};
    pthread_t t;
    must(pthread_create(&t, NULL, drain, &d) == 0);
    assert_int_equal(wasi_fd_write(wasi, &a), 0);
    assert_int_equal(a.nwritten, BIG);
    assert_int_equal(v[1].iov_len, BIG - 3000); /* the caller's pieces are left alone */
    assert_int_equal(box_close(out), 0);
    pthread_join(t, NULL);
    assert_int_equal(d.n, BIG);
    close(reader);

    out = pipe_to(false, &reader);
    assert_int_equal(CALLED(fd_fdstat_set_flags, .fd = out, .flags = WASI_FDFLAG_NONBLOCK), 0);
    a.fd = out;
    assert_int_equal(wasi_fd_write(wasi, &a), 0);
    assert_true(a.nwritten > 0 && a.nwritten < BIG);
    assert_int_equal(wasi_fd_write(wasi, &a), WASI_EAGAIN);
    close(reader);
    assert_int_equal(wasi_fd_write(wasi, &a), WASI_EPIPE);
}

static atomic_bool stop;

static bool stopping(void *ctx) {
    (void)ctx;
    return atomic_load(&stop);
}

static void *stop_later(void *arg) {
    (void)arg;
    usleep(2000);
    world->ops->wake(world); /* in vain */
    usleep(2000);
    atomic_store(&stop, true);
    world->ops->wake(world);
    return NULL;
}

static void test_stopping(void **state) {
    (void)state;
    int writer, reader;
    char out[16];
    uint32_t in = pipe_to(true, &writer), full = pipe_to(false, &reader);
    wasi_set_stopping(wasi, stopping, NULL);
    pthread_t t;
    atomic_store(&stop, false);
    must(pthread_create(&t, NULL, stop_later, NULL) == 0);
    assert_int_equal(box_read(in, out, 15), ABI_PARK);
    pthread_join(t, NULL);
    struct polled p = {0};
    on_fd(&p, WASI_EVENT_FD_READ, in);
    assert_int_equal(poll_all(&p), ABI_PARK);
    /* What was written already has happened. */
    atomic_store(&stop, false);
    must(pthread_create(&t, NULL, stop_later, NULL) == 0);
    struct iovec v = {big, BIG};
    struct abi_fd_write a = {.fd = full, .iovs = {&v, 1, BIG}};
    assert_int_equal(wasi_fd_write(wasi, &a), 0);
    assert_true(a.nwritten > 0 && a.nwritten < BIG);
    assert_int_equal(wasi_fd_write(wasi, &a), ABI_PARK);
    pthread_join(t, NULL);
    wasi_set_stopping(wasi, NULL, NULL);
    close(writer);
    close(reader);
}

/* ---- sockets ---- */

static void test_sockets(void **state) {
    (void)state;
    int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_storage name = {.ss_family = AF_UNIX};
    socklen_t size = sizeof name.ss_family;
    must(bind(s, (struct sockaddr *)&name, size) == 0 && listen(s, 1) == 0); /* to a name that the kernel chooses */
    size = sizeof name;
    must(getsockname(s, (struct sockaddr *)&name, &size) == 0);
    assert_int_equal(wasi_add_socket(wasi, s, true, NULL), ST_OK);
    uint32_t listener = 0;
    struct wasi_fdstat st;
    for (uint32_t fd = 5; CALLED(fd_fdstat_get, .fd = fd, .stat = &st) == 0; fd++)
        if (st.filetype == WASI_FILETYPE_SOCKET_STREAM)
            listener = fd;
    assert_true(listener > 0);
    assert_int_equal(CALLED(fd_fdstat_set_flags, .fd = listener, .flags = WASI_FDFLAG_NONBLOCK), 0);
    assert_int_equal(CALLED(sock_accept, .fd = listener), WASI_EAGAIN);
    must(connect(c, (struct sockaddr *)&name, size) == 0);
    struct polled p = {0};
    on_fd(&p, WASI_EVENT_FD_READ, listener);
    assert_int_equal(poll_all(&p), 0);
    assert_int_equal(p.nout, 1);
    struct abi_sock_accept accept = {.fd = listener, .flags = WASI_FDFLAG_NONBLOCK};
    assert_int_equal(wasi_sock_accept(wasi, &accept), 0);
    uint32_t fd = accept.connection_fd;

    char out[16] = {0};
    struct iovec v = {out, 4};
    struct abi_sock_recv recv = {.fd = fd, .iovs = {&v, 1, 4}};
    assert_int_equal(wasi_sock_recv(wasi, &recv), WASI_EAGAIN);
    must(write(c, "0123456789", 10) == 10);
    recv.ri_flags = WASI_RI_RECV_PEEK;
    assert_int_equal(wasi_sock_recv(wasi, &recv), 0);
    recv.ri_flags = 0;
    assert_int_equal(wasi_sock_recv(wasi, &recv), 0);
    assert_int_equal(recv.nread, 4);
    assert_string_equal(out, "0123");
    assert_int_equal(recv.ro_flags, 0);
    assert_int_equal(CALLED(fd_fdstat_set_flags, .fd = fd, .flags = 0), 0);
    v.iov_len = recv.iovs.size = 10;
    recv.ri_flags = WASI_RI_RECV_WAITALL;
    pthread_t t;
    must(pthread_create(&t, NULL, write_later, &c) == 0);
    assert_int_equal(wasi_sock_recv(wasi, &recv), 0);
    pthread_join(t, NULL);
    assert_int_equal(recv.nread, 10);
    assert_memory_equal(out, "456789late", 10);
    recv.ri_flags = 4;
    assert_int_equal(wasi_sock_recv(wasi, &recv), WASI_EINVAL);

    struct iovec o = {"answer", 6};
    struct abi_sock_send send = {.fd = fd, .iovs = {&o, 1, 6}};
    assert_int_equal(wasi_sock_send(wasi, &send), 0);
    assert_int_equal(send.nsent, 6);
    send.si_flags = 1;
    assert_int_equal(wasi_sock_send(wasi, &send), WASI_EINVAL);
    assert_int_equal(CALLED(sock_shutdown, .fd = fd, .how = 0), WASI_EINVAL);
    assert_int_equal(CALLED(sock_shutdown, .fd = fd, .how = WASI_SD_WR), 0);
    assert_int_equal(read(c, out, 16), 6);
    assert_int_equal(read(c, out, 16), 0);
    assert_int_equal(CALLED(fd_seek, .fd = fd), WASI_ESPIPE);
    assert_int_equal(CALLED(sock_accept, .fd = fd), WASI_ENOTCAPABLE);
    assert_int_equal(box_close(fd), 0);
    assert_int_equal(box_close(listener), 0);
    close(c);
    assert_string_equal(box_refusals(true), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_files_and_pipes),
        cmocka_unit_test(test_unstable_layout),
        cmocka_unit_test(test_read_waits),
        cmocka_unit_test(test_write_waits_for_all),
        cmocka_unit_test(test_stopping),
        cmocka_unit_test(test_sockets),
    };
    return cmocka_run_group_tests(tests, box_set_up, box_tear_down);
}
