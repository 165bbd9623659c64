/* readdir.c: listing directories.
 *
 * A program reads a directory in buffers of its own size and goes on from the cookie of the last entry it saw whole, so
 * that the same entries are asked for again and again.  Each open directory therefore keeps a window of entries as the
 * world gave them, and only a cookie outside of it asks the world anew. That also keeps the cookies of a directory that
 * fits into the window good while the program removes what it has just seen. */
#include "wasi/internal.h"

#include <errno.h>

enum { WINDOW_BYTES = 64 << 10 };

struct entry {
    uint64_t cookie; /* by which it is asked for */
    struct wasi_dirent head;
    const char *name; /* in the listing */
};

struct listing {
    uint64_t end;  /* the cookie after the last entry */
    bool complete; /* and there is nothing there */
    uint32_t n, cap;
    uint32_t hint; /* where the next request probably begins */
    uint32_t used; /* of names */
    struct entry *entries;
    char names[WINDOW_BYTES];
};

void wasi_listing_free(struct desc *d) {
    if (d->listing)
        mem_free(d->listing->entries);
    mem_free(d->listing);
    d->listing = NULL;
}

static bool add_entry(void *arg, const struct world_dirent *e) {
    struct listing *l = arg;
    size_t n = strlen(e->name);
    if (l->used + n > WINDOW_BYTES) {
        l->complete = false;
        return false;
    }
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 64;
        l->entries = mem_realloc(l->entries, l->cap * sizeof *l->entries);
    }
    l->entries[l->n++] = (struct entry){
        .cookie = l->end,
        .head = {.next = e->next, .ino = e->ino, .namlen = (uint32_t)n, .type = wasi_filetype_of(e->type)},
        .name = memcpy(l->names + l->used, e->name, n),
    };
    l->used += (uint32_t)n;
    l->end = e->next;
    return true;
}

/* Fills the window from `cookie` on. */
static int64_t fill(struct wasi *w, struct desc *d, uint64_t cookie) {
    struct listing *l = d->listing;
    if (!l)
        l = d->listing = mem_zalloc(sizeof *l);
    l->n = l->used = l->hint = 0;
    l->end = cookie;
    l->complete = true;
    int64_t r = d->net ? wasi_net_list(w, d, cookie, add_entry, l) : OP(w, read_dir, d->handle, cookie, add_entry, l);
    if (r < 0)
        wasi_listing_free(d);
    return r;
}

/* The index of the entry that `cookie` asks for, l->n when it asks for the end, or -1 when it is not in the window. */
static int64_t find(struct listing *l, uint64_t cookie) {
    if (l->hint < l->n && l->entries[l->hint].cookie == cookie)
        return l->hint;
    for (uint32_t i = 0; i < l->n; i++)
        if (l->entries[i].cookie == cookie)
            return i;
    return l->complete && cookie == l->end ? (int64_t)l->n : -1;
}

/* Copies as much as there is room for; false when it is full. */
static bool put(struct abi_mem *out, uint32_t *used, const void *p, size_t n) {
    size_t room = out->size - *used;
    size_t part = n < room ? n : room;
    memcpy(out->data + *used, p, part);
    *used += (uint32_t)part;
    return *used < out->size;
}

int64_t wasi_fd_readdir(struct wasi *w, struct abi_fd_readdir *a) {
    int64_t r;
    struct desc *d = wasi_desc(w, a->fd, WASI_RIGHT_FD_READDIR, &r);
    if (!d)
        return wasi_answer(r);
    uint64_t cookie = a->cookie;
    uint32_t used = 0;
    bool again = cookie == 0; /* from the start: look anew */
    while (used < a->buf.size) {
        int64_t at = again || !d->listing ? -1 : find(d->listing, cookie);
        if (at < 0) {
            r = fill(w, d, cookie);
            if (r < 0) {
                if (used == 0)
                    return wasi_answer(r);
                break;
            }
            again = false;
            at = 0;
        }
        struct listing *l = d->listing;
        if (at == l->n) /* the end */
            break;
        const struct entry *e = &l->entries[at];
        if (!put(&a->buf, &used, &e->head, sizeof e->head) || !put(&a->buf, &used, e->name, e->head.namlen))
            break;
        cookie = e->head.next;
        l->hint = (uint32_t)at + 1;
    }
    a->buf.size = used;
    a->bufused = used;
    return 0;
}
