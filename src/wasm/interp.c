/* interp.c: dispatch. The bodies are in ops.inc, the slow parts in exec.c.
 *
 * Two forms of the same thing (measured in docs/design/dispatch.md): with clang, a function per instruction chained by
 * guaranteed tail calls, all machine registers in registers; elsewhere computed goto in one function. */
#include "wasm/interp.h"

#include "wasm/engine.h"
#include "wasm/opcodes.h"
#include "wasm/simd.h"

#if defined(__clang__) && defined(__has_attribute)
#if __has_attribute(preserve_none) && __has_attribute(musttail)
#define INTERP_TAIL_CALLS
#endif
#endif

typedef uint16_t aliased_u16 __attribute__((may_alias));
typedef int32_t aliased_i32 __attribute__((may_alias));

#define A   (((const aliased_u16 *)pc)[4])
#define B   (((const aliased_u16 *)pc)[5])
#define C   (((const aliased_u16 *)pc)[6])
#define D   (((const aliased_u16 *)pc)[7])
#define IMM (((const aliased_i32 *)pc)[3])

#ifdef INTERP_TAIL_CALLS

#define PARAMS                                                                                                     \
    const uint64_t *pc, uint64_t *fp, uint8_t *mem, struct wasm_exec *x, int64_t fuel, uint64_t msize, uint64_t r, \
        double d, float s
#define ARGS    pc, fp, mem, x, fuel, msize, r, d, s
#define HANDLER static __attribute__((preserve_none)) void
typedef __attribute__((preserve_none)) void handler_fn(PARAMS);

#define JUMP __attribute__((musttail)) return ((handler_fn *)(uintptr_t)pc[0])(ARGS)
#define NEXT(n)    \
    {              \
        pc += (n); \
        JUMP;      \
    }
#define SLOW(fn)         __attribute__((musttail)) return cold_##fn(ARGS)
#define TRAP(kind)       __attribute__((musttail)) return cold_trap_##kind(ARGS)
#define TRAP_FIRST(kind) __attribute__((musttail)) return cold_first_##kind(ARGS)
#define TRAP_OF(kind_)     \
    {                      \
        x->trap = (kind_); \
        SLOW(slow_trap);   \
    }

/* Slow parts see the machine registers in x. */
#define COLD_BODY(call)                                     \
    {                                                       \
        (void)mem, (void)msize;                             \
        x->pc = pc, x->fp = fp, x->fuel = fuel, x->r = r;   \
        if (!(call))                                        \
            return;                                         \
        pc = x->pc, fp = x->fp, fuel = x->fuel, r = x->r;   \
        mem = x->memory->data, msize = x->memory->size;     \
        __asm__("" : "=x"(d), "=x"(s)); /* undefined now */ \
        JUMP;                                               \
    }
#define X(fn) static __attribute__((preserve_none, noinline, cold)) void cold_##fn(PARAMS) COLD_BODY(fn(x))
INTERP_SLOW(X)
#undef X
#define X(kind, text)                                                                             \
    static __attribute__((preserve_none, noinline, cold, unused)) void cold_trap_##kind(PARAMS) { \
        x->trap = WASM_TRAP_##kind;                                                               \
        SLOW(slow_trap);                                                                          \
    }
WASM_TRAP_TABLE(X)
#undef X
static __attribute__((preserve_none, noinline, cold)) void cold_first_MEMORY_BOUNDS(PARAMS) {
    x->trap_first = true;
    TRAP(MEMORY_BOUNDS);
}

#define UNUSED_ARGS (void)mem, (void)msize, (void)fuel, (void)r, (void)d, (void)s, (void)fp, (void)x
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
    ((handler_fn *)(uintptr_t)x->pc[0])(x->pc, x->fp, x->memory->data, x, x->fuel, x->memory->size, x->r, 0.0, 0.0f);
}

#else

static const void *const *labels;

static void run(struct wasm_exec *x) {
#define OP(name, ...) &&op_##name,
    static const void *const table[] = {
#include "wasm/ops.inc"
    };
#undef OP
    if (!x) {
        labels = table;
        return;
    }
    const uint64_t *pc = x->pc;
    uint64_t *fp = x->fp;
    uint8_t *mem = x->memory->data;
    uint64_t msize = x->memory->size;
    int64_t fuel = x->fuel;
    uint64_t r = x->r;
    double d = 0;
    float s = 0;

#define JUMP goto *(const void *)(uintptr_t)pc[0]
#define NEXT(n)    \
    {              \
        pc += (n); \
        JUMP;      \
    }
#define SLOW(fn)                                          \
    {                                                     \
        x->pc = pc, x->fp = fp, x->fuel = fuel, x->r = r; \
        if (!fn(x))                                       \
            return;                                       \
        pc = x->pc, fp = x->fp, fuel = x->fuel, r = x->r; \
        mem = x->memory->data, msize = x->memory->size;   \
        JUMP;                                             \
    }
#define TRAP_OF(kind_)     \
    {                      \
        x->trap = (kind_); \
        SLOW(slow_trap);   \
    }
#define TRAP(kind) TRAP_OF(WASM_TRAP_##kind)
#define TRAP_FIRST(kind)      \
    {                         \
        x->trap_first = true; \
        TRAP(kind);           \
    }

    JUMP;
#define OP(name, ...) \
    op_##name : {     \
        __VA_ARGS__   \
    }
#include "wasm/ops.inc"
#undef OP
}

uint64_t interp_handler(uint32_t op) {
    if (!labels)
        run(NULL);
    return (uint64_t)(uintptr_t)labels[op];
}

void interp_run(struct wasm_exec *x) {
    run(x);
}

#endif

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
