/* The layer against others' TLS: openssl's server and client, curl. */
#include "base/must.h"
#include "base/prng.h"
#include "support.h"
#include "world/os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { BIG = 10 << 20 };

static struct world *os, *client, *server;
static uint8_t *big;

static int set_up(void **state) {
    (void)state;
    certs_make();
    os = world_os_new();
    client = layer_new(os, true, NULL);
    server = layer_new(os, false, "good");
    big = malloc(BIG);
    struct prng r = {6};
    for (size_t i = 0; i < BIG; i += 8)
        put_u64(big + i, prng_next(&r));
    file_write("big", big, BIG);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    client->ops->free(client);
    server->ops->free(server);
    os->ops->free(os);
    free(big);
    certs_remove();
    return 0;
}

/* ---- as a program would that waits ---- */

static void send_all(struct world *w, int fd, const void *p, size_t n, size_t chunk) {
    for (size_t at = 0; at < n;) {
        struct iovec v = {(uint8_t *)p + at, n - at < chunk ? n - at : chunk};
        int64_t r = w->ops->send(w, fd, &v, 1, NULL);
        if (r == -EAGAIN)
            wait_for(w, fd, WORLD_WRITABLE);
        else
            at += r > 0 ? (size_t)r : 0;
        if (r < 0 && r != -EAGAIN)
            fail_msg("send: %s", strerror((int)-r));
    }
}

static int64_t recv_some(struct world *w, int fd, void *p, size_t n) {
    for (;;) {
        struct iovec v = {p, n};
        uint32_t flags = 0;
        int64_t r = w->ops->recv(w, fd, &v, 1, &flags, NULL);
        if (r != -EAGAIN)
            return r;
        wait_for(w, fd, WORLD_READABLE);
    }
}

static size_t recv_all(struct world *w, int fd, uint8_t *p, size_t n, size_t chunk) {
    size_t at = 0;
    while (at < n) {
        int64_t r = recv_some(w, fd, p + at, n - at < chunk ? n - at : chunk);
        if (r < 0)
            fail_msg("recv: %s", strerror((int)-r));
        if (r == 0)
            break;
        at += (size_t)r;
    }
    return at;
}

/* ---- openssl s_server ---- */

static pid_t s_server(const char *cert, const char *protocol, const char *in, const char *out) {
    char pem[64], key[64];
    snprintf(pem, sizeof pem, "%s.pem", cert);
    snprintf(key, sizeof key, "%s.key", cert);
    unlink(certs_path("socket"));
    const char *argv[] = {
        "openssl", "s_server",      "-quiet", "-nbio",         "-naccept", "1", "-unix", certs_path("socket"),
        "-cert",   certs_path(pem), "-key",   certs_path(key), protocol,   NULL};
    return run_start(argv, in, out);
}

static int dial(struct world *w) {
    struct addr a = {.family = ADDR_UNIX};
    snprintf(a.path, sizeof a.path, "%s", certs_path("socket"));
    int fd = w->ops->socket(w, ADDR_UNIX, WORLD_STREAM), r;
    assert_true(fd >= 0);
    while ((r = w->ops->connect(w, fd, &a)) == -ENOENT || r == -ECONNREFUSED) /* it has not begun yet */
        w->ops->wait(w, NULL, 0, world_now(w, WORLD_MONOTONIC) + 5000000);
    assert_int_equal(r, 0);
    assert_int_equal(w->ops->start_tls(w, fd, "localhost"), 0);
    return fd;
}

static void from_s_server(const char *protocol, size_t chunk) {
    pid_t pid = s_server("good", protocol, "big", NULL);
    int fd = dial(client);
    uint8_t *in = malloc(BIG + 1);
    assert_int_equal(recv_all(client, fd, in, BIG + 1, chunk), BIG);
    assert_memory_equal(in, big, BIG);
    free(in);
    client->ops->close(client, fd);
    run_end(pid);
}

static void to_s_server(const char *protocol, size_t chunk) {
    static char nothing; /* it ends when its input does */
    mkfifo(certs_path("fifo"), 0600);
    int fifo = open(certs_path("fifo"), O_RDWR | O_CLOEXEC);
    assert_true(fifo >= 0);
    pid_t pid = s_server("good", protocol, "fifo", "out");
    int fd = dial(client);
    send_all(client, fd, big, BIG, chunk);
    assert_int_equal(client->ops->shutdown(client, fd, WORLD_SHUT_WR), 0);
    assert_true(recv_some(client, fd, &nothing, 1) <= 0); /* it does not always say goodbye */
    client->ops->close(client, fd);
    run_end(pid);
    close(fifo);
    size_t n;
    uint8_t *out = file_read("out", &n);
    assert_int_equal(n, BIG);
    assert_memory_equal(out, big, BIG);
    free(out);
}

static void test_client(void **state) {
    (void)state;
    from_s_server("-tls1_3", 4096);
    from_s_server("-tls1_2", 100000);
    to_s_server("-tls1_3", 1 << 20);
    to_s_server("-tls1_2", 3000);
}

static void test_client_refuses(void **state) {
    (void)state;
    static const struct {
        const char *cert, *protocol, *why;
    } cases[] = {
        {"other", "-tls1_3", "not for localhost"},
        {"old", "-tls1_2", "certificate has expired"},
        {"self", "-tls1_3", "the certificate is self-signed"},
        {"good", "-tls1_1", "TLS with localhost: the other side"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pid_t pid = s_server(cases[i].cert, cases[i].protocol, "big", NULL);
        int fd = dial(client);
        char byte;
        told[0] = '\0';
        assert_int_equal(recv_some(client, fd, &byte, 1), -ECONNABORTED);
        if (!strstr(told, cases[i].why))
            fail_msg("told '%s', not '%s'", told, cases[i].why);
        client->ops->close(client, fd);
        run_stop(pid);
    }
}

/* ---- openssl s_client, curl ---- */

static int serve(uint16_t *port) {
    int listener = tcp_listen(server, port);
    assert_int_equal(server->ops->start_tls(server, listener, "localhost"), 0);
    return listener;
}

static void echo(const char *protocol, size_t chunk) {
    uint16_t port;
    int listener = serve(&port);
    char to[32];
    snprintf(to, sizeof to, "127.0.0.1:%u", port);
    const char *argv[] = {"openssl",          "s_client",
                          "-quiet",           "-verify_return_error",
                          "-CAfile",          certs_path("ca.pem"),
                          "-verify_hostname", "localhost",
                          "-connect",         to,
                          protocol,           NULL};
    pid_t pid = run_start(argv, "big", "out");
    int fd = accept_one(server, listener);
    uint8_t *piece = malloc(chunk);
    for (size_t total = 0; total < BIG;) {
        int64_t r = recv_some(server, fd, piece, chunk);
        if (r <= 0)
            fail_msg("recv: %s", strerror((int)-r));
        send_all(server, fd, piece, (size_t)r, chunk);
        total += (size_t)r;
    }
    free(piece);
    server->ops->close(server, fd);
    server->ops->close(server, listener);
    assert_int_equal(run_end_while(server, pid), 0);
    size_t n;
    uint8_t *out = file_read("out", &n);
    assert_int_equal(n, BIG);
    assert_memory_equal(out, big, BIG);
    free(out);
}

static void test_server(void **state) {
    (void)state;
    echo("-tls1_3", 16384);
    echo("-tls1_2", 5000);
}

static void test_curl(void **state) {
    (void)state;
    uint16_t port;
    int listener = serve(&port);
    char url[64], resolve[64];
    snprintf(url, sizeof url, "https://localhost:%u/", port);
    snprintf(resolve, sizeof resolve, "localhost:%u:127.0.0.1", port);
    /* By its name and by its address, one connection each. */
    for (int i = 0; i < 2; i++) {
        if (i == 1)
            snprintf(url, sizeof url, "https://127.0.0.1:%u/", port);
        const char *argv[] = {"curl",  "-sS",      "--noproxy",          "*",  "--http1.1",       "--resolve",
                              resolve, "--cacert", certs_path("ca.pem"), "-T", certs_path("big"), url,
                              NULL};
        pid_t pid = run_start(argv, NULL, "out");
        int fd = accept_one(server, listener);
        char head[4096];
        size_t n = 0;
        while (n < sizeof head - 1 && !memmem(head, n, "\r\n\r\n", 4)) {
            int64_t r = recv_some(server, fd, head + n, sizeof head - 1 - n);
            if (r <= 0)
                fail_msg("recv: %s", strerror((int)-r));
            n += (size_t)r;
        }
        size_t body = (size_t)((char *)memmem(head, n, "\r\n\r\n", 4) + 4 - head);
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        send_all(server, fd, go_on, sizeof go_on - 1, 100);
        uint8_t *in = malloc(BIG);
        memcpy(in, head + body, n - body);
        assert_int_equal(recv_all(server, fd, in + n - body, BIG - (n - body), 65536), BIG - (n - body));
        assert_memory_equal(in, big, BIG);
        free(in);
        n = (size_t)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n",
                             BIG);
        send_all(server, fd, head, n, 4096);
        send_all(server, fd, big, BIG, 65536);
        server->ops->close(server, fd);
        assert_int_equal(run_end_while(server, pid), 0);
        uint8_t *out = file_read("out", &n);
        assert_int_equal(n, BIG);
        assert_memory_equal(out, big, BIG);
        free(out);
    }
    /* Without the authority it hangs up, and says why. */
    const char *argv[] = {"curl", "-sS", "--noproxy", "*", "--resolve", resolve, url, NULL};
    pid_t pid = run_start(argv, NULL, NULL);
    int fd = accept_one(server, listener);
    char byte;
    told[0] = '\0';
    assert_int_equal(recv_some(server, fd, &byte, 1), -ECONNABORTED);
    assert_non_null(strstr(told, "TLS as server for localhost: the other side refused: unknown CA"));
    assert_int_equal(run_end(pid), 60);
    server->ops->close(server, fd);
    server->ops->close(server, listener);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_client_refuses),
        cmocka_unit_test(test_server),
        cmocka_unit_test(test_curl),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
