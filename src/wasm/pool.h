/* pool.h: address space for memories and stacks, kept from one store for the next; internal to src/wasm.
 *
 * What is taken is zero.  What is given back is emptied at once: of few pages those that were touched are written over
 * and stay, so that the next to take them meets no page fault; more go back to the system.  Every function may be
 * called with pool NULL, and then maps and unmaps, but for some stacks that the process keeps. */
#ifndef AEON_WASM_POOL_H
#define AEON_WASM_POOL_H

#include "wasm/wasm.h"

/* Address space of one memory, the first `committed` bytes of which can be read and written. */
struct pool_range {
    uint8_t *data; /* NULL: there is none */
    uint64_t size, committed;
};

/* Reserves `size` bytes that can hold a memory from the beginning; false: no address space. */
bool pool_reserve(struct wasm_pool *p, uint64_t size, uint64_t committed, struct pool_range *out);
/* Makes more of it usable, up to `bytes` or somewhat beyond. */
bool pool_commit(struct pool_range *r, uint64_t bytes);
void pool_release(struct wasm_pool *p, struct pool_range *r);

/* A slot of at least `size` bytes, all committed; never with pool NULL. */
bool pool_slot(struct wasm_pool *p, uint64_t size, struct pool_range *out);
/* The same contents in a larger slot. False: no address space, nothing has changed. */
bool pool_slot_grow(struct wasm_pool *p, uint64_t size, struct pool_range *r);
void pool_slot_release(struct wasm_pool *p, struct pool_range *r);

/* `size` bytes, all committed; false: no address space. */
bool pool_stack(struct wasm_pool *p, size_t size, struct pool_range *out);
/* What was touched begins at its beginning and at `second`, which is on the boundary of a page, 64 KiB on any machine.
 */
void pool_stack_release(struct wasm_pool *p, struct pool_range *r, size_t second);

#endif
