/* A plain model and the real thing do the same thousands of times: results, contents, listings, numbers of files. The
 * real thing is, in turn: the machine's own resolution of paths (so that the model is right), a plain directory with a
 * quota, an overlay, one with a quota, one over an archive. */
#include "model.h"

#include "../world/tree.h"
#include "base/must.h"
#include "base/prng.h"
#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum kind { OS, PLAIN, OVERLAY, OVERLAY_QUOTA, OVERLAY_ARCHIVE };
static enum kind kind;
static struct world *w; /* what is compared */
static int root;
static struct prng prng;
static uint64_t step;
static unsigned long long seed;

enum { HANDLES = 6, DIRS = 3 };
static struct held {
    int fd; /* -1: free */
    struct inode *inode;
    struct inode *dir; /* where it was opened, while that says what it is */
    char name[16];
    bool writes;
} held[HANDLES];
static struct held_dir {
    int fd;
    struct inode *inode;
} dirs[DIRS];

#define ON(name, ...) (w->ops->name(w, ##__VA_ARGS__))

static void copied(struct inode *dir, const char *name, struct inode *was, struct inode *now) {
    for (int i = 0; i < HANDLES; i++)
        if (held[i].fd >= 0 && held[i].inode == was && held[i].dir == dir && !strcmp(held[i].name, name)) {
            held[i].inode = now;
            held[i].dir = NULL;
        }
}

/* ---- random paths ---- */

static const char *const names[] = {"a", "b", "c", "d", "e"};

static const char *a_name(void) {
    uint64_t i = prng_below(&prng, 40);
    return i == 0 ? ".." : i == 1 ? "." : names[prng_below(&prng, 5)];
}

static const char *a_path(void) {
    static char texts[4][64];
    static unsigned which;
    char *out = texts[which++ % 4];
    size_t n = 0;
    for (uint64_t left = 1 + prng_below(&prng, 3); left > 0; left--)
        n += (size_t)snprintf(out + n, 64 - n, "%s%s", n ? "/" : "", a_name());
    if (prng_below(&prng, 30) == 0)
        snprintf(out + n, 64 - n, "/");
    return out;
}

/* ---- comparing ---- */

static void same(const char *what, const char *path, const char *path2, int64_t got, int64_t expected) {
    if (got == expected)
        return;
    fail_msg("kind %d seed %llu step %llu: %s %s %s: %lld (%s), the model says %lld (%s)", kind, seed,
             (unsigned long long)step, what, path, path2, (long long)got, got < 0 ? strerrorname_np((int)-got) : "",
             (long long)expected, expected < 0 ? strerrorname_np((int)-expected) : "");
}

/* Of two paths that are both wrong, either may be what is said. */
static void same_two(const char *what, const char *path, const char *path2, int64_t got, int64_t expected) {
    if (got >= 0 || expected >= 0)
        same(what, path, path2, got, expected);
}

static void same_contents(int fd, const struct inode *n, const char *path) {
    char text[MODEL_TEXT + 1];
    struct iovec iov = {text, sizeof text};
    same("read", path, "", ON(preadv, fd, &iov, 1, 0), (int64_t)n->size);
    if (memcmp(text, n->text, n->size) != 0)
        fail_msg("kind %d seed %llu step %llu: %s: other contents: %.*s, not %.*s", kind, seed,
                 (unsigned long long)step, path, (int)n->size, text, (int)n->size, n->text);
}

/* The same file has the same numbers all the time, different ones have different ones. */
static void same_numbers(struct inode *n, const struct world_stat *st, const char *path) {
    if (n->seen_ino && (n->seen_ino != st->ino || n->seen_dev != st->dev))
        fail_msg("kind %d seed %llu step %llu: %s: another file number than before", kind, seed,
                 (unsigned long long)step, path);
    n->seen_ino = st->ino;
    n->seen_dev = st->dev;
}

static void same_stat(struct inode *n, const struct world_stat *st, const char *path) {
    const enum world_filetype types[] = {WORLD_REGULAR, WORLD_DIRECTORY, WORLD_SYMLINK};
    same("type of", path, "", st->type, types[n->type]);
    if (n->type != M_DIR)
        same("size of", path, "", (int64_t)st->size, (int64_t)n->size);
    same_numbers(n, st, path);
}

struct reading {
    struct entry *at;
    const char *path;
    int dots;
    struct {
        char name[16];
        uint64_t ino;
    } seen[16];
    int n;
};

static int by_name(const void *a, const void *b) {
    return strcmp(a, b);
}

static bool gather(void *arg, const struct world_dirent *e) {
    struct reading *r = arg;
    if (!strcmp(e->name, ".") || !strcmp(e->name, "..")) {
        r->dots++;
        return true;
    }
    must(r->n < 16);
    snprintf(r->seen[r->n].name, sizeof r->seen[0].name, "%s", e->name);
    r->seen[r->n++].ino = e->ino;
    return true;
}

static void same_tree(int fd, struct inode *d, const char *path) {
    struct reading r = {.path = path};
    assert_int_equal(ON(read_dir, fd, 0, gather, &r), 0);
    assert_int_equal(r.dots, d->gone && kind <= PLAIN ? 0 : 2);
    if (r.n > 0)
        qsort(r.seen, (size_t)r.n, sizeof r.seen[0], by_name);
    int i = 0;
    for (struct entry *e = d->entries; e; e = e->next, i++) {
        char below[512];
        snprintf(below, sizeof below, "%s/%s", path, e->name);
        if (i >= r.n || strcmp(r.seen[i].name, e->name) != 0)
            fail_msg("kind %d seed %llu step %llu: %s is not listed", kind, seed, (unsigned long long)step, below);
        struct world_stat st;
        assert_int_equal(ON(stat_at, fd, e->name, WORLD_NOFOLLOW | WORLD_BENEATH, &st), 0);
        same_stat(e->inode, &st, below);
        if (r.seen[i].ino != st.ino)
            fail_msg("kind %d seed %llu step %llu: %s is listed with another number", kind, seed,
                     (unsigned long long)step, below);
        if (e->inode->type == M_LINK)
            continue;
        int child = ON(open, fd, e->name, WORLD_READ | WORLD_BENEATH, 0);
        assert_true(child >= 0);
        if (e->inode->type == M_DIR)
            same_tree(child, e->inode, below);
        else
            same_contents(child, e->inode, below);
        ON(close, child);
    }
    if (i != r.n)
        fail_msg("kind %d seed %llu step %llu: %s/%s is listed", kind, seed, (unsigned long long)step, path,
                 r.seen[i].name);
}

/* ---- what a quota should say ---- */

static uint64_t real_bytes, real_count;
static ino_t twins[4096];
static size_t ntwins;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)type;
    if (ftw->level == 0 || strncmp(path + ftw->base, ".wh.", 4) == 0)
        return 0;
    real_count++;
    if (S_ISDIR(st->st_mode))
        return 0;
    for (size_t i = 0; i < ntwins; i++)
        if (twins[i] == st->st_ino)
            return 0;
    must(ntwins < 4096);
    twins[ntwins++] = st->st_ino;
    real_bytes += (uint64_t)st->st_size;
    return 0;
}

static void same_quota(void) {
    uint64_t bytes, count;
    if (kind == OS || !files_quota_used(files, root, &bytes, &count))
        return;
    real_bytes = real_count = ntwins = 0;
    nftw(box_path(kind == PLAIN ? "t" : "up"), count_one, 32, FTW_PHYS);
    for (int i = 0; i < HANDLES; i++) { /* files without a name that are open */
        struct world_stat st;
        bool counted = held[i].fd < 0 || ON(stat, held[i].fd, &st) != 0 || st.nlink > 0;
        for (int j = 0; j < i; j++)
            counted |= held[j].fd >= 0 && held[j].inode == held[i].inode;
        real_bytes += counted ? 0 : st.size;
    }
    if (bytes != real_bytes || count != real_count)
        fail_msg("kind %d seed %llu step %llu: the quota counts %llu bytes, %llu entries; there are %llu, %llu", kind,
                 seed, (unsigned long long)step, (unsigned long long)bytes, (unsigned long long)count,
                 (unsigned long long)real_bytes, (unsigned long long)real_count);
}

/* ---- one step ---- */

static void start_from(int *fd, struct inode **n) {
    struct held_dir *d = &dirs[prng_below(&prng, DIRS)];
    const bool use = d->fd >= 0 && prng_below(&prng, 4) == 0;
    *fd = use ? d->fd : root;
    *n = use ? d->inode : model_root;
}

static void a_text(char *out, size_t size) {
    size_t n = prng_below(&prng, size);
    for (size_t i = 0; i < n; i++)
        out[i] = (char)('a' + prng_below(&prng, 26));
    out[n] = '\0';
}

static void open_and_use(int fd, struct inode *n) {
    const char *path = a_path();
    const uint64_t bits = prng_next(&prng);
    const bool write = bits & 1, create = bits & 2, excl = create && (bits & 12) == 0, trunc = write && bits & 16;
    uint32_t flags = WORLD_BENEATH | WORLD_READ | (write ? WORLD_WRITE : 0) | (create ? WORLD_CREATE : 0) |
                     (excl ? WORLD_EXCLUSIVE : 0) | (trunc ? WORLD_TRUNCATE : 0);
    struct inode *file;
    struct where at;
    int expected = model_open(n, path, write, create, excl, trunc, &file, &at), r = ON(open, fd, path, flags, 0644);
    same("open", path, "", r < 0 ? r : 0, expected);
    if (r < 0)
        return;
    struct world_stat st;
    assert_int_equal(ON(stat, r, &st), 0);
    same_stat(file, &st, path);
    if (file->type == M_DIR) {
        struct held_dir *d = &dirs[prng_below(&prng, DIRS)];
        if (d->fd >= 0)
            ON(close, d->fd);
        *d = (struct held_dir){r, file};
        return;
    }
    same_contents(r, file, path);
    struct held *h = &held[prng_below(&prng, HANDLES)];
    if (h->fd >= 0)
        ON(close, h->fd);
    *h = (struct held){.fd = r, .inode = file, .dir = file->lower ? at.dir : NULL, .writes = write};
    memcpy(h->name, at.name, sizeof h->name);
}

static void use_held(void) {
    struct held *h = &held[prng_below(&prng, HANDLES)];
    char text[64];
    if (h->fd < 0)
        return;
    same_contents(h->fd, h->inode, "what is open");
    if (h->writes && prng_below(&prng, 2)) {
        a_text(text, sizeof text);
        uint64_t at = prng_below(&prng, 200);
        struct iovec iov = {text, strlen(text)};
        same("write", "", "", ON(pwritev, h->fd, &iov, 1, at),
             iov.iov_len ? model_pwrite(h->inode, text, iov.iov_len, at) : 0);
    } else if (h->writes) {
        uint64_t size = prng_below(&prng, 200);
        assert_int_equal(ON(set_size, h->fd, size), 0);
        if (size > h->inode->size)
            memset(h->inode->text + h->inode->size, 0, size - h->inode->size);
        h->inode->size = size;
    }
    if (prng_below(&prng, 3) == 0) {
        ON(close, h->fd);
        h->fd = -1;
    }
}

static void look_at(int fd, struct inode *n) {
    const char *path = a_path();
    struct where at;
    struct world_stat st;
    char text[256];
    const bool follow = prng_below(&prng, 2);
    int expected = model_find(n, path, follow || path[strlen(path) - 1] == '/', &at);
    int r = ON(stat_at, fd, path, WORLD_BENEATH | (follow ? 0 : WORLD_NOFOLLOW), &st);
    if (expected == 0 && !at.dots)
        expected = !at.entry ? -ENOENT : at.slash && at.entry->inode->type != M_DIR ? -ENOTDIR : 0;
    same("stat", path, "", r, expected);
    if (r == 0)
        same_stat(at.dots ? at.dir : at.entry->inode, &st, path);
    expected = model_find(n, path, path[strlen(path) - 1] == '/', &at);
    int64_t says = ON(read_link, fd, path, WORLD_BENEATH, text, sizeof text);
    if (expected == 0) {
        const struct inode *is = at.dots ? at.dir : at.entry ? at.entry->inode : NULL;
        expected = !is                             ? -ENOENT
                   : at.slash && is->type != M_DIR ? -ENOTDIR
                   : is->type != M_LINK            ? -EINVAL
                                                   : (int)is->size;
    }
    same("read_link", path, "", says, expected);
}

static void one_step(void) {
    int fd, to_fd;
    struct inode *n, *to_n;
    start_from(&fd, &n);
    start_from(&to_fd, &to_n);
    const char *path = a_path(), *to = a_path();
    const bool follow = prng_below(&prng, 2);
    switch (prng_below(&prng, 12)) {
    case 0:
    case 1:
    case 2: open_and_use(fd, n); break;
    case 3:
    case 4: use_held(); break;
    case 5: same("make_dir", path, "", ON(make_dir, fd, path, WORLD_BENEATH, 0755), model_make_dir(n, path)); break;
    case 6: same("remove", path, "", ON(remove, fd, path, WORLD_BENEATH, false), model_remove(n, path, false)); break;
    case 7: same("rmdir", path, "", ON(remove, fd, path, WORLD_BENEATH, true), model_remove(n, path, true)); break;
    case 8:
        same_two("rename", path, to, ON(rename, fd, path, to_fd, to, WORLD_BENEATH), model_rename(n, path, to_n, to));
        break;
    case 9:
        same_two("link", path, to, ON(link, fd, path, to_fd, to, WORLD_BENEATH | (follow ? 0 : WORLD_NOFOLLOW)),
                 model_link(n, path, to_n, to, follow));
        break;
    case 10: same("symlink", path, to, ON(symlink, to, fd, path, WORLD_BENEATH), model_symlink(to, n, path)); break;
    default:
        look_at(fd, n);
        if (prng_below(&prng, 4) == 0)
            same("set_times", path, "", ON(set_times_at, fd, path, WORLD_BENEATH, 0, 0, WORLD_MTIM_NOW),
                 model_touch(n, path));
    }
}

/* ---- all of it ---- */

/* Makes what the lower directory holds, by the model and by the machine alike. */
static void make_lower(int fd) {
    kind = OS;
    w = os;
    root = fd;
    for (step = 0; step < 150; step++)
        one_step();
}

static void close_all(void) {
    for (int i = 0; i < HANDLES; i++) {
        if (held[i].fd >= 0)
            ON(close, held[i].fd);
        held[i].fd = -1;
    }
    for (int i = 0; i < DIRS; i++) {
        if (dirs[i].fd >= 0)
            ON(close, dirs[i].fd);
        dirs[i].fd = -1;
    }
}

static void forget_numbers(struct inode *d) {
    d->seen_ino = 0;
    for (struct entry *e = d->entries; e; e = e->next)
        e->inode->type == M_DIR ? forget_numbers(e->inode) : (void)(e->inode->seen_ino = 0);
}

static uint64_t lower_sum;

static int sum_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)type, (void)ftw;
    for (const char *p = path; *p; p++)
        lower_sum = lower_sum * 31 + (uint8_t)*p;
    lower_sum = lower_sum * 31 + st->st_ino + (uint64_t)st->st_mtim.tv_nsec + (uint64_t)st->st_size + st->st_nlink;
    return 0;
}

static uint64_t sum_of_lower(void) {
    lower_sum = 0;
    nftw(box_path("t"), sum_one, 32, FTW_PHYS | FTW_MOUNT);
    return lower_sum;
}

static void run(enum kind k, uint64_t with_seed) {
    enum { STEPS = 4000 };
    box_new();
    model_new();
    model_copied = copied;
    prng.state = seed = with_seed;
    for (int i = 0; i < HANDLES; i++)
        held[i].fd = -1;
    for (int i = 0; i < DIRS; i++)
        dirs[i].fd = -1;
    tree_dir("t");
    int lower = openat(tree_fd(), "t", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    make_lower(lower);
    close_all();
    const uint64_t before = sum_of_lower();
    if (k >= OVERLAY)
        model_is_lower();
    kind = k;
    w = k == OS ? os : files;
    const char *under = k == OVERLAY_ARCHIVE ? "t.tar" : "t";
    const uint64_t bound = k == OVERLAY_QUOTA ? 1 << 30 : 0;
    if (k == OVERLAY_ARCHIVE) {
        char command[1024];
        snprintf(command, sizeof command, "tar -cf %s -C %s .", box_path("t.tar"), box_path("t"));
        must(system(command) == 0);
        forget_numbers(model_root);
    }
    root = k == OS ? lower : k == PLAIN ? box_dir("t", 1 << 30, 1 << 30) : box_overlay(under, "up", bound, bound);
    for (step = 0; step < STEPS; step++) {
        one_step();
        if (step % 50 == 0) {
            same_tree(root, model_root, ".");
            same_quota();
        }
        if (step % 1000 == 999 && k >= OVERLAY) { /* the next run sees the same */
            close_all();
            ON(close, root);
            forget_numbers(model_root);
            root = box_overlay(under, "up", bound, bound);
            same_tree(root, model_root, ".");
        }
    }
    close_all();
    same_tree(root, model_root, ".");
    same_quota();
    if (k >= OVERLAY)
        assert_int_equal(sum_of_lower(), before);
    if (k != OS)
        ON(close, root);
    close(lower);
    model_free();
    box_free();
}

static void machine(void **state) {
    (void)state;
    for (uint64_t i = 1; i <= 6; i++)
        run(OS, i);
}

static void plain(void **state) {
    (void)state;
    for (uint64_t i = 1; i <= 6; i++)
        run(PLAIN, i);
}

static void overlay(void **state) {
    (void)state;
    const char *most = getenv("AEON_MODEL_SEEDS"); /* for longer runs by hand */
    for (uint64_t i = 1; i <= (most ? strtoull(most, NULL, 10) : 12); i++)
        run(OVERLAY + (enum kind)(i % 3), i);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machine),
        cmocka_unit_test(plain),
        cmocka_unit_test(overlay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
