#include "box.h"

#include "../world/tree.h"
#include "base/buf.h"
#include "base/must.h"
#include "world/os/os.h"

#include <stdio.h>
#include <stdlib.h>

struct world *os, *files;
unsigned box_met;
char box_sentence[4096];
static const char *root;

void box_new(void) {
    os = world_os_new();
    files = files_new(os);
    root = tree_new();
}

void box_free(void) {
    files->ops->free(files);
    os->ops->free(os);
    tree_remove();
}

const char *box_path(const char *path) {
    static char paths[4][512];
    static unsigned i;
    char *p = paths[i++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", root, path);
    return p;
}

static void met(void *ctx, const char *sentence) {
    (void)ctx;
    box_met++;
    snprintf(box_sentence, sizeof box_sentence, "%s", sentence);
}

static int opened(enum status s, const struct err *e, int fd) {
    if (s)
        fprintf(stderr, "%s\n", e->text);
    must(s == ST_OK);
    return fd;
}

int box_dir(const char *path, uint64_t size_bytes, uint64_t count) {
    struct err e = ERR_INIT;
    struct files_quota q = {.size_bytes = size_bytes, .count = count, .met = met};
    int fd = -1;
    box_met = 0;
    enum status s = files_open_dir(files, box_path(path), &q, &fd, &e);
    return opened(s, &e, fd);
}

int box_overlay(const char *lower, const char *upper, uint64_t size_bytes, uint64_t count) {
    struct err e = ERR_INIT;
    struct files_quota q = {.size_bytes = size_bytes, .count = count, .met = met};
    int fd = -1;
    box_met = 0;
    enum status s = files_open_overlay(files, box_path(lower), box_path(upper), &q, &fd, &e);
    return opened(s, &e, fd);
}

int64_t write_text(int fd, const char *text) {
    struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
    return OP(writev, fd, &iov, 1);
}

static int64_t write_with(int dir, const char *path, uint32_t how, const char *text) {
    int fd = OP(open, dir, path, WORLD_WRITE | WORLD_CREATE | WORLD_BENEATH | how, 0644);
    if (fd < 0)
        return fd;
    int64_t r = text[0] ? write_text(fd, text) : 0;
    must(OP(close, fd) == 0);
    return r;
}

int64_t put(int dir, const char *path, const char *text) {
    return write_with(dir, path, WORLD_TRUNCATE, text);
}

int64_t append(int dir, const char *path, const char *text) {
    return write_with(dir, path, WORLD_APPEND, text);
}

int64_t read_at(int fd, char *out, size_t size) {
    size_t n = 0;
    while (n + 1 < size) {
        struct iovec iov = {out + n, size - 1 - n};
        int64_t r = OP(readv, fd, &iov, 1);
        if (r < 0)
            return r;
        if (r == 0)
            break;
        n += (size_t)r;
    }
    out[n] = '\0';
    return (int64_t)n;
}

int64_t get(int dir, const char *path, char *out, size_t size) {
    int fd = OP(open, dir, path, WORLD_READ | WORLD_BENEATH, 0);
    if (fd < 0)
        return fd;
    int64_t r = read_at(fd, out, size);
    must(OP(close, fd) == 0);
    return r;
}

const char *text_of(int dir, const char *path) {
    static char text[1 << 20];
    int64_t r = get(dir, path, text, sizeof text);
    if (r < 0)
        snprintf(text, sizeof text, "%s", strerrorname_np((int)-r));
    return text;
}

struct listing {
    char *names[65536];
    size_t n;
};

static bool add(void *arg, const struct world_dirent *e) {
    struct listing *l = arg;
    must(l->n < sizeof l->names / sizeof *l->names);
    if (strcmp(e->name, ".") != 0 && strcmp(e->name, "..") != 0)
        l->names[l->n++] = mem_strdup(e->name);
    return true;
}

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

const char *names_in(int dir, const char *path) {
    static struct listing l;
    static struct buf out;
    buf_deinit(&out);
    buf_init(&out, 1 << 24);
    int fd = OP(open, dir, path, WORLD_READ | WORLD_DIRECTORY_ONLY | WORLD_BENEATH, 0);
    if (fd < 0) {
        buf_print(&out, "%s", strerrorname_np(-fd));
        return buf_cstr(&out);
    }
    l.n = 0;
    int r = OP(read_dir, fd, 0, add, &l);
    must(r == 0 && OP(close, fd) == 0);
    qsort(l.names, l.n, sizeof *l.names, compare);
    for (size_t i = 0; i < l.n; i++) {
        buf_print(&out, "%s%s", i ? " " : "", l.names[i]);
        mem_free(l.names[i]);
    }
    return buf_cstr(&out);
}
