/* memory.c: linear memories, of either kind (wasm.h). */
#include "wasm/engine.h"

static bool is_compact(const struct wasm_store *s) {
    return s->config.memory_kind == WASM_MEMORY_COMPACT;
}

enum status wasm_memory_new(struct wasm_store *s, struct wasm_limits limits, struct wasm_memory **out, struct err *e) {
    uint64_t size = (uint64_t)limits.min * WASM_PAGE_SIZE;
    if (size > s->config.max_memory_bytes)
        return err_set(e, ST_LIMIT, "memory of %llu MiB wanted, the limit is %llu MiB",
                       (unsigned long long)(size >> 20), (unsigned long long)(s->config.max_memory_bytes >> 20));
    uint64_t max = limits.has_max ? (uint64_t)limits.max * WASM_PAGE_SIZE : 1ull << 32;
    if (max > s->config.max_memory_bytes)
        max = s->config.max_memory_bytes;
    struct wasm_memory *m = ARENA_NEW(&s->arena, struct wasm_memory);
    *m = (struct wasm_memory){
        .size = size, .limits = limits, .max_bytes = max / WASM_PAGE_SIZE * WASM_PAGE_SIZE, .store = s};
    if (is_compact(s)) {
        if (size && !pool_slot(s->config.pool, size, &m->range))
            return err_set(e, ST_LIMIT, "no address space for a memory of %llu KiB", (unsigned long long)(size >> 10));
    } else if (m->max_bytes) {
        if (!pool_reserve(s->config.pool, m->max_bytes, size, &m->range))
            return err_set(e, ST_LIMIT, "no address space for a memory of up to %llu MiB; set a lower limit",
                           (unsigned long long)(m->max_bytes >> 20));
    }
    m->data = m->range.data;
    s->memories = mem_realloc(s->memories, (s->nmemories + 1) * sizeof *s->memories);
    *out = s->memories[s->nmemories++] = m;
    return ST_OK;
}

void memory_release(struct wasm_memory *m) {
    if (!m->range.data)
        return;
    if (is_compact(m->store))
        pool_slot_release(m->store->config.pool, &m->range);
    else
        pool_release(m->store->config.pool, &m->range);
}

uint8_t *wasm_memory_data(struct wasm_memory *m) {
    return m->data;
}

uint64_t wasm_memory_size(const struct wasm_memory *m) {
    return m->size;
}

int64_t wasm_memory_grow(struct wasm_memory *m, uint32_t delta_pages) {
    uint64_t more = (uint64_t)delta_pages * WASM_PAGE_SIZE, old = m->size;
    if (more > m->max_bytes - old) {
        m->refused_bytes = old + more > m->refused_bytes ? old + more : m->refused_bytes;
        return -1;
    }
    bool ok = true;
    if (!is_compact(m->store))
        ok = pool_commit(&m->range, old + more);
    else if (old + more > m->range.size)
        ok = pool_slot_grow(m->store->config.pool, old + more, &m->range);
    must(ok); /* growing is decided by limits, not by luck */
    m->data = m->range.data;
    m->size = old + more;
    return (int64_t)(old / WASM_PAGE_SIZE);
}

uint64_t wasm_memory_refused(const struct wasm_memory *m) {
    return m->refused_bytes;
}
