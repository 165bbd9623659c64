#include "box.h"

#include "base/must.h"

#include <stdio.h>

struct world *world;
struct wasi *wasi;

int box_set_up(void **state) {
    (void)state;
    const char *root = tree_new();
    tree_dir("data");
    tree_file("data/f", "contents");
    tree_dir("data/d");
    tree_file("data/d/g", "in d");
    tree_link("data/to_f", "f");
    tree_link("data/to_d", "d");
    tree_link("data/escape", "../other");
    tree_link("data/loop", "loop");
    tree_link("data/dangling", "nothing");
    tree_dir("other");
    tree_file("other/x", "other");
    tree_dir("fixed");
    tree_file("fixed/f", "fixed");
    tree_dir("fixed/d");
    world = world_os_new();
    wasi = wasi_new(world, 0);
    char host[512];
    snprintf(host, sizeof host, "%s/data", root);
    must(wasi_add_dir(wasi, host, "/data", true, NULL) == ST_OK);
    snprintf(host, sizeof host, "%s/fixed", root);
    must(wasi_add_dir(wasi, host, "/fixed", false, NULL) == ST_OK);
    return 0;
}

int box_tear_down(void **state) {
    (void)state;
    wasi_free(wasi);
    world->ops->free(world);
    tree_remove();
    return 0;
}

struct abi_mem text(const char *s) {
    return (struct abi_mem){(uint8_t *)s, (uint32_t)strlen(s)};
}

int64_t box_open(uint32_t dir, const char *path, int how, uint32_t oflags, uint32_t fdflags, uint32_t *fd) {
    const uint64_t read = WASI_RIGHT_FD_READ | WASI_RIGHT_FD_READDIR;
    const uint64_t write =
        WASI_RIGHT_FD_WRITE | WASI_RIGHT_FD_DATASYNC | WASI_RIGHT_FD_ALLOCATE | WASI_RIGHT_FD_FILESTAT_SET_SIZE;
    uint64_t rights = ALL_RIGHTS & ~(uint64_t)(WASI_RIGHT_SOCK_ACCEPT | WASI_RIGHT_SOCK_SHUTDOWN);
    if (!(how & TO_READ))
        rights &= ~read;
    if (!(how & TO_WRITE))
        rights &= ~write;
    struct abi_path_open a = {
        .fd = dir,
        .dirflags = WASI_LOOKUP_SYMLINK_FOLLOW,
        .path = text(path),
        .oflags = oflags,
        .rights_base = rights,
        .rights_inheriting = rights,
        .fdflags = fdflags,
    };
    int64_t r = wasi_path_open(wasi, &a);
    if (r == 0)
        *fd = a.opened_fd;
    return r;
}

uint32_t box_must_open(uint32_t dir, const char *path, int how, uint32_t oflags, uint32_t fdflags) {
    uint32_t fd;
    must(box_open(dir, path, how, oflags, fdflags, &fd) == 0);
    return fd;
}

int64_t box_write(uint32_t fd, const char *s, uint32_t *done) {
    struct iovec v = {(char *)s, strlen(s)};
    struct abi_fd_write a = {.fd = fd, .iovs = {&v, 1, (uint32_t)v.iov_len}};
    int64_t r = wasi_fd_write(wasi, &a);
    if (done)
        *done = a.nwritten;
    return r;
}

int64_t box_read(uint32_t fd, char *out, uint32_t n) {
    struct iovec v = {out, n};
    struct abi_fd_read a = {.fd = fd, .iovs = {&v, 1, n}};
    int64_t r = wasi_fd_read(wasi, &a);
    out[r == 0 ? a.nread : 0] = '\0';
    if (r == 0)
        must(a.iovs.size == a.nread);
    return r;
}

int64_t box_close(uint32_t fd) {
    return CALLED(fd_close, .fd = fd);
}

static char refusals[8192];

static void add_refusal(void *ctx, const char *sentence) {
    size_t *n = ctx;
    *n += (size_t)snprintf(refusals + *n, sizeof refusals - *n, "%s\n", sentence);
}

const char *box_refusals(bool failed) {
    size_t n = 0;
    refusals[0] = '\0';
    wasi_refusals(wasi, failed, add_refusal, &n);
    return refusals;
}
