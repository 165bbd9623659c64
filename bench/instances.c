// instances [MODULE.wasm]: what a small instance costs (one page of memory, one exported function called once, which
// stores and loads), by kind of memory: microseconds to make, call and free one, and bytes each of 10 000 that live.
// With a module: milliseconds from decoded to linked and initialised, imports being functions that are never called.
// Without one: $AEON_GUESTS/python.wasm, if it is there.
#include "base/must.h"
#include "wasm/wasm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LIVE = 10000, ROUNDS = 9, PER_ROUND = 2000, STARTS = 15 };

// (module (memory 1) (data (i32.const 1024) "count")
//   (func (export "call") (param i32) (result i32)
//     (i32.store (i32.const 2048) (local.get 0))
//     (i32.add (i32.load (i32.const 2048)) (i32.load8_u (i32.const 1024)))))
static const uint8_t small_module[] = {
    0,    'a',  's',  'm',  1,    0,    0,    0,                                   // header
    1,    6,    1,    0x60, 1,    0x7f, 1,    0x7f,                                // type
    3,    2,    1,    0,                                                           // function
    5,    3,    1,    0,    1,                                                     // memory
    7,    8,    1,    4,    'c',  'a',  'l',  'l',  0, 0,                          // export
    10,   25,   1,    23,   0,                                                     // code
    0x41, 0x80, 0x10, 0x20, 0,    0x36, 2,    0,                                   // store
    0x41, 0x80, 0x10, 0x28, 2,    0,    0x41, 0x80, 8, 0x2d, 0,   0,   0x6a,       // load, load, add
    0x0b,                                                                          // end
    11,   12,   1,    0,    0x41, 0x80, 8,    0x0b, 5, 'c',  'o', 'u', 'n',  't'}; // data

struct machine {
    struct wasm_store *store;
    struct wasm_exec *exec;
};

static _Noreturn void die(const char *what, const char *why) {
    fprintf(stderr, "instances: %s: %s\n", what, why);
    exit(2);
}

static double used_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, int n) {
    qsort(v, (size_t)n, sizeof *v, by_value);
    return v[n / 2];
}

// Kilobytes, by the name they have in /proc/self/status.
static double status_kb(const char *name) {
    char line[256];
    double kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    if (!f)
        die("/proc/self/status", "not there");
    while (fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            kb = atof(line + strlen(name) + 1);
    fclose(f);
    return kb;
}

static struct machine make(const struct wasm_module *m, const struct wasm_config *config) {
    struct err e = ERR_INIT;
    struct wasm_instance *i;
    struct wasm_extern f;
    struct machine mc = {.store = wasm_store_new(config)};
    if (wasm_instance_new(mc.store, m, NULL, 0, &i, &e))
        die("small instance", e.text);
    mc.exec = wasm_exec_new(mc.store);
    if (!wasm_instance_export(i, "call", &f))
        die("small instance", "no export");
    wasm_call(mc.exec, f.func, &(union wasm_value){.i64 = 7});
    if (wasm_run(mc.exec, (uint64_t)WASM_FOREVER) != WASM_DONE)
        die("small instance", "did not return");
    union wasm_value v;
    wasm_results(mc.exec, &v);
    if (v.i32 != 7 + 'c')
        die("small instance", "wrong result");
    return mc;
}

static void unmake(struct machine mc) {
    wasm_exec_free(mc.exec);
    wasm_store_free(mc.store);
}

static void small(const char *name, const struct wasm_module *m, const struct wasm_config *config) {
    double times[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        double from = used_us();
        for (int i = 0; i < PER_ROUND; i++)
            unmake(make(m, config));
        times[r] = (used_us() - from) / PER_ROUND;
    }
    static struct machine live[LIVE];
    memset(live, 1, sizeof live);
    double rss = status_kb("VmRSS:"), tables = status_kb("VmPTE:"), from = used_us();
    for (int i = 0; i < LIVE; i++)
        live[i] = make(m, config);
    double each = (used_us() - from) / LIVE;
    rss = status_kb("VmRSS:") - rss;
    tables = status_kb("VmPTE:") - tables;
    from = used_us();
    for (int i = 0; i < LIVE; i++)
        unmake(live[i]);
    double freed = (used_us() - from) / LIVE;
    printf("%-18s %8.2f %10.2f %10.2f %12.2f %12.2f\n", name, median(times, ROUNDS), each, freed, rss / LIVE,
           tables / LIVE);
}

static enum wasm_host refuse(void *env, struct wasm_exec *x, uint64_t *slots) {
    (void)env, (void)x, (void)slots;
    return WASM_HOST_TRAP;
}

static void big(const char *path, const struct wasm_config *config) {
    struct err e = ERR_INIT;
    FILE *f = fopen(path, "rb");
    if (!f)
        return;
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    rewind(f);
    uint8_t *bytes = mem_alloc(size);
    if (fread(bytes, 1, size, f) != size)
        die(path, "cannot be read");
    fclose(f);
    struct wasm_module *m;
    if (wasm_module_new(SPAN(bytes, size), &m, &e))
        die(path, e.text);
    uint32_t n = wasm_module_nimports(m);
    struct wasm_extern *imports = mem_zalloc((n + 1) * sizeof *imports);
    double made[STARTS], freed[STARTS];
    for (int k = 0; k < STARTS; k++) {
        double from = used_us();
        struct wasm_store *s = wasm_store_new(config);
        for (uint32_t i = 0; i < n; i++)
            imports[i] =
                (struct wasm_extern){.kind = WASM_KIND_FUNC,
                                     .func = wasm_func_new(s, wasm_module_import(m, i).type.func, refuse, NULL, NULL)};
        struct wasm_instance *i;
        if (wasm_instance_new(s, m, imports, n, &i, &e))
            die(path, e.text);
        struct wasm_exec *x = wasm_exec_new(s);
        double then = used_us();
        wasm_exec_free(x);
        wasm_store_free(s);
        made[k] = then - from, freed[k] = used_us() - then;
    }
    const char *name = strrchr(path, '/');
    printf("\n%s: linked and initialised in %.2f ms (the first time %.2f), freed in %.2f\n", name ? name + 1 : path,
           median(made + 1, STARTS - 1) / 1e3, made[0] / 1e3, median(freed, STARTS) / 1e3);
    mem_free(imports);
    wasm_module_free(m);
    mem_free(bytes);
}

int main(int argc, char **argv) {
    struct err e = ERR_INIT;
    struct wasm_module *m;
    struct wasm_config config = wasm_config_default();
    struct wasm_config pooled = config, compact = config;
    pooled.pool = compact.pool = wasm_pool_new();
    compact.memory_kind = WASM_MEMORY_COMPACT;
    if (wasm_module_new(SPAN(small_module, sizeof small_module), &m, &e))
        die("small module", e.text);
    printf("%-18s %8s %10s %10s %12s %12s\n", "", "us", "us made", "us freed", "KiB live", "KiB tables");
    small("reserved, no pool", m, &config);
    small("reserved", m, &pooled);
    small("compact", m, &compact);
    wasm_module_free(m);
    char guests[4096];
    snprintf(guests, sizeof guests, "%s/python.wasm", getenv("AEON_GUESTS") ? getenv("AEON_GUESTS") : "build/guests");
    big(argc > 1 ? argv[1] : guests, &config);
    wasm_pool_free(compact.pool);
    return 0;
}
