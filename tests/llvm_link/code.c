/* What LLVM could have made of functions 7 and 8 of a module, and of the loop at 33 of function 8; and, by macros, what
 * must be refused.  Compiled on its own, without what our other code is compiled with. */
#include <stdint.h>

struct wasm_exec;

#define ENTRY(name) uint64_t name(struct wasm_exec *x, uint64_t *fp, int64_t fuel)

uint64_t b7(uint64_t a);
uint64_t b8(uint64_t a, double b);
ENTRY(e7);
ENTRY(e8);
ENTRY(l8_33);

/* A table of jumps, relative to itself. */
uint64_t b7(uint64_t a) {
    switch (a) {
    case 0: return 11;
    case 1: return b8(a, 2.5);
    case 2: return a * 77;
    case 3: __asm__ volatile(""); return 1234567890123;
    case 4: return b8(a + 1, 0.1);
    case 5: return a + 1;
    case 6: __asm__ volatile("nop"); return a << 9;
    case 7: return b8(9, 1e300);
    default: return 0;
    }
}

/* Constants of several sizes, and an address of a function. */
__attribute__((noinline)) uint64_t b8(uint64_t a, double b) {
    static const uint8_t table[32] = {1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233};
    uint64_t (*volatile other)(uint64_t) = b7;
    double scaled = b * 1000.25 + 0.5;
    return table[a & 31] + (uint64_t)(scaled < 1e15 ? scaled : 42) * 1000 + (a > 20 ? other(2) : 0);
}

ENTRY(e7) {
    (void)x;
    fp[0] = b7(fp[0]);
    return (uint64_t)fuel - 1;
}

#ifdef NO_BODY
#define e8 e9
ENTRY(e9);
#endif
ENTRY(e8) {
    (void)x;
    fp[0] = b8(fp[0], 3.0);
    return (uint64_t)fuel - 2;
}

ENTRY(l8_33) {
    (void)x, (void)fp;
    return (uint64_t)fuel - 3;
}

#ifdef VARIABLE
uint64_t variable = 5;
#endif

#ifdef ZEROED
uint64_t zeroed[64];
#endif

#ifdef ADDRESS
extern uint64_t (*const addresses[])(uint64_t);
uint64_t (*const addresses[])(uint64_t) = {b7};
#endif

#ifdef OUTSIDE
double floor_of_somebody(double v);
double uses(double v);
double uses(double v) {
    return floor_of_somebody(v);
}
#endif

#ifdef ALIGNED
extern const uint8_t aligned[64];
__attribute__((aligned(65536))) const uint8_t aligned[64] = {1};
#endif
