/* Sockets of both generations over the machine's loopback: a program that is both client and server. */
#include "base/must.h"
#include "box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- calls in words ---- */

/* An address as a guest has it: raw, or with its family in 128 bytes. */
struct guest_addr {
    uint8_t bytes[128];
    struct abi_mem mem;
    uint32_t port;
};

static struct guest_addr *address(struct guest_addr *out, const char *text, bool raw) {
    struct addr a;
    must(addr_parse(text, &a));
    memset(out, 0, sizeof *out);
    out->mem = (struct abi_mem){out->bytes, !raw ? 128 : a.family == ADDR_INET ? 4 : 16};
    must(abi_addr_write(&a, &out->mem));
    if (!raw)
        out->mem.size = 128;
    out->port = a.port;
    return out;
}

static const char *said(const struct guest_addr *a, uint32_t size) {
    static char text[ADDR_TEXT_MAX];
    struct addr addr;
    if (!abi_addr_read(SPAN(a->bytes, size), a->port, &addr))
        return "no address";
    return addr_print(&addr, text);
}

static uint32_t open_socket(uint32_t family, uint32_t type, bool nonblock) {
    struct abi_sock_open a = {.family = family, .type = type};
    assert_int_equal(wasi_sock_open(wasi, &a), 0);
    if (nonblock)
        assert_int_equal(CALLED(fd_fdstat_set_flags, .fd = a.fd, .flags = WASI_FDFLAG_NONBLOCK), 0);
    return a.fd;
}

static int64_t bind_to(uint32_t fd, const char *text) {
    struct guest_addr a;
    address(&a, text, false);
    return CALLED(sock_bind, .fd = fd, .addr = a.mem, .port = a.port);
}

static int64_t connect_to(uint32_t fd, const char *text, bool raw) {
    struct guest_addr a;
    address(&a, text, raw);
    return CALLED(sock_connect, .fd = fd, .addr = a.mem, .port = a.port);
}

static const char *local(uint32_t fd) {
    struct guest_addr out = {0};
    struct abi_sock_getlocaladdr a = {.fd = fd, .addr = {out.bytes, 128}};
    assert_int_equal(wasi_sock_getlocaladdr(wasi, &a), 0);
    out.port = a.port;
    return said(&out, a.addr.size);
}

static int64_t peer(uint32_t fd, char text[ADDR_TEXT_MAX]) {
    struct guest_addr out = {0};
    struct abi_sock_getpeeraddr a = {.fd = fd, .addr = {out.bytes, 128}};
    int64_t r = wasi_sock_getpeeraddr(wasi, &a);
    out.port = a.port;
    strcpy(text, r ? "" : said(&out, a.addr.size));
    return r;
}

static int64_t accept_one(uint32_t fd, uint32_t *out) {
    struct abi_sock_accept a = {.fd = fd, .flags = WASI_FDFLAG_NONBLOCK};
    int64_t r = wasi_sock_accept(wasi, &a);
    *out = a.connection_fd;
    return r;
}

static int64_t send_text(uint32_t fd, const char *s) {
    struct iovec v = {(char *)s, strlen(s)};
    struct abi_sock_send a = {.fd = fd, .iovs = {&v, v.iov_len != 0, (uint32_t)v.iov_len}};
    int64_t r = wasi_sock_send(wasi, &a);
    if (r == 0)
        assert_int_equal(a.nsent, v.iov_len);
    return r;
}

static int64_t recv_text(uint32_t fd, uint32_t flags, char *out, uint32_t n) {
    struct iovec v = {out, n};
    struct abi_sock_recv a = {.fd = fd, .iovs = {&v, 1, n}, .ri_flags = flags};
    int64_t r = wasi_sock_recv(wasi, &a);
    out[r == 0 ? a.nread : 0] = '\0';
    return r;
}

/* Waits for one thing; 0, or the event's flags + 1. */
static uint32_t ready(uint32_t fd, uint8_t type, uint64_t timeout_ns, uint64_t *nbytes) {
    struct wasi_subscription in[2] = {
        {.userdata = 7, .type = type, .u.fd = fd},
        {.userdata = 8, .type = WASI_EVENT_CLOCK, .u.clock = {.id = WASI_CLOCK_MONOTONIC, .timeout = timeout_ns}},
    };
    struct wasi_event out[2];
    struct abi_poll_oneoff a = {
        .in = {(uint8_t *)in, sizeof in}, .out = {(uint8_t *)out, sizeof out}, .nsubscriptions = 2};
    assert_int_equal(wasi_poll_oneoff(wasi, &a), 0);
    for (uint32_t i = 0; i < a.nevents; i++) {
        if (out[i].userdata == 8)
            continue;
        assert_int_equal(out[i].error, 0);
        if (nbytes)
            *nbytes = out[i].nbytes;
        return 1u + out[i].flags;
    }
    return 0;
}

enum { SOON = 10000000, LATE = 2000000000 }; /* what must not happen; what must, on however busy a machine */

static int64_t option(uint32_t fd, uint64_t name, void *out, uint32_t room, uint32_t *size) {
    struct abi_sock_getsockopt a = {.fd = fd, .option = name, .value = {out, room}};
    int64_t r = wasi_sock_getsockopt(wasi, &a);
    *size = a.value.size;
    return r;
}

static int32_t number(uint32_t fd, uint64_t name) {
    int32_t v = -1;
    uint32_t size;
    assert_int_equal(option(fd, name, &v, 4, &size), 0);
    assert_int_equal(size, 4);
    return v;
}

static int64_t set(uint32_t fd, uint64_t name, const void *value, uint32_t size) {
    return CALLED(sock_setsockopt, .fd = fd, .option = name, .value = {(uint8_t *)value, size});
}

static int64_t set_number(uint32_t fd, uint64_t name, int32_t v) {
    return set(fd, name, &v, 4);
}

static uint32_t listener(const char *at, char name[ADDR_TEXT_MAX]) {
    struct addr a;
    must(addr_parse(at, &a));
    uint32_t fd = open_socket((uint32_t)a.family, WASI_SOCKTYPE_STREAM, true);
    assert_int_equal(set_number(fd, WASI_SO_REUSEADDR, 1), 0);
    assert_int_equal(bind_to(fd, at), 0);
    assert_int_equal(CALLED(sock_listen, .fd = fd, .backlog = 8), 0);
    strcpy(name, local(fd));
    return fd;
}

/* ---- streams ---- */

static void test_connect_without_waiting(void **state) {
    char name[ADDR_TEXT_MAX], text[ADDR_TEXT_MAX], buf[64];
    uint32_t server = listener("127.0.0.1:0", name), client = open_socket(WASI_FAMILY_INET, WASI_SOCKTYPE_STREAM, true),
             conn;
    uint64_t nbytes;
    (void)state;
    assert_int_equal(strncmp(name, "127.0.0.1:", 10), 0);
    assert_string_not_equal(name, "127.0.0.1:0");
    assert_int_equal(number(server, WASI_SO_ACCEPTCONN), 1);
    assert_int_equal(accept_one(server, &conn), WASI_EAGAIN);
    assert_int_equal(ready(server, WASI_EVENT_FD_READ, SOON, NULL), 0);

    int64_t r = connect_to(client, name, true);
    assert_true(r == WASI_EINPROGRESS || r == 0);
    assert_int_equal(ready(client, WASI_EVENT_FD_WRITE, LATE, NULL), 1);
    assert_int_equal(number(client, WASI_SO_ERROR), 0);
    assert_int_equal(peer(client, text), 0);
    assert_string_equal(text, name);

    assert_int_equal(ready(server, WASI_EVENT_FD_READ, LATE, NULL), 1);
    assert_int_equal(accept_one(server, &conn), 0);
    assert_int_equal(peer(conn, text), 0);
    assert_string_equal(text, local(client));
    assert_string_equal(local(conn), name);

    /* by preview 1's functions of either kind */
    assert_int_equal(ready(conn, WASI_EVENT_FD_READ, SOON, NULL), 0);
    assert_int_equal(recv_text(conn, 0, buf, 60), WASI_EAGAIN);
    assert_int_equal(send_text(client, "by send, "), 0);
    assert_int_equal(box_write(client, "by write", NULL), 0);
    assert_int_equal(ready(conn, WASI_EVENT_FD_READ, LATE, &nbytes), 1);
    assert_true(nbytes >= 9);
    while (recv_text(conn, WASI_RI_RECV_PEEK, buf, 60) == 0 && strlen(buf) < 17)
        assert_int_equal(ready(conn, WASI_EVENT_FD_READ, LATE, NULL), 1);
    assert_string_equal(buf, "by send, by write");
    assert_int_equal(recv_text(conn, WASI_RI_RECV_WAITALL, buf, 9), 0);
    assert_string_equal(buf, "by send, ");
    assert_int_equal(box_read(conn, buf, 60), 0);
    assert_string_equal(buf, "by write");

    /* one direction ends: that can be read, and the other one goes on */
    assert_int_equal(CALLED(sock_shutdown, .fd = client, .how = WASI_SD_WR), 0);
    assert_int_equal(ready(conn, WASI_EVENT_FD_READ, LATE, &nbytes), 2);
    assert_int_equal(nbytes, 0);
    assert_int_equal(recv_text(conn, 0, buf, 60), 0);
    assert_string_equal(buf, "");
    assert_int_equal(ready(conn, WASI_EVENT_FD_WRITE, LATE, NULL), 1);
    assert_int_equal(send_text(conn, "still here"), 0);
    assert_int_equal(ready(client, WASI_EVENT_FD_READ, LATE, NULL), 1);
    assert_int_equal(recv_text(client, 0, buf, 60), 0);
    assert_string_equal(buf, "still here");
    assert_int_equal(send_text(client, "no more"), WASI_EPIPE);

    assert_int_equal(box_close(conn), 0);
    assert_int_equal(CALLED(fd_renumber, .fd = client, .to = server), 0);
    assert_int_equal(recv_text(server, 0, buf, 60), 0);
    assert_int_equal(box_close(server), 0);
    assert_int_equal(box_close(client), WASI_EBADF);
}

static void test_connect_and_wait(void **state) {
    char name[ADDR_TEXT_MAX], buf[16];
    uint32_t server = listener("127.0.0.1:0", name), conn;
    uint32_t client = open_socket(WASI_FAMILY_INET, WASI_SOCKTYPE_STREAM, false);
    (void)state;
    assert_int_equal(connect_to(client, name, false), 0);
    connect_to(client, name, false); /* a kernel may say so once more */
    assert_int_equal(connect_to(client, name, false), WASI_EISCONN);
    assert_int_equal(ready(server, WASI_EVENT_FD_READ, LATE, NULL), 1);
    assert_int_equal(accept_one(server, &conn), 0);
    assert_int_equal(send_text(conn, "x"), 0);
    assert_int_equal(recv_text(client, 0, buf, 15), 0);
    assert_string_equal(buf, "x");

    /* a time-out, and none any more */
    const int64_t wide[2] = {0, 1000};
    assert_int_equal(set(client, WASI_SO_RCVTIMEO, wide, 16), 0);
    assert_int_equal(recv_text(client, 0, buf, 15), WASI_EAGAIN);
    assert_int_equal(box_read(client, buf, 15), WASI_EAGAIN);
    assert_int_equal(send_text(conn, "yz"), 0);
    const int32_t narrow[2] = {0, 0};
    assert_int_equal(set(client, WASI_SO_RCVTIMEO, narrow, 8), 0);
    assert_int_equal(recv_text(client, WASI_RI_RECV_WAITALL, buf, 2), 0);
    assert_string_equal(buf, "yz");
    assert_int_equal(box_close(server), 0);
}

static void test_nobody_there(void **state) {
    char name[ADDR_TEXT_MAX];
    uint32_t server = listener("127.0.0.1:0", name);
    uint32_t blocking = open_socket(WASI_FAMILY_INET, WASI_SOCKTYPE_STREAM, false);
    uint32_t other = open_socket(WASI_FAMILY_INET, WASI_SOCKTYPE_STREAM, true);
    (void)state;
    assert_int_equal(box_close(server), 0);
    assert_int_equal(connect_to(blocking, name, false), WASI_ECONNREFUSED);
    int64_t r = connect_to(other, name, false);
    assert_true(r == WASI_EINPROGRESS || r == WASI_ECONNREFUSED);
    if (r == WASI_EINPROGRESS) {
        assert_int_equal(ready(other, WASI_EVENT_FD_WRITE, LATE, NULL), 2);
        assert_int_equal(number(other, WASI_SO_ERROR), WASI_ECONNREFUSED);
        assert_int_equal(number(other, WASI_SO_ERROR), 0); /* reading it clears it */
    }
    assert_int_equal(peer(other, name), WASI_ENOTCONN);
}

static void test_first_generation(void **state) {
    char name[ADDR_TEXT_MAX];
    uint32_t server = listener("127.0.0.1:0", name);
    uint32_t client = open_socket(WASI_FAMILY_INET, WASI_SOCKTYPE_STREAM, false);
    struct guest_addr out = {0};
    (void)state;
    assert_int_equal(connect_to(client, name, true), 0);
    assert_int_equal(ready(server, WASI_EVENT_FD_READ, LATE, NULL), 1);
    struct abi_v1_sock_accept accept = {.fd = server};
    assert_int_equal(wasi_v1_sock_accept(wasi, &accept), 0);

    struct abi_v1_sock_getpeeraddr of_peer = {.fd = client, .addr = {out.bytes, 16}};
    assert_int_equal(wasi_v1_sock_getpeeraddr(wasi, &of_peer), 0);
    assert_int_equal(of_peer.type, 4);
    assert_int_equal(of_peer.addr.size, 4);
    out.port = of_peer.port;
    assert_string_equal(said(&out, 4), name);
    struct abi_v1_sock_getlocaladdr of_this = {.fd = accept.connection_fd, .addr = {out.bytes, 4}};
    assert_int_equal(wasi_v1_sock_getlocaladdr(wasi, &of_this), 0);
    out.port = of_this.port;
    assert_string_equal(said(&out, 4), name);
}

static void test_inet6(void **state) {
    struct addr a;
    char name[ADDR_TEXT_MAX], text[ADDR_TEXT_MAX];
    (void)state;
    must(addr_parse("[::1]:0", &a));
    int probe = world->ops->socket(world, ADDR_INET6, WORLD_STREAM);
    bool there = probe >= 0 && world->ops->bind(world, probe, &a) == 0;
    if (probe >= 0)
        world->ops->close(world, probe);
    if (!there)
        skip();
    uint32_t server = listener("[::1]:0", name), conn;
    uint32_t client = open_socket(WASI_FAMILY_INET6, WASI_SOCKTYPE_STREAM, false);
    assert_int_equal(strncmp(name, "[::1]:", 6), 0);
    assert_int_equal(set_number(client, WASI_SO_IPV6_V6ONLY, 1), 0);
    assert_int_equal(connect_to(client, name, true), 0);
    assert_int_equal(ready(server, WASI_EVENT_FD_READ, LATE, NULL), 1);
    assert_int_equal(accept_one(server, &conn), 0);
    assert_int_equal(peer(client, text), 0);
    assert_string_equal(text, name);
    struct guest_addr out = {0};
    struct abi_v1_sock_getpeeraddr of_peer = {.fd = client, .addr = {out.bytes, 16}};
    assert_int_equal(wasi_v1_sock_getpeeraddr(wasi, &of_peer), 0);
    assert_int_equal(of_peer.type, 6);
    struct abi_v1_sock_getpeeraddr narrow = {.fd = client, .addr = {out.bytes, 4}};
    assert_int_equal(wasi_v1_sock_getpeeraddr(wasi, &narrow), WASI_EINVAL);
}

static void test_unix(void **state) {
    char at[ADDR_MAX_PATH + 8], name[ADDR_TEXT_MAX], text[ADDR_TEXT_MAX], buf[16];
    (void)state;
    snprintf(at, sizeof at, "unix:/tmp/aeon-sock-test-%d", (int)getpid());
    uint32_t server = listener(at, name), conn;
    uint32_t client = open_socket(WASI_FAMILY_UNIX, WASI_SOCKTYPE_STREAM, false);
    assert_string_equal(name, at);
    assert_int_equal(connect_to(client, at, false), 0);
    unlink(at + 5);
    assert_int_equal(accept_one(server, &conn), 0);
    assert_int_equal(peer(client, text), 0);
    assert_string_equal(text, at);
    assert_int_equal(peer(conn, text), 0);
    assert_string_equal(text, "unix:");
    assert_int_equal(send_text(client, "hello"), 0);
    assert_int_equal(recv_text(conn, 0, buf, 15), 0);
    assert_string_equal(buf, "hello");
    struct guest_addr out;
    struct abi_v1_sock_getpeeraddr raw = {.fd = client, .addr = {out.bytes, 16}};
    assert_int_equal(wasi_v1_sock_getpeeraddr(wasi, &raw), WASI_EINVAL); /* no room for a path */
}

/* ---- datagrams ---- */

static int64_t send_datagram(uint32_t fd, const char *s, const char *to, bool raw) {
    struct guest_addr a = {0};
    struct iovec v = {(char *)s, strlen(s)};
    if (to)
        address(&a, to, raw);
    struct abi_sock_send_to args = {
        .fd = fd, .iovs = {&v, v.iov_len != 0, (uint32_t)v.iov_len}, .addr = a.mem, .port = a.port};
    int64_t r = wasi_sock_send_to(wasi, &args);
    if (r == 0)
        assert_int_equal(args.nsent, v.iov_len);
    return r;
}

static void test_datagrams(void **state) {
    uint32_t a = open_socket(WASI_FAMILY_INET, WASI_SOCKTYPE_DGRAM, true);
    uint32_t b = open_socket(WASI_FAMILY_INET, WASI_SOCKTYPE_DGRAM, false);
    char at_a[ADDR_TEXT_MAX], at_b[ADDR_TEXT_MAX], buf[16] = {0};
    struct guest_addr from = {0};
    uint64_t nbytes;
    (void)state;
    assert_int_equal(bind_to(a, "127.0.0.1:0"), 0);
    assert_int_equal(bind_to(b, "127.0.0.1:0"), 0);
    strcpy(at_a, local(a));
    strcpy(at_b, local(b));
    struct iovec v = {buf, 5};
    struct abi_sock_recv_from args = {.fd = a, .iovs = {&v, 1, 5}, .addr = {from.bytes, 128}};
    assert_int_equal(wasi_sock_recv_from(wasi, &args), WASI_EAGAIN);

    assert_int_equal(send_datagram(b, "too long", at_a, false), 0);
    assert_int_equal(send_datagram(b, "two", at_a, true), 0);
    assert_int_equal(ready(a, WASI_EVENT_FD_READ, LATE, &nbytes), 1);
    assert_int_equal(nbytes, 8); /* of the first one */
    assert_int_equal(wasi_sock_recv_from(wasi, &args), 0);
    assert_int_equal(args.nread, 5);
    assert_int_equal(args.iovs.size, 5);
    assert_int_equal(args.ro_flags, WASI_RO_RECV_DATA_TRUNCATED);
    from.port = args.port;
    assert_string_equal(said(&from, args.addr.size), at_b);

    struct guest_addr raw = {0};
    assert_int_equal(ready(a, WASI_EVENT_FD_READ, LATE, NULL), 1);
    struct abi_v1_sock_recv_from first = {.fd = a, .iovs = {&v, 1, 5}, .addr = {raw.bytes, 4}};
    assert_int_equal(wasi_v1_sock_recv_from(wasi, &first), 0);
    assert_int_equal(first.nread, 3);
    assert_int_equal(first.ro_flags, 0);
    assert_int_equal(first.addr.size, 4);
    assert_memory_equal(raw.bytes, "\x7f\0\0\1", 4);

    /* empty ones are datagrams too; a connected socket needs no address */
    assert_int_equal(connect_to(a, at_b, true), 0);
    assert_int_equal(send_text(a, ""), 0);
    assert_int_equal(send_datagram(a, "more", NULL, false), 0);
    v.iov_len = 8;
    struct abi_sock_recv_from empty = {.fd = b, .iovs = {&v, 1, 8}, .addr = {from.bytes, 128}};
    assert_int_equal(wasi_sock_recv_from(wasi, &empty), 0);
    assert_int_equal(empty.nread, 0);
    from.port = empty.port;
    assert_string_equal(said(&from, empty.addr.size), at_a);
    assert_int_equal(recv_text(b, 0, buf, 8), 0);
    assert_string_equal(buf, "more");
    assert_int_equal(number(a, WASI_SO_TYPE), WASI_SOCKTYPE_DGRAM);
    assert_int_equal(set_number(a, WASI_SO_BROADCAST, 1), 0);
    assert_int_equal(number(a, WASI_SO_BROADCAST), 1);
    assert_int_equal(CALLED(sock_listen, .fd = a, .backlog = 1), WASI_ENOTSUP);
}

/* ---- options and names ---- */

static void test_options(void **state) {
    uint32_t fd = open_socket(WASI_FAMILY_INET, WASI_SOCKTYPE_ANY, false), size;
    uint8_t raw[16];
    (void)state;
    static const uint64_t booleans[] = {
        WASI_SO_REUSEADDR, WASI_SO_DONTROUTE,   WASI_SO_KEEPALIVE,         WASI_SO_OOBINLINE,
        WASI_SO_REUSEPORT, WASI_SO_TCP_NODELAY, WASI_SO_TCP_NODELAY_LINUX,
    };
    for (size_t i = 0; i < sizeof booleans / sizeof *booleans; i++) {
        assert_int_equal(set_number(fd, booleans[i], 0), 0);
        assert_int_equal(number(fd, booleans[i]), 0);
        assert_int_equal(set(fd, booleans[i], "\1", 1), 0); /* some guests have but a byte */
        assert_int_equal(number(fd, booleans[i]), 1);
    }
    static const uint64_t counts[] = {WASI_SO_TCP_KEEPIDLE, WASI_SO_TCP_KEEPINTVL, WASI_SO_TCP_KEEPCNT,
                                      WASI_SO_RCVLOWAT};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        assert_int_equal(set_number(fd, counts[i], 9), 0);
        assert_int_equal(number(fd, counts[i]), 9);
    }
    assert_int_equal(set_number(fd, WASI_SO_SNDBUF, 32768), 0);
    assert_true(number(fd, WASI_SO_SNDBUF) >= 32768);
    assert_int_equal(set_number(fd, WASI_SO_RCVBUF, 32768), 0);
    assert_true(number(fd, WASI_SO_RCVBUF) >= 32768);
    assert_int_equal(number(fd, WASI_SO_TYPE), WASI_SOCKTYPE_STREAM);
    assert_int_equal(number(fd, WASI_SO_ACCEPTCONN), 0);
    assert_int_equal(number(fd, WASI_SO_ERROR), 0);

    assert_int_equal(option(fd, WASI_SO_LINGER, raw, 8, &size), 0);
    assert_memory_equal(raw, "\0\0\0\0\0\0\0\0", 8);
    assert_int_equal(set(fd, WASI_SO_LINGER, "\1\0\0\0\0\0\0\0", 8), 0);
    assert_int_equal(option(fd, WASI_SO_LINGER, raw, 16, &size), 0);
    assert_int_equal(size, 8);
    assert_memory_equal(raw, "\1\0\0\0\0\0\0\0", 8);

    const int64_t time[2] = {3, 250000}, most[2] = {INT64_MAX, 0}, wrong[2] = {0, 1000000};
    int64_t back[2];
    assert_int_equal(set(fd, WASI_SO_SNDTIMEO, time, 16), 0);
    assert_int_equal(option(fd, WASI_SO_SNDTIMEO, back, 16, &size), 0);
    assert_memory_equal(back, time, 16);
    assert_int_equal(option(fd, WASI_SO_SNDTIMEO, raw, 8, &size), 0);
    assert_int_equal(get_u32(raw), 3);
    assert_int_equal(set(fd, WASI_SO_SNDTIMEO, most, 16), 0);
    assert_int_equal(set(fd, WASI_SO_SNDTIMEO, wrong, 16), WASI_EINVAL);

    assert_int_equal(set(fd, WASI_SO_BINDTODEVICE, "lo", 2), WASI_ENOPROTOOPT);
    assert_int_equal(set_number(fd, WASI_SO_TYPE, 1), WASI_ENOPROTOOPT);
    assert_int_equal(set_number(fd, WASI_SO_ERROR, 0), WASI_ENOPROTOOPT);
    assert_int_equal(set_number(fd, WASI_SO_ACCEPTCONN, 1), WASI_ENOPROTOOPT);
    assert_int_equal(set_number(fd, (uint64_t)17 << 32, 1), WASI_ENOPROTOOPT);
    assert_int_equal(set(fd, WASI_SO_KEEPALIVE, "", 0), WASI_EINVAL);
    assert_int_equal(set(fd, WASI_SO_LINGER, "\1\0\0\0", 4), WASI_EINVAL);
    assert_int_equal(option(fd, WASI_SO_KEEPALIVE, raw, 3, &size), WASI_EINVAL);
    assert_int_equal(option(fd, WASI_SO_LINGER, raw, 4, &size), WASI_EINVAL);
    assert_int_equal(set(fd, WASI_SO_START_TLS, "example.org", 11), WASI_ENOTSUP); /* nobody does it here */
    assert_int_equal(set(fd, WASI_SO_START_TLS, "a\0b", 3), WASI_EINVAL);
    assert_int_equal(set_number(DATA, WASI_SO_KEEPALIVE, 1), WASI_ENOTSOCK);
    assert_int_equal(set_number(99, WASI_SO_KEEPALIVE, 1), WASI_EBADF);
}

static int64_t look_up(const char *name, const char *service, struct wasi_addrinfo hints, char *out) {
    struct buf b;
    struct abi_sock_getaddrinfo a = {
        .name = text(name), .service = text(service), .hints = {(uint8_t *)&hints, sizeof hints}};
    a.name.size++; /* with the NUL, as some do */
    int64_t r = wasi_sock_getaddrinfo(wasi, &a);
    buf_init(&b, 2000);
    const struct abi_kind *k = abi_kind(ABI_KIND_FOUND_OUT);
    if (r == 0)
        k->show(&(struct abi_text){&b, false, 0}, k, SPAN(a.found.data, a.found.size));
    strcpy(out, buf_cstr(&b));
    buf_deinit(&b);
    return r;
}

static void test_names(void **state) {
    char found[2000];
    struct wasi_addrinfo any = {0}, tcp = {.socktype = WASI_SOCKTYPE_STREAM},
                         udp4 = {.family = WASI_FAMILY_INET, .protocol = WASI_IPPROTO_UDP};
    (void)state;
    assert_int_equal(look_up("192.0.2.7", "80", tcp, found), 0);
    assert_string_equal(found, "[{addr=192.0.2.7:80, socktype=STREAM}]");
    assert_int_equal(look_up("2001:db8::1", "80", tcp, found), 0);
    assert_string_equal(found, "[{addr=[2001:db8::1]:80, socktype=STREAM}]");
    assert_int_equal(look_up("192.0.2.7", "", udp4, found), 0);
    assert_string_equal(found, "[{addr=192.0.2.7:0, socktype=DGRAM}]");
    assert_int_equal(look_up("192.0.2.7", "80", any, found), 0);
    assert_non_null(strstr(found, "socktype=STREAM"));
    assert_non_null(strstr(found, "socktype=DGRAM"));
    tcp.flags = WASI_AI_PASSIVE | WASI_AI_NUMERICSERV;
    tcp.family = WASI_FAMILY_INET;
    assert_int_equal(look_up("", "8080", tcp, found), 0);
    assert_string_equal(found, "[{addr=0.0.0.0:8080, socktype=STREAM}]");
    tcp.flags = 0;
    assert_int_equal(look_up("localhost", "443", tcp, found), 0);
    assert_string_equal(found, "[{addr=127.0.0.1:443, socktype=STREAM}]");
    tcp.flags = WASI_AI_CANONNAME;
    assert_int_equal(look_up("192.0.2.7", "443", tcp, found), 0);
    assert_string_equal(found, "[{addr=192.0.2.7:443, socktype=STREAM, name=\"192.0.2.7\"}]");

    tcp.flags = WASI_AI_NUMERICHOST;
    assert_int_equal(look_up("localhost", "443", tcp, found), WASI_EAI_NONAME);
    tcp.flags = 0x100;
    assert_int_equal(look_up("localhost", "443", tcp, found), WASI_EAI_BADFLAGS);
    tcp.flags = WASI_AI_CANONNAME;
    assert_int_equal(look_up("", "443", tcp, found), WASI_EAI_BADFLAGS);
    tcp.flags = 0;
    tcp.family = WASI_FAMILY_UNIX;
    assert_int_equal(look_up("localhost", "443", tcp, found), WASI_EAI_FAMILY);
    tcp.family = WASI_FAMILY_UNSPEC;
    tcp.protocol = WASI_IPPROTO_UDP;
    assert_int_equal(look_up("localhost", "443", tcp, found), WASI_EAI_SOCKTYPE);
    tcp.protocol = WASI_IPPROTO_TCP;
    assert_int_equal(look_up("192.0.2.7", "no-such-service", tcp, found), WASI_EAI_SERVICE);
    assert_int_equal(look_up("", "", tcp, found), WASI_EAI_NONAME);
    char long_name[300];
    memset(long_name, 'a', sizeof long_name);
    long_name[299] = '\0';
    assert_int_equal(look_up(long_name, "80", tcp, found), WASI_EAI_NONAME);
    tcp.family = WASI_FAMILY_INET6;
    tcp.flags = WASI_AI_V4MAPPED;
    assert_int_equal(look_up("192.0.2.7", "80", tcp, found), 0);
    assert_string_equal(found, "[{addr=[::ffff:192.0.2.7]:80, socktype=STREAM}]");
}

/* ---- what cannot be ---- */

static void test_bad_arguments(void **state) {
    uint32_t fd = open_socket(WASI_FAMILY_INET, WASI_SOCKTYPE_STREAM, true);
    uint8_t bytes[128] = {9};
    (void)state;
    struct abi_sock_open open = {.family = WASI_FAMILY_UNSPEC, .type = WASI_SOCKTYPE_STREAM};
    assert_int_equal(wasi_sock_open(wasi, &open), WASI_EAFNOSUPPORT);
    open.family = 77;
    assert_int_equal(wasi_sock_open(wasi, &open), WASI_EAFNOSUPPORT);
    open = (struct abi_sock_open){.family = WASI_FAMILY_INET, .type = 3};
    assert_int_equal(wasi_sock_open(wasi, &open), WASI_EPROTOTYPE);
    for (uint32_t size = 0; size <= 128; size++)
        if (size != 4 && size != 16) /* a family that there is not, or nothing at all */
            assert_int_equal(CALLED(sock_bind, .fd = fd, .addr = {bytes, size}, .port = 0), WASI_EINVAL);
    assert_int_equal(CALLED(sock_bind, .fd = fd, .addr = {bytes, 4}, .port = 65536), WASI_EINVAL);
    bytes[0] = WASI_FAMILY_UNIX;
    memset(bytes + 2, 'p', 126); /* longer than a path can be */
    assert_int_equal(CALLED(sock_connect, .fd = fd, .addr = {bytes, 128}), WASI_EINVAL);
    assert_int_equal(connect_to(fd, "[::1]:1", false), WASI_EAFNOSUPPORT);
    assert_int_equal(CALLED(sock_bind, .fd = DATA, .addr = {bytes, 4}), WASI_ENOTSOCK);
    assert_int_equal(CALLED(sock_connect, .fd = 99, .addr = {bytes, 4}), WASI_EBADF);
    char name[ADDR_TEXT_MAX], buf[4];
    assert_int_equal(peer(fd, name), WASI_ENOTCONN);
    assert_int_equal(recv_text(fd, 0, buf, 3), WASI_ENOTCONN);
    assert_int_equal(recv_text(fd, 4, buf, 3), WASI_EINVAL);
}

/* A wait does not outlast what the program is given, and happens later all the same. */
static bool stop;
static bool stopping(void *ctx) {
    (void)ctx;
    return stop;
}

static void test_parked(void **state) {
    char name[ADDR_TEXT_MAX], buf[8];
    uint32_t server = listener("127.0.0.1:0", name), conn;
    uint32_t client = open_socket(WASI_FAMILY_INET, WASI_SOCKTYPE_STREAM, false);
    (void)state;
    assert_int_equal(connect_to(client, name, true), 0);
    assert_int_equal(ready(server, WASI_EVENT_FD_READ, LATE, NULL), 1);
    assert_int_equal(accept_one(server, &conn), 0);
    wasi_set_stopping(wasi, stopping, NULL);
    stop = true;
    assert_int_equal(recv_text(client, 0, buf, 7), ABI_PARK);
    stop = false;
    wasi_set_deadline(wasi, world_now(world, WORLD_MONOTONIC) + 1000000);
    assert_int_equal(recv_text(client, 0, buf, 7), ABI_PARK);
    assert_int_equal(send_text(conn, "late"), 0);
    assert_int_equal(recv_text(client, 0, buf, 4), 0); /* nothing to wait for */
    wasi_set_deadline(wasi, UINT64_MAX);
    assert_int_equal(send_text(conn, "later"), 0);
    assert_int_equal(recv_text(client, WASI_RI_RECV_WAITALL, buf, 5), 0);
    assert_string_equal(buf, "later");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, box_set_up, box_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(connect_without_waiting),
        TEST(connect_and_wait),
        TEST(nobody_there),
        TEST(first_generation),
        TEST(inet6),
        TEST(unix),
        TEST(datagrams),
        TEST(options),
        TEST(names),
        TEST(bad_arguments),
        TEST(parked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
