// Runs what arbitrary bytes come to, twice: in one go, and stopped every few ticks, so that both translations of every
// function take part.  Outcome, trap, clock, results, memory and globals have to agree at every call.

#include "base/must.h"
#include "wasm/module.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TICKS = 20000, CALLS = 6, MEMORY_PAGES = 4, MAX_VALUES = 16 };

struct run {
    uint64_t step; // ticks between two stops
    struct wasm_store *store;
    struct wasm_exec *exec;
    struct wasm_instance *instance;
    uint64_t digests[CALLS + 2];
    unsigned n;
};

static uint64_t mix(uint64_t h, const void *data, size_t size) {
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

// Answers with numbers of the right types.
static enum wasm_host host(void *env, struct wasm_exec *x, uint64_t *slots) {
    const struct wasm_functype *type = env;
    (void)x;
    uint32_t slot = 0;
    for (uint32_t i = 0; i < type->nresults; i++) {
        bool is_ref = type->results[i] == WASM_FUNCREF || type->results[i] == WASM_EXTERNREF;
        slots[slot++] = is_ref ? 0 : 7 + i;
        if (type->results[i] == WASM_V128)
            slots[slot++] = 9;
    }
    return WASM_HOST_OK;
}

static bool provide(struct run *r, const struct wasm_externtype *t, struct wasm_extern *out) {
    out->kind = t->kind;
    switch (t->kind) {
    case WASM_KIND_FUNC: out->func = wasm_func_new(r->store, t->func, host, (void *)t->func, NULL); return true;
    case WASM_KIND_TABLE: return wasm_table_new(r->store, t->elem, t->limits, 0, &out->table, NULL) == ST_OK;
    case WASM_KIND_MEMORY: return wasm_memory_new(r->store, t->limits, &out->memory, NULL) == ST_OK;
    case WASM_KIND_GLOBAL: out->global = wasm_global_new(r->store, t->global, (union wasm_value){0}); return true;
    }
    return false;
}

static bool instantiate(struct run *r, const struct wasm_module *m) {
    uint32_t n = wasm_module_nimports(m);
    struct wasm_extern *imports = mem_zalloc((n + 1ul) * sizeof *imports);
    bool ok = true;
    for (uint32_t i = 0; i < n && ok; i++) {
        struct wasm_import imp = wasm_module_import(m, i);
        ok = provide(r, &imp.type, &imports[i]);
    }
    ok = ok && wasm_instance_new(r->store, m, imports, n, &r->instance, NULL) == ST_OK;
    mem_free(imports);
    return ok;
}

static uint64_t digest_state(const struct run *r, uint64_t h) {
    struct wasm_memory *memory = wasm_instance_memory(r->instance);
    if (memory)
        h = mix(h, wasm_memory_data(memory), wasm_memory_size(memory));
    const struct wasm_module *m = wasm_instance_module(r->instance);
    for (uint32_t i = 0; i < wasm_module_nexports(m); i++) {
        struct wasm_export x = wasm_module_export(m, i);
        char name[64];
        struct wasm_extern g;
        if (x.type.kind != WASM_KIND_GLOBAL || x.name.size >= sizeof name || x.type.global.type == WASM_FUNCREF)
            continue;
        memcpy(name, x.name.data, x.name.size);
        name[x.name.size] = 0;
        if (strlen(name) == x.name.size && wasm_instance_export(r->instance, name, &g)) {
            union wasm_value v = wasm_global_get(g.global);
            h = mix(h, &v, x.type.global.type == WASM_V128 ? 16 : 8);
        }
    }
    return h;
}

// One call, to its end or to its share of ticks; false when it has not come to its end.
static bool call(struct run *r, struct wasm_func *f) {
    const struct wasm_functype *type = wasm_func_type(f);
    union wasm_value values[MAX_VALUES] = {0};
    if (type->nparams > MAX_VALUES || type->nresults > MAX_VALUES)
        return true;
    for (uint32_t i = 0; i < type->nparams; i++)
        if (type->params[i] != WASM_FUNCREF)
            values[i] = (union wasm_value){.slot = {type->params[i] == WASM_I32 ? 3 * i : 0x4008000000000003u * i, i}};
    wasm_reset(r->exec);
    wasm_call(r->exec, f, values);
    uint64_t end = wasm_clock(r->exec) + TICKS, until = wasm_clock(r->exec);
    enum wasm_outcome how;
    do {
        until = end - until < r->step ? end : until + r->step;
        how = wasm_run(r->exec, until);
        must(wasm_clock(r->exec) <= until && (how != WASM_STOPPED || wasm_clock(r->exec) == until));
    } while (how == WASM_STOPPED && until < end);
    uint64_t facts[3] = {(uint64_t)how, (uint64_t)wasm_trap(r->exec), wasm_clock(r->exec)};
    uint64_t h = mix(0xcbf29ce484222325u, facts, sizeof facts);
    if (how == WASM_DONE) {
        wasm_results(r->exec, values);
        for (uint32_t i = 0; i < type->nresults; i++)
            if (type->results[i] == WASM_FUNCREF) // an address: only whether it is null
                h = mix(h, &(uint8_t){values[i].ref != 0}, 1);
            else
                h = mix(h, &values[i], type->results[i] == WASM_V128 ? 16 : type->results[i] == WASM_I32 ? 4 : 8);
    }
    r->digests[r->n++] = digest_state(r, h);
    return how != WASM_STOPPED;
}

static void run(struct run *r, const struct wasm_module *m) {
    struct wasm_config config = {MEMORY_PAGES * WASM_PAGE_SIZE, 1000, 20000, 300};
    r->store = wasm_store_new(&config);
    r->exec = wasm_exec_new(r->store);
    if (instantiate(r, m)) {
        struct wasm_func *start = wasm_instance_start(r->instance);
        bool go_on = !start || call(r, start);
        for (uint32_t i = 0, calls = 0; go_on && i < wasm_module_nexports(m) && calls < CALLS; i++) {
            struct wasm_export x = wasm_module_export(m, i);
            if (x.type.kind == WASM_KIND_FUNC) {
                calls++;
                go_on = call(r, wasm_instance_func(r->instance, x.index));
            }
        }
    }
    wasm_exec_free(r->exec);
    wasm_store_free(r->store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wasm_module *m;
    if (wasm_module_new(SPAN(data, size), &m, NULL) != ST_OK)
        return 0;
    struct run once = {.step = TICKS}, often = {.step = 1 + size % 13};
    run(&once, m);
    run(&often, m);
    must(once.n == often.n);
    for (unsigned i = 0; i < once.n; i++)
        must(once.digests[i] == often.digests[i]);
    wasm_module_free(m);
    return 0;
}
