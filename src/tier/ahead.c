/* ahead.c: a whole module, before anybody runs it: neighbours together, on all processors. */
#include "tier/internal.h"

enum {
    GROUP_MAX = 512,
    GROUP_BYTES = 48 << 10, /* of bodies */
    LOOK_NS = 3000000,
    PROGRESS_NS = 100000000,
};

static bool missing(const struct tier_module *m, const bool *wanted, uint32_t f) {
    return m->state[f] == FUNC_NONE && (!wanted || wanted[f]) && wasm_module_func_bytes(m->wasm, f);
}

static uint32_t count(const struct tier_module *m, const bool *wanted) {
    uint32_t n = 0;
    for (uint32_t f = 0; f < m->nfuncs; f++)
        n += missing(m, wanted, f);
    return n;
}

static void ask_for(struct tier_module *m, const bool *wanted) {
    uint32_t funcs[GROUP_MAX], n = 0;
    uint64_t bytes = 0;
    for (uint32_t f = 0; f < m->nfuncs; f++) {
        uint64_t size = wasm_module_func_bytes(m->wasm, f);
        if (!missing(m, wanted, f))
            continue;
        if (n == GROUP_MAX || (n && bytes + size > GROUP_BYTES)) {
            must(pool_request(m, funcs, n, NULL, 0));
            n = 0;
            bytes = 0;
        }
        funcs[n++] = f;
        bytes += size;
    }
    if (n)
        must(pool_request(m, funcs, n, NULL, 0));
}

static void show(struct tier_module *m, struct tier_progress *p, uint64_t *shown_ns, uint64_t now) {
    struct tier *t = m->tier;
    if (!t->o.progress || now - *shown_ns < PROGRESS_NS)
        return;
    *shown_ns = now;
    p->functions = m->report.cached + m->report.compiled + m->report.failed;
    t->o.progress(t->o.ctx, p);
}

enum status ahead_compile(struct tier_module *m, const bool *wanted, struct err *e) {
    struct tier *t = m->tier;
    struct world *w = t->world;
    uint32_t todo = count(m, wanted);
    if (!todo)
        return ST_OK;
    uint64_t shown_ns = 0;
    struct tier_progress progress = {.total = m->report.cached + todo, .begun_ns = world_now(w, WORLD_MONOTONIC)};
    t->ahead = true;
    ask_for(m, wanted);
    for (;;) {
        pool_turn(t);
        uint64_t now = world_now(w, WORLD_MONOTONIC);
        show(m, &progress, &shown_ns, now);
        bool stop = t->o.stopping && t->o.stopping(t->o.ctx);
        if (stop)
            pool_cancel(t);
        if (stop || t->dead || !pool_busy(t))
            break;
        w->ops->wait(w, NULL, 0, now + LOOK_NS);
    }
    t->ahead = false;
    pool_end(t);
    return t->dead ? compiler_missing(t, e) : ST_OK;
}
