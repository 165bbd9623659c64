/* Sockets of the machine, and looking up names. */
#include "tree.h"
#include "world/os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
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

/* ---- helpers ---- */

static struct addr v4(uint16_t port) {
    return (struct addr){.family = ADDR_INET, .port = port, .ip = {127, 0, 0, 1}};
}

static struct addr v6(uint16_t port) {
    return (struct addr){.family = ADDR_INET6, .port = port, .ip = {[15] = 1}};
}

static struct addr at_path(const char *name) {
    struct addr a = {.family = ADDR_UNIX};
    char dir[PATH_MAX], link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", tree_fd());
    ssize_t n = readlink(link, dir, sizeof dir - 1);
    assert_true(n > 0);
    dir[n] = '\0';
    int size = snprintf(a.path, sizeof a.path, "%s/%s", dir, name);
    assert_true(size > 0 && (size_t)size < sizeof a.path);
    return a;
}

static bool have_v6(void) {
    int fd = OP(socket, ADDR_INET6, WORLD_STREAM);
    struct addr a = v6(0);
    bool have = fd >= 0 && OP(bind, fd, &a) == 0;
    if (fd >= 0)
        OP(close, fd);
    return have;
}

static int wait_for(int fd, uint32_t want) {
    struct world_poll p = {.fd = fd, .want = want};
    assert_int_equal(OP(wait, &p, 1, world_now(w, WORLD_MONOTONIC) + 20000000000u), 1);
    return (int)p.got;
}

static int64_t option(int fd, enum world_sockopt o) {
    int64_t value = INT64_MIN;
    assert_int_equal(OP(get_option, fd, o, &value), 0);
    return value;
}

static int64_t put(int fd, const char *text) {
    struct iovec v = {(char *)text, strlen(text)};
    return OP(send, fd, &v, 1, NULL);
}

static void expect_recv(int fd, const char *text) {
    char got[256];
    struct iovec v = {got, sizeof got};
    uint32_t flags = 0;
    assert_int_equal(OP(recv, fd, &v, 1, &flags, NULL), (int64_t)strlen(text));
    assert_memory_equal(got, text, strlen(text));
    assert_int_equal(flags, 0);
}

static int64_t recv_errno(int fd) {
    char got[16];
    struct iovec v = {got, sizeof got};
    uint32_t flags = 0;
    return OP(recv, fd, &v, 1, &flags, NULL);
}

static bool same(const struct addr *a, const struct addr *b) {
    if (a->family != b->family || a->port != b->port || a->scope != b->scope)
        return false;
    return a->family == ADDR_UNIX ? strcmp(a->path, b->path) == 0
                                  : memcmp(a->ip, b->ip, a->family == ADDR_INET ? 4 : 16) == 0;
}

struct pair {
    int listener, client, server;
    struct addr address;
};

static struct pair connected(struct addr a) {
    struct pair p = {0};
    p.listener = OP(socket, a.family, WORLD_STREAM);
    assert_true(p.listener > 2);
    assert_int_equal(OP(bind, p.listener, &a), 0);
    assert_int_equal(OP(listen, p.listener, 8), 0);
    assert_int_equal(OP(accept, p.listener, 0), -EAGAIN);
    assert_int_equal(OP(local_addr, p.listener, &p.address), 0);
    p.client = OP(socket, a.family, WORLD_STREAM);
    assert_true(p.client > 2);
    int r = OP(connect, p.client, &p.address);
    assert_true(r == 0 || r == -EINPROGRESS);
    assert_true(wait_for(p.listener, WORLD_READABLE) & WORLD_READABLE);
    assert_int_equal(wait_for(p.client, WORLD_WRITABLE), WORLD_WRITABLE);
    assert_int_equal(option(p.client, WORLD_SO_ERROR), 0);
    p.server = OP(accept, p.listener, 0);
    assert_true(p.server > 2);
    return p;
}

static void disconnect(struct pair *p) {
    assert_int_equal(OP(close, p->client), 0);
    assert_int_equal(OP(close, p->server), 0);
    assert_int_equal(OP(close, p->listener), 0);
}

/* ---- streams ---- */

static void check_stream(struct addr a) {
    struct pair p = connected(a);
    assert_true(fcntl(p.client, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(p.server, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(p.client, F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(p.server, F_GETFD) & FD_CLOEXEC);

    struct addr x, y;
    assert_int_equal(OP(peer_addr, p.client, &x), 0);
    assert_true(same(&x, &p.address));
    assert_int_equal(OP(local_addr, p.server, &x), 0);
    assert_true(same(&x, &p.address));
    assert_int_equal(OP(local_addr, p.client, &x), 0);
    assert_int_equal(OP(peer_addr, p.server, &y), 0);
    assert_true(same(&x, &y));
    assert_int_equal(OP(peer_addr, p.listener, &x), -ENOTCONN);

    assert_int_equal(recv_errno(p.server), -EAGAIN);
    assert_int_equal(put(p.client, "hello"), 5);
    assert_true(wait_for(p.server, WORLD_READABLE) & WORLD_READABLE);
    char got[8] = "";
    struct iovec v = {got, sizeof got};
    uint32_t flags = WORLD_RECV_PEEK;
    assert_int_equal(OP(recv, p.server, &v, 1, &flags, NULL), 5);
    struct addr from = {.family = ADDR_INET};
    flags = 0;
    assert_int_equal(OP(recv, p.server, &v, 1, &flags, &from), 5);
    assert_int_equal(from.family, ADDR_NONE); /* a stream says it once: peer_addr */

    /* halves */
    assert_int_equal(OP(shutdown, p.client, WORLD_SHUT_WR), 0);
    assert_true(wait_for(p.server, WORLD_READABLE) & WORLD_READABLE);
    assert_int_equal(recv_errno(p.server), 0);
    assert_int_equal(put(p.client, "x"), -EPIPE);
    assert_int_equal(put(p.server, "still"), 5);
    assert_true(wait_for(p.client, WORLD_READABLE) & WORLD_READABLE);
    expect_recv(p.client, "still");
    assert_int_equal(OP(shutdown, p.client, WORLD_SHUT_RD), 0);
    assert_int_equal(recv_errno(p.client), 0);
    assert_int_equal(OP(shutdown, p.client, 0), -EINVAL);
    assert_int_equal(OP(shutdown, p.client, 4), -EINVAL);
    assert_int_equal(OP(start_tls, p.client, "host"), -ENOTSUP);
    disconnect(&p);
}

static void test_tcp4(void **state) {
    (void)state;
    check_stream(v4(0));
}

static void test_tcp6(void **state) {
    (void)state;
    if (!have_v6())
        skip();
    check_stream(v6(0));
}

static void test_unix(void **state) {
    (void)state;
    check_stream(at_path("s.sock"));
    struct addr a = at_path("s.sock");
    int fd = OP(socket, ADDR_UNIX, WORLD_STREAM);
    assert_int_equal(OP(bind, fd, &a), -EADDRINUSE);
    assert_int_equal(OP(connect, fd, &a), -ECONNREFUSED); /* the name is left over */
    a = at_path("nobody.sock");
    assert_int_equal(OP(connect, fd, &a), -ENOENT);
    a.path[0] = '\0'; /* no name, or one in no directory */
    assert_int_equal(OP(bind, fd, &a), -EINVAL);
    assert_int_equal(OP(connect, fd, &a), -EINVAL);
    memset(a.path, 'a', sizeof a.path);
    assert_int_equal(OP(bind, fd, &a), -EINVAL);
    OP(close, fd);
}

static void test_refused(void **state) {
    (void)state;
    struct addr a = v4(0);
    int once = OP(socket, ADDR_INET, WORLD_STREAM);
    assert_int_equal(OP(bind, once, &a), 0); /* bound, so nobody else's, but nobody listens */
    assert_int_equal(OP(local_addr, once, &a), 0);
    int fd = OP(socket, ADDR_INET, WORLD_STREAM);
    int r = OP(connect, fd, &a);
    if (r == -EINPROGRESS) {
        wait_for(fd, WORLD_WRITABLE);
        assert_int_equal(option(fd, WORLD_SO_ERROR), ECONNREFUSED);
        assert_int_equal(option(fd, WORLD_SO_ERROR), 0); /* reading clears */
    } else {
        assert_int_equal(r, -ECONNREFUSED);
    }
    struct addr x;
    assert_int_equal(OP(peer_addr, fd, &x), -ENOTCONN);
    OP(close, fd);
    OP(close, once);
}

/* A listener whose queue is full answers nobody: the connection is in progress and not writable. */
static void test_in_progress(void **state) {
    (void)state;
    struct addr a = v4(0);
    int l = OP(socket, ADDR_INET, WORLD_STREAM);
    assert_int_equal(OP(bind, l, &a), 0);
    assert_int_equal(OP(listen, l, 0), 0);
    assert_int_equal(OP(local_addr, l, &a), 0);
    int fds[8], n = 0;
    bool pending = false;
    while (n < 8 && !pending) {
        int fd = fds[n++] = OP(socket, ADDR_INET, WORLD_STREAM);
        assert_int_equal(OP(connect, fd, &a), -EINPROGRESS);
        struct world_poll p = {.fd = fd, .want = WORLD_WRITABLE | WORLD_READABLE};
        pending = OP(wait, &p, 1, world_now(w, WORLD_MONOTONIC) + 50000000) == 0;
    }
    assert_true(pending);
    assert_int_equal(OP(connect, fds[n - 1], &a), -EALREADY);
    struct iovec v = {"x", 1};
    assert_int_equal(OP(send, fds[n - 1], &v, 1, NULL), -EAGAIN);
    while (n > 0)
        OP(close, fds[--n]);
    OP(close, l);
}

/* What was opened elsewhere, blocking, must not hold us up. */
static void test_blocking_sockets_of_others(void **state) {
    (void)state;
    int l = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(l, (struct sockaddr *)&sa, sizeof sa), 0);
    assert_int_equal(listen(l, 4), 0);
    assert_int_equal(OP(accept, l, 0), -EAGAIN);
    struct addr a;
    assert_int_equal(OP(local_addr, l, &a), 0);
    int c = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t size = sizeof sa;
    assert_int_equal(getsockname(l, (struct sockaddr *)&sa, &size), 0);
    assert_int_equal(connect(c, (struct sockaddr *)&sa, size), 0);
    wait_for(l, WORLD_READABLE);
    int s = OP(accept, l, 0);
    assert_true(s > 2);
    assert_true(fcntl(s, F_GETFL) & O_NONBLOCK);
    assert_false(fcntl(l, F_GETFL) & O_NONBLOCK); /* its description is not only ours */
    assert_int_equal(recv_errno(c), -EAGAIN);
    OP(close, s);
    OP(close, c);
    OP(close, l);
}

/* ---- datagrams ---- */

static void check_datagrams(struct addr a, struct addr b) {
    int x = OP(socket, a.family, WORLD_DGRAM), y = OP(socket, b.family, WORLD_DGRAM);
    assert_int_equal(OP(bind, x, &a), 0);
    assert_int_equal(OP(bind, y, &b), 0);
    assert_int_equal(OP(local_addr, x, &a), 0);
    assert_int_equal(OP(local_addr, y, &b), 0);
    struct iovec out[2] = {{"ab", 2}, {"cde", 3}};
    assert_int_equal(OP(send, x, out, 2, &b), 5);
    wait_for(y, WORLD_READABLE);
    char got[8];
    struct iovec v = {got, sizeof got};
    struct addr from;
    uint32_t flags = 0;
    assert_int_equal(OP(recv, y, &v, 1, &flags, &from), 5);
    assert_memory_equal(got, "abcde", 5);
    assert_int_equal(flags, 0);
    assert_true(same(&from, &a));

    assert_int_equal(OP(send, y, out, 2, &from), 5);
    wait_for(x, WORLD_READABLE);
    v.iov_len = 3;
    flags = WORLD_RECV_PEEK;
    assert_int_equal(OP(recv, x, &v, 1, &flags, NULL), 3);
    assert_int_equal(flags, WORLD_RECV_TRUNCATED);
    flags = 0;
    assert_int_equal(OP(recv, x, &v, 1, &flags, &from), 3);
    assert_int_equal(flags, WORLD_RECV_TRUNCATED);
    assert_true(same(&from, &b));
    assert_int_equal(OP(recv, x, &v, 1, &flags, &from), -EAGAIN);

    /* an empty one is one too */
    assert_int_equal(OP(send, x, out, 0, &b), 0);
    wait_for(y, WORLD_READABLE);
    flags = 0;
    assert_int_equal(OP(recv, y, &v, 1, &flags, &from), 0);
    assert_true(same(&from, &a));

    /* connected: no address needed, and others are not heard */
    assert_int_equal(OP(connect, x, &b), 0);
    assert_int_equal(OP(send, x, out, 1, NULL), 2);
    wait_for(y, WORLD_READABLE);
    flags = 0;
    assert_int_equal(OP(recv, y, &v, 1, &flags, NULL), 2);
    assert_int_equal(option(x, WORLD_SO_TYPE), WORLD_DGRAM);
    OP(close, x);
    OP(close, y);
}

static void test_udp4(void **state) {
    (void)state;
    check_datagrams(v4(0), v4(0));
    int fd = OP(socket, ADDR_INET, WORLD_DGRAM);
    struct iovec v = {"x", 1};
    assert_int_equal(OP(send, fd, &v, 1, NULL), -EDESTADDRREQ);
    struct addr none = {.family = ADDR_NONE};
    assert_int_equal(OP(send, fd, &v, 1, &none), -EAFNOSUPPORT);
    assert_int_equal(OP(connect, fd, &none), -EAFNOSUPPORT);
    OP(close, fd);
}

static void test_udp6(void **state) {
    (void)state;
    if (!have_v6())
        skip();
    check_datagrams(v6(0), v6(0));
}

static void test_unix_datagrams(void **state) {
    (void)state;
    check_datagrams(at_path("a.sock"), at_path("b.sock"));
    /* from somebody without a name */
    struct addr c = at_path("c.sock"), from;
    int x = OP(socket, ADDR_UNIX, WORLD_DGRAM), y = OP(socket, ADDR_UNIX, WORLD_DGRAM);
    assert_int_equal(OP(bind, y, &c), 0);
    struct iovec v = {"x", 1};
    assert_int_equal(OP(send, x, &v, 1, &c), 1);
    char byte;
    v.iov_base = &byte;
    uint32_t flags = 0;
    assert_int_equal(OP(recv, y, &v, 1, &flags, &from), 1);
    assert_true(from.family == ADDR_NONE || (from.family == ADDR_UNIX && from.path[0] == '\0'));
    OP(close, x);
    OP(close, y);
}

/* An IPv4 peer of an IPv6 socket stays dressed as the kernel gives it. */
static void test_mapped(void **state) {
    (void)state;
    if (!have_v6())
        skip();
    struct addr any = {.family = ADDR_INET6};
    int l = OP(socket, ADDR_INET6, WORLD_STREAM);
    assert_int_equal(OP(set_option, l, WORLD_SO_V6ONLY, 0), 0);
    assert_int_equal(OP(bind, l, &any), 0);
    assert_int_equal(OP(listen, l, 4), 0);
    assert_int_equal(OP(local_addr, l, &any), 0);
    int c = OP(socket, ADDR_INET, WORLD_STREAM);
    struct addr a = v4(any.port);
    int r = OP(connect, c, &a);
    assert_true(r == 0 || r == -EINPROGRESS);
    wait_for(l, WORLD_READABLE);
    int s = OP(accept, l, 0);
    struct addr peer;
    assert_int_equal(OP(peer_addr, s, &peer), 0);
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 127, 0, 0, 1};
    assert_int_equal(peer.family, ADDR_INET6);
    assert_memory_equal(peer.ip, mapped, 16);
    OP(close, s);
    OP(close, c);
    OP(close, l);
}

/* ---- options ---- */

static void test_options(void **state) {
    (void)state;
    int tcp = OP(socket, ADDR_INET, WORLD_STREAM);
    static const enum world_sockopt booleans[] = {WORLD_SO_REUSEADDR, WORLD_SO_DONTROUTE, WORLD_SO_BROADCAST,
                                                  WORLD_SO_KEEPALIVE, WORLD_SO_OOBINLINE, WORLD_SO_REUSEPORT,
                                                  WORLD_SO_NODELAY};
    for (size_t i = 0; i < sizeof booleans / sizeof *booleans; i++) {
        assert_int_equal(option(tcp, booleans[i]), 0);
        assert_int_equal(OP(set_option, tcp, booleans[i], 7), 0);
        assert_int_equal(option(tcp, booleans[i]), 1);
        assert_int_equal(OP(set_option, tcp, booleans[i], 0), 0);
        assert_int_equal(option(tcp, booleans[i]), 0);
    }
    static const struct {
        enum world_sockopt o;
        int64_t value;
    } counts[] = {{WORLD_SO_RCVLOWAT, 12}, {WORLD_SO_KEEPIDLE, 77}, {WORLD_SO_KEEPINTVL, 5}, {WORLD_SO_KEEPCNT, 3},
                  {WORLD_SO_LINGER, 3},    {WORLD_SO_LINGER, 0},    {WORLD_SO_LINGER, -1}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        assert_int_equal(OP(set_option, tcp, counts[i].o, counts[i].value), 0);
        assert_int_equal(option(tcp, counts[i].o), counts[i].value);
    }
    static const enum world_sockopt buffers[] = {WORLD_SO_SNDBUF, WORLD_SO_RCVBUF};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(OP(set_option, tcp, buffers[i], 20000), 0);
        assert_true(option(tcp, buffers[i]) >= 20000);
        assert_int_equal(OP(set_option, tcp, buffers[i], INT64_MAX), 0); /* as much as may be */
        assert_true(option(tcp, buffers[i]) > 20000);
        assert_int_equal(OP(set_option, tcp, buffers[i], -1), -EINVAL);
    }
    static const enum world_sockopt times[] = {WORLD_SO_RCVTIMEO, WORLD_SO_SNDTIMEO};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(option(tcp, times[i]), 0);
        assert_int_equal(OP(set_option, tcp, times[i], 2500000000), 0);
        int64_t got = option(tcp, times[i]); /* the kernel counts in ticks of its own */
        assert_true(got >= 2500000000 && got < 2520000000);
        assert_int_equal(OP(set_option, tcp, times[i], 1), 0);
        assert_true(option(tcp, times[i]) > 0);
        assert_int_equal(OP(set_option, tcp, times[i], 1999999999), 0);
        assert_true(option(tcp, times[i]) >= 2000000000);
        assert_int_equal(OP(set_option, tcp, times[i], 0), 0);
        assert_int_equal(option(tcp, times[i]), 0);
        assert_int_equal(OP(set_option, tcp, times[i], -1), -EDOM);
    }
    assert_int_equal(option(tcp, WORLD_SO_TYPE), WORLD_STREAM);
    assert_int_equal(option(tcp, WORLD_SO_ERROR), 0);
    assert_int_equal(option(tcp, WORLD_SO_ACCEPTCONN), 0);
    assert_int_equal(OP(listen, tcp, 1), 0);
    assert_int_equal(option(tcp, WORLD_SO_ACCEPTCONN), 1);
    static const enum world_sockopt fixed[] = {WORLD_SO_TYPE, WORLD_SO_ERROR, WORLD_SO_ACCEPTCONN, WORLD_SO_V6ONLY,
                                               WORLD_NSOCKOPTS};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        assert_int_equal(OP(set_option, tcp, fixed[i], 1), -ENOPROTOOPT);
    int64_t value = 0;
    assert_int_equal(OP(get_option, tcp, WORLD_NSOCKOPTS, &value), -ENOPROTOOPT);
    OP(close, tcp);

    /* options of others */
    int unx = OP(socket, ADDR_UNIX, WORLD_STREAM), udp = OP(socket, ADDR_INET, WORLD_DGRAM);
    static const enum world_sockopt of_tcp[] = {WORLD_SO_NODELAY, WORLD_SO_KEEPIDLE, WORLD_SO_KEEPINTVL,
                                                WORLD_SO_KEEPCNT, WORLD_SO_V6ONLY};
    for (size_t i = 0; i < sizeof of_tcp / sizeof *of_tcp; i++) {
        assert_int_equal(OP(get_option, unx, of_tcp[i], &value), -ENOPROTOOPT);
        assert_int_equal(OP(set_option, unx, of_tcp[i], 1), -ENOPROTOOPT);
        assert_int_equal(OP(get_option, udp, of_tcp[i], &value), -ENOPROTOOPT);
        assert_int_equal(OP(set_option, udp, of_tcp[i], 1), -ENOPROTOOPT);
    }
    OP(close, unx);
    OP(close, udp);
    assert_int_equal(OP(get_option, tree_fd(), WORLD_SO_TYPE, &value), -ENOTSOCK);
    assert_int_equal(OP(socket, ADDR_NONE, WORLD_STREAM), -EAFNOSUPPORT);
    assert_int_equal(OP(socket, ADDR_INET, 0), -EPROTONOSUPPORT);
    if (have_v6()) {
        int six = OP(socket, ADDR_INET6, WORLD_STREAM);
        assert_int_equal(OP(set_option, six, WORLD_SO_V6ONLY, 1), 0);
        assert_int_equal(option(six, WORLD_SO_V6ONLY), 1);
        OP(close, six);
    }
}

/* Fills the way to the other end, so that closing with LINGER would have something to wait for. */
static void fill(int fd) {
    static char zeros[65536];
    struct iovec v = {zeros, sizeof zeros};
    while (OP(send, fd, &v, 1, NULL) > 0)
        ;
}

static void test_closing_never_waits(void **state) {
    (void)state;
    struct pair p = connected(v4(0));
    assert_int_equal(OP(set_option, p.client, WORLD_SO_LINGER, 3600), 0);
    int second = OP(dup, p.client);
    fill(p.client);
    assert_int_equal(OP(close, p.client), 0);
    assert_int_equal(OP(close, second), 0); /* would take an hour */
    /* what was sent still comes */
    char got[4096];
    struct iovec v = {got, sizeof got};
    uint32_t flags = 0;
    assert_int_equal(OP(recv, p.server, &v, 1, &flags, NULL), sizeof got);
    OP(close, p.server);

    /* accepted sockets have it from their listener */
    assert_int_equal(OP(set_option, p.listener, WORLD_SO_LINGER, 3600), 0);
    int c = OP(socket, ADDR_INET, WORLD_STREAM);
    assert_int_equal(OP(connect, c, &p.address), -EINPROGRESS);
    wait_for(p.listener, WORLD_READABLE);
    int s = OP(accept, p.listener, 0);
    assert_int_equal(option(s, WORLD_SO_LINGER), 3600);
    fill(s);
    assert_int_equal(OP(close, s), 0);
    OP(close, c);

    /* 0 means what it says: the peer's connection is reset, also after it meant something else */
    c = OP(socket, ADDR_INET, WORLD_STREAM);
    assert_int_equal(OP(connect, c, &p.address), -EINPROGRESS);
    wait_for(p.listener, WORLD_READABLE);
    s = OP(accept, p.listener, 0);
    assert_int_equal(OP(set_option, s, WORLD_SO_LINGER, 0), 0);
    assert_int_equal(OP(close, s), 0);
    wait_for(c, WORLD_READABLE);
    assert_int_equal(recv_errno(c), -ECONNRESET);
    OP(close, c);
    OP(close, p.listener);
}

/* ---- names ---- */

static int look_up(const char *name, const char *service, struct world_query q, struct world_found *out) {
    q.name = name;
    q.service = service;
    return OP(resolve, &q, out, WORLD_MAX_FOUND, NULL);
}

static void test_resolve_numbers(void **state) {
    (void)state;
    struct world_found f[WORLD_MAX_FOUND];
    struct addr a = v4(443);
    assert_int_equal(look_up("127.0.0.1", "443", (struct world_query){.type = WORLD_STREAM}, f), 1);
    assert_int_equal(f[0].type, WORLD_STREAM);
    assert_true(same(&f[0].addr, &a));
    a = v6(53);
    assert_int_equal(look_up("::1", "53", (struct world_query){.type = WORLD_DGRAM, .numeric_host = true}, f), 1);
    assert_int_equal(f[0].type, WORLD_DGRAM);
    assert_true(same(&f[0].addr, &a));
    /* both types when none is asked for */
    assert_int_equal(look_up("127.0.0.1", NULL, (struct world_query){0}, f), 2);
    assert_int_equal(f[0].addr.port, 0);
    assert_int_not_equal(f[0].type, f[1].type);
    /* families */
    assert_int_equal(look_up("::1", "1", (struct world_query){.family = ADDR_INET}, f), WORLD_NAME_UNKNOWN);
    assert_int_equal(look_up("127.0.0.1", "1", (struct world_query){.family = ADDR_INET6}, f), WORLD_NAME_UNKNOWN);
    assert_int_equal(look_up("127.0.0.1", "1", (struct world_query){.family = ADDR_UNIX}, f), -EAFNOSUPPORT);
    assert_int_equal(look_up("localhost", "1", (struct world_query){.numeric_host = true}, f), WORLD_NAME_UNKNOWN);
    /* ourselves: any address to listen on, or loopback to connect to */
    struct world_query q = {.family = ADDR_INET, .type = WORLD_STREAM, .passive = true};
    assert_int_equal(look_up(NULL, "80", q, f), 1);
    a = (struct addr){.family = ADDR_INET, .port = 80};
    assert_true(same(&f[0].addr, &a));
    q.passive = false;
    assert_int_equal(look_up("", "80", q, f), 1);
    a = v4(80);
    assert_true(same(&f[0].addr, &a));
    /* no more than there is room for */
    q = (struct world_query){.name = "127.0.0.1"};
    assert_int_equal(OP(resolve, &q, f, 1, NULL), 1);
    assert_int_equal(OP(resolve, &q, f, 0, NULL), -EINVAL);
}

static void test_resolve_services(void **state) {
    (void)state;
    struct world_found f[WORLD_MAX_FOUND];
    struct world_query q = {.type = WORLD_STREAM};
    if (access("/etc/services", R_OK) == 0) {
        assert_int_equal(look_up("127.0.0.1", "https", q, f), 1);
        assert_int_equal(f[0].addr.port, 443);
    }
    static const char *const none[] = {"no-such-service", "65536", "99999999999", "-1", "+80", " 80", "80 "};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(look_up("127.0.0.1", none[i], q, f), WORLD_NAME_SERVICE);
    q.numeric_service = true;
    assert_int_equal(look_up("127.0.0.1", "https", q, f), WORLD_NAME_SERVICE);
    assert_int_equal(look_up("127.0.0.1", "65535", q, f), 1);
    assert_int_equal(f[0].addr.port, 65535);
}

static void test_resolve_names(void **state) {
    (void)state;
    struct world_found f[WORLD_MAX_FOUND];
    struct world_query q = {.name = "localhost", .service = "80", .type = WORLD_STREAM, .canonical = true};
    char canonical[WORLD_MAX_NAME] = "";
    int n = OP(resolve, &q, f, WORLD_MAX_FOUND, canonical);
    assert_true(n >= 1);
    assert_true(canonical[0] != '\0');
    struct addr four = v4(80), six = v6(80);
    for (int i = 0; i < n; i++) {
        assert_true(same(&f[i].addr, &four) || same(&f[i].addr, &six));
        for (int j = 0; j < i; j++)
            assert_false(same(&f[i].addr, &f[j].addr));
    }
    q.canonical = false;
    assert_true(OP(resolve, &q, f, WORLD_MAX_FOUND, canonical) >= 1);
    assert_string_equal(canonical, "");
    n = look_up("no-such-name.aeon-test.invalid", "80", (struct world_query){0}, f);
    assert_true(n == WORLD_NAME_UNKNOWN || n == WORLD_NAME_AGAIN);
}

/* ---- beside sockets ---- */

static void test_read_cached(void **state) {
    (void)state;
    tree_file("f", "0123456789");
    int fd = OP(open, tree_fd(), "f", WORLD_READ, 0);
    char got[16];
    struct iovec v = {got, 4};
    assert_int_equal(OP(preadv, fd, &v, 1, 0), 4); /* now it is in memory */
    int64_t r = OP(read_cached, fd, &v, 1, 2);
    if (r != -EAGAIN) { /* this file system can tell */
        assert_int_equal(r, 4);
        assert_memory_equal(got, "2345", 4);
        assert_int_equal(OP(read_cached, fd, &v, 1, UINT64_MAX), 4);
        assert_memory_equal(got, "0123", 4);
        assert_int_equal(OP(read_cached, fd, &v, 1, UINT64_MAX), 4);
        assert_memory_equal(got, "4567", 4);
        assert_int_equal(OP(read_cached, fd, &v, 1, 100), 0);
    }
    assert_int_equal(OP(read_cached, fd, &v, 1, UINT64_MAX - 1), -EINVAL);
    OP(close, fd);
    int p[2];
    assert_int_equal(pipe(p), 0);
    assert_int_equal(OP(read_cached, p[0], &v, 1, UINT64_MAX), -EAGAIN);
    OP(close, p[0]);
    OP(close, p[1]);
}

static void test_file_size_limit(void **state) {
    (void)state;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 4096;
    int fd = OP(open, tree_fd(), "big", WORLD_WRITE | WORLD_CREATE, 0600);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    static char page[4096];
    struct iovec v = {page, sizeof page};
    assert_int_equal(OP(writev, fd, &v, 1), 4096);
    assert_int_equal(OP(writev, fd, &v, 1), -EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    OP(close, fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp4),
        cmocka_unit_test(test_tcp6),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_in_progress),
        cmocka_unit_test(test_blocking_sockets_of_others),
        cmocka_unit_test(test_udp4),
        cmocka_unit_test(test_udp6),
        cmocka_unit_test(test_unix_datagrams),
        cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_closing_never_waits),
        cmocka_unit_test(test_resolve_numbers),
        cmocka_unit_test(test_resolve_services),
        cmocka_unit_test(test_resolve_names),
        cmocka_unit_test(test_read_cached),
        cmocka_unit_test(test_file_size_limit),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
