/* tar.c: reading the headers of a tar file.
 *
 *     header | contents, padded to 512 | header | contents | ... | two blocks of zeros
 *
 *     0 name   100 mode  124 size  136 mtime  148 checksum  156 type  157 link's text  257 magic  345 prefix of name
 *
 * Numbers are octal digits, or big-endian binary when the first bit is set. A header of type x (pax: "LENGTH
 * key=value\n" records), L or K (GNU: a name, a link's text) says what did not fit into the header after it; one of
 * type g says it for all that follow. Everything is checked before it is used: sizes against that of the archive,
 * names, and the checksum of each header. */
#include "world/files/tar.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

enum { BLOCK = 512, PATH_MAX_BYTES = 4096, NAME_MAX_BYTES = 255, EXTENSION_MAX = 1 << 20 };

struct tar {
    struct arena arena;
    struct tar_entry *root;
    struct tar_entry **table; /* all others, by parent and name; a power of two, at most half full */
    size_t cap, n;
    uint64_t files;
};

/* What an extension says about the entry after it. */
struct saying {
    bool has_path, has_link, has_size, has_mtime;
    char path[PATH_MAX_BYTES], link[PATH_MAX_BYTES];
    uint64_t size, mtime;
};

struct reading {
    struct tar *tar;
    tar_source source;
    void *ctx;
    uint64_t size, at; /* of the archive; of the header that is being read */
    uint8_t header[BLOCK];
    struct saying next, always;
    struct err *e;
};

#define FAIL(k, status, fmt, ...) \
    err_set((k)->e, (status), "at byte %llu: " fmt, (unsigned long long)(k)->at, ##__VA_ARGS__)

/* ---- the index ---- */

static size_t hash(const struct tar_entry *dir, const char *name, size_t n) {
    uint64_t h = dir->file->ino * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)name[i]) * UINT64_C(0x100000001b3);
    return (size_t)(h ^ (h >> 29));
}

static struct tar_entry **slot(const struct tar *t, const struct tar_entry *dir, const char *name, size_t n) {
    for (size_t i = hash(dir, name, n);; i++) {
        struct tar_entry **at = &t->table[i & (t->cap - 1)];
        if (!*at || ((*at)->parent == dir && strncmp((*at)->name, name, n) == 0 && (*at)->name[n] == '\0'))
            return at;
    }
}

static void grow(struct tar *t) {
    struct tar_entry **old = t->table;
    size_t old_cap = t->cap;
    t->cap = old_cap ? 2 * old_cap : 256;
    t->table = mem_zalloc(t->cap * sizeof *t->table);
    for (size_t i = 0; i < old_cap; i++)
        if (old[i])
            *slot(t, old[i]->parent, old[i]->name, strlen(old[i]->name)) = old[i];
    mem_free(old);
}

static struct tar_file *new_file(struct tar *t, enum world_filetype type) {
    struct tar_file *f = ARENA_NEW(&t->arena, struct tar_file);
    f->type = type;
    f->ino = ++t->files;
    f->nlink = 1;
    f->mode = type == WORLD_DIRECTORY ? 0755 : 0644;
    return f;
}

static struct tar_entry *add(struct tar *t, struct tar_entry *dir, const char *name, size_t n, struct tar_file *file) {
    if (2 * (t->n + 1) > t->cap)
        grow(t);
    struct tar_entry *entry = ARENA_NEW(&t->arena, struct tar_entry);
    entry->name = arena_strndup(&t->arena, name, n);
    entry->parent = dir;
    entry->file = file;
    *slot(t, dir, name, n) = entry;
    t->n++;
    if (dir->nchildren == dir->cap) {
        dir->cap = dir->cap ? 2 * dir->cap : 4;
        dir->children = mem_realloc(dir->children, dir->cap * sizeof *dir->children);
    }
    dir->children[dir->nchildren++] = entry;
    return entry;
}

const struct tar_entry *tar_root(const struct tar *t) {
    return t->root;
}

const struct tar_entry *tar_find(const struct tar *t, const struct tar_entry *dir, const char *name) {
    return t->cap ? *slot(t, dir, name, strlen(name)) : NULL;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(struct tar_entry *const *)a)->name, (*(struct tar_entry *const *)b)->name);
}

static void sort_children(struct tar_entry *d) {
    if (d->nchildren > 1)
        qsort(d->children, d->nchildren, sizeof(struct tar_entry *), by_name);
}

/* Finds where `path` is or belongs: *dir, and its last component; of the root, an empty one. Directories that are on
 * the way are made with `make`. */
static enum status find(struct reading *k, const char *path, bool make, struct tar_entry **dir, const char **name,
                        size_t *size) {
    struct tar *t = k->tar;
    *dir = t->root;
    *name = path;
    *size = 0;
    if (path[0] == '\0')
        return FAIL(k, ST_CORRUPT, "an entry has no name");
    if (path[0] == '/')
        return FAIL(k, ST_CORRUPT, "the name %.200s is absolute", path);
    for (const char *at = path; *at;) {
        size_t n = strcspn(at, "/");
        if (n > NAME_MAX_BYTES)
            return FAIL(k, ST_CORRUPT, "a name is longer than %d bytes", NAME_MAX_BYTES);
        if (n == 2 && memcmp(at, "..", 2) == 0)
            return FAIL(k, ST_CORRUPT, "the name %.200s contains ..", path);
        if (n > 0 && !(n == 1 && at[0] == '.')) {
            if (*size > 0) {
                struct tar_entry *there = t->cap ? *slot(t, *dir, *name, *size) : NULL;
                if (there && there->file->type != WORLD_DIRECTORY)
                    return FAIL(k, ST_CORRUPT, "the name %.200s leads through what is no directory", path);
                if (!there && !make)
                    return FAIL(k, ST_CORRUPT, "%.200s, which a hard link is to, does not come before it", path);
                if (!there && t->n >= TAR_MAX_ENTRIES)
                    return FAIL(k, ST_LIMIT, "more than %d entries", TAR_MAX_ENTRIES);
                *dir = there ? there : add(t, *dir, *name, *size, new_file(t, WORLD_DIRECTORY));
            }
            *name = at;
            *size = n;
        }
        at += n;
        at += strspn(at, "/");
    }
    return ST_OK;
}

/* Puts `file` (NULL: a directory) where `path` says; what was there is replaced. */
static enum status put(struct reading *k, const char *path, struct tar_file *file, struct tar_entry **out) {
    struct tar *t = k->tar;
    struct tar_entry *dir, *there = t->root;
    const char *name;
    size_t n;
    enum status s = find(k, path, true, &dir, &name, &n);
    if (s)
        return s;
    if (n > 0)
        there = t->cap ? *slot(t, dir, name, n) : NULL;
    if (!there && t->n >= TAR_MAX_ENTRIES)
        return FAIL(k, ST_LIMIT, "more than %d entries", TAR_MAX_ENTRIES);
    if (!there) {
        there = add(t, dir, name, n, file ? file : new_file(t, WORLD_DIRECTORY));
    } else if (file) {
        if (there == t->root || there->nchildren > 0)
            return FAIL(k, ST_CORRUPT, "%.200s takes the place of a directory that has entries", path);
        if (there->file != file)
            there->file->nlink--;
        there->file = file;
    } else if (there->file->type != WORLD_DIRECTORY) {
        there->file->nlink--;
        there->file = new_file(t, WORLD_DIRECTORY);
    }
    *out = there;
    return ST_OK;
}

/* ---- fields ---- */

/* A number in a header; false when it is none, or does not fit. */
static bool number(const uint8_t *p, size_t n, uint64_t *out) {
    uint64_t v = 0;
    if (p[0] & 0x80) {
        v = p[0] & 0x3f;
        if (p[0] & 0x40)
            return false; /* negative */
        for (size_t i = 1; i < n; i++) {
            if (v >> 56)
                return false;
            v = v << 8 | p[i];
        }
        *out = v;
        return true;
    }
    size_t i = 0;
    while (i < n && p[i] == ' ')
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++)
        v = v << 3 | (uint64_t)(p[i] - '0'); /* at most 12 digits */
    if (i < n && p[i] != ' ' && p[i] != '\0')
        return false;
    *out = v;
    return true;
}

static bool checksum_is_right(const uint8_t h[BLOCK]) {
    uint64_t said;
    if (!number(h + 148, 8, &said))
        return false;
    int64_t plain = 0, with_sign = 0; /* some wrote sums of signed bytes */
    for (int i = 0; i < BLOCK; i++) {
        uint8_t b = i >= 148 && i < 156 ? ' ' : h[i];
        plain += b;
        with_sign += (int8_t)b;
    }
    return (int64_t)said == plain || (int64_t)said == with_sign;
}

static bool is_zero(const uint8_t h[BLOCK]) {
    for (int i = 0; i < BLOCK; i++)
        if (h[i])
            return false;
    return true;
}

/* Appends a field that ends with a NUL or where it ends. */
static size_t field(char *out, const uint8_t *p, size_t n) {
    size_t k = strnlen((const char *)p, n);
    memcpy(out, p, k);
    out[k] = '\0';
    return k;
}

/* Seconds with a fraction, as pax has them; before 1970 is before what a program can express. */
static bool seconds(const char *p, size_t n, uint64_t *ns) {
    uint64_t whole = 0, part = 0, unit = 1000000000;
    size_t i = 0;
    bool negative = n > 0 && p[0] == '-';
    for (i = negative; i < n && p[i] >= '0' && p[i] <= '9'; i++) {
        whole = whole * 10 + (uint64_t)(p[i] - '0');
        if (whole > UINT32_MAX * UINT64_C(4))
            return false;
    }
    if (i == negative)
        return false;
    if (i < n && p[i] == '.')
        for (i++; i < n && p[i] >= '0' && p[i] <= '9'; i++) {
            unit /= 10;
            part += unit * (uint64_t)(p[i] - '0');
        }
    *ns = negative ? 0 : whole * 1000000000 + part;
    return i == n;
}

/* ---- extensions ---- */

static enum status read_bytes(struct reading *k, uint64_t offset, void *p, size_t n) {
    for (size_t done = 0; done < n;) {
        int64_t r = k->source(k->ctx, offset + done, (uint8_t *)p + done, n - done);
        if (r < 0)
            return FAIL(k, ST_IO, "cannot be read: %s", strerror((int)-r));
        if (r == 0)
            return FAIL(k, ST_CORRUPT, "the archive is cut off");
        done += (size_t)r;
    }
    return ST_OK;
}

static bool text_fits(struct reading *k, char out[PATH_MAX_BYTES], const char *p, size_t n) {
    if (n >= PATH_MAX_BYTES || memchr(p, '\0', n)) {
        (void)FAIL(k, ST_CORRUPT, "a name is longer than %d bytes or contains a NUL", PATH_MAX_BYTES - 1);
        return false;
    }
    memcpy(out, p, n);
    out[n] = '\0';
    return true;
}

static enum status pax_record(struct reading *k, struct saying *s, const char *key, size_t key_n, const char *value,
                              size_t n) {
#define IS(name) (key_n == sizeof name - 1 && memcmp(key, name, key_n) == 0)
    if (IS("path")) {
        s->has_path = n > 0; /* an empty value takes back what was said for all */
        return text_fits(k, s->path, value, n) ? ST_OK : ST_CORRUPT;
    }
    if (IS("linkpath")) {
        s->has_link = n > 0;
        return text_fits(k, s->link, value, n) ? ST_OK : ST_CORRUPT;
    }
    if (IS("mtime")) {
        s->has_mtime = n > 0;
        if (n > 0 && !seconds(value, n, &s->mtime))
            return FAIL(k, ST_CORRUPT, "a time is no number");
    } else if (IS("size")) {
        s->has_size = n > 0;
        s->size = 0;
        for (size_t i = 0; i < n; i++) {
            if (value[i] < '0' || value[i] > '9' || s->size > INT64_MAX / 10 - 1)
                return FAIL(k, ST_CORRUPT, "a size is no number");
            s->size = s->size * 10 + (uint64_t)(value[i] - '0');
        }
    } else if (key_n >= 11 && memcmp(key, "GNU.sparse.", 11) == 0) {
        return FAIL(k, ST_UNSUPPORTED, "a sparse file; make the archive without --sparse");
    }
    return ST_OK;
#undef IS
}

static enum status read_pax(struct reading *k, struct saying *s, const char *p, size_t size) {
    for (size_t at = 0; at < size;) {
        size_t n = 0, digits = 0;
        while (at + digits < size && digits < 8 && p[at + digits] >= '0' && p[at + digits] <= '9')
            n = n * 10 + (size_t)(p[at + digits++] - '0');
        const size_t start = at + digits + 1;
        if (digits == 0 || n < digits + 3 || n > size - at || p[start - 1] != ' ' || p[at + n - 1] != '\n')
            return FAIL(k, ST_CORRUPT, "a pax record is malformed");
        const char *equals = memchr(p + start, '=', n - digits - 2);
        if (!equals)
            return FAIL(k, ST_CORRUPT, "a pax record is malformed");
        const char *value = equals + 1;
        enum status r =
            pax_record(k, s, p + start, (size_t)(equals - (p + start)), value, (size_t)(p + at + n - 1 - value));
        if (r)
            return r;
        at += n;
    }
    return ST_OK;
}

static enum status read_extension(struct reading *k, char type, uint64_t size) {
    if (size > EXTENSION_MAX)
        return FAIL(k, ST_CORRUPT, "an extended header of %llu bytes", (unsigned long long)size);
    char *p = mem_alloc(size + 1);
    enum status s = read_bytes(k, k->at + BLOCK, p, size);
    if (s == ST_OK && (type == 'x' || type == 'g'))
        s = read_pax(k, type == 'x' ? &k->next : &k->always, p, size);
    if (s == ST_OK && (type == 'L' || type == 'K')) {
        bool ok = text_fits(k, type == 'L' ? k->next.path : k->next.link, p, strnlen(p, size));
        s = ok ? ST_OK : ST_CORRUPT;
        *(type == 'L' ? &k->next.has_path : &k->next.has_link) = true;
    }
    mem_free(p);
    return s;
}

/* ---- entries ---- */

static void take_path(const struct reading *k, char out[PATH_MAX_BYTES]) {
    const uint8_t *h = k->header;
    const struct saying *says = k->next.has_path ? &k->next : k->always.has_path ? &k->always : NULL;
    if (says) {
        memcpy(out, says->path, PATH_MAX_BYTES);
        return;
    }
    size_t n = 0;
    if (memcmp(h + 257, "ustar\0", 6) == 0 && h[345]) {
        n = field(out, h + 345, 155);
        out[n++] = '/';
    }
    field(out + n, h, 100);
}

static void take_link(const struct reading *k, char out[PATH_MAX_BYTES]) {
    const struct saying *says = k->next.has_link ? &k->next : k->always.has_link ? &k->always : NULL;
    if (says)
        memcpy(out, says->link, PATH_MAX_BYTES);
    else
        field(out, k->header + 157, 100);
}

static enum status take_mtime(struct reading *k, uint64_t *ns) {
    const struct saying *says = k->next.has_mtime ? &k->next : k->always.has_mtime ? &k->always : NULL;
    uint64_t whole = 0;
    if (says) {
        *ns = says->mtime;
        return ST_OK;
    }
    if (k->header[136] != 0xff && !number(k->header + 136, 12, &whole)) /* 0xff: before 1970 */
        return FAIL(k, ST_CORRUPT, "a time is no number");
    *ns = whole > UINT64_MAX / 1000000000 ? 0 : whole * 1000000000;
    return ST_OK;
}

/* Shares the file that an earlier entry has. */
static enum status put_hard_link(struct reading *k, const char *path, const char *to) {
    struct tar_entry *dir, *entry;
    const char *name;
    size_t n;
    enum status s = find(k, to, false, &dir, &name, &n);
    if (s)
        return s;
    struct tar_entry *there = n > 0 && k->tar->cap ? *slot(k->tar, dir, name, n) : NULL;
    if (!there || there->file->type == WORLD_DIRECTORY)
        return FAIL(k, ST_CORRUPT, "%.200s, which a hard link is to, is no file before it", to);
    struct tar_file *file = there->file;
    s = put(k, path, file, &entry);
    if (s == ST_OK && entry != there)
        file->nlink++;
    return s;
}

static enum status read_entry(struct reading *k, char type, uint64_t size) {
    char path[PATH_MAX_BYTES], link[PATH_MAX_BYTES];
    uint64_t mode, mtime = 0;
    struct tar *t = k->tar;
    take_path(k, path);
    take_link(k, link);
    enum status s = take_mtime(k, &mtime);
    if (s)
        return s;
    if (!number(k->header + 100, 8, &mode))
        return FAIL(k, ST_CORRUPT, "a mode is no number");
    if (type == '1')
        return put_hard_link(k, path, link);
    if (type == '0' && path[0] && path[strlen(path) - 1] == '/')
        type = '5'; /* as before ustar */
    struct tar_file *file = NULL;
    if (type != '5') {
        file = new_file(t, type == '2' ? WORLD_SYMLINK : WORLD_REGULAR);
        file->size = type == '2' ? strlen(link) : size;
        file->offset = k->at + BLOCK;
        if (type == '2')
            file->link = arena_strndup(&t->arena, link, strlen(link));
        if (type == '2' && !link[0])
            return FAIL(k, ST_CORRUPT, "the symbolic link %.200s says nothing", path);
    }
    struct tar_entry *entry;
    s = put(k, path, file, &entry);
    if (s)
        return s;
    entry->file->mode = mode & 07777;
    entry->file->mtim = mtime;
    return ST_OK;
}

/* One header and what belongs to it; ST_END at the end. */
static enum status read_one(struct reading *k) {
    if (k->size - k->at < BLOCK)
        return FAIL(k, ST_CORRUPT, "%s",
                    k->at == 0 ? "this is no tar archive" : "there is no closing block: it is cut off");
    enum status s = read_bytes(k, k->at, k->header, BLOCK);
    if (s)
        return s;
    if (is_zero(k->header))
        return ST_END;
    if (k->at == 0 && (!memcmp(k->header, "\x1f\x8b", 2) || !memcmp(k->header, "\x28\xb5\x2f\xfd", 4) ||
                       !memcmp(k->header, "BZh", 3) ||
                       !memcmp(k->header,
                               "\xfd"
                               "7zXZ",
                               5)))
        return FAIL(k, ST_UNSUPPORTED, "the archive is compressed; give it uncompressed");
    if (!checksum_is_right(k->header))
        return FAIL(k, ST_CORRUPT, "%s", k->at == 0 ? "this is no tar archive" : "the header's checksum is wrong");
    uint64_t size;
    char type = (char)k->header[156];
    type = type == '\0' || type == '7' ? '0' : type;
    if (!number(k->header + 124, 12, &size))
        return FAIL(k, ST_CORRUPT, "a size is no number");
    const bool extension = type == 'x' || type == 'g' || type == 'L' || type == 'K';
    if (!extension && (k->next.has_size || k->always.has_size))
        size = k->next.has_size ? k->next.size : k->always.size;
    if (type == '1' && size > 0)
        return FAIL(k, ST_UNSUPPORTED, "a hard link with contents");
    if (type >= '1' && type <= '6')
        size = 0; /* whatever it says, nothing follows */
    if (size > k->size - k->at - BLOCK)
        return FAIL(k, ST_CORRUPT, "an entry of %llu bytes goes beyond the archive's end: it is cut off",
                    (unsigned long long)size);
    if (extension)
        s = read_extension(k, type, size);
    else if (type == '0' || type == '1' || type == '2' || type == '5')
        s = read_entry(k, type, size);
    else if (type == 'S')
        s = FAIL(k, ST_UNSUPPORTED, "a sparse file; make the archive without --sparse");
    else if (type != '3' && type != '4' && type != '6' && type != 'V') /* devices, FIFOs, the archive's label */
        s = FAIL(k, ST_UNSUPPORTED, "an entry of type 0x%02x", (unsigned)(uint8_t)type);
    if (!extension)
        k->next.has_path = k->next.has_link = k->next.has_size = k->next.has_mtime = false;
    const uint64_t padded = (size + BLOCK - 1) / BLOCK * BLOCK, room = k->size - k->at - BLOCK;
    k->at += BLOCK + (padded < room ? padded : room);
    return s;
}

enum status tar_read(tar_source source, void *ctx, uint64_t size, struct tar **out, struct err *e) {
    struct tar *t = mem_zalloc(sizeof *t);
    arena_init(&t->arena);
    t->root = ARENA_NEW(&t->arena, struct tar_entry);
    t->root->name = "";
    t->root->parent = t->root;
    t->root->file = new_file(t, WORLD_DIRECTORY);
    struct reading *k = mem_zalloc(sizeof *k);
    *k = (struct reading){.tar = t, .source = source, .ctx = ctx, .size = size, .e = e};
    enum status s;
    do
        s = read_one(k);
    while (s == ST_OK);
    mem_free(k);
    if (s != ST_END) {
        tar_free(t);
        return s;
    }
    sort_children(t->root);
    for (size_t i = 0; i < t->cap; i++)
        if (t->table[i])
            sort_children(t->table[i]);
    *out = t;
    return ST_OK;
}

void tar_free(struct tar *t) {
    mem_free(t->root->children);
    for (size_t i = 0; i < t->cap; i++)
        if (t->table[i])
            mem_free(t->table[i]->children);
    mem_free(t->table);
    arena_deinit(&t->arena);
    mem_free(t);
}
