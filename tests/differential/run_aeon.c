/* run_aeon: runs modules on our engine and prints what happened, in the form of run_node.mjs.
 * usage: run_aeon [--ticks] [--steps N [--freeze]] FILE.wasm...
 *     --ticks  also prints the clock after each call
 *     --steps  stops every 1 to N ticks and goes on, which must change nothing
 *     --freeze and each time goes on in a new store, from a snapshot; its bytes must be those of an execution beside it
 *              that is never frozen */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"
#include "base/prng.h"
#include "wasm/wasm.h"

enum { FUEL_CALLS = 250, FUEL_LOOPS = 3000, MAX_VALUES = 1000 };

struct logs {
    uint32_t count, hash;
};

static bool show_ticks;
static uint64_t max_step; /* 0: run through */
static bool freeze;

/* A module under way. */
struct machine {
    const struct wasm_module *module;
    struct logs logs;
    struct wasm_store *store;
    struct wasm_instance *instance;
    struct wasm_exec *exec;
    struct machine *twin; /* does the same and is never frozen; or NULL */
};

static const uint32_t HASH_START = 2166136261u;

static uint32_t mix(uint32_t h, uint32_t word) {
    return (h ^ word) * 16777619u;
}

/* ---- imports ---------------------------------------------------------------------------------------------------- */

static void log_word(struct logs *l, uint32_t word) {
    l->hash = mix(l->hash, word);
}

static enum wasm_host log_i32(void *env, struct wasm_exec *x, uint64_t *slots) {
    struct logs *l = env;
    (void)x;
    l->count++;
    log_word(l, (uint32_t)slots[0]);
    return WASM_HOST_OK;
}

static enum wasm_host log_i64(void *env, struct wasm_exec *x, uint64_t *slots) {
    log_i32(env, x, slots);
    log_word(env, (uint32_t)(slots[0] >> 32));
    return WASM_HOST_OK;
}

static uint32_t f32_word(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return f != f ? 0x7fc00000 : bits;
}

static uint64_t f64_word(double d) {
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return d != d ? 0x7ff8000000000000u : bits;
}

static enum wasm_host log_f32(void *env, struct wasm_exec *x, uint64_t *slots) {
    float f;
    memcpy(&f, slots, sizeof f);
    return log_i32(env, x, (uint64_t[]){f32_word(f)});
}

static enum wasm_host log_f64(void *env, struct wasm_exec *x, uint64_t *slots) {
    double d;
    memcpy(&d, slots, sizeof d);
    return log_i64(env, x, (uint64_t[]){f64_word(d)});
}

/* JavaScript cannot take one: V8 throws a TypeError. */
static enum wasm_host log_v128(void *env, struct wasm_exec *x, uint64_t *slots) {
    (void)env, (void)x, (void)slots;
    return WASM_HOST_TRAP;
}

/* References and i32 are the same word here. */
static enum wasm_host same(void *env, struct wasm_exec *x, uint64_t *slots) {
    (void)env, (void)x;
    slots[0] = (uint32_t)slots[0];
    return WASM_HOST_OK;
}

static const struct {
    const char *name;
    wasm_host_fn fn;
} HOST[] = {
    {"log-i32", log_i32},   {"log-i64", log_i64}, {"log-f32", log_f32}, {"log-f64", log_f64},
    {"log-v128", log_v128}, {"make-ref", same},   {"read-ref", same},
};

static bool make_import(struct wasm_store *s, const struct wasm_import *i, struct logs *l, struct wasm_extern *out) {
    struct err e = ERR_INIT;
    out->kind = i->type.kind;
    if (i->type.kind == WASM_KIND_GLOBAL) {
        bool narrow = i->type.global.type == WASM_I32;
        union wasm_value v = {.i64 = narrow ? 1234567u : (uint64_t)-5};
        out->global = wasm_global_new(s, i->type.global, v);
        return true;
    }
    if (i->type.kind == WASM_KIND_MEMORY)
        return wasm_memory_new(s, (struct wasm_limits){1, 4, true}, &out->memory, &e) == ST_OK;
    for (size_t k = 0; k < sizeof HOST / sizeof *HOST; k++)
        if (i->type.kind == WASM_KIND_FUNC && span_equal(i->name, SPAN_STR(HOST[k].name))) {
            out->func = wasm_func_new(s, i->type.func, HOST[k].fn, l, HOST[k].name);
            return true;
        }
    return false;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

static union wasm_value argument(uint8_t type, unsigned base, unsigned j) {
    static const uint64_t ints[8] = {0,  1,           UINT64_MAX,       INT64_MAX, (uint64_t)INT64_MIN,
                                     42, 0x100000000, 0x123456789abcdef};
    static const uint32_t words[8] = {0, 1, UINT32_MAX, INT32_MAX, (uint32_t)INT32_MIN, 42, 65535, 0x12345678};
    static const double floats[8] = {0, -0.0, 1, -1.5, __builtin_inf(), -__builtin_inf(), 1e10, 0.1};
    unsigned k = (base + 3 * j) & 7;
    switch (type) {
    case WASM_I32: return (union wasm_value){.i32 = words[k]};
    case WASM_I64: return (union wasm_value){.i64 = ints[k]};
    case WASM_F32: return (union wasm_value){.f32 = (float)floats[k]};
    case WASM_F64: return (union wasm_value){.f64 = floats[k]};
    case WASM_EXTERNREF: return (union wasm_value){.ref = base + j + 1};
    default: return (union wasm_value){.slot = {0, 0}};
    }
}

static void show(uint8_t type, union wasm_value v) {
    switch (type) {
    case WASM_I32: printf("i32:%08x", v.i32); break;
    case WASM_I64: printf("i64:%016llx", (unsigned long long)v.i64); break;
    case WASM_F32: printf("f32:%08x", f32_word(v.f32)); break;
    case WASM_F64: printf("f64:%016llx", (unsigned long long)f64_word(v.f64)); break;
    default:
        if (v.ref == 0)
            printf("null");
        else if (type == WASM_FUNCREF)
            printf("func");
        else
            printf("ref:%llu", (unsigned long long)v.ref);
    }
}

/* As coarse as V8's messages. */
static const char *kind(enum wasm_trap_kind k) {
    switch (k) {
    case WASM_TRAP_UNREACHABLE: return "unreachable";
    case WASM_TRAP_INTEGER_DIVIDE: return "zero";
    case WASM_TRAP_INTEGER_OVERFLOW:
    case WASM_TRAP_INVALID_CONVERSION: return "range";
    case WASM_TRAP_MEMORY_BOUNDS: return "memory";
    case WASM_TRAP_TABLE_BOUNDS:
    case WASM_TRAP_UNDEFINED_ELEMENT: return "table";
    case WASM_TRAP_UNINITIALIZED:
    case WASM_TRAP_INDIRECT_TYPE: return "indirect";
    case WASM_TRAP_STACK_EXHAUSTED: return "stack";
    case WASM_TRAP_HOST: return "host";
    default: return wasm_trap_text(k);
    }
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

static bool uses_v128(const struct wasm_functype *t) {
    return memchr(t->params, WASM_V128, t->nparams) || memchr(t->results, WASM_V128, t->nresults);
}

static void machine_stop(struct machine *mc) {
    if (mc->exec)
        wasm_exec_free(mc->exec);
    wasm_store_free(mc->store);
}

/* Makes a store with an instance of mc->module. */
static enum status machine_start(struct machine *mc, struct err *e) {
    struct wasm_config config = wasm_config_default();
    uint32_t n = wasm_module_nimports(mc->module);
    struct wasm_extern *imports = mem_zalloc((n + 1) * sizeof *imports);
    enum status st = ST_OK;
    mc->store = wasm_store_new(&config);
    mc->exec = NULL;
    for (uint32_t k = 0; k < n && st == ST_OK; k++) {
        struct wasm_import i = wasm_module_import(mc->module, k);
        if (!make_import(mc->store, &i, &mc->logs, &imports[k]))
            st = err_set(e, ST_UNLINKABLE, "import %u is unknown here", k);
    }
    if (st == ST_OK)
        st = wasm_instance_new(mc->store, mc->module, imports, n, &mc->instance, e);
    if (st == ST_OK)
        mc->exec = wasm_exec_new(mc->store);
    mem_free(imports);
    return st;
}

/* The twin, which is where we are, has the same snapshot: nothing that will be needed got lost in ours, and what will
 * not be needed is not in its either. */
static void compare_with_twin(struct machine *twin, struct span ours) {
    struct err e = ERR_INIT;
    struct buf b;
    buf_init(&b, 64 << 20);
    must(wasm_snapshot_save(twin->exec, twin->instance, &b, &e) == ST_OK);
    if (!span_equal(buf_span(&b), ours))
        printf(" other snapshot at %llu", (unsigned long long)wasm_clock(twin->exec));
    buf_deinit(&b);
}

/* Everything anew, from a snapshot; instances that share state with others stay. */
static void thaw_frozen(struct machine *mc) {
    struct err e = ERR_INIT;
    struct buf b;
    buf_init(&b, 64 << 20);
    enum status st = wasm_snapshot_save(mc->exec, mc->instance, &b, &e);
    if (st == ST_OK) {
        compare_with_twin(mc->twin, buf_span(&b));
        machine_stop(mc);
        st = machine_start(mc, &e);
        if (st == ST_OK)
            st = wasm_snapshot_load(mc->exec, mc->instance, buf_span(&b), &e);
    } else if (st == ST_UNSUPPORTED) {
        st = ST_OK;
    }
    if (st != ST_OK)
        printf(" %s", e.text);
    must(st == ST_OK);
    buf_deinit(&b);
}

static void fill_fuel(struct machine *mc) {
    struct wasm_extern f;
    if (wasm_instance_export(mc->instance, "calls", &f) && f.kind == WASM_KIND_GLOBAL) {
        wasm_global_set(f.global, (union wasm_value){.i64 = FUEL_CALLS});
        must(wasm_instance_export(mc->instance, "loops", &f));
        wasm_global_set(f.global, (union wasm_value){.i64 = FUEL_LOOPS});
    } else if (wasm_instance_export(mc->instance, "hangLimitInitializer", &f)) {
        wasm_call(mc->exec, f.func, NULL);
        must(wasm_run(mc->exec, (uint64_t)WASM_FOREVER) == WASM_DONE);
    }
}

/* To the end, at once or in steps; between these the clock must stand where it was told to stop. Short steps and long
 * ones are as frequent. */
static enum wasm_outcome run(struct machine *mc) {
    if (max_step == 0)
        return wasm_run(mc->exec, (uint64_t)WASM_FOREVER);
    struct prng prng = {wasm_clock(mc->exec)};
    for (;;) {
        uint64_t step = max_step >> prng_below(&prng, 64 - (unsigned)__builtin_clzll(max_step));
        uint64_t until = wasm_clock(mc->exec) + 1 + prng_below(&prng, step);
        enum wasm_outcome outcome = wasm_run(mc->exec, until);
        must(!mc->twin || wasm_run(mc->twin->exec, until) == outcome);
        if (outcome != WASM_STOPPED)
            return outcome;
        must(wasm_clock(mc->exec) == until);
        if (freeze)
            thaw_frozen(mc);
    }
}

static struct wasm_extern find_export(const struct machine *mc, const struct wasm_export *ex) {
    char name[256];
    struct wasm_extern x;
    must(ex->name.size < sizeof name);
    memcpy(name, ex->name.data, ex->name.size);
    name[ex->name.size] = 0;
    must(wasm_instance_export(mc->instance, name, &x));
    return x;
}

static void call(struct machine *mc, const struct wasm_export *ex, unsigned base) {
    const struct wasm_functype *t = ex->type.func;
    union wasm_value values[MAX_VALUES];
    for (unsigned j = 0; j < t->nparams; j++)
        values[j] = argument(t->params[j], base, j);
    wasm_call(mc->exec, find_export(mc, ex).func, values);
    if (mc->twin)
        wasm_call(mc->twin->exec, find_export(mc->twin, ex).func, values);
    if (run(mc) == WASM_DONE) {
        wasm_results(mc->exec, values);
        for (unsigned j = 0; j < t->nresults; j++) {
            printf(" ");
            show(t->results[j], values[j]);
        }
    } else {
        printf(" trap %s", kind(wasm_trap(mc->exec)));
        wasm_reset(mc->exec);
        if (mc->twin)
            wasm_reset(mc->twin->exec);
    }
}

static uint32_t hash_memory(struct wasm_memory *m) {
    uint32_t h = HASH_START;
    for (const uint8_t *p = wasm_memory_data(m), *end = p + wasm_memory_size(m); p < end; p += 4)
        h = mix(h, (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
    return h;
}

static uint32_t hash_table(struct wasm_table *t, bool externs) {
    uint32_t h = HASH_START;
    for (uint32_t i = 0; i < wasm_table_size(t); i++) {
        wasm_ref r = 0;
        must(wasm_table_get(t, i, &r));
        h = mix(h, externs ? (uint32_t)r : r != 0);
    }
    return h;
}

static void show_state(const struct wasm_export *ex, struct wasm_extern x) {
    int n = (int)ex->name.size;
    const char *name = (const char *)ex->name.data;
    if (ex->type.kind == WASM_KIND_MEMORY) {
        printf("memory %llu %08x\n", (unsigned long long)wasm_memory_size(x.memory), hash_memory(x.memory));
    } else if (ex->type.kind == WASM_KIND_GLOBAL && ex->type.global.type != WASM_V128) {
        printf("global %.*s ", n, name);
        show((uint8_t)ex->type.global.type, wasm_global_get(x.global));
        printf("\n");
    } else if (ex->type.kind == WASM_KIND_TABLE) {
        printf("table %.*s %u %08x\n", n, name, wasm_table_size(x.table),
               hash_table(x.table, ex->type.elem == WASM_EXTERNREF));
    }
}

static void run_exports(struct machine *mc) {
    const struct wasm_module *m = mc->module;
    unsigned ordinal = 0;
    for (uint32_t k = 0; k < wasm_module_nexports(m); k++) {
        struct wasm_export ex = wasm_module_export(m, k);
        if (ex.type.kind != WASM_KIND_FUNC)
            continue;
        unsigned base = 7 * ordinal++;
        if (uses_v128(ex.type.func))
            continue;
        fill_fuel(mc);
        if (mc->twin)
            fill_fuel(mc->twin);
        printf("%.*s", (int)ex.name.size, (const char *)ex.name.data);
        call(mc, &ex, base);
        if (mc->logs.count)
            printf(" log %u %08x", mc->logs.count, mc->logs.hash);
        if (show_ticks)
            printf(" ticks %llu", (unsigned long long)wasm_clock(mc->exec));
        printf("\n");
    }
    for (uint32_t k = 0; k < wasm_module_nexports(m); k++) {
        struct wasm_export ex = wasm_module_export(m, k);
        show_state(&ex, find_export(mc, &ex));
    }
}

static void run_module(struct span bytes) {
    struct err e = ERR_INIT;
    struct wasm_module *m;
    if (wasm_module_new(bytes, &m, &e) != ST_OK) {
        printf("invalid %s\n", e.text);
        return;
    }
    struct machine twin = {.module = m, .logs = {0, HASH_START}};
    struct machine mc = {.module = m, .logs = {0, HASH_START}, .twin = freeze ? &twin : NULL};
    if (machine_start(&mc, &e) == ST_OK) {
        must(!freeze || machine_start(&twin, &e) == ST_OK);
        run_exports(&mc);
        if (freeze)
            machine_stop(&twin);
    } else {
        printf("instantiation %s\n", e.status == ST_TRAPPED ? strstr(e.text, "table") ? "table" : "memory" : e.text);
    }
    machine_stop(&mc);
    wasm_module_free(m);
}

int main(int argc, char **argv) {
    static const struct option options[] = {{"ticks", no_argument, NULL, 't'},
                                            {"steps", required_argument, NULL, 's'},
                                            {"freeze", no_argument, NULL, 'f'},
                                            {0}};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 't')
            show_ticks = true;
        else if (c == 's')
            max_step = strtoull(optarg, NULL, 10);
        else if (c == 'f')
            freeze = true;
        else
            return 2;
    }
    for (int k = optind; k < argc; k++) {
        FILE *f = fopen(argv[k], "rb");
        struct buf b;
        buf_init(&b, 64 << 20);
        uint8_t chunk[65536];
        for (size_t n; f && (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
            buf_append(&b, chunk, n);
        if (!f || ferror(f)) {
            perror(argv[k]);
            return 1;
        }
        fclose(f);
        const char *slash = strrchr(argv[k], '/');
        printf("module %s\n", slash ? slash + 1 : argv[k]);
        fflush(stdout); /* says which, should it crash */
        run_module(buf_span(&b));
        buf_deinit(&b);
    }
    return 0;
}
