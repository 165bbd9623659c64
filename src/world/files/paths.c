/* paths.c: everything that takes a path. */
#include "world/files/internal.h"

/* The directory that a path is relative to; NULL: not ours. A handle that is no directory: -ENOTDIR in `r`. */
static struct node *start_of(struct world *w, int dir, int *r) {
    struct handle *h = handle_of(files_of(w), dir);
    *r = h && h->kind != HANDLE_DIR ? -ENOTDIR : 0;
    return h ? h->dir : NULL;
}

/* Is the place a directory, as a path that ends in a slash says? 0, or -ENOTDIR or what else is wrong. */
static int must_be_dir(const struct place *p) {
    struct world_stat st;
    int r = p->dir->tree->ops->stat(p->dir, p->name, &st);
    return r ? r : st.type == WORLD_DIRECTORY ? 0 : -ENOTDIR;
}

/* A link at the end is followed unless that is not wanted; with a slash behind it in any case. */
static uint32_t following(const char *path, uint32_t flags) {
    const size_t n = strlen(path);
    return !(flags & WORLD_NOFOLLOW) || (n > 0 && path[n - 1] == '/') ? RESOLVE_FOLLOW : 0;
}

/* ---- opening ---- */

static int open_dir(struct place *p, uint32_t flags) {
    struct node *d = NULL;
    int r = p->dots ? 0 : p->dir->tree->ops->enter(p->dir, p->name, &d);
    if (r < 0)
        return r;
    if ((flags & (WORLD_CREATE | WORLD_EXCLUSIVE)) == (WORLD_CREATE | WORLD_EXCLUSIVE))
        r = -EEXIST;
    else if (flags & (WORLD_WRITE | WORLD_CREATE | WORLD_TRUNCATE))
        r = -EISDIR;
    else
        r = handle_open_dir(d ? d : p->dir);
    node_drop(d);
    return r;
}

static int open_place(struct place *p, uint32_t flags, uint32_t mode) {
    if (p->slash && flags & WORLD_CREATE)
        return -EISDIR;
    if (p->dots || p->slash || flags & WORLD_DIRECTORY_ONLY)
        return open_dir(p, flags);
    int r = p->dir->tree->ops->open(p->dir, p->name, flags | WORLD_NOFOLLOW, mode);
    return r == -EISDIR ? open_dir(p, flags) : r;
}

int files_open(struct world *w, int dir, const char *path, uint32_t flags, uint32_t mode) {
    int r;
    struct node *start = start_of(w, dir, &r);
    if (!start)
        return BELOW(w, open, dir, path, flags, mode);
    const bool create_new = (flags & (WORLD_CREATE | WORLD_EXCLUSIVE)) == (WORLD_CREATE | WORLD_EXCLUSIVE);
    struct place p;
    flags &= ~(uint32_t)WORLD_BENEATH;
    if (r == 0)
        r = resolve(start, path,
                    (create_new ? 0 : following(path, flags)) | (flags & WORLD_CREATE ? RESOLVE_CREATE : 0), &p);
    if (r < 0)
        return r;
    r = open_place(&p, flags, mode);
    place_drop(&p);
    return r;
}

/* ---- attributes ---- */

int files_stat_at(struct world *w, int dir, const char *path, uint32_t flags, struct world_stat *out) {
    int r;
    struct node *start = start_of(w, dir, &r);
    if (!start)
        return BELOW(w, stat_at, dir, path, flags, out);
    struct place p;
    struct world_stat st;
    if (r == 0)
        r = resolve(start, path, following(path, flags), &p);
    if (r < 0)
        return r;
    r = p.dir->tree->ops->stat(p.dir, p.dots ? NULL : p.name, &st);
    if (r == 0 && p.slash && st.type != WORLD_DIRECTORY)
        r = -ENOTDIR;
    if (r == 0)
        *out = st;
    place_drop(&p);
    return r;
}

int files_set_times_at(struct world *w, int dir, const char *path, uint32_t flags, uint64_t atim, uint64_t mtim,
                       uint32_t which) {
    int r;
    struct node *start = start_of(w, dir, &r);
    if (!start)
        return BELOW(w, set_times_at, dir, path, flags, atim, mtim, which);
    struct place p;
    if (r == 0)
        r = resolve(start, path, following(path, flags), &p);
    if (r < 0)
        return r;
    if (p.slash)
        r = must_be_dir(&p);
    if (r == 0)
        r = p.dir->tree->ops->set_times(p.dir, p.dots ? NULL : p.name, atim, mtim, which);
    place_drop(&p);
    return r;
}

int64_t files_read_link(struct world *w, int dir, const char *path, uint32_t flags, char *out, size_t cap) {
    int r;
    struct node *start = start_of(w, dir, &r);
    if (!start)
        return BELOW(w, read_link, dir, path, flags, out, cap);
    struct place p;
    if (r == 0)
        r = resolve(start, path, following(path, WORLD_NOFOLLOW), &p);
    if (r < 0)
        return r;
    int64_t n = p.slash ? must_be_dir(&p) : 0;
    if (n == 0)
        n = p.dots || p.slash ? -EINVAL : p.dir->tree->ops->read_link(p.dir, p.name, out, cap);
    place_drop(&p);
    return n;
}

/* ---- names ---- */

int files_make_dir(struct world *w, int dir, const char *path, uint32_t flags, uint32_t mode) {
    int r;
    struct node *start = start_of(w, dir, &r);
    if (!start)
        return BELOW(w, make_dir, dir, path, flags, mode);
    struct place p;
    if (r == 0)
        r = resolve(start, path, 0, &p);
    if (r < 0)
        return r;
    r = p.dots ? -EEXIST : p.dir->tree->ops->make_dir(p.dir, p.name, mode);
    place_drop(&p);
    return r;
}

int files_remove(struct world *w, int dir, const char *path, uint32_t flags, bool directory) {
    int r;
    struct node *start = start_of(w, dir, &r);
    if (!start)
        return BELOW(w, remove, dir, path, flags, directory);
    struct place p;
    if (r == 0)
        r = resolve(start, path, 0, &p);
    if (r < 0)
        return r;
    if (p.dots)
        r = !directory ? -EISDIR : p.dots == 2 ? -ENOTEMPTY : -EINVAL;
    else if (p.slash)
        r = must_be_dir(&p);
    if (r == 0)
        r = p.dir->tree->ops->remove(p.dir, p.name, directory);
    place_drop(&p);
    return r;
}

/* Two paths, for a call that needs both. Of directories of which only one is ours, or that lie in two trees: -EXDEV. */
static int resolve_two(struct world *w, int dir, const char *path, uint32_t how, int to_dir, const char *to,
                       struct place *a, struct place *b) {
    int r, r2;
    struct node *start = start_of(w, dir, &r), *to_start = start_of(w, to_dir, &r2);
    if (!start || !to_start || start->tree != to_start->tree)
        return -EXDEV;
    if (r || r2)
        return -ENOTDIR;
    r = resolve(start, path, how, a);
    if (r < 0)
        return r;
    r = resolve(to_start, to, 0, b);
    if (r < 0)
        place_drop(a);
    return r;
}

static bool neither_is_ours(struct world *w, int dir, int to_dir) {
    return !handle_of(files_of(w), dir) && !handle_of(files_of(w), to_dir);
}

int files_rename(struct world *w, int dir, const char *path, int to_dir, const char *to, uint32_t flags) {
    if (neither_is_ours(w, dir, to_dir))
        return BELOW(w, rename, dir, path, to_dir, to, flags);
    struct place a, b;
    int r = resolve_two(w, dir, path, 0, to_dir, to, &a, &b);
    if (r < 0)
        return r;
    if (a.dots || b.dots)
        r = -EBUSY;
    else if (a.slash || b.slash)
        r = must_be_dir(&a);
    if (r == 0)
        r = a.dir->tree->ops->rename(a.dir, a.name, b.dir, b.name);
    place_drop(&a);
    place_drop(&b);
    return r;
}

int files_link(struct world *w, int dir, const char *path, int to_dir, const char *to, uint32_t flags) {
    if (neither_is_ours(w, dir, to_dir))
        return BELOW(w, link, dir, path, to_dir, to, flags);
    struct place a, b;
    struct world_stat st;
    int r = resolve_two(w, dir, path, following(path, flags), to_dir, to, &a, &b);
    if (r < 0)
        return r;
    const struct tree_ops *ops = a.dir->tree->ops;
    r = ops->stat(a.dir, a.dots ? NULL : a.name, &st);
    if (r == 0 && a.slash && st.type != WORLD_DIRECTORY)
        r = -ENOTDIR;
    struct world_stat there;
    if (r == 0 && (b.dots || ops->stat(b.dir, b.name, &there) == 0))
        r = -EEXIST;
    if (r == 0 && b.slash)
        r = -ENOENT;
    if (r == 0 && st.type == WORLD_DIRECTORY)
        r = -EPERM;
    if (r == 0)
        r = ops->link(a.dir, a.name, b.dir, b.name);
    place_drop(&a);
    place_drop(&b);
    return r;
}

int files_symlink(struct world *w, const char *target, int dir, const char *path, uint32_t flags) {
    int r;
    struct node *start = start_of(w, dir, &r);
    if (!start)
        return BELOW(w, symlink, target, dir, path, flags);
    struct place p;
    if (r == 0)
        r = resolve(start, path, 0, &p);
    if (r < 0)
        return r;
    if (p.dots)
        r = -EEXIST;
    else if (p.slash) {
        struct world_stat st;
        r = p.dir->tree->ops->stat(p.dir, p.name, &st);
        r = r == 0 ? -EEXIST : r;
    }
    if (r == 0)
        r = target[0] ? p.dir->tree->ops->symlink(target, p.dir, p.name) : -ENOENT;
    place_drop(&p);
    return r;
}
