/* exec.h: what an execution consists of beneath instructions, for exec.c and those beside it; internal to src/wasm.
 *
 *   exec.c    from outside, and the rare parts of instructions
 *   stack.c   slots and frames
 *   native.c  compiled code: into it, out of it, its helpers, installing it
 *   unwind.c  compiled frames as interpreter's frames */
#ifndef AEON_WASM_EXEC_H
#define AEON_WASM_EXEC_H

#include "wasm/engine.h"
#include "wasm/translate.h"

/* ---- exec.c ------------------------------------------------------------------------------------------------------ */

/* The clock at a place with that potential. */
static inline uint64_t exec_clock(const struct wasm_exec *x, uint64_t ticks) {
    return x->origin - (uint64_t)x->fuel + ticks;
}

/* So near to the limit that exact code has to do the rest. */
bool exec_near_limit(const struct wasm_exec *x, uint64_t clock);
bool exec_interrupted(const struct wasm_exec *x);
/* Fuel for fused and compiled code, at a place of potential `ticks`; not near the limit. */
void exec_fuel_for_fused(struct wasm_exec *x, uint64_t clock, uint32_t ticks);
void exec_fuel_for_exact(struct wasm_exec *x, uint64_t clock);

/* fuel < 0, and not exact: a slice has ended. True: there is new fuel. `low`: the clock, less P where it stands. */
bool exec_renew(struct wasm_exec *x, uint64_t low);
/* There was none: goes over to exact code, or leaves (false). x->pc is in fused code, or P is 0 there. */
bool exec_no_more(struct wasm_exec *x);

const uint64_t *exec_fused_code(struct code *c);
const uint64_t *exec_exact_code(struct code *c);

/* Pushes a frame for `c` at slots `fp` with its parameters there; x->pc is where it starts. False: no room. */
bool exec_push_frame(struct wasm_exec *x, struct code *c, uint64_t *fp, const uint64_t *ret);
/* After that: settles which code it is to run in; as slow_* . */
bool exec_entered(struct wasm_exec *x);
/* A frame was popped: in exact mode its caller, in fused code, goes over to exact code. */
bool exec_returned(struct wasm_exec *x);

/* Leaves the execution. */
void exec_leave(struct wasm_exec *x, enum wasm_outcome o, uint64_t clock);
void exec_trapped(struct wasm_exec *x, enum wasm_trap_kind k, uint32_t offset, uint64_t clock);
void exec_exited(struct wasm_exec *x, uint64_t clock);

/* A host function's i32 and f32 results have clean upper halves. */
void exec_canonical_results(const struct wasm_functype *ft, uint64_t *slots);

/* A share of a bulk operation: what fuel allows, and no more than a slice. The operands at `v` become what is left.
 * False: out of bounds, nothing was done. */
struct bulk {
    uint64_t ticks; /* to be charged */
    bool whole;     /* it is finished */
};
bool exec_memory_bulk(struct wasm_exec *x, uint64_t *v, uint32_t what, uint32_t segment, struct bulk *out);
bool exec_table_bulk(struct wasm_exec *x, uint64_t *v, uint32_t what, uint32_t table, uint32_t second,
                     struct bulk *out);

/* ---- stack.c ----------------------------------------------------------------------------------------------------- */

void exec_stack_init(struct wasm_exec *x);
void exec_stack_deinit(struct wasm_exec *x);
/* From now on slots and frames do not move any more. */
void exec_whole_stack(struct wasm_exec *x);
/* Whether there is room for so many slots from *fp on; all may move for that, x->fp, x->top and *fp with it. */
bool exec_room(struct wasm_exec *x, uint64_t **fp, size_t slots);

/* ---- native.c ---------------------------------------------------------------------------------------------------- */

#define NATIVE_LOOP_UNKNOWN UINT32_MAX       /* not looked for yet */
#define NATIVE_LOOP_DEAD    (UINT32_MAX - 1) /* in code that is never reached */

/* An entry at the head of a loop. */
struct native_loop {
    struct native_loop *next;
    uint32_t loop;  /* offset of the operator */
    uint32_t word;  /* in fused code, or one of those below */
    uint32_t ticks; /* P there */
    native_enter_fn *enter;
};

extern const void *const native_helpers[NATIVE_HELPER_COUNT];
/* The code of exits. */
extern struct code native_exit;

/* interp_run, with compiled code on top of it. */
void native_run(struct wasm_exec *x);

/* At the head of a loop (x->pc in fused code) with an entry: x->pc goes there. */
void native_enter_loop(struct wasm_exec *x);

/* Gives a function code, as wasm_install does. `loop` 0: its entry, with `body`; else a loop's. */
void native_install(struct code *c, uint32_t loop, native_enter_fn *enter, void *body);

/* ---- unwind.c ---------------------------------------------------------------------------------------------------- */

/* Where a compiled frame stands. */
struct native_place {
    struct code *code;
    uint64_t *fp;
    uint32_t offset; /* of the operator */
};

/* The frame that `link` of a frame whose slots begin at `fp` means is at, when that is the frame's own fp. */
struct native_place native_at(const struct wasm_instance *i, uint64_t link, uint64_t *fp);
/* From a compiled frame to its caller; false: that is the engine. */
bool native_up(struct wasm_exec *x, struct native_place *p);

/* Makes plain frames of everything. `top`: the innermost compiled frame, which comes to be on top with x->fp at it;
 * NULL: plain frames are on top, x->pc stays.  No compiled code is on the C stack any more (which native_run drops). */
void native_unwind(struct wasm_exec *x, const struct native_place *top);

/* x->pc and x->fuel for the frame on top after unwinding; fuel is as charged. */
void native_resume_entry(struct wasm_exec *x);                  /* parameters are there */
void native_resume_call(struct wasm_exec *x, uint32_t offset);  /* the call has returned */
void native_resume_loop(struct wasm_exec *x, uint32_t offset);  /* at the head of the loop */
void native_resume_op(struct wasm_exec *x, uint32_t offset);    /* before the operator, which is charged no more */
void native_resume_exact(struct wasm_exec *x, uint32_t offset); /* the same in exact code */
void native_resume_host(struct wasm_exec *x, uint32_t offset);  /* in a call that will not return */

/* The loop whose head is at an address in fused code; 0: it is none. */
uint32_t native_loop_at(struct wasm_exec *x, struct code *c, const uint64_t *pc);

/* Fills in where the loop is in fused code. */
void native_find_loop(struct wasm_exec *x, struct code *c, struct native_loop *l);

void native_sites_free(struct sites *s);

#endif
