/* quota.c: how much may be in a directory, and how much is.
 *
 * What an entry costs is one of `count`, and the bytes of a file or of a link's text; bytes belong to the file and not
 * to its names. Growth is taken before it happens and what was not needed given back afterwards, so that a call that
 * fails costs nothing; what goes is given back after it went. A file without a name lives on while it is open, and its
 * bytes are given back when its last handle is closed. */
#include "world/files/internal.h"

#include <stdio.h>

struct quota {
    struct files_quota bounds;
    uint64_t bytes, count; /* used; may be beyond the bounds from the start */
    char *label;
    bool told;
};

struct quota *quota_new(const struct files_quota *bounds, const char *label) {
    if (!bounds || (bounds->size_bytes == 0 && bounds->count == 0))
        return NULL;
    struct quota *q = mem_zalloc(sizeof *q);
    q->bounds = *bounds;
    q->label = mem_strdup(label);
    return q;
}

void quota_free(struct quota *q) {
    if (q)
        mem_free(q->label);
    mem_free(q);
}

static uint64_t left(uint64_t bound, uint64_t used) {
    return bound == 0 ? UINT64_MAX : used < bound ? bound - used : 0;
}

static void tell(struct quota *q, bool of_size) {
    if (q->told)
        return;
    q->told = true;
    if (!q->bounds.met)
        return;
    struct buf b;
    buf_init(&b, 8192);
    if (of_size)
        buf_print(&b, "files in %s: no more than %llu bytes may be in it, and %llu are", q->label,
                  (unsigned long long)q->bounds.size_bytes, (unsigned long long)q->bytes);
    else
        buf_print(&b, "files in %s: no more than %llu entries may be in it, and %llu are", q->label,
                  (unsigned long long)q->bounds.count, (unsigned long long)q->count);
    q->bounds.met(q->bounds.ctx, buf_cstr(&b));
    buf_deinit(&b);
}

bool quota_take(struct quota *q, uint64_t bytes, uint64_t entries) {
    if (!q)
        return true;
    const bool small_enough = bytes <= left(q->bounds.size_bytes, q->bytes);
    if (!small_enough || entries > left(q->bounds.count, q->count)) {
        tell(q, !small_enough);
        return false;
    }
    q->bytes += bytes;
    q->count += entries;
    return true;
}

uint64_t quota_take_some(struct quota *q, uint64_t bytes) {
    if (!q)
        return bytes;
    uint64_t some = left(q->bounds.size_bytes, q->bytes);
    if (some > bytes)
        some = bytes;
    q->bytes += some;
    if (some < bytes)
        tell(q, true);
    return some;
}

void quota_give(struct quota *q, uint64_t bytes, uint64_t entries) {
    if (!q)
        return;
    /* Others may have removed what we never counted, but not the other way round. */
    q->bytes -= bytes < q->bytes ? bytes : q->bytes;
    q->count -= entries < q->count ? entries : q->count;
}

void quota_used(const struct quota *q, uint64_t *bytes, uint64_t *count) {
    *bytes = q->bytes;
    *count = q->count;
}

static uint64_t bytes_of(const struct world_stat *st) {
    return st->type == WORLD_REGULAR || st->type == WORLD_SYMLINK ? st->size : 0;
}

/* ---- what is there already ---- */

enum { SCAN_DEPTH_MAX = 256 };

struct scan {
    struct tree *tree;
    bool marks;
    struct twin { /* files of several names, counted already */
        uint64_t dev, ino;
        struct twin *next;
    } *twins[1024];
};

static bool seen_before(struct scan *s, const struct world_stat *st) {
    if (st->nlink < 2 || st->type == WORLD_DIRECTORY)
        return false;
    struct twin **bucket = &s->twins[st->ino % 1024];
    for (struct twin *t = *bucket; t; t = t->next)
        if (t->ino == st->ino && t->dev == st->dev)
            return true;
    struct twin *t = mem_alloc(sizeof *t);
    *t = (struct twin){st->dev, st->ino, *bucket};
    *bucket = t;
    return false;
}

struct names {
    struct buf text; /* NUL-terminated, one after the other */
    bool marks;
};

static bool collect(void *arg, const struct world_dirent *e) {
    struct names *n = arg;
    if (!strcmp(e->name, ".") || !strcmp(e->name, "..") || (n->marks && overlay_is_mark(e->name)))
        return true;
    return buf_append(&n->text, e->name, strlen(e->name) + 1);
}

static int scan_dir(struct scan *s, int dir, int depth);

static int scan_one(struct scan *s, int dir, const char *name, const struct world_stat *st, int depth) {
    s->tree->quota->count++;
    if (!seen_before(s, st))
        s->tree->quota->bytes += bytes_of(st);
    if (st->type != WORLD_DIRECTORY)
        return 0;
    const uint32_t how = WORLD_READ | WORLD_DIRECTORY_ONLY | WORLD_NOFOLLOW;
    int child = UNDER(s->tree->files, open, dir, name, how, 0);
    if (child >= 0)
        return scan_dir(s, child, depth + 1);
    return child == -ENOENT || child == -ENOTDIR ? 0 : child; /* something else by now */
}

/* `dir` is one to be read, and closed. */
static int scan_dir(struct scan *s, int dir, int depth) {
    struct files *f = s->tree->files;
    struct names names = {.marks = s->marks};
    buf_init(&names.text, 256 << 20);
    int r = depth < SCAN_DEPTH_MAX ? UNDER(f, read_dir, dir, 0, collect, &names) : -ENAMETOOLONG;
    if (r == 0 && names.text.failed)
        r = -ENOMEM;
    for (size_t at = 0; r == 0 && at < names.text.size;) {
        const char *name = (const char *)names.text.data + at;
        at += strlen(name) + 1;
        struct world_stat st;
        r = UNDER(f, stat_at, dir, name, WORLD_NOFOLLOW, &st);
        if (r == -ENOENT)
            r = 0; /* gone by now */
        else if (r == 0)
            r = scan_one(s, dir, name, &st, depth);
    }
    buf_deinit(&names.text);
    UNDER(f, close, dir);
    return r;
}

enum status quota_scan(struct tree *t, int dir, bool marks, const char *path, struct err *e) {
    if (!t->quota)
        return ST_OK;
    struct scan s = {.tree = t, .marks = marks};
    int r = UNDER(t->files, open, dir, ".", WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
    if (r >= 0)
        r = scan_dir(&s, r, 0);
    for (size_t i = 0; i < sizeof s.twins / sizeof *s.twins; i++)
        while (s.twins[i]) {
            struct twin *next = s.twins[i]->next;
            mem_free(s.twins[i]);
            s.twins[i] = next;
        }
    if (r == 0)
        return ST_OK;
    if (r == -ENAMETOOLONG)
        return err_set(e, ST_LIMIT, "%s: cannot count what is in it: more than %d directories in each other", path,
                       SCAN_DEPTH_MAX);
    return err_set(e, r == -EACCES ? ST_DENIED : ST_IO, "%s: cannot count what is in it: %s", path, strerror(-r));
}

/* ---- names ---- */

static bool look(struct tree *t, int dir, const char *name, struct world_stat *st) {
    return UNDER(t->files, stat_at, dir, name, WORLD_NOFOLLOW, st) == 0;
}

/* An entry went that was `st` before. */
static void entry_gone(struct tree *t, const struct world_stat *st) {
    const bool last = st->type == WORLD_SYMLINK || st->type == WORLD_REGULAR
                          ? st->nlink <= 1 && !handle_is_open(t->files, st->dev, st->ino)
                          : false;
    quota_give(t->quota, last ? bytes_of(st) : 0, 1);
}

/* Opens what is there: creates nothing. */
static int open_there(struct tree *t, int dir, const char *name, uint32_t flags, uint32_t mode) {
    struct world_stat st = {0};
    const bool truncates = t->quota && flags & WORLD_TRUNCATE && look(t, dir, name, &st) && st.type == WORLD_REGULAR;
    int fd = UNDER(t->files, open, dir, name, (flags & ~(uint32_t)WORLD_CREATE) | WORLD_NOFOLLOW, mode);
    if (fd >= 0 && truncates)
        quota_give(t->quota, st.size, 0);
    return fd;
}

int charged_open(struct tree *t, int dir, const char *name, uint32_t flags, uint32_t mode) {
    if (!t->quota)
        return UNDER(t->files, open, dir, name, flags | WORLD_NOFOLLOW, mode);
    if (!(flags & WORLD_CREATE))
        return open_there(t, dir, name, flags, mode);
    if (!(flags & WORLD_EXCLUSIVE)) {
        int fd = open_there(t, dir, name, flags, mode);
        if (fd != -ENOENT)
            return fd;
    }
    if (!quota_take(t->quota, 0, 1)) {
        struct world_stat st;
        return look(t, dir, name, &st) ? -EEXIST : -EDQUOT;
    }
    int fd = UNDER(t->files, open, dir, name, flags | WORLD_EXCLUSIVE | WORLD_NOFOLLOW, mode);
    if (fd < 0)
        quota_give(t->quota, 0, 1);
    return fd;
}

int charged_make_dir(struct tree *t, int dir, const char *name, uint32_t mode) {
    struct world_stat st;
    if (!quota_take(t->quota, 0, 1))
        return look(t, dir, name, &st) ? -EEXIST : -EDQUOT;
    int r = UNDER(t->files, make_dir, dir, name, 0, mode);
    if (r < 0)
        quota_give(t->quota, 0, 1);
    return r;
}

int charged_remove(struct tree *t, int dir, const char *name, bool directory) {
    struct world_stat st;
    const bool known = t->quota && look(t, dir, name, &st);
    int r = UNDER(t->files, remove, dir, name, 0, directory);
    if (r == 0 && known)
        entry_gone(t, &st);
    return r;
}

int charged_rename(struct tree *t, int dir, const char *name, int to, const char *to_name) {
    struct world_stat from, over;
    const bool replaces = t->quota && look(t, to, to_name, &over) && look(t, dir, name, &from) &&
                          !(from.ino == over.ino && from.dev == over.dev);
    int r = UNDER(t->files, rename, dir, name, to, to_name, 0);
    if (r == 0 && replaces)
        entry_gone(t, &over);
    return r;
}

int charged_link(struct tree *t, int dir, const char *name, int to, const char *to_name) {
    if (!quota_take(t->quota, 0, 1))
        return -EDQUOT;
    int r = UNDER(t->files, link, dir, name, to, to_name, WORLD_NOFOLLOW);
    if (r < 0)
        quota_give(t->quota, 0, 1);
    return r;
}

int charged_symlink(struct tree *t, const char *target, int dir, const char *name) {
    const uint64_t bytes = strlen(target);
    struct world_stat st;
    if (!quota_take(t->quota, bytes, 1))
        return look(t, dir, name, &st) ? -EEXIST : -EDQUOT;
    int r = UNDER(t->files, symlink, target, dir, name, 0);
    if (r < 0)
        quota_give(t->quota, bytes, 1);
    return r;
}

/* ---- open files ---- */

uint64_t pieces_size(const struct iovec *iov, int n) {
    uint64_t size = 0;
    for (int i = 0; i < n; i++)
        size += iov[i].iov_len;
    return size;
}

struct iovec *pieces_cut(const struct iovec *iov, int n, uint64_t max, int *out_n) {
    struct iovec *out = mem_alloc((size_t)(n ? n : 1) * sizeof *out);
    int k = 0;
    for (; k < n && max > 0; k++) {
        out[k] = iov[k];
        if (out[k].iov_len > max)
            out[k].iov_len = max;
        max -= out[k].iov_len;
    }
    *out_n = k;
    return out;
}

static int64_t write_below(struct files *f, struct handle *h, const struct iovec *iov, int n, uint64_t offset) {
    return offset == UINT64_MAX ? UNDER(f, writev, h->real, iov, n) : UNDER(f, pwritev, h->real, iov, n, offset);
}

int64_t charged_write(struct tree *t, struct handle *h, const struct iovec *iov, int n, uint64_t offset) {
    struct files *f = t->files;
    struct world_stat st;
    const uint64_t want = pieces_size(iov, n);
    if (!t->quota || want == 0)
        return write_below(f, h, iov, n, offset);
    int64_t r = UNDER(f, stat, h->real, &st);
    if (r < 0)
        return r;
    int64_t at = h->append ? (int64_t)st.size : offset != UINT64_MAX ? (int64_t)offset : UNDER(f, seek, h->real, 0, 1);
    if (at < 0 || want > (uint64_t)(INT64_MAX - at))
        return at < 0 && offset == UINT64_MAX ? at : at < 0 ? -EINVAL : -EFBIG;
    const uint64_t start = (uint64_t)at, end = start + want;
    const uint64_t grows = end > st.size ? end - st.size : 0, taken = quota_take_some(t->quota, grows);
    if (taken < grows && st.size + taken <= start) {
        quota_give(t->quota, taken, 0);
        return -EDQUOT;
    }
    int cut_n;
    struct iovec *cut = taken < grows ? pieces_cut(iov, n, st.size + taken - start, &cut_n) : NULL;
    r = write_below(f, h, cut ? cut : iov, cut ? cut_n : n, offset);
    mem_free(cut);
    const uint64_t written_to = r > 0 ? start + (uint64_t)r : 0;
    const uint64_t grew = written_to > st.size ? written_to - st.size : 0;
    quota_give(t->quota, taken - grew, 0);
    return r;
}

int charged_set_size(struct tree *t, struct handle *h, uint64_t size) {
    struct world_stat st = {0};
    int r = t->quota ? UNDER(t->files, stat, h->real, &st) : 0;
    if (r < 0)
        return r;
    const uint64_t grows = size > st.size ? size - st.size : 0;
    if (t->quota && size <= INT64_MAX && !quota_take(t->quota, grows, 0))
        return -EDQUOT;
    r = UNDER(t->files, set_size, h->real, size);
    if (r == 0)
        quota_give(t->quota, size < st.size ? st.size - size : 0, 0);
    else
        quota_give(t->quota, size <= INT64_MAX ? grows : 0, 0);
    return r;
}

int charged_allocate(struct tree *t, struct handle *h, uint64_t offset, uint64_t size) {
    struct world_stat st = {0};
    if (!t->quota || offset > INT64_MAX || size > INT64_MAX - offset)
        return UNDER(t->files, allocate, h->real, offset, size);
    int r = UNDER(t->files, stat, h->real, &st);
    if (r < 0)
        return r;
    const uint64_t grows = offset + size > st.size ? offset + size - st.size : 0;
    if (!quota_take(t->quota, grows, 0))
        return -EDQUOT;
    r = UNDER(t->files, allocate, h->real, offset, size);
    struct world_stat after;
    if (r < 0 && UNDER(t->files, stat, h->real, &after) == 0)
        quota_give(t->quota, grows - (after.size > st.size ? after.size - st.size : 0),
                   0); /* it may have got some way */
    return r;
}

void charged_close(struct tree *t, struct handle *h) {
    struct world_stat st;
    if (!t->quota || h->kind != HANDLE_FILE || UNDER(t->files, stat, h->real, &st) < 0)
        return;
    if (st.nlink == 0 && !handle_is_open(t->files, st.dev, st.ino))
        quota_give(t->quota, bytes_of(&st), 0);
}
