#include "wasm/pool.h"

#include "base/must.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    PAGE = 4096, /* where pages are larger, none is looked at */
    HUGE = 2 << 20,
    HUGE_FROM = 8 << 20, /* memories of that size are worth huge pages */
    REGION = 256 << 20,  /* slots come from mappings of this size */
    CLASSES = 7,         /* slots of 1, 2, 4 ... 64 Wasm pages; larger memories are mappings of their own */
    WARM = 64,           /* free slots of a class that keep what pages they have */
    KEPT = 16,           /* reservations, and stacks, that are kept */
    LOOK_PAGES = 512,    /* how far emptying looks at single pages */
    REWRITE_PAGES = 16,  /* so many pages are rather written than given back */
    MAX_RUNS = 4,        /* system calls for what lies between them */
};

#define LARGEST_SLOT ((uint64_t)WASM_PAGE_SIZE << (CLASSES - 1))

struct region {
    struct region *next;
    uint8_t *data;
};

/* Slots of one size. */
struct class {
    uint8_t *fresh, *fresh_end; /* not yet used */
    uint8_t *warm[WARM];        /* zero, some pages there */
    uint32_t nwarm;
    uint8_t **cold; /* zero, no pages there */
    uint32_t ncold, cap;
};

struct wasm_pool {
    struct class classes[CLASSES];
    struct region *regions;
    struct pool_range reserved[KEPT], stacks[KEPT];
    uint32_t nreserved, nstacks;
};

/* ---- pages ------------------------------------------------------------------------------------------------------- */

static uint64_t round_up(uint64_t n, uint64_t unit) {
    return (n + unit - 1) / unit * unit;
}

static bool map(uint64_t size, int protection, uint8_t **out) {
    void *p = mmap(NULL, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return false;
    *out = p;
    return true;
}

static void unmap(uint8_t *data, uint64_t size) {
    int failed = munmap(data, size);
    must(!failed);
}

/* Gives pages back to the system: they are zero when touched again. */
static void drop(uint8_t *data, uint64_t size) {
    int failed = madvise(data, size, MADV_DONTNEED);
    must(!failed);
}

/* Zeroes `size` bytes.  A page that mincore does not see may be swapped out, so what lies between those that are
 * written over is dropped all the same; that costs little when nothing is there. */
static void empty(uint8_t *data, uint64_t size) {
    uint8_t present[LOOK_PAGES];
    uint64_t look = size < (uint64_t)LOOK_PAGES * PAGE ? size : (uint64_t)LOOK_PAGES * PAGE;
    uint32_t n = (uint32_t)(look / PAGE), pages = 0, runs = look < size;
    if (!size)
        return;
    if (sysconf(_SC_PAGESIZE) != PAGE || mincore(data, look, present) != 0) {
        drop(data, size);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        pages += present[i] & 1;
        runs += !(present[i] & 1) && (i == 0 || (present[i - 1] & 1));
    }
    if (pages > REWRITE_PAGES || runs > MAX_RUNS) {
        drop(data, size);
        return;
    }
    for (uint32_t i = 0, from = 0; i <= n; i++) {
        bool there = i < n && (present[i] & 1);
        if (!there && i < n)
            continue;
        uint64_t end = i < n ? (uint64_t)i * PAGE : size;
        if (end > (uint64_t)from * PAGE)
            drop(data + (uint64_t)from * PAGE, end - (uint64_t)from * PAGE);
        if (there)
            memset(data + (uint64_t)i * PAGE, 0, PAGE);
        from = i + 1;
    }
}

/* ---- pools ------------------------------------------------------------------------------------------------------- */

struct wasm_pool *wasm_pool_new(void) {
    return mem_zalloc(sizeof(struct wasm_pool));
}

void wasm_pool_free(struct wasm_pool *p) {
    if (!p)
        return;
    for (uint32_t i = 0; i < p->nreserved; i++)
        unmap(p->reserved[i].data, p->reserved[i].size);
    for (uint32_t i = 0; i < p->nstacks; i++)
        unmap(p->stacks[i].data, p->stacks[i].size);
    for (uint32_t i = 0; i < CLASSES; i++)
        mem_free(p->classes[i].cold);
    while (p->regions) {
        struct region *next = p->regions->next;
        unmap(p->regions->data, REGION);
        mem_free(p->regions);
        p->regions = next;
    }
    mem_free(p);
}

/* One of those kept that has this size. */
static bool take_kept(struct pool_range *kept, uint32_t *n, uint64_t size, struct pool_range *out) {
    for (uint32_t i = *n; i-- > 0;)
        if (kept[i].size == size) {
            *out = kept[i];
            kept[i] = kept[--*n];
            return true;
        }
    return false;
}

/* ---- reservations ------------------------------------------------------------------------------------------------ */

bool pool_commit(struct pool_range *r, uint64_t bytes) {
    if (bytes <= r->committed)
        return true;
    bool huge = bytes >= HUGE_FROM;
    uint64_t to = huge ? round_up(bytes, HUGE) : bytes;
    if (to > r->size)
        to = r->size;
    if (mprotect(r->data + r->committed, to - r->committed, PROT_READ | PROT_WRITE) != 0)
        return false;
    if (huge) /* as far as the machine has them */
        (void)madvise(r->data, to, MADV_HUGEPAGE);
    r->committed = to;
    return true;
}

/* A mapping that begins where huge pages may. */
static bool map_aligned(uint64_t size, uint8_t **out) {
    uint8_t *p;
    if (size < HUGE_FROM)
        return map(size, PROT_NONE, out);
    if (!map(size + HUGE, PROT_NONE, &p))
        return false;
    uint64_t before = round_up((uintptr_t)p, HUGE) - (uintptr_t)p;
    if (before)
        unmap(p, before);
    if (before < HUGE)
        unmap(p + before + size, HUGE - before);
    *out = p + before;
    return true;
}

bool pool_reserve(struct wasm_pool *p, uint64_t size, uint64_t committed, struct pool_range *out) {
    struct pool_range r = {.size = size};
    if (!p || !take_kept(p->reserved, &p->nreserved, size, &r))
        if (!map_aligned(size, &r.data))
            return false;
    if (!pool_commit(&r, committed)) {
        unmap(r.data, r.size);
        return false;
    }
    *out = r;
    return true;
}

void pool_release(struct wasm_pool *p, struct pool_range *r) {
    if (p && p->nreserved < KEPT) {
        empty(r->data, r->committed);
        p->reserved[p->nreserved++] = *r;
    } else {
        unmap(r->data, r->size);
    }
    *r = (struct pool_range){0};
}

/* ---- slots ------------------------------------------------------------------------------------------------------- */

static uint32_t class_of(uint64_t size) {
    uint32_t c = 0;
    while (((uint64_t)WASM_PAGE_SIZE << c) < size)
        c++;
    return c;
}

static bool add_region(struct wasm_pool *p, struct class *c) {
    uint8_t *data;
    if (!map(REGION, PROT_READ | PROT_WRITE, &data))
        return false;
    (void)madvise(data, REGION, MADV_NOHUGEPAGE); /* of which a slot would take much more than it touches */
    struct region *r = mem_alloc(sizeof *r);
    *r = (struct region){p->regions, data};
    p->regions = r;
    c->fresh = data;
    c->fresh_end = data + REGION;
    return true;
}

bool pool_slot(struct wasm_pool *p, uint64_t size, struct pool_range *out) {
    uint32_t k = class_of(size);
    uint64_t room = (uint64_t)WASM_PAGE_SIZE << k;
    struct pool_range r = {.size = room, .committed = room};
    if (room > LARGEST_SLOT) {
        if (!map(room, PROT_READ | PROT_WRITE, &r.data))
            return false;
        *out = r;
        return true;
    }
    struct class *c = &p->classes[k];
    if (c->nwarm) {
        r.data = c->warm[--c->nwarm];
    } else if (c->ncold) {
        r.data = c->cold[--c->ncold];
    } else {
        if (c->fresh == c->fresh_end && !add_region(p, c))
            return false;
        r.data = c->fresh;
        c->fresh += room;
    }
    *out = r;
    return true;
}

void pool_slot_release(struct wasm_pool *p, struct pool_range *r) {
    if (r->size > LARGEST_SLOT) {
        unmap(r->data, r->size);
        *r = (struct pool_range){0};
        return;
    }
    struct class *c = &p->classes[class_of(r->size)];
    if (c->nwarm < WARM) {
        empty(r->data, r->size);
        c->warm[c->nwarm++] = r->data;
    } else {
        drop(r->data, r->size);
        if (c->ncold == c->cap) {
            c->cap = c->cap ? 2 * c->cap : WARM;
            c->cold = mem_realloc(c->cold, c->cap * sizeof *c->cold);
        }
        c->cold[c->ncold++] = r->data;
    }
    *r = (struct pool_range){0};
}

bool pool_slot_grow(struct wasm_pool *p, uint64_t size, struct pool_range *r) {
    static const uint8_t zeros[PAGE];
    if (r->size > LARGEST_SLOT) {
        uint64_t room = (uint64_t)WASM_PAGE_SIZE << class_of(size);
        void *data = mremap(r->data, r->size, room, MREMAP_MAYMOVE);
        if (data == MAP_FAILED)
            return false;
        *r = (struct pool_range){data, room, room};
        return true;
    }
    struct pool_range to;
    if (!pool_slot(p, size, &to))
        return false;
    for (uint64_t at = 0; at < r->size; at += PAGE)
        if (memcmp(r->data + at, zeros, PAGE) != 0) /* what is zero shall not take a page */
            memcpy(to.data + at, r->data + at, PAGE);
    if (r->data)
        pool_slot_release(p, r);
    *r = to;
    return true;
}

/* ---- stacks ------------------------------------------------------------------------------------------------------ */

/* Of the whole process, for those without a pool: stacks that nobody has now. The first word is the size. */
static uint8_t *spares[8];

static bool take_spare(size_t size, struct pool_range *out) {
    for (size_t i = 0; i < sizeof spares / sizeof *spares; i++) {
        uint8_t *p = __atomic_exchange_n(&spares[i], NULL, __ATOMIC_ACQUIRE);
        if (p && get_u64(p) == size) {
            put_u64(p, 0);
            out->data = p;
            return true;
        }
        if (p)
            unmap(p, get_u64(p));
    }
    return false;
}

static bool keep_spare(const struct pool_range *r) {
    put_u64(r->data, r->size);
    for (size_t i = 0; i < sizeof spares / sizeof *spares; i++) {
        uint8_t *none = NULL;
        if (__atomic_compare_exchange_n(&spares[i], &none, r->data, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

bool pool_stack(struct wasm_pool *p, size_t size, struct pool_range *out) {
    struct pool_range r = {.size = size, .committed = size};
    if (!(p ? take_kept(p->stacks, &p->nstacks, size, &r) : take_spare(size, &r)))
        if (!map(size, PROT_READ | PROT_WRITE, &r.data))
            return false;
    *out = r;
    return true;
}

void pool_stack_release(struct wasm_pool *p, struct pool_range *r, size_t second) {
    if (!p || p->nstacks < KEPT) {
        empty(r->data, second);
        empty(r->data + second, r->size - second);
    }
    if (p && p->nstacks < KEPT)
        p->stacks[p->nstacks++] = *r;
    else if (p || !keep_spare(r))
        unmap(r->data, r->size);
    *r = (struct pool_range){0};
}
