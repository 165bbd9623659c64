/* engine.h: the engine's run-time structures; internal to src/wasm.
 *
 * Two translations of a function exist, each made when first needed and both from the same translator (translate.c):
 *
 *   fused   fast: locals and constants are operands, compare-and-branch is one instruction, values stay lazy
 *   exact   one instruction for one operator, each preceded by a check of the clock, operands always in their canonical
 *           slot; used for the last few ticks before a stop, and to enter a restored state at any operator
 *
 * The canonical frame: slots of the parameters, one for the link (native.h; nobody else's), those of the declared
 * locals, then the operand stack; v128 takes two slots.  A callee's frame starts at its first argument, so arguments
 * and results are never copied.  Every result is written to its slot; the accumulators r, d, s only mirror the last
 * integer, f64 and f32 result.
 *
 * The clock costs nothing on straight code: every place `pc` has a potential P(pc), the operators since the function's
 * entry or the last call in code order, and the exact clock is
 *
 *     clock = origin - fuel + P(pc)
 *
 * so that only taken branches, calls and returns touch `fuel`, by a constant.  Those are also the places where
 * fuel < 0 is noticed.  In exact code P is 0 everywhere and each check takes one tick. */
#ifndef AEON_WASM_ENGINE_H
#define AEON_WASM_ENGINE_H

#include "base/must.h"
#include "wasm/module.h"
#include "wasm/native.h"
#include "wasm/pool.h"
#include "wasm/wasm.h"

/* ---- entities ---------------------------------------------------------------------------------------------------- */

/* A function's translations; one per store, module and function, shared by instances. */
struct code {
    const uint64_t *entry; /* fused; NULL until first called */
    uint32_t frame_slots;  /* of the canonical frame */
    uint32_t param_slots;
    uint32_t zero_slots; /* link and declared locals, zeroed at entry; known once translated */
    uint32_t fused_words;
    uint32_t exact_words;
    uint32_t func; /* index in the module */
    const uint64_t *exact;
    struct module_code *home;
    const uint64_t *start; /* where calls go: entry, or into compiled code; NULL until first called */
    /* compiled (native.h); NULL: not */
    void *native;              /* what compiled callers call */
    native_enter_fn *enter;    /* what the interpreter calls */
    struct native_loop *loops; /* entries at heads of loops */
    uint32_t samples;          /* slices that ended in it, interpreted */
};

/* All functions of one module in one store. */
struct module_code {
    struct module_code *next;
    const struct wasm_module *module;
    struct wasm_store *store;
    const struct wasm_functype **types; /* [ntypes] the store's own, equal types being one pointer */
    struct code *codes;                 /* [nfuncs], imports unused */
    uint32_t max_ops;                   /* of any function: bound of ticks between two looks at the fuel */
};

struct wasm_func {
    const struct wasm_functype *type; /* interned: compare pointers */
    struct wasm_instance *instance;   /* NULL: host function */
    struct code *code;                /* NULL: host function */
    uint32_t index;                   /* in the instance's module */
    wasm_host_fn fn;
    void *env;
    const char *label;
};

struct wasm_memory {
    uint8_t *data;
    uint64_t size;
    struct pool_range range; /* address space, from data on */
    struct wasm_store *store;
    struct wasm_limits limits;
    uint64_t max_bytes;
    uint64_t refused_bytes; /* largest size asked for in vain */
};

struct wasm_table {
    wasm_ref *elems;
    uint32_t size, cap;
    enum wasm_type elem;
    struct wasm_limits limits;
    uint32_t max_elems;
};

struct wasm_global {
    union wasm_value v;
    struct wasm_globaltype type;
};

struct wasm_instance {
    struct wasm_instance *next;
    struct wasm_store *store;
    const struct wasm_module *module;
    struct module_code *code;
    struct wasm_func **funcs;
    struct wasm_table **tables;
    struct wasm_memory **memories;
    struct wasm_global **globals;
    struct wasm_global *own_globals;        /* [nglobals - nimported_globals] */
    uint8_t *dropped_elems, *dropped_datas; /* bool each */
};

struct wasm_store {
    struct wasm_config config;
    struct arena arena;
    struct module_code *modules;
    struct wasm_instance *instances;
    uint32_t ninstances;
    struct wasm_memory **memories;
    uint32_t nmemories;
    struct wasm_table **tables;
    uint32_t ntables;
    const struct wasm_functype **types;
    uint32_t ntypes;
    uint32_t max_ops;
};

const struct wasm_functype *store_intern_type(struct wasm_store *s, const struct wasm_functype *t);
struct module_code *store_module_code(struct wasm_store *s, const struct wasm_module *m);

/* Locals are zeroed so many slots at a time; the stack has that much behind its end. */
enum { ZERO_SLOTS = 8 };

/* Number of slots of a value of type `t`. */
static inline uint32_t type_slots(uint8_t t) {
    return t == WASM_V128 ? 2 : 1;
}

/* memory.c: gives the memory's pages back; nothing may use it any more. */
void memory_release(struct wasm_memory *m);

/* -1 when refused; else the old size in elements. */
int64_t table_grow(struct wasm_table *t, uint32_t delta, wasm_ref init);

/* The reference an element segment holds at `index`. */
wasm_ref instance_elem(struct wasm_instance *i, const struct module_elem *seg, uint32_t index);

/* Copies between slots and values, by type. */
void value_to_slots(uint8_t type, const union wasm_value *v, uint64_t *slots);
void value_from_slots(uint8_t type, const uint64_t *slots, union wasm_value *v);

/* ---- execution --------------------------------------------------------------------------------------------------- */

/* One call. A marker (code NULL) separates frames of different instances: it holds what its caller needs to go on.
 * Frames of compiled code have none here, but for the one through which it was entered; where it calls the engine there
 * is an exit (code &native_exit) above that: instance and fp are the compiled caller's, ret is the link (native.h). */
struct frame {
    const uint64_t *ret; /* where the caller goes on */
    uint64_t *fp;        /* this frame's slots (of a marker: its caller's) */
    struct code *code;
    struct wasm_instance *instance; /* of a marker: its caller's; else unused */
};

enum exec_state { EXEC_IDLE, EXEC_READY, EXEC_RUNNING, EXEC_DONE, EXEC_TRAPPED, EXEC_EXITED, EXEC_HOST_CALL };

struct wasm_exec {
    /* what instructions touch */
    struct frame *top;
    struct frame *frames_end;
    uint64_t *stack_end;
    struct wasm_instance *instance;
    struct wasm_global **globals;
    struct wasm_memory *memory;      /* never NULL while running */
    struct wasm_global *own_globals; /* the instance's own, from its first that is not imported */
    struct code *codes;              /* of the instance's module */
    const void *const *native;       /* helpers of compiled code, by enum native_helper */
    uint8_t *native_limit;           /* compiled frames go on the C stack down to here */

    /* machine registers, valid while no instruction runs */
    const uint64_t *pc;
    uint64_t *fp;
    int64_t fuel;
    uint64_t r;

    uint64_t origin; /* see above */
    uint64_t until;
    bool exact; /* which code `fuel` is meant for */

    enum exec_state state;
    enum wasm_outcome outcome;
    uint64_t clock; /* exact, while not running */
    enum wasm_trap_kind trap;
    bool trap_first; /* in the first half of a pair */
    char *trap_text;
    uint32_t trap_offset;
    const struct wasm_func *host; /* being called */
    struct wasm_func *callee;     /* of wasm_call */
    uint32_t interrupt;           /* atomic */
    void (*slice)(void *ctx, uint64_t ticks);
    void *slice_ctx;
    void (*hot)(void *ctx, const struct wasm_hot *hot);
    void *hot_ctx;
    bool fresh; /* wasm_call's function has not begun */

    /* compiled code on the C stack (native.c, unwind.c) */
    struct frame *native_bottom;    /* the frame it was entered through first; NULL: there is none */
    void *native_jump;              /* jmp_buf of wasm_run */
    size_t native_bytes;            /* of C stack */
    const struct native_loop *loop; /* about to be entered */
    struct sites *sites;

    struct wasm_store *store;
    struct frame *frames;
    uint64_t *stack;
    uint64_t *small_stack; /* heap, both in one (stack.c); NULL: whole_stack */
    struct pool_range whole_stack;
    struct wasm_memory no_memory;
    void *user;
};

/* interp.c: runs from x->pc until something sets x->outcome. */
void interp_run(struct wasm_exec *x);

/* The handler address of instruction `op`, for the translator. */
uint64_t interp_handler(uint32_t op);

/* Code the interpreter returns into: end of the outermost call, and return to another instance. */
const uint64_t *interp_done_code(void);
const uint64_t *interp_cross_code(void);
/* Into the compiled code of the function on top, at its entry or at x->loop; and back to compiled code. */
const uint64_t *interp_native_code(void);
const uint64_t *interp_native_loop_code(void);
const uint64_t *interp_exit_code(void);

/* Slow parts of instructions (exec.c): they work on x's machine registers; true: go on at x->pc, false: leave
 * interp_run with x->outcome set. */
bool slow_fuel(struct wasm_exec *x);
bool slow_check(struct wasm_exec *x);
bool slow_point(struct wasm_exec *x);
bool slow_return(struct wasm_exec *x);
bool slow_done(struct wasm_exec *x);
bool slow_cross(struct wasm_exec *x);
bool slow_trap(struct wasm_exec *x);
bool slow_stack(struct wasm_exec *x);
bool slow_translate(struct wasm_exec *x);
bool slow_call_import(struct wasm_exec *x);
bool slow_call_exact(struct wasm_exec *x);
bool slow_call_indirect(struct wasm_exec *x);
bool slow_return_call(struct wasm_exec *x);
bool slow_return_call_indirect(struct wasm_exec *x);
bool slow_memory_grow(struct wasm_exec *x);
bool slow_memory_bulk(struct wasm_exec *x);
bool slow_table_bulk(struct wasm_exec *x);
bool slow_table_get(struct wasm_exec *x);
bool slow_table_set(struct wasm_exec *x);
bool slow_table_grow(struct wasm_exec *x);
bool slow_native(struct wasm_exec *x);
bool slow_native_loop(struct wasm_exec *x);
bool slow_exit(struct wasm_exec *x);

/* Sets x->instance and what hangs on it. */
void exec_enter_instance(struct wasm_exec *x, struct wasm_instance *i);

/* Fused code stops for good so many ticks before the limit, and exact code does the rest: it looks at the fuel at least
 * every max_ops ticks, and may overlook it once. */
#define EXEC_MARGIN(s) (4 * (uint64_t)(s)->max_ops + 64)

#endif
