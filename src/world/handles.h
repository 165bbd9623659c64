/* handles.h: what a layer remembers about handles, and pieces of transfers.
 *
 * A map from handles to pointers: two levels, since handles are small numbers, few of which a layer knows. The owner
 * takes an entry away when the handle is closed, and before it notes anything of a handle that is new: numbers come
 * again. */
#ifndef AEON_WORLD_HANDLES_H
#define AEON_WORLD_HANDLES_H

#include "base/must.h"
#include "world/world.h"

enum { HANDLES_PAGE = 64 };

struct handles {
    void ***pages; /* of HANDLES_PAGE each; NULL: nothing known of these */
    uint32_t npages;
};

static inline void *handles_get(const struct handles *h, int fd) {
    uint32_t page = (uint32_t)fd / HANDLES_PAGE; /* -1 is beyond */
    return page < h->npages && h->pages[page] ? h->pages[page][fd % HANDLES_PAGE] : NULL;
}

/* `p` NULL: forget it. */
static inline void handles_set(struct handles *h, int fd, void *p) {
    uint32_t page = (uint32_t)fd / HANDLES_PAGE;
    if (p) {
        must(fd >= 0);
        if (page >= h->npages) {
            h->pages = mem_realloc(h->pages, (page + 1) * sizeof *h->pages);
            memset(h->pages + h->npages, 0, (page + 1 - h->npages) * sizeof *h->pages);
            h->npages = page + 1;
        }
        if (!h->pages[page])
            h->pages[page] = mem_zalloc(HANDLES_PAGE * sizeof **h->pages);
    }
    if (page < h->npages && h->pages[page])
        h->pages[page][fd % HANDLES_PAGE] = p;
}

/* The first handle from `from` on of which something is known, or -1. */
static inline int handles_next(const struct handles *h, int from) {
    for (uint32_t page = (uint32_t)from / HANDLES_PAGE; page < h->npages; page++, from = (int)(page * HANDLES_PAGE))
        for (int i = from % HANDLES_PAGE; h->pages[page] && i < HANDLES_PAGE; i++)
            if (h->pages[page][i])
                return (int)page * HANDLES_PAGE + i;
    return -1;
}

static inline void handles_deinit(struct handles *h) {
    for (uint32_t i = 0; i < h->npages; i++)
        mem_free(h->pages[i]);
    mem_free(h->pages);
    *h = (struct handles){0};
}

static inline uint64_t iov_size(const struct iovec *iov, int n) {
    uint64_t size = 0;
    for (int i = 0; i < n; i++)
        size += iov[i].iov_len;
    return size;
}

/* The first `max` bytes of a transfer, or as many as IOV_PART_MAX pieces have; returns their number. */
enum { IOV_PART_MAX = 64 };
static inline int iov_part(const struct iovec *iov, int n, uint64_t max, struct iovec out[IOV_PART_MAX]) {
    int k = 0;
    for (; k < n && k < IOV_PART_MAX && max > 0; k++) {
        out[k] = iov[k];
        if (out[k].iov_len > max)
            out[k].iov_len = max;
        max -= out[k].iov_len;
    }
    return k;
}

#endif
