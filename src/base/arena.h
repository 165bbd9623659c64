/* arena.h: many small allocations freed at once; for things of one lifetime (a decoded module, a manifest). */
#ifndef AEON_BASE_ARENA_H
#define AEON_BASE_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *head;
    size_t used_bytes; /* asked for by callers, over all blocks */
};

void arena_init(struct arena *a);
void arena_deinit(struct arena *a);

/* Zeroed, 16-byte aligned, never NULL (aborts without memory: callers bound what they ask for). */
void *arena_alloc(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull));
char *arena_strndup(struct arena *a, const char *s, size_t n);

#define ARENA_NEW(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (size_t)(n)))

#endif
