// Both sides of connections in one program, by the socket extension's own imports: non-blocking TCP, datagrams, unix
// sockets' refusal, names, options, halves of a connection, the first generation's functions beside the second's.
#include "check.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>
#include <wasi/api.h>

#define IMPORT(name) __attribute__((__import_module__("wasi_snapshot_preview1"), __import_name__(#name)))

struct address {
    const void *data;
    uint32_t size;
};

int sock_open(int family, int type, int *fd) IMPORT(sock_open);
int sock_bind(int fd, const struct address *addr, uint32_t port) IMPORT(sock_bind);
int sock_connect(int fd, const struct address *addr, uint32_t port) IMPORT(sock_connect);
int sock_listen(int fd, int backlog) IMPORT(sock_listen);
int sock_accept2(int fd, int flags, int *conn) IMPORT(sock_accept);
int sock_accept1(int fd, int *conn) IMPORT(sock_accept);
int sock_recv_from2(int fd, const __wasi_iovec_t *iov, int n, const struct address *addr, int flags, uint32_t *port,
                    uint32_t *len, uint16_t *ro_flags) IMPORT(sock_recv_from);
int sock_recv_from1(int fd, const __wasi_iovec_t *iov, int n, const struct address *addr, int flags, uint32_t *len,
                    uint16_t *ro_flags) IMPORT(sock_recv_from);
int sock_send_to(int fd, const __wasi_ciovec_t *iov, int n, const struct address *addr, uint32_t port, int flags,
                 uint32_t *len) IMPORT(sock_send_to);
int sock_getsockopt(int fd, int level, int name, void *value, uint32_t *size) IMPORT(sock_getsockopt);
int sock_setsockopt(int fd, int level, int name, const void *value, uint32_t size) IMPORT(sock_setsockopt);
int sock_getlocaladdr2(int fd, const struct address *addr, uint32_t *port) IMPORT(sock_getlocaladdr);
int sock_getpeeraddr1(int fd, const struct address *addr, uint32_t *type, uint32_t *port) IMPORT(sock_getpeeraddr);
int sock_getaddrinfo(const char *name, uint32_t name_size, const char *service, uint32_t service_size,
                     const void *hints, const void *list, uint32_t max, uint32_t *n) IMPORT(sock_getaddrinfo);

enum { INET = 1, UNIX = 3, DGRAM = 1, STREAM = 2 };
static const uint8_t localhost[4] = {127, 0, 0, 1};
static const struct address here = {localhost, 4};

static int open_socket(int type) {
    int fd;
    CHECK(sock_open(INET, type, &fd) == 0);
    CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    return fd;
}

static uint32_t local_port(int fd) {
    uint8_t buffer[128] = {0};
    uint32_t port;
    CHECK(sock_getlocaladdr2(fd, &(struct address){buffer, sizeof buffer}, &port) == 0);
    CHECK(buffer[0] == INET && buffer[1] == 0 && memcmp(buffer + 2, localhost, 4) == 0);
    return port;
}

// Waits until `fd` is ready; the number of bytes to be read.
static uint64_t wait_for(int fd, __wasi_eventtype_t what) {
    __wasi_subscription_t s = {.userdata = 5, .u.tag = what};
    __wasi_event_t e;
    __wasi_size_t n;
    s.u.u.fd_read.file_descriptor = fd;
    CHECK(__wasi_poll_oneoff(&s, &e, 1, &n) == 0);
    CHECK(n == 1 && e.userdata == 5 && e.error == 0 && e.type == what);
    return e.fd_readwrite.nbytes;
}

static int32_t option(int fd, int level, int name) {
    int32_t v = -1;
    uint32_t size = sizeof v;
    CHECK(sock_getsockopt(fd, level, name, &v, &size) == 0 && size == 4);
    return v;
}

static int connect_to(uint32_t port) {
    int fd = open_socket(STREAM), r = sock_connect(fd, &here, port);
    CHECK(r == 0 || r == __WASI_ERRNO_INPROGRESS);
    wait_for(fd, __WASI_EVENTTYPE_FD_WRITE);
    CHECK(option(fd, 0, 2) == 0); // SO_ERROR
    return fd;
}

static void streams(void) {
    enum { CLIENTS = 20, BYTES = 300000 };
    static char sent[BYTES], got[BYTES];
    int server = open_socket(STREAM), client[CLIENTS], conn[CLIENTS];
    int32_t one = 1;
    CHECK(sock_setsockopt(server, 0, 0, &one, 4) == 0); // SO_REUSEADDR
    CHECK(sock_bind(server, &here, 0) == 0);
    CHECK(sock_listen(server, CLIENTS) == 0);
    CHECK(option(server, 0, 13) == 1); // SO_ACCEPTCONN
    CHECK(sock_accept2(server, __WASI_FDFLAGS_NONBLOCK, &conn[0]) == __WASI_ERRNO_AGAIN);
    const uint32_t port = local_port(server);
    for (int i = 0; i < CLIENTS; i++) {
        uint8_t buffer[16];
        uint32_t type, at;
        client[i] = connect_to(port);
        CHECK(sock_getpeeraddr1(client[i], &(struct address){buffer, sizeof buffer}, &type, &at) == 0);
        CHECK(type == 4 && at == port && memcmp(buffer, localhost, 4) == 0);
        wait_for(server, __WASI_EVENTTYPE_FD_READ);
        CHECK((i % 2 ? sock_accept1(server, &conn[i]) : sock_accept2(server, __WASI_FDFLAGS_NONBLOCK, &conn[i])) == 0);
        CHECK(fcntl(conn[i], F_SETFL, O_NONBLOCK) == 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        char text[16];
        int n = snprintf(text, sizeof text, "client %d", i);
        CHECK(sock_setsockopt(client[i], 6, 15, &one, 4) == 0 && option(client[i], 6, 1) == 1); // TCP_NODELAY
        CHECK(write(client[i], text, (size_t)n) == n);
        CHECK(wait_for(conn[i], __WASI_EVENTTYPE_FD_READ) == (uint64_t)n);
        CHECK(read(conn[i], got, sizeof got) == n && memcmp(got, text, (size_t)n) == 0);
        CHECK_FAILS(read(conn[i], got, 1), EAGAIN);
    }
    // more than any buffer holds, from one side to the other and back in turns
    for (int i = 0; i < BYTES; i++)
        sent[i] = (char)(i * 7 + i / 251);
    size_t out = 0, in = 0;
    while (in < BYTES) {
        ssize_t n = out < BYTES ? write(client[0], sent + out, BYTES - out) : 0;
        CHECK(n >= 0 || errno == EAGAIN);
        out += n > 0 ? (size_t)n : 0;
        wait_for(conn[0], __WASI_EVENTTYPE_FD_READ);
        n = read(conn[0], got + in, BYTES - in);
        CHECK(n > 0);
        in += (size_t)n;
    }
    CHECK(memcmp(sent, got, BYTES) == 0);
    // one half ends, the other does not
    CHECK(__wasi_sock_shutdown(client[1], __WASI_SDFLAGS_WR) == 0);
    CHECK(wait_for(conn[1], __WASI_EVENTTYPE_FD_READ) == 0);
    CHECK(read(conn[1], got, 1) == 0);
    CHECK(write(conn[1], "x", 1) == 1);
    wait_for(client[1], __WASI_EVENTTYPE_FD_READ);
    CHECK(read(client[1], got, 2) == 1);
    for (int i = 0; i < CLIENTS; i++)
        CHECK(close(client[i]) == 0 && close(conn[i]) == 0);
    CHECK(close(server) == 0);
    int refused = open_socket(STREAM), r = sock_connect(refused, &here, port);
    if (r == __WASI_ERRNO_INPROGRESS) {
        wait_for(refused, __WASI_EVENTTYPE_FD_WRITE);
        r = option(refused, 0, 2);
    }
    CHECK(r == __WASI_ERRNO_CONNREFUSED);
    CHECK(close(refused) == 0);
    printf("streams: %d connections, %d bytes\n", CLIENTS, BYTES);
}

static void datagrams(void) {
    int a = open_socket(DGRAM), b = open_socket(DGRAM);
    uint8_t from[128] = {0}, raw[4];
    char text[8] = {0};
    uint32_t port, n;
    uint16_t flags;
    CHECK(sock_bind(a, &here, 0) == 0 && sock_bind(b, &here, 0) == 0);
    __wasi_ciovec_t pieces[2] = {{(const uint8_t *)"data", 4}, {(const uint8_t *)"gram, and more", 14}};
    __wasi_iovec_t room = {(uint8_t *)text, 8};
    CHECK(sock_send_to(b, pieces, 2, &here, local_port(a), 0, &n) == 0 && n == 18);
    CHECK(wait_for(a, __WASI_EVENTTYPE_FD_READ) == 18);
    CHECK(sock_recv_from2(a, &room, 1, &(struct address){from, 128}, 0, &port, &n, &flags) == 0);
    CHECK(n == 8 && memcmp(text, "datagram", 8) == 0 && flags == __WASI_ROFLAGS_RECV_DATA_TRUNCATED);
    CHECK(port == local_port(b) && from[0] == INET && memcmp(from + 2, localhost, 4) == 0);
    CHECK(sock_send_to(a, pieces, 1, &(struct address){from, 128}, port, 0, &n) == 0 && n == 4); // back
    wait_for(b, __WASI_EVENTTYPE_FD_READ);
    CHECK(sock_recv_from1(b, &room, 1, &(struct address){raw, 4}, 0, &n, &flags) == 0);
    CHECK(n == 4 && flags == 0 && memcmp(raw, localhost, 4) == 0);
    CHECK(sock_recv_from1(b, &room, 1, &(struct address){raw, 4}, 0, &n, &flags) == __WASI_ERRNO_AGAIN);
    CHECK(close(a) == 0 && close(b) == 0);
    printf("datagrams\n");
}

struct info {
    uint16_t flags;
    uint8_t family, type;
    uint32_t protocol, addr_size;
    struct {
        uint32_t family, size;
        uint8_t *data;
    } *addr;
    char *name;
    uint32_t name_size;
    struct info *next;
};

static int look_up(const char *name, const char *service, uint16_t flags) {
    enum { MAX = 4 };
    static uint8_t data[MAX][26];
    static __typeof__(*((struct info *)0)->addr) addrs[MAX];
    struct info list[MAX], *first = list, hints = {.flags = flags, .family = INET, .type = STREAM, .protocol = 1};
    uint32_t n;
    for (int i = 0; i < MAX; i++) {
        addrs[i].size = sizeof data[i];
        addrs[i].data = data[i];
        list[i] = (struct info){.addr = (void *)&addrs[i], .next = i + 1 < MAX ? &list[i + 1] : NULL};
    }
    int r = sock_getaddrinfo(name, strlen(name), service, strlen(service), &hints, &first, MAX, &n);
    if (r)
        return r;
    for (uint32_t i = 0; i < n; i++)
        printf("%s: %d.%d.%d.%d, port %d\n", name, data[i][2], data[i][3], data[i][4], data[i][5],
               data[i][0] << 8 | data[i][1]);
    CHECK(n > 0 && list[0].family == INET && list[0].type == STREAM && addrs[0].family == INET);
    return 0;
}

static void names(void) {
    CHECK(look_up("192.0.2.33", "443", 0) == 0);
    CHECK(look_up("localhost", "80", 0) == 0);
    CHECK(look_up("localhost", "80", 4) == 84); // a numeric host is wanted: EAI_NONAME
    CHECK(look_up("", "", 0) == 84);
    CHECK(look_up("localhost", "80", 1 << 10) == 79); // EAI_BADFLAGS
}

static void refusals(void) {
    int fd;
    CHECK(sock_open(INET, 9, &fd) == __WASI_ERRNO_PROTOTYPE);
    CHECK(sock_open(9, STREAM, &fd) == __WASI_ERRNO_AFNOSUPPORT);
    CHECK(sock_listen(1, 1) == __WASI_ERRNO_NOTSOCK);
    fd = open_socket(STREAM);
    CHECK(sock_connect(fd, &(struct address){localhost, 3}, 80) == __WASI_ERRNO_INVAL);
    CHECK(sock_connect(fd, &(struct address){localhost, (uint32_t)-1}, 80) == __WASI_ERRNO_FAULT);
    CHECK(sock_connect(fd, (const struct address *)-4, 80) == __WASI_ERRNO_FAULT);
    CHECK(sock_setsockopt(fd, 99, 1, localhost, 4) == __WASI_ERRNO_NOPROTOOPT);
    int64_t none[2] = {0, 1000}; // a time-out of a millisecond
    uint32_t size = 16;
    CHECK(sock_setsockopt(fd, 0, 11, none, 16) == 0 && sock_getsockopt(fd, 0, 11, none, &size) == 0 && size == 16);
    CHECK(close(fd) == 0);
}

int main(void) {
    streams();
    datagrams();
    names();
    refusals();
    printf("ok\n");
    return 0;
}
