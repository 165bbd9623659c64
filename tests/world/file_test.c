/* Files, pipes, sockets: what is read and written, and that nothing ever waits. */
#include "base/must.h"
#include "tree.h"
#include "world/os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct world *w;
#define OP(op, ...) w->ops->op(w, __VA_ARGS__)

static int set_up(void **state) {
    (void)state;
    w = world_os_new();
    tree_new();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    tree_remove();
    w->ops->free(w);
    return 0;
}

static struct iovec piece(void *p, size_t n) {
    return (struct iovec){p, n};
}

static void test_file(void **state) {
    (void)state;
    int fd = OP(open, tree_fd(), "file", WORLD_READ | WORLD_WRITE | WORLD_CREATE | WORLD_BENEATH, 0644);
    assert_true(fd > 2);
    struct iovec v[3] = {piece("hello ", 6), piece("", 0), piece("world", 5)};
    assert_int_equal(OP(writev, fd, v, 3), 11);
    assert_int_equal(OP(seek, fd, 0, SEEK_CUR), 11);
    assert_int_equal(OP(seek, fd, -5, SEEK_END), 6);
    assert_int_equal(OP(seek, fd, -1, SEEK_SET), -EINVAL);
    assert_int_equal(OP(seek, fd, 6, SEEK_SET), 6);
    char a[3], b[10];
    struct iovec r[2] = {piece(a, 3), piece(b, 10)};
    assert_int_equal(OP(readv, fd, r, 2), 5);
    assert_memory_equal(a, "wor", 3);
    assert_memory_equal(b, "ld", 2);
    assert_int_equal(OP(readv, fd, r, 2), 0);
    struct iovec over = piece("HE", 2);
    assert_int_equal(OP(pwritev, fd, &over, 1, 0), 2);
    assert_int_equal(OP(preadv, fd, r, 2, 1), 10);
    assert_memory_equal(a, "Ell", 3);
    assert_int_equal(OP(preadv, fd, r, 2, UINT64_MAX), -EINVAL);
    assert_int_equal(OP(set_size, fd, 4), 0);
    assert_int_equal(OP(allocate, fd, 0, 100), 0);
    assert_int_equal(OP(allocate, fd, 0, 0), -EINVAL);
    struct world_stat st;
    assert_int_equal(OP(stat, fd, &st), 0);
    assert_int_equal(st.size, 100);
    assert_int_equal(st.type, WORLD_REGULAR);
    assert_int_equal(OP(advise, fd, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
    assert_int_equal(OP(sync, fd, true), 0);
    assert_int_equal(OP(sync, fd, false), 0);
    assert_int_equal(OP(set_times, fd, 5, 7000000000, WORLD_ATIM | WORLD_MTIM), 0);
    assert_int_equal(OP(stat, fd, &st), 0);
    assert_int_equal(st.atim, 5);
    assert_int_equal(st.mtim, 7000000000);
    assert_int_equal(OP(set_times, fd, 0, 0, WORLD_MTIM_NOW), 0);
    assert_int_equal(OP(stat, fd, &st), 0);
    assert_int_equal(st.atim, 5);
    assert_true(st.mtim > 7000000000);

    uint32_t flags;
    assert_int_equal(OP(set_flags, fd, WORLD_APPEND), 0);
    assert_int_equal(OP(get_flags, fd, &flags), 0);
    assert_true(flags & WORLD_APPEND);
    assert_int_equal(OP(set_flags, fd, WORLD_SYNC), -ENOTSUP);
    int other = OP(dup, fd);
    assert_true(other > 2);
    assert_int_equal(OP(close, fd), 0);
    assert_int_equal(OP(writev, other, v, 1), 6);
    assert_int_equal(OP(stat, other, &st), 0);
    assert_int_equal(st.size, 106);
    assert_int_equal(OP(close, other), 0);
    assert_int_equal(OP(readv, other, r, 2), -EBADF);

    fd = OP(open, tree_fd(), "file", WORLD_WRITE | WORLD_SYNC, 0);
    assert_int_equal(OP(get_flags, fd, &flags), 0);
    assert_true(flags & WORLD_SYNC);
    assert_int_equal(OP(readv, fd, r, 1), -EBADF);
    assert_int_equal(OP(close, fd), 0);
}

/* Blocking pipes that somebody else opened, as 0, 1 and 2 are. */
static void test_pipe(void **state) {
    (void)state;
    int p[2];
    assert_int_equal(pipe(p), 0);
    static char big[1 << 20];
    struct iovec v = piece(big, sizeof big);
    assert_int_equal(OP(readv, p[0], &v, 1), -EAGAIN);
    int64_t total = 0, r;
    while ((r = OP(writev, p[1], &v, 1)) > 0)
        total += r;
    assert_int_equal(r, -EAGAIN);
    assert_true(total >= 4096);
    int64_t back = 0;
    while ((r = OP(readv, p[0], &v, 1)) > 0)
        back += r;
    assert_int_equal(r, -EAGAIN);
    assert_int_equal(back, total);
    assert_false(fcntl(p[0], F_GETFL) & O_NONBLOCK);
    assert_false(fcntl(p[1], F_GETFL) & O_NONBLOCK);
    assert_int_equal(OP(seek, p[0], 0, SEEK_CUR), -ESPIPE);
    struct world_stat st;
    assert_int_equal(OP(stat, p[0], &st), 0);
    assert_int_equal(st.type, WORLD_PIPE);
    close(p[1]);
    assert_int_equal(OP(readv, p[0], &v, 1), 0);
    close(p[0]);

    assert_int_equal(pipe(p), 0);
    close(p[0]);
    assert_int_equal(OP(writev, p[1], &v, 1), -EPIPE); /* and no signal */
    OP(close, p[1]);
}

/* A blocking terminal on 0, as a shell's is. */
static void test_terminal(void **state) {
    (void)state;
    int master = posix_openpt(O_RDWR | O_NOCTTY), saved = dup(0);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    int tty = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_int_equal(dup2(tty, 0), 0);
    close(tty);
    struct world *before = w;
    w = world_os_new();
    struct world_stat st;
    assert_int_equal(OP(stat, 0, &st), 0);
    assert_int_equal(st.type, WORLD_TERMINAL);
    char a[64];
    struct iovec v = piece(a, sizeof a), line = piece("line\n", 5);
    assert_int_equal(OP(readv, 0, &v, 1), -EAGAIN);
    assert_int_equal(write(master, "line\n", 5), 5);
    assert_int_equal(OP(readv, 0, &v, 1), 5);
    assert_int_equal(OP(readv, 0, &v, 1), -EAGAIN);
    int64_t r;
    for (int i = 0; (r = OP(writev, 0, &line, 1)) > 0; i++) /* nobody reads: it fills up */
        assert_true(i < 1000000);
    assert_int_equal(r, -EAGAIN);
    assert_false(fcntl(0, F_GETFL) & O_NONBLOCK);
    w->ops->free(w);
    w = before;
    close(master);
    if (saved >= 0) {
        dup2(saved, 0);
        close(saved);
    } else {
        close(0);
    }
}

static void test_fifo(void **state) {
    (void)state;
    assert_int_equal(mkfifoat(tree_fd(), "fifo", 0600), 0);
    assert_int_equal(OP(open, tree_fd(), "fifo", WORLD_WRITE | WORLD_BENEATH, 0), -ENXIO);
    int r = OP(open, tree_fd(), "fifo", WORLD_READ | WORLD_BENEATH, 0);
    int o = OP(open, tree_fd(), "fifo", WORLD_WRITE | WORLD_BENEATH, 0);
    assert_true(r > 2 && o > 2);
    char a[8];
    struct iovec v = piece(a, sizeof a);
    assert_int_equal(OP(readv, r, &v, 1), -EAGAIN);
    assert_int_equal(OP(writev, o, &v, 1), 8);
    assert_int_equal(OP(readv, r, &v, 1), 8);
    OP(close, r);
    assert_int_equal(OP(writev, o, &v, 1), -EPIPE);
    OP(close, o);
}

static void test_socket(void **state) {
    (void)state;
    int s[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    char a[64] = "0123456789";
    struct iovec v = piece(a, 10), r = piece(a + 20, 4);
    uint32_t flags = 0;
    assert_int_equal(OP(recv, s[0], &r, 1, &flags, NULL), -EAGAIN);
    assert_int_equal(OP(readv, s[0], &r, 1), -EAGAIN);
    assert_int_equal(OP(send, s[1], &v, 1, NULL), 10);
    flags = WORLD_RECV_PEEK;
    assert_int_equal(OP(recv, s[0], &r, 1, &flags, NULL), 4);
    flags = 0;
    assert_int_equal(OP(recv, s[0], &r, 1, &flags, NULL), 4);
    assert_memory_equal(a + 20, "0123", 4);
    assert_int_equal(OP(readv, s[0], &r, 1), 4);
    assert_int_equal(OP(shutdown, s[1], WORLD_SHUT_WR), 0);
    assert_int_equal(OP(readv, s[0], &r, 1), 2);
    assert_int_equal(OP(readv, s[0], &r, 1), 0);
    assert_int_equal(OP(shutdown, s[1], 0), -EINVAL);
    OP(close, s[0]);
    assert_int_equal(OP(send, s[1], &v, 1, NULL), -EPIPE);
    OP(close, s[1]);

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, s), 0);
    struct world_stat st;
    assert_int_equal(OP(stat, s[0], &st), 0);
    assert_int_equal(st.type, WORLD_SOCKET_DGRAM);
    assert_int_equal(OP(send, s[1], &v, 1, NULL), 10);
    flags = 0;
    assert_int_equal(OP(recv, s[0], &r, 1, &flags, NULL), 4);
    assert_int_equal(flags, WORLD_RECV_TRUNCATED);
    OP(close, s[0]);
    OP(close, s[1]);
    assert_int_equal(OP(recv, tree_fd(), &r, 1, &flags, NULL), -ENOTSOCK);
}

struct names {
    int n, stop_after;
    uint64_t cookies[64];
    char names[64][32];
};

static bool note_name(void *arg, const struct world_dirent *e) {
    struct names *l = arg;
    snprintf(l->names[l->n], sizeof l->names[0], "%s", e->name);
    l->cookies[l->n++] = e->next;
    return l->n != l->stop_after;
}

static void test_read_dir(void **state) {
    (void)state;
    tree_dir("list");
    for (int i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof name, "list/entry%d", i);
        tree_file(name, "");
    }
    int fd = OP(open, tree_fd(), "list", WORLD_READ | WORLD_DIRECTORY_ONLY | WORLD_BENEATH, 0);
    struct names all = {0}, rest = {.stop_after = 5};
    assert_int_equal(OP(read_dir, fd, 0, note_name, &all), 0);
    assert_int_equal(all.n, 22);
    assert_int_equal(OP(read_dir, fd, all.cookies[9], note_name, &rest), 0);
    assert_int_equal(rest.n, 5);
    for (int i = 0; i < 5; i++)
        assert_string_equal(rest.names[i], all.names[10 + i]);
    rest = (struct names){0};
    assert_int_equal(OP(read_dir, fd, all.cookies[21], note_name, &rest), 0);
    assert_int_equal(rest.n, 0);
    assert_int_equal(OP(read_dir, fd, UINT64_MAX, note_name, &rest), -EINVAL);
    OP(close, fd);
}

static void test_lock_and_map(void **state) {
    (void)state;
    int a = OP(open, tree_fd(), "locked", WORLD_READ | WORLD_WRITE | WORLD_CREATE, 0644);
    int b = OP(open, tree_fd(), "locked", WORLD_READ | WORLD_WRITE, 0644);
    assert_int_equal(OP(lock, a, false), 0);
    assert_int_equal(OP(lock, b, false), 0);
    assert_int_equal(OP(lock, b, true), -EAGAIN);
    OP(close, a);
    assert_int_equal(OP(lock, b, true), 0);
    assert_int_equal(OP(set_size, b, 4096), 0);
    void *p;
    assert_int_equal(OP(map, b, 4096, true, &p), 0);
    memcpy(p, "mapped", 7);
    assert_int_equal(OP(sync_map, p, 4096), 0);
    assert_int_equal(OP(unmap, p, 4096), 0);
    assert_string_equal(tree_read("locked"), "mapped");
    OP(close, b);
}

static void test_clocks_and_entropy(void **state) {
    (void)state;
    for (enum world_clock c = WORLD_REALTIME; c <= WORLD_THREAD_CPU; c++) {
        uint64_t a, b, resolution;
        assert_int_equal(OP(clock, c, &a), 0);
        assert_int_equal(OP(clock, c, &b), 0);
        assert_true(b >= a);
        assert_int_equal(OP(clock_resolution, c, &resolution), 0);
        assert_true(resolution > 0);
    }
    uint8_t x[64] = {0}, y[64] = {0};
    assert_int_equal(OP(entropy, x, sizeof x), 0);
    assert_int_equal(OP(entropy, y, sizeof y), 0);
    assert_memory_not_equal(x, y, sizeof x);
}

static void test_stdio_is_left_alone(void **state) {
    (void)state;
    uint32_t flags;
    for (int fd = 0; fd <= 2; fd++) {
        assert_int_equal(OP(close, fd), -EPERM);
        if (OP(get_flags, fd, &flags) != 0)
            continue;
        int before = fcntl(fd, F_GETFL);
        OP(set_flags, fd, flags | WORLD_NONBLOCK);
        OP(set_flags, fd, flags ^ WORLD_APPEND);
        assert_int_equal(fcntl(fd, F_GETFL), before);
    }
}

static void test_closed_stdio_is_filled(void **state) {
    (void)state;
    int saved = dup(0);
    close(0);
    struct world *other = world_os_new();
    assert_true(fcntl(0, F_GETFD) >= 0);
    char byte;
    struct iovec v = piece(&byte, 1);
    assert_int_equal(other->ops->readv(other, 0, &v, 1), 0);
    other->ops->free(other);
    if (saved >= 0) {
        dup2(saved, 0);
        close(saved);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_fifo),
        cmocka_unit_test(test_socket),
        cmocka_unit_test(test_read_dir),
        cmocka_unit_test(test_lock_and_map),
        cmocka_unit_test(test_clocks_and_entropy),
        cmocka_unit_test(test_stdio_is_left_alone),
        cmocka_unit_test(test_closed_stdio_is_filled),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
