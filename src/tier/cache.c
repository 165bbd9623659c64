#include "tier/cache.h"

#include "base/must.h"
#include "tier/disk.h"
#include "wasm/native.h"
#include "wasm/object.h"
#include "wasm/wasm.h"
#include "world/os/code.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BAD_COUNTS_NS  (24 * 3600 * 1000000000ull)
#define TMP_LIVES_NS   (3600 * 1000000000ull)
#define USED_COARSE_NS (60 * 1000000000ull) /* the time of the last use is written no more often */

enum { ABOUT_MAX = 1 << 14, KEY_TEXT = 33 };

struct cache_entry {
    struct world *world;
    int root, dir; /* dir -1: not made yet */
    char key[KEY_TEXT];
    struct buf about;
};

static enum status failed(struct err *e, int rc, const char *what, const char *root, const char *name) {
    if (rc == -EPERM)
        return err_set(e, ST_DENIED,
                       "%s%s%s is not this user's alone: compiled code is neither taken from there nor kept there",
                       root, *name ? "/" : "", name);
    enum status s = rc == -ENOSPC || rc == -EDQUOT ? ST_NO_SPACE : rc == -EACCES ? ST_DENIED : ST_IO;
    return err_set(e, s, "cannot %s %s%s%s: %s", what, root, *name ? "/" : "", name, strerror(-rc));
}

/* ---- one entry --------------------------------------------------------------------------------------------------- */

static void make_key(struct cache_entry *c, const struct cache_key *key, const char *module_name, uint32_t nfuncs) {
    char module[SHA256_HEX], hex[SHA256_HEX];
    struct sha256 hash;
    sha256_hex(&key->module, module);
    buf_print(&c->about,
              "module %s\nllvm %s\ntarget %s\nbuild %s\naeon %s\nsemantics %d\nabi %d\nobject %d\ncount %d\n", module,
              key->version, key->target, key->build, AEON_VERSION, WASM_SEMANTICS_VERSION, NATIVE_ABI_VERSION,
              OBJECT_VERSION, key->count);
    sha256_of(buf_span(&c->about), &hash);
    sha256_hex(&hash, hex);
    snprintf(c->key, sizeof c->key, "%.32s", hex);
    /* not of the key */
    buf_print(&c->about, "functions %u\nname ", nfuncs);
    for (const char *p = module_name; *p; p++)
        buf_byte(&c->about, (uint8_t)(*p == '\n' ? '?' : *p));
    buf_byte(&c->about, '\n');
}

enum status cache_open(struct world *w, const char *root, const struct cache_key *key, const char *module_name,
                       uint32_t nfuncs, struct cache_entry **out, struct err *e) {
    int fd = disk_open_dir(w, WORLD_CWD, root, true);
    if (fd == -ENOENT) {
        disk_make_parents(w, root);
        fd = disk_open_dir(w, WORLD_CWD, root, true);
    }
    if (fd < 0)
        return failed(e, fd, "open", root, "");
    struct cache_entry *c = mem_zalloc(sizeof *c);
    c->world = w;
    c->root = fd;
    buf_init(&c->about, ABOUT_MAX);
    make_key(c, key, module_name, nfuncs);
    c->dir = disk_open_dir(w, fd, c->key, false);
    if (c->dir < 0 && c->dir != -ENOENT) {
        enum status s = failed(e, c->dir, "open", root, c->key);
        cache_close(c);
        return s;
    }
    *out = c;
    return ST_OK;
}

void cache_close(struct cache_entry *c) {
    if (!c)
        return;
    if (c->dir >= 0)
        c->world->ops->close(c->world, c->dir);
    c->world->ops->close(c->world, c->root);
    buf_deinit(&c->about);
    mem_free(c);
}

/* Does the file's content not count any more? */
static bool is_older(struct cache_entry *c, const char *name, uint64_t ns) {
    struct world_stat st;
    if (c->world->ops->stat_at(c->world, c->dir, name, WORLD_NOFOLLOW, &st) < 0)
        return false;
    uint64_t now = world_now(c->world, WORLD_REALTIME);
    return st.mtim < now && now - st.mtim > ns;
}

static void note_use(struct cache_entry *c) {
    if (is_older(c, "about", USED_COARSE_NS))
        c->world->ops->set_times_at(c->world, c->dir, "about", WORLD_NOFOLLOW, 0, 0, WORLD_MTIM_NOW);
}

static void drop(struct cache_entry *c, const char *name) {
    (void)c->world->ops->remove(c->world, c->dir, name, 0, false);
}

/* False: it was damaged. */
static bool load_object(struct cache_entry *c, const struct cache_reader *r, const char *name) {
    struct span code;
    int rc = code_map(c->world, c->dir, name, &code);
    if (rc < 0 && rc != -ENODATA)
        return true; /* not ours, or gone meanwhile */
    if (rc == 0 && r->object(r->ctx, code) != ST_CORRUPT)
        return true;
    drop(c, name);
    return false;
}

static void load_bad(struct cache_entry *c, const struct cache_reader *r, const char *name) {
    char *end;
    unsigned long func = strtoul(name, &end, 10);
    if (end == name || strcmp(end, ".bad") != 0 || func > UINT32_MAX)
        return;
    if (is_older(c, name, BAD_COUNTS_NS))
        drop(c, name);
    else
        r->bad(r->ctx, (uint32_t)func);
}

uint32_t cache_load(struct cache_entry *c, const struct cache_reader *r) {
    struct disk_names names;
    uint32_t dropped = 0;
    if (c->dir < 0 || disk_list(c->world, c->dir, &names) < 0)
        return 0;
    for (uint32_t i = 0; i < names.n; i++) {
        if (name_ends(names.name[i], ".o"))
            dropped += !load_object(c, r, names.name[i]);
        else if (name_ends(names.name[i], ".bad"))
            load_bad(c, r, names.name[i]);
    }
    disk_names_free(&names);
    note_use(c);
    return dropped;
}

/* Somebody may have removed it since. */
static int make(struct cache_entry *c, bool again) {
    struct world *w = c->world;
    if (c->dir >= 0 && !again)
        return 0;
    if (c->dir >= 0)
        w->ops->close(w, c->dir);
    c->dir = disk_open_dir(w, c->root, c->key, true);
    if (c->dir < 0)
        return c->dir;
    return disk_write(w, c->dir, "about", buf_span(&c->about));
}

static int put(struct cache_entry *c, const char *name, struct span bytes) {
    int rc = make(c, false);
    if (rc == 0)
        rc = disk_write(c->world, c->dir, name, bytes);
    if (rc == -ENOENT) {
        rc = make(c, true);
        if (rc == 0)
            rc = disk_write(c->world, c->dir, name, bytes);
    }
    return rc;
}

enum status cache_put(struct cache_entry *c, struct span object, struct span *code, struct err *e) {
    char random[17], name[32];
    int rc = disk_random(c->world, random);
    snprintf(name, sizeof name, "%s.o", rc < 0 ? "" : random);
    if (rc == 0)
        rc = put(c, name, object);
    if (rc == 0)
        rc = code_map(c->world, c->dir, name, code);
    return rc < 0 ? failed(e, rc, "keep compiled code in", c->key, name) : ST_OK;
}

void cache_put_bad(struct cache_entry *c, uint32_t func, const char *why) {
    char name[32];
    snprintf(name, sizeof name, "%u.bad", func);
    int rc = put(c, name, SPAN_STR(why));
    (void)rc; /* then it is tried again, no harm done */
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

struct all {
    struct world *world;
    int root;
    struct cache_line *lines;
    uint32_t n;
};

struct counting {
    uint8_t *have; /* [nfuncs] */
    uint32_t cap;
    struct cache_line *line;
};

static enum status count_object(void *ctx, struct span code) {
    struct counting *k = ctx;
    struct object o;
    enum status s = object_open(code, &o, NULL);
    for (uint32_t i = 0; !s && i < o.nentries; i++) {
        uint32_t func = object_entry(&o, i).func;
        if (func >= k->cap) {
            uint32_t cap = func < 1 << 24 ? 2 * func + 64 : 0;
            if (!cap)
                break;
            k->have = mem_realloc(k->have, cap);
            memset(k->have + k->cap, 0, cap - k->cap);
            k->cap = cap;
        }
        k->line->functions += !k->have[func];
        k->have[func] = 1;
    }
    code_unmap(code);
    return s;
}

/* An entry's files: how many, how large. */
static void measure(struct cache_entry *c, struct cache_line *l) {
    struct disk_names names;
    if (disk_list(c->world, c->dir, &names) < 0)
        return;
    for (uint32_t i = 0; i < names.n; i++) {
        struct world_stat st;
        const char *name = names.name[i];
        if (c->world->ops->stat_at(c->world, c->dir, name, WORLD_NOFOLLOW, &st) < 0)
            continue;
        l->size_bytes += st.size;
        l->objects += name_ends(name, ".o");
        l->bad += name_ends(name, ".bad");
        if (!strcmp(name, "about"))
            l->used_ns = st.mtim;
    }
    disk_names_free(&names);
}

static void ignore_bad(void *ctx, uint32_t func) {
    (void)ctx, (void)func;
}

static void add_line(struct all *all, const char *key, bool count) {
    struct cache_entry c = {.world = all->world, .root = all->root};
    struct cache_line l = {.key = mem_strdup(key)};
    c.dir = disk_open_dir(all->world, all->root, key, false);
    if (c.dir < 0) {
        mem_free((void *)l.key);
        return;
    }
    buf_init(&c.about, ABOUT_MAX);
    measure(&c, &l);
    int rc = disk_read(c.world, c.dir, "about", &c.about);
    const char *text = rc < 0 ? "" : buf_cstr(&c.about);
    l.module = text_value(text, "module");
    l.name = text_value(text, "name");
    l.target = text_value(text, "target");
    l.llvm = text_value(text, "llvm");
    l.aeon = text_value(text, "aeon");
    char *nfuncs = text_value(text, "functions");
    l.nfuncs = (uint32_t)strtoul(nfuncs, NULL, 10);
    mem_free(nfuncs);
    if (count) {
        struct counting k = {.line = &l};
        const struct cache_reader r = {count_object, ignore_bad, &k};
        struct disk_names names;
        if (disk_list(c.world, c.dir, &names) == 0) {
            for (uint32_t i = 0; i < names.n; i++)
                if (name_ends(names.name[i], ".o"))
                    load_object(&c, &r, names.name[i]);
            disk_names_free(&names);
        }
        mem_free(k.have);
    }
    buf_deinit(&c.about);
    c.world->ops->close(c.world, c.dir);
    all->lines = mem_realloc(all->lines, (all->n + 1) * sizeof *all->lines);
    all->lines[all->n++] = l;
}

static int by_use(const void *a, const void *b) {
    const struct cache_line *x = a, *y = b;
    if (x->used_ns != y->used_ns)
        return x->used_ns < y->used_ns ? -1 : 1;
    return strcmp(x->key, y->key);
}

static enum status read_all(struct world *w, const char *root, bool count, struct all *out, struct err *e) {
    struct disk_names names;
    *out = (struct all){.world = w, .root = disk_open_dir(w, WORLD_CWD, root, false)};
    if (out->root == -ENOENT)
        return ST_OK;
    if (out->root < 0)
        return failed(e, out->root, "open", root, "");
    int rc = disk_list(w, out->root, &names);
    if (rc < 0)
        return failed(e, rc, "read", root, "");
    for (uint32_t i = 0; i < names.n; i++)
        add_line(out, names.name[i], count);
    disk_names_free(&names);
    if (out->n)
        qsort(out->lines, out->n, sizeof *out->lines, by_use);
    return ST_OK;
}

static void all_free(struct all *all) {
    for (uint32_t i = 0; i < all->n; i++) {
        const struct cache_line *l = &all->lines[i];
        const char *texts[] = {l->key, l->module, l->name, l->target, l->llvm, l->aeon};
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            mem_free((void *)texts[k]);
    }
    mem_free(all->lines);
    if (all->root >= 0)
        all->world->ops->close(all->world, all->root);
}

enum status cache_list(struct world *w, const char *root, void (*each)(void *, const struct cache_line *), void *ctx,
                       struct err *e) {
    struct all all;
    enum status s = read_all(w, root, true, &all, e);
    for (uint32_t i = 0; i < all.n; i++)
        each(ctx, &all.lines[i]);
    all_free(&all);
    return s;
}

/* What is being written is not touched; `everything`: the entry goes. */
static int clean(struct all *all, const char *key, bool everything) {
    struct cache_entry c = {.world = all->world, .root = all->root};
    struct disk_names names;
    c.dir = disk_open_dir(all->world, all->root, key, false);
    if (c.dir < 0)
        return c.dir;
    int rc = disk_list(c.world, c.dir, &names);
    for (uint32_t i = 0; rc == 0 && i < names.n; i++)
        if (everything || (name_ends(names.name[i], ".tmp") && is_older(&c, names.name[i], TMP_LIVES_NS)))
            drop(&c, names.name[i]);
    if (rc == 0)
        disk_names_free(&names);
    c.world->ops->close(c.world, c.dir);
    return rc < 0 || !everything ? rc : c.world->ops->remove(c.world, c.root, key, 0, true);
}

enum status cache_gc(struct world *w, const char *root, uint64_t max_bytes, struct cache_removed *out, struct err *e) {
    struct all all;
    struct cache_removed removed = {0};
    enum status s = read_all(w, root, false, &all, e);
    for (uint32_t i = 0; i < all.n; i++)
        removed.left_bytes += all.lines[i].size_bytes;
    for (uint32_t i = 0; i < all.n && !s; i++) {
        const struct cache_line *l = &all.lines[i];
        bool goes = removed.left_bytes > max_bytes;
        int rc = clean(&all, l->key, goes);
        if (rc < 0 && goes)
            s = failed(e, rc, "remove", root, l->key);
        if (rc < 0 || !goes)
            continue;
        removed.entries++;
        removed.size_bytes += l->size_bytes;
        removed.left_bytes -= l->size_bytes;
    }
    all_free(&all);
    if (!s)
        *out = removed;
    return s;
}
