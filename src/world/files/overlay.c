/* overlay.c: two directories seen as one: what is there.
 *
 * Of a NAME, `upper` decides when it has it; else `lower`, unless a whiteout .wh.NAME is in `upper`; two directories of
 * which no whiteout hides the lower one are merged. A directory that is in use has one node, which all its handles and
 * all directories in it share, so that what one of them makes in `upper` is there for the others. */
#include "world/files/internal.h"

#include <stdlib.h>

bool overlay_is_mark(const char *name) {
    return strncmp(name, ".wh.", 4) == 0;
}

static bool is_hidden(struct node *d, const char *name) {
    char mark[FILES_NAME_MAX + 5];
    struct world_stat st;
    size_t n = strlen(name);
    if (d->at < 0 || n + 4 > FILES_NAME_MAX)
        return false;
    memcpy(mark, ".wh.", 4);
    memcpy(mark + 4, name, n + 1);
    return UNDER(d->tree->files, stat_at, d->at, mark, WORLD_NOFOLLOW, &st) == 0;
}

struct node *overlay_in_use(struct node *d, const char *name) {
    for (struct node *n = d->children; n; n = n->next)
        if (strcmp(n->name, name) == 0)
            return n;
    return NULL;
}

int overlay_look(struct node *d, const char *name, struct seen *s) {
    struct files *f = d->tree->files;
    struct world_stat up = {0}, low = {0};
    *s = (struct seen){0};
    if (overlay_is_mark(name))
        return -ENOENT;
    int r = d->at < 0 ? -ENOENT : UNDER(f, stat_at, d->at, name, WORLD_NOFOLLOW, &up);
    if (r < 0 && r != -ENOENT)
        return r;
    s->upper = r == 0;
    r = d->lower < 0 || is_hidden(d, name) ? -ENOENT : WITHIN(f, stat_at, d->lower, name, WORLD_NOFOLLOW, &low);
    if (r < 0 && r != -ENOENT)
        return r;
    s->lower = r == 0;
    if (!s->upper && !s->lower)
        return -ENOENT;
    s->merged = s->upper && s->lower && up.type == WORLD_DIRECTORY && low.type == WORLD_DIRECTORY;
    s->st = s->upper ? up : low;
    if (s->merged) {
        s->st.dev = low.dev;
        s->st.ino = low.ino;
    } else if (s->upper) {
        origins_show(d->tree->origin, &s->st);
    }
    return 0;
}

static int overlay_enter(struct node *d, const char *name, struct node **out) {
    struct files *f = d->tree->files;
    const uint32_t how = WORLD_PATH | WORLD_NOFOLLOW | WORLD_DIRECTORY_ONLY;
    if (overlay_is_mark(name))
        return -ENOENT;
    struct node *n = overlay_in_use(d, name);
    if (n) {
        *out = node_hold(n);
        return 0;
    }
    int up = d->at < 0 ? -ENOENT : UNDER(f, open, d->at, name, how, 0);
    if (up < 0 && up != -ENOENT)
        return up;
    int low = d->lower < 0 || is_hidden(d, name) ? -ENOENT : WITHIN(f, open, d->lower, name, how, 0);
    if (up < 0 && low < 0)
        return low;
    *out = node_new(d->tree, d, name, up < 0 ? -1 : up, low < 0 ? -1 : low);
    return 0;
}

static int64_t overlay_read_link(struct node *d, const char *name, char *out, size_t cap) {
    struct files *f = d->tree->files;
    if (overlay_is_mark(name))
        return -ENOENT;
    int64_t r = d->at < 0 ? -ENOENT : UNDER(f, read_link, d->at, name, 0, out, cap);
    if (r != -ENOENT || d->lower < 0 || is_hidden(d, name))
        return r;
    return WITHIN(f, read_link, d->lower, name, 0, out, cap);
}

static int overlay_stat(struct node *d, const char *name, struct world_stat *out) {
    struct files *f = d->tree->files;
    if (name) {
        struct seen s;
        int r = overlay_look(d, name, &s);
        if (r == 0)
            *out = s.st;
        return r;
    }
    struct world_stat low;
    int r = d->at >= 0 ? UNDER(f, stat, d->at, out) : WITHIN(f, stat, d->lower, out);
    if (r == 0 && d->lower >= 0 && WITHIN(f, stat, d->lower, &low) == 0) {
        out->dev = low.dev;
        out->ino = low.ino;
    }
    return r;
}

static int overlay_stand_in(struct node *d) {
    struct files *f = d->tree->files;
    if (d->at < 0 && handle_of(f, d->lower))
        return UNDER(f, dup, d->lower);
    return UNDER(f, open, d->at >= 0 ? d->at : d->lower, ".", WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
}

/* ---- listing ---- */

enum source { FROM_MARK, FROM_UPPER, FROM_LOWER };

struct item {
    const char *name; /* while it is gathered, an offset in `names` */
    size_t at;
    uint64_t ino;
    enum world_filetype type;
    enum source from;
};

/* What a directory held when its listing was begun: entries have numbers that stay, while the program removes some. */
struct listing {
    struct buf names;
    struct item *items; /* sorted by name */
    size_t n, cap;
    enum source from; /* while it is gathered */
    uint64_t self, parent;
};

enum { LISTING_MAX_BYTES = 1 << 30 };

void listing_free(struct listing *l) {
    if (!l)
        return;
    buf_deinit(&l->names);
    mem_free(l->items);
    mem_free(l);
}

static bool gather(void *arg, const struct world_dirent *e) {
    struct listing *l = arg;
    const char *name = e->name;
    enum source from = l->from;
    if (!strcmp(name, ".") || !strcmp(name, ".."))
        return true;
    if (overlay_is_mark(name)) {
        if (from == FROM_LOWER || overlay_is_mark(name + 4))
            return true;
        name += 4;
        from = FROM_MARK;
    }
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 64;
        l->items = mem_realloc(l->items, l->cap * sizeof *l->items);
    }
    l->items[l->n++] = (struct item){.at = l->names.size, .ino = e->ino, .type = e->type, .from = from};
    return buf_append(&l->names, name, strlen(name) + 1);
}

static int by_name(const void *a, const void *b) {
    const struct item *x = a, *y = b;
    int r = strcmp(x->name, y->name);
    return r ? r : (int)x->from - (int)y->from;
}

static int gather_dir(struct node *d, int dir, enum source from, struct listing *l) {
    struct files *f = d->tree->files;
    int fd = WITHIN(f, open, dir, ".", WORLD_READ | WORLD_DIRECTORY_ONLY, 0);
    if (fd < 0)
        return fd;
    l->from = from;
    int r = WITHIN(f, read_dir, fd, 0, gather, l);
    WITHIN(f, close, fd);
    return r < 0 ? r : l->names.failed ? -ENOMEM : 0;
}

/* Of the items of one name, all next to each other, the one to be shown in items[0]; false: none. */
static bool merge_one(struct node *d, struct item *items, size_t n, uint64_t upper_dev) {
    const bool hidden = items[0].from == FROM_MARK;
    struct item *up = &items[hidden], *low = &items[n - 1];
    if (up < items + n && up->from == FROM_UPPER) {
        struct item shown = *up;
        struct world_stat st = {.dev = upper_dev, .ino = up->ino, .type = WORLD_REGULAR};
        if (!hidden && low->from == FROM_LOWER && low->type == WORLD_DIRECTORY && up->type == WORLD_DIRECTORY)
            shown.ino = low->ino;
        else
            origins_show(d->tree->origin, &st), shown.ino = shown.type == WORLD_DIRECTORY ? shown.ino : st.ino;
        items[0] = shown;
        return true;
    }
    items[0] = *low;
    return !hidden && low->from == FROM_LOWER;
}

static int list(struct node *d, struct listing **out) {
    struct listing *l = mem_zalloc(sizeof *l);
    buf_init(&l->names, LISTING_MAX_BYTES);
    struct world_stat st = {0};
    int r = d->at < 0 ? 0 : gather_dir(d, d->at, FROM_UPPER, l);
    if (r == 0 && d->lower >= 0)
        r = gather_dir(d, d->lower, FROM_LOWER, l);
    if (r < 0) {
        listing_free(l);
        return r;
    }
    for (size_t i = 0; i < l->n; i++)
        l->items[i].name = (const char *)l->names.data + l->items[i].at;
    if (l->n > 0)
        qsort(l->items, l->n, sizeof *l->items, by_name);
    if (d->at >= 0)
        UNDER(d->tree->files, stat, d->at, &st);
    size_t kept = 0;
    for (size_t i = 0, next; i < l->n; i = next) {
        next = i + 1;
        while (next < l->n && strcmp(l->items[next].name, l->items[i].name) == 0)
            next++;
        if (merge_one(d, &l->items[i], next - i, st.dev))
            l->items[kept++] = l->items[i];
    }
    l->n = kept;
    l->self = overlay_stat(d, NULL, &st) == 0 ? st.ino : 0;
    l->parent = d->parent && overlay_stat(d->parent, NULL, &st) == 0 ? st.ino : l->self;
    *out = l;
    return 0;
}

static int overlay_read_dir(struct node *d, struct handle *h, uint64_t cookie,
                            bool (*each)(void *, const struct world_dirent *), void *arg) {
    if (cookie == 0 || !h->listing) {
        struct listing *l;
        int r = list(d, &l);
        if (r < 0)
            return r;
        listing_free(h->listing);
        h->listing = l;
    }
    const struct listing *l = h->listing;
    for (uint64_t i = cookie; i < l->n + 2; i++) {
        struct world_dirent e = {.next = i + 1, .type = WORLD_DIRECTORY};
        if (i < 2) {
            e.ino = i == 0 ? l->self : l->parent;
            e.name = i == 0 ? "." : "..";
        } else {
            const struct item *item = &l->items[i - 2];
            e.ino = item->ino;
            e.type = item->type;
            e.name = item->name;
        }
        if (!each(arg, &e))
            return 0;
    }
    return 0;
}

int overlay_is_empty(struct node *d, const char *name) {
    struct node *n;
    struct listing *l;
    int r = overlay_enter(d, name, &n);
    if (r < 0)
        return r;
    r = list(n, &l);
    node_drop(n);
    if (r < 0)
        return r;
    r = l->n == 0;
    listing_free(l);
    return r;
}

/* ---- where files came from ---- */

struct origins {
    struct origin {
        uint64_t dev, ino, shown_dev, shown_ino;
        struct origin *next;
    } *buckets[1024];
};

static struct origin **origin_at(const struct origins *o, uint64_t dev, uint64_t ino) {
    struct origin *const *at = &o->buckets[ino % 1024];
    while (*at && ((*at)->ino != ino || (*at)->dev != dev))
        at = &(*at)->next;
    return (struct origin **)at;
}

struct origins *origins_new(void) {
    return mem_zalloc(sizeof(struct origins));
}

void origins_free(struct origins *o) {
    for (size_t i = 0; i < sizeof o->buckets / sizeof *o->buckets; i++)
        while (o->buckets[i]) {
            struct origin *next = o->buckets[i]->next;
            mem_free(o->buckets[i]);
            o->buckets[i] = next;
        }
    mem_free(o);
}

void origins_forget(struct origins *o, uint64_t dev, uint64_t ino) {
    struct origin **at = origin_at(o, dev, ino), *one = *at;
    if (one) {
        *at = one->next;
        mem_free(one);
    }
}

void origins_add(struct origins *o, const struct world_stat *upper, const struct world_stat *lower) {
    origins_forget(o, upper->dev, upper->ino);
    struct origin **at = &o->buckets[upper->ino % 1024], *one = mem_alloc(sizeof *one);
    *one = (struct origin){upper->dev, upper->ino, lower->dev, lower->ino, *at};
    *at = one;
}

void origins_show(const struct origins *o, struct world_stat *st) {
    const struct origin *one = *origin_at(o, st->dev, st->ino);
    if (one) {
        st->dev = one->shown_dev;
        st->ino = one->shown_ino;
    }
}

const struct tree_ops overlay_ops = {
    .enter = overlay_enter,
    .read_link = overlay_read_link,
    .stat = overlay_stat,
    .open = overlay_open,
    .stand_in = overlay_stand_in,
    .read_dir = overlay_read_dir,
    .set_times = overlay_set_times,
    .make_dir = overlay_make_dir,
    .remove = overlay_remove,
    .rename = overlay_rename,
    .link = overlay_link,
    .symlink = overlay_symlink,
};
