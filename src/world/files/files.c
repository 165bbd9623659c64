/* files.c: the layer, its trees and nodes, and how they are opened. */
#include "world/files/internal.h"

#include "world/files/tar.h"

#include <stdio.h>

/* ---- trees and nodes ---- */

static struct tree *new_tree(struct files *f, const struct tree_ops *ops) {
    struct tree *t = mem_zalloc(sizeof *t);
    t->ops = ops;
    t->files = f;
    t->archive = -1;
    return t;
}

static void tree_free(struct tree *t) {
    if (t->archive >= 0)
        UNDER(t->files, close, t->archive);
    if (t->tar)
        tar_free(t->tar);
    if (t->origin)
        origins_free(t->origin);
    quota_free(t->quota);
    mem_free(t);
}

struct node *node_new(struct tree *t, struct node *parent, const char *name, int at, int lower) {
    struct node *n = mem_zalloc(sizeof *n);
    *n = (struct node){.tree = t, .refs = 1, .at = at, .lower = lower};
    n->name = name ? mem_strdup(name) : NULL;
    t->refs++;
    if (parent) {
        n->parent = node_hold(parent);
        n->next = parent->children;
        parent->children = n;
    }
    return n;
}

struct node *node_hold(struct node *n) {
    n->refs++;
    return n;
}

void node_drop(struct node *n) {
    while (n && --n->refs == 0) {
        struct node *parent = n->parent;
        struct tree *t = n->tree;
        must(!n->children);
        if (parent && !n->gone)
            for (struct node **at = &parent->children; *at; at = &(*at)->next)
                if (*at == n) {
                    *at = n->next;
                    break;
                }
        if (n->at >= 0)
            UNDER(t->files, close, n->at);
        if (n->lower >= 0)
            WITHIN(t->files, close, n->lower);
        mem_free(n->name);
        mem_free(n);
        if (--t->refs == 0)
            tree_free(t);
        n = parent;
    }
}

/* ---- opening ---- */

static enum status failed(struct err *e, const char *what, const char *path, int r) {
    enum status s = r == -ENOENT                   ? ST_NOT_FOUND
                    : r == -EACCES || r == -EPERM  ? ST_DENIED
                    : r == -ENOTDIR || r == -ELOOP ? ST_INVALID
                                                   : ST_IO;
    return err_set(e, s, "%s %s: %s", what, path, strerror(-r));
}

/* Gives the root of a tree to the outside. Takes over `root`. */
static enum status give(struct node *root, const char *path, int *out, struct err *e) {
    int fd = handle_open_dir(root);
    node_drop(root);
    if (fd < 0)
        return failed(e, "cannot read the directory", path, fd);
    *out = fd;
    return ST_OK;
}

static int open_root(struct world *w, const char *path) {
    return BELOW(w, open, WORLD_CWD, path, WORLD_PATH | WORLD_DIRECTORY_ONLY, 0);
}

enum status files_open_dir(struct world *w, const char *path, const struct files_quota *quota, int *out,
                           struct err *e) {
    int at = open_root(w, path);
    if (at < 0)
        return failed(e, "cannot open the directory", path, at);
    struct tree *t = new_tree(files_of(w), &plain_ops);
    struct node *root = node_new(t, NULL, NULL, at, -1);
    t->quota = quota_new(quota, path);
    enum status s = quota_scan(t, at, false, path, e);
    if (s) {
        node_drop(root);
        return s;
    }
    return give(root, path, out, e);
}

/* Makes a directory, and those that lead to it. */
static int make_dirs(struct world *w, const char *path) {
    char *part = mem_strdup(path);
    for (char *at = part[0] ? strchr(part + 1, '/') : NULL; at; at = strchr(at + 1, '/')) {
        *at = '\0';
        BELOW(w, make_dir, WORLD_CWD, part, 0, 0777); /* whether it worked, the last one says */
        *at = '/';
    }
    int r = BELOW(w, make_dir, WORLD_CWD, part, 0, 0777);
    mem_free(part);
    return r == -EEXIST ? 0 : r;
}

enum status files_open_overlay(struct world *w, const char *lower, const char *upper, const struct files_quota *quota,
                               int *out, struct err *e) {
    int below = open_root(w, lower);
    enum status s = below == -ENOTDIR ? files_open_archive(w, lower, &below, e) : ST_OK;
    if (s == ST_OK && below < 0)
        s = failed(e, "cannot open the directory", lower, below);
    if (s)
        return s;
    int r = make_dirs(w, upper);
    int at = r < 0 ? r : open_root(w, upper);
    if (at < 0) {
        files_close(w, below);
        return failed(e, "cannot keep changes in the directory", upper, at);
    }
    struct tree *t = new_tree(files_of(w), &overlay_ops);
    struct node *root = node_new(t, NULL, NULL, at, below);
    t->origin = origins_new();
    t->quota = quota_new(quota, lower);
    struct world_stat a, b;
    if (BELOW(w, stat, at, &a) == 0 && files_stat(w, below, &b) == 0 && a.dev == b.dev && a.ino == b.ino)
        s = err_set(e, ST_INVALID, "cannot keep changes to %s in %s: they are one directory", lower, upper);
    if (s == ST_OK)
        s = quota_scan(t, at, true, upper, e);
    if (s) {
        node_drop(root);
        return s;
    }
    return give(root, lower, out, e);
}

static int64_t read_archive(void *ctx, uint64_t offset, void *p, size_t n) {
    struct tree *t = ctx;
    struct iovec iov = {p, n};
    return UNDER(t->files, preadv, t->archive, &iov, 1, offset);
}

enum status files_open_archive(struct world *w, const char *path, int *out, struct err *e) {
    struct files *f = files_of(w);
    int fd = BELOW(w, open, WORLD_CWD, path, WORLD_READ, 0);
    if (fd < 0)
        return failed(e, "cannot open the archive", path, fd);
    struct tree *t = new_tree(f, &archive_ops);
    t->archive = fd;
    t->dev = (UINT64_C(0x746172) << 40) + ++f->narchives; /* no device of the machine's */
    struct world_stat st;
    int r = BELOW(w, stat, fd, &st);
    enum status s = ST_OK;
    if (r < 0)
        s = failed(e, "cannot open the archive", path, r);
    else if (st.type != WORLD_REGULAR)
        s = err_set(e, ST_INVALID, "%s is no file, so no archive either", path);
    if (s == ST_OK)
        s = tar_read(read_archive, t, st.size, &t->tar, e);
    if (s) {
        tree_free(t);
        return err_wrap(e, s, "archive %s", path);
    }
    struct node *root = node_new(t, NULL, NULL, -1, -1);
    root->entry = tar_root(t->tar);
    return give(root, path, out, e);
}

bool files_quota_used(struct world *w, int handle, uint64_t *bytes, uint64_t *count) {
    const struct handle *h = handle_of(files_of(w), handle);
    const struct quota *q = h ? h->dir->tree->quota : NULL;
    if (q)
        quota_used(q, bytes, count);
    return q != NULL;
}

/* ---- the layer ---- */

static void files_free(struct world *w) {
    struct files *f = files_of(w);
    for (int archives = 0; archives < 2; archives++) /* last, as overlays may use them */
        for (uint32_t i = 0; i < f->cap; i++)
            if (f->handles[i] && (archives || f->handles[i]->dir->tree->ops != &archive_ops))
                files_close(w, (int)i);
    mem_free(f->handles);
    mem_free(f);
}

// clang-format off
#define OWN(name) .name = files_##name,
static const struct world_ops ops = {WORLD_FORWARD, .name = "files", HANDLE_OPS(OWN) PATH_OPS(OWN) .free = files_free};
#undef OWN
// clang-format on

struct world *files_new(struct world *below) {
    struct files *f = mem_zalloc(sizeof *f);
    f->layer.world.ops = &ops;
    f->layer.below = below;
    return &f->layer.world;
}
