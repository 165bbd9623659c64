/* Pools: what was in a store is in no other; compact memories move and nobody notices; 100 000 instances at once. */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include "base/must.h"
#include "wasm/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { ROUNDS = 6, MANY = 100000 };

struct machine {
    struct wasm_store *store;
    struct wasm_instance *instance;
    struct wasm_exec *exec;
};

static struct wasm_module *module;
static const enum wasm_memory_kind kinds[] = {WASM_MEMORY_RESERVED, WASM_MEMORY_COMPACT};

/* Adds one to the word the guest names. */
static enum wasm_host mark(void *env, struct wasm_exec *x, uint64_t *slots) {
    (void)env;
    uint8_t *p = wasm_memory_data(wasm_instance_memory(wasm_exec_instance(x))) + (uint32_t)slots[0];
    uint32_t v = get_u32(p) + 1;
    put_u32(p, v);
    slots[0] = v;
    return WASM_HOST_OK;
}

static struct wasm_config config_of(enum wasm_memory_kind kind, struct wasm_pool *pool) {
    struct wasm_config c = wasm_config_default();
    c.memory_kind = kind;
    c.pool = pool;
    return c;
}

static enum status try_make(struct machine *m, const struct wasm_config *config, struct err *e) {
    m->store = wasm_store_new(config);
    struct wasm_extern im = {
        .kind = WASM_KIND_FUNC,
        .func = wasm_func_new(m->store, wasm_module_import(module, 0).type.func, mark, NULL, "host.mark")};
    enum status s = wasm_instance_new(m->store, module, &im, 1, &m->instance, e);
    if (s)
        wasm_store_free(m->store);
    else
        m->exec = wasm_exec_new(m->store);
    return s;
}

static void make(struct machine *m, const struct wasm_config *config) {
    struct err e = ERR_INIT;
    if (try_make(m, config, &e))
        fail_msg("%s", e.text);
}

static void unmake(struct machine *m) {
    wasm_exec_free(m->exec);
    wasm_store_free(m->store);
}

static enum wasm_outcome run(struct machine *m, const char *name, uint32_t a, uint32_t b) {
    struct wasm_extern f;
    assert_true(wasm_instance_export(m->instance, name, &f));
    wasm_reset(m->exec);
    wasm_call(m->exec, f.func, (union wasm_value[]){{.i64 = a}, {.i64 = b}});
    return wasm_run(m->exec, (uint64_t)WASM_FOREVER);
}

static uint32_t call(struct machine *m, const char *name, uint32_t a, uint32_t b) {
    union wasm_value v;
    assert_int_equal(run(m, name, a, b), WASM_DONE);
    wasm_results(m->exec, &v);
    return v.i32;
}

static struct wasm_memory *memory(struct machine *m) {
    return wasm_instance_memory(m->instance);
}

/* As the module says, and nothing else. */
static void check_fresh(struct machine *m) {
    static const char data[] = "data";
    const uint8_t *bytes = wasm_memory_data(memory(m));
    uint64_t size = wasm_memory_size(memory(m));
    assert_int_equal(size, WASM_PAGE_SIZE);
    for (uint64_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], i >= 16 && i < 20 ? (uint8_t)data[i - 16] : 0);
    for (const uint64_t *s = m->exec->stack; s < m->exec->stack_end; s++)
        assert_int_equal(*s, 0);
    assert_int_equal(call(m, "global", 0, 0), 5);
    struct wasm_extern t;
    wasm_ref r;
    assert_true(wasm_instance_export(m->instance, "table", &t));
    assert_int_equal(wasm_table_size(t.table), 2);
    for (uint32_t i = 0; i < 2; i++)
        assert_true(wasm_table_get(t.table, i, &r) && r == 0);
}

/* One after the other in the same place, each leaving all the dirt it can, of one page and of many. */
static void leaves_nothing_behind(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct wasm_pool *pool = wasm_pool_new();
        struct wasm_config c = config_of(kinds[k], pool);
        uint8_t *place = NULL;
        c.max_stack_slots = 1 << 14;
        for (uint32_t round = 0; round < ROUNDS; round++) {
            struct machine m;
            make(&m, &c);
            assert_true(!place || wasm_memory_data(memory(&m)) == place); /* else this shows nothing */
            place = wasm_memory_data(memory(&m));
            check_fresh(&m);
            uint32_t bytes = round % 2 ? WASM_PAGE_SIZE : 4096 * (1 + round);
            call(&m, "dirty", 0xee, bytes);
            if (round % 3 == 2) {
                assert_int_equal(run(&m, "deep", UINT32_MAX, 0), WASM_TRAPPED);
                assert_int_equal(wasm_trap(m.exec), WASM_TRAP_STACK_EXHAUSTED);
            }
            unmake(&m);
        }
        wasm_pool_free(pool);
    }
}

/* Pages here and there, more runs of them than are dealt with one by one. */
static void scattered_pages(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct wasm_pool *pool = wasm_pool_new();
        struct wasm_config c = config_of(kinds[k], pool);
        for (uint32_t step = 1; step <= 16; step++) {
            struct machine m;
            make(&m, &c);
            check_fresh(&m);
            for (uint32_t page = step % 3; page < 16; page += step)
                wasm_memory_data(memory(&m))[page * 4096 + step] = 0xdd;
            unmake(&m);
        }
        wasm_pool_free(pool);
    }
}

static void growth_moves(void **state) {
    (void)state;
    struct wasm_pool *pool = wasm_pool_new();
    struct wasm_config c = config_of(WASM_MEMORY_COMPACT, pool);
    struct machine m, other;
    make(&m, &c);
    make(&other, &c);
    uint8_t *others = wasm_memory_data(memory(&other));
    call(&other, "dirty", 0xaa, WASM_PAGE_SIZE);
    uint64_t pages = 1;
    int moved = 0;
    static const uint32_t by[] = {1, 1, 5, 30, 40, 100}; /* slots, a mapping of its own, a larger one */
    for (uint32_t i = 0; i < sizeof by / sizeof *by; i++) {
        uint8_t *before = wasm_memory_data(memory(&m));
        assert_int_equal(call(&m, "grow", by[i], 0), 44 + 44); /* 42, and twice the host's one */
        moved += before != wasm_memory_data(memory(&m));
        uint64_t old = pages * WASM_PAGE_SIZE;
        pages += by[i];
        const uint8_t *bytes = wasm_memory_data(memory(&m));
        assert_int_equal(wasm_memory_size(memory(&m)), pages * WASM_PAGE_SIZE);
        assert_memory_equal(bytes + 16, "data", 4);
        assert_int_equal(bytes[old - 1], i ? 7 : 0);
        for (uint64_t at = old; at < pages * WASM_PAGE_SIZE - 1; at++)
            if (bytes[at])
                fail_msg("byte %llu is %u", (unsigned long long)at, bytes[at]);
    }
    assert_true(moved >= 3);
    assert_int_equal(call(&m, "grow", 300, 0), UINT32_MAX);
    assert_true(wasm_memory_data(memory(&other)) == others); /* only its own growth moves a memory */
    for (uint32_t i = 0; i < WASM_PAGE_SIZE; i++)
        assert_int_equal(others[i], 0xaa);
    unmake(&m);
    unmake(&other);
    for (int i = 0; i < 3; i++) { /* the places it left are empty */
        make(&m, &c);
        check_fresh(&m);
        call(&m, "grow", 1 + (uint32_t)i, 0);
        unmake(&m);
    }
    wasm_pool_free(pool);
}

/* Small stacks grow into whole ones: results, ticks and the end are the same. */
static void depth(void **state) {
    (void)state;
    static const uint32_t limits[] = {5, 63, 64, 65, 300, 5000, 1 << 17};
    struct wasm_pool *pool = wasm_pool_new();
    for (uint32_t l = 0; l < sizeof limits / sizeof *limits; l++) {
        struct machine m[2];
        for (int k = 0; k < 2; k++) {
            struct wasm_config c = config_of(kinds[k], pool);
            c.max_stack_slots = limits[l];
            make(&m[k], &c);
        }
        for (uint32_t n = 1; n < 40000; n = n * 3 / 2 + 1)
            for (int f = 0; f < 2; f++) {
                const char *name = f ? "tail" : "deep";
                enum wasm_outcome a = run(&m[0], name, n, 0), b = run(&m[1], name, n, 0);
                assert_int_equal(a, b);
                assert_true(wasm_clock(m[0].exec) == wasm_clock(m[1].exec));
                assert_int_equal(wasm_backtrace(m[0].exec, NULL, 0), wasm_backtrace(m[1].exec, NULL, 0));
                if (a != WASM_DONE)
                    continue;
                union wasm_value v[2];
                wasm_results(m[0].exec, &v[0]);
                wasm_results(m[1].exec, &v[1]);
                assert_true(v[0].i64 == v[1].i64);
            }
        unmake(&m[0]);
        unmake(&m[1]);
    }
    wasm_pool_free(pool);
}

static unsigned long long address_space(void) {
    unsigned long long pages;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%llu", &pages), 1);
    fclose(f);
    return pages * 4096;
}

static void no_address_space(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    skip(); /* which takes terabytes of it */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
    skip();
#endif
#endif
    struct rlimit all, little;
    assert_int_equal(getrlimit(RLIMIT_AS, &all), 0);
    for (int k = 0; k < 2; k++) {
        struct wasm_pool *pool = wasm_pool_new();
        struct wasm_config c = config_of(kinds[k], pool);
        struct machine m;
        struct err e = ERR_INIT;
        little = all;
        little.rlim_cur = address_space() + (4 << 20);
        assert_int_equal(setrlimit(RLIMIT_AS, &little), 0);
        assert_int_equal(try_make(&m, &c, &e), ST_LIMIT);
        assert_int_equal(setrlimit(RLIMIT_AS, &all), 0);
        make(&m, &c);
        check_fresh(&m);
        unmake(&m);
        wasm_pool_free(pool);
    }
}

static uint32_t mappings(void) {
    uint32_t n = 0;
    FILE *f = fopen("/proc/self/maps", "r");
    assert_non_null(f);
    for (int c; (c = getc(f)) != EOF;)
        n += c == '\n';
    fclose(f);
    return n;
}

static void many(void **state) {
    (void)state;
    struct wasm_pool *pool = wasm_pool_new();
    struct wasm_config c = config_of(WASM_MEMORY_COMPACT, pool);
    struct machine *all = mem_alloc(MANY * sizeof *all);
    for (uint32_t i = 0; i < MANY; i++) {
        make(&all[i], &c);
        call(&all[i], "dirty", i, 12);
    }
    assert_true(mappings() < 5000);
    for (uint32_t i = 0; i < MANY; i++) {
        const uint8_t *bytes = wasm_memory_data(memory(&all[i]));
        for (uint32_t k = 0; k < 12; k++)
            assert_int_equal(bytes[k], (uint8_t)i);
        assert_int_equal(bytes[12], 0);
        assert_int_equal(call(&all[i], "global", 0, 0), i);
    }
    for (uint32_t i = 0; i < MANY; i++)
        unmake(&all[i]);
    for (uint32_t i = 0; i < 1000; i++) {
        make(&all[i], &c);
        assert_int_equal(wasm_memory_data(memory(&all[i]))[0], 0);
    }
    for (uint32_t i = 0; i < 1000; i++)
        unmake(&all[i]);
    mem_free(all);
    wasm_pool_free(pool);
}

int main(void) {
    struct err e = ERR_INIT;
    static uint8_t bytes[1 << 16];
    FILE *f = fopen(TEST_MODULES "/pool.wasm", "rb");
    must(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    if (wasm_module_new(SPAN(bytes, n), &module, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_nothing_behind), cmocka_unit_test(scattered_pages),
        cmocka_unit_test(growth_moves),          cmocka_unit_test(depth),
        cmocka_unit_test(no_address_space),      cmocka_unit_test(many),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wasm_module_free(module);
    return failed;
}
