/* overlay_change.c: two directories seen as one: changes.
 *
 * Every change is so ordered that whoever is killed in the middle of it leaves the state before or after it: a copy is
 * made under a name that nobody sees and then renamed; a whiteout comes before what it is about is removed or moved,
 * for as long as `upper` has the name it says nothing that shows. */
#include "world/files/internal.h"

#define COPYING ".wh..wh.copy"

/* ---- copying up ---- */

/* Makes the directory in `upper`, and those above it. */
static int copy_up_dir(struct node *d) {
    struct files *f = d->tree->files;
    if (d->at >= 0)
        return 0;
    if (d->gone)
        return -ENOENT;
    struct world_stat st;
    int r = copy_up_dir(d->parent);
    if (r == 0)
        r = WITHIN(f, stat, d->lower, &st);
    if (r == 0)
        r = charged_make_dir(d->tree, d->parent->at, d->name, st.mode);
    if (r < 0 && r != -EEXIST)
        return r;
    r = UNDER(f, open, d->parent->at, d->name, WORLD_PATH | WORLD_NOFOLLOW | WORLD_DIRECTORY_ONLY, 0);
    if (r < 0)
        return r;
    d->at = r;
    UNDER(f, set_times_at, d->at, ".", 0, st.atim, st.mtim, WORLD_ATIM | WORLD_MTIM); /* as well as it goes */
    return 0;
}

static int copy_bytes(struct files *f, int from, int to, uint64_t size) {
    enum { CHUNK = 256 << 10 };
    uint8_t *chunk = mem_alloc(CHUNK);
    int64_t r = 0;
    for (uint64_t at = 0; at < size && r >= 0;) {
        struct iovec iov = {chunk, size - at < CHUNK ? size - at : CHUNK};
        r = WITHIN(f, preadv, from, &iov, 1, at);
        if (r <= 0)
            break; /* shorter by now */
        iov.iov_len = (size_t)r;
        while (iov.iov_len > 0) {
            r = UNDER(f, pwritev, to, &iov, 1, at);
            if (r <= 0) {
                r = r == 0 ? -EIO : r;
                break;
            }
            at += (uint64_t)r;
            iov.iov_base = (uint8_t *)iov.iov_base + r;
            iov.iov_len -= (size_t)r;
        }
    }
    mem_free(chunk);
    return r < 0 ? (int)r : 0;
}

/* Makes the copy, under the name nobody sees. */
static int copy_file(struct node *d, const char *name, bool contents, struct world_stat *low) {
    struct files *f = d->tree->files;
    int from = WITHIN(f, open, d->lower, name, WORLD_READ | WORLD_NOFOLLOW, 0);
    if (from < 0)
        return from;
    int to = -1, r = WITHIN(f, stat, from, low);
    if (r == 0 && low->type != WORLD_REGULAR)
        r = -EACCES;
    if (r == 0) {
        UNDER(f, remove, d->at, COPYING, 0, false); /* of one who was killed */
        const uint32_t how = WORLD_WRITE | WORLD_CREATE | WORLD_EXCLUSIVE | WORLD_NOFOLLOW;
        r = to = UNDER(f, open, d->at, COPYING, how, low->mode);
    }
    if (r >= 0)
        r = contents ? copy_bytes(f, from, to, low->size) : 0;
    if (r == 0)
        r = UNDER(f, set_times, to, low->atim, low->mtim, WORLD_ATIM | WORLD_MTIM);
    if (to >= 0)
        UNDER(f, close, to);
    if (to >= 0 && r < 0)
        UNDER(f, remove, d->at, COPYING, 0, false);
    WITHIN(f, close, from);
    return r;
}

static int copy_link(struct node *d, const char *name, const struct world_stat *low) {
    struct files *f = d->tree->files;
    char text[FILES_PATH_MAX];
    int64_t n = WITHIN(f, read_link, d->lower, name, 0, text, sizeof text);
    if (n < 0)
        return (int)n;
    if (n == sizeof text)
        return -ENAMETOOLONG;
    text[n] = '\0';
    UNDER(f, remove, d->at, COPYING, 0, false);
    int r = UNDER(f, symlink, text, d->at, COPYING, 0);
    if (r == 0)
        UNDER(f, set_times_at, d->at, COPYING, WORLD_NOFOLLOW, low->atim, low->mtim, WORLD_ATIM | WORLD_MTIM);
    return r;
}

/* Copies a file or link of `lower` up. Without `contents` the copy is empty. */
static int copy_up(struct node *d, const char *name, const struct seen *s, bool contents) {
    struct files *f = d->tree->files;
    if (s->st.type != WORLD_REGULAR && s->st.type != WORLD_SYMLINK)
        return -EXDEV;
    int r = copy_up_dir(d);
    if (r < 0)
        return r;
    const uint64_t bytes = contents ? s->st.size : 0;
    if (!quota_take(d->tree->quota, bytes, 1))
        return -EDQUOT;
    struct world_stat low = s->st, up;
    r = s->st.type == WORLD_SYMLINK ? copy_link(d, name, &low) : copy_file(d, name, contents, &low);
    if (r == 0)
        r = UNDER(f, rename, d->at, COPYING, d->at, name, 0);
    if (r < 0) {
        quota_give(d->tree->quota, bytes, 1);
        return r;
    }
    if (UNDER(f, stat_at, d->at, name, WORLD_NOFOLLOW, &up) == 0) {
        if (contents && up.size < bytes)
            quota_give(d->tree->quota, bytes - up.size, 0);
        /* Several names of one file are different files from now on. */
        if (low.nlink == 1)
            origins_add(d->tree->origin, &up, &low);
    }
    handle_copied(d, name, d->at);
    return 0;
}

/* ---- whiteouts ---- */

/* Hides what `lower` has. Needs copy_up_dir. */
static int hide(struct node *d, const char *name) {
    char mark[FILES_NAME_MAX + 5];
    size_t n = strlen(name);
    if (n + 4 > FILES_NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(mark, ".wh.", 4);
    memcpy(mark + 4, name, n + 1);
    int fd = UNDER(d->tree->files, open, d->at, mark, WORLD_WRITE | WORLD_CREATE | WORLD_NOFOLLOW, 0644);
    if (fd < 0)
        return fd;
    UNDER(d->tree->files, close, fd);
    return 0;
}

static bool only_marks(void *arg, const struct world_dirent *e) {
    return overlay_is_mark(e->name) ? buf_append(arg, e->name, strlen(e->name) + 1) : true;
}

/* Removes the whiteouts in a directory of `upper`, so that it can be removed. */
static int clear_marks(struct node *d, const char *name) {
    struct files *f = d->tree->files;
    int dir = UNDER(f, open, d->at, name, WORLD_READ | WORLD_NOFOLLOW | WORLD_DIRECTORY_ONLY, 0);
    if (dir < 0)
        return dir;
    struct buf names;
    buf_init(&names, 1 << 30);
    int r = UNDER(f, read_dir, dir, 0, only_marks, &names);
    for (size_t at = 0; r == 0 && at < names.size; at += strlen((char *)names.data + at) + 1)
        r = UNDER(f, remove, dir, (char *)names.data + at, 0, false);
    buf_deinit(&names);
    UNDER(f, close, dir);
    return r;
}

/* The directory `name` is removed or replaced: whoever has it open has one in which nothing can be made any more. */
static void now_gone(struct node *d, const char *name) {
    struct node *n = overlay_in_use(d, name);
    if (!n)
        return;
    for (struct node **at = &d->children; *at; at = &(*at)->next)
        if (*at == n) {
            *at = n->next;
            break;
        }
    n->gone = true;
    if (n->at >= 0 && n->lower >= 0) {
        WITHIN(d->tree->files, close, n->lower);
        n->lower = -1;
    }
}

/* What an upper file was is of no interest once its last name is gone. */
static void forget_origin(struct node *d, const char *name) {
    struct world_stat st;
    if (UNDER(d->tree->files, stat_at, d->at, name, WORLD_NOFOLLOW, &st) == 0 && st.nlink == 1)
        origins_forget(d->tree->origin, st.dev, st.ino);
}

/* ---- the operations ---- */

/* Opens a file that is in `upper`. */
static int open_upper(struct node *d, const char *name, uint32_t flags, uint32_t mode) {
    struct files *f = d->tree->files;
    int fd = charged_open(d->tree, d->at, name, flags, mode);
    struct world_stat st;
    if (fd < 0 || UNDER(f, stat, fd, &st) < 0 || st.type != WORLD_REGULAR)
        return fd;
    struct handle *h;
    handle_add(f, fd, HANDLE_FILE, d, &h);
    h->append = flags & WORLD_APPEND;
    h->dev = st.dev;
    h->ino = st.ino;
    return fd;
}

static int open_lower(struct node *d, const char *name, uint32_t flags) {
    struct files *f = d->tree->files;
    int fd = WITHIN(f, open, d->lower, name, (flags & ~(uint32_t)WORLD_CREATE) | WORLD_NOFOLLOW, 0);
    struct world_stat st;
    if (fd < 0 || WITHIN(f, stat, fd, &st) < 0 || st.type != WORLD_REGULAR)
        return fd;
    int number = handle_of(f, fd) ? UNDER(f, dup, fd) : fd;
    if (number < 0) {
        WITHIN(f, close, fd);
        return number;
    }
    struct handle *h;
    handle_add(f, number, HANDLE_LOWER, d, &h);
    h->real = fd;
    h->name = mem_strdup(name);
    return number;
}

int overlay_open(struct node *d, const char *name, uint32_t flags, uint32_t mode) {
    struct seen s;
    if (flags & WORLD_CREATE && overlay_is_mark(name))
        return -EINVAL;
    int r = overlay_look(d, name, &s);
    if (r == -ENOENT && flags & WORLD_CREATE) {
        r = d->gone ? -ENOENT : copy_up_dir(d);
        return r < 0 ? r : open_upper(d, name, flags, mode);
    }
    if (r < 0)
        return r;
    if ((flags & (WORLD_CREATE | WORLD_EXCLUSIVE)) == (WORLD_CREATE | WORLD_EXCLUSIVE))
        return -EEXIST;
    if (s.st.type == WORLD_DIRECTORY || s.st.type == WORLD_SYMLINK)
        return s.st.type == WORLD_DIRECTORY ? -EISDIR : -ELOOP;
    if (!s.upper && flags & (WORLD_WRITE | WORLD_TRUNCATE)) {
        if (s.st.type != WORLD_REGULAR)
            return -EACCES;
        r = copy_up(d, name, &s, !(flags & WORLD_TRUNCATE));
        s.upper = true;
    }
    if (r < 0)
        return r;
    return s.upper ? open_upper(d, name, flags, mode) : open_lower(d, name, flags);
}

int overlay_set_times(struct node *d, const char *name, uint64_t atim, uint64_t mtim, uint32_t which) {
    struct files *f = d->tree->files;
    struct node *child;
    struct seen s;
    if (!name) {
        int r = copy_up_dir(d);
        return r < 0 ? r : UNDER(f, set_times_at, d->at, ".", 0, atim, mtim, which);
    }
    int r = overlay_look(d, name, &s);
    if (r < 0)
        return r;
    if (s.st.type == WORLD_DIRECTORY) {
        r = overlay_ops.enter(d, name, &child);
        if (r == 0) {
            r = overlay_set_times(child, NULL, atim, mtim, which);
            node_drop(child);
        }
        return r;
    }
    if (!s.upper)
        r = copy_up(d, name, &s, true);
    return r < 0 ? r : UNDER(f, set_times_at, d->at, name, WORLD_NOFOLLOW, atim, mtim, which);
}

/* What has to hold before `name` can be made in `d`. */
static int may_make(struct node *d, const char *name) {
    struct seen s;
    if (overlay_is_mark(name))
        return -EINVAL;
    int r = overlay_look(d, name, &s);
    if (r != -ENOENT)
        return r < 0 ? r : -EEXIST;
    return d->gone ? -ENOENT : copy_up_dir(d);
}

int overlay_make_dir(struct node *d, const char *name, uint32_t mode) {
    int r = may_make(d, name);
    return r < 0 ? r : charged_make_dir(d->tree, d->at, name, mode);
}

int overlay_symlink(const char *target, struct node *d, const char *name) {
    int r = may_make(d, name);
    return r < 0 ? r : charged_symlink(d->tree, target, d->at, name);
}

int overlay_link(struct node *d, const char *name, struct node *to, const char *to_name) {
    struct seen s;
    int r = overlay_look(d, name, &s);
    if (r == 0)
        r = may_make(to, to_name);
    if (r == 0 && !s.upper)
        r = copy_up(d, name, &s, true);
    return r < 0 ? r : charged_link(d->tree, d->at, name, to->at, to_name);
}

int overlay_remove(struct node *d, const char *name, bool directory) {
    struct seen s;
    int r = overlay_look(d, name, &s);
    if (r < 0)
        return r;
    if (directory != (s.st.type == WORLD_DIRECTORY))
        return directory ? -ENOTDIR : -EISDIR;
    if (directory && (r = overlay_is_empty(d, name)) <= 0)
        return r < 0 ? r : -ENOTEMPTY;
    r = s.lower ? copy_up_dir(d) : 0;
    if (r == 0 && s.lower)
        r = hide(d, name);
    if (r == 0 && s.upper) {
        if (!directory)
            forget_origin(d, name);
        else
            r = clear_marks(d, name);
        if (r == 0)
            r = charged_remove(d->tree, d->at, name, directory);
    }
    if (r < 0)
        return r;
    if (directory)
        now_gone(d, name);
    else
        handle_copied(d, name, -1);
    return 0;
}

/* May a file or directory `s` take the place of `t` (NULL: nothing is there)? 1: they are one file, there is nothing to
 * do. */
static int may_replace(struct node *d, const char *name, const struct seen *s, struct node *to, const char *to_name,
                       const struct seen *t) {
    if (s->st.type == WORLD_DIRECTORY) {
        for (struct node *n = to; n; n = n->parent)
            if (n->parent == d && strcmp(n->name, name) == 0)
                return -EINVAL;
        if (t && t->st.type != WORLD_DIRECTORY)
            return -ENOTDIR;
        if (!s->upper || s->merged)
            return -EXDEV;
        int r = t ? overlay_is_empty(to, to_name) : 1;
        return r == 1 ? 0 : r < 0 ? r : -ENOTEMPTY;
    }
    if (t && t->st.type == WORLD_DIRECTORY)
        return -EISDIR;
    return t && s->upper == t->upper && s->st.ino == t->st.ino && s->st.dev == t->st.dev;
}

/* The node of a directory that was moved, if it is in use, moves with it. */
static void moved(struct node *d, const char *name, struct node *to, const char *to_name) {
    struct node *n = overlay_in_use(d, name);
    if (!n)
        return;
    for (struct node **at = &d->children; *at; at = &(*at)->next)
        if (*at == n) {
            *at = n->next;
            break;
        }
    n->next = to->children;
    to->children = n;
    n->parent = node_hold(to);
    node_drop(d);
    mem_free(n->name);
    n->name = mem_strdup(to_name);
}

int overlay_rename(struct node *d, const char *name, struct node *to, const char *to_name) {
    struct seen s, t;
    int r = overlay_look(d, name, &s);
    if (r < 0)
        return r;
    if (overlay_is_mark(to_name))
        return -EINVAL;
    r = overlay_look(to, to_name, &t);
    if (r < 0 && r != -ENOENT)
        return r;
    const bool replaces = r == 0, directory = s.st.type == WORLD_DIRECTORY;
    if (replaces && d == to && !strcmp(name, to_name))
        return 0;
    r = may_replace(d, name, &s, to, to_name, replaces ? &t : NULL);
    if (r != 0)
        return r < 0 ? r : 0;
    r = to->gone ? -ENOENT : copy_up_dir(to);
    if (r == 0 && !s.upper)
        r = copy_up(d, name, &s, true);
    if (r == 0 && s.lower)
        r = hide(d, name);
    if (r == 0 && directory && t.lower)
        r = hide(to, to_name);
    if (r == 0 && replaces && t.upper) {
        if (directory)
            r = clear_marks(to, to_name);
        else
            forget_origin(to, to_name);
    }
    if (r == 0)
        r = charged_rename(d->tree, d->at, name, to->at, to_name);
    if (r < 0)
        return r;
    if (directory) {
        now_gone(to, to_name);
        moved(d, name, to, to_name);
    } else {
        handle_copied(to, to_name, -1);
    }
    return 0;
}
