#include "tier/disk.h"

#include "base/must.h"
#include "world/os/code.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int disk_open_dir(struct world *w, int dir, const char *path, bool make) {
    enum { FLAGS = WORLD_READ | WORLD_DIRECTORY_ONLY };
    uint32_t follow = dir == WORLD_CWD ? 0 : WORLD_NOFOLLOW;
    int fd = w->ops->open(w, dir, path, FLAGS | follow, 0);
    if (fd == -ENOENT && make) {
        int rc = w->ops->make_dir(w, dir, path, 0, 0700);
        fd = rc < 0 && rc != -EEXIST ? rc : w->ops->open(w, dir, path, FLAGS | follow, 0);
    }
    if (fd < 0)
        return fd;
    int rc = code_check_owner(w, fd);
    if (rc < 0) {
        w->ops->close(w, fd);
        return rc;
    }
    return fd;
}

void disk_make_parents(struct world *w, const char *path) {
    char *copy = mem_strdup(path);
    for (char *p = strchr(copy, '/'); p; p = strchr(p + 1, '/')) {
        if (p == copy)
            continue;
        *p = '\0';
        (void)w->ops->make_dir(w, WORLD_CWD, copy, 0, 0700); /* most are there */
        *p = '/';
    }
    mem_free(copy);
}

struct growing {
    struct disk_names *names;
    uint32_t cap;
};

static bool add_name(void *arg, const struct world_dirent *d) {
    struct growing *g = arg;
    struct disk_names *names = g->names;
    if (!strcmp(d->name, ".") || !strcmp(d->name, ".."))
        return true;
    if (names->n == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 64;
        names->name = mem_realloc(names->name, g->cap * sizeof *names->name);
    }
    names->name[names->n++] = mem_strdup(d->name);
    return true;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int disk_list(struct world *w, int dir, struct disk_names *out) {
    *out = (struct disk_names){0};
    struct growing g = {out, 0};
    int rc = w->ops->read_dir(w, dir, 0, add_name, &g);
    if (rc < 0)
        disk_names_free(out);
    else if (out->n)
        qsort(out->name, out->n, sizeof *out->name, by_name);
    return rc;
}

void disk_names_free(struct disk_names *names) {
    for (uint32_t i = 0; i < names->n; i++)
        mem_free(names->name[i]);
    mem_free(names->name);
    *names = (struct disk_names){0};
}

bool name_ends(const char *name, const char *suffix) {
    size_t n = strlen(name), k = strlen(suffix);
    return n > k && strcmp(name + n - k, suffix) == 0;
}

int disk_random(struct world *w, char out[17]) {
    uint64_t v;
    int rc = w->ops->entropy(w, &v, sizeof v);
    if (rc >= 0)
        snprintf(out, 17, "%016llx", (unsigned long long)v);
    return rc < 0 ? rc : 0;
}

static int write_all(struct world *w, int fd, struct span bytes) {
    for (size_t at = 0; at < bytes.size;) {
        struct iovec v = {(void *)(bytes.data + at), bytes.size - at};
        int64_t n = w->ops->pwritev(w, fd, &v, 1, at);
        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        at += (size_t)n;
    }
    return 0;
}

int disk_write(struct world *w, int dir, const char *name, struct span bytes) {
    char random[17], tmp[32];
    int rc = disk_random(w, random);
    if (rc < 0)
        return rc;
    snprintf(tmp, sizeof tmp, "%s.tmp", random);
    int fd = w->ops->open(w, dir, tmp, WORLD_WRITE | WORLD_CREATE | WORLD_EXCLUSIVE | WORLD_NOFOLLOW, 0400);
    if (fd < 0)
        return fd;
    rc = write_all(w, fd, bytes);
    w->ops->close(w, fd);
    if (rc == 0)
        rc = w->ops->rename(w, dir, tmp, dir, name, 0);
    if (rc < 0)
        (void)w->ops->remove(w, dir, tmp, 0, false);
    return rc;
}

int disk_read(struct world *w, int dir, const char *name, struct buf *out) {
    enum { PIECE = 1 << 12 };
    int fd = w->ops->open(w, dir, name, WORLD_READ | WORLD_NOFOLLOW | WORLD_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    int rc = code_check_owner(w, fd);
    while (rc == 0) {
        if (!buf_reserve(out, PIECE)) {
            rc = -EFBIG;
            break;
        }
        struct iovec v = {out->data + out->size, PIECE};
        int64_t n = w->ops->readv(w, fd, &v, 1);
        if (n <= 0) {
            rc = (int)n;
            break;
        }
        out->size += (size_t)n;
    }
    w->ops->close(w, fd);
    return rc;
}

char *text_value(const char *text, const char *word) {
    size_t n = strlen(word);
    for (const char *line = text; line && *line;) {
        const char *end = strchr(line, '\n');
        size_t size = end ? (size_t)(end - line) : strlen(line);
        if (size > n && line[n] == ' ' && memcmp(line, word, n) == 0) {
            char *value = mem_alloc(size - n);
            memcpy(value, line + n + 1, size - n - 1);
            value[size - n - 1] = '\0';
            return value;
        }
        line = end ? end + 1 : NULL;
    }
    return mem_strdup("");
}
