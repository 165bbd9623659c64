/* The engine's side of compiled code: whatever is compiled, everything that can be observed is the interpreter's. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/must.h"
#include "base/prng.h"
#include "puppet.h"
#include "wasm/object.h"

#include <stdio.h>

enum { ROOM = 16 << 20 };

/* What is done to an execution from outside. */
struct plan {
    const char *function;
    uint32_t a, b;
    uint64_t compiled; /* bit set over functions */
    bool loops;        /* loops have entries */
    bool late;         /* installed at the first slice, not before the call */
    size_t native_bytes;
    uint64_t stop, step;  /* the clock stops there, and then each `step` */
    int park, trap, exit; /* the host call, from 1, that does so */
    bool snapshots;
    uint32_t stack_slots;
    bool across; /* instances of the module that calls between them */
};

/* And what of it is observed. */
struct seen {
    struct buf log;
    uint64_t entered, loops_entered;
    bool counted; /* these */
    uint64_t clock;
};

struct machine {
    const struct plan *plan;
    struct seen *seen;
    struct wasm_module *module;
    struct wasm_store *store;
    struct wasm_instance *instance;
    struct wasm_instance *others[3]; /* across */
    struct wasm_exec *exec;
    struct puppet *puppet;
    bool installed;
    int calls;
};

static struct wasm_module *module, *across;

static void say(struct buf *log, const char *name, uint64_t v) {
    char line[64];
    int n = snprintf(line, sizeof line, "%s %llu\n", name, (unsigned long long)v);
    buf_append(log, line, (size_t)n);
}

static void backtrace(struct machine *m) {
    static struct wasm_frame frames[50000];
    uint32_t n = wasm_backtrace(m->exec, frames, 50000);
    struct buf *log = &m->seen->log;
    say(log, "frames", n);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n && i < 50000; i++) {
        uint64_t at = frames[i].instance ? (uint64_t)frames[i].func << 32 | frames[i].offset : 1;
        for (uint64_t k = 0; k < 3; k++)
            at += frames[i].instance && frames[i].instance == m->others[k] ? k << 56 : 0;
        sum = sum * 0x9e3779b97f4a7c15u + at;
        if (i < 6)
            say(log, " at", at);
    }
    say(log, " all", sum);
}

static enum wasm_host mark(void *env, struct wasm_exec *x, uint64_t *slots) {
    struct machine *m = env;
    m->calls++;
    say(&m->seen->log, "mark", slots[0]);
    say(&m->seen->log, " clock", wasm_clock(x));
    backtrace(m);
    if (m->calls == m->plan->park)
        return WASM_HOST_PARK;
    if (m->calls == m->plan->trap)
        return WASM_HOST_TRAP;
    if (m->calls == m->plan->exit)
        return WASM_HOST_EXIT;
    slots[0] = slots[0] * 1000 + wasm_clock(x) % 100;
    return WASM_HOST_OK;
}

static void install(struct machine *m) {
    m->installed = true;
    puppet_install(m->puppet, m->plan->compiled, m->plan->loops);
}

static void at_slice(void *ctx, uint64_t ticks) {
    struct machine *m = ctx;
    (void)ticks;
    if (!m->installed)
        install(m);
}

static void instance_new(struct machine *m, const struct wasm_extern *im, uint32_t n, struct wasm_instance **out) {
    struct err e = ERR_INIT;
    if (wasm_instance_new(m->store, m->module, im, n, out, &e))
        fail_msg("%s", e.text);
}

/* Three instances; of the table's functions some are theirs, one is the host's. */
static void link_across(struct machine *m, struct wasm_func *host) {
    struct wasm_extern im[3] = {{.kind = WASM_KIND_FUNC, .func = host}, {.kind = WASM_KIND_FUNC, .func = host}}, x;
    im[2].kind = WASM_KIND_TABLE;
    if (wasm_table_new(m->store, WASM_FUNCREF, (struct wasm_limits){.min = 8}, 0, &im[2].table, NULL))
        fail();
    for (uint32_t i = 0; i < 3; i++) {
        instance_new(m, im, 3, &m->others[i]);
        wasm_instance_export(m->others[i], "step", &x);
        wasm_table_set(im[2].table, i, (uintptr_t)x.func);
        wasm_instance_export(m->others[i], i == 1 ? "tail" : "over", &im[1]);
    }
    wasm_table_set(im[2].table, 3, (uintptr_t)host);
    wasm_instance_export(m->others[1], "tail", &x);
    wasm_table_set(im[2].table, 4, (uintptr_t)x.func);
    m->instance = m->others[2];
}

static void start(struct machine *m) {
    struct wasm_config c = wasm_config_default();
    if (m->plan->stack_slots)
        c.max_stack_slots = m->plan->stack_slots;
    m->store = wasm_store_new(&c);
    m->module = m->plan->across ? across : module;
    struct wasm_func *host = wasm_func_new(m->store, wasm_module_import(m->module, 0).type.func, mark, m, "host.mark");
    if (m->plan->across)
        link_across(m, host);
    else
        instance_new(m, &(struct wasm_extern){.kind = WASM_KIND_FUNC, .func = host}, 1, &m->instance);
    m->puppet = puppet_new(m->store, m->module);
    m->exec = wasm_exec_new(m->store);
    wasm_set_slice(m->exec, at_slice, m);
    if (m->plan->native_bytes)
        wasm_set_native_stack(m->exec, m->plan->native_bytes);
    if (!m->plan->late)
        install(m);
}

static void stop(struct machine *m) {
    puppet_free(m->puppet);
    wasm_exec_free(m->exec);
    wasm_store_free(m->store);
}

static void snapshot(struct machine *m) {
    struct buf snap;
    struct err e = ERR_INIT;
    struct sha256 hash;
    buf_init(&snap, ROOM);
    if (wasm_snapshot_save(m->exec, m->instance, &snap, &e))
        fail_msg("%s", e.text);
    sha256_of(SPAN(snap.data, snap.size), &hash);
    say(&m->seen->log, "snapshot", get_u64(hash.bytes));
    buf_deinit(&snap);
}

static void observe(const struct plan *plan, struct seen *seen) {
    struct machine m = {.plan = plan, .seen = seen};
    struct wasm_extern f;
    *seen = (struct seen){0};
    buf_init(&seen->log, 64 << 20);
    start(&m);
    assert_true(wasm_instance_export(m.instance, plan->function, &f));
    union wasm_value args[2] = {{.i64 = plan->a}, {.i64 = plan->b}}, result;
    wasm_call(m.exec, f.func, args);
    uint64_t until = plan->stop ? plan->stop : UINT64_MAX;
    enum wasm_outcome o;
    do {
        o = wasm_run(m.exec, until);
        say(&seen->log, "outcome", o);
        say(&seen->log, " clock", wasm_clock(m.exec));
        say(&seen->log, " trap", wasm_trap(m.exec));
        backtrace(&m);
        if (plan->snapshots && (o == WASM_STOPPED || o == WASM_PARKED))
            snapshot(&m);
        if (o == WASM_STOPPED)
            until = plan->step ? until + plan->step : UINT64_MAX;
    } while (o == WASM_STOPPED || o == WASM_PARKED);
    if (o == WASM_DONE) {
        wasm_results(m.exec, &result);
        say(&seen->log, "result", result.i64);
    }
    say(&seen->log, "memory", m.instance->memories[0]->size);
    seen->clock = wasm_clock(m.exec);
    seen->counted = puppet_entered(m.puppet, &seen->entered, &seen->loops_entered);
    stop(&m);
}

/* Runs a plan interpreted and as it says; returns what was seen of the latter. */
static struct seen compare(struct plan p) {
    struct seen seen, plain;
    struct plan q = p;
    q.compiled = 0;
    q.loops = false;
    observe(&p, &seen);
    observe(&q, &plain);
    buf_byte(&seen.log, 0);
    buf_byte(&plain.log, 0);
    assert_true(!seen.log.failed && !plain.log.failed);
    if (strcmp((char *)seen.log.data, (char *)plain.log.data) != 0) {
        const char *a = (char *)seen.log.data, *b = (char *)plain.log.data, *line = a;
        for (; *a && *a == *b; a++, b++)
            if (*a == '\n')
                line = a + 1;
        b -= a - line;
        print_error("%s(%u, %u) compiled %llx stop %llu native %zu park %d:\n-- compiled:\n%.300s\n-- interpreted:\n"
                    "%.300s\n",
                    p.function, p.a, p.b, (unsigned long long)p.compiled, (unsigned long long)p.stop, p.native_bytes,
                    p.park, line, b);
        fail();
    }
    buf_deinit(&seen.log);
    buf_deinit(&plain.log);
    return seen;
}

static uint64_t total(const char *function, uint32_t a, bool in_across) {
    struct seen s;
    observe(&(struct plan){.function = function, .a = a, .across = in_across}, &s);
    buf_deinit(&s.log);
    return s.clock;
}

#define EVERYTHING (~(uint64_t)0)

static struct prng random_state;

/* A subset of the functions; all of them first. */
static uint64_t subsets[SUBSETS];

static uint64_t some(int i) {
    return subsets[i % SUBSETS];
}

/* ---- the tests ------------------------------------------------------------------------------------------------------
 */

static void whatever_is_compiled(void **state) {
    (void)state;
    for (int i = 0; i < SUBSETS; i++) {
        struct seen s = compare((struct plan){.function = "all", .a = 7, .compiled = some(i), .snapshots = true});
        assert_true(i != 0 || !s.counted || s.entered > 100);
    }
}

static void stops_are_exact(void **state) {
    (void)state;
    uint64_t ticks = total("all", 7, false);
    for (int i = 0; i < 600; i++)
        compare((struct plan){.function = "all",
                              .a = 7,
                              .compiled = some(i),
                              .stop = 1 + prng_below(&random_state, ticks),
                              .step = i % 3 == 0 ? 0 : 1 + prng_below(&random_state, ticks),
                              .snapshots = true});
}

static void every_tick(void **state) {
    (void)state;
    uint64_t ticks = total("all", 7, false);
    /* one run far into it, then tick by tick: as deep as anything gets */
    for (uint64_t from = 2000; from < ticks; from += ticks / 9)
        for (uint64_t i = 0; i < 60; i++)
            compare((struct plan){
                .function = "all", .a = 7, .compiled = some((int)i), .stop = from + i, .snapshots = true});
}

static void parking(void **state) {
    (void)state;
    for (int call = 1; call <= 7; call++)
        for (int i = 0; i < 12; i++)
            compare((struct plan){.function = "all",
                                  .a = 7,
                                  .compiled = some(i),
                                  .park = call,
                                  .stop = i > 6,
                                  .step = 3000,
                                  .snapshots = true});
}

static void hosts_that_trap_or_exit(void **state) {
    (void)state;
    for (int call = 1; call <= 7; call++) {
        for (int i = 0; i < 12; i++) {
            compare((struct plan){.function = "all", .a = 7, .compiled = some(i), .trap = call});
            compare((struct plan){.function = "all", .a = 7, .compiled = some(i), .exit = call});
        }
    }
}

static void traps(void **state) {
    (void)state;
    for (uint32_t how = 0; how < 6; how++)
        for (uint32_t depth = 0; depth < 60; depth += 7)
            for (int i = 0; i < 4; i++)
                compare((struct plan){.function = "fail", .a = depth, .b = how, .compiled = some(i)});
}

/* Deeper than the C stack allows, and than the slots do. */
static void recursion(void **state) {
    (void)state;
    static const size_t bytes[] = {0, 1, 3000, 20000, 1 << 20};
    for (int i = 0; i < 8; i++) {
        for (size_t k = 0; k < sizeof bytes / sizeof *bytes; k++) {
            compare((struct plan){
                .function = "recurse", .a = 3001, .compiled = some(i), .native_bytes = bytes[k], .park = k & 1});
            compare((struct plan){.function = "recurse",
                                  .a = 20000,
                                  .compiled = some(i),
                                  .native_bytes = bytes[k],
                                  .stack_slots = 20000});
            compare((struct plan){
                .function = "all", .a = 9, .compiled = some(i), .native_bytes = bytes[k], .stop = 9000, .step = 4321});
        }
    }
}

static void recursion_stops(void **state) {
    (void)state;
    uint64_t ticks = total("recurse", 4000, false);
    for (int i = 0; i < 60; i++)
        compare((struct plan){.function = "recurse",
                              .a = 4000,
                              .compiled = some(i),
                              .native_bytes = i % 3 ? 20000 : 0,
                              .stop = prng_below(&random_state, ticks) + 1,
                              .step = prng_below(&random_state, ticks) + 1000,
                              .snapshots = true});
}

static void slices(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++)
        compare((struct plan){.function = "all", .a = 24, .compiled = some(i), .loops = i & 1, .late = i & 2});
    compare((struct plan){.function = "spin", .a = 1000000, .compiled = EVERYTHING, .stop = 5000000, .step = 777777});
}

static void loops_are_entered(void **state) {
    (void)state;
    struct seen s =
        compare((struct plan){.function = "spin", .a = 300000, .compiled = EVERYTHING, .loops = true, .late = true});
    assert_true(!s.counted || s.loops_entered == 1);
    s = compare((struct plan){.function = "spin",
                              .a = 300000,
                              .compiled = EVERYTHING,
                              .loops = true,
                              .late = true,
                              .stop = 1000000,
                              .step = 123456,
                              .snapshots = true});
    assert_true(!s.counted || s.loops_entered > 1);
}

static void between_instances(void **state) {
    (void)state;
    static const size_t bytes[] = {0, 0, 1, 5000};
    uint64_t ticks = total("all", 700, true);
    for (int i = 0; i < 400; i++) {
        struct plan p = {
            .function = "all", .a = 700, .compiled = some(i), .across = true, .native_bytes = bytes[i / 2 % 4]};
        if (i % 2) {
            p.stop = 1 + prng_below(&random_state, ticks);
            p.step = 1 + prng_below(&random_state, ticks);
        }
        *(i % 5 == 2 ? &p.park : i % 5 == 3 ? &p.trap : i % 5 == 4 ? &p.exit : &(int){0}) = 1 + i / 5;
        compare(p);
    }
    for (int i = 0; i < 20; i++)
        compare(
            (struct plan){.function = "step", .a = 30000, .compiled = some(i), .across = true, .stack_slots = 30000});
}

/* A snapshot of one machine goes on in another, whatever is compiled in either. */
static void snapshots_go_on(void **state) {
    (void)state;
    struct seen plain, seen = {0};
    observe(&(struct plan){.function = "all", .a = 12}, &plain);
    for (int i = 0; i < 100; i++) {
        struct plan p = {.function = "all", .a = 12, .compiled = some(i)}, q = p;
        struct machine a = {.plan = &p, .seen = &seen}, b = {.plan = &q, .seen = &seen};
        struct wasm_extern f;
        struct buf snap;
        q.compiled = some(i / 2);
        q.loops = true;
        buf_init(&seen.log, 1 << 20);
        buf_init(&snap, ROOM);
        start(&a);
        wasm_instance_export(a.instance, "all", &f);
        wasm_call(a.exec, f.func, &(union wasm_value){.i64 = 12});
        uint64_t until = 1 + prng_below(&random_state, plain.clock);
        assert_int_equal(wasm_run(a.exec, until), WASM_STOPPED);
        assert_int_equal(wasm_snapshot_save(a.exec, a.instance, &snap, NULL), ST_OK);
        stop(&a);
        start(&b);
        assert_int_equal(wasm_snapshot_load(b.exec, b.instance, SPAN(snap.data, snap.size), NULL), ST_OK);
        assert_int_equal(wasm_run(b.exec, UINT64_MAX), WASM_DONE);
        assert_true(wasm_clock(b.exec) == plain.clock);
        assert_true(seen.log.size < plain.log.size);
        buf_deinit(&snap);
        stop(&b);
        /* what was heard in both is what is heard in one */
        assert_memory_equal(seen.log.data, plain.log.data, seen.log.size);
        buf_deinit(&seen.log);
    }
    buf_deinit(&plain.log);
}

/* ---- interruption, and what is hot ---------------------------------------------------------------------------------
 */

static struct machine *the;
static int slices_to_go;

static void interrupt_some(void *ctx, uint64_t ticks) {
    (void)ticks;
    (void)ctx;
    if (--slices_to_go == 0) {
        slices_to_go = 2;
        wasm_interrupt(the->exec);
    }
}

static void interruption(void **state) {
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct seen seen, plain;
        struct plan p = {.function = "all", .a = 25, .compiled = some(i)};
        observe(&(struct plan){.function = "all", .a = 25}, &plain);
        struct machine m = {.plan = &p, .seen = &seen};
        struct wasm_extern f;
        seen = (struct seen){0};
        buf_init(&seen.log, 64 << 20);
        start(&m);
        the = &m;
        slices_to_go = 2;
        wasm_set_slice(m.exec, interrupt_some, NULL);
        assert_true(wasm_instance_export(m.instance, "all", &f));
        wasm_call(m.exec, f.func, &(union wasm_value){.i64 = 25});
        int interrupted = 0;
        enum wasm_outcome o;
        while ((o = wasm_run(m.exec, UINT64_MAX)) == WASM_INTERRUPTED) {
            struct buf log = seen.log; /* the snapshot must be one: its hash is not compared */
            snapshot(&m);
            seen.log.size = log.size;
            interrupted++;
        }
        assert_int_equal(o, WASM_DONE);
        assert_true(interrupted > 2);
        assert_true(wasm_clock(m.exec) == plain.clock);
        assert_true(seen.log.size < plain.log.size);
        assert_memory_equal(seen.log.data, plain.log.data, seen.log.size);
        stop(&m);
        buf_deinit(&seen.log);
        buf_deinit(&plain.log);
    }
}

static struct wasm_hot hottest;

static void hot(void *ctx, const struct wasm_hot *h) {
    (void)ctx;
    hottest = *h;
}

static void what_is_hot(void **state) {
    (void)state;
    struct seen seen = {0};
    struct plan p = {.function = "spin"};
    struct machine m = {.plan = &p, .seen = &seen};
    struct wasm_extern f;
    buf_init(&seen.log, 1 << 20);
    start(&m);
    wasm_set_hot(m.exec, hot, NULL);
    assert_true(wasm_instance_export(m.instance, "spin", &f));
    wasm_call(m.exec, f.func, &(union wasm_value){.i64 = 1000000});
    assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_DONE);
    assert_ptr_equal(hottest.module, module);
    assert_int_equal(hottest.func, f.func->index);
    assert_int_equal(module->bytes.data[hottest.loop], 0x03);
    assert_true(hottest.caller == UINT32_MAX);
    assert_true(hottest.samples > 20);
    assert_false(wasm_func_is_compiled(m.store, module, f.func->index));
    /* compiled, nothing of it is told */
    hottest.samples = 0;
    puppet_install(m.puppet, (uint64_t)1 << f.func->index, false);
    assert_true(wasm_func_is_compiled(m.store, module, f.func->index));
    wasm_call(m.exec, f.func, &(union wasm_value){.i64 = 1000000});
    assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_DONE);
    assert_int_equal(hottest.samples, 0);
    stop(&m);
    buf_deinit(&seen.log);
}

/* ---- installing
 * ------------------------------------------------------------------------------------------------------ */

static enum status install_one(struct machine *m, const struct wasm_module *of, uint64_t features,
                               struct object_entry entry) {
    static const uint8_t text[64];
    struct sha256 hash;
    struct buf object;
    sha256_of(of->bytes, &hash);
    buf_init(&object, 1 << 16);
    assert_int_equal(object_write(&hash, features, &entry, 1, SPAN(text, sizeof text), &object, NULL), ST_OK);
    enum status st = wasm_install(m->store, module, SPAN(object.data, object.size), NULL);
    buf_deinit(&object);
    return st;
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    struct seen seen = {0};
    struct plan p = {.function = "spin"};
    struct machine m = {.plan = &p, .seen = &seen};
    start(&m);
    uint64_t here = wasm_native_features();
    uint32_t func = module->nimported_funcs;
    assert_true(here != 0);
    assert_int_equal(install_one(&m, across, here, (struct object_entry){.func = func}), ST_MISMATCH);
    assert_int_equal(install_one(&m, module, ~here & -~here, (struct object_entry){.func = func}), ST_UNSUPPORTED);
    assert_int_equal(install_one(&m, module, here, (struct object_entry){.func = 0}), ST_CORRUPT);
    assert_int_equal(install_one(&m, module, here, (struct object_entry){.func = module->nfuncs}), ST_CORRUPT);
    assert_int_equal(install_one(&m, module, here, (struct object_entry){.func = func, .loop = 9}), ST_CORRUPT);
    assert_false(wasm_func_is_compiled(m.store, module, func));
    assert_int_equal(install_one(&m, module, here, (struct object_entry){.func = func}), ST_OK);
    assert_true(wasm_func_is_compiled(m.store, module, func));
    assert_false(wasm_func_is_compiled(m.store, module, func + 1));
    stop(&m);
}

static bool read_module(const char *path, struct wasm_module **out) {
    static uint8_t bytes[1 << 16];
    static size_t used;
    struct err e = ERR_INIT;
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    uint8_t *at = bytes + used;
    size_t n = fread(at, 1, sizeof bytes - used, f);
    used += n;
    fclose(f);
    if (wasm_module_new(SPAN(at, n), out, &e) == ST_OK)
        return true;
    print_error("%s\n", e.text);
    return false;
}

static int open_modules(void **state) {
    (void)state;
    if (!read_module(TEST_MODULES "/mix.wasm", &module) || !read_module(TEST_MODULES "/across.wasm", &across))
        return 1;
    random_state = (struct prng){4};
    for (int i = 0; i < SUBSETS; i++)
        subsets[i] = i == 0 ? EVERYTHING : prng_next(&random_state) & (i & 1 ? EVERYTHING : prng_next(&random_state));
    return 0;
}

static int close_modules(void **state) {
    (void)state;
    wasm_module_free(module);
    wasm_module_free(across);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_is_compiled),
        cmocka_unit_test(stops_are_exact),
        cmocka_unit_test(every_tick),
        cmocka_unit_test(parking),
        cmocka_unit_test(hosts_that_trap_or_exit),
        cmocka_unit_test(traps),
        cmocka_unit_test(recursion),
        cmocka_unit_test(recursion_stops),
        cmocka_unit_test(slices),
        cmocka_unit_test(loops_are_entered),
        cmocka_unit_test(between_instances),
        cmocka_unit_test(snapshots_go_on),
        cmocka_unit_test(interruption),
        cmocka_unit_test(what_is_hot),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, open_modules, close_modules);
}
