/* hot.c: what is worth compiling, from samples: one every quarter million ticks that the interpreter does (well under a
 * millisecond).
 *
 * Two samples in a function are no accident. It is then asked for together with those around it that have been met: the
 * callers it was found under, and the functions found under it, so that they call one another directly. When it was
 * found in a loop, the loop's head becomes an entry too, since a function that never returns is never called again. */
#include "tier/internal.h"

#include <stdlib.h>

enum {
    HOT_SAMPLES = 2,
    SEEN_MAX = 1 << 16,
    GROUP_MAX = 8,
    GROUP_CALLERS = 3,      /* levels upwards */
    GROUP_BYTES = 16 << 10, /* of bodies; a function that is larger by itself is alone */
    LOOPS_MAX = 1 << 12,    /* of a module, ever asked for */
};

struct group {
    struct tier_module *module;
    uint32_t funcs[GROUP_MAX], n;
    uint64_t bytes;
};

static bool in_group(const struct group *g, uint32_t func) {
    for (uint32_t i = 0; i < g->n; i++)
        if (g->funcs[i] == func)
            return true;
    return false;
}

static void join(struct group *g, uint32_t func) {
    struct tier_module *m = g->module;
    uint64_t bytes = wasm_module_func_bytes(m->wasm, func);
    if (g->n == GROUP_MAX || m->state[func] != FUNC_NONE || !bytes || g->bytes + bytes > GROUP_BYTES ||
        in_group(g, func))
        return;
    g->funcs[g->n++] = func;
    g->bytes += bytes;
}

static int by_index(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Callers upwards, then what was found under any of them. */
static void gather(struct group *g, uint32_t func) {
    struct tier_module *m = g->module;
    g->funcs[g->n++] = func;
    g->bytes = wasm_module_func_bytes(m->wasm, func);
    uint32_t caller = m->caller[func];
    for (int i = 0; i < GROUP_CALLERS && caller != UINT32_MAX; i++) {
        if (m->samples[caller])
            join(g, caller);
        caller = m->caller[caller];
    }
    for (uint32_t i = 0; i < m->nseen && g->n < GROUP_MAX; i++) {
        uint32_t under = m->caller[m->seen[i]];
        if (under != UINT32_MAX && in_group(g, under))
            join(g, m->seen[i]);
    }
    qsort(g->funcs, g->n, sizeof *g->funcs, by_index);
}

static bool count(struct tier_module *m, const struct wasm_hot *hot) {
    if (!m->samples) {
        m->samples = mem_zalloc(m->nfuncs * sizeof *m->samples);
        m->caller = mem_alloc(m->nfuncs * sizeof *m->caller);
        memset(m->caller, 0xff, m->nfuncs * sizeof *m->caller);
        m->seen = mem_alloc(SEEN_MAX * sizeof *m->seen);
    }
    if (!m->samples[hot->func]) {
        if (m->nseen == SEEN_MAX)
            return false;
        m->seen[m->nseen++] = hot->func;
    }
    m->samples[hot->func]++;
    if (hot->caller < m->nfuncs && hot->caller != hot->func)
        m->caller[hot->func] = hot->caller;
    return m->samples[hot->func] >= HOT_SAMPLES;
}

void hot_sample(struct tier_module *m, const struct wasm_hot *hot) {
    if (hot->func >= m->nfuncs || !wasm_module_func_bytes(m->wasm, hot->func) || !count(m, hot))
        return;
    const struct tier_loop loop = {hot->func, hot->loop};
    uint32_t nloops = hot->loop && m->nloops < LOOPS_MAX && !module_has_loop(m, hot->func, hot->loop);
    enum func_state state = (enum func_state)m->state[hot->func];
    struct group g = {.module = m};
    if (state == FUNC_NONE)
        gather(&g, hot->func);
    else if (state == FUNC_HAVE && nloops)
        g.funcs[g.n++] = hot->func;
    if (g.n)
        (void)pool_request(m, g.funcs, g.n, &loop, nloops); /* no room: it will be sampled again */
}
