/* interp.c: dispatch. The bodies are in ops.inc, the slow parts in exec.c.
 *
 * A function per instruction, each ending in a tail call of the next, so that the machine registers of the interpreter
 * stay in registers of the machine (measured in docs/design/dispatch.md).  With clang's preserve_none there is room for
 * all of them; elsewhere the six integer registers of the system's calling convention must do, and the size of memory
 * is read where it is needed.  gcc makes the same calls jumps when it optimises, which this file therefore always is.
 */
#include "wasm/interp.h"

#include "wasm/engine.h"
#include "wasm/opcodes.h"
#include "wasm/simd.h"

#if defined(__has_attribute)
#if __has_attribute(preserve_none)
#define CONVENTION __attribute__((preserve_none))
#define MSIZE_IN_REGISTER
#endif
#if __has_attribute(musttail)
#define TAIL __attribute__((musttail)) return
#endif
#endif
#ifndef CONVENTION
#define CONVENTION
#endif
#ifndef TAIL
#define TAIL return
#if !defined(__OPTIMIZE__)
#error "without guaranteed tail calls this file needs -O2"
#endif
#endif

typedef uint16_t aliased_u16 __attribute__((may_alias));
typedef int32_t aliased_i32 __attribute__((may_alias));

#define A   (((const aliased_u16 *)pc)[4])
#define B   (((const aliased_u16 *)pc)[5])
#define C   (((const aliased_u16 *)pc)[6])
#define D   (((const aliased_u16 *)pc)[7])
#define IMM (((const aliased_i32 *)pc)[3])

#ifdef MSIZE_IN_REGISTER
#define PARAMS                                                                                                     \
    const uint64_t *pc, uint64_t *fp, uint8_t *mem, struct wasm_exec *x, int64_t fuel, uint64_t r, uint64_t msize, \
        double d, float s
#define ARGS         pc, fp, mem, x, fuel, r, msize, d, s
#define RELOAD_MSIZE msize = x->memory->size
#define UNUSED_ARGS  (void)mem, (void)msize, (void)fuel, (void)r, (void)d, (void)s, (void)fp, (void)x
#else
#define PARAMS \
    const uint64_t *pc, uint64_t *fp, uint8_t *mem, struct wasm_exec *x, int64_t fuel, uint64_t r, double d, float s
#define ARGS         pc, fp, mem, x, fuel, r, d, s
#define msize        (x->memory->size)
#define RELOAD_MSIZE (void)0
#define UNUSED_ARGS  (void)mem, (void)fuel, (void)r, (void)d, (void)s, (void)fp, (void)x
#endif
#define HANDLER static CONVENTION void
typedef CONVENTION void handler_fn(PARAMS);

#define JUMP TAIL((handler_fn *)(uintptr_t)pc[0])(ARGS)
#define NEXT(n)    \
    {              \
        pc += (n); \
        JUMP;      \
    }
#define SLOW(fn)         TAIL cold_##fn(ARGS)
#define TRAP(kind)       TAIL cold_trap_##kind(ARGS)
#define TRAP_FIRST(kind) TAIL cold_first_##kind(ARGS)
#define TRAP_OF(kind_)     \
    {                      \
        x->trap = (kind_); \
        SLOW(slow_trap);   \
    }

/* Slow parts see the machine registers in x. */
#define COLD_BODY(call)                                     \
    {                                                       \
        (void)mem;                                          \
        (void)msize;                                        \
        x->pc = pc, x->fp = fp, x->fuel = fuel, x->r = r;   \
        if (!(call))                                        \
            return;                                         \
        pc = x->pc, fp = x->fp, fuel = x->fuel, r = x->r;   \
        mem = x->memory->data, RELOAD_MSIZE;                \
        __asm__("" : "=x"(d), "=x"(s)); /* undefined now */ \
        JUMP;                                               \
    }
#define X(fn) static CONVENTION __attribute__((noinline, cold)) void cold_##fn(PARAMS) COLD_BODY(fn(x))
INTERP_SLOW(X)
#undef X
#define X(kind, text)                                                                         \
    static CONVENTION __attribute__((noinline, cold, unused)) void cold_trap_##kind(PARAMS) { \
        x->trap = WASM_TRAP_##kind;                                                           \
        SLOW(slow_trap);                                                                      \
    }
WASM_TRAP_TABLE(X)
#undef X
static CONVENTION __attribute__((noinline, cold)) void cold_first_MEMORY_BOUNDS(PARAMS) {
    x->trap_first = true;
    TRAP(MEMORY_BOUNDS);
}

#define OP(name, ...)           \
    HANDLER op_##name(PARAMS) { \
        UNUSED_ARGS;            \
        __VA_ARGS__             \
    }
#include "wasm/ops.inc"
#undef OP

#define OP(name, ...) op_##name,
static handler_fn *const handlers[] = {
#include "wasm/ops.inc"
};
#undef OP

uint64_t interp_handler(uint32_t op) {
    return (uint64_t)(uintptr_t)handlers[op];
}

void interp_run(struct wasm_exec *x) {
    const uint64_t *pc = x->pc;
    uint64_t *fp = x->fp, r = x->r;
    uint8_t *mem = x->memory->data;
    int64_t fuel = x->fuel;
    double d = 0;
    float s = 0;
#ifdef MSIZE_IN_REGISTER
    uint64_t msize = x->memory->size;
#endif
    ((handler_fn *)(uintptr_t)pc[0])(ARGS);
}

/* Code that is entered by returning to it. */
static const uint64_t *return_code(uint64_t *word, enum insn op) {
    if (!*word)
        *word = interp_handler(op);
    return word;
}

const uint64_t *interp_done_code(void) {
    static uint64_t word;
    return return_code(&word, I_DONE);
}

const uint64_t *interp_cross_code(void) {
    static uint64_t word;
    return return_code(&word, I_CROSS);
}

const uint64_t *interp_native_code(void) {
    static uint64_t word;
    return return_code(&word, I_NATIVE);
}

const uint64_t *interp_native_loop_code(void) {
    static uint64_t word;
    return return_code(&word, I_NATIVE_LOOP);
}

const uint64_t *interp_exit_code(void) {
    static uint64_t word;
    return return_code(&word, I_EXIT);
}
