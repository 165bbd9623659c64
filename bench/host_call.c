// host_call: what a call across the engine's border costs, in nanoseconds, loop included: of an import that does
// nothing, of an exported function that does nothing, and the loop alone; interpreted, and compiled where LLVM is
// linked in. The edge, which checks, shows and records, comes on top: `bench/run calls`.
#include "base/must.h"
#include "wasm/wasm.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef BENCH_LLVM
#include "wasm/llvm/llvm.h"
#include "world/os/code.h"
#endif

enum { COUNT = 10000000, ROUNDS = 9 };

// (module (import "host" "empty" (func))
//   (func (export "loop") (param i32)
//     (loop (call 0) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
//   (func (export "bare") (param i32)
//     (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
//   (func (export "nothing")))
static const uint8_t bytes[] = {0,    'a',  's', 'm',  1,    0,   0,    0,                                     // header
                                1,    8,    2,   0x60, 0,    0,   0x60, 1,   0x7f, 0,                          // types
                                2,    14,   1,   4,    'h',  'o', 's',  't', 5,    'e',  'm',  'p',  't', 'y', // import
                                0,    0,                                              // its type
                                3,    4,    3,   1,    1,    0,                       // functions
                                7,    25,   3,   4,    'l',  'o', 'o',  'p', 0,    1, // exports
                                4,    'b',  'a', 'r',  'e',  0,   2,                  //
                                7,    'n',  'o', 't',  'h',  'i', 'n',  'g', 0,    3, //
                                10,   36,   3,                                        // code
                                16,   0,    3,   0x40, 0x10, 0,   0x20, 0,   0x41, 1,    0x6b, 0x22, 0,   0x0d,
                                0,                                                                              // loop
                                0x0b, 0x0b,                                                                     //
                                14,   0,    3,   0x40, 0x20, 0,   0x41, 1,   0x6b, 0x22, 0,    0x0d, 0,   0x0b, // bare
                                0x0b,                                                                           //
                                2,    0,    0x0b}; // nothing

static _Noreturn void die(const char *what, const char *why) {
    fprintf(stderr, "host_call: %s: %s\n", what, why);
    exit(2);
}

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static uint64_t calls;

static enum wasm_host empty(void *env, struct wasm_exec *x, uint64_t *slots) {
    (void)env, (void)x, (void)slots;
    calls++;
    return WASM_HOST_OK;
}

static struct wasm_func *find(struct wasm_instance *i, const char *name) {
    struct wasm_extern f;
    if (!wasm_instance_export(i, name, &f))
        die(name, "no such export");
    return f.func;
}

static void call(struct wasm_exec *x, struct wasm_func *f, uint32_t n) {
    wasm_call(x, f, &(union wasm_value){.i32 = n});
    if (wasm_run(x, (uint64_t)WASM_FOREVER) != WASM_DONE)
        die("call", "did not return");
}

// Median of nanoseconds a turn of `f`, which loops itself when `inside`.
static double time_of(struct wasm_exec *x, struct wasm_func *f, bool inside) {
    double times[ROUNDS];
    for (int r = 0; r < ROUNDS; r++) {
        double from = now_ns();
        if (inside)
            call(x, f, COUNT);
        else
            for (int i = 0; i < COUNT; i++)
                call(x, f, 0);
        times[r] = (now_ns() - from) / COUNT;
    }
    qsort(times, ROUNDS, sizeof *times, by_value);
    return times[ROUNDS / 2];
}

static void measure(const char *tier, const struct wasm_module *m, struct span object) {
    struct err e = ERR_INIT;
    struct wasm_config config = wasm_config_default();
    struct wasm_store *s = wasm_store_new(&config);
    struct wasm_functype type = {0};
    struct wasm_extern import = {.kind = WASM_KIND_FUNC, .func = wasm_func_new(s, &type, empty, NULL, "empty")};
    struct wasm_instance *i;
    if (wasm_instance_new(s, m, &import, 1, &i, &e) || (object.size && wasm_install(s, m, object, &e)))
        die(tier, e.text);
    struct wasm_exec *x = wasm_exec_new(s);
    calls = 0;
    double out = time_of(x, find(i, "loop"), true);
    if (calls != (uint64_t)COUNT * ROUNDS)
        die(tier, "the import was not called each time");
    double bare = time_of(x, find(i, "bare"), true), in = time_of(x, find(i, "nothing"), false);
    printf("%-10s %12.2f %12.2f %12.2f\n", tier, out, in, bare);
    wasm_exec_free(x);
    wasm_store_free(s);
}

#ifdef BENCH_LLVM
static void compiled(const struct wasm_module *m) {
    struct err e = ERR_INIT;
    struct llvm_compiler *c;
    const uint32_t funcs[] = {1, 2, 3};
    for (int counted = 1; counted >= 0; counted--) {
        struct llvm_request r = {
            .module = m, .funcs = funcs, .nfuncs = 3, .options = {.count = counted != 0, .effort = 2}};
        struct buf object;
        buf_init(&object, 1 << 20);
        struct span code;
        if (llvm_compiler_new(&c, &e) || llvm_compile(c, &r, &object, &e))
            die("compiled", e.text);
        llvm_compiler_free(c);
        if (code_copy(SPAN(object.data, object.size), &code))
            die("compiled", "cannot be mapped");
        measure(counted ? "compiled" : "uncounted", m, code);
        code_unmap(code);
        buf_deinit(&object);
    }
}
#endif

int main(void) {
    struct err e = ERR_INIT;
    struct wasm_module *m;
    if (wasm_module_new(SPAN(bytes, sizeof bytes), &m, &e))
        die("module", e.text);
    printf("%-10s %12s %12s %12s\n", "ns", "to the host", "to the guest", "loop alone");
    measure("interp", m, (struct span){0});
#ifdef BENCH_LLVM
    compiled(m);
#endif
    wasm_module_free(m);
    return 0;
}
