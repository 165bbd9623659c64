#include "tiers.h"

enum { MOST_PAGES = 8, MOST_SEEN = 16 };

uint64_t world_mix_bytes(uint64_t h, const uint8_t *p, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        h = world_mix(h, get_u64(p + i));
    for (; i < n; i++)
        h = world_mix(h, p[i]);
    return h;
}

/* ---- references and values -------------------------------------------------------------------------------------- */

static uint64_t instance_number(const struct world *w, const struct wasm_instance *i) {
    for (uint64_t k = 0; k < INSTANCES; k++)
        if (i && w->instances[k] == i)
            return k + 1;
    return 0;
}

uint64_t world_ref(const struct world *w, uint8_t type, wasm_ref v) {
    if (type != WASM_FUNCREF || !v)
        return v;
    const struct wasm_func *f = (const struct wasm_func *)(uintptr_t)v;
    if (f->instance)
        return instance_number(w, f->instance) << 32 | f->index;
    return 1ull << 60 | ((const struct host_import *)f->env)->import;
}

static uint64_t random_bits(struct prng *r) {
    static const uint64_t special[] = {0,
                                       1,
                                       42,
                                       65535,
                                       65536,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       0x100000000,
                                       INT64_MAX,
                                       1ull << 63,
                                       UINT64_MAX,
                                       0x3f800000, /* 1.0f */
                                       0x7f800000, /* infinity */
                                       0x7fc00000, /* NaNs: canonical, signalling, with something in it */
                                       0xff800001,
                                       0xffc12345,
                                       0x3ff0000000000000,
                                       0x7ff0000000000000,
                                       0x7ff8000000000000,
                                       0xfff0000000000001,
                                       0xfff8000000012345,
                                       0x41dfffffffc00000, /* 2147483647.0 */
                                       0xc1e0000000000000};
    uint64_t n = sizeof special / sizeof *special;
    uint64_t any = prng_next(r), which = prng_below(r, 4 * n);
    return which < 2 * n ? special[which / 2] : which < 3 * n ? any >> (any & 63) : any;
}

union wasm_value world_value(const struct world *w, uint8_t type, struct prng *r) {
    union wasm_value v = {.slot = {random_bits(r), random_bits(r)}};
    if (type == WASM_V128)
        return v;
    v.slot[1] = 0;
    if (type == WASM_I32 || type == WASM_F32)
        v.slot[0] = (uint32_t)v.slot[0];
    if (type == WASM_FUNCREF) {
        uint64_t k = prng_below(r, w->module->nfuncs + 1u);
        v.ref = k ? (wasm_ref)(uintptr_t)wasm_instance_func(w->instances[0], (uint32_t)k - 1) : 0;
    }
    return v;
}

/* ---- host functions -----------------------------------------------------------------------------------------------
 */

/* How deep it is, and the innermost frames: telling where one stands takes its time. */
static uint64_t mix_frames(const struct world *w, uint64_t h, uint32_t cap) {
    struct wasm_frame frames[MOST_SEEN];
    uint32_t n = wasm_backtrace(w->exec, frames, cap);
    h = world_mix(h, n);
    for (uint32_t i = 0; i < n && i < cap; i++)
        h = world_mix(h, frames[i].instance ? instance_number(w, frames[i].instance) << 60 |
                                                  (uint64_t)frames[i].func << 32 | frames[i].offset
                                            : 1);
    return h;
}

/* Everything of the guest's that the embedder may look at in the middle of it. */
static uint64_t mix_exports(const struct world *w, uint64_t h, bool memory_too) {
    const struct wasm_instance *i = w->instances[0];
    for (uint32_t k = 0; k < w->module->nglobals; k++) {
        uint8_t type = (uint8_t)i->globals[k]->type.type;
        h = world_mix(h, world_ref(w, type, i->globals[k]->v.ref));
        if (type == WASM_V128)
            h = world_mix(h, i->globals[k]->v.slot[1]);
    }
    for (uint32_t k = 0; k < w->module->nmemories; k++) {
        h = world_mix(h, i->memories[k]->size);
        if (memory_too)
            h = world_mix_bytes(h, i->memories[k]->data, (size_t)i->memories[k]->size);
    }
    for (uint32_t k = 0; k < w->module->ntables; k++)
        h = world_mix(h, i->tables[k]->size);
    return h;
}

/* Writes to one thing that the guest has exported. */
static void meddle(struct world *w, struct prng *r) {
    const struct wasm_module *m = w->module;
    if (!m->nexports)
        return;
    const struct module_export *ex = &m->exports[prng_below(r, m->nexports)];
    struct wasm_instance *i = w->instances[0];
    if (ex->kind == WASM_KIND_MEMORY) {
        struct wasm_memory *mem = i->memories[ex->index];
        for (uint64_t k = 0; k < 20 && mem->size; k++)
            mem->data[prng_below(r, mem->size)] = (uint8_t)prng_next(r);
        if (prng_below(r, 4) == 0 && mem->size < MOST_PAGES * WASM_PAGE_SIZE)
            (void)wasm_memory_grow(mem, 1);
    } else if (ex->kind == WASM_KIND_GLOBAL && i->globals[ex->index]->type.is_mutable) {
        wasm_global_set(i->globals[ex->index], world_value(w, (uint8_t)i->globals[ex->index]->type.type, r));
    } else if (ex->kind == WASM_KIND_TABLE && i->tables[ex->index]->size) {
        struct wasm_table *t = i->tables[ex->index];
        wasm_table_set(t, (uint32_t)prng_below(r, t->size), world_value(w, (uint8_t)t->elem, r).ref);
        if (t->size < 100 && prng_below(r, 4) == 0)
            table_grow(t, 1 + (uint32_t)prng_below(r, 40), 0);
    }
}

static void put_results(const struct host_import *h, uint64_t *slots, struct prng *r) {
    for (uint32_t k = 0; k < h->type->nresults; k++) {
        union wasm_value v = world_value(h->world, h->type->results[k], r);
        uint8_t type = h->type->results[k];
        slots[0] = v.slot[0];
        slots[1] = type == WASM_V128 ? v.slot[1] : slots[1];
        if (type == WASM_I32 || type == WASM_F32)
            slots[0] |= prng_next(r) << 32; /* which the engine must not mind */
        slots += type_slots(type);
    }
}

static enum wasm_host act(void *env, struct wasm_exec *x, uint64_t *slots) {
    struct host_import *h = env;
    struct world *w = h->world;
    uint32_t n = ++w->calls;
    must(x == w->exec);
    uint64_t seen = world_mix(w->seen, h->import);
    for (uint32_t k = 0, slot = 0; k < h->type->nparams; slot += type_slots(h->type->params[k++])) {
        seen = world_mix(seen, world_ref(w, h->type->params[k], slots[slot]));
        if (h->type->params[k] == WASM_V128)
            seen = world_mix(seen, slots[slot + 1]);
    }
    seen = world_mix(seen, wasm_clock(x));
    seen = world_mix(seen, instance_number(w, wasm_exec_instance(x)));
    seen = mix_frames(w, seen, n == 1 || n % 128 == 0 ? MOST_SEEN : n < 8 ? 2 : 0);
    seen = mix_exports(w, seen, n % 32 == 1);
    w->seen = seen;
    if (n == w->deeds.park)
        return WASM_HOST_PARK;
    if (n == w->deeds.trap) {
        wasm_trap_set_text(x, "as planned");
        return WASM_HOST_TRAP;
    }
    if (n == w->deeds.exit)
        return WASM_HOST_EXIT;
    if (n == w->deeds.interrupt) {
        w->interrupts++;
        wasm_interrupt(x);
    }
    struct prng r = {world_mix(w->deeds.seed, n)};
    if (w->deeds.meddle && prng_below(&r, 4) == 0)
        meddle(w, &r);
    put_results(h, slots, &r);
    return WASM_HOST_OK;
}

/* ---- worlds -------------------------------------------------------------------------------------------------------
 */

static bool make_import(struct world *w, uint32_t k, struct wasm_extern *out) {
    struct wasm_import i = wasm_module_import(w->module, k);
    struct err e = ERR_INIT;
    out->kind = i.type.kind;
    w->hosts[k] = (struct host_import){w, i.type.func, k};
    switch (i.type.kind) {
    case WASM_KIND_GLOBAL:
        out->global = wasm_global_new(w->store, i.type.global, (union wasm_value){.i64 = 5});
        return true;
    case WASM_KIND_MEMORY:
        return wasm_memory_new(w->store, (struct wasm_limits){1, 4, true}, &out->memory, &e) == ST_OK;
    case WASM_KIND_TABLE: return wasm_table_new(w->store, i.type.elem, i.type.limits, 0, &out->table, &e) == ST_OK;
    case WASM_KIND_FUNC: out->func = wasm_func_new(w->store, i.type.func, act, &w->hosts[k], "host"); return true;
    }
    return false;
}

/* Functions of each in the other's first table of functions. */
static void mingle(struct world *w, uint64_t seed) {
    struct prng r = {seed};
    for (uint32_t k = 0; k < w->module->ntables; k++) {
        if (w->instances[0]->tables[k]->elem != WASM_FUNCREF)
            continue;
        for (uint32_t side = 0; side < INSTANCES; side++) {
            struct wasm_table *t = w->instances[side]->tables[k];
            for (uint32_t i = 0; i < t->size; i++) {
                struct wasm_func *f = (struct wasm_func *)(uintptr_t)t->elems[i];
                if (prng_below(&r, 2) && f && f->instance)
                    t->elems[i] = (wasm_ref)(uintptr_t)wasm_instance_func(w->instances[1 - side], f->index);
            }
        }
    }
}

static void at_slice(void *ctx, uint64_t ticks) {
    struct world *w = ctx;
    must(ticks <= w->exec->until);
    if (w->slice)
        w->slice(w);
}

static void at_hot(void *ctx, const struct wasm_hot *hot) {
    struct world *w = ctx;
    must(hot->module == w->module && hot->func < w->module->nfuncs);
}

enum status world_start(struct world *w, const struct setting *s, struct err *e) {
    uint32_t n = wasm_module_nimports(w->module);
    struct wasm_extern *imports = mem_zalloc((n + 1) * sizeof *imports);
    enum status st = ST_OK;
    w->hosts = mem_zalloc((n + 1) * sizeof *w->hosts);
    w->store = wasm_store_new(&s->config);
    for (uint32_t k = 0; k < n && st == ST_OK; k++)
        if (!make_import(w, k, &imports[k]))
            st = err_set(e, ST_UNLINKABLE, "import %u cannot be made", k);
    for (uint32_t k = 0; k < 1u + s->two && st == ST_OK; k++)
        st = wasm_instance_new(w->store, w->module, imports, n, &w->instances[k], e);
    if (st == ST_OK && s->two)
        mingle(w, s->seed);
    if (st == ST_OK) {
        w->exec = wasm_exec_new(w->store);
        wasm_set_slice(w->exec, at_slice, w);
        wasm_set_hot(w->exec, at_hot, w);
        if (s->native_bytes)
            wasm_set_native_stack(w->exec, s->native_bytes);
    }
    mem_free(imports);
    return st;
}

void world_stop(struct world *w) {
    wasm_exec_free(w->exec);
    wasm_store_free(w->store);
    mem_free(w->hosts);
}
