/* Two TLS layers against each other: what is sent arrives, readiness is true, ends and failures are what they are. */
#include "base/must.h"
#include "base/prng.h"
#include "support.h"
#include "world/fault/fault.h"
#include "world/os/os.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct world *os, *client, *server;

static int set_up(void **state) {
    (void)state;
    certs_make();
    os = world_os_new();
    client = layer_new(os, true, NULL);
    server = layer_new(os, false, "good");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    client->ops->free(client);
    server->ops->free(server);
    os->ops->free(os);
    certs_remove();
    return 0;
}

static uint8_t *noise(size_t n, uint64_t seed) {
    uint8_t *p = malloc(n + 8);
    struct prng r = {seed};
    for (size_t i = 0; i < n; i += 8)
        put_u64(p + i, prng_next(&r));
    return p;
}

/* A connection, `host` asked for after connecting; the handshake has not begun. */
static void connection(struct world *c, struct world *s, const char *host, int fds[2]) {
    uint16_t port;
    int listener = tcp_listen(s, &port);
    assert_int_equal(s->ops->start_tls(s, listener, "LOCALHOST."), 0);
    fds[0] = tcp_connect(c, port);
    fds[1] = accept_one(s, listener);
    wait_for(os, fds[0], WORLD_WRITABLE);
    assert_int_equal(c->ops->start_tls(c, fds[0], host), 0);
    assert_int_equal(c->ops->start_tls(c, fds[0], host), -EALREADY);
    s->ops->close(s, listener);
}

/* Sends `n` bytes each way in pieces of `chunk`. */
static void exchange(struct world *c, struct world *s, const char *host, size_t n, size_t chunk) {
    int fds[2];
    connection(c, s, host, fds);
    uint8_t *up = noise(n, 1), *down = noise(n, 2);
    struct side a = {.w = c, .fd = fds[0], .out = up, .nout = n, .in = malloc(n), .cap = n, .chunk = chunk};
    struct side b = {.w = s, .fd = fds[1], .out = down, .nout = n, .in = malloc(n), .cap = n, .chunk = chunk};
    told[0] = '\0';
    pump(&a, &b);
    assert_string_equal(told, "");
    assert_int_equal(a.failure, 0);
    assert_int_equal(b.failure, 0);
    assert_int_equal(a.nin, n);
    assert_int_equal(b.nin, n);
    assert_memory_equal(a.in, down, n);
    assert_memory_equal(b.in, up, n);
    c->ops->close(c, fds[0]);
    s->ops->close(s, fds[1]);
    free(a.in);
    free(b.in);
    free(up);
    free(down);
}

static void test_small(void **state) {
    (void)state;
    exchange(client, server, "localhost", 5, 100);
    exchange(client, server, "127.0.0.1", 40, 1);
    exchange(client, server, "LocalHost.", 0, 1);
}

static void test_large(void **state) {
    (void)state;
    exchange(client, server, "localhost", 10 << 20, 1000);
    exchange(client, server, "localhost", 10 << 20, 1 << 20);
}

/* ---- over networks that are not quite right ---- */

/* One byte at a time, often none, and one byte of the stream changed. */
struct wire {
    struct world_layer layer;
    struct prng r;
    bool trickle;
    int64_t change; /* the how-manieth byte received is another; -1: none */
    uint64_t realtime_ns;
};

static int64_t wire_recv(struct world *w, int fd, const struct iovec *iov, int n, uint32_t *flags, struct addr *from) {
    struct wire *x = (struct wire *)w;
    if (x->trickle && prng_below(&x->r, 2))
        return -EAGAIN;
    struct iovec one = {iov->iov_base, x->trickle ? 1 : iov->iov_len};
    int64_t r = BELOW(w, recv, fd, x->trickle ? &one : iov, x->trickle ? 1 : n, flags, from);
    if (r > 0 && x->change >= 0 && x->change < r)
        ((uint8_t *)iov->iov_base)[x->change] ^= (uint8_t)(1 + prng_below(&x->r, 255));
    if (r > 0)
        x->change -= r;
    return r;
}

static int64_t wire_send(struct world *w, int fd, const struct iovec *iov, int n, const struct addr *to) {
    struct wire *x = (struct wire *)w;
    if (x->trickle && prng_below(&x->r, 2))
        return -EAGAIN;
    struct iovec one = {iov->iov_base, 1};
    return BELOW(w, send, fd, x->trickle ? &one : iov, x->trickle ? 1 : n, to);
}

static int wire_clock(struct world *w, enum world_clock c, uint64_t *ns) {
    struct wire *x = (struct wire *)w;
    if (c != WORLD_REALTIME || !x->realtime_ns)
        return BELOW(w, clock, c, ns);
    *ns = x->realtime_ns;
    return 0;
}

static struct world *wire_init(struct wire *x) {
    static const struct world_ops wire_ops = {WORLD_FORWARD, .name = "wire", .recv = wire_recv, .send = wire_send,
                                              .clock = wire_clock};
    *x = (struct wire){.layer = {{&wire_ops}, os}, .r = {1}, .change = -1};
    return &x->layer.world;
}

static void test_trickle(void **state) {
    (void)state;
    struct wire a, b;
    struct world *c = layer_new(wire_init(&a), true, NULL), *s = layer_new(wire_init(&b), false, "good");
    a.trickle = b.trickle = true;
    b.r.state = 2;
    exchange(c, s, "localhost", 60000, 777);
    exchange(c, s, "localhost", 3000, 100000);
    c->ops->free(c);
    s->ops->free(s);
}

static void test_short(void **state) {
    (void)state;
    struct fault_plan p;
    assert_int_equal(fault_plan_parse("seed=3,short-io=0.9", &p, NULL), ST_OK);
    struct world *below = fault_new(os, &p, NULL, NULL);
    struct world *c = layer_new(below, true, NULL), *s = layer_new(below, false, "good");
    exchange(c, s, "localhost", 1 << 20, 5000);
    c->ops->free(c);
    s->ops->free(s);
    below->ops->free(below);
}

/* Whatever one changes on the way: what arrives is a beginning of what was sent, and who gets less knows. */
static void test_changed(void **state) {
    (void)state;
    struct wire x;
    struct world *c = layer_new(wire_init(&x), true, NULL);
    uint8_t *data = noise(20000, 4);
    uint32_t whole = 0;
    for (int i = 0; i < 250; i++) {
        int fds[2];
        connection(c, server, "localhost", fds);
        x.change = i * 11;
        x.r.state = (uint64_t)i;
        struct side a = {
            .w = c, .fd = fds[0], .out = data, .nout = 100, .in = malloc(20000), .cap = 20000, .chunk = 9000};
        struct side b = {
            .w = server, .fd = fds[1], .out = data, .nout = 20000, .in = malloc(100), .cap = 100, .chunk = 9000};
        /* One of them may wait for what never comes: a length that was changed. */
        for (int steps = 0; steps < 3000 && pump_once(&a, &b); steps++) {
        }
        assert_memory_equal(a.in, data, a.nin);
        assert_memory_equal(b.in, data, b.nin);
        assert_true(a.nin == 20000 || a.failure || !a.ended);
        whole += a.nin == 20000 && b.nin == 100 && !a.failure;
        c->ops->close(c, fds[0]);
        server->ops->close(server, fds[1]);
        free(a.in);
        free(b.in);
    }
    assert_in_range(whole, 0, 25); /* bytes that nobody looks at: record versions */
    free(data);
    c->ops->free(c);
}

/* ---- handshakes that fail ---- */

/* The client's failure, and what it was told. */
static void refused(struct world *c, struct world *s, const char *host, const char *why) {
    int fds[2];
    connection(c, s, host, fds);
    told[0] = '\0';
    uint8_t in[8];
    struct side b = {.w = s, .fd = fds[1], .out = in, .nout = 0, .in = in, .cap = 8, .chunk = 8};
    struct world_poll p = {fds[0], WORLD_WRITABLE, 0, 0};
    while (c->ops->wait(c, &p, 1, 0) == 0)
        side_step(&b);
    if (!strstr(told, why))
        fail_msg("told '%s', not '%s'", told, why);
    assert_int_equal(p.got, WORLD_WRITABLE | WORLD_ERROR);
    struct iovec v = {in, 8};
    uint32_t flags = 0;
    assert_int_equal(c->ops->send(c, fds[0], &v, 1, NULL), -ECONNABORTED);
    assert_int_equal(c->ops->recv(c, fds[0], &v, 1, &flags, NULL), -ECONNABORTED);
    int64_t error;
    assert_int_equal(c->ops->get_option(c, fds[0], WORLD_SO_ERROR, &error), 0);
    assert_int_equal(error, ECONNABORTED);
    assert_int_equal(c->ops->get_option(c, fds[0], WORLD_SO_ERROR, &error), 0);
    assert_int_equal(error, 0);
    assert_int_equal(c->ops->readv(c, fds[0], &v, 1), -ECONNABORTED);
    told[0] = '\0';
    while (side_step(&b)) {
    }
    assert_int_equal(b.failure, -ECONNABORTED);
    assert_non_null(strstr(told, "TLS as server for localhost: the other side refused: "));
    c->ops->close(c, fds[0]);
    s->ops->close(s, fds[1]);
}

static void test_refused(void **state) {
    (void)state;
    refused(client, server, "example.org",
            "TLS with example.org: the certificate is for localhost, not for example.org");
    refused(client, server, "127.0.0.2", "not for 127.0.0.2");
    refused(client, server, "::1", "not for ::1");
    struct world *s = layer_new(os, false, "old");
    refused(client, s, "localhost", "TLS with localhost: certificate has expired");
    s->ops->free(s);
    s = layer_new(os, false, "self");
    refused(client, s, "localhost", "TLS with localhost: the certificate is self-signed; --ca FILE trusts one more");
    s->ops->free(s);
    s = layer_new(os, false, "other");
    refused(client, s, "localhost", "the certificate is for other.example, *.other.example, not for localhost");
    s->ops->free(s);
    struct world *c = layer_new(os, false, NULL);
    refused(c, server, "localhost", "from an authority that is not trusted here");
    c->ops->free(c);
}

static void test_trusted(void **state) {
    (void)state;
    struct world *s = layer_new(os, false, "other");
    exchange(client, s, "other.example", 10, 10);
    exchange(client, s, "a.other.example", 10, 10);
    refused(client, s, "b.a.other.example", "not for b.a.other.example");
    s->ops->free(s);
    s = layer_new(os, false, "common");
    refused(client, s, "localhost", "the certificate is for somebody else");
    s->ops->free(s);
    s = layer_new(os, false, "self");
    struct world *c = layer_new_trusting(os, "self.pem", NULL);
    exchange(c, s, "localhost", 10, 10);
    refused(c, server, "localhost", "from an authority that is not trusted here");
    c->ops->free(c);
    s->ops->free(s);
    c = layer_new_trusting(os, "good.pem", NULL); /* exactly this one */
    exchange(c, server, "localhost", 10, 10);
    c->ops->free(c);
    struct tls_options o = {.system_cas = true, .failed = tell};
    assert_int_equal(tls_new(os, &o, &c, NULL), ST_OK);
    refused(c, server, "localhost", "from an authority that is not trusted here");
    c->ops->free(c);
}

static void test_clock(void **state) {
    (void)state;
    struct wire x;
    struct world *c = layer_new(wire_init(&x), true, NULL);
    x.realtime_ns = world_now(os, WORLD_REALTIME) + 60 * 86400 * 1000000000ull;
    refused(c, server, "localhost", "certificate has expired");
    x.realtime_ns = 1000000000000000000u; /* 2001 */
    refused(c, server, "localhost", "certificate is not yet valid");
    c->ops->free(c);
}

/* What a client is told when the other side writes this (or with a size of 0 ends the connection). */
static void answered(const char *text, size_t n, const char *why) {
    uint16_t port;
    int listener = tcp_listen(os, &port), fd = tcp_connect(client, port), raw = accept_one(os, listener);
    assert_int_equal(client->ops->start_tls(client, fd, "localhost"), 0);
    struct iovec v = {(void *)text, n};
    struct world_poll p = {fd, WORLD_READABLE | WORLD_WRITABLE, 0, 0};
    assert_int_equal(client->ops->wait(client, &p, 1, 0), 0);
    told[0] = '\0';
    assert_true(n == 0 || os->ops->send(os, raw, &v, 1, NULL) == (int64_t)n);
    os->ops->shutdown(os, raw, WORLD_SHUT_WR);
    wait_for(client, fd, WORLD_READABLE);
    if (!strstr(told, why))
        fail_msg("told '%s', not '%s'", told, why);
    assert_int_equal(client->ops->recv(client, fd, &v, 1, &(uint32_t){0}, NULL), -ECONNABORTED);
    client->ops->close(client, fd);
    os->ops->close(os, raw);
    os->ops->close(os, listener);
}

static void test_not_tls(void **state) {
    (void)state;
    answered("HTTP/1.1 400 Bad Request\r\n\r\n", 28, "what the other side speaks is not TLS");
    answered("", 0, "TLS with localhost: the other side ended the connection during the handshake");
    answered("\x16\x03\x03", 3, "the other side ended the connection during the handshake");
    answered("\x15\x03\x03\x00\x02\x02\x28", 7, "the other side refused: handshake failure");
}

/* ---- ends ---- */

static void open_connection(struct world *c, struct world *s, int fds[2]) {
    connection(c, s, "localhost", fds);
    struct world_poll a = {fds[0], WORLD_WRITABLE, 0, 0}, b = {fds[1], WORLD_WRITABLE, 0, 0};
    do {
        c->ops->wait(c, &a, 1, 0);
        s->ops->wait(s, &b, 1, 0);
    } while (!a.got || !b.got);
    assert_int_equal(a.got, WORLD_WRITABLE);
    assert_int_equal(b.got, WORLD_WRITABLE);
}

static int64_t send_text(struct world *w, int fd, const char *text) {
    struct iovec v = {(void *)text, strlen(text)};
    return w->ops->writev(w, fd, &v, 1);
}

static char got[100];
static int64_t recv_text(struct world *w, int fd, size_t n, uint32_t flags) {
    struct iovec v[2] = {{got, n / 2}, {got + n / 2, n - n / 2}};
    memset(got, 0, sizeof got);
    return w->ops->recv(w, fd, v, 2, &flags, NULL);
}

static void test_truncated(void **state) {
    (void)state;
    int fds[2];
    open_connection(client, server, fds);
    assert_int_equal(send_text(server, fds[1], "half a"), 6);
    os->ops->shutdown(os, fds[1], WORLD_SHUT_WR); /* behind the layer's back */
    wait_for(client, fds[0], WORLD_READABLE);
    assert_int_equal(recv_text(client, fds[0], 50, 0), 6);
    wait_for(client, fds[0], WORLD_READABLE);
    assert_int_equal(recv_text(client, fds[0], 50, 0), -ECONNRESET);
    assert_int_equal(recv_text(client, fds[0], 50, 0), -ECONNRESET);
    client->ops->close(client, fds[0]);
    server->ops->close(server, fds[1]);

    open_connection(client, server, fds);
    told[0] = '\0';
    assert_int_equal(send_text(os, fds[1], "this is no record at all"), 24);
    wait_for(client, fds[0], WORLD_READABLE);
    assert_int_equal(recv_text(client, fds[0], 50, 0), -ECONNABORTED);
    assert_non_null(strstr(told, "what the other side speaks is not TLS"));
    assert_int_equal(send_text(client, fds[0], "x"), -ECONNABORTED);
    client->ops->close(client, fds[0]);
    server->ops->close(server, fds[1]);
}

static void test_halves(void **state) {
    (void)state;
    int fds[2];
    open_connection(client, server, fds);
    assert_int_equal(client->ops->shutdown(client, fds[0], 0), -EINVAL);
    assert_int_equal(client->ops->shutdown(client, fds[0], WORLD_SHUT_WR), 0);
    assert_int_equal(send_text(client, fds[0], "x"), -EPIPE);
    wait_for(server, fds[1], WORLD_READABLE);
    assert_int_equal(recv_text(server, fds[1], 50, 0), 0);
    assert_int_equal(recv_text(server, fds[1], 50, 0), 0);
    assert_int_equal(send_text(server, fds[1], "the other half"), 14);
    wait_for(client, fds[0], WORLD_READABLE);
    assert_int_equal(recv_text(client, fds[0], 50, 0), 14);
    assert_string_equal(got, "the other half");
    assert_int_equal(client->ops->shutdown(client, fds[0], WORLD_SHUT_RD), 0);
    wait_for(client, fds[0], WORLD_READABLE);
    assert_int_equal(recv_text(client, fds[0], 50, 0), 0);
    client->ops->close(client, fds[0]);
    /* Nobody is there any more. */
    wait_for(os, fds[1], WORLD_READABLE);
    int64_t r = 0;
    for (int i = 0; i < 1000 && r >= 0; i++)
        r = send_text(server, fds[1], "x");
    assert_true(r == -EPIPE || r == -ECONNRESET);
    server->ops->close(server, fds[1]);

    /* Before the handshake is done, it comes after it. */
    connection(client, server, "localhost", fds);
    assert_int_equal(client->ops->shutdown(client, fds[0], WORLD_SHUT_WR), 0);
    struct side a = {.w = client, .fd = fds[0], .in = (uint8_t *)got, .cap = 50, .chunk = 50, .shut = true};
    struct side b = {
        .w = server, .fd = fds[1], .out = (const uint8_t *)"yes", .nout = 3, .chunk = 50, .in = (uint8_t *)got};
    pump(&a, &b);
    assert_int_equal(b.failure, 0);
    assert_int_equal(a.nin, 3);
    client->ops->close(client, fds[0]);
    server->ops->close(server, fds[1]);
}

/* What was taken arrives, though the handle was closed or the layer freed meanwhile. */
static void test_closed(void **state) {
    (void)state;
    for (int freed = 0; freed < 2; freed++) {
        int fds[2];
        struct world *c = layer_new(os, true, NULL);
        open_connection(c, server, fds);
        uint8_t *data = noise(64 << 20, 5), *in = malloc(64 << 20);
        size_t sent = 0, nin = 0;
        for (;;) {
            struct iovec v = {data + sent, 100000};
            int64_t r = c->ops->send(c, fds[0], &v, 1, NULL);
            if (r == -EAGAIN)
                break;
            assert_true(r > 0);
            sent += (size_t)r;
        }
        assert_int_equal(c->ops->close(c, fds[0]), 0);
        int64_t r;
        for (bool again = true; again;) {
            struct iovec v = {in + nin, 64 << 10};
            uint32_t flags = 0;
            r = server->ops->recv(server, fds[1], &v, 1, &flags, NULL);
            nin += r > 0 ? (size_t)r : 0;
            if (!freed) {
                c->ops->wait(c, NULL, 0, 0);
                again = r > 0 || r == -EAGAIN;
            } else if (nin > sent / 2 && c) {
                c->ops->free(c);
                c = NULL;
            } else if (!c) {
                again = r > 0 || r == -EAGAIN;
            }
        }
        assert_int_equal(r, 0);
        assert_int_equal(nin, sent);
        assert_memory_equal(in, data, sent);
        server->ops->close(server, fds[1]);
        free(data);
        free(in);
        if (c)
            c->ops->free(c);
    }
}

/* ---- beginnings ---- */

static bool allowed;
static bool may(void *ctx, int fd, const char *host) {
    (void)ctx, (void)fd, (void)host;
    return allowed;
}

static void test_may(void **state) {
    (void)state;
    struct world *c;
    struct tls_options o = {.may = may, .failed = tell};
    assert_int_equal(tls_new(os, &o, &c, NULL), ST_OK);
    uint16_t port;
    int listener = tcp_listen(os, &port), fd = tcp_connect(c, port);
    allowed = false;
    wait_for(os, fd, WORLD_WRITABLE);
    assert_int_equal(c->ops->start_tls(c, fd, "localhost"), -EACCES);
    allowed = true;
    assert_int_equal(c->ops->start_tls(c, fd, "localhost"), 0);
    c->ops->close(c, fd);
    allowed = false;
    fd = c->ops->socket(c, ADDR_INET, WORLD_STREAM);
    assert_int_equal(c->ops->start_tls(c, fd, "localhost"), 0); /* nobody is there yet */
    struct addr a;
    assert_true(addr_parse_ip("127.0.0.1", &a));
    a.port = port;
    assert_int_equal(c->ops->connect(c, fd, &a), -EACCES);
    assert_int_equal(send_text(c, fd, "x"), -EACCES);
    c->ops->close(c, fd);
    os->ops->close(os, listener);
    c->ops->free(c);
}

static void test_start(void **state) {
    (void)state;
    uint16_t port;
    int fd = client->ops->socket(client, ADDR_INET, WORLD_STREAM), udp = os->ops->socket(os, ADDR_INET, WORLD_DGRAM);
    assert_int_equal(client->ops->start_tls(client, fd, ""), -EINVAL);
    assert_int_equal(client->ops->start_tls(client, fd, "local host"), -EINVAL);
    assert_int_equal(client->ops->start_tls(client, udp, "localhost"), -ENOTSUP);
    assert_int_equal(client->ops->start_tls(client, 9999, "localhost"), -EBADF);
    os->ops->close(os, udp);

    /* Before connecting; as a listener before it listens. */
    struct addr a;
    assert_true(addr_parse("127.0.0.1:0", &a));
    int listener = server->ops->socket(server, ADDR_INET, WORLD_STREAM);
    assert_int_equal(server->ops->start_tls(server, listener, "localhost"), 0);
    assert_int_equal(server->ops->bind(server, listener, &a), 0);
    assert_int_equal(server->ops->listen(server, listener, 5), 0);
    assert_int_equal(server->ops->local_addr(server, listener, &a), 0);
    assert_int_equal(client->ops->start_tls(client, fd, "localhost"), 0);
    assert_int_equal(recv_text(client, fd, 5, 0), -ENOTCONN);
    assert_int_equal(client->ops->connect(client, fd, &a), -EINPROGRESS);
    assert_int_equal(client->ops->connect(client, fd, &a), -EALREADY);
    assert_int_equal(send_text(client, fd, "early"), -EAGAIN);
    int peer = accept_one(server, listener);
    struct world_poll p = {fd, WORLD_WRITABLE, 0, 0}, q = {peer, WORLD_READABLE, 0, 0};
    while (client->ops->wait(client, &p, 1, 0) == 0)
        server->ops->wait(server, &q, 1, 0);
    assert_int_equal(q.got, 0); /* the handshake is nothing to read */
    int64_t error = 1;
    assert_int_equal(client->ops->get_option(client, fd, WORLD_SO_ERROR, &error), 0);
    assert_int_equal(error, 0);
    assert_int_equal(client->ops->connect(client, fd, &a), -EISCONN);
    client->ops->close(client, fd);
    server->ops->close(server, peer);
    server->ops->close(server, listener);

    /* One connection that was accepted; a name for which there is nothing. */
    listener = tcp_listen(server, &port);
    fd = tcp_connect(client, port);
    peer = accept_one(server, listener);
    told[0] = '\0';
    assert_int_equal(server->ops->start_tls(server, peer, "example.org"), -ENOENT);
    assert_string_equal(told, "TLS as server for example.org: no certificate for example.org given");
    assert_int_equal(server->ops->start_tls(server, listener, "example.org"), -ENOENT);
    assert_int_equal(server->ops->start_tls(server, peer, "localhost"), 0);
    assert_int_equal(client->ops->start_tls(client, fd, "localhost"), 0);
    uint8_t in[8];
    struct side x = {.w = client, .fd = fd, .out = (const uint8_t *)"to", .nout = 2, .in = in, .cap = 4, .chunk = 8};
    struct side y = {
        .w = server, .fd = peer, .out = (const uint8_t *)"fro", .nout = 3, .in = in + 4, .cap = 4, .chunk = 8};
    pump(&x, &y);
    assert_int_equal(x.failure | y.failure, 0);
    assert_memory_equal(in, "fro", 3);
    assert_memory_equal(in + 4, "to", 2);
    client->ops->close(client, fd);
    server->ops->close(server, peer);
    server->ops->close(server, listener);

    /* Nobody there. */
    fd = client->ops->socket(client, ADDR_INET, WORLD_STREAM);
    assert_int_equal(client->ops->start_tls(client, fd, "localhost"), 0);
    a.port = port;
    int r = client->ops->connect(client, fd, &a);
    if (r == -EINPROGRESS) {
        wait_for(client, fd, WORLD_WRITABLE);
        assert_int_equal(client->ops->get_option(client, fd, WORLD_SO_ERROR, &error), 0);
        assert_int_equal(error, ECONNREFUSED);
    } else {
        assert_int_equal(r, -ECONNREFUSED);
    }
    client->ops->close(client, fd);
}

static void test_handles(void **state) {
    (void)state;
    int fds[2];
    open_connection(client, server, fds);
    assert_int_equal(send_text(server, fds[1], "eleven by t"), 11);
    struct world_poll p[2] = {{fds[0], WORLD_READABLE | WORLD_WRITABLE, 0, 0}, {0, 0, 0, 0}};
    wait_for(client, fds[0], WORLD_READABLE);
    assert_int_equal(client->ops->wait(client, p, 1, UINT64_MAX), 1);
    assert_int_equal(p[0].got, WORLD_READABLE | WORLD_WRITABLE);
    assert_int_equal(p[0].nbytes, 11);
    assert_int_equal(recv_text(client, fds[0], 6, WORLD_RECV_PEEK), 6);
    assert_string_equal(got, "eleven");
    assert_int_equal(recv_text(client, fds[0], 0, 0), 0);
    int twin = client->ops->dup(client, fds[0]), plain[2];
    assert_int_equal(client->ops->close(client, fds[0]), 0);
    struct iovec v = {got, 4};
    assert_int_equal(client->ops->read_cached(client, twin, &v, 1, UINT64_MAX), 4);
    assert_memory_equal(got, "elev", 4);
    assert_int_equal(client->ops->read_cached(client, twin, &v, 1, 0), -ESPIPE);
    assert_int_equal(client->ops->pair(client, WORLD_STREAM, plain), 0);
    int moved = plain[1];
    assert_int_equal(client->ops->move(client, twin, moved), 0);
    assert_int_equal(recv_text(client, moved, 50, 0), 7);
    assert_string_equal(got, "en by t");
    assert_int_equal(send_text(client, moved, "back"), 4);
    wait_for(server, fds[1], WORLD_READABLE);
    assert_int_equal(recv_text(server, fds[1], 50, 0), 4);
    /* Others in the same wait, and a wake. */
    p[0] = (struct world_poll){moved, WORLD_READABLE, 0, 0};
    p[1] = (struct world_poll){plain[0], WORLD_READABLE, 0, 0};
    assert_int_equal(client->ops->wait(client, p, 2, UINT64_MAX), 1);
    assert_int_equal(p[0].got, 0);
    assert_true(p[1].got & WORLD_HANGUP);
    client->ops->wake(client);
    assert_int_equal(client->ops->wait(client, p, 1, UINT64_MAX), 0);
    client->ops->close(client, plain[0]);
    client->ops->close(client, moved);
    wait_for(server, fds[1], WORLD_READABLE);
    assert_int_equal(recv_text(server, fds[1], 50, 0), 0);
    server->ops->close(server, fds[1]);
}

/* ---- files ---- */

static void bad_files(const char *ca, const char *cert, const char *key, enum status s, const char *why) {
    struct tls_server one = {"localhost", cert ? certs_path(cert) : NULL, key ? certs_path(key) : NULL};
    const char *cas[] = {certs_path(ca)};
    struct tls_options o = {.cas = cas, .ncas = 1, .servers = &one, .nservers = cert != NULL};
    struct world *out = NULL;
    struct err e = ERR_INIT;
    assert_int_equal(tls_new(os, &o, &out, &e), s);
    if (!strstr(e.text, why))
        fail_msg("'%s', not '%s'", e.text, why);
    assert_null(out);
}

static void test_files(void **state) {
    (void)state;
    file_write("empty", "", 0);
    bad_files("none.pem", NULL, NULL, ST_NOT_FOUND, "none.pem: cannot be read: No such file");
    bad_files("empty", NULL, NULL, ST_INVALID, "empty: no certificate in it");
    bad_files("ca.key", NULL, NULL, ST_INVALID, "ca.key: no certificate in it");
    bad_files(".", NULL, NULL, ST_INVALID, "cannot be read: Is a directory");
    bad_files("ca.pem", "none.pem", "good.key", ST_NOT_FOUND, "none.pem: cannot be read");
    bad_files("ca.pem", "good.pem", "none.key", ST_NOT_FOUND, "none.key: cannot be read");
    bad_files("ca.pem", "good.key", "good.key", ST_INVALID, "good.key: no certificate in PEM form");
    bad_files("ca.pem", "good.pem", "good.pem", ST_INVALID, "good.pem: no private key in PEM form");
    bad_files("ca.pem", "good.pem", "other.key", ST_INVALID, "is not the key of the certificate");
    pid_t pid = run_start((const char *[]){"openssl", "pkey", "-in", certs_path("good.key"), "-aes128", "-passout",
                                           "pass:secret", "-out", certs_path("locked.key"), NULL},
                          NULL, NULL);
    assert_int_equal(run_end(pid), 0);
    bad_files("ca.pem", "good.pem", "locked.key", ST_INVALID, "locked.key: no private key in PEM form in it that can");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),     cmocka_unit_test(test_large),   cmocka_unit_test(test_trickle),
        cmocka_unit_test(test_short),     cmocka_unit_test(test_changed), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_trusted),   cmocka_unit_test(test_clock),   cmocka_unit_test(test_not_tls),
        cmocka_unit_test(test_truncated), cmocka_unit_test(test_halves),  cmocka_unit_test(test_closed),
        cmocka_unit_test(test_may),       cmocka_unit_test(test_start),   cmocka_unit_test(test_handles),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
