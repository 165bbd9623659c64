/* Execution as an embedder sees it: the clock, stops, snapshots, interruption, limits, traps. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/must.h"
#include "base/prng.h"
#include "wasm/wasm.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 16 << 20 };

struct machine {
    struct wasm_module *module;
    struct wasm_store *store;
    struct wasm_instance *instance;
    struct wasm_exec *exec;
    uint8_t *bytes;
    int marks;     /* calls of host.mark */
    int park_once; /* the next call parks */
};

static enum wasm_host mark(void *env, struct wasm_exec *x, uint64_t *slots) {
    struct machine *m = env;
    if (m->park_once) {
        m->park_once = 0;
        return WASM_HOST_PARK;
    }
    m->marks++;
    slots[0] = slots[0] * 1000 + wasm_clock(x) % 100;
    return WASM_HOST_OK;
}

static void start(struct machine *m, const struct wasm_config *config) {
    struct err e = ERR_INIT;
    struct wasm_extern im[1];
    m->store = wasm_store_new(config);
    uint32_t n = wasm_module_nimports(m->module);
    if (n)
        im[0] = (struct wasm_extern){
            .kind = WASM_KIND_FUNC,
            .func = wasm_func_new(m->store, wasm_module_import(m->module, 0).type.func, mark, m, "host.mark")};
    if (wasm_instance_new(m->store, m->module, im, n, &m->instance, &e))
        fail_msg("%s", e.text);
    m->exec = wasm_exec_new(m->store);
}

static void stop(struct machine *m) {
    wasm_exec_free(m->exec);
    wasm_store_free(m->store);
}

static void open_module(struct machine *m, const char *name, const struct wasm_config *config) {
    struct err e = ERR_INIT;
    char path[512];
    snprintf(path, sizeof path, "%s/%s.wasm", TEST_MODULES, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    *m = (struct machine){.bytes = mem_alloc(1 << 16)};
    size_t n = fread(m->bytes, 1, 1 << 16, f);
    fclose(f);
    if (wasm_module_new(SPAN(m->bytes, n), &m->module, &e))
        fail_msg("%s", e.text);
    start(m, config);
}

static void close_module(struct machine *m) {
    stop(m);
    wasm_module_free(m->module);
    mem_free(m->bytes);
}

static void call(struct machine *m, const char *name, uint32_t a, uint32_t b) {
    struct wasm_extern f;
    assert_true(wasm_instance_export(m->instance, name, &f));
    union wasm_value args[2] = {{.i64 = a}, {.i64 = b}};
    wasm_call(m->exec, f.func, args);
}

static uint64_t result(struct machine *m) {
    union wasm_value v;
    wasm_results(m->exec, &v);
    return v.i64;
}

/* ---- the clock, stops, snapshots --------------------------------------------------------------------------------- */

enum { WORK = 8 };

static void undisturbed(struct machine *m, uint64_t *value, uint64_t *ticks) {
    struct wasm_config c = wasm_config_default();
    open_module(m, "work", &c);
    call(m, "work", WORK, 0);
    assert_int_equal(wasm_run(m->exec, UINT64_MAX), WASM_DONE);
    *value = result(m);
    *ticks = wasm_clock(m->exec);
    assert_int_equal(m->marks, 1);
    stop(m);
}

/* The clock is a property of the module: it does not matter where one stops on the way. */
static void stops_do_not_show(void **state) {
    struct machine m;
    uint64_t value, ticks;
    (void)state;
    undisturbed(&m, &value, &ticks);
    struct wasm_config c = wasm_config_default();
    for (uint64_t step = 1; step < ticks; step = step * 3 / 2 + 1) {
        start(&m, &c);
        call(&m, "work", WORK, 0);
        uint64_t until = step;
        while (wasm_run(m.exec, until) == WASM_STOPPED) {
            assert_true(wasm_clock(m.exec) == until);
            until += step;
        }
        assert_true(result(&m) == value);
        assert_true(wasm_clock(m.exec) == ticks);
        stop(&m);
    }
    wasm_module_free(m.module);
    mem_free(m.bytes);
}

static void snapshot_anywhere(void **state) {
    struct machine m;
    uint64_t value, ticks;
    struct buf snap, again;
    struct err e = ERR_INIT;
    (void)state;
    undisturbed(&m, &value, &ticks);
    struct wasm_config c = wasm_config_default();
    buf_init(&snap, ROOM);
    buf_init(&again, ROOM);
    for (uint64_t at = 1; at < ticks; at++) {
        start(&m, &c);
        call(&m, "work", WORK, 0);
        assert_int_equal(wasm_run(m.exec, at), WASM_STOPPED);
        buf_clear(&snap);
        if (wasm_snapshot_save(m.exec, m.instance, &snap, &e))
            fail_msg("tick %llu: %s", (unsigned long long)at, e.text);
        stop(&m);
        start(&m, &c);
        if (wasm_snapshot_load(m.exec, m.instance, buf_span(&snap), &e))
            fail_msg("tick %llu: %s", (unsigned long long)at, e.text);
        buf_clear(&again);
        assert_int_equal(wasm_snapshot_save(m.exec, m.instance, &again, &e), ST_OK);
        assert_true(span_equal(buf_span(&snap), buf_span(&again)));
        assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_DONE);
        assert_true(result(&m) == value);
        assert_true(wasm_clock(m.exec) == ticks);
        stop(&m);
    }
    buf_deinit(&snap);
    buf_deinit(&again);
    wasm_module_free(m.module);
    mem_free(m.bytes);
}

/* Frozen at every tick and brought back, always in the state of what runs beside it and never was frozen. */
static void frozen_all_the_time(void **state) {
    struct machine m, twin;
    uint64_t value, ticks;
    struct buf snap, other;
    (void)state;
    undisturbed(&m, &value, &ticks);
    struct wasm_config c = wasm_config_default();
    buf_init(&snap, ROOM);
    buf_init(&other, ROOM);
    twin = m;
    start(&m, &c);
    start(&twin, &c);
    call(&m, "work", WORK, 0);
    call(&twin, "work", WORK, 0);
    for (uint64_t at = 1; at < ticks; at++) {
        assert_int_equal(wasm_run(m.exec, at), WASM_STOPPED);
        assert_int_equal(wasm_run(twin.exec, at), WASM_STOPPED);
        buf_clear(&snap);
        buf_clear(&other);
        assert_int_equal(wasm_snapshot_save(m.exec, m.instance, &snap, NULL), ST_OK);
        assert_int_equal(wasm_snapshot_save(twin.exec, twin.instance, &other, NULL), ST_OK);
        assert_true(span_equal(buf_span(&snap), buf_span(&other)));
        stop(&m);
        start(&m, &c);
        assert_int_equal(wasm_snapshot_load(m.exec, m.instance, buf_span(&snap), NULL), ST_OK);
    }
    assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_DONE);
    assert_true(result(&m) == value);
    stop(&twin);
    buf_deinit(&snap);
    buf_deinit(&other);
    close_module(&m);
}

static int occurrences(struct span where, const char *what, size_t n) {
    int found = 0;
    for (size_t i = 0; i + n <= where.size; i++)
        found += memcmp(where.data + i, what, n) == 0;
    return found;
}

/* "forget" takes two ticks to put a constant into a local, has it there during a call of two, reads it (an operand
 * now), drops it, and calls again. */
static void dead_locals_are_zero(void **state) {
    struct machine m;
    struct buf snap;
    struct wasm_config c = wasm_config_default();
    (void)state;
    buf_init(&snap, ROOM);
    open_module(&m, "limits", &c);
    call(&m, "forget", 0x5eadbeef, 0);
    for (uint64_t at = 1; at < 9; at++) {
        assert_int_equal(wasm_run(m.exec, at), WASM_STOPPED);
        buf_clear(&snap);
        assert_int_equal(wasm_snapshot_save(m.exec, m.instance, &snap, NULL), ST_OK);
        assert_int_equal(occurrences(buf_span(&snap), "\x88\x77\x66\x55\x44\x33\x22\x11", 8), at <= 5);
        assert_int_equal(occurrences(buf_span(&snap), "\xef\xbe\xad\x5e", 4), 0); /* a parameter nobody reads */
    }
    buf_deinit(&snap);
    close_module(&m);
}

static void damaged_snapshots_are_refused(void **state) {
    struct machine m;
    uint64_t value, ticks;
    struct buf snap;
    struct err e = ERR_INIT;
    (void)state;
    undisturbed(&m, &value, &ticks);
    struct wasm_config c = wasm_config_default();
    buf_init(&snap, ROOM);
    start(&m, &c);
    call(&m, "work", WORK, 0);
    assert_int_equal(wasm_run(m.exec, ticks / 2), WASM_STOPPED);
    assert_int_equal(wasm_snapshot_save(m.exec, m.instance, &snap, &e), ST_OK);
    stop(&m);
    struct prng p = {1};
    for (int i = 0; i < 60; i++) {
        size_t at = prng_below(&p, snap.size);
        snap.data[at] ^= (uint8_t)(1 << prng_below(&p, 8));
        start(&m, &c);
        err_clear(&e);
        assert_int_not_equal(wasm_snapshot_load(m.exec, m.instance, buf_span(&snap), &e), ST_OK);
        err_clear(&e);
        assert_int_not_equal(wasm_snapshot_load(m.exec, m.instance, SPAN(snap.data, at), &e), ST_OK);
        stop(&m);
        buf_clear(&snap);
        start(&m, &c);
        call(&m, "work", WORK, 0);
        assert_int_equal(wasm_run(m.exec, ticks / 2), WASM_STOPPED);
        assert_int_equal(wasm_snapshot_save(m.exec, m.instance, &snap, &e), ST_OK);
        stop(&m);
    }
    buf_deinit(&snap);
    wasm_module_free(m.module);
    mem_free(m.bytes);
}

/* A parked call has not happened: neither its tick nor its effect; in fast code and while counting every tick. */
static void parking(void **state) {
    struct machine m;
    uint64_t value, ticks;
    (void)state;
    undisturbed(&m, &value, &ticks);
    struct wasm_config c = wasm_config_default();
    for (int stepped = 0; stepped < 2; stepped++) {
        start(&m, &c);
        m.marks = 0;
        m.park_once = 1;
        call(&m, "work", WORK, 0);
        enum wasm_outcome o;
        uint64_t until = stepped ? 1 : UINT64_MAX;
        while ((o = wasm_run(m.exec, until)) == WASM_STOPPED)
            until++;
        assert_int_equal(o, WASM_PARKED);
        assert_int_equal(m.marks, 0);
        uint64_t parked = wasm_clock(m.exec);
        struct wasm_frame f[4];
        assert_int_equal(wasm_backtrace(m.exec, f, 4), 1);
        /* one more tick makes the call */
        assert_int_equal(wasm_run(m.exec, parked + 1), WASM_STOPPED);
        assert_int_equal(m.marks, 1);
        assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_DONE);
        assert_true(result(&m) == value);
        assert_true(wasm_clock(m.exec) == ticks);
        stop(&m);
    }
    wasm_module_free(m.module);
    mem_free(m.bytes);
}

/* ---- interruption
 * ------------------------------------------------------------------------------------------------------ */

static void *interrupt_soon(void *exec) {
    usleep(30000);
    wasm_interrupt(exec);
    return NULL;
}

static void interrupt_in(const char *name, bool finishes) {
    struct machine m;
    struct wasm_config c = wasm_config_default();
    pthread_t thread;
    open_module(&m, "limits", &c);
    call(&m, name, 0, 0);
    assert_int_equal(pthread_create(&thread, NULL, interrupt_soon, m.exec), 0);
    enum wasm_outcome o = wasm_run(m.exec, UINT64_MAX);
    pthread_join(thread, NULL);
    assert_int_equal(o, WASM_INTERRUPTED);
    uint64_t clock = wasm_clock(m.exec);
    assert_int_equal(wasm_run(m.exec, clock + 1000), WASM_STOPPED);
    assert_true(wasm_clock(m.exec) == clock + 1000);
    if (finishes) {
        assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_DONE);
        assert_int_equal(result(&m), 9);
        uint8_t *data = wasm_memory_data(wasm_instance_memory(m.instance));
        assert_int_equal(data[0], 1);
        assert_int_equal(data[0x3fffffff], 1);
    }
    close_module(&m);
}

static void a_loop_is_interrupted(void **state) {
    (void)state;
    interrupt_in("spin", false);
}

static void a_bulk_operation_is_interrupted(void **state) {
    (void)state;
    interrupt_in("fill", true);
}

/* ---- limits and traps
 * ------------------------------------------------------------------------------------------------ */

static void recursion_ends(void **state) {
    struct machine m;
    struct wasm_config c = wasm_config_default();
    (void)state;
    open_module(&m, "limits", &c);
    call(&m, "deep", 0, 0);
    assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_TRAPPED);
    assert_int_equal(wasm_trap(m.exec), WASM_TRAP_STACK_EXHAUSTED);
    uint64_t deep = wasm_clock(m.exec);
    wasm_reset(m.exec);
    call(&m, "flat", 0, 0); /* nothing but links ends too */
    assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_TRAPPED);
    assert_int_equal(wasm_trap(m.exec), WASM_TRAP_STACK_EXHAUSTED);
    assert_int_equal(wasm_backtrace(m.exec, NULL, 0), c.max_stack_slots);
    stop(&m);
    /* the same depth, tick by tick at the end */
    start(&m, &c);
    call(&m, "deep", 0, 0);
    assert_int_equal(wasm_run(m.exec, deep - 3), WASM_STOPPED);
    assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_TRAPPED);
    assert_true(wasm_clock(m.exec) == deep);
    close_module(&m);
}

/* Each frame of "deep" has a parameter, the link and two operands; the next begins at the first operand.  So n of them
 * take 2 n + 2 slots, on both sides of a snapshot, fast and tick by tick. */
static void depth_is_slots(void **state) {
    static struct buf saved;
    (void)state;
    for (uint32_t slots = 4; slots < 64; slots++) {
        struct machine m;
        struct wasm_config c = wasm_config_default();
        c.max_stack_slots = slots;
        uint32_t frames = (slots - 2) / 2;
        open_module(&m, "limits", &c);
        call(&m, "deep", 0, 0);
        assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_TRAPPED);
        assert_int_equal(wasm_trap(m.exec), WASM_TRAP_STACK_EXHAUSTED);
        assert_int_equal(wasm_backtrace(m.exec, NULL, 0), frames);
        uint64_t ticks = wasm_clock(m.exec);
        assert_int_equal(ticks, 4 * frames);
        wasm_reset(m.exec);
        call(&m, "flat", 0, 0);
        assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_TRAPPED);
        assert_int_equal(wasm_backtrace(m.exec, NULL, 0), slots);
        stop(&m);

        start(&m, &c);
        call(&m, "deep", 0, 0);
        for (uint64_t t = 1; t < ticks; t++)
            assert_int_equal(wasm_run(m.exec, t), WASM_STOPPED);
        buf_init(&saved, ROOM);
        assert_int_equal(wasm_snapshot_save(m.exec, m.instance, &saved, NULL), ST_OK);
        assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_TRAPPED);
        assert_int_equal(wasm_backtrace(m.exec, NULL, 0), frames);
        stop(&m);

        start(&m, &c);
        assert_int_equal(wasm_snapshot_load(m.exec, m.instance, buf_span(&saved), NULL), ST_OK);
        assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_TRAPPED);
        assert_int_equal(wasm_clock(m.exec), ticks);
        assert_int_equal(wasm_backtrace(m.exec, NULL, 0), frames);
        stop(&m);

        c.max_stack_slots = 2 * frames + 1; /* one less than they take */
        start(&m, &c);
        assert_int_equal(wasm_snapshot_load(m.exec, m.instance, buf_span(&saved), NULL), ST_CORRUPT);
        buf_deinit(&saved);
        close_module(&m);
    }
}

/* A trap names its operator, also in the middle of a pair, and its callers; the same when stepped. */
static void traps_have_a_place(void **state) {
    static const struct {
        const char *export;
        uint32_t a, b;
        enum wasm_trap_kind kind;
        uint32_t frames;
    } cases[] = {
        {"poke", 65532, 0, WASM_TRAP_MEMORY_BOUNDS, 2},
        {"peek", 65536, 0, WASM_TRAP_MEMORY_BOUNDS, 2},
        {"peek", 8, 0, WASM_TRAP_NONE, 0},
        {"divide", 1, 0, WASM_TRAP_INTEGER_DIVIDE, 1},
        {"divide", 0x80000000, UINT32_MAX, WASM_TRAP_INTEGER_OVERFLOW, 1},
    };
    struct wasm_config c = wasm_config_default();
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wasm_frame f[2][4];
        uint64_t clock[2];
        for (int stepped = 0; stepped < 2; stepped++) {
            struct machine m;
            open_module(&m, "limits", &c);
            call(&m, cases[i].export, cases[i].a, cases[i].b);
            enum wasm_outcome o;
            uint64_t until = stepped ? 1 : UINT64_MAX;
            while ((o = wasm_run(m.exec, until)) == WASM_STOPPED)
                until++;
            assert_int_equal(o, cases[i].kind ? WASM_TRAPPED : WASM_DONE);
            assert_int_equal(wasm_trap(m.exec), cases[i].kind);
            assert_int_equal(wasm_backtrace(m.exec, f[stepped], 4), cases[i].frames);
            clock[stepped] = wasm_clock(m.exec);
            close_module(&m);
        }
        assert_true(clock[0] == clock[1]);
        for (uint32_t k = 0; k < cases[i].frames; k++) {
            assert_int_not_equal(f[0][k].offset, 0);
            assert_int_equal(f[0][k].offset, f[1][k].offset);
            assert_int_equal(f[0][k].func, f[1][k].func);
        }
    }
}

static void either_half_of_a_pair_traps(void **state) {
    struct machine m;
    struct wasm_config c = wasm_config_default();
    struct wasm_frame first, second;
    (void)state;
    open_module(&m, "limits", &c);
    call(&m, "peek", 65533, 0);
    assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_TRAPPED);
    uint64_t at_first = wasm_clock(m.exec);
    wasm_backtrace(m.exec, &first, 1);
    wasm_reset(m.exec);
    memset(wasm_memory_data(wasm_instance_memory(m.instance)), 0xff, 4);
    call(&m, "peek", 0, 0);
    assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_TRAPPED);
    wasm_backtrace(m.exec, &second, 1);
    assert_int_equal(second.offset, first.offset + 3);
    assert_true(wasm_clock(m.exec) - at_first == at_first + 1);
    close_module(&m);
}

static void growth_is_decided_by_the_limit(void **state) {
    struct machine m;
    struct wasm_config c = wasm_config_default();
    (void)state;
    c.max_memory_bytes = 5 * WASM_PAGE_SIZE + 1;
    open_module(&m, "limits", &c);
    static const uint32_t ask[][2] = {{3, 1},          {2, UINT32_MAX}, {1, 4},
                                      {1, UINT32_MAX}, {0, 5},          {UINT32_MAX, UINT32_MAX}};
    for (size_t i = 0; i < sizeof ask / sizeof *ask; i++) {
        call(&m, "grow", ask[i][0], 0);
        assert_int_equal(wasm_run(m.exec, UINT64_MAX), WASM_DONE);
        assert_int_equal((uint32_t)result(&m), ask[i][1]);
    }
    close_module(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stops_do_not_show),
        cmocka_unit_test(snapshot_anywhere),
        cmocka_unit_test(frozen_all_the_time),
        cmocka_unit_test(dead_locals_are_zero),
        cmocka_unit_test(damaged_snapshots_are_refused),
        cmocka_unit_test(parking),
        cmocka_unit_test(a_loop_is_interrupted),
        cmocka_unit_test(a_bulk_operation_is_interrupted),
        cmocka_unit_test(recursion_ends),
        cmocka_unit_test(depth_is_slots),
        cmocka_unit_test(traps_have_a_place),
        cmocka_unit_test(either_half_of_a_pair_traps),
        cmocka_unit_test(growth_is_decided_by_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
