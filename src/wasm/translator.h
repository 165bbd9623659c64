/* translator.h: the translator's state, shared by translate.c (operators) and emit.c (instructions); internal to them.
 *
 * The operand stack is simulated: an entry is in its canonical slot, or lazy: still in a local, or a constant. Lazy
 * entries cost nothing until used, and settle (a move) where paths join, before calls that take them, and when their
 * local is written.  In exact code nothing is lazy. */
#ifndef AEON_WASM_TRANSLATOR_H
#define AEON_WASM_TRANSLATOR_H

#include "wasm/interp.h"
#include "wasm/translate.h"

enum lazy { IN_SLOT, IN_LOCAL, IS_CONST };

struct val {
    uint8_t type;
    uint8_t lazy;
    uint16_t slot;  /* canonical */
    uint32_t local; /* IN_LOCAL */
    uint64_t value; /* IS_CONST */
};

struct fixup {
    uint32_t next; /* index + 1; 0: end */
    uint32_t insn; /* word the displacement counts from */
    uint32_t at;   /* word to patch */
    uint32_t ticks;
};

enum ctl_kind { CTL_FUNC, CTL_BLOCK, CTL_LOOP, CTL_IF, CTL_ELSE };

struct ctl {
    enum ctl_kind kind;
    uint32_t height; /* of the operand stack below the parameters, in entries */
    uint32_t base;   /* the same in slots */
    uint32_t nparams, nresults;
    const uint8_t *params, *results;
    uint32_t loop_word, loop_ticks;
    uint32_t fixups;      /* to the end */
    uint32_t else_fixups; /* CTL_IF: to the else branch */
};

/* The instruction just emitted, as long as nothing else came between: its destination can be redirected, and a
 * comparison can be taken back to be fused with a branch. */
struct last {
    bool defines;  /* operand A is the destination, canonical slot `slot` */
    bool compares; /* a comparison (op, lhs, rhs or k) */
    uint16_t slot;
    uint16_t op; /* enum wasm_op */
    uint32_t word;
    uint16_t lhs, rhs;
    bool has_k;
    int32_t k;
    int32_t r, d, f; /* accumulators before it */
};

/* What the last instruction did to memory or a global, if it can be the first half of a pair. */
enum half { HALF_NONE, HALF_LOAD, HALF_STORE, HALF_GLOBAL_GET, HALF_GLOBAL_SUB, HALF_ADD };

struct first {
    enum half kind;
    uint32_t word;
    uint32_t offset, ticks;  /* of its operator */
    uint32_t address, value; /* slots; of a load the value is its destination */
    uint32_t imm, imm2;
    int32_t r, d, f; /* accumulators before it */
};

struct translator {
    struct code *code;
    const struct wasm_module *m;
    const struct module_func *func;
    bool exact;

    const uint8_t *p;    /* next byte to read */
    uint32_t offset;     /* of the operator being translated, in the file */
    uint32_t ticks;      /* P after the operator being translated (0 in exact code) */
    bool dead;           /* unreachable */
    uint32_t dead_depth; /* blocks opened in unreachable code */

    uint64_t *out;
    uint32_t nout, out_cap;
    struct val *vals;
    uint32_t nvals, vals_cap;
    uint32_t settled; /* entries below are in their slots */
    struct ctl *ctls;
    uint32_t nctls, ctls_cap;
    struct fixup *fixups;
    uint32_t nfixups, fixups_cap;

    uint32_t nlocals, local_slots; /* slots: with the link */
    uint8_t *local_types;
    uint16_t *local_slot;
    uint32_t *local_lazy; /* how many entries are lazy in it */

    int32_t acc_r, acc_d, acc_f; /* slot mirrored, or -1 */
    struct last last;
    struct first first;

    /* watching (place_at_*); NULL when translating for real */
    struct place *found;
    enum place_kind want;
    bool by_offset, any;
    uint32_t key;
};

/* ---- emit.c ---- */

void emit(struct translator *t, uint32_t insn, uint32_t a, uint32_t b, uint32_t c, uint32_t d);
void emit_imm(struct translator *t, uint32_t insn, uint32_t a, uint32_t b, uint32_t imm);
void emit_word(struct translator *t, uint64_t w); /* an extra word, or a one-word instruction */

/* Tells the watcher that the next instruction to be emitted is at such a place. */
void observe(struct translator *t, enum place_kind kind, uint32_t offset);

void acc_reset(struct translator *t);
void acc_defined(struct translator *t, uint32_t slot,
                 uint8_t type); /* written by an instruction that sets its accumulator */
void acc_overwritten(struct translator *t, uint32_t slot, uint8_t type);

uint32_t top_slot(const struct translator *t); /* where the next entry goes */
struct val *push(struct translator *t, uint8_t type);
void push_local(struct translator *t, uint32_t local);
void push_const(struct translator *t, uint8_t type, uint64_t value);
void pop(struct translator *t);

/* The slot an entry can be read from; emits the constant if it is one. */
uint32_t source(struct translator *t, struct val *v);
/* Puts entries from `first` on into their slots. */
void settle(struct translator *t, uint32_t first);
/* Emits a copy of an entry to any slot. */
void move_to(struct translator *t, const struct val *v, uint32_t slot);
void emit_const(struct translator *t, uint8_t type, uint64_t value, uint32_t slot);
/* Settles all entries lazy in `local`, which is about to be written. */
void settle_local(struct translator *t, uint32_t local);

/* Appends the branch word of an instruction at `insn`. */
void jump_to(struct translator *t, struct ctl *c, uint32_t insn);
void jump_fixup(struct translator *t, uint32_t *list, uint32_t insn);
/* The place of a list of jumps: here. */
void bind_fixups(struct translator *t, uint32_t list);

void *grow_array(void *p, uint32_t *cap, uint32_t need, size_t elem);

#endif
