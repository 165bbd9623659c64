/* translate.h: from a validated function body to instructions, and the way back from instructions to the canonical
 * frame. */
#ifndef AEON_WASM_TRANSLATE_H
#define AEON_WASM_TRANSLATE_H

#include "wasm/engine.h"

/* Makes c->entry or c->exact (and c->zero_slots). Cannot fail: limits were checked at validation. */
void translate(struct code *c, bool exact);

/* ---- places ---------------------------------------------------------------------------------------------------- */

/* What an address in translated code stands for. Found by translating the function once more and watching, so that
 * nothing need be kept for the rare occasions on which it is asked. */
enum place_kind {
    PLACE_OP,    /* about to execute the operator at `offset` (exact code: any; fused code: operators that can be
                    started again) */
    PLACE_LABEL, /* a branch target or the function's entry; next is the operator at `offset` */
    PLACE_CALL,  /* the call at `offset` has returned; its results are on the stack */
    PLACE_INSN,  /* inside the instruction made for the operator at `offset`, which may trap */
    PLACE_FIRST, /* the same for the first operator of a pair */
};

/* Where an operand's value lies. */
struct place_value {
    uint8_t type;  /* enum wasm_type */
    uint8_t lazy;  /* 0: in its own slot; 1: in slot `from`; 2: the constant `value` */
    uint16_t slot; /* canonical */
    uint16_t from;
    uint64_t value;
};

struct place {
    enum place_kind kind;
    uint32_t word;   /* from the start of the translation */
    uint32_t offset; /* in the module file */
    uint32_t ticks;  /* P there; of PLACE_INSN and PLACE_FIRST: with the operator itself counted */
    uint32_t loop;   /* of PLACE_LABEL, when it is the head of a loop: offset of the `loop` operator */
    uint32_t nlocals;
    uint8_t *local_types; /* [nlocals], parameters first */
    uint32_t nvalues;
    struct place_value *values; /* the operand stack, bottom first */
};

/* Finds by address (kind, word) or by operator (kind, offset). Several can match an address; the last is taken (by
 * offset: the first). False when there is none. Free with place_deinit. */
bool place_at_word(struct code *c, bool exact, enum place_kind kind, uint32_t word, struct place *out);
bool place_at_offset(struct code *c, bool exact, enum place_kind kind, uint32_t offset, struct place *out);
void place_deinit(struct place *p);

/* The type of the function called by the operator at `offset`, and where the next operator is; NULL when that is no
 * call. */
const struct wasm_functype *call_at(const struct wasm_module *m, uint32_t offset, uint32_t *next);

/* Writes lazy operands to their slots. */
void place_settle(const struct place *p, uint64_t *fp);
/* The other way: operands in their slots, to the locals that code there reads them from; a local that is not live may
 * hold anything before that. */
void place_unsettle(const struct place *p, uint64_t *fp);

#endif
