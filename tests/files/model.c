#include "model.h"

#include "base/must.h"

#include <errno.h>
#include <string.h>

struct inode *model_root;
void (*model_copied)(struct inode *dir, const char *name, struct inode *was, struct inode *now);
static struct inode *all;

static struct inode *inode_new(int type) {
    struct inode *n = mem_zalloc(sizeof *n);
    n->type = (unsigned)type;
    n->all = all;
    all = n;
    return n;
}

void model_new(void) {
    model_root = inode_new(M_DIR);
    model_root->nlink = 1;
}

void model_free(void) {
    while (all) {
        struct inode *next = all->all;
        while (all->entries) {
            struct entry *e = all->entries->next;
            mem_free(all->entries);
            all->entries = e;
        }
        mem_free(all);
        all = next;
    }
}

void model_is_lower(void) {
    for (struct inode *n = all; n; n = n->all)
        n->lower = true, n->lower_nlink = n->nlink;
}

static struct entry *lookup(struct inode *d, const char *name) {
    for (struct entry *e = d->entries; e; e = e->next)
        if (strcmp(e->name, name) == 0)
            return e;
    return NULL;
}

static void enter(struct inode *d, const char *name, struct inode *n) {
    struct entry **at = &d->entries, *e = mem_zalloc(sizeof *e);
    while (*at && strcmp((*at)->name, name) < 0)
        at = &(*at)->next;
    memcpy(e->name, name, strlen(name) + 1);
    e->inode = n;
    e->next = *at;
    *at = e;
    n->nlink++;
    if (n->type == M_DIR)
        n->parent = d;
}

static void leave(struct inode *d, struct entry *gone) {
    for (struct entry **at = &d->entries; *at; at = &(*at)->next)
        if (*at == gone) {
            *at = gone->next;
            break;
        }
    gone->inode->nlink--;
    mem_free(gone);
}

int model_find(struct inode *start, const char *path, int how, struct where *out) {
    char rest[8192];
    struct inode *d = start;
    int links = 0;
    must(strlen(path) < sizeof rest);
    memcpy(rest, path, strlen(path) + 1);
    *out = (struct where){0};
    if (!rest[0])
        return -ENOENT;
    if (rest[0] == '/')
        return -EPERM;
    for (char *at = rest;;) {
        at += strspn(at, "/");
        size_t n = strcspn(at, "/");
        char name[16];
        must(n < sizeof name);
        memcpy(name, at, n);
        name[n] = '\0';
        char *after = at + n;
        const bool last = after[strspn(after, "/")] == '\0', slash = last && *after == '/';
        if (n == 0 || !strcmp(name, ".") || !strcmp(name, "..")) {
            if (n == 2 && d == start)
                return -EPERM;
            d = n == 2 ? d->parent : d;
            if (last) {
                *out = (struct where){.dir = d, .dots = n == 2 ? 2 : 1};
                return 0;
            }
            at = after;
            continue;
        }
        struct entry *e = lookup(d, name);
        if (e && e->inode->type == M_LINK && (!last || (how & FOLLOW && !(how & CREATE && slash)))) {
            if (++links > 40)
                return -ELOOP;
            if (e->inode->text[0] == '/')
                return -EPERM;
            char text[8192];
            size_t t = e->inode->size, left = strlen(after) + 1;
            must(t + left < sizeof text);
            memcpy(text, e->inode->text, t);
            memcpy(text + t, after, left);
            memcpy(rest, text, t + left);
            at = rest;
            continue;
        }
        if (last) {
            *out = (struct where){.dir = d, .entry = e, .slash = slash};
            memcpy(out->name, name, n + 1);
            return 0;
        }
        if (!e)
            return -ENOENT;
        if (e->inode->type != M_DIR)
            return -ENOTDIR;
        d = e->inode;
        at = after;
    }
}

/* A change to what is in `lower` is one to a copy, which this name has alone. */
static void copy_up(struct inode *d, struct entry *e) {
    struct inode *was = e->inode;
    if (!was->lower || was->type == M_DIR)
        return;
    struct inode *now = was;
    if (was->nlink > 1) {
        now = inode_new((int)was->type);
        now->size = was->size;
        memcpy(now->text, was->text, sizeof was->text);
        was->nlink--;
        now->nlink = 1;
        e->inode = now;
    }
    if (was->lower_nlink > 1) /* the only case in which a copy has another number */
        now->seen_ino = 0;
    now->lower = false;
    if (model_copied)
        model_copied(d, e->name, was, now);
}

int model_open(struct inode *start, const char *path, bool write, bool create, bool excl, bool trunc,
               struct inode **out, struct where *at) {
    int r = model_find(start, path, (create && excl ? 0 : FOLLOW) | (create ? CREATE : 0), at);
    if (r)
        return r;
    if (at->dots || (at->entry && at->entry->inode->type == M_DIR)) {
        if (at->slash && create)
            return -EISDIR;
        if (create && excl)
            return -EEXIST;
        if (write || create || trunc)
            return -EISDIR;
        *out = at->dots ? at->dir : at->entry->inode;
        return 0;
    }
    if (at->slash)
        return create ? -EISDIR : at->entry ? -ENOTDIR : -ENOENT;
    if (!at->entry) {
        if (!create || at->dir->gone)
            return -ENOENT;
        *out = inode_new(M_FILE);
        enter(at->dir, at->name, *out);
        at->entry = lookup(at->dir, at->name);
        return 0;
    }
    if (create && excl)
        return -EEXIST;
    if (write || trunc)
        copy_up(at->dir, at->entry);
    *out = at->entry->inode;
    if (trunc)
        (*out)->size = 0;
    return 0;
}

int model_make_dir(struct inode *start, const char *path) {
    struct where at;
    int r = model_find(start, path, 0, &at);
    if (r || at.dots || at.entry)
        return r ? r : -EEXIST;
    if (at.dir->gone)
        return -ENOENT;
    enter(at.dir, at.name, inode_new(M_DIR));
    return 0;
}

int model_remove(struct inode *start, const char *path, bool directory) {
    struct where at;
    int r = model_find(start, path, 0, &at);
    if (r)
        return r;
    if (at.dots)
        return !directory ? -EISDIR : at.dots == 2 ? -ENOTEMPTY : -EINVAL;
    if (!at.entry)
        return -ENOENT;
    struct inode *n = at.entry->inode;
    if (n->type != M_DIR && (at.slash || directory))
        return -ENOTDIR;
    if (n->type == M_DIR && !directory)
        return -EISDIR;
    if (n->type == M_DIR && n->entries)
        return -ENOTEMPTY;
    if (n->type == M_DIR)
        n->gone = true;
    leave(at.dir, at.entry);
    return 0;
}

int model_rename(struct inode *start, const char *path, struct inode *to_start, const char *to) {
    struct where a, b;
    int r = model_find(start, path, 0, &a);
    if (r == 0)
        r = model_find(to_start, to, 0, &b);
    if (r)
        return r;
    if (a.dots || b.dots)
        return -EBUSY;
    if (!a.entry)
        return -ENOENT;
    struct inode *n = a.entry->inode, *over = b.entry ? b.entry->inode : NULL;
    if ((a.slash || b.slash) && n->type != M_DIR)
        return -ENOTDIR;
    if (n == over)
        return 0;
    if (n->type == M_DIR) {
        for (struct inode *d = b.dir; d; d = d->parent)
            if (d == n)
                return -EINVAL;
        if (over && over->type != M_DIR)
            return -ENOTDIR;
        if (n->lower)
            return -EXDEV;
        if (over && over->entries)
            return -ENOTEMPTY;
    } else if (over && over->type == M_DIR) {
        return -EISDIR;
    }
    if (b.dir->gone)
        return -ENOENT;
    copy_up(a.dir, a.entry);
    n = a.entry->inode;
    if (over) {
        over->gone = over->type == M_DIR;
        leave(b.dir, b.entry);
    }
    leave(a.dir, a.entry);
    enter(b.dir, b.name, n);
    return 0;
}

int model_link(struct inode *start, const char *path, struct inode *to_start, const char *to, bool follow) {
    struct where a, b;
    int r = model_find(start, path, follow || path[strlen(path) - 1] == '/', &a);
    if (r == 0)
        r = model_find(to_start, to, 0, &b);
    if (r)
        return r;
    if (!a.dots && !a.entry)
        return -ENOENT;
    const bool is_dir = a.dots || a.entry->inode->type == M_DIR;
    if (a.slash && !is_dir)
        return -ENOTDIR;
    if (b.dots || b.entry)
        return -EEXIST;
    if (b.slash || b.dir->gone)
        return -ENOENT;
    if (is_dir)
        return -EPERM;
    copy_up(a.dir, a.entry);
    enter(b.dir, b.name, a.entry->inode);
    return 0;
}

int model_symlink(const char *target, struct inode *start, const char *path) {
    struct where at;
    int r = model_find(start, path, 0, &at);
    if (r || at.dots || at.entry)
        return r ? r : -EEXIST;
    if (at.slash || at.dir->gone)
        return -ENOENT;
    struct inode *n = inode_new(M_LINK);
    n->size = strlen(target);
    memcpy(n->text, target, n->size + 1);
    enter(at.dir, at.name, n);
    return 0;
}

int model_touch(struct inode *start, const char *path) {
    struct where at;
    int r = model_find(start, path, FOLLOW, &at);
    if (r || at.dots)
        return r;
    if (!at.entry)
        return -ENOENT;
    if (at.slash && at.entry->inode->type != M_DIR)
        return -ENOTDIR;
    copy_up(at.dir, at.entry);
    return 0;
}

int model_pwrite(struct inode *f, const char *text, size_t n, size_t at) {
    must(at + n <= MODEL_TEXT);
    if (at > f->size)
        memset(f->text + f->size, 0, at - f->size);
    memcpy(f->text + at, text, n);
    if (at + n > f->size)
        f->size = at + n;
    return (int)n;
}
