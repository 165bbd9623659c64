/* Execution of arbitrary valid modules: straight, in steps with a snapshot and a new process's worth of state at each,
 * and it must not show.  What does not validate is left to fuzz_module. */
#include "base/must.h"
#include "base/prng.h"
#include "wasm/wasm.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TICKS = 3000, ROOM = 8 << 20 };

struct machine {
    const struct wasm_module *module;
    struct wasm_store *store;
    struct wasm_instance *instance;
    struct wasm_exec *exec;
};

static enum wasm_host host(void *env, struct wasm_exec *x, uint64_t *slots) {
    const struct wasm_functype *t = env;
    for (uint32_t i = 0; i < t->result_slots; i++)
        slots[i] = 0;
    return wasm_clock(x) % 64 == 63 ? WASM_HOST_TRAP : WASM_HOST_OK;
}

static bool start(struct machine *m, const struct wasm_module *module) {
    struct wasm_config c = {.max_memory_bytes = 4 * WASM_PAGE_SIZE, .max_table_elems = 1000, .max_stack_slots = 4000};
    struct wasm_extern imports[16];
    uint32_t n = wasm_module_nimports(module);
    *m = (struct machine){.module = module, .store = wasm_store_new(&c)};
    bool ok = n <= 16;
    for (uint32_t i = 0; ok && i < n; i++) {
        struct wasm_externtype t = wasm_module_import(module, i).type;
        ok = t.kind == WASM_KIND_FUNC;
        if (ok)
            imports[i] = (struct wasm_extern){
                .kind = t.kind, .func = wasm_func_new(m->store, t.func, host, (void *)(uintptr_t)t.func, "host")};
    }
    ok = ok && wasm_instance_new(m->store, module, imports, n, &m->instance, NULL) == ST_OK;
    m->exec = wasm_exec_new(m->store);
    return ok;
}

static void stop(struct machine *m) {
    wasm_exec_free(m->exec);
    wasm_store_free(m->store);
}

static uint64_t mix(uint64_t h, const void *p, size_t n) {
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++)
        h = (h ^ b[i]) * 0x100000001b3u;
    return h;
}

/* What an embedder could tell two executions apart by. */
static uint64_t observe(struct machine *m, enum wasm_outcome o, const struct wasm_functype *t) {
    uint64_t h = mix(0xcbf29ce484222325u, &o, sizeof o), clock = wasm_clock(m->exec);
    enum wasm_trap_kind k = wasm_trap(m->exec);
    h = mix(mix(h, &clock, sizeof clock), &k, sizeof k);
    if (o == WASM_DONE) {
        union wasm_value v[1000];
        wasm_results(m->exec, v);
        for (uint32_t i = 0; i < t->nresults; i++)
            if (t->results[i] != WASM_FUNCREF)
                h = mix(h, &v[i], sizeof v[i]);
    }
    struct wasm_frame f[300];
    uint32_t n = wasm_backtrace(m->exec, f, 300);
    for (uint32_t i = 0; i < n && i < 300; i++)
        if (o == WASM_TRAPPED)
            h = mix(mix(h, &f[i].func, sizeof f[i].func), &f[i].offset, sizeof f[i].offset);
    struct wasm_memory *mem = wasm_instance_memory(m->instance);
    return mem ? mix(h, wasm_memory_data(mem), wasm_memory_size(mem)) : h;
}

static void thaw(struct machine *m, struct buf *snap) {
    struct err e = ERR_INIT;
    const struct wasm_module *module = m->module;
    buf_clear(snap);
    must(wasm_snapshot_save(m->exec, m->instance, snap, &e) == ST_OK);
    stop(m);
    must(start(m, module));
    must(wasm_snapshot_load(m->exec, m->instance, buf_span(snap), &e) == ST_OK);
}

static void compare(const struct wasm_module *module, const char *name, const struct wasm_functype *t, uint64_t seed) {
    struct machine m;
    struct wasm_extern f;
    union wasm_value args[1000] = {0};
    struct prng p = {seed};
    for (uint32_t i = 0; i < t->nparams; i++)
        if (t->params[i] != WASM_FUNCREF && t->params[i] != WASM_EXTERNREF) {
            args[i].slot[0] = prng_next(&p) >> prng_below(&p, 64);
            args[i].slot[1] = prng_next(&p);
        }
    if (!start(&m, module)) {
        stop(&m);
        return;
    }
    must(wasm_instance_export(m.instance, name, &f));
    wasm_call(m.exec, f.func, args);
    uint64_t straight = observe(&m, wasm_run(m.exec, TICKS), t);
    stop(&m);

    must(start(&m, module));
    must(wasm_instance_export(m.instance, name, &f));
    wasm_call(m.exec, f.func, args);
    struct buf snap;
    buf_init(&snap, ROOM);
    enum wasm_outcome o;
    for (;;) {
        uint64_t until = wasm_clock(m.exec) + 1 + prng_below(&p, 400);
        o = wasm_run(m.exec, until < TICKS ? until : TICKS);
        if (o != WASM_STOPPED || wasm_clock(m.exec) >= TICKS)
            break;
        thaw(&m, &snap);
    }
    must(observe(&m, o, t) == straight);
    stop(&m);
    buf_deinit(&snap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wasm_module *m;
    if (wasm_module_new(SPAN(data, size), &m, NULL) != ST_OK)
        return 0;
    uint32_t n = wasm_module_nexports(m);
    for (uint32_t i = 0; i < n && i < 4; i++) {
        struct wasm_export x = wasm_module_export(m, i);
        char name[64];
        if (x.type.kind != WASM_KIND_FUNC || x.name.size >= sizeof name || memchr(x.name.data, 0, x.name.size))
            continue;
        memcpy(name, x.name.data, x.name.size);
        name[x.name.size] = 0;
        compare(m, name, x.type.func, size + i);
    }
    wasm_module_free(m);
    return 0;
}
