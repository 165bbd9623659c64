#include "base/arena.h"

#include "base/must.h"

#include <stdbool.h>
#include <stdint.h>

enum { FIRST_BLOCK = 4 << 10, LAST_BLOCK = 64 << 10 }; /* each twice the one before */

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    _Alignas(16) uint8_t data[];
};

void arena_init(struct arena *a) {
    *a = (struct arena){0};
}

void arena_deinit(struct arena *a) {
    while (a->head) {
        struct arena_block *next = a->head->next;
        mem_free(a->head);
        a->head = next;
    }
    a->used_bytes = 0;
}

void *arena_alloc(struct arena *a, size_t size) {
    must(size < SIZE_MAX / 4);
    size = (size + 15) & ~(size_t)15;
    struct arena_block *b = a->head;
    if (!b || b->size - b->used < size) {
        size_t next = !a->head ? FIRST_BLOCK : a->head->size < LAST_BLOCK / 2 ? 2 * a->head->size : LAST_BLOCK;
        bool big = size > next / 2;
        size_t block = big ? size : next;
        b = mem_zalloc(sizeof *b + block);
        b->size = block;
        if (a->head && big) { /* a big one goes behind the block still being filled */
            b->next = a->head->next;
            a->head->next = b;
        } else {
            b->next = a->head;
            a->head = b;
        }
    }
    void *p = b->data + b->used;
    b->used += size;
    a->used_bytes += size;
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n) {
    char *p = arena_alloc(a, n + 1);
    for (size_t i = 0; i < n; i++)
        p[i] = s[i];
    return p;
}
