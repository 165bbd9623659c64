// trap.wasm KIND: ends in a trap of that kind, in a function whose name says so, two calls below main.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))

static volatile int zero;
static volatile uintptr_t far = 0xfffffff0u;
static volatile double huge = 1e300;

NOINLINE static int trap_by_unreachable(void) {
    __builtin_trap();
}
NOINLINE static int trap_by_division(int n) {
    return n / zero;
}
NOINLINE static int trap_by_overflow(void) {
    return INT32_MIN / (zero - 1);
}
NOINLINE static int trap_by_memory(void) {
    return *(volatile int *)far;
}
NOINLINE static int trap_by_null_function(void) {
    int (*volatile function)(int) = NULL;
    return function(1);
}
NOINLINE static int trap_by_wrong_signature(void) {
    int (*volatile function)(void) = (int (*)(void))(uintptr_t)trap_by_division;
    return function();
}
NOINLINE static int trap_by_recursion(volatile int *depth) {
    volatile int mine = ++*depth;
    return trap_by_recursion(depth) + mine;
}
NOINLINE static int trap_by_conversion(void) {
    int result;
    __asm__("local.get %1\n i32.trunc_f64_s\n local.set %0" : "=r"(result) : "r"(huge));
    return result;
}

NOINLINE static int choose(const char *kind) {
    int depth = 0;
    if (!strcmp(kind, "unreachable"))
        return trap_by_unreachable();
    if (!strcmp(kind, "div0"))
        return trap_by_division(7);
    if (!strcmp(kind, "overflow"))
        return trap_by_overflow();
    if (!strcmp(kind, "oob"))
        return trap_by_memory();
    if (!strcmp(kind, "null"))
        return trap_by_null_function();
    if (!strcmp(kind, "signature"))
        return trap_by_wrong_signature();
    if (!strcmp(kind, "recursion"))
        return trap_by_recursion(&depth);
    if (!strcmp(kind, "conversion"))
        return trap_by_conversion();
    fprintf(stderr, "no such kind: %s\n", kind);
    return 2;
}

int main(int argc, char **argv) {
    printf("about to trap\n");
    fflush(stdout);
    return choose(argc > 1 ? argv[1] : "unreachable");
}
