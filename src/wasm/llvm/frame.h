/* frame.h: a function's values while it is generated; internal to src/wasm/llvm.
 *
 * Locals, and operands wherever control flow joins, are variables (allocas, which LLVM turns into registers).  `dirty`
 * tells that a value's slot in the canonical frame holds something older.  Before calls dirty values that are still
 * needed are stored to their slots; behind calls what is needed is loaded from there. */
#ifndef AEON_WASM_LLVM_FRAME_H
#define AEON_WASM_LLVM_FRAME_H

#include "wasm/liveness.h"
#include "wasm/llvm/gen.h"

/* An operand. */
struct operand {
    LLVMValueRef value; /* NULL: in its variable */
    uint32_t slot;      /* canonical */
    uint8_t type;       /* enum wasm_type */
    bool dirty;
    bool raw; /* a NaN in it may not be canonical; only with a value */
};

enum control_kind { CONTROL_BODY, CONTROL_BLOCK, CONTROL_LOOP, CONTROL_IF, CONTROL_ELSE };

struct control {
    enum control_kind kind;
    const struct wasm_functype *type; /* of the block; results are those of the body for the body */
    struct wasm_functype one;         /* where `type` points for blocks without a type index */
    uint8_t one_type;                 /* the result's, or 0x40 */
    bool own_type;
    uint32_t height;       /* operands below its parameters */
    LLVMBasicBlockRef to;  /* where a branch to it goes: behind its end, or the loop's head */
    LLVMBasicBlockRef alt; /* CONTROL_IF: the else branch */
    uint32_t alt_ticks;
    bool reached;    /* `to` has been branched to */
    uint64_t *dirty; /* bit set over locals: union of those of all branches to the end */
    uint64_t *alt_dirty;
};

/* What a loop does, known before it is generated. */
struct loop_facts {
    uint32_t offset;
    bool calls;
    uint64_t *assigns; /* bit set over locals */
};

/* A memory access through a local's value: see checks.c. */
enum access_how { ACCESS_CHECKED, ACCESS_COVERED, ACCESS_WIDE };
struct access {
    uint32_t offset; /* of its operator in the module file */
    enum access_how how;
    uint64_t own, reach; /* bytes behind the address that it touches; that its check must allow */
};

struct body {
    const struct module_func *func;
    uint32_t index;
    const struct wasm_functype *type;
    LLVMValueRef x, fp;
    LLVMValueRef fuel, base, size; /* variables: fuel; memory 0's bytes and their number */
    LLVMBasicBlockRef entry;       /* where variables are made */
    LLVMBasicBlockRef start;       /* what comes after it */
    bool is_loop_entry;            /* results go to slots, fuel is returned */
    uint32_t start_loop;           /* of a loop entry: its loop's offset */

    uint32_t nlocals, nwords; /* words of a bit set over locals */
    uint8_t *local_types;
    uint32_t *local_slots;
    LLVMValueRef *locals;
    bool *raw; /* locals that only results of arithmetic are assigned to: made canonical when somebody may see them */
    uint64_t *dirty;
    struct liveness *live;

    struct operand *stack;
    uint32_t height, cap;
    uint32_t operands_slot;       /* the first operand's */
    LLVMValueRef (*variables)[6]; /* [slot - operands_slot][type class] */

    struct control *controls;
    uint32_t ncontrols, controls_cap;
    struct loop_facts *loops;
    uint32_t nloops, next_loop;

    struct access *accesses; /* in order of offset */
    uint32_t naccesses;

    uint32_t ticks; /* operators since `fuel` was last charged */
    bool dead;
    uint32_t dead_depth;
    bool leaf; /* no calls and no loops */

    LLVMBasicBlockRef trap; /* where traps meet; NULL: none yet */
    uint32_t ntraps;
    LLVMValueRef trap_link, trap_fuel, trap_kind;
};

LLVMTypeRef type_of(const struct unit *u, uint8_t type);
LLVMTypeRef body_type(const struct unit *u, const struct wasm_functype *t);

bool bit_get(const uint64_t *set, uint32_t i);
void bit_set(uint64_t *set, uint32_t i);

/* The slots of the canonical frame. */
LLVMValueRef slot_address(struct gen *g, LLVMValueRef fp, uint32_t slot);
void slot_store(struct gen *g, LLVMValueRef fp, uint32_t slot, uint8_t type, LLVMValueRef v);
LLVMValueRef slot_load(struct gen *g, LLVMValueRef fp, uint32_t slot, uint8_t type);

/* Operands. Pushed values are canonical unless raw. */
void gen_push(struct gen *g, uint8_t type, LLVMValueRef v, bool raw);
LLVMValueRef gen_peek(struct gen *g, uint32_t below); /* `below` operands down from the top */
LLVMValueRef gen_pop(struct gen *g);                  /* canonical */
LLVMValueRef gen_pop_raw(struct gen *g, bool *raw);
uint32_t gen_top_slot(const struct body *f); /* where the next operand goes */
void gen_sync(struct gen *g, uint32_t from); /* operands from there on into their variables */
void gen_sync_raw(struct gen *g);            /* gives raw operands their final bits, before control flow splits */
void gen_settle(struct gen *g, uint32_t to); /* operands below `to` into their slots, and clean */
LLVMValueRef gen_variable(struct gen *g, uint32_t slot, uint8_t type);
/* Operands `n` on top into the variables of a join at stack height `height`; they stay. */
void join_values(struct gen *g, const uint8_t *types, uint32_t n, uint32_t height);
/* Drops to `height` and pushes what a join has left in its variables. */
void join_done(struct gen *g, const uint8_t *types, uint32_t n, uint32_t height);

/* Raw where the local is. */
void local_set(struct gen *g, uint32_t local, LLVMValueRef v);
LLVMValueRef local_get(struct gen *g, uint32_t local);

/* Everything into slots, before the call operator at g->offset, whose arguments have been popped. */
void gen_flush(struct gen *g);
/* The frame into slots on a cold path at the head of a loop; nothing becomes clean. */
void gen_flush_cold(struct gen *g);
/* Dirty locals that are needed into slots, and clean, but those in `except`. At a loop. */
void settle_locals(struct gen *g, const uint64_t *except);
void local_from_slot(struct gen *g, uint32_t local);
/* What is needed behind the call at g->offset, from slots. */
void gen_reload(struct gen *g);

/* ---- calls.c ---- */

/* Calls a helper; results and parameters by NATIVE_HELPERS. NULL for v. */
LLVMValueRef call_helper(struct gen *g, enum native_helper h, LLVMValueRef *args);
LLVMValueRef call_cold(struct gen *g, enum cold c, LLVMValueRef *args);
/* This function and operator, as a link word. */
LLVMValueRef link_here(struct gen *g);
/* Ticks so far are charged. */
void gen_charge(struct gen *g);
LLVMValueRef get_fuel(struct gen *g);
void set_fuel(struct gen *g, LLVMValueRef v);
void refresh_memory(struct gen *g);

void call_direct(struct gen *g, uint32_t func);
void call_indirect(struct gen *g, uint32_t type, uint32_t table);
void return_call(struct gen *g, uint32_t func);
void return_call_indirect(struct gen *g, uint32_t type, uint32_t table);
void gen_bulk(struct gen *g, enum native_helper h, uint32_t what, uint32_t a, uint32_t b);
/* Returns the `n` operands on top. */
void gen_return(struct gen *g);

/* ---- body.c ---- */

/* An operator with its immediates. */
struct insn {
    enum wasm_op op;
    uint32_t offset, next; /* in the module file */
    uint32_t a, b;         /* the first two numbers; of a memory operator `b` is the offset; of BLOCK see block */
    uint64_t k;            /* a constant; the lane */
    int64_t block;         /* block type */
    const uint8_t *bytes;  /* LABELS: the first depth, `a` + 1 of them; SHUFFLE, CONST_V128: 16 bytes */
};

uint32_t read_leb(const uint8_t **p); /* an unsigned number */
void read_insn(const uint8_t *file, uint32_t offset, struct insn *out);
/* The operators of the body into IR. */
void gen_body(struct gen *g);

/* ---- checks.c ---- */

/* Fills accesses. */
void checks_find(struct gen *g);
/* NULL: an access that is simply checked. */
const struct access *checks_at(const struct body *f, uint32_t offset);

/* ---- memory.c ---- */

/* Before a memory operator takes its operands: the check that later accesses lean on too, if this is such a one. */
void gen_wide_check(struct gen *g, uint32_t operands);

/* ---- gen.c ---- */

/* The function being a loop's entry, lets it begin by going to that loop's head with the frame that is in the slots. */
void begin_at_loop(struct gen *g, LLVMBasicBlockRef head);
LLVMBasicBlockRef new_block(struct gen *g, const char *name);
/* Branches to `rare` when cond holds, which hardly ever happens; goes on in a new block, which is returned. */
LLVMBasicBlockRef branch_rarely(struct gen *g, LLVMValueRef cond, LLVMBasicBlockRef rare);
LLVMValueRef engine_load(struct gen *g, LLVMTypeRef type, LLVMValueRef base, uint64_t offset, bool invariant);
enum alias { ALIAS_SLOT, ALIAS_LINEAR, ALIAS_ENGINE, ALIAS_GLOBAL, ALIAS_COUNT };
void set_alias(struct gen *g, LLVMValueRef access, enum alias a);
LLVMValueRef const_i32(const struct unit *u, uint32_t v);
LLVMValueRef const_i64(const struct unit *u, uint64_t v);

#endif
