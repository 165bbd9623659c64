/* The network as files: every path beneath /net, what is refused there, and waiting through /net/poll. Over the
 * machine's loopback; names, and what a policy would say, come from a layer of the test's own. */
#include "base/must.h"
#include "box.h"
#include "world/layer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { NET = 3, MOST = 64 };

/* ---- a world that knows a few names, and notes what is asked of TLS ---- */

static struct {
    struct world_layer layer;
    char tls[64];
    int tls_answer;
    uint16_t port; /* of `two.test`, whose first address refuses */
} spy;

static int spy_resolve(struct world *w, const struct world_query *q, struct world_found *out, int max,
                       char *canonical) {
    (void)w, (void)canonical;
    assert_true(max >= 2);
    static const struct {
        const char *name;
        int answer;
    } names[] = {{"unknown.test", WORLD_NAME_UNKNOWN},
                 {"again.test", WORLD_NAME_AGAIN},
                 {"failed.test", WORLD_NAME_FAILED},
                 {"denied.test", -EACCES}};
    if (q->service && strcmp(q->service, "nosuch") == 0)
        return WORLD_NAME_SERVICE;
    for (unsigned i = 0; q->name && i < sizeof names / sizeof *names; i++)
        if (strcmp(q->name, names[i].name) == 0)
            return names[i].answer;
    if (!q->name || strcmp(q->name, "two.test") != 0)
        return WORLD_NAME_UNKNOWN;
    must(addr_parse("127.0.0.1:1", &out[0].addr) && addr_parse("127.0.0.1:1", &out[1].addr));
    out[1].addr.port = spy.port;
    if (q->service && strcmp(q->service, "http") == 0)
        out[0].addr.port = out[1].addr.port = 80;
    out[0].type = out[1].type = WORLD_STREAM;
    return 2;
}

static int spy_connect(struct world *w, int fd, const struct addr *a) {
    if (a->family == ADDR_INET && a->ip[0] == 10)
        return -EACCES;
    return BELOW(w, connect, fd, a);
}

static int spy_start_tls(struct world *w, int fd, const char *host) {
    (void)w, (void)fd;
    snprintf(spy.tls, sizeof spy.tls, "%s", host);
    return spy.tls_answer;
}

static void spy_free(struct world *w) {
    (void)w;
}

static const struct world_ops spy_ops = {
    WORLD_FORWARD,    .name = "spy", .resolve = spy_resolve, .connect = spy_connect, .start_tls = spy_start_tls,
    .free = spy_free,
};

static int handles_open(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static int handles_before;

static int set_up(void **state) {
    (void)state;
    memset(&spy, 0, sizeof spy);
    spy.layer.below = world_os_new();
    spy.layer.world.ops = &spy_ops;
    world = &spy.layer.world;
    handles_before = handles_open();
    wasi = wasi_new(world, MOST);
    must(wasi_add_net(wasi, NULL) == ST_OK);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wasi_free(wasi);
    assert_int_equal(handles_open(), handles_before);
    spy.layer.below->ops->free(spy.layer.below);
    return 0;
}

/* ---- calls ---- */

static const int both = TO_READ | TO_WRITE;

static int64_t open_net(const char *path, int how, uint32_t fdflags, uint32_t *fd) {
    return box_open(NET, path, how, 0, fdflags, fd);
}

__attribute__((format(printf, 1, 2))) static const char *print(const char *fmt, ...) {
    static char ring[8][512];
    static unsigned next;
    char *out = ring[next++ % 8];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(out, sizeof ring[0], fmt, ap);
    va_end(ap);
    return out;
}

static uint32_t opened(const char *path) {
    uint32_t fd = 0;
    int64_t r = open_net(path, both, 0, &fd);
    if (r)
        fail_msg("%s: error %d", path, (int)r);
    return fd;
}

/* The text of a file, without its last newline. */
static const char *contents(const char *path) {
    static char ring[4][4096];
    static unsigned next;
    char *out = ring[next++ % 4];
    uint32_t fd;
    int64_t r = open_net(path, TO_READ, 0, &fd);
    if (r)
        fail_msg("%s: error %d", path, (int)r);
    assert_int_equal(box_read(fd, out, sizeof ring[0] - 1), 0);
    assert_int_equal(box_close(fd), 0);
    size_t n = strlen(out);
    if (n > 0 && out[n - 1] == '\n')
        out[n - 1] = '\0';
    return out;
}

static void done(const char *path) {
    uint32_t fd;
    int64_t r = open_net(path, TO_READ, 0, &fd);
    if (r)
        fail_msg("%s: error %d", path, (int)r);
    assert_int_equal(box_close(fd), 0);
}

static int refused(const char *path) {
    uint32_t fd;
    return (int)open_net(path, both, 0, &fd);
}

static uint64_t id_of(uint32_t fd) {
    struct wasi_filestat st;
    assert_int_equal(CALLED(fd_filestat_get, .fd = fd, .stat = &st), 0);
    return st.ino;
}

static const char *port_of(uint32_t fd) {
    return strrchr(contents(print("local/%u", fd)), ':') + 1;
}

static void expect_read(uint32_t fd, const char *expected) {
    char text[4096];
    assert_int_equal(box_read(fd, text, sizeof text - 1), 0);
    assert_string_equal(text, expected);
}

static void write_all(uint32_t fd, const char *s) {
    uint32_t n = 0;
    assert_int_equal(box_write(fd, s, &n), 0);
    assert_int_equal(n, strlen(s));
}

static void connection(uint32_t *listener, uint32_t *client, uint32_t *server) {
    *listener = opened("tcp/listen/127.0.0.1:0");
    *client = opened(print("tcp/127.0.0.1:%s", port_of(*listener)));
    *server = opened(print("tcp/accept/%u", *listener));
}

/* ---- the tree ---- */

static const char *listing(const char *path) {
    static char out[4096];
    uint8_t memory[8192];
    uint32_t fd;
    assert_int_equal(box_open(NET, path, TO_READ, WASI_O_DIRECTORY, 0, &fd), 0);
    struct abi_fd_readdir a = {.fd = fd, .buf = {memory, sizeof memory}};
    assert_int_equal(wasi_fd_readdir(wasi, &a), 0);
    size_t n = 0;
    out[0] = '\0';
    for (uint32_t at = 0; at < a.bufused;) {
        struct wasi_dirent e;
        memcpy(&e, memory + at, sizeof e);
        at += (uint32_t)sizeof e;
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s%s", n ? " " : "", (int)e.namlen, memory + at,
                              e.type == WASI_FILETYPE_DIRECTORY ? "/" : "");
        at += e.namlen;
    }
    assert_int_equal(box_close(fd), 0);
    return out;
}

static void test_listings(void **state) {
    (void)state;
    assert_string_equal(listing("."),
                        "./ ../ bind/ connect/ dns/ fd/ listen/ local/ option/ peer/ poll tcp/ tls/ udp/");
    assert_string_equal(listing("tcp"), "./ ../ accept/ listen/ new/ shutdown/");
    assert_string_equal(listing("./udp/../udp//"), "./ ../ listen/ new/");
    assert_string_equal(listing("dns"), "./ ../");
    assert_string_equal(listing("tcp/new"), "./ ../ inet inet6");
    uint32_t s = opened("tcp/new/inet");
    assert_string_equal(listing(print("tcp/shutdown/%u", s)), "./ ../ rd rdwr wr");
    assert_string_equal(listing(print("tcp/shutdown/@%d", (int)id_of(s))), "./ ../ rd rdwr wr");
    assert_non_null(strstr(listing(print("option/%u", s)), " NODELAY "));

    /* in pieces: every entry once */
    uint32_t fd;
    assert_int_equal(box_open(NET, ".", TO_READ, WASI_O_DIRECTORY, 0, &fd), 0);
    int entries = 0;
    for (uint64_t cookie = 0;; entries++) {
        uint8_t memory[40];
        struct abi_fd_readdir a = {.fd = fd, .buf = {memory, sizeof memory}, .cookie = cookie};
        assert_int_equal(wasi_fd_readdir(wasi, &a), 0);
        if (a.bufused == 0)
            break;
        struct wasi_dirent e;
        memcpy(&e, memory, sizeof e);
        cookie = e.next;
    }
    assert_int_equal(entries, 14);

    /* a directory beneath is one to open in */
    uint32_t tcp, sub;
    assert_int_equal(box_open(NET, "tcp", both, WASI_O_DIRECTORY, 0, &tcp), 0);
    assert_int_equal(box_open(tcp, "listen/127.0.0.1:0", both, 0, 0, &sub), 0);
    assert_int_equal(box_open(tcp, "../poll", both, 0, 0, &sub), 0);
    assert_int_equal(box_open(tcp, "../../poll", both, 0, 0, &sub), WASI_EPERM);
}

static void expect_stat(const char *path, int type) {
    struct wasi_filestat st;
    int64_t r = CALLED(path_filestat_get, .fd = NET, .flags = 0, .path = text(path), .stat = &st);
    if (r)
        fail_msg("%s: error %d", path, (int)r);
    if (st.filetype != type)
        fail_msg("%s: type %d", path, st.filetype);
}

static int stat_error(const char *path) {
    struct wasi_filestat st;
    return (int)CALLED(path_filestat_get, .fd = NET, .flags = 0, .path = text(path), .stat = &st);
}

static void test_attributes(void **state) {
    (void)state;
    uint32_t stream = opened("tcp/new/inet"), datagrams = opened("udp/new/inet");
    expect_stat(".", WASI_FILETYPE_DIRECTORY);
    expect_stat("tcp/", WASI_FILETYPE_DIRECTORY);
    expect_stat("tcp/example.org:80", WASI_FILETYPE_SOCKET_STREAM);
    expect_stat("tcp/[::1]:80", WASI_FILETYPE_SOCKET_STREAM);
    expect_stat("tls/example.org:443", WASI_FILETYPE_SOCKET_STREAM);
    expect_stat("udp/127.0.0.1:53", WASI_FILETYPE_SOCKET_DGRAM);
    expect_stat("poll", WASI_FILETYPE_CHARACTER_DEVICE);
    expect_stat("dns/example.org", WASI_FILETYPE_REGULAR_FILE);
    expect_stat(print("fd/%u", stream), WASI_FILETYPE_SOCKET_STREAM);
    expect_stat(print("fd/%u", datagrams), WASI_FILETYPE_SOCKET_DGRAM);
    expect_stat(print("option/%u/NODELAY", stream), WASI_FILETYPE_REGULAR_FILE);
    assert_int_equal(stat_error("tcp/example.org"), WASI_ENOENT);
    assert_int_equal(stat_error("poll/"), WASI_ENOTDIR);
    assert_int_equal(stat_error("local/63"), WASI_ENOENT);
    assert_int_equal(stat_error("/tcp"), WASI_EPERM);

    struct wasi_filestat st;
    struct wasi_fdstat fs;
    assert_int_equal(CALLED(fd_filestat_get, .fd = NET, .stat = &st), 0);
    assert_int_equal(st.filetype, WASI_FILETYPE_DIRECTORY);
    assert_int_equal(CALLED(fd_fdstat_get, .fd = stream, .stat = &fs), 0);
    assert_int_equal(fs.filetype, WASI_FILETYPE_SOCKET_STREAM);
    uint32_t f = opened(print("local/%u", datagrams));
    assert_int_equal(CALLED(fd_filestat_get, .fd = f, .stat = &st), 0);
    assert_int_equal(st.filetype, WASI_FILETYPE_REGULAR_FILE);
    assert_int_equal(st.size, strlen("0.0.0.0:0\n"));
}

static void test_refused(void **state) {
    (void)state;
    uint32_t s = opened("tcp/new/inet");
    char longer[400];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    const struct {
        const char *path;
        int error;
    } rows[] = {
        {"/etc/passwd", WASI_EPERM},
        {"..", WASI_EPERM},
        {"../etc/passwd", WASI_EPERM},
        {"tcp/../../x", WASI_EPERM},
        {"nothing", WASI_ENOENT},
        {"tcp", WASI_EISDIR},
        {".", WASI_EISDIR},
        {"poll/", WASI_ENOTDIR},
        {"poll/.", WASI_ENOTDIR},
        {"tcp/127.0.0.1:1/", WASI_ENOTDIR},
        {"tcp/127.0.0.1:1/x", WASI_ENOENT},
        {"a/b/c/d/e/f/g/h/i/j", WASI_ENOENT},
        {"tcp/localhost", WASI_ENOENT},
        {"tcp/localhost:", WASI_ENOENT},
        {"tcp/:80", WASI_ENOENT},
        {"tcp/*:80", WASI_ENOENT},
        {"tcp/::1:80", WASI_ENOENT},
        {"tcp/[::1:80", WASI_ENOENT},
        {"tcp/]:80", WASI_ENOENT},
        {"tcp/accept/", WASI_EISDIR},
        {"tcp/accept/1", WASI_ENOTSOCK},
        {"tcp/accept/3", WASI_ENOTSOCK},
        {"tcp/accept/63", WASI_ENOENT},
        {"tcp/accept/4294967296", WASI_ENOENT},
        {"tcp/accept/99999999999999999999", WASI_ENOENT},
        {"tcp/accept/-1", WASI_ENOENT},
        {"tcp/accept/@0", WASI_ENOENT},
        {"tcp/accept/@77", WASI_ENOENT},
        {"tcp/accept/@", WASI_ENOENT},
        {"option/1/NODELAY", WASI_ENOTSOCK},
        {print("option/%u/nodelay", s), WASI_ENOENT},
        {print("tcp/shutdown/%u/both", s), WASI_ENOENT},
        {print("tcp/shutdown/%u/rd", s), WASI_ENOTCONN},
        {print("peer/%u", s), WASI_ENOTCONN},
        {print("listen/%u/many", s), WASI_EINVAL},
        {print("bind/%u/127.0.0.1", s), WASI_ENOENT},
        {print("tcp/accept/%u", s), WASI_EINVAL},
        {"dns/", WASI_EISDIR},
        {print("tcp/%s:80", longer), WASI_ENOENT},
        {print("dns/%s", longer), WASI_ENOENT},
        {"tcp/unknown.test:80", WASI_ENOENT},
        {"tcp/two.test:nosuch", WASI_ENOENT},
        {"tcp/again.test:80", WASI_EAGAIN},
        {"udp/failed.test:80", WASI_EACCES},
        {"tls/denied.test:80", WASI_EACCES},
        {"tcp/10.1.2.3:80", WASI_EACCES},
        {"tcp/listen/192.0.2.1:0", WASI_EADDRNOTAVAIL},
        {"tcp/127.0.0.1:1", WASI_ECONNREFUSED},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        int r = refused(rows[i].path);
        if (r != rows[i].error)
            fail_msg("%s: %d, not %d", rows[i].path, r, rows[i].error);
    }
    uint32_t fd;
    assert_int_equal(box_open(NET, "poll", both, WASI_O_DIRECTORY, 0, &fd), WASI_ENOTDIR);
    assert_int_equal(CALLED(path_open, .fd = NET, .path = {(uint8_t *)"tcp\0x", 5}), WASI_EINVAL);
}

static void test_nothing_is_made(void **state) {
    (void)state;
    uint32_t fd;
    assert_int_equal(box_open(NET, "poll", both, WASI_O_CREAT | WASI_O_EXCL, 0, &fd), WASI_EEXIST);
    assert_int_equal(box_open(NET, "new", both, WASI_O_CREAT, 0, &fd), WASI_ENOENT);
    assert_int_equal(box_open(NET, "tcp", both, WASI_O_CREAT, 0, &fd), WASI_EISDIR);
    /* as fopen(.., "w") opens */
    assert_int_equal(box_open(NET, "poll", TO_WRITE, WASI_O_CREAT | WASI_O_TRUNC, 0, &fd), 0);
    assert_int_equal(CALLED(path_create_directory, .fd = NET, .path = text("d")), WASI_EROFS);
    assert_int_equal(CALLED(path_remove_directory, .fd = NET, .path = text("tcp")), WASI_EROFS);
    assert_int_equal(CALLED(path_unlink_file, .fd = NET, .path = text("poll")), WASI_EROFS);
    assert_int_equal(CALLED(path_symlink, .old_path = text("x"), .fd = NET, .new_path = text("y")), WASI_EROFS);
    assert_int_equal(CALLED(path_rename, .fd = NET, .old_path = text("poll"), .new_fd = NET, .new_path = text("y")),
                     WASI_EROFS);
    assert_int_equal(CALLED(path_link, .old_fd = NET, .old_path = text("poll"), .new_fd = NET, .new_path = text("y")),
                     WASI_EROFS);
    assert_int_equal(CALLED(path_filestat_set_times, .fd = NET, .path = text("poll"), .fst_flags = 0), WASI_EROFS);
    uint8_t room[16];
    assert_int_equal(CALLED(path_readlink, .fd = NET, .path = text("poll"), .buf = {room, sizeof room}), WASI_EINVAL);
    assert_int_equal(CALLED(path_readlink, .fd = NET, .path = text("no"), .buf = {room, sizeof room}), WASI_ENOENT);
    /* nothing of a handle is asked of what has none */
    assert_int_equal(CALLED(fd_sync, .fd = NET), WASI_EISDIR);
    assert_int_equal(CALLED(fd_advise, .fd = NET), WASI_EISDIR);
    assert_int_equal(CALLED(fd_fdstat_set_flags, .fd = NET, .flags = WASI_FDFLAG_APPEND), WASI_EISDIR);
    assert_int_equal(CALLED(fd_filestat_set_size, .fd = fd, .size = 1), WASI_EINVAL);
    assert_int_equal(CALLED(fd_sync, .fd = fd), WASI_EINVAL);
    assert_int_equal(CALLED(sock_shutdown, .fd = fd, .how = WASI_SD_RD), WASI_ENOTSOCK);
    char c[2];
    assert_int_equal(box_read(NET, c, 1), WASI_EISDIR);
}

/* ---- streams ---- */

static void test_streams(void **state) {
    (void)state;
    uint32_t listener, client, server;
    connection(&listener, &client, &server);
    write_all(client, "to the server");
    expect_read(server, "to the server");
    write_all(server, "to the client");
    expect_read(client, "to the client");
    assert_string_equal(contents(print("peer/%u", client)), contents(print("local/%u", server)));
    assert_string_equal(contents(print("local/%u", client)), contents(print("peer/%u", server)));
    assert_int_equal(strncmp(contents(print("local/%u", listener)), "127.0.0.1:", 10), 0);

    /* by the number that fstat tells, which stays when the descriptor's changes */
    uint64_t id = id_of(server);
    assert_int_not_equal(id, id_of(client));
    assert_int_equal(CALLED(fd_renumber, .fd = server, .to = listener), 0);
    server = listener;
    assert_string_equal(contents(print("peer/@%d", (int)id)), contents(print("local/%u", client)));

    /* another descriptor of the same */
    uint32_t again = opened(print("fd/@%d", (int)id));
    write_all(again, "once more");
    expect_read(client, "once more");
    assert_int_equal(box_close(server), 0);
    assert_int_equal(refused(print("peer/@%d", (int)id)), WASI_ENOENT);
    write_all(again, "and more");
    expect_read(client, "and more");

    uint32_t third = opened(print("fd/%u", again));
    assert_int_equal(box_close(again), 0);
    again = third;

    done(print("tcp/shutdown/%u/wr", client));
    assert_int_equal(box_write(client, "x", NULL), WASI_EPIPE);
    expect_read(again, "");
    write_all(again, "half");
    expect_read(client, "half");
    done(print("tcp/shutdown/%u/rdwr", again));
    expect_read(client, "");
}

static void test_how_it_is_opened(void **state) {
    (void)state;
    uint32_t listener = opened("tcp/listen/127.0.0.1:0"), only_in, only_out;
    const char *path = print("tcp/127.0.0.1:%s", port_of(listener));
    assert_int_equal(open_net(path, TO_READ, 0, &only_in), 0);
    assert_int_equal(open_net(path, TO_WRITE, 0, &only_out), 0);
    assert_int_equal(box_write(only_in, "x", NULL), WASI_ENOTCAPABLE);
    char c[2];
    assert_int_equal(box_read(only_out, c, 1), WASI_ENOTCAPABLE);
    assert_int_equal(box_read(listener, c, 1), WASI_ENOTCONN);
    assert_int_equal(refused(print("tcp/accept/%u", only_in)), WASI_EINVAL);

    /* a text is no socket, and cannot be written */
    uint32_t f = opened(print("local/%u", listener));
    assert_int_equal(box_write(f, "x", NULL), WASI_ENOTCAPABLE);
    assert_int_equal(refused(print("local/%u", f)), WASI_ENOTSOCK);
    struct abi_fd_seek seek = {.fd = f, .offset = 4, .whence = WASI_WHENCE_SET};
    assert_int_equal(wasi_fd_seek(wasi, &seek), 0);
    char rest[64];
    assert_int_equal(box_read(f, rest, 5), 0);
    assert_string_equal(rest, "0.0.1");
    seek = (struct abi_fd_seek){.fd = f, .offset = -5, .whence = WASI_WHENCE_CUR};
    assert_int_equal(wasi_fd_seek(wasi, &seek), 0);
    assert_int_equal(seek.newoffset, 4);
    seek = (struct abi_fd_seek){.fd = f, .offset = -100, .whence = WASI_WHENCE_END};
    assert_int_equal(wasi_fd_seek(wasi, &seek), WASI_EINVAL);
    struct iovec v = {rest, 3};
    struct abi_fd_pread pread = {.fd = f, .iovs = {&v, 1, 3}, .offset = 0};
    assert_int_equal(wasi_fd_pread(wasi, &pread), 0);
    assert_memory_equal(rest, "127", 3);
    pread = (struct abi_fd_pread){.fd = f, .iovs = {&v, 1, 3}, .offset = UINT64_MAX};
    assert_int_equal(wasi_fd_pread(wasi, &pread), 0);
    assert_int_equal(pread.nread, 0);
    assert_int_equal(CALLED(sock_send, .fd = f, .iovs = {&v, 1, 3}), WASI_ENOTSOCK);
}

static bool stop(void *ctx) {
    (void)ctx;
    return true;
}

static void test_waiting(void **state) {
    (void)state;
    uint32_t listener, client, fd;
    assert_int_equal(open_net("tcp/listen/127.0.0.1:0", both, WASI_FDFLAG_NONBLOCK, &listener), 0);
    assert_int_equal(refused(print("tcp/accept/%u", listener)), WASI_EAGAIN);
    assert_int_equal(open_net(print("tcp/127.0.0.1:%s", port_of(listener)), both, WASI_FDFLAG_NONBLOCK, &client), 0);
    uint32_t server = opened(print("tcp/accept/%u", listener));
    char c[2];
    assert_int_equal(box_read(client, c, 1), WASI_EAGAIN);

    /* a waiting one can be stopped, and nothing is left of it */
    wasi_set_stopping(wasi, stop, NULL);
    assert_true(box_read(server, c, 1) == ABI_PARK);
    assert_int_equal(CALLED(fd_fdstat_set_flags, .fd = listener, .flags = 0), 0);
    assert_true(open_net(print("tcp/accept/%u", listener), both, 0, &fd) == ABI_PARK);
    wasi_set_stopping(wasi, NULL, NULL);
    assert_int_equal(open_net(print("tcp/accept/%u", listener), both, WASI_FDFLAG_NONBLOCK, &fd), WASI_EAGAIN);
}

static void test_connecting_without_waiting(void **state) {
    (void)state;
    uint32_t fd;
    assert_int_equal(open_net("tcp/127.0.0.1:1", both, WASI_FDFLAG_NONBLOCK, &fd), 0);
    uint32_t poll = opened("poll");
    write_all(poll, print("%u w\n", fd));
    char line[128];
    assert_int_equal(box_read(poll, line, sizeof line - 1), 0);
    assert_int_equal(strncmp(line, print("%u w", fd), strlen(print("%u w", fd))), 0);
    assert_int_equal(refused(print("peer/%u", fd)), WASI_ECONNREFUSED);
    assert_int_equal(box_close(fd), 0);

    assert_int_equal(open_net("tcp/127.0.0.1:1", both, WASI_FDFLAG_NONBLOCK, &fd), 0);
    write_all(poll, print("%u w", fd));
    assert_int_equal(box_read(poll, line, sizeof line - 1), 0);
    assert_string_equal(contents(print("option/%u/ERROR", fd)), print("%d", WASI_ECONNREFUSED));
    assert_string_equal(contents(print("option/%u/ERROR", fd)), "0");
}

static void test_names(void **state) {
    (void)state;
    uint32_t listener = opened("tcp/listen/*:0");
    spy.port = (uint16_t)strtoul(port_of(listener), NULL, 10);
    assert_string_equal(contents(print("local/%u", listener)), print("0.0.0.0:%d", spy.port));
    uint32_t client = opened("tcp/two.test:1"); /* the first address refuses */
    assert_string_equal(contents(print("peer/%u", client)), print("127.0.0.1:%d", spy.port));
    assert_string_equal(contents("dns/two.test"), "127.0.0.1\n127.0.0.1");
    assert_string_equal(contents("dns/two.test:http"), "127.0.0.1:80\n127.0.0.1:80");
    assert_int_equal(refused("dns/unknown.test"), WASI_ENOENT);
    assert_int_equal(refused("dns/denied.test"), WASI_EACCES);
}

/* ---- step by step ---- */

static void test_steps(void **state) {
    (void)state;
    uint32_t listener = opened("tcp/new/inet"), client = opened("tcp/new/inet");
    done(print("option/%u/REUSEADDR", listener));
    done(print("bind/%u/127.0.0.1:0", listener));
    assert_int_equal(refused(print("tcp/accept/%u", listener)), WASI_EINVAL);
    done(print("listen/@%d/5", (int)id_of(listener)));
    const char *port = port_of(listener);
    assert_int_equal(CALLED(fd_fdstat_set_flags, .fd = client, .flags = WASI_FDFLAG_NONBLOCK), 0);
    int r = refused(print("connect/%u/127.0.0.1:%s", client, port));
    assert_true(r == WASI_EINPROGRESS || r == 0);
    uint32_t server = opened(print("tcp/accept/%u", listener));
    write_all(server, "hello");
    assert_int_equal(CALLED(fd_fdstat_set_flags, .fd = client, .flags = 0), 0);
    expect_read(client, "hello");
    while ((r = refused(print("connect/%u/127.0.0.1:%s", client, port))) == 0)
        ; /* the machine says once that it is done */
    assert_int_equal(r, WASI_EISCONN);

    uint32_t waits = opened("tcp/new/inet");
    done(print("connect/%u/127.0.0.1:%s", waits, port));
    assert_string_equal(contents(print("peer/%u", waits)), print("127.0.0.1:%s", port));
    uint32_t in_vain = opened("tcp/new/inet");
    assert_int_equal(refused(print("connect/%u/127.0.0.1:1", in_vain)), WASI_ECONNREFUSED);
    assert_int_equal(refused(print("bind/%u/127.0.0.1:%s", opened("tcp/new/inet"), port)), WASI_EADDRINUSE);
    assert_int_equal(refused(print("connect/%u/10.0.0.1:80", opened("tcp/new/inet"))), WASI_EACCES);
}

static void test_options(void **state) {
    (void)state;
    uint32_t s = opened("tcp/new/inet");
    const char *path = print("option/%u/NODELAY", s);
    assert_string_equal(contents(path), "0");
    uint32_t f = opened(path);
    write_all(f, "1\n");
    assert_string_equal(contents(path), "1");
    static const char *const bad[] = {
        "", "\n", "-", "1 2", "x", "1x", "1\n\n", "99999999999999999999", "0x1", "00000000000000000000000000000000001"};
    for (unsigned i = 1; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(box_write(f, bad[i], NULL), WASI_EINVAL);
    assert_string_equal(contents(path), "1");
    write_all(opened(print("option/%u/LINGER", s)), "-1");
    assert_string_equal(contents(print("option/%u/TYPE", s)), print("%d", WORLD_STREAM));
    assert_int_equal(box_write(opened(print("option/%u/TYPE", s)), "1", NULL), WASI_ENOPROTOOPT);
    assert_int_equal(box_close(s), 0);
    assert_int_equal(box_write(f, "0", NULL), WASI_ENOTCONN);
}

static void test_ipv6(void **state) {
    (void)state;
    uint32_t listener;
    int64_t r = open_net("tcp/listen/[::1]:0", both, 0, &listener);
    if (r == WASI_EADDRNOTAVAIL || r == WASI_EAFNOSUPPORT)
        skip();
    assert_int_equal(r, 0);
    uint32_t client = opened(print("tcp/[::1]:%s", port_of(listener)));
    assert_string_equal(contents(print("peer/%u", client)), print("[::1]:%s", port_of(listener)));
    uint32_t s = opened("udp/new/inet6");
    done(print("bind/%u/[::1]:0", s));
    assert_int_equal(strncmp(contents(print("local/%u", s)), "[::1]:", 6), 0);
}

static void test_tls(void **state) {
    (void)state;
    uint32_t listener, client, server;
    connection(&listener, &client, &server);
    uint32_t fd = opened(print("tls/127.0.0.1:%s", port_of(listener)));
    assert_string_equal(spy.tls, "127.0.0.1");
    assert_int_equal(box_close(fd), 0);
    done(print("tls/start/%u/example.org", client));
    assert_string_equal(spy.tls, "example.org");
    spy.tls_answer = -ENOTSUP;
    assert_int_equal(refused(print("tls/start/%u/example.org", client)), WASI_ENOTSUP);
    assert_int_equal(refused(print("tls/127.0.0.1:%s", port_of(listener))), WASI_ENOTSUP);
}

/* ---- datagrams ---- */

static void test_datagrams(void **state) {
    (void)state;
    uint32_t bound = opened("udp/listen/127.0.0.1:0");
    uint32_t connected = opened(print("udp/127.0.0.1:%s", port_of(bound)));
    const char *from = contents(print("local/%u", connected));
    write_all(connected, "question");
    expect_read(bound, print("%s\nquestion", from));
    write_all(bound, print("%s\nanswer", from));
    expect_read(connected, "answer");
    write_all(connected, "");
    expect_read(bound, print("%s\n", from));

    /* what there is no room for is lost */
    write_all(connected, "abcdef");
    char few[64];
    assert_int_equal(box_read(bound, few, (uint32_t)strlen(from) + 3), 0);
    assert_string_equal(few, print("%s\nab", from));

    assert_int_equal(box_write(bound, "no address", NULL), WASI_EDESTADDRREQ);
    assert_int_equal(box_write(bound, "not one\nx", NULL), WASI_EINVAL);
    assert_int_equal(box_write(bound, "127.0.0.1\nx", NULL), WASI_EINVAL);
    assert_int_equal(box_write(bound, "127.0.0.1:99999\nx", NULL), WASI_EINVAL);
    assert_int_equal(box_write(bound, "\nx", NULL), WASI_EDESTADDRREQ);
    uint32_t quick;
    assert_int_equal(open_net(print("fd/%u", bound), both, WASI_FDFLAG_NONBLOCK, &quick), 0);
    char c[2];
    assert_int_equal(box_read(quick, c, 1), WASI_EAGAIN);

    /* connected later: an empty line is to whom */
    uint32_t later = opened("udp/new/inet");
    done(print("connect/%u/%s", later, contents(print("local/%u", bound))));
    write_all(later, "\nthird");
    expect_read(bound, print("%s\nthird", contents(print("local/%u", later))));
}

/* ---- waiting for many ---- */

static const char *waited(uint32_t poll, uint32_t size) {
    static char out[4096];
    must(size < sizeof out);
    int64_t r = box_read(poll, out, size);
    if (r)
        fail_msg("error %d", (int)r);
    return out;
}

static void test_poll(void **state) {
    (void)state;
    uint32_t listener, client, server, poll = opened("poll");
    connection(&listener, &client, &server);
    write_all(poll, print("%u r\n@%d rw\ntimeout 1000000\n", client, (int)id_of(server)));
    assert_string_equal(waited(poll, 4000), print("@%d w\n", (int)id_of(server)));
    write_all(poll, print("@%d r", (int)id_of(server)));
    assert_string_equal(waited(poll, 4000), ""); /* the time is over */
    write_all(client, "x");
    assert_string_equal(waited(poll, 4000), print("@%d r\n", (int)id_of(server)));
    assert_string_equal(waited(poll, 4000), print("@%d r\n", (int)id_of(server)));
    write_all(poll, print("@%d -\ntimeout 0\n", (int)id_of(server)));
    assert_string_equal(waited(poll, 4000), "");

    /* the end of the other side, with no bound of time */
    write_all(poll, "timeout -");
    assert_int_equal(box_close(server), 0);
    assert_int_equal(strncmp(waited(poll, 4000), print("%u r", client), strlen(print("%u r", client))), 0);

    /* what is closed is no longer waited for */
    assert_int_equal(box_close(client), 0);
    write_all(poll, "timeout 1000000");
    assert_string_equal(waited(poll, 4000), "");

    static const char *const bad[] = {"x",    "r",    "3",     "timeout", "timeout x", "timeout -1", "1 x",
                                      "1  r", "1 r ", "@1 rr", "-1 r",    "@ r",       "\n"};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t r = box_write(poll, bad[i], NULL);
        if (r != WASI_EINVAL)
            fail_msg("'%s': %d", bad[i], (int)r);
    }
    assert_int_equal(box_write(poll, "63 r", NULL), WASI_EBADF);
    assert_int_equal(box_write(poll, "@63 r", NULL), WASI_EBADF);
    assert_int_equal(box_write(poll, print("%u r", poll), NULL), WASI_EPERM);
    write_all(poll, "63 -\n@63 -\n"); /* says nothing new */
    /* of very many lines not all are taken at once */
    enum { LINES = 4000 };
    char *lines = mem_alloc(LINES * 12 + 1);
    for (int i = 0; i < LINES; i++)
        snprintf(lines + 10 * i, 11, "@%06d -\n", i);
    uint32_t taken;
    assert_int_equal(box_write(poll, lines, &taken), 0);
    assert_true(taken > 10000 && taken < LINES * 10 && taken % 10 == 0);
    memset(lines, '1', LINES * 10);
    assert_int_equal(box_write(poll, lines, NULL), WASI_EINVAL);
    mem_free(lines);

    char small[64];
    assert_int_equal(box_read(poll, small, 63), WASI_EINVAL);
    write_all(poll, "timeout -");
    wasi_set_stopping(wasi, stop, NULL);
    assert_true(box_read(poll, small, 64) == ABI_PARK);
}

/* With room for few lines, all come to their turn. */
static void test_poll_in_turn(void **state) {
    (void)state;
    enum { MANY = 20 };
    uint32_t poll = opened("poll"), fds[MANY];
    for (int i = 0; i < MANY; i++) {
        fds[i] = opened("udp/new/inet");
        write_all(poll, print("%u w\n", fds[i]));
    }
    bool seen[MOST] = {0};
    for (int round = 0; round < MANY; round++) {
        char *line = (char *)waited(poll, 64), *end;
        for (; (end = strchr(line, '\n')); line = end + 1)
            seen[strtoul(line, NULL, 10)] = true;
    }
    for (int i = 0; i < MANY; i++)
        assert_true(seen[fds[i]]);
}

/* What needs no waiting for is ready at once, whatever else is waited for. */
static void test_poll_oneoff(void **state) {
    (void)state;
    uint32_t s = opened("udp/listen/127.0.0.1:0"), f = opened(print("local/%u", s));
    struct wasi_subscription in[] = {{.userdata = 1, .type = WASI_EVENT_FD_READ, .u.fd = s},
                                     {.userdata = 2, .type = WASI_EVENT_FD_READ, .u.fd = f}};
    struct wasi_event out[2];
    struct abi_poll_oneoff a = {
        .in = {(uint8_t *)in, sizeof in}, .out = {(uint8_t *)out, sizeof out}, .nsubscriptions = 2};
    assert_int_equal(wasi_poll_oneoff(wasi, &a), 0);
    assert_int_equal(a.nevents, 1);
    assert_int_equal(out[0].userdata, 2);
    assert_int_equal(out[0].error, 0);
}

static void test_limit(void **state) {
    (void)state;
    uint32_t fd, n = 0;
    while (open_net(n % 2 ? "tcp/new/inet" : "poll", both, 0, &fd) == 0)
        n++;
    assert_int_equal(n, MOST - 4);
    assert_int_equal(refused("poll"), WASI_EMFILE);
    assert_int_equal(refused("tcp/new/inet"), WASI_EMFILE);
    assert_int_equal(box_open(NET, "tcp", TO_READ, WASI_O_DIRECTORY, 0, &fd), WASI_EMFILE);
    assert_int_equal(box_close(10), 0);
    done("option/11/TYPE");
}

/* A socket given before /net does not end the list of directories. */
static void test_listener_among_directories(void **state) {
    (void)state;
    int handle = world->ops->socket(world, ADDR_INET, WORLD_STREAM);
    struct addr a;
    must(addr_parse("127.0.0.1:0", &a) && world->ops->bind(world, handle, &a) == 0);
    must(world->ops->listen(world, handle, 1) == 0);
    must(wasi_add_socket(wasi, handle, true, NULL) == ST_OK);
    struct wasi_prestat p;
    assert_int_equal(CALLED(fd_prestat_get, .fd = NET, .prestat = &p), 0);
    assert_int_equal(p.type, WASI_PREOPEN_DIR);
    assert_int_equal(p.name_len, 4);
    assert_int_equal(CALLED(fd_prestat_get, .fd = NET + 1, .prestat = &p), 0);
    assert_int_not_equal(p.type, WASI_PREOPEN_DIR);
    assert_int_equal(CALLED(fd_prestat_get, .fd = NET + 2, .prestat = &p), WASI_EBADF);
    uint32_t other = opened(print("fd/%d", NET + 1));
    uint32_t client = opened(print("tcp/127.0.0.1:%s", port_of(other)));
    uint32_t server = opened(print("tcp/accept/%u", other));
    write_all(client, "x");
    expect_read(server, "x");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(listings),
        TEST(attributes),
        TEST(refused),
        TEST(nothing_is_made),
        TEST(streams),
        TEST(how_it_is_opened),
        TEST(waiting),
        TEST(connecting_without_waiting),
        TEST(names),
        TEST(steps),
        TEST(options),
        TEST(ipv6),
        TEST(tls),
        TEST(datagrams),
        TEST(poll),
        TEST(poll_in_turn),
        TEST(poll_oneoff),
        TEST(limit),
        TEST(listener_among_directories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
